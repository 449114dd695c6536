"""dropout, dropout1d, dropout2d, dropout3d, alpha_dropout: multiply by a random mask while training.

Each number is kept with probability q = 1 - p, independently, and what is kept grows by 1/q:

    y = x * m / q,    m = 1 with probability q, else 0

so that the expected output is the input, E[y] = x * (q * 1 + p * 0) / q = x, and evaluation needs no change at all.  The
variance grows by x^2 p / q: that is the noise.  As a matrix this is diag(m) / q, symmetric, so dropout with the same mask is
its own adjoint:

    gx = g * m / q

dropout2d draws one m for a whole feature map, since neighbouring pixels tell nearly the same, and a pixel left out alone would
be read from its neighbours; dropout1d and dropout3d likewise.  alpha_dropout, for networks of selu, sets numbers to selu's
lower limit a' = -1.758 instead of 0 and then restores mean 0 and variance 1: for such x, x m + a' (1 - m) has mean p a' and
variance q + p q a'^2 = q (1 + p a'^2).

The mask is drawn in float32 whatever the dtype of x, and belongs to the op: its gradient repeats it, and the same state of
the generator gives the same mask, bit for bit (on a GPU another one than on the CPU: kernels/random.py).

Sources: Srivastava et al. 2014, JMLR 15 (dropout; there the factor q is applied at test time); Tompson et al. 2015,
arXiv:1411.4280 (feature maps); Klambauer et al. 2017, arXiv:1706.02515 (alpha_dropout).
"""

import warnings

import numpy as np

from ..backend import array_module, on_device
from ..kernels import elementwise as kernels
from ..kernels import random as device_random
from ..random import as_generator, draw_key
from ..tensor import Op, raw
from .activation_smooth import SELU_ALPHA, SELU_SCALE
from .shapes import batched, check_float


class DropoutOp(Op):
    """x * keep * scale, where the mask `keep` broadcasts against x."""

    def __init__(self, keep, scale):
        self.keep, self.scale = keep, scale

    def forward(self, x):
        return kernels.masked(x, self.keep, self.scale)

    def backward(self, g, x):
        return DropoutOp(self.keep, self.scale)(g)


def draw_mask(op, x, shape, p, generator):
    """True with probability 1 - p, on x's device; a GPU draws for itself, from a key that the generator gives it."""
    generator = as_generator(op, generator)
    if on_device(raw(x)):
        return device_random.kept(raw(x), draw_key(generator), tuple(shape), float(p))
    return generator.random(shape, np.float32) >= float(p)


def check_probability(op, p):
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p is the probability of dropping and must lie in [0, 1], got {p}.")


def drop(op, x, shape, p, training, generator):
    """Dropout with a mask of this shape, which broadcasts against x."""
    if not training or p == 0:
        return x
    scale = 1 / (1 - p) if p < 1 else 0.0                 # nothing is kept, and nothing to scale
    return DropoutOp(draw_mask(op, x, shape, p, generator), scale)(x)


def drop_channels(op, n, input, p, training, generator):
    """dropout1d, dropout2d, dropout3d: one number of the mask for each channel of each picture."""
    check_float(op, input=input)
    check_probability(op, p)
    x, batch = batched(op, input, n)
    y = drop(op, x, x.shape[:2] + (1,) * n, p, training, generator)
    return y if batch else y[0]


def dropout(input, p=0.5, training=True, *, generator=None):
    """Set numbers to 0 at random and scale up the others, while training (torch.nn.functional.dropout).

    Shapes: input (*) -> (*).
    p: probability of setting a number to 0.  Kept numbers are divided by 1 - p, so that the mean stays: see the top of the
    file.  With training=False the input comes back as it is.
    generator: a numpy.random.Generator, an integer seed, or None for the engine's (tinyvision.manual_seed).
    Raises ValueError for p outside [0, 1].

    >>> from tinyvision import Tensor
    >>> dropout(Tensor([1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), p=0.5, generator=0)
    Tensor([2., 2., 2., 0., 0., 0.])
    """
    check_float("dropout", input=input)
    check_probability("dropout", p)
    return drop("dropout", input, input.shape, p, training, generator)


def dropout1d(input, p=0.5, training=True, *, generator=None):
    """Set whole channels of signals to 0 at random (torch.nn.functional.dropout1d).

    Shapes: input (N, C, W) or (C, W) -> the same.  p, generator and Raises: as dropout, and ValueError for other shapes.

    >>> import numpy as np
    >>> dropout1d(np.ones((1, 3, 2)), generator=2)[0]
    array([[2., 2.],
           [0., 0.],
           [0., 0.]])
    """
    return drop_channels("dropout1d", 1, input, p, training, generator)


def dropout2d(input, p=0.5, training=True, *, generator=None):
    """Set whole feature maps to 0 at random (torch.nn.functional.dropout2d).

    Shapes: input (N, C, H, W) -> the same.  Three axes are read as (N, C, W), as PyTorch does, and with a warning, for a
    single picture is x[None].  p, generator and Raises: as dropout, and ValueError for other shapes.

    >>> import numpy as np
    >>> dropout2d(np.ones((1, 3, 4, 4)), generator=2)[0, :, 0, 0]
    array([2., 0., 0.])
    """
    if getattr(input, "ndim", 4) == 3:
        warnings.warn("dropout2d: an input of three axes is read as (N, C, W), as in PyTorch. Use dropout1d for signals, and "
                      "x[None] for a single picture (C, H, W).", stacklevel=2)
        return drop_channels("dropout2d", 1, input, p, training, generator)
    return drop_channels("dropout2d", 2, input, p, training, generator)


def dropout3d(input, p=0.5, training=True, *, generator=None):
    """Set whole channels of volumes to 0 at random (torch.nn.functional.dropout3d).

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> the same.  p, generator and Raises: as dropout, and ValueError for
    other shapes.

    >>> import numpy as np
    >>> dropout3d(np.ones((3, 4, 4, 4)), generator=2)[:, 0, 0, 0]
    array([2., 0., 0.])
    """
    return drop_channels("dropout3d", 3, input, p, training, generator)


def alpha_dropout(input, p=0.5, training=False, *, generator=None):
    """Dropout for networks of selu: keeps mean 0 and variance 1 (torch.nn.functional.alpha_dropout).

    Shapes: input (*) -> (*).  training is False by default, as in PyTorch; p, generator and Raises: as dropout.
    Source: Klambauer et al. 2017, arXiv:1706.02515, paragraph "New dropout technique".

    >>> from tinyvision import Tensor
    >>> alpha_dropout(Tensor([0.0, 0.0, 0.0, 0.0]), p=0.5, training=True, generator=0)
    Tensor([ 0.7791939,  0.7791939,  0.7791939, -0.7791939])
    """
    check_float("alpha_dropout", input=input)
    check_probability("alpha_dropout", p)
    if not training or p == 0:
        return input
    if p == 1:
        return input * 0
    keep, low = draw_mask("alpha_dropout", input, input.shape, p, generator), -SELU_ALPHA * SELU_SCALE
    scale = ((1 - p) * (1 + p * low * low)) ** -0.5
    shift = array_module(keep).multiply(~keep, low, dtype=input.dtype) - p * low
    return DropoutOp(keep, scale)(input) + shift * scale
