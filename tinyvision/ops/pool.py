"""max_pool, max_unpool and avg_pool: one number for all pixels under a window, and ways back to the image.

W(o) is the set of pixels under the window at position o (kernels/window.py); pictures and channels are treated one by one.

    max_pool   y_o = max over p in W(o) of x_p  =  x_{i(o)}         i(o): the index of the largest pixel
    avg_pool   y_o = (sum over p in W(o) of x_p) / d_o              d_o: the number of pixels

Which pixel is the largest does not change when x changes a little.  So i is a constant, and max_pool is a gather by index,
linear in x, whose adjoint adds every gradient to the pixel that won:

    gather        y_o = x_{i(o)}                                    <g, gather x> = <scatter_add g, x>
    scatter_add   x_p = sum of g_o over the o with i(o) = p         a pixel that won twice gets both gradients

max_unpool puts each value where its maximum came from, x_{i(o)} = u_o, and zero elsewhere.  While windows do not overlap no
index repeats, and this is scatter_add, the adjoint of max_pool.  Where an index repeats it is not: the last value stays.  Its
gradient is g_{i(o)}, a gather; as in PyTorch the values that were written over receive it too.

For the average the sum over windows and its adjoint are the pair, and d is a constant:

    window_sum    y_o = sum of x_p over p in W(o)                   <g, window_sum x> = <window_spread g, x>
    window_spread x_p = sum of g_o over the o with p in W(o)

Conventions: of equal pixels the first in row-major order wins; NaN wins over numbers, the last NaN over others (PyTorch);
max_pool pads with minus infinity, avg_pool with zeros.  Sources: LeCun et al. 1998, doi:10.1109/5.726791 (average);
Ranzato et al. 2007, doi:10.1109/CVPR.2007.383157 (maximum); Zeiler and Fergus 2014, arXiv:1311.2901 (unpooling).
"""

import copy
from math import prod

from ..backend import constant, on_device
from ..kernels import pool as kernels
from ..kernels.window import Window
from ..tensor import Op, raw
from .activation import relu
from .elementwise import constant_like
from .index import check_indices
from .shapes import AXES, as_tuple, batched, check_fits, check_float, check_pixels


class GatherOp(Op):
    """(N, C, *S) -> (N, C, *O): the pixels with these indices, which count each plane row by row"""

    def __init__(self, index):
        self.index = index

    def forward(self, x):
        return kernels.gather(x, self.index)

    def backward(self, g, x):
        return ScatterAddOp(self.index, x.shape[2:])(g)


class ScatterAddOp(Op):
    """(N, C, *O) -> (N, C, *sizes): the adjoint of GatherOp"""

    def __init__(self, index, sizes):
        self.index, self.sizes = index, sizes

    def forward(self, g):
        return kernels.scatter_add(g, self.index, self.sizes)

    def backward(self, gg, g):
        return GatherOp(self.index)(gg)


class MaxPoolOp(Op):
    """(N, C, *S) -> (N, C, *out): the gather of the maxima, found on the way; `tap` is the pixel of each window that won.

    With relu, relu(max_pool(x)): where the maximum is not above 0, the tap is that of no pixel, and no gradient goes back.
    """

    def __init__(self, window, out, relu=False):
        self.window, self.out, self.relu = window, out, relu

    def forward(self, x):
        y, self.tap = (kernels.window_max_relu if self.relu else kernels.window_max)(x, self.window, self.out)
        return y

    def backward(self, g, x):
        return ScatterTapsOp(self.tap, self.window, x.shape[2:])(g)

    def without_relu(self):
        """The maximum by itself, of the same windows."""
        pool = copy.copy(self)
        pool.relu, pool.tap = False, self.tap % prod(self.window.size)
        return pool


class ScatterTapsOp(Op):
    """(N, C, *O) -> (N, C, *sizes): the ScatterAddOp of the maxima, and so the adjoint of their gather"""

    def __init__(self, tap, window, sizes):
        self.tap, self.window, self.sizes = tap, window, sizes

    def forward(self, g):
        return kernels.scatter_taps(g, self.tap, self.window, self.sizes)

    def backward(self, gg, g):
        taps = prod(self.window.size)
        y = GatherOp(kernels.tap_index(self.tap % taps, self.window, self.sizes))(gg)
        return y * (self.tap < taps).astype(g.dtype)      # a tap of no pixel had nothing to scatter


