"""What all generated sets promise: the same bytes for the same numbers, prefixes, parts that share nothing, errors."""

import hashlib

import numpy as np
import pytest

from tinyvision.data import DataLoader, LabelledImages, Subset, TensorDataset, default_collate
from tinyvision.data.generated import (CellSegmentation, FaceIdentities, MotionClassification, SceneCaptions, SceneColorization,
                                       SceneDetection, SceneEdges, SceneSegmentation, ShapeClassification, ShapeLocalization,
                                       ShapeMultiLabel, VolumeSegmentation, WaveformClassification)
from tinyvision.data.generated.base import Draws, Generated, to_bytes

# set: further arguments, a small size, a size with unequal sides (or None), and the checksum of 4 training and 4 test examples.
SETS = {
    ShapeClassification: ({}, 24, (16, 40), "e72749e2cd523420d8b78418d6352318d6c1842841a50c173f100799482edbbf"),
    ShapeMultiLabel: ({}, 48, (32, 56), "54b2af1565793d844c2321ca01b0052f9e3ed53aa876c273e20d329824da8d09"),
    ShapeLocalization: ({}, 40, (24, 50), "7e7bafb092c4cd98b9f378c21d43ad276e323a993ea6b55efb14cd4a150511bc"),
    SceneDetection: ({"masks": True}, 64, (32, 72), "bbb4de20c96a29cbbcca2f53defc14a2c06ce3490119617df606a7b388c4c675"),
    SceneSegmentation: ({}, 64, (72, 32), "699ec5699d3aa371b5061804b7064070583b6ab3bc432b5ce9f1394497c4c578"),
    SceneEdges: ({}, 64, (33, 50), "333afb9c7eed57ac7fbc032fac07c7ef9d3576daaff3aed99a6204bc96dea62a"),
    SceneColorization: ({}, 48, (32, 41), "854725c5e7a41c96742db1ba6f456b1c734f898645f75af6579edaf49f193192"),
    SceneCaptions: ({}, 64, (32, 80), "7749354a8e5f97a947d6fab8d07e3af2f3af88eff0e2c1db9f7e10dd78794e9a"),
    CellSegmentation: ({"target": "instances"}, 64, (32, 70), "827cb9800ff08ac0172ee7aa6157cb03dab8224af796aff0ea527349da4fcf6c"),
    FaceIdentities: ({"views": 1}, 32, (24, 37), "7f5dca3b4ff6f27339d5911127b3354b5b884fb5a079c31c3991ffea4ab62d2d"),
    WaveformClassification: ({}, 200, None, "1fa58da8957947c9efd58adf1104e6d223fa466484452417f1605c31b3bc3fb9"),
    VolumeSegmentation: ({}, 20, (16, 20, 27), "fde3c8ea505d264be7b4ebd1225da57ae77b73ad35e6056ea115e1dd684023d0"),
    MotionClassification: ({"frames": 4}, 24, (24, 33), "ca8699ca54eea481e38c5d368fa2586696862962b19a5ab516f5a4cd175b8087"),
}
every_set = pytest.mark.parametrize("kind", SETS, ids=lambda kind: kind.__name__)


def make(kind, n, size=None, seed=0, **more):
    options, small, _, _ = SETS[kind]
    return kind(n, small if size is None else size, seed, **{**options, **more})


def flat(example):
    """All arrays, numbers and texts of an example, in order."""
    if isinstance(example, dict):
        return [leaf for key in sorted(example) for leaf in [key, *flat(example[key])]]
    if isinstance(example, (tuple, list)):
        return [leaf for part in example for leaf in flat(part)]
    return [example]


def digest(examples):
    """The sha256 of pictures as bytes and of everything else as it is."""
    sha = hashlib.sha256()
    for leaf in flat(list(examples)):
        if isinstance(leaf, np.ndarray) and leaf.dtype == np.float32 and leaf.max(initial=0) <= 1 and leaf.min(initial=0) >= 0:
            leaf = np.rint(leaf * 255).astype(np.uint8)
        array = np.asarray(leaf)
        sha.update(str((array.dtype.kind, array.shape)).encode() + (leaf.encode() if isinstance(leaf, str)
                                                                    else array.astype(array.dtype.newbyteorder("<")).tobytes()))
    return sha.hexdigest()


def same(a, b):
    return digest([a]) == digest([b])


@every_set
def test_every_byte_is_fixed(kind):
    """Whoever changes what a set draws gives it a new VERSION, and the new checksum here."""
    assert digest([*make(kind, 4), *make(kind, 4, train=False)]) == SETS[kind][3]


