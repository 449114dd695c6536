"""Right functions of Tensors, with several outputs, constants, random numbers and reused inputs."""

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import away, spaced


@right("call")
def call_two_outputs(rng):
    """Mean and standard deviation: two outputs, one of them 0-d."""
    return lambda x: (x.mean(), x.std(axis=0)), rng.standard_normal((5, 4))


@right("call")
def call_values_and_indices(rng):
    """Max pooling that returns its integer indices as well."""
    return lambda x: F.max_pool2d(x, 2, return_indices=True), spaced(rng, (1, 2, 4, 6))


@right("call")
def call_detached_maximum(rng):
    """Log-sum-exp whose maximum is detached, which is right: it cancels."""
    def lse(x):
        m = x.max(axis=1, keepdims=True).detach()
        return tv.log(tv.exp(x - m).sum(axis=1)) + m.reshape(-1)
    return lse, 300 * rng.standard_normal((4, 5))


@right("call")
def call_condition_from_data(rng):
    """A choice made from x.data is a constant condition."""
    return lambda x: tv.where(x.data > 0, x * x, tv.exp(x)), away(rng, (3, 5))


@right("call")
def call_top_two(rng):
    """The two largest of each row, chosen by argsort of the values, as in hard example mining."""
    def top(x):
        order = np.argsort(-x.data, axis=1)[:, :2]
        return tv.take_along_axis(x, order, 1) ** 2
    return top, spaced(rng, (4, 5))


@right("call")
def call_dropout_by_seed(rng):
    """Dropout with an integer seed: the same mask in every call."""
    return lambda x: F.dropout(x, 0.4, generator=3), rng.standard_normal((5, 6))


@right("call")
def call_dropout_engine_generator(rng):
    """Dropout that draws from the engine's global generator."""
    return lambda x: F.dropout(x, 0.4), rng.standard_normal((5, 6))


@right("call")
def call_noise_from_closure(rng):
    """Noise from a generator in the function's closure: it must be wound back between calls."""
    generator = np.random.default_rng(8)

    def noisy(x, s):
        return x + s * generator.standard_normal(x.shape)
    return noisy, rng.standard_normal((3, 4)), np.array(0.3)


@right("call")
def call_noise_from_numpy_global(rng):
    """Noise from NumPy's global generator."""
    return lambda x: x * (1 + 0.1 * np.random.standard_normal(x.shape)), rng.standard_normal((3, 4))


@right("call")
def call_input_used_three_times(rng):
    """The same tensor in three places: x x^T plus x."""
    return lambda x: x @ x.T + x, rng.standard_normal((4, 4))


@right("call")
def call_integer_index(rng):
    """Integer positions index a table: gather, reduce, broadcast."""
    return (lambda x, i: x[i].sum(axis=1) * x.mean(axis=0)), rng.standard_normal((6, 3)), np.array([[0, 5], [5, 5], [2, 1]])


@right("call", costly=True)
def call_u_shape(rng):
    """A scalar loss of a residual U-shaped chain with concatenation and resizing."""
    def net(x, w1, w2, w3):
        a = tv.tanh(F.conv2d(x, w1, padding=1))
        b = tv.tanh(F.conv2d(F.avg_pool2d(a, 2), w2, padding=1))
        up = F.interpolate(b, scale_factor=2, mode="bilinear")
        return ((F.conv2d(tv.concatenate([a, up], axis=1), w3) + x) ** 2).mean()
    return (net, rng.standard_normal((2, 2, 4, 6)), rng.standard_normal((3, 2, 3, 3)) / 3, rng.standard_normal((2, 3, 3, 3)) / 3,
            rng.standard_normal((2, 5, 1, 1)))


@right("call")
def call_unused_input(rng):
    """An input that the output does not depend on: its gradient is rightly None."""
    return lambda x, y: tv.sin(x), rng.standard_normal((3, 2)), rng.standard_normal(4)


@right("call")
def call_cancelling_difference(rng):
    """1e6 times a difference of nearly equal numbers."""
    a = 1 + rng.standard_normal((3, 4))
    return lambda x, y: 1e6 * (x - y) ** 2, a, a + 1e-3 * rng.standard_normal((3, 4))


@right("call")
def call_causal_attention(rng):
    """Attention with a causal mask of -1e9."""
    mask = np.triu(np.full((4, 4), -1e9), 1)

    def attention(q, k, v):
        return F.softmax(q @ k.transpose(0, 2, 1) / 3 ** 0.5 + mask, dim=-1) @ v
    return attention, *(rng.standard_normal((2, 4, 3)) for _ in range(3))


@right("call")
def call_0d_everywhere(rng):
    """A scalar function of two 0-d inputs."""
    return lambda a, b: a * tv.exp(b) / (1 + a * a), np.array(rng.standard_normal()), np.array(rng.standard_normal())


@right("call")
def call_grid_sample(rng):
    """Grid sampling at positions inside pixels, pictures and grid differentiated."""
    grid = (rng.integers(0, 3, (1, 3, 4, 2)) + rng.uniform(0.2, 0.8, (1, 3, 4, 2))) / 4 * 2 - 1 + 0.25
    return lambda x, g: F.grid_sample(x, g, align_corners=True), rng.standard_normal((1, 2, 5, 5)), grid * 0.9
