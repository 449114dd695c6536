"""What the nodes of ONNX that are layers do: products, windows, normalisation, resizing.  Read onnx_steps.py first.

Source: https://onnx.ai/onnx/operators
"""

from math import prod

import numpy as np

from .. import functional as F
from ..kernels import pool as pool_kernels
from ..kernels.window import Window
from ..ops import matmul, movement, reduce
from ..ops.conv import ConvOp, ConvTransposeOp
from ..ops.pool import MaxPoolOp, WindowSumOp
from ..ops.resample import ResampleOp, table
from ..tensor import raw
from .onnx_steps import SEVERAL, need, scattered, step, whole


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
    return max_pool_op(room, attributes, x)(x)


def max_pool_op(room, attributes, x):
    window = window_of(attributes, attributes["kernel_shape"] or [], x)
    out = positions(room, window, x, bool(attributes["ceil_mode"]))
    room((*x.shape[:2], *out, *window.size), 64)
    need(pool_kernels.meets_image(window, x.shape[2:], out), "a window meets no pixel")
    return MaxPoolOp(window, out)


def max_pool_with_places(room, attributes, count, x):
    """The indices count on through all planes."""
    need(count == 2 and not attributes["storage_order"], "more than 2 outputs, or indices by columns, are not known")
    pool = max_pool_op(room, attributes, x)
    y = pool(x)
    index = pool_kernels.tap_index(pool.tap, pool.window, x.shape[2:])
    return y, pool_kernels.whole_index(index, prod(x.shape[2:])).reshape(index.shape)


SEVERAL["MaxPool"] = max_pool_with_places


@step("MaxUnpool", kernel_shape=None, strides=None, pads=None)
def max_unpool(room, attributes, x, places, output_shape=None):
    window = window_of(WINDOW | attributes, attributes["kernel_shape"] or [], x)
    sizes = (*x.shape[:2], *window.smallest(x.shape[2:])) if output_shape is None else tuple(whole(output_shape, "a shape"))
    need(sizes[:2] == x.shape[:2] and min(sizes) >= 1 and len(sizes) == x.ndim,
         f"an input {x.shape} cannot be unpooled to {sizes}")
    zeros = np.zeros(prod(room(sizes)), x.dtype)
    return scattered(zeros, np.asarray(raw(places)).reshape(-1), x.reshape((-1,)), 0).reshape(sizes)


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
