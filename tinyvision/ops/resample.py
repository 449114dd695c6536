"""interpolate: pictures of another size.  One op, a sparse table along an axis; its adjoint is the transposed table.

Every way of resizing is linear and separable: along one axis the output is  y = A x,  A (O, I) with a few entries per row,

    y_o = sum_t A[o, i(o, t)] x_i(o, t)         gx = A^T g  (I, O)         <g, A x> = <A^T g, x>

and a picture is resized along one axis after the other.  The modes differ only in A.  Let r = I/O be the input pixels per
output pixel.  Pixels are squares with the sample in the middle, so output o stands over the input at  s = r (o + 1/2) - 1/2;
with align_corners the middles of the first and last pixels coincide instead: s = o (I - 1)/(O - 1).

    nearest          1 tap    x at floor(r o): the left end, as PyTorch first did it
    nearest-exact    1 tap    x at floor(r (o + 1/2)): the pixel that s lies in
    linear           2 taps   1 - t and t at floor(s) and the next, t = s - floor(s); bilinear and trilinear: per axis
    bicubic          4 taps   Keys's piecewise cubic with a = -3/4; beyond the border the border pixel is repeated
    area             mean of the pixels floor(o I/O) ... ceil((o + 1) I/O) - 1, those that the output covers or touches
    antialias        the hat of linear, or the cubic with a = -1/2, widened by r where r > 1, so that no pixel is skipped

A pixel reaches only the outputs in whose rows it has a weight other than zero, so neither a NaN nor an infinity spreads.

Sources: Keys 1981, Cubic convolution interpolation for digital image processing; torch.nn.functional.interpolate.
"""

from functools import lru_cache

import numpy as np

from ..kernels.pool import spans
from ..kernels.resample import Table, apply_table
from ..tensor import Op
from .shapes import as_tuple, check_array, check_choice, check_float

NEAREST, LINEAR = ("nearest", "nearest-exact"), {1: "linear", 2: "bilinear", 3: "trilinear"}
MODES = (*NEAREST, *LINEAR.values(), "bicubic", "area")


class ResampleOp(Op):
    """(*, I, *) -> (*, O, *): a table (O, I) along one axis; the adjoint of it is itself with the table transposed"""

    def __init__(self, table, axis):
        self.table, self.axis = table, axis

    def forward(self, x):
        return apply_table(x, self.table, self.axis)

    def backward(self, g, x):
        return ResampleOp(self.table.T, self.axis)(g)


def cubic_near(d, a):
    """Keys's cubic at a distance d in 0..1 pixels: 1 at 0, 0 at 1."""
    return ((a + 2) * d - (a + 3)) * d * d + 1


def cubic_far(d, a):
    """Keys's cubic at a distance d in 1..2 pixels: 0 at both ends."""
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a


def cubic_weights(t, a=-0.75):
    """Weights of the pixels at -1, 0, 1, 2 for a point at t in [0, 1); t may be an array or a Tensor."""
    return [cubic_far(1 + t, a), cubic_near(t, a), cubic_near(1 - t, a), cubic_far(2 - t, a)]


def ratio(I, O, scale, align_corners, dtype):
    """Input pixels per output pixel, in the precision PyTorch has it in; a given scale counts as it is, not as O/I."""
    if align_corners:
        return dtype(I - 1) / dtype(O - 1) if O > 1 else dtype(0)
    return dtype(1 / scale) if scale else dtype(I) / dtype(O)


def source(I, O, scale, align_corners, dtype):
    """Where the middle of each output pixel stands, in input pixels."""
    r, o = float(ratio(I, O, scale, align_corners, dtype)), np.arange(O)
    return (r * o if align_corners else r * (o + 0.5) - 0.5).astype(dtype).astype(np.float64)


def split(s, I):
    """A place as a pixel and the way from it to the next, 0..1."""
    low = np.minimum(np.floor(s), I - 1)
    return low, np.minimum(s - low, 1)


def nearest_taps(I, O, scale, exact, small, dtype):
    """index (O, 1), weight (O, 1).

    Ties are decided as PyTorch decides them: the place is rounded to float32 before the floor is taken, so that 3 * (1/3) is
    1; and small pictures go to a kernel of theirs, which takes a doubled or equal size at its word and computes in float32.
    """
    o = np.arange(O)
    if small and not exact and O in (I, 2 * I):
        s = o * I // O
    elif small or not exact:
        s = float(ratio(I, O, scale, False, np.float32 if small else dtype)) * (o + 0.5 * exact)
    else:
        s = np.maximum(source(I, O, scale, False, dtype), 0) + 0.5
    pixel = np.floor(s.astype(np.float32)).astype(np.int64)
    return np.minimum(pixel, I - 1)[:, None], np.ones((O, 1))


