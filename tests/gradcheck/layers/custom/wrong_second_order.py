"""Right in the first order, wrong in the second: checked with order=2."""

import numpy as np

import tinyvision as tv
from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import away
from tinyvision import Op, Tensor, nn


def raw(x):
    return x.data if isinstance(x, Tensor) else x


class TanhArray(Op):
    def forward(self, x):
        return np.tanh(x)

    def backward(self, g, x):
        return g * (1 - np.tanh(raw(x)) ** 2)


@wrong("op", "missing-gradient", "zero-gradient", order=2)
def second_tanh_slope_from_array(rng):
    """Backward computes the slope from the plain array: to the second pass it is a constant."""
    return TanhArray(), rng.standard_normal((3, 4))


class SigmoidCached(Op):
    def forward(self, x):
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, g, x):
        return g * (self.y * (1 - self.y))


@wrong("op", "missing-gradient", "zero-gradient", order=2)
def second_sigmoid_keeps_output(rng):
    """The output is kept as an array in forward and used in backward."""
    return SigmoidCached(), rng.standard_normal((3, 4))


class CachedGate(nn.Module):
    def __init__(self):
        self.fc = nn.Linear(4, 3).double()

    def forward(self, x):
        return SigmoidCached()(self.fc(x))


@wrong("module", "term-missing", "missing-gradient", "wrong-local-derivative", order=2, costly=True)
def second_sigmoid_behind_linear(rng):
    """The same op behind a linear layer: the bilinear part of the second derivative is there, the sigmoid's own is not."""
    return CachedGate(), rng.standard_normal((3, 4))


class ScaleRaw(Op):
    """x * w with the weight taken as an array in the gradient of x."""

    def forward(self, x, w):
        return x * w

    def backward(self, g, x, w):
        return g * raw(w), (g * x).sum(axis=0)


@wrong("op", "missing-gradient", "zero-gradient", order=2)
def second_scale_weight_as_array(rng):
    """g * raw(w): the gradient of x forgets that it depends on w."""
    return ScaleRaw(), rng.standard_normal((4, 3)), rng.uniform(0.5, 2, 3)


class CubeHalf(Op):
    def forward(self, x):
        return x ** 3

    def backward(self, g, x):
        return 3 * g * x * raw(x)


@wrong("op", "constant-factor", "term-missing", order=2)
def second_cube_half(rng):
    """3 g x raw(x): one of the two factors x is constant, 3x for 6x."""
    return CubeHalf(), away(rng, (3, 4))


class SoftmaxHalf(Op):
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def backward(self, g, x):
        y = SoftmaxHalf()(x)
        return y * (g - (g * raw(y)).sum(axis=1, keepdims=True))


@wrong("op", "term-missing", order=2)
def second_softmax_inner_product_constant(rng):
    """Softmax whose inner product uses the plain probabilities."""
    return SoftmaxHalf(), rng.standard_normal((3, 4))


class LayerNormConstantSigma(Op):
    def forward(self, x):
        return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)

    def backward(self, g, x):
        r = 1 / np.sqrt(raw(x).var(axis=1, keepdims=True) + 1e-5)
        xhat = (x - x.mean(axis=1, keepdims=True)) * r
        return (g - g.mean(axis=1, keepdims=True) - xhat * (g * xhat).mean(axis=1, keepdims=True)) * r


@wrong("op", "term-missing", order=2)
def second_layer_norm_sigma_constant(rng):
    """Layer norm: 1/sigma is a plain array in backward, so its dependence on x is lost."""
    return LayerNormConstantSigma(), rng.standard_normal((3, 5))


class SwishHalf(Op):
    def forward(self, x):
        return x / (1 + np.exp(-x))

    def backward(self, g, x):
        s = tv.sigmoid(x)
        return g * (s + x * (raw(s) * (1 - raw(s))))


@wrong("op", "wrong-local-derivative", "term-missing", order=2)
def second_swish_inner_slope_constant(rng):
    """Swish: sigmoid's slope enters the second derivative as a constant."""
    return SwishHalf(), rng.standard_normal((3, 4))


class MatmulA(Op):
    """a @ b; its gradients are products by the helper below."""

    def forward(self, a, b):
        return a @ b

    def backward(self, g, a, b):
        return TimesTransposed()(g, b), TransposedTimes()(a, g)


class TimesTransposed(Op):
    """g @ b.T"""

    def forward(self, g, b):
        return g @ b.T

    def backward(self, v, g, b):
        return v @ b, -(v.T @ g)                          # the sign is wrong


