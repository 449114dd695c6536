"""Launching kernels/im2col.cu.  Signals and pictures are volumes with axes of size 1."""

from functools import lru_cache
from math import prod

import numpy as np

from tinyvision.backend import array_module

from . import module
from .module import declined, solid
from .tile import three

THREADS = 256
GEOMETRY = np.dtype([(name, "i4", 3) for name in ("size", "out", "taps", "stride", "low", "step")])


@lru_cache(maxsize=512)
def geometry(sizes, out, window):
    record = np.zeros(1, GEOMETRY)[0]
    for name, values, fill in (("size", sizes, 1), ("out", out, 1), ("taps", window.size, 1), ("stride", window.stride, 1),
                               ("low", [lo for lo, _ in window.padding], 0), ("step", window.dilation, 1)):
        record[name] = three(tuple(values), fill)
    return record


def run(name, source, result, record, threads):
    if threads:
        function = module.function("im2col", name, TYPE=source.dtype, THREADS=THREADS)
        function((module.blocks(threads, THREADS),), (THREADS,), (solid(source), result, record, np.uint32(threads)))
    return result


# --- the twins of kernels/im2col.py

def im2col(x, window):
    if declined(x):
        return NotImplemented
    out = tuple(window.output(x.shape[2:]))
    col = array_module(x).empty(x.shape[:2] + tuple(window.size) + out, x.dtype)
    return run("im2col", x, col, geometry(x.shape[2:], out, window), prod(x.shape[:2]) * prod(out))


def col2im(col, sizes, window):
    sizes, planes = tuple(sizes), col.shape[:2]
    if declined(col) or prod(planes) * prod(sizes) >= 1 << 31:
        return NotImplemented
    x = array_module(col).empty(planes + sizes, col.dtype)
    return run("col2im", col, x, geometry(sizes, col.shape[2 + window.ndim:], window), x.size)
