"""The GPUs: whether there are any, which is current, how much memory is in use, and waiting for one (torch.cuda).

A GPU works on its own: an operation returns when the work is ordered, not when it is done, and the host only waits where it
reads a number (`x.item()`, `x.cpu()`, `print(x)`).  Who measures time calls `synchronize` before reading the clock.

Source: torch.cuda, whose names and arguments these are.
"""

from .backend import CudaError, Device, OutOfMemoryError, as_device, cupy, current

__all__ = ["CudaError", "OutOfMemoryError", "current_device", "device", "device_count", "empty_cache", "get_device_name", "is_available", "mem_get_info",
           "memory_allocated", "memory_reserved", "set_device", "synchronize"]


def is_available():
    """Whether there is a GPU, with CuPy and a driver to use it.

    >>> isinstance(is_available(), bool)
    True
    """
    try:
        cupy()
    except (ImportError, CudaError):
        return False
    return True


def device_count():
    """The number of GPUs, 0 where CuPy, the driver or the GPU is missing.

    >>> device_count() > 0 or not is_available()
    True
    """
    return cupy().cuda.runtime.getDeviceCount() if is_available() else 0


def current_device():
    """The number of the GPU that "cuda" means.  Raises ImportError or CudaError where there is none, as all that follow do.

    >>> current_device() if is_available() else 0
    0
    """
    return cupy().cuda.runtime.getDevice()


def set_device(device):
    """Let "cuda" mean this GPU, a number or "cuda:1", from now on in this thread.

    >>> if is_available(): set_device(0)
    """
    cupy().cuda.Device(numbered(device).index).use()


def device(device):
    """A context, `with cuda.device(1):`, in which "cuda" is this GPU: arrays of another than the first need it around them.

    >>> if is_available():
    ...     with device(0): pass
    """
    return current(numbered(device))


def numbered(device):
    """The Device of a number or a name; the current one for None."""
    device = as_device("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)
    if device.type != "cuda":
        raise ValueError(f"cuda: device must be a GPU, a number or 'cuda:0', got {str(device)!r}.")
    return Device(device)


def get_device_name(device=None):
    """What the maker calls a GPU, the current one for None.

    >>> isinstance(get_device_name() if is_available() else "", str)
    True
    """
    return cupy().cuda.runtime.getDeviceProperties(numbered(device).index)["name"].decode()


def synchronize(device=None):
    """Wait until a GPU, the current one for None, has done all that was ordered.

    >>> if is_available(): synchronize()
    """
    cupy().cuda.Device(numbered(device).index).synchronize()


def memory_allocated(device=None):
    """The bytes that arrays hold on a GPU, the current one for None (of CuPy's pool).

    >>> memory_allocated() >= 0 if is_available() else True
    True
    """
    with current(numbered(device)):
        return cupy().get_default_memory_pool().used_bytes()


def memory_reserved(device=None):
    """The bytes that this process has taken from a GPU, with those that CuPy's pool keeps for the next arrays.

    >>> memory_reserved() >= memory_allocated() if is_available() else True
    True
    """
    with current(numbered(device)):
        return cupy().get_default_memory_pool().total_bytes()


def mem_get_info(device=None):
    """(free, total) bytes of a GPU, counted over all processes.

    >>> mem_get_info()[0] > 0 if is_available() else True
    True
    """
    with current(numbered(device)):
        return tuple(cupy().cuda.runtime.memGetInfo())


def empty_cache():
    """Give back the memory that CuPy's pool keeps and no array uses, for other programs.

    >>> if is_available(): empty_cache()
    """
    cupy().get_default_memory_pool().free_all_blocks()
