"""Losses as layers: they hold the options, and F computes; formulas and gradients stand with the functions in F.

    class index or distribution    CrossEntropyLoss (scores), NLLLoss (log-probabilities), MultiMarginLoss, MultiLabelMarginLoss
    two classes, several labels    BCELoss (probabilities), BCEWithLogitsLoss (scores), MultiLabelSoftMarginLoss
    numbers                        MSELoss, L1Loss, SmoothL1Loss, HuberLoss
    distributions                  KLDivLoss, GaussianNLLLoss, PoissonNLLLoss
    signs +1 and -1                HingeEmbeddingLoss, SoftMarginLoss, MarginRankingLoss, CosineEmbeddingLoss
    triples                        TripletMarginLoss
    measures of likeness           CosineSimilarity, PairwiseDistance (no losses, but made for them)

reduction: 'mean' (the default), 'sum' or 'none'; ValueError for other words.  Class weights are buffers, as in PyTorch: they
follow double() and stand in the state dict.  Where PyTorch has its deprecated size_average and reduce, arguments go by name.

Source: torch.nn.CrossEntropyLoss and so on, under the same names.
"""

from .. import functional as F
from ..backend import is_array
from ..ops.shapes import check_choice
from ..tensor import Tensor
from .checks import at_least, flag, positive, real, whole
from .module import Module


class Loss(Module):
    """What the losses share: the reduction, and weights kept as buffers."""

    def __init__(self, reduction="mean"):
        check_choice(type(self).__name__, "reduction", reduction, ("none", "mean", "sum"))
        self.reduction = reduction

    def keep(self, name, weight):
        """A weight, or None, as a buffer."""
        self.register_buffer(name, weight if weight is None or is_array(weight) else Tensor(weight))


