"""Worse pictures: blurred, noisy, with a hole.

A network that has seen them does not rely on the sharpest edge or on one part of the thing.  Erasing a rectangle is dropout for
places: the cat must be known by its tail as well.

Sources: Zhong et al. 2017, arXiv:1708.04896, algorithm 1 (random erasing); DeVries and Taylor 2017, arXiv:1708.04552 (cutout);
torchvision.transforms.v2.
"""

import math

import numpy as np

from ...packages import require
from .base import Photometric
from ..checks import check_flag, check_interval, check_probability, check_size, is_number, numbers_of


class GaussianBlur(Photometric):
    """Blur by a Gaussian of random width (torchvision.transforms.v2.GaussianBlur).

    kernel_size: width of the window in pixels, odd, one number or (along x, along y); sigma: standard deviation in pixels,
    (least, greatest) or one number.  The Gaussian is cut off at the window, so the window should be about 6 sigma wide.
    Beyond the border the picture is mirrored, c b a b c.
    Raises ValueError for an even window, and for sigma of 0 or less.

    >>> GaussianBlur(3, sigma=1.0)(np.float32([[[0, 0, 1, 0, 0]]])).round(3)
    array([[[0.   , 0.274, 0.452, 0.274, 0.   ]]], dtype=float32)
    """

    def __init__(self, kernel_size, sigma=(0.1, 2.0), *, generator=None):
        super().__init__(generator)
        self.kernel_size = check_size("GaussianBlur", kernel_size, "kernel_size")
        if not all(n % 2 for n in self.kernel_size):
            raise ValueError(f"GaussianBlur: kernel_size must be odd, to have a middle, got {kernel_size!r}.")
        self.sigma = check_interval("GaussianBlur", "sigma", (sigma, sigma) if is_number(sigma) else sigma, 1e-6)

    def draw(self, rng, shape):
        return rng.uniform(*self.sigma)

    def colour(self, x, drawn):
        require("GaussianBlur", "scipy")
        from scipy.ndimage import correlate1d
        for axis, n in zip((2, 1), self.kernel_size):
            d = np.arange(n) - n // 2
            weights = np.exp(-0.5 * (d / drawn) ** 2)
            x = correlate1d(x, weights / weights.sum(), axis, mode="mirror")
        return x


class GaussianNoise(Photometric):
    """Add independent normal noise to every value (torchvision.transforms.v2.GaussianNoise).

    mean, sigma: of the noise, in brightness; clip: keep the result within 0..1.
    Raises ValueError for a negative sigma.

    >>> noisy = GaussianNoise(sigma=0.1, clip=False, generator=0)(np.full((1, 100, 100), 0.5))
    >>> noisy.mean().round(2), noisy.std().round(2)
    (np.float64(0.5), np.float64(0.1))
    """

    def __init__(self, mean=0.0, sigma=0.1, clip=True, *, generator=None):
        super().__init__(generator)
        (self.mean,) = numbers_of("GaussianNoise", "mean", (mean,), (1,))
        (self.sigma,) = numbers_of("GaussianNoise", "sigma", (sigma,), (1,), 0)
        self.clip = check_flag("GaussianNoise", "clip", clip)

    def draw(self, rng, shape):
        return rng.standard_normal(shape, np.float32)

    def colour(self, x, drawn):
        y = x + (self.mean + self.sigma * drawn).astype(x.dtype)
        return np.clip(y, 0, 1) if self.clip else y


class RandomErasing(Photometric):
    """Erase a rectangle with probability p (torchvision.transforms.v2.RandomErasing); boxes and masks stay.

    scale: least and greatest share of the picture's area; ratio: least and greatest height / width, drawn evenly on a
    logarithmic scale.  Where ten rectangles do not fit, nothing is erased.
    value: what stands there then, one number, one per channel, or "random" for normal noise.
    Raises ValueError for ranges that are none, p outside 0..1, and another number of values than channels.

    >>> (RandomErasing(p=1, scale=(0.25, 0.25), ratio=(1, 1), generator=0)(np.ones((1, 8, 8))) == 0).sum()
    np.int64(16)
    """

    def __init__(self, p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0.0, *, generator=None):
        super().__init__(generator)
        self.p = check_probability("RandomErasing", p)
        self.scale = check_interval("RandomErasing", "scale", scale, 0, 1)
        self.ratio = check_interval("RandomErasing", "ratio", ratio, 1e-12)
        if value != "random":
            numbers_of("RandomErasing", "value", (value,) if is_number(value) else value, range(1, 1 + np.size(value)))
        self.value = value

    def check(self, target, shape):
        if self.value != "random" and np.size(self.value) not in (1, shape[0]):
            raise ValueError(f"RandomErasing: value must be one number or one per channel, got {np.size(self.value)} for "
                             f"{shape[0]} channels.")

    def draw(self, rng, shape):
        if rng.random() >= self.p:
            return None
        channels, height, width = shape
        for _ in range(10):
            area = height * width * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(*np.log(self.ratio)))
            h, w = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if h < height and w < width:
                top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
                noise = rng.standard_normal((channels, h, w), np.float32) if self.value == "random" else None
                return top, left, h, w, noise
        return None

    def colour(self, x, drawn):
        top, left, h, w, noise = drawn
        y = x.copy()
        y[:, top:top + h, left:left + w] = np.reshape(self.value, (-1, 1, 1)) if noise is None else noise
        return y
