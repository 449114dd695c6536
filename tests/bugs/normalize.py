"""Mistakes in normalisation and dropout."""

from functools import partial

import numpy as np

import tinyvision.functional as F
from tests.bugs import plant
from tests.cases import randn

NORM = (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), randn(6, 2, 3), randn(2), randn(2))

def standardised(x):
    """x minus mean, divided by the standard deviation, and the latter; per channel."""
    std = np.sqrt(x.var(axis=(0, 2), keepdims=True) + 1e-5)
    return (x - x.mean(axis=(0, 2), keepdims=True)) / std, std


@plant(*NORM, cause=("diagonal-only", "term-missing"))
def batch_norm_statistics_constant(true, g, x, w, b):
    """Mean and variance depend on the input too, and their terms are missing."""
    return g * w[:, None] / standardised(x)[1], *true(g, x, w, b)[1:]


@plant(*NORM, cause="term-missing")
def batch_norm_variance_constant(true, g, x, w, b):
    """The mean's term is there, the variance's is not."""
    g = g * w[:, None]
    return (g - g.mean(axis=(0, 2), keepdims=True)) / standardised(x)[1], *true(g / w[:, None], x, w, b)[1:]


@plant(*NORM, cause="factor-per-axis")
def batch_norm_scale_forgotten(true, g, x, w, b):
    """The input's gradient without gamma."""
    return true(g, x, np.ones(2), b)[0], *true(g, x, w, b)[1:]


@plant(*NORM, cause=("wrong-local-derivative", "extra-term"))
def batch_norm_gamma_from_input(true, g, x, w, b):
    """Gamma's gradient with x instead of the normalised x."""
    gx, _, gb = true(g, x, w, b)
    return gx, (g * x).sum(axis=(0, 2)), gb


@plant(F.layer_norm, randn(4, 4), normalized_shape=(4,), cause="wrong-axis")
def layer_norm_over_batch(true, g, x):
    """The statistics of the backward pass are those of the columns."""
    return true(g.T, x.T)[0].T


@plant(F.normalize, randn(3, 4), cause=("term-missing", "diagonal-only"))
def normalize_length_constant(true, g, x):
    """Divided by the length as if that were a constant: the projection is missing."""
    return g / np.linalg.norm(x, axis=1, keepdims=True)


@plant(F.dropout, randn(4, 6), p=0.5, generator=1, cause="constant-factor")
def dropout_not_scaled(true, g, x):
    """Dropped where it should be, but what is kept is not divided by 1 - p."""
    return true(g, x)[0] * 0.5


@plant(F.dropout, randn(4, 6), p=0.5, generator=1, cause=("mask-redrawn", "mask-missing"))
def dropout_drawn_anew(true, g, x):
    """The backward pass draws a mask of its own."""
    return true(g, x, f=partial(F.dropout, p=0.5, generator=2))
