"""Launching kernels/pool.cu.

Signals and pictures are volumes with axes of size 1.  The windows of most networks have kernels of their own, in which taps and
strides are numbers that the compiler knows; all others share one.
"""

import functools
from math import prod

import numpy as np

from tinyvision.backend import array_module

from . import module
from .module import declined, solid
from .tile import three

MAXIMUM, SUMS, MOVES = range(3)
BYTE = np.dtype("u1")
THREADS = 256
MOST_INDICES = 4096                                       # of a plane: scatter_add compares each with each
FIXED = {((1, 2, 2), (1, 2, 2)), ((1, 3, 3), (1, 2, 2)), ((1, 3, 3), (1, 1, 1)), ((1, 3, 3), (1, 3, 3)), ((2, 2, 2), (2, 2, 2))}

GEOMETRY = np.dtype([(name, "i4", 3) for name in ("size", "out", "taps", "stride", "low", "step", "cells")])


class Plan:
    """A pooling: its record of integers, and its kernels for numbers of this dtype, each found once."""

    def __init__(self, device, dtype, sizes, out, window):
        taps, stride, step = three(window.size, 1), three(window.stride, 1), three(window.dilation, 1)
        low, size = three([lo for lo, _ in window.padding], 0), three(sizes, 1)
        fixed = (taps, stride) in FIXED and step == (1, 1, 1)
        cell = stride if fixed else (1, 1, 1)
        cells = [module.blocks(lo + h, c) for lo, h, c in zip(low, size, cell)]
        self.cells, self.pixels, self.tap, self.lanes = prod(cells), prod(sizes), np.min_scalar_type(prod(taps)), lanes(prod(taps))
        self.constants = dict(TYPE=dtype, FIXED=fixed, THREADS=THREADS)
        if fixed:
            self.constants.update(zip(("K0", "K1", "K2", "S0", "S1", "S2"), taps + stride))
        self.of_kind = dict(KIND=MAXIMUM), dict(KIND=SUMS, LANES=self.lanes, ADAPTIVE=0)
        self.record = record(size=size, out=three(out, 1), taps=taps, stride=stride, low=low, step=step, cells=cells)
        self.found = {}

    def run(self, name, kind, count, args, tap=BYTE):
        """One thread for each of `count`, in blocks of THREADS; tap: the dtype of the taps, if there are any."""
        function = self.found.get((name, kind, tap))
        if function is None:
            function = self.found[name, kind, tap] = module.function("pool", name, **self.constants, **self.of_kind[kind], TAP_TYPE=tap)
        function((module.blocks(count, THREADS),), (THREADS,), args)


class AdaptivePlan(Plan):
    """The same for sums over the windows of `spans`."""

    def __init__(self, device, dtype, sizes, out):
        self.lanes = lanes(prod(module.blocks(h, o) + (h % o > 0) for h, o in zip(sizes, out)))
        self.constants = dict(TYPE=dtype, FIXED=0, THREADS=THREADS)
        self.of_kind = None, dict(KIND=SUMS, LANES=self.lanes, ADAPTIVE=1)
        self.record = record(size=three(sizes, 1), out=three(out, 1))
        self.found = {}


def record(**values):
    r = np.zeros(1, GEOMETRY)[0]
    for name, value in values.items():
        r[name] = value
    return r


def lanes(pixels):
    """Threads for a sum of so many: one, a warp or a block."""
    return 1 if pixels < 32 else 32 if pixels < 2048 else THREADS


plan_of, adaptive_plan_of = functools.lru_cache(512)(Plan), functools.lru_cache(512)(AdaptivePlan)


# --- the twins of kernels/pool.py

def window_max(x, window, out, relu=0):
    if declined(x) or 0 in out:
        return NotImplemented
    xp, out = array_module(x), tuple(out)
    plan = plan_of(module.compiler.device(), x.dtype, x.shape[2:], out, window)
    y, tap = xp.empty(x.shape[:2] + out, x.dtype), xp.empty(x.shape[:2] + out, plan.tap)
    if y.size >= 1 << 31:
        return NotImplemented
    plan.run("window_max", MAXIMUM, y.size, (solid(x), y, tap, plan.record, np.uint32(y.size), np.int32(relu)), plan.tap)
    return y, tap


def window_max_relu(x, window, out):
    taps = prod(window.size)
    if np.min_scalar_type(2 * taps) != np.min_scalar_type(taps):
        return NotImplemented                             # the kernel writes taps of one kind
    return window_max(x, window, out, relu=1)


def scatter_taps(g, tap, window, sizes):
    return spread(MAXIMUM, g, tap, window, tuple(sizes))


def window_spread(g, window, sizes):
    return spread(SUMS, g, None, window, tuple(sizes))


def spread(kind, g, tap, window, sizes):
    """What the windows give back to the pixels: to the one of each tap, or to all."""
    if declined(g) or 0 in sizes:
        return NotImplemented
    plan = plan_of(module.compiler.device(), g.dtype, sizes, g.shape[2:], window)
    cells = g.shape[0] * g.shape[1] * plan.cells
    if cells >= 1 << 31 or g.shape[0] * g.shape[1] * plan.pixels >= 1 << 31:
        return NotImplemented
    x = array_module(g).empty(g.shape[:2] + sizes, g.dtype)
    # behind a ReLU taps count up to twice their number, and so may be of a larger type than the plan's
    of_taps = (module.NULL, BYTE) if tap is None else (solid(tap), tap.dtype)
    plan.run("spread", kind, cells, (solid(g), of_taps[0], x, plan.record, np.uint32(cells)), of_taps[1])
    return x


def window_sum(x, window, out):
    if declined(x) or 0 in out:
        return NotImplemented
    return sums(x, tuple(out), plan_of(module.compiler.device(), x.dtype, x.shape[2:], tuple(out), window))


def adaptive_sum(x, out):
    if declined(x) or 0 in out:
        return NotImplemented
    if x.shape[2:] == tuple(out):
        return x
    return sums(x, tuple(out), adaptive_plan_of(module.compiler.device(), x.dtype, x.shape[2:], tuple(out)))


def sums(x, out, plan):
    y = array_module(x).empty(x.shape[:2] + out, x.dtype)
    if y.size * plan.lanes >= 1 << 31:
        return NotImplemented
    plan.run("window_sum", SUMS, y.size * plan.lanes, (solid(x), y, plan.record, np.uint32(y.size)))
    return y


def by_index(name, count, args, x, index):
    """One thread for each of `count`."""
    run = module.function("pool", name, TYPE=x.dtype, KIND=MOVES, INDEX_TYPE=index.dtype, THREADS=THREADS)
    run((module.blocks(count, THREADS),), (THREADS,), args)


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
