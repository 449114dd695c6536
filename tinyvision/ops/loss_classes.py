"""cross_entropy and nll_loss: how improbable a classifier finds the right class.

Scores ("logits") x of K classes become probabilities by softmax, and the loss of a picture with label y is minus the logarithm
of the probability that was given to its class: the smaller, the more likely the labels (maximum likelihood, Bridle 1990).

    p_k = exp(x_k) / sum_j exp(x_j)          L = -log p_y = log sum_j exp(x_j) - x_y

The derivative of log sum_j exp(x_j) with respect to x_k is exp(x_k) / sum_j exp(x_j) = p_k, that of x_y is 1 for k = y, so

    dL/dx_k = p_k - [k = y]                  prediction minus truth: no factor that vanishes where the softmax saturates

More generally, the cross entropy with a target distribution q is -sum_k q_k log p_k, and its gradient (sum_k q_k) p - q.
A label is the q that is 1 in one place.  Label smoothing by s is q = (1 - s) [k = y] + s/K: the network need not drive the
other scores to minus infinity (Szegedy et al. 2016, section 7).

With class weights w the losses are w_y L, and their mean is a weighted one, divided by the sum of the w_y.  Labels equal to
ignore_index count neither above nor below the line; a mean over no labels is not a number.

    CrossEntropyOp       (N, K, *S) and labels (N, *S) -> (N, *S)  gx = g (p - onehot)       (N, K, *S)
    MeanCrossEntropyOp   (N, K, *S) and labels (N, *S) -> ()       the same, divided by the number of labels that count

Nothing overflows: L = log sum_j exp(x_j - m) - (x_y - m) with m = max x, which cancels and so needs no gradient.

Sources: Bridle 1990, Probabilistic interpretation of feedforward classification network outputs; Bishop 2006, Pattern
Recognition and Machine Learning, equations 4.108 and 4.109; Szegedy et al. 2016, arXiv:1512.00567.
"""

from math import nan, prod

from ..backend import array_module, on_device
from ..kernels import softmax as kernel
from ..tensor import Op, Tensor, raw
from .arithmetic import where
from .broadcast import sum
from .index import AddAlongAxisOp, getitem, take_along_axis
from .loss import alike, as_floats, beside, check_reduction, ratio, reduced
from .movement import expand_dims
from .shapes import check_float, check_labels, misplaced
from .softmax import SoftmaxOp, log_softmax


class CrossEntropyOp(Op):
    """(N, K, *S) -> (N, *S): -log softmax(x) at the labels"""

    def __init__(self, labels):
        self.labels = labels                                              # (N, *S)

    def forward(self, x):
        losses, self.top, self.total = kernel.cross_entropy(x, self.labels)
        return losses

    def backward(self, g, x):
        if not isinstance(x, Tensor):
            return kernel.cross_entropy_grad(g, x, self.labels, self.top, self.total)
        g = expand_dims(g, 1)                                             # (N, 1, *S)
        return g * SoftmaxOp(1)(x) - AddAlongAxisOp(self.labels[:, None], 1, x.shape)(g)


class MeanCrossEntropyOp(Op):
    """(N, K, *S) -> (): the mean of -log softmax(x) at the labels that are not `ignored`"""

    def __init__(self, labels, ignored):
        self.labels, self.ignored = labels, ignored                       # (N, *S)

    def forward(self, x):
        mean, self.count, self.top, self.total = kernel.mean_cross_entropy(x, self.labels, self.ignored)
        return mean

    def backward(self, g, x):
        if not isinstance(x, Tensor):
            return kernel.mean_cross_entropy_grad(g, x, self.labels, self.ignored, self.count, self.top, self.total)
        mask = misplaced(self.labels, classes(x)) | (self.labels == self.ignored)
        labels = where(mask, 0, self.labels)
        g = expand_dims(where(mask, 0.0, ratio(g, self.count)), 1)        # (N, 1, *S)
        return g * SoftmaxOp(1)(x) - AddAlongAxisOp(labels[:, None], 1, x.shape)(g)


