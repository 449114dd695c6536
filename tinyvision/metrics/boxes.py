"""How much two regions overlap: boxes and masks.

    IoU  = |A and B| / |A or B|                   1 for equal regions, 0 for disjoint ones, however far apart
    GIoU = IoU - |C without (A or B)| / |C|       C the smallest box around both: below 0 for disjoint boxes, -1 far apart

A box is (x1, y1, x2, y2) in pixels, x to the right and y down; x2 and y2 are the edges where the box ends, so its width is
x2 - x1 (some old code counts both edges as pixels and adds 1).  Boxes without area overlap with nothing: where the union is
empty as well, the IoU is 0.

Source: Jaccard 1912; Rezatofighi et al. 2019, arXiv:1902.09630 (GIoU); torchvision.ops (names and forms).
"""

import numpy as np

from .check import array, finite
from .counts import ratio


def box_array(op, name, boxes):
    """Boxes as float64 (N, 4) with x1 <= x2 and y1 <= y2."""
    boxes = finite(op, name, boxes).astype(np.float64)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{op}: {name} must be (N, 4), got {boxes.shape}. Pass rows x1, y1, x2, y2.")
    wrong = np.flatnonzero((boxes[:, 2:] < boxes[:, :2]).any(axis=1))
    if wrong.size:
        raise ValueError(f"{op}: {name} must have x1 <= x2 and y1 <= y2, row {wrong[0]} is {boxes[wrong[0]].tolist()}. Rows "
                         "x, y, width, height become edges by adding x and y to the last two.")
    return boxes


def box_area(boxes):
    """The areas of boxes (torchvision.ops.box_area): (N, 4) gives (N,), float64, in square pixels.

    Raises ValueError for other shapes, boxes that end before they begin and numbers that are not finite.

    >>> box_area([[0, 0, 2, 3]]).tolist()
    [6.0]
    """
    boxes = box_array("box_area", "boxes", boxes)
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def intersections(a, b):
    """The areas that each box of a (N, 4) shares with each of b (M, 4), (N, M)."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    return np.clip(high - low, 0, None).prod(axis=2)


def box_iou(boxes1, boxes2):
    """Intersection over union of every box with every other (torchvision.ops.box_iou): (N, 4) and (M, 4) give (N, M), float64.

    Where two boxes have no area at all it is 0 (torchvision gives nan).
    Raises as box_area.

    >>> box_iou([[0, 0, 2, 2]], [[1, 1, 3, 3], [0, 0, 2, 1]]).round(4).tolist()
    [[0.1429, 0.5]]
    """
    a, b = box_array("box_iou", "boxes1", boxes1), box_array("box_iou", "boxes2", boxes2)
    shared = intersections(a, b)
    return ratio(shared, box_area(a)[:, None] + box_area(b) - shared, 0)


def generalized_box_iou(boxes1, boxes2):
    """GIoU of every box with every other (torchvision.ops.generalized_box_iou), -1..1: (N, 4) and (M, 4) give (N, M).

    Raises as box_area.

    >>> generalized_box_iou([[0, 0, 1, 1]], [[0, 0, 1, 1], [3, 0, 4, 1]]).tolist()
    [[1.0, -0.5]]
    """
    a, b = box_array("generalized_box_iou", "boxes1", boxes1), box_array("generalized_box_iou", "boxes2", boxes2)
    shared = intersections(a, b)
    union = box_area(a)[:, None] + box_area(b) - shared
    around = (np.maximum(a[:, None, 2:], b[:, 2:]) - np.minimum(a[:, None, :2], b[:, :2])).prod(axis=2)
    return ratio(shared, union, 0) - ratio(around - union, around, 0)


def mask_array(op, name, masks):
    """Masks as booleans (N, pixels), and their shape (H, W)."""
    masks = array(op, name, masks)
    if masks.ndim != 3:
        raise ValueError(f"{op}: {name} must be (N, H, W), got {masks.shape}. No masks at all are zeros((0, H, W)).")
    if masks.dtype.kind == "f" or (masks.size and masks.dtype.kind != "b" and not 0 <= masks.min() <= masks.max() <= 1):
        raise TypeError(f"{op}: {name} must be booleans, one mask per object, got {masks.dtype}. Compare probabilities with a "
                        "threshold, and numbers of objects with arange.")
    return masks.reshape(len(masks), masks.shape[1] * masks.shape[2]).astype(bool), masks.shape[1:]


def shared_pixels(a, b):
    """How many pixels each mask of a (N, pixels) shares with each of b (M, pixels), (N, M)."""
    # a matrix product of zeros and ones; float32 counts exactly up to 2^24
    exact = np.float32 if a.shape[1] <= 2 ** 24 else np.float64
    return (a.astype(exact) @ b.astype(exact).T).astype(np.float64)


def mask_iou(masks1, masks2):
    """Intersection over union of every mask with every other: (N, H, W) and (M, H, W), booleans, give (N, M), float64.

    Raises ValueError for other shapes, TypeError for masks that are not booleans (or integers 0 and 1).

    >>> mask_iou([[[True, True, False]]], [[[False, True, True]], [[True, True, True]]]).round(4).tolist()
    [[0.3333, 0.6667]]
    """
    (a, size), (b, other) = mask_array("mask_iou", "masks1", masks1), mask_array("mask_iou", "masks2", masks2)
    if size != other:
        raise ValueError(f"mask_iou: masks must be of one size, got {size} and {other}. Both belong to the same picture.")
    shared = shared_pixels(a, b)
    return ratio(shared, a.sum(axis=1)[:, None] + b.sum(axis=1) - shared, 0)
