"""One class per example, against scikit-learn and against loops."""

import re

import numpy as np
import pytest
import sklearn.metrics as sk

from tinyvision import Tensor
from tinyvision.metrics import (Accuracy, Collected, ConfusionMatrix, FBeta, Mean, Metric, accuracy, confusion_matrix, error_rate,
                                f1, fbeta, precision, recall, top_k_accuracy, top_k_error)

AVERAGES = [None, "micro", "macro", "weighted"]


def draw(seed):
    """Labels and predictions in which classes may be absent from either; and the number of classes."""
    random = np.random.default_rng(seed)
    K, N = random.integers(2, 7), random.integers(1, 40)
    present = random.integers(1, K + 1)
    return random.integers(0, present, N), random.integers(0, K, N), int(K)


CASES = {f"seed{seed}": draw(seed) for seed in range(12)} | {
    "one class": (np.zeros(5, int), np.zeros(5, int), 3),
    "all wrong": (np.zeros(4, int), np.ones(4, int), 2),
    "all right": (np.arange(4), np.arange(4), 4),
    "one example": (np.array([1]), np.array([0]), 2),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def test_accuracy_as_in_sklearn(case):
    true, predicted, _ = case
    assert accuracy(predicted, true) == pytest.approx(sk.accuracy_score(true, predicted), abs=1e-15)
    assert error_rate(predicted, true) == pytest.approx(sk.zero_one_loss(true, predicted), abs=1e-15)


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
def test_confusion_matrix_as_in_sklearn(case, normalize):
    true, predicted, K = case
    theirs = sk.confusion_matrix(true, predicted, labels=range(K), normalize=normalize)
    ours = confusion_matrix(predicted, true, K, normalize=normalize)
    np.testing.assert_allclose(ours, theirs, rtol=1e-14)
    assert ours.dtype == (np.int64 if normalize is None else np.float64)


@pytest.mark.parametrize("zero_division", [0.0, 1.0, np.nan])
@pytest.mark.parametrize("average", AVERAGES)
def test_ratios_as_in_sklearn(case, average, zero_division):
    true, predicted, K = case
    options = dict(labels=range(K), average=average, zero_division=zero_division)
    ours = dict(classes=K, average=average, zero_division=zero_division)
    pairs = [(precision(predicted, true, **ours), sk.precision_score(true, predicted, **options)),
             (recall(predicted, true, **ours), sk.recall_score(true, predicted, **options)),
             (f1(predicted, true, **ours), sk.f1_score(true, predicted, **options)),
             (fbeta(predicted, true, beta=2.0, **ours), sk.fbeta_score(true, predicted, beta=2.0, **options)),
             (fbeta(predicted, true, beta=0.5, **ours), sk.fbeta_score(true, predicted, beta=0.5, **options))]
    for mine, theirs in pairs:
        np.testing.assert_allclose(mine, theirs, rtol=1e-13, equal_nan=True)


def test_binary_average():
    true, predicted = np.array([0, 1, 1, 0, 1]), np.array([1, 1, 0, 0, 1])
    assert precision(predicted, true, 2, "binary") == pytest.approx(sk.precision_score(true, predicted))
    assert recall(predicted, true, 2, "binary") == pytest.approx(sk.recall_score(true, predicted))
    with pytest.raises(ValueError, match="average='binary' needs 2 classes, got 3"):
        precision(predicted, true, 3, "binary")


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_as_in_sklearn(k):
    random = np.random.default_rng(k)
    scores, true = random.standard_normal((50, 6)), random.integers(0, 6, 50)
    theirs = sk.top_k_accuracy_score(true, scores, k=k, labels=range(6))
    assert top_k_accuracy(scores, true, k) == pytest.approx(theirs)
    assert top_k_error(scores, true, k) == pytest.approx(1 - theirs)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_top_k_with_ties_takes_lower_indices_first(k):
    random = np.random.default_rng(k)
    scores, true = random.integers(0, 3, (60, 4)), random.integers(0, 4, 60)
    hits = [label in sorted(range(4), key=lambda c: (-row[c], c))[:k] for row, label in zip(scores, true)]
    assert top_k_accuracy(scores, true, k) == pytest.approx(np.mean(hits))
    if k == 1:
        assert top_k_accuracy(scores, true, 1) == accuracy(scores, true)
    assert top_k_accuracy(np.ones((4, 4)), [0, 1, 2, 3], k) == k / 4      # a constant network is right by chance, not always


def test_scores_of_pixels_and_tensors():
    random = np.random.default_rng(0)
    scores, true = random.standard_normal((2, 3, 4, 5)).astype(np.float32), random.integers(0, 3, (2, 4, 5))
    expected = np.mean(scores.argmax(axis=1) == true)
    assert accuracy(scores, true) == accuracy(Tensor(scores), Tensor(true)) == pytest.approx(expected)
    assert accuracy(scores.transpose(3, 1, 2, 0)[::-1], true.transpose(2, 1, 0)[::-1]) == pytest.approx(expected)    # strides
    np.testing.assert_array_equal(confusion_matrix(scores, true),
                                  sk.confusion_matrix(true.ravel(), scores.argmax(axis=1).ravel(), labels=range(3)))


def test_ignored_examples():
    true, predicted = np.array([0, 255, 1, 2, 255]), np.array([0, 1, 2, 2, 0])
    assert accuracy(predicted, true, ignore_index=255) == pytest.approx(2 / 3)
    matrix = confusion_matrix(predicted, true, 3, ignore_index=255)
    np.testing.assert_array_equal(matrix, sk.confusion_matrix([0, 1, 2], [0, 2, 2]))
    assert confusion_matrix(predicted[[0, 2, 3]], [0, -1, 2], 3, ignore_index=-1).sum() == 2


def test_batches_give_what_the_whole_gives():
    random = np.random.default_rng(3)
    scores, true = random.standard_normal((37, 5)), random.integers(0, 5, 37)
    matrix, top1, top3, loss, f = ConfusionMatrix(5), Accuracy(), Accuracy(k=3), Mean(), FBeta(5, 2.0, average=None)
    for start in range(0, 37, 8):                                         # the last batch is short
        batch = scores[start:start + 8], true[start:start + 8]
        for metric in (matrix, top1, top3, f):
            metric.update(*batch)
        loss.update(batch[0].mean(), weight=len(batch[1]))
    np.testing.assert_array_equal(matrix.compute(), confusion_matrix(scores, true))
    assert matrix.accuracy == top1.compute() == accuracy(scores, true) and matrix.error_rate == 1 - matrix.accuracy
    assert top3.compute() == top_k_accuracy(scores, true, 3)
    assert matrix.fbeta(2.0, None).tolist() == f.compute().tolist() == fbeta(scores, true, beta=2.0, average=None).tolist()
    assert loss.compute() == pytest.approx(scores.mean())
    for metric in (matrix, top1, top3, loss, f):
        metric.reset()
        with pytest.raises(ValueError, match="needs at least 1"):
            metric.accuracy if metric is matrix else metric.compute()


def test_mean_of_weighted_arrays():
    mean = Mean()
    mean.update(Tensor([[1.0, 2.0], [3.0, 4.0]]), weight=3)
    mean.update([7, 9])
    mean.update(100.0, weight=0)
    assert mean.compute() == pytest.approx((3 * 10 + 16) / (3 * 4 + 2))


def test_compute_gives_a_copy():
    metric = ConfusionMatrix(2)
    metric.update([0, 1], [0, 1])
    metric.compute()[:] = 7
    assert metric.compute().tolist() == [[1, 0], [0, 1]]


def test_empty_batches_are_harmless():
    metric = ConfusionMatrix(2, ignore_index=9)
    metric.update([], [])
    metric.update([1, 1], [9, 9])
    metric.update([1], [1])
    assert metric.accuracy == 1.0


def test_a_refused_batch_changes_nothing():
    metric = ConfusionMatrix(3)
    metric.update([0], [0])
    with pytest.raises(ValueError):
        metric.update([0, 1], [0, 3])
    assert metric.compute().sum() == 1


def test_collected_keeps_copies_and_joins():
    metric = Collected(lambda predictions, targets: (predictions - targets).tolist())
    batch = np.array([1.0, 2.0])
    metric.update(Tensor(batch), [1, 1])
    metric.update(batch, [0, 0])
    batch[:] = 0                                                          # as when a network reuses its output's memory
    assert metric.compute() == [0.0, 1.0, 1.0, 2.0]
    metric.reset()
    with pytest.raises(ValueError, match="needs at least 1 batch, got 0"):
        metric.compute()


def test_metric_is_abstract():
    class Half(Metric):
        def reset(self):
            pass

    with pytest.raises(TypeError, match="update"):
        Half()


@pytest.mark.parametrize("call, error, message", [
    (lambda: accuracy([], []), ValueError, "accuracy: needs at least 1 example, got 0"),
    (lambda: accuracy([1], [255], ignore_index=255), ValueError, "needs at least 1 example, got 0"),
    (lambda: accuracy([0, 1], [0, 1, 1]), ValueError, "predictions and targets must have one shape, got (2,) and (3,)"),
    (lambda: accuracy([0.2, 0.9], [0, 1]), TypeError, "predictions must be class indices, integers, got dtype float64"),
    (lambda: accuracy([0, 1], [0.0, 1.0]), TypeError, "targets must be class indices, integers, got dtype float64"),
    (lambda: accuracy([0, 1], [0, -1]), ValueError, "targets must be class indices 0 or more, got -1"),
    (lambda: accuracy([[0.1, 0.9]], [2]), ValueError, "targets must be class indices 0..1, got 2"),
    (lambda: accuracy(np.zeros((2, 3, 4)), np.zeros((2, 5), int)), ValueError,
     "scores must be (N, K, ...) for targets (N, ...), got (2, 3, 4) and (2, 5)"),
    (lambda: accuracy([[0.1, np.nan]], [0]), ValueError, "predictions must be finite, got nan"),
    (lambda: accuracy([[0.1, np.inf]], [0]), ValueError, "predictions must be finite, got inf"),
    (lambda: accuracy(["cat"], ["cat"]), TypeError, "targets must be numbers or booleans, got dtype <U3"),
    (lambda: accuracy([[0], [1, 2]], [0, 1]), ValueError, "predictions must be numbers in rows of one length"),
    (lambda: confusion_matrix([0], [0]), ValueError, "the number of classes must be given for predictions of shape (1,)"),
    (lambda: confusion_matrix([0], [0], 2, normalize="rows"), ValueError, "normalize must be one of None, 'true', 'pred', 'all'"),
    (lambda: confusion_matrix([[0.5, 0.5]], [0], 3), ValueError, "one entry for each of 3 classes, got 2"),
    (lambda: confusion_matrix([3], [0], 3), ValueError, "predictions must be class indices 0..2, got 3"),
    (lambda: precision([0], [0], 2, "mean"), ValueError, "precision: average must be one of None, 'micro'"),
    (lambda: recall([0], [0], 2, zero_division=0.5), ValueError, "recall: zero_division must be 0, 1 or nan, got 0.5"),
    (lambda: fbeta([0], [0], 2, beta=-1), ValueError, "fbeta: beta must be a finite number of at least 0, got -1"),
    (lambda: top_k_accuracy([[0.5, 0.5]], [0]), ValueError, "k must be at most the number of classes 2, got 5"),
    (lambda: top_k_accuracy([[0.5, 0.5]], [0], k=0), ValueError, "k must be at least 1, got 0"),
    (lambda: top_k_accuracy([[0.5, 0.5]], [0], k=1.0), TypeError, "k must be an integer, got 1.0"),
    (lambda: top_k_accuracy([0.5, 0.5], [0, 1], k=1), ValueError, "needs scores (N, K) and targets (N,), got (2,) and (2,)"),
    (lambda: top_k_error(np.zeros((0, 3)), [], k=1), ValueError, "top_k_error: needs at least 1 example, got 0"),
    (lambda: Accuracy(5, ignore_index=0), ValueError, "ignore_index goes with k = 1, got k = 5"),
    (lambda: FBeta(3, average="binary"), ValueError, "FBeta: average='binary' needs 2 classes, got 3"),
    (lambda: FBeta(3, beta=np.inf), ValueError, "FBeta: beta must be a finite number of at least 0, got inf"),
    (lambda: FBeta(3, zero_division=2), ValueError, "FBeta: zero_division must be 0, 1 or nan, got 2"),
    (lambda: ConfusionMatrix(0), ValueError, "classes must be at least 1, got 0"),
    (lambda: ConfusionMatrix(True), TypeError, "classes must be an integer, got True"),
    (lambda: Mean().update([1.0], weight=-1), ValueError, "Mean: weight must be at least 0, got -1"),
    (lambda: Collected("roc_auc"), TypeError, "function must be a function of (predictions, targets), got 'roc_auc'"),
    (lambda: Collected(accuracy).update([1, 2], [1]), ValueError, "must have one length, got shapes (2,) and (1,)"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
