"""Wrong homework: normalisation and dropout."""

import numpy as np

from tests.gradcheck.layers import wrong


@wrong("pair", "wrong-local-derivative", "factor-per-axis")
def rms_scale_eps_inside_root(rng):
    """Forward divides by sqrt(v) + eps, backward by sqrt(v + eps)."""
    eps = 1e-3

    def forward(g, v):
        return g / (np.sqrt(v) + eps), (g, v)

    def backward(dout, cache):
        g, v = cache
        r = np.sqrt(v + eps)
        return dout / r, -0.5 * dout * g / r ** 3

    return forward, backward, rng.normal(size=(4, 6)), rng.uniform(0.005, 0.05, size=(4, 6))


def bn_forward(x, gamma, beta, eps=1e-5):
    """Batch norm over axis 0 with a cache."""
    std = np.sqrt(x.var(axis=0) + eps)
    xhat = (x - x.mean(axis=0)) / std
    return gamma * xhat + beta, (xhat, gamma, std)


def bn_inputs(rng, n=7, d=4):
    """An input of several scales, gamma and beta."""
    return (rng.normal(size=(n, d)) * rng.uniform(0.3, 3, size=d) + rng.normal(size=d),
            rng.uniform(0.5, 2, size=d) * np.where(np.arange(d) % 2, 1, -1), rng.normal(size=d))


@wrong("pair", "factor-per-axis")
def batchnorm_gamma_forgotten(rng):
    """Gamma is forgotten in dx."""
    def forward(x, gamma, beta, bn_param):
        out, cache = bn_forward(x, gamma, beta, bn_param.get("eps", 1e-5))
        m = bn_param.get("momentum", 0.9)
        mean = bn_param.get("running_mean", np.zeros(x.shape[1]))
        bn_param["running_mean"] = m * mean + (1 - m) * x.mean(axis=0)
        return out, cache

    def backward(dout, cache):
        xhat, gamma, std = cache
        dx = (dout - dout.mean(0) - xhat * (dout * xhat).mean(0)) / std
        return dx, (dout * xhat).sum(0), dout.sum(0)

    return (forward, backward) + bn_inputs(rng) + ({"mode": "train"},)


@wrong("pair", "factor-per-axis")
def batchnorm_divided_by_variance(rng):
    """dx is divided by the variance instead of the standard deviation."""
    def backward(dout, cache):
        xhat, gamma, std = cache
        dx = gamma * (dout - dout.mean(0) - xhat * (dout * xhat).mean(0)) / std ** 2
        return dx, (dout * xhat).sum(0), dout.sum(0)

    return (bn_forward, backward) + bn_inputs(rng)


@wrong("pair", "term-missing")
def batchnorm_mean_term_missing(rng):
    """The term of the mean is missing."""
    def backward(dout, cache):
        xhat, gamma, std = cache
        dx = gamma * (dout - xhat * (dout * xhat).mean(0)) / std
        return dx, (dout * xhat).sum(0), dout.sum(0)

    return (bn_forward, backward) + bn_inputs(rng)


@wrong("object", "diagonal-only", "term-missing")
def batchnorm_elementwise(rng):
    """Mean and variance are treated as constants: batch norm as an elementwise scale."""
    class BatchNorm:
        def __init__(self, gamma, beta):
            self.gamma, self.beta = gamma, beta
            self.dgamma = self.dbeta = None

        def forward(self, x):
            self.std = np.sqrt(x.var(axis=0) + 1e-5)
            self.xn = (x - x.mean(axis=0)) / self.std
            return self.gamma * self.xn + self.beta

        def backward(self, dout):
            self.dgamma, self.dbeta = (dout * self.xn).sum(0), dout.sum(0)
            return dout * self.gamma / self.std

    x, gamma, beta = bn_inputs(rng)
    return BatchNorm(gamma, beta), x


@wrong("pair", "swapped-gradients")
def batchnorm_dgamma_dbeta_swapped(rng):
    """Dbeta and dgamma are returned in the wrong order."""
    def backward(dout, cache):
        xhat, gamma, std = cache
        dgamma, dbeta = (dout * xhat).sum(0), dout.sum(0)
        dx = gamma * (dout - dout.mean(0) - xhat * (dout * xhat).mean(0)) / std
        return dx, dbeta, dgamma

    return (bn_forward, backward) + bn_inputs(rng)


@wrong("pair", "modified-in-place")
def batchnorm_cache_modified(rng):
    """Backward scales xhat in its own cache, so a second backward gives another result."""
    def backward(dout, cache):
        xhat, gamma, std = cache
        dgamma, dbeta = (dout * xhat).sum(0), dout.sum(0)
        m = dout.mean(0)
        xhat *= (dout * xhat).mean(0)
        return gamma * (dout - m - xhat) / std, dgamma, dbeta

    return (bn_forward, backward) + bn_inputs(rng)


