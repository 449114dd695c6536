"""Numeric derivatives against known ones: the bar holds, kinks and jumps are recognised, and nothing warns."""

import numpy as np
import pytest

from tinyvision.gradcheck.numeric import noise_of, slopes

A, C = 0.044715, np.sqrt(2 / np.pi)


def measured(f, x, scale=None, thorough=False):
    """Slopes of f at one number, asked for as the examination asks; scale: over what distance f changes (default: the number)."""
    x = np.array([float(x)])
    with np.errstate(all="ignore"):
        y0 = f(x)
        noise = noise_of(lambda xs: f(xs[0]), [x], y0, np.random.default_rng(0))
        scales = np.abs(x) if scale is None else np.array([scale])
        scales = np.where(scales > 0, scales, 1)
        return slopes(lambda i, t: f(x + t), scales, np.abs(x), y0, noise, np.ones((1, len(y0))), thorough)


def off(s, true):
    """How far the derivative lies outside of what was found, in bars: at most 0 where it lies between the one-sided slopes."""
    distance = np.maximum(np.maximum(s.low - true, true - s.high), 0)
    return distance / np.maximum(s.bar + 2e-16 * np.abs(true), 1e-320)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_slope(x):
    return np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2


def gelu(x):
    """The form with tanh, of which on the left nothing is left but rounding."""
    return 0.5 * x * (1 + np.tanh(C * (x + A * x ** 3)))


def gelu_slope(x):
    """Without the cancellation: 1 + tanh(u) = 2 s(2u), and 1 - tanh(u)^2 = 4 s(2u) s(-2u)."""
    u = C * (x + A * x ** 3)
    return sigmoid(2 * u) + 2 * x * sigmoid(2 * u) * sigmoid(-2 * u) * C * (1 + 3 * A * x ** 2)


def huber(x):
    return np.where(np.abs(x) <= 1, 0.5 * x * x, np.abs(x) - 0.5)


AWKWARD = [
    (np.log, 1e-8, None, 1e8), (np.log, 1e-300, None, 1e300), (np.log, 1e8, None, 1e-8),
    (lambda x: x + 1, 1e-8, None, 1.0), (lambda x: x + 1, 1e-12, None, 1.0),
    (sigmoid, 40.0, None, sigmoid_slope(40)), (sigmoid, -40.0, None, sigmoid_slope(40)),
    (sigmoid, -700.0, None, sigmoid_slope(700)),
    (sigmoid, 30.0, None, sigmoid_slope(30)),
    (lambda x: np.exp(30 * x), 0.0, None, 30.0), (lambda x: np.exp(30 * x), 1.0, None, 30 * np.exp(30)),
    (lambda x: np.exp(30 * x), -20.0, None, 30 * np.exp(-600)),
    (lambda x: 1 / x, 1e-4, None, -1e8), (lambda x: 1 / x, -1e-4, 1.0, -1e8),
    (lambda x: np.sin(1e4 * x), 0.0, None, 1e4), (lambda x: np.sin(1e4 * x), 0.3, None, 1e4 * np.cos(3000)),
    (lambda x: np.sin(1e4 * x), 1.0, None, 1e4 * np.cos(1e4)),
    (lambda x: np.sin(x - 1e6), 1e6 + 0.5, 1.0, np.cos(0.5)), (lambda x: (x - 1e6) ** 2, 1e6, 1.0, 0.0),
    *[(np.sin, x, None, np.cos(x)) for x in (3e7, 1e8 + 0.5, 1e10 + 0.5)],
    (gelu, -3.0, None, gelu_slope(-3)), (gelu, -5.0, None, gelu_slope(-5)), (gelu, 0.0, None, 0.5),
    (huber, 1.0, None, 1.0), (huber, -1.0, None, -1.0), (huber, 1 + 1e-9, None, 1.0),
    (lambda x: np.abs(x) ** 1.5, 0.0, None, 0.0), (lambda x: np.abs(x) ** 1.5, 1e-9, None, 1.5 * 1e-9 ** 0.5),
]


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("f, x, scale, true", AWKWARD)
def test_awkward_points(f, x, scale, true, thorough):
    s = measured(f, x, scale, thorough)
    assert off(s, true)[0, 0] <= 5 and np.isfinite(s.bar[0, 0]) and not s.undefined[0, 0]


def test_gelu_far_on_the_left():
    """1 + tanh moves in stairs there; the whole ladder sees it, and widens the bar to what it says nothing about."""
    s = measured(gelu, -6.0, thorough=True)
    assert off(s, gelu_slope(-6.0))[0, 0] <= 5 and s.bar[0, 0] <= 0.1 * abs(gelu_slope(-6.0))


@pytest.mark.parametrize("f, x, true, most", [
    (np.log, 1e-8, 1e8, 1e-6), (np.exp, 1.0, np.e, 1e-6), (lambda x: x + 1, 1e-8, 1.0, 1e-6),
    (sigmoid, -40.0, sigmoid_slope(40), 1e-6),
    (lambda x: 1 / x, 1e-4, -1e8, 1e-6), (huber, 1.0, 1.0, 1e-6), (lambda x: np.sin(1e4 * x), 1.0, 1e4 * np.cos(1e4), 1e-6),
])
def test_bars_are_narrow(f, x, true, most):
    """A bar that is wide enough for everything would be of no use."""
    assert measured(f, x).bar[0, 0] <= most * abs(true)


