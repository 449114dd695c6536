"""A list that grows without end."""

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    grown = []
    while True:
        grown.append(np.ones(1 << 20))
