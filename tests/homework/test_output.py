"""The table, results.json, the CSV."""

import csv
import io
import json

import pytest

from tests.homework.kit import LINEAR, SUBMISSIONS, submission
from tinyvision import cli
from tinyvision.homework import read_spec
from tinyvision.homework.marking import CheckMark, ExerciseMark, Marking, SubmissionMark
from tinyvision.homework.output import TextTable, gradescope, number, summary, write_csv, write_json

VISIBILITY = {"hidden", "after_due_date", "after_published", "visible"}


def marking(*names, batch=True):
    """A Marking as if it had been run: each submission has one right and one half-right exercise."""
    half = CheckMark("stride", 2.5, 5, "transposed", "the gradient of w is transposed.", "report", [("x", True), ("w", False)])
    linear = ExerciseMark("linear", "Linear layer", [CheckMark("f g", 10, 10, gradients=[("x", True)])])
    conv = ExerciseMark("conv", "Convolution", [CheckMark("plain", 5, 5), half], "printed", ["imports os"])
    marks = [SubmissionMark(name, [linear, conv]) for name in names]
    return Marking(read_spec(), marks, batch, ["notes.txt"])


def test_the_table():
    done = marking("ann", "a" * 40)
    table = TextTable(done.spec, ["ann", "a" * 40], width=90)
    text = "\n".join([table.head(), *map(table.block, done.submissions)])
    assert all(len(line) <= 90 for line in text.splitlines())
    rows = text.splitlines()
    assert rows[0].split() == ["submission", "exercise", "points", "cause"]
    assert rows[1].split() == ["ann", "linear", "10", "/", "10"]
    assert rows[2].split() == ["conv", "7.5", "/", "10", "transposed"]
    assert rows[3].strip() == "stride (2.5 of 5): the gradient of w is transposed." and "imports os" in rows[4]
    assert rows[5].split() == ["total", "17.5", "/", "20"]
    assert len({row.index("/") for row in rows if "/" in row}) == 1              # a column


def test_the_summary():
    lines = " ".join(summary(marking("ann", "bob"), 200))
    assert "2 submissions" in lines and "mean 17.5" in lines and "transposed 2" in lines and "notes.txt" in lines
    assert "shared equally" in lines


def test_numbers():
    assert [number(x) for x in (0, 10, 2.5, 20 / 3, 100.0, 0.004)] == ["0", "10", "2.5", "6.67", "100", "0"]


def check_gradescope(result):
    """The form that Gradescope documents: docs/specs.md of gradescope/autograder_samples."""
    assert set(result) <= {"score", "execution_time", "output", "output_format", "test_output_format", "test_name_format",
                           "visibility", "stdout_visibility", "extra_data", "tests", "leaderboard"}
    assert isinstance(result["score"], (int, float)) and result["visibility"] in VISIBILITY
    assert result["stdout_visibility"] in VISIBILITY and isinstance(result["output"], str)
    for test in result["tests"]:
        assert set(test) <= {"score", "max_score", "status", "name", "name_format", "number", "output", "output_format", "tags",
                             "visibility", "extra_data"}
        assert 0 <= test["score"] <= test["max_score"]
        assert test["status"] == ("passed" if test["score"] == test["max_score"] else "failed")
        assert isinstance(test["number"], str) and isinstance(test["name"], str) and isinstance(test["output"], str)
        assert test["visibility"] in VISIBILITY and all(isinstance(tag, str) for tag in test["tags"])
    assert sum(test["score"] for test in result["tests"]) == pytest.approx(result["score"], abs=1e-3)


def test_gradescope():
    done = marking("ann")
    result = gradescope(done.submissions[0], done.spec)
    check_gradescope(result)
    assert [test["number"] for test in result["tests"]] == ["1", "2.1", "2.2"]
    assert [test["name"] for test in result["tests"]] == ["Linear layer", "Convolution: plain", "Convolution: stride"]
    last = result["tests"][-1]
    assert last["output"].startswith("transposed: the gradient of w is transposed.\n\nGradients that are right: x; wrong: w.\n\nreport")
    assert last["output"].endswith("Printed by your code:\nprinted") and "printed" not in result["tests"][1]["output"].lower()
    assert last["extra_data"] == {"cause": "transposed", "gradients": {"x": True, "w": False}}
    assert result["extra_data"]["remarks"] == {"conv": ["imports os"]} and "imports os" not in json.dumps(result["tests"])


