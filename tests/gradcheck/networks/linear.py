"""Mistakes in linear layers."""

import numpy as np

from tests.gradcheck.networks import fault
from tests.gradcheck.networks.whole import lenet, resnet
from tinyvision import Op


class Affine(Op):
    """x W^T + b; change(g, x, w, gx, gw, gb) has the last word on its three gradients."""

    def __init__(self, change):
        self.change = change

    def forward(self, x, w, b):
        return x @ w.T + b

    def backward(self, g, x, w, b):
        return self.change(g, x, w, g @ w, g.T @ x, g.sum(axis=0))


def with_affine(layer, change):
    layer.forward = lambda input: Affine(change)(input, layer.weight, layer.bias)


@fault(lenet, "fc2", "weight")
def lenet_linear_weight_last_sample(layer):
    """Every sample overwrites the weight gradient of the one before."""
    with_affine(layer, lambda g, x, w, gx, gw, gb: (gx, np.outer(g[-1], x[-1]), gb))


@fault(lenet, "fc1", "bias")
def lenet_linear_bias_twice(layer):
    """The bias gradient is added twice."""
    with_affine(layer, lambda g, x, w, gx, gw, gb: (gx, gw, gb + gb))


@fault(resnet, "linear", "weight")
def resnet_linear_weight_decay(layer):
    """Weight decay is added in the layer's backward."""
    with_affine(layer, lambda g, x, w, gx, gw, gb: (gx, gw + 1e-2 * w, gb))


@fault(lenet, "fc3", "input")
def lenet_last_layer_detached(layer):
    """The last layer's input is detached: nothing reaches the layers before it."""
    multiply = layer.forward
    layer.forward = lambda input: multiply(input.detach())
