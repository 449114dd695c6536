"""Marks as a table for the terminal, as results.json for Gradescope, as CSV."""

import csv
import json
import shutil
import textwrap
from collections import Counter
from pathlib import Path

from ..io.atomic import atomic_path
from .errors import HomeworkError
from .marking import RULE
from .sandbox import printable


def number(x):
    """Points without needless zeros.

    >>> number(10.0), number(20 / 3)
    ('10', '6.67')
    """
    return f"{x:.2f}".rstrip("0").rstrip(".")


class TextTable:
    """The table, a submission at a time; each lost point comes with its cause and the sentence that says what is wrong."""

    def __init__(self, spec, names, width=None):
        self.width = width or min(max(shutil.get_terminal_size((110, 24)).columns, 60), 160)
        self.names = min(max(len("submission"), *map(len, names)), 24)
        self.exercises = max(len("exercise"), *(len(exercise.name) for exercise in spec.exercises))

    def line(self, name, exercise, points, most, cause=""):
        """The columns; points and most are texts."""
        marks = f"{points:>6} {'/' if most else ' '} {most:<5}"
        return f"{name:{self.names}}  {exercise:{self.exercises}}  {marks}  {cause}".rstrip()

    def head(self):
        """The names of the columns."""
        return self.line("submission", "exercise", "points", "", "cause")

    def block(self, mark):
        """The rows of one submission."""
        lines, name = [], mark.name if len(mark.name) <= self.names else mark.name[:self.names - 1] + "~"
        for exercise in mark.exercises:
            marks = number(exercise.points), number(exercise.most)
            lines.append(self.line(name, exercise.name, *marks, ", ".join(exercise.causes)))
            lines += self.sentences(exercise)
            name = ""
        return "\n".join([*lines, self.line("", "total", number(mark.points), number(mark.most))])

    def sentences(self, exercise):
        """What is wrong in each check, below the row; the same sentence of several checks once."""
        texts = {}
        for check in exercise.lost:
            if check.cause == "missing-file":             # the tag says it all
                continue
            texts.setdefault(check.diagnosis, []).append(f"{check.title} ({number(check.points)} of {number(check.most)})")
        indent = " " * (self.names + 4)
        for text, titles in texts.items():
            if len(exercise.checks) > 1:
                text = f"{', '.join(titles)}: {text}"
            yield textwrap.fill(" ".join(text.split()), self.width, initial_indent=indent, subsequent_indent=indent)
        for remark in exercise.remarks:
            yield textwrap.fill(f"(for the marker: {remark}.)", self.width, initial_indent=indent, subsequent_indent=indent)


def summary(marking, width):
    """What a lecturer wants to know of all: the mean, and which mistakes are made most."""
    marks = marking.submissions
    points = [mark.points for mark in marks]
    lines = []
    if marking.batch:
        lines.append(f"{len(marks)} submission{'s' * (len(marks) > 1)}, {number(marking.spec.points)} points: mean "
                     f"{number(sum(points) / len(points))}, lowest {number(min(points))}, highest {number(max(points))}.")
        causes = Counter(cause for mark in marks for exercise in mark.exercises for cause in exercise.causes)
        if causes:
            lines.append(f"Exercises by cause: {', '.join(f'{cause} {n}' for cause, n in causes.most_common(8))}.")
    if marking.others:
        lines.append(f"Not marked, for they are neither a folder nor a .py file: {printable(', '.join(marking.others))}.")
    checks = [check for mark in marks for exercise in mark.exercises for check in exercise.checks]
    if any(0 < check.points < check.most for check in checks):
        lines.append(RULE)
    return [textwrap.fill(line, width) for line in lines]


# --- results.json


