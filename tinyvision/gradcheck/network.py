"""check_network: which layer of a whole network returns a wrong gradient?

The network runs once, forward and backward, and every layer's inputs and the gradient that arrives at its output are kept.  Then
each layer is checked where it stands: with its own inputs, with the upstream gradient that it really gets and with a random one,
the gradients of its inputs and parameters along random directions.  Layers come before the blocks that they are part of: the
first that is wrong while all of its parts are right is the one to look at, and gets the full examination and the diagnosis.
"""

import time
from dataclasses import dataclass

import numpy as np

from ..backend import CPU
from ..nn import Module
from ..tensor import Tensor, raw, result
from .examine import Examination
from .report import GradReport
from .subject import ModuleSubject, parameter_names

CALLS = 2                                                 # a layer that is used more often is checked so many times
MEASURED = 600                                            # elements of a layer up to which it is examined element by element


@dataclass(repr=False)
class NetworkReport(GradReport):
    """A GradReport that also names the place: layer, the path of the wrong layer ("" is the network itself), and tensor.

    checked: pairs (path, kind) of all layers that were checked.
    """

    layer: str = None
    tensor: str = ""
    checked: tuple = ()

    def __str__(self):
        layers = f"{len(self.checked)} layers checked"
        if self.passed:
            return "\n".join([f"gradients agree: {self.title}, {layers}", *[f"  note: {note}" for note in self.notes]])
        return f"{super().__str__()}\n  ({layers})"

    def to_dict(self):
        return {**super().to_dict(), "layer": self.layer, "tensor": self.tensor, "checked": [list(c) for c in self.checked]}


@dataclass
class Call:
    """One call of a layer: its path, the module, its arguments and outputs as Tensors."""

    path: str
    module: Module
    inputs: tuple
    outputs: list


def check_network(module, *inputs, loss=None, train=True, seed=0):
    """Check every layer of a network in place, and name the layer and the tensor whose gradient is wrong.

    inputs: those of the network; loss: a function from its output to a single number, as a Tensor; None weighs the outputs at
    random.  It may also come last among the inputs: check_network(net, x, loss).  train: as in check_module.
    Returns a NetworkReport, a GradReport with `layer` (a path such as "layer1.0.bn1") and `tensor` ("input", "weight", ...).
    Raises TypeError where the module is none, RuntimeError where its output depends on nothing that has a gradient, ValueError for
    one on a GPU.

    >>> from tinyvision import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    >>> print(check_network(net, np.random.default_rng(0).standard_normal((2, 1, 4, 4))))
    gradients agree: Sequential, 5 layers checked
    """
    if not isinstance(module, Module):
        raise TypeError(f"check_network: module must be a Module, got {type(module).__name__}.")
    if any(x.device != CPU for x in (*module.parameters(), *module.buffers())):
        raise ValueError("check_network: looks into a network in main memory, this one is on a GPU. Pass module.cpu(); check_module "
                         "checks it where it is.")
    if loss is None and inputs and callable(inputs[-1]) and not isinstance(inputs[-1], Tensor):
        *inputs, loss = inputs
    start = time.perf_counter()
    report = NetworkReport(type(module).__name__)
    values = [np.array(raw(x), np.float64) if getattr(raw(x), "dtype", np.dtype(int)).kind == "f" else raw(x) for x in inputs]
    borrowed = ModuleSubject("", module, ["input"] * len(values), list(values), [], train)
    try:
        with np.errstate(all="ignore"):
            calls, failure = recorded(module, values, loss, seed)
            examine_calls(report, calls, seed, failure is None)
            if failure and report:                        # no layer that fails by itself
                raise failure
    finally:
        borrowed.close()
    report.seconds = time.perf_counter() - start
    return report


def recorded(module, values, loss, seed):
    """One forward and backward pass: what every layer saw, with the gradients at their outputs kept there, and what backward raised.

    The layer that raises is found by examining each; that nothing at all has a gradient is said at once.
    """
    calls, paths = [], {id(m): path for path, m in module.named_modules()}

    def remember(m, args, output):
        outputs = [o for o in (output if isinstance(output, (tuple, list)) else [output]) if isinstance(o, Tensor)]
        for o in outputs:
            if o.requires_grad:
                o.retain_grad()
        calls.append(Call(paths[id(m)], m, tuple(args), outputs))
    handles = [m.register_forward_hook(remember) for m in module.modules()]
    try:
        xs = [result(v.copy()) if isinstance(v, np.ndarray) else v for v in values]
        for x in xs:
            if isinstance(x, Tensor) and x.dtype.kind == "f":
                x.requires_grad = True
        y = module(*xs)
        number, failure = weighted(y, loss, seed), None
        try:
            number.backward()
        except RuntimeError:
            raise
        except Exception as error:                        # whatever a rule of somebody's own raises
            failure = error
    finally:
        for handle in handles:
            handle.remove()
    return calls, failure


