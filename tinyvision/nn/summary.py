"""summary: what a network costs, layer by layer, found by sending zeros through it and watching.

Forward hooks note the output of every module that has no children, or has parameters of its own, in the order of the calls;
what forward computes between modules (F.relu, an addition) is not seen.  For the example given, batch axis included:

    parameters          numbers that are learned in this module and were not counted in a row above (shared ones)
    multiply-adds       products that are added up in one pass forward; with prod the product of sizes:
        Conv            prod(output) * C/G * prod(K)          each output pixel meets its kernel
        ConvTranspose   prod(input) * O/G * prod(K)           each input pixel paints a kernel, parts outside included
        Linear          prod(output) * I
        Bilinear        prod(output) * (I1 * I2 + I2)         a matrix, then a vector
        recurrent cells N * gates * H * (I + H)               products with the input and with the state
        all others      0: pooling, normalisation, activations and the bias cost a few operations per number, not a product
                        with everything before
    activation bytes    memory of the outputs; an output that is a view of its input (Flatten, Identity) takes none

The mode of every module is as before afterwards, and so are running statistics: the pass runs in evaluation mode, unrecorded.

Source: Canziani, Paszke and Culurciello 2016, arXiv:1605.07678 (operations and memory of published networks).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from ..autograd import no_grad
from ..backend import array_module, is_array
from ..memory import same_memory
from ..tensor import Tensor, raw
from .conv import Conv, ConvTranspose
from .linear import Bilinear, Linear
from .recurrent import Cell


@dataclass(frozen=True)
class Row:
    """One call of one module; `output` is a shape, several for several outputs, or None for a module that was not called."""

    name: str
    kind: str
    output: tuple | None
    parameters: int
    macs: int
    activation_bytes: int


class Summary:
    """The table: `rows`, and the totals `parameters`, `trainable`, `macs`, `activation_bytes`, `parameter_bytes`.

    str(summary) is the table as text.
    """

    def __init__(self, rows, module):
        parameters = list(module.parameters())
        self.rows = rows
        self.parameters = sum(p.size for p in parameters)
        self.trainable = sum(p.size for p in parameters if p.requires_grad)
        self.parameter_bytes = sum(raw(p).nbytes for p in parameters)
        self.macs = sum(row.macs for row in rows)
        self.activation_bytes = sum(row.activation_bytes for row in rows)

    def __str__(self):
        head = ("layer", "kind", "output", "parameters", "multiply-adds", "memory")
        body = [(row.name, row.kind, shape_text(row.output), f"{row.parameters:,}", f"{row.macs:,}",
                 size_text(row.activation_bytes)) for row in self.rows]
        total = ("total", "", "", f"{self.parameters:,}", f"{self.macs:,}", size_text(self.activation_bytes))
        widths = [max(map(len, column)) for column in zip(head, *body, total)]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))

        def line(cells):
            left = [cell.ljust(w) for cell, w in zip(cells[:3], widths[:3])]
            return "  ".join(left + [cell.rjust(w) for cell, w in zip(cells[3:], widths[3:])]).rstrip()

        frozen = "" if self.trainable == self.parameters else f"trainable parameters: {self.trainable:,}\n"
        memory = f"memory of parameters: {size_text(self.parameter_bytes)}, of outputs: {size_text(self.activation_bytes)}"
        return "\n".join([line(head), rule, *map(line, body), rule, line(total), frozen + memory])

    __repr__ = __str__


def summarize(module, *inputs):
    """Send zeros, or the given examples, through a module and note what each layer makes of them (Module.summary).

    inputs: for each argument of forward a shape, batch axis included, or an example as array or Tensor.
    Raises ValueError without inputs or for a shape with sizes below 1, TypeError for other things.

    >>> from tinyvision.nn import Conv2d, Flatten, Linear, ReLU, Sequential
    >>> net = Sequential(Conv2d(1, 6, 5, padding=2), ReLU(), Flatten(), Linear(6 * 28 * 28, 10))
    >>> print(net.summary((1, 1, 28, 28)))
    layer  kind     output           parameters  multiply-adds    memory
    --------------------------------------------------------------------
    0      Conv2d   1 x 6 x 28 x 28         156        117,600  18.4 KiB
    1      ReLU     1 x 6 x 28 x 28           0              0  18.4 KiB
    2      Flatten  1 x 4704                  0              0       0 B
    3      Linear   1 x 10               47,050         47,040      40 B
    --------------------------------------------------------------------
    total                                47,206        164,640  36.8 KiB
    memory of parameters: 184.4 KiB, of outputs: 36.8 KiB
    """
    if not inputs:
        raise ValueError("summary: needs an input for each argument of forward, got none. Give a shape such as "
                         "(1, 3, 224, 224), or an example.")
    dtype = next((p.dtype for p in module.parameters() if p.dtype.kind == "f"), np.dtype(np.float32))
    examples = [example(x, dtype, module) for x in inputs]
    rows, counted, handles = [], set(), []
    modes = [(m, m.training) for m in module.modules()]
    try:
        for name, m in module.named_modules():
            if next(m.children(), None) is None or next(m.parameters(recurse=False), None) is not None:
                handles.append(m.register_forward_hook(watcher(name or type(m).__name__, rows, counted)))
        module.eval()
        with no_grad():
            module(*examples)
    finally:
        for handle in handles:
            handle.remove()
        for m, mode in modes:
            m.training = mode
    return Summary(rows + uncalled(module, counted), module)


def watcher(name, rows, counted):
    """A hook that appends a row."""
    def hook(module, args, output):
        outputs, inputs = tensors(output), tensors(args)
        shapes = tuple(y.shape for y in outputs)
        new = [raw(y) for y in outputs if not any(same_memory(raw(y), raw(x)) for x in inputs)]
        rows.append(Row(name, type(module).__name__, shapes[0] if len(shapes) == 1 else shapes,
                        count_new(module, counted), multiply_adds(module, inputs, outputs), sum(y.nbytes for y in new)))
    return hook


def uncalled(module, counted):
    """Rows for modules with parameters that the pass did not reach, so that the column adds up."""
    rows = [Row(name, type(m).__name__, None, count_new(m, counted), 0, 0) for name, m in module.named_modules()]
    return [row for row in rows if row.parameters]


def count_new(module, counted):
    """How many numbers this module's own parameters hold, those counted before left out."""
    new = [p for p in module.parameters(recurse=False) if p not in counted]
    counted.update(new)
    return sum(p.size for p in new)


