import errno
import gzip
import hashlib
import os
import re
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tinyvision.data import download
from tinyvision.data.download import cache_folder, download_file, search_folders

CONTENT = bytes(range(256)) * 500
HASH = "md5:" + hashlib.md5(CONTENT).hexdigest()


def test_the_file_comes_whole(site, tmp_path):
    site.files["/set/a.bin"] = CONTENT
    path = download_file("a.bin", [site.address + "/set/"], HASH, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "a.bin" and path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"] and site.requests == ["/set/a.bin"]


def test_sha256_serves_as_well(site, tmp_path):
    site.files["/a.bin"] = CONTENT
    known = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    assert download_file("a.bin", [site.address], known, tmp_path).read_bytes() == CONTENT
    assert download_file("a.bin", [site.address], known, tmp_path).read_bytes() == CONTENT and len(site.requests) == 1


def test_the_first_digits_serve_too(site, tmp_path):
    """Eight or more of them; two are not enough to tell anything, and agree with no file."""
    site.files["/a.bin"] = CONTENT
    known = "sha256:" + hashlib.sha256(CONTENT).hexdigest()[:8]
    assert download_file("a.bin", [site.address], known, tmp_path).read_bytes() == CONTENT
    with pytest.raises(ValueError, match="should have sha256:00000000, got " + known):
        download_file("a.bin", [site.address], "sha256:00000000", tmp_path)
    with pytest.raises(ConnectionError, match="wrong checksum"):
        download_file("a.bin", [site.address], known[:9], tmp_path / "b")


def test_the_next_mirror_is_asked(site, closed_address, tmp_path):
    site.files.update({"/wrong/a.bin": CONTENT[:-1], "/right/a.bin": CONTENT, "/never/a.bin": CONTENT})
    mirrors = [closed_address, *(f"{site.address}/{part}/" for part in ("missing", "wrong", "right", "never"))]
    path = download_file("a.bin", mirrors, HASH, tmp_path)
    assert path.read_bytes() == CONTENT and [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    assert site.requests == ["/missing/a.bin", "/wrong/a.bin", "/right/a.bin"]


def test_a_second_call_does_not_touch_the_network(site, tmp_path):
    site.files["/a.bin"] = CONTENT
    first = download_file("a.bin", [site.address], HASH, tmp_path)
    assert download_file("a.bin", [site.address], HASH, tmp_path) == first and len(site.requests) == 1
    assert download_file("a.bin", ["http://nowhere.invalid/"], HASH, tmp_path) == first


def test_no_mirror_answers(site, closed_address, tmp_path):
    site.files["/wrong/a.bin"] = b"something else"
    mirrors = [closed_address, site.address + "/missing", site.address + "/wrong"]
    message = (f"download: no mirror served a.bin, tried {closed_address}/a.bin (no connection), "
               f"{site.address}/missing/a.bin (404 Not Found), {site.address}/wrong/a.bin (wrong checksum)")
    with pytest.raises(ConnectionError, match=re.escape(message)):
        download_file("a.bin", mirrors, HASH, tmp_path)
    assert list(tmp_path.iterdir()) == []


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_broken_connection_is_continued(site, tmp_path):
    site.files["/a.bin"], site.ranges, site.breaks = CONTENT, True, [50_000, 30_000]
    path = download_file("a.bin", [site.address], HASH, tmp_path)
    assert path.read_bytes() == CONTENT and names(tmp_path) == ["a.bin"]
    assert site.asked == [None, "bytes=50000-", "bytes=80000-"], "no byte is fetched twice"


def test_what_came_is_kept_for_the_next_run(site, tmp_path):
    site.files["/a.bin"], site.ranges, site.breaks = CONTENT, True, [10_000, 0]
    message = f"tried {site.address}/a.bin (connection broke off). 10,000 bytes of it came; run again to continue"
    with pytest.raises(ConnectionError, match=re.escape(message)):
        download_file("a.bin", [site.address], HASH, tmp_path)
    assert names(tmp_path) == ["a.bin.part"] and (tmp_path / "a.bin.part").read_bytes() == CONTENT[:10_000]
    assert download_file("a.bin", [site.address], HASH, tmp_path).read_bytes() == CONTENT
    assert site.asked[-1] == "bytes=10000-" and names(tmp_path) == ["a.bin"]


def test_a_mirror_is_not_asked_for_ever(site, tmp_path):
    site.files["/a.bin"], site.ranges, site.breaks = CONTENT, True, [1000] * 10
    with pytest.raises(ConnectionError, match="3,000 bytes of it came"):
        download_file("a.bin", [site.address], HASH, tmp_path)
    assert len(site.requests) == download.TRIES == 3


def test_the_next_mirror_continues(site, tmp_path):
    site.files.update({"/one/a.bin": CONTENT, "/two/a.bin": CONTENT})
    site.ranges, site.breaks = True, [70_000, 0]
    path = download_file("a.bin", [f"{site.address}/{part}/" for part in ("one", "two")], HASH, tmp_path)
    assert path.read_bytes() == CONTENT and names(tmp_path) == ["a.bin"]
    assert site.requests == ["/one/a.bin", "/one/a.bin", "/two/a.bin"] and site.asked[-1] == "bytes=70000-"


def test_a_server_without_ranges_sends_everything_again(site, tmp_path):
    site.files["/a.bin"], site.breaks = CONTENT, [50_000]
    assert download_file("a.bin", [site.address], HASH, tmp_path).read_bytes() == CONTENT
    assert site.asked == [None, "bytes=50000-"] and names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("left", [b"something else", CONTENT + b"?", CONTENT[:-1] + b"?"], ids=["other", "longer", "wrong"])
def test_a_wrong_part_does_no_harm(site, tmp_path, left, ranges):
    (tmp_path / "a.bin.part").write_bytes(left)
    site.files["/a.bin"], site.ranges = CONTENT, ranges
    assert download_file("a.bin", [site.address], HASH, tmp_path).read_bytes() == CONTENT and names(tmp_path) == ["a.bin"]


def test_a_whole_part_only_needs_its_name(site, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    site.files["/a.bin"], site.ranges = CONTENT, True
    assert download_file("a.bin", [site.address], HASH, tmp_path).read_bytes() == CONTENT and len(site.requests) == 1


def test_wrong_bytes_behind_a_right_part_are_not_kept(site, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    site.files["/a.bin"], site.ranges = b"?" * len(CONTENT), True
    with pytest.raises(ConnectionError, match=r"a\.bin \(wrong checksum\)$"):
        download_file("a.bin", [site.address], HASH, tmp_path)
    assert names(tmp_path) == [] and site.asked == ["bytes=1000-", None], "once more from the start, for the part may be to blame"


def test_an_answer_to_another_question_is_refused(site, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:1000])
    site.files["/a.bin"], site.ranges, site.shift = CONTENT, True, 7
    with pytest.raises(ConnectionError, match=r"\(answers another question\)"):
        download_file("a.bin", [site.address], HASH, tmp_path)
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:1000]


def test_more_is_announced_than_comes(site, tmp_path):
    site.files["/a.bin"], site.cut = CONTENT[:-5], True
    with pytest.raises(ConnectionError, match=r"a\.bin \(connection broke off\)"):
        download_file("a.bin", [site.address], HASH, tmp_path)
    assert names(tmp_path) == ["a.bin.part"]


def test_compressed_files_stay_as_they_are(site, tmp_path):
    """A server that calls .gz an encoding of the content does not make us unpack it."""
    packed = gzip.compress(CONTENT)
    site.files["/a.gz"], site.encoding = packed, "gzip"
    known = "md5:" + hashlib.md5(packed).hexdigest()
    assert download_file("a.gz", [site.address], known, tmp_path).read_bytes() == packed


def test_an_answer_is_not_waited_for_forever(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=r"a\.bin \(no answer in 0\.2 s\)"):
            download_file("a.bin", [address], HASH, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_that_falls_silent_is_left(site, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    site.files.update({"/slow/a.bin": CONTENT, "/fast/a.bin": CONTENT})
    site.ranges, site.stalls = True, [20_000, 0]
    path = download_file("a.bin", [site.address + "/slow", site.address + "/fast"], HASH, tmp_path)
    assert path.read_bytes() == CONTENT and site.requests == ["/slow/a.bin", "/slow/a.bin", "/fast/a.bin"]
    assert site.asked[-1] == f"bytes={download.CHUNK}-", "whole chunks are kept"


def test_a_full_disk_is_told_before_the_first_byte(site, tmp_path, monkeypatch):
    site.files["/a.bin"] = CONTENT
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6 - 1000, 1000))
    message = f"download: {tmp_path / 'a.bin.part'} needs 0.1 MB more, the disk has 0.0 MB free. Make room, or choose"
    with pytest.raises(OSError, match=re.escape(message)) as failure:
        download_file("a.bin", [site.address, site.address], HASH, tmp_path)
    assert not isinstance(failure.value, ConnectionError) and len(site.requests) == 1, "another mirror does not help"
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_meanwhile(site, tmp_path, monkeypatch):
    def full(stream, file, *rest):
        file.write(next(stream.stream(1000)))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    site.files["/a.bin"], site.ranges = CONTENT, True
    with monkeypatch.context() as patch:
        patch.setattr(download, "copy", full)
        with pytest.raises(OSError, match=r"download: cannot write .*a\.bin \(No space left on device\)\. Make room"):
            download_file("a.bin", [site.address], HASH, tmp_path)
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:1000]
    assert download_file("a.bin", [site.address], HASH, tmp_path).read_bytes() == CONTENT and site.asked[-1] == "bytes=1000-"


def test_a_folder_that_cannot_be(site, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"download: cannot write .*a\.bin \(Not a directory\).*root="):
        download_file("a.bin", [site.address], HASH, tmp_path / "file" / "folder")
    assert site.requests == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind the superuser")
def test_a_folder_that_may_not_be_written(site, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError, match=r"download: cannot write .* \(Permission denied\)"):
            download_file("a.bin", [site.address], HASH, tmp_path)
    finally:
        tmp_path.chmod(0o700)
    assert site.requests == []


def test_two_at_once_fetch_it_once(site, tmp_path):
    site.files["/a.bin"] = CONTENT
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: download_file("a.bin", [site.address], HASH, tmp_path), range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT} and names(tmp_path) == ["a.bin"]
    assert len(site.requests) == 1