@wrong("pair", "constant-factor")
def batchnorm_n_minus_one(rng):
    """The short formula divides by N - 1 while the variance divided by N."""
    def backward(dout, cache):
        xhat, gamma, std = cache
        n = len(dout)
        dgamma, dbeta = (dout * xhat).sum(0), dout.sum(0)
        return gamma / ((n - 1) * std) * (n * dout - dbeta - xhat * dgamma), dgamma, dbeta

    return (bn_forward, backward) + bn_inputs(rng, n=12)


@wrong("pair", "wrong-axis")
def spatial_batchnorm_means_over_batch_only(rng):
    """The means in dx run over the batch only, not over batch and positions."""
    def forward(x, gamma, beta):
        std = np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + 1e-5)
        xhat = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / std
        return gamma[None, :, None, None] * xhat + beta[None, :, None, None], (xhat, gamma, std)

    def backward(dout, cache):
        xhat, gamma, std = cache
        d = dout * gamma[None, :, None, None]
        dx = (d - d.mean(axis=0, keepdims=True) - xhat * (d * xhat).mean(axis=0, keepdims=True)) / std
        return dx, (dout * xhat).sum((0, 2, 3)), dout.sum((0, 2, 3))

    return forward, backward, rng.normal(size=(4, 3, 3, 2)), rng.uniform(0.5, 2, size=3), rng.normal(size=3)


@wrong("pair", "term-missing")
def layernorm_variance_term_missing(rng):
    """The term of the variance is missing."""
    def forward(x, gamma, beta):
        std = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        xhat = (x - x.mean(axis=1, keepdims=True)) / std
        return gamma * xhat + beta, (xhat, gamma, std)

    def backward(dout, cache):
        xhat, gamma, std = cache
        d = dout * gamma
        return (d - d.mean(axis=1, keepdims=True)) / std, (dout * xhat).sum(0), dout.sum(0)

    return forward, backward, rng.normal(size=(5, 6)), rng.uniform(0.5, 2, size=6), rng.normal(size=6)


@wrong("pair", "wrong-axis")
def layernorm_means_over_batch(rng):
    """Copied from batch norm: the means in dx run over axis 0."""
    def forward(x, gamma, beta):
        std = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        xhat = (x - x.mean(axis=1, keepdims=True)) / std
        return gamma * xhat + beta, (xhat, gamma, std)

    def backward(dout, cache):
        xhat, gamma, std = cache
        d = dout * gamma
        dx = (d - d.mean(axis=0) - xhat * (d * xhat).mean(axis=0)) / std
        return dx, (dout * xhat).sum(0), dout.sum(0)

    return forward, backward, rng.normal(size=(6, 5)), rng.uniform(0.5, 2, size=5), rng.normal(size=5)


@wrong("pair", "modified-in-place")
def layernorm_centres_input_in_place(rng):
    """x -= mean centres the caller's array."""
    def forward(x):
        x -= x.mean(axis=1, keepdims=True)
        std = np.sqrt((x ** 2).mean(axis=1, keepdims=True) + 1e-5)
        return x / std, (x / std, std)

    def backward(dout, cache):
        xhat, std = cache
        return (dout - dout.mean(1, keepdims=True) - xhat * (dout * xhat).mean(1, keepdims=True)) / std

    return forward, backward, rng.normal(size=(5, 6)) + 3


@wrong("pair", "term-missing")
def groupnorm_variance_held_constant(rng):
    """The gradient of group norm is short of its variance term."""
    def forward(x, gamma, beta):
        n, c, h, w = x.shape
        g = x.reshape(n, 2, -1)
        std = np.sqrt(g.var(axis=2, keepdims=True) + 1e-5)
        xhat = ((g - g.mean(axis=2, keepdims=True)) / std).reshape(x.shape)
        return gamma * xhat + beta, (xhat, gamma, std)

    def backward(dout, cache):
        xhat, gamma, std = cache
        d = (dout * gamma).reshape(len(dout), 2, -1)
        dx = (d - d.mean(axis=2, keepdims=True)) / std
        return (dx.reshape(dout.shape), (dout * xhat).sum((0, 2, 3), keepdims=True),
                dout.sum((0, 2, 3), keepdims=True))

    return (forward, backward, rng.normal(size=(2, 4, 3, 2)), rng.uniform(0.5, 2, size=(1, 4, 1, 1)),
            rng.normal(size=(1, 4, 1, 1)))


@wrong("pair", "factor-per-axis")
def instancenorm_std_forgotten(rng):
    """The division by the standard deviation of each picture and channel is forgotten."""
    def forward(x):
        std = np.sqrt(x.var(axis=(2, 3), keepdims=True) + 1e-5)
        xhat = (x - x.mean(axis=(2, 3), keepdims=True)) / std
        return xhat, xhat

    def backward(dout, cache):
        xhat = cache
        return dout - dout.mean((2, 3), keepdims=True) - xhat * (dout * xhat).mean((2, 3), keepdims=True)

    return forward, backward, rng.normal(size=(2, 3, 3, 4)) * rng.uniform(0.3, 3, size=(2, 3, 1, 1))


