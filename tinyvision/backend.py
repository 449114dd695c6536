"""Where an array lives: NumPy's on the CPU, CuPy's on a GPU.

Everything that computes asks `array_module(x)` for the functions that fit x, so one text serves both.  An array's library
is recognised by the name of its module, without importing it: who has no GPU never loads CuPy.

A device has a name, "cpu", "cuda:0", "cuda:1"; "cuda" is the current GPU.  Between devices arrays move only where somebody says
so, `to_device`: an operation on arrays of two devices is an error, for a copy in every step would make a GPU useless unseen.
"""

import collections
import contextlib
import functools
import sys
import threading

import numpy as np


def array_module(x):
    """The module whose functions take x: cupy for a CuPy array, numpy for everything else.

    >>> array_module(np.zeros(3)).__name__
    'numpy'
    """
    if type(x) is not np.ndarray and of_cupy(type(x)):
        return sys.modules["cupy"]                        # where there is such an array it is loaded
    return np


def is_array(x):
    """Whether x is an array (of NumPy or CuPy), as opposed to a number, a list or a Tensor."""
    return isinstance(x, np.ndarray) or of_cupy(type(x))


def on_device(x):
    """Whether x is an array in the memory of a GPU."""
    return type(x) is not np.ndarray and of_cupy(type(x))


@functools.lru_cache(maxsize=256)                         # it is asked a hundred times in every step
def of_cupy(kind):
    """Whether a type is one of CuPy's."""
    return kind.__module__.partition(".")[0] == "cupy"


class Device(str):
    """The name of a device: "cpu", or "cuda:" and a number.

    >>> Device("cuda:1").type, Device("cuda:1").index, Device("cpu").index
    ('cuda', 1, None)
    """

    __slots__ = ()

    @property
    def type(self):
        """'cpu' or 'cuda'."""
        return self.partition(":")[0]

    @property
    def index(self):
        """The number of the GPU; None for the CPU."""
        return int(self.partition(":")[2]) if ":" in self else None


CPU = Device("cpu")


class CudaError(RuntimeError):
    """There is no GPU to work with; the message says what is missing."""


class CompilationFailed(CudaError):
    """NVRTC, the compiler for kernels of a GPU, is missing, or refuses a source."""


class OutOfMemoryError(MemoryError):
    """The memory of a GPU is full (torch.cuda.OutOfMemoryError)."""


def cupy():
    """The module cupy, ready for use.

    Raises ImportError where it is not installed, CudaError where it finds no driver or no GPU.
    """
    try:
        import cupy as module
    except ImportError as error:
        raise ImportError(f"cuda: CuPy cannot be loaded ({error}). Install it for the driver of this machine: pip install "
                          "'tinyvision[cuda12]' or 'tinyvision[cuda13]' (the command nvidia-smi shows which).") from error
    try:
        count = module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError as error:
        raise CudaError(f"cuda: CuPy is installed but finds no GPU ({error}). Check with nvidia-smi that the driver works and is "
                        "not older than CUDA of the extra: tinyvision[cuda12] or tinyvision[cuda13]. Or use device 'cpu'."
                        ) from error
    if count == 0:
        raise CudaError("cuda: CuPy is installed, but this machine shows no GPU. Is CUDA_VISIBLE_DEVICES set? Or use 'cpu'.")
    explain_full_memory(module)
    return module


def explain_full_memory(module):
    """Let CuPy take its memory through a function whose error says what to do, unless the user chose another source."""
    pool = module.get_default_memory_pool()
    if module.cuda.get_allocator() != pool.malloc:
        return
    module.cuda.set_allocator(explained(module, pool))


def explained(module, pool):
    """The pool's function that gives memory, with an error that says what to do."""
    def allocate(size):
        try:
            return pool.malloc(size)
        except module.cuda.memory.OutOfMemoryError as error:
            free, total = module.cuda.runtime.memGetInfo()
            raise OutOfMemoryError(f"cuda: out of memory: {size / 2**20:,.1f} MB were asked for, {free / 2**20:,.0f} of "
                                   f"{total / 2**20:,.0f} MB are free and arrays of this process hold "
                                   f"{pool.used_bytes() / 2**20:,.0f} MB. Use a smaller batch, smaller pictures or a narrower "
                                   "network, and no_grad() where nothing is learned.") from error
    return allocate


def as_device(device):
    """The Device with this name; "cuda" is the current GPU, "cuda:1" the second.

    Raises TypeError for what is no name, ValueError for one that does not exist, and what `cupy` raises without a GPU.

    >>> as_device("cpu")
    'cpu'
    """
    if not isinstance(device, str):
        raise TypeError(f"device: must be a name, 'cpu', 'cuda' or 'cuda:1', got {device!r}.")
    kind, colon, number = device.partition(":")
    if device == "cpu":
        return CPU
    if kind != "cuda" or bool(colon) != number.isdecimal():
        raise ValueError(f"device: must be 'cpu', 'cuda' or 'cuda:' and the number of a GPU, got {device!r}.")
    cuda = cupy().cuda
    if not colon:
        return Device(f"cuda:{cuda.runtime.getDevice()}")
    count = cuda.runtime.getDeviceCount()
    if int(number) >= count:
        raise ValueError(f"device: there is no {device}, this machine shows {count} GPU(s), numbered from 0. "
                         f"Use 'cuda:{count - 1}' or less.")
    return Device(f"cuda:{int(number)}")


