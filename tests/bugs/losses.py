"""Mistakes in softmax and losses."""

from functools import partial

import numpy as np

import tinyvision.functional as F
from tests.bugs import plant
from tests.cases import randn, uniform


def probabilities(x):
    return F.softmax(x, dim=1)


@plant(F.softmax, randn(3, 5), dim=1, cause="diagonal-only")
def softmax_elementwise(true, g, x):
    """Only the diagonal of the Jacobian, y (1 - y)."""
    y = probabilities(x)
    return g * y * (1 - y)


@plant(F.softmax, randn(3, 5), dim=1, cause="zero-gradient")
def softmax_zeros(true, g, x):
    """Nothing at all: right only for an upstream gradient that is constant."""
    return np.zeros_like(x)


@plant(F.softmax, randn(4, 4), dim=1, cause="wrong-axis")
def softmax_sums_over_batch(true, g, x):
    """The sum goes over the wrong axis."""
    y = probabilities(x)
    return y * (g - (g * y).sum(axis=0, keepdims=True))


@plant(F.log_softmax, randn(3, 5), dim=1, cause="diagonal-only")
def log_softmax_without_sum(true, g, x):
    """g (1 - y) for g - y sum(g)."""
    return g * (1 - probabilities(x))

LABELS = np.array([2, 0, 3])


@plant(F.cross_entropy, randn(3, 4), target=LABELS, cause="constant-factor")
def cross_entropy_not_averaged(true, g, x):
    """Without 1/N."""
    return 3 * true(g, x)[0]


@plant(F.cross_entropy, randn(3, 4), target=LABELS, cause="upstream-ignored")
def cross_entropy_upstream_ignored(true, g, x):
    """Right as the last op before backward(), wrong as soon as the loss is weighted or added to another."""
    return true(np.ones_like(g), x)[0]


@plant(F.cross_entropy, randn(3, 4), target=LABELS, label_smoothing=0.2, cause="term-missing")
def cross_entropy_smoothing_ignored(true, g, x):
    """The gradient of the loss without label smoothing."""
    return true(g, x, f=partial(F.cross_entropy, target=LABELS))


@plant(F.cross_entropy, randn(3, 4), target=LABELS, weight=np.array([1.0, 2.0, 0.5, 3.0]), cause="constant-factor")
def cross_entropy_weights_divided_by_batch(true, g, x):
    """Weighted, but divided by N instead of the sum of the weights."""
    return true(g, x)[0] * (0.5 + 1.0 + 3.0) / 3


@plant(F.mse_loss, randn(3, 4), randn(3, 4), cause="constant-factor")
def mse_factor_missing(true, g, x, y):
    """The 2 of the square's derivative."""
    gx, gy = true(g, x, y)
    return gx / 2, gy / 2


@plant(F.mse_loss, randn(3, 4), randn(3, 4), cause="constant-factor")
def mse_target_sign(true, g, x, y):
    """The target's gradient has the input's sign."""
    gx, _ = true(g, x, y)
    return gx, gx


@plant(F.smooth_l1_loss, uniform(0.5, 0.9, 3, 4), uniform(-0.3, 0.3, 3, 4), beta=2.0,
       cause=("wrong-local-derivative", "wrong-region", "constant-factor"))
def smooth_l1_beta_ignored(true, g, x, y):
    """The bend stands at 1, wherever beta wants it."""
    return true(g, x, y, f=F.smooth_l1_loss)
