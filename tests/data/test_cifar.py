import hashlib
import io
import os
import re
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest

from tinyvision.data import DataLoader, cifar, download
from tinyvision.data.cifar import CIFAR10, CIFAR100

RANDOM = np.random.default_rng(10)


def batch(n, *kinds):
    """n records, written one after the other as the format says."""
    labels = [tuple(int(RANDOM.integers(k)) for k in kinds) for _ in range(n)]
    pixels = RANDOM.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    data = b"".join(bytes(label) + red.tobytes() + green.tobytes() + blue.tobytes()
                    for label, (red, green, blue) in zip(labels, pixels))
    return data, np.array(labels), pixels


TEN = {**{f"data_batch_{i}.bin": batch(3, 10) for i in range(1, 6)}, "test_batch.bin": batch(4, 10)}
HUNDRED = {"train.bin": batch(5, 20, 100), "test.bin": batch(2, 20, 100)}


def packed(top, files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as target:
        for name, (content, *_) in {**files, "readme.html": (b"<html>", 0)}.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    return data.getvalue()


def tiny(kind, contents, site, tmp_path, monkeypatch):
    """The class in every respect, but of a few pictures and with a mirror on this machine."""
    monkeypatch.delenv("TINYVISION_DATA", raising=False)
    monkeypatch.setattr(download, "cache_folder", lambda name: tmp_path / "cache" / name)
    data = packed(kind.folder, contents)
    site.files[f"/sets/{kind.archive}"] = data
    return type(kind.__name__, (kind,), {
        "mirrors": (site.address + "/gone", site.address + "/sets"), "md5": hashlib.md5(data).hexdigest(),
        "files": {name: (len(labels), hashlib.md5(content).hexdigest()) for name, (content, labels, _) in contents.items()}})


@pytest.fixture
def Ten(site, tmp_path, monkeypatch):
    return tiny(CIFAR10, TEN, site, tmp_path, monkeypatch)


@pytest.fixture
def Hundred(site, tmp_path, monkeypatch):
    return tiny(CIFAR100, HUNDRED, site, tmp_path, monkeypatch)


def put(folder, contents, only=None):
    folder.mkdir(parents=True, exist_ok=True)
    for name, (content, *_) in contents.items():
        if only is None or name in only:
            (folder / name).write_bytes(content)
    return folder


def check(found, pixels, labels):
    assert found.images.dtype == np.float32 and found.labels.dtype == np.int64
    np.testing.assert_array_equal(found.images, np.concatenate(pixels).astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(found.labels, np.concatenate(labels))


@pytest.mark.parametrize("inside", [True, False])
def test_ten(Ten, site, tmp_path, inside):
    folder = put(tmp_path / "mine" / "cifar-10-batches-bin", TEN)
    root = folder.parent if inside else folder
    found = Ten(root)
    check(found, [TEN[f"data_batch_{i}.bin"][2] for i in range(1, 6)], [TEN[f"data_batch_{i}.bin"][1][:, 0] for i in range(1, 6)])
    assert found.classes[0] == "airplane" and len(found.classes) == 10 and found.images.shape == (15, 3, 32, 32)
    check(Ten(str(root), train=False), [TEN["test_batch.bin"][2]], [TEN["test_batch.bin"][1][:, 0]])
    images, labels = next(iter(DataLoader(found, 4)))
    assert images.shape == (4, 3, 32, 32) and site.requests == []


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("coarse", [True, False])
def test_hundred(Hundred, tmp_path, train, coarse):
    put(tmp_path / "mine", HUNDRED)
    _, labels, pixels = HUNDRED["train.bin" if train else "test.bin"]
    found = Hundred(tmp_path / "mine", train, coarse=coarse)
    check(found, [pixels], [labels[:, 0 if coarse else 1]])
    assert (len(found.classes), found.classes[-1]) == ((20, "vehicles_2") if coarse else (100, "worm"))


@pytest.mark.parametrize("there, missing", [(["data_batch_2.bin"], "data_batch_1.bin, data_batch_3.bin, data_batch_4.bin, "
                                             "data_batch_5.bin are"),
                                            ([f"data_batch_{i}.bin" for i in range(1, 5)], "data_batch_5.bin is")])
def test_some_batches_are_enough(Ten, site, tmp_path, there, missing):
    folder = put(tmp_path / "mine", TEN, there)
    message = f"CIFAR10: in {folder}, {missing} missing, so these are {3 * len(there)} of 15 pictures."
    with pytest.warns(UserWarning, match=re.escape(message)) as caught:
        found = Ten(folder)
    assert caught[0].filename == __file__
    check(found, [TEN[name][2] for name in there], [TEN[name][1][:, 0] for name in there])
    assert site.requests == []


def test_a_whole_set_is_preferred_to_a_part(Ten, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYVISION_DATA", str(tmp_path / "shared"))
    put(tmp_path / "shared" / "cifar-10-batches-bin", TEN, ["data_batch_1.bin", "test_batch.bin"])
    put(tmp_path / "cache" / "cifar-10-batches-bin", TEN)
    assert len(Ten()) == 15
    assert Ten.find(Ten.part(False), None, False) == (tmp_path / "shared" / "cifar-10-batches-bin", ["test_batch.bin"])


def test_other_bytes_of_the_right_form_are_named(Ten, tmp_path):
    folder = put(tmp_path / "mine", TEN)
    (folder / "test_batch.bin").write_bytes(TEN["test_batch.bin"][0][:-1] + bytes([TEN["test_batch.bin"][0][-1] ^ 1]))
    with pytest.warns(UserWarning, match="test_batch.bin is not byte for byte the official file, so results may differ"):
        Ten(folder, train=False)
    for i in 2, 4:
        content = TEN[f"data_batch_{i}.bin"][0]
        (folder / f"data_batch_{i}.bin").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.warns(UserWarning, match="data_batch_2.bin, data_batch_4.bin are not byte for byte the official files"):
        Ten(folder)


@pytest.mark.parametrize("damage, message", [
    (lambda d: d[:-1], r"must have 4 records of 3073 bytes, 12292 in all, got 12291\. It was cut off"),
    (lambda d: d + b"?", "got 12293"),
    (lambda d: b"", "got 0"),
    (lambda d: b"\x0a" + d[1:], r"labels must be 0\.\.9, .*test_batch.bin has 10\. It is damaged"),
])
def test_damaged_files_are_refused_and_left_alone(Ten, site, tmp_path, damage, message):
    folder = put(tmp_path / "mine", TEN)
    bad = damage(TEN["test_batch.bin"][0])
    (folder / "test_batch.bin").write_bytes(bad)
    with pytest.raises(ValueError, match=message):
        Ten(folder, train=False)
    assert (folder / "test_batch.bin").read_bytes() == bad and site.requests == []


def test_labels_of_hundred(Hundred, tmp_path):
    folder = put(tmp_path / "mine", HUNDRED)
    for label, message in ((b"\x14\0", r"labels must be 0\.\.19, .* has 20"), (b"\0\x64", r"labels must be 0\.\.99, .* has 100")):
        (folder / "test.bin").write_bytes(label + HUNDRED["test.bin"][0][2:])
        with pytest.raises(ValueError, match=message):
            Hundred(folder, train=False)


@pytest.mark.parametrize("given", [True, False], ids=["root", "cache"])
def test_download(Ten, site, tmp_path, given):
    root = tmp_path / "mine" if given else None
    target = (root or tmp_path / "cache") / "cifar-10-batches-bin"
    first = Ten(root)
    assert site.requests == ["/gone/cifar-10-binary.tar.gz", "/sets/cifar-10-binary.tar.gz"]
    assert [p.name for p in target.parent.iterdir()] == ["cifar-10-batches-bin"], "the archive is not kept"
    assert {p.name for p in target.iterdir()} == {*TEN, "readme.html", "SHA256SUMS"}
    np.testing.assert_array_equal(first.images, Ten(root).images)
    assert len(Ten(root, train=False)) == 4 and len(site.requests) == 2, "the network was touched again"


def test_an_archive_that_is_there_is_used_and_kept(Hundred, site, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cifar-100-binary.tar.gz").write_bytes(site.files["/sets/cifar-100-binary.tar.gz"])
    assert len(Hundred(tmp_path / "mine")) == 5 and site.requests == []
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == ["cifar-100-binary", "cifar-100-binary.tar.gz"]


def test_what_is_in_the_way_stays(Ten, site, tmp_path):
    folder = put(tmp_path / "mine" / "cifar-10-batches-bin", TEN, ["test_batch.bin"])
    with pytest.raises(FileExistsError, match=re.escape(f"{folder} is there already, and not what is needed. Move it away")):
        Ten(tmp_path / "mine")
    assert [p.name for p in folder.iterdir()] == ["test_batch.bin"] and site.requests == [], "nothing is downloaded for nothing"
    for path in folder.iterdir():
        path.unlink()
    assert len(Ten(tmp_path / "mine")) == 15
    (folder / "test_batch.bin").unlink()                          # from what was unpacked here
    with pytest.raises(FileExistsError, match="and not what is needed"):
        Ten(tmp_path / "mine", train=False)


def test_offline(Ten, site, tmp_path):
    site.files.clear()
    with pytest.raises(FileNotFoundError) as failure:
        Ten()
    folder = tmp_path / "cache" / "cifar-10-batches-bin"
    for part in ("CIFAR10: the files data_batch_1.bin, ", f"are in none of the folders {folder}, ",
                 f"{site.address}/sets/cifar-10-binary.tar.gz (404 Not Found)", "Unpack cifar-10-binary.tar.gz by hand to have ",
                 "tinyvision.data.Digits()", "ShapeClassification"):
        assert part in str(failure.value)
    with pytest.raises(FileNotFoundError, match="CIFAR10: .* and download=False. Unpack"):
        Ten(download=False)
    assert len(site.requests) == 2


def test_type_errors(Ten, Hundred):
    with pytest.raises(TypeError, match="CIFAR10: train must be True or False, got 'test'"):
        Ten(train="test")
    with pytest.raises(TypeError, match="CIFAR100: coarse must be True or False, got 1"):
        Hundred(coarse=1)


def test_classes():
    assert len(CIFAR10.classes) == 10 and len(CIFAR100.classes) == 100 and len(CIFAR100.superclasses) == 20
    assert list(CIFAR100.classes) == sorted(CIFAR100.classes) and list(CIFAR100.superclasses) == sorted(CIFAR100.superclasses)
    assert all(len(digest) == 32 for kind in (CIFAR10, CIFAR100) for _, digest in kind.files.values())
    assert [address.split("/")[2] for address in cifar.MIRRORS] == ["www.cs.toronto.edu", "cave.cs.toronto.edu"]


def test_real_files():
    """Photographs, whoever compressed them: the published means and deviations, up to a hundredth."""
    root = os.environ.get("TINYVISION_DATA") or "/nowhere"
    if not (Path(root) / "cifar-10-batches-bin" / "test_batch.bin").is_file():
        pytest.skip("the real CIFAR-10 files: set TINYVISION_DATA to a folder that holds cifar-10-batches-bin/")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = CIFAR10(train=False, download=False)
    assert np.bincount(found.labels).tolist() == [1000] * 10 and found.images.shape == (10_000, 3, 32, 32)
    np.testing.assert_allclose(found.images.mean((0, 2, 3)), [0.4942, 0.4851, 0.4504], atol=0.01)
    np.testing.assert_allclose(found.images.std((0, 2, 3)), [0.2467, 0.2429, 0.2616], atol=0.01)
