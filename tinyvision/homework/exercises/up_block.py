"""Exercise 9, a step up in U-Net: enlarge, lay the skip beside it, mix.  Write up_backward.

Letters: N pictures, C channels from below, S channels of the skip, O channels after enlarging, M channels out, H x W pixels.
"""

import numpy as np


def up_forward(x, skip, w, v):
    """Twice the size by a transposed convolution, the skip's channels in front, a 1 x 1 convolution, relu.

    x (N, C, H, W) from below, skip (N, S, 2H, 2W), w (C, O, 2, 2), v (M, S + O)  ->  out (N, M, 2H, 2W)
    cache: (x, w, v, both, out) with both = [skip, up] (N, S + O, 2H, 2W)
    """
    N, C, H, W = x.shape
    O = w.shape[1]
    up = np.einsum("nchw,coab->nohawb", x, w).reshape(N, O, 2 * H, 2 * W)       # pixel (h, w) fills (2h + a, 2w + b)
    both = np.concatenate([skip, up], axis=1)
    out = np.maximum(np.einsum("nkhw,mk->nmhw", both, v), 0)
    return out, (x, w, v, both, out)


def up_backward(dout, cache):
    """The gradients of the loss with respect to x, skip, w and v.

    dout   (N, M, 2H, 2W)
    cache  (x, w, v, both, out)
    returns dx (N, C, H, W), dskip (N, S, 2H, 2W), dw (C, O, 2, 2), dv (M, S + O)

    Hints
    - Backwards, step by step: relu, the 1 x 1 convolution, the concatenation, the enlarging.
    - relu lets the gradient through where out > 0.
    - What was laid side by side is cut apart: S = both's channels minus O, the skip's channels come first.
    - The 2 x 2 stamps do not overlap, so each pixel of `up` belongs to one pixel of x.  Undo the reshape first, to the axes
      (n, o, h, a, w, b), and both einsums can be read off the forward's.
    """
    x, w, v, both, out = cache
    raise NotImplementedError("up_backward: to be written by you.")


if __name__ == "__main__":                                # python up_block.py
    from tinyvision.gradcheck import check_pair

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, 3, 2, 2)), rng.normal(size=(2, 2, 4, 4)), rng.normal(size=(3, 2, 2, 2)), rng.normal(size=(3, 4))
    print(check_pair(up_forward, up_backward, *inputs))
