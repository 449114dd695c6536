"""Right homework that is constant, empty, ill-conditioned or large."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import (
    affine_backward, affine_forward, conv_pair, elementwise, first_winner, max_pool_pair, norm_pair, signs, softmax,
    with_zeros,
)


@right("pair")
def constant_output(rng):
    """The output does not depend on the input at all."""
    def forward(x):
        return np.ones_like(x) * 3.5, x.shape

    def backward(dout, cache):
        return np.zeros(cache)

    return forward, backward, rng.normal(size=(4, 5))


@right("pair")
def floor_times_weight(rng):
    """Floor is constant between the jumps; its derivative is 0, that of w is not."""
    def forward(x, w):
        return np.floor(x) * w, (np.floor(x), w)

    def backward(dout, cache):
        f, w = cache
        return np.zeros_like(dout), (dout * f).sum(axis=0)

    return forward, backward, rng.integers(-3, 4, size=(5, 4)) + rng.uniform(0.2, 0.8, size=(5, 4)), rng.normal(size=4)


@right("pair")
def dropout_test_mode(rng):
    """Dropout in test mode hands the same array through."""
    def forward(x, dropout_param):
        mask = None
        if dropout_param["mode"] == "train":
            mask = (np.random.rand(*x.shape) < dropout_param["p"]) / dropout_param["p"]
            x = x * mask
        return x, (dropout_param, mask)

    def backward(dout, cache):
        dropout_param, mask = cache
        return dout if dropout_param["mode"] == "test" else dout * mask

    return forward, backward, rng.normal(size=(4, 5)), {"mode": "test", "p": 0.5}


@right("pair")
def relu_all_dead(rng):
    """All units of the ReLU are dead."""
    return elementwise(lambda x: np.maximum(x, 0), lambda x: x > 0) + (-rng.uniform(0.5, 2, size=(4, 5)),)


@right("pair")
def affine_empty_batch(rng):
    """An empty batch: dx is empty, dw and db are zero."""
    def forward(x, w, b):
        return x @ w + b, (x, w)

    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ dout, dout.sum(axis=0)

    return forward, backward, np.zeros((0, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


@right("pair")
def square_empty(rng):
    """An empty vector."""
    return elementwise(lambda x: x ** 2, lambda x: 2 * x) + (np.zeros(0),)


@right("pair")
def batchnorm_single_sample(rng):
    """Batch norm of a single sample: the output is 0 and so is dx."""
    return norm_pair((0,)) + (rng.normal(size=(1, 5)),)


@right("pair")
def affine_sizes_one(rng):
    """Axes of size 1 everywhere."""
    return affine_forward, affine_backward, rng.normal(size=(1, 1)), rng.normal(size=(1, 1)), rng.normal(size=1)


@right("pair")
def softmax_single_class(rng):
    """Softmax over an axis of size 1 is constantly 1."""
    def forward(x):
        s = softmax(x)
        return s, s

    def backward(dout, cache):
        return cache * (dout - np.sum(dout * cache, axis=-1, keepdims=True))

    return forward, backward, rng.normal(size=(6, 1))


@right("pair")
def conv_kernel_equals_picture(rng):
    """A kernel as large as the picture: one output, no overlap."""
    return conv_pair() + (rng.normal(size=(2, 3, 4, 3)), rng.normal(size=(2, 3, 4, 3)), rng.normal(size=2))


@right("pair")
def log_near_zero(rng):
    """Log of numbers from 1e-12 to 1e-3."""
    return elementwise(np.log, lambda x: 1 / x) + (10.0 ** rng.uniform(-12, -3, size=(4, 5)),)


@right("pair")
def reciprocal_near_zero(rng):
    """1/x near 1e-4 on both sides of 0."""
    return elementwise(lambda x: 1 / x, lambda x: -1 / x ** 2) + (
        1e-4 * rng.uniform(0.5, 2, size=(4, 5)) * signs(rng, (4, 5)),)


@right("pair")
def sqrt_near_zero(rng):
    """Sqrt of numbers around 1e-8."""
    def forward(x):
        y = np.sqrt(x)
        return y, y

    def backward(dout, cache):
        return dout / (2 * cache)

    return forward, backward, 1e-8 * rng.uniform(0.1, 3, size=(4, 5))


@right("pair")
def exp_30(rng):
    """Exp of about 30."""
    return elementwise(np.exp, np.exp) + (30 + rng.normal(size=(4, 5)),)


@right("pair")
def fifth_power(rng):
    """x**5, some elements 0."""
    return elementwise(lambda x: x ** 5, lambda x: 5 * x ** 4) + (10 * with_zeros(rng, (5, 6)),)


@right("pair")
def fast_oscillation(rng):
    """sin(10000 x): steps must be far below the period."""
    return elementwise(lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x)) + (rng.normal(size=(4, 5)),)


@right("pair")
def tan_near_pole(rng):
    """Tan close to its pole."""
    return elementwise(np.tan, lambda x: 1 + np.tan(x) ** 2) + (np.pi / 2 - 10.0 ** rng.uniform(-4, -1, size=(4, 5)),)


@right("pair")
def arcsin_near_one(rng):
    """Arcsin close to 1, where its slope is infinite."""
    return elementwise(np.arcsin, lambda x: 1 / np.sqrt(1 - x ** 2)) + (
        (1 - 10.0 ** rng.uniform(-7, -1, size=(4, 5))) * signs(rng, (4, 5)),)


@right("pair")
def divide_small_denominator(rng):
    """a/b with b near 1e-5."""
    def forward(a, b):
        return a / b

    def backward(dout, a, b):
        return dout / b, -dout * a / b ** 2

    return forward, backward, rng.normal(size=(4, 5)), 1e-5 * rng.uniform(0.5, 2, size=(4, 5)) * signs(rng, (4, 5))


@right("pair")
def power_of_two_inputs(rng):
    """a**b in both arguments."""
    def forward(a, b):
        out = a ** b
        return out, (a, b, out)

    def backward(dout, cache):
        a, b, out = cache
        return dout * b * a ** (b - 1), dout * out * np.log(a)

    return forward, backward, rng.uniform(0.01, 4, size=(4, 5)), 3 * rng.normal(size=(4, 5))


@right("pair")
def l2_normalise_tiny_rows(rng):
    """L2 normalisation of rows of size 1e-6 without eps."""
    def forward(x):
        n = np.linalg.norm(x, axis=1, keepdims=True)
        return x / n, (x / n, n)

    def backward(dout, cache):
        y, n = cache
        return (dout - y * (dout * y).sum(axis=1, keepdims=True)) / n

    return forward, backward, 1e-6 * rng.normal(size=(5, 4))


@right("pair")
def cosine_nearly_parallel(rng):
    """The cosine of nearly parallel vectors: gradients almost cancel."""
    def forward(a, b):
        na, nb = np.sqrt((a ** 2).sum(1)), np.sqrt((b ** 2).sum(1))
        c = (a * b).sum(1) / (na * nb)
        return c, (a, b, na, nb, c)

    def backward(dout, cache):
        a, b, na, nb, c = (v[:, None] if v.ndim == 1 else v for v in cache)
        d = dout[:, None]
        return d * (b / (na * nb) - c * a / na ** 2), d * (a / (na * nb) - c * b / nb ** 2)

    a = rng.normal(size=(5, 4))
    return forward, backward, a, a + 1e-3 * rng.normal(size=(5, 4))


@right("pair")
def product_with_zeros(rng):
    """The product of each row, with zeros among the factors."""
    def forward(x):
        return np.prod(x, axis=1), x

    def backward(dout, cache):
        x = cache
        dx = np.empty_like(x)
        for k in range(x.shape[1]):
            dx[:, k] = dout * np.prod(np.delete(x, k, axis=1), axis=1)
        return dx

    x = rng.normal(size=(5, 5))
    x[1, 2] = x[3, 0] = x[3, 4] = 0
    return forward, backward, x


@right("pair")
def linear_solve(rng):
    """Solving a linear system whose matrix has condition 1e3."""
    def forward(a, b):
        z = np.linalg.solve(a, b)
        return z, (a, z)

    def backward(dout, cache):
        a, z = cache
        db = np.linalg.solve(a.T, dout)
        return -db @ z.T, db

    q, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    p, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    return forward, backward, q @ np.diag(10.0 ** np.linspace(0, -3, 5)) @ p, rng.normal(size=(5, 2))


@right("pair")
def norm_by_vdot(rng):
    """np.vdot conjugates, so a complex step would see nothing; the gradient is right."""
    def forward(x):
        return np.sqrt(np.vdot(x, x).real), x

    def backward(dout, cache):
        return dout * cache / np.linalg.norm(cache)

    return forward, backward, rng.normal(size=(4, 5))


@right("pair")
def abs_cubed(rng):
    """np.abs(x)**3: not analytic for complex x, right for real x."""
    return elementwise(lambda x: np.abs(x) ** 3, lambda x: 3 * x * np.abs(x)) + (rng.normal(size=(4, 5)),)


@right("pair", costly=True)
def large_mean_of_squares(rng):
    """The mean of 200 000 squares."""
    def forward(x):
        return np.mean(x ** 2), x

    def backward(dout, cache):
        return dout * 2 * cache / cache.size

    return forward, backward, rng.normal(size=(200, 1000))


@right("pair", costly=True)
def large_batchnorm(rng):
    """Batch norm of 100 000 elements with gamma and beta."""
    def forward(x, gamma, beta):
        mu, std = x.mean(axis=0), np.sqrt(x.var(axis=0) + 1e-5)
        xhat = (x - mu) / std
        return gamma * xhat + beta, (xhat, gamma, std)

    def backward(dout, cache):
        xhat, gamma, std = cache
        dgamma, dbeta = (dout * xhat).sum(axis=0), dout.sum(axis=0)
        return gamma / std * (dout - dbeta / len(dout) - xhat * dgamma / len(dout)), dgamma, dbeta

    return (forward, backward, rng.normal(size=(400, 250)) * rng.uniform(0.1, 5, size=250), rng.normal(size=250),
            rng.normal(size=250))


@right("pair", costly=True)
def large_relu(rng):
    """ReLU of 100 000 normal numbers: some are always close to the kink."""
    return elementwise(lambda x: np.maximum(x, 0), lambda x: x > 0) + (rng.normal(size=(100, 1000)),)


@right("pair", costly=True)
def large_max_pool(rng):
    """Max-pool of 40 000 pixels."""
    return max_pool_pair(4, 4, first_winner) + (rng.normal(size=(10, 10, 20, 20)),)
