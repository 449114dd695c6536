"""Wrong homework: softmax and losses."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import sigmoid, softmax


@wrong("pair", "diagonal-only")
def softmax_diagonal(rng):
    """Only s*(1-s), the diagonal of the softmax Jacobian."""
    def forward(x):
        s = softmax(x)
        return s, s

    def backward(dout, cache):
        return dout * cache * (1 - cache)

    return forward, backward, rng.normal(size=(5, 6))


@wrong("pair", "wrong-axis")
def softmax_summed_over_batch(rng):
    """The sum in backward runs over the batch instead of the classes."""
    def forward(x):
        s = softmax(x, axis=1)
        return s, s

    def backward(dout, cache):
        s = cache
        return s * (dout - np.sum(dout * s, axis=0, keepdims=True))

    return forward, backward, rng.normal(size=(6, 6))


@wrong("object", "diagonal-only")
def log_softmax_diagonal(rng):
    """dout*(1-p): the off-diagonal part of the log-softmax Jacobian is missing."""
    class LogSoftmax:
        def forward(self, x):
            z = x - x.max(axis=1, keepdims=True)
            self.out = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
            return self.out

        def backward(self, dout):
            return dout * (1 - np.exp(self.out))

    return LogSoftmax(), rng.normal(size=(5, 6))


@wrong("loss", "not-a-number")
def cross_entropy_gradient_overflows(rng):
    """The loss is stable, but the gradient takes exp of logits near 1000."""
    def loss(x, y):
        n = x.shape[0]
        z = x - x.max(axis=1, keepdims=True)
        value = np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(n), y])
        with np.errstate(all="ignore"):
            p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        p[np.arange(n), y] -= 1
        return value, p / n

    return loss, 1000 + rng.normal(size=(5, 4)), rng.integers(0, 4, size=5)


@wrong("loss", "modified-in-place")
def cross_entropy_shifts_scores_in_place(rng):
    """x -= max shifts the caller's scores; the loss and gradient are right."""
    def softmax_loss(x, y):
        n = x.shape[0]
        x -= np.max(x, axis=1, keepdims=True)
        p = np.exp(x)
        p /= p.sum(axis=1, keepdims=True)
        value = -np.sum(np.log(p[np.arange(n), y])) / n
        dx = p.copy()
        dx[np.arange(n), y] -= 1
        return value, dx / n

    return softmax_loss, rng.normal(size=(6, 5)), rng.integers(0, 5, size=6)


@wrong("object", "upstream-ignored")
def softmax_with_loss_upstream_ignored(rng):
    """The loss layer takes dout and never multiplies with it."""
    class SoftmaxWithLoss:
        def forward(self, x, t):
            self.t = t
            self.y = softmax(x)
            return -np.mean(np.log(self.y[np.arange(len(t)), t] + 1e-12))

        def backward(self, dout=1):
            dx = self.y.copy()
            dx[np.arange(len(self.t)), self.t] -= 1
            return dx / len(self.t)

    return SoftmaxWithLoss(), rng.normal(size=(6, 5)), rng.integers(0, 5, size=6)


@wrong("loss", "factor-per-axis")
def weighted_cross_entropy_weights_forgotten(rng):
    """The class weight of each sample is in the loss, not in the gradient."""
    weights = np.array([0.5, 1.0, 2.0, 4.0])

    def loss(x, y):
        n = len(y)
        p = softmax(x)
        value = -np.sum(weights[y] * np.log(p[np.arange(n), y])) / n
        dx = p.copy()
        dx[np.arange(n), y] -= 1
        return value, dx / n

    y = np.concatenate([np.arange(4), rng.integers(0, 4, size=4)])
    return loss, rng.normal(size=(8, 4)), y


@wrong("loss", "mask-missing")
def temporal_softmax_mask_forgotten(rng):
    """Padded time steps are masked in the loss, but they still get a gradient."""
    def temporal_softmax_loss(x, y, mask):
        n, t, v = x.shape
        p = softmax(x.reshape(n * t, v))
        flat = y.reshape(n * t)
        value = -np.sum(mask.reshape(n * t) * np.log(p[np.arange(n * t), flat])) / n
        dx = p.copy()
        dx[np.arange(n * t), flat] -= 1
        return value, (dx / n).reshape(n, t, v)

    mask = np.ones((3, 4), dtype=bool)
    mask[0, 2:] = mask[2, 3:] = False
    return temporal_softmax_loss, rng.normal(size=(3, 4, 5)), rng.integers(0, 5, size=(3, 4)), mask


@wrong("loss", "constant-factor")
def mse_divided_by_batch_only(rng):
    """The loss is the mean over all elements, the gradient divides by the batch size only."""
    def mse(x, y):
        diff = x - y
        return np.mean(diff ** 2), 2 * diff / x.shape[0]

    return mse, rng.normal(size=(5, 3)), rng.normal(size=(5, 3))


