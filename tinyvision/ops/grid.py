"""grid_sample: read a picture at arbitrary points; affine_grid: the points of a turned, scaled and shifted picture.

For every output pixel q the grid names a point, and the output is the weighted sum of the pixels around it,

    y[n, c, q] = sum over taps k of  w_k(p) x[n, c, i_k(p)],    p = p(grid[n, q]),    w_k(p) = product over axes of w_k,a(p_a)

with i whole numbers.  Points are relative, -1 to 1 from one end of the picture to the other: of the corner pixels' middles if
align_corners, p = (u + 1)(I - 1)/2, else of their outer edges, p = (u + 1) I/2 - 1/2.  With t = p - floor(p), per axis:

    nearest     the pixel at round(p), weight 1
    bilinear    floor(p), floor(p) + 1 with weights 1 - t, t
    bicubic     floor(p) - 1, ..., floor(p) + 2 with the weights of Keys's cubic at t (resample.py)

Pixels are gathered by index, adjoint to scatter-add: that is the gradient of x.  The weights are ordinary functions of the
grid, w'(t) times the pixel is its gradient, and the index has none: it is constant between whole numbers.

Points beyond the picture read 0 (padding 'zeros'), the nearest border pixel ('border': the point is held fast at the
border, slope 0 there and beyond) or the picture mirrored in its ends ('reflection').  Bicubic treats each tap so, the others
the point.  The zero outside is a pixel of its own, number P after the P of the picture, so that no weight 0 meets an inf.

Sources: Jaderberg et al. 2015, Spatial transformer networks, arXiv:1506.02025, equations 1 to 7; PyTorch's grid_sample.
"""

from itertools import product
from math import prod

from ..backend import array_module
from ..kernels.resample import gather_pixels, scatter_pixels
from ..tensor import Op, Tensor, raw
from .arithmetic import where
from .elementwise import abs, constant_like
from .matmul import matmul
from .movement import zero_pad
from .resample import cubic_weights
from .shapes import check_choice, check_float


class GatherPixelsOp(Op):
    """(N, C, P) -> (N, C, Q): for every picture the pixels that index (N, Q) names, the same for all channels"""

    def __init__(self, index):
        self.index = index

    def forward(self, x):
        return gather_pixels(x, self.index)

    def backward(self, g, x):
        return ScatterPixelsOp(self.index, x.shape[2])(g)


class ScatterPixelsOp(Op):
    """(N, C, Q) -> (N, C, P): the adjoint, adding up what one pixel was read for"""

    def __init__(self, index, pixels):
        self.index, self.pixels = index, pixels

    def forward(self, g):
        return scatter_pixels(g, self.index, self.pixels)

    def backward(self, gg, g):
        return GatherPixelsOp(self.index)(gg)


def held(p, low, high):
    """p between low and high; outside, and at the ends, the end itself as a constant."""
    value = raw(p)
    return where((value > low) & (value < high), p, array_module(value).clip(value, low, high))


def mirrored(p, I, align_corners):
    """p folded back into the picture at its ends: a wave of slope 1 and -1."""
    low, span = (0, I - 1) if align_corners else (-0.5, I)
    if span == 0:
        return p
    value = raw(p) - low
    start = value - array_module(value).mod(value, 2 * span)              # of the period that p is in, a constant
    return span - abs(p - low - start - span) + low


def axis_taps(p, I, mode, padding, align_corners):
    """The taps of one axis at points p (N, Q), in pixels: pairs (whole pixel, -1 outside; weight, None for 1)."""
    xp = array_module(raw(p))
    if padding == "reflection":
        p = where(xp.isfinite(raw(p)), p, xp.nan)         # infinity has no mirror image
    if mode != "bicubic" and padding == "reflection":
        p = mirrored(p, I, align_corners)
    if mode != "bicubic" and padding != "zeros":
        p = held(p, 0, I - 1)
    elif padding != "reflection":
        p = held(p, -3, I + 2)                            # nothing changes further out; an infinite p would give inf - inf
    if mode == "nearest":
        return [(whole(xp.rint(raw(p)), I), None)]
    low = xp.floor(raw(p))
    t = p - low
    if mode == "bilinear":
        return [(whole(low, I), 1 - t), (whole(low + 1, I), t)]
    return [(whole(folded(low + k, I, padding, align_corners), I), w) for k, w in zip(range(-1, 3), cubic_weights(t))]


def folded(i, I, padding, align_corners):
    """Whole places i beyond the picture brought back into it, as the padding says."""
    xp = array_module(i)
    if padding == "border":
        return xp.clip(i, 0, I - 1)
    if padding == "reflection" and align_corners:         # c b a b c b a: the border pixel stands once
        return I - 1 - xp.abs(xp.mod(i, 2 * (I - 1)) - (I - 1)) if I > 1 else 0 * i
    if padding == "reflection":                           # b a a b c c b: twice
        i = xp.mod(i, 2 * I)
        return xp.where(i < I, i, 2 * I - 1 - i)
    return i


