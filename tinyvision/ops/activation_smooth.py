"""elu, selu, celu, gelu, silu, mish, softplus, logsigmoid, softsign, tanhshrink, glu: activations with a curve.

Each is a function f of one number, applied to every element, so  gx = g * f'(x).  With s(x) = 1 / (1 + e^-x), whose
slope is s (1 - s), and with Phi, phi the distribution and density of a normal number:

                 f                                               f'
    elu          x above 0, a (e^x - 1) below                    1 above 0, a e^x below
    softplus     log(1 + e^x)                                    s(x)
    logsigmoid   log s(x) = -softplus(-x)                        s(-x)
    silu         x s(x)                                          s (1 + x (1 - s))
    gelu         x Phi(x)                                        Phi + x phi
    mish         x t,  t = tanh(softplus(x))                     t + x (1 - t^2) s(x)
    softsign     x / (1 + |x|)                                   1 / (1 + |x|)^2

silu, gelu and mish are x times a gate between 0 and 1; glu learns the gate: half of the channels gate the other half.

Nothing overflows: e^x is only taken of x <= 0, e.g. log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), since for x > 0 the factor
e^x can be taken out of the logarithm.  The slopes are written in the library's own operations; given Tensors they are
recorded, which is the second order.

Sources: Clevert et al. 2015, arXiv:1511.07289 (elu); Klambauer et al. 2017, arXiv:1706.02515 (selu); Hendrycks and Gimpel
2016, arXiv:1606.08415 (gelu, silu); Misra 2019, arXiv:1908.08681 (mish); Dauphin et al. 2016, arXiv:1612.08083 (glu).
"""

from math import inf, pi, sqrt

from ..backend import array_module
from ..tensor import Op, raw
from .elementwise import abs, clip, erf, exp, sigmoid, tanh
from .movement import split
from .shapes import check_choice, check_dim, check_float

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805            # the fixed point of mean 0 and variance 1


class SmoothOp(Op):
    """A subclass says `forward(x)` and `slope(x)`, which gets an array or a Tensor."""

    def backward(self, g, x):
        return g * self.slope(x)


class EluOp(SmoothOp):
    """scale * x above 0, scale * alpha * (exp(rate * x) - 1) below; `alpha * rate` is the slope on the left of 0."""

    def __init__(self, alpha, scale=1.0, rate=1.0):
        self.alpha, self.scale, self.rate = alpha, scale, rate

    def forward(self, x):
        xp = array_module(x)
        y = xp.expm1(self.rate * xp.minimum(x, 0)) * self.alpha + xp.maximum(x, 0)
        return y if self.scale == 1 else y * self.scale

    def slope(self, x):
        above = (raw(x) > 0).astype(x.dtype)
        below = exp(self.rate * clip(x, max=0)) * (self.alpha * self.rate) * (1 - above)
        return (below + above) * self.scale


class SoftplusOp(SmoothOp):
    """log(1 + e^(beta x)) / beta, replaced by its asymptote x where beta x > threshold."""

    def __init__(self, beta=1.0, threshold=inf):
        self.beta, self.threshold = beta, threshold

    def forward(self, x):
        z = self.beta * x
        return array_module(x).where(z > self.threshold, x, log1pexp(z) / self.beta)

    def slope(self, x):
        z = self.beta * x
        straight = raw(z) > self.threshold
        return sigmoid(z) * ~straight + straight


class LogSigmoidOp(SmoothOp):
    def forward(self, x):
        xp = array_module(x)
        return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))

    def slope(self, x):
        return sigmoid(-x)


class SiluOp(SmoothOp):
    def forward(self, x):
        return x * sigmoid(x)

    def slope(self, x):
        s = sigmoid(x)
        return s * (1 + x * (1 - s))


class GeluOp(SmoothOp):
    def forward(self, x):
        return x * normal_distribution(x)

    def slope(self, x):
        density = exp(x * x * -0.5) * (1 / sqrt(2 * pi))
        return normal_distribution(x) + x * density


