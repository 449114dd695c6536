"""Pooling: shrink pictures by taking the largest, or the mean, of every window; and Unfold and Fold, which show the windows.

    MaxPool, AvgPool              windows of kernel_size, placed every stride pixels (stride None: kernel_size, no overlap)
    AdaptiveMaxPool, -AvgPool     as many windows as the output has pixels, whatever the input's size
    MaxUnpool                     puts the maxima back where the indices of MaxPool say they were, zeros elsewhere
    Unfold, Fold                  every window as a column, and the sum of columns back to pictures

Nothing is learned here.  The text is the same for 1, 2 and 3 axes; a class names its number of axes.

Source: torch.nn.MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, MaxUnpool2d, Unfold, Fold.
"""

from .. import functional as F
from ..ops.pool import max_pool
from ..ops.shapes import as_tuple
from .activation import ReLU
from .checks import flag, sizes, whole
from .module import Module, untouched


class MaxPool(Module):
    """MaxPool1d, MaxPool2d and MaxPool3d."""

    ndim = None                                           # spatial axes

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        name, n = type(self).__name__, self.ndim
        stride = kernel_size if stride is None else stride
        sizes(name, n, kernel_size=kernel_size, stride=stride, dilation=dilation)
        check_padding(name, n, kernel_size, padding)
        flag(name, return_indices=return_indices, ceil_mode=ceil_mode)
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input):
        pool = getattr(F, f"max_pool{self.ndim}d")
        return pool(input, self.kernel_size, self.stride, self.padding, self.dilation, ceil_mode=self.ceil_mode,
                    return_indices=self.return_indices)

    def extra_repr(self):
        return (f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
                f"ceil_mode={self.ceil_mode}")


PLAIN, RELU = MaxPool.forward, ReLU.forward


def relu_pool(relu, pool, x):
    """pool(relu(x)): of a ReLU and a maximum the maximum first, where nobody can tell the difference: few pixels are left then.

    Neither changes the order of numbers, so the maximum of what is cut off at 0 is the maximum, cut off.  The gradients are the
    same, too: where it is above 0, the same pixel has won; where not, nothing gets any.  In evaluation they are called one by
    one, for there the deconvnet asks which pixel has won among zeros.
    """
    if not commute(relu, pool):
        return pool(relu(x))
    n = pool.ndim
    return max_pool(f"max_pool{n}d", n, x, pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode,
                    rectified=True)


def commute(relu, pool):
    """Whether two modules are a ReLU and a maximum in training, both just as they are here; indices would tell of the order."""
    return (isinstance(relu, ReLU) and relu.training and isinstance(pool, MaxPool) and not pool.return_indices
            and untouched(relu, RELU) and untouched(pool, PLAIN))


def check_padding(name, n, kernel_size, padding):
    """A window must not lie in the padding altogether."""
    kernel, pad = as_tuple(name, "kernel_size", kernel_size, n, 1), as_tuple(name, "padding", padding, n, 0)
    if any(2 * p > k for p, k in zip(pad, kernel)):
        raise ValueError(f"{name}: padding must be at most half of kernel_size (else a window could see no pixel), got "
                         f"padding={padding} and kernel_size={kernel_size}.")


class MaxPool1d(MaxPool):
    """The largest sample of every window (torch.nn.MaxPool1d); arguments as MaxPool2d.

    Shapes: input (N, C, W) or (C, W) -> (N, C, OW) or (C, OW).

    >>> from tinyvision import Tensor
    >>> MaxPool1d(2)(Tensor([[[1.0, 4.0, 3.0, 2.0]]]))
    Tensor([[[4., 3.]]])
    """

    ndim = 1


class MaxPool2d(MaxPool):
    """The largest pixel of every window (torch.nn.MaxPool2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW) or (C, OH, OW),
            OH = floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1, likewise OW.
    kernel_size, stride, padding, dilation: pixels, an int or a pair; stride None: kernel_size.
    return_indices: give a pair, maxima and where each was, as an index into H*W (for MaxUnpool2d).
    ceil_mode: round OH up; the last window may hang over the end.
    Raises ValueError for padding above half of kernel_size and sizes below 1.

    >>> from tinyvision import Tensor
    >>> MaxPool2d(2)(Tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    Tensor([[[4.]]])
    """

    ndim = 2


class MaxPool3d(MaxPool):
    """The largest voxel of every window (torch.nn.MaxPool3d); arguments as MaxPool2d.

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, C, OD, OH, OW) or (C, OD, OH, OW).

    >>> import numpy as np
    >>> MaxPool3d(2)(np.ones((1, 2, 4, 6, 8))).shape
    (1, 2, 2, 3, 4)
    """

    ndim = 3


