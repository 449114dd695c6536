import hashlib
import io
import re
import tarfile

import numpy as np
import PIL.Image
import pytest

from tests.data.conftest import put
from tinyvision.data import DataLoader, download
from tinyvision.data.pets import OxfordIIITPet, voc_boxes

RANDOM = np.random.default_rng(37)
XML = """<annotation><folder>OXIIIT</folder><filename>{name}.jpg</filename>
<size><width>8</width><height>6</height><depth>3</depth></size><segmented>0</segmented>
<object><name>cat</name><pose>Frontal</pose><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>
</annotation>"""
ROWS = {"trainval": [("Abyssinian_100", 1, 1), ("american_pit_bull_terrier_2", 2, 2), ("Abyssinian_9", 1, 1)],
        "test": [("american_pit_bull_terrier_7", 2, 2), ("Abyssinian_1", 1, 1)]}
BOXES = {"Abyssinian_100": (1, 2, 8, 5), "Abyssinian_9": (3, 3, 3, 3)}     # columns 1..8: all of them


def encoded(array, **options):
    file = io.BytesIO()
    PIL.Image.fromarray(array).save(file, **options)
    return file.getvalue()


def make():
    """The files of a small set, and what is in them."""
    files, pixels, trimaps = {}, {}, {}
    for part, rows in ROWS.items():
        files[f"annotations/{part}.txt"] = "".join(f"{name} {breed} {species} 1\n" for name, breed, species in rows).encode()
        for i, (name, *_) in enumerate(rows):
            data = encoded(RANDOM.integers(0, 256, (6, 8, 3), dtype=np.uint8), format="PNG" if i == 1 else "JPEG")
            files[f"images/{name}.jpg"] = data                            # one of them is a PNG inside, as in the published set
            pixels[name] = np.asarray(PIL.Image.open(io.BytesIO(data)))
            trimaps[name] = RANDOM.integers(1, 4, (6, 8), dtype=np.uint8)
            files[f"annotations/trimaps/{name}.png"] = encoded(trimaps[name], format="PNG")
            files[f"annotations/trimaps/._{name}.png"] = b"a note of macOS"
    for name, box in BOXES.items():
        files[f"annotations/xmls/{name}.xml"] = XML.format(*box, name=name).encode()
    return files, pixels, trimaps


FILES, PIXELS, TRIMAPS = make()


@pytest.fixture
def Tiny(site, tmp_path, monkeypatch):
    monkeypatch.delenv("TINYVISION_DATA", raising=False)
    monkeypatch.setattr(download, "cache_folder", lambda name: tmp_path / "cache" / name)
    digests = {}
    for part in "images", "annotations":
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as target:
            for name, content in FILES.items():
                if name.startswith(part):
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    target.addfile(info, io.BytesIO(content))
        site.files[f"/pets/{part}.tar.gz"] = data.getvalue()
        digests[part] = hashlib.md5(data.getvalue()).hexdigest()

    class Tiny(OxfordIIITPet):
        mirrors, archives = (site.address + "/gone/", site.address + "/pets/"), digests

    return Tiny


@pytest.mark.parametrize("split", ["trainval", "test"])
@pytest.mark.parametrize("inside", [True, False])
def test_targets(Tiny, site, tmp_path, split, inside):
    folder = put(tmp_path / "oxford-iiit-pet", FILES)
    pets = Tiny(folder.parent if inside else folder, split, ["segmentation", "category", "binary-category"])
    assert len(pets) == len(ROWS[split]) and pets.classes == ("Abyssinian", "American Pit Bull Terrier")
    for i, (name, breed, species) in enumerate(ROWS[split]):
        image, (mask, category, kind) = pets[i]
        assert image.dtype == np.float32 and mask.dtype == np.int64
        np.testing.assert_array_equal(image, PIXELS[name].transpose(2, 0, 1) / np.float32(255))
        np.testing.assert_array_equal(mask, TRIMAPS[name].astype(int) - 1)
        assert (category, kind) == (breed - 1, species - 1)
    assert pets.bin_classes[pets[0][1][2]] == ("Cat" if split == "trainval" else "Dog") and pets.mask_classes[1] == "background"
    assert Tiny(folder, split)[1][1] == ROWS[split][1][1] - 1, "one type alone is no tuple"
    assert Tiny(folder, split, ("category",))[1][1] == (ROWS[split][1][1] - 1,)
    images, labels = next(iter(DataLoader(Tiny(folder, split), 2)))
    assert images.shape == (2, 3, 6, 8) and site.requests == []


