"""What all measures share: how their arguments become arrays, and what is refused.

Predictions come first and targets second, as in `criterion(logits, labels)`.  Both may be arrays, Tensors or lists; nothing is
differentiated here.  What cannot be meant is refused rather than averaged away: a score that is not a number, a label outside
the classes, logits where probabilities belong.
"""

import numbers

import numpy as np

from ..ops.device import on_host

NO_DATA = "Check the data set, and that update was called."


def array(op, name, x):
    """An array, Tensor or list as a NumPy array of numbers or booleans."""
    try:
        x = np.asarray(on_host(x))
    except ValueError as error:
        raise ValueError(f"{op}: {name} must be numbers in rows of one length: {error}. Pass one array.") from error
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{op}: {name} must be numbers or booleans, got dtype {x.dtype}. Give classes as their indices.")
    return x


def same_shape(op, **arrays):
    """Refuse two arrays of different shapes."""
    (first, x), (second, y) = arrays.items()
    if x.shape != y.shape:
        raise ValueError(f"{op}: {first} and {second} must have one shape, got {x.shape} and {y.shape}. "
                         "Pass one prediction for each target.")


def not_empty(op, n, what="example"):
    """Refuse to divide by nothing."""
    if n == 0:
        raise ValueError(f"{op}: needs at least 1 {what}, got 0. {NO_DATA}")


def finite(op, name, x):
    """Scores as floats; infinite ones and those that are not numbers are refused."""
    x = array(op, name, x)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError(f"{op}: {name} must be finite, got {x[~np.isfinite(x)][0]}. Look for a loss that diverged or a "
                         "division by 0 before this.")
    return x


def probabilities(op, name, x, remedy="sigmoid"):
    """Numbers from 0 to 1; others are likely logits."""
    x = array(op, name, x)
    wrong = x[~((x >= 0) & (x <= 1))]
    if wrong.size:
        raise ValueError(f"{op}: {name} must be probabilities from 0 to 1, got {float(wrong.flat[0]):g}. These look like "
                         f"logits: pass functional.{remedy} of them." if not np.isnan(wrong.flat[0]) else
                         f"{op}: {name} must be probabilities from 0 to 1, got nan. Look for a division by 0 before this.")
    return x


def distributions(op, name, x):
    """Rows of probabilities (N, K) that each add up to 1."""
    x = probabilities(op, name, x, "softmax")
    if x.ndim != 2:
        raise ValueError(f"{op}: {name} must have shape (N, K), got {x.shape}. Pass one row of K probabilities per example.")
    sums = x.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(abs(sums - 1) > 1e-3)
    if wrong.size:
        raise ValueError(f"{op}: each row of {name} must add up to 1, row {wrong[0]} adds up to {sums[wrong[0]]:.4g}. Pass "
                         "functional.softmax of the logits.")
    return x


def indices(op, name, x, classes=None, what="class indices"):
    """Class indices as int64, 0..classes-1 where classes is given; booleans count as 0 and 1.  what: their name in messages."""
    x = array(op, name, x)
    if x.size and x.dtype.kind == "f":
        hint = ", or scores with an axis of classes" if what == "class indices" else ""
        raise TypeError(f"{op}: {name} must be {what}, integers, got dtype {x.dtype}. Pass {name}.astype('int64'){hint}.")
    x = x.astype(np.int64)
    if x.size and (x.min() < 0 or (classes is not None and x.max() >= classes)):
        wrong = x[(x < 0) | (x >= (np.inf if classes is None else classes))].flat[0]
        rule = "0 or more" if classes is None else f"0..{classes - 1}"
        hint = " Count classes from 0, and name an index that marks nothing with ignore_index." if what == "class indices" else ""
        raise ValueError(f"{op}: {name} must be {what} {rule}, got {wrong}.{hint}")
    return x


def binary(op, name, x):
    """Zeros and ones as booleans."""
    x = array(op, name, x)
    wrong = x[(x != 0) & (x != 1)]
    if wrong.size:
        raise ValueError(f"{op}: {name} must be 0 or 1, got {wrong.flat[0]}. For several classes pass scores (N, K).")
    return x.astype(bool)


def class_pairs(op, predictions, targets, classes=None, ignore_index=None):
    """Predicted and true class indices, both (M,), of the examples (or pixels) that count; and the number of classes.

    predictions: class indices of the targets' shape (N, ...), or scores (N, K, ...), the largest of which decides.
    """
    targets, predictions = array(op, "targets", targets), array(op, "predictions", predictions)
    if predictions.ndim == targets.ndim + 1 and targets.ndim:
        predictions = finite(op, "predictions", predictions)
        if predictions.shape[:1] + predictions.shape[2:] != targets.shape or predictions.shape[1] == 0:
            raise ValueError(f"{op}: scores must be (N, K, ...) for targets (N, ...), got {predictions.shape} and "
                             f"{targets.shape}. The axis of classes is the second.")
        if classes is not None and predictions.shape[1] != classes:
            raise ValueError(f"{op}: scores must have one entry for each of {classes} classes, got {predictions.shape[1]}. "
                             "Check the network's last layer, or classes.")
        classes, predictions = predictions.shape[1], predictions.argmax(axis=1)
    same_shape(op, predictions=predictions, targets=targets)
    if ignore_index is not None:
        kept = targets != ignore_index
        predictions, targets = predictions[kept], targets[kept]
    predictions, targets = (indices(op, name, x, classes).ravel() for name, x in
                            (("predictions", predictions), ("targets", targets)))
    return predictions, targets, classes


def whole(op, name, value, low=1):
    """A whole number of at least `low`, as an int."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{op}: {name} must be an integer, got {value!r}.")
    if value < low:
        raise ValueError(f"{op}: {name} must be at least {low}, got {value}.")
    return int(value)


def choice(op, name, value, choices):
    """One of several words."""
    if value not in choices:
        raise ValueError(f"{op}: {name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")
