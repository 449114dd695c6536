"""The CUDA sources of im2col and col2im against the reference: copies and sums, bit for bit."""

import numpy as np
import pytest

from tests.kernels.test_pool import GEOMETRIES, draw, random_geometry, same
from tinyvision.kernels import im2col as kernels
from tinyvision.kernels.cuda import im2col as twins
from tinyvision.kernels.window import Window

from .emulate import HostModule, emulated


def check(gpu, x, window):
    """Both against the reference; the gradient is of random numbers, so that a pixel in the wrong place shows."""
    col = gpu.numpy(twins.im2col(gpu.array(x), window))
    same(kernels.im2col.reference(x, window), col)
    u = np.random.default_rng(1).standard_normal(col.shape).astype(x.dtype)
    back = gpu.numpy(twins.col2im(gpu.array(u), x.shape[2:], window))
    same(kernels.col2im.reference(u, x.shape[2:], window), back)
    return col, u, back


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_on_the_gpu(gpu, geometry, dtype):
    sizes, kernel, stride, padding, dilation, _ = geometry
    window = Window(kernel, stride, tuple((p, p) for p in padding), dilation)
    check(gpu, draw(sizes, dtype, "special"), window)
    x = draw(sizes, dtype, "normal")
    col, u, back = check(gpu, x, window)
    inner = (col.astype(float) * u).sum()
    assert inner == pytest.approx((x.astype(float) * back).sum(), rel=1e-4, abs=1e-4)         # adjoint to one another


@pytest.mark.parametrize("seed", range(40))
def test_random_columns_on_the_gpu(gpu, seed):
    rng = np.random.default_rng(seed)
    sizes, window, _ = random_geometry(rng)
    check(gpu, draw(sizes, "float32", ("normal", "special")[seed % 2], *rng.integers(1, 4, 2).tolist()), window)


def test_borders_that_differ_and_pixels_that_nothing_reaches(gpu):
    x = draw((9, 8), "float32", "normal")
    check(gpu, x, Window((2, 1), (4, 3), ((0, 1), (2, 0)), (1, 1)))
    check(gpu, x, Window((2, 2), (2, 2), ((5, 0), (0, 4)), (3, 1)))


def test_columns_of_any_layout(gpu):
    x, window = draw((6, 7), "float32", "normal", 4, 3), Window((3, 2), (2, 1), ((1, 1), (0, 1)), (1, 1))
    for view in (x[::2], x[:, ::-1], x.transpose(1, 0, 3, 2), np.broadcast_to(x[:1, :1], x.shape)):
        check(gpu, view, window)


def test_threads_in_any_order_copy_alike(monkeypatch):
    x, window = draw((9, 8), "float32", "normal"), Window((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1))
    results = []
    for order in (0, 1, 7):
        monkeypatch.setattr(HostModule, "order", order)
        with emulated():
            col = twins.im2col(x, window)
            results.append((col, twins.col2im(col, (9, 8), window)))
    for col, back in results[1:]:
        np.testing.assert_array_equal(col, results[0][0])
        np.testing.assert_array_equal(back, results[0][1])


def test_columns_left_to_the_reference():
    window = Window((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    assert twins.im2col(np.ones((1, 2, 4, 4), int), window) is NotImplemented
    assert twins.im2col(np.ones((0, 2, 4, 4), "f"), window) is NotImplemented
    assert twins.col2im(np.ones((1, 2, 2, 2, 3, 3), np.float16), (4, 4), window) is NotImplemented
