"""Normalisation in two readings of memory per pass, the rectifier and the sum of a residual block included.

The reference reads x for the mean, again for the variance, and writes and reads an array for every step of the formula.
Here a pass first adds up and then writes its result, and each worker goes back over its share from the end, where the
numbers it read last are still in its cache.

One reading gives mean and variance: of x - p, where p is a number near the mean, the sum s and the sum of squares q.  With n
numbers the variance is q/n - (s/n)^2, which loses few digits as long as p is within 4 deviations of the mean: the two are then at
most 17 and 16 times the variance.  As p serves the
mean of the first 16 numbers; a worker that finds it was further away adds up that channel once more, about the mean it found.
Thus the variance is right to 32 times the rounding of the dtype, whatever the data.  Sums run in x's dtype over at most 4096
numbers, and over these pieces in float64; what the workers found about their shares is put together in float64 as well (Chan,
Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115).

All is seen as (N, C, P), averaged over N and P: batch norm as it stands; norms over the last axes (instance, layer, group) as
(1, lines, P), but only where w and b do not change along a line: layer and group norm with weights are the reference's.  An item is
a piece of a line of P, and a worker has a row of items in the order of memory; sums belong to the worker, and results to the owner
of their item.

In the loops a is a piece of x, d of g, e of r, o of the result; m the mean, k = w * rstd, h = b: y = (a - m) * k + h + e. < > is
the mean over N and P.
"""

from functools import lru_cache
from math import prod

import numpy as np

from ...memory import empty
from .elementwise import declined
from .jit import inner, scratch, shared, solid, threads

PIECE = 4096                                              # numbers added up in the dtype of the array
SAMPLE = 16                                               # numbers whose mean is the first guess of the mean
SHORT = 8                                                 # lines below this length are put end to end first
W, B, MEAN, RSTD = range(4)                               # rows of the table of a channel's numbers


@inner
def share(t, T, shape):
    """The first item of worker t, the one after its last, and the number of items in a line."""
    pieces = (shape[2] + PIECE - 1) // PIECE
    items = shape[0] * shape[1] * pieces
    return items * t // T, items * (t + 1) // T, pieces


@inner
def place(i, pieces, shape):
    """Item i: n, c, and where its numbers begin and end in the line."""
    row, start = i // pieces, i % pieces * PIECE
    return row // shape[1], row % shape[1], start, min(start + PIECE, shape[2])


@inner
def guess(a):
    """The mean of the first few numbers; 0 if that is no number to subtract."""
    few, p = min(SAMPLE, a.size), 0.0
    for j in range(few):
        p += a[j] / few
    return p if abs(p) < 1e300 else 0.0


@shared
def _moments(t, T, x, all_sums):
    """Per channel, sums[4*c :] = count, p, sum of x - p, sum of its squares; a second time where p was far off.

    p is NaN until the first item, which gives the guess.  A count below 0 says that attempt 0 was right, so that attempt 1 leaves
    the channel alone; its magnitude counts (_statistics).
    """
    sums, C, zero, far = all_sums[t], x.shape[1], x.dtype.type(0), 0
    first, last, pieces = share(t, T, x.shape)
    for attempt in range(2):
        for c in range(C):
            row = sums[4 * c:4 * c + 4]                   # at first whatever the memory holds: attempt 0 makes no use of it
            off = row[2] / max(row[0], 1.0)               # the mean of x - p
            if attempt == 0 or off * off > 16 * (row[3] / max(row[0], 1.0) - off * off):
                row[1] = np.nan if attempt == 0 else x.dtype.type(row[1] + off)
                row[0] = row[2] = row[3] = 0.0
                far += attempt                            # channels to do again: none yet at attempt 0
            else:
                row[0] = -row[0]                          # the sign says: this channel is right, not again
        if attempt == 1 and far == 0:
            break
        for i in range(first, last):
            n, c, start, stop = place(i, pieces, x.shape)
            a, row, s, q = x[n, c, start:stop], sums[4 * c:4 * c + 4], zero, zero
            if row[0] < 0:
                continue
            if row[1] != row[1]:
                row[1] = x.dtype.type(guess(a))
            p = x.dtype.type(row[1])
            for j in range(a.size):
                v = a[j] - p
                s += v
                q += v * v
            row[0] += a.size
            row[2] += s
            row[3] += q


