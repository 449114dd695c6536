"""Wrong homework: a mistake of every kind, in layers and nets of several steps."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import softmax


@wrong("pair", "shifted")
def conv1d_same_padding_off_by_one(rng):
    """'Same' padding puts one more zero on the right; backward cuts one off on the left."""
    def forward(x, w):
        xp = np.pad(x, ((0, 0), (0, 0), (1, 2)))
        out = sum(np.einsum("nct,fc->nft", xp[:, :, k:k + x.shape[2]], w[:, :, k]) for k in range(4))
        return out, (xp, w)

    def backward(dout, cache):
        xp, w = cache
        T = dout.shape[2]
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for k in range(4):
            dxp[:, :, k:k + T] += np.einsum("nft,fc->nct", dout, w[:, :, k])
            dw[:, :, k] = np.einsum("nft,nct->fc", dout, xp[:, :, k:k + T])
        return dxp[:, :, 2:-1], dw

    return forward, backward, rng.normal(size=(2, 3, 7)), rng.normal(size=(2, 3, 4))


@wrong("pair", "wrong-slice", "term-missing")
def conv_strided_last_column_never_visited(rng):
    """The loop over output columns in backward ends one early."""
    def forward(x, w):
        N, C, H, W = x.shape
        F, _, K, L = w.shape
        out = np.zeros((N, F, (H - K) // 2 + 1, (W - L) // 2 + 1))
        for i in range(out.shape[2]):
            for j in range(out.shape[3]):
                out[:, :, i, j] = np.tensordot(x[:, :, 2 * i:2 * i + K, 2 * j:2 * j + L], w, axes=([1, 2, 3], [1, 2, 3]))
        return out, (x, w)

    def backward(dout, cache):
        x, w = cache
        K, L = w.shape[2:]
        dx, dw = np.zeros(x.shape), np.zeros(w.shape)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3] - 1):
                win = np.s_[:, :, 2 * i:2 * i + K, 2 * j:2 * j + L]
                dx[win] += np.tensordot(dout[:, :, i, j], w, axes=(1, 0))
                dw += np.tensordot(dout[:, :, i, j], x[win], axes=(0, 0))
        return dx, dw

    return forward, backward, rng.normal(size=(2, 2, 5, 7)), rng.normal(size=(3, 2, 3, 3))


@wrong("pair", "constant-factor")
def average_pool_one_d_stride_for_window(rng):
    """Windows of three with stride two; backward divides by the stride."""
    def forward(x):
        T = (x.shape[2] - 3) // 2 + 1
        return np.stack([x[:, :, 2 * t:2 * t + 3].mean(axis=2) for t in range(T)], axis=2), x.shape

    def backward(dout, shape):
        dx = np.zeros(shape)
        for t in range(dout.shape[2]):
            dx[:, :, 2 * t:2 * t + 3] += dout[:, :, t:t + 1] / 2
        return dx

    return forward, backward, rng.normal(size=(2, 3, 9))


@wrong("pair", "term-missing")
def groupnorm_mean_path_missing(rng):
    """Group norm; the gradient through the group's mean is left out."""
    def forward(x, gamma, beta):
        N, C, H, W = x.shape
        g = x.reshape(N, 3, -1)
        inv = 1 / np.sqrt(g.var(axis=2, keepdims=True) + 1e-5)
        h = (g - g.mean(axis=2, keepdims=True)) * inv
        return h.reshape(x.shape) * gamma[:, None, None] + beta[:, None, None], (h, inv, gamma)

    def backward(dout, cache):
        h, inv, gamma = cache
        d = (dout * gamma[:, None, None]).reshape(h.shape)
        dx = inv * (d - h * (d * h).mean(axis=2, keepdims=True))
        return (dx.reshape(dout.shape), (dout * h.reshape(dout.shape)).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3)))

    return forward, backward, rng.normal(size=(2, 6, 2, 3)), rng.uniform(0.5, 2, 6), rng.normal(size=6)


@wrong("pair", "constant-factor")
def instance_norm_unbiased_variance_forgotten(rng):
    """All of the gradient is divided by n - 1, as the unbiased variance is, where forward takes the biased one."""
    def forward(x):
        m, v = x.mean(axis=2, keepdims=True), x.var(axis=2, keepdims=True)
        s = np.sqrt(v + 1e-5)
        return (x - m) / s, ((x - m) / s, s)

    def backward(dout, cache):
        h, s = cache
        n = h.shape[2]
        return (n * dout - dout.sum(axis=2, keepdims=True) - h * (dout * h).sum(axis=2, keepdims=True)) / s / (n - 1)

    return forward, backward, rng.normal(size=(2, 3, 6))


