"""Wrong custom layers: one mistake in a module or network of several layers."""

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import param
from tinyvision import Op, Tensor, nn


class SmoothedCrossEntropy(Op):
    """Softmax cross entropy of smoothed labels, one number for each row."""

    def __init__(self, y, eps=0.2):
        self.y, self.eps = y, eps

    def probabilities(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def target(self, k):
        return (1 - self.eps) * np.eye(k)[self.y] + self.eps / k

    def forward(self, x):
        return -(self.target(x.shape[1]) * np.log(self.probabilities(x))).sum(axis=1)

    def backward(self, g, x):
        return g[:, None] * (self.probabilities(x) - np.eye(x.shape[1])[self.y])


@wrong("op", "term-missing")
def smoothed_labels_sharp_in_backward(rng):
    """The labels are smoothed in forward, and sharp in backward."""
    return SmoothedCrossEntropy(rng.integers(0, 4, 5)), rng.standard_normal((5, 4))


class DepthwiseInput(Op):
    def forward(self, x, w):
        H, W = x.shape[2] - w.shape[1] + 1, x.shape[3] - w.shape[2] + 1
        return sum(x[:, :, k:k + H, l:l + W] * w[:, k, l][:, None, None] for k in range(w.shape[1]) for l in range(w.shape[2]))

    def backward(self, g, x, w):
        H, W = g.shape[2:]
        gx, gw = np.zeros_like(x), np.zeros_like(w)
        for k in range(w.shape[1]):
            for l in range(w.shape[2]):
                gx[:, :, k:k + H, l:l + W] += g * w[:, k, -1 - l][:, None, None]
                gw[:, k, l] = (g * x[:, :, k:k + H, l:l + W]).sum(axis=(0, 2, 3))
        return gx, gw


class Separable(nn.Module):
    def __init__(self, rng):
        super().__init__()
        self.w, self.mix = param(rng.standard_normal((3, 3, 3))), nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return F.relu(self.mix(DepthwiseInput()(x, self.w)))


@wrong("module", "flipped")
def separable_conv_columns_flipped(rng):
    """A separable convolution; the depthwise kernel's columns are reversed in the input's gradient."""
    return Separable(rng), rng.standard_normal((2, 3, 5, 4))


class HardSigmoid(Op):
    def forward(self, x):
        return np.clip(x / 6 + 0.5, 0, 1)

    def backward(self, g, x):
        return g / 6


class HardSE(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.down, self.up = nn.Linear(c, 3), nn.Linear(3, c)

    def forward(self, x):
        s = HardSigmoid()(6 * self.up(F.relu(self.down(x.mean(axis=(2, 3))))))
        return x * s.reshape(*s.shape, 1, 1)


@wrong("module", "mask-missing", "wrong-region")
def hard_excitation_never_saturates(rng):
    """MobileNetV3's gate: a hard sigmoid whose slope is 1/6 beyond its corners too."""
    module = HardSE(5)
    module.up.weight.data[...] *= 4
    module.up.bias.data[...] += np.array([2, -2, 0.3, -0.2, 1.5])
    return module, rng.standard_normal((3, 5, 2, 3))


class Shuffle(Op):
    def forward(self, x):
        N, C, H, W = x.shape
        return x.reshape(N, 2, C // 2, H, W).transpose(0, 2, 1, 3, 4).reshape(x.shape)

    def backward(self, g, x):
        return self.forward(g)


class ShuffleUnit(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(6, 6, 1, groups=2), nn.Conv2d(6, 6, 1, groups=2)

    def forward(self, x):
        return F.relu(x + self.b(Shuffle()(F.relu(self.a(x)))))


@wrong("module", "transposed")
def shuffle_unit_shuffled_twice(rng):
    """A ShuffleNet unit; backward shuffles the channels once more, instead of undoing it."""
    return ShuffleUnit(), rng.standard_normal((2, 6, 3, 2))


class CosineHead(nn.Module):
    """Scaled cosines with class vectors; the row norms are taken from the values."""

    def __init__(self, rng):
        super().__init__()
        self.w = param(rng.standard_normal((4, 3)))

    def forward(self, x):
        a = x / Tensor(np.linalg.norm(x.data, axis=1, keepdims=True))
        return 5 * a @ (self.w / tv.sqrt((self.w * self.w).sum(axis=0, keepdims=True)))


@wrong("module", "term-missing")
def cosine_head_norm_from_values(rng):
    """A cosine classifier whose inputs' norms are constants."""
    return CosineHead(rng), rng.standard_normal((5, 4))


@wrong("call", "term-missing")
def momentum_contrast_mixes_detached(rng):
    """Mixup with a partner that is detached."""
    def f(x, w):
        mixed = 0.7 * x + 0.3 * tv.flip(x, 0).detach()
        return tv.tanh(mixed @ w)
    return f, rng.standard_normal((4, 3)), rng.standard_normal((3, 2))


@wrong("call", "missing-gradient", "zero-gradient")
def learned_temperature_as_number(rng):
    """A learned temperature that enters as float(t)."""
    def f(x, t):
        return F.log_softmax(x * float(t), dim=1)
    return f, rng.standard_normal((3, 4)), np.array(1.7)


class Blur(Op):
    """A fixed filter [1, 2, 1] / 4 along the rows, edges replicated."""

    def forward(self, x):
        p = np.pad(x, ((0, 0), (0, 0), (0, 0), (1, 1)), mode="edge")
        return (p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]) / 4

    def backward(self, g, x):
        p = np.pad(g, ((0, 0), (0, 0), (0, 0), (1, 1)))
        return (p[..., :-2] + 2 * p[..., 1:-1] + p[..., 2:]) / 4


class Stage(nn.Module):
    def __init__(self, op, *layers):
        super().__init__()
        self.op, self.layers = op, nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(self.op()(x))


@wrong("network", "wrong-slice", "term-missing")
def network_blur_border_lost(rng):
    """Anti-aliased pooling: the replicated edges of the blur give nothing back."""
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), Stage(Blur, nn.AvgPool2d(2), nn.Conv2d(4, 4, 3)), nn.Flatten(),
                        nn.Linear(16, 3)).double()
    y = rng.integers(0, 3, 3)
    return net, rng.standard_normal((3, 1, 8, 8)), lambda out: F.cross_entropy(out, y)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.up, self.head = nn.ConvTranspose2d(6, 4, 2, stride=2), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        a = F.relu(self.a(x))
        b = F.relu(self.b(a))
        return self.head(tv.concatenate([Tensor(a.data), F.relu(self.up(b))], axis=1))


@wrong("network", "term-missing")
def network_skip_from_values(rng):
    """A small U-Net whose skip is made of values."""
    return Encoder().double(), rng.standard_normal((2, 1, 8, 6)), lambda out: (out * out).mean()


class Norm(Op):
    def forward(self, x):
        m, v = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
        return (x - m) / np.sqrt(v + 1e-5)

    def backward(self, g, x):
        m, v = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
        h = (x - m) / np.sqrt(v + 1e-5)
        return (g - g.mean(axis=-1, keepdims=True) - h * (g * h).mean(axis=-1, keepdims=True)) / (v + 1e-5)


@wrong("network", "factor-per-axis")
def network_token_norm_by_variance(rng):
    """A transformer-like network whose norm divides by the variance in backward."""
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix, self.out = nn.Linear(6, 6), nn.Linear(6, 6)

        def forward(self, x):
            return x + self.out(F.gelu(self.mix(Norm()(x))))
    net = nn.Sequential(nn.Linear(3, 6), Block(), Block(), nn.Linear(6, 2)).double()
    return net, rng.standard_normal((2, 4, 3)), lambda out: (out ** 2).sum()
