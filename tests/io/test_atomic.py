"""A file is replaced whole or not at all, whatever happens in between."""

import os
import stat
import subprocess
import sys

import pytest

from tinyvision.io.atomic import atomic_path


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_text("old")
    return path


def names(folder):
    return sorted(os.listdir(folder))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_new_file_appears_when_the_block_ends(old):
    with atomic_path(old) as temporary:
        temporary.write_text("new")
        assert old.read_text() == "old" and temporary.parent == old.parent and temporary.suffix == ".bin"
    assert old.read_text() == "new" and names(old.parent) == ["weights.bin"]


def test_a_file_that_was_not_there(tmp_path):
    with atomic_path(str(tmp_path / "new")) as temporary:
        temporary.write_text("new")
        assert names(tmp_path) == [temporary.name]
    assert (tmp_path / "new").read_text() == "new" and names(tmp_path) == ["new"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("written", [True, False])
def test_an_error_in_the_block_leaves_everything_as_it_was(old, error, written):
    with pytest.raises(error):
        with atomic_path(old) as temporary:
            if written:
                temporary.write_text("half")
            raise error
    assert old.read_text() == "old" and names(old.parent) == ["weights.bin"]


def test_an_error_of_the_disk_leaves_everything_as_it_was(old, monkeypatch):
    for function in "fsync", "replace":
        with monkeypatch.context() as patch:
            def full(*_):
                raise OSError("the disk is full")
            patch.setattr(os, function, full)
            with pytest.raises(OSError, match="the disk is full"):
                with atomic_path(old) as temporary:
                    temporary.write_text("new")
        assert old.read_text() == "old" and names(old.parent) == ["weights.bin"]


def test_a_process_killed_in_the_block_leaves_the_old_file(old):
    code = """if True:
        import os, sys
        from tinyvision.io.atomic import atomic_path
        with atomic_path(sys.argv[1]) as temporary:
            temporary.write_text("half")
            os._exit(9)"""
    assert subprocess.run([sys.executable, "-c", code, str(old)]).returncode == 9
    assert old.read_text() == "old"


def test_the_contents_reach_the_disk_before_the_name(old, monkeypatch):
    events = []
    for function in "fsync", "replace":
        original = getattr(os, function)
        monkeypatch.setattr(os, function, lambda *arguments, f=function, call=original: (events.append(f), call(*arguments))[1])
    with atomic_path(old) as temporary:
        temporary.write_text("new")
    assert events[:2] == ["fsync", "replace"]


def test_a_block_that_writes_elsewhere_does_not_empty_the_file(old):
    with pytest.raises(FileNotFoundError, match="atomic_path: the block did not write .* stays as it was. Write to the path"):
        with atomic_path(old):
            pass
    assert old.read_text() == "old" and names(old.parent) == ["weights.bin"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and symbolic links of POSIX")
def test_permissions_are_kept(old):
    old.chmod(0o640)
    before = os.umask(0o027)
    try:
        for path, expected in (old, 0o640), (old.with_name("new"), 0o640), (old.with_name("other"), 0o640):
            with atomic_path(path) as temporary:
                temporary.write_text("new")
                temporary.chmod(0o600)                            # as tempfile and some libraries do
            assert mode(path) == expected
        os.umask(0o002)
        with atomic_path(old.with_name("wide")) as temporary:
            temporary.write_text("new")
    finally:
        os.umask(before)
    assert mode(old.with_name("wide")) == 0o664


@pytest.mark.skipif(os.name != "posix", reason="permissions and symbolic links of POSIX")
def test_a_symbolic_link_stays_one(old):
    link = old.with_name("latest")
    link.symlink_to(old.name)
    with atomic_path(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() and old.read_text() == "new"


def test_what_cannot_be_replaced_is_refused_before_the_block(old):
    with pytest.raises(FileNotFoundError, match="atomic_path: the folder of .*none.x' does not exist. Create it first."):
        with atomic_path(old.parent / "none" / "x"):
            raise AssertionError("the block must not run")
    places = [old.parent] + ([os.devnull] if os.name == "posix" else [])
    for place in places:
        with pytest.raises(FileExistsError, match="is there and not a file. Choose another name."):
            with atomic_path(place):
                raise AssertionError("the block must not run")


def test_a_write_protected_file_is_refused(old, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, kind: False)   # the administrator may write to every file
    with pytest.raises(PermissionError, match="weights.bin' is write-protected. Choose another name."):
        with atomic_path(old):
            raise AssertionError("the block must not run")
