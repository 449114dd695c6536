"""Mistakes in operations that move, multiply and add: convolution, products, arithmetic, movement."""

from functools import partial

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.bugs import plant
from tests.cases import randn, uniform

# --- convolution; square and with as many channels in as out, where the shapes give nothing away

CONV = (F.conv2d, randn(2, 3, 5, 5), randn(3, 3, 3, 3))


@plant(*CONV, padding=1)
def conv_kernel_not_flipped(true, g, x, w):
    """The input's gradient correlates with the kernel, where it should convolve."""
    return true(g, x, w[..., ::-1, ::-1])[0], true(g, x, w)[1]


@plant(*CONV, padding=1)
def conv_kernel_transposed(true, g, x, w):
    """Rows and columns of the kernel are exchanged."""
    return true(g, x, w.swapaxes(2, 3))[0], true(g, x, w)[1]


@plant(*CONV)
def conv_filters_transposed(true, g, x, w):
    """The weight's gradient comes out as (C, O) instead of (O, C)."""
    gx, gw = true(g, x, w)
    return gx, gw.swapaxes(0, 1)


@plant(*CONV, padding=1)
def conv_upstream_flipped(true, g, x, w):
    """Here the upstream gradient is turned round, which is right for the kernel only."""
    return true(g, x, w)[0], true(g[..., ::-1, ::-1], x, w)[1]


@plant(*CONV, padding=1)
def conv_upstream_transposed(true, g, x, w):
    """Rows and columns of the upstream gradient are exchanged."""
    return true(g.swapaxes(2, 3), x, w)


@plant(*CONV)
def conv_batch_swapped(true, g, x, w):
    """A picture meets the gradient of another picture."""
    return true(g, x, w)[0], true(g[::-1], x, w)[1]


@plant(*CONV)
def conv_filters_rolled(true, g, x, w):
    """A filter meets the gradient of its neighbour, in the input's gradient."""
    return true(np.roll(g, 1, axis=1), x, w)


@plant(*CONV)
def conv_upstream_ignored(true, g, x, w):
    """As if the loss were the sum of the output."""
    return true(np.ones_like(g), x, w)


@plant(*CONV, stride=2)
def conv_stride_ignored(true, g, x, w):
    """The upstream gradient is laid out densely, not with gaps of the stride."""
    dense = np.zeros((2, 3, 3, 3))
    dense[..., :g.shape[2], :g.shape[3]] = g
    return true(dense, x, w, f=F.conv2d)


@plant(*CONV, padding=1)
def conv_padding_off_by_one(true, g, x, w):
    """The border is cut off one pixel too far to the front."""
    framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return true(g, framed, w, f=F.conv2d)[0][..., :-2, :-2], true(g, x, w)[1]


@plant(*CONV, padding=2, dilation=2)
def conv_dilation_ignored(true, g, x, w):
    """The taps of the kernel stand side by side again."""
    return true(g, x, w, f=partial(F.conv2d, padding=1))


@plant(F.conv2d, randn(2, 4, 4, 4), randn(4, 2, 3, 3), groups=2)
def conv_groups_mixed_up(true, g, x, w):
    """The filters of one group see the channels of the other."""
    return true(g, x, w)[0], true(g, np.roll(x, 2, axis=1), w)[1]


@plant(F.conv2d, randn(3, 2, 4, 4), randn(3, 2, 3, 3), randn(3))
def conv_bias_not_summed_over_batch(true, g, x, w, b):
    """The bias gets the gradient of the first picture only."""
    return *true(g, x, w, b)[:2], g[0].sum(axis=(1, 2))


@plant(F.conv_transpose2d, randn(1, 2, 3, 3), randn(2, 2, 2, 2), stride=3)
def conv_transpose_channels_swapped(true, g, x, w):
    """The weight of a transposed convolution is read as (O, C), that of a convolution."""
    return true(g, x, w.swapaxes(0, 1))[0], true(g, x, w)[1]


# --- products

@plant(tv.matmul, randn(4, 4), randn(4, 4))
def matmul_not_transposed(true, g, a, b):
    """g B for g B^T: the shapes agree where matrices are square."""
    return g @ b, a.T @ g


@plant(tv.matmul, randn(4, 4), randn(4, 4))
def matmul_wrong_order(true, g, a, b):
    """g A^T for A^T g."""
    return g @ b.T, g @ a.T


@plant(F.linear, randn(3, 4), randn(4, 4), randn(4))
def linear_weight_transposed(true, g, x, w, b):
    """The weight's gradient comes out as (I, O)."""
    return g @ w, x.T @ g, g.sum(axis=0)


@plant(F.linear, randn(3, 4), randn(2, 4), randn(2))
def linear_bias_averaged(true, g, x, w, b):
    """The mean over the batch for the sum."""
    return g @ w, g.T @ x, g.mean(axis=0)


# --- arithmetic, reductions, movement

@plant(tv.divide, randn(3, 4), uniform(0.5, 2, 3, 4))
def divide_sign(true, g, x, y):
    """The minus of d(x/y)/dy = -x/y^2 is lost."""
    return g / y, g * x / y ** 2


@plant(tv.multiply, randn(3, 4), randn(4))
def broadcast_averaged(true, g, x, y):
    """Broadcasting repeats, so its gradient is a sum, not a mean."""
    return g * y, (g * x).mean(axis=0)


@plant(lambda x: x ** 3, randn(3, 4))
def power_factor_missing(true, g, x):
    """x^2 for 3 x^2."""
    return g * x ** 2


@plant(lambda x: x * x, randn(3, 4))
def one_use_of_two(true, g, x):
    """x enters twice, and both uses count."""
    return g * x


@plant(tv.mean, randn(3, 4), axis=1)
def mean_divides_by_all(true, g, x):
    """Divided by the number of all elements, not of those averaged."""
    return np.repeat(g[:, None], 4, axis=1) / x.size


@plant(tv.cumsum, randn(3, 4), axis=1)
def cumsum_not_reversed(true, g, x):
    """The running sum of the gradient starts at the wrong end."""
    return g.cumsum(axis=1)


@plant(lambda x: x.transpose(1, 2, 0), randn(3, 3, 3))
def transpose_not_inverted(true, g, x):
    """The same permutation back as forth."""
    return g.transpose(1, 2, 0)


@plant(lambda x, y: tv.concatenate([x, y]), randn(2, 3), randn(2, 3))
def concatenate_swapped(true, g, x, y):
    """The pieces are handed back in the wrong order."""
    return g[2:], g[:2]


@plant(tv.flip, randn(3, 4), axis=1)
def flip_forgotten(true, g, x):
    """The gradient is not turned back."""
    return g


@plant(lambda x: x[np.array([0, 2, 2, 1, 2])], randn(4, 3))
def repeated_index_overwritten(true, g, x):
    """Of an element that is read three times only the last reader counts."""
    gx = np.zeros_like(x)
    gx[np.array([0, 2, 2, 1, 2])] = g
    return gx
