"""Wrong custom layers: normalisation and dropout."""

import numpy as np

import tinyvision as tv
from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import param
from tinyvision import Op, Tensor, nn


class MaskOp(Op):
    def __init__(self, keep, scale, back):
        self.keep, self.scale, self.back = keep, scale, back

    def forward(self, x):
        return x * self.keep * self.scale

    def backward(self, g, x):
        return self.back(self, g)


def unscaled(op, g):
    return g * op.keep


class BadDropout(nn.Module):
    def __init__(self, p, seed, back):
        self.p, self.generator, self.back = p, np.random.default_rng(seed), back

    def forward(self, x):
        if not self.training:
            return x
        keep = self.generator.random(x.shape) >= self.p
        return MaskOp(keep, 1 / (1 - self.p), self.back)(x)


@wrong("module", "constant-factor", costly=True)
def inverted_dropout_scale_forgotten(rng):
    """Inverted dropout scales forward by 1/(1-p) and forgets it backward."""
    return BadDropout(0.4, 7, unscaled), rng.standard_normal((6, 10))


class InstanceNormNoGamma(Op):
    eps = 1e-5

    def forward(self, x, gamma, beta):
        xhat, _ = self.parts(x)
        return gamma[:, None] * xhat + beta[:, None]

    def parts(self, x):
        m, v = x.mean(axis=2, keepdims=True), x.var(axis=2, keepdims=True)
        r = 1 / np.sqrt(v + self.eps)
        return (x - m) * r, r

    def backward(self, g, x, gamma, beta):
        xhat, r = self.parts(x)
        gx = r * (g - g.mean(axis=2, keepdims=True) - xhat * (g * xhat).mean(axis=2, keepdims=True))
        return gx, (g * xhat).sum(axis=(0, 2)), g.sum(axis=(0, 2))


@wrong("op", "factor-per-axis", costly=True)
def instance_norm_forgets_gamma(rng):
    """Instance norm: gamma is missing from the gradient of the input, a factor for each channel."""
    return InstanceNormNoGamma(), rng.standard_normal((2, 4, 7)), rng.uniform(0.4, 3, 4), rng.standard_normal(4)


class EvalNormSquared(nn.Module):
    """Batch norm in evaluation, fused to one op."""

    def __init__(self, rng):
        self.weight, self.bias = param(rng.uniform(0.5, 2, 3)), param(rng.standard_normal(3))
        self.register_buffer("mean", Tensor(rng.standard_normal(3)))
        self.register_buffer("var", Tensor(rng.uniform(0.2, 4, 3)))

    def forward(self, x):
        return FusedNorm(self.mean.data, self.var.data)(x, self.weight, self.bias)


class FusedNorm(Op):
    def __init__(self, mean, var):
        self.mean, self.var = (a[:, None, None] for a in (mean, var))

    def forward(self, x, w, b):
        return w[:, None, None] * (x - self.mean) / np.sqrt(self.var + 1e-5) + b[:, None, None]

    def backward(self, g, x, w, b):
        xhat = (x - self.mean) / np.sqrt(self.var + 1e-5)
        return g * w[:, None, None] / (self.var + 1e-5), (g * xhat).sum(axis=(0, 2, 3)), g.sum(axis=(0, 2, 3))


@wrong("module", "factor-per-axis")
def fused_norm_divides_by_variance(rng):
    """Batch norm in evaluation divides the gradient by the variance for its root."""
    return EvalNormSquared(rng), rng.standard_normal((2, 3, 4, 3))


class LayerNormBatchMean(Op):
    axis = 0

    def forward(self, x, w):
        m, v = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
        return w * (x - m) / np.sqrt(v + 1e-5)

    def backward(self, g, x, w):
        r = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        xhat, u = (x - x.mean(axis=1, keepdims=True)) * r, g * w
        gx = r * (u - u.mean(axis=self.axis, keepdims=True) - xhat * (u * xhat).mean(axis=self.axis, keepdims=True))
        return gx, (g * xhat).sum(axis=0)


