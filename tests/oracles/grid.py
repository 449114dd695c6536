"""Sampling at points: each output as a sum over pixels, weighted by their distance from the point."""

from itertools import product
from math import floor

import numpy as np

from tests.oracles.resample import hat, keys


def mirror(p, low, high):
    """Fold a point back at either end until it lies between them."""
    while low < high and not low <= p <= high:
        p = 2 * low - p if p < low else 2 * high - p
    return p if low < high else low


def pixel_of(i, I, padding, align_corners):
    """The pixel that whole place i shows, None outside."""
    if padding == "border":
        return min(max(i, 0), I - 1)
    if padding == "reflection":
        i = mirror(i, 0, I - 1) if align_corners else mirror(i, -0.5, I - 0.5)
        return int(min(max(i, 0), I - 1))
    return i if 0 <= i < I else None


def axis_weights(u, I, mode, padding, align_corners):
    """[(pixel, weight)] along one axis for the relative coordinate u."""
    p = (u + 1) / 2 * (I - 1) if align_corners else (u + 1) / 2 * I - 0.5
    if mode == "bicubic":
        places = [(i, keys(i - p, -0.75)) for i in range(floor(p) - 1, floor(p) + 3)]
        return [(pixel_of(i, I, padding, align_corners), w) for i, w in places]
    if padding == "reflection":
        p = mirror(p, 0, I - 1) if align_corners else mirror(p, -0.5, I - 0.5)
    if padding != "zeros":
        p = min(max(p, 0.0), I - 1.0)
    if mode == "nearest":
        return [(pixel_of(round(p), I, "zeros", align_corners), 1.0)]
    return [(i, hat(i - p)) for i in range(I)]


def grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    N, C, *S = x.shape
    y = np.zeros((N, C, *grid.shape[1:-1]))
    for n, *place in np.ndindex(*grid.shape[:-1]):
        point = grid[(n, *place)][::-1]                   # (x, y) names a column and a row
        rows = [axis_weights(float(u), I, mode, padding_mode, align_corners) for u, I in zip(point, S)]
        for taps in product(*rows):
            pixel = [i for i, _ in taps]
            if None not in pixel:
                y[(n, slice(None), *place)] += np.prod([w for _, w in taps]) * x[(n, slice(None), *pixel)]
    return y


def affine_grid(theta, size, align_corners=None):
    def middle(j, I):
        if align_corners:
            return -1 + 2 * j / (I - 1) if I > 1 else 0.0
        return -1 + (2 * j + 1) / I

    N, _, *S = size
    y = np.zeros((N, *S, len(S)))
    for n, *place in np.ndindex(N, *S):
        point = [middle(j, I) for j, I in zip(place, S)][::-1]
        y[(n, *place)] = theta[n] @ np.array(point + [1.0])
    return y
