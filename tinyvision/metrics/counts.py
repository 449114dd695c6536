"""Precision, recall and F: ratios of counts, and their averages over classes.

For one class, let TP be the examples of it that were found, P those predicted to be of it, and T those that are.

    precision = TP / P          of what was found, how much is right?
    recall    = TP / T          of what is there, how much was found?
    F_beta    = (1 + beta^2) TP / (beta^2 T + P)          their weighted harmonic mean; beta = 2 cares more for recall

Averages over classes: 'macro' is the mean of the classes' values, every class alike; 'weighted' weights them by T;
'micro' adds the counts first, every example alike (with one label per example micro precision, recall and F are all the
accuracy); 'binary' is the value of class 1 of two; None gives the value of every class.

Where a ratio is 0 / 0 its value is `zero_division`: 0 by default, the cautious reading; 1; or nan, and then the averages
leave the class out.

Source: van Rijsbergen 1979, Information Retrieval, chapter 7 (F); Sokolova and Lapalme 2009,
doi:10.1016/j.ipm.2009.03.002 (averages); sklearn.metrics.precision_recall_fscore_support (the same conventions).
"""

import math

import numpy as np

from .check import choice

AVERAGES = (None, "micro", "macro", "weighted", "binary")


def ratio(top, bottom, zero_division):
    """top / bottom by element, zero_division where bottom is 0."""
    top, bottom = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
    return np.divide(top, bottom, out=np.full(top.shape, float(zero_division)), where=bottom != 0)


def check_average(op, classes, average, zero_division):
    """Refuse words that are no averages, and values of 0 / 0 other than 0, 1 and nan."""
    choice(op, "average", average, AVERAGES)
    if average == "binary" and classes != 2:
        raise ValueError(f"{op}: average='binary' needs 2 classes, got {classes}. Choose 'macro' or 'micro'.")
    if not (zero_division in (0, 1) or math.isnan(zero_division)):
        raise ValueError(f"{op}: zero_division must be 0, 1 or nan, got {zero_division!r}.")


def check_beta(op, beta):
    """Refuse a weight that is negative or not finite."""
    if not 0 <= beta < math.inf:
        raise ValueError(f"{op}: beta must be a finite number of at least 0, got {beta}. 1 weighs precision and recall alike.")


def averaged(op, top, bottom, weights, average, zero_division):
    """Ratios of counts (K,), averaged over the classes as the module's head says."""
    check_average(op, len(top), average, zero_division)
    if average == "micro":
        return float(ratio(np.sum(top), np.sum(bottom), zero_division))
    values = ratio(top, bottom, zero_division)
    if average is None:
        return values
    if average == "binary":
        return float(values[1])
    defined = ~np.isnan(values)
    if not defined.any():
        return math.nan
    weights = np.asarray(weights, np.float64)[defined]
    if average == "macro" or not weights.any():           # no example of a class that has a value: all alike
        weights = np.ones(len(weights))
    return float(values[defined] @ weights / weights.sum())


class Ratios:
    """Precision, recall and F of a class that has `counts()`: TP, P and T, each (K,)."""

    def precision(self, average="macro", zero_division=0.0):
        """TP / P: a float, or an array (K,) with average=None (see metrics/counts.py)."""
        found, predicted, actual = self.counts()
        return averaged("precision", found, predicted, actual, average, zero_division)

    def recall(self, average="macro", zero_division=0.0):
        """TP / T: a float, or an array (K,) with average=None."""
        found, _, actual = self.counts()
        return averaged("recall", found, actual, actual, average, zero_division)

    def fbeta(self, beta=1.0, average="macro", zero_division=0.0):
        """(1 + beta^2) TP / (beta^2 T + P): a float, or an array (K,) with average=None."""
        check_beta("fbeta", beta)
        found, predicted, actual = self.counts()
        return averaged("fbeta", (1 + beta ** 2) * found, beta ** 2 * actual + predicted, actual, average, zero_division)
