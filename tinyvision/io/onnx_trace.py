"""A network as a list of nodes, read off the graph that a pass forward leaves behind.

A Tensor knows the Op that made it, so the graph of a result, followed back to the input, is the network written out: every loop
unrolled, every `if` decided.  What the graph does not show is what was decided by the input's values (an index of a largest
element, a mask) or by its sizes (a reshape to (32, 400)): such numbers stand in it as constants.  So the network is run
twice, on different numbers and on batches of 2 and of 3, and the two lists are laid on top of each other:

    equal constants                       are constants
    the shape of a Reshape                differs by the batch size: that entry is left open
    rows of numbers, all equal            one for each picture: a single row, expanded to the batch (a state that begins as 0)
    any other difference                  comes from the input without being recorded, and is an error

Two kinds of integers are followed nevertheless: inputs (onnx_integers.py), and the places of maxima (onnx_ops.py).

Which layer a node belongs to is told by the time of its making: each module's hooks note when it began and ended.
"""

from dataclasses import dataclass, field

import numpy as np

from ..autograd import enable_grad
from ..nn.norm import BatchNorm
from ..tensor import Tensor, ages, raw, result
from .onnx_integers import Integers, as_input
from .onnx_ops import EMITTERS, batch_norm, place, unsupported

BATCHES = 2, 3


@dataclass
class Node:
    """One node of the list; an input is a name, an array (a constant) or None (left out); `second` is a second output."""

    kind: str
    inputs: list
    output: str
    attributes: dict
    layer: str
    second: str = None


@dataclass
class Span:
    """When a module's forward began and ended, in ages of tensors, which count downwards."""

    path: str
    module: object
    start: int
    stop: int = None


@dataclass
class Trace:
    """What one pass forward left: its inputs and outputs, the modules' spans, {id of output: (module, input, output)}."""

    inputs: list
    outputs: list = None
    spans: list = field(default_factory=list)
    whole: dict = field(default_factory=dict)

    def layer(self, tensor):
        """The path of the innermost module in which a tensor was made."""
        inside = [span for span in self.spans if span.start > tensor._age > span.stop]
        return min(inside, key=lambda span: span.start).path if inside else ""


def passes(model, forward, examples, dynamic_batch):
    """Two traces of what `forward` does with a model in evaluation mode."""
    rng = np.random.default_rng(0)
    traces = []
    for batch in BATCHES:
        traces.append(run(model, forward, [drawn(x, batch if dynamic_batch else None, rng) for x in examples]))
    return traces


def drawn(x, batch, rng):
    """Numbers like those of an example, uniform between its smallest and largest (of one number: around it), in a batch."""
    shape = x.shape if batch is None else (batch, *x.shape[1:])
    if x.dtype.kind != "f":
        integers = result(as_input(rng.integers(x.min(), x.max(), shape, x.dtype, endpoint=True)))
        integers._requires_grad = True                            # so that floats that are made of them are recorded
        return integers
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    low, high = (low, high) if low < high else (low - 1.0, low + 1.0)              # so that masks (x > 0) differ between the runs
    return Tensor(rng.uniform(low, high, shape).astype(x.dtype), requires_grad=True)


def run(model, forward, inputs):
    """One pass forward, watched; hooks and modes are as before afterwards.  Frozen weights are recorded, too."""
    trace, open_spans, handles = Trace(inputs), [], []

    def begin(path):
        def hook(module, args):
            span = Span(path, module, next(ages))
            trace.spans.append(span)
            open_spans.append(span)
        return hook

    def end(module, args, output):
        open_spans.pop().stop = next(ages)
        if is_plain_batch_norm(module) and isinstance(output, Tensor) and len(args) == 1:
            trace.whole[id(output)] = module, args[0], output

    modes = [(m, m.training) for m in model.modules()]
    frozen = [p for p in model.parameters() if not p.requires_grad and p.dtype.kind == "f"]
    try:
        for p in frozen:
            p.requires_grad = True
        for path, module in model.named_modules():
            handles += [module.register_forward_pre_hook(begin(path)), module.register_forward_hook(end)]
        model.eval()
        with enable_grad(), np.errstate(all="ignore"):
            trace.outputs = forward(*inputs)
    finally:
        for p in frozen:
            p.requires_grad = False
        for handle in handles:
            handle.remove()
        for m, mode in modes:
            m.training = mode
    return trace


def is_plain_batch_norm(module):
    """Whether calling the module is one node of ONNX's, BatchNormalization: nothing of a subclass, no hook but ours."""
    return (isinstance(module, BatchNorm) and type(module).forward is BatchNorm.forward and "forward" not in vars(module)
            and module.running_mean is not None and len(module._forward_hooks) == 1)


