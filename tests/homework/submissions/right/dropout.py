"""A right solution."""

import numpy as np


def dropout_forward(x, dropout_param):
    p, rng = dropout_param["p"], np.random.default_rng(dropout_param["seed"])
    mask = (rng.random(x.shape) >= p) / (1 - p)
    return x * mask, mask


def dropout_backward(dout, cache):
    mask = cache
    return dout * mask
