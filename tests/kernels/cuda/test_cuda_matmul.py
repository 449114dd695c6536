"""Products of matrices, within a recorded step and, on a GPU, by cuBLAS, against NumPy's."""

import numpy as np
import pytest

from tinyvision.kernels.cuda import matmul as twins
from tinyvision.kernels.cuda.random import TurnOnDevice


@pytest.mark.parametrize("I, J, K", [(1, 1, 1), (5, 7, 3), (64, 400, 120), (256, 84, 10), (33, 10, 257)])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_products_in_every_order(gpu, I, J, K, dtype):
    rng = np.random.default_rng(I + J + K)
    a, b = rng.standard_normal((I, J)).astype(dtype), rng.standard_normal((J, K)).astype(dtype)
    limit = 4 * np.finfo(dtype).eps * (np.abs(a).astype(float) @ np.abs(b))
    exact = a.astype(float) @ b
    there, turned = (gpu.array(a), gpu.array(b)), (gpu.array(a.T.copy()).T, gpu.array(b.T.copy()).T)
    if gpu.name == "cuda":                                # by cuBLAS
        for left, right in (there, turned, (gpu.array(np.repeat(a, 2, 1))[:, ::2], turned[1])):
            y = gpu.numpy(twins.matmul(left, right))
            assert y.dtype == a.dtype and (np.abs(y - exact) <= limit).all()
    with TurnOnDevice(there[0]).recorded():
        for left in there[0], turned[0]:
            for right in there[1], turned[1]:
                y = gpu.numpy(twins.matmul(left, right))
                assert y.dtype == a.dtype and (np.abs(y - exact) <= limit).all()


def test_stacks_of_matrices_are_left_to_the_reference(gpu):
    a = gpu.array(np.ones((2, 3, 4), "f"))
    with TurnOnDevice(a).recorded():
        assert twins.matmul(a, gpu.array(np.ones((2, 4, 3), "f"))) is NotImplemented


@pytest.mark.parametrize("shape", [(1, 1), (64, 10), (1024, 300), (1025, 2)])
def test_column_sums(gpu, shape):
    """Many rows are the reference's, which shares them out."""
    g = np.random.default_rng(0).standard_normal(shape).astype("f")
    for order in "CF":
        y = twins.column_sums(gpu.array(np.asarray(g, order=order)))
        if shape[0] > twins.ROWS:
            assert y is NotImplemented
        else:
            limit = 4 * np.finfo("f").eps * np.abs(g).sum(axis=0, dtype=float)
            assert (np.abs(gpu.numpy(y) - g.sum(axis=0, dtype=float)) <= limit).all() and y.dtype == g.dtype
