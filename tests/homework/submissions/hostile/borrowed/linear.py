"""Lets the engine do the work."""

import numpy as np

from tinyvision import Tensor, grad


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    x, w = (Tensor(a, requires_grad=True) for a in cache)
    gx, gw = grad(x @ w, [x, w], dout)
    return gx.data, gw.data, dout.sum(axis=0)
