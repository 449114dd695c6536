"""Mistakes that the given numbers hide: fresh weights, symmetric matrices; and what tells them from a cache that is kept."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import Op, Parameter, nn
from tinyvision.gradcheck import check_module, check_pair
from tinyvision.gradcheck.elsewhere import other, special

rng = np.random.default_rng(11)


def norm(x, gamma, beta):
    s = np.sqrt(x.var(axis=0) + 1e-5)
    h = (x - x.mean(axis=0)) / s
    return gamma * h + beta, (h, s, gamma)


def norm_backward(dout, cache, forgets_gamma):
    h, s, gamma = cache
    d = dout if forgets_gamma else dout * gamma
    return (d - d.mean(axis=0) - h * (d * h).mean(axis=0)) / s, (dout * h).sum(axis=0), dout.sum(axis=0)


class Norm:
    """A batch norm as it begins, with ones and zeros."""

    def __init__(self, forgets_gamma):
        self.params, self.grads, self.forgets = {"gamma": np.ones(4), "beta": np.zeros(4)}, {}, forgets_gamma

    def forward(self, x):
        y, self.cache = norm(x, self.params["gamma"], self.params["beta"])
        return y

    def backward(self, dout):
        dx, self.grads["gamma"], self.grads["beta"] = norm_backward(dout, self.cache, self.forgets)
        return dx


@pytest.mark.parametrize("seed", range(3))
def test_fresh_weights_hide_nothing(seed):
    """All weights are one, and the gradient of x forgets them: right here, wrong after the first step of training."""
    x = rng.normal(size=(6, 4))
    for forgets in (True, False):
        pair = check_pair(norm, lambda dout, cache: norm_backward(dout, cache, forgets), x, np.ones(4), np.zeros(4), seed=seed)
        layer = check_pair(Norm(forgets), x, seed=seed)
        for report in (pair, layer):
            assert bool(report) != forgets, str(report)
            assert report.cause == ("factor-per-axis" if forgets else ""), str(report)
            assert all(row.passed for row in report.inputs)
            assert ("right only because gamma is one everywhere" in report.diagnosis) == forgets


class Scale(Op):
    def __init__(self, forgets):
        self.forgets = forgets

    def forward(self, x, s):
        return x * s

    def backward(self, g, x, s):
        return g if self.forgets else g * s, (g * x).sum(axis=0)


class Scaled(nn.Module):
    def __init__(self, forgets):
        super().__init__()
        self.s, self.forgets = Parameter(np.ones(3), dtype=np.float64), forgets

    def forward(self, x):
        return Scale(self.forgets)(tv.tanh(x), self.s)


def test_fresh_modules_hide_nothing():
    x = rng.normal(size=(4, 3))
    report = check_module(Scaled(True), x)
    assert not report and report.cause in ("local-derivative-missing", "factor-per-axis"), str(report)
    assert check_module(Scaled(False), x), str(check_module(Scaled(False), x))


def test_a_symmetric_matrix_hides_no_transpose():
    w = rng.normal(size=(4, 4))
    report = check_pair(lambda x, w: x @ w, lambda dout, x, w: (dout @ w, x.T @ dout), rng.normal(size=(3, 4)), w + w.T)
    assert not report and report.cause == "transposed", str(report)


class Linear:
    """keeps: "input" of the first call, "weight" of the beginning, or nothing."""

    def __init__(self, keeps):
        self.W, self.keeps, self.x = rng.normal(size=(4, 3)), keeps, None
        self.WT = self.W.T.copy()

    def forward(self, x):
        if self.keeps != "input" or self.x is None:
            self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ (self.WT if self.keeps == "weight" else self.W.T)


@pytest.mark.parametrize("keeps", ["input", "weight", ""])
def test_what_is_kept_is_a_stale_cache(keeps):
    report = check_pair(Linear(keeps), rng.normal(size=(5, 4)))
    assert report.cause == ("stale-cache" if keeps else ""), str(report)


def test_a_mask_that_is_kept_is_one_too():
    """Nothing shows close by, for there the mask is the same: but no mistake explains what is seen farther away."""
    kept = {}

    def forward(x):
        kept.setdefault("mask", x > 0)
        return np.maximum(x, 0)

    report = check_pair(forward, lambda dout, x: dout * kept["mask"], rng.normal(size=(4, 5)))
    assert not report and report.cause == "stale-cache", str(report)


def test_numbers_stay_in_their_range():
    """What is clipped to [0, 1] in forward, and not in backward, is right for probabilities, and these stay some."""
    def forward(p):
        return np.log(np.clip(p, 1e-9, 1))

    assert check_pair(forward, lambda dout, p: dout / p, rng.uniform(0.5, 1, (4, 5)))
    for x in (rng.uniform(0.5, 1, 20), -rng.uniform(1, 2, (4, 5)), rng.normal(size=(3, 3))):
        y = other(x, np.random.default_rng(0))
        assert y.shape == x.shape and x.min() <= y.min() and y.max() <= x.max() and not np.array_equal(x, y)


@pytest.mark.parametrize("x, expected", [
    (np.ones(4), True), (np.zeros((2, 3)), True), (np.eye(3), True), (np.array(2.0), True), (np.array(2.5), False),
    (np.array([0.1, 0.2, 0.3]), False), (np.array([[1.5, 0.2], [0.2, 3.1]]), True), (np.arange(5.0), True),
])
def test_special_numbers(x, expected):
    assert special(x) == expected
