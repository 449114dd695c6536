"""The steps of the optimisers in one reading of memory, for all arrays in one call.

NumPy does a step of the formula at a time, for one array at a time, and writes each result to memory.  Here weight, gradient
and memories are read once, and written once.  All arrays count as one long row of numbers, of which a worker owns a contiguous
share, wherever that begins and ends: a network of one large and many tiny arrays is shared out evenly.

A kernel cannot be given arrays by the dozen, so it gets their addresses: a table with a row for each weight (`Table`).
A weight or a memory without an address to give (an array in another order, a read-only one, numbers of another dtype) is left to
the reference; of a gradient like that a copy is read.  Every rule is a function of slices; `over` makes it a kernel.
"""

from ctypes import addressof, c_char
from math import inf, sqrt
from weakref import ref

import numpy as np
from numba import types
from numba.extending import intrinsic

from .. import update as references
from ..registry import forced
from .elementwise import LEAST
from .jit import inner, shared, solid, threads

COLUMNS = 5                                               # of a table: weight, gradient, three memories
PLANS = 16                                                # groups of parameters whose addresses are kept
LIKE = {dtype: np.zeros(1, dtype) for dtype in (np.dtype("float32"), np.dtype("float64"))}   # tells a kernel the dtype
LINE = 16                                                 # shares begin at multiples of this: a line of cache, if arrays do


@inner
def owned(t, T, starts):
    """Where the share of worker t begins and ends in the long row."""
    total = starts[-1]
    return total * t // T // LINE * LINE, total if t == T - 1 else total * (t + 1) // T // LINE * LINE


@intrinsic
def piece(typing, address, first, count, like):
    """Numbers `first` and following of the array at this address; `like` has its dtype."""
    kind, i = types.Array(like.dtype, 1, "C"), types.int64

    def code(context, builder, signature, values):
        from numba.np.arrayobj import populate_array      # late: it loads much of Numba, which a compiled kernel can do without
        array = context.make_array(kind)(context, builder)
        size = context.get_constant(i, LIKE[np.dtype(kind.dtype.name)].itemsize)
        data = builder.inttoptr(builder.add(values[0], builder.mul(values[1], size)), array.data.type)
        populate_array(array, data, shape=values[2:3], strides=[size], itemsize=size, meminfo=None)
        return array._getvalue()
    return kind(i, i, i, like), code


def over(rule):
    """The kernel that applies rule(w, g, a, b, c, numbers) to every piece: arrays of which it uses what it needs.

    A memory that a rule does not have is at address 0, and must not be looked at; `numbers` has a row for each weight, or one for
    all of them.
    """
    def update(t, T, like, addresses, starts, numbers):
        lo, hi = owned(t, T, starts)
        for i in range(addresses.shape[0]):
            first, last = max(lo, starts[i]) - starts[i], min(hi, starts[i + 1]) - starts[i]
            if first < last:
                at, n = addresses[i], last - first
                rule(piece(at[0], first, n, like), piece(at[1], first, n, like), piece(at[2], first, n, like),
                     piece(at[3], first, n, like), piece(at[4], first, n, like), numbers[i % numbers.shape[0]])

    update.__qualname__ = rule.__name__                   # the name under which it is kept
    return shared(update)


def rule(function):
    """As a decorator: the kernel of a rule, in its place."""
    return over(inner(function))


@inner
def slope(w, g, sign, decay):
    """What kernels/update.py calls d."""
    d = sign * g
    if decay != 0:
        d += decay * w
    return d


@rule
def _sgd(w, g, b, _, __, numbers):
    """numbers: lr, momentum, 1 - dampening, weight decay, sign of the gradient, whether there is b, whether Nesterov's"""
    one = w.dtype.type
    lr, momentum, keep, decay, sign = one(numbers[0]), one(numbers[1]), one(numbers[2]), one(numbers[3]), one(numbers[4])
    if numbers[5] == 0:                                   # a loop for each case: one that chooses would not be vectorised
        for j in range(w.size):
            w[j] -= lr * slope(w[j], g[j], sign, decay)
    elif numbers[6] == 0:
        for j in range(w.size):
            b[j] = momentum * b[j] + keep * slope(w[j], g[j], sign, decay)
            w[j] -= lr * b[j]
    else:
        for j in range(w.size):
            d = slope(w[j], g[j], sign, decay)
            b[j] = momentum * b[j] + keep * d
            w[j] -= lr * (d + momentum * b[j])


