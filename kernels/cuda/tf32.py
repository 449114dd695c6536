"""TensorFloat-32: whether products of float32 may be done by tensor cores, which keep 10 of the 23 bits of a factor's mantissa.

A factor is rounded to the nearest such number and is off by at most 2^-11 = 0.05 % of itself, a product of two by 2^-10; the
products are exact then, and are added up in float32.  What is gained is time: a chip multiplies 8 times as many such numbers a
second (A100: 156 TFLOP/s against 19.5), though as many bytes are to be brought to it as before.

Source: NVIDIA A100 Tensor Core GPU Architecture, 2020; torch.backends.cuda.matmul.allow_tf32.
"""

import threading

from . import module

FIRST = (8, 0)                                            # the compute capability of the first chips that have it


class State(threading.local):
    """Each thread has a switch of its own, as for no_grad."""

    allowed = False


state = State()


class allow_tf32:
    """Let convolutions and products of matrices on a GPU use TensorFloat-32, from now on in this thread or for a `with` block.

    allowed: True or False; False is how a program starts.  It changes float32 on GPUs of compute capability 8.0 and later (A100,
    RTX 30 and after); on older ones, for float64 and on the CPU everything stays as it is.  Gradients follow the switch at the
    time of `backward`; a recorded step (train.Graphed) keeps what it was at its recording.  Factors lose 13 bits (a relative
    error up to 2^-11 each), sums do not: good enough for training and too coarse for gradcheck, which computes in float64.
    Raises TypeError for another value.  Source: torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32.

    >>> with allow_tf32(True):
    ...     is_tf32_allowed()
    True
    >>> is_tf32_allowed()
    False
    """

    def __init__(self, allowed):
        if not isinstance(allowed, bool):
            raise TypeError(f"allow_tf32: allowed must be True or False, got {allowed!r}.")
        self.allowed, self.before, state.allowed = allowed, state.allowed, allowed

    def __enter__(self):
        state.allowed = self.allowed                      # again, where one is used twice
        return self

    def __exit__(self, *error):
        state.allowed = self.before


def is_tf32_allowed():
    """Whether TensorFloat-32 may be used in this thread (allow_tf32).

    >>> is_tf32_allowed()
    False
    """
    return state.allowed


def wanted(dtype):
    """Whether numbers of this type are multiplied as TensorFloat-32: it is allowed, and the GPU at hand has it."""
    return state.allowed and dtype.char == "f" and module.capability() >= FIRST
