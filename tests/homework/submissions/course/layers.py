"""Right solutions for specs/course.toml and specs/course.py."""

import numpy as np


def leaky_forward(x):
    return np.where(x > 0, x, 0.1 * x), x


def leaky_backward(dout, cache):
    return np.where(cache > 0, dout, 0.1 * dout)


class Linear:
    def __init__(self, D, M):
        self.params = {"W": np.random.randn(D, M), "b": np.zeros(M)}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads = {"W": self.x.T @ dout, "b": dout.sum(axis=0)}
        return dout @ self.params["W"].T


class TwoLayerNet:
    def __init__(self, D, H, K):
        self.params = {"W1": np.random.randn(D, H), "W2": np.random.randn(H, K)}

    def loss(self, x, y):
        W1, W2 = self.params["W1"], self.params["W2"]
        h = np.maximum(x @ W1, 0)
        scores = h @ W2
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        d = p.copy()
        d[np.arange(len(y)), y] -= 1
        d /= len(y)
        return -np.log(p[np.arange(len(y)), y]).mean(), {"W1": x.T @ (d @ W2.T * (h > 0)), "W2": h.T @ d}
