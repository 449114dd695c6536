"""Launching kernels/conv_winograd.cu: which layers it pays for, and three steps to each result.

Factors of filters and of pixels, their products (36 matrix products, by conv.cu with one tap), and the sums that make results of
products.  Factors and products of a large picture are many numbers, so its tiles take turns, with as many as scratch has room for.
"""

from math import prod

import numpy as np

from tinyvision.backend import array_module

from . import module
from .tile import BANDWIDTH, choose, constants, geometry, seconds, share, tiles_for

EDGE, FACTORS = 4, 36                                     # outputs along the edge of a tile; products for a tile
LEAST = 16                                                # filters and channels, below which it never pays
SCRATCH = 256 << 20                                       # bytes of factors and products, or those of 1024 tiles
LAUNCH = 12e-6                                            # seconds in which Python launches a kernel
FLOAT, TAPS, ONE = np.dtype("f4"), dict(T0=1, T1=3, T2=3), (1, 1, 1)


def suits(taps, dtype, rows, channels, groups, size, stride, step):
    """Whether it can do this sum: 3x3 taps over pictures, neighbours in both, of float32, with filters enough."""
    return (taps == (1, 3, 3) and dtype == FLOAT and groups == 1 and min(rows, channels) >= LEAST and len(size) == 2
            and stride == (1, 1) and step in ((1, 1), (-1, -1)) and max(rows, channels) <= module.MOST_BLOCKS)


def upright(integers):
    """The same sum with taps in the order of their pixels: a gradient of the input comes with its filters turned."""
    if integers["step"] == (1, 1):
        return integers
    first, step = integers["first"], integers["filter_step"]
    return integers | dict(step=(1, 1), first=tuple(f - 2 for f in first), filter_step=tuple(-s for s in step),
                           filter_first=integers.get("filter_first", 0) + 2 * sum(step))


def tiles_of(images, out):
    return images * prod(module.blocks(size, EDGE) for size in out)


def moved(images, rows, channels, size, out):
    """Seconds for what goes through memory, and for launches: pictures once, factors of filters twice, those of pixels twice."""
    numbers = images * (channels * prod(size) + rows * prod(out)) + 2 * FACTORS * (
        rows * channels + tiles_of(images, out) * (rows + channels))
    return 4 * numbers / BANDWIDTH + 3 * LAUNCH


def fastest(kind, coarse, rows, columns, depth, terms):
    """Seconds that conv.cu needs with its best tile."""
    tile = choose(kind, "f", coarse, rows, columns, depth)
    return seconds(tile, tiles_for(kind, "f", coarse)[tile], rows, columns, depth, terms)


def pays(coarse, images, rows, channels, size, out):
    """Whether outputs are ready earlier than with nine products each, by tensor cores if coarse: these factors want all digits."""
    products = fastest("image", False, rows, tiles_of(images, out), FACTORS, channels)
    direct = fastest("image", coarse, rows, images * prod(out), 1, 9 * channels)
    return products + moved(images, rows, channels, size, out) < direct + LAUNCH


def pays_for_weight(coarse, images, rows, channels, size, out):
    """The same for the gradient of the weight, whose parts fill the processors either way."""
    def time(coarse, columns, depth, terms):
        tile = choose("weight", "f", coarse, rows, columns, 1 << 20)
        blocks = module.blocks(columns, tile[1]) * module.blocks(rows, tile[0]) * depth
        return blocks * tile[0] * tile[1] * 2 * terms / (tiles_for("weight", "f", coarse)[tile] * 1e12)
    products = time(False, channels, FACTORS, tiles_of(images, out))
    return products + moved(images, rows, channels, size, out) < time(coarse, 9 * channels, 1, images * prod(out)) + LAUNCH


