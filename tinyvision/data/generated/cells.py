"""Cells under a phase-contrast microscope: the task for which U-Net was made, without a download.

A cell is a blob whose radius varies with the angle, r(a) = R (1 + sum_k c_k cos(k a + p_k)), drawn longer one way than the
other.  New cells like to settle beside old ones; where two would overlap, each pixel belongs to the cell deeper inside which it
lies, so that they share a border, as cells in a dish do.  Phase contrast shows optical path length: cells are a little
darker than the medium, with a bright halo around them, granules and a nucleus inside, and hardly a line where two touch.
Brightness inside and outside overlaps, so no threshold finds the cells, and light is uneven across the picture.

Three answers: cell or not; three classes with the border, by which touching cells can be told apart; every cell by itself.
`separation_weights` are the weights by which the paper makes a network learn the gaps.

Sources: Ronneberger, Fischer and Brox 2015, arXiv:1505.04597 (task, weights, equation 2); Zernike 1942 (phase contrast).
"""

import functools

import numpy as np

from ...packages import require
from ..checks import check_choice
from .base import Generated, to_bytes, to_floats
from .drawing import tight_box, turned, window
from .textures import blur, light, sensor, value_noise

VERSION = 1
TARGETS = ("cells", "borders", "instances")


def cell_levels(draws, radius, dx, dy):
    """How far pixels at dx, dy from the middle of a random cell lie outside its outline, in pixels, negative inside."""
    turn, stretch = draws.uniform(0, np.pi), draws.uniform(0.72, 1)
    u, v = turned(dx, dy, turn)
    v = v / stretch
    angle, outline = np.arctan2(v, u), 1.0
    for k in (2, 3, 4, 5):
        outline = outline + draws.uniform(0, 0.22 / k) * np.cos(k * angle + draws.uniform(0, 2 * np.pi))
    return stretch ** 0.5 * (np.hypot(u, v) - radius * outline)


def place_cells(draws, size, radius):
    """The cells of a picture: instance map (H, W), level of the nearest cell per pixel, and (x, y, radius) of each cell.

    The instance map is 0 on the background and 1..n on the cells; the level is exact near cells, and `radius` far from all.
    """
    height, width = size
    count = max(2, round(draws.uniform(0.3, 1.2) * height * width / (np.pi * radius ** 2)))
    owner, level, middles = np.zeros(size, np.int64), np.full(size, float(radius)), []
    for _ in range(count):
        own = radius * draws.uniform(0.7, 1.2)
        if middles and draws.chance(0.6):                 # beside an older cell, near enough to touch
            x, y, other = draws.choice(middles)
            turn, apart = draws.uniform(0, 2 * np.pi), draws.uniform(0.75, 1.0) * (own + other)
            x, y = x + apart * np.cos(turn), y + apart * np.sin(turn)
        else:
            x, y = draws.uniform(0, width), draws.uniform(0, height)
        if any(np.hypot(x - a, y - b) < 0.7 * (own + c) for a, b, c in middles):
            continue                                      # too much on top of another
        middles.append((x, y, own))
        where, dx, dy = window(size, x, y, 2.2 * own)
        new = cell_levels(draws, own, dx, dy)
        owner[where][(new < 0) & (new < level[where])] = len(middles)
        level[where] = np.minimum(level[where], new)
    return whole_pieces(owner), level, middles


def whole_pieces(owner):
    """The map with the pieces cut off from their cell given back to the background, and cells numbered anew from 1."""
    from scipy.ndimage import find_objects, label
    kept, number = np.zeros_like(owner), 0
    for k, where in enumerate(find_objects(owner), 1):
        if where is None:
            continue
        pieces, count = label(owner[where] == k)
        largest = np.bincount(pieces.ravel())[1:]
        if count and largest.max() >= 12:
            number += 1
            kept[where][pieces == largest.argmax() + 1] = number
    return kept