def test_boxes(Tiny, tmp_path):
    """Only what is marked: an empty list of boxes would say that there is no head."""
    pets = Tiny(put(tmp_path / "mine", FILES), target_types=["boxes", "category"])
    assert len(pets) == 2 and repr(pets) == f"OxfordIIITPet: 2 pictures of trainval, boxes, category, {tmp_path / 'mine'}"
    for i, (name, box) in enumerate(BOXES.items()):
        image, (target, breed) = pets[i]
        x1, y1, x2, y2 = target["boxes"][0].astype(int)
        marked = np.zeros((6, 8), bool)
        for y in range(box[1], box[3] + 1):                               # as the format has it: from 1, both ends inside
            for x in range(box[0], box[2] + 1):
                marked[y - 1, x - 1] = True
        assert marked[y1:y2, x1:x2].all() and marked.sum() == (y2 - y1) * (x2 - x1)
        assert target["boxes"].dtype == np.float32 and target["boxes"].shape == (1, 4)
        assert target["labels"].dtype == np.int64 and target["labels"].tolist() == [breed] == [0]
        np.testing.assert_array_equal(image, PIXELS[name].transpose(2, 0, 1) / np.float32(255))
    with pytest.raises(ValueError, match="heads are marked in the pictures of split='trainval' only, .* has none for 'test'"):
        Tiny(tmp_path / "mine", "test", "boxes")


def test_no_turning(Tiny, tmp_path):
    """Masks and boxes were drawn on the pixels of the file: a note that it lies on its side is not obeyed."""
    folder = put(tmp_path / "mine", FILES)
    exif = PIL.Image.Exif()
    exif[274] = 6
    (folder / "images" / "Abyssinian_100.jpg").write_bytes(encoded(PIXELS["Abyssinian_100"], format="PNG", exif=exif))
    image, mask = Tiny(folder, target_types="segmentation")[0]
    assert image.shape == (3, 6, 8) and mask.shape == (6, 8)


def test_transforms(Tiny, tmp_path):
    folder = put(tmp_path / "mine", FILES)
    pets = Tiny(folder, "trainval", "segmentation", lambda image, mask: (image[:, :, ::-1], mask[:, ::-1]))
    np.testing.assert_array_equal(pets[0][1], TRIMAPS["Abyssinian_100"][:, ::-1].astype(int) - 1)
    assert Tiny(folder, transform=np.shape, target_transform=str)[1] == ((3, 6, 8), "1")


@pytest.mark.parametrize("given", [True, False], ids=["root", "cache"])
def test_download(Tiny, site, tmp_path, given):
    root = tmp_path / "mine" if given else None
    pets = Tiny(root)
    assert site.requests == ["/gone/images.tar.gz", "/pets/images.tar.gz", "/gone/annotations.tar.gz", "/pets/annotations.tar.gz"]
    assert pets.root == (root or tmp_path / "cache") / "oxford-iiit-pet"
    assert sorted(p.name for p in pets.root.iterdir()) == ["annotations", "images"]
    assert not list(pets.root.rglob("._*")) and len(Tiny(root, "test")) == 2 and len(site.requests) == 4


