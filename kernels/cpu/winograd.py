"""3x3 convolutions with fewer products, for float32: Winograd's minimal filtering F(4x4, 3x3) in the three passes of conv.py.

Four neighbouring outputs of a filter with three taps cost twelve products.  Six are enough.  Multiply polynomials a of degree 3
and g of degree 2: the result c has degree 5 and is known by six numbers, its values at five points and its leading coefficient,
each one product.  In matrices, c = E [(F a) * (H g)]: F (6x4) and H (6x3) take those numbers of a and of g, and E (6x6) makes
coefficients of the six products.  For a fixed g that is the matrix E diag(H g) F, and as c[k] = sum over j of g[k-j] a[j], its
entry in row k, column j is g[k-j].  So the transposed matrix, F' diag(H g) E', makes y[j] = sum over k of g[k-j] d[k]: the filter
over six pixels d (' is the transposed matrix).  Row i of E' holds the coefficients of the polynomial that is 1 at point i and 0
at the others (Lagrange's), for p  x (x + p) (x^2 - q^2) / (2 p^2 (p^2 - q^2)); the last row those of the one that is 0 at all
five, x (x^2 - p^2) (x^2 - q^2).  The denominators of the first five, moved to the same rows of H, leave B' of E' and make G of H,
and with A = F it is  y = A' [(G g) * (B' d)].  With the points 0, p, -p, q, -q for pixels d and taps g,

    m0 = (p^2 q^2 d0 - (p^2 + q^2) d2 + d4) * g0 / (p^2 q^2)
    m1 = (even + p odd) * (g0 + p g1 + p^2 g2) / (2 p^2 (p^2 - q^2))        even = d4 - q^2 d2, odd = d3 - q^2 d1
    m2 = (even - p odd) * (g0 - p g1 + p^2 g2) / (2 p^2 (p^2 - q^2))
    m3, m4: like m1, m2, with p and q exchanged
    m5 = (p^2 q^2 d1 - (p^2 + q^2) d3 + d5) * g2

    y0 = m0 + m1 + m2 + m3 + m4                    y1 = p (m1 - m2) + q (m3 - m4)
    y2 = p^2 (m1 + m2) + q^2 (m3 + m4)             y3 = p^3 (m1 - m2) + q^3 (m3 - m4) + m5

The same along rows and columns gives a tile of 4x4 outputs for 36 products instead of 144,

    y = A' [ (G g G') * (B' d B) ] A           d: 6x6 pixels, g: 3x3 taps, * number by number

and since only sums go in and out, the sum over the channels can be taken of the products: each of the 36 numbers of all tiles
is then a matrix product of its own, [filters, channels] @ [channels, tiles], which fma_tile of tile.py computes.  The
gradient of the input is such a convolution as well, and the gradient of the weight is the formula transposed, where

    gg = G' [ sum over tiles of  (A u A') * (B' d B) ] G

are 36 matrix products [filters, tiles] @ [tiles, channels], by product_tile.  The matrices A, B and G stand in transforms.py.

The 36 numbers of a tile or a filter in the brackets are called factors, k counts them row by row: of pixels (B' d B), of
gradients (A u A') and of a filter (G g G').  What the kernels keep, and in which order:

    columns     [image, row of tiles, 6, pitch]    B' d of one channel: transformed along the picture's columns only
    factors     [k, channel, tile]                 B' d B; `line` numbers for a channel, tiles in the order of transforms.py
    panels      [block, k, channel, filter]        G g G', M filters in a block; all workers read them
    products    [k, filter, tile]                  of one block: sums over the channels, by fma_tile
    by_channel  [k, vector, tile, lane]            for the weight gradient: factors with L channels in the lanes
    sums        [k, filter, channel]               for the weight gradient: sums over tiles, by product_tile

In the weight gradient a block is L filters, not M, and `width` the channels filled up to whole vectors: the numbers from one row
of `sums` to the next.

Accuracy: an output is still a function of the nine pixels under the filter, but the error is that of the sums on the way.  With S
the sum over the channels of 9 * (largest of the tile's 6x6 pixels) * (largest of the filter's weights), it stays below 2 eps S
for normal random numbers, of one size or of many, below 4 eps S for numbers near 1 and -1, and below 8 eps S where all are equal,
so that the constants' roundings add up.  That is about twice the error of a direct sum, in gradients of weights up to seven times,
for there tiles are added one by one; with the usual points 1 and 2 it would be twice as much again: p = 5/8 and q = 3/2 keep all
constants small.  An infinite pixel comes out as inf - inf, which is why conv.py computes anew what is not finite, without this.

Source: Winograd 1980, Arithmetic Complexity of Computations, doi:10.1137/1.9781611970364; Lavin and Gray 2015, arXiv:1509.09308;
for the points Barabasz et al. 2020, Error Analysis and Improving the Accuracy of Winograd Convolution, arXiv:1803.10986.
"""

