"""All thresholds at once: the ROC curve, the precision-recall curve, and the areas under them.

A score says yes from a threshold on, and every threshold is another classifier: a strict one finds little and errs little.
Going down from the largest score, let TP and FP count the yes answers that are right and wrong, of T positive and F negative
examples.

    ROC curve                  true positive rate TP / T over false positive rate FP / F
    precision-recall curve     precision TP / (TP + FP) over recall TP / T

The area under the ROC curve is the probability that a positive example has a larger score than a negative one (equal scores
count half).  It does not change with the share of positives, which is why the precision-recall curve is the one to look at when
they are rare.  Its area is the average precision, the sum of (R_i - R_(i-1)) P_i without interpolation, for between two points
the curve is no straight line.

Examples with equal scores cannot be told apart by a threshold: they are taken together, and the order in the array does not
matter.  Several classes are several questions, one against the rest.

Source: Fawcett 2006, An introduction to ROC analysis, doi:10.1016/j.patrec.2005.10.010; Davis and Goadrich 2006,
doi:10.1145/1143844.1143874; sklearn.metrics (the same conventions).
"""

import math

import numpy as np

from .check import array, binary, choice, finite, indices, not_empty, same_shape
from .counts import check_beta, ratio


def binary_counts(op, scores, targets):
    """TP and FP at every threshold, float64, and the thresholds, falling: the distinct scores."""
    scores, targets = finite(op, "scores", scores), array(op, "targets", targets)
    same_shape(op, scores=scores, targets=targets)
    if scores.ndim != 1:
        raise ValueError(f"{op}: scores and targets must be (N,), got {scores.shape}. Pass one column of them.")
    targets = binary(op, "targets", targets)
    not_empty(op, len(targets))
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    scores, targets = scores[order], targets[order]
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    found = np.cumsum(targets, dtype=np.float64)[last]
    return found, last + 1 - found, scores[last]


def roc_curve(scores, targets):
    """The points of the ROC curve: false positive rates, true positive rates, thresholds, each (M,).

    Shapes: scores (N,), any finite numbers, larger for class 1; targets (N,), 0 and 1.  The first point is (0, 0) with the
    threshold infinity, then one for each distinct score, falling; the last is (1, 1).
    Raises ValueError for other shapes, scores that are not finite, targets that are not 0 or 1, and unless both occur.

    >>> false, true, thresholds = roc_curve([0.9, 0.6, 0.6, 0.1], [1, 1, 0, 0])
    >>> false.tolist(), true.tolist(), thresholds.tolist()
    ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0], [inf, 0.9, 0.6, 0.1])
    """
    found, wrong, thresholds = binary_counts("roc_curve", scores, targets)
    if found[-1] == 0 or wrong[-1] == 0:
        raise ValueError(f"roc_curve: targets must hold both 0 and 1, got only {int(wrong[-1] == 0)}. Without one of them its "
                         "rate is 0 / 0.")
    return (np.append(0, wrong / wrong[-1]), np.append(0, found / found[-1]),
            np.append(np.inf, thresholds.astype(np.float64)))


def precision_recall_curve(scores, targets):
    """The points of the precision-recall curve: precisions (M + 1,), recalls (M + 1,), thresholds (M,).

    Shapes and direction as in sklearn.metrics: thresholds are the distinct scores, rising, so recall falls; behind them comes
    the end (precision 1, recall 0), which has no threshold.  Arguments as in roc_curve.
    Raises as roc_curve, but here only a 1 must occur.

    >>> precisions, recalls, thresholds = precision_recall_curve([0.9, 0.6, 0.1], [1, 0, 1])
    >>> precisions.round(2).tolist(), recalls.tolist(), thresholds.tolist()
    ([0.67, 0.5, 1.0, 1.0], [1.0, 0.5, 0.5, 0.0], [0.1, 0.6, 0.9])
    """
    found, wrong, thresholds = binary_counts("precision_recall_curve", scores, targets)
    if found[-1] == 0:
        raise ValueError("precision_recall_curve: targets must hold a 1, got only 0. Without one recall is 0 / 0.")
    precision, recall = found / (found + wrong), found / found[-1]
    return np.append(precision[::-1], 1), np.append(recall[::-1], 0), thresholds[::-1]


def binary_auc(scores, targets):
    """The area under the ROC curve by the trapezoidal rule, nan where a class is missing."""
    found, wrong, _ = binary_counts("roc_auc", scores, targets)
    if found[-1] == 0 or wrong[-1] == 0:
        return math.nan
    # counted in pairs of examples, so that it is exact: twice the number of pairs in right order is whole
    pairs = np.sum(np.diff(wrong, prepend=0) * (found + np.append(0, found[:-1])))
    return float(pairs / (2 * found[-1] * wrong[-1]))


