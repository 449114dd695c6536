"""Right homework at kinks and ties, where several gradients are acceptable."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import elementwise, first_winner, max_pool_pair, shared_evenly, signs, with_zeros


@right("pair")
def relu_zero_slope_0(rng):
    """ReLU at exactly 0 with slope 0."""
    return elementwise(lambda x: np.maximum(x, 0), lambda x: x > 0) + (with_zeros(rng, (5, 6)),)


@right("pair")
def relu_zero_slope_1(rng):
    """ReLU at exactly 0 with slope 1."""
    return elementwise(lambda x: np.maximum(x, 0), lambda x: x >= 0) + (with_zeros(rng, (5, 6)),)


@right("pair")
def relu_zero_slope_half(rng):
    """ReLU at exactly 0 with slope 1/2."""
    return elementwise(lambda x: np.maximum(x, 0), lambda x: np.heaviside(x, 0.5)) + (with_zeros(rng, (5, 6)),)


@right("pair")
def relu_beside_zero(rng):
    """ReLU with elements 1e-12 to 1e-6 beside its kink."""
    x = rng.normal(size=(4, 6))
    x[0] = 10.0 ** -np.arange(12, 6, -1) * signs(rng, 6)
    return elementwise(lambda x: x * (x > 0), lambda x: (x > 0).astype(float)) + (x,)


@right("object")
def leaky_relu_at_zero(rng):
    """Leaky ReLU at exactly 0 with the slope of the left."""
    class LeakyReLU:
        params, grads = [], []

        def forward(self, x):
            self.x = x
            return np.where(x > 0, x, 0.05 * x)

        def backward(self, dout):
            dx = dout.copy()
            dx[self.x <= 0] *= 0.05
            return dx

    return LeakyReLU(), with_zeros(rng, (5, 6))


@right("pair")
def abs_sign(rng):
    """|x| with np.sign, 0 at 0."""
    return elementwise(np.abs, np.sign) + (with_zeros(rng, (5, 6)),)


@right("pair")
def abs_slope_one_at_zero(rng):
    """|x| with slope +1 at 0."""
    return elementwise(np.abs, lambda x: np.where(x >= 0, 1.0, -1.0)) + (with_zeros(rng, (5, 6)),)


@right("pair")
def hard_sigmoid_joints(rng):
    """Hard sigmoid exactly at both joints."""
    x = 3 * rng.normal(size=(4, 6))
    x[1, :4] = [-3, 3, -3, 3]
    return elementwise(lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x: np.where((x > -3) & (x < 3), 1 / 6, 0)) + (x,)


@right("pair")
def clip_limits_inclusive(rng):
    """Clip at its limits, where the gradient is passed."""
    x = 2 * rng.normal(size=(4, 6))
    x[2, :4] = [-1, 1, 1, -1]
    return elementwise(lambda x: np.clip(x, -1, 1), lambda x: (x >= -1) & (x <= 1)) + (x,)


@right("pair")
def clip_limits_exclusive(rng):
    """Clip at its limits, where the gradient is stopped."""
    x = 2 * rng.normal(size=(4, 6))
    x[2, :4] = [-1, 1, 1, -1]
    return elementwise(lambda x: np.clip(x, -1, 1), lambda x: np.where((x > -1) & (x < 1), 1.0, 0.0)) + (x,)


@right("pair")
def relu6_limits(rng):
    """ReLU6 at 0 and at 6."""
    x = 4 * rng.normal(size=(4, 6)) + 3
    x[0, :4] = [0, 6, 6, 0]
    return elementwise(lambda x: np.minimum(np.maximum(x, 0), 6), lambda x: (x > 0) & (x <= 6)) + (x,)


@right("pair")
def soft_threshold_limits(rng):
    """Soft threshold exactly at +-lambda."""
    x = rng.normal(size=(4, 6))
    x[1, :3] = [0.5, -0.5, 0.5]
    return elementwise(lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), lambda x: np.abs(x) > 0.5) + (x,)


@right("pair")
def elu_smooth_at_zero(rng):
    """ELU with alpha 1 is smooth at 0, with elements at 0."""
    return elementwise(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
                       lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0)))) + (with_zeros(rng, (5, 6)),)


@right("pair")
def elu_kink_at_zero(rng):
    """ELU with alpha 2 has slopes 2 and 1 at 0."""
    return elementwise(lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0))),
                       lambda x: np.where(x > 0, 1, 2 * np.exp(np.minimum(x, 0)))) + (with_zeros(rng, (5, 6)),)


@right("pair")
def prelu_at_zero(rng):
    """PReLU with a slope for each channel, elements at 0."""
    def forward(x, a):
        return np.maximum(x, 0) + a * np.minimum(x, 0), (x, a)

    def backward(dout, cache):
        x, a = cache
        return dout * np.where(x >= 0, 1, a), (dout * np.minimum(x, 0)).sum(axis=0)

    return forward, backward, with_zeros(rng, (6, 5)), rng.uniform(0.1, 0.4, size=5)


@right("pair")
def interpolation_on_knots(rng):
    """Piecewise linear interpolation with inputs on its knots, slope of the right segment."""
    knots = np.array([-2.0, -1.0, 0.0, 1.5, 2.0])
    values = np.array([0.0, 3.0, 1.0, 1.0, 4.0])
    slopes = np.diff(values) / np.diff(knots)

    def segment(x):
        return np.clip(np.searchsorted(knots, x, side="right") - 1, 0, 3)

    def forward(x):
        k = segment(x)
        return values[k] + slopes[k] * (x - knots[k]), k

    def backward(dout, cache):
        return dout * slopes[cache]

    x = rng.uniform(-1.9, 1.9, size=(4, 6))
    x[0, :3] = [-1, 0, 1.5]
    return forward, backward, x


@right("pair")
def max_pool_ties_first_winner(rng):
    """Max-pool with exact ties, the first winner takes all."""
    return max_pool_pair(2, 2, first_winner) + (rng.integers(0, 3, size=(2, 2, 4, 6)).astype(float),)


@right("pair")
def max_pool_ties_split(rng):
    """Max-pool with exact ties, split evenly."""
    return max_pool_pair(2, 2, shared_evenly) + (rng.integers(0, 3, size=(2, 2, 4, 6)).astype(float),)


@right("pair")
def max_pool_overlap_ties_first_winner(rng):
    """Overlapping max-pool with ties: window by window legitimate, the windows disagree in sign."""
    return max_pool_pair(3, 2, first_winner) + (rng.integers(0, 3, size=(1, 2, 7, 7)).astype(float),)


@right("pair")
def max_pool_constant_picture(rng):
    """Overlapping max-pool of a constant picture, every window ties."""
    return max_pool_pair(3, 2, first_winner) + (np.full((1, 1, 5, 5), 0.7),)


@right("pair")
def max_pool_near_ties(rng):
    """Max-pool with near ties 1e-9 apart."""
    x = np.repeat(np.repeat(rng.normal(size=(2, 2, 2, 3)), 2, axis=2), 2, axis=3)
    order = np.stack([rng.permutation(4) for _ in range(24)]).reshape(2, 2, 2, 3, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return max_pool_pair(2, 2, first_winner) + (x + 1e-9 * order.reshape(2, 2, 4, 6),)


@right("object")
def pooling_object_after_relu(rng):
    """Deep-learning-from-scratch pooling: argmax of im2col rows, ReLU zeros make ties."""
    class Pooling:
        def __init__(self, k):
            self.k = k
            self.x = self.arg_max = None

        def forward(self, x):
            n, c, h, w = x.shape
            k = self.k
            col = x.reshape(n, c, h // k, k, w // k, k).transpose(0, 1, 2, 4, 3, 5).reshape(-1, k * k)
            self.x, self.arg_max = x, np.argmax(col, axis=1)
            return col.max(axis=1).reshape(n, c, h // k, w // k)

        def backward(self, dout):
            n, c, h, w = self.x.shape
            k = self.k
            dcol = np.zeros((dout.size, k * k))
            dcol[np.arange(self.arg_max.size), self.arg_max.flatten()] = dout.flatten()
            return dcol.reshape(n, c, h // k, w // k, k, k).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h, w)

    return Pooling(2), np.maximum(rng.normal(size=(2, 2, 4, 6)), 0)


@right("pair")
def max_axis_last_winner(rng):
    """Max over an axis with ties, the last winner takes all."""
    def forward(x):
        return x.max(axis=1), x

    def backward(dout, cache):
        n = cache.shape[1]
        last = n - 1 - np.argmax(cache[:, ::-1], axis=1)
        dx = np.zeros_like(cache)
        dx[np.arange(len(cache)), last] = dout
        return dx

    return forward, backward, rng.integers(0, 3, size=(6, 5)).astype(float)


@right("pair")
def maximum_ties_half(rng):
    """Maximum of two inputs with ties, half to each."""
    def forward(a, b):
        return np.maximum(a, b), (a, b)

    def backward(dout, cache):
        a, b = cache
        share = (a > b) + 0.5 * (a == b)
        return dout * share, dout * (1 - share)

    a, b = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    b[::2] = a[::2]
    return forward, backward, a, b


@right("pair")
def maximum_ties_first(rng):
    """Maximum of two inputs with ties, all to the first."""
    def forward(a, b):
        return np.where(a >= b, a, b), a >= b

    def backward(dout, cache):
        return np.where(cache, dout, 0), np.where(cache, 0, dout)

    a, b = rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    b[::2] = a[::2]
    return forward, backward, a, b


def sort_pair():
    """Sorting the rows and its backward."""

    def forward(x):
        order = np.argsort(x, axis=1, kind="stable")
        return np.take_along_axis(x, order, axis=1), order

    def backward(dout, cache):
        dx = np.zeros(dout.shape)
        np.put_along_axis(dx, cache, dout, axis=1)
        return dx

    return forward, backward


@right("pair")
def sort_with_pairs_of_ties(rng):
    """Sorting rows, some with two equal elements."""
    x = rng.normal(size=(5, 6))
    x[1, 3] = x[1, 0]
    x[4, 1], x[4, 5] = x[4, 2], x[4, 0]
    return sort_pair() + (x,)


@right("pair")
def sort_with_six_ties(rng):
    """Sorting a row of six equal elements: a generalised gradient, though every middle element has slope 0 alone."""
    x = rng.normal(size=(3, 6))
    x[1] = 2.0
    return sort_pair() + (x,)


@right("pair")
def top_three(rng):
    """The sum of the three largest of each row."""
    def forward(x):
        index = np.argpartition(-x, 2, axis=1)[:, :3]
        return np.take_along_axis(x, index, axis=1).sum(axis=1), (x.shape, index)

    def backward(dout, cache):
        shape, index = cache
        dx = np.zeros(shape)
        np.put_along_axis(dx, index, np.repeat(dout[:, None], 3, axis=1), axis=1)
        return dx

    return forward, backward, rng.normal(size=(6, 8))


@right("pair")
def norm_at_zero(rng):
    """The norm of rows at exactly zero with gradient 0, and of rows of size 1e-8."""
    def forward(x):
        n = np.sqrt((x ** 2).sum(axis=1))
        return n, (x, n)

    def backward(dout, cache):
        x, n = cache
        return dout[:, None] * x / np.where(n > 0, n, 1)[:, None]

    x = rng.normal(size=(6, 4))
    x[1] *= 1e-8
    x[3] = 0
    return forward, backward, x
