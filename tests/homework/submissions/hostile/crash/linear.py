"""Reads from address 0: a segmentation fault."""

import ctypes

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    return ctypes.string_at(0)
