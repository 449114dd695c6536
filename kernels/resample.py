"""Sparse tables along an axis, and pixels by index: the data movement of resizing, padding and warping.

Contract:

    apply_table      x (*, I, *) -> y (*, O, *)       y[o] = sum_t weight[o, t] * x[index[o, t]] along one axis
    gather_pixels    x (N, C, P) -> y (N, C, Q)       y[n, c, q] = x[n, c, index[n, q]]
    scatter_pixels   g (N, C, Q) -> x (N, C, P)       its adjoint: x[n, c, p] = sum of g[n, c, q], index[n, q] = p

A Table is a sparse matrix (O, I) with few entries in a row, kept as the taps of its rows.  The transposed matrix is a Table
again, so the adjoint is a gather as well: each element collects its own sum, in a fixed order, without atomics.  Rows
with fewer taps than others are filled up with weight 0 on pixel number I, a zero that stands beside the I pixels of the
axis: since 0 * inf is not 0, a tap of weight 0 must not read a pixel of the picture.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from tinyvision.backend import array_module, constant

from .registry import kernel

BLOCK = 1 << 16                                           # elements of output at a time: input, taps and sum stay in the cache


@dataclass(frozen=True, eq=False)
class Table:
    """A sparse matrix (O, I): index (O, T) of int64 in 0..I, where I reads zero; weight (O, T); size I."""

    index: np.ndarray
    weight: np.ndarray
    size: int

    @classmethod
    def of(cls, row, column, weight, shape):
        """The table with these entries: several at one place add up, zeros are left out."""
        O, I = shape
        place, entry = np.unique(row * I + column, return_inverse=True)
        total = np.bincount(entry.ravel(), weight, len(place))
        place, total = place[total != 0], total[total != 0].astype(weight.dtype)
        row, column = place // I, place % I
        count = np.bincount(row, minlength=O)
        rank = np.arange(len(row)) - (np.cumsum(count) - count)[row]      # first, second, ... entry of its row
        most = max(1, int(count.max(initial=0)))
        table = cls(np.full((O, most), I), np.zeros((O, most), weight.dtype), I)
        table.index[row, rank], table.weight[row, rank] = column, total
        return table

    @cached_property
    def T(self):
        """The transposed table (I, O)."""
        row, tap = np.nonzero(self.index < self.size)
        return Table.of(self.index[row, tap], row, self.weight[row, tap], (self.size, len(self.index)))

    @cached_property
    def taps(self):
        """(rows, index, weight) for each tap: the outputs it is for, slice(None) for all; weight None where all are 1."""
        taps = []
        for t, (index, weight) in enumerate(zip(self.index.T, self.weight.T)):
            used = np.flatnonzero(index < self.size)
            # to single out a few rows costs more per row than to let all of them add a zero
            rows = used if t > 0 and 8 * len(used) < len(index) else slice(None)
            plain = (weight[rows] == 1).all()
            taps.append((rows, np.ascontiguousarray(index[rows]), None if plain else weight[rows]))
        return taps

    @cached_property
    def reads_zero(self):
        return any((index == self.size).any() for _, index, _ in self.taps)


@kernel
def apply_table(x, table, axis):
    """Multiply x (*, I, *) by the table (O, I) along an axis: (*, O, *)."""
    xp = array_module(x)
    front, back, O = x.shape[:axis], x.shape[axis + 1:], len(table.index)
    B, K = prod(front), prod(back)
    x, y = x.reshape(B, table.size, K), xp.empty((B, O, K), x.dtype)
    step = max(1, BLOCK // (O * K or 1)) if xp is np else max(1, B)
    taps = [(rows if isinstance(rows, slice) else constant(x, rows), constant(x, index),
             None if weight is None else constant(x, weight)[:, None]) for rows, index, weight in table.taps]
    for b in range(0, B, step):
        part, total = x[b:b + step], y[b:b + step]
        if table.reads_zero:
            part = xp.concatenate([part, xp.zeros((len(part), 1, K), x.dtype)], axis=1)
        for t, (rows, index, weight) in enumerate(taps):
            term = part.take(index, axis=1)
            if weight is not None:
                term *= weight
            if t == 0:
                total[...] = term
            else:
                total[:, rows] += term
    return y.reshape(front + (O,) + back)


@kernel
def gather_pixels(x, index):
    """x (N, C, P), index (N, Q) of 0..P-1 -> (N, C, Q): the same pixels of every channel."""
    y = array_module(x).empty(x.shape[:2] + index.shape[1:], x.dtype)
    for n, where in enumerate(index):
        y[n] = x[n].take(where, axis=1)
    return y


@kernel
def scatter_pixels(g, index, pixels):
    """Add g (N, C, Q) up into zeros (N, C, pixels), each at its index (N, Q): the adjoint of gather_pixels."""
    xp = array_module(g)
    N, C = g.shape[:2]
    channel = pixels * xp.arange(C)[:, None]
    if xp is not np:                                      # all at once: a GPU adds in any order, and bincount would wait for it
        x = xp.zeros((N, C, pixels), g.dtype)
        planes = C * pixels * xp.arange(N)[:, None, None]
        xp.add.at(x.reshape(-1), (planes + channel + index[:, None]).reshape(-1), g.reshape(-1))
        return x
    x = np.empty((N, C, pixels), g.dtype)
    for n, where in enumerate(index):
        x[n] = np.bincount((where + channel).ravel(), g[n].ravel(), C * pixels).reshape(C, pixels)
    return x
