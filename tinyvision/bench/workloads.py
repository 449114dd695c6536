"""The layers and networks that are measured, and how much work each of them is.

Work is counted from the definition: a multiplication and an addition are two operations (flop), and every input is read and
every result written once (bytes).  Whatever an implementation does beyond that shows as a lower speed.
"""

from dataclasses import dataclass, replace
from math import prod
from types import SimpleNamespace

import numpy as np

FORWARD, INPUT, WEIGHT, BOTH = "forward", "grad input", "grad weight", "forward+backward"


@dataclass(frozen=True)
class Layer:
    """A layer on float32 input x (N, C, H, W) or (N, C), with weight w where it has one."""

    name: str
    kind: str                                             # conv, conv_transpose, linear, max_pool, batch_norm, additions ...
    x: tuple
    w: tuple = ()
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def passes(self):
        """What is timed: the three partial gradients by themselves, or forward, and both passes, of an operation recorded."""
        return (FORWARD, INPUT, WEIGHT) if self.kind in ("conv", "conv_transpose", "linear") else (FORWARD, BOTH)

    @property
    def kinked(self):
        """Whether rounding decides where its gradient is 0: a ReLU after something computed."""
        return self.kind == "batch_norm_relu"

    @property
    def y(self):
        """The shape of the output.

        >>> Layer("", "conv", (1, 3, 8, 8), (5, 3, 3, 3), stride=2, padding=1).y
        (1, 5, 4, 4)
        """
        N, K, S, P = self.x[0], self.w[-1:], self.stride, 2 * self.padding
        if self.kind == "conv":
            return (N, self.w[0], *((size + P - K[0]) // S + 1 for size in self.x[2:]))
        if self.kind == "conv_transpose":
            return (N, self.w[1] * self.groups, *((size - 1) * S - P + K[0] for size in self.x[2:]))
        if self.kind == "linear":
            return (N, self.w[0])
        if self.kind == "max_pool":
            return (*self.x[:2], *(size // 2 for size in self.x[2:]))
        return () if self.kind == "cross_entropy" else self.x

    @property
    def flop(self):
        """Operations of one pass; 0 for layers that are limited by memory, not by arithmetic.

        >>> Layer("", "linear", (64, 400), (120, 400)).flop
        6144000
        """
        if self.kind == "conv_transpose":
            return 2 * prod(self.x) * prod(self.w[1:])
        return 2 * prod(self.y) * prod(self.w[1:]) if self.w else 0

    @property
    def bytes(self):
        """Bytes of what one pass reads and writes: two of input, weight and output are read, the third is written."""
        return 4 * (prod(self.x) + prod(self.w) + prod(self.y))

    def arrays(self):
        """Random input, weight, upstream gradient, labels; scale and shift for batch norm."""
        rng = np.random.default_rng(0)
        draw = lambda *shape: rng.standard_normal(shape, dtype=np.float32)  # noqa: E731
        w = draw(*self.w) / np.sqrt(prod(self.w[1:]), dtype=np.float32) if self.w else None
        return SimpleNamespace(x=draw(*self.x), w=w, g=draw(*self.y), labels=rng.integers(0, self.x[1], self.x[0]),
                               scale=draw(self.x[1]), shift=draw(self.x[1]))

    def tiny(self):
        """The same layer on next to nothing, which loads and compiles what it needs."""
        return replace(self, x=(1, self.x[1], *(8 for _ in self.x[2:])))


@dataclass(frozen=True)
class Network:
    """A network in training: forward, cross entropy, backward, SGD with momentum."""

    name: str
    model: str                                            # lenet5, resnet20, resnet50, unet
    x: tuple
    base: int = 0                                         # U-Net: channels of its first level
    depth: int = 0

    @property
    def classes(self):
        return {"unet": 2, "resnet50": 1000}.get(self.model, 10)

    @property
    def fall(self):
        """The part by which the fall of the loss in a step may differ: through fifty layers of random weights rounding grows."""
        return 0.5 if self.model == "resnet50" else 1e-2

    def data(self):
        """Random pictures, and random labels: one for each picture, or for each pixel."""
        rng = np.random.default_rng(0)
        labels = self.x[:1] + self.x[2:] if self.model == "unet" else self.x[:1]
        return rng.standard_normal(self.x, dtype=np.float32), rng.integers(0, self.classes, labels)

    def tiny(self):
        """The same network on one picture, as small as it takes."""
        size = {"lenet5": self.x[2], "resnet50": 96}.get(self.model, 2 ** max(self.depth, 3))
        return replace(self, x=(8 if self.model == "resnet50" else 2, self.x[1], size, size))


def additions(x):
    """A hundred operations, each of them next to nothing: what is left is what an operation costs by itself.

    >>> additions(2)
    102
    """
    for _ in range(100):
        x = x + 1
    return x


LR, MOMENTUM = 0.001, 0.9                                 # of SGD: slow, for the same batch comes again and again


def conv(name, N, C, O, size, K=3, **options):  # noqa: E741
    options.setdefault("padding", K // 2)
    return Layer(name, "conv", (N, C, size, size), (O, C // options.get("groups", 1), K, K), **options)


LAYERS = (
    conv("LeNet conv1: 1>6 5x5, 32x32, b256", 256, 1, 6, 32, 5, padding=0),
    conv("LeNet conv2: 6>16 5x5, 14x14, b256", 256, 6, 16, 14, 5, padding=0),
    conv("conv 16>16 3x3, 32x32, b128", 128, 16, 16, 32),
    conv("conv 32>32 3x3, 16x16, b128", 128, 32, 32, 16),
    conv("conv 64>64 3x3, 8x8, b128", 128, 64, 64, 8),
    conv("conv 16>32 3x3 stride 2, 32x32, b128", 128, 16, 32, 32, stride=2),
    conv("conv 64>64 3x3, 128x128, b1", 1, 64, 64, 128),
    conv("conv 512>512 3x3, 16x16, b1", 1, 512, 512, 16),
    conv("conv 256>256 1x1, 16x16, b8", 8, 256, 256, 16, 1),
    conv("depthwise 64 3x3, 32x32, b32", 32, 64, 64, 32, groups=64),
    Layer("transposed 128>64 2x2 stride 2, 64x64, b1", "conv_transpose", (1, 128, 64, 64), (128, 64, 2, 2), stride=2),
    Layer("linear 400>120, b256", "linear", (256, 400), (120, 400)),
    Layer("linear 2048>1000, b64", "linear", (64, 2048), (1000, 2048)),
    Layer("max pool 2x2, 6x28x28, b256", "max_pool", (256, 6, 28, 28)),
    Layer("max pool 2x2, 64x256x256, b1", "max_pool", (1, 64, 256, 256)),
    Layer("batch norm, 16x32x32, b128", "batch_norm", (128, 16, 32, 32)),
    Layer("batch norm, 64x256x256, b1", "batch_norm", (1, 64, 256, 256)),
    Layer("batch norm + ReLU, 16x32x32, b128", "batch_norm_relu", (128, 16, 32, 32)),
    Layer("batch norm + ReLU, 64x256x256, b1", "batch_norm_relu", (1, 64, 256, 256)),
    Layer("ReLU, 16x32x32, b128", "relu", (128, 16, 32, 32)),
    Layer("cross entropy, 10 classes, b256", "cross_entropy", (256, 10)),
    Layer("cross entropy, 2 classes, 65,536 pixels", "cross_entropy", (65536, 2)),
    Layer("100 additions of 1 to a number", "additions", (1, 1)),
)
SHORT = tuple(layer for layer in LAYERS if layer.name.startswith(
    ("LeNet conv2", "conv 16>16", "conv 64>64 3x3, 128", "conv 256>256", "max pool 2x2, 6x", "batch norm + ReLU, 16")))
QUICK = (conv("conv 8>8 3x3, 16x16, b4", 4, 8, 8, 16), Layer("linear 64>32, b16", "linear", (16, 64), (32, 64)),
         Layer("batch norm + ReLU, 8x16x16, b4", "batch_norm_relu", (4, 8, 16, 16)))
MEMORY = (*(layer for layer in LAYERS if layer.name.startswith(("conv 16>16", "batch norm + ReLU, 64", "max pool 2x2, 64"))),
          conv("conv 64>64 3x3, 256x256, b1", 1, 64, 64, 256))

NETWORKS = (
    Network("LeNet-5 b64", "lenet5", (64, 1, 28, 28)),
    Network("LeNet-5 b256", "lenet5", (256, 1, 28, 28)),
    Network("ResNet-20 b128, 32x32", "resnet20", (128, 3, 32, 32)),
    Network("U-Net base 16 b4, 128x128", "unet", (4, 1, 128, 128), 16, 4),
    Network("U-Net base 64 b1, 256x256", "unet", (1, 1, 256, 256), 64, 4),
)
QUICK_NETWORKS = (Network("LeNet-5 b4", "lenet5", (4, 1, 28, 28)),
                  Network("U-Net base 4 b2, 16x16", "unet", (2, 1, 16, 16), 4, 2))

# For a GPU, which is idle with less.
GPU_LAYERS = (
    conv("LeNet conv1: 1>6 5x5, 32x32, b256", 256, 1, 6, 32, 5, padding=0),
    conv("LeNet conv2: 6>16 5x5, 14x14, b256", 256, 6, 16, 14, 5, padding=0),
    conv("conv 16>16 3x3, 32x32, b512", 512, 16, 16, 32),
    conv("conv 32>32 3x3, 16x16, b512", 512, 32, 32, 16),
    conv("conv 64>64 3x3, 8x8, b512", 512, 64, 64, 8),
    conv("conv 16>32 3x3 stride 2, 32x32, b512", 512, 16, 32, 32, stride=2),
    conv("conv 3>64 7x7 stride 2, 224x224, b64", 64, 3, 64, 224, 7, stride=2),
    conv("conv 64>64 3x3, 56x56, b64", 64, 64, 64, 56),
    conv("conv 128>128 3x3 stride 2, 56x56, b64", 64, 128, 128, 56, stride=2),
    conv("conv 256>256 3x3, 14x14, b64", 64, 256, 256, 14),
    conv("conv 512>512 3x3, 7x7, b64", 64, 512, 512, 7),
    conv("conv 256>64 1x1, 56x56, b64", 64, 256, 64, 56, 1),
    conv("conv 2048>512 1x1, 7x7, b64", 64, 2048, 512, 7, 1),
    conv("conv 64>64 3x3, 568x568, b1", 1, 64, 64, 568),
    conv("conv 512>512 3x3, 64x64, b1", 1, 512, 512, 64),
    conv("depthwise 64 3x3, 56x56, b64", 64, 64, 64, 56, groups=64),
    Layer("transposed 128>64 2x2 stride 2, 280x280, b1", "conv_transpose", (1, 128, 280, 280), (128, 64, 2, 2), stride=2),
    Layer("linear 2048>1000, b64", "linear", (64, 2048), (1000, 2048)),
    Layer("max pool 2x2, 64x112x112, b64", "max_pool", (64, 64, 112, 112)),
    Layer("batch norm, 64x56x56, b64", "batch_norm", (64, 64, 56, 56)),
    Layer("batch norm + ReLU, 16x32x32, b512", "batch_norm_relu", (512, 16, 32, 32)),
    Layer("ReLU, 64x112x112, b64", "relu", (64, 64, 112, 112)),
    Layer("cross entropy, 1000 classes, b64", "cross_entropy", (64, 1000)),
    Layer("cross entropy, 2 classes, 1,048,576 pixels", "cross_entropy", (1 << 20, 2)),
    Layer("100 additions of 1 to a number", "additions", (1, 1)),
)
GPU_NETWORKS = (
    Network("LeNet-5 b256", "lenet5", (256, 1, 28, 28)),
    Network("ResNet-20 b128, 32x32", "resnet20", (128, 3, 32, 32)),
    Network("ResNet-20 b512, 32x32", "resnet20", (512, 3, 32, 32)),
    Network("ResNet-50 b64, 224x224", "resnet50", (64, 3, 224, 224)),
    # padded convolutions keep the size, so that it must divide by 16: 576, where the paper's valid ones begin with 572
    Network("U-Net base 64 b1, 576x576", "unet", (1, 1, 576, 576), 64, 4),
)
