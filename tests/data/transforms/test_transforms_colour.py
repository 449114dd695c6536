"""Colours, blur, noise and holes: against colorsys, Pillow, SciPy and the definitions."""

import colorsys
import re

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import pytest
import scipy.ndimage

from tinyvision.data.transforms import (ColorJitter, GaussianBlur, GaussianNoise, Grayscale, Normalize, RandomErasing,
                                        RandomGrayscale)

RANDOM = np.random.default_rng(11)
IMAGE = RANDOM.random((3, 24, 31), np.float32)
GREY = IMAGE[:1]
BYTES = (IMAGE.transpose(1, 2, 0) * 255).round().astype(np.uint8)


@pytest.mark.parametrize("what, enhance", [("brightness", PIL.ImageEnhance.Brightness), ("contrast", PIL.ImageEnhance.Contrast),
                                           ("saturation", PIL.ImageEnhance.Color)])
@pytest.mark.parametrize("factor", [0, 0.3, 1, 1.7])
def test_jitter_is_pillows(what, enhance, factor):
    """Pillow's pictures hold bytes, hence the tolerance."""
    expected = np.asarray(enhance(PIL.Image.fromarray(BYTES)).enhance(factor)).transpose(2, 0, 1) / 255
    image = ColorJitter(**{what: (factor, factor)})(np.float32(BYTES.transpose(2, 0, 1) / 255))
    np.testing.assert_allclose(image, expected, atol=2.5 / 255)
    assert image.min() >= 0 and image.max() <= 1


@pytest.mark.parametrize("shift", [-0.5, -0.21, 0, 0.1, 1 / 3, 0.5])
def test_hue_is_colorsys(shift):
    special = np.array([[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1],
                        [0.2, 0.2, 0.7], [0.7, 0.2, 0.7]])
    colours = np.concatenate([special, RANDOM.random((200, 3))])
    expected = []
    for r, g, b in colours:
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        expected.append(colorsys.hsv_to_rgb((h + shift) % 1, s, v))
    new = ColorJitter(hue=(shift, shift))(colours.T[:, None])
    np.testing.assert_allclose(new[:, 0].T, expected, atol=1e-12)


def test_hue_goes_round():
    """Half a turn and half a turn, or four quarters, are none; so are a half turn forward and one back."""
    quarter = ColorJitter(hue=(0.25, 0.25))
    turned = IMAGE
    for _ in range(4):
        turned = quarter(turned)
    np.testing.assert_allclose(turned, IMAGE, atol=2e-6)
    np.testing.assert_allclose(ColorJitter(hue=(0.5, 0.5))(IMAGE), ColorJitter(hue=(-0.5, -0.5))(IMAGE), atol=1e-6)


def test_jitter_of_grey_pictures():
    t = ColorJitter(saturation=0.5, hue=0.5)
    np.testing.assert_allclose(t(GREY), GREY, atol=1e-6)
    three = np.repeat(GREY, 3, 0)
    np.testing.assert_allclose(ColorJitter(0.5, 0.5, 0.5, 0.1)(three, rng=1)[0], ColorJitter(0.5, 0.5, 0.5, 0.1)(GREY, rng=1)[0],
                               atol=2e-6)
    np.testing.assert_allclose(ColorJitter(contrast=(0, 0))(GREY), GREY.mean(), atol=1e-6)
    assert ColorJitter()(IMAGE) is IMAGE


def test_jitter_ranges_and_order():
    """Factors are even within 1 - f..1 + f, never below 0, and the order of the steps changes."""
    half = np.full((3, 1, 1), 0.25)
    factors = [ColorJitter(0.4)(half, rng=i)[0, 0, 0] / 0.25 for i in range(300)]
    assert 0.6 <= min(factors) < 0.63 and 1.37 < max(factors) <= 1.4 and abs(np.mean(factors) - 1) < 0.05
    factors = [ColorJitter(3)(half, rng=i)[0, 0, 0] / 0.25 for i in range(300)]
    assert 0 <= min(factors) < 0.1 and 3.9 < max(factors) <= 4
    two = np.array([[[0.2, 0.9]]])
    bright_first = np.clip(0.5 * np.clip(2 * two, 0, 1) + 0.5 * np.clip(2 * two, 0, 1).mean(), 0, 1)
    bright_last = np.clip(2 * (0.5 * two + 0.5 * two.mean()), 0, 1)
    t = ColorJitter((2, 2), (0.5, 0.5), generator=0)
    results = [t(two) for _ in range(60)]
    firsts, lasts = [sum(np.allclose(r, e) for r in results) for e in (bright_first, bright_last)]
    assert firsts + lasts == 60 and min(firsts, lasts) > 15


