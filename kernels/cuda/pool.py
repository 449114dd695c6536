"""Launching kernels/pool.cu.

Signals and pictures are volumes with axes of size 1.  The windows of most networks have kernels of their own, in which taps and
strides are numbers that the compiler knows; all others share one.
"""

import functools
from math import prod

import numpy as np

from tinyvision.backend import array_module

from . import module
from .conv import declined, solid, three

MAXIMUM, SUMS, MOVES = range(3)
THREADS = 256
MOST_INDICES = 4096                                       # of a plane: scatter_add compares each with each
FIXED = {((1, 2, 2), (1, 2, 2)), ((1, 3, 3), (1, 2, 2)), ((1, 3, 3), (1, 1, 1)), ((1, 3, 3), (1, 3, 3)), ((2, 2, 2), (2, 2, 2))}

GEOMETRY = np.dtype([(name, "i4", 3) for name in ("size", "out", "taps", "stride", "low", "step", "cells")])


class Plan:
    """A pooling as a record of integers, and the constants of its kernels."""

    def __init__(self, sizes, out, window):
        taps, stride, step = three(window.size, 1), three(window.stride, 1), three(window.dilation, 1)
        low, size, self.taps = three([lo for lo, _ in window.padding], 0), three(sizes, 1), prod(taps)
        fixed = (taps, stride) in FIXED and step == (1, 1, 1)
        cell = stride if fixed else (1, 1, 1)
        cells = [module.blocks(lo + h, c) for lo, h, c in zip(low, size, cell)]
        self.constants, self.cells, self.windows = dict(FIXED=fixed, THREADS=THREADS), prod(cells), prod(out)
        if fixed:
            self.constants.update(zip(("K0", "K1", "K2", "S0", "S1", "S2"), taps + stride))
        self.tap = np.min_scalar_type(self.taps)
        self.record = record(size=size, out=three(out, 1), taps=taps, stride=stride, low=low, step=step, cells=cells)


def record(**values):
    r = np.zeros(1, GEOMETRY)
    for name, value in values.items():
        r[name] = value
    return r


plan_of = functools.lru_cache(512)(Plan)


@functools.lru_cache(512)
def adaptive_plan(sizes, out):
    """The record of adaptive windows, their number, and the pixels of the largest."""
    largest = prod(module.blocks(h, o) + (h % o > 0) for h, o in zip(sizes, out))
    return record(size=three(sizes, 1), out=three(out, 1)), prod(out), largest


def run(name, count, args, **constants):
    """One thread for each of `count`, in blocks of THREADS."""
    module.function("pool", name, **constants)((module.blocks(count, THREADS),), (THREADS,), args)


# --- the twins of kernels/pool.py

def window_max(x, window, out):
    if declined(x) or 0 in out:
        return NotImplemented
    xp, plan, out = array_module(x), plan_of(x.shape[2:], tuple(out), window), tuple(out)
    y, tap = xp.empty(x.shape[:2] + out, x.dtype), xp.empty(x.shape[:2] + out, plan.tap)
    if y.size >= 1 << 31:
        return NotImplemented
    run("window_max", y.size, (solid(x), y, tap, plan.record, np.uint32(y.size)), TYPE=x.dtype, KIND=MAXIMUM, TAP_TYPE=plan.tap,
        **plan.constants)
    return y, tap


def scatter_taps(g, tap, window, sizes):
    return spread(MAXIMUM, g, tap, window, tuple(sizes))


def window_spread(g, window, sizes):
    return spread(SUMS, g, None, window, tuple(sizes))


def spread(kind, g, tap, window, sizes):
    """What the windows give back to the pixels: to the one of each tap, or to all."""
    plan, planes = plan_of(sizes, g.shape[2:], window), prod(g.shape[:2])
    if declined(g) or 0 in sizes or planes * plan.cells >= 1 << 31 or planes * prod(sizes) >= 1 << 31:
        return NotImplemented
    x = array_module(g).empty(g.shape[:2] + sizes, g.dtype)
    tap_type, lanes = (plan.tap, {}) if kind == MAXIMUM else (np.dtype("u1"), dict(LANES=1, ADAPTIVE=0))
    run("spread", planes * plan.cells, (solid(g), solid(tap), x, plan.record, np.uint32(planes * plan.cells)),
        TYPE=g.dtype, KIND=kind, TAP_TYPE=tap_type, **lanes, **plan.constants)
    return x


def window_sum(x, window, out):
    if declined(x) or 0 in out:
        return NotImplemented
    plan = plan_of(x.shape[2:], tuple(out), window)
    return sums(x, tuple(out), plan.record, plan.taps, ADAPTIVE=0, **plan.constants)


def adaptive_sum(x, out):
    if declined(x) or 0 in out:
        return NotImplemented
    if x.shape[2:] == tuple(out):
        return x
    integers, _, largest = adaptive_plan(x.shape[2:], tuple(out))
    return sums(x, tuple(out), integers, largest, ADAPTIVE=1, FIXED=0, THREADS=THREADS)


def sums(x, out, integers, pixels, **constants):
    """A thread for every window; a warp or a block for those of many pixels."""
    lanes = 1 if pixels < 32 else 32 if pixels < 2048 else THREADS
    y = array_module(x).empty(x.shape[:2] + out, x.dtype)
    if y.size * lanes >= 1 << 31:
        return NotImplemented
    run("window_sum", y.size * lanes, (solid(x), y, integers, np.uint32(y.size)), TYPE=x.dtype, KIND=SUMS, TAP_TYPE=np.dtype("u1"),
        LANES=lanes, **constants)
    return y


def by_index(name, count, args, x, index):
    run(name, count, args, TYPE=x.dtype, KIND=MOVES, INDEX_TYPE=index.dtype, THREADS=THREADS)


def gather(x, index):
    if declined(x) or not 0 < index.size < 1 << 31:
        return NotImplemented
    y, (O, P) = array_module(x).empty(index.shape, x.dtype), (prod(index.shape[2:]), prod(x.shape[2:]))
    by_index("gather", y.size, (solid(x), solid(index), y, np.uint32(y.size), np.int32(O), np.int32(P)), x, index)
    return y


def scatter_add(g, index, sizes):
    O, P, planes = prod(g.shape[2:]), prod(sizes), prod(g.shape[:2])
    if declined(g) or O > MOST_INDICES or not 0 < planes * P < 1 << 31:
        return NotImplemented
    x = array_module(g).zeros(g.shape[:2] + tuple(sizes), g.dtype)
    by_index("scatter_add", planes * module.blocks(O, THREADS) * THREADS,
             (solid(g), solid(index), x, np.int32(O), np.int32(P)), g, index)
    return x


def scatter(u, index, sizes):
    xp, O, P, planes = array_module(u), prod(u.shape[2:]), prod(sizes), prod(u.shape[:2])
    if declined(u) or not 0 < planes * P < 1 << 31:
        return NotImplemented
    x, last = xp.empty(u.shape[:2] + tuple(sizes), u.dtype), xp.zeros(planes * P, np.int32)
    by_index("claim", u.size, (solid(index), last, np.uint32(u.size), np.int32(O), np.int32(P)), u, index)
    by_index("scatter", x.size, (solid(u), last, x, np.uint32(x.size), np.int32(O), np.int32(P)), u, index)
    return x
