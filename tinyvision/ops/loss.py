"""What all losses share: their arguments are checked alike, and their elements are reduced alike.

A loss compares a prediction with a target, element by element, and `reduction` says what becomes of the elements:

    'none'   one loss per element          'sum'   added up          'mean'   averaged (the default)

With 'mean' the size of a gradient does not depend on the size of the batch, hence neither does the learning rate.

Targets and weights are floats of the input's dtype; integers, booleans and lists are converted.  Shapes must be equal: an
(N, 1) prediction and an (N,) target would broadcast to (N, N), every picture compared with every other, and still train.

Losses by file: loss_classes (cross entropy), loss_binary (its two-class form, focal), loss_overlap (Dice), loss_regression,
loss_likelihood (Kullback-Leibler, Poisson, Gauss), loss_margin (margins between scores and between embeddings).
"""

from math import nan

from ..backend import array_module, is_array, on_device, same_device
from ..tensor import raw
from .arithmetic import where
from .broadcast import sum
from .reduce import mean
from .shapes import check_choice, check_float, check_same_shape

REDUCTIONS = ("none", "mean", "sum")


def as_floats(x, like):
    """A list, a number, integers or booleans as an array of `like`'s dtype; floats and None stay as they are."""
    array = raw(x)
    if is_array(array):
        return x if array.dtype.kind not in "iub" else array.astype(like.dtype)
    return x if array is None else array_module(raw(like)).asarray(array, dtype=like.dtype)


def beside(op, target, input):
    """A target as an array, compared with the input and never multiplied: an array on its device, or a list."""
    target, x = raw(target), raw(input)
    if not is_array(target):
        return array_module(x).asarray(target)
    if type(target) is not type(x):
        same_device(op, (x, target))
    return target


def operands(op, **arrays):
    """The arguments by name as floats of one dtype; the first is the input, the others may be lists or integers."""
    (first, x), *others = arrays.items()
    check_float(op, **{first: x})
    floats = {first: x} | {name: as_floats(y, x) for name, y in others}
    check_float(op, **floats)
    return floats


def check_reduction(op, reduction, choices=REDUCTIONS):
    """One of the three words."""
    check_choice(op, "reduction", reduction, choices)


def alike(op, **arrays):
    """The arguments as floats of one dtype and one shape, in a list."""
    floats = operands(op, **arrays)
    check_same_shape(op, **floats)
    return list(floats.values())


def weighted(op, losses, name, weight):
    """Losses times weights that may broadcast to their shape, but must not enlarge it; None stands for ones."""
    if weight is None:
        return losses
    weight = operands(op, losses=losses, **{name: weight})[name]
    fits = weight.ndim <= losses.ndim and all(m in (1, n) for m, n in zip(weight.shape[::-1], losses.shape[::-1]))
    if not fits:
        raise ValueError(f"{op}: {name} must broadcast to the input's shape {losses.shape}, got {weight.shape}. "
                         "Reshape it so that its sizes, counted from the last axis, are 1 or those of the input.")
    return losses * weight


def check_values(op, name, x, low, high, hint):
    """x, whose values must lie in [low, high]; anything outside, or not a number, is refused.

    On a GPU nobody looks, for the host would have to wait in every step: there what is outside becomes not a number, and with
    it the loss.
    """
    values = raw(x)
    if on_device(values):
        return where((values >= low) & (values <= high), x, nan)
    if values.size and not (values.min() >= low and values.max() <= high):
        wrong = values[~((values >= low) & (values <= high))]
        raise ValueError(f"{op}: {name} must lie in [{low}, {high}], got {float(wrong[0]):g}. {hint}")
    return x


def check_signs(op, target):
    """Targets 1 and -1: a 0 comes from labels 0 and 1, and would be passed over in silence.  For a GPU see `signed`."""
    target = raw(target)
    if not on_device(target) and (target == 0).any():
        raise ValueError(f"{op}: target must be 1 or -1, got 0. For labels 0 and 1 use 2 * target - 1.")


def signed(losses, target):
    """The losses, on a GPU not a number where the target is 0: check_signs does not look there."""
    target = raw(target)
    return where(target == 0, nan, losses) if on_device(target) else losses


def reduced(loss, reduction):
    """The losses as they are, their sum or their mean; the mean of no losses is not a number."""
    return loss if reduction == "none" else mean(loss) if reduction == "mean" else sum(loss)


def ratio(top, bottom):
    """top / bottom, and not a number (rather than a warning) where a single bottom is 0: the mean over nothing."""
    if on_device(raw(bottom)):
        return top / where(raw(bottom) == 0, nan, bottom)
    return top / bottom if raw(bottom) != 0 else top * nan
