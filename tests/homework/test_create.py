"""`tinyvision homework new`: all files or none, and nothing of the user's is touched."""

import os

import pytest

from tinyvision import cli
from tinyvision.homework import HomeworkError, create, new_homework
from tinyvision.homework.spec import DEFAULT


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


KIT = {path.name: path.read_bytes() for path in DEFAULT.parent.iterdir() if path.is_file()}


def test_a_new_folder(tmp_path, capsys):
    folder = tmp_path / "course" / "backprop"
    assert cli.main(["homework", "new", str(folder)]) == 0
    assert contents(folder) == KIT and len(KIT) == 11
    printed = capsys.readouterr().out
    assert f"wrote 11 files to {folder}" in printed and f"tinyvision gradcheck {folder}" in printed
    assert [path.name for path in folder.parent.iterdir()] == ["backprop"]           # no temporary folder is left


def test_a_folder_that_is_there_keeps_its_files(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    new_homework(tmp_path)
    assert contents(tmp_path) == KIT | {"notes.txt": b"mine"}


@pytest.mark.parametrize("taken", [["linear.py"], ["README.md", "conv.py", "homework.toml"]])
def test_nothing_is_written_over(taken, tmp_path, capsys):
    for name in taken:
        (tmp_path / name).write_text("precious")
    assert cli.main(["homework", "new", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert "already holds" in printed and all(name in printed for name in taken) and printed.count("\n") == 1
    assert contents(tmp_path) == dict.fromkeys(taken, b"precious")


def test_a_link_to_nowhere_is_something_that_is_there(tmp_path):
    (tmp_path / "linear.py").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HomeworkError, match="already holds linear.py"):
        new_homework(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["linear.py"]


@pytest.mark.parametrize("there", [True, False])
def test_half_of_the_files_is_none(there, tmp_path, monkeypatch):
    """The disk is full at the fifth file: the folder is as it was."""
    folder = tmp_path / "backprop"
    if there:
        folder.mkdir()
    copies, copyfile = [], create.shutil.copyfile

    def full(source, target):
        copies.append(target)
        if len(copies) == 5:
            raise OSError(28, "No space left on device")
        return copyfile(source, target)
    monkeypatch.setattr(create.shutil, "copyfile", full)
    with pytest.raises(HomeworkError, match="No space left"):
        new_homework(folder)
    assert not contents(tmp_path) and [path.name for path in tmp_path.iterdir()] == ["backprop"] * there


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_file_in_the_way(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("precious")
    assert cli.main(["homework", "new", str(tmp_path / folder)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("tinyvision: ") and "file" in printed and printed.count("\n") == 1
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("arguments, words", [
    (["homework"], "required: ACTION"), (["homework", "new"], "required: DIR"),
    (["homework", "old", "x"], "invalid choice: 'old'"),
])
def test_mistakes_get_one_sentence(arguments, words, capsys):
    assert cli.main(arguments) == 2
    printed = capsys.readouterr().err
    assert words in printed and printed.count("\n") == 1


def test_permissions_follow_the_users_umask(tmp_path):
    before = os.umask(0o027)
    try:
        paths = new_homework(tmp_path / "new")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o640}
