"""Wrong custom layers: pooling."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import patches, spread
from tinyvision import Op


class IntegerDivision(Op):
    def forward(self, x):
        return x.reshape(len(x), -1, 4).mean(axis=2)

    def backward(self, g, x):
        return np.repeat(g, 4, axis=1) * (1 // 4)


@wrong("op", "zero-gradient")
def averages_integer_division(rng):
    """Averages of four whose backward multiplies by 1 // 4, which is 0."""
    return IntegerDivision(), rng.standard_normal((3, 12))


class AvgPoolNoArea(Op):
    def forward(self, x):
        N, C, H, W = x.shape
        return x.reshape(N, C, H // 2, 2, W // 3, 3).mean(axis=(3, 5))

    def backward(self, g, x):
        return np.repeat(np.repeat(g, 2, axis=2), 3, axis=3)


@wrong("op", "constant-factor")
def avg_pool_without_area(rng):
    """Average pooling over 2x3 windows whose backward does not divide by the area 6."""
    return AvgPoolNoArea(), rng.standard_normal((2, 3, 4, 6))


class MaxPoolSpread(Op):
    def forward(self, x):
        N, C, H, W = x.shape
        return x.reshape(N, C, H // 2, 2, W // 2, 2).max(axis=(3, 5))

    def backward(self, g, x):
        return np.repeat(np.repeat(g, 2, axis=2), 2, axis=3)


@wrong("op", "mask-missing")
def max_pool_gradient_to_all(rng):
    """Max pooling hands the gradient to every pixel of the window."""
    return MaxPoolSpread(), rng.permutation(2 * 2 * 4 * 6).reshape(2, 2, 4, 6) / 10


class AvgPoolBorder(Op):
    """3x3 windows, padded by one; the border divides by the pixels that are there."""

    def counts(self, x):
        return patches(np.ones((1, 1) + x.shape[2:]), (3, 3), 1, 1).sum(axis=(4, 5))

    def forward(self, x):
        return patches(x, (3, 3), 1, 1).sum(axis=(4, 5)) / self.counts(x)

    def backward(self, g, x):
        g = np.broadcast_to((g / 9)[..., None, None], g.shape + (3, 3))
        return spread(g, x.shape, 1, 1)


@wrong("op", "wrong-slice", costly=True)
def avg_pool_border_divisor(rng):
    """Average pooling that does not count the padding, but divides by 9 at the border in backward."""
    return AvgPoolBorder(), rng.standard_normal((2, 2, 6, 5))


class PoolFlat(Op):
    """2x2 max pooling that remembers flat indices into the plane."""

    def forward(self, x):
        N, C, H, W = x.shape
        win = x.reshape(N, C, H // 2, 2, W // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(N, C, H // 2, W // 2, 4)
        k = win.argmax(axis=-1)
        rows = 2 * np.arange(H // 2)[:, None] + k // 2
        cols = 2 * np.arange(W // 2) + k % 2
        self.index = rows * W + cols
        return win.max(axis=-1)

    def backward(self, g, x):
        N, C, H, W = x.shape
        gx = np.zeros_like(x)
        n, c = np.ogrid[:N, :C]
        gx[n[..., None, None], c[..., None, None], (self.index // H) % H, self.index % H] += g
        return gx


@wrong("op", "nonsquare-only", "transposed", costly=True)
def max_pool_index_split_by_height(rng):
    """Flat indices are split by the height where they were made with the width."""
    return PoolFlat(), rng.permutation(2 * 3 * 4 * 8).reshape(2, 3, 4, 8) / 7


class GlobalMax(Op):
    def forward(self, x):
        return x.max(axis=(2, 3))

    def backward(self, g, x):
        return g[..., None, None] * (x == x.max(axis=(2, 3), keepdims=True))


@wrong("op", "ties-counted-twice")
def global_max_pool_ties(rng):
    """Global max pooling over coarse pixels: every tied maximum gets the whole gradient."""
    x = rng.integers(0, 4, (2, 3, 3, 4)) / 4.0
    x[:, :, 0, 0] = x[:, :, 2, 3] = 1.0
    return GlobalMax(), x


class StridedWindows(Op):
    """Moving mean of three samples."""

    def forward(self, x):
        n, w = x.shape
        view = np.lib.stride_tricks.as_strided(x, (n, w - 2, 3), (8 * w, 8, 8))
        return view.mean(axis=2)

    def backward(self, g, x):
        gx = np.zeros(x.shape)
        for k in range(3):
            gx[:, k:k + g.shape[1]] += g / 3
        return gx


@wrong("op", "memory-layout")
def moving_mean_by_strides(rng):
    """Windows by as_strided with strides computed for rows in a row: wrong for a transposed input."""
    return StridedWindows(), rng.standard_normal((4, 7))


class SumPool(Op):
    def forward(self, x):
        return x.sum(axis=(2, 3))

    def backward(self, g, x):
        return g[:, :, None, None]


@wrong("op", "wrong-shape", "missing-sum")
def sum_pool_not_repeated(rng):
    """Global sum pooling hands back (N, C, 1, 1) without repeating it over the pixels."""
    return SumPool(), rng.standard_normal((2, 3, 4, 5))


class LastAxes(Op):
    def forward(self, x):
        return x.mean(axis=(-2, -1))

    def backward(self, g, x):
        n, c, h, w = x.shape
        return np.broadcast_to(g[:, :, None, None], x.shape) / (h * w)


@wrong("op", "error")
def global_mean_backward_needs_batch(rng):
    """Global average pooling accepts a picture (C, H, W), its backward unpacks four sizes and raises."""
    return LastAxes(), rng.standard_normal((3, 4, 5))
