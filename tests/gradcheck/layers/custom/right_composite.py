"""Right custom layers: modules and networks of several layers, fresh weights."""

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import param
from tinyvision import Op, Tensor, nn
from tests.gradcheck.layers.custom.wrong_composite import Stage


class HardSigmoid(Op):
    def forward(self, x):
        return np.clip(x / 6 + 0.5, 0, 1)

    def backward(self, g, x):
        return g * (np.abs(x) < 3) / 6


class HardSE(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.down, self.up = nn.Linear(c, 3), nn.Linear(3, c)

    def forward(self, x):
        s = HardSigmoid()(6 * self.up(F.relu(self.down(x.mean(axis=(2, 3))))))
        return x * s.reshape(*s.shape, 1, 1)


@right("module")
def hard_excitation(rng):
    """MobileNetV3's gate."""
    return HardSE(5), rng.standard_normal((3, 5, 2, 3))


class Unshuffle(Op):
    def forward(self, x):
        N, C, H, W = x.shape
        return x.reshape(N, 2, C // 2, H, W).transpose(0, 2, 1, 3, 4).reshape(x.shape)

    def backward(self, g, x):
        N, C, H, W = x.shape
        return g.reshape(N, C // 2, 2, H, W).transpose(0, 2, 1, 3, 4).reshape(x.shape)


@right("module")
def shuffle_unit(rng):
    """A ShuffleNet unit."""
    class Unit(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(6, 6, 1, groups=2), nn.Conv2d(6, 6, 1, groups=2)

        def forward(self, x):
            return F.relu(x + self.b(Unshuffle()(F.relu(self.a(x)))))
    return Unit(), rng.standard_normal((2, 6, 3, 2))


@right("module")
def stop_gradient_of_a_constant(rng):
    """A module that detaches something that depends on no input."""
    class Prior(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = param(rng.standard_normal((3, 3)))
            self.register_buffer("prior", Tensor(np.full(3, 0.2)))

        def forward(self, x):
            return F.softmax(x @ self.w, dim=1) * self.prior.detach()
    return Prior(), rng.standard_normal((4, 3))


@right("module")
def layer_scale_of_ones(rng):
    """Layer scale that begins with ones, and a bias of zeros."""
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.s, self.b = nn.Linear(4, 4), param(np.ones(4)), param(np.zeros(4))

        def forward(self, x):
            return x + self.s * F.gelu(self.f(x)) + self.b
    return Scaled(), rng.standard_normal((3, 4))


@right("call", order=2)
def gated_linear(rng):
    """GLU with its gate, both orders."""
    return lambda x, w: F.glu(x @ w, dim=1), rng.standard_normal((3, 4)), rng.standard_normal((4, 6))


@right("call")
def stable_softplus_by_where(rng):
    """Softplus by cases."""
    return lambda x: tv.where(x > 0, x + tv.log1p(tv.exp(-abs_(x))), tv.log1p(tv.exp(-abs_(x)))), 10 * rng.standard_normal((3, 4))


def abs_(x):
    return tv.maximum(x, -x)


@right("call")
def contrastive_pairs(rng):
    """Normalised projections, InfoNCE."""
    def f(a, b):
        a, b = (z / tv.sqrt((z * z).sum(axis=1, keepdims=True)) for z in (a, b))
        return F.cross_entropy(a @ b.T / 0.1, np.arange(4))
    return f, rng.standard_normal((4, 3)), rng.standard_normal((4, 3))


class Blur(Op):
    def forward(self, x):
        p = np.pad(x, ((0, 0), (0, 0), (0, 0), (1, 1)), mode="edge")
        return (p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]) / 4

    def backward(self, g, x):
        p = np.pad(g, ((0, 0), (0, 0), (0, 0), (1, 1)))
        d = (p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]) / 4
        d[..., 0] += g[..., 0] / 4
        d[..., -1] += g[..., -1] / 4
        return d


@right("network")
def network_blur_pool(rng):
    """Anti-aliased pooling in a network."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), Stage(Blur, nn.AvgPool2d(2), nn.Conv2d(4, 4, 3)), nn.Flatten(),
                        nn.Linear(16, 3)).double()
    y = rng.integers(0, 3, 3)
    return net, rng.standard_normal((3, 1, 8, 8)), lambda out: F.cross_entropy(out, y)


@right("network")
def network_fresh_norms(rng):
    """Batch norms with ones and zeros, dropout, in train mode."""
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(4, 4, 2), nn.BatchNorm2d(4),
                        nn.Flatten(), nn.Linear(4 * 3 * 2, 2)).double()
    return net, rng.standard_normal((3, 2, 6, 5)), lambda out: (out * out).sum()
