"""Regions of interest: boxes within, across and beyond the border, smaller than a pixel, inside out, of both formats."""

import numpy as np

from tests.cases import Spec, case, distinct, randn
from tests.oracles.roi import roi_align, roi_pool

BOXES = [
    [0, 1.2, 0.7, 5.9, 6.1], [1, 0.0, 0.0, 7.0, 6.0], [1, 2.5, 3.5, 4.5, 3.5], [0, 3.3, 2.2, 3.6, 2.4],
    [0, -3.0, -2.0, 4.0, 3.0], [1, 4.0, 4.0, 12.0, 9.0], [0, 20.0, 20.0, 30.0, 25.0], [1, 5.0, 5.0, 2.0, 1.0],
]


def boxes(rows):
    return Spec(lambda rng: np.array(rows, float).reshape(-1, 5), f"boxes{len(rows)}", grad=False)


LISTS = [[[1.2, 0.7, 5.9, 6.1]], [[0.0, 0.0, 7.0, 6.0], [2.5, 3.5, 4.5, 3.4]]]


def pool(*args, **kwargs):
    return case("roi_pool", *args, linear=(0,), torch=None, oracle=roi_pool, **kwargs)


def align(*args, **kwargs):
    return case("roi_align", *args, linear=(0,), torch=None, oracle=roi_align, **kwargs)


CASES = [
    pool(distinct(2, 2, 7, 8), boxes(BOXES), (2, 3)),
    pool(distinct(2, 1, 7, 8), boxes(BOXES), 4, spatial_scale=0.5),
    pool(distinct(2, 2, 7, 8), LISTS, 2),
    pool(distinct(1, 1, 1, 1), boxes([[0, 0, 0, 0, 0]]), 1),
    pool(distinct(2, 2, 3, 4), boxes([]), 2),
    align(randn(2, 2, 7, 8), boxes(BOXES), (2, 3)),
    align(randn(2, 2, 7, 8), boxes(BOXES), (2, 3), aligned=True),
    align(randn(2, 1, 7, 8), boxes(BOXES), 3, 0.5, 2),
    align(randn(2, 1, 7, 8), boxes(BOXES), 3, 0.5, 2, True),
    align(randn(2, 1, 7, 8), boxes(BOXES), (1, 4), spatial_scale=1.5, sampling_ratio=0),
    align(randn(2, 2, 7, 8), LISTS, 2, sampling_ratio=1),
    align(randn(1, 1, 1, 1), boxes([[0, 0, 0, 1, 1]]), 1),
    align(randn(2, 2, 3, 4), boxes([]), 2),
]
