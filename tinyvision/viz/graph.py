"""The graph of a computation as a picture: what backward() will walk, before it does.

Every Tensor that was computed holds the Op that made it, and the Op its inputs; `computation_graph` follows them from the
results up and draws a box for each, results at the bottom:

    operation        name and the shape of its result
    parameter        name and shape; with the size of its gradient, once backward() has left one
    input            other tensors and arrays that went in

`module_graph` runs a network and draws one box for each of its parts instead; `depth` says how far down to take it apart.  That
shows where a network branches and joins, which the list of its layers does not.

The mouse on a box shows the details: settings of the operation, element type, memory, gradient.
"""

from dataclasses import dataclass, field

import numpy as np

from ..autograd import enable_grad, spent
from ..backend import is_array
from ..nn.module import Module
from ..nn.summary import example, size_text, tensors
from ..ops.device import on_host
from ..tensor import Tensor, ages, raw
from .layout import arrange
from .svg import FONT, LEADING, Svg, count_name, rect, size_name, text, text_width, title

MOST = 1500                                               # boxes that one can look at
FILLS = {"operation": ("#ffffff", "#57606a"), "parameter": ("#fff1d6", "#c77700"), "input": ("#dcecfb", "#0b6bb8"),
         "result": ("#e3f5e6", "#1a7f37"), "part": ("#eeeafb", "#6b4fbb")}
PAD = 8                                                   # pixels between a text and its box


@dataclass
class Box:
    """One box: what it is, its lines of text, and what the mouse shows."""

    kind: str
    lines: list
    details: list = field(default_factory=list)

    @property
    def size(self):
        return max(map(text_width, self.lines)) + 2 * PAD, len(self.lines) * FONT * LEADING + PAD


def computation_graph(outputs, module=None, names=None, parameters=True):
    """The operations behind one or several Tensors as an Svg, which notebooks show and `save(path)` writes.

    module: the network whose parameters are called by their names.  names: {name: Tensor} for other tensors, inputs for instance.
    parameters: whether parameters are drawn.
    Raises ValueError for a graph that backward() has released, for tensors outside of any graph, and for more than 1500 boxes;
    TypeError for other things than Tensors.

    >>> from tinyvision.nn import Linear
    >>> net, x = Linear(3, 2), Tensor([[1.0, 2.0, 3.0]])
    >>> computation_graph((net(x) ** 2).mean(), net, {"x": x}).save("graph.svg")
    """
    roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    check_roots(roots)
    known = {id(x): (name, "input") for name, x in (names or {}).items()}
    known |= {id(x): (name, "parameter") for name, x in (module.named_parameters() if module is not None else ())}
    boxes, edges, seen = {}, [], list(roots)
    while seen:
        x = seen.pop()
        if id(x) in boxes:
            continue
        boxes[id(x)] = tensor_box(x, known.get(id(x)), any(x is root for root in roots))
        check_count(boxes)
        for source in x.op.inputs if isinstance(x, Tensor) and x.op is not None else ():
            if drawn(source) and (parameters or not is_parameter(source, known)):
                edges.append((id(source), id(x)))
                seen.append(source)
    return picture(ordered(boxes, list(map(id, roots)), edges), edges)


def module_graph(module, *inputs, depth=1):
    """The parts of a network and what flows between them as an Svg, found by running it on zeros or on examples.

    inputs: for each argument of forward a shape with its batch axis, or an example.  depth: 1 draws the children of the module as
    one box each, 2 their children, and so on; operations outside of any part are drawn as they are.
    The network runs in its present mode, on copies of its buffers, so that running means stay as they are.
    Raises ValueError and TypeError as Module.summary does, and for a depth below 1.

    >>> from tinyvision.models import LeNet5
    >>> module_graph(LeNet5(), (1, 1, 28, 28)).save("lenet.svg")
    """
    if not isinstance(depth, int) or depth < 1:
        raise ValueError(f"module_graph: depth must be an integer from 1 on, got {depth!r}.")
    if not inputs:
        raise ValueError("module_graph: needs an input for each argument of forward, got none. Give a shape such as "
                         "(1, 3, 32, 32).")
    dtype = next((p.dtype for p in module.parameters() if p.dtype.kind == "f"), np.dtype(np.float32))
    examples = [example(x, dtype, module) for x in inputs]
    examples = [Tensor(x, requires_grad=raw(x).dtype.kind == "f") for x in examples]
    outputs, spans = watched(module, examples, depth)
    roots = tensors(outputs)
    check_roots(roots)
    return grouped(examples, roots, spans)


