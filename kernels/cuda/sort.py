"""Launching kernels/sort.cu: a pass for each digit of the largest index."""

import numpy as np

from tinyvision.backend import array_module

from . import module
from .module import address

WARPS, ROUNDS = 8, 8
THREADS, TILE, DIGIT = 32 * WARPS, 32 * WARPS * ROUNDS, 8
SOURCE = np.dtype([("index", "u8"), ("key", "u8"), ("order", "u8"), ("P", "i8"), ("Q", "i4"), ("shift", "i4")])


def ordered(index, P):
    """The places of each row of index (N, Q), sorted by the index there, and the indices in that order; both int32.

    Equal ones stay in their order.  An index outside 0..P-1 counts as P.
    """
    xp, (N, Q) = array_module(index), index.shape
    tiles = module.blocks(Q, TILE)
    count, key, order = xp.empty((N, tiles << DIGIT), np.int32), None, None
    constants = dict(INDEX_TYPE=index.dtype, WARPS=WARPS, ROUNDS=ROUNDS)
    counts, offsets, place = (module.function("sort", name, **constants) for name in ("counts", "offsets", "place"))
    for shift in range(0, P.bit_length(), DIGIT):
        source = np.array((0 if shift else address(index), address(key), address(order), P, Q, shift), SOURCE)[()]
        before = key, order                               # they are read until the pass is over
        key, order = xp.empty((N, Q), np.int32), xp.empty((N, Q), np.int32)
        counts((tiles, N), (THREADS,), (source, count))
        offsets((N,), (THREADS,), (count, np.int32(tiles << DIGIT)))
        place((tiles, N), (THREADS,), (source, count, key, order))
        del before
    return order, key
