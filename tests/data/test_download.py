import hashlib
import re

import pytest

from tinyvision.data import download
from tinyvision.data.download import cache_folder, download_file

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


def test_a_connection_that_breaks_off_leaves_nothing(site, tmp_path):
    site.files["/a.bin"], site.cut = CONTENT, True
    with pytest.raises(ConnectionError, match=r"a\.bin \(connection broke off\)"):
        download_file("a.bin", [site.address], HASH, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_is_not_waited_for_forever(tmp_path, monkeypatch):
    import socket
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConnectionError, match=r"a\.bin \(no answer in 0\.2 s\)"):
            download_file("a.bin", [address], HASH, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_file_of_that_name_is_left_alone(site, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"mine")
    site.files["/a.bin"] = CONTENT
    with pytest.raises(ValueError, match=re.escape(f"download: {tmp_path / 'a.bin'} should have {HASH}, got")):
        download_file("a.bin", [site.address], HASH, tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == b"mine" and site.requests == []


def test_cache_folder():
    import pooch
    assert cache_folder("letters") == pooch.os_cache("tinyvision") / "letters"
