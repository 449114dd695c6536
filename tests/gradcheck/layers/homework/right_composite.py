"""Right homework: functions of several steps, fresh weights, labels as floats."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import sigmoid, softmax
from tests.gradcheck.layers.homework.wrong_composite import ConvPoolLinear
from tests.gradcheck.layers.homework.wrong_criteria import DeepModel


@right("pair")
def conv_bn_relu(rng):
    """1x1 convolution, spatial batch norm, ReLU."""
    def forward(x, w, gamma, beta):
        z = np.einsum("nchw,fc->nfhw", x, w)
        mu, var = z.mean(axis=(0, 2, 3), keepdims=True), z.var(axis=(0, 2, 3), keepdims=True)
        inv = 1 / np.sqrt(var + 1e-5)
        h = (z - mu) * inv
        y = gamma[:, None, None] * h + beta[:, None, None]
        return np.maximum(y, 0), (x, w, gamma, h, inv, y)

    def backward(dout, cache):
        x, w, gamma, h, inv, y = cache
        ax = dict(axis=(0, 2, 3), keepdims=True)
        dy = dout * (y > 0)
        dh = dy * gamma[:, None, None]
        dz = inv * (dh - dh.mean(**ax) - h * (dh * h).mean(**ax))
        return (np.einsum("nfhw,fc->nchw", dz, w), np.einsum("nfhw,nchw->fc", dz, x), (dy * h).sum(axis=(0, 2, 3)),
                dy.sum(axis=(0, 2, 3)))

    return forward, backward, rng.normal(size=(3, 2, 3, 4)), rng.normal(size=(3, 2)), np.ones(3), np.zeros(3)


@right("pair")
def multi_head_attention(rng):
    """Two heads, a causal mask."""
    def split(z):
        n, t, d = z.shape
        return z.reshape(n, t, 2, d // 2).transpose(0, 2, 1, 3)

    def join(z):
        return z.transpose(0, 2, 1, 3).reshape(z.shape[0], z.shape[2], -1)

    def forward(q, k, v):
        Q, K, V = split(q), split(k), split(v)
        S = Q @ K.transpose(0, 1, 3, 2) / np.sqrt(Q.shape[-1]) + np.triu(np.full((4, 4), -1e30), 1)
        A = softmax(S)
        return join(A @ V), (Q, K, V, A)

    def backward(dout, cache):
        Q, K, V, A = cache
        dO = split(dout)
        dV, dA = A.transpose(0, 1, 3, 2) @ dO, dO @ V.transpose(0, 1, 3, 2)
        dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True)) / np.sqrt(Q.shape[-1])
        return join(dS @ K), join(dS.transpose(0, 1, 3, 2) @ Q), join(dV)

    return forward, backward, *(rng.normal(size=(2, 4, 6)) for _ in range(3))


@right("pair")
def lstm_sequence(rng):
    """An LSTM over time, initial cell zero."""
    def forward(x, h0, Wx, Wh):
        h, c, steps = h0, np.zeros_like(h0), []
        for t in range(x.shape[1]):
            i, f, o, g = np.split(x[:, t] @ Wx + h @ Wh, 4, axis=1)
            i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
            prev_c, c = c, f * c + i * g
            prev, h = h, o * np.tanh(c)
            steps.append((prev, prev_c, i, f, o, g, c, h))
        return np.stack([s[-1] for s in steps], axis=1), (x, Wx, Wh, steps)

    def backward(dout, cache):
        x, Wx, Wh, steps = cache
        dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
        dh = dc = 0
        for t in reversed(range(x.shape[1])):
            prev, prev_c, i, f, o, g, c, h = steps[t]
            d = dout[:, t] + dh
            dc = dc + d * o * (1 - np.tanh(c) ** 2)
            da = np.hstack([dc * g * i * (1 - i), dc * prev_c * f * (1 - f), d * np.tanh(c) * o * (1 - o), dc * i * (1 - g * g)])
            dx[:, t], dh, dc = da @ Wx.T, da @ Wh.T, dc * f
            dWx += x[:, t].T @ da
            dWh += prev.T @ da
        return dx, dh, dWx, dWh

    return forward, backward, rng.normal(size=(2, 3, 2)), np.zeros((2, 3)), rng.normal(size=(2, 12)), rng.normal(size=(3, 12)) / 2


@right("pair")
def bag_of_words(rng):
    """Mean of embeddings, words repeated."""
    def forward(idx, E, W):
        m = E[idx].mean(axis=1)
        return m @ W, (idx, E, W, m)

    def backward(dout, cache):
        idx, E, W, m = cache
        dE = np.zeros_like(E)
        np.add.at(dE, idx, (dout @ W.T / idx.shape[1])[:, None])
        return None, dE, m.T @ dout

    return forward, backward, np.array([[0, 1, 1], [2, 0, 4]]), rng.normal(size=(5, 3)), rng.normal(size=(3, 2))


@right("pair")
def bilinear_sampler(rng):
    """Sampling a picture at real places, a few exactly on pixels."""
    def forward(img, xs, ys):
        x0, y0 = np.floor(xs).astype(int), np.floor(ys).astype(int)
        fx, fy = xs - x0, ys - y0
        a, b, c, d = img[y0, x0], img[y0, x0 + 1], img[y0 + 1, x0], img[y0 + 1, x0 + 1]
        top, low = a * (1 - fx) + b * fx, c * (1 - fx) + d * fx
        return top * (1 - fy) + low * fy, (img.shape, x0, y0, fx, fy, a, b, c, d, top, low)

    def backward(dout, cache):
        shape, x0, y0, fx, fy, a, b, c, d, top, low = cache
        dimg = np.zeros(shape)
        for dy, wy in ((0, 1 - fy), (1, fy)):
            for dx, wx in ((0, 1 - fx), (1, fx)):
                np.add.at(dimg, (y0 + dy, x0 + dx), dout * wy * wx)
        return dimg, dout * ((b - a) * (1 - fy) + (d - c) * fy), dout * (low - top)

    xs, ys = rng.uniform(0.1, 4.9, 7), rng.uniform(0.1, 3.9, 7)
    xs[0], ys[1] = 2.0, 3.0
    return forward, backward, rng.normal(size=(5, 6)), xs, ys


@right("pair")
def channel_attention(rng):
    """CBAM's channel gate from mean plus maximum."""
    def forward(x, W):
        z = x.reshape(*x.shape[:2], -1)
        s = sigmoid((z.mean(axis=2) + z.max(axis=2)) @ W)
        return x * s[:, :, None, None], (x, z, W, s)

    def backward(dout, cache):
        x, z, W, s = cache
        ds = (dout * x).sum(axis=(2, 3)) * s * (1 - s)
        dz = (ds @ W.T)[:, :, None]
        top = np.zeros_like(z)
        np.put_along_axis(top, z.argmax(axis=2)[..., None], 1, axis=2)
        return dout * s[:, :, None, None] + (dz / z.shape[2] + dz * top).reshape(x.shape), (z.mean(axis=2) + z.max(axis=2)).T @ ds

    return forward, backward, rng.normal(size=(2, 3, 3, 4)), rng.normal(size=(3, 3))