def linear_taps(I, O, scale, align_corners, dtype):
    """index (O, 2), weight (O, 2)"""
    low, t = split(np.maximum(source(I, O, scale, align_corners, dtype), 0), I)
    return np.stack([low, np.minimum(low + 1, I - 1)], 1), np.stack([1 - t, t], 1)


def cubic_taps(I, O, scale, align_corners, dtype):
    """index (O, 4), weight (O, 4)"""
    low, t = split(source(I, O, scale, align_corners, dtype), I)
    return np.clip(low[:, None] + np.arange(-1, 3), 0, I - 1), np.stack(cubic_weights(t), 1)


def area_taps(I, O):
    """index (O, T), weight (O, T), T the largest window"""
    start, count = spans(I, O)
    t = np.arange(count.max())
    inside = t < count[:, None]
    return np.where(inside, start[:, None] + t, 0), inside / count[:, None]


def antialias_taps(mode, I, O, scale, align_corners, dtype):
    """index (O, T), weight (O, T), T as wide as the filter, stretched to cover an output pixel"""
    r = float(ratio(I, O, scale, align_corners, dtype))
    wide, reach = max(r, 1), 1 if mode == "bilinear" else 2
    centre = r * (np.arange(O) + 0.5)                     # in pixels from the left end, pixel i covering i..i+1
    start = np.maximum((centre - reach * wide + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + reach * wide + 0.5).astype(np.int64), I)
    index = start[:, None] + np.arange((stop - start).max())
    d = np.abs((index + 0.5 - centre[:, None]) / wide)
    if mode == "bilinear":
        weight = np.maximum(1 - d, 0)
    else:
        weight = np.where(d < 1, cubic_near(d, -0.5), np.where(d < 2, cubic_far(d, -0.5), 0))
    weight *= index < stop[:, None]
    return np.minimum(index, I - 1), weight / weight.sum(1, keepdims=True)


@lru_cache(maxsize=256)                                   # a network asks for the same few tables at every step
def table(mode, I, O, scale, align_corners, antialias, small, dtype):
    """The matrix (O, I) of a mode along one axis; dtype float32 or float64, small as in nearest_taps."""
    if mode in NEAREST:
        index, weight = nearest_taps(I, O, scale, mode == "nearest-exact", small, dtype)
    elif mode == "area":
        index, weight = area_taps(I, O)
    elif antialias:
        index, weight = antialias_taps(mode, I, O, scale, align_corners, dtype)
    elif mode == "bicubic":
        index, weight = cubic_taps(I, O, scale, align_corners, dtype)
    else:
        index, weight = linear_taps(I, O, scale, align_corners, dtype)
    row = np.broadcast_to(np.arange(O)[:, None], index.shape)
    return Table.of(row.ravel(), index.ravel().astype(np.int64), weight.ravel().astype(dtype), (O, I))


def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None,
                antialias=False):
    """Resize signals, pictures or volumes (torch.nn.functional.interpolate).

    Shapes: input (N, C, W), (N, C, H, W) or (N, C, D, H, W) -> the same with OW, OH, OD; size gives them, an int or one per
            axis, or scale_factor does: OW = floor(W * scale_factor).  Give one of the two.
    mode: 'nearest', 'nearest-exact' and 'area' for any number of axes, 'linear' for one, 'bilinear' and 'bicubic' for two,
          'trilinear' for three.  'nearest' is for label maps too, of any dtype.
    align_corners: whether the middles of the corner pixels keep their place (linear modes and bicubic); None means no.
    recompute_scale_factor: True computes with the ratio of the rounded sizes instead of the given scale_factor.
    antialias: bilinear or bicubic, smoothing before shrinking, as Pillow does.
    Raises ValueError for a mode that does not fit the axes, and for sizes below 1, TypeError for integers in a linear mode.

    >>> from tinyvision import Tensor
    >>> interpolate(Tensor([[[0.0, 4.0]]]), scale_factor=2, mode="linear")
    Tensor([[[0., 1., 3., 4.]]])
    """
    n = check_mode(input, mode, align_corners, antialias)
    if recompute_scale_factor and size is not None:
        raise ValueError("interpolate: recompute_scale_factor is for scale_factor only, got a size, which leaves nothing to "
                         "compute. Leave it out.")
    before = input.shape[2:]
    after, scales = output_sizes(before, size, scale_factor, recompute_scale_factor or mode == "area")
    if antialias or mode in LINEAR.values():
        # PyTorch leaves an axis alone whose size stays, though a scale_factor of 1.1 would move every pixel a little
        scales = [None if i == o else s for i, o, s in zip(before, after, scales)]
    small = n == 2 and sum(after) <= 128                  # see nearest_taps
    dtype = np.float64 if input.dtype == np.float64 else np.float32
    # shrink first, and enlarge the innermost axis first: both keep the data small for longest
    shrinking = [a for a in range(n) if after[a] <= before[a]]
    y = input
    for a in shrinking + [a for a in reversed(range(n)) if a not in shrinking]:
        A = table(mode, before[a], after[a], scales[a], bool(align_corners), bool(antialias), small, dtype)
        y = ResampleOp(A, 2 + a)(y)
    return y