def binary_average_precision(scores, targets):
    """The average precision, nan without a positive example."""
    found, wrong, _ = binary_counts("average_precision", scores, targets)
    return float(np.sum(np.diff(found, prepend=0) * found / (found + wrong)) / found[-1]) if found[-1] else math.nan


def roc_auc(scores, targets, average="macro"):
    """The area under the ROC curve, 0..1: how likely a positive example has a larger score than a negative one.

    Shapes: scores (N,) with targets (N,), 0 and 1; or scores (N, K) with targets (N,), class indices, each class against the
    rest; or scores (N, K) with targets (N, K), 0 and 1, each label by itself.  Scores: any finite numbers.
    average, where there are K: 'macro' the mean over the classes, 'weighted' by how many examples they have, 'micro' all N K
    answers as one question, None an array (K,).  Classes without positive or without negative examples give nan, and the
    means leave them out.
    Raises ValueError for other shapes, scores that are not finite, labels that are not classes, and where no class has both
    positive and negative examples (but not with average=None).

    >>> roc_auc([0.9, 0.4, 0.6, 0.1], [1, 1, 0, 0])
    0.75
    """
    return over_classes("roc_auc", binary_auc, scores, targets, average)


def average_precision(scores, targets, average="macro"):
    """The area under the precision-recall curve, sum of (R_i - R_(i-1)) P_i, 0..1; its macro mean is the "mAP".

    Shapes and average as in roc_auc.  Classes without positive examples give nan, and the means leave them out.
    Raises as roc_auc, but here a class needs positive examples only.

    >>> round(average_precision([0.9, 0.6, 0.1], [1, 0, 1]), 4)
    0.8333
    """
    return over_classes("average_precision", binary_average_precision, scores, targets, average)


def over_classes(op, measure, scores, targets, average):
    """A measure of binary questions, for one of them or averaged over classes."""
    choice(op, "average", average, (None, "micro", "macro", "weighted"))
    scores, targets = finite(op, "scores", scores), array(op, "targets", targets)
    if scores.ndim == 2:
        truth = one_against_rest(op, scores, targets)
        if average != "micro":
            values = np.array([measure(column, true) for column, true in zip(scores.T, truth.T)])
            return values if average is None else class_mean(op, values, truth.sum(axis=0), average)
        scores, targets = scores.ravel(), truth.ravel()
    return class_mean(op, np.array([measure(scores, targets)]), np.ones(1), "macro")


def one_against_rest(op, scores, targets):
    """The targets as (N, K) booleans."""
    if targets.shape == scores.shape:
        return binary(op, "targets", targets)
    if targets.shape != scores.shape[:1]:
        raise ValueError(f"{op}: scores (N, K) need targets (N,) or (N, K), got {scores.shape} and {targets.shape}. Pass class "
                         "indices, or K zeros and ones per example.")
    return indices(op, "targets", targets, scores.shape[1])[:, None] == np.arange(scores.shape[1])


def class_mean(op, values, counts, average):
    """The mean over the classes for which there is a value."""
    defined = ~np.isnan(values)
    if not defined.any():
        raise ValueError(f"{op}: needs a class with positive{' and negative' if op == 'roc_auc' else ''} examples, got none. "
                         "Check the targets.")
    weights = counts[defined] if average == "weighted" else np.ones(defined.sum())
    return float(values[defined] @ weights / weights.sum())


def maximal_fbeta(scores, targets, beta=1.0):
    """The largest F over all thresholds, and the threshold that gives it (yes from this score on; the largest such score).

    Shapes: scores (N, ...), any finite numbers; targets of the same shape, 0 and 1.
    With the pixels of a picture as examples, 1 - F is the pixel error by which the ISBI 2012 challenge ranked membranes.
    Raises as precision_recall_curve, and ValueError for a negative or infinite beta.

    >>> maximal_fbeta([0.9, 0.6, 0.1], [1, 0, 1])
    (0.8, 0.1)
    """
    check_beta("maximal_fbeta", beta)
    scores, targets = array("maximal_fbeta", "scores", scores), array("maximal_fbeta", "targets", targets)
    same_shape("maximal_fbeta", scores=scores, targets=targets)
    found, wrong, thresholds = binary_counts("maximal_fbeta", scores.ravel(), targets.ravel())
    if found[-1] == 0:
        raise ValueError("maximal_fbeta: targets must hold a 1, got only 0. Without one recall is 0 / 0.")
    values = ratio((1 + beta ** 2) * found, beta ** 2 * found[-1] + found + wrong, 0)
    best = int(values.argmax())
    return float(values[best]), float(thresholds[best])
