"""Wrong homework: losses and models with terms, weights and penalties."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import sigmoid, softmax


def log_softmax(x):
    z = x - x.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


@wrong("loss", "overwritten")
def svm_loops_label_assigned(rng):
    """Linear SVM with loops; the column of the right class is assigned in every violation."""
    def svm_loss_naive(W, X, y, reg):
        dW, loss = np.zeros(W.shape), 0.0
        for i in range(len(X)):
            scores = X[i].dot(W)
            row = np.zeros(W.shape)
            for j in range(W.shape[1]):
                if j == y[i]:
                    continue
                margin = scores[j] - scores[y[i]] + 1
                if margin > 0:
                    loss += margin
                    row[:, j] += X[i]
                    row[:, y[i]] = -X[i]
            dW += row
        return loss / len(X) + reg * np.sum(W * W), dW / len(X) + 2 * reg * W

    return svm_loss_naive, rng.normal(size=(5, 4)) * 0.1, rng.normal(size=(6, 5)), rng.integers(0, 4, 6), 0.1


@wrong("loss", "term-missing")
def focal_modulation_as_constant(rng):
    """Focal loss: the factor (1 - p)^2 is treated as a constant weight."""
    def focal(x, y):
        lp = log_softmax(x)
        n = np.arange(len(y))
        p = np.exp(lp)
        w = (1 - p[n, y]) ** 2
        onehot = np.eye(x.shape[1])[y]
        return -(w * lp[n, y]).mean(), w[:, None] * (p - onehot) / len(y)

    return focal, rng.normal(size=(5, 4)), rng.integers(0, 4, 5)


@wrong("loss", "term-missing")
def dice_quotient_rule_half(rng):
    """Soft Dice: the derivative of the denominator is left out."""
    def dice(p, t):
        inter, total = (p * t).sum(), p.sum() + t.sum()
        return 1 - 2 * inter / total, -2 * t / total

    return dice, rng.uniform(0.1, 0.9, (2, 4, 5)), rng.integers(0, 2, (2, 4, 5)).astype(float)


@wrong("loss", "term-missing")
def triplet_anchor_sees_positive_only(rng):
    """The anchor's gradient misses the part of the negative."""
    def triplet(a, p, n):
        gap = ((a - p) ** 2).sum(1) - ((a - n) ** 2).sum(1) + 1.0
        on = (gap > 0)[:, None] / len(a)
        return np.maximum(gap, 0).mean(), 2 * (a - p) * on, -2 * (a - p) * on, 2 * (a - n) * on

    return triplet, *(rng.normal(size=(6, 3)) * 0.5 for _ in range(3))


@wrong("loss", "wrong-local-derivative")
def bce_logits_sigmoid_twice(rng):
    """Binary cross entropy with logits: p - t is multiplied by p (1 - p) once more."""
    def bce(x, t):
        p = sigmoid(x)
        return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(), (p - t) * p * (1 - p) / x.size

    return bce, rng.normal(size=(5, 3)), rng.integers(0, 2, (5, 3)).astype(float)


class SmallModel:
    """CS231n's two-layer net with softmax loss and regularisation."""

    reg = 0.2

    def __init__(self, rng):
        sizes = {"W1": (6, 5), "b1": 5, "W2": (5, 3), "b2": 3}
        self.params = {name: rng.normal(size=size) for name, size in sizes.items()}

    def passes(self, X, y):
        p = self.params
        h = np.maximum(X @ p["W1"] + p["b1"], 0)
        lp = log_softmax(h @ p["W2"] + p["b2"])
        loss = -lp[np.arange(len(y)), y].mean() + 0.5 * self.reg * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum())
        d = np.exp(lp)
        d[np.arange(len(y)), y] -= 1
        return loss, h, d / len(y)


