"""Products of matrices within a recorded step.

cuBLAS is as fast as can be, and CuPy hands matrices to it; but CuPy refuses to call it while a stream is being recorded.  There
the kernels of convolution do it: with one tap a convolution is a product of matrices, and so is the gradient of its filters,

    y[i, k] = sum over j of  a[i, j] * b[j, k]           filters a, one image b of J channels and K pixels
    y[i, k] = sum over j of  a[i, j] * b'[k, j]          upstream a and image b' of J pixels each: for b = b'.T, as in linear layers

so that neither factor needs to be turned.
"""

from ..window import Window
from . import conv, random

ONE = Window((1,), (1,), ((0, 0),), (1,))


def matmul(a, b):
    if random.turn is None or a.ndim != 2 or b.ndim != 2:
        return NotImplemented
    if b.flags.c_contiguous or not b.T.flags.c_contiguous:
        y = conv.conv(b[None], a[..., None], None, ONE, 1)
    else:
        y = conv.conv_weight_grad(b.T[None], a[None], ONE, 1)
    return y if y is NotImplemented else y.reshape(len(a), b.shape[1])
