"""Curves and areas, against scikit-learn and against the definition by pairs."""

import itertools
import re

import numpy as np
import pytest
import sklearn.metrics as sk

from tinyvision import Tensor
from tinyvision.metrics import (Collected, average_precision, maximal_fbeta, precision_recall_curve, roc_auc, roc_curve)


def draw(seed):
    """Scores with many ties (odd seeds) or none, and targets of both kinds."""
    random = np.random.default_rng(seed)
    N = random.integers(2, 40)
    scores = random.integers(-3, 4, N).astype(np.float32) if seed % 2 else random.standard_normal(N)
    targets = random.integers(0, 2, N)
    targets[:2] = 0, 1
    return scores, targets


CASES = [draw(seed) for seed in range(12)] + [(np.ones(6), np.array([1, 0, 0, 1, 0, 0])),                # all equal
                                              (np.array([3.0, 2, 1, 0]), np.array([0, 0, 1, 1])),        # all wrong
                                              (np.array([3, 2, 1, 0]), np.array([True, True, False, False]))]


@pytest.mark.parametrize("scores, targets", CASES)
def test_roc_as_in_sklearn(scores, targets):
    for mine, theirs in zip(roc_curve(scores, targets), sk.roc_curve(targets, scores, drop_intermediate=False), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-14)
    assert roc_auc(scores, targets) == pytest.approx(sk.roc_auc_score(targets, scores), abs=1e-14)
    pairs = [(a > b) + (a == b) / 2 for a, b in itertools.product(scores[targets == 1], scores[targets == 0])]
    assert roc_auc(scores, targets) == pytest.approx(np.mean(pairs), abs=1e-14)


@pytest.mark.parametrize("scores, targets", CASES)
def test_precision_recall_as_in_sklearn(scores, targets):
    for mine, theirs in zip(precision_recall_curve(scores, targets), sk.precision_recall_curve(targets, scores), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-14)
    assert average_precision(scores, targets) == pytest.approx(sk.average_precision_score(targets, scores), abs=1e-14)


@pytest.mark.parametrize("scores, targets", CASES)
def test_order_does_not_matter(scores, targets):
    order = np.random.default_rng(0).permutation(len(scores))
    for measure in (roc_auc, average_precision):
        assert measure(Tensor(scores[order]), Tensor(targets[order])) == pytest.approx(measure(scores, targets), abs=1e-14)


@pytest.mark.parametrize("average", ["macro", "weighted", "micro", None])
@pytest.mark.parametrize("seed", range(4))
def test_classes_against_the_rest(seed, average):
    random = np.random.default_rng(seed)
    scores, targets = random.integers(0, 9, (50, 4)), random.integers(0, 4, 50)
    one_hot = np.eye(4, dtype=int)[targets]
    for labels in (targets, one_hot):
        np.testing.assert_allclose(roc_auc(scores, labels, average), sk.roc_auc_score(one_hot, scores, average=average))
        np.testing.assert_allclose(average_precision(scores, labels, average),
                                   sk.average_precision_score(one_hot, scores, average=average))


def test_absent_classes_are_nan_and_left_out():
    random = np.random.default_rng(1)
    scores, targets = random.random((30, 4)), random.integers(0, 3, 30)   # class 3 is nowhere
    for measure in (roc_auc, average_precision):
        values = measure(scores, targets, None)
        assert np.isnan(values).tolist() == [False, False, False, True]
        assert measure(scores, targets) == pytest.approx(values[:3].mean())
        assert measure(scores, targets, "weighted") == pytest.approx(values[:3] @ np.bincount(targets) / 30)
        assert measure(scores[:, :1], np.zeros((30, 1)), None).tolist() == pytest.approx([np.nan], nan_ok=True)


def test_one_class_only():
    assert average_precision([0.5, 0.6], [1, 1]) == 1.0
    assert precision_recall_curve([0.5, 0.6], [1, 1])[1].tolist() == [1.0, 0.5, 0.0]
    for call in (lambda: roc_auc([0.5, 0.6], [1, 1]), lambda: average_precision([0.5, 0.6], [0, 0])):
        with pytest.raises(ValueError, match="needs a class with positive"):
            call()


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_maximal_fbeta_by_trying(beta):
    for scores, targets in CASES:
        tried = {t: sk.fbeta_score(targets, scores >= t, beta=beta) for t in np.unique(scores)}
        best, threshold = maximal_fbeta(scores, targets, beta)
        assert best == pytest.approx(max(tried.values())) and tried[threshold] == pytest.approx(best)
    picture = np.arange(6.0).reshape(2, 3)
    assert maximal_fbeta(picture, picture > 2) == (1.0, 3.0)


def test_collected_in_batches():
    scores, targets = CASES[8]
    metric = Collected(average_precision)
    for i in range(0, len(scores), 3):
        metric.update(scores[i:i + 3], targets[i:i + 3])
    assert metric.compute() == average_precision(scores, targets)


@pytest.mark.parametrize("call, error, message", [
    (lambda: roc_curve([0.5, 0.6], [1, 1]), ValueError, "roc_curve: targets must hold both 0 and 1, got only 1"),
    (lambda: roc_curve([0.5, 0.6], [0, 0]), ValueError, "roc_curve: targets must hold both 0 and 1, got only 0"),
    (lambda: roc_curve([], []), ValueError, "needs at least 1 example, got 0"),
    (lambda: roc_curve([0.5, np.nan], [0, 1]), ValueError, "scores must be finite, got nan"),
    (lambda: roc_curve([[0.5, 0.6]], [[0, 1]]), ValueError, "scores and targets must be (N,), got (1, 2)"),
    (lambda: roc_curve([0.5, 0.6], [0, 2]), ValueError, "targets must be 0 or 1, got 2. For several classes pass scores (N, K)"),
    (lambda: roc_curve([0.5, 0.6], [0]), ValueError, "must have one shape, got (2,) and (1,)"),
    (lambda: precision_recall_curve([0.5], [0]), ValueError, "targets must hold a 1, got only 0"),
    (lambda: maximal_fbeta([0.5], [0]), ValueError, "targets must hold a 1, got only 0"),
    (lambda: maximal_fbeta([0.5], [1], beta=np.nan), ValueError, "beta must be a finite number of at least 0, got nan"),
    (lambda: roc_auc([[0.5, 0.6]], [0, 1]), ValueError, "scores (N, K) need targets (N,) or (N, K), got (1, 2) and (2,)"),
    (lambda: roc_auc([[0.5, 0.6]], [2]), ValueError, "targets must be class indices 0..1, got 2"),
    (lambda: roc_auc([0.5, 0.6], [0, 1], "binary"), ValueError, "average must be one of None, 'micro', 'macro', 'weighted'"),
    (lambda: average_precision([[0.5, 0.6]], [[0, 0]]), ValueError, "needs a class with positive examples, got none"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