@pytest.mark.parametrize("x", [1e7, 3e7, 1e8, 1e9, 1e10])
def test_steps_shrink_below_a_period(x):
    """Seen with steps of many periods, a sine looks flat: what steps within a period agree on counts, with its wider bar."""
    xs = x + np.random.default_rng(2).standard_normal(50)
    for thorough in (False, True):
        found = [measured(np.sin, x, thorough=thorough) for x in xs]
        assert all(off(s, np.cos(x))[0, 0] <= 5 and s.bar[0, 0] <= 3e-3 for s, x in zip(found, xs))


def log_softmax_of(offset):
    """x and log-softmax of (x, 0.3, -1), all of them moved by an offset, whose rounding is found again in the output."""
    others = np.array([0.3, -1.0]) + offset

    def f(x):
        row = np.concatenate([x, others])
        m = row.max()
        return x - (m + np.log(np.exp(row - m).sum()))
    return f


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6, 1e8])
def test_noise_is_seen_though_its_estimate_missed_it(offset):
    """Shaken by a rounding error, x and the maximum may move alike, and the output does not; the smallest steps tell more."""
    f, gaps = log_softmax_of(offset), np.random.default_rng(4).standard_normal(100)
    xs, found = [offset + gap for gap in gaps], []
    for x in xs:
        y0 = f(np.array([x]))
        curve, at = lambda i, t, x=x: f(np.array([x + t])), np.array([x])
        found.append(slopes(curve, at, at, y0, np.zeros(1), np.ones((1, 1)), True))
    others = np.exp(0.3) + np.exp(-1.0)
    true = [others / (others + np.exp(x - offset)) for x in xs]
    assert all(off(s, d)[0, 0] <= 5 for s, d in zip(found, true))
    assert np.median([s.bar[0, 0] for s in found]) <= 1e-5 * offset ** 0.5


LOG_UNIFORM = lambda rng, n, low, high: 10.0 ** rng.uniform(low, high, n)          # noqa: E731
NORMAL = lambda rng, n: 2 * rng.standard_normal(n)                                  # noqa: E731
RANDOM = {
    "log": (np.log, lambda x: 1 / x, lambda rng, n: LOG_UNIFORM(rng, n, -9, 6)),
    "exp": (np.exp, np.exp, lambda rng, n: rng.uniform(-20, 20, n)),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x ** 2, lambda rng, n: rng.choice([-1, 1], n) * LOG_UNIFORM(rng, n, -5, 5)),
    "sigmoid": (sigmoid, sigmoid_slope, lambda rng, n: rng.uniform(-40, 25, n)),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2, NORMAL),
    "sin": (lambda x: np.sin(100 * x), lambda x: 100 * np.cos(100 * x), NORMAL),
    "gelu": (gelu, gelu_slope, NORMAL),
    "cube": (lambda x: x ** 3, lambda x: 3 * x ** 2, NORMAL),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x), lambda rng, n: LOG_UNIFORM(rng, n, -12, 12)),
    "logistic loss": (lambda x: np.log1p(np.exp(x)), sigmoid, NORMAL),
}


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("name", RANDOM)
def test_the_true_slope_lies_within_the_bar(name, thorough):
    """At 99 of 100 random points within five bars, as the judge allows; and at nearly all within one (GELU has stairs)."""
    f, slope, draw = RANDOM[name]
    if name == "gelu" and not thorough:
        pytest.skip("its stairs are looked for on the whole ladder only")
    xs = draw(np.random.default_rng(3), 150)
    found = np.array([off(measured(f, x, thorough=thorough), slope(x))[0, 0] for x in xs])
    assert np.mean(found <= 5) >= 0.99 and np.mean(found <= 1) >= 0.95


def test_several_outputs_and_curves():
    """The slopes of A @ x are the columns of A, each for itself; outputs that do not move have none."""
    rng = np.random.default_rng(5)
    a, x = rng.standard_normal((4, 3)), rng.standard_normal(3)
    a[2] = 0
    s = slopes(lambda i, t: a @ (x + t * np.eye(3)[i]), np.ones(3), np.abs(x), a @ x, np.zeros(4), rng.standard_normal((2, 4)))
    np.testing.assert_allclose(s.value, a.T, rtol=1e-9, atol=1e-11)
    assert (s.value[:, 2] == 0).all() and not s.kink.any() and not s.undefined.any()


# --- kinks


