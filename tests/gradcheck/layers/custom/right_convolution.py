"""Right custom layers: convolution."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import patches, spread
from tinyvision import Op


class Conv(Op):
    def __init__(self, stride=(1, 1), pad=(0, 0)):
        self.s, self.p = stride, pad

    def forward(self, x, w, b):
        return np.einsum("nchwij,ocij->nohw", patches(x, w.shape[2:], self.s, self.p), w) + b[:, None, None]

    def backward(self, g, x, w, b):
        gx = spread(np.einsum("nohw,ocij->nchwij", g, w), x.shape, self.s, self.p)
        gw = np.einsum("nohw,nchwij->ocij", g, patches(x, w.shape[2:], self.s, self.p))
        return gx, gw, g.sum(axis=(0, 2, 3))


@right("op")
def conv_strided_leaves_row(rng):
    """Strided, padded, non-square convolution that leaves a row of the picture unseen."""
    return Conv((2, 3), (1, 0)), rng.standard_normal((2, 2, 6, 8)), rng.standard_normal((3, 2, 3, 2)), rng.standard_normal(3)


@right("op")
def conv_scales_far_apart(rng):
    """Convolution of a picture at 1e6 with a kernel at 1e-8."""
    return (Conv((1, 1), (1, 1)), 1e6 * rng.standard_normal((1, 2, 4, 5)), 1e-8 * rng.standard_normal((2, 2, 3, 3)),
            1e-3 * rng.standard_normal(2))


class Depthwise(Op):
    """(N, C, W) with dilation two."""

    def forward(self, x, w):
        o = x.shape[2] - 4
        return sum(x[:, :, 2 * k:2 * k + o] * w[:, k:k + 1] for k in range(3))

    def backward(self, g, x, w):
        gx, o = np.zeros_like(x), g.shape[2]
        for k in range(3):
            gx[:, :, 2 * k:2 * k + o] += g * w[:, k:k + 1]
        return gx, np.stack([(g * x[:, :, 2 * k:2 * k + o]).sum(axis=(0, 2)) for k in range(3)], axis=1)


@right("op")
def depthwise_dilated_conv1d(rng):
    """Depthwise dilated convolution of signals."""
    return Depthwise(), rng.standard_normal((2, 3, 9)), rng.standard_normal((3, 3))


class Transposed1d(Op):
    """Stride 2, kernel 3, cropped by one."""

    def forward(self, u, w):
        n, c, i = u.shape
        y = np.zeros((n, w.shape[1], 2 * i + 1))
        for k in range(3):
            y[:, :, k:k + 2 * i:2][:, :, :i] += np.einsum("nci,co->noi", u, w[:, :, k])
        return y[:, :, 1:]

    def backward(self, g, u, w):
        i = u.shape[2]
        full = np.concatenate([np.zeros(g.shape[:2] + (1,)), g], axis=2)
        parts = [full[:, :, k:k + 2 * i:2][:, :, :i] for k in range(3)]
        gu = sum(np.einsum("noi,co->nci", part, w[:, :, k]) for k, part in enumerate(parts))
        return gu, np.stack([np.einsum("nci,noi->co", u, part) for part in parts], axis=2)


@right("op")
def conv_transpose1d_cropped(rng):
    """Transposed convolution with overlapping windows and a cropped border."""
    return Transposed1d(), rng.standard_normal((2, 3, 5)), rng.standard_normal((3, 2, 3))


class Conv3dValid(Op):
    def forward(self, x, w):
        return np.einsum("ncdhwijk,ocijk->nodhw", sliding_window_view(x, w.shape[2:], axis=(2, 3, 4)), w)

    def backward(self, g, x, w):
        gw = np.einsum("nodhw,ncdhwijk->ocijk", g, sliding_window_view(x, w.shape[2:], axis=(2, 3, 4)))
        gx, (D, H, W) = np.zeros_like(x), g.shape[2:]
        for i, j, k in np.ndindex(*w.shape[2:]):
            gx[:, :, i:i + D, j:j + H, k:k + W] += np.einsum("nodhw,oc->ncdhw", g, w[:, :, i, j, k])
        return gx, gw


@right("op")
def conv3d_uneven_kernel(rng):
    """3-D convolution with a kernel of three different sizes."""
    return Conv3dValid(), rng.standard_normal((1, 2, 3, 4, 5)), rng.standard_normal((2, 2, 1, 2, 3))


@right("op", costly=True)
def large_conv(rng):
    """Convolution of a picture of 30,000 pixels."""
    return Conv((2, 2), (1, 1)), rng.standard_normal((1, 3, 100, 100)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)
