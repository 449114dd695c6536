"""What each kind of node of ONNX does, in this library's operations: a function for each, with the attributes it knows.

Here are those that work element by element and those that move elements; onnx_layers.py has those that are layers.

A function gets `room`, the attributes and the inputs (Tensors, or arrays where all is constant; None where one was left out).
It calls room(shape) before it makes anything whose size the file decides, since a node of twenty bytes can ask for
more than any memory.  An attribute that is not listed is refused, not ignored.

Source: https://onnx.ai/onnx/operators
"""

from math import inf, prod

import numpy as np

from .. import functional as F
from ..ops import arithmetic, broadcast, elementwise, index, movement, reduce
from ..ops.activation import LeakyReluOp
from ..tensor import raw
from .onnx_proto import ELEMENTS

STEPS, SEVERAL = {}, {}                                   # {kind: (function, attributes)}; {kind: function for several outputs}


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


@step("Split", axis=0, split=None, num_outputs=None)
def unsplit(room, attributes, x, parts=None):
    return split(room, attributes, 1, x, parts)[0]


def split(room, attributes, count, x, parts=None):
    """Up to opset 12 the sizes are an attribute; without sizes the parts are equal, the last may be smaller."""
    parts, axis = attributes["split"] if parts is None else whole(parts, "sizes", 1024), attributes["axis"]
    need(-x.ndim <= axis < x.ndim, f"there is no axis {axis} to split along")
    n = x.shape[axis]
    parts = [min(-(-n // count), n - i * -(-n // count)) for i in range(count)] if parts is None else parts
    need(len(parts) == count and min(parts) >= 0 and sum(parts) == n, f"{n} cannot be split into {parts[:8]}, {count} outputs")
    ends, front = np.cumsum(parts).tolist(), (slice(None),) * (axis % x.ndim)
    return tuple(x[(*front, slice(end - part, end))] for part, end in zip(parts, ends))


SEVERAL["Split"] = split


@step("ScatterElements", axis=0, reduction="none")
def scatter_elements(room, attributes, data, indices, updates):
    need(attributes["reduction"] == "none", f"reduction {attributes['reduction']} is not known")
    room(data.shape)
    return scattered(data, np.asarray(raw(indices)), updates, attributes["axis"])


def scattered(data, indices, updates, axis):
    """The data with updates in the places that indices name along an axis; of several for one place the last stays."""
    need(-data.ndim <= axis < data.ndim and indices.dtype.kind in "iu" and data.dtype == updates.dtype, "the axis must be one "
         "that is there, indices integers, and updates of the data's type")
    axis, count = axis % data.ndim, data.shape[axis]
    shape = data.shape[:axis] + indices.shape[axis:axis + 1] + data.shape[axis + 1:]
    need(indices.shape == updates.shape == shape, f"indices {indices.shape} and updates {updates.shape} do not fit the data "
                                                  f"{data.shape} along axis {axis}")
    need(indices.size and -count <= int(indices.min()) and int(indices.max()) < count, f"indices must lie in 0..{count - 1}")
    source = np.full(data.shape, -1)                      # which update lands in each place
    column = (-1,) + (1,) * (data.ndim - axis - 1)
    np.put_along_axis(source, indices.astype(np.int64), np.arange(shape[axis]).reshape(column), axis)
    landed = index.take_along_axis(updates, np.maximum(source, 0), axis)
    return arithmetic.where(source >= 0, landed, data)


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