def multiply_adds(module, inputs, outputs):
    """The formulas at the top of this file."""
    if isinstance(module, Conv):
        return outputs[0].size * prod(module.weight.shape[1:])
    if isinstance(module, ConvTranspose):
        return inputs[0].size * prod(module.weight.shape[1:])
    if isinstance(module, Linear):
        return outputs[0].size * module.in_features
    if isinstance(module, Bilinear):
        return outputs[0].size * (module.in1_features + 1) * module.in2_features
    if isinstance(module, Cell):
        return outputs[0].size * module.gates * (module.input_size + module.hidden_size)
    return 0


def tensors(x):
    """All arrays and Tensors in nested tuples, lists and dictionaries."""
    if isinstance(x, Mapping):
        return [t for value in x.values() for t in tensors(value)]
    if isinstance(x, (tuple, list)):
        return [t for value in x for t in tensors(value)]
    return [x] if isinstance(x, Tensor) or is_array(x) else []


def example(x, dtype, module):
    """A Tensor to send through: zeros of a shape, in the parameters' dtype and where they live, or what was given."""
    if isinstance(x, Tensor) or is_array(x):
        return x if isinstance(x, Tensor) else Tensor(x)
    if not isinstance(x, (tuple, list)) or not all(hasattr(size, "__index__") for size in x):
        raise TypeError(f"summary: an input must be a shape, an array or a Tensor, got {x!r}. Give the shape as one tuple, "
                        "summary((1, 3, 224, 224)).")
    if any(size < 1 for size in x):
        raise ValueError(f"summary: sizes must be at least 1, got {tuple(x)}. The first is the batch, 1 for the cost per "
                         "picture.")
    first = next((raw(p) for p in module.parameters()), None)
    return Tensor(array_module(first).zeros(tuple(x), dtype))


def shape_text(shape):
    if shape is None:
        return "not called"
    if shape and isinstance(shape[0], tuple):
        return ", ".join(map(shape_text, shape))
    return " x ".join(map(str, shape)) or "()"


def size_text(bytes):
    """Bytes with a unit, in steps of 1024."""
    for unit in ("B", "KiB", "MiB"):
        if bytes < 1024:
            break
        bytes, unit = bytes / 1024, {"B": "KiB", "KiB": "MiB", "MiB": "GiB"}[unit]
    return f"{bytes} B" if unit == "B" else f"{bytes:.1f} {unit}"
