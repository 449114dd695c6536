"""Padding: every output pixel walks from its place beyond the picture back to the pixel it shows."""

from itertools import product

import numpy as np


def walk(mode, i, pixels):
    """The pixel shown at place i, 0 being that of the first of these pixels; None outside a constant border."""
    if mode == "circular":
        while i < 0:
            i += len(pixels)
        while i >= len(pixels):
            i -= len(pixels)
        return pixels[i]
    step = 1
    place = 0
    for _ in range(abs(i)):                               # one pixel at a time, to the left if i is negative
        ahead = place + step if i > 0 else place - step
        if not 0 <= ahead < len(pixels):
            if mode == "constant":
                return None
            if mode == "replicate":
                continue
            step = -step                                  # reflect: turn round on the border pixel
            ahead = place + step if i > 0 else place - step
        place = ahead
    return pixels[place]


def pad(x, pad, mode="constant", value=None):
    widths = [(0, 0)] * x.ndim
    for k in range(len(pad) // 2):
        widths[x.ndim - 1 - k] = (pad[2 * k], pad[2 * k + 1])
    rows = []
    for I, (lo, hi) in zip(x.shape, widths):
        pixels, first = list(range(I)), -lo
        if mode == "circular":
            pixels, first = pixels[max(0, -lo):I - max(0, -hi)], min(0, -lo)
        rows.append([walk(mode, first + o, pixels) for o in range(lo + I + hi)])
    y = np.full([len(row) for row in rows], 0.0 if value is None else float(value))
    for place in product(*(range(len(row)) for row in rows)):
        pixel = [row[o] for row, o in zip(rows, place)]
        if None not in pixel:
            y[place] = x[tuple(pixel)]
    return y
