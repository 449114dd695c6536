"""Module, a part of a network: what it learns, what it remembers, and how an input passes through it.

A module's attributes are the network.  Walked in the order of assignment, an attribute that is

    a Parameter     is learned: `parameters()` finds it, backward() leaves its gradient in `.grad`
    a buffer        is remembered but not learned (running means): a Tensor whose name `register_buffer` was told
    a Module        is a child with parameters, buffers and children of its own, so a network is a tree

and everything else is the module's own business.  The path from the root names each array, "layer1.0.conv1.weight", and
`state_dict()` is the dictionary from names to arrays, with PyTorch's names in PyTorch's order.

A subclass assigns its layers in __init__ and computes in forward; super().__init__() may be called but does nothing.

    class Net(Module):
        def __init__(self):
            self.hidden = Linear(784, 100)
            self.out = Linear(100, 10)

        def forward(self, x):
            return self.out(F.relu(self.hidden(x)))

Source: torch.nn.Module.
"""

import itertools
from collections import namedtuple
from collections.abc import Mapping

import numpy as np

from ..autograd import no_grad
from ..backend import copied, is_array, to_device
from ..ops.device import destination
from ..tensor import HookHandle, Parameter, Tensor, raw, result

IncompatibleKeys = namedtuple("IncompatibleKeys", "missing_keys unexpected_keys")


