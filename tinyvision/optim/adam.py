"""Adam: momentum for the direction, RMSprop for the length, both corrected for their start at zero; and AdamW.

With d = g + weight_decay * w (Adam) or d = g after w <- w - lr * weight_decay * w (AdamW), for each weight in step
t = 1, 2, ... (m, v are the arrays `exp_avg`, `exp_avg_sq`, both 0 at first):

    m <- beta1 m + (1 - beta1) d                           moving average of the gradient
    v <- beta2 v + (1 - beta2) d^2                         moving average of its square
    w <- w - lr * [m / (1 - beta1^t)] / (sqrt(v / (1 - beta2^t)) + eps)

Unrolled, m is a sum of gradients whose weights add up to 1 - beta1^t: dividing by that makes it a true average from the first
step, and likewise v.  The step of a weight is then about lr where its gradients agree in sign, however small they are.

amsgrad: v is replaced by the largest v so far (`max_exp_avg_sq`), so that the divisor never shrinks.
AdamW ("decoupled" decay): inside d, the decay would be divided by sqrt(v), too, and weights with large gradients would hardly
decay; applied to w directly, all decay by the same factor 1 - lr * weight_decay per step.

Sources: Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1; Reddi et al. 2018, arXiv:1904.09237, Algorithm 2 (amsgrad; here
with Adam's corrections); Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2 (AdamW); torch.optim.Adam, AdamW.
"""

from ..kernels import update as kernels
from .optimizer import Optimizer, check_not_negative, check_number, counted, remembered


class Adam(Optimizer):
    """Steps along the averaged gradient, divided by the averaged size of the gradient (torch.optim.Adam).

    lr: learning rate per step, about the length of a weight's step; betas: how much of the averages of the gradient and of
    its square is kept in a step, each 0 <= beta < 1; eps: keeps the division finite; weight_decay: of the penalty
    weight_decay/2 * |w|^2, or as AdamW has it under decoupled_weight_decay; amsgrad: never let the divisor shrink;
    maximize: climb instead.  Raises ValueError for a negative value and for betas out of range.

    >>> from tinyvision import Parameter
    >>> w = Parameter([1.0, -200.0]); (w * w).sum().backward()
    >>> Adam([w], lr=0.5).step(); w.data.round(3)          # the first step is lr, whatever the gradient
    array([   0.5, -199.5], dtype=float32)
    """

    state_names = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, maximize=False,
                 decoupled_weight_decay=False):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
                                      maximize=maximize, decoupled_weight_decay=decoupled_weight_decay))

    def check_options(self, options):
        name, betas = type(self).__name__, options["betas"]
        check_not_negative(name, options, "lr", "eps", "weight_decay")
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"{name}: betas must be two numbers, got {betas!r}. The default is (0.9, 0.999).")
        for i, beta in enumerate(betas):
            check_number(name, f"betas[{i}]", beta, "at least 0 and below 1", lambda value: 0 <= value < 1)

    @staticmethod
    def update(w, g, state, options):
        Adam.update_all([w], [g], [state], options)

    @staticmethod
    def update_all(ws, gs, states, options):
        steps, largest = counted(states), None
        ms, vs = remembered(states, "exp_avg", ws), remembered(states, "exp_avg_sq", ws)
        if options["amsgrad"]:
            largest = remembered(states, "max_exp_avg_sq", ws)
        kernels.adam(ws[0], ws, gs, ms, vs, largest, steps, options["lr"], options["betas"], options["eps"],
                     options["weight_decay"], options["decoupled_weight_decay"], options["maximize"])


class AdamW(Adam):
    """Adam with weight decay applied to the weights themselves (torch.optim.AdamW).

    Arguments and errors are Adam's; weight_decay: in each step a weight loses the share lr * weight_decay of itself.

    >>> from tinyvision import Parameter
    >>> w = Parameter([1.0, -200.0]); (w * w).sum().backward()
    >>> AdamW([w], lr=0.5, weight_decay=0.5).step(); w.data.round(3)       # 0.75 w, then a step of 0.5
    array([   0.25, -149.5 ], dtype=float32)
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)

    def load_state_dict(self, state_dict):
        """As Optimizer's; a state saved by Adam goes on as AdamW."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
