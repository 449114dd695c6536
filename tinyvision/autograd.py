"""Backward: follow the graph from the loss to the leaves and apply the chain rule on the way.

Where a tensor is used several times, its gradients from all consumers add up (the multivariate chain rule), and only the
complete sum is handed on: so a tensor's turn comes when all of its consumers have reported.  Every consumer is younger than
what it consumes, so the loop takes the youngest first: the operations in the reverse of the order in which they were made.
It is the one place where gradients are added, where their shape is checked, and where the graph is released.

Rules hand the same array to several inputs, or a view, or an input of theirs, so in general a gradient is neither written to
nor given away without a copy.  Where the loop can know that nobody else has the array, it saves that copy (`unshared`).

Sources: Wengert 1964, A simple automatic derivative evaluation program; Griewank and Walther 2008, Evaluating Derivatives,
chapter 3.
"""

import copy
import functools
from collections.abc import Iterable
from heapq import heappop, heappush

import numpy as np

from .backend import array_module, is_array, on_device
from .memory import owned, owner
from .tensor import Op, Tensor, as_array, raw, recording, result, tracked

LARGE = 1 << 16                                           # bytes: to copy less is quicker than to ask whether one must
HERE = __package__ + ".ops."


class GradientShapeError(ValueError):
    """A backward rule returned a gradient of another shape than its input's: which input, the gradient, the shape it must have."""

    def __init__(self, message, input, gradient, shape):
        super().__init__(message)
        self.input, self.gradient, self.shape = input, gradient, shape


class Spent(Op):
    """Stands in the graph where backward() has released an op and what it held."""


spent = Spent()


def backward(roots, gradients, retain_graph=None, create_graph=False, targets=None):
    """The loop.  Returns pairs (tensor, its gradient as a Tensor of its own), for the leaves or for `targets`.

    `create_graph` decides only what the rules are handed: arrays (nothing is recorded) or Tensors (the backward pass is
    recorded).
    """
    retain_graph = create_graph if retain_graph is None else retain_graph
    targets = None if targets is None else set(as_tensors("backward", targets))
    arrived, delivered, useful = Arrived(create_graph), [], leads_to(targets, roots)
    for root, g in zip(roots, gradients):
        arrived.add(root, upstream(root, g, create_graph))
    with GradMode(bool(create_graph)):
        while arrived.waiting:                            # popped, so that a tensor dies when its turn is over
            t = heappop(arrived.waiting)[1]
            g, alone = arrived.pop(t)
            if t._hooks:
                g, alone = run_hooks(t, g, create_graph), False
            asked = targets is not None and t in targets
            if t._keeps_grad or asked:
                delivered.append((t, own(g)))
            if asked:
                targets.discard(t)
                if not targets:
                    return delivered                      # whatever lies behind, nothing of it was asked for
            if useful is not None and (asked or t not in useful) and not leads_on(t, useful):
                continue
            hand_on(t, g, alone, arrived, useful)
            if not retain_graph:
                t.op = spent                              # frees the op, its masks and its hold on the inputs
        for t in list(arrived.sums):                      # the leaves: they have no op, and nothing waits for them
            g, alone = arrived.pop(t)
            if t._hooks:
                g, alone = run_hooks(t, g, create_graph), False
            if t._requires_grad if targets is None else t in targets:
                delivered.append((t, result(g) if alone else own(g)))
    return delivered


class Arrived:
    """The gradients that have arrived so far, added up for each tensor, and the tensors whose turn is to come."""

    def __init__(self, create_graph):
        self.sums, self.waiting, self.create_graph = {}, [], create_graph
        self.alone = set()                                # tensors whose sum is an array that nobody else has

    def add(self, x, g, alone=False):
        """Add g to the gradient of x: in place where one of the two arrays is nobody else's."""
        dtype = x._data.dtype
        if g.dtype is not dtype and g.dtype != dtype:
            g, alone = g.astype(dtype), False
        if x not in self.sums:
            self.sums[x] = g
            if x.op is not None:
                heappush(self.waiting, (x._age, x))
        else:
            before = self.sums[x]
            if x in self.alone:
                before += g
            elif alone:
                g += before
                self.sums[x] = g
            else:
                self.sums[x] = before + g
            alone = type(self.sums[x]) is np.ndarray or on_device(self.sums[x])
        if alone:
            self.alone.add(x)

    def pop(self, t):
        """The gradient of t, and whether its array is nobody else's."""
        if t not in self.alone:
            return self.sums.pop(t), False
        self.alone.discard(t)
        return self.sums.pop(t), True


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


