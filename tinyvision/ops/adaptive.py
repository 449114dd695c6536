"""adaptive_max_pool and adaptive_avg_pool: windows chosen so that the output has a given size, whatever the input's.

To make `out` positions from `size` pixels along an axis, cut the axis into `out` equal parts; window o holds every pixel
that the o-th part touches, a fraction of it or all:

    start(o) = floor(o * size / out)        stop(o) = ceil((o + 1) * size / out)        start <= i < stop

So windows differ in size by one pixel at most, and neighbours share one at most; with an output of (1, 1) there is one window,
the whole picture, which is global pooling.

Maximum: a gather by index as in max_pool (ops/pool.py); only the search is different.

Average: with A the sum over windows, y = (A x) / count and gx = A^T (g / count).  Window o holds pixel i when the intervals
(o, o+1) / out and (i, i+1) / size overlap.  That is symmetric in o and i, hence the adjoint of A from `size` to `out` is A
from `out` to `size`: one op, which is its own backward with the sizes exchanged.

Sources: He et al. 2015, Spatial pyramid pooling, arXiv:1406.4729; Lin, Chen and Yan 2014, Network in network, arXiv:1312.4400
(global average pooling); torch.nn.functional.adaptive_avg_pool2d.
"""

import numpy as np

from ..backend import constant
from ..kernels import pool as kernels
from ..tensor import Op, raw
from .pool import gathered
from .reduce import mean
from .shapes import batched, check_float, check_pixels


class AdaptiveSumOp(Op):
    """(N, C, *S) -> (N, C, *out)"""

    def __init__(self, out):
        self.out = out

    def forward(self, x):
        return kernels.adaptive_sum(x, self.out)

    def backward(self, g, x):
        return AdaptiveSumOp(x.shape[2:])(g)


def output_sizes(op, output_size, sizes):
    """An integer for all axes or one for each, of which None keeps the input's size."""
    listed = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * len(sizes)
    if len(listed) != len(sizes):
        raise ValueError(f"{op}: output_size must be one integer or {len(sizes)} (one per spatial axis), got {output_size!r}.")
    out = tuple(h if o is None and isinstance(output_size, (tuple, list)) else o for o, h in zip(listed, sizes))
    if any(isinstance(o, bool) or not hasattr(o, "__index__") for o in out):
        raise TypeError(f"{op}: output_size must hold integers, or None in a tuple to keep the input's size, "
                        f"got {output_size!r}.")
    if min(out) < 0:
        raise ValueError(f"{op}: output_size must be at least 0 pixels, got {output_size!r}.")
    return tuple(int(o) for o in out)


def adaptive(op, n, input, output_size):
    """What both kinds begin with: the input with a batch axis, whether it had one, and the output sizes."""
    check_float(op, input=input)
    x, batch = batched(op, input, n)
    check_pixels(op, x, first=2)
    return x, batch, output_sizes(op, output_size, x.shape[2:])


def adaptive_max_pool(op, n, input, output_size, return_indices):
    x, batch, out = adaptive(op, n, input, output_size)
    index = kernels.bins_argmax(raw(x), [kernels.spans(h, o) for h, o in zip(x.shape[2:], out)])
    return gathered(x, batch, index, return_indices)


def adaptive_avg_pool(op, n, input, output_size):
    x, batch, out = adaptive(op, n, input, output_size)
    if set(out) == {1}:                                                   # global pooling: the plain mean is faster
        y = mean(x, axis=tuple(range(2, n + 2)), keepdims=True)
    else:
        counts = kernels.outer(np.multiply, [kernels.spans(h, o)[1] for h, o in zip(x.shape[2:], out)])
        y = AdaptiveSumOp(out)(x) / constant(raw(x), counts.astype(x.dtype))                  # (N, C, *O) / (*O)
    return y if batch else y[0]


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The largest value of each of OW parts of a signal (torch.nn.functional.adaptive_max_pool1d).

    Shapes: input (N, C, W) or (C, W) -> (N, C, OW) or (C, OW) with output_size OW; all else as in adaptive_max_pool2d.
    Raises ValueError and TypeError as adaptive_max_pool2d does.

    >>> from tinyvision import Tensor
    >>> adaptive_max_pool1d(Tensor([[[1.0, 5.0, 3.0, 2.0, 4.0]]]), 2)
    Tensor([[[5., 4.]]])
    """
    return adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The largest pixel of each of OH x OW parts of a picture (torch.nn.functional.adaptive_max_pool2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW) or (C, OH, OW).
    output_size: (OH, OW) or one integer for both, in pixels; None in the tuple keeps the input's size.
    return_indices: return also the index of each maximum, int64, counting the plane row by row.
    Raises ValueError for an output_size that is negative or of another length and for input without pixels, TypeError for input
    that is not floating point.

    >>> from tinyvision import Tensor
    >>> adaptive_max_pool2d(Tensor([[[1.0, 5.0, 3.0], [7.0, 2.0, 4.0]]]), (1, 2), return_indices=True)
    (Tensor([[[7., 5.]]]), Tensor([[[3, 1]]]))
    """
    return adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The largest voxel of each of OD x OH x OW parts of a volume (torch.nn.functional.adaptive_max_pool3d).

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, C, OD, OH, OW) or (C, OD, OH, OW); all else as in adaptive_max_pool2d.
    Raises ValueError and TypeError as adaptive_max_pool2d does.

    >>> import numpy as np
    >>> adaptive_max_pool3d(np.arange(8.0).reshape(1, 1, 2, 2, 2), (None, 1, 1)).ravel()
    array([3., 7.])
    """
    return adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


def adaptive_avg_pool1d(input, output_size):
    """The mean of each of OW parts of a signal (torch.nn.functional.adaptive_avg_pool1d).

    Shapes: input (N, C, W) or (C, W) -> (N, C, OW) or (C, OW) with output_size OW; all else as in adaptive_avg_pool2d.
    Raises ValueError and TypeError as adaptive_avg_pool2d does.

    >>> from tinyvision import Tensor
    >>> adaptive_avg_pool1d(Tensor([[[1.0, 5.0, 3.0]]]), 2)
    Tensor([[[3., 4.]]])
    """
    return adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The mean of each of OH x OW parts of a picture; output_size 1 is global average pooling
    (torch.nn.functional.adaptive_avg_pool2d).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, OH, OW) or (C, OH, OW).
    output_size: (OH, OW) or one integer for both, in pixels; None in the tuple keeps the input's size.
    Raises ValueError for an output_size that is negative or of another length and for input without pixels, TypeError for input
    that is not floating point.

    >>> from tinyvision import Tensor
    >>> adaptive_avg_pool2d(Tensor([[[1.0, 5.0, 3.0], [7.0, 3.0, 5.0]]]), (1, 2))
    Tensor([[[4., 4.]]])
    """
    return adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """The mean of each of OD x OH x OW parts of a volume (torch.nn.functional.adaptive_avg_pool3d).

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, C, OD, OH, OW) or (C, OD, OH, OW); all else as in adaptive_avg_pool2d.
    Raises ValueError and TypeError as adaptive_avg_pool2d does.

    >>> import numpy as np
    >>> adaptive_avg_pool3d(np.arange(8.0).reshape(1, 1, 2, 2, 2), (None, 1, 1)).ravel()
    array([1.5, 5.5])
    """
    return adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)
