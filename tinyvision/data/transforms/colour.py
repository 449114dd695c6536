"""Colours: what the light does to a picture, and what the answer must not depend on.

    brightness  x -> f x                              contrast    x -> f x + (1 - f) mean of the grey picture
    saturation  x -> f x + (1 - f) grey               hue         turn the circle of colours: red, yellow, green, ... red

All clip to 0..1, so they come before Normalize, which shifts and scales each channel to mean 0 and standard deviation 1 over the
training set: x -> (x - mean) / std.  Grey is 0.299 R + 0.587 G + 0.114 B, the eye's weights (ITU-R BT.601).

Sources: Howard 2013, arXiv:1312.5402 (random brightness, contrast, colour); torchvision.transforms.v2; Smith 1978, Color Gamut
Transform Pairs (hue, saturation, value).
"""

import numpy as np

from .base import Photometric
from ..checks import check_interval, check_probability, check_spread, is_number, numbers_of

WEIGHTS = np.array([0.299, 0.587, 0.114])


def grey(x):
    """The brightness (1, H, W) of a picture in three colours; a grey picture (1, H, W) is it already."""
    return x if len(x) == 1 else np.tensordot(WEIGHTS.astype(x.dtype), x, 1)[None]


class Colours(Photometric):
    """Base of the transforms that know what the channels mean."""

    def check(self, target, shape):
        if shape[0] not in (1, 3):
            raise ValueError(f"{type(self).__name__}: a picture must have 1 channel, grey, or 3, red, green and blue, got "
                             f"{shape[0]}. Pick them: image[:3].")


def mixed(x, other, factor):
    """factor x + (1 - factor) other, within 0..1."""
    return np.clip(factor * x + (1 - factor) * other, 0, 1)


def turned(x, shift):
    """The colours (3, H, W) with their hue shifted by a part of the whole circle."""
    high, low = x.max(0), x.min(0)
    span = high - low
    r, g, b = x
    # the hue in sixths of the circle, by the largest channel; grey has none, and gets 0
    sixth = np.where(high == r, (g - b), np.where(high == g, (b - r), (r - g))) / np.where(span == 0, 1, span)
    sixth += np.where(high == r, 0, np.where(high == g, 2, 4))
    sixth += 6 * shift
    # red, green and blue are one curve of the hue, seen from three sides: 1 within a sixth, 0 beyond two
    sides = np.array([0, 2, 4], x.dtype)[:, None, None]
    distance = np.abs(np.mod(sixth - sides + 3, 6) - 3)
    return low + span * np.clip(2 - distance, 0, 1)


class ColorJitter(Colours):
    """Change brightness, contrast, saturation and hue at random, in random order (torchvision.transforms.v2.ColorJitter).

    brightness, contrast, saturation: one number f for a factor from max(0, 1 - f) to 1 + f, or (least, greatest); None for 1.
    hue: one number h from 0 to 1/2 for a shift from -h to h, in parts of the circle of colours, or a pair; None for none.
    Shapes: (1, H, W) or (3, H, W), 0 to 1, and clipped to it.  Grey pictures have no saturation and no hue to change.
    Raises ValueError for ranges that are none or too large, and for other channels.

    >>> ColorJitter(hue=(1 / 3, 1 / 3))(np.array([[[1.0]], [[0.0]], [[0.0]]]))[:, 0, 0].round(6)
    array([0., 1., 0.])
    """

    def __init__(self, brightness=None, contrast=None, saturation=None, hue=None, *, generator=None):
        super().__init__(generator)
        self.brightness = factors("brightness", brightness)
        self.contrast = factors("contrast", contrast)
        self.saturation = factors("saturation", saturation)
        shift = None if hue is None else check_spread("ColorJitter", "hue", hue)
        self.hue = None if hue is None else check_interval("ColorJitter", "hue", shift, -0.5, 0.5)

    def draw(self, rng, shape):
        ranges = {what: getattr(self, what) for what in ("brightness", "contrast", "saturation", "hue")}
        steps = [(what, rng.uniform(*pair)) for what, pair in ranges.items() if pair is not None]
        return [steps[i] for i in rng.permutation(len(steps))] or None

    def colour(self, x, drawn):
        for what, value in drawn:
            if what == "hue":
                x = x if len(x) == 1 else turned(x, x.dtype.type(value))
                continue
            other = {"brightness": lambda x: 0, "contrast": lambda x: grey(x).mean(), "saturation": grey}[what](x)
            x = mixed(x, other, x.dtype.type(value))
        return x


