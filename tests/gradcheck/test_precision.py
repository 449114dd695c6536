"""Lost precision is found wherever it hides, and nothing else that is bent, noisy or coarse by definition is taken for it."""

import numpy as np
import pytest

from tests.gradcheck.layers.homework.parts import elementwise, norm_pair, sigmoid, softmax
from tinyvision.gradcheck import check_pair, precision


def through(x, dtype=np.float32):
    return np.asarray(x).astype(dtype).astype(float)


def affine(squeeze):
    """x @ w, what backward uses squeezed: of (dout, x, w)."""
    def backward(dout, cache):
        dout, x, w = squeeze(dout, *cache)
        return dout @ w.T, x.T @ dout
    return lambda x, w: (x @ w, (x, w)), backward


def cached(pair, squeeze):
    """A pair whose cache goes through `squeeze`."""
    forward, backward = pair
    return forward, lambda dout, cache: backward(dout, squeeze(cache))


def softmax_pair():
    def forward(x):
        p = softmax(x)
        return p, p
    return forward, lambda dout, p: p * (dout - (dout * p).sum(axis=1, keepdims=True))


A = lambda rng: [rng.normal(size=(4, 5)), rng.normal(size=(5, 3))]                  # noqa: E731
X = lambda rng: [rng.normal(size=(6, 4))]                                           # noqa: E731
SQUEEZED = {
    "upstream": (affine(lambda d, x, w: (through(d), x, w)), A), "input": (affine(lambda d, x, w: (d, through(x), w)), A),
    "weight": (affine(lambda d, x, w: (d, x, through(w))), A), "everything": (affine(lambda *all: map(through, all)), A),
    "std": (cached(norm_pair((0,)), lambda c: (c[0], through(c[1]))), X),
    "a single std": (cached(norm_pair((0, 1)), lambda c: (c[0], through(c[1]))), X),
    "normalised input": (cached(norm_pair((0,)), lambda c: (through(c[0]), c[1])), X),
    "probabilities": (cached(softmax_pair(), through), X),
    "slope": (elementwise(np.sin, lambda x: through(np.cos(x))), X),
    "sigmoid": (elementwise(lambda x: x * sigmoid(x), lambda x: through(sigmoid(x)) * (1 + x * (1 - sigmoid(x)))), X),
    "a constant": (elementwise(lambda x: np.pi * np.sin(x), lambda x: through(np.pi) * np.cos(x)), X),
    "a mask": (elementwise(lambda x: x / 0.7, lambda x: through(np.full(x.shape, 1 / 0.7))), X),
    "a filter": ((lambda x: (x @ (np.arange(1, 13).reshape(4, 3) / 7), None),
                  lambda dout, cache: dout @ through(np.arange(1, 13).reshape(4, 3) / 7).T), X),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", [name for name in SQUEEZED if name != "a constant"])
def test_float32_on_the_way_is_found(name, seed):
    """Gradients are right to seven digits, and float64."""
    pair, draw = SQUEEZED[name]
    report = check_pair(*pair, *draw(np.random.default_rng(seed)), seed=seed)
    assert report.cause == "precision-lost" and "float32" in report.diagnosis, str(report)


@pytest.mark.parametrize("factor, causes", [(1e-8, {""}), (1e-6, {"constant-factor"}), (1e-4, {"constant-factor"})])
def test_a_small_factor_is_no_lost_precision(factor, causes):
    """An error of float32's size that does not come in steps: where the numbers cannot tell, nothing is said."""
    pair = elementwise(np.sin, lambda x: (1 + factor) * np.cos(x))
    assert {check_pair(*pair, *X(np.random.default_rng(seed)), seed=seed).cause for seed in range(3)} <= causes


def squares_of_hinges():
    return elementwise(lambda x: 3 * x + np.maximum(0, 1 - x) ** 2, lambda x: 3 - 2 * np.maximum(0, 1 - x))


def huber():
    return elementwise(lambda x: np.where(np.abs(x) <= 1, 0.5 * x * x, np.abs(x) - 0.5), lambda x: np.clip(x, -1, 1))


def largest_times_all():
    def forward(x):
        return x.max(axis=1, keepdims=True) * x, x

    def backward(dout, x):
        first = np.arange(x.shape[1]) == x.argmax(axis=1)[:, None]
        return dout * x.max(axis=1, keepdims=True) + (dout * x).sum(axis=1, keepdims=True) * first
    return forward, backward


BENT = {"hinges": squares_of_hinges(), "huber": huber(), "maximum": largest_times_all(), "norm": norm_pair((0,), 1e-12),
        "absolute value": elementwise(lambda x: np.abs(x - 1), lambda x: np.sign(x - 1))}


@pytest.mark.parametrize("near", [1e-4, 1e-6, 3e-7, 1e-7, 3e-8, 1e-8, 1e-9])
@pytest.mark.parametrize("name", BENT)
def test_a_kink_close_by_is_not_taken_for_steps(name, near):
    """All elements lie so near to a kink, to each other or to where the function bends, that the moves lead across it."""
    for seed in range(4):
        x = 1 + near * np.random.default_rng(seed).standard_normal((4, 6))
        report = check_pair(*BENT[name], x, seed=seed)
        assert report, str(report)


@pytest.mark.parametrize("levels", [2, 4, 100, 256, 1000, 1024, 65536])
def test_levels_on_purpose_are_not_lost_precision(levels):
    """A step function's gradient is zero, and its values have few digits by definition."""
    pair = elementwise(lambda x: np.round(levels * x) / levels, np.zeros_like)
    for seed in range(4):
        report = check_pair(*pair, np.random.default_rng(seed).random((3, 4)), seed=seed)
        assert report, str(report)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_outputs_that_are_squeezed_are_lost_precision(dtype):
    pair = elementwise(lambda x: through(np.exp(x), dtype), np.exp)
    report = check_pair(*pair, np.random.default_rng(0).standard_normal((4, 5)))
    assert report.cause == "precision-lost" and np.dtype(dtype).name in report.diagnosis


def test_full_mantissas():
    """pi has a short one in float16, 3.140625."""
    a = np.array([0.25, 3.0, 1000.0, 1 / 3, np.pi, 0.1])
    np.testing.assert_array_equal(precision.full(through(a), np.float32), [False, False, False, True, True, True])
    np.testing.assert_array_equal(precision.full(through(a, np.float16), np.float16), [False, False, False, True, False, True])
    assert not precision.full(np.array([0.0, np.inf, np.nan]), np.float32).any()


def test_the_third_difference_of_a_parabola_is_zero():
    """The weights leave nothing of 1, t and t^2, and 6 of t^3, at any four points."""
    left = [precision.THIRD @ precision.POINTS ** k for k in range(4)]
    np.testing.assert_allclose(left, [0, 0, 0, 6], atol=1e-12)
