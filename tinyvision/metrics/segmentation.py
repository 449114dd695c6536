"""One class per pixel: overlaps, and whether the cells are the same cells.

Every pixel is an example, so a confusion matrix of pixels tells all about overlap: for a class, with T its true pixels and P
the predicted ones,

    IoU  = |T and P| / |T or P|                 mean IoU: the mean over the classes, small ones count as much as large ones
    Dice = 2 |T and P| / (|T| + |P|)            = F; IoU = Dice / (2 - Dice), so the two rank alike

Counts of all pictures are added before they are divided.  A class that is neither there nor predicted has 0 / 0 and is left out
of the mean.

A membrane one pixel wide with a gap of one pixel has nearly all pixels right, and yet two cells became one.  The Rand score asks
about pairs: two pixels of one true cell should be in one predicted cell, two of one predicted cell in one true cell.  With
n_ij pixels in predicted cell i and true cell j, s_i and t_j their sums over j and i,

    split = sum n_ij^2 / sum t_j^2         1 when no true cell was split          (recall of pairs)
    merge = sum n_ij^2 / sum s_i^2         1 when none were merged                (precision of pairs)
    V     = sum n_ij^2 / (alpha sum s_i^2 + (1 - alpha) sum t_j^2)                alpha = 1/2: their harmonic mean, F

Only pixels inside true cells count ("foreground-restricted"), so how wide the true membranes are drawn does not matter.  Membrane
predicted inside a true cell belongs to no predicted cell: each such pixel is a cell of its own.

Source: Arganda-Carreras et al. 2015, Crowdsourcing the creation of image segmentation algorithms for connectomics,
doi:10.3389/fnana.2015.00142, equation 3; SNEMI3D challenge (pixels on their own).
"""

import math

import numpy as np

from ..packages import require
from . import check
from .check import array, binary, indices, not_empty, same_shape
from .classification import ConfusionMatrix, error_rate, gathered
from .metric import Metric

NUMBERS = "numbers of cells"                              # in messages


def iou(predictions, targets, classes=None, average=None, *, ignore_index=None, zero_division=math.nan):
    """Intersection over union of each class, counted over all pixels of all pictures.

    Shapes: targets (N, H, W), or any, class indices; predictions the same, or scores (N, K, H, W).
    classes: K; needed where predictions are indices.
    average: None gives an array (K,), 'macro' the mean IoU; others: see metrics/counts.py.
    ignore_index: a target that marks pixels which do not count (255 on the borders of VOC, for instance).
    Raises as confusion_matrix.

    >>> iou([[0, 1], [1, 1]], [[0, 0], [1, 1]], classes=3).round(3).tolist()
    [0.5, 0.667, nan]
    """
    return gathered(predictions, targets, classes, ignore_index).iou(average, zero_division)


def mean_iou(predictions, targets, classes=None, *, ignore_index=None):
    """The mean of the classes' IoU, those left out that are nowhere; arguments as in iou.

    >>> round(mean_iou([[0, 1], [1, 1]], [[0, 0], [1, 1]], classes=3), 4)
    0.5833
    """
    return iou(predictions, targets, classes, "macro", ignore_index=ignore_index)


def dice(predictions, targets, classes=None, average=None, *, ignore_index=None, zero_division=math.nan):
    """Dice's overlap of each class, 2 |T and P| / (|T| + |P|); arguments as in iou.

    Source: Dice 1945, doi:10.2307/1932409.

    >>> dice([[0, 1], [1, 1]], [[0, 0], [1, 1]], classes=2).round(3).tolist()
    [0.667, 0.8]
    """
    return gathered(predictions, targets, classes, ignore_index).dice(average, zero_division)


def pixel_error(predictions, targets, *, ignore_index=None):
    """The share of pixels with the wrong class, 0..1, error_rate of pixels; arguments as in accuracy.

    For the pixel error of the ISBI 2012 challenge that looks for the best threshold see maximal_fbeta.

    >>> pixel_error([[0, 1], [1, 1]], [[0, 0], [1, 1]])
    0.25
    """
    return error_rate(predictions, targets, ignore_index=ignore_index)


class MeanIoU(ConfusionMatrix):
    """The mean IoU of batches; besides, all that ConfusionMatrix knows.

    Arguments and errors as in ConfusionMatrix; compute() -> the mean over the classes that occur, 0..1.

    >>> metric = MeanIoU(3, ignore_index=255)
    >>> metric.update([[0, 1, 2]], [[0, 0, 255]]); metric.update([[1, 1]], [[1, 1]]); round(metric.compute(), 4)
    0.5833
    """

    def compute(self):
        return self.iou("macro")


def connected_cells(mask):
    """The connected parts of a mask, numbered from 1; 0 outside it.

    Shapes: mask (H, W), booleans or 0 and 1, 1 inside; the result is (H, W), int64.  Pixels are neighbours along the axes, so
    a membrane one pixel wide separates even where it runs diagonally.
    Raises ValueError for other shapes and values.

    >>> connected_cells([[1, 0, 1], [0, 1, 1]]).tolist()
    [[1, 0, 2], [0, 2, 2]]
    """
    mask = binary("connected_cells", "mask", mask)
    if mask.ndim != 2:
        raise ValueError(f"connected_cells: mask must be (H, W), got {mask.shape}. Take one picture at a time.")
    require("connected_cells", "scipy")
    from scipy.ndimage import label
    return label(mask)[0].astype(np.int64)


