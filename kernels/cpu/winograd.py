"""3x3 convolutions with fewer products, for float32: Winograd's minimal filtering F(2x2, 3x3) in the three passes of conv.py.

Two neighbouring outputs of a filter with three taps cost six products.  These four are enough:

    m0 = (d0 - d2) g0      m1 = (d1 + d2) (g0 + g1 + g2) / 2      m2 = (d2 - d1) (g0 - g1 + g2) / 2      m3 = (d1 - d3) g2
    y0 = m0 + m1 + m2      y1 = m1 - m2 - m3

The same along rows and columns gives a tile of 2x2 outputs for 16 products instead of 36,

    y = A' [ (G g G') * (B' d B) ] A           d: 4x4 pixels, g: 3x3 taps, * number by number

and since only sums go in and out, the sum over the channels can be taken of the products: each of the 16 numbers of all tiles
is then a matrix product of its own, [filters, channels] @ [channels, tiles], which the micro-kernel of tile.py computes.  The
gradient of the input is such a convolution as well, and the gradient of the weight is the formula read backwards:

    gg = G' [ sum over tiles of  (A u A') * (B' d B) ] G

Accuracy: an output is still a function of the nine pixels under the filter, but its error is that of their sums: at most
n * eps * (largest pixel) * (largest weight) for n products, however small its own products are.  An infinite pixel comes out as
inf - inf, which is why conv.py computes anew what is not finite, without this.

Source: Winograd 1980, Arithmetic Complexity of Computations, doi:10.1137/1.9781611970364; Lavin and Gray 2015, arXiv:1509.09308.
"""

from functools import lru_cache

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...memory import empty
from . import tile
from .jit import few, inner, scratch, shared, threads
from .layout import ints, record
from .pack import panel
from .tile import INT, Writer, outlined

PRODUCTS = 16                                             # of a tile of 2x2 outputs
PARTS = 2                                                 # the transforms take half vectors: rows of small pictures are short
DOT = 4, 4                                                # filters and channels of a tile of dot products
SOME = 32                                                 # channels at a time in the gradient of the weight
CHANNELS = 8                                              # fewer do not pay for the transforms
WEIGHTS = 1024                                            # for each tile, above which sums of 16 factors cost more than is saved
LEAST = 3                                                 # vectors of tiles that a matrix product must have
BUDGET = 640 << 10                                        # bytes of a worker's factors of pixels: they stay in its cache


# --- the transforms of L tiles at a time, in LLVM's language

def pixels_to_factors(b, d):
    """B' d"""
    return [b.fsub(d[0], d[2]), b.fadd(d[1], d[2]), b.fsub(d[2], d[1]), b.fsub(d[1], d[3])]


def products_to_outputs(b, m):
    """A' m"""
    return [b.fadd(b.fadd(m[0], m[1]), m[2]), b.fsub(b.fsub(m[1], m[2]), m[3])]


def gradients_to_factors(b, u):
    """A u"""
    return [u[0], b.fadd(u[0], u[1]), b.fsub(u[0], u[1]), b.fneg(u[1])]


def filters_to_factors(b, g):
    """G g"""
    half = ir.Constant(g[0].type, [0.5] * g[0].type.count)
    ends, middle = b.fmul(half, b.fadd(g[0], g[2])), b.fmul(half, g[1])
    return [g[0], b.fadd(ends, middle), b.fsub(ends, middle), g[2]]


def sums_to_filters(b, s):
    """G' s"""
    half = ir.Constant(s[0].type, [0.5] * s[0].type.count)
    plus, minus = b.fmul(half, b.fadd(s[1], s[2])), b.fmul(half, b.fsub(s[1], s[2]))
    return [b.fadd(s[0], plus), minus, b.fadd(plus, s[3])]


def both_ways(b, transform, rows):
    """The transform along the columns of a tile, and then along its rows; in one list."""
    columns = [transform(b, column) for column in zip(*rows)]
    return [value for row in zip(*columns) for value in transform(b, row)]


