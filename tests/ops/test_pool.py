"""What the case table does not say about pooling: messages, ties, infinities, NaN, integers, and max_unpool's conventions."""

import numpy as np
import pytest

from tests.oracles.pool import max_pool as definition
from tinyvision import Tensor, grad
from tinyvision.functional import (
    adaptive_max_pool2d, avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d, max_unpool1d, max_unpool2d,
    max_unpool3d,
)

NAN, INF = np.nan, np.inf


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def index(*shape):
    return np.zeros(shape, np.int64)


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, r"input must be \(N, C, H, W\).*got shape \(4, 4\)", lambda: max_pool2d(zeros(4, 4), 2)),
    (ValueError, r"max_pool1d: input must be \(N, C, W\)", lambda: max_pool1d(zeros(4), 2)),
    (ValueError, "at least one channel and pixel", lambda: max_pool2d(zeros(1, 0, 4, 4), 2)),
    (ValueError, "at least one channel and pixel", lambda: avg_pool3d(zeros(1, 2, 4, 0, 4), 2)),
    (ValueError, "at least one channel and pixel", lambda: max_unpool2d(zeros(1, 2, 0, 4), index(1, 2, 0, 4), 2)),
    (TypeError, "Use Tensor", lambda: max_pool2d([[1.0]], 2)),
    (TypeError, "input must hold numbers, got bool", lambda: max_pool2d(zeros(1, 1, 4, 4, dtype=bool), 2)),
    (TypeError, "input must be floating point, got int64", lambda: avg_pool2d(zeros(1, 1, 4, 4, dtype=int), 2)),
    (TypeError, "input must be floating point, got int64", lambda: max_unpool2d(zeros(1, 1, 2, 2, dtype=int),
                                                                                index(1, 1, 2, 2), 2)),
    (ValueError, "kernel_size must be at least 1, got 0", lambda: max_pool2d(zeros(1, 1, 4, 4), 0)),
    (ValueError, "stride must be at least 1, got 0", lambda: avg_pool2d(zeros(1, 1, 4, 4), 2, 0)),
    (ValueError, "dilation must be at least 1", lambda: max_pool2d(zeros(1, 1, 4, 4), 2, dilation=0)),
    (ValueError, "padding must be at least 0, got -1", lambda: max_pool2d(zeros(1, 1, 4, 4), 2, padding=-1)),
    (ValueError, r"at most half of kernel_size, got padding \(2, 2\) and kernel_size \(3, 3\)",
     lambda: max_pool2d(zeros(1, 1, 4, 4), 3, padding=2)),
    (ValueError, "at most half of kernel_size", lambda: max_pool1d(zeros(1, 1, 9), 2, padding=2, dilation=3)),
    (ValueError, "at most half of kernel_size", lambda: avg_pool1d(zeros(1, 1, 9), 3, padding=2)),
    (ValueError, "kernel_size must be one integer or 2", lambda: avg_pool2d(zeros(1, 1, 4, 4), (2, 2, 2))),
    (TypeError, "kernel_size must be an integer", lambda: max_pool2d(zeros(1, 1, 4, 4), 2.0)),
    (ValueError, r"must fit into the padded image, got kernel_size \(7, 7\).*image \(4, 4\), \(6, 6\) with padding",
     lambda: max_pool2d(zeros(1, 1, 4, 4), 7, padding=1)),
    (ValueError, r"spanning \(5, 5\)", lambda: max_pool2d(zeros(1, 1, 4, 4), 3, dilation=2)),
    (ValueError, "must fit into the padded image", lambda: avg_pool2d(zeros(1, 1, 4, 4), 5)),
    (ValueError, r"must meet a pixel, but with dilation \(3,\)", lambda: max_pool1d(zeros(1, 1, 2), 2, 1, 1, 3)),
    (ValueError, "must meet a pixel", lambda: max_pool2d(zeros(1, 1, 9, 2), 2, 1, 1, 3)),
    (ValueError, "divisor_override must be an integer other than 0",
     lambda: avg_pool2d(zeros(1, 1, 4, 4), 2, divisor_override=0)),
    (ValueError, "divisor_override must be an integer", lambda: avg_pool3d(zeros(1, 1, 4, 4, 4), 2, divisor_override=1.5)),
    (ValueError, r"lie in 0\.\.15 for 16 pixels of an output plane \(4, 4\) .*, got 16",
     lambda: max_unpool2d(zeros(1, 1, 2, 2), index(1, 1, 2, 2) + 16, 2)),
    (ValueError, "pass output_size where the pooled picture was larger.*got 4",
     lambda: max_unpool1d(zeros(1, 1, 2), index(1, 1, 2) + 4, 2)),
    (ValueError, "got -1", lambda: max_unpool1d(zeros(1, 1, 2), index(1, 1, 2) - 1, 2)),
    (TypeError, "indices must hold integers", lambda: max_unpool2d(zeros(1, 1, 2, 2), zeros(1, 1, 2, 2), 2)),
    (ValueError, r"shape of input.*got indices \(1, 1, 2, 1\) and input \(1, 1, 2, 2\)",
     lambda: max_unpool2d(zeros(1, 1, 2, 2), index(1, 1, 2, 1), 2)),
    (ValueError, "within the stride 2 of 4 along H, so between 3 and 5, got 6",
     lambda: max_unpool2d(zeros(1, 1, 2, 2), index(1, 1, 2, 2), 2, output_size=(6, 4))),
    (ValueError, "between 3 and 5, got 2", lambda: max_unpool2d(zeros(1, 1, 2, 2), index(1, 1, 2, 2), 2, output_size=(4, 2))),
    (ValueError, "output_size must be one integer or 3", lambda: max_unpool3d(zeros(1, 1, 2, 2, 2), index(1, 1, 2, 2, 2), 2,
                                                                              output_size=(4, 4))),
    (ValueError, "output must have at least one pixel", lambda: max_unpool1d(zeros(1, 1, 2), index(1, 1, 2), 1, padding=1)),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("values, kernel, y, where", [
    ([5, 5, 5, 5], 3, [5, 5], [0, 1]),                    # a tie: the first
    ([-INF, -INF, -INF], 2, [-INF, -INF], [0, 1]),        # minus infinity is a value like others
    ([1, NAN, 3, NAN, 2], 3, [NAN, NAN, NAN], [1, 3, 3]),                 # NaN wins, the last one
    ([INF, NAN, INF], 2, [NAN, NAN], [1, 1]),
    ([-3, -1, -2], 3, [-1], [1]),
])
def test_who_wins(values, kernel, y, where):
    x = Tensor(np.array([[values]], float), requires_grad=True)
    found, places = max_pool1d(x, kernel, 1, return_indices=True)
    np.testing.assert_array_equal(found.data[0, 0], y)
    np.testing.assert_array_equal(places.data[0, 0], where)
    (g,) = grad(found, x, np.full((1, 1, len(y)), 2.0))
    np.testing.assert_array_equal(g.data[0, 0], 2.0 * np.bincount(where, minlength=len(values)))


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_padding_never_wins(ceil_mode):
    """Not even against minus infinity: every index names a pixel of the picture."""
    x = np.full((1, 1, 4, 5), -INF)
    y, places = max_pool2d(x, 3, 2, 1, ceil_mode=ceil_mode, return_indices=True)
    assert (y == -INF).all()
    rows, columns = [0, 1, 3][:2 + ceil_mode], [0, 1, 3]
    np.testing.assert_array_equal(places[0, 0], 5 * np.array(rows)[:, None] + columns)