def check_mode(input, mode, align_corners, antialias):
    """The number of spatial axes, when all that is asked for goes together."""
    check_choice("interpolate", "mode", mode, MODES)
    check_array("interpolate", input=input)
    n = input.ndim - 2
    allowed = {**{m: (1, 2, 3) for m in (*NEAREST, "area")}, **{m: (k,) for k, m in LINEAR.items()}, "bicubic": (2,)}[mode]
    if n not in allowed:
        fit = f"Use mode={LINEAR[n]!r} here." if n in LINEAR else "Inputs are (N, C, W), (N, C, H, W) or (N, C, D, H, W)."
        axes = " or ".join(str(k + 2) for k in allowed)
        raise ValueError(f"interpolate: mode {mode!r} takes inputs of {axes} axes, batch and channels first, got shape "
                         f"{input.shape}. {fit}")
    if mode not in NEAREST:
        check_float("interpolate", input=input)
    if align_corners is not None and mode in (*NEAREST, "area"):
        raise ValueError(f"interpolate: align_corners is for the linear modes and bicubic only, got align_corners="
                         f"{align_corners} with mode {mode!r}. Leave it out.")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate: antialias is for modes 'bilinear' and 'bicubic' only, got mode {mode!r}. Leave it out.")
    return n


def output_sizes(inputs, size, scale_factor, recompute):
    """The output sizes, and for each axis the scale to compute with, None for the ratio of the sizes."""
    n = len(inputs)
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate: give either size or scale_factor, got size={size} and scale_factor={scale_factor}.")
    given = size if scale_factor is None else scale_factor
    if isinstance(given, (tuple, list)) and len(given) != n:
        name = "size" if scale_factor is None else "scale_factor"
        raise ValueError(f"interpolate: {name} must be one number or {n} (one per spatial axis), got {given}.")
    if scale_factor is None:
        sizes, scales = as_tuple("interpolate", "size", size, n), (None,) * n
    else:
        scales = tuple(map(float, given if isinstance(given, (tuple, list)) else (given,) * n))
        sizes = tuple(int(i * s) for i, s in zip(inputs, scales))
        scales = (None,) * n if recompute else scales
    if min(sizes) < 1 or min(inputs) < 1:
        raise ValueError(f"interpolate: every axis must have at least one pixel before and after, got {inputs} -> {sizes}. "
                         "Use a larger input, size or scale_factor.")
    return sizes, scales


def upsample_nearest(input, size=None, scale_factor=None):
    """interpolate with mode='nearest' (torch.nn.functional.upsample_nearest).

    Shapes: input (N, C, *S) -> (N, C, *O), one to three axes; sizes and errors as in interpolate.

    >>> from tinyvision import Tensor
    >>> upsample_nearest(Tensor([[[1.0, 2.0]]]), scale_factor=2)
    Tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input, size=None, scale_factor=None):
    """interpolate pictures with mode='bilinear' and align_corners=True (torch.nn.functional.upsample_bilinear).

    Shapes: input (N, C, H, W) -> (N, C, OH, OW); sizes and errors as in interpolate.

    >>> from tinyvision import Tensor
    >>> upsample_bilinear(Tensor([[[[0.0, 2.0]]]]), size=(1, 3))
    Tensor([[[[0., 1., 2.]]]])
    """
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
