"""Where an array lives: NumPy's on the CPU, CuPy's on a GPU.

Everything that computes asks `array_module(x)` for the functions that fit x, so one text serves both.  An array's library
is recognised by the name of its module, without importing it: who has no GPU never loads CuPy.
"""

import numpy as np


def array_module(x):
    """The module whose functions take x: cupy for a CuPy array, numpy for everything else.

    >>> array_module(np.zeros(3)).__name__
    'numpy'
    """
    if type(x) is not np.ndarray and type(x).__module__.partition(".")[0] == "cupy":
        import cupy
        return cupy
    return np


def is_array(x):
    """Whether x is an array (of NumPy or CuPy), as opposed to a number, a list or a Tensor."""
    return isinstance(x, np.ndarray) or type(x).__module__.partition(".")[0] == "cupy"
