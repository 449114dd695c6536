"""Activations where the case table does not look: exactly at the kinks, far out, at infinity, and their messages."""

import math

import numpy as np
import pytest

import tinyvision.functional as F
from tests.cases.activation import NAMES
from tinyvision import Tensor, grad

# every kink of every function, the numbers beside it, and the tails
POINTS = [0.0, -0.0, 0.3, -0.3, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, -6.0, 20.0, -20.0]
FUNCTIONS = [(name, {}) for name in NAMES] + [
    ("leaky_relu", {"negative_slope": 2.0}), ("leaky_relu", {"negative_slope": -0.5}),
    ("hardtanh", {"min_val": -0.5, "max_val": 3.0}), ("hardtanh", {"min_val": 0.0, "max_val": 0.0}),
    ("threshold", {"threshold": 0.5, "value": 7.0}), ("threshold", {"threshold": -3.0, "value": -3.0}),
    ("softshrink", {"lambd": 0.0}), ("hardshrink", {"lambd": 0.3}), ("hardshrink", {"lambd": -0.5}),
    ("elu", {"alpha": 0.5}), ("elu", {"alpha": -0.5}), ("celu", {"alpha": 0.5}), ("celu", {"alpha": 3.0}),
    ("gelu", {"approximate": "tanh"}), ("softplus", {"beta": 2.0, "threshold": 1.0}),
    ("softplus", {"beta": -2.0, "threshold": 1.0}),
]
IDS = [name + "".join(f"-{k}={v}" for k, v in kwargs.items()) for name, kwargs in FUNCTIONS]


