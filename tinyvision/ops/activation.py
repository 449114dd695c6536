"""relu, relu6, leaky_relu, prelu, hardtanh, hardsigmoid, hardswish, threshold, softshrink, hardshrink: made of straight pieces.

Each is a function of one number, applied to every element.  Its Jacobian is diagonal, and on a straight piece the slope is
a constant:

    gx = g * slope(x)        and slope' = 0: the gradient of the gradient flows through g alone

At a kink the slopes of both sides, and all between them, are subgradients; the choice here is PyTorch's:

                  value                                         slope            at the kinks
    relu          max(x, 0)                                     [x > 0]          0
    leaky_relu    x above 0, a x below                          1 or a           a
    hardtanh      x limited to [lo, hi]; relu6: [0, 6]          [lo < x < hi]    0
    hardsigmoid   relu6(x + 3) / 6                              [-3 < x < 3]/6   0
    threshold     x above t, else a given value                 [x > t]          0
    softshrink    x - (x limited to [-b, b])                    [|x| > b]        0
    hardshrink    x where |x| > b, else 0                       [|x| > b]        0

prelu is leaky_relu whose slope w is learned: y = max(x, 0) + w min(x, 0), hence gw = sum g * min(x, 0) over all elements
that share w.  hardswish is x * hardsigmoid(x), a composition.

The slope is multiplied, not selected with `where`: to multiply by 0 or 1 is several times faster than to choose.

Sources: Nair and Hinton 2010 (relu); Maas, Hannun and Ng 2013 (leaky); He et al. 2015, arXiv:1502.01852 (prelu);
Howard et al. 2019, arXiv:1905.02244 (hardswish).
"""

from ..backend import array_module
from ..kernels import elementwise as kernels
from ..tensor import Op, Tensor, raw
from .broadcast import sum_to
from .elementwise import clip
from .shapes import check_float


class PiecewiseLinearOp(Op):
    """A subclass says `forward(x)` and `slope(x)`, an array of constants."""

    def backward(self, g, x):
        return g * self.slope(raw(x))


class LeakyReluOp(Op):
    """leaky_relu, and relu for a slope of 0: large networks spend time on these two, so both passes are kernels."""

    def __init__(self, negative_slope=0):
        self.negative_slope = negative_slope

    def forward(self, x):
        return kernels.rectify(x, self.negative_slope)

    def backward(self, g, x):
        # no gradient flows to x from here, for its slope is a constant
        return LeakyReluGradOp(self.negative_slope)(g, x.detach() if isinstance(x, Tensor) else x)


class LeakyReluGradOp(Op):
    """g * slope(x), linear in g and constant in x: its own adjoint."""

    def __init__(self, negative_slope):
        self.negative_slope = negative_slope

    def forward(self, g, x):
        return kernels.rectify_grad(g, x, self.negative_slope)

    def backward(self, gg, g, x):
        return LeakyReluGradOp(self.negative_slope)(gg, x), None


class ReluOp(LeakyReluOp):
    """The name it goes by in a graph."""


class HardtanhOp(PiecewiseLinearOp):
    def __init__(self, low, high):
        self.low, self.high = low, high

    def forward(self, x):
        return array_module(x).clip(x, self.low, self.high)

    def slope(self, x):
        return (x > self.low) & (x < self.high)


class HardsigmoidOp(PiecewiseLinearOp):
    def forward(self, x):
        return array_module(x).clip(x + 3, 0, 6) / 6

    def slope(self, x):
        return array_module(x).multiply((x > -3) & (x < 3), 1 / 6, dtype=x.dtype)


class ThresholdOp(PiecewiseLinearOp):
    def __init__(self, threshold, value):
        self.threshold, self.value = threshold, value

    def forward(self, x):
        return array_module(x).where(x <= self.threshold, self.value, x)

    def slope(self, x):
        return x > self.threshold


class SoftshrinkOp(PiecewiseLinearOp):
    def __init__(self, lambd):
        self.lambd = lambd

    def forward(self, x):
        return x - array_module(x).clip(x, -self.lambd, self.lambd)

    def slope(self, x):
        return (x < -self.lambd) | (x > self.lambd)


class HardshrinkOp(PiecewiseLinearOp):
    def __init__(self, lambd):
        self.lambd = lambd

    def forward(self, x):
        return x * self.slope(x)

    def slope(self, x):
        return ~((x >= -self.lambd) & (x <= self.lambd))


class PreluOp(Op):
    """x (N, C, *S), w broadcast against it."""

    def forward(self, x, w):
        xp = array_module(x)
        return xp.maximum(x, 0) + w * xp.minimum(x, 0)

    def backward(self, g, x, w):
        above, below = raw(x) > 0, raw(x) <= 0
        gx = g * (w * below + above) if self.needs[0] else None
        gw = sum_to(g * clip(x, max=0), w.shape) if self.needs[1] else None
        return gx, gw


def relu(input):
    """The positive part, max(x, 0), elementwise; slope 0 at 0 (torch.nn.functional.relu).

    Shapes: input (*) -> (*).
    Raises TypeError for anything but a floating-point Tensor or array, as all activations do.

    >>> from tinyvision import Tensor
    >>> relu(Tensor([-1.0, 0.0, 2.0]))
    Tensor([0., 0., 2.])
    """
    check_float("relu", input=input)
    return ReluOp()(input)


