"""Elastic deformations: the picture as a sheet of rubber.

New pixel q is read at q + d(q), with a smooth random displacement d in pixels.  Cells and handwriting bend like this, and a
network that saw 30 pictures bent in a thousand ways learns what bending leaves: this carried U-Net.

Two ways to make a smooth d are in use: white noise, blurred by a Gaussian (Simard), or a few random vectors on a coarse grid,
with a smooth surface through them (U-Net).

Points go the other way.  The old point p is seen at the q with q + d(q) = p, found by steps of half the error,
q <- q - (q + d(q) - p) / 2, which bring q nearer unless the sheet is folded: then p is seen several times, or never, and q is a
place near it.  A box has bent edges afterwards; the new one goes around points on them.

Sources: Simard, Steinkraus and Platt 2003, doi:10.1109/ICDAR.2003.1227801, section 2; Ronneberger, Fischer and Brox 2015,
arXiv:1505.04597, section 3.1; torchvision.transforms.v2.ElasticTransform (the unit of alpha).
"""

import numpy as np

from ...packages import require
from .base import Geometric, fill_of
from ..checks import INTERPOLATIONS, check_choice, check_fill, check_pair, check_size, numbers_of
from .sampling import centres, sample

MODES = ("constant", "edge", "symmetric")


class Elastic(Geometric):
    """Base of both: `draw` gives the displacement (2, H, W), along x and along y, in pixels."""

    extra = 31                                            # with the corners 128 points around a box

    def __init__(self, interpolation, fill, padding_mode, generator=None):
        name = type(self).__name__
        super().__init__(generator)
        self.interpolation = check_choice(name, "interpolation", interpolation, INTERPOLATIONS)
        self.fill = check_fill(name, fill)
        self.padding_mode = check_choice(name, "padding_mode", padding_mode, MODES)

    def move(self, x, drawn, kind):
        points = np.stack(np.broadcast_arrays(*centres(*x.shape[1:]))) + drawn
        interpolation = self.interpolation if kind == "image" else "nearest"
        return sample(x, points, interpolation, fill_of(type(self).__name__, self.fill, kind, len(x)), self.padding_mode)

    def move_points(self, p, drawn):
        q = p = p.T
        for _ in range(100):
            error = q + sample(drawn, q, "bilinear", padding_mode="edge") - p
            if np.abs(error).max(initial=0) < 1e-3:
                break
            q = q - error / 2
        return q.T


class ElasticTransform(Elastic):
    """Displace every pixel by blurred noise (torchvision.transforms.v2.ElasticTransform).

    alpha: strength; sigma: standard deviation of the blur in pixels; each one number or a pair (along x, along y).  The
    displacement is alpha / 2 pixels times noise from -1 to 1, evenly distributed and then blurred: about 0.08 alpha / sigma
    pixels, which is torchvision's unit for square pictures (it measures in halves of the picture's height).
    interpolation: "nearest", "bilinear" or "bicubic"; masks take the nearest class always.  fill: as in RandomRotation.
    Targets and errors as in Geometric; also ValueError for negative numbers.

    >>> image = np.random.default_rng(0).random((1, 8, 8))
    >>> (ElasticTransform(alpha=0.0)(image) == image).all(), (ElasticTransform()(image) == image).all()
    (np.True_, np.False_)
    """

    def __init__(self, alpha=50.0, sigma=5.0, interpolation="bilinear", fill=0, *, generator=None):
        super().__init__(interpolation, fill, "constant", generator)
        self.alpha = check_pair("ElasticTransform", "alpha", alpha, 0)
        self.sigma = check_pair("ElasticTransform", "sigma", sigma, 0)

    def draw(self, rng, shape):
        require("ElasticTransform", "scipy")
        from scipy.ndimage import gaussian_filter
        noise = 2 * rng.random((2, *shape[1:]), np.float32) - 1
        return np.stack([alpha / 2 * (gaussian_filter(d, sigma, mode="mirror") if sigma else d)
                         for d, alpha, sigma in zip(noise, self.alpha, self.sigma)])


class RandomGridElastic(Elastic):
    """Displace a coarse grid of points at random, and all pixels smoothly between them: the augmentation of U-Net.

    points: grid points along each axis, at least 2, the outermost on the border of the picture; one number or (rows, columns).
    sigma: standard deviation of their displacement along each axis, in pixels, normally distributed.  The paper has 3 points
    and 10 pixels, for pictures of 512 x 512.  Between the points runs a natural cubic spline in both directions.
    padding_mode: what comes in from beyond the border: "symmetric" (the picture, mirrored), "edge" or "constant" (fill).
    interpolation, fill: as in RandomRotation.  A box that is pushed over the border is clipped; its mirror image is no new one.
    Targets and errors as in Geometric; also ValueError for fewer than 2 points or a negative sigma.

    >>> image, mask = RandomGridElastic(generator=0)(np.ones((1, 64, 64)), np.ones((64, 64), np.int64))
    >>> image.min().round(6), mask.min()
    (np.float64(1.0), np.int64(1))
    """

    def __init__(self, points=3, sigma=10.0, interpolation="bilinear", fill=0, padding_mode="symmetric", *, generator=None):
        super().__init__(interpolation, fill, padding_mode, generator)
        self.points = check_size("RandomGridElastic", points, "points", 2)
        (self.sigma,) = numbers_of("RandomGridElastic", "sigma", (sigma,), (1,), 0)

    def draw(self, rng, shape):
        require("RandomGridElastic", "scipy")
        rows, columns = [spline(count, n) for count, n in zip(self.points, shape[1:])]
        return rows @ rng.normal(0, self.sigma, (2, *self.points)) @ columns.T


def spline(count, n):
    """The matrix (n, count) that draws a natural cubic spline through `count` values and reads it at the middles of n pixels."""
    from scipy.interpolate import CubicSpline
    return CubicSpline(np.linspace(0, n, count), np.eye(count), bc_type="natural")(np.arange(n) + 0.5)