@wrong("pair", "missing-gradient")
def film_shift_not_returned(rng):
    """FiLM: gamma(c) x + beta(c); the weight of beta gets None."""
    def forward(x, c, Wg, Wb):
        return x * (c @ Wg)[:, :, None] + (c @ Wb)[:, :, None], (x, c, Wg, Wb)

    def backward(dout, cache):
        x, c, Wg, Wb = cache
        dg, db = (dout * x).sum(axis=2), dout.sum(axis=2)
        return dout * (c @ Wg)[:, :, None], dg @ Wg.T + db @ Wb.T, c.T @ dg, None

    return forward, backward, *(rng.normal(size=size) for size in ((3, 4, 5), (3, 2), (2, 4), (2, 4)))


@wrong("pair", "term-missing")
def residual_preactivation_identity_through_norm(rng):
    """Pre-activation residual: x + f(norm(x)); the shortcut is sent through the norm as well and lost."""
    def forward(x, W):
        s = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        h = (x - x.mean(axis=1, keepdims=True)) / s
        return x + np.maximum(h, 0) @ W, (h, s, W)

    def backward(dout, cache):
        h, s, W = cache
        d = dout @ W.T * (h > 0)
        dx = (d - d.mean(axis=1, keepdims=True) - h * (d * h).mean(axis=1, keepdims=True)) / s
        return dx, np.maximum(h, 0).T @ dout

    return forward, backward, rng.normal(size=(4, 5)), rng.normal(size=(5, 5))


@wrong("pair", "diagonal-only")
def attention_pooling_softmax_derivative(rng):
    """Attention pooling over time with s = softmax(x w); ds uses a (1 - a)."""
    def forward(x, w):
        a = softmax(x @ w, axis=1)
        return (a[:, :, None] * x).sum(axis=1), (x, w, a)

    def backward(dout, cache):
        x, w, a = cache
        da = (dout[:, None] * x).sum(axis=2)
        ds = da * a * (1 - a)
        return dout[:, None] * a[:, :, None] + ds[:, :, None] * w, np.einsum("nt,ntd->d", ds, x)

    return forward, backward, rng.normal(size=(3, 4, 3)), rng.normal(size=3)


@wrong("pair", "batch-only", "wrong-slice", "overwritten")
def spectral_batch_of_first_example(rng):
    """The weight gradient uses the first example's input for all of them."""
    def forward(x, w):
        return np.tanh(x @ w), (x, w)

    def backward(dout, cache):
        x, w = cache
        d = dout * (1 - np.tanh(x @ w) ** 2)
        return d @ w.T, np.repeat(x[:1], len(x), axis=0).T @ d

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(3, 5))


class Stack:
    """Two affine layers with a batch norm between them, by hand."""

    def __init__(self, rng):
        self.params = {"W1": rng.normal(size=(4, 5)), "g": rng.uniform(0.5, 2, 5), "W2": rng.normal(size=(5, 3))}
        self.grads = {}

    def forward(self, x):
        p = self.params
        self.x, z = x, x @ p["W1"]
        self.s = np.sqrt(z.var(axis=0) + 1e-5)
        self.h = (z - z.mean(axis=0)) / self.s
        self.y = np.maximum(self.h * p["g"], 0)
        return self.y @ p["W2"]

    def backward(self, dout):
        p, g = self.params, self.grads
        g["W2"] = self.y.T @ dout
        d = dout @ p["W2"].T * (self.y > 0)
        g["g"] = (d * self.h).sum(axis=0)
        dz = self.norm(d * p["g"])
        g["W1"] = self.x.T @ dz
        return dz @ p["W1"].T


@wrong("pair", "overwritten", "term-missing")
def tied_transition_first_use_forgotten(rng):
    """sin(sin(x W) W), the same W twice; dW holds what the outer use contributes."""
    def forward(x, W):
        h = np.sin(x @ W)
        return np.sin(h @ W), (x, W, h)

    def backward(dout, cache):
        x, W, h = cache
        dz = dout * np.cos(h @ W)
        return (dz @ W.T * np.cos(x @ W)) @ W.T, h.T @ dz

    return forward, backward, rng.normal(size=(5, 4)), rng.normal(size=(4, 4))


@wrong("pair", "swapped-gradients")
def gates_concatenated_in_another_order(rng):
    """A cell's input, forget and output gates are split in this order and put together as output, input, forget."""
    def forward(x, W):
        a, b, c = np.split(x @ W, 3, axis=1)
        return np.tanh(a) * b + c, (x, W, a, b)

    def backward(dout, cache):
        x, W, a, b = cache
        dz = np.concatenate([dout, dout * np.tanh(a), dout * b * (1 - np.tanh(a) ** 2)], axis=1)
        return dz @ W.T, x.T @ dz

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(3, 9))


@wrong("pair", "mask-missing")
def dropout_on_attention_weights_forgotten(rng):
    """Attention weights pass through dropout with a fixed mask; the scores' gradient does without it."""
    keep = (rng.random((2, 4, 4)) > 0.3) / 0.7

    def forward(scores, values):
        p = softmax(scores)
        return (p * keep) @ values, (p, values)

    def backward(dout, cache):
        p, values = cache
        dp = dout @ values.swapaxes(1, 2)
        return p * (dp - (p * dp).sum(axis=2, keepdims=True)), (p * keep).swapaxes(1, 2) @ dout

    return forward, backward, rng.normal(size=(2, 4, 4)), rng.normal(size=(2, 4, 3))


