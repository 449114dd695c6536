"""Launching kernels/conv.cu: for each pass the integers of its sum, a tile that fits, and a grid of blocks.

The gradient of the input, conv_transpose, is the same kernel as the forward pass.  Along an axis with stride S, pixel h is
reached from the positions o with  o*S = h + lo - k*D.  All pixels h = r + S*j of one phase r, 0 <= r < S, have the same taps:
those k where S divides r + lo - k*D, every S/gcd(S, D)-th.  They meet u at

    o = j + (r + lo - k*D) / S

which is a window with stride 1 over u.  So each phase is one launch, with as many taps as really reach it; stride 1 has one.
Where filters stride as far as they are large, as a U-Net enlarges, one launch does all phases: each is a row of one product.
"""

import functools
from itertools import product
from math import gcd, prod
from operator import mul

import numpy as np

from tinyvision.backend import array_module

from ..window import Window
from . import module, tf32

# (rows and columns of a tile, depth of a step, rows and columns of a thread): the speed of a processor that is full of such
# tiles, in TFLOP/s of a whole H200.  Few filters want wide tiles; 144 columns are 16 channels of 3x3 taps.
TILES = {(16, 256, 4, 8, 4): 20, (32, 256, 8, 8, 8): 30, (32, 128, 8, 8, 4): 27, (64, 128, 8, 8, 8): 36, (64, 64, 8, 8, 4): 34,
         (128, 128, 8, 8, 8): 38}
TILES_OF_DOUBLES = {(16, 128, 4, 4, 4): 10, (32, 64, 4, 4, 4): 15, (64, 64, 8, 4, 4): 18}
WEIGHT_TILES = {(8, 128, 8, 4, 4): 9, (16, 144, 8, 4, 4): 14, (16, 128, 8, 8, 4): 14, (32, 144, 8, 8, 4): 18, (32, 128, 8, 8, 4): 18,
                (64, 64, 16, 4, 4): 20, (64, 144, 8, 8, 8): 23, (64, 128, 8, 8, 8): 23, (128, 128, 8, 8, 8): 27}
WEIGHT_TILES_OF_DOUBLES = {(8, 64, 8, 4, 4): 5, (32, 64, 8, 4, 4): 8, (64, 64, 8, 4, 4): 10}


def estimate(tile):
    """Products for each number that goes through shared memory, which tensor cores wait for: what warps read, what is written."""
    BM, BN, _, TM, TN = tile
    warps = BM // (8 * TM) * (BN // (4 * TN))
    return BM * BN / (warps * (8 * TM + 4 * TN) + BM + BN)


# The same for tensor cores: rows and columns of a thread mean 8 and 4 times as many of a warp.  No GPU has timed them yet.
TF32_TILES = {tile: estimate(tile) for tile in
              ((16, 256, 16, 2, 8), (32, 256, 16, 4, 8), (64, 64, 16, 4, 8), (64, 128, 16, 8, 8), (128, 128, 16, 8, 8))}
TF32_WEIGHT_TILES = {tile: estimate(tile) for tile in
                     ((16, 128, 16, 2, 8), (32, 128, 16, 2, 8), (64, 64, 16, 4, 8), (64, 144, 16, 8, 6), (64, 128, 16, 4, 8),
                      (128, 128, 16, 8, 8))}
MOST_PHASES, MOST_TAPS, MOST_DIRECT = 64, 512, 8          # launches of one pass; rows of a table; filters of conv_direct.cu
MOST_ELEMENTS = (1 << 31) - (1 << 16)                     # what an int counts, with room for the last tile

