"""The compiled normalisation against its reference, and its statistics against exact ones, for data that are hard on them."""

import numpy as np
import pytest

from tests.kernels.threads import some_threads
from tinyvision.kernels import normalize as kernels
from tinyvision.kernels.registry import use_kernels

pytest.importorskip("numba")

# shape, axes: batch, with lines of a vector, of more, of several pieces, too short; instance, group and layer norm
TABLE = [((4, 3, 35), (0, 2)), ((2, 5, 16), (0, 2)), ((1, 3, 9000), (0, 2)), ((3, 1, 4097), (0, 2)), ((7, 3, 1), (0, 2)),
         ((5, 4, 3), (0, 2)), ((1, 1, 2), (0, 2)), ((1, 64, 8), (0, 2)), ((4, 3, 10), (2,)), ((1, 1, 20), (2,)),
         ((2, 3, 4, 5), (2, 3)), ((6, 33), (1,))]
RANDOM = [((int(n), int(c), int(p)), (0, 2)) for n, c, p in np.random.default_rng(7).integers(1, 40, (6, 3)) if n * p > 1]
TOLERANCE = {np.float32: 3e-6, np.float64: 1e-13}


def drawn(shape, dtype, seed=0, parameters=True):
    rng = np.random.default_rng(seed)
    x, g, r = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
    per = tuple(n if axis == 1 and len(shape) == 3 else 1 for axis, n in enumerate(shape))
    w, b = (rng.standard_normal(per).astype(dtype) if parameters else None for _ in range(2))
    return 2 * x + 1, g, r, w, b


def both(x, g, w, b, axes, *options):
    """All results of the forward and the backward pass, compiled and from the reference."""
    with use_kernels("compiled"):
        found = kernels.normalize(x, w, b, axes, 1e-5, *options)
        found += kernels.normalize_grad(g, x, w, b, found[1], found[3], axes, *options)
    right = kernels.normalize.reference(x, w, b, axes, 1e-5, *options)
    right += kernels.normalize_grad.reference(g, x, w, b, right[1], right[3], axes, *options)
    return found, right


def assert_equal(found, right, tolerance):
    assert len(found) == len(right)
    for a, b in zip(found, right):
        if b is None:
            assert a is None
            continue
        assert a.shape == b.shape and a.dtype == b.dtype and a.flags.c_contiguous
        scale = max(1, np.abs(b[np.isfinite(b)]).max(initial=0))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("fused", ["plain", "relu", "add"])
@pytest.mark.parametrize("parameters", [True, False], ids=["affine", "bare"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape, axes", TABLE + RANDOM)
def test_as_the_reference(shape, axes, dtype, parameters, fused):
    x, g, r, w, b = drawn(shape, dtype, len(shape), parameters)
    options = {"plain": (), "relu": (True,), "add": (True, r)}[fused]
    for threads in (1, 2):
        with some_threads(threads):
            found, right = both(x, g, w, b, axes, *options)
        assert_equal(found, right, TOLERANCE[dtype])
        assert fused == "plain" or (found[0] >= 0).all()


def test_one_parameter_without_the_other():
    x, g, r, w, b = drawn((4, 3, 20), np.float32)
    assert_equal(*both(x, g, w, None, (0, 2), True), 3e-6)
    assert_equal(*both(x, g, None, b, (0, 2), True, r), 3e-6)


def test_parameters_inside_a_line_are_left_to_the_reference():
    """Layer norm with its weight per element, group norm with several channels in a line."""
    from tinyvision.kernels.cpu import normalize as twin
    x, w = np.ones((6, 40), np.float32), np.ones((1, 40), np.float32)
    with use_kernels("compiled"):
        assert twin.normalize(x, w, None, (1,), 1e-5) is NotImplemented
        assert twin.normalize(x, None, None, (1,), 1e-5) is not NotImplemented
        assert twin.normalize(x.astype(np.float16), None, None, (1,), 1e-5) is NotImplemented
        assert twin.normalize(x[:0], None, None, (1,), 1e-5) is NotImplemented
    assert twin.normalize(x.astype(float), None, None, (1,), 1e-5) is NotImplemented      # a tiny one of float64


def strange(x):
    """The same numbers in memory with gaps, in the reverse order."""
    return np.repeat(x[..., ::-1], 2, axis=-1)[..., ::-2]


@pytest.mark.parametrize("shape", [(4, 3, 35), (7, 3, 2)])
def test_any_memory_layout_and_read_only_arrays(shape):
    x, g, r, w, b = drawn(shape, np.float32)
    _, right = both(x, g, w, b, (0, 2), True, r)
    found, _ = both(*map(strange, (x, g, w, b)), (0, 2), True, strange(r))
    assert_equal(found, right, 3e-6)
    before = [a.copy() for a in (x, g, r, w, b)]
    for a in (x, g, r, w, b):
        a.flags.writeable = False
    found, _ = both(x, g, w, b, (0, 2), True, r)
    assert_equal(found, right, 3e-6)
    assert all((a == c).all() for a, c in zip((x, g, r, w, b), before))


def exact(x):
    x = x.astype(np.float64)
    return x.mean(axis=(0, 2), keepdims=True), x.var(axis=(0, 2), keepdims=True)


def hard(name, shape=(8, 3, 3000)):
    """Data whose first numbers say little about the rest, or whose mean is large."""
    x = np.random.default_rng(3).standard_normal(shape)
    if name == "large mean":
        x += 1000
    elif name == "first numbers far off":
        x[0, :, :16] += 1e4
    elif name == "first picture far off":
        x[0] += 3000
    elif name == "nearly constant, but for the first":
        x = 1 + 1e-3 * x
        x[0, :, :16] = -50
    elif name == "alternating far apart":
        x += 1e4 * (-1) ** np.arange(shape[2])
    elif name == "growing":
        x += np.linspace(0, 1e4, shape[2])
    elif name == "zeros first":
        x[:7] = 0
        x[7] += 500
    return x.astype(np.float32)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["large mean", "first numbers far off", "first picture far off", "alternating far apart",
                                  "growing", "nearly constant, but for the first", "zeros first"])
def test_statistics_of_hard_data(name, threads):
    """Mean to the last place, variance to 2e-6 = 32 units of rounding, and no worse than 4 times the two-pass reference."""
    x = hard(name)
    with use_kernels("compiled"), some_threads(threads):
        _, mean, var, rstd = kernels.normalize(x, None, None, (0, 2), 1e-5)
    m, v = exact(x)
    other = np.abs(kernels.normalize.reference(x, None, None, (0, 2), 1e-5)[2] / v - 1).max()
    np.testing.assert_allclose(mean, m, rtol=1.2e-7, atol=1e-7 * np.sqrt(v.max()))
    assert np.abs(var / v - 1).max() <= max(2e-6, 4 * other)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(v + 1e-5), rtol=2e-6)