def check_roots(roots):
    if not roots or not all(isinstance(x, Tensor) for x in roots):
        given = ", ".join(type(x).__name__ for x in roots) or "none"
        raise TypeError(f"computation_graph: needs a Tensor or several, got {given}. Pass the result of the network.")
    for x in roots:
        if x.op is spent:
            raise ValueError("computation_graph: backward() has released this graph. Draw it before, or call "
                             "backward(retain_graph=True).")
        if x.op is None:
            raise ValueError(f"computation_graph: no operation is recorded behind this tensor of shape {x.shape}. Let an input "
                             "or parameter require a gradient, and compute outside of no_grad().")


def check_count(boxes):
    if len(boxes) > MOST:
        raise ValueError(f"computation_graph: more than {MOST} boxes, which nobody can look at. Use parameters=False, or "
                         "module_graph with a small depth.")


def drawn(x):
    """Whether an input of an operation gets a box: tensors, and arrays of more than a number."""
    return isinstance(x, Tensor) or (is_array(x) and x.size > 1)


def is_parameter(x, known):
    return known.get(id(x), ("", ""))[1] == "parameter" or (isinstance(x, Tensor) and x.op is None and x.requires_grad)


def tensor_box(x, known, is_root):
    """The box of a tensor or array."""
    made = isinstance(x, Tensor) and x.op is not None
    if made:
        # a batch norm that rectifies on the way says so
        first = x.op.name + (" + ReLU" if getattr(x.op, "relu", False) else "")
        kind = "result" if is_root else "operation"
    elif known:
        first, kind = known
    else:
        kind = "parameter" if is_parameter(x, {}) else "input"
        first = kind if isinstance(x, Tensor) else "constant"
    lines, details = [first, size_name(x.shape)], settings(x.op) if made else []
    array, grad = raw(x), x.grad if isinstance(x, Tensor) else None
    details = [first, *details, f"{array.dtype}, {array.size:,} numbers, {size_text(array.nbytes)}"]
    if grad is not None:
        size = float(np.sqrt((np.asarray(on_host(grad), np.float64) ** 2).sum()))
        lines.append(f"grad {size:.2g}")
        details.append(f"length of the gradient {size:.6g}")
    return Box(kind, lines, details)


def settings(op):
    """What an operation was told, one line each."""
    shown = []
    for name, value in vars(op).items():
        if name in ("inputs", "versions", "needs"):
            continue
        if is_array(value):
            shown.append(f"{name}: array {value.shape}")
        elif isinstance(value, (int, float, str, tuple, list, type(None))) or hasattr(value, "__dataclass_fields__"):
            shown.append(f"{name}: {str(value)[:100]}")
    numbers = [x for x in op.inputs if x is not None and not drawn(x)]
    return shown + [f"number: {np.asarray(x)}"[:100] for x in numbers if np.size(x) == 1]


