"""Imports a module that was not handed in."""

from helpers import transpose

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    x, w = cache
    return dout @ transpose(w), transpose(x) @ dout, dout.sum(axis=0)