def weighted(y, loss, seed):
    """The loss as a Tensor; without one, the outputs weighed at random."""
    if loss is not None:
        number = loss(y)
        if not isinstance(number, Tensor) or number.size != 1:
            raise TypeError(f"check_network: loss must return one number as a Tensor, got {type(number).__name__}"
                            f"{f' of shape {number.shape}' if isinstance(number, Tensor) else ''}. Reduce it with mean or sum.")
        return number
    rng = np.random.default_rng(seed)
    outputs = y if isinstance(y, (tuple, list)) else [y]
    return sum((o * rng.choice([-1.0, 1.0], o.shape) * rng.uniform(0.5, 1.5, o.shape)).sum() for o in outputs
               if isinstance(o, Tensor) and o.dtype.kind == "f")


def examine_calls(report, calls, seed, arrived=True):
    """Check the calls, parts before wholes; stop at the first layer that is wrong while its parts are right.

    arrived: whether the backward pass came to its end; else that no gradient has come to a layer says nothing about it.
    """
    done, counts = [], {}
    for call in sorted(calls, key=lambda c: -depth(c.path)):
        counts[call.path] = counts.get(call.path, 0) + 1
        if counts[call.path] > CALLS:
            continue
        found = examine_call(report, call, seed, arrived)
        if found is None:
            continue
        if call.path not in [path for path, _ in done]:
            done.append((call.path, type(call.module).__name__))
        if not found:
            blame(report, call, found)
            break
    report.checked = tuple(done)


def depth(path):
    return path.count(".") + 1 if path else 0


def examine_call(report, call, seed, arrived=True):
    """The report on one call; None where it cannot be checked alone, which a note says."""
    arguments = [raw(x) for x in call.inputs]
    if any(isinstance(x, (list, tuple, dict)) for x in arguments):
        report.notes.append(f"{call.path or 'the network'} takes lists and was checked through the block that it is part of only")
        return None
    floats = [o for o in call.outputs if o.dtype.kind == "f"]
    if not floats or not any(o.grad is not None for o in floats):
        if floats and floats[0].requires_grad and arrived:
            report.notes.append(f"no gradient arrives at {call.path or 'the network'}: the loss does not depend on it")
        if not floats:
            return None
    upstream = [np.zeros(o.shape) if o.grad is None else raw(o.grad) for o in floats]
    subject = subject_of(call, arguments)
    try:
        if not subject.wanted:
            return None
        few = sum(np.size(subject.values[i]) for i in subject.wanted) <= MEASURED
        given = upstream if any(u.any() for u in upstream) else None
        return Examination(subject, seed, elements=MEASURED if few else 0, upstream=given, patience=1.0).run(probes=False)
    finally:
        subject.close()


def subject_of(call, arguments):
    """The layer as a ModuleSubject, in the mode that it is in."""
    names = parameter_names(call.module.forward, len(arguments))
    names = ["input" if len(arguments) == 1 else name for name in names]
    values = [np.array(x) if isinstance(x, np.ndarray) else x for x in arguments]
    wanted = [i for i, v in enumerate(values) if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    return ModuleSubject(type(call.module).__name__, call.module, names, values, wanted, train=None)


def blame(report, call, found):
    """Take over what was found about one layer, and say where it stands."""
    where = f"layer {call.path!r}" if call.path else "the network itself"
    parts = any(True for _ in call.module.children())
    rest = (" All of its parts are right, so look at what its own forward does between them: an addition, a concatenation, a "
            "function, detach() or .data." if parts else "")
    wrong = [row for row in found.inputs if not row.passed]
    report.layer, report.tensor = call.path, wrong[0].name if wrong else ""
    report.inputs, report.faults, report.notes = found.inputs, found.faults, report.notes + found.notes
    report.cause = found.cause
    report.diagnosis = f"{where} ({type(call.module).__name__}): {found.diagnosis}{rest}"
