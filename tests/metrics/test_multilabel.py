"""Several labels per example, against scikit-learn."""

import re

import numpy as np
import pytest
import sklearn.metrics as sk

from tinyvision import Tensor
from tinyvision.metrics import Multilabel, average_precision, hamming_loss, label_ranking_average_precision, subset_accuracy
from tinyvision.metrics.multilabel import multilabel


def draw(seed, empty=False):
    random = np.random.default_rng(seed)
    N, K = random.integers(1, 30), random.integers(1, 6)
    scores = random.integers(0, 9, (N, K)) / 8                            # with ties, and some at the threshold
    targets = random.integers(0, 2, (N, K))
    if empty:
        targets[:, 0] = 0                                                 # a label that nothing has
        targets[0] = 0                                                    # an example without labels
    return scores, targets


CASES = [draw(seed, seed % 2 == 1) for seed in range(12)]


@pytest.mark.parametrize("scores, targets", CASES)
def test_measures_as_in_sklearn(scores, targets):
    answers = (scores >= 0.5).astype(int)
    assert subset_accuracy(scores, targets) == pytest.approx(sk.accuracy_score(targets, answers))
    assert hamming_loss(scores, targets) == pytest.approx(sk.hamming_loss(targets, answers))
    assert label_ranking_average_precision(scores, targets) == pytest.approx(
        sk.label_ranking_average_precision_score(targets, scores) if targets.shape[1] > 1 else 1.0)
    metric = multilabel(scores, targets)
    if targets.shape[1] > 1:                                              # scikit-learn reads one column as binary
        np.testing.assert_array_equal(metric.matrices, sk.multilabel_confusion_matrix(targets, answers))
        for average in (None, "micro", "macro", "weighted"):
            for zero in (0.0, 1.0, np.nan):
                options = dict(average=average, zero_division=zero)
                np.testing.assert_allclose(metric.precision(average, zero), sk.precision_score(targets, answers, **options))
                np.testing.assert_allclose(metric.recall(average, zero), sk.recall_score(targets, answers, **options))
                np.testing.assert_allclose(metric.fbeta(2.0, average, zero),
                                           sk.fbeta_score(targets, answers, beta=2.0, **options))


def test_answers_may_be_given():
    scores, targets = CASES[4]
    for answers in (scores >= 0.5, (scores >= 0.5).astype(int), Tensor(scores >= 0.5)):
        assert hamming_loss(answers, targets) == hamming_loss(scores, targets)
    assert hamming_loss(scores, targets.astype(bool), threshold=0.2) == np.mean((scores >= 0.2) != targets)


def test_batches_give_what_the_whole_gives():
    random = np.random.default_rng(5)
    scores, targets = random.random((23, 4)), random.integers(0, 2, (23, 4))
    metric = Multilabel(4)
    for start in range(0, 23, 5):
        metric.update(Tensor(scores[start:start + 5]), targets[start:start + 5])
    whole = multilabel(Tensor(scores), targets)
    assert metric.compute() == whole.compute()
    assert metric.compute()["subset_accuracy"] == pytest.approx(np.mean(((scores >= 0.5) == targets).all(axis=1)))
    metric.reset()
    with pytest.raises(ValueError, match="Multilabel: needs at least 1 example, got 0"):
        metric.compute()


def test_average_precision_per_label():
    random = np.random.default_rng(6)
    scores, targets = random.integers(0, 9, (40, 3)) / 8, random.integers(0, 2, (40, 3))
    for average in (None, "macro", "micro", "weighted"):
        np.testing.assert_allclose(average_precision(scores, targets, average),
                                   sk.average_precision_score(targets, scores, average=average))


@pytest.mark.parametrize("call, error, message", [
    (lambda: hamming_loss([[2.3, -1.0]], [[1, 0]]), ValueError,
     "predictions must be probabilities from 0 to 1, got 2.3. These look like logits: pass functional.sigmoid"),
    (lambda: hamming_loss([[np.nan, 0.1]], [[1, 0]]), ValueError, "predictions must be probabilities from 0 to 1, got nan"),
    (lambda: hamming_loss([[0.5, 0.5]], [[1, 2]]), ValueError, "targets must be 0 or 1, got 2"),
    (lambda: hamming_loss([[1, 3]], [[1, 0]]), ValueError, "predictions must be 0 or 1, got 3"),
    (lambda: hamming_loss([[0.5, 0.5]], [1]), ValueError, "must have one shape, got (1, 2) and (1,)"),
    (lambda: hamming_loss([0.5], [1]), ValueError, "predictions and targets must be (N, K), got (1,)"),
    (lambda: hamming_loss(np.zeros((0, 2)), np.zeros((0, 2))), ValueError, "needs at least 1 example, got 0"),
    (lambda: Multilabel(3).update([[0.5, 0.5]], [[1, 0]]), ValueError, "needs 3 labels per example, got 2"),
    (lambda: Multilabel(3, threshold=5), ValueError, "threshold must be a probability, 0..1, got 5"),
    (lambda: label_ranking_average_precision([[0.5, np.inf]], [[1, 0]]), ValueError, "scores must be finite, got inf"),
    (lambda: label_ranking_average_precision([0.5], [1]), ValueError, "scores and targets must be (N, K), got (1,)"),
    (lambda: label_ranking_average_precision([[0.5]], [[7]]), ValueError, "targets must be 0 or 1, got 7"),
    (lambda: label_ranking_average_precision(np.zeros((0, 2)), np.zeros((0, 2))), ValueError, "at least 1 example"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
