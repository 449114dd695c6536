"""Mistakes in losses, resampling and borders."""

from functools import partial

import numpy as np

import tinyvision.functional as F
from tests.bugs import plant
from tests.cases import randn, uniform

# --- losses

LABELS = np.array([2, 0, 3])


@plant(F.cross_entropy, randn(3, 4), target=LABELS)
def cross_entropy_not_averaged(true, g, x):
    """Without 1/N."""
    return 3 * true(g, x)[0]


@plant(F.cross_entropy, randn(3, 4), target=LABELS)
def cross_entropy_upstream_ignored(true, g, x):
    """Right as the last op before backward(), wrong as soon as the loss is weighted or added to another."""
    return true(np.ones_like(g), x)[0]


@plant(F.cross_entropy, randn(3, 4), target=LABELS, label_smoothing=0.2)
def cross_entropy_smoothing_ignored(true, g, x):
    """The gradient of the loss without label smoothing."""
    return true(g, x, f=partial(F.cross_entropy, target=LABELS))


@plant(F.cross_entropy, randn(3, 4), target=LABELS, weight=np.array([1.0, 2.0, 0.5, 3.0]))
def cross_entropy_weights_divided_by_batch(true, g, x):
    """Weighted, but divided by N instead of the sum of the weights."""
    return true(g, x)[0] * (0.5 + 1.0 + 3.0) / 3


@plant(F.mse_loss, randn(3, 4), randn(3, 4))
def mse_factor_missing(true, g, x, y):
    """The 2 of the square's derivative."""
    gx, gy = true(g, x, y)
    return gx / 2, gy / 2


@plant(F.mse_loss, randn(3, 4), randn(3, 4))
def mse_target_sign(true, g, x, y):
    """The target's gradient has the input's sign."""
    gx, _ = true(g, x, y)
    return gx, gx


@plant(F.smooth_l1_loss, uniform(0.5, 0.9, 3, 4), uniform(-0.3, 0.3, 3, 4), beta=2.0)
def smooth_l1_beta_ignored(true, g, x, y):
    """The bend stands at 1, wherever beta wants it."""
    return true(g, x, y, f=F.smooth_l1_loss)


# --- resampling and borders

LARGE = (6, 6)


@plant(F.interpolate, randn(1, 2, 3, 3), size=LARGE, mode="bilinear")
def interpolate_tap_dropped(true, g, x):
    """Each pixel of the output reports to the nearer of its two neighbours along each axis only."""
    taps = F.interpolate(np.eye(3)[None], size=6, mode="linear")[0].T                         # (6, 3)
    nearer = np.where(taps == taps.max(axis=1, keepdims=True), taps, 0)
    return np.einsum("hi,nchw,wj->ncij", nearer, g, nearer)


@plant(F.interpolate, randn(1, 2, 3, 3), size=LARGE, mode="bilinear")
def interpolate_corners_aligned(true, g, x):
    """The grid of align_corners=True for that of False."""
    return true(g, x, f=partial(F.interpolate, size=LARGE, mode="bilinear", align_corners=True))


@plant(F.pad, randn(2, 2, 4), pad=(2, 1), mode="reflect")
def reflection_lost(true, g, x):
    """The gradient of the reflected border is cut off, as for a border of zeros."""
    return g[..., 2:-1]


@plant(F.pixel_shuffle, randn(1, 4, 2, 2), upscale_factor=2)
def pixel_shuffle_transposed(true, g, x):
    """Rows and columns within each block are exchanged."""
    return true(g, x)[0].reshape(1, 2, 2, 2, 2).swapaxes(1, 2).reshape(x.shape)


@plant(F.grid_sample, randn(1, 2, 4, 6), uniform(-0.7, 0.7, 1, 3, 3, 2), align_corners=False)
def grid_sample_units(true, g, x, grid):
    """The grid's gradient per pixel, not per half a picture."""
    gx, ggrid = true(g, x, grid)
    return gx, ggrid / np.array([3.0, 2.0])
