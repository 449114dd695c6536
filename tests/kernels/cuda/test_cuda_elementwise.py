"""The CUDA sources of the rectifier and of dropout's product against the reference: bit for bit, at the points that matter."""

import numpy as np
import pytest

from tests.kernels.test_elementwise import INF, NAN, SIZES, numbers
from tinyvision.kernels import elementwise
from tinyvision.kernels.cuda import elementwise as twins


def same(gpu, name, *args):
    y = getattr(twins, name)(*[gpu.array(a) if isinstance(a, np.ndarray) else a for a in args])
    assert y is not NotImplemented
    with np.errstate(invalid="ignore"):
        wanted = getattr(elementwise, name).reference(*args)
    y = gpu.numpy(y)
    assert y.dtype == wanted.dtype and y.shape == wanted.shape
    np.testing.assert_array_equal(y, wanted)
    return y


@pytest.mark.parametrize("size", [*SIZES, 4, 1024])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("slope", [0, 0.1, 1, 2.5, -0.5])
def test_rectifier_on_the_gpu(gpu, size, dtype, slope):
    x, g = numbers(dtype, size), numbers(dtype, 1, size)[0]
    same(gpu, "rectify", x, slope)
    same(gpu, "rectify_grad", g, x, slope)


def test_awkward_points_on_the_gpu(gpu):
    x, y = np.array([NAN, 0, -0.0, INF, -INF, -3, 2], "f"), np.array([NAN, 0, 0, INF, 0, 0, 2], "f")
    np.testing.assert_array_equal(same(gpu, "rectify", x), y)
    np.testing.assert_array_equal(same(gpu, "rectify_grad", np.full(7, 3, "f"), x), [0, 0, 0, 3, 0, 0, 3])
    g, x = np.array([INF, INF, NAN], "f"), np.array([-1, 1, -1], "f")
    np.testing.assert_array_equal(same(gpu, "rectify_grad", g, x), [NAN, INF, NAN])


MASKS = [((7,), (7,)), ((5, 3, 4), (5, 3, 4)), ((5, 3, 4, 2), (5, 3, 1, 1)), ((4, 300), (4, 1)), ((1, 1, 9), (1, 1, 1)),
         ((6, 1), (6, 1)), ((6, 8, 5), (1, 8, 5)), ((6, 8, 5), (8, 5)), ((6, 8, 5), (1, 8, 1)), ((4, 1025), (4, 1025))]


@pytest.mark.parametrize("shape, mask", MASKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_masks_on_the_gpu(gpu, shape, mask, dtype):
    keep = np.random.default_rng(1).random(mask) < 0.6
    same(gpu, "masked", numbers(dtype, *shape), keep, 1 / 0.6)


def test_arrays_that_begin_anywhere(gpu):
    """Views that are in one piece but do not begin at 16 bytes, and views that are not in one piece."""
    base, keep = gpu.array(numbers("float32", 1100)), gpu.array(np.random.default_rng(2).random(1100) < 0.5)
    for start in range(5):
        x, k = base[start:start + 1030], keep[start + 1:start + 1031]
        with np.errstate(invalid="ignore"):
            for name, args in (("rectify", (x,)), ("rectify_grad", (x, base[1:1031])), ("masked", (x, k, 2.0))):
                wanted = getattr(elementwise, name).reference(*[gpu.numpy(a) if hasattr(a, "shape") else a for a in args])
                np.testing.assert_array_equal(gpu.numpy(getattr(twins, name)(*args)), wanted)
    x, keep = numbers("float32", 6, 8, 5), np.random.default_rng(2).random((6, 8, 5)) < 0.5
    for view in (x[:, ::2], x[::-1], x.transpose(2, 0, 1), np.broadcast_to(x[:1], x.shape)):
        same(gpu, "rectify", view)
        same(gpu, "rectify_grad", np.broadcast_to(np.float32(0.5), view.shape), view)
    same(gpu, "masked", x[::-1], keep[:, ::-1], 2.0)


def test_elementwise_left_to_the_reference():
    x = np.ones((3, 4, 5), "f")
    assert twins.rectify(x.astype(int)) is NotImplemented
    assert twins.rectify(x[:0]) is NotImplemented
    assert twins.rectify_grad(x[:1], x) is NotImplemented
    assert twins.rectify_grad(x.astype("d"), x) is NotImplemented
    assert twins.masked(x, np.ones((3, 1, 5), bool), 2.0) is NotImplemented
    assert twins.masked(x, np.ones(x.shape, int), 2.0) is NotImplemented