@rule
def _adam(w, g, m, v, top, numbers):
    """numbers: beta1, 1 - beta1, beta2, 1 - beta2, eps, decay in the slope, sign, 1 - lr*decay or 1, lr/(1 - beta1^t),
    sqrt(1 - beta2^t), whether AMSGrad's"""
    one = w.dtype.type
    beta1, rest1, beta2, rest2 = one(numbers[0]), one(numbers[1]), one(numbers[2]), one(numbers[3])
    eps, decay, sign, shrink = one(numbers[4]), one(numbers[5]), one(numbers[6]), one(numbers[7])
    rate, root = one(numbers[8]), one(numbers[9])
    if numbers[10] == 0:
        for j in range(w.size):
            x = w[j] * shrink
            d = slope(x, g[j], sign, decay)
            m[j] = beta1 * m[j] + rest1 * d
            v[j] = beta2 * v[j] + d * d * rest2
            w[j] = x - rate * (m[j] / (sqrt(v[j]) / root + eps))
    else:
        for j in range(w.size):
            x = w[j] * shrink
            d = slope(x, g[j], sign, decay)
            m[j] = beta1 * m[j] + rest1 * d
            v[j] = beta2 * v[j] + d * d * rest2
            top[j] = top[j] if top[j] >= v[j] or top[j] != top[j] else v[j]                   # what is not a number stays
            w[j] = x - rate * (m[j] / (sqrt(top[j]) / root + eps))


@rule
def _rmsprop(w, g, v, m, b, numbers):
    """numbers: lr, alpha, 1 - alpha, eps, weight decay, sign, momentum, whether there is m, whether there is b"""
    one = w.dtype.type
    zero, lr, alpha, rest, eps = one(0), one(numbers[0]), one(numbers[1]), one(numbers[2]), one(numbers[3])
    decay, sign, momentum = one(numbers[4]), one(numbers[5]), one(numbers[6])
    centered, moved = numbers[7] != 0, numbers[8] != 0
    for j in range(w.size):
        d = slope(w[j], g[j], sign, decay)
        v[j] = alpha * v[j] + d * d * rest
        square = v[j]
        if centered:
            m[j] = alpha * m[j] + d * rest
            square -= m[j] * m[j]
            square = zero if square < zero else square
        step = d / (sqrt(square) + eps)
        if moved:
            step += momentum * b[j]
            b[j] = step
        w[j] -= lr * step


@rule
def _adagrad(w, g, s, _, __, numbers):
    """numbers: rate, eps, weight decay, sign"""
    one = w.dtype.type
    rate, eps, decay, sign = one(numbers[0]), one(numbers[1]), one(numbers[2]), one(numbers[3])
    for j in range(w.size):
        d = slope(w[j], g[j], sign, decay)
        s[j] += d * d
        w[j] -= rate * (d / (sqrt(s[j]) + eps))


@rule
def _adadelta(w, g, v, u, _, numbers):
    """numbers: lr, rho, 1 - rho, eps, weight decay, sign"""
    one = w.dtype.type
    lr, rho, rest, eps, decay, sign = (one(numbers[0]), one(numbers[1]), one(numbers[2]), one(numbers[3]), one(numbers[4]),
                                       one(numbers[5]))
    for j in range(w.size):
        d = slope(w[j], g[j], sign, decay)
        v[j] = rho * v[j] + d * d * rest
        x = sqrt((u[j] + eps) / (v[j] + eps)) * d          # of sqrt / sqrt fastmath would make an estimate, wrong at infinity
        u[j] = rho * u[j] + x * x * rest
        w[j] -= lr * x


@rule
def _bound(a, _, __, ___, ____, numbers):
    """numbers: factor, limit"""
    one = a.dtype.type
    factor, limit = one(numbers[0]), one(numbers[1])
    for j in range(a.size):
        x = a[j] * factor
        x = limit if x > limit else x
        a[j] = -limit if x < -limit else x


