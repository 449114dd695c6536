"""Activation functions as layers, for use in a Sequential; the formulas and their gradients stand with the functions in F.

All but the last group go element by element, (*) -> (*):

    piecewise linear    ReLU ReLU6 LeakyReLU PReLU Hardtanh Hardsigmoid Threshold; Hardswish (quadratic in the middle)
                        Softshrink Hardshrink
    smooth              ELU SELU CELU GELU SiLU Mish Softplus Softsign LogSigmoid Sigmoid Tanh Tanhshrink
    along an axis       Softmax Softmin LogSoftmax Softmax2d GLU

Only PReLU has a parameter.  The doctests show each at -1, 0 and 1 or thereabouts.
Source: torch.nn, under the same names.
"""

import numpy as np

from .. import functional as F
from ..ops.shapes import check_choice
from ..tensor import Parameter
from . import init
from .checks import at_least, positive, real, whole
from .module import Module


class ReLU(Module):
    """max(0, x) (torch.nn.ReLU); its slope at 0 is 0.

    >>> from tinyvision import Tensor
    >>> ReLU()(Tensor([-1.0, 0.0, 1.0]))
    Tensor([0., 0., 1.])
    """

    def forward(self, input):
        return F.relu(input)


class ReLU6(Module):
    """min(max(0, x), 6) (torch.nn.ReLU6).

    >>> from tinyvision import Tensor
    >>> ReLU6()(Tensor([-1.0, 1.0, 9.0]))
    Tensor([0., 1., 6.])
    """

    def forward(self, input):
        return F.relu6(input)


class LeakyReLU(Module):
    """x above 0, negative_slope * x below (torch.nn.LeakyReLU).

    >>> from tinyvision import Tensor
    >>> LeakyReLU(0.5)(Tensor([-1.0, 0.0, 1.0]))
    Tensor([-0.5,  0. ,  1. ])
    """

    def __init__(self, negative_slope=0.01):
        real("LeakyReLU", negative_slope=negative_slope)
        self.negative_slope = negative_slope

    def forward(self, input):
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self):
        return f"negative_slope={self.negative_slope}"


class PReLU(Module):
    """A leaky ReLU that learns its slope: x above 0, weight * x below (torch.nn.PReLU; He et al. 2015, arXiv:1502.01852).

    Shapes: input (N, C, *) -> the same; weight (num_parameters,): one slope for all channels (1) or one for each (C).
    init: the first value of the slopes.
    Raises ValueError for num_parameters below 1 and, when called, unless it is 1 or C.

    >>> from tinyvision import Tensor
    >>> PReLU()(Tensor([-1.0, 0.0, 1.0])).data
    array([-0.25,  0.  ,  1.  ], dtype=float32)
    """

    def __init__(self, num_parameters=1, init=0.25):
        whole("PReLU", num_parameters=num_parameters)
        real("PReLU", init=init)
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(np.empty(num_parameters, np.float32))
        self.reset_parameters()

    def reset_parameters(self):
        """Give all slopes their first value again."""
        init.constant_(self.weight, self.init)

    def forward(self, input):
        return F.prelu(input, self.weight)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class ELU(Module):
    """x above 0, alpha * (exp(x) - 1) below (torch.nn.ELU; Clevert et al. 2015, arXiv:1511.07289).

    >>> from tinyvision import Tensor
    >>> ELU()(Tensor([-100.0, 0.0, 1.0]))
    Tensor([-1.,  0.,  1.])
    """

    def __init__(self, alpha=1.0):
        real("ELU", alpha=alpha)
        self.alpha = alpha

    def forward(self, input):
        return F.elu(input, self.alpha)

    def extra_repr(self):
        return f"alpha={self.alpha}"


class SELU(Module):
    """ELU with the two constants that drive activations to mean 0 and variance 1 (torch.nn.SELU; arXiv:1706.02515).

    >>> from tinyvision import Tensor
    >>> SELU()(Tensor([-100.0, 0.0, 1.0]))
    Tensor([-1.7580993,  0.       ,  1.050701 ])
    """

    def forward(self, input):
        return F.selu(input)


class CELU(Module):
    """x above 0, alpha * (exp(x / alpha) - 1) below: ELU with a smooth slope at 0 (torch.nn.CELU; arXiv:1704.07483).

    Raises ValueError for alpha = 0.

    >>> from tinyvision import Tensor
    >>> CELU(2.0)(Tensor([-200.0, 0.0, 1.0]))
    Tensor([-2.,  0.,  1.])
    """

    def __init__(self, alpha=1.0):
        real("CELU", alpha=alpha)
        if alpha == 0:
            raise ValueError("CELU: alpha must not be 0, got 0. Use ReLU, the limit for small alpha.")
        self.alpha = alpha

    def forward(self, input):
        return F.celu(input, self.alpha)

    def extra_repr(self):
        return f"alpha={self.alpha}"