def by_tiles(at, rows, count, action):
    """action(r, j) for the tiles j = 0, L, 2L, ... < count of every row r of them"""
    def row(r, _):
        at.by_lanes(count, lambda j: action(r, j))
        return []
    at.loop(rows, [], row)


def parted(at, pair):
    """Two vectors of a row of pixels: those of even and those of odd columns."""
    return [at.shuffle(*pair, list(range(odd, 2 * at.L, 2))) for odd in (0, 1)]


def number(value):
    return ir.Constant(INT, value)


@intrinsic
def factors_of_pixels(typing, v, to, apart, x, s, zeros, H, W, top, left, rows, count):
    """v[to + k*apart + r*count + j] = factor k of tile (r, j), whose first pixel is at row top + 2*r and column left + 2*j.

    x[s : s + H*W] is the picture, and zeros[: W] stands for the rows above and below it.  Whole vectors are written, row by row.
    """
    def write(at, v, to, apart, x, s, zeros, H, W, top, left, rows, count):
        b, L = at.b, at.L

        def tiles(r, j):
            first, column = b.add(top, b.add(r, r)), b.add(left, b.add(j, j))
            masks = {shift: at.between(b.add(column, number(shift)), W) for shift in (0, L, 2, L + 2)}
            lines = []
            for i in range(4):
                row = b.add(first, number(i))
                there = b.icmp_unsigned("<", row, H)
                line = at.at(b.select(there, at.at(x, s, b.mul(row, W)), zeros), column)
                near, far = ([at.load_where(at.at(line, shift), masks[shift]) for shift in (edge, edge + L)] for edge in (0, 2))
                lines.append([*parted(at, near), *parted(at, far)])
            place = b.add(j, b.mul(r, count))
            for k, value in enumerate(both_ways(b, pixels_to_factors, lines)):
                at.store(value, at.at(v, to, place, b.mul(apart, number(k))))
        by_tiles(at, rows, count, tiles)
    i = types.int64
    kinds = "array", "int", "int", "array", "int", "array", *["int"] * 6
    return types.void(v, i, i, x, i, zeros, i, i, i, i, i, i), outlined("factors_of_pixels", kinds, write, PARTS)


@intrinsic
def factors_of_gradients(typing, v, to, apart, u, s, W, rows, count):
    """The same for the 2x2 gradients of each tile in u[s :], in rows of W; the rest of a row's last vector are zeros."""
    def write(at, v, to, apart, u, s, W, rows, count):
        b, L = at.b, at.L

        def tiles(r, j):
            column, lines = b.add(j, j), []
            masks = [at.between(b.add(column, number(shift)), W) for shift in (0, L)]
            for i in range(2):
                line = at.at(u, s, b.mul(b.add(b.add(r, r), number(i)), W), column)
                lines.append(parted(at, [at.load_where(at.at(line, shift), mask) for shift, mask in zip((0, L), masks)]))
            place = b.add(j, b.mul(r, count))
            for k, value in enumerate(both_ways(b, gradients_to_factors, lines)):
                at.store(value, at.at(v, to, place, b.mul(apart, number(k))))
        by_tiles(at, rows, count, tiles)
    i = types.int64
    kinds = "array", "int", "int", "array", *["int"] * 4
    return types.void(v, i, i, u, i, i, i, i), outlined("factors_of_gradients", kinds, write, PARTS)


