"""Wrong custom layers: linear layers and arithmetic."""

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import param
from tinyvision import Op, nn


class ChannelScale(nn.Module):
    def __init__(self, rng):
        self.gamma = param(rng.uniform(0.5, 2, (1, 3, 1, 1)))
        self.beta = param(rng.standard_normal((1, 3, 1, 1)))

    def forward(self, x):
        return x * self.gamma.data + self.beta


@wrong("module", "missing-gradient")
def channel_scale_reads_data(rng):
    """The scale enters through .data, so no gradient reaches it."""
    return ChannelScale(rng), rng.standard_normal((2, 3, 4, 3))


class LinearNoneBias(Op):
    def forward(self, x, w, b):
        return x @ w.T + b

    def backward(self, g, x, w, b):
        return g @ w, g.T @ x, None


@wrong("op", "missing-gradient")
def linear_returns_none_for_bias(rng):
    """None is returned for the bias."""
    return LinearNoneBias(), rng.standard_normal((5, 4)), rng.standard_normal((3, 4)), rng.standard_normal(3)


class NormalizedGradient(Op):
    def __init__(self, scale):
        self.scale = scale

    def forward(self, x):
        return self.scale * x

    def backward(self, g, x):
        return self.scale * g / (np.abs(g).max() + 1e-12)


@wrong("op", "nonlinear-upstream")
def residual_scale_normalizes_gradient(rng):
    """A residual scale whose backward rescales the gradient to a largest entry of one."""
    return NormalizedGradient(0.3), rng.standard_normal((4, 6))


class DecayingLinear(Op):
    def forward(self, x, w):
        return x @ w.T

    def backward(self, g, x, w):
        return g @ w, g.T @ x + 1e-2 * w


@wrong("op", "extra-term")
def linear_adds_weight_decay(rng):
    """Weight decay is added inside the layer's backward."""
    return DecayingLinear(), rng.standard_normal((5, 4)), rng.standard_normal((3, 4))


class Differences(Op):
    def forward(self, a, b):
        return a[:, None] - b[None]

    def backward(self, g, a, b):
        return g.sum(axis=1), g.sum(axis=0)


@wrong("op", "constant-factor")
def pairwise_difference_sign(rng):
    """All differences a_i - b_j: the minus of b is forgotten."""
    return Differences(), rng.standard_normal((4, 3)), rng.standard_normal((5, 3))


class SquareLinear(Op):
    def forward(self, x, w, b):
        return x @ w.T + b

    def backward(self, g, x, w, b):
        return g @ w, x.T @ g, g.sum(axis=0)


@wrong("op", "transposed")
def square_linear_weight_gradient_transposed(rng):
    """x.T @ g for a weight (O, I): right shape only because the layer is square, and transposed."""
    return SquareLinear(), rng.standard_normal((6, 5)), rng.standard_normal((5, 5)), rng.standard_normal(5)


class QuadraticForm(Op):
    def forward(self, a, b):
        return np.sin(a) * np.exp(b)

    def backward(self, g, a, b):
        return g * np.sin(a) * np.exp(b), g * np.cos(a) * np.exp(b)


@wrong("op", "swapped-gradients")
def amplitude_phase_swapped(rng):
    """sin(a) e^b: the gradients of a and b are returned in the wrong order."""
    return QuadraticForm(), rng.standard_normal((3, 5)), rng.standard_normal((3, 5))


class LinearNoSum(Op):
    def forward(self, x, w, b):
        return x @ w.T + b

    def backward(self, g, x, w, b):
        return g @ w, g.T @ x, g


@wrong("op", "missing-sum", "wrong-shape")
def linear_bias_not_summed(rng):
    """The bias gradient is not summed over the batch."""
    return LinearNoSum(), rng.standard_normal((5, 4)), rng.standard_normal((3, 4)), rng.standard_normal(3)


class BiasWrongAxis(Op):
    def forward(self, x, b):
        return x + b

    def backward(self, g, x, b):
        return g, g.sum(axis=1)


@wrong("op", "wrong-axis")
def bias_summed_over_features(rng):
    """The bias gradient is summed over the features, hidden by as many samples as features."""
    return BiasWrongAxis(), rng.standard_normal((5, 5)), rng.standard_normal(5)


