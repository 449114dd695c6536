"""The CUDA sources of pooling against the reference: values, taps and moves bit for bit, sums to rounding errors."""

import numpy as np
import pytest

from tests.kernels.test_pool import GEOMETRIES, draw, random_geometry, same, window_of
from tinyvision.kernels import pool
from tinyvision.kernels.cuda import pool as twins
from tinyvision.kernels.window import Window

from .emulate import HostModule, emulated


def on(gpu, name, *args):
    """The result of a twin, which must not decline, as NumPy arrays."""
    y = getattr(twins, name)(*[gpu.array(a) if isinstance(a, np.ndarray) else a for a in args])
    assert y is not NotImplemented
    return tuple(map(gpu.numpy, y)) if isinstance(y, tuple) else gpu.numpy(y)


def agree(gpu, name, *args, ulps=0):
    same(getattr(pool, name).reference(*args), on(gpu, name, *args), ulps)


def check(gpu, x, window, out):
    sizes = x.shape[2:]
    (y, tap), (cy, ctap) = pool.window_max.reference(x, window, out), on(gpu, "window_max", x, window, out)
    same(y, cy)
    assert ctap.dtype == tap.dtype
    np.testing.assert_array_equal(ctap, tap)
    np.testing.assert_array_equal(np.signbit(cy[cy == 0]), np.signbit(y[y == 0]))             # the first of the zeros
    if np.prod(window.size) < 128:
        for expected, found in zip(pool.window_max_relu.reference(x, window, out), on(gpu, "window_max_relu", x, window, out)):
            same(expected, found)
            assert found.dtype == expected.dtype
    g = np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype)
    agree(gpu, "scatter_taps", g, pool.window_max_relu.reference(x, window, out)[1], window, sizes)
    index = pool.tap_index(tap, window, sizes)
    agree(gpu, "scatter_taps", g, tap, window, sizes)
    agree(gpu, "window_spread", g, window, sizes)
    agree(gpu, "gather", x, index)
    agree(gpu, "scatter_add", g, index, sizes)
    agree(gpu, "scatter", g, index, sizes)
    near(on(gpu, "window_sum", x, window, out), x, lambda x: pool.window_sum.reference(x, window, out))


def near(y, x, total):
    """Sums within 40 units of rounding of the sum of sizes, and no numbers in the same places."""
    with np.errstate(invalid="ignore"):
        exact, size = total(x.astype(float)), total(np.abs(x).astype(float))
    assert y.dtype == x.dtype and y.shape == exact.shape
    there = np.isfinite(exact)
    np.testing.assert_array_equal(y[~there], exact[~there])
    assert (np.abs(y[there] - exact[there]) <= 40 * np.finfo(x.dtype).eps * size[there]).all()


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pooling_on_the_gpu(gpu, geometry, dtype):
    window, out = window_of(*geometry)
    for kind in ("normal", "ties", "special"):
        check(gpu, draw(geometry[0], dtype, kind), window, out)


@pytest.mark.parametrize("seed", range(60))
def test_random_poolings_on_the_gpu(gpu, seed):
    rng = np.random.default_rng(seed)
    sizes, window, out = random_geometry(rng)
    check(gpu, draw(sizes, "float32", ("normal", "ties", "special")[seed % 3], *rng.integers(1, 4, 2).tolist()), window, out)


FIXED = sorted(twins.FIXED)


@pytest.mark.parametrize("taps, stride", FIXED)
@pytest.mark.parametrize("pad", [0, 1])
def test_windows_with_kernels_of_their_own(gpu, taps, stride, pad):
    """Even and odd sizes, windows that hang over the end: pairs of pixels are written together or one by one."""
    axes = slice(3 - sum(k > 1 for k in taps), 3)
    for sizes in ((4, 6, 10), (5, 7, 9), (3, 4, 7)):
        for ceil_mode in (False, True):
            n = len(taps[axes])
            window, out = window_of(sizes[axes], taps[axes], stride[axes], (pad,) * n, (1,) * n, ceil_mode)
            check(gpu, draw(sizes[axes], "float32", "special"), window, out)


