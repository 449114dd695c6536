"""Pictures between pictures: a batch is mixed with itself, and the labels with it.

A convex combination of two examples, label included, asks of the network that it goes from cat to dog gradually, where it never
saw an example: fewer wild guesses there, and better calibrated ones.  CutMix pastes a rectangle instead of a veil, so every pixel
is from a real picture.

    mixup     x = l x_a + (1 - l) x_b                            y = l y_a + (1 - l) y_b,      l from Beta(alpha, alpha)
    cutmix    a rectangle of the share 1 - l of the area from x_b, the rest from x_a;       y by the share that was pasted

y are rows of probabilities, which cross_entropy takes as they are.  The partner of picture i is picture i - 1 of the batch: where
the loader shuffles, that is a random one.

Sources: Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019, arXiv:1905.04899; torchvision.transforms.v2.
"""

import numpy as np

from ...random import as_generator
from .base import ALONE, Transform, array_of, like
from ..checks import is_integer, numbers_of


class Mix(Transform):
    """Base of both: called with a batch of pictures and their labels, it gives mixed pictures and soft labels."""

    def __init__(self, alpha=1.0, num_classes=None, generator=None):
        name = type(self).__name__
        super().__init__(generator)
        (self.alpha,) = numbers_of(name, "alpha", (alpha,), (1,), 0)
        if not self.alpha:
            raise ValueError(f"{name}: alpha must be greater than 0, got {alpha!r}. Near 0 hardly anything is mixed.")
        if num_classes is not None and (not is_integer(num_classes) or num_classes < 1):
            raise ValueError(f"{name}: num_classes must be an integer of at least 1, got {num_classes!r}.")
        self.num_classes = num_classes

    def mix(self, x, rng):
        """The mixed pictures, and the share of each that is its own."""
        raise NotImplementedError(f"{type(self).__name__}: needs a method mix(x, rng).")

    def __call__(self, image, target=ALONE, *, rng=None):
        name = type(self).__name__
        if target is ALONE:
            raise TypeError(f"{name}: needs a batch of pictures and their labels, got pictures only. mix(images, labels).")
        x = array_of(name, "batch", image)
        if x.ndim != 4 or x.dtype.kind != "f":
            raise ValueError(f"{name}: needs a batch of pictures (N, C, H, W) of floats, got shape {x.shape} of {x.dtype}. Mix "
                             "after the loader made the batch.")
        q = self.probabilities(target, x)
        y, share = self.mix(x, self.generator if rng is None else as_generator(name, rng))
        share = q.dtype.type(share)
        return like(image, y), like(image, share * q + (1 - share) * np.roll(q, 1, 0))

    def probabilities(self, target, x):
        """Labels (N,) or probabilities (N, K), as probabilities (N, K)."""
        name = type(self).__name__
        labels = np.asarray(array_of(name, "labels", target if hasattr(target, "dtype") else np.asarray(target)))
        if labels.ndim == 2 and labels.dtype.kind == "f" and len(labels) == len(x):
            return labels
        if labels.shape != (len(x),) or labels.dtype.kind not in "iu":
            raise ValueError(f"{name}: labels must be class indices (N,) or probabilities (N, K) for {len(x)} pictures, got "
                             f"shape {labels.shape} of {labels.dtype}.")
        if self.num_classes is None:
            raise ValueError(f"{name}: needs num_classes to make probabilities of class indices, got None. "
                             f"{name}(num_classes=10), for instance.")
        if len(labels) and not 0 <= labels.min() <= labels.max() < self.num_classes:
            raise ValueError(f"{name}: labels must be class indices 0..{self.num_classes - 1}, got {labels.min()} to "
                             f"{labels.max()}.")
        return np.eye(self.num_classes, dtype=x.dtype)[labels]


class MixUp(Mix):
    """Mix every picture of a batch with another one, and their labels alike (torchvision.transforms.v2.MixUp).

    Shapes: images (N, C, H, W) floats, labels (N,) class indices or (N, K) probabilities -> mixed (N, C, H, W), (N, K).
    alpha: of the Beta distribution, greater than 0: 1 makes all shares alike, 0.2 mixes little.  One share per batch.
    num_classes: K, needed for class indices.
    In a loader: DataLoader(data, 32, collate_fn=lambda batch: mix(*default_collate(batch))).
    Raises ValueError for other shapes, labels outside 0..K-1 and alpha of 0 or less; TypeError without labels.

    >>> images, q = MixUp(num_classes=2, generator=0)(np.float32([[[[0]]], [[[1]]]]), [0, 1])
    >>> np.allclose(images[:, 0, 0, 0], q[:, 1]), q.sum(1)
    (True, array([1., 1.], dtype=float32))
    """

    def __init__(self, *, alpha=1.0, num_classes=None, generator=None):
        super().__init__(alpha, num_classes, generator)

    def mix(self, x, rng):
        share = rng.beta(self.alpha, self.alpha)
        return x.dtype.type(share) * x + x.dtype.type(1 - share) * np.roll(x, 1, 0), share


class CutMix(Mix):
    """Paste a rectangle of another picture into every picture of a batch (torchvision.transforms.v2.CutMix).

    The label of the other counts as much as its share of the area.  The rectangle has its middle anywhere, the ratio of the
    picture, and is clipped to it; one for the batch.  Shapes, arguments and errors as in MixUp.

    >>> images, q = CutMix(num_classes=2, generator=0)(np.stack([np.zeros((1, 8, 8)), np.ones((1, 8, 8))]), [0, 1])
    >>> np.allclose(images.mean((1, 2, 3)), q[:, 1])
    True
    """

    def __init__(self, *, alpha=1.0, num_classes=None, generator=None):
        super().__init__(alpha, num_classes, generator)

    def mix(self, x, rng):
        height, width = x.shape[2:]
        half = 0.5 * np.sqrt(1 - rng.beta(self.alpha, self.alpha))
        row, column = int(rng.integers(height)), int(rng.integers(width))
        h, w = int(half * height), int(half * width)
        rows, columns = slice(max(row - h, 0), row + h), slice(max(column - w, 0), column + w)
        y = x.copy()
        y[:, :, rows, columns] = np.roll(x, 1, 0)[:, :, rows, columns]
        pasted = len(range(height)[rows]) * len(range(width)[columns])
        return y, 1 - pasted / (height * width)
