"""Networks out of ONNX files: the list of nodes becomes a Module that runs it, and trains.

The file's weights become parameters under their names in the file, so what `export_onnx` wrote comes back with its state dict: a
name with dots, "layer1.0.conv1.weight", is a path through modules without a forward of their own.  Running means and
variances become buffers.  Batch norm stays in evaluation, for ONNX knows it no other way.
"""

import os
from math import prod

import numpy as np

from .. import nn
from ..packages import require
from ..tensor import Parameter, Tensor
from . import onnx_layers                                 # noqa: F401  (it adds its kinds of nodes to STEPS)
from .damage import Damaged, Refused, text
from .onnx_proto import parse
from .onnx_steps import SEVERAL, STEPS

GROWTH, SPARE = 1024, 1 << 14     # a result may have 1024 times the elements of inputs and weights together, and these


def load_onnx(path):
    """Read an ONNX file: a Module that computes what the file says, its weights as parameters and buffers.

    Knows the nodes that `export_onnx` writes and those that PyTorch writes for such networks; opsets 7 to 24, opset 13 and
    later for softmax.  The weights lie in the file: external data is refused.  Nothing in the file is executed.
    Raises ValueError, naming the cause, for damaged files, for nodes and attributes that are not known, and, when called, for
    inputs that do not fit and for results out of proportion to the file; OSError where the file cannot be opened.

    >>> from tinyvision.io import export_onnx
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> export_onnx(net, (1, 4), "net.onnx")
    >>> twin = load_onnx("net.onnx")
    >>> sorted(twin.state_dict()), twin(Tensor([[1.0, 2.0, 3.0, 4.0]])).shape
    (['0.bias', '0.weight'], (1, 3))
    """
    require("load_onnx", "onnx")
    try:
        with open(path, "rb") as file:
            program = parse(file.read())
        return OnnxModule(program)
    except Refused as error:
        raise ValueError(f"load_onnx: refuses {os.fspath(path)!r}, {error}. Export the network anew, in one file and with ONNX's "
                         "own operations.") from error
    except Damaged as error:
        raise ValueError(f"load_onnx: {os.fspath(path)!r} is not a whole ONNX file, {error}. Get the file again.") from error


class OnnxModule(nn.Module):
    """A network that was read from an ONNX file (`load_onnx`); its steps are `program.steps`."""

    def __init__(self, program):
        for step in program.steps:
            check_step(step, program.opset)
        self.program, self.paths, self.constants = program, {}, {}
        statistics = {name for step in program.steps if step.kind == "BatchNormalization" for name in step.inputs[3:5]}
        for name, array in program.weights.items():
            if array.dtype.kind == "f" and array.dtype != np.float16:
                self.paths[name] = keep(self, name, array, name in statistics)
            else:
                self.constants[name] = array
        self._last = {name: i for i, step in enumerate(program.steps) for name in step.inputs}
        self.weight_size = sum(array.size for array in program.weights.values())
        program.weights = {}

    def forward(self, *inputs):
        program = self.program
        check_inputs(program.inputs, inputs)
        values = dict(zip(program.inputs, inputs)) | self.constants
        state = dict(self.named_parameters(remove_duplicate=False)) | dict(self.named_buffers(remove_duplicate=False))
        values |= {name: state[path] for name, path in self.paths.items()}
        most = GROWTH * (self.weight_size + sum(x.size for x in inputs)) + SPARE
        for i, step in enumerate(program.steps):
            values |= zip(step.outputs, run(step, [values[name] if name else None for name in step.inputs], most))
            for name in {*step.inputs} - {*program.outputs}:
                if self._last[name] == i and name:
                    del values[name]                      # the graph, if there is one, keeps what it needs
        outputs = [values[name] if isinstance(values[name], Tensor) else Tensor(values[name]) for name in program.outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def extra_repr(self):
        return f"{len(self.program.steps)} nodes, inputs {', '.join(map(text, self.program.inputs))}"


def check_step(step, opset):
    """Whether the kind and all attributes are known."""
    if step.kind not in STEPS:
        raise Refused(f"it has a node {text(step.kind)}, named {text(step.name)}, which is not known here")
    if len(step.outputs) > 1 and step.kind not in SEVERAL:
        raise Refused(f"its node {text(step.kind)}, named {text(step.name)}, has {len(step.outputs)} outputs, and one is read")
    unknown = step.attributes.keys() - STEPS[step.kind][1].keys()
    if unknown:
        raise Refused(f"its node {text(step.kind)}, named {text(step.name)}, has an attribute {text(min(unknown))} that is "
                      "not known")
    if step.kind in ("Softmax", "LogSoftmax") and opset < 13:
        raise Refused(f"its node {step.kind} is of opset {opset}, where it meant something else")


def keep(module, name, array, is_statistic):
    """Make an array a parameter or buffer under its name, a path; returns the path it got."""
    *folders, leaf = [part or "_" for part in name.split(".")][-32:]
    path = []
    for folder in folders:
        folder = free(module, folder, nn.Module)
        if folder not in vars(module):
            setattr(module, folder, nn.Module())
        module = getattr(module, folder)
        path.append(folder)
    leaf = free(module, leaf)
    if is_statistic:
        module.register_buffer(leaf, Tensor(array))
    else:
        setattr(module, leaf, Parameter(array))
    return ".".join([*path, leaf])


def free(module, name, kind=()):
    """The name, or a longer one, under which nothing stands but a module of this kind."""
    while hasattr(type(module), name) or not isinstance(vars(module).get(name), (type(None), *([kind] if kind else []))):
        name += "_"
    while not kind and name in vars(module):
        name += "_"
    return name


def check_inputs(wanted, inputs):
    if len(inputs) != len(wanted):
        raise ValueError(f"OnnxModule: takes {len(wanted)} inputs ({', '.join(map(text, wanted))}), got {len(inputs)}.")
    for (name, shape), x in zip(wanted.items(), inputs):
        have = getattr(x, "shape", None)
        if have is None or (shape and (len(have) != len(shape) or any(n not in (None, m) for n, m in zip(shape, have)))):
            raise ValueError(f"OnnxModule: {text(name)} must be a Tensor of shape {shape}, None standing for any size, got "
                             f"{have or type(x).__name__}.")


def run(step, inputs, most):
    """The results of one step, as many as it has outputs, if they are not out of proportion."""
    def room(shape, divided=1):
        """The shape, if an array of it finds room: at most so many elements, counted `divided` times less."""
        if any(size < 0 for size in shape) or prod(map(int, shape)) // max(divided, 1) > most:
            raise ValueError(f"a result of shape {tuple(shape)} is out of proportion to the file")
        return tuple(shape)

    function, defaults = STEPS[step.kind]
    attributes = defaults | step.attributes
    try:
        with np.errstate(all="ignore"):
            count = len(step.outputs)
            return (function(room, attributes, *inputs),) if count == 1 else SEVERAL[step.kind](room, attributes, count, *inputs)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = ascii(str(error))[1:-1][:400]
        raise ValueError(f"OnnxModule: node {text(step.name)} ({step.kind}) failed, {reason}") from error
