"""Colours as classes: Lab by published values, bins there and back, the loss by its formula, lightness that is kept."""

import numpy as np
import pytest

from tinyvision import Tensor, data, manual_seed, optim
from tinyvision.gradcheck import check_network
from tinyvision.models import ColorBins, Colorizer, lab_to_rgb, rgb_to_lab

# sRGB and its Lab at D65, as printed in colour tables
KNOWN = [((0, 0, 0), (0, 0, 0)), ((1, 1, 1), (100, 0, 0)), ((1, 0, 0), (53.24, 80.09, 67.20)),
         ((0, 1, 0), (87.73, -86.18, 83.18)),
         ((0, 0, 1), (32.30, 79.19, -107.86)), ((1, 1, 0), (97.14, -21.55, 94.48)), ((0, 1, 1), (91.11, -48.09, -14.13)),
         ((1, 0, 1), (60.32, 98.23, -60.82)), ((0.5, 0.5, 0.5), (53.39, 0, 0))]


@pytest.mark.parametrize("rgb, lab", KNOWN, ids=str)
def test_lab_of_known_colours(rgb, lab):
    found = rgb_to_lab(np.array(rgb, float).reshape(3, 1, 1)).ravel()
    np.testing.assert_allclose(found, lab, atol=0.02)


def test_lab_there_and_back():
    x = np.random.default_rng(0).random((2, 3, 5, 4))
    np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(x)), x, atol=1e-7)
    assert rgb_to_lab(x.astype("float32")).dtype == np.float32
    assert lab_to_rgb(np.array([50.0, 200.0, 0.0]).reshape(3, 1, 1)).max() <= 1


def test_every_colour_has_a_bin_near():
    """No colour of sRGB is farther from a centre than half the diagonal of a bin."""
    for grid in (10, 20, 40):
        bins = ColorBins(grid)
        ab = rgb_to_lab(np.random.default_rng(0).random((1, 3, 60, 60)))[:, 1:]
        distance, _ = bins.near(ab, 1)
        assert distance.max() <= grid / np.sqrt(2) * 1.02                 # the cube's surface was sampled
    assert ColorBins(10).count == 262 and [0.0, 0.0] in ColorBins(10).centers.tolist()


def test_encoding():
    """Five bins with the weights of a Gaussian; on a centre that bin leads, and the mean comes back."""
    bins, rng = ColorBins(20), np.random.default_rng(0)
    ab = rng.uniform(-30, 30, (2, 2, 3, 4))
    soft = bins.encode(ab)
    assert soft.shape == (2, 76, 3, 4)
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)
    colour = ab[1, :, 2, 3]
    d2 = ((bins.centers - colour) ** 2).sum(axis=1)
    five = np.argsort(d2)[:5]
    right = np.zeros(76)
    right[five] = np.exp(-d2[five] / (2 * 10 ** 2))
    np.testing.assert_allclose(soft[1, :, 2, 3], right / right.sum(), atol=1e-6)
    np.testing.assert_allclose(bins.decode(bins.encode(bins.centers.T.reshape(1, 2, 76, 1)), 0)[0, :, :, 0].T, bins.centers)


def test_annealed_mean():
    """T = 1 is the mean, T = 0 the likeliest bin, and between them lies what is between."""
    bins = ColorBins(20)
    p = np.zeros((1, bins.count, 1, 1))
    i, j = (bins.centers.tolist().index(c) for c in ([60.0, 40.0], [-40.0, 0.0]))
    p[0, i], p[0, j] = 0.6, 0.4
    np.testing.assert_allclose(bins.decode(p, 1).ravel(), [0.6 * 60 - 0.4 * 40, 0.6 * 40])
    np.testing.assert_allclose(bins.decode(p, 0).ravel(), [60, 40])
    share = 0.6 ** (1 / 0.38) / (0.6 ** (1 / 0.38) + 0.4 ** (1 / 0.38))
    np.testing.assert_allclose(bins.decode(p).ravel(), share * np.array([60, 40]) + (1 - share) * np.array([-40, 0]))


def test_balance():
    """E[w] = 1 over the pixels; a bin without pixels weighs most; mix = 1 makes all alike."""
    bins, x = ColorBins(20), data.SceneColorization(3, 32).images
    weights = bins.balance(x)
    _, nearest = bins.near(rgb_to_lab(x)[:, 1:], 1)
    assert weights[nearest.ravel()].mean() == pytest.approx(1, rel=1e-9)
    share = np.bincount(nearest.ravel(), minlength=76) / nearest.size
    assert weights[share.argmax()] == weights.min() and weights[share == 0].max() == weights.max() > 10 * weights.min()
    np.testing.assert_allclose(bins.balance(x, mix=1), 1, rtol=1e-9)


