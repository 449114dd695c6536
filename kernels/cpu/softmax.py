"""Softmax, its logarithm and its cross entropy in one reading of memory, with exponentials of a vector at a time.

NumPy goes over all of x for each step: the maximum, the difference, the exponential, the sum, the quotient.  Here a block of
lines goes through all steps while it stands in the cache, so x is read once, and the result written once.

    _lines...      the classes are neighbours in memory: a line of K after the other
    _pixels...     they are not: BLOCK neighbouring pixels at a time, each class a row of them

x is (N, K, B): N pictures or lines, K classes, B pixels (1 where the classes are neighbours).  A worker owns a contiguous share
of the lines, or every T-th block of pixels, with all that is computed from it.

The C library's exp takes one number at a time.  The one here is arithmetic that LLVM turns into vectors: exp(x) = 2^n exp(r)
with |r| <= log(2)/2, where Taylor's series to r^7 is right to 5e-9; log(x) = n log(2) + 2 atanh(s) likewise, for x = 2^n m and
s = (m - 1) / (m + 1).  Both are within 2 units in the last place; exponentials below 1.2e-38, where normal numbers end, are 0.
Only float32: float64 is for checks, and NumPy's functions are exact there.
"""

from math import factorial, log, prod

import numpy as np

from ...memory import empty
from .jit import inner, scratch, shared, solid, threads

BLOCK = 512                                               # pixels that go through all steps together
F = np.float32
NAN = F(np.nan)
EXACT = 1 << 24                                           # counts up to here are exact in float32
LOWEST = F(-87.3)                                         # below it, just above the smallest normal number, exp is 0
PER_LOG2, ROOT2, HALF, ONE, TWO = F(1 / log(2)), F(2 ** 0.5), F(0.5), F(1), F(2)
LOG_HIGH = F(355 / 512)                                   # log(2) in two parts: the first has 9 bits, so n times it is exact
LOG_LOW = F(log(2) - 355 / 512)
E2, E3, E4, E5, E6, E7 = (F(1 / factorial(k)) for k in range(2, 8))
A3, A5, A7, A9 = (F(2 / k) for k in range(3, 11, 2))


def exact(function):
    """As @inner, but no sum is reordered: the order is what makes it exact."""
    return inner(function, fastmath={"contract"})


@exact
def exp(x):
    """exp(x) for x <= 0."""
    c = x if x >= LOWEST else LOWEST
    n = np.floor(c * PER_LOG2 + HALF)
    r = c - n * LOG_HIGH - n * LOG_LOW
    p = ((((((E7 * r + E6) * r + E5) * r + E4) * r + E3) * r + E2) * r + ONE) * r + ONE
    y = p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(F)              # 2^n, written as its exponent
    return y if x >= LOWEST else F(0) if x < LOWEST else x                # x itself: not a number


@exact
def logarithm(x):
    """log(x) for x >= 1."""
    n = (F(x * ROOT2).view(np.int32) >> np.int32(23)) - np.int32(127)                    # the exponent
    m = x * np.int32((np.int32(127) - n) << np.int32(23)).view(F)                        # x / 2^n, from sqrt(1/2) to sqrt(2)
    s = (m - ONE) / (m + ONE)
    q = s * s
    y = (((A9 * q + A7) * q + A5) * q + A3) * q * s + TWO * s
    y = F(n) * LOG_LOW + y + F(n) * LOG_HIGH
    return y if x >= ONE else x


@exact
def log_probability(a, top, log_total):
    """a - top - log(total), in this order: both of the first may be huge."""
    return (a - top) - log_total


@exact
def surprise(a, top, log_total):
    """The negative of it.  A minus sign outside would let the sum be reordered after all."""
    return log_total - (a - top)


