"""Adadelta: a step size without a learning rate, from the sizes of recent steps and of recent gradients.

With d = g + weight_decay * w, for each weight (v and u are the arrays `square_avg` and `acc_delta`, both 0 at first):

    v <- rho v + (1 - rho) d^2                             mean square of the gradients
    x  = sqrt(u + eps) / sqrt(v + eps) * d                 the step
    u <- rho u + (1 - rho) x^2                             mean square of the steps
    w <- w - lr * x

A gradient has the unit of L / w, so d / sqrt(v) has no unit at all; times sqrt(u) the step has the unit of w, as it should:
rescaling L or w rescales the step rightly.  lr, 1 in the paper, only scales the result.  As u starts at 0, eps sets the first
steps, and they are short.

Source: Zeiler 2012, arXiv:1212.5701, Algorithm 1; torch.optim.Adadelta.
"""

from ..kernels import update as kernels
from .optimizer import Optimizer, check_not_negative, counted, remembered


class Adadelta(Optimizer):
    """Steps as long as recent steps, divided by the size of recent gradients (torch.optim.Adadelta).

    lr: factor on the step, 1 in the paper; rho: how much of the averages is kept in a step, 0 to 1; eps: sets the size of the
    first steps; weight_decay: of the penalty weight_decay/2 * |w|^2; maximize: climb instead.
    Raises ValueError for a negative value, and for rho above 1.

    >>> from tinyvision import Parameter
    >>> w = Parameter([1.0, -200.0]); (w * w).sum().backward()
    >>> Adadelta([w], rho=0.75, eps=1.0).step(); w.data.round(3)       # 1 - 2 / sqrt(0.25 * 2^2 + 1)
    array([  -0.414, -198.   ], dtype=float32)
    """

    state_names = ("step", "square_avg", "acc_delta")

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, *, maximize=False):
        super().__init__(params, dict(lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize))

    def check_options(self, options):
        check_not_negative("Adadelta", options, "lr", "rho", "eps", "weight_decay")
        if options["rho"] > 1:
            raise ValueError(f"Adadelta: rho must be at most 1, got {options['rho']}. The default is 0.9.")

    @staticmethod
    def update(w, g, state, options):
        Adadelta.update_all([w], [g], [state], options)

    @staticmethod
    def update_all(ws, gs, states, options):
        counted(states)                                   # the rule needs no count; PyTorch's file has one
        vs, us = remembered(states, "square_avg", ws), remembered(states, "acc_delta", ws)
        kernels.adadelta(ws[0], ws, gs, vs, us, options["lr"], options["rho"], options["eps"], options["weight_decay"],
                         options["maximize"])
