"""Homework in plain NumPy, in every form in which courses ask for it, each as a Subject.

    forward(x, w, b) -> (out, cache)     backward(dout, cache) -> (dx, dw, db)         CS231n
    forward(x, w, b) -> out              backward(dout, x, w, b) -> (dx, dw, db)       plain functions
    layer.forward(x) -> out              layer.backward(dout) -> dx                    objects that keep `params` and `grads`
    loss(x, y) -> (loss, dx)                                                           losses that return their gradient
    model.loss(X, y) -> (loss, grads)                                                  models with a dictionary `params`

A dictionary among the inputs (conv_param, bn_param) is copied for every call, so that running statistics in it start from the
same place every time.  Objects are copied once and never touched themselves.
"""

import copy
import inspect

import numpy as np

from ..tensor import raw
from .chance import Chance
from .subject import MISSING, Run, Subject, array_inputs, parameter_names

# Arguments by these names are data, unless backward returns a gradient for them, other than None.
CONSTANT_NAMES = {"y", "t", "target", "targets", "label", "labels", "y_true", "truth", "mask", "t_true", "gt",
                  "one_hot", "onehot", "y_onehot"}


def pair_subject(op, forward, backward, inputs, wrt, names):
    """The Subject for check_pair: which of the forms it is, is seen from the arguments and from one forward pass."""
    before = Chance(forward, backward)
    try:
        return form_of(op, forward, backward, inputs, wrt, names)
    finally:
        before.restore()                                  # what that pass drew is given back


def form_of(op, forward, backward, inputs, wrt, names):
    """The Subject of one of the forms."""
    layer = layer_of(forward, backward)
    if layer is not None:
        extra = () if backward is None or callable(backward) else (backward,)        # check_pair(layer, x): x came second
        return ObjectSubject(op, layer, (*extra, *inputs), wrt, names)
    for name, f in (("forward", forward), ("backward", backward)):
        if not callable(f):
            raise TypeError(f"{op}: {name} must be a function, got {type(f).__name__}. Call {op}(forward, backward, x, ...) or "
                            f"{op}(layer, x) with an object that has both as methods.")
    return FunctionSubject(op, forward, backward, inputs, wrt, names)


def layer_of(forward, backward):
    """The object whose two methods these are, or None."""
    if hasattr(forward, "forward") and hasattr(forward, "backward"):
        return forward
    owner = getattr(forward, "__self__", None)
    same = owner is not None and getattr(backward, "__self__", None) is owner and not inspect.ismodule(owner)
    return owner if same and not isinstance(owner, type) and takes(backward) == 1 else None


def takes(f):
    """How many positional arguments f takes; None where that cannot be known or is open."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)


class PairSubject(Subject):
    """What the homework subjects share: outputs and gradients in the shapes that NumPy code returns them in."""

    may_have_none = False                                 # whether there may be no float among the arguments

    def __init__(self, op, title, inputs, wrt, names, signature, roots):
        names = list(names) if names else parameter_names(signature, len(inputs))
        values, wanted = array_inputs(op, inputs, wrt, self.dtype, names, self.may_have_none)
        self.op, self.chosen = op, wrt is not None
        super().__init__(title, names, values, wanted, roots)

    def is_data(self, i):
        """Whether nothing needs to be returned for input i."""
        return self.named_as_data(i)

    def named_as_data(self, i):
        """Labels and masks are data, though they may be floating point, unless the user asked for them; None will do for them."""
        return not self.chosen and self.names[i] in CONSTANT_NAMES

    def arguments(self, values):
        """What the user's function is handed: its own copy of every dictionary and list."""
        return [copy.deepcopy(v) if isinstance(v, (dict, list)) else v for v in values]

    def outputs(self, y):
        """The floating-point outputs as arrays; remembers in what form they came."""
        self.several = isinstance(y, (tuple, list))
        items = [np.asarray(raw(item)) for item in (y if self.several else [y])]
        for item in items:
            if item.dtype.kind not in "fiub":
                raise TypeError(f"{self.op}: forward must return numbers, got {describe(y)}. Does it lack its return?")
        if not self.several and items[0].dtype.kind != "f" and items[0].ndim == 0:
            items[0] = items[0].astype(np.float64)        # a loss that happens to be a whole number
        self.floats = [item.dtype.kind == "f" for item in items]
        self.scalar = [not isinstance(item, np.ndarray) for item in (y if self.several else [y])]
        return [item for item in items if item.dtype.kind == "f"]

    def upstream(self, us):
        """dout in the form of the output: a number for a number, a tuple for a tuple."""
        us = iter(us)
        form = [(float(u) if scalar else u) if is_float and (u := next(us)) is not None else None
                for is_float, scalar in zip(self.floats, self.scalar)]
        return tuple(form) if self.several else form[0]

    def gradients(self, found):
        """One gradient per differentiated input from whatever backward returned."""
        names = [self.names[i] for i in self.wanted]
        if isinstance(found, dict):
            return [named(found, name) for name in names]
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        arrays = [i for i, v in enumerate(self.values) if isinstance(v, (np.ndarray, np.generic))]
        if len(found) > len(self.wanted) and len(found) in (len(arrays), len(self.values)):
            positions = arrays if len(found) == len(arrays) else range(len(self.values))
            chosen = dict(zip(positions, found))
            found = [chosen.get(i, MISSING) for i in self.wanted]
        while len(found) > len(self.wanted) and found[-1] is None:
            found.pop()
        if len(found) > len(self.wanted):
            raise ValueError(f"{self.op}: backward returned {len(found)} gradients for {len(self.wanted)} floating-point inputs "
                             f"({', '.join(names)}). Return one per input, in the order of forward's arguments.")
        return [None if g is None else g if g is MISSING else np.asarray(raw(g))
                for g in found + [MISSING] * (len(self.wanted) - len(found))]


