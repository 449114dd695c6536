"""Launching kernels/softmax.cu: how many threads share a line of scores, and how many scores each of them keeps."""

import functools
from math import prod

import numpy as np

from tinyvision.backend import array_module

from . import module
from .module import declined, solid

SOFTMAX, LOGARITHM, LOSS = range(3)
THREADS = 128                                             # of a block, unless a line has a larger team
MANY = 8192                                               # lines side by side that occupy a GPU with a thread for each
INT, NOBODY = np.dtype("i4"), np.int64(-1 << 63)          # the type of labels where there are none; a label that no line has


class Plan:
    """Scores (N, K, B) of this shape along an axis: the shape of top and total, the grid, and the kernels, each found once."""

    def __init__(self, device, shape, axis, dtype):
        K, B = shape[axis], prod(shape[axis + 1:])
        rows = prod(shape) // K
        self.stats = shape[:axis] + (1,) + shape[axis + 1:]
        team, items, fits = teams(K) if B == 1 or (rows < MANY and K > 8) else alone(K)
        threads = max(THREADS, team)
        self.constants = dict(TYPE=dtype, TEAM=team, ITEMS=items, FITS=fits, THREADS=threads)
        self.grid, self.block, self.found = (module.blocks(rows, threads // team),), (threads,), {}
        self.sizes = np.int32(rows), np.int32(K), np.int32(B)

    def run(self, name, kind, args, label=INT):
        self.launch(self.grid, name, kind, label, (*args, *self.sizes))

    def launch(self, grid, name, kind, label, args):
        function = self.found.get((name, kind, label))
        if function is None:
            function = module.function("softmax", name, KIND=kind, LABEL_TYPE=label, **self.constants)
            self.found[name, kind, label] = function
        function(grid, self.block, args)


def teams(K):
    """Threads that share a line of K scores, how many each keeps, and whether that is all: a part of a warp, a warp, a block."""
    if K <= 256:
        team = power_of_two(min(K, 32))
        return team, power_of_two(module.blocks(K, team)), True
    team = 128 if K <= 1024 else 512 if K <= 4096 else 1024
    return team, 8, K <= 8 * team


def alone(K):
    """The same for a thread of its own for every line."""
    return (1, 8, True) if K <= 8 else (1, 32, True) if K <= 32 else (1, 8, False)


def power_of_two(n):
    return 1 << (n - 1).bit_length()


plan_of = functools.lru_cache(512)(Plan)


def plan_for(x, axis):
    return plan_of(module.compiler.device(), x.shape, axis, x.dtype)


def forward(kind, x, axis):
    if declined(x):
        return NotImplemented
    xp, plan = array_module(x), plan_for(x, axis)
    y, top, total = xp.empty(x.shape, x.dtype), xp.empty(plan.stats, x.dtype), xp.empty(plan.stats, x.dtype)
    plan.run("forward", kind, (solid(x), module.NULL, y, top, total))
    return y, top, total


def gradient(kind, g, x, top, total, axis):
    if declined(x, g, top, total):
        return NotImplemented
    plan, gx = plan_for(x, axis), array_module(x).empty(x.shape, x.dtype)
    plan.run("backward", kind, (solid(g), solid(x), module.NULL, gx, solid(top), solid(total), module.NULL, NOBODY, np.int32(0)))
    return gx


# --- the twins of kernels/softmax.py

def softmax(x, axis):
    return forward(SOFTMAX, x, axis)


def log_softmax(x, axis):
    return forward(LOGARITHM, x, axis)


def softmax_grad(g, x, top, total, axis):
    return gradient(SOFTMAX, g, x, top, total, axis)


def log_softmax_grad(g, x, top, total, axis):
    return gradient(LOGARITHM, g, x, top, total, axis)


def cross_entropy(x, labels):
    if declined(x):
        return NotImplemented
    plan = plan_for(x, 1)
    return losses_of(plan, x, solid(labels))


def losses_of(plan, x, labels):
    xp = array_module(x)
    losses, top, total = xp.empty(labels.shape, x.dtype), xp.empty(plan.stats, x.dtype), xp.empty(plan.stats, x.dtype)
    plan.run("forward", LOSS, (solid(x), labels, losses, top, total), labels.dtype)
    return losses, top, total


def cross_entropy_grad(g, x, labels, top, total):
    if declined(x, g, top, total):
        return NotImplemented
    plan, gx, step = plan_for(x, 1), array_module(x).empty(x.shape, x.dtype), 1
    if all(s == 0 or n == 1 for s, n in zip(g.strides, g.shape)):         # what a sum hands back: one number for all
        g, step = g[(slice(1),) * g.ndim], 0
    args = solid(g), solid(x), solid(labels), gx, solid(top), solid(total), module.NULL, NOBODY, np.int32(step)
    plan.run("backward", LOSS, args, labels.dtype)
    return gx


def mean_cross_entropy(x, labels, ignored):
    if declined(x):
        return NotImplemented
    xp, plan, labels, ignored = array_module(x), plan_for(x, 1), solid(labels), np.int64(ignored)
    losses, top, total = losses_of(plan, x, labels)
    mean, count, rows = xp.empty((), x.dtype), xp.empty((), x.dtype), np.int32(losses.size)
    blocks = min(4 * module.multiprocessors(), module.blocks(losses.size, 8 * plan.block[0]))
    parts = xp.empty((blocks, 2), np.float64) if blocks > 1 else module.NULL
    plan.launch((blocks,), "average", LOSS, labels.dtype, (losses, labels, parts, mean, count, ignored, rows))
    if blocks > 1:
        plan.launch((1,), "add_parts", LOSS, labels.dtype, (parts, mean, count, np.int32(blocks)))
    return mean, count, top, total


def mean_cross_entropy_grad(g, x, labels, ignored, count, top, total):
    if declined(x, g, count, top, total):
        return NotImplemented
    gx = array_module(x).empty(x.shape, x.dtype)
    args = solid(g), solid(x), solid(labels), gx, solid(top), solid(total), count, np.int64(ignored), np.int32(0)
    plan_for(x, 1).run("backward", LOSS, args, labels.dtype)
    return gx
