"""Volumes like those of a CT scanner: tissue in three dimensions, where one slice does not tell what it cuts.

A body with two dark lungs, a bright shell of bone around it, branching tubes (vessels) through the lungs, and blobs (nodules).
Vessels and nodules have the same brightness, and cut across both are disks: only the neighbouring slices tell a tube from a
ball.  That is what a 3-D convolution sees and a 2-D one does not.  Noise, blur and a shading complete the scanner.

Brightness is that of a lung window: 0 is air, about 0.6 soft tissue and vessels, 1 bone.

Source: Setio et al. 2017, LUNA16, arXiv:1612.08012 (finding nodules among vessels).
"""

import functools

import numpy as np

from .base import Generated, check_integer, to_bytes, to_floats
from .drawing import tight_box
from .textures import blur

VERSION = 1
CLASSES = ("background", "vessel", "nodule", "bone")


def ellipsoid(grid, middle, axes):
    """1 on the surface, less inside: the implicit function of an ellipsoid over a grid (z, y, x)."""
    return np.sqrt(sum(((axis - m) / a) ** 2 for axis, m, a in zip(grid, middle, axes)))


def path(draws, start, steps, step, bend):
    """The points of a tube that starts at `start` (z, y, x) and bends at random, (steps, 3)."""
    direction, points = draws.normal(3), [np.array(start)]
    for _ in range(steps):
        direction = direction / np.linalg.norm(direction) + bend * draws.normal(3)
        points.append(points[-1] + step * direction / np.linalg.norm(direction))
    return np.array(points)


def near_path(grid, points, radii):
    """How far each voxel lies outside a tube of these points and radii, negative inside."""
    level = np.full([axis.size for axis in grid], np.inf)
    for point, radius in zip(points, radii):
        where = tuple(slice(max(int(p - radius - 3), 0), max(int(p + radius + 4), 0)) for p in point)
        part = [np.moveaxis(np.moveaxis(axis, k, 0)[where[k]], 0, k) for k, axis in enumerate(grid)]
        away = np.sqrt(sum((axis - p) ** 2 for axis, p in zip(part, point))) - radius
        level[where] = np.minimum(level[where], away)
    return level


