"""Stochastic gradient descent: the step goes down the slope, with momentum it keeps some of its speed.

With d = g + weight_decay * w, for each weight (b is the velocity, the array `momentum_buffer`):

    plain:      w <- w - lr * d
    momentum:   b <- momentum * b + (1 - dampening) * d,   b = d in the first step
                w <- w - lr * b
    nesterov:   w <- w - lr * (d + momentum * b)           with the new b

Under a constant slope the velocity grows to d / (1 - momentum): momentum 0.9 makes steps ten times as long where gradients
agree, and averages them where they alternate.  Nesterov looks one step ahead: it takes the slope as if the velocity had
already been followed.  PyTorch's lr multiplies the velocity (Sutskever's is inside it), which matters when lr changes.

Sources: Robbins and Monro 1951; Polyak 1964 (momentum); Sutskever et al. 2013, On the importance of initialization and
momentum in deep learning, eq. 1-4 (Nesterov); torch.optim.SGD.
"""

from ..kernels import update as kernels
from .optimizer import Optimizer, check_not_negative, remembered


class SGD(Optimizer):
    """Gradient descent, with momentum, Nesterov momentum and weight decay (torch.optim.SGD).

    lr: learning rate per step, 0 or more; momentum: the share of the velocity that is kept; dampening: the share of the
    gradient that is kept out of it; weight_decay: of the penalty weight_decay/2 * |w|^2; maximize: climb instead.
    Raises ValueError for a negative lr, momentum or weight_decay, and for nesterov without momentum or with dampening.

    >>> from tinyvision import Parameter
    >>> w = Parameter([1.0, -2.0]); (w * w).sum().backward()
    >>> SGD([w], lr=0.25).step(); w.data
    array([ 0.5, -1. ], dtype=float32)
    """

    state_names = ("momentum_buffer",)

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False):
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
                                      nesterov=nesterov, maximize=maximize))

    def check_options(self, options):
        check_not_negative("SGD", options, "lr", "momentum", "weight_decay")
        if options["nesterov"] and (options["momentum"] == 0 or options["dampening"] != 0):
            raise ValueError(f"SGD: nesterov needs a momentum above 0 and no dampening, got momentum {options['momentum']} "
                             f"and dampening {options['dampening']}. Set momentum=0.9, dampening=0.")

    @staticmethod
    def update(w, g, state, options):
        SGD.update_all([w], [g], [state], options)

    @staticmethod
    def update_all(ws, gs, states, options):
        lr, momentum, dampening = options["lr"], options["momentum"], options["dampening"]
        rest = options["weight_decay"], options["nesterov"], options["maximize"]
        if not momentum:
            return kernels.sgd(ws[0], ws, gs, None, lr, 0, 0, *rest)
        new = [state.get("momentum_buffer") is None for state in states]
        bs = remembered(states, "momentum_buffer", ws)
        if not (dampening and any(new)):
            return kernels.sgd(ws[0], ws, gs, bs, lr, momentum, dampening, *rest)
        for first, damped in (True, 0), (False, dampening):                  # b = d in the first step
            some = [[a for a, is_new in zip(arrays, new) if is_new == first] for arrays in (ws, gs, bs)]
            if some[0]:
                kernels.sgd(some[0][0], *some, lr, momentum, damped, *rest)
