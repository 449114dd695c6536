"""The process in which one exercise of one submission runs; started by sandbox.py, never imported by anything else.

The order is the protection: limits are set, output is led away, the checker is imported, and its functions are noted, before the
first line of the submission runs.  Each verdict leaves at once through a channel of its own with a token in front, so what is
printed cannot pass for a result, and a crash loses only the check that crashed.  This keeps mistakes and simple tricks out, not a
determined intruder: the submission shares this process, and could search its memory.
"""

import builtins
import copy
import importlib.util
import json
import os
import pickle
import pkgutil
import random
import sys
import traceback
import types

import numpy as np

from .. import gradcheck
from ..gradcheck import check_loss, check_pair
from . import limits
from .spec import read_spec

WATCHED = ("tinyvision", "numpy", "builtins", "json", "pickle", "os", "math")


class Fault(BaseException):
    """Something of the submission that ends a check: a cause, and a sentence for the student.

    Not an Exception, so that no `except Exception` on the way swallows it.
    """

    def __init__(self, cause, diagnosis, detail=""):
        super().__init__(cause, diagnosis, detail)
        self.cause, self.diagnosis, self.detail = cause, diagnosis, detail


def main():
    """Read the task from standard input, run it, and end at once: no thread or exit handler of the submission comes after it."""
    task = pickle.load(sys.stdin.buffer)
    send = channel(task["token"], task["folder"] + os.sep)
    limits.apply(task["memory"], task["timeout"])
    import_checker()
    customs = custom_checks(task)                         # the lecturer's code, before the submission's
    guard_imports(task["folder"], task["forbidden"])
    watch = Watch()
    send(kind="ready")                                    # whatever goes wrong before is not the submission's fault
    try:
        module = load(task["folder"], task["file"])
        watch.check()
    except BaseException as error:
        send(kind="unloaded", **as_fault(error, task["folder"]))
        finish()
    send(kind="loaded")
    for check in task["checks"]:
        try:
            result = run_check(check, module, task, customs, watch)
        except BaseException as error:
            result = {"rows": [], "whole": False, **as_fault(error, task["folder"])}
        send(kind="check", index=check["index"], **result)
    send(kind="done")
    finish()


def import_checker():
    """All parts of the checker, also those that it imports when it needs them: afterwards they could be someone else's."""
    for part in pkgutil.walk_packages(gradcheck.__path__, f"{gradcheck.__name__}."):
        if part.name.rpartition(".")[2] not in ("plot", "pytest_plugin", "torch"):   # of no use here, and slow to import
            importlib.import_module(part.name)


def finish():
    """End, with everything written."""
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            stream.flush()
        except Exception:
            pass
    os._exit(0)


def channel(token, folder):
    """A function that sends a message to the marker; what the submission prints goes to standard error, and there is no input.

    Paths become relative to the folder: where the copy lay is nobody's business, and differs each time.
    """
    private = os.fdopen(os.dup(1), "wb", buffering=0)     # a number of its own, which other programs do not inherit
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    owner = os.getpid()

    def send(**message):
        if os.getpid() != owner:                          # a fork of the submission's, which goes on where it was made
            os._exit(0)
        message |= {key: text.replace(folder, "") for key, text in message.items() if isinstance(text, str)}
        data = f"{token} {json.dumps(message)}\n".encode()
        while data:
            data = data[private.write(data):]
    return send


class Watch:
    """The functions and classes that marking rests on, to see that the submission has not exchanged them."""

    def __init__(self):
        self.seen = dict(self.look())

    @staticmethod
    def look():
        """Pairs of a name and what stands there: the object, and the code of a function."""
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] not in WATCHED or not isinstance(module, types.ModuleType):
                continue
            for key, value in list(vars(module).items()):
                if callable(value) or (key.isupper() and name.startswith("tinyvision")):         # a constant: a tolerance
                    yield f"{name}.{key}", (value, getattr(value, "__code__", None))
                if isinstance(value, type) and value.__module__.startswith("tinyvision"):
                    yield from ((f"{name}.{key}.{k}", (v, getattr(v, "__code__", None))) for k, v in list(vars(value).items())
                                if callable(v) or isinstance(v, (property, classmethod, staticmethod)))

    def check(self):
        """Raise a Fault for the first that is not what it was."""
        now = dict(self.look())
        for name, (value, code) in self.seen.items():
            if name not in now or now[name][0] is not value or now[name][1] is not code:
                raise Fault("tampered", f"the submission exchanges {name}, which marking rests on. Leave other modules as they "
                                        "are.")


def guard_imports(folder, forbidden):
    """Refuse imports of certain packages by the submission's files, and let it import its own."""
    plain = builtins.__import__

    def guarded(name, globals=None, locals=None, fromlist=(), level=0):
        top = name.partition(".")[0]
        if level == 0 and top in forbidden and str((globals or {}).get("__file__", "")).startswith(folder):
            raise Fault("forbidden-import", f"imports {top}, which a submission may not use. Write the gradient yourself; keep "
                                            'imports for your own tries below if __name__ == "__main__".')
        return plain(name, globals, locals, fromlist, level)

    builtins.__import__ = guarded
    while "" in sys.path:
        sys.path.remove("")
    packages = [i for i, entry in enumerate(sys.path) if "site-packages" in entry or "dist-packages" in entry]
    sys.path.insert(packages[0] if packages else len(sys.path), folder)      # behind Python's own: a random.py hides nothing


