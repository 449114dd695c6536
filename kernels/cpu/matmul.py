"""Products of two matrices.

    y[i, k] = sum over j of  a[i, j] * b[j, k]

Where b has at most LARGE numbers, the kernels of convolution do it, for a matrix is a picture with one row of pixels per channel:

- Where the rows of b lie in one piece, this is a convolution with kernels of one tap: of b as J channels of K pixels, with
  the rows of a as I filters.  Filters are brought into order anyway, so a may be a transposed matrix.
- Where the columns of b do (b is a transposed matrix, as in a linear layer, x @ weight.T), each y is a dot product of two
  lines in memory, as in the weight gradient of such a convolution: b's columns are K channels of J pixels, a's rows the
  gradients of I filters.  (If a is transposed as well, b is copied first.)

Tiles and copies are those of conv.py: b is read in place only if K is at least a vector or, of dot products, J is whole vectors.

With at most FEW rows of an a that is not transposed, a larger b whose columns lie in one piece is treated so, too, but with the
two exchanged: its K columns are the filters, of which each worker owns some, and y comes out transposed.  Any other larger b is
cut into blocks, and so are a and y: a worker has a block of y at a time, and slices along j, one after the other, of the rows of
a and the columns of b that it needs.  It copies them side by side, whatever their order was in memory:

    rows      the slice of a      rows[i * DEPTH + j]                    at most 192 x 256 numbers
    columns   the slice of b      columns[(v * DEPTH + j) * L + lane]    at most 256 x 384 numbers of float32, in vectors v
    block     the block of y      block[i * width + k]                   at most 192 x 384

Together that is 0.9 MB (1.1 in float64), about what a core's second-level cache holds, and every number of it is multiplied with
hundreds of others.

Source: Goto and van de Geijn 2008, doi:10.1145/1356052.1356053 (blocks and their copies).
"""

from functools import lru_cache

import numpy as np

from ...memory import empty
from ..registry import forced
from . import tile
from .conv import Correlation, WeightGradient
from .jit import FLOATS, inner, scratch, shared, solid, threads
from .layout import ONE, Axis, record

ROWS, WIDTH, DEPTH = 192, 1536, 256                       # of a block: rows of a, bytes of a row of b, numbers along j
LARGE, FEW = 3 << 19, 16                                  # measured: from so many numbers of b, and rows of a, on copies pay
ALONE = 1 << 18                                           # multiply-adds up to which OpenBLAS, and we, stay on the caller's thread


