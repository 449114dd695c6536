"""mean, var, std, prod, max, min, argmax, logsumexp, norm, cumsum: many numbers to fewer.

    mean        sum / n                                   var    mean((x - mean)^2)
    max         y = x at the first position, in row-major order, that holds the largest value; this position gets the whole
                gradient (at a tie that is one of the subgradients)
    logsumexp   log sum exp(x) = m + log sum exp(x - m)   with m = max x, so that nothing overflows; m cancels, hence its
                gradient is zero and it may be a constant
    cumsum      y_i = sum_{j<=i} x_j                      gx_j = sum_{i>=j} g_i: the running sum from the other end

All but cumsum are compositions, and so need no backward of their own.  The plain sum stands in broadcast.py.

Source: numpy.mean, numpy.var, numpy.max; Blanchard, Higham and Higham 2021, doi:10.1093/imanum/draa038 (logsumexp).
"""

import math

from ..backend import array_module
from ..tensor import Op, raw
from .arithmetic import where
from .broadcast import axes_of, kept, sum
from .elementwise import abs, constant_like, exp, log
from .index import take_along_axis
from .movement import concatenate, flip


class CumsumOp(Op):
    def __init__(self, axis):
        self.axis = axis

    def forward(self, x):
        return x.cumsum(axis=self.axis)

    def backward(self, g, x):
        return flip(cumsum(flip(g, self.axis), self.axis), self.axis)


def count(x, axis):
    """How many elements a reduction over these axes takes together."""
    return math.prod(x.shape[a] for a in axes_of(axis, x.ndim))


def mean(x, axis=None, keepdims=False):
    """The mean over an axis, several, or all (numpy.mean); of no elements it is not a number.

    >>> from tinyvision import Tensor
    >>> mean(Tensor([1.0, 2.0, 6.0]))
    Tensor(3.)
    """
    n = count(x, axis)
    return sum(x, axis, keepdims) / n if n else sum(x, axis, keepdims) * float("nan")


def var(x, axis=None, ddof=0, keepdims=False):
    """The variance over an axis, several, or all, divided by n - ddof (numpy.var)."""
    centred = x - mean(x, axis, keepdims=True)
    return sum(centred * centred, axis, keepdims) / (count(x, axis) - ddof)


def std(x, axis=None, ddof=0, keepdims=False):
    """The standard deviation: the square root of var (numpy.std)."""
    return var(x, axis, ddof, keepdims) ** 0.5


def extremum(x, axis, keepdims, arg):
    """x at the position along the axes that `arg` (the name argmax or argmin) picks: the first, in row-major order."""
    axes, n = axes_of(axis, x.ndim), count(x, axis)
    if n == 0:
        raise ValueError(f"{arg[3:]}: needs at least one element along the axes, got shape {x.shape}.")
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    last = x.transpose(rest + axes).reshape(tuple(x.shape[a] for a in rest) + (n,))
    index = getattr(raw(last), arg)(axis=-1)[..., None]
    y = take_along_axis(last, index, -1)
    return y.reshape(kept(x.shape, axes) if keepdims else tuple(x.shape[a] for a in rest))


def max(x, axis=None, keepdims=False):
    """The largest element over an axis, several, or all (numpy.max).

    The first of equal ones, in row-major order, gets the whole gradient.

    >>> from tinyvision import Tensor
    >>> max(Tensor([[1.0, 5.0], [3.0, 2.0]]), axis=1)
    Tensor([5., 3.])
    """
    return extremum(x, axis, keepdims, "argmax")


def min(x, axis=None, keepdims=False):
    """The smallest element over an axis, several, or all (numpy.min); the first of equal ones gets the gradient."""
    return extremum(x, axis, keepdims, "argmin")


def argmax(x, axis=None, keepdims=False):
    """The index of the first largest element (numpy.argmax): integers, so no gradient."""
    return constant_like(x, array_module(raw(x)).argmax(raw(x), axis=axis, keepdims=keepdims))


def argmin(x, axis=None, keepdims=False):
    """The index of the first smallest element (numpy.argmin): integers, so no gradient."""
    return constant_like(x, array_module(raw(x)).argmin(raw(x), axis=axis, keepdims=keepdims))


def all(x, axis=None, keepdims=False):
    """Whether all elements are true (numpy.all)."""
    return constant_like(x, raw(x).all(axis=axis, keepdims=keepdims))


def any(x, axis=None, keepdims=False):
    """Whether any element is true (numpy.any)."""
    return constant_like(x, raw(x).any(axis=axis, keepdims=keepdims))


def prod(x, axis=None, keepdims=False):
    """The product over an axis, several, or all (numpy.prod); 1 for no elements.

    One half is multiplied by the other until one element is left, so the gradient is right where elements are 0.

    >>> from tinyvision import Tensor
    >>> prod(Tensor([2.0, 3.0, 4.0]))
    Tensor(24.)
    """
    axes, n = axes_of(axis, x.ndim), count(x, axis)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    y = x.transpose(axes + rest).reshape((n,) + tuple(x.shape[a] for a in rest))
    while n > 1:
        half = n // 2
        pairs = y[:half] * y[half:2 * half]
        y = concatenate([pairs, y[2 * half:]]) if n % 2 else pairs
        n = n - half
    y = y[0] if n else sum(y, 0) + 1
    return y.reshape(kept(x.shape, axes)) if keepdims else y


def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))) over an axis, several, or all, without overflow (scipy.special.logsumexp).

    >>> from tinyvision import Tensor
    >>> logsumexp(Tensor([1000.0, 1000.0]))
    Tensor(1000.6932)
    """
    xp = array_module(raw(x))
    m = raw(x).max(axis=axis, keepdims=True)
    m = xp.where(xp.isfinite(m), m, 0).astype(m.dtype)    # inf - inf would not be a number
    y = log(sum(exp(x - m), axis, keepdims=True)) + m
    return y if keepdims else sum(y, axis)


def norm(x, p, axis, keepdims=False, least=0.0):
    """(sum |x|^p)^(1/p) over an axis, several, or all; where it is not above `least`, that number, a constant.

    p: any number; inf and -inf stand for the largest and the smallest |x|, 0 for how many x are not 0.

    >>> from tinyvision import Tensor
    >>> norm(Tensor([3.0, -4.0]), 2, 0)
    Tensor(5.)
    """
    if p in (math.inf, -math.inf):
        y, exponent = (max if p > 0 else min)(abs(x), axis, keepdims=True), 1
    else:
        y, exponent = sum(powers(x, p), axis, keepdims=True), 1 / p if p else 1
    # the root may have an infinite slope at 0, which must not be touched
    small = raw(y) ** exponent <= least
    y = where(small, least, where(small, 1.0, y) ** exponent)
    return y if keepdims else sum(y, axis)


def powers(x, p):
    """|x| ** p, its slope at 0 taken to be 0; 1 for every x but 0 where p = 0."""
    if p == 2:
        return x * x
    if p == 1:
        return abs(x)
    zero = raw(x) == 0
    return where(zero, 0.0 if p >= 0 else math.inf, abs(where(zero, 1.0, x)) ** p)


def cumsum(x, axis):
    """Running sums along an axis (numpy.cumsum)."""
    return CumsumOp(axis)(x)
