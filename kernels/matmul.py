"""Products of matrices.

Contract:   matmul(a, b)  ->  a @ b         a (.., I, J), b (.., J, K) -> (.., I, K)
            column_sums(g)  ->  gb          (N, O) -> (O,): the gradient of a linear layer's bias

NumPy hands this to its BLAS library, which is as fast as can be, but has threads of its own: where they and those of the
compiled kernels want the same cores, a product of a tenth of a millisecond takes eight milliseconds.  So those for which BLAS
would start its threads go to cpu/matmul.py.
"""

from .registry import kernel


@kernel
def matmul(a, b):
    return a @ b


@kernel
def column_sums(g):
    return g.sum(axis=0)
