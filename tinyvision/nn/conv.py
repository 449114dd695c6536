"""Convolutions and transposed convolutions as layers: a bank of O learnt filters and a bias for each.

    layer            weight            first values                                        computed by
    Conv             (O, C/G, *K)      uniform +-1/sqrt(fan_in), fan_in = C/G * prod(K)    F.conv1d, conv2d, conv3d
    ConvTranspose    (C, O/G, *K)      uniform +-1/sqrt(fan_in), fan_in = O/G * prod(K)    F.conv_transpose1d, 2d, 3d

The bias (O,) has the same bound.  The bound is He's (init.py) with a = sqrt(5), a choice that PyTorch inherited from Torch7
and that makes the variance 1 / (3 fan_in): smaller than a ReLU network wants, so deep networks without batch norm should
call init.kaiming_normal_ themselves.

The text is the same for 1, 2 and 3 axes; a class names its number of axes and its function.

Source: LeCun et al. 1998 (weights shared over the picture); torch.nn.Conv2d, ConvTranspose2d.
"""

from math import sqrt

import numpy as np

from .. import functional as F
from ..kernels.window import Window
from ..ops.conv import paddings
from ..ops.shapes import as_tuple, check_choice
from ..tensor import Parameter
from . import init
from .checks import divides, flag, sizes, whole
from .module import Module

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class ConvNd(Module):
    """What Conv and ConvTranspose of all dimensions share: checks, attributes and first values of weight and bias."""

    ndim = None                                           # spatial axes

    def declare(self, in_channels, out_channels, kernel_size, stride, dilation, groups, bias):
        """Check and keep the arguments that both kinds have."""
        name = type(self).__name__
        whole(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        divides(name, ("groups", groups), in_channels=in_channels, out_channels=out_channels)
        flag(name, bias=bias)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.dilation = sizes(
            name, self.ndim, kernel_size=kernel_size, stride=stride, dilation=dilation)

    def allocate(self, weight_shape, bias):
        """Weight and bias with their first values."""
        self.weight = Parameter(np.empty(weight_shape, np.float32))
        self.register_parameter("bias", Parameter(np.empty(self.out_channels, np.float32)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=sqrt(5))
        if self.bias is not None:
            bound = 1 / sqrt(init.fan_in_and_fan_out(self.weight)[0])
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self):
        n = self.ndim
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        usual = {"padding": (0,) * n, "dilation": (1,) * n, "output_padding": (0,) * n, "groups": 1, "padding_mode": "zeros"}
        for name, value in usual.items():
            if getattr(self, name, value) != value:
                text += f", {name}={getattr(self, name)}"
        return text if self.bias is not None else text + ", bias=False"


class Conv(ConvNd):
    """Conv1d, Conv2d and Conv3d."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True,
                 padding_mode="zeros"):
        name = type(self).__name__
        self.declare(in_channels, out_channels, kernel_size, stride, dilation, groups, bias)
        check_choice(name, "padding_mode", padding_mode, PADDING_MODES)
        self.padding_mode = padding_mode
        self.padding = padding if isinstance(padding, str) else as_tuple(name, "padding", padding, self.ndim, least=0)
        # (before, after) for every axis; refuses 'same' with a stride
        self.widths = paddings(name, self.padding, self.kernel_size, self.stride, self.dilation)
        self.allocate((out_channels, in_channels // groups, *self.kernel_size), bias)

    def forward(self, input):
        padding = self.padding
        if self.padding_mode != "zeros" and any(map(any, self.widths)):
            last_axis_first = [pixels for pair in reversed(self.widths) for pixels in pair]
            input, padding = F.pad(input, last_axis_first, mode=self.padding_mode), 0
        convolve = getattr(F, f"conv{self.ndim}d")
        return convolve(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(Conv):
    """Learnt filters over signals (torch.nn.Conv1d); arguments as Conv2d.

    Shapes: input (N, C, W) or (C, W) -> (N, O, OW) or (O, OW); weight (O, C/G, KW), bias (O,).

    >>> from tinyvision import Tensor
    >>> Conv1d(2, 4, kernel_size=3)(Tensor(np.zeros((1, 2, 10), "float32"))).shape
    (1, 4, 8)
    """

    ndim = 1


class Conv2d(Conv):
    """Learnt filters over pictures (torch.nn.Conv2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, O, OH, OW) or (O, OH, OW); weight (O, C/G, KH, KW), bias (O,);
            OH = floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1, likewise OW.
    kernel_size, stride, padding, dilation: pixels, an int or a (vertical, horizontal) pair; padding also 'valid' or 'same'.
    groups: G, divides C and O; G = C filters every channel by itself (depthwise).
    padding_mode: what stands in the padding: 'zeros', 'reflect', 'replicate' or 'circular'.
    Raises ValueError for channels that groups does not divide, sizes out of range and unknown modes; TypeError for other
    things than integers.

    >>> from tinyvision import Tensor
    >>> Conv2d(3, 8, 3, stride=2, padding=1)(Tensor(np.zeros((1, 3, 32, 32), "float32"))).shape
    (1, 8, 16, 16)
    """

    ndim = 2


class Conv3d(Conv):
    """Learnt filters over volumes or videos (torch.nn.Conv3d); arguments as Conv2d, with triples.

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, O, OD, OH, OW); weight (O, C/G, KD, KH, KW), bias (O,).

    >>> from tinyvision import Tensor
    >>> Conv3d(1, 2, (1, 3, 3))(Tensor(np.zeros((1, 1, 4, 8, 8), "float32"))).shape
    (1, 2, 4, 6, 6)
    """

    ndim = 3


class ConvTranspose(ConvNd):
    """ConvTranspose1d, ConvTranspose2d and ConvTranspose3d."""

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, groups=1, bias=True,
                 dilation=1, padding_mode="zeros"):
        name = type(self).__name__
        self.declare(in_channels, out_channels, kernel_size, stride, dilation, groups, bias)
        check_choice(name, "padding_mode", padding_mode, ("zeros",))
        self.padding_mode = padding_mode
        self.padding, self.output_padding = sizes(name, self.ndim, least=0, padding=padding, output_padding=output_padding)
        self.allocate((in_channels, out_channels // groups, *self.kernel_size), bias)

    def forward(self, input, output_size=None):
        extra = self.output_padding if output_size is None else self.extra_for(input, output_size)
        enlarge = getattr(F, f"conv_transpose{self.ndim}d")
        return enlarge(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def extra_for(self, input, output_size):
        """The output_padding with which the output has this size: stride - 1 pixels and less are a matter of choice."""
        name, n = type(self).__name__, self.ndim
        if not n < input.ndim <= n + 2:
            raise ValueError(f"{name}: input must have {n + 1} or {n + 2} axes, got shape {input.shape}.")
        wanted = tuple(output_size)
        if len(wanted) == input.ndim:
            wanted = wanted[-n:]                          # a whole shape, such as that of the layer to be undone
        wanted = as_tuple(name, "output_size", wanted, n, least=1)
        window = Window(self.kernel_size, self.stride, tuple((p, p) for p in self.padding), self.dilation)
        smallest = window.smallest(input.shape[-n:])
        largest = tuple(least + s - 1 for least, s in zip(smallest, self.stride))
        if any(not least <= want <= most for least, want, most in zip(smallest, wanted, largest)):
            raise ValueError(f"{name}: output_size must lie between {smallest} and {largest} for input {input.shape}, "
                             f"kernel_size {self.kernel_size} and stride {self.stride}, got {wanted}.")
        return tuple(want - least for want, least in zip(wanted, smallest))


class ConvTranspose1d(ConvTranspose):
    """A learnt enlargement of signals (torch.nn.ConvTranspose1d); arguments as ConvTranspose2d.

    Shapes: input (N, C, W) or (C, W) -> (N, O, OW) or (O, OW); weight (C, O/G, KW), bias (O,).

    >>> from tinyvision import Tensor
    >>> ConvTranspose1d(2, 1, 4, stride=2, padding=1)(Tensor(np.zeros((1, 2, 10), "float32"))).shape
    (1, 1, 20)
    """

    ndim = 1


class ConvTranspose2d(ConvTranspose):
    """A learnt enlargement of pictures, the adjoint of a Conv2d (torch.nn.ConvTranspose2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, O, OH, OW) or (O, OH, OW); weight (C, O/G, KH, KW), bias (O,);
            OH = (H - 1)*stride - 2*padding + dilation*(KH - 1) + output_padding + 1, likewise OW.
    output_padding: pixels to add at the end, for with a stride several picture sizes shrink to one H; instead of it,
    layer(input, output_size) takes the size (OH, OW), or the whole shape, that the output shall have.
    padding_mode: only 'zeros'.
    Raises ValueError as Conv2d does, and for an output_size out of reach.

    >>> from tinyvision import Tensor
    >>> up, x = ConvTranspose2d(8, 3, 3, stride=2, padding=1), Tensor(np.zeros((1, 8, 16, 16), "float32"))
    >>> up(x).shape, up(x, output_size=(32, 32)).shape
    ((1, 3, 31, 31), (1, 3, 32, 32))
    """

    ndim = 2


class ConvTranspose3d(ConvTranspose):
    """A learnt enlargement of volumes (torch.nn.ConvTranspose3d); arguments as ConvTranspose2d, with triples.

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, O, OD, OH, OW); weight (C, O/G, KD, KH, KW), bias (O,).

    >>> from tinyvision import Tensor
    >>> ConvTranspose3d(2, 1, 2, stride=2)(Tensor(np.zeros((1, 2, 3, 4, 4), "float32"))).shape
    (1, 1, 6, 8, 8)
    """

    ndim = 3
