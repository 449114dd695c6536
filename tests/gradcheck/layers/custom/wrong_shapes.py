"""Wrong custom layers: shapes, lookups, borders and resampling."""

import numpy as np

from tests.gradcheck.layers import wrong
from tinyvision import Op


class FlattenLast(Op):
    def forward(self, x):
        return x.transpose(0, 2, 3, 1).reshape(len(x), -1)

    def backward(self, g, x):
        return g.reshape(x.shape)


@wrong("op", "transposed")
def flatten_channels_last_reshaped_first(rng):
    """Flattened channels last, reshaped back as if channels first."""
    return FlattenLast(), rng.standard_normal((2, 3, 4, 5))


class RunningSum(Op):
    def forward(self, x):
        return np.cumsum(x, axis=1)

    def backward(self, g, x):
        return np.cumsum(g, axis=1)


@wrong("op", "transposed", "flipped")
def cumsum_runs_the_same_way(rng):
    """The running sum's gradient must run from the other end; here J is used for J^T."""
    return RunningSum(), rng.standard_normal((3, 7))


class Mirror(Op):
    def forward(self, x):
        return x[..., ::-1] * 1.5

    def backward(self, g, x):
        return g * 1.5


@wrong("op", "flipped")
def mirrored_picture_not_turned_back(rng):
    """A mirrored picture whose gradient is not mirrored back."""
    return Mirror(), rng.standard_normal((2, 3, 4, 6))


class TemporalShift(Op):
    def forward(self, x):
        y = np.zeros_like(x)
        y[:, 1:, :2], y[:, :-1, 2:4], y[:, :, 4:] = x[:, :-1, :2], x[:, 1:, 2:4], x[:, :, 4:]
        return y

    def backward(self, g, x):
        return self.forward(g)


@wrong("op", "shifted", "transposed", "flipped")
def temporal_shift_same_direction(rng):
    """Temporal shift: the gradient is shifted in the same direction again."""
    return TemporalShift(), rng.standard_normal((2, 6, 6))


class Lookup(Op):
    def forward(self, index, table):
        return table[index]

    def backward(self, g, index, table):
        gt = np.zeros_like(table)
        gt[index] = g
        return None, gt


@wrong("op", "overwritten")
def embedding_assigns_rows(rng):
    """An embedding whose repeated words overwrite each other's gradient."""
    return Lookup(), np.array([[1, 4, 1, 0], [2, 1, 4, 5]]), rng.standard_normal((6, 3))


class Linear2x(Op):
    """Twice as many samples, linear interpolation, ends repeated."""

    def matrix(self, n):
        a = np.zeros((2 * n, n))
        for o in range(2 * n):
            p = np.clip((o + 0.5) / 2 - 0.5, 0, n - 1)
            i = int(p)
            a[o, i] += 1 - (p - i)
            a[o, min(i + 1, n - 1)] += p - i
        return a

    def forward(self, x):
        return x @ self.matrix(x.shape[-1]).T

    def backward(self, g, x):
        gx = g @ self.matrix(x.shape[-1])
        gx[..., -1] = 0.75 * g[..., -2] + g[..., -1]                      # forgets the sample that reaches in from the left
        return gx


@wrong("op", "wrong-slice")
def interpolation_last_sample(rng):
    """Linear interpolation: the last sample misses a contribution."""
    return Linear2x(), rng.standard_normal((2, 3, 6))


class PickFlat(Op):
    def __init__(self, index):
        self.index = index

    def forward(self, x):
        return x.reshape(-1)[self.index]

    def backward(self, g, x):
        gx = np.zeros_like(x)
        gx.reshape(-1)[self.index] = g
        return gx


@wrong("op", "memory-layout")
def pick_pixels_of_transposed(rng):
    """zeros_like follows the input's layout, then reshape(-1) is a copy and the gradient is lost."""
    return PickFlat(rng.permutation(24)[:15]), rng.standard_normal((4, 6))


class SegmentSum(Op):
    def __init__(self, count):
        self.count = count

    def forward(self, x, ids):
        y = np.zeros((self.count, x.shape[1]))
        np.add.at(y, ids, 3.0 * x)
        return y

    def backward(self, g, x, ids):
        gx = np.zeros(x.shape, dtype=ids.dtype)
        gx[...] = 3.0 * g[ids]
        return gx, None


@wrong("op", "precision-lost", "zero-gradient")
def segment_sum_integer_buffer(rng):
    """The gradient is collected in an array of the indices' integer type."""
    return SegmentSum(3), rng.standard_normal((6, 4)), np.array([0, 2, 1, 2, 0, 2])
