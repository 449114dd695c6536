"""Dropout with the mask that a seed gives: a uniform float32 number for every element or channel, kept if it is p or more."""

import numpy as np


def dropout(x, p=0.5, training=True, generator=0):
    return channels(x, p, training, generator, x.ndim)


def channels(x, p, training, generator, axes):
    """One number for every index along the first `axes` axes."""
    y = x.copy()
    numbers = np.random.default_rng(generator).random(x.shape[:axes], np.float32)
    for i in np.ndindex(x.shape) if training else ():
        y[i] = x[i] / (1 - p) if numbers[i[:axes]] >= p else 0.0
    return y


def channel_dropout(axes):
    """For inputs (N, C, *) with so many axes in all, or (C, *) with one less."""
    def oracle(x, p=0.5, training=True, generator=0):
        return channels(x, p, training, generator, 2 if x.ndim == axes else 1)
    return oracle


def alpha_dropout(x, p=0.5, training=False, generator=0):
    if not training:
        return x
    low = -1.0507009873554805 * 1.6732632423543772                        # selu far to the left
    scale = ((1 - p) * (1 + p * low ** 2)) ** -0.5
    numbers = np.random.default_rng(generator).random(x.shape, np.float32)
    y = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        y[i] = scale * ((x[i] if numbers[i] >= p else low) - p * low)
    return y
