"""Mistakes in convolutions and transposed convolutions."""

import numpy as np

from tests.gradcheck.networks import fault
from tests.gradcheck.networks.whole import lenet, paper_unet, projected_resnet, resnet, square_unet, unet
from tinyvision import Op, nn
from tinyvision.kernels.window import Window
from tinyvision.ops.conv import ConvOp, ConvTransposeOp


class AddBias(Op):
    def forward(self, y, b):
        return y + b[:, None, None]

    def backward(self, g, y, b):
        return g, self.reduce(g)

    def reduce(self, g):
        return g.sum(axis=(0, 2, 3))


class OwnConv(nn.Conv2d):
    """A convolution made of two ops, of which one may be replaced."""

    product, plus = ConvOp, AddBias

    def forward(self, input):
        window = Window(self.kernel_size, self.stride, self.widths, self.dilation)
        y = self.product(window, self.groups)(input, self.weight)
        return y if self.bias is None else self.plus()(y, self.bias)


class OwnUp(nn.ConvTranspose2d):
    """A transposed convolution of 2x2 with stride 2, likewise."""

    product, plus = ConvTransposeOp, AddBias

    def forward(self, input):
        window = Window(self.kernel_size, self.stride, ((0, 0), (0, 0)), (1, 1))
        y = self.product(window, 1, tuple(2 * n for n in input.shape[2:]))(input, self.weight)
        return self.plus()(y, self.bias)


def own(layer):
    return OwnConv if isinstance(layer, nn.Conv2d) else OwnUp


def with_product(layer, change):
    """Let both gradients of the product, right ones, go through change(op, g, x, w, gx, gw)."""
    base = own(layer)

    class Product(base.product):
        def backward(self, g, x, w):
            return change(self, g, x, w, *super().backward(g, x, w))
    layer.__class__ = type(type(layer).__name__, (base,), {"product": Product})


def with_bias(layer, reduce):
    """Let reduce(g) be the gradient of the bias."""
    class Plus(AddBias):
        def reduce(self, g):
            return reduce(g)
    layer.__class__ = type(type(layer).__name__, (own(layer),), {"plus": Plus})


# --- the weight's gradient


@fault(lenet, "conv1", "weight")
def lenet_conv_weight_averaged(layer):
    """The weight gradient is averaged over the batch, which the loss has done already."""
    with_product(layer, lambda op, g, x, w, gx, gw: (gx, gw / len(x)))


@fault(resnet, "layer1.1.conv1", "weight")
def resnet_conv_weight_channels_exchanged(layer):
    """Input and output channels of the weight gradient are exchanged; there are 16 of both."""
    with_product(layer, lambda op, g, x, w, gx, gw: (gx, gw.swapaxes(0, 1)))


@fault(resnet, "conv1", "weight")
def resnet_first_conv_weight_clipped(layer):
    """The weight gradient is clipped at a quarter of its largest element."""
    def clipped(op, g, x, w, gx, gw):
        limit = np.abs(gw).max() / 4
        return gx, np.clip(gw, -limit, limit)
    with_product(layer, clipped)


@fault(projected_resnet, "block1.downsample.0", "weight")
def resnet_projection_weight_halved(layer):
    """The weight of the projection on the shortcut gets half of its gradient."""
    with_product(layer, lambda op, g, x, w, gx, gw: (gx, gw / 2))


@fault(unet, "merge.1.3", "weight")
def unet_conv_weight_shifted(layer):
    """The weight gradient is off by one column of the kernel."""
    with_product(layer, lambda op, g, x, w, gx, gw: (gx, np.roll(gw, 1, axis=3)))


@fault(paper_unet, "down.1.0", "weight")
def unet_valid_conv_weight_sign(layer):
    """The sign of the weight gradient is wrong."""
    with_product(layer, lambda op, g, x, w, gx, gw: (gx, -gw))


@fault(unet, "up.1.up", "weight")
def unet_up_last_tap_forgotten(layer):
    """The last of the four elements of each kernel gets no gradient."""
    def forgotten(op, g, x, w, gx, gw):
        gw[:, :, 1, 1] = 0
        return gx, gw
    with_product(layer, forgotten)


# --- the bias's


@fault(lenet, "conv2", "bias")
def lenet_conv_bias_first_picture(layer):
    """The bias gradient is summed over the first picture only."""
    with_bias(layer, lambda g: g[0].sum(axis=(1, 2)))


@fault(unet, "head", "bias")
def unet_head_bias_first_row(layer):
    """The bias gradient sums the first row of pixels only."""
    with_bias(layer, lambda g: g[:, :, 0].sum(axis=(0, 2)))


@fault(square_unet, "up.0.up", "bias")
def unet_up_bias_averaged(layer):
    """The bias gradient is a mean over pictures and pixels, not a sum."""
    with_bias(layer, lambda g: g.mean(axis=(0, 2, 3)))


# --- the input's


@fault(lenet, "conv2", "input")
def lenet_conv_kernel_turned(layer):
    """The kernel is turned round in the input's gradient."""
    def turned(op, g, x, w, gx, gw):
        return ConvTransposeOp(op.window, op.groups, x.shape[2:])(g, w[:, :, ::-1, ::-1]), gw
    with_product(layer, turned)


@fault(unet, "up.0.up", "input")
def unet_up_kernel_turned(layer):
    """The kernel is turned round in the input's gradient, a convolution."""
    with_product(layer, lambda op, g, x, w, gx, gw: (ConvOp(op.window, op.groups)(g, w[:, :, ::-1, ::-1]), gw))


@fault(resnet, "layer2.0.conv2", "input")
def resnet_conv_windows_assigned(layer):
    """Where windows overlap, their contributions to the input's gradient are assigned, not added."""
    def assigned(op, g, x, w, gx, gw):
        gx = np.zeros((*x.shape[:2], x.shape[2] + 2, x.shape[3] + 2))
        for i in range(g.shape[2]):
            for j in range(g.shape[3]):
                gx[:, :, i:i + 3, j:j + 3] = np.einsum("no,ocij->ncij", g[:, :, i, j], w)
        return gx[:, :, 1:-1, 1:-1], gw
    with_product(layer, assigned)


@fault(paper_unet, "head", "input")
def unet_head_input_detached(layer):
    """The head's input is detached: no gradient goes back into the network."""
    convolve = layer.forward
    layer.forward = lambda input: convolve(input.detach())
