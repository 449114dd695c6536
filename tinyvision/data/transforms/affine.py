"""Rotations and affine maps: straight lines stay straight.

The map from the old picture to the new is a matrix on points (x, y, 1), in pixels from the left upper corner:

    m(p) = T C R S H C^-1 p      H shear, S scale, R rotation about the centre c, C moves 0 to c, T shifts

The new pixel q is read from the old picture at m^-1(q), boxes and points go to m(p).  Multiples of 90 degrees are exact.
y points down, so the matrix [[cos a, -sin a], [sin a, cos a]] turns clockwise as one sees it.  As in torchvision,
RandomRotation counts counter-clockwise, RandomAffine clockwise.

Sources: Simard, Steinkraus and Platt 2003 (affine distortions); torchvision.transforms.v2 (order of the factors, directions).
"""

import math
from collections.abc import Sequence

import numpy as np

from .base import Geometric, fill_of
from ..checks import (INTERPOLATIONS, check_choice, check_fill, check_flag, check_interval, check_spread, is_number,
                     numbers_of)
from .sampling import centres, sample


def turn(degrees):
    """The matrix (2, 2) that turns clockwise, exact for multiples of 90 degrees."""
    c, s = round(math.cos(math.radians(degrees)), 15), round(math.sin(math.radians(degrees)), 15)
    return np.array([[c, -s], [s, c]])


def about(linear, centre, shift=(0, 0)):
    """The matrix (3, 3) of p -> linear (p - centre) + centre + shift."""
    m = np.eye(3)
    m[:2, :2] = linear
    m[:2, 2] = np.asarray(centre) + shift - linear @ centre
    return m


class AffineMap(Geometric):
    """Base of the transforms with a matrix: `draw` gives the matrix (3, 3), old to new, and the new size (H, W)."""

    def __init__(self, interpolation, fill, center, generator=None):
        name = type(self).__name__
        super().__init__(generator)
        self.interpolation = check_choice(name, "interpolation", interpolation, INTERPOLATIONS)
        self.fill = check_fill(name, fill)
        self.center = None if center is None else numbers_of(name, "center", center, (2,))

    def middle(self, shape):
        """The point that stays, (x, y)."""
        return np.array(self.center or (shape[2] / 2, shape[1] / 2))

    def move(self, x, drawn, kind):
        m, (height, width) = drawn
        back = np.linalg.inv(m)
        u, v = centres(height, width)
        points = np.stack([back[0, 0] * u + (back[0, 1] * v + back[0, 2]), back[1, 0] * u + (back[1, 1] * v + back[1, 2])])
        interpolation = self.interpolation if kind == "image" else "nearest"
        return sample(x, points, interpolation, fill_of(type(self).__name__, self.fill, kind, len(x)))

    def move_points(self, p, drawn):
        m, _ = drawn
        return p @ m[:2, :2].T + m[:2, 2]


class RandomRotation(AffineMap):
    """Turn by a random angle (torchvision.transforms.v2.RandomRotation).

    degrees: (least, greatest) angle, counter-clockwise, or d for (-d, d).
    interpolation: "nearest", "bilinear" or "bicubic"; masks take the nearest class always.
    expand: make the picture as large as the turned one needs; else the corners are cut off.
    center: (x, y) in pixels of the point that stays; None for the middle.
    fill: brightness of new corners, one number or one per channel; {"image": 0.5, "mask": 255} also says which class they have in
    masks, else 0.
    Targets and errors as in Geometric; also ValueError for ranges that are none and for expand with a center.

    >>> RandomRotation((90, 90))(np.arange(4.0).reshape(1, 2, 2))
    array([[[1., 3.],
            [0., 2.]]])
    """

    def __init__(self, degrees, interpolation="nearest", expand=False, center=None, fill=0, *, generator=None):
        super().__init__(interpolation, fill, center, generator)
        self.degrees = check_spread("RandomRotation", "degrees", degrees)
        self.expand = check_flag("RandomRotation", "expand", expand)
        if expand and center is not None:
            raise ValueError(f"RandomRotation: expand keeps the whole picture, whatever the center, got center={center!r}. Leave "
                             "it out.")

    def draw(self, rng, shape):
        linear, size = turn(-rng.uniform(*self.degrees)), shape[1:]
        m = about(linear, self.middle(shape))
        if self.expand:
            corners = np.array([[x, y] for x in (0, shape[2]) for y in (0, shape[1])]) @ m[:2, :2].T + m[:2, 2]
            low, high = corners.min(0), corners.max(0)
            whole = np.round(high - low)                  # after a quarter turn; elsewhere the pixels that the corners lie in
            sides = np.where(np.abs(high - low - whole) < 1e-4, whole, np.ceil(high) - np.floor(low))
            size = tuple(int(n) for n in sides[::-1])
            m[:2, 2] += sides / 2 - self.middle(shape)
        return m, size


class RandomAffine(AffineMap):
    """Turn, shift, scale and shear about the middle, at random (torchvision.transforms.v2.RandomAffine).

    degrees: (least, greatest) angle, clockwise, or d for (-d, d); 0 for none.
    translate: greatest shift as shares (of the width, of the height), by whole pixels; scale: (least, greatest) factor.
    shear: degrees along x, one number d for (-d, d) or (least, greatest); four numbers: along x and along y.
    interpolation, fill, center: as in RandomRotation.
    Targets and errors as in Geometric; also ValueError for ranges that are none, factors and shares out of range.

    >>> shift = RandomAffine(0, translate=(0.5, 0), generator=1)
    >>> shift(np.float32([[[1, 2, 3, 4]]]), {"boxes": np.float32([[0, 0, 2, 1]])})
    (array([[[0., 0., 1., 2.]]], dtype=float32), {'boxes': array([[2., 0., 4., 1.]], dtype=float32)})
    """

    def __init__(self, degrees, translate=None, scale=None, shear=None, interpolation="nearest", fill=0, center=None, *,
                 generator=None):
        super().__init__(interpolation, fill, center, generator)
        name = "RandomAffine"
        self.degrees = check_spread(name, "degrees", degrees)
        self.translate = None if translate is None else numbers_of(name, "translate", translate, (2,), 0)
        if translate is not None and max(self.translate) > 1:
            raise ValueError(f"{name}: translate must be shares of width and height from 0 to 1, got {translate!r}.")
        self.scale = None if scale is None else check_interval(name, "scale", scale, 1e-6)
        if shear is not None:
            four = not is_number(shear) and isinstance(shear, Sequence) and len(shear) == 4
            shear = (*(check_interval(name, "shear", shear[:2]) if four else check_spread(name, "shear", shear)),
                     *(check_interval(name, "shear", shear[2:]) if four else (0.0, 0.0)))
            if max(map(abs, shear)) >= 90:
                raise ValueError(f"{name}: shear must be between -90 and 90 degrees, got {shear!r}.")
        self.shear = shear

    def draw(self, rng, shape):
        angle = rng.uniform(*self.degrees)
        limits = np.array(self.translate or (0, 0)) * [shape[2], shape[1]]
        shift = np.round(rng.uniform(-limits, limits))
        scale = 1.0 if self.scale is None else rng.uniform(*self.scale)
        x1, x2, y1, y2 = self.shear or (0, 0, 0, 0)
        along_x, along_y = math.tan(math.radians(rng.uniform(x1, x2))), math.tan(math.radians(rng.uniform(y1, y2)))
        shears = np.array([[1, 0], [-along_y, 1]]) @ [[1, -along_x], [0, 1]]
        return about(scale * turn(angle) @ shears, self.middle(shape), shift), shape[1:]
