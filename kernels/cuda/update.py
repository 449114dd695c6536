"""Launching kernels/update.cu: lists of arrays as tables of addresses, which go to the kernels by value.

What stays from step to step, weights and memories, has its addresses looked up once (`Plan`); those of the gradients, which are
new arrays in every step, are filled in before each launch.  A launch has one row of numbers; weights that count other steps
than the rest, or of another dtype, have a launch of their own.  What has no address to give (an array in another order or of
another dtype than its weight) is left to the reference.

A step may be recorded, as a CUDA graph, and repeated without the host: then all arguments are frozen, and the numbers that
change from step to step (lr, the corrections that depend on the count) are read from the device instead:

    numbers = NumbersOnDevice(w)                          # before recording: it makes its array
    with numbers.recorded():
        optimizer.step()                                  # while the stream records: launches find their numbers in that array
    numbers.write()
    graph.launch()                                        # the first step

    with numbers.renewed():
        optimizer.step()                                  # counts the step, launches nothing but a small kernel that writes them
    graph.launch()                                        # the next step

That kernel has the numbers in its arguments, which the driver copies when it is launched.  So it needs no pinned memory that
must not be overwritten too early, nobody waits, and it comes after the last step of the graph and before the next.
"""

import contextlib
import threading
from functools import lru_cache
from math import inf
from weakref import ref

import numpy as np

from tinyvision.backend import array_module, is_array

from .. import update as floor
from . import module
from .module import address, solid

THREADS = 256
ROW, STORED = 10, 480                                     # numbers of a launch; those that `store` takes at a time
BYTES = 4096                                              # of arguments that a kernel may have
PLANS = 32                                                # lists of arrays whose addresses are kept
TYPES = {"f": np.dtype("f4"), "d": np.dtype("f8")}
NUMBERS, STORE = np.dtype([("elsewhere", "u8"), ("v", "f8", ROW)]), np.dtype([("v", "f8", STORED)])


@lru_cache(maxsize=None)
def group_type(columns):
    """The record `Group` of the source, and how many arrays it has place for."""
    most = (BYTES - NUMBERS.itemsize - 64) // (8 * columns + 12)
    fields = [("at", "u8", (columns, most)), ("size", "i8", most), ("first", "i4", most + 1), ("count", "i4"), ("chunk", "i4")]
    return np.dtype(fields, align=True), most


def constants_of(dtype, columns):
    return dict(TYPE=dtype, FACTOR_TYPE=dtype, COLUMNS=columns, MOST=group_type(columns)[1], ROW=ROW, THREADS=THREADS)


class Launch:
    """The record of some weights, and which of a table's rows they are."""

    def __init__(self, dtype, rows, sizes, part, chunk):
        count = len(rows)
        self.group = record = np.zeros(1, group_type(len(rows[0]))[0])[0]
        self.part = part
        record["at"][:, :count] = np.array(rows, np.uint64).T
        record["size"][:count] = sizes
        record["first"][1:count + 1] = np.cumsum([module.blocks(size, chunk) for size in sizes])
        record["count"], record["chunk"] = count, chunk
        self.gradients = record["at"][1, :count] if len(rows[0]) > 1 else None
        self.blocks = int(record["first"][count])
        self.constants, self.found = constants_of(dtype, len(rows[0])), {}

    def run(self, name, *args, factor=None):
        """Launch a kernel, which is looked up once; factor: the dtype of bound's, if it is an array."""
        function = self.found.get((name, factor))
        if function is None:
            constants = self.constants if factor is None else dict(self.constants, FACTOR_TYPE=factor)
            function = self.found[name, factor] = module.function("update", name, **constants)
        function((self.blocks,), (THREADS,), (self.group, *args))


