"""pad: a border around pictures, of a constant or of their own pixels.

Along one axis of I pixels, padded by lo before and hi after, output o stands over place  i = o - lo  of a line of pixels that
goes on beyond the picture, and reads pixel p(i) of it:

    replicate    p(i) = min(max(i, 0), I - 1)              the border pixel again and again          a a a | a b c d | d d d
    reflect      p(i) = I - 1 - |I - 1 - |i||              the picture mirrored in its border pixels   d c b | a b c d | c b a
    circular     p(i) = i mod I                            the picture once more                     b c d | a b c d | a b c
    constant     nothing: y = value outside

so y_o = x_p(o - lo), a table with one tap of weight 1 per output (resample.py), whose adjoint adds the gradient of every
copy to the pixel it was made of:  gx_i = sum over o with p(o - lo) = i of g_o.  Of a constant border the gradient is cut off.

Negative widths crop: in circular mode before the border is made, so that it goes on with what is left; in the others the
formulas above already say it.  Widths are given from the last axis to the first, as in PyTorch.

Source: torch.nn.functional.pad.
"""

from functools import lru_cache

import numpy as np

from ..kernels.resample import Table
from .movement import CropOp, PadOp
from .resample import ResampleOp
from .shapes import check_array, check_choice

MODES = ("constant", "reflect", "replicate", "circular")


@lru_cache(maxsize=256)
def table(mode, I, lo, hi, dtype):
    """The matrix (lo + I + hi, I) that reads pixel p(o - lo) at output o."""
    i = np.arange(-lo, I + hi)
    if mode == "replicate":
        pixel = np.clip(i, 0, I - 1)
    elif mode == "reflect":
        pixel = I - 1 - np.abs(I - 1 - np.abs(i))
    else:
        first, last = max(0, -lo), I - max(0, -hi)        # what is left after cropping goes round
        pixel = first + (i - first) % (last - first)
    return Table(pixel[:, None], np.ones((len(i), 1), dtype), I)


def pad(input, pad, mode="constant", value=None):
    """Put a border around the last axes (torch.nn.functional.pad).

    Shapes: input (*, H, W), pad (left, right, top, bottom, ...) -> (*, top + H + bottom, left + W + right).
    pad: pairs of widths in pixels, from the last axis to the first; negative ones crop.
    mode: 'constant' on any number of axes, of any dtype; 'reflect', 'replicate' and 'circular' on all axes but channels, or
          batch and channels.  value: of a constant border, 0 where None.
    Raises ValueError when pad is not in pairs or names more axes than the mode allows; when reflect would need a border as
    wide as the picture, circular a wider one, or nothing is left.

    >>> from tinyvision import Tensor
    >>> pad(Tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    Tensor([[3., 2., 1., 2., 3., 2.]])
    """
    check_choice("pad", "mode", mode, MODES)
    check_array("pad", input=input)
    pairs = as_pairs(pad, input.ndim)
    if mode == "constant":
        return pad_constant(input, pairs, 0 if value is None else value)
    if value:
        raise ValueError(f"pad: value is for mode 'constant' only, got value={value} with mode {mode!r}. Leave it out.")
    if len(pairs) not in (1, 2, 3) or input.ndim - len(pairs) not in (1, 2):
        raise ValueError(f"pad: mode {mode!r} takes a pair of widths for every axis of (C, *S) or (N, C, *S) but N and C, "
                         f"three at most, got {len(pairs)} pairs for input {input.shape}. Use (0, 0) for axes to be left.")
    dtype = input.dtype if input.dtype.kind == "f" else np.dtype("float32")
    for axis, (lo, hi) in pairs.items():
        check_border(mode, axis, input.shape, lo, hi)
    y = input
    for axis, (lo, hi) in pairs.items():
        y = ResampleOp(table(mode, input.shape[axis], lo, hi, dtype), axis)(y)
    return y


def as_pairs(pad, ndim):
    """{axis: (before, after)} from (left, right, top, bottom, ...)."""
    if not isinstance(pad, (tuple, list)) or any(isinstance(w, bool) or not hasattr(w, "__index__") for w in pad):
        raise TypeError(f"pad: pad must be a tuple of integers (left, right, top, bottom, ...), got {pad!r}.")
    if len(pad) % 2 or len(pad) > 2 * ndim:
        raise ValueError(f"pad: pad must hold a pair (before, after) for each of the last axes, {ndim} pairs at most, got "
                         f"{tuple(pad)}.")
    widths = [int(w) for w in pad]
    return {ndim - 1 - k: (widths[2 * k], widths[2 * k + 1]) for k in range(len(widths) // 2)}


def pad_constant(x, pairs, value):
    """Crop what is negative, then frame what is left."""
    widths = [pairs.get(axis, (0, 0)) for axis in range(x.ndim)]
    crops = tuple((max(0, -lo), max(0, -hi)) for lo, hi in widths)
    if any(lo + hi > n for n, (lo, hi) in zip(x.shape, crops)):
        raise ValueError(f"pad: cannot take more pixels away than there are, got input {x.shape} and widths {widths}.")
    x = CropOp(crops)(x) if any(map(any, crops)) else x
    return PadOp(tuple((max(0, lo), max(0, hi)) for lo, hi in widths), value)(x)


def check_border(mode, axis, shape, lo, hi):
    """Whether the pixels that the border shall be made of exist."""
    I = shape[axis]
    if I < 1 or lo + I + hi < 1:
        raise ValueError(f"pad: every axis must have at least one pixel before and after, got {I} -> {lo + I + hi} on axis "
                         f"{axis} of input {shape} with widths {(lo, hi)}.")
    left = I - max(0, -lo) - max(0, -hi)
    if mode == "reflect" and max(lo, hi) >= I:
        raise ValueError(f"pad: a reflected border must be narrower than the picture, got widths {(lo, hi)} for {I} pixels on "
                         f"axis {axis} of input {shape}. Use smaller widths or mode='replicate'.")
    if mode == "circular" and max(lo, hi) > left:
        raise ValueError(f"pad: a circular border goes round once at most, got widths {(lo, hi)} for {left} pixels on axis "
                         f"{axis} of input {shape}. Use smaller widths or pad twice.")
