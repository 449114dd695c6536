"""Networks in ONNX, the format that other runtimes read: writing any network, reading those made of the same nodes.

An ONNX file is a list of nodes (Conv, Relu, Gemm, ...) that name their inputs and outputs, and the weights as `initializers`,
also by name.  onnx_trace.py makes the list, onnx_ops.py says what each operation is called there; here it is written down.
The weights keep the names of the state dict.  onnx_load.py goes the other way.

The batch axis is left open, so that the file serves any number of pictures; all other sizes are those of the example.

Source: https://onnx.ai/onnx/repo-docs/IR.html
"""

import numpy as np

from .. import nn
from ..nn.summary import tensors
from ..packages import require
from ..tensor import Tensor, raw
from .atomic import atomic_path
from .onnx_trace import Graph, alive, merged, passes

OPSET, IR_VERSION = 18, 8                                 # of 2022: old enough for the runtimes people have
LARGEST = 2 ** 31 - 1                                     # bytes of a message of protobuf


def export_onnx(model, inputs, path, *, forward=None, input_names=None, output_names=None, dynamic_batch=True):
    """Write a network, in evaluation mode, as an ONNX file (opset 18) that onnxruntime and others run.

    inputs: an example, or a tuple of them, one for each argument of forward: a shape with its batch axis, a Tensor or an array.
        Only their shapes, dtypes and ranges count (of a shape: -1 to 1): the network is run on random numbers to see what it
        does.  Integers, which look something up, are arrays that hold the smallest and the largest that may come.
    forward: what to write instead of model(...): model.encode, or any function of the inputs that uses the model.
    input_names, output_names: by default "input" and "output", with a number where there are several.
    dynamic_batch: leave the first axis of inputs and outputs open; False fixes it to the example's.
    Layers behave as in model.eval(); the model's modes are as before afterwards.  The file appears whole or not at all.
    Raises NotImplementedError, naming operation and layer, for what ONNX has no node for; ValueError where the computation
    depends on the numbers in the input (masks, largest elements) or on its batch size, and for integers that are all equal;
    TypeError for inputs that are neither floats nor integers.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))
    >>> export_onnx(net, (1, 1, 8, 8), "net.onnx")
    >>> import onnx
    >>> [node.op_type for node in onnx.load("net.onnx").graph.node]
    ['Conv', 'Relu', 'Flatten', 'Gemm']
    >>> words = nn.Embedding(9, 4)
    >>> export_onnx(words, np.array([[0, 8, 1]]), "mean.onnx", forward=lambda numbers: words(numbers).mean(axis=1))
    """
    require("export_onnx", "onnx")
    if not isinstance(model, nn.Module) or not (forward is None or callable(forward)):
        raise TypeError(f"export_onnx: model must be a Module and forward a function, got {type(model).__name__} and "
                        f"{type(forward).__name__}.")
    examples = as_examples(inputs, model)
    first, second = passes(model, forward or model, examples, dynamic_batch)
    found = tensors(first.outputs), tensors(second.outputs)
    input_names = names("input", input_names, len(examples))
    output_names = names("output", output_names, len(found[0]))
    state = state_names(model, {*input_names, *output_names})
    lists = []
    for trace, outputs in zip((first, second), found):
        check_outputs(trace, outputs, state)
        graph = Graph(trace, state | {id(x): name for x, name in zip(trace.inputs, input_names)})
        lists.append((graph.build(outputs), [graph.name(y) for y in outputs]))
    (graph, ends), (other, _) = lists
    nodes = merged(alive(graph.nodes, ends), alive(other.nodes, ends), input_names[0])
    nodes = rename(nodes, ends, output_names, {*input_names, *state.values()})
    sizes = [[value_info(name, x, y, dynamic_batch) for name, x, y in zip(names_, *pair)] for names_, pair in
             ((input_names, (first.inputs, second.inputs)), (output_names, found))]
    write(model, nodes, *sizes, path)


def as_examples(inputs, model):
    """A list of arrays of floats and integers."""
    one = not isinstance(inputs, (tuple, list)) or (inputs and all(isinstance(size, int) for size in inputs))
    dtype = next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), np.dtype(np.float32))
    examples = [inputs] if one else list(inputs)
    arrays = [np.zeros(x, dtype) if isinstance(x, (tuple, list)) else np.asarray(raw(x)) for x in examples]
    if not arrays or any(x.dtype.kind not in "fiu" or x.ndim == 0 for x in arrays):
        raise TypeError("export_onnx: inputs must be shapes, or arrays of floats or integers with a batch axis, got "
                        f"{', '.join(f'{x.dtype} {x.shape}' for x in arrays) or 'none'}.")
    for x in arrays:
        if x.dtype.kind != "f" and np.unique(x).size < 2:
            raise ValueError("export_onnx: integers must be an array that holds the smallest and the largest number that may "
                             f"come, got {x.dtype} {x.shape} with {np.unique(x).size} different numbers.")
    return arrays


