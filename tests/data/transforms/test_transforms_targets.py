"""What moves together: pictures, masks, boxes, points; random numbers; errors of the common call."""

import pickle
import re
from collections import namedtuple

import numpy as np
import pytest

from tinyvision import Tensor, manual_seed
from tinyvision.data.transforms import (CenterCrop, ColorJitter, Compose, ElasticTransform, GaussianBlur, GaussianNoise,
                                        Geometric, Grayscale, Normalize, Pad, Photometric, RandomAffine, RandomApply,
                                        RandomChoice, RandomCrop, RandomErasing, RandomGrayscale, RandomGridElastic,
                                        RandomHorizontalFlip, RandomOrder, RandomResizedCrop, RandomRotation,
                                        RandomVerticalFlip, Resize, Transform)

H, W = 96, 128
GEOMETRIC = {
    "flip": RandomHorizontalFlip(p=1),
    "vertical flip": RandomVerticalFlip(p=1),
    "pad": Pad((3, 5, 7, 0)),
    "pad edge": Pad(4, padding_mode="edge"),
    "center crop": CenterCrop((80, 100)),
    "center crop of a small picture": CenterCrop((101, 130)),
    "crop": RandomCrop((84, 110)),
    "crop with padding": RandomCrop((96, 128), padding=12),
    "enlarge": Resize((150, 300)),
    "shrink": Resize((48, 61)),
    "nearest": Resize(70, interpolation="nearest-exact"),
    "resized crop": RandomResizedCrop((64, 80), scale=(0.4, 1)),
    "rotation": RandomRotation(180),
    "rotation, all": RandomRotation(180, "bicubic", expand=True),
    "rotation about": RandomRotation(40, "bilinear", center=(30, 20)),
    "affine": RandomAffine(30, (0.2, 0.1), (0.7, 1.3), (-20, 20, -10, 10), "bilinear"),
    "elastic": ElasticTransform(100.0, 8.0),
    "grid": RandomGridElastic(sigma=5.0, padding_mode="constant"),
    "composed": Compose([RandomGridElastic(sigma=3.0, padding_mode="constant"), RandomRotation(20, "bilinear"), Resize(64),
                         RandomHorizontalFlip(0.5)]),
}
PHOTOMETRIC = {
    "jitter": ColorJitter(0.5, 0.5, 0.5, 0.2),
    "blur": GaussianBlur(5),
    "noise": GaussianNoise(),
    "erasing": RandomErasing(p=1),
    "grey": Grayscale(3),
    "random grey": RandomGrayscale(1),
    "normalize": Normalize([0.5, 0.4, 0.3], [0.1, 0.2, 0.3]),
}
EVERY = {**GEOMETRIC, **PHOTOMETRIC}


def tight(mask):
    """The smallest box around the pixels of a mask."""
    y, x = np.nonzero(mask)
    return np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], np.float64)


def iou(a, b):
    side = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    overlap = side.prod()
    return overlap / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - overlap)


def scene(seed):
    """A picture with two rectangles, their boxes, masks and corner points."""
    rng = np.random.default_rng(seed)
    image, mask = rng.random((3, H, W), np.float32), np.zeros((H, W), np.int64)
    boxes, masks = [], np.zeros((2, H, W), bool)
    for k in range(2):
        x, y = rng.integers(8, 20) + k * W // 2, rng.integers(8, H // 2)
        w, h = rng.integers(24, 36), rng.integers(24, H - 8 - y)          # side by side, not one over the other
        boxes.append([x, y, x + w, y + h])
        masks[k, y:y + h, x:x + w] = True
        mask[y:y + h, x:x + w] = k + 1
    boxes = np.float32(boxes)
    return image, {"boxes": boxes, "labels": np.array([4, 7]), "masks": masks, "mask": mask, "id": "scene",
                   "keypoints": boxes.reshape(2, 2, 2)}


