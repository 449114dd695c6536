"""A device without a GPU: arrays of a module that calls itself cupy, with NumPy inside and CuPy's refusals outside.

What CuPy refuses is refused here: NumPy's arrays as operands, as indices and as arguments; implicit conversion; functions
and arguments that CuPy 14 lacks.  What moves data between host and device, or makes the host wait, is counted.  Nothing is
compiled: kernels run as their references.  Two devices are shown, and arrays of both do not mix either.

Facts from CuPy 14.2: cupy/_core/core.pyx, _kernel.pyx and _routines_indexing.pyx, and the signatures of cupy/*.py.
"""

import collections
import operator
import types

import numpy as np

COUNT = 2                                                 # devices


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class State:
    """Which device is current, what moved, how much memory there is, and where it comes from."""

    def __init__(self):
        self.device, self.devices, self.limit, self.used = 0, COUNT, 1 << 40, 0
        self.moves = collections.Counter()                # "up", "down", "sync"
        self.watch = None                                 # called with each kind of move: tests see where it came from
        self.allocator = self.malloc

    def move(self, kind):
        self.moves[kind] += 1
        if self.watch is not None:
            self.watch(kind)

    def malloc(self, size):
        if self.used + size > self.limit:
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes (allocated so far: {self.used:,} bytes).")
        return Memory(self, size)


class Memory:
    """What an allocator gives: it counts as used until the last array that holds it is gone."""

    def __init__(self, owner, size):
        self.owner, self.size = owner, size
        owner.used += size

    def __del__(self):
        self.owner.used -= self.size


state = State()


class Flags:
    """CuPy's flags: no `writeable`."""

    def __init__(self, array, owndata):
        self.c_contiguous, self.f_contiguous = array.flags.c_contiguous, array.flags.f_contiguous
        self.owndata, self.forc = owndata, array.flags.forc

    def __getitem__(self, name):
        return getattr(self, name.lower())


class Device:
    """A context in which new arrays are made on this device."""

    def __init__(self, number=None):
        self.id = state.device if number is None else int(number)
        if not 0 <= self.id < state.devices:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self.before = []

    def __enter__(self):
        self.before.append(state.device)
        state.device = self.id
        return self

    def __exit__(self, *error):
        state.device = self.before.pop()

    def __eq__(self, other):
        return isinstance(other, Device) and other.id == self.id

    def use(self):
        state.device = self.id

    @property
    def pci_bus_id(self):
        return f"0000:{self.id:02x}:00.0"

    def synchronize(self):
        pass


def root(array):
    """Who owns the memory of a NumPy array."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def wrap(host, *sources):
    """A device array around NumPy's result; a view where it shares the memory of one of the sources."""
    host = np.asarray(host)
    if host.dtype.kind not in "fiubc":
        raise TypeError(f"Unsupported dtype {host.dtype}")
    self = object.__new__(ndarray)
    for source in sources:
        if isinstance(source, ndarray) and root(source._host) is root(host) and source.size:
            self._host, self.number = host, source.number
            self.base = source if source.base is None else source.base
            self._memory = source._memory
            return self
    self._host, self.number, self.base = host, state.device, None
    self._memory = state.allocator(host.nbytes)
    return self


def is_scalar(x):
    return x is None or isinstance(x, (bool, int, float, complex, np.generic))


def operand(x):
    """The NumPy array or number behind an operand of an operator or a ufunc."""
    if isinstance(x, ndarray):
        if x.number != state.device:
            raise ValueError(f"Array device must be same as the current device: array device = {x.number} while current = "
                             f"{state.device}")
        return x._host
    if is_scalar(x):
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def index_of(index):
    """An index with device arrays taken out; NumPy's arrays are refused (CuPy would copy them, unseen)."""
    if isinstance(index, tuple):
        return tuple(map(index_of, index))
    if isinstance(index, ndarray):
        return operand(index)
    if isinstance(index, np.ndarray):
        raise TypeError("NumPy array as an index of a device array: CuPy would copy it to the device at every call")
    if isinstance(index, list):
        state.move("up")
        return np.asarray(index) if index else np.zeros(0, np.int32)
    return index


