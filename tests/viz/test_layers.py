"""Filters, feature maps and statistics: the tiles hold the numbers, the titles say what was left out."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, manual_seed, models, nn
from tinyvision.train import LayerStatistics
from tinyvision.viz import feature_maps, filters, layer_statistics


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def mosaic(figure):
    return np.asarray(figure.axes[0].images[0].get_array())


def test_colour_filters_are_pictures_around_grey():
    w = draw(0, 5, 3, 4, 4)
    shown = mosaic(filters(w))
    for i in range(5):                                    # three in a row
        top, left = i // 3 * 5, i % 3 * 5
        tile = shown[top:top + 4, left:left + 4]
        np.testing.assert_allclose(tile, (w[i] / np.abs(w[i]).max() + 1).transpose(1, 2, 0) / 2)
    together = mosaic(filters(w, scale="all"))
    np.testing.assert_allclose(together[:4, :4], (w[0] / np.abs(w).max() + 1).transpose(1, 2, 0) / 2)


def test_deeper_filters_have_a_row_per_filter_and_a_column_per_channel():
    w = draw(0, 4, 6, 3, 3)
    figure = filters(w, scale="all")
    shown = np.ma.filled(np.ma.asarray(mosaic(figure)), np.nan)
    for o in range(4):
        for c in range(6):
            np.testing.assert_allclose(shown[4 * o:4 * o + 3, 4 * c:4 * c + 3], w[o, c] / np.abs(w).max())
    assert figure.axes[0].get_title() == "4 filters of 6 x 3 x 3" and figure.axes[0].get_xlabel().startswith("channel")
    assert figure.axes[1].get_ylabel() == "weight / largest of all"


def test_what_is_left_out_is_said():
    assert filters(draw(0, 100, 40, 3, 3), most=9, channels=5).axes[0].get_title() == (
        "100 filters of 40 x 3 x 3, the first 9, of each the first 5 channels")
    assert feature_maps(draw(0, 70, 4, 4)).axes[0].get_title() == "70 channels of 4 x 4, 0 of them zero everywhere, the first 64"


def test_layers_signals_and_zeros():
    assert filters(nn.Conv2d(1, 8, 5)).axes[0].get_title() == "8 filters of 1 x 5 x 5"
    assert filters(nn.Conv1d(4, 8, 5)).axes[0].get_title() == "8 filters of 4 x 1 x 5"
    assert not mosaic(filters(np.zeros((2, 1, 3, 3))))[:3, :3].any()


def test_feature_maps():
    x = np.maximum(draw(0, 1, 7, 5, 6), 0)
    x[0, 2] = 0
    figure = feature_maps(Tensor(x))
    assert figure.axes[0].get_title() == "7 channels of 5 x 6, 1 of them zero everywhere"
    np.testing.assert_allclose(mosaic(figure)[:5, :6], x[0, 0])
    assert figure.axes[0].images[0].get_clim() == (0, x.max())
    signed = feature_maps(draw(1, 3, 4, 4)).axes[0].images[0].get_clim()
    assert signed[0] == -signed[1]
    each = mosaic(feature_maps(x[0], scale="each"))[:5, :6]
    np.testing.assert_allclose(each, x[0, 0] / x[0, 0].max())


def test_refusals():
    with pytest.raises(ValueError, match=r"filters: weight must be \(O, C, KH, KW\), got shape \(10, 84\)"):
        filters(np.zeros((10, 84)))
    with pytest.raises(ValueError, match="filters: scale must be 'each' or 'all', got 'some'"):
        filters(np.zeros((1, 1, 2, 2)), scale="some")
    with pytest.raises(ValueError, match=r"features must be those of one picture, \(C, H, W\), got shape \(2, 3, 4, 4\)"):
        feature_maps(np.zeros((2, 3, 4, 4)))
    with pytest.raises(ValueError, match="feature_maps: scale must be"):
        feature_maps(np.zeros((3, 4, 4)), scale=1)
    with pytest.raises(ValueError, match="layer_statistics: nothing was seen yet"):
        layer_statistics(LayerStatistics(nn.Linear(2, 2)))


def test_statistics_stand_layer_by_layer():
    manual_seed(0)
    model = models.LeNet5(classic=False)
    x = Tensor(np.random.default_rng(0).random((8, 1, 28, 28), np.float32))
    with LayerStatistics(model) as watch:
        F.cross_entropy(model(x), Tensor(np.arange(8))).backward()
        watch.step()
    means, shares, gradients, ratios = layer_statistics(watch, "a title").axes
    assert [label.get_text() for label in means.get_yticklabels()] == [row.name for row in watch.layers]
    names = [f"{layer}.weight" for layer in ("conv1", "conv2", "fc1", "fc2", "fc3")]
    assert [label.get_text() for label in ratios.get_yticklabels()] == names
    np.testing.assert_allclose(means.lines[0].get_xdata().astype(float), [row.mean for row in watch.layers])
    np.testing.assert_allclose(shares.lines[0].get_xdata(), [100 * row.zeros for row in watch.layers])
    assert [text.get_text() for text in shares.get_legend().get_texts()] == ["zeros", "dead units"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in gradients.lines], [row.gradient for row in watch.layers])
    assert [line.get_marker() for line in ratios.lines[:5]] == ["<"] * 5          # no step was made: ratio 0
    assert means.get_ylim()[0] > means.get_ylim()[1]                              # the input is at the top


def test_saturation_is_shown():
    with LayerStatistics(nn.Sequential(nn.Linear(3, 4), nn.Tanh())) as watch:
        watch.model(Tensor(np.ones((2, 3), np.float32)))
    legend = layer_statistics(watch).axes[1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["zeros", "saturated"]
