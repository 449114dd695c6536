"""Launching kernels/conv.cu: for each pass the integers of its sum, a tile that fits, and a grid of blocks.

The gradient of the input, conv_transpose, is the same kernel as the forward pass.  Along an axis with stride S, pixel h is
reached from the positions o with  o*S = h + lo - k*D.  All pixels h = r + S*j of one phase r, 0 <= r < S, have the same taps:
those k where S divides r + lo - k*D, every S/gcd(S, D)-th.  They meet u at

    o = j + (r + lo - k*D) / S

which is a window with stride 1 over u.  So each phase is one launch, with as many taps as really reach it; stride 1 has one.
"""

import functools
from itertools import product
from math import gcd, prod

import numpy as np

from tinyvision.backend import array_module

from . import module

# Rows and columns of a tile, the depth of a step, rows and columns of a thread.  Few filters want wide tiles.
TILES = ((8, 256, 4, 8, 4), (16, 256, 4, 8, 4), (32, 256, 8, 8, 8), (64, 128, 8, 8, 8), (64, 64, 8, 8, 4), (128, 128, 8, 8, 8))
TILES_OF_DOUBLES = ((8, 128, 4, 4, 4), (32, 64, 4, 4, 4), (64, 64, 8, 4, 4))
WEIGHT_TILES = ((8, 128, 8, 4, 4), (16, 128, 8, 8, 4), (32, 128, 8, 8, 4), (64, 64, 16, 4, 4), (64, 128, 8, 8, 8), (128, 128, 8, 8, 8))
WEIGHT_TILES_OF_DOUBLES = ((8, 64, 8, 4, 4), (32, 64, 8, 4, 4), (64, 64, 8, 4, 4))
MOST_PHASES, MOST_TAPS = 64, 512                          # launches of one pass; rows of the tables in shared memory

AXIS = ("size", "out", "stride", "first", "step")
GEOMETRY = np.dtype([("images", "i4"), ("groups", "i4"), ("rows", "i4"), ("channels", "i4"), *[(name, "i4", 3) for name in AXIS],
                     ("filter_row", "i4"), ("filter_channel", "i4"), ("filter_group", "i4"), ("filter_first", "i4"),
                     ("filter_step", "i4", 3), ("to_size", "i4", 3), ("to_first", "i4", 3), ("to_step", "i4", 3), ("pixels_each", "i4")])


def three(values, fill):
    """One number per axis as three: an image is a volume with one layer."""
    return (fill,) * (3 - len(values)) + tuple(values)


def geometry(**values):
    """The integers of a launch; what is per axis is filled up from the left."""
    record = np.zeros(1, GEOMETRY)
    for name, value in values.items():
        fill = 0 if name in ("first", "to_first", "step", "filter_step") else 1
        record[name] = three(value, fill) if isinstance(value, tuple) else value
    return record


def pitches(sizes):
    return tuple(prod(sizes[a + 1:]) for a in range(len(sizes)))


def declined(*arrays):
    """Whether the reference shall do it: other numbers than single and double, nothing to add up, more than integers count."""
    return any(a.dtype.char not in "fd" or a.dtype != arrays[0].dtype or a.size == 0 or a.size >= 1 << 31 for a in arrays)


