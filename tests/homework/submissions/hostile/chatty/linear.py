"""Right, and prints what it does."""

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    x, w = cache
    print("dout is", dout.shape, "-" * 200)
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)
