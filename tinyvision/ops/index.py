"""getitem and its adjoint, take_along_axis, embedding, one_hot: reading elements by index, and adding back to where they were.

    y = x[index]          y_i = x_{p(i)}      gather        gx_j = sum over i with p(i) = j of g_i      scatter-add

Where an index names an element twice, the element gets the sum of both gradients: plain assignment would keep only the last.
Gather and scatter-add are adjoint to each other, so either is the backward of the other.

`take_along_axis` picks along one axis with an index per position (the class of a label, the largest of a window);
`embedding` is x[index] with rows, and one_hot the matrix by which it is a product: one_hot(index) @ weight.

Source: numpy indexing and numpy.take_along_axis; torch.nn.functional.embedding, one_hot.
"""

from ..backend import array_module, is_array, same_device
from ..tensor import Op, Tensor, raw
from .arithmetic import where
from .broadcast import axes_of
from .elementwise import constant_like
from .shapes import check_float


def repeats(index):
    """Whether an index can name an element twice: arrays and lists of integers can; slices, integers and masks cannot."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(i, (list, tuple)) or (is_array(i) and i.dtype.kind != "b") for i in parts)


class GetItemOp(Op):
    def __init__(self, index):
        self.index = index

    def forward(self, x):
        return x[self.index]

    def backward(self, g, x):
        return AddAtOp(self.index, x.shape)(g)


class AddAtOp(Op):
    """Zeros of a shape, to which g is added at the index: the adjoint of GetItemOp."""

    def __init__(self, index, shape):
        self.index, self.shape = index, shape

    def forward(self, g):
        xp = array_module(g)
        x = xp.zeros(self.shape, g.dtype)
        if repeats(self.index):
            xp.add.at(x, self.index, g)
        else:
            x[self.index] = g
        return x

    def backward(self, gg, g):
        return gg[self.index]


class TakeAlongAxisOp(Op):
    def __init__(self, index, axis):
        self.index, self.axis = index, axis

    def forward(self, x):
        return array_module(x).take_along_axis(x, self.index, self.axis)

    def backward(self, g, x):
        return AddAlongAxisOp(self.index, self.axis, x.shape)(g)


class AddAlongAxisOp(Op):
    """Zeros of a shape, to which g is added along an axis: the adjoint of TakeAlongAxisOp."""

    def __init__(self, index, axis, shape):
        self.index, self.axis, self.shape = index, axis, shape

    def forward(self, g):
        xp = array_module(g)
        x = xp.zeros(self.shape, g.dtype)
        if g.size * self.shape[self.axis] == x.size:      # one index for each line of x cannot name an element twice
            xp.put_along_axis(x, self.index, g, self.axis)
        else:
            axes = range(len(self.shape))
            place = [xp.arange(n).reshape([n if b == a else 1 for b in axes]) for a, n in enumerate(self.shape)]
            place[self.axis] = self.index
            xp.add.at(x, tuple(place), g)
        return x

    def backward(self, gg, g):
        return take_along_axis(gg, self.index, self.axis)


def getitem(x, index):
    """x[index] with NumPy's basic and advanced indexing; Tensors may serve as indices.

    >>> from tinyvision import Tensor
    >>> Tensor([1.0, 2.0, 3.0])[[0, 0, 2]]
    Tensor([1., 1., 3.])
    """
    index = tuple(map(raw, index)) if isinstance(index, tuple) else raw(index)
    return GetItemOp(index)(x)


def take_along_axis(x, indices, axis):
    """For every position, the element of x that `indices` names along the axis (numpy.take_along_axis)."""
    return TakeAlongAxisOp(raw(indices), axis)(x)


def take(x, indices, axis=None):
    """The elements of x with these indices, along an axis or of all elements in a row (numpy.take)."""
    if axis is None:
        return getitem(x.reshape((-1,)), (indices,))
    return getitem(x, (slice(None),) * axes_of(axis, x.ndim)[0] + (indices,))


def repeat(x, repeats, axis=None):
    """Every element so many times in a row, along an axis or of all elements in a row (numpy.repeat).

    >>> from tinyvision import Tensor
    >>> repeat(Tensor([1.0, 2.0]), 2)
    Tensor([1., 1., 2., 2.])
    """
    xp = array_module(raw(x))
    n = x.size if axis is None else x.shape[axis]
    return take(x, xp.repeat(xp.arange(n), repeats), axis)


def argsort(x, axis=-1):
    """The indices that would put x in rising order (numpy.argsort; equal elements keep their order)."""
    return constant_like(x, array_module(raw(x)).argsort(raw(x), axis=axis, kind="stable"))


def sort(x, axis=-1):
    """x in rising order along an axis, as a new array (numpy.sort, not ndarray.sort, which works in place).

    >>> from tinyvision import Tensor
    >>> sort(Tensor([3.0, 1.0, 2.0]))
    Tensor([1., 2., 3.])
    """
    return take_along_axis(x, argsort(raw(x), axis), axis)


def check_indices(op, name, index, bound, what):
    """An integer array with 0 <= index < bound; `what` says what is being counted."""
    index = raw(index) if isinstance(index, Tensor) or is_array(index) else array_module(index).asarray(index)
    if index.dtype.kind not in "iu" and index.size:
        raise TypeError(f"{op}: {name} must hold integers (indices of {what}), got {index.dtype}. "
                        f"Use {name}.astype('int64').")
    if index.size and not (0 <= int(index.min()) and int(index.max()) < bound):
        wrong = int(index.min()) if int(index.min()) < 0 else int(index.max())
        raise ValueError(f"{op}: {name} must lie in 0..{bound - 1} for {bound} {what}, got {wrong}.")
    return index.astype("int64")


def one_hot(tensor, num_classes=-1):
    """A vector with a single one for each index (torch.nn.functional.one_hot).

    Shapes: tensor (*) of integers -> (*, K) of int64; K = num_classes, or the largest index + 1 when -1.
    Raises TypeError for indices that are not integers, ValueError for one outside 0..K-1.

    >>> one_hot([0, 2], num_classes=3)
    array([[1, 0, 0],
           [0, 0, 1]])
    """
    index = raw(tensor)
    xp = array_module(index)
    index = xp.asarray(index)
    if num_classes == -1:
        if index.size == 0:
            raise ValueError("one_hot: the number of classes cannot be read off no indices. Pass num_classes.")
        num_classes = int(index.max()) + 1
    index = check_indices("one_hot", "tensor", index, num_classes, "classes")
    return constant_like(tensor, (index[..., None] == xp.arange(num_classes)).astype("int64"))


def embedding(input, weight, padding_idx=None):
    """Look up rows of a table (torch.nn.functional.embedding).

    Shapes: input (*) of integers in 0..V-1, weight (V, D) -> (*, D).
    padding_idx: the row with this index gets no gradient.
    Raises TypeError for indices that are not integers, ValueError for one out of range or a weight that is no table.

    >>> embedding([1, 1], Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[3., 4.],
            [3., 4.]])
    """
    check_float("embedding", weight=weight)
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight must be a table (V, D), one row per index, got shape {weight.shape}.")
    table, index = raw(weight), raw(input)
    index = index if is_array(index) else array_module(table).asarray(index)
    if type(index) is not type(table):
        same_device("embedding", (index, table))
    index = check_indices("embedding", "input", index, weight.shape[0], "rows of the table")
    y = getitem(weight, index)
    if padding_idx is None:
        return y
    if not -weight.shape[0] <= padding_idx < weight.shape[0]:
        raise ValueError(f"embedding: padding_idx must name one of the {weight.shape[0]} rows, got {padding_idx}.")
    padding = (index == padding_idx % weight.shape[0])[..., None]
    return where(padding, raw(y), y)                      # the same values, but those rows as constants
