"""Every example runs: the doctests of every module, and the Python blocks of README.md."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import tinyvision.random
from tests.test_architecture import MODULES

README = Path(__file__).parent.parent / "README.md"


NAMES = sorted(set(MODULES) - {"tinyvision.__main__"})                     # importing that one starts the program


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """Examples that save a file save it in a folder of their own; the engine's random numbers are given back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tinyvision.random, "engine", tinyvision.random.engine)


@pytest.mark.parametrize("name", NAMES)
def test_doctests(name, own_folder):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_doctests_are_found():
    """The examples of a family and of a method are among those that run: none is lost on the way."""
    found = {test.name for name in ("tinyvision.ops.conv", "tinyvision.tensor")
             for test in doctest.DocTestFinder().find(importlib.import_module(name)) if test.examples}
    assert {"tinyvision.ops.conv.conv2d", "tinyvision.tensor.Tensor", "tinyvision.tensor.Op"} <= found
    assert {"tinyvision.functional", "tinyvision.kernels.window", "tinyvision.gradcheck.check"} <= set(NAMES)


def blocks(text):
    """The contents of ```python blocks, each behind as many empty lines as stand before it, so that errors name its line."""
    return [(text[:m.start(1)].count("\n"), m.group(1)) for m in re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S)]


def test_readme(own_folder):
    """The blocks of README.md run one after the other, in one namespace, as a reader would type them."""
    namespace = {}
    for lines, code in blocks(README.read_text(encoding="utf-8")):
        exec(compile("\n" * lines + code, str(README), "exec"), namespace)


def test_blocks():
    text = "a\n```python\nx = 1\n```\ntext\n```\nno\n```\n```python\ny = 2\nz = 3\n```\n"
    assert blocks(text) == [(2, "x = 1\n"), (9, "y = 2\nz = 3\n")]
