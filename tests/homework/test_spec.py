"""Specifications: what they mean, and each mistake in one by its sentence, before anything runs."""

import numpy as np
import pytest

from tests.homework.kit import SPECS, SUBMISSIONS
from tinyvision import cli
from tinyvision.homework import HomeworkError, read_spec
from tinyvision.homework.draw import draw_all
from tinyvision.homework.spec import DEFAULT, terms

GOOD = """
title = "One layer"
draws = 3

[[exercise]]
name = "linear"
points = 4

[[exercise.check]]
kind = "pair"
forward = "f"
backward = "g"
points = 4
sizes = {N = [4, 1], M = 2}
inputs = [
    {name = "x", shape = ["N", "2M", 3]},
    {name = "d", shape = ["N+M"], distinct = true, scale = 2.0, offset = 5.0},
    {name = "u", shape = [2], low = 0.5, high = 0.75},
    {name = "i", shape = [50], integers = [2, 5]},
    {name = "v", value = {stride = 2}},
    {name = "a", values = ["p", "q"]},
]
"""


def write(folder, text, name="spec.toml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_drawn(tmp_path):
    draws = draw_all(read_spec(write(tmp_path, GOOD)), seed=1)["linear"][0]
    assert len(draws) == 3
    x, d, u, i, v, a = zip(*(draw.inputs for draw in draws))
    assert [array.shape for array in x] == [(4, 4, 3), (1, 4, 3), (4, 4, 3)]
    assert [array.shape for array in d] == [(6,), (3,), (6,)]
    assert all(array.dtype == np.float64 for array in (*x, *d, *u)) and not np.array_equal(x[0], x[2])
    np.testing.assert_allclose(np.sort(d[0]), 5 + 0.2 * (np.arange(6) - 2.5))        # a tenth of the scale apart, mean 5
    assert all((array >= 0.5).all() and (array < 0.75).all() for array in u)
    assert set(np.concatenate(i)) == {2, 3, 4} and i[0].dtype.kind == "i"
    assert v == ({"stride": 2},) * 3 and a == ("p", "q", "p")


def test_draws_repeat_with_the_seed_and_do_not_depend_on_neighbours(tmp_path):
    spec = read_spec(write(tmp_path, GOOD))
    first, again, other = (draw_all(spec, seed)["linear"][0][0].inputs[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    more = GOOD.replace("[[exercise]]", '[[exercise]]\nname = "before"\n[[exercise.check]]\nkind = "pair"\nforward = "a"\n'
                        'backward = "b"\npoints = 1\ninputs = [{name = "x", shape = [2]}]\n\n[[exercise]]', 1)
    assert np.array_equal(draw_all(read_spec(write(tmp_path, more)), 1)["linear"][0][0].inputs[0], first)


def test_spread_and_mean(tmp_path):
    text = GOOD.replace('shape = ["N", "2M", 3]}', 'shape = [2000], scale = 3.0, offset = -1.0}').replace("N = [4, 1]", "N = 4")
    x = draw_all(read_spec(write(tmp_path, text)))["linear"][0][0].inputs[0]
    assert abs(x.mean() + 1) < 0.3 and abs(x.std() - 3) < 0.2            # four standard deviations


def test_the_kit(capsys):
    spec = read_spec()
    assert spec.path == DEFAULT and len(spec.exercises) == 9 and spec.points == 100
    assert all(len(drawn) == 2 for checks in draw_all(spec).values() for drawn in checks)


def test_terms():
    assert terms("N") == [(1, "N")] and terms("2H+S+3") == [(2, "H"), (1, "S"), (3, None)]


CHECK = '[[exercise.check]]'
PAIR = 'kind = "pair"\nforward = "f"\nbackward = "g"'
MISTAKES = {  # what is changed in GOOD, and what the sentence says
    "not toml": ("draws = 3", "draws = = 3", "spec.toml: not TOML: .*line 3"),
    "unknown key": ("draws = 3", "darws = 3", "spec.toml: a key must be one of .*, got 'darws'. Did you mean draws?"),
    "no exercise": (GOOD, 'title = "x"', r"spec.toml: exercise must be a list of tables .*\[\[exercise\]\]"),
    "draws": ("draws = 3", "draws = 0", "draws must be a whole number of at least 1, got 0"),
    "draws as text": ("draws = 3", 'draws = "3"', "draws must be a whole number, got '3'"),
    "draws as truth": ("draws = 3", "draws = true", "draws must be a whole number, got True"),
    "title": ("One layer", "", "title must be a text on one line"),
    "visibility": ("draws = 3", 'visibility = "hiden"', "visibility must be one of .*, got 'hiden'. Did you mean hidden?"),
    "forbidden": ("draws = 3", "forbidden = [1]", r"forbidden must be a list of names of packages, got \[1\]"),
    "name missing": ('name = "linear"\n', "", "exercise 1: name is missing"),
    "name": ('"linear"', '"2 layers"', "exercise 2 layers: name must be a name as Python has them"),
    "file": ("points = 4\n\n", 'file = "../x.py"\npoints = 4\n\n', "file must be the name of a .py file without a folder"),
    "sum": ("points = 4\n\n", "points = 5\n\n", "exercise linear: points must be the sum .*, got 5 and a sum of 4"),
    "unknown key of an exercise": ("points = 4\n\n", "pts = 4\n\n", "exercise linear: a key must be one of .*, got 'pts'"),
    "no check": (GOOD[GOOD.index(CHECK):], "", r"exercise linear: check must be a list of tables .*\[\[exercise.check\]\]"),
    "kind": ('"pair"', '"pare"', "check 1: kind must be one of pair, loss, object, forward, got 'pare'. Did you mean pair?"),
    "custom in toml": ('"pair"', '"custom"', "kind must be one of pair, loss, object, forward, got 'custom'"),
    "kind missing": ('kind = "pair"\n', "", "check 1: kind is missing"),
    "backward missing": ('backward = "g"\n', "", "check 1: backward is missing"),
    "name of a function": ('backward = "g"', 'backward = "g()"', "backward must be a name as Python has them, got 'g..'"),
    "key of another kind": ('backward = "g"', 'backward = "g"\nfunction = "h"', "a key must be one of .*, got 'function'"),
    "points of a check": ("points = 4\nsizes", "points = -4\nsizes", "check 1: points must be above 0, got -4"),
    "points missing": ("points = 4\nsizes", "sizes", "check 1: points is missing"),
    "no inputs": (GOOD[GOOD.index("inputs"):], "", "check 1: inputs must be a list of tables that is not empty"),
    "input name": ('{name = "x", ', "{", "check 1, input 1: name is missing"),
    "input twice": ('name = "d"', 'name = "x"', "each name of an input must be there once, got 'x' 2 times"),
    "shape and value": ("{stride = 2}", "{stride = 2}, shape = [2]", "input v: needs one of .*, got shape and value"),
    "neither": (', value = {stride = 2}', "", "input v: needs one of shape, value and values, got none"),
    "empty values": ('["p", "q"]', "[]", "input a: values must not be empty"),
    "unknown key of an input": ("distinct = true", "distnct = true", "input d: a key .*, got 'distnct'. Did you mean distinct?"),
    "two ways": ("distinct = true", "distinct = true, integers = [0, 2]", "input d: distinct and integers exclude each other"),
    "half a range": (", high = 0.75", "", "input u: low and high come together"),
    "range": ("high = 0.75", "high = 0.25", "input u: low must be below high, got 0.5 and 0.25"),
    "infinite": ("high = 0.75", "high = inf", "input u: high must be a finite number, got inf"),
    "scale of a range": ("low = 0.5", "scale = 2.0, low = 0.5", "input u: scale and offset have no meaning with low"),
    "scale": ("scale = 2.0", "scale = 0", "input d: scale must be above 0, got 0"),
    "integers": ("[2, 5]", "[5, 2]", r"input i: integers must be \[first, last \+ 1\], got \[5, 2\]"),
    "letter": ('"N+M"', '"N+K"', r"shape of d: K is not explained. Add it: sizes = \{K"),
    "entry": ('"N+M"', '"N-M"', "shape of d: an entry must be .*, got 'N-M'"),
    "nothing times": ('"N+M"', '"0N+M"', "shape of d: an entry must be .*, got '0N.M'"),
    "entry zero": ('["N+M"]', "[0]", "shape of d: an entry must be .*, got 0"),
    "size": ("M = 2", "M = 0", "sizes: M must be a whole number above 0 or a list of such, got 0"),
    "empty list": ("N = [4, 1]", "N = []", r"sizes: N must be a whole number above 0 or a list of such, got \[\]"),
    "unused": ("M = 2", "M = 2, K = 3", "sizes: K stands in no shape"),
    "reference": ('backward = "g"', 'backward = "g"\nreference = "f"', 'reference must be "file.py:function", got \'f\''),
    "forward without reference": (PAIR, 'kind = "forward"\nfunction = "f"', "needs a reference"),
    "gradients": (PAIR, PAIR + '\ngradients = ["i"]', "gradients must name inputs of random numbers, one of x, d, u"),
    "gradients twice": (PAIR, PAIR + '\ngradients = ["x", "x"]', "gradients must be a list of different names"),
    "gradients of a forward pass": (PAIR, 'kind = "forward"\nfunction = "f"\ngradients = ["x"]', "gradients have no meaning"),
    "function and class": (PAIR, 'kind = "loss"\nfunction = "f"\nclass = "C"', "both function and class"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, tmp_path):
    old, new, words = MISTAKES[name]
    assert GOOD.count(old) == 1
    with pytest.raises(HomeworkError, match=words) as found:
        read_spec(write(tmp_path, GOOD.replace(old, new)))
    assert "\n" not in str(found.value) and str(found.value).startswith("spec.toml")


def test_two_exercises_of_one_name(tmp_path):
    with pytest.raises(HomeworkError, match="each name must be there once, got 'linear' 2 times"):
        read_spec(write(tmp_path, GOOD + GOOD[GOOD.index("[[exercise]]"):]))


REFERENCES = {
    "missing.py:f": "there is no file .*missing.py",
    "reference.py:leakey": "reference.py defines no function leakey",
    "reference.py:broken": "the reference fails on draw 1 with ValueError: no such shape",
    "reference.py:complex_numbers": "the reference must return finite numbers",
}


@pytest.mark.parametrize("reference", REFERENCES)
def test_references_are_tried_before_anything_runs(reference, tmp_path):
    (tmp_path / "reference.py").write_text((SPECS / "reference.py").read_text(encoding="utf-8"))
    text = (SPECS / "course.toml").read_text(encoding="utf-8").replace("reference.py:leaky", reference)
    with pytest.raises(HomeworkError, match=f"exercise activation, check 1: .*{REFERENCES[reference]}"):
        draw_all(read_spec(write(tmp_path, text)))


PYTHON = {
    "SPEC = 1/0": "spec.py: fails with ZeroDivisionError",
    "raise SystemExit(3)": "spec.py: fails with SystemExit",
    "x = 1": "SPEC must be a dictionary, got NoneType",
    "SPEC = {}": "exercise must be a list of tables",
    "SPEC = {'exercise': [{'name': 'a', 'check': [{'kind': 'custom', 'points': 1, 'check': 3}]}]}": "check must be a function",
    "SPEC = {'exercise': [{'name': 'a', 'check': [{'kind': 'pair', 'forward': 'f', 'backward': 'g', 'points': 1, "
    "'inputs': lambda rng, draw: 1/0}]}]}": r"inputs\(rng, 0\) fails with ZeroDivisionError",
    "SPEC = {'exercise': [{'name': 'a', 'check': [{'kind': 'pair', 'forward': 'f', 'backward': 'g', 'points': 1, "
    "'inputs': lambda rng, draw: [lambda x: x]}]}]}": "inputs must be arrays, numbers, texts and tables",
    "SPEC = {'exercise': [{'name': 'a', 'check': [{'kind': 'pair', 'forward': 'f', 'backward': 'g', 'points': 1, "
    "'inputs': lambda rng, draw: 1}]}]}": r"inputs\(rng, draw\) must return a tuple of inputs, got int",
}


@pytest.mark.parametrize("text", PYTHON)
def test_mistakes_in_python(text, tmp_path):
    with pytest.raises(HomeworkError, match=PYTHON[text]):
        draw_all(read_spec(write(tmp_path, text, "spec.py")))


@pytest.mark.parametrize("name, words", [("none.toml", "no such file"), ("spec.json", "a .toml or a .py file, got '.json'")])
def test_files_that_are_none(name, words, tmp_path, capsys):
    write(tmp_path, "{}", "spec.json")
    assert cli.main(["gradcheck", str(SUBMISSIONS / "right"), "--spec", str(tmp_path / name)]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and printed.err.count("\n") == 1 and printed.out == ""


def test_a_mistake_in_the_specification_runs_nothing(tmp_path, capsys):
    path = write(tmp_path, GOOD.replace('"pair"', '"pare"'))
    assert cli.main(["gradcheck", str(SUBMISSIONS / "hostile"), "--spec", str(path)]) == 2
    printed = capsys.readouterr()
    assert "kind must be" in printed.err and printed.out == ""
