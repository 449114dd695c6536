"""The mean over the batch is forgotten."""

import numpy as np


def cross_entropy(x, y):
    shifted = x - x.max(axis=1, keepdims=True)            # the same p, and no exp can overflow
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(len(x)), y].mean()
    return loss, np.exp(log_p)


def softmax_loss(x, y):
    loss, p = cross_entropy(x, y)
    dx = p.copy()
    dx[np.arange(len(x)), y] -= 1
    return loss, dx
