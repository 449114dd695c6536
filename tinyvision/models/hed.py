"""HED, holistically nested edge detection: outlines at five scales, each taught by itself, and all of them mixed.

    layer          output (N, ...)             what it does
    stage1..5      w_s B, H/2^(s-1), ...       3x3 convolutions (2, 2, 3, 3, 3 of them); w = 1, 2, 4, 8, 8; 2x2 max pool between
    side1..5       1, H, W                     1x1 convolution of the stage, enlarged by bilinear interpolation
    fuse           1, H, W                     1x1 convolution of the five side outputs, begins as their mean

Every output is a picture of logits and has a loss of its own ("deep supervision"): the early stages are told what to do
directly instead of through ten layers.  Few pixels are edges, so both kinds weigh the same in total,

    l = - beta sum over edges of log p  -  (1 - beta) sum over the others of log(1 - p),     beta = share of others

for each picture, divided here by the number of pixels, which makes it independent of the size.

Source: Xie and Tu 2015, Holistically-nested edge detection, arXiv:1504.06375, equations 2 to 4; Lee et al. 2014,
Deeply-supervised nets, arXiv:1409.5185.  VGG-16's widths are base_channels=64, norm=False.
"""

from .. import concatenate, nn
from .. import functional as F
from ..nn.checks import flag, whole
from ..ops.shapes import check_same_shape
from ..tensor import raw
from .fcn import CONVS, WIDTHS, body
from .stages import check_pictures


class HED(nn.Module):
    """Outlines from five stages: a list of six pictures of logits, side 1 to 5 and their mixture.

    Shapes: input (N, in_channels, H, W), at least 16x16 -> a list of six (N, 1, H, W); probabilities by F.sigmoid.
    base_channels: B; norm: batch norm after each 3x3 convolution (the paper has none).
    `loss` is the criterion for train.fit: fit(model, ..., criterion=model.loss).
    Raises ValueError for smaller pictures and another number of channels.

    >>> import numpy as np
    >>> from tinyvision import Tensor
    >>> outputs = HED(base_channels=4)(Tensor(np.zeros((1, 3, 32, 40), "float32")))
    >>> len(outputs), outputs[-1].shape
    (6, (1, 1, 32, 40))
    """

    def __init__(self, in_channels=3, base_channels=16, *, convs=CONVS, norm=True):
        whole("HED", in_channels=in_channels, base_channels=base_channels)
        flag("HED", norm=norm)
        self.in_channels = in_channels
        self.stages = body(in_channels, base_channels, convs, norm)
        self.side = nn.ModuleList([nn.Conv2d(w * base_channels, 1, 1) for w in WIDTHS])
        self.fuse = nn.Conv2d(len(WIDTHS), 1, 1)
        for conv in [*self.side, self.fuse]:
            nn.init.constant_(conv.weight, 1 / len(WIDTHS) if conv is self.fuse else 0.0)
            nn.init.zeros_(conv.bias)

    def forward(self, x):
        check_pictures(self, x, self.in_channels, least=16)
        size, outputs = x.shape[2:], []
        for level, (stage, side) in enumerate(zip(self.stages, self.side)):
            x = stage(F.max_pool2d(x, 2) if level else x)                 # (N, w B, H/2^(s-1), ...)
            y = side(x)
            outputs.append(F.interpolate(y, size=size, mode="bilinear") if level else y)
        return [*outputs, self.fuse(concatenate(outputs, axis=1))]

    @staticmethod
    def loss(outputs, edges):
        """The sum over the outputs of their balanced cross entropy, per pixel.

        Shapes: outputs, a list of logits (N, 1, H, W); edges (N, 1, H, W), 0 or 1 -> one number.
        Raises ValueError for other shapes.

        >>> from tinyvision import Tensor
        >>> HED.loss([Tensor([[[[0.0, 0.0, 0.0, 0.0]]]])], Tensor([[[[1.0, 0.0, 0.0, 0.0]]]])).item() * 8 / 3
        0.6931471824645996
        """
        y = raw(edges)
        for logits in outputs:
            check_same_shape("HED.loss", outputs=logits, edges=y)
        beta = 1 - y.mean(axis=(1, 2, 3), keepdims=True)                  # the share of pixels that are no edges
        weight = (y * beta + (1 - y) * (1 - beta)).astype(y.dtype)
        return sum(F.binary_cross_entropy_with_logits(logits, edges, weight) for logits in outputs)