def device_of(x):
    """The Device that an array is on.

    >>> device_of(np.zeros(3))
    'cpu'
    """
    return Device(f"cuda:{x.device.id}") if on_device(x) else CPU


def to_device(x, device):
    """An array on this device: x itself where it is there already, else a copy.

    >>> x = np.zeros(3); to_device(x, "cpu") is x
    True
    """
    device = as_device(device)
    if device_of(x) == device:
        return x
    if device == CPU:
        return x.get()
    module = cupy()
    with module.cuda.Device(device.index):
        return fetched(x, module) if is_pinned(x) else module.asarray(x)


def copied(x, dtype=None):
    """A copy of an array, in another dtype if one is given, where the array is: CuPy's own copies go to the current GPU.

    >>> copied(np.zeros(2), np.float32).dtype
    dtype('float32')
    """
    if not on_device(x):
        return np.array(x, dtype)
    with current(device_of(x)):
        return array_module(x).array(x, dtype)


# Page-locked memory: the system may not move it, so a GPU can fetch from it by itself, while the host does something else.

under_way = collections.deque()                           # (event, array): what a GPU is still fetching must not be used again


def pinned(x):
    """A copy of a NumPy array in page-locked memory, from where to_device does not wait for it; on a GPU: as it is.

    Raises what `cupy` raises where there is no GPU.
    """
    if on_device(x) or is_pinned(x):
        return x
    cupy()
    import cupyx
    y = cupyx.empty_pinned(x.shape, x.dtype)
    y[...] = x
    return y


def is_pinned(x):
    """Whether a NumPy array owns page-locked memory.

    >>> is_pinned(np.zeros(3))
    False
    """
    return type(x.base).__name__ == "PinnedMemoryPointer"


def fetched(x, module):
    """A copy on the current GPU, which fetches it when its turn comes."""
    while under_way and under_way[0][0].done:
        under_way.popleft()
    y, stream = module.empty(x.shape, x.dtype), module.cuda.get_current_stream()
    y.set(x, stream=stream)
    under_way.append((stream.record(), x))
    return y


SMALL = 1 << 16                                           # bytes of a constant that is worth keeping


class Keeper(threading.local):
    """Who keeps the constants that are asked for, beside the caches: a recorded step reads them as long as it lives."""

    constants = None                                      # a list that they are added to


keeper = Keeper()


def keep(constants):
    """The same, after the thread's keeper has been told."""
    if keeper.constants is not None:
        keeper.constants.append(constants)
    return constants


def constant(x, array):
    """A NumPy array that was made for x, a table of indices or weights, on the device of x; nobody may write to it.

    What goes to a GPU is kept there, by its content: a network asks for the same few tables in every step.

    >>> table = np.arange(2); constant(np.zeros(3), table) is table
    True
    """
    if not on_device(x):
        return array
    if array.nbytes > SMALL:
        return keep(to_device(array, device_of(x)))
    return keep(resident(array_module(x), device_of(x), array.dtype, array.shape, array.tobytes()))


@functools.lru_cache(maxsize=1024)
def resident(module, device, dtype, shape, content):
    return to_device(np.frombuffer(content, dtype).reshape(shape), device)


@contextlib.contextmanager
def current(device):
    """Within the block new arrays of a GPU are made on this one; nothing changes for the CPU."""
    device = as_device(device)
    with contextlib.nullcontext() if device == CPU else cupy().cuda.Device(device.index):
        yield device


def same_device(op, arrays):
    """Refuse arrays of different devices, before a kernel takes one for the other; numbers go with any.

    Those of a GPU must be the current one's: there kernels are launched, and results are made.
    """
    first = None
    for x in arrays:
        place = "cpu" if isinstance(x, np.ndarray) else x.device.id if on_device(x) else None
        if place is not None and place != first:
            if first is not None:
                refuse_devices(op, arrays)
            first = place
    if type(first) is int and (here := sys.modules["cupy"].cuda.runtime.getDevice()) != first:
        raise CudaError(f"{op}: the operands are on cuda:{first}, but the current GPU is cuda:{here}. Write `with "
                        f"tinyvision.cuda.device({first}):` around the computation, or tinyvision.cuda.set_device({first}) before it.")


def refuse_devices(op, arrays):
    places = [(i, x, device_of(x)) for i, x in enumerate(arrays) if is_array(x)]
    i, x, here = places[0]
    j, y, there = next(place for place in places if place[2] != here)
    raise TypeError(f"{op}: all operands must be on one device, got operand {i} {x.shape} on {here} and operand {j} {y.shape} on "
                    f"{there}. Move one of them: x.to({str(max(here, there))!r}) or x.cpu(); module.to(...) moves a network.")