@inner
def largest(a):
    """The largest of a; four by turns, for each comparison waits for the one before it."""
    m0 = m1 = m2 = m3 = a[0]
    for j in range(0, a.size - 3, 4):
        m0 = a[j] if a[j] > m0 else m0
        m1 = a[j + 1] if a[j + 1] > m1 else m1
        m2 = a[j + 2] if a[j + 2] > m2 else m2
        m3 = a[j + 3] if a[j + 3] > m3 else m3
    for j in range(a.size // 4 * 4, a.size):
        m0 = a[j] if a[j] > m0 else m0
    m0, m2 = m1 if m1 > m0 else m0, m3 if m3 > m2 else m2
    return m2 if m2 > m0 else m0


@inner
def summed(a, top):
    """The sum of exp(a - top)."""
    total = F(0)
    for j in range(a.size):
        total += exp(a[j] - top)
    return total


# --- the classes of a line are neighbours

@inner
def line_sums(x, i, top, total):
    top[i] = largest(x[i])
    total[i] = summed(x[i], top[i])


@shared
def _lines(t, T, x, y, top, total, logs):
    """softmax, or with `logs` its logarithm."""
    for i in range(len(x) * t // T, len(x) * (t + 1) // T):
        line_sums(x, i, top, total)
        a, o, m, s = x[i], y[i], top[i], logarithm(total[i]) if logs else ONE / total[i]
        if logs:
            for j in range(a.size):
                o[j] = log_probability(a[j], m, s)
        else:
            for j in range(a.size):
                o[j] = exp(a[j] - m) * s


@shared
def _lines_grad(t, T, g, x, gx, top, total, logs):
    for i in range(len(x) * t // T, len(x) * (t + 1) // T):
        a, d, o, m, scale, s = x[i], g[i], gx[i], top[i], ONE / total[i], F(0)
        for j in range(a.size):
            o[j] = exp(a[j] - m) * scale
        for j in range(a.size):
            s += d[j] * (ONE if logs else o[j])
        for j in range(a.size):
            o[j] = d[j] - o[j] * s if logs else o[j] * (d[j] - s)


@shared
def _lines_loss(t, T, x, labels, losses, top, total, ignored):
    for i in range(len(x) * t // T, len(x) * (t + 1) // T):
        line_sums(x, i, top, total)
        k = labels[i]
        safe = k if 0 <= k < x.shape[1] else 0            # a label that is none is not looked up
        value = surprise(x[i, safe], top[i], logarithm(total[i]))
        losses[i] = F(0) if k == ignored else value if k == safe else NAN


@shared
def _lines_loss_grad(t, T, x, gx, g, labels, top, total):
    for i in range(len(x) * t // T, len(x) * (t + 1) // T):
        a, o, m, scale = x[i], gx[i], top[i], g[i] / total[i]
        for j in range(a.size):
            o[j] = exp(a[j] - m) * scale
        if 0 <= labels[i] < o.size:
            o[labels[i]] -= g[i]


# --- the pixels of a class are neighbours

@inner
def block(i, B):
    """Block i of pixels: the picture, the first pixel and the one after the last."""
    blocks = (B + BLOCK - 1) // BLOCK
    return i // blocks, i % blocks * BLOCK, min((i % blocks + 1) * BLOCK, B)


@inner
def pixel_sums(x, n, lo, hi, m, s, w):
    """top, total and its logarithm of a block of pixels, to m, s and w."""
    first = x[n, 0, lo:hi]
    for j in range(first.size):                           # m[:] = first would take a second to compile
        m[j], s[j] = first[j], F(0)
    for k in range(1, x.shape[1]):
        a = x[n, k, lo:hi]
        for j in range(a.size):
            m[j] = a[j] if a[j] > m[j] else m[j]
    for k in range(x.shape[1]):
        a = x[n, k, lo:hi]
        for j in range(a.size):
            s[j] += exp(a[j] - m[j])
    for j in range(s.size):
        w[j] = logarithm(s[j])


@shared
def _pixels(t, T, x, y, top, total, logs, rows):
    """softmax, or with `logs` its logarithm."""
    N, K, B = x.shape
    for i in range(t, N * ((B + BLOCK - 1) // BLOCK), T):
        n, lo, hi = block(i, B)
        m, s, w = top[n, lo:hi], total[n, lo:hi], rows[t, :hi - lo]
        pixel_sums(x, n, lo, hi, m, s, w)
        for k in range(K):
            a, o = x[n, k, lo:hi], y[n, k, lo:hi]
            if logs:
                for j in range(s.size):
                    o[j] = log_probability(a[j], m[j], w[j])
            else:
                for j in range(s.size):
                    o[j] = exp(a[j] - m[j]) / s[j]


@shared
def _pixels_grad(t, T, g, x, gx, top, total, logs, rows):
    N, K, B = x.shape
    for i in range(t, N * ((B + BLOCK - 1) // BLOCK), T):
        n, lo, hi = block(i, B)
        m, s, w = top[n, lo:hi], total[n, lo:hi], rows[t, :hi - lo]
        for j in range(s.size):
            w[j] = F(0)
        for k in range(K):
            a, d, o = x[n, k, lo:hi], g[n, k, lo:hi], gx[n, k, lo:hi]
            for j in range(s.size):
                o[j] = exp(a[j] - m[j]) / s[j]
                w[j] += d[j] * (ONE if logs else o[j])
        for k in range(K):
            d, o = g[n, k, lo:hi], gx[n, k, lo:hi]
            for j in range(s.size):
                o[j] = d[j] - o[j] * w[j] if logs else o[j] * (d[j] - w[j])


@shared
def _pixels_loss(t, T, x, labels, losses, top, total, ignored, rows):
    N, K, B = x.shape
    for i in range(t, N * ((B + BLOCK - 1) // BLOCK), T):
        n, lo, hi = block(i, B)
        m, s, w, o, right = top[n, lo:hi], total[n, lo:hi], rows[t, :hi - lo], losses[n, lo:hi], labels[n, lo:hi]
        pixel_sums(x, n, lo, hi, m, s, w)
        for j in range(s.size):
            o[j] = NAN
        for k in range(K):                                # to compare all is quicker than to jump to one
            a = x[n, k, lo:hi]
            for j in range(s.size):
                new, old = a[j], o[j]                     # both read: then LLVM chooses without a branch
                o[j] = new if right[j] == k else old
        for j in range(s.size):
            value = surprise(o[j], m[j], w[j])
            o[j] = F(0) if right[j] == ignored else value


@shared
def _pixels_loss_grad(t, T, x, gx, g, labels, top, total, rows):
    N, K, B = x.shape
    for i in range(t, N * ((B + BLOCK - 1) // BLOCK), T):
        n, lo, hi = block(i, B)
        m, s, w, d, right = top[n, lo:hi], total[n, lo:hi], rows[t, :hi - lo], g[n, lo:hi], labels[n, lo:hi]
        for j in range(s.size):
            w[j] = d[j] / s[j]
        for k in range(K):
            a, o = x[n, k, lo:hi], gx[n, k, lo:hi]
            for j in range(s.size):
                u = d[j]
                o[j] = exp(a[j] - m[j]) * w[j] - (u if right[j] == k else F(0))


# --- the twins of kernels/softmax.py

def declined(x):
    return x.dtype != F or x.size == 0


NOBODY = -1 << 62                                         # no label
FEW, MANY = 16, 4096                                      # classes of a line that fill no vector; lines that are worth turning


def run(kernels, axis, inputs, output, lines, *options):
    """Call the first kernel where the classes are neighbours, else the second; `lines` have one number for each line.

    Many lines of few classes are transposed to (1, K, N) and back: vectors go along the lines then.  output: None where there is
    none of x's shape.
    """
    shape = inputs[0].shape
    N, K, B = prod(shape[:axis]), shape[axis], prod(shape[axis + 1:])
    turned, whole, T = B == 1 and K <= FEW and N >= MANY, inputs if output is None else (*inputs, output), threads.count
    if B == 1 and not turned:
        return kernels[0](*[a.reshape(N, K) for a in whole], *[a.reshape(N) for a in lines], *options)
    if turned:
        whole, N, B = [a.reshape(N, K).T.copy().reshape(1, K, N) for a in inputs], 1, N
        if output is not None:
            whole.append(empty((1, K, B), F))
    kernels[1](*[a.reshape(N, K, B) for a in whole], *[a.reshape(N, B) for a in lines], *options,
               scratch("softmax", T, BLOCK, F), workers=T)
    if turned and output is not None:
        output.reshape(B, K)[...] = whole[-1][0].T


def forward(x, axis, logs):
    if declined(x):
        return NotImplemented
    y, top, total = empty(x.shape, F), *statistics(x, axis)
    run((_lines, _pixels), axis, (solid(x),), y, (top, total), logs)
    return y, top, total


def gradient(g, x, top, total, axis, logs):
    if declined(x) or g.dtype != F:
        return NotImplemented
    gx = empty(x.shape, F)
    run((_lines_grad, _pixels_grad), axis, (solid(g), solid(x)), gx, (solid(top), solid(total)), logs)
    return gx


def statistics(x, axis):
    shape = x.shape[:axis] + (1,) + x.shape[axis + 1:]
    return empty(shape, F), empty(shape, F)


def softmax(x, axis):
    return forward(x, axis, False)


def log_softmax(x, axis):
    return forward(x, axis, True)


def softmax_grad(g, x, top, total, axis):
    return gradient(g, x, top, total, axis, False)


def log_softmax_grad(g, x, top, total, axis):
    return gradient(g, x, top, total, axis, True)


def cross_entropy(x, labels, ignored=NOBODY):
    if declined(x):
        return NotImplemented
    losses, top, total = empty(labels.shape, F), *statistics(x, 1)
    if x.ndim == 2 and len(x) < MANY:                     # a small network waits for Python here, so straight on
        _lines_loss(solid(x), indices(labels), losses, top[:, 0], total[:, 0], ignored)
        return losses, top, total
    run((_lines_loss, _pixels_loss), 1, (solid(x),), None, (indices(labels), losses, top, total), ignored)
    return losses, top, total


def cross_entropy_grad(g, x, labels, top, total):
    if declined(x) or g.dtype != F:
        return NotImplemented
    gx = empty(x.shape, F)
    run((_lines_loss_grad, _pixels_loss_grad), 1, (solid(x),), gx, (solid(g), indices(labels), solid(top), solid(total)))
    return gx


def mean_cross_entropy(x, labels, ignored):
    if declined(x):
        return NotImplemented
    losses, top, total = cross_entropy(x, labels, ignored)
    count = np.count_nonzero(labels != ignored)
    return np.asarray(np.add.reduce(losses, axis=None) / F(count) if count else NAN), np.asarray(count, F), top, total


def mean_cross_entropy_grad(g, x, labels, ignored, count, top, total):
    if declined(x) or g.dtype != F:
        return NotImplemented
    each = np.full(labels.shape, g / count if count else F(0))
    if count != labels.size or labels.size > EXACT:
        each[labels == ignored] = 0
    return cross_entropy_grad(each, x, labels, top, total)


def indices(labels):
    return solid(labels.astype(np.int64, copy=False))
