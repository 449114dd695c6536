"""Pictures with objects and imperfect detections of them, for the tests of detectors."""

import numpy as np


def scene(random, classes=3, size=40, flag="iscrowd", large=False):
    """One picture: (prediction, target), boxes with whole numbers and masks that fill most of them; scores with many ties."""
    span = size if large else size // 2

    def boxes(n):
        corner = random.integers(0, size - 4, (n, 2))
        return np.concatenate([corner, np.minimum(corner + random.integers(1, span, (n, 2)), size)], axis=1).astype(np.float32)

    n = random.integers(0, 7)
    true = boxes(n)
    target = {"boxes": true, "labels": random.integers(0, classes, n), flag: random.random(n) < 0.25}
    copies = np.clip(true + random.integers(-2, 3, true.shape), 0, size)
    copies[:, 2:] = np.maximum(copies[:, 2:], copies[:, :2])
    found = np.concatenate([copies, copies[::2], boxes(random.integers(0, 5))])
    labels = np.concatenate([target["labels"], target["labels"][::2], random.integers(0, classes, len(found))])[:len(found)]
    prediction = {"boxes": found.astype(np.float32), "labels": labels, "scores": random.integers(0, 6, len(found)) / 5}
    for objects in prediction, target:
        objects["masks"] = masks(random, objects["boxes"], size)
    return prediction, target


def masks(random, boxes, size):
    y, x = np.mgrid[:size, :size]
    full = [(x >= a) & (x < c) & (y >= b) & (y < d) for a, b, c, d in boxes]
    return np.array([mask & (random.random(mask.shape) < 0.9) for mask in full], bool).reshape(len(boxes), size, size)


def scenes(seed, pictures=6, **options):
    random = np.random.default_rng(seed)
    return [list(column) for column in zip(*(scene(random, **options) for _ in range(pictures)))]


def overlap(a, b, crowd=False):
    """IoU of two boxes or two masks, as fractions of whole numbers; for a crowd the share of the first inside it."""
    if np.ndim(a) == 2:
        shared, sizes = int((a & b).sum()), [int(a.sum()), int(b.sum())]
    else:
        shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
        sizes = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    union = sizes[0] if crowd else sizes[0] + sizes[1] - shared
    return float(shared) / float(union) if union else 0.0


def size(region):
    return float(region.sum() if np.ndim(region) == 2 else (region[2] - region[0]) * (region[3] - region[1]))
