"""RoI pooling and RoI align, box by box, bin by bin, pixel by pixel."""

from fractions import Fraction
from math import ceil, floor

import numpy as np


def each_box(boxes):
    """(picture, x1, y1, x2, y2) of every box."""
    if isinstance(boxes, list):
        return [(n, *map(float, box)) for n, group in enumerate(boxes) for box in group]
    return [(int(n), *map(float, box)) for n, *box in boxes]


def nearest(v):
    """The nearest integer, halves away from zero."""
    return floor(v + 0.5) if v >= 0 else -floor(-v + 0.5)


def roi_pool(x, boxes, output_size, spatial_scale=1.0):
    """Girshick 2015: the box in whole pixels, in a grid of bins, the maximum of each."""
    OH, OW = (output_size,) * 2 if isinstance(output_size, int) else output_size
    H, W = x.shape[2:]
    boxes = each_box(boxes)
    y = np.zeros((len(boxes), x.shape[1], OH, OW))
    for k, (n, *corners) in enumerate(boxes):
        x1, y1, x2, y2 = (nearest(v * spatial_scale) for v in corners)
        h, w = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
        for oh in range(OH):
            rows = range(y1 + floor(Fraction(oh * h, OH)), y1 + ceil(Fraction((oh + 1) * h, OH)))
            for ow in range(OW):
                columns = range(x1 + floor(Fraction(ow * w, OW)), x1 + ceil(Fraction((ow + 1) * w, OW)))
                for c in range(x.shape[1]):
                    values = [x[n, c, i, j] for i in rows for j in columns if 0 <= i < H and 0 <= j < W]
                    y[k, c, oh, ow] = max(values) if values else 0.0
    return y


def bilinear(plane, row, column):
    """The value between pixels; up to a pixel outside that of the border, farther out 0."""
    H, W = plane.shape
    if row < -1 or row > H or column < -1 or column > W:
        return 0.0
    row, column = min(max(row, 0.0), H - 1), min(max(column, 0.0), W - 1)
    top, left = floor(row), floor(column)
    bottom, right = min(top + 1, H - 1), min(left + 1, W - 1)
    t, s = row - top, column - left
    upper = (1 - s) * plane[top, left] + s * plane[top, right]
    lower = (1 - s) * plane[bottom, left] + s * plane[bottom, right]
    return (1 - t) * upper + t * lower


def roi_align(x, boxes, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """He et al. 2017: the mean of regularly placed bilinear samples in each bin."""
    OH, OW = (output_size,) * 2 if isinstance(output_size, int) else output_size
    boxes = each_box(boxes)
    y = np.zeros((len(boxes), x.shape[1], OH, OW))
    for k, (n, *corners) in enumerate(boxes):
        x1, y1, x2, y2 = (v * spatial_scale - (0.5 if aligned else 0.0) for v in corners)
        h, w = (y2 - y1, x2 - x1) if aligned else (max(y2 - y1, 1.0), max(x2 - x1, 1.0))
        bin_h, bin_w = h / OH, w / OW
        SH, SW = (sampling_ratio, sampling_ratio) if sampling_ratio > 0 else (ceil(bin_h), ceil(bin_w))
        for c in range(x.shape[1]):
            for oh in range(OH):
                for ow in range(OW):
                    rows = [y1 + oh * bin_h + (i + 0.5) * bin_h / SH for i in range(SH)]
                    columns = [x1 + ow * bin_w + (j + 0.5) * bin_w / SW for j in range(SW)]
                    samples = [bilinear(x[n, c], i, j) for i in rows for j in columns]
                    y[k, c, oh, ow] = sum(samples) / max(len(samples), 1)
    return y
