"""Mistakes in what blocks and networks do between their layers, all of which are right."""

import numpy as np

from tests.gradcheck.networks import fault
from tests.gradcheck.networks.whole import flat_unet, lenet, resnet, short_resnet, unet
from tinyvision import Op, concatenate
from tinyvision import functional as F


class Same(Op):
    """The identity; its gradient goes through `change`."""

    def __init__(self, change):
        self.change = change

    def forward(self, x):
        return x.copy()

    def backward(self, g, x):
        return self.change(g)


# --- the network itself


@fault(lenet, "", "input")
def lenet_flattened_backwards(net):
    """The gradient of the flattened maps comes back in the opposite order."""
    class Flatten(Op):
        def forward(self, x):
            return x.reshape(len(x), -1)

        def backward(self, g, x):
            return g[:, ::-1].reshape(x.shape)

    def forward(x):
        x = net.pool(net.activation(net.conv1(F.pad(x, (2, 2, 2, 2)))))
        x = Flatten()(net.pool(net.activation(net.conv2(x))))
        return net.fc3(net.activation(net.fc2(net.activation(net.fc1(x)))))
    net.forward = forward


def with_parts(net, relu, mean):
    """The forward pass of a residual network with another first ReLU and another mean over the pixels."""
    def forward(x):
        x = net.layer3(net.layer2(net.layer1(relu(net.bn1(net.conv1(x))))))
        return net.linear(mean(x))
    net.forward = forward


@fault(short_resnet, "", "input")
def resnet_global_mean_undivided(net):
    """The gradient of the mean over the pixels is not divided by their number."""
    class Mean(Op):
        def forward(self, x):
            return x.mean(axis=(2, 3))

        def backward(self, g, x):
            return np.broadcast_to(g[:, :, None, None], x.shape)
    with_parts(net, F.relu, lambda x: Mean()(x))


@fault(short_resnet, "", "input")
def resnet_first_relu_open(net):
    """The ReLU behind the first batch norm lets every gradient pass."""
    class Open(Op):
        def forward(self, x):
            return np.maximum(x, 0)

        def backward(self, g, x):
            return g
    with_parts(net, lambda x: Open()(x), lambda x: x.mean(axis=(2, 3)))


def with_join(net, join):
    """The forward pass of a U-Net with join(skip, x) for the concatenation."""
    def forward(x):
        skips = []
        for level, block in enumerate(net.down):
            x = block(x if level == 0 else net.pool(x))
            skips.append(x)
        skips.pop()
        for up, merge in zip(net.up, net.merge):
            x = merge(join(skips.pop(), up(x)))
        return net.head(x)
    net.forward = forward


@fault(flat_unet, "", "input")
def unet_concatenation_swapped(net):
    """The concatenation hands the skip's gradient to what comes up, and the other way round."""
    class Join(Op):
        def forward(self, a, b):
            return np.concatenate([a, b], axis=1)

        def backward(self, g, a, b):
            return g[:, b.shape[1]:], g[:, :b.shape[1]]
    with_join(net, lambda a, b: Join()(a, b))


@fault(flat_unet, "", "input")
def unet_skips_detached(net):
    """The skips are detached before they are concatenated."""
    with_join(net, lambda a, b: concatenate([a.detach(), b], axis=1))


# --- blocks


def with_shortcut(block, shortcut):
    """The forward pass of a residual block with shortcut(x) added."""
    def forward(x):
        y = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))
        return F.relu(y + shortcut(x if block.downsample is None else block.downsample(x)))
    block.forward = forward


@fault(short_resnet, "layer1.0", "input")
def resnet_shortcut_detached(block):
    """The shortcut is detached: only the convolutions carry the gradient."""
    with_shortcut(block, lambda x: x.detach())


@fault(short_resnet, "layer1.0", "input")
def resnet_shortcut_twice(block):
    """The gradient of the shortcut is counted twice."""
    with_shortcut(block, Same(lambda g: 2 * g))


@fault(resnet, "layer3.0.downsample", "input")
def resnet_downsample_shifted(layer):
    """The gradient of the strided shortcut lands one pixel beside."""
    half = layer.extra // 2

    class Strided(Op):
        def forward(self, x):
            return np.pad(x[:, :, ::2, ::2], ((0, 0), (half, layer.extra - half), (0, 0), (0, 0)))

        def backward(self, g, x):
            gx = np.zeros_like(x)
            gx[:, :, 1::2, 1::2] = g[:, half:half + x.shape[1]]
            return gx
    layer.forward = lambda x: Strided()(x)


def with_end(block, end):
    """The forward pass of a block, and `end` behind it."""
    inner = block.forward
    block.forward = lambda x: end(inner(x))


@fault(short_resnet, "layer3", "input")
def resnet_stage_gradient_negated(stage):
    """The sign of the gradient is turned on its way back into a stage of blocks."""
    with_end(stage, Same(lambda g: -g))


@fault(flat_unet, "merge.0", "input")
def unet_double_conv_gradient_halved(block):
    """Half of the gradient comes back into a double convolution."""
    with_end(block, Same(lambda g: g / 2))


@fault(unet, "up.0", "input")
def unet_up_gradient_batch_reversed(block):
    """The gradients of the pictures of a batch come back in the opposite order."""
    with_end(block, Same(lambda g: g[::-1].copy()))
