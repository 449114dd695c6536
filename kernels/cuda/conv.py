"""Launching kernels/conv.cu: for each pass the integers of its sum, a tile that fits, and a grid of blocks.

The gradient of the input, conv_transpose, is the same kernel as the forward pass.  Along an axis with stride S, pixel h is
reached from the positions o with  o*S = h + lo - k*D.  All pixels h = r + S*j of one phase r, 0 <= r < S, have the same taps:
those k where S divides r + lo - k*D, every S/gcd(S, D)-th.  They meet u at

    o = j + (r + lo - k*D) / S

which is a window with stride 1 over u.  So each phase is one launch, with as many taps as really reach it; stride 1 has one.
At stride 2 the two phases of a line are one launch (`Pair`), two rows of the product for each filter: what they write are
neighbours then, and memory wants whole lines.  Some of their taps are zeros: of 3x3 filters four are done for every three.
Where filters stride as far as they are large, as a U-Net enlarges, one launch does all phases: each is a row of one product.
"""

import functools
from itertools import product
from math import gcd, prod
from operator import mul

import numpy as np

from tinyvision.backend import array_module

from ..window import Window
from . import module, tf32, winograd
from .module import MOST_BLOCKS, MOST_ELEMENTS, aligned, declined, solid
from .tile import channels_of_step, choose, constants, geometry, is_dense, pitches, share, three, tiles_for

MOST_PHASES, MOST_TAPS, MOST_DIRECT = 64, 512, 8          # launches of one pass; rows of a table; filters of conv_direct.cu


class Launched:
    """What has a grid of blocks."""

    @property
    def fits(self):
        """Whether a GPU takes grids of this size: not of 65,536 groups."""
        return max(self.grid[1:]) <= MOST_BLOCKS


