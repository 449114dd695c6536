"""mse_loss, l1_loss, huber_loss, smooth_l1_loss: how far predicted numbers are from true ones.

With the error d = input - target, elementwise:

                 loss                                          slope              its least mean is taken by
    squared      d^2                                           2 d                the mean of the targets
    absolute     |d|                                           sign d             their median
    Huber        d^2 / 2 where |d| < delta,                    clip(d, +-delta)   between the two
                 delta (|d| - delta / 2) elsewhere

A squared error lets a single outlier dominate, an absolute one has no curvature near 0; Huber's joins the two where their
slopes meet.  With c = clip(d, -delta, delta) both of its branches are one expression, c (d - c / 2), whose slope is c:
inside c = d, so the slope is d; outside c is constant, so the slope is c.

    HuberOp    (*) -> (*)      gd = g clip(d, -delta, delta)

smooth_l1_loss is huber_loss / beta with delta = beta, which keeps the slope of its linear part at 1 (Girshick 2015).

Sources: Huber 1964, doi:10.1214/aoms/1177703732; Girshick 2015, Fast R-CNN, arXiv:1504.08083, equation 3.
"""

from ..backend import array_module
from ..tensor import Op
from .broadcast import sum
from .elementwise import abs, clip
from .loss import alike, check_reduction, ratio, reduced


class HuberOp(Op):
    """d^2 / 2 near 0, delta (|d| - delta / 2) beyond delta"""

    def __init__(self, delta):
        self.delta = delta

    def forward(self, d):
        c = array_module(d).clip(d, -self.delta, self.delta)
        return c * (d - 0.5 * c)

    def backward(self, g, d):
        return g * clip(d, -self.delta, self.delta)


def errors(op, reduction, input, target, weight=None):
    """input - target and the weights, after the checks."""
    check_reduction(op, reduction)
    x, t, *w = alike(op, input=input, target=target, **({} if weight is None else {"weight": weight}))
    return x - t, w[0] if w else None


def weighted_mean(losses, weight, reduction):
    """Reduce losses; with weights, the mean is divided by the sum of these."""
    if weight is None:
        return reduced(losses, reduction)
    losses = losses * weight
    return ratio(sum(losses), sum(weight)) if reduction == "mean" else reduced(losses, reduction)


def mse_loss(input, target, *, reduction="mean", weight=None):
    """Squared errors (torch.nn.functional.mse_loss).

    Shapes: input, target and weight (*) -> () or, with reduction='none', (*).
    weight: a factor for every element; 'mean' then divides by the sum of the weights.
    Raises ValueError for shapes that differ, TypeError for dtypes that differ.

    >>> from tinyvision import Tensor
    >>> mse_loss(Tensor([1.0, 2.0]), [1, 4])
    Tensor(2.)
    """
    d, weight = errors("mse_loss", reduction, input, target, weight)
    return weighted_mean(d * d, weight, reduction)


def l1_loss(input, target, *, reduction="mean", weight=None):
    """Absolute errors, slope 0 at 0 (torch.nn.functional.l1_loss).

    Shapes: input, target and weight (*) -> () or, with reduction='none', (*).
    weight: a factor for every element; 'mean' then divides by the sum of the weights.
    Raises ValueError for shapes that differ, TypeError for dtypes that differ.

    >>> from tinyvision import Tensor
    >>> l1_loss(Tensor([1.0, 2.0]), [1, 4])
    Tensor(1.)
    """
    d, weight = errors("l1_loss", reduction, input, target, weight)
    return weighted_mean(abs(d), weight, reduction)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """Squared errors up to delta, absolute errors beyond (torch.nn.functional.huber_loss).

    Shapes: input, target and weight (*) -> () or, with reduction='none', (*).
    delta: the error, in units of input, where the parabola becomes a line; weight: a factor for every element ('mean' divides
    by their number all the same, other than in mse_loss).
    Raises ValueError for shapes that differ and for delta <= 0, TypeError for dtypes that differ.

    Source: Huber 1964, Robust Estimation of a Location Parameter, doi:10.1214/aoms/1177703732.

    >>> from tinyvision import Tensor
    >>> huber_loss(Tensor([0.5, 3.0]), [0, 0], reduction="none")
    Tensor([0.125, 2.5  ])
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be greater than 0, got {delta}.")
    d, weight = errors("huber_loss", reduction, input, target, weight)
    losses = HuberOp(delta)(d)
    return reduced(losses if weight is None else losses * weight, reduction)


def smooth_l1_loss(input, target, *, reduction="mean", beta=1.0):
    """Absolute errors, rounded off below beta: huber_loss / beta (torch.nn.functional.smooth_l1_loss).

    Shapes: input and target (*) -> () or, with reduction='none', (*).
    beta: the error, in units of input, where the parabola becomes a line; 0 gives l1_loss.
    Raises ValueError for shapes that differ and for beta < 0, TypeError for dtypes that differ.

    Source: Girshick 2015, Fast R-CNN, arXiv:1504.08083, equation 3.

    >>> from tinyvision import Tensor
    >>> smooth_l1_loss(Tensor([0.5, 3.0]), [0, 0], reduction="none")
    Tensor([0.125, 2.5  ])
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must be at least 0, got {beta}.")
    d, _ = errors("smooth_l1_loss", reduction, input, target)
    return reduced(HuberOp(beta)(d) / beta if beta else abs(d), reduction)
