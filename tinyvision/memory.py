"""Memory for results that is used again: a step of training needs the same sizes as the one before.

A large array that dies goes back to the operating system, and the next one is made of new pages, each of which the system
has to clear at the first touch: in a step of LeNet that takes longer than the convolutions.  So `empty` keeps the memory of
its arrays when nobody holds these, or a view of them, any more, and lends it to the next array of that size.

    block    a piece of memory, of one of sixteen sizes between two powers of 2
    loan     a weak reference to the array that has a block: Python calls it when the array dies, and the block is free again

At most KEEP bytes lie idle; beyond it those sizes go that were not asked for the longest.
"""

import threading
import weakref
from collections import OrderedDict, deque

import numpy as np

from .backend import is_array

LEAST, MOST = 32 << 10, 64 << 20                          # bytes: small arrays are quick anyway, large ones get pages of 2 MB
KEEP = 256 << 20
ALIGNMENT = 64                                            # bytes of a cache line, and of the longest vector


class Block(np.ndarray):
    """The bytes that are lent.

    Of a type of its own: NumPy lets a view hold the owner of the memory instead of the view that it was made of, but only
    while their types are the same.  So every view of a lent array holds that array, and the loan lasts as long as they do.
    """

    def __new__(cls, size):
        self = super().__new__(cls, size + ALIGNMENT, np.uint8)
        self.capacity, self.start = size, -self.ctypes.data % ALIGNMENT
        return self


class Loan(weakref.ref):
    """Who has a block."""

    __slots__ = ("block",)


class Pool:
    """Blocks that are free, by size, the size asked for last at the end; and those that are lent."""

    def __init__(self):
        self.free, self.idle, self.lock = OrderedDict(), 0, threading.Lock()
        self.loans, self.returned = {}, deque()

    def lend(self, shape, dtype, size):
        """An array in a block of this size."""
        with self.lock:
            self.settle()
            block = self.take(size)
        if block is None:
            block = self.new(size)
        array = np.ndarray(shape, dtype, block, block.start)
        loan = Loan(array, self.take_back)
        loan.block = block
        self.loans[id(loan)] = loan
        return array

    def take(self, size):
        blocks = self.free.setdefault(size, [])
        self.free.move_to_end(size)
        if not blocks:
            return None
        self.idle -= size
        return blocks.pop()

    def new(self, size):
        try:
            return Block(size)
        except MemoryError:
            self.clear()
            return Block(size)

    def take_back(self, loan):
        """The array is gone.  Called by whichever thread held it last, perhaps in the middle of a function of this class."""
        self.returned.append(loan)
        if self.lock.acquire(blocking=False):             # else whoever has the lock comes by later
            try:
                self.settle()
            finally:
                self.lock.release()

    def settle(self):
        """Put what has been given back to the free blocks, and let go of the most outdated where they are too many."""
        while self.returned:
            block = self.loans.pop(id(self.returned[0])).block
            self.returned.popleft()
            self.free.setdefault(block.capacity, []).append(block)
            self.idle += block.capacity
        while self.idle > KEEP:
            size, blocks = self.free.popitem(last=False)
            self.idle -= size * len(blocks)

    def clear(self):
        """Give back what nobody uses."""
        with self.lock:
            self.settle()
            self.free.clear()
            self.idle = 0


pool = Pool()


def empty(shape, dtype):
    """numpy.empty, in memory that may have served before.

    >>> empty((2, 3), np.float32).shape
    (2, 3)
    """
    dtype = np.dtype(dtype)
    needed = dtype.itemsize
    for n in shape:
        needed *= n
    if not LEAST <= needed <= MOST:
        return np.empty(shape, dtype)
    step = 1 << (needed.bit_length() - 5)
    return pool.lend(shape, dtype, -(-needed // step) * step)


def owner(array):
    """The array that owns the memory which `array` may be a view of, or to which it is lent.

    >>> x = empty((100, 100), np.float64)
    >>> owner(x[1:]) is x
    True
    """
    base = array.base
    if base is None or type(base) is Block:
        return array
    return base if is_array(base) else array


def same_memory(x, y):
    """Whether two arrays are the same or views of one owner."""
    return owner(x) is owner(y)


def owned(array):
    """Whether an array is such an owner, and no view."""
    return array.base is None or type(array.base) is Block
