"""What is checked, whatever it is written in: a function of arrays, and a backward pass that claims to be its derivative.

A Subject has inputs, of which some are differentiated, and two abilities: `forward` computes the outputs, `run` computes them and
keeps what the backward pass needs.  The examination (examine.py) knows nothing else; each front brings its own Subject.
"""

import inspect

import numpy as np

from ..autograd import enable_grad, grad, no_grad
from ..backend import CPU, device_of, to_device
from ..ops.device import moved, on_host
from ..tensor import Op, Parameter, Tensor, raw, result

LIBRARY = __package__.partition(".")[0] + "."           # where operations come from that need no check
MISSING = object()                                        # no gradient was returned at all for an input; None says it is zero


class Run:
    """One forward pass: its outputs, and a backward pass that may be asked for gradients."""

    def __init__(self, outputs, backward):
        self.outputs, self.backward = outputs, backward   # backward(upstreams) -> one gradient per differentiated input


class Subject:
    """The base of all subjects.

    title: what is checked, for the report; names, values: the inputs; wanted: the positions of those that are differentiated.
    interleaves: whether two forward passes may be open at once; upstream: whether backward takes an upstream gradient;
    roots: where random generators may be found.
    """

    interleaves = upstream = True
    repeats = False                                       # whether a run may be asked for gradients again and again
    draws_by_layout = False                               # whether random numbers depend on how inputs lie in memory
    dtype = np.float64

    def __init__(self, title, names, values, wanted, roots=()):
        self.title, self.names, self.values, self.wanted, self.roots = title, names, values, wanted, roots
        self.count = len(values)                          # so many are arguments; what follows are parameters

    def forward(self, values):
        """The floating-point outputs, a list of arrays."""
        raise NotImplementedError

    def run(self, values):
        """A Run."""
        raise NotImplementedError

    def is_data(self, i):
        """Whether backward need not return a gradient for input i."""
        return False

    def changed(self, values):
        """Names of parameters, not among the arguments, that a pass wrote to."""
        return []

    def renewed(self, values=None):
        """The same subject without what earlier calls left in it; values: those of its first call, where it needs one."""
        return self

    def parts(self, values, alone=False):
        """Subjects of the operations inside that the user wrote; None where they are not known, or there is one and not `alone`."""
        return None

    def close(self):
        """Give back everything that was borrowed from the user."""


class TensorSubject(Subject):
    """A callable on the engine's Tensors: a function or an Op."""

    repeats = True

    def __init__(self, title, f, names, values, wanted):
        super().__init__(title, names, values, wanted, (f,))
        self.f = f

    def tensors(self, values, requires_grad=False):
        """Arrays as Tensors that share their memory, so that a change in place is seen; the rest as it is."""
        tensors = [result(v) if isinstance(v, np.ndarray) else v for v in values]
        for i in self.wanted:
            tensors[i].requires_grad = requires_grad
        return tensors

    def call(self, tensors):
        """f's floating-point outputs."""
        y = self.f(*tensors)
        outputs = list(y) if isinstance(y, (tuple, list)) else [y]
        for item in outputs:
            if not hasattr(item, "dtype"):
                raise TypeError(f"gradcheck: f must return one Tensor or a tuple of them, got {type(item).__name__}. "
                                "Does it lack its return?")
        return [o for o in outputs if o.dtype.kind == "f"]

    def forward(self, values):
        with no_grad():
            return [raw(y) for y in self.call(self.tensors(values))]

    def run(self, values):
        tensors = self.tensors(values, requires_grad=True)
        outputs = self.call(tensors)
        return Run([raw(y) for y in outputs], lambda us: [None if g is None else raw(g) for g in self.pull(outputs, tensors, us)])

    def second(self, upstreams):
        """The Subject of the second order."""
        return GradientSubject(self, upstreams)

    def parts(self, values, alone=False):
        nodes, waiting = {}, [y for y in self.call(self.tensors(values, requires_grad=True)) if isinstance(y, Tensor)]
        while waiting:
            t = waiting.pop()
            if t.op is not None and t not in nodes:
                nodes[t] = t.op
                waiting += [x for x in t.op.inputs if isinstance(x, Tensor)]
        if len(nodes) < 2 and not alone:
            return None
        own = [op for op in nodes.values() if not type(op).__module__.startswith(LIBRARY)]
        return [part for op in own if (part := part_of(op)).wanted]

    def pull(self, outputs, tensors, upstreams, create_graph=False):
        """The gradients of <upstreams, outputs>; None where nothing leads from an output to the input."""
        live = [k for k, y in enumerate(outputs) if isinstance(y, Tensor) and y.requires_grad]
        if not live:
            return [None] * len(self.wanted)
        return grad([outputs[k] for k in live], [tensors[i] for i in self.wanted], [upstreams[k] for k in live],
                    retain_graph=True, create_graph=create_graph, allow_unused=True)


