"""Confidence intervals, against SciPy and against what they promise."""

import re

import numpy as np
import pytest
import scipy.stats

from tinyvision import Tensor
from tinyvision.metrics import accuracy, bootstrap_difference, bootstrap_interval, roc_auc


def draw(seed, N=60, right=0.85):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, N)
    return np.where(random.random(N) < right, truth, (truth + 1) % 4), truth


def mean(x):
    return x.mean()


def correlation(x, y):
    return np.corrcoef(x, y)[0, 1]


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("method, theirs", [("bca", "BCa"), ("percentile", "percentile")])
@pytest.mark.parametrize("metric, arrays", [
    (mean, (np.random.default_rng(1).exponential(size=40),)),
    (correlation, tuple(np.random.default_rng(2).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 30).T)),
    (accuracy, draw(3)),
])
def test_as_in_scipy(metric, arrays, method, theirs, level):
    ours = bootstrap_interval(metric, *arrays, level=level, method=method, resamples=500, generator=7)
    result = scipy.stats.bootstrap(arrays, metric, paired=True, vectorized=False, n_resamples=500, confidence_level=level,
                                   method=theirs, rng=np.random.default_rng(7))
    assert ours.value == pytest.approx(metric(*arrays))
    np.testing.assert_allclose(ours[1:], result.confidence_interval, rtol=1e-9)


def test_contains_the_truth_as_often_as_it_says():
    """150 test sets of 80 pictures, a network that is right with probability 0.8: about nine of ten intervals contain 0.8."""
    random, inside = np.random.default_rng(0), 0
    for _ in range(150):
        right = random.random(80) < 0.8
        interval = bootstrap_interval(mean, right, level=0.9, resamples=200, generator=random)
        inside += interval.low <= 0.8 <= interval.high
    assert 0.82 < inside / 150 < 0.97                                     # three standard deviations of a binomial with 0.9


def test_same_seed_same_interval():
    arrays = draw(4)
    first = bootstrap_interval(accuracy, *arrays, resamples=100, generator=5)
    assert first == bootstrap_interval(accuracy, *map(Tensor, arrays), resamples=100, generator=np.random.default_rng(5))
    assert first != bootstrap_interval(accuracy, *arrays, resamples=100, generator=6)


def test_all_sets_alike_give_a_point():
    assert bootstrap_interval(accuracy, [1, 2, 3], [1, 2, 3], generator=0) == (1.0, 1.0, 1.0)
    assert bootstrap_difference(accuracy, [1, 2], [1, 2], [1, 3], generator=0) == (0.0, 0.0, 0.0, 1.0)


def test_difference_of_two_models():
    first, truth = draw(5, 300, 0.9)
    second = np.where(np.arange(300) < 24, (truth + 2) % 4, first)        # worse on some pictures, the same on the others
    result = bootstrap_difference(accuracy, first, second, truth, resamples=400, generator=1)
    assert result.value == pytest.approx(accuracy(first, truth) - accuracy(second, truth))
    theirs = scipy.stats.bootstrap((first, second, truth), lambda a, b, t: np.mean(a == t) - np.mean(b == t), paired=True,
                                   vectorized=False, n_resamples=400, rng=np.random.default_rng(1))
    np.testing.assert_allclose(result[1:3], theirs.confidence_interval, atol=1e-9)
    assert result.low > 0 and result.p_value == pytest.approx(2 / 401)
    alone = bootstrap_interval(accuracy, first, truth, resamples=400, generator=1)
    assert result.high - result.low < alone.high - alone.low              # pairing removes what both share
    swapped = bootstrap_difference(accuracy, second, first, truth, resamples=400, generator=1, method="percentile")
    there = bootstrap_difference(accuracy, first, second, truth, resamples=400, generator=1, method="percentile")
    np.testing.assert_allclose(swapped[:3], [-there.value, -there.high, -there.low])


def test_p_values_of_no_difference_are_spread():
    """Two networks that are equally good: p below 0.1 in about a tenth of the cases, not in most."""
    random, values = np.random.default_rng(3), []
    for _ in range(60):
        truth = np.ones(100, int)
        a, b = (random.random((2, 100)) < 0.8).astype(int)
        values.append(bootstrap_difference(accuracy, a, b, truth, resamples=200, generator=random, method="percentile").p_value)
    assert np.mean(np.array(values) < 0.1) < 0.25 and max(values) > 0.7


@pytest.mark.parametrize("call, error, message", [
    (lambda: bootstrap_interval(accuracy, [1, 2], [1]), ValueError, "needs arrays of one length, at least 2, got lengths [2, 1]"),
    (lambda: bootstrap_interval(accuracy, [1], [1]), ValueError, "needs arrays of one length, at least 2, got lengths [1, 1]"),
    (lambda: bootstrap_interval(accuracy), ValueError, "needs arrays of one length, at least 2, got lengths []"),
    (lambda: bootstrap_interval(accuracy, [1, 2], [1, 2], level=95), ValueError, "level must be a probability above 0"),
    (lambda: bootstrap_interval(accuracy, [1, 2], [1, 2], method="basic"), ValueError, "method must be one of 'bca'"),
    (lambda: bootstrap_interval(accuracy, [1, 2], [1, 2], resamples=0), ValueError, "resamples must be at least 1, got 0"),
    (lambda: bootstrap_interval("accuracy", [1, 2], [1, 2]), TypeError, "metric must be a function that gives a number"),
    (lambda: bootstrap_interval(accuracy, [1, 2], [1, 2], generator=0.5), TypeError, "needs an integer seed"),
    (lambda: bootstrap_interval(lambda x: x, [1, 2]), ValueError,
     "metric must give one finite number on every drawn set, got [1, 2]"),
    (lambda: bootstrap_interval(lambda x: np.nan, [1, 2]), ValueError, "metric must give one finite number on every drawn set"),
    (lambda: bootstrap_interval(lambda x: len(set(x.tolist())), np.arange(50), resamples=20, generator=0), ValueError,
     "method 'bca' needs drawn values on both sides of the measure 50"),
    (lambda: bootstrap_interval(roc_auc, [0.1, 0.9], [0, 1], generator=0), ValueError, "roc_auc: needs a class with positive"),
    (lambda: bootstrap_difference(accuracy, [1, 2], [1], [1, 2]), ValueError, "got lengths [2, 1, 2]"),
    (lambda: bootstrap_difference("accuracy", [1, 2], [1, 2], [1, 2]), TypeError, "metric must be a function"),
    (lambda: bootstrap_difference(accuracy, [1, 2], [1, 2], [1, 2], method="t"), ValueError, "method must be one of"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
