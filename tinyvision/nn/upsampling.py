"""More pixels, or the same ones elsewhere: Upsample and its two relatives, PixelShuffle, PixelUnshuffle, ChannelShuffle.

Nothing is learned here; for a learnt enlargement see ConvTranspose2d, or a convolution followed by PixelShuffle.

Sources: Shi et al. 2016, arXiv:1609.05158 (pixel shuffle); Zhang et al. 2018, arXiv:1707.01083 (channel shuffle); torch.nn.
"""

import numbers

from .. import functional as F
from ..ops.shapes import check_choice
from .checks import whole
from .module import Module

MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area")


class Upsample(Module):
    """Change the size by interpolation (torch.nn.Upsample).

    Shapes: input (N, C, *S) -> (N, C, *O), 1 to 3 spatial axes: O = size, or floor(S * scale_factor).
    size: pixels, an int or one per axis; scale_factor: a number or one per axis; exactly one of the two is given.
    mode: 'nearest', 'nearest-exact', 'area', 'linear' (1-D), 'bilinear', 'bicubic' (2-D), 'trilinear' (3-D).
    align_corners: whether the centres (True) or the outer edges (False) of the corner pixels stay in place; not for 'nearest'.
    recompute_scale_factor: interpolate with the ratio of the whole-numbered sizes rather than with scale_factor.
    Raises ValueError for both or none of size and scale_factor, and for an unknown mode.

    >>> from tinyvision import Tensor
    >>> Upsample(scale_factor=2)(Tensor([[[1.0, 2.0]]]))
    Tensor([[[1., 1., 2., 2.]]])
    """

    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
        name = type(self).__name__
        if (size is None) == (scale_factor is None):
            raise ValueError(f"{name}: exactly one of size and scale_factor must be given, got size={size} and "
                             f"scale_factor={scale_factor}.")
        check_choice(name, "mode", mode, MODES)
        for value in size if isinstance(size, (tuple, list)) else (size,):
            if value is not None:
                whole(name, size=value)
        for value in scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,):
            if value is not None and (not isinstance(value, numbers.Real) or not value > 0):
                raise ValueError(f"{name}: scale_factor must be a number above 0, or one per axis, got {scale_factor!r}.")
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input):
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)

    def extra_repr(self):
        what = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{what}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Upsample pictures with mode='nearest' (torch.nn.UpsamplingNearest2d).

    >>> import numpy as np
    >>> UpsamplingNearest2d(scale_factor=2)(np.ones((1, 3, 4, 5))).shape
    (1, 3, 8, 10)
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Upsample pictures with mode='bilinear' and align_corners=True (torch.nn.UpsamplingBilinear2d).

    >>> from tinyvision import Tensor
    >>> UpsamplingBilinear2d(size=(1, 3))(Tensor([[[[1.0, 2.0]]]]))
    Tensor([[[[1. , 1.5, 2. ]]]])
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """r*r channels become one that is r times as high and wide (torch.nn.PixelShuffle; arXiv:1609.05158).

    Shapes: input (*, C*r*r, H, W) -> (*, C, H*r, W*r), r = upscale_factor.
    Raises ValueError for a factor below 1 and, when called, for channels that r*r does not divide.

    >>> from tinyvision import Tensor
    >>> PixelShuffle(2)(Tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]))
    Tensor([[[1., 2.],
             [3., 4.]]])
    """

    def __init__(self, upscale_factor):
        whole("PixelShuffle", upscale_factor=upscale_factor)
        self.upscale_factor = upscale_factor

    def forward(self, input):
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """The way back: every r*r pixels become r*r channels (torch.nn.PixelUnshuffle).

    Shapes: input (*, C, H*r, W*r) -> (*, C*r*r, H, W), r = downscale_factor.
    Raises ValueError for a factor below 1 and, when called, for sizes that r does not divide.

    >>> from tinyvision import Tensor
    >>> PixelUnshuffle(2)(Tensor([[[1.0, 2.0], [3.0, 4.0]]])).shape
    (4, 1, 1)
    """

    def __init__(self, downscale_factor):
        whole("PixelUnshuffle", downscale_factor=downscale_factor)
        self.downscale_factor = downscale_factor

    def forward(self, input):
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self):
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Deal the channels of G groups out in turn, so that grouped convolutions mix (torch.nn.ChannelShuffle; arXiv:1707.01083).

    Shapes: input (N, C, *S) -> the same.
    Raises ValueError for groups below 1 and, when called, for channels that groups does not divide.

    >>> from tinyvision import Tensor
    >>> ChannelShuffle(2)(Tensor([[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]])).data.ravel()
    array([1., 3., 2., 4.], dtype=float32)
    """

    def __init__(self, groups):
        whole("ChannelShuffle", groups=groups)
        self.groups = groups

    def forward(self, input):
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self):
        return f"groups={self.groups}"
