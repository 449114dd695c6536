"""Right homework: shapes, lookups, borders and resampling."""

import numpy as np

from tests.gradcheck.layers import right


@right("pair")
def pixel_shuffle(rng):
    """Pixel shuffle by 2."""
    def forward(x):
        n, c, h, w = x.shape
        return x.reshape(n, c // 4, 2, 2, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w), x.shape

    def backward(dout, cache):
        n, c, h, w = cache
        return dout.reshape(n, c // 4, h, 2, w, 2).transpose(0, 1, 3, 5, 2, 4).reshape(cache)

    return forward, backward, rng.normal(size=(2, 4, 3, 2))


@right("pair")
def bilinear_resize(rng):
    """Bilinear resizing of a non-square picture, corners aligned."""
    def matrix(size, out):
        src = np.linspace(0, size - 1, out)
        lo = np.minimum(src.astype(int), size - 2)
        m = np.zeros((out, size))
        m[np.arange(out), lo] += 1 - (src - lo)
        m[np.arange(out), lo + 1] += src - lo
        return m

    def forward(x):
        a, b = matrix(x.shape[1], 7), matrix(x.shape[2], 5)
        return a @ x @ b.T, (a, b)

    def backward(dout, cache):
        a, b = cache
        return a.T @ dout @ b

    return forward, backward, rng.normal(size=(2, 4, 3))


@right("pair")
def reflect_pad(rng):
    """Reflect padding, the border folded back."""
    def forward(x):
        return np.pad(x, ((2, 1), (1, 2)), mode="reflect"), x.shape

    def backward(dout, cache):
        index = np.pad(np.arange(cache[0] * cache[1]).reshape(cache), ((2, 1), (1, 2)), mode="reflect")
        return np.bincount(index.ravel(), weights=dout.ravel(), minlength=cache[0] * cache[1]).reshape(cache)

    return forward, backward, rng.normal(size=(5, 6))


@right("pair")
def cumsum(rng):
    """Cumulative sums, backward from the end."""
    def forward(x):
        return np.cumsum(x, axis=1), None

    def backward(dout, cache):
        return np.cumsum(dout[:, ::-1], axis=1)[:, ::-1]

    return forward, backward, rng.normal(size=(3, 8))


@right("pair")
def concatenate_three(rng):
    """Concatenation of three inputs of different width."""
    def forward(a, b, c):
        return np.concatenate([a, b, c], axis=1)

    def backward(dout, a, b, c):
        i, j = a.shape[1], a.shape[1] + b.shape[1]
        return dout[:, :i], dout[:, i:j], dout[:, j:]

    return forward, backward, rng.normal(size=(4, 2)), rng.normal(size=(4, 3)), rng.normal(size=(4, 1))


@right("pair")
def broadcast_product(rng):
    """Broadcast product of (N, C, H, W) with (1, C, 1, 1) and (W,)."""
    def forward(x, c, w):
        return x * c * w, (x, c, w)

    def backward(dout, cache):
        x, c, w = cache
        return dout * c * w, (dout * x * w).sum(axis=(0, 2, 3), keepdims=True), (dout * x * c).sum(axis=(0, 1, 2))

    return forward, backward, rng.normal(size=(2, 3, 2, 4)), rng.normal(size=(1, 3, 1, 1)), rng.normal(size=4)


@right("pair")
def matmul_broadcast(rng):
    """A stack of matrices times one shared matrix."""
    def forward(a, b):
        return a @ b, (a, b)

    def backward(dout, cache):
        a, b = cache
        return dout @ b.T, np.einsum("nij,nik->jk", a, dout)

    return forward, backward, rng.normal(size=(3, 4, 2)), rng.normal(size=(2, 5))
