"""Wrong custom layers: activations."""

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import param, sigmoid
from tinyvision import Op, nn


class SlopeForgotten(Op):
    def forward(self, x, a):
        return np.where(x > 0, x, a[:, None] * x)

    def backward(self, g, x, a):
        ga = np.zeros_like(a)
        for n in range(len(x)):
            part = (g[n] * np.minimum(x[n], 0)).sum(axis=1)                # computed, never added
        assert part.shape == ga.shape
        return np.where(x > 0, g, a[:, None] * g), ga


@wrong("op", "zero-gradient")
def prelu_slope_never_accumulated(rng):
    """The accumulator of the slope's gradient is allocated and returned, the sum is never added to it."""
    return SlopeForgotten(), rng.standard_normal((4, 3, 5)), rng.uniform(0.1, 0.4, 3)


class GuidedRelu(Op):
    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, g, x):
        return np.maximum(g, 0) * (x > 0)


@wrong("op", "guided")
def guided_relu(rng):
    """Guided backpropagation: negative upstream gradients are dropped."""
    return GuidedRelu(), rng.standard_normal((3, 4, 5))


class GuidedBlock(nn.Module):
    def __init__(self, rng):
        self.weight = param(rng.standard_normal((4, 3, 3, 3)) / 3)

    def forward(self, x):
        return GuidedRelu()(F.conv2d(x, self.weight, padding=1))


@wrong("module", "guided", costly=True)
def guided_conv_block(rng):
    """A convolution followed by the ReLU of guided backpropagation."""
    return GuidedBlock(rng), rng.standard_normal((2, 3, 4, 5))


class GateSte(Op):
    def forward(self, x):
        return sigmoid(x)

    def backward(self, g, x):
        return g


@wrong("op", "local-derivative-missing")
def sigmoid_gate_passed_through(rng):
    """A sigmoid gate whose backward hands the gradient through unchanged."""
    return GateSte(), rng.standard_normal((4, 5))


class Highway(nn.Module):
    def __init__(self, rng):
        self.gate, self.body = nn.Linear(4, 4).double(), nn.Linear(4, 4).double()

    def forward(self, x):
        t = GateSte()(self.gate(x))
        return t * tv.tanh(self.body(x)) + (1 - t) * x


@wrong("module", "local-derivative-missing", "wrong-local-derivative", costly=True)
def highway_gate_straight_through(rng):
    """A highway layer whose gate, a sigmoid, hands its gradient through unchanged."""
    return Highway(rng), rng.standard_normal((5, 4))


class Quantize(Op):
    def forward(self, x):
        return np.round(x * 4) / 4

    def backward(self, g, x):
        return g


@wrong("op", "local-derivative-missing", "mask-missing")
def quantizer_straight_through(rng):
    """A straight-through quantizer: its true slope is zero."""
    return Quantize(), rng.integers(-6, 6, (4, 6)) / 4 + rng.uniform(0.03, 0.09, (4, 6))


class TanhOfInput(Op):
    def forward(self, x):
        return np.tanh(x)

    def backward(self, g, x):
        return g * (1 - x ** 2)


@wrong("op", "wrong-local-derivative")
def tanh_slope_from_input(rng):
    """1 - x^2 for 1 - tanh(x)^2: the input was saved, not the output."""
    return TanhOfInput(), rng.standard_normal((4, 6))


class SoftplusBeta(Op):
    def __init__(self, beta):
        self.beta = beta

    def forward(self, x):
        return np.logaddexp(0, self.beta * x) / self.beta

    def backward(self, g, x):
        return g * sigmoid(x)


@wrong("op", "wrong-local-derivative")
def softplus_slope_without_beta(rng):
    """Softplus with beta = 3 differentiated as if beta were 1."""
    return SoftplusBeta(3.0), rng.standard_normal((3, 7))


class Silu(Op):
    def forward(self, x):
        return x * sigmoid(x)

    def backward(self, g, x):
        return g * sigmoid(x)


@wrong("op", "term-missing", "wrong-local-derivative")
def silu_half_of_product_rule(rng):
    """x sigmoid(x): the second half of the product rule is missing."""
    return Silu(), rng.standard_normal((3, 8))


class Relu6(Op):
    def forward(self, x):
        return np.clip(x, 0, 6)

    def backward(self, g, x):
        return g * (x > 0)


