"""One class per example: accuracy, the confusion matrix, and what follows from it.

Entry C[t, p] of the confusion matrix counts the examples of class t that were taken for class p.  The diagonal is what is right,
a row's sum is how many there are of a class, a column's sum how often it was predicted.  Everything that looks at the
largest score only is a function of this matrix, and matrices of batches add up to the matrix of the whole set: so it is
also how these measures are gathered in a loop.

Where classes are much alike, ImageNet's 120 breeds of dogs, the largest score is a harsh judge: top-k accuracy asks whether
the right class is among the k largest.  Among equal scores the lower class index comes first, as in argmax; a network that
gives all classes the same score is thus right on class 0 only, not on everything.

Predictions are class indices of the targets' shape, or scores (N, K, ...): logits and probabilities give the same.

Source: Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition Challenge, section 4.1 (top-5 error); for precision,
recall and F see metrics/counts.py.
"""

import math

import numpy as np

from .check import NO_DATA, array, choice, class_pairs, finite, indices, not_empty, whole
from .counts import Ratios, averaged, check_average, check_beta, ratio
from .metric import Metric


def accuracy(predictions, targets, *, ignore_index=None):
    """The share of right answers, 0..1.

    Shapes: targets (N, ...), class indices; predictions the same, or scores (N, K, ...).
    ignore_index: a target that marks examples (or pixels) which do not count.
    Raises ValueError for shapes that do not fit, indices that are not classes, scores that are not finite and for no
    examples; TypeError where indices are not integers.

    >>> accuracy([0, 1, 1], [0, 1, 2]), accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 0])
    (0.6666666666666666, 1.0)
    """
    predicted, true, _ = class_pairs("accuracy", predictions, targets, None, ignore_index)
    not_empty("accuracy", len(true))
    return float(np.mean(predicted == true))


def error_rate(predictions, targets, *, ignore_index=None):
    """The share of wrong answers, 1 - accuracy (see there).

    >>> error_rate([0, 1, 1, 0], [0, 1, 2, 0])
    0.25
    """
    return 1 - accuracy(predictions, targets, ignore_index=ignore_index)


def top_k_accuracy(scores, targets, k=5):
    """The share of examples whose class is among the k largest scores, 0..1.

    Shapes: scores (N, K), targets (N,), class indices.  Among equal scores the lower index comes first.
    Raises ValueError for other shapes, a k that is not 1..K, labels outside 0..K-1, scores that are not finite and for no
    examples; TypeError where labels are not integers.

    >>> top_k_accuracy([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    hits = top_k_hits("top_k_accuracy", scores, targets, k)
    not_empty("top_k_accuracy", len(hits))
    return float(np.mean(hits))


def top_k_error(scores, targets, k=5):
    """The share of examples whose class is not among the k largest scores, 1 - top_k_accuracy (see there).

    >>> top_k_error([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], [1, 2], k=2)
    0.5
    """
    hits = top_k_hits("top_k_error", scores, targets, k)
    not_empty("top_k_error", len(hits))
    return float(np.mean(~hits))


def top_k_hits(op, scores, targets, k):
    """Whether each example's class is among its k largest scores, (N,) booleans."""
    scores = finite(op, "scores", scores)
    if scores.ndim != 2 or array(op, "targets", targets).shape != scores.shape[:1]:
        raise ValueError(f"{op}: needs scores (N, K) and targets (N,), got {scores.shape} and "
                         f"{array(op, 'targets', targets).shape}. Pass one row of K scores per example.")
    k, targets = whole(op, "k", k), indices(op, "targets", targets, scores.shape[1])
    if k > scores.shape[1]:
        raise ValueError(f"{op}: k must be at most the number of classes {scores.shape[1]}, got {k}. With k = K every answer "
                         "is right.")
    own = np.take_along_axis(scores, targets[:, None], axis=1)
    earlier = np.arange(scores.shape[1]) < targets[:, None]
    return ((scores > own) | ((scores == own) & earlier)).sum(axis=1) < k