def microscope(draws, owner, level, middles, radius):
    """The picture (1, H, W) of these cells."""
    size, inside = owner.shape, owner > 0
    soft = np.clip(0.5 - level / 2.5, 0, 1)                               # cells rise over a few pixels
    medium = draws.uniform(0.42, 0.55)
    image = medium + 0.05 * (value_noise(draws, size, 6, 3) - 0.5)
    grain = value_noise(draws, size, max(size) / (0.35 * radius), 2) - 0.5
    image = image + soft * (draws.uniform(-0.12, 0.03) + draws.uniform(0.25, 0.5) * grain)
    halo = blur(soft, draws.uniform(0.1, 0.17) * radius + 0.5)
    image = image + draws.uniform(0.5, 0.9) * np.clip(halo - soft, 0, 1)  # light that the cells bent away
    rim = np.exp(-((level + 0.1 * radius) / (0.09 * radius + 0.6)) ** 2)
    image = image - draws.uniform(0.05, 0.15) * rim * inside
    seam = borders_between(owner)
    image = image + blur(seam * draws.uniform(0.02, 0.2), 0.6)            # where two cells touch: faint, or hardly there
    nuclei(draws, image, owner, middles)
    debris(draws, image, radius)
    image = blur(image * light(draws, size, 0.45), draws.uniform(0.4, 0.9))
    return sensor(draws, np.clip(image, 0, 1), draws.uniform(0.015, 0.05))[None]


def nuclei(draws, image, owner, middles):
    """Add a darker or brighter nucleus near the middle of each cell, with a dark spot in it."""
    for x, y, own in middles:
        nx, ny, reach = x + draws.uniform(-0.2, 0.2) * own, y + draws.uniform(-0.2, 0.2) * own, draws.uniform(0.28, 0.42) * own
        where, dx, dy = window(image.shape, nx, ny, reach + 2)
        inside, strength = owner[where] > 0, draws.choice((-1, 1, 1)) * draws.uniform(0.02, 0.1)
        image[where] += strength * inside * np.clip(0.5 - (np.hypot(dx, dy) - reach) / 2, 0, 1)
        image[where] -= 0.12 * inside * np.clip(0.5 + 0.3 * reach - np.hypot(dx - 0.3 * reach, dy), 0, 1)


