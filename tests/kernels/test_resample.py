"""Tables against the matrices they stand for, gather and scatter against loops."""

import numpy as np
import pytest

from tinyvision.kernels import resample
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
    return apply_table(table, np.eye(table.size), 0)


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
    y = apply_table(Table.of(row, column, weight, (8, I)), x, axis)
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
    np.testing.assert_array_equal(apply_table(table, x, 0), [np.inf, 2.0, 0.0])
    np.testing.assert_array_equal(apply_table(table.T, np.array([np.inf, 3.0, np.nan]), 0), [np.inf, np.inf, 3.0, 0.0])


def test_few_long_rows_are_singled_out():
    """The adjoint of a wide border: one pixel collects 50 copies, and the others do not pay for it."""
    table = Table(np.array([0] * 50 + [*range(1, 100)])[:, None], np.ones((149, 1)), 100).T
    assert len(table.taps) == 50
    assert [len(index) for _, index, _ in table.taps] == [100] + [1] * 49
    np.testing.assert_array_equal(apply_table(table, np.ones(149), 0), [50.0] + [1.0] * 99)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8, bool])
def test_copies_keep_any_dtype(dtype):
    table = Table(np.array([[2], [0], [2]]), np.ones((3, 1), np.float32), 3)
    x = np.array([1, 0, 1]).astype(dtype)
    y = apply_table(table, x, 0)
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
