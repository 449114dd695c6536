"""Products of two matrices.

    y[i, k] = sum over j of  a[i, j] * b[j, k]

Small ones go through the kernels of convolution, for a matrix is a picture with one row of pixels per channel:

- Where the rows of b lie in one piece, this is a convolution with kernels of one tap: of b as J channels of K pixels, with
  the rows of a as I filters.  Filters are brought into order anyway, so a may be a transposed matrix.
- Where the columns of b do (b is a transposed matrix, as in a linear layer, x @ weight.T), each y is a dot product of two
  lines in memory: the weight gradient of such a convolution, with b's columns as K channels and a's rows as I outputs.

Large ones are cut into blocks: of y, one for a worker at a time, and along j into slices, so that what is multiplied with each
other stays in a core's second-level cache.  There the slice of a is brought into rows, that of b into vectors of columns, whatever
their order was in memory.

Source: Goto and van de Geijn 2008, doi:10.1145/1356052.1356053 (blocks and their copies).
"""

from functools import lru_cache

import numpy as np

from ...memory import empty
from ..registry import forced
from . import tile
from .conv import Correlation, WeightGradient
from .jit import inner, scratch, shared, solid, threads
from .layout import ONE, Axis, record

ROWS, COLUMNS, DEPTH = 192, 1536, 256                     # of a block: rows of a, bytes of a row of b, numbers along j
LARGE, FEW = 3 << 19, 4                                   # numbers of b from which on cutting it is faster; rows of a for which no copy pays
ALONE = 1 << 18                                           # multiply-adds that NumPy's BLAS does without its threads


@inner
def bring_rows(to, a, start, g, rows, depth, aside):
    """to[i * DEPTH + j] = a[i, j] of a slice that begins at a[start]"""
    if not g.a_turned:
        for i in range(rows):
            tile.copy_row(to, i * DEPTH, a, start + i * g.J, depth)
        return
    for j in range(0, depth, g.L):
        some = min(g.L, depth - j)
        tile.mix_rows(aside, 0, a, start + j * g.I, g.I, some, rows)
        for i in range(rows):
            tile.copy_row(to, i * DEPTH + j, aside, i * g.L, some)


