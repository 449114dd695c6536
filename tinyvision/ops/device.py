"""to, cuda, cpu: a copy on another device, through which gradients flow back.

Moving is linear, the identity between two memories, y = x, so the gradient is moved back: gx = g, on the device of x.

Source: torch.Tensor.to.
"""

import numpy as np

from ..backend import as_device, device_of, is_array, pinned, to_device
from ..tensor import Op, Tensor, raw, result


class ToDeviceOp(Op):
    """(*) -> (*)"""

    def __init__(self, device):
        self.device = device

    def forward(self, x):
        return to_device(x, self.device)

    def backward(self, g, x):
        return ToDeviceOp(device_of(raw(x)))(g)


def to(x, *target, device=None, dtype=None):
    """x on another device, or with another dtype, or both (torch.Tensor.to); x itself where nothing changes.

    target: a device ("cpu", "cuda", "cuda:1"), a dtype, a device and a dtype, or a tensor with whose two to agree.
    Raises TypeError for what is neither, ValueError for a device that does not exist, and what tinyvision.backend.cupy raises
    where there is no GPU.  Gradients flow back to where x is.

    >>> Tensor([1.0]).to("float64").to("cpu").dtype
    dtype('float64')
    """
    device, dtype = destination("to", target, device, dtype)
    if dtype is not None and dtype != x.dtype:
        x = x.astype(dtype)
    return x if device is None or device == device_of(raw(x)) else ToDeviceOp(device)(x)


def destination(op, target, device=None, dtype=None):
    """The Device and the dtype that the arguments of `to` name, None for what stays."""
    for value in target:
        if isinstance(value, Tensor):
            value_device, value_dtype = value.device, value.dtype
        elif isinstance(value, str) and value.partition(":")[0] in ("cpu", "cuda"):
            value_device, value_dtype = value, None
        else:
            value_device, value_dtype = None, value
        if (value_device and device is not None) or (value_dtype is not None and dtype is not None):
            raise TypeError(f"{op}: takes a device and a dtype, once each, got {target}.")
        device, dtype = value_device or device, dtype if value_dtype is None else value_dtype
    try:
        return None if device is None else as_device(device), None if dtype is None else np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"{op}: needs a device ('cpu', 'cuda', 'cuda:1'), a dtype ('float32') or a Tensor, got "
                        f"{', '.join(map(repr, target))}.") from error


def on_host(x):
    """The values of a Tensor or an array as NumPy's: itself where it is in main memory, else a copy.

    >>> on_host(Tensor([1.0]))
    array([1.], dtype=float32)
    """
    x = raw(x)
    return to_device(x, "cpu") if is_array(x) else x


def moved(batch, device):
    """A batch on a device: its Tensors and arrays, within lists, tuples and dicts; everything else as it is.

    >>> moved([Tensor([1.0]), "a cat"], "cpu")
    [Tensor([1.]), 'a cat']
    """
    return each(batch, lambda x: to(x, device) if isinstance(x, Tensor) else to_device(x, device))


def pinned_batch(batch):
    """A batch in page-locked memory, from where it moves to a GPU while the host goes on."""
    return each(batch, lambda x: result(pinned(raw(x))) if isinstance(x, Tensor) else pinned(x))


def each(batch, function):
    """The batch with function(x) for each of its Tensors and arrays."""
    if isinstance(batch, Tensor) or is_array(batch):
        return function(batch)
    if isinstance(batch, dict):
        return {key: each(value, function) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        parts = [each(value, function) for value in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch


def cuda(x, device=None):
    """x on a GPU, the current one or that with this name or number (torch.Tensor.cuda)."""
    return to(x, "cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)


def cpu(x):
    """x in main memory (torch.Tensor.cpu)."""
    return to(x, "cpu")