def load(folder, file):
    """Import the submission's file as a module of its own name."""
    path = os.path.join(folder, file)
    name = os.path.splitext(file)[0]
    if not name.isidentifier() or name in sys.modules:
        name = "submission"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    os.chdir(folder)
    try:
        spec.loader.get_code(name)
    except ValueError as error:                           # null bytes, to Python before 3.12
        raise Fault("syntax-error", f"{file}: {error}. Python cannot read the file.") from error
    spec.loader.exec_module(module)
    return module


# --- faults


def as_fault(error, folder):
    """Any exception as cause, diagnosis and detail."""
    if isinstance(error, Fault):
        fault = error
        if error.cause == "forbidden-import":
            fault = Fault(error.cause, f"{place(error, folder)}: {error.diagnosis}")
    elif isinstance(error, MemoryError):
        limits.relieve()
        fault = Fault("memory", "asks for more memory than there is. Is an array larger than meant? Does a list grow in a loop?")
    elif isinstance(error, SyntaxError):
        where = f"{os.path.basename(error.filename or '')}, line {error.lineno}"
        fault = Fault("syntax-error", f"{where}: {error.msg}. Python cannot read the file.", error.text or "")
    elif isinstance(error, (SystemExit, KeyboardInterrupt)):
        name = type(error).__name__
        fault = Fault("exit", f"{place(error, folder)}: ends the program ({name}). A function returns its result.")
    elif isinstance(error, NotImplementedError):
        fault = Fault("not-done", str(error) or "raises NotImplementedError: not written yet.")
    elif isinstance(error, ImportError):
        fault = Fault("import-error", f"{place(error, folder)}: {error}.")
    else:
        where = place(error, folder)
        text = f"{type(error).__name__}: {error}"
        fault = Fault("error", f"{where}: {text}" if where else text)
    detail = fault.detail or frames(error, folder)
    return {"cause": fault.cause, "diagnosis": fault.diagnosis, "detail": detail[:4000]}


def own_frames(error, folder):
    """The lines of a traceback that lie in the submission."""
    return [frame for frame in traceback.extract_tb(error.__traceback__, limit=-200) if frame.filename.startswith(folder)]


def place(error, folder):
    """File and line of the submission in which it was raised."""
    own = own_frames(error, folder)
    return f"{os.path.basename(own[-1].filename)}, line {own[-1].lineno}" if own else ""


def frames(error, folder):
    """The submission's part of the traceback."""
    own = own_frames(error, folder)[-5:]
    return "".join(traceback.format_list(own)) + f"{type(error).__name__}: {error}" if own else ""


# --- checks


def run_check(check, module, task, customs, watch):
    """All draws of a check: which gradients were right in all of them, and the first thing that was wrong."""
    if check["kind"] == "custom":
        return run_custom(check, module, customs[check["index"]], watch)
    subject = find(check, module, task["file"])
    rows, result = None, {"whole": True, "cause": "", "diagnosis": "", "detail": ""}
    for number, draw in enumerate(check["draws"], 1):
        quiet(draw.seed)
        report = run_draw(check, subject(), draw)
        watch.check()
        if report is None:                                # kind forward, and it agreed
            rows = rows or [["out", True]]
            continue
        found = judged(report)
        if not report and not found and check["kind"] in ("pair", "loss") and len(check["gradients"] or ()) > 1:
            found = one_by_one(check, subject, draw)
        rows = add(result, rows, report, found, number, check)
    return {**result, "rows": rows or []}


def judged(report):
    """{name: whether its gradient is right} of those that were judged: a gradient that was not returned may count as data."""
    return {str(row.name): bool(row.passed) for row in report.inputs if row.how != "not checked"}


def one_by_one(check, subject, draw):
    """Each gradient by itself, where one that cannot be compared at all (its shape is wrong) hides the others."""
    reports = {name: run_draw({**check, "gradients": [name]}, subject(), draw) for name in check["gradients"]}
    return {name: len(report.inputs) > 0 and all(row.passed for row in report.inputs) for name, report in reports.items()}


def add(result, rows, report, found, number, check):
    """The rows of all draws up to this one: a name, and whether its gradient was right each time."""
    names = check["gradients"] or list(found)             # of those that are asked for, one that is not there is wrong
    before = dict(rows) if rows else dict.fromkeys(names, True)
    rows = [[name, before.get(name, True) and found.get(name, False)] for name in names]
    absent = [name for name in names if name not in found]
    if not report or absent:
        result["whole"] &= not all(passed for _, passed in rows)
        if not result["cause"]:
            result.update(describe(report, number, len(check["draws"]), absent))
    return rows


