"""The letters of all shapes, and the checks of arguments, in one voice.

    N pictures in a batch     C channels of the input     H, W    height and width of the input (D depth in 3-D)
    G groups                  O channels of the output    OH, OW  height and width of the output
    K classes, or a kernel's size along an axis           KH, KW  height and width of the kernel
    *S, *K, *O                all spatial axes of input, kernel and output, whether 1, 2 or 3
    (*)                       any axes

A message says: the operation, the rule, the values by name, and what to do.  Wrong shapes and ranges are ValueErrors, wrong
types TypeErrors; both come before anything is computed or changed.
"""

import numpy as np

from ..backend import array_module, on_device
from ..tensor import raw

AXES = {1: ("W",), 2: ("H", "W"), 3: ("D", "H", "W")}
FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")

# These run in every forward pass: each lets through at once what is plainly right, and looks for the words only otherwise.


def as_tuple(op, name, value, n, least=None):
    """An integer for all n spatial axes, or one for each, as a tuple; `least` is the smallest allowed."""
    if type(value) is int and (least is None or value >= least):
        return (value,) * n
    if type(value) is tuple and len(value) == n and all([type(v) is int and (least is None or v >= least) for v in value]):
        return value
    items = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    items = items * n if len(items) == 1 else items
    several = "" if n == 1 else f" or {n} (one per spatial axis)"
    if any(isinstance(v, bool) or not hasattr(v, "__index__") for v in items):
        raise TypeError(f"{op}: {name} must be an integer{several}, got {value!r}.")
    if len(items) != n:
        raise ValueError(f"{op}: {name} must be one integer{several}, got {value!r}.")
    if least is not None and min(items) < least:
        raise ValueError(f"{op}: {name} must be at least {least}, got {value!r}.")
    return tuple(int(v) for v in items)


def check_array(op, **arrays):
    """Arguments that must be Tensors or arrays."""
    for name, x in arrays.items():
        if not isinstance(getattr(x, "dtype", None), np.dtype):           # PyTorch's tensors have a dtype of another kind
            hint = "Does a forward() lack its return?" if x is None else f"Use Tensor({name})."
            raise TypeError(f"{op}: {name} must be a Tensor or an array, got {type(x).__name__}. {hint}")


def check_float(op, **arrays):
    """Arguments that are multiplied and added: floating point, all of one dtype; None is skipped, but not as an input."""
    found = None
    for name, x in arrays.items():
        if x is not None:
            dtype = getattr(x, "dtype", None)
            if not (dtype is FLOAT32 or dtype is FLOAT64) or (found is not None and dtype is not found):
                break
            found = dtype
        elif name.startswith("input"):
            break
    else:
        return
    given = {name: x for name, x in arrays.items() if x is not None or name.startswith("input")}
    check_array(op, **given)
    for name, x in given.items():
        if x.dtype.kind != "f":
            raise TypeError(f"{op}: {name} must be floating point, got {x.dtype}. Use {name}.astype('float32').")
    dtypes = {x.dtype for x in given.values()}
    if len(dtypes) > 1:
        listed = ", ".join(f"{name} {x.dtype}" for name, x in given.items())
        raise TypeError(f"{op}: all arguments must have one dtype, got {listed}. Convert with astype; networks use float32.")


def batched(op, input, n):
    """input (N, C, *S) with n spatial axes as it is, (C, *S) with a batch axis put in front; and whether it had one.

    Call it first, and take the axis away at the end: `y if batch else y[0]`.
    """
    check_array(op, input=input)
    if input.ndim == n + 2:
        return input, True
    if input.ndim == n + 1:
        return input.reshape((1, *input.shape)), False
    full, single = ", ".join(("N", "C") + AXES[n]), ", ".join(("C",) + AXES[n])
    hint = ("Add the missing axes: x[None, None]." if input.ndim == n else
            "Add a channel axis with x[:, None] or a batch axis with x[None]." if input.ndim < n + 1 else "Remove an axis.")
    raise ValueError(f"{op}: input must be ({full}), or ({single}) for a single one, got shape {input.shape}. {hint}")


