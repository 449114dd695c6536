"""Inputs too large to be moved element by element: one wrong element among 200,000 is found, and right functions pass."""

import numpy as np
import pytest

from tinyvision import Op
from tinyvision import functional as F
from tinyvision.gradcheck import check_op, check_pair, gradcheck

SEEDS = range(5)
N = 200_000


class WrongAt(Op):
    """x^2, its gradient wrong by a factor at one place."""

    def __init__(self, place, factor):
        self.place, self.factor = place, factor

    def forward(self, x):
        return x * x

    def backward(self, g, x):
        right = np.ones(x.shape)
        right[self.place] = self.factor
        return 2 * g * x * right


@pytest.mark.parametrize("seed", SEEDS)
def test_one_wrong_element_among_many_is_found(seed):
    rng = np.random.default_rng(seed)
    x = rng.choice([-1.0, 1.0], (200, 1000)) * rng.uniform(0.5, 2, (200, 1000))
    place = int(rng.integers(200)), int(rng.integers(1000))
    report = check_op(WrongAt(place, 1.01), x, seed=seed)
    row = report.inputs[0]
    assert not report and row.worst == place and row.wrong == 1 and row.ratio == pytest.approx(1.01, rel=1e-5)
    assert report.cause == "wrong-slice"
    if seed == 0:
        right = check_op(WrongAt(place, 1.0), x, seed=seed)
        assert right and right.inputs[0].how == "directions"


def test_one_element_of_many_small_ones():
    """A wrong element a hundred times smaller than its neighbours shows all the same."""
    x = np.random.default_rng(1).uniform(1, 2, 5000)
    x[1234] = 0.01
    report = check_op(WrongAt(1234, 2.0), x)
    assert not report and report.inputs[0].worst == (1234,)


def image(rng, *shape):
    return np.maximum(rng.standard_normal(shape), 0)      # half of it exactly zero


RIGHT = {
    "conv": (lambda x, w: F.conv2d(x, w, padding=1),
             lambda rng: (rng.standard_normal((2, 3, 24, 24)), rng.standard_normal((4, 3, 3, 3)))),
    "relu with zeros": (F.relu, lambda rng: (image(rng, 60, 50),)),
    "max pool with ties": (lambda x: F.max_pool2d(x, 2), lambda rng: (image(rng, 2, 2, 36, 36),)),
    "max pool of whole numbers": (lambda x: F.max_pool2d(x, 2), lambda rng: (rng.integers(0, 3, (2, 2, 36, 36)) * 1.0,)),
    "sum": (lambda x: x.sum(), lambda rng: (rng.standard_normal(N),)),
    "mean of squares": (lambda x: (x * x).mean(), lambda rng: (rng.standard_normal(N),)),
    "sum of positive ones": (lambda x: (x * x * x).sum(axis=0), lambda rng: (rng.uniform(0, 1, (N // 2, 2)),)),
    "softmax": (lambda x: F.softmax(x, 1), lambda rng: (5 * rng.standard_normal((150, 20)),)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RIGHT)
def test_right_functions_pass(name, seed):
    f, draw = RIGHT[name]
    report = gradcheck(f, *draw(np.random.default_rng(seed + 10)), seed=seed)
    assert report, str(report)
    assert report.inputs[0].how == "directions"


@pytest.mark.parametrize("wrong", [0, 1, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_wrong_input_of_several_is_reported(wrong, seed):
    rng = np.random.default_rng(seed)
    inputs = [rng.standard_normal((50, 30)), rng.standard_normal((30, 20)), rng.standard_normal(20)]

    def backward(dout, x, w, b):
        found = [dout @ w.T, x.T @ dout, dout.sum(axis=0)]
        found[wrong] = found[wrong] * 1.5
        return tuple(found)
    report = check_pair(lambda x, w, b: x @ w + b, backward, *inputs, seed=seed)
    assert [row.passed for row in report.inputs] == [n != wrong for n in range(3)]
    assert report.cause == "constant-factor" and report.inputs[wrong].ratio == pytest.approx(1.5, rel=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_input_of_little_weight_is_not_hidden(seed):
    """Beside one that changes the output a million times as much."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((50, 30)), rng.standard_normal((50, 30))
    report = check_pair(lambda x, y: 1e6 * x ** 2 + y ** 2,
                        lambda dout, x, y: (2e6 * dout * x, 2.001 * dout * y), x, y, seed=seed)
    assert [row.passed for row in report.inputs] == [True, False]


def test_ties_do_not_excuse_a_wrong_gradient():
    """Half of the elements on a kink, and yet a factor is seen."""
    class Relu(Op):
        def forward(self, x):
            return np.maximum(x, 0)

        def backward(self, g, x):
            return 1.01 * g * (x > 0)
    assert not check_op(Relu(), image(np.random.default_rng(0), 60, 50))
