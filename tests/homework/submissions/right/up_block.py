"""A right solution."""

import numpy as np


def up_forward(x, skip, w, v):
    N, C, H, W = x.shape
    O = w.shape[1]
    up = np.einsum("nchw,coab->nohawb", x, w).reshape(N, O, 2 * H, 2 * W)       # pixel (h, w) fills (2h + a, 2w + b)
    both = np.concatenate([skip, up], axis=1)
    out = np.maximum(np.einsum("nkhw,mk->nmhw", both, v), 0)
    return out, (x, w, v, both, out)


def up_backward(dout, cache):
    x, w, v, both, out = cache
    N, C, H, W = x.shape
    O = w.shape[1]
    dmixed = dout * (out > 0)
    dv = np.einsum("nmhw,nkhw->mk", dmixed, both)
    dboth = np.einsum("nmhw,mk->nkhw", dmixed, v)
    dskip, dup = dboth[:, :-O], dboth[:, -O:].reshape(N, O, H, 2, W, 2)
    return np.einsum("nohawb,coab->nchw", dup, w), dskip, np.einsum("nchw,nohawb->coab", x, dup), dv
