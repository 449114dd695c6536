"""The residual networks for ImageNet, 18 to 152 layers deep: table 1 of the ResNet paper.

    stage     output (N, ...)     18               34               50, 101, 152
    conv1     64, 112, 112        7x7, stride 2    same             same
    maxpool   64, 56, 56          3x3, stride 2    same             same
    layer1    64 e, 56, 56        2 basic blocks   3                3 bottlenecks, each
    layer2    128 e, 28, 28       2                4                4, 4, 8
    layer3    256 e, 14, 14       2                6                6, 23, 36
    layer4    512 e, 7, 7         2                3                3
    avgpool   512 e, 1, 1
    fc        1000                11,689,512       21,797,672       25,557,032   44,549,160   60,192,808 weights

e = 1 for the basic block (two 3x3 convolutions), 4 for the bottleneck (1x1 down, 3x3, 1x1 up to four times the channels).
Where the size changes, the shortcut is a 1x1 convolution ("option B").  The stride sits in the bottleneck's 3x3
convolution, as in torchvision, whose names for the weights are used here, so that its published files load.

Source: He, Zhang, Ren and Sun 2015, Deep residual learning for image recognition, arXiv:1512.03385.
"""

from .. import nn
from ..nn.norm import norm_relu
from ..ops.shapes import check_array


class ResNet(nn.Module):
    """A residual network for ImageNet (torchvision.models.ResNet).

    Shapes: input (N, 3, H, W), 224x224 in the paper, any size from 32 on works -> logits (N, num_classes).
    block: nn.BasicBlock or nn.Bottleneck; layers: the number of blocks in each of the four stages.
    Raises ValueError for another number of axes or channels.

    >>> model = ResNet(nn.BasicBlock, (2, 2, 2, 2))
    >>> sum(p.size for p in model.parameters())
    11689512
    """

    def __init__(self, block, layers, num_classes=1000, in_channels=3):
        self.in_channels, self.channels = in_channels, 64
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self.stage(block, 64, layers[0], stride=1)
        self.layer2 = self.stage(block, 128, layers[1], stride=2)
        self.layer3 = self.stage(block, 256, layers[2], stride=2)
        self.layer4 = self.stage(block, 512, layers[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stage(self, block, channels, blocks, stride):
        """`blocks` blocks of one size; the first changes it."""
        first = block(self.channels, channels, stride)
        self.channels = channels * block.expansion
        return nn.Sequential(first, *[block(self.channels, channels) for _ in range(blocks - 1)])

    def forward(self, x):
        check_array("ResNet", input=x)
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"ResNet: input must be (N, {self.in_channels}, H, W), got shape {x.shape}. "
                             "A single picture needs a batch axis: x[None].")
        x = self.maxpool(norm_relu(self.bn1, self.conv1(x), relu=self.relu))                  # (N, 64, 56, 56)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))         # (N, 512 e, 7, 7)
        return self.fc(self.avgpool(x).flatten(1))                        # (N, K)


def resnet18(num_classes=1000):
    """ResNet-18: 11,689,512 weights.

    >>> len(resnet18(10).layer3)
    2
    """
    return ResNet(nn.BasicBlock, (2, 2, 2, 2), num_classes)


def resnet34(num_classes=1000):
    """ResNet-34: 21,797,672 weights.

    >>> len(resnet34(10).layer3)
    6
    """
    return ResNet(nn.BasicBlock, (3, 4, 6, 3), num_classes)


def resnet50(num_classes=1000):
    """ResNet-50: 25,557,032 weights.

    >>> resnet50(10).fc.in_features
    2048
    """
    return ResNet(nn.Bottleneck, (3, 4, 6, 3), num_classes)


def resnet101(num_classes=1000):
    """ResNet-101: 44,549,160 weights.

    >>> len(resnet101(10).layer3)
    23
    """
    return ResNet(nn.Bottleneck, (3, 4, 23, 3), num_classes)


def resnet152(num_classes=1000):
    """ResNet-152: 60,192,808 weights.

    >>> len(resnet152(10).layer2)
    8
    """
    return ResNet(nn.Bottleneck, (3, 8, 36, 3), num_classes)
