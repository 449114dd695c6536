"""RMSprop: the step is divided by the recent size of the gradient, weight by weight.

With d = g + weight_decay * w, for each weight (v, m, b are the arrays `square_avg`, `grad_avg`, `momentum_buffer`):

    v <- alpha v + (1 - alpha) d^2                         moving average of the squared gradient, from 0
    centered:   m <- alpha m + (1 - alpha) d,   r = sqrt(v - m^2) + eps     (a standard deviation)
    otherwise:                                  r = sqrt(v) + eps           (a root mean square)
    momentum:   b <- momentum b + d / r,        w <- w - lr * b
    otherwise:                                  w <- w - lr * d / r

v - m^2 is a variance and never negative; where round-off says otherwise it counts as zero.

Sources: Tieleman and Hinton 2012, Neural Networks for Machine Learning, lecture 6.5; Graves 2013, arXiv:1308.0850,
eq. 38-41 (centered; he puts eps under the root); torch.optim.RMSprop.
"""

from ..kernels import update as kernels
from .optimizer import Optimizer, check_not_negative, counted, remembered


class RMSprop(Optimizer):
    """Steps divided by the root mean square of recent gradients (torch.optim.RMSprop).

    lr: learning rate per step; alpha: how much of the average is kept in a step (0.99 averages about 100 steps); eps: keeps
    the division finite; weight_decay: of the penalty weight_decay/2 * |w|^2; momentum: the share of the last step that is
    kept; centered: divide by the standard deviation instead; maximize: climb.
    Raises ValueError for a negative value, and for alpha above 1.

    >>> from tinyvision import Parameter
    >>> w = Parameter([1.0, -200.0]); (w * w).sum().backward()
    >>> RMSprop([w], lr=0.5, alpha=0.75).step(); w.data    # the first step is lr / sqrt(1 - alpha)
    array([   0., -199.], dtype=float32)
    """

    state_names = ("step", "square_avg", "momentum_buffer", "grad_avg")

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, *, maximize=False):
        super().__init__(params, dict(lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered,
                                      weight_decay=weight_decay, maximize=maximize))

    def check_options(self, options):
        check_not_negative("RMSprop", options, "lr", "alpha", "eps", "weight_decay", "momentum")
        if options["alpha"] > 1:
            raise ValueError(f"RMSprop: alpha must be at most 1, got {options['alpha']}. The default is 0.99.")

    @staticmethod
    def update(w, g, state, options):
        RMSprop.update_all([w], [g], [state], options)

    @staticmethod
    def update_all(ws, gs, states, options):
        counted(states)                                   # the rule needs no count; PyTorch's file has one
        vs = remembered(states, "square_avg", ws)
        ms = remembered(states, "grad_avg", ws) if options["centered"] else None
        bs = remembered(states, "momentum_buffer", ws) if options["momentum"] else None
        kernels.rmsprop(ws[0], ws, gs, vs, ms, bs, options["lr"], options["alpha"], options["eps"], options["weight_decay"],
                        options["momentum"], options["maximize"])