def named(found, name):
    """The gradient of an input in a dictionary: under its own name or with a d in front."""
    for key in (name, f"d{name}", f"d_{name}", f"grad_{name}"):
        if key in found:
            return None if found[key] is None else np.asarray(raw(found[key]))
    return MISSING


def describe(y):
    return "None" if y is None else f"a {type(y).__name__}"


class FunctionSubject(PairSubject):
    """forward and backward as two functions."""

    def __init__(self, op, forward, backward, inputs, wrt, names):
        title = getattr(backward, "__name__", type(backward).__name__).replace("<lambda>", "")
        super().__init__(op, title, inputs, wrt, names, forward, (forward, backward))
        self.f, self.b, self.spread = forward, backward, False
        self.cached = self.uses_cache(self.f(*self.arguments(self.fresh())))

    def fresh(self):
        return [v.copy() if isinstance(v, np.ndarray) else v for v in self.values]

    def uses_cache(self, returned):
        """Whether forward returned (out, cache) for backward(dout, cache), as against outputs for backward(dout, *inputs)."""
        if not isinstance(returned, tuple) or len(returned) < 2:
            return False
        if len(returned) > 2:                             # (out1, out2, cache) with backward(dout1, dout2, cache)
            self.spread = takes(self.b) == len(returned)
            return self.spread
        try:
            rest = [p.name for p in inspect.signature(self.b).parameters.values()][1:]
        except (TypeError, ValueError):
            rest = None
        required = takes(self.b)
        if required is None or rest is None:              # backward(dout, *inputs), or a C function
            starred = rest is not None and len(rest) == 1
            return not starred or not isinstance(returned[1], (np.ndarray, np.generic, float))
        if required - 1 > 1 or len(rest) > 1 and len(self.values) == len(rest):
            return False
        if len(self.values) != 1 or rest[0] != parameter_names(self.f, 1)[0]:
            return True
        kept = returned[1]                                # backward(dout, x): the input, kept as the cache, or one of two outputs?
        return not isinstance(kept, (np.ndarray, np.generic, float)) or np.array_equal(kept, self.values[0])

    def forward(self, values):
        returned = self.f(*self.arguments(values))
        return self.outputs(self.part(returned))

    def part(self, returned):
        """The outputs of what forward returned."""
        return returned[:-1] if self.spread else returned[0] if self.cached else returned

    def run(self, values):
        arguments = self.arguments(values)
        returned = self.f(*arguments)
        outputs = self.outputs(self.part(returned))
        rest = [returned[-1]] if self.cached else arguments

        def backward(us):
            u = self.upstream(us)
            return self.gradients(self.b(*(u if self.spread else (u,)), *rest))
        return Run(outputs, backward)


