"""The functions of the fake cupy, with exactly the arguments that CuPy 14.2 takes; what is not listed here does not exist.

To let the engine use another function, look up its arguments in CuPy's sources and add a row.
"""

import contextlib
import ctypes
import sys
import threading
import types

import numpy as np

from . import fake
from .fake import ndarray, operand, quiet, state, wrap

UFUNCS = """add subtract multiply divide true_divide power negative maximum minimum matmul exp log log1p log2 expm1 sqrt square sin
cos tanh sinh cosh tan arctan arctan2 absolute abs sign equal not_equal less less_equal greater greater_equal bitwise_and
bitwise_or bitwise_xor invert floor_divide mod remainder left_shift right_shift isfinite isnan isinf logical_and logical_or
logical_not logical_xor floor ceil rint hypot reciprocal signbit logaddexp ldexp frexp""".split()
SCATTERS = {"add": "iIfdLQe", "maximum": "iIfdLQqle", "minimum": "iIfdLQqle"}        # ufuncs with `at`, and which dtypes it takes

# name: its arguments; a leading * is for those that take any number.  "!" after the name: it makes the host wait.
FUNCTIONS = """
zeros(shape dtype order) ones(shape dtype order) empty(shape dtype order) full(shape fill_value dtype order)
zeros_like(a dtype order) ones_like(a dtype order) empty_like(a dtype order) full_like(a fill_value dtype order)
arange(start stop step dtype) linspace(start stop num endpoint retstep dtype axis) eye(N M k dtype order)
indices(dimensions dtype) meshgrid(*indexing copy sparse) diag(v k) tril(m k) triu(m k) ascontiguousarray(a dtype) copy(a order)
broadcast_to(array shape) concatenate(tup axis out dtype casting) stack(tup axis out dtype casting) flip(a axis)
roll(a shift axis) tile(A reps) repeat(a repeats axis) reshape(a newshape order) ravel(a order) transpose(a axes)
swapaxes(a axis1 axis2) moveaxis(a source destination) expand_dims(a axis) squeeze(a axis) split(ary indices_or_sections axis)
shape(a) ndim(a) take(a indices axis out) take_along_axis(a indices axis) put_along_axis(arr indices values axis)
where(condition x y) argwhere!(a) nonzero!(a) flatnonzero!(a) unique!(ar return_index return_inverse return_counts axis)
bincount!(x weights minlength) argsort(a axis kind) sort(a axis kind) clip(a a_min a_max out) round(a decimals out)
sum(a axis dtype out keepdims) prod(a axis dtype out keepdims) mean(a axis dtype out keepdims) cumsum(a axis dtype out)
cumprod(a axis dtype out) var(a axis dtype out ddof keepdims) std(a axis dtype out ddof keepdims) all(a axis out keepdims)
any(a axis out keepdims) argmax(a axis dtype out keepdims) argmin(a axis dtype out keepdims) max(a axis out keepdims)
min(a axis out keepdims) amax(a axis out keepdims) amin(a axis out keepdims) count_nonzero(a axis) einsum(*dtype optimize)
dot(a b out) outer(a b out) tensordot(a b axes) nan_to_num(x copy nan posinf neginf) searchsorted(a v side sorter)
allclose(a b rtol atol equal_nan) isclose(a b rtol atol equal_nan) array_equal(a1 a2 equal_nan)
""".replace("\n", " ")