from functools import lru_cache
from math import prod

import numpy as np

from . import tile
from .jit import few, inner, scratch, shared, threads
from .layout import ints, record
from .pack import panel
from .transforms import (COLUMNS, EDGE, GROUP, NUMBERS, OUT, PAIR, PLACE, PRODUCTS, ROW, SPAN, factors_of_columns,
                         factors_of_filters, factors_of_gradients, filters_of_sums, outputs_of_products, transform_columns)

CHANNELS = 8                                              # fewer do not pay for the transforms
WASTE = 2                                                 # outputs computed for each that there is, above which it does not pay
SUMS = 2048                                               # filters x channels per tile: with more, their 36 sums cost too much
LEAST, ENOUGH = 3, 12                                     # vectors: of tiles a worker takes at least; of outputs that pay at all
BUDGET, BUDGET_WEIGHTS = 640 << 10, 400 << 10             # bytes of a worker's factors of pixels, and of by_channel: its cache
MANY = 1 << 19                                            # sums of a gradient: measured, from here on a worker owns filters
FILTERS, MEMORY = 64, 2 << 20                             # filters of a turn: FILTERS, or more if their factors fit MEMORY bytes


# --- the kernels

@inner
def transform(x, n0, count, c0, channels, r0, rows, groups, g, zeros, table, columns, factors):
    """The factors of some channels, rows of tiles and images: factors[k, c, tile], g.apart numbers for each k."""
    picture, image = g.H * g.W, g.rows * SPAN * g.pitch
    for c in range(channels):
        for i in range(count):
            ahead = g.C if i + 1 < count else 1 - (count - 1) * g.C       # pictures to the next one: this channel, or the next
            transform_columns(columns, i * image + g.margin, g.pitch, x, ((n0 + i) * g.C + c0 + c) * picture + g.first_column,
                              zeros, g.H, g.W, g.first_row + EDGE * r0, g.columns, rows, ahead * picture)
        factors_of_columns(factors, c * g.line, g.apart, columns, g.pitch, table, groups)


@lru_cache(None)
def filter_kernel():
    M = tile.FMA[0]

    def filters(t, T, w, start, some, C, row, off, apart, taps, panels):
        """panels[block, k, c, m] = factor k of filter m of a block; of `some` filters from `start` on.  The last block overlaps.

        row, off: tap i of channel c of filter o is w[o*row + off[9*c + i]].  taps: for each worker those of one block as they are,
        [9*c + i, m].  apart: numbers of `panels` from one factor to the next, C*M and a few more.
        """
        blocks = (some + M - 1) // M
        for b in range(t, blocks, T):
            # some >= M, for CHANNELS >= M
            panel(w, (start + min(b * M, some - M)) * row, row, off, M, M, taps[t], 0)
            for c in range(C):
                factors_of_filters(panels, b * PRODUCTS * apart + c * M, apart, taps[t], c * 9 * M, M)

    filters.__qualname__ = "filters"                      # the name under which it is kept
    return shared(filters)


