"""Two classes: binary_cross_entropy with and without logits, focal loss, and soft margin losses for several labels at once.

For a probability p of "yes" and a target y in [0, 1] the cross entropy has two terms:

    L = -(y log p + (1 - y) log(1 - p))                  dL/dp = (p - y) / (p (1 - p))          dL/dy = log(1 - p) - log p

With p = sigmoid(x) for a score x, dp/dx = p (1 - p) cancels the denominator, and prediction minus truth is left as in
loss_classes.py.  Since -log p = log(1 + e^-x) = max(-x, 0) + log(1 + e^-|x|) and -log(1 - p) is the same with -x,

    L = max(x, 0) - x y + log(1 + e^-|x|)                dL/dx = p - y                           dL/dy = -x

in which nothing overflows and, for y = 0 or 1, no digits cancel: losses of scores are better than losses of probabilities.

Focal loss weighs every loss by how wrong the prediction was, so that many easy examples cannot drown a few hard ones:

    FL = -alpha_t (1 - p_t)^gamma log p_t                p_t = p where y = 1, 1 - p where y = 0, likewise alpha_t

which is alpha_t (1 - p_t)^gamma L.  For soft targets p_t is p y + (1 - p)(1 - y), so 1 - p_t = (1 - p) y + p (1 - y).

    BinaryCrossEntropyOp              (*), (*) -> (*)    log clamped at -100, denominator of dL/dp at 1e-12
    BinaryCrossEntropyWithLogitsOp    (*), (*) -> (*)

soft_margin_loss takes targets -1 and 1 instead: log(1 + e^(-xy)) is L for the score x y and the target 1.

Sources: Bishop 2006, Pattern Recognition and Machine Learning, section 4.3.2; Lin et al. 2017, arXiv:1708.02002, equation 5;
torch.nn.functional.binary_cross_entropy (the clamps); torchvision.ops.sigmoid_focal_loss.
"""

from ..backend import array_module
from ..tensor import Op
from .activation_smooth import SoftplusOp
from .elementwise import clip, sigmoid
from .loss import alike, check_reduction, check_signs, check_values, reduced, signed, weighted
from .reduce import mean


class ClampedLogOp(Op):
    """max(log x, -100) for x in [0, 1]"""

    def forward(self, x):
        xp = array_module(x)
        zero = x == 0
        return xp.maximum(xp.where(zero, -100, xp.log(xp.where(zero, 1, x))), -100)

    def backward(self, g, x):
        return g / clip(x, 1e-12, None)


class BinaryCrossEntropyOp(Op):
    """-(y log p + (1 - y) log(1 - p)), elementwise"""

    def forward(self, p, y):
        return -(y * clamped_log(p) + (1 - y) * clamped_log(1 - p))

    def backward(self, g, p, y):
        gp = g * (p - y) / clip(p * (1 - p), 1e-12, None) if self.needs[0] else None
        gy = g * (clamped_log(1 - p) - clamped_log(p)) if self.needs[1] else None
        return gp, gy


class BinaryCrossEntropyWithLogitsOp(Op):
    """-(y log p + (1 - y) log(1 - p)) with p = sigmoid(x), elementwise"""

    def forward(self, x, y):
        xp = array_module(x)
        return xp.maximum(x, 0) - x * y + xp.log1p(xp.exp(-xp.abs(x)))

    def backward(self, g, x, y):
        gx = g * (sigmoid(x) - y) if self.needs[0] else None
        gy = -g * x if self.needs[1] else None
        return gx, gy


def clamped_log(x):
    """log x, but at least -100, so that a single impossible event does not make the whole loss infinite."""
    return ClampedLogOp()(x)