def confusion_matrix(predictions, targets, classes=None, *, normalize=None, ignore_index=None):
    """How often each class was taken for which: C[t, p] examples of class t were taken for class p.

    Shapes: targets (N, ...), class indices; predictions the same, or scores (N, K, ...); the result is (K, K), int64.
    classes: K; needed where predictions are indices.
    normalize: 'true' divides each row by its sum, 'pred' each column, 'all' by the number of examples; then float64, and
    0 where nothing is to be divided.
    Raises as accuracy, and ValueError where K cannot be known.

    >>> confusion_matrix([0, 1, 1], [0, 1, 0], classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    choice("confusion_matrix", "normalize", normalize, (None, "true", "pred", "all"))
    matrix = gathered(predictions, targets, classes, ignore_index).compute()
    if normalize is None:
        return matrix
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    return ratio(matrix, np.broadcast_to(matrix.sum(axis=axis, keepdims=True), matrix.shape), 0)


def precision(predictions, targets, classes=None, average="macro", zero_division=0.0):
    """Of the examples taken for a class, the share that are of it, averaged over the classes.

    Shapes: targets (N, ...), class indices; predictions the same, or scores (N, K, ...).
    average, zero_division: see metrics/counts.py; a float, or an array (K,) with average=None.
    Raises as confusion_matrix, and ValueError for another average or zero_division.

    >>> precision([0, 1, 1, 1], [0, 1, 1, 0], classes=2, average=None).round(3).tolist()
    [1.0, 0.667]
    """
    return gathered(predictions, targets, classes).precision(average, zero_division)


def recall(predictions, targets, classes=None, average="macro", zero_division=0.0):
    """Of the examples of a class, the share that were found, averaged over the classes; arguments as in precision.

    >>> recall([0, 1, 1, 1], [0, 1, 1, 0], classes=2, average=None).tolist()
    [0.5, 1.0]
    """
    return gathered(predictions, targets, classes).recall(average, zero_division)


def fbeta(predictions, targets, classes=None, beta=1.0, average="macro", zero_division=0.0):
    """The weighted harmonic mean of precision and recall, averaged over the classes; other arguments as in precision.

    beta: how many times as much recall matters as precision, 0 or more.
    Raises as precision, and ValueError for a negative or infinite beta.

    >>> fbeta([0, 1, 1, 1], [0, 1, 1, 0], classes=2, average=None).round(3).tolist()
    [0.667, 0.8]
    """
    return gathered(predictions, targets, classes).fbeta(beta, average, zero_division)


def f1(predictions, targets, classes=None, average="macro", zero_division=0.0):
    """The harmonic mean of precision and recall, fbeta with beta = 1 (see there).

    >>> f1([0, 1, 1, 1], [0, 1, 1, 0], classes=2, average="binary")
    0.8
    """
    return fbeta(predictions, targets, classes, 1.0, average, zero_division)


def gathered(predictions, targets, classes=None, ignore_index=None):
    """The ConfusionMatrix of one batch."""
    shape = array("confusion_matrix", "predictions", predictions).shape
    if classes is None:
        if len(shape) != array("confusion_matrix", "targets", targets).ndim + 1 or len(shape) < 2:
            raise ValueError(f"confusion_matrix: the number of classes must be given for predictions of shape {shape}. Pass "
                             "classes=10, for instance, or scores (N, K, ...).")
        classes = shape[1]
    matrix = ConfusionMatrix(classes, ignore_index=ignore_index)
    matrix.update(predictions, targets)
    not_empty("confusion_matrix", matrix.matrix.sum())
    return matrix


class Accuracy(Metric):
    """The share of right answers over batches, 0..1; with k, of examples whose class is among the k largest scores.

    update(predictions, targets): as in accuracy where k = 1, else as in top_k_accuracy; compute() -> float.
    Raises as these, in update; ValueError in compute without examples.

    >>> metric = Accuracy(); metric.update([0, 1], [0, 1]); metric.update([2], [1]); round(metric.compute(), 3)
    0.667
    """

    def __init__(self, k=1, *, ignore_index=None):
        self.k, self.ignore_index = whole("Accuracy", "k", k), ignore_index
        if k > 1 and ignore_index is not None:
            raise ValueError(f"Accuracy: ignore_index goes with k = 1, got k = {k}. Leave the examples out of the batch.")
        self.reset()

    def reset(self):
        self.right = self.examples = 0

    def update(self, predictions, targets):
        if self.k == 1:
            predicted, true, _ = class_pairs("Accuracy", predictions, targets, None, self.ignore_index)
            hits = predicted == true
        else:
            hits = top_k_hits("Accuracy", predictions, targets, self.k)
        self.right += int(np.count_nonzero(hits))
        self.examples += len(hits)

    def compute(self):
        not_empty("Accuracy", self.examples)
        return self.right / self.examples


class ConfusionMatrix(Ratios, Metric):
    """The confusion matrix of batches, and the measures that follow from it.

    classes: their number K; ignore_index: a target that marks examples (or pixels) which do not count.
    update(predictions, targets): as in confusion_matrix; compute() -> the matrix (K, K), int64.
    From it: accuracy, precision(average), recall(average), fbeta(beta, average), iou(average), dice(average).
    Raises as confusion_matrix, in update, which then has changed nothing; ValueError for measures without examples.

    >>> matrix = ConfusionMatrix(2); matrix.update([0, 1, 1], [0, 1, 0]); matrix.update([1], [1])
    >>> matrix.compute().tolist(), matrix.accuracy, matrix.recall(average=None).tolist()
    ([[1, 1], [0, 2]], 0.75, [0.5, 1.0])
    """

    def __init__(self, classes, *, ignore_index=None):
        self.classes, self.ignore_index = whole("ConfusionMatrix", "classes", classes), ignore_index
        self.reset()

    def reset(self):
        self.matrix = np.zeros((self.classes, self.classes), np.int64)

    def update(self, predictions, targets):
        predicted, true, _ = class_pairs("ConfusionMatrix", predictions, targets, self.classes, self.ignore_index)
        pairs = np.bincount(true * self.classes + predicted, minlength=self.classes ** 2)
        self.matrix += pairs.reshape(self.classes, self.classes)

    def compute(self):
        return self.matrix.copy()

    def counts(self):
        """TP, P and T of every class, each (K,)."""
        if not self.matrix.any():
            raise ValueError(f"ConfusionMatrix: needs at least 1 example, got 0. {NO_DATA}")
        return self.matrix.diagonal(), self.matrix.sum(axis=0), self.matrix.sum(axis=1)

    @property
    def accuracy(self):
        """The share of right answers, 0..1."""
        found, _, actual = self.counts()
        return float(found.sum() / actual.sum())

    @property
    def error_rate(self):
        """The share of wrong answers, 0..1."""
        return 1 - self.accuracy

    def iou(self, average="macro", zero_division=math.nan):
        """Intersection over union, TP / (T + P - TP); classes that are nowhere are left out of the mean."""
        found, predicted, actual = self.counts()
        return averaged("iou", found, actual + predicted - found, actual, average, zero_division)

    def dice(self, average="macro", zero_division=math.nan):
        """Dice's overlap, 2 TP / (T + P), which is F with beta = 1; classes that are nowhere are left out of the mean."""
        found, predicted, actual = self.counts()
        return averaged("dice", 2 * found, actual + predicted, actual, average, zero_division)


class FBeta(ConfusionMatrix):
    """F of batches, averaged over the classes; besides, all that ConfusionMatrix knows.

    beta, average, zero_division: as in fbeta; other arguments and errors as in ConfusionMatrix.
    compute() -> a float, or an array (K,) with average=None.

    >>> metric = FBeta(2); metric.update([0, 1, 1], [0, 1, 1]); metric.update([1], [0]); round(metric.compute(), 3)
    0.733
    """

    def __init__(self, classes, beta=1.0, average="macro", zero_division=0.0, *, ignore_index=None):
        super().__init__(classes, ignore_index=ignore_index)
        check_beta("FBeta", beta)
        check_average("FBeta", classes, average, zero_division)
        self.options = beta, average, zero_division

    def compute(self):
        return self.fbeta(*self.options)
