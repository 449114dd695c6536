"""Backward: follow the graph from the loss to the leaves and apply the chain rule on the way.

Where a tensor is used several times, its gradients from all consumers add up (the multivariate chain rule), and only the
complete sum is handed on: so a tensor's turn comes when all of its consumers have reported (`consumers_first`).  The loop
below is the one place where gradients are added, where their shape is checked, and where the graph is released.

Sources: Kahn 1962 (topological order); Griewank and Walther 2008, Evaluating Derivatives, chapter 3.
"""

import copy
import functools
from collections import deque
from collections.abc import Iterable

from .backend import array_module, is_array
from .tensor import Op, Tensor, as_array, raw, recording, result, tracked, versions


class GradientShapeError(ValueError):
    """A backward rule returned a gradient of another shape than its input's: which input, the gradient, the shape it must have."""

    def __init__(self, message, input, gradient, shape):
        super().__init__(message)
        self.input, self.gradient, self.shape = input, gradient, shape


class Spent(Op):
    """Stands in the graph where backward() has released an op and what it held."""


spent = Spent()


def consumers_first(roots):
    """Every tracked tensor behind the roots, each after all of its consumers (Kahn 1962).

    Iterative, each edge walked twice: linear in the size of the graph, however deep.
    """
    waiting, stack = dict.fromkeys(roots, 0), list(dict.fromkeys(roots))
    while stack:                                          # count the consumers of every tensor ...
        for x in parents(stack.pop()):
            if x not in waiting:
                waiting[x] = 0
                stack.append(x)
            waiting[x] += 1
    order = [t for t, count in waiting.items() if count == 0]
    for t in order:                                       # ... and release it when the last has reported
        for x in parents(t):
            waiting[x] -= 1
            if waiting[x] == 0:
                order.append(x)
    return deque(order)


def parents(t):
    """The inputs of t's op that wanted a gradient when it was recorded."""
    return [x for x, needed in zip(t.op.inputs, t.op.needs) if needed] if t.op is not None else []


def backward(roots, gradients, retain_graph=None, create_graph=False, targets=None):
    """The loop.  Returns pairs (tensor, its gradient as a Tensor of its own), for the leaves or for `targets`.

    `create_graph` decides only what the rules are handed: arrays (nothing is recorded) or Tensors (the backward pass is
    recorded).
    """
    retain_graph = create_graph if retain_graph is None else retain_graph
    targets = None if targets is None else set(as_tensors("backward", targets))
    grads = {}
    for root, g in zip(roots, gradients):
        add_to(grads, root, upstream(root, g, create_graph))
    order = consumers_first(roots)
    useful = leads_to(targets, order)
    delivered = []
    with GradMode(bool(create_graph)):
        while order:                                      # popped, so that a tensor dies when its turn is over
            t = order.popleft()
            if (g := grads.pop(t, None)) is None:
                continue                                  # every rule above returned None for it
            g = run_hooks(t, g, create_graph)
            if t._keeps_grad or (t.op is None and t._requires_grad if targets is None else t in targets):
                delivered.append((t, own(g)))
            if targets is not None:
                targets.discard(t)
                if not targets:
                    break                                 # whatever lies behind, nothing of it was asked for
            if t.op is None or skipped(t, useful):
                continue
            for x, gx in apply_rule(t, g, create_graph, useful):
                add_to(grads, x, gx)
            if not retain_graph:
                t.op = spent                              # frees the op, its masks and its hold on the inputs
    return delivered


def skipped(t, useful):
    """Whether nothing behind t is asked for."""
    return useful is not None and t.op is not spent and not any(x in useful for x in parents(t))


def upstream(root, g, create_graph):
    """The gradient that the user gives for a root, checked; ones only for a single number."""
    if not tracked(root):
        raise RuntimeError("backward: this tensor does not depend on any tensor with requires_grad=True (or it was "
                           "computed under no_grad). Set requires_grad=True on what you want gradients of, before the "
                           "forward pass.")
    if g is None:
        if root._data.size != 1:
            raise RuntimeError(f"backward: without an argument only for a single number, this tensor has shape "
                               f"{root.shape}. Reduce it to a loss first (y.sum() or y.mean()), or pass the gradient "
                               "dL/dy: y.backward(g).")
        g = array_module(root._data).ones_like(root._data)
    g = g if isinstance(g, Tensor) else result(g if is_array(g) else as_array(g, root.dtype))
    if g.shape != root.shape:
        raise ValueError(f"backward: the gradient must have the tensor's shape {root.shape}, got {g.shape}.")
    return g if create_graph else g._data


def add_to(grads, x, g):
    """Add g to the gradient of x: never in place, for rules may hand the same array to several inputs."""
    g = g.astype(x._data.dtype) if g.dtype != x._data.dtype else g
    grads[x] = grads[x] + g if x in grads else g


def leads_to(targets, order):
    """The tensors from which one of the targets is reached, or may have been before the graph was released; None for: all."""
    if targets is None:
        return None
    useful = set(targets)
    for t in reversed(order):                             # producers first
        if t.op is spent or any(x in useful for x in parents(t)):
            useful.add(t)
    return useful


