"""Pictures and their answers agree: boxes with masks, outlines with regions, captions with scenes, faces with persons."""

import re

import numpy as np
import pytest
from scipy import ndimage

from tinyvision.data import LabelledImages
from tinyvision.data.generated import (CellSegmentation, FaceIdentities, ImagePairs, ImageTriplets, SceneCaptions,
                                       SceneColorization, SceneDetection, SceneEdges, SceneSegmentation, ShapeClassification,
                                       ShapeLocalization, ShapeMultiLabel, separation_weights)

SCENES = SceneDetection(40, 96, seed=3, masks=True)


def bounds(mask):
    """The smallest box around a mask, pixel by pixel."""
    ys, xs = np.nonzero(mask)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def check_instances(image, target, classes):
    boxes, labels, masks = target["boxes"], target["labels"], target["masks"]
    assert boxes.dtype == np.float32 and labels.dtype == np.int64 and masks.dtype == bool
    assert boxes.shape == (len(labels), 4) and masks.shape == (len(labels), *image.shape[1:])
    assert masks.sum(axis=0).max(initial=0) <= 1, "a pixel shows one thing only"
    assert masks.any(axis=(1, 2)).all() and ((0 <= labels) & (labels < classes)).all()
    np.testing.assert_array_equal(boxes, np.reshape([bounds(mask) for mask in masks], (-1, 4)))


def test_scene_instances():
    for image, target in SCENES:
        check_instances(image, target, len(SCENES.classes))
    counts = [len(target["labels"]) for _, target in SCENES]
    assert len(set(counts)) > 4 and max(counts) <= 8
    assert len(np.unique(np.concatenate([target["labels"] for _, target in SCENES]))) == 8


def test_masks_are_asked_for():
    image, target = SceneDetection(2, 96, seed=3)[1]
    assert set(target) == {"boxes", "labels"} and (target["boxes"] == SCENES[1][1]["boxes"]).all()
    with pytest.raises(ValueError, match="SceneDetection: masks must be one of True, False, got 'all'"):
        SceneDetection(2, masks="all")


def test_things_hide_things_but_not_wholly():
    """Some boxes overlap, as they do where one thing stands before another; each still shows enough pixels."""
    overlap = 0
    for _, target in SCENES:
        assert (target["masks"].sum(axis=(1, 2)) >= 5).all()
        x1, y1, x2, y2 = target["boxes"].T[:, :, None]
        meet = (np.maximum(x1, x1.T) < np.minimum(x2, x2.T)) & (np.maximum(y1, y1.T) < np.minimum(y2, y2.T))
        overlap += (meet.sum() - len(x1)) // 2
    assert overlap > 20


def test_scales_vary():
    heights = np.concatenate([target["boxes"][:, 3] - target["boxes"][:, 1] for _, target in SCENES])
    assert heights.min() < 12 and heights.max() > 40


def test_all_scene_sets_show_the_same_scenes():
    """One picture, several answers: the regions are the masks' classes, the outlines the borders of what the regions show."""
    size = dict(size=96, seed=3)
    segmentation, edges, colors = SceneSegmentation(6, **size), SceneEdges(6, **size), SceneColorization(6, **size)
    for i in range(6):
        image, target = SCENES[i]
        for other in (segmentation[i][0], edges[i][0], colors[i][1]):
            np.testing.assert_array_equal(image, other)
        mask = segmentation[i][1]
        for label, thing in zip(target["labels"], target["masks"]):
            assert (mask[thing] == 5 + label).all()
        assert (mask[~target["masks"].any(axis=0)] < 5).all()
        assert [segmentation.classes[5 + label] for label in target["labels"]] == [SCENES.classes[k] for k in target["labels"]]
        right, down = mask[:, :-1] != mask[:, 1:], mask[:-1] != mask[1:]
        assert (edges[i][1][0, :, :-1][right] == 1).all() and (edges[i][1][0, :-1][down] == 1).all()


def test_edges_are_few_and_thin():
    edges = SceneEdges(10, 96, seed=1)
    assert set(np.unique(edges.edges)) == {0, 1} and 0.01 < edges.edges.mean() < 0.12
    assert ndimage.binary_erosion(edges.edges[:, 0], np.ones((1, 4, 4))).mean() < 0.002


def test_edges_from_the_definition():
    """Every pixel by hand, from the owners and grounds of the drawing."""
    edges = SceneEdges(1, 40)
    drawing, found = edges.drawing(0), edges[0][1][0]
    what = [[(int(o), None if o else int(s)) for o, s in zip(*rows)] for rows in zip(drawing["owner"], drawing["stuff"])]
    for i in range(40):
        for j in range(40):
            right = j < 39 and what[i][j] != what[i][j + 1]
            down = i < 39 and what[i][j] != what[i + 1][j]
            assert found[i, j] == (right or down)


