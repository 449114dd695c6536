"""Launching kernels/random.cu.

A step may be recorded, as a CUDA graph, and repeated without the host: then the keys of its random numbers are frozen, and
dropout would drop the same pixels in every step.  What is launched within `TurnOnDevice.recorded()` mixes a number into the
counter that the step itself counts up each time it runs:

    turn = TurnOnDevice(x)                                # before recording: it makes its array
    with turn.recorded():                                 # while the stream records
        ...                                               # the step
"""

import contextlib
import threading
from math import prod

import numpy as np

from tinyvision.backend import array_module

from . import module

THREADS = 256


class State(threading.local):
    """Each thread records steps of its own."""

    turn = None                                           # the TurnOnDevice that is in use


state = State()


class TurnOnDevice:
    """How often a recorded step has run, as a number on the device of x, from 0."""

    def __init__(self, x):
        self.array = array_module(x).zeros(1, np.uint32)

    @contextlib.contextmanager
    def recorded(self):
        """Within the block, random numbers depend on the turn; at its end the turn is counted."""
        if state.turn is not None:
            raise RuntimeError("TurnOnDevice: a step is being recorded already. Leave its block first.")
        state.turn = self
        try:
            yield self
            module.function("random", "count_turn", THREADS=THREADS)((1,), (32,), (self.array,))
        finally:
            state.turn = None


def run(name, y, key, *args):
    if y.size:
        function = module.function("random", name, THREADS=THREADS)
        function((module.blocks(y.size, 4 * THREADS),), (THREADS,),
                 (y, np.uint32(key[0]), np.uint32(key[1]), state.turn.array if state.turn else module.NULL, np.int64(y.size), *args))
    return y


# --- the twins of kernels/random.py

def uniform(x, key, shape):
    if prod(shape) >= 1 << 38:                            # more blocks than a grid has
        return NotImplemented
    return run("uniform", array_module(x).empty(shape, np.float32), key)


def kept(x, key, shape, p):
    if prod(shape) >= 1 << 38:
        return NotImplemented
    return run("kept", array_module(x).empty(shape, bool), key, np.float32(p))
