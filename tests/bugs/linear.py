"""Mistakes in products, arithmetic and reductions."""

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.bugs import plant
from tests.cases import randn, uniform


@plant(tv.matmul, randn(4, 4), randn(4, 4), cause="transposed")
def matmul_not_transposed(true, g, a, b):
    """g B for g B^T: the shapes agree where matrices are square."""
    return g @ b, a.T @ g


@plant(tv.matmul, randn(4, 4), randn(4, 4), cause="transposed")
def matmul_wrong_order(true, g, a, b):
    """g A^T for A^T g."""
    return g @ b.T, g @ a.T


@plant(F.linear, randn(3, 4), randn(4, 4), randn(4), cause="transposed")
def linear_weight_transposed(true, g, x, w, b):
    """The weight's gradient comes out as (I, O)."""
    return g @ w, x.T @ g, g.sum(axis=0)


@plant(F.linear, randn(3, 4), randn(2, 4), randn(2), cause="constant-factor")
def linear_bias_averaged(true, g, x, w, b):
    """The mean over the batch for the sum."""
    return g @ w, g.T @ x, g.mean(axis=0)


@plant(tv.divide, randn(3, 4), uniform(0.5, 2, 3, 4), cause="constant-factor")
def divide_sign(true, g, x, y):
    """The minus of d(x/y)/dy = -x/y^2 is lost."""
    return g / y, g * x / y ** 2


@plant(tv.multiply, randn(3, 4), randn(4), cause="constant-factor")
def broadcast_averaged(true, g, x, y):
    """Broadcasting repeats, so its gradient is a sum, not a mean."""
    return g * y, (g * x).mean(axis=0)


@plant(lambda x: x ** 3, randn(3, 4), cause="constant-factor")
def power_factor_missing(true, g, x):
    """x^2 for 3 x^2."""
    return g * x ** 2


@plant(lambda x: x * x, randn(3, 4), cause=("constant-factor", "term-missing"))
def one_use_of_two(true, g, x):
    """x enters twice, and both uses count."""
    return g * x


@plant(tv.mean, randn(3, 4), axis=1, cause="constant-factor")
def mean_divides_by_all(true, g, x):
    """Divided by the number of all elements, not of those averaged."""
    return np.repeat(g[:, None], 4, axis=1) / x.size
