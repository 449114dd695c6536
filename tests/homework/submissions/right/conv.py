"""A right solution."""

import numpy as np


def conv_forward(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    (N, C, H, W), (O, _, KH, KW) = x.shape, w.shape
    OH, OW = (H + 2 * pad - KH) // stride + 1, (W + 2 * pad - KW) // stride + 1
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, O, OH, OW), x.dtype)
    for i in range(OH):
        for j in range(OW):
            patch = padded[:, :, i * stride:i * stride + KH, j * stride:j * stride + KW]      # (N, C, KH, KW)
            out[:, :, i, j] = np.einsum("nckl,ockl->no", patch, w) + b
    return out, (x, w, conv_param)


def conv_backward(dout, cache):
    x, w, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    (N, C, H, W), (O, _, KH, KW) = x.shape, w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            place = np.s_[:, :, i * stride:i * stride + KH, j * stride:j * stride + KW]
            dpadded[place] += np.einsum("no,ockl->nckl", dout[:, :, i, j], w)
            dw += np.einsum("no,nckl->ockl", dout[:, :, i, j], padded[place])
    return dpadded[:, :, pad:pad + H, pad:pad + W], dw, dout.sum(axis=(0, 2, 3))
