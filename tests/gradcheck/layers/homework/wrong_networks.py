"""Wrong homework: blocks and networks."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import sigmoid, softmax


@wrong("pair", "mask-missing", "local-derivative-missing")
def affine_relu_affine_mask_missing(rng):
    """The ReLU between two affine layers is not undone in backward."""
    def forward(x, w1, w2):
        a = x @ w1
        h = np.maximum(a, 0)
        return h @ w2, (x, w1, w2, h)

    def backward(dout, cache):
        x, w1, w2, h = cache
        dh = dout @ w2.T
        return dh @ w1.T, x.T @ dh, h.T @ dout

    return forward, backward, rng.normal(size=(5, 4)), rng.normal(size=(4, 6)), rng.normal(size=(6, 3))


@wrong("pair", "term-missing", "overwritten")
def residual_shortcut_lost(rng):
    """The gradient through the branch replaces that of the shortcut."""
    def forward(x, w):
        h = np.maximum(x @ w, 0)
        return x + h, (x, w, h)

    def backward(dout, cache):
        x, w, h = cache
        dx = dout
        dh = dout * (h > 0)
        dx = dh @ w.T
        return dx, x.T @ dh

    return forward, backward, rng.normal(size=(6, 5)), rng.normal(size=(5, 5))


@wrong("pair", "extra-term")
def plain_block_with_shortcut_gradient(rng):
    """The shortcut's dout is added although forward has none."""
    def forward(x, w):
        h = np.tanh(x @ w)
        return h, (x, w, h)

    def backward(dout, cache):
        x, w, h = cache
        dz = dout * (1 - h ** 2)
        return dz @ w.T + dout, x.T @ dz

    return forward, backward, rng.normal(size=(6, 5)), rng.normal(size=(5, 5))


def rnn_step_forward(x, h, wx, wh, b):
    """One step of a tanh cell with a cache."""
    new = np.tanh(x @ wx + h @ wh + b)
    return new, (x, h, wx, wh, new)


def rnn_inputs(rng, scale=1.0):
    """x, h, Wx, Wh, b of a small cell."""
    return (rng.normal(size=(4, 3)), rng.normal(size=(4, 5)), scale * rng.normal(size=(3, 5)),
            scale * rng.normal(size=(5, 5)), rng.normal(size=5))


@wrong("pair", "local-derivative-missing", "wrong-local-derivative")
def rnn_step_tanh_forgotten(rng):
    """1 - h**2 is forgotten before the products."""
    def backward(dnext_h, cache):
        x, h, wx, wh, new = cache
        dz = dnext_h
        return dz @ wx.T, dz @ wh.T, x.T @ dz, h.T @ dz, dz.sum(0)

    return (rnn_step_forward, backward) + rnn_inputs(rng, 0.6)


@wrong("pair", "transposed")
def rnn_step_recurrent_weight_transposed(rng):
    """dWh is transposed; it is square, so the shape fits."""
    def backward(dnext_h, cache):
        x, h, wx, wh, new = cache
        dz = dnext_h * (1 - new ** 2)
        return dz @ wx.T, dz @ wh.T, x.T @ dz, dz.T @ h, dz.sum(0)

    return (rnn_step_forward, backward) + rnn_inputs(rng, 0.6)


@wrong("pair", "nonlinear-upstream")
def rnn_step_gradient_clipped(rng):
    """The gradient is clipped to [-0.3, 0.3] inside the step."""
    def backward(dnext_h, cache):
        x, h, wx, wh, new = cache
        dz = dnext_h * (1 - new ** 2)
        grads = [dz @ wx.T, dz @ wh.T, x.T @ dz, h.T @ dz, dz.sum(0)]
        for g in grads:
            np.clip(g, -0.3, 0.3, out=g)
        return tuple(grads)

    return (rnn_step_forward, backward) + rnn_inputs(rng, 0.6)


@wrong("object", "swapped-gradients")
def rnn_cell_grads_in_wrong_order(rng):
    """grads lists dWh before dWx while params lists Wx first; both are square."""
    class RNN:
        def __init__(self, Wx, Wh, b, h):
            self.params = [Wx, Wh, b]
            self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
            self.h = h

        def forward(self, x):
            Wx, Wh, b = self.params
            out = np.tanh(x @ Wx + self.h @ Wh + b)
            self.cache = x, self.h, out
            return out

        def backward(self, dout):
            x, h, out = self.cache
            dz = dout * (1 - out ** 2)
            for g, new in zip(self.grads, (h.T @ dz, x.T @ dz, dz.sum(0))):
                g[...] = new
            return dz @ self.params[0].T

    return (RNN(0.5 * rng.normal(size=(4, 4)), 0.5 * rng.normal(size=(4, 4)), rng.normal(size=4),
                rng.normal(size=(5, 4))), rng.normal(size=(5, 4)))


@wrong("pair", "overwritten")
def rnn_through_time_assigned(rng):
    """dWh is assigned in each time step, only the first step's share is left."""
    def forward(x, wh):
        h = [np.zeros((x.shape[0], x.shape[2]))]
        for t in range(x.shape[1]):
            h.append(np.tanh(x[:, t] + h[-1] @ wh + 0.2))
        return np.stack(h[1:], axis=1), (x, wh, h)

    def backward(dh, cache):
        x, wh, h = cache
        dx = np.zeros_like(x)
        carry = np.zeros((x.shape[0], x.shape[2]))
        dwh = np.zeros_like(wh)
        for t in reversed(range(1, x.shape[1])):
            dz = (dh[:, t] + carry) * (1 - h[t + 1] ** 2)
            dx[:, t] = dz
            dwh = h[t].T @ dz
            carry = dz @ wh.T
        dx[:, 0] = (dh[:, 0] + carry) * (1 - h[1] ** 2)
        return dx, dwh

    return forward, backward, rng.normal(size=(3, 5, 4)), 0.5 * rng.normal(size=(4, 4))


