"""reshape, transpose, flip, concatenate, stack, pad with zeros and crop: elements change places, none changes its value.

Each of these is multiplication by a matrix of zeros and ones, y = P x, with at most one 1 in every row and column; the
backward is P^T, which moves each gradient back to where its element came from:

    reshape      P^T = reshape to the old shape           transpose    P^T = transpose by the inverse permutation
    flip         P^T = flip                               concatenate  P^T = split
    zero_pad     P^T = crop, and the other way round: <g, pad x> = <crop g, x>

Source: numpy.reshape, numpy.transpose, numpy.flip, numpy.concatenate.
"""

from math import prod

from numpy import ndarray

from ..backend import array_module
from ..memory import empty
from ..tensor import Op
from .broadcast import axes_of
from .shapes import check_dim


class ReshapeOp(Op):
    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        return x.reshape(self.shape)

    def backward(self, g, x):
        return g.reshape(x.shape)


class TransposeOp(Op):
    def __init__(self, axes):
        self.axes = axes

    def forward(self, x):
        return x.transpose(self.axes)

    def backward(self, g, x):
        n = len(self.axes)
        return g.transpose(tuple(sorted(range(n), key=lambda i: self.axes[i] % n)))           # the inverse permutation


class FlipOp(Op):
    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        return array_module(x).flip(x, self.axis)

    def backward(self, g, x):
        return flip(g, self.axis)


class ConcatenateOp(Op):
    def __init__(self, axis):
        self.axis = axis

    def forward(self, *xs):
        return array_module(xs[0]).concatenate(xs, self.axis)

    def backward(self, g, *xs):
        gxs, start = [], 0
        for x in xs:
            stop = start + x.shape[self.axis]
            where = [slice(None)] * g.ndim
            where[self.axis] = slice(start, stop)
            gxs.append(g[tuple(where)])
            start = stop
        return gxs


class PadOp(Op):
    """widths: a pair (before, after) of pixels >= 0 for every axis; linear but for the constant border."""

    def __init__(self, widths, value=0):
        self.widths, self.value = widths, value

    def forward(self, x):
        sizes = [lo + n + hi for n, (lo, hi) in zip(x.shape, self.widths)]
        y = empty(sizes, x.dtype) if type(x) is ndarray else array_module(x).empty(sizes, x.dtype)
        y[...] = self.value
        y[tuple(slice(lo, lo + n) for n, (lo, _) in zip(x.shape, self.widths))] = x
        return y

    def backward(self, g, x):
        return CropOp(self.widths)(g)


class CropOp(Op):
    def __init__(self, widths):
        self.widths = widths

    def forward(self, x):
        return x[tuple(slice(lo, n - hi) for n, (lo, hi) in zip(x.shape, self.widths))]

    def backward(self, g, x):
        return PadOp(self.widths)(g)


def reshape(x, *shape):
    """x with another shape, in row-major order; one size may be -1 (numpy.reshape).

    >>> from tinyvision import Tensor
    >>> reshape(Tensor([1.0, 2.0, 3.0, 4.0]), 2, -1)
    Tensor([[1., 2.],
            [3., 4.]])
    """
    return ReshapeOp(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)(x)


def ravel(x):
    """All elements in one axis, in row-major order (numpy.ravel)."""
    return x.reshape((-1,))


def transpose(x, *axes):
    """Permute the axes, by default reverse them (numpy.transpose)."""
    axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
    axes = tuple(axes) if axes else tuple(range(x.ndim))[::-1]
    if sorted(a % max(x.ndim, 1) for a in axes) != list(range(x.ndim)):
        raise ValueError(f"transpose: axes must name each of the {x.ndim} axes once, got {axes}.")
    return TransposeOp(axes)(x)


def swapaxes(x, axis1, axis2):
    """Exchange two axes (numpy.swapaxes)."""
    i, j = axes_of((axis1, axis2), x.ndim)
    axes = list(range(x.ndim))
    axes[i], axes[j] = j, i
    return transpose(x, axes)


