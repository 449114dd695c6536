"""Grids, boxes and masks show what they are given, inside the picture, and refuse what they cannot mean."""

import io

import numpy as np
import pytest
from PIL import Image

from tinyvision import Tensor
from tinyvision.viz import detections, image_grid, segmentation
from tinyvision.viz.style import COLORS, as_picture, color, shortened


def rendered(figure, dpi=100):
    """The figure as an array (H, W, 3) of bytes."""
    file = io.BytesIO()
    figure.savefig(file, dpi=dpi, format="png")
    return np.asarray(Image.open(file).convert("RGB"))


def draw(seed, *shape):
    return np.random.default_rng(seed).random(shape, np.float32)


def test_grid_holds_every_picture_in_reading_order():
    images = draw(0, 7, 3, 6, 9)
    figure = image_grid(Tensor(images), titles=range(7), columns=3)
    (axes,) = figure.axes
    for shown, image in zip(axes.images, images, strict=True):
        np.testing.assert_allclose(shown.get_array(), image.transpose(1, 2, 0), atol=1e-6)
    places = [(round(s.get_extent()[3], 3), round(s.get_extent()[0], 3)) for s in axes.images]
    assert places == sorted(places) and len({row for row, _ in places}) == 3
    extent = axes.images[0].get_extent()
    np.testing.assert_allclose((extent[1] - extent[0]) / (extent[2] - extent[3]), 9 / 6)
    assert [text.get_text() for text in axes.texts] == list("0123456")


def test_grid_of_pictures_of_several_sizes_and_kinds():
    images = [draw(0, 1, 5, 5), draw(1, 3, 4, 8), (255 * draw(2, 3, 6, 2)).astype(np.uint8), draw(3, 7, 7)]
    figure = image_grid(images)
    shown = [np.asarray(s.get_array()) for s in figure.axes[0].images]
    np.testing.assert_allclose(shown[2], images[2].transpose(1, 2, 0) / 255)
    np.testing.assert_allclose(shown[0], images[0][0], atol=1e-6)
    assert len(image_grid(draw(0, 3, 8, 8)).axes[0].images) == 1                  # one picture


def test_marked_pictures_stand_out():
    figure = image_grid(draw(0, 3, 1, 5, 5), titles=["a", "b", "c"], marked=[False, True, False])
    frames, texts = figure.axes[0].patches, figure.axes[0].texts
    assert [frame.get_linewidth() > 2 for frame in frames] == [False, True, False]
    assert [text.get_fontweight() for text in texts] == ["normal", "bold", "normal"]


@pytest.mark.parametrize("size", [0.8, 1.3, 5.0])
def test_titles_stand_between_the_pictures(size):
    figure = image_grid(draw(0, 4, 1, 5, 5), titles=["one", "two", "three", "gjpq"], columns=2, size=size)
    rendered(figure)
    (axes,), renderer = figure.axes, figure._get_renderer()
    frames = [frame.get_window_extent(renderer) for frame in axes.patches]
    for i, text in enumerate(axes.texts):
        place = text.get_window_extent(renderer)
        assert place.y0 > frames[i].y1 - 1 and (i < 2 or place.y1 < frames[i - 2].y0 + 1)


def test_grid_fills_its_figure_without_cropping():
    picture = rendered(image_grid(np.zeros((12, 1, 8, 8)), titles=["4 as 9"] * 12, title="a title"))
    border = np.concatenate([picture[0].ravel(), picture[-1].ravel(), picture[:, 0].ravel(), picture[:, -1].ravel()])
    assert (border == 255).all()
    assert (picture < 30).all(axis=2).mean() > 0.55


def test_scale():
    wide = 100 * draw(0, 2, 1, 4, 4) - 50
    with pytest.raises(ValueError, match=r"image_grid: brightness must lie in 0..1, got -\d.* pass scale='each'"):
        image_grid(wide)
    shown = image_grid(wide, scale="each").axes[0].images
    assert all(s.get_array().min() == 0 and s.get_array().max() == 1 for s in shown)
    assert (image_grid(np.full((1, 1, 3, 3), 7.0), scale="each").axes[0].images[0].get_array() == 0.5).all()


@pytest.mark.parametrize("images, message", [
    (np.zeros((2, 5, 5, 3)), r"must be \(C, H, W\) with C = 1 or 3, .* Transpose \(H, W, C\)"),
    (np.zeros((0, 1, 4, 4)), "at least one"),
    (np.zeros((2, 2, 4, 4)), "with C = 1 or 3"), (np.full((1, 1, 2, 2), np.nan), "must be finite, this one holds nan")])
def test_wrong_pictures(images, message):
    with pytest.raises(ValueError, match=f"image_grid: .*{message}"):
        image_grid(images)


def test_wrong_numbers_and_kinds():
    with pytest.raises(ValueError, match="image_grid: titles must be one for each of the 2 pictures, got 3"):
        image_grid(draw(0, 2, 1, 4, 4), titles="abc")
    with pytest.raises(ValueError, match="image_grid: marked must be one for each of the 2 pictures, got 1"):
        image_grid(draw(0, 2, 1, 4, 4), marked=[True])
    with pytest.raises(TypeError, match="must hold numbers, got dtype <U1"):
        as_picture("f", np.full((4, 4), "a"))


# --- boxes


TARGET = {"boxes": np.array([[2.0, 3, 12, 13], [8, 1, 19, 9], [1, 1, 3, 3]]), "labels": np.array([1, 0, 1]),
          "scores": np.array([0.9, 0.6, 0.1])}


