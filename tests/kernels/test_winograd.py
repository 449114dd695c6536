"""Winograd's convolution: the layers that it takes, its rounding, and what it leaves to others (the rest: test_conv.py)."""

import numpy as np
import pytest

from tests.kernels.test_conv import PASSES, agree, bound_in_tiles, layer_of_tiles
from tinyvision.kernels import conv, registry
from tinyvision.kernels.cpu import tile, winograd
from tinyvision.kernels.window import Window

SAME = Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
pytestmark = pytest.mark.skipif(tile.BYTES < 32, reason="this processor's vectors are too short for it")


def watched(monkeypatch, module):
    """A list to which the plans of the module add their names when they run."""
    calls = []
    for plan in module.Correlation, module.WeightGradient:
        def run(self, *args, run=plan.__call__):
            calls.append(type(self).__name__)
            return run(self, *args)
        monkeypatch.setattr(plan, "__call__", run)
    return calls


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    """The plans that have run, of compiled kernels."""
    calls = watched(monkeypatch, winograd)
    with registry.use_kernels("compiled"):
        yield calls


def arguments(rng, geometry):
    N, C, O, sizes, window, groups = geometry
    x, w, u = (rng.standard_normal(shape).astype(np.float32) for shape in
               ((N, C, *sizes), (O, C, 3, 3), (N, O, *window.output(sizes))))
    return dict(zip(PASSES, ((x, w, None, window, 1), (u, w, None, window, 1, sizes), (x, u, window, 1))))


@pytest.mark.parametrize("seed", range(12))
def test_all_passes_of_its_layers(seed, taken):
    rng = np.random.default_rng(seed)
    geometry = layer_of_tiles(rng)
    for name, args in arguments(rng, geometry).items():
        agree(name, args)
    assert "Correlation" in taken and ("WeightGradient" in taken or geometry[1] < 12)


@pytest.mark.parametrize("shape, window, taken_by_it", [
    ((2, 16, 16, 16, 16), SAME, True), ((2, 4, 16, 16, 16), SAME, False), ((2, 16, 4, 16, 16), SAME, False),
    ((2, 16, 16, 15, 13), SAME, True), ((1, 16, 16, 6, 6), SAME, False), ((9, 16, 16, 6, 6), SAME, True),
    ((9, 16, 16, 9, 9), SAME, False), ((9, 16, 16, 16, 3), SAME, False),
    ((2, 16, 16, 16, 16), Window((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)), False),
    ((2, 16, 16, 16, 16), Window((3, 3), (1, 1), ((2, 2), (2, 2)), (2, 2)), False),
    ((2, 16, 16, 16, 16), Window((5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1)), False),
])
def test_which_layers_it_takes(shape, window, taken_by_it, taken):
    N, C, O, H, W = shape
    x, w = np.ones((N, C, H, W), np.float32), np.ones((O, C, *window.size), np.float32)
    conv.conv(x, w, None, window, 1)
    assert (taken == ["Correlation"]) == taken_by_it
    conv.conv(x.astype(float), w.astype(float), None, window, 1)
    assert len(taken) == taken_by_it                      # never for float64: gradient checks need its digits


@pytest.mark.parametrize("sizes", [(18, 18), (16, 24)])
@pytest.mark.parametrize("orders", [(-6, 4), (0, 1)])
def test_the_bound_on_rounding(orders, sizes):
    """Weights and pixels of any size: the error is that of the largest ones of the tile and the filter, channel by channel."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 16, *sizes)), rng.standard_normal((16, 16, 3, 3))
    x, w = ((a * 10.0 ** rng.integers(*orders, a.shape)).astype(np.float32) for a in (x, w))
    args = x.astype(float), w.astype(float), None, SAME, 1
    error = np.abs(conv.conv(x, w, None, SAME, 1) - conv.conv.reference(*args))
    assert (error <= 2 * np.finfo(np.float32).eps * bound_in_tiles("conv", np.abs(args[0]), np.abs(args[1]), *args[2:])).all()
    assert error.max() > 0


def test_constant_pictures_and_filters():
    """Where nothing is random errors of constants do not cancel: still less than the documented eight roundings."""
    x, w = np.full((2, 64, 16, 16), 0.7, np.float32), np.full((64, 64, 3, 3), 0.3, np.float32)
    exact = conv.conv.reference(x.astype(float), w.astype(float), None, SAME, 1)
    np.testing.assert_allclose(conv.conv(x, w, None, SAME, 1)[..., 1:-1, 1:-1], exact[..., 1:-1, 1:-1],
                               rtol=8 * np.finfo(np.float32).eps)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
@pytest.mark.parametrize("name", PASSES)
def test_what_is_not_finite_is_done_without_it(name, value, taken):
    """inf - inf, and sums of huge numbers that overflow: results are those of the sums of products."""
    rng = np.random.default_rng(0)
    args = arguments(rng, (2, 16, 16, (16, 16), SAME, 1))[name]
    args[0][1, 3, 4, 5:7] = value
    if value == 3e38:
        args[1][...] *= 1e-3                              # the products fit, the sums of two pixels do not
    with np.errstate(invalid="ignore", over="ignore"):
        expected, found = getattr(conv, name).reference(*args), getattr(conv, name)(*args)
    assert taken
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    np.testing.assert_array_equal(found == np.inf, expected == np.inf)
    whole = np.isfinite(expected)
    np.testing.assert_allclose(found[whole], expected[whole], rtol=1e-4, atol=1e-4 * np.abs(expected[whole]).max())
