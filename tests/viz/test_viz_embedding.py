"""Maps of embeddings show every point where it is, and thumbnails that cover no other; rows of neighbours show the right ones."""

import itertools

import numpy as np
import pytest

from tinyvision import Tensor
from tinyvision.viz import embedding_map, neighbour_grid
from tinyvision.viz.style import COLORS, color


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def test_points_keep_their_shape():
    """Shifted and scaled, both axes alike, into the square; coloured by class."""
    points, labels = drawn(20, 2) * [4, 1] - 7, np.arange(20) % 3
    figure = embedding_map(points, labels=labels, classes=["a", "b", "c"])
    (dots,) = figure.axes[0].collections
    shown = np.asarray(dots.get_offsets())
    assert shown.min() >= 0 and shown.max() <= 1
    ratio = (shown[1:] - shown[0]) / (points[1:] - points[0])
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-6)
    np.testing.assert_allclose(dots.get_facecolors()[:, :3], [color(int(k)) for k in labels])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "c"]


def test_thumbnails_stand_at_their_points_and_apart():
    points, images = drawn(60, 2), drawn(60, 3, 6, 9, seed=1).astype(np.float32)
    axes = embedding_map(points, Tensor(images), thumbnails=25).axes[0]
    (dots,) = axes.collections
    where = np.asarray(dots.get_offsets())
    boxes = []
    for shown in axes.images:
        left, right, low, high = shown.get_extent()
        middle = np.array([left + right, low + high]) / 2
        i = int(np.abs(where - middle).sum(axis=1).argmin())
        np.testing.assert_allclose(where[i], middle, atol=1e-9)
        np.testing.assert_allclose(np.asarray(shown.get_array()), images[i].transpose(1, 2, 0), atol=1e-6)
        assert (high - low) / (right - left) == pytest.approx(6 / 9)
        boxes.append((left, right, low, high))
    assert 5 < len(boxes) <= 25
    for a, b in itertools.combinations(boxes, 2):
        assert a[1] <= b[0] + 1e-9 or b[1] <= a[0] + 1e-9 or a[3] <= b[2] + 1e-9 or b[3] <= a[2] + 1e-9
    assert len(embedding_map(points, images, thumbnails=0).axes[0].images) == 0


def test_frames_have_the_colours_of_the_classes():
    axes = embedding_map(np.array([[0.0, 0], [1, 1]]), drawn(2, 1, 4, 4), labels=[0, 1]).axes[0]
    from matplotlib.colors import to_hex
    assert [to_hex(patch.get_edgecolor()).upper() for patch in axes.patches] == [COLORS[0].upper(), COLORS[1].upper()]


def test_points_in_one_place():
    """All vectors alike: one picture, in the middle."""
    axes = embedding_map(np.zeros((5, 2)), drawn(5, 1, 4, 4)).axes[0]
    assert len(axes.images) == 1 and np.mean(axes.images[0].get_extent()) == pytest.approx(0.5)


def test_rows_of_neighbours():
    """Queries first, then their neighbours in order; another class has a thick frame, the distance stands beside."""
    queries, gallery = drawn(2, 3, 5, 5), drawn(4, 3, 5, 5, seed=1)
    numbers = np.array([[2, 0, 3], [1, 3, 0]])
    figure = neighbour_grid(queries, gallery, numbers, labels=[0, 1], gallery_labels=[0, 1, 1, 0], classes=["cat", "dog"],
                            distances=numbers / 10)
    (axes,) = figure.axes
    right = [queries[0], *gallery[[2, 0, 3]], queries[1], *gallery[[1, 3, 0]]]
    for shown, image in zip(axes.images, right, strict=True):
        np.testing.assert_allclose(np.asarray(shown.get_array()), image.transpose(1, 2, 0), atol=1e-6)
    words = ["cat?", "dog 0.20", "cat 0.00", "cat 0.30", "dog?", "dog 0.10", "cat 0.30", "cat 0.00"]
    assert [text.get_text() for text in axes.texts] == words
    assert [patch.get_linewidth() > 1 for patch in axes.patches] == [False, True, False, False, False, False, True, True]


@pytest.mark.parametrize("words, call", [
    (r"embedding_map: points must be \(N, 2\), finite, got shape \(5, 3\)", lambda: embedding_map(drawn(5, 3))),
    ("embedding_map: images must be one for each of the 5 pictures, got 4",
     lambda: embedding_map(drawn(5, 2), drawn(4, 1, 3, 3))),
    ("embedding_map: labels must be one for each", lambda: embedding_map(drawn(5, 2), labels=[0])),
    ("embedding_map: zoom must be above 0", lambda: embedding_map(drawn(5, 2), zoom=0)),
    (r"neighbour_grid: numbers must be integers \(N, k\) for 2 queries",
     lambda: neighbour_grid(drawn(2, 1, 3, 3), drawn(4, 1, 3, 3), [[1]])),
    (r"neighbour_grid: numbers must lie in 0..3, got 0 to 4",
     lambda: neighbour_grid(drawn(1, 1, 3, 3), drawn(4, 1, 3, 3), [[0, 4]])),
    ("labels and gallery_labels go together", lambda: neighbour_grid(drawn(1, 1, 3, 3), drawn(4, 1, 3, 3), [[0]], labels=[1])),
    (r"distances must be \(1, 2\)", lambda: neighbour_grid(drawn(1, 1, 3, 3), drawn(4, 1, 3, 3), [[0, 1]], distances=[[1.0]])),
])
def test_embedding_pictures_refuse(words, call):
    with pytest.raises(ValueError, match=words):
        call()
