"""Where a number that is not finite arose: the first operation of a forward pass that made one out of finite numbers.

NaN and infinity spread to everything computed from them, so a loss that is NaN says nothing about its cause.  The graph does:
it holds every intermediate result, in the order of their making, and the oldest that is not finite while its inputs are is
where it began.  Which layer that was is told by the moments at which each module was entered and left.

A backward pass goes through the same results in the other order.  The square root of 0 is finite, its slope is not: there the
youngest operation counts that was handed a finite gradient and handed on one that is none.
"""

import contextlib

import numpy as np

from ..autograd import grad
from ..backend import array_module, is_array
from ..tensor import Tensor, ages, raw, tracked


@contextlib.contextmanager
def spans(model):
    """A context manager: the list of (path, entered, left, output finite) of the calls of all modules, as they end.

    Times are those of the graph's own count, which goes down.
    """
    calls, entered, handles = [], [], []

    def enter(module, args):
        entered.append(next(ages))

    def leaver(path):
        return lambda module, args, output: calls.append((path, entered.pop(), next(ages), finite(output)))
    try:
        for path, module in model.named_modules():
            handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leaver(path))]
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def origin(model, criterion, inputs, targets, backward=False):
    """The place where the loss of this batch stops being finite, and a sentence on it; None where it is finite.

    backward: look at the gradients as well; those that the parameters have are not touched.
    """
    with spans(model) as calls, np.errstate(all="ignore"):
        loss = criterion(model(inputs), targets)
    broken = [name for name, x in [*model.named_parameters(), *model.named_buffers()] if not finite(x)]
    if not finite(inputs):
        return "input", "The inputs of the batch hold numbers that are not finite already."
    if broken:
        return broken[0], f"{broken[0]} holds numbers that are not finite."
    first = max((x for x in graph(loss) if not finite(x)), key=lambda x: x._age, default=None)
    layer = next((call for call in calls if not call[3]), None)
    if layer is not None and (first is None or layer[2] > first._age):       # a part without parameters, so not in the graph
        return layer[0], f"The outputs of {layer[0] or 'the model'} are the first that are not finite; its inputs were."
    if first is not None:
        kind, place = "NaN" if np.isnan(raw(first)).any() else "infinity", where(first, calls)
        return place, f"The first {kind} is made by the operation {first.op.name} in {place} out of finite numbers."
    if not finite(loss):
        return "the criterion", "It arises outside of the graph."
    return backward_origin(loss, calls) if backward else None


def backward_origin(loss, calls):
    """The same for the backward pass: the place, and a sentence on it."""
    results = sorted(graph(loss), key=lambda x: x._age)                      # time counts down: the loss comes first
    watched = {x for y in results for x in y.op.inputs if tracked(x)} - {loss}
    with np.errstate(all="ignore"):
        gradients = grad(loss, list(watched), retain_graph=True, allow_unused=True)
    broken = {x for x, g in zip(watched, gradients) if g is not None and not finite(g)}
    for y in results:
        if y not in broken and any(isinstance(x, Tensor) and x in broken for x in y.op.inputs):
            place = where(y, calls)
            return place, f"The first gradient that is not finite is made by the backward pass of {y.op.name} in {place}."
    return None


def where(x, calls):
    """The innermost module in which x was made; time counts down."""
    around = [(entered - left, path) for path, entered, left, _ in calls if left < x._age < entered]
    return (min(around)[1] or "the forward method of the model itself") if around else "the criterion"


def graph(root):
    """All results from which a tensor was computed, itself included."""
    seen, stack = set(), [root]
    while stack:
        x = stack.pop()
        if isinstance(x, Tensor) and x.op is not None and x not in seen:
            seen.add(x)
            stack.extend(x.op.inputs)
    return seen


def finite(x):
    x = raw(x)
    return not is_array(x) or x.dtype.kind != "f" or bool(array_module(x).isfinite(x).all())