@pytest.mark.parametrize("name", GEOMETRIC)
def test_a_box_moves_like_its_mask(name):
    """Independent of the map: the box around the moved pixels of a rectangle is the moved box of the rectangle."""
    seen = 0
    for seed in range(12):
        image, target = scene(seed)
        new, moved = GEOMETRIC[name](image, target, rng=seed)
        assert moved["mask"].shape == new.shape[1:] == moved["masks"].shape[1:] and moved["id"] == "scene"
        assert len(moved["boxes"]) == len(moved["labels"]) == len(moved["masks"]) == len(moved["keypoints"])
        for box, label, mask in zip(moved["boxes"], moved["labels"], moved["masks"]):
            assert 0 <= box[0] < box[2] <= new.shape[2] and 0 <= box[1] < box[3] <= new.shape[1]
            np.testing.assert_array_equal(moved["mask"][mask], {4: 1, 7: 2}[label])
            if not mask.any():
                continue
            around = tight(mask)
            assert (around[:2] > box[:2] - 1).all() and (around[2:] < box[2:] + 1).all()
            # turned things that reach over the border fill less of their box, and so does the box of a box
            if 0 < around[0] and around[2] < new.shape[2] and 0 < around[1] and around[3] < new.shape[1]:
                assert iou(around, box) > (0.6 if name == "composed" else 0.85)
                assert name == "composed" or np.abs(around - box).max() < (2.5 if "elastic" in name or "grid" in name else 1.5)
                seen += 1
    assert seen >= 8


@pytest.mark.parametrize("name", GEOMETRIC)
def test_points_move_like_the_picture(name):
    """A bright spot at a point is found again at the moved point."""
    seen = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform([30, 30], [W - 30, H - 30])
        v, u = np.mgrid[:H, :W] + 0.5
        spot = np.exp(-((u - x) ** 2 + (v - y) ** 2) / 18)[None]
        new, moved = GEOMETRIC[name](spot, {"keypoints": np.array([[[x, y]]])}, rng=seed)
        (px, py), (h, w) = moved["keypoints"][0, 0], new.shape[1:]
        if 12 < px < w - 12 and 12 < py < h - 12:
            v, u = np.mgrid[:h, :w] + 0.5
            near = new[0] * (new[0] > 0.05)
            assert np.hypot((u * near).sum() / near.sum() - px, (v * near).sum() / near.sum() - py) < 0.7
            seen += 1
    assert seen >= 5


@pytest.mark.parametrize("name", EVERY)
def test_same_seed_same_bits(name):
    t = EVERY[name]
    image, target = scene(0)
    one, other = t(image, target, rng=5), t(image, target, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1]["boxes"], other[1]["boxes"])
    np.testing.assert_array_equal(one[0], t(image, rng=5))
    again = pickle.loads(pickle.dumps(t))
    np.testing.assert_array_equal(t(image), again(image))                 # and the generator went along


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_changed_in_place(name):
    image, target = scene(1)
    copies = image.copy(), {key: np.copy(value) for key, value in target.items()}
    new, moved = EVERY[name](image, target, rng=1)
    new[...] = -1
    np.testing.assert_array_equal(image, copies[0])
    for key in target:
        np.testing.assert_array_equal(target[key], copies[1][key])
    assert list(moved) == list(target)


@pytest.mark.parametrize("name", EVERY)
def test_forms(name):
    """Tensors come back as Tensors, dtypes stay, layouts do not matter, and every picture is new and contiguous."""
    t = EVERY[name]
    image, target = scene(2)
    expected, moved = t(image, target, rng=3)
    assert expected.dtype == np.float32 and expected.flags.c_contiguous
    assert {key: moved[key].dtype for key in ("boxes", "labels", "masks", "mask", "keypoints")} == \
        {"boxes": np.float32, "labels": np.int64, "masks": bool, "mask": np.int64, "keypoints": np.float32}
    tensors = {key: Tensor(value) if key != "id" else value for key, value in target.items()}
    new, answers = t(Tensor(image), tensors, rng=3)
    assert isinstance(new, Tensor)
    np.testing.assert_array_equal(new.data, expected)
    for key in "boxes", "labels", "masks", "mask", "keypoints":
        assert isinstance(answers[key], Tensor)
        np.testing.assert_array_equal(answers[key].data, moved[key])
    turned = np.ascontiguousarray(image.transpose(2, 1, 0)).transpose(2, 1, 0)
    np.testing.assert_allclose(t(turned, rng=3), expected, atol=2e-7)
    double = t(image.astype(np.float64), rng=3)
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, expected, atol=2e-5)