@wrong("loss", "constant-factor")
def svm_loss_gradient_not_averaged(rng):
    """The hinge gradient is not divided by N."""
    def svm_loss(x, y):
        n = x.shape[0]
        correct = x[np.arange(n), y]
        margins = np.maximum(0, x - correct[:, None] + 1.0)
        margins[np.arange(n), y] = 0
        dx = np.zeros_like(x)
        dx[margins > 0] = 1
        dx[np.arange(n), y] -= (margins > 0).sum(axis=1)
        return np.sum(margins) / n, dx

    return svm_loss, rng.normal(size=(7, 5)), rng.integers(0, 5, size=7)


@wrong("loss", "term-missing", costly=True)
def svm_naive_regularisation_forgotten(rng):
    """The gradient of reg * sum(W*W) is missing."""
    def svm_loss_naive(W, X, y, reg):
        dW = np.zeros(W.shape)
        loss = 0.0
        for i in range(X.shape[0]):
            scores = X[i].dot(W)
            for j in range(W.shape[1]):
                if j == y[i]:
                    continue
                margin = scores[j] - scores[y[i]] + 1
                if margin > 0:
                    loss += margin
                    dW[:, j] += X[i]
                    dW[:, y[i]] -= X[i]
        loss = loss / X.shape[0] + reg * np.sum(W * W)
        dW /= X.shape[0]
        return loss, dW

    return svm_loss_naive, rng.normal(size=(6, 4)), rng.normal(size=(8, 6)), rng.integers(0, 4, size=8), 0.1


@wrong("loss", "term-missing", "wrong-slice")
def svm_loss_correct_class_forgotten(rng):
    """The correct class never gets its negative share."""
    def svm_loss(x, y):
        n = x.shape[0]
        margins = np.maximum(0, x - x[np.arange(n), y][:, None] + 1.0)
        margins[np.arange(n), y] = 0
        dx = (margins > 0).astype(float) / n
        return margins.sum() / n, dx

    return svm_loss, rng.normal(size=(7, 5)), rng.integers(0, 5, size=7)


@wrong("loss", "wrong-region")
def huber_not_limited(rng):
    """Beyond delta the residual itself is used instead of delta*sign."""
    def huber(x, y, delta=1.0):
        r = x - y
        small = np.abs(r) <= delta
        value = np.where(small, 0.5 * r ** 2, delta * (np.abs(r) - 0.5 * delta)).sum()
        return value, r.copy()

    return huber, 2 * rng.normal(size=(5, 6)), rng.normal(size=(5, 6))


@wrong("object", "constant-factor")
def bce_with_logits_sign(rng):
    """t - p instead of p - t."""
    class BCEWithLogits:
        def forward(self, z, t):
            self.p, self.t = sigmoid(z), t
            return np.mean(np.logaddexp(0, z) - t * z)

        def backward(self, dout=1.0):
            return dout * (self.t - self.p) / self.t.size

    return BCEWithLogits(), rng.normal(size=(6, 4)), rng.integers(0, 2, size=(6, 4))


@wrong("loss", "constant-factor")
def dice_two_forgotten(rng):
    """The 2 of 2*intersection is forgotten in the gradient."""
    def dice_loss(p, t):
        inter, total = np.sum(p * t), np.sum(p) + np.sum(t)
        return 1 - 2 * inter / total, -(t * total - inter) / total ** 2

    return dice_loss, rng.uniform(0.05, 0.95, size=(6, 7)), rng.integers(0, 2, size=(6, 7))


@wrong("loss", "term-missing", "wrong-local-derivative")
def focal_factor_held_constant(rng):
    """The factor (1-p)**gamma is treated as a constant."""
    def focal_loss(z, t):
        g = 2.0
        p = sigmoid(z)
        pt = np.where(t == 1, p, 1 - p)
        value = -np.mean((1 - pt) ** g * np.log(pt))
        dlog = np.where(t == 1, 1 - p, -p)  # d log(pt) / dz
        return value, -((1 - pt) ** g) * dlog / z.size

    return focal_loss, rng.normal(size=(6, 5)), rng.integers(0, 2, size=(6, 5))


@wrong("pair", "term-missing")
def triplet_anchor_half(rng):
    """The anchor only gets the pull towards the positive, not the push from the negative."""
    def forward(a, p, n):
        d = np.sum((a - p) ** 2, axis=1) - np.sum((a - n) ** 2, axis=1) + 1.0
        return np.maximum(d, 0), (a, p, n, d > 0)

    def backward(dout, cache):
        a, p, n, on = cache
        g = (dout * on)[:, None]
        return 2 * g * (a - p), -2 * g * (a - p), 2 * g * (a - n)

    return forward, backward, rng.normal(size=(8, 4)), rng.normal(size=(8, 4)), rng.normal(size=(8, 4))