@wrong("op", "wrong-region", "mask-missing")
def relu6_upper_limit_forgotten(rng):
    """ReLU6: above 6 the slope is zero, here one."""
    return Relu6(), 5 * rng.standard_normal((4, 8))


class Elu(Op):
    def __init__(self, alpha):
        self.alpha = alpha

    def forward(self, x):
        return np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))

    def backward(self, g, x):
        y = self.forward(x)
        return np.where(x > 0, g, g * y)


@wrong("op", "wrong-region")
def elu_negative_slope(rng):
    """ELU: below zero the slope is y + alpha, here y."""
    return Elu(1.5), rng.standard_normal((4, 7))


class TiledGamma(Op):
    """x^2 in tiles of 64 rows."""

    def forward(self, x):
        return x * x

    def backward(self, g, x):
        gx = np.zeros_like(x)
        for top in range(0, x.shape[2] - 63, 64):
            rows = slice(top, top + 64)
            gx[:, :, rows] = 2 * g[:, :, rows] * x[:, :, rows]
        return gx


@wrong("op", "wrong-slice", costly=True)
def large_picture_last_tile(rng):
    """A picture of 300x100 handled in tiles of 64 rows: the rows from 256 on get nothing."""
    return TiledGamma(), rng.standard_normal((1, 1, 300, 100))


class LeakyBoth(Op):
    def forward(self, x):
        return np.where(x > 0, x, 0.2 * x)

    def backward(self, g, x):
        return g * (1.0 * (x >= 0) + 0.2 * (x <= 0))


@wrong("op", "wrong-subgradient")
def leaky_relu_both_slopes_at_zero(rng):
    """Leaky ReLU: at zero both slopes are added, 1.2 lies outside of [0.2, 1]."""
    x = rng.standard_normal((4, 6))
    x[rng.random(x.shape) < 0.3] = 0
    x[0, 0] = 0
    return LeakyBoth(), x


class Larger(Op):
    def forward(self, a, b):
        return np.maximum(a, b)

    def backward(self, g, a, b):
        return g * (a >= b), g * (b >= a)


@wrong("op", "ties-counted-twice")
def maximum_of_two_maps_ties(rng):
    """Maximum of two maps: where they agree both get the whole gradient."""
    a, b = rng.standard_normal((2, 3, 5))
    b[:, ::2] = a[:, ::2]
    return Larger(), a, b


class InPlaceMask(Op):
    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, g, x):
        g[x <= 0] = 0
        return g


@wrong("op", "modified-in-place")
def relu_masks_upstream_in_place(rng):
    """ReLU masks the upstream gradient itself."""
    return InPlaceMask(), rng.standard_normal((4, 6))


class TwoHeads(nn.Module):
    """Two ReLUs of the same sum: the op after the addition hands both the same upstream array."""

    def __init__(self, rng):
        self.a, self.b = nn.Linear(4, 5).double(), nn.Linear(4, 5).double()

    def forward(self, x):
        return InPlaceMask()(self.a(x)) + InPlaceMask()(self.b(x))


@wrong("module", "modified-in-place", costly=True)
def two_branches_mask_one_upstream(rng):
    """Two branches are added, and each ReLU masks the one upstream array that both were handed."""
    return TwoHeads(rng), rng.standard_normal((5, 4))


class ClassCache(Op):
    saved = {}

    def forward(self, x):
        y = np.exp(-x * x)
        ClassCache.saved[x.shape] = y
        return y

    def backward(self, g, x):
        return -2 * g * x * ClassCache.saved[x.shape]


@wrong("op", "stale-cache")
def bump_cache_on_class(rng):
    """The output is kept on the class by shape: the next input of this shape replaces it."""
    return ClassCache(), rng.standard_normal((4, 5))


class Quiet(Op):
    """exp without the warning."""

    def forward(self, x):
        with np.errstate(all="ignore"):
            return np.exp(x)

    def backward(self, g, x):
        with np.errstate(all="ignore"):
            return g * np.exp(x)


@wrong("call", "not-a-number")
def softplus_where_overflows(rng):
    """Softplus with where: the branch not taken overflows, and 0 * inf is not a number."""
    def softplus(x):
        with np.errstate(all="ignore"):
            return tv.where(x > 20.0, x, tv.log(Quiet()(x) + 1.0))
    x = rng.standard_normal((3, 5))
    x[1, 2], x[2, 0] = 900.0, 750.0
    return softplus, x
