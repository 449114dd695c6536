"""Looking into a network on a device gives NumPy arrays with the numbers that it gives on the CPU."""

import numpy as np
import pytest

from tinyvision import manual_seed, models
from tinyvision.interpret import (
    activations, completeness_error, deep_dream, filter_pictures, grad_cam, integrated_gradients, invert_features, maximize,
    measured_field, occlusion, probability, randomization_check, receptive_field, region, saliency, smooth_grad, top_patches,
)

X = np.random.default_rng(0).random((3, 2, 8, 12), np.float32)
LOOKS = {
    "activations": lambda net, x: activations(net, x, "down.1"),
    "saliency": lambda net, x: saliency(net, x, [2, 0, 1]),
    "guided": lambda net, x: saliency(net, x, (1, 2, 3), rule="guided"),
    "deconvnet": lambda net, x: saliency(net, x, [(1, 2, 3), (0, 0, 0), (2, 7, 11)], rule="deconvnet"),
    "probability": lambda net, x: saliency(net, x, probability(1)),
    "smooth_grad": lambda net, x: smooth_grad(net, x, 1, samples=3, generator=0),
    "integrated": lambda net, x: integrated_gradients(net, x, region(1, X[0, 0] > 0.5), steps=3),
    "completeness": lambda net, x: completeness_error(net, x, X, 1),
    "grad_cam": lambda net, x: grad_cam(net, x, "down.1", 1),
    "occlusion": lambda net, x: occlusion(net, x, 1, size=4),
    "maximize": lambda net, x: maximize(net, [0, 1], (2, 8, 12), steps=3, jitter=1, l2=0.1, tv=0.1, mean=(0.1, 0.2), generator=0),
    "filters": lambda net, x: filter_pictures(net, "down.1", (2, 8, 12), filters=[0, 3], place="middle", steps=2, generator=0),
    "dream": lambda net, x: deep_dream(net, x, "down.0", octaves=1, steps=2, generator=0),
    "inversion": lambda net, x: invert_features(net, x, "down.1", steps=3, generator=0),
    "field": lambda net, x: np.stack(receptive_field(net, "head", (2, 8, 8)).boxes),
    "measured": lambda net, x: measured_field(net, "down.1", (2, 8, 12), samples=2, generator=0),
    "patches": lambda net, x: top_patches(net, x, "down.1", count=2).patches,
    "randomization": lambda net, x: randomization_check(net, x, lambda net, x: saliency(net, x, 1), layers=["head", "down.0.1"],
                                                        generator=0).maps,
}


@pytest.mark.parametrize("name", LOOKS)
def test_looks_on_a_device_equal_those_on_the_cpu(name, device):
    manual_seed(0)
    net = models.UNet(2, 3, base_channels=4, depth=1)
    here = LOOKS[name](net, X)
    weights = {key: t.data.copy() for key, t in net.state_dict().items()}
    net.to(device)
    there = LOOKS[name](net, X)
    assert type(there) is np.ndarray and {t.device for t in net.parameters()} == {device}
    np.testing.assert_allclose(there, here, rtol=1e-3, atol=1e-4 * np.abs(here).max())
    net.to("cpu")
    assert all(np.array_equal(weights[key], t.data) for key, t in net.state_dict().items())