def apply_rule(t, g, create_graph, useful):
    """Run one op's backward rule and yield (input, gradient) for the inputs that want one."""
    op, inputs = t.op, t.op.inputs
    if op is spent:
        raise RuntimeError("backward: this part of the graph was already used by an earlier backward(), which released it. "
                           "Compute the forward pass again, or call the first backward(retain_graph=True); several losses "
                           "over one graph: add them and call backward() once.")
    for i, (then, now) in enumerate(zip(op.versions, versions(inputs))):
        if then != now:
            raise RuntimeError(f"backward: input {i} of {op.name}, shape {inputs[i].shape}, was changed in place after the "
                               "forward pass, so its gradient would be wrong. Write x = x + y instead of changing x, change "
                               "a copy (x.copy()), or update weights only after backward().")
    if useful is not None:
        op = copy.copy(op)                                # the graph may serve again, and then for other targets
        op.needs = tuple([needed and x in useful for x, needed in zip(inputs, op.needs)])
    gxs = op.backward(g, *(inputs if create_graph else map(raw, inputs)))
    gxs = gxs if isinstance(gxs, (tuple, list)) else (gxs,)
    if len(gxs) != len(inputs):
        raise ValueError(f"{op.name}.backward: returned {len(gxs)} gradients for {len(inputs)} inputs. "
                         "Return one per input of forward, None for those without a gradient.")
    for i, (x, gx) in enumerate(zip(inputs, gxs)):
        if gx is not None and op.needs[i]:
            check_gradient(op, i, x, gx)
            yield x, gx


def check_gradient(op, i, x, gx):
    """A gradient has its input's shape: this catches most mistakes in a backward rule."""
    shape = getattr(gx, "shape", None)
    if shape is None:
        raise TypeError(f"{op.name}.backward: the gradient of input {i} is a {type(gx).__name__}. Return an array or Tensor.")
    if shape == x._data.shape:
        return
    missing = len(shape) - x._data.ndim
    summed = [a for a in range(len(shape)) if a < missing or (x._data.shape[a - missing] == 1 != shape[a])]
    hint = f" Was the input broadcast? Then sum over axis {', '.join(map(str, summed))}." if missing >= 0 and summed else ""
    raise GradientShapeError(f"{op.name}.backward: the gradient of input {i} must have its shape {x._data.shape}, got {shape}."
                             f"{hint}", i, raw(gx), x._data.shape)


def run_hooks(t, g, create_graph):
    """The gradient of t after its hooks: each is shown a copy, and what it returns, unless None, takes g's place."""
    for hook in (t._hooks or {}).values():
        new = hook(own(g))
        if new is None:
            continue
        if not hasattr(new, "dtype"):
            raise TypeError(f"hook: must return a Tensor or an array, or None to change nothing, got {type(new).__name__}.")
        if new.shape != t.shape:
            raise ValueError(f"hook: must return a gradient of the tensor's shape {t.shape}, got {new.shape}.")
        new = new.astype(t.dtype) if new.dtype != t.dtype else new
        g = raw(new) if not create_graph else new if isinstance(new, Tensor) else result(new)
    return g


def own(g):
    """A Tensor that shares no memory with the pass: rules may return one array for two inputs, views, or their inputs."""
    return g.copy() if isinstance(g, Tensor) else result(array_module(g).array(g))


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=False):
    """The gradients of outputs with respect to inputs, as a tuple of Tensors; no `.grad` is touched (torch.autograd.grad).

    outputs, inputs: a Tensor or a sequence of them; grad_outputs: dL/doutput for each, needed unless it is a single number.
    Raises RuntimeError where an input does not take part in the outputs, unless allow_unused=True (then None stands there).

    >>> x = Tensor([3.0], requires_grad=True)
    >>> (g,) = grad(x ** 3, x, create_graph=True)        # 3 x^2
    >>> g.item(), grad(g, x)[0].item()                    # and 6 x
    (27.0, 18.0)
    """
    outputs, inputs = as_tensors("grad", outputs), as_tensors("grad", inputs)
    if grad_outputs is None:
        grad_outputs = [None] * len(outputs)
    elif not isinstance(grad_outputs, (list, tuple)):
        grad_outputs = [grad_outputs]
    if len(grad_outputs) != len(outputs):
        raise ValueError(f"grad: needs one grad_output per output, got {len(grad_outputs)} for {len(outputs)}.")
    found = dict(backward(outputs, grad_outputs, retain_graph, create_graph, inputs))
    for i, x in enumerate(inputs):
        if x not in found and not allow_unused:
            raise RuntimeError(f"grad: input {i}, shape {x.shape}, was not used to compute the outputs or does not require a "
                               "gradient. Check the graph, or pass allow_unused=True to get None there.")
    return tuple(found.get(x) for x in inputs)


def as_tensors(name, xs):
    if not isinstance(xs, Iterable):
        raise TypeError(f"{name}: needs a Tensor or a sequence of them, got {type(xs).__name__}.")
    xs = [xs] if isinstance(xs, Tensor) else list(xs)
    if not xs:
        raise ValueError(f"{name}: needs at least one Tensor, got an empty list.")
    for x in xs:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: needs Tensors, got {type(x).__name__}.")
    return xs


class GradMode:
    """Switch recording on or off for a block (`with no_grad():`) or a function (`@no_grad()`)."""

    def __init__(self, on):
        self.on, self.before = on, []

    def __enter__(self):
        self.before.append(recording.on)
        recording.on = self.on

    def __exit__(self, *error):
        recording.on = self.before.pop()

    def __call__(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            with GradMode(self.on):
                return function(*args, **kwargs)
        return wrapped


def no_grad(function=None):
    """Record nothing inside: for evaluation and for updating weights.

    A context manager, `with no_grad():`, or a decorator, `@no_grad()` or `@no_grad` (torch.no_grad).

    >>> x = Tensor([1.0], requires_grad=True)
    >>> with no_grad():
    ...     (x * 2).requires_grad
    False
    """
    return GradMode(False) if function is None else GradMode(False)(function)


def enable_grad(function=None):
    """Record again, inside a no_grad block or function; used in the same ways."""
    return GradMode(True) if function is None else GradMode(True)(function)


def is_grad_enabled():
    """Whether operations are being recorded in this thread."""
    return recording.on