def names(stem, given, count):
    """As many different names as are needed."""
    found = list(given) if given is not None else [stem] if count == 1 else [f"{stem}_{i}" for i in range(count)]
    if len(found) != count or len(set(found)) != count or not all(isinstance(name, str) and name for name in found):
        raise ValueError(f"export_onnx: {stem}_names must be {count} different names, got {found}.")
    return found


def state_names(model, taken):
    """{id: name} of the parameters and buffers, by their first names in the state dict."""
    state = {}
    for name, x in [*model.named_parameters(), *model.named_buffers()]:
        if name in taken:
            raise ValueError(f"export_onnx: {name!r} is the name of a parameter. Choose other input_names and output_names.")
        state.setdefault(id(x), name)
    return state


def check_outputs(trace, outputs, state):
    if not outputs:
        raise TypeError(f"export_onnx: the network must return Tensors, got {type(trace.outputs).__name__}.")
    inputs = {id(x) for x in trace.inputs}
    for i, y in enumerate(outputs):
        if not isinstance(y, Tensor) or (y.op is None and id(y) not in inputs):
            raise ValueError(f"export_onnx: output {i} is not connected to the input by operations that are recorded (it may be "
                             "integers, or detached). Return the numbers it was made of.")


def rename(nodes, ends, output_names, fixed):
    """The nodes with the outputs under their own names; where two outputs are one, or an input, by an Identity."""
    from .onnx_trace import Node
    new, extra = {}, []
    for end, name in zip(ends, output_names):
        if end in new or end in fixed:
            extra.append(Node("Identity", [new.get(end, end)], name, {}, ""))
        else:
            new[end] = name
    for node in nodes:
        node.inputs = [new.get(x, x) if isinstance(x, str) else x for x in node.inputs]
        node.output = new.get(node.output, node.output)
    return nodes + extra


def value_info(name, x, y, dynamic_batch):
    """Name, dtype and shape of an input or output, "batch" where the two traces differ in the batch axis."""
    shape = ["batch" if m != n else m for m, n in zip(x.shape, y.shape)]
    if dynamic_batch and (shape[:1] != ["batch"] or "batch" in shape[1:]):
        raise ValueError(f"export_onnx: {name} must have the batch as its first axis and nowhere else, got {x.shape} for a batch "
                         f"of 2 and {y.shape} for a batch of 3. Use dynamic_batch=False.")
    return name, x.dtype, shape


def write(model, nodes, inputs, outputs, path):
    """Make the message, have it checked, and put it under `path`."""
    import onnx
    from onnx import helper, numpy_helper
    protos, known = [], {name: x for name, x in [*model.named_parameters(), *model.named_buffers()]}
    for node in nodes:
        arguments = []
        for i, x in enumerate(node.inputs):
            if isinstance(x, np.ndarray):
                name = f"{node.output}/constant_{i}"
                value = numpy_helper.from_array(np.array(x, order="C"))
                protos.append(helper.make_node("Constant", [], [name], name=name, value=value))
                x = name
            arguments.append(x or "")
        while arguments and not arguments[-1]:
            arguments.pop()                               # optional inputs at the end are left away
        attributes = {key: helper.np_dtype_to_tensor_dtype(value) if isinstance(value, np.dtype) else value
                      for key, value in node.attributes.items()}
        outputs_ = [node.output] if node.second is None else [node.output, node.second]
        protos.append(helper.make_node(node.kind, arguments, outputs_, name=node.output, **attributes))
    used = {x for node in nodes for x in node.inputs if isinstance(x, str)}
    weights = [numpy_helper.from_array(np.ascontiguousarray(raw(x)).reshape(x.shape), name) for name, x in known.items()
               if name in used]
    values = [[helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), shape) for name, dtype, shape in side]
              for side in (inputs, outputs)]
    graph = helper.make_graph(protos, type(model).__name__, *values, weights)
    message = helper.make_model(graph, ir_version=IR_VERSION, producer_name="tinyvision",
                                opset_imports=[helper.make_opsetid("", OPSET)])
    if message.ByteSize() > LARGEST:
        raise ValueError(f"export_onnx: the file would have {message.ByteSize()} bytes, and a message of protobuf can have "
                         f"{LARGEST} at most. Save the weights with tinyvision.io.save.")
    onnx.checker.check_model(message, full_check=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(message.SerializeToString())
