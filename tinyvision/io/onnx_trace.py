"""A network as a list of nodes, read off the graph that a pass forward leaves behind.

A Tensor knows the Op that made it, so the graph of a result, followed back to the input, is the network written out: every loop
unrolled, every `if` decided.  What the graph does not show is what was decided by the input's values (an index of a largest
element, a mask) or by its sizes (a reshape to (32, 400)): such numbers stand in it as constants.  So the network is run
twice, on different numbers and on batches of 2 and of 3, and the two lists are laid on top of each other:

    equal constants                       are constants
    the shape of a Reshape                differs by the batch size: that entry is left open
    any other difference                  comes from the input without being recorded, and is an error

Which layer a node belongs to is told by the time of its making: each module's hooks note when it began and ended.
"""

from dataclasses import dataclass, field

import numpy as np

from ..autograd import enable_grad
from ..nn.norm import BatchNorm
from ..tensor import Tensor, ages, raw
from .onnx_ops import EMITTERS, batch_norm, place, unsupported

BATCHES = 2, 3


@dataclass
class Node:
    """One node of the list; an input is a name, an array (a constant) or None (left out)."""

    kind: str
    inputs: list
    output: str
    attributes: dict
    layer: str


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


def passes(model, examples, dynamic_batch):
    """Two traces of a model in evaluation mode."""
    rng = np.random.default_rng(0)
    traces = []
    for batch in BATCHES:
        traces.append(run(model, [drawn(x, batch if dynamic_batch else None, rng) for x in examples]))
    return traces


def drawn(x, batch, rng):
    """Numbers like those of an example, uniform between its smallest and largest, for a batch of this size."""
    shape = x.shape if batch is None else (batch, *x.shape[1:])
    low, high = (float(x.min()), float(x.max())) if x.size else (0.0, 0.0)
    low, high = (low, high) if low < high else (low, low + 1.0)
    return Tensor(rng.uniform(low, high, shape).astype(x.dtype), requires_grad=True)


def run(model, inputs):
    """One pass forward, watched; hooks and modes are as before afterwards."""
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
    try:
        for path, module in model.named_modules():
            handles += [module.register_forward_pre_hook(begin(path)), module.register_forward_hook(end)]
        model.eval()
        with enable_grad(), np.errstate(all="ignore"):
            trace.outputs = model(*inputs)
    finally:
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
        self.used = set(known.values())

    def add(self, kind, *inputs, **attributes):
        """Append a node and return the name of its output."""
        stem = f"{self.layer}/{kind}" if self.layer else kind
        count = self.counts[stem] = self.counts.get(stem, -1) + 1
        name = stem if count == 0 else f"{stem}_{count}"
        while name in self.used:
            name += "_"
        self.used.add(name)
        self.nodes.append(Node(kind, list(inputs), name, attributes, self.layer))
        return name

    def name(self, x):
        """The name of a tensor that is known or was computed; the array of any other value."""
        return self.names[id(x)] if id(x) in self.names else np.asarray(raw(x))

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


def merged(first, second):
    """The nodes of both traces as one list."""
    if [(n.kind, n.output) for n in first] != [(n.kind, n.output) for n in second]:
        raise ValueError("export_onnx: the network computes something else for another input or batch size. Export with "
                         "dynamic_batch=False, or write it without conditions on values.")
    for a, b in zip(first, second):
        if repr(a.attributes) != repr(b.attributes):
            raise differs(a, f"{a.attributes} and {b.attributes}")
        a.inputs = [x if isinstance(x, str) or x is None else merged_constant(a, x, y) for x, y in zip(a.inputs, b.inputs)]
    return first


def merged_constant(node, x, y):
    """One constant for both, if there can be one."""
    if x.dtype == y.dtype and x.shape == y.shape:
        different = np.flatnonzero(~((x == y) | ((x != x) & (y != y))))
        if not len(different):
            return x
        if node.kind == "Reshape" and len(different) == 1 and x[different] * BATCHES[1] == y[different] * BATCHES[0]:
            return np.where(x == y, x, -1)                        # what is left
    raise differs(node, f"an array {x.dtype} {x.shape} and an array {y.dtype} {y.shape}")


def differs(node, both):
    return ValueError(f"export_onnx: {node.kind} in {place(node.layer)} uses numbers that depend on the input and are not "
                      f"recorded in the graph, {both} for two inputs. Compute them with operations of Tensors; "
                      "if they depend only on the batch size, use dynamic_batch=False.")


def alive(nodes, outputs):
    """The nodes that an output needs."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if node.output in wanted:
            kept.append(node)
            wanted.update(x for x in node.inputs if isinstance(x, str))
    return kept[::-1]
