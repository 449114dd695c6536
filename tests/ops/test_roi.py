"""What the case table does not say about RoI pooling: values by hand, rounding, borders, formats of boxes, messages."""

import numpy as np
import pytest

from tinyvision import Tensor, grad
from tinyvision.functional import adaptive_max_pool2d, roi_align, roi_pool

GRID = np.arange(1.0, 17.0).reshape(1, 1, 4, 4)           # 1 2 3 4 / 5 6 7 8 / 9 10 11 12 / 13 14 15 16


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("box, output_size, scale, y", [
    ([0, 0, 3, 3], 2, 1, [[6, 8], [14, 16]]),             # four bins of 2 x 2
    ([0, 0, 2, 2], 2, 1, [[6, 7], [10, 11]]),             # three pixels in two bins: both hold the middle one
    ([1, 1, 1, 1], 1, 1, [[6]]),                          # both corners count: one pixel
    ([1, 1, 1, 1], 2, 1, [[6, 6], [6, 6]]),               # more bins than pixels
    ([2, 0, 6, 6], (1, 2), 0.5, [[15, 16]]),              # columns 1..3: bins 1-2 and 2-3, rows 0..3
    ([0.5, 1.5, 1.4, 2.4], (2, 1), 1, [[10], [10]]),      # 0.5 -> 1, 1.5 -> 2: a single pixel
    ([-0.5, -0.5, 0.4, 0.4], 1, 1, [[1]]),                # -0.5 -> -1: the part outside is cut off
    ([-2, -2, 1, 1], 2, 1, [[0, 0], [0, 6]]),             # bins wholly outside are empty: 0
    ([3, 3, 1, 1], 1, 1, [[16]]),                         # inside out: the pixel of the first corner
    ([9, 9, 12, 12], 2, 1, [[0, 0], [0, 0]]),
])
def test_pool_by_hand(box, output_size, scale, y):
    np.testing.assert_array_equal(roi_pool(GRID, [[box]], output_size, scale)[0, 0], y)


@pytest.mark.parametrize("box, output_size, options, y", [
    ([0, 0, 1, 1], 1, dict(sampling_ratio=1), [[3.5]]),   # the point (1/2, 1/2): the mean of 1 2 5 6
    ([0, 0, 2, 2], 2, dict(sampling_ratio=1), [[3.5, 4.5], [7.5, 8.5]]),
    ([0, 0, 2, 2], 1, dict(), [[6.0]]),                   # 2 x 2 samples at 1/2 and 3/2
    ([0, 0, 4, 4], 4, dict(sampling_ratio=1, aligned=True), GRID[0, 0]),  # aligned: pixel centres are where they should be
    ([1, 1, 1, 1], 1, dict(), [[8.5]]),                   # at least 1 x 1 pixel: the point (3/2, 3/2)
    ([1, 1, 1, 1], 1, dict(aligned=True), [[0.0]]),       # aligned boxes of no size have no samples
    ([-1, 0, 0, 1], 1, dict(sampling_ratio=1), [[3.0]]),  # half a pixel outside: column 0, rows 0 and 1
    ([-3, 0, -2, 1], 1, dict(sampling_ratio=1), [[0.0]]),                 # farther than a pixel
    ([3, 3, 4, 4], 1, dict(sampling_ratio=1), [[16.0]]),  # beyond the last pixel: that pixel
    ([4, 4, 5, 5], 1, dict(sampling_ratio=1), [[0.0]]),   # 4.5 > H
    ([0, 0, 2, 2], 1, dict(spatial_scale=0.5, sampling_ratio=1), [[3.5]]),
])
def test_align_by_hand(box, output_size, options, y):
    np.testing.assert_allclose(roi_align(GRID, [[box]], output_size, **options)[0, 0], y, rtol=1e-14)


def test_a_box_on_the_map_is_adaptive_pooling():
    x = np.random.default_rng(0).standard_normal((1, 3, 9, 8))
    np.testing.assert_array_equal(roi_pool(x, [[[2, 1, 6, 7]]], (3, 2)), adaptive_max_pool2d(x[:, :, 1:8, 2:7], (3, 2)))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("sampling_ratio", [-1, 1, 3])
def test_a_slope_is_read_at_the_centre_of_each_bin(aligned, sampling_ratio):
    """Between pixels of a linear map the bilinear value is exact, and the mean over a bin is the value at its centre."""
    i, j = np.mgrid[:20, :20]
    x1, y1, x2, y2 = 3.3, 2.1, 15.7, 16.9
    y = roi_align((2.0 * i - 3.0 * j)[None, None], [[[x1, y1, x2, y2]]], (4, 5), 1.0, sampling_ratio, aligned)[0, 0]
    rows = y1 + (np.arange(4) + 0.5) * (y2 - y1) / 4 - 0.5 * aligned
    columns = x1 + (np.arange(5) + 0.5) * (x2 - x1) / 5 - 0.5 * aligned
    np.testing.assert_allclose(y, 2 * rows[:, None] - 3 * columns, rtol=1e-12)


