"""cosine_similarity and pairwise_distance: how alike two vectors are.

    cosine similarity    cos = <x1, x2> / (|x1| |x2|)               in [-1, 1], blind to length
    p-distance           d   = (sum_i |x1_i - x2_i|^p)^(1/p)        p = 2 is Euclid's, p = 1 the city block's

Both are compositions.  Two places need care, as x^(1/2) has an infinite slope at 0.  The similarity replaces norms below eps
by eps, a constant; the distance of a point to itself gets slope 0, one of its subgradients.

Source: torch.nn.functional.cosine_similarity, pairwise_distance.
"""

from .broadcast import broadcast_to, sum
from .elementwise import clip, sqrt
from .loss import operands
from .reduce import norm
from .shapes import check_broadcast


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """The cosine of the angle between vectors (torch.nn.functional.cosine_similarity).

    Shapes: x1 and x2 (*) broadcast to one shape -> that shape without axis `dim`, along which the vectors lie.
    eps: shorter vectors count as this long, so that a zero vector has similarity 0.
    Raises ValueError for shapes that do not broadcast, TypeError for dtypes that differ.

    >>> from tinyvision import Tensor
    >>> cosine_similarity(Tensor([[3.0, 4.0]]), Tensor([[30.0, 40.0]]))
    Tensor([1.])
    """
    x1, x2 = operands("cosine_similarity", x1=x1, x2=x2).values()
    shape = check_broadcast("cosine_similarity", x1=x1, x2=x2)
    if not -len(shape) <= dim < (len(shape) or 1):
        raise ValueError(f"cosine_similarity: dim must name an axis of the shape {shape}, got {dim}. "
                         "Single vectors have dim=0.")
    x1, x2 = broadcast_to(x1, shape), broadcast_to(x2, shape)
    return sum(x1 * x2, dim) / (length(x1, dim, eps) * length(x2, dim, eps))


def length(x, dim, eps):
    """|x|, at least eps (where it is eps, a constant)."""
    return sqrt(clip(sum(x * x, dim), eps * eps, None))


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """The p-norm of x1 - x2 + eps along the last axis (torch.nn.functional.pairwise_distance).

    Shapes: x1 (*, D), x2 (*, D), axes in front broadcast -> (*), or (*, 1) with keepdim.
    p: any number; inf is the largest difference, 0 counts those that are not zero.
    eps: added to every difference, which keeps the slope finite where x1 = x2.
    Raises ValueError when the last axes differ, TypeError for dtypes that differ.

    >>> from tinyvision import Tensor
    >>> pairwise_distance(Tensor([[0.0, 0.0]]), Tensor([[3.0, 4.0]]))
    Tensor([4.9999986])
    """
    x1, x2 = operands("pairwise_distance", x1=x1, x2=x2).values()
    check_broadcast("pairwise_distance", x1=x1, x2=x2)
    if x1.ndim == 0 or x2.ndim == 0 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"pairwise_distance: x1 and x2 must hold vectors of one size, the last axis, got shapes {x1.shape} "
                         f"and {x2.shape}. Vectors lie along the last axis: move it there with moveaxis.")
    return norm(x1 - x2 + eps, p, -1, keepdim)