def part_of(op):
    """The Subject of one operation in a graph, at the inputs that it had."""
    values = [np.array(raw(x)) if isinstance(x, Tensor) else x for x in op.inputs]
    wanted = [i for i, (x, v) in enumerate(zip(op.inputs, values))
              if isinstance(x, Tensor) and x.requires_grad and v.dtype.kind == "f"]
    return TensorSubject(op.name, op, parameter_names(op, len(values)), values, wanted)


class ModuleSubject(TensorSubject):
    """A Module: its inputs and all of its parameters; everything is borrowed and given back by close()."""

    def __init__(self, title, module, names, values, wanted, train=True):
        self.module, self.before = module, [(m, m.training) for m in module.modules()]
        self.tensors_before = [(t, t._data, t.grad) for t in (*module.parameters(), *module.buffers())]
        self.frozen = [p for p in module.parameters() if not p.requires_grad]
        self.parameters = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        if train is not None:
            module.train(train)
        self.device = next((t.device for t, _, _ in self.tensors_before), CPU)
        for t, array, _ in self.tensors_before:
            t._data = array.astype(self.dtype) if array.dtype.kind == "f" else array.copy()
            if isinstance(t, Parameter):
                t._data = to_device(t._data, CPU)         # where the examination changes it; see `call`
        self.buffers = [(b, b._data.copy()) for b in module.buffers()]
        count = len(values)
        super().__init__(title, module, names + [name for name, _ in self.parameters],
                         values + [p._data for _, p in self.parameters],
                         wanted + list(range(count, count + len(self.parameters))))
        self.count = count

    def tensors(self, values, requires_grad=False):
        dtype = next((v.dtype for v in values if isinstance(v, np.ndarray) and v.dtype.kind == "f"), self.dtype)
        for b, array in self.buffers:                     # running statistics start from the same place every time
            b._data = array.astype(dtype) if array.dtype.kind == "f" else array.copy()
        inputs = [result(v) if isinstance(v, np.ndarray) else v for v in values[:self.count]]
        parameters = []
        for (_, p), array in zip(self.parameters, values[self.count:]):
            if p._data is not array:                      # two open graphs may share one set of parameters
                p._data, p.op = array, None
                p.touch()
            parameters.append(p)
        for i in self.wanted:
            if i < self.count:
                inputs[i].requires_grad = requires_grad
        return inputs + parameters

    def call(self, tensors):
        """The outputs; on a GPU the layers get there copies of the parameters, through which gradients come back."""
        if self.device == CPU:
            return super().call(tensors[:self.count])
        held = [(m, name, p) for m in self.module.modules() for name, p in vars(m).items() if isinstance(p, Parameter)]
        there = {p: p.to(self.device) for _, _, p in held}
        try:
            for m, name, p in held:
                object.__setattr__(m, name, there[p])
            return moved(super().call(moved(tensors[:self.count], self.device)), CPU)
        finally:
            for m, name, p in held:
                object.__setattr__(m, name, p)

    def close(self):
        for m, training in self.before:
            object.__setattr__(m, "training", training)
        for t, array, gradient in self.tensors_before:
            t._data, t.grad = array, gradient
            t.touch()


