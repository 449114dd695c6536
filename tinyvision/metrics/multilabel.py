"""Several labels per example: a picture shows a beach, a person and a dog, and K independent sigmoids say so.

Each label is a question of its own with the answers yes and no, so the targets are rows of K zeros and ones.  A prediction
is a probability per label, and says yes from `threshold` on.  How strict is one to be?

    subset accuracy     all K answers of an example right: the strictest
    Hamming loss        the share of wrong answers among all N K: 0.02 is easily had by always answering no
    precision, recall, F   of the yes answers, by label or over all (see metrics/counts.py)
    label ranking average precision   no threshold at all: for each true label, which share of the labels ranked at least as
                        high are true as well?  1 where all true labels stand above all others

For an average precision per label, and its mean over the labels, see average_precision in metrics/curves.py.

Source: Tsoumakas, Katakis and Vlahavas 2010, Mining Multi-label Data, section 7; Schapire and Singer 2000, BoosTexter,
doi:10.1023/A:1007649029923 (ranking).
"""

import numpy as np

from .check import array, binary, finite, not_empty, probabilities, same_shape, whole
from .counts import Ratios
from .metric import Metric


class Multilabel(Ratios, Metric):
    """The measures of batches of examples with several labels each.

    labels: their number K; threshold: the answer is yes where a probability is at least this, 0..1.
    update(predictions, targets): predictions (N, K), probabilities, or answers as booleans or integers 0 and 1; targets (N, K),
    0 and 1.  compute() -> a dict of subset_accuracy, hamming_loss, micro_f1 and macro_f1.
    From the counts: precision(average), recall(average), fbeta(beta, average), subset_accuracy, hamming_loss, matrices.
    Raises ValueError for other shapes, targets that are not 0 or 1, predictions outside 0..1 (logits, for example), and for
    measures without examples.

    >>> metric = Multilabel(3); metric.update([[0.9, 0.2, 0.6], [0.1, 0.8, 0.7]], [[1, 0, 0], [0, 1, 1]])
    >>> metric.subset_accuracy, round(metric.hamming_loss, 3), metric.precision("micro")
    (0.5, 0.167, 0.75)
    """

    def __init__(self, labels, threshold=0.5):
        self.labels, self.threshold = whole("Multilabel", "labels", labels), threshold
        if not 0 <= threshold <= 1:
            raise ValueError(f"Multilabel: threshold must be a probability, 0..1, got {threshold}.")
        self.reset()

    def reset(self):
        self.found, self.predicted, self.actual = np.zeros((3, self.labels), np.int64)
        self.examples = self.exact = 0

    def update(self, predictions, targets):
        answers, true = yes("Multilabel", predictions, targets, self.threshold)
        if true.shape[1] != self.labels:
            raise ValueError(f"Multilabel: needs {self.labels} labels per example, got {true.shape[1]}. Check the network's "
                             "last layer, or labels.")
        self.found += (answers & true).sum(axis=0)
        self.predicted += answers.sum(axis=0)
        self.actual += true.sum(axis=0)
        self.examples += len(true)
        self.exact += int((answers == true).all(axis=1).sum())

    def compute(self):
        return {"subset_accuracy": self.subset_accuracy, "hamming_loss": self.hamming_loss,
                "micro_f1": self.fbeta(average="micro"), "macro_f1": self.fbeta(average="macro")}

    def counts(self):
        """TP, P and T of every label, each (K,)."""
        not_empty("Multilabel", self.examples)
        return self.found, self.predicted, self.actual

    @property
    def matrices(self):
        """The confusion matrix of every label, (K, 2, 2), int64: row the truth, column the answer, no before yes."""
        found, predicted, actual = self.counts()
        neither = self.examples - predicted - actual + found
        return np.stack([neither, predicted - found, actual - found, found], axis=1).reshape(-1, 2, 2)

    @property
    def subset_accuracy(self):
        """The share of examples with all labels right, 0..1."""
        not_empty("Multilabel", self.examples)
        return self.exact / self.examples

    @property
    def hamming_loss(self):
        """The share of wrong answers among all N K, 0..1."""
        found, predicted, actual = self.counts()
        return float((predicted + actual - 2 * found).sum() / (self.examples * self.labels))


def yes(op, predictions, targets, threshold):
    """Answers and truth, both (N, K) booleans."""
    predictions, targets = array(op, "predictions", predictions), array(op, "targets", targets)
    same_shape(op, predictions=predictions, targets=targets)
    if targets.ndim != 2:
        raise ValueError(f"{op}: predictions and targets must be (N, K), got {targets.shape}. Pass one row of K labels per "
                         "example.")
    targets = binary(op, "targets", targets)
    if predictions.dtype.kind == "f":
        return probabilities(op, "predictions", predictions) >= threshold, targets
    return binary(op, "predictions", predictions), targets


def multilabel(predictions, targets, threshold=0.5):
    """The Multilabel of one batch, of which every measure can be asked.

    Shapes and errors as in Multilabel.

    >>> multilabel([[1, 0], [1, 1]], [[1, 0], [0, 1]]).fbeta(average="micro")
    0.8
    """
    shape = array("multilabel", "targets", targets).shape
    metric = Multilabel(shape[1] if len(shape) == 2 else 1, threshold)
    metric.update(predictions, targets)
    not_empty("multilabel", metric.examples)
    return metric


def subset_accuracy(predictions, targets, threshold=0.5):
    """The share of examples with all labels right, 0..1; arguments as in Multilabel.update.

    >>> subset_accuracy([[0.9, 0.2], [0.6, 0.4]], [[1, 0], [1, 1]])
    0.5
    """
    return multilabel(predictions, targets, threshold).subset_accuracy


def hamming_loss(predictions, targets, threshold=0.5):
    """The share of wrong answers among all labels of all examples, 0..1; arguments as in Multilabel.update.

    >>> hamming_loss([[0.9, 0.2], [0.6, 0.4]], [[1, 0], [1, 1]])
    0.25
    """
    return multilabel(predictions, targets, threshold).hamming_loss


def label_ranking_average_precision(scores, targets):
    """How high the true labels stand among all: 1 where all of them are above the others, more than 0 always.

    For each true label, the share of true ones among the labels with at least its score; the mean over the true labels of an
    example, then over the examples.  An example without true labels, or with all, counts 1.
    Shapes: scores (N, K), any finite numbers; targets (N, K), 0 and 1.
    Raises ValueError for other shapes, scores that are not finite, targets that are not 0 or 1 and for no examples.

    >>> label_ranking_average_precision([[0.75, 0.5, 1.0]], [[1, 0, 0]])
    0.5
    """
    op = "label_ranking_average_precision"
    scores, targets = finite(op, "scores", scores), array(op, "targets", targets)
    same_shape(op, scores=scores, targets=targets)
    if targets.ndim != 2:
        raise ValueError(f"{op}: scores and targets must be (N, K), got {targets.shape}. Pass one row per example.")
    targets = binary(op, "targets", targets)
    not_empty(op, len(targets))
    precisions = np.ones(len(targets))
    for i, (score, true) in enumerate(zip(scores, targets)):
        if 0 < true.sum() < len(true):
            above = score >= score[true][:, None]                         # (true labels, K)
            precisions[i] = (above[:, true].sum(axis=1) / above.sum(axis=1)).mean()
    return float(precisions.mean())