class CrossEntropyLoss(Loss):
    """How improbable the right class is under softmax of the scores (torch.nn.CrossEntropyLoss).

    Shapes: input (N, K), (N, K, *S) or (K,) of scores; target (N), (N, *S) or () of class indices 0..K-1, or probabilities of
            the input's shape -> (), or the target's (N, *S) for reduction='none'.
    weight: (K,), how much each class counts; 'mean' divides by the weights in use.
    ignore_index: a target that does not count.  label_smoothing: the share, 0 to 1, that is spread over all classes.
    Raises ValueError for options out of range and, when called, for labels out of range; TypeError for labels of other dtype.

    >>> CrossEntropyLoss()(Tensor([[0.0, 0.0]]), Tensor([1])).item()          # log 2
    0.6931471824645996
    """

    def __init__(self, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        super().__init__(reduction)
        at_least("CrossEntropyLoss", 0, label_smoothing=label_smoothing)
        if label_smoothing > 1:
            raise ValueError(f"CrossEntropyLoss: label_smoothing must lie in 0..1, got {label_smoothing}.")
        whole("CrossEntropyLoss", None, ignore_index=ignore_index)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        self.keep("weight", weight)

    def forward(self, input, target):
        return F.cross_entropy(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
                               label_smoothing=self.label_smoothing)


class NLLLoss(Loss):
    """Minus the log-probability of the right class, for a network that ends in LogSoftmax (torch.nn.NLLLoss).

    Shapes and arguments as CrossEntropyLoss, with class indices as targets.

    >>> NLLLoss()(Tensor([[-1.0, -2.0]]), Tensor([1])).item()
    2.0
    """

    def __init__(self, weight=None, *, ignore_index=-100, reduction="mean"):
        super().__init__(reduction)
        whole("NLLLoss", None, ignore_index=ignore_index)
        self.ignore_index = ignore_index
        self.keep("weight", weight)

    def forward(self, input, target):
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(Loss):
    """Binary cross entropy of probabilities (torch.nn.BCELoss); for scores use BCEWithLogitsLoss, which cannot overflow.

    Shapes: input and target (*), both 0 to 1 -> () or (*); weight broadcasts to (*).

    >>> BCELoss()(Tensor([0.5]), Tensor([1.0])).item()                        # log 2
    0.6931471824645996
    """

    def __init__(self, weight=None, *, reduction="mean"):
        super().__init__(reduction)
        self.keep("weight", weight)

    def forward(self, input, target):
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """Binary cross entropy of scores: sigmoid and BCELoss in one, without overflow (torch.nn.BCEWithLogitsLoss).

    Shapes: input (*) of scores, target (*) from 0 to 1 -> () or (*); weight and pos_weight broadcast to (*).
    pos_weight: how much the positive targets count (above 1: recall before precision).

    >>> BCEWithLogitsLoss()(Tensor([0.0]), Tensor([1.0])).item()              # log 2
    0.6931471824645996
    """

    def __init__(self, weight=None, *, reduction="mean", pos_weight=None):
        super().__init__(reduction)
        self.keep("weight", weight)
        self.keep("pos_weight", pos_weight)

    def forward(self, input, target):
        return F.binary_cross_entropy_with_logits(input, target, self.weight, reduction=self.reduction,
                                                  pos_weight=self.pos_weight)


class MultiLabelSoftMarginLoss(Loss):
    """Binary cross entropy of scores, averaged over the classes of each picture (torch.nn.MultiLabelSoftMarginLoss).

    Shapes: input (N, K) of scores, target (N, K) from 0 to 1 -> () or (N,); weight (K,).

    >>> MultiLabelSoftMarginLoss()(Tensor([[0.0, 0.0]]), Tensor([[1.0, 0.0]])).item()      # log 2
    0.6931471824645996
    """

    def __init__(self, weight=None, *, reduction="mean"):
        super().__init__(reduction)
        self.keep("weight", weight)

    def forward(self, input, target):
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class MSELoss(Loss):
    """The squared difference (torch.nn.MSELoss).

    Shapes: input and target (*) -> () or (*).

    >>> MSELoss()(Tensor([1.0, 2.0]), Tensor([1.0, 4.0])).item()
    2.0
    """

    def __init__(self, *, reduction="mean"):
        super().__init__(reduction)

    def forward(self, input, target):
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """The absolute difference (torch.nn.L1Loss).

    Shapes: input and target (*) -> () or (*).

    >>> L1Loss()(Tensor([1.0, 2.0]), Tensor([1.0, 4.0])).item()
    1.0
    """

    def __init__(self, *, reduction="mean"):
        super().__init__(reduction)

    def forward(self, input, target):
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """d^2 / (2 beta) for differences d below beta, d - beta/2 above (torch.nn.SmoothL1Loss).

    Shapes: input and target (*) -> () or (*).  Raises ValueError for beta < 0.

    >>> SmoothL1Loss()(Tensor([0.0]), Tensor([3.0])).item()
    2.5
    """

    def __init__(self, *, reduction="mean", beta=1.0):
        super().__init__(reduction)
        at_least("SmoothL1Loss", 0, beta=beta)
        self.beta = beta

    def forward(self, input, target):
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """d^2 / 2 for differences d below delta, delta * (d - delta/2) above (torch.nn.HuberLoss).

    Shapes: input and target (*) -> () or (*).  Raises ValueError unless delta > 0.

    >>> HuberLoss(delta=2.0)(Tensor([0.0]), Tensor([3.0])).item()
    4.0
    """

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction)
        positive("HuberLoss", delta=delta)
        self.delta = delta

    def forward(self, input, target):
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class KLDivLoss(Loss):
    """Kullback-Leibler divergence: what it costs to code target with the probabilities of input (torch.nn.KLDivLoss).

    Shapes: input (*) of log-probabilities, target (*) of probabilities, or their logarithms if log_target -> () or (*).
    reduction: also 'batchmean', the sum divided by the batch size, which is the divergence ('mean' divides by all elements).

    >>> KLDivLoss(reduction="batchmean")(Tensor([[-1.0, -1.0]]), Tensor([[1.0, 0.0]])).item()
    1.0
    """

    def __init__(self, *, reduction="mean", log_target=False):
        check_choice("KLDivLoss", "reduction", reduction, ("none", "mean", "sum", "batchmean"))
        flag("KLDivLoss", log_target=log_target)
        self.reduction, self.log_target = reduction, log_target

    def forward(self, input, target):
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class GaussianNLLLoss(Loss):
    """Minus the log-probability of target under normal distributions that the network predicts (torch.nn.GaussianNLLLoss).

    Called with input, the means (*), target (*) and var, the variances: (*), or with a last axis of 1 or none -> () or (*).
    full: with the constant log(2 pi) / 2.  eps: the least variance.

    >>> GaussianNLLLoss()(Tensor([[0.0]]), Tensor([[2.0]]), Tensor([[1.0]])).item()
    2.0
    """

    def __init__(self, *, full=False, eps=1e-6, reduction="mean"):
        super().__init__(reduction)
        flag("GaussianNLLLoss", full=full)
        positive("GaussianNLLLoss", eps=eps)
        self.full, self.eps = full, eps

    def forward(self, input, target, var):
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class PoissonNLLLoss(Loss):
    """Minus the log-probability of the counts in target, for predicted rates (torch.nn.PoissonNLLLoss).

    Shapes: input (*) of rates, or their logarithms if log_input, target (*) of counts -> () or (*).
    full: with Stirling's approximation of log(target!).  eps: added to the rate inside the logarithm without log_input.

    >>> PoissonNLLLoss()(Tensor([0.0]), Tensor([3.0])).item()
    1.0
    """

    def __init__(self, log_input=True, full=False, *, eps=1e-8, reduction="mean"):
        super().__init__(reduction)
        flag("PoissonNLLLoss", log_input=log_input, full=full)
        at_least("PoissonNLLLoss", 0, eps=eps)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, input, target):
        return F.poisson_nll_loss(input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction)