class TransposedTimes(Op):
    """a.T @ g"""

    def forward(self, a, g):
        return a.T @ g

    def backward(self, v, a, g):
        return g @ v.T, a @ v


@wrong("op", "constant-factor", order=2)
def second_matmul_helper_sign(rng):
    """The helper g @ b.T of a matrix product's backward has a wrong sign in its own."""
    return MatmulA(), rng.standard_normal((3, 4)), rng.standard_normal((4, 2))


class Conv1(Op):
    """(N, C, W) with a kernel of three, valid."""

    def forward(self, x, w):
        return sum(np.einsum("nci,oc->noi", x[:, :, k:x.shape[2] - 2 + k], w[:, :, k]) for k in range(3))

    def backward(self, g, x, w):
        return Conv1Input(x.shape)(g, w), Conv1Weight()(x, g)


class Conv1Input(Op):
    def __init__(self, shape):
        self.shape = shape

    def forward(self, g, w):
        gx = np.zeros(self.shape)
        for k in range(3):
            gx[:, :, k:k + g.shape[2]] += np.einsum("noi,oc->nci", g, w[:, :, k])
        return gx

    def backward(self, v, g, w):
        return Conv1()(v, w), Conv1Weight()(v, g)


class Conv1Weight(Op):
    def forward(self, x, g):
        return np.stack([np.einsum("noi,nci->oc", g, x[:, :, k:k + g.shape[2]]) for k in range(3)], axis=2)

    def backward(self, v, x, g):
        return Conv1Input(x.shape)(g, self.turned(v, 0)), Conv1()(x, self.turned(v, 1))

    def turned(self, v, i):
        return v


class Turned0(Conv1Weight):
    def turned(self, v, i):
        return v[:, :, ::-1] if i == 0 else v


class ConvTurned(Conv1):
    def __init__(self, helper):
        self.helper = helper

    def backward(self, g, x, w):
        return Conv1Input(x.shape)(g, w), self.helper()(x, g)


@wrong("op", "flipped", order=2, costly=True)
def second_conv_weight_gradient_flipped(rng):
    """The second pass through a convolution's weight gradient turns the kernel round on its way to the input."""
    return ConvTurned(Turned0), rng.standard_normal((2, 2, 6)), rng.standard_normal((3, 2, 3))


class Turned1(Conv1Weight):
    def turned(self, v, i):
        return v[:, :, ::-1] if i == 1 else v


@wrong("op", "flipped", order=2, costly=True)
def second_conv_weight_gradient_flipped_for_upstream(rng):
    """The same on its way to the upstream gradient: inputs have right second derivatives, the upstream has not."""
    return ConvTurned(Turned1), rng.standard_normal((2, 2, 6)), rng.standard_normal((3, 2, 3))


class Bump(Op):
    def forward(self, x):
        return np.exp(-x * x)

    def backward(self, g, x):
        return g * BumpSlope()(x)


class BumpSlope(Op):
    """-2 x exp(-x^2)"""

    def forward(self, x):
        return -2 * x * np.exp(-x * x)

    def backward(self, v, x):
        return v * (4 * x * x) * tv.exp(-x * x)           # the -2 of the product rule is missing


@wrong("op", "wrong-local-derivative", "term-missing", order=2)
def second_bump_product_rule(rng):
    """The derivative of -2 x exp(-x^2) without its first term."""
    return Bump(), rng.standard_normal((3, 4))


class SquareFloat(Op):
    def forward(self, x):
        return x * x

    def backward(self, g, x):
        return 2 * g * Halve()(x)


class Halve(Op):
    """The identity, whose own backward goes through float32."""

    def forward(self, x):
        return x * 1.0

    def backward(self, v, x):
        return raw(v).astype(np.float32).astype(np.float64)


@wrong("op", "precision-lost", order=2)
def second_square_through_float32(rng):
    """The second pass goes through float32."""
    return SquareFloat(), rng.standard_normal((3, 4))


@wrong("call", "term-missing", "constant-factor", order=2, costly=True)
def second_energy_detached(rng):
    """An input gradient used as a feature: the network's slope is detached in one factor."""
    class Energy(Op):
        def forward(self, x):
            return np.log(np.cosh(x)) * x

        def backward(self, g, x):
            return g * (tv.log(cosh(x)) + x * tv.tanh(x if not isinstance(x, Tensor) else x.detach()))

    def cosh(x):
        return (tv.exp(x) + tv.exp(-x)) / 2
    return lambda x, w: Energy()(x @ w), rng.standard_normal((3, 4)), rng.standard_normal((4, 2))
