"""im2col and col2im: copy the patches under a sliding window to columns, and add columns back to where they came from.

    im2col(x)[n, c, k, o]  =  xpad[n, c, o*S + k*D]                      a copy: each pixel as often as windows cover it
    col2im(col)[n, c, h]   =  sum of col[n, c, k, o] over all (k, o) with  o*S + k*D - lo = h

k and o stand for one index per axis (1-D, 2-D, 3-D alike); xpad is x with a border of zeros.  The second is the adjoint
of the first, <col2im(u), x> = <u, im2col(x)>: what im2col copies out, col2im adds back.

Source: Chellapilla, Puri and Simard 2006, High performance convolutional neural networks for document processing.
"""

from tinyvision.backend import array_module

from .registry import kernel


def frame(x, window, out, fill=0):
    """The pixels that `out` positions of the window touch: x (N, C, *sizes) in a border of `fill`, cut to what is reached.

    Without a border it is x itself, uncut.
    """
    reach = window.extent(out)
    sizes = x.shape[2:]
    if all(lo == 0 and e <= h for (lo, _), e, h in zip(window.padding, reach, sizes)):
        return x                                                          # no border: nothing to copy
    y = array_module(x).full(x.shape[:2] + reach, fill, x.dtype)
    inner = tuple(slice(lo, lo + h) for (lo, _), h in zip(window.padding, sizes))
    kept = tuple(slice(0, max(0, e - lo)) for (lo, _), e in zip(window.padding, reach))
    y[(..., *inner)] = x[(..., *kept)]                                    # y ends where the last window does: both are cut there
    return y


@kernel
def im2col(x, window):
    """Patches of x (N, C, *sizes) under the window, as (N, C, *K, *out)."""
    out = window.output(x.shape[2:])
    xpad = frame(x, window, out)
    col = array_module(x).empty(x.shape[:2] + window.size + out, x.dtype)
    for k, where in window.taps(out):
        col[(slice(None), slice(None), *k)] = xpad[(..., *where)]
    return col


@kernel
def col2im(col, sizes, window):
    """Add columns (N, C, *K, *out) up into images (N, C, *sizes): the adjoint of im2col."""
    out = col.shape[2 + window.ndim:]
    # room for all windows and for the whole image
    canvas = tuple(max(e, lo + h) for e, (lo, _), h in zip(window.extent(out), window.padding, sizes))
    x = array_module(col).zeros(col.shape[:2] + canvas, col.dtype)
    for k, where in window.taps(out):
        x[(..., *where)] += col[(slice(None), slice(None), *k)]
    inner = tuple(slice(lo, lo + h) for (lo, _), h in zip(window.padding, sizes))
    return x[(..., *inner)]
