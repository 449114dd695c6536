"""The guide tells the truth: its code runs, prints what it shows and draws its pictures; its commands do what it says.

    ```python         runs, one block after the other, in one namespace for each page
    ```sh             runs in a shell, in the folder where the blocks before it left their files
    ```text           behind one of these: what it prints
    File `NAME`:      before a block: it becomes a file of that name and does not run

    python -m tests.gradcheck.test_guide

writes outputs, pictures and the table of causes anew; look at what changed before you keep it.
"""

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import tinyvision.random
from tests.test_docs import blocks
from tinyvision import gradcheck
from tinyvision.gradcheck import CAUSES

GUIDE = Path(gradcheck.__file__).parent / "guide"
PAGES = ["README.md", "student.md", "author.md", "grader.md"]
PART = re.compile(r"(?:^File `(?P<file>[^`\n]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<code>.*?)^```$"
                  r"(?P<shows>\n\n^```text\n(?P<output>.*?)^```$)?", re.M | re.S)
NUMBER = re.compile(r"(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)")
CAUSES_HERE = re.compile(r"(?<=<!-- causes -->\n).*?(?=<!-- end of causes -->)", re.S)
HAS_TORCH = importlib.util.find_spec("torch") is not None


def read(page):
    return (GUIDE / page).read_text(encoding="utf-8")


def run(part, line, page, namespace):
    """Do what a part of a page says, in this folder: what it printed, None where nothing is run."""
    code = part["code"]
    if part["file"]:
        Path(part["file"]).parent.mkdir(parents=True, exist_ok=True)
        Path(part["file"]).write_text(code, encoding="utf-8")
    elif part["kind"] == "sh":
        python = f'"{sys.executable}"'
        command = re.sub(r"^python\b", python, re.sub(r"^tinyvision\b", f"{python} -m tinyvision", code, flags=re.M), flags=re.M)
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "COLUMNS": "110", "OPENBLAS_NUM_THREADS": "1"})
        return done.stdout + done.stderr
    elif part["kind"] == "python" and (HAS_TORCH or "import torch" not in code):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile("\n" * line + code, page, "exec"), namespace)
        return out.getvalue()
    return None


def run_page(page):
    """Pairs (part, what it printed), in order; the engine's random numbers are given back afterwards."""
    text, namespace, engine = read(page), {"__name__": "guide"}, tinyvision.random.engine
    lines = {code: line for line, code in blocks(text)}
    try:
        for part in PART.finditer(text):
            yield part, run(part, lines.get(part["code"], 0), page, namespace)
    finally:
        tinyvision.random.engine = engine


def alike(shown, printed):
    """Equal but for the last digits of numbers, which another processor may round differently, and for the bars behind +-."""
    one, other = NUMBER.split(shown), NUMBER.split(printed)
    if one[::2] != other[::2]:
        return False
    return all(before.endswith("+- ") or np.isclose(float(a), float(b), rtol=1e-4, atol=1e-9)
               for before, a, b in zip(one[::2], one[1::2], other[1::2]))


def causes_table():
    return "".join(["| cause | the mistake |\n", "|---|---|\n", *(f"| `{cause}` | {text} |\n" for cause, text in CAUSES.items())])


# --- the tests


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """run_page for a page, done once: the pairs, and the folder with the page's files."""
    kept = {}

    def ran(page):
        if page not in kept:
            folder = tmp_path_factory.mktemp("guide")
            with moved(folder):
                kept[page] = list(run_page(page)), folder
        return kept[page]
    return ran


