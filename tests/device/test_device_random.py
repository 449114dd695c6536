"""Random numbers by counting, against published vectors; dropout on a device: shares, repeated runs, states."""

import json

import numpy as np
import pytest

from tinyvision import Tensor, nn, use_kernels
from tinyvision import functional as F
from tinyvision.backend import to_device
from tinyvision.kernels import random as kernels
from tinyvision.random import draw_key, get_state, set_state

# Random123's known answers for philox4x32, 10 rounds: counter, key, words.
KNOWN = [("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
         ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
         ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1")]


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize("counter, key, expected", KNOWN)
def test_philox_gives_the_known_answers(counter, key, expected, device):
    found = kernels.philox([to_device(np.array([c], np.uint32), device) for c in words(counter)], words(key))
    assert [int(word[0]) for word in found] == words(expected)


def philox_by_definition(i, key):
    """One block in Python's integers, from the paper's figure 2."""
    c, k = [i & 0xFFFFFFFF, i >> 32, 0, 0], list(key)
    for _ in range(10):
        a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(b >> 32) ^ c[1] ^ k[0], b & 0xFFFFFFFF, (a >> 32) ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


@pytest.mark.parametrize("shape", [(13,), (2, 3, 5), (), (0, 3), (4,)])
def test_uniform_numbers_in_their_order(shape, device):
    key = (0xDEADBEEF, 42)
    x = to_device(np.zeros(1, np.float32), device)
    found = kernels.uniform(x, key, shape)
    n = int(np.prod(shape))
    expected = [word for i in range(-(-n // 4)) for word in philox_by_definition(i, key)][:n]
    assert found.shape == shape and found.dtype == np.float32
    np.testing.assert_array_equal(to_device(found, "cpu").ravel(), [np.float32((word >> 8) / 2**24) for word in expected])
    np.testing.assert_array_equal(to_device(kernels.kept(x, key, shape, 0.3), "cpu"), to_device(found, "cpu") >= np.float32(0.3))


def test_the_same_bits_on_the_cpu(device):
    with use_kernels("reference"):
        here = kernels.uniform(np.zeros(1), (1, 2), (1000,))
    np.testing.assert_array_equal(to_device(kernels.uniform(to_device(np.zeros(1), device), (1, 2), (1000,)), "cpu"), here)
    assert 0 <= here.min() and here.max() < 1 and abs(here.mean() - 0.5) < 4 * (1 / 12 / 1000) ** 0.5


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_shares_of_dropout(p, device):
    """Within four standard deviations of the binomial distribution, in every quarter of the array."""
    n = 40000
    y = F.dropout(Tensor(np.ones(n, "float32"), device=device), p, generator=3).cpu().numpy()
    assert set(np.unique(y).tolist()) == {0.0, float(np.float32(1 / (1 - p)))}
    for part in np.split(y, 4):
        assert abs((part == 0).mean() - p) < 4 * (p * (1 - p) / (n / 4)) ** 0.5


def test_layers_draw_apart_and_go_on_from_their_state(device):
    """The generator of the layer is all the state there is: what is drawn after it was put back is the same again."""
    x = Tensor(np.ones((64, 64), "float32"), device=device)
    layer, other = nn.Dropout(0.5, generator=1), nn.Dropout(0.5, generator=2)
    first = layer(x).cpu().numpy()
    kept = json.loads(json.dumps(get_state(layer.generator)))
    second, apart = layer(x).cpu().numpy(), other(x).cpu().numpy()
    fresh = nn.Dropout(0.5)
    set_state(fresh.generator, kept)
    np.testing.assert_array_equal(fresh(x).cpu().numpy(), second)
    for a, b in (first, second), (first, apart), (second, apart):
        assert abs((a == b).mean() - 0.5) < 4 * (0.25 / a.size) ** 0.5


def test_keys_are_words():
    rng = np.random.default_rng(0)
    keys = np.array([draw_key(rng) for _ in range(2000)])
    assert keys.min() >= 0 and keys.max() < 2**32 and len(set(map(tuple, keys.tolist()))) == 2000
    assert (abs(keys.mean(axis=0) / 2**32 - 0.5) < 4 * (1 / 12 / 2000) ** 0.5).all()


@pytest.mark.parametrize("name, shape, alike", [("dropout1d", (8, 16, 5), (2,)), ("dropout2d", (8, 16, 3, 4), (2, 3)),
                                                ("dropout3d", (8, 16, 2, 2, 3), (2, 3, 4))])
def test_whole_channels_are_dropped(name, shape, alike, device):
    y = getattr(F, name)(Tensor(np.ones(shape), device=device), 0.5, generator=1).cpu().numpy()
    assert (y.min(axis=alike) == y.max(axis=alike)).all() and set(np.unique(y)) == {0.0, 2.0}


def test_alpha_dropout_keeps_mean_and_variance(device):
    x = np.random.default_rng(0).standard_normal(200_000)
    y = F.alpha_dropout(Tensor(x, device=device), 0.3, training=True, generator=1).cpu().numpy()
    assert abs(y.mean()) < 0.02 and abs(y.var() - 1) < 0.03