def gradescope(mark, spec):
    """One submission as the dictionary that Gradescope reads from results.json.

    Form: gradescope-autograders.readthedocs.io/en/latest/specs.  Nothing in it depends on the time or the machine.
    """
    tests = []
    for i, exercise in enumerate(mark.exercises, 1):
        for j, check in enumerate(exercise.checks, 1):
            single = len(exercise.checks) == 1
            tests.append({
                "name": exercise.title if single else f"{exercise.title}: {check.title}",
                "number": f"{i}" if single else f"{i}.{j}",
                "score": check.points, "max_score": check.most,
                "status": "passed" if check.points == check.most else "failed",
                "output": explain(check, exercise.printed if j == len(exercise.checks) else ""),
                "output_format": "text", "visibility": spec.visibility, "tags": [exercise.name],
                "extra_data": {"cause": check.cause, "gradients": {name: passed for name, passed in check.gradients}},
            })
    remarks = {exercise.name: exercise.remarks for exercise in mark.exercises if exercise.remarks}
    return {"score": mark.points, "output": f"{spec.title}: {number(mark.points)} of {number(mark.most)} points. {RULE}",
            "output_format": "text", "visibility": spec.visibility, "stdout_visibility": "hidden", "tests": tests,
            "extra_data": {"submission": mark.name, "remarks": remarks}}


def explain(check, printed):
    """What a student reads about a check."""
    right, wrong = ([name for name, passed in check.gradients if passed is value] for value in (True, False))
    if check.cause:
        parts = [f"{check.cause}: {check.diagnosis}"]
        if check.gradients:
            parts.append(f"Gradients that are right: {', '.join(right) or 'none'}; wrong: {', '.join(wrong) or 'none'}.")
        if check.detail.strip():
            parts.append(check.detail)
    else:
        parts = [f"All gradients are right: {', '.join(right)}." if right else "All right."]
    return "\n\n".join(parts + [f"Printed by your code:\n{printed}"] * bool(printed))


def write_json(path, marking):
    """results.json of one submission, or a folder with one file for each."""
    if not marking.batch:
        write_text(path, dump(gradescope(marking.submissions[0], marking.spec)))
        return
    Path(path).mkdir(parents=True, exist_ok=True)
    for mark in marking.submissions:
        write_text(Path(path) / f"{mark.name.replace('/', '?')}.json", dump(gradescope(mark, marking.spec)))


def dump(value):
    """JSON as Gradescope and people read it: no NaN, a line for each entry."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_text(path, text):
    """The file whole, or as it was."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


# --- CSV

COLUMNS = ("submission", "exercise", "title", "points", "max_points", "cause", "diagnosis", "remarks")


def write_csv(path, marking):
    """A row for each exercise of each submission."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for mark in marking.submissions:
            for exercise in mark.exercises:
                texts = list(dict.fromkeys(" ".join(check.diagnosis.split()) for check in exercise.lost))
                writer.writerow([cell(mark.name), exercise.name, exercise.title, number(exercise.points), number(exercise.most),
                                 ", ".join(exercise.causes), cell(" ".join(texts)), cell("; ".join(exercise.remarks))])


def cell(text):
    """Text that a spreadsheet does not take for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text


def refuse_outputs(path, batch, json_path, csv_path):
    """Say before anything runs that results could not be written."""
    if json_path and batch:
        folder = Path(json_path)
        if folder.exists() and not folder.is_dir():
            raise HomeworkError(f"--json {json_path}: must be a folder where several submissions are marked, but is a file. Name "
                                "another.")
        if folder.resolve().is_relative_to(Path(path).resolve()):
            raise HomeworkError(f"--json {json_path}: lies among the submissions, and would be taken for one. Name a folder "
                                "elsewhere.")
    for option, file in (("--json", None if batch else json_path), ("--csv", csv_path)):
        if file and (Path(file).is_dir() or not Path(file).absolute().parent.is_dir()):
            reason = "is a folder" if Path(file).is_dir() else "lies in a folder that does not exist"
            raise HomeworkError(f"{option} {file}: must be a file, but {reason}. Name another.")
