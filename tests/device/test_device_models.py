"""Every network of the models takes a step on a device that equals the one on the CPU."""

import copy

import numpy as np
import pytest

from tinyvision import Tensor, manual_seed, models, optim
from tinyvision import functional as F
from tinyvision.models.captioner import Vocabulary
from tinyvision.ops.device import moved

RNG = np.random.default_rng(0)
WORDS = Vocabulary(["a", "red", "blue", "car"])


def pictures(*shape):
    return RNG.random(shape)


def pixels(classes, *shape):
    return RNG.integers(0, classes, shape)


CASES = {
    "ResNet": (lambda: models.resnet18(num_classes=4), pictures(2, 3, 32, 32), np.array([1, 3]), F.cross_entropy),
    "UNet1d": (lambda: models.UNet(1, 3, base_channels=2, depth=1, dims=1), pictures(2, 1, 8), pixels(3, 2, 8), F.cross_entropy),
    "PlainNet": (lambda: models.PlainNet(4, base_channels=2, kernel_size=1, dropout=0.0), pictures(2, 3, 32, 32), np.array([0, 2]),
                 F.cross_entropy),
    "FCN": (lambda: models.FCN(3, base_channels=2, kernel_size=1, dropout=0.0), pictures(1, 3, 32, 32), pixels(3, 1, 32, 32),
            F.cross_entropy),
    "SegNet": (lambda: models.SegNet(3, 3, base_channels=2, depth=2), pictures(2, 3, 8, 8), pixels(3, 2, 8, 8), F.cross_entropy),
    "HED": (lambda: models.HED(3, base_channels=2), pictures(1, 3, 32, 32), pixels(2, 1, 1, 32, 32) * 1.0, "loss"),
    "ConvAutoencoder": (lambda: models.ConvAutoencoder(1, 8, code=3, base_channels=2), pictures(2, 1, 8, 8), None, F.mse_loss),
    "Localizer": (lambda: models.Localizer(4, 16, base_channels=2, hidden=5, depth=2), pictures(2, 3, 16, 16),
                  {"labels": np.array([1, 2]), "boxes": np.array([[1.0, 2, 9, 8], [0, 0, 5, 5]])}, "loss"),
    "Captioner": (lambda: models.Captioner(WORDS, 16, base_channels=2, embedding=4, hidden=5, depth=2), pictures(2, 3, 16, 16),
                  WORDS.encode(["a car", "a red car"]), "loss"),
    "Colorizer": (lambda: models.Colorizer(base_channels=2), pictures(1, 1, 16, 16), pictures(1, 3, 16, 16), "loss"),
}


def stepped(model, x, target, criterion, device):
    """Loss and weights after a step."""
    model, x = copy.deepcopy(model).to(device), Tensor(x, device=device)
    criterion = getattr(model, criterion) if isinstance(criterion, str) else criterion
    loss = criterion(model(x), x if target is None else moved(target, device))
    loss.backward()
    optim.SGD(model.parameters(), lr=0.01).step()
    assert {p.device for p in model.parameters()} == {device}
    return loss.item(), {name: value.cpu().numpy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("name", CASES)
def test_a_step_of_each_network(name, device):
    make, x, target, criterion = CASES[name]
    manual_seed(1)
    model = make().to("float64")
    (loss, weights), (found, others) = stepped(model, x, target, criterion, "cpu"), stepped(model, x, target, criterion, device)
    np.testing.assert_allclose(found, loss, rtol=1e-6)
    for key, value in weights.items():
        np.testing.assert_allclose(others[key], value, rtol=1e-5, atol=1e-7, err_msg=key)


def test_captions_and_colours_of_a_device(device):
    manual_seed(1)
    captioner, colorizer = CASES["Captioner"][0](), CASES["Colorizer"][0]()
    x, grey = pictures(2, 3, 16, 16).astype("float32"), pictures(1, 1, 16, 16).astype("float32")
    expected, colours = captioner.caption(Tensor(x), beam=2, most=4), colorizer.colorize(grey)
    assert captioner.to(device).caption(Tensor(x, device=device), beam=2, most=4) == expected
    np.testing.assert_allclose(colorizer.to(device).colorize(Tensor(grey, device=device)), colours, atol=1e-3)