def launch(name, tiles, rows, columns, depth, args, taps, record):
    """Run a kernel over the tile that is expected to be done first; depth is what the grid has besides tiles."""
    tile = choose(tiles, rows, columns, depth)
    BM, BN, BK, TM, TN = tile
    constants = dict(BM=BM, BN=BN, BK=BK, TM=TM, TN=TN, T0=taps[0], T1=taps[1], T2=taps[2], WEIGHT=name == "correlate_weight")
    run = module.function("conv", name, TYPE=args[0].dtype, **constants)
    run((module.blocks(columns, BN), module.blocks(rows, BM), depth), (BM // TM * (BN // TN),), (*args, record))


@functools.lru_cache(maxsize=4096)
def choose(tiles, rows, columns, depth):
    """The tile of the least expected time: rounds of all processors, times what a block computes, over its efficiency.

    A thread with TM x TN sums reads TM + TN numbers of shared memory for TM*TN products, so large ones are more efficient; about
    512 threads with so many registers live on a processor at a time.
    """
    def time(tile):
        BM, BN, BK, TM, TN = tile
        resident = max(1, 512 * TM * TN // (BM * BN)) * module.multiprocessors()
        rounds = module.blocks(module.blocks(columns, BN) * module.blocks(rows, BM) * depth, resident)
        return rounds * resident * BM * BN * (1 + (TM + TN) / (TM * TN))
    return min(tiles, key=time)


# --- the twins of kernels/conv.py

def conv(x, w, bias, window, groups):
    taps = three(window.size, 1)
    if declined(x, w) or prod(taps) > MOST_TAPS:
        return NotImplemented
    xp, G, N, O, Q, out = array_module(x), groups, len(x), len(w), w.shape[1], window.output(x.shape[2:])
    T, per_tap = prod(taps), pitches(window.size)
    record = geometry(images=N, groups=G, rows=O // G, channels=Q, size=x.shape[2:], out=out, stride=window.stride,
                      first=tuple(-lo for lo, _ in window.padding), step=window.dilation, filter_row=Q * T, filter_channel=T,
                      filter_group=O // G * Q * T, filter_step=per_tap, to_size=out, to_first=(0,) * len(out), to_step=(1,) * len(out))
    y = xp.empty((N, O, *out), x.dtype)
    if y.size:
        launch("correlate", tiles_for(x), O // G, N * prod(out), G, (solid(w), solid(x), solid(bias), y), taps, record)
    return y


def conv_transpose(u, w, bias, window, groups, sizes):
    if declined(u, w) or prod(window.size) > MOST_TAPS or prod(window.stride) > MOST_PHASES:
        return NotImplemented
    xp, G, N, O, M = array_module(u), groups, len(u), len(w), w.shape[1]
    T, u, w, bias = prod(window.size), solid(u), solid(w), solid(bias)
    phases = [axis_phases(*axis) for axis in zip(sizes, window.size, window.stride, window.padding, window.dilation, pitches(window.size))]
    x = xp.empty((N, G * M, *sizes), u.dtype)
    if any(r.taps == 0 for axis in phases for r in axis):                 # pixels that no window reaches
        x[...] = 0 if bias is None else bias.reshape(-1, *[1] * len(sizes))
    for phase in product(*phases):
        taps, first = three([r.taps for r in phase], 1), sum(r.filter_first for r in phase)
        if prod(taps) == 0:
            continue
        record = geometry(images=N, groups=G, rows=M, channels=O // G, size=u.shape[2:], out=tuple(r.pixels for r in phase),
                          stride=(1,) * len(sizes), first=tuple(r.first for r in phase), step=tuple(r.step for r in phase),
                          filter_row=T, filter_channel=M * T, filter_group=O // G * M * T, filter_first=first,
                          filter_step=tuple(r.filter_step for r in phase), to_size=sizes, to_first=tuple(r.start for r in phase),
                          to_step=window.stride)
        launch("correlate", tiles_for(u), M, N * prod(r.pixels for r in phase), G, (w, u, bias, x), taps, record)
    return x


class Phase:
    """Along one axis: the pixels start, start + stride, ..., and the taps that reach them (see the module)."""

    def __init__(self, start, pixels, reach, step, taps, pitch, lo, stride, dilation):
        self.start, self.pixels, self.taps = start, pixels, taps
        self.first, self.step = (start + lo - reach * dilation) // stride, -step * dilation // stride
        self.filter_first, self.filter_step = reach * pitch, step * pitch


@functools.lru_cache(maxsize=4096)
def axis_phases(size, taps, stride, padding, dilation, pitch):
    """The phases along an axis that have pixels."""
    step, phases = stride // gcd(stride, dilation), []
    for start in range(min(stride, size)):
        reaching = [k for k in range(min(step, taps)) if (start + padding[0] - k * dilation) % stride == 0]
        reach = reaching[0] if reaching else 0
        count = module.blocks(taps - reach, step) if reaching else 0
        phases.append(Phase(start, module.blocks(size - start, stride), reach, step, count, pitch, padding[0], stride, dilation))
    return phases


def conv_weight_grad(x, u, window, groups):
    taps = three(window.size, 1)
    if declined(x, u) or x.shape[1] // groups * prod(taps) >= 1 << 24:
        return NotImplemented
    xp, G, N, O, Q, out = array_module(x), groups, len(u), u.shape[1], x.shape[1] // groups, u.shape[2:]
    M, columns, pixels = O // G, Q * prod(taps), N * prod(out)
    tiles = WEIGHT_TILES if x.dtype.char == "f" else WEIGHT_TILES_OF_DOUBLES
    each, count = share(tiles, M, columns, G, pixels)
    record = geometry(images=N, groups=G, rows=M, channels=Q, size=x.shape[2:], out=out, stride=window.stride,
                      first=tuple(-lo for lo, _ in window.padding), step=window.dilation, pixels_each=each)
    parts = xp.empty((count, O, Q, *window.size), x.dtype)
    launch("correlate_weight", tiles, M, columns, G * count, (solid(u), solid(x), parts), taps, record)
    return sum_parts(parts)


@functools.lru_cache(maxsize=4096)
def share(tiles, rows, columns, groups, pixels):
    """Pixels that one part adds up, and the number of parts: enough for two rounds of blocks, but no part below 256 pixels."""
    BM, BN, BK = choose(tiles, rows, columns, 1 << 20)[:3]
    tiles_of_result = module.blocks(rows, BM) * module.blocks(columns, BN) * groups
    wanted = max(1, min(module.blocks(4 * module.multiprocessors(), tiles_of_result), pixels // 256))
    each = module.blocks(module.blocks(pixels, wanted), BK) * BK
    return each, module.blocks(pixels, each)


def channel_sum(u):
    if declined(u):
        return NotImplemented
    N, C, pixels = len(u), u.shape[1], prod(u.shape[2:])
    count = max(1, min(N, module.blocks(4 * module.multiprocessors(), C), N * pixels // 1024))
    parts = array_module(u).empty((count, C), u.dtype)
    run = module.function("sums", "channel_parts", TYPE=u.dtype, SUM_TYPE=u.dtype, THREADS=256)
    run((C, count), (256,), (solid(u), parts, np.int32(N), np.int32(C), np.int32(pixels)))
    return sum_parts(parts)


def sum_parts(parts):
    """The sum along the first axis."""
    if len(parts) == 1:
        return parts[0]
    y = array_module(parts).empty(parts.shape[1:], parts.dtype)
    run = module.function("sums", "sum_parts", TYPE=parts.dtype, SUM_TYPE=parts.dtype, THREADS=256)
    run((module.blocks(y.size, 256),), (256,), (parts, y, np.int64(y.size), np.int32(len(parts))))
    return y


def tiles_for(x):
    return TILES if x.dtype.char == "f" else TILES_OF_DOUBLES


def solid(x):
    """x in one piece, row by row; None stays None."""
    return x if x is None or x.flags.c_contiguous else array_module(x).ascontiguousarray(x)
