"""Integers that remember how they were made of an input, as Tensors remember it of floats.

A network that is given integers (numbers of words) looks something up by them: table[tokens[:, t]].  Tensors record nothing of
integers, for they have no gradient, so the list of nodes would begin at the rows that were found.  Here a subclass of NumPy's
array records views and conversions, in the Ops that Tensors use, so that onnx_trace.py can follow both.  Whatever else is
done to it (sums, comparisons) gives plain numbers: they differ between the two runs, and are refused there.

Source: https://numpy.org/doc/stable/user/basics.subclassing.html
"""

import numpy as np

from ..ops.elementwise import AstypeOp
from ..ops.index import GetItemOp
from ..ops.movement import ReshapeOp, TransposeOp


class Integers(np.ndarray):
    """An array whose `op` made it of `op.inputs`; `known`: whether it was made of an input by ops that were recorded."""

    op, known = None, False

    def __getitem__(self, index):
        return remembered(GetItemOp(index), self, super().__getitem__(index))

    def reshape(self, *shape, **options):
        y = super().reshape(*shape, **options)
        return remembered(ReshapeOp(y.shape), self, y)

    def ravel(self, order="C"):
        return self.reshape(-1, order=order)

    flatten = ravel

    def squeeze(self, axis=None):
        y = super().squeeze(axis)
        return remembered(ReshapeOp(y.shape), self, y)

    def transpose(self, *axes):
        axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        axes = tuple(axes or range(self.ndim)[::-1])
        return remembered(TransposeOp(axes), self, super().transpose(axes))

    @property
    def T(self):
        return self.transpose()

    def astype(self, dtype, *arguments, **options):
        y = super().astype(dtype, *arguments, **options)
        return remembered(AstypeOp(y.dtype), self, y)

    def copy(self, order="C"):
        return self.astype(self.dtype, order)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return getattr(ufunc, method)(*map(plain, inputs), **options)


def remembered(op, x, y):
    """The result y of op(x), with a note of that; nobody may write to it, for that would not be noted."""
    if isinstance(y, Integers) and y is not x and x.known:
        op.inputs, y.op, y.known = (x,), op, True
        y.flags.writeable = False
    return y


def plain(x):
    return x.view(np.ndarray) if isinstance(x, Integers) else x


def as_input(array):
    """An array as an input that is remembered."""
    x = array.view(Integers)
    x.known = True
    x.flags.writeable = False
    return x
