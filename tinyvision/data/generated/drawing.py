"""Drawing: what a shape is, which pixels it covers, and who owns a pixel.

A shape is a signed distance: a function of the plane, negative inside, positive outside, zero on the outline.  Union,
intersection and difference of shapes are minimum, maximum and maximum with the negative.  Moved, turned and scaled shapes are
the same function of moved, turned and scaled coordinates.

At a pixel centre with distance d (in pixels) the shape's mask is d < 0, and its colour covers the share 1/2 - d of the pixel,
between 0 and 1: an edge that blends over one pixel, as a camera's does.  The canvas also notes for each pixel whose mask
covered it last, so that the visible masks of what was drawn are disjoint, and exact under occlusion.

Pixel (row i, column j) has its centre at (x, y) = (j + 1/2, i + 1/2); x goes right, y down.

Source: Hart 1996, Sphere tracing, doi:10.1007/s003710050084 (signed distances and their algebra).
"""

import functools

import numpy as np


def disk(x, y, radius=1.0):
    return np.hypot(x, y) - radius


def ellipse(x, y, a, b):
    """Nearly the distance to the ellipse of half axes a and b: its implicit function over the length of that one's gradient."""
    level = np.hypot(x / a, y / b)
    return level * (level - 1) / np.maximum(np.hypot(x / a ** 2, y / b ** 2), 1e-9)


def box(x, y, a, b):
    """The rectangle |x| <= a, |y| <= b."""
    return np.maximum(np.abs(x) - a, np.abs(y) - b)


def round_box(x, y, a, b, radius):
    """The rectangle with corners of this radius."""
    dx, dy = np.abs(x) - (a - radius), np.abs(y) - (b - radius)
    return np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0) - radius


def segment(x, y, x1, y1, x2, y2, radius):
    """The line from (x1, y1) to (x2, y2), with round ends."""
    dx, dy = x2 - x1, y2 - y1
    along = np.clip(((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - x1 - along * dx, y - y1 - along * dy) - radius


def polygon(x, y, corners):
    """The polygon with these corners (K, 2): distance to the nearest side, inside by the even-odd rule."""
    corners = np.asarray(corners, np.float64)
    inside, nearest = np.zeros(np.shape(x), bool), np.full(np.shape(x), np.inf)
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0)):
        dx, dy = x2 - x1, y2 - y1
        px, py = x - x1, y - y1
        along = np.clip((px * dx + py * dy) / (dx * dx + dy * dy), 0, 1)
        nearest = np.minimum(nearest, (px - along * dx) ** 2 + (py - along * dy) ** 2)
        inside ^= ((y1 <= y) != (y2 <= y)) & ((px * dy < py * dx) == (dy > 0))
    return np.where(inside, -1, 1) * np.sqrt(nearest)


def union(*distances):
    return functools.reduce(np.minimum, distances)


def difference(distance, removed):
    return np.maximum(distance, -removed)


def turned(x, y, angle):
    """The coordinates in which a shape drawn upright appears turned clockwise by the angle, in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return c * x + s * y, c * y - s * x


def window(shape, x, y, reach, reach_y=None):
    """The part of an (H, W) array within reach of (x, y): its index, and the coordinates of its pixels relative to (x, y)."""
    sides, axes = [], []
    for size, middle, away in zip(shape, (y, x), (reach if reach_y is None else reach_y, reach)):
        start, stop = min(max(int(middle - away - 1), 0), size), max(min(int(middle + away + 2), size), 0)
        sides.append(slice(start, max(start, stop)))
        axes.append(np.arange(start, max(start, stop)) + 0.5 - middle)
    return tuple(sides), *np.meshgrid(axes[1], axes[0])


class Canvas:
    """A picture in the making: `image` (C, H, W) and `owner` (H, W), who covered each pixel last (0: the background)."""

    def __init__(self, background):
        self.image = np.array(background, np.float64)
        self.height, self.width = self.image.shape[1:]
        self.owner = np.zeros((self.height, self.width), np.int64)

    def window(self, x, y, reach, reach_y=None):
        """The part of the canvas within reach of (x, y), as `window` gives it."""
        return window((self.height, self.width), x, y, reach, reach_y)

    def paint(self, where, distance, fill, opacity=1.0):
        """Cover what has a negative distance (pixels) with a fill (C, h, w); `where` is the window's index."""
        part = self.image[(slice(None), *where)]
        part += opacity * np.clip(0.5 - distance, 0, 1) * (fill - part)

    def own(self, where, mask, number):
        """Note that the pixels of the mask now show this number."""
        self.owner[where][mask] = number


def tight_box(mask):
    """The smallest box around a mask that is not empty: x1, y1, x2, y2, of which x2 and y2 are the first pixel outside."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
