"""From what was found to marks.

The rule: a check's points are shared equally among its gradients, and a gradient counts when it is right in every draw.  Where
something is wrong beside the gradients (an input is changed in place, a cache of another call is used), half of that remains.  A
check that does not come to its end, or whose forward pass has been changed, gives none.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from . import sandbox
from .draw import draw_all
from .submissions import find_submissions, remarks

RULE = ("A check's points are shared equally among its gradients; one counts when it is right in every draw. All right, but an "
        "input changed in place or a cache of another call used: half.")


@dataclass
class CheckMark:
    """What one check gave, and why not more."""

    title: str
    points: float
    most: float
    cause: str = ""
    diagnosis: str = ""
    detail: str = ""
    gradients: list = field(default_factory=list)         # pairs (name, whether it was right in every draw)


@dataclass
class ExerciseMark:
    """One exercise of one submission; printed: what its code printed, the beginning; remarks: for the marker's eyes."""

    name: str
    title: str
    checks: list
    printed: str = ""
    remarks: list = field(default_factory=list)

    @property
    def points(self):
        return round(sum(check.points for check in self.checks), 4)

    @property
    def most(self):
        return sum(check.most for check in self.checks)

    @property
    def lost(self):
        """The checks that did not give everything."""
        return [check for check in self.checks if check.points < check.most]

    @property
    def causes(self):
        """The tags of what was lost, each once."""
        return list(dict.fromkeys(check.cause for check in self.lost))


@dataclass
class SubmissionMark:
    """One submission: its exercises in the order of the specification."""

    name: str
    exercises: list

    @property
    def points(self):
        return round(sum(exercise.points for exercise in self.exercises), 4)

    @property
    def most(self):
        return sum(exercise.most for exercise in self.exercises)


@dataclass
class Marking:
    """The marks of all submissions; batch: whether they came from a folder of submissions; others: entries that were none."""

    spec: object
    submissions: list
    batch: bool
    others: list


def mark(path, spec, seed=0, jobs=1, limits=None, on_start=None, on_mark=None):
    """Mark the submission or the submissions at path.

    seed: of all inputs; jobs: processes at a time; limits: sandbox.Limits for each; on_start(submissions) is called before the
    first; on_mark(mark) for each submission in its order, as soon as it is done.
    Raises HomeworkError where there is nothing to mark, or where the specification's references fail.
    """
    limits = limits or sandbox.Limits()
    submissions, batch, others = find_submissions(path, spec)
    draws = draw_all(spec, seed)
    if on_start:
        on_start(submissions)
    marks = []
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = [[pool.submit(mark_exercise, submission, exercise, draws[exercise.name], spec, limits)
                    for exercise in spec.exercises if not submission.partial or exercise.name in submission.files]
                   for submission in submissions]
        for submission, exercises in zip(submissions, futures):
            marks.append(SubmissionMark(sandbox.printable(submission.name).replace("\n", "?"), [f.result() for f in exercises]))
            if on_mark:
                on_mark(marks[-1])
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        limits.break_off()
        raise
    pool.shutdown()
    return Marking(spec, marks, batch, others)


def mark_exercise(submission, exercise, draws, spec, limits):
    """Run the checks of one exercise and mark them; whatever the submission does ends here, as a mark."""
    file = submission.files.get(exercise.name)
    if file is None:
        fault = {"cause": "missing-file", "diagnosis": f"{exercise.file} is not there."}
        return ExerciseMark(exercise.name, exercise.title, [lost(check, fault) for check in exercise.checks])
    checks = [{"index": i, "kind": check.kind, "names": check.names, "arguments": check.arguments, "gradients": check.gradients,
               "inputs": None if callable(check.inputs) else [item["name"] for item in check.inputs], "draws": drawn}
              for i, (check, drawn) in enumerate(zip(exercise.checks, draws))]
    task = {"file": file, "forbidden": spec.forbidden, "spec": str(spec.path.resolve()), "exercise": exercise.name}
    try:
        results, outcome = sandbox.run_exercise(submission.folder, submission.only, task, checks, limits)
    except OSError as error:                              # a file that cannot be read, a full disk
        fault = {"cause": "unreadable", "diagnosis": f"cannot be run: {error.strerror}."}
        return ExerciseMark(exercise.name, exercise.title, [lost(check, fault) for check in exercise.checks])
    marks = [check_mark(check, results[i]) for i, check in enumerate(exercise.checks)]
    own = [path.stem for path in submission.folder.glob("*.py")] if not submission.only else []
    notes = remarks(submission.folder, file, own) + ["writes to the channel of the results"] * outcome.forged
    return ExerciseMark(exercise.name, exercise.title, marks, printed(outcome), notes)


def lost(check, fault):
    """The mark of a check that was not run."""
    return CheckMark(check.title, 0.0, check.points, fault["cause"], fault["diagnosis"])


def check_mark(check, result):
    """The mark by the rule above."""
    rows, cause = result["rows"], result["cause"]
    if not cause:
        return CheckMark(check.title, check.points, check.points, gradients=rows)
    share = sum(passed for _, passed in rows) / len(rows) if rows else 0.0
    if not result["whole"]:
        share /= 2
    points = round(check.points * result.get("share", share), 4)
    return CheckMark(check.title, points, check.points, cause, result["diagnosis"], result["detail"], rows)


def printed(outcome):
    """What the submission printed, for the results: the beginning, and how much there was."""
    if not outcome.printed_bytes:
        return ""
    text = sandbox.printable(outcome.printed).rstrip()
    if outcome.printed_bytes <= sandbox.KEPT:
        return text
    count = f"{outcome.printed_bytes:,}" if not outcome.fault else f"more than {10 ** (len(str(outcome.printed_bytes)) - 1):,}"
    return f"{text}\n... ({count} bytes were printed; the first {sandbox.KEPT:,} are kept)"
