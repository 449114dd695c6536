"""The fronts on the engine's own functions: what is right passes, what is wrong fails, and the report says where and why."""

import numpy as np
import pytest

from tinyvision import Op, Tensor, exp, nn, tanh
from tinyvision import functional as F
from tinyvision.gradcheck import CAUSES, assert_gradients, check_module, check_op, gradcheck

X = np.array([[0.5, -1.0, 2.0], [0.1, 0.7, -0.3]])


def test_right_functions_pass():
    assert gradcheck(lambda x, y: (exp(x) * tanh(y)).sum(axis=0), X, X[:1], order=2)
    assert_gradients(lambda x, i: x[i], X, np.array([1, 1, 0]), order=2)


class WrongAtOnePlace(Op):
    def forward(self, x):
        return x * x

    def backward(self, g, x):
        mask = np.ones(x.shape)
        mask[1, 2] = 1.001
        return 2 * g * x * mask


def test_one_wrong_element_is_found_and_named():
    report = gradcheck(WrongAtOnePlace(), X)
    row = report.inputs[0]
    assert not report and row.worst == (1, 2) and row.wrong == 1 and row.ratio == pytest.approx(1.001, rel=1e-6)
    assert report.cause == "wrong-slice"
    with pytest.raises(AssertionError, match=r"DISAGREE(.|\n)*WRONG x \(2, 3\) worst at \[1, 2\]: analytic"):
        assert_gradients(WrongAtOnePlace(), X)


class Scaled(Op):
    """x^2, its gradient off by a factor."""

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return x * x

    def backward(self, g, x):
        return self.factor * 2 * g * x


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("factor", [1 - 1e-4, 2, -1])
@pytest.mark.parametrize("seed", range(3))
def test_a_factor_is_found_at_every_scale(scale, factor, seed):
    assert gradcheck(Scaled(1), scale * X, seed=seed)
    report = gradcheck(Scaled(factor), scale * X, seed=seed)
    assert report.cause == "constant-factor" and report.inputs[0].ratio == pytest.approx(factor, rel=1e-6)


class WrongSecondOrder(Op):
    """The first derivative is right, but made of constants: it cannot be differentiated again."""

    def forward(self, x):
        return x ** 3

    def backward(self, g, x):
        return g * Tensor(3 * np.asarray(x.data if isinstance(x, Tensor) else x) ** 2)


class ArraysOnly(WrongSecondOrder):
    def backward(self, g, x):
        return g * (3 * (x.data if isinstance(x, Tensor) else x) ** 2)


def test_second_order_is_checked_separately():
    assert gradcheck(ArraysOnly(), X)
    report = gradcheck(ArraysOnly(), X, order=2)
    assert not report and "second order, x" in str(report)
    assert report.diagnosis.startswith("the first derivative is right")


def test_gradient_that_is_zero_or_not_a_number_fails():
    class Cut(ArraysOnly):
        def backward(self, g, x):
            return None

    class Zero(ArraysOnly):
        def backward(self, g, x):
            return 0 * g

    class Broken(ArraysOnly):
        def backward(self, g, x):
            return g * np.nan
    found = [gradcheck(op(), X).cause for op in (Cut, Zero, Broken)]
    assert found == ["missing-gradient", "zero-gradient", "not-a-number"] and set(found) <= set(CAUSES)


def test_inputs_are_left_alone_and_float32_is_checked_in_float64():
    x = X.astype(np.float32)
    seen = []
    assert gradcheck(lambda t: seen.append(t.dtype) or t * t, x)
    assert set(map(str, seen)) == {"float64"} and x.dtype == np.float32
    np.testing.assert_array_equal(x, X.astype(np.float32))


def test_nothing_to_differentiate():
    with pytest.raises(TypeError, match="at least one floating-point input"):
        gradcheck(lambda i: i, np.array([1, 2]))


