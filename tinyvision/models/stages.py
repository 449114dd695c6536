"""What the picture-to-picture networks of this folder share: stages of 3x3 convolutions after VGG's plan, and one check.

Source: Simonyan and Zisserman 2014, arXiv:1409.1556 (two 3x3 convolutions see 5x5, three see 7x7, with fewer weights).
"""

from .. import nn
from ..ops.shapes import check_array


def conv_stage(in_channels, channels, convs, norm=True, dilation=1):
    """`convs` times 3x3 convolution, batch norm where wanted, ReLU: (N, C, H, W) -> (N, channels, H, W)."""
    layers = []
    for i in range(convs):
        conv = nn.Conv2d(channels if i else in_channels, channels, 3, padding=dilation, dilation=dilation, bias=not norm)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        layers += [conv, *([nn.BatchNorm2d(channels)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers)


def check_pictures(model, x, channels, multiple=1, least=1):
    """A batch (N, channels, H, W) whose sides are multiples of a number, and at least so many pixels."""
    name = type(model).__name__
    check_array(name, input=x)
    if x.ndim != 4 or x.shape[1] != channels:
        raise ValueError(f"{name}: input must be (N, {channels}, H, W), got shape {x.shape}. A single picture needs a batch "
                         "axis: x[None].")
    if any(size % multiple or size < least for size in x.shape[2:]):
        wanted = tuple(max(-(-size // multiple), -(-least // multiple), 1) * multiple for size in x.shape[2:])
        rule = f"multiples of {multiple}" if multiple > 1 else f"at least {least}"
        raise ValueError(f"{name}: height and width must be {rule}, got {x.shape[2:]}. Pad or resize to {wanted}.")
