import bz2
import errno
import gzip
import hashlib
import io
import os
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tinyvision.data import archive
from tinyvision.data.archive import check_sums, unpack

FILES = {"set/a.txt": b"alpha", "set/deep/b.bin": bytes(range(256)) * 40, "set/empty": b""}
EVIL = ["../evil", "/evil", "set/../../evil", "set/a/../../../evil", "..", "C:/evil", "..\\evil", "set\\..\\..\\evil"]


def tar(path, files, mode="w:gz", members=()):
    """A tar file with these contents, by name, and further TarInfo objects."""
    with tarfile.open(path, mode) as target:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
        for info in members:
            target.addfile(info)
    return path


def zipped(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in files.items():
            info = zipfile.ZipInfo("place")
            info.filename = name                                  # the constructor would change backslashes
            info.compress_type = compression
            target.writestr(info, data)
    return path


MAKERS = {"tar.gz": tar, "zip": zipped}


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("make", [tar, zipped, lambda p, f: tar(p, f, "w"), lambda p, f: zipped(p, f, zipfile.ZIP_STORED)],
                         ids=["gz", "zip", "tar", "stored"])
def test_contents(tmp_path, make):
    path = make(tmp_path / "archive", FILES)
    folder = unpack(path, tmp_path / "new" / "out", top="set")
    assert folder == tmp_path / "new" / "out" and [p.name for p in folder.parent.iterdir()] == ["out"]
    found = contents(folder)
    sums = found.pop("SHA256SUMS").decode()
    assert found == {name.removeprefix("set/"): data for name, data in FILES.items()}
    assert sums == "".join(f"{hashlib.sha256(found[name]).hexdigest()}  {name}\n" for name in sorted(found))
    assert contents(unpack(path, tmp_path / "all")).keys() == {*FILES, "SHA256SUMS"}


def test_folders_and_permissions(tmp_path):
    """Empty folders come along; owners and modes do not, so no file is set-uid and none is unreadable."""
    folder, odd = tarfile.TarInfo("set/hollow"), tarfile.TarInfo("set/odd")
    folder.type, folder.mode, odd.mode, odd.uid = tarfile.DIRTYPE, 0o000, 0o4777, 12345
    out = unpack(tar(tmp_path / "a.tar.gz", {}, members=[folder, odd]), tmp_path / "out")
    assert (out / "set/hollow").is_dir() and os.access(out / "set/hollow", os.R_OK | os.W_OK | os.X_OK)
    (tmp_path / "plain").touch()
    (tmp_path / "plain folder").mkdir()
    assert (out / "set/odd").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert out.stat().st_mode == (tmp_path / "plain folder").stat().st_mode
    assert (out / "set/odd").stat().st_uid == os.getuid()


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("name", EVIL)
def test_names_that_leave_the_folder(tmp_path, kind, name):
    path = MAKERS[kind](tmp_path / f"a.{kind}", {"set/a.txt": b"good", name: b"evil"})
    (tmp_path / "work").mkdir()
    before = set(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=re.escape(f"unpack: names must stay inside the folder, {path} has {name!r}")):
        unpack(path, tmp_path / "work" / "out")
    assert set(tmp_path.rglob("*")) == before and not Path("/evil").exists()


@pytest.mark.parametrize("type, link", [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.SYMTYPE, ".."), (tarfile.LNKTYPE, "set/a.txt"),
                                        (tarfile.CHRTYPE, ""), (tarfile.BLKTYPE, ""), (tarfile.FIFOTYPE, "")])