def test_ties_in_row_major_order():
    """In a constant picture every window picks its first pixel, which then gets the whole gradient of that window."""
    x = Tensor(zeros(1, 1, 3, 3), requires_grad=True)
    y, places = max_pool2d(x, 2, 1, return_indices=True)
    assert places.tolist() == [[[[0, 1], [3, 4]]]]
    (g,) = grad(y, x, np.array([[[[1.0, 2.0], [3.0, 4.0]]]], np.float32))
    assert g.tolist() == [[[[1, 2, 0], [3, 4, 0], [0, 0, 0]]]]


def test_overlapping_windows_add_their_gradients():
    x = Tensor(np.array([[[[0.0, 0, 0], [0, 9, 0], [0, 0, 0]]]]), requires_grad=True)
    (g,) = grad(max_pool2d(x, 2, 1), x, np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert g.tolist() == [[[[0, 0, 0], [0, 10, 0], [0, 0, 0]]]]


def test_more_taps_than_a_byte_counts():
    x = random(2, 1, 17, 18)
    y, places = max_pool2d(x, (17, 16), 1, return_indices=True)
    right, right_places = definition(x, (17, 16), 1, return_indices=True)
    np.testing.assert_array_equal(y, right)
    np.testing.assert_array_equal(places, right_places)
    assert places.max() // 18 * 16 > 255                  # the winner is one of the taps behind the 256th


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float16])
def test_other_numbers(dtype):
    """Maxima are found by comparing, so integers serve as well, even where all of them are the smallest there is."""
    x = np.random.default_rng(0).integers(0, 9, (2, 2, 5, 6)).astype(dtype)
    x[0] = np.iinfo(dtype).min if dtype != np.float16 else -INF
    y, places = max_pool2d(x, 3, 2, 1, return_indices=True)
    right, right_places = definition(x, 3, 2, 1, return_indices=True)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, right)
    np.testing.assert_array_equal(places, right_places)


