"""Networks, each after its paper: one file a paper, with the paper's table of layers."""

from .autoencoder import ConvAutoencoder
from .captioner import Captioner, Vocabulary
from .color_bins import ColorBins, lab_to_rgb, rgb_to_lab
from .colorization import Colorizer
from .fcn import FCN, PlainNet, dense_to_conv
from .hed import HED
from .lenet import LeNet5
from .localizer import Localizer
from .mlp import MLP
from .resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152
from .resnet_cifar import CifarResNet, resnet20, resnet32, resnet44, resnet56, resnet110
from .segnet import SegNet
from .squeezenet import SqueezeNet, squeezenet1_0, squeezenet1_1
from .unet import UNet

__all__ = ["Captioner", "CifarResNet", "ColorBins", "Colorizer", "ConvAutoencoder", "FCN", "HED", "LeNet5", "Localizer", "MLP",
           "PlainNet", "ResNet", "SegNet", "SqueezeNet", "UNet", "Vocabulary", "dense_to_conv", "lab_to_rgb", "resnet101",
           "resnet110", "resnet152", "resnet18", "resnet20", "resnet32", "resnet34", "resnet44", "resnet50", "resnet56",
           "rgb_to_lab", "squeezenet1_0", "squeezenet1_1"]
