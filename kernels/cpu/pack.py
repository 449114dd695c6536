"""Bring pixels and weights into the order in which the micro-kernels of tile.py read them."""

from functools import lru_cache

import numpy as np

from . import tile
from .jit import apart, inner
from .layout import ONE, ints, layout, record


@inner
def fill(buffer, start, x, first, count, step, lane, L):
    """buffer[start :: lane] = x[first :: step], `count` numbers"""
    done = 0
    if lane == 1 and step == 1:
        tile.copy_row(buffer, start, x, first, count)
        done = count
    elif lane == 1 and step == 2:
        done = count // L * L
        tile.take_even(buffer, start, x, first, done)
    if done < count:
        tile.copy_apart(buffer, start + done * lane, lane, x, first + done * step, step, count - done)


@apart
def pack(x, base, between, images, z0, r0, buffer, packing, planes, hphases, wphases):
    """Copy what one tile of some images reads to the buffer, with zeros for what lies outside of them (layout.py).

    base: where the first channel of the first image starts in x; between: numbers from one image to the next; z0, r0: the
    first plane and row of the outputs, in pixels and in rows.  Of a row of a phase the columns lo .. hi - 1 lie in the picture, of
    its rows begin .. last - 1.  Images lie one after the other (apart), or all in the lanes of vectors (mixed).
    """
    g = packing[0]
    H, W, lines, pitch, phase, lane, L = g.H, g.W, g.lines, g.pitch, g.phase, g.lane, g.L
    apart, mixed = (1, images) if lane > 1 else (images, 1)
    for c in range(g.C):
        for d in range(planes.size):
            z, to = z0 + planes[d], (c * planes.size + d) * g.plane
            source = base + (c * g.D + z) * H * W
            for a in range(hphases.size):
                for b in range(wphases.size):
                    column = g.first_W + wphases[b]       # of the picture, where the row begins
                    lo = min(pitch, max(0, -(column // g.stride_W)))
                    hi = max(lo, min(pitch, (W - 1 - column) // g.stride_W + 1))
                    top = g.first_H + hphases[a] + r0 * g.stride_H                # of the picture, row 0 of the phase
                    begin = min(lines, max(0, -(top // g.stride_H))) if 0 <= z < g.D and hi > lo else lines
                    last = max(begin, min(lines, (H - 1 - top) // g.stride_H + 1))
                    for n in range(apart):
                        at = to + n * g.image
                        # many short rows: one clearing in advance is cheaper than two for each row
                        clean = pitch < 4 * L or lane > 1         # lanes without a picture are read, too
                        if clean:
                            tile.clear_row(buffer, at, phase)
                        else:
                            tile.clear_row(buffer, at, begin * pitch * lane)
                            tile.clear_row(buffer, at + last * pitch * lane, phase - last * pitch * lane)
                        for i in range(begin, last):
                            s = source + n * between + (top + i * g.stride_H) * W + column + lo * g.stride_W
                            row = at + i * pitch * lane
                            if lane > 1 and g.stride_W == 1:
                                tile.mix_rows(buffer, row + lo * lane, x, s, between, mixed, hi - lo)
                            else:
                                for m in range(mixed):
                                    fill(buffer, row + lo * lane + m, x, s + m * between, hi - lo, g.stride_W, lane, L)
                            if not clean:
                                tile.clear_row(buffer, row, lo * lane)
                                tile.clear_row(buffer, row + hi * lane, (pitch - hi) * lane)
                    to += phase


def packing(plan, L):
    """The last arguments of pack: integers by name, the planes of the depth's taps, and the phases of height and width."""
    return record(**plan.numbers_of_pack, L=L), ints(plan.depth.shifts), ints(plan.height.phases), ints(plan.width.phases)


@lru_cache(None)
def packer(dtype, copied):
    """The address of pack, for numbers of this type; 0 where nothing is copied."""
    if not copied:
        return 0
    x = np.empty(0, dtype)
    return pack.address(x, 0, 0, 0, 0, 0, x, *packing(layout(1, ONE, ONE, ONE, dtype.itemsize), 1))


@inner
def panel(w, start, row, off, M, rows, wp, at):
    """Weights in the order in which the micro-kernel reads them: wp[k, m] = w[m, k], zeros for rows that are not there."""
    for k in range(off.size):
        q, s = at + k * M, start + off[k]
        for m in range(rows):
            wp[q + m] = w[s + m * row]
        for m in range(rows, M):
            wp[q + m] = 0