@pytest.mark.parametrize("name", GEOMETRIC)
def test_empty_targets(name):
    image, _ = scene(0)
    none = {"boxes": np.zeros((0, 4), np.float32), "labels": np.zeros(0, np.int64), "masks": np.zeros((0, H, W), bool),
            "keypoints": np.zeros((0, 3, 2), np.float32)}
    new, moved = GEOMETRIC[name](image, none, rng=0)
    assert moved["boxes"].shape == (0, 4) and moved["labels"].shape == (0,) and moved["keypoints"].shape == (0, 3, 2)
    assert moved["masks"].shape == (0, *new.shape[1:]) and moved["masks"].dtype == bool


def test_other_targets():
    """Labels stay; masks, maps and tuples of them move; colours move nothing."""
    image, target = scene(0)
    Pair = namedtuple("Pair", "label mask")
    flip = RandomHorizontalFlip(p=1)
    for label in (3, 2.5, None, "caption", np.int64(4), np.array(5), np.array([0.0, 1.0, 1.0])):
        assert flip(image, label)[1] is label and GaussianBlur(3)(image, label)[1] is label
    depth = np.random.default_rng(0).random((H, W))
    answer = flip(image, Pair(3, (target["mask"], depth, image)))[1]
    assert isinstance(answer, Pair) and answer.label == 3
    for new, old in zip(answer.mask, (target["mask"], depth, image)):
        np.testing.assert_array_equal(new, old[..., ::-1])
    assert flip(image, [np.uint8(target["mask"])])[1][0].dtype == np.uint8
    smooth = RandomRotation((30, 30), "bilinear")(image, [depth, target["mask"] > 0])[1]
    assert len(np.unique(smooth[0])) > H * W / 3 and smooth[1].dtype == bool
    assert ColorJitter(0.5)(image, target)[1] is target


def test_boxes_that_leave():
    boxes = np.float32([[0, 0, 4, 4], [4, 4, 12, 12], [6, 0, 16, 6], [2, 2, 2, 9]])
    masks = np.zeros((4, 16, 16), bool)
    image, target = CenterCrop(8)(np.zeros((1, 16, 16)), {
        "boxes": boxes, "labels": [1, 2, 3, 4], "masks": masks, "keypoints": np.arange(8.0).reshape(4, 1, 2)})
    np.testing.assert_array_equal(target["boxes"], [[0, 0, 8, 8], [2, 0, 8, 2]])
    np.testing.assert_array_equal(target["labels"], [2, 3])
    np.testing.assert_array_equal(target["keypoints"], [[[-2, -1]], [[0, 1]]])
    assert target["masks"].shape == (2, 8, 8)


def test_random_numbers():
    """The engine's seed repeats a transform made after it; rng is taken before the transform's own generator."""
    image, _ = scene(0)

    def made(**options):
        manual_seed(3)
        return RandomErasing(p=1, **options)
    np.testing.assert_array_equal(made()(image), made()(image))
    assert (made()(image) != made(generator=1)(image)).any()
    t = made(generator=1)
    assert (t(image) != t(image)).any()
    np.testing.assert_array_equal(made(generator=np.random.default_rng(1))(image), made(generator=1)(image))
    np.testing.assert_array_equal(made(generator=1)(image, rng=9), made(generator=2)(image, rng=9))
    with pytest.raises(TypeError, match="RandomErasing: needs an integer seed or a numpy.random.Generator, got str"):
        RandomErasing(generator="a")
    with pytest.raises(TypeError, match="RandomErasing: needs an integer seed or a numpy.random.Generator, got str"):
        RandomErasing()(image, rng="a")