@wrong("pair", "mask-missing")
def max_over_time_hands_to_the_smallest(rng):
    """The largest of every three neighbours; the mask marks the smallest."""
    def forward(x):
        windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)
        return windows.max(axis=2), (x, windows.argmin(axis=2))

    def backward(dout, cache):
        x, place = cache
        dx = np.zeros_like(x)
        np.add.at(dx, (np.arange(len(x))[:, None], place + np.arange(place.shape[1])), dout)
        return dx

    return forward, backward, rng.normal(size=(3, 7))


@wrong("loss", "wrong-region", "mask-missing")
def expectile_loss_one_slope(rng):
    """|e| counts 0.8 above and 0.2 below the target; the gradient has 0.8 everywhere."""
    def loss(x, y):
        e = y - x
        return np.where(e > 0, 0.8 * e, -0.2 * e).sum(), np.full_like(x, -0.8)

    return loss, rng.normal(size=10), rng.uniform(0.5, 1.5, 10) * rng.choice([-1, 1], 10)


@wrong("object", "diagonal-only", "term-missing")
def stack_norm_as_scale(rng):
    """The batch norm between two layers: mean and deviation as constants."""
    class Net(Stack):
        def norm(self, d):
            return d / self.s
    return Net(rng), rng.normal(size=(6, 4))


@wrong("object", "factor-per-axis")
def stack_norm_deviation_forgotten(rng):
    """The division by the deviation is missing on the way back."""
    class Net(Stack):
        def norm(self, d):
            return d - d.mean(axis=0) - self.h * (d * self.h).mean(axis=0)
    return Net(rng), rng.normal(size=(6, 4))


@wrong("loss", "wrong-local-derivative", "factor-per-axis")
def logistic_loss_exponential_form(rng):
    """log(1 + exp(-m)) with the derivative of exp(-m)."""
    def loss(w, X, y):
        m = y * (X @ w)
        return np.log1p(np.exp(-m)).sum(), -(X * (y * np.exp(-m))[:, None]).sum(axis=0)
    return loss, 0.5 * rng.normal(size=4), rng.normal(size=(7, 4)), rng.choice([-1.0, 1.0], 7)


@wrong("loss", "mask-missing", "wrong-region")
def margin_ranking_inactive_pairs(rng):
    """max(0, 1 - (a - b)): pairs beyond the margin get a gradient as well."""
    def loss(a, b):
        m = np.maximum(0, 1 - (a - b))
        return m.mean(), -np.ones_like(a) / a.size, np.ones_like(b) / b.size
    return loss, 2 * rng.normal(size=10), rng.normal(size=10)


@wrong("loss", "term-missing")
def elastic_net_sign_part_missing(rng):
    """Least squares with l1 and l2 penalties; the l1 part has no gradient."""
    def loss(w, X, y):
        e = X @ w - y
        return (e ** 2).mean() + 0.1 * np.abs(w).sum() + 0.05 * (w ** 2).sum(), 2 * X.T @ e / len(y) + 0.1 * w
    return loss, rng.normal(size=5), rng.normal(size=(8, 5)), rng.normal(size=8)


class NormNet:
    """A net with a batch norm as CS231n wants it: params, reg, loss(X, y)."""

    def __init__(self, rng):
        self.reg = 0.1
        self.params = {"W1": rng.normal(size=(4, 6)), "b1": np.zeros(6), "gamma1": np.ones(6), "beta1": np.zeros(6),
                       "W2": rng.normal(size=(6, 3)), "b2": np.zeros(3)}

    def loss(self, X, y):
        p = self.params
        z = X @ p["W1"] + p["b1"]
        s = np.sqrt(z.var(axis=0) + 1e-5)
        h = (z - z.mean(axis=0)) / s
        a = p["gamma1"] * h + p["beta1"]
        r = np.maximum(a, 0)
        prob = softmax(r @ p["W2"] + p["b2"])
        n = np.arange(len(y))
        loss = -np.log(prob[n, y]).mean() + 0.5 * self.reg * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum())
        d = prob.copy()
        d[n, y] -= 1
        d /= len(y)
        return loss, self.grads(X, z, s, h, a, r, d)


@wrong("loss", "factor-per-axis")
def norm_net_gamma_forgotten_at_ones(rng):
    """gamma1 is still one, and its factor is missing on the way to W1."""
    class Net(NormNet):
        def grads(self, X, z, s, h, a, r, d):
            p, g = self.params, {}
            g["W2"], g["b2"] = r.T @ d + self.reg * p["W2"], d.sum(0)
            da = d @ p["W2"].T * (a > 0)
            g["gamma1"], g["beta1"] = (da * h).sum(0), da.sum(0)
            dz = (da - da.mean(0) - h * (da * h).mean(0)) / s
            g["W1"], g["b1"] = X.T @ dz + self.reg * p["W1"], dz.sum(0)
            return g
    return Net(rng), rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