@pytest.mark.parametrize("function", [roi_pool, roi_align])
def test_formats_of_boxes(function):
    x = np.random.default_rng(0).standard_normal((2, 2, 8, 9)).astype(np.float32)
    rows = np.array([[0, 1, 2, 5, 6], [1, 0, 0, 3, 4], [1, 2, 2, 8, 7.0]])
    right = function(x, rows, 2)
    assert right.dtype == np.float32 and right.shape == (3, 2, 2, 2)
    lists = [rows[:1, 1:], rows[1:, 1:]]
    for boxes in (rows.astype(np.float32), Tensor(rows), lists, tuple(lists), [Tensor(b) for b in lists],
                  [b.tolist() for b in lists], [b.astype(int) for b in lists]):
        np.testing.assert_array_equal(np.asarray(function(x, boxes, 2)), right)
    assert function(x, [zeros(0, 4), []], 2).shape == function(x, zeros(0, 5), 2).shape == (0, 2, 2, 2)
    np.testing.assert_array_equal(function(x, [[], lists[1]], 2), right[1:])


def test_the_gradient_goes_to_the_maximum_and_not_to_empty_bins():
    x = Tensor(GRID, requires_grad=True)
    (g,) = grad(roi_pool(x, [[[-2, -2, 1, 1], [0, 0, 1, 1]]], 2), x, np.arange(1.0, 9.0).reshape(2, 1, 2, 2))
    right = np.zeros((4, 4))
    right[1, 1] = 4 + 8                                   # the first box's only bin that is not empty, and a bin of the second
    right[0, 0], right[0, 1], right[1, 0] = 5, 6, 7
    np.testing.assert_array_equal(g.data[0, 0], right)


def test_boxes_get_no_gradient():
    x, boxes = Tensor(GRID, requires_grad=True), Tensor(np.array([[0.0, 0.5, 0.5, 2.5, 2.5]]), requires_grad=True)
    y = roi_align(x, boxes, 2)
    assert grad(y, [x, boxes], np.ones(y.shape), allow_unused=True)[1] is None


@pytest.mark.parametrize("function", [roi_pool, roi_align])
@pytest.mark.parametrize("error, words, change", [
    (ValueError, r"input must be \(N, C, H, W\), got shape \(1, 4, 4\)", dict(input=GRID[0])),
    (ValueError, "at least one channel and pixel", dict(input=zeros(1, 1, 0, 4))),
    (TypeError, "floating point, got int64", dict(input=GRID.astype(int))),
    (TypeError, "Use Tensor", dict(input=[[1.0]])),
    (TypeError, r"boxes must be an array \(K, 5\) or a list", dict(boxes="all")),
    (ValueError, r"5 numbers each, \(picture, x1, y1, x2, y2\), got shape \(1, 4\)", dict(boxes=zeros(1, 4))),
    (ValueError, r"4 numbers each, \(x1, y1, x2, y2\), got shape \(1, 5\)", dict(boxes=[zeros(1, 5)])),
    (ValueError, "each of the 1 pictures, got 2", dict(boxes=[zeros(1, 4), zeros(1, 4)])),
    (ValueError, r"0\.\.0 for 1 pictures, got 1", dict(boxes=np.array([[1.0, 0, 0, 1, 1]]))),
    (ValueError, "got -1", dict(boxes=np.array([[-1.0, 0, 0, 1, 1]]))),
    (ValueError, "got 0.5", dict(boxes=np.array([[0.5, 0, 0, 1, 1]]))),
    (ValueError, "boxes must be finite, got .*nan", dict(boxes=[[[0.0, 0.0, np.nan, 1.0]]])),
    (ValueError, "spatial_scale must be positive, got 0", dict(spatial_scale=0)),
    (ValueError, "output_size must be at least 1, got 0", dict(output_size=0)),
    (ValueError, "output_size must be one integer or 2", dict(output_size=(1, 1, 1))),
])
def test_messages(function, error, words, change):
    with pytest.raises(error, match=words):
        function(**dict(dict(input=GRID, boxes=zeros(1, 5), output_size=2), **change))


def test_message_of_sampling_ratio():
    with pytest.raises(TypeError, match="sampling_ratio must be an integer"):
        roi_align(GRID, zeros(1, 5), 2, sampling_ratio=1.5)
