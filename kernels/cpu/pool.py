"""Pooling in one reading of the image, values and taps together.

NumPy walks over the taps with whole arrays: every tap reads all pixels that it meets and writes all windows.  Here a row of
windows walks over its taps while it is in the cache, so the image is read once, and a tap is kept as one byte: for 2x2
windows side by side, the most frequent, both passes together move 14 bytes less per maximum than with an index of 8 bytes.
These have loops of their own, which compare the four pixels of a window in registers and write every pixel once.

Signals and pictures are volumes with axes of size 1.  A row of windows belongs to one worker; where numbers are added to the
image, a whole plane does, for windows may overlap.  Sums are taken in the order of the reference (but for
adaptive_sum).
"""

from functools import lru_cache, partial
from math import prod

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.unsafe.ndarray import to_fixed_tuple

from ...memory import empty
from ..pool import first_taps, in_fours, pixel_pitch, spans, tap_steps
from ..resample import Table
from . import tile
from .elementwise import declined
from .jit import shared, solid
from .layout import ints
from .resample import ADD, GATHER, PUT, apply, move

# Numba lets index -1 be the last, and tests signed indices for it; unsigned ones need no test, so their loops become vectors.
COUNT = np.uint64
TWO = COUNT(2)
BYTE = ir.IntType(8)