def test_boxes_lie_on_the_edges_of_pixels():
    """Box (2, 3, 12, 13) covers the pixels 2..11 and 3..12, whose outer edges are 1.5 and 11.5, 2.5 and 12.5."""
    figure = detections(draw(0, 3, 16, 20), TARGET, ["cat", "dog"], threshold=0.5)
    (axes,) = figure.axes
    assert [patch.get_bbox().extents.tolist() for patch in axes.patches] == [[1.5, 2.5, 11.5, 12.5], [7.5, 0.5, 18.5, 8.5]]
    assert [text.get_text() for text in axes.texts] == ["dog 0.90", "cat 0.60"]
    assert axes.get_xlim() == (-0.5, 19.5) and axes.get_ylim() == (15.5, -0.5)


def test_masks_are_laid_over_the_picture():
    masks = np.zeros((3, 16, 20), bool)
    masks[0, 4:6, 3:8] = True
    axes = detections(draw(0, 3, 16, 20), {**TARGET, "masks": masks}).axes[0]
    cover = axes.images[1].get_array()
    np.testing.assert_array_equal(cover[..., 3] > 0, masks[0])
    np.testing.assert_allclose(cover[4, 3, :3], color(1))


def test_names_do_not_cover_each_other_nor_leave_the_picture():
    boxes = np.array([[10.0, 10, 90, 90], [12, 11, 80, 80], [14, 12, 70, 70], [0, 0, 30, 20], [170, 3, 199, 60],
                      [150, 180, 199, 199]])
    target = {"boxes": boxes, "labels": np.arange(6), "scores": np.linspace(0.9, 0.5, 6)}
    figure = detections(np.full((3, 200, 200), 0.5), target,
                        ["a long name", "another name", "c", "d", "at the right edge", "below"])
    rendered(figure)
    renderer = figure._get_renderer()
    places = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    whole = figure.axes[0].get_window_extent(renderer)
    assert all(whole.x0 - 1 <= p.x0 and p.x1 <= whole.x1 + 1 for p in places)
    assert all(whole.y0 - 1 <= p.y0 and p.y1 <= whole.y1 + 1 for p in places)
    assert not any(a.overlaps(b) for i, a in enumerate(places) for b in places[:i])


def test_several_pictures_references_and_none():
    empty = {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, np.int64)}
    figure = detections(draw(0, 4, 3, 16, 20), [TARGET, empty, TARGET, empty], references=[TARGET] * 4, columns=3)
    assert [len(axes.patches) for axes in figure.axes] == [9, 6, 9, 6, 0, 0]
    assert not figure.axes[1].texts


@pytest.mark.parametrize("change, message", [
    ({"boxes": np.zeros((3, 5))}, r"boxes must be \(n, 4\)"),
    ({"labels": np.zeros(2, int)}, "labels must be one for each of the 3"),
    ({"scores": np.zeros(4)}, "scores must be one for each of the 3 boxes, got 4")])
def test_wrong_targets(change, message):
    with pytest.raises(ValueError, match=f"detections: {message}"):
        detections(draw(0, 3, 16, 20), {**TARGET, **change})
    with pytest.raises(ValueError, match="targets must be one for each of the 2 pictures, got 1"):
        detections(draw(0, 2, 3, 16, 20), [TARGET])


# --- masks


def test_segmentation_counts_what_is_wrong():
    rng = np.random.default_rng(0)
    mask, prediction = rng.integers(0, 4, (2, 10, 12))
    mask[0] = 255
    figure = segmentation(draw(0, 3, 10, 12), mask, ["sky", "tree", "car", "road"], prediction=prediction)
    wrong = (mask != prediction)[1:].mean()
    titles = ["picture", "mask", "prediction", f"wrong: {100 * wrong:.1f}% of the pixels"]
    assert [axes.get_title() for axes in figure.axes] == titles
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["tree", "car", "road"]
    covers = [s.get_array() for s in figure.axes[1].images[1:]]
    for k, cover in zip((1, 2, 3), covers, strict=True):
        np.testing.assert_array_equal(cover[..., 3] > 0, mask == k)
        np.testing.assert_allclose(cover[5, 5, :3], color(k))
    np.testing.assert_array_equal(figure.axes[3].images[-1].get_array()[..., 3] > 0, (mask != prediction) & (mask != 255))


def test_segmentation_with_and_without_background():
    mask = np.array([[0, 0, 1], [0, 1, 1]])
    assert len(segmentation(np.zeros((2, 3)), mask).axes[1].images) == 2
    assert len(segmentation(np.zeros((2, 3)), mask, background=None).axes[1].images) == 3
    assert not segmentation(np.zeros((2, 3)), mask * 0).legends


def test_wrong_masks():
    with pytest.raises(ValueError, match=r"mask must be \(H, W\) = \(4, 4\) as the picture is, got shape \(2, 4, 4\)"):
        segmentation(np.zeros((1, 4, 4)), np.zeros((2, 4, 4), int))
    with pytest.raises(TypeError, match="segmentation: prediction must hold class indices, got dtype float64"):
        segmentation(np.zeros((1, 4, 4)), np.zeros((4, 4), int), prediction=np.zeros((4, 4)))


# --- colours


def test_colours_differ_for_the_colour_blind():
    """Seen without red (Vienot, Brettel and Mollon 1999, protanopia) or green cones the first seven stay apart."""
    rgb = np.array([color(k) for k in range(7)]) ** 2.2
    protan = rgb @ np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]).T
    deutan = rgb @ np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]).T
    for seen in (protan, deutan):
        seen = np.clip(seen, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=2) + 9 * np.eye(7)
        assert apart.min() > 0.1
    assert len({color(k) for k in range(3 * len(COLORS))}) >= 23


def test_shortened():
    assert shortened("short", 1.0, 8) == "short"
    assert shortened("a very long title", 0.5, 8) == "a very \u2026" and len(shortened("x" * 99, 1.0, 8)) <= 16
