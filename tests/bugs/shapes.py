"""Mistakes in operations that move, pick and resample."""

from functools import partial

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.bugs import plant
from tests.cases import randn, uniform


@plant(tv.cumsum, randn(3, 4), axis=1, cause=("flipped", "transposed"))
def cumsum_not_reversed(true, g, x):
    """The running sum of the gradient starts at the wrong end."""
    return g.cumsum(axis=1)


@plant(lambda x: x.transpose(1, 2, 0), randn(3, 3, 3), cause="transposed")
def transpose_not_inverted(true, g, x):
    """The same permutation back as forth."""
    return g.transpose(1, 2, 0)


@plant(lambda x, y: tv.concatenate([x, y]), randn(2, 3), randn(2, 3), cause="swapped-gradients")
def concatenate_swapped(true, g, x, y):
    """The pieces are handed back in the wrong order."""
    return g[2:], g[:2]


@plant(tv.flip, randn(3, 4), axis=1, cause="flipped")
def flip_forgotten(true, g, x):
    """The gradient is not turned back."""
    return g


@plant(lambda x: x[np.array([0, 2, 2, 1, 2])], randn(4, 3), cause="overwritten")
def repeated_index_overwritten(true, g, x):
    """Of an element that is read three times only the last reader counts."""
    gx = np.zeros_like(x)
    gx[np.array([0, 2, 2, 1, 2])] = g
    return gx

LARGE = (6, 6)


@plant(F.interpolate, randn(1, 2, 3, 3), size=LARGE, mode="bilinear", cause=("term-missing", "overwritten"))
def interpolate_tap_dropped(true, g, x):
    """Each pixel of the output reports to the nearer of its two neighbours along each axis only."""
    taps = F.interpolate(np.eye(3)[None], size=6, mode="linear")[0].T                         # (6, 3)
    nearer = np.where(taps == taps.max(axis=1, keepdims=True), taps, 0)
    return np.einsum("hi,nchw,wj->ncij", nearer, g, nearer)


@plant(F.interpolate, randn(1, 2, 3, 3), size=LARGE, mode="bilinear", cause="shifted")
def interpolate_corners_aligned(true, g, x):
    """The grid of align_corners=True for that of False."""
    return true(g, x, f=partial(F.interpolate, size=LARGE, mode="bilinear", align_corners=True))


@plant(F.pad, randn(2, 2, 4), pad=(2, 1), mode="reflect", cause=("term-missing", "wrong-slice"))
def reflection_lost(true, g, x):
    """The gradient of the reflected border is cut off, as for a border of zeros."""
    return g[..., 2:-1]


@plant(F.pixel_shuffle, randn(1, 4, 2, 2), upscale_factor=2, cause="transposed")
def pixel_shuffle_transposed(true, g, x):
    """Rows and columns within each block are exchanged."""
    return true(g, x)[0].reshape(1, 2, 2, 2, 2).swapaxes(1, 2).reshape(x.shape)


@plant(F.grid_sample, randn(1, 2, 4, 6), uniform(-0.7, 0.7, 1, 3, 3, 2), align_corners=False, cause="factor-per-axis")
def grid_sample_units(true, g, x, grid):
    """The grid's gradient per pixel, not per half a picture."""
    gx, ggrid = true(g, x, grid)
    return gx, ggrid / np.array([3.0, 2.0])