AXIS = ("size", "out", "stride", "first", "step")
GEOMETRY = np.dtype([("images", "i4"), ("groups", "i4"), ("rows", "i4"), ("channels", "i4"), *[(name, "i4", 3) for name in AXIS],
                     ("filter_row", "i4"), ("filter_channel", "i4"), ("filter_group", "i4"), ("filter_first", "i4"),
                     ("filter_step", "i4", 3), ("to_size", "i4", 3), ("to_first", "i4", 3), ("to_step", "i4", 3),
                     ("depth", "i4"), ("width", "i4"), ("pixels_each", "i4")])


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
    return any(a.dtype.char not in "fd" or a.dtype != arrays[0].dtype or a.size == 0 or a.size >= MOST_ELEMENTS for a in arrays)


def constants(tile, taps, dtype, coarse=False):
    """coarse: with the tile for tensor cores that it is."""
    known = dict(TYPE=dtype, **dict(zip(("BM", "BN", "BK", "TM", "TN", "T0", "T1", "T2"), (*tile, *taps))))
    return known | dict(TF32=1) if coarse else known


@functools.lru_cache(maxsize=None)
def choose(kind, char, coarse, rows, columns, depth):
    """The tile with the least time: the blocks of the busiest processor, times the work of one, over its speed."""
    tiles = {("image", "f", False): TILES, ("image", "d", False): TILES_OF_DOUBLES, ("image", "f", True): TF32_TILES,
             ("weight", "f", False): WEIGHT_TILES, ("weight", "d", False): WEIGHT_TILES_OF_DOUBLES,
             ("weight", "f", True): TF32_WEIGHT_TILES}[kind, char, coarse]

    def time(tile):
        blocks = module.blocks(columns, tile[1]) * module.blocks(rows, tile[0]) * depth
        return module.blocks(blocks, module.multiprocessors()) * tile[0] * tile[1] / tiles[tile]
    return min(tiles, key=time)