@lru_cache(None)
def correlate_kernel():
    M, N = tile.FMA
    many, one = tile.fma_tile(M, N), tile.fma_tile(M, 1)

    def correlate(t, T, x, panels, bias, y, start, geometry, zeros, table, taps, vin, columns, factors, products, spoiled):
        """The outputs of g.some filters from `start` on, with their panels; d, V, m: the worker's columns, factors, products.

        fma_tile's pixels are vectors of tiles here, its taps the C channels, and its vout is vin.  bias: M zeros, for products have
        none, then one number for each filter, which outputs_of_products adds.
        """
        g, C, O = geometry[0], geometry[0].C, geometry[0].O
        blocks, sets = (g.some + M - 1) // M, (g.images + g.together - 1) // g.together
        share = (blocks + g.shares - 1) // g.shares
        d, V, m = columns[t], factors[t], products[t]
        tile.clear_row(d, 0, g.frame)                     # what is outside of the pictures stays so
        for item in range(t, sets * g.strips * g.shares, T):
            band, r0, n0 = item % g.shares, item // g.shares % g.strips * g.rows, item // g.shares // g.strips * g.together
            rows, count = min(g.rows, g.tiles_H - r0), min(g.together, g.images - n0)
            pairs = count * rows * g.pairs_W
            end = (2 * pairs + g.L - 1) // g.L
            groups = end * g.L // PAIR                    # of pairs, to fill the vectors
            transform(x, n0, count, 0, C, r0, rows, groups, g, zeros, table, d, V)
            for b in range(band * share, min(blocks, (band + 1) * share)):
                for k in range(PRODUCTS):
                    wk, s, to, v = (b * PRODUCTS + k) * g.panel, k * g.apart, k * g.space, 0
                    while v + N <= end:
                        many(panels, wk, taps, 0, C, V, s, vin, v, m, to, g.line, vin, bias, 0)
                        v += N
                    while v < end:
                        one(panels, wk, taps, 0, C, V, s, vin, v, m, to, g.line, vin, bias, 0)
                        v += 1
                first = start + min(b * M, g.some - M)
                for j in range(M):
                    at = ((n0 * O + first + j) * g.OH + EDGE * r0) * g.OW
                    outputs_of_products(y, at, g.OW, g.OH - EDGE * r0, g.OH * g.OW, m, j * g.line, g.space, table, groups, pairs,
                                        bias, M + first + j, spoiled, t * g.L)

    correlate.__qualname__ = "correlate"
    return shared(correlate)


@lru_cache(None)
def weight_grad_kernel():
    M, N = tile.FMA
    many, one = tile.product_tile(M, N), tile.product_tile(M, 1)

    def weight_grad(t, T, x, u, geometry, zeros, table, columns, factors, by_channel, sums):
        """sums[k, o, c] = sum over the worker's tiles of  (factor k of filter o's gradient) * (factor k of channel c)

        Filters and channels are filled up to whole vectors of L: channels with zeros, filters with whatever V held before, whose
        sums gather does not read.  V has the factors of L channels, until mix_rows has brought them to by_channel, whose lanes are
        channels; and then those of the gradients of L filters.
        """
        g, C, O, L = geometry[0], geometry[0].C, geometry[0].O, geometry[0].L
        blocks, vectors, sets = (O + L - 1) // L, (C + L - 1) // L, (g.images + g.together - 1) // g.together
        parts = sums.shape[0]
        part, mine = (t, 0) if parts == T else (0, t)     # each worker its images, or its filters
        own, size, width = blocks if parts == T else (blocks + T - 1) // T, g.line * L, vectors * L
        lo, hi = mine * own, min(blocks, (mine + 1) * own)
        d, V, X, total = columns[t], factors[t], by_channel[t], sums[part]
        tile.clear_row(d, 0, g.frame)
        for k in range(PRODUCTS):
            tile.clear_row(total, (k * blocks + lo) * L * width, (hi - lo) * L * width)
        for item in range(part, sets * g.strips, parts):
            r0, n0 = item % g.strips * g.rows, item // g.strips * g.together
            rows, count = min(g.rows, g.tiles_H - r0), min(g.together, g.images - n0)
            pairs = count * rows * g.pairs_W
            groups = (pairs + GROUP - 1) // GROUP         # tiles are added up, not lanes: no vectors to fill
            tiles = groups * PAIR                         # those that are not there have gradients of zero
            for c in range(vectors):
                there = min(L, C - c * L)
                transform(x, n0, count, c * L, there, r0, rows, groups, g, zeros, table, d, V)
                for k in range(PRODUCTS):
                    tile.mix_rows(X, (k * vectors + c) * size, V, k * g.apart, g.line, there, tiles)
            for b in range(lo, hi):
                there = min(L, O - b * L)
                for j in range(there):
                    at = ((n0 * O + b * L + j) * g.OH + EDGE * r0) * g.OW
                    factors_of_gradients(V, j * g.line, g.apart, u, at, g.OW, zeros, g.OH - EDGE * r0, g.OH * g.OW, table, groups,
                                         pairs)
                for k in range(PRODUCTS):
                    for m in range(0, there, M):
                        f, s, to, v = k * g.apart + m * g.line, k * vectors * size, ((k * blocks + b) * L + m) * width, 0
                        while v + N <= vectors:
                            many(V, f, g.line, X, s + v * size, size, tiles, total, to + v * L, width)
                            v += N
                        while v < vectors:
                            one(V, f, g.line, X, s + v * size, size, tiles, total, to + v * L, width)
                            v += 1

    weight_grad.__qualname__ = "weight_grad"
    return shared(weight_grad)


