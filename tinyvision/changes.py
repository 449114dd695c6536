"""Has an array been written to since the graph recorded it?  Then its gradients would be silently wrong.

Every Tensor holds a `Changes`, shared by the Tensors that are views of the same memory.  Writes through the library
(`t[...] = v`, `t += v`, an optimiser's step, loading weights) are counted.  Writes through a NumPy array that the user
took out (`t.data[0] = 1`) cannot be counted, so they are noticed: handing an array out takes a checksum of its memory, and
only tensors whose array was handed out pay for comparing it later.
"""

from zlib import crc32

import numpy as np

from .backend import array_module


class Changes:
    """How often the memory of a family of views has been written to, as far as we can see."""

    __slots__ = ("count", "checksum")

    def __init__(self):
        self.count = 0
        self.checksum = None                              # of the memory, once an array has been handed out

    def hand_out(self, array):
        """The user is about to get hold of this array."""
        self.settle(array)
        self.checksum = checksum(array)

    def settle(self, array):
        """The number of writes up to now, those through handed-out arrays counted as well."""
        if self.checksum is not None:
            now = checksum(array)
            if now != self.checksum:
                self.count, self.checksum = self.count + 1, now
        return self.count


def memory(array):
    """The array that owns the memory which `array` may be a view of."""
    return array.base if isinstance(array.base, np.ndarray) else array


def same_memory(x, y):
    """Whether two arrays are the same or views of one owner."""
    return memory(x) is memory(y)


def checksum(array):
    if array_module(array) is not np:                     # a GPU's memory is not worth a copy to the host
        return None
    return crc32(np.ascontiguousarray(memory(array)).reshape(-1).view(np.uint8))
