"""Tensor, an array that remembers how it was made, and Op, the making.  Read this file first, then autograd.py.

A network computes y = f(x) as a chain of small operations.  Each Tensor holds the Op that made it, each Op its inputs: that
is the graph, and autograd.py follows it from the loss backwards, applying the chain rule.  For one operation y = op(x) and a
gradient g = dL/dy that arrives from above, op.backward(g, x) returns dL/dx, the vector-Jacobian product J^T g.

An Op is polymorphic.  Given arrays it computes an array and records nothing; given Tensors it records itself in the
result.  Its `backward` is written in the same operations, so the loop decides what a backward pass costs and what it can
do: it hands the rule arrays (plain NumPy speed), or, under `create_graph=True`, Tensors, and then the backward pass is itself
recorded and can be differentiated again.

An op holds its inputs and never its output, so the graph has no cycles, and reference counting frees it at once.

Sources: Linnainmaa 1970 (reverse accumulation); Baydin et al. 2018, arXiv:1502.05767 (survey).
"""

import copy
import itertools
import threading

import numpy as np

from .backend import array_module, copied, cupy, current, device_of, is_array, on_device, same_device, to_device
from .changes import Changes
from .cuda import is_available
from .memory import owner


ndarray = np.ndarray                                      # a name that is found quicker


class Recording(threading.local):
    """Whether operations on Tensors are recorded; each thread has a switch of its own."""

    on = True


recording = Recording()


