"""The residual networks for CIFAR-10, 20 to 110 layers deep: section 4.2 of the ResNet paper.

    stage     blocks     output (N, ...)     ResNet-20: weights
    conv1     3x3        16, 32, 32          464       (batch norm included)
    layer1    n          16, 32, 32          14,016
    layer2    n          32, 16, 16          51,072    first block with stride 2
    layer3    n          64, 8, 8            203,520   first block with stride 2
    mean      8x8        64
    linear               10                  650
                                             269,722   paper: 0.27 M

A block is Y = relu(F(x) + shortcut(x)) with F two 3x3 convolutions, so 6n + 2 layers have weights.  Where the size changes, the
shortcut takes every second pixel and fills the new channels with zeros ("option A"): it has no weights at all.

    resnet20   resnet32   resnet44   resnet56   resnet110
    n = 3      5          7          9          18
    269,722    464,154    658,586    853,018    1,727,962     (paper: 0.27, 0.46, 0.66, 0.85, 1.7 M)

Source: He, Zhang, Ren and Sun 2015, Deep residual learning for image recognition, arXiv:1512.03385.
"""

from .. import functional as F
from .. import nn
from ..nn.norm import norm_relu
from ..ops.shapes import check_array


class PadShortcut(nn.Module):
    """(N, C, H, W) -> (N, O, H/S, W/S): every S-th pixel, and zeros for the new channels, as many in front as behind."""

    def __init__(self, in_channels, channels, stride):
        self.stride, self.extra = stride, channels - in_channels

    def forward(self, x):
        half = self.extra // 2
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, half, self.extra - half))


class CifarResNet(nn.Module):
    """A residual network for pictures of 32x32; `blocks` is n, the number of blocks per stage.

    Shapes: input (N, 3, H, W) -> logits (N, num_classes); H and W are 32 in the paper, any size >= 4 works.
    Raises ValueError for another number of axes or channels.

    >>> sum(p.size for p in CifarResNet(blocks=3).parameters())
    269722
    """

    def __init__(self, blocks, num_classes=10, in_channels=3):
        self.in_channels = in_channels
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = stage(16, 16, blocks, stride=1)
        self.layer2 = stage(16, 32, blocks, stride=2)
        self.layer3 = stage(32, 64, blocks, stride=2)
        self.linear = nn.Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)                    # He et al. 2015, arXiv:1502.01852

    def forward(self, x):
        check_array("CifarResNet", input=x)
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"CifarResNet: input must be (N, {self.in_channels}, H, W), got shape {x.shape}. "
                             "A single picture needs a batch axis: x[None].")
        x = norm_relu(self.bn1, self.conv1(x))                            # (N, 16, 32, 32)
        x = self.layer3(self.layer2(self.layer1(x)))                      # (N, 64, 8, 8)
        return self.linear(x.mean(axis=(2, 3)))                           # (N, K)


def stage(in_channels, channels, blocks, stride):
    """`blocks` blocks of one size; the first changes it."""
    shortcut = PadShortcut(in_channels, channels, stride) if stride > 1 else None
    first = nn.BasicBlock(in_channels, channels, stride, shortcut)
    return nn.Sequential(first, *[nn.BasicBlock(channels, channels) for _ in range(blocks - 1)])


def resnet20(num_classes=10):
    """ResNet-20 for 32x32 colour pictures: 269,722 weights.

    >>> len(list(resnet20().parameters()))
    59
    """
    return CifarResNet(3, num_classes)


def resnet32(num_classes=10):
    """ResNet-32 for 32x32 colour pictures: 464,154 weights.

    >>> len(resnet32().layer1)
    5
    """
    return CifarResNet(5, num_classes)


def resnet44(num_classes=10):
    """ResNet-44 for 32x32 colour pictures: 658,586 weights.

    >>> len(resnet44().layer1)
    7
    """
    return CifarResNet(7, num_classes)


def resnet56(num_classes=10):
    """ResNet-56 for 32x32 colour pictures: 853,018 weights.

    >>> len(resnet56().layer1)
    9
    """
    return CifarResNet(9, num_classes)


def resnet110(num_classes=10):
    """ResNet-110 for 32x32 colour pictures: 1,727,962 weights.

    >>> len(resnet110().layer1)
    18
    """
    return CifarResNet(18, num_classes)
