"""Wrong custom layers: a mistake of every kind, in ops, modules and networks."""

import numpy as np

import tinyvision.functional as F
from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import param
from tinyvision import Op, Tensor, nn


class LocalContrast(Op):
    """x minus the mean of its 3-neighbourhood along the last axis, zero padded."""

    def forward(self, x):
        p = np.pad(x, ((0, 0), (1, 1)))
        return x - (p[:, :-2] + p[:, 1:-1] + p[:, 2:]) / 3

    def backward(self, g, x):
        return g - g / 3


@wrong("op", "term-missing", "diagonal-only")
def local_contrast_neighbours_forgotten(rng):
    """Only the element's own share of the mean is followed."""
    return LocalContrast(), rng.standard_normal((3, 6))


class OuterAttention(Op):
    def forward(self, a, b):
        return a[:, :, None] * b[:, None, :]

    def backward(self, g, a, b):
        return (g * b[:, None, :]).sum(axis=2), (g * a[:, :, None]).sum(axis=2)


@wrong("op", "wrong-axis")
def outer_product_second_sum_axis(rng):
    """The gradient of b is summed over axis 2, where it must be axis 1; both are four."""
    return OuterAttention(), rng.standard_normal((3, 4)), rng.standard_normal((3, 4))


class Roll(Op):
    def forward(self, x):
        return np.roll(x, 2, axis=1)

    def backward(self, g, x):
        return np.roll(g, 2, axis=1)


@wrong("op", "shifted")
def roll_the_same_way_back(rng):
    """A cyclic shift that is repeated instead of undone."""
    return Roll(), rng.standard_normal((3, 7))


class ConvBNAct(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.conv, self.bn, self.act = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), act

    def forward(self, x):
        return self.act()(self.bn(self.conv(x)))


class ReLU6(Op):
    def forward(self, x):
        return np.clip(x, 0, 1.5)

    def backward(self, g, x):
        return g * (x > 0)


@wrong("module", "wrong-region", "mask-missing")
def conv_bn_capped_relu(rng):
    """A capped ReLU that lets the gradient pass above its cap."""
    return ConvBNAct(ReLU6), rng.standard_normal((3, 2, 4, 4))


class MixStyle(nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.lam = param(rng.uniform(0.3, 0.7, 1))

    def forward(self, x):
        m = x.mean(axis=(2, 3), keepdims=True)
        return self.lam * (x - m) + (1 - self.lam) * Tensor(m.data[::-1].copy())


@wrong("module", "term-missing")
def mixed_means_from_values(rng):
    """The partner's mean enters as values."""
    return MixStyle(rng), rng.standard_normal((3, 2, 3, 2))


class HalfPixel(Op):
    """Rows doubled by linear interpolation at half pixels, clamped at the ends."""

    def matrix(self, n):
        t = np.clip((np.arange(2 * n) + 0.5) / 2 - 0.5, 0, n - 1)
        low = np.minimum(t.astype(int), n - 2)
        m = np.zeros((2 * n, n))
        m[np.arange(2 * n), low], m[np.arange(2 * n), low + 1] = 1 - (t - low), t - low
        return m

    def forward(self, x):
        return self.matrix(x.shape[2]) @ x

    def backward(self, g, x):
        return g.reshape(*x.shape[:2], x.shape[2], 2, x.shape[3]).sum(axis=3)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x):
        return self.b(F.relu(HalfPixel()(self.a(x))))


@wrong("network", "term-missing", "mask-missing", "wrong-local-derivative")
def network_linear_upsampling_as_nearest(rng):
    """Linear upsampling with the backward of nearest neighbours."""
    return Decoder().double(), rng.standard_normal((2, 1, 4, 5)), lambda out: (out * out).mean()