class HingeEmbeddingLoss(Loss):
    """A distance x itself for target 1, max(0, margin - x) for target -1 (torch.nn.HingeEmbeddingLoss).

    Shapes: input and target (*) -> () or (*).

    >>> HingeEmbeddingLoss(reduction="none")(Tensor([0.25, 0.25]), Tensor([1.0, -1.0]))
    Tensor([0.25, 0.75])
    """

    def __init__(self, margin=1.0, *, reduction="mean"):
        super().__init__(reduction)
        real("HingeEmbeddingLoss", margin=margin)
        self.margin = margin

    def forward(self, input, target):
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class SoftMarginLoss(Loss):
    """log(1 + exp(-target * input)) for targets 1 and -1 (torch.nn.SoftMarginLoss).

    Shapes: input and target (*) -> () or (*).

    >>> SoftMarginLoss()(Tensor([0.0]), Tensor([1.0])).item()                 # log 2
    0.6931471824645996
    """

    def __init__(self, *, reduction="mean"):
        super().__init__(reduction)

    def forward(self, input, target):
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MarginRankingLoss(Loss):
    """max(0, margin - target * (input1 - input2)): input1 shall be the larger for 1, the smaller for -1.

    (torch.nn.MarginRankingLoss)  Shapes: input1, input2 and target (*) -> () or (*).

    >>> MarginRankingLoss(margin=1.0)(Tensor([2.0]), Tensor([1.5]), Tensor([1.0])).item()
    0.5
    """

    def __init__(self, margin=0.0, *, reduction="mean"):
        super().__init__(reduction)
        real("MarginRankingLoss", margin=margin)
        self.margin = margin

    def forward(self, input1, input2, target):
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) (torch.nn.TripletMarginLoss; Schroff et al. 2015).

    Shapes: anchor, positive, negative (N, D) or (D,) -> () or (N,).
    p: the norm of the distances, which are PairwiseDistance(p, eps); swap: take the negative's distance to the positive where
    that is smaller.  Raises ValueError unless margin > 0.

    >>> TripletMarginLoss()(Tensor([[0.0]]), Tensor([[3.0]]), Tensor([[5.0]])).item()
    0.0
    """

    def __init__(self, margin=1.0, p=2.0, eps=1e-6, swap=False, *, reduction="mean"):
        super().__init__(reduction)
        positive("TripletMarginLoss", margin=margin, p=p)
        at_least("TripletMarginLoss", 0, eps=eps)
        flag("TripletMarginLoss", swap=swap)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor, positive, negative):
        return F.triplet_margin_loss(anchor, positive, negative, margin=self.margin, p=self.p, eps=self.eps, swap=self.swap,
                                     reduction=self.reduction)


class CosineEmbeddingLoss(Loss):
    """1 - cosine for target 1, max(0, cosine - margin) for target -1 (torch.nn.CosineEmbeddingLoss).

    Shapes: input1, input2 (N, D) or (D,), target (N,) or () -> () or (N,).

    >>> CosineEmbeddingLoss()(Tensor([[1.0, 0.0]]), Tensor([[0.0, 1.0]]), Tensor([1.0])).item()
    1.0
    """

    def __init__(self, margin=0.0, *, reduction="mean"):
        super().__init__(reduction)
        real("CosineEmbeddingLoss", margin=margin)
        self.margin = margin

    def forward(self, input1, input2, target):
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MultiMarginLoss(Loss):
    """How far the wrong classes come within `margin` of the right one, to the power p (torch.nn.MultiMarginLoss).

    Shapes: input (N, K) or (K,) of scores, target (N,) or () of class indices 0..K-1 -> () or (N,); weight (K,).
    Raises ValueError unless p is 1 or 2.

    >>> MultiMarginLoss()(Tensor([[0.5, 0.0]]), Tensor([0])).item()           # (1 - 0.5 + 0) / 2 classes
    0.25
    """

    def __init__(self, p=1, margin=1.0, weight=None, *, reduction="mean"):
        super().__init__(reduction)
        check_choice("MultiMarginLoss", "p", p, (1, 2))
        real("MultiMarginLoss", margin=margin)
        self.p, self.margin = p, margin
        self.keep("weight", weight)

    def forward(self, input, target):
        return F.multi_margin_loss(input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """How far the absent classes come within a margin of 1 of those present (torch.nn.MultiLabelMarginLoss).

    Shapes: input (N, K) or (K,) of scores, target of the same shape: the indices of the classes present, then -1 -> () or (N,).

    >>> MultiLabelMarginLoss()(Tensor([[0.5, 0.0]]), Tensor([[0, -1]])).item()             # (1 - 0.5 + 0) / 2 classes
    0.25
    """

    def __init__(self, *, reduction="mean"):
        super().__init__(reduction)

    def forward(self, input, target):
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along the axis dim (torch.nn.CosineSimilarity).

    Shapes: x1 and x2 (.., D, ..) -> (.., ..) without the axis dim; eps guards against vectors of length 0.

    >>> CosineSimilarity()(Tensor([[3.0, 4.0]]), Tensor([[4.0, 3.0]])).data.round(2)
    array([0.96], dtype=float32)
    """

    def __init__(self, dim=1, eps=1e-8):
        whole("CosineSimilarity", None, dim=dim)
        at_least("CosineSimilarity", 0, eps=eps)
        self.dim, self.eps = dim, eps

    def forward(self, x1, x2):
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of x1 - x2 + eps along the last axis (torch.nn.PairwiseDistance).

    Shapes: x1 and x2 (N, D) or (D,) -> (N,) or (), or with a last axis of size 1 if keepdim.

    >>> PairwiseDistance(eps=0.0)(Tensor([[0.0, 0.0]]), Tensor([[3.0, 4.0]]))
    Tensor([5.])
    """

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        real("PairwiseDistance", p=p)
        at_least("PairwiseDistance", 0, eps=eps)
        flag("PairwiseDistance", keepdim=keepdim)
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2):
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