class Table:
    """Arrays of one dtype: a row of addresses for each weight, and its place in the lists."""

    def __init__(self, dtype):
        self.dtype, self.places, self.rows, self.sizes, self.parts = dtype, [], [], [], {}

    def launches(self, some=None):
        """The launches for these of its rows, for all if None."""
        found = self.parts.get(some)
        if found is None:
            if len(self.parts) >= PLANS:
                self.parts.clear()
            found = self.parts[some] = self.divided(range(len(self.rows)) if some is None else some)
        return found

    def divided(self, some):
        rows, sizes = [self.rows[i] for i in some], [self.sizes[i] for i in some]
        most, step = group_type(len(rows[0]))[1], THREADS * 16 // self.dtype.itemsize
        rounds = min(8, max(1, sum(sizes) // (8 * module.multiprocessors() * step)))      # about 8 blocks for each processor
        return [Launch(self.dtype, rows[i:i + most], sizes[i:i + most], some[i:i + most], rounds * step)
                for i in range(0, len(rows), most)]


class Plan:
    """Weights and memories, where they are, and which of them the reference must do; spare: the gradients' places in a row."""

    def __init__(self, ws, memories, spare):
        self.known = [ref(a) for values in (ws, *memories) if values is not None for a in values]
        self.shapes, self.left, tables = [w.shape for w in ws], [], {}
        for place, row in enumerate(zip(ws, *[[None] * len(ws) if values is None else values for values in memories])):
            w = row[0]
            if w.dtype.char not in TYPES or not all([fits(a, w) for a in row]):
                self.left.append(place)
            elif w.size:                                  # of an empty one there is nothing to do
                table = tables.setdefault(w.dtype.char, Table(TYPES[w.dtype.char]))
                table.places.append(place)
                table.sizes.append(w.size)
                table.rows.append([address(w), *spare, *map(address, row[1:])])
        self.tables = list(tables.values())

    def holds(self, ws, memories):
        """Whether these are the arrays that it was made for."""
        arrays = [a for values in (ws, *memories) if values is not None for a in values]
        return len(arrays) == len(self.known) and all([known() is a for a, known in zip(arrays, self.known)])


def fits(a, w):
    """Whether an array that belongs to w has its dtype and shape, and lies in one piece."""
    return a is None or (a.dtype == w.dtype and a.shape == w.shape and a.flags.c_contiguous)


plans = {}


def plan(ws, *memories):
    """The plan for these weights and memories: that of the last step, if it still holds."""
    while memories and memories[-1] is None:
        memories = memories[:-1]
    return kept((id(ws[0]), len(ws), *[values is None for values in memories]), ws, memories, [0])


def plan_of_one(arrays):
    """The plan for arrays without anything; clipping asks for one twice in a step, and then the arrays are gone."""
    return kept("one", arrays, (), [])


def kept(key, ws, memories, spare):
    found = plans.get(key)
    if found is None or not found.holds(ws, memories):
        if len(plans) >= PLANS:
            plans.clear()
        found = plans[key] = Plan(ws, memories, spare)
    return found


def where(gs, table, shapes, copies):
    """The addresses of the gradients of a table; 0 for one that is of another kind than its weight."""
    found = []
    for place in table.places:
        g = gs[place]
        if g.dtype != table.dtype or g.shape != shapes[place]:
            found.append(0)
            continue
        if not g.flags.c_contiguous:                      # it is only read, so a copy will do
            g = solid(g)
            copies.append(g)
        found.append(address(g))
    return found


def apply(name, lists, numbers, options, counts=None):
    """Launch a rule on all that has an address, and run the reference on the rest.

    lists: ws, gs and the memories, each None where the rule needs none; numbers: what the kernel computes with, a tuple, or a
    list of one for each weight.  The reference gets the lists, counts if there are any, and the options.
    """
    ws, gs = lists[:2]
    made = plan(ws, *lists[2:])
    copies, rest = [], list(made.left)
    for table in made.tables:
        found = where(gs, table, made.shapes, copies)
        if 0 in found:
            rest += [place for place, at in zip(table.places, found) if not at]
        for some, row in shares(table, found, numbers):
            for launch in table.launches(some):
                launch.gradients[:] = [found[i] for i in launch.part]
                run(name, launch, row)
    if rest:
        if state.ledger is not None:
            w = ws[rest[0]]
            raise RuntimeError(f"{name}: weight {rest[0]}, {w.shape} of {w.dtype}, is updated by CuPy's functions, whose numbers "
                               "would be frozen in a recorded step. Weight, gradient and memories must be float32 or float64 "
                               "alike, and contiguous.")
        given = lists if counts is None else (*lists, counts)
        some = [None if values is None else [values[i] for i in sorted(rest)] for values in given]
        getattr(floor, name).reference(some[0][0], *some, *options)


def shares(table, found, numbers):
    """The rows of a table that share their numbers: pairs of their places, None for all, and the numbers."""
    if not isinstance(numbers, list) and 0 not in found:
        return [(None, numbers)]
    parts = {}
    for i, at in enumerate(found):
        if at:
            parts.setdefault(numbers[table.places[i]] if isinstance(numbers, list) else numbers, []).append(i)
    return [(tuple(some), row) for row, some in parts.items()]


def by_value(row):
    record = np.zeros(1, NUMBERS)
    record["v"][0, :len(row)] = row
    return record


def run(name, launch, row):
    record = by_value(row) if state.ledger is None else state.ledger.take(name, launch, row)
    if record is not None:
        launch.run(name, record)


# --- steps that are recorded and repeated

class State(threading.local):
    """Each thread records steps of its own."""

    ledger = None                                         # the NumbersOnDevice that is in use


state = State()


class NumbersOnDevice:
    """The numbers of a recorded step, in an array of the device: how it is used stands at the top.

    w: an array on the device; rows: launches of the step, at most.
    Raises RuntimeError where a step is not the one that was recorded: other weights, other memories, more or fewer of them.
    """

    def __init__(self, w, rows=64):
        self.array = array_module(w).zeros((rows, ROW))
        self.keys, self.rows, self.renewing = [], [], False                     # launches as recorded; numbers of this step

    @contextlib.contextmanager
    def recorded(self):
        """Within the block, launches read their numbers from the device."""
        yield from self.open(renewing=False)

    @contextlib.contextmanager
    def renewed(self):
        """Within the block, the same calls launch nothing; at its end the device gets their numbers."""
        yield from self.open(renewing=True)
        if len(self.rows) != len(self.keys):
            raise RuntimeError(f"NumbersOnDevice: the recorded step has {len(self.keys)} launches, this one {len(self.rows)}. "
                               "Record it again.")
        self.write()

    def open(self, renewing):
        if state.ledger is not None:
            raise RuntimeError("NumbersOnDevice: a step is being recorded already. Leave its block first.")
        state.ledger, self.rows, self.renewing = self, [], renewing
        self.keys = self.keys if renewing else []
        try:
            yield self
        finally:
            state.ledger = None

    def take(self, name, launch, row):
        """The place of a launch's numbers, as the kernel wants it; None where nothing is to be launched."""
        group, i = launch.group, len(self.rows)
        at = group["at"][[c for c in range(len(group["at"])) if c != 1]].tobytes()
        if i == len(self.array):
            raise RuntimeError(f"NumbersOnDevice: has rows for {i} launches, and the step has more. Make it with more rows.")
        if self.renewing and self.keys[i:i + 1] != [(name, at)]:
            raise RuntimeError(f"NumbersOnDevice: launch {i}, {name}, is of other arrays than when the step was recorded. "
                               "Record it again.")
        self.rows.append(row)
        if self.renewing:
            return None
        self.keys.append((name, at))
        record = np.zeros(1, NUMBERS)[0]
        record["elsewhere"] = address(self.array[i])
        return record

    def write(self):
        """Bring the numbers to the device; nobody waits for it."""
        values = np.zeros((len(self.rows), ROW))
        for i, row in enumerate(self.rows):
            values[i, :len(row)] = row
        store = module.function("update", "store", **constants_of(TYPES["f"], 1))
        for start in range(0, values.size, STORED):
            part = values.reshape(-1)[start:start + STORED]
            given = np.zeros(1, STORE)[0]
            given["v"][:part.size] = part
            store((1,), (THREADS,), (given, self.array.reshape(-1)[start:start + part.size], np.int32(part.size)))


# --- the twins of kernels/update.py

def sgd(first, ws, gs, bs, lr, momentum, dampening, decay, nesterov, maximize):
    numbers = lr, momentum, 1 - dampening, decay, -1 if maximize else 1, nesterov
    apply("sgd", (ws, gs, bs), numbers, (lr, momentum, dampening, decay, nesterov, maximize))


def adam(first, ws, gs, ms, vs, largest, steps, lr, betas, eps, decay, decoupled, maximize):
    beta1, beta2 = betas
    rows = {t: (beta1, 1 - beta1, beta2, 1 - beta2, eps, 0 if decoupled else decay, -1 if maximize else 1,
                1 - lr * decay if decoupled else 1, lr / (1 - beta1 ** t), (1 - beta2 ** t) ** 0.5) for t in set(steps)}
    numbers = [rows[t] for t in steps] if len(rows) > 1 else rows[steps[0]]
    apply("adam", (ws, gs, ms, vs, largest), numbers, (lr, betas, eps, decay, decoupled, maximize), steps)


def rmsprop(first, ws, gs, vs, ms, bs, lr, alpha, eps, decay, momentum, maximize):
    numbers = lr, alpha, 1 - alpha, eps, decay, -1 if maximize else 1, momentum
    apply("rmsprop", (ws, gs, vs, ms, bs), numbers, (lr, alpha, eps, decay, momentum, maximize))


def adagrad(first, ws, gs, ss, rates, eps, decay, maximize):
    rows = {rate: (rate, eps, decay, -1 if maximize else 1) for rate in set(rates)}
    numbers = [rows[rate] for rate in rates] if len(rows) > 1 else rows[rates[0]]
    apply("adagrad", (ws, gs, ss), numbers, (eps, decay, maximize), rates)


def adadelta(first, ws, gs, vs, us, lr, rho, eps, decay, maximize):
    numbers = lr, rho, 1 - rho, eps, decay, -1 if maximize else 1
    apply("adadelta", (ws, gs, vs, us), numbers, (lr, rho, eps, decay, maximize))


def square_sum(first, arrays):
    if not arrays:
        return NotImplemented
    made, xp = plan_of_one(arrays), array_module(first)
    launches = [launch for table in made.tables for launch in table.launches()]
    left = floor.square_sum.reference(first, [arrays[i] for i in made.left])
    if not launches:
        return left + xp.zeros(())
    parts, total, start = xp.empty(sum(launch.blocks for launch in launches)), xp.empty(()), 0
    for launch in launches:
        launch.run("square_parts", parts[start:start + launch.blocks])
        start += launch.blocks
    module.function("update", "sum_of_parts", **launch.constants)((1,), (THREADS,), (parts, total, np.int32(start)))
    return left + total if made.left else total


def bound(first, arrays, factor, limit=inf):
    if len(set(map(address, arrays))) < len(arrays):      # one array twice: its two turns must not come at once
        return NotImplemented
    kind, given, row = (factor.dtype, factor, (1, limit)) if is_array(factor) else (None, module.NULL, (factor, limit))
    made = plan_of_one(arrays)
    for table in made.tables:
        for launch in table.launches():
            launch.run("bound", by_value(row), given, factor=kind)
    floor.bound.reference(first, [arrays[i] for i in made.left], factor, limit)
