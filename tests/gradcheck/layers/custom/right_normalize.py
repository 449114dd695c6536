"""Right custom layers: normalisation and dropout."""

import numpy as np

from tests.gradcheck.layers import right
from tinyvision import Op


class LayerNorm(Op):
    eps = 1e-12

    def forward(self, x, w, b):
        return w * (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + self.eps) + b

    def backward(self, g, x, w, b):
        r = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + self.eps)
        xhat, u = (x - x.mean(axis=-1, keepdims=True)) * r, g * w
        gx = r * (u - u.mean(axis=-1, keepdims=True) - xhat * (u * xhat).mean(axis=-1, keepdims=True))
        lead = tuple(range(x.ndim - 1))
        return gx, (g * xhat).sum(axis=lead), g.sum(axis=lead)


@right("op")
def layer_norm_nearly_constant(rng):
    """Layer norm of rows that are nearly constant: standard deviation 1e-4 at a mean of 1."""
    return LayerNorm(), 1 + 1e-4 * rng.standard_normal((3, 6)), rng.uniform(0.5, 2, 6), rng.standard_normal(6)


class BatchNorm(Op):
    def forward(self, x, w, b):
        m, v = x.mean(axis=(0, 2)), x.var(axis=(0, 2))
        return (w / np.sqrt(v + 1e-5))[:, None] * (x - m[:, None]) + b[:, None]

    def backward(self, g, x, w, b):
        r = 1 / np.sqrt(x.var(axis=(0, 2), keepdims=True) + 1e-5)
        xhat, u = (x - x.mean(axis=(0, 2), keepdims=True)) * r, g * w[:, None]
        gx = r * (u - u.mean(axis=(0, 2), keepdims=True) - xhat * (u * xhat).mean(axis=(0, 2), keepdims=True))
        return gx, (g * xhat).sum(axis=(0, 2)), g.sum(axis=(0, 2))


@right("op")
def batch_norm_channels_of_all_scales(rng):
    """Batch norm whose channels lie at 1e-6, 1 and 1e4."""
    x = rng.standard_normal((4, 3, 5)) * np.array([1e-6, 1, 1e4])[:, None]
    return BatchNorm(), x, rng.uniform(0.5, 2, 3), rng.standard_normal(3)


@right("op")
def layer_norm_empty_batch(rng):
    """Layer norm of an empty batch (0, 5)."""
    return LayerNorm(), np.zeros((0, 5)), rng.uniform(0.5, 2, 5), rng.standard_normal(5)
