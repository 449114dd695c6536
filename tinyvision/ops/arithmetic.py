"""add, subtract, multiply, divide, power, negative, maximum, minimum, where: the elementwise operations of two arguments.

For z = f(x, y) elementwise the Jacobian is diagonal, so the vector-Jacobian product is a product of numbers:

    gx = g * df/dx          gy = g * df/dy

          x + y    x - y    x * y    x / y        x ** y
    df/dx   1        1        y       1 / y       y * x^(y-1)
    df/dy   1       -1        x      -x / y^2     x^y * log x

Where broadcasting repeated an argument, its gradient is summed back to its shape (`sum_to`, derived in broadcast.py).

Conventions: maximum(x, y) at a tie gives each argument half of the gradient, as torch.maximum does; 0 ** 0 = 1 has slope 0.
"""

from ..backend import array_module
from ..tensor import Op, raw
from .broadcast import shape, sum_to
from .elementwise import log


class AddOp(Op):
    def forward(self, x, y):
        return x + y

    def backward(self, g, x, y):
        gx = sum_to(g, shape(x)) if self.needs[0] else None
        gy = sum_to(g, shape(y)) if self.needs[1] else None
        return gx, gy


class SubtractOp(Op):
    def forward(self, x, y):
        return x - y

    def backward(self, g, x, y):
        gx = sum_to(g, shape(x)) if self.needs[0] else None
        gy = -sum_to(g, shape(y)) if self.needs[1] else None
        return gx, gy


class MultiplyOp(Op):
    def forward(self, x, y):
        return x * y

    def backward(self, g, x, y):
        gx = sum_to(g * y, shape(x)) if self.needs[0] else None
        gy = sum_to(g * x, shape(y)) if self.needs[1] else None
        return gx, gy


class DivideOp(Op):
    def forward(self, x, y):
        return x / y

    def backward(self, g, x, y):
        gx = sum_to(g / y, shape(x)) if self.needs[0] else None
        gy = sum_to(-g * (x / y) / y, shape(y)) if self.needs[1] else None
        return gx, gy


class NegativeOp(Op):
    def forward(self, x):
        return -x

    def backward(self, g, x):
        return -g


class PowerOp(Op):
    def forward(self, x, y):
        return x ** y

    def backward(self, g, x, y):
        gx = sum_to(g * power_slope(x, y), shape(x)) if self.needs[0] else None
        gy = None
        if self.needs[1]:
            zero = (raw(x) == 0) & (raw(y) >= 0)          # 0^y is constant for y > 0, though log 0 is not finite
            gy = sum_to(where(zero, 0.0, g * x ** y * log(where(zero, 1.0, x))), shape(y))
        return gx, gy


def power_slope(x, y):
    """y * x^(y-1), but 0 for y = 0, also at x = 0 where 0 * x^-1 would not be a number."""
    if isinstance(y, (int, float)):
        return y * x ** (y - 1) if y else 0.0
    constant = raw(y) == 0
    return where(constant, 0.0, y * x ** where(constant, 1.0, y - 1))


class MaximumOp(Op):
    """sign = 1 for maximum; minimum(x, y) is the same with the order turned round, sign = -1."""

    def __init__(self, sign):
        self.sign = sign

    def forward(self, x, y):
        xp = array_module(x)
        return xp.maximum(x, y) if self.sign > 0 else xp.minimum(x, y)

    def backward(self, g, x, y):
        ahead, behind = raw(x) > raw(y), raw(x) < raw(y)
        share = (1 + self.sign * (1 * ahead - behind)) / 2                # of x: 1 where it wins, 1/2 at a tie
        share = share.astype(g.dtype)
        return sum_to(g * share, shape(x)), sum_to(g * (1 - share), shape(y))


class WhereOp(Op):
    def __init__(self, condition):
        self.condition = condition                        # constant: no gradient flows into a choice

    def forward(self, x, y):
        return array_module(self.condition).where(self.condition, x, y)

    def backward(self, g, x, y):
        gx = sum_to(where(self.condition, g, 0.0), shape(x)) if self.needs[0] else None
        gy = sum_to(where(self.condition, 0.0, g), shape(y)) if self.needs[1] else None
        return gx, gy


def add(x, y):
    """x + y elementwise, with NumPy's broadcasting (numpy.add)."""
    return AddOp()(x, y)


def subtract(x, y):
    """x - y elementwise, with NumPy's broadcasting (numpy.subtract)."""
    return SubtractOp()(x, y)


def multiply(x, y):
    """x * y elementwise, with NumPy's broadcasting (numpy.multiply)."""
    return MultiplyOp()(x, y)


def divide(x, y):
    """x / y elementwise, with NumPy's broadcasting (numpy.divide)."""
    return DivideOp()(x, y)


def negative(x):
    """-x (numpy.negative)."""
    return NegativeOp()(x)


def power(x, y):
    """x ** y elementwise, both differentiable (numpy.power).  Slope 0 where y is 0, and 0 for y where x is 0."""
    return PowerOp()(x, y)


def maximum(x, y):
    """The larger of x and y elementwise (numpy.maximum); at a tie each gets half of the gradient."""
    return MaximumOp(1)(x, y)


def minimum(x, y):
    """The smaller of x and y elementwise (numpy.minimum); at a tie each gets half of the gradient."""
    return MaximumOp(-1)(x, y)


def where(condition, x, y):
    """x where the condition holds, y elsewhere (numpy.where); no gradient flows into the condition.

    >>> from tinyvision import Tensor
    >>> where(Tensor([True, False]), Tensor([1.0, 2.0]), 0.0)
    Tensor([1., 0.])
    """
    return WhereOp(raw(condition))(x, y)
