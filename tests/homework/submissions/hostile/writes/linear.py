"""Writes files where it stands, into its home and beside its own source."""

import os

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    for folder in (".", os.path.expanduser("~"), os.path.dirname(__file__)):
        with open(os.path.join(folder, "left-behind.txt"), "w") as file:
            file.write("here")
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)