def describe(report, number, of, absent):
    """Cause, diagnosis and the whole report of a check that found something."""
    cause, diagnosis, text = report.cause or "unknown", report.diagnosis or "the report says more.", str(report)
    if report and absent:
        cause, diagnosis = "missing-gradient", f"no gradient of {', '.join(absent)} was returned or found in grads."
    if cause == "error" and "NotImplementedError" in text:
        cause = "not-done"
        diagnosis = diagnosis.rpartition("): ")[2]        # without the line of the file that says so
    if cause == "error" and "MemoryError" in text:
        cause = "memory"
    return {"cause": cause, "diagnosis": diagnosis, "detail": f"Draw {number} of {of}: {text}"}


def quiet(seed):
    """The same random numbers each time, for submissions that draw some."""
    random.seed(seed)
    np.random.seed(seed % 2 ** 32)


def find(check, module, file):
    """A function that gives what is to be checked, anew for each draw where it is an object."""
    def get(name):
        if not hasattr(module, name):
            raise Fault("missing-function", f"{file} defines no {name}. Keep the names that were given.")
        return getattr(module, name)

    names = check["names"]
    found = {role: get(name) for role, name in names.items()}
    for role, value in found.items():
        if not callable(value):
            raise Fault("missing-function", f"{names[role]} of {file} is not a {'class' if role == 'class' else 'function'}.")
    if "class" in found:
        return lambda: {"object": found["class"](*copy.deepcopy(check["arguments"]))}
    return lambda: found


def run_draw(check, subject, draw):
    """The report of one draw; None for a forward pass that agrees with its reference."""
    inputs = copy.deepcopy(draw.inputs)
    kind = check["kind"]
    if draw.expected is not None:
        compare(output(kind, subject, copy.deepcopy(inputs)), draw.expected, check)
    if kind == "forward":
        return None
    if kind == "object":
        return check_pair(subject["object"], *inputs, seed=draw.seed)
    if "object" in subject:
        return check_loss(subject["object"], *inputs, seed=draw.seed)
    options = {"names": check["inputs"], "wrt": check["gradients"], "seed": draw.seed}
    if kind == "loss":
        return check_loss(subject["function"], *inputs, **options)
    return check_pair(subject["forward"], subject["backward"], *inputs, **options)


def output(kind, subject, inputs):
    """What the submission's forward pass returns first."""
    if "object" in subject:
        f = subject["object"].loss if kind == "loss" else copy.deepcopy(subject["object"]).forward
    else:
        f = subject.get("forward") or subject["function"]
    result = f(*inputs)
    return result[0] if isinstance(result, tuple) and result else result


def compare(out, expected, check):
    """Raise a Fault unless out is what the reference returned, to rounding."""
    name = check["names"].get("forward") or check["names"].get("function") or "forward"
    out = np.asarray(out)
    remedy = "Compute what the exercise asks for." if check["kind"] == "forward" else "Put the forward pass back as it was given."
    if out.dtype.kind not in "fiub":
        raise Fault("forward-changed", f"{name} returns no array of numbers. Does it lack its return? {remedy}")
    if out.shape != expected.shape:
        raise Fault("forward-changed", f"{name} returns the shape {out.shape}, where it must be {expected.shape}. {remedy}")
    error = np.abs(out - expected)
    error = np.where(np.isnan(error), np.inf, error)
    if out.size and error.max() > 1e-8 * max(1.0, np.abs(expected).max()):
        worst = np.unravel_index(error.argmax(), error.shape)
        where = f"[{', '.join(map(str, map(int, worst)))}]" if worst else ""
        raise Fault("forward-changed", f"{name} no longer computes what it should: out{where} is {out[worst]:.6g}, where it "
                                       f"must be {expected[worst]:.6g}. {remedy}")


def custom_checks(task):
    """The functions of custom checks, from the specification's file."""
    if not any(check["kind"] == "custom" for check in task["checks"]):
        return {}
    exercise = next(e for e in read_spec(task["spec"]).exercises if e.name == task["exercise"])
    return {i: check.custom for i, check in enumerate(exercise.checks)}


def run_custom(check, module, function, watch):
    """The lecturer's own function: it returns a report, or a share from 0 to 1 and a sentence."""
    result = {"rows": [], "whole": True, "cause": "", "diagnosis": "", "detail": ""}
    for number, draw in enumerate(check["draws"], 1):
        quiet(draw.seed)
        report = function(module, np.random.default_rng(draw.seed))
        watch.check()
        if isinstance(report, tuple):
            share, text = report
            if not 0 <= share <= 1:
                raise Fault("custom", f"the course's own check returns the share {share!r}; it must lie between 0 and 1.")
            result["share"] = min(float(share), result.get("share", 1.0))
            if share < 1 and not result["cause"]:
                result.update(cause="custom", diagnosis=str(text))
            continue
        found = judged(report)
        result["rows"] = add(result, result["rows"], report, found, number, check)
    return result
