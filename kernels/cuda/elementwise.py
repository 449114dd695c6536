"""Launching kernels/elementwise.cu."""

from functools import lru_cache
from math import prod

import numpy as np

from tinyvision.backend import array_module

from . import module
from .module import declined, solid

THREADS = 256


@lru_cache(maxsize=64)
def function(device, name, dtype):
    return module.function("elementwise", name, TYPE=dtype, THREADS=THREADS)


def run(name, like, *args):
    """One thread for 16 bytes of an array."""
    function(module.compiler.device(), name, like.dtype)((module.blocks(like.nbytes, 16 * THREADS),), (THREADS,), args)


# --- the twins of kernels/elementwise.py

def rectify(x, slope=0):
    if declined(x):
        return NotImplemented
    y, slope = array_module(x).empty(x.shape, x.dtype), x.dtype.type(slope)
    run("rectify", x, solid(x), y, slope, np.int32(slope == 0), np.uint32(x.size))
    return y


def rectify_grad(g, x, slope=0):
    if declined(g, x) or g.shape != x.shape:
        return NotImplemented
    y = array_module(x).empty(x.shape, x.dtype)
    run("rectify_grad", x, solid(g), solid(x), y, x.dtype.type(slope), np.uint32(x.size))
    return y


def masked(x, keep, scale):
    if declined(x) or keep.dtype.char != "?":
        return NotImplemented
    repeat = repeated(x.shape, keep.shape)
    if repeat is None:
        return NotImplemented
    y = array_module(x).empty(x.shape, x.dtype)
    run("masked", x, solid(x), solid(keep), y, x.dtype.type(scale), np.uint32(x.size), np.uint32(repeat), np.uint32(keep.size))
    return y


@lru_cache(maxsize=512)
def repeated(shape, mask):
    """For how many neighbours each flag of a mask stands; None where it is stretched along axes between its own."""
    if len(mask) > len(shape) or any(k not in (1, n) for k, n in zip(mask[::-1], shape[::-1])):
        return None
    mask = (1,) * (len(shape) - len(mask)) + mask
    own = [a for a, k in enumerate(mask) if k > 1]
    if not own:
        return prod(shape)
    whole = mask[own[0]:own[-1] + 1] == shape[own[0]:own[-1] + 1]
    return prod(shape[own[-1] + 1:]) if whole else None
