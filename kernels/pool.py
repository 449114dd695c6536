"""Pooling: the largest pixel of every window and where it was, moves by index, and the sum over every window.

Contract, for images x (N, C, *S) and *O window positions; an index counts the pixels of one plane row by row, from 0, a tap
those of one window:

    window_max     x -> y, tap (N, C, *O)     the maximum of each window and its tap: the first of equal ones, the last NaN if any
    tap_index      tap -> index (N, C, *O)    the tap of each window as an index of the image
    scatter_taps   g -> x (N, C, *S)          scatter_add by tap_index; what belongs to no tap of the window goes nowhere
    window_max_relu  as window_max, but y = relu(maximum); unless that is above 0 the tap is prod(window.size) more: of no pixel
    gather         x -> y (N, C, *O)          y[n, c, o] = x[n, c, index[n, c, o]]
    scatter_add    g -> x (N, C, *S)          its adjoint: x[n, c, p] = sum of g[n, c, o] over the o whose index is p
    scatter        u -> x (N, C, *S)          x[n, c, index[n, c, o]] = u[n, c, o], the last o where an index repeats; else 0
    window_sum     x -> y (N, C, *O)          y[n, c, o] = sum of x over the window; outside the image x counts as 0
    window_spread  g -> x (N, C, *S)          its adjoint: every pixel gets the sum of g over the windows it lies in
    adaptive_sum   x -> y (N, C, *O)          window_sum for the windows of `spans`; its adjoint is adaptive_sum itself

A tap is a small number, mostly one byte, where an index takes eight: between the two passes of a maximum taps are kept.
Taps and indices agree bit for bit between implementations; sums to a rounding error of the number of their terms.
"""

from functools import lru_cache, reduce
from math import prod

import numpy as np

from tinyvision.backend import array_module, constant

from .elementwise import rectify
from .im2col import col2im, frame
from .registry import kernel


def pixel_pitch(sizes):
    """How far one step along each axis moves the index of a pixel."""
    return tuple(int(np.prod(sizes[a + 1:])) for a in range(len(sizes)))


