"""Memory for results that is used again: a step of training needs the same sizes as the one before.

A large array that dies goes back to the operating system, and the next one is made of new pages, each of which the system
has to clear at the first touch: in a step of LeNet that takes longer than the convolutions.  So `empty` keeps the memory of
its arrays when nobody holds these, or a view of them, any more, and lends it to the next array of that size.

    block    a piece of memory; what an array does not need of it is cut off, and is a block of its own until both are free
    loan     a weak reference to the array that has a block: Python calls it when the array dies, and the block is free again

An array gets the smallest free block that is large enough, if it is not more than twice as large: the next level of a U-Net has
half the numbers, and without the cut a fifth of its memory would lie idle.  Sizes are rounded up to one of sixteen between two
powers of 2, so that blocks fit again.  At most KEEP bytes lie idle; beyond it those go that were not used for the longest.

Source: Knuth 1997, The Art of Computer Programming, volume 1, section 2.5 (best fit, boundary tags).
"""

import threading
import weakref
from bisect import bisect_left
from collections import deque
from itertools import count
from operator import attrgetter

import numpy as np

from .backend import is_array

LEAST, MOST = 32 << 10, 64 << 20                          # bytes: small arrays are quick anyway, large ones get pages of 2 MB
KEEP = 256 << 20
ALIGNMENT = 64                                            # bytes of a cache line, and of the longest vector


class Memory(np.ndarray):
    """The bytes that are lent.

    Of a type of its own: NumPy lets a view hold the owner of the memory instead of the view that it was made of, but only
    while their types are the same.  So every view of a lent array holds that array, and the loan lasts as long as they do.
    """

    def __new__(cls, size):
        return super().__new__(cls, size + ALIGNMENT, np.uint8)


class Block:
    """`size` bytes of a memory, from `start` on; before and after it lie the other blocks that this memory was cut into."""

    before = after = None
    free, since = False, 0                                # whether it lies idle; since when, in blocks that have come back

    def __init__(self, memory, start, size):
        self.memory, self.start, self.size = memory, start, size

    def cut(self, size):
        """Keep `size` bytes; returns the rest as a block."""
        rest = Block(self.memory, self.start + size, self.size - size)
        self.size, rest.before, rest.after, self.after = size, self, self.after, rest
        if rest.after is not None:
            rest.after.before = rest
        return rest

    def join(self):
        """Take up the block after this one."""
        rest = self.after
        self.size, self.after = self.size + rest.size, rest.after
        if rest.after is not None:
            rest.after.before = self
        rest.before = rest.after = None


class Loan(weakref.ref):
    """Who has a block."""

    __slots__ = ("block",)


class Pool:
    """Blocks that are free, by size; and those that are lent."""

    def __init__(self):
        self.sizes, self.free = [], []                    # the free blocks, in the order of their sizes
        self.idle, self.lock = 0, threading.Lock()
        self.loans, self.returned, self.ticks = {}, deque(), count()

    def lend(self, shape, dtype, size):
        """An array in a block of this size."""
        with self.lock:
            self.settle()
            block = self.take(size)
        if block is None:
            block = self.new(size)
        array = np.ndarray(shape, dtype, block.memory, block.start)
        loan = Loan(array, self.take_back)
        loan.block = block
        self.loans[id(loan)] = loan
        return array

    def take(self, size):
        """The free block that fits best; None where none does."""
        k = bisect_left(self.sizes, size)
        if k == len(self.sizes) or self.sizes[k] > 2 * size:
            return None
        block = self.out(k)
        if block.size - size >= LEAST:
            self.put(block.cut(size))
        return block

    def out(self, k):
        """The k-th of the free blocks, which is not free from now on."""
        block = self.free.pop(k)
        self.idle -= self.sizes.pop(k)
        block.free = False
        return block

    def put(self, block):
        """Note a block as free, together with those before and after it that are."""
        if block.after is not None and block.after.free:
            self.out(self.place(block.after))
            block.join()
        if block.before is not None and block.before.free:
            block = self.out(self.place(block.before))
            block.join()
        block.free, block.since = True, next(self.ticks)
        k = bisect_left(self.sizes, block.size)
        self.free.insert(k, block)
        self.sizes.insert(k, block.size)
        self.idle += block.size

    def place(self, block):
        """Where a block stands among the free ones."""
        return self.free.index(block, bisect_left(self.sizes, block.size))

    def new(self, size):
        try:
            memory = Memory(size)
        except MemoryError:
            self.clear()
            memory = Memory(size)
        return Block(memory, -memory.ctypes.data % ALIGNMENT, size)

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
            self.put(self.loans.pop(id(self.returned[0])).block)
            self.returned.popleft()
        if self.idle > KEEP:
            self.let_go(KEEP)

    def let_go(self, most):
        """Give memory back to the system, what lies idle the longest first, until at most so many bytes do; none in parts."""
        whole = [block for block in self.free if block.before is block.after is None]
        for block in sorted(whole, key=attrgetter("since")):
            if self.idle > most:
                self.out(self.place(block))

    def clear(self):
        """Give back what nobody uses."""
        with self.lock:
            self.settle()
            self.let_go(0)


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
    if base is None or type(base) is Memory:
        return array
    return base if is_array(base) else array


def same_memory(x, y):
    """Whether two arrays are the same or views of one owner."""
    return owner(x) is owner(y)


def owned(array):
    """Whether an array is such an owner, and no view."""
    return array.base is None or type(array.base) is Memory
