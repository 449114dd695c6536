"""The forward pass forgets the bias, and the backward pass knows it."""

import numpy as np


def linear_forward(x, w, b):
    return x @ w, (x, w)


def linear_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, np.zeros(dout.shape[1])
