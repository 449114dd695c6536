"""The gradients are right, and dout is used up."""

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    x, w = cache
    dx, dw, db = dout @ w.T, x.T @ dout, dout.sum(axis=0)
    dout *= 0
    return dx, dw, db
