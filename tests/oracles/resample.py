"""Resizing: each output pixel as a sum over all input pixels, each times the weight that the definition gives it."""

from fractions import Fraction
from itertools import product
from math import ceil, floor

import numpy as np


def hat(d):
    """Linear interpolation: 1 at distance 0, 0 from distance 1 on."""
    return max(0.0, 1 - abs(d))


def keys(d, a):
    """Keys 1981, with any a in the place of his -1/2."""
    d = abs(d)
    if d <= 1:
        return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1
    return a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a if d < 2 else 0.0


def weights(mode, o, I, O, scale, align_corners, antialias):
    """{input pixel: weight} of output pixel o along one axis; scale None: the ratio of the sizes."""
    r = Fraction(I, O) if scale is None else 1 / scale
    if mode == "nearest":
        return {min(floor(r * o), I - 1): 1.0}
    if mode == "nearest-exact":
        return {min(floor(r * (o + Fraction(1, 2))), I - 1): 1.0}
    if mode == "area":
        window = range(floor(Fraction(o * I, O)), ceil(Fraction((o + 1) * I, O)))
        return {i: 1 / len(window) for i in window}
    r = float(r)
    if align_corners:
        r = (I - 1) / (O - 1) if O > 1 else 0.0
    if antialias:
        wide = max(r, 1.0)
        row = {i: (i + 0.5 - r * (o + 0.5)) / wide for i in range(I)}
        row = {i: hat(d) if mode == "bilinear" else keys(d, -0.5) for i, d in row.items()}
        return {i: w / sum(row.values()) for i, w in row.items()}
    s = r * o if align_corners else r * (o + 0.5) - 0.5
    if mode != "bicubic":
        s = min(max(s, 0.0), I - 1.0)
        return {i: hat(i - s) for i in range(I)}
    row = dict.fromkeys(range(I), 0.0)
    for i in range(floor(s) - 1, floor(s) + 3):           # beyond the border the border pixel stands again
        row[min(max(i, 0), I - 1)] += keys(i - s, -0.75)
    return row


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
                antialias=False):
    n, sizes = x.ndim - 2, x.shape[2:]
    each = lambda value: list(value) if isinstance(value, tuple) else [value] * n
    scales = each(scale_factor)
    out = each(size) if scale_factor is None else [floor(i * s) for i, s in zip(sizes, scales)]
    if recompute_scale_factor:
        scales = [None] * n
    y = np.zeros(x.shape[:2] + tuple(out))
    for place in product(*map(range, out)):
        rows = [weights(mode, o, *axis, align_corners, antialias) for o, *axis in zip(place, sizes, out, scales)]
        for pixel in product(*rows):
            w = np.prod([row[i] for row, i in zip(rows, pixel)])
            y[(..., *place)] += w * x[(..., *pixel)]
    return y


def upsample_nearest(x, size=None, scale_factor=None):
    return interpolate(x, size, scale_factor)


def upsample_bilinear(x, size=None, scale_factor=None):
    return interpolate(x, size, scale_factor, "bilinear", True)
