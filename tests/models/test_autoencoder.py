"""The convolutional autoencoder: counts, shapes, gradients, and that the narrow place is narrow."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, manual_seed, models, no_grad, optim
from tinyvision.gradcheck import check_network


@pytest.mark.parametrize("unpooling", ["nearest", "transpose"])
def test_autoencoder_counts(unpooling):
    def conv(a, b):
        return 9 * a * b + 2 * b
    model = models.ConvAutoencoder(3, (8, 12), code=5, base_channels=4, depth=2, unpooling=unpooling)
    flat = 8 * 2 * 3
    right = conv(3, 4) + conv(4, 8) + (flat + 1) * 5 + 6 * flat + conv(8, 4) + conv(4, 4) + 9 * 4 * 3 + 3
    right += (4 * 8 * 8 + 8 + 4 * 4 * 4 + 4) * (unpooling == "transpose")
    assert sum(p.size for p in model.parameters()) == right


@pytest.mark.parametrize("unpooling", ["nearest", "transpose"])
def test_autoencoder_shapes_and_gradients(unpooling):
    manual_seed(0)
    model = models.ConvAutoencoder(2, (4, 8), code=3, base_channels=2, depth=2, unpooling=unpooling)
    x = np.random.default_rng(0).random((2, 2, 4, 8))
    assert check_network(model, x)
    y = model(Tensor(x.astype("float32")))
    assert y.shape == (2, 2, 4, 8) and 0 < y.data.min() and y.data.max() < 1
    assert model.encode(Tensor(x.astype("float32"))).shape == (2, 3)


def test_two_numbers_are_enough_for_two_numbers():
    """Pictures that differ in two ways only pass through a code of 2; through a code of 1 much is lost."""
    rng = np.random.default_rng(0)
    up, along = np.mgrid[0:8, 0:8] / 7
    x = np.stack([a * up + b * along for a, b in rng.uniform(0.1, 0.45, (32, 2))])[:, None].astype(np.float32)

    def error(code):
        manual_seed(1)
        model = models.ConvAutoencoder(1, 8, code, base_channels=4, depth=1)
        optimizer = optim.Adam(model.parameters(), lr=0.02)
        for _ in range(200):
            optimizer.zero_grad()
            F.mse_loss(model(Tensor(x)), Tensor(x)).backward()
            optimizer.step()
        with no_grad():
            return ((model.eval()(Tensor(x)).data - x) ** 2).mean() / x.var()
    wide, narrow = error(2), error(1)
    assert wide < 0.05 and narrow > 2 * wide


@pytest.mark.parametrize("words, call", [
    (r"size must be multiples of 2\^depth = 4, got \(28, 30\)", lambda: models.ConvAutoencoder(1, (28, 30))),
    ("unpooling must be one of 'nearest', 'transpose', got 'max'", lambda: models.ConvAutoencoder(1, 28, unpooling="max")),
    (r"pictures must be of size \(8, 8\), got \(16, 16\)",
     lambda: models.ConvAutoencoder(1, 8)(Tensor(np.zeros((1, 1, 16, 16), "f4")))),
    (r"codes must be \(N, 32\), got shape \(2, 3\)", lambda: models.ConvAutoencoder(1, 8).decode(Tensor(np.zeros((2, 3), "f4")))),
])
def test_autoencoder_refuses(words, call):
    with pytest.raises(ValueError, match="ConvAutoencoder: .*" + words):
        call()
