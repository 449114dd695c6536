"""Mistakes in pooling."""

from functools import partial

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.bugs import plant
from tests.cases import distinct, randn


@plant(lambda x: F.max_pool1d(tv.stack([x, x], -1).reshape(2, 2, -1), 2), randn(2, 2, 5),
       cause=("ties-counted-twice", "constant-factor"))
def max_pool_all_ties(true, g, x):
    """Each of several equal maxima gets the whole gradient; here two that move together, so the slope is defined."""
    return 2 * g


@plant(F.max_pool2d, distinct(1, 2, 5, 5), kernel_size=3, stride=1, cause="overwritten")
def max_pool_overwritten(true, g, x):
    """A pixel that is the maximum of several windows keeps the gradient of the last one."""
    index = F.max_pool2d(x, 3, stride=1, return_indices=True)[1]
    gx = np.zeros((1, 2, 25))
    np.put_along_axis(gx, np.asarray(index).reshape(1, 2, -1), g.reshape(1, 2, -1), axis=-1)
    return gx.reshape(x.shape)


@plant(F.max_pool2d, distinct(1, 2, 4, 4), kernel_size=2, cause="mask-missing")
def max_pool_spread(true, g, x):
    """The whole window shares the gradient, as in average pooling."""
    return true(g, x, f=partial(F.avg_pool2d, kernel_size=2))


@plant(F.max_pool2d, distinct(1, 2, 4, 6), kernel_size=2, cause=("nonsquare-only", "transposed"))
def max_pool_index_of_wrong_width(true, g, x):
    """Flat positions are split into rows by the height instead of the width."""
    index = np.asarray(F.max_pool2d(x, 2, return_indices=True)[1]).reshape(2, -1)
    gx = np.zeros((2, 6, 4))
    for channel in range(2):
        np.add.at(gx[channel], (index[channel] // 4, index[channel] % 4), g.reshape(2, -1)[channel])
    return gx.swapaxes(1, 2)[None]


@plant(F.avg_pool2d, randn(1, 2, 5, 5), kernel_size=3, stride=2, cause="constant-factor")
def avg_pool_divisor_missing(true, g, x):
    """Every pixel of the window gets the whole gradient, not a ninth."""
    return 9 * true(g, x)[0]


@plant(F.avg_pool2d, randn(1, 2, 4, 4), kernel_size=3, stride=2, padding=1, count_include_pad=False,
       cause=("wrong-slice", "factor-per-axis"))
def avg_pool_border_counted(true, g, x):
    """Divided by all nine, though windows at the border hold fewer pixels."""
    return true(g, x, f=partial(F.avg_pool2d, kernel_size=3, stride=2, padding=1))
