"""SegNet: down by max pooling that remembers where the maxima were, and up by putting them back there.

    level l = 1..depth       output (N, ...)            down                                going up again
    convolutions             B 2^(l-1), H/2^(l-1), ..   2 (3 from the third level on)       as many
    pool                     B 2^(l-1), H/2^l, ...      2x2, stride 2                       unpool to H/2^(l-1)

    head                     K, H, W                    3x3 convolution

Every convolution is 3x3 with batch norm and ReLU.  How a map becomes twice as large is the argument `unpooling`:

    "max"         the value goes where the maximum was, the other three pixels are 0: outlines come back to their places
    "nearest"     the value is repeated; nothing is known of the places
    "transpose"   2x2 transposed convolution with stride 2: four learned weights for each pair of channels

Nothing but the places crosses from the way down to the way up: no maps are bridged as in U-Net, so the network is smaller
in memory, and shows what the places alone are worth.

Source: Badrinarayanan, Kendall and Cipolla 2015, SegNet, arXiv:1511.00561; Noh, Hong and Han 2015, Learning deconvolution
network for semantic segmentation, arXiv:1505.04366; Zeiler and Fergus 2013, arXiv:1311.2901 (unpooling with switches).
"""

from .. import functional as F
from .. import nn
from ..nn.checks import flag, whole
from ..ops.shapes import check_choice
from .stages import check_pictures, conv_stage


class SegNet(nn.Module):
    """An encoder and a decoder; the decoder enlarges by unpooling="max", "nearest" or "transpose".

    Shapes: input (N, in_channels, H, W), H and W multiples of 2^depth -> logits (N, num_classes, H, W).
    base_channels: B; depth: how many times the size is halved; norm: batch norm after each convolution.
    SegNet(3, 11, base_channels=64, depth=4) has the plan of the paper's first four levels.
    Raises ValueError for other sizes and another unpooling.

    >>> sum(p.size for p in SegNet(3, 13, base_channels=8, depth=3).parameters())
    56413
    """

    def __init__(self, in_channels, num_classes, base_channels=32, depth=3, unpooling="max", *, norm=True):
        check_choice("SegNet", "unpooling", unpooling, ("max", "nearest", "transpose"))
        whole("SegNet", in_channels=in_channels, num_classes=num_classes, base_channels=base_channels, depth=depth)
        flag("SegNet", norm=norm)
        self.in_channels, self.depth, self.unpooling = in_channels, depth, unpooling
        channels = [base_channels * 2 ** level for level in range(depth)]
        convs = [2 if level < 2 else 3 for level in range(depth)]
        self.down = nn.ModuleList([conv_stage(before, c, n, norm) for before, c, n in
                                   zip([in_channels, *channels], channels, convs)])
        after = [channels[0], *channels]                                  # what the level above works with
        self.up = nn.ModuleList([upward(channels[level], after[level], convs[level], norm) for level in reversed(range(depth))])
        self.enlarge = nn.ModuleList([nn.ConvTranspose2d(c, c, 2, stride=2) for c in channels[::-1]]
                                     if unpooling == "transpose" else [])
        self.head = nn.Conv2d(base_channels, num_classes, 3, padding=1)

    def forward(self, x):
        check_pictures(self, x, self.in_channels, 2 ** self.depth)
        places = []
        for stage in self.down:
            x, where = F.max_pool2d(stage(x), 2, return_indices=True)     # (N, B 2^(l-1), H/2^l, W/2^l)
            places.append(where)
        for level, stage in enumerate(self.up):
            x = stage(self.unpool(x, level, places.pop()))
        return self.head(x)                                               # (N, K, H, W)

    def unpool(self, x, level, places):
        """Twice the size: (N, C, H, W) -> (N, C, 2 H, 2 W)."""
        if self.unpooling == "max":
            return F.max_unpool2d(x, places, 2)
        if self.unpooling == "nearest":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        return self.enlarge[level](x)


def upward(channels, after, convs, norm):
    """As many convolutions as on the way down; the last brings the map to the channels of the level above."""
    same = list(conv_stage(channels, channels, convs - 1, norm))
    return nn.Sequential(*same, *conv_stage(channels, after, 1, norm))