def test_those_who_wait_for_a_failure_try_themselves(site, tmp_path):
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(download_file, "a.bin", [site.address], HASH, tmp_path) for _ in range(3)]
        assert all(isinstance(future.exception(), ConnectionError) for future in futures)
    assert len(site.requests) == 3 and names(tmp_path) == []


def test_the_progress_bar(site, tmp_path, capsys):
    site.files["/a.bin"] = CONTENT
    download_file("a.bin", [site.address], HASH, tmp_path)
    shown = capsys.readouterr()
    assert "a.bin" in shown.err and "128k" in shown.err and shown.out == ""


def test_another_file_of_that_name_is_left_alone(site, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"mine")
    site.files["/a.bin"] = CONTENT
    with pytest.raises(ValueError, match=re.escape(f"download: {tmp_path / 'a.bin'} should have {HASH}, got")):
        download_file("a.bin", [site.address], HASH, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == b"mine" and site.requests == []


def test_cache_folder():
    import pooch
    assert cache_folder("letters") == pooch.os_cache("tinyvision") / "letters"


def test_search_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "cache_folder", lambda name: tmp_path / "cache" / name)
    monkeypatch.delenv("TINYVISION_DATA", raising=False)
    assert list(search_folders("set", None)) == [tmp_path / "cache" / "set"]
    monkeypatch.setenv("TINYVISION_DATA", str(tmp_path / "shared"))
    rest = [tmp_path / "shared" / "set", tmp_path / "cache" / "set"]
    assert list(search_folders("set", "mine")) == [Path("mine"), *rest]
    assert list(search_folders("set", "~/mine", inside=True)) == [Path.home() / "mine" / "set", Path.home() / "mine", *rest]
