"""The checker itself: it passes what is right, fails what is wrong, and says where."""

import numpy as np
import pytest

from tinyvision import Op, Tensor, exp, tanh
from tinyvision.gradcheck import assert_gradients, gradcheck
from tinyvision.gradcheck.numeric import numeric_gradient

X = np.array([[0.5, -1.0, 2.0], [0.1, 0.7, -0.3]])


def test_numeric_gradient_is_accurate():
    u = np.random.default_rng(0).standard_normal(X.shape)
    g = numeric_gradient(lambda x: np.exp(x), [X], 0, u)
    np.testing.assert_allclose(g, u * np.exp(X), rtol=1e-9)


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
    assert not report and report.inputs[0].worst == (1, 2)
    with pytest.raises(AssertionError, match=r"DISAGREE(.|\n)*WRONG input 0 \(2, 3\) worst at \[1, 2\]: analytic"):
        assert_gradients(WrongAtOnePlace(), X)


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
    assert not report and "second order, input 0" in str(report)


def test_gradient_that_is_zero_or_not_a_number_fails():
    class Cut(ArraysOnly):
        def backward(self, g, x):
            return None

    class Broken(ArraysOnly):
        def backward(self, g, x):
            return g * np.nan

    assert not gradcheck(Cut(), X) and not gradcheck(Broken(), X)


def test_inputs_are_left_alone_and_float32_is_checked_in_float64():
    x = X.astype(np.float32)
    seen = []
    assert gradcheck(lambda t: seen.append(t.dtype) or t * t, x)
    assert set(map(str, seen)) == {"float64"} and x.dtype == np.float32
    np.testing.assert_array_equal(x, X.astype(np.float32))


def test_nothing_to_differentiate():
    with pytest.raises(TypeError, match="at least one floating-point input"):
        gradcheck(lambda i: i, np.array([1, 2]))
