"""Prints without end."""

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    while True:
        print("\x1b[31mdout is", dout)
