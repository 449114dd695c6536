"""Leaves children behind that hold every pipe open: one in the group, one that has left it."""

import os
import time

import numpy as np


def linear_forward(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dout, cache):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
        time.sleep(60)
        os._exit(0)
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)
