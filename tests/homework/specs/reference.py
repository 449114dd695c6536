"""The lecturer's forward passes, for specs/course.toml."""

import numpy as np


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def broken(x):
    raise ValueError("no such shape")


def complex_numbers(x):
    return x + 1j
