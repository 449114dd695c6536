"""Average precision of a detector by the rules of COCO.

Ten thresholds of the IoU, 0.50, 0.55, ..., 0.95, instead of one: boxes must also be exact.  At each of them, class by class and
picture by picture, from the surest detection down, a detection takes the object that it overlaps most among those that are still
free (PASCAL VOC: among all).  Objects that are not to be counted are taken only by detections that fit no other, and those
are not counted either:

    crowds ("iscrowd")        regions of many objects; they may be taken again and again, and the overlap with them is the share
                              of the detection that lies inside
    of other sizes            in the rows for small, medium and large objects (areas up to 32^2, 96^2, and above)

Nor is a detection of another size that found nothing.  Precision at the recalls 0, 0.01, ..., 1 is the largest at that recall or
a higher one; AP is its mean over recalls, thresholds and classes.  AR is the recall of the surest 1, 10 or 100 detections of
each class in a picture, averaged likewise.  Classes without objects are left out.

The steps, down to the rounding of 0.57, are those of COCO's own program, so that the figures can be compared with published ones.

Source: Lin et al. 2014, Microsoft COCO, arXiv:1405.0312; cocodataset.org, "Detection evaluation"; pycocotools.
"""

import math

import numpy as np

from .check import choice, not_empty, whole
from .metric import Metric
from .regions import KINDS, overlaps, read_pictures

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {"all": (0, 1e10), "small": (0, 32 ** 2), "medium": (32 ** 2, 96 ** 2), "large": (96 ** 2, 1e10)}      # square pixels


class COCOAveragePrecision(Metric):
    """Average precision and recall by the rules of COCO, over batches of pictures.

    classes: their number K.  kind: 'box' compares "boxes", 'mask' compares "masks".
    max_detections: how many detections of a class in a picture count, the surest ones, rising; AP uses the last.
    update(predictions, targets): lists of dicts, one per picture: predictions with "boxes" (n, 4), x1, y1, x2, y2, or "masks"
    (n, H, W), with "labels" (n,) and "scores" (n,); targets with the first two and, optionally, "iscrowd" (n,) and "area"
    (n,), square pixels, which decides about the size (else that of the box or the mask).
    compute() -> a dict: AP, AP50, AP75 (thresholds 0.5 and 0.75 only), AP_small, AP_medium, AP_large, AR_1, AR_10, AR_100,
    AR_small, AR_medium, AR_large, each 0..1, nan where there are no such objects (COCO's program prints -1).
    `per_class` -> AP of each class, (K,).
    Raises ValueError for other shapes, missing keys, labels outside 0..K-1, scores that are not finite, boxes that end before
    they begin, and in compute without pictures; TypeError for what is not lists of dicts.  A refused batch changes nothing.

    >>> found = {"boxes": [[0, 0, 10, 10], [50, 50, 60, 60]], "labels": [0, 0], "scores": [0.6, 0.9]}
    >>> metric = COCOAveragePrecision(classes=1)
    >>> metric.update([found], [{"boxes": [[0, 0, 10, 8]], "labels": [0]}])
    >>> {name: round(value, 3) for name, value in metric.compute().items() if name in ("AP", "AP50", "AR_1", "AR_100")}
    {'AP': 0.35, 'AP50': 0.5, 'AR_1': 0.0, 'AR_100': 0.7}
    """

    def __init__(self, classes, kind="box", *, max_detections=(1, 10, 100)):
        name = "COCOAveragePrecision"
        choice(name, "kind", kind, KINDS)
        self.classes, self.kind = whole(name, "classes", classes), kind
        self.max_detections = tuple(whole(name, "max_detections", limit) for limit in max_detections)
        if not self.max_detections or list(self.max_detections) != sorted(set(self.max_detections)):
            raise ValueError(f"{name}: max_detections must be rising numbers, got {self.max_detections}. The usual ones are "
                             "(1, 10, 100).")
        self.reset()

    def reset(self):
        self.pictures = 0
        self.objects = np.zeros((self.classes, len(AREAS)), np.int64)
        # of every class, for each picture: scores (D,), and found and ignored, each (areas, thresholds, D)
        self.detections = [[] for _ in range(self.classes)]

    def update(self, predictions, targets):
        pairs = read_pictures("COCOAveragePrecision", predictions, targets, self.classes, self.kind, "iscrowd")
        self.pictures += len(pairs)
        for predicted, true in pairs:
            for label in np.union1d(predicted.labels, true.labels):
                self.add(label, predicted, true)

    def add(self, label, predicted, true):
        """Judge the detections of one class in one picture."""
        rows, columns = np.flatnonzero(predicted.labels == label), np.flatnonzero(true.labels == label)
        rows = rows[np.argsort(-predicted.scores[rows], kind="stable")][:self.max_detections[-1]]
        crowd = true.marked[columns]
        ignore = crowd | outside(true.areas[columns])                     # (areas, G)
        self.objects[label] += (~ignore).sum(axis=1)
        if len(rows):
            found, ignored = judge(overlaps(predicted, true, rows, columns, crowd), crowd, ignore)
            ignored |= ~found & outside(predicted.areas[rows])[:, None]
            self.detections[label].append((predicted.scores[rows], found, ignored))

    def averages(self):
        """AP (K, areas, thresholds), and the recall (limits, K, areas, thresholds), nan where there are no objects."""
        not_empty("COCOAveragePrecision", self.pictures, "picture")
        sizes = self.classes, len(AREAS), len(THRESHOLDS)
        precision, recall = np.full(sizes, math.nan), np.full((len(self.max_detections), *sizes), math.nan)
        for label, records in enumerate(self.detections):
            there = self.objects[label] > 0
            precision[label, there], recall[:, label, there] = 0, 0
            for i, limit in enumerate(self.max_detections if records else ()):
                right, wrong = ranked(records, limit)
                recall[i, label, there] = right[there, :, -1] / self.objects[label, there, None]
            for area in np.flatnonzero(there) if records else ():
                precision[label, area] = [interpolated(*lists, self.objects[label, area])
                                          for lists in zip(right[area], wrong[area])]
        return precision, recall

    @property
    def per_class(self):
        """AP of every class over all thresholds and sizes, (K,); nan for classes without objects."""
        return self.averages()[0][:, 0].mean(axis=1)

    def compute(self):
        precision, recall = self.averages()
        values = {"AP": precision[:, 0], "AP50": precision[:, 0, 0], "AP75": precision[:, 0, 5]}
        values |= {f"AP_{name}": precision[:, i] for i, name in enumerate(AREAS) if i}
        values |= {f"AR_{limit}": recall[i, :, 0] for i, limit in enumerate(self.max_detections)}
        values |= {f"AR_{name}": recall[-1, :, i] for i, name in enumerate(AREAS) if i}
        return {name: float(x[~np.isnan(x)].mean()) if not np.isnan(x).all() else math.nan for name, x in values.items()}


