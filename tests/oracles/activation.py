"""Activations from their definitions: one number after the other, with Python's own arithmetic."""

from math import erf, exp, log, sqrt, tanh

import numpy as np

from tests.oracles.apply import each

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def sigmoid(x):
    return 1 / (1 + exp(-x))


def softplus_exact(x):
    return log(1 + exp(x))


relu = each(lambda x: x if x > 0 else 0.0)
relu6 = each(lambda x: min(max(x, 0.0), 6.0))
leaky_relu = each(lambda x, negative_slope=0.01: x if x > 0 else negative_slope * x)
hardtanh = each(lambda x, min_val=-1.0, max_val=1.0: min_val if x < min_val else max_val if x > max_val else x)
hardsigmoid = each(lambda x: 0.0 if x <= -3 else 1.0 if x >= 3 else x / 6 + 0.5)
hardswish = each(lambda x: 0.0 if x <= -3 else x if x >= 3 else x * (x + 3) / 6)
threshold = each(lambda x, t, value: x if x > t else value)
softshrink = each(lambda x, lambd=0.5: x - lambd if x > lambd else x + lambd if x < -lambd else 0.0)
hardshrink = each(lambda x, lambd=0.5: x if x > lambd or x < -lambd else 0.0)

elu = each(lambda x, alpha=1.0: x if x > 0 else alpha * (exp(x) - 1))
selu = each(lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * (exp(x) - 1)))
celu = each(lambda x, alpha=1.0: max(0.0, x) + min(0.0, alpha * (exp(x / alpha) - 1)))
silu = each(lambda x: x * sigmoid(x))
mish = each(lambda x: x * tanh(softplus_exact(x)))
softplus = each(lambda x, beta=1, threshold=20: x if beta * x > threshold else softplus_exact(beta * x) / beta)
logsigmoid = each(lambda x: log(sigmoid(x)))
softsign = each(lambda x: x / (1 + abs(x)))
tanhshrink = each(lambda x: x - tanh(x))


@each
def gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1 + tanh(sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))
    return x * 0.5 * (1 + erf(x / sqrt(2)))


def prelu(x, weight):
    y = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        w = weight.reshape(-1)[i[1] if weight.size > 1 else 0]
        y[i] = x[i] if x[i] > 0 else w * x[i]
    return y


def glu(x, dim=-1):
    x = np.moveaxis(x, dim, -1)
    half = x.shape[-1] // 2
    y = np.zeros((*x.shape[:-1], half))
    for i in np.ndindex(y.shape):
        y[i] = x[i] * sigmoid(x[(*i[:-1], i[-1] + half)])
    return np.moveaxis(y, -1, dim)
