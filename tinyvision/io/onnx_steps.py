"""What each kind of node of ONNX does, in this library's operations: a function for each, with the attributes it knows.

A function gets `room`, the attributes and the inputs (Tensors, or arrays where all is constant; None where one was left out).
It calls room(shape) before it makes anything whose size the file decides, since a node of twenty bytes can ask for
more than any memory.  An attribute that is not listed is refused, not ignored.

Source: https://onnx.ai/onnx/operators
"""

from math import inf, prod

import numpy as np

from .. import functional as F
from ..kernels import pool as pool_kernels
from ..kernels.window import Window
from ..ops import arithmetic, broadcast, elementwise, index, matmul, movement, reduce
from ..ops.activation import LeakyReluOp
from ..ops.conv import ConvOp, ConvTransposeOp
from ..ops.pool import MaxPoolOp, WindowSumOp
from ..ops.resample import ResampleOp, table
from ..tensor import raw
from .onnx_proto import ELEMENTS

STEPS = {}


def step(*kinds, **attributes):
    """Register a function for these kinds of node: attributes with their defaults."""
    def register(function):
        STEPS.update({kind: (function, attributes) for kind in kinds})
        return function
    return register


def need(fits, what):
    if not fits:
        raise ValueError(f"{what}.")


def whole(x, what, most=64):
    """A list of integers from an input of the node that must be a constant or a shape."""
    array = np.asarray(raw(x))
    need(array.dtype.kind in "iu" and array.ndim <= 1 and array.size <= most, f"{what} must be a few integers")
    return array.reshape(-1).tolist()


def plain(function):
    """A function of the inputs alone, element by element."""
    def run(room, attributes, *inputs):
        room(np.broadcast_shapes(*(x.shape for x in inputs)))
        return function(*inputs)
    return run


def quotient(x, y):
    """Integers are divided as in C."""
    if raw(x).dtype.kind in "iu":
        need(np.all(raw(y)), "an integer is divided by 0")
        return np.trunc(np.asarray(raw(x)) / np.asarray(raw(y))).astype(raw(x).dtype)
    return arithmetic.divide(x, y)


def less_or_equal(x, y):
    return np.asarray(raw(x)) <= np.asarray(raw(y))


PLAIN = {"Add": arithmetic.add, "Sub": arithmetic.subtract, "Mul": arithmetic.multiply, "Div": quotient,
         "Neg": arithmetic.negative, "Pow": arithmetic.power, "Max": arithmetic.maximum,
         "Min": arithmetic.minimum, "Exp": elementwise.exp,
         "Log": elementwise.log, "Sqrt": elementwise.sqrt, "Sin": elementwise.sin, "Cos": elementwise.cos,
         "Tanh": elementwise.tanh, "Abs": elementwise.abs, "Erf": elementwise.erf, "Sigmoid": F.sigmoid, "Relu": F.relu,
         "Softsign": F.softsign, "Mish": F.mish, "Softplus": F.softplus, "LessOrEqual": less_or_equal,
         "HardSwish": F.hardswish, "Identity": lambda x: x}
STEPS.update({kind: (plain(function), {}) for kind, function in PLAIN.items()})


@step("Mod", fmod=0)
def modulo(room, attributes, x, y):
    x, y = np.asarray(raw(x)), np.asarray(raw(y))
    need(x.dtype.kind in "iu" and y.dtype.kind in "iu" and y.all() and not attributes["fmod"], "Mod is for integers here")
    room(np.broadcast_shapes(x.shape, y.shape))
    return x % y


@step("PRelu")
def prelu(room, attributes, x, slope):
    return arithmetic.maximum(x, 0) + slope * arithmetic.minimum(x, 0)


@step("Where")
def where(room, attributes, condition, x, y):
    room(np.broadcast_shapes(condition.shape, x.shape, y.shape))
    return arithmetic.where(condition, x, y)


@step("LeakyRelu", alpha=0.01)
def leaky_relu(room, attributes, x):
    return LeakyReluOp(attributes["alpha"])(x)


@step("Elu", alpha=1.0)
def elu(room, attributes, x):
    return F.elu(x, attributes["alpha"])


@step("Celu", alpha=1.0)
def celu(room, attributes, x):
    return F.celu(x, attributes["alpha"])