class Note(Photometric):
    """Writes its name and what it drew into a list."""

    def __init__(self, name, seen, generator=None):
        super().__init__(generator)
        self.name, self.seen = name, seen

    def draw(self, rng, shape):
        return rng.random()

    def colour(self, x, drawn):
        self.seen.append((self.name, drawn))
        return x + 1


def test_compose_shares_its_numbers():
    seen, image = [], np.zeros((1, 2, 2))
    random = np.random.default_rng(8)
    expected = [("a", random.random()), ("b", random.random())]
    t = Compose([Note("a", seen), Note("b", seen)], generator=8)
    assert t(image).max() == 2 and seen == expected
    seen.clear()
    assert Compose([Note("a", seen), Note("b", seen)])(image, 5, rng=8)[1] == 5 and seen == expected
    seen.clear()
    own = Compose([Note("a", seen, 8), Note("b", seen, 8)])
    own(image)
    assert seen == [("a", expected[0][1]), ("b", expected[0][1])]
    seen.clear()
    assert Compose([])(image) is image and Compose([])(image, 3)[1] == 3


def test_some_of_them():
    seen, image = [], np.zeros((1, 2, 2))
    three = [Note(name, seen) for name in "abc"]
    apply = RandomApply(three[:2], p=0.3, generator=0)
    applied = [apply(image).max() for _ in range(1000)]
    assert set(applied) == {0, 2} and 230 < applied.count(2) < 370
    seen.clear()
    choice = RandomChoice(three, p=[1, 0, 3], generator=0)
    assert {choice(image).max() for _ in range(1000)} == {1}
    chosen = [name for name, _ in seen]
    assert 180 < chosen.count("a") < 320 and "b" not in chosen
    seen.clear()
    order = RandomOrder(three, generator=0)
    assert {order(image).max() for _ in range(300)} == {3}
    orders = ["".join(name for name, _ in seen[i:i + 3]) for i in range(0, 900, 3)]
    assert set(orders) == {"abc", "acb", "bac", "bca", "cab", "cba"} and min(map(orders.count, set(orders))) > 25


def test_probabilities():
    image = np.arange(2.0).reshape(1, 1, 2)
    flip = RandomHorizontalFlip(p=0.2, generator=1)
    count = sum(flip(image)[0, 0, 0] == 1 for _ in range(1000))
    assert 150 < count < 250
    assert RandomHorizontalFlip(p=0)(image) is image
    assert all((RandomHorizontalFlip(p=1)(image) == [[[1, 0]]]).all() for _ in range(50))


def test_repr():
    assert repr(RandomCrop(32, 4)) == \
        "RandomCrop(size=(32, 32), padding=(4, 4, 4, 4), pad_if_needed=False, fill=0, padding_mode='constant')"
    assert repr(RandomApply([Pad(1)], p=0.2)) == \
        "RandomApply([\n    Pad(padding=(1, 1, 1, 1), fill=0, padding_mode='constant'),\n], p=0.2)"
    assert repr(RandomGridElastic()).startswith("RandomGridElastic(points=(3, 3), sigma=10.0, ")