def test_constant_channels():
    """Variance exactly 0, so y is exactly b; nothing passes a rectifier at 0."""
    x = np.full((4, 2, 50), 0.1, np.float32)
    x[:, 1] = 12345.6
    b = np.array([0.0, -0.5], np.float32).reshape(1, 2, 1)
    with use_kernels("compiled"):
        y, mean, var, rstd = kernels.normalize(x, np.ones_like(b), b, (0, 2), 1e-5)
        assert (var == 0).all() and (y == b).all() and (mean == x[:1, :, :1]).all()
        gx, gw, gb = kernels.normalize_grad(np.ones_like(x), x, np.ones_like(b), b, mean, rstd, (0, 2), True)
    assert not gx.any() and not gw.any() and not gb.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 17, 400])
@pytest.mark.parametrize("fused", ["plain", "relu", "add"])
def test_what_is_not_a_number_spoils_its_channel_only(value, at, fused):
    x, g, r, w, b = drawn((4, 3, 200), np.float32)
    x.swapaxes(0, 1)[1].reshape(4, 200)[at // 200, at % 200] = value
    options = {"plain": (), "relu": (True,), "add": (True, r)}[fused]
    with np.errstate(invalid="ignore"):
        found, right = both(x, g, w, b, (0, 2), *options)
    assert_equal(found, right, 3e-6)
    assert np.isnan(found[0][:, 1]).all() and np.isfinite(found[0][:, [0, 2]]).all()


def test_upstream_gradients_that_are_no_numbers():
    x, g, r, w, b = drawn((4, 3, 200), np.float32)
    g[1, 1, 5], g[2, 2, 7] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        for options in ((), (True,), (True, r)):
            assert_equal(*both(x, g, w, b, (0, 2), *options), 3e-6)


def test_sums_do_not_drift():
    """A million numbers of one sign in float32: sums to 1e-6, where one running sum would be wrong in the third digit."""
    x, g, _, w, b = drawn((1, 2, 1_000_000), np.float32)
    g = np.abs(g) + 10
    with use_kernels("compiled"):
        y, mean, var, rstd = kernels.normalize(x, w, b, (0, 2), 1e-5)
        _, gw, gb = kernels.normalize_grad(g, x, w, b, mean, rstd, (0, 2))
    np.testing.assert_allclose(gb.ravel(), g.sum(axis=(0, 2), dtype=float), rtol=1e-6)
    xhat = (x - exact(x)[0]) / np.sqrt(exact(x)[1] + 1e-5)
    np.testing.assert_allclose(gw.ravel(), (g * xhat).sum(axis=(0, 2)), atol=1e-6 * np.abs(g * xhat).sum(axis=(0, 2)).max())
