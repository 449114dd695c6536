"""Launching kernels/normalize.cu: how an array falls into groups, and how many blocks share a group.

    axes (0, 2) of (N, C, P)     batch norm: C groups, each of N pieces; w and b belong to a group
    the last axes                instance, group and layer norm: each group one piece.  w and b belong to a group, or change inside it;
                                 then their gradients are sums down the columns of an array of rows, one more kernel
"""

import functools
from math import prod

import numpy as np

from tinyvision.backend import array_module, is_array

from . import module
from .module import address, declined, solid

FEW, THREADS = 32, 256                                    # of a block, for groups of up to 1024 numbers and for larger ones
LEAST = 8192                                              # numbers that are worth a block of their own

GEOMETRY = np.dtype([(name, "i4") for name in ("segments", "length", "pitch", "each", "channels", "pixels", "relu")])


class View:
    """The groups of an array of this shape, with w and b of these shapes; what cannot be seen so has fits = False."""

    def __init__(self, shape, axes, *parameters):
        lines, given = len(shape) - len(axes), [p for p in parameters if p is not None]
        self.stats = tuple([1 if axis in axes else n for axis, n in enumerate(shape)])
        self.groups, self.count = prod(self.stats), prod(shape) // prod(self.stats)
        self.batch = len(shape) == 3 and axes == (0, 2)
        self.segments, self.length = (shape[0], shape[2]) if self.batch else (1, self.count)
        self.pitch = shape[1] * shape[2] if self.batch else 0
        places = {block_of(shape, p) for p in given} or {(1, prod(shape))}
        self.fits = (self.batch or axes == tuple(range(lines, len(shape)))) and len(places) == 1 and None not in places
        if self.fits:
            self.channels, self.pixels = places.pop()
            self.varied = self.pixels % self.length > 0
            # all channels of a group follow each other, and batch norm has one per group
            self.fits = not self.varied or (not self.batch and self.channels * self.pixels % self.length == 0)
            self.fits = self.fits and (not self.batch or not given or self.channels == self.groups)
        self.own = self.fits and not self.varied and self.channels == self.groups          # no w is shared by two groups


def block_of(shape, parameter):
    """(channels, pixels) of a parameter p that broadcasts: element i of the array has p[i / pixels % channels]; None if it has not."""
    wide = [axis for axis, n in enumerate(parameter) if n > 1]
    if not wide:
        return 1, prod(shape)
    block = slice(wide[0], wide[-1] + 1)
    if len(parameter) != len(shape) or parameter[block] != shape[block]:
        return None
    return prod(shape[block]), prod(shape[wide[-1] + 1:])


view_of = functools.lru_cache(512)(View)


