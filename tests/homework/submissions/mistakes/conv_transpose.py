"""dout is padded at the end only."""

import numpy as np


def conv_transpose_forward(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    (N, C, H, W), (_, O, KH, KW) = x.shape, w.shape
    full = np.zeros((N, O, (H - 1) * stride + KH, (W - 1) * stride + KW), x.dtype)
    for i in range(H):
        for j in range(W):
            stamp = np.einsum("nc,cokl->nokl", x[:, :, i, j], w)                              # (N, O, KH, KW)
            full[:, :, i * stride:i * stride + KH, j * stride:j * stride + KW] += stamp
    out = full[:, :, pad:full.shape[2] - pad, pad:full.shape[3] - pad]
    return out + b.reshape(1, O, 1, 1), (x, w, conv_param)


def conv_transpose_backward(dout, cache):
    x, w, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    KH, KW = w.shape[2:]
    full = np.pad(dout, ((0, 0), (0, 0), (0, 2 * pad), (0, 2 * pad)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            stamp = full[:, :, i * stride:i * stride + KH, j * stride:j * stride + KW]
            dx[:, :, i, j] = np.einsum("nokl,cokl->nc", stamp, w)
            dw += np.einsum("nc,nokl->cokl", x[:, :, i, j], stamp)
    return dx, dw, dout.sum(axis=(0, 2, 3))
