"""Mistakes in batch norms."""

import numpy as np

from tests.gradcheck.networks import fault
from tests.gradcheck.networks.whole import resnet, unet
from tinyvision import Op, nn

AXES = (0, 2, 3)


class Normalize(Op):
    """Batch norm in training; change(g, x, w, gx, gw, gb) has the last word on its three gradients."""

    def __init__(self, eps, change):
        self.eps, self.change = eps, change

    def forward(self, x, w, b):
        return w[:, None, None] * self.standard(x)[0] + b[:, None, None]

    def standard(self, x):
        """The standardised input, and one over its standard deviation."""
        r = 1 / np.sqrt(x.var(axis=AXES, keepdims=True) + self.eps)
        return (x - x.mean(axis=AXES, keepdims=True)) * r, r

    def backward(self, g, x, w, b):
        xhat, r = self.standard(x)
        u = g * w[:, None, None]
        gx = r * (u - u.mean(axis=AXES, keepdims=True) - xhat * (u * xhat).mean(axis=AXES, keepdims=True))
        return self.change(self, g, x, w, gx, (g * xhat).sum(axis=AXES), g.sum(axis=AXES))


class OwnNorm(nn.BatchNorm2d):
    def forward(self, input):
        return Normalize(self.eps, type(self).change)(input, self.weight, self.bias)


def with_norm(layer, change):
    layer.__class__ = type(type(layer).__name__, (OwnNorm,), {"change": staticmethod(change)})


@fault(resnet, "layer2.0.bn1", "input")
def resnet_norm_evaluation_formula(layer):
    """The evaluation formula in training: mean and variance count as constants."""
    with_norm(layer, lambda op, g, x, w, gx, gw, gb: (g * w[:, None, None] * op.standard(x)[1], gw, gb))


@fault(resnet, "layer3.1.bn2", "weight")
def resnet_norm_weight_from_input(layer):
    """The weight gradient uses the input where it has to use the standardised one."""
    with_norm(layer, lambda op, g, x, w, gx, gw, gb: (gx, (g * x).sum(axis=AXES), gb))


@fault(resnet, "layer1.2.bn1", "bias")
def resnet_norm_bias_twice(layer):
    """The bias gradient is twice what it should be."""
    with_norm(layer, lambda op, g, x, w, gx, gw, gb: (gx, gw, 2 * gb))


@fault(resnet, "bn1", "input")
def resnet_first_norm_forgets_weight(layer):
    """The weight is missing from the input's gradient."""
    with_norm(layer, lambda op, g, x, w, gx, gw, gb: (gx / w[:, None, None], gw, gb))


@fault(unet, "down.2.1", "input")
def unet_norm_mean_term_missing(layer):
    """The term of the mean is missing from the input's gradient."""
    def without_mean(op, g, x, w, gx, gw, gb):
        xhat, r = op.standard(x)
        u = g * w[:, None, None]
        return r * (u - xhat * (u * xhat).mean(axis=AXES, keepdims=True)), gw, gb
    with_norm(layer, without_mean)


@fault(unet, "merge.0.1", "bias")
def unet_norm_bias_zero(layer):
    """The bias gradient is zero."""
    with_norm(layer, lambda op, g, x, w, gx, gw, gb: (gx, gw, np.zeros_like(gb)))
