"""The three passes of convolution without an im2col matrix: two kernels over the tile buffer of layout.py.

    correlate      y[m, p] = bias[m] + sum over k of  w[m, k] * buffer[off[k] + p]         conv, and conv_transpose
    weight_grad    gw[m, k] = sum over p of  u[m, p] * buffer[off[k] + p]                  conv_weight_grad

k counts all taps of a filter, which has C/G * prod(window.size) of them: K here, Q in the reference.

The transposed convolution is a convolution too: of u, with the kernel flipped and its two channel axes exchanged.  (Nothing is
flipped in memory: its shifts fall as the taps rise.)  With a stride S, output pixel h is reached by those taps k only for which
h + lo - k*D is a multiple of S; so the outputs split into S phases per axis, and each is a convolution of stride 1 with its own
taps, written at every S-th pixel (layout.output_phases).

Layers with 3x3 taps and many channels go to winograd.py first, which needs fewer products.

Who owns what: an item is a tile of output rows, of one output plane, of one group, for one set of images (the `together` that
share a buffer); where correlate has few tiles it is cut further, into `shares` parts of `share` blocks of filters each.  Worker t
takes items t, t + T, t + 2*T ..., and its buffer belongs to it.  In weight_grad items have no group and no shares: the loop over
groups is outside, and an item is packed anew for each of them.  `parts` there is how many arrays of sums there are: one for each
worker where they split the items, one where they split the filters.  In correlate the last tile, and the last block of filters,
overlap those before them: such outputs are written twice, the same numbers.  In weight_grad nothing overlaps, for it would count
twice: rows and filters that are missing are zeros.  There each worker adds up sums of its own, and these are added up at the end:
their order depends on the number of workers, so results for different numbers of threads differ by rounding.  Where there are
more sums than that is worth, or few items, a worker owns filters instead, and meets all items.
"""

from functools import lru_cache
from itertools import product
from math import prod

import numpy as np

from ...memory import empty
from ..registry import forced
from . import tile, winograd
from .jit import FLOATS, call_separate, few, inner, scratch, shared, solid, threads
from .layout import ONE, SLACK, axes_of, dot_vectors, ints, layout, output_phases, pointwise, record, row_of, runs, vectors
from .pack import packer, packing, panel

FLAT = 4096                                               # outputs, in rows shorter than a vector, from which on pixels are copied
MANY = 1 << 18                                            # sums of a weight gradient: measured, from here on a worker owns filters
CHUNK = 64                                                # vectors at a time: the factor's share stays in the first-level cache
PLENTY = 1 << 22                                          # multiply-adds of few filters that are worth compiling one more kernel
ENOUGH = 16                                               # vectors of an image that pay for a tile's final sums


