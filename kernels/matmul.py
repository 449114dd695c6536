"""Products of matrices.

Contract:   matmul(a, b)  ->  a @ b         a (.., I, J), b (.., J, K) -> (.., I, K)
            column_sums(g)  ->  gb          (N, O) -> (O,): the gradient of a linear layer's bias

NumPy hands this to its BLAS library, which is as fast as can be, but has threads of its own: where they and those of the
compiled kernels want the same cores, a product of a tenth of a millisecond takes eight.  So in a step of training the matrices of
linear layers go through the kernels of convolution (cpu/matmul.py), all but the largest.
"""

from .registry import kernel


@kernel
def matmul(a, b):
    return a @ b


@kernel
def column_sums(g):
    return g.sum(axis=0)