@right("pair")
def distances_with_zero_diagonal(rng):
    """Distances between all rows; zero slope for a row and itself."""
    def forward(x):
        d = x[:, None] - x[None]
        r = np.sqrt((d ** 2).sum(axis=2))
        return r, (d, r)

    def backward(dout, cache):
        d, r = cache
        g = dout[:, :, None] * d / np.where(r > 0, r, 1)[:, :, None]
        return g.sum(axis=1) - g.sum(axis=0)

    return forward, backward, rng.normal(size=(4, 3))


@right("pair")
def labels_one_hot_none(rng):
    """Cross entropy of one-hot labels as floats, for which None is returned."""
    def forward(x, t):
        p = softmax(x, axis=1)
        return -(t * np.log(p)).sum(axis=1), (p, t)

    def backward(dout, cache):
        p, t = cache
        return dout[:, None] * (p - t), None

    return forward, backward, rng.normal(size=(4, 3)), np.eye(3)[rng.integers(0, 3, 4)]


@right("pair")
def cross_entropy_of_clipped_probabilities(rng):
    """Probabilities clipped to [1e-12, 1]; the clip never acts and is not in backward."""
    def forward(p, t):
        return -(t * np.log(np.clip(p, 1e-12, 1 - 1e-12)) + (1 - t) * np.log(np.clip(1 - p, 1e-12, 1))), (p, t)

    def backward(dout, cache):
        p, t = cache
        return dout * (p - t) / (p * (1 - p))

    return forward, backward, rng.uniform(0.05, 0.97, (4, 3)), rng.integers(0, 2, (4, 3)).astype(float)


@right("pair")
def batchnorm_fresh(rng):
    """gamma of ones and beta of zeros, as every layer begins."""
    def forward(x, gamma, beta, bn_param):
        s = np.sqrt(x.var(axis=0) + bn_param["eps"])
        h = (x - x.mean(axis=0)) / s
        return gamma * h + beta, (h, s, gamma)

    def backward(dout, cache):
        h, s, gamma = cache
        d = dout * gamma
        return (d - d.mean(axis=0) - h * (d * h).mean(axis=0)) / s, (dout * h).sum(axis=0), dout.sum(axis=0)

    return forward, backward, rng.normal(size=(5, 3)), np.ones(3), np.zeros(3), {"eps": 1e-5}


