import os
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tinyvision.data import DataLoader, Subset
from tinyvision.data.folders import IMG_EXTENSIONS, ImageFolder, SegmentationFolder, Transformed, natural

RANDOM = np.random.default_rng(5)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.asarray(array, np.uint8)).save(path)
    return path


@pytest.fixture
def pets(tmp_path):
    """Names in an order that is not that of the disk, folders within folders, grey and colour, a file that is no picture."""
    root, expected = tmp_path / "pets", {}
    for name in "dog/b.png", "cat/z.PNG", "cat/deep/a.png", "cat/a.jpg", "Ape/1.bmp", "dog/10.png", "dog/9.png":
        shape = (4, 6) if name == "cat/z.PNG" else (4, 6, 3)
        expected[name] = np.asarray(PIL.Image.open(save(root / name, RANDOM.integers(0, 256, shape))).convert("RGB"))
    (root / "cat" / "notes.txt").write_text("no picture")
    (root / "readme.txt").write_text("no folder")
    return root, expected


ORDER = ["Ape/1.bmp", "cat/a.jpg", "cat/z.PNG", "cat/deep/a.png", "dog/10.png", "dog/9.png", "dog/b.png"]


def test_image_folder(pets):
    root, expected = pets
    found = ImageFolder(root)
    assert found.classes == ["Ape", "cat", "dog"] and found.class_to_idx == {"Ape": 0, "cat": 1, "dog": 2} and len(found) == 7
    assert [Path(path).relative_to(root).as_posix() for path, _ in found.samples] == ORDER
    assert found.targets == [index for _, index in found.imgs] == [0, 1, 1, 1, 2, 2, 2]
    for i, name in enumerate(ORDER):
        image, label = found[i]
        assert image.dtype == np.float32 and type(label) is int and label == found.targets[i]
        np.testing.assert_array_equal(image, expected[name].transpose(2, 0, 1) / np.float32(255))
    np.testing.assert_array_equal(found[-1][0], found[6][0])
    assert repr(found) == f"ImageFolder: 7 pictures, 3 classes, {root}"
    images, labels = next(iter(DataLoader(found, 7)))
    assert images.shape == (7, 3, 4, 6) and labels.numpy().tolist() == found.targets


def test_image_folder_is_torchvisions(pets):
    datasets = pytest.importorskip("torchvision.datasets")
    ours, theirs = ImageFolder(pets[0]), datasets.ImageFolder(pets[0])
    assert (ours.classes, ours.class_to_idx, ours.samples, ours.targets) == (theirs.classes, theirs.class_to_idx, theirs.samples,
                                                                            theirs.targets)
    assert IMG_EXTENSIONS == datasets.folder.IMG_EXTENSIONS


def test_image_folder_options(pets):
    root, _ = pets
    found = ImageFolder(root, lambda image: image * 2, lambda label: -label, loader=lambda path: np.float64(len(path)),
                        is_valid_file=lambda path: path.endswith(("1.bmp", "notes.txt")), allow_empty=True)
    assert found.classes == ["Ape", "cat", "dog"] and found.targets == [0, 1]
    assert found[1] == (2 * len(found.samples[1][0]), -1)


