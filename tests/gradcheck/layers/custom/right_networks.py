"""Right Modules: blocks and small networks."""

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import param
from tinyvision import Tensor, nn


@right("module")
def module_linear_float32(rng):
    """A linear layer as it comes, in float32."""
    return nn.Linear(4, 3), rng.standard_normal((5, 4))


@right("module")
def module_conv_norm_relu_float32(rng):
    """Convolution, batch norm in training, ReLU, as they come in float32."""
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU())
    return net, rng.standard_normal((3, 2, 4, 5))


class Frozen(nn.Module):
    def __init__(self, rng):
        self.body, self.head = nn.Linear(4, 6).double(), nn.Linear(6, 2).double()
        self.body.requires_grad_(False)
        self.prior = param(rng.standard_normal(2), requires_grad=False)

    def forward(self, x):
        return self.head(tv.tanh(self.body(x))) + self.prior


@right("module")
def module_frozen_body(rng):
    """Fine-tuning: the body's parameters and one of the head's are frozen."""
    return Frozen(rng), rng.standard_normal((5, 4))


class Tied(nn.Module):
    def __init__(self, rng):
        self.encode, self.decode = nn.Linear(5, 3, bias=False).double(), nn.Linear(3, 5, bias=False).double()
        self.decode.weight = None
        self.bias = param(rng.standard_normal(5))

    def forward(self, x):
        h = tv.tanh(self.encode(x))
        return h @ self.encode.weight + self.bias


@right("module")
def module_tied_autoencoder(rng):
    """An autoencoder with one weight, used as W and as W^T; the decoder's own was removed."""
    return Tied(rng), rng.standard_normal((4, 5))


class SharedTwice(nn.Module):
    def __init__(self):
        self.a = nn.Linear(4, 4).double()
        self.b = nn.Linear(4, 4).double()
        self.b.weight = self.a.weight                     # one Parameter under two names

    def forward(self, x):
        return self.b(tv.tanh(self.a(self.a(x))))


@right("module")
def module_shared_parameter(rng):
    """One Parameter under two names, and one module called twice in a row."""
    return SharedTwice(), rng.standard_normal((5, 4))


class Siamese(nn.Module):
    def __init__(self):
        self.net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh()).double()

    def forward(self, a, b):
        return ((self.net(a) - self.net(b)) ** 2).sum(axis=1)


@right("module")
def module_siamese(rng):
    """A siamese network with batch norm: two inputs, statistics updated twice per call."""
    return Siamese(), rng.standard_normal((6, 4)), rng.standard_normal((6, 4))


@right("module", costly=True)
def module_basic_block(rng):
    """A residual block of the library with stride and projection, batch norm in training."""
    return nn.BasicBlock(2, 3, stride=2).double(), rng.standard_normal((2, 2, 6, 4))


@right("module", costly=True)
def module_pre_activation_block(rng):
    """A pre-activation block without projection."""
    return nn.PreActivationBlock(2, 2).double(), rng.standard_normal((2, 2, 4, 3))


class TinyUNet(nn.Module):
    def __init__(self):
        self.down, self.bottom = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 3, padding=1)
        self.pool, self.up, self.out = nn.MaxPool2d(2), nn.ConvTranspose2d(4, 2, 2, stride=2), nn.Conv2d(4, 2, 3, padding=1)
        self.double()

    def forward(self, x):
        a = F.silu(self.down(x))
        b = self.up(F.silu(self.bottom(self.pool(a))))
        return self.out(tv.concatenate([a, b], axis=1))


@right("module", costly=True)
def module_unet_one_level(rng):
    """A U-Net of one level."""
    return TinyUNet(), rng.standard_normal((1, 1, 4, 6))


class SqueezeExcite(nn.Module):
    def __init__(self):
        self.squeeze, self.excite = nn.Linear(4, 2).double(), nn.Linear(2, 4).double()

    def forward(self, x):
        s = tv.sigmoid(self.excite(F.relu(self.squeeze(x.mean(axis=(2, 3))))))
        return x * s.reshape(*s.shape, 1, 1)


@right("module")
def module_squeeze_excite(rng):
    """Squeeze and excitation."""
    return SqueezeExcite(), rng.standard_normal((2, 4, 3, 4))


class Pyramid(nn.Module):
    def __init__(self):
        self.levels = nn.ModuleList([nn.Conv1d(2, 2, 3, padding=1) for _ in range(3)]).double()
        self.gains = nn.ParameterList([param(np.ones(1) * k) for k in (1, 2, 3)])

    def forward(self, x):
        outs = []
        for conv, gain in zip(self.levels, self.gains):
            x = tv.tanh(conv(x))
            outs.append(x * gain)
            x = F.avg_pool1d(x, 2)
        return outs


@right("module")
def module_pyramid_of_outputs(rng):
    """A pyramid: module list, parameter list, a list of three outputs."""
    return Pyramid(), rng.standard_normal((2, 2, 8))


class Lstm(nn.Module):
    def __init__(self):
        self.x, self.h = nn.Linear(3, 16).double(), nn.Linear(4, 16, bias=False).double()

    def forward(self, x):
        h = c = Tensor(np.zeros((x.shape[0], 4)))
        for t in range(x.shape[1]):
            i, f, o, a = tv.split(self.x(x[:, t]) + self.h(h), 4, axis=1)
            c = tv.sigmoid(f) * c + tv.sigmoid(i) * tv.tanh(a)
            h = tv.sigmoid(o) * tv.tanh(c)
        return h, c


@right("module", costly=True)
def module_lstm(rng):
    """An LSTM over four steps: every weight is used four times."""
    return Lstm(), rng.standard_normal((2, 4, 3))


class Experts(nn.Module):
    """Hard gating: the best of three experts per sample."""

    def __init__(self):
        self.gate, self.experts = nn.Linear(4, 3).double(), nn.ModuleList([nn.Linear(4, 2) for _ in range(3)]).double()

    def forward(self, x):
        p = F.softmax(self.gate(x), dim=1)
        best = p.data.argmax(axis=1)
        y = tv.stack([e(x) for e in self.experts], axis=1)
        rows = np.arange(len(best))
        return y[rows, best] * p[rows, best].reshape(-1, 1)


@right("module")
def module_hard_experts(rng):
    """A mixture of experts with a hard choice per sample: some experts get nothing from some samples."""
    return Experts(), 2 * rng.standard_normal((6, 4))


class WeightNorm(nn.Module):
    def __init__(self, rng):
        self.v, self.g = param(rng.standard_normal((3, 4))), param(rng.uniform(0.5, 2, (3, 1)))

    def forward(self, x):
        return F.linear(x, self.v * (self.g / (self.v * self.v).sum(axis=1, keepdims=True) ** 0.5))


@right("module")
def module_weight_norm(rng):
    """Weight normalisation: the gradient of v is orthogonal to v."""
    return WeightNorm(rng), rng.standard_normal((5, 4))


@right("module", costly=True)
def module_many_weights(rng):
    """A layer of 25,600 weights."""
    return nn.Sequential(nn.Linear(160, 160), nn.Tanh()).double(), rng.standard_normal((3, 160))


class Auxiliary(nn.Module):
    def __init__(self):
        self.body, self.head, self.auxiliary = (nn.Linear(4, n).double() for n in (4, 2, 3))

    def forward(self, x):
        h = tv.tanh(self.body(x))
        return (self.head(h), self.auxiliary(h)) if not self.training else self.head(h)


@right("module")
def module_unused_head(rng):
    """An auxiliary head that training does not use: its parameters rightly get no gradient."""
    return Auxiliary(), rng.standard_normal((4, 4))
