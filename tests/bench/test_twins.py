"""PyTorch's twins of the networks, and its layers: the same results as ours, in both layouts."""

import dataclasses

import numpy as np
import pytest

from tinyvision.bench import contenders, layers, steps, workloads
from tinyvision.bench.ours import Reference, build

torch = pytest.importorskip("torch")

ENGINES = contenders.find()[0]
SMALL = [dataclasses.replace(layer, x=(min(2, layer.x[0]), layer.x[1], *(min(16, size) for size in layer.x[2:])))
         for layer in workloads.LAYERS if layer.w[:1] != (512,)]


@pytest.mark.parametrize("network", [*workloads.NETWORKS[:-1], *workloads.QUICK_NETWORKS, workloads.GPU_NETWORKS[3]], ids=str)
def test_the_first_losses_agree(network):
    """In both layouts a twin with the same weights has the same losses, so it is the same network."""
    able = [c for c in ENGINES if "torch" in c.packages] + [Reference()]
    calls, refused, _ = steps.training_steps(able, network.tiny())
    assert not refused and len(calls) == 3


def test_another_network_is_refused():
    """A twin of another shape cannot take the weights; one that computes something else has another loss."""
    from tinyvision.bench.pytorch import copy_weights
    from tinyvision.bench.twins import lenet5
    with pytest.raises(RuntimeError, match="size mismatch"):
        copy_weights(build(workloads.NETWORKS[0]), lenet5(7, 1))

    class Other(contenders.Contender):
        key, number = "other", staticmethod(float)

        def training_step(self, network):
            step = ENGINES[0].training_step(network)
            return lambda: step().item() * 1.001
    _, refused, _ = steps.training_steps([Reference(), Other()], workloads.QUICK_NETWORKS[0])
    assert refused["other"].startswith("other losses")


@pytest.mark.parametrize("layer", SMALL, ids=str)
def test_layers_agree(layer):
    """Every pass of every layer that is measured, small: nobody is wrong, nobody fails."""
    arrays, refused = layer.arrays(), {}
    made = {c.key: layers.attempt(c, refused, lambda c=c: c.layer_calls(layer, arrays)) for c in ENGINES}
    made = {key: calls for key, calls in made.items() if calls}
    assert {"tinyvision", "numpy", "torch eager", "torch channels_last"} <= set(made)
    for name in layer.passes:
        good, refused = layers.same_results(ENGINES, {key: calls[name] for key, calls in made.items()}, {}, layer.kinked)
        assert not refused and set(good) == set(made)


def test_channels_last_is_channels_last():
    array = np.zeros((2, 3, 4, 5), "f")
    eager, last = (c for c in ENGINES if "torch" in c.packages)
    assert eager.tensor(array).is_contiguous() and not last.tensor(array).is_contiguous()
    assert last.tensor(array).is_contiguous(memory_format=torch.channels_last)