def channels_of_step(channels, taps, BK):
    """How many channels a step takes, BQ, so that the fewest rows are zeros; and the rows of all steps."""
    def depth(BQ):
        return module.blocks(channels, BQ) * module.blocks(taps, BK // BQ) * BK
    return min(((BQ, depth(BQ)) for BQ in (16, 8, 4, 2, 1) if BQ <= BK), key=lambda found: found[1])


class Sum:
    """All launches for the sums of one window over x: what depends on sizes only, found once."""

    def __init__(self, taps, dtype, coarse, patch=None, **integers):
        self.record, rows, channels = geometry(**integers), integers["rows"], integers["channels"]
        columns, groups = integers["images"] * prod(integers["out"]), integers["groups"]
        self.packed = None
        idle = module.blocks(columns, 256) * groups < 2 * module.multiprocessors()            # then one pixel for each thread
        if patch is None and rows <= (2 * MOST_DIRECT if idle else MOST_DIRECT) and prod(taps) <= 49:
            ROWS = 1 << (rows - 1).bit_length()
            PIXELS = 1 if idle or ROWS == 1 else 2
            self.run = module.function("conv_direct", "direct", TYPE=dtype, ROWS=ROWS, PIXELS=PIXELS, **dict(zip(("T0", "T1", "T2"), taps)))
            self.grid, self.block = (module.blocks(columns, 256 * PIXELS), groups), (256,)
            return
        tile = BM, BN, BK, TM, TN = choose("image", dtype.char, coarse, rows, columns, groups)
        BQ, depth = channels_of_step(channels, prod(taps), BK)
        width = module.blocks(rows, 4) * 4
        self.record["depth"], self.record["width"], self.packed = depth, width, (groups, depth, width)
        known = constants(tile, taps, dtype, coarse) | dict(zip(("P0", "P1", "P2"), patch or ()))
        self.pack = module.function("conv", "pack_filters", BQ=BQ, **known)
        self.pack_grid = module.blocks(depth * width, 256), groups
        self.run = module.function("conv", "correlate", BQ=BQ, **known)
        self.grid, self.block = (module.blocks(columns, BN), module.blocks(rows, BM), groups), (BM // TM * (BN // TN),)

    def __call__(self, w, x, bias, y):
        if self.packed:
            packed = array_module(x).empty(self.packed, x.dtype)
            self.pack(self.pack_grid, (256,), (w, packed, self.record))
            w = packed
        self.run(self.grid, self.block, (w, x, module.NULL if bias is None else bias, y, self.record))


# --- the twins of kernels/conv.py

def conv(x, w, bias, window, groups):
    if declined(x, w):
        return NotImplemented
    plan = conv_plan(module.compiler.device(), x.shape, w.shape, x.dtype, tf32.wanted(x.dtype), window, groups)
    if plan is None:
        return NotImplemented
    shape, run = plan
    y = array_module(x).empty(shape, x.dtype)
    if y.size:
        run(solid(w), solid(x), solid(bias), y)
    return y


@functools.lru_cache(maxsize=4096)
def conv_plan(device, x, w, dtype, coarse, window, groups):
    """The shape of the result, and its Sum; None where the reference shall do it.  x, w: shapes; coarse: TensorFloat-32."""
    taps, (N, _, *sizes), (O, Q), out = three(window.size, 1), x, w[:2], window.output(x[2:])
    T, flat = prod(taps), len(out)
    if T > MOST_TAPS or N * O * prod(out) >= MOST_ELEMENTS:
        return None
    shape = (N, O, *out)
    return shape, prod(shape) and Sum(
        taps, dtype, coarse, images=N, groups=groups, rows=O // groups, channels=Q, size=tuple(sizes), out=out, stride=window.stride,
        first=tuple(-lo for lo, _ in window.padding), step=window.dilation, filter_row=Q * T, filter_channel=T,
        filter_group=O // groups * Q * T, filter_step=pitches(window.size), to_size=out, to_first=(0,) * flat, to_step=(1,) * flat)


def conv_transpose(u, w, bias, window, groups, sizes):
    if declined(u, w):
        return NotImplemented
    plan = transpose_plan(module.compiler.device(), u.shape, w.shape, u.dtype, tf32.wanted(u.dtype), window, groups,
                          tuple(sizes))
    if plan is None:
        return NotImplemented
    shape, holes, phases = plan
    x, u, w, bias = array_module(u).empty(shape, u.dtype), solid(u), solid(w), solid(bias)
    if holes:
        x[...] = 0 if bias is None else bias.reshape(-1, *[1] * len(sizes))
    for run in phases:
        run(w, u, bias, x)
    return x


@functools.lru_cache(maxsize=4096)
def transpose_plan(device, u, w, dtype, coarse, window, groups, sizes):
    """The shape of the result, whether no window reaches some of its pixels, and a Sum for each phase."""
    N, O, M, T, n = u[0], w[0], w[1], prod(window.size), len(sizes)
    shape = (N, groups * M, *sizes)
    if T > MOST_TAPS or prod(window.stride) > MOST_PHASES or prod(shape) >= MOST_ELEMENTS:
        return None
    ones, zeros = (1,) * n, (0,) * n
    alone = window == Window(window.stride, window.stride, ((0, 0),) * n, ones) and sizes == tuple(map(mul, u[2:], window.stride))
    if alone and T > 1 and M > MOST_DIRECT:               # every position makes a patch
        return shape, False, [Sum(
            three(ones, 1), dtype, coarse, three(window.size, 1), images=N, groups=groups, rows=M * T, channels=O // groups,
            size=tuple(u[2:]), out=tuple(u[2:]), stride=ones, first=zeros, step=ones, filter_row=1, filter_channel=M * T,
            filter_group=O // groups * M * T, filter_step=zeros, to_size=sizes, to_first=zeros, to_step=window.stride)]
    axes = zip(sizes, window.size, window.stride, window.padding, window.dilation, pitches(window.size))
    phases, sums = [axis_phases(*axis) for axis in axes], []
    for phase in product(*phases):
        taps = three([r.taps for r in phase], 1)
        if prod(taps):
            sums.append(Sum(
                taps, dtype, coarse, images=N, groups=groups, rows=M, channels=O // groups, size=tuple(u[2:]),
                out=tuple(r.pixels for r in phase), stride=ones, first=tuple(r.first for r in phase),
                step=tuple(r.step for r in phase), filter_row=T, filter_channel=M * T, filter_group=O // groups * M * T,
                filter_first=sum(r.filter_first for r in phase), filter_step=tuple(r.filter_step for r in phase), to_size=sizes,
                to_first=tuple(r.start for r in phase), to_step=window.stride))
    return shape, any(r.taps == 0 for axis in phases for r in axis), sums


class Phase:
    """Along one axis: the pixels start, start + stride, ..., and the taps that reach them (see the module)."""

    def __init__(self, start, pixels, reach, step, taps, pitch, lo, stride, dilation):
        self.start, self.pixels, self.taps = start, pixels, taps
        self.first, self.step = (start + lo - reach * dilation) // stride, -step * dilation // stride
        self.filter_first, self.filter_step = reach * pitch, step * pitch


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
    if declined(x, u):
        return NotImplemented
    plan = weight_plan(module.compiler.device(), x.shape, u.shape, x.dtype, tf32.wanted(x.dtype), window, groups)
    if plan is None:
        return NotImplemented
    shape, run, grid, block, record = plan
    parts = array_module(x).empty(shape, x.dtype)
    run(grid, block, (solid(u), solid(x), parts, record))
    return sum_parts(parts)


@functools.lru_cache(maxsize=4096)
def weight_plan(device, x, u, dtype, coarse, window, groups):
    """The shape of the parts, and the launch that computes them."""
    (N, C, *sizes), O, out, taps = x, u[1], tuple(u[2:]), three(window.size, 1)
    M, Q, pixels = O // groups, C // groups, N * prod(out)
    columns = Q * prod(taps)
    if prod(taps) > MOST_TAPS:
        return None
    record = geometry(images=N, groups=groups, rows=M, channels=Q, size=tuple(sizes), out=out, stride=window.stride,
                      first=tuple(-lo for lo, _ in window.padding), step=window.dilation)
    if M == Q == 1 and prod(taps) <= 32:
        count = max(1, min(N, module.blocks(8 * module.multiprocessors(), groups)))
        run = module.function("conv_direct", "direct_weight", TYPE=dtype, ROWS=1, PIXELS=1, **dict(zip(("T0", "T1", "T2"), taps)))
        return (count, O, Q, *window.size), run, (groups, count), (256,), record
    tile = BM, BN, BK, TM, TN = choose("weight", dtype.char, coarse, M, columns, 1 << 20)
    record["pixels_each"], count = share(tile, M, columns, groups, pixels)
    grid = module.blocks(columns, BN), module.blocks(M, BM), groups * count
    run = module.function("conv", "correlate_weight", **constants(tile, taps, dtype, coarse))
    return (count, O, Q, *window.size), run, grid, (BM // TM * (BN // TN),), record


def share(tile, rows, columns, groups, pixels):
    """Pixels that one part adds up, and the number of parts: enough to occupy all processors, but no part below 256 pixels."""
    BM, BN, BK = tile[:3]
    tiles_of_result = module.blocks(rows, BM) * module.blocks(columns, BN) * groups
    wanted = max(1, min(module.blocks(4 * module.multiprocessors(), tiles_of_result), pixels // 256))
    each = module.blocks(module.blocks(pixels, wanted), BK) * BK
    return each, module.blocks(pixels, each)


def forget():
    """Plan everything anew: for tests that change what plans depend on."""
    for cached in (choose, conv_plan, transpose_plan, weight_plan):
        cached.cache_clear()


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


def solid(x):
    """x in one piece, row by row; None stays None."""
    return x if x is None or x.flags.c_contiguous else array_module(x).ascontiguousarray(x)