class ObjectSubject(PairSubject):
    """A layer as an object that remembers its last forward pass: forward(x), backward(dout), params and grads."""

    interleaves = False
    may_have_none = True                                  # parameters will do

    def __init__(self, op, layer, inputs, wrt, names):
        self.layer, self.made_of = copied(layer), (op, layer, inputs, wrt, names)
        super().__init__(op, type(layer).__name__, inputs, None, names, self.layer.forward, (self.layer,))
        self.count = len(inputs)
        self.slots = parameter_slots(op, self.layer, self.probe())
        self.names += [slot.name for slot in self.slots]
        self.values += [slot.value() for slot in self.slots]
        self.wanted += range(self.count, len(self.values))
        if not self.wanted:
            raise TypeError(f"{op}: needs at least one floating-point input or parameter to differentiate.")
        if wrt is not None:
            self.wanted = array_inputs(op, self.values, wrt, self.dtype, self.names)[1]

    def renewed(self, values=None):
        op, layer, inputs, wrt, names = self.made_of
        return ObjectSubject(op, layer, inputs if values is None else tuple(values[:self.count]), wrt, names)

    def probe(self):
        """One pass back and forth, after which the attributes dW and db exist; None where backward fails."""
        try:
            y = self.outputs(self.layer.forward(*[v.copy() if isinstance(v, np.ndarray) else v for v in self.values]))
            self.layer.backward(self.upstream([np.ones_like(item) for item in y]))
        except Exception as error:                        # the examination will meet it again, and report it
            return error
        return None

    def place(self, values):
        for slot, value in zip(self.slots, values[self.count:]):
            slot.write(value)

    def forward(self, values):
        self.place(values)
        return self.outputs(self.layer.forward(*self.arguments(values[:self.count])))

    def run(self, values):
        outputs = self.forward(values)

        def backward(us):
            for slot in self.slots:
                slot.clear()
            returned = self.layer.backward(self.upstream(us))
            inputs = [i for i in self.wanted if i < self.count]
            whole, self.wanted = self.wanted, inputs
            try:
                found = dict(zip(inputs, self.gradients(returned)))
            finally:
                self.wanted = whole
            return [found[i] if i < self.count else self.slots[i - self.count].gradient() for i in self.wanted]
        return Run(outputs, backward)

    def changed(self, values):
        """Names of parameters that a pass wrote to."""
        return [slot.name for slot, v in zip(self.slots, values[self.count:]) if not np.array_equal(slot.value(), v, equal_nan=True)]


def copied(layer):
    try:
        return copy.deepcopy(layer)
    except Exception:                                     # an open file, a lock: then the object itself must do
        return layer


class Slot:
    """A parameter of an object, and where its gradient is left."""

    def __init__(self, name, read, read_gradient):
        self.name, self.read, self.read_gradient = name, read, read_gradient

    def value(self):
        return np.array(self.read())

    def write(self, value):
        self.read()[...] = value                          # in place: the object may know the array by several names

    def gradient(self):
        g = self.read_gradient()
        return MISSING if g is None else np.array(g)

    def clear(self):
        """Objects that add to their gradients start from zero, as an optimiser would have them."""
        try:
            g = self.read_gradient()
        except (KeyError, AttributeError, IndexError):
            return
        if isinstance(g, np.ndarray) and g.flags.writeable:
            g[...] = 0


def parameter_slots(op, layer, error):
    """The parameters of a layer: entries of params and grads (dictionaries or lists), else attributes W with dW."""
    params = getattr(layer, "params", None)
    params = params() if callable(params) else params
    if isinstance(params, dict):
        pairs = [(str(key), key) for key in params]
    elif isinstance(params, (list, tuple)):
        pairs = [(f"params[{i}]", i) for i in range(len(params))]
    else:
        return attribute_slots(layer)
    return [Slot(name, entry(params, key), gradient_entry(layer, params, key)) for name, key in pairs if floats(params[key])]


def floats(x):
    """The float array behind a parameter: itself, or that of an object with `data` or `value`."""
    for name in ("data", "value"):
        x = getattr(x, name) if not isinstance(x, np.ndarray) and isinstance(getattr(x, name, None), np.ndarray) else x
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def entry(params, key):
    def read():
        x = params[key]
        return x if isinstance(x, np.ndarray) else x.data if isinstance(getattr(x, "data", None), np.ndarray) else x.value
    return read