def inside(x):
    """What NumPy gets for an argument: device arrays opened, host arrays refused, also within lists."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(inside, x))
    return operand(x) if isinstance(x, (ndarray, np.ndarray)) else x


def opened(x):
    if isinstance(x, (list, tuple)):
        return [source for part in x for source in opened(part)]
    return [x] if isinstance(x, ndarray) else []


def outside(y, sources):
    if isinstance(y, (list, tuple)):
        return type(y)(outside(part, sources) for part in y)
    return wrap(y, *sources) if isinstance(y, (np.ndarray, np.generic)) else y


def function(name, arguments, waits):
    original = getattr(np, name)
    variable = arguments[:1] == ["*"] or arguments[0].startswith("*")
    known = [a.removeprefix("*") for a in arguments]

    def call(*args, **options):
        unknown = set(options) - set(known)
        if unknown or (not variable and len(args) > len(known)):
            raise TypeError(f"{name}() got an unexpected argument {sorted(unknown) or args[len(known):]}")
        if name == "where" and not isinstance(args[0], ndarray):
            raise AttributeError(f"{type(args[0]).__name__!r} object has no attribute 'astype'")
        if name in ("take_along_axis", "put_along_axis") and args[1].dtype.kind not in "iu":
            raise IndexError("`indices` must be an integer array")
        if name in ("argsort", "sort") and options.get("kind") not in (None, "stable"):
            raise ValueError("kind other than None or 'stable' is not supported")
        if waits:
            state.move("sync")
        if name == "zeros" and (size := np.prod(args[0]) * np.dtype(*args[1:2]).itemsize) > state.limit:
            state.allocator(int(size))                    # before NumPy tries to find so much
        if name == "reshape" and "newshape" in options:
            options["shape"] = options.pop("newshape")
        options = {key: value for key, value in options.items() if not (key == "kind" and value is None)}
        out = options.get("out")
        sources = opened([*args, *options.values()])
        with quiet():
            y = original(*map(inside, args), **{key: inside(value) for key, value in options.items()})
        return out if out is not None else outside(y, sources)
    call.__name__ = name
    return call


class Ufunc:
    """cupy.ufunc: `out`, `dtype` and `casting` and nothing else; `at` where CuPy can scatter."""

    def __init__(self, name):
        self.name = self.__name__ = name
        self.original = getattr(np, name)

    def __call__(self, *args, **options):
        if set(options) - {"out", "dtype", "casting"}:
            raise TypeError(f"Wrong arguments {options}")
        if any(hasattr(x, "__array_ufunc__") and not isinstance(x, (ndarray, np.ndarray, np.generic)) for x in args):
            return self.original(*args, **options)
        options = {key: value for key, value in options.items() if value is not None}
        out = options.get("out")
        with quiet():
            y = self.original(*map(operand, args), **{key: inside(value) for key, value in options.items()})
        return out if out is not None else outside(y, ())

    def at(self, a, indices, b=None):
        if self.name not in SCATTERS:
            raise NotImplementedError(f"`{self.name}.at` is not implemented")
        if a.dtype.char not in SCATTERS[self.name]:
            raise TypeError(f"cupy.{self.name}.at does not support {a.dtype}")
        self.original.at(operand(a), fake.index_of(indices), operand(b))

    def reduce(self, *args, **options):
        raise NotImplementedError(f"`reduce` of {self.name} is not part of this fake")

    def accumulate(self, *args, **options):
        raise NotImplementedError(f"`accumulate` of ufunc `{self.name}` is not implemented")


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):
    if isinstance(obj, ndarray):
        if not copy and (dtype is None or obj.dtype == dtype):
            return obj
        host = obj._host                                  # from any device: this is how arrays move between them
        return wrap(np.array(host, dtype, order=order, ndmin=ndmin))
    if opened([obj] if not isinstance(obj, (list, tuple)) else obj):
        return wrap(np.array(inside(obj), dtype))
    if obj is not None and not isinstance(obj, (np.ndarray, np.generic, list, tuple, int, float, bool)):
        raise ValueError(f"Unsupported dtype: {type(obj).__name__}")
    state.move("up")
    return wrap(np.array(obj, dtype, order=order, ndmin=ndmin))


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    if isinstance(a, ndarray) and a.number != state.device:
        return wrap(np.array(a._host, dtype))
    return array(a, dtype, bool(copy), order or "K")


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def from_dlpack(x):
    return x if isinstance(x, ndarray) else array(np.from_dlpack(x))


class Pool:
    malloc = property(lambda self: state.malloc)

    def used_bytes(self):
        return state.used

    def total_bytes(self):
        return state.used

    def free_all_blocks(self, stream=None):
        pass


class PinnedMemoryPointer(bytearray):
    """Page-locked memory."""


def empty_pinned(shape, dtype=float, order="C"):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, PinnedMemoryPointer(size), order=order)


class Event:
    """Something that the device does later: it is asked `delay` times before it is done."""

    delay = 0

    def __init__(self):
        self.left = Event.delay

    @property
    def done(self):
        self.left -= 1
        return self.left < 0


class Stream:
    ptr = 0

    def record(self, event=None):
        return Event()

    def __init__(self, null=False, non_blocking=False, ptds=False):
        pass

    def synchronize(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def memory(address, rows, columns, pitch, dtype):
    """A matrix by columns, as BLAS finds it: where it is, and how far its columns are apart."""
    size, dtype = pitch * (columns - 1) + rows, np.dtype(dtype)
    flat = np.frombuffer((ctypes.c_char * (size * dtype.itemsize)).from_address(address), dtype)
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (dtype.itemsize, dtype.itemsize * pitch))


class Cublas:
    """Two functions of cuBLAS, and the modes of its handles: in that of TensorFloat-32 (3) it rounds the factors to 11 bits."""

    modes = {}
    getMathMode = staticmethod(lambda handle: Cublas.modes.get(handle, 0))
    setMathMode = staticmethod(modes.__setitem__)

    @staticmethod
    def sgemm(handle, turn_a, turn_b, m, n, k, alpha, a, pitch_a, b, pitch_b, beta, c, pitch_c, dtype="f4"):
        a = memory(a, k, m, pitch_a, dtype).T if turn_a else memory(a, m, k, pitch_a, dtype)
        b = memory(b, n, k, pitch_b, dtype).T if turn_b else memory(b, k, n, pitch_b, dtype)
        if Cublas.getMathMode(handle) == 3 and dtype == "f4":
            a, b = [np.ldexp(np.rint(np.ldexp(f, 11)), e - 11).astype(np.float32) for f, e in map(np.frexp, (a, b))]
        one, zero = memory(alpha, 1, 1, 1, dtype).item(), memory(beta, 1, 1, 1, dtype).item()
        assert (one, zero) == (1, 0)
        memory(c, m, n, pitch_c, dtype)[...] = a @ b

    dgemm = staticmethod(lambda *args: Cublas.sgemm(*args, dtype="f8"))


def set_allocator(allocator=None):
    state.allocator = allocator or state.malloc


def properties(number):
    return {"name": b"Fake device", "totalGlobalMem": state.limit, "major": 9, "minor": 0, "multiProcessorCount": 1}


def modules():
    """{name: module} of everything that the fake puts in the place of CuPy."""
    cupy, cuda = types.ModuleType("cupy"), types.ModuleType("cupy.cuda")
    cupyx, scipy, special = (types.ModuleType(f"cupyx{rest}") for rest in ("", ".scipy", ".scipy.special"))
    for name in UFUNCS:
        setattr(cupy, name, Ufunc(name))
    for row in FUNCTIONS.split(")"):
        if row.strip():
            name, arguments = row.strip().split("(")
            setattr(cupy, name.removesuffix("!"), function(name.removesuffix("!"), arguments.split(), name.endswith("!")))
    for name in ("float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool_ dtype inf nan pi newaxis iinfo finfo "
                 "generic integer floating result_type promote_types isscalar").split():
        setattr(cupy, name, getattr(np, name))
    cupy.ndarray, cupy.array, cupy.asarray, cupy.asnumpy, cupy.from_dlpack = ndarray, array, asarray, asnumpy, from_dlpack
    cupy.get_default_memory_pool, cupy.cuda, cupy.__version__, cupy.__fake__ = Pool, cuda, "14.2.0", True
    cuda.Device, cuda.Stream, cuda.set_allocator, cuda.get_allocator = fake.Device, Stream, set_allocator, lambda: state.allocator
    cuda.is_available = lambda: state.devices > 0
    cuda.get_current_stream = Stream
    cuda.runtime = types.SimpleNamespace(
        CUDARuntimeError=fake.CUDARuntimeError, getDeviceCount=lambda: state.devices, getDevice=lambda: state.device,
        memGetInfo=lambda: (state.limit - state.used, state.limit), getDeviceProperties=properties,
        deviceSynchronize=lambda: None, runtimeGetVersion=lambda: 13000, driverGetVersion=lambda: 13000)
    cuda.cublas, cuda.device = Cublas, types.SimpleNamespace(get_cublas_handle=threading.get_ident)
    cuda.memory, cuda.nccl = types.SimpleNamespace(OutOfMemoryError=fake.OutOfMemoryError), types.SimpleNamespace(available=False)
    cupyx.empty_pinned, cuda.PinnedMemoryPointer = empty_pinned, PinnedMemoryPointer
    special.erf = erf
    cupyx.scipy, scipy.special = scipy, special
    return {"cupy": cupy, "cupy.cuda": cuda, "cupyx": cupyx, "cupyx.scipy": scipy, "cupyx.scipy.special": special}


def erf(x):
    from scipy.special import erf as of_scipy
    return wrap(of_scipy(operand(x)))


@contextlib.contextmanager
def installed():
    """Within the block `import cupy` gives the fake, in its first state."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("cupy", "cupyx")}
    for name in before:
        del sys.modules[name]
    sys.modules.update(modules())
    state.__init__()
    try:
        yield state
    finally:
        for name in modules():
            del sys.modules[name]
        sys.modules.update(before)
