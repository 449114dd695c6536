"""Wrong custom layers: convolution."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import patches, spread
from tinyvision import Op


class Pointwise(Op):
    def forward(self, x, w):
        return np.einsum("oc,nchw->nohw", w, x)

    def backward(self, g, x, w):
        return np.einsum("oc,nchw->nohw", w, g), np.einsum("nohw,nchw->oc", g, x)


@wrong("op", "transposed")
def pointwise_conv_weight_not_transposed(rng):
    """A 1x1 convolution sends the gradient through W for W^T, hidden by equal channel numbers."""
    return Pointwise(), rng.standard_normal((2, 4, 3, 2)), rng.standard_normal((4, 4))


class Conv1dNoFlip(Op):
    def forward(self, x, w):
        xp = np.pad(x, ((0, 0), (0, 0), (1, 1)))
        return np.einsum("ncik,ock->noi", sliding_window_view(xp, 3, axis=2), w)

    def backward(self, g, x, w):
        xp, gp = (np.pad(a, ((0, 0), (0, 0), (1, 1))) for a in (x, g))
        gx = np.einsum("noik,ock->nci", sliding_window_view(gp, 3, axis=2), w)
        return gx, np.einsum("noi,ncik->ock", g, sliding_window_view(xp, 3, axis=2))


@wrong("op", "flipped", costly=True)
def conv1d_kernel_not_flipped(rng):
    """The gradient of a same convolution is correlated with the kernel without turning it round."""
    return Conv1dNoFlip(), rng.standard_normal((2, 3, 8)), rng.standard_normal((4, 3, 3))


class PadConvCrop(Op):
    def forward(self, x, w):
        return np.einsum("nchwij,ocij->nohw", patches(x, w.shape[2:], 1, 2), w)

    def backward(self, g, x, w):
        gw = np.einsum("nohw,nchwij->ocij", g, patches(x, w.shape[2:], 1, 2))
        shape = x.shape[:2] + (x.shape[2] + 4, x.shape[3] + 4)
        gpad = spread(np.einsum("nohw,ocij->nchwij", g, w), shape)
        return gpad[:, :, :x.shape[2], :x.shape[3]], gw


@wrong("op", "shifted", costly=True)
def conv_padding_not_cut_off(rng):
    """The padded gradient is cut at the corner, not by the padding of two."""
    return PadConvCrop(), rng.standard_normal((1, 2, 5, 6)), rng.standard_normal((2, 2, 5, 5)) / 3


class ConvAssign(Op):
    def forward(self, x, w):
        return np.einsum("nchwij,ocij->nohw", patches(x, w.shape[2:], 1, 1), w)

    def backward(self, g, x, w):
        gcols = np.einsum("nohw,ocij->nchwij", g, w)
        return (spread(gcols, x.shape, 1, 1, assign=True),
                np.einsum("nohw,nchwij->ocij", g, patches(x, w.shape[2:], 1, 1)))


@wrong("op", "overwritten", costly=True)
def conv_col2im_assigns(rng):
    """col2im writes with = where windows overlap."""
    return ConvAssign(), rng.standard_normal((2, 2, 5, 4)), rng.standard_normal((3, 2, 3, 3))


class ConvMixedOrder(Op):
    """Convolution as one matrix product; columns ordered (position, picture) on one side, (picture, position) on the other."""

    def forward(self, x, w):
        return np.einsum("nchwij,ocij->nohw", patches(x, w.shape[2:]), w)

    def backward(self, g, x, w):
        cols = patches(x, w.shape[2:])
        left = g.transpose(1, 0, 2, 3).reshape(len(w), -1)                            # (O, N P)
        right = cols.transpose(2, 3, 0, 1, 4, 5).reshape(left.shape[1], -1)           # (P N, C K L)
        gx = spread(np.einsum("nohw,ocij->nchwij", g, w), x.shape)
        return gx, (left @ right).reshape(w.shape)


@wrong("op", "batch-only", "transposed")
def conv_columns_in_two_orders(rng):
    """The weight gradient of an im2col convolution mixes two orders of picture and position."""
    return ConvMixedOrder(), rng.standard_normal((3, 2, 4, 5)), rng.standard_normal((2, 2, 2, 2))
