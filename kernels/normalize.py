"""Normalisation over some axes of an array: statistics, forward pass, backward pass.

Contract.  x is an array, `axes` the axes that are averaged over, w and b arrays of x's number of axes that broadcast against
x, or None.  Statistics keep the averaged axes with size 1.  For y = w * (x - mean) / sigma + b and its gradient g:

    normalize(x, w, b, axes, eps)  ->  y, mean, var, rstd        rstd = 1/sigma = 1/sqrt(var + eps); var in float64
    normalize_grad(g, x, w, b, mean, rstd, axes)  ->  gx, gw, gb (None for what was None)

A rectifier, and before it the sum with an array r of x's shape, may come in the same pass: y = max(w * xhat + b + r, 0).

    normalize(x, w, b, axes, eps, relu, r)  ->  the same
    normalize_grad(g, x, w, b, mean, rstd, axes, relu, r)  ->  gx, gw, gb and, with r, gr

Running statistics, (C,), move in place towards those of a batch, (N, C, 1), averaged over N (1 for batch norm, the images for
instance norm):

    follow(mean, var, found_mean, found_var, momentum, correction)       running = (1 - momentum) * running + momentum * found,
                                                                         where the variance is found times correction

Backwards, where the rectifier was open is computed anew from x and r, in the same order: y need not be kept.

Accuracy.  The variance is computed in two passes, about the mean: E[x^2] - E[x]^2 would lose all digits of float32 where the
mean is 1000 times the deviation.  Sums run in x's dtype over pieces of a line, and over the pieces in float64.

Source: Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115 (algorithms for the variance).
"""

from math import prod

from tinyvision.backend import array_module

from .registry import kernel

PIECE = 4096                                              # numbers that are added up in the dtype of the array


@kernel
def normalize(x, w, b, axes, eps, relu=False, r=None):
    """w * (x - mean) / sqrt(var + eps) + b, and what the backward pass and running statistics need."""
    xp = array_module(x)
    n = max(1, count(x.shape, axes))                      # of no elements the statistics do not matter, but must not warn
    mean = (total(axes, x) / n).astype(x.dtype)
    centred = x - mean
    var = total(axes, centred, centred) / n
    rstd = (1 / xp.sqrt(var + eps)).astype(x.dtype)
    y = scaled(centred, w, b, rstd, r)
    return xp.maximum(y, 0, out=y) if relu else y, mean, var, rstd


def scaled(centred, w, b, rstd, r=None):
    """w * centred * rstd + b + r, in the memory of `centred`."""
    centred *= rstd if w is None else rstd * w
    for term in (b, r):
        if term is not None:
            centred += term
    return centred


@kernel
def normalize_grad(g, x, w, b, mean, rstd, axes, relu=False, r=None):
    """The gradients of x, w and b: each sum over the picture is taken once, and serves all three.

    gx = (u - <u> - xhat <u xhat>) / sigma  with u = w * g, < > the mean over axes (derived in tinyvision/ops/normalize.py).
    """
    if relu:
        g = g * (scaled(x - mean, w, b, rstd, r) > 0)
    shared = shared_axes(w, b, axes)              # along these, w and b are one number
    n = max(1, count(x.shape, axes))
    centred = x - mean
    g_sum = total(shared, g)
    g_xhat = total(shared, g, centred) * rstd             # rstd is constant along `axes`, and so along the shared ones
    gb = None if b is None else sum_to(g_sum, b.shape).astype(x.dtype)
    gw = None if w is None else sum_to(g_xhat, w.shape).astype(x.dtype)
    weight = 1 if w is None else w
    mean_g = (weight * g_sum).sum(axis=axes, keepdims=True) / n
    mean_g_xhat = (weight * g_xhat).sum(axis=axes, keepdims=True) / n
    gx = g * (rstd * weight)
    centred *= (rstd * rstd * mean_g_xhat).astype(x.dtype)
    gx -= centred
    gx -= (rstd * mean_g).astype(x.dtype)
    return (gx, gw, gb) if r is None else (gx, gw, gb, g)


@kernel
def follow(mean, var, found_mean, found_var, momentum, correction):
    """Move running statistics (C,) in place towards what was found, (N, C, 1)."""
    for running, found, share in (mean, found_mean, momentum), (var, found_var, momentum * correction):
        running *= 1 - momentum
        running += share * (found.mean(axis=0) if len(found) > 1 else found).reshape(-1)


def total(axes, x, y=None):
    """The sum of x, or of x * y, over these axes, which keep size 1."""
    xp = array_module(x)
    if not axes:
        return x if y is None else x * y
    if x.ndim - 1 not in axes:
        return total((), x, y).sum(axis=axes, keepdims=True, dtype=xp.float64)
    lines = [xp.ascontiguousarray(a) for a in (x, y) if a is not None]
    sums = 0.0
    for start in range(0, max(1, x.shape[-1]), PIECE):
        sums = sums + line_sums([a[..., start:start + PIECE] for a in lines]).astype(xp.float64)
    return sums[..., None].sum(axis=axes, keepdims=True)


def line_sums(factors):
    """Sums of products along the last axis, without storing the products."""
    return array_module(factors[0]).einsum(",".join(["...i"] * len(factors)) + "->...", *factors)


def shared_axes(w, b, axes):
    """The axes averaged over along which neither w nor b changes."""
    given = [a for a in (w, b) if a is not None]
    return tuple(axis for axis in axes if all(a.shape[axis] == 1 for a in given))


def sum_to(x, shape):
    """x summed over the axes that have size 1 in `shape`."""
    return x.sum(axis=tuple(a for a, n in enumerate(shape) if n == 1), keepdims=True, dtype=array_module(x).float64)


def count(shape, axes):
    return prod(shape[axis] for axis in axes)
