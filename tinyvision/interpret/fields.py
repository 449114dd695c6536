"""What a value depends on: for every op, which indices of its inputs some indices of its output are computed from.

Along every axis there is a set of indices, an increasing array, and all combinations of them are meant.  For a window with
stride S, dilation D, K taps and lo pixels of padding, the outputs o are computed from the pixels

    o * S - lo + k * D,    k = 0 .. K-1

which may lie outside of the picture, in the padding.  A transposed convolution goes the other way: from the o for which one of
these is the pixel asked for.  A linear layer, a mean or a softmax takes all there is along its axis.  What only moves elements
is asked where each came from, by applying it to their coordinates.  Where branches meet, the sets are united axis by axis.

Source: Araujo, Norris and Sim 2019, Computing receptive fields of convolutional neural networks, doi:10.23915/distill.00021.
"""

from math import prod

import numpy as np

from ..kernels.pool import spans
from ..ops import (activation, activation_smooth, adaptive, arithmetic, broadcast, conv, dropout, elementwise, index, matmul,
                   movement, normalize, pool, reduce, resample, softmax, unfold)
from ..ops.device import each, on_host
from ..tensor import raw


def every(shape):
    return [np.arange(n) for n in shape]


def clipped(sets, shape):
    """The indices that exist; None where nothing is left along an axis."""
    inside = [s[(s >= 0) & (s < n)] for s, n in zip(sets, shape)]
    return inside if all(map(len, inside)) else None


def united(sets, others):
    """Both together, either of which may be None."""
    if sets is None or others is None:
        return others if sets is None else sets
    return [np.union1d(a, b) for a, b in zip(sets, others)]


def aligned(sets, shape, x):
    """Each element from the same place; along an axis that was repeated, from the only one."""
    sizes = np.shape(raw(x))
    skip = len(shape) - len(sizes)
    return [np.zeros(1, np.int64) if n == 1 != m else s for s, m, n in zip(sets[skip:], shape[skip:], sizes)]


def elementwise_fields(op, sets, shape, *inputs):
    return [aligned(sets, shape, x) for x in inputs]


def moved_fields(op, sets, shape, x, *_):
    """Where the elements came from: the op, applied to the coordinates along each axis."""
    sets, sizes = clipped(sets, shape), raw(x).shape
    if sets is None:
        return [None]
    op = index.GetItemOp(each(op.index, on_host)) if isinstance(op, index.GetItemOp) else op
    coordinates = (np.broadcast_to(c, sizes) for c in np.indices(sizes, sparse=True))
    return [[np.unique(op.forward(c)[np.ix_(*sets)]) for c in coordinates]]


def reshape_fields(op, sets, shape, x):
    """Through the number of each element in row-major order."""
    sets = clipped(sets, shape)
    if sets is None:
        return [None]
    number = np.ravel_multi_index(np.ix_(*sets), shape)
    return [[np.unique(c) for c in np.unravel_index(number, raw(x).shape)]]


def transpose_fields(op, sets, shape, x):
    came_from = [a % len(sets) for a in op.axes]
    return [[sets[came_from.index(axis)] for axis in range(len(sets))]]


def concatenate_fields(op, sets, shape, *inputs):
    axis, found, start = op.axis % len(shape), [], 0
    for x in inputs:
        n = raw(x).shape[axis]
        part = sets[axis] - start
        part = part[(part >= 0) & (part < n)]
        found.append([part if a == axis else s for a, s in enumerate(sets)] if len(part) else None)
        start += n
    return found


def pad_fields(op, sets, shape, x):
    return [[s - lo for s, (lo, _) in zip(sets, op.widths)]]


def crop_fields(op, sets, shape, x):
    return [[s + lo for s, (lo, _) in zip(sets, op.widths)]]


def sum_fields(op, sets, shape, x):
    axes = broadcast.axes_of(op.axis, raw(x).ndim)
    rest = iter([s for a, s in enumerate(sets) if a not in axes] if op.keepdims else sets)
    return [[np.arange(n) if a in axes else next(rest) for a, n in enumerate(raw(x).shape)]]


def window_fields(op, sets, shape, x, *_):
    """Convolution and pooling; a convolution sees all channels."""
    w = op.window
    taps = [np.unique(o[:, None] * s - lo + d * np.arange(K))
            for o, s, d, (lo, _), K in zip(sets[2:], w.stride, w.dilation, w.padding, w.size)]
    return [[sets[0], np.arange(raw(x).shape[1]) if isinstance(op, conv.ConvOp) else sets[1], *taps]]