def grown(cells):
    """Cells that meet: every pixel outside a cell goes to the nearest one (Euclidean distance), so no border is left.

    Shapes: cells (H, W), numbered from 1, 0 outside; the result has no 0, unless there are no cells at all.
    The width of the predicted borders then does not matter.  The ISBI challenge thins them to one pixel by a watershed
    instead; its figures are close to those after this, but not the same.
    Raises ValueError for other shapes, TypeError for cells that are not integers.

    >>> grown([[1, 0, 0, 0, 2]]).tolist()[0][:2]
    [1, 1]
    """
    cells = indices("grown", "cells", cells, what=NUMBERS)
    if cells.ndim != 2:
        raise ValueError(f"grown: cells must be (H, W), got {cells.shape}. Take one picture at a time.")
    require("grown", "scipy")
    from scipy.ndimage import distance_transform_edt
    if not cells.any():
        return cells
    nearest = distance_transform_edt(cells == 0, return_distances=False, return_indices=True)
    return cells[tuple(nearest)]


def pair_sums(op, predictions, targets):
    """sum n_ij^2, sum s_i^2 and sum t_j^2 of one picture, whole numbers."""
    predictions, targets = (indices(op, name, x, what=NUMBERS) for name, x in
                            (("predictions", predictions), ("targets", targets)))
    same_shape(op, predictions=predictions, targets=targets)
    inside = targets > 0
    s, t = (small_numbers(x[inside]) for x in (predictions, targets))
    found = s > 0
    both = np.unique((s * (t.max(initial=0) + 1) + t)[found], return_counts=True)[1]
    alone = len(s) - found.sum()                          # membrane inside a true cell: each pixel by itself, n_ij = s_i = 1
    return np.array([both @ both + alone, np.sum(np.bincount(s[found]) ** 2) + alone, np.sum(np.bincount(t) ** 2)])


def small_numbers(cells):
    """The cells (n,) numbered anew where the numbers are much larger than n; 0 stays 0."""
    if cells.max(initial=0) <= 4 * len(cells):
        return cells
    return np.unique(np.append(0, cells), return_inverse=True)[1][1:]


def rand_score(predictions, targets, alpha=0.5):
    """The foreground-restricted Rand score V of cells, 0..1; with alpha = 1/2 the F-score of pairs of pixels.

    Shapes: predictions and targets (H, W), or any, cells numbered from 1, 0 for membrane (see connected_cells).
    alpha: 0 gives the split score, 1 the merge score.
    Raises ValueError for different shapes, negative numbers, an alpha outside 0..1 and targets without cells; TypeError where
    cells are not integers.

    >>> rand_score([[1, 1, 2, 2]], [[1, 1, 1, 1]]), rand_score([[1, 1, 2, 2]], [[1, 1, 1, 1]], alpha=0)
    (0.6666666666666666, 0.5)
    """
    metric = RandScore(alpha)
    metric.update(predictions, targets)
    return metric.compute()


class RandScore(Metric):
    """The Rand score of a stack of pictures: pairs of pixels are counted within each picture, and added.

    update(predictions, targets): the cells of one picture, as in rand_score; compute() -> V, and `split`, `merge`.
    Raises as rand_score; ValueError in compute where no picture had cells.

    >>> metric = RandScore(); metric.update([[1, 1, 2, 2]], [[1, 1, 1, 1]]); metric.update([[1, 1]], [[1, 1]])
    >>> round(metric.compute(), 4), metric.split, metric.merge
    (0.75, 0.6, 1.0)
    """

    def __init__(self, alpha=0.5):
        if not 0 <= alpha <= 1:
            raise ValueError(f"RandScore: alpha must be from 0 to 1, got {alpha}. 0.5 weighs splits and mergers alike.")
        self.alpha = alpha
        self.reset()

    def reset(self):
        self.sums = np.zeros(3, np.int64)

    def update(self, predictions, targets):
        self.sums += pair_sums("RandScore", predictions, targets)

    def value(self, alpha):
        """V for a weight alpha of the predicted cells."""
        both, predicted, true = self.sums.tolist()
        not_empty("RandScore", true, "pixel inside a true cell")
        return both / (alpha * predicted + (1 - alpha) * true)

    @property
    def split(self):
        """1 when no true cell was split, 0..1."""
        return self.value(0)

    @property
    def merge(self):
        """1 when no two true cells were merged, 0..1."""
        return self.value(1)

    def compute(self):
        return self.value(self.alpha)


def maximal_rand_score(probabilities, targets, thresholds=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), *, grow=False):
    """The best Rand F-score over thresholds, and the threshold: 1 - it is the Rand error of the ISBI 2012 challenge.

    A pixel is inside a cell where its probability is above the threshold; cells are the connected parts.
    Shapes: probabilities (N, H, W) of being inside a cell; targets (N, H, W), 1 inside and 0 on membranes.
    grow: let the predicted cells grow until they meet (see grown).
    Raises ValueError for other shapes, probabilities outside 0..1, targets that are not 0 or 1 or have no cell, and no
    thresholds.

    >>> maximal_rand_score([[[0.9, 0.9, 0.3, 0.8]]], [[[1, 1, 0, 1]]])
    (1.0, 0.3)
    """
    name = "maximal_rand_score"
    inside, targets = check.probabilities(name, "probabilities", probabilities), array(name, "targets", targets)
    same_shape(name, probabilities=inside, targets=targets)
    if inside.ndim != 3:
        raise ValueError(f"{name}: probabilities and targets must be (N, H, W), got {inside.shape}. A single picture needs "
                         "[None].")
    not_empty(name, len(thresholds), "threshold")
    true = [connected_cells(picture) for picture in targets]
    scores = []
    for threshold in thresholds:
        metric = RandScore()
        for picture, cells in zip(inside, true):
            found = connected_cells(picture > threshold)
            metric.update(grown(found) if grow else found, cells)
        scores.append(metric.compute())
    best = int(np.argmax(scores))
    return scores[best], float(thresholds[best])
