"""Margins: losses that are satisfied once the right answer is far enough ahead.

All are hinges max(0, margin - lead): as long as the lead is too small the slope is 1, then the example is left in peace.

                                 what is to lead                        by how much
    margin_ranking_loss          the input that the target names        margin
    multi_margin_loss            the score of the right class           1, over every other class (SVM)
    multilabel_margin_loss       the scores of all right classes        1, over every wrong class
    hinge_embedding_loss         the distance of an unlike pair         margin; a like pair pays its distance
    cosine_embedding_loss        1 - cos of an unlike pair              1 - margin; a like pair pays 1 - cos
    triplet_margin_loss          the distance to the negative           margin, over that to the positive

The last three train embeddings: vectors that lie close together for pictures of one person and apart for others.  The slope
of |a - p| - |a - n| with respect to the anchor a is (a - p)/|a - p| - (a - n)/|a - n|, two unit vectors: a step against it
goes towards the positive p and away from the negative n.

Sources: Weston and Watkins 1999 (multi_margin_loss); Hadsell, Chopra and LeCun 2006 (pairs); Schroff, Kalenichenko and Philbin
2015, FaceNet, arXiv:1503.03832, section 3.1 (triplets); Balntas et al. 2016, Learning local feature descriptors with triplets
and shallow convolutional neural networks (swap).
"""

from math import nan

from ..backend import array_module, on_device
from ..tensor import raw
from .activation import relu
from .arithmetic import minimum, where
from .broadcast import sum
from .distance import pairwise_distance
from .elementwise import clip, sqrt
from .index import getitem, take_along_axis
from .loss import alike, beside, check_reduction, check_signs, operands, reduced, signed
from .loss_classes import class_labels, class_weights, set_apart, without
from .shapes import check_labels, check_same_shape, misplaced


def signs(op, target, like):
    """Targets 1 (alike) and -1 (unlike) of any dtype as a plain array: they are compared, never multiplied."""
    y = beside(op, target, like)
    check_signs(op, y)
    return y


def hinge(x):
    """max(0, x); at 0 the slope is still 1, as in torch's losses of pairs and triplets."""
    return clip(x, 0, None)


def hinge_embedding_loss(input, target, margin=1.0, *, reduction="mean"):
    """For distances: that of an alike pair is the loss, that of an unlike pair should reach the margin
    (torch.nn.functional.hinge_embedding_loss).

    Shapes: input (*), distances; target (*), 1 (alike) or -1 (unlike) -> () or, with reduction='none', (*).
    Raises ValueError for shapes that differ and for targets 0; any other target counts as both.

    >>> from tinyvision import Tensor
    >>> hinge_embedding_loss(Tensor([0.2, 0.2]), [1, -1], reduction="none")
    Tensor([0.2, 0.8])
    """
    check_reduction("hinge_embedding_loss", reduction)
    (x,), y = alike("hinge_embedding_loss", input=input), signs("hinge_embedding_loss", target, input)
    check_same_shape("hinge_embedding_loss", input=x, target=y)
    losses = where(y == -1, 0.0, x) + where(y == 1, 0.0, hinge(margin - x))
    return reduced(signed(losses, y), reduction)


def margin_ranking_loss(input1, input2, target, margin=0, *, reduction="mean"):
    """max(0, -target * (input1 - input2) + margin) (torch.nn.functional.margin_ranking_loss).

    Shapes: input1, input2 (*), scores; target (*), 1 where input1 should be the larger, -1 where input2 should
            -> () or, with reduction='none', (*).
    Raises ValueError for shapes that differ.

    >>> from tinyvision import Tensor
    >>> margin_ranking_loss(Tensor([3.0]), Tensor([1.0]), [-1])
    Tensor(2.)
    """
    check_reduction("margin_ranking_loss", reduction)
    x1, x2, y = alike("margin_ranking_loss", input1=input1, input2=input2, target=target)
    return reduced(hinge(y * (x2 - x1) + margin), reduction)


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, *, reduction="mean"):
    """The anchor should be nearer to the positive than to the negative by a margin
    (torch.nn.functional.triplet_margin_loss).

    Shapes: anchor, positive, negative (N, D) or (D,), embeddings -> () or, with reduction='none', (N,).
    p, eps: as in pairwise_distance; margin > 0, in units of distance.
    swap: take the distance from the positive to the negative where it is the smaller one (Balntas et al. 2016).
    Raises ValueError for shapes that differ and for margin <= 0.

    Source: Schroff, Kalenichenko and Philbin 2015, FaceNet, arXiv:1503.03832, section 3.1 (there with squared distances).

    >>> from tinyvision import Tensor
    >>> triplet_margin_loss(Tensor([[0.0]]), Tensor([[2.0]]), Tensor([[2.5]]), eps=0)
    Tensor(0.5)
    """
    op = "triplet_margin_loss"
    check_reduction(op, reduction)
    if not margin > 0:
        raise ValueError(f"{op}: margin must be greater than 0, got {margin}.")
    a, p_, n = alike(op, anchor=anchor, positive=positive, negative=negative)
    near, far = pairwise_distance(a, p_, p, eps), pairwise_distance(a, n, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(p_, n, p, eps))
    return reduced(hinge(margin + near - far), reduction)