class Tensor:
    """An array with a memory of how it was computed.

    data: anything NumPy can make an array of; an array is copied and keeps its dtype, Python floats become float32.
    requires_grad: whether gradients with respect to this tensor are wanted (floating-point data only).
    device: "cpu", "cuda" or "cuda:1"; None leaves an array where it is, and lists go to the CPU.

    Its methods and operators are NumPy's (`sum(axis=..., keepdims=...)`, `reshape`, `@`, `x[1:, None]`); ops/methods.py
    lists them.  `x.data` is the NumPy array itself, `x.grad` the gradient that backward() left, None before.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4.])
    """

    __slots__ = ("_data", "_requires_grad", "grad", "op", "_changes", "_hooks", "_keeps_grad", "_age", "__weakref__")

    def __init__(self, data, dtype=None, requires_grad=False, device=None):
        if isinstance(data, Tensor):
            data = data._data
        array = copied(data, dtype) if is_array(data) else as_array(data, dtype)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"Tensor: needs numbers or booleans, got dtype {array.dtype}. Convert the data first.")
        attach(self, array if device is None else to_device(array, device))
        self.requires_grad = requires_grad

    @property
    def data(self):
        """The array itself, not a copy.  Writing to it while a graph needs it is noticed at backward().

        Assigned to, it takes a copy of an array, as the constructor does; `x.data -= step` works on the array itself.
        """
        self._changes.hand_out(self._data)
        return self._data

    @data.setter
    def data(self, value):
        array = value._data if isinstance(value, Tensor) else value
        if array is self._data:                           # x.data -= step: the write is done, the array handed back
            self._changes.handed_out = False
        else:
            array = copied(array) if is_array(array) else as_array(array, self.dtype)
            if self._requires_grad and array.dtype.kind != "f":
                raise TypeError(f"data: a tensor that requires a gradient holds floats, got {array.dtype}.")
            # views of the old array keep the old record; in the new one no graph may find the count that it knows
            count, self._data, self._changes = self._changes.count, array, Changes()
            self._changes.count = count
        self.touch()

    def numpy(self):
        """The NumPy array itself, as `.data`.  Raises TypeError for a tensor on a GPU, which has none."""
        if on_device(self._data):
            raise TypeError(f"numpy: this tensor is on {self.device}, where NumPy cannot reach it. Copy it to main memory first: "
                            "x.cpu().numpy().")
        return self.data

    @property
    def device(self):
        """Where the array is: "cpu", or "cuda:0" and so on."""
        return device_of(self._data)

    @property
    def shape(self):
        return self._data.shape

    @property
    def ndim(self):
        return self._data.ndim

    @property
    def size(self):
        return self._data.size

    @property
    def dtype(self):
        return self._data.dtype

    @property
    def T(self):
        return self.transpose()

    def item(self):
        """The only element, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: only for a single element, this tensor has shape {self.shape}. Reduce or index it first.")
        return self._data.item()

    def tolist(self):
        return self._data.tolist()

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("len: a tensor of shape () has no axis to count. Use x.item() for its value.")
        return len(self._data)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        if self.size != 1:
            raise ValueError(f"bool: the truth of a tensor of shape {self.shape} is ambiguous. Use x.all() or x.any().")
        return bool(self._data)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.ndim or self.dtype.kind not in "iu":
            raise TypeError(f"index: must be a single integer, got {self.dtype} of shape {self.shape}. "
                            "Use int(x) or x.tolist().")
        return self._data.__index__()

    def __round__(self, digits=None):
        return round(self.item(), digits)

    def __format__(self, spec):
        return format(self.item(), spec) if spec else repr(self)

    def __repr__(self):
        text = np.array2string(to_device(self._data, "cpu"), separator=", ", prefix=f"{type(self).__name__}(")
        text += f", device={str(self.device)!r}" if on_device(self._data) else ""
        extra = f", op={self.op.name}" if self.op else ", requires_grad=True" if self._requires_grad else ""
        return f"{type(self).__name__}({text}{extra})"

    __hash__ = object.__hash__                            # == compares elements, but a graph needs identity

    def __array__(self, dtype=None, copy=None):
        if tracked(self) and recording.on:
            raise TypeError("numpy: this tensor takes part in a graph, and NumPy would lose its gradient. Use x.data for the "
                            "plain array (x.item() for a number), tinyvision.stack for a list of tensors, or the functions "
                            "of tinyvision.functional.")
        array = self.numpy()
        return array.astype(dtype or array.dtype) if copy or dtype not in (None, array.dtype) else array

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        """The array's memory for another library, by the DLPack protocol: torch.from_dlpack(x.detach()) copies nothing.

        Raises BufferError for a tensor that requires a gradient, for a read-only array and for a dtype that DLPack lacks.
        """
        if self._requires_grad:
            raise BufferError("__dlpack__: this tensor requires a gradient, which another library would lose. "
                              "Use x.detach().")
        array = self.data
        if not getattr(array.flags, "writeable", True):
            raise BufferError("__dlpack__: this tensor's array is read-only, and who gets it could write to it. Use x.copy().")
        options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        try:                                              # an option that was left away may be unknown to an older NumPy
            return array.__dlpack__(**{name: value for name, value in options.items() if value is not None})
        except BufferError as error:
            raise BufferError(f"__dlpack__: an array of {array.dtype} cannot be handed out: {error} Use x.astype('float32') "
                              "or another of NumPy's plain numbers.") from error

    def __dlpack_device__(self):
        """(kind, number) of the device that the array is on; (1, 0) is main memory."""
        return self._data.__dlpack_device__()

    def __setitem__(self, index, value):
        if recording.on and (self._requires_grad or tracked(value)):
            raise RuntimeError("x[...] = value: cannot be recorded in a graph. Build the new tensor with where or "
                               "concatenate; to change weights, write under `with no_grad():`.")
        index = tuple(map(raw, index)) if isinstance(index, tuple) else raw(index)
        value = raw(value)
        if on_device(self._data):
            value = array_module(self._data).asarray(value, self.dtype) if isinstance(value, (list, tuple)) else value
            same_device("x[...] = value", [self._data, value])
        self._data[index] = value
        self.touch()

    def touch(self):
        """Say that the array was written in place, so that graphs which need its old values refuse to use it."""
        self._changes.count += 1

    @property
    def requires_grad(self):
        """Whether backward() computes a gradient for this tensor (True for every result that depends on one)."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted):
        if wanted and self._data.dtype.kind != "f":
            raise TypeError(f"requires_grad: only floating-point tensors have gradients, this one is {self.dtype}. "
                            "Use x.astype('float32'), or leave labels and indices without a gradient.")
        if not wanted and self.op is not None:
            raise RuntimeError("requires_grad: this tensor was computed from others that require a gradient; "
                               "use x.detach() for a copy of it outside the graph.")
        self._requires_grad = bool(wanted)

    @property
    def is_leaf(self):
        """Whether the user made this tensor, rather than an operation."""
        return self.op is None

    def detach(self):
        """The same array (memory shared) as a tensor outside the graph."""
        return result(self._data, (self,))

    def __getstate__(self):
        """For copy and pickle: the values and a leaf's gradient.  The graph behind a result stays behind, as in detach()."""
        state = {name: getattr(self, name) for name in Tensor.__slots__ if name not in ("__weakref__", "_age")}
        if self.op is not None:
            state.update(op=None, _requires_grad=False, _keeps_grad=False, _hooks=None)
        return getattr(self, "__dict__", None), state

    def retain_grad(self):
        """Keep the gradient of this intermediate result in `.grad`, as backward() does for leaves."""
        if not self._requires_grad:
            raise RuntimeError("retain_grad: this tensor does not require a gradient, so none will reach it.")
        self._keeps_grad = True

    def register_hook(self, hook):
        """Call hook(gradient) when this tensor's gradient is complete; a returned tensor replaces it.

        Returns a handle: handle.remove() ends it, and so does the end of a `with` block over the handle.
        """
        if not self._requires_grad:
            raise RuntimeError("register_hook: this tensor does not require a gradient, so none will reach it.")
        return HookHandle(self, "_hooks", hook)

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Add the gradient of this tensor with respect to every leaf behind it to the leaf's `.grad`.

        gradient: dL/dself, of self's shape; may be left out only where self is a single number (then it is 1).
        retain_graph: keep the graph for another backward pass (default: the value of create_graph).
        create_graph: record the backward pass, so that gradients can be differentiated again.
        inputs: only these tensors receive a gradient.
        Raises RuntimeError where there is nothing to differentiate or the graph was used up.

        >>> x = Tensor([3.0], requires_grad=True); (x ** 2).backward(); x.grad
        Tensor([6.])
        """
        from .autograd import backward                    # the loop: it reads this file, not the other way round
        for x, g in backward([self], [gradient], retain_graph, create_graph, inputs):
            x.grad = g if x.grad is None else x.grad + g


class HookHandle:
    """A hook under an attribute of its holder, a Tensor or a Module: until remove(), or the end of a `with` block."""

    numbers = itertools.count()

    def __init__(self, holder, attribute, hook):
        if not callable(hook):
            kind = f"the class {hook.__name__}" if isinstance(hook, type) else type(hook).__name__
            raise TypeError(f"register{attribute.rstrip('s')}: hook must be a function, got {kind}.")
        self.holder, self.attribute, self.number = holder, attribute, next(self.numbers)
        # a new dictionary each time: a loop over the hooks may go on while one of them is removed
        setattr(holder, attribute, {**(getattr(holder, attribute) or {}), self.number: hook})

    def remove(self):
        """Take the hook away; a second time does nothing."""
        hooks = getattr(self.holder, self.attribute) or {}
        setattr(self.holder, self.attribute, {number: hook for number, hook in hooks.items() if number != self.number})

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.remove()


class Parameter(Tensor):
    """A Tensor that a Module learns: it requires a gradient, and `module.parameters()` finds it.

    >>> Parameter([1.0]).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True, dtype=None):
        super().__init__(data, dtype, requires_grad)


