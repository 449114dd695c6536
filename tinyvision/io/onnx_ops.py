"""What each Op is in ONNX: one small function per class of Op, in the order of the files of ops/.

A function gets the graph to add to, the op, its result and its inputs, and returns the name of the result.  Most ops are one
node; some (gelu, group norm) are several, and a sum followed by a division becomes ONNX's mean or average pooling.  Only ops of
a pass forward in evaluation stand here; adjoints and losses do not.

Source: https://onnx.ai/onnx/operators (opset 18).
"""

from math import isfinite, pi, prod, sqrt

import numpy as np

from ..kernels import pool as kernels
from ..ops import (activation, activation_smooth, adaptive, arithmetic, broadcast, conv, elementwise, index, matmul, movement,
                   normalize, pool, reduce, resample, softmax)
from ..ops.activation_smooth import SELU_ALPHA, SELU_SCALE
from ..tensor import Tensor, raw

EMITTERS = {}
FIRST, LAST = np.iinfo(np.int64).min + 1, np.iinfo(np.int64).max           # ends of a slice that goes all the way


def emits(*classes):
    """Register a function for these classes of Op."""
    def register(function):
        EMITTERS.update({cls: function for cls in classes})
        return function
    return register


def unsupported(what, layer):
    """The error for what has no translation."""
    return NotImplementedError(f"export_onnx: {what} in {place(layer)} has no translation to ONNX. Replace the layer, or save "
                               "the weights with tinyvision.io.save.")


def place(layer):
    return f"layer {layer!r}" if layer else "the network's own forward"


def integers(*values):
    return np.array(values, np.int64)


def like(y, value):
    """A constant in the dtype of a result."""
    return np.asarray(value, y.dtype)


def operand(graph, x, y):
    """The name of x, or x as a constant, in the dtype of the result y."""
    name = graph.name(x)
    if isinstance(name, str) and raw(x).dtype != y.dtype:
        return graph.add("Cast", name, to=y.dtype)
    return name if isinstance(name, str) else name.astype(y.dtype)


# --- elementwise

SAME_NAME = {arithmetic.AddOp: "Add", arithmetic.SubtractOp: "Sub", arithmetic.MultiplyOp: "Mul", arithmetic.PowerOp: "Pow",
             arithmetic.NegativeOp: "Neg", elementwise.ExpOp: "Exp", elementwise.LogOp: "Log", elementwise.SqrtOp: "Sqrt",
             elementwise.SinOp: "Sin", elementwise.CosOp: "Cos", elementwise.TanhOp: "Tanh", elementwise.SigmoidOp: "Sigmoid",
             elementwise.AbsOp: "Abs", elementwise.ErfOp: "Erf", activation.ReluOp: "Relu", activation.PreluOp: "PRelu",
             activation_smooth.SoftsignOp: "Softsign", activation_smooth.MishOp: "Mish", matmul.MatmulOp: "MatMul"}


@emits(*SAME_NAME)
def same_name(graph, op, y, *inputs):
    return graph.add(SAME_NAME[type(op)], *(operand(graph, x, y) for x in inputs))


@emits(arithmetic.DivideOp)
def divide(graph, op, y, x, by):
    """A sum divided by the number of its elements is a mean; a sum over windows divided by their size an average pooling."""
    above = x.op if isinstance(x, Tensor) else None
    number = None if isinstance(by, Tensor) else np.unique(np.asarray(by))
    if number is not None and number.size == 1 and type(above) in (broadcast.SumOp, pool.WindowSumOp, adaptive.AdaptiveSumOp):
        source = above.inputs[0]
        if isinstance(above, broadcast.SumOp) and number[0] == reduce.count(source, above.axis) and source.ndim:
            return reduced(graph, "ReduceMean", above, source)
        if isinstance(above, pool.WindowSumOp) and number[0] == prod(above.window.size):
            return average_pool(graph, source, above.window, above.out)
        if isinstance(above, adaptive.AdaptiveSumOp) and even(source, above.out) and number[0] == prod(even(source, above.out)):
            return average_pool(graph, source, tiles(even(source, above.out)), above.out)
    return graph.add("Div", operand(graph, x, y), operand(graph, by, y))


@emits(arithmetic.MaximumOp)
def maximum(graph, op, y, a, b):
    return graph.add("Max" if op.sign > 0 else "Min", operand(graph, a, y), operand(graph, b, y))


@emits(arithmetic.WhereOp)
def where(graph, op, y, a, b):
    if raw(a) is raw(b):                                  # what `embedding` does with the row that is not learned
        return graph.name(a if isinstance(a, Tensor) else b)
    return graph.add("Where", np.asarray(op.condition, bool), operand(graph, a, y), operand(graph, b, y))


