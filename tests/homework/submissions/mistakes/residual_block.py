"""The shortcut is missing in dx."""

import numpy as np


def mix(x, w):
    return np.einsum("nchw,mc->nmhw", x, w)


def residual_forward(x, w1, w2):
    h = np.maximum(mix(x, w1), 0)
    s = x + mix(h, w2)
    return np.maximum(s, 0), (x, w1, w2, h, s)


def residual_backward(dout, cache):
    x, w1, w2, h, s = cache
    ds = dout * (s > 0)
    dh = mix(ds, w2.T) * (h > 0)
    dw1, dw2 = np.einsum("nmhw,nchw->mc", dh, x), np.einsum("nchw,nmhw->cm", ds, h)
    return mix(dh, w1.T), dw1, dw2
