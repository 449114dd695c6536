"""The backward pass has another name than it should have."""

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def backward_linear(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)