@pytest.mark.parametrize("options, error, words", [
    ({"order": 3}, ValueError, "order must be 1 or 2, got 3"),
    ({"wrt": 1}, ValueError, "wrt must name floating-point inputs, by number or name, got 1"),
    ({"wrt": "w"}, ValueError, "got 'w'"),
    ({"dtype": np.int32}, ValueError, "dtype must be float64 or float32, got int32"),
])
def test_options_are_checked(options, error, words):
    with pytest.raises(error, match=words):
        gradcheck(lambda x: x * x, X, **options)


def test_wrt_chooses():
    """The other input counts as a constant, wrong as its gradient may be."""
    class HalfWrong(Op):
        def forward(self, x, y):
            return x * y

        def backward(self, g, x, y):
            return g * y, g * y
    assert not check_op(HalfWrong(), X, X + 1)
    assert check_op(HalfWrong(), X, X + 1, wrt="x") and not check_op(HalfWrong(), X, X + 1, wrt=[1])


def test_a_class_in_place_of_an_instance():
    with pytest.raises(TypeError, match="must be an Op, got the class ArraysOnly. Write the parentheses"):
        check_op(ArraysOnly, X)
    with pytest.raises(TypeError, match="must be a Module, got the class Linear. Write the parentheses"):
        check_module(nn.Linear, X)


# --- kinks, ties, vacuity


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 2.0, -0.1])
def test_any_slope_between_the_one_sided_ones_passes_at_a_kink(slope):
    class Relu(Op):
        def forward(self, x):
            return np.maximum(x, 0)

        def backward(self, g, x):
            return g * np.where(x == 0, slope, x > 0)
    report = check_op(Relu(), np.array([0.0, 1.0, -2.0, 0.0, 1e-9]))
    assert report.inputs[0].kinks == 2 and bool(report) == (0 <= slope <= 1)
    assert report or report.cause == "wrong-subgradient"


@pytest.mark.parametrize("share, passes", [((1, 0, 0), True), ((0, 0, 1), True), ((0.5, 0.25, 0.25), True), ((1, 1, 1), False),
                                           ((0, 0, 0), False)])
def test_tied_maxima_share_one_gradient(share, passes):
    class Max(Op):
        def forward(self, x):
            return np.max(x)

        def backward(self, g, x):
            out = np.zeros_like(x)
            out[x == x.max()] = share
            return g * out
    report = check_op(Max(), np.array([2.0, 1.0, 2.0, 2.0, 0.0]))
    assert bool(report) == passes and (passes or report.cause == "ties-counted-twice")


def test_vacuity_is_said():
    dead = gradcheck(F.relu, -np.abs(X))
    assert dead and "does not depend on input here" in str(dead)
    assert "in eval mode" in str(check_module(nn.Sequential(nn.Dropout(0.5)), X, train=False))
    assert "overwriting instead of adding up cannot be seen" in str(gradcheck(lambda x: F.avg_pool2d(x, 2), np.ones((1, 1, 4, 4))))
    one = check_module(nn.Linear(3, 2), X[:1])
    assert one and "the batch holds one example" in str(one)
    assert gradcheck(lambda x: x * x, np.zeros((0, 3))).inputs[0].how == "not checked"


# --- what a module is given back


def test_a_module_is_given_back_as_it_was():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5, generator=3)).eval()
    before = {name: np.array(t.data) for name, t in module.state_dict().items()}
    weight = module[0].weight._data
    assert check_module(module, X)
    assert module[0].weight._data is weight and module[0].weight.dtype == np.float32 and module[0].weight.grad is None
    assert not any(m.training for m in module.modules())
    for name, t in module.state_dict().items():
        np.testing.assert_array_equal(t.data, before[name])
    assert module[2].generator.random() == np.random.default_rng(3).random()


def test_float32_on_request():
    assert gradcheck(F.gelu, X, dtype=np.float32)
    assert not gradcheck(Scaled(1 + 1e-3), X, dtype=np.float32)


def test_an_error_in_backward_is_a_finding():
    class Breaks(ArraysOnly):
        def backward(self, g, x):
            raise KeyError("cache")
    report = gradcheck(Breaks(), X)
    assert report.cause == "error" and "KeyError" in report.diagnosis and "test_check.py" in report.diagnosis