@wrong("loss", "extra-term", "term-missing")
def model_penalty_derivative_doubled(rng):
    """The penalty is 0.5 reg W^2; the gradients add 2 reg W."""
    class Model(SmallModel):
        def loss(self, X, y):
            p = self.params
            loss, h, d = self.passes(X, y)
            dh = d @ p["W2"].T * (h > 0)
            return loss, {"W1": X.T @ dh + 2 * self.reg * p["W1"], "b1": dh.sum(0), "W2": h.T @ d + 2 * self.reg * p["W2"],
                          "b2": d.sum(0)}
    return Model(rng), rng.normal(size=(5, 6)), rng.integers(0, 3, 5)


@wrong("loss", "mask-missing")
def temporal_softmax_null_tokens_count(rng):
    """Captioning: null tokens are masked out of the loss, and not out of its gradient."""
    def temporal_softmax_loss(x, y, mask):
        N, T, V = x.shape
        p = softmax(x)
        n, t = np.arange(N)[:, None], np.arange(T)
        loss = -(mask * np.log(p[n, t, y])).sum() / N
        dx = p.copy()
        dx[n, t, y] -= 1
        return loss, dx / N

    mask = np.array([[1, 1, 0], [1, 0, 0]], bool)
    return temporal_softmax_loss, rng.normal(size=(2, 3, 4)), rng.integers(0, 4, (2, 3)), mask


@wrong("loss", "term-missing")
def kl_of_gaussians_without_minus_one(rng):
    """KL to a standard normal: 0.5 sum(exp(lv) + mu^2 - 1 - lv); the derivative of -lv is forgotten."""
    def kl(mu, logvar):
        n = len(mu)
        return 0.5 * (np.exp(logvar) + mu ** 2 - 1 - logvar).sum() / n, mu / n, 0.5 * np.exp(logvar) / n

    return kl, rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


@wrong("loss", "wrong-local-derivative")
def box_loss_root_of_sizes(rng):
    """YOLO's box loss: (sqrt(w) - sqrt(t))^2 with the derivative of (w - t)^2's form, no 1 / (2 sqrt(w))."""
    def box_loss(pred, target):
        xy, wh = pred[:, :2] - target[:, :2], np.sqrt(pred[:, 2:]) - np.sqrt(target[:, 2:])
        return (xy ** 2).sum() + (wh ** 2).sum(), np.concatenate([2 * xy, 2 * wh], axis=1)

    return box_loss, rng.uniform(0.2, 2, (5, 4)), rng.uniform(0.2, 2, (5, 4))


@wrong("loss", "term-missing")
def soft_iou_union_constant(rng):
    """1 - intersection / union, the union treated as a constant."""
    def iou(p, t):
        inter = (p * t).sum(axis=(1, 2))
        union = (p + t - p * t).sum(axis=(1, 2))
        return (1 - inter / union).mean(), -t / union[:, None, None] / len(p)

    return iou, rng.uniform(0.1, 0.9, (3, 4, 4)), rng.integers(0, 2, (3, 4, 4)).astype(float)


@wrong("loss", "constant-factor")
def info_nce_temperature_forgotten(rng):
    """InfoNCE: the similarities are divided by the temperature, their gradients are not."""
    def nce(a, b):
        n = len(a)
        p = softmax(a @ b.T / 0.2, axis=1)
        d = (p - np.eye(n)) / n
        return -np.log(np.diag(p)).mean(), d @ b, d.T @ a

    return nce, rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


@wrong("loss", "term-missing")
def style_and_content_weights(rng):
    """Content plus style plus total variation; the gradient leaves total variation out."""
    G = rng.normal(size=(3, 3))
    content = rng.normal(size=(3, 8))

    def loss(F):
        D = F @ F.T / 8 - G @ G.T
        steps = F[:, 1:] - F[:, :-1]
        value = ((F - content) ** 2).sum() + 2 * (D ** 2).sum() + 0.5 * (steps ** 2).sum()
        return value, 2 * (F - content) + 8 * D @ F / 8

    return loss, rng.normal(size=(3, 8))


