import hashlib
import io
import re
import zipfile

import numpy as np
import PIL.Image
import pytest
from scipy import ndimage

from tests.data.conftest import put
from tinyvision.data import download
from tinyvision.data.penn_fudan import PennFudanPed, instances

RANDOM = np.random.default_rng(170)


def scene(count, shape=(20, 24)):
    """A picture and a mask of `count` people that do not cover each other."""
    mask = np.zeros(shape, np.uint8)
    for number, column in enumerate(np.linspace(0, shape[1], count + 1)[:-1].astype(int), 1):
        height, width = RANDOM.integers(3, 9), RANDOM.integers(2, 5)
        top = RANDOM.integers(0, shape[0] - height)
        mask[top:top + height, column:column + width] = number * (RANDOM.random((height, width)) < 0.8)
        mask[top + 1, column] = number
    return RANDOM.integers(0, 256, (*shape, 3), dtype=np.uint8), mask


SCENES = {"FudanPed00001": scene(2), "FudanPed00002": scene(1, (18, 9)), "PennPed00010": scene(3), "PennPed00009": scene(3)}


def encoded(array):
    file = io.BytesIO()
    PIL.Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


FILES = {f"PNGImages/{name}.png": encoded(image) for name, (image, _) in SCENES.items()}
FILES |= {f"PedMasks/{name}_mask.png": encoded(mask) for name, (_, mask) in SCENES.items()} | {"readme.txt": b"people"}


@pytest.fixture
def Tiny(site, tmp_path, monkeypatch):
    monkeypatch.delenv("TINYVISION_DATA", raising=False)
    monkeypatch.setattr(download, "cache_folder", lambda name: tmp_path / "cache" / name)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as target:
        target.writestr("PennFudanPed/", b"")
        for name, content in FILES.items():
            target.writestr(f"PennFudanPed/{name}", content)
    site.files["/ped/PennFudanPed.zip"] = data.getvalue()

    class Tiny(PennFudanPed):
        mirrors, md5 = (site.address + "/ped/",), hashlib.md5(data.getvalue()).hexdigest()

    return Tiny


@pytest.mark.parametrize("inside", [True, False])
def test_examples(Tiny, site, tmp_path, inside):
    folder = put(tmp_path / "PennFudanPed", FILES)
    people = Tiny(folder.parent if inside else folder)
    order = ["FudanPed00001", "FudanPed00002", "PennPed00009", "PennPed00010"]
    assert len(people) == 4 and repr(people) == f"PennFudanPed: 4 pictures, {folder}"
    for i, name in enumerate(order):
        pixels, numbers = SCENES[name]
        image, target = people[i]
        np.testing.assert_array_equal(image, pixels.transpose(2, 0, 1) / np.float32(255))
        count = numbers.max()
        assert target["masks"].dtype == bool and target["boxes"].dtype == np.float32 and target["labels"].dtype == np.int64
        assert target["masks"].shape == (count, *numbers.shape) and target["labels"].tolist() == [0] * count
        np.testing.assert_array_equal((target["masks"] * np.arange(1, count + 1)[:, None, None]).sum(0), numbers)
        expected = [[x.start, y.start, x.stop, y.stop] for y, x in ndimage.find_objects(numbers)]
        np.testing.assert_array_equal(target["boxes"], expected)
    assert people.classes == ("person",) and site.requests == []


def test_transforms(Tiny, tmp_path):
    folder = put(tmp_path / "mine", FILES)
    people = Tiny(folder, lambda image, target: (image.shape, len(target["boxes"])))
    assert people[3] == ((3, 20, 24), 3)
    assert Tiny(folder, transform=np.size, target_transform=sorted)[1] == (3 * 18 * 9, ["boxes", "labels", "masks"])


@pytest.mark.parametrize("given", [True, False], ids=["root", "cache"])
def test_download(Tiny, site, tmp_path, given):
    root = tmp_path / "mine" if given else None
    folder = (root or tmp_path / "cache") / "PennFudanPed"
    assert Tiny(root).root == folder and [p.name for p in folder.parent.iterdir()] == ["PennFudanPed"]
    assert len(Tiny(root)) == 4 and len(site.requests) == 1


def test_offline(Tiny, site):
    site.files.clear()
    with pytest.raises(FileNotFoundError, match="Tiny: the folders PNGImages and PedMasks are in none of .* cannot be downloaded "
                                                ".*SceneDetection"):
        Tiny()


def test_errors(Tiny, tmp_path):
    folder = put(tmp_path / "mine", FILES)
    (folder / "PedMasks" / "FudanPed00002_mask.png").write_bytes(encoded(np.zeros((9, 18), np.uint8)))
    with pytest.raises(ValueError, match=re.escape("FudanPed00002_mask.png has (9, 18) and ")):
        Tiny(folder)[1]
    (folder / "PedMasks" / "FudanPed00002_mask.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"FudanPed00002.png has none in .*PedMasks \(of 1 such pictures\)"):
        Tiny(folder)
    for path in (folder / "PNGImages").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="PNGImages must hold pictures, found none"):
        Tiny(folder)


def test_instances():
    """Gaps in the numbers, a thing of two pieces, one at the edge, and nothing at all."""
    numbers = np.zeros((5, 6), np.int64)
    numbers[0, 5], numbers[4, 0], numbers[2, 3] = 7, 2, 2
    found = instances(numbers)
    assert found["boxes"].tolist() == [[0, 2, 4, 5], [5, 0, 6, 1]] and found["masks"].sum() == 3
    none = instances(np.zeros((5, 6), np.int64))
    assert none["boxes"].shape == (0, 4) and none["masks"].shape == (0, 5, 6) and none["labels"].shape == (0,)
    assert none["masks"].dtype == bool and none["boxes"].dtype == np.float32