class ScatterOp(Op):
    """(N, C, *O) -> (N, C, *sizes): equal to ScatterAddOp while no index repeats"""

    def __init__(self, index, sizes):
        self.index, self.sizes = index, sizes

    def forward(self, u):
        return kernels.scatter(u, self.index, self.sizes)

    def backward(self, g, u):
        return GatherOp(self.index)(g)


class WindowSumOp(Op):
    """(N, C, *S) -> (N, C, *out)"""

    def __init__(self, window, out):
        self.window, self.out = window, out

    def forward(self, x):
        return kernels.window_sum(x, self.window, self.out)

    def backward(self, g, x):
        return WindowSpreadOp(self.window, x.shape[2:])(g)


class WindowSpreadOp(Op):
    """(N, C, *O) -> (N, C, *sizes): the adjoint of WindowSumOp"""

    def __init__(self, window, sizes):
        self.window, self.sizes = window, sizes

    def forward(self, g):
        return kernels.window_spread(g, self.window, self.sizes)

    def backward(self, gg, g):
        return WindowSumOp(self.window, g.shape[2:])(gg)


def sliding(op, n, sizes, kernel_size, stride, padding, dilation, ceil_mode):
    """The window of a pooling over an image of these sizes, checked, and its number of positions."""
    size = as_tuple(op, "kernel_size", kernel_size, n, least=1)
    stride = strides(op, n, stride, size)
    dilation = as_tuple(op, "dilation", dilation, n, least=1)
    padding = as_tuple(op, "padding", padding, n, least=0)
    if any(p > k // 2 for p, k in zip(padding, size)):
        raise ValueError(f"{op}: padding must be at most half of kernel_size, got padding {padding} and kernel_size {size}. "
                         "A window must not lie in the padding alone: use less padding or a larger kernel.")
    window = Window(size, stride, tuple((p, p) for p in padding), dilation)
    return window, check_fits(op, window, sizes, ceil_mode)


def strides(op, n, stride, size):
    """The default is windows side by side: a stride of the kernel's size."""
    return size if stride in (None, (), []) else as_tuple(op, "stride", stride, n, least=1)


def max_pool(op, n, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=False, rectified=False):
    """max_pool1d, max_pool2d and max_pool3d: check, one op; rectified: and a ReLU, in that op if there is a kernel for both."""
    x, batch = batched(op, input, n)
    if x.dtype.kind not in "fiu":
        raise TypeError(f"{op}: input must hold numbers, got {x.dtype}. Use input.astype('float32').")
    check_pixels(op, x)
    window, out = sliding(op, n, x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    if not kernels.meets_image(window, x.shape[2:], out):
        raise ValueError(f"{op}: every window must meet a pixel, but with dilation {window.dilation} one steps from the "
                         f"padding {window.padding} over the whole image {x.shape[2:]}. Use less dilation or no padding.")
    fused = on_device(raw(x)) or kernels.in_fours(window, x.shape[2:], out)
    if rectified and fused and x.dtype.kind == "f":
        return finish(MaxPoolOp(window, out, relu=True)(x), batch)
    pool = MaxPoolOp(window, out)
    y = relu(pool(x)) if rectified else pool(x)
    return finish(y, batch, kernels.tap_index(pool.tap, window, x.shape[2:]) if return_indices else None)


def gathered(x, batch, index, return_indices):
    """The pixels of x with these indices, and the indices themselves if wanted."""
    # a copy: backward needs the indices as they are, whatever the caller does with theirs
    return finish(GatherOp(index)(x), batch, index.copy() if return_indices else None)


def finish(y, batch, index=None):
    """The result without a batch axis that was put in front, and the indices if there are any."""
    y, index = (y, index) if batch else (y[0], None if index is None else index[0])
    return y if index is None else (y, constant_like(y, index))


def max_unpool(op, n, input, indices, kernel_size, stride, padding, output_size):
    """max_unpool1d, max_unpool2d and max_unpool3d: find the size, check the indices, scatter."""
    check_float(op, input=input)
    u, batch = batched(op, input, n)
    check_pixels(op, u)
    size = as_tuple(op, "kernel_size", kernel_size, n, least=1)
    stride = strides(op, n, stride, size)
    padding = as_tuple(op, "padding", padding, n, least=0)
    window = Window(size, stride, tuple((p, p) for p in padding), (1,) * n)
    sizes = unpooled_sizes(op, n, window.smallest(u.shape[2:]), stride, output_size)
    what = f"pixels of an output plane {sizes} (pass output_size where the pooled picture was larger)"
    index = check_indices(op, "indices", indices, prod(sizes), what)
    if index.shape != input.shape:
        raise ValueError(f"{op}: indices must have the shape of input, one for each value, got indices {index.shape} and "
                         f"input {input.shape}. Use those of max_pool{n}d(..., return_indices=True).")
    y = ScatterOp(index.reshape(u.shape), sizes)(u)
    return y if batch else y[0]


def unpooled_sizes(op, n, usual, stride, output_size):
    """The sizes asked for, if pooling could have led from them to the input; the usual ones for None."""
    sizes = usual
    if output_size is not None:
        listed = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * n
        listed = listed[2:] if len(listed) == n + 2 else listed           # (N, C, *S) is welcome: x.shape
        sizes = as_tuple(op, "output_size", listed, n)
        for axis, size, middle, s in zip(AXES[n], sizes, usual, stride):
            if not middle - s < size < middle + s:
                raise ValueError(f"{op}: output_size must lie within the stride {s} of {middle} along {axis}, so between "
                                 f"{middle - s + 1} and {middle + s - 1}, got {size}. Pass the shape that was pooled.")
    if min(sizes) < 1:
        raise ValueError(f"{op}: the output must have at least one pixel, got sizes {sizes}. Use less padding.")
    return sizes


def avg_pool(op, n, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override=None):
    """avg_pool1d, avg_pool2d and avg_pool3d: sum over windows, divide."""
    check_float(op, input=input)
    x, batch = batched(op, input, n)
    check_pixels(op, x)
    window, out = sliding(op, n, x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    divisor = divisor_override
    if divisor is None:
        counts = kernels.window_count(window, x.shape[2:], out, count_include_pad)            # (*O)
        same = counts.size and (counts == counts.flat[0]).all()           # as without padding: nothing to bring to a device
        divisor = int(counts.flat[0]) if same else constant(raw(x), counts.astype(x.dtype))
    elif isinstance(divisor, bool) or not hasattr(divisor, "__index__") or divisor == 0:
        raise ValueError(f"{op}: divisor_override must be an integer other than 0, or None for the number of pixels under "
                         f"the window, got {divisor!r}.")
    y = WindowSumOp(window, out)(x) / divisor
    return y if batch else y[0]


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest value under every window of a signal (torch.nn.functional.max_pool1d).

    Shapes: input (N, C, W) or (C, W) -> (N, C, OW) or (C, OW); OW and all else as in max_pool2d, in samples.
    Raises ValueError and TypeError as max_pool2d does.

    >>> from tinyvision import Tensor
    >>> max_pool1d(Tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    Tensor([[[3., 2.]]])
    """
    return max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest pixel under every window of a picture (torch.nn.functional.max_pool2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW) or (C, OH, OW),
            OH = floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1, likewise OW; ceil_mode rounds up instead, so that
            a last window may hang over the end, unless it would begin in the padding there.
    kernel_size, stride (default: kernel_size), padding (with minus infinity), dilation: pixels, an int or a (vertical,
    horizontal) pair.  return_indices: return also the index of each maximum, int64, counting the plane row by row.
    Raises ValueError for a kernel larger than the padded picture, padding above half the kernel or a window that meets no
    pixel, TypeError for input that does not hold numbers (integers are allowed: they are compared, not added).

    >>> from tinyvision import Tensor
    >>> max_pool2d(Tensor([[[1.0, 2.0, 5.0, 4.0], [3.0, 0.0, 5.0, 6.0]]]), 2, return_indices=True)
    (Tensor([[[3., 6.]]]), Tensor([[[4, 7]]]))
    """
    return max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest voxel under every window of a volume: max_pool2d with three axes (torch.nn.functional.max_pool3d).

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, C, OD, OH, OW) or (C, OD, OH, OW); sizes as in max_pool2d, in voxels.
    Raises ValueError and TypeError as max_pool2d does.

    >>> import numpy as np
    >>> max_pool3d(np.arange(8.0).reshape(1, 1, 2, 2, 2), 2)
    array([[[[[7.]]]]])
    """
    return max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put every value back where max_pool1d found it, zeros elsewhere (torch.nn.functional.max_unpool1d).

    Shapes: input and indices (N, C, W) or (C, W) -> (N, C, OW) or (C, OW), OW as in max_unpool2d, in samples.
    Raises ValueError and TypeError as max_unpool2d does.

    >>> from tinyvision import Tensor
    >>> max_unpool1d(Tensor([[[3.0, 2.0]]]), [[[1, 2]]], 2)
    Tensor([[[0., 3., 2., 0.]]])
    """
    return max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put every value back where max_pool2d found it, zeros elsewhere (torch.nn.functional.max_unpool2d).

    Shapes: input and indices (N, C, H, W) or (C, H, W) -> (N, C, OH, OW) or (C, OH, OW),
            OH = (H - 1)*stride - 2*padding + KH, likewise OW, unless output_size says otherwise.
    indices: from max_pool2d(..., return_indices=True); where one repeats (overlapping windows) the last value stays.
    kernel_size, stride, padding: those of the pooling, in pixels; output_size: (OH, OW) or (N, C, OH, OW), less than a stride
    away from the formula, for several sizes are pooled to one.
    Raises ValueError for indices outside the plane or of another shape than input and for an impossible output_size,
    TypeError for indices that are not integers or input that is not floating point.

    >>> from tinyvision import Tensor
    >>> max_unpool2d(Tensor([[[3.0, 6.0]]]), [[[4, 7]]], 2)
    Tensor([[[0., 0., 0., 0.],
             [3., 0., 0., 6.]]])
    """
    return max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put every value back where max_pool3d found it, zeros elsewhere (torch.nn.functional.max_unpool3d).

    Shapes: input and indices (N, C, D, H, W) or (C, D, H, W) -> (N, C, OD, OH, OW), sizes as in max_unpool2d, in voxels.
    Raises ValueError and TypeError as max_unpool2d does.

    >>> import numpy as np
    >>> max_unpool3d(np.ones((1, 1, 1, 1, 1)), np.full((1, 1, 1, 1, 1), 6), 2)[0, 0, 1]
    array([[0., 0.],
           [1., 0.]])
    """
    return max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean under every window of a signal (torch.nn.functional.avg_pool1d).

    Shapes: input (N, C, W) or (C, W) -> (N, C, OW) or (C, OW); OW and all else as in avg_pool2d, in samples.
    Raises ValueError and TypeError as avg_pool2d does.

    >>> from tinyvision import Tensor
    >>> avg_pool1d(Tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    Tensor([[[2., 1.]]])
    """
    return avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The mean of the pixels under every window of a picture (torch.nn.functional.avg_pool2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW) or (C, OH, OW), OH as in max_pool2d without dilation.
    kernel_size, stride (default: kernel_size), padding (with zeros): pixels, an int or a (vertical, horizontal) pair.
    count_include_pad: whether the pixels of the padding count in the mean's denominator; what hangs over it (ceil_mode) never
    does.  divisor_override: an integer to divide by instead.
    Raises ValueError for a kernel larger than the padded picture, padding above half the kernel or divisor 0, TypeError
    for input that is not floating point.

    >>> from tinyvision import Tensor
    >>> x = Tensor([[[4.0, 8.0], [0.0, 0.0]]])
    >>> avg_pool2d(x, 2), avg_pool2d(x, 2, padding=1, count_include_pad=False)
    (Tensor([[[3.]]]), Tensor([[[4., 8.],
             [0., 0.]]]))
    """
    return avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    """The mean of the voxels under every window of a volume (torch.nn.functional.avg_pool3d).

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, C, OD, OH, OW) or (C, OD, OH, OW); all else as in avg_pool2d.
    Raises ValueError and TypeError as avg_pool2d does.

    >>> import numpy as np
    >>> avg_pool3d(np.arange(8.0).reshape(1, 1, 2, 2, 2), 2)
    array([[[[[3.5]]]]])
    """
    return avg_pool("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
