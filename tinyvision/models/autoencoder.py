"""Convolutional autoencoder: a picture through a narrow place and back, taught by the picture itself.

    layer                 output (N, ...)                          what it does
    stage1..depth         B 2^(l-1), H/2^l, W/2^l                  3x3 convolution, batch norm, ReLU, 2x2 max pool
    code                  code                                     dense: all that is kept of the picture
    dense, ReLU           B 2^(depth-1), H/2^depth, ..             and back
    stage depth..1        B 2^(l-2) (B at last), twice the size    enlarged, 3x3 convolution, batch norm, ReLU
    head                  C, H, W                                  3x3 convolution, sigmoid: brightness 0..1

Trained by the mean squared error of x and decode(encode(x)), it learns what the pictures have in common, without labels: codes
of similar pictures are neighbours, and a code between two codes gives a picture between two pictures.  With one linear layer
each way the best it can do are the principal components (Baldi and Hornik 1989).  Shown noisy pictures and asked for the clean
ones it learns to clean (Vincent et al. 2008).

Source: Hinton and Salakhutdinov 2006, doi:10.1126/science.1127647; Masci et al. 2011, Stacked convolutional auto-encoders,
doi:10.1007/978-3-642-21735-7_7.
"""

from .. import functional as F
from .. import nn
from ..nn.checks import sizes, whole
from ..ops.shapes import check_array, check_choice
from .stages import check_pictures, conv_stage


class ConvAutoencoder(nn.Module):
    """A convolutional autoencoder: decode(encode(x)) is nearly x.

    Shapes: input (N, in_channels, *size), 0..1 -> the same; encode -> (N, code); decode: (N, code) -> (N, in_channels, *size).
    size: height and width, one number or a pair, multiples of 2^depth; code: how many numbers are kept of a picture.
    base_channels: B; depth: how many times the size is halved; unpooling: "nearest" or "transpose" (as in SegNet; "max" would
    need the places of the maxima, which the code does not have).
    Raises ValueError for pictures of another size and another unpooling.

    >>> import numpy as np
    >>> from tinyvision import Tensor
    >>> net, x = ConvAutoencoder(1, 28, code=16), Tensor(np.zeros((2, 1, 28, 28), "float32"))
    >>> net.encode(x).shape, net(x).shape
    ((2, 16), (2, 1, 28, 28))
    """

    def __init__(self, in_channels, size, code=32, base_channels=16, depth=2, *, unpooling="nearest"):
        whole("ConvAutoencoder", in_channels=in_channels, code=code, base_channels=base_channels, depth=depth)
        check_choice("ConvAutoencoder", "unpooling", unpooling, ("nearest", "transpose"))
        (self.size,) = sizes("ConvAutoencoder", 2, size=size)
        if any(side % 2 ** depth for side in self.size):
            raise ValueError(f"ConvAutoencoder: size must be multiples of 2^depth = {2 ** depth}, got {self.size}.")
        self.in_channels, self.code, self.unpooling = in_channels, code, unpooling
        channels = [base_channels * 2 ** level for level in range(depth)]
        self.small = (channels[-1], *(side // 2 ** depth for side in self.size))
        flat = self.small[0] * self.small[1] * self.small[2]
        self.down = nn.ModuleList([conv_stage(before, c, 1) for before, c in zip([in_channels, *channels], channels)])
        self.to_code, self.from_code = nn.Linear(flat, code), nn.Linear(code, flat)
        after = [channels[0], *channels]
        self.up = nn.ModuleList([conv_stage(channels[level], after[level], 1) for level in reversed(range(depth))])
        self.enlarge = nn.ModuleList([nn.ConvTranspose2d(c, c, 2, stride=2) for c in channels[::-1]]
                                     if unpooling == "transpose" else [])
        self.head = nn.Conv2d(base_channels, in_channels, 3, padding=1)

    def encode(self, x):
        """The codes of pictures: (N, C, H, W) -> (N, code)."""
        check_pictures(self, x, self.in_channels)
        if x.shape[2:] != self.size:
            raise ValueError(f"ConvAutoencoder: pictures must be of size {self.size}, got {x.shape[2:]}. Resize them, or make a "
                             "network for this size.")
        for stage in self.down:
            x = F.max_pool2d(stage(x), 2)                                 # (N, B 2^(l-1), H/2^l, W/2^l)
        return self.to_code(x.flatten(1))                                 # (N, code)

    def decode(self, z):
        """The pictures of codes: (N, code) -> (N, C, H, W), 0..1."""
        check_array("ConvAutoencoder", code=z)
        if z.ndim != 2 or z.shape[1] != self.code:
            raise ValueError(f"ConvAutoencoder: codes must be (N, {self.code}), got shape {z.shape}.")
        x = F.relu(self.from_code(z)).reshape((len(z), *self.small))
        for level, stage in enumerate(self.up):
            x = F.interpolate(x, scale_factor=2, mode="nearest") if self.unpooling == "nearest" else self.enlarge[level](x)
            x = stage(x)                                                  # twice the size
        return F.sigmoid(self.head(x))                                    # (N, C, H, W)

    def forward(self, x):
        return self.decode(self.encode(x))