class VolumeSegmentation(Generated):
    """Volumes of a chest with vessels, nodules and bone, and the class of every voxel.

    Shapes: example (volume, mask): volume (1, D, H, W), float32, 0..1; mask (D, H, W), int64: 0 background (air, lung and
    soft tissue), 1 vessel, 2 nodule, 3 bone.  size: one number or (D, H, W), at least 16 each.  Nodules are rare: about
    one voxel in a hundred.
    `.volumes` (N, 1, D, H, W), `.masks` (N, D, H, W); `boxes(i)` (n, 6), the bounds of the nodules of example i.
    Raises as Generated does.

    >>> volume, mask = VolumeSegmentation(2, 24)[0]
    >>> volume.shape, mask.shape, VolumeSegmentation.classes[2]
    ((1, 24, 24, 24), (24, 24, 24), 'nodule')
    """

    family, VERSION, least, default, classes = "volumes", VERSION, 16, 32, CLASSES

    def check_size(self, size):
        sides = tuple(size) if isinstance(size, (tuple, list)) else (size,) * 3
        if len(sides) != 3:
            raise ValueError(f"{self.name}: size must be one number or (depth, height, width), got {size!r}.")
        return tuple(check_integer(self.name, "size", side, self.least, 512) for side in sides)

    def draw(self, draws, index):
        shape = np.array(self.size, float)
        grid = np.ogrid[tuple(slice(0, side) for side in self.size)]
        middle = shape / 2 - 0.5 + draws.uniform(-0.04, 0.04, 3) * shape
        wide = np.array([draws.uniform(0.6, 0.8), draws.uniform(0.36, 0.42), draws.uniform(0.42, 0.47)]) * shape
        body, shell = ellipsoid(grid, middle, wide), draws.uniform(0.07, 0.11)
        apart = np.array([0, 0, 0.47 * wide[2]])
        lungs = np.minimum(*(ellipsoid(grid, middle + side * apart, wide * [0.85, 0.72, 0.38]) for side in (-1, 1)))
        tissue = draws.uniform(0.5, 0.62)
        volume = np.where(body < 1, tissue, draws.uniform(0.02, 0.08)) + np.zeros(self.size)
        volume = np.where(lungs < 1, draws.uniform(0.12, 0.22), volume)
        bone = (np.abs(body - 0.9) < shell / 2) & (np.sin(grid[0] * 2 * np.pi / (0.3 * shape[0]) + draws.uniform(0, 6)) > -0.4)
        volume = np.where(bone, draws.uniform(0.85, 0.97), volume)
        mask = np.where(bone, 3, 0)
        bright = tissue + draws.uniform(-0.04, 0.08)      # of vessels and nodules alike
        nodules = np.zeros(self.size, np.int64)
        volume = self.vessels(draws, grid, volume, mask, lungs, bright)
        volume = self.nodules(draws, grid, volume, mask, lungs, bright, nodules)
        volume = blur(volume, draws.uniform(0.4, 0.7), axes=(-3, -2, -1))
        for axis in (1, 2):
            volume = volume * (1 + draws.uniform(-0.08, 0.08) * (grid[axis] / shape[axis] - 0.5))
        volume = volume + draws.uniform(0.015, 0.05) * draws.normal(self.size)
        return {"image": to_bytes(volume)[None], "mask": mask.astype(np.uint8), "nodules": nodules.astype(np.uint8)}

    def vessels(self, draws, grid, volume, mask, lungs, bright):
        """Tubes that start inside the lungs, branch once and thin out."""
        for _ in range(draws.integer(5, 10)):
            start = self.inside(draws, lungs)
            radius, steps = draws.uniform(0.03, 0.055) * min(self.size) + 0.4, 2 * max(self.size) // 3
            trunk = path(draws, start, steps, 0.9, 0.22)
            branch = path(draws, trunk[steps // 3], steps // 2, 0.9, 0.22)
            level = np.minimum(near_path(grid, trunk, np.linspace(radius, 0.5 * radius, len(trunk))),
                               near_path(grid, branch, np.linspace(0.7 * radius, 0.4 * radius, len(branch))))
            cover = np.clip(0.5 - level, 0, 1) * (lungs < 1)
            volume = volume + cover * (bright * draws.uniform(0.9, 1.05) - volume)
            mask[(level < 0) & (lungs < 1)] = 1
        return volume

    def nodules(self, draws, grid, volume, mask, lungs, bright, numbers):
        """One to three blobs, away from the lungs' border, with a slightly wavy surface; `numbers` notes which is which."""
        for number in range(1, draws.integer(2, 5)):
            middle, radius = self.inside(draws, lungs, 0.75), draws.uniform(0.05, 0.1) * min(self.size) + 0.6
            axes = radius * draws.uniform(0.8, 1.2, 3)
            level = (ellipsoid(grid, middle, axes) - 1) * radius
            level = level + 0.12 * radius * np.sin(3 * (grid[0] - middle[0]) / radius + draws.uniform(0, 6)) \
                * np.sin(3 * (grid[2] - middle[2]) / radius)
            level = np.maximum(level, (lungs - 1.05) * radius)            # it may touch the wall, but not grow through it
            cover = np.clip(0.5 - level, 0, 1)
            volume = volume + cover * (bright * draws.uniform(0.9, 1.05) - volume)
            mask[level < 0] = 2
            numbers[level < 0] = number
        return volume

    def inside(self, draws, lungs, limit=0.9):
        """A random voxel inside a lung, as (z, y, x)."""
        places = np.argwhere(lungs < limit)
        return places[draws.integer(0, len(places))].astype(float)

    def example(self, drawing):
        return to_floats(drawing["image"]), drawing["mask"].astype(np.int64)

    @functools.cached_property
    def volumes(self):
        """All volumes, (N, 1, D, H, W), float32."""
        return to_floats(self.column("image"))

    @functools.cached_property
    def masks(self):
        """All masks, (N, D, H, W), int64."""
        return self.column("mask").astype(np.int64)

    def boxes(self, index):
        """The bounds of the nodules of an example, (n, 6), float32, in voxels: x1, y1, z1, and x2, y2, z2, exclusive."""
        numbers, rows = self.drawing(index)["nodules"], []
        for number in range(1, int(numbers.max()) + 1):
            seen = numbers == number
            if seen.any():                                # a later nodule may have covered all of it
                x1, y1, x2, y2 = tight_box(seen.any(axis=0))
                depth = np.flatnonzero(seen.any(axis=(1, 2)))
                rows.append([x1, y1, depth[0], x2, y2, depth[-1] + 1])
        return np.array(rows, np.float32).reshape(-1, 6)