class AvgPool(Module):
    """AvgPool2d and AvgPool3d, and AvgPool1d, which lacks the last argument."""

    ndim = None                                           # spatial axes

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
        name, n = type(self).__name__, self.ndim
        stride = kernel_size if stride is None else stride
        sizes(name, n, kernel_size=kernel_size, stride=stride)
        check_padding(name, n, kernel_size, padding)
        flag(name, ceil_mode=ceil_mode, count_include_pad=count_include_pad)
        if divisor_override is not None:
            whole(name, divisor_override=divisor_override)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, input):
        pool = getattr(F, f"avg_pool{self.ndim}d")
        override = {} if self.ndim == 1 else {"divisor_override": self.divisor_override}
        return pool(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, **override)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(AvgPool):
    """The mean of every window (torch.nn.AvgPool1d); arguments as AvgPool2d, without divisor_override.

    Shapes: input (N, C, W) or (C, W) -> (N, C, OW) or (C, OW).

    >>> from tinyvision import Tensor
    >>> AvgPool1d(2)(Tensor([[[1.0, 4.0, 3.0, 2.0]]]))
    Tensor([[[2.5, 2.5]]])
    """

    ndim = 1

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)


class AvgPool2d(AvgPool):
    """The mean of every window (torch.nn.AvgPool2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW) or (C, OH, OW), OH as in MaxPool2d without dilation.
    count_include_pad: whether the zeros of the padding count as pixels.  divisor_override: divide by this number instead.
    Raises ValueError for padding above half of kernel_size and sizes below 1.

    >>> from tinyvision import Tensor
    >>> AvgPool2d(2)(Tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    Tensor([[[2.5]]])
    """

    ndim = 2


class AvgPool3d(AvgPool):
    """The mean of every window (torch.nn.AvgPool3d); arguments as AvgPool2d.

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, C, OD, OH, OW) or (C, OD, OH, OW).

    >>> import numpy as np
    >>> AvgPool3d(2)(np.ones((1, 2, 4, 6, 8))).shape
    (1, 2, 2, 3, 4)
    """

    ndim = 3


