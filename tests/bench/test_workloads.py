"""The work that is counted is the work that is done."""

import numpy as np
import pytest

from tinyvision.bench import workloads
from tinyvision.bench.ours import Ours, build
from tinyvision.bench.workloads import LAYERS, NETWORKS, QUICK, QUICK_NETWORKS, Layer

SMALL = [layer.tiny() for layer in LAYERS if layer.x[1] <= 64] + list(QUICK) + [
    Layer("", "conv", (2, 4, 9, 7), (6, 2, 3, 3), stride=2, padding=1, groups=2),
    Layer("", "conv_transpose", (2, 4, 5, 3), (4, 3, 3, 3), stride=2, padding=1, groups=2)]


@pytest.mark.parametrize("layer", SMALL, ids=str)
def test_shapes(layer):
    """The output has the shape that is counted with, and each gradient that of its array."""
    arrays = layer.arrays()
    calls = Ours().layer_calls(layer, arrays)
    assert tuple(calls) == layer.passes
    results = {name: [a.shape for a in Ours().arrays(call())] for name, call in calls.items()}
    assert results.pop("forward") == [layer.y] == [arrays.g.shape]
    if "grad input" in results:
        assert results == {"grad input": [layer.x], "grad weight": [layer.w]}
    else:
        assert results["forward+backward"][:2] == [layer.y, layer.x]


def multiplications(layer):
    """Counted one by one: every output, every channel of its group, every tap."""
    N, C, H, W = layer.x
    O, per_group, KH, KW = layer.w  # noqa: E741
    starts = [range(0, size + 2 * layer.padding - k + 1, layer.stride) for size, k in ((H, KH), (W, KW))]
    return sum(1 for _ in range(N * O) for _ in starts[0] for _ in starts[1] for _ in range(per_group * KH * KW))


@pytest.mark.parametrize("layer", [layer for layer in SMALL if layer.kind == "conv"], ids=str)
def test_operations_of_convolutions(layer):
    assert layer.flop == 2 * multiplications(layer)


def test_operations_and_bytes():
    layers = {layer.name: layer for layer in LAYERS}
    first = layers["LeNet conv1: 1>6 5x5, 32x32, b256"]
    assert first.flop == 2 * 256 * 6 * 28 * 28 * 25
    assert first.bytes == 4 * (256 * 32 * 32 + 6 * 25 + 256 * 6 * 28 * 28)
    up = layers["transposed 128>64 2x2 stride 2, 64x64, b1"]
    assert up.y == (1, 64, 128, 128) and up.flop == 2 * 128 * 64 * 64 * 64 * 4
    assert layers["linear 400>120, b256"].flop == 2 * 256 * 400 * 120
    assert layers["max pool 2x2, 6x28x28, b256"].flop == 0


def test_names_are_unique():
    for group in (LAYERS, NETWORKS, QUICK, QUICK_NETWORKS, workloads.MEMORY):
        assert len({workload.name for workload in group}) == len(group) > 1
    assert len(workloads.SHORT) == 6 and len(workloads.MEMORY) == 4


@pytest.mark.parametrize("network", [*NETWORKS[:-1], *QUICK_NETWORKS], ids=str)
def test_networks_take_their_data(network):
    """A tiny version trains; the network is the same at every call, and the engine's random numbers are left alone."""
    from tinyvision import random
    before = random.engine
    step = Ours().training_step(network.tiny())
    losses = [step().item() for _ in range(3)]
    assert losses[2] < losses[0] and random.engine is before
    a, b = (build(network).state_dict() for _ in range(2))
    assert a.keys() == b.keys() and all(np.array_equal(a[key].data, b[key].data) for key in a)
    images, labels = network.data()
    assert images.shape == network.x and images.dtype == np.float32 and 0 <= labels.min() <= labels.max() < network.classes
    assert labels.shape == (network.x[:1] + network.x[2:] if network.model == "unet" else network.x[:1])
