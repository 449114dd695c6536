"""Dropout: how much it drops, that means and variances stay, whole channels, masks that repeat, and its messages."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, grad, manual_seed
from tinyvision.gradcheck import assert_gradients
from tinyvision.random import default_generator

NAMES = ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"]
SHAPES = {"dropout": (4, 6), "dropout1d": (4, 6, 3), "dropout2d": (4, 6, 3, 2), "dropout3d": (4, 6, 2, 2, 2),
          "alpha_dropout": (4, 6)}


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_fraction_and_scale(p):
    """Of a million numbers p are dropped, up to 5 standard deviations; the others are divided by 1 - p, so the mean stays."""
    n = 10**6
    y = F.dropout(np.ones(n, np.float32), p, generator=11)
    assert abs((y == 0).sum() - n * p) < 5 * (n * p * (1 - p)) ** 0.5
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / (1 - p))}
    assert abs(y.mean(dtype=np.float64) - 1) < 5 * (p / (1 - p) / n) ** 0.5


@pytest.mark.parametrize("name, axes", [("dropout1d", 3), ("dropout2d", 4), ("dropout3d", 5)])
@pytest.mark.parametrize("batch", [True, False], ids=["batch", "single"])
def test_whole_channels(name, axes, batch):
    """A channel is dropped as a whole or not at all, channels independently of each other and of the picture."""
    if name == "dropout2d" and not batch:
        pytest.skip("a single picture is ambiguous: see test_dropout2d_of_three_axes")
    shape = (50, 40) if batch else (2000,)
    y = getattr(F, name)(np.ones(shape + (2,) * (axes - 2)), 0.3, generator=5)
    flat = y.reshape(2000, -1)
    assert (flat == flat[:, :1]).all()
    kept = flat[:, 0].reshape(shape) > 0
    assert abs((~kept).sum() - 600) < 5 * (2000 * 0.3 * 0.7) ** 0.5
    if batch:
        assert 0 < kept[:, 0].sum() < 50 and 0 < kept[0].sum() < 40


def test_dropout2d_of_three_axes():
    """PyTorch reads them as (N, C, W) and warns; so do we."""
    x = np.ones((30, 4, 5))
    with pytest.warns(UserWarning, match=r"read as \(N, C, W\), as in PyTorch. Use dropout1d for signals, and x\[None\]"):
        y = F.dropout2d(x, 0.5, generator=3)
    np.testing.assert_array_equal(y, F.dropout1d(x, 0.5, generator=3))
    assert 0 < (y[:, :, 0] > 0).sum() < 120


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_alpha_dropout_keeps_mean_and_variance(p):
    x = np.random.default_rng(0).standard_normal(10**6)
    y = F.alpha_dropout(x, p, training=True, generator=1)
    assert abs(y.mean()) < 0.01 and abs(y.var() - 1) < 0.01
    low = np.unique(y, return_counts=True)
    assert low[1].max() == pytest.approx(p * 10**6, rel=0.01)             # the dropped ones share one value


@pytest.mark.parametrize("name", NAMES)
def test_nothing_happens_in_evaluation_or_with_p_0(name):
    x = Tensor(np.random.default_rng(0).standard_normal(SHAPES[name]))
    before = default_generator().bit_generator.state
    for y in getattr(F, name)(x, 0.5, False), getattr(F, name)(x, 0.0, True):
        np.testing.assert_array_equal(y.data, x.data)
    assert default_generator().bit_generator.state == before


@pytest.mark.parametrize("name", NAMES)
def test_p_1_drops_everything(name):
    x = Tensor(np.random.default_rng(0).standard_normal(SHAPES[name]), requires_grad=True)
    y = getattr(F, name)(x, 1.0, True, generator=0)
    (g,) = grad(y, x, np.ones(x.shape))
    assert not y.data.any() and not g.data.any()


@pytest.mark.parametrize("name", NAMES)
def test_masks_repeat_bit_for_bit(name):
    """The same seed, generator state or manual_seed: the same mask, in every dtype; a generator moves on with every call."""
    def mask(generator, dtype=np.float64):
        y = getattr(F, name)(np.ones(SHAPES[name], dtype), 0.5, True, generator=generator)
        return (y == y.max()).tolist()

    assert mask(7) == mask(7) == mask(7, np.float32) == mask(np.random.default_rng(7)) == mask(np.int64(7))
    assert mask(7) != mask(8)
    generator = np.random.default_rng(7)
    assert mask(generator) == mask(7) and mask(generator) != mask(7)
    state = default_generator().bit_generator.state
    try:
        manual_seed(7)
        assert mask(None) == mask(7) and mask(None) != mask(7)
    finally:
        default_generator().bit_generator.state = state


@pytest.mark.parametrize("name", NAMES)
def test_gradient_repeats_the_mask(name):
    """The generator has moved on when backward runs; the op kept its own mask."""
    x = Tensor(np.ones(SHAPES[name]), requires_grad=True)
    y = getattr(F, name)(x, 0.5, True, generator=np.random.default_rng(3))
    (g,) = grad(y, x, 2 * np.ones(x.shape))
    kept = y.data == y.data.max()
    assert (g.data[kept] > 0).all() and not g.data[~kept].any() and 0 < kept.sum() < kept.size
    if name != "alpha_dropout":
        np.testing.assert_array_equal(g.data, 2 * y.data)


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck_with_a_frozen_seed(name):
    x = np.random.default_rng(2).standard_normal(SHAPES[name])
    assert_gradients(lambda x: getattr(F, name)(x * x, 0.4, True, generator=6), x, order=2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_probabilities_only(name, p):
    with pytest.raises(ValueError, match=rf"^{name}: p is the probability of dropping and must lie in \[0, 1\], got {p}"):
        getattr(F, name)(np.ones(SHAPES[name]), p, True)


@pytest.mark.parametrize("error, words, call", [
    (TypeError, "dropout: input must be floating point, got int64", lambda: F.dropout(np.arange(3))),
    (TypeError, "dropout2d: input must be a Tensor or an array, got list", lambda: F.dropout2d([1.0])),
    (TypeError, "dropout: needs an integer seed or a numpy.random.Generator, got str",
     lambda: F.dropout(np.ones(3), generator="a")),
    (ValueError, "dropout3d: a seed must be at least 0", lambda: F.dropout3d(np.ones((1, 1, 1, 1, 1)), generator=-1)),
    (ValueError, r"dropout1d: input must be \(N, C, W\), or \(C, W\)", lambda: F.dropout1d(np.ones((1, 1, 1, 1)))),
    (ValueError, r"dropout2d: input must be \(N, C, H, W\)", lambda: F.dropout2d(np.ones((2, 2)))),
    (ValueError, r"dropout3d: input must be \(N, C, D, H, W\)", lambda: F.dropout3d(np.ones((2, 2, 2)))),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()