def check_pixels(op, input, first=1):
    """Axes from `first` on (1: channels and pixels, 2: pixels only) must not be empty; an empty batch is fine."""
    if 0 in input.shape[first:]:
        what = "channel and pixel" if first == 1 else "pixel"
        raise ValueError(f"{op}: input must have at least one {what} (only the batch may be empty), got shape {input.shape}. "
                         "Check how the data were sliced.")


def check_fits(op, window, sizes, ceil_mode=False):
    """How many positions a window has along each axis of an image, at least one."""
    out = window.output(sizes, ceil_mode)
    if min(out) < 1:
        raise ValueError(f"{op}: the kernel must fit into the padded image, got kernel_size {window.size} (spanning "
                         f"{window.span} with dilation {window.dilation}) and image {tuple(sizes)}, {window.padded(sizes)} "
                         "with padding. Use a smaller kernel or a larger image, or more padding.")
    return out


def check_broadcast(op, **arrays):
    """The shape to which two arguments broadcast: sizes, counted from the last axis, are equal or one of them is 1."""
    (first, x), (second, y) = arrays.items()
    try:
        return np.broadcast_shapes(x.shape, y.shape)
    except ValueError as error:
        raise ValueError(f"{op}: {first} and {second} must broadcast to one shape, got {x.shape} and {y.shape}. "
                         "Sizes, counted from the last axis, must be equal or 1.") from error


def check_same_shape(op, **arrays):
    """Arguments that are compared element by element."""
    (first, x), *others = arrays.items()
    for name, y in others:
        if x.shape != y.shape:
            raise ValueError(f"{op}: {first} and {name} must have one shape, got {x.shape} and {y.shape}. Reshape one of them; "
                             "broadcasting here would hide a mistake.")


def check_choice(op, name, value, choices):
    """One of a few words."""
    if value not in choices:
        raise ValueError(f"{op}: {name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def check_dim(op, dim, input):
    """One axis of the input, counted from the front; a single number counts as having one axis, as in PyTorch."""
    check_array(op, input=input)
    n = max(input.ndim, 1)
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"{op}: dim must be an integer, the number of an axis, got {dim!r}.")
    if not -n <= dim < n:
        raise ValueError(f"{op}: dim must lie in [{-n}, {n - 1}] for input {input.shape}, got {dim}.")
    return int(dim) % n


def misplaced(labels, classes, ignore_index=None):
    """Which labels are neither 0..classes-1 nor ignore_index: on a GPU these get a loss that is not a number."""
    outside = labels.view("uint64") >= classes            # int64; without its sign a negative number is too large as well
    return outside if ignore_index is None else outside & (labels != ignore_index)


def check_labels(op, target, classes, ignore_index=None):
    """Class labels as an int64 array: integers in 0..classes-1, or ignore_index.

    On a GPU nobody looks at their values, for the host would have to wait in every step: see `misplaced`.
    """
    labels = raw(target)
    labels = array_module(labels).asarray(labels)
    if labels.dtype.kind not in "iu" and labels.size:
        raise TypeError(f"{op}: target must hold class indices as integers, got {labels.dtype}. Use target.astype('int64').")
    labels = labels.astype("int64")                       # a copy: whoever fills these labels anew does not change the gradient
    if on_device(labels) or not np.count_nonzero(misplaced(labels, classes)):
        return labels
    outside = misplaced(labels, classes, ignore_index)
    if outside.any():
        ignored = "" if ignore_index is None else f" (or ignore_index {ignore_index})"
        raise ValueError(f"{op}: target must lie in 0..{classes - 1} for {classes} classes{ignored}, got "
                         f"{int(labels[outside][0])}. Count classes from 0, and give the last layer as many outputs as there are classes.")
    return labels
