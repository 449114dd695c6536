"""The specification of a homework: what is marked, on which inputs, for how many points.

The format stands at the top of `exercises/homework.toml`.  It is read whole and checked whole before anything is marked: a
mistake that came to light with the fortieth submission would be found by a student.
"""

import math
import runpy
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .errors import HomeworkError, choice

DEFAULT = Path(__file__).parent / "exercises" / "homework.toml"
FORBIDDEN = ("tinyvision", "torch", "tensorflow", "jax", "autograd")
VISIBILITY = ("visible", "hidden", "after_due_date", "after_published")

# Of each kind of check: the keys that name something in the submission.
KINDS = {
    "pair": ("forward", "backward"),
    "loss": ("function",),
    "object": ("class",),
    "forward": ("function",),
    "custom": ("check",),
}
TABLES = {"exercise": "exercise", "check": "exercise.check"}
CHECK_KEYS = ("kind", "title", "points", "inputs", "gradients", "sizes", "draws", "reference")


@dataclass(frozen=True)
class Check:
    """One thing to be found right: the names in the submission, the inputs, the points."""

    where: str                                            # "homework.toml, exercise conv, check 2", for messages
    kind: str
    title: str
    points: float
    names: dict                                           # forward, backward, function or class: a name in the submission
    arguments: list                                       # of the class
    inputs: object                                        # a list of tables, or a function(rng, draw) in a Python file
    sizes: dict
    draws: int
    gradients: list = None                                # the names that the points are shared among; None: all that are found
    reference: object = None                              # "file.py:function", or a function in a Python file
    custom: object = None                                 # function(module, rng) in a Python file


@dataclass(frozen=True)
class Exercise:
    """One file's worth, or a part of a file, with its checks."""

    name: str
    file: str
    title: str
    checks: list

    @property
    def points(self):
        return sum(check.points for check in self.checks)

    @property
    def names(self):
        """What the submission has to define, in the order of the checks."""
        return list(dict.fromkeys(name for check in self.checks for name in check.names.values()))


@dataclass(frozen=True)
class Spec:
    """The whole homework."""

    path: Path
    title: str
    exercises: list
    forbidden: tuple = FORBIDDEN
    visibility: str = "visible"

    @property
    def points(self):
        return sum(exercise.points for exercise in self.exercises)