@emits(elementwise.Log1pOp)
def log1p(graph, op, y, x):
    return graph.add("Log", graph.add("Add", graph.name(x), like(y, 1)))


@emits(elementwise.ClipOp, activation.HardtanhOp)
def clip(graph, op, y, x):
    low, high = (None if limit is None or not isfinite(limit) else like(y, limit) for limit in (op.low, op.high))
    return graph.add("Clip", graph.name(x), low, high)


@emits(elementwise.AstypeOp)
def astype(graph, op, y, x):
    return graph.name(x) if x.dtype == y.dtype else graph.add("Cast", graph.name(x), to=y.dtype)


# --- activations

@emits(activation.LeakyReluOp)
def leaky_relu(graph, op, y, x):
    return graph.add("LeakyRelu", graph.name(x), alpha=float(op.negative_slope))


@emits(activation.HardsigmoidOp)
def hardsigmoid(graph, op, y, x):
    return graph.add("HardSigmoid", graph.name(x), alpha=1 / 6, beta=0.5)


@emits(activation.ThresholdOp)
def threshold(graph, op, y, x):
    below = graph.add("LessOrEqual", graph.name(x), like(y, op.threshold))
    return graph.add("Where", below, like(y, op.value), graph.name(x))


@emits(activation.SoftshrinkOp, activation.HardshrinkOp)
def shrink(graph, op, y, x):
    soft = isinstance(op, activation.SoftshrinkOp)
    return graph.add("Shrink", graph.name(x), lambd=float(op.lambd), bias=float(op.lambd) if soft else 0.0)


@emits(activation_smooth.EluOp)
def elu(graph, op, y, x):
    if (op.alpha, op.scale) == (SELU_ALPHA, SELU_SCALE):
        return graph.add("Selu", graph.name(x), alpha=SELU_ALPHA, gamma=SELU_SCALE)
    if op.rate != 1:
        return graph.add("Celu", graph.name(x), alpha=float(op.alpha))
    return graph.add("Elu", graph.name(x), alpha=float(op.alpha))


@emits(activation_smooth.SoftplusOp)
def softplus(graph, op, y, x):
    if op.beta == 1:
        return graph.add("Softplus", graph.name(x))
    z = graph.add("Mul", graph.name(x), like(y, op.beta))
    return graph.add("Div", graph.add("Softplus", z), like(y, op.beta))


@emits(activation_smooth.LogSigmoidOp)
def logsigmoid(graph, op, y, x):
    return graph.add("Neg", graph.add("Softplus", graph.add("Neg", graph.name(x))))


@emits(activation_smooth.SiluOp)
def silu(graph, op, y, x):
    return graph.add("Mul", graph.name(x), graph.add("Sigmoid", graph.name(x)))


@emits(activation_smooth.GeluOp)
def gelu(graph, op, y, x):
    tail = graph.add("Erf", graph.add("Mul", graph.name(x), like(y, sqrt(0.5))))
    half = graph.add("Mul", graph.add("Add", tail, like(y, 1)), like(y, 0.5))
    return graph.add("Mul", graph.name(x), half)


@emits(activation_smooth.GeluTanhOp)
def gelu_tanh(graph, op, y, x):
    square = graph.add("Mul", graph.name(x), graph.name(x))
    slope = graph.add("Add", graph.add("Mul", square, like(y, 2 * sqrt(2 / pi) * 0.044715)), like(y, 2 * sqrt(2 / pi)))
    gate = graph.add("Sigmoid", graph.add("Mul", graph.name(x), slope))
    return graph.add("Mul", graph.name(x), gate)


@emits(softmax.SoftmaxOp, softmax.LogSoftmaxOp)
def softmaxes(graph, op, y, x):
    kind = "LogSoftmax" if isinstance(op, softmax.LogSoftmaxOp) else "Softmax"
    return graph.add(kind, graph.name(x), axis=int(op.axis))


# --- sums and shapes

def reduced(graph, kind, op, x):
    axes = broadcast.axes_of(op.axis, x.ndim)
    return graph.add(kind, graph.name(x), integers(*axes), keepdims=int(op.keepdims), noop_with_empty_axes=1)


@emits(broadcast.SumOp)
def total(graph, op, y, x):
    return reduced(graph, "ReduceSum", op, x)


@emits(reduce.CumsumOp)
def cumsum(graph, op, y, x):
    return graph.add("CumSum", graph.name(x), np.array(op.axis % x.ndim, np.int64))


