"""Right homework: normalisation and dropout."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import batchnorm_backward, batchnorm_forward, dropout_backward, dropout_forward


@right("pair")
def batchnorm_with_bn_param(rng):
    """Batch norm with bn_param, running statistics appear in the dict."""
    return (batchnorm_forward, batchnorm_backward, 3 * rng.normal(size=(6, 4)) + 5, rng.normal(size=4),
            rng.normal(size=4), {"mode": "train"})


@right("pair")
def batchnorm_test_mode(rng):
    """Batch norm in test mode uses given running statistics."""
    return (batchnorm_forward, batchnorm_backward, rng.normal(size=(6, 4)), rng.normal(size=4), rng.normal(size=4),
            {"mode": "test", "running_mean": rng.normal(size=4), "running_var": rng.uniform(0.5, 2, size=4)})


@right("pair")
def spatial_batchnorm(rng):
    """Spatial batch norm on top of the flat one."""
    def forward(x, gamma, beta, bn_param):
        n, c, h, w = x.shape
        out, cache = batchnorm_forward(x.transpose(0, 2, 3, 1).reshape(-1, c), gamma, beta, bn_param)
        return out.reshape(n, h, w, c).transpose(0, 3, 1, 2), cache

    def backward(dout, cache):
        n, c, h, w = dout.shape
        dx, dgamma, dbeta = batchnorm_backward(dout.transpose(0, 2, 3, 1).reshape(-1, c), cache)
        return dx.reshape(n, h, w, c).transpose(0, 3, 1, 2), dgamma, dbeta

    return (forward, backward, rng.normal(size=(2, 3, 3, 2)), rng.normal(size=3), rng.normal(size=3),
            {"mode": "train", "running_mean": np.zeros(3), "running_var": np.ones(3)})


@right("pair")
def batchnorm_step_by_step(rng):
    """The step-by-step backward leaves out the share of the variance in the mean, which is always 0."""
    def forward(x, gamma, beta):
        xc = x - x.mean(axis=0)
        var = (xc ** 2).mean(axis=0)
        istd = 1 / np.sqrt(var + 1e-5)
        return gamma * xc * istd + beta, (xc, istd, gamma)

    def backward(dout, cache):
        xc, istd, gamma = cache
        n = len(dout)
        dxhat = dout * gamma
        dvar = np.sum(dxhat * xc, axis=0) * -0.5 * istd ** 3
        dmean = -np.sum(dxhat * istd, axis=0)
        return dxhat * istd + dvar * 2 * xc / n + dmean / n, np.sum(dout * xc * istd, axis=0), dout.sum(axis=0)

    return forward, backward, rng.normal(size=(7, 4)), rng.normal(size=4), rng.normal(size=4)


@right("object")
def batchnorm_object(rng):
    """Batch norm object with attributes gamma, beta and running statistics that are no parameters."""
    class BatchNormalization:
        def __init__(self, gamma, beta, momentum=0.9):
            self.gamma, self.beta, self.momentum = gamma, beta, momentum
            self.running_mean = self.running_var = None
            self.xc = self.std = self.xn = self.dgamma = self.dbeta = None

        def forward(self, x, train_flg=True):
            if self.running_mean is None:
                self.running_mean, self.running_var = np.zeros(x.shape[1]), np.zeros(x.shape[1])
            if train_flg:
                mu = x.mean(axis=0)
                self.xc = x - mu
                var = np.mean(self.xc ** 2, axis=0)
                self.std = np.sqrt(var + 10e-7)
                self.xn = self.xc / self.std
                self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mu
                self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
                return self.gamma * self.xn + self.beta
            xn = (x - self.running_mean) / np.sqrt(self.running_var + 10e-7)
            return self.gamma * xn + self.beta

        def backward(self, dout):
            n = len(dout)
            self.dbeta, self.dgamma = dout.sum(axis=0), np.sum(self.xn * dout, axis=0)
            dxn = self.gamma * dout
            dxc = dxn / self.std
            dstd = -np.sum(dxn * self.xc / self.std ** 2, axis=0)
            dxc += self.xc * dstd / (self.std * n)
            return dxc - dxc.sum(axis=0) / n

    return BatchNormalization(rng.uniform(0.5, 2, size=4), rng.normal(size=4)), rng.normal(size=(6, 4))


@right("pair")
def layernorm(rng):
    """Layer norm with gamma and beta."""
    def forward(x, gamma, beta, ln_param):
        std = np.sqrt(x.var(axis=1, keepdims=True) + ln_param.get("eps", 1e-5))
        xhat = (x - x.mean(axis=1, keepdims=True)) / std
        return gamma * xhat + beta, (xhat, gamma, std)

    def backward(dout, cache):
        xhat, gamma, std = cache
        d = dout * gamma
        dx = (d - d.mean(axis=1, keepdims=True) - xhat * (d * xhat).mean(axis=1, keepdims=True)) / std
        return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)

    return forward, backward, rng.normal(size=(4, 6)), rng.normal(size=6), rng.normal(size=6), {}


@right("pair")
def dropout_with_seed(rng):
    """Dropout seeded from dropout_param."""
    return (dropout_forward, dropout_backward, rng.normal(size=(6, 7)),
            {"mode": "train", "p": 0.7, "seed": int(rng.integers(1000))})


@right("pair")
def dropout_from_np_random(rng):
    """Dropout without a seed draws from np.random."""
    return dropout_forward, dropout_backward, rng.normal(size=(6, 7)), {"mode": "train", "p": 0.4}


@right("object")
def dropout_generator_in_object(rng):
    """Dropout drawing from a Generator kept in the object."""
    class Dropout:
        def __init__(self, rate, seed):
            self.rate = rate
            self.rng = np.random.default_rng(seed)

        def forward(self, x, train=True):
            if not train:
                return x
            self.mask = (self.rng.random(x.shape) > self.rate) / (1 - self.rate)
            return x * self.mask

        def backward(self, dout):
            return dout * self.mask

    return Dropout(0.3, int(rng.integers(1000))), rng.normal(size=(6, 7))


@right("object")
def dropout_object_np_random(rng):
    """Dropout object drawing from np.random, not inverted: the mask is not scaled."""
    class Dropout:
        def __init__(self, dropout_ratio=0.5):
            self.dropout_ratio, self.mask = dropout_ratio, None

        def forward(self, x, train_flg=True):
            if train_flg:
                self.mask = np.random.rand(*x.shape) > self.dropout_ratio
                return x * self.mask
            return x * (1.0 - self.dropout_ratio)

        def backward(self, dout):
            return dout * self.mask

    return Dropout(), rng.normal(size=(6, 7))


@right("object")
def noise_layer_random_state(rng):
    """Gaussian noise times a learned scale, drawn from a RandomState in the object."""
    class Noise:
        def __init__(self, scale, seed):
            self.params, self.grads = {"scale": scale}, {}
            self.state = np.random.RandomState(seed)

        def forward(self, x):
            self.noise = self.state.randn(*x.shape)
            return x + self.params["scale"] * self.noise

        def backward(self, dout):
            self.grads["scale"] = (dout * self.noise).sum(axis=0)
            return dout

    return Noise(rng.uniform(0.1, 1, size=5), int(rng.integers(1000))), rng.normal(size=(4, 5))