def test_regions():
    scenes = SceneSegmentation(30, 64)
    shares = np.bincount(scenes.masks.ravel(), minlength=13) / scenes.masks.size
    assert len(scenes.classes) == 13 and (shares[:5] > 0.005).all() and shares[[0, 2]].sum() > 0.4 and (shares[5:] > 0).all()


def test_grey_is_the_brightness_of_the_colours():
    grey, image = SceneColorization(1, 48)[0]
    expected = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
    assert np.abs(grey[0] - expected).max() < 0.52 / 255 and grey.shape == (1, 48, 48)


def test_colours_are_regular():
    """Grass is greener than it is red or blue, a day's sky is blue: what a network can learn of colours."""
    scenes, colors = SceneSegmentation(30, 64), SceneColorization(30, 64).images
    mean = {k: colors.transpose(1, 0, 2, 3)[:, scenes.masks == k].mean(axis=1) for k in (0, 2, 3)}
    assert mean[2].argmax() == 1 and mean[0].argmax() == 2 and np.ptp(mean[3]) < 0.1


CAPTIONS = SceneCaptions(60, 64)
GRAMMAR = re.compile(r"(?P<one>a person in \w+|an? \w+ \w+) (?P<place>in the sky|in the meadow|on the (road|roadside|shore|lake))"
                     r"( (?P<relation>left of|right of|in front of|behind|above|below) (?P<two>a person in \w+|an? \w+ \w+))?"
                     r"(?P<dusk> at dusk)?")


def test_captions_follow_the_grammar():
    found = [GRAMMAR.fullmatch(caption) for caption in CAPTIONS.captions]
    assert all(found) and len(set(CAPTIONS.captions)) > 50
    assert len({match["relation"] for match in found}) >= 5 and {bool(match["dusk"]) for match in found} == {True, False}
    words = {word for caption in CAPTIONS.captions for word in caption.split()}
    assert words <= set(CAPTIONS.words) and len(words) > 30 and list(CAPTIONS.words) == sorted(set(CAPTIONS.words))
    assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", " ".join(CAPTIONS.captions))


def test_captions_tell_what_is_there():
    """The words of a caption are those of the description, and the relation is that of the boxes."""
    for i, text in enumerate(CAPTIONS.captions):
        image, caption = CAPTIONS[i]
        description = CAPTIONS.description(i)
        match, things = GRAMMAR.fullmatch(caption), description["things"]
        assert caption == text and 1 <= len(things) <= 2 and bool(match["dusk"]) == (description["light"] == "dusk")
        for named, thing in zip((match["one"], match["two"]), things):
            assert thing["kind"] in named and named.split()[-1 if thing["kind"] == "person" else 1] == thing["color"]
            x1, y1, x2, y2 = thing["box"]
            assert 0 <= x1 < x2 <= 64 and 0 <= y1 < y2 <= 64
        assert match["place"] == things[0]["place"] and match["relation"] == description["relation"]
        if match["relation"] in ("above", "below"):
            assert things[match["relation"] == "below"]["kind"] == "balloon"
        if match["relation"] in ("left of", "right of"):
            (a1, _, a2, _), (b1, _, b2, _) = (thing["box"] for thing in things)
            assert (a1 + a2 < b1 + b2) == (match["relation"] == "left of") or abs(a1 + a2 - b1 - b2) < 24, "cut off at the side"
        if len(things) == 2:
            assert things[0]["kind"] != things[1]["kind"], "else the words would not say which"


def test_captioned_colours_are_painted():
    """A red car has more red pixels in its box than a blue one, and the other way round."""
    tints = {"red": [], "blue": [], "green": []}
    scenes = SceneCaptions(150, 64)
    for i in range(150):
        for thing in scenes.description(i)["things"]:
            if thing["kind"] in ("car", "house", "balloon") and thing["color"] in tints:
                x1, y1, x2, y2 = thing["box"].astype(int)
                tints[thing["color"]].append(scenes[i][0][:, y1:y2, x1:x2].mean(axis=(1, 2)))
    for channel, name in enumerate(("red", "green", "blue")):
        best = max(tints, key=lambda color: np.mean([tint[channel] - tint.mean() for tint in tints[color]]))
        assert best == name and len(tints[name]) > 3


def test_located_shapes():
    shapes = ShapeLocalization(20, (40, 56))
    for i, (image, target) in enumerate(shapes):
        mask = np.unpackbits(shapes.drawing(i)["mask"], count=40 * 56).reshape(40, 56)
        assert target["boxes"].tolist() == [bounds(mask)] and target["labels"].tolist() == [shapes.labels[i]]
        np.testing.assert_array_equal(shapes.boxes[i], target["boxes"][0])
    sides = shapes.boxes[:, 2:] - shapes.boxes[:, :2]
    assert sides.min() < 13 and sides.max() > 25