class GELU(Module):
    """x times the probability that a normal number is below x (torch.nn.GELU; arXiv:1606.08415).

    approximate: 'none' for the exact function, 'tanh' for the usual approximation.
    Raises ValueError for other words.

    >>> from tinyvision import Tensor
    >>> GELU()(Tensor([-9.0, 0.0, 9.0])).data.round(3) + 0.0
    array([0., 0., 9.], dtype=float32)
    """

    def __init__(self, approximate="none"):
        check_choice("GELU", "approximate", approximate, ("none", "tanh"))
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, self.approximate)

    def extra_repr(self):
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x * sigmoid(x), also called swish (torch.nn.SiLU; arXiv:1702.03118).

    >>> from tinyvision import Tensor
    >>> SiLU()(Tensor([0.0, 100.0]))
    Tensor([  0., 100.])
    """

    def forward(self, input):
        return F.silu(input)


class Mish(Module):
    """x * tanh(softplus(x)) (torch.nn.Mish; arXiv:1908.08681).

    >>> from tinyvision import Tensor
    >>> Mish()(Tensor([0.0, 100.0]))
    Tensor([  0., 100.])
    """

    def forward(self, input):
        return F.mish(input)


class Hardtanh(Module):
    """x limited to [min_val, max_val] (torch.nn.Hardtanh).

    Raises ValueError unless min_val < max_val.

    >>> from tinyvision import Tensor
    >>> Hardtanh()(Tensor([-3.0, 0.5, 3.0]))
    Tensor([-1. ,  0.5,  1. ])
    """

    def __init__(self, min_val=-1.0, max_val=1.0):
        real("Hardtanh", min_val=min_val, max_val=max_val)
        if not min_val < max_val:
            raise ValueError(f"Hardtanh: min_val must be below max_val, got {min_val} and {max_val}.")
        self.min_val, self.max_val = min_val, max_val

    def forward(self, input):
        return F.hardtanh(input, self.min_val, self.max_val)

    def extra_repr(self):
        return f"min_val={self.min_val}, max_val={self.max_val}"


class Hardswish(Module):
    """x * min(max(0, x + 3), 6) / 6: SiLU from straight pieces (torch.nn.Hardswish; arXiv:1905.02244).

    >>> from tinyvision import Tensor
    >>> Hardswish()(Tensor([-3.0, 0.0, 6.0])).data + 0
    array([0., 0., 6.], dtype=float32)
    """

    def forward(self, input):
        return F.hardswish(input)


class Hardsigmoid(Module):
    """min(max(0, x + 3), 6) / 6: sigmoid from straight pieces (torch.nn.Hardsigmoid).

    >>> from tinyvision import Tensor
    >>> Hardsigmoid()(Tensor([-4.0, 0.0, 4.0]))
    Tensor([0. , 0.5, 1. ])
    """

    def forward(self, input):
        return F.hardsigmoid(input)


class Softplus(Module):
    """log(1 + exp(beta * x)) / beta, a smooth ReLU (torch.nn.Softplus); x itself where beta * x > threshold.

    >>> from tinyvision import Tensor
    >>> Softplus()(Tensor([-100.0, 100.0])).data.round(3)
    array([  0., 100.], dtype=float32)
    """

    def __init__(self, beta=1.0, threshold=20.0):
        positive("Softplus", beta=beta)
        real("Softplus", threshold=threshold)
        self.beta, self.threshold = beta, threshold

    def forward(self, input):
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self):
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Module):
    """x / (1 + |x|) (torch.nn.Softsign).

    >>> from tinyvision import Tensor
    >>> Softsign()(Tensor([-1.0, 0.0, 1.0]))
    Tensor([-0.5,  0. ,  0.5])
    """

    def forward(self, input):
        return F.softsign(input)


class LogSigmoid(Module):
    """log(1 / (1 + exp(-x))), without overflow (torch.nn.LogSigmoid).

    >>> from tinyvision import Tensor
    >>> LogSigmoid()(Tensor([-1000.0]))
    Tensor([-1000.])
    """

    def forward(self, input):
        return F.logsigmoid(input)


class Threshold(Module):
    """x where it is above threshold, value elsewhere (torch.nn.Threshold).

    >>> from tinyvision import Tensor
    >>> Threshold(0.5, -9.0)(Tensor([0.0, 0.5, 1.0]))
    Tensor([-9., -9.,  1.])
    """

    def __init__(self, threshold, value):
        real("Threshold", threshold=threshold, value=value)
        self.threshold, self.value = threshold, value

    def forward(self, input):
        return F.threshold(input, self.threshold, self.value)

    def extra_repr(self):
        return f"threshold={self.threshold}, value={self.value}"


class Shrink(Module):
    """Softshrink and Hardshrink: the width is an argument."""

    def __init__(self, lambd=0.5):
        at_least(type(self).__name__, 0, lambd=lambd)
        self.lambd = lambd

    def extra_repr(self):
        return f"{self.lambd}"


class Softshrink(Shrink):
    """x moved towards 0 by lambd, and 0 where that is reached (torch.nn.Softshrink).

    >>> from tinyvision import Tensor
    >>> Softshrink()(Tensor([-2.0, 0.25, 2.0]))
    Tensor([-1.5,  0. ,  1.5])
    """

    def forward(self, input):
        return F.softshrink(input, self.lambd)


class Hardshrink(Shrink):
    """x, but 0 from -lambd to lambd (torch.nn.Hardshrink).

    >>> from tinyvision import Tensor
    >>> Hardshrink()(Tensor([-2.0, 0.25, 2.0]))
    Tensor([-2.,  0.,  2.])
    """

    def forward(self, input):
        return F.hardshrink(input, self.lambd)


class Tanhshrink(Module):
    """x - tanh(x) (torch.nn.Tanhshrink).

    >>> from tinyvision import Tensor
    >>> Tanhshrink()(Tensor([0.0, 100.0]))
    Tensor([ 0., 99.])
    """

    def forward(self, input):
        return F.tanhshrink(input)


class Sigmoid(Module):
    """1 / (1 + exp(-x)) (torch.nn.Sigmoid).

    >>> from tinyvision import Tensor
    >>> Sigmoid()(Tensor([0.0, 1000.0]))
    Tensor([0.5, 1. ])
    """

    def forward(self, input):
        return F.sigmoid(input)


class Tanh(Module):
    """Hyperbolic tangent (torch.nn.Tanh).

    >>> from tinyvision import Tensor
    >>> Tanh()(Tensor([0.0, 1000.0]))
    Tensor([0., 1.])
    """

    def forward(self, input):
        return F.tanh(input)


class GLU(Module):
    """Gated linear unit: the first half of the axis dim times sigmoid of the second (torch.nn.GLU; arXiv:1612.08083).

    Shapes: input (.., 2n, ..) -> (.., n, ..).  Raises ValueError, when called, for an odd axis.

    >>> from tinyvision import Tensor
    >>> GLU()(Tensor([[3.0, 0.0]]))
    Tensor([[1.5]])
    """

    def __init__(self, dim=-1):
        whole("GLU", None, dim=dim)
        self.dim = dim

    def forward(self, input):
        return F.glu(input, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class AlongAxis(Module):
    """Softmax, Softmin and LogSoftmax: the axis is an argument."""

    def __init__(self, dim=None):
        if dim is not None:
            whole(type(self).__name__, None, dim=dim)
        self.dim = dim

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(AlongAxis):
    """exp(x) divided by its sum along the axis dim: scores to probabilities (torch.nn.Softmax).

    Raises TypeError, when called, if dim was left out: PyTorch would guess it from the number of axes.

    >>> from tinyvision import Tensor
    >>> Softmax(dim=1)(Tensor([[0.0, 0.0]]))
    Tensor([[0.5, 0.5]])
    """

    def forward(self, input):
        return F.softmax(input, self.dim)


class Softmin(AlongAxis):
    """Softmax of -x: the smallest gets most (torch.nn.Softmin).

    >>> from tinyvision import Tensor
    >>> Softmin(dim=1)(Tensor([[0.0, 1000.0]]))
    Tensor([[1., 0.]])
    """

    def forward(self, input):
        return F.softmin(input, self.dim)


class LogSoftmax(AlongAxis):
    """The logarithm of softmax, without overflow (torch.nn.LogSoftmax): what NLLLoss takes.

    >>> from tinyvision import Tensor
    >>> LogSoftmax(dim=1)(Tensor([[1000.0, 0.0]]))
    Tensor([[    0., -1000.]])
    """

    def forward(self, input):
        return F.log_softmax(input, self.dim)


class Softmax2d(Module):
    """Softmax over the channels of every pixel (torch.nn.Softmax2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> the same.  Raises ValueError, when called, for other numbers of axes.

    >>> from tinyvision import Tensor
    >>> Softmax2d()(Tensor([[[0.0]], [[0.0]]])).data.tolist()
    [[[0.5]], [[0.5]]]
    """

    def forward(self, input):
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: input must be (N, C, H, W) or (C, H, W), got shape {input.shape}. "
                             "Use Softmax(dim=...).")
        return F.softmax(input, -3)
