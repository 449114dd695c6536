import gzip
import hashlib
import os
import re
from pathlib import Path

import numpy as np
import pytest

from tinyvision.data import MNIST, DataLoader, FashionMNIST, download

RANDOM = np.random.default_rng(28)
PIXELS = {part: RANDOM.integers(0, 256, (n, 28, 28), dtype=np.uint8) for part, n in (("train", 7), ("t10k", 3))}
LABELS = {part: RANDOM.integers(0, 10, n, dtype=np.uint8) for part, n in (("train", 7), ("t10k", 3))}


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


FILES = {f"{part}-{kind}-idx{axes}-ubyte": idx(arrays[part]) for part in PIXELS
         for kind, axes, arrays in (("images", 3, PIXELS), ("labels", 1, LABELS))}
COMPRESSED = {name: gzip.compress(data, mtime=0) for name, data in FILES.items()}


@pytest.fixture
def Tiny(site, tmp_path, monkeypatch):
    """MNIST in every respect, but of ten pictures and with a mirror on this machine."""
    monkeypatch.delenv("TINYVISION_DATA", raising=False)
    monkeypatch.setattr(download, "cache_folder", lambda name: tmp_path / "cache" / name)

    class Tiny(MNIST):
        mirrors = (site.address + "/gone/", site.address + "/mnist/")
        files = {name: (hashlib.md5(data).hexdigest(), hashlib.md5(COMPRESSED[name]).hexdigest())
                 for name, data in FILES.items()}

    return Tiny


def put(folder, files, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / (name + suffix)).write_bytes(data)
    return folder


