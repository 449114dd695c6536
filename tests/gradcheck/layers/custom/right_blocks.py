"""Right custom layers: ops, functions, modules and small networks of all kinds."""

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import param
from tinyvision import Op, Tensor, nn
from tests.gradcheck.layers.custom.wrong_blocks import Layer


class Linear(Op):
    def forward(self, x, w):
        return x @ w.T

    def backward(self, g, x, w):
        return g @ w, g.T @ x


class EdgePad(Op):
    def forward(self, x):
        return np.pad(x, ((0, 0), (1, 2)), mode="edge")

    def backward(self, g, x):
        d = g[:, 1:-2].copy()
        d[:, 0] += g[:, 0]
        d[:, -1] += g[:, -1] + g[:, -2]
        return d


@right("op")
def edge_padding(rng):
    """Replication padding."""
    return EdgePad(), rng.standard_normal((3, 5))


class RunningMax(Op):
    def forward(self, x):
        return np.maximum.accumulate(x, axis=1)

    def backward(self, g, x):
        y, d = np.maximum.accumulate(x, axis=1), np.zeros_like(x)
        for i in range(len(x)):
            last = 0
            for j in range(x.shape[1]):
                last = j if x[i, j] == y[i, j] else last
                d[i, last] += g[i, j]
        return d


@right("op")
def running_maximum(rng):
    """A running maximum."""
    return RunningMax(), rng.standard_normal((3, 7))


class Gather(Op):
    def __init__(self, idx):
        self.idx = idx

    def forward(self, x):
        return x[:, self.idx]

    def backward(self, g, x):
        d = np.zeros(x.shape)
        np.add.at(d, (slice(None), self.idx), g)
        return d


@right("op")
def gather_with_repeats(rng):
    """Columns picked, some twice, one never."""
    return Gather(np.array([3, 1, 1, 0])), rng.standard_normal((3, 5))


@right("call", order=2)
def weight_standardised_conv(rng):
    """A convolution of standardised weights, both orders."""
    def f(x, w):
        c = w - w.mean(axis=(1, 2, 3), keepdims=True)
        return F.conv2d(x, c / tv.sqrt((c * c).mean(axis=(1, 2, 3), keepdims=True) + 1e-4), stride=2)
    return f, rng.standard_normal((1, 2, 4, 5)), rng.standard_normal((2, 2, 2, 2))


@right("call")
def log_sum_exp_minus_max(rng):
    """Log-sum-exp with the maximum taken from the array: right, for the maximum cancels."""
    def f(x):
        m = x.data.max(axis=1, keepdims=True)
        return tv.log(tv.exp(x - m).sum(axis=1, keepdims=True)) + m
    return f, 50 * rng.standard_normal((3, 5))


class TiedAutoencoder(nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.w, self.b = param(rng.standard_normal((4, 2))), param(rng.standard_normal(4))

    def forward(self, x):
        return tv.sigmoid(x @ self.w) @ self.w.T + self.b


@right("module", order=2)
def tied_autoencoder(rng):
    """One weight, used twice, both orders."""
    return TiedAutoencoder(rng), rng.standard_normal((3, 4))


@right("module")
def embedding_pooled(rng):
    """Embedding of repeated words, averaged."""
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.f = nn.Embedding(6, 3), nn.Linear(3, 2)

        def forward(self, idx):
            return self.f(self.e(idx).mean(axis=1))
    return Bag(), np.array([[0, 1, 1, 5], [2, 2, 2, 0]])


class MeanPool(Op):
    def forward(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))

    def backward(self, g, x):
        return np.repeat(np.repeat(g, 2, axis=2), 2, axis=3) / 4


@right("network")
def network_average_pool(rng):
    """A small network with a hand-written average pool."""
    layers = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), Layer(MeanPool), nn.Flatten(), nn.Linear(3 * 2 * 3, 4)
    net = nn.Sequential(*layers).double()
    return net, rng.standard_normal((4, 1, 6, 8)), lambda y: F.mse_loss(y, Tensor(np.ones((4, 4))))


class Attend(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(c, c), nn.Linear(c, c), nn.Linear(c, c)

    def forward(self, x):
        return x + F.softmax(self.q(x) @ self.k(x).transpose(0, 2, 1) / 2.0, dim=-1) @ self.v(x)


@right("network")
def network_attention(rng):
    """Layer norm, one head, a head on top."""
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), Attend(4), nn.GELU(), nn.Linear(4, 2)).double()
    return net, rng.standard_normal((2, 5, 3)), lambda y: (y * y).sum()


@right("network")
def network_up_and_down(rng):
    """A tiny U-Net of a stride, a transposed convolution and a skip."""
    class Tiny(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 3, stride=2, padding=1)
            self.up, self.out = nn.ConvTranspose2d(4, 2, 2, stride=2), nn.Conv2d(4, 1, 1)

        def forward(self, x):
            a = F.relu(self.a(x))
            return self.out(tv.concatenate([a, self.up(F.relu(self.b(a)))], axis=1))
    return Tiny().double(), rng.standard_normal((2, 1, 6, 4)), lambda y: y.mean()
