"""Has an array been written to since the graph recorded it?  Then its gradients would be silently wrong.

Every Tensor holds a `Changes`, shared by the Tensors that are views of the same memory.  Writes through the library
(`t[...] = v`, `t += v`, an optimiser's step, loading weights) are counted.  Writes through a NumPy array that the user
took out (`t.data[0] = 1`) cannot be counted, so they are noticed: where an array was handed out and a graph needs it, a
checksum of its memory is taken when the second of the two happens, and compared later.

Arrays that never were a Tensor's are not watched: the y of `x * y`, a mask, an index.  They belong to the caller, who should
leave them alone until backward().
"""

from zlib import crc32

import numpy as np

from .backend import array_module
from .memory import owner


class Changes:
    """How often the memory of a family of views has been written to, as far as we can see."""

    # Values of the class, until one changes: every result has a Changes, and few ever need more.
    count = 0
    needed = handed_out = False                           # whether a graph knows the count, whether the user has the array
    checksum = None                                       # of the memory, once both are true

    def hand_out(self, array):
        """The user is about to get hold of this array."""
        if self.needed:
            self.compare(array)
        self.handed_out = True

    def settle(self, array):
        """The number of writes up to now, those through handed-out arrays counted as well."""
        if self.handed_out:
            self.compare(array)
        return self.count

    def compare(self, array):
        """Count a write if the memory is not what it was when last looked at."""
        before, self.checksum = self.checksum, checksum(array)
        if self.handed_out and before not in (None, self.checksum):
            self.count += 1


def checksum(array):
    if array_module(array) is not np:                     # a GPU's memory is not worth a copy to the host
        return None
    return crc32(np.ascontiguousarray(owner(array)).reshape(-1).view(np.uint8))