def test_colorizer_counts():
    """Zhang's table: convolutions with biases, batch norms after the stages, one transposed convolution."""
    b, q = 4, 76
    def stage(a, c, n):
        return 9 * a * c + c + (n - 1) * (9 * c * c + c) + 2 * c
    stages = [(1, b, 2), (b, 2 * b, 2), (2 * b, 4 * b, 3), (4 * b, 8 * b, 3), *[(8 * b, 8 * b, 3)] * 3, (4 * b, 4 * b, 2)]
    right = sum(stage(*s) for s in stages) + 16 * 8 * b * 4 * b + 4 * b + (4 * b + 1) * q
    assert sum(p.size for p in Colorizer(base_channels=4).parameters()) == right


def test_colorizer_loss_by_hand():
    rng, model = np.random.default_rng(0), Colorizer(base_channels=1)
    images, logits = rng.random((2, 3, 8, 16)), rng.standard_normal((2, 76, 2, 4))
    model.bins.weights = rng.uniform(0.5, 3, 76)
    ab, total, weight = rgb_to_lab(images)[:, 1:], 0.0, 0.0
    for n in range(2):
        for i in range(2):
            for j in range(4):
                mean = ab[n, :, 4 * i:4 * i + 4, 4 * j:4 * j + 4].mean(axis=(1, 2))
                soft = model.bins.encode(mean.reshape(1, 2, 1, 1)).ravel()
                z = logits[n, :, i, j]
                w = model.bins.weights[soft.argmax()]
                total += w * (soft * (np.log(np.exp(z).sum()) - z)).sum()
                weight += w
    assert model.loss(Tensor(logits), images).item() == pytest.approx(total / weight, rel=1e-6)


def test_gradients_of_colorizer():
    manual_seed(0)
    images = np.random.default_rng(1).random((1, 3, 16, 16))
    model = Colorizer(ColorBins(60), 1)
    assert check_network(model, np.random.default_rng(0).random((1, 1, 16, 16)), lambda logits: model.loss(logits, images))


def test_colours_keep_the_lightness():
    """Whatever colours the network chooses, L is the grey picture's, unless sRGB lacks the colour."""
    manual_seed(0)
    model, grey = Colorizer(base_channels=2), np.random.default_rng(0).uniform(0.3, 0.7, (2, 1, 16, 24)).astype("float32")
    y = model.colorize(grey, temperature=1)
    assert y.shape == (2, 3, 16, 24) and model.training and model.stages[0][-1].training
    np.testing.assert_allclose(rgb_to_lab(y)[:, 0], rgb_to_lab(np.repeat(grey, 3, axis=1))[:, 0], atol=0.1)


def test_colorizer_learns_two_colours():
    """Bright pictures are red, dark ones blue: after a few steps it says so."""
    manual_seed(0)
    grey = np.full((8, 1, 8, 8), 0.6, np.float32)
    grey[4:] = 0.3
    images = np.repeat(grey, 3, axis=1)
    images[:4, 1:] *= 0.3
    images[4:, :2] *= 0.3
    model = Colorizer(base_channels=8)
    optimizer = optim.Adam(model.parameters(), lr=0.003)  # at 0.02 it depends on rounding whether the running statistics keep up
    for _ in range(100):
        optimizer.zero_grad()
        model.loss(model(Tensor(grey)), images).backward()
        optimizer.step()
    y = model.colorize(grey)
    assert (y[:4, 0] > y[:4, 2] + 0.2).all() and (y[4:, 2] > y[4:, 0] + 0.15).all()


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "rgb_to_lab: pictures must be floats", lambda: rgb_to_lab(np.zeros((1, 4, 4)))),
    (ValueError, "ColorBins: grid must be above 0, got 0", lambda: ColorBins(0)),
    (ValueError, r"ColorBins: colours must be \(N, 2, H, W\)", lambda: ColorBins().encode(np.zeros((1, 3, 2, 2)))),
    (ValueError, r"decode: probabilities must be \(N, 76, H, W\)", lambda: ColorBins().decode(np.zeros((1, 3, 2, 2)))),
    (ValueError, "balance: mix must be from 0 to 1, got 2", lambda: ColorBins().balance(np.zeros((1, 3, 2, 2)), mix=2)),
    (ValueError, r"Colorizer: height and width must be multiples of 8",
     lambda: Colorizer(base_channels=1)(Tensor(np.zeros((1, 1, 8, 12), "f4")))),
    (ValueError, r"Colorizer.loss: images must be \(1, 3, 8, 8\)",
     lambda: Colorizer(base_channels=1).loss(Tensor(np.zeros((1, 76, 2, 2))), np.zeros((1, 3, 16, 16)))),
    (TypeError, "Colorizer: bins must be a ColorBins, got int", lambda: Colorizer(20)),
])
def test_colours_refuse(error, words, call):
    with pytest.raises(error, match=words):
        call()