def attach(tensor, array, changes=None):
    """Give a new tensor its array and an empty memory."""
    tensor._data, tensor._changes = array, changes or Changes()
    tensor._requires_grad = tensor._keeps_grad = False
    tensor.grad = tensor.op = tensor._hooks = None


def as_array(data, dtype=None):
    """Lists and numbers as an array: floats become float32 unless a dtype or a NumPy number says otherwise."""
    try:
        array = np.array(data, dtype)
    except ValueError as error:
        raise ValueError(f"Tensor: data must be numbers, in rows of one length: {error}") from error
    python = not isinstance(data, np.generic) and array.dtype == np.float64
    return array.astype(np.float32) if python and dtype is None else array


def from_dlpack(x):
    """A Tensor around the memory of an array of any library that speaks DLPack, without a copy (numpy.from_dlpack).

    x: a NumPy array, a PyTorch tensor outside the graph, ...; in main memory and open to writing, or on a GPU that CuPy can
    use.  Whoever writes to one writes to both; Tensor(x) copies instead.
    Raises TypeError for what does not speak DLPack and for complex numbers, BufferError for an x that cannot be shared: one
    on another device, read-only, or of a dtype that NumPy lacks.  Source: https://dmlc.github.io/dlpack

    >>> x = np.zeros(2)
    >>> y = from_dlpack(x); x[0] = 5; y
    Tensor([5., 0.])
    """
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise TypeError(f"from_dlpack: needs an object with __dlpack__ and __dlpack_device__, got {type(x).__name__}. "
                        "Use Tensor(x).")
    kind, number = map(int, x.__dlpack_device__())
    if kind != 1 and not (kind == 2 and is_available()):                  # kDLCPU, kDLCUDA
        raise BufferError(f"from_dlpack: the array must be in main memory, device (1, 0), got {(kind, number)}. "
                          "Copy it there first: x.cpu().  (Arrays on a GPU, device (2, 0), need CuPy here.)")
    try:
        with current("cpu" if kind == 1 else f"cuda:{number}") as device:
            array = np.from_dlpack(x) if device == "cpu" else cupy().from_dlpack(x)
    except (BufferError, RuntimeError) as error:
        raise BufferError(f"from_dlpack: the array cannot be shared: {error} Copy it: Tensor(x).") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"from_dlpack: needs numbers or booleans, got dtype {array.dtype}. Convert the data first.")
    if not getattr(array.flags, "writeable", True):
        raise BufferError("from_dlpack: the array is read-only (with NumPy 2.0 every one is), and a Tensor can be written to. "
                          "Copy it: Tensor(x).")
    y = result(array)
    y._changes.hand_out(array)                            # its owner can write to it: graphs keep an eye on that
    return y


