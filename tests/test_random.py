"""Random numbers: the engine's generator, seeds, and the generators that layers own."""

import functools
import json

import numpy as np
import pytest

import tinyvision
import tinyvision.nn as nn
from tinyvision import Tensor
from tinyvision.random import (as_generator, default_generator, draw_normal, draw_uniform, generators_in, get_state,
                               own_generator, set_state)


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


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64, np.random.MT19937])
def test_a_state_is_all_there_is(bits):
    """Through JSON: the numbers to come, half-used ones among them, and the generators to be split off."""
    a, b = np.random.Generator(bits(1)), np.random.Generator(bits(2))
    a.integers(3, size=5, dtype=np.uint8), a.random(dtype=np.float32), a.spawn(3)
    state = json.loads(json.dumps(get_state(a)))
    set_state(b, state)
    assert get_state(b) == get_state(a) == state
    for draw in (lambda g: g.integers(3, size=9, dtype=np.uint8), lambda g: g.standard_normal(7),
                 lambda g: g.spawn(1)[0].random(3)):
        np.testing.assert_array_equal(draw(a), draw(b))


def test_a_state_of_another_kind_changes_nothing():
    generator = np.random.default_rng(1)
    before = get_state(generator)
    with pytest.raises(ValueError, match="set_state: the state is of a generator of Philox, this one is of PCG64"):
        set_state(generator, get_state(np.random.Generator(np.random.Philox(1))))
    assert get_state(generator) == before


GLOBAL = np.random.default_rng(5)


def test_generators_are_found_wherever_they_are_kept():
    a, b, c, d, e, f = (np.random.default_rng(i) for i in range(6))

    class Noise:
        def __init__(self):
            self.rng, self.self = a, self

        def __call__(self, x):
            return x + GLOBAL.random()

    def closed(x, rng=d):
        return x + c.random()

    found = generators_in(Noise(), {"list": [b, (b, functools.partial(closed, e))]}, nn.Sequential(nn.Dropout(generator=f)), None)
    assert list(map(id, found)) == list(map(id, [a, GLOBAL, b, c, d, e, f]))
    assert generators_in([np.random.default_rng(0)] * 2000) == [] == generators_in("text", 3, np.ones(3), nn.Linear)