@pytest.mark.parametrize("name, kwargs", FUNCTIONS, ids=IDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values_and_slopes_at_the_kinks(name, kwargs, dtype):
    torch = pytest.importorskip("torch")
    points = np.array(POINTS + [1e4, -1e4], dtype)
    u = np.random.default_rng(5).standard_normal(points.shape).astype(dtype)
    x, t = Tensor(points, requires_grad=True), torch.tensor(points, requires_grad=True)
    y, ty = getattr(F, name)(x, **kwargs), getattr(torch.nn.functional, name)(t, **kwargs)
    (g,), (tg,) = grad(y, x, u), torch.autograd.grad(ty, t, torch.tensor(u))
    # PyTorch takes a 6 of float32 for hardsigmoid's gradient in float64
    rtol = 1e-9 if dtype == "float64" and name != "hardsigmoid" else 1e-6
    np.testing.assert_allclose(y.data, ty.detach().numpy(), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(g.data, tg.numpy(), rtol=rtol, atol=rtol)
    assert y.dtype == g.dtype == dtype


# slopes by hand, for those who have no PyTorch
@pytest.mark.parametrize("name, x, slope", [
    ("relu", 0.0, 0.0), ("relu6", 0.0, 0.0), ("relu6", 6.0, 0.0), ("leaky_relu", 0.0, 0.01), ("hardtanh", 1.0, 0.0),
    ("hardtanh", -1.0, 0.0), ("hardsigmoid", 3.0, 0.0), ("hardsigmoid", -3.0, 0.0), ("hardsigmoid", 1.0, 1 / 6),
    ("hardswish", 3.0, 1.0), ("hardswish", -3.0, 0.0), ("softshrink", 0.5, 0.0), ("hardshrink", -0.5, 0.0), ("elu", 0.0, 1.0),
    ("selu", 0.0, 1.0507009873554805 * 1.6732632423543772), ("celu", 0.0, 1.0), ("softsign", 0.0, 1.0), ("silu", 0.0, 0.5),
    ("gelu", 0.0, 0.5), ("mish", 0.0, 0.6), ("tanhshrink", 0.0, 0.0), ("softplus", 0.0, 0.5), ("logsigmoid", 0.0, 0.5),
])
def test_slope_by_hand(name, x, slope):
    """mish at 0: t = tanh(log 2) = (2 - 1/2) / (2 + 1/2) = 0.6."""
    t = Tensor(np.array([x]), requires_grad=True)
    (g,) = grad(getattr(F, name)(t), t, np.array([-2.0]))
    assert g.item() == pytest.approx(-2 * slope, abs=1e-15)


@pytest.mark.parametrize("create_graph", [False, True])
def test_prelu_at_zero_is_on_its_left_side(create_graph):
    x, w = Tensor([[0.0, 2.0, -3.0]], requires_grad=True), Tensor([0.5, 0.5, 0.5], requires_grad=True)
    gx, gw = grad(F.prelu(x, w), (x, w), Tensor([[1.0, 1.0, 2.0]]), create_graph=create_graph)
    assert gx.tolist() == [[0.5, 1.0, 1.0]] and gw.tolist() == [0.0, 0.0, -6.0]


@pytest.mark.parametrize("name, kwargs", FUNCTIONS, ids=IDS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_no_overflow_far_out(name, kwargs, dtype):
    """Values and gradients of both orders are finite, and nothing warns, at +-10000."""
    x = Tensor(np.array([1e4, -1e4, 88.0, -88.0, 710.0, -710.0], dtype), requires_grad=True)
    y = getattr(F, name)(x, **kwargs)
    (g,) = grad(y, x, np.full(6, 0.7, dtype), create_graph=True)
    assert np.isfinite(y.data).all() and np.isfinite(g.data).all()
    if g.requires_grad:
        assert np.isfinite(grad(g, x, np.full(6, 0.7, dtype))[0].data).all()


@pytest.mark.parametrize("name, kwargs", FUNCTIONS, ids=IDS)
def test_not_a_number_stays_one(name, kwargs):
    y = getattr(F, name)(np.array([np.nan, 1.0]), **kwargs)
    assert np.isnan(y[0]) and not np.isnan(y[1])


@pytest.mark.parametrize("name, right", [
    ("relu", [np.inf, 0.0]), ("relu6", [6.0, 0.0]), ("leaky_relu", [np.inf, -np.inf]), ("elu", [np.inf, -1.0]),
    ("softplus", [np.inf, 0.0]), ("logsigmoid", [0.0, -np.inf]), ("hardsigmoid", [1.0, 0.0]), ("hardshrink", [np.inf, -np.inf]),
])
def test_infinity(name, right):
    assert getattr(F, name)(np.array([np.inf, -np.inf])).tolist() == right


def test_sigmoid_keeps_its_digits_on_both_sides():
    """In the left tail sigmoid(x) is e^x to all digits; the right one is its mirror image."""
    x = np.array([-700.0, -100.0, -40.0, -1.0, 0.0, 1.0, 40.0])
    right = [math.exp(a) / (1 + math.exp(a)) for a in x]
    np.testing.assert_allclose(F.sigmoid(x), right, rtol=1e-15)
    right = [min(a, 0) - math.log1p(math.exp(-abs(a))) for a in x]
    np.testing.assert_allclose(F.logsigmoid(x), right, rtol=1e-15)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "hardtanh", "softshrink", "threshold"])
def test_straight_pieces_have_no_second_derivative(name):
    """The gradient depends on the upstream gradient alone: nothing of x is recorded for the second order."""
    args = (0.1, 0.2) if name == "threshold" else ()
    x, u = Tensor(np.linspace(-2, 2, 7), requires_grad=True), Tensor(np.linspace(1, 2, 7), requires_grad=True)
    (g,) = grad(getattr(F, name)(x, *args), x, u, create_graph=True)
    gx, gu = grad(g, (x, u), np.ones(7), allow_unused=True)
    assert gx is None
    np.testing.assert_allclose(gu.data * u.data, g.data)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_hardsigmoid_as_torch(dtype):
    torch = pytest.importorskip("torch")
    points = np.random.default_rng(3).uniform(-5, 5, 40).astype(dtype)
    x, t = Tensor(points, requires_grad=True), torch.tensor(points, requires_grad=True)
    u = np.random.default_rng(4).standard_normal(40).astype(dtype)
    np.testing.assert_allclose(F.hardsigmoid(x).data, torch.nn.functional.hardsigmoid(t).detach().numpy(), rtol=1e-6)
    (tg,) = torch.autograd.grad(torch.nn.functional.hardsigmoid(t), t, torch.tensor(u))
    np.testing.assert_allclose(grad(F.hardsigmoid(x), x, u)[0].data, tg.numpy(), rtol=1e-7)


@pytest.mark.parametrize("name", NAMES + ["glu", "sigmoid"])
@pytest.mark.parametrize("wrong", [[1.0, 2.0], np.arange(4)], ids=["list", "integers"])
def test_floating_point_only(name, wrong):
    with pytest.raises(TypeError, match=f"^{name}: input must be .*(Tensor or an array|floating point, got int64)"):
        getattr(F, name)(wrong)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "min_val must not exceed max_val, got min_val 2 and max_val 1", lambda x: F.hardtanh(x, 2, 1)),
    (ValueError, "softshrink: lambd must be at least 0, got -0.5", lambda x: F.softshrink(x, -0.5)),
    (ValueError, "celu: alpha must not be 0", lambda x: F.celu(x, 0.0)),
    (ValueError, "softplus: beta must not be 0", lambda x: F.softplus(x, beta=0)),
    (ValueError, "approximate must be one of 'none', 'tanh', got 'erf'", lambda x: F.gelu(x, approximate="erf")),
    (ValueError, r"prelu: weight must hold one slope, or one for each of the 3 channels .* got shape \(2,\)",
     lambda x: F.prelu(x, np.ones(2))),
    (ValueError, r"prelu: weight must .* got shape \(3, 1\)", lambda x: F.prelu(x, np.ones((3, 1)))),
    (TypeError, "prelu: all arguments must have one dtype", lambda x: F.prelu(x, np.ones(3, np.float32))),
    (ValueError, r"glu: axis 1 is split in two halves and must have an even size, got input \(2, 3\)", lambda x: F.glu(x, 1)),
    (ValueError, "glu: axis -1 is split", lambda x: F.glu(np.array(1.0))),
    (ValueError, r"glu: dim must lie in \[-2, 1\] for input \(2, 3\), got 2", lambda x: F.glu(x, 2)),
    (TypeError, "glu: dim must be an integer, the number of an axis, got 0.5", lambda x: F.glu(x, 0.5)),
    (TypeError, "threshold: input must be", lambda x: F.threshold(1.0, 0.0, 0.0)),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call(np.ones((2, 3)))