def whole(i, I):
    """Floats as integers, -1 for all that is not a pixel (not a number, too)."""
    inside = (i >= 0) & (i < I)
    return array_module(i).where(inside, i, -1).astype("int64")


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Read pictures at the points of a grid (torch.nn.functional.grid_sample).

    Shapes: input (N, C, H, W), grid (N, OH, OW, 2) -> (N, C, OH, OW); or input (N, C, D, H, W), grid (N, OD, OH, OW, 3).
    grid: points (x, y) or (x, y, z), -1 left, top, front, 1 right, bottom, back; one that is not a number gives no number
          (with 'nearest', the zero outside).
    mode: 'bilinear', 'nearest' (no gradient to the grid, it has slope 0) or, in 2-D, 'bicubic'.
    padding_mode: 'zeros', 'border' or 'reflection'.  align_corners: -1 and 1 are middles of pixels; None means no: edges.
    Raises ValueError when shapes or modes do not go together, TypeError when dtypes differ.

    >>> from tinyvision import Tensor
    >>> grid_sample(Tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), Tensor([[[[0.0, 0.0], [-0.5, 0.5]]]]))
    Tensor([[[[2.5, 3. ]]]])
    """
    check_sampled(input, grid, mode, padding_mode)
    if not isinstance(input, Tensor):
        input = constant_like(grid, input)                # a Tensor if the grid is one
    N, C, *S = input.shape
    sizes, P = grid.shape[1:-1], prod(S)
    Q = prod(sizes)
    points = grid.reshape((N, Q, len(S)))                                 # (N, Q, n)
    x = zero_pad(input.reshape((N, C, P)), ((0, 0), (0, 0), (0, 1)))      # (N, C, P + 1), the last the zero outside
    taps = []
    for a, I in enumerate(S):
        u = points[:, :, len(S) - 1 - a]                                  # x, the first of a point, is the last axis
        p = (u + 1) * ((I - 1) / 2) if align_corners else (u + 1) * (I / 2) - 0.5
        taps.append(axis_taps(p, I, mode, padding_mode, align_corners))
    y = None
    for corner in product(*taps):
        pixels = GatherPixelsOp(pixel_number([i for i, _ in corner], S))(x)
        weight = None
        for _, w in corner:
            weight = w if weight is None else weight * w
        term = pixels if weight is None else pixels * weight.reshape((N, 1, Q))
        y = term if y is None else y + term
    return y.reshape((N, C, *sizes))


def pixel_number(places, sizes):
    """Row-major numbers of the pixels at these places; the number after the last where one is -1, outside."""
    xp = array_module(places[0])
    number, outside = 0, False
    for i, I in zip(places, sizes):
        number, outside = number * I + i, outside | (i < 0)
    return xp.where(outside, prod(sizes), number)


def check_sampled(input, grid, mode, padding_mode):
    check_choice("grid_sample", "mode", mode, ("bilinear", "nearest", "bicubic"))
    check_choice("grid_sample", "padding_mode", padding_mode, ("zeros", "border", "reflection"))
    check_float("grid_sample", input=input, grid=grid)
    n = input.ndim - 2
    if n not in (2, 3) or grid.ndim != n + 2 or grid.shape[-1] != n:
        raise ValueError(f"grid_sample: needs input (N, C, H, W) with grid (N, OH, OW, 2), or input (N, C, D, H, W) with grid "
                         f"(N, OD, OH, OW, 3), got input {input.shape} and grid {grid.shape}.")
    if len(input) != len(grid):
        raise ValueError(f"grid_sample: input and grid must have one batch size, got input {input.shape} and grid {grid.shape}."
                         " One grid for all: broadcast it first.")
    if 0 in input.shape[2:]:
        raise ValueError(f"grid_sample: a picture must have at least one pixel, got input {input.shape}.")
    if mode == "bicubic" and n != 2:
        raise ValueError(f"grid_sample: mode 'bicubic' is for pictures (N, C, H, W), got input {input.shape}. Use 'bilinear'.")


def affine_grid(theta, size, align_corners=None):
    """The points for grid_sample that map pictures by an affine transformation (torch.nn.functional.affine_grid).

    Shapes: theta (N, 2, 3), size (N, C, OH, OW) -> (N, OH, OW, 2); or theta (N, 3, 4), size (N, C, OD, OH, OW).
    theta: A and b of  point = A (x, y) + b,  for every output pixel at (x, y), -1 to 1 as in grid_sample: the identity
           [[1, 0, 0], [0, 1, 0]] reads every pixel where it is.
    Raises ValueError when shapes do not go together, TypeError when theta is not floating point.

    >>> import numpy as np
    >>> affine_grid(np.array([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2))
    array([[[[0., 0.],
             [1., 0.]]]])
    """
    check_float("affine_grid", theta=theta)
    n = len(size) - 2
    if n not in (2, 3) or theta.shape != (size[0], n, n + 1):
        raise ValueError(f"affine_grid: needs theta (N, 2, 3) with size (N, C, OH, OW), or theta (N, 3, 4) with size (N, C, "
                         f"OD, OH, OW), got theta {theta.shape} and size {tuple(size)}.")
    if min(size[1:]) < 1:
        raise ValueError(f"affine_grid: all sizes must be at least 1, got size {tuple(size)}.")
    xp = array_module(raw(theta))
    ends = [1 - 1 / I if not align_corners else float(I > 1) for I in size[2:]]     # where the last pixel's middle is
    lines = [xp.linspace(-end, end, I, dtype=theta.dtype) for end, I in zip(ends, size[2:])]
    axes = xp.meshgrid(*lines, indexing="ij")[::-1]                       # x, y, z: the last axis first
    base = xp.stack([*axes, xp.ones_like(axes[0])], axis=-1)              # (*O, n + 1)
    points = matmul(base.reshape((-1, n + 1)), theta.swapaxes(1, 2))      # (Q, n + 1) @ (N, n + 1, n)
    return points.reshape((size[0], *size[2:], n))