@shared
def panels_of(t, T, w, groups, O, M, wrow, wgroup, woff, wp):
    """The panels of all blocks of M filters, of group g from w[g * wgroup] on; the last of a group overlaps the one before it."""
    blocks = (O + M - 1) // M
    for b in range(t, groups * blocks, T):
        m = max(0, min(b % blocks * M, O - M))
        panel(w, b // blocks * wgroup + m * wrow, wrow, woff, M, min(M, O - m), wp, b * M * woff.size)


@lru_cache(None)
def correlate_kernel(M, N, pieces):
    """The kernel for tiles of M filters and N vectors."""
    many, two, one = tile.fma_tile(M, N, pieces), tile.fma_tile(M, 2, pieces), tile.fma_tile(M, 1, pieces)

    def correlate(t, T, x, w, bias, y, geometry, packer, packing, depth_shifts, hphases, wphases, runs, taps, woff, vin, vout,
                  panels, buffers, outs):
        """The items of worker t.

        x, w, y         flat; geometry: g, the integers of this plan (Correlation)
        packer          the address of pack; packing, depth_shifts, hphases, wphases: its last four arguments
        runs, taps      which vectors meet which taps (layout.runs); vin, vout: where the vectors lie (layout.vectors)
        woff            where tap k of a filter lies in w; in a panel the taps lie one after the other
        panels          all panels in one row (g.panels_first), else a row for each worker; buffers, outs: a row for each worker

        From an item's number follow band (its share of the filters), r0 (first row of the tile), od, group and n0 (first image).
        Places are an array and an index of it; g.C and g.O count the channels and filters of a group, all_C and all_O those of all.
        source, s       where its pixels begin: in the buffer, which pack has filled, or in x itself
        row             where its rows begin in y, counted in rows over images, filters and planes
        to, o, ldo      where filter m of a block begins: in y itself (direct) or in out, and how far apart the filters are
        run             its vectors v .. end - 1 have `length` taps, the k-th and following of `taps`
        wk, bk          where the weights and the biases of a block begin
        """
        g, K, V = geometry[0], woff.size, vin.size // pieces
        all_C, all_O, voxels = g.groups * g.C, g.groups * g.O, g.D * g.H * g.W
        blocks = (g.O + M - 1) // M                       # of filters, M at a time
        share, sets = (blocks + g.shares - 1) // g.shares, (g.images + g.together - 1) // g.together
        buffer, out, weights = buffers[t], outs[t], panels[0 if g.panels_first else t]
        for item in range(t, sets * g.groups * g.OD * g.tiles * g.shares, T):
            band, r0, rest = item % g.shares, item // g.shares % g.tiles * g.rows, item // g.shares // g.tiles
            od, group, n0 = rest % g.OD, rest // g.OD % g.groups, rest // g.OD // g.groups * g.together
            r0 = min(r0, g.OH - g.rows)                   # the last tile overlaps the one before it
            base, count = (n0 * all_C + group * g.C) * voxels, min(g.together, g.images - n0)
            source, s = x, base + (od * g.H + r0) * g.W
            if g.copied:
                source, s = buffer, 0
                call_separate(packer, (x, base, all_C * voxels, count, od * g.stride_D, r0, buffer, packing, depth_shifts, hphases,
                                       wphases))
            for b in range(band * share, min(blocks, (band + 1) * share)):
                m, wk = max(0, min(b * M, g.O - M)), (group * blocks + b) * M * K
                if not g.panels_first:
                    wk = 0
                    panel(w, group * g.wgroup + m * g.wrow, g.wrow, woff, M, min(M, g.O - m), weights, 0)
                row = ((n0 * all_O + group * g.O + m) * g.YD + od * g.step_D + g.at_D) * g.YH + r0 * g.step_H + g.at_H
                to, o, ldo, bk = out, 0, out.size // M, group * g.O + m       # scratch may be larger than this plan needs
                if g.direct:
                    to, o, ldo = y, row * g.YW + g.at_W, g.YD * g.YH * g.YW
                for run in range(runs.shape[0]):
                    v, end, k, length = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
                    if g.lane == 1:                       # the last set may have fewer images; mixed, their lanes are zeros
                        end = V // g.together * count
                    # N vectors at a time, then two, then one
                    while end - v >= N and (N % 2 == 0 or end - v != N + 1):      # 4 are better cut into pairs than 3 and 1
                        many(weights, wk, taps, k, length, source, s, vin, v, to, o, ldo, vout, bias, bk)
                        v += N
                    while v + 2 <= end:
                        two(weights, wk, taps, k, length, source, s, vin, v, to, o, ldo, vout, bias, bk)
                        v += 2
                    if v < end:
                        one(weights, wk, taps, k, length, source, s, vin, v, to, o, ldo, vout, bias, bk)
                if not g.direct:
                    put(y, row, out, ldo, g, count, min(M, g.O - m), V // g.together * g.L)

    correlate.__qualname__ = f"correlate_{M}x{N}x{pieces}"                # the name under which it is kept
    return shared(correlate)


@inner
def put(y, row, out, ldo, g, count, filters, between):
    """Copy the rows of a tile from out, where images not mixed lie `between` numbers apart, to y; row: the first of y, in rows."""
    plane = g.YD * g.YH
    if g.lane > 1 and g.step_W == 1:                      # a vector holds a pixel of L images
        for j in range(filters):
            for r in range(g.rows):
                start = (row + j * plane + r * g.step_H) * g.YW + g.at_W
                tile.part_rows(y, start, g.groups * g.O * plane * g.YW, out, j * ldo + r * g.OW * g.lane, count, g.OW)
        return
    for i in range(count):
        for j in range(filters):
            at = row + (i * g.groups * g.O + j) * plane
            start, to_pitch = at * g.YW + g.at_W, g.step_H * g.YW
            begin, pitch = (j * ldo + i, g.OW * g.lane) if g.lane > 1 else (j * ldo + i * between, g.pitch)
            if g.step_W == 1 and g.lane == 1:
                tile.copy_rows(y, start, to_pitch, out, begin, pitch, g.rows, g.OW)
            else:
                for r in range(g.rows):
                    tile.copy_strided(y, start + r * to_pitch, g.step_W, out, begin + r * pitch, g.lane, g.OW)


@shared
def add_parts(t, T, sums, groups, O, M, K, taps, gw):
    """The gradients of all filters: of each the sums of all workers, which have rows for whole tiles of filters.

    K: taps in `sums`, filled up to whole tiles; taps: those there are.
    """
    for b in range(t, groups * O, T):
        at, to = (b // O * ((O + M - 1) // M) * M + b % O) * K, b * taps
        for k in range(taps):
            value = sums[0, at + k]
            for part in range(1, sums.shape[0]):
                value += sums[part, at + k]
            gw[to + k] = value


@lru_cache(None)
def weight_grad_kernel(M, N, pieces):
    """The kernel for tiles of M filters and N taps."""
    dots = tile.dot_tile(M, N, pieces)

    def weight_grad(t, T, x, u, geometry, packer, packing, depth_shifts, hphases, wphases, off, vin, buffers, factors, sums):
        """The sums of worker t: of blocks lo .. hi - 1 of M filters and all taps, over the items part, part + parts, ...

        x, u            flat; geometry, packer and its arguments: as in correlate; buffers, factors: a row for each worker
        off             where tap k lies in the buffer (Layout.offsets); the last is repeated, to whole tiles of N taps
        vin             where vector v of outputs begins there (layout.dot_vectors); V vectors for an image, or for all mixed ones
        sums            `parts` rows; filter m of block b, tap k is at ((group * blocks + b) * M + m) * K + k
        part, mine      one row for each worker (parts == T): its items are t, t + T ..., its filters all.  One row (parts == 1):
                        its items are all, its filters the t-th share of the blocks
        source, s       as in correlate;  a, a0, lda: where the u of a block's first filter begin, and how far apart the filters are
        factor          M lines of g.line numbers: u in the order of vin, zeros in lanes without an output (line_up, mix_rows)
        times, length   the vectors of u lie in `times` stretches of `length`: in u itself (in_line) a stretch for each image; in
                        `factor` one for all images
        """
        g, K = geometry[0], off.size
        all_C, all_O, voxels = g.groups * g.C, g.groups * g.O, g.D * g.H * g.W
        V = vin.size // pieces // (1 if g.lane > 1 else g.together)
        blocks, parts = (g.O + M - 1) // M, sums.shape[0]
        sets, pixels = (g.images + g.together - 1) // g.together, g.OH * g.OW
        buffer, factor = buffers[t], factors[t]
        part, mine = (t, 0) if parts == T else (0, t)     # each worker its images, or its filters
        total, own = sums[part], blocks if parts == T else (blocks + T - 1) // T
        # An image's last vector reads up to L - 1 numbers behind it.  They meet zeros of the factor, but must be finite, for
        # 0 * nan is nan.  Behind the last plane they are cleared here.  Behind the last image of an incomplete set lies an image of
        # an earlier set, not garbage: sets of several images have at most images // workers, so there are T whole ones at least,
        # and they come first: every worker begins with a whole one
        if g.copied:
            tile.clear_row(buffer, g.C * depth_shifts.size * g.plane, SLACK)
        for group in range(g.groups):
            lo, hi = mine * own, min(blocks, (mine + 1) * own)
            tile.clear_row(total, (group * blocks + lo) * M * K, (hi - lo) * M * K)
            for item in range(part, sets * g.OD * g.tiles, parts):
                n0, od, r0 = item // g.tiles // g.OD * g.together, item // g.tiles % g.OD, item % g.tiles * g.rows
                count, height = min(g.together, g.images - n0), min(g.rows, g.OH - r0)
                base = (n0 * all_C + group * g.C) * voxels
                source, s = x, base + (od * g.H + r0) * g.W
                if g.copied:
                    source, s = buffer, 0
                    call_separate(packer, (x, base, all_C * voxels, count, od * g.stride_D, r0, buffer, packing, depth_shifts,
                                           hphases, wphases))
                for b in range(lo, hi):
                    begin = ((n0 * all_O + group * g.O + b * M) * g.OD + od) * pixels + r0 * g.OW
                    a, a0, lda, length, times = u, begin, g.OD * pixels, V, count
                    if g.lane > 1:
                        a, a0, lda, times = factor, 0, g.line, 1
                        for m in range(M):                # all rows: one tile; a filter that is not there has no images
                            there = count if b * M + m < g.O else 0
                            tile.mix_rows(factor, m * g.line, u, begin + m * g.OD * pixels, all_O * g.OD * pixels, there, pixels)
                    elif not g.in_line:
                        a, a0, lda, length, times = factor, 0, g.line, V * count, 1
                        for m in range(M):
                            there = height if b * M + m < g.O else 0      # a filter that is not there has no rows
                            for i in range(count):
                                start = begin + (i * all_O + m) * g.OD * pixels if there else 0
                                line_up(u, start, there, g, factor, m * g.line + i * V * g.L, V)
                    for i in range(times):
                        for v in range(0, length, CHUNK):
                            n = min(CHUNK, length - v)
                            for k in range(0, K, N):
                                to = (group * blocks + b) * M * K + k
                                dots(a, a0 + v * g.L, lda, source, s, off, k, vin, i * V + v, n, total, to, K)
                        a0 += all_O * g.OD * pixels

    weight_grad.__qualname__ = f"weight_grad_{M}x{N}x{pieces}"
    return shared(weight_grad)


# What weight_grad multiplies: vector i of `factor` has the u of those outputs whose pixels vector i of vin reads, and zeros
# where a lane has no output.  Of 3 outputs a row with pitch 5, L = 8:  u0 u1 u2 0 0 u3 u4 u5,  0 0 u6 ...
@inner
def line_up(u, start, height, g, factor, to, V):
    """V vectors of a line of the factor: `height` rows of u, row r at to + r * between, as its pixels in the buffer; else zeros."""
    tile.copy_padded(factor, to + (V - 1) * g.L, u, start, 0)             # the last vector may reach behind the last row: zeros
    for r in range(g.rows):
        there = g.OW if r < height else 0
        for c in range(0, g.between, g.L):                # what a vector writes behind its row, the next row writes over
            tile.copy_padded(factor, to + r * g.between + c, u, start + r * g.OW + c, there - c)


# --- plans: the integers of a geometry, once for all calls with it

def outputs(images, groups, O, plan):
    """The numbers of the outputs: O filters of each group; `together` images lie in the buffer at a time."""
    return {"images": images, "groups": groups, "O": O, "OD": plan.depth.count, "OH": plan.height.count, "OW": plan.width.count,
            "rows": plan.rows, "tiles": plan.tiles, "together": plan.images}


class Correlation:
    """The plan of one call of correlate: x (images, groups*C, *sizes) -> outputs at first + step*j of y (.., groups*O, *out).

    The weight of group g, filter m and tap k is w[g*wgroup + m*wrow + woff[k]], where k counts (channel, depth, row, column) as in
    Layout.offsets; C and O count the channels and the filters of one group.
    """

    def __init__(self, images, groups, C, O, axes, woff, wrow, wgroup, out, step, first, dtype, workers):
        L, self.workers = tile.lanes(dtype), workers
        M, N = tile_for(O, groups, images * len(woff) * O * prod(a.count for a in axes))
        in_place = pointwise(*axes)
        # every output reads its own pixel only, so the picture may be cut anew, into rows of whole vectors: from here on g.H and
        # g.W are those.  Where outputs lie `step` apart the rows stay as they are, and may be shorter than a vector
        if in_place and set(step) == {1} and out == tuple(a.size for a in axes):
            axes = row_of(axes, L)
            out = tuple(a.size for a in axes)
        depth, height, width = axes
        # nothing lies behind a picture that a vector may read: one of fewer than L pixels is copied.  So is a large one with short
        # rows (outputs `step` apart): an odd number of rows in place cannot be cut, and would leave the cache
        in_place = in_place and (width.count >= L or L <= height.count * width.count < FLAT)
        blocks, K = -(-O // M), len(woff)
        plan = layout(C, depth, height, width, dtype.itemsize, most_images=images // workers, in_place=in_place, L=L)
        cut = vectors(plan, out[2] * step[1], groups * O * prod(out), L, step[2] == 1 and O >= M)
        items, shares = -(-images // plan.images) * groups * depth.count * plan.tiles, 1
        while items * shares < 2 * workers and 2 * shares <= blocks:
            shares *= 2
        # a single item: to make all panels first would be a pass of its own
        own = items == 1 and blocks >= workers
        self.kernel = correlate_kernel(M, N, cut.pieces)
        # what a kernel calls g.  D, H, W: pixels of an image; OD, OH, OW: outputs of this plan; YD, YH, YW: sizes of y.  Output j
        # stands in y at  at_W + step_W * j, for a transposed convolution writes every step-th only.  panels_first: those of all
        # filters, for all workers; else (own) each worker makes a panel as it comes to it
        self.geometry = record(**plan.fields, **outputs(images, groups, O, plan), L=L, shares=shares, direct=cut.by_rows,
                               panels_first=not own, wrow=wrow, wgroup=wgroup, **dict(zip(("YD", "YH", "YW"), out)),
                               **dict(zip(("step_D", "step_H", "step_W"), step)), **dict(zip(("at_D", "at_H", "at_W"), first)))
        self.filters = None if own else (groups, O, M, wrow, wgroup, ints(woff))
        self.copied, self.packing = plan.copied, packing(plan, L)
        self.tables = (*runs(plan, cut.count, M), ints(woff), cut.vin, cut.vout)
        self.scratch = [("buffer", workers, plan.numbers, dtype),
                        ("out", workers, 1 if cut.by_rows else M * cut.count * L, dtype)]
        self.panels = ("panel", workers, M * K, dtype) if own else ("panels", 1, groups * blocks * M * K, dtype)
        self.bias = np.zeros(groups * O + M, dtype)       # M more: a last block of fewer filters reads M numbers, too

    def __call__(self, x, w, bias, y):
        if bias is not None:
            padded = self.bias.copy()
            padded[:len(bias)] = bias
        buffers, outs, panels = (scratch(*what) for what in (*self.scratch, self.panels))
        w = w.reshape(-1)
        if self.filters:
            panels_of(w, *self.filters, panels[0], workers=few(w.size))
        self.kernel(x.reshape(-1), w, self.bias if bias is None else padded, y.reshape(-1), self.geometry,
                    packer(x.dtype, self.copied), *self.packing, *self.tables, panels, buffers, outs, workers=self.workers)


def tile_for(O, groups, work):
    """Filters and vectors of a register tile for O filters."""
    M, N = tile.FMA
    if O <= M // 2 and (O == 1 or groups > 1 or work > PLENTY):
        return 1, 2 * N
    return (6, 4) if 4 < O <= 6 and M == 8 and correlate_kernel(6, 4, 1).ready() else (M, N)          # of LeNet's first layer


@lru_cache(512)
def conv_plan(images, C, O, sizes, window, groups, dtype, workers):
    axes, K = axes_of(window, window.output(sizes), sizes), C // groups * prod(window.size)
    # a filter's weights lie in the order of the taps: np.arange(K)
    return Correlation(images, groups, C // groups, O // groups, axes, np.arange(K), K, O // groups * K,
                       tuple(a.count for a in axes), (1, 1, 1), (0, 0, 0), dtype, workers)


@lru_cache(512)
def transpose_plans(images, O, C, sizes, out, window, groups, dtype, workers):
    """A Correlation for each phase of the outputs, and the phases that no tap reaches."""
    O, C, cells = O // groups, C // groups, prod(window.size)
    kernel = (1,) * (3 - window.ndim) + window.size
    step = (1,) * (3 - window.ndim) + window.stride
    whole = (1,) * (3 - window.ndim) + sizes
    each = [output_phases(n, d, lo, s, h, u) for n, d, (lo, _), s, h, u in
            zip(window.size, window.dilation, window.padding, window.stride, sizes, out)]
    plans, untouched = [], []
    absent = [[(0, ONE, [0])]] * (3 - window.ndim)        # axes that are not there: one phase, one tap
    for found in product(*absent, *each):
        first, axes, ks = zip(*found)
        if None in axes:
            untouched.append((..., *(slice(a, None, s) for a, s in zip(first, step))))
            continue
        cell = [(k[0] * kernel[1] + k[1]) * kernel[2] + k[2] for k in product(*ks)]
        # u's channels (O) are Correlation's channels, the result's (C) its filters: in w[o, c, cell] they lie `cells` apart
        woff = (C * cells * np.arange(O)[:, None] + np.array(cell)).ravel()
        plans.append(Correlation(images, groups, O, C, axes, woff, cells, O * C * cells, whole, step, first, dtype, workers))
    return plans, untouched


def dots_for(O):
    """Filters and taps of a register tile of the gradients of O filters."""
    if O == 1:
        return 1, 9                                       # depthwise: the taps of one filter
    M, N = tile.DOT
    return (N, M) if O == N else (M, N)                   # with DOT = (4, 6) six of them: LeNet's first layer


class WeightGradient:
    """The plan of one call of weight_grad."""

    def __init__(self, images, groups, C, O, axes, taps, dtype, workers):
        L, (M, N) = tile.lanes(dtype), dots_for(O)
        self.workers, in_place = workers, pointwise(*axes)
        if in_place:
            axes = row_of(axes, L)
            in_place = axes[2].count % L == 0
        depth, height, width = axes
        plan = layout(C, depth, height, width, dtype.itemsize, most_images=images // workers, in_place=in_place, L=L,
                      dots=True)
        cut = dot_vectors(plan, L)
        off = plan.offsets()
        off = np.append(off, np.repeat(off[-1:], -len(off) % N))          # the last tile is filled up with a tap that it has
        blocks, items = -(-O // M), -(-images // plan.images) * depth.count * plan.tiles
        # each worker its own sums, or, where these are large or the items few, its own filters, if there are enough of them.  An
        # item of mixed images is long: one for each worker is enough
        even = items >= 2 * workers or (plan.lane > 1 and items % workers == 0)
        parts = workers if (even and O * groups * len(off) < MANY) or blocks < workers else 1
        self.kernel = weight_grad_kernel(M, N, cut.pieces)
        # V: vectors of an image; line: numbers of a filter in `factor`, a vector more than it has, so that lines do not evict
        # each other; between: from one row of outputs to the next in it
        V, line, piece = cut.count // (1 if plan.lane > 1 else plan.images), (cut.count + 1) * L, L // cut.pieces
        between = -(-width.count // piece) * piece if cut.by_rows else plan.pitch
        # where the vectors are the outputs as they lie in u, one after the other, nothing needs to be copied
        in_line = (plan.lane == 1 and between == width.count and V * L == plan.rows * between and height.count % plan.rows == 0
                   and O % M == 0 and V >= ENOUGH)
        self.geometry = record(**plan.fields, **outputs(images, groups, O, plan), L=L, between=between, line=line,
                               in_line=in_line)
        self.copied, self.packing = plan.copied, packing(plan, L)
        self.tables = (ints(off), cut.vin)
        self.scratch = [("buffer", workers, plan.numbers, dtype), ("factor", workers, M * line + between + L, dtype)]
        self.sums, self.filters = (parts, groups * blocks * M * len(off)), (groups, O, M, len(off), taps)
        self.whole = parts == 1 and O % M == 0 and len(off) == taps        # the tiles are the result as it stands

    def __call__(self, x, u, gw):
        buffers, factors = (scratch(*what) for what in self.scratch)
        sums = gw.reshape(1, -1) if self.whole else empty(self.sums, x.dtype)
        self.kernel(x.reshape(-1), u.reshape(-1), self.geometry, packer(x.dtype, self.copied), *self.packing, *self.tables,
                    buffers, factors, sums, workers=self.workers)
        if not self.whole:
            add_parts(sums, *self.filters, gw.reshape(-1), workers=few(gw.size))


@lru_cache(512)
def weight_plan(images, C, O, sizes, out, window, groups, dtype, workers):
    axes, taps = axes_of(window, out, sizes), C // groups * prod(window.size)
    return WeightGradient(images, groups, C // groups, O // groups, axes, taps, dtype, workers)


# --- the twins of kernels/conv.py

SMALL = 1 << 20                                           # multiply-adds in float64 below which NumPy is quick enough


def declined(x, w, work):
    """Whether the reference shall do it: no floats, nothing to compute, or a tiny float64 problem, as in gradient checks."""
    return x.dtype != w.dtype or x.dtype not in FLOATS or work == 0 or (x.dtype.char == "d" and work < SMALL and not forced())


def conv(x, w, bias, window, groups):
    out = window.output(x.shape[2:])
    if declined(x, w, x.shape[0] * w.size * prod(out)):
        return NotImplemented
    y = empty((x.shape[0], w.shape[0], *out), x.dtype)
    (N, C, *_), O, x, w = x.shape, len(w), solid(x), solid(w)
    if winograd.suits(N, C, O, out, window, groups, x.dtype):
        # False where a result is not finite: the direct way computes it anew
        if winograd.conv_plan(N, C, O, x.shape[2:], out, window, x.dtype, threads.count)(x, w, bias, y):
            return y
    conv_plan(N, C, O, x.shape[2:], window, groups, x.dtype, threads.count)(x, w, bias, y)
    return y


def conv_transpose(u, w, bias, window, groups, sizes):
    if declined(u, w, u.size * prod(w.shape[1:])):
        return NotImplemented
    (N, O, *out), C, sizes, u, w = u.shape, w.shape[1] * groups, tuple(sizes), solid(u), solid(w)
    y = empty((N, C, *sizes), u.dtype)
    if winograd.suits(N, O, C, sizes, window, groups, u.dtype):
        if winograd.transpose_plan(N, O, C, sizes, tuple(out), window, u.dtype, threads.count)(u, w, bias, y):
            return y
    plans, untouched = transpose_plans(N, O, C, sizes, tuple(out), window, groups, u.dtype, threads.count)
    for plan in plans:
        plan(u, w, bias, y)
    for where in untouched:
        y.reshape(y.shape[:2] + (1,) * (3 - window.ndim) + sizes)[where] = 0 if bias is None else bias[:, None, None, None]
    return y


def conv_weight_grad(x, u, window, groups):
    if declined(x, u, u.size * x.shape[1] // groups * prod(window.size)):
        return NotImplemented
    (N, C, *sizes), (O, *out), x, u = x.shape, u.shape[1:], solid(x), solid(u)
    gw, shapes = empty((O, C // groups, *window.size), x.dtype), (N, C, O, tuple(sizes), tuple(out), window)
    if winograd.suits_weight(N, C, O, out, window, groups, x.dtype):
        winograd.weight_plan(*shapes, x.dtype, threads.count)(x, u, gw)
        if np.isfinite(gw).all():
            return gw
    weight_plan(*shapes, groups, x.dtype, threads.count)(x, u, gw)
    # lanes behind the end of a row meet zeros in u, but 0 * inf is not 0: the reference knows where a gradient is not finite
    return gw if np.isfinite(gw).all() else NotImplemented


@shared
def channel_sums(t, T, u, y):
    """u (N, C, P): a worker takes every T-th channel; lines of at most 4,096 numbers are added in the type of u."""
    for c in range(t, u.shape[1], T):
        total = 0.0
        for n in range(u.shape[0]):
            for start in range(0, u.shape[2], 4096):
                line, part = u[n, c, start:start + 4096], u.dtype.type(0)
                for j in range(line.size):
                    part += line[j]
                total += part
        y[c] = total


def channel_sum(u):
    if u.dtype not in FLOATS or u.size == 0 or (u.dtype.char == "d" and u.size < SMALL and not forced()):
        return NotImplemented
    y = np.empty(u.shape[1], u.dtype)
    channel_sums(solid(u).reshape(u.shape[0], u.shape[1], -1), y, workers=few(u.size))
    return y