@inner
def bring_rows(to, a, start, g, height, depth, aside):
    """to[i * DEPTH + j] = a[i, j] of a slice at a[start].  Of a turned matrix mix_rows transposes L columns at a time (they are its
    images, g.I apart, and their numbers its pixels), to `aside`, [i, lane].
    """
    if not g.a_turned:
        tile.copy_rows(to, 0, DEPTH, a, start, g.J, height, depth)
        return
    for j in range(0, depth, g.L):
        some = min(g.L, depth - j)
        tile.mix_rows(aside, 0, a, start + j * g.I, g.I, some, height)
        tile.copy_rows(to, j, DEPTH, aside, 0, g.L, height, some)


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
    many, one = tile.product_tile(M, N), tile.product_tile(M, 1)

    def product(t, T, a, b, y, geometry, all_rows, all_columns, all_blocks, asides):
        g = geometry[0]
        rows, columns, block, L = all_rows[t], all_columns[t], all_blocks[t], g.L
        for item in range(t, g.down * g.across, T):
            i0, k0 = item % g.down * g.height, item // g.down * g.width
            height, width = min(g.height, g.I - i0), min(g.width, g.K - k0)
            V, bottom = (width + L - 1) // L, (height + M - 1) // M * M   # rows behind the last are computed, and not looked at
            tile.clear_row(block, 0, bottom * g.width)
            for j0 in range(0, g.J, DEPTH):
                depth = min(DEPTH, g.J - j0)
                bring_rows(rows, a, i0 + j0 * g.I if g.a_turned else i0 * g.J + j0, g, height, depth, asides[t])
                bring_columns(columns, b, k0 * g.J + j0 if g.b_turned else j0 * g.K + k0, g, width, depth)
                for v in range(0, V // N * N, N):
                    for i in range(0, bottom, M):
                        many(rows, i * DEPTH, DEPTH, columns, v * DEPTH * L, DEPTH * L, depth, block, i * g.width + v * L, g.width)
                for v in range(V // N * N, V):
                    for i in range(0, bottom, M):
                        one(rows, i * DEPTH, DEPTH, columns, v * DEPTH * L, DEPTH * L, depth, block, i * g.width + v * L, g.width)
            tile.copy_rows(y, i0 * g.K + k0, g.K, block, 0, g.width, height, width)

    return shared(product)


class Blocks:
    """The plan of a product in blocks."""

    def __init__(self, I, J, K, a_turned, b_turned, dtype, workers):
        (M, N), L = tile.FMA, tile.lanes(dtype)
        most, step = WIDTH // dtype.itemsize, N * L
        height, width = min(ROWS, -(-I // M) * M), min(most, -(-K // step) * step)
        down, self.workers = -(-I // height), workers
        while down * -(-K // width) < 2 * workers and width > step:       # two items for each worker, if that is possible
            width = max(1, width // 2 // step) * step
        self.kernel = blocks_kernel()
        self.geometry = record(I=I, J=J, K=K, L=L, height=height, width=width, down=down, across=-(-K // width), a_turned=a_turned,
                               b_turned=b_turned)
        self.scratch = [(f"{name} of a product", workers, numbers, dtype) for name, numbers in
                        (("rows", ROWS * DEPTH), ("columns", most * DEPTH), ("block", ROWS * most), ("aside", ROWS * L))]

    def __call__(self, a, b, y):
        self.kernel(a.reshape(-1), b.reshape(-1), y.reshape(-1), self.geometry, *[scratch(*what) for what in self.scratch],
                    workers=self.workers)


@lru_cache(512)
def blocks_plan(*what):
    return Blocks(*what)


@lru_cache(512)
def product_plan(I, J, K, row, column, dtype, workers):
    """y = a @ b as a Correlation: x is b, J channels of one row of K pixels; w is a, whose [i, j] is at i*row + j*column."""
    axes = ONE, ONE, Axis((0,), 1, K, K)
    return Correlation(images=1, groups=1, C=J, O=I, axes=axes, woff=column * np.arange(J), wrow=row, wgroup=0, out=(1, 1, K),
                       step=(1, 1, 1), first=(0, 0, 0), dtype=dtype, workers=workers)


@lru_cache(512)
def dots_plan(I, J, K, dtype, workers):
    """y = a @ b as a WeightGradient: x is b's columns, K channels of one row of J pixels; u is a's rows, those of I filters."""
    axes = ONE, ONE, Axis((0,), 1, J, J)
    return WeightGradient(images=1, groups=1, C=K, O=I, axes=axes, taps=K, dtype=dtype, workers=workers)        # a tap per channel


def turned(x):
    """Whether it is the columns of a matrix that lie in one piece."""
    return x.flags.f_contiguous and not x.flags.c_contiguous


def matmul(a, b):
    if a.dtype != b.dtype or a.dtype not in FLOATS:
        return NotImplemented
    if a.ndim != 2 or b.ndim != 2:
        return stacks(a, b)
    (I, J), K = a.shape, b.shape[1]
    work = I * J * K
    # what BLAS does alone it does without our plans, which take longer than the product; vectors it cuts up sooner
    if work == 0 or (work <= ALONE and (a.dtype.char == "d" or min(I, K) > 1) and not forced()):
        return NotImplemented
    workers = 1 if work <= ALONE else threads.count       # to wake another would take longer
    y, a_turned, b_turned = empty((I, K), a.dtype), turned(a), turned(b)
    a, b = solid(a.T if a_turned else a), solid(b.T if b_turned else b)
    dots, large = b_turned and not a_turned, J * K > LARGE
    if large and not (dots and I <= FEW):
        blocks_plan(I, J, K, a_turned, b_turned, y.dtype, workers)(a, b, y)
    elif dots:
        if large:
            upright = empty((K, I), y.dtype)
            dots_plan(K, J, I, y.dtype, workers)(a, b, upright)
            y[...] = upright.T
        else:
            dots_plan(I, J, K, y.dtype, workers)(b, a, y)
        # dot products go by whole vectors: a line of one matrix is filled up with zeros, and these meet what lies behind the line
        # of the other.  0 * inf there is not 0: what is not finite NumPy does anew.  (Elsewhere such lanes are not looked at.)
        return y if np.isfinite(y).all() else NotImplemented
    else:
        row, column = (1, I) if a_turned else (J, 1)
        product_plan(I, J, K, row, column, y.dtype, workers)(b if not b_turned else solid(b.T), a, None, y)
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