def test_multi_label():
    labels = ShapeMultiLabel(200, 32).labels
    assert labels.dtype == np.float32 and set(np.unique(labels)) == {0, 1} and (labels.sum(axis=1) >= 1).all()
    assert set(labels.sum(axis=1)) == {1, 2, 3, 4} and (np.abs(labels.mean(axis=0) - 0.22) < 0.13).all()
    together = labels[labels[:, 5] == 1, 2].mean()
    assert together > 1.2 * labels[:, 2].mean(), "stars and crescents come together"


def test_colour_says_nothing_of_the_shape():
    """The mean colours of the classes differ by no more than chance allows."""
    shapes = ShapeClassification(400, 16)
    tints = shapes.images.mean(axis=(2, 3))
    means = np.array([tints[shapes.labels == k].mean(axis=0) for k in range(10)])
    assert np.abs(means - tints.mean(axis=0)).max() < 4.5 * tints.std() / np.sqrt(40)


CELLS = CellSegmentation(8, 80, seed=2, target="instances")


def test_cell_instances():
    for image, target in CELLS:
        check_instances(image, target, 2)
        assert image.shape == (1, 80, 80) and (target["labels"] == 1).all() and len(target["labels"]) >= 2
        for mask in target["masks"]:
            assert ndimage.label(mask)[1] == 1, "a cell is one piece"


def test_cells_touch_and_fill_a_part():
    touching = sum((a & ndimage.binary_dilation(b)).any() for _, target in CELLS for k, a in enumerate(target["masks"])
                   for b in target["masks"][:k])
    assert touching > 10 and 0.15 < (CELLS.instances > 0).mean() < 0.7


def test_cell_targets_agree():
    cells, borders = (CellSegmentation(8, 80, seed=2, target=target) for target in ("cells", "borders"))
    assert borders.classes == ("background", "cell", "border") and cells.classes == ("background", "cell")
    for i, (image, target) in enumerate(CELLS):
        union = target["masks"].any(axis=0)
        np.testing.assert_array_equal(cells[i][1], union)
        rim = np.zeros_like(union)
        for mask in target["masks"]:
            rim |= mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), border_value=1)
        np.testing.assert_array_equal(borders[i][1], np.where(rim, 2, union))
        np.testing.assert_array_equal(CELLS.instances[i] > 0, union)
        np.testing.assert_array_equal(image, borders[i][0])
    np.testing.assert_array_equal(borders.masks, [example[1] for example in borders])


def test_no_threshold_finds_the_cells():
    """The best threshold on brightness, chosen with the answer at hand, stays far below what a small U-Net reaches."""
    cells = CellSegmentation(30, 64)
    image, mask = cells.images[:, 0], cells.masks == 1
    best = max(2 * ((image < t) & mask).sum() / ((image < t).sum() + mask.sum()) for t in np.linspace(0.1, 0.9, 81))
    assert best < 0.75


def test_cell_errors():
    with pytest.raises(ValueError, match="CellSegmentation: target must be one of 'cells', 'borders', 'instances', got 'cell'"):
        CellSegmentation(2, target="cell")
    for radius in (3, 17):
        with pytest.raises(ValueError, match=f"CellSegmentation: radius must be from 4 to 16.0, .* got {radius}"):
            CellSegmentation(2, 32, radius=radius)


def test_radius_is_the_size_of_the_cells():
    area = [np.median(np.bincount(CellSegmentation(3, 96, radius=radius).instances[0].ravel())[1:]) for radius in (6, 9, 14)]
    assert area == sorted(area)


def test_separation_weights_from_the_definition():
    instances = np.zeros((20, 24), np.int64)
    instances[2:9, 3:9], instances[4:12, 12:20], instances[14:18, 4:15] = 1, 2, 3
    ys, xs = np.mgrid[:20, :24]
    expected = np.ones((20, 24))
    for y, x in np.argwhere(instances == 0):
        d = sorted(np.hypot(ys - y, xs - x)[instances == k].min() for k in (1, 2, 3))
        expected[y, x] += 6 * np.exp(-(d[0] + d[1]) ** 2 / (2 * 3 ** 2))
    np.testing.assert_allclose(separation_weights(instances, 6, 3), expected, rtol=1e-6)


