"""Optimizer: what all optimisers share.  Read this file first, then sgd.py; every other rule has the same form.

Training minimises L(w) over the weights w.  backward() leaves g = dL/dw in `w.grad`; an optimiser turns g into a step,

    w <- w - lr * d(g, what it remembers of earlier gradients),

and the optimisers differ only in d.  Each is one function `update(w, g, state, options)` of plain arrays, which writes into
w and into the arrays of its memory.  Those of this package work element by element, and so they take all arrays of a group at
once, as if laid end to end in one long array: `update_all`, with the arithmetic in kernels/update.py.

Around the rule stands the same housekeeping for all.  Parameters come in groups, each with options of its own (a small
learning rate for a pre-trained backbone, no weight decay for biases).  The memory is kept per parameter in `state`.  Both
have the names and the layout of torch.optim, so that a run saved by PyTorch goes on here, and back.
"""

import copy
import numbers
from collections import defaultdict

import numpy as np

from ..autograd import enable_grad
from ..backend import array_module, copied, device_of, is_array, same_device, to_device
from ..tensor import Parameter, Tensor, raw, result


class Optimizer:
    """The base of all optimisers: parameter groups, their memory, and the step (torch.optim.Optimizer).

    params: Tensors that require a gradient, or dicts {"params": Tensors, option: value, ...}, one per group.
    defaults: the options {name: value} of every group that does not set them.

    A rule of your own is a subclass with `update(w, g, state, options)`: arrays w and g = dL/dw of the parameter's shape,
    its memory (a dict, empty at first), its group's options.  It changes w in place and returns nothing.
    Raises ValueError without a parameter, or for one given twice or not a leaf; TypeError for what is not a Tensor.

    >>> from tinyvision import Parameter
    >>> class SignDescent(Optimizer):
    ...     @staticmethod
    ...     def update(w, g, state, options):
    ...         w -= options["lr"] * np.sign(g)
    >>> w = Parameter([1.0, -2.0]); (w * w).sum().backward()
    >>> SignDescent([w], {"lr": 0.5}).step(); w.data
    array([ 0.5, -1.5], dtype=float32)
    """

    state_names = None                                    # what update() remembers; None: nothing is known about it

    def __init__(self, params, defaults):
        self.defaults, self.state, self.param_groups = plain(defaults), defaultdict(dict), []
        self.stepped = False                              # the schedulers of learning rates ask
        name = type(self).__name__
        self.check_options(self.defaults)
        if isinstance(params, Tensor):
            raise TypeError(f"{name}: params must be a list of Tensors, got one {type(params).__name__}. Use [params].")
        groups = ordered(name, params)
        if not groups:
            raise ValueError(f"{name}: needs at least one parameter, got none. A generator such as net.parameters() gives its "
                             "parameters only once: pass it directly, or keep list(net.parameters()).")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def __init_subclass__(cls):
        if "update" in vars(cls) and "update_all" not in vars(cls):          # a rule of its own, not its parent's for many
            cls.update_all = Optimizer.update_all

    @staticmethod
    def update(w, g, state, options):
        raise NotImplementedError("Optimizer: a subclass must define update(w, g, state, options).")

    def update_all(self, ws, gs, states, options):
        """The rule for lists: all parameters of a group that have a gradient."""
        for w, g, state in zip(ws, gs, states):
            self.update(w, g, state, options)

    def check_options(self, options):
        """Refuse impossible options; a subclass says which."""

    def step(self, closure=None):
        """Change every parameter that has a gradient, in place, once.  Returns what the closure returned, else None.

        closure: a function that computes the loss anew, calls backward() and returns the loss; run before the step.
        Raises ValueError where a gradient has not its parameter's shape; then nothing was changed.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        chosen = []
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            ws, gs = [p._data for p in params], [raw(p.grad) for p in params]
            for w, g in zip(ws, gs):
                if type(g) is not type(w):
                    same_device(f"{type(self).__name__}.step", (w, g))
                if g.shape != w.shape:
                    raise ValueError(f"{type(self).__name__}: a gradient must have its parameter's shape {w.shape}, got "
                                     f"{g.shape}. What was assigned to p.grad?")
            if params:
                chosen.append((params, ws, gs, group))
        for params, ws, gs, group in chosen:
            try:
                self.update_all(ws, gs, [self.state[p] for p in params], group)
            finally:
                for p in params:
                    p.touch()
        self.stepped = True
        return loss

    def zero_grad(self, set_to_none=True):
        """Forget all gradients before the next backward(), which adds to them; set_to_none=False keeps zeros instead.

        With None a parameter that gets no gradient stays as it is; with zeros, weight decay and momentum still move it.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = None if set_to_none else result(array_module(raw(p)).zeros_like(raw(p)))

    def add_param_group(self, param_group):
        """Add parameters later, {"params": Tensors, option: value, ...}: for instance layers that are no longer frozen.

        Raises what the constructor raises; then nothing was added.
        """
        name, number = type(self).__name__, len(self.param_groups)
        if not isinstance(param_group, dict) or "params" not in param_group:
            got = f"keys {sorted(param_group)}" if isinstance(param_group, dict) else type(param_group).__name__
            raise TypeError(f"{name}: a parameter group must be a dict with the key 'params', got {got}. "
                            "Use {'params': [...], 'lr': 0.1}.")
        given = param_group["params"]
        params = [given] if isinstance(given, Tensor) else ordered(name, given)
        if not params and iter(given) is given:
            raise ValueError(f"{name}: the generator of group {number} gave no parameters. If it was used before, it is empty "
                             "now: pass list(net.parameters()).")
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for i, p in enumerate(params):
            check_parameter(name, i, p)
            if id(p) in known:
                raise ValueError(f"{name}: parameter {i} of group {number}, shape {p.shape}, was given twice. "
                                 "It would be updated twice in every step: leave one out.")
            known.add(id(p))
        group = {**self.defaults, **plain(param_group), "params": params}
        self.check_options(group)
        self.param_groups.append(group)

    def state_dict(self):
        """Memory and options as {"state": {0: {name: array}}, "param_groups": [{option: value, "params": [0, ...]}]}.

        Parameters are numbered through all groups.  The arrays are the live ones, not copies, as in PyTorch: save them, or
        use copy.deepcopy to keep them.
        """
        params = [p for group in self.param_groups for p in group["params"]]
        number = {p: i for i, p in enumerate(params)}
        groups = [{**group, "params": [number[p] for p in group["params"]]} for group in self.param_groups]
        return {"state": {number[p]: memory for p, memory in self.state.items() if memory}, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Take over memory and options from state_dict(), or from PyTorch's with its tensors as arrays; both are copied.

        Parameters are matched by their order.  Arrays get the dtype and the device of their parameter.
        Raises ValueError where groups, their sizes, the names of the memory or its shapes differ, and TypeError for what is
        no state; then nothing was changed.
        """
        name = type(self).__name__
        if not isinstance(state_dict, dict) or not {"state", "param_groups"} <= set(state_dict):
            raise TypeError(f"{name}.load_state_dict: needs a dict with 'state' and 'param_groups'. "
                            "Pass what state_dict() gave.")
        saved = state_dict["param_groups"]
        ours, theirs = ([len(group["params"]) for group in groups] for groups in (self.param_groups, saved))
        if ours != theirs:
            raise ValueError(f"{name}.load_state_dict: the groups here hold {ours} parameters, those of the state {theirs}. "
                             "Build the optimiser with the groups that it had when it was saved.")
        params = [p for group in self.param_groups for p in group["params"]]
        by_number = dict(zip([i for group in saved for i in group["params"]], params))
        state = defaultdict(dict)
        for i, memory in state_dict["state"].items():
            if i not in by_number:
                raise ValueError(f"{name}.load_state_dict: the state has a memory for parameter {i}, which is in no group.")
            state[by_number[i]] = self.adapted(i, by_number[i], memory)
        for group, options in zip(self.param_groups, copy.deepcopy(saved)):
            options = {**self.defaults, **options, "params": group["params"]}
            group.clear()                                 # the same dict: schedulers and users may hold it
            group.update(options)
        self.state = state

    def adapted(self, i, p, memory):
        """The memory of one parameter, copied: arrays as p's array is, the count of steps as `counted` wants it."""
        op, names, own = f"{type(self).__name__}.load_state_dict", self.state_names, {}
        for key, value in memory.items():
            value = raw(value)
            if names is not None and key not in names:
                raise ValueError(f"{op}: remembers {', '.join(names)}, but the state of parameter {i} has {key!r}. "
                                 "Was it saved by another optimiser?")
            if key == "step":
                own[key] = np.array(to_device(value, "cpu") if is_array(value) else value, np.float32)
            elif is_array(value):
                if names is not None and value.shape != p.shape:
                    raise ValueError(f"{op}: {key} of parameter {i} must have the parameter's shape {p.shape}, got "
                                     f"{value.shape}. Is this the same network?")
                own[key] = copied(to_device(value, p.device), p.dtype)
            else:
                own[key] = copy.deepcopy(value)
        return own

    def __repr__(self):
        lines = [f"{type(self).__name__}("]
        for i, group in enumerate(self.param_groups):
            options = ", ".join(f"{key}={value}" for key, value in group.items() if key != "params")
            lines.append(f"    group {i}: {len(group['params'])} parameters, {options}")
        return "\n".join([*lines, ")"])


# What the rules share: arrays only.


def remembered(states, name, ws, start=0.0):
    """The arrays `name` of the parameters' memories, each of its w's shape; at first they are filled with `start`."""
    for state, w in zip(states, ws):
        if state.get(name) is None:
            state[name] = array_module(w).full_like(w, start)
        elif type(state[name]) is not type(w):
            state[name] = to_device(state[name], device_of(w))            # the network was moved meanwhile
    return [state[name] for state in states]


def counted(states):
    """Count this step; its number for each parameter, 1, 2, ...; kept as PyTorch keeps it, float32 arrays of shape ()."""
    numbers = []
    for state in states:
        if "step" not in state:
            state["step"] = np.zeros((), np.float32)
        steps = state["step"]
        numbers.append(int(steps) + 1)
        steps[...] = numbers[-1]                          # several times quicker than steps += 1
    return numbers


# Checks of arguments.


def plain(options):
    """NumPy's numbers as Python's: options are saved, and a float64 would drag the arithmetic of float32 weights along."""
    def converted(value):
        if isinstance(value, (tuple, list)):
            return type(value)(map(converted, value))
        return value.item() if isinstance(value, np.generic) else value
    return {key: value if key == "params" else converted(value) for key, value in options.items()}


def ordered(name, params):
    """Anything iterable whose order is the same in every run, as a list."""
    if isinstance(params, (set, frozenset)):
        raise TypeError(f"{name}: parameters need an order that is the same in every run, got a set. Use a list.")
    if is_array(params) or not hasattr(params, "__iter__"):
        raise TypeError(f"{name}: params must be a list of Tensors or of dicts, got {type(params).__name__}. "
                        "Use net.parameters().")
    return list(params)


def check_parameter(name, i, p):
    if not isinstance(p, Tensor):
        raise TypeError(f"{name}: can only change Tensors, parameter {i} is of type {type(p).__name__}. Use net.parameters().")
    if not p.is_leaf:
        raise ValueError(f"{name}: parameter {i}, shape {p.shape}, was computed from other tensors, so changing it has no "
                         "lasting effect. Pass the leaves that it was computed from.")
    if not p.requires_grad and not isinstance(p, Parameter):                # a Parameter may be frozen on purpose
        raise ValueError(f"{name}: parameter {i}, shape {p.shape}, does not require a gradient, so it would never change. "
                         "Set p.requires_grad = True, or use Parameter.")


def check_number(op, name, value, rule, holds):
    """An option must be a real number for which `holds`; `rule` says the same in words."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{op}: {name} must be a number, got {value!r}.")
    if not holds(value):                                  # written so that NaN fails, too
        raise ValueError(f"{op}: {name} must be {rule}, got {value}.")


def check_not_negative(op, options, *names):
    for name in names:
        check_number(op, name, options[name], "0 or more", lambda value: value >= 0)