@every_set
def test_a_larger_set_begins_with_the_smaller(kind):
    small, large = make(kind, 3, seed=5), make(kind, 9, seed=5)
    late = large[8]                                       # the order of drawing makes no difference
    assert all(same(small[i], large[i]) for i in (2, 0, 1)) and same(late, make(kind, 9, seed=5, cache=False)[8])
    assert same(large[-1], late) and len(large) == 9


@every_set
def test_seeds_parts_and_examples_differ(kind):
    sets = [make(kind, 4), make(kind, 4, seed=1), make(kind, 4, train=False), make(kind, 4, seed=2 ** 32 - 1)]
    pictures = [np.asarray(example[0]).tobytes() for examples in sets for example in examples]
    assert len(set(pictures)) == 16


@every_set
def test_form_of_pictures(kind):
    for size in (None, SETS[kind][2], kind.least):
        if size is not None or kind is not WaveformClassification:
            picture = make(kind, 2, size)[1][0]
            assert picture.dtype == np.float32 and np.isfinite(picture).all() and picture.std() > 0.01
            if kind is WaveformClassification:
                assert picture.shape == (1, size or 200) and np.abs(picture).max() <= 2
            else:
                assert picture.min() >= 0 and picture.max() <= 1
                sides = SETS[kind][1] if size is None else size
                assert picture.shape[-2:] == ((sides, sides) if isinstance(sides, int) else tuple(sides[-2:]))
                assert np.abs(picture * 255 - np.rint(picture * 255)).max() < 1e-4


@every_set
def test_examples_are_independent_copies(kind):
    """What a user writes into an example does not come back from the cache."""
    examples = make(kind, 2)
    before = digest([examples[0]])
    for leaf in flat(examples[0]):
        if isinstance(leaf, np.ndarray):
            leaf[...] = 0
    assert digest([examples[0]]) == before


@every_set
def test_cache(kind):
    kept, fresh = make(kind, 2), make(kind, 2, cache=False)
    assert kept.drawing(1) is kept.drawing(1) and fresh.drawing(1) is not fresh.drawing(1)
    assert same(kept[1], fresh[1])


@every_set
def test_iteration_ends_and_subsets_work(kind):
    examples = make(kind, 3)
    assert len(list(examples)) == 3 and same(Subset(examples, [2, 0])[0], examples[2])
    for wrong in (3, -4):
        with pytest.raises(IndexError, match=f"{kind.__name__}: index {wrong} is outside the 3 examples"):
            examples[wrong]
    with pytest.raises(TypeError, match=f"{kind.__name__}: the index must be an integer, got slice"):
        examples[:2]


def test_batches():
    """Sets whose examples have one shape go through a DataLoader as they are, and faster in memory."""
    shapes = make(ShapeClassification, 10)
    images, labels = next(iter(DataLoader(shapes, 4)))
    assert images.shape == (4, 3, 24, 24) and images.dtype == np.float32 and labels.dtype == np.int64
    memory = shapes.in_memory()
    assert isinstance(memory, LabelledImages) and memory.classes == shapes.classes
    np.testing.assert_array_equal(memory.images, shapes.images)
    np.testing.assert_array_equal(memory.labels, shapes.labels)
    np.testing.assert_array_equal(next(iter(DataLoader(memory, 4)))[0].numpy(), images.numpy())
    image, target = next(iter(DataLoader(make(ShapeLocalization, 4), 4)))
    assert target["boxes"].shape == (4, 1, 4) and target["labels"].shape == (4, 1)
    images, captions = next(iter(DataLoader(make(SceneCaptions, 4), 4)))
    assert len(captions) == 4 and all(isinstance(caption, str) for caption in captions)
    assert default_collate([make(ShapeMultiLabel, 4)[i] for i in range(4)])[1].shape == (4, 10)


@pytest.mark.parametrize("kind, column", [(SceneSegmentation, "masks"), (SceneEdges, "edges"), (SceneColorization, "images"),
                                          (ShapeMultiLabel, "labels"), (VolumeSegmentation, "masks"),
                                          (WaveformClassification, "labels"), (MotionClassification, "labels"),
                                          (FaceIdentities, "labels"), (ShapeClassification, "labels")],
                         ids=lambda value: getattr(value, "__name__", value))
def test_columns(kind, column):
    """The columns hold the examples' answers, and in_memory is a TensorDataset of them."""
    examples = make(kind, 3)
    answers = getattr(examples, column)
    memory = examples.in_memory()
    assert isinstance(memory, TensorDataset) and answers.dtype == memory.tensors[1].dtype
    np.testing.assert_array_equal(answers, np.stack([example[1] for example in examples]))
    np.testing.assert_array_equal(answers, memory.tensors[1])
    first = {"waveforms": "signals", "volumes": "volumes", "motion": "videos"}.get(kind.family, "images")
    first = "greys" if kind is SceneColorization else first
    np.testing.assert_array_equal(getattr(examples, first), np.stack([example[0] for example in examples]))