def test_separation_weights_where_cells_touch():
    instances = np.zeros((6, 8), np.int64)
    instances[:, 1:4], instances[:, 4:7] = 1, 2
    weights = separation_weights(instances)
    assert (weights[:, [3, 4]] > 9).all() and (weights[:, [1, 2, 5, 6]] == 1).all() and weights.dtype == np.float32
    assert (separation_weights(instances * (instances == 1)) == 1).all()
    with pytest.raises(ValueError, match=r"separation_weights: instances must be \(H, W\), got \(1, 6, 8\)"):
        separation_weights(instances[None])
    with pytest.raises(TypeError, match="separation_weights: instances must be integers, got float64"):
        separation_weights(instances * 1.0)


def test_people_are_the_same_whatever_the_number_of_views():
    """View 2 of person 1 does not depend on how many people or views are made."""
    few, many = FaceIdentities(2, 32, views=3), FaceIdentities(5, 32, views=7)
    np.testing.assert_array_equal(few[1 * 3 + 2][0], many[1 * 7 + 2][0])
    assert many.labels.tolist() == [k for k in range(5) for _ in range(7)] and len(many) == 35
    assert [many[i][1] for i in (0, 6, 7, 34)] == [0, 0, 1, 4]


def test_views_of_one_person_are_nearer_than_others():
    """On average, even in plain pixels of the middle of the face; but by far not always, or there were nothing to learn."""
    faces = FaceIdentities(20, 24, views=5)
    x = faces.images[:, :, 8:16, 8:16].reshape(100, -1)
    distance = np.sqrt(((x[:, None] - x) ** 2).sum(axis=-1))
    same = faces.labels[:, None] == faces.labels
    np.fill_diagonal(distance, np.inf)
    nearest = (faces.labels[distance.argmin(axis=1)] == faces.labels).mean()
    assert distance[same & np.isfinite(distance)].mean() < distance[~same].mean() and 0.05 < nearest < 0.6


@pytest.mark.parametrize("arguments, message", [({"identities": 0}, "identities must be from 1"),
                                                ({"identities": 2, "views": 0}, "views must be from 1")])
def test_face_errors(arguments, message):
    with pytest.raises(ValueError, match=f"FaceIdentities: {message}"):
        FaceIdentities(**arguments)


def plain(labels):
    labels = np.array(labels)
    return LabelledImages(np.arange(len(labels), dtype=np.float32).reshape(-1, 1, 1, 1), labels, tuple("abcdefgh"))


def test_pairs():
    images = plain([0, 0, 0, 1, 1, 2, 5])
    pairs = ImagePairs(images, 400, seed=1)
    one, other = images.labels[pairs.indices].T
    assert (pairs.same == (one == other)).all() and (pairs.indices[:, 0] != pairs.indices[:, 1]).all()
    assert (pairs.same.reshape(-1, 2).sum(axis=1) == 1).all() and 0.35 < pairs.same[::2].mean() < 0.65
    assert len({tuple(row) for row in pairs.indices}) > 20
    first, second, same = pairs[7]
    assert first.item() == pairs.indices[7, 0] and second.item() == pairs.indices[7, 1] and same == pairs.same[7]
    np.testing.assert_array_equal(ImagePairs(images, 30, seed=1).indices, pairs.indices[:30])
    assert (ImagePairs(images, 30, seed=2).indices != pairs.indices[:30]).any() and len(pairs) == 400


def test_triplets():
    images = plain([0, 0, 0, 1, 1, 2, 5])
    triplets = ImageTriplets(images, 300)
    anchor, positive, negative = images.labels[triplets.indices].T
    assert (anchor == positive).all() and (anchor != negative).all()
    assert (triplets.indices[:, 0] != triplets.indices[:, 1]).all() and set(negative) == {0, 1, 2, 5} and set(anchor) == {0, 1}
    assert [picture.item() for picture in triplets[5]] == triplets.indices[5].tolist()
    with pytest.raises(IndexError):
        triplets[300]


@pytest.mark.parametrize("kind", [ImagePairs, ImageTriplets])
def test_matching_errors(kind):
    for labels, message in (([0, 0, 0], "1 classes of at most 3"), ([0, 1, 2], "3 classes of at most 1"),
                            ([], "0 classes of at most 0")):
        with pytest.raises(ValueError, match=f"{kind.__name__}: needs two classes or more, .* got {message}"):
            kind(plain(np.array(labels, np.int64)), 5)
    with pytest.raises(TypeError, match=f"{kind.__name__}: dataset needs .labels, an array of class indices, list has none"):
        kind([1, 2], 5)
    with pytest.raises(ValueError, match=rf"{kind.__name__}: dataset.labels must be 2 integers, .* got shape \(2, 10\)"):
        kind(ShapeMultiLabel(2), 5)
    with pytest.raises(ValueError, match=f"{kind.__name__}: n must be from 1"):
        kind(plain([0, 0, 1]), 0)
