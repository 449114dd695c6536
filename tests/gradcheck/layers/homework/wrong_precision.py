"""Wrong homework: what the backward pass uses went through a coarser type, and what it returns is float64 again."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import norm_pair, sigmoid, softmax


def through(x, dtype=np.float32):
    """The same numbers with the digits of another type."""
    return np.asarray(x).astype(dtype).astype(float)


@wrong("pair", "precision-lost")
def affine_weight_through_float32(rng):
    """The weight is cast to float32 'to save memory' before dx is computed with it."""
    def forward(x, w):
        return x @ w, (x, w)

    def backward(dout, cache):
        x, w = cache
        return dout @ through(w).T, x.T @ dout

    return forward, backward, rng.normal(size=(4, 5)), rng.normal(size=(5, 3))


@wrong("pair", "precision-lost")
def affine_upstream_through_float32(rng):
    """dout is cast to float32 before dw is computed from it."""
    def forward(x, w):
        return x @ w, (x, w)

    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ through(dout)

    return forward, backward, rng.normal(size=(4, 5)), rng.normal(size=(5, 3))


@wrong("pair", "precision-lost", costly=True)
def large_affine_weight_through_float32(rng):
    """The same with so many elements that directions are looked at."""
    def forward(x, w):
        return x @ w, (x, w)

    def backward(dout, cache):
        x, w = cache
        return dout @ through(w).T, x.T @ dout

    return forward, backward, rng.normal(size=(60, 50)), rng.normal(size=(50, 20))


@wrong("pair", "precision-lost")
def batchnorm_std_through_float32(rng):
    """The standard deviation is cached as float32."""
    forward, backward = norm_pair((0,))

    def coarse(dout, cache):
        xhat, std = cache
        return backward(dout, (xhat, through(std)))

    return forward, coarse, rng.normal(size=(6, 4))


@wrong("pair", "precision-lost")
def softmax_through_float32(rng):
    """The probabilities are cached as float32."""
    def forward(x):
        p = softmax(x)
        return p, through(p)

    def backward(dout, cache):
        return cache * (dout - (dout * cache).sum(axis=1, keepdims=True))

    return forward, backward, rng.normal(size=(4, 5))


@wrong("pair", "precision-lost")
def dropout_mask_through_float32(rng):
    """The mask, scaled by 1 / 0.7, is kept as float32."""
    def forward(x, keep):
        return x * (keep / 0.7), keep

    def backward(dout, cache):
        return dout * through(cache / 0.7)

    return forward, backward, rng.normal(size=(4, 5)), rng.integers(0, 2, size=(4, 5))


@wrong("pair", "precision-lost")
def blur_kernel_through_float32(rng):
    """A fixed filter, right in forward, is a float32 array in backward."""
    kernel = rng.random(3)
    matrix = sum(np.diag(np.full(8 - abs(d), k), d) for d, k in zip((-1, 0, 1), kernel))

    def forward(x):
        return x @ matrix, None

    def backward(dout, cache):
        return dout @ through(matrix).T

    return forward, backward, rng.normal(size=(3, 8))


@wrong("pair", "precision-lost")
def silu_sigmoid_through_float32(rng):
    """The sigmoid in SiLU's derivative is computed in float32."""
    def forward(x):
        return x * sigmoid(x), x

    def backward(dout, cache):
        s = through(sigmoid(cache.astype(np.float32)))
        return dout * s * (1 + cache * (1 - s))

    return forward, backward, rng.normal(size=(4, 5))


@wrong("pair", "precision-lost")
def tanh_output_through_float32(rng):
    """Tanh caches its output as float32; 1 - y^2 loses some digits more."""
    def forward(x):
        return np.tanh(x), through(np.tanh(x))

    def backward(dout, cache):
        return dout * (1 - cache ** 2)

    return forward, backward, rng.normal(size=(4, 5))


@wrong("pair", "precision-lost")
def tanh_output_through_float16(rng):
    """Tanh caches its output as float16."""
    def forward(x):
        return np.tanh(x), through(np.tanh(x), np.float16)

    def backward(dout, cache):
        return dout * (1 - cache ** 2)

    return forward, backward, rng.normal(size=(4, 5))


@wrong("pair", "precision-lost")
def exp_inside_through_float32(rng):
    """Forward computes its exponential in float32; the output is float64 and has its digits, but not theirs."""
    def forward(x):
        return 0.3 * x + through(np.exp(x.astype(np.float32))), x

    def backward(dout, cache):
        return dout * (0.3 + np.exp(cache))

    return forward, backward, rng.normal(size=(4, 5))


@wrong("pair", "precision-lost")
def gather_collected_in_integers(rng):
    """Contributions are cut to whole numbers one by one, and then added up."""
    def forward(x, i):
        return 2 * np.take_along_axis(x, i, 1), (i, x.shape)

    def backward(dout, cache):
        i, shape = cache
        dx = np.zeros(shape, int)
        for j in range(i.shape[1]):
            dx[np.arange(shape[0]), i[:, j]] += (2 * dout[:, j]).astype(int)
        return dx.astype(float)

    return forward, backward, 3 * rng.normal(size=(4, 5)), rng.integers(0, 5, size=(4, 3))
