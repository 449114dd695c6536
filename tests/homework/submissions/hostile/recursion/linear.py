"""A function that calls itself without end."""

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    return linear_backward(dout, cache)
