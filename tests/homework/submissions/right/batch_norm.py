"""A right solution."""

import numpy as np

AXES = (0, 2, 3)                                          # over which a channel is averaged: pictures and pixels


def per_channel(v):
    return v.reshape(1, -1, 1, 1)


def batch_norm_forward(x, gamma, beta, bn_param):
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
    x_hat, gamma, std = cache
    dgamma, dbeta = (dout * x_hat).sum(axis=AXES), dout.sum(axis=AXES)
    dx_hat = dout * per_channel(gamma)
    mean, along = dx_hat.mean(axis=AXES), (dx_hat * x_hat).mean(axis=AXES)
    dx = (dx_hat - per_channel(mean) - x_hat * per_channel(along)) / per_channel(std)
    return dx, dgamma, dbeta