class Graph:
    """The list of nodes of one trace; the functions of onnx_ops.py add to it."""

    def __init__(self, trace, known):
        self.trace, self.nodes, self.layer, self.counts = trace, [], "", {}
        self.names = dict(known)                                  # {id of tensor: name}
        self.names |= {id(raw(x)): known[id(x)] for x in trace.inputs if isinstance(raw(x), Integers)}
        self.used = set(known.values())
        self.maxima = []                                          # results of max pooling

    def add(self, kind, *inputs, **attributes):
        """Append a node and return the name of its output."""
        name = self.free(f"{self.layer}/{kind}" if self.layer else kind)
        self.nodes.append(Node(kind, list(inputs), name, attributes, self.layer))
        return name

    def free(self, stem):
        """A name that is not used yet."""
        count = self.counts[stem] = self.counts.get(stem, -1) + 1
        name = stem if count == 0 else f"{stem}_{count}"
        while name in self.used:
            name += "_"
        self.used.add(name)
        return name

    def second(self, name, what):
        """The name of the second output of the node with this output, which is `what`."""
        node = next(node for node in self.nodes if node.output == name)
        node.second = node.second or self.free(f"{name}/{what}")
        return node.second

    def name(self, x):
        """The name of a tensor that is known or was computed, or of integers that were; the array of any other value."""
        array = raw(x)
        key = id(x) if id(x) in self.names else id(array)
        if key not in self.names and isinstance(array, Integers) and array.known:
            self.names[key] = EMITTERS[type(array.op)](self, array.op, array, *array.op.inputs)
        return self.names[key] if key in self.names else np.asarray(array)

    def build(self, outputs):
        """Add the nodes behind these tensors."""
        for tensor in self.reached(outputs):
            self.layer = self.trace.layer(tensor)
            if id(tensor) in self.trace.whole:
                module, x, _ = self.trace.whole[id(tensor)]
                name = batch_norm(self, module, x)
            else:
                emit = EMITTERS.get(type(tensor.op))
                if emit is None:
                    raise unsupported(type(tensor.op).__name__.removesuffix("Op"), self.layer)
                name = emit(self, tensor.op, tensor, *tensor.op.inputs)
            self.names[id(tensor)] = name
        return self

    def reached(self, outputs):
        """The tensors that ops made, the oldest first."""
        found, stack = {}, list(outputs)
        while stack:
            tensor = stack.pop()
            if isinstance(tensor, Tensor) and tensor.op is not None and id(tensor) not in found and id(tensor) not in self.names:
                found[id(tensor)] = tensor
                stack += [self.trace.whole[id(tensor)][1]] if id(tensor) in self.trace.whole else tensor.op.inputs
        return sorted(found.values(), key=lambda tensor: -tensor._age)


def merged(first, second, source):
    """The nodes of both traces as one list; `source` is the name of an input, whose first axis is the batch."""
    if [(n.kind, n.output, n.second) for n in first] != [(n.kind, n.output, n.second) for n in second]:
        raise otherwise()
    nodes = []
    for a, b in zip(first, second):
        if repr(a.attributes) != repr(b.attributes):
            raise differs(a, f"{a.attributes} and {b.attributes}")
        for i, (x, y) in enumerate(zip(a.inputs, b.inputs)):
            if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
                a.inputs[i], more = merged_constant(a, i, x, y, source)
                nodes += more
            elif isinstance(x, np.ndarray) or isinstance(y, np.ndarray) or x != y:
                raise otherwise()
        nodes.append(a)
    return nodes


def otherwise():
    return ValueError("export_onnx: the network computes something else for another input or batch size. Export with "
                      "dynamic_batch=False, or write it without conditions on values.")


def merged_constant(node, i, x, y, source):
    """One constant for both, the i-th input of a node, if there can be one, and the nodes that make it."""
    if x.dtype == y.dtype and x.shape == y.shape:
        different = np.flatnonzero(~((x == y) | ((x != x) & (y != y))))
        if not len(different):
            return x, []
        if node.kind == "Reshape" and len(different) == 1 and x[different] * BATCHES[1] == y[different] * BATCHES[0]:
            return np.where(x == y, x, -1), []                    # what is left
    if x.dtype == y.dtype != bool and x.ndim and (x.shape, y.shape) == tuple((n, *x.shape[1:]) for n in BATCHES):
        if all(np.array_equal(x[0], row) for row in [*x, *y]):
            return expanded(node, i, x[:1], source)
    raise differs(node, f"an array {x.dtype} {x.shape} and an array {y.dtype} {y.shape}")


def expanded(node, i, row, source):
    """A row for each picture of the batch: its name, and the nodes that make it."""
    batch, shape, rows = (f"{node.output}/{what}_{i}" for what in ("batch", "shape", "rows"))
    return rows, [Node("Shape", [source], batch, {"start": 0, "end": 1}, node.layer),
                  Node("Concat", [batch, np.array(row.shape[1:], np.int64)], shape, {"axis": 0}, node.layer),
                  Node("Expand", [row, shape], rows, {}, node.layer)]


def differs(node, both):
    unpooling = node.kind == "ScatterElements"
    hint = " The indices of max_unpool must be those of a max_pool whose maxima are used as well." if unpooling else ""
    return ValueError(f"export_onnx: {node.kind} in {place(node.layer)} uses numbers that depend on the input and are not "
                      f"recorded in the graph, {both} for two inputs. Compute them with operations of Tensors; "
                      "if they depend only on the batch size, use dynamic_batch=False." + hint)


def alive(nodes, outputs):
    """The nodes that an output needs."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if node.output in wanted or node.second in wanted:
            kept.append(node)
            wanted.update(x for x in node.inputs if isinstance(x, str))
    return kept[::-1]
