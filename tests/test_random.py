"""Random numbers: the engine's generator, seeds, and the generators that layers own."""

import numpy as np
import pytest

import tinyvision
import tinyvision.nn as nn
from tinyvision import Tensor
from tinyvision.random import as_generator, default_generator, draw_normal, draw_uniform, own_generator


def network():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Dropout2d(0.3), nn.Flatten(), nn.Linear(4 * 16, 5), nn.Dropout(0.5))


def run(seed):
    tinyvision.manual_seed(seed)
    net, x = network(), Tensor(np.ones((2, 1, 6, 6), "float32"))
    return [p.data.copy() for p in net.parameters()] + [net(x).data, net(x).data]


def test_the_same_seed_repeats_bit_for_bit():
    a, b, c = run(7), run(7), run(8)
    assert all((x == y).all() for x, y in zip(a, b, strict=True))
    assert not any((x == y).all() for x, y in zip(a, c, strict=True))
    assert not (a[-1] == a[-2]).all()                     # a layer draws on


def test_dropout_does_not_change_the_weights_of_the_layers_after_it():
    tinyvision.manual_seed(1)
    plain = nn.Sequential(nn.Linear(3, 3), nn.Identity(), nn.Linear(3, 3))
    tinyvision.manual_seed(1)
    dropping = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.Linear(3, 3))
    assert all((p.data == q.data).all() for p, q in zip(plain.parameters(), dropping.parameters(), strict=True))


def test_layers_draw_independently():
    tinyvision.manual_seed(1)
    x = np.ones(1000)
    a, b = nn.Dropout()(x), nn.Dropout()(x)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.15


def test_a_given_generator_is_used_and_advanced():
    rng = np.random.default_rng(3)
    layer = nn.Dropout(generator=rng)
    assert layer.generator is rng
    x = np.ones(50)
    first, again = layer(x), nn.Dropout(generator=3)(x)
    assert (first == again).all() and not (layer(x) == again).all()


def test_without_a_seed_runs_differ(monkeypatch):
    """The generator that the engine starts with is seeded from the machine's entropy."""
    import subprocess
    import sys
    code = "import tinyvision; print(tinyvision.default_generator().random())"
    out = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)}
    assert len(out) == 2


def test_seeds_are_checked():
    for seed, error, text in [(-1, ValueError, "a seed must be at least 0, got -1"), ("a", TypeError, "integer seed .* got str"),
                              (True, TypeError, "got bool"), (1.0, TypeError, "got float"), (None, TypeError, "got NoneType")]:
        before = default_generator()
        with pytest.raises(error, match=f"manual_seed: .*{text}"):
            tinyvision.manual_seed(seed)
        assert default_generator() is before
    assert tinyvision.manual_seed(np.int64(3)) is tinyvision.default_generator()


def test_as_generator():
    assert as_generator("op", None) is default_generator()
    rng = np.random.default_rng(0)
    assert as_generator("op", rng) is rng
    assert as_generator("op", 5).random() == np.random.default_rng(5).random()
    with pytest.raises(TypeError, match="op: needs an integer seed or a numpy.random.Generator, got list"):
        as_generator("op", [1])


def test_own_generators_differ():
    tinyvision.manual_seed(0)
    draws = {own_generator().random() for _ in range(100)}
    assert len(draws) == 100 and default_generator().random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("draw", [draw_uniform, draw_normal])
def test_draws_have_the_dtype_of_what_they_are_for(draw):
    for dtype in np.float16, np.float32, np.float64:
        assert draw(np.random.default_rng(0), (3, 2), np.dtype(dtype)).dtype == dtype
