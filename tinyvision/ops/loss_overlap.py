"""dice_loss: how much of a predicted region and the true one does not overlap.

Twice the intersection of two sets over the sum of their sizes is Dice's coefficient, 0 for disjoint and 1 for equal sets.
With probabilities p_i in place of membership, and masks g_i in {0, 1}, it can be differentiated (Milletari et al. 2016):

    D = 2 I / S                         I = sum_i p_i g_i,     S = sum_i p_i^2 + sum_i g_i^2

Its derivative is printed there without proof.  Since dI/dp_j = g_j and dS/dp_j = 2 p_j, the quotient rule gives

    dD/dp_j = 2 (dI/dp_j S - I dS/dp_j) / S^2 = 2 [ g_j (sum p^2 + sum g^2) - 2 p_j sum p g ] / (sum p^2 + sum g^2)^2

The other common form leaves the squares out: S = sum_i p_i + sum_i g_i, which is the same for hard masks (p^2 = p), and

    dD/dp_j = 2 (g_j S - I) / S^2

pushes every pixel outside of the mask (g_j = 0) down alike, where the squares push p_j in proportion to its size.

A smoothing term e > 0 above and below the line, D = (2 I + e) / (S + e), softens the score of small regions and gives two
empty masks D = 1.  Without it they would be 0/0, and get the limit of e -> 0, the same 1.

Why not cross entropy alone: a background of 99 % of all pixels is 99 % of that loss.  Dice's ratio does not know the
background: pixels with p = g = 0 enter neither I nor S.

Source: Milletari, Navab and Ahmadi 2016, V-Net, arXiv:1606.04797, section 3 (which maximises D).
"""

from ..tensor import raw
from .arithmetic import where
from .broadcast import sum
from .loss import alike, check_reduction, check_values, reduced


def dice_loss(input, target, *, squared=True, axis=None, smooth=0.0, reduction="mean"):
    """1 - D, where D = (2 sum p g + smooth) / (sum p^2 + sum g^2 + smooth) measures overlap of a prediction and a mask.

    Shapes: input p (*), probabilities; target g (*), 0, 1 or a probability -> (); with reduction='none' the axes are left
            over which was not summed.
    squared: False for D = (2 sum p g + smooth) / (sum p + sum g + smooth).
    axis: the axes that make up one region; None is all of them, (2, 3) scores every class of every picture (N, K, H, W) on
    its own, and `reduction` takes the mean of these scores.  smooth: >= 0; two empty masks have D = 1.
    Raises ValueError for values outside [0, 1], shapes that differ, or smooth < 0.

    Source: Milletari, Navab and Ahmadi 2016, V-Net, arXiv:1606.04797, section 3.

    >>> from tinyvision import Tensor
    >>> dice_loss(Tensor([1.0, 1.0, 0.0, 0.0]), [1, 0, 1, 0])               # D = 2 * 1 / (2 + 2)
    Tensor(0.5)
    """
    check_reduction("dice_loss", reduction)
    p, g = alike("dice_loss", input=input, target=target)
    p = check_values("dice_loss", "input", p, 0, 1, "Scores need a sigmoid or softmax first.")
    g = check_values("dice_loss", "target", g, 0, 1, "Divide masks of 0..255 by 255; class indices need one_hot.")
    if not smooth >= 0:
        raise ValueError(f"dice_loss: smooth must be at least 0, got {smooth}.")
    sizes = sum(p * p, axis) + sum(g * g, axis) if squared else sum(p, axis) + sum(g, axis)
    top, bottom = 2 * sum(p * g, axis) + smooth, sizes + smooth
    empty = raw(bottom) == 0
    score = where(empty, 1.0, top / where(empty, 1.0, bottom))
    return reduced(1 - score, reduction)
