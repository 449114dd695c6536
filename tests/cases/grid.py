"""Sampling: points inside, on all sides outside and far outside; non-square pictures, one pixel, empty batch, three axes."""

import numpy as np

from tests.cases import Spec, case, constant, randn
from tests.oracles.grid import affine_grid, grid_sample


def points(sizes, align_corners, *shape):
    """A grid whose points, counted in pixels, keep a tenth away from whole and half numbers, where a slope jumps."""
    def draw(rng):
        I = np.array(sizes[::-1])
        p = rng.integers(-4, I + 4, shape) + rng.choice([0, 0.5], shape) + rng.uniform(0.1, 0.4, shape)
        return 2 * p / np.maximum(I - 1, 1) - 1 if align_corners else (2 * p + 1) / I - 1
    return Spec(draw, f"points{shape}")


def sample(x, *shape, **kwargs):
    """x read at a grid of this shape; x has its sizes in its text."""
    sizes = tuple(map(int, x.text.strip("()").split(",")))[2:]
    grid = points(sizes, kwargs.get("align_corners"), *shape)
    if kwargs.get("mode") == "nearest":
        grid = constant(grid)                             # PyTorch reports a slope of zeros, we report none
    return case("grid_sample", x, grid, linear=(0,), oracle=grid_sample, **kwargs)


CASES = [
    sample(randn(2, 2, 4, 3), 2, 3, 4, 2),
    sample(randn(0, 2, 4, 3), 0, 3, 4, 2, align_corners=False),
    sample(randn(2, 1, 1, 1), 2, 2, 3, 2, align_corners=False),
    sample(randn(2, 1, 1, 3), 2, 2, 3, 2, padding_mode="reflection", align_corners=True),
    sample(randn(1, 1, 3, 2, 3), 1, 2, 2, 3, 3, padding_mode="border"),
    *[sample(randn(2, 2, 4, 3), 2, 3, 2, 2, mode=mode, padding_mode=padding_mode, align_corners=align_corners)
      for mode in ("bilinear", "nearest") for padding_mode in ("zeros", "border", "reflection")
      for align_corners in (False, True)],
    *[sample(randn(1, 2, 4, 3), 1, 3, 1, 2, mode="bicubic", padding_mode=padding_mode, align_corners=align_corners)
      for padding_mode in ("zeros", "border", "reflection") for align_corners in (False, True)],
    *[sample(randn(1, 2, 2, 3, 4), 1, 2, 1, 3, 3, mode=mode, padding_mode=padding_mode, align_corners=align_corners)
      for mode, padding_mode, align_corners in [("bilinear", "zeros", True), ("bilinear", "reflection", False),
                                                ("nearest", "zeros", False), ("nearest", "border", True)]],
    case("affine_grid", randn(2, 2, 3), (2, 1, 3, 4), linear=(0,), oracle=affine_grid),
    case("affine_grid", randn(2, 2, 3), (2, 3, 2, 5), align_corners=True, linear=(0,), oracle=affine_grid),
    case("affine_grid", randn(1, 3, 4), (1, 1, 2, 3, 4), align_corners=False, linear=(0,), oracle=affine_grid),
    case("affine_grid", randn(2, 3, 4), (2, 1, 3, 1, 2), align_corners=True, linear=(0,), oracle=affine_grid, torch=None),
    case("affine_grid", randn(0, 2, 3), (0, 1, 2, 2), align_corners=True, linear=(0,), oracle=affine_grid, torch=None),
]
