"""Right homework in which rounding is in the way: large common offsets, steps on purpose, noise in place of a gradient."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import elementwise


def logsumexp(x):
    """The row's maximum comes back at the end, and with it the rounding of numbers of its size."""
    m = x.max(axis=1, keepdims=True)
    return m + np.log(np.exp(x - m).sum(axis=1, keepdims=True))


def log_softmax_pair():
    def forward(x):
        out = x - logsumexp(x)
        return out, out

    def backward(dout, cache):
        return dout - np.exp(cache) * dout.sum(axis=1, keepdims=True)

    return forward, backward


def softmax_pair():
    def forward(x):
        p = np.exp(x - logsumexp(x))
        return p, p

    def backward(dout, cache):
        return cache * (dout - (dout * cache).sum(axis=1, keepdims=True))

    return forward, backward


@right("pair")
def log_softmax_offset_1e4(rng):
    """Log-softmax by log-sum-exp of numbers around 1e4: the output is rounded to multiples of 2e-12."""
    return log_softmax_pair() + (1e4 + rng.normal(size=(3, 4)),)


@right("pair")
def log_softmax_offset_1e6(rng):
    """Log-softmax by log-sum-exp of numbers around 1e6: the output is rounded to multiples of 1e-10."""
    return log_softmax_pair() + (1e6 + rng.normal(size=(3, 4)),)


@right("pair")
def softmax_offset_1e5(rng):
    """Softmax by log-sum-exp of numbers around 1e5."""
    return softmax_pair() + (1e5 + rng.normal(size=(3, 4)),)


@right("pair")
def softmax_offset_1e8(rng):
    """Softmax by log-sum-exp of numbers around 1e8: seven digits of the output are left."""
    return softmax_pair() + (1e8 + rng.normal(size=(3, 4)),)


@right("pair", costly=True)
def large_log_softmax_offset_1e6(rng):
    """As many elements that directions are looked at first."""
    return log_softmax_pair() + (1e6 + rng.normal(size=(60, 50)),)


@right("pair")
def cross_entropy_offset_1e8(rng):
    """Cross-entropy of numbers around 1e8: the loss is rounded to multiples of 1.5e-8."""
    def forward(x, y):
        return (logsumexp(x)[:, 0] - x[np.arange(len(x)), y]).sum(), (x, y)

    def backward(dout, cache):
        x, y = cache
        p = np.exp(x - logsumexp(x))
        p[np.arange(len(x)), y] -= 1
        return dout * p, None

    return forward, backward, 1e8 + rng.normal(size=(4, 5)), rng.integers(0, 5, size=4)


@right("pair")
def sine_of_3e7(rng):
    """A period is a ten-millionth of the number."""
    return elementwise(np.sin, np.cos) + (3e7 + rng.normal(size=(2, 5)),)


@right("pair")
def sine_of_1e8(rng):
    """Numbers a quarter larger lie millions of periods away."""
    return elementwise(np.sin, np.cos) + (1e8 + rng.normal(size=(2, 5)),)


@right("pair")
def sine_of_1e10(rng):
    """Neighbouring numbers are 2e-6 apart."""
    return elementwise(np.sin, np.cos) + (1e10 + rng.normal(size=(2, 5)),)


@right("pair")
def quantise_to_quarters(rng):
    """A step function: its gradient is zero, and its values are few by definition."""
    return elementwise(lambda x: np.round(4 * x) / 4, np.zeros_like) + (2 * rng.normal(size=(3, 4)),)


@right("pair")
def quantise_to_bytes(rng):
    """A picture in 256 grey values."""
    return elementwise(lambda x: np.round(np.clip(x, 0, 1) * 256) / 256, np.zeros_like) + (rng.random((3, 4)),)


@right("pair")
def quantise_to_ten_bits(rng):
    """1024 levels: as many digits as float16 has, but evenly spaced."""
    return elementwise(lambda x: np.round(x * 1024) / 1024, np.zeros_like) + (rng.random((3, 4)),)


@right("loss")
def hinge_counts(rng):
    """The gradient of a sum of hinges counts them: whole numbers, and nothing lost."""
    def loss(s, y):
        margins = s - s[np.arange(len(s)), y][:, None] + 1
        margins[np.arange(len(s)), y] = 0
        ds = (margins > 0).astype(float)
        ds[np.arange(len(s)), y] = -ds.sum(axis=1)
        return np.maximum(margins, 0).sum(), ds

    return loss, rng.normal(size=(8, 6)), rng.integers(0, 6, size=8)


@right("pair")
def determinant_of_rank_one(rng):
    """The minors of a matrix of rank 1 are zero, so the gradient is nothing but rounding."""
    def minor(m, i, j):
        return np.delete(np.delete(m, i, 0), j, 1)

    def forward(x):
        return np.array([sum((-1) ** j * m[0, j] * (minor(m, 0, j)[0, 0] * minor(m, 0, j)[1, 1]
                                                    - minor(m, 0, j)[0, 1] * minor(m, 0, j)[1, 0]) for j in range(3)) for m in x])

    def backward(dout, x):
        cofactors = [[[(-1) ** (i + j) * np.linalg.det(minor(m, i, j)) for j in range(3)] for i in range(3)] for m in x]
        return dout[:, None, None] * np.array(cofactors)

    return forward, backward, np.outer(rng.normal(size=3), rng.normal(size=3))[None]


@right("pair")
def affine_of_float32_weights(rng):
    """Weights that are float32 numbers, as a trained model has them, give a gradient of such numbers."""
    def forward(x, w):
        return x @ w, (x, w)

    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ dout

    return forward, backward, rng.normal(size=(4, 5)), rng.normal(size=(5, 3)).astype(np.float32).astype(float)


@right("pair")
def floor_at_whole_numbers(rng):
    """floor at jumps: there a rounding error of the input changes the output by one, which is no noise."""
    return elementwise(np.floor, np.zeros_like) + (rng.choice([0.0, 1.0, 3.0, 0.4, -2.0], (4, 5)),)
