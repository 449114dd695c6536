"""Mistakes in activations."""

import numpy as np

import tinyvision.functional as F
from tests.bugs import plant
from tests.cases import distinct, randn


@plant(F.relu, distinct(3, 4), cause=("mask-missing", "local-derivative-missing"))
def relu_mask_missing(true, g, x):
    """The gradient passes where the unit is off."""
    return g


@plant(F.relu, distinct(3, 8), cause="guided")
def relu_guided(true, g, x):
    """Guided backpropagation: negative gradients are dropped as well (a fine picture, not a gradient)."""
    return g * (x > 0) * (g > 0)


@plant(F.relu, distinct(3, 8), cause="guided")
def relu_masked_by_upstream(true, g, x):
    """The mask is taken from the gradient, not from the input."""
    return g * (g > 0)


@plant(F.leaky_relu, distinct(3, 4), negative_slope=0.2, cause="wrong-region")
def leaky_relu_slope_forgotten(true, g, x):
    """Treated as relu: the small slope on the left is lost."""
    return g * (x > 0)


@plant(F.sigmoid, randn(3, 4), cause="wrong-local-derivative")
def sigmoid_of_the_input(true, g, x):
    """x (1 - x) for y (1 - y): the formula is that of the output."""
    return g * x * (1 - x)


@plant(F.tanh, randn(3, 4), cause="wrong-local-derivative")
def tanh_without_square(true, g, x):
    """1 - y for 1 - y^2."""
    return g * (1 - np.tanh(x))


@plant(F.silu, randn(3, 4), cause=("term-missing", "wrong-local-derivative"))
def silu_gate_constant(true, g, x):
    """x sigmoid(x) by the product rule, of which one half is forgotten."""
    return g / (1 + np.exp(-x))