class DeepModel:
    """Three affine layers with ReLU and dropout of a fixed mask; softmax loss."""

    def __init__(self, rng):
        sizes = (5, 6, 4, 3)
        self.params = {}
        for k in range(3):
            self.params[f"W{k + 1}"], self.params[f"b{k + 1}"] = rng.normal(size=sizes[k:k + 2]), rng.normal(size=sizes[k + 1])
        self.mask = np.array([1, 1, 0, 1, 1, 1.0])

    def loss(self, X, y):
        p = self.params
        a1 = X @ p["W1"] + p["b1"]
        h1 = np.maximum(a1, 0) * self.mask / 0.8
        a2 = h1 @ p["W2"] + p["b2"]
        h2 = np.maximum(a2, 0)
        s = softmax(h2 @ p["W3"] + p["b3"])
        n = np.arange(len(y))
        d = s.copy()
        d[n, y] -= 1
        return -np.log(s[n, y]).mean(), self.grads(X, a1, h1, a2, h2, d / len(y))

    def grads(self, X, a1, h1, a2, h2, d):
        p, g = self.params, {}
        g["W3"], g["b3"] = h2.T @ d, d.sum(axis=0)
        d = d @ p["W3"].T * (a2 > 0)
        g["W2"], g["b2"] = h1.T @ d, d.sum(axis=0)
        d = self.through_dropout(d @ p["W2"].T) * (a1 > 0)
        g["W1"], g["b1"] = X.T @ d, d.sum(axis=0)
        return g


@wrong("loss", "constant-factor")
def model_dropout_scale_in_forward_only(rng):
    """The inverted dropout's scale is missing on the way back."""
    class Model(DeepModel):
        def through_dropout(self, d):
            return d * self.mask
    return Model(rng), rng.normal(size=(6, 5)), rng.integers(0, 3, 6)


@wrong("loss", "mask-missing")
def model_dropout_mask_forgotten(rng):
    """The dropped unit gets a gradient."""
    class Model(DeepModel):
        def through_dropout(self, d):
            return d / 0.8
    return Model(rng), rng.normal(size=(6, 5)), rng.integers(0, 3, 6)


@wrong("loss", "factor-per-axis")
def bce_positive_weight_forgotten(rng):
    """BCE with logits and pos_weight per class; the gradient knows nothing of it."""
    w = np.array([1.0, 3.0, 0.5, 5.0])

    def loss(x, y):
        p = sigmoid(x)
        value = -(w * y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
        return value, (p - y) / x.size

    return loss, rng.normal(size=(5, 4)), rng.integers(0, 2, (5, 4)).astype(float)


@wrong("loss", "wrong-local-derivative", "local-derivative-missing")
def squared_hinge_derivative_of_hinge(rng):
    """max(0, 1 - y s)^2 with the derivative of the plain hinge."""
    def loss(w, X, y):
        m = np.maximum(0, 1 - y * (X @ w))
        return (m * m).mean(), -(X * (y * (m > 0))[:, None]).mean(0)

    return loss, rng.normal(size=4), rng.normal(size=(7, 4)), rng.choice([-1.0, 1.0], 7)


@wrong("loss", "term-missing")
def total_variation_one_neighbour(rng):
    """sum (x[t+1] - x[t])^2; the gradient with respect to x[t+1] is not added."""
    def loss(x):
        d = np.diff(x, axis=1)
        g = np.zeros_like(x)
        g[:, :-1] -= 2 * d
        return (d * d).sum(), g

    return loss, rng.normal(size=(3, 6))


@wrong("loss", "wrong-region")
def smooth_l1_inner_part(rng):
    """Inside of the corner the slope is sign(e) too."""
    def loss(x, y):
        e = x - y
        return np.where(abs(e) < 1, 0.5 * e * e, abs(e) - 0.5).sum(), np.sign(e)

    return loss, rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