@step("Selu", alpha=1.6732632423543772, gamma=1.0507009873554805)
def selu(room, attributes, x):
    return F.elu(x, attributes["alpha"]) * attributes["gamma"]


@step("HardSigmoid", alpha=0.2, beta=0.5)
def hard_sigmoid(room, attributes, x):
    return elementwise.clip(x * attributes["alpha"] + attributes["beta"], 0, 1)


@step("Shrink", lambd=0.5, bias=0.0)
def shrink(room, attributes, x):
    lambd, bias = attributes["lambd"], attributes["bias"]
    low, high = raw(x) < -lambd, raw(x) > lambd
    return arithmetic.where(low, x + bias, arithmetic.where(high, x - bias, 0.0 * x))


@step("Gelu", approximate="none")
def gelu(room, attributes, x):
    return F.gelu(x, attributes["approximate"])


@step("Clip", min=None, max=None)
def clip(room, attributes, x, low=None, high=None):
    """Up to opset 10 the limits are attributes."""
    low, high = (attributes["min"] if low is None else raw(low)), (attributes["max"] if high is None else raw(high))
    return elementwise.clip(x, -inf if low is None else np.asarray(low).item(), inf if high is None else np.asarray(high).item())


@step("Cast", to=1)
def cast(room, attributes, x):
    need(attributes["to"] in ELEMENTS and attributes["to"] != 16, f"the type {attributes['to']} is not known")
    return elementwise.astype(x, ELEMENTS[attributes["to"]])


@step("Softmax", axis=-1)
def softmax(room, attributes, x):
    return F.softmax(x, attributes["axis"])


@step("LogSoftmax", axis=-1)
def log_softmax(room, attributes, x):
    return F.log_softmax(x, attributes["axis"])


@step("Dropout", ratio=0.5, seed=0)
def dropout(room, attributes, x, ratio=None, training=None):
    need(training is None or not np.any(raw(training)), "dropout is for training")
    return x


# --- shapes

@step("Constant", value=None, value_float=None, value_int=None, value_floats=None, value_ints=None)
def constant(room, attributes):
    given = {key: value for key, value in attributes.items() if value is not None}
    need(len(given) == 1, "a constant must have one value")
    (key, value), = given.items()
    return value if key == "value" else np.asarray(value, np.float32 if "float" in key else np.int64)


