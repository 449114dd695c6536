"""Right in the second order as well."""

import numpy as np

import tinyvision.functional as F
from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import away
from tinyvision import Op, Tensor, nn


class Tanh2(Op):
    def forward(self, x):
        return np.tanh(x)

    def backward(self, g, x):
        y = Tanh2()(x)
        return g * (1 - y * y)


@right("op", order=2)
def second_tanh(rng):
    """Tanh whose backward computes itself again, recorded."""
    return Tanh2(), rng.standard_normal((3, 4))


class Softmax2(Op):
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def backward(self, g, x):
        y = Softmax2()(x)
        return y * (g - (g * y).sum(axis=1, keepdims=True))


@right("op", order=2)
def second_softmax(rng):
    """Softmax in recorded operations."""
    return Softmax2(), rng.standard_normal((3, 4))


class Bilinear2(Op):
    def forward(self, a, w, b):
        return np.einsum("ni,oij,nj->no", a, w, b)

    def backward(self, g, a, w, b):
        n, i, j, o = a.shape[0], a.shape[1], b.shape[1], w.shape[0]
        wb = (w.reshape(1, o, i, j) * b.reshape(n, 1, 1, j)).sum(axis=3)              # (N, O, I)
        aw = (w.reshape(1, o, i, j) * a.reshape(n, 1, i, 1)).sum(axis=2)              # (N, O, J)
        gw = (g.reshape(n, o, 1, 1) * a.reshape(n, 1, i, 1) * b.reshape(n, 1, 1, j)).sum(axis=0)
        return (g.reshape(n, o, 1) * wb).sum(axis=1), gw, (g.reshape(n, o, 1) * aw).sum(axis=1)


@right("op", order=2)
def second_bilinear(rng):
    """A bilinear form with three inputs: only mixed second derivatives."""
    return Bilinear2(), rng.standard_normal((3, 2)), rng.standard_normal((2, 2, 4)), rng.standard_normal((3, 4))


class Relu2(Op):
    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, g, x):
        mask = (x.data if isinstance(x, Tensor) else x) > 0
        return g * mask


@right("op", order=2)
def second_relu_constant_mask(rng):
    """ReLU: its second derivative is zero, the mask is rightly a constant."""
    return Relu2(), away(rng, (4, 5))


@right("call", order=2)
def second_small_network(rng):
    """A gradient penalty's ingredients: a small network with smooth activations."""
    return (lambda x, w, v: F.softplus(F.linear(x, w)) @ v, rng.standard_normal((3, 4)), rng.standard_normal((5, 4)),
            rng.standard_normal((5, 2)))


@right("call", order=2)
def second_layer_norm(rng):
    """Layer norm of the engine."""
    return lambda x, w: F.layer_norm(x, 5, w), rng.standard_normal((3, 5)), rng.uniform(0.5, 2, 5)


@right("module", order=2, costly=True)
def second_conv_norm(rng):
    """Convolution, batch norm in training, softplus."""
    return nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Softplus()).double(), rng.standard_normal((2, 1, 3, 4))


@right("call", order=2)
def second_linear_vanishes(rng):
    """Linear in x: its second derivative in x alone is zero."""
    w = rng.standard_normal((4, 3))
    return lambda x: x @ w, rng.standard_normal((2, 4))
