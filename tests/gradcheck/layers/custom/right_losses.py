"""Right custom layers: softmax and losses."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import sigmoid
from tinyvision import Op


class Softmax(Op):
    def forward(self, x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def backward(self, g, x):
        y = self.forward(x)
        return y * (g - (g * y).sum(axis=-1, keepdims=True))


@right("op")
def softmax_saturated(rng):
    """Softmax of logits up to +-800: most probabilities are exactly 0 or 1."""
    return Softmax(), np.concatenate([300 * rng.standard_normal((3, 6)), rng.standard_normal((2, 6))])


class CrossEntropy(Op):
    """Mean over the rows that are not ignored (-1), with label smoothing."""

    def forward(self, x, y):
        m = x.max(axis=1, keepdims=True)
        logp = x - m - np.log(np.exp(x - m).sum(axis=1, keepdims=True))
        return np.asarray(-(self.target(x, y) * logp).sum())

    def target(self, x, y):
        q = np.full(x.shape, 0.1 / x.shape[1])
        q[np.arange(len(y)), np.maximum(y, 0)] += 0.9
        return q * (y >= 0)[:, None] / (y >= 0).sum()

    def backward(self, g, x, y):
        q = self.target(x, y)
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return g * (q.sum(axis=1, keepdims=True) * e / e.sum(axis=1, keepdims=True) - q), None


@right("op")
def cross_entropy_with_ignored_rows(rng):
    """Cross entropy: integer labels, two rows ignored, smoothing, 0-d result."""
    return CrossEntropy(), 4 * rng.standard_normal((6, 5)), np.array([0, -1, 4, 2, -1, 2])


class BceLogits(Op):
    def forward(self, x, t):
        return np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))

    def backward(self, g, x, t):
        return g * (sigmoid(x) - t), -g * x


@right("op")
def bce_logits_extreme(rng):
    """Binary cross entropy of logits 0, +-1e-9 and +-700, also with respect to the target."""
    x = np.concatenate([[0.0, 1e-9, -1e-9, 700, -700], rng.standard_normal(10)])
    return BceLogits(), x, rng.uniform(0, 1, 15)


class Hinge(Op):
    """Multiclass hinge (Weston-Watkins), mean over the batch."""

    def margins(self, x, y):
        m = np.maximum(0, x - x[np.arange(len(y)), y][:, None] + 1)
        m[np.arange(len(y)), y] = 0
        return m

    def forward(self, x, y):
        return np.asarray(self.margins(x, y).sum() / len(y))

    def backward(self, g, x, y):
        d = 1.0 * (self.margins(x, y) > 0)
        d[np.arange(len(y)), y] = -d.sum(axis=1)
        return g * d / len(y), None


@right("op")
def hinge_at_the_margin(rng):
    """SVM loss with margins that are exactly zero."""
    return Hinge(), rng.integers(-2, 3, (5, 4)) / 1.0, rng.integers(0, 4, 5)


class Distances(Op):
    """All distances; a point's distance to itself is a cone's tip."""

    def forward(self, a, b):
        return np.sqrt(((a[:, None] - b) ** 2).sum(axis=-1))

    def backward(self, g, a, b):
        d = self.forward(a, b)
        w = np.divide(g, d, out=np.zeros_like(g), where=d > 0)
        v = (a[:, None] - b) * w[..., None]
        return v.sum(axis=1), -v.sum(axis=0)


@right("op")
def distances_of_coinciding_points(rng):
    """Distances between points of which two coincide: the tip of a cone, gradient zero there."""
    a, b = rng.standard_normal((4, 3)), rng.standard_normal((5, 3))
    b[1] = a[2]
    return Distances(), a, b


@right("op")
def float32_inputs(rng):
    """An Op for float32 inputs that keeps them float32."""
    return Softmax(), rng.standard_normal((4, 5)).astype(np.float32)
