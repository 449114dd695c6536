"""The CUDA sources of tables, of pixels by index and of sorting, against the reference and against NumPy."""

import numpy as np
import pytest

from tests.kernels.test_resample import entries
from tinyvision.kernels import resample
from tinyvision.kernels.cuda import resample as twins
from tinyvision.kernels.cuda.sort import TILE, ordered
from tinyvision.kernels.resample import Table

from .emulate import HostModule, emulated


def agree(gpu, name, *args, ulps=0):
    """The twin must take these arguments and agree with the reference; sums to some units of rounding."""
    y = getattr(twins, name)(*[gpu.array(a) if isinstance(a, np.ndarray) else a for a in args])
    assert y is not NotImplemented
    y, wanted = gpu.numpy(y), getattr(resample, name).reference(*args)
    assert y.dtype == wanted.dtype and y.shape == wanted.shape
    error = ulps * np.finfo(y.dtype).eps
    np.testing.assert_allclose(y, wanted, rtol=error, atol=error)
    return y


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@pytest.mark.parametrize("O, count", [(8, 3), (8, 30), (1, 2), (40, 100), (4, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("last", [33, 8])
def test_tables_on_the_gpu(gpu, axis, O, count, dtype, last):
    rng = np.random.default_rng(axis + O + count)
    x = rng.standard_normal((3, 4, 5, last)).astype(dtype)
    I = x.shape[axis]
    row, column, weight = entries(rng, O, I, count)
    table = Table.of(row, column, weight.astype(dtype), (O, I))
    y = rng.standard_normal(x.shape[:axis] + (O,) + x.shape[axis + 1:]).astype(dtype)
    agree(gpu, "apply_table", x, table, axis, ulps=64)
    agree(gpu, "apply_table", y, table.T, axis, ulps=64)


@pytest.mark.parametrize("axis", [0, 1])
def test_copies_move_everything_as_it_is(gpu, axis):
    x = np.random.default_rng(3).standard_normal((6, 6)).astype(np.float32)
    x[::2, ::2] = [[np.nan, np.inf, -0.0]] * 3
    y = agree(gpu, "apply_table", x, Table(np.array([[5], [0], [0], [3], [6]]), np.ones((5, 1)), 6), axis)
    np.testing.assert_array_equal(np.signbit(y.take([1, 3], axis)), np.signbit(x.take([0, 3], axis)))


@pytest.mark.parametrize("x", [np.array([1.0, np.inf, 2.0, np.nan], np.float32),
                               np.array([[1.0, 2], [np.inf, 0], [2, 3], [np.nan, 1]])])
def test_taps_that_are_not_there_read_nothing(gpu, x):
    table = Table.of(np.array([0, 0, 1]), np.array([0, 1, 2]), np.ones(3, x.dtype), (3, 4))
    agree(gpu, "apply_table", x, table, 0)
    gap = Table(np.array([[4, 0], [2, 4], [4, 4]]), np.ones((3, 2), x.dtype), 4)              # the first tap is not there
    agree(gpu, "apply_table", x, gap, 0)


def test_tables_for_any_layout(gpu):
    x = np.random.default_rng(4).standard_normal((6, 5, 8)).astype(np.float32)
    table = Table.of(np.array([0, 1, 1, 2]), np.array([0, 1, 4, 3]), np.array([1, 0.5, 0.25, 2], np.float32), (3, 5))
    for view in (x, x[::-1], x[..., ::2], np.broadcast_to(x[:1], x.shape)):
        agree(gpu, "apply_table", view, table, 1, ulps=4)
    agree(gpu, "apply_table", x.transpose(2, 0, 1), table, 2, ulps=4)
    base = gpu.array(np.arange(50, dtype="f"))                                        # in one piece, but not at 16 bytes
    y = twins.apply_table(base[1:41].reshape(5, 8), table, 0)
    right = resample.apply_table.reference(np.arange(1, 41, dtype="f").reshape(5, 8), table, 0)
    np.testing.assert_array_equal(gpu.numpy(y), right)


def test_the_entries_of_a_table_are_kept_and_go_with_it(gpu):
    table, x = Table(np.array([[2], [0]]), np.full((2, 1), 0.5), 3), gpu.array(np.ones(3, "f"))
    first = twins.entries_of(table, x)
    assert all(a is b for a, b in zip(twins.entries_of(table, x), first))
    assert twins.entries_of(table, gpu.array(np.ones(3)))[2].dtype == np.float64
    count = len(twins.entries)
    del table
    assert len(twins.entries) == count - 1


SIZES = [(2, 3, 5, 7), (1, 1, 1, 40), (3, 2, 60, 1), (1, 4, 8, 3000), (2, 9, 300, 700), (1, 2, 70_000, 90)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("N, C, P, Q", SIZES)
@pytest.mark.parametrize("kind", [np.int64, np.int32])
def test_gather_and_scatter_bit_for_bit(gpu, N, C, P, Q, dtype, kind):
    rng = np.random.default_rng(5)
    index, g = rng.integers(0, P, (N, Q)).astype(kind), rng.standard_normal((N, C, Q)).astype(dtype)
    agree(gpu, "gather_pixels", rng.standard_normal((N, C, P)).astype(dtype), index)
    agree(gpu, "scatter_pixels", g, index, P)


def test_pixels_of_any_layout(gpu):
    rng = np.random.default_rng(6)
    index, g = rng.integers(0, 9, (2, 7)), rng.standard_normal((2, 3, 7)).astype("f")
    agree(gpu, "gather_pixels", rng.standard_normal((2, 9, 3)).astype("f").swapaxes(1, 2), index[:, ::-1])
    agree(gpu, "scatter_pixels", g[..., ::-1], index[:, ::-1], 12)


def test_pixels_outside_are_never_followed(gpu):
    index = np.array([[3, 1 << 40, -1, 6]])
    x, g = np.arange(6, dtype="f").reshape(1, 1, 6), np.arange(1, 5, dtype="f").reshape(1, 1, 4)
    np.testing.assert_array_equal(gpu.numpy(twins.gather_pixels(gpu.array(x), gpu.array(index))), [[[3, np.nan, np.nan, np.nan]]])
    np.testing.assert_array_equal(gpu.numpy(twins.scatter_pixels(gpu.array(g), gpu.array(index), 6)), [[[0, 0, 0, 1, 0, 0]]])


@pytest.mark.parametrize("N, Q, P", [(1, 1, 1), (3, TILE, 2), (2, TILE + 1, 255), (1, 2 * TILE + 77, 256), (1, 3000, 1 << 20),
                                     (2, 500, (1 << 31) - 2)])
def test_sorting(gpu, N, Q, P):
    index = np.random.default_rng(Q).integers(0, P, (N, Q))
    index[0, :Q // 3] = index[0, 0]                                                   # many that are equal
    order, key = map(gpu.numpy, ordered(gpu.array(index), P))
    np.testing.assert_array_equal(order, np.argsort(index, axis=1, kind="stable"))
    np.testing.assert_array_equal(key, np.sort(index, axis=1))


def test_threads_in_any_order_sort_alike(monkeypatch):
    rng = np.random.default_rng(7)
    index, g = rng.integers(0, 300, (2, TILE + 50)), rng.standard_normal((2, 5, TILE + 50)).astype("f")
    results = []
    for order in (0, 1, 7):
        monkeypatch.setattr(HostModule, "order", order)
        with emulated():
            results.append([*ordered(index, 300), twins.scatter_pixels(g, index, 300)])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


def test_resampling_left_to_the_reference():
    x, table = np.ones((2, 3, 4), "f"), Table(np.array([[2], [0]]), np.ones((2, 1)), 4)
    assert twins.apply_table(x.astype(int), table, 2) is NotImplemented
    assert twins.apply_table(x[:0], table, 2) is NotImplemented
    assert twins.gather_pixels(x, np.zeros((2, 3))) is NotImplemented
    assert twins.scatter_pixels(x.astype(np.float16), np.zeros((2, 4), int), 5) is NotImplemented
    assert twins.scatter_pixels(x[..., :0], np.zeros((2, 0), int), 5) is NotImplemented