@step("DepthToSpace", blocksize=0, mode="DCR")
def depth_to_space(room, attributes, x):
    r, (N, C, H, W) = attributes["blocksize"], x.shape
    need(r >= 1 and C % (r * r) == 0 and attributes["mode"] in ("CRD", "DCR"), f"{C} channels do not make blocks of {r} x {r}")
    if attributes["mode"] == "DCR":                       # the block's pixels come before the channels
        x = x.reshape((N, r * r, C // (r * r), H, W)).transpose((0, 2, 1, 3, 4)).reshape((N, C, H, W))
    return F.pixel_shuffle(x, r)


@step("ConstantOfShape", value=None)
def constant_of_shape(room, attributes, shape):
    shape, value = whole(shape, "a shape"), attributes["value"]
    return np.full(room(shape), 0 if value is None else value.item(), np.float32 if value is None else value.dtype)


@step("Shape", start=0, end=None)
def shape(room, attributes, x):
    return np.array(x.shape, np.int64)[attributes["start"]:attributes["end"]]


@step("Reshape", allowzero=0)
def reshape(room, attributes, x, shape):
    sizes = whole(shape, "a shape")
    need(len(sizes) <= 32, "a shape has 32 axes at most")
    keep = not attributes["allowzero"]
    return x.reshape(tuple(x.shape[i] if size == 0 and keep else size for i, size in enumerate(sizes)))


@step("Flatten", axis=1)
def flatten(room, attributes, x):
    axis = attributes["axis"] + (x.ndim if attributes["axis"] < 0 else 0)
    return x.reshape((prod(x.shape[:axis]), prod(x.shape[axis:])))


@step("Transpose", perm=None)
def transpose(room, attributes, x):
    return movement.transpose(x, tuple(attributes["perm"] or range(x.ndim)[::-1]))


@step("Squeeze", axes=None)
def squeeze(room, attributes, x, axes=None):
    axes = attributes["axes"] if axes is None else whole(axes, "axes")
    return movement.squeeze(x, None if axes is None else tuple(axes))


@step("Unsqueeze", axes=None)
def unsqueeze(room, attributes, x, axes=None):
    axes = attributes["axes"] if axes is None else whole(axes, "axes", 8)
    for axis in sorted(axis + (x.ndim + len(axes) if axis < 0 else 0) for axis in axes):
        x = movement.expand_dims(x, axis)
    return x


@step("Concat", axis=0)
def concat(room, attributes, *xs):
    axis = attributes["axis"]
    need(all(-x.ndim <= axis < x.ndim for x in xs), f"there is no axis {axis} to join along")
    room((*xs[0].shape, sum(x.shape[axis] for x in xs)), xs[0].shape[axis])
    return movement.concatenate(list(xs), axis)


@step("Slice", starts=None, ends=None, axes=None)
def slices(room, attributes, x, starts=None, ends=None, axes=None, steps=None):
    """Up to opset 9 the limits are attributes."""
    starts = attributes["starts"] if starts is None else whole(starts, "starts")
    ends = attributes["ends"] if ends is None else whole(ends, "ends")
    axes = attributes["axes"] if axes is None else whole(axes, "axes")
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else whole(steps, "steps")
    cut = [slice(None)] * x.ndim
    for axis, start, end, by in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = slice(start, end, by)
    return x[tuple(cut)]


@step("Gather", axis=0)
def gather(room, attributes, x, indices):
    axis, indices = attributes["axis"], np.asarray(raw(indices))
    need(indices.dtype.kind in "iu" and -x.ndim <= axis < x.ndim, "indices must be integers, and the axis one that is there")
    room((*x.shape, indices.size), x.shape[axis])
    return index.take(x, indices, axis)


@step("Expand")
def expand(room, attributes, x, shape):
    return broadcast.broadcast_to(x, room(np.broadcast_shapes(x.shape, tuple(whole(shape, "a shape")))))


@step("Pad", mode="constant", pads=None, value=0.0)
def pad(room, attributes, x, pads=None, value=None, axes=None):
    """Up to opset 10 the widths are an attribute."""
    pads = attributes["pads"] if pads is None else whole(pads, "pads")
    value = attributes["value"] if value is None else np.asarray(raw(value)).item()
    axes = range(x.ndim) if axes is None else [axis % x.ndim for axis in whole(axes, "axes")]
    need(len(pads) == 2 * len(axes), f"{x.ndim} axes need {2 * x.ndim} widths")
    widths = dict(zip(axes, zip(pads[:len(axes)], pads[len(axes):])))
    room([size + sum(map(abs, widths.get(axis, (0, 0)))) for axis, size in enumerate(x.shape)])
    mode = {"edge": "replicate", "wrap": "circular"}.get(attributes["mode"], attributes["mode"])
    kept = [axis for axis in range(x.ndim) if mode == "constant" or any(widths.get(axis, (0, 0)))]
    backwards = range(x.ndim - 1, min(kept, default=x.ndim) - 1, -1)
    last_axis_first = [width for axis in backwards for width in widths.get(axis, (0, 0))]
    return F.pad(x, last_axis_first, mode, value if mode == "constant" else None) if last_axis_first else x


def reduction(function):
    def run(room, attributes, x, axes=None):
        axes = attributes["axes"] if axes is None else whole(axes, "axes")
        if not axes and attributes["noop_with_empty_axes"]:
            return x
        return function(x, tuple(axes) if axes else None, bool(attributes["keepdims"]))
    return run


for kind, function in (("ReduceMean", reduce.mean), ("ReduceSum", broadcast.sum)):
    step(kind, axes=None, keepdims=1, noop_with_empty_axes=0)(reduction(function))


@step("CumSum", exclusive=0, reverse=0)
def cumsum(room, attributes, x, axis):
    need(not attributes["exclusive"] and not attributes["reverse"], "exclusive and reverse are not known")
    return reduce.cumsum(x, int(raw(axis)))


# --- products and windows

@step("MatMul")
def matrix_product(room, attributes, a, b):
    need(a.ndim and b.ndim, "a matrix product needs matrices")
    front = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    room((*front, *a.shape[-2:-1], *b.shape[-1:]))
    return matmul.matmul(a, b)


@step("Gemm", alpha=1.0, beta=1.0, transA=0, transB=0)
def gemm(room, attributes, a, b, c=None):
    need(a.ndim == b.ndim == 2 and (c is None or c.ndim < 3), "Gemm multiplies matrices")
    a = movement.swapaxes(a, 0, 1) if attributes["transA"] else a
    b = b if attributes["transB"] else movement.swapaxes(b, 0, 1)
    room((a.shape[0], b.shape[0]))
    if attributes["alpha"] == attributes["beta"] == 1 and (c is None or c.shape == b.shape[:1]):
        return F.linear(a, b, c)
    y = F.linear(a, b) * attributes["alpha"]
    return y if c is None else y + c * attributes["beta"]


WINDOW = {"auto_pad": "NOTSET", "kernel_shape": None, "strides": None, "pads": None, "dilations": None}


def window_of(attributes, size, x):
    """The window that the attributes describe, over an input with a batch, channels and pixels."""
    n = x.ndim - 2
    need(n in (1, 2, 3) and len(size) == n, f"windows need an input of 3 to 5 axes and a size for each of its pixels' axes, "
                                            f"got input {x.shape} and kernel {tuple(size)}")
    need(attributes["auto_pad"] in ("NOTSET", "VALID"), f"auto_pad {attributes['auto_pad']} is not known")
    strides, dilations = attributes["strides"] or [1] * n, attributes["dilations"] or [1] * n
    pads = attributes["pads"] or [0] * 2 * n
    lists = (size, strides, dilations, pads[:n], pads[n:])
    need(all(len(values) == n for values in lists) and min(*size, *strides, *dilations) >= 1 and min(pads) >= 0
         and max(*size, *strides, *dilations, *pads) < 1 << 31,
         "kernel, strides and dilations must be at least 1, pads at least 0, one for each axis")
    return Window(tuple(size), tuple(strides), tuple(zip(pads[:n], pads[n:])), tuple(dilations))


def positions(room, window, x, ceil_mode=False):
    """How many positions the window has, if they and the padded picture find room."""
    room((*x.shape[:2], *window.padded(x.shape[2:])))
    out = window.output(x.shape[2:], ceil_mode)
    need(min(out) >= 1, f"the window {window.size} does not fit into the picture {x.shape[2:]}")
    return out


@step("Conv", group=1, **WINDOW)
def conv(room, attributes, x, w, b=None):
    group = attributes["group"]
    need(w.ndim == x.ndim and group >= 1 and x.shape[1] == w.shape[1] * group and w.shape[0] % group == 0 and
         (b is None or b.shape == w.shape[:1]), f"input {x.shape} and weight {w.shape} do not belong together")
    need(attributes["kernel_shape"] in (None, list(w.shape[2:])), "kernel_shape is not the weight's")
    window = window_of(attributes, w.shape[2:], x)
    room((x.shape[0], w.shape[0], *positions(room, window, x)))
    return ConvOp(window, group)(*((x, w) if b is None else (x, w, b)))


@step("ConvTranspose", group=1, output_padding=None, output_shape=None, **WINDOW)
def conv_transpose(room, attributes, x, w, b=None):
    group, n = attributes["group"], x.ndim - 2
    channels = w.shape[1] * group
    need(w.ndim == x.ndim and group >= 1 and x.shape[1] == w.shape[0] and w.shape[0] % group == 0 and
         (b is None or b.shape == (channels,)), f"input {x.shape} and weight {w.shape} do not belong together")
    need(attributes["kernel_shape"] in (None, list(w.shape[2:])) and attributes["output_shape"] is None,
         "kernel_shape is not the weight's, or output_shape is given")
    window, extra = window_of(attributes, w.shape[2:], x), attributes["output_padding"] or [0] * n
    need(len(extra) == n and all(0 <= e < max(s, d) for e, s, d in zip(extra, window.stride, window.dilation)),
         "output_padding must be smaller than stride or dilation")
    padding = tuple((lo, hi - e) for (lo, hi), e in zip(window.padding, extra))
    window = Window(window.size, window.stride, padding, window.dilation)
    room((x.shape[0], channels, *window.extent(x.shape[2:])))
    sizes = window.smallest(x.shape[2:])
    need(min(sizes) >= 1, "nothing is left of the picture")
    return ConvTransposeOp(window, group, sizes)(*((x, w) if b is None else (x, w, b)))


@step("MaxPool", ceil_mode=0, storage_order=0, **WINDOW)
def max_pool(room, attributes, x):
    window = window_of(attributes, attributes["kernel_shape"] or [], x)
    out = positions(room, window, x, bool(attributes["ceil_mode"]))
    room((*x.shape[:2], *out, *window.size), 64)
    need(pool_kernels.meets_image(window, x.shape[2:], out), "a window meets no pixel")
    return MaxPoolOp(window, out)(x)


@step("AveragePool", ceil_mode=0, count_include_pad=0, **WINDOW)
def average_pool(room, attributes, x):
    window = window_of(attributes, attributes["kernel_shape"] or [], x)
    need(set(window.dilation) == {1}, "an average with dilation is not known")
    out = positions(room, window, x, bool(attributes["ceil_mode"]))
    room((*x.shape[:2], *out, *window.size), 64)
    counts = np.maximum(pool_kernels.window_count(window, x.shape[2:], out, bool(attributes["count_include_pad"])), 1)
    return WindowSumOp(window, out)(x) / counts.astype(x.dtype)


@step("GlobalAveragePool")
def global_average_pool(room, attributes, x):
    return reduce.mean(x, tuple(range(2, x.ndim)), keepdims=True)


@step("GlobalMaxPool")
def global_max_pool(room, attributes, x):
    return reduce.max(x, tuple(range(2, x.ndim)), keepdims=True)


# --- normalisation and resizing

@step("BatchNormalization", epsilon=1e-5, momentum=0.9, training_mode=0, spatial=1)
def batch_normalization(room, attributes, x, weight, bias, mean, var):
    need(not attributes["training_mode"] and attributes["spatial"], "batch norm in training is not known")
    return F.batch_norm(x, mean, var, weight, bias, False, 0.0, attributes["epsilon"])


@step("InstanceNormalization", epsilon=1e-5)
def instance_normalization(room, attributes, x, weight, bias):
    return F.instance_norm(x, weight=weight, bias=bias, eps=attributes["epsilon"])


@step("LayerNormalization", axis=-1, epsilon=1e-5, stash_type=1)
def layer_normalization(room, attributes, x, weight, bias=None):
    need(-x.ndim <= attributes["axis"] < x.ndim, f"there is no axis {attributes['axis']} to normalise from")
    shape = x.shape[attributes["axis"]:]
    return F.layer_norm(x, shape, weight, bias, attributes["epsilon"])


MODES = {("nearest", "asymmetric"): ("nearest", False), ("linear", "half_pixel"): ("linear", False),
         ("linear", "pytorch_half_pixel"): ("linear", False), ("linear", "align_corners"): ("linear", True),
         ("cubic", "half_pixel"): ("bicubic", False), ("cubic", "pytorch_half_pixel"): ("bicubic", False),
         ("cubic", "align_corners"): ("bicubic", True)}


@step("Resize", mode="nearest", coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_floor", axes=None,
      cubic_coeff_a=-0.75, antialias=0, exclude_outside=0, extrapolation_value=0.0, keep_aspect_ratio_policy="stretch")
def resize(room, attributes, x, roi=None, scales=None, sizes=None):
    """One axis after the other, those whose size stays left out."""
    name = attributes["mode"], attributes["coordinate_transformation_mode"]
    need(name in MODES and (name[0] != "nearest" or attributes["nearest_mode"] == "floor") and not attributes["exclude_outside"]
         and not attributes["antialias"] and abs(attributes["cubic_coeff_a"] + 0.75) < 1e-6
         and attributes["keep_aspect_ratio_policy"] == "stretch", f"resizing by {name} is not known in this form")
    mode, corners = MODES[name]
    axes = attributes["axes"] or range(x.ndim)
    if sizes is not None and np.size(raw(sizes)):
        pairs = [(size, None) for size in whole(sizes, "sizes")]
    else:
        factors = np.asarray(raw(scales), np.float64).reshape(-1).tolist() if scales is not None else []
        need(len(factors) == len(axes) and all(0 < factor < 1e6 for factor in factors), "resizing needs sizes or scales")
        pairs = [(int(x.shape[axis] * factor), factor) for axis, factor in zip(axes, factors)]
    for axis, (size, factor) in zip(axes, pairs, strict=True):
        I = x.shape[axis]
        need(size >= 1 and I >= 1, "every axis must have a pixel before and after")
        if size != I:
            room((*x.shape, size), I)
            x = ResampleOp(table(mode, I, size, factor, corners, False, False, np.float32), axis)(x)
    return x
