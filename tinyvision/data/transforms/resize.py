"""Resizing, and crops of random size and shape.

Shrinking without care takes every k-th pixel and lets fine stripes turn into coarse ones that were never there (aliasing);
`antialias` averages over what each new pixel covers.  Masks take the class at the middle of each new pixel.  Boxes and points are
multiplied by new size / old size, exactly.

RandomResizedCrop is the augmentation of ImageNet: a window of 8 to 100 percent of the area, resized to one size, teaches that a
dog is a dog at any distance, and that half a dog is one.

Sources: Szegedy et al. 2015, arXiv:1409.4842, section 6 (random area and ratio); torchvision.transforms.v2 (names, rounding);
ops/resample.py (the arithmetic).
"""

import math

import numpy as np

from ...ops.resample import interpolate
from .base import Geometric
from ..checks import check_choice, check_flag, check_interval, check_size, is_integer
from .crop import Window

MODES = ("nearest", "nearest-exact", "bilinear", "bicubic")


def resized(x, size, interpolation, antialias, kind):
    """Arrays (K, H, W) of another size, pictures as asked, masks by the class at the middle of each pixel."""
    if x.shape[1:] == size:
        return x.copy()
    if kind == "image" and interpolation in ("bilinear", "bicubic"):
        return interpolate(x[None], size, mode=interpolation, antialias=antialias)[0]
    return interpolate(x[None], size, mode=interpolation if kind == "image" else "nearest-exact")[0]


class Resize(Geometric):
    """Change the size (torchvision.transforms.v2.Resize).

    size: (height, width), or one number for the smaller side: the other follows, rounded down, and the ratio stays.
    interpolation: "bilinear", "bicubic", "nearest" (left upper pixel) or "nearest-exact" (middle one); antialias: for the first
    two, average before shrinking.  max_size: with one number, the most that the larger side may have.
    Targets and errors as in Geometric; also ValueError for sizes below 1 and for max_size with two numbers or below size.

    >>> target = {"boxes": np.float32([[0, 0, 2, 1]]), "labels": np.array([3])}
    >>> image, target = Resize((2, 2))(np.arange(8.0).reshape(1, 2, 4), target)
    >>> image.shape, target["boxes"]
    ((1, 2, 2), array([[0., 0., 1., 1.]], dtype=float32))
    """

    def __init__(self, size, interpolation="bilinear", max_size=None, antialias=True, *, generator=None):
        super().__init__(generator)
        self.size = int(size) if is_integer(size) and size > 0 else check_size("Resize", size)
        if not is_integer(size) and len(size) == 1:
            self.size = self.size[0]
        self.interpolation = check_choice("Resize", "interpolation", interpolation, MODES)
        self.antialias = check_flag("Resize", "antialias", antialias)
        if max_size is not None and (not is_integer(max_size) or not is_integer(self.size) or max_size <= self.size):
            raise ValueError(f"Resize: max_size limits the larger side, for a size of one number below it, got size={size!r} and "
                             f"max_size={max_size!r}.")
        self.max_size = max_size

    def draw(self, rng, shape):
        return shape[1:], self.new_size(*shape[1:])

    def new_size(self, height, width):
        """The size of the new picture."""
        if not is_integer(self.size):
            return self.size
        short, long = self.size, int(self.size * max(height, width) / min(height, width))
        if self.max_size is not None and long > self.max_size:
            short, long = max(1, int(self.max_size * short / long)), self.max_size
        return (short, long) if height <= width else (long, short)

    def move(self, x, drawn, kind):
        return resized(x, drawn[1], self.interpolation, self.antialias, kind)

    def move_points(self, p, drawn):
        (height, width), (new_height, new_width) = drawn
        return p * [new_width / width, new_height / height]


class RandomResizedCrop(Geometric):
    """Cut out a window of random area and ratio, and resize it (torchvision.transforms.v2.RandomResizedCrop).

    size: (height, width) of the result, or one number.  scale: least and greatest share of the picture's area; ratio: least and
    greatest width / height of the window, drawn evenly on a logarithmic scale.  Where ten windows do not fit, the largest one in
    the middle within these ratios is taken.
    interpolation, antialias: as in Resize.
    Targets and errors as in Geometric; also ValueError for ranges that are none or not positive.

    >>> RandomResizedCrop((2, 3), generator=0)(np.ones((1, 8, 8)))
    array([[[1., 1., 1.],
            [1., 1., 1.]]])
    """

    def __init__(self, size, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), interpolation="bilinear", antialias=True, *,
                 generator=None):
        super().__init__(generator)
        self.size, self.window = check_size("RandomResizedCrop", size), Window(0, "constant", self.generator)
        self.scale = check_interval("RandomResizedCrop", "scale", scale, 1e-12)
        self.ratio = check_interval("RandomResizedCrop", "ratio", ratio, 1e-12)
        self.interpolation = check_choice("RandomResizedCrop", "interpolation", interpolation, MODES)
        self.antialias = check_flag("RandomResizedCrop", "antialias", antialias)

    def draw(self, rng, shape):
        height, width = shape[1:]
        top, left, h, w = self.part(rng, height, width)
        return (-left, -top, left + w - width, top + h - height), (h, w)

    def part(self, rng, height, width):
        """Top, left, height and width of the window."""
        for _ in range(10):
            area = height * width * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(*np.log(self.ratio)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                return int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1)), h, w
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        h, w = min(height, max(1, round(width / ratio))), min(width, max(1, round(height * ratio)))
        return (height - h) // 2, (width - w) // 2, h, w

    def move(self, x, drawn, kind):
        return resized(self.window.move(x, drawn[0], kind), self.size, self.interpolation, self.antialias, kind)

    def move_points(self, p, drawn):
        sides, (h, w) = drawn
        return self.window.move_points(p, sides) * [self.size[1] / w, self.size[0] / h]