def test_one_submission_one_file(tmp_path, capsys):
    """The whole way: command, table, results.json, CSV; twice the same to the byte."""
    texts = []
    for _ in range(2):
        out, table = tmp_path / "results.json", tmp_path / "marks.csv"
        path = SUBMISSIONS / "mistakes" / "linear.py"
        assert cli.main(["gradcheck", str(path), "--json", str(out), "--csv", str(table), "--seed", "4", "--jobs", "1"]) == 0
        texts.append((out.read_text(encoding="utf-8"), table.read_text(encoding="utf-8"), capsys.readouterr().out))
    assert texts[0] == texts[1]
    result = json.loads(texts[0][0])
    check_gradescope(result)
    assert result["score"] == 6.6667 and len(result["tests"]) == 1 and "missing-sum" in result["tests"][0]["output"]
    assert "6.67 / 10" in texts[0][2] and "missing-sum" in texts[0][2] and str(out) in texts[0][2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["marks.csv", "results.json"]


def test_a_batch_on_disk(tmp_path, capsys):
    submission(tmp_path / "in" / "ann", linear=LINEAR)
    submission(tmp_path / "in", bob=LINEAR.replace("w.T", "w"))
    out, table = tmp_path / "results", tmp_path / "marks.csv"
    assert cli.main(["gradcheck", str(tmp_path / "in"), "--json", str(out), "--csv", str(table), "--jobs", "2"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["ann.json", "bob.json"]
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in out.iterdir()}
    for result in results.values():
        check_gradescope(result)
    assert results["ann"]["score"] == 10 and results["bob"]["score"] < 10 and len(results["ann"]["tests"]) == 12
    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert len(rows) == 18 and [row["submission"] for row in rows] == ["ann"] * 9 + ["bob"] * 9
    assert rows[0] == {"submission": "ann", "exercise": "linear", "title": "Linear layer", "points": "10", "max_points": "10",
                       "cause": "", "diagnosis": "", "remarks": ""}
    assert float(rows[9]["points"]) < 10 and rows[9]["cause"] and rows[9]["diagnosis"] and rows[1]["cause"] == "missing-file"
    assert "2 submissions, 100 points" in capsys.readouterr().out


def test_csv_is_no_formula(tmp_path):
    write_csv(tmp_path / "marks.csv", marking("=HYPERLINK(1)", "@x", 'quote"d, name'))
    names = [row[0] for row in csv.reader(io.StringIO((tmp_path / "marks.csv").read_text(encoding="utf-8")))]
    assert names == ["submission", "'=HYPERLINK(1)", "'=HYPERLINK(1)", "'@x", "'@x", 'quote"d, name', 'quote"d, name']


@pytest.mark.parametrize("write, name", [(write_json, "results.json"), (write_csv, "marks.csv")])
def test_files_are_whole_or_not_there(write, name, tmp_path, monkeypatch):
    """The disk is full: yesterday's file stays, and nothing half-written beside it."""
    from tinyvision.io import atomic

    def full(*args):
        raise OSError(28, "No space left on device")
    (tmp_path / name).write_text("yesterday")
    monkeypatch.setattr(atomic, "flush", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / name, marking("ann", batch=False))
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "yesterday"


@pytest.mark.parametrize("options, words", [
    (["--json", "in/results"], "lies among the submissions"), (["--json", "file"], "must be a folder"),
    (["--csv", "in"], "is a folder"), (["--csv", "no/marks.csv"], "a folder that does not exist"),
    (["--timeout", "0"], "above 0"), (["--memory", "10"], "at least 256"), (["--jobs", "0"], "at least 1"),
    (["--seed", "-1"], "at least 0"), (["--json"], "expected one argument"),
])
def test_mistakes_are_said_before_anything_runs(options, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    submission(tmp_path / "in" / "ann", linear="raise SystemExit")
    (tmp_path / "file").write_text("precious")
    assert cli.main(["gradcheck", "in", *options]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and printed.err.count("\n") == 1 and printed.out == ""
    assert (tmp_path / "file").read_text() == "precious"


def test_the_help_teaches(capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(["gradcheck", "--help"])
    text = capsys.readouterr().out
    assert done.value.code == 0
    assert "tinyvision homework new backprop" in text and "--spec course.toml" in text and "container" in text