@inner
def bring_columns(to, b, start, g, width, depth):
    """to[(v * DEPTH + j) * L + lane] = b[j, v * L + lane] of a slice that begins at b[start], and zeros behind it"""
    for v in range((width + g.L - 1) // g.L):
        there = min(g.L, width - v * g.L)
        if g.b_turned:
            tile.mix_rows(to, v * DEPTH * g.L, b, start + v * g.L * g.J, g.J, there, depth)
        else:
            for j in range(depth):
                tile.copy_padded(to, (v * DEPTH + j) * g.L, b, start + j * g.K + v * g.L, there)


@lru_cache(None)
def blocks_kernel():
    M, N = tile.FMA
    some, one = tile.product_tile(M, N), tile.product_tile(M, 1)

    def product(t, T, a, b, y, geometry, rows, columns, sums, asides):
        g = geometry[0]
        row, column, total, L = rows[t], columns[t], sums[t], g.L
        for item in range(t, g.down * g.across, T):
            i0, k0 = item % g.down * g.rows, item // g.down * g.columns
            height, width = min(g.rows, g.I - i0), min(g.columns, g.K - k0)
            V, blocks = (width + L - 1) // L, (height + M - 1) // M
            tile.clear_row(total, 0, blocks * M * g.columns)
            for j0 in range(0, g.J, DEPTH):
                depth = min(DEPTH, g.J - j0)
                bring_rows(row, a, i0 + j0 * g.I if g.a_turned else i0 * g.J + j0, g, height, depth, asides[t])
                bring_columns(column, b, k0 * g.J + j0 if g.b_turned else j0 * g.K + k0, g, width, depth)
                for v in range(0, V // N * N, N):
                    for m in range(0, blocks * M, M):
                        some(row, m * DEPTH, DEPTH, column, v * DEPTH * L, DEPTH * L, depth, total, m * g.columns + v * L, g.columns)
                for v in range(V // N * N, V):
                    for m in range(0, blocks * M, M):
                        one(row, m * DEPTH, DEPTH, column, v * DEPTH * L, DEPTH * L, depth, total, m * g.columns + v * L, g.columns)
            for i in range(height):
                tile.copy_row(y, (i0 + i) * g.K + k0, total, i * g.columns, width)

    return shared(product)


class Blocks:
    """The plan of a product in blocks."""

    def __init__(self, I, J, K, a_turned, b_turned, dtype, workers):
        (M, N), L = tile.FMA, tile.lanes(dtype)
        most, step = COLUMNS // dtype.itemsize, N * L
        rows, columns = min(ROWS, -(-I // M) * M), min(most, -(-K // step) * step)
        down, self.workers = -(-I // rows), workers
        while down * -(-K // columns) < 2 * workers and columns > step:
            columns = max(1, columns // 2 // step) * step
        self.kernel = blocks_kernel()
        self.geometry = record(I=I, J=J, K=K, L=L, rows=rows, columns=columns, down=down, across=-(-K // columns), a_turned=a_turned,
                               b_turned=b_turned)
        self.scratch = [(name, workers, numbers, dtype) for name, numbers in
                        (("rows", ROWS * DEPTH), ("columns", most * DEPTH), ("sums of rows", ROWS * most), ("aside", ROWS * L))]

    def __call__(self, a, b, y):
        self.kernel(a.reshape(-1), b.reshape(-1), y.reshape(-1), self.geometry, *[scratch(*what) for what in self.scratch],
                    workers=self.workers)


@lru_cache(512)
def blocks_plan(*what):
    return Blocks(*what)


@lru_cache(512)
def product_plan(I, J, K, row, step, dtype, workers):
    axes = ONE, ONE, Axis((0,), 1, K, K)
    return Correlation(1, 1, J, I, axes, step * np.arange(J), row, 0, (1, 1, K), (1, 1, 1), (0, 0, 0), dtype, workers)


@lru_cache(512)
def dots_plan(I, J, K, dtype, workers):
    return WeightGradient(1, 1, K, I, (ONE, ONE, Axis((0,), 1, J, J)), K, dtype, workers)


def turned(x):
    """Whether it is the columns of a matrix that lie in one piece."""
    return x.flags.f_contiguous and not x.flags.c_contiguous


def matmul(a, b):
    if a.dtype != b.dtype or a.dtype.char not in "fd":
        return NotImplemented
    if a.ndim != 2 or b.ndim != 2:
        return stacks(a, b)
    (I, J), K = a.shape, b.shape[1]
    work = I * J * K
    if work == 0 or (a.dtype.char == "d" and work <= ALONE and not forced()):
        return NotImplemented
    y, a_turned, b_turned = empty((I, K), a.dtype), turned(a), turned(b)
    a, b = solid(a.T if a_turned else a), solid(b.T if b_turned else b)
    dots = b_turned and not a_turned
    if J * K > LARGE and not (dots and I <= FEW):
        blocks_plan(I, J, K, a_turned, b_turned, y.dtype, threads.count)(a, b, y)
    elif dots:
        dots_plan(I, J, K, y.dtype, threads.count)(b, a, y)
        # pixels behind the end of a line meet zeros, but 0 * inf is not 0
        return y if np.isfinite(y).all() else NotImplemented
    else:
        row, step = (1, I) if a_turned else (J, 1)
        product_plan(I, J, K, row, step, y.dtype, threads.count)(b if not b_turned else solid(b.T), a, None, y)
    return y


def stacks(a, b):
    """Matrices with axes in front: one after the other, where each is so large that BLAS would start its threads."""
    if a.ndim < 2 or b.ndim < 2 or a.shape[-2] * a.shape[-1] * b.shape[-1] <= ALONE:
        return NotImplemented
    front = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(x, front + x.shape[-2:]) for x in (a, b))
    y = empty((*front, a.shape[-2], b.shape[-1]), a.dtype)
    for place in np.ndindex(front):
        found = matmul(a[place], b[place])
        y[place] = a[place] @ b[place] if found is NotImplemented else found
    return y