def test_image_folder_errors(pets, tmp_path):
    root, _ = pets
    with pytest.raises(FileNotFoundError, match=re.escape(f"ImageFolder: {tmp_path / 'no'} must be a folder, it does not exist")):
        ImageFolder(tmp_path / "no")
    with pytest.raises(FileNotFoundError, match="readme.txt must be a folder, it is a file"):
        ImageFolder(root / "readme.txt")
    with pytest.raises(FileNotFoundError, match="must hold a folder for each class, it holds none"):
        ImageFolder(root / "dog")
    (root / "bee").mkdir()
    with pytest.raises(FileNotFoundError, match=r"found none in bee of .*allow_empty=True"):
        ImageFolder(root)
    assert ImageFolder(root, allow_empty=True).targets == [0, 2, 2, 2, 3, 3, 3]
    with pytest.raises(FileNotFoundError, match="files that is_valid_file accepts, found none in Ape, bee, cat, dog"):
        ImageFolder(root, is_valid_file=lambda path: False)
    (root / "dog" / "9.png").write_bytes(b"?")
    found = ImageFolder(root, allow_empty=True)
    with pytest.raises(ValueError, match="9.png is damaged or no picture"):
        found[found.samples.index((os.path.join(root, "dog", "9.png"), 3))]
    with pytest.raises(IndexError):
        found[7]
    for wrong in ([0, 1], slice(2), 1.0, True):
        with pytest.raises(TypeError, match=f"ImageFolder: the index must be an integer, got {type(wrong).__name__}. For se"):
            found[wrong]
    assert Subset(found, [2, 0])[1][1] == 0


@pytest.fixture
def cells(tmp_path):
    """The layout of the ISBI challenge: numbers without zeros in front, which text would sort wrongly."""
    root, images, masks = tmp_path / "cells", {}, {}
    for number in 2, 10, 0, 9:
        images[number] = RANDOM.integers(0, 256, (6, 5))
        masks[number] = RANDOM.choice([0, 255], (6, 5))
        save(root / "image" / f"{number}.png", images[number])
        save(root / "label" / f"{number}.png", masks[number])
    return root, images, masks


def test_segmentation_folder(cells):
    root, images, masks = cells
    found = SegmentationFolder(root, values=(0, 255), classes=("membrane", "cell"))
    assert len(found) == 4 and found.classes == ("membrane", "cell")
    for i, number in enumerate((0, 2, 9, 10)):
        image, mask = found[i]
        assert image.dtype == np.float32 and mask.dtype == np.int64
        np.testing.assert_array_equal(image, images[number][None].astype(np.float32) / np.float32(255))
        np.testing.assert_array_equal(mask, masks[number] == 255)
    np.testing.assert_array_equal(SegmentationFolder(root, threshold=254)[1][1], masks[2] == 255)
    np.testing.assert_array_equal(SegmentationFolder(root, values=(255, 0))[1][1], masks[2] == 0)
    np.testing.assert_array_equal(SegmentationFolder(root)[1][1], masks[2])
    assert SegmentationFolder(root, channels=3)[0][0].shape == (3, 6, 5) and SegmentationFolder(root).classes is None
    assert repr(found) == f"SegmentationFolder: 4 pictures with masks, {root}"
    images, masks = next(iter(DataLoader(found, 4)))
    assert images.shape == (4, 1, 6, 5) and masks.shape == (4, 6, 5)


def test_folders_of_other_names_and_endings(cells):
    root, _, masks = cells
    (root / "label").rename(root / "truth")
    for number, mask in masks.items():
        PIL.Image.fromarray(np.uint8(mask)).save(root / "truth" / f"{number}.tif")
        (root / "truth" / f"{number}.png").unlink()
    (root / "truth" / "._2.png").write_bytes(b"a note of macOS")
    np.testing.assert_array_equal(SegmentationFolder(root, "image", "truth", threshold=0)[3][1], masks[10] > 0)


def test_segmentation_transforms(cells):
    root, images, masks = cells
    both = SegmentationFolder(root, transforms=lambda image, mask: (image[:, ::-1], mask[::-1]))
    np.testing.assert_array_equal(both[0][1], masks[0][::-1])
    np.testing.assert_array_equal(both[0][0][0], images[0][::-1].astype(np.float32) / np.float32(255))
    each = SegmentationFolder(root, transform=lambda image: image.sum(), target_transform=lambda mask: mask.max())
    assert each[0][0] == pytest.approx(images[0].sum() / 255) and each[0][1] == 255


