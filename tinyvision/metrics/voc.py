"""Average precision of a detector by the rules of PASCAL VOC.

A detection is right when it overlaps an object of its class well enough (IoU of at least 0.5), but every object can be found
once only: of several detections of one object the surest is right, the others are wrong.  So, class by class and from the surest
detection down, each takes the object it overlaps most, and is

    not counted     if the object is marked "difficult": those need not be found,
    right           if the IoU suffices and nobody took the object before,
    wrong           otherwise.

After i detections, TP_i of which were right, precision is TP_i / i and recall TP_i / T.  The precision at recall r is
interpolated: the largest precision at any recall of at least r.  Average precision is its area (since 2010), or its mean at
the recalls 0, 0.1, ..., 1 (until 2009); the mean over the classes is the mAP.  A class without objects has no AP.

Detections of equal score stay in their order.  Boxes end at their edges here; the challenge's own program counted pixels.

Source: Everingham, Van Gool, Williams, Winn and Zisserman 2010, The PASCAL Visual Object Classes (VOC) Challenge,
doi:10.1007/s11263-009-0275-4, section 4.2.
"""

import math

import numpy as np

from .check import choice, not_empty, whole
from .metric import Metric
from .regions import KINDS, overlaps, read_pictures


class VOCAveragePrecision(Metric):
    """Average precision by the rules of PASCAL VOC, over batches of pictures.

    classes: their number K.  iou_threshold: from which overlap on an object is found, above 0 and at most 1.
    points: None for the area under the interpolated curve (2010 on), 11 for the mean at eleven recalls (2007).
    kind: 'box' compares "boxes", 'mask' compares "masks".
    update(predictions, targets): lists of dicts, one per picture: predictions with "boxes" (n, 4), x1, y1, x2, y2, or "masks"
    (n, H, W), with "labels" (n,) and "scores" (n,); targets with the first two and, optionally, "difficult" (n,).
    compute() -> the mAP, 0..1, nan where there are no objects; `per_class` -> (K,), nan for classes without objects.
    Raises ValueError for other shapes, missing keys, labels outside 0..K-1, scores that are not finite, boxes that end before
    they begin, and in compute without pictures; TypeError for what is not lists of dicts.  A refused batch changes nothing.

    >>> found = {"boxes": [[0, 0, 2, 2], [5, 5, 6, 6]], "labels": [0, 0], "scores": [0.6, 0.9]}
    >>> metric = VOCAveragePrecision(classes=1)
    >>> metric.update([found], [{"boxes": [[0, 0, 2, 2]], "labels": [0]}]); metric.compute()
    0.5
    """

    def __init__(self, classes, iou_threshold=0.5, points=None, kind="box"):
        self.classes = whole("VOCAveragePrecision", "classes", classes)
        if not 0 < iou_threshold <= 1:
            raise ValueError(f"VOCAveragePrecision: iou_threshold must be above 0 and at most 1, got {iou_threshold}.")
        choice("VOCAveragePrecision", "points", points, (None, 11))
        choice("VOCAveragePrecision", "kind", kind, KINDS)
        self.iou_threshold, self.points, self.kind = iou_threshold, points, kind
        self.reset()

    def reset(self):
        self.pictures = 0
        self.objects = np.zeros(self.classes, np.int64)                   # T of every class
        self.detections = [[] for _ in range(self.classes)]               # of every class: (scores, right) of each picture

    def update(self, predictions, targets):
        pairs = read_pictures("VOCAveragePrecision", predictions, targets, self.classes, self.kind, "difficult")
        self.pictures += len(pairs)
        for predicted, true in pairs:
            self.objects += np.bincount(true.labels[~true.marked], minlength=self.classes)
            for label in np.unique(predicted.labels):
                rows, columns = np.flatnonzero(predicted.labels == label), np.flatnonzero(true.labels == label)
                rows = rows[np.argsort(-predicted.scores[rows], kind="stable")]
                right, counted = judge(overlaps(predicted, true, rows, columns), true.marked[columns], self.iou_threshold)
                self.detections[label].append((predicted.scores[rows][counted], right[counted]))

    @property
    def per_class(self):
        """The average precision of every class, (K,); nan for classes without objects."""
        not_empty("VOCAveragePrecision", self.pictures, "picture")
        return np.array([self.class_precision(label) for label in range(self.classes)])

    def class_precision(self, label):
        """The average precision of one class."""
        if self.objects[label] == 0 or not self.detections[label]:
            return math.nan if self.objects[label] == 0 else 0.0
        scores, right = map(np.concatenate, zip(*self.detections[label]))
        found = np.cumsum(right[np.argsort(-scores, kind="stable")])
        return interpolated(found, int(self.objects[label]), self.points)

    def compute(self):
        values = self.per_class
        return float(np.mean(values[~np.isnan(values)])) if not np.isnan(values).all() else math.nan


def judge(iou, difficult, threshold):
    """Which detections are right, and which count, (D,) each; iou (D, G), the surest detection first."""
    right, counted = np.zeros(len(iou), bool), np.ones(len(iou), bool)
    taken = np.zeros(len(difficult), bool)
    for i, row in enumerate(iou if len(difficult) else ()):
        best = row.argmax()
        if row[best] >= threshold:
            counted[i] = not difficult[best]
            right[i] = counted[i] and not taken[best]
            taken[best] = True
    return right, counted


def interpolated(found, objects, points=None):
    """The average precision of a list of detections: TP after each of them (D,), and the number of objects T."""
    if len(found) == 0:
        return 0.0
    precision = found / np.arange(1, len(found) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]              # the largest at this recall or a higher one
    if points is None:
        return float(np.sum(np.diff(found, prepend=0) * precision) / objects)
    # recall >= i / 10 in whole numbers: 3 of 10 found is a recall of 0.3, which in floats is less than 3 times 0.1
    first = np.searchsorted(10 * found, objects * np.arange(11))
    return float(np.append(precision, 0)[first].mean())
