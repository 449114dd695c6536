"""Helpers of the oracles: a function of one number over an array, a function of one line along an axis."""

import numpy as np


def each(f):
    """The function of an array that applies f, a function of a Python number, to every element."""
    def oracle(x, *args, **kwargs):
        y = np.zeros(x.shape)
        for i in np.ndindex(x.shape):
            y[i] = f(float(x[i]), *args, **kwargs)
        return y
    return oracle


def lines(f):
    """The function of an array and an axis that applies f, lists to lists, to every line along the axis."""
    def oracle(x, dim, *args, **kwargs):
        x = np.moveaxis(x, dim, -1)
        y = np.zeros(x.shape)
        for i in np.ndindex(x.shape[:-1]):
            y[i] = f(x[i].tolist(), *args, **kwargs)
        return np.moveaxis(y, -1, dim)
    return oracle
