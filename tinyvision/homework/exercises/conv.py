"""Exercise 4, convolution: a window slides over the picture.  Write conv_backward.

Letters: N pictures, C channels in, O channels out, H x W pixels, KH x KW the size of the window, OH x OW positions of it.
"""

import numpy as np


def conv_forward(x, w, b, conv_param):
    """Every position of the window gives one pixel: the sum of patch times weights, plus the bias.

    x (N, C, H, W), w (O, C, KH, KW), b (O,)  ->  out (N, O, OH, OW) with OH = (H + 2 pad - KH) // stride + 1, OW alike
    conv_param: a dict with stride, pixels from one position to the next, and pad, zeros added on every side
    cache: (x, w, conv_param)
    """
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
    """The gradients of the loss with respect to x, w and b.

    dout   (N, O, OH, OW)
    cache  (x, w, conv_param)
    returns dx (N, C, H, W), dw (O, C, KH, KW), db (O,)

    Hints
    - Take one position (i, j) of the forward's loop: it is a linear layer from patch (N, C, KH, KW) to out[:, :, i, j] (N, O).
      Its two gradients are einsums like the one above, with the letters exchanged.
    - The windows overlap: a pixel lies in several patches, and each patch has its share in the pixel's gradient.
    - Collect the gradient of `padded` first, in an array of zeros of its shape.  dx is its middle.
    - Where the stride does not divide the size, some pixels at the end lie in no window.  Their gradient is 0.
    """
    x, w, conv_param = cache
    raise NotImplementedError("conv_backward: to be written by you.")


if __name__ == "__main__":                                # python conv.py
    from tinyvision.gradcheck import check_pair

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, 3, 5, 6)), rng.normal(size=(2, 3, 3, 2)), rng.normal(size=2)
    print(check_pair(conv_forward, conv_backward, *inputs, {"stride": 2, "pad": 1}))
