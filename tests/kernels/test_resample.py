"""Tables against the matrices they stand for, gather and scatter against loops, compiled twins against references."""

import numpy as np
import pytest

from tests.kernels.threads import some_threads
from tinyvision.kernels import resample
from tinyvision.kernels.registry import use_kernels
from tinyvision.kernels.resample import Table, apply_table, gather_pixels, scatter_pixels


def entries(rng, O, I, count):
    """Random entries, some rows and columns with many, some with none."""
    return rng.integers(0, O, count) ** 2 % O, rng.integers(0, I, count) ** 2 % I, rng.standard_normal(count)


def dense(row, column, weight, shape):
    matrix = np.zeros(shape)
    for o, i, w in zip(row, column, weight):
        matrix[o, i] += w
    return matrix


def matrix_of(table):
    """A column per input: what the table makes of a single 1."""
    return apply_table(np.eye(table.size), table, 0)


@pytest.mark.parametrize("O, I, count", [(5, 7, 20), (7, 3, 9), (40, 6, 30), (6, 40, 90), (1, 4, 3), (4, 1, 3), (3, 3, 0)])
def test_table_is_the_matrix_of_its_entries(O, I, count):
    rng = np.random.default_rng(O * I)
    row, column, weight = entries(rng, O, I, count)
    table, matrix = Table.of(row, column, weight, (O, I)), dense(row, column, weight, (O, I))
    np.testing.assert_allclose(matrix_of(table), matrix, atol=1e-14)
    np.testing.assert_allclose(matrix_of(table.T), matrix.T, atol=1e-14)
    np.testing.assert_array_equal(matrix_of(table.T.T), matrix_of(table))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@pytest.mark.parametrize("block", [1, 50, 1 << 20])
def test_apply_along_any_axis_in_blocks_of_any_size(axis, block, monkeypatch):
    monkeypatch.setattr(resample, "BLOCK", block)
    rng = np.random.default_rng(axis)
    x = rng.standard_normal((3, 4, 5, 6))
    I = x.shape[axis]
    row, column, weight = entries(rng, 8, I, 15)
    y = apply_table(x, Table.of(row, column, weight, (8, I)), axis)
    right = np.moveaxis(np.tensordot(dense(row, column, weight, (8, I)), x, (1, axis)), 0, axis)
    np.testing.assert_allclose(y, right, atol=1e-13)


def test_entries_at_one_place_add_up_and_zeros_are_left_out():
    table = Table.of(np.array([0, 0, 0, 1]), np.array([2, 2, 1, 0]), np.array([0.25, 0.5, 0.0, 1.0]), (2, 3))
    np.testing.assert_array_equal(table.index, [[2], [0]])
    np.testing.assert_array_equal(table.weight, [[0.75], [1.0]])


def test_a_tap_of_weight_zero_reads_nothing():
    """Row 0 has two taps, row 1 one, row 2 none: what fills them up meets no infinity."""
    table = Table.of(np.array([0, 0, 1]), np.array([0, 1, 2]), np.array([1.0, 1.0, 1.0]), (3, 4))
    x = np.array([1.0, np.inf, 2.0, np.nan])
    np.testing.assert_array_equal(apply_table(x, table, 0), [np.inf, 2.0, 0.0])
    np.testing.assert_array_equal(apply_table(np.array([np.inf, 3.0, np.nan]), table.T, 0), [np.inf, np.inf, 3.0, 0.0])


def test_few_long_rows_are_singled_out():
    """The adjoint of a wide border: one pixel collects 50 copies, and the others do not pay for it."""
    table = Table(np.array([0] * 50 + [*range(1, 100)])[:, None], np.ones((149, 1)), 100).T
    assert len(table.taps) == 50
    assert [len(index) for _, index, _ in table.taps] == [100] + [1] * 49
    np.testing.assert_array_equal(apply_table(np.ones(149), table, 0), [50.0] + [1.0] * 99)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8, bool])
def test_copies_keep_any_dtype(dtype):
    table = Table(np.array([[2], [0], [2]]), np.ones((3, 1), np.float32), 3)
    x = np.array([1, 0, 1]).astype(dtype)
    y = apply_table(x, table, 0)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x[[2, 0, 2]])


