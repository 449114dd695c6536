"""Right custom layers: shapes, lookups, borders and resampling."""

import numpy as np

from tests.gradcheck.layers import right
from tinyvision import Op


class Resize(Op):
    """Bilinear, align_corners, to any size."""

    def __init__(self, h, w):
        self.h, self.w = h, w

    def table(self, n, m):
        a, p = np.zeros((m, n)), np.linspace(0, n - 1, m)
        i = np.minimum(p.astype(int), n - 2)
        a[np.arange(m), i] = 1 - (p - i)
        a[np.arange(m), i + 1] += p - i
        return a

    def forward(self, x):
        return self.table(x.shape[2], self.h) @ x @ self.table(x.shape[3], self.w).T

    def backward(self, g, x):
        return self.table(x.shape[2], self.h).T @ g @ self.table(x.shape[3], self.w)


@right("op")
def bilinear_up_and_down(rng):
    """Bilinear resizing up along one axis, down along the other."""
    return Resize(7, 3), rng.standard_normal((2, 2, 4, 5))


class ReflectPad(Op):
    def forward(self, x):
        return np.pad(x, ((0, 0), (2, 1), (1, 2)), mode="reflect")

    def backward(self, g, x):
        n, h, w = x.shape
        i = np.pad(np.arange(h), (2, 1), mode="reflect")
        j = np.pad(np.arange(w), (1, 2), mode="reflect")
        gx = np.zeros_like(x)
        np.add.at(gx, (slice(None), i[:, None], j), g)
        return gx


@right("op")
def reflect_pad_uneven(rng):
    """Reflected border of uneven widths."""
    return ReflectPad(), rng.standard_normal((2, 4, 5))


class Shuffle(Op):
    def __init__(self, r):
        self.r = r

    def forward(self, x):
        n, c, h, w = x.shape
        r = self.r
        return x.reshape(n, c // (r * r), r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // (r * r), h * r, w * r)

    def backward(self, g, x):
        n, c, h, w = x.shape
        r = self.r
        return g.reshape(n, c // (r * r), h, r, w, r).transpose(0, 1, 3, 5, 2, 4).reshape(x.shape)


@right("op")
def pixel_shuffle_permutation(rng):
    """Pixel shuffle: a permutation; forward and backward return views with odd strides."""
    return Shuffle(2), rng.standard_normal((2, 8, 2, 3))


class SortDown(Op):
    def forward(self, x):
        return -np.sort(-x, axis=1)

    def backward(self, g, x):
        gx = np.empty_like(x)
        np.put_along_axis(gx, np.argsort(-x, axis=1, kind="stable"), g, axis=1)
        return gx


@right("op")
def sort_near_ties(rng):
    """Sorting with neighbours 1e-6 apart."""
    x = np.repeat(rng.standard_normal((3, 4)), 2, axis=1)
    x[:, ::2] += 1e-6
    return SortDown(), x


class Outer(Op):
    def forward(self, a, b):
        return a * b

    def backward(self, g, a, b):
        return (g * b).sum(axis=1, keepdims=True), (g * a).sum(axis=(0, 3), keepdims=True)[0]


@right("op")
def broadcast_both_ways(rng):
    """Broadcasting both ways: (3, 1, 2, 4) times (5, 2, 1)."""
    return Outer(), rng.standard_normal((3, 1, 2, 4)), rng.standard_normal((5, 2, 1))


class ScalarScale(Op):
    def forward(self, s, x):
        return s * x

    def backward(self, g, s, x):
        return np.asarray((g * x).sum()), g * s


@right("op")
def scale_by_0d_input(rng):
    """A 0-d input times an array."""
    return ScalarScale(), np.array(rng.uniform(0.5, 2)), rng.standard_normal((3, 4))


class Cumprod(Op):
    """Running product, right where elements are zero."""

    def forward(self, x):
        return np.cumprod(x, axis=1)

    def backward(self, g, x):
        n, k = x.shape
        gx = np.zeros_like(x)
        for j in range(k):
            y = x.copy()
            y[:, j] = 1
            gx[:, j] = (g[:, j:] * np.cumprod(y, axis=1)[:, j:]).sum(axis=1)
        return gx


@right("op")
def cumprod_through_zeros(rng):
    """Running products through exact zeros."""
    x = rng.standard_normal((3, 6))
    x[0, 2] = x[1, 0] = x[1, 4] = 0
    return Cumprod(), x


class LogDet(Op):
    def forward(self, a):
        return np.linalg.slogdet(a)[1]

    def backward(self, g, a):
        return g[:, None, None] * np.linalg.inv(a).transpose(0, 2, 1)


@right("op")
def logdet_badly_conditioned(rng):
    """Log |det| of matrices with condition number 1e3."""
    q = np.linalg.qr(rng.standard_normal((2, 4, 4)))[0]
    return LogDet(), q * np.array([1, 0.1, 0.01, 0.001])


class AddSame(Op):
    def forward(self, a, b):
        return a + b

    def backward(self, g, a, b):
        return g, g


@right("op")
def add_returns_one_array_twice(rng):
    """An addition that hands the same array g to both inputs, as the engine allows."""
    return AddSame(), rng.standard_normal((3, 4)), rng.standard_normal((3, 4))


class Repeat(Op):
    def forward(self, x):
        return x.sum(axis=1)

    def backward(self, g, x):
        return np.broadcast_to(g[:, None], x.shape)


@right("op")
def sum_returns_readonly_view(rng):
    """A read-only broadcast view as gradient, from an input with reversed strides."""
    return Repeat(), rng.standard_normal((4, 6))[::-1, ::2]


@right("op")
def matmul_of_views(rng):
    """Matrix product of a transposed and a sliced view."""
    class Mul(Op):
        def forward(self, a, b):
            return a @ b

        def backward(self, g, a, b):
            return g @ b.T, a.T @ g
    return Mul(), rng.standard_normal((4, 3)).T, rng.standard_normal((8, 10))[::2, ::2]


class Lookup(Op):
    def forward(self, index, table):
        return table[index]

    def backward(self, g, index, table):
        gt = np.zeros_like(table)
        np.add.at(gt, index, g)
        return None, gt


@right("op")
def embedding_repeats_and_gaps(rng):
    """An embedding with words that occur three times and words that never occur."""
    return Lookup(), np.array([[1, 4, 1], [2, 1, 4]], np.int32), rng.standard_normal((7, 3))


@right("op", costly=True)
def embedding_large_table(rng):
    """A table of 20,000 numbers of which 12 rows are read."""
    return Lookup(), rng.integers(0, 2000, 12), rng.standard_normal((2000, 10))
