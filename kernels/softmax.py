"""Softmax, its logarithm, and its cross entropy with labels, forwards and backwards, in few passes over memory.

Contract, for scores x and the axis of the classes (1 for the cross entropy: x (N, K, *S), labels (N, *S) of integers 0..K-1):

    softmax(x, axis)                               ->  y, top, total     e = exp(x - top), top = max x, total = sum e; y = e/total
    softmax_grad(g, x, top, total, axis)           ->  gx                 y (g - sum g y)
    log_softmax(x, axis)                           ->  y, top, total      y = x - top - log(total)
    log_softmax_grad(g, x, top, total, axis)       ->  gx                 g - exp(y) sum g
    cross_entropy(x, labels)                       ->  losses (N, *S), top, total       log(total) - (x_label - top)
    cross_entropy_grad(g, x, labels, top, total)   ->  gx (N, K, *S)      g (e / total - 1 at the label)
    mean_cross_entropy(x, labels, ignored)         ->  mean, count (), top, total
    mean_cross_entropy_grad(g, x, labels, ignored, count, top, total)  ->  gx (N, K, *S)

The mean is that over the labels other than `ignored`, which are `count`; a label that is no class makes it no number, for on a GPU
nobody can look at the labels beforehand without waiting; what the gradient is then is not settled.

top and total keep the axis with size 1.  Whoever keeps these two has softmax(x) = exp(x - top) / total at one exponential,
and needs no second array of x's size.  A picture with a label per pixel is large: what counts is how often it is read.
"""

from math import prod

import numpy as np

from tinyvision.backend import array_module

from .registry import kernel


@kernel
def softmax(x, axis):
    e, top, total = exponentials(x, axis)
    e /= total
    return e, top, total


@kernel
def softmax_grad(g, x, top, total, axis):
    y = probabilities(x, top, total)
    y *= g - (g * y).sum(axis=axis, keepdims=True)
    return y


@kernel
def log_softmax(x, axis):
    _, top, total = exponentials(x, axis)
    y = x - top
    y -= array_module(x).log(total)
    return y, top, total


@kernel
def log_softmax_grad(g, x, top, total, axis):
    y = probabilities(x, top, total)
    y *= g.sum(axis=axis, keepdims=True)
    return g - y


def exponentials(x, axis):
    xp = array_module(x)
    top = x.max(axis=axis, keepdims=True)
    e = x - top
    xp.exp(e, out=e)
    return e, top, e.sum(axis=axis, keepdims=True)


def probabilities(x, top, total):
    e = x - top
    array_module(x).exp(e, out=e)
    e /= total
    return e


def places(labels, K):
    """Where x[n, labels[n, i], i] stands in x.reshape(-1): faster than an index per axis."""
    xp, N, P = array_module(labels), len(labels), prod(labels.shape[1:])
    rows = K * xp.arange(N)[:, None] + labels.reshape(N, P)
    return (P * rows + xp.arange(P)).reshape(labels.shape)


@kernel
def cross_entropy(x, labels):
    _, top, total = exponentials(x, 1)
    right = x.reshape(-1)[places(labels, x.shape[1])]                     # (N, *S)
    return array_module(x).log(total[:, 0]) - (right - top[:, 0]), top, total


@kernel
def cross_entropy_grad(g, x, labels, top, total):
    xp = array_module(x)
    p = xp.ascontiguousarray(x - top)                                     # (N, K, *S), in the order that `places` counts in
    xp.exp(p, out=p)
    p *= g[:, None] / total
    p.reshape(-1)[places(labels, x.shape[1])] -= g
    return p


@kernel
def mean_cross_entropy(x, labels, ignored):
    xp = array_module(x)
    left_out = labels == ignored
    known, safe = told_apart(xp, labels, left_out, x.shape[1])
    losses, top, total = cross_entropy.reference(x, safe)
    count = xp.asarray((~left_out).sum(), x.dtype)
    with np.errstate(invalid="ignore"):                   # over nothing 0 / 0
        mean = xp.where(left_out, 0, xp.where(known, losses, xp.nan)).sum(dtype=x.dtype) / count
    return xp.asarray(mean, x.dtype), count, top, total


@kernel
def mean_cross_entropy_grad(g, x, labels, ignored, count, top, total):
    xp = array_module(x)
    left_out = labels == ignored
    _, safe = told_apart(xp, labels, left_out, x.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        each = xp.where(left_out, 0, g / count).astype(x.dtype)
    return cross_entropy_grad.reference(each, x, safe, top, total)


def told_apart(xp, labels, left_out, classes):
    """Which labels are classes, and labels that all are."""
    known = (labels >= 0) & (labels < classes)
    return known, xp.where(known & ~left_out, labels, 0)
