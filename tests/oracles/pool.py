"""Pooling, unpooling, adaptive pooling, unfold and fold, from their definitions: for every window, for every pixel."""

from fractions import Fraction
from itertools import product
from math import ceil, floor

import numpy as np


def tuples(value, n):
    return (value,) * n if isinstance(value, int) else tuple(value) * (n if len(value) == 1 else 1)


def positions(h, k, s, p, d=1, ceil_mode=False):
    """How many windows: each begins a stride after the one before; the last ends, or begins (ceil_mode), inside."""
    o = Fraction(h + 2 * p - d * (k - 1) - 1, s)
    o = (ceil(o) if ceil_mode else floor(o)) + 1
    return o - 1 if ceil_mode and (o - 1) * s - p >= h else o             # none begins in the padding behind the image


def pixel_number(pixel, sizes):
    """The number of a pixel, counting row by row."""
    number = 0
    for p, h in zip(pixel, sizes):
        number = number * h + p
    return number


def largest(plane, pixels):
    """(value, number) of the largest pixel: the first of equal ones, the last that is not a number."""
    best = None
    for pixel in pixels:
        v = plane[pixel]
        if best is None or v > best[0] or np.isnan(v):
            best = (v, pixel_number(pixel, plane.shape))
    return best


def max_pool(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    n, sizes = x.ndim - 2, x.shape[2:]
    K, P, D = (tuples(v, n) for v in (kernel_size, padding, dilation))
    S = tuples(stride or kernel_size, n)
    out = [positions(*args, ceil_mode) for args in zip(sizes, K, S, P, D)]
    y, index = np.zeros((*x.shape[:2], *out)), np.zeros((*x.shape[:2], *out), np.int64)
    for place in product(range(x.shape[0]), range(x.shape[1]), *map(range, out)):
        o = place[2:]
        window = [tuple(a * s - p + b * d for a, s, p, b, d in zip(o, S, P, k, D)) for k in product(*map(range, K))]
        inside = [q for q in window if all(0 <= a < h for a, h in zip(q, sizes))]
        y[place], index[place] = largest(x[place[:2]], inside)
    return (y, index) if return_indices else y


def max_unpool(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    n = x.ndim - 2
    K, S, P = tuples(kernel_size, n), tuples(stride or kernel_size, n), tuples(padding, n)
    sizes = [(h - 1) * s - 2 * p + k for h, s, p, k in zip(x.shape[2:], S, P, K)]
    if output_size is not None:
        sizes = list(output_size)[-n:]
    y = np.zeros((*x.shape[:2], *sizes))
    for place in np.ndindex(*x.shape):
        pixel = np.unravel_index(indices[place], sizes)
        y[(*place[:2], *pixel)] = x[place]
    return y


def avg_pool(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    n, sizes = x.ndim - 2, x.shape[2:]
    K, P = tuples(kernel_size, n), tuples(padding, n)
    S = tuples(stride or kernel_size, n)
    out = [positions(h, k, s, p, 1, ceil_mode) for h, k, s, p in zip(sizes, K, S, P)]
    y = np.zeros((*x.shape[:2], *out))
    for place in product(range(x.shape[0]), range(x.shape[1]), *map(range, out)):
        window = list(product(*(range(o * s - p, o * s - p + k) for o, s, p, k in zip(place[2:], S, P, K))))
        padded = [q for q in window if all(-p <= a < h + p for a, h, p in zip(q, sizes, P))]
        inside = [q for q in window if all(0 <= a < h for a, h in zip(q, sizes))]
        divisor = divisor_override or len(padded if count_include_pad else inside)
        y[place] = sum(x[(*place[:2], *q)] for q in inside) / divisor
    return y


def parts(h, o):
    """The pixels of each of o equal parts of h pixels: all that a part touches."""
    return [[i for i in range(h) if Fraction(k * h, o) < i + 1 and i < Fraction((k + 1) * h, o)] for k in range(o)]


def adaptive(x, output_size):
    """(place in the output, plane, its pixels) for every output of an adaptive pooling."""
    sizes = x.shape[2:]
    out = [h if o is None else o for h, o in zip(sizes, tuples(output_size, len(sizes)))]
    windows = [parts(h, o) for h, o in zip(sizes, out)]
    for place in product(range(x.shape[0]), range(x.shape[1]), *map(range, out)):
        yield place, x[place[:2]], list(product(*(w[o] for w, o in zip(windows, place[2:]))))


def adaptive_shape(x, output_size):
    return x.shape[:2] + tuple(h if o is None else o for h, o in zip(x.shape[2:], tuples(output_size, x.ndim - 2)))


def adaptive_max_pool(x, output_size, return_indices=False):
    y, index = (np.zeros(adaptive_shape(x, output_size), dtype) for dtype in (float, np.int64))
    for place, plane, pixels in adaptive(x, output_size):
        y[place], index[place] = largest(plane, pixels)
    return (y, index) if return_indices else y


def adaptive_avg_pool(x, output_size):
    y = np.zeros(adaptive_shape(x, output_size))
    for place, plane, pixels in adaptive(x, output_size):
        y[place] = sum(plane[q] for q in pixels) / len(pixels)
    return y


def patches(shape, kernel_size, dilation, padding, stride):
    """(row, column, channel, pixel) of every entry of the columns of pictures (C, H, W) that lies inside the picture."""
    C, *sizes = shape
    K, D, P, S = (tuples(v, 2) for v in (kernel_size, dilation, padding, stride))
    out = [positions(h, k, s, p, d) for h, k, s, p, d in zip(sizes, K, S, P, D)]
    for row, (c, *k) in enumerate(product(range(C), *map(range, K))):
        for column, o in enumerate(product(*map(range, out))):
            pixel = tuple(a * s + b * d - p for a, s, b, d, p in zip(o, S, k, D, P))
            if all(0 <= q < h for q, h in zip(pixel, sizes)):
                yield row, column, c, pixel


def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    K, D, P, S = (tuples(v, 2) for v in (kernel_size, dilation, padding, stride))
    out = [positions(h, k, s, p, d) for h, k, s, p, d in zip(x.shape[2:], K, S, P, D)]
    col = np.zeros((len(x), x.shape[1] * K[0] * K[1], out[0] * out[1]))
    for row, column, c, pixel in patches(x.shape[1:], kernel_size, dilation, padding, stride):
        col[:, row, column] = x[(slice(None), c, *pixel)]
    return col


def fold(col, output_size, kernel_size, dilation=1, padding=0, stride=1):
    K, sizes = tuples(kernel_size, 2), tuples(output_size, 2)
    x = np.zeros((len(col), col.shape[1] // (K[0] * K[1]), *sizes))
    for row, column, c, pixel in patches(x.shape[1:], kernel_size, dilation, padding, stride):
        x[(slice(None), c, *pixel)] += col[:, row, column]
    return x
