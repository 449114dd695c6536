"""Right custom layers: pooling."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import away, patches, spaced, spread
from tinyvision import Op


class MaxPool(Op):
    """k x k windows with stride s: the first of equal pixels wins."""

    def __init__(self, k, s):
        self.k, self.s = k, s

    def find(self, x):
        v = sliding_window_view(x, (self.k, self.k), axis=(2, 3))[:, :, ::self.s, ::self.s]
        v = v.reshape(v.shape[:4] + (-1,))
        return v.argmax(axis=-1), v.max(axis=-1)

    def forward(self, x):
        return self.find(x)[1]

    def backward(self, g, x):
        a, _ = self.find(x)
        n, c, i, j = np.indices(a.shape)
        gx = np.zeros_like(x)
        np.add.at(gx, (n, c, i * self.s + a // self.k, j * self.s + a % self.k), g)
        return gx


@right("op")
def max_pool_overlapping(rng):
    """Overlapping max pooling: a pixel wins in several windows."""
    return MaxPool(3, 2), spaced(rng, (2, 2, 7, 5))


@right("op")
def max_pool_exact_ties_first(rng):
    """Max pooling over coarse pixels: many exact ties, the first wins."""
    return MaxPool(2, 1), rng.integers(0, 3, (1, 2, 5, 4)) / 2.0


@right("op")
def max_pool_close_runner_up(rng):
    """Max pooling where the runner-up is 1e-6 below the maximum."""
    x = rng.standard_normal((1, 2, 4, 6))
    x[..., 1::2] = x[..., ::2] + 1e-6
    return MaxPool(2, 2), x


class MaxPoolShared(Op):
    """Global max; tied pixels share the gradient evenly."""

    def forward(self, x):
        return x.max(axis=(1, 2))

    def backward(self, g, x):
        top = x == x.max(axis=(1, 2), keepdims=True)
        return g[:, None, None] * top / top.sum(axis=(1, 2), keepdims=True)


@right("op")
def global_max_even_shares(rng):
    """Global maximum whose ties share the gradient evenly, as amax does."""
    x = rng.integers(0, 3, (4, 3, 5)) / 1.0
    x[:, 1, 1:4] = 2.0
    return MaxPoolShared(), x


class AvgPoolInside(Op):
    """3x3, padding 1, divided by the pixels inside."""

    def forward(self, x):
        ones = patches(np.ones((1, 1) + x.shape[2:]), (3, 3), (2, 2), (1, 1)).sum(axis=(4, 5))
        return patches(x, (3, 3), (2, 2), (1, 1)).sum(axis=(4, 5)) / ones

    def backward(self, g, x):
        ones = patches(np.ones((1, 1) + x.shape[2:]), (3, 3), (2, 2), (1, 1)).sum(axis=(4, 5))
        cols = np.broadcast_to((g / ones)[..., None, None], g.shape + (3, 3))
        return spread(cols, x.shape, (2, 2), (1, 1))


@right("op")
def avg_pool_border_counts(rng):
    """Average pooling whose border divides by the pixels inside."""
    return AvgPoolInside(), rng.standard_normal((2, 2, 5, 6))


class LpPool(Op):
    def forward(self, x):
        N, W = x.shape
        return (np.abs(x.reshape(N, W // 3, 3)) ** 3).sum(axis=2) ** (1 / 3)

    def backward(self, g, x):
        y = self.forward(x)
        v = x.reshape(y.shape + (3,))
        return ((g / y ** 2)[..., None] * np.sign(v) * v * v).reshape(x.shape)


@right("op")
def lp_pool_third_power(rng):
    """Pooling by the 3-norm of windows."""
    return LpPool(), away(rng, (3, 9))


class Unpool(Op):
    def __init__(self, size):
        self.size = size

    def forward(self, x, index):
        y = np.zeros((len(x), self.size))
        np.put_along_axis(y, index, x, axis=1)
        return y

    def backward(self, g, x, index):
        return np.take_along_axis(g, index, axis=1), None


@right("op")
def unpool_with_integer_positions(rng):
    """Max unpooling with an integer input of positions."""
    index = np.stack([rng.permutation(12)[:5] for _ in range(3)])
    return Unpool(12), rng.standard_normal((3, 5)), index
