"""The error of a picture whose objects are to be named and boxed: guess at most five times.

For every class k in the picture the best of the guesses counts.  A guess, with label l_j and box b_j, serves class g_k if
its label is right and its box fits any one of the objects of that class, z_k1, z_k2, ...:

    e = 1/n sum_k min_j min_m max{ d(l_j, g_k), f(b_j, z_km) }

    d(l, g) = 0 if l = g, else 1            f(b, z) = 0 if IoU(b, z) > 1/2, else 1

with n classes in the picture, and the mean over the pictures.  Without f it is the top-5 error of classification: five
guesses, because a picture of a dog on a sofa may well be labelled "sofa".

Source: Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition Challenge, arXiv:1409.0575, section 4.2.
"""

from collections.abc import Mapping

import numpy as np

from .boxes import box_iou
from .check import finite, not_empty, whole
from .metric import Metric
from .regions import Regions, column


class LocalizationError(Metric):
    """The localisation error of ImageNet over batches of pictures, 0..1.

    classes: their number K, None for any; guesses: how many predictions of a picture count; iou_threshold: a box fits an
    object where the IoU exceeds it.
    update(predictions, targets): lists of dicts, one per picture, with "boxes" (n, 4), x1, y1, x2, y2, and "labels" (n,).
    Predictions with "scores" (n,) may be more than `guesses`: the surest count.
    compute() -> the mean error of the pictures.
    Raises ValueError for more guesses without scores, a picture without objects, and as VOCAveragePrecision; TypeError for what
    is not lists of dicts.  A refused batch changes nothing.

    >>> metric = LocalizationError()
    >>> metric.update([{"boxes": [[0, 0, 9, 9], [0, 0, 9, 9]], "labels": [3, 5]}], [{"boxes": [[0, 0, 9, 8]], "labels": [5]}])
    >>> metric.update([{"boxes": [[0, 0, 9, 9]], "labels": [5]}], [{"boxes": [[5, 5, 9, 9]], "labels": [5]}])
    >>> metric.compute()
    0.5
    """

    def __init__(self, classes=None, guesses=5, iou_threshold=0.5):
        self.classes = None if classes is None else whole("LocalizationError", "classes", classes)
        self.guesses, self.iou_threshold = whole("LocalizationError", "guesses", guesses), iou_threshold
        if not 0 <= iou_threshold < 1:
            raise ValueError(f"LocalizationError: iou_threshold must be at least 0 and below 1, got {iou_threshold}.")
        self.reset()

    def reset(self):
        self.total, self.pictures = 0.0, 0

    def update(self, predictions, targets):
        for name, value in ("predictions", predictions), ("targets", targets):
            if isinstance(value, Mapping) or not hasattr(value, "__len__"):
                raise TypeError(f"LocalizationError: {name} must be a list with a dict for each picture, got "
                                f"{type(value).__name__}. For a single picture pass [prediction], [target].")
        if len(predictions) != len(targets):
            raise ValueError(f"LocalizationError: predictions and targets must be of the same pictures, got {len(predictions)} "
                             f"and {len(targets)}.")
        errors = [self.picture_error(*pair) for pair in zip(predictions, targets)]
        self.total += sum(errors)
        self.pictures += len(errors)

    def picture_error(self, predicted, true):
        """e of one picture."""
        name = "LocalizationError"
        guesses, objects = (Regions(name, what, picture, self.classes, "box")
                            for what, picture in (("prediction", predicted), ("target", true)))
        not_empty(name, len(objects.labels), "object in each picture")
        kept = np.arange(len(guesses.labels))
        if "scores" in predicted:
            scores = column(name, "scores", finite(name, "scores", predicted["scores"]), len(kept), "boxes")
            kept = np.argsort(-scores.astype(np.float64), kind="stable")[:self.guesses]
        elif len(kept) > self.guesses:
            raise ValueError(f"{name}: at most {self.guesses} predictions count, got {len(kept)}. Pass the best of them, or "
                             "'scores' to choose by.")
        right = (guesses.labels[kept, None] == objects.labels) & (
            box_iou(guesses.regions[kept], objects.regions) > self.iou_threshold)            # (guesses, objects)
        missed = [not right[:, objects.labels == label].any() for label in np.unique(objects.labels)]
        return sum(missed) / len(missed)

    def compute(self):
        not_empty("LocalizationError", self.pictures, "picture")
        return self.total / self.pictures


def localization_error(predictions, targets, guesses=5, iou_threshold=0.5):
    """The localisation error of some pictures, 0..1; arguments, shapes and errors as in LocalizationError.

    >>> true = {"boxes": [[0, 0, 9, 8], [4, 4, 7, 7]], "labels": [5, 2]}
    >>> localization_error([{"boxes": [[0, 0, 9, 9]], "labels": [5]}], [true])
    0.5
    """
    metric = LocalizationError(None, guesses, iou_threshold)
    metric.update(predictions, targets)
    return metric.compute()
