"""Fully convolutional networks: a classifier whose dense layers are read as convolutions, so that it answers at every place.

A dense layer on a map (C, k, k) is a sum over all its pixels with one weight each, and so is a kxk convolution at the one place
where its window fits.  On a larger map the convolution goes on where the dense layer would stop:

    Linear(C k k, O) on x.flatten(1)    =    Conv2d(C, O, k) on x, at [:, :, 0, 0], weight (O, C k k) read as (O, C, k, k)
    Linear(I, O)                        =    Conv2d(I, O, 1)

The answers are 32 pixels apart, too coarse for outlines.  So scores of earlier, finer stages are added on the way up:

    layer          output (N, ...)       what it does
    stage1..5      w_s B, H/2^s, ...     3x3 convolutions (2, 2, 3, 3, 3 of them), then 2x2 max pool; w = 1, 2, 4, 8, 8
    fc6            D, H/32, W/32         kxk convolution, ReLU, dropout; was dense
    fc7            D, H/32, W/32         1x1 convolution, ReLU, dropout; was dense
    score          K, H/32, W/32         1x1 convolution; was dense
    FCN-32         K, H, W               32 times as large
    FCN-16         K, H, W               2 times as large, + 1x1 scores of stage4, 16 times as large
    FCN-8          K, H, W               2 times as large, + scores of stage4, 2 times, + scores of stage3, 8 times as large

All enlarging is transposed convolution that begins as bilinear interpolation; that by 2 is learned, the last is not.  The finer
scores begin as zeros, so that FCN-8 begins with the coarse answer.  The paper's size is B = 64, D = 4096, k = 7, norm=False:
134,346,581 weights up to `score` for K = 21, in table 1 "134 M".  Here fc6 pads by k // 2, where the paper pads the picture
by 100 and crops: so all maps lie over one another.

Source: Long, Shelhamer and Darrell 2015, Fully convolutional networks for semantic segmentation, arXiv:1411.4038.
"""

from .. import functional as F
from .. import nn
from ..autograd import no_grad
from ..nn.checks import flag, whole
from ..ops.shapes import check_choice
from .stages import check_pictures, conv_stage

WIDTHS, CONVS = (1, 2, 4, 8, 8), (2, 2, 3, 3, 3)


def dense_to_conv(linear, size=1, padding=0):
    """The convolution that computes at every place what a dense layer computes on a map of this size.

    Shapes: linear.weight (O, C KH KW) -> a Conv2d(C, O, (KH, KW)) with copies of weight and bias; size: (KH, KW) or one number
    for both, of the maps (N, C, KH, KW) that were flattened before the dense layer.
    Raises TypeError for another layer, ValueError where in_features is no multiple of KH KW.
    Source: Long, Shelhamer and Darrell 2015, arXiv:1411.4038, section 3.1.

    >>> from tinyvision import Tensor
    >>> import numpy as np
    >>> dense, x = nn.Linear(3 * 4 * 4, 5), Tensor(np.random.default_rng(0).random((2, 3, 4, 4), np.float32))
    >>> bool(np.allclose(dense_to_conv(dense, 4)(x).data[:, :, 0, 0], dense(x.flatten(1)).data, atol=1e-6))
    True
    """
    if not isinstance(linear, nn.Linear):
        raise TypeError(f"dense_to_conv: linear must be a Linear layer, got {type(linear).__name__}.")
    height, width = (size, size) if not isinstance(size, (tuple, list)) else size
    whole("dense_to_conv", size=height), whole("dense_to_conv", size=width)
    channels, rest = divmod(linear.in_features, height * width)
    if rest or not channels:
        raise ValueError(f"dense_to_conv: in_features must be a multiple of the map's {height * width} pixels, got in_features="
                         f"{linear.in_features} and size=({height}, {width}). Pass height and width of the map before Flatten.")
    conv = nn.Conv2d(channels, linear.out_features, (height, width), padding=padding, bias=linear.bias is not None)
    with no_grad():
        conv.weight[...] = linear.weight.data.reshape(conv.weight.shape)
        if conv.bias is not None:
            conv.bias[...] = linear.bias.data
    return conv


class PlainNet(nn.Module):
    """A classifier after VGG's plan: five stages of 3x3 convolutions and pooling, three dense layers (the body of FCN).

    Shapes: input (N, in_channels, S, S), S = 32 kernel_size -> logits (N, num_classes).
    base_channels: B; hidden: D, None for 64 B; kernel_size: k, side of the last map; norm: batch norm after each convolution.
    PlainNet(1000, base_channels=64, kernel_size=7, norm=False) is VGG-16 with 138,357,544 weights.
    Raises ValueError for pictures of another shape and sizes below 1.

    >>> sum(p.size for p in PlainNet(10, base_channels=4, kernel_size=1).parameters())
    134902
    """

    def __init__(self, num_classes, in_channels=3, base_channels=16, hidden=None, kernel_size=2, *, convs=CONVS, norm=True,
                 dropout=0.5):
        hidden = 64 * base_channels if hidden is None else hidden
        whole("PlainNet", num_classes=num_classes, in_channels=in_channels, base_channels=base_channels, hidden=hidden,
              kernel_size=kernel_size)
        self.in_channels, self.kernel_size = in_channels, kernel_size
        self.stages = body(in_channels, base_channels, convs, norm)
        last = WIDTHS[-1] * base_channels
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(last * kernel_size ** 2, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden),
            nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, num_classes))

    def forward(self, x):
        check_pictures(self, x, self.in_channels, least=32)
        size, k = x.shape[2:], self.kernel_size
        for stage in self.stages:
            x = F.max_pool2d(stage(x), 2)
        if x.shape[2:] != (k, k):                                         # only here: the stages by themselves take any size
            raise ValueError(f"PlainNet: pictures must be {32 * k}x{32 * k} for kernel_size={k}, got {size}: a dense layer takes "
                             "one size only. FCN.from_classifier takes any.")
        return self.classifier(x)