@right("pair")
def monotone_network_positive_weights(rng):
    """Weights are exponentials; backward uses the output of the exponential."""
    def forward(x, v):
        w = np.exp(v)
        return np.log1p(np.exp(x @ w)), (x, w)

    def backward(dout, cache):
        x, w = cache
        d = dout * sigmoid(x @ w)
        return d @ w.T, (x.T @ d) * w

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(3, 2))


@right("pair")
def wrapped_angle(rng):
    """arctan2, angles in all quadrants."""
    def forward(y, x):
        return np.arctan2(y, x), (y, x)

    def backward(dout, cache):
        y, x = cache
        r = x * x + y * y
        return dout * x / r, -dout * y / r

    return forward, backward, rng.normal(size=8), rng.normal(size=8)


@right("pair")
def top_k_kept(rng):
    """The three largest of each row stay, the rest is zero."""
    def forward(x):
        keep = x >= np.sort(x, axis=1)[:, -3:-2]
        return x * keep, keep

    def backward(dout, keep):
        return dout * keep

    return forward, backward, rng.normal(size=(3, 7))


@right("pair")
def power_mean_pool(rng):
    """Generalised mean pooling with a learned exponent."""
    def forward(x, p):
        m = (x ** p).mean(axis=(2, 3))
        return m ** (1 / p), (x, p, m)

    def backward(dout, cache):
        x, p, m = cache
        y = m ** (1 / p)
        d = dout * y / (p * m)
        dx = d[:, :, None, None] * p * x ** (p - 1) / (x.shape[2] * x.shape[3])
        dp = (dout * y * ((x ** p * np.log(x)).mean(axis=(2, 3)) / (p * m) - np.log(m) / p ** 2)).sum()
        return dx, dp

    return forward, backward, rng.uniform(0.2, 2, (2, 3, 3, 2)), np.array(3.0)


@right("pair")
def cosine_rows(rng):
    """Cosine similarity of rows."""
    def forward(a, b):
        na, nb = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        return (a * b).sum(axis=1) / (na * nb), (a, b, na, nb)

    def backward(dout, cache):
        a, b, na, nb = (z if z.ndim == 2 else z[:, None] for z in cache)
        s, d = (a * b).sum(axis=1, keepdims=True) / (na * nb), dout[:, None]
        return d * (b / (na * nb) - s * a / na ** 2), d * (a / (na * nb) - s * b / nb ** 2)

    return forward, backward, rng.normal(size=(4, 5)), 100 * rng.normal(size=(4, 5))


@right("object")
def conv_pool_linear(rng):
    """Convolution, ReLU, pooling, linear in one object."""
    class Net(ConvPoolLinear):
        def backward(self, dout):
            self.grads["W"], self.grads["b"] = self.flat.T @ dout, dout.sum(axis=0)
            return self.rest(self.to_pixels(dout) * (self.z > 0))
    return Net(rng), rng.normal(size=(3, 2, 8))


@right("object")
def fresh_layer_norm(rng):
    """A layer norm as it begins: ones and zeros."""
    class LayerNorm:
        def __init__(self, d):
            self.gain, self.bias = np.ones(d), np.zeros(d)

        def forward(self, x):
            self.s = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
            self.h = (x - x.mean(axis=1, keepdims=True)) / self.s
            return self.gain * self.h + self.bias

        def backward(self, dout):
            self.dgain, self.dbias = (dout * self.h).sum(axis=0), dout.sum(axis=0)
            d = dout * self.gain
            return (d - d.mean(axis=1, keepdims=True) - self.h * (d * self.h).mean(axis=1, keepdims=True)) / self.s
    return LayerNorm(5), rng.normal(size=(4, 5))


@right("object")
def zero_initialised_residual(rng):
    """A residual branch whose last weights are zero: its inner gradients vanish."""
    class Residual:
        def __init__(self):
            self.params = {"A": rng.normal(size=(4, 5)), "B": np.zeros((5, 4)), "scale": np.ones(4)}
            self.grads = {}

        def forward(self, x):
            p = self.params
            self.x, self.h = x, np.tanh(x @ p["A"])
            self.r = self.h @ p["B"]
            return x + self.r * p["scale"]

        def backward(self, dout):
            p, g = self.params, self.grads
            g["scale"] = (dout * self.r).sum(axis=0)
            d = dout * p["scale"]
            g["B"] = self.h.T @ d
            dz = d @ p["B"].T * (1 - self.h ** 2)
            g["A"] = self.x.T @ dz
            return dout + dz @ p["A"].T
    return Residual(), rng.normal(size=(3, 4))