@shared
def _statistics(t, T, sums, eps, table, var):
    """Mean, variance and 1/sigma of every channel from the sums of all workers."""
    for c in range(t, var.size, T):
        count, mean, squares = 0.0, 0.0, 0.0
        for u in range(T):
            n = abs(sums[u, 4 * c])
            if n > 0:                                     # else this worker met nothing of the channel, and p is not set
                count += n
                mean += n * sums[u, 4 * c + 1] + sums[u, 4 * c + 2]
        mean /= count
        for u in range(T):
            n, p, s, q = abs(sums[u, 4 * c]), sums[u, 4 * c + 1], sums[u, 4 * c + 2], sums[u, 4 * c + 3]
            if n > 0:
                own, step = q - s * s / n, p + s / n - mean
                squares += (0.0 if own < 0 else own) + n * step * step
        var[c] = squares / count
        table[MEAN, c], table[RSTD, c] = mean, 1 / np.sqrt(var[c] + eps)


@shared
def _write(t, T, x, r, y, table, low, add):
    """y = w * (x - mean) * rstd + b, plus r if `add`, and at least `low`; from the last item on."""
    first, last, pieces = share(t, T, x.shape)
    for i in range(last - 1, first - 1, -1):
        n, c, start, stop = place(i, pieces, x.shape)
        a, o, m, k, h = x[n, c, start:stop], y[n, c, start:stop], table[MEAN, c], table[RSTD, c] * table[W, c], table[B, c]
        if add:
            e = r[n, c, start:stop]
            for j in range(a.size):
                v = (a[j] - m) * k + h + e[j]
                o[j] = low if v <= low else v             # what is not a number stays so
        else:
            for j in range(a.size):
                v = (a[j] - m) * k + h
                o[j] = low if v <= low else v


@shared
def _grad_sums(t, T, g, x, r, gr, table, shut, add, all_sums):
    """Per channel: the sums of g and of g * (x - mean), where g is multiplied by `shut` unless y > 0; if `add`, it goes to gr."""
    zero, one, sums = x.dtype.type(0), x.dtype.type(1), all_sums[t]
    for i in range(2 * x.shape[1]):
        sums[i] = 0.0
    first, last, pieces = share(t, T, x.shape)
    for i in range(first, last):
        n, c, start, stop = place(i, pieces, x.shape)
        a, d, s, q = x[n, c, start:stop], g[n, c, start:stop], zero, zero
        m, k, h = table[MEAN, c], table[RSTD, c] * table[W, c], table[B, c]
        if add:
            e, o = r[n, c, start:stop], gr[n, c, start:stop]
            for j in range(a.size):
                v = d[j] * (one if (a[j] - m) * k + h + e[j] > 0 else shut)
                o[j] = v
                s += v
                q += v * (a[j] - m)
        else:
            for j in range(a.size):
                v = d[j] * (one if (a[j] - m) * k + h > 0 else shut)
                s += v
                q += v * (a[j] - m)
        sums[2 * c] += s
        sums[2 * c + 1] += q


@shared
def _grad_write(t, T, g, x, gx, table, grads, shut):
    """gx = w * rstd * (g - <g> - xhat * <g * xhat>), from the last item on; g is multiplied by `shut` unless y > 0."""
    first, last, pieces = share(t, T, x.shape)
    one, number = x.dtype.type(1), x.shape[0] * x.shape[2]
    for i in range(last - 1, first - 1, -1):
        n, c, start, stop = place(i, pieces, x.shape)
        a, d, o = x[n, c, start:stop], g[n, c, start:stop], gx[n, c, start:stop]
        m, k, h = table[MEAN, c], table[RSTD, c] * table[W, c], table[B, c]
        slope = x.dtype.type(-k * table[RSTD, c] * table[RSTD, c] * grads[c, 1] / number)
        shift = x.dtype.type(-k * grads[c, 0] / number)
        for j in range(a.size):
            v = d[j] * (one if (a[j] - m) * k + h > 0 else shut)
            o[j] = k * v + slope * (a[j] - m) + shift


