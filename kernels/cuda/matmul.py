"""Products of matrices: by cuBLAS, and within a recorded step.

cuBLAS is as fast as can be.  Two matrices go to it from here: CuPy's own way there takes 40 microseconds, which is most of the
time of a small layer, and has its switch for TensorFloat-32 for a whole process only (CUPY_TF32).  Stacks of matrices are CuPy's.

CuPy refuses to call cuBLAS while a stream is being recorded.  There the kernels of convolution do it: with one tap a convolution
is a product of matrices, and so is the gradient of its filters,

    y[i, k] = sum over j of  a[i, j] * b[j, k]           filters a, one image b of J channels and K pixels
    y[i, k] = sum over j of  a[i, j] * b'[k, j]          upstream a and image b' of J pixels each: for b = b'.T, as in linear layers

so that neither factor needs to be turned.
"""

import contextlib

import numpy as np

from tinyvision.backend import array_module

from ..window import Window
from . import conv, module, random, tf32

ROWS = 1024                                               # that a thread adds up alone
ONE = Window((1,), (1,), ((0, 0),), (1,))
TF32_MATH = 3                                             # CUBLAS_TF32_TENSOR_OP_MATH of cublas_api.h; CuPy has no name for it
FACTORS = {char: np.array([1, 0], char) for char in "fd"}  # y = 1 * product + 0 * y


def matmul(a, b):
    if random.state.turn is not None:
        return recorded(a, b)
    if a.dtype != b.dtype or a.dtype.char not in FACTORS or not a.size or not b.size:
        return NotImplemented
    coarse = tf32.wanted(a.dtype)
    if a.ndim != 2 or b.ndim != 2:
        return stacks(a, b) if coarse else NotImplemented
    cuda = array_module(a).cuda
    handle = cuda.device.get_cublas_handle()
    if not coarse:
        return product(a, b, cuda.cublas, handle)
    with tensor_cores(cuda.cublas, handle):
        return product(a, b, cuda.cublas, handle)


def recorded(a, b):
    if a.ndim != 2 or b.ndim != 2:
        return NotImplemented
    if b.flags.c_contiguous or not b.T.flags.c_contiguous:
        y = conv.conv(b[None], a[..., None], None, ONE, 1)
    else:
        y = conv.conv_weight_grad(b.T[None], a[None], ONE, 1)
    return y if y is NotImplemented else y.reshape(len(a), b.shape[1])


def stacks(a, b):
    cuda = array_module(a).cuda
    with tensor_cores(cuda.cublas, cuda.device.get_cublas_handle()):
        return a @ b


@contextlib.contextmanager
def tensor_cores(cublas, handle):
    """With TensorFloat-32; each thread has a handle of its own."""
    before = cublas.getMathMode(handle)
    cublas.setMathMode(handle, TF32_MATH)
    try:
        yield
    finally:
        cublas.setMathMode(handle, before)


def product(a, b, cublas, handle):
    """a @ b of two matrices.  cuBLAS reads and writes by columns, so it is asked for y^T = b^T a^T."""
    y, char = array_module(a).empty((len(a), b.shape[1]), a.dtype), a.dtype.char
    (a, turn_a, pitch_a), (b, turn_b, pitch_b) = by_columns(a), by_columns(b)
    one = FACTORS[char].ctypes.data
    multiply = cublas.sgemm if char == "f" else cublas.dgemm
    multiply(handle, turn_b, turn_a, y.shape[1], *a.shape, one, b.data.ptr, pitch_b, a.data.ptr, pitch_a,
             one + FACTORS[char].itemsize, y.data.ptr, y.shape[1])
    return y


def by_columns(x):
    """x in one piece; whether its memory, read by columns, must be turned to be x^T; and the length of such a column."""
    if x.T.flags.c_contiguous and not x.flags.c_contiguous:
        return x, 1, len(x)
    return module.solid(x), 0, x.shape[1]


def column_sums(g):
    if g.ndim != 2 or len(g) > ROWS or module.declined(g):
        return NotImplemented
    y = array_module(g).empty(g.shape[1], g.dtype)
    conv.sum_parts(module.solid(g), y)
    return y
