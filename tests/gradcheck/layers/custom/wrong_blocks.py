"""Wrong custom layers: ops, functions, modules and small networks of all kinds."""

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import param
from tinyvision import Op, Tensor, nn


class Mish(Op):
    def forward(self, x):
        return x * np.tanh(np.log1p(np.exp(x)))

    def backward(self, g, x):
        t = np.tanh(np.log1p(np.exp(x)))
        return g * (t + x * (1 - t ** 2))


@wrong("op", "wrong-local-derivative")
def mish_inner_derivative_missing(rng):
    """Mish: the derivative of the inner softplus, a sigmoid, is missing in the second half of the product rule."""
    return Mish(), rng.standard_normal((4, 5))


class Linear(Op):
    def forward(self, x, w):
        return x @ w.T

    def backward(self, g, x, w):
        return g @ w, x.T @ g


class RMSNorm(Op):
    def forward(self, x):
        return x / np.sqrt((x ** 2).mean(axis=-1, keepdims=True))

    def backward(self, g, x):
        r = np.sqrt((x ** 2).mean(axis=-1, keepdims=True))
        return g / r - x * (g * x).sum(axis=-1, keepdims=True) / r ** 3


@wrong("op", "term-missing", "constant-factor", "wrong-local-derivative")
def rms_norm_sum_for_mean(rng):
    """RMS norm; in the term of the root the mean has become a sum."""
    return RMSNorm(), rng.standard_normal((3, 5))


class Pad(Op):
    def forward(self, x):
        return np.pad(x, ((0, 0), (1, 2)), mode="edge")

    def backward(self, g, x):
        return g[:, 1:-2]


@wrong("op", "term-missing", "wrong-slice")
def replicate_padding_border_dropped(rng):
    """The copies of the border pixels have gradients too."""
    return Pad(), rng.standard_normal((3, 6))


class CosineRows(Op):
    def forward(self, a, b):
        return (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))

    def backward(self, g, a, b):
        na, nb = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
        s, g = (a * b).sum(axis=1, keepdims=True) / (na * nb), g[:, None]
        return g * b / (na * nb), g * (a / (na * nb) - s * b / nb ** 2)


@wrong("op", "term-missing")
def cosine_similarity_own_norm_forgotten(rng):
    """The first vector's own norm is treated as a constant."""
    return CosineRows(), rng.standard_normal((4, 5)), rng.standard_normal((4, 5))


class Cumulative(Op):
    def forward(self, x):
        return np.cumsum(x, axis=1)

    def backward(self, g, x):
        return np.cumsum(g, axis=1)


@wrong("op", "flipped", "transposed")
def cumsum_runs_forward_again(rng):
    """The adjoint of a cumulative sum runs from the end."""
    return Cumulative(), rng.standard_normal((3, 6))


@wrong("call", "term-missing")
def dense_block_second_input_detached(rng):
    """A dense block; what the second convolution sees of the input is detached."""
    def f(x, w1, w2):
        a = F.relu(F.conv2d(x, w1, padding=1))
        b = F.relu(F.conv2d(tv.concatenate([x.detach(), a], axis=1), w2, padding=1))
        return tv.concatenate([x, a, b], axis=1)
    return f, rng.standard_normal((2, 2, 4, 3)), rng.standard_normal((2, 2, 3, 3)), rng.standard_normal((2, 4, 3, 3))


class ScaledConv(nn.Module):
    """A convolution of standardised weights."""

    def __init__(self, rng):
        super().__init__()
        self.weight, self.gain = param(rng.standard_normal((3, 2, 3, 2))), param(rng.uniform(0.5, 2, 3))

    def forward(self, x):
        w = self.weight
        mean, std = w.data.mean(axis=(1, 2, 3), keepdims=True), w.data.std(axis=(1, 2, 3), keepdims=True)
        return F.conv2d(x, (w - mean) / std * self.gain.reshape(-1, 1, 1, 1))


@wrong("module", "term-missing")
def standardised_weights_statistics_from_data(rng):
    """Mean and spread of the weights are taken from .data."""
    return ScaledConv(rng), rng.standard_normal((2, 2, 5, 4))


class SumSquaresFirst(Op):
    def forward(self, x, w):
        return (x @ w) ** 2

    def backward(self, g, x, w):
        return 2 * g @ w.T, x.T @ (2 * g)


class Quadratic(nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.w = param(rng.standard_normal((4, 3)))

    def forward(self, x):
        return SumSquaresFirst()(x, self.w)


@wrong("module", "wrong-local-derivative")
def squared_scores_derivative_two(rng):
    """(x w)^2 whose derivative is taken for 2, not for 2 x w."""
    return Quadratic(rng), rng.standard_normal((5, 4))


class Swish(Op):
    def forward(self, x):
        return x / (1 + np.exp(-x))

    def backward(self, g, x):
        s = 1 / (1 + np.exp(-x))
        return g * s


class Layer(nn.Module):
    def __init__(self, op):
        super().__init__()
        self.op = op

    def forward(self, input):
        return self.op()(input)


@wrong("network", "term-missing", "wrong-local-derivative")
def network_swish_product_rule(rng):
    """A convolutional network whose swish forgets half of the product rule."""
    layers = nn.Conv2d(2, 4, 3, padding=1), Layer(Swish), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 3 * 2, 3)
    net = nn.Sequential(*layers).double()
    target = rng.integers(0, 3, 3)
    return net, rng.standard_normal((3, 2, 6, 5)), lambda y: F.cross_entropy(y, target)


class MeanPool(Op):
    def forward(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))

    def backward(self, g, x):
        return np.repeat(np.repeat(g, 2, axis=2), 2, axis=3) / 2


@wrong("network", "constant-factor")
def network_average_pool_half_area(rng):
    """Average pooling divides by two, not by four."""
    layers = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), Layer(MeanPool), nn.Flatten(), nn.Linear(3 * 2 * 3, 4)
    net = nn.Sequential(*layers).double()
    return net, rng.standard_normal((4, 1, 6, 8)), lambda y: F.mse_loss(y, Tensor(np.ones((4, 4))))


class Attend(nn.Module):
    """One head of attention over the pixels."""

    def __init__(self, c):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(c, c), nn.Linear(c, c), nn.Linear(c, c)

    def forward(self, x):
        a = F.softmax(self.q(x) @ self.k(x).transpose(0, 2, 1) / 2.0, dim=-1)
        return x + a.detach() @ self.v(x)


@wrong("network", "missing-gradient", "term-missing")
def network_attention_weights_detached(rng):
    """The attention weights are detached: queries and keys learn nothing."""
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), Attend(4), nn.Linear(4, 2)).double()
    return net, rng.standard_normal((2, 5, 3)), lambda y: (y * y).sum()