class View:
    """An array of this shape seen as (N, C, P), with w and b as (C,); what cannot be seen so has fits = False."""

    def __init__(self, shape, axes, *parameters):
        lines = len(shape) - len(axes)
        self.shape, self.stats = shape, tuple([1 if axis in axes else n for axis, n in enumerate(shape)])
        self.channels = len(shape) == 3 and axes == (0, 2)
        self.seen = shape if self.channels else (1, prod(shape[:lines]), prod(shape[lines:]))     # lines of the last axes
        self.turned = self.channels and shape[2] < SHORT and shape[0] > 1
        self.fits = self.channels or axes == tuple(range(lines, len(shape)))
        self.fits = self.fits and all(p is None or all(p[axis] == 1 for axis in axes) for p in parameters)

    def array(self, x):
        x = x.reshape(self.seen)
        return solid(x.swapaxes(0, 1).reshape(1, self.seen[1], -1) if self.turned else x)

    def back(self, y):
        """An array of the shape that was seen."""
        if self.turned:
            N, C, P = self.seen
            y = np.ascontiguousarray(y.reshape(C, N, P).swapaxes(0, 1))
        return y.reshape(self.shape)

    def table(self, dtype, *rows):
        """One row for each of w, b, mean and rstd, as far as they are given; a number stands for all channels."""
        table = np.empty((4, self.seen[1]), dtype)
        for row, p in zip(table, rows):
            if not isinstance(p, int):
                p = (p if p.size == row.size else np.broadcast_to(p, self.stats)).reshape(-1)
            row[...] = p
        return table

    def gradient(self, sums, p):
        """The gradient of w or b from those of the view's channels."""
        if p is None:
            return None
        if p.size != sums.size:
            sums = sums.reshape(self.stats).sum(axis=tuple([a for a, n in enumerate(p.shape) if n == 1]))
        return sums.astype(p.dtype).reshape(p.shape)


@lru_cache(512)
def view_of(shape, axes, w, b):
    return View(shape, axes, w, b)


def viewed(x, w, b, axes, relu, r):
    """The view under which the kernels take x; None for what they decline."""
    if declined(x) or (r is not None and not relu):
        return None
    view = view_of(x.shape, axes, None if w is None else w.shape, None if b is None else b.shape)
    return view if view.fits else None


def normalize(x, w, b, axes, eps, relu=False, r=None):
    view = viewed(x, w, b, axes, relu, r)
    if view is None:
        return NotImplemented
    a, C, stats, T = view.array(x), view.seen[1], view.stats, threads.count
    y, var, table = empty(a.shape, a.dtype), np.empty(C), view.table(x.dtype, 1 if w is None else w, 0 if b is None else b)
    sums = scratch("sums", T, 4 * C, np.float64)
    _moments(a, sums, workers=T)
    _statistics(sums, float(eps), table, var, workers=T)
    _write(a, a if r is None else view.array(r), y, table, x.dtype.type(0 if relu else -np.inf), r is not None, workers=T)
    return view.back(y), table[MEAN].reshape(stats), var.reshape(stats), table[RSTD].reshape(stats)


def normalize_grad(g, x, w, b, mean, rstd, axes, relu=False, r=None):
    view = viewed(x, w, b, axes, relu, r)
    if view is None or g.dtype != x.dtype:
        return NotImplemented
    a, d, T, C, shut = view.array(x), view.array(g), threads.count, view.seen[1], x.dtype.type(0 if relu else 1)
    gx, table = empty(a.shape, a.dtype), view.table(x.dtype, 1 if w is None else w, 0 if b is None else b, mean, rstd)
    sums = scratch("sums", T, 4 * C, np.float64)
    if r is None:
        _grad_sums(d, a, a, gx, table, shut, False, sums, workers=T)      # r and gr, a and gx here, are not looked at
    else:
        passed = empty(a.shape, a.dtype)                  # what the rectifier lets through
        _grad_sums(d, a, view.array(r), passed, table, shut, True, sums, workers=T)
        d, shut = passed, x.dtype.type(1)
    grads = sums[:T, :2 * C].sum(axis=0).reshape(C, 2)                    # that of b, and that of w divided by rstd
    _grad_write(d, a, gx, table, grads, shut)
    gs = view.back(gx), view.gradient(grads[:, 1] * table[RSTD], w), view.gradient(grads[:, 0], b)
    return gs if r is None else (*gs, view.back(d))