def relu6(input):
    """relu limited to 6, which keeps activations in the range of low-precision numbers (torch.nn.functional.relu6).

    Shapes: input (*) -> (*).  Slope 0 at 0 and at 6.  Source: Howard et al. 2017, arXiv:1704.04861.

    >>> from tinyvision import Tensor
    >>> relu6(Tensor([-1.0, 5.0, 7.0]))
    Tensor([0., 5., 6.])
    """
    check_float("relu6", input=input)
    return HardtanhOp(0, 6)(input)


def leaky_relu(input, negative_slope=0.01):
    """x above 0, negative_slope * x below: no unit ever stops learning (torch.nn.functional.leaky_relu).

    Shapes: input (*) -> (*).  At 0 the slope is negative_slope.

    >>> from tinyvision import Tensor
    >>> leaky_relu(Tensor([-4.0, 2.0]), negative_slope=0.25)
    Tensor([-1.,  2.])
    """
    check_float("leaky_relu", input=input)
    return LeakyReluOp(negative_slope)(input)


def prelu(input, weight):
    """leaky_relu with learned slopes, one for all or one per channel (torch.nn.functional.prelu).

    Shapes: input (N, C, *) or (*), weight () or (1,) for a common slope, or (C,) -> input's shape.
    Raises ValueError when the weight has neither one value nor one per channel, the axis after the batch.
    Source: He et al. 2015, arXiv:1502.01852, eq. 1; there the slopes start at 0.25.

    >>> from tinyvision import Tensor
    >>> prelu(Tensor([[-4.0, -4.0]]), Tensor([0.25, 0.5]))
    Tensor([[-1., -2.]])
    """
    check_float("prelu", input=input, weight=weight)
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ValueError(f"prelu: weight must hold one slope, or one for each of the {channels} channels of input "
                         f"{input.shape}, got shape {weight.shape}.")
    return PreluOp()(input, weight.reshape((1, -1) + (1,) * (input.ndim - 2) if input.ndim > 1 else (1,) * input.ndim))


def hardtanh(input, min_val=-1.0, max_val=1.0):
    """x limited to [min_val, max_val]; slope 0 at both ends (torch.nn.functional.hardtanh).

    Shapes: input (*) -> (*).
    Raises ValueError when min_val exceeds max_val.

    >>> from tinyvision import Tensor
    >>> hardtanh(Tensor([-3.0, 0.5, 3.0]))
    Tensor([-1. ,  0.5,  1. ])
    """
    check_float("hardtanh", input=input)
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val must not exceed max_val, got min_val {min_val} and max_val {max_val}.")
    return HardtanhOp(min_val, max_val)(input)


def hardsigmoid(input):
    """A sigmoid of three straight pieces, relu6(x + 3) / 6 (torch.nn.functional.hardsigmoid).

    Shapes: input (*) -> (*).  Slope 0 at -3 and at 3.  Source: Howard et al. 2019, arXiv:1905.02244, section 5.2.

    >>> from tinyvision import Tensor
    >>> hardsigmoid(Tensor([-3.0, 0.0, 1.5]))
    Tensor([0.  , 0.5 , 0.75])
    """
    check_float("hardsigmoid", input=input)
    return HardsigmoidOp()(input)


def hardswish(input):
    """x * hardsigmoid(x), an inexpensive silu (torch.nn.functional.hardswish).

    Shapes: input (*) -> (*).  Slope 0 at -3, 1 at 3.  Source: Howard et al. 2019, arXiv:1905.02244, section 5.2.

    >>> from tinyvision import Tensor
    >>> hardswish(Tensor([-3.0, 1.5, 4.0]))
    Tensor([-0.   ,  1.125,  4.   ])
    """
    check_float("hardswish", input=input)
    return input * HardsigmoidOp()(input)


def threshold(input, threshold, value):
    """x where it exceeds the threshold, value elsewhere (torch.nn.functional.threshold).

    Shapes: input (*) -> (*).  Slope 0 at the threshold, where the function may jump.

    >>> from tinyvision import Tensor
    >>> threshold(Tensor([0.5, 1.5]), 1.0, 20.0)
    Tensor([20. ,  1.5])
    """
    check_float("threshold", input=input)
    return ThresholdOp(threshold, value)(input)


def softshrink(input, lambd=0.5):
    """x moved towards 0 by lambd, and 0 within [-lambd, lambd] (torch.nn.functional.softshrink).

    Shapes: input (*) -> (*).  Slope 0 at both kinks.
    Raises ValueError for a negative lambd.  Source: Donoho 1995, doi:10.1109/18.382009 (soft thresholding).

    >>> from tinyvision import Tensor
    >>> softshrink(Tensor([-2.0, 0.25, 1.0]))
    Tensor([-1.5,  0. ,  0.5])
    """
    check_float("softshrink", input=input)
    if lambd < 0:
        raise ValueError(f"softshrink: lambd must be at least 0, got {lambd}.")
    return SoftshrinkOp(lambd)(input)


def hardshrink(input, lambd=0.5):
    """x, but 0 within [-lambd, lambd] (torch.nn.functional.hardshrink).

    Shapes: input (*) -> (*).  Slope 0 at both ends, where the function jumps.

    >>> from tinyvision import Tensor
    >>> hardshrink(Tensor([-2.0, 0.25, 1.0]))
    Tensor([-2.,  0.,  1.])
    """
    check_float("hardshrink", input=input)
    return HardshrinkOp(lambd)(input)
