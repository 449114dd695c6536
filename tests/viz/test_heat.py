"""Maps over pictures: the right map over the right picture, transparent where it says nothing, and refusals."""

import matplotlib
import numpy as np
import pytest

from tinyvision import Tensor
from tinyvision.viz import heat_maps


def draw(seed, *shape):
    return np.random.default_rng(seed).random(shape)


def test_each_map_lies_over_its_picture():
    images, first, second = draw(0, 2, 3, 6, 8), draw(1, 2, 6, 8), draw(2, 2, 6, 8)
    figure = heat_maps(Tensor(images), {"a": Tensor(first), "b": second}, titles=["one", "two"], title="all")
    axes = np.array(figure.axes).reshape(2, 3)
    for row in range(2):
        np.testing.assert_allclose(axes[row, 0].images[0].get_array(), images[row].transpose(1, 2, 0))
        assert len(axes[row, 0].images) == 1
        for column, maps in ((1, first), (2, second)):
            under, over = axes[row, column].images
            np.testing.assert_allclose(under.get_array(), np.tensordot([0.299, 0.587, 0.114], images[row], 1))
            values = maps[row] / maps[row].max()
            np.testing.assert_allclose(over.get_array()[..., :3], matplotlib.colormaps["inferno"](values)[..., :3])
            np.testing.assert_allclose(over.get_array()[..., 3], 0.8 * np.sqrt(values))
    assert [a.get_title() for a in axes[0]] == ["picture", "a", "b"]
    assert [a.get_ylabel() for a in axes[:, 0]] == ["one", "two"] and figure.get_suptitle() == "all"


def test_signed_maps_have_two_colours_and_one_zero():
    maps = np.zeros((1, 4, 4))
    maps[0, 0, 0], maps[0, 3, 3] = -1.0, 2.0
    under, over = heat_maps(np.zeros((1, 1, 4, 4)), maps).axes[1].images
    colors = np.asarray(over.get_array())
    assert (colors[1, 1, 3], colors[3, 3, 3]) == (0, 0.8) and np.asarray(under.get_array()).min() > 0.5
    assert colors[0, 0, 0] > colors[0, 0, 2] and colors[3, 3, 2] > colors[3, 3, 1]             # orange, and purple


def test_one_scale_for_each_or_for_all():
    maps = np.stack([np.full((3, 3), 1.0), np.full((3, 3), 4.0)])
    each, together = ([axes.images[1].get_array()[0, 0, 3] for axes in figure.axes[1::2]] for figure in
                      (heat_maps(draw(0, 2, 1, 3, 3), maps, scale=scale) for scale in ("each", "all")))
    np.testing.assert_allclose(each, [0.8, 0.8])
    np.testing.assert_allclose(together, [0.4, 0.8])


def test_a_single_picture_zeros_and_the_map_alone():
    figure = heat_maps(draw(0, 3, 5, 5), np.zeros((5, 5)), overlay=False)
    over = figure.axes[1].images[-1].get_array()
    np.testing.assert_allclose(over[..., 3], 1)
    np.testing.assert_allclose(over[..., :3], matplotlib.colormaps["inferno"](np.zeros((5, 5)))[..., :3])


@pytest.mark.parametrize("maps, options, match", [
    (np.zeros((3, 4, 4)), {}, "maps must be one for each of the 2 pictures, got 3"),
    ({"a": np.zeros((1, 4, 4))}, {}, "got 1 of 'a'"),
    (np.zeros((2, 4, 5)), {}, r"a map must have the sizes of its picture \(4, 4\), got shape \(4, 5\)"),
    (np.zeros((2, 1, 4, 4)), {}, r"got shape \(1, 4, 4\). Of an attribution \(N, C, H, W\) take interpret.heat"),
    (np.full((2, 4, 4), np.inf), {}, "must be finite, this one holds inf"),
    ({}, {}, "at least one map"),
    (np.zeros((2, 4, 4)), {"titles": "abc"}, "titles must be one for each of the 2 pictures, got 3"),
    (np.zeros((2, 4, 4)), {"scale": "row"}, "scale must be one of 'each', 'all', got 'row'")])
def test_wrong_maps(maps, options, match):
    with pytest.raises(ValueError, match=match):
        heat_maps(draw(0, 2, 1, 4, 4), maps, **options)