def gradient_entry(layer, params, key):
    """grads[key], with a d in front of the name, the attribute of that name, or the parameter object's own grad."""
    def read():
        grads = getattr(layer, "grads", None)
        grads = grads() if callable(grads) else grads
        if isinstance(grads, dict):
            names = [key, f"d{key}", f"d_{key}"]
            return next((grads[name] for name in names if name in grads), None)
        if isinstance(grads, (list, tuple)) and isinstance(key, int):
            return grads[key] if key < len(grads) else None
        x = params[key]
        return getattr(x, "grad", None) if not isinstance(x, np.ndarray) else getattr(layer, f"d{key}", None)
    return read


def attribute_slots(layer):
    """Attributes W beside which there is a dW (grad_W, W_grad) after a backward pass."""
    attributes, slots = getattr(layer, "__dict__", {}), []
    for name, value in attributes.items():
        mates = [mate for mate in (f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad") if mate in attributes]
        if mates and isinstance(value, np.ndarray) and value.dtype.kind == "f":
            slots.append(Slot(name, lambda n=name: getattr(layer, n), lambda m=mates[0]: getattr(layer, m)))
    return slots


class LossSubject(PairSubject):
    """A loss that returns its own gradient: there is no upstream, and the output is one number."""

    upstream = False
    interleaves = False

    def __init__(self, op, f, inputs, wrt, names):
        super().__init__(op, getattr(f, "__name__", type(f).__name__), inputs, wrt, names, f, (f,))
        self.f = f

    def split(self, returned):
        if not isinstance(returned, tuple) or len(returned) < 2:
            raise TypeError(f"{self.op}: the function must return (loss, gradient), got {describe(returned)}.")
        loss = np.asarray(raw(returned[0]))
        if loss.size != 1 or loss.dtype.kind not in "fiu":
            raise TypeError(f"{self.op}: the loss must be one number, got {describe(returned[0])} of shape {loss.shape}.")
        found = returned[1] if len(returned) == 2 else returned[1:]
        return [loss.reshape(()) if loss.dtype.kind == "f" else loss.reshape(()).astype(float)], found

    def forward(self, values):
        return self.split(self.f(*self.arguments(values)))[0]

    def run(self, values):
        outputs, found = self.split(self.f(*self.arguments(values)))
        return Run(outputs, lambda us: self.gradients(found))

    def is_data(self, i):
        """A loss returns the gradient of what is learned; the rest is data."""
        return i != self.wanted[0]


class ModelSubject(LossSubject):
    """A model with a dictionary `params` whose loss(X, y) returns the loss and a dictionary of gradients."""

    def __init__(self, op, model, inputs, wrt, names):
        self.model = copied(model)
        self.retype(self.model)
        Subject.__init__(self, type(model).__name__, [], [], [], (self.model,))
        self.op, self.f, self.chosen = op, self.model.loss, wrt is not None
        inputs = [np.array(x, self.dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else raw(x) for x in inputs]
        self.count = len(inputs)
        self.keys = [key for key, v in self.model.params.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
        if not self.keys:
            raise TypeError(f"{op}: {type(model).__name__}.params must hold float arrays, got {sorted(self.model.params)}.")
        self.names = parameter_names(self.f, len(inputs)) + [str(key) for key in self.keys]
        self.values = inputs + [self.model.params[key].copy() for key in self.keys]
        self.wanted = list(range(self.count, len(self.values)))
        if wrt is not None:
            self.wanted = array_inputs(op, self.values, wrt, self.dtype, self.names)[1]

    def is_data(self, i):
        return False

    def retype(self, model):
        """Everything in float64: models of courses keep the dtype they compute in as an attribute."""
        for key, v in model.params.items():
            if isinstance(v, np.ndarray) and v.dtype.kind == "f":
                model.params[key] = v.astype(self.dtype)
        kept = getattr(model, "dtype", None)
        if kept is not None and np.dtype(kept).kind == "f":
            model.dtype = self.dtype

    def compute(self, values):
        for key, value in zip(self.keys, values[self.count:]):
            self.model.params[key] = value
        return self.split(self.f(*self.arguments(values[:self.count])))

    def forward(self, values):
        return self.compute(values)[0]

    def run(self, values):
        outputs, found = self.compute(values)
        if not isinstance(found, dict):
            raise TypeError(f"{self.op}: loss(X, y) must return (loss, grads) with a dictionary of gradients, got "
                            f"{describe(found)}.")
        return Run(outputs, lambda us: [named(found, self.names[i]) for i in self.wanted])