def outside(areas):
    """Which areas (n,) lie outside each range, (ranges, n)."""
    low, high = np.array(list(AREAS.values())).T[:, :, None]
    return (areas < low) | (areas > high)


def judge(iou, crowd, ignore):
    """Which detections found an object, and which of these are to be ignored, both (areas, thresholds, D).

    iou (D, G), the surest detection first; crowd (G,); ignore (areas, G).
    """
    areas, G = ignore.shape
    found, ignored = np.zeros((2, areas, len(THRESHOLDS), len(iou)), bool)
    if G == 0:
        return found, ignored
    enough = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
    taken = np.zeros((areas, len(THRESHOLDS), G), bool)
    for d, row in enumerate(iou):
        fits = (row >= enough) & (~taken | crowd)                         # (areas, thresholds, G)
        counted = fits & ~ignore[:, None]
        fits = np.where(counted.any(axis=2, keepdims=True), counted, fits)
        best = G - 1 - np.where(fits, row, -1)[..., ::-1].argmax(axis=2)  # the last of equals
        found[..., d] = fits.any(axis=2)
        ignored[..., d] = found[..., d] & np.take_along_axis(ignore, best, axis=1)
        taken |= (best[..., None] == np.arange(G)) & found[..., d, None]
    return found, ignored


def ranked(records, limit):
    """How many detections were right and wrong after each of all pictures, the surest first: (areas, thresholds, D)."""
    scores, found, ignored = (np.concatenate([part[..., :limit] for part in parts], axis=-1) for parts in zip(*records))
    order = np.argsort(-scores, kind="stable")
    found, counted = found[..., order], ~ignored[..., order]
    return np.cumsum(found & counted, axis=-1), np.cumsum(~found & counted, axis=-1)


def interpolated(right, wrong, objects):
    """The mean over 101 recalls of the largest precision at that recall or a higher one."""
    precision = right / np.maximum(right + wrong, 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return np.append(precision, 0)[np.searchsorted(right / objects, RECALLS)].mean()