@shared
def _square_sum(t, T, like, addresses, starts, sums):
    """Each worker's sum of squares, in float64."""
    lo, hi = owned(t, T, starts)
    total = 0.0
    for i in range(addresses.shape[0]):
        first, last = max(lo, starts[i]) - starts[i], min(hi, starts[i + 1]) - starts[i]
        if first < last:
            a, part = piece(addresses[i, 0], first, last - first, like), 0.0
            for j in range(a.size):
                part += np.float64(a[j]) * np.float64(a[j])
            total += part
    sums[t] = total


# --- from lists of arrays to tables of addresses

class Table:
    """Arrays of one dtype: a row of addresses for each weight, and the place of the weight in the lists."""

    def __init__(self, dtype, places, rows, sizes):
        self.dtype, self.like, self.places = dtype, LIKE[dtype], places
        self.rows = np.array([row + [0] * (COLUMNS - len(row)) for row in rows])
        self.starts = starts_of(sizes)

    def with_gradients(self, gs, shapes, copies):
        """Places, rows with the addresses of the gradients, and starts, without the weights whose gradient has none.

        copies: keeps the copies that were made, whose addresses the rows have, until the kernel has run.
        """
        found = []
        for place in self.places:
            g = gs[place]
            if type(g) is not np.ndarray or g.shape != shapes[place] or (g.dtype is not self.dtype and g.dtype != self.dtype):
                found.append(0)
                continue
            if not g.flags.carray:                        # it is only read, so a copy will do
                g = solid(g)
                copies.append(g)
            found.append(addressof(c_char.from_buffer(g)))
        rows = self.rows.copy()
        rows[:, 1] = found
        if 0 not in found:
            return self.places, rows, self.starts
        some = [i for i, at in enumerate(found) if at]
        return [self.places[i] for i in some], rows[some], starts_of(np.diff(self.starts)[some])