def brought_there(f, inputs):
    """f as a function of Tensors in main memory, where it takes some on a GPU: these are moved there, and its outputs back.

    So the examination changes its numbers in main memory, and what it examines is computed on the GPU in both passes.
    """
    places = [device_of(raw(x)) for x in inputs]
    if set(places) <= {CPU}:
        return f

    def there(*tensors):
        return moved(f(*[moved(x, place) for x, place in zip(tensors, places)]), CPU)
    return there


def upstream_names(count):
    return ["upstream"] if count == 1 else [f"upstream {k}" for k in range(count)]


class GradientSubject(TensorSubject):
    """The gradients of another subject as functions of its inputs and of the upstream gradients: the second order."""

    def __init__(self, inner, upstreams):
        n, k = len(inner.values), len(upstreams)
        super().__init__(inner.title, inner, [*inner.names, *upstream_names(k)], [*inner.values, *upstreams],
                         [*inner.wanted, *range(n, n + k)])
        self.inner, self.n, self.roots, self.count = inner, n, inner.roots, inner.count

    def tensors(self, values, requires_grad=False):
        upstreams = [result(u) for u in values[self.n:]]
        for u in upstreams:
            u.requires_grad = requires_grad
        return [*self.inner.tensors(values[:self.n], requires_grad=True), *upstreams]

    def call(self, tensors):
        with enable_grad():
            outputs = self.inner.call(tensors[:self.n])
            found = self.inner.pull(outputs, tensors, tensors[self.n:], create_graph=True)
        return [g if isinstance(g, Tensor) else result(np.zeros(tensors[i].shape)) for g, i in zip(found, self.inner.wanted)]

    def forward(self, values):
        return [raw(y) for y in self.call(self.tensors(values))]


def flatten(outputs):
    if len(outputs) == 1:
        return np.array(outputs[0], np.float64).reshape(-1)
    return np.concatenate([np.asarray(y, np.float64).reshape(-1) for y in outputs]) if outputs else np.zeros(0)


def split(u, shapes):
    """The flat upstream gradient as fresh arrays, one per output."""
    parts, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        parts.append(u[start:start + size].reshape(shape).copy())
        start += size
    return parts


def array_inputs(op, inputs, wrt, dtype, names=None, may_have_none=False):
    """Checked values and the positions to differentiate: float arrays as `dtype`, integer ones and everything else as they are."""
    values = []
    for i, x in enumerate(inputs):
        if isinstance(x, (tuple, list)) and any(isinstance(item, (Tensor, np.ndarray)) for item in x):
            raise TypeError(f"{op}: inputs go one by one, {op}(f, x, w), got a {type(x).__name__} of {len(x)}. "
                            "Write a star before it.")
        x = on_host(x)
        is_float = isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind == "f"
        values.append(np.array(x, dtype) if is_float else x)
    floats = [i for i, v in enumerate(values) if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    if wrt is not None:
        chosen = [names.index(w) if names and w in names else w for w in ([wrt] if isinstance(wrt, (int, str)) else wrt)]
        for w in chosen:
            if w not in floats:
                raise ValueError(f"{op}: wrt must name floating-point inputs, by number or name, got {w!r}. "
                                 f"These are {floats}{', ' + str([names[i] for i in floats]) if names else ''}.")
        return values, chosen
    if not floats and not may_have_none:
        raise TypeError(f"{op}: needs at least one floating-point input to differentiate.")
    return values, floats


def parameter_names(f, count):
    """The names of a function's arguments; `input 0`, `input 1` where they cannot be known."""
    default = [f"input {i}" for i in range(count)]
    target = f.forward if isinstance(f, Op) else f
    try:
        parameters = [p for p in inspect.signature(target).parameters.values()
                      if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):
        return default
    return [p.name for p in parameters[:count]] + default[len(parameters):]