def body(in_channels, base_channels, convs, norm):
    """The five stages, without their pooling."""
    channels = [w * base_channels for w in WIDTHS]
    return nn.ModuleList([conv_stage(before, after, n, norm) for before, after, n in
                          zip([in_channels, *channels[:-1]], channels, convs, strict=True)])


def enlarger(channels, factor):
    """A transposed convolution of each channel by itself that begins as bilinear interpolation."""
    layer = nn.ConvTranspose2d(channels, channels, 2 * factor, stride=factor, padding=factor // 2, groups=channels, bias=False)
    nn.init.bilinear_(layer.weight)
    return layer


class FCN(nn.Module):
    """A fully convolutional network: FCN-32, FCN-16 or FCN-8, by its stride.

    Shapes: input (N, in_channels, H, W), H and W multiples of 32 -> logits (N, num_classes, H, W).
    stride: 32, 16 or 8, pixels between the finest scores; base_channels: B; hidden: D, None for 64 B; kernel_size: k of fc6,
    odd, so that the maps lie over one another; norm: batch norm after each 3x3 convolution (the paper has none).
    Raises ValueError for other sizes, an even kernel_size and another stride.

    >>> from tinyvision import Tensor
    >>> import numpy as np
    >>> FCN(5, base_channels=4)(Tensor(np.zeros((1, 3, 64, 96), "float32"))).shape
    (1, 5, 64, 96)
    """

    def __init__(self, num_classes, stride=8, in_channels=3, base_channels=16, hidden=None, kernel_size=3, *, convs=CONVS,
                 norm=True, dropout=0.5):
        check_choice("FCN", "stride", stride, (8, 16, 32))
        hidden = 64 * base_channels if hidden is None else hidden
        whole("FCN", num_classes=num_classes, in_channels=in_channels, base_channels=base_channels, hidden=hidden,
              kernel_size=kernel_size)
        flag("FCN", norm=norm)
        if kernel_size % 2 == 0:
            raise ValueError(f"FCN: kernel_size must be odd, so that fc6 has a middle, got {kernel_size}.")
        self.in_channels, self.stride = in_channels, stride
        self.stages = body(in_channels, base_channels, convs, norm)
        widths = [w * base_channels for w in WIDTHS]
        self.fc6 = nn.Conv2d(widths[4], hidden, kernel_size, padding=kernel_size // 2)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.dropout = nn.Dropout2d(dropout)
        self.score = nn.Conv2d(hidden, num_classes, 1)
        levels = {32: [], 16: [3], 8: [3, 2]}[stride]                     # the stages whose scores are added
        self.finer = nn.ModuleList([nn.Conv2d(widths[i], num_classes, 1) for i in levels])
        self.doubling = nn.ModuleList([enlarger(num_classes, 2) for _ in levels])
        self.enlarge = enlarger(num_classes, stride).requires_grad_(False)
        for conv in self.finer:
            nn.init.zeros_(conv.weight), nn.init.zeros_(conv.bias)

    @classmethod
    def from_classifier(cls, net, num_classes, stride=8):
        """The fully convolutional form of a PlainNet with an odd kernel_size: its weights, dense layers as convolutions.

        The last layer is taken over where num_classes is the classifier's, else it begins anew.

        >>> FCN.from_classifier(PlainNet(10, base_channels=2, kernel_size=1), 5).fc6.weight.shape
        (128, 16, 1, 1)
        """
        if not isinstance(net, PlainNet):
            raise TypeError(f"FCN.from_classifier: net must be a PlainNet, got {type(net).__name__}. dense_to_conv turns any "
                            "dense layer into a convolution.")
        first, second, last = (layer for layer in net.classifier if isinstance(layer, nn.Linear))
        convs = tuple(sum(isinstance(layer, nn.Conv2d) for layer in stage) for stage in net.stages)
        norm = any(isinstance(layer, nn.BatchNorm2d) for layer in net.stages[0])
        model = cls(num_classes, stride, net.in_channels, net.stages[0][0].out_channels, first.out_features, net.kernel_size,
                    convs=convs, norm=norm, dropout=net.classifier[3].p)
        model.stages.load_state_dict({key: value.copy() for key, value in net.stages.state_dict().items()})
        model.fc6, model.fc7 = dense_to_conv(first, net.kernel_size, net.kernel_size // 2), dense_to_conv(second)
        if last.out_features == num_classes:
            model.score = dense_to_conv(last)
        return model

    def forward(self, x):
        check_pictures(self, x, self.in_channels, 32)
        maps = []
        for stage in self.stages:
            x = F.max_pool2d(stage(x), 2)                                 # (N, w B, H/2^s, W/2^s)
            maps.append(x)
        x = self.dropout(F.relu(self.fc6(x)))                             # (N, D, H/32, W/32)
        x = self.score(self.dropout(F.relu(self.fc7(x))))                 # (N, K, H/32, W/32)
        for level, score, double in zip((3, 2), self.finer, self.doubling):
            x = double(x) + score(maps[level])                            # (N, K, H/16, W/16), then H/8
        return self.enlarge(x)                                            # (N, K, H, W)
