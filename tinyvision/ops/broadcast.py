"""sum and broadcast_to: repeating an array along an axis, and its adjoint, summing along it.

Broadcasting repeats: y = B x with y_ij = x_j is what happens to a bias that is added to every picture.  Summing is the
transpose of that matrix,

    <g, B x> = sum_ij g_ij x_j = <B^T g, x>         with (B^T g)_j = sum_i g_ij,

so the backward of each is the other:

    sum over axes        (..., A, ...) -> (..., ...)      gx = g repeated to the shape of x    (broadcast_to)
    broadcast_to shape   (..., 1, ...) -> (..., A, ...)   gx = g summed to the shape of x      (sum_to)

Every operation of several arguments relies on this pair to undo NumPy's broadcasting, and on nothing else.

Source: numpy.sum, numpy.broadcast_to.
"""

from ..backend import array_module
from ..tensor import Op


def shape(x):
    """The shape of an array or Tensor; () for a number; what NumPy makes of it for a list."""
    return x.shape if hasattr(x, "shape") else array_module(x).shape(x)


def axes_of(axis, ndim):
    """An axis, several, or None for all, as a tuple of axes counted from the front; a single number has none."""
    axes = range(ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    n = max(ndim, 1)                                      # NumPy lets a single number pass for an axis of one
    for a in axes:
        if not -n <= a < n:
            raise ValueError(f"axis: must lie in [{-n}, {n - 1}] for an array of {ndim} axes, got {a}.")
    return tuple(a % n for a in axes) if ndim else ()


def kept(shape, axes):
    """The shape after a reduction over these axes with keepdims=True."""
    return tuple(1 if a in axes else n for a, n in enumerate(shape))


class SumOp(Op):
    def __init__(self, axis=None, keepdims=False):
        self.axis, self.keepdims = axis, keepdims

    def forward(self, x):
        return x.sum(axis=self.axis, keepdims=self.keepdims)

    def backward(self, g, x):
        return broadcast_to(g.reshape(kept(x.shape, axes_of(self.axis, x.ndim))), x.shape)


class BroadcastToOp(Op):
    def __init__(self, shape):
        self.shape = tuple(shape)

    def forward(self, x):
        return array_module(x).broadcast_to(x, self.shape)

    def backward(self, g, x):
        return sum_to(g, x.shape)


def sum(x, axis=None, keepdims=False):
    """The sum over an axis, several, or all (numpy.sum).

    >>> from tinyvision import Tensor
    >>> sum(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([4., 6.])
    """
    axis = tuple(axis) if isinstance(axis, list) else axis
    return SumOp(axis, keepdims)(x)


def broadcast_to(x, shape):
    """x repeated to a shape it broadcasts to, without a copy (numpy.broadcast_to)."""
    return x if x.shape == tuple(shape) else BroadcastToOp(shape)(x)


def sum_to(x, shape):
    """x summed over the axes along which an array of this shape would be repeated to x's shape: adjoint of broadcast_to."""
    if x.shape == shape:
        return x
    new = x.ndim - len(shape)                             # axes that broadcasting put in front
    axes = tuple(a for a in range(x.ndim) if a < new or (shape[a - new] == 1 and x.shape[a] != 1))
    return sum(x, axes).reshape(shape)