def test_segmentation_folder_errors(cells):
    root, _, _ = cells
    with pytest.raises(ValueError, match=r"label.0.png has \[255\] as well"):
        SegmentationFolder(root, values=(0, 1))[0]
    with pytest.raises(ValueError, match="must hold class indices 0..1, .*0.png has 0 to 255. Map its numbers with values"):
        SegmentationFolder(root, classes=("a", "b"))[0]
    with pytest.raises(ValueError, match="SegmentationFolder: values or threshold, not both"):
        SegmentationFolder(root, values=(0, 255), threshold=1)
    with pytest.raises(ValueError, match="classes and values must be as many, got 1 names for 2 numbers"):
        SegmentationFolder(root, values=(0, 255), classes=("a",))
    with pytest.raises(FileNotFoundError, match="masks must be a folder, it does not exist"):
        SegmentationFolder(root, masks="masks")
    save(root / "label" / "2.png", np.zeros((5, 6)))
    with pytest.raises(ValueError, match=r"must have one size, .*2\.png has \(6, 5\) and .*2\.png has \(5, 6\)"):
        SegmentationFolder(root)[1]
    save(root / "image" / "11.png", np.zeros((5, 6)))
    with pytest.raises(FileNotFoundError, match=r"image.11\.png has none in .*label \(of 1 such files\)"):
        SegmentationFolder(root)
    save(root / "label" / "11.png", np.zeros((5, 6)))
    save(root / "label" / "12.png", np.zeros((5, 6)))
    with pytest.raises(FileNotFoundError, match=r"label.12\.png has none in .*image"):
        SegmentationFolder(root)
    save(root / "label" / "12.tif", np.zeros((5, 6)))
    with pytest.raises(ValueError, match=r"differ in more than their endings, got .*12\.png and .*12\.tif"):
        SegmentationFolder(root)
    (root / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="none must hold pictures .*, found none"):
        SegmentationFolder(root, "none")


def test_transform_errors(pets):
    with pytest.raises(TypeError, match="ImageFolder: transform must be a function, got 3. Of a class with __call__, pass an"):
        ImageFolder(pets[0], 3)

    class Double:
        def __call__(self, x):
            return 2 * x

    with pytest.raises(TypeError, match="target_transform must be a function, got <class .*Double'>"):
        ImageFolder(pets[0], target_transform=Double)
    assert ImageFolder(pets[0], target_transform=Double())[-1][1] == 4
    assert ImageFolder(pets[0], target_transform=str)[-1][1] == "2"

    class Set(Transformed):
        def __len__(self):
            return 1

    for option in ("transform", "target_transform"):
        with pytest.raises(ValueError, match="Set: transforms changes picture and target together, .* one or the other"):
            Set(transforms=max, **{option: max})
    with pytest.raises(NotImplementedError, match=r"Set: needs a method load\(index\)"):
        Set()[0]


def test_natural():
    names = [f"{a}{i}{b}" for a in ("", "x", "cell_") for i in (0, 3, 20, 100) for b in ("", ".png", "b7", "b10")]
    shuffled = [names[i] for i in RANDOM.permutation(len(names))]
    ordered = sorted(shuffled, key=natural)
    for a in ("", "x", "cell_"):
        assert [n for n in ordered if re.fullmatch(rf"{a}\d+\.png", n)] == [f"{a}{i}.png" for i in (0, 3, 20, 100)]
    assert sorted(["007", "7", "a"], key=natural) == sorted(["7", "a", "007"], key=natural), "the order never depends on chance"


def test_real_isbi():
    root = Path(os.environ.get("TINYVISION_DATA") or "/nowhere") / "isbi-2012"
    if not root.is_dir():
        pytest.skip("the ISBI 2012 pictures: set TINYVISION_DATA to a folder that holds isbi-2012/")
    found = SegmentationFolder(root, values=(0, 255), classes=("membrane", "cell"))
    assert len(found) == 30 and [Path(p).stem for p, _ in found.samples] == [str(i) for i in range(30)]
    image, mask = found[29]
    assert image.shape == (1, 512, 512) and mask.shape == (512, 512) and 0.6 < mask.mean() < 0.9