class Sum(Launched):
    """All launches for the sums of one window over x: what depends on sizes only, found once."""

    def __init__(self, taps, dtype, coarse, patch=None, **integers):
        self.record, rows, channels = geometry(**integers), integers["rows"], integers["channels"]
        columns, groups = integers["images"] * prod(integers["out"]), integers["groups"]
        self.packed, self.dense = None, False
        idle = module.blocks(columns, 256) * groups < 2 * module.multiprocessors()            # then one pixel for each thread
        if patch is None and rows <= (2 * MOST_DIRECT if idle else MOST_DIRECT) and prod(taps) <= 49:
            self.few(taps, dtype, rows, columns, idle, integers)
            return
        tile = BM, BN, BK, TM, TN = choose("image", dtype.char, coarse, rows, columns, groups)
        BQ, depth = channels_of_step(channels, prod(taps), BK)
        width = module.blocks(rows, 4) * 4
        self.record["depth"], self.record["width"], self.packed = depth, width, (groups, depth, width)
        self.dense = is_dense(taps, integers)
        known = constants(tile, taps, dtype, coarse, self.dense) | dict(zip(("P0", "P1", "P2"), patch or ()))
        if "pair_taps" in integers:
            known["PAIR"] = 1
        self.pack = module.function("conv", "pack_filters", BQ=BQ, **known)
        self.pack_grid = module.blocks(depth * width, 256), groups
        self.run = module.function("conv", "correlate", BQ=BQ, **known)
        self.grid, self.block = (module.blocks(columns, BN), module.blocks(rows, BM), groups), (BM // TM * (BN // TN),)

    def few(self, taps, dtype, rows, columns, idle, integers):
        """By conv_direct.cu."""
        rows, pixels, groups = 1 << (rows - 1).bit_length(), neighbours(columns, integers), integers["groups"]
        name, more = "direct_line", dict(TURNED=int(integers["step"][-1] < 0))
        if pixels == 1:
            name, pixels, more = "direct", 1 if idle or rows == 1 else 2, {}
        known = dict(TYPE=dtype, ROWS=rows, PIXELS=pixels, **dict(zip(("T0", "T1", "T2"), taps)), **more)
        self.run = module.function("conv_direct", name, **known)
        self.grid, self.block = (module.blocks(columns, 256 * pixels), groups), (256,)

    def __call__(self, w, x, bias, y):
        if self.packed:
            packed = array_module(x).empty(self.packed, x.dtype)
            self.pack(self.pack_grid, (256,), (w, packed, self.record))
            w, x = packed, aligned(x) if self.dense else x
        self.run(self.grid, self.block, (w, x, module.NULL if bias is None else bias, y, self.record))


def neighbours(columns, integers):
    """How many positions of a line a thread may take that read and write neighbours, and leave enough to do for all processors."""
    last = {name: values[-1] for name, values in integers.items() if isinstance(values, tuple)}
    if last["stride"] != 1 or abs(last["step"]) != 1 or last["to_step"] != 1 or last["to_size"] != last["out"]:
        return 1
    return next((n for n in (4, 2) if last["out"] % n == 0
                 and module.blocks(columns, 256 * n) * integers["groups"] >= module.multiprocessors()), 1)


def sums(taps, dtype, coarse, **integers):
    """The launches that compute these sums first."""
    values = [integers[name] for name in ("rows", "channels", "groups", "size", "stride", "step")]
    all_pixels = integers["to_size"] == integers["out"]   # no phase of a larger stride
    if all_pixels and winograd.suits(taps, dtype, *values):
        if winograd.pays(coarse, *[integers[name] for name in ("images", "rows", "channels", "size", "out")]):
            return winograd.Correlation(**integers)
    return Sum(taps, dtype, coarse, **integers)


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
    if not prod(shape):
        return shape, None
    run = sums(
        taps, dtype, coarse, images=N, groups=groups, rows=O // groups, channels=Q, size=tuple(sizes), out=out, stride=window.stride,
        first=tuple(-lo for lo, _ in window.padding), step=window.dilation, filter_row=Q * T, filter_channel=T,
        filter_group=O // groups * Q * T, filter_step=pitches(window.size), to_size=out, to_first=(0,) * flat, to_step=(1,) * flat)
    return (shape, run) if run.fits else None


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
    if T > MOST_TAPS or prod(shape) >= MOST_ELEMENTS:
        return None
    ones, zeros = (1,) * n, (0,) * n
    alone = window == Window(window.stride, window.stride, ((0, 0),) * n, ones) and sizes == tuple(map(mul, u[2:], window.stride))
    if alone and T > 1 and M > MOST_DIRECT:               # every position makes a patch
        run = Sum(
            three(ones, 1), dtype, coarse, three(window.size, 1), images=N, groups=groups, rows=M * T, channels=O // groups,
            size=tuple(u[2:]), out=tuple(u[2:]), stride=ones, first=zeros, step=ones, filter_row=T, filter_channel=M * T,
            filter_group=O // groups * M * T, filter_step=zeros, to_size=sizes, to_first=zeros, to_step=window.stride)
        return (shape, False, [run]) if run.fits else None
    if prod(window.stride) > MOST_PHASES:
        return None
    axes = list(zip(sizes, window.size, window.stride, window.padding, window.dilation, pitches(window.size)))
    phases, found, more = [axis_phases(*axis) for axis in axes], [], {}
    paired = M > MOST_DIRECT and Pair.suits(*axes[-1])
    if paired:
        phases[-1] = [Pair(*axes[-1])]
        more = dict(pair_first=phases[-1][0].filter_first, pair_taps=window.size[-1])
    for phase in product(*phases):
        taps = three([r.taps for r in phase], 1)
        if prod(taps):
            plan = functools.partial(Sum, patch=(1, 1, 2)) if paired else sums
            found.append(plan(
                taps, dtype, coarse, images=N, groups=groups, rows=2 * M if paired else M, channels=O // groups, size=tuple(u[2:]),
                out=tuple(r.pixels for r in phase), stride=ones, first=tuple(r.first for r in phase),
                step=tuple(r.step for r in phase), filter_row=T, filter_channel=M * T, filter_group=O // groups * M * T,
                filter_first=sum(r.filter_first for r in phase), filter_step=tuple(r.filter_step for r in phase), to_size=sizes,
                to_first=tuple(r.start for r in phase), to_step=window.stride, **more))
    if not all(run.fits for run in found):
        return None
    return shape, any(r.taps == 0 for axis in phases for r in axis), found


class Phase:
    """Along one axis: the pixels start, start + stride, ..., and the taps that reach them (see the module)."""

    def __init__(self, start, pixels, reach, step, taps, pitch, lo, stride, dilation):
        self.start, self.pixels, self.taps = start, pixels, taps
        self.first, self.step = (start + lo - reach * dilation) // stride, -step * dilation // stride
        self.filter_first, self.filter_step = reach * pitch, step * pitch


class Pair:
    """Both phases of the last axis at stride 2 as one: pixels 2j and 2j + 1 for each j.

    Pixel r and position j + i have tap k = r + lo - 2i in common, where there is such a tap: i runs from the least that has one.
    """

    def __init__(self, size, taps, stride, padding, dilation, pitch):
        lo, self.start, self.pixels = padding[0], 0, size // 2
        self.first, self.step = -((taps - 1 - lo) // 2), 1
        self.taps = (1 + lo) // 2 - self.first + 1
        self.filter_first, self.filter_step = lo - 2 * self.first, -2

    @staticmethod
    def suits(size, taps, stride, padding, dilation, pitch):
        return stride == 2 and dilation == 1 and taps > 2 and size % 2 == 0


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
    shape, run = plan
    y = array_module(x).empty(shape, x.dtype)
    run(solid(u), solid(x), y)
    return y


@functools.lru_cache(maxsize=4096)
def weight_plan(device, x, u, dtype, coarse, window, groups):
    """The shape of the gradient, and its WeightSum; None where the reference shall do it.  x, u: shapes."""
    (N, C, *sizes), O, out, taps = x, u[1], tuple(u[2:]), three(window.size, 1)
    M, Q = O // groups, C // groups
    if prod(taps) > MOST_TAPS:
        return None
    integers = dict(images=N, groups=groups, rows=M, channels=Q, size=tuple(sizes), out=out, stride=window.stride,
                    first=tuple(-lo for lo, _ in window.padding), step=window.dilation)
    fewer = winograd.suits(taps, dtype, M, Q, groups, integers["size"], window.stride, window.dilation)
    if fewer and winograd.pays_for_weight(coarse, N, M, Q, integers["size"], out):
        return (O, Q, *window.size), winograd.WeightGradient(**integers)
    run = WeightSum(taps, dtype, coarse, **integers)
    return ((O, Q, *window.size), run) if run.fits else None


class WeightSum(Launched):
    """All launches for the gradient of the weight: what depends on sizes only, found once."""

    def __init__(self, taps, dtype, coarse, **integers):
        self.record, M, Q, groups = geometry(**integers), integers["rows"], integers["channels"], integers["groups"]
        self.dense = False
        columns, pixels = Q * prod(taps), integers["images"] * prod(integers["out"])
        if M == Q == 1 and prod(taps) <= 32:
            self.parts = max(1, min(integers["images"], module.blocks(8 * module.multiprocessors(), groups)))
            self.run = module.function("conv_direct", "direct_weight", TYPE=dtype, ROWS=1, PIXELS=1,
                                       **dict(zip(("T0", "T1", "T2"), taps)))
            self.grid, self.block = (groups, self.parts), (256,)
            return
        tile = BM, BN, BK, TM, TN = choose("weight", dtype.char, coarse, M, columns, 1 << 20)
        speed = tiles_for("weight", dtype.char, coarse)[tile]
        self.record["pixels_each"], self.parts = share(tile, speed, M, columns, groups, pixels)
        self.dense = is_dense(taps, integers)
        self.run = module.function("conv", "correlate_weight", **constants(tile, taps, dtype, coarse, self.dense))
        self.grid = module.blocks(columns, BN), module.blocks(M, BM), groups * self.parts
        self.block = (BM // TM * (BN // TN),)

    def __call__(self, u, x, gw):
        u, x = (aligned(u), aligned(x)) if self.dense else (u, x)
        parts = gw if self.parts == 1 else array_module(x).empty((self.parts, *gw.shape), x.dtype)
        self.run(self.grid, self.block, (u, x, parts, self.record))
        if self.parts > 1:
            sum_parts(parts, gw)


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
    if count == 1:
        return parts[0]
    y = array_module(u).empty(C, u.dtype)
    sum_parts(parts, y)
    return y


def sum_parts(parts, y):
    """The sum along the first axis, written to y."""
    run = module.function("sums", "sum_parts", TYPE=parts.dtype, SUM_TYPE=parts.dtype, THREADS=256)
    run((module.blocks(y.size, 256),), (256,), (parts, y, np.int64(y.size), np.int32(len(parts))))
