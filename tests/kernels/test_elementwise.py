"""The compiled rectifier and mask against their references, at the points where they could differ."""

import numpy as np
import pytest

from tests.kernels.threads import some_threads
from tinyvision.kernels import elementwise
from tinyvision.kernels.registry import use_kernels

pytest.importorskip("numba")
NAN, INF = np.nan, np.inf
SIZES = [1, 3, 17, 1000, 4099]


@pytest.fixture(params=[1, 2])
def threads(request):
    with some_threads(request.param):
        yield request.param


def both(name, *args):
    """The results of the reference and of the compiled twin, which must not decline."""
    from tinyvision.kernels.cpu import elementwise as compiled
    with use_kernels("compiled"), np.errstate(invalid="ignore"):
        y = getattr(compiled, name)(*args)
        assert y is not NotImplemented
        np.testing.assert_array_equal(y, getattr(elementwise, name)(*args))
        return getattr(elementwise, name).reference(*args), y


def same(wanted, y):
    assert y.dtype == wanted.dtype and y.shape == wanted.shape
    np.testing.assert_array_equal(y, wanted)


def numbers(dtype, *shape):
    """Random numbers with zeros of both signs, infinities and NaN among them."""
    rng = np.random.default_rng(sum(shape))
    x = rng.standard_normal(shape).astype(dtype)
    special = rng.random(shape) < 0.3
    x[special] = rng.choice([0.0, -0.0, INF, -INF, NAN], special.sum())
    return x


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("slope", [0, 0.1, 1, 2.5, -0.5])
def test_rectifier(size, dtype, slope, threads):
    x, g = numbers(dtype, size), numbers(dtype, 1, size)[0]
    same(*both("rectify", x, slope))
    same(*both("rectify_grad", g, x, slope))


@pytest.mark.parametrize("x, y, slope_there", [(NAN, NAN, 0), (0.0, 0, 0), (-0.0, 0, 0), (INF, INF, 1), (-INF, 0, 0), (-3, 0, 0),
                                               (2, 2, 1)])
def test_relu_at_the_awkward_points(x, y, slope_there):
    x = np.full(5, x, np.float32)
    with use_kernels("compiled"):
        same(np.full(5, y, np.float32), elementwise.rectify(x))
        same(np.full(5, 3 * slope_there, np.float32), elementwise.rectify_grad(np.full(5, 3, np.float32), x))


def test_infinity_times_a_slope_of_zero_is_no_number():
    with use_kernels("compiled"):
        g = elementwise.rectify_grad(np.array([INF, INF, NAN], "f"), np.array([-1, 1, -1], "f"))
    np.testing.assert_array_equal(g, [NAN, INF, NAN])


@pytest.mark.parametrize("shape, mask", [((7,), (7,)), ((5, 3, 4), (5, 3, 4)), ((5, 3, 4, 2), (5, 3, 1, 1)), ((4, 300), (4, 1)),
                                         ((1, 1, 9), (1, 1, 1)), ((6, 1), (6, 1))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mask(shape, mask, dtype, threads):
    keep = np.random.default_rng(1).random(mask) < 0.6
    same(*both("masked", numbers(dtype, *shape), keep, 1 / 0.6))


def test_any_layout():
    """What is not in one piece is computed all the same; a gradient may be one number, repeated."""
    x, keep = numbers("float32", 6, 8, 5), np.random.default_rng(2).random((6, 8, 5)) < 0.5
    views = [x[:, ::2], x[::-1], x.transpose(2, 0, 1), np.broadcast_to(x[:1], x.shape)]
    with use_kernels("compiled"), np.errstate(invalid="ignore"):
        for view in views:
            same(np.maximum(view, 0), elementwise.rectify(view))
            g = np.resize(numbers("float32", 61), view.shape)
            same(g * (view > 0), elementwise.rectify_grad(g, view))
        once = np.broadcast_to(np.float32(0.5), x.shape)
        same(once * (x > 0), elementwise.rectify_grad(once, x))
        same(x[::-1] * (keep * np.float32(2)), elementwise.masked(x[::-1], keep, 2.0))
        same(x * (keep[:, ::-1] * np.float32(2)), elementwise.masked(x, keep[:, ::-1], 2.0))
        same(x * (keep[:1] * np.float32(2)), elementwise.masked(x, keep[:1], 2.0))            # a mask for all pictures


@pytest.mark.parametrize("dtype", ["float16", "int64"])
@pytest.mark.parametrize("shape", [(3, 4), (0, 4)])
def test_what_is_declined_works_too(dtype, shape):
    x = np.random.default_rng(3).integers(-3, 4, shape).astype(dtype)
    with use_kernels("compiled"):
        same(np.maximum(x, 0), elementwise.rectify(x))
        same(x * (x > 0), elementwise.rectify_grad(x, x))


def test_inputs_are_not_written_to():
    x = numbers("float32", 50)
    x.flags.writeable = False
    with use_kernels("compiled"), np.errstate(invalid="ignore"):
        for y in (elementwise.rectify(x), elementwise.rectify_grad(x, x), elementwise.masked(x, x > 0, 2.0)):
            assert not np.shares_memory(x, y) and y.flags.writeable