def factors(what, value):
    """The range of a factor around 1, from one number or a pair."""
    if value is None:
        return None
    if is_number(value):
        low, high = check_spread("ColorJitter", what, value)
        return max(0.0, 1 + low), 1 + high
    return check_interval("ColorJitter", what, value, 0)


class Grayscale(Colours):
    """Make the picture grey (torchvision.transforms.v2.Grayscale).

    num_output_channels: 1, or 3 equal ones.  Shapes: (1, H, W) or (3, H, W) -> (num_output_channels, H, W).
    Raises ValueError for other channels.

    >>> Grayscale()(np.array([[[1.0]], [[1.0]], [[0.0]]])).round(3)
    array([[[0.886]]])
    """

    def __init__(self, num_output_channels=1, *, generator=None):
        super().__init__(generator)
        if num_output_channels not in (1, 3):
            raise ValueError(f"Grayscale: num_output_channels must be 1 or 3, got {num_output_channels!r}.")
        self.num_output_channels = num_output_channels

    def colour(self, x, drawn):
        return np.repeat(grey(x), self.num_output_channels, 0)


class RandomGrayscale(Colours):
    """Make the picture grey with probability p, keeping its channels (torchvision.transforms.v2.RandomGrayscale).

    Shapes: (1, H, W) or (3, H, W), and the same.  Raises ValueError for other channels, and for p outside 0..1.

    >>> RandomGrayscale(p=1)(np.array([[[1.0]], [[1.0]], [[0.0]]]))[:, 0, 0].round(3)
    array([0.886, 0.886, 0.886])
    """

    def __init__(self, p=0.1, *, generator=None):
        super().__init__(generator)
        self.p = check_probability("RandomGrayscale", p)

    def draw(self, rng, shape):
        return () if rng.random() < self.p else None

    def colour(self, x, drawn):
        return np.repeat(grey(x), len(x), 0)


class Normalize(Photometric):
    """Subtract a mean and divide by a standard deviation, channel by channel (torchvision.transforms.v2.Normalize).

    mean, std: one number per channel; those of the training set.  `inverse()` is the transform back, for pictures to look at.
    Raises ValueError where their numbers differ, or differ from the channels, and for a std of 0 or less.

    >>> t = Normalize([0.5], [0.25])
    >>> t(np.full((1, 1, 1), 0.75)), t.inverse()(t(np.full((1, 1, 1), 0.75)))
    (array([[[1.]]]), array([[[0.75]]]))
    """

    def __init__(self, mean, std, *, generator=None):
        super().__init__(generator)
        mean, std = [np.asarray(values, np.float64).ravel().tolist() for values in (mean, std)]
        self.mean = numbers_of("Normalize", "mean", mean, range(1, len(mean) + 1))
        self.std = numbers_of("Normalize", "std", std, range(1, len(std) + 1))
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError("Normalize: mean and std must have one number per channel, std positive, got "
                             f"{mean} and {std}. A channel that never changes has std 0: leave it out.")

    def inverse(self):
        """The transform that undoes this one, up to rounding: x std + mean."""
        return Normalize([-m / s for m, s in zip(self.mean, self.std)], [1 / s for s in self.std])

    def check(self, target, shape):
        if len(self.mean) not in (1, shape[0]):
            raise ValueError(f"Normalize: mean and std must have one number per channel, got {len(self.mean)} for {shape[0]} "
                             "channels.")

    def colour(self, x, drawn):
        mean, std = [np.array(values, x.dtype)[:, None, None] for values in (self.mean, self.std)]
        return (x - mean) / std
