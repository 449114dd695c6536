"""Calibration, against scikit-learn and against loops over bins."""

import re

import numpy as np
import pytest
import sklearn.calibration
import sklearn.metrics as sk

from tinyvision import Tensor
from tinyvision.metrics import Calibration, brier_score, calibration_error, reliability_curve


def draw(seed, N=60):
    random = np.random.default_rng(seed)
    p = random.integers(0, 21, N) / 20 if seed % 2 else random.random(N)  # odd: many lie on the edges of bins
    return p, (random.random(N) < p).astype(int)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bins", [1, 5, 10])
def test_curve_as_in_sklearn(seed, bins, strategy):
    p, y = draw(seed)
    right, confidence = sklearn.calibration.calibration_curve(y, p, n_bins=bins, strategy=strategy)
    curve = reliability_curve(p, y, bins, strategy)
    filled = curve.counts > 0
    np.testing.assert_allclose(curve.right[filled], right)
    np.testing.assert_allclose(curve.confidence[filled], confidence)
    assert curve.counts.sum() == len(p) and np.isnan(curve.right[~filled]).all()


@pytest.mark.parametrize("seed", range(4))
def test_errors_by_loop(seed):
    p, y = draw(seed)
    gaps, weights = [], []
    for b in range(10):
        edges = np.linspace(0, 1, 11)
        inside = (p > edges[b]) & (p <= edges[b + 1]) | ((b == 0) & (p == 0))
        if inside.any():
            gaps.append(abs(p[inside].mean() - y[inside].mean()))
            weights.append(inside.mean())
    assert calibration_error(p, y) == pytest.approx(np.dot(weights, gaps))
    assert reliability_curve(p, y).maximal_error == pytest.approx(max(gaps))


def test_several_classes_are_judged_by_the_largest():
    random = np.random.default_rng(2)
    p, y = softmax(2 * random.standard_normal((80, 5))).astype(np.float32), random.integers(0, 5, 80)
    top, right = p.max(axis=1), (p.argmax(axis=1) == y).astype(int)
    assert calibration_error(Tensor(p), Tensor(y)) == pytest.approx(calibration_error(top, right))


@pytest.mark.parametrize("seed", range(3))
def test_brier_as_in_sklearn(seed):
    p, y = draw(seed)
    assert brier_score(p, y) == pytest.approx(sk.brier_score_loss(y, p))
    random = np.random.default_rng(seed)
    p, y = softmax(random.standard_normal((40, 4))), random.integers(0, 4, 40)
    by_definition = np.mean([sum((p[i, k] - (y[i] == k)) ** 2 for k in range(4)) for i in range(40)])
    assert brier_score(p, y) == pytest.approx(by_definition)
    two = softmax(random.standard_normal((40, 2)))
    assert brier_score(two, y % 2) == pytest.approx(2 * brier_score(two[:, 1], y % 2))


def test_batches_give_what_the_whole_gives():
    p, y = draw(1)
    metric = Calibration()
    for start in range(0, len(p), 7):
        metric.update(p[start:start + 7], y[start:start + 7])
    whole = reliability_curve(p, y)
    assert metric.compute() == pytest.approx(whole.expected_error)
    for mine, other in zip(metric.curve, whole, strict=True):
        np.testing.assert_allclose(mine, other)
    metric.reset()
    with pytest.raises(ValueError, match="Calibration: needs at least 1 example, got 0"):
        metric.compute()


def test_perfectly_sure_and_right():
    assert calibration_error([1.0, 0.0], [1, 0]) == 0.0 and brier_score(np.eye(3), [0, 1, 2]) == 0.0
    assert calibration_error([1.0], [0]) == 1.0


@pytest.mark.parametrize("call, error, message", [
    (lambda: calibration_error([[2.0, -1.0]], [0]), ValueError, "got 2. These look like logits: pass functional.softmax"),
    (lambda: calibration_error([4.5], [0]), ValueError, "got 4.5. These look like logits: pass functional.sigmoid"),
    (lambda: calibration_error([np.nan], [0]), ValueError, "predictions must be probabilities from 0 to 1, got nan"),
    (lambda: calibration_error([[0.9, 0.9]], [0]), ValueError, "row of predictions must add up to 1, row 0 adds up to 1.8"),
    (lambda: calibration_error([[0.5, 0.5]], [2]), ValueError, "targets must be class indices 0..1, got 2"),
    (lambda: calibration_error([[0.5, 0.5]], [0, 1]), ValueError, "need targets (N,), got (1, 2) and (2,)"),
    (lambda: calibration_error([[[0.5]]], [0]), ValueError, "predictions must have shape (N, K), got (1, 1, 1)"),
    (lambda: calibration_error([0.5], [2]), ValueError, "targets must be 0 or 1, got 2"),
    (lambda: calibration_error([0.5, 0.5], [1]), ValueError, "must have one shape, got (2,) and (1,)"),
    (lambda: calibration_error([], []), ValueError, "needs at least 1 example, got 0"),
    (lambda: brier_score([], []), ValueError, "brier_score: needs at least 1 example, got 0"),
    (lambda: calibration_error([0.5], [1], bins=0), ValueError, "bins must be at least 1, got 0"),
    (lambda: calibration_error([0.5], [1], strategy="equal"), ValueError, "strategy must be one of 'uniform', 'quantile'"),
    (lambda: Calibration(2.5), TypeError, "bins must be an integer, got 2.5"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