@emits(broadcast.BroadcastToOp)
def expand(graph, op, y, x):
    have = (1,) * (y.ndim - x.ndim) + x.shape
    return graph.add("Expand", graph.name(x), integers(*(1 if n == want else want for n, want in zip(have, y.shape))))


@emits(movement.ReshapeOp)
def reshape(graph, op, y, x):
    if x.ndim > 1 and y.ndim == 2 and y.shape[0] == x.shape[0]:
        return graph.add("Flatten", graph.name(x), axis=1)
    return graph.add("Reshape", graph.name(x), integers(*y.shape))


@emits(movement.TransposeOp)
def transpose(graph, op, y, x):
    return graph.add("Transpose", graph.name(x), perm=[int(axis) % x.ndim for axis in op.axes])


@emits(movement.FlipOp)
def flip(graph, op, y, x):
    axes = broadcast.axes_of(op.axis, x.ndim)
    n = len(axes)
    return graph.add("Slice", graph.name(x), integers(*[-1] * n), integers(*[FIRST] * n), integers(*axes), integers(*[-1] * n))


@emits(movement.ConcatenateOp)
def concatenate(graph, op, y, *xs):
    return graph.add("Concat", *(operand(graph, x, y) for x in xs), axis=int(op.axis) % y.ndim)


@emits(movement.PadOp)
def pad(graph, op, y, x):
    if not any(map(any, op.widths)):
        return graph.add("Identity", graph.name(x))
    begins, ends = zip(*op.widths)
    return graph.add("Pad", graph.name(x), integers(*begins, *ends), like(y, op.value), mode="constant")


@emits(movement.CropOp)
def crop(graph, op, y, x):
    return sliced(graph, graph.name(x), [slice(lo, -hi if hi else None) for lo, hi in op.widths])


@emits(index.GetItemOp)
def getitem(graph, op, y, x):
    """Slices first, then single positions from the last axis to the first, then new axes."""
    parts = list(op.index) if isinstance(op.index, tuple) else [op.index]
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    rest = [slice(None)] * (x.ndim - taken)
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), None)
    parts = parts + rest if at is None else parts[:at] + rest + parts[at + 1:]
    axes = [part for part in parts if part is not None]
    arrays = [np.asarray(part) for part in axes if not isinstance(part, slice) and np.ndim(part)]
    arrays += [np.asarray(part) for part in axes if isinstance(part, (bool, np.bool_))]
    numbers = sum(not isinstance(part, slice) for part in axes)
    if any(part.dtype.kind == "b" for part in arrays) or (arrays and (numbers > 1 or any(part is None for part in parts))):
        raise unsupported("indexing with a mask or several arrays", graph.layer)
    name = sliced(graph, graph.name(x), [part if isinstance(part, slice) else slice(None) for part in axes])
    for axis, part in reversed(list(enumerate(axes))):
        if not isinstance(part, slice):
            name = graph.add("Gather", name, operand(graph, part, integers()), axis=axis)
    left = [part for part in parts if part is None or isinstance(part, slice)]
    new = [axis for axis, part in enumerate(left) if part is None]
    return graph.add("Unsqueeze", name, integers(*new)) if new else name


def sliced(graph, name, slices):
    """x[slices], one slice per axis."""
    cuts = [(axis, part.start, part.stop, 1 if part.step is None else part.step) for axis, part in enumerate(slices)
            if part != slice(None)]
    if not cuts:
        return graph.add("Identity", name)
    starts = [(0 if step > 0 else LAST) if start is None else start for _, start, _, step in cuts]
    stops = [(LAST if step > 0 else FIRST) if stop is None else stop for _, _, stop, step in cuts]
    return graph.add("Slice", name, integers(*starts), integers(*stops), integers(*(axis for axis, *_ in cuts)),
                     integers(*(step for *_, step in cuts)))


# --- products

@emits(matmul.LinearOp)
def linear(graph, op, y, x, *parameters):
    return graph.add("Gemm", *(operand(graph, p, y) for p in (x, *parameters)), transB=1)


def window_attributes(window, pads=None):
    """kernel_shape, strides, pads and dilations of a window."""
    lows, highs = zip(*(window.padding if pads is None else pads))
    return {"kernel_shape": list(window.size), "strides": list(window.stride), "pads": [*lows, *highs],
            "dilations": list(window.dilation)}


@emits(conv.ConvOp)
def convolution(graph, op, y, *inputs):
    return graph.add("Conv", *(operand(graph, x, y) for x in inputs), group=op.groups, **window_attributes(op.window))