@pytest.mark.parametrize("train, part", [(True, "train"), (False, "t10k")])
def test_form(Tiny, tmp_path, train, part):
    digits = Tiny(put(tmp_path / "mine", FILES), train)
    n = len(LABELS[part])
    assert digits.images.shape == (n, 1, 28, 28) and digits.images.dtype == np.float32 and len(digits) == n
    np.testing.assert_array_equal(digits.images[:, 0], PIXELS[part].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(digits.labels, LABELS[part])
    assert digits.labels.dtype == np.int64 and digits.classes == tuple("0123456789")
    image, label = digits[1]
    assert image.shape == (1, 28, 28) and label == LABELS[part][1]
    images, labels = next(iter(DataLoader(digits, 2)))
    assert images.shape == (2, 1, 28, 28) and labels.dtype == np.int64


@pytest.mark.parametrize("size", [28, 30, 32])
def test_size_adds_a_border(Tiny, tmp_path, size):
    images = Tiny(put(tmp_path / "mine", FILES), size=size).images
    border = (size - 28) // 2
    expected = np.pad(PIXELS["train"].astype(np.float32) / 255, [(0, 0), (border, border), (border, border)])
    np.testing.assert_array_equal(images[:, 0], expected)


@pytest.mark.parametrize("size", [8, 27, 29])
def test_size_errors(Tiny, size):
    with pytest.raises(ValueError, match=f"Tiny: size must be even and at least 28, got {size}"):
        Tiny(size=size)


def test_type_errors(Tiny):
    with pytest.raises(TypeError, match="Tiny: size must be an integer, in pixels, got 28.5"):
        Tiny(size=28.5)
    with pytest.raises(TypeError, match="Tiny: train must be True or False, got 'test'. The test pictures are train=False"):
        Tiny(train="test")


def test_search_order(Tiny, site, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYVISION_DATA", str(tmp_path / "shared"))
    in_root, shared, cache = tmp_path / "mine", tmp_path / "shared" / "mnist", tmp_path / "cache" / "mnist"
    put(cache, COMPRESSED, ".gz")
    name = "t10k-labels-idx1-ubyte"
    assert Tiny.find(name, in_root, False) == cache / f"{name}.gz"
    put(shared, COMPRESSED, ".gz")
    assert Tiny.find(name, in_root, False) == Tiny.find(name, None, False) == shared / f"{name}.gz"
    put(in_root, COMPRESSED, ".gz")
    assert Tiny.find(name, str(in_root), False) == in_root / f"{name}.gz"
    assert Tiny.find(name, None, False) == shared / f"{name}.gz"
    put(in_root, FILES)
    assert Tiny.find(name, in_root, False) == in_root / name
    assert len(Tiny(in_root)) == 7 and site.requests == []


def test_recompressed_files_are_the_official_ones(Tiny, tmp_path):
    anew = {name: gzip.compress(data, 1, mtime=12345) for name, data in FILES.items()}
    assert anew != COMPRESSED and len(Tiny(put(tmp_path / "mine", anew, ".gz"), download=False)) == 7


@pytest.mark.parametrize("given", [True, False], ids=["root", "cache"])
def test_download(Tiny, site, tmp_path, given):
    site.files = {f"/mnist/{name}.gz": data for name, data in COMPRESSED.items()}
    target = tmp_path / "mine" if given else tmp_path / "cache" / "mnist"
    first = Tiny(target if given else None)
    wanted = ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    assert site.requests == [folder + name for name in wanted for folder in ("/gone/", "/mnist/")]
    assert sorted(path.name for path in target.iterdir()) == wanted, "only what was asked for, and no partial file"
    again = Tiny(target if given else None)
    assert len(site.requests) == 4, "the second call touched the network"
    np.testing.assert_array_equal(first.images, again.images)


def test_offline(Tiny, site, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYVISION_DATA", str(tmp_path / "shared"))
    with pytest.raises(FileNotFoundError) as failure:
        Tiny()
    message = str(failure.value)
    for part in (f"Tiny: train-images-idx3-ubyte.gz is in none of the folders {tmp_path / 'shared' / 'mnist'}, ",
                 f"{site.address}/gone/train-images-idx3-ubyte.gz (404 Not Found), {site.address}/mnist/",
                 f"Put the official files into {tmp_path / 'cache' / 'mnist'} by hand", "--data digits"):
        assert part in message
    assert not list(tmp_path.rglob("*ubyte*"))
    with pytest.raises(FileNotFoundError, match=re.escape(f"Put the official files into {tmp_path / 'mine'} by hand")):
        Tiny(tmp_path / "mine")


def test_download_may_be_forbidden(Tiny, site):
    with pytest.raises(FileNotFoundError, match="and download=False. Put the official files into .* --data digits"):
        Tiny(download=False)
    assert site.requests == []


def test_wrong_bytes_from_every_mirror_are_not_kept(Tiny, site, tmp_path):
    site.files = {f"/mnist/{name}.gz": data + b"?" for name, data in COMPRESSED.items()}
    with pytest.raises(FileNotFoundError, match="wrong checksum"):
        Tiny(tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize("suffix, damage, message", [
    ("", lambda data: data[:-1], "must have MD5"),
    ("", lambda data: data[:-1] + bytes([data[-1] ^ 1]), "must have MD5"),
    (".gz", lambda data: gzip.compress(data)[:-9], "is damaged, gzip says"),
    (".gz", lambda data: gzip.compress(idx(LABELS["t10k"])), "must have MD5"),
], ids=["cut off", "one bit", "cut off gzip", "another set"])
@pytest.mark.parametrize("where", ["mine", "cache/mnist"])
def test_a_damaged_file_is_refused_and_left_alone(Tiny, site, tmp_path, suffix, damage, message, where):
    site.files = {f"/mnist/{name}.gz": data for name, data in COMPRESSED.items()}
    folder = put(tmp_path / where, FILES if not suffix else COMPRESSED, suffix)
    bad = folder / f"train-labels-idx1-ubyte{suffix}"
    bad.write_bytes(damage(FILES["train-labels-idx1-ubyte"]))
    before = bad.read_bytes()
    with pytest.raises(ValueError, match=f"{re.escape(str(bad))} {message}.*[Mm]ove it away"):
        Tiny(tmp_path / "mine")
    assert bad.read_bytes() == before and site.requests == []


def test_official_names_and_mirrors():
    assert [mirror.split("/")[2] for mirror in MNIST.mirrors] == ["ossci-datasets.s3.amazonaws.com", "storage.googleapis.com",
                                                                  "yann.lecun.com"]
    assert all(len(md5) == 32 for pair in MNIST.files.values() for md5 in pair) and len(MNIST.files) == 4


def real(train, **options):
    if not (Path(os.environ.get("TINYVISION_DATA") or "/nowhere") / "mnist").is_dir():
        pytest.skip("the real MNIST files: set TINYVISION_DATA to a folder that holds mnist/")
    return MNIST(train=train, download=False, **options)


@pytest.mark.parametrize("train, counts", [
    (True, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
    (False, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
])
def test_real_files(train, counts):
    digits = real(train)
    assert np.bincount(digits.labels).tolist() == counts and digits.images.shape == (sum(counts), 1, 28, 28)
    assert digits.images.min() == 0 and digits.images.max() == 1
    mean, std = (0.1307, 0.3081) if train else (0.1325, 0.3105)
    assert digits.images.mean(dtype=np.float64) == pytest.approx(mean, abs=5e-5)
    assert digits.images.std(dtype=np.float64) == pytest.approx(std, abs=5e-5)


def test_fashion_has_its_own_folder_and_files(site, tmp_path, monkeypatch):
    """The file names are MNIST's, so only the folder and the checksums keep the two apart."""
    monkeypatch.setattr(download, "cache_folder", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("TINYVISION_DATA", str(tmp_path / "shared"))
    name = "t10k-labels-idx1-ubyte"
    put(tmp_path / "shared" / "mnist", FILES)
    with pytest.raises(FileNotFoundError, match=re.escape(f"FashionMNIST: {name}.gz is in none of the folders "
                                                          f"{tmp_path / 'shared' / 'fashion-mnist'}, ")):
        FashionMNIST.find(name, None, False)
    put(tmp_path / "shared" / "fashion-mnist", FILES)
    with pytest.raises(ValueError, match="FashionMNIST: the bytes of .* must have MD5 8181f5470baa50b63fa0f6fddb340f0a"):
        FashionMNIST(train=False)
    assert site.requests == [] and FashionMNIST.files.keys() == MNIST.files.keys()
    assert len({md5 for kind in (MNIST, FashionMNIST) for pair in kind.files.values() for md5 in pair}) == 16
    assert len(FashionMNIST.classes) == 10


@pytest.mark.parametrize("train, n", [(True, 6000), (False, 1000)])
def test_real_fashion(train, n):
    """As many pictures of each class, and the mean and deviation that everybody standardises with."""
    if not (Path(os.environ.get("TINYVISION_DATA") or "/nowhere") / "fashion-mnist").is_dir():
        pytest.skip("the real Fashion-MNIST files: set TINYVISION_DATA to a folder that holds fashion-mnist/")
    clothes = FashionMNIST(train=train, download=False)
    assert np.bincount(clothes.labels).tolist() == [n] * 10
    if train:
        assert clothes.images.mean(dtype=np.float64) == pytest.approx(0.2860, abs=5e-5)
        assert clothes.images.std(dtype=np.float64) == pytest.approx(0.3530, abs=5e-5)
