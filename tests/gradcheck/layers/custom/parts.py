"""Right pieces that the custom layers share."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinyvision import Parameter


def param(array, requires_grad=True):
    """A float64 parameter."""
    return Parameter(np.asarray(array), requires_grad, dtype=np.float64)


def sigmoid(x):
    """The logistic function, which never overflows."""
    with np.errstate(over="ignore"):
        return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def spaced(rng, shape, gap=0.1):
    """Distinct numbers, at least `gap` apart, in random order."""
    n = int(np.prod(shape))
    return gap * (rng.permutation(n) - n / 2).reshape(shape)


def away(rng, shape, least=0.05):
    """Normal numbers that keep away from zero."""
    x = rng.standard_normal(shape)
    return x + np.sign(x) * least


def with_zeros(rng, shape):
    """Normal numbers, some of them exactly zero, the first a negative zero."""
    x = rng.standard_normal(shape)
    x[rng.random(shape) < 0.4] = 0.0
    x.flat[0] = -0.0
    return x


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


def patches(x, k, s=1, p=0):
    """(N, C, H, W) -> (N, C, OH, OW, K, L); stride s and padding p are one number, or one per axis."""
    (s0, s1), (p0, p1) = pair(s), pair(p)
    xp = np.pad(x, ((0, 0), (0, 0), (p0, p0), (p1, p1)))
    return sliding_window_view(xp, k, axis=(2, 3))[:, :, ::s0, ::s1]


def spread(cols, shape, s=1, p=0, assign=False):
    """The adjoint of patches, or, with assign, its common mistake."""
    (s0, s1), (p0, p1) = pair(s), pair(p)
    N, C, OH, OW, K, L = cols.shape
    out = np.zeros((N, C, shape[2] + 2 * p0, shape[3] + 2 * p1))
    for i in range(OH):
        for j in range(OW):
            where = np.s_[:, :, i * s0:i * s0 + K, j * s1:j * s1 + L]
            if assign:
                out[where] = cols[:, :, i, j]
            else:
                out[where] += cols[:, :, i, j]
    return out[:, :, p0:p0 + shape[2], p1:p1 + shape[3]]
