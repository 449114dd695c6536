"""What detectors give and what they should have given: dicts of one picture's objects, as arrays.

A target has "boxes" (n, 4) and "labels" (n,), or "masks" (n, H, W) where masks are compared; a prediction has the same and
"scores" (n,), its confidence, larger where it is surer.  Rules that leave objects out of the count mark them by further keys
of the target, booleans (n,): "difficult" (VOC), "iscrowd" (COCO).
"""

from collections.abc import Mapping

import numpy as np

from .boxes import box_area, box_array, intersections, mask_array, shared_pixels
from .check import array, binary, choice, finite, indices
from .counts import ratio

KINDS = ("box", "mask")


class Regions:
    """The objects of one picture: labels (n,), regions, areas (n,), and further columns by name.

    regions: boxes (n, 4), float64, or masks (n, pixels), booleans, according to kind.
    """

    def __init__(self, op, what, picture, classes, kind, *, scored=False, flag=None):
        if not isinstance(picture, Mapping):
            raise TypeError(f"{op}: each picture's {what} must be a dict, got {type(picture).__name__}. Pass lists of dicts, "
                            "one for each picture.")
        key, self.kind = {"box": "boxes", "mask": "masks"}[kind], kind
        for needed in (key, "labels", *(["scores"] if scored else [])):
            if needed not in picture:
                raise ValueError(f"{op}: each picture's {what} must have {needed!r}, got {', '.join(map(repr, picture))}. Pass "
                                 "an empty array where there is no object.")
        regions = picture[key]
        self.regions, self.size = (box_array(op, key, regions), None) if kind == "box" else mask_array(op, key, regions)
        self.labels = column(op, "labels", picture["labels"], len(self.regions), key)
        self.labels = indices(op, "labels", self.labels, classes)
        self.areas = box_area(self.regions) if kind == "box" else self.regions.sum(axis=1)
        if scored:
            self.scores = column(op, "scores", finite(op, "scores", picture["scores"]), len(self.regions), key).astype(np.float64)
        if flag is not None:
            marks = column(op, flag, picture.get(flag, np.zeros(len(self.regions), bool)), len(self.regions), key)
            self.marked = binary(op, flag, marks)
        if what == "target" and "area" in picture:
            self.areas = column(op, "area", finite(op, "area", picture["area"]), len(self.regions), key)


def column(op, name, values, n, key):
    """One number for each object."""
    values = array(op, name, values)
    if values.size == 0:
        values = values.reshape(0).astype(np.int64 if values.dtype.kind == "f" else values.dtype)
    if values.shape != (n,):
        raise ValueError(f"{op}: {name} must have one entry for each of {n} {key}, got shape {values.shape}. Pass rows that "
                         "belong together.")
    return values


def read_pictures(op, predictions, targets, classes, kind, flag):
    """Pairs of Regions (predicted, true), one for each picture; all are read before any is returned."""
    choice(op, "kind", kind, KINDS)
    for name, value in ("predictions", predictions), ("targets", targets):
        if isinstance(value, Mapping) or not hasattr(value, "__len__"):
            raise TypeError(f"{op}: {name} must be a list with a dict for each picture, got {type(value).__name__}. For a "
                            "single picture pass [prediction], [target].")
    if len(predictions) != len(targets):
        raise ValueError(f"{op}: predictions and targets must be of the same pictures, got {len(predictions)} and "
                         f"{len(targets)}. A picture without objects has empty arrays.")
    pairs = [(Regions(op, "prediction", predicted, classes, kind, scored=True),
              Regions(op, "target", true, classes, kind, flag=flag)) for predicted, true in zip(predictions, targets)]
    for predicted, true in pairs:
        if predicted.size != true.size:
            raise ValueError(f"{op}: masks of a picture must be of one size, got {predicted.size} predicted and {true.size} "
                             "true. Resize the predictions to the picture.")
    return pairs


def overlaps(predicted, true, rows, columns, crowd=None):
    """IoU of the predicted regions `rows` with the true regions `columns`; for crowds the share of the prediction inside."""
    a, b = predicted.regions[rows], true.regions[columns]
    if predicted.kind == "box":
        shared, size, other = intersections(a, b), box_area(a), box_area(b)
    else:
        shared, size, other = shared_pixels(a, b), a.sum(axis=1), b.sum(axis=1)
    union = size[:, None] + other - shared
    if crowd is not None:
        union = np.where(crowd, size[:, None], union)
    return ratio(shared, union, 0)
