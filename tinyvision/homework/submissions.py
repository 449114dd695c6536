"""Finding submissions in a folder, exercises in a submission, and what a marker should look at with his own eyes.

Files are searched as text: nothing here runs or even parses what a student wrote.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from .errors import HomeworkError

IGNORED = ("__pycache__", "__MACOSX", "node_modules")
DEPTH = 3                                                 # folders within folders, as unpacking leaves them
USUAL = {"__future__", "abc", "collections", "contextlib", "copy", "dataclasses", "enum", "functools", "itertools", "math",
         "numbers", "numpy", "operator", "random", "scipy", "statistics", "string", "time", "typing", "warnings"}
REMARKABLE = re.compile(r"\b(_getframe|f_back|f_locals|f_globals|__globals__|__code__|__builtins__|__subclasses__|__import__|"
                        r"settrace|setprofile|eval|exec|globals)\b")


@dataclass
class Submission:
    """One student's work: its name, the folder, and the one file where it is not the whole folder."""

    name: str
    folder: Path
    only: str = None
    partial: bool = False                                 # only exercises that are found count
    files: dict = field(default_factory=dict)             # {name of the exercise: name of its file}


def find_submissions(path, spec):
    """The submissions in a file or folder, whether they are a batch, and the names of entries that are none.

    Raises HomeworkError where there is nothing to mark.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix != ".py":
            raise HomeworkError(f"{path}: a submission is a .py file or a folder of such, got {path.suffix or 'no ending'!r}.")
        found = located(Submission(path.stem, path.parent, path.name, partial=True), spec)
        if not found.files:
            names = ", ".join([name for exercise in spec.exercises for name in exercise.names][:3])
            raise HomeworkError(f"{path}: defines nothing that {spec.path.name} names ({names}, ...). Is it the right file, or "
                                "does it need another --spec?")
        return [found], False, []
    if not path.is_dir():
        raise HomeworkError(f"{path}: there is no such file or folder.")
    if any((path / exercise.file).is_file() for exercise in spec.exercises):
        return [located(Submission(path.resolve().name, path), spec)], False, []
    return find_batch(path, spec)


def find_batch(path, spec):
    """A folder of submissions: every folder and every .py file in it is one."""
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith(".") and entry.name not in IGNORED)
    taken = [entry for entry in entries if entry.is_dir() or entry.suffix == ".py"]
    if not taken:
        raise HomeworkError(f"{path}: holds no submission, neither a file such as {spec.exercises[0].file} nor a folder or .py "
                            "file for each student.")
    stems = [entry.stem if entry.is_file() else entry.name for entry in taken]
    submissions = []
    for entry, stem in zip(taken, stems):
        name = entry.name if stems.count(stem) > 1 else stem
        place = (entry.parent, entry.name) if entry.is_file() else (unpacked(entry, spec), None)
        submissions.append(located(Submission(name, *place), spec))
    return submissions, True, [entry.name for entry in entries if entry not in taken]


def unpacked(folder, spec):
    """The folder that holds the exercises: itself, or the first folder below that does."""
    level = [folder]
    for _ in range(DEPTH):
        for place in level:
            if any((place / exercise.file).is_file() for exercise in spec.exercises):
                return place
        level = [child for place in level for child in children(place)]
    return folder


def children(folder):
    """The folders in a folder, none where it cannot be read."""
    try:
        return sorted(child for child in folder.iterdir() if child.is_dir() and not child.is_symlink()
                      and not child.name.startswith(".") and child.name not in IGNORED)
    except OSError:
        return []


def located(submission, spec):
    """The submission with the file of each exercise: the one of its name, else one that defines what is asked for."""
    folder, only = submission.folder, submission.only
    candidates = [only] if only else sorted(path.name for path in folder.glob("*.py") if path.is_file() and not path.is_symlink())
    own = {exercise.file for exercise in spec.exercises}
    texts = {name: read(folder / name) for name in candidates}
    for exercise in spec.exercises:
        if exercise.file in candidates:
            submission.files[exercise.name] = exercise.file
            continue
        names = exercise.names
        found = [name for name in candidates if (only or name not in own) and any(defines(texts[name], n) for n in names)]
        if found:
            submission.files[exercise.name] = found[0]
    return submission


def read(path):
    """The beginning of a file as text, whatever it holds."""
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return ""


def defines(text, name):
    """Whether a line at the margin makes this name."""
    return re.search(rf"^(?:def|class)\s+{name}\b|^{name}\s*=", text, re.M) is not None


def remarks(folder, file, own=()):
    """What in a file homework seldom needs: worth a look, no proof of anything.

    own: names of the submission's own modules.
    """
    text = read(Path(folder) / file).split("\nif __name__")[0]
    imports = re.findall(r"^\s*(?:import|from)\s+([A-Za-z_]\w*)", text, re.M)
    imports += [name for line in re.findall(r"^\s*import\s+(.+)", text, re.M) for name in re.findall(r",\s*([A-Za-z_]\w*)", line)]
    odd = sorted(set(imports) - USUAL - set(own))
    words = sorted(set(REMARKABLE.findall(text)))
    return [f"imports {', '.join(odd)}"] * bool(odd) + [f"uses {', '.join(words)}"] * bool(words)