def test_arrays_in_arrays_out_and_tensors_in_tensors_out():
    y, places = max_pool2d(zeros(1, 1, 4, 4), 2, return_indices=True)
    assert type(y) is type(places) is np.ndarray and places.dtype == np.int64
    y, places = max_pool2d(Tensor(zeros(1, 1, 4, 4), requires_grad=True), 2, return_indices=True)
    assert y.requires_grad and isinstance(places, Tensor) and places.dtype == np.int64 and not places.requires_grad


@pytest.mark.parametrize("pool", [max_pool2d, adaptive_max_pool2d])
@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (3, 4, 6)])
def test_the_indices_belong_to_the_caller(pool, shape):
    """Whoever changes them changes no gradient."""
    x = Tensor(random(*shape), requires_grad=True)
    y, places = pool(x, 2, return_indices=True)
    u = random(*y.shape)
    right = grad(y, x, u, retain_graph=True)[0]
    places[...] = 0
    np.testing.assert_array_equal(grad(y, x, u)[0].data, right.data)


@pytest.mark.parametrize("pool, sizes", [(max_pool1d, (9,)), (max_pool2d, (9, 7)), (max_pool3d, (9, 7, 8)),
                                         (avg_pool1d, (9,)), (avg_pool2d, (9, 7)), (avg_pool3d, (9, 7, 8))])
def test_one_picture_or_a_batch_of_one(pool, sizes):
    x = random(3, *sizes)
    np.testing.assert_array_equal(pool(x, 3, 2, 1), pool(x[None], 3, 2, 1)[0])


@pytest.mark.parametrize("stride", [None, (), 2])
def test_windows_stand_side_by_side_by_default(stride):
    x = random(1, 1, 6, 6)
    np.testing.assert_array_equal(max_pool2d(x, 2, stride), x.reshape(1, 1, 3, 2, 3, 2).max(axis=(3, 5)))
    np.testing.assert_allclose(avg_pool2d(x, 2, stride), x.reshape(1, 1, 3, 2, 3, 2).mean(axis=(3, 5)), rtol=1e-14)


def test_unpooling_is_the_adjoint_of_pooling_while_windows_do_not_overlap():
    x = Tensor(random(2, 3, 7, 6), requires_grad=True)
    y, places = max_pool2d(x, 3, return_indices=True)
    u = random(*y.shape)
    (g,) = grad(y, x, u)
    np.testing.assert_array_equal(max_unpool2d(u, places, 3, output_size=x.shape), g.data)


def test_unpooling_keeps_the_last_of_several_and_gives_all_of_them_the_gradient():
    """Overlapping windows that found one pixel: not the adjoint of pooling, which would add them up."""
    u = Tensor(np.array([[[1.0, 2.0, 4.0]]]), requires_grad=True)
    y = max_unpool1d(u, [[[1, 1, 3]]], 2, stride=1)
    assert y.tolist() == [[[0, 2, 0, 4]]]
    (g,) = grad(y, u, np.array([[[10.0, 20.0, 30.0, 40.0]]]))
    assert g.tolist() == [[[20, 20, 40]]]


@pytest.mark.parametrize("size", [(5, 5), [5, 5], (2, 3, 5, 5), 5])
def test_ways_to_say_output_size(size):
    y, places = max_pool2d(random(2, 3, 5, 5), 2, return_indices=True)
    assert max_unpool2d(y, Tensor(places), 2, output_size=size).shape == (2, 3, 5, 5)


def test_what_averages_count():
    """Ones in a frame of zeros: the mean says how much of the window lies on the picture, or 1."""
    x = np.ones((1, 1, 3, 3))
    assert avg_pool2d(x, 2, 2, 1).tolist() == [[[[0.25, 0.5], [0.5, 1.0]]]]
    assert avg_pool2d(x, 2, 2, 1, count_include_pad=False).tolist() == [[[[1, 1], [1, 1]]]]
    assert avg_pool2d(x, 2, 2, 1, divisor_override=2).tolist() == [[[[0.5, 1.0], [1.0, 2.0]]]]
    assert avg_pool2d(x, 2, 2, 0, ceil_mode=True).tolist() == [[[[1, 1], [1, 1]]]]         # overhang never counts
    assert avg_pool1d(np.ones((1, 1, 4)), 3, 2, 1, ceil_mode=True).tolist() == [[[2 / 3, 1, 0.5]]]


@pytest.mark.parametrize("bad", [INF, -INF, NAN])
def test_infinities_stay_in_their_windows(bad):
    x = random(1, 1, 6, 6)
    x[0, 0, 2, 3] = bad
    y = avg_pool2d(x, 3, 1, 1)[0, 0]
    reached = np.zeros((6, 6), bool)
    reached[1:4, 2:5] = True
    np.testing.assert_array_equal(np.isfinite(y), ~reached)
