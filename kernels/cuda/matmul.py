"""Products of matrices: within a recorded step, and with TensorFloat-32.

cuBLAS is as fast as can be, and CuPy hands matrices to it; but CuPy refuses to call it while a stream is being recorded.  There
the kernels of convolution do it: with one tap a convolution is a product of matrices, and so is the gradient of its filters,

    y[i, k] = sum over j of  a[i, j] * b[j, k]           filters a, one image b of J channels and K pixels
    y[i, k] = sum over j of  a[i, j] * b'[k, j]          upstream a and image b' of J pixels each: for b = b'.T, as in linear layers

so that neither factor needs to be turned.

Where TensorFloat-32 is allowed, cuBLAS is called here, for CuPy has its switch for a whole process only (CUPY_TF32).
"""

import contextlib

import numpy as np

from tinyvision.backend import array_module

from ..window import Window
from . import conv, random, tf32

ONE = Window((1,), (1,), ((0, 0),), (1,))
TF32_MATH = 3                                             # CUBLAS_TF32_TENSOR_OP_MATH of cublas_api.h; CuPy has no name for it
FACTORS = np.array([1, 0], np.float32)                    # y = 1 * product + 0 * y


def matmul(a, b):
    if random.turn is not None and a.ndim == b.ndim == 2:
        if b.flags.c_contiguous or not b.T.flags.c_contiguous:
            y = conv.conv(b[None], a[..., None], None, ONE, 1)
        else:
            y = conv.conv_weight_grad(b.T[None], a[None], ONE, 1)
        return y if y is NotImplemented else y.reshape(len(a), b.shape[1])
    if random.turn is not None or a.dtype != b.dtype or not a.size or not b.size or not tf32.wanted(a.dtype):
        return NotImplemented
    with coarse() as (cublas, handle):
        return product(a, b, cublas, handle) if a.ndim == b.ndim == 2 else a @ b


@contextlib.contextmanager
def coarse():
    """cuBLAS, and its handle with TensorFloat-32 switched on: each thread has a handle of its own."""
    from cupy.cuda import cublas, device
    handle = device.get_cublas_handle()
    before = cublas.getMathMode(handle)
    cublas.setMathMode(handle, TF32_MATH)
    try:
        yield cublas, handle
    finally:
        cublas.setMathMode(handle, before)


def product(a, b, cublas, handle):
    """a @ b of two matrices.  cuBLAS reads and writes by columns, so it is asked for y^T = b^T a^T."""
    y = array_module(a).empty((len(a), b.shape[1]), a.dtype)
    (a, turn_a, pitch_a), (b, turn_b, pitch_b) = by_columns(a), by_columns(b)
    one, zero = FACTORS.ctypes.data, FACTORS.ctypes.data + FACTORS.itemsize
    cublas.sgemm(handle, turn_b, turn_a, y.shape[1], *a.shape, one, b.data.ptr, pitch_b, a.data.ptr, pitch_a, zero, y.data.ptr,
                 y.shape[1])
    return y


def by_columns(x):
    """x in one piece; whether its memory, read by columns, must be turned to be x^T; and the length of such a column."""
    if x.T.flags.c_contiguous and not x.flags.c_contiguous:
        return x, 1, len(x)
    return conv.solid(x), 0, x.shape[1]
