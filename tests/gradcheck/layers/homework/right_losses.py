"""Right homework: softmax and losses."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import signs, softmax, stable_sigmoid


@right("loss")
def softmax_loss(rng):
    """CS231n softmax_loss(x, y)."""
    def loss(x, y):
        z = x - x.max(axis=1, keepdims=True)
        logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        n = len(x)
        dx = np.exp(logp)
        dx[np.arange(n), y] -= 1
        return -logp[np.arange(n), y].sum() / n, dx / n

    return loss, rng.normal(size=(6, 5)), rng.integers(0, 5, size=6)


@right("loss")
def cross_entropy_logits_500(rng):
    """Cross entropy of logits of about +-500."""
    def loss(x, y):
        z = x - x.max(axis=1, keepdims=True)
        logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        hot = np.eye(x.shape[1])[y]
        return -np.mean((hot * logp).sum(axis=1)), (np.exp(logp) - hot) / len(x)

    return loss, 500 * signs(rng, (6, 4)) + rng.normal(size=(6, 4)), rng.integers(0, 4, size=6)


@right("loss")
def cross_entropy_soft_labels(rng):
    """Cross entropy with smoothed labels given as floats, which are not differentiated."""
    def loss(x, y):
        z = x - x.max(axis=1, keepdims=True)
        logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return -(y * logp).sum() / len(x), (np.exp(logp) - y) / len(x)

    return loss, rng.normal(size=(5, 4)), 0.9 * np.eye(4)[rng.integers(0, 4, size=5)] + 0.025


@right("loss")
def temporal_softmax_loss(rng):
    """CS231n temporal softmax loss with a mask."""
    def loss(x, y, mask):
        n, t, v = x.shape
        p = softmax(x)
        i, j = np.indices((n, t))
        dx = p.copy()
        dx[i, j, y] -= 1
        return -np.sum(mask * np.log(p[i, j, y])) / n, dx * mask[:, :, None] / n

    return loss, rng.normal(size=(3, 4, 5)), rng.integers(0, 5, size=(3, 4)), rng.random((3, 4)) < 0.7


@right("loss")
def svm_loss(rng):
    """CS231n svm_loss(x, y)."""
    def loss(x, y):
        n = len(x)
        margins = np.maximum(0, x - x[np.arange(n), y][:, None] + 1.0)
        margins[np.arange(n), y] = 0
        dx = np.zeros_like(x)
        dx[margins > 0] = 1
        dx[np.arange(n), y] -= np.sum(margins > 0, axis=1)
        return margins.sum() / n, dx / n

    return loss, rng.normal(size=(6, 5)), rng.integers(0, 5, size=6)


@right("loss")
def svm_loss_at_margin(rng):
    """Hinge loss of whole numbers: many margins are exactly 0."""
    def loss(x, y):
        n = len(x)
        margins = x - x[np.arange(n), y][:, None] + 1.0
        margins[np.arange(n), y] = -1
        on = margins >= 0
        dx = on.astype(float)
        dx[np.arange(n), y] = -on.sum(axis=1)
        return np.sum(margins * on) / n, dx / n

    return loss, rng.integers(-2, 3, size=(6, 5)).astype(float), rng.integers(0, 5, size=6)


@right("loss", costly=True)
def svm_loss_naive(rng):
    """CS231n svm_loss_naive(W, X, y, reg)."""
    def loss_naive(W, X, y, reg):
        dW, loss = np.zeros(W.shape), 0.0
        for i in range(X.shape[0]):
            scores = X[i].dot(W)
            for j in range(W.shape[1]):
                margin = scores[j] - scores[y[i]] + 1
                if j != y[i] and margin > 0:
                    loss += margin
                    dW[:, j] += X[i]
                    dW[:, y[i]] -= X[i]
        return loss / X.shape[0] + reg * np.sum(W * W), dW / X.shape[0] + 2 * reg * W

    return loss_naive, 0.1 * rng.normal(size=(6, 4)), rng.normal(size=(8, 6)), rng.integers(0, 4, size=8), 5e-6


@right("loss", costly=True)
def softmax_loss_vectorized(rng):
    """CS231n softmax_loss_vectorized(W, X, y, reg) with large reg."""
    def loss(W, X, y, reg):
        p = softmax(X @ W)
        n = len(X)
        value = -np.mean(np.log(p[np.arange(n), y])) + 0.5 * reg * np.sum(W * W)
        p[np.arange(n), y] -= 1
        return value, X.T @ p / n + reg * W

    return loss, rng.normal(size=(6, 4)), rng.normal(size=(8, 6)), rng.integers(0, 4, size=8), 1e2


@right("loss")
def mse_python_float(rng):
    """Mean squared error, the loss a Python float."""
    def mse(x, y):
        return float(np.mean((x - y) ** 2)), 2 * (x - y) / x.size

    return mse, rng.normal(size=(5, 3)), rng.normal(size=(5, 3))


@right("loss")
def l1_zero_residual(rng):
    """Mean absolute error with exact zeros in the residual."""
    def l1(x, y):
        return np.mean(np.abs(x - y)), np.sign(x - y) / x.size

    y = rng.normal(size=(5, 4))
    x = y + rng.normal(size=(5, 4))
    x[::2] = y[::2]
    return l1, x, y


@right("loss")
def huber_at_joint(rng):
    """Huber exactly at its joint."""
    def huber(x, y):
        r = x - y
        value = np.where(np.abs(r) < 1, 0.5 * r ** 2, np.abs(r) - 0.5).sum()
        return value, np.clip(r, -1, 1)

    x = 2 * rng.normal(size=(5, 4))
    x[0] = [1, -1, 1, -1]
    return huber, x, np.zeros((5, 4))


@right("loss")
def bce_logits_50(rng):
    """Binary cross entropy of logits of about +-50."""
    def bce(z, t):
        return np.mean(np.maximum(z, 0) - t * z + np.log1p(np.exp(-np.abs(z)))), (stable_sigmoid(z) - t) / z.size

    return bce, 50 * signs(rng, (4, 5)) + rng.normal(size=(4, 5)), rng.integers(0, 2, size=(4, 5)).astype(float)


@right("loss")
def bce_small_probabilities(rng):
    """Binary cross entropy of probabilities down to 1e-6."""
    def bce(p, t):
        value = -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))
        return value, (p - t) / (p * (1 - p)) / p.size

    return bce, 10.0 ** rng.uniform(-6, -0.05, size=(4, 5)), rng.integers(0, 2, size=(4, 5))


@right("loss")
def kl_zero_targets(rng):
    """Kullback-Leibler divergence with zeros in the target."""
    def kl(logq, p):
        ratio = np.where(p > 0, np.log(np.where(p > 0, p, 1)) - logq, 0)
        return np.sum(p * ratio) / len(p), -p / len(p)

    p = rng.random((4, 5)) * (rng.random((4, 5)) < 0.6) + 1e-3 * np.eye(4, 5)
    return kl, np.log(softmax(rng.normal(size=(4, 5)))), p / p.sum(axis=1, keepdims=True)


@right("loss")
def focal_loss(rng):
    """Focal loss with the whole product rule."""
    def focal(z, t):
        p = stable_sigmoid(z)
        s = np.where(t == 1, 1.0, -1.0)
        pt = np.where(t == 1, p, 1 - p)
        dpt = s * p * (1 - p)
        value = -np.mean((1 - pt) ** 2 * np.log(pt))
        return value, dpt * (2 * (1 - pt) * np.log(pt) - (1 - pt) ** 2 / pt) / z.size

    return focal, 2 * rng.normal(size=(5, 6)), rng.integers(0, 2, size=(5, 6))


@right("loss")
def dice_loss(rng):
    """Soft Dice loss with smoothing."""
    def dice(p, t):
        inter, total = np.sum(p * t) + 1, np.sum(p) + np.sum(t) + 2
        return 1 - 2 * inter / total, -2 * (t * total - inter) / total ** 2

    return dice, rng.uniform(0, 1, size=(6, 7)), rng.integers(0, 2, size=(6, 7))


@right("pair")
def triplet_pair(rng):
    """Triplet loss for each sample, anchor, positive and negative."""
    def forward(a, p, n):
        d = np.sum((a - p) ** 2, axis=1) - np.sum((a - n) ** 2, axis=1) + 0.2
        return np.maximum(d, 0), (a, p, n, d > 0)

    def backward(dout, cache):
        a, p, n, on = cache
        g = 2 * (dout * on)[:, None]
        return g * (n - p), g * (p - a), g * (a - n)

    return forward, backward, rng.normal(size=(8, 4)), rng.normal(size=(8, 4)), rng.normal(size=(8, 4))


@right("loss")
def ridge_regression(rng):
    """Ridge regression f(w, X, y, reg) with a vector of weights."""
    def loss(w, X, y, reg):
        r = X @ w - y
        return r @ r / len(y) + reg * w @ w, 2 * X.T @ r / len(y) + 2 * reg * w

    return loss, rng.normal(size=5), rng.normal(size=(8, 5)) * 10.0 ** np.arange(-2, 3), rng.normal(size=8), 0.1


@right("loss")
def huge_batch_mean_small_gradient(rng):
    """A mean over 4000 examples of tiny errors."""
    def loss(w, X, y):
        e = X @ w - y
        return (e * e).mean(), 2 * X.T @ e / len(y)

    X = rng.normal(size=(4000, 3))
    w = rng.normal(size=3)
    return loss, w, X, X @ w + 1e-6 * rng.normal(size=4000)
