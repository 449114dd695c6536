"""softmax, log_softmax, softmin: numbers to probabilities along one axis.

    y_i = e^(x_i) / sum_j e^(x_j)          log y_i = x_i - log sum_j e^(x_j)

Every output depends on every input of its line, so the Jacobian is full:  dy_i/dx_j = y_i ([i = j] - y_j)  and
dlog y_i/dx_j = [i = j] - y_j.  With an upstream gradient g that gives, for each line,

    softmax       gx = y * (g - sum(g * y))
    log_softmax   gx = g - y * sum(g)

For g = 1 the first is 0: probabilities add up to one, whatever x is.

Adding a constant to x changes nothing, so the largest x is subtracted first: then the largest e^x is 1 and nothing
overflows.  That maximum m and the sum of e^(x - m), two numbers a line, are all that is kept for the backward pass: from them
y is one exponential away.  They depend on x, so when the backward pass is itself recorded, y is computed anew from x.

Source: Bridle 1990 (softmax); Blanchard, Higham and Higham 2021, doi:10.1093/imanum/draa038 (rounding).
"""

from ..kernels import softmax as kernel
from ..tensor import Op, Tensor
from .broadcast import sum
from .elementwise import astype, copy
from .shapes import check_dim, check_float


class SoftmaxOp(Op):
    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        y, self.top, self.total = kernel.softmax(x, self.axis)
        return y

    def backward(self, g, x):
        if not isinstance(x, Tensor):
            return kernel.softmax_grad(g, x, self.top, self.total, self.axis)
        y = SoftmaxOp(self.axis)(x)
        return y * (g - sum(g * y, self.axis, keepdims=True))


class LogSoftmaxOp(SoftmaxOp):
    def forward(self, x):
        y, self.top, self.total = kernel.log_softmax(x, self.axis)
        return y

    def backward(self, g, x):
        if not isinstance(x, Tensor):
            return kernel.log_softmax_grad(g, x, self.top, self.total, self.axis)
        return g - SoftmaxOp(self.axis)(x) * sum(g, self.axis, keepdims=True)


def along(op, make, input, dim, dtype):
    """Check, convert, and apply make(axis) where there is something to apply it to."""
    check_float(op, input=input)
    if dim is None:
        raise TypeError(f"{op}: say along which axis the probabilities add up to one. Pass dim=1 for classes in (N, K) and "
                        "(N, K, H, W).")
    axis = check_dim(op, dim, input)
    input = input if dtype is None else astype(input, dtype)
    if input.size == 0:
        return copy(input)
    return make(axis)(input) if input.ndim else make(axis)(input.reshape((1,))).reshape(())


def softmax(input, dim=None, *, dtype=None):
    """Probabilities that are proportional to exp(x) along an axis (torch.nn.functional.softmax).

    Shapes: input (*) -> (*), each line along `dim` adding up to 1.
    dtype: convert the input to this floating-point dtype first.
    Raises TypeError when dim is missing (PyTorch would guess it from the number of axes), ValueError for no such axis.
    For a loss use cross_entropy or log_softmax, which stay exact where a probability rounds to 0.

    >>> from tinyvision import Tensor
    >>> softmax(Tensor([1000.0, 1000.0]), dim=0)
    Tensor([0.5, 0.5])
    """
    return along("softmax", SoftmaxOp, input, dim, dtype)


def log_softmax(input, dim=None, *, dtype=None):
    """The logarithm of softmax, without computing the softmax (torch.nn.functional.log_softmax).

    Shapes: input (*) -> (*).  dim, dtype and Raises: as softmax.

    >>> from tinyvision import Tensor
    >>> log_softmax(Tensor([0.0, -1000.0]), dim=0)
    Tensor([    0., -1000.])
    """
    return along("log_softmax", LogSoftmaxOp, input, dim, dtype)


def softmin(input, dim=None, *, dtype=None):
    """softmax(-x): the smallest number gets the largest probability (torch.nn.functional.softmin).

    Shapes: input (*) -> (*).  dim, dtype and Raises: as softmax.

    >>> from tinyvision import Tensor
    >>> softmin(Tensor([0.0, 1000.0]), dim=0)
    Tensor([1., 0.])
    """
    check_float("softmin", input=input)
    return along("softmin", SoftmaxOp, -input, dim, dtype)