def cosine_embedding_loss(input1, input2, target, margin=0, *, reduction="mean"):
    """1 - cos for pairs that should be alike, max(0, cos - margin) for pairs that should not
    (torch.nn.functional.cosine_embedding_loss).

    Shapes: input1, input2 (N, D) or (D,), embeddings; target (N,) or (), 1 (alike) or -1 (unlike)
            -> () or, with reduction='none', (N,).
    margin: the cosine that unlike pairs may have, in [-1, 1].
    Raises ValueError for shapes that do not match and for targets 0; any other target has loss 0.

    >>> from tinyvision import Tensor
    >>> cosine_embedding_loss(Tensor([[1.0, 0.0], [1.0, 0.0]]), Tensor([[0.0, 1.0], [1.0, 0.0]]), [1, -1], reduction="none")
    Tensor([1., 1.])
    """
    op = "cosine_embedding_loss"
    check_reduction(op, reduction)
    (x1, x2), y = alike(op, input1=input1, input2=input2), signs(op, target, input1)
    if x1.ndim not in (1, 2) or y.shape != x1.shape[:-1]:
        raise ValueError(f"{op}: inputs (N, D) need a target (N,), inputs (D,) a target (), got inputs {x1.shape} and "
                         f"target {y.shape}. Use target.reshape(-1).")
    squares = (sum(x1 * x1, -1) + 1e-12) * (sum(x2 * x2, -1) + 1e-12)     # the zero vector has cosine 0, and a slope
    cosine = sum(x1 * x2, -1) / sqrt(squares)
    losses = where(y == 1, 1 - cosine, 0.0) + where(y == -1, hinge(cosine - margin), 0.0)
    return reduced(signed(losses, y), reduction)


def score_rows(op, input):
    """Scores (N, K) as they are, (K,) or a single number as one row; and whether there was a batch axis."""
    (x,) = operands(op, input=input).values()
    if x.ndim > 2 or x.shape[-1:] == (0,):
        raise ValueError(f"{op}: input must be (N, K) or (K,) with at least one class, got shape {x.shape}.")
    return (x, True) if x.ndim == 2 else (x.reshape((1, -1)), False)


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, *, reduction="mean"):
    """The multi-class support vector machine: the right score should beat every other by a margin
    (torch.nn.functional.multi_margin_loss).

    loss = sum over k != y of max(0, margin - x_y + x_k)^p / K, times weight[y].
    Shapes: input (N, K) or (K,), scores; target (N,) or (), class indices 0..K-1; weight (K,)
            -> () or, with reduction='none', (N,).
    p: 1 or 2; reduction 'mean' divides by N, with weights as well.
    Raises ValueError for labels outside 0..K-1, shapes that do not match and other p, TypeError for labels not integers.

    Source: Weston and Watkins 1999, Support vector machines for multi-class pattern recognition.

    >>> from tinyvision import Tensor
    >>> multi_margin_loss(Tensor([[3.0, 2.5, 0.0]]), [0])                   # (0.5 + 0) / 3
    Tensor(0.16666667)
    """
    op = "multi_margin_loss"
    check_reduction(op, reduction)
    if p not in (1, 2):
        raise ValueError(f"{op}: p must be 1 or 2, got {p}.")
    x, batch = score_rows(op, input)
    weight = class_weights(op, weight, x)
    xp = array_module(raw(x))
    target = beside(op, target, x)
    labels = class_labels(op, x, target if batch or target.size != 1 else target.reshape(1), None)
    labels, left_out = set_apart(labels, x, None)
    lead = relu(margin - take_along_axis(x, labels[:, None], 1) + x)              # (N, K)
    terms = where(labels[:, None] == xp.arange(x.shape[1]), 0.0, lead if p == 1 else lead * lead)
    losses = sum(terms, 1) / x.shape[1]
    losses = without(left_out, losses if weight is None else losses * getitem(weight, labels))
    return reduced(losses if batch else losses[0], reduction)


def multilabel_margin_loss(input, target, *, reduction="mean"):
    """Every right score should beat every wrong one by 1 (torch.nn.functional.multilabel_margin_loss).

    loss = sum over right j and wrong k of max(0, 1 - x_j + x_k) / K.
    Shapes: input (N, K) or (K,), scores; target of the same shape, the indices of the right classes, then -1
            -> () or, with reduction='none', (N,).
    Raises ValueError for labels outside 0..K-1 and shapes that differ, TypeError for labels that are not integers.

    >>> from tinyvision import Tensor
    >>> multilabel_margin_loss(Tensor([[3.0, 2.5, 0.0]]), [[0, -1, -1]])    # (0.5 + 0) / 3
    Tensor(0.16666667)
    """
    op = "multilabel_margin_loss"
    check_reduction(op, reduction)
    x, batch = score_rows(op, input)
    xp = array_module(raw(x))
    target = beside(op, target, x)
    check_same_shape(op, input=input, target=target)
    labels = check_labels(op, target, x.shape[1], ignore_index=-1).reshape(x.shape)
    listed = (labels < 0).cumsum(axis=1) == 0                             # (N, K): up to the first -1
    wrong = misplaced(labels, x.shape[1], -1) if on_device(labels) else None
    labels = xp.where(listed if wrong is None else listed & ~wrong, labels, 0)
    right = ((labels[:, :, None] == xp.arange(x.shape[1])) & listed[:, :, None]).any(axis=1)  # (N, K)
    chosen = take_along_axis(x, labels, 1)                                # (N, K), valid where listed
    leads = relu(1 - chosen[:, :, None] + x[:, None, :])                  # (N, K right, K wrong)
    losses = sum(where(listed[:, :, None] & ~right[:, None, :], leads, 0.0), (1, 2)) / x.shape[1]
    losses = losses if wrong is None else where(wrong.any(axis=1), nan, losses)
    return reduced(losses if batch else losses[0], reduction)
