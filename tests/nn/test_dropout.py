"""Dropout layers: what they drop, that the mean stays, and when they do nothing."""

import numpy as np
import pytest

import tinyvision
import tinyvision.nn as nn
from tinyvision import Tensor

LAYERS = [(nn.Dropout, (40, 50), ()), (nn.Dropout1d, (40, 50, 3), (2,)), (nn.Dropout2d, (40, 50, 3, 2), (2, 3)),
          (nn.Dropout3d, (40, 50, 3, 2, 2), (2, 3, 4))]


@pytest.mark.parametrize("layer, shape, together", LAYERS)
@pytest.mark.parametrize("p", [0.2, 0.5])
def test_training(layer, shape, together, p):
    x = Tensor(np.random.default_rng(0).uniform(1, 2, size=shape).astype("float32"), requires_grad=True)
    y = layer(p, generator=1)(x)
    kept = y.data != 0
    np.testing.assert_allclose(y.data[kept], x.data[kept] / (1 - p), rtol=1e-6)
    assert (kept.all(axis=together) == kept.any(axis=together)).all()                  # whole channels, if channels
    share = kept.all(axis=together).mean()
    assert share == pytest.approx(1 - p, abs=5 * (p * (1 - p) / 2000) ** 0.5)
    g = np.random.default_rng(1).normal(size=shape).astype("float32")
    y.backward(g)
    np.testing.assert_allclose(x.grad.data, g * kept / np.float32(1 - p), rtol=1e-6)   # the mask of the forward pass


@pytest.mark.parametrize("layer, shape, together", [*LAYERS, (nn.AlphaDropout, (4, 5), ())])
def test_evaluation_and_the_ends_of_p(layer, shape, together):
    x = Tensor(np.random.default_rng(0).uniform(1, 2, size=shape).astype("float32"))
    assert (layer(0.5).eval()(x).data == x.data).all()
    assert (layer(0.0)(x).data == x.data).all()
    assert (layer(1.0)(x).data == 0).all()


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=200_000)
    y = nn.AlphaDropout(0.3, generator=1)(x)
    assert abs(y.mean()) < 0.01 and y.var() == pytest.approx(1, abs=0.02) and not (y == x).any()


def test_evaluation_draws_nothing():
    layer, other = nn.Dropout(generator=4), nn.Dropout(generator=4)
    x = np.ones(100)
    layer.eval()(x)
    assert (layer.train()(x) == other(x)).all()


def test_each_layer_has_its_own_generator_and_none_is_the_engine_s():
    a, b = nn.Dropout(), nn.Dropout()
    assert a.generator is not b.generator and a.generator is not tinyvision.default_generator()
    assert repr(a) == "Dropout(p=0.5)" and not a.state_dict()
