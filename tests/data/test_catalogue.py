import dataclasses
import gzip
import hashlib
import io
import tarfile

import numpy as np
import PIL.Image
import pytest

from tinyvision.data import Digits, catalogue, download, generated
from tinyvision.data.catalogue import Checked, Entry, listing, verify

RANDOM = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Neither the data sets of this machine nor its cache."""
    monkeypatch.delenv("TINYVISION_DATA", raising=False)
    monkeypatch.setattr(download, "cache_folder", lambda name: tmp_path / "cache" / name)


@pytest.fixture
def small(site, monkeypatch):
    """The catalogue with small sets of the same kinds, and mirrors on this machine; the contents of their files by name."""
    contents, entries = {}, {}
    for name in "mnist", "cifar100", "pets":
        entry = catalogue.entry_of(name)
        files = {"mnist": {file: RANDOM.bytes(50) for file in entry.files},
                 "cifar100": {file: RANDOM.bytes(60) for file in entry.files}}.get(name)
        if name == "mnist":
            packed = {file: gzip.compress(data) for file, data in files.items()}
            fields = {"files": {file: (md5(data), md5(packed[file])) for file, data in files.items()}}
            site.files |= {f"/{file}.gz": data for file, data in packed.items()}
        elif name == "cifar100":
            archive = tar(files, "cifar-100-binary")
            fields = {"files": {file: (1, md5(data)) for file, data in files.items()}, "md5": md5(archive)}
            site.files["/cifar-100-binary.tar.gz"] = archive
        else:
            files = {f"{part}/{i}.png": picture() for part in ("images", "annotations") for i in range(3)}
            parts = {part: tar({file.partition("/")[2]: data for file, data in files.items() if file.startswith(part)}, part)
                     for part in entry.folders}
            fields = {"archives": {part: md5(data) for part, data in parts.items()}}
            site.files |= {f"/{part}.tar.gz": data for part, data in parts.items()}
        reader = type(entry.reader.__name__, (entry.reader,), {"mirrors": (site.address,), **fields})
        entries[name], contents[name] = dataclasses.replace(entry, reader=reader), files
    monkeypatch.setattr(catalogue, "ENTRIES", tuple(entries.get(entry.name, entry) for entry in catalogue.ENTRIES))
    return contents


def md5(data):
    return hashlib.md5(data).hexdigest()


def picture():
    file = io.BytesIO()
    PIL.Image.fromarray(RANDOM.integers(0, 256, (5, 5), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def tar(files, top):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as target:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    return data.getvalue()


def row(name, root=None):
    return next(row for row in listing(root) if row["name"] == name)


def states(name, root=None):
    return {checked.path.name: checked.state for checked in verify(name, root)}


def test_listing():
    rows = listing()
    assert [row["name"] for row in rows][:8] == ["digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "pets", "penn-fudan",
                                                 "isbi-2012"]
    assert row("digits")["state"] == "built in" and {row["state"] for row in rows[1:8]} == {"absent"}
    assert {row["name"] for row in rows[8:]} == {name for name in generated.__all__ if isinstance(getattr(generated, name), type)}
    assert all(isinstance(row["reader"], type) and row["title"] and row["task"] and row["megabytes"] >= 0 for row in rows)


def test_listing_agrees_with_the_readers():
    sizes = {row["name"]: row["examples"] for row in listing()}
    assert sizes["digits"] == f"{len(Digits()):,} + {len(Digits(train=False)):,}"
    for name in "cifar10", "cifar100":
        files = catalogue.entry_of(name).reader.files
        train, test = (sum(n for file, (n, _) in files.items() if file.startswith("test") == part) for part in (False, True))
        assert sizes[name] == f"{train:,} + {test:,}"


@pytest.mark.parametrize("name, requests", [("mnist", 4), ("cifar100", 1), ("pets", 2)])
@pytest.mark.parametrize("given", [True, False], ids=["root", "cache"])
def test_download_and_verify(small, site, tmp_path, name, requests, given):
    root = tmp_path / "mine" if given else None
    assert row(name, root)["state"] == "absent"
    with pytest.raises(FileNotFoundError, match=rf"data: {name} is in none of .* Get it with: tinyvision data download {name}"):
        verify(name, root)
    folder = catalogue.download(name, root)
    assert (row(name, root)["found"], row(name, root)["state"]) == (folder, "whole") and (tmp_path / "mine").exists() == given
    checked = verify(name, root)
    assert {found.state for found in checked} == {"ok"} and len(checked) == len(small[name]) and len(site.requests) == requests
    assert catalogue.download(name, root) == folder and len(site.requests) == requests, "what is there is not fetched again"


@pytest.mark.parametrize("name", ["mnist", "cifar100", "pets"])
def test_damage_is_named(small, tmp_path, name):
    folder = catalogue.download(name)
    files = [found.path for found in verify(name)]
    data = bytearray(files[0].read_bytes())
    data[-10] ^= 1
    files[0].write_bytes(data)
    files[1].unlink()
    found = verify(name)
    assert [checked.state for checked in found][2:] == ["ok"] * (len(files) - 2)
    assert found[0].path == files[0] and found[0].state in ("differs", "damaged") and found[0].note
    assert found[1].state == "missing" and found[1].path.name.startswith(files[1].name.removesuffix(".gz"))
    if name != "pets":
        assert row(name)["state"] == "in part" and row(name)["found"] == folder


def test_other_bytes_are_shown_with_both_checksums(small, tmp_path):
    folder = catalogue.download("cifar100")
    (folder / "test.bin").write_bytes(b"other")
    expected = Checked(folder / "test.bin", "differs", f"MD5 {md5(b'other')}, official {md5(small['cifar100']['test.bin'])}")
    assert verify("cifar100")[1] == expected


def test_recompressed_and_plain_files_are_right(small, tmp_path):
    (tmp_path / "mine").mkdir()
    for i, (file, data) in enumerate(small["mnist"].items()):
        (tmp_path / "mine" / (f"{file}.gz" if i % 2 else file)).write_bytes(gzip.compress(data, 1, mtime=7) if i % 2 else data)
    assert row("mnist", tmp_path / "mine")["state"] == "whole" and set(states("mnist", tmp_path / "mine").values()) == {"ok"}


def test_a_whole_set_is_preferred_to_a_part(small, site, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYVISION_DATA", str(tmp_path / "shared"))
    part = tmp_path / "shared" / "cifar-100-binary"
    part.mkdir(parents=True)
    (part / "train.bin").write_bytes(small["cifar100"]["train.bin"])
    assert (row("cifar100")["found"], row("cifar100")["state"]) == (part, "in part")
    assert states("cifar100") == {"train.bin": "ok", "test.bin": "missing"}
    whole = catalogue.download("cifar100")
    assert whole == tmp_path / "cache" / "cifar-100-binary" == row("cifar100")["found"]
    assert set(states("cifar100").values()) == {"ok"}


def test_pictures_without_checksums_are_opened(small, tmp_path):
    """Unpacked by somebody else: what is cut off is found, and it is said that no more could be done."""
    root = tmp_path / "oxford-iiit-pet"
    for file, data in small["pets"].items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(data)
    (root / "annotations" / "._0.png").write_bytes(b"a note of macOS")
    (root / "images" / "1.png").write_bytes(small["pets"]["images/1.png"][:50])
    found = {checked.path.relative_to(root).as_posix(): checked for checked in verify("pets", tmp_path)}
    expected = dict.fromkeys(small["pets"], "ok") | {"images/1.png": "damaged"}
    assert {file: checked.state for file, checked in found.items()} == expected
    assert found["images/0.png"].note == "opened; its checksum is not known"
    assert "is damaged or no picture" in found["images/1.png"].note
    for path in (root / "annotations").iterdir():
        path.unlink()
    (root / "annotations").rmdir()
    assert states("pets", tmp_path)["annotations"] == "missing" and row("pets", tmp_path)["state"] == "in part"


def test_parts_with_and_without_checksums(small, tmp_path):
    folder = catalogue.download("pets")
    (folder / "annotations" / "SHA256SUMS").unlink()
    (folder / "images" / "2.png").write_bytes(small["pets"]["images/1.png"])              # a sound picture, but another
    (folder / "annotations" / "2.png").write_bytes(small["pets"]["images/1.png"])
    found = {checked.path.relative_to(folder).as_posix(): checked.state for checked in verify("pets")}
    assert found == dict.fromkeys(small["pets"], "ok") | {"images/2.png": "differs"}


def test_sets_without_a_download(tmp_path):
    with pytest.raises(ValueError, match="digits come with the installation and need no download"):
        catalogue.download("digits")
    with pytest.raises(ValueError, match="digits come with the installation and have no files"):
        verify("digits")
    with pytest.raises(ValueError, match="isbi-2012 cannot be downloaded by a program, its site wants a registration. Put the"):
        catalogue.download("isbi-2012")
    for part in "image", "label":
        (tmp_path / "isbi-2012" / part).mkdir(parents=True)
        (tmp_path / "isbi-2012" / part / "1.png").write_bytes(picture())
    assert row("isbi-2012", tmp_path)["state"] == "whole" and [c.state for c in verify("isbi-2012", tmp_path)] == ["ok", "ok"]


@pytest.mark.parametrize("function", [catalogue.entry_of, catalogue.download, verify])
def test_unknown_names(function):
    with pytest.raises(ValueError, match="data: there is no set called 'imagenet'. Choose from digits, mnist, "):
        function("imagenet")


def test_offline(small, site):
    site.files.clear()
    for name in "mnist", "cifar100", "pets":
        with pytest.raises(FileNotFoundError, match="cannot be downloaded .*404 Not Found"):
            catalogue.download(name)


def test_entries():
    names = [entry.name for entry in catalogue.ENTRIES]
    assert len(set(names)) == len(names) and all(isinstance(entry, Entry) for entry in catalogue.ENTRIES)
