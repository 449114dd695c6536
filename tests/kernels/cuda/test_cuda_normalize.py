"""The CUDA sources of normalisation against the reference in float64, and their statistics against exact ones on hard data."""

import numpy as np
import pytest

from tests.kernels.test_normalize import RANDOM, TABLE, TOLERANCE, assert_equal, drawn, exact, hard, strange
from tinyvision.kernels import normalize as kernels
from tinyvision.kernels.cuda import normalize as twins

from .emulate import HostModule, emulated

# several blocks to a group, vectors of four and of one, groups of one warp
TABLE = TABLE + [((2, 2, 10_000), (0, 2)), ((3, 2, 6001), (0, 2)), ((2, 20_000), (1,)), ((40, 3, 4), (0, 2))]
FUSED = {"plain": lambda r: (), "relu": lambda r: (True,), "add": lambda r: (True, r)}


def both(gpu, x, g, w, b, axes, *options):
    """All results of the forward and the backward pass: of the twins, and of the reference in float64, rounded."""
    dx, dg, dw, db, *do = [gpu.array(a) if isinstance(a, np.ndarray) else a for a in (x, g, w, b, *options)]
    found = twins.normalize(dx, dw, db, axes, 1e-5, *do)
    assert found is not NotImplemented
    found += twins.normalize_grad(dg, dx, dw, db, found[1], found[3], axes, *do)
    dtype = x.dtype
    x, g, w, b, *options = [a.astype(float) if isinstance(a, np.ndarray) else a for a in (x, g, w, b, *options)]
    right = kernels.normalize.reference(x, w, b, axes, 1e-5, *options)
    right += kernels.normalize_grad.reference(g, x, w, b, right[1], right[3], axes, *options)
    right = [a if a is None or i == 2 else a.astype(dtype) for i, a in enumerate(right)]
    return [None if a is None else gpu.numpy(a) for a in found], right


