"""Right in the first order, wrong in the second: what a rule takes out of the graph counts as constant there."""

import tinyvision as tv
import tinyvision.functional as F
from tests.bugs import plant_second
from tests.cases import randn
from tinyvision.tensor import raw


@plant_second(lambda x: x * x, randn(3, 4), cause="missing-gradient")
def square_of_a_constant(g, x):
    """The input is taken out of the graph."""
    return 2 * g * raw(x)


@plant_second(F.sigmoid, randn(3, 4), cause="missing-gradient")
def sigmoid_from_a_kept_output(g, x):
    """The output was kept as an array, as is usual where there is no second order."""
    y = F.sigmoid(raw(x))
    return g * (y * (1 - y))


@plant_second(tv.multiply, randn(3, 4), randn(3, 4), cause="missing-gradient")
def product_half_cut(g, x, y):
    """One of two gradients is a constant."""
    return g * y, g * raw(x)


@plant_second(F.softplus, randn(3, 4), cause="missing-gradient")
def upstream_cut(g, x):
    """Here the upstream gradient is taken out of the graph."""
    return raw(g) * F.sigmoid(x)
