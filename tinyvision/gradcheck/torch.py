"""PyTorch's tensors as a Subject: custom autograd.Functions and nn.Modules, where PyTorch is installed."""

import contextlib

import numpy as np

from ..packages import require
from .subject import Run, Subject, array_inputs, parameter_names, upstream_names


def torch_subject(function, tensors, wrt, names):
    """The Subject for check_torch."""
    require("check_torch", "torch")
    import torch
    if not callable(function):
        raise TypeError(f"check_torch: function must be callable, got {type(function).__name__}.")
    if isinstance(function, type) and issubclass(function, torch.autograd.Function):
        raise TypeError(f"check_torch: pass {function.__name__}.apply, which calls the function; the class itself only "
                        "describes it.")
    arrays = [x.detach().cpu().resolve_conj().numpy() if isinstance(x, torch.Tensor) else x for x in tensors]
    target = function.forward if isinstance(function, torch.nn.Module) else function
    names = list(names) if names else parameter_names(target, len(arrays))
    module = function if isinstance(function, torch.nn.Module) else None
    floats = any(isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in arrays)
    values, wanted = array_inputs("check_torch", arrays, wrt, np.float64, names, module is not None or not floats)
    if not wanted and module is None:
        raise TypeError("check_torch: needs at least one floating-point tensor to differentiate.")
    return TorchSubject(function, names, values, wanted, module)


class TorchSubject(Subject):
    """A callable on torch tensors; a Module's parameters are inputs too, borrowed in float64 and given back by close()."""

    repeats = True
    draws_by_layout = True                                # torch.rand_like fills memory in its order

    def __init__(self, function, names, values, wanted, module):
        import torch
        self.torch, self.function, self.module_of_torch = torch, function, module
        self.parameters = [(n, p) for n, p in module.named_parameters() if p.requires_grad] if module else []
        self.before = [(t, t.data) for t in (*module.parameters(), *module.buffers())] if module else []
        self.gradients_before = [(p, p.grad) for p in module.parameters()] if module else []
        for t, data in self.before:
            t.data = data.double() if data.is_floating_point() else data.clone()
        self.buffers = [(b, b.data.clone()) for b in module.buffers()] if module else []
        count = len(values)
        title = getattr(function, "__name__", type(function).__name__)
        owner = getattr(getattr(function, "__self__", None), "__name__", "")
        super().__init__(owner or title, names + [n for n, _ in self.parameters],
                         values + [p.data.numpy().copy() for _, p in self.parameters],
                         wanted + list(range(count, count + len(self.parameters))), (function,))
        self.count = count

    def tensors(self, values, requires_grad):
        """Arrays as tensors that share their memory."""
        torch = self.torch
        for b, data in self.buffers:
            b.data = data.clone()
        made = [torch.from_numpy(positive(v)) if isinstance(v, np.ndarray) else v for v in values[:self.count]]
        for i in self.wanted:
            if i < self.count:
                made[i].requires_grad_(requires_grad)
        for (_, p), v in zip(self.parameters, values[self.count:]):
            if p.data_ptr() != v.__array_interface__["data"][0]:
                p.data = torch.from_numpy(positive(v))
            made.append(p)
        return made

    def call(self, tensors):
        # leaves that require a gradient may not be written to in place; what a function does to them goes to a view
        y = self.function(*tensors[:self.count])
        outputs = list(y) if isinstance(y, (tuple, list)) else [y]
        for item in outputs:
            if not isinstance(item, self.torch.Tensor):
                raise TypeError(f"check_torch: function must return a tensor or a tuple of them, got {type(item).__name__}. "
                                "Does it lack its return?")
        return [o for o in outputs if o.is_floating_point()]

    def forward(self, values):
        with self.torch.no_grad():
            return [y.detach().numpy() for y in self.call(self.tensors(values, False))]

    def run(self, values):
        with self.torch.enable_grad():
            tensors = self.tensors(values, True)
            outputs = self.call(tensors)

        def backward(us):
            given = [self.torch.from_numpy(positive(u)) for u in us]
            return [None if g is None else g.detach().numpy() for g in self.pull(outputs, tensors, given)]
        return Run([y.detach().numpy() for y in outputs], backward)

    def pull(self, outputs, tensors, upstreams, create_graph=False):
        """The gradients of <upstreams, outputs>; None where nothing leads from an output to the input."""
        live = [k for k, y in enumerate(outputs) if y.requires_grad]
        if not live:
            return [None] * len(self.wanted)
        return self.torch.autograd.grad([outputs[k] for k in live], [tensors[i] for i in self.wanted], [upstreams[k] for k in live],
                                        retain_graph=True, create_graph=create_graph, allow_unused=True)

    def second(self, upstreams):
        return TorchGradientSubject(self, upstreams)

    def parts(self, values, alone=False):
        with self.torch.enable_grad():
            own, count = functions_behind(self.call(self.tensors(values, True)))
            calls = []
            with watched(own, calls):
                self.call(self.tensors(values, True))
        if count < 2 and not alone or len(calls) < len(own):
            return None
        return [part for call in calls if (part := self.part_of(*call)).wanted]

    def part_of(self, function, arguments):
        """The Subject of one call of an autograd.Function."""
        tensor = self.torch.Tensor
        values = [x.detach().numpy().copy() if isinstance(x, tensor) else x for x in arguments]
        wanted = [i for i, x in enumerate(arguments) if isinstance(x, tensor) and x.requires_grad and x.is_floating_point()]
        return TorchSubject(function.apply, [f"input {i}" for i in range(len(values))], values, wanted, None)

    def close(self):
        for t, data in self.before:
            t.data = data
        for p, gradient in self.gradients_before:
            p.grad = gradient