@pytest.mark.parametrize("N, C, P, Q", [(2, 3, 5, 7), (1, 1, 1, 4), (2, 2, 6, 1), (0, 2, 3, 4), (2, 3, 4, 0)])
def test_gather_and_scatter(N, C, P, Q):
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((N, C, P)), rng.standard_normal((N, C, Q)).astype(np.float32)
    index = rng.integers(0, P, (N, Q))
    y, back = gather_pixels(x, index), scatter_pixels(g, index, P)
    assert y.shape == g.shape and back.shape == x.shape and back.dtype == np.float32
    right = np.zeros((N, C, P))
    for n, c, q in np.ndindex(N, C, Q):
        assert y[n, c, q] == x[n, c, index[n, q]]
        right[n, c, index[n, q]] += g[n, c, q]
    np.testing.assert_allclose(back, right, atol=1e-6)


# --- compiled

@pytest.fixture(params=[1, 2])
def threads(request):
    pytest.importorskip("numba")
    with some_threads(request.param):
        yield request.param


def check(name, *args, ulps=0):
    """The compiled twin must take these arguments and agree with the reference."""
    from tinyvision.kernels.cpu import resample as compiled
    wanted = getattr(resample, name).reference(*args)
    with use_kernels("compiled"):
        y = getattr(compiled, name)(*args)
    assert y is not NotImplemented and y.dtype == wanted.dtype and y.shape == wanted.shape
    error = ulps * np.finfo(y.dtype).eps
    np.testing.assert_allclose(y, wanted, rtol=error, atol=error)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@pytest.mark.parametrize("O, count", [(8, 3), (8, 30), (1, 2), (40, 100)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_tables(axis, O, count, dtype, threads):
    rng = np.random.default_rng(axis + O + count)
    x = rng.standard_normal((3, 4, 5, 33)).astype(dtype)
    I = x.shape[axis]
    row, column, weight = entries(rng, O, I, count)
    table = Table.of(row, column, weight.astype(dtype), (O, I))
    y = rng.standard_normal(x.shape[:axis] + (O,) + x.shape[axis + 1:]).astype(dtype)
    check("apply_table", x, table, axis, ulps=64)
    check("apply_table", y, table.T, axis, ulps=64)


@pytest.mark.parametrize("axis", [0, 1])
def test_compiled_copies_move_everything_as_it_is(axis, threads):
    x = np.random.default_rng(3).standard_normal((6, 6)).astype(np.float32)
    x[::2, ::2] = [[np.nan, np.inf, -np.inf]] * 3
    check("apply_table", x, Table(np.array([[5], [0], [0], [3], [6]]), np.ones((5, 1)), 6), axis)


@pytest.mark.parametrize("x", [np.array([1.0, np.inf, 2.0, np.nan], np.float32),
                               np.array([[1.0, 2], [np.inf, 0], [2, 3], [np.nan, 1]])])
def test_compiled_taps_that_are_not_there_read_nothing(x, threads):
    table = Table.of(np.array([0, 0, 1]), np.array([0, 1, 2]), np.ones(3, x.dtype), (3, 4))
    check("apply_table", x, table, 0)
    gap = Table(np.array([[4, 0], [2, 4], [4, 4]]), np.ones((3, 2), x.dtype), 4)              # the first tap is not there
    check("apply_table", x, gap, 0)


def test_compiled_on_any_layout(threads):
    x = np.random.default_rng(4).standard_normal((6, 5, 8)).astype(np.float32)
    x.flags.writeable = False
    table = Table.of(np.array([0, 1, 1, 2]), np.array([0, 1, 4, 3]), np.array([1, 0.5, 0.25, 2], np.float32), (3, 5))
    for view in (x, x[::-1], x[..., ::2], np.broadcast_to(x[:1], x.shape)):
        check("apply_table", view, table, 1, ulps=4)
    check("apply_table", x.transpose(2, 0, 1), table, 2, ulps=4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("N, C, P, Q", [(2, 3, 5, 7), (1, 1, 1, 40), (3, 2, 60, 1), (1, 4, 8, 3000)])
def test_compiled_gather_and_scatter(N, C, P, Q, dtype, threads):
    rng = np.random.default_rng(5)
    index, g = rng.integers(0, P, (N, Q)), rng.standard_normal((N, C, Q)).astype(dtype)
    check("gather_pixels", rng.standard_normal((N, C, P)).astype(dtype), index)
    check("gather_pixels", rng.standard_normal((N, P, C)).astype(dtype).swapaxes(1, 2), index[:, ::-1])
    check("scatter_pixels", g, index, P)
    check("scatter_pixels", g[..., ::-1], index.astype(np.int32), P + 3)


def test_compiled_refuses_pixels_outside():
    pytest.importorskip("numba")
    with use_kernels("compiled"), pytest.raises(IndexError):
        gather_pixels(np.zeros((2, 3, 4), np.float32), np.full((2, 2), 4))