IMAGE = np.zeros((3, 8, 8), np.float32)
BOXES = np.zeros((1, 4), np.float32)
FLIP = RandomHorizontalFlip(p=0)                          # what is wrong is told even where chance would leave it alone
WRONG = [
    (ValueError, lambda: FLIP(IMAGE[0]), "a picture must be (C, H, W) and not empty, got shape (8, 8). Grey ones have C = 1"),
    (ValueError, lambda: FLIP(IMAGE[None]), "got shape (1, 3, 8, 8)"),
    (ValueError, lambda: FLIP(IMAGE[:, :0]), "not empty, got shape (3, 0, 8)"),
    (TypeError, lambda: FLIP(IMAGE.astype(np.uint8)), "must have floats from 0 to 1, got uint8. image.astype('float32') / 255"),
    (TypeError, lambda: FLIP([[[0.5]]]), "the picture must be a NumPy array or a Tensor of one, got list"),
    (ValueError, lambda: FLIP(Tensor(IMAGE, requires_grad=True)), "the picture requires a gradient"),
    (ValueError, lambda: FLIP(IMAGE, np.zeros((4, 4), int)), "must have the picture's size (8, 8), got shape (4, 4)"),
    (ValueError, lambda: FLIP(IMAGE, (3, np.zeros((5, 4)))), "must have the picture's size (8, 8), got shape (5, 4)"),
    (ValueError, lambda: FLIP(IMAGE, np.zeros((1, 1, 8, 8))), "got shape (1, 1, 8, 8)"),
    (TypeError, lambda: FLIP(IMAGE, {1, 2}), "a target must be a number, a text, an array, a dict, or a tuple of these, got set"),
    (ValueError, lambda: FLIP(IMAGE, {"boxes": BOXES[:, :3]}), "target['boxes'] must be (n, 4), for a picture with (H, W) = (8"),
    (TypeError, lambda: FLIP(IMAGE, {"boxes": BOXES.astype(int)}), "target['boxes'] must have floats, got int64"),
    (TypeError, lambda: FLIP(IMAGE, {"boxes": [[0.0, 0, 1, 1]]}), "the target['boxes'] must be a NumPy array or a Tensor"),
    (ValueError, lambda: FLIP(IMAGE, {"boxes": BOXES * np.nan}), "target['boxes'] must be finite numbers, box 0 is not"),
    (ValueError, lambda: FLIP(IMAGE, {"masks": np.zeros((1, 4, 8), bool)}), "target['masks'] must be (n, H, W)"),
    (TypeError, lambda: FLIP(IMAGE, {"mask": np.zeros((8, 8))}), "target['mask'] must have integers or booleans, got float64"),
    (ValueError, lambda: FLIP(IMAGE, {"keypoints": np.zeros((1, 2))}), "target['keypoints'] must be (n, k, 2)"),
    (ValueError, lambda: FLIP(IMAGE, {"boxes": BOXES, "labels": [1, 2]}), "one row per box in each of boxes, labels, got 1, 2"),
    (ValueError, lambda: FLIP(IMAGE, {"boxes": BOXES, "labels": 1}), "one row per box in each of boxes, labels, got 1, no rows"),
    (ValueError, lambda: FLIP(IMAGE, {"boxes": BOXES, "masks": np.zeros((0, 8, 8), bool)}), "boxes, masks, got 1, 0 rows"),
    (ValueError, lambda: RandomHorizontalFlip(p=1.5), "RandomHorizontalFlip: p must be a probability from 0 to 1, got 1.5"),
    (ValueError, lambda: RandomApply([], p=True), "RandomApply: p must be a probability from 0 to 1, got True"),
    (TypeError, lambda: Compose(FLIP), "Compose: transforms must be a list of transforms, got RandomHorizontalFlip"),
    (TypeError, lambda: Compose([FLIP, RandomVerticalFlip]), "needs transforms, got <class"),
    (TypeError, lambda: Compose([len]), "as number 0. Make instances, and derive your own from Transform"),
    (ValueError, lambda: RandomChoice([]), "RandomChoice: needs a transform to choose, got an empty list"),
    (ValueError, lambda: RandomChoice([FLIP], p=[1, 2]), "RandomChoice: p must have 1 numbers, got [1, 2]"),
    (ValueError, lambda: RandomChoice([FLIP], p=[0]), "RandomChoice: p must be greater than 0 for one transform"),
    (ValueError, lambda: RandomChoice([FLIP, FLIP], p=[2, -1]), "RandomChoice: p must be at least 0, got [2, -1]"),
    (NotImplementedError, lambda: Transform()(IMAGE), "Transform: needs a method change(x, target, drawn)"),
    (NotImplementedError, lambda: Photometric()(IMAGE), "Photometric: needs a method colour(x, drawn)"),
    (NotImplementedError, lambda: Geometric()(IMAGE), "Geometric: needs a method move(x, drawn, kind)"),
]


@pytest.mark.parametrize("error, call, message", WRONG, ids=[message[:40] for _, _, message in WRONG])
def test_errors(error, call, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