def classes(input):
    """K, the number of classes of scores (N, K, *S) or (K,)."""
    return input.shape[1] if input.ndim > 1 else input.shape[0]


def with_batch(op, input):
    """Scores (N, K, *S), or (K,) with a batch axis put in front."""
    check_float(op, input=input)
    if input.ndim == 0 or classes(input) == 0:
        raise ValueError(f"{op}: input must be (N, K, ...) or (K,) with at least one class, got shape {input.shape}.")
    return input if input.ndim > 1 else input.reshape((1, -1))


def class_labels(op, input, target, ignore_index):
    """Labels (N, *S), on the CPU checked to be classes, or ignore_index."""
    labels, expected = beside(op, target, input), input.shape[:1] + input.shape[2:] if input.ndim > 1 else ()
    if labels.shape != expected:
        if labels.shape == input.shape:
            hint = "For one-hot rows use target.argmax(axis=1), or probabilities as floats: target.astype('float32')."
        elif labels.size == prod(expected):
            hint = f"Use target.reshape({expected})."
        else:
            hint = "One label per picture (or pixel); only probabilities have the class axis as well."
        raise ValueError(f"{op}: target must hold one class index per prediction, shape {expected} for input {input.shape}, "
                         f"got {labels.shape}. {hint}")
    labels = check_labels(op, labels, classes(input), ignore_index)
    return labels.reshape(expected or (1,))


def set_apart(labels, input, ignore_index):
    """Labels that are safe to index with, and what `without` needs to leave some out, None where all count."""
    ignored = labels == ignore_index
    xp = array_module(labels)
    if on_device(labels):                                 # nothing is read back: labels outside get a loss that is no number
        mask = misplaced(labels, classes(input))
        if ignore_index is not None and ignore_index >= 0:
            mask |= ignored
        return xp.where(mask, 0, labels), (mask, xp.where(ignored, input.dtype.type(0), input.dtype.type(nan)))
    return (xp.where(ignored, 0, labels), (ignored, 0.0)) if ignored.any() else (labels, None)


def without(left_out, losses):
    """Losses with another value where labels do not count; not times 0, for an ignored loss may be infinite."""
    return losses if left_out is None else where(left_out[0], left_out[1], losses)


def class_weights(op, weight, x):
    """One weight per class, of the dtype of the scores x, or None."""
    weight = as_floats(weight, x)
    check_float(op, input=x, weight=weight)
    if weight is not None and weight.shape != (x.shape[1],):
        raise ValueError(f"{op}: weight must hold one value per class, shape ({x.shape[1]},), got {weight.shape}.")
    return weight


def per_class(weight, ndim):
    """Class weights (K,) as (1, K, 1, ...), to multiply to scores."""
    return weight.reshape((1, -1) + (1,) * (ndim - 2))


def averaged(losses, importance, left_out, reduction, batch):
    """Reduce losses (N, *S), already weighted; importance holds the weights of their labels, None for ones."""
    losses = without(left_out, losses)
    if reduction != "mean":
        return reduced(losses if batch else losses[0], reduction)
    if importance is not None:
        total = sum(importance if left_out is None else where(left_out[0], 0.0, importance))
    elif left_out is None:
        total = losses.size
    else:
        total = (~left_out[0]).sum(dtype=losses.dtype)
        if on_device(total):
            return sum(losses) / total                    # over nothing 0 / 0, of which a GPU does not warn
    return ratio(sum(losses), total)