@wrong("pair", "diagonal-only")
def l2_normalise_diagonal(rng):
    """Only the diagonal 1/n - x**2/n**3 of the Jacobian of x/|x|."""
    def forward(x):
        n = np.sqrt((x ** 2).sum(axis=1, keepdims=True))
        return x / n, (x, n)

    def backward(dout, cache):
        x, n = cache
        return dout * (1 / n - x ** 2 / n ** 3)

    return forward, backward, rng.normal(size=(5, 4))


@wrong("pair", "not-a-number")
def l2_normalise_zero_row(rng):
    """Forward guards the norm with eps, backward divides a zero row by its norm."""
    eps = 1e-2

    def forward(x):
        n = np.sqrt((x ** 2).sum(axis=1, keepdims=True))
        return x / (n + eps), (x, n)

    def backward(dout, cache):
        x, n = cache
        with np.errstate(all="ignore"):
            return dout / (n + eps) - x * (dout * x).sum(axis=1, keepdims=True) / (n * (n + eps) ** 2)

    x = rng.normal(size=(5, 4))
    x[2] = 0
    return forward, backward, x


@wrong("pair", "constant-factor")
def dropout_scale_forgotten(rng):
    """Inverted dropout: backward forgets the division by the keep probability."""
    def forward(x, dropout_param):
        np.random.seed(dropout_param["seed"])
        mask = np.random.rand(*x.shape) < dropout_param["p"]
        return x * mask / dropout_param["p"], (dropout_param, mask)

    def backward(dout, cache):
        dropout_param, mask = cache
        return dout * mask

    return forward, backward, rng.normal(size=(6, 7)), {"mode": "train", "p": 0.6, "seed": int(rng.integers(1000))}


@wrong("object", "mask-missing")
def dropout_mask_forgotten(rng):
    """Dropped elements get the gradient too."""
    class Dropout:
        def __init__(self, rate, seed):
            self.rate, self.rng = rate, np.random.default_rng(seed)

        def forward(self, x):
            self.mask = self.rng.random(x.shape) >= self.rate
            return x * self.mask / (1 - self.rate)

        def backward(self, dout):
            return dout / (1 - self.rate)

    return Dropout(0.4, int(rng.integers(1000))), rng.normal(size=(6, 7))


@wrong("pair", "mask-redrawn")
def dropout_new_mask_in_backward(rng):
    """Backward draws a new mask from np.random."""
    def forward(x):
        mask = (np.random.rand(*x.shape) > 0.5) / 0.5
        return x * mask, x.shape

    def backward(dout, cache):
        mask = (np.random.rand(*cache) > 0.5) / 0.5
        return dout * mask

    return forward, backward, rng.normal(size=(8, 8))


@wrong("object", "mask-redrawn", costly=True)
def dropout_new_mask_from_generator(rng):
    """Backward draws a new mask from the layer's own generator."""
    class Dropout:
        def __init__(self, p, seed):
            self.p, self.rng = p, np.random.default_rng(seed)

        def draw(self, shape):
            return (self.rng.random(shape) < self.p) / self.p

        def forward(self, x):
            return x * self.draw(x.shape)

        def backward(self, dout):
            return dout * self.draw(dout.shape)

    return Dropout(0.7, int(rng.integers(1000))), rng.normal(size=(8, 8))


@wrong("pair", "term-missing", "upstream-ignored", "overwritten")
def moments_second_output_ignored(rng):
    """Of two outputs (mean, variance) only the upstream of the first is used."""
    def forward(x):
        return (x.mean(axis=1), x.var(axis=1)), x

    def backward(dout, cache):
        dmean, dvar = dout
        return np.repeat(dmean[:, None] / cache.shape[1], cache.shape[1], axis=1)

    return forward, backward, rng.normal(size=(5, 6))


@wrong("pair", "extra-term")
def batchnorm_test_mode_with_training_backward(rng):
    """Running statistics in forward; backward as if the batch's own had been used."""
    mean, var = rng.normal(size=4), rng.uniform(0.5, 2, 4)

    def forward(x, gamma, beta):
        s = np.sqrt(var + 1e-5)
        h = (x - mean) / s
        return gamma * h + beta, (h, s, gamma)

    def backward(dout, cache):
        h, s, gamma = cache
        d = dout * gamma
        return (d - d.mean(0) - h * (d * h).mean(0)) / s, (dout * h).sum(0), dout.sum(0)

    return forward, backward, rng.normal(size=(5, 4)), rng.uniform(0.5, 2, 4), rng.normal(size=4)
