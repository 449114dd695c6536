"""Adagrad: every weight has a learning rate of its own, which shrinks as its gradients add up.

With d = g + weight_decay * w, for each weight in step t = 1, 2, ... (s is the array `sum`):

    s <- s + d^2                                           at first initial_accumulator_value
    w <- w - lr / (1 + (t - 1) lr_decay) * d / (sqrt(s) + eps)

A weight whose gradient is rarely above zero keeps a large step for the day it is needed.  Under steady gradients the step
shrinks like 1 / sqrt(t) and never recovers: RMSprop and Adadelta replace the sum by a moving average for that reason.

Source: Duchi, Hazan, Singer 2011, Adaptive Subgradient Methods, JMLR 12, section 1.1 with a diagonal matrix;
torch.optim.Adagrad.
"""

from ..kernels import update as kernels
from .optimizer import Optimizer, check_not_negative, counted, remembered


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far (torch.optim.Adagrad).

    lr: learning rate per step; lr_decay: how fast it falls on top of that; weight_decay: of the penalty
    weight_decay/2 * |w|^2; initial_accumulator_value: where the sum starts; eps: keeps the division finite; all 0 or more.
    maximize: climb instead.  Raises ValueError for a negative value.

    >>> from tinyvision import Parameter
    >>> w = Parameter([1.0, -200.0]); (w * w).sum().backward()
    >>> Adagrad([w], lr=0.5).step(); w.data                # the first step is lr, whatever the gradient
    array([   0.5, -199.5], dtype=float32)
    """

    state_names = ("step", "sum")

    def __init__(self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, *, maximize=False):
        super().__init__(params, dict(lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
                                      initial_accumulator_value=initial_accumulator_value, maximize=maximize))

    def check_options(self, options):
        check_not_negative("Adagrad", options, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    @staticmethod
    def update(w, g, state, options):
        Adagrad.update_all([w], [g], [state], options)

    @staticmethod
    def update_all(ws, gs, states, options):
        rates = [options["lr"] / (1 + (t - 1) * options["lr_decay"]) for t in counted(states)]
        ss = remembered(states, "sum", ws, options["initial_accumulator_value"])
        kernels.adagrad(ws[0], ws, gs, ss, rates, options["eps"], options["weight_decay"], options["maximize"])
