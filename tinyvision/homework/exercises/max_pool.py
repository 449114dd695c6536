"""Exercise 5, max pooling: of every window the largest value.  Write max_pool_backward.

Letters: N pictures, C channels, H x W pixels, OH x OW positions of the window.
"""

import numpy as np


def max_pool_forward(x, pool_param):
    """The largest value in each window, channel by channel.

    x (N, C, H, W)  ->  out (N, C, OH, OW) with OH = (H - size) // stride + 1, OW alike
    pool_param: a dict with size, the side of the window, and stride, pixels from one position to the next
    cache: (x, pool_param)
    """
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
    """The gradient of the loss with respect to x.

    dout   (N, C, OH, OW)
    cache  (x, pool_param)
    returns dx (N, C, H, W)

    Hints
    - Moving the largest value of a window by a little moves out by as much; moving another one does nothing.
    - With a stride below the size the windows overlap, and one pixel may be the largest of several.
    - Of equal largest values take the first (argmax does), and give it everything: the gradient must not be dealt out twice.
    """
    x, pool_param = cache
    raise NotImplementedError("max_pool_backward: to be written by you.")


if __name__ == "__main__":                                # python max_pool.py
    from tinyvision.gradcheck import check_pair

    rng = np.random.default_rng(0)
    print(check_pair(max_pool_forward, max_pool_backward, rng.normal(size=(2, 2, 5, 6)), {"size": 3, "stride": 2}))