def positive(x):
    """An array that PyTorch can share, for it knows no negative strides; what is not contiguous stays so."""
    if all(s >= 0 for s in x.strides):
        return x
    return np.copy(x, order="F") if x.ndim > 1 else np.repeat(x, 2)[::2]


def functions_behind(outputs):
    """(the autograd.Functions that users wrote, how many nodes there are) in the graph behind some tensors."""
    seen, waiting = set(), [y.grad_fn for y in outputs if y.grad_fn is not None]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions if before is not None]
    return {own for node in seen if (own := getattr(type(node), "_forward_cls", None)) is not None}, \
        sum(type(node).__name__ != "AccumulateGrad" for node in seen)


@contextlib.contextmanager
def watched(functions, calls):
    """Inside, every call of one of these autograd.Functions is kept in `calls`, with its arguments."""
    def watch(function):
        apply = function.apply

        def noted(*arguments):
            calls.append((function, arguments))
            return apply(*arguments)
        function.apply = noted
    for function in functions:
        watch(function)
    try:
        yield
    finally:
        for function in functions:
            del function.apply


class TorchGradientSubject(TorchSubject):
    """The gradients of a TorchSubject as functions of its inputs and of the upstream gradients: the second order."""

    def __init__(self, inner, upstreams):
        n, k = len(inner.values), len(upstreams)
        self.inner, self.n, self.torch = inner, n, inner.torch
        Subject.__init__(self, inner.title, inner.names + upstream_names(k), [*inner.values, *upstreams],
                         [*inner.wanted, *range(n, n + k)], inner.roots)
        self.count = inner.count

    def tensors(self, values, requires_grad):
        upstreams = [self.torch.from_numpy(positive(u)).requires_grad_(requires_grad) for u in values[self.n:]]
        return self.inner.tensors(values[:self.n], True) + upstreams

    def call(self, tensors):
        with self.torch.enable_grad():
            found = self.inner.pull(self.inner.call(tensors[:self.n]), tensors, tensors[self.n:], create_graph=True)
        return [self.torch.zeros_like(tensors[i]) if g is None else g for g, i in zip(found, self.inner.wanted)]

    def forward(self, values):
        return [y.detach().numpy() for y in self.call(self.tensors(values, False))]

    def close(self):
        """Nothing of its own was borrowed."""
