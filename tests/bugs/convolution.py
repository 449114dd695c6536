"""Mistakes in convolution."""

from functools import partial

import numpy as np

import tinyvision.functional as F
from tests.bugs import plant
from tests.cases import randn

# Square and with as many channels in as out, where the shapes give nothing away.
CONV = (F.conv2d, randn(2, 2, 4, 4), randn(2, 2, 3, 3))
PADDED = (F.conv2d, randn(2, 2, 3, 3), randn(2, 2, 3, 3))


@plant(*PADDED, padding=1, cause="flipped")
def conv_kernel_not_flipped(true, g, x, w):
    """The input's gradient correlates with the kernel, where it should convolve."""
    return true(g, x, w[..., ::-1, ::-1])[0], true(g, x, w)[1]


@plant(*PADDED, padding=1, cause="transposed")
def conv_kernel_transposed(true, g, x, w):
    """Rows and columns of the kernel are exchanged."""
    return true(g, x, w.swapaxes(2, 3))[0], true(g, x, w)[1]


@plant(*CONV, cause="transposed")
def conv_filters_transposed(true, g, x, w):
    """The weight's gradient comes out as (C, O) instead of (O, C)."""
    gx, gw = true(g, x, w)
    return gx, gw.swapaxes(0, 1)


@plant(*PADDED, padding=1, cause="flipped")
def conv_upstream_flipped(true, g, x, w):
    """Here the upstream gradient is turned round, which is right for the kernel only."""
    return true(g, x, w)[0], true(g[..., ::-1, ::-1], x, w)[1]


@plant(*PADDED, padding=1, cause="transposed")
def conv_upstream_transposed(true, g, x, w):
    """Rows and columns of the upstream gradient are exchanged."""
    return true(g.swapaxes(2, 3), x, w)


@plant(*CONV, cause=("flipped", "batch-only"))
def conv_batch_swapped(true, g, x, w):
    """A picture meets the gradient of another picture."""
    return true(g, x, w)[0], true(g[::-1], x, w)[1]


@plant(F.conv2d, randn(2, 3, 4, 4), randn(3, 3, 2, 2), cause="shifted")
def conv_filters_rolled(true, g, x, w):
    """A filter meets the gradient of its neighbour, in the input's gradient."""
    return true(np.roll(g, 1, axis=1), x, w)


@plant(*CONV, cause="upstream-ignored")
def conv_upstream_ignored(true, g, x, w):
    """As if the loss were the sum of the output."""
    return true(np.ones_like(g), x, w)


@plant(F.conv2d, randn(1, 2, 5, 5), randn(2, 2, 3, 3), stride=2, cause="shifted")
def conv_stride_ignored(true, g, x, w):
    """The upstream gradient is laid out densely, not with gaps of the stride."""
    dense = np.zeros((1, 2, 3, 3))
    dense[..., :g.shape[2], :g.shape[3]] = g
    return true(dense, x, w, f=F.conv2d)


@plant(*PADDED, padding=1, cause="shifted")
def conv_padding_off_by_one(true, g, x, w):
    """The border is cut off one pixel too far to the front."""
    framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return true(g, framed, w, f=F.conv2d)[0][..., :-2, :-2], true(g, x, w)[1]


@plant(F.conv2d, randn(1, 2, 4, 4), randn(2, 2, 3, 3), padding=2, dilation=2, cause="shifted")
def conv_dilation_ignored(true, g, x, w):
    """The taps of the kernel stand side by side again."""
    return true(g, x, w, f=partial(F.conv2d, padding=1))


@plant(F.conv2d, randn(1, 4, 4, 4), randn(4, 2, 3, 3), groups=2, cause=("shifted", "transposed"))
def conv_groups_mixed_up(true, g, x, w):
    """The filters of one group see the channels of the other."""
    return true(g, x, w)[0], true(g, np.roll(x, 2, axis=1), w)[1]


@plant(F.conv2d, randn(3, 2, 4, 4), randn(3, 2, 3, 3), randn(3), cause=("batch-only", "term-missing", "overwritten"))
def conv_bias_not_summed_over_batch(true, g, x, w, b):
    """The bias gets the gradient of the first picture only."""
    return *true(g, x, w, b)[:2], g[0].sum(axis=(1, 2))


@plant(F.conv_transpose2d, randn(1, 2, 3, 3), randn(2, 2, 2, 2), stride=3, cause="transposed")
def conv_transpose_channels_swapped(true, g, x, w):
    """The weight of a transposed convolution is read as (O, C), that of a convolution."""
    return true(g, x, w.swapaxes(0, 1))[0], true(g, x, w)[1]