@contextlib.contextmanager
def moved(folder):
    """Work in this folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def test_the_first_page_of_the_project_shows_what_is_printed():
    """README.md: the report under its example is the one that the example prints."""
    shown = [part for part in PART.finditer((Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")) if part["shows"]]
    assert shown
    for part in shown:
        assert alike(part["output"], run(part, 0, "README.md", {}))


@pytest.mark.parametrize("page", PAGES)
def test_blocks_print_what_the_page_shows(page, ran):
    for part, printed in ran(page)[0]:
        if printed is not None and (part["shows"] or part["kind"] == "python"):
            shown = part["output"] or ""
            assert alike(shown, printed), f"{page} shows\n{shown}\nand this prints\n{printed}"


@pytest.mark.parametrize("page", PAGES)
def test_what_is_quoted_was_printed(page, ran):
    """Pieces of a report in the middle of a sentence are those of a report on the page."""
    everything = "".join(printed or "" for _, printed in ran(page)[0])
    prose = re.sub(r"^```.*?^```$", "", read(page), flags=re.M | re.S)
    for quoted in re.findall(r"`([^`]*(?:worst at|are off|DISAGREE)[^`]*)`", prose):
        assert " ".join(quoted.split()) in everything


@pytest.mark.parametrize("page", PAGES)
def test_no_block_is_lost(page):
    """Every fence of the page belongs to a part, and every Python block is among those that run or become a file."""
    text = read(page)
    found = list(PART.finditer(text))
    assert text.count("```") == sum(2 + 2 * bool(part["shows"]) for part in found) and len(found) >= 1
    assert [part["code"] for part in found if part["kind"] == "python"] == [code for _, code in blocks(text)]
    assert not [part["code"] for part in found if part["kind"] not in ("python", "sh") and not part["file"]]


def pictures():
    return [(page, name) for page in PAGES for name in re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", read(page))]


@pytest.mark.parametrize("page, name", pictures())
def test_pictures_are_those_of_the_code(page, name, ran):
    """Drawn anew a picture has the same size and nearly the same pixels; letters may differ with the version of matplotlib."""
    image = pytest.importorskip("matplotlib.image")
    kept, drawn = GUIDE / name, ran(page)[1] / name
    assert kept.stat().st_size < 60_000
    one, other = image.imread(kept), image.imread(drawn)
    assert one.shape == other.shape and np.abs(one - other).mean() < 0.03


def test_every_picture_is_shown():
    assert {path.name for path in GUIDE.glob("*.png")} == {name for _, name in pictures()} and len(pictures()) >= 2


def test_table_of_causes():
    assert CAUSES_HERE.search(read("README.md"))[0] == causes_table()


def test_the_fixture_of_pytest(ran):
    """The tests that the page for authors shows: one passes, the other fails with the report."""
    text = next(printed for part, printed in ran("author.md")[0] if part["kind"] == "sh" and "pytest" in part["code"])
    assert "1 failed, 1 passed" in text and "gradients DISAGREE" in text and "constant-factor" in text


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", read(page)):
        assert (GUIDE / target).is_file()


def test_the_pages_come_with_the_installation():
    """setup.cfg names them; they lie beside the code."""
    assert {path.name for path in GUIDE.iterdir()} >= set(PAGES)
    setup = Path(__file__).parents[2] / "setup.cfg"
    assert "tinyvision.gradcheck = guide/*.md, guide/*.png" in setup.read_text(encoding="utf-8").splitlines()


def test_what_is_alike():
    assert alike("a 1.23456 +- 1e-10, b", "a 1.23457 +- 7e-9, b") and not alike("a 1.23", "a 1.24") and not alike("a 1", "b 1")
    assert not alike("x 12", "x 12 12")


# --- writing the pages anew


def write(page):
    """Put what is printed now into the page, and its pictures beside it."""
    with tempfile.TemporaryDirectory() as folder, moved(folder):
        text, end, pieces = read(page), 0, []
        for part, printed in run_page(page):
            if part["shows"] and printed is not None:
                pieces += [text[end:part.start("output")], printed]
                end = part.end("output")
        text = CAUSES_HERE.sub(lambda _: causes_table(), "".join([*pieces, text[end:]]))
        for picture in Path(folder).glob("*.png"):
            shutil.copy(picture, GUIDE / picture.name)
    (GUIDE / page).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for page in PAGES:
        write(page)
