"""Wrong homework: activations."""

from math import erf

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import sigmoid


@wrong("pair", "zero-gradient")
def relu_written_into_a_copy(rng):
    """dx[mask][:] = ... writes into a copy, dx stays zero."""
    def forward(x):
        return np.maximum(0, x), x

    def backward(dout, cache):
        dx = np.zeros_like(cache)
        dx[cache > 0][:] = dout[cache > 0]
        return dx

    return forward, backward, rng.normal(size=(5, 6))


@wrong("pair", "guided")
def relu_drops_negative_upstream(rng):
    """Negative upstream gradients are dropped as in guided backpropagation."""
    def forward(x):
        return np.maximum(0, x), x

    def backward(dout, cache):
        return dout * (cache > 0) * (dout > 0)

    return forward, backward, rng.normal(size=(5, 6))


@wrong("pair", "modified-in-place")
def relu_upstream_modified(rng):
    """The result is right, but dout itself is set to zero."""
    def forward(x):
        return np.maximum(0, x), x

    def backward(dout, cache):
        dx = dout
        dx[cache <= 0] = 0
        return dx

    return forward, backward, rng.normal(size=(5, 6))


@wrong("pair", "guided")
def leaky_relu_mask_on_upstream(rng):
    """The slope is chosen by the sign of dout instead of the sign of x."""
    def forward(x):
        return np.where(x > 0, x, 0.1 * x), x

    def backward(dout, cache):
        return np.where(dout > 0, dout, 0.1 * dout)

    return forward, backward, rng.normal(size=(5, 6))


@wrong("object", "wrong-region")
def leaky_relu_negative_side_dropped(rng):
    """For x < 0 nothing is passed, the slope 0.1 is forgotten."""
    class LeakyReLU:
        def __init__(self, alpha=0.1):
            self.alpha = alpha

        def forward(self, x):
            self.mask = x > 0
            return np.where(self.mask, x, self.alpha * x)

        def backward(self, dout):
            return dout * self.mask

    return LeakyReLU(), rng.normal(size=(6, 7))


@wrong("pair", "wrong-subgradient")
def leaky_relu_zero_counted_on_both_sides(rng):
    """Both masks include 0, so at x = 0 the slopes add to 1.1."""
    def forward(x):
        return np.maximum(x, 0.1 * x), x

    def backward(dout, cache):
        x = cache
        return dout * (x >= 0) + 0.1 * dout * (x <= 0)

    x = rng.normal(size=(5, 6))
    x[1, 2] = x[3, 0] = x[4, 5] = 0
    return forward, backward, x


@wrong("pair", "wrong-region")
def elu_value_for_derivative(rng):
    """For x < 0 the derivative is written alpha*(exp(x)-1), the value instead of alpha*exp(x)."""
    a = 1.5

    def forward(x):
        return np.where(x > 0, x, a * (np.exp(np.minimum(x, 0)) - 1)), x

    def backward(dout, cache):
        x = cache
        return dout * np.where(x > 0, 1, a * (np.exp(np.minimum(x, 0)) - 1))

    return forward, backward, rng.normal(size=(4, 8))


@wrong("pair", "upstream-ignored")
def sigmoid_upstream_ignored(rng):
    """The local derivative is returned, dout is not used."""
    def sigmoid_forward(Z):
        A = 1 / (1 + np.exp(-Z))
        return A, Z

    def sigmoid_backward(dA, cache):
        s = 1 / (1 + np.exp(-cache))
        return s * (1 - s)

    return sigmoid_forward, sigmoid_backward, rng.normal(size=(3, 8))


@wrong("object", "wrong-local-derivative")
def sigmoid_derivative_at_input(rng):
    """x * (1 - x) instead of y * (1 - y)."""
    class Sigmoid:
        def forward(self, x):
            self.x = x
            return 1 / (1 + np.exp(-x))

        def backward(self, dout):
            return dout * self.x * (1.0 - self.x)

    return Sigmoid(), rng.normal(size=(4, 6))


@wrong("pair", "wrong-local-derivative")
def tanh_not_squared(rng):
    """1 - y instead of 1 - y**2."""
    def forward(x):
        out = np.tanh(x)
        return out, out

    def backward(dout, cache):
        return dout * (1 - cache)

    return forward, backward, rng.normal(size=(4, 6))


@wrong("pair", "wrong-local-derivative")
def gelu_pdf_without_x(rng):
    """The product rule gives Phi(x) + pdf(x), the factor x of the second term is missing."""
    cdf = np.vectorize(lambda t: 0.5 * (1 + erf(t / np.sqrt(2))), otypes=[float])

    def forward(x):
        return x * cdf(x)

    def backward(dout, x):
        return dout * (cdf(x) + np.exp(-x ** 2 / 2) / np.sqrt(2 * np.pi))

    return forward, backward, rng.normal(size=(4, 6))


@wrong("pair", "wrong-local-derivative")
def gelu_tanh_inner_derivative(rng):
    """The inner derivative has 0.044715*x**2 where it should have three times that."""
    c = np.sqrt(2 / np.pi)

    def forward(x):
        return 0.5 * x * (1 + np.tanh(c * (x + 0.044715 * x ** 3)))

    def backward(dout, x):
        t = np.tanh(c * (x + 0.044715 * x ** 3))
        return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t ** 2) * c * (1 + 0.044715 * x ** 2))

    return forward, backward, rng.normal(size=(5, 6))


