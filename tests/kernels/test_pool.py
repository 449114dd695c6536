"""The compiled pooling against its reference: values, taps and gathers bit for bit, sums to rounding errors."""

import numpy as np
import pytest

from tests.kernels.threads import some_threads
from tinyvision.kernels import pool
from tinyvision.kernels.registry import use_kernels
from tinyvision.kernels.window import Window

pytest.importorskip("numba")
NAN, INF = np.nan, np.inf

GEOMETRIES = [  # sizes, kernel, stride, padding, dilation, ceil_mode
    ((8, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((9, 7), (2, 2), (2, 2), (0, 0), (1, 1), False),      # a row and a column that no window meets
    ((9, 7), (2, 2), (2, 2), (0, 0), (1, 1), True),       # windows that hang over the end
    ((2, 2), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((70, 66), (2, 2), (2, 2), (0, 0), (1, 1), False),    # rows longer than a vector
    ((8, 6), (2, 2), (2, 2), (1, 1), (1, 1), False),
    ((9, 40), (3, 3), (2, 2), (1, 1), (1, 1), False),
    ((9, 70), (3, 3), (1, 1), (1, 1), (1, 1), False),
    ((7, 5), (3, 2), (1, 3), (1, 0), (2, 1), False),
    ((7, 5), (3, 2), (3, 2), (1, 1), (1, 2), True),
    ((10, 9), (5, 4), (4, 3), (2, 2), (2, 2), False),
    ((15, 14), (14, 13), (1, 1), (0, 0), (1, 1), False),  # as many as a byte can count, but not twice as many
    ((20, 20), (17, 16), (1, 1), (0, 3), (1, 1), False),  # more taps than a byte can count
    ((1, 1), (1, 1), (1, 1), (0, 0), (1, 1), False),
    ((11,), (2,), (2,), (0,), (1,), False),
    ((40,), (3,), (2,), (1,), (2,), True),
    ((4, 5, 6), (2, 2, 2), (2, 2, 2), (0, 0, 0), (1, 1, 1), False),
    ((4, 5, 6), (2, 3, 2), (1, 2, 3), (1, 1, 0), (2, 1, 1), False),
]


@pytest.fixture(params=[1, 2])
def threads(request):
    with some_threads(request.param):
        yield request.param


def both(name, *args):
    """The results of the reference and of the compiled twin, which must not decline."""
    from tinyvision.kernels.cpu import pool as compiled
    with use_kernels("reference"):
        wanted = getattr(pool, name)(*args)
    with use_kernels("compiled"):
        y = getattr(compiled, name)(*args)
    assert y is not NotImplemented
    return wanted, y


def same(wanted, y, ulps=0):
    assert y.dtype == wanted.dtype and y.shape == wanted.shape
    error = ulps * np.finfo(y.dtype).eps if ulps else 0
    np.testing.assert_allclose(y, wanted, rtol=error, atol=error)


def draw(sizes, dtype, kind, N=2, C=3):
    rng = np.random.default_rng(sum(sizes))
    x = rng.standard_normal((N, C, *sizes)).astype(dtype)
    if kind == "ties":
        x = np.round(x)
        x[x == 0] = rng.choice([0.0, -0.0], (x == 0).sum())
    if kind == "special":
        there = rng.random(x.shape) < 0.4
        x[there] = rng.choice([NAN, INF, -INF], there.sum())
        x[0, 0], x[-1, -1] = -INF, NAN
    return x


def window_of(sizes, kernel, stride, padding, dilation, ceil_mode):
    window = Window(kernel, stride, tuple((p, p) for p in padding), dilation)
    return window, window.output(sizes, ceil_mode)


def check_maximum(x, window, out):
    sizes = x.shape[2:]
    (y, tap), (cy, ctap) = both("window_max", x, window, out)
    same(y, cy)
    assert ctap.dtype == tap.dtype
    np.testing.assert_array_equal(ctap, tap)
    np.testing.assert_array_equal(np.signbit(cy[cy == 0]), np.signbit(y[y == 0]))             # the first of the zeros
    g = np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype)
    same(*both("scatter_taps", g, tap, window, sizes))
    index = pool.tap_index(tap, window, sizes)
    same(*both("gather", x, index))
    same(y, pool.gather(x, index))
    same(*both("scatter_add", g, index, sizes))
    same(*both("scatter", g, index, sizes))


def check_sums(x, window, out):
    g = np.random.default_rng(2).standard_normal(x.shape[:2] + out).astype(x.dtype)
    with np.errstate(invalid="ignore"):
        same(*both("window_sum", x, window, out), ulps=8)
    same(*both("window_spread", g, window, x.shape[2:]), ulps=8)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_twins_agree(geometry, dtype, threads):
    window, out = window_of(*geometry)
    for kind in ("normal", "ties", "special"):
        check_maximum(draw(geometry[0], dtype, kind), window, out)
        check_sums(draw(geometry[0], dtype, kind), window, out)


@pytest.mark.parametrize("width", [*range(2, 20), 31, 32, 33, 47, 64, 67])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_any_length_in_vectors(width, dtype):
    window, out = window_of((5, width), (2, 2), (2, 2), (0, 0), (1, 1), False)
    for kind in ("normal", "ties", "special"):
        x = draw((5, width), dtype, kind)
        check_maximum(x, window, out)
        check_rectified(x, window, out)


def check_rectified(x, window, out):
    """The maximum with a ReLU: cut off at 0, and a tap of no pixel wherever it is not above 0."""
    (y, tap), (cy, ctap) = both("window_max_relu", x, window, out)
    same(y, cy)
    np.testing.assert_array_equal(ctap, tap)
    assert not np.signbit(cy[cy == 0]).any()
    maxima, winner = pool.window_max.reference(x, window, out)
    np.testing.assert_array_equal(y, np.where(maxima <= 0, 0, maxima))
    np.testing.assert_array_equal(tap, np.where(maxima > 0, winner, winner + 4))
    g = np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype)
    same(*both("scatter_taps", g, tap, window, x.shape[2:]))
    same(pool.scatter_taps(g * (maxima > 0), winner, window, x.shape[2:]), pool.scatter_taps(g, tap, window, x.shape[2:]))


def test_other_windows_are_left_to_two_kernels():
    from tinyvision.kernels.cpu import pool as compiled
    x = draw((6, 6), "float32", "normal")
    for window in (Window((3, 3), (2, 2), ((0, 0), (0, 0)), (1, 1)), Window((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))):
        out = window.output((6, 6))
        assert compiled.window_max_relu(x, window, out) is NotImplemented and not pool.in_fours(window, (6, 6), out)
        y, tap = pool.window_max_relu(x, window, out)
        maxima, winner = pool.window_max(x, window, out)
        np.testing.assert_array_equal(y, np.maximum(maxima, 0))
        np.testing.assert_array_equal(tap, np.where(maxima > 0, winner, winner + np.prod(window.size)))
        g = np.ones_like(y)
        same(*both("scatter_taps", g, tap, window, (6, 6)))
        same(pool.scatter_taps(g * (maxima > 0), winner, window, (6, 6)), pool.scatter_taps(g, tap, window, (6, 6)))


def random_geometry(rng):
    """Sizes, a window over them that meets a pixel everywhere, and its positions."""
    while True:
        n = int(rng.integers(1, 4))
        kernel, stride, dilation = (tuple(rng.integers(1, most, n).tolist()) for most in (5, 4, 3))
        padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
        sizes = tuple(rng.integers(1, 13, n).tolist())
        window, out = window_of(sizes, kernel, stride, padding, dilation, bool(rng.integers(2)))
        fits = all(span <= h for span, h in zip(window.span, window.padded(sizes)))
        if fits and min(out) > 0 and pool.meets_image(window, sizes, out):
            return sizes, window, out


@pytest.mark.parametrize("seed", range(60))
def test_twins_agree_on_random_geometries(seed):
    rng = np.random.default_rng(seed)
    sizes, window, out = random_geometry(rng)
    kind = ("normal", "ties", "special")[seed % 3]
    x = draw(sizes, "float32", kind, *rng.integers(1, 4, 2).tolist())
    check_maximum(x, window, out)
    check_sums(x, window, out)


@pytest.mark.parametrize("sizes, out", [((8,), (3,)), ((7, 5), (3, 5)), ((7, 5), (14, 1)), ((4, 6, 5), (2, 4, 7)),
                                        ((6, 6), (6, 6)), ((1, 1), (3, 2))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adaptive_sums_agree(sizes, out, dtype, threads):
    same(*both("adaptive_sum", draw(sizes, dtype, "normal"), out), ulps=16)


def test_the_last_no_number_and_the_first_of_equals_win():
    x = np.array([[[[1, 1, 5, NAN, 2, 9], [1, 1, NAN, 7, 9, 9]]]], "f")
    window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    with use_kernels("compiled"):
        y, tap = pool.window_max(x, window, (1, 3))
    np.testing.assert_array_equal(y[0, 0, 0], [1, NAN, 9])
    np.testing.assert_array_equal(tap[0, 0, 0], [0, 2, 1])


def test_the_gradient_of_a_maximum_that_is_not_finite_stays_where_it_is():
    window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    g, tap = np.array([[[[NAN, INF]]]], "f"), np.array([[[[3, 0]]]], np.uint8)
    with use_kernels("compiled"):
        x = pool.scatter_taps(g, tap, window, (3, 5))
    np.testing.assert_array_equal(x[0, 0], [[0, 0, INF, 0, 0], [0, NAN, 0, 0, 0], [0, 0, 0, 0, 0]])


@pytest.mark.parametrize("window", [Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)),
                                    Window((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1))])
def test_any_layout_and_read_only(window):
    x = draw((8, 12), "float32", "normal", 4, 6)
    x.flags.writeable = False
    for view in (x, x[::2], x[:, ::-1], x[..., ::-1], x.transpose(1, 0, 3, 2), np.broadcast_to(x[:1, :1], x.shape)):
        check_maximum(view, window, window.output(view.shape[2:]))
        check_sums(view, window, window.output(view.shape[2:]))
    once = np.broadcast_to(np.float32(0.5), x.shape[:2] + window.output((8, 12)))
    same(*both("window_spread", once, window, (8, 12)), ulps=8)


@pytest.mark.parametrize("dtype", ["float16", "int64", "uint8"])
def test_other_numbers_are_left_to_the_reference(dtype):
    x = np.random.default_rng(0).integers(0, 9, (2, 2, 5, 6)).astype(dtype)
    window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    with use_kernels("compiled"):
        y, tap = pool.window_max(x, window, (2, 3))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x[:, :, :4].reshape(2, 2, 2, 2, 3, 2).max(axis=(3, 5)))


def test_empty_arrays():
    window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    x = np.zeros((0, 3, 4, 4), "f")
    with use_kernels("compiled"):
        y, tap = pool.window_max(x, window, (2, 2))
        assert y.shape == tap.shape == (0, 3, 2, 2)
        assert pool.scatter_taps(y, tap, window, (4, 4)).shape == x.shape
        assert pool.window_sum(x, window, (2, 2)).shape == y.shape
        assert pool.window_spread(y, window, (4, 4)).shape == x.shape
        assert pool.adaptive_sum(x, (3, 3)).shape == (0, 3, 3, 3)


@pytest.mark.parametrize("where", [16, 1 << 40])
def test_indices_outside_are_refused_as_by_numpy(where, threads):
    index = np.zeros((1, 3, 2, 2), np.int64)
    index[0, 2, 1, 1] = where
    with use_kernels("compiled"):
        for call in (lambda: pool.gather(np.zeros((1, 3, 4, 4), "f"), index),
                     lambda: pool.scatter(np.zeros((1, 3, 2, 2), "f"), index, (4, 4)),
                     lambda: pool.scatter_add(np.zeros((1, 3, 2, 2), "f"), index, (4, 4))):
            with pytest.raises(IndexError):
                call()