@shared
def gather(t, T, sums, O, C, rows, width, tails, gw):
    """gw[o, c, tap] from the sums of all workers, sums[part, (k*rows + o)*width + c]; tails: a worker's [tap, c] of a filter."""
    for o in range(t, O, T):
        for part in range(1, sums.shape[0]):
            for k in range(PRODUCTS):
                at = (k * rows + o) * width
                for c in range(width):
                    sums[0, at + c] += sums[part, at + c]
        filters_of_sums(tails[t], 0, tails.shape[1] // 9, sums[0], o * width, rows * width, C)
        for c in range(C):
            for i in range(9):
                gw[(o * C + c) * 9 + i] = tails[t, i * (tails.shape[1] // 9) + c]


# --- plans

def over(count, step):
    """The number of steps that cover `count`."""
    return -(-count // step)


def tile_rows(images, out, most, workers, L):
    """Rows of tiles, and images, that a worker takes at a time: as many as have no more than `most` tiles, but at least
    LEAST vectors of them.
    """
    def fits(rows, together):
        return line_of(rows, together, out, L) <= max(most, LEAST * L)

    whole = rows = over(out[0], EDGE)
    together = 1
    while rows > 1 and not fits(rows, 1):
        rows -= 1
    # an image more, while every worker still gets as many, or while all fit one vector: better few workers, which then share the
    # filters, than empty lanes
    while (rows == whole and together < images and fits(rows, together + 1)
           and (together < images // workers or line_of(rows, together + 1, out, L) == L)):
        together += 1
    return over(whole, over(whole, rows)), over(images, over(images, together))           # evened out


def line_of(rows, together, out, L):
    """Numbers of a factor of all tiles: whole vectors, and an odd number of them, so that lines do not evict each other."""
    return (over(2 * together * rows * over(out[1], PAIR), L) | 1) * L


def pairs_table(together, rows, pairs, pitch, O, out, L):
    """Of each pair of tiles of an item: where its transformed columns begin; where its outputs, from the item's first on; how many
    outputs follow from there in the row; and in which row of the item's outputs it begins.

    Lines go by image, row and pair.  An item with fewer rows, or fewer images, uses the first of them: tile_rows takes several
    images only together with all their rows, so never are rows missing from an image that others follow.
    """
    i, r, j = (axis.ravel() for axis in np.indices((together, rows, pairs)))
    table = np.zeros((over(2 * len(i), L) * L // 2, NUMBERS), np.int64)
    table[:, PLACE] = together * rows * SPAN * pitch      # behind the last pair: columns of zeros, and no outputs
    own = table[:len(i)]
    own[:, PLACE] = (i * rows + r) * SPAN * pitch + PAIR * j
    own[:, OUT] = (i * O * out[0] + EDGE * r) * out[1] + PAIR * j
    own[:, COLUMNS], own[:, ROW] = out[1] - PAIR * j, EDGE * r
    return table


class Plan:
    """What both kernels need to know of pictures (images, C, *sizes): tiles `most` at a time; `held`: channels whose
    factors a worker has at a time.

    Pictures: tiles_H rows of tiles, pairs_W pairs in each.  An item is a strip, `rows` rows of tiles, of each of `together` images;
    these images, a set, have `strips` of them.  Of the input, tile row r begins at picture row  first_row + EDGE * r,  and zeros
    stand for rows outside.  Transformed columns: a line of `pitch` numbers whose number c is picture column  c - padding.  Columns
    first_column .. first_column + columns - 1 of the picture are written to it, from `margin` on; the others stay zero.  A tile row
    has SPAN such lines, an image g.rows * SPAN, and one tile row of zeros stands behind all images, for pairs that are not there.

    Of the numbers for the kernels, line is how many tiles an item has, filled up; frame, how many numbers its transformed columns;
    from one of the 36 factors to the next it is `apart` of pixels, `panel` of a block of filters and `space` of products.
    """

    def __init__(self, images, C, O, sizes, out, padding, held, most, dtype, workers):
        L, self.workers = tile.lanes(dtype), workers
        (H, W), (OH, OW), (above, before) = sizes, out, padding
        rows, together = tile_rows(images, out, most, workers, L)
        self.line, tiles_H, pairs_W = line_of(rows, together, out, L), over(OH, EDGE), over(OW, PAIR)
        strips = over(tiles_H, rows)
        self.items = over(images, together) * strips
        # the picture's columns from `first` on are transformed; they begin `margin` after the first that a tile reads
        first, margin = max(0, -before), max(0, before)
        columns = min(W, pairs_W * PAIR + 2 - before) - first
        pitch = max(pairs_W * PAIR + 2, margin + over(columns, PAIR) * PAIR)
        apart = held * self.line + L                      # not a power of 2: 36 lines are written at a time
        frame = (together * rows + 1) * SPAN * pitch + PAIR
        self.geometry = {"C": C, "H": H, "W": W, "first_row": -above, "first_column": first, "margin": margin, "columns": columns,
                         "pitch": pitch, "images": images, "O": O, "OH": OH, "OW": OW, "rows": rows, "strips": strips,
                         "tiles_H": tiles_H, "pairs_W": pairs_W, "together": together, "line": self.line, "apart": apart,
                         "frame": frame, "L": L}
        self.tables = np.zeros(max(W, OW) + PAIR, dtype), pairs_table(together, rows, pairs_W, pitch, O, out, L)
        self.scratch = [("columns", workers, frame, dtype), ("factors", workers, PRODUCTS * apart, dtype)]


class Correlation(Plan):
    """The plan of a convolution of x (images, C, *sizes) with O filters, whose taps are at w[o*row + off]."""

    def __init__(self, images, C, O, sizes, out, padding, row, off, dtype, workers):
        M, L, shares = tile.FMA[0], tile.lanes(dtype), 1
        super().__init__(images, C, O, sizes, out, padding, C, BUDGET // (4 * PRODUCTS * C), dtype, workers)
        # in turns, though each transforms all pixels anew: every item reads the factors of all filters of its turn, which so stay
        # in a cache
        turns = over(O, max(FILTERS, MEMORY // (4 * PRODUCTS * C)))
        some = over(O, turns)
        blocks, self.starts = over(some, M), [min(i * some, O - some) for i in range(turns)]   # the last ones overlap
        while self.items * shares < 2 * workers and self.items * shares % workers and 2 * shares <= blocks:
            shares *= 2
        block, space, channels = C * M + L, self.line * M + L, np.arange(C)
        self.record = record(**self.geometry, shares=shares, some=some, panel=block, space=space)
        self.filter_arguments = some, C, row, ints(off), block
        self.taps, self.vin = ints(np.stack([self.line * channels, M * channels], axis=1)), ints(np.arange(self.line // L) * L)
        self.scratch += [("products", workers, PRODUCTS * space, dtype), ("taps of filters", workers, M * len(off), dtype),
                         ("panels", 1, blocks * PRODUCTS * block, dtype)]
        # zeros for the products, then a number for each filter; a vector for each worker
        self.bias, self.spoiled = np.zeros(M + O, dtype), np.zeros(workers * L, dtype)

    def __call__(self, x, w, bias, y):
        """Write y; whether all of it is finite."""
        padded, spoiled = self.bias.copy(), self.spoiled.copy()
        if bias is not None:
            padded[-len(bias):] = bias
        (columns, factors, products, taps, panels), w = (scratch(*what) for what in self.scratch), w.reshape(-1)
        x, y = x.reshape(-1), y.reshape(-1)
        for start in self.starts:
            filter_kernel()(w, start, *self.filter_arguments, taps, panels[0], workers=few(w.size) or self.workers)
            correlate_kernel()(x, panels[0], padded, y, start, self.record, *self.tables, self.taps, self.vin,
                               columns, factors, products, spoiled, workers=self.workers)
        return not np.isnan(spoiled).any()


class WeightGradient(Plan):
    """The plan of the gradient of O filters for images of C channels."""

    def __init__(self, images, C, O, sizes, out, padding, dtype, workers):
        L = tile.lanes(dtype)
        rows, width = over(O, L) * L, over(C, L) * L
        super().__init__(images, C, O, sizes, out, padding, L, BUDGET_WEIGHTS // (4 * PRODUCTS * width), dtype, workers)
        self.record = record(**self.geometry, shares=1, some=0, panel=0, space=0)         # one type of record for both kernels
        parts = workers if (self.items >= 2 * workers and rows * width * PRODUCTS < MANY) or rows // L < workers else 1
        self.sums, self.filters = (parts, PRODUCTS * rows * width + L), (O, C, rows, width)
        columns, (_, *size) = self.scratch
        # columns, V, by_channel, tails and sums; by_channel and sums lie in memory of a Correlation, and so have its names for it
        self.scratch = [columns, ("few factors", *size), ("factors", workers, PRODUCTS * self.line * width, dtype),
                        ("tails", workers, 9 * (C + L), dtype), ("panels", 1, prod(self.sums), dtype)]

    def __call__(self, x, u, gw):
        columns, factors, by_channel, tails, sums = (scratch(*what) for what in self.scratch)
        sums = sums[0, :prod(self.sums)].reshape(self.sums)
        weight_grad_kernel()(x.reshape(-1), u.reshape(-1), self.record, *self.tables, columns, factors, by_channel, sums,
                             workers=self.workers)
        gather(sums, *self.filters, tails, gw.reshape(-1), workers=few(gw.size) or self.workers)


# --- what conv.py asks

def suits(images, C, O, out, window, groups, dtype):
    """Whether a layer gains by this: 3x3 taps, channels and pixels enough to pay for the transforms, tiles well filled."""
    return (dtype.char == "f" and tile.BYTES >= 32 and groups == 1 and window.size == (3, 3) and window.stride == (1, 1)
            and window.dilation == (1, 1) and C >= CHANNELS and O >= CHANNELS
            and over(out[0], EDGE) * EDGE * over(out[1], PAIR) * PAIR <= WASTE * out[0] * out[1]
            and images * out[0] * out[1] >= ENOUGH * tile.lanes(dtype))


def suits_weight(images, C, O, out, window, groups, dtype):
    """The same for the gradient of the weight, whose lanes are channels."""
    L = tile.lanes(dtype)
    return (suits(images, C, O, out, window, groups, dtype) and over(C, L) * L <= 1.5 * C
            and C * O <= SUMS * images * out[0] * out[1] // EDGE ** 2)


@lru_cache(512)
def conv_plan(images, C, O, sizes, out, window, dtype, workers):
    """For w (O, C, 3, 3)."""
    first = tuple(lo for lo, _ in window.padding)
    return Correlation(images, C, O, sizes, out, first, 9 * C, np.arange(9 * C), dtype, workers)


@lru_cache(512)
def transpose_plan(images, O, C, sizes, out, window, dtype, workers):
    """For the gradient of the input, a convolution of the O channels of u with the taps of w (O, C, 3, 3) in reversed order."""
    first = tuple(2 - lo for lo, _ in window.padding)
    off = 9 * C * np.arange(O)[:, None] + np.arange(8, -1, -1)
    return Correlation(images, O, C, out, sizes, first, 9, off.ravel(), dtype, workers)


@lru_cache(512)
def weight_plan(images, C, O, sizes, out, window, dtype, workers):
    return WeightGradient(images, C, O, sizes, out, tuple(lo for lo, _ in window.padding), dtype, workers)