def test_links_and_devices(tmp_path, type, link):
    info = tarfile.TarInfo("set/odd")
    info.type, info.linkname = type, link
    path = tar(tmp_path / "a.tar.gz", {"set/a.txt": b"good"}, members=[info])
    with pytest.raises(ValueError, match="unpack: only files and folders are unpacked, .* has 'set/odd', a link or device"):
        unpack(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_links_in_zip_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        info = zipfile.ZipInfo("set/odd")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        target.writestr(info, "/etc/passwd")
    with pytest.raises(ValueError, match="has 'set/odd', a link or device"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_file_through_a_link(tmp_path):
    """The two-step attack: a link to a folder outside, then a file behind it."""
    info = tarfile.TarInfo("door")
    info.type, info.linkname = tarfile.SYMTYPE, str(tmp_path)
    with tarfile.open(tmp_path / "a.tar", "w") as target:
        target.addfile(info)
        evil = tarfile.TarInfo("door/evil")
        target.addfile(evil)
    with pytest.raises(ValueError, match="'door', a link or device"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar"]


@pytest.mark.parametrize("kind", MAKERS)
def test_bombs(tmp_path, kind):
    path = MAKERS[kind](tmp_path / f"a.{kind}", {"zeros": bytes(10**7)})
    assert path.stat().st_size < 20_000
    with pytest.raises(ValueError, match=r"holds more than 9,999,999 bytes, the limit\. Raise max_bytes if you trust it"):
        unpack(path, tmp_path / "out", max_bytes=10**7 - 1)
    assert len(list(tmp_path.iterdir())) == 1
    assert (unpack(path, tmp_path / "out", max_bytes=10**7) / "zeros").stat().st_size == 10**7


def test_a_size_that_lies(tmp_path):
    """Bytes are counted as they come: the header of a zip file says 5, its data are many."""
    path = zipped(tmp_path / "a.zip", {"zeros": bytes(10**6)})
    data = path.read_bytes().replace((10**6).to_bytes(4, "little"), (5).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(ValueError, match="unpack: "):
        unpack(path, tmp_path / "out", max_bytes=1000)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("kind", MAKERS)
def test_too_many_files(tmp_path, kind):
    path = MAKERS[kind](tmp_path / f"a.{kind}", {f"{i}": b"" for i in range(11)})
    with pytest.raises(ValueError, match="has more than 10 members, the limit. Raise max_files"):
        unpack(path, tmp_path / "out", max_files=10)
    assert len(contents(unpack(path, tmp_path / "out", max_files=11))) == 12


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("names, message", [
    (("a", "A"), "each name is used once, .* has a second A"),
    (("a", "sha256sums"), "has a second sha256sums"),
    (("a", "a/b"), "has 'a/b' as both"),
    (("a/b", "a"), "has 'a' as both"),
])
def test_names_that_collide(tmp_path, kind, names, message):
    path = MAKERS[kind](tmp_path / f"a.{kind}", dict.fromkeys(names, b"x"))
    with pytest.raises(ValueError, match=message):
        unpack(path, tmp_path / "out")
    assert len(list(tmp_path.iterdir())) == 1


def test_the_same_name_twice(tmp_path):
    info = tarfile.TarInfo("a")
    with pytest.raises(ValueError, match="has a second a"):
        unpack(tar(tmp_path / "a.tar", {"a": b"1"}, "w", members=[info]), tmp_path / "out")


def test_another_archive_than_expected(tmp_path):
    path = tar(tmp_path / "a.tar.gz", {**FILES, "more/c": b""})
    with pytest.raises(ValueError, match=re.escape(f"unpack: all of {path} must lie in set/, found 'more/c'. Is it another")):
        unpack(path, tmp_path / "out", top="set")


def test_notes_of_macos_are_left_out(tmp_path):
    path = tar(tmp_path / "a.tar.gz", {"._set": b"note", "set/._a.txt": b"note", "__MACOSX/set/x": b"note", **FILES})
    assert contents(unpack(path, tmp_path / "out", top="set")).keys() == {"a.txt", "deep/b.bin", "empty", "SHA256SUMS"}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("damage", [lambda d: d[:len(d) // 2], lambda d: d[:40] + bytes([d[40] ^ 255]) + d[41:], lambda d: b"",
                                    lambda d: b"no archive at all" * 100, bz2.compress],
                         ids=["cut", "one byte", "empty", "text", "bz2"])
def test_damaged_archives(tmp_path, kind, damage):
    path = MAKERS[kind](tmp_path / f"a.{kind}", {"set/noise": hashlib.sha256(b"").digest() * 500, "x": os.urandom(5000)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"unpack: {re.escape(str(path))} is damaged"):
        unpack(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_damage_at_the_end_of_gzip(tmp_path):
    """The checksum of gzip is its last eight bytes; a tar file ends before, so nothing else would notice a wrong bit."""
    data = bytearray(gzip.compress(tar(tmp_path / "a", FILES, "w").read_bytes()))
    data[-6] ^= 1
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ValueError, match="is damaged"):
        unpack(tmp_path / "a", tmp_path / "out")


def test_what_follows_the_tar_file_is_limited_too(tmp_path):
    with gzip.open(tmp_path / "a", "wb") as target:
        target.write(tar(tmp_path / "b", FILES, "w").read_bytes() + bytes(10**6))
    with pytest.raises(ValueError, match="holds more than 100,000 bytes"):
        unpack(tmp_path / "a", tmp_path / "out", max_bytes=10**5)
    assert not (tmp_path / "out").exists() and len(contents(unpack(tmp_path / "a", tmp_path / "out"))) == 4


def test_encrypted_zip_files(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a": b"secret"})
    data = bytearray(path.read_bytes())
    data[6] |= 1                                                  # the flag, in both headers
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is damaged or no archive .*(password|encrypted)"):
        unpack(path, tmp_path / "out")


def test_what_is_there_stays(tmp_path):
    path = tar(tmp_path / "a.tar.gz", FILES)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="unpack: .*out is there already, and not what is needed. Move it away"):
        unpack(path, tmp_path / "out")
    assert contents(tmp_path / "out") == {"mine": b"mine"}
    with pytest.raises(FileExistsError, match="is there already"):
        unpack(path, path)
    (tmp_path / "empty").mkdir()
    assert len(contents(unpack(path, tmp_path / "empty"))) == 4
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "nowhere.zip", tmp_path / "other")


def test_a_full_disk(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tar(tmp_path / "a.tar.gz", FILES)
    monkeypatch.setattr(archive, "copy", full)
    with pytest.raises(OSError, match=r"unpack: cannot write .*out \(No space left on device\)\. Make room"):
        unpack(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]


def test_another_process_may_be_quicker(tmp_path, monkeypatch):
    path, replace = tar(tmp_path / "a.tar.gz", FILES), os.replace

    def late(source, target):
        monkeypatch.setattr(os, "replace", replace)
        unpack(path, target)
        replace(source, target)

    monkeypatch.setattr(archive.os, "replace", late)
    assert len(contents(unpack(path, tmp_path / "out"))) == 4 and {p.name for p in tmp_path.iterdir()} == {"a.tar.gz", "out"}


def test_check_sums(tmp_path):
    folder = unpack(tar(tmp_path / "a.tar.gz", FILES), tmp_path / "out")
    assert check_sums(folder) == dict.fromkeys(FILES, "ok")
    (folder / "set/empty").write_bytes(b"?")
    (folder / "set/a.txt").unlink()
    assert check_sums(folder) == {"set/a.txt": "missing", "set/deep/b.bin": "ok", "set/empty": "damaged"}
    assert check_sums(tmp_path) is None


def test_the_form_is_that_of_sha256sum(tmp_path):
    folder = unpack(tar(tmp_path / "a.tar.gz", FILES), tmp_path / "out")
    try:
        run = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("the command sha256sum")
    assert run.returncode == 0 and run.stdout.count(": OK") == 3