class FirstSample(Op):
    def forward(self, x, w):
        return x @ w.T

    def backward(self, g, x, w):
        return g @ w, np.outer(g[0], x[0])


@wrong("op", "batch-only", "overwritten", "term-missing")
def linear_weight_from_first_sample(rng):
    """The weight gradient is taken from the first sample only."""
    return FirstSample(), rng.standard_normal((4, 3)), rng.standard_normal((5, 3))


class MaxNorm(nn.Module):
    def __init__(self, rng):
        self.weight = param(2 * rng.standard_normal((3, 4)))

    def forward(self, x):
        w = self.weight.data
        w *= np.minimum(1, 1 / np.sqrt((w * w).sum(axis=1, keepdims=True)))
        return F.linear(x, self.weight)


@wrong("module", "modified-in-place")
def max_norm_constraint_in_forward(rng):
    """A max-norm constraint is enforced on the weight during forward."""
    return MaxNorm(rng), rng.standard_normal((5, 4))


class CachingOp(Op):
    def __init__(self, layer):
        self.layer = layer

    def forward(self, x, w):
        self.layer.saved = x
        return x @ w

    def backward(self, g, x, w):
        return g @ w.T, self.layer.saved.T @ g


class CachingLinear(nn.Module):
    def __init__(self, rng):
        self.weight, self.saved = param(rng.standard_normal((4, 3))), None

    def forward(self, x):
        return CachingOp(self)(x, self.weight)


class Siamese(nn.Module):
    def __init__(self, rng):
        self.layer = CachingLinear(rng)

    def forward(self, a, b):
        return tv.tanh(self.layer(a)) - tv.tanh(self.layer(b))


@wrong("module", "stale-cache")
def siamese_layer_cache(rng):
    """A siamese network: the layer keeps its input on itself, where the second call overwrites it."""
    return Siamese(rng), rng.standard_normal((5, 4)), rng.standard_normal((5, 4))


@wrong("module", "stale-cache")
def linear_cache_on_layer(rng):
    """The layer's cache again, called once: right until another batch passes before backward."""
    return CachingLinear(rng), rng.standard_normal((5, 4))


class Float32Inside(Op):
    def forward(self, x, w):
        return (x.astype(np.float32) @ w.astype(np.float32)).astype(x.dtype)

    def backward(self, g, x, w):
        g32, x32, w32 = (a.astype(np.float32) for a in (g, x, w))
        return (g32 @ w32.T).astype(g.dtype), (x32.T @ g32).astype(g.dtype)


@wrong("op", "precision-lost")
def matmul_in_float32(rng):
    """Forward and backward compute in float32 'for speed'."""
    return Float32Inside(), rng.standard_normal((5, 4)), rng.standard_normal((4, 3))


class HalfGradient(Op):
    def forward(self, x):
        return np.sin(x)

    def backward(self, g, x):
        return (g * np.cos(x)).astype(np.float16).astype(g.dtype)


@wrong("op", "precision-lost")
def gradient_through_float16(rng):
    """The gradient is compressed to float16 on its way."""
    return HalfGradient(), rng.standard_normal((4, 6))


class FlatGradient(Op):
    def forward(self, x, w):
        return x.reshape(len(x), -1) @ w

    def backward(self, g, x, w):
        return g @ w.T, x.reshape(len(x), -1).T @ g


@wrong("op", "wrong-shape")
def flattening_linear_flat_gradient(rng):
    """A linear layer that flattens pictures hands back flat gradients."""
    return FlatGradient(), rng.standard_normal((3, 2, 3, 2)), rng.standard_normal((12, 4))


class TooFew(Op):
    def forward(self, x, gamma, beta):
        return x * gamma + beta

    def backward(self, g, x, gamma, beta):
        return g * gamma, (g * x).sum(axis=0)


@wrong("op", "error", "missing-gradient")
def affine_returns_two_of_three(rng):
    """Two gradients are returned for three inputs."""
    return TooFew(), rng.standard_normal((4, 3)), rng.uniform(0.5, 2, 3), rng.standard_normal(3)
