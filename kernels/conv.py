"""The three passes of convolution as whole kernels: images, filters and a window in, images or filters out.

Contract, for images x (N, C, *sizes), filters w (O, C/G, *K), outputs y and their gradient u (N, O, *out), G groups and a window
(window.py):

    conv(x, w, bias, window, groups)                   ->  y (N, O, *out)      forward; bias (O,) is added, or None
    conv_transpose(u, w, bias, window, groups, sizes)  ->  x (N, C, *sizes)    gradient of the input; a transposed layer, too (bias)
    conv_weight_grad(x, u, window, groups)             ->  gw (O, C/G, *K)     gradient of the weight
    channel_sum(u)                                     ->  gb (O,)             the sum of u over images and pixels

(w: the first axis counts the channels of u, the second those of the result, as x and y in the oracle of conv_transpose.)

The reference below makes matrix products of them: with the patches of x as columns (im2col.py), Q = C/G * prod(K) rows and
P = prod(out) columns,

    y = W @ col            x = col2im(W^T @ u)            gw = sum_n u @ col^T            W: w as a matrix (O/G, Q) for each group

A pixel is copied to the columns as often as windows cover it, nine times for 3x3: the matrix is what makes it slow.  cpu/conv.py
computes the same sums without it.

Accuracy: of a sum of n products in a type with rounding eps, the error is at most n * eps * (sum of the products' magnitudes),
whatever the order of addition; the reference and the compiled kernels are far below, for errors cancel.  Pixels and weights that
are not finite spread to the outputs of their windows; whether a zero of the border, or of those that a stride puts between the
pixels of u, counts as a pixel there, and makes 0 * inf = NaN, is not settled: the compiled kernels multiply by some that the
reference leaves out, and leave out some others.

For 3x3 layers of stride and dilation 1, one group, and 8 channels and filters or more in float32, cpu/winograd.py takes sums of
pixels and of weights before it multiplies: there the magnitudes in the bound are those of the largest of 6x6 pixels around an
output and of the filter's largest weight.
"""

from math import prod

from .im2col import col2im, im2col
from .registry import kernel


@kernel
def conv(x, w, bias, window, groups):
    G, N, O, out = groups, len(x), len(w), window.output(x.shape[2:])
    col = im2col(x, window)                                               # (N, C, *K, *out)
    Q, P = prod(w.shape[1:]), prod(out)
    y = w.reshape(G, O // G, Q) @ col.reshape(N, G, Q, P)                 # (G, O/G, Q) @ (N, G, Q, P)
    return add_bias(y.reshape(N, O, *out), bias)


@kernel
def conv_transpose(u, w, bias, window, groups, sizes):
    G, N, O, out, Cg = groups, len(u), len(w), u.shape[2:], w.shape[1]
    Q, P = prod(w.shape[1:]), prod(out)
    wt, u = w.reshape(G, O // G, Q).swapaxes(1, 2), u.reshape(N, G, O // G, P)                # wt: (G, Q, O/G)
    col = wt * u if O == G else wt @ u                                    # (N, G, Q, P); depthwise: sums of one term
    return add_bias(col2im(col.reshape(N, G * Cg, *window.size, *out), sizes, window), bias)


@kernel
def conv_weight_grad(x, u, window, groups):
    G, N, O, C, out = groups, len(u), u.shape[1], x.shape[1], u.shape[2:]
    Q, P = C // G * prod(window.size), prod(out)
    col = im2col(x, window).reshape(N, G, Q, P)
    gw = u.reshape(N, G, O // G, P) @ col.swapaxes(2, 3)                  # (N, G, O/G, Q)
    return gw.sum(axis=0).reshape(O, C // G, *window.size)


@kernel
def channel_sum(u):
    # pixels first: their sums along contiguous lines are added pairwise, which keeps the digits
    return u.reshape(*u.shape[:2], prod(u.shape[2:])).sum(axis=2).sum(axis=0)


def add_bias(y, bias):
    """One number per channel, added in place: y is fresh."""
    if bias is not None:
        y += bias.reshape((-1,) + (1,) * (y.ndim - 2))
    return y
