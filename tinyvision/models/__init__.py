"""Networks, each after its paper: one file a paper, with the paper's table of layers."""

from .lenet import LeNet5
from .mlp import MLP
from .resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152
from .resnet_cifar import CifarResNet, resnet20, resnet32, resnet44, resnet56, resnet110
from .unet import UNet

__all__ = ["CifarResNet", "LeNet5", "MLP", "ResNet", "UNet", "resnet101", "resnet110", "resnet152", "resnet18", "resnet20",
           "resnet32", "resnet34", "resnet44", "resnet50", "resnet56"]