def turns(images, rows, channels, out):
    """(first tile, tiles, tiles filled up to whole vectors) of each turn."""
    tiles, most = tiles_of(images, out), max(1024, SCRATCH // (4 * FACTORS * (rows + channels)))
    each = module.blocks(module.blocks(tiles, module.blocks(tiles, most)), 4) * 4
    return [(start, count, module.blocks(count, 4) * 4) for start in range(0, tiles, each) for count in [min(each, tiles - start)]]


def function(name):
    return module.function("conv_winograd", name, TYPE=FLOAT, **TAPS)


def spread(numbers, channels):
    """A grid of threads for so many numbers of each channel."""
    return module.blocks(numbers, 256), channels


class Correlation:
    """All launches for the sums of a 3x3 window over x, as conv.Sum has them."""

    fits = True                                           # see `suits`

    def __init__(self, **integers):
        self.record, self.rows, self.channels = geometry(**upright(integers)), integers["rows"], integers["channels"]
        self.turns = turns(integers["images"], self.rows, self.channels, integers["out"])
        self.columns = self.turns[0][2]
        tile = BM, BN, BK, TM, TN = choose("image", "f", False, self.rows, self.columns, FACTORS)
        self.depth, self.width = module.blocks(self.channels, BK) * BK, module.blocks(self.rows, 4) * 4
        self.record["depth"], self.record["width"] = self.depth, self.width
        self.run = module.function("conv", "correlate", BQ=BK, **constants(tile, ONE, FLOAT, dense=True))
        self.block = (BM // TM * (BN // TN),)
        self.products = {pitch: ((module.blocks(pitch, BN), module.blocks(self.rows, BM), FACTORS), self.product(pitch))
                         for _, _, pitch in self.turns}
        self.filter_factors, self.pixel_factors, self.outputs = map(function, ("filter_factors", "pixel_factors", "outputs"))

    def product(self, pitch):
        """The integers of the 36 products: images of one row."""
        return geometry(images=1, groups=FACTORS, rows=self.rows, channels=self.channels, size=(pitch,), out=(pitch,), stride=ONE,
                        first=(0,), step=ONE, to_size=(pitch,), to_first=(0,), to_step=ONE, depth=self.depth, width=self.width)

    def __call__(self, w, x, bias, y):
        xp, s, null = array_module(x), self.record, module.NULL
        filters = xp.empty((FACTORS, self.depth, self.width), x.dtype)
        pixels = xp.empty((FACTORS, self.channels, self.columns), x.dtype)
        products = xp.empty((FACTORS, self.rows, self.columns), x.dtype)
        self.filter_factors((module.blocks(self.depth * self.width, 256),), (256,), (w, filters, s))
        for start, count, pitch in self.turns:
            part, (grid, record) = (np.int32(start), np.int32(count), np.int32(pitch)), self.products[pitch]
            self.pixel_factors(spread(pitch, self.channels), (256,), (x, pixels, s, *part))
            self.run(grid, self.block, (filters, pixels, null, products, record))
            self.outputs(spread(count, self.rows), (256,), (products, null if bias is None else bias, w, x, y, s, *part))


class WeightGradient:
    """All launches for the gradient of 3x3 filters."""

    def __init__(self, **integers):
        self.record, self.rows, self.channels = geometry(**integers), integers["rows"], integers["channels"]
        self.turns = turns(integers["images"], self.rows, self.channels, integers["out"])
        self.columns = self.turns[0][2]
        tile = BM, BN, _, TM, TN = choose("weight", "f", False, self.rows, self.channels, 1 << 20)
        self.run = module.function("conv", "correlate_weight", **constants(tile, ONE, FLOAT, dense=True))
        self.block = (BM // TM * (BN // TN),)
        self.products = {pitch: self.product(tile, pitch) for _, _, pitch in self.turns}
        self.parts = sum(self.products[pitch][0] for _, _, pitch in self.turns)
        self.pixel_factors, self.gradient_factors, self.weights = map(function, ("pixel_factors", "gradient_factors", "weights"))

    def product(self, tile, pitch):
        """The parts, the grid and the integers of the 36 products."""
        each, parts = share(tile, tiles_for("weight", "f", False)[tile], self.rows, self.channels, FACTORS, pitch)
        grid = module.blocks(self.channels, tile[1]), module.blocks(self.rows, tile[0]), FACTORS * parts
        return parts, grid, geometry(images=1, groups=FACTORS, rows=self.rows, channels=self.channels, size=(pitch,), out=(pitch,),
                                     stride=ONE, first=(0,), step=ONE, pixels_each=each)

    def __call__(self, u, x, gw):
        xp, s, done = array_module(x), self.record, 0
        gradients = xp.empty((FACTORS, self.rows, self.columns), x.dtype)
        pixels = xp.empty((FACTORS, self.channels, self.columns), x.dtype)
        sums = xp.empty((self.parts, FACTORS, self.rows, self.channels), x.dtype)
        for start, count, pitch in self.turns:
            part, (parts, grid, record) = (np.int32(start), np.int32(count), np.int32(pitch)), self.products[pitch]
            self.pixel_factors(spread(pitch, self.channels), (256,), (x, pixels, s, *part))
            self.gradient_factors(spread(pitch, self.rows), (256,), (u, gradients, s, *part))
            self.run(grid, self.block, (gradients, pixels, sums[done:], record))
            done += parts
        self.weights((module.blocks(self.rows * self.channels, 256),), (256,), (sums, u, x, gw, s, np.int32(self.parts)))