def leads_to(targets, roots):
    """The tensors from which one of the targets is reached, or may have been before the graph was released; None for: all."""
    if targets is None:
        return None
    found, results = set(roots), []
    stack = list(found)
    while stack:                                          # iterative: the graph may be deep
        t = stack.pop()
        if t.op is None:
            continue
        results.append((t._age, t))
        for x, needed in zip(t.op.inputs, t.op.needs):
            if needed and x not in found:
                found.add(x)
                stack.append(x)
    useful = set(targets)
    for _, t in sorted(results, reverse=True):            # producers first
        if leads_on(t, useful):
            useful.add(t)
    return useful


def leads_on(t, useful):
    """Whether something behind t is asked for, as far as is known."""
    if t.op is spent:
        return True
    for x, needed in zip(t.op.inputs, t.op.needs):        # not any(...): this runs for every op of a graph
        if needed and x in useful:
            return True
    return False


def hand_on(t, g, alone, arrived, useful):
    """Run one op's backward rule, and add what it returns to the gradients of the inputs that want one."""
    op = t.op
    if op is spent:
        raise RuntimeError("backward: this part of the graph was already used by an earlier backward(), which released it. "
                           "Compute the forward pass again, or call the first backward(retain_graph=True); several losses "
                           "over one graph: add them and call backward() once.")
    inputs, arrays = op.inputs, unchanged(op)
    if useful is not None and op.needs.count(True) > 1:    # the only one is useful, or t's turn would not have come
        needs = tuple([needed and x in useful for x, needed in zip(inputs, op.needs)])
        if needs != op.needs:
            op = copy.copy(op)                            # the graph may serve again, and then for other targets
            op.needs = needs
    gxs = op.backward(g, *(inputs if arrived.create_graph else arrays))
    if not isinstance(gxs, (tuple, list)):
        gxs = (gxs,)
    if len(gxs) != len(inputs):
        raise ValueError(f"{op.name}.backward: returned {len(gxs)} gradients for {len(inputs)} inputs. "
                         "Return one per input of forward, None for those without a gradient.")
    for i, gx in enumerate(gxs):
        if gx is not None and op.needs[i]:
            x, plain = inputs[i], type(gx) is np.ndarray
            if not plain or gx.shape != x._data.shape:
                check_gradient(op, i, x, gx)
                gx = gx if arrived.create_graph else raw(gx)
            # on a GPU every copy has its price, that of a call
            worth = gx.nbytes >= LARGE if plain else not arrived.create_graph and on_device(gx)
            arrived.add(x, gx, worth and unshared(gx, op, arrays if alone else [g, *arrays], gxs))


def unchanged(op):
    """The arrays of an op's inputs, if they are still those that it computed with."""
    arrays = []
    for x, then in zip(op.inputs, op.versions):
        if isinstance(x, Tensor):
            changes = x._changes
            if (changes.settle(x._data) if changes.handed_out else changes.count) != then:
                raise RuntimeError(f"backward: input {len(arrays)} of {op.name}, shape {x.shape}, was changed in place after the "
                                   "forward pass, so its gradient would be wrong. Write x = x + y instead of changing x, change "
                                   "a copy (x.copy()), or update weights only after backward().")
            x = x._data
        arrays.append(x)
    return arrays


def unshared(gx, op, arrays, gxs):
    """Whether nobody but the loop can have the memory of a gradient: not the op, nor its inputs, nor the other gradients.

    Only for rules of this package; another may keep what it returns wherever it likes.
    """
    memory = owner(gx)
    if not owned(memory) or not writeable(gx) or not type(op).__module__.startswith(HERE):
        return False
    known = [*arrays, *gxs]
    for value in vars(op).values():
        if isinstance(value, (tuple, list)):
            known.extend(value)
        else:
            known.append(value)
    # what is no array may have a base, too, but not this one; and of a view the base is the owner
    return sum([a is memory or getattr(a, "base", None) is memory for a in known]) == 1


def writeable(array):
    """Whether it can be written to in place: a broadcast array cannot, which CuPy's flags do not say."""
    flags = array.flags
    return flags.writeable if type(array) is np.ndarray else flags.c_contiguous or flags.f_contiguous


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
