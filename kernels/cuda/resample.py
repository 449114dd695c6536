"""Launching kernels/resample.cu.  The entries of a table stay on the device as long as the table lives."""

from math import prod
from weakref import WeakKeyDictionary

import numpy as np

from tinyvision.backend import array_module, constant, keep

from . import module
from .module import address, declined, solid
from .sort import ordered

THREADS, CHANNELS = 256, 4

entries = WeakKeyDictionary()                             # of a table: {(device, dtype): its entries there}


def entries_of(table, x):
    """The first entry of each row, and of each entry its index and weight, null where all weights are 1; beside x."""
    kept = entries.setdefault(table, {})
    key = module.compiler.device(), x.dtype
    found = kept.get(key)
    if found is None:
        real = table.index < table.size                   # the others only fill up short rows
        weight = table.weight[real].astype(x.dtype)
        start = np.concatenate([[0], np.cumsum(real.sum(axis=1))]).astype(np.int32)
        index = table.index[real].astype(np.int32)
        found = kept[key] = constant(x, start), constant(x, index), module.NULL if (weight == 1).all() else constant(x, weight)
    return keep(found)


def run(name, grid, args, dtype, index_type=np.dtype("i4"), vec=1):
    module.function("resample", name, TYPE=dtype, INDEX_TYPE=index_type, VEC=vec, THREADS=THREADS)(grid, (THREADS,), args)


# --- the twins of kernels/resample.py

def apply_table(x, table, axis):
    front, back, O = x.shape[:axis], x.shape[axis + 1:], len(table.index)
    if declined(x) or prod(front) * O * prod(back) >= 1 << 31:
        return NotImplemented
    y, x = array_module(x).empty(front + (O,) + back, x.dtype), solid(x)
    if y.size:
        vec = 16 // x.itemsize
        if prod(back) % vec or address(x) % 16:
            vec = 1
        threads = y.size // vec
        integers = [np.uint32(i) for i in (threads, table.size, O, prod(back) // vec)]
        run("apply_table", (module.blocks(threads, THREADS),), (x, y, *entries_of(table, x), *integers), x.dtype, vec=vec)
    return y


def gather_pixels(x, index):
    (N, C, P), Q = x.shape, index.shape[1]
    if declined(x) or index.dtype.kind not in "iu" or N * C * Q >= 1 << 31:
        return NotImplemented
    y = array_module(x).empty((N, C, Q), x.dtype)
    if y.size:
        blocks = module.blocks(N * Q, THREADS)
        each = min(C, max(1, blocks * C // (16 * module.multiprocessors())))          # few pixels: threads share the channels
        each = max(each, module.blocks(C, 65535))
        integers = [np.uint32(i) for i in (N * Q, Q, P, C, each)]
        run("gather_pixels", (blocks, module.blocks(C, each)), (solid(x), solid(index), y, *integers), x.dtype, index.dtype)
    return y


def scatter_pixels(g, index, pixels):
    N, C, Q = g.shape
    large = max(N * C * pixels, pixels + 1) >= 1 << 31 or N >= 65536 or C > 65535 * CHANNELS
    if declined(g) or index.dtype.kind not in "iu" or large or pixels == 0:
        return NotImplemented
    order, key = ordered(solid(index), pixels)
    x = array_module(g).empty((N, C, pixels), g.dtype)
    integers = [np.uint32(i) for i in (N * pixels, Q, pixels, C)]
    grid = module.blocks(N * pixels, THREADS), module.blocks(C, CHANNELS)
    run("scatter_pixels", grid, (solid(g), key, order, x, *integers), g.dtype)
    return x
