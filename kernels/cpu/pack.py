"""Bring pixels and weights into the order in which the micro-kernels of tile.py, its loops over tiles of sums, read them."""

from functools import lru_cache

import numpy as np

from . import tile
from .jit import inner, separate
from .layout import ONE, ints, layout, record


@inner
def fill(buffer, start, to_pitch, x, first, pitch, rows, count, step, lane):
    """buffer[start + i*to_pitch + j*lane] = x[first + i*pitch + j*step] for i < rows, j < count"""
    if lane == 1 and step == 1:
        tile.copy_rows(buffer, start, to_pitch, x, first, pitch, rows, count)
    elif lane == 1 and step == 2:
        tile.take_even(buffer, start, to_pitch, x, first, pitch, rows, count)
    else:
        for i in range(rows):
            tile.copy_strided(buffer, start + i * to_pitch, lane, x, first + i * pitch, step, count)


@separate
def pack(x, base, between, images, z0, r0, buffer, geometry, depth_shifts, hphases, wphases):
    """Copy what one tile of some images reads to the buffer, with zeros for what lies outside of them (layout.py).

    base: where the first channel of the group starts in the first image; between: numbers from one image to the next.
    z0: the plane of x where the tile's outputs stand, before the shift; r0: its first row of outputs.
    Of a row of a phase the columns left .. right - 1 lie in the picture, of its rows begin .. last - 1.  in_turn images
    lie one after the other, `mixed` ones in the lanes of vectors: one of the two is 1.
    """
    g = geometry[0]
    H, W, lines, pitch, phase, lane, L = g.H, g.W, g.lines, g.pitch, g.phase, g.lane, g.L
    in_turn, mixed = (1, images) if lane > 1 else (images, 1)
    for c in range(g.C):
        for d in range(depth_shifts.size):
            z, to = z0 + depth_shifts[d], (c * depth_shifts.size + d) * g.plane
            source = base + (c * g.D + z) * H * W
            for a in range(hphases.size):
                for b in range(wphases.size):
                    column = g.first_W + wphases[b]       # of the picture, where the row begins
                    # -(a // b) is -a / b rounded up: the first column that is not before the picture.  9 pixels, stride 2, a border
                    # of 1, pitch 6: phase 0 begins at pixel -1, so 1, 3, 5, 7 go to columns 1 .. 4; phase 1 begins at pixel 0, so
                    # 0, 2 .. 8 go to columns 0 .. 4; the other columns are zeros
                    left = min(pitch, max(0, -(column // g.stride_W)))
                    right = max(left, min(pitch, (W - 1 - column) // g.stride_W + 1))
                    top = g.first_H + hphases[a] + r0 * g.stride_H                # of the picture, row 0 of the phase
                    # of a plane outside, or columns that all are, no row is copied
                    begin = min(lines, max(0, -(top // g.stride_H))) if 0 <= z < g.D and right > left else lines
                    last = max(begin, min(lines, (H - 1 - top) // g.stride_H + 1))
                    for n in range(in_turn):
                        at = to + n * g.image
                        # many short rows: one clearing in advance is cheaper than two for each row; and lanes without an image
                        # are read, too
                        clean = pitch < 4 * L or lane > 1
                        if clean:
                            tile.clear_row(buffer, at, phase)
                        else:
                            tile.clear_row(buffer, at, begin * pitch)
                            tile.clear_row(buffer, at + last * pitch, phase - last * pitch)
                        s, rows = source + n * between + (top + begin * g.stride_H) * W + column + left * g.stride_W, last - begin
                        first, count, apart = at + (begin * pitch + left) * lane, right - left, g.stride_H * W
                        if lane > 1 and g.stride_W == 1:
                            for i in range(rows):
                                tile.mix_rows(buffer, first + i * pitch * lane, x, s + i * apart, between, mixed, count)
                        else:
                            for m in range(mixed):
                                fill(buffer, first + m, pitch * lane, x, s + m * between, apart, rows, count, g.stride_W, lane)
                        if not clean:
                            for i in range(begin, last):
                                tile.clear_row(buffer, at + i * pitch, left)
                                tile.clear_row(buffer, at + i * pitch + right, pitch - right)
                    to += phase


def packing(plan, L):
    """The last four arguments of pack: integers by name, the shifts of the depth's taps, and the phases of height and width."""
    return record(**plan.fields, L=L), ints(plan.depth.shifts), ints(plan.height.phases), ints(plan.width.phases)


@lru_cache(None)
def packer(dtype, copied):
    """The address of pack, for numbers of this type; 0 where nothing is copied."""
    if not copied:
        return 0
    x = np.empty(0, dtype)                                # only the types of these arguments count
    return pack.address(x, 0, 0, 0, 0, 0, x, *packing(layout(1, ONE, ONE, ONE, dtype.itemsize), 1))


@inner
def panel(w, start, wrow, woff, M, filters, wp, at):
    """A block of M filters in the order in which fma_tile reads it, one number after the other:
    wp[at + k*M + m] = w[start + m*wrow + woff[k]], zeros for filters that are not there.
    """
    for k in range(woff.size):
        q, s = at + k * M, start + woff[k]
        for m in range(filters):
            wp[q + m] = w[s + m * wrow]
        for m in range(filters, M):
            wp[q + m] = 0