def moveaxis(x, source, destination):
    """Move one axis to another place (numpy.moveaxis)."""
    start, stop = axes_of((source, destination), x.ndim)
    axes = list(range(x.ndim))
    axes.insert(stop, axes.pop(start))
    return transpose(x, axes)


def squeeze(x, axis=None):
    """Remove axes of size 1, all of them or those named (numpy.squeeze)."""
    axes = axes_of(axis, x.ndim)
    wrong = [a for a in axes if axis is not None and x.shape[a] != 1]
    if wrong:
        raise ValueError(f"squeeze: axis {wrong[0]} must have size 1, got {x.shape[wrong[0]]} in shape {x.shape}.")
    return x.reshape(tuple(n for a, n in enumerate(x.shape) if a not in axes or n != 1))


def expand_dims(x, axis):
    """Insert an axis of size 1 (numpy.expand_dims)."""
    (where,) = axes_of(axis, x.ndim + 1)                  # an axis of the result
    return x.reshape(x.shape[:where] + (1,) + x.shape[where:])


def flatten(x, start_dim=0, end_dim=-1):
    """Join the axes from start_dim to end_dim, both included, to one (torch.flatten).

    Raises ValueError for axes that x does not have, or in the wrong order.

    >>> import numpy as np
    >>> flatten(np.zeros((8, 16, 5, 5)), 1).shape
    (8, 400)
    """
    start, end = check_dim("flatten", start_dim, x), check_dim("flatten", end_dim, x)
    if x.ndim == 0:
        return x.reshape((1,))
    if start > end:
        raise ValueError(f"flatten: start_dim must not come after end_dim, got {start_dim} and {end_dim} for {x.ndim} axes.")
    return x.reshape(x.shape[:start] + (prod(x.shape[start:end + 1]),) + x.shape[end + 1:])


def flip(x, axis=None):
    """Reverse the order along an axis, several, or all (numpy.flip)."""
    return FlipOp(axis)(x)


def concatenate(xs, axis=0):
    """Join arrays along an axis they all have (numpy.concatenate, torch.cat).

    >>> from tinyvision import Tensor
    >>> concatenate([Tensor([1.0]), Tensor([2.0, 3.0])])
    Tensor([1., 2., 3.])
    """
    xs = list(xs)
    if not xs:
        raise ValueError("concatenate: needs at least one array.")
    first = xs[0].shape
    for i, x in enumerate(xs):
        same = len(x.shape) == len(first) and all(m == n or a == axis % len(first)
                                                  for a, (m, n) in enumerate(zip(x.shape, first)))
        if not same:
            raise ValueError(f"concatenate: all sizes but that of axis {axis} must agree, got {first} and, at position {i}, "
                             f"{x.shape}. Crop or resize one of them first.")
    return ConcatenateOp(axis)(*xs)


def stack(xs, axis=0):
    """Join arrays of one shape along a new axis (numpy.stack)."""
    xs = list(xs)
    return concatenate([expand_dims(x, axis) for x in xs], axis % (xs[0].ndim + 1) if xs else axis)


def split(x, indices_or_sections, axis=0):
    """A list of pieces along an axis: so many equal ones, or cut at these indices (numpy.split)."""
    n = x.shape[axis]
    if isinstance(indices_or_sections, int):
        if indices_or_sections < 1 or n % indices_or_sections:
            raise ValueError(f"split: axis {axis} of size {n} does not divide into {indices_or_sections} equal pieces.")
        indices_or_sections = [n // indices_or_sections * i for i in range(1, indices_or_sections)]
    cuts = [0, *indices_or_sections, n]
    where = [slice(None)] * x.ndim
    pieces = []
    for start, stop in zip(cuts, cuts[1:]):
        where[axis] = slice(start, stop)
        pieces.append(x[tuple(where)])
    return pieces


def zero_pad(x, widths):
    """A border of zeros: widths holds (before, after) in pixels, both >= 0, for every axis of x (numpy.pad)."""
    return PadOp(widths)(x)
