"""Exercise 7, dropout: some values are set to zero at random, the others scaled up.  Write dropout_backward."""

import numpy as np


def dropout_forward(x, dropout_param):
    """Each value is dropped with probability p; what stays is divided by 1 - p, so that the mean stays the same.

    x of any shape  ->  out of the same shape
    dropout_param: a dict with p and seed, the start of the random numbers
    cache: mask, of the shape of x: 0 where a value was dropped, 1 / (1 - p) elsewhere
    """
    p, rng = dropout_param["p"], np.random.default_rng(dropout_param["seed"])
    mask = (rng.random(x.shape) >= p) / (1 - p)
    return x * mask, mask


def dropout_backward(dout, cache):
    """The gradient of the loss with respect to x.

    dout   of the shape of x
    cache  mask
    returns dx, of the shape of x

    Hint: for the mask that was drawn, out is nothing but x times a constant, value by value.  Do not draw again.
    """
    mask = cache
    raise NotImplementedError("dropout_backward: to be written by you.")


if __name__ == "__main__":                                # python dropout.py
    from tinyvision.gradcheck import check_pair

    rng = np.random.default_rng(0)
    print(check_pair(dropout_forward, dropout_backward, rng.normal(size=(3, 5)), {"p": 0.4, "seed": 1}))
