"""What the case table does not say about adaptive pooling: its windows, the symmetry of its sum, messages, infinities."""

import numpy as np
import pytest

from tests.oracles.pool import parts
from tinyvision import Tensor, grad
from tinyvision.functional import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d,
    adaptive_max_pool3d, avg_pool2d, max_pool2d,
)
from tinyvision.kernels.pool import adaptive_sum, spans


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "output_size must be one integer or 2", lambda: adaptive_avg_pool2d(zeros(1, 1, 4, 4), ())),
    (ValueError, "output_size must be one integer or 2", lambda: adaptive_max_pool2d(zeros(1, 1, 4, 4), (3,))),
    (ValueError, r"at least 0 pixels, got \(-1, 0\)", lambda: adaptive_avg_pool2d(zeros(1, 1, 4, 4), (-1, 0))),
    (ValueError, "at least 0 pixels, got -1", lambda: adaptive_max_pool1d(zeros(1, 1, 4), -1)),
    (TypeError, "integers, or None in a tuple", lambda: adaptive_avg_pool2d(zeros(1, 1, 4, 4), 2.0)),
    (TypeError, "integers, or None in a tuple", lambda: adaptive_max_pool3d(zeros(1, 1, 4, 4, 4), None)),
    (TypeError, "floating point, got int64", lambda: adaptive_max_pool2d(zeros(1, 1, 4, 4, dtype=int), 2)),
    (TypeError, "floating point, got int64", lambda: adaptive_avg_pool1d(zeros(1, 1, 4, dtype=int), 2)),
    (ValueError, "at least one pixel", lambda: adaptive_avg_pool2d(zeros(1, 1, 0, 4), 2)),
    (ValueError, "at least one pixel", lambda: adaptive_max_pool2d(zeros(1, 1, 4, 0), 2)),
    (ValueError, r"input must be \(N, C, D, H, W\)", lambda: adaptive_avg_pool3d(zeros(4, 4, 4), 2)),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()


def test_windows():
    """Seven pixels in three parts: 0-2, 2-4, 4-6, for the cuts at 7/3 and 14/3 go through the pixels 2 and 4."""
    start, count = spans(7, 3)
    assert start.tolist() == [0, 2, 4] and count.tolist() == [3, 3, 3]
    for size in range(1, 12):
        for out in range(1, 12):
            start, count = spans(size, out)
            assert [list(range(s, s + n)) for s, n in zip(start, count)] == parts(size, out)


@pytest.mark.parametrize("size, out", [(7, 3), (3, 7), (6, 4), (8, 4), (4, 8), (5, 1), (1, 5)])
def test_the_sum_is_its_own_adjoint_with_sizes_exchanged(size, out):
    there = adaptive_sum(np.eye(size)[None], (out,))[0]                   # (size, out): the matrix of the map
    back = adaptive_sum(np.eye(out)[None], (size,))[0]                    # (out, size)
    np.testing.assert_array_equal(there, back.T)


def test_equal_parts_are_ordinary_pooling():
    x = random(2, 3, 8, 6)
    np.testing.assert_array_equal(adaptive_max_pool2d(x, (4, 2)), max_pool2d(x, (2, 3)))
    np.testing.assert_allclose(adaptive_avg_pool2d(x, (4, 2)), avg_pool2d(x, (2, 3)), rtol=1e-13)


def test_global_pooling():
    x = random(2, 3, 8, 6)
    np.testing.assert_allclose(adaptive_avg_pool2d(x, 1), x.mean(axis=(2, 3), keepdims=True), rtol=1e-13)
    np.testing.assert_array_equal(adaptive_max_pool2d(x, 1), x.max(axis=(2, 3), keepdims=True))
    assert adaptive_avg_pool2d(x.astype(np.float32), (1, 1)).dtype == np.float32


def test_ties_and_nan():
    """The first of equal pixels in row-major order, across rows as well as within one; the last NaN before all numbers."""
    y, places = adaptive_max_pool2d(zeros(1, 3, 5), (2, 2), return_indices=True)
    assert places.tolist() == [[[0, 2], [5, 7]]]
    x = np.full((1, 3, 4), -np.inf)
    x[0, 2, 0] = x[0, 1, 3] = 7
    assert adaptive_max_pool2d(x, 1, return_indices=True)[1].tolist() == [[[7]]]
    x[0, 0, 3] = x[0, 1, 0] = np.nan
    y, places = adaptive_max_pool2d(x, 1, return_indices=True)
    assert np.isnan(y).all() and places.tolist() == [[[4]]]
    assert adaptive_max_pool1d(np.full((1, 5), -np.inf), 3, return_indices=True)[1].tolist() == [[0, 1, 3]]
    row = np.array([[0, np.nan, 2, 3, np.nan]])           # windows 0-1, 1-3, 3-4: each has a NaN at one of its ends
    assert adaptive_max_pool1d(row, 3, return_indices=True)[1].tolist() == [[1, 1, 4]]


def test_the_first_maximum_gets_the_whole_gradient():
    x = Tensor(zeros(1, 1, 4), requires_grad=True)
    (g,) = grad(adaptive_max_pool1d(x, 3), x, np.array([[[1.0, 2.0, 4.0]]], np.float32))
    assert g.tolist() == [[[1, 2, 4, 0]]]


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("out", [(4, 3), (3, 2), (9, 11)])
def test_infinities_stay_in_their_windows(out, bad):
    x = random(1, 1, 6, 6)
    x[0, 0, 2, 3] = bad
    rows, columns = ([i in part for part in parts(6, o)] for i, o in zip((2, 3), out))
    y = adaptive_avg_pool2d(x, out)[0, 0]
    np.testing.assert_array_equal(np.isfinite(y), ~np.outer(rows, columns))


def test_none_keeps_a_size_and_zero_leaves_nothing():
    x = Tensor(random(2, 3, 4, 5), requires_grad=True)
    assert adaptive_avg_pool2d(x, (None, 2)).shape == (2, 3, 4, 2)
    np.testing.assert_array_equal(adaptive_avg_pool2d(x, (None, None)).data, x.data)
    y = adaptive_max_pool2d(x, (0, 2))
    assert y.shape == (2, 3, 0, 2)
    assert not grad(y, x, np.zeros((2, 3, 0, 2)))[0].data.any()
    assert adaptive_avg_pool2d(zeros(1, 0, 4, 4), 2).shape == (1, 0, 2, 2)
