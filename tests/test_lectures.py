"""The command `tinyvision lectures` but for what it executes: names, folders, Jupyter, what is missing."""

import sys

import pytest

from tinyvision import cli
from tinyvision.cli import lectures, notebooks


@pytest.fixture
def folder(tmp_path):
    for name in ("03_convolution", "09_residual", "10_lenet", "11_resnet", "draft"):
        (tmp_path / f"{name}.ipynb").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("names, expected", [
    ([], ["03_convolution", "09_residual", "10_lenet", "11_resnet"]),
    (["03"], ["03_convolution"]),
    (["lenet", "03_convolution.ipynb"], ["10_lenet", "03_convolution"]),
    (["notebooks/09_residual.ipynb"], ["09_residual"]),
    (["conv"], ["03_convolution"]),
])
def test_names_of_notebooks(folder, names, expected):
    assert [path.stem for path in notebooks.chosen(folder, names)] == expected


@pytest.mark.parametrize("arguments, words", [
    (["--run", "unet"], "no notebook is called unet. There are: 03_convolution, 09_residual"),
    (["--run", "net"], "several notebooks are called net. There are: 10_lenet, 11_resnet."),
    (["--write"], "Add --run"),
    (["03", "10"], "Jupyter opens one notebook, got 03 10"),
    (["--run", "--timeout", "0"], "at least 1"),
])
def test_a_mistake_in_the_lectures(folder, arguments, words, capsys):
    assert cli.main(["lectures", *arguments, "--folder", str(folder)]) == 2
    printed = capsys.readouterr().err
    assert words in printed and printed.count("\n") == 1


def test_a_folder_without_notebooks(tmp_path, capsys, monkeypatch):
    assert cli.main(["lectures", "--folder", str(tmp_path)]) == 2
    assert "holds no notebooks" in capsys.readouterr().err
    monkeypatch.setattr(notebooks, "__file__", str(tmp_path / "site-packages" / "tinyvision" / "cli" / "notebooks.py"))
    monkeypatch.chdir(tmp_path)                               # as if installed from a wheel
    assert cli.main(["lectures", "--run"]) == 2
    assert "not part of the installed package. Fetch the source" in capsys.readouterr().err
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "03_convolution.ipynb").touch()
    assert notebooks.find_folder().name == "notebooks"


@pytest.mark.parametrize("package, arguments", [("jupyterlab", []), ("nbclient", ["--run"])])
def test_a_missing_jupyter_is_said(folder, package, arguments, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)           # as if it were not there
    assert cli.main(["lectures", "--folder", str(folder), *arguments]) == 2
    printed = capsys.readouterr().err
    assert f"needs the package {package}" in printed and "pip install -e '.[notebooks]'" in printed and printed.count("\n") == 1


@pytest.mark.parametrize("code", [0, 3])
def test_jupyter_is_started_and_waited_for(folder, code, monkeypatch, capfd):
    """A program in Jupyter's place, which notes what it was asked to open."""
    (folder / "jupyterlab.py").write_text(f"import sys; print(sys.argv[1:]); sys.stdout.flush(); sys.exit({code})")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(lectures, "require", lambda *modules: None)
    assert cli.main(["lectures", "lenet", "--folder", str(folder)]) == (2 if code else 0)
    printed = capfd.readouterr()
    assert printed.out.strip() == str([f"--notebook-dir={folder}", str(folder / "10_lenet.ipynb")])
    assert ("Jupyter ended with exit code 3" in printed.err) == bool(code)