def first_taps(window, out):
    """Per axis, for each position: the first tap of the window that does not lie in the padding before the image."""
    axes = zip(out, window.stride, window.padding, window.dilation)
    return [-(-np.maximum(lo - s * np.arange(o), 0) // d) for o, s, (lo, _), d in axes]


@lru_cache(512)
def meets_image(window, sizes, out):
    """Whether every window has a tap inside the image: a dilated one can step from the padding over a small image."""
    axes = zip(first_taps(window, out), out, window.stride, window.padding, window.dilation, sizes)
    return all((s * np.arange(o) - lo + d * first < h).all() for first, o, s, (lo, _), d, h in axes)


def outer(ufunc, parts):
    """One array per axis combined to an array over all axes: outer(np.add, [a, b])[i, j] = a[i] + b[j]."""
    return reduce(ufunc.outer, parts)


@kernel
def window_max(x, window, out):
    """The maximum of every window that `meets_image`, by a walk over the taps: in each step all windows compare one pixel
    with their best so far.  The padding is the smallest number there is, so it never wins.
    """
    xp = array_module(x)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    xpad = frame(x, window, out, lowest)
    taps = list(window.taps(out))
    number = np.min_scalar_type(len(taps))                                # the smallest integers that count the taps
    first = outer(np.add, [f * p for f, p in zip(first_taps(window, out), pixel_pitch(window.size))])
    best = xp.full(x.shape[:2] + out, lowest, x.dtype)
    winner = xp.broadcast_to(constant(x, first.astype(number)), best.shape)           # to stay where every pixel is the lowest
    for t, (_, where) in enumerate(taps):
        v = xp.ascontiguousarray(xpad[(..., *where)])
        better = (v > best) | (v != v)
        # t grows, so the largest t that was better is the last: a maximum is several times faster than a choice
        winner = xp.maximum(winner, better * number.type(t))
        xp.maximum(best, v, out=best)
    # not `best`: of 0.0 and -0.0, which are equal, it may have taken the other
    return gather(x, tap_index(winner, window, x.shape[2:])), winner


@kernel
def window_max_relu(x, window, out):
    (y, tap), taps = window_max(x, window, out), prod(window.size)
    number = np.min_scalar_type(2 * taps)
    return rectify(y), array_module(x).where(y > 0, tap, tap + number.type(taps)).astype(number)


@lru_cache(512)
def in_fours(window, sizes, out):
    """Whether these are windows of 2x2 side by side, all inside the picture."""
    return (window.size == window.stride == (2, 2) and window.dilation == (1, 1) and all(lo == 0 for lo, _ in window.padding)
            and all(2 * o <= h for o, h in zip(out, sizes)))


def tap_index(tap, window, sizes):
    """The pixel of an image of these sizes under a tap of each window."""
    pitch = pixel_pitch(sizes)
    axes = zip(tap.shape[2:], window.stride, window.padding, pitch)
    corner = outer(np.add, [(s * np.arange(o) - lo) * p for o, s, (lo, _), p in axes])
    return constant(tap, corner) + constant(tap, tap_steps(window, sizes))[tap]


def tap_steps(window, sizes):
    """How far each tap of a window is from its first, in pixels of an image of these sizes, counted row by row."""
    axes = zip(window.size, window.dilation, pixel_pitch(sizes))
    return outer(np.add, [np.arange(k) * d * p for k, d, p in axes]).reshape(-1)


@kernel
def scatter_taps(g, tap, window, sizes):
    taps = prod(window.size)
    g = array_module(g).where(tap < taps, g, g.dtype.type(0))
    return scatter_add(g, tap_index(tap % taps, window, sizes), sizes)


def spans(size, out):
    """Adaptive windows along an axis: the first pixel of each of `out` windows over `size` pixels, and how many pixels.

    Window o is floor(o * size / out) to ceil((o + 1) * size / out): every pixel that touches the o-th of `out` equal parts.
    """
    o = np.arange(out)
    start = o * size // max(out, 1)
    return start, -(-(o + 1) * size // max(out, 1)) - start


def bins_argmax(x, bins):
    """The maximum over products of intervals: bins[a] = (start, count >= 1) along the a-th of the last axes of x.

    One axis after the other, the last first: the best column within each row, then the best row of these.  That keeps the
    first maximum in row-major order, and takes as many steps as the sides of a window add up to, not as they multiply to.
    """
    xp = array_module(x)
    index, pitch = None, 1
    for axis, (start, count) in zip(range(-1, -len(bins) - 1, -1), reversed(bins)):
        most = int(count.max(initial=0))
        number = np.min_scalar_type(most)
        best = x.take(constant(x, start), axis)
        place = xp.zeros(best.shape, number)
        for k in range(1, most):                                          # a short window looks at its last pixel again
            v = x.take(constant(x, start + np.minimum(k, count - 1)), axis)
            place = xp.maximum(place, ((v > best) | (v != v)) * number.type(k))
            best = xp.maximum(best, v)
        along = (-1,) + (1,) * (-axis - 1)                                # start and count as columns along the axis
        place = constant(x, start.reshape(along)) + xp.minimum(place, constant(x, count.reshape(along) - 1))
        index = place if index is None else pitch * place + xp.take_along_axis(index, place, axis)
        pitch *= x.shape[axis]
        x = best
    return index


def whole_index(index, pixels):
    """Indices within planes of so many pixels as indices into the whole array, in one row."""
    xp = array_module(index)
    planes = index.shape[0] * index.shape[1]
    return (index.reshape(planes, -1 if planes else 0) + pixels * xp.arange(planes)[:, None]).reshape(-1)


@kernel
def gather(x, index):
    return x.reshape(-1)[whole_index(index, int(np.prod(x.shape[2:])))].reshape(index.shape)


@kernel
def scatter_add(g, index, sizes):
    xp = array_module(g)
    x = xp.zeros(g.shape[:2] + tuple(sizes), g.dtype)
    xp.add.at(x.reshape(-1), whole_index(index, int(np.prod(sizes))), g.reshape(-1))
    return x


@kernel
def scatter(u, index, sizes):
    x = array_module(u).zeros(u.shape[:2] + tuple(sizes), u.dtype)
    x.reshape(-1)[whole_index(index, int(np.prod(sizes)))] = u.reshape(-1)
    return x


@kernel
def window_sum(x, window, out):
    xpad = frame(x, window, out)
    y = array_module(x).zeros(x.shape[:2] + out, x.dtype)
    for _, where in window.taps(out):
        y += xpad[(..., *where)]
    return y


@kernel
def window_spread(g, window, sizes):
    ones = (1,) * window.ndim
    col = g.reshape(g.shape[:2] + ones + g.shape[2:])
    # every tap receives the same number: col2im reads it as often from one place, nothing is copied
    return col2im(array_module(g).broadcast_to(col, g.shape[:2] + window.size + g.shape[2:]), sizes, window)


def window_count(window, sizes, out, padding):
    """The number of pixels under each window, with the padding counted or not, as integers (*O)."""
    counts = []
    for h, o, k, s, (lo, hi) in zip(sizes, out, window.size, window.stride, window.padding):
        start = s * np.arange(o) - lo
        stop = np.minimum(start + k, h + hi if padding else h)            # what hangs over the padding never counts
        counts.append(stop - (start if padding else np.maximum(start, 0)))
    return outer(np.multiply, counts)


@kernel
def adaptive_sum(x, out):
    """Sum over the windows of `spans`, one axis after the other.

    Window o covers pixel i when the parts [o, o+1] / out and [i, i+1] / size of the axis overlap.  That is symmetric in o and
    i: the windows over the output that reach a pixel are those of `spans` with the sizes exchanged.
    """
    for axis, o in enumerate(out, 2):
        x = axis_sum(x, axis, o)
    return x


def axis_sum(x, axis, out):
    size = x.shape[axis]
    if size == out:
        return x
    if out and size % out == 0:                                           # equal windows side by side
        return x.reshape(x.shape[:axis] + (out, size // out) + x.shape[axis + 1:]).sum(axis=axis + 1)
    start, count = spans(size, out)
    y = x.take(constant(x, start), axis)
    for k in range(1, int(count.max(initial=0))):
        longer = np.flatnonzero(count > k)
        y[(slice(None),) * axis + (constant(x, longer),)] += x.take(constant(x, start[longer] + k), axis)
    return y