def test_grey():
    expected = np.asarray(PIL.Image.fromarray(BYTES).convert("L")) / 255
    exact = np.float32(BYTES.transpose(2, 0, 1) / 255)
    np.testing.assert_allclose(Grayscale()(exact)[0], expected, atol=1.01 / 255)
    np.testing.assert_array_equal(Grayscale(3)(exact), np.repeat(Grayscale()(exact), 3, 0))
    np.testing.assert_array_equal(RandomGrayscale(1)(exact), Grayscale(3)(exact))
    np.testing.assert_array_equal(RandomGrayscale(1)(GREY), GREY)
    np.testing.assert_allclose(Grayscale()(np.repeat(GREY, 3, 0)), GREY, atol=1e-6)
    t = RandomGrayscale(0.3, generator=0)
    assert 60 < sum(t(IMAGE) is not IMAGE for _ in range(300)) < 120
    assert RandomGrayscale(0)(IMAGE) is IMAGE


def test_normalize():
    mean, std = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
    t = Normalize(np.array(mean), tuple(std))
    expected = np.stack([(IMAGE[c] - mean[c]) / std[c] for c in range(3)])
    np.testing.assert_allclose(t(IMAGE), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(t.inverse()(t(IMAGE)), IMAGE, atol=1e-6)
    np.testing.assert_allclose(t(t.inverse()(IMAGE)), IMAGE, atol=1e-6)
    own = Normalize(IMAGE.mean((1, 2)), IMAGE.std((1, 2)))(IMAGE)
    np.testing.assert_allclose(own.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(own.std((1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(Normalize([0.5], [0.5])(IMAGE), 2 * IMAGE - 1, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_blur_is_scipys(sigma):
    """With a window of 2 r + 1, SciPy's filter cut off at r."""
    for r in 1, 4, 9:
        expected = scipy.ndimage.gaussian_filter(IMAGE, (0, sigma, sigma), mode="mirror", radius=(0, r, r))
        np.testing.assert_allclose(GaussianBlur(2 * r + 1, (sigma, sigma))(IMAGE), expected, atol=2e-6)
        np.testing.assert_allclose(GaussianBlur(2 * r + 1, sigma)(IMAGE), expected, atol=2e-6)
    expected = scipy.ndimage.gaussian_filter(IMAGE, (0, sigma, sigma), mode="mirror", radius=(0, 3, 1))
    np.testing.assert_allclose(GaussianBlur((3, 7), sigma)(IMAGE), expected, atol=2e-6)


def test_blur_keeps_the_sum():
    spot = np.zeros((1, 41, 41))
    spot[0, 15:25, 15:25] = RANDOM.random((10, 10))
    blurred = GaussianBlur(21)(spot, rng=3)
    np.testing.assert_allclose(blurred.sum(), spot.sum(), rtol=1e-12)
    np.testing.assert_allclose(GaussianBlur(9)(np.full((1, 7, 5), 0.3)), 0.3, rtol=1e-12)
    np.testing.assert_array_equal(GaussianBlur(1)(IMAGE), IMAGE)


def test_blur_widths():
    """The spread of a blurred point is its sigma, drawn evenly from the range."""
    point = np.zeros((1, 1, 61))
    point[0, 0, 30] = 1
    t, d = GaussianBlur(41, (1.0, 4.0), generator=0), np.arange(61) - 30
    widths = [np.sqrt((t(point)[0, 0] * d ** 2).sum()) for _ in range(200)]
    assert 0.99 < min(widths) < 1.1 and 3.9 < max(widths) < 4.01 and abs(np.mean(widths) - 2.5) < 0.2


def test_noise():
    half = np.full((3, 100, 100), 0.5)
    added = GaussianNoise(0.1, 0.05, clip=False)(half, rng=0) - half
    assert abs(added.mean() - 0.1) < 0.002 and abs(added.std() - 0.05) < 0.001
    assert abs(np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1]) < 0.04
    clipped = GaussianNoise(sigma=2)(half, rng=0)
    assert clipped.min() == 0 and clipped.max() == 1
    np.testing.assert_array_equal(clipped, np.clip(GaussianNoise(sigma=2, clip=False)(half, rng=0), 0, 1))
    np.testing.assert_array_equal(GaussianNoise(sigma=0)(IMAGE), IMAGE)


def test_erasing_area_and_ratio():
    t = RandomErasing(p=1, scale=(0.05, 0.2), ratio=(0.5, 2.0), value=-1, generator=0)
    areas, ratios, centres = [], [], []
    for _ in range(400):
        gone = t(np.ones((2, 80, 60)))
        np.testing.assert_array_equal(gone[0], gone[1])
        y, x = np.nonzero(gone[0] == -1)
        h, w = np.ptp(y) + 1, np.ptp(x) + 1
        assert h * w == len(y) and (gone[0] == 1).sum() == 4800 - h * w                  # a full rectangle
        areas.append(h * w / 4800)
        ratios.append(h / w)
        centres.append([(y.mean() + 0.5) / 80, (x.mean() + 0.5) / 60])
    assert 0.045 < min(areas) < 0.06 and 0.19 < max(areas) < 0.21 and abs(np.mean(areas) - 0.125) < 0.01
    assert 0.45 < min(ratios) < 0.56 and 1.8 < max(ratios) < 2.2 and abs(np.log(ratios).mean()) < 0.06
    np.testing.assert_allclose(np.mean(centres, 0), 0.5, atol=0.04)


def test_erasing_values_and_probability():
    image = np.zeros((3, 50, 50))
    gone = RandomErasing(1, value=(0.1, 0.2, 0.3))(image, rng=0)
    assert [np.unique(channel).tolist() for channel in gone] == [[0, 0.1], [0, 0.2], [0, 0.3]]
    noise = RandomErasing(1, scale=(0.3, 0.3), value="random")(image, rng=0)
    values = noise[noise != 0]
    assert len(values) > 2000 and abs(values.mean()) < 0.1 and abs(values.std() - 1) < 0.1
    t = RandomErasing(0.25, value=1, generator=0)
    assert 60 < sum(t(image) is not image for _ in range(400)) < 140
    assert RandomErasing(0)(image) is image
    assert RandomErasing(1, scale=(1, 1))(image) is image                                # no such rectangle fits


WRONG = [
    (ValueError, lambda: ColorJitter(-0.5), "ColorJitter: brightness must be at least 0"),
    (ValueError, lambda: ColorJitter(contrast=(-1, 1)), "ColorJitter: contrast must be (least, greatest), between 0 and inf"),
    (ValueError, lambda: ColorJitter(hue=0.6), "ColorJitter: hue must be (least, greatest), between -0.5 and 0.5"),
    (TypeError, lambda: ColorJitter(saturation="much"), "ColorJitter: saturation must be a number or a sequence of numbers"),
    (ValueError, lambda: ColorJitter()(IMAGE[:2]), "ColorJitter: a picture must have 1 channel, grey, or 3, red, green and blu"),
    (ValueError, lambda: RandomGrayscale(0)(IMAGE[:2]), "RandomGrayscale: a picture must have 1 channel"),
    (ValueError, lambda: Grayscale(2), "Grayscale: num_output_channels must be 1 or 3, got 2"),
    (ValueError, lambda: Normalize([0, 0], [1]), "mean and std must have one number per channel, std positive, got [0.0, 0.0]"),
    (ValueError, lambda: Normalize([0], [0]), "A channel that never changes has std 0: leave it out"),
    (TypeError, lambda: Normalize([np.nan], [1]), "Normalize: mean must be a number or a sequence of numbers, got [nan]"),
    (ValueError, lambda: Normalize([0, 0], [1, 1])(IMAGE), "Normalize: mean and std must have one number per channel, got 2 fo"),
    (ValueError, lambda: GaussianBlur(4), "GaussianBlur: kernel_size must be odd, to have a middle, got 4"),
    (ValueError, lambda: GaussianBlur(0), "GaussianBlur: kernel_size must be one number or two, of at least 1, got 0"),
    (ValueError, lambda: GaussianBlur(3, sigma=0), "GaussianBlur: sigma must be (least, greatest), between 1e-06 and inf"),
    (ValueError, lambda: GaussianNoise(sigma=-1), "GaussianNoise: sigma must be at least 0"),
    (TypeError, lambda: GaussianNoise(clip=1), "GaussianNoise: clip must be True or False, got 1"),
    (ValueError, lambda: RandomErasing(2), "RandomErasing: p must be a probability from 0 to 1, got 2"),
    (ValueError, lambda: RandomErasing(scale=(0.5, 2)), "RandomErasing: scale must be (least, greatest), between 0 and 1"),
    (ValueError, lambda: RandomErasing(ratio=(2, 1)), "RandomErasing: ratio must be (least, greatest)"),
    (TypeError, lambda: RandomErasing(value="noise"), "RandomErasing: value must be a number or a sequence of numbers, got 'no"),
    (ValueError, lambda: RandomErasing(0, value=(1, 2))(IMAGE), "RandomErasing: value must be one number or one per channel, g"),
]


@pytest.mark.parametrize("error, call, message", WRONG, ids=[message[:40] for _, _, message in WRONG])
def test_errors(error, call, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
