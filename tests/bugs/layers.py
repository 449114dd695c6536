"""Mistakes in activations, softmax, pooling, normalisation and dropout."""

from functools import partial

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.bugs import plant
from tests.cases import distinct, randn

# --- activations and softmax

@plant(F.relu, distinct(3, 4))
def relu_mask_missing(true, g, x):
    """The gradient passes where the unit is off."""
    return g


@plant(F.relu, distinct(3, 8))
def relu_guided(true, g, x):
    """Guided backpropagation: negative gradients are dropped as well (a fine picture, not a gradient)."""
    return g * (x > 0) * (g > 0)


@plant(F.relu, distinct(3, 8))
def relu_masked_by_upstream(true, g, x):
    """The mask is taken from the gradient, not from the input."""
    return g * (g > 0)


@plant(F.leaky_relu, distinct(3, 4), negative_slope=0.2)
def leaky_relu_slope_forgotten(true, g, x):
    """Treated as relu: the small slope on the left is lost."""
    return g * (x > 0)


@plant(F.sigmoid, randn(3, 4))
def sigmoid_of_the_input(true, g, x):
    """x (1 - x) for y (1 - y): the formula is that of the output."""
    return g * x * (1 - x)


@plant(F.tanh, randn(3, 4))
def tanh_without_square(true, g, x):
    """1 - y for 1 - y^2."""
    return g * (1 - np.tanh(x))


@plant(F.silu, randn(3, 4))
def silu_gate_constant(true, g, x):
    """x sigmoid(x) by the product rule, of which one half is forgotten."""
    return g / (1 + np.exp(-x))


def probabilities(x):
    return F.softmax(x, dim=1)


@plant(F.softmax, randn(3, 5), dim=1)
def softmax_elementwise(true, g, x):
    """Only the diagonal of the Jacobian, y (1 - y)."""
    y = probabilities(x)
    return g * y * (1 - y)


@plant(F.softmax, randn(3, 5), dim=1)
def softmax_zeros(true, g, x):
    """Nothing at all: right only for an upstream gradient that is constant."""
    return np.zeros_like(x)


@plant(F.softmax, randn(4, 4), dim=1)
def softmax_sums_over_batch(true, g, x):
    """The sum goes over the wrong axis."""
    y = probabilities(x)
    return y * (g - (g * y).sum(axis=0, keepdims=True))


@plant(F.log_softmax, randn(3, 5), dim=1)
def log_softmax_without_sum(true, g, x):
    """g (1 - y) for g - y sum(g)."""
    return g * (1 - probabilities(x))


# --- pooling

@plant(lambda x: F.max_pool1d(tv.stack([x, x], -1).reshape(2, 2, -1), 2), randn(2, 2, 5))
def max_pool_all_ties(true, g, x):
    """Each of several equal maxima gets the whole gradient; here two that move together, so the slope is defined."""
    return 2 * g


@plant(F.max_pool2d, distinct(1, 2, 5, 5), kernel_size=3, stride=1)
def max_pool_overwritten(true, g, x):
    """A pixel that is the maximum of several windows keeps the gradient of the last one."""
    index = F.max_pool2d(x, 3, stride=1, return_indices=True)[1]
    gx = np.zeros((1, 2, 25))
    np.put_along_axis(gx, np.asarray(index).reshape(1, 2, -1), g.reshape(1, 2, -1), axis=-1)
    return gx.reshape(x.shape)


@plant(F.max_pool2d, distinct(2, 2, 4, 4), kernel_size=2)
def max_pool_spread(true, g, x):
    """The whole window shares the gradient, as in average pooling."""
    return true(g, x, f=partial(F.avg_pool2d, kernel_size=2))


@plant(F.max_pool2d, distinct(1, 2, 4, 6), kernel_size=2)
def max_pool_index_of_wrong_width(true, g, x):
    """Flat positions are split into rows by the height instead of the width."""
    index = np.asarray(F.max_pool2d(x, 2, return_indices=True)[1]).reshape(2, -1)
    gx = np.zeros((2, 6, 4))
    for channel in range(2):
        np.add.at(gx[channel], (index[channel] // 4, index[channel] % 4), g.reshape(2, -1)[channel])
    return gx.swapaxes(1, 2)[None]


@plant(F.avg_pool2d, randn(2, 2, 5, 5), kernel_size=3, stride=2)
def avg_pool_divisor_missing(true, g, x):
    """Every pixel of the window gets the whole gradient, not a ninth."""
    return 9 * true(g, x)[0]


@plant(F.avg_pool2d, randn(2, 2, 4, 4), kernel_size=3, stride=2, padding=1, count_include_pad=False)
def avg_pool_border_counted(true, g, x):
    """Divided by all nine, though windows at the border hold fewer pixels."""
    return true(g, x, f=partial(F.avg_pool2d, kernel_size=3, stride=2, padding=1))


# --- normalisation and dropout

NORM = (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), randn(6, 2, 3), randn(2), randn(2))


def standardised(x):
    """x minus mean, divided by the standard deviation, and the latter; per channel."""
    std = np.sqrt(x.var(axis=(0, 2), keepdims=True) + 1e-5)
    return (x - x.mean(axis=(0, 2), keepdims=True)) / std, std


@plant(*NORM)
def batch_norm_statistics_constant(true, g, x, w, b):
    """Mean and variance depend on the input too, and their terms are missing."""
    return g * w[:, None] / standardised(x)[1], *true(g, x, w, b)[1:]


@plant(*NORM)
def batch_norm_variance_constant(true, g, x, w, b):
    """The mean's term is there, the variance's is not."""
    g = g * w[:, None]
    return (g - g.mean(axis=(0, 2), keepdims=True)) / standardised(x)[1], *true(g / w[:, None], x, w, b)[1:]


@plant(*NORM)
def batch_norm_scale_forgotten(true, g, x, w, b):
    """The input's gradient without gamma."""
    return true(g, x, np.ones(2), b)[0], *true(g, x, w, b)[1:]


@plant(*NORM)
def batch_norm_gamma_from_input(true, g, x, w, b):
    """Gamma's gradient with x instead of the normalised x."""
    gx, _, gb = true(g, x, w, b)
    return gx, (g * x).sum(axis=(0, 2)), gb


@plant(F.layer_norm, randn(4, 4), normalized_shape=(4,))
def layer_norm_over_batch(true, g, x):
    """The statistics of the backward pass are those of the columns."""
    return true(g.T, x.T)[0].T


@plant(F.normalize, randn(3, 4))
def normalize_length_constant(true, g, x):
    """Divided by the length as if that were a constant: the projection is missing."""
    return g / np.linalg.norm(x, axis=1, keepdims=True)


@plant(F.dropout, randn(4, 6), p=0.5, generator=1)
def dropout_not_scaled(true, g, x):
    """Dropped where it should be, but what is kept is not divided by 1 - p."""
    return true(g, x)[0] * 0.5


@plant(F.dropout, randn(4, 6), p=0.5, generator=1)
def dropout_drawn_anew(true, g, x):
    """The backward pass draws a mask of its own."""
    return true(g, x, f=partial(F.dropout, p=0.5, generator=2))