def transposed_fields(op, sets, shape, u, *_):
    """All o with a tap k that writes into the pixel: o * S = pixel + lo - k * D."""
    w, places = op.window, []
    for pixel, s, d, (lo, _), K in zip(sets[2:], w.stride, w.dilation, w.padding, w.size):
        o = pixel[:, None] + lo - d * np.arange(K)
        places.append(np.unique(o[o % s == 0] // s))
    return [[sets[0], np.arange(raw(u).shape[1]), *places]] if all(map(len, places)) else [None]


def unfold_fields(op, sets, shape, x):
    """The columns count the positions row by row."""
    out = op.window.output(raw(x).shape[2:])
    (places,) = reshape_fields(None, [sets[2]], (prod(out),), np.broadcast_to(0, out))
    return [None] if places is None else window_fields(op, [sets[0], np.arange(raw(x).shape[1]), *places], None, x)


def resample_fields(op, sets, shape, x):
    rows = sets[op.axis]
    used = op.table.index[rows[(rows >= 0) & (rows < shape[op.axis])]]
    used = np.unique(used[used < op.table.size])
    return [[used if a == op.axis else s for a, s in enumerate(sets)]] if len(used) else [None]


def bins_fields(op, sets, shape, x, *_):
    """Adaptive pooling: the pixels that each of the equal parts touches."""
    sets = clipped(sets, shape)
    if sets is None:
        return [None]
    places = []
    for o, parts, n in zip(sets[2:], shape[2:], raw(x).shape[2:]):
        start, count = spans(n, parts)
        places.append(np.unique(np.concatenate([np.arange(start[i], start[i] + count[i]) for i in o])))
    return [[*sets[:2], *places]]


def normalize_fields(op, sets, shape, x, w, b, *r):
    """All that the statistics are taken over: the last axes (layer), all pixels, of the group as well, of the batch."""
    whole = every(shape)
    if len(op.seen) == 2:
        last = next(k for k in range(len(shape), -1, -1) if prod(shape[k:]) == op.seen[1])
        used = [*sets[:last], *whole[last:]]
    else:
        used = [whole[0] if 0 in op.axes else sets[0], whole[1] if len(op.seen) == 4 else sets[1], *whole[2:]]
    return [used, None, None, *[sets] * len(r)]


def along_axis_fields(op, sets, shape, x, *_):
    """Softmax, a choice along an axis, a running sum: all there is along it."""
    return [[np.arange(n) if a == op.axis % len(sets) else s for a, (s, n) in enumerate(zip(sets, raw(x).shape))]]


def linear_fields(op, sets, shape, x, *_):
    return [[*sets[:-1], np.arange(raw(x).shape[-1])]]


def matmul_fields(op, sets, shape, a, b):
    a, b = raw(a).shape, raw(b).shape
    front = [aligned(sets[:-2], shape[:-2], np.broadcast_to(0, sizes[:-2])) for sizes in (a, b)]
    return [[*front[0], sets[-2], np.arange(a[-1])], [*front[1], np.arange(b[-2]), sets[-1]]]


def ops_of(*modules):
    """All classes of ops that some files define."""
    return tuple(x for module in modules for x in vars(module).values()
                 if isinstance(x, type) and x.__module__ == module.__name__)


# The first class that fits counts.  GatherOp stands in a forward pass for adaptive max pooling only.
FIELDS = [
    ((conv.ConvOp, pool.MaxPoolOp, pool.WindowSumOp), window_fields),
    ((conv.ConvTransposeOp,), transposed_fields),
    ((normalize.NormalizeOp,), normalize_fields),
    ((adaptive.AdaptiveSumOp, pool.GatherOp), bins_fields),
    ((resample.ResampleOp,), resample_fields),
    ((matmul.LinearOp,), linear_fields),
    ((matmul.MatmulOp,), matmul_fields),
    ((broadcast.SumOp,), sum_fields),
    ((softmax.SoftmaxOp, index.TakeAlongAxisOp, reduce.CumsumOp), along_axis_fields),
    ((unfold.UnfoldOp,), unfold_fields),
    ((movement.ReshapeOp,), reshape_fields),
    ((movement.TransposeOp,), transpose_fields),
    ((movement.ConcatenateOp,), concatenate_fields),
    ((movement.PadOp,), pad_fields),
    ((movement.CropOp,), crop_fields),
    ((movement.FlipOp, index.GetItemOp), moved_fields),
    ((broadcast.BroadcastToOp, dropout.DropoutOp, *ops_of(arithmetic, elementwise, activation, activation_smooth)),
     elementwise_fields),
]


def fields_of(op, sets, shape):
    """For each input of an op the indices, or None, of what these indices of its output, of this shape, are computed from."""
    for classes, rule in FIELDS:
        if isinstance(op, classes):
            return rule(op, sets, shape, *op.inputs)
    raise ValueError(f"receptive_field: what an output of the operation {op.name} depends on is not known here, or is decided by "
                     "values. Use measured_field, which looks at gradients.")
