"""Wrong custom layers: softmax and losses."""

import numpy as np

from tests.gradcheck.layers import wrong
from tinyvision import Op, nn


class RowHuber(Op):
    def forward(self, x, t):
        d = x - t
        return np.where(np.abs(d) < 1, d * d / 2, np.abs(d) - 0.5).sum(axis=1)

    def backward(self, g, x, t):
        d = np.clip(x - t, -1, 1)
        return d, -d


@wrong("op", "upstream-ignored")
def huber_rows_without_upstream(rng):
    """A loss per sample whose backward never multiplies by the upstream gradient."""
    return RowHuber(), 2 * rng.standard_normal((6, 5)), rng.standard_normal((6, 5))


class TemperatureSoftmax(Op):
    def __init__(self, t):
        self.t = t

    def forward(self, x):
        e = np.exp((x - x.max(axis=1, keepdims=True)) / self.t)
        return e / e.sum(axis=1, keepdims=True)

    def backward(self, g, x):
        y = self.forward(x)
        return y * (g - (g * y).sum(axis=1, keepdims=True))


class Distill(nn.Module):
    def __init__(self, rng):
        self.head = nn.Linear(4, 5).double()

    def forward(self, x):
        return TemperatureSoftmax(4.0)(self.head(x))


@wrong("module", "constant-factor", costly=True)
def distillation_head_forgets_temperature(rng):
    """A softened softmax inside a head: 1/T is missing from its backward, T = 4."""
    return Distill(rng), 3 * rng.standard_normal((6, 4))


class WeightedNll(Op):
    def __init__(self, weight):
        self.weight = weight

    def forward(self, logp, labels):
        n = np.arange(len(labels))
        return np.asarray(-(self.weight[labels] * logp[n, labels]).sum() / self.weight[labels].sum())

    def backward(self, g, logp, labels):
        gx = np.zeros_like(logp)
        gx[np.arange(len(labels)), labels] = -g / self.weight[labels].sum()
        return gx, None


@wrong("op", "factor-per-axis")
def weighted_nll_forgets_class_weight(rng):
    """Weighted NLL: the weight of the class is missing from the gradient of its log probability."""
    labels = np.array([0, 1, 2, 3, 1, 0, 2])
    return WeightedNll(np.array([0.5, 1.5, 3.0, 2.0])), np.log(rng.dirichlet(np.ones(4), 7)), labels


class SoftmaxBatchSum(Op):
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def backward(self, g, x):
        y = self.forward(x)
        return y * (g - (g * y).sum(axis=0, keepdims=True))


@wrong("op", "wrong-axis")
def softmax_backward_sums_over_batch(rng):
    """Softmax over classes, the inner product of its backward over the batch."""
    return SoftmaxBatchSum(), rng.standard_normal((4, 6))


class SoftmaxDiagonal(SoftmaxBatchSum):
    def backward(self, g, x):
        y = self.forward(x)
        return g * y * (1 - y)


@wrong("op", "diagonal-only")
def softmax_as_elementwise(rng):
    """Softmax treated as if every output depended on its own input only."""
    return SoftmaxDiagonal(), rng.standard_normal((3, 5))


class RidgeLoss(nn.Module):
    """Mean squared error and a ridge penalty."""

    def __init__(self, rng):
        self.fc = nn.Linear(4, 3).double()

    def forward(self, x, t):
        penalty = 0.05 * (self.fc.weight.detach() ** 2).sum()
        return ((self.fc(x) - t) ** 2).mean() + penalty


@wrong("module", "term-missing")
def ridge_penalty_detached(rng):
    """The ridge penalty is computed from detached weights: its gradient is missing."""
    return RidgeLoss(rng), rng.standard_normal((5, 4)), rng.standard_normal((5, 3))


class SmoothL1(Op):
    def forward(self, x, t):
        d = np.abs(x - t)
        return np.asarray(np.where(d < 1, d * d / 2, d - 0.5).mean())

    def backward(self, g, x, t):
        d = g * (x - t) / x.size
        return d, -d


@wrong("op", "wrong-region")
def smooth_l1_far_region(rng):
    """Smooth L1: the quadratic part's slope is used beyond 1 as well."""
    return SmoothL1(), 2 * rng.standard_normal((5, 6)), rng.standard_normal((5, 6))


class InPlaceSoftmax(Op):
    def forward(self, x):
        x -= x.max(axis=1, keepdims=True)
        e = np.exp(x)
        return e / e.sum(axis=1, keepdims=True)

    def backward(self, g, x):
        e = np.exp(x)
        y = e / e.sum(axis=1, keepdims=True)
        return y * (g - (g * y).sum(axis=1, keepdims=True))


@wrong("op", "modified-in-place")
def softmax_subtracts_in_place(rng):
    """Softmax subtracts the maximum from its input itself."""
    return InPlaceSoftmax(), rng.standard_normal((4, 5))
