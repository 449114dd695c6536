"""Right homework whose numbers are very large, very small, both at once, or saturated."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import (
    affine_backward, affine_forward, elementwise, norm_pair, signs, softmax, stable_sigmoid,
)


@right("pair")
def affine_tiny_input(rng):
    """x is about 1e-8, dw as well."""
    return affine_forward, affine_backward, 1e-8 * rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


@right("pair")
def affine_huge_input(rng):
    """x is about 1e6 and w about 1e-3."""
    return (affine_forward, affine_backward, 1e6 * rng.normal(size=(5, 2, 2)), 1e-3 * rng.normal(size=(4, 3)),
            rng.normal(size=3))


@right("pair")
def square_mixed_scales(rng):
    """x**2 with elements from 1e-8 to 1e6 in one tensor."""
    x = (10.0 ** np.linspace(-8, 6, 30) * signs(rng, 30)).reshape(5, 6)
    return elementwise(lambda x: x ** 2, lambda x: 2 * x) + (x,)


@right("pair")
def sum_of_squares_mixed_scales(rng):
    """One scalar sums squares of mixed scales, so the tiny elements drown in the rounding of the sum."""
    def forward(x):
        return float((x ** 2).sum()), x

    def backward(dout, cache):
        return 2 * dout * cache

    return forward, backward, 10.0 ** np.linspace(-8, 6, 30) * signs(rng, 30)


@right("pair")
def tanh_mixed_scales(rng):
    """Tanh with elements from 1e-8 to 10."""
    def forward(x):
        y = np.tanh(x)
        return y, y

    def backward(dout, cache):
        return dout * (1 - cache ** 2)

    return forward, backward, 10.0 ** np.linspace(-8, 1, 24) * signs(rng, 24)


@right("pair")
def multiply_unequal_scales(rng):
    """One factor is about 1e6, the other about 1e-8."""
    def forward(a, b):
        return a * b

    def backward(dout, a, b):
        return dout * b, dout * a

    return forward, backward, 1e6 * rng.normal(size=(4, 6)), 1e-8 * rng.normal(size=(4, 6))


@right("pair")
def batchnorm_large_offset(rng):
    """Batch norm of data around 1e6 with standard deviation 1."""
    return norm_pair((0,)) + (1e6 + rng.normal(size=(8, 4)),)


@right("pair")
def batchnorm_tiny_variance(rng):
    """Batch norm of nearly constant columns, variance 1e-12 below eps 1e-5."""
    return norm_pair((0,)) + (1 + 1e-6 * rng.normal(size=(8, 4)),)


@right("pair")
def batchnorm_tiny_variance_and_eps(rng):
    """Variance 1e-14 with eps 1e-12: the curve bends within 1e-6 of x = 1."""
    return norm_pair((0,), eps=1e-12) + (1 + 1e-7 * rng.normal(size=(8, 4)),)


@right("pair")
def layernorm_tiny_rows(rng):
    """Layer norm of rows of size 1e-8, far below eps."""
    return norm_pair((1,)) + (1e-8 * rng.normal(size=(5, 6)),)


@right("pair")
def layernorm_rows_of_all_scales(rng):
    """Layer norm whose rows differ by a factor 1e9."""
    return norm_pair((1,)) + (rng.normal(size=(6, 7)) * 10.0 ** np.linspace(-4, 5, 6)[:, None],)


@right("pair")
def instancenorm_almost_constant(rng):
    """Instance norm of almost constant pictures."""
    return norm_pair((2, 3)) + (rng.normal(size=(2, 3, 1, 1)) + 1e-5 * rng.normal(size=(2, 3, 4, 3)),)


@right("pair")
def groupnorm(rng):
    """Group norm with gamma and beta of shape (1, C, 1, 1)."""
    def forward(x, gamma, beta, gn_param):
        n, c, h, w = x.shape
        g = x.reshape(n, gn_param["G"], -1)
        std = np.sqrt(g.var(axis=2, keepdims=True) + gn_param.get("eps", 1e-5))
        xhat = ((g - g.mean(axis=2, keepdims=True)) / std).reshape(x.shape)
        return gamma * xhat + beta, (xhat, std, gamma, gn_param["G"])

    def backward(dout, cache):
        xhat, std, gamma, groups = cache
        n = len(dout)
        d, r = (dout * gamma).reshape(n, groups, -1), xhat.reshape(n, groups, -1)
        dx = (d - d.mean(axis=2, keepdims=True) - r * (d * r).mean(axis=2, keepdims=True)) / std
        return (dx.reshape(dout.shape), (dout * xhat).sum(axis=(0, 2, 3), keepdims=True),
                dout.sum(axis=(0, 2, 3), keepdims=True))

    return (forward, backward, rng.normal(size=(2, 6, 3, 2)), rng.normal(size=(1, 6, 1, 1)),
            rng.normal(size=(1, 6, 1, 1)), {"G": 3})


@right("pair")
def sigmoid_saturated_40(rng):
    """Sigmoid of +-40: the derivative is 4e-18 on one side and rounds to 0 on the other."""
    def forward(x):
        y = stable_sigmoid(x)
        return y, y

    def backward(dout, cache):
        return dout * cache * (1 - cache)

    return forward, backward, 40 * signs(rng, (4, 5)) + rng.normal(size=(4, 5))


@right("pair")
def sigmoid_saturated_500(rng):
    """Sigmoid of +-500: derivative about 1e-217."""
    def forward(x):
        y = stable_sigmoid(x)
        return y, y

    def backward(dout, cache):
        return dout * cache * (1 - cache)

    return forward, backward, 500 * signs(rng, (4, 5)) + rng.normal(size=(4, 5))


@right("pair")
def tanh_saturated(rng):
    """Tanh of +-20 is 1 to rounding, its derivative 0."""
    return elementwise(np.tanh, lambda x: 1 - np.tanh(x) ** 2) + (20 * signs(rng, (4, 5)) + rng.normal(size=(4, 5)),)


@right("pair")
def softmax_logits_40(rng):
    """Softmax of logits of about +-40."""
    def forward(x):
        s = softmax(x)
        return s, s

    def backward(dout, cache):
        return cache * (dout - np.sum(dout * cache, axis=-1, keepdims=True))

    return forward, backward, 40 * signs(rng, (4, 5)) + rng.normal(size=(4, 5))


@right("object")
def softmax_logits_500(rng):
    """Softmax of logits of about +-500."""
    class Softmax:
        def forward(self, x):
            self.out = softmax(x)
            return self.out

        def backward(self, dout):
            dx = self.out * dout
            total = np.sum(dx, axis=1, keepdims=True)
            dx -= self.out * total
            return dx

    return Softmax(), 500 * signs(rng, (4, 5)) + rng.normal(size=(4, 5))


@right("pair")
def log_softmax_logits_500(rng):
    """Log-softmax of logits of about +-500, stable."""
    def forward(x):
        z = x - x.max(axis=1, keepdims=True)
        out = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return out, out

    def backward(dout, cache):
        return dout - np.exp(cache) * dout.sum(axis=1, keepdims=True)

    return forward, backward, 500 * signs(rng, (5, 4)) + rng.normal(size=(5, 4))


@right("pair")
def masked_softmax(rng):
    """Masked positions are filled with -inf before the softmax; some rows keep a single entry."""
    def forward(x, keep):
        z = np.where(keep, x, -np.inf)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return p, p

    def backward(dout, cache):
        return cache * (dout - (dout * cache).sum(axis=1, keepdims=True)), None

    keep = rng.random((5, 6)) < 0.6
    keep[:, 0] = True
    keep[2, 1:] = False
    return forward, backward, rng.normal(size=(5, 6)), keep


@right("pair")
def logsumexp_large(rng):
    """Logsumexp of numbers around 1000, one row of equal numbers."""
    def forward(x):
        m = x.max(axis=1)
        return m + np.log(np.exp(x - m[:, None]).sum(axis=1)), x

    def backward(dout, cache):
        return dout[:, None] * softmax(cache, axis=1)

    x = 1000 + 3 * rng.normal(size=(5, 6))
    x[1] = 1000
    return forward, backward, x


@right("pair")
def softplus_wide(rng):
    """Softplus from -500 to 500."""
    return elementwise(lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0), stable_sigmoid) + (
        np.linspace(-500, 500, 41) + rng.normal(size=41),)


@right("pair")
def silu_wide(rng):
    """SiLU from -60 to 60."""
    def df(x):
        s = stable_sigmoid(x)
        return s * (1 + x * (1 - s))

    return elementwise(lambda x: x * stable_sigmoid(x), df) + (20 * rng.normal(size=(5, 6)),)


@right("pair")
def gelu_tanh(rng):
    """GELU in the tanh form with its whole derivative."""
    c = np.sqrt(2 / np.pi)

    def forward(x):
        t = np.tanh(c * (x + 0.044715 * x ** 3))
        return 0.5 * x * (1 + t), (x, t)

    def backward(dout, cache):
        x, t = cache
        return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * c * (1 + 3 * 0.044715 * x ** 2))

    return forward, backward, 2 * rng.normal(size=(5, 6))