@wrong("op", "wrong-axis")
def layer_norm_means_over_batch(rng):
    """Layer norm whose backward takes batch norm's means, over the samples."""
    return LayerNormBatchMean(), rng.standard_normal((5, 7)), rng.uniform(0.5, 2, 7)


class TrainNorm(nn.Module):
    def __init__(self, rng):
        self.weight, self.bias = param(rng.uniform(0.5, 2, 3)), param(rng.standard_normal(3))
        self.register_buffer("running_mean", Tensor(np.zeros(3)))
        self.register_buffer("running_var", Tensor(np.ones(3)))

    def forward(self, x):
        m, v = x.data.mean(axis=(0, 2)), x.data.var(axis=(0, 2))
        with tv.no_grad():
            self.running_mean[...] = 0.9 * self.running_mean.data + 0.1 * m
            self.running_var[...] = 0.9 * self.running_var.data + 0.1 * v
        xhat = (x - m[:, None]) / np.sqrt(v + 1e-5)[:, None]
        return self.weight.reshape(3, 1) * xhat + self.bias.reshape(3, 1)


@wrong("module", "diagonal-only", "term-missing", costly=True)
def train_norm_with_constant_statistics(rng):
    """Batch norm in training with its statistics taken from x.data: the evaluation formula's gradient."""
    return TrainNorm(rng), rng.standard_normal((4, 3, 5))


def unmasked(op, g):
    return g * op.scale


@wrong("module", "mask-missing")
def dropout_mask_not_applied(rng):
    """Dropout whose backward scales but does not mask."""
    return BadDropout(0.3, 11, unmasked), rng.standard_normal((5, 8))


class DropPathOp(Op):
    def __init__(self, p, generator):
        self.p, self.generator = p, generator

    def draw(self, x):
        keep = self.generator.random((len(x),) + (1,) * (x.ndim - 1)) >= self.p
        return keep / (1 - self.p)

    def forward(self, x):
        return x * self.draw(x)

    def backward(self, g, x):
        return g * self.draw(g)


class DropPath(nn.Module):
    def __init__(self, rng):
        self.body, self.generator = nn.Linear(4, 4).double(), np.random.default_rng(5)

    def forward(self, x):
        return x + DropPathOp(0.5, self.generator)(tv.tanh(self.body(x)))


@wrong("module", "mask-redrawn", costly=True)
def drop_path_redraws(rng):
    """Stochastic depth draws in backward which samples were dropped."""
    return DropPath(rng), rng.standard_normal((12, 4))


class LayerNormNoMean(LayerNormBatchMean):
    def backward(self, g, x, w):
        r = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        xhat, u = (x - x.mean(axis=1, keepdims=True)) * r, g * w
        return r * (u - xhat * (u * xhat).mean(axis=1, keepdims=True)), (g * xhat).sum(axis=0)


@wrong("op", "term-missing")
def layer_norm_without_mean_term(rng):
    """Layer norm: the term of the mean is missing from the input's gradient."""
    return LayerNormNoMean(), rng.standard_normal((4, 6)), rng.uniform(0.5, 2, 6)


class Unit(Op):
    def forward(self, x):
        return x / np.sqrt((x * x).sum(axis=1, keepdims=True))

    def backward(self, g, x):
        return g / np.sqrt((x * x).sum(axis=1, keepdims=True))


@wrong("op", "term-missing", "diagonal-only")
def unit_vectors_with_constant_length(rng):
    """x / |x|: the length is held constant."""
    return Unit(), rng.standard_normal((4, 5))


class SafeUnit(Op):
    """sqrt(|x|^2 + 0) of rows; a row of zeros has length zero."""

    def forward(self, x):
        return np.sqrt((x * x).sum(axis=1))

    def backward(self, g, x):
        with np.errstate(all="ignore"):
            return (g / self.forward(x))[:, None] * x


@wrong("op", "not-a-number")
def length_of_zero_row(rng):
    """The length of a row of zeros: 0 / 0, where every number in the unit ball would do."""
    x = rng.standard_normal((4, 3))
    x[2] = 0
    return SafeUnit(), x