@emits(conv.ConvTransposeOp)
def convolution_transposed(graph, op, y, *inputs):
    lows = [(lo, lo) for lo, _ in op.window.padding]
    extra = [lo - hi for lo, hi in op.window.padding]
    return graph.add("ConvTranspose", *(operand(graph, x, y) for x in inputs), group=op.groups, output_padding=extra,
                     **window_attributes(op.window, lows))


# --- pooling and resizing

def overhanging(window, sizes, out):
    """The padding with which exactly `out` windows fit: with ceil_mode the last one may hang over the end."""
    return [(lo, reach - size - lo) if reach - size - lo > hi else (lo, hi)
            for (lo, hi), reach, size in zip(window.padding, window.extent(out), sizes)]


@emits(pool.MaxPoolOp)
def max_pool(graph, op, y, x):
    if op.relu:
        return graph.add("Relu", max_pool(graph, op.without_relu(), y, x))
    pads = overhanging(op.window, x.shape[2:], op.out)
    graph.maxima.append(y)
    if any(hi >= k for (_, hi), k in zip(pads, op.window.size)):          # of a window with dilation; runtimes refuse such pads
        return graph.add("MaxPool", graph.name(x), ceil_mode=1, **window_attributes(op.window))
    return graph.add("MaxPool", graph.name(x), **window_attributes(op.window, pads))


@emits(pool.ScatterOp)
def unpool(graph, op, y, u):
    """ScatterElements along flat planes: unlike MaxUnpool it is for any dtype, any output_size, and on most runtimes."""
    C = y.shape[1]
    batch = graph.add("Shape", graph.name(u), start=0, end=1)
    zeros = graph.add("Expand", like(y, 0), graph.add("Concat", batch, integers(C, prod(op.sizes)), axis=0))
    values = graph.add("Reshape", graph.name(u), integers(0, C, -1))
    flat = graph.add("ScatterElements", zeros, places(graph, op.index), values, axis=2)
    return graph.add("Reshape", flat, integers(0, *y.shape[1:]))


def places(graph, index):
    """Indices within planes (N, C, O): the second output of the max pooling that found them, which counts on through all planes.

    The op knows them as numbers only, so the pooling is the one with these numbers; where there are two such (of x and of
    2x) they are not told apart.
    """
    found = {(id(x), repr(m.op.window)): (m, x) for m in graph.maxima for x in m.op.inputs
             if m.shape == index.shape and (kernels.tap_index(m.op.tap, m.op.window, x.shape[2:]) == index).all()}
    if not found:
        return index.reshape(*index.shape[:2], -1)
    if len(found) > 1:
        raise unsupported("unpooling to places that two different poolings found", graph.layer)
    ((maxima, x),) = found.values()
    within = graph.add("Mod", graph.second(graph.name(maxima), "indices"), integers(prod(x.shape[2:])))
    return graph.add("Reshape", within, integers(0, x.shape[1], -1))


def average_pool(graph, x, window, out):
    attributes = window_attributes(window, overhanging(window, x.shape[2:], out))
    attributes.pop("dilations")
    return graph.add("AveragePool", graph.name(x), count_include_pad=1, **attributes)


@emits(pool.WindowSumOp)
def window_sum(graph, op, y, x):
    return graph.add("Mul", average_pool(graph, x, op.window, op.out), like(y, prod(op.window.size)))


