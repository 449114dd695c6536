"""Style transfer, heads and features on a device are those of the CPU."""

import numpy as np

from tinyvision import Tensor, data, manual_seed, models, no_grad, train
from tinyvision.style import RandomFeatures, StyleFeatures, StyleNet, stylize, train_styles


def picture(seed):
    return np.random.default_rng(seed).random((3, 16, 16)).astype(np.float32)


def features(device):
    return StyleFeatures(RandomFeatures(8, 2, generator=0).to(device), "stages.1", ["stages.0", "stages.1"])


def test_stylized_pictures_are_the_same(device):
    """L-BFGS takes the same steps, up to rounding."""
    here, there = (stylize(picture(0), [picture(1), picture(2)], features(place), steps=3, colors="histogram") for place in
                   ("cpu", device))
    assert isinstance(there.image, np.ndarray)
    np.testing.assert_allclose(there.image, here.image, atol=1e-3)
    np.testing.assert_allclose(there.losses["total"], here.losses["total"], rtol=1e-3)


def test_painting_networks_learn_the_same(device):
    def trained(place):
        manual_seed(0)
        net = StyleNet(2, 4, 1).to(place)
        history = train_styles(net, np.stack([picture(k) for k in range(4)]), [picture(5), picture(6)], features(place), steps=3,
                               batch_size=2, generator=0)
        with no_grad():
            return history, net(Tensor(picture(7)[None], device=place), [0.5, 0.5]).cpu().data
    (here, y), (there, z) = trained("cpu"), trained(device)
    np.testing.assert_allclose(there, here, rtol=1e-3)
    np.testing.assert_allclose(z, y, atol=1e-3)


def test_features_are_those_of_the_cpu(device):
    """The loader's batches are moved to where the network is; the vectors come back to main memory."""
    manual_seed(0)
    model, loader = models.LeNet5(), data.DataLoader(data.Digits(train=False), batch_size=200)
    expected, labels = train.extract_features(model, loader)
    found, again = train.extract_features(model.to(device), loader)
    assert isinstance(found, np.ndarray) and isinstance(again, np.ndarray)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(again, labels)


def test_new_heads_are_where_the_old_one_was(device):
    model = models.LeNet5().to(device)
    train.attach_head(model, 3)
    assert model.fc3.weight.device == model.fc2.weight.device == model.fc3.bias.device
    train.freeze(model, "conv*")
    assert len(train.parameter_groups(model, {"fc3": 0.1, "*": 0.01})) == 2