@wrong("pair", "term-missing")
def gated_cell_candidate_path_missing(rng):
    """The path of h through the candidate is left out of dh."""
    def forward(x, h, wz, wn):
        z = sigmoid(np.concatenate([x, h], axis=1) @ wz)
        n = np.tanh(np.concatenate([x, h], axis=1) @ wn)
        return (1 - z) * h + z * n, (x, h, wz, wn, z, n)

    def backward(dout, cache):
        x, h, wz, wn, z, n = cache
        xh = np.concatenate([x, h], axis=1)
        da = dout * (n - h) * z * (1 - z)
        dn = dout * z * (1 - n ** 2)
        d = x.shape[1]
        dx = (da @ wz.T + dn @ wn.T)[:, :d]
        dh = dout * (1 - z) + (da @ wz.T)[:, d:]
        return dx, dh, xh.T @ da, xh.T @ dn

    return (forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(4, 4)), rng.normal(size=(7, 4)),
            rng.normal(size=(7, 4)))


class TwoLayerNet:
    """Affine, ReLU, affine, softmax with L2 regularisation of both weights; the flags switch a mistake on."""

    def __init__(self, rng, reg=0.1, mistake=""):
        self.reg, self.mistake = reg, mistake
        self.params = {"W1": rng.normal(size=(6, 7)), "b1": rng.normal(size=7), "W2": rng.normal(size=(7, 3)),
                       "b2": rng.normal(size=3)}

    def loss(self, X, y=None):
        p, n = self.params, X.shape[0]
        h = np.maximum(0, X @ p["W1"] + p["b1"])
        scores = h @ p["W2"] + p["b2"]
        if y is None:
            return scores
        prob = softmax(scores)
        loss = -np.mean(np.log(prob[np.arange(n), y]))
        loss += 0.5 * self.reg * (np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2))
        return loss, self.gradients(X, y, h, prob)

    def gradients(self, X, y, h, prob):
        p, n, grads = self.params, X.shape[0], {}
        d = prob.copy()
        d[np.arange(n), y] -= 1
        d /= n
        grads["W2"] = h.T @ d
        if self.mistake != "reg of W2 missing":
            grads["W2"] = grads["W2"] + self.reg * p["W2"]
        grads["b2"] = d.sum(axis=0)
        dh = d @ p["W2"].T
        if self.mistake != "mask missing":
            dh[h <= 0] = 0
        factor = 2 if self.mistake == "reg twice" else 1
        grads["W1"] = X.T @ dh + factor * self.reg * p["W1"]
        grads["b1"] = dh.sum(axis=0)
        if self.mistake == "reg on biases":
            grads["b1"] = grads["b1"] + self.reg * p["b1"]
            grads["b2"] = grads["b2"] + self.reg * p["b2"]
        if self.mistake == "b1 absent":
            del grads["b1"]
        return grads


def two_layer(rng, **options):
    """A net, a batch and labels."""
    return TwoLayerNet(rng, **options), rng.normal(size=(8, 6)), rng.integers(0, 3, size=8)


@wrong("loss", "extra-term")
def two_layer_regularised_biases(rng):
    """The biases get a regularisation gradient though the loss does not regularise them."""
    return two_layer(rng, mistake="reg on biases")


@wrong("loss", "missing-gradient")
def two_layer_b1_absent(rng):
    """grads has no b1."""
    return two_layer(rng, mistake="b1 absent")


@wrong("loss", "mask-missing", "local-derivative-missing")
def two_layer_relu_forgotten(rng):
    """The gradient is not masked by the ReLU."""
    return two_layer(rng, mistake="mask missing")


@wrong("loss", "term-missing")
def two_layer_small_regularisation_missing(rng):
    """The regularisation of W2 is missing, about a thousandth of the gradient."""
    return two_layer(rng, reg=3e-4, mistake="reg of W2 missing")


@wrong("loss", "extra-term", "term-missing", "constant-factor", costly=True)
def two_layer_regularisation_doubled(rng):
    """The loss has 0.5*reg*W**2, the gradient 2*reg*W instead of reg*W."""
    return two_layer(rng, mistake="reg twice")


class MasksByGradient:
    """Two layers with a softmax loss."""

    def __init__(self, rng):
        self.params = {"W1": rng.normal(size=(4, 6)), "b1": rng.normal(size=6), "W2": rng.normal(size=(6, 3)), "b2": rng.normal(size=3)}

    def loss(self, X, y):
        p, n = self.params, np.arange(len(y))
        h = np.maximum(X @ p["W1"] + p["b1"], 0)
        d = softmax(h @ p["W2"] + p["b2"])
        value = -np.log(d[n, y]).mean() + 0.1 * sum((p[k] ** 2).sum() for k in ("W1", "W2"))
        d[n, y] -= 1
        d /= len(y)
        dh = d @ p["W2"].T
        dh[dh < 0] = 0
        return value, {"W2": h.T @ d + 0.2 * p["W2"], "b2": d.sum(0), "W1": X.T @ dh + 0.2 * p["W1"], "b1": dh.sum(0)}


@wrong("loss", "guided")
def net_relu_masks_the_gradient_by_itself(rng):
    """dh[dh < 0] = 0 where dh[h <= 0] = 0 is meant."""
    return MasksByGradient(rng), rng.normal(size=(5, 4)), rng.integers(0, 3, 5)