KINKED = {"relu": (lambda x: np.maximum(x, 0), 0.0, 1.0), "abs": (np.abs, -1.0, 1.0),
          "maximum of 2x and -3x": (lambda x: np.maximum(2 * x, -3 * x), -3.0, 2.0),
          "leaky": (lambda x: np.where(x > 0, x, 0.01 * x), 0.01, 1.0), "min": (lambda x: np.minimum(x, 0), 0.0, 1.0)}


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("name", KINKED)
def test_kinks_have_two_slopes(name, scale, thorough):
    f, low, high = KINKED[name]
    s = measured(f, 0.0, scale, thorough)
    assert s.kink[0, 0] and not s.undefined[0, 0] and s.bar[0, 0] < 1e-7
    assert abs(s.low[0, 0] - low) <= 5 * s.bar[0, 0] + 1e-15 and abs(s.high[0, 0] - high) <= 5 * s.bar[0, 0] + 1e-15


@pytest.mark.parametrize("scale", [None, 1.0])
@pytest.mark.parametrize("x", [1e-9, -1e-9, 1e-12, -1e-12])
@pytest.mark.parametrize("name", KINKED)
def test_beside_a_kink_there_is_one(name, x, scale):
    f, low, high = KINKED[name]
    s = measured(f, x, scale)
    right = {"min": 1.0 - (x > 0)}.get(name, high if x > 0 else low)
    assert not s.kink[0, 0] and not s.undefined[0, 0]
    assert s.low[0, 0] == pytest.approx(right, abs=1e-8) == s.high[0, 0]


@pytest.mark.parametrize("ahead, kink", [(0.0, True), (1e-9, False), (-1e-9, False), (1e-12, False), (-1e-12, False)])
def test_ties_of_maxima(ahead, kink):
    """max(x, 0.75) where x is 0.75, or nearly; the slope beside the tie is exactly 1 or 0."""
    s = measured(lambda x: np.maximum(x, 0.75), 0.75 + ahead)
    ends = (0, 1) if kink else (float(ahead > 0),) * 2
    assert s.kink[0, 0] == kink and (s.low[0, 0], s.high[0, 0]) == pytest.approx(ends, abs=1e-6)


def test_a_kink_of_one_output_is_not_one_of_another():
    s = measured(lambda x: np.concatenate([np.abs(x), x, np.exp(x), x * np.abs(x)]), 0.0)
    assert s.kink.tolist() == [[True, False, False, False]]
    assert s.value[0, 1:3] == pytest.approx([1, 1], abs=1e-7) and abs(s.value[0, 3]) <= 1e-6


CURVED = [np.square, np.cos, np.exp, lambda x: 1e6 * x ** 2, lambda x: np.abs(x) ** 3, lambda x: x * np.abs(x)]


@pytest.mark.parametrize("f", CURVED)
def test_curved_functions_have_no_kink(f):
    assert not measured(f, 0.0).kink[0, 0]


# --- neither slope nor kink


@pytest.mark.parametrize("f", [
    lambda x: np.where(x >= 0, 1.0, 0.0), lambda x: np.where(x > 0, 1e6, 0.0) + x, np.floor, np.ceil,
    lambda x: np.sqrt(np.abs(x)), np.sqrt, np.log, lambda x: np.abs(x) ** 0.1, lambda x: 1 / x,
], ids=["step", "high step", "floor", "ceil", "sqrt|x|", "sqrt", "log", "|x|^0.1", "1/x"])
@pytest.mark.parametrize("thorough", [False, True])
def test_jumps_and_infinite_slopes_are_undefined(f, thorough):
    s = measured(f, 0.0, 1.0, thorough)
    assert s.undefined[0, 0] and not np.isinf(s.bar[0, 0])


def test_an_undefined_output_leaves_the_others_alone():
    s = measured(lambda x: np.concatenate([np.floor(x), np.exp(x), 2 * x]), 1.0)
    assert s.undefined.tolist() == [[True, False, False]] and s.value[0, 1:] == pytest.approx([np.e, 2], rel=1e-7)


@pytest.mark.parametrize("levels", [3, 1024, 65536])
def test_steps_on_purpose_are_flat(levels):
    """Steps of a power of two lead from level to level as if these were a line; in between nothing moves."""
    for x in np.random.default_rng(6).random(20):
        s = measured(lambda x: np.round(levels * x) / levels, x, thorough=True)
        assert s.value[0, 0] == 0 and not s.kink[0, 0] and not s.undefined[0, 0]


def test_steps_that_leave_the_domain_say_nothing():
    """sqrt(1 - x) just below 1: the first steps lead to nan, smaller ones do not; the slope is -1 / (2 sqrt(1 - x))."""
    gap = 2.0 ** -20
    s = measured(lambda x: np.sqrt(1 - x), 1 - gap)
    assert off(s, -0.5 / np.sqrt(gap))[0, 0] <= 5 and s.bar[0, 0] < 1e-4 / np.sqrt(gap) and not s.undefined[0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_a_jump_is_no_noise(seed):
    """floor moves by one for a rounding error of a whole number; a steep function that magnifies rounding errors is noisy all the same."""
    x = np.array([3.0, -2.0, 0.4])
    rng = np.random.default_rng(seed)
    assert (noise_of(lambda xs: np.floor(xs[0]), [x], np.floor(x), rng) < 1e-12).all()
    wave = lambda x: np.sin(1e11 * x)
    assert (noise_of(lambda xs: wave(xs[0]), [x], wave(x), rng, times=4) > 1e-7).all()