class Geometry:
    """The integers of a pooling.

    g           those of a volume, each for depth, height and width: sizes of the picture (D, H, W), of the outputs (OD, OH, OW)
                and of the window (KD, KH, KW), strides (sd ..), pixels of padding before the picture (ld ..), dilations (dd ..)
    begin, end  for each column of a window, the positions in a row where it meets the image: from, to (exclusive)
    starts      one axis after the other, what each position adds to the number of its window's first tap inside the image
    steps       tap_steps
    four        whether these are 2x2 windows side by side, all inside the picture
    """

    def __init__(self, sizes, out, window):
        lows, missing = tuple(lo for lo, _ in window.padding), 3 - window.ndim            # axes that are missing have size 1
        lines = (sizes, 1), (out, 1), (window.size, 1), (window.stride, 1), (lows, 0), (window.dilation, 1)
        self.g = ints([i for line, fill in lines for i in (fill,) * missing + tuple(line)])
        left = lows[-1] - np.arange(window.size[-1]) * window.dilation[-1]                    # of each column, in the padding
        self.begin, self.end = (ints(np.clip(-(-a // window.stride[-1]), 0, out[-1])) for a in (left, left + sizes[-1]))
        pitch = pixel_pitch(window.size)
        self.starts = ints([0] * missing + [first * p for firsts, p in zip(first_taps(window, out), pitch) for first in firsts])
        self.steps = ints(tap_steps(window, sizes))
        self.four = in_fours(window, sizes, out)


geometry = lru_cache(512)(Geometry)


def number_of(k, n):
    """The tap k, n times."""
    return ir.Constant(ir.VectorType(BYTE, n), [k] * n)


def spread(b, number, n):
    """A vector of n times the number."""
    none = ir.Constant(ir.VectorType(number.type, n), ir.Undefined)
    return b.shuffle_vector(b.insert_element(none, number, ir.Constant(tile.INT32, 0)), none,
                            ir.Constant(ir.VectorType(tile.INT32, n), [0] * n))


def bytes_at(at, array, n, *offsets):
    """The address of n bytes, as that of a vector."""
    return at.b.bitcast(at.at(array, *offsets), ir.VectorType(BYTE, n).as_pointer())


KINDS = "array", "int", "int", "array", "array", "int", "int"              # of the arguments of the two below


@intrinsic
def max_of_four(typing, x, p, W, y, tap, q, count, dead):
    """y[q + j] = the largest of x[p + 2*j], its right neighbour and the two below, W further; tap[q + j] = which; for j < count.

    dead: 0, or for relu what a tap is increased by where the largest is not above 0; it becomes 0 then, unless it is not a number.
    """
    def write(at, x, p, W, y, tap, q, count, dead):
        b = at.b
        nothing, zero = ir.Constant(at.number, float("-inf")), ir.Constant(at.number, 0.0)
        lowest = b.select(b.icmp_signed("==", dead, ir.Constant(tile.INT, 0)), nothing, zero)

        def some(j, n):
            pairs = [at.load(at.at(x, p, row, j, j), 2 * n) for row in (0, W)]
            pixels = [at.shuffle(pair, pair, list(range(odd, 2 * n, 2))) for pair in pairs for odd in (0, 1)]
            top, which = pixels[0], number_of(0, n)
            for k, pixel in enumerate(pixels[1:], 1):
                better = b.or_(b.fcmp_ordered(">", pixel, top), b.fcmp_unordered("uno", pixel, pixel))
                top, which = b.select(better, pixel, top), b.select(better, number_of(k, n), which)
            least, more = spread(b, lowest, n), spread(b, b.trunc(dead, BYTE), n)
            which = b.select(b.fcmp_ordered(">", top, least), which, b.add(which, more))
            at.store(b.select(b.fcmp_ordered("<=", top, least), least, top), at.at(y, q, j))
            b.store(which, bytes_at(at, tap, n, q, j)).align = 1
        tile.by_vectors(at, count, some)
    i = types.int64
    return types.void(x, i, i, y, tap, i, i, i), tile.outlined("max_of_four", (*KINDS, "int"), write)


@intrinsic
def scatter_four(typing, x, p, W, y, tap, q, count):
    """Its way back: of the gradient y each y[q + j] goes to the pixel of its tap, zeros to the others (all four, if it is dead)."""
    def write(at, x, p, W, y, tap, q, count):
        def pair(row, first, j, n):
            value, which = at.load(at.at(y, q, j), n), at.b.load(bytes_at(at, tap, n, q, j))
            which.align, zero = 1, ir.Constant(value.type, [0.0] * n)
            pixels = [at.b.select(at.b.icmp_unsigned("==", which, number_of(first + k, n)), value, zero) for k in (0, 1)]
            by_turns = [k for turn in zip(range(n), range(n, 2 * n)) for k in turn]
            at.store(at.shuffle(*pixels, by_turns), at.at(x, p, row, j, j))
        for row, first in ((0, 0), (W, 2)):
            tile.by_vectors(at, count, partial(pair, row, first))
    i = types.int64
    return types.void(x, i, i, y, tap, i, i), tile.outlined("scatter_four", KINDS, write)


@shared
def _max_of_four(t, T, x, y, tap, H, W, OH, OW, dead):
    """Windows of 2x2 side by side: x (planes * H * W) -> y, tap (planes * OH * OW), all flat; dead: see max_of_four"""
    rows = y.size // OW
    for row in range(rows * t // T, rows * (t + 1) // T):
        max_of_four(x, (row // OH * H + row % OH * 2) * W, W, y, tap, row * OW, OW, dead)


@shared
def _scatter_four(t, T, y, tap, x, H, W, OH, OW):
    """x = y at the pixel of each tap of such windows, else zero."""
    zero, planes = x.dtype.type(0), x.size // (H * W)
    for n in range(planes * t // T, planes * (t + 1) // T):
        for r in range(OH):
            p = (n * H + 2 * r) * W
            scatter_four(x, p, W, y, tap, (n * OH + r) * OW, OW)
            for j in range(p + 2 * OW, p + W):
                x[j] = zero
                x[j + W] = zero
        for j in range((n * H + 2 * OH) * W, (n + 1) * H * W):
            x[j] = zero


@shared
def _max(t, T, x, y, tap, g, begin, end, starts):
    """x (planes * D * H * W) -> y, tap (planes * OD * OH * OW), all flat; the integers are those of Geometry"""
    D, H, W, OD, OH, OW, KD, KH, KW, sd, sh, sw, ld, lh, lw, dd, dh, dw = to_fixed_tuple(g, 18)
    rows = y.size // OW
    for row in range(rows * t // T, rows * (t + 1) // T):
        od, oh, plane = row // OH % OD, row % OH, row // OH // OD * D
        start, first = starts[od] + starts[OD + oh], starts[OD + OH:]     # OD numbers, then OH, then OW
        for j in range(OW):
            y[row * OW + j] = -np.inf
            tap[row * OW + j] = start + first[j]
        for k in range(KD * KH):
            z, r = od * sd + k // KH * dd - ld, oh * sh + k % KH * dh - lh
            if not (0 <= z < D and 0 <= r < H):
                continue
            for kw in range(KW):
                i, number = begin[kw], tap.dtype.type(k * KW + kw)
                p, q = COUNT(((plane + z) * H + r) * W + i * sw + kw * dw - lw), COUNT(row * OW + i)
                if sw == 2:                               # a stride that is written out becomes shuffles of vectors
                    for j in range(COUNT(end[kw] - i)):
                        v = x[p + TWO * j]
                        better = (v > y[q + j]) | (v != v)
                        y[q + j] = v if better else y[q + j]
                        tap[q + j] = number if better else tap[q + j]
                else:
                    for j in range(COUNT(end[kw] - i)):
                        v = x[p + COUNT(sw) * j]
                        better = (v > y[q + j]) | (v != v)
                        y[q + j] = v if better else y[q + j]
                        tap[q + j] = number if better else tap[q + j]


@shared
def _scatter_taps(t, T, y, tap, x, g, steps):
    """x = y added up at the pixel of each tap; steps: how far a tap is from the first"""
    D, H, W, OD, OH, OW, KD, KH, KW, sd, sh, sw, ld, lh, lw, dd, dh, dw = to_fixed_tuple(g, 18)
    zero, planes = x.dtype.type(0), x.size // (D * H * W)
    for n in range(planes * t // T, planes * (t + 1) // T):
        plane = x[n * D * H * W:(n + 1) * D * H * W]
        for j in range(plane.size):
            plane[j] = zero
        for row in range(OD * OH):
            p = (n * OD * OH + row) * OW
            o, k = y[p:p + OW], tap[p:p + OW]
            corner = ((row // OH * sd - ld) * H + row % OH * sh - lh) * W - lw
            for j in range(OW):
                if k[j] < steps.size:                     # else it belongs to no pixel
                    plane[corner + j * sw + steps[k[j]]] += o[j]


@shared
def _window_sum(t, T, x, y, g, begin, end):
    """y = sums over windows of x"""
    D, H, W, OD, OH, OW, KD, KH, KW, sd, sh, sw, ld, lh, lw, dd, dh, dw = to_fixed_tuple(g, 18)
    rows = y.size // OW
    for row in range(rows * t // T, rows * (t + 1) // T):
        for j in range(row * OW, (row + 1) * OW):
            y[j] = 0
        for k in range(KD * KH):
            z, r = row // OH % OD * sd + k // KH * dd - ld, row % OH * sh + k % KH * dh - lh
            if not (0 <= z < D and 0 <= r < H):
                continue
            for kw in range(KW):
                i = begin[kw]
                p, q = COUNT(((row // OH // OD * D + z) * H + r) * W + i * sw + kw * dw - lw), COUNT(row * OW + i)
                if sw == 2:
                    for j in range(COUNT(end[kw] - i)):
                        y[q + j] += x[p + TWO * j]
                else:
                    for j in range(COUNT(end[kw] - i)):
                        y[q + j] += x[p + COUNT(sw) * j]


@shared
def _window_spread(t, T, y, x, g, begin, end):
    """x = sums over y of the windows that a pixel lies in"""
    D, H, W, OD, OH, OW, KD, KH, KW, sd, sh, sw, ld, lh, lw, dd, dh, dw = to_fixed_tuple(g, 18)
    planes, P = y.size // (OD * OH * OW), D * H * W
    for n in range(planes * t // T, planes * (t + 1) // T):
        for j in range(n * P, (n + 1) * P):
            x[j] = 0
        # from the last row to the first: then a pixel meets its taps from the first to the last
        for row in range(OD * OH - 1, -1, -1):
            for k in range(KD * KH):
                z, r = row // OH * sd + k // KH * dd - ld, row % OH * sh + k % KH * dh - lh
                if not (0 <= z < D and 0 <= r < H):
                    continue
                for kw in range(KW):
                    i = begin[kw]
                    p, q = COUNT(((n * D + z) * H + r) * W + i * sw + kw * dw - lw), COUNT((n * OD * OH + row) * OW + i)
                    for j in range(COUNT(end[kw] - i)):
                        x[p + COUNT(sw) * j] += y[q + j]


# --- the twins of kernels/pool.py

def window_max(x, window, out):
    if declined(x) or 0 in out:
        return NotImplemented
    sizes, y, plan = x.shape[2:], empty(x.shape[:2] + out, x.dtype), geometry(x.shape[2:], out, window)
    tap = empty(y.shape, np.min_scalar_type(prod(window.size)))
    arrays = solid(x).reshape(-1), y.reshape(-1), tap.reshape(-1)
    if plan.four:
        _max_of_four(*arrays, *sizes, *out, 0)
    else:
        _max(*arrays, plan.g, plan.begin, plan.end, plan.starts)
    return y, tap


def window_max_relu(x, window, out):
    if declined(x) or 0 in out or not in_fours(window, x.shape[2:], out):
        return NotImplemented
    y = empty(x.shape[:2] + out, x.dtype)
    tap = empty(y.shape, np.uint8)
    _max_of_four(solid(x).reshape(-1), y.reshape(-1), tap.reshape(-1), *x.shape[2:], *out, 4)
    return y, tap


def scatter_taps(g, tap, window, sizes):
    if declined(g) or 0 in sizes:
        return NotImplemented
    sizes, out = tuple(sizes), g.shape[2:]
    x, plan = empty(g.shape[:2] + sizes, g.dtype), geometry(sizes, out, window)
    arrays = solid(g).reshape(-1), solid(tap).reshape(-1), x.reshape(-1)
    if plan.four:
        _scatter_four(*arrays, *sizes, *out)
    else:
        _scatter_taps(*arrays, plan.g, plan.steps)
    return x


def gather(x, index):
    if declined(x) or index.size == 0:
        return NotImplemented
    return move(x, index, index.shape, GATHER)


def scatter_add(g, index, sizes):
    if declined(g) or 0 in sizes:
        return NotImplemented
    return move(g, index, g.shape[:2] + tuple(sizes), ADD)


def scatter(u, index, sizes):
    if declined(u) or 0 in sizes:
        return NotImplemented
    return move(u, index, u.shape[:2] + tuple(sizes), PUT)


def window_sum(x, window, out):
    if declined(x) or 0 in out:
        return NotImplemented
    y, plan = empty(x.shape[:2] + out, x.dtype), geometry(x.shape[2:], out, window)
    _window_sum(solid(x).reshape(-1), y.reshape(-1), plan.g, plan.begin, plan.end)
    return y


def window_spread(g, window, sizes):
    if declined(g) or 0 in sizes:
        return NotImplemented
    x, plan = empty(g.shape[:2] + tuple(sizes), g.dtype), geometry(tuple(sizes), g.shape[2:], window)
    _window_spread(solid(g).reshape(-1), x.reshape(-1), plan.g, plan.begin, plan.end)
    return x


@lru_cache(256)
def overlaps(size, out, dtype):
    """The windows of `spans` as a table of ones (out, size)."""
    start, count = spans(size, out)
    t = np.arange(count.max())
    inside = t < count[:, None]
    return Table(np.where(inside, start[:, None] + t, size), inside.astype(dtype), size)


def adaptive_sum(x, out):
    if declined(x) or 0 in out or 0 in x.shape:
        return NotImplemented
    for axis, o in enumerate(out, 2):
        if o != x.shape[axis]:
            x = apply(x, overlaps(x.shape[axis], o, x.dtype), axis)
    return x