def picks_by_mask(index):
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(i, ndarray) and i.dtype.kind == "b" and i.ndim for i in parts)


def quiet():
    return np.errstate(all="ignore")                      # a GPU does not warn of divisions by zero


class ndarray:
    """A device array (cupy.ndarray)."""

    __slots__ = ("_host", "number", "base", "_memory", "__weakref__")
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        made = wrap(np.empty(shape, dtype, order))
        self._host, self.number, self.base, self._memory = made._host, made.number, None, made._memory

    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    dtype = property(lambda self: self._host.dtype)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    data = property(lambda self: types.SimpleNamespace(ptr=self._host.ctypes.data))
    device = property(lambda self: Device(self.number))
    flags = property(lambda self: Flags(self._host, self.base is None))
    T = property(lambda self: wrap(self._host.T, self))

    # --- to the host: counted

    def get(self, stream=None, order="C", out=None, blocking=True):
        state.move("down")
        return np.array(self._host, order=order)

    def set(self, array, stream=None):
        if not isinstance(array, np.ndarray) or array.dtype != self.dtype or array.shape != self.shape:
            raise TypeError("Only NumPy arrays of the same shape and dtype can be set to cupy.ndarray")
        state.move("up")
        self._host[...] = array

    def item(self):
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        state.move("down")
        return self._host.item()

    def tolist(self):
        return self.get().tolist()

    def __bool__(self):
        state.move("down")
        return bool(self._host)

    def __int__(self):
        return int(self.item())

    def __float__(self):
        return float(self.item())

    def __index__(self):
        state.move("down")
        return operator.index(self._host.item())

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
                        "explicitly.")

    def __repr__(self):
        return f"fake cupy {self.get()!r}"

    def __format__(self, spec):
        return format(self.item() if self.ndim == 0 else self.get(), spec)

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("len() of unsized object")
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __reduce__(self):
        return restored, (self.get(),)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    # --- elements

    def __getitem__(self, index):
        if picks_by_mask(index):
            state.move("sync")                            # how many are there?
        return wrap(self._host[index_of(index)], self)

    def __setitem__(self, index, value):
        if picks_by_mask(index):
            state.move("sync")
        self._host[index_of(index)] = operand(value)

    def take(self, indices, axis=None, out=None):
        return wrap(self._host.take(operand(indices), axis))

    # --- layout

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        if casting is not None or subok is not None:
            raise TypeError("casting and subok are not supported")
        if not copy and self.dtype == dtype:
            return self
        with quiet():
            return wrap(self._host.astype(dtype, order))

    def reshape(self, *shape, order="C"):
        shape = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return wrap(self._host.reshape(shape, order=order), self)

    def transpose(self, *axes):
        return wrap(self._host.transpose(*axes), self)

    def swapaxes(self, axis1, axis2):
        return wrap(self._host.swapaxes(axis1, axis2), self)

    def ravel(self, order="C"):
        return wrap(self._host.ravel(order), self)

    def flatten(self, order="C"):
        return wrap(self._host.flatten(order))

    def squeeze(self, axis=None):
        return wrap(self._host.squeeze(axis), self)

    def copy(self, order="C"):
        return wrap(self._host.copy(order))

    def view(self, dtype=None):
        return wrap(self._host.view() if dtype is None else self._host.view(dtype), self)

    def fill(self, value):
        self._host.fill(operand(value))

    def repeat(self, repeats, axis=None):
        if not isinstance(repeats, int):
            state.move("sync")
            repeats = operand(repeats) if not isinstance(repeats, (list, tuple)) else repeats
        return wrap(self._host.repeat(repeats, axis))

    # --- reductions

    def sum(self, axis=None, dtype=None, out=None, keepdims=False):
        return reduced("sum", self, axis=axis, dtype=dtype, keepdims=keepdims)

    def prod(self, axis=None, dtype=None, out=None, keepdims=False):
        return reduced("prod", self, axis=axis, dtype=dtype, keepdims=keepdims)

    def mean(self, axis=None, dtype=None, out=None, keepdims=False):
        return reduced("mean", self, axis=axis, dtype=dtype, keepdims=keepdims)

    def var(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
        return reduced("var", self, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)

    def std(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
        return reduced("std", self, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)

    def max(self, axis=None, out=None, keepdims=False):
        return reduced("max", self, axis=axis, keepdims=keepdims)

    def min(self, axis=None, out=None, keepdims=False):
        return reduced("min", self, axis=axis, keepdims=keepdims)

    def argmax(self, axis=None, out=None, dtype=None, keepdims=False):
        return reduced("argmax", self, axis=axis, keepdims=keepdims)

    def argmin(self, axis=None, out=None, dtype=None, keepdims=False):
        return reduced("argmin", self, axis=axis, keepdims=keepdims)

    def all(self, axis=None, out=None, keepdims=False):
        return reduced("all", self, axis=axis, keepdims=keepdims)

    def any(self, axis=None, out=None, keepdims=False):
        return reduced("any", self, axis=axis, keepdims=keepdims)

    def cumsum(self, axis=None, dtype=None, out=None):
        return reduced("cumsum", self, axis=axis, dtype=dtype)

    def argsort(self, axis=-1, kind=None):
        if kind not in (None, "stable"):
            raise ValueError("kind other than None or 'stable' is not supported")
        return wrap(operand(self).argsort(axis, kind="stable"))

    def nonzero(self):
        state.move("sync")
        return tuple(map(wrap, operand(self).nonzero()))

    # --- with other libraries

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        import cupy
        if not all(isinstance(x, (ndarray, np.ndarray)) or is_scalar(x) for x in inputs):
            return NotImplemented
        ours = getattr(cupy, ufunc.__name__, None)
        return ours(*inputs, **options) if ours is not None and method == "__call__" else NotImplemented

    def __array_function__(self, function, types, args, options):
        import cupy
        ours = getattr(cupy, function.__name__, None)
        return NotImplemented if ours is None else ours(*args, **options)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        return self._host.__dlpack__()

    def __dlpack_device__(self):
        return 2, self.number


ndarray.__module__ = "cupy"


def restored(host):
    return wrap(host)


def reduced(name, x, **options):
    options = {key: value for key, value in options.items() if value is not None or key == "axis"}
    with quiet():
        return wrap(getattr(operand(x), name)(**options))


OPERATORS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide, "floordiv": np.floor_divide,
             "mod": np.remainder, "pow": np.power, "matmul": np.matmul, "and": np.bitwise_and, "or": np.bitwise_or,
             "xor": np.bitwise_xor, "lshift": np.left_shift, "rshift": np.right_shift, "lt": np.less, "le": np.less_equal,
             "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal}
COMPARED = ("lt", "le", "gt", "ge", "eq", "ne")


def binary(name, ufunc, reflected=False, in_place=False):
    function = getattr(operator, f"__{name}__")

    def method(self, other):
        if not isinstance(other, (ndarray, np.ndarray)) and hasattr(other, "__array_ufunc__") and not is_scalar(other):
            return ufunc(other, self) if reflected else ufunc(self, other)         # a Tensor: its turn
        a, b = operand(self), operand(other)
        with quiet():
            if in_place:
                ufunc(a, b, out=a)
                return self
            return wrap(function(b, a) if reflected else function(a, b))
    method.__name__ = name
    return method


for _name, _ufunc in OPERATORS.items():
    setattr(ndarray, f"__{_name}__", binary(_name, _ufunc))
    if _name not in COMPARED:
        setattr(ndarray, f"__r{_name}__", binary(_name, _ufunc, reflected=True))
        if _name != "matmul":
            setattr(ndarray, f"__i{_name}__", binary(_name, _ufunc, in_place=True))
for _name in ("neg", "pos", "abs", "invert"):
    def _unary(self, function=getattr(operator, _name)):
        return wrap(function(operand(self)))
    setattr(ndarray, f"__{_name}__", _unary)
