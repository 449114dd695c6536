"""What the tests of homework share."""

from dataclasses import replace
from pathlib import Path

from tinyvision.homework import mark, read_spec
from tinyvision.homework.sandbox import Limits

SUBMISSIONS = Path(__file__).parent / "submissions"
SPECS = Path(__file__).parent / "specs"


def marked(path, spec=None, only=None, jobs=2, timeout=120, memory=1024, **options):
    """The Marking of a path; a time limit that only a submission which never ends can reach.

    only: the name of one exercise, the others are left out.
    """
    spec = read_spec(spec)
    if only:
        spec = replace(spec, exercises=[exercise for exercise in spec.exercises if exercise.name == only])
    return mark(path, spec, jobs=jobs, limits=Limits(timeout, memory), **options)


def submission(folder, **files):
    """A folder with these files, NAME="text of NAME.py"."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return folder


LINEAR = """
import numpy as np

def linear_forward(x, w, b):
    return x @ w + b, (x, w)

def linear_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)
"""