@pytest.mark.parametrize("sizes, out", [((8,), (3,)), ((7, 5), (3, 5)), ((7, 5), (14, 1)), ((4, 6, 5), (2, 4, 7)), ((6, 6), (6, 6)),
                                        ((1, 1), (3, 2)), ((7, 7), (1, 1)), ((49, 50), (1, 1)), ((70, 90), (2, 1))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adaptive_sums_on_the_gpu(gpu, sizes, out, dtype):
    """Thread, warp and block per window."""
    x = draw(sizes, dtype, "special")
    near(on(gpu, "adaptive_sum", x, out), x, lambda x: pool.adaptive_sum.reference(x, out))


@pytest.mark.parametrize("kernel", [(6, 6), (40, 60)])
def test_sums_over_large_windows(gpu, kernel):
    x, window = draw((45, 64), "float32", "normal"), Window(kernel, (3, 2), ((2, 2), (3, 3)), (1, 1))
    out = window.output((45, 64))
    near(on(gpu, "window_sum", x, window, out), x, lambda x: pool.window_sum.reference(x, window, out))


def test_indices_that_repeat(gpu):
    """Sums in the order of the positions, the last one where only one can stay; over several tiles of a block."""
    rng = np.random.default_rng(0)
    for O in (1, 255, 256, 700):
        index, g = rng.integers(0, 40, (2, 3, O)), rng.standard_normal((2, 3, O)).astype("f")
        index[0, 0] = 7
        for numbers in (index, index.astype(np.int32), index.astype(np.uint8)):
            agree(gpu, "scatter_add", g, numbers, (5, 9))
            agree(gpu, "scatter", g, numbers, (5, 9))


def test_indices_outside_are_never_followed(gpu):
    index = np.array([[[3, 1 << 40, -1, 6]]])
    u = np.arange(1, 5, dtype="f").reshape(1, 1, 4)
    np.testing.assert_array_equal(on(gpu, "gather", np.arange(6, dtype="f").reshape(1, 1, 2, 3), index), [[[3, np.nan, np.nan, np.nan]]])
    for name in ("scatter_add", "scatter"):
        np.testing.assert_array_equal(on(gpu, name, u, index, (6,)), [[[0, 0, 0, 1, 0, 0]]])


def test_gradients_that_are_not_finite_stay_where_they_are(gpu):
    g, tap = np.array([[[[np.nan, np.inf]]]], "f"), np.array([[[[3, 0]]]], np.uint8)
    x = on(gpu, "scatter_taps", g, tap, Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)), (3, 5))
    np.testing.assert_array_equal(x[0, 0], [[0, 0, np.inf, 0, 0], [0, np.nan, 0, 0, 0], [0, 0, 0, 0, 0]])


@pytest.mark.parametrize("stride", [1, 2])
def test_pooling_of_any_layout(gpu, stride):
    x, window = draw((8, 12), "float32", "normal", 4, 6), Window((3, 3), (stride,) * 2, ((1, 1), (1, 1)), (1, 1))
    for view in (x[::2], x[:, ::-1], x.transpose(1, 0, 3, 2), np.broadcast_to(x[:1, :1], x.shape)):
        check(gpu, view, window, window.output(view.shape[2:]))


@pytest.mark.parametrize("seed", range(6))
def test_threads_in_any_order_pool_the_same_bits(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    sizes, window, out = random_geometry(rng)
    x, index = draw(sizes, "float32", "special"), rng.integers(0, np.prod(sizes), (2, 3, 300))
    g, u = (rng.standard_normal(s).astype("f") for s in ((2, 3, *out), index.shape))
    with emulated():
        results = []
        for order in (0, 1, 7):
            monkeypatch.setattr(HostModule, "order", order)
            y, tap = twins.window_max(x, window, out)
            results.append([y, tap, twins.scatter_taps(g, tap, window, sizes), twins.window_spread(g, window, sizes),
                            twins.window_sum(x, window, out), twins.adaptive_sum(g, (1,) * len(sizes)), twins.gather(x, index),
                            twins.scatter_add(u, index, sizes), twins.scatter(u, index, sizes)])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


def test_poolings_left_to_the_reference():
    window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    whole, index = np.ones((1, 2, 4, 4), int), np.zeros((1, 2, 5000), int)
    assert twins.window_max(whole, window, (2, 2)) is NotImplemented
    assert twins.window_sum(whole.astype(np.float16), window, (2, 2)) is NotImplemented
    assert twins.window_max(np.ones((0, 2, 4, 4), "f"), window, (2, 2)) is NotImplemented
    assert twins.scatter_add(np.ones(index.shape, "f"), index, (9,)) is NotImplemented
