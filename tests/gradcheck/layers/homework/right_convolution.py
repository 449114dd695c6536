"""Right homework: convolution and pooling."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import conv_backward, conv_forward, conv_pair


@right("pair")
def conv_with_conv_param(rng):
    """CS231n convolution with conv_param."""
    def conv_forward_naive(x, w, b, conv_param):
        return conv_forward(x, w, b, conv_param["stride"], conv_param["pad"]), (x, w, b, conv_param)

    def conv_backward_naive(dout, cache):
        x, w, b, conv_param = cache
        return conv_backward(dout, x, w, conv_param["stride"], conv_param["pad"])

    return (conv_forward_naive, conv_backward_naive, rng.normal(size=(2, 2, 5, 4)), rng.normal(size=(3, 2, 3, 3)),
            rng.normal(size=3), {"stride": 2, "pad": 1})


@right("pair")
def conv_integer_options(rng):
    """Stride and padding as plain integers among the inputs; None is returned for them."""
    def forward(x, w, b, stride, pad):
        return conv_forward(x, w, b, stride, pad)

    def backward(dout, x, w, b, stride, pad):
        return conv_backward(dout, x, w, stride, pad) + (None, None)

    return forward, backward, rng.normal(size=(1, 2, 5, 5)), rng.normal(size=(2, 2, 2, 2)), rng.normal(size=2), 2, 1


@right("pair")
def conv_groups(rng):
    """Two groups."""
    return conv_pair(groups=2, pad=1) + (rng.normal(size=(2, 4, 4, 3)), rng.normal(size=(6, 2, 3, 3)),
                                         rng.normal(size=6))


@right("pair", costly=True)
def conv_depthwise_dilated_strided(rng):
    """Depthwise with dilation 2 and stride 2; the last column of x is never read."""
    return conv_pair(groups=3, dilation=2, stride=2) + (rng.normal(size=(2, 3, 7, 8)), rng.normal(size=(3, 1, 3, 3)),
                                                        rng.normal(size=3))


@right("object")
def conv_object_attributes(rng):
    """im2col convolution with attributes W, b, dW, db."""
    class Convolution:
        def __init__(self, W, b, stride=1, pad=0):
            self.W, self.b, self.stride, self.pad = W, b, stride, pad
            self.x = self.dW = self.db = None

        def forward(self, x):
            self.x = x
            return conv_forward(x, self.W, self.b, self.stride, self.pad)

        def backward(self, dout):
            dx, self.dW, self.db = conv_backward(dout, self.x, self.W, self.stride, self.pad)
            return dx

    return Convolution(rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3), 1, 1), rng.normal(size=(2, 2, 4, 5))


@right("pair")
def conv1d(rng):
    """One-dimensional convolution by np.convolve."""
    def forward(x, k):
        return np.convolve(x, k[::-1], mode="valid"), (x, k)

    def backward(dout, cache):
        x, k = cache
        return np.convolve(dout, k), np.correlate(x, dout, mode="valid")

    return forward, backward, rng.normal(size=30), rng.normal(size=5)


@right("pair")
def conv3d(rng):
    """Three-dimensional convolution."""
    def forward(x, w, b):
        view = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3, 4))
        return np.einsum("ncdhwijk,fcijk->nfdhw", view, w) + b[:, None, None, None], (x, w)

    def backward(dout, cache):
        x, w = cache
        k = w.shape[2:]
        view = np.lib.stride_tricks.sliding_window_view(x, k, axis=(2, 3, 4))
        full = np.pad(dout, ((0, 0), (0, 0)) + tuple((n - 1, n - 1) for n in k))
        taps = np.lib.stride_tricks.sliding_window_view(full, k, axis=(2, 3, 4))
        dx = np.einsum("nfdhwijk,fcijk->ncdhw", taps, w[..., ::-1, ::-1, ::-1])
        return dx, np.einsum("ncdhwijk,nfdhw->fcijk", view, dout), dout.sum(axis=(0, 2, 3, 4))

    return forward, backward, rng.normal(size=(1, 2, 4, 3, 4)), rng.normal(size=(2, 2, 2, 2, 3)), rng.normal(size=2)


@right("pair")
def conv_transpose(rng):
    """Transposed convolution with stride 2 and cropping."""
    s, p = 2, 1

    def forward(x, w):
        n, c, h, wd = x.shape
        k = w.shape[2]
        full = np.zeros((n, w.shape[1], s * (h - 1) + k, s * (wd - 1) + k), dtype=x.dtype)
        for i in range(h):
            for j in range(wd):
                full[:, :, s * i:s * i + k, s * j:s * j + k] += np.tensordot(x[:, :, i, j], w, 1)
        return full[:, :, p:-p, p:-p], (x, w)

    def backward(dout, cache):
        x, w = cache
        k = w.shape[2]
        d = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                patch = d[:, :, s * i:s * i + k, s * j:s * j + k]
                dx[:, :, i, j] = np.tensordot(patch, w, axes=([1, 2, 3], [1, 2, 3]))
                dw += np.tensordot(x[:, :, i, j], patch, axes=(0, 0))
        return dx, dw

    return forward, backward, rng.normal(size=(2, 2, 3, 3)), rng.normal(size=(2, 3, 4, 4))


@right("pair")
def avg_pool_padded(rng):
    """Average pooling with padding counted in the area."""
    def forward(x):
        xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        view = np.lib.stride_tricks.sliding_window_view(xp, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
        return view.mean(axis=(4, 5)), x.shape

    def backward(dout, cache):
        n, c, h, w = cache
        dxp = np.zeros((n, c, h + 2, w + 2))
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                dxp[:, :, 2 * i:2 * i + 3, 2 * j:2 * j + 3] += dout[:, :, i, j, None, None] / 9
        return dxp[:, :, 1:-1, 1:-1]

    return forward, backward, rng.normal(size=(2, 2, 5, 6))


@right("pair")
def unpool(rng):
    """Unpooling to recorded places."""
    def forward(x, where):
        out = np.zeros(x.shape + (4,), dtype=x.dtype)
        np.put_along_axis(out, where[..., None], x[..., None], axis=-1)
        return out, where

    def backward(dout, cache):
        return np.take_along_axis(dout, cache[..., None], axis=-1)[..., 0], None

    return forward, backward, rng.normal(size=(2, 3, 4)), rng.integers(0, 4, size=(2, 3, 4))
