"""exp, log, sqrt, sin, cos, tanh, sigmoid, abs, sign, clip, erf, astype: functions of one number, applied to every element.

The Jacobian of an elementwise function is diagonal, so  gx = g * f'(x):

    f    exp x   log x   sqrt x         sin x   cos x    tanh x         sigmoid x = 1 / (1 + e^-x)   erf x
    f'   exp x   1/x     1/(2 sqrt x)   cos x   -sin x   1 - tanh^2 x   s (1 - s)                    2/sqrt(pi) e^(-x^2)

Where f' is most simply said through f itself (exp, tanh, sigmoid), backward computes f again instead of keeping the output:
an op that held its output would close a cycle in the graph.

Conventions: |x| has slope 0 at 0; clip(x, a, b) passes the gradient where a <= x <= b, both ends included.
"""

from math import inf, pi

from ..backend import array_module
from ..packages import require
from ..tensor import Op, Tensor, raw, result
from .shapes import check_float


class ExpOp(Op):
    def forward(self, x):
        return array_module(x).exp(x)

    def backward(self, g, x):
        return g * exp(x)


class LogOp(Op):
    def forward(self, x):
        return array_module(x).log(x)

    def backward(self, g, x):
        return g / x


class Log1pOp(Op):
    def forward(self, x):
        return array_module(x).log1p(x)

    def backward(self, g, x):
        return g / (1 + x)


class SqrtOp(Op):
    def forward(self, x):
        return array_module(x).sqrt(x)

    def backward(self, g, x):
        return g / (2 * sqrt(x))


class SinOp(Op):
    def forward(self, x):
        return array_module(x).sin(x)

    def backward(self, g, x):
        return g * cos(x)


class CosOp(Op):
    def forward(self, x):
        return array_module(x).cos(x)

    def backward(self, g, x):
        return -g * sin(x)


class TanhOp(Op):
    def forward(self, x):
        return array_module(x).tanh(x)

    def backward(self, g, x):
        y = tanh(x)
        return g * (1 - y * y)


class SigmoidOp(Op):
    def forward(self, x):
        xp = array_module(x)
        # e^min(x, 0) / (1 + e^-|x|): neither tail overflows, and no element has to choose a branch
        return xp.exp(xp.minimum(x, 0)) / (1 + xp.exp(-xp.abs(x)))

    def backward(self, g, x):
        y = sigmoid(x)
        return g * y * sigmoid(-x)                        # 1 - y loses all digits where y is near 1


class AbsOp(Op):
    def forward(self, x):
        return array_module(x).abs(x)

    def backward(self, g, x):
        return g * array_module(raw(x)).sign(raw(x))


class ClipOp(Op):
    def __init__(self, low, high):
        self.low, self.high = low, high

    def forward(self, x):
        return array_module(x).clip(x, self.low, self.high)

    def backward(self, g, x):
        low = -inf if self.low is None else self.low
        high = inf if self.high is None else self.high
        return g * ((raw(x) >= low) & (raw(x) <= high))


class ErfOp(Op):
    def forward(self, x):
        xp = array_module(x)
        if xp.__name__ == "cupy":
            from cupyx.scipy.special import erf as special_erf
        else:
            require("erf", "scipy")
            from scipy.special import erf as special_erf
        return special_erf(x)

    def backward(self, g, x):
        return g * (2 / pi ** 0.5) * exp(-x * x)


class AstypeOp(Op):
    def __init__(self, dtype):
        self.dtype = dtype

    def forward(self, x):
        return x.astype(self.dtype)

    def backward(self, g, x):
        return g.astype(x.dtype)


def constant_like(x, y):
    """An array y that was computed from x without a gradient, as a Tensor if x is one."""
    return result(y) if isinstance(x, Tensor) else y


def exp(x):
    """e to the power x (numpy.exp)."""
    return ExpOp()(x)


def log(x):
    """Natural logarithm (numpy.log)."""
    return LogOp()(x)


def log1p(x):
    """log(1 + x), exact for small x (numpy.log1p)."""
    return Log1pOp()(x)


def sqrt(x):
    """Square root (numpy.sqrt); its slope at 0 is infinite."""
    return SqrtOp()(x)


def sin(x):
    """Sine of x in radians (numpy.sin)."""
    return SinOp()(x)


def cos(x):
    """Cosine of x in radians (numpy.cos)."""
    return CosOp()(x)


def tanh(input):
    """Hyperbolic tangent (numpy.tanh, torch.nn.functional.tanh).

    Shapes: input (*) -> (*).

    >>> from tinyvision import Tensor
    >>> tanh(Tensor([0.0]))
    Tensor([0.])
    """
    return TanhOp()(input)


def sigmoid(input):
    """1 / (1 + exp(-x)), without overflow (torch.nn.functional.sigmoid).

    Shapes: input (*) -> (*).
    Raises TypeError for anything but a floating-point Tensor or array.

    >>> from tinyvision import Tensor
    >>> sigmoid(Tensor([0.0, 1000.0]))
    Tensor([0.5, 1. ])
    """
    check_float("sigmoid", input=input)
    return SigmoidOp()(input)


def abs(x):
    """Absolute value (numpy.abs), with slope 0 at 0."""
    return AbsOp()(x)


def sign(x):
    """-1, 0 or 1 (numpy.sign): constant pieces, so no gradient."""
    return constant_like(x, array_module(raw(x)).sign(raw(x)))


def clip(x, min=None, max=None):
    """x limited to [min, max], either of which may be None (numpy.clip); the gradient passes where x is inside."""
    return ClipOp(min, max)(x)


def erf(x):
    """The error function 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x (scipy.special.erf)."""
    return ErfOp()(x)


def astype(x, dtype):
    """x as another dtype (numpy.ndarray.astype): floating-point to floating-point passes gradients on."""
    return AstypeOp(dtype)(x)


def copy(x):
    """x in memory of its own (numpy.copy); gradients pass."""
    return AstypeOp(x.dtype)(x)
