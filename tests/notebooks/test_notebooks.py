"""Every notebook runs in a fresh kernel and reaches what it asserts; what is committed of it can be read without running it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
names = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
SOMEWHERE = re.compile(r"(?<![\w.)}])(?:/(?:home|Users|root|work|tmp|mnt|media|opt|usr)/\w|[A-Z]:\\\\)")


def code_cells(path):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def texts(cell):
    """What a cell printed, as text."""
    for output in cell["outputs"]:
        for part in (output.get("text"), output.get("data", {}).get("text/plain"), output.get("data", {}).get("text/html")):
            yield "".join(part or "")


def plain(code):
    """Code without IPython's own commands."""
    return "".join(line for line in code.splitlines(True) if not line.startswith(("%", "!")))


def snapshot(path):
    """What lies in the repository and beside the notebooks, and the notebook itself."""
    beside = sorted(p.name for p in FOLDER.iterdir() if p.suffix != ".ipynb")
    here = sorted(p.name for p in FOLDER.parent.iterdir() if p.name != ".pytest_cache")                      # of another test run
    return here, beside, path.read_bytes()


def lectures(*arguments):
    return subprocess.run([sys.executable, "-m", "tinyvision", "lectures", *map(str, arguments)], capture_output=True,
                          encoding="utf-8", timeout=300)


def executed(path, folder):
    """What running a copy of a notebook printed, in a folder of its own."""
    folder.mkdir()
    shutil.copyfile(path, folder / path.name)
    return lectures("--run", "--write", "--folder", folder, path.stem), folder


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """{path: the future of its run}: two at a time, for a notebook uses one thread."""
    wanted = [item.callspec.params["path"] for item in request.session.items if item.originalname == "test_a_notebook_runs"]
    before, place = [snapshot(path) for path in wanted], tmp_path_factory.mktemp("notebooks")
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        yield {path: pool.submit(executed, path, place / path.stem) for path in wanted}
    assert [snapshot(path) for path in wanted] == before


def notice(output):
    """Whether it is the line that a machine prints which has not met a kernel yet."""
    return re.fullmatch(r"tinyvision: compiling kernels for this machine, once; [^\n]*\n", "".join(output["text"])) is not None


@names
def test_a_notebook_runs(path, runs):
    """Top to bottom, without an error or a warning, within its limits, and without leaving anything in the repository."""
    done, folder = runs[path].result()
    assert done.returncode == 0, done.stdout + done.stderr
    for cell in code_cells(folder / path.name):
        loud = [output for output in cell["outputs"] if output.get("name") == "stderr" and not notice(output)]
        assert not loud, f"{source(cell)}\n{loud}"
    assert (folder / path.name).stat().st_size < 1.5e6


@names
def test_a_notebook_was_committed_with_its_outputs(path):
    """Cells ran once, in order, and nothing in them speaks of one person's machine."""
    assert path.stat().st_size < 1.5e6
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    everything = json.loads(path.read_text(encoding="utf-8"))
    markdown = [source(cell) for cell in everything["cells"] if cell["cell_type"] == "markdown"]
    for text in [*markdown, *map(source, cells), *(text for cell in cells for text in texts(cell))]:
        assert not SOMEWHERE.search(text), SOMEWHERE.search(text).group() + " in " + text
    assert everything["metadata"]["language_info"] == {"name": "python"}
    assert [cell["id"] for cell in everything["cells"]] == [f"{path.stem[:2]}-{i:03d}" for i in range(len(everything["cells"]))]


@names
def test_a_notebook_has_its_parts(path):
    """The slide's term in the first cell, exercises with folded solutions, and an assertion at the end."""
    everything = json.loads(path.read_text(encoding="utf-8"))["cells"]
    head = source(everything[0])
    assert head.startswith(f"# {path.stem[:2]} ") and re.search("[а-яё]{3}", head) and "you can" in head
    text = "\n".join(source(cell) for cell in everything if cell["cell_type"] == "markdown")
    for title in ("## Exercises", "## Solutions", "## What was simplified", "## What to read"):
        assert f"\n{title}\n" in f"\n{text}\n"
    cells = code_cells(path)
    assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(plain(source(cells[-1])))))
    assert any("getsource" in source(cell) for cell in cells)
    assert any(cell["metadata"].get("jupyter", {}).get("source_hidden") for cell in cells)


def test_the_map_is_complete():
    """Every notebook is in the table, and what the table names is there."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+\.ipynb)\)", text)) == {path.name for path in NOTEBOOKS}
    rows = [line for line in text.splitlines() if line.startswith("|") and ".ipynb" in line]
    assert all(row.count("|") == 5 for row in rows)
    for named in re.findall(r"`((?:tinyvision|kernels|tests)/[\w./]*)`", text):
        assert (FOLDER.parent / named).exists(), named
    for name, sections in re.findall(r"\]\((\w+\.ipynb)\) (§[^|]*)\|", text):
        titles = re.findall(r'"## (\d+)\.', (FOLDER / name).read_text(encoding="utf-8"))
        assert set(re.findall(r"\d+", sections)) <= set(titles), f"{name} has no section {sections}"


def test_the_checks_would_notice(tmp_path):
    """A cell that fails, one that warns, and a name that is none."""
    notebook = {"cells": [], "metadata": {"kernelspec": {"display_name": "", "name": "python3"}}, "nbformat": 4, "nbformat_minor": 5}
    for name, code in (("01_wrong", "x = 1\n1 / 0"), ("02_loud", "import warnings\nwarnings.warn('careful')"),
                       ("03_writes", "open('here.txt', 'w').close()\nimport os; assert os.environ['NUMBA_NUM_THREADS']")):
        cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": code, "outputs": [], "execution_count": None}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(notebook | {"cells": [cell]}))
    wrong = lectures("--run", "--folder", tmp_path)
    assert wrong.returncode == 2 and "ZeroDivisionError: division by zero" in wrong.stdout
    assert "1 of 3 notebooks failed: 01_wrong" in wrong.stderr and "UserWarning: careful" in wrong.stderr
    assert [line.split()[-1] for line in wrong.stdout.splitlines()[1:]] == ["warning", "passed"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["01_wrong.ipynb", "02_loud.ipynb", "03_writes.ipynb"]
    assert SOMEWHERE.search("open('" + "/ho" + "me/x')") and not SOMEWHERE.search("docs.org/work/x")