def even(x, out):
    """The size of the tiles, if `out` of them cover the picture exactly."""
    sizes = x.shape[2:]
    return tuple(h // o for h, o in zip(sizes, out)) if all(o and h % o == 0 for h, o in zip(sizes, out)) else ()


def tiles(size):
    return pool.Window(size, size, ((0, 0),) * len(size), (1,) * len(size))


@emits(adaptive.AdaptiveSumOp)
def adaptive_sum(graph, op, y, x):
    size = even(x, op.out)
    if size:
        return graph.add("Mul", average_pool(graph, x, tiles(size), op.out), like(y, prod(size)))
    name = graph.name(x)
    for axis, (h, o) in enumerate(zip(x.shape[2:], op.out), 2):
        start, count = kernels.spans(h, o)
        place = np.arange(h)
        inside = (place >= start[:, None]) & (place < (start + count)[:, None])
        name = product_along(graph, name, inside.astype(y.dtype), axis, x.ndim)
    return name


def product_along(graph, name, matrix, axis, ndim):
    """matrix (O, I) times x along an axis."""
    if axis == ndim - 1:
        return graph.add("MatMul", name, matrix.T)
    perm = list(range(ndim))
    perm[axis], perm[-1] = perm[-1], perm[axis]
    last = graph.add("MatMul", graph.add("Transpose", name, perm=perm), matrix.T)
    return graph.add("Transpose", last, perm=perm)


RESIZE = {"nearest": ("nearest", False, {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
          "linear": ("bilinear", False, {"coordinate_transformation_mode": "half_pixel"}),
          "linear corners": ("bilinear", True, {"coordinate_transformation_mode": "align_corners"}),
          "cubic": ("bicubic", False, {"coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75}),
          "cubic corners": ("bicubic", True, {"coordinate_transformation_mode": "align_corners", "cubic_coeff_a": -0.75})}


@emits(resample.ResampleOp)
def resampled(graph, op, y, x):
    """A table that a mode of Resize has too is that mode; one of single pixels is a Gather, any other a product."""
    O, I = y.shape[op.axis], x.shape[op.axis]
    for mode, (name, corners, attributes) in RESIZE.items():
        table = resample.table(name, I, O, None, corners, False, False, op.table.weight.dtype.type)
        if x.ndim == 4 and same_table(op.table, table):
            return graph.add("Resize", graph.name(x), None, None, integers(O), axes=[op.axis], mode=mode.split()[0], **attributes)
    if op.table.index.shape[1] == 1 and (op.table.weight == 1).all() and (op.table.index < I).all():
        return graph.add("Gather", graph.name(x), op.table.index[:, 0].astype(np.int64), axis=int(op.axis))
    matrix = np.zeros((O, I + 1), y.dtype)
    np.add.at(matrix, (np.arange(O)[:, None], op.table.index), op.table.weight)
    return product_along(graph, graph.name(x), matrix[:, :I], op.axis, x.ndim)


def same_table(a, b):
    return a.index.shape == b.index.shape and (a.index == b.index).all() and np.allclose(a.weight, b.weight, 0, 1e-6)


# --- normalisation

def batch_norm(graph, module, x):
    """A BatchNorm in evaluation, as the one node that it is."""
    C, dtype = module.num_features, x.dtype
    weight = np.ones(C, dtype) if module.weight is None else graph.name(module.weight)
    bias = np.zeros(C, dtype) if module.bias is None else graph.name(module.bias)
    return graph.add("BatchNormalization", graph.name(x), weight, bias, graph.name(module.running_mean),
                     graph.name(module.running_var), epsilon=float(module.eps))


@emits(normalize.NormalizeOp)
def normalized(graph, op, y, x, w, b, *residual):
    """By the input's own statistics: over the last axes, over pixels, over groups, or over the batch."""
    if op.relu:
        raise unsupported("batch norm in training", graph.layer)
    if op.axes == (1,):
        axis = next(k for k in range(1, x.ndim + 1) if (w.ndim == k if w is not None else prod(x.shape[-k:]) == op.seen[1]))
        sizes = x.shape[-axis:]
        scale = np.ones(sizes, y.dtype) if w is None else graph.name(w)
        return graph.add("LayerNormalization", graph.name(x), scale, None if b is None else graph.name(b), axis=-axis,
                         epsilon=float(op.eps))
    if op.axes == (0, 2):
        return scaled(graph, by_batch(graph, x, y, op.eps), y, w, b)
    groups = op.seen[1]
    if op.axes == (2,):
        parameters = np.ones(groups, y.dtype) if w is None else w, np.zeros(groups, y.dtype) if b is None else b
        return graph.add("InstanceNormalization", graph.name(x), *map(graph.name, parameters), epsilon=float(op.eps))
    rows = graph.add("Reshape", graph.name(x), integers(0, groups, -1))
    rows = graph.add("InstanceNormalization", rows, np.ones(groups, y.dtype), np.zeros(groups, y.dtype), epsilon=float(op.eps))
    return scaled(graph, graph.add("Reshape", rows, integers(0, *x.shape[1:])), y, w, b)


def by_batch(graph, x, y, eps):
    """x to mean 0 and variance 1 over all axes but the channels'."""
    axes = integers(*(axis for axis in range(x.ndim) if axis != 1))
    centred = graph.add("Sub", graph.name(x), graph.add("ReduceMean", graph.name(x), axes, keepdims=1))
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes, keepdims=1)
    return graph.add("Div", centred, graph.add("Sqrt", graph.add("Add", variance, like(y, eps))))


def scaled(graph, name, y, w, b):
    """name * w + b, one value per channel."""
    each = integers(1, -1, *[1] * (y.ndim - 2))
    for kind, parameter in (("Mul", w), ("Add", b)):
        if parameter is not None:
            name = graph.add(kind, name, graph.add("Reshape", graph.name(parameter), each))
    return name
