"""Marks: right solutions get everything, mistakes cost what the rule says and are named, whichever way the files come."""

import shutil

import numpy as np
import pytest

from tests.homework.kit import LINEAR, SPECS, SUBMISSIONS, marked, submission
from tinyvision.homework import HomeworkError, read_spec
from tinyvision.homework.marking import check_mark
from tinyvision.homework.submissions import find_submissions, remarks


def by_name(marking, submission=0):
    return {exercise.name: exercise for exercise in marking.submissions[submission].exercises}


@pytest.fixture(scope="module")
def mistakes():
    return by_name(marked(SUBMISSIONS / "mistakes"))


def test_right_solutions_get_all_points():
    marking = marked(SUBMISSIONS / "right", seed=3)
    [mark] = marking.submissions
    assert (mark.name, mark.points, mark.most, marking.batch) == ("right", 100, 100, False)
    checks = [check for exercise in mark.exercises for check in exercise.checks]
    assert len(checks) == 12 and not any(check.cause or check.diagnosis for check in checks)
    assert all(check.gradients and all(passed for _, passed in check.gradients) for check in checks)


# Of the mistakes in submissions/mistakes: points, causes that fit, words of the sentence.
EXPECTED = {
    "linear": (20 / 3, {"missing-sum"}, "axis 0"),
    "softmax_loss": (0, {"constant-factor"}, "4"),
    "batch_norm": (10, {"term-missing"}, "variance"),
    "conv": (10, {"overwritten"}, "+="),
    "max_pool": (5, {"overwritten"}, "+="),
    "conv_transpose": (9 + 2, None, "gradient of"),
    "dropout": (0, {"mask-redrawn"}, "mask"),
    "residual_block": (20 / 3, None, "gradient of x"),
    "up_block": (0, {"mask-missing"}, "mask"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_mistakes_cost_their_share_and_are_named(name, mistakes):
    points, causes, words = EXPECTED[name]
    exercise = mistakes[name]
    assert exercise.points == pytest.approx(points, abs=1e-3)
    assert exercise.lost and all(check.cause and check.diagnosis for check in exercise.lost)
    assert causes is None or set(exercise.causes) <= causes
    assert words in " ".join(check.diagnosis for check in exercise.lost)


def test_the_check_without_the_mistake_keeps_its_points(mistakes):
    assert [check.points for check in mistakes["max_pool"].checks] == [5, 0]
    assert mistakes["conv_transpose"].checks[0].points == 9


def test_right_gradients_beside_a_wrong_one(mistakes):
    assert mistakes["linear"].checks[0].gradients == [("x", True), ("w", True), ("b", False)]
    assert mistakes["residual_block"].checks[0].gradients == [("x", False), ("w1", True), ("w2", True)]


def test_unwritten_exercises(tmp_path):
    from tinyvision.homework import new_homework
    new_homework(tmp_path / "new")
    for name in ("linear", "softmax_loss"):               # a backward function, and a loss that raises itself
        [mark] = marked(tmp_path / "new" / f"{name}.py").submissions
        [check] = mark.exercises[0].checks
        assert (check.points, check.cause) == (0, "not-done") and "to be written by you" in check.diagnosis


@pytest.mark.parametrize("rows, cause, whole, points", [
    ([("x", True), ("w", True), ("b", True)], "", True, 6),
    ([("x", True), ("w", False), ("b", True)], "transposed", True, 4),
    ([("x", False), ("w", False), ("b", False)], "zero-gradient", True, 0),
    ([("x", True), ("w", True), ("b", True)], "modified-in-place", False, 3),
    ([("x", True), ("w", False), ("b", True)], "transposed", False, 2),
    ([], "error", True, 0),
])
def test_the_rule(rows, cause, whole, points):
    check = read_spec(SPECS / "course.toml").exercises[1].checks[0]
    result = {"rows": rows, "cause": cause, "whole": whole, "diagnosis": "", "detail": ""}
    assert check_mark(check, result).points == pytest.approx(points)


def test_a_gradient_that_is_wrong_in_one_draw_only(tmp_path):
    """Right for one example, wrong for four: the second draw, of one example, does not make up for it."""
    text = LINEAR.replace("dout.sum(axis=0)", "dout[0]")
    [mark] = marked(submission(tmp_path, linear=text) / "linear.py").submissions
    assert mark.exercises[0].checks[0].gradients == [("x", True), ("w", True), ("b", False)]


def test_objects_models_forwards():
    [mark] = marked(SUBMISSIONS / "course", SPECS / "course.toml").submissions
    assert [exercise.points for exercise in mark.exercises] == [5, 6, 4]
    assert mark.exercises[1].checks[0].gradients == [("x", True), ("W", True), ("b", True)]


CHANGES = {  # in submissions/course/layers.py: old, new, exercise, points, cause
    "a parameter's gradient": ("dout.sum(axis=0)", "dout.mean(axis=0)", "layer", 4, "constant-factor"),
    "a parameter that is kept back": ('"b": np.zeros(M)}', '}; self.b = np.zeros(M)', "layer", 4, "missing-gradient"),
    "a model's gradient": ("h.T @ d}", "h.T @ d * 2}", "model", 2, "constant-factor"),
    "a forward pass": ("np.where(x > 0, x, 0.1 * x), x", "np.where(x > 0, x, 0.2 * x), x", "activation", 0, "forward-changed"),
    "a forward pass of another shape": ("0.1 * x), x", "0.1 * x)[:1], x", "activation", 0, "forward-changed"),
    "a class that cannot be made": ("def __init__(self, D, M):", "def __init__(self, D):", "layer", 0, "error"),
    "a class that is gone": ("class Linear:", "class Dense:", "layer", 0, "missing-function"),
    "a name that is no function": ("class Linear:", "Linear = 3\nclass Dense:", "layer", 0, "missing-function"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_mistakes_in_objects_models_forwards(name, tmp_path):
    old, new, exercise, points, cause = CHANGES[name]
    text = (SUBMISSIONS / "course" / "layers.py").read_text(encoding="utf-8")
    assert text.count(old) == 1
    text = text.replace(old, new).replace('self.params["b"]\n', 'getattr(self, "b", self.params.get("b"))\n')
    submission(tmp_path, layers=text)
    [found] = marked(tmp_path, SPECS / "course.toml", only=exercise).submissions[0].exercises
    assert found.points == pytest.approx(points) and found.checks[0].cause == cause and found.checks[0].diagnosis


def test_a_specification_in_python(tmp_path):
    [mark] = marked(SUBMISSIONS / "course", SPECS / "course.py").submissions
    assert [check.points for check in mark.exercises[0].checks] == [2, 1, 1]
    text = (SUBMISSIONS / "course" / "layers.py").read_text(encoding="utf-8")
    submission(tmp_path, layers=text.replace("np.where(cache > 0, dout, 0.1 * dout)", "np.where(cache >= 0, dout, 0.1 * dout)"))
    [mark] = marked(tmp_path, SPECS / "course.py").submissions
    assert [check.points for check in mark.exercises[0].checks] == [2, 0, 1]
    assert mark.exercises[0].checks[1].diagnosis == "The slope at 0 is 0.1 in this course."


def test_marks_repeat_with_the_seed(tmp_path):
    """Every figure in every report is the same again, and another seed draws other figures."""
    path = SUBMISSIONS / "mistakes" / "dropout.py"       # draws random numbers of its own, too
    first, again = (repr(marked(path, seed=1).submissions) for _ in range(2))
    assert first == again
    path = SUBMISSIONS / "mistakes" / "conv.py"          # its report shows figures
    first, again, other = (repr(marked(path, seed=seed).submissions) for seed in (1, 1, 2))
    assert first == again != other


# --- which files belong to whom


def test_a_batch(tmp_path):
    submission(tmp_path / "Ann Other", linear=LINEAR)
    submission(tmp_path / "bob" / "homework 1" / "src", linear=LINEAR)                 # as unpacking leaves it
    submission(tmp_path, carol=LINEAR)                                                 # one file a student
    submission(tmp_path / "carol", linear=LINEAR)                                      # and a folder of the same name
    submission(tmp_path / "dave", everything=LINEAR)                                   # under a name of his own
    (tmp_path / "empty").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "eve.zip").write_bytes(b"PK")
    spec = read_spec()
    found, batch, others = find_submissions(tmp_path, spec)
    assert batch and others == ["eve.zip"]
    assert {s.name: s.files.get("linear") for s in found} == {
        "Ann Other": "linear.py", "bob": "linear.py", "carol": "linear.py", "carol.py": "carol.py", "dave": "everything.py",
        "empty": None}


def test_all_exercises_count_in_a_batch_and_only_those_found_in_a_file(tmp_path):
    submission(tmp_path / "all" / "ann", linear=LINEAR)
    submission(tmp_path / "all", bob=LINEAR)
    marking = marked(tmp_path / "all")
    assert [(mark.points, mark.most) for mark in marking.submissions] == [(10, 100), (10, 100)]
    assert {check.cause for check in by_name(marking)["conv"].checks} == {"missing-file"}
    [mark] = marked(tmp_path / "all" / "bob.py").submissions
    assert (mark.points, mark.most) == (10, 10)


def test_helpers_beside_the_exercise(tmp_path):
    """A folder's own modules can be imported, by whatever name; Python's own keep theirs."""
    text = LINEAR.replace("import numpy as np", "import numpy as np\nimport random\nfrom tools import transpose\nrandom.random()")
    submission(tmp_path, linear=text.replace("w.T", "transpose(w)"), tools="def transpose(w):\n    return w.T\n",
               random="raise RuntimeError('not mine')")
    assert by_name(marked(tmp_path, only="linear"))["linear"].points == 10


@pytest.mark.parametrize("name, words", [
    ("nothing", "no such file or folder"), ("notes.txt", "a .py file or a folder of such"), ("empty", "holds no submission"),
    ("other.py", r"defines nothing that homework.toml names \(linear_forward"),
])
def test_nothing_to_mark(name, words, tmp_path):
    (tmp_path / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.py").write_text("x = 1")
    with pytest.raises(HomeworkError, match=words):
        marked(tmp_path / name)


def test_links_are_not_followed(tmp_path):
    """A link to a right solution is no submission."""
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "linear.py").symlink_to(SUBMISSIONS / "right" / "linear.py")
    assert by_name(marked(tmp_path))["linear"].checks[0].cause in ("missing-file", "unreadable", "error")


def test_remarks(tmp_path):
    """What homework seldom needs is mentioned, what is usual or only runs as a program is not."""
    submission(tmp_path, odd="import numpy as np, ctypes\nfrom os import path\nx = eval('1')\n",
               usual=LINEAR + "import math\nfrom tools import f\n\nif __name__ == '__main__':\n    import tinyvision\n")
    assert remarks(tmp_path, "odd.py") == ["imports ctypes, os", "uses eval"]
    assert remarks(tmp_path, "usual.py", own=["tools"]) == []


def test_references_beside_the_specification(tmp_path):
    """A specification that a lecturer has taken elsewhere looks for its references there."""
    shutil.copy(SPECS / "course.toml", tmp_path)
    with pytest.raises(HomeworkError, match="there is no file"):
        marked(SUBMISSIONS / "course", tmp_path / "course.toml")
    shutil.copy(SPECS / "reference.py", tmp_path)
    assert marked(SUBMISSIONS / "course", tmp_path / "course.toml", only="activation").submissions[0].points == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["course.toml", "reference.py"]


def test_inputs_are_the_same_for_everybody(tmp_path):
    """A submission that writes into its inputs does not spoil them for the next."""
    text = LINEAR.replace("    return x @ w + b, (x, w)", "    out = x @ w + b\n    x[...] = 0\n    return out, (x, w)")
    submission(tmp_path / "ann", linear=text)
    submission(tmp_path / "bob", linear=LINEAR)
    marking = marked(tmp_path, jobs=1)
    assert by_name(marking, 0)["linear"].points < 10 and by_name(marking, 1)["linear"].points == 10
    assert np.isfinite(marking.submissions[0].points)
