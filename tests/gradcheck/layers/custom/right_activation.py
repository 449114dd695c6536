"""Right Ops, element by element: kinks, saturation, steep and oscillating functions, mixed scales."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.custom.parts import away, sigmoid, with_zeros
from tinyvision import Op


class Piecewise(Op):
    def __init__(self, f, slope):
        self.f, self.slope = f, slope

    def forward(self, x):
        return self.f(x)

    def backward(self, g, x):
        return g * self.slope(x)


@right("op")
def relu_slope_one_at_zero(rng):
    """ReLU at exact zeros, with slope 1 there."""
    return Piecewise(lambda x: np.maximum(x, 0), lambda x: 1.0 * (x >= 0)), with_zeros(rng, (4, 5))


@right("op")
def relu_all_zeros(rng):
    """All inputs exactly zero: every element sits on ReLU's kink, slope 0."""
    return Piecewise(lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0)), np.zeros((3, 4))


@right("op")
def abs_odd_subgradient(rng):
    """|x| at zero with slope 0.3, a subgradient."""
    return Piecewise(np.abs, lambda x: np.where(x == 0, 0.3, np.sign(x))), with_zeros(rng, (3, 6))


@right("op")
def leaky_negative_slope_sign(rng):
    """Leaky ReLU with slope -0.2: the kink at zero is crossed with a change of sign."""
    return Piecewise(lambda x: np.where(x > 0, x, -0.2 * x), lambda x: np.where(x > 0, 1.0, -0.2)), with_zeros(rng, (3, 6))


@right("op")
def clip_exactly_at_limits(rng):
    """Values exactly at both limits of a clip, passed on there."""
    x = rng.choice([-1.0, 1.0, 0.25, -3.0, 2.0], (4, 6))
    return Piecewise(lambda x: np.clip(x, -1, 1), lambda x: 1.0 * (np.abs(x) <= 1)), x


@right("op")
def hardswish_at_its_kinks(rng):
    """Hard swish with inputs exactly at -3 and 3, where the slope jumps."""
    x = rng.choice([-3.0, 3.0, 0.0, 1.5, -4.0, 5.0], (3, 7))
    slope = lambda x: np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, (2 * x + 3) / 6))
    return Piecewise(lambda x: x * np.clip(x + 3, 0, 6) / 6, slope), x


@right("op")
def relu_a_hair_beside_zero(rng):
    """ReLU of inputs 1e-9 to either side of zero."""
    return Piecewise(lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0)), 1e-9 * away(rng, (4, 5), 0.2)


@right("op")
def tanh_up_to_ninety(rng):
    """Tanh saturated: slopes from 1 down to 1e-80, computed without cancellation."""
    return Piecewise(np.tanh, lambda x: 1 / np.cosh(x) ** 2), np.concatenate([rng.standard_normal(6), np.linspace(-90, 90, 12)])


@right("op")
def softplus_sharp(rng):
    """Softplus with beta 100: nearly a kink, but smooth."""
    return Piecewise(lambda x: np.logaddexp(0, 100 * x) / 100, lambda x: sigmoid(100 * x)), 0.05 * rng.standard_normal((4, 5))


@right("op")
def sine_of_200_x(rng):
    """A fast oscillation: sin(200 x)."""
    return Piecewise(lambda x: np.sin(200 * x), lambda x: 200 * np.cos(200 * x)), rng.standard_normal((4, 5))


@right("op")
def steep_sigmoid(rng):
    """A steep step, sigmoid(1000 x), at its middle and far away."""
    x = np.concatenate([1e-3 * rng.standard_normal(8), rng.standard_normal(8), [0.0]])
    return Piecewise(lambda x: sigmoid(1000 * x), lambda x: 1000 * sigmoid(1000 * x) * sigmoid(-1000 * x)), x


@right("op")
def sqrt_over_eighteen_decades(rng):
    """Square root from 1e-12 to 1e6: curvature without bound near zero."""
    return Piecewise(np.sqrt, lambda x: 0.5 / np.sqrt(x)), 10 ** rng.uniform(-12, 6, (4, 6))


@right("op")
def log_over_scales(rng):
    """Log of inputs between 1e-8 and 1e6."""
    return Piecewise(np.log, lambda x: 1 / x), 10 ** rng.uniform(-8, 6, (3, 8))


@right("op")
def reciprocal_near_pole(rng):
    """1/x of tiny inputs of both signs: a pole at a distance of the element's size."""
    return Piecewise(lambda x: 1 / x, lambda x: -1 / x ** 2), 1e-4 * away(rng, (3, 6), 0.3)


@right("op")
def cubes_of_mixed_scales_summed(rng):
    """x^3 with inputs of 0 and 1e-8 to 1e6 in one array, 0-d result."""
    class Sum3(Op):
        def forward(self, x):
            return np.asarray((x ** 3).sum())

        def backward(self, g, x):
            return 3 * g * x * x
    x = 10 ** rng.uniform(-8, 6, 20) * rng.choice([-1, 1], 20)
    x[3] = 0
    return Sum3(), x


@right("op")
def tiny_scale_rational(rng):
    """x^2 / (x^2 + s^2) with x and s near 1e-8."""
    s = 1e-16
    return Piecewise(lambda x: x * x / (x * x + s), lambda x: 2 * x * s / (x * x + s) ** 2), 1e-8 * away(rng, (3, 5), 0.2)


@right("op")
def large_offset_small_signal(rng):
    """1e6 and more plus a small oscillation: the values cancel 6 digits."""
    return Piecewise(lambda x: 1e6 + np.sin(x), np.cos), rng.standard_normal((4, 5))


@right("op")
def floor_has_zero_slope(rng):
    """Floor of numbers away from integers: the true slope is zero everywhere."""
    return Piecewise(np.floor, np.zeros_like), rng.integers(-3, 3, (3, 4)) + rng.uniform(0.2, 0.8, (3, 4))


class Maxout(Op):
    def forward(self, x):
        return x.reshape(len(x), -1, 3).max(axis=2)

    def backward(self, g, x):
        v = x.reshape(len(x), -1, 3)
        first = np.arange(3) == v.argmax(axis=2)[..., None]
        return (g[..., None] * first).reshape(x.shape)


@right("op")
def maxout_equal_pieces(rng):
    """Maxout with triples that are exactly equal."""
    x = rng.standard_normal((4, 9))
    x[1] = 0.5
    x[2, 3:6] = x[2, 3]
    return Maxout(), x


class HalfMax(Op):
    def forward(self, a, b):
        return np.maximum(a, b)

    def backward(self, g, a, b):
        share = (a > b) + 0.5 * (a == b)
        return g * share, g * (1 - share)


@right("op")
def maximum_shares_ties(rng):
    """Maximum of two maps, equal in half of their elements, which share the gradient."""
    a, b = rng.standard_normal((2, 4, 4))
    b[::2] = a[::2]
    return HalfMax(), a, b


class Square(Op):
    def forward(self, x):
        return x * x

    def backward(self, g, x):
        return 2 * g * x


@right("op", costly=True)
def large_elementwise(rng):
    """270,000 pixels, element by element."""
    return Square(), rng.standard_normal((1, 3, 300, 300))