@dataclass
class Table:
    """A table of the file, of which every key must be taken: what is left over is a misspelling."""

    values: dict
    where: str
    taken: set = field(default_factory=set)

    def wrong(self, rule):
        """Raise the error that names the file, the exercise and the check."""
        raise HomeworkError(f"{self.where}: {rule}")

    def take(self, key, kind, default=None):
        """The value of the key, of the kind asked for; without a default it must be there."""
        self.taken.add(key)
        if key not in self.values:
            if default is None:
                self.wrong(f"{key} is missing. Add it: {key} = ...")
            return default
        value = self.values[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            words = {str: "a text", list: "a list", dict: "a table", bool: "true or false", int: "a whole number"}
            self.wrong(f"{key} must be {words.get(kind, 'a number')}, got {value!r}.")
        return value

    def text(self, key, default=None):
        """A text on one line."""
        value = self.take(key, str, default)
        if not value.strip() or not value.isprintable():
            self.wrong(f"{key} must be a text on one line, got {value!r}.")
        return value

    def name(self, key, default=None):
        """A name as Python has them."""
        value = self.take(key, str, default)
        if not value.isidentifier():
            self.wrong(f"{key} must be a name as Python has them, got {value!r}. Letters, digits and _, not a digit first.")
        return value

    def positive(self, key, default=None):
        """A number above 0."""
        value = self.take(key, (int, float), default)
        if not 0 < value < math.inf:
            self.wrong(f"{key} must be above 0, got {value!r}.")
        return value

    def tables(self, key):
        """The tables of a list that must not be empty."""
        found = self.take(key, list, [])
        if not found or not all(isinstance(table, dict) for table in found):
            example = 'inputs = [{name = "x", shape = [4, 3]}]' if key == "inputs" else f"[[{TABLES[key]}]]"
            self.wrong(f"{key} must be a list of tables that is not empty. Write {example}.")
        return found

    def done(self, known=()):
        """Refuse keys that nobody has asked for."""
        for key in self.values:
            if key not in self.taken:
                self.wrong(f"a key must be {choice(key, sorted(self.taken | set(known)))}")


def read_spec(path=None):
    """Read and check a specification, .toml or .py; without a path, the kit's own.

    Raises HomeworkError with file, exercise, check, rule, value and remedy in one sentence.

    >>> read_spec().points
    100
    """
    path = Path(path or DEFAULT)
    table = Table(load(path), path.name)
    title, draws = table.text("title", "Homework"), whole(table, "draws", 2)
    forbidden, visibility = table.take("forbidden", list, list(FORBIDDEN)), table.text("visibility", "visible")
    if not all(isinstance(package, str) and package.isidentifier() for package in forbidden):
        table.wrong(f"forbidden must be a list of names of packages, got {forbidden!r}.")
    if visibility not in VISIBILITY:
        table.wrong(f"visibility must be {choice(visibility, VISIBILITY)}")
    exercises = [read_exercise(values, path, number, draws) for number, values in enumerate(table.tables("exercise"), 1)]
    table.done()
    unique(table, "name", [exercise.name for exercise in exercises])
    return Spec(path, title, exercises, tuple(forbidden), visibility)


def load(path):
    """The file as one dictionary."""
    if not path.is_file():
        raise HomeworkError(f"{path}: there is no such file. Give a specification, a .toml or a .py file, with --spec.")
    if path.suffix == ".py":
        return load_python(path)
    if path.suffix != ".toml":
        raise HomeworkError(f"{path}: a specification is a .toml or a .py file, got {path.suffix or 'no ending'!r}.")
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:                           # of TOML, or of UTF-8
        raise HomeworkError(f"{path.name}: not TOML: {error}.") from error


def load_python(path):
    """SPEC of a Python file."""
    try:
        spec = runpy.run_path(str(path)).get("SPEC")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise HomeworkError(f"{path.name}: fails with {type(error).__name__}: {error}. Run it alone: python {path.name}"
                            ) from error
    if not isinstance(spec, dict):
        raise HomeworkError(f"{path.name}: SPEC must be a dictionary, got {type(spec).__name__}. Write SPEC = {{...}}.")
    return spec


def unique(table, key, values):
    """Refuse a value that stands there twice."""
    for value in values:
        if values.count(value) > 1:
            table.wrong(f"each {key} must be there once, got {value!r} {values.count(value)} times.")


def whole(table, key, default):
    """A whole number from 1 on."""
    value = table.take(key, int, default)
    if value < 1:
        table.wrong(f"{key} must be a whole number of at least 1, got {value!r}.")
    return value


def read_exercise(values, path, number, draws):
    """An Exercise from its table, the number-th; draws: how many where a check does not say."""
    table = Table(values, f"{path.name}, exercise {values.get('name', number)}")
    name = table.name("name")
    file, title = table.text("file", f"{name}.py"), table.text("title", name)
    if Path(file).name != file or Path(file).suffix != ".py":
        table.wrong(f"file must be the name of a .py file without a folder, got {file!r}.")
    points = table.positive("points", math.inf) if "points" in values else None
    table.take("points", (int, float), 0)
    checks = [read_check(check, path, f"{table.where}, check {i}", draws) for i, check in enumerate(table.tables("check"), 1)]
    table.done()
    exercise = Exercise(name, file, title, checks)
    if points is not None and not math.isclose(points, exercise.points):
        table.wrong(f"points must be the sum of its checks' points, got {points:g} and a sum of {exercise.points:g}. Leave out "
                    "points of the exercise, or change those of a check.")
    return exercise


def read_check(values, path, where, draws):
    """A Check from its table."""
    table = Table(values, where)
    kind = table.take("kind", str)
    if kind not in KINDS or (kind == "custom" and path.suffix != ".py"):
        kinds = [k for k in KINDS if k != "custom" or path.suffix == ".py"]
        table.wrong(f"kind must be {choice(kind, kinds)}")
    names, arguments, custom = read_names(table, kind)
    python = path.suffix == ".py"
    inputs = values.get("inputs", [])
    if kind == "custom" or (python and callable(inputs)):
        table.taken.add("inputs")
        inputs = inputs if callable(inputs) else []
    else:
        inputs = [read_input(item, f"{where}, input {i}") for i, item in enumerate(table.tables("inputs"), 1)]
        unique(table, "name of an input", [item["name"] for item in inputs])
    sizes = read_sizes(table, inputs)
    lists = [len(v) for v in sizes.values() if isinstance(v, list)]
    lists += [len(item["values"]) for item in ([] if callable(inputs) else inputs) if "values" in item]
    number = whole(table, "draws", max([draws, *lists]))
    gradients = read_gradients(table, kind, inputs)
    reference = values.get("reference")
    table.taken.add("reference")
    check_reference(table, reference, kind, python)
    points, title = table.positive("points"), table.text("title", " ".join(names.values()) or "custom")
    table.done(CHECK_KEYS)
    return Check(where, kind, title, points, names, arguments, inputs, sizes, number, gradients, reference, custom)


def read_names(table, kind):
    """What of the submission is called: the names by their role, the arguments of a class, the function of a custom check."""
    if kind == "custom":
        table.taken.add("check")
        check = table.values.get("check")
        if not callable(check):
            table.wrong(f"check must be a function check(module, rng), got {check!r}.")
        return {}, [], check
    roles = KINDS[kind]
    if kind == "loss" and "class" in table.values:
        if "function" in table.values:
            table.wrong("names both function and class. Keep the one that the submission defines.")
        roles = ("class",)
    names = {role: table.name(role) for role in roles}
    arguments = table.take("arguments", list, []) if "class" in roles else []
    return names, arguments, None


def read_gradients(table, kind, inputs):
    """Whose gradients count: as listed, else every input of random numbers (pair), the first (a loss), all that are found."""
    known = [] if callable(inputs) else [item["name"] for item in inputs if "shape" in item and "integers" not in item]
    if "gradients" in table.values:
        names = table.take("gradients", list)
        if kind in ("forward", "custom"):
            table.wrong(f"gradients have no meaning in a check of the kind {kind}. Leave them out.")
        if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            table.wrong(f"gradients must be a list of different names, got {names!r}.")
        unknown = [name for name in names if name not in known]
        if unknown and not callable(inputs) and "class" not in table.values:
            table.wrong(f"gradients must name inputs of random numbers, {choice(unknown[0], known)}")
        return names
    if not known or "class" in table.values or kind == "custom":
        return None
    return known[:1] if kind == "loss" else known


def check_reference(table, reference, kind, python):
    """Refuse what is no reference; whether it can be found is seen when inputs are drawn."""
    if reference is None:
        if kind == "forward":
            table.wrong("a check of the kind forward needs a reference. Write reference = \"file.py:function\".")
        return
    if python and callable(reference):
        return
    file, _, function = reference.partition(":") if isinstance(reference, str) else ("", "", "")
    if not file.endswith(".py") or not function.isidentifier():
        table.wrong(f"reference must be \"file.py:function\", got {reference!r}.")


SHAPED = {"scale", "offset", "low", "high", "distinct", "integers"}


def read_input(values, where):
    """One entry of inputs, checked; returned as it is."""
    table = Table(values, where)
    table.name("name")
    table.where = f"{where.rpartition(',')[0]}, input {values['name']}"
    sources = [key for key in ("shape", "value", "values") if key in values]
    if len(sources) != 1:
        table.wrong(f"needs one of shape, value and values, got {' and '.join(sources) or 'none'}.")
    if "values" in values and not table.take("values", list):
        table.wrong("values must not be empty. Give one value for each draw.")
    if "shape" in values:
        table.take("shape", list)
        for key in SHAPED:
            table.taken.add(key)
        check_random(table)
    table.taken.update(sources)
    table.done()
    return values


def check_random(table):
    """Rules for what a shape is filled with."""
    values = table.values
    ways = [way for way in ("distinct", "integers", "low", "high") if way in values]
    if len(ways) > 1 and ways != ["low", "high"]:
        table.wrong(f"{' and '.join(ways)} exclude each other. Keep one.")
    if len({"low", "high"} & set(values)) == 1:
        table.wrong("low and high come together. Give both.")
    if {"scale", "offset"} & set(values) and ways and ways != ["distinct"]:
        table.wrong(f"scale and offset have no meaning with {ways[0]}. Leave them out.")
    for key in ("low", "high", "offset"):
        if key in values and not math.isfinite(table.take(key, (int, float))):
            table.wrong(f"{key} must be a finite number, got {values[key]!r}.")
    if "scale" in values:
        table.positive("scale")
    if "low" in values and not values["low"] < values["high"]:
        table.wrong(f"low must be below high, got {values['low']!r} and {values['high']!r}.")
    if "distinct" in values:
        table.take("distinct", bool)
    if "integers" in values:
        ends = table.take("integers", list)
        if len(ends) != 2 or not all(type(end) is int for end in ends) or not ends[0] < ends[1]:
            table.wrong(f"integers must be [first, last + 1], got {ends!r}.")


def read_sizes(table, inputs):
    """The meaning of each letter, every one of which must stand in a shape."""
    sizes = table.take("sizes", dict, {})
    for letter, meaning in sizes.items():
        all_sizes = meaning if isinstance(meaning, list) else [meaning]
        if not all_sizes or not all(type(size) is int and size > 0 for size in all_sizes):
            table.wrong(f"sizes: {letter} must be a whole number above 0 or a list of such, got {meaning!r}.")
    used = set()
    for item in [] if callable(inputs) else inputs:
        for size in item.get("shape", []):
            used.update(check_size(table, item["name"], size, sizes))
    unused = [letter for letter in sizes if letter not in used]
    if unused and not callable(inputs):
        table.wrong(f"sizes: {unused[0]} stands in no shape. Leave it out, or put it into one.")
    return sizes


def check_size(table, name, size, sizes):
    """The letters of one entry of a shape."""
    if type(size) is int and size > 0:
        return set()
    try:
        letters = {letter for _, letter in terms(str(size)) if letter}
    except ValueError:
        table.wrong(f"shape of {name}: an entry must be a whole number above 0 or letters such as N, 2H, S+O, got {size!r}.")
    for letter in letters:
        if letter not in sizes:
            table.wrong(f"shape of {name}: {letter} is not explained. Add it: sizes = {{{letter} = [4, 1]}}.")
    return letters


def terms(size):
    """The sum that an entry of a shape stands for: pairs of a factor and a letter, or of a number and None.

    >>> terms("2H+1")
    [(2, 'H'), (1, None)]
    """
    found = []
    for term in size.split("+"):
        letter = term.strip().lstrip("0123456789")
        factor = term.strip()[:len(term.strip()) - len(letter)]
        if not (letter.isidentifier() or (factor and not letter)) or (factor and int(factor) == 0):
            raise ValueError(size)
        found.append((int(factor or 1), letter or None))
    return found
