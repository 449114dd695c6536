"""Exercise 3, batch normalisation: every channel gets mean 0 and variance 1 over the batch.  Write batch_norm_backward.

Letters: N pictures, C channels, H x W pixels, M = N H W values a channel.
"""

import numpy as np

AXES = (0, 2, 3)                                          # over which a channel is averaged: pictures and pixels


def per_channel(v):
    """(C,) -> (1, C, 1, 1), so that it meets the channels of a batch."""
    return v.reshape(1, -1, 1, 1)


def batch_norm_forward(x, gamma, beta, bn_param):
    """out = gamma * x_hat + beta with x_hat = (x - mean) / std, channel by channel.

    x (N, C, H, W), gamma (C,), beta (C,)  ->  out (N, C, H, W)
    bn_param: a dict with mode ("train" or "test"), eps and momentum.  In training the statistics are those of the batch, and
    running_mean and running_var, kept in bn_param for the test, move towards them by momentum.
    cache: (x_hat, gamma, std), std being sqrt(var + eps) of each channel
    """
    C, M = x.shape[1], x.size // x.shape[1]
    running_mean, running_var = bn_param.get("running_mean", np.zeros(C)), bn_param.get("running_var", np.ones(C))
    mean, var = running_mean, running_var
    if bn_param["mode"] == "train":
        mean, var, step = x.mean(axis=AXES), x.var(axis=AXES), bn_param["momentum"]
        bn_param["running_mean"] = (1 - step) * running_mean + step * mean
        bn_param["running_var"] = (1 - step) * running_var + step * var * M / (M - 1)     # the unbiased estimate
    std = np.sqrt(var + bn_param["eps"])
    x_hat = (x - per_channel(mean)) / per_channel(std)
    return per_channel(gamma) * x_hat + per_channel(beta), (x_hat, gamma, std)


def batch_norm_backward(dout, cache):
    """The gradients of the loss with respect to x, gamma and beta, in training mode.

    dout   (N, C, H, W)
    cache  (x_hat, gamma, std): (N, C, H, W), (C,), (C,)
    returns dx (N, C, H, W), dgamma (C,), dbeta (C,)

    Hints
    - dgamma and dbeta first: out = gamma * x_hat + beta, one gamma and one beta for the M values of a channel.
    - x reaches out on three ways: itself, through the mean and through the variance, and both of those depend on every value of
      the channel.  Draw the graph x -> mean, x -> var, (x, mean, var) -> x_hat, and walk it backwards.
    - With everything cancelled, dx is one short formula in dx_hat, its mean over AXES, the mean of dx_hat * x_hat, x_hat and std.
    - Adding a constant to a channel does not change out.  So dx of each channel adds up to ... ?
    """
    x_hat, gamma, std = cache
    raise NotImplementedError("batch_norm_backward: to be written by you.")


if __name__ == "__main__":                                # python batch_norm.py
    from tinyvision.gradcheck import check_pair

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(3, 2, 2, 3)), rng.normal(size=2), rng.normal(size=2)
    print(check_pair(batch_norm_forward, batch_norm_backward, *inputs, {"mode": "train", "eps": 1e-5, "momentum": 0.1}))