def result(array, inputs=()):
    """A Tensor around an array that was just computed from these inputs: nothing is copied."""
    if type(array) is not np.ndarray and not is_array(array):
        array = np.asarray(array)                         # a full reduction gives a NumPy number
    memory, changes = array if array.base is None else owner(array), None
    for x in inputs:
        if isinstance(x, Tensor):
            data = x._data
            if data is memory or data.base is memory:
                changes = x._changes                      # a view: a write to one is a write to both
    y = Tensor.__new__(Tensor)
    attach(y, array, changes)
    return y


def raw(x):
    """The array of a Tensor; anything else as it is."""
    return x._data if isinstance(x, Tensor) else x


def tracked(x):
    """Whether x is a Tensor through which gradients flow."""
    return isinstance(x, Tensor) and x._requires_grad


class Op:
    """One application of one operation: it computes, and it is the node it leaves in the graph.

    A subclass has `forward(*inputs)`, arrays to array, and `backward(g, *inputs)`, which receives the very inputs of forward
    and returns one gradient per input (None for: no gradient), in operations that work on arrays and Tensors alike.
    Hyper-parameters come through __init__; whatever else an op keeps on itself must have derivative zero (a mask, indices).

    >>> class Square(Op):
    ...     def forward(self, x):
    ...         return x * x
    ...     def backward(self, g, x):
    ...         return 2 * g * x
    >>> Square()(Tensor([3.0]))
    Tensor([9.])
    """

    inputs = versions = ()
    needs = (True,) * 8                                   # which inputs want a gradient; all, outside a graph

    def __call__(self, *inputs):
        if self.inputs:                                   # it is a node already: a second application is another one
            twin = copy.copy(self)
            twin.inputs = ()
            return twin(*inputs)
        arrays, needs, tensors, away = [], [], False, False
        for x in inputs:                                  # one walk over the inputs: this runs for every op of a network
            if isinstance(x, Tensor):
                array = x._data
                arrays.append(array)
                needs.append(x._requires_grad)
                tensors = True
                if type(array) is not ndarray:
                    away = True
            else:
                arrays.append(x)
                needs.append(False)
        if not tensors:
            return self.forward(*inputs)                  # arrays in, array out
        recorded = True in needs and recording.on
        if recorded:
            self.needs = tuple(needs)
        if away:
            same_device(self.name, arrays)
        try:
            array = self.forward(*arrays)
        except TypeError:
            same_device(self.name, arrays)                # a plain array of a GPU beside a Tensor of the CPU
            raise
        if type(array) is not ndarray and not hasattr(array, "dtype"):
            raise TypeError(f"{self.name}.forward: must return one array, got {type(array).__name__}.")
        y = result(array, inputs)
        if recorded and array.dtype.kind == "f":          # Tensors in: y remembers how it was made
            self.inputs, self.versions = inputs, versions(inputs)
            y.op, y._requires_grad, y._age = self, True, next(ages)
        return y

    @property
    def name(self):
        return type(self).__name__.removesuffix("Op")


ages = itertools.count(0, -1)                             # of results, in the order of their making: the youngest is smallest


def versions(inputs):
    """How often each input's memory had been written to."""
    counts = []
    for x in inputs:
        if isinstance(x, Tensor):
            changes = x._changes
            changes.needed = True                         # a graph will remember the count
            counts.append(changes.settle(x._data) if changes.handed_out else changes.count)
        else:
            counts.append(0)
    return counts