class Module:
    """The base of all layers and networks (torch.nn.Module); see the top of this file.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Parameter([2.0])
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> Scale()(Tensor([3.0])), [name for name, _ in Scale().named_parameters()]
    (Tensor([6.], op=Multiply), ['factor'])
    """

    # Replaced on the instance, never changed in place: that makes a call of super().__init__() unnecessary.
    training = True
    optional_state = ()                                   # names that a state dict may lack (see BatchNorm)
    _persistent = {}                                      # name of buffer -> whether state_dict() has it
    _forward_hooks = {}
    _forward_pre_hooks = {}

    def forward(self, *input):
        """The computation; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__}: has no forward method. Define forward(self, x).")

    def __call__(self, *args, **kwargs):
        if not self._forward_pre_hooks and not self._forward_hooks:
            return self.forward(*args, **kwargs)
        for hook in self._forward_pre_hooks.values():
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        output = self.forward(*args, **kwargs)
        for hook in self._forward_hooks.values():
            changed = hook(self, args, output)
            output = output if changed is None else changed
        return output

    def __setattr__(self, name, value):
        refuse_assignment(self, name, value)
        object.__setattr__(self, name, value)

    # ---- what a module is made of

    def register_parameter(self, name, param):
        """Assign a Parameter, or None for one that this module goes without (a layer without bias)."""
        check_name(self, "register_parameter", name)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: {name} must be a Parameter or None, got {type(param).__name__}. "
                            "Wrap it: Parameter(data).")
        setattr(self, name, param)

    def register_buffer(self, name, tensor, persistent=True):
        """Assign a Tensor or array that belongs to the module's state but is not learned, or None.

        persistent: whether state_dict() contains it.

        >>> m = Module(); m.register_buffer("mean", np.zeros(2)); list(m.state_dict())
        ['mean']
        """
        check_name(self, "register_buffer", name)
        if tensor is not None and not isinstance(tensor, Tensor):
            if not is_array(tensor):
                raise TypeError(f"register_buffer: {name} must be a Tensor, an array or None, got {type(tensor).__name__}. "
                                "Use Tensor(...).")
            tensor = Tensor(tensor)
        setattr(self, name, tensor)
        self._persistent = {**self._persistent, name: bool(persistent)}

    def add_module(self, name, module):
        """Assign a child under a name that need not be a Python identifier ("0")."""
        check_name(self, "add_module", name)
        if module is not None and not isinstance(module, Module):
            hint = " Make an instance of it: write the parentheses." if isinstance(module, type) else ""
            raise TypeError(f"add_module: {name} must be a Module or None, got {kind_of(module)}.{hint}")
        setattr(self, name, module)

    def named_modules(self, *, prefix="", remove_duplicate=True):
        """Pairs (path, module): this module first, then all below it, parents before children, each once.

        >>> child = Module(); m = Module(); m.a = child; m.b = child
        >>> [name for name, _ in m.named_modules()]
        ['', 'a']
        """
        seen = set()
        for path, module in walk(self, prefix):
            if not remove_duplicate or module not in seen:
                seen.add(module)
                yield path, module

    def modules(self):
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self):
        """Pairs (name, module) of the modules one step below, each once."""
        seen = set()
        for name, module in own_modules(self):
            if module not in seen:
                seen.add(module)
                yield name, module

    def children(self):
        """The modules one step below, each once."""
        return (module for _, module in self.named_children())

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs (path, Parameter) of this module and, if recurse, of all below; a shared one once, by its first name."""
        return named_tensors(self, own_parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse=True):
        """All Parameters, each once: what an optimiser is given.

        >>> m = Module(); m.w = Parameter([1.0]); list(m.parameters())
        [Parameter([1.], requires_grad=True)]
        """
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """Pairs (path, Tensor) of the buffers, persistent or not."""
        return named_tensors(self, own_buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """All buffers, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target):
        """The module at a path such as "layer1.0.conv1"; "" is this module itself.  Raises AttributeError if there is none."""
        return find(self, target, "submodule", self.named_modules(remove_duplicate=False))

    def get_parameter(self, target):
        """The Parameter at a path such as "layer1.0.conv1.weight".  Raises AttributeError if there is none."""
        return find(self, target, "parameter", self.named_parameters(remove_duplicate=False))

    def get_buffer(self, target):
        """The buffer at a path such as "bn1.running_mean".  Raises AttributeError if there is none."""
        return find(self, target, "buffer", self.named_buffers(remove_duplicate=False))

    # ---- state

    def state_dict(self, *, prefix=""):
        """A dictionary from path to Tensor: every parameter and persistent buffer, a shared one under each of its names.

        The Tensors share memory with the module's and stand outside any graph: they follow training, and a snapshot
        needs copies, {name: t.copy() for name, t in module.state_dict().items()} or copy.deepcopy.

        >>> m = Module(); m.w = Parameter([1.0]); m.state_dict()
        {'w': Tensor([1.])}
        """
        return {path: tensor.detach() for path, tensor in named_tensors(self, own_state, prefix)}

    def load_state_dict(self, state_dict, strict=True):
        """Write saved values into the parameters and buffers, in place, converted to the dtypes they have here.

        state_dict: a mapping from path to Tensor or array, as state_dict() gives it.
        strict: whether the names must agree exactly; if not, those that agree are loaded.
        Returns (missing_keys, unexpected_keys).
        Raises ValueError, which lists every missing, unexpected and misshapen entry, and changes nothing then;
        misshapen ones also with strict=False.

        >>> m = Module(); m.w = Parameter([1.0]); m.load_state_dict({"w": np.array([5.0])}); m.w
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        Parameter([5.], requires_grad=True)
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: needs a mapping from names to arrays, got {kind_of(state_dict)}. "
                            "Pass what module.state_dict() returned, or read a file with tinyvision.io.")
        here = dict(named_tensors(self, own_state))
        optional = {join(path, name) for path, m in self.named_modules(remove_duplicate=False) for name in m.optional_state}
        missing = [key for key in here if key not in state_dict and key not in optional]
        unexpected = [key for key in state_dict if key not in here]
        # Copies, made before the first write: the state may be this module's own weights, exchanged.
        arrays = {key: saved_array(state_dict[key], here[key]) for key in here if key in state_dict}
        wrong = [f"{key} {problem}" for key, array in arrays.items() if (problem := misfit(array, here[key]))]
        if wrong or (strict and (missing or unexpected)):
            raise ValueError(mismatch(type(self).__name__, missing, unexpected, wrong, here, strict))
        with no_grad():
            for key, array in arrays.items():
                here[key][...] = array                    # counts as a change: graphs made before refuse to go backward
        return IncompatibleKeys(missing, unexpected)

    # ---- modes

    def train(self, mode=True):
        """Set training mode here and below: dropout drops, batch norm uses and records the batch's statistics."""
        if not isinstance(mode, bool):
            raise TypeError(f"train: mode must be True or False, got {mode!r}.")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self):
        """Set evaluation mode here and below: the output depends on the input alone."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Say whether backward() computes gradients for the parameters; False freezes them."""
        for p in self.parameters():
            p.requires_grad = requires_grad
        return self

    def zero_grad(self):
        """Forget the gradients of all parameters: each `.grad` is None again."""
        for p in self.parameters():
            p.grad = None

    def float(self):
        """Convert floating-point parameters and buffers, and gradients, to float32."""
        return convert(self, None, np.float32)

    def double(self):
        """Convert floating-point parameters and buffers, and gradients, to float64, as gradient checks need it."""
        return convert(self, None, np.float64)

    def to(self, *target, device=None, dtype=None):
        """Move parameters, buffers and gradients to a device, or convert those of floating point, or both; returns this module.

        target: a device ("cpu", "cuda", "cuda:1"), a dtype, both, or a Tensor to agree with.  The Parameters stay the same
        objects, so that an optimiser goes on with them.
        Raises what Tensor.to raises; then nothing was changed.

        >>> m = Module(); m.w = Parameter([1.0]); m.to("cpu", "float64").w.dtype
        dtype('float64')
        """
        return convert(self, *destination("to", target, device, dtype))

    def cuda(self, device=None):
        """Move everything to a GPU, the current one or that with this name or number (see `to`)."""
        return self.to("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    def cpu(self):
        """Move everything to main memory (see `to`)."""
        return self.to("cpu")

    def apply(self, fn):
        """Call fn(module) for every module below, then for this one; returns this one.

        >>> m = Module(); m.a = Module(); _ = m.apply(lambda module: print(type(module).__name__))
        Module
        Module
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ---- watching

    def register_forward_hook(self, hook):
        """Call hook(module, args, output) after every forward; what it returns, unless None, replaces the output.

        Returns a handle: handle.remove() ends it, and so does the end of a `with` block over the handle.

        >>> m = Module(); m.forward = lambda x: x + 1
        >>> with m.register_forward_hook(lambda module, args, output: 10 * output):
        ...     m(1)
        20
        """
        return HookHandle(self, "_forward_hooks", hook)

    def register_forward_pre_hook(self, hook):
        """Call hook(module, args) before every forward; a tuple it returns replaces args, another value the only argument."""
        return HookHandle(self, "_forward_pre_hooks", hook)

    def summary(self, *inputs):
        """A table of the layers with output shapes, parameters, multiply-adds and memory (see summary.py).

        inputs: one for each argument of forward: a shape with its batch axis, or an example.
        """
        from .summary import summarize                    # it reads the layers, which read this file
        return summarize(self, *inputs)

    def extra_repr(self):
        """What stands between the parentheses of this module's repr."""
        return ""

    def __repr__(self):
        extra = self.extra_repr()
        children = [f"({name}): {indent(repr(child))}" for name, child in own_modules(self)]
        if not children:
            return f"{type(self).__name__}({extra})"
        return f"{type(self).__name__}(\n  " + "\n  ".join([extra] * bool(extra) + children) + "\n)"


# ---- walking the tree

def own_modules(module):
    return [(name, x) for name, x in vars(module).items() if isinstance(x, Module)]


def own_parameters(module):
    return [(name, x) for name, x in vars(module).items() if isinstance(x, Parameter)]


def own_buffers(module):
    return [(name, x) for name, x in vars(module).items()
            if name in module._persistent and isinstance(x, Tensor) and not isinstance(x, Parameter)]


def own_state(module):
    return own_parameters(module) + [(name, x) for name, x in own_buffers(module) if module._persistent[name]]


CALL = Module.__call__


def untouched(module, forward):
    """Whether calling a module means this forward and nothing else: no hooks, no forward or call of a subclass or its own."""
    return (not module._forward_hooks and not module._forward_pre_hooks and type(module).forward is forward
            and type(module).__call__ is CALL and "forward" not in vars(module))


def join(path, name):
    return f"{path}.{name}" if path else name


def walk(module, path="", above=()):
    """(path, module) for a module and all below it, as often as they are mentioned, parents before children."""
    if any(module is m for m in above):
        raise ValueError(f"{type(above[0]).__name__}: modules must form a tree, but {path!r} is one of those it stands in. "
                         "Keep a reference to a module further up outside of the attributes.")
    yield path, module
    for name, child in own_modules(module):
        yield from walk(child, join(path, name), (*above, module))


def named_tensors(module, own, prefix="", recurse=True, remove_duplicate=False):
    """(path, tensor) for what `own` finds in a module and those below it."""
    seen = set()
    for path, m in walk(module, prefix) if recurse else [(prefix, module)]:
        for name, x in own(m):
            if not remove_duplicate or x not in seen:
                seen.add(x)
                yield join(path, name), x


def find(module, target, what, pairs):
    """What has this path, or an error that says how far the path leads."""
    found = dict(pairs)
    if target in found:
        return found[target]
    known = [name for name in found if name]
    listed = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    raise AttributeError(f"get_{what}: {type(module).__name__} has no {what} {target!r}. There is: {listed or 'none'}.")


def indent(text):
    return text.replace("\n", "\n  ")


# ---- checks of assignments

def kind_of(x):
    return f"the class {x.__name__}" if isinstance(x, type) else type(x).__name__


def check_name(module, op, name):
    """A name under which something new can be assigned: a path is split at its dots, and methods must stay reachable."""
    if not isinstance(name, str):
        raise TypeError(f"{op}: a name must be a string, got {kind_of(name)}.")
    if not name or "." in name:
        raise ValueError(f"{op}: a name must not be empty or contain a dot, got {name!r}. Dots separate the parts of a path.")
    if hasattr(type(module), name):
        raise ValueError(f"{op}: {name!r} is already a method or attribute of {type(module).__name__}. Choose another name.")


def refuse_assignment(module, name, value):
    """Errors for assignments after which something would silently no longer be learned, saved or found."""
    where, before = f"{type(module).__name__}.{name}", vars(module).get(name)
    for kind in (Parameter, Module):
        if isinstance(before, kind) and value is not None and not isinstance(value, kind):
            hint = ("Wrap it: Parameter(value); or change the values in place under no_grad()." if kind is Parameter else
                    "Assign a Module, or use another name.")
            raise TypeError(f"{where}: is a {kind.__name__} and can only become another one or None, got {kind_of(value)}. "
                            + hint)
    if name in module._persistent and value is not None and not isinstance(value, (Tensor, Module)):
        raise TypeError(f"{where}: is a buffer and can only become another Tensor or None, got {kind_of(value)}. "
                        "Use Tensor(value).")
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    for item in items:
        if isinstance(item, (Module, Parameter)):
            what = "Module" if isinstance(item, Module) else "Parameter"
            hint = f"{what}Dict" if isinstance(value, dict) and what == "Module" else f"{what}List"
            raise TypeError(f"{where}: a {what} inside a plain {type(value).__name__} would not be found by parameters(), and "
                            f"so not be learned. Use {hint}.")


# ---- loading and converting

def saved_array(value, tensor):
    """A copy of a saved value, in the dtype and on the device of the tensor it is for; as it is where that makes no sense."""
    array = raw(value) if is_array(raw(value)) else np.asarray(value)
    fits = array.dtype.kind in "fiub" and array.shape == tensor.shape
    if not fits:
        return array
    array = to_device(array, tensor.device)
    return copied(array, tensor.dtype)


def misfit(array, tensor):
    """What keeps an array from being written into a tensor; None if nothing does."""
    if array.dtype.kind not in "fiub":
        return f"must hold numbers, got dtype {array.dtype}"
    if array.shape != tensor.shape:
        return f"has shape {tensor.shape} here and {array.shape} in the state"
    return None if getattr(raw(tensor).flags, "writeable", True) else "is read-only here"


def mismatch(name, missing, unexpected, wrong, here, strict):
    """The one message about everything that does not fit."""
    lists = (("Missing", missing if strict else []), ("Unexpected", unexpected if strict else []), ("Misfit", wrong))
    lines = [f"  {title}: {', '.join(map(str, entries))}." for title, entries in lists if entries]
    hint = "Build the network with the arguments it was saved with."
    prefixes = {str(key).partition(".")[0] for key in unexpected}
    if missing and len(prefixes) == 1 and all(join(*prefixes, key) in unexpected for key in missing):
        (prefix,) = prefixes
        hint = f"Every name in the state begins with '{prefix}.': take it off, {{key.removeprefix('{prefix}.'): ...}}."
    elif not wrong:
        hint = "Build the same network, or pass strict=False to load what agrees."
    rule = f"load_state_dict: the state must fit {name} with its {len(here)} entries; nothing was loaded."
    return "\n".join([rule, *lines, hint])


def convert(module, device, dtype):
    """Move all parameters, buffers and gradients of a module, and change the dtype of those of floating point; None: leave it.

    What is shared stays shared, and the Tensors stay the same objects: only their arrays are others.
    """
    if dtype is not None and np.dtype(dtype).kind != "f":
        raise TypeError(f"to: a module can only be converted to floating point, got {np.dtype(dtype)}. Use 'float32'.")
    for x in itertools.chain(module.parameters(), module.buffers()):
        array = converted(raw(x), device, dtype)
        if array is not raw(x):
            x.data = array
            x.grad = None if x.grad is None else result(converted(raw(x.grad), device, dtype))
    return module


def converted(array, device, dtype):
    """An array as it is, or a copy on another device, or of another dtype where it is floating point."""
    if dtype is not None and array.dtype.kind == "f" and array.dtype != dtype:
        array = array.astype(dtype)
    return array if device is None else to_device(array, device)
