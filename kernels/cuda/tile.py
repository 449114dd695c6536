"""The tiles of kernels/conv.cu: which there are, which is chosen, and the integers of a launch (Geometry of window.cuh)."""

import functools
from math import prod

import numpy as np

from . import module

# (rows and columns of a tile, depth of a step, rows and columns of a thread): the speed of a processor that is full of such
# tiles, in TFLOP/s of a whole H200.  Few filters want wide tiles; 144 columns are 16 channels of 3x3 taps.
TILES = {(16, 256, 4, 8, 4): 20, (32, 256, 8, 8, 8): 30, (32, 128, 8, 8, 4): 27, (64, 128, 8, 8, 8): 36, (64, 64, 8, 8, 4): 34,
         (128, 128, 8, 8, 8): 38}
TILES_OF_DOUBLES = {(16, 128, 4, 4, 4): 10, (32, 64, 4, 4, 4): 15, (64, 64, 8, 4, 4): 18}
WEIGHT_TILES = {(8, 128, 8, 4, 4): 9, (16, 144, 8, 4, 4): 14, (16, 128, 8, 8, 4): 14, (32, 144, 8, 8, 4): 18, (32, 128, 8, 8, 4): 18,
                (64, 64, 16, 4, 4): 20, (64, 144, 8, 8, 8): 23, (64, 128, 8, 8, 8): 23, (128, 128, 8, 8, 8): 27}
WEIGHT_TILES_OF_DOUBLES = {(8, 64, 8, 4, 4): 5, (32, 64, 8, 4, 4): 8, (64, 64, 8, 4, 4): 10}

# The same for tensor cores: rows and columns of a thread mean 8 and 4 times as many of a warp.
TF32_TILES = {(16, 256, 16, 2, 8): 28, (32, 256, 16, 4, 8): 52, (64, 64, 16, 4, 8): 66, (64, 128, 16, 8, 8): 88,
              (128, 128, 16, 8, 8): 95}
TF32_WEIGHT_TILES = {(16, 128, 16, 2, 8): 15, (32, 128, 16, 2, 8): 21, (64, 64, 16, 4, 8): 36, (64, 144, 16, 8, 6): 46,
                     (64, 128, 16, 4, 8): 41, (128, 128, 16, 8, 8): 45}

BANDWIDTH = 2.5e12                                        # bytes a second through memory, of the same H200

AXIS = ("size", "out", "stride", "first", "step")
GEOMETRY = np.dtype([("images", "i4"), ("groups", "i4"), ("rows", "i4"), ("channels", "i4"), *[(name, "i4", 3) for name in AXIS],
                     ("filter_row", "i4"), ("filter_channel", "i4"), ("filter_group", "i4"), ("filter_first", "i4"),
                     ("filter_step", "i4", 3), ("to_size", "i4", 3), ("to_first", "i4", 3), ("to_step", "i4", 3),
                     ("depth", "i4"), ("width", "i4"), ("pixels_each", "i4"), ("pair_first", "i4"), ("pair_taps", "i4")])


def three(values, fill):
    """One number per axis as three: an image is a volume with one layer."""
    return (fill,) * (3 - len(values)) + tuple(values)


def geometry(**values):
    """The integers of a launch; what is per axis is filled up from the left.

    A record itself, not an array of one: CuPy takes 16 microseconds for an array's, and passes the same bytes.
    """
    record = np.zeros(1, GEOMETRY)[0]
    for name, value in values.items():
        fill = 0 if name in ("first", "to_first", "step", "filter_step") else 1
        record[name] = three(value, fill) if isinstance(value, tuple) else value
    return record


def pitches(sizes):
    return tuple(prod(sizes[a + 1:]) for a in range(len(sizes)))


def constants(tile, taps, dtype, coarse=False, dense=False):
    """coarse: with the tile for tensor cores that it is; dense: see is_dense."""
    known = dict(TYPE=dtype, **dict(zip(("BM", "BN", "BK", "TM", "TN", "T0", "T1", "T2"), (*tile, *taps))))
    return known | ({"TF32": 1} if coarse else {}) | ({"DENSE": 1} if dense else {})


def is_dense(taps, integers):
    """Whether the pixels under the only tap are x as it lies there, in whole vectors of four."""
    return (prod(taps) == 1 and set(integers["stride"]) == {1} and not any(integers["first"])
            and integers["size"] == integers["out"] and prod(integers["out"]) % 4 == 0)


def tiles_for(kind, char, coarse):
    """kind: "image" or "weight", for the two sums of conv.cu; char: of the dtype; coarse: for tensor cores."""
    return {("image", "f", False): TILES, ("image", "d", False): TILES_OF_DOUBLES, ("image", "f", True): TF32_TILES,
            ("weight", "f", False): WEIGHT_TILES, ("weight", "d", False): WEIGHT_TILES_OF_DOUBLES,
            ("weight", "f", True): TF32_WEIGHT_TILES}[kind, char, coarse]


@functools.lru_cache(maxsize=None)
def choose(kind, char, coarse, rows, columns, depth):
    """The tile with the least time: the blocks of the busiest processor, times the work of one, over its speed."""
    tiles = tiles_for(kind, char, coarse)
    return min(tiles, key=lambda tile: seconds(tile, tiles[tile], rows, columns, depth))


def seconds(tile, speed, rows, columns, depth, terms=1):
    """The time of the busiest processor for its blocks, with so many products for each number: on the H200 of the tables above."""
    blocks = module.blocks(columns, tile[1]) * module.blocks(rows, tile[0]) * depth
    processors = module.multiprocessors()
    return module.blocks(blocks, processors) * processors * tile[0] * tile[1] * 2 * terms / (speed * 1e12)


def channels_of_step(channels, taps, BK):
    """How many channels a step takes, BQ, so that the fewest rows are zeros; and the rows of all steps."""
    def depth(BQ):
        return module.blocks(channels, BQ) * module.blocks(taps, BK // BQ) * BK
    return min(((BQ, depth(BQ)) for BQ in (16, 8, 4, 2, 1) if BQ <= BK), key=lambda found: found[1])


def share(tile, speed, rows, columns, groups, pixels):
    """Pixels that one part adds up, and the number of parts, for the least time; speed: see the tables.

    Blocks come in rounds of as many as the processors hold; more parts may fill the last round better, but are more to add up.
    """
    BM, BN, BK, TM, TN = tile
    tiles = module.blocks(rows, BM) * module.blocks(columns, BN) * groups
    held = module.multiprocessors() * max(1, 512 // (BM // TM * (BN // TN)))
    round_of_pixels, part = held * BM * BN * 2 / (speed * 1e12), 16 * rows * columns * groups / BANDWIDTH

    def each(parts):
        return module.blocks(module.blocks(pixels, parts), BK) * BK

    def time(parts):
        return module.blocks(tiles * parts, held) * each(parts) * round_of_pixels + parts * part
    most = max(1, min(pixels // 128, module.blocks(4 * held, tiles)))
    found = each(min(range(1, most + 1), key=time))
    return found, module.blocks(pixels, found)