@pytest.mark.parametrize("fused", FUSED)
@pytest.mark.parametrize("parameters", [True, False], ids=["affine", "bare"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape, axes", TABLE + RANDOM)
def test_normalisation_on_the_gpu(gpu, shape, axes, dtype, parameters, fused):
    x, g, r, w, b = drawn(shape, dtype, len(shape), parameters)
    found, right = both(gpu, x, g, w, b, axes, *FUSED[fused](r))
    assert_equal(found, right, TOLERANCE[dtype])
    assert found[2].dtype == np.float64 and (fused == "plain" or (found[0] >= 0).all())


PER = [  # shape, axes, shape of w and b: layer norm, group norm, instance norm, and what a group shares
    ((6, 40), (1,), (1, 40)), ((1, 13), (1,), (1, 13)), ((70, 33), (1,), (1, 33)), ((3, 2, 4, 8), (2, 3), (1, 2, 4, 1)),
    ((2, 3, 2, 5), (2, 3), (1, 3, 2, 1)), ((2, 1, 3, 7), (2, 3), (1, 1, 3, 1)), ((2, 4, 1, 6), (2, 3), (1, 4, 1, 1)),
    ((5, 3, 8), (2,), (1, 3, 1)), ((5, 3, 8), (2,), (5, 3, 1)), ((2, 3, 4, 5), (2, 3), (1, 3, 1, 1)), ((4, 6, 10), (1, 2), (1, 6, 1)),
    ((4, 6, 10), (1, 2), (1, 6, 10)), ((4, 6, 10), (1, 2), (1, 1, 1)), ((1, 1, 4, 4100), (2, 3), (1, 1, 4, 1)), ((40, 2, 2), (2,), (1, 2, 1))]


@pytest.mark.parametrize("fused", FUSED)
@pytest.mark.parametrize("shape, axes, per", PER)
def test_parameters_that_change_inside_a_group(gpu, shape, axes, per, fused):
    x, g, r, _, _ = drawn(shape, np.float32)
    w, b = np.random.default_rng(1).standard_normal((2, *per)).astype("f")
    for parameters in ((w, b), (w, None), (None, b)):
        found, right = both(gpu, x, g, *parameters, axes, *FUSED[fused](r))
        assert_equal(found, right, 3e-6)


def test_groupings_left_to_the_reference():
    x = np.ones((4, 6, 10), np.float32)
    with emulated():
        for axes, per in (((0, 1), None), ((0,), None), ((0, 2), (1, 1, 10)), ((1, 2), (1, 1, 10)), ((2,), (4, 1, 10))):
            w = None if per is None else np.ones(per, "f")
            assert twins.normalize(x, w, None, axes, 1e-5) is NotImplemented
        assert twins.normalize(x, None, None, (0, 2), 1e-5, False, x) is NotImplemented
        assert twins.normalize(x.astype(np.float16), None, None, (0, 2), 1e-5) is NotImplemented
        assert twins.normalize(x[:0], None, None, (0, 2), 1e-5) is NotImplemented


HARD = ["large mean", "first numbers far off", "first picture far off", "alternating far apart", "growing",
        "nearly constant, but for the first", "zeros first"]


@pytest.mark.parametrize("shape", [(8, 3, 3000), (8, 3, 501)])
@pytest.mark.parametrize("name", HARD)
def test_hard_statistics_on_the_gpu(gpu, name, shape):
    """In several blocks and in one: mean and variance to 4 units of rounding."""
    x = hard(name, shape)
    _, mean, var, rstd = map(gpu.numpy, twins.normalize(gpu.array(x), None, None, (0, 2), 1e-5))
    m, v = exact(x)
    np.testing.assert_allclose(mean, m, rtol=1.2e-7, atol=1e-7 * np.sqrt(v.max()))
    np.testing.assert_allclose(var, v, rtol=5e-7)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(v + 1e-5), rtol=5e-7)


@pytest.mark.parametrize("pixels", [50, 7, 9000])
def test_constant_channels_on_the_gpu(gpu, pixels):
    """Variance exactly 0, so y is exactly b; nothing passes a rectifier at 0."""
    x = np.full((4, 2, pixels), 0.1, np.float32)
    x[:, 1] = 12345.6
    b = np.array([0.0, -0.5], np.float32).reshape(1, 2, 1)
    (y, mean, var, rstd, gx, gw, gb), _ = both(gpu, x, np.ones_like(x), np.ones_like(b), b, (0, 2))
    assert (var == 0).all() and (y == b).all() and (mean == x[:1, :, :1]).all()
    (_, _, _, _, gx, gw, gb), _ = both(gpu, x, np.ones_like(x), np.ones_like(b), b, (0, 2), True)
    assert not gx.any() and not gw.any() and not gb.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 17, 400])
