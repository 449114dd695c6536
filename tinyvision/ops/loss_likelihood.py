"""kl_div, poisson_nll_loss, gaussian_nll_loss: distributions instead of numbers as predictions.

Maximum likelihood asks for the parameters under which the data are most probable; its loss is -log P(target | input).

    Kullback-Leibler  KL(t || q) = sum_i t_i (log t_i - log q_i)    what it costs to take q for the true t; >= 0
                      dKL/d(log q_i) = -t_i
    Poisson           P(t) = e^-r r^t / t!                          counts t at a rate r = e^x
                      -log P = e^x - t x + log t!                   slope e^x - t: expected minus counted
    Gauss             P(t) = e^(-(t - x)^2 / 2v) / sqrt(2 pi v)     mean x and variance v are both predicted
                      -log P = (log v + (x - t)^2 / v) / 2 + log(2 pi) / 2
                      slopes (x - t) / v  and  (1 - (x - t)^2 / v) / 2v: the variance learns the squared error

kl_div differs from cross_entropy with probabilities by the entropy of t alone, which no prediction changes.
For log t!, which is constant as well and wanted only with full=True, stands Stirling's t log t - t + log(2 pi t) / 2.

    XLogXOp   (*) -> (*)    t log t, with 0 log 0 = 0         g (log t + 1)

Sources: Kullback and Leibler 1951, doi:10.1214/aoms/1177729694; Nix and Weigend 1994, Estimating the mean and variance of the
target probability distribution (Gauss); torch.nn.functional.kl_div, poisson_nll_loss, gaussian_nll_loss.
"""

from math import log as log_of_number
from math import nan, pi

from ..backend import array_module, on_device
from ..tensor import Op, raw
from .arithmetic import where
from .broadcast import sum
from .elementwise import exp, log
from .loss import REDUCTIONS, alike, check_reduction, operands, ratio, reduced
from .shapes import check_broadcast


class XLogXOp(Op):
    """t log t, with 0 log 0 = 0"""

    def forward(self, t):
        xp = array_module(t)
        return t * xp.log(xp.where(t == 0, 1, t))

    def backward(self, g, t):
        return g * (log(t) + 1)


def kl_div(input, target, *, reduction="mean", log_target=False):
    """The Kullback-Leibler divergence of a prediction from a distribution (torch.nn.functional.kl_div).

    Shapes: input (*), log-probabilities; target (*), probabilities, or their logs with log_target=True
            -> () or, with reduction='none', (*).
    reduction: 'batchmean' divides by the size of the first axis, which is the divergence per row; 'mean' divides by the number
    of elements, so it is smaller by the number of classes.
    Raises ValueError for shapes that differ, TypeError for dtypes that differ.

    >>> from tinyvision import Tensor
    >>> kl_div(Tensor([[0.5, 0.5]]).log(), Tensor([[1.0, 0.0]]), reduction="batchmean")
    Tensor(0.6931472)
    """
    check_reduction("kl_div", reduction, (*REDUCTIONS, "batchmean"))
    x, t = alike("kl_div", input=input, target=target)
    losses = exp(t) * (t - x) if log_target else XLogXOp()(t) - t * x
    if reduction == "batchmean":
        return ratio(sum(losses), len(x)) if x.ndim else losses
    return reduced(losses, reduction)


def poisson_nll_loss(input, target, log_input=True, full=False, *, eps=1e-8, reduction="mean"):
    """Minus the log of a Poisson probability: for predicting counts (torch.nn.functional.poisson_nll_loss).

    Shapes: input (*), the log of the expected count, or the count itself with log_input=False; target (*), counts >= 0
            -> () or, with reduction='none', (*).
    full: add Stirling's approximation of log(target!), for targets above 1; eps: keeps log(input + eps) finite.
    Raises ValueError for shapes that differ, TypeError for dtypes that differ.

    >>> from tinyvision import Tensor
    >>> poisson_nll_loss(Tensor([0.0, 0.0]), [0, 3], reduction="none")
    Tensor([1., 1.])
    """
    check_reduction("poisson_nll_loss", reduction)
    x, t = alike("poisson_nll_loss", input=input, target=target)
    losses = exp(x) - t * x if log_input else x - t * log(x + eps)
    if full:
        few = raw(t) <= 1
        n = where(few, 2.0, t)
        losses = losses + where(few, 0.0, XLogXOp()(n) - n + 0.5 * log(2 * pi * n))
    return reduced(losses, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """Minus the log of a Gaussian density whose mean and variance are predicted (torch.nn.functional.gaussian_nll_loss).

    Shapes: input, the means, and target broadcast to (*); var, the variances >= 0: (*), or without or with size 1 in the last
            axis where they share one, or a number -> () or, with reduction='none', (*).
    full: add the constant log(2 pi) / 2.  eps > 0: smaller variances count as eps; their gradient passes as if they were.
    Raises ValueError for a negative variance, eps <= 0 and shapes that do not fit, TypeError for dtypes that differ.

    >>> from tinyvision import Tensor
    >>> gaussian_nll_loss(Tensor([1.0]), [3.0], var=[4.0])                  # (log 4 + 2^2 / 4) / 2
    Tensor(1.1931472)
    """
    op = "gaussian_nll_loss"
    check_reduction(op, reduction)
    if not eps > 0:
        raise ValueError(f"{op}: eps must be greater than 0, got {eps}.")
    x, t, v = operands(op, input=input, target=target, var=var).values()
    check_broadcast(op, input=x, target=t)
    v = variances(op, v, x.shape)
    small = raw(v) < eps
    v = v + where(small, eps - raw(v), 0.0)               # a constant is added, so that v still learns to grow
    losses = 0.5 * (log(v) + (x - t) ** 2 / v) + (0.5 * log_of_number(2 * pi) if full else 0.0)
    return reduced(losses, reduction)


def variances(op, v, shape):
    """The variances, checked, with an axis of size 1 in place of a last one that is missing."""
    if on_device(raw(v)):
        v = where(raw(v) < 0, nan, v)                     # as in check_values
    elif raw(v).size and not raw(v).min() >= 0:
        raise ValueError(f"{op}: var must not be negative, got {float(raw(v).min()):g}. Predict log(var) and pass its exp.")
    if v.ndim == 0 or v.shape == shape:
        return v
    if v.shape == shape[:-1]:
        return v.reshape((*v.shape, 1))
    if v.ndim != len(shape) or any(m not in (1, n) for m, n in zip(v.shape, shape)):
        raise ValueError(f"{op}: var must have the shape {shape} of input, or lack its last axis or have size 1 there, got "
                         f"{v.shape}.")
    return v
