"""Right homework: blocks and networks."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import (
    affine_backward, affine_forward, batchnorm_backward, batchnorm_forward, conv_backward, conv_forward, dropout_backward,
    dropout_forward, first_winner, max_pool_pair, softmax, stable_sigmoid,
)


@right("pair")
def residual_block(rng):
    """Residual block x + relu(xW) with both contributions."""
    def forward(x, w):
        h = np.maximum(x @ w, 0)
        return x + h, (x, w, h)

    def backward(dout, cache):
        x, w, h = cache
        dh = dout * (h > 0)
        return dout + dh @ w.T, x.T @ dh

    return forward, backward, rng.normal(size=(5, 4)), rng.normal(size=(4, 4))


@right("pair")
def rnn_through_time(rng):
    """A tanh network over time with shared weights."""
    def forward(x, h0, wx, wh, b):
        h = [h0]
        for t in range(x.shape[1]):
            h.append(np.tanh(x[:, t] @ wx + h[-1] @ wh + b))
        return np.stack(h[1:], axis=1), (x, wx, wh, h)

    def backward(dh, cache):
        x, wx, wh, h = cache
        dx, dwx, dwh, db = np.zeros_like(x), np.zeros_like(wx), np.zeros_like(wh), 0
        carry = np.zeros_like(h[0])
        for t in reversed(range(x.shape[1])):
            dz = (dh[:, t] + carry) * (1 - h[t + 1] ** 2)
            dx[:, t] = dz @ wx.T
            dwx += x[:, t].T @ dz
            dwh += h[t].T @ dz
            db += dz.sum(axis=0)
            carry = dz @ wh.T
        return dx, carry, dwx, dwh, db

    return (forward, backward, rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4)), rng.normal(size=(3, 4)),
            0.5 * rng.normal(size=(4, 4)), rng.normal(size=4))


@right("pair")
def gru_cell(rng):
    """A GRU cell."""
    def forward(x, h, w, u):
        a, k = x @ w, h.shape[1]
        r = stable_sigmoid(a[:, :k] + h @ u[:, :k])
        z = stable_sigmoid(a[:, k:2 * k] + h @ u[:, k:2 * k])
        n = np.tanh(a[:, 2 * k:] + (r * h) @ u[:, 2 * k:])
        return (1 - z) * n + z * h, (x, h, w, u, r, z, n)

    def backward(dout, cache):
        x, h, w, u, r, z, n = cache
        k = h.shape[1]
        dn = dout * (1 - z) * (1 - n ** 2)
        dz = dout * (h - n) * z * (1 - z)
        drh = dn @ u[:, 2 * k:].T
        dr = drh * h * r * (1 - r)
        da = np.concatenate([dr, dz, dn], axis=1)
        du = np.concatenate([h.T @ dr, h.T @ dz, (r * h).T @ dn], axis=1)
        dh = dout * z + drh * r + dr @ u[:, :k].T + dz @ u[:, k:2 * k].T
        return da @ w.T, dh, x.T @ da, du

    return (forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(3, 2)), rng.normal(size=(4, 6)),
            rng.normal(size=(2, 6)))


@right("loss")
def two_layer_net(rng):
    """CS231n TwoLayerNet; without labels it returns scores."""
    class TwoLayerNet:
        def __init__(self, reg):
            self.reg = reg
            self.params = {"W1": 0.5 * rng.normal(size=(6, 7)), "b1": rng.normal(size=7),
                           "W2": 0.5 * rng.normal(size=(7, 3)), "b2": rng.normal(size=3)}

        def loss(self, X, y=None):
            p, n = self.params, X.shape[0]
            h = np.maximum(0, X.reshape(n, -1) @ p["W1"] + p["b1"])
            scores = h @ p["W2"] + p["b2"]
            if y is None:
                return scores
            prob = softmax(scores)
            loss = -np.mean(np.log(prob[np.arange(n), y]))
            loss += 0.5 * self.reg * (np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2))
            d = (prob - np.eye(3)[y]) / n
            dh = (d @ p["W2"].T) * (h > 0)
            return loss, {"W2": h.T @ d + self.reg * p["W2"], "b2": d.sum(axis=0),
                          "W1": X.reshape(n, -1).T @ dh + self.reg * p["W1"], "b1": dh.sum(axis=0)}

    return TwoLayerNet(0.05), rng.normal(size=(8, 2, 3)), rng.integers(0, 3, size=8)


@right("loss")
def fully_connected_net(rng):
    """Fully connected net with batch norm (running statistics in the model) and dropout from np.random."""
    class FullyConnectedNet:
        def __init__(self):
            self.params = {"W1": rng.normal(size=(5, 6)), "b1": np.zeros(6), "gamma1": rng.uniform(0.5, 2, size=6),
                           "beta1": rng.normal(size=6), "W2": rng.normal(size=(6, 3)), "b2": np.zeros(3)}
            self.bn_params = [{"mode": "train"}]
            self.dropout_param = {"mode": "train", "p": 0.7}

        def loss(self, X, y=None):
            p = self.params
            a, fc1 = affine_forward(X, p["W1"], p["b1"])
            n, bn = batchnorm_forward(a, p["gamma1"], p["beta1"], self.bn_params[0])
            h, drop = dropout_forward(np.maximum(n, 0), self.dropout_param)
            scores, fc2 = affine_forward(h, p["W2"], p["b2"])
            if y is None:
                return scores
            prob = softmax(scores)
            loss = -np.log(prob[np.arange(len(y)), y]).mean()
            grads = {}
            dh, grads["W2"], grads["b2"] = affine_backward((prob - np.eye(3)[y]) / len(y), fc2)
            da, grads["gamma1"], grads["beta1"] = batchnorm_backward(dropout_backward(dh, drop) * (n > 0), bn)
            _, grads["W1"], grads["b1"] = affine_backward(da, fc1)
            return loss, grads

    return FullyConnectedNet(), rng.normal(size=(7, 5)), rng.integers(0, 3, size=7)


@right("loss", costly=True)
def three_layer_conv_net(rng):
    """Conv - ReLU - 2x2 max-pool - affine - softmax."""
    class ThreeLayerConvNet:
        def __init__(self):
            self.params = {"W1": rng.normal(size=(3, 2, 3, 3)), "b1": rng.normal(size=3),
                           "W2": rng.normal(size=(12, 4)), "b2": rng.normal(size=4)}
            self.reg = 0.01

        def loss(self, X, y=None):
            p = self.params
            pool_forward, pool_backward = max_pool_pair(2, 2, first_winner)
            a = conv_forward(X, p["W1"], p["b1"], 1, 1)
            h, pool = pool_forward(np.maximum(a, 0))
            scores, fc = affine_forward(h, p["W2"], p["b2"])
            if y is None:
                return scores
            prob = softmax(scores)
            loss = -np.log(prob[np.arange(len(y)), y]).mean() + 0.5 * self.reg * sum(
                np.sum(p[k] ** 2) for k in ("W1", "W2"))
            grads = {}
            dh, grads["W2"], grads["b2"] = affine_backward((prob - np.eye(4)[y]) / len(y), fc)
            _, grads["W1"], grads["b1"] = conv_backward(pool_backward(dh, pool) * (a > 0), X, p["W1"], 1, 1)
            grads["W1"] += self.reg * p["W1"]
            grads["W2"] += self.reg * p["W2"]
            return loss, grads

    return ThreeLayerConvNet(), rng.normal(size=(3, 2, 4, 4)), rng.integers(0, 4, size=3)


@right("loss")
def word_model(rng):
    """A recurrent language model: X and y are both word indices."""
    class WordModel:
        def __init__(self):
            self.params = {"E": rng.normal(size=(6, 3)), "Wx": rng.normal(size=(3, 4)),
                           "Wh": 0.5 * rng.normal(size=(4, 4)), "Wo": rng.normal(size=(4, 6))}

        def loss(self, X, y):
            p, (n, steps) = self.params, X.shape
            h, total, caches = np.zeros((n, 4)), 0.0, []
            grads = {k: np.zeros_like(v) for k, v in p.items()}
            for t in range(steps):
                new = np.tanh(p["E"][X[:, t]] @ p["Wx"] + h @ p["Wh"])
                prob = softmax(new @ p["Wo"])
                total -= np.log(prob[np.arange(n), y[:, t]]).sum() / n
                caches.append((h, new, prob))
                h = new
            carry = np.zeros((n, 4))
            for t in reversed(range(steps)):
                prev, new, prob = caches[t]
                d = (prob - np.eye(6)[y[:, t]]) / n
                grads["Wo"] += new.T @ d
                dz = (d @ p["Wo"].T + carry) * (1 - new ** 2)
                grads["Wx"] += p["E"][X[:, t]].T @ dz
                grads["Wh"] += prev.T @ dz
                np.add.at(grads["E"], X[:, t], dz @ p["Wx"].T)
                carry = dz @ p["Wh"].T
            return total, grads

    return WordModel(), rng.integers(0, 6, size=(3, 4)), rng.integers(0, 6, size=(3, 4))