def ordered(boxes, roots, edges):
    """The boxes in the order in which a reader would name them: inputs before results, the first input first."""
    sources = {}
    for u, v in edges:
        sources.setdefault(v, []).append(u)
    result, stack = {}, [(root, False) for root in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            result[node] = boxes[node]
        elif node not in result:
            stack.append((node, True))
            stack += [(source, False) for source in reversed(sources.get(node, []))]
    return result


@dataclass
class Part:
    """One call of a module that is drawn as one box: its time in ages of tensors, which count downwards."""

    path: str
    module: Module
    start: int
    stop: int = None


def watched(module, examples, depth):
    """The outputs of a pass forward, and the calls of the parts at this depth."""
    spans, open_parts, handles = [], [], []
    chosen = [(path, m) for path, m in module.named_modules() if path and is_part(path, m, depth)]

    def begin(path):
        def hook(m, args):
            open_parts.append(Part(path, m, next(ages)))
        return hook

    def end(m, args, output):
        part = open_parts.pop()
        part.stop = next(ages)
        if not open_parts:                                # a part inside of a part belongs to that
            spans.append(part)

    before = [(buffer, raw(buffer).copy()) for buffer in module.buffers()]
    try:
        for path, m in chosen:
            handles += [m.register_forward_pre_hook(begin(path)), m.register_forward_hook(end)]
        with enable_grad():
            return module(*examples), spans
    finally:
        for handle in handles:
            handle.remove()
        for buffer, array in before:
            buffer.data = array


def is_part(path, module, depth):
    """Whether a module is one box: at this depth, or above it without children."""
    level = path.count(".") + 1
    return level == depth or (level < depth and next(module.children(), None) is None)


def grouped(examples, roots, spans):
    """The picture in which all that one part made is one box; parameters and constants belong to the part that uses them."""
    known = {id(x): (f"input {i}" if len(examples) > 1 else "input", "input") for i, x in enumerate(examples)}
    made, edges, seen, visited = {}, [], list(roots), set()
    for x in seen:                                        # grows while it is walked
        if id(x) in visited:
            continue
        visited.add(id(x))
        node = node_of(x, spans)
        made.setdefault(node, []).append(x)
        check_count(made)
        for source in x.op.inputs if x.op is not None else ():
            if id(source) in known or (isinstance(source, Tensor) and source.op is not None):
                seen.append(source)
                if node_of(source, spans) != node:
                    edges.append((node_of(source, spans), node))
    ends = {id(x) for x in roots}
    boxes = {node: part_box(spans[node[1]], xs, any(id(x) in ends for x in xs)) if isinstance(node, tuple) else
             tensor_box(xs[0], known.get(id(xs[0])), id(xs[0]) in ends) for node, xs in made.items()}
    return picture(ordered(boxes, [node_of(x, spans) for x in roots], edges), edges)


def node_of(x, spans):
    """The part in which a tensor was made, or its own id."""
    if isinstance(x, Tensor) and x.op is not None:
        for i, span in enumerate(spans):
            if span.start > x._age > span.stop:
                return "part", i
    return id(x)


def part_box(span, made, is_root):
    """The box of a part: its path, its kind, the shape of what it made last, and how much it learns."""
    last = min(made, key=lambda x: x._age)
    count = sum(p.size for p in span.module.parameters())
    lines = [span.path, type(span.module).__name__, size_name(last.shape)] + [f"{count_name(count)} weights"] * bool(count)
    settings_of = span.module.extra_repr() if next(span.module.children(), None) is None else f"{len(made)} operations"
    return Box("result" if is_root else "part", lines, [f"{span.path}: {type(span.module).__name__}", settings_of,
                                                        f"{count:,} parameters"])


def picture(boxes, edges):
    """The Svg of boxes {node: Box} and edges [(from, to)]."""
    numbers = {node: f"n{i}" for i, node in enumerate(boxes)}
    edges = list(dict.fromkeys(edges))                    # x * x: one arrow
    layout = arrange({node: box.size for node, box in boxes.items()}, edges)
    elements = ['<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
                '<path d="M0,0.8 L7.5,4 L0,7.2 z" fill="#57606a"/></marker></defs>']
    for u, v in edges:
        elements.append(f'<path class="edge" data-from="{numbers[u]}" data-to="{numbers[v]}" d="{curve(layout.ways[u, v])}" '
                        'fill="none" stroke="#57606a" stroke-width="1.2" marker-end="url(#tip)"/>')
    for node, box in boxes.items():
        elements.append(drawn_box(box, numbers[node], *layout.places[node]))
    return Svg(elements, layout.width, layout.height)


def curve(points):
    """A path through points that come in pairs: straight down within a row, then a curve to the next."""
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for i, ((x0, y0), (x1, y1)) in enumerate(zip(points, points[1:])):
        if i % 2 == 0:
            path += f" V{y1:.1f}" if abs(y1 - y0) > 0.05 else ""
        else:
            middle = (y0 + y1) / 2
            path += f" V{y1:.1f}" if abs(x1 - x0) < 0.05 else f" C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}"
    return path


def drawn_box(box, number, x, y):
    """A box around (x, y), its texts and what the mouse shows."""
    width, height = box.size
    fill, stroke = FILLS[box.kind]
    top = y - height / 2
    corner = 10 if box.kind in ("parameter", "input") else 4
    parts = [f'<g class="node {box.kind}" id="{number}">', title(box.details),
             rect(x - width / 2, top, width, height, fill, stroke, corner)]
    for i, line in enumerate(box.lines):
        color = "#1a7f37" if line.startswith("grad ") else "#1f2328" if i == 0 else "#57606a"
        base = top + PAD / 2 + (i + 0.76) * FONT * LEADING
        parts.append(text(x, base, line, fill=color, weight="bold" if i == 0 else "normal"))
    return "".join([*parts, "</g>"])
