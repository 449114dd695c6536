"""The rectifier and dropout's mask in one reading of memory, for all threads.

NumPy does a step of the formula at a time and writes an array for each: the comparison, its product with the slope, the
product with g.  Here an element is read, and its result written.  A worker owns a contiguous share of the elements.
"""

import numpy as np

from ...memory import empty
from ..registry import forced
from .jit import FLOATS, few, shared, solid

LEAST = 100_000                                           # numbers of float64 from which compiling pays


@shared
def _rectify(t, T, g, x, y, slope, forward_relu):
    """y = x where x > 0, else zero, or, if not forward_relu, g times the slope at x; all in one row."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    start, stop = x.size * t // T, x.size * (t + 1) // T
    a, d, o = x[start:stop], g[start:stop], y[start:stop]
    if forward_relu:
        for j in range(a.size):
            o[j] = zero if a[j] <= zero else a[j]         # what is not a number stays so
    else:
        for j in range(a.size):
            o[j] = d[j] * (one if a[j] > zero else slope if a[j] <= zero else zero)


@shared
def _masked(t, T, x, keep, y, scale):
    """y = x * (scale where keep, else 0), flat; each element of `keep` is for the next x.size / keep.size of x."""
    zero, each = x.dtype.type(0), x.size // keep.size
    start, stop = keep.size * t // T, keep.size * (t + 1) // T
    if each == 1:
        a, k, o = x[start:stop], keep[start:stop], y[start:stop]
        for j in range(a.size):
            o[j] = a[j] * (scale if k[j] else zero)
    else:
        for r in range(start, stop):
            a, o, factor = x[r * each:(r + 1) * each], y[r * each:(r + 1) * each], scale if keep[r] else zero
            for j in range(each):
                o[j] = a[j] * factor


def declined(x):
    """Whether the reference shall do it: no floats, nothing to compute, or little in float64, as in gradient checks."""
    return x.dtype not in FLOATS or x.size == 0 or (x.dtype.char == "d" and x.size < LEAST and not forced())


# --- the twins of kernels/elementwise.py

def rectify(x, slope=0):
    # an array in another order keeps its order in NumPy's hands
    if declined(x) or not x.flags.c_contiguous:
        return NotImplemented
    a, y = solid(x).reshape(-1), empty(x.shape, x.dtype)
    _rectify(a, a, y.reshape(-1), x.dtype.type(slope), slope == 0,        # leaky_relu is x times its slope
             workers=few(x.size))
    return y


def rectify_grad(g, x, slope=0):
    if declined(g) or g.dtype != x.dtype or g.shape != x.shape or not x.flags.c_contiguous:
        return NotImplemented
    y = empty(x.shape, x.dtype)
    _rectify(solid(g).reshape(-1), solid(x).reshape(-1), y.reshape(-1), x.dtype.type(slope), False, workers=few(x.size))
    return y


def masked(x, keep, scale):
    # the mask of dropout has x's shape, or one element for each of its channels
    if declined(x) or keep.dtype != bool or keep.ndim != x.ndim or x.size % max(keep.size, 1):
        return NotImplemented
    axes = sum(k == n for k, n in zip(keep.shape, x.shape))
    if not x.flags.c_contiguous or keep.shape != x.shape[:axes] + (1,) * (x.ndim - axes):
        return NotImplemented
    y = empty(x.shape, x.dtype)
    _masked(solid(x).reshape(-1), solid(keep).reshape(-1), y.reshape(-1), x.dtype.type(scale), workers=few(x.size))
    return y