def binary_cross_entropy(input, target, weight=None, *, reduction="mean"):
    """The cross entropy of yes-no questions answered by probabilities (torch.nn.functional.binary_cross_entropy).

    Shapes: input (*), probabilities; target (*), 0, 1 or a probability; weight broadcasts to (*) -> () or, with
            reduction='none', (*).
    Logarithms are clamped at -100, so that no loss exceeds 100.  Scores are better served by
    binary_cross_entropy_with_logits.
    Raises ValueError for values outside [0, 1] and for shapes that differ, TypeError for dtypes that differ.

    >>> from tinyvision import Tensor
    >>> binary_cross_entropy(Tensor([0.5, 0.0]), [1, 1], reduction="none")
    Tensor([  0.6931472, 100.       ])
    """
    op = "binary_cross_entropy"
    check_reduction(op, reduction)
    p, y = alike(op, input=input, target=target)
    p = check_values(op, "input", p, 0, 1, "For scores use binary_cross_entropy_with_logits, or apply sigmoid first.")
    y = check_values(op, "target", y, 0, 1, "Targets are probabilities; divide masks of 0..255 by 255.")
    return reduced(weighted(op, BinaryCrossEntropyOp()(p, y), "weight", weight), reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, *, reduction="mean", pos_weight=None):
    """The cross entropy of yes-no questions answered by scores (torch.nn.functional.binary_cross_entropy_with_logits).

    Shapes: input (*), scores before the sigmoid; target (*), 0, 1 or a probability; weight, pos_weight broadcast to (*)
            -> () or, with reduction='none', (*).
    pos_weight: factor of the losses of positive answers; above 1 it raises recall, e.g. (negatives / positives).
    Raises ValueError for shapes that differ, TypeError for dtypes that differ.

    >>> from tinyvision import Tensor
    >>> binary_cross_entropy_with_logits(Tensor([0.0, 1000.0]), [1, 0], reduction="none")
    Tensor([6.931472e-01, 1.000000e+03])
    """
    op = "binary_cross_entropy_with_logits"
    check_reduction(op, reduction)
    x, y = alike(op, input=input, target=target)
    if pos_weight is None:
        losses = BinaryCrossEntropyWithLogitsOp()(x, y)
    else:
        positive, negative = y * SoftplusOp()(-x), (1 - y) * SoftplusOp()(x)
        losses = weighted(op, positive, "pos_weight", pos_weight) + negative
    return reduced(weighted(op, losses, "weight", weight), reduction)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    """Binary cross entropy in which easy examples count less (torchvision.ops.sigmoid_focal_loss).

    Shapes: inputs (*), scores before the sigmoid; targets (*), 0, 1 or a probability -> (*), or () when reduced.
    alpha: weight of the positives in [0, 1], the negatives get 1 - alpha; -1 for no such weights.
    gamma: focus, >= 0; 0 gives the plain cross entropy.
    Raises ValueError for shapes that differ, alpha or gamma out of range.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection, arXiv:1708.02002, equation 5.

    >>> from tinyvision import Tensor
    >>> sigmoid_focal_loss(Tensor([0.0]), [1], alpha=-1)                    # (1 - 0.5)^2 log 2
    Tensor([0.1732868])
    """
    op = "sigmoid_focal_loss"
    check_reduction(op, reduction)
    x, y = alike(op, inputs=inputs, targets=targets)
    if not (0 <= alpha <= 1 or alpha == -1):
        raise ValueError(f"{op}: alpha must lie in [0, 1], or be -1 for no weights, got {alpha}.")
    if not gamma >= 0:
        raise ValueError(f"{op}: gamma must be at least 0, got {gamma}.")
    wrong = y * sigmoid(-x) + (1 - y) * sigmoid(x)                        # 1 - p_t
    losses = wrong ** gamma * BinaryCrossEntropyWithLogitsOp()(x, y)
    if alpha >= 0:
        losses = (alpha * y + (1 - alpha) * (1 - y)) * losses
    return reduced(losses, reduction)


def soft_margin_loss(input, target, *, reduction="mean"):
    """log(1 + exp(-target * input)) for targets -1 and 1 (torch.nn.functional.soft_margin_loss).

    Shapes: input (*), scores; target (*), -1 or 1 -> () or, with reduction='none', (*).
    Raises ValueError for shapes that differ and for targets 0.

    >>> from tinyvision import Tensor
    >>> soft_margin_loss(Tensor([0.0, -1000.0]), [1, 1], reduction="none")
    Tensor([6.931472e-01, 1.000000e+03])
    """
    check_reduction("soft_margin_loss", reduction)
    x, y = alike("soft_margin_loss", input=input, target=target)
    check_signs("soft_margin_loss", y)
    return reduced(signed(SoftplusOp()(-y * x), y), reduction)


def multilabel_soft_margin_loss(input, target, weight=None, *, reduction="mean"):
    """binary_cross_entropy_with_logits averaged over K labels, each of which may apply or not
    (torch.nn.functional.multilabel_soft_margin_loss).

    Shapes: input (*, K), scores; target (*, K), 0 or 1; weight broadcasts to (*, K)
            -> () or, with reduction='none', (*).
    Raises ValueError for shapes that differ.

    >>> from tinyvision import Tensor
    >>> multilabel_soft_margin_loss(Tensor([[0.0, 0.0]]), [[0, 1]])
    Tensor(0.6931472)
    """
    op = "multilabel_soft_margin_loss"
    check_reduction(op, reduction)
    x, y = alike(op, input=input, target=target)
    losses = weighted(op, BinaryCrossEntropyWithLogitsOp()(x, y), "weight", weight)
    return reduced(mean(losses, -1), reduction)
