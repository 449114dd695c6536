"""Products of two matrices through the kernels of convolution: a matrix is a picture with one row of pixels per channel.

    y[i, k] = sum over j of  a[i, j] * b[j, k]

- Where the rows of b lie in one piece, this is a convolution with kernels of one tap: of b as J channels of K pixels, with
  the rows of a as I filters.  Filters are brought into order anyway, so a may be a transposed matrix.
- Where the columns of b do (b is a transposed matrix, as in a linear layer, x @ weight.T), each y is a dot product of two
  lines in memory: the weight gradient of such a convolution, with b's columns as K channels and a's rows as I outputs.
"""

from functools import lru_cache

import numpy as np

from ...memory import empty
from ..registry import forced
from .conv import SMALL, Correlation, WeightGradient
from .jit import solid, threads
from .layout import ONE, Axis

# BLAS cuts large matrices into blocks, the kernels here do not: where b has more than LARGE numbers it is faster, taken by itself.  But
# after a kernel its threads wait for the cores, up to 8 ms.  Products of MEANWHILE multiply-adds are done by then, with no more
# than LARGEST numbers of b.
LARGE, LARGEST, MEANWHILE = 3 << 19, 1 << 22, 1 << 29


@lru_cache(512)
def product_plan(I, J, K, row, step, dtype, workers):
    axes = ONE, ONE, Axis((0,), 1, K, K)
    return Correlation(1, 1, J, I, axes, step * np.arange(J), row, 0, (1, 1, K), (1, 1, 1), (0, 0, 0), dtype, workers)


@lru_cache(512)
def dots_plan(I, J, K, dtype, workers):
    return WeightGradient(1, 1, K, I, (ONE, ONE, Axis((0,), 1, J, J)), K, dtype, workers)


def matmul(a, b):
    if a.ndim != 2 or b.ndim != 2 or a.dtype != b.dtype or a.dtype.char not in "fd":
        return NotImplemented
    (I, J), K = a.shape, b.shape[1]
    work = I * J * K
    if b.size > LARGE and (work > MEANWHILE or b.size > LARGEST):
        return NotImplemented
    if work == 0 or (a.dtype.char == "d" and work < SMALL and not forced()):
        return NotImplemented
    y = empty((I, K), a.dtype)
    if a.flags.c_contiguous and b.flags.f_contiguous and not b.flags.c_contiguous:
        dots_plan(I, J, K, a.dtype, threads.count)(solid(b.T), solid(a), y)
        # pixels behind the end of a line meet zeros, but 0 * inf is not 0
        return y if np.isfinite(y).all() else NotImplemented
    turned = a.flags.f_contiguous and not a.flags.c_contiguous
    row, step = (1, I) if turned else (J, 1)
    product_plan(I, J, K, row, step, a.dtype, threads.count)(solid(b), solid(a.T if turned else a), None, y)
    return y
