"""Residual blocks: learn what to add to the input, Y = F(x) + x, instead of what to make of it.

The gradient of such a block is dL/dx = dL/dY + (dF/dx)^T dL/dY: whatever the layers do, the first term arrives undiminished, so
networks of a hundred blocks can be trained.  Where F changes the shape (a stride, more channels) x is projected to it by a 1x1
convolution, Y = F(x) + W x.

    BasicBlock            F = bn(conv3x3( relu(bn(conv3x3 x)) ))                         Y = relu(F + x)
    Bottleneck            F = bn(conv1x1( relu(bn(conv3x3( relu(bn(conv1x1 x)) ))) ))    Y = relu(F + x)
    PreActivationBlock    F = conv3x3(relu(bn( conv3x3(relu(bn x)) )))                   Y = F + x, nothing after the sum

Sources: He et al. 2015, arXiv:1512.03385, figures 2 and 5; He et al. 2016, arXiv:1603.05027, figure 4(e).  The parts, and so
the keys of the state dict, are named as in torchvision.models.resnet.
"""

from .checks import whole
from .container import Sequential
from .conv import Conv2d
from .module import Module
from .norm import BatchNorm2d, norm_relu


def conv3x3(channels, planes, stride=1):
    return Conv2d(channels, planes, kernel_size=3, stride=stride, padding=1, bias=False)   # batch norm has the bias


def conv1x1(channels, planes, stride=1):
    return Conv2d(channels, planes, kernel_size=1, stride=stride, bias=False)


def shortcut(inplanes, outplanes, stride):
    """What brings x to the shape of F(x): nothing, or a 1x1 convolution and batch norm."""
    if stride == 1 and inplanes == outplanes:
        return None
    return Sequential(conv1x1(inplanes, outplanes, stride), BatchNorm2d(outplanes))


class BasicBlock(Module):
    """Two 3x3 convolutions and a shortcut: Y = relu(F(x) + x) (He et al. 2015, figure 5 left; ResNet-18 and -34).

    Shapes: input (N, inplanes, H, W) -> (N, planes, OH, OW), OH = ceil(H / stride)
            conv1 (N, planes, OH, OW)   conv2 (N, planes, OH, OW)   downsample (N, planes, OH, OW)
    stride: of conv1.  downsample: the module for the shortcut; None makes a projection where the shape changes and adds x
    itself elsewhere.
    Raises ValueError for sizes below 1.

    >>> from tinyvision import Tensor
    >>> import numpy as np
    >>> BasicBlock(16, 32, stride=2)(Tensor(np.zeros((1, 16, 8, 8), "float32"))).shape
    (1, 32, 4, 4)
    """

    expansion = 1                                         # channels out per plane

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        whole("BasicBlock", inplanes=inplanes, planes=planes, stride=stride)
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = BatchNorm2d(planes)
        self.downsample = shortcut(inplanes, planes, stride) if downsample is None else downsample

    def forward(self, x):
        y = self.conv2(norm_relu(self.bn1, self.conv1(x)))
        return norm_relu(self.bn2, y, x if self.downsample is None else self.downsample(x))


class Bottleneck(Module):
    """1x1 to few channels, 3x3, 1x1 to four times as many: Y = relu(F(x) + x) (He et al. 2015, figure 5 right; ResNet-50).

    Shapes: input (N, inplanes, H, W) -> (N, 4*planes, OH, OW), OH = ceil(H / stride)
            conv1 (N, planes, H, W)   conv2 (N, planes, OH, OW)   conv3, downsample (N, 4*planes, OH, OW)
    stride: of the 3x3 convolution ("ResNet v1.5", as torchvision; the paper has it in the first 1x1, which skips pixels).
    downsample: as in BasicBlock.
    Raises ValueError for sizes below 1.

    >>> from tinyvision import Tensor
    >>> import numpy as np
    >>> Bottleneck(64, 16)(Tensor(np.zeros((1, 64, 8, 8), "float32"))).shape
    (1, 64, 8, 8)
    """

    expansion = 4                                         # channels out per plane

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        whole("Bottleneck", inplanes=inplanes, planes=planes, stride=stride)
        out = planes * self.expansion
        self.conv1 = conv1x1(inplanes, planes)
        self.bn1 = BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes, stride)
        self.bn2 = BatchNorm2d(planes)
        self.conv3 = conv1x1(planes, out)
        self.bn3 = BatchNorm2d(out)
        self.downsample = shortcut(inplanes, out, stride) if downsample is None else downsample

    def forward(self, x):
        y = norm_relu(self.bn1, self.conv1(x))
        y = self.conv3(norm_relu(self.bn2, self.conv2(y)))
        return norm_relu(self.bn3, y, x if self.downsample is None else self.downsample(x))


class PreActivationBlock(Module):
    """Batch norm and ReLU before each convolution, so that the sum is left alone: Y = F(x) + x (He et al. 2016).

    From block to block nothing stands in the way of x, so Y of block L is x plus the sum of all F: the gradient reaches every
    block directly.  Where the shape changes, the shortcut starts from the activated input: Y = F(x) + W relu(bn x).
    Shapes: input (N, inplanes, H, W) -> (N, planes, OH, OW), OH = ceil(H / stride)
            conv1 (N, planes, OH, OW)   conv2 (N, planes, OH, OW)   downsample (N, planes, OH, OW)
    stride: of conv1.  The network needs a batch norm and ReLU after its last block.
    Raises ValueError for sizes below 1.

    >>> from tinyvision import Tensor
    >>> import numpy as np
    >>> PreActivationBlock(16, 32, stride=2)(Tensor(np.zeros((1, 16, 8, 8), "float32"))).shape
    (1, 32, 4, 4)
    """

    expansion = 1                                         # channels out per plane

    def __init__(self, inplanes, planes, stride=1):
        whole("PreActivationBlock", inplanes=inplanes, planes=planes, stride=stride)
        self.bn1 = BatchNorm2d(inplanes)
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn2 = BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes)
        self.downsample = None if stride == 1 and inplanes == planes else conv1x1(inplanes, planes, stride)

    def forward(self, x):
        a = norm_relu(self.bn1, x)
        y = self.conv2(norm_relu(self.bn2, self.conv1(a)))
        return y + (x if self.downsample is None else self.downsample(a))
