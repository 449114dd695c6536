"""Normalisations: for every output element, the set of numbers over which mean and variance are taken, spelled out."""

import numpy as np


def standardised(x, peers, weight, bias, eps, of):
    """peers(i): the indices averaged over for the element i; of(i): the index of its weight and bias."""
    y = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        values = [float(x[j]) for j in peers(i)]
        m = sum(values) / len(values)
        v = sum((a - m) ** 2 for a in values) / len(values)
        y[i] = (x[i] - m) / (v + eps) ** 0.5
        y[i] = y[i] * (1 if weight is None else weight[of(i)]) + (0 if bias is None else bias[of(i)])
    return y


def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    if training:
        return standardised(x, lambda i: [j for j in np.ndindex(x.shape) if j[1] == i[1]], weight, bias, eps, lambda i: i[1])
    y = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        c = i[1]
        y[i] = (x[i] - running_mean[c]) / (running_var[c] + eps) ** 0.5
        y[i] = y[i] * (1 if weight is None else weight[c]) + (0 if bias is None else bias[c])
    return y


def instance_norm(x, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5):
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    return standardised(x, lambda i: [j for j in np.ndindex(x.shape) if j[:2] == i[:2]], weight, bias, eps, lambda i: i[1])


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    n = x.ndim - (1 if isinstance(normalized_shape, int) else len(normalized_shape))
    return standardised(x, lambda i: [j for j in np.ndindex(x.shape) if j[:n] == i[:n]], weight, bias, eps, lambda i: i[n:])


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    size = x.shape[1] // num_groups

    def peers(i):
        return [j for j in np.ndindex(x.shape) if j[0] == i[0] and j[1] // size == i[1] // size]
    return standardised(x, peers, weight, bias, eps, lambda i: i[1])


def rms_norm(x, normalized_shape, weight=None, eps=None):
    n = x.ndim - (1 if isinstance(normalized_shape, int) else len(normalized_shape))
    y = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        squares = [x[j] ** 2 for j in np.ndindex(x.shape) if j[:n] == i[:n]]
        root = (sum(squares) / len(squares) + (np.finfo(x.dtype).eps if eps is None else eps)) ** 0.5
        y[i] = x[i] / root * (1 if weight is None else weight[i[n:]])
    return y


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    y = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        first = i[1] - size // 2
        channels = [c for c in range(first, first + size) if 0 <= c < x.shape[1]]
        y[i] = x[i] / (k + alpha * sum(x[(i[0], c, *i[2:])] ** 2 for c in channels) / size) ** beta
    return y


def normalize(x, p=2.0, dim=1, eps=1e-12):
    dims = [d % x.ndim for d in (dim if isinstance(dim, tuple) else (dim,))]
    y = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        values = [abs(float(x[j])) for j in np.ndindex(x.shape) if all(j[a] == i[a] for a in range(x.ndim) if a not in dims)]
        if p in (float("inf"), -float("inf")):
            size = max(values) if p > 0 else min(values)
        else:
            size = sum(v ** p for v in values if v or p) ** (1 / p if p else 1)
        y[i] = x[i] / max(size, eps)
    return y