def debris(draws, image, radius):
    """Add small bright or dark specks with a ring, everywhere: no cells."""
    for _ in range(draws.integer(0, 2 + image.size // 1500)):
        x, y = draws.uniform(0, image.shape[1]), draws.uniform(0, image.shape[0])
        reach = draws.uniform(0.6, 0.14 * radius + 0.8)
        where, dx, dy = window(image.shape, x, y, 4 * reach)
        away = (dx ** 2 + dy ** 2) / reach ** 2
        image[where] += draws.uniform(-0.3, 0.4) * (1 - away) * np.exp(-away)


def neighbours(owner):
    """The map seen from each of the eight neighbours of a pixel; beyond the border it repeats."""
    height, width = owner.shape
    padded = np.pad(owner, 1, mode="edge")
    return [padded[i:i + height, j:j + width] for i in range(3) for j in range(3) if (i, j) != (1, 1)]


def borders_between(owner):
    """True where a pixel of a cell has a pixel of another cell among its eight neighbours, (H, W)."""
    return np.logical_or.reduce([(owner > 0) & (near > 0) & (near != owner) for near in neighbours(owner)])


def cell_classes(owner):
    """0 background, 1 inside, 2 border: a cell's pixel with background or another cell among its eight neighbours."""
    border = np.logical_or.reduce([(owner > 0) & (near != owner) for near in neighbours(owner)])
    return np.where(border, 2, owner > 0).astype(np.int64)


class CellSegmentation(Generated):
    """Pictures of cells, many of them touching, with one of three answers for every pixel.

    Shapes: example (image, mask): image (1, H, W), float32, 0..1; mask (H, W), int64, by `target`:
    "cells": 0 background, 1 cell; "borders": also 2, the outermost pixels of each cell, towards background and neighbours.
    With target="instances" the example is (image, target) as in SceneDetection: "boxes" (n, 4), "labels" (n,) all 1, and
    "masks" (n, H, W) bool.
    radius: mean radius of a cell in pixels; None: an eighth of the smaller side, at least 5.
    `.images` (N, 1, H, W), `.masks` (N, H, W), `.instances` (N, H, W), int64, 0 background and 1..n the cells.
    Raises ValueError for another target, a radius below 4 or above half the smaller side; else as Generated; the smallest size
    is 32.

    >>> image, mask = CellSegmentation(2, 64)[0]
    >>> image.shape, mask.shape, CellSegmentation.classes
    ((1, 64, 64), (64, 64), ('background', 'cell'))
    """

    family, VERSION, least, default, classes = "cells", VERSION, 32, 128, ("background", "cell")

    def __init__(self, n, size=None, seed=0, *, target="cells", radius=None, train=True, cache=True):
        require("CellSegmentation", "scipy")
        super().__init__(n, size, seed, train=train, cache=cache)
        self.target = check_choice(self.name, "target", target, TARGETS)
        self.radius = max(5, min(self.size) / 8) if radius is None else radius
        if not 4 <= self.radius <= min(self.size) / 2:
            raise ValueError(f"{self.name}: radius must be from 4 to {min(self.size) / 2}, half the smaller side, in pixels, "
                             f"got {radius}.")
        if target == "borders":
            self.classes = ("background", "cell", "border")

    def draw(self, draws, index):
        owner, level, middles = place_cells(draws, self.size, self.radius)
        image = to_bytes(microscope(draws, owner, level, middles, self.radius))
        return {"image": image, "owner": owner.astype(np.uint16)}

    def example(self, drawing):
        if self.target != "instances":
            return to_floats(drawing["image"]), self.mask(drawing)
        count = int(drawing["owner"].max())
        masks = drawing["owner"] == np.arange(1, count + 1, dtype=np.uint16).reshape(-1, 1, 1)
        return to_floats(drawing["image"]), {
            "boxes": np.array([tight_box(mask) for mask in masks], np.float32).reshape(-1, 4),
            "labels": np.ones(count, np.int64), "masks": masks}

    def mask(self, drawing):
        """The class of every pixel, (H, W)."""
        owner = drawing["owner"].astype(np.int64)
        return cell_classes(owner) if self.target == "borders" else (owner > 0).astype(np.int64)

    @functools.cached_property
    def masks(self):
        """All masks, (N, H, W), int64: with the border as a class where target is "borders"."""
        return np.stack([self.mask(self.drawing(i)) for i in range(self.n)])

    @functools.cached_property
    def instances(self):
        """Which cell every pixel belongs to, (N, H, W), int64: 0 background, 1..n."""
        return self.column("owner").astype(np.int64)


def separation_weights(instances, w0=10.0, sigma=5.0):
    """The weight of every pixel that makes a network learn the gaps between cells (U-Net paper, equation 2, without w_c).

    w = 1 + w0 exp(-(d1 + d2)^2 / (2 sigma^2)) on the background, d1 and d2 the distances in pixels to the nearest and the second
    nearest cell; 1 inside cells and where there are fewer than two.  Pixels of a cell that touch another one count as gap:
    the paper draws a line of background there, and here there is none.
    Shapes: instances (H, W), integers, 0 background -> weights (H, W), float32.
    Raises ValueError for other shapes, TypeError where they are not integers.

    >>> cells = np.zeros((5, 9), np.int64); cells[:, :3] = 1; cells[:, 6:] = 2
    >>> " ".join(f"{weight:.1f}" for weight in separation_weights(cells)[2])
    '1.0 1.0 1.0 8.3 8.3 8.3 1.0 1.0 1.0'
    """
    require("separation_weights", "scipy")
    from scipy.ndimage import distance_transform_edt
    instances = np.asarray(instances)
    if instances.ndim != 2:
        raise ValueError(f"separation_weights: instances must be (H, W), got {instances.shape}. Pass one picture's map.")
    if instances.dtype.kind not in "iu":
        raise TypeError(f"separation_weights: instances must be integers, got {instances.dtype}.")
    numbers = np.unique(instances[instances > 0])
    weights = np.ones(instances.shape, np.float32)
    if len(numbers) < 2:
        return weights
    first, second = np.full((2, *instances.shape), np.inf)
    for number in numbers:
        distance = distance_transform_edt(instances != number)
        first, second = np.minimum(first, distance), np.minimum(second, np.maximum(first, distance))
    gap = (instances == 0) | borders_between(instances)
    weights[gap] += (w0 * np.exp(-(first + second) ** 2 / (2 * sigma ** 2)))[gap]
    return weights