class GeluTanhOp(SmoothOp):
    """Phi(x) approximated by (1 + tanh(u)) / 2 with u = sqrt(2/pi) (x + 0.044715 x^3), which is sigmoid(2 u)."""

    def forward(self, x):
        return x * sigmoid(self.twice_u(x))

    def slope(self, x):
        s, v = sigmoid(self.twice_u(x)), sigmoid(-self.twice_u(x))
        return s + x * s * v * (2 * sqrt(2 / pi) * (1 + 3 * 0.044715 * x * x))

    def twice_u(self, x):
        return x * (2 * sqrt(2 / pi) * (1 + 0.044715 * x * x))


class MishOp(SmoothOp):
    def forward(self, x):
        return x * array_module(x).tanh(log1pexp(x))

    def slope(self, x):
        t = tanh(SoftplusOp()(x))
        return t + x * (1 - t * t) * sigmoid(x)


class SoftsignOp(SmoothOp):
    def forward(self, x):
        return x / (1 + array_module(x).abs(x))

    def slope(self, x):
        d = 1 + abs(x)
        return 1 / d / d                                  # d * d could overflow


def log1pexp(x):
    """log(1 + e^x) of an array, without overflow."""
    xp = array_module(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


def normal_distribution(x):
    """Phi(x): the probability that a normal number of mean 0 and variance 1 lies below x."""
    return (1 + erf(x * sqrt(0.5))) * 0.5


def elu(input, alpha=1.0):
    """x above 0, alpha * (exp(x) - 1) below (torch.nn.functional.elu).

    Shapes: input (*) -> (*).  At 0 the slope is that of the left side, alpha.
    Raises TypeError for anything but a floating-point Tensor or array, as all activations do.

    >>> from tinyvision import Tensor
    >>> elu(Tensor([-100.0, 2.0]))
    Tensor([-1.,  2.])
    """
    check_float("elu", input=input)
    return EluOp(alpha)(input)


def selu(input):
    """elu, scaled so that layers keep mean 0 and variance 1 by themselves (torch.nn.functional.selu).

    Shapes: input (*) -> (*).  Source: Klambauer et al. 2017, arXiv:1706.02515, eq. 2, with the constants given there.

    >>> from tinyvision import Tensor
    >>> selu(Tensor([-100.0, 1.0]))
    Tensor([-1.7580993,  1.050701 ])
    """
    check_float("selu", input=input)
    return EluOp(SELU_ALPHA, SELU_SCALE)(input)


def celu(input, alpha=1.0):
    """x above 0, alpha * (exp(x / alpha) - 1) below: slope 1 at 0 for every alpha (torch.nn.functional.celu).

    Shapes: input (*) -> (*).
    Raises ValueError for alpha 0.  Source: Barron 2017, arXiv:1704.07483.

    >>> from tinyvision import Tensor
    >>> celu(Tensor([-100.0, 1.0]), alpha=2.0)
    Tensor([-2.,  1.])
    """
    check_float("celu", input=input)
    if alpha == 0:
        raise ValueError("celu: alpha must not be 0, since x is divided by it. Use relu, its limit for small alpha.")
    return EluOp(alpha, rate=1 / alpha)(input)


def gelu(input, approximate="none"):
    """x times the probability that a normal number lies below x (torch.nn.functional.gelu).

    Shapes: input (*) -> (*).
    approximate: 'none' for the exact error function, 'tanh' for an approximation of it, off by less than 0.0005.
    Raises ValueError for any other word.  Source: Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2.

    >>> from tinyvision import Tensor
    >>> gelu(Tensor([-10.0, 0.0, 10.0]))
    Tensor([-0.,  0., 10.])
    """
    check_float("gelu", input=input)
    check_choice("gelu", "approximate", approximate, ("none", "tanh"))
    return GeluOp()(input) if approximate == "none" else GeluTanhOp()(input)


def silu(input):
    """x * sigmoid(x), also called swish (torch.nn.functional.silu).

    Shapes: input (*) -> (*).  Sources: Hendrycks and Gimpel 2016, arXiv:1606.08415; Elfwing et al. 2017, arXiv:1702.03118.

    >>> from tinyvision import Tensor
    >>> silu(Tensor([0.0, 100.0]))
    Tensor([  0., 100.])
    """
    check_float("silu", input=input)
    return SiluOp()(input)


def mish(input):
    """x * tanh(log(1 + exp(x))) (torch.nn.functional.mish).

    Shapes: input (*) -> (*).  Source: Misra 2019, arXiv:1908.08681, eq. 1.

    >>> from tinyvision import Tensor
    >>> mish(Tensor([0.0, 100.0]))
    Tensor([  0., 100.])
    """
    check_float("mish", input=input)
    return MishOp()(input)


def softplus(input, beta=1, threshold=20):
    """log(1 + exp(beta * x)) / beta, a smooth relu (torch.nn.functional.softplus).

    Shapes: input (*) -> (*).
    threshold: where beta * x exceeds it, the result is x itself, which at the default 20 changes less than 3e-9 / beta.
    Raises ValueError for beta 0.  Source: Dugas et al. 2001, Incorporating second-order functional knowledge.

    >>> from tinyvision import Tensor
    >>> softplus(Tensor([0.0, 100.0]))
    Tensor([  0.6931472, 100.       ])
    """
    check_float("softplus", input=input)
    if beta == 0:
        raise ValueError("softplus: beta must not be 0, since the result is divided by it. A large beta comes near relu.")
    return SoftplusOp(beta, threshold)(input)


def logsigmoid(input):
    """log(sigmoid(x)), exact also where the sigmoid is near 0 or 1 (torch.nn.functional.logsigmoid).

    Shapes: input (*) -> (*).

    >>> from tinyvision import Tensor
    >>> logsigmoid(Tensor([-1000.0, 1000.0]))
    Tensor([-1000.,     0.])
    """
    check_float("logsigmoid", input=input)
    return LogSigmoidOp()(input)


def softsign(input):
    """x / (1 + |x|), a sigmoid that saturates slowly (torch.nn.functional.softsign).

    Shapes: input (*) -> (*).  Source: Glorot and Bengio 2010, section 3.

    >>> from tinyvision import Tensor
    >>> softsign(Tensor([-1.0, 0.0, 3.0]))
    Tensor([-0.5 ,  0.  ,  0.75])
    """
    check_float("softsign", input=input)
    return SoftsignOp()(input)


def tanhshrink(input):
    """x - tanh(x) (torch.nn.functional.tanhshrink).

    Shapes: input (*) -> (*).

    >>> from tinyvision import Tensor
    >>> tanhshrink(Tensor([0.0, 100.0]))
    Tensor([ 0., 99.])
    """
    check_float("tanhshrink", input=input)
    return input - tanh(input)


def glu(input, dim=-1):
    """The first half of an axis times the sigmoid of the second half, a learned gate (torch.nn.functional.glu).

    Shapes: input (*, 2 C, *) -> (*, C, *), the halved axis being dim.
    Raises ValueError when the axis does not exist or has an odd size.  Source: Dauphin et al. 2016, arXiv:1612.08083, eq. 1.

    >>> from tinyvision import Tensor
    >>> glu(Tensor([3.0, 4.0, 0.0, 100.0]))
    Tensor([1.5, 4. ])
    """
    check_float("glu", input=input)
    axis = check_dim("glu", dim, input)
    if input.ndim == 0 or input.shape[axis] % 2:
        raise ValueError(f"glu: axis {dim} is split in two halves and must have an even size, got input {input.shape}. "
                         "Give the layer before twice as many outputs.")
    value, gate = split(input, 2, axis)
    return value * sigmoid(gate)