def cross_entropy(input, target, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """The negative log of the softmax probability of the right class (torch.nn.functional.cross_entropy).

    Shapes: input (N, K, *S) or (K,), scores that are not yet softmaxed; target (N, *S) or (), class indices 0..K-1, or
            probabilities of input's shape; weight (K,) -> () or, with reduction='none', (N, *S).
    ignore_index: targets of this value have loss 0 and do not count in the mean (class indices only).
    label_smoothing: probability in [0, 1] that is taken from the label and shared by all K classes.
    reduction: 'none', 'sum', or 'mean', which divides by the number of labels or, with weights, by the sum of theirs.
    Raises ValueError for labels outside 0..K-1 and shapes that do not match, TypeError for labels that are not integers.

    >>> from tinyvision import Tensor
    >>> cross_entropy(Tensor([[0.0, 0.0], [99.0, 0.0]]), [1, 0], reduction="none")
    Tensor([0.6931472, 0.       ])
    """
    op = "cross_entropy"
    check_reduction(op, reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{op}: label_smoothing must be a probability in [0, 1], got {label_smoothing}.")
    x, batch = with_batch(op, input), input.ndim > 1
    weight = None if weight is None else class_weights(op, weight, x)
    if is_distribution(target, input):
        return soft_cross_entropy(x, target, weight, ignore_index, reduction, label_smoothing, batch)
    labels = class_labels(op, input, target, ignore_index)
    if reduction == "mean" and weight is None and label_smoothing == 0 and labels.size:
        return MeanCrossEntropyOp(labels, ignore_index)(x)
    labels, left_out = set_apart(labels, input, ignore_index)
    importance = None if weight is None else getitem(weight, labels)
    if label_smoothing == 0:
        losses = CrossEntropyOp(labels)(x)
        losses = losses if weight is None else losses * importance
    else:
        logp = log_softmax(x, 1)
        everywhere = -sum(logp if weight is None else logp * per_class(weight, x.ndim), 1)
        losses = (1 - label_smoothing) * picked(logp, labels, importance) + label_smoothing / x.shape[1] * everywhere
    return averaged(losses, importance, left_out, reduction, batch)


def is_distribution(target, input):
    """Whether the target holds a probability for every score, rather than labels."""
    array = raw(target)
    array = array if hasattr(array, "dtype") else array_module(raw(input)).asarray(array)
    return array.dtype.kind == "f" and array.shape == input.shape


def soft_cross_entropy(x, q, weight, ignore_index, reduction, smoothing, batch):
    """-sum_k w_k q_k log p_k for probabilities q as targets."""
    if ignore_index >= 0:
        raise ValueError(f"cross_entropy: ignore_index={ignore_index} needs class indices as target, got probabilities. "
                         "Pass target.argmax(axis=1), or leave ignore_index out.")
    x, q = alike("cross_entropy", input=x, target=as_floats(q, x).reshape(x.shape))
    q = q if smoothing == 0 else (1 - smoothing) * q + smoothing / x.shape[1]
    q = q if weight is None else q * per_class(weight, x.ndim)
    return averaged(-sum(log_softmax(x, 1) * q, 1), None, None, reduction, batch)


def picked(logp, labels, importance):
    """-log p at the labels, weighted: (N, K, *S) -> (N, *S)."""
    losses = -take_along_axis(logp, labels[:, None], 1).reshape(labels.shape)
    return losses if importance is None else losses * importance


def nll_loss(input, target, weight=None, *, ignore_index=-100, reduction="mean"):
    """The negative of the log-probability of the right class (torch.nn.functional.nll_loss).

    cross_entropy(x, y) is nll_loss(log_softmax(x, 1), y), in fewer steps.
    Shapes: input (N, K, *S) or (K,), log-probabilities; target (N, *S) or (), class indices 0..K-1; weight (K,)
            -> () or, with reduction='none', (N, *S).
    ignore_index, reduction: as in cross_entropy.
    Raises ValueError and TypeError as cross_entropy does.

    >>> from tinyvision import Tensor
    >>> nll_loss(Tensor([[-1.0, -2.0], [-3.0, -4.0]]), [0, 1])
    Tensor(2.5)
    """
    check_reduction("nll_loss", reduction)
    logp = with_batch("nll_loss", input)
    weight = class_weights("nll_loss", weight, logp)
    labels, left_out = set_apart(class_labels("nll_loss", input, target, ignore_index), input, ignore_index)
    importance = None if weight is None else getitem(weight, labels)
    return averaged(picked(logp, labels, importance), importance, left_out, reduction, input.ndim > 1)
