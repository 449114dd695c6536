"""Mistakes in layers without weights: ReLU, max pooling, dropout, upsampling."""

import numpy as np

from tests.gradcheck.networks import fault
from tests.gradcheck.networks.whole import drop_lenet, lenet, nearest_unet, square_unet, unet
from tinyvision import Op


class Relu(Op):
    def forward(self, x):
        return np.maximum(x, 0)


class Guided(Relu):
    def backward(self, g, x):
        return np.maximum(g, 0) * (x > 0)


@fault(lenet, "activation", "input")
def lenet_activation_guided(layer):
    """Guided backpropagation: negative upstream gradients are dropped."""
    layer.forward = lambda input: Guided()(input)


class Leaky(Relu):
    def backward(self, g, x):
        return np.where(x > 0, g, 0.1 * g)


@fault(unet, "down.1.2", "input")
def unet_relu_leaks(layer):
    """A tenth of the gradient leaks through where the input is negative."""
    layer.forward = lambda input: Leaky()(input)


class MaxPool(Op):
    """2x2, stride 2."""

    def forward(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))


class ToAll(MaxPool):
    def backward(self, g, x):
        return g.repeat(2, axis=2).repeat(2, axis=3)


@fault(lenet, "pool", "input")
def lenet_pool_gradient_to_all(layer):
    """Max pooling hands the gradient to all four pixels of a window."""
    layer.forward = lambda input: ToAll()(input)


class ToFirst(MaxPool):
    def backward(self, g, x):
        gx = np.zeros_like(x)
        gx[:, :, ::2, ::2] = g
        return gx


@fault(square_unet, "pool", "input")
def unet_pool_gradient_to_first(layer):
    """Max pooling hands the gradient to the first pixel of a window, not to the largest."""
    layer.forward = lambda input: ToFirst()(input)


class Redrawn(Op):
    def __init__(self, p, generator):
        self.p, self.generator = p, generator

    def forward(self, x):
        return self.drop(x)

    def backward(self, g, x):
        return self.drop(g)

    def drop(self, x):
        return x * (self.generator.random(x.shape, np.float32) >= self.p) / (1 - self.p)


@fault(drop_lenet, "drop", "input")
def lenet_dropout_redraws(layer):
    """Dropout draws another mask in backward."""
    layer.forward = lambda input: Redrawn(layer.p, layer.generator)(input)


class Nearest(Op):
    def forward(self, x):
        return x.repeat(2, axis=2).repeat(2, axis=3)

    def backward(self, g, x):
        return g[:, :, ::2, ::2]


@fault(nearest_unet, "up.0.up.0", "input")
def unet_nearest_keeps_one(layer):
    """Each pixel gets one of the gradients of its four copies, not their sum."""
    layer.forward = lambda input: Nearest()(input)
