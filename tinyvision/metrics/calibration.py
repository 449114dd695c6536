"""Do the probabilities mean what they say?  Of all answers given with 80 % confidence, 80 % should be right.

Sort the answers into bins by their confidence c, and compare in every bin the mean confidence with the share of right
answers.  The two plotted against each other are the reliability curve; on the diagonal the network is calibrated, below it
is too sure of itself, as deep networks usually are.  In one number, with n_b of n answers in bin b,

    ECE = sum_b n_b / n |right_b - confidence_b|          expected calibration error
    MCE = max_b |right_b - confidence_b|                  the worst bin

Bins are open on the left and closed on the right, (0.1, 0.2], and the first holds 0 too.  The Brier score needs no bins: the mean
squared distance of the probabilities from the truth.  It is smallest for the true probabilities, so it rewards both
calibration and being right.

With one probability per example, that of class 1, "right" is how often class 1 occurs.  With K, the confidence is the largest
of them, and right means that its class is the true one.

Source: Guo, Pleiss, Sun and Weinberger 2017, On Calibration of Modern Neural Networks, arXiv:1706.04599, equations 2 to 5; Brier
1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
"""

from typing import NamedTuple

import numpy as np

from .check import array, binary, choice, distributions, indices, not_empty, probabilities, same_shape, whole
from .counts import ratio
from .metric import Metric


class Reliability(NamedTuple):
    """A reliability curve: edges (B + 1,); in each bin the mean confidence, the share that is right, and the count, each (B,).

    Empty bins have nan for the two means.

    >>> Reliability(np.array([0, 0.5, 1]), np.array([0.25, 0.75]), np.array([0.25, 0.5]), np.array([4, 4])).expected_error
    0.125
    """

    edges: np.ndarray
    confidence: np.ndarray
    right: np.ndarray
    counts: np.ndarray

    @property
    def expected_error(self):
        """ECE, 0..1."""
        filled = self.counts > 0
        return float(self.counts[filled] @ abs(self.right - self.confidence)[filled] / self.counts.sum())

    @property
    def maximal_error(self):
        """MCE, 0..1."""
        return float(np.nanmax(abs(self.right - self.confidence)))


def confident(op, predictions, targets):
    """Confidence and whether it was right, both (N,)."""
    predictions, targets = array(op, "predictions", predictions), array(op, "targets", targets)
    if predictions.ndim == 1:
        predictions = probabilities(op, "predictions", predictions)
        same_shape(op, predictions=predictions, targets=targets)
        return predictions.astype(np.float64), binary(op, "targets", targets)
    predictions = distributions(op, "predictions", predictions)
    if targets.shape != predictions.shape[:1]:
        raise ValueError(f"{op}: probabilities (N, K) need targets (N,), got {predictions.shape} and {targets.shape}. Pass one "
                         "class index per example.")
    targets = indices(op, "targets", targets, predictions.shape[1])
    return predictions.max(axis=1).astype(np.float64), predictions.argmax(axis=1) == targets


def reliability_curve(predictions, targets, bins=10, strategy="uniform"):
    """Confidence against the share of right answers, bin by bin: a Reliability.

    Shapes: predictions (N,), probabilities of class 1, with targets (N,), 0 and 1; or predictions (N, K), rows of
    probabilities, with targets (N,), class indices.
    strategy: 'uniform' bins of equal width on [0, 1]; 'quantile' bins with about equally many examples.
    Raises ValueError for other shapes, predictions outside 0..1 or rows that do not add up to 1 (logits, for example),
    targets that are not classes, fewer than 1 bin, another strategy and no examples.

    >>> curve = reliability_curve([0.1, 0.2, 0.8, 0.9], [0, 0, 0, 1], bins=2)
    >>> curve.confidence.round(2).tolist(), curve.right.tolist(), round(curve.expected_error, 3)
    ([0.15, 0.85], [0.0, 0.5], 0.25)
    """
    choice("reliability_curve", "strategy", strategy, ("uniform", "quantile"))
    bins = whole("reliability_curve", "bins", bins)
    confidence, right = confident("reliability_curve", predictions, targets)
    not_empty("reliability_curve", len(right))
    edges = np.linspace(0, 1, bins + 1)
    return binned(confidence, right, edges if strategy == "uniform" else np.quantile(confidence, edges))


def binned(confidence, right, edges):
    """The Reliability of answers over bins with these edges."""
    place, bins = np.searchsorted(edges[1:-1], confidence), len(edges) - 1
    counts = np.bincount(place, minlength=bins)
    sums = np.bincount(place, confidence, bins), np.bincount(place, right, bins)
    return Reliability(edges, *(ratio(total, counts, np.nan) for total in sums), counts)


def calibration_error(predictions, targets, bins=10, strategy="uniform"):
    """The expected calibration error ECE, 0..1; arguments as in reliability_curve.

    >>> round(calibration_error([0.1, 0.2, 0.8, 0.9], [0, 0, 0, 1], bins=2), 3)
    0.25
    """
    return reliability_curve(predictions, targets, bins, strategy).expected_error


def brier_score(predictions, targets):
    """The mean squared distance of probabilities from the truth; 0 is best.

    Shapes: predictions (N,) with targets (N,), 0 and 1: mean of (p - y)^2, at most 1; predictions (N, K) with targets (N,),
    class indices: mean of sum_k (p_k - [k is the class])^2, at most 2, Brier's own form.
    Raises as reliability_curve.

    >>> round(brier_score([0.9, 0.2], [1, 0]), 4), round(brier_score([[0.1, 0.9], [0.8, 0.2]], [1, 0]), 4)
    (0.025, 0.05)
    """
    predictions, targets = array("brier_score", "predictions", predictions), array("brier_score", "targets", targets)
    confident("brier_score", predictions, targets)                        # checks
    not_empty("brier_score", len(targets))
    if predictions.ndim == 1:
        return float(np.mean((predictions - targets.astype(np.float64)) ** 2))
    truth = targets[:, None] == np.arange(predictions.shape[1])
    return float(np.mean(np.sum((predictions - truth.astype(np.float64)) ** 2, axis=1)))


class Calibration(Metric):
    """The reliability curve of batches, in bins of equal width; compute() -> the expected calibration error.

    update(predictions, targets): as in reliability_curve; compute() -> ECE, `curve` -> the Reliability.
    Raises as reliability_curve, in update; ValueError in compute without examples.

    >>> metric = Calibration(bins=2); metric.update([0.1, 0.2], [0, 0]); metric.update([0.8, 0.9], [0, 1])
    >>> round(metric.compute(), 3)
    0.25
    """

    def __init__(self, bins=10):
        self.bins = whole("Calibration", "bins", bins)
        self.reset()

    def reset(self):
        self.confidence, self.right, self.counts = np.zeros((3, self.bins))

    def update(self, predictions, targets):
        confidence, right = confident("Calibration", predictions, targets)
        place = np.searchsorted(np.linspace(0, 1, self.bins + 1)[1:-1], confidence)
        self.confidence += np.bincount(place, confidence, self.bins)
        self.right += np.bincount(place, right, self.bins)
        self.counts += np.bincount(place, minlength=self.bins)

    @property
    def curve(self):
        """The Reliability of all batches."""
        not_empty("Calibration", self.counts.sum())
        means = (ratio(total, self.counts, np.nan) for total in (self.confidence, self.right))
        return Reliability(np.linspace(0, 1, self.bins + 1), *means, self.counts.astype(np.int64))

    def compute(self):
        return self.curve.expected_error
