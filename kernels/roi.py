"""Regions of interest: the largest pixel of every bin of a box, and weighted sums over the bins of a box.

Contract, for images x (N, C, H, W) and K boxes, box k lying in picture[k]:

    boxes_argmax    x -> index (K, C, OH, OW)     the place in x, read as one row, of the maximum of each bin;
                                                  rows[k] and columns[k] are the (start, count >= 1) of bins_argmax
    boxes_sample    x -> y (K, C, OH, OW)         y[k] = A x[picture[k], :, patch] B^T      rows[k] = (top, A (OH, h)),
                                                                                            columns[k] = (left, B (OW, w))
    boxes_spread    g -> x (N, C, H, W)           its adjoint: x[picture[k], :, patch] += A^T g[k] B

The patch of box k is the h x w pixels from (top, left) on, those for which its matrices have weights.
"""

import numpy as np

from tinyvision.backend import array_module

from .pool import bins_argmax


def boxes_argmax(x, picture, rows, columns, out):
    xp = array_module(x)
    _, C, H, W = x.shape
    index = xp.empty((len(picture), C) + out, np.int64)
    for k, n in enumerate(picture):
        start, count = rows[k]
        top, bottom = start.min(), (start + count).max()                  # only the rows of the box are searched
        planes = (n * C + xp.arange(C)) * H * W + top * W
        index[k] = bins_argmax(x[n, :, top:bottom], ((start - top, count), columns[k])) + planes[:, None, None]
    return index


def patch(n, rows, columns):
    """Where the pixels of a box are: picture n, all channels, the rows and columns its matrices reach."""
    (top, a), (left, b) = rows, columns
    return n, slice(None), slice(top, top + a.shape[1]), slice(left, left + b.shape[1])


def boxes_sample(x, picture, rows, columns, out):
    y = array_module(x).empty((len(picture), x.shape[1]) + out, x.dtype)
    for k, n in enumerate(picture):
        y[k] = rows[k][1] @ x[patch(n, rows[k], columns[k])] @ columns[k][1].T
    return y


def boxes_spread(g, picture, rows, columns, shape):
    x = array_module(g).zeros(shape, g.dtype)
    for k, n in enumerate(picture):
        x[patch(n, rows[k], columns[k])] += rows[k][1].T @ g[k] @ columns[k][1]
    return x