class Launch:
    """How many blocks share a group, and the integers and constants of the kernels."""

    def __init__(self, device, view, dtype, vector, relu):
        vectors, processors = view.count // vector, module.multiprocessors()
        parts = max(1, min(module.blocks(8 * processors, view.groups), view.count // LEAST))
        each = module.blocks(vectors, parts)
        self.parts = module.blocks(vectors, each)
        threads = FEW if view.count <= 1024 else THREADS
        self.constants = dict(TYPE=dtype, VEC=vector, THREADS=threads, VARIED=view.varied)
        values = view.segments, view.length, view.pitch, each, view.channels, view.pixels, relu
        self.record = np.array(values, GEOMETRY)[()]
        self.block, self.found = (threads,), {}

    def __call__(self, name, grid, args):
        run = self.found.get(name)
        if run is None:
            forward = name in ("forward", "moments", "finish")
            run = self.found[name] = module.function("normalize", name, BACKWARD=not forward, **self.constants)
        run(grid, self.block, (*[module.NULL if a is None else a for a in args], self.record))


launch_of = functools.lru_cache(1024)(Launch)


def plan(arrays, w, b, axes, relu):
    """The view and the launch for arrays like x, the first of them; None for what the kernels decline."""
    x, given = arrays[0], [a for a in (*arrays, w, b) if a is not None]
    if declined(*given) or (len(arrays) > 1 and arrays[-1] is not None and not relu):
        return None, None
    view = view_of(x.shape, axes, None if w is None else w.shape, None if b is None else b.shape)
    if not view.fits:
        return None, None
    vector = 16 // x.dtype.itemsize
    if view.length % vector or any(address(a) % 16 for a in arrays if a is not None):
        vector = 1
    return view, launch_of(module.compiler.device(), view, x.dtype, vector, bool(relu))


# --- the twins of kernels/normalize.py

def normalize(x, w, b, axes, eps, relu=False, r=None):
    x, w, b, r, xp = solid(x), solid(w), solid(b), solid(r), array_module(x)
    view, launch = plan((x, r), w, b, axes, relu)
    if view is None:
        return NotImplemented
    y, mean, rstd, R = xp.empty(x.shape, x.dtype), xp.empty(view.stats, x.dtype), xp.empty(view.stats, x.dtype), view.groups
    var, eps = xp.empty(view.stats, np.float64), np.float64(eps)
    if launch.parts == 1:
        launch("forward", (R,), (x, w, b, r, y, mean, var, rstd, eps))
    else:
        parts = xp.empty((launch.parts, R, 2), np.float64)
        launch("moments", (R, launch.parts), (x, parts))
        launch("finish", (R, launch.parts), (x, w, b, r, y, parts, mean, var, rstd, eps))
    return y, mean, var, rstd


def normalize_grad(g, x, w, b, mean, rstd, axes, relu=False, r=None):
    x, g, w, b, r, mean, rstd, xp = solid(x), solid(g), solid(w), solid(b), solid(r), solid(mean), solid(rstd), array_module(x)
    view, launch = plan((x, g, r), w, b, axes, relu)
    if view is None or mean.dtype != x.dtype or rstd.dtype != x.dtype:
        return NotImplemented
    gx, gr, R = xp.empty(x.shape, x.dtype), None if r is None else xp.empty(x.shape, x.dtype), view.groups
    gw, gb = (None if p is None else xp.empty(p.shape, p.dtype) for p in (w, b))
    shared = not view.varied and not view.own and (w is not None or b is not None)
    sums = xp.empty((R, 2), np.float64) if shared else None
    keep = (gw, gb, sums) if view.own else (None, None, sums)
    if launch.parts == 1:
        launch("backward", (R,), (g, x, w, b, r, gr, mean, rstd, gx, *keep))
    else:
        parts = xp.empty((launch.parts, R, 2), np.float64)
        launch("grad_sums", (R, launch.parts), (g, x, w, b, r, gr, mean, rstd, parts))
    if r is not None:                                     # the rectifier is behind gr
        g, launch = gr, launch_of(module.compiler.device(), view, x.dtype, launch.constants["VEC"], False)
    if launch.parts > 1:
        launch("grad_finish", (R, launch.parts), (g, x, w, b, parts, mean, rstd, gx, *keep))
    if view.varied:
        sums = column_sums(view, launch, g, x, w, b, mean, rstd)
    if sums is not None:
        parameter_grads(view, launch, sums, gw, gb)
    return (gx, gw, gb) if r is None else (gx, gw, gb, gr)


def column_sums(view, launch, g, x, w, b, mean, rstd):
    """Of parameters that change inside a group: sums (parts, channels * pixels, 2) over parts of the rows."""
    threads, width = launch.constants["THREADS"], view.channels * view.pixels
    rows, across = x.size // width, module.blocks(width, threads)
    wanted = module.blocks(2048 // threads * module.multiprocessors(), across)
    each = module.blocks(rows, max(1, min(wanted, rows // 16)))
    count = module.blocks(rows, each)
    sums = array_module(x).empty((count, width, 2), np.float64)
    launch("column_sums", (across, count), (g, x, w, b, mean, rstd, sums, np.int32(rows), np.int32(each)))
    return sums


def parameter_grads(view, launch, sums, gw, gb):
    """gw and gb from sums (count, channels, pixels, 2)."""
    pixels = view.pixels if view.varied else view.pixels // view.length
    count, threads = sums.size // (2 * view.channels * pixels), launch.constants["THREADS"]
    lanes = 1 if count * pixels < 32 else threads
    launch("parameter_grads", (view.channels if lanes > 1 else module.blocks(view.channels, threads),),
           (sums, gw, gb, np.int32(count), np.int32(view.channels), np.int32(pixels), np.int32(lanes)))


def follow(mean, var, found_mean, found_var, momentum, correction):
    given = mean, var, found_mean
    if is_array(momentum):                                # a number of the device, which the host must not wait for
        return NotImplemented
    if declined(*given) or found_var.dtype != np.float64 or not all(a.flags.c_contiguous for a in (*given, found_var)):
        return NotImplemented
    run = module.function("normalize", "follow", BACKWARD=0, TYPE=mean.dtype, VEC=1, THREADS=FEW, VARIED=0)
    run((module.blocks(mean.size, FEW),), (FEW,), (mean, var, found_mean, found_var, np.int32(found_mean.size // mean.size),
                                                   np.int32(mean.size), np.float64(momentum), np.float64(correction)))
