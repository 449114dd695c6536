"""matmul, linear, bilinear: products of matrices.

    y = A B        (.., I, J) @ (.., J, K) -> (.., I, K)        y_ik = sum_j A_ij B_jk

    <g, A B> = sum_ijk g_ik A_ij B_jk   is linear in A and in B, so both gradients are products again:

    gA = g B^T     (.., I, K) @ (.., K, J)                      gB = A^T g     (.., J, I) @ (.., I, K)

Axes in front broadcast, and their gradients are summed back.  A linear layer is y = x W^T + b; the bilinear form
y_o = x1^T W_o x2 + b_o is two products.

Source: Giles 2008, An extended collection of matrix derivative results; torch.nn.functional.linear, bilinear.
"""

from math import prod

from ..backend import array_module
from ..kernels import matmul as kernels
from ..tensor import Op, Tensor
from .broadcast import sum, sum_to
from .movement import swapaxes
from .shapes import check_float


class MatmulOp(Op):
    """Both arguments have at least two axes; `matmul` below brings vectors to that."""

    def forward(self, a, b):
        return kernels.matmul(a, b)

    def backward(self, g, a, b):
        ga = sum_to(g @ swapaxes(b, -1, -2), a.shape) if self.needs[0] else None              # (.., I, J)
        gb = sum_to(swapaxes(a, -1, -2) @ g, b.shape) if self.needs[1] else None              # (.., J, K)
        return ga, gb


class LinearOp(Op):
    """(N, I), (O, I) and, if given, (O,) -> (N, O): x W^T + b in one node of the graph, for it is so frequent"""

    def forward(self, x, w, b=None):
        y = kernels.matmul(x, w.T)
        if b is not None:
            y += b                                        # y is fresh
        return y

    def backward(self, g, x, w, b=None):
        gx = MatmulOp()(g, w) if self.needs[0] else None                                      # (N, O) @ (O, I)
        gw = MatmulOp()(g.T, x) if self.needs[1] else None                                    # (O, N) @ (N, I)
        if b is None:
            return gx, gw
        gb = None
        if self.needs[2]:
            gb = sum(g, axis=0) if isinstance(g, Tensor) else kernels.column_sums(g)          # (O,)
        return gx, gw, gb


def matmul(a, b):
    """Matrix product; axes in front broadcast, a vector counts as a row on the left, a column on the right (numpy.matmul).

    >>> from tinyvision import Tensor
    >>> matmul(Tensor([[1.0, 2.0]]), Tensor([3.0, 4.0]))
    Tensor([11.])
    """
    a, b = (x if hasattr(x, "ndim") else array_module(x).asarray(x) for x in (a, b))
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(f"matmul: needs vectors or matrices, got shapes {a.shape} and {b.shape}. Use * for numbers.")
    rows, columns = a.ndim > 1, b.ndim > 1
    a = a if rows else a.reshape((1, -1))
    b = b if columns else b.reshape((-1, 1))
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: the last axis of a must match the second last of b, got shapes {a.shape} and {b.shape}.")
    if a.ndim > 2 and b.ndim == 2:                        # one product of two matrices is faster than a stack of small ones
        y = MatmulOp()(a.reshape((prod(a.shape[:-1]), a.shape[-1])), b).reshape((*a.shape[:-1], b.shape[-1]))
    else:
        y = MatmulOp()(a, b)
    y = y if columns else y.reshape(y.shape[:-1])
    return y if rows else y.reshape(y.shape[:-1 - columns] + y.shape[y.ndim - columns:])


def linear(input, weight, bias=None):
    """A fully connected layer: input @ weight.T + bias (torch.nn.functional.linear).

    Shapes: input (*, I), weight (O, I) or (I,), bias (O,) -> (*, O), or (*) for a weight vector.
    Raises ValueError when the last axis of input is not the weight's I or bias does not have one value per output, TypeError
    when the arguments are not all of one floating-point dtype.

    >>> from tinyvision import Tensor
    >>> linear(Tensor([[1.0, 2.0]]), Tensor([[1.0, 1.0], [0.0, 3.0]]), Tensor([10.0, 20.0]))
    Tensor([[13., 26.]])
    """
    check_float("linear", input=input, weight=weight, bias=bias)
    if weight.ndim not in (1, 2) or input.ndim == 0 or input.shape[-1] != weight.shape[-1]:
        raise ValueError(f"linear: the last axis of input must have the size I of weight (O, I), got input {input.shape} and "
                         f"weight {weight.shape}. For pictures, flatten first: x.reshape(len(x), -1).")
    if bias is not None and bias.shape not in ((), weight.shape[:-1]):
        raise ValueError(f"linear: bias must have one value per output, shape {weight.shape[:-1]}, got {bias.shape}.")
    if weight.ndim == 1 or (bias is not None and bias.ndim == 0):
        y = matmul(input, weight if weight.ndim == 1 else swapaxes(weight, 0, 1))             # (*, I) @ (I, O)
        return y if bias is None else y + bias
    x = input if input.ndim == 2 else input.reshape((prod(input.shape[:-1]), input.shape[-1]))
    y = LinearOp()(x, weight) if bias is None else LinearOp()(x, weight, bias)
    return y if input.ndim == 2 else y.reshape((*input.shape[:-1], len(weight)))


def bilinear(input1, input2, weight, bias=None):
    """x1^T W_o x2 + b_o for every output o (torch.nn.functional.bilinear).

    Shapes: input1 (*, I1), input2 (*, I2), weight (O, I1, I2), bias (O,) -> (*, O).
    Raises ValueError when the sizes do not match.

    >>> from tinyvision import Tensor
    >>> bilinear(Tensor([[1.0, 2.0]]), Tensor([[3.0]]), Tensor([[[1.0], [1.0]]]))
    Tensor([[9.]])
    """
    check_float("bilinear", input1=input1, input2=input2, weight=weight, bias=bias)
    sizes = (*input1.shape[-1:], *input2.shape[-1:])
    if weight.ndim != 3 or weight.shape[1:] != sizes or input1.shape[:-1] != input2.shape[:-1]:
        raise ValueError(f"bilinear: weight must be (O, I1, I2) for inputs (*, I1) and (*, I2) with equal axes in front, got "
                         f"weight {weight.shape}, input1 {input1.shape}, input2 {input2.shape}.")
    rows, (O, I1, I2) = prod(input1.shape[:-1]), weight.shape
    w = weight.transpose((1, 0, 2)).reshape((I1, O * I2))
    y = (input1.reshape((rows, I1)) @ w).reshape((rows, O, I2))                               # x1^T W_o for every o
    y = sum(y * input2.reshape((rows, 1, I2)), axis=-1).reshape((*input1.shape[:-1], O))
    return y if bias is None else y + bias
