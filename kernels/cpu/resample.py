"""Sparse tables along an axis, and pixels by index, row by row in all threads.

NumPy makes an array of every tap, multiplies it and adds it up.  Here a row of the output takes all its taps in turn while it
is in the cache, the first two at once.  Along the last axis a tap reads from all over a row of x: a copy of that row stands in
the worker's own memory, with the zero beside it, and all outputs of the row take their first tap, then their second, ...

A worker owns a contiguous share of the output's rows, or of the planes into which numbers are scattered: no two write to one
place, and every sum is taken in the order of the reference.
"""

from functools import lru_cache
from math import prod

import numpy as np

from ...memory import empty
from .elementwise import declined
from .jit import scratch, shared, solid, threads

GATHER, ADD, PUT, ADD_WIDE = 0, 1, 2, 3                   # ADD_WIDE: in float64, as NumPy's bincount


@shared
def _rows(t, T, x, start, index, weight, y, I, K):
    """x (B * I * K) -> y (B * O * K); row o of the table has the entries start[o] to start[o + 1]

    B: axes in front; I, O: along the axis; K: behind it."""
    O, zero = start.size - 1, x.dtype.type(0)
    rows = y.size // K
    for r in range(rows * t // T, rows * (t + 1) // T):
        base, e, end, row = r // O * I, start[r % O], start[r % O + 1], y[r * K:(r + 1) * K]
        if end - e < 2:                                   # the only entry, or none
            w = weight[e] if e < end else zero
            p = (base + (index[e] if e < end else 0)) * K
            a = x[p:p + K]
            for j in range(K):
                row[j] = w * a[j] if e < end else zero
            continue
        p, q, w, v = (base + index[e]) * K, (base + index[e + 1]) * K, weight[e], weight[e + 1]
        a, b = x[p:p + K], x[q:q + K]
        for j in range(K):
            row[j] = w * a[j] + v * b[j]
        for i in range(e + 2, end):
            p, w = (base + index[i]) * K, weight[i]
            a = x[p:p + K]
            for j in range(K):
                row[j] += w * a[j]


@shared
def _columns(t, T, x, index, weight, y, lines, I, O):
    """x (B * I) -> y (B * O); index, weight (taps * O); lines (T, > I) is the workers' memory"""
    line, B = lines[t], y.size // O
    for r in range(B * t // T, B * (t + 1) // T):
        a, o = x[r * I:(r + 1) * I], y[r * O:(r + 1) * O]
        for j in range(I):
            line[j] = a[j]
        line[I] = 0                                       # what a tap that is not there reads
        for tap in range(index.size // O):
            i, w = index[tap * O:(tap + 1) * O], weight[tap * O:(tap + 1) * O]
            if tap == 0:
                for j in range(O):
                    o[j] = w[j] * line[i[j]]
            else:
                for j in range(O):
                    o[j] += w[j] * line[i[j]]


@shared
def by_index(t, T, x, index, y, what, wide, bad):
    """Between rows of x and of y: gather, add to zeros, put into zeros, or add in float64; a row of index for several of x.

    bad[worker] becomes True where an index lies outside: nothing is read or written there.
    """
    channels, zero = max(1, x.shape[0] // max(1, index.shape[0])), y.dtype.type(0)
    sums, outside = wide[t], False
    for r in range(x.shape[0] * t // T, x.shape[0] * (t + 1) // T):
        a, o, place = x[r], y[r], index[r // channels]
        P = a.size if what == GATHER else o.size
        if what == ADD_WIDE:
            for j in range(P):
                sums[j] = 0.0
        elif what != GATHER:
            for j in range(P):
                o[j] = zero
        for j in range(place.size):
            p = place[j]
            if p < 0 or p >= P:
                outside = True
            elif what == GATHER:
                o[j] = a[p]
            elif what == ADD:
                o[p] += a[j]
            elif what == PUT:
                o[p] = a[j]
            else:
                sums[p] += a[j]
        if what == ADD_WIDE:
            for j in range(P):
                o[j] = sums[j]
    bad[t] = outside


def move(x, index, shape, what):
    """by_index for x (N, C, *) and an index (N, C, *), or (N, *) for all channels; the reference tells of a wrong index."""
    planes, T = x.shape[0] * x.shape[1], threads.count
    y, bad = empty(shape, x.dtype), np.empty(T, bool)
    wide = scratch("wide", T, prod(shape[2:]) if what == ADD_WIDE else 1, np.float64)
    index = solid(index.astype(np.int64, copy=False))
    index = index.reshape(len(index) if index.ndim < x.ndim else planes, -1)
    by_index(solid(x).reshape(planes, -1), index, y.reshape(planes, -1), what, wide, bad, workers=T)
    return NotImplemented if bad.any() else y


# --- the twins of kernels/resample.py

@lru_cache(maxsize=256)
def entries(table, dtype):
    """The taps of a table that are there, row by row: where each row begins, index, weight."""
    there = table.index < table.size
    start = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return start, table.index[there].astype(np.int64), table.weight[there].astype(dtype)


@lru_cache(maxsize=256)
def taps(table, dtype):
    """index and weight, tap by tap; unsigned, for such an index is not tested whether it counts from the end."""
    return table.index.T.astype(np.uint64).ravel(), table.weight.T.astype(dtype).ravel()


def apply(x, table, axis):
    front, back, O, I = x.shape[:axis], x.shape[axis + 1:], len(table.index), table.size
    K, y, T = prod(back), empty(front + (O,) + back, x.dtype), threads.count
    if K == 1:
        _columns(solid(x).reshape(-1), *taps(table, x.dtype), y.reshape(-1), scratch("line", T, I + 1, x.dtype), I, O, workers=T)
    else:
        _rows(solid(x).reshape(-1), *entries(table, x.dtype), y.reshape(-1), I, K)
    return y


def apply_table(x, table, axis):
    weighted = any(weight is not None for _, _, weight in table.taps)
    if declined(x) or x.shape[axis] != table.size or len(table.index) == 0 or (weighted and table.weight.dtype != x.dtype):
        return NotImplemented
    return apply(x, table, axis)


def gather_pixels(x, index):
    if declined(x) or index.size == 0:
        return NotImplemented
    return move(x, index, x.shape[:2] + index.shape[1:], GATHER)


def scatter_pixels(g, index, pixels):
    if declined(g) or pixels == 0:
        return NotImplemented
    return move(g, index, g.shape[:2] + (pixels,), ADD_WIDE)
