"""The networks: few and small pictures, so that a check takes seconds at most.

Not too small: maps of few elements are compared element by element, which takes longer than random directions.
"""

import numpy as np

from tests.gradcheck.networks import network
from tinyvision import functional as F
from tinyvision import nn
from tinyvision.models.lenet import LeNet5
from tinyvision.models.resnet_cifar import CifarResNet, resnet20
from tinyvision.models.unet import UNet


def lively(net, rng):
    """In double precision, and batch norms with weights and biases unlike ones and zeros, so that forgetting them shows."""
    net.double()
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.weight.data[...] = rng.uniform(0.5, 1.5, m.weight.shape)
            m.bias.data[...] = 0.3 * rng.standard_normal(m.bias.shape)
    return net


def cross_entropy(rng, shape, classes):
    """The loss for random labels of this shape, one for each picture or for each pixel."""
    targets = rng.integers(0, classes, shape)
    return lambda y: F.cross_entropy(y, targets)


# --- LeNet-5


@network
def lenet(rng):
    return lively(LeNet5(), rng), rng.standard_normal((2, 1, 28, 28)), cross_entropy(rng, 2, 10)


@network
def classic_lenet(rng):
    """With tanh and average pooling."""
    return LeNet5(classic=True).double(), rng.uniform(0, 1, (3, 1, 32, 32)), cross_entropy(rng, 3, 10)


@network
def lenet_float32(rng):
    return LeNet5(), rng.standard_normal((3, 1, 28, 28)).astype(np.float32), cross_entropy(rng, 3, 10)


@network
def lenet_on_digits(rng):
    """Most pixels are exactly 0, as in MNIST: every maximum over the empty border is tied."""
    x = np.maximum(rng.standard_normal((3, 1, 28, 28)), 0)
    x[:, :, :6], x[:, :, :, 20:] = 0, 0
    return lively(LeNet5(), rng), x, cross_entropy(rng, 3, 10)


class DropLeNet(LeNet5):
    """LeNet-5 with dropout after the first linear layer."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.4)

    def forward(self, x):
        x = F.pad(x, (2, 2, 2, 2))
        x = self.pool(self.activation(self.conv1(x)))
        x = self.pool(self.activation(self.conv2(x)))
        x = self.drop(self.activation(self.fc1(x.flatten(1))))
        return self.fc3(self.activation(self.fc2(x)))


@network
def drop_lenet(rng):
    return lively(DropLeNet(), rng), rng.standard_normal((3, 1, 28, 28)), cross_entropy(rng, 3, 10)


# --- residual networks


@network
def resnet(rng):
    return lively(resnet20(), rng), rng.standard_normal((3, 3, 8, 8)), cross_entropy(rng, 3, 10)


@network
def resnet_eval(rng):
    """Left in evaluation mode by its user."""
    return lively(resnet20(), rng).eval(), rng.standard_normal((3, 3, 8, 8)), cross_entropy(rng, 3, 10)


@network
def short_resnet(rng):
    """One block per stage, for mistakes that only the check of the whole network can find."""
    return lively(CifarResNet(1), rng), rng.standard_normal((2, 3, 8, 8)), cross_entropy(rng, 2, 10)


class ProjectedResNet(nn.Module):
    """A basic block and a bottleneck with projections, convolution and batch norm, on their shortcuts."""

    def __init__(self):
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.block1, self.block2 = nn.BasicBlock(4, 8, stride=2), nn.Bottleneck(8, 3)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        return self.head(self.block2(self.block1(F.relu(self.stem(x)))).mean(axis=(2, 3)))


@network
def projected_resnet(rng):
    return lively(ProjectedResNet(), rng), rng.standard_normal((3, 3, 12, 12)), cross_entropy(rng, 3, 5)


# --- U-Nets


@network
def unet(rng):
    net = UNet(1, 3, base_channels=4, depth=2)
    return lively(net, rng), rng.standard_normal((2, 1, 16, 24)), cross_entropy(rng, (2, 16, 24), 3)


@network
def square_unet(rng):
    net = UNet(2, 3, base_channels=6, depth=2)
    return lively(net, rng), rng.standard_normal((3, 2, 16, 16)), cross_entropy(rng, (3, 16, 16), 3)


@network
def flat_unet(rng):
    """One level and no batch norm, for mistakes that only the check of the whole network can find."""
    net = UNet(1, 2, base_channels=4, depth=1, norm=False)
    return lively(net, rng), rng.standard_normal((1, 1, 8, 8)), cross_entropy(rng, (1, 8, 8), 2)


@network
def nearest_unet(rng):
    """Upsampling by nearest neighbours."""
    net = UNet(1, 3, base_channels=4, depth=2, up="nearest")
    return lively(net, rng), rng.standard_normal((2, 1, 16, 16)), cross_entropy(rng, (2, 16, 16), 3)


@network
def paper_unet(rng):
    """Valid convolutions with biases, no batch norm: the skips are cropped."""
    net = UNet(1, 2, base_channels=4, depth=1, norm=False, padding="valid")
    return lively(net, rng), rng.standard_normal((1, 1, 20, 20)), cross_entropy(rng, (1, 4, 4), 2)
