"""Rearrangement: the place of every single element."""

import numpy as np


def pixel_shuffle(x, upscale_factor):
    r = upscale_factor
    *front, channels, H, W = x.shape
    y = np.zeros((*front, channels // r ** 2, H * r, W * r))
    for *f, c, h, w in np.ndindex(y.shape):
        y[(*f, c, h, w)] = x[(*f, c * r * r + (h % r) * r + w % r, h // r, w // r)]
    return y


def pixel_unshuffle(x, downscale_factor):
    r = downscale_factor
    *front, C, H, W = x.shape
    y = np.zeros((*front, C * r * r, H // r, W // r))
    for *f, c, h, w in np.ndindex(x.shape):
        y[(*f, c * r * r + (h % r) * r + w % r, h // r, w // r)] = x[(*f, c, h, w)]
    return y


def channel_shuffle(x, groups):
    """Deal like cards: one channel of each group in turn."""
    C = x.shape[1]
    piles = [list(range(C))[g * (C // groups):(g + 1) * (C // groups)] for g in range(groups)]
    order = [pile[k] for k in range(C // groups) for pile in piles]
    return np.stack([x[:, c] for c in order], axis=1).reshape(x.shape)