@pytest.mark.parametrize("fused", FUSED)
def test_no_number_spoils_its_channel_only(gpu, value, at, fused):
    x, g, r, w, b = drawn((4, 3, 200), np.float32)
    x.swapaxes(0, 1)[1].reshape(4, 200)[at // 200, at % 200] = value
    with np.errstate(invalid="ignore"):
        found, right = both(gpu, x, g, w, b, (0, 2), *FUSED[fused](r))
    assert_equal(found, right, 3e-6)
    assert np.isnan(found[0][:, 1]).all() and np.isfinite(found[0][:, [0, 2]]).all()


def test_gradients_from_above_that_are_no_numbers(gpu):
    x, g, r, w, b = drawn((4, 3, 200), np.float32)
    g[1, 1, 5], g[2, 2, 7] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        for fused in FUSED.values():
            assert_equal(*both(gpu, x, g, w, b, (0, 2), *fused(r)), 3e-6)


@pytest.mark.parametrize("shape, axes, per", [((4, 3, 36), (0, 2), (1, 3, 1)), ((6, 40), (1,), (1, 40))])
def test_normalisation_of_any_layout(gpu, shape, axes, per):
    """With gaps, backwards, and beginning between two borders of 16 bytes."""
    x, g, r, _, _ = drawn(shape, np.float32)
    w, b = np.random.default_rng(1).standard_normal((2, *per)).astype("f")
    _, right = both(gpu, x, g, w, b, axes, True, r)
    found, _ = both(gpu, *map(strange, (x, g, w, b)), axes, True, strange(r))
    assert_equal(found, right, 3e-6)
    shifted = [gpu.array(np.append(np.zeros(1, "f"), a))[1:].reshape(shape) for a in (x, g, r)]
    y = twins.normalize(shifted[0], gpu.array(w), gpu.array(b), axes, 1e-5, True, shifted[2])
    assert_equal([gpu.numpy(a) for a in y], right[:4], 3e-6)


def test_long_sums_do_not_drift(gpu):
    """Many numbers of one sign in float32, in few blocks: sums to 1e-6."""
    x, g, _, w, b = drawn((1, 2, 300_000), np.float32)
    g = np.abs(g) + 10
    found, _ = both(gpu, x, g, w, b, (0, 2))
    np.testing.assert_allclose(found[6].ravel(), g.sum(axis=(0, 2), dtype=float), rtol=1e-6)
    xhat = (x - exact(x)[0]) / np.sqrt(exact(x)[1] + 1e-5)
    np.testing.assert_allclose(found[5].ravel(), (g * xhat).sum(axis=(0, 2)), atol=1e-6 * np.abs(g * xhat).sum(axis=(0, 2)).max())


@pytest.mark.parametrize("processors", [1, 132])
@pytest.mark.parametrize("shape, axes, per", [((2, 2, 9000), (0, 2), (1, 2, 1)), ((40, 70), (1,), (1, 70)), ((3, 2, 4, 8), (2, 3), (1, 2, 4, 1))])
def test_threads_in_any_order_normalise_to_the_same_bits(shape, axes, per, processors, monkeypatch):
    x, g, r, _, _ = drawn(shape, np.float32)
    w, b = np.random.default_rng(1).standard_normal((2, *per)).astype("f")
    with emulated(processors):
        results = []
        for order in (0, 1, 7):
            monkeypatch.setattr(HostModule, "order", order)
            y = twins.normalize(x, w, b, axes, 1e-5, True, r)
            results.append(y + twins.normalize_grad(g, x, w, b, y[1], y[3], axes, True, r))
    for other in results[1:]:
        for a, c in zip(results[0], other):
            np.testing.assert_array_equal(a, c)


@pytest.mark.parametrize("groups, channels", [(1, 1), (1, 70), (3, 40)])
@pytest.mark.parametrize("dtype", ["f", "d"])
def test_running_statistics_follow(gpu, groups, channels, dtype):
    rng = np.random.default_rng(0)
    mean, var, found = (rng.standard_normal(shape).astype(dtype) for shape in (channels, channels, (groups, channels, 1)))
    found_var = rng.random((groups, channels, 1))
    there = [gpu.array(a.copy()) for a in (mean, var, found, found_var)]
    assert twins.follow(*there, 0.1, 1.25) is None
    expected = 0.9 * mean.astype(float) + 0.1 * found.mean(axis=(0, 2), dtype=float), 0.9 * var.astype(float) + 0.125 * found_var.mean(axis=(0, 2))
    for y, right in zip(there, expected):
        y = gpu.numpy(y)
        assert y.dtype == dtype and (np.abs(y - right) <= 4 * np.finfo(dtype).eps * (1 + np.abs(right))).all()
    kernels.follow.reference(mean, var, found, found_var, 0.1, 1.25)
    np.testing.assert_allclose(mean, expected[0], rtol=0, atol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(var, expected[1], rtol=0, atol=8 * np.finfo(dtype).eps)


def test_a_momentum_on_the_device_is_not_read():
    """BatchNorm(momentum=None) divides by a count that the device has: the host would wait for it."""
    mean, var = np.zeros(3, "f"), np.ones(3, "f")
    assert twins.follow(mean, var, mean[None], np.ones((1, 3)), np.array(0.5, "f"), 1.0) is NotImplemented