class AdaptivePool(Module):
    """The adaptive layers: an output size instead of a window, None along an axis for the input's."""

    ndim = None                                           # spatial axes

    def __init__(self, output_size):
        items = output_size if isinstance(output_size, (tuple, list)) else (output_size,)
        if len(items) not in (1, self.ndim):
            raise ValueError(f"{type(self).__name__}: output_size must be one integer or {self.ndim}, got {output_size!r}.")
        for size in items:
            if size is not None:
                whole(type(self).__name__, output_size=size)
        self.output_size = output_size

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveMaxPool(AdaptivePool):
    """AdaptiveMaxPool1d, AdaptiveMaxPool2d and AdaptiveMaxPool3d."""

    def __init__(self, output_size, return_indices=False):
        super().__init__(output_size)
        flag(type(self).__name__, return_indices=return_indices)
        self.return_indices = return_indices

    def forward(self, input):
        return getattr(F, f"adaptive_max_pool{self.ndim}d")(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """The largest sample of each of output_size nearly equal windows (torch.nn.AdaptiveMaxPool1d).

    >>> from tinyvision import Tensor
    >>> AdaptiveMaxPool1d(2)(Tensor([[[1.0, 4.0, 3.0, 2.0]]]))
    Tensor([[[4., 3.]]])
    """

    ndim = 1


class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """The largest pixel of each of OH * OW nearly equal windows (torch.nn.AdaptiveMaxPool2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW) or (C, OH, OW).
    output_size: OH and OW, an int or a pair, None for the input's size.  return_indices: as in MaxPool2d.
    Raises ValueError for sizes below 1.

    >>> import numpy as np
    >>> AdaptiveMaxPool2d((None, 2))(np.ones((1, 3, 5, 7))).shape
    (1, 3, 5, 2)
    """

    ndim = 2


class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """The largest voxel of each of OD * OH * OW nearly equal windows (torch.nn.AdaptiveMaxPool3d).

    >>> import numpy as np
    >>> AdaptiveMaxPool3d(2)(np.ones((1, 3, 5, 7, 6))).shape
    (1, 3, 2, 2, 2)
    """

    ndim = 3


class AdaptiveAvgPool(AdaptivePool):
    """AdaptiveAvgPool1d, AdaptiveAvgPool2d and AdaptiveAvgPool3d."""

    def forward(self, input):
        return getattr(F, f"adaptive_avg_pool{self.ndim}d")(input, self.output_size)


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """The mean of each of output_size nearly equal windows (torch.nn.AdaptiveAvgPool1d).

    >>> from tinyvision import Tensor
    >>> AdaptiveAvgPool1d(2)(Tensor([[[1.0, 4.0, 3.0, 2.0]]]))
    Tensor([[[2.5, 2.5]]])
    """

    ndim = 1


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """The mean of each of OH * OW nearly equal windows (torch.nn.AdaptiveAvgPool2d); 1 is global average pooling.

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW) or (C, OH, OW).
    output_size: OH and OW, an int or a pair, None for the input's size.
    Raises ValueError for sizes below 1.

    >>> import numpy as np
    >>> AdaptiveAvgPool2d(1)(np.ones((2, 512, 7, 7))).shape
    (2, 512, 1, 1)
    """

    ndim = 2


class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """The mean of each of OD * OH * OW nearly equal windows (torch.nn.AdaptiveAvgPool3d).

    >>> import numpy as np
    >>> AdaptiveAvgPool3d((1, 2, 3))(np.ones((1, 3, 5, 7, 6))).shape
    (1, 3, 1, 2, 3)
    """

    ndim = 3


class MaxUnpool(Module):
    """MaxUnpool1d, MaxUnpool2d and MaxUnpool3d."""

    ndim = None                                           # spatial axes

    def __init__(self, kernel_size, stride=None, padding=0):
        name, n = type(self).__name__, self.ndim
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride = sizes(name, n, kernel_size=kernel_size, stride=stride)
        check_padding(name, n, kernel_size, padding)
        self.padding = as_tuple(name, "padding", padding, n, 0)

    def forward(self, input, indices, output_size=None):
        unpool = getattr(F, f"max_unpool{self.ndim}d")
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(MaxUnpool):
    """Put the maxima of a MaxPool1d back to where they were (torch.nn.MaxUnpool1d); arguments as MaxUnpool2d.

    >>> from tinyvision import Tensor
    >>> MaxUnpool1d(2)(*MaxPool1d(2, return_indices=True)(Tensor([[[1.0, 4.0, 3.0, 2.0]]])))
    Tensor([[[0., 4., 3., 0.]]])
    """

    ndim = 1


class MaxUnpool2d(MaxUnpool):
    """Put the maxima of a MaxPool2d back to where they were, zeros elsewhere (torch.nn.MaxUnpool2d).

    layer(input, indices, output_size=None); the arguments of the layer are those of the MaxPool2d to be undone.
    Shapes: input and indices (N, C, H, W) or (C, H, W) -> (N, C, OH, OW) or (C, OH, OW), OH = (H - 1)*stride - 2*padding + KH
            or what output_size says (several sizes are pooled to one H).
    Where windows overlap, a maximum that several of them found is put back once.
    Raises ValueError for sizes out of range.

    >>> from tinyvision import Tensor
    >>> MaxUnpool2d(2)(*MaxPool2d(2, return_indices=True)(Tensor([[[1.0, 2.0], [3.0, 4.0]]])))
    Tensor([[[0., 0.],
             [0., 4.]]])
    """

    ndim = 2


class MaxUnpool3d(MaxUnpool):
    """Put the maxima of a MaxPool3d back to where they were (torch.nn.MaxUnpool3d); arguments as MaxUnpool2d.

    >>> from tinyvision import Tensor
    >>> import numpy as np
    >>> MaxUnpool3d(2)(*MaxPool3d(2, return_indices=True)(Tensor(np.ones((1, 1, 4, 4, 6))))).shape
    (1, 1, 4, 4, 6)
    """

    ndim = 3


class Unfold(Module):
    """Every window of a picture as a column: what im2col does (torch.nn.Unfold).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C*KH*KW, OH*OW) or (C*KH*KW, OH*OW), OH as in Conv2d.
    Raises ValueError for sizes out of range and, when called, for windows that do not fit.

    >>> import numpy as np
    >>> Unfold(3, padding=1)(np.ones((2, 4, 8, 8))).shape
    (2, 36, 64)
    """

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        sizes("Unfold", 2, kernel_size=kernel_size, dilation=dilation, stride=stride)
        sizes("Unfold", 2, least=0, padding=padding)
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input):
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return (f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}")


class Fold(Module):
    """Columns back to pictures, what overlaps added up: the adjoint of Unfold (torch.nn.Fold).

    Shapes: input (N, C*KH*KW, L) or (C*KH*KW, L) -> (N, C, *output_size), L the number of windows in a picture of output_size.
    Raises ValueError for sizes out of range and, when called, for an L that does not fit.

    >>> import numpy as np
    >>> Fold((8, 8), 3, padding=1)(np.ones((2, 36, 64))).shape
    (2, 4, 8, 8)
    """

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        sizes("Fold", 2, output_size=output_size, kernel_size=kernel_size, dilation=dilation, stride=stride)
        sizes("Fold", 2, least=0, padding=padding)
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input):
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return (f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
                f"padding={self.padding}, stride={self.stride}")
