"""Convolution as a sum over indices."""

from itertools import product

import numpy as np


def tuples(value, n):
    return (value,) * n if isinstance(value, int) else tuple(value)


def conv(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """y[n, o, i] = b[o] + sum_{c, k} w[o, c, k] x[n, c, i*S + k*D - P], with x zero outside; of groups, c counts within o's group."""
    n_axes = x.ndim - 2
    S, D = tuples(stride, n_axes), tuples(dilation, n_axes)
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(D, w.shape[2:])]
        lows, highs = [t // 2 for t in totals], [t - t // 2 for t in totals]
    else:
        lows = highs = (0,) * n_axes if padding == "valid" else tuples(padding, n_axes)
    sizes, K = x.shape[2:], w.shape[2:]
    out = [(h + lo + hi - d * (k - 1) - 1) // s + 1 for h, lo, hi, d, k, s in zip(sizes, lows, highs, D, K, S)]
    O, Cg = w.shape[:2]
    y = np.zeros((len(x), O, *out))
    for n, o, c in product(range(len(x)), range(O), range(Cg)):
        group = o // (O // groups)
        for i in product(*map(range, out)):
            for k in product(*map(range, K)):
                pixel = tuple(a * s + b * d - lo for a, s, b, d, lo in zip(i, S, k, D, lows))
                if all(0 <= p < h for p, h in zip(pixel, sizes)):
                    y[(n, o, *i)] += w[(o, c, *k)] * x[(n, group * Cg + c, *pixel)]
    if bias is not None:
        y += bias.reshape(-1, *(1,) * n_axes)
    return y


def conv_transpose(x, w, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Every pixel of x adds its multiple of the kernel to y: y[n, o, i*S + k*D - P] += x[n, c, i] w[c, o, k]."""
    n_axes = x.ndim - 2
    S, P, D, E = (tuples(v, n_axes) for v in (stride, padding, dilation, output_padding))
    K = w.shape[2:]
    out = [(h - 1) * s - 2 * p + d * (k - 1) + e + 1 for h, s, p, d, k, e in zip(x.shape[2:], S, P, D, K, E)]
    C, Og = w.shape[:2]
    y = np.zeros((len(x), Og * groups, *out))
    for n, c, o in product(range(len(x)), range(C), range(Og)):
        group = c // (C // groups)
        for i in product(*map(range, x.shape[2:])):
            for k in product(*map(range, K)):
                pixel = tuple(a * s + b * d - p for a, s, b, d, p in zip(i, S, k, D, P))
                if all(0 <= q < h for q, h in zip(pixel, out)):
                    y[(n, group * Og + o, *pixel)] += x[(n, c, *i)] * w[(c, o, *k)]
    if bias is not None:
        y += bias.reshape(-1, *(1,) * n_axes)
    return y