@intrinsic
def outputs_of_products(typing, y, o, W, m, s, apart, rows, count, bias, k, spoiled, t):
    """The 2x2 outputs of each tile from its 16 products at m[s :], `apart` from each other, plus bias[k]; to y[o :], rows of W.

    spoiled[t : t + L] adds up 0 times all outputs: it ends as nan if one of them is not finite.
    """
    def write(at, y, o, W, m, s, apart, rows, count, bias, k, spoiled, t):
        b, L = at.b, at.L
        plus, spoiled = at.splat(at.at(bias, k)), at.at(spoiled, t)
        halves = [[i + odd * L for i in range(first, first + L // 2) for odd in (0, 1)] for first in (0, L // 2)]

        def tiles(r, j):
            place, column = b.add(j, b.mul(r, count)), b.add(j, j)
            products = [at.load(at.at(m, s, place, b.mul(apart, number(i)))) for i in range(PRODUCTS)]
            outputs = both_ways(b, products_to_outputs, [products[i:i + 4] for i in range(0, PRODUCTS, 4)])
            masks = [at.between(b.add(column, number(shift)), W) for shift in (0, L)]
            bad = at.load(spoiled)
            for i in range(2):
                pair = [b.fadd(value, plus) for value in outputs[2 * i:2 * i + 2]]
                line = at.at(y, o, b.mul(b.add(b.add(r, r), number(i)), W), column)
                for lanes, mask, shift in zip(halves, masks, (0, L)):
                    value = at.shuffle(*pair, lanes)
                    at.store_where(value, at.at(line, shift), mask)
                    bad = b.call(at.fused, [b.select(mask, value, at.zero()), at.zero(), bad])
            at.store(bad, spoiled)
        by_tiles(at, rows, count, tiles)
    i = types.int64
    kinds = "array", "int", "int", "array", *["int"] * 4, "array", "int", "array", "int"
    return types.void(y, i, i, m, i, i, i, i, bias, i, spoiled, i), outlined("outputs_of_products", kinds, write, PARTS)


@intrinsic
def factors_of_filters(typing, v, to, apart, w, s, M):
    """v[to + k*apart + m] = factor k of filter m < M, a literal; tap i of that filter is w[s + i*M + m]."""
    def code(context, builder, signature, values):
        at, count = Writer(context, builder, signature, values), M.literal_value
        taps = [at.load(at.at(3, values[4], i * count), count) for i in range(9)]
        for k, value in enumerate(both_ways(builder, filters_to_factors, [taps[i:i + 3] for i in (0, 3, 6)])):
            at.store(value, at.at(0, values[1], builder.mul(values[2], ir.Constant(INT, k))))
        return context.get_dummy_value()
    i = types.int64
    return (types.void(v, i, i, w, i, M), code) if isinstance(M, types.IntegerLiteral) else None


@intrinsic
def filters_of_sums(typing, gw, to, apart, sums, s, between, count):
    """gw[to + i*apart + j] = gradient of tap i of filter j < count; its 16 sums are at sums[s + j], `between` from each other."""
    def write(at, gw, to, apart, sums, s, between, count):
        b = at.b

        def some(j):
            factors = [at.load(at.at(sums, s, j, b.mul(between, ir.Constant(INT, k)))) for k in range(PRODUCTS)]
            for i, value in enumerate(both_ways(b, sums_to_filters, [factors[k:k + 4] for k in range(0, PRODUCTS, 4)])):
                at.store(value, at.at(gw, to, j, b.mul(apart, ir.Constant(INT, i))))
        at.by_lanes(count, some)
    i = types.int64
    return types.void(gw, i, i, sums, i, i, i), outlined("filters_of_sums", ("array", "int", "int", "array", "int", "int", "int"),
                                                         write)


# --- the kernels

@inner
def transform(x, n0, count, c0, channels, r0, height, g, zeros, factors):
    """The factors of some channels, rows and images: factors[k, c, tile], for g.some channels."""
    tiles = height // 2 * g.tiles_W
    for c in range(channels):
        for i in range(count):
            factors_of_pixels(factors, c * g.line + i * tiles, g.some * g.line, x, ((n0 + i) * g.C + c0 + c) * g.H * g.W, zeros,
                              g.H, g.W, g.top + r0, g.left, height // 2, g.tiles_W)


@lru_cache(None)
def filter_kernel():
    M = tile.FMA[0]

    def filters(t, T, w, O, C, row, off, panels, v):
        """v[k, block, c, m] = factor k of filter m of a block, the last of which overlaps the one before it."""
        blocks = (O + M - 1) // M
        for b in range(t, blocks, T):
            panel(w, min(b * M, O - M) * row, row, off, M, M, panels[t], 0)
            for c in range(C):
                factors_of_filters(v, (b * C + c) * M, blocks * C * M, panels[t], c * 9 * M, M)

    filters.__qualname__ = "filters"                      # the name under which it is kept
    return shared(filters)


@lru_cache(None)
def correlate_kernel():
    M, N = tile.FMA
    some, two, one = tile.fma_tile(M, N), tile.fma_tile(M, 2), tile.fma_tile(M, 1)

    def correlate(t, T, x, w, bias, y, geometry, zeros, taps, vin, factors, products, spoiled):
        g, C, O = geometry[0], geometry[0].C, geometry[0].O
        blocks, sets = (O + M - 1) // M, (g.images + g.together - 1) // g.together
        share = (blocks + g.shares - 1) // g.shares
        V, m = factors[t], products[t]
        for item in range(t, sets * g.tiles * g.shares, T):
            part, r0, n0 = item % g.shares, item // g.shares % g.tiles * g.rows, item // g.shares // g.tiles * g.together
            r0, count = min(r0, g.OH - g.rows), min(g.together, g.images - n0)          # the last tile overlaps the one before it
            transform(x, n0, count, 0, C, r0, g.rows, g, zeros, V)
            end = (count * (g.rows // 2) * g.tiles_W + g.L - 1) // g.L
            for b in range(part * share, min(blocks, (part + 1) * share)):
                for k in range(16):
                    wk, s, to, v = (k * blocks + b) * C * M, k * C * g.line, k * M * g.line, 0
                    while end - v >= N and end - v != N + 1:
                        some(w, wk, taps, 0, C, V, s, vin, v, m, to, g.line, vin, bias, 0)
                        v += N
                    while v + 2 <= end:
                        two(w, wk, taps, 0, C, V, s, vin, v, m, to, g.line, vin, bias, 0)
                        v += 2
                    if v < end:
                        one(w, wk, taps, 0, C, V, s, vin, v, m, to, g.line, vin, bias, 0)
                first, tiles = min(b * M, O - M), g.rows // 2 * g.tiles_W
                for i in range(count):
                    for j in range(M):
                        at = (((n0 + i) * O + first + j) * g.OH + r0) * g.OW
                        outputs_of_products(y, at, g.OW, m, j * g.line + i * tiles, M * g.line, g.rows // 2, g.tiles_W, bias,
                                            M + first + j, spoiled, t * g.L)

    correlate.__qualname__ = "correlate"
    return shared(correlate)


@inner
def clear_tails(factors, rows, line, first, last):
    """Zeros behind the tiles of every row, up to the end of the last vector: 0 * nan would be nan."""
    for row in range(rows if last > first else 0):
        tile.clear_row(factors, row * line + first, last - first)


@lru_cache(None)
def weight_grad_kernel():
    M, N = DOT
    dots = tile.dot_tile(M, N)

    def weight_grad(t, T, x, u, geometry, zeros, off, vin, factors, gradients, sums):
        g, C, O = geometry[0], geometry[0].C, geometry[0].O
        blocks, sets, parts = O // M, (g.images + g.together - 1) // g.together, sums.shape[0]
        V, F = factors[t], gradients[t]
        part, share = (t, 0) if parts == T else (0, t)    # each worker its images, or its filters
        total, own, line = sums[part], blocks if parts == T else (blocks + T - 1) // T, (C + N - 1) // N * N
        lo, hi = share * own, min(blocks, (share + 1) * own)
        for k in range(16):
            tile.clear_row(total, (k * O + lo * M) * line, (hi - lo) * M * line)
        for item in range(part, sets * g.tiles, parts):
            r0, n0 = item % g.tiles * g.rows, item // g.tiles * g.together
            height, count = min(g.rows, g.OH - r0), min(g.together, g.images - n0)
            tiles = height // 2 * g.tiles_W
            end = (count * tiles + g.L - 1) // g.L
            for c0 in range(0, C, g.some):
                channels = min(g.some, C - c0)
                transform(x, n0, count, c0, channels, r0, height, g, zeros, V)
                clear_tails(V, 16 * g.some, g.line, count * tiles, end * g.L)
                for b in range(lo, hi):
                    for i in range(count):
                        for j in range(M):
                            at = (((n0 + i) * O + b * M + j) * g.OH + r0) * g.OW
                            factors_of_gradients(F, j * g.line + i * tiles, M * g.line, u, at, g.OW, height // 2, g.tiles_W)
                    clear_tails(F, 16 * M, g.line, count * tiles, end * g.L)
                    for k in range(16):
                        for c in range(0, channels, N):
                            dots(F, k * M * g.line, g.line, V, k * g.some * g.line, off, c, vin, 0, end, total,
                                 (k * O + b * M) * line + c0 + c, line)

    weight_grad.__qualname__ = "weight_grad"
    return shared(weight_grad)


@shared
def gather(t, T, sums, O, C, line, tails, gw):
    """The gradient of each filter, from the sums of all workers."""
    for o in range(t, O, T):
        for part in range(1, sums.shape[0]):
            for k in range(16):
                at = (k * O + o) * line
                for c in range(line):
                    sums[0, at + c] += sums[part, at + c]
        filters_of_sums(tails[t], 0, tails.shape[1] // 9, sums[0], o * line, O * line, C)
        for c in range(C):
            for i in range(9):
                gw[(o * C + c) * 9 + i] = tails[t, i * (tails.shape[1] // 9) + c]


# --- plans

def tile_rows(images, C, out, workers, L):
    """Rows of outputs and images that a worker takes at a time: as many as keep the factors of C channels within BUDGET."""
    def fits(rows, together):
        line = line_of(rows, together, out, L)
        return PRODUCTS * C * line * 4 <= BUDGET or line <= LEAST * L

    rows, together = out[0], 1
    while rows > 2 and not fits(rows, 1):
        rows = (rows // 2 + 1) // 2 * 2
    while rows == out[0] and 2 * together <= images // workers and fits(rows, 2 * together):
        together *= 2
    return rows, together


def line_of(rows, together, out, L):
    """Numbers of a factor of all tiles: whole vectors, one for what the last row writes behind its end, an odd number of them."""
    vectors = -(-(together * (rows // 2) * (out[1] // 2)) // L) + 1
    return (vectors | 1) * L


class Plan:
    """What both kernels need to know of pictures (images, C, *sizes), whose factors are made for `some` channels at a time."""

    def __init__(self, images, C, some, O, sizes, out, padding, dtype, workers):
        L, self.workers = tile.lanes(dtype), workers
        rows, together = tile_rows(images, some, out, workers, L)
        line, tiles = line_of(rows, together, out, L), -(-out[0] // rows)
        self.line, self.items = line, -(-images // together) * tiles
        (H, W), (OH, OW), (top, left) = sizes, out, padding
        self.geometry = {"C": C, "some": some, "H": H, "W": W, "top": -top, "left": -left, "images": images, "O": O, "OH": OH,
                         "OW": OW, "rows": rows, "tiles": tiles, "together": together, "tiles_W": OW // 2, "line": line, "L": L}
        self.tables = np.zeros(W, dtype), ints(np.arange(line // L) * L), ints(line * np.arange(some))
        self.factors = "factors", workers, PRODUCTS * some * line, dtype


class Correlation(Plan):
    """The plan of a convolution of x (images, C, *sizes) with O filters, whose taps are at w[o*row + off]."""

    def __init__(self, images, C, O, sizes, out, padding, row, off, dtype, workers):
        super().__init__(images, C, C, O, sizes, out, padding, dtype, workers)
        M, shares = tile.FMA[0], 1
        blocks = -(-O // M)
        while self.items * shares < 2 * workers and 2 * shares <= blocks:
            shares *= 2
        self.record = record(**self.geometry, shares=shares)
        self.filters, channels = (O, C, row, ints(off)), np.arange(C)
        self.taps = ints(np.stack([self.line * channels, M * channels], axis=1))
        self.more = (("products", workers, PRODUCTS * M * self.line, dtype), ("panel", workers, M * len(off), dtype),
                     ("filters", 1, PRODUCTS * blocks * M * C, dtype))
        # zeros for the products, then a number for each filter; a vector for each worker
        self.bias, self.spoiled = np.zeros(M + O, dtype), np.zeros(workers * self.geometry["L"], dtype)

    def __call__(self, x, w, bias, y):
        """Write y; whether all of it is finite."""
        padded, spoiled = self.bias.copy(), self.spoiled.copy()
        if bias is not None:
            padded[-len(bias):] = bias
        factors, products, panels, filters = (scratch(*what) for what in (self.factors, *self.more))
        (zeros, vin, _), w = self.tables, w.reshape(-1)
        filter_kernel()(w, *self.filters, panels, filters[0], workers=few(w.size) or self.workers)
        correlate_kernel()(x.reshape(-1), filters[0], padded, y.reshape(-1), self.record, zeros, self.taps, vin,
                           factors, products, spoiled, workers=self.workers)
        return not np.isnan(spoiled).any()


class WeightGradient(Plan):
    """The plan of the gradient of O filters for images of C channels."""

    def __init__(self, images, C, O, sizes, out, padding, dtype, workers):
        (M, N), L = DOT, tile.lanes(dtype)
        line = -(-C // N) * N
        super().__init__(images, C, min(SOME, line), O, sizes, out, padding, dtype, workers)
        self.record = record(**self.geometry, shares=1)   # one type of record for both kernels
        parts = workers if self.items >= 2 * workers and O * line * PRODUCTS < 1 << 20 or O // M < workers else 1
        self.sums, self.more = (parts, PRODUCTS * O * line + L), ("gradients", workers, PRODUCTS * M * self.line, dtype)
        self.tails = ("tails", workers, 9 * (C + L), dtype)
        self.filters = O, C, line

    def __call__(self, x, u, gw):
        factors, gradients, tails = (scratch(*what) for what in (self.factors, self.more, self.tails))
        (zeros, vin, channels), sums = self.tables, empty(self.sums, x.dtype)
        weight_grad_kernel()(x.reshape(-1), u.reshape(-1), self.record, zeros, channels, vin, factors,
                             gradients, sums, workers=self.workers)
        gather(sums, *self.filters, tails, gw.reshape(-1), workers=few(gw.size) or self.workers)


# --- what conv.py asks

def suits(images, C, O, out, window, groups, dtype):
    """Whether a layer gains by this: 3x3 taps, whole tiles of outputs, channels and pixels enough to pay for the transforms."""
    return (dtype.char == "f" and tile.BYTES >= 32 and groups == 1 and window.size == (3, 3) and window.stride == (1, 1)
            and window.dilation == (1, 1) and C >= CHANNELS and O >= CHANNELS and out[0] % 2 == out[1] % 2 == 0 and out[1] >= 6
            and images * out[0] * out[1] >= 4 * LEAST * tile.lanes(dtype))


def suits_weight(images, C, O, out, window, groups, dtype):
    """The same for the gradient of the weight."""
    return (suits(images, C, O, out, window, groups, dtype) and O % DOT[0] == 0
            and C * O <= WEIGHTS * images * out[0] * out[1] // 4)


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
