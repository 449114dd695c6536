"""Exercise 6, transposed convolution: every pixel stamps a window.  Write conv_transpose_backward.

Letters: N pictures, C channels in, O channels out, H x W pixels in, KH x KW the size of the stamp, OH x OW pixels out.
"""

import numpy as np


def conv_transpose_forward(x, w, b, conv_param):
    """Every pixel adds its value times the weights to a window of the output; windows that overlap add up.

    x (N, C, H, W), w (C, O, KH, KW), b (O,)  ->  out (N, O, OH, OW) with OH = (H - 1) stride + KH - 2 pad, OW alike
    conv_param: a dict with stride, pixels from one stamp to the next, and pad, pixels cut off on every side
    cache: (x, w, conv_param)
    """
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
    """The gradients of the loss with respect to x, w and b.

    dout   (N, O, OH, OW)
    cache  (x, w, conv_param)
    returns dx (N, C, H, W), dw (C, O, KH, KW), db (O,)

    Hints
    - Put the zeros back that pad has cut off dout: what is cut off has no gradient.
    - Then take one pixel (i, j) of the forward's loop: where did it write?  Read dout there.
    - Nothing is added up in dx, since a pixel stamps once; dw hears from every pixel.
    - The forward is the gradient of a convolution with respect to its input.  So dx is ... ?
    """
    x, w, conv_param = cache
    raise NotImplementedError("conv_transpose_backward: to be written by you.")


if __name__ == "__main__":                                # python conv_transpose.py
    from tinyvision.gradcheck import check_pair

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, 3, 3, 2)), rng.normal(size=(3, 2, 3, 2)), rng.normal(size=2)
    print(check_pair(conv_transpose_forward, conv_transpose_backward, *inputs, {"stride": 2, "pad": 1}))
