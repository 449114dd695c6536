"""How sure is a number?  Confidence intervals by drawing the test set again.

The test set is a sample: another one would have given another accuracy.  The bootstrap draws new test sets of the same size from
this one, with repetition, and looks how much the measure varies among them.

Let G be the distribution of the measure on the new sets and z the normal quantiles.  The percentile interval cuts off
(1 - level) / 2 of G on each side.  BCa ("bias-corrected and accelerated") moves the two cuts to

    Phi( z0 + (z0 + z) / (1 - a (z0 + z)) )

where z0 says how far the measure lies from the median of G, and a how its spread changes with its value, from the
measure on the sets with one example left out.  It errs less for skewed measures (accuracies near 1, areas under curves), and
costs as many evaluations more as there are examples.

Two models are compared on the same new sets: pictures that are hard for both then cancel, and the interval of the
difference is much narrower than the two intervals suggest.

Source: Efron 1987, Better Bootstrap Confidence Intervals, doi:10.1080/01621459.1987.10478410; Efron and Tibshirani 1993, An
Introduction to the Bootstrap, chapters 14 and 15.
"""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from ..random import as_generator
from .check import array, choice, whole


class Interval(NamedTuple):
    """A measure, and the ends of its confidence interval.

    >>> Interval(0.9, 0.85, 0.94).low
    0.85
    """

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """The measure of a first model less that of a second, its confidence interval, and the p-value of no difference.

    >>> Difference(0.03, 0.01, 0.05, 0.004).p_value < 0.05
    True
    """

    value: float
    low: float
    high: float
    p_value: float


def bootstrap_interval(metric, *arrays, level=0.95, resamples=2000, method="bca", generator=None):
    """A measure and its confidence interval: an Interval (value, low, high).

    metric: a function of the arrays that gives a number, as accuracy(predictions, targets).
    Shapes: any number of arrays (N, ...) whose rows belong together.
    level: the probability with which such intervals contain the true value, above 0 and below 1; resamples: how many sets are
    drawn; method: 'bca' or 'percentile' (see metrics/bootstrap.py).
    generator: a numpy.random.Generator or an int seed; None uses the engine's.
    Where all drawn sets give the same value, the interval is that point.
    Raises ValueError for arrays of different lengths or of fewer than 2 rows, other levels and methods, a measure that is not
    finite on a drawn set, and for 'bca' where the value lies outside all those of the drawn sets; TypeError where metric
    cannot be called.

    >>> from tinyvision.metrics import accuracy
    >>> interval = bootstrap_interval(accuracy, [0, 1, 1, 0] * 25, [0, 1, 0, 0] * 25, generator=0)
    >>> interval.value, interval.low < 0.75 < interval.high
    (0.75, True)
    """
    op = "bootstrap_interval"
    arrays, value, drawn = distribution(op, metric, arrays, level, resamples, generator)
    choice(op, "method", method, ("bca", "percentile"))
    return Interval(value, *interval(op, metric, arrays, value, drawn, level, method))


def bootstrap_difference(metric, first, second, targets, *, level=0.95, resamples=2000, method="bca", generator=None):
    """How much better a first model is than a second on the same examples: a Difference (value, low, high, p_value).

    metric: a function of (predictions, targets) that gives a number; the value is metric(first) - metric(second).
    Shapes: first, second, targets (N, ...): the predictions of the two models, and the truth.
    p_value: how often at most the difference would be this far from 0 if there were none, 0..1: twice the share of drawn sets on
    the other side of 0, counting this one; never below 2 / (resamples + 1).
    Other arguments and errors as in bootstrap_interval.

    >>> from tinyvision.metrics import accuracy
    >>> truth = np.arange(100) % 2; worse = np.where(np.arange(100) < 20, 1 - truth, truth)
    >>> result = bootstrap_difference(accuracy, truth, worse, truth, generator=0)
    >>> round(result.value, 3), result.low > 0, result.p_value < 0.01
    (0.2, True, True)
    """
    op = "bootstrap_difference"
    callable_metric(op, metric)

    def difference(first, second, targets):
        return metric(first, targets) - metric(second, targets)

    choice(op, "method", method, ("bca", "percentile"))
    arrays, value, drawn = distribution(op, difference, (first, second, targets), level, resamples, generator)
    tail = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0)) + 1
    p_value = min(1.0, float(2 * tail / (len(drawn) + 1)))
    return Difference(value, *interval(op, difference, arrays, value, drawn, level, method), p_value)


def callable_metric(op, metric):
    """Refuse what is not a function."""
    if not callable(metric) or isinstance(metric, type):
        raise TypeError(f"{op}: metric must be a function that gives a number, got {metric!r}. Pass accuracy, for instance.")


def distribution(op, metric, arrays, level, resamples, generator):
    """The arrays, the measure on them, and on sets drawn from them, (resamples,)."""
    callable_metric(op, metric)
    if not 0 < level < 1:
        raise ValueError(f"{op}: level must be a probability above 0 and below 1, got {level}. 0.95 is usual.")
    resamples, generator = whole(op, "resamples", resamples), as_generator(op, generator)
    arrays = [array(op, f"array {i}", x) for i, x in enumerate(arrays)]
    sizes = [x.shape[0] if x.ndim else 0 for x in arrays]
    if not sizes or len(set(sizes)) > 1 or sizes[0] < 2:
        raise ValueError(f"{op}: needs arrays of one length, at least 2, got lengths {sizes}. Their rows are the examples.")
    value, N = number(op, metric(*arrays)), sizes[0]
    rows = (generator.integers(0, N, N) for _ in range(resamples))
    return arrays, value, np.array([number(op, metric(*(x[i] for x in arrays))) for i in rows])


def number(op, value):
    """The measure as a float."""
    value = array(op, "the measure", value)
    if value.size != 1 or not np.isfinite(value).all():
        raise ValueError(f"{op}: metric must give one finite number on every drawn set, got {value.tolist()}. A measure that "
                         "needs all classes may miss one in a drawn set: average differently, or take more examples.")
    return float(value.reshape(()))


def interval(op, metric, arrays, value, drawn, level, method):
    """The two ends."""
    if drawn.min() == drawn.max() == value:
        return value, value
    tails = (1 - level) / 2, (1 + level) / 2
    if method == "bca":
        tails = bca_tails(op, metric, arrays, value, drawn, tails)
    return tuple(np.quantile(drawn, tails).tolist())


def bca_tails(op, metric, arrays, value, drawn, tails):
    """Where the corrected interval cuts the distribution."""
    normal = NormalDist()
    below = (np.count_nonzero(drawn < value) + np.count_nonzero(drawn <= value)) / (2 * len(drawn))
    if not 0 < below < 1:
        raise ValueError(f"{op}: method 'bca' needs drawn values on both sides of the measure {value:g}, all of them lie on one. "
                         "Take more resamples, or method='percentile'.")
    z0 = normal.inv_cdf(below)
    left_out = np.array([number(op, metric(*(np.delete(x, i, axis=0) for x in arrays))) for i in range(len(arrays[0]))])
    spread = left_out.mean() - left_out
    square = np.sum(spread ** 2)
    a = np.sum(spread ** 3) / (6 * square ** 1.5) if square else 0.0
    shifted = [z0 + normal.inv_cdf(tail) for tail in tails]
    return [normal.cdf(z0 + z / (1 - a * z)) if a * z < 1 else math.copysign(0.5, z) + 0.5 for z in shifted]