@right("object")
def weights_shared_with_transpose(rng):
    """An autoencoder with tied weights as an object."""
    class Tied:
        def __init__(self):
            self.W = rng.normal(size=(4, 2))

        def forward(self, x):
            self.x = x
            self.h = np.tanh(x @ self.W)
            return self.h @ self.W.T

        def backward(self, dout):
            dh = dout @ self.W * (1 - self.h ** 2)
            self.dW = self.x.T @ dh + dout.T @ self.h
            return dh @ self.W.T
    return Tied(), rng.normal(size=(3, 4))


@right("loss")
def temporal_softmax(rng):
    """Captioning loss with null tokens."""
    def temporal_softmax_loss(x, y, mask):
        N, T, V = x.shape
        p = softmax(x)
        n, t = np.arange(N)[:, None], np.arange(T)
        dx = p.copy()
        dx[n, t, y] -= 1
        return -(mask * np.log(p[n, t, y])).sum() / N, dx * mask[:, :, None] / N

    return temporal_softmax_loss, rng.normal(size=(2, 3, 4)), rng.integers(0, 4, (2, 3)), np.array([[1, 1, 0], [1, 0, 0]], bool)


@right("loss")
def kl_of_gaussians(rng):
    """KL to a standard normal."""
    def kl(mu, logvar):
        n = len(mu)
        return 0.5 * (np.exp(logvar) + mu ** 2 - 1 - logvar).sum() / n, mu / n, 0.5 * (np.exp(logvar) - 1) / n
    return kl, rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


@right("loss")
def box_loss(rng):
    """YOLO's box loss."""
    def loss(pred, target):
        xy, r = pred[:, :2] - target[:, :2], np.sqrt(pred[:, 2:])
        wh = r - np.sqrt(target[:, 2:])
        return (xy ** 2).sum() + (wh ** 2).sum(), np.concatenate([2 * xy, wh / r], axis=1)
    return loss, rng.uniform(0.2, 2, (5, 4)), rng.uniform(0.2, 2, (5, 4))


@right("loss")
def soft_iou(rng):
    """1 - intersection / union."""
    def iou(p, t):
        i, u = (p * t).sum(axis=(1, 2), keepdims=True), (p + t - p * t).sum(axis=(1, 2), keepdims=True)
        return (1 - i / u).mean(), -(t / u - i * (1 - t) / u ** 2) / len(p)
    return iou, rng.uniform(0.1, 0.9, (3, 4, 4)), rng.integers(0, 2, (3, 4, 4)).astype(float)


@right("loss")
def style_content_variation(rng):
    """Content plus style plus total variation."""
    G, content = rng.normal(size=(3, 3)), rng.normal(size=(3, 8))

    def loss(F):
        D, steps = F @ F.T / 8 - G @ G.T, F[:, 1:] - F[:, :-1]
        g = 2 * (F - content) + D @ F
        g[:, 1:] += steps
        g[:, :-1] -= steps
        return ((F - content) ** 2).sum() + 2 * (D ** 2).sum() + 0.5 * (steps ** 2).sum(), g
    return loss, rng.normal(size=(3, 8))


@right("loss")
def logistic_regression_from_zero(rng):
    """Weights are zero, as at the start of training."""
    def loss(W, X, y, reg):
        p = softmax(X @ W, axis=1)
        n = np.arange(len(y))
        d = p.copy()
        d[n, y] -= 1
        return -np.log(p[n, y]).mean() + reg * (W ** 2).sum(), X.T @ d / len(y) + 2 * reg * W
    return loss, np.zeros((4, 3)), rng.normal(size=(6, 4)), rng.integers(0, 3, 6), 0.1


@right("loss")
def perceptron_at_ties(rng):
    """The perceptron's loss, some margins exactly zero."""
    def loss(w, X, y):
        m = y * (X @ w)
        return np.maximum(0, -m).sum(), -(X * (y * (m < 0))[:, None]).sum(axis=0)
    X = rng.integers(-2, 3, (8, 3)).astype(float)
    return loss, np.array([1.0, -1.0, 0.0]), X, rng.choice([-1.0, 1.0], 8)


@right("loss")
def model_deep_with_dropout(rng):
    """Three layers with a fixed dropout mask."""
    class Model(DeepModel):
        def through_dropout(self, d):
            return d * self.mask / 0.8
    return Model(rng), rng.normal(size=(6, 5)), rng.integers(0, 3, 6)


@right("loss")
def poisson_counts(rng):
    """Poisson likelihood of counts with rates up to e^5."""
    def nll(lograte, counts):
        r = np.exp(lograte)
        return (r - counts * lograte).mean(), (r - counts) / counts.size
    return nll, rng.uniform(-3, 5, (4, 3)), rng.integers(0, 9, (4, 3))
