"""Overlaps, against counting pixels."""

import re

import numpy as np
import pytest

from tinyvision import Tensor
from tinyvision.metrics import box_area, box_iou, generalized_box_iou, mask_iou


def draw(seed, n, size=12):
    """Boxes with whole numbers, some of them without area."""
    random = np.random.default_rng(seed)
    return np.sort(random.integers(0, size + 1, (n, 2, 2)), axis=1).reshape(n, 4)


def painted(boxes, size=12):
    """Boxes as masks: whole numbers make pixels."""
    y, x = np.mgrid[:size, :size]
    return np.array([(x >= b[0]) & (x < b[2]) & (y >= b[1]) & (y < b[3]) for b in boxes]).reshape(len(boxes), size, size)


@pytest.mark.parametrize("seed", range(5))
def test_iou_by_counting_pixels(seed):
    a, b = draw(seed, 7), draw(seed + 100, 5)
    np.testing.assert_array_equal(box_area(a), painted(a).sum(axis=(1, 2)))
    shared = (painted(a)[:, None] & painted(b)).sum(axis=(2, 3))
    union = (painted(a)[:, None] | painted(b)).sum(axis=(2, 3))
    expected = np.where(union, shared / np.maximum(union, 1), 0)
    np.testing.assert_allclose(box_iou(a, b), expected, rtol=1e-15)
    np.testing.assert_allclose(mask_iou(painted(a), painted(b)), expected, rtol=1e-15)
    np.testing.assert_allclose(box_iou(b, a).T, expected, rtol=1e-15)
    around = np.array([[np.ptp(np.array([p, q])[:, [0, 2]]) * np.ptp(np.array([p, q])[:, [1, 3]]) for q in b] for p in a])
    giou = expected - np.where(around, (around - union) / np.maximum(around, 1), 0)
    np.testing.assert_allclose(generalized_box_iou(a, b), giou, atol=1e-15)


@pytest.mark.parametrize("function", [box_iou, generalized_box_iou])
def test_scale_and_place_do_not_matter(function):
    a, b = draw(1, 6), draw(2, 6)
    np.testing.assert_array_equal(function(a / 64 - 3, b / 64 - 3), function(a, b))       # exact: powers of 2


def test_values_by_hand():
    assert box_iou([[0, 0, 4, 4]], [[2, 2, 6, 6]]).item() == 4 / 28
    assert generalized_box_iou([[0, 0, 4, 4]], [[2, 2, 6, 6]]).item() == pytest.approx(4 / 28 - 8 / 36)
    assert box_iou([[0, 0, 4, 4]], [[4, 0, 8, 4]]).item() == 0.0          # they touch
    assert box_iou([[1, 1, 1, 5]], [[1, 1, 1, 5]]).item() == 0.0          # no area
    far = generalized_box_iou([[0, 0, 1, 1]], [[1e6, 1e6, 1e6 + 1, 1e6 + 1]]).item()
    assert -1 < far < -0.999


@pytest.mark.parametrize("function", [box_iou, generalized_box_iou])
def test_no_boxes_and_tensors(function):
    boxes = draw(0, 3)
    assert function([], boxes).shape == (0, 3) and function(boxes, np.zeros((0, 4))).shape == (3, 0)
    np.testing.assert_array_equal(function(Tensor(boxes), boxes[::-1]), function(boxes, boxes)[:, ::-1])
    assert mask_iou(np.zeros((0, 4, 4), bool), np.ones((2, 4, 4), bool)).shape == (0, 2)


@pytest.mark.parametrize("call, error, message", [
    (lambda: box_iou([[0, 0, 2, 2]], [[3, 3, 2, 4]]), ValueError,
     "boxes2 must have x1 <= x2 and y1 <= y2, row 0 is [3.0, 3.0, 2.0, 4.0]. Rows x, y, width, height"),
    (lambda: box_area([0, 0, 2, 2]), ValueError, "boxes must be (N, 4), got (4,)"),
    (lambda: box_area([[0, 0, 2]]), ValueError, "boxes must be (N, 4), got (1, 3)"),
    (lambda: box_area([[0, 0, 2, np.nan]]), ValueError, "boxes must be finite, got nan"),
    (lambda: mask_iou(np.ones((2, 2), bool), np.ones((1, 2, 2), bool)), ValueError, "masks1 must be (N, H, W), got (2, 2)"),
    (lambda: mask_iou(np.ones((1, 2, 2), bool), np.ones((1, 2, 3), bool)), ValueError, "one size, got (2, 2) and (2, 3)"),
    (lambda: mask_iou(np.ones((1, 2, 2)), np.ones((1, 2, 2), bool)), TypeError, "masks1 must be booleans, one mask per object"),
    (lambda: mask_iou(np.full((1, 2, 2), 7), np.ones((1, 2, 2), bool)), TypeError, "masks1 must be booleans"),
])
def test_errors(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