@wrong("pair", "local-derivative-missing")
def silu_passes_upstream_on(rng):
    """dout is passed on unchanged."""
    def forward(x):
        return x * sigmoid(x), x

    def backward(dout, cache):
        return dout.copy()

    return forward, backward, rng.normal(size=(4, 6))


@wrong("pair", "wrong-local-derivative")
def softplus_wrong_sign_in_exponent(rng):
    """exp(x) and exp(-x) are exchanged in the derivative of softplus."""
    def forward(x):
        return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)

    def backward(dout, x):
        return dout / (1 + np.exp(x))

    return forward, backward, rng.normal(size=(4, 6))


@wrong("pair", "nonlinear-upstream")
def softplus_upstream_squared(rng):
    """dout is multiplied in twice."""
    def forward(x):
        return np.logaddexp(0, x), x

    def backward(dout, cache):
        dx = dout / (1 + np.exp(-cache))
        return dx * dout

    return forward, backward, rng.normal(size=(4, 6))


@wrong("pair", "wrong-region", "mask-missing")
def hardtanh_open_above(rng):
    """Only the lower limit of the clip is masked; beyond the upper one the gradient still flows."""
    def forward(x):
        return np.clip(x, -1, 1), x

    def backward(dout, cache):
        dx = dout.copy()
        dx[cache < -1] = 0
        return dx

    return forward, backward, 1.5 * rng.normal(size=(6, 8))


@wrong("pair", "not-a-number")
def abs_divides_by_zero(rng):
    """x / |x| is 0/0 at x = 0."""
    def forward(x):
        return np.abs(x), x

    def backward(dout, cache):
        with np.errstate(all="ignore"):
            return dout * cache / np.abs(cache)

    x = rng.normal(size=(4, 6))
    x[2, 3] = 0
    return forward, backward, x


@wrong("object", "stale-cache")
def relu_mask_made_once(rng):
    """The mask is only made in the first forward and used for every later one."""
    class ReLU:
        def __init__(self):
            self.mask = None

        def forward(self, x):
            if self.mask is None:
                self.mask = x > 0
            return np.maximum(x, 0)

        def backward(self, dout):
            return dout * self.mask

    return ReLU(), rng.normal(size=(5, 6))


_last = {}


@wrong("pair", "stale-cache")
def tanh_global_cache(rng):
    """Backward reads a global that the next forward overwrites, not its cache."""
    def forward(x):
        _last["out"] = np.tanh(x)
        return _last["out"].copy(), x

    def backward(dout, cache):
        return dout * (1 - _last["out"] ** 2)

    return forward, backward, rng.normal(size=(5, 6))


@wrong("pair", "memory-layout")
def relu_mask_in_memory_order(rng):
    """ravel(order='K') reads the memory order, so a transposed input gets the mask of other elements."""
    def forward(x):
        return np.maximum(x, 0), (x.ravel(order="K") > 0, x.shape)

    def backward(dout, cache):
        mask, shape = cache
        return (dout.reshape(-1) * mask).reshape(shape)

    return forward, backward, rng.normal(size=(5, 6))


@wrong("pair", "missing-gradient")
def prelu_no_slope_gradient(rng):
    """None is returned for the learned slope."""
    def forward(x, a):
        return np.where(x > 0, x, a * x), (x, a)

    def backward(dout, cache):
        x, a = cache
        return dout * np.where(x > 0, 1, a), None

    return forward, backward, rng.normal(size=(5, 6)), rng.uniform(0.1, 0.5, size=6)


@wrong("pair", "wrong-subgradient")
def interpolation_knot_in_two_segments(rng):
    """At a knot the slopes of both neighbouring segments are added."""
    knots = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    values = np.array([0.0, 0.5, 2.0, 3.0, 6.0])
    slopes = np.diff(values) / np.diff(knots)

    def forward(x):
        k = np.clip(np.searchsorted(knots, x) - 1, 0, 3)
        return values[k] + slopes[k] * (x - knots[k]), x

    def backward(dout, cache):
        x = cache
        dx = np.zeros_like(x)
        for lo, hi, slope in zip(knots[:-1], knots[1:], slopes):
            dx += dout * slope * ((x >= lo) & (x <= hi))
        return dx

    x = rng.uniform(-1.9, 1.9, size=(4, 6))
    x[0, :3] = [-1, 0, 1]
    return forward, backward, x


@wrong("pair", "wrong-region", costly=True)
def large_leaky_relu_tail(rng):
    """Among 40 000 elements those below -3 keep the slope 1 instead of 0.2 (about 0.1 %)."""
    def forward(x):
        return np.where(x > 0, x, 0.2 * x), x

    def backward(dout, cache):
        x = cache
        dx = dout.copy()
        dx[(x < 0) & (x > -3)] *= 0.2
        return dx

    return forward, backward, rng.normal(size=(40, 1000))


@wrong("pair", "wrong-slice", costly=True)
def large_square_last_pixel(rng):
    """Of 14 400 pixels one, the last corner of the last picture, gets no gradient."""
    def forward(x):
        return x ** 2, x

    def backward(dout, cache):
        d, x = dout.reshape(-1), cache.reshape(-1)
        dx = np.zeros(x.shape)
        dx[:-1] = 2 * d[:-1] * x[:-1]
        return dx.reshape(cache.shape)

    return forward, backward, rng.uniform(0.5, 1.5, size=(4, 60, 60)) * rng.choice([-1, 1], size=(4, 60, 60))
