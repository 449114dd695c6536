"""Padding: a border around signals, pictures and volumes.

    ZeroPad           zeros                                   0 0 | a b c | 0 0
    ConstantPad       a number                                v v | a b c | v v
    ReflectionPad     mirrored, the edge not repeated         c b | a b c | b a
    ReplicationPad    the edge repeated                       a a | a b c | c c
    CircularPad       the other end, as on a ring             b c | a b c | a b

padding is in pixels: one integer for all sides, or a pair for each axis, the last axis first: (left, right), (left, right,
top, bottom), (left, right, top, bottom, front, back).  Negative numbers crop.  Raises ValueError for another number of
entries and, when called, for more pixels than the picture has to give.

Source: torch.nn.ZeroPad2d, ConstantPad2d, ReflectionPad2d, ReplicationPad2d, CircularPad2d.
"""

from .. import functional as F
from .checks import whole
from .module import Module


class PadNd(Module):
    """What all of them share: the border's widths; a class names its axes and its mode."""

    ndim = None                                           # spatial axes
    mode = "constant"
    value = None

    def __init__(self, padding):
        n, name = 2 * self.ndim, type(self).__name__
        widths = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * n
        if len(widths) != n:
            raise ValueError(f"{name}: padding must be one integer or {n} (before and after, last axis first), got "
                             f"{padding!r}.")
        for width in widths:
            whole(name, None, padding=width)
        self.padding = widths

    def forward(self, input):
        if not self.ndim < input.ndim <= self.ndim + 2:
            raise ValueError(f"{type(self).__name__}: input must have {self.ndim} spatial axes after (N, C) or (C), got shape "
                             f"{input.shape}.")
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad1d(PadNd):
    """A border of zeros around signals (torch.nn.ZeroPad1d).

    Shapes: input (N, C, W) or (C, W) -> the same with OW = left + W + right.

    >>> from tinyvision import Tensor
    >>> ZeroPad1d((1, 2))(Tensor([[[5.0, 6.0]]]))
    Tensor([[[0., 5., 6., 0., 0.]]])
    """

    ndim = 1
    value = 0


class ZeroPad2d(PadNd):
    """A border of zeros around pictures (torch.nn.ZeroPad2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> the same with OH = top + H + bottom, OW = left + W + right.

    >>> import numpy as np
    >>> ZeroPad2d((1, 2, 0, 3))(np.ones((1, 1, 4, 4))).shape
    (1, 1, 7, 7)
    """

    ndim = 2
    value = 0


class ZeroPad3d(PadNd):
    """A border of zeros around volumes (torch.nn.ZeroPad3d).

    >>> import numpy as np
    >>> ZeroPad3d(1)(np.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 6, 6, 6)
    """

    ndim = 3
    value = 0


class ConstantPadNd(PadNd):
    """The three that pad with a number."""

    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(ConstantPadNd):
    """A border of one number around signals (torch.nn.ConstantPad1d).

    >>> from tinyvision import Tensor
    >>> ConstantPad1d(1, 9.0)(Tensor([[[5.0, 6.0]]]))
    Tensor([[[9., 5., 6., 9.]]])
    """

    ndim = 1


class ConstantPad2d(ConstantPadNd):
    """A border of one number around pictures (torch.nn.ConstantPad2d).

    >>> from tinyvision import Tensor
    >>> ConstantPad2d((1, 0, 0, 1), 9.0)(Tensor([[[5.0]]]))
    Tensor([[[9., 5.],
             [9., 9.]]])
    """

    ndim = 2


class ConstantPad3d(ConstantPadNd):
    """A border of one number around volumes (torch.nn.ConstantPad3d).

    >>> import numpy as np
    >>> ConstantPad3d(1, 9.0)(np.ones((1, 1, 1, 1))).sum()          # 27 voxels, one of them the input
    np.float64(235.0)
    """

    ndim = 3


class ReflectionPad1d(PadNd):
    """Signals continued as in a mirror that stands on the last sample (torch.nn.ReflectionPad1d).

    >>> from tinyvision import Tensor
    >>> ReflectionPad1d(2)(Tensor([[[1.0, 2.0, 3.0]]]))
    Tensor([[[3., 2., 1., 2., 3., 2., 1.]]])
    """

    ndim, mode = 1, "reflect"


class ReflectionPad2d(PadNd):
    """Pictures continued as in mirrors that stand on the outermost pixels (torch.nn.ReflectionPad2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> the same with OH = top + H + bottom, OW = left + W + right; each side < H or W.

    >>> import numpy as np
    >>> ReflectionPad2d(1)(np.arange(4.0).reshape(1, 2, 2))[0, 0].tolist()
    [3.0, 2.0, 3.0, 2.0]
    """

    ndim, mode = 2, "reflect"


class ReflectionPad3d(PadNd):
    """Volumes continued as in mirrors (torch.nn.ReflectionPad3d).

    >>> import numpy as np
    >>> ReflectionPad3d(1)(np.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 6, 6, 6)
    """

    ndim, mode = 3, "reflect"


class ReplicationPad1d(PadNd):
    """Signals continued by their first and last sample (torch.nn.ReplicationPad1d).

    >>> from tinyvision import Tensor
    >>> ReplicationPad1d(2)(Tensor([[[1.0, 2.0, 3.0]]]))
    Tensor([[[1., 1., 1., 2., 3., 3., 3.]]])
    """

    ndim, mode = 1, "replicate"


class ReplicationPad2d(PadNd):
    """Pictures continued by their outermost pixels (torch.nn.ReplicationPad2d).

    >>> import numpy as np
    >>> ReplicationPad2d((1, 0, 0, 0))(np.arange(4.0).reshape(1, 2, 2))[0].tolist()
    [[0.0, 0.0, 1.0], [2.0, 2.0, 3.0]]
    """

    ndim, mode = 2, "replicate"


class ReplicationPad3d(PadNd):
    """Volumes continued by their outermost voxels (torch.nn.ReplicationPad3d).

    >>> import numpy as np
    >>> ReplicationPad3d(1)(np.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 6, 6, 6)
    """

    ndim, mode = 3, "replicate"


class CircularPad1d(PadNd):
    """Signals continued by their other end (torch.nn.CircularPad1d).

    >>> from tinyvision import Tensor
    >>> CircularPad1d(2)(Tensor([[[1.0, 2.0, 3.0]]]))
    Tensor([[[2., 3., 1., 2., 3., 1., 2.]]])
    """

    ndim, mode = 1, "circular"


class CircularPad2d(PadNd):
    """Pictures continued by their other end, as on a torus (torch.nn.CircularPad2d).

    >>> import numpy as np
    >>> CircularPad2d((1, 0, 0, 0))(np.arange(4.0).reshape(1, 2, 2))[0].tolist()
    [[1.0, 0.0, 1.0], [3.0, 2.0, 3.0]]
    """

    ndim, mode = 2, "circular"


class CircularPad3d(PadNd):
    """Volumes continued by their other end (torch.nn.CircularPad3d).

    >>> import numpy as np
    >>> CircularPad3d(1)(np.ones((1, 1, 4, 4, 4))).shape
    (1, 1, 6, 6, 6)
    """

    ndim, mode = 3, "circular"
