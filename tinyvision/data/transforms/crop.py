"""Flips, crops and pads: pixels change places and none changes its value.

A flip doubles the examples for nothing, where left and right mean nothing: cats, not digits.  Shifting by a padded
random crop is what the residual networks for CIFAR were trained with, 4 pixels on each side.

Sources: Krizhevsky, Sutskever and Hinton 2012, section 4.1 (flips and crops); He et al. 2016, arXiv:1512.03385, section 4.2
(pad 4, crop 32); torchvision.transforms.v2 (rounding, names).
"""

import numpy as np

from .base import Geometric, fill_of
from ..checks import PADDING_MODES, check_choice, check_fill, check_flag, check_padding, check_probability, check_size


class Flip(Geometric):
    """Base of both flips: they happen with probability p."""

    def __init__(self, p=0.5, *, generator=None):
        super().__init__(generator)
        self.p = check_probability(type(self).__name__, p)

    def draw(self, rng, shape):
        return shape[1:] if rng.random() < self.p else None


class RandomHorizontalFlip(Flip):
    """Exchange left and right with probability p (torchvision.transforms.v2.RandomHorizontalFlip).

    Points are mirrored, not renamed: a left eye keeps its row of "keypoints".
    Targets and errors as in Geometric; ValueError for p outside 0..1.

    >>> target = {"boxes": np.float32([[0, 0, 1, 2]]), "labels": np.array([5])}
    >>> image, target = RandomHorizontalFlip(p=1)(np.arange(8.0).reshape(1, 2, 4), target)
    >>> image[0, 0], target["boxes"]
    (array([3., 2., 1., 0.]), array([[3., 0., 4., 2.]], dtype=float32))
    """

    def move(self, x, drawn, kind):
        return x[:, :, ::-1].copy()

    def move_points(self, p, drawn):
        height, width = drawn
        return np.stack([width - p[:, 0], p[:, 1]], 1)


class RandomVerticalFlip(Flip):
    """Exchange top and bottom with probability p (torchvision.transforms.v2.RandomVerticalFlip).

    >>> RandomVerticalFlip(p=1)(np.arange(4.0).reshape(1, 2, 2))
    array([[[2., 3.],
            [0., 1.]]])
    """

    def move(self, x, drawn, kind):
        return x[:, ::-1].copy()

    def move_points(self, p, drawn):
        height, width = drawn
        return np.stack([p[:, 0], height - p[:, 1]], 1)


class Window(Geometric):
    """Base of crops and pads: `draw` gives (left, top, right, below), the pixels to add on each side, negative: to cut off."""

    def __init__(self, fill, padding_mode, generator=None):
        super().__init__(generator)
        self.fill = check_fill(type(self).__name__, fill)
        self.padding_mode = check_choice(type(self).__name__, "padding_mode", padding_mode, PADDING_MODES)

    def move(self, x, drawn, kind):
        left, top, right, below = drawn
        more = [(0, 0), (max(top, 0), max(below, 0)), (max(left, 0), max(right, 0))]
        if self.padding_mode == "constant":
            (_, h, w), (_, (a, b), (c, d)) = x.shape, more
            y = np.empty((len(x), h + a + b, w + c + d), x.dtype)
            y[:] = fill_of(type(self).__name__, self.fill, kind, len(x))
            y[:, a:a + h, c:c + w] = x
        else:
            y = np.pad(x, more, self.padding_mode)
        h, w = y.shape[1:]
        return np.ascontiguousarray(y[:, max(-top, 0):h - max(-below, 0), max(-left, 0):w - max(-right, 0)])

    def move_points(self, p, drawn):
        return p + drawn[:2]


class Pad(Window):
    """Add pixels around the picture (torchvision.transforms.v2.Pad).

    padding: pixels, one number for all sides, (left and right, above and below), or (left, above, right, below).
    fill: brightness of new pixels, one number or one per channel; {"image": 0.5, "mask": 255} also says which class they have in
    masks, else 0.  padding_mode: "constant" (fill), "edge" (the border pixel), "reflect" (c b a b c) or "symmetric" (b a a b).
    Mirrored pixels are new ones to the boxes: things in them have none.
    Targets and errors as in Geometric; also ValueError for negative padding, TypeError for fractions.

    >>> Pad((1, 0), fill=9)(np.ones((1, 1, 2)))
    array([[[9., 1., 1., 9.]]])
    """

    def __init__(self, padding, fill=0, padding_mode="constant", *, generator=None):
        super().__init__(fill, padding_mode, generator)
        self.padding = check_padding("Pad", padding)

    def draw(self, rng, shape):
        return self.padding


class CenterCrop(Window):
    """Cut out the middle (torchvision.transforms.v2.CenterCrop).

    size: (height, width) or one number for both.  A smaller picture is padded with zeros (class 0 in masks).
    Targets and errors as in Geometric; also ValueError for a size below 1, TypeError for fractions.

    >>> CenterCrop(2)(np.arange(16.0).reshape(1, 4, 4))
    array([[[ 5.,  6.],
            [ 9., 10.]]])
    """

    def __init__(self, size, *, generator=None):
        super().__init__(0, "constant", generator)
        self.size = check_size("CenterCrop", size)

    def draw(self, rng, shape):
        (top, below), (left, right) = [around(new, old) for new, old in zip(self.size, shape[1:])]
        return left, top, right, below


def around(new, old):
    """Pixels to add before and after, so that `old` of them become `new` and the middle stays."""
    before = (new - old) // 2 if new > old else -round((old - new) / 2)
    return before, new - old - before


class RandomCrop(Window):
    """Cut out a part of the given size, anywhere (torchvision.transforms.v2.RandomCrop).

    size: (height, width) or one number.  padding, fill, padding_mode: pad first, as Pad does.
    pad_if_needed: a picture that is smaller even so is padded further, by what is missing, on both sides.
    Targets as in Geometric.  Raises ValueError for a picture smaller than the crop, and as Pad does.

    >>> image = np.arange(16.0).reshape(1, 4, 4)
    >>> RandomCrop((1, 3), generator=0)(image), RandomCrop(4, padding=4, generator=0)(image).shape
    (array([[[13., 14., 15.]]]), (1, 4, 4))
    """

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, padding_mode="constant", *, generator=None):
        super().__init__(fill, padding_mode, generator)
        self.size = check_size("RandomCrop", size)
        self.padding = None if padding is None else check_padding("RandomCrop", padding)
        self.pad_if_needed = check_flag("RandomCrop", "pad_if_needed", pad_if_needed)

    def draw(self, rng, shape):
        left, top, right, below = self.padding or (0, 0, 0, 0)
        (top, below), (left, right) = [
            self.place(rng, new, old, before, after)
            for new, old, before, after in zip(self.size, shape[1:], (top, left), (below, right))]
        return left, top, right, below

    def place(self, rng, new, old, before, after):
        """Pixels to add before and after along one axis, negative ones to cut off."""
        missing = new - (before + old + after)
        if missing > 0 and not self.pad_if_needed:
            raise ValueError("RandomCrop: the picture with its padding must be as large as the crop, it has "
                             f"{before + old + after} pixels for {new}. Pass a smaller size, or pad_if_needed=True.")
        if missing > 0:
            before, after = before + missing, after + missing
        start = int(rng.integers(0, before + old + after - new + 1))
        return before - start, new - old - before + start