def starts_of(sizes):
    """Where each array begins in the long row, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


class Plan:
    """What stays from step to step: weights and memories, where they are, and which of them have no address to use."""

    def __init__(self, ws, memories):
        arrays = [a for values in (ws, *memories) for a in values]
        # type(None)() is None, and no array: with one of another kind the plan never holds, and is made anew at every step
        self.known = [(ref(a) if type(a) is np.ndarray else type(None), a.nbytes) for a in arrays if a is not None]
        self.shapes, found = [w.shape for w in ws], {}
        for place, (w, *others) in enumerate(zip(ws, *memories)):
            if w.dtype in LIKE and w.size and all([alike(a, w) for a in (w, *others)]):
                at, *more = [0 if a is None else addressof(c_char.from_buffer(a)) for a in (w, *others)]
                places, rows, sizes = found.setdefault(w.dtype, ([], [], []))
                places.append(place)
                rows.append([at, 0, *more])               # 0: the gradient's, which changes
                sizes.append(w.size)
        self.tables = [Table(dtype, *columns) for dtype, columns in found.items()]

    def holds(self, ws, memories):
        """Whether these are the arrays that it was made for, and as they were."""
        arrays = [a for values in (ws, *memories) for a in values if a is not None]
        return len(arrays) == len(self.known) and all([known() is a and a.nbytes == size and a.flags.carray
                                                       for a, (known, size) in zip(arrays, self.known)])


def alike(a, w):
    """Whether an array that belongs to w has its dtype and shape, and its numbers lie in one row, to be read and written."""
    return a is None or (type(a) is np.ndarray and a.dtype == w.dtype and a.shape == w.shape and a.flags.carray)


plans = {}


def plan(ws, memories):
    """The plan for these arrays: that of the last step, if it still holds."""
    key = id(ws[0]), len(ws), *[values[0] is None for values in memories]
    found = plans.get(key)
    if found is None or not found.holds(ws, memories):
        if len(plans) >= PLANS:
            plans.clear()
        found = plans[key] = Plan(ws, memories)
    return found


def small(arrays):
    """Whether compiling does not pay: gradient checks work with few numbers in float64."""
    return arrays[0].dtype.char == "d" and sum([a.size for a in arrays]) < LEAST and not forced()


def apply(kernel, reference, lists, numbers, options=(), each=None):
    """Run the kernel on all tables, and the reference on the rest.

    lists: ws, gs and the memories, each None where the rule needs none; numbers: what the kernel computes with, a tuple, or a
    list of one for each weight.  The reference gets the lists, what there is for each weight (`each`), and the options.
    """
    ws, gs = lists[:2]
    if small(ws):
        return NotImplemented
    made = plan(ws, [[None] * len(ws) if arrays is None else arrays for arrays in lists[2:]])
    copies, rest = [], set(range(len(ws)))
    for table in made.tables:
        places, rows, starts = table.with_gradients(gs, made.shapes, copies)
        if places:
            chosen = [numbers[i] for i in places] if isinstance(numbers, list) else [numbers]
            kernel(table.like, rows, starts, np.array(chosen, np.float64))
            rest.difference_update(places)
    if rest:
        given = lists if each is None else (*lists, each)
        some = [None if values is None else [values[i] for i in sorted(rest)] for values in given]
        reference(some[0][0], *some, *options)
    return None


# --- the twins of kernels/update.py

def sgd(first, ws, gs, bs, lr, momentum, dampening, decay, nesterov, maximize):
    numbers = lr, momentum, 1 - dampening, decay, -1 if maximize else 1, bs is not None, nesterov
    return apply(_sgd, references.sgd.reference, (ws, gs, bs), numbers, (lr, momentum, dampening, decay, nesterov, maximize))


def adam(first, ws, gs, ms, vs, largest, steps, lr, betas, eps, decay, decoupled, maximize):
    beta1, beta2 = betas
    rows = {t: (beta1, 1 - beta1, beta2, 1 - beta2, eps, 0 if decoupled else decay, -1 if maximize else 1,
                1 - lr * decay if decoupled else 1, lr / (1 - beta1 ** t), (1 - beta2 ** t) ** 0.5, largest is not None)
            for t in set(steps)}
    numbers = [rows[t] for t in steps] if len(rows) > 1 else rows[steps[0]]
    return apply(_adam, references.adam.reference, (ws, gs, ms, vs, largest), numbers,
                 (lr, betas, eps, decay, decoupled, maximize), steps)


def rmsprop(first, ws, gs, vs, ms, bs, lr, alpha, eps, decay, momentum, maximize):
    numbers = lr, alpha, 1 - alpha, eps, decay, -1 if maximize else 1, momentum, ms is not None, bs is not None
    return apply(_rmsprop, references.rmsprop.reference, (ws, gs, vs, ms, bs), numbers, (lr, alpha, eps, decay, momentum, maximize))


def adagrad(first, ws, gs, ss, rates, eps, decay, maximize):
    rows = {rate: (rate, eps, decay, -1 if maximize else 1) for rate in set(rates)}
    numbers = [rows[rate] for rate in rates] if len(rows) > 1 else rows[rates[0]]
    return apply(_adagrad, references.adagrad.reference, (ws, gs, ss), numbers, (eps, decay, maximize), rates)


def adadelta(first, ws, gs, vs, us, lr, rho, eps, decay, maximize):
    numbers = lr, rho, 1 - rho, eps, decay, -1 if maximize else 1
    return apply(_adadelta, references.adadelta.reference, (ws, gs, vs, us), numbers, (lr, rho, eps, decay, maximize))


def square_sum(first, arrays):
    if small(arrays):
        return NotImplemented
    found, total = Plan(arrays, []), 0.0
    for table in found.tables:
        sums = np.zeros(threads.count)
        _square_sum(table.like, table.rows, table.starts, sums, workers=len(sums))
        total += sum(sums.tolist())
    rest = set(range(len(arrays))).difference(*[table.places for table in found.tables])
    return total + references.square_sum.reference(first, [arrays[i] for i in rest])


def bound(first, arrays, factor, limit=inf):
    if small(arrays) or len(set(map(id, arrays))) < len(arrays):          # one array twice: its two turns must not come at once
        return NotImplemented
    rest = set(range(len(arrays)))
    for table in Plan(arrays, []).tables:
        _bound(table.like, table.rows, table.starts, np.array([[factor, limit]], np.float64))
        rest.difference_update(table.places)
    references.bound.reference(first, [arrays[i] for i in rest], factor, limit)
    return None