def test_a_download_goes_on_with_the_second_archive(Tiny, site, tmp_path):
    annotations = site.files.pop("/pets/annotations.tar.gz")
    with pytest.raises(FileNotFoundError, match=r"annotations.tar.gz \(404 Not Found\)"):
        Tiny(tmp_path / "mine")
    site.files["/pets/annotations.tar.gz"] = annotations
    site.requests.clear()
    assert len(Tiny(tmp_path / "mine")) == 3 and set(site.requests) == {"/gone/annotations.tar.gz", "/pets/annotations.tar.gz"}


def test_offline(Tiny, site, tmp_path):
    site.files.clear()
    with pytest.raises(FileNotFoundError, match=re.escape("Tiny: the folders images and annotations are in none of the folders "
                                                          f"{tmp_path / 'cache' / 'oxford-iiit-pet'}, and cannot be downloaded")):
        Tiny()
    with pytest.raises(FileNotFoundError, match="download=False. .*tinyvision.data.generated"):
        Tiny(download=False)


@pytest.mark.parametrize("wrong", ["head", [], ["category", "mask"], [3]])
def test_target_types(Tiny, wrong):
    with pytest.raises(ValueError, match=re.escape("target_types must be one or more of category, binary-category, segmentation, "
                                                   f"boxes, got {wrong!r}")):
        Tiny(target_types=wrong)


def test_errors(Tiny, tmp_path):
    with pytest.raises(ValueError, match="split must be 'trainval' or 'test', got 'train'"):
        Tiny(split="train")
    folder = put(tmp_path / "mine", FILES)
    for line in ("Abyssinian_1 1 1", "Abyssinian_1 1 3 1", "Abyssinian_1 0 1 1", "Abyssinian_1 x 1 1"):
        (folder / "annotations" / "test.txt").write_text(f"Abyssinian_1 1 1 1\n{line}\n")
        with pytest.raises(ValueError, match=f"line 2 of .*test.txt is '{line}'. It is damaged"):
            Tiny(folder, "test")
    (folder / "annotations" / "test.txt").write_text("Abyssinian_1 1 1 1\nbeagle_1 5 2 1\n")
    with pytest.raises(ValueError, match=r"breeds must be numbered without gaps, the list of test in .* has \[1, 5\]"):
        Tiny(folder, "test")
    trimap = folder / "annotations" / "trimaps" / "Abyssinian_100.png"
    trimap.write_bytes(encoded(np.full((8, 6), 1, np.uint8), format="PNG"))
    with pytest.raises(ValueError, match=r"Abyssinian_100.png has \(8, 6\) and the picture has \(6, 8\)"):
        Tiny(folder, target_types="segmentation")[0]
    trimap.write_bytes(encoded(np.full((6, 8), 4, np.uint8), format="PNG"))
    with pytest.raises(ValueError, match=r"Abyssinian_100.png has \[4\] as well"):
        Tiny(folder, target_types="segmentation")[0]
    (folder / "images" / "Abyssinian_9.jpg").write_bytes(FILES["images/Abyssinian_9.jpg"][:90])
    with pytest.raises(ValueError, match="Abyssinian_9.jpg is damaged or no picture"):
        Tiny(folder)[2]


def test_voc_boxes(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<annotation></annotation>")
    assert voc_boxes(path).shape == (0, 4) and voc_boxes(path).dtype == np.float32
    one, other = XML.format(1, 1, 2, 2, name="a"), XML.format(0, 0, 5, 6, name="a")
    path.write_text(one.replace("</annotation>", "") + other.replace("<annotation>", ""))
    assert voc_boxes(path).tolist() == [[0, 0, 2, 2], [0, 0, 5, 6]]
    path.write_text(XML.format(5, 1, 4, 2, name="a"))
    with pytest.raises(ValueError, match="a box must have xmin <= xmax and ymin <= ymax, .*a.xml has"):
        voc_boxes(path)
    for text in ("", "<annotation>", XML.format("left", 1, 4, 2, name="a"), one.replace("ymin", "top")):
        path.write_text(text)
        with pytest.raises(ValueError, match="a.xml is no annotation in Pascal VOC's form"):
            voc_boxes(path)