def test_no_columns():
    with pytest.raises(TypeError, match="SceneCaptions: in_memory needs examples of arrays and numbers, here are ndarray, str"):
        make(SceneCaptions, 2).in_memory()


@pytest.mark.parametrize("kind", [ShapeClassification, ShapeLocalization, WaveformClassification, MotionClassification])
def test_labels_are_balanced_and_in_no_order(kind):
    classes = len(kind.classes)
    examples = make(kind, 5 * classes)
    blocks = examples.labels.reshape(5, classes)
    assert (np.sort(blocks, axis=1) == np.arange(classes)).all() and len({tuple(block) for block in blocks}) > 3
    assert examples.labels.dtype == np.int64 and not examples.kept, "labels need no picture"


@every_set
@pytest.mark.parametrize("arguments, error, message", [
    ({"n": 0}, ValueError, "must be from 1 to .*, got 0"),
    ({"n": 2.0}, TypeError, "must be an integer, got 2.0"),
    ({"n": 2, "seed": -1}, ValueError, "seed must be from 0 to 4294967295, got -1"),
    ({"n": 2, "seed": None}, TypeError, "seed must be an integer, got None"),
    ({"n": 2, "size": 8}, ValueError, "must be from .* got 8"),
    ({"n": 2, "size": "big"}, TypeError, "must be an integer, got 'big'"),
    ({"n": 2, "train": 1}, TypeError, "train must be True or False, got 1"),
    ({"n": 2, "cache": None}, TypeError, "cache must be True or False, got None")])
def test_errors(kind, arguments, error, message):
    arguments = dict(arguments)
    with pytest.raises(error, match=f"{kind.__name__}: .*{message}"):
        kind(arguments.pop("n"), arguments.pop("size", None), arguments.pop("seed", 0), **arguments)


def test_size_of_three_numbers():
    with pytest.raises(ValueError, match=r"ShapeClassification: size must be one number or \(height, width\), got \(32, 32, 3\)"):
        ShapeClassification(2, (32, 32, 3))


def test_random_numbers_are_those_of_the_bits():
    """uniform is the upper 53 bits of each number of PCG64 as a fraction; normal is a sum of its four 16-bit words."""
    key = (3, 1, 4)
    expected = np.array([int(x) // 2 ** 11 / 2 ** 53 for x in np.random.PCG64(np.random.SeedSequence(key)).random_raw(5)])
    np.testing.assert_array_equal(Draws(*key).uniform(size=5), expected)
    draws = Draws(*key)
    assert [draws.uniform() for _ in range(5)] == expected.tolist()
    raw = np.random.PCG64(np.random.SeedSequence(key)).random_raw(6)
    sums = [sum(int(x) >> shift & 0xffff for shift in (0, 16, 32, 48)) for x in raw]
    deviation = (4 * (65536 ** 2 - 1) / 12) ** 0.5
    np.testing.assert_allclose(Draws(*key).normal((2, 3)).ravel(), [(s - 2 * 65535) / deviation for s in sums], rtol=1e-14)


def test_random_numbers_are_distributed_as_they_say():
    draws = Draws(0)
    x = draws.normal(100_000)
    assert abs(x.mean()) < 0.015 and abs(x.std() - 1) < 0.01 and abs((x ** 3).mean()) < 0.05
    assert sorted(draws.permutation(7)) == list(range(7))
    drawn = [draws.choice("abc", (1, 0, 3)) for _ in range(4000)]
    assert set(drawn) == {"a", "c"} and abs(drawn.count("c") / 4000 - 0.75) < 0.03
    numbers = [draws.integer(2, 5) for _ in range(3000)]
    assert set(numbers) == {2, 3, 4} and abs(np.mean(numbers) - 3) < 0.06
    assert abs(np.mean([draws.chance(0.2) for _ in range(4000)]) - 0.2) < 0.03


def test_bytes_are_away_from_round_numbers():
    """Halves, quarters and the like do not lie where a byte ends, so that rounding errors do not decide."""
    values = np.array([a / b for b in range(1, 65) for a in range(b + 1)])
    for error in (-1e-12, 1e-12):
        np.testing.assert_array_equal(to_bytes(values + error), to_bytes(values))
    assert to_bytes(np.array([-1.0, 0, 0.5, 1, 7])).tolist() == [0, 0, 127, 255, 255]
    assert (to_bytes(np.arange(256) / 255) == np.arange(256)).all()


def test_subclasses_must_draw():
    with pytest.raises(TypeError, match="abstract"):
        Generated(3)
