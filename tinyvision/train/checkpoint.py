"""Snapshots: all that a training consists of, in one file, so that a run that was broken off goes on as if nothing had happened.

The weights alone do not continue a run: the optimiser remembers earlier gradients, the schedule its step, the loaders the order
of the pass they are in, dropout, the engine, NumPy and Python their random numbers, and the loop the sums of the epoch that is
half done.  With all of these the rest of the run is the same, bit for bit, on the same number of threads (sums are added in
another order on another number).

A snapshot is a safetensors file of arrays, with everything else as JSON in its metadata: nothing in it can run.  It appears
whole or not at all, and the one before it is kept under the name NAME.previous, for the day on which a disk forgets.

    last.snapshot           the whole run, as it was after the last step that was kept
    best.safetensors        the weights of the best epoch, for io.load and model.load_state_dict
"""

import contextlib
import errno
import json
import os
import random
import re
import shutil
import signal
import threading
import time
import warnings
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..autograd import no_grad
from ..backend import is_array, to_device
from ..io import load, load_metadata, save
from ..io.atomic import flush
from ..kernels.registry import get_num_threads
from ..random import default_generator, generators_in, get_state, set_state
from ..tensor import Tensor, raw
from .settings import differences

LAST, BEST, KEY = "last.snapshot", "best.safetensors", "tinyvision.snapshot"
LEFT = re.compile(r"\.[0-9a-f]{16}\.(new|safetensors)|last\.snapshot(\.previous)?\.new")      # left by a killed process


def flatten(value, arrays, place="the state"):
    """The value as JSON can hold it, its arrays put into the dictionary `arrays` under numbered names.

    >>> arrays = {}; flatten({"w": np.ones(2), 3: (1, 2.5)}, arrays)
    {'dict': [['w', {'array': '0'}], [3, {'tuple': [1, 2.5]}]]}
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor) or is_array(value):
        name = str(len(arrays))
        arrays[name] = to_device(raw(value), "cpu")
        return {"array": name}
    if isinstance(value, dict):
        kind = "Counter" if isinstance(value, Counter) else "dict"
        return {kind: [[key, flatten(v, arrays, f"{place}.{key}")] for key, v in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [flatten(v, arrays, f"{place}[{i}]") for i, v in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"snapshot: cannot hold a {type(value).__name__}, which is {place}. A state is made of numbers, text, "
                    "arrays, lists and dicts; an object tells its own by state_dict() and takes it by load_state_dict(state).")


def restored(value, arrays):
    """The inverse of flatten."""
    if not isinstance(value, dict):
        return value
    (kind, content), = value.items()
    if kind == "array":
        return arrays[content].data
    if kind in ("dict", "Counter"):
        return {"dict": dict, "Counter": Counter}[kind]({key: restored(v, arrays) for key, v in content})
    values = [restored(v, arrays) for v in content]
    return tuple(values) if kind == "tuple" else values


def save_snapshot(path, state):
    """Write a state of dicts, lists, numbers, text and arrays; what was at `path` is kept as path.previous.

    Raises TypeError for other values, OSError where the disk is full or the folder cannot be written (the old one stays).

    >>> save_snapshot("run.snapshot", {"weights": np.zeros(2), "step": 7})
    >>> load_snapshot("run.snapshot")
    {'weights': array([0., 0.]), 'step': 7}
    """
    arrays, path = {}, Path(path)
    text = json.dumps(flatten(state, arrays))
    fresh = path.with_name(path.name + ".new")
    try:
        save(arrays or {"nothing": np.zeros(0)}, fresh, {KEY: text})
        if path.exists():
            keep(path, path.with_name(path.name + ".previous"))
        os.replace(fresh, path)
        if os.name == "posix":
            flush(path.parent, os.O_RDONLY)
    finally:
        fresh.unlink(missing_ok=True)


def keep(path, previous):
    """Give the file a second name in one step; a copy where the file system has no links."""
    spare = previous.with_name(previous.name + ".new")
    spare.unlink(missing_ok=True)
    try:
        os.link(path, spare)
    except OSError:
        shutil.copyfile(path, spare)
    os.replace(spare, previous)


def load_snapshot(path):
    """The state in a snapshot; in the one before it, with a warning, where the last is damaged.

    Raises FileNotFoundError where there is none, ValueError where none can be read.
    """
    path = Path(path)
    previous, reasons = path.with_name(path.name + ".previous"), []
    if not path.exists() and not previous.exists():
        raise FileNotFoundError(f"snapshot: there is none in {path.parent} (no {path.name}). Start the run without resume.")
    for place in (path, previous):
        if place.exists():
            try:
                state = read(place)
            except (ValueError, KeyError, TypeError) as error:
                reasons.append(f"{place.name}: {error}")
                continue
            if reasons:
                warnings.warn(f"snapshot: {reasons[0]} Going on from the one before it, {place.name}.", stacklevel=3)
            return state
    raise ValueError(f"snapshot: none in {path.parent} can be read: {'; '.join(reasons)}")


def read(path):
    text = load_metadata(path).get(KEY)
    if text is None:
        raise ValueError(f"{path} is no snapshot of a training.")
    return restored(json.loads(text), load(path))


def state_of(x):
    """The state of an object: what state_dict() says, or else its attributes; functions are not state, but how it was made.

    >>> from tinyvision.metrics import Mean
    >>> state_of(Mean()), state_of(Records(list))
    ({'total': 0.0, 'weight': 0.0}, {'rows': []})
    """
    if hasattr(x, "state_dict"):
        return x.state_dict()
    return {name: state_of(value) if holder(value) else value for name, value in vars(x).items() if not callable(value)}


def put_state(x, state):
    """The inverse of state_of."""
    if hasattr(x, "load_state_dict"):
        return x.load_state_dict(state)
    for name, value in state.items():
        before = vars(x).get(name)
        if holder(before):
            put_state(before, value)
        elif isinstance(before, dict) and type(before) is not dict:
            before.clear()                                # a defaultdict stays one
            before.update(value)
        else:
            setattr(x, name, value)


def holder(x):
    return hasattr(x, "__dict__") and not isinstance(x, (Tensor, np.ndarray, dict, list, tuple, type))


def random_states(things):
    """Where everything random stands: the engine's generator, those reached from the things, NumPy's and Python's own numbers."""
    return {"generators": [get_state(g) for g in generators_in(default_generator(), *things)],
            "numpy": np.random.get_state(), "python": random.getstate()}


def set_random_states(things, states):
    for generator, state in zip(generators_in(default_generator(), *things), states["generators"]):
        set_state(generator, state)
    np.random.set_state(states["numpy"])
    random.setstate(states["python"])


class Snapshots:
    """The snapshots of one run in a folder: last.snapshot, and the best weights so far in best.safetensors.

    parts: {name: object with state_dict and load_state_dict}, what is saved besides, the loaders first; things: what else may
    hold random generators; describe: a function that describes the run (settings.py), by which another one is told; every: steps
    (an integer) or seconds (a float) between two snapshots, or None for the ends of epochs only.
    """

    def __init__(self, folder, model, parts, things, describe, every=None):
        self.folder, self.model, self.parts, self.things, self.every = Path(folder), model, parts, [model, *things], every
        self.describe, self.settings = describe, describe()                # as it is at the beginning
        self.steps, self.stop, self.written = 0, False, time.monotonic()

    def begin(self, resume):
        """Take up the run in the folder, or keep the beginning of a new one; there must be room for all that will be written."""
        there = self.folder / LAST
        with said(f"fit: cannot write snapshots to {self.folder}", "Name another folder."):
            self.folder.mkdir(parents=True, exist_ok=True)
        if not resume and any((self.folder / name).exists() for name in (LAST, f"{LAST}.previous", BEST)):
            raise ValueError(f"fit: {self.folder} holds a run already. Pass resume=True to go on with it, or name another "
                             "folder.")
        for path in self.folder.iterdir():
            if LEFT.fullmatch(path.name):
                path.unlink(missing_ok=True)
        size = self.room()
        with said(f"fit: needs {size / 1e6:.1f} MB for snapshots in {self.folder}", "Free some space, or name another folder."):
            probe(self.folder, size)
        if there.exists() or there.with_name(f"{LAST}.previous").exists():
            self.load(load_snapshot(there))
        else:
            self.save()

    def room(self):
        """The bytes that are still to be written: snapshots before, last and next, the best weights twice while they change."""
        weights = sum(raw(x).nbytes for x in self.model.state_dict().values())
        names = getattr(self.parts.get("optimizer"), "state_names", None)
        memories = 2 if names is None else len(set(names) - {"step"})
        there = sum(path.stat().st_size for path in self.folder.iterdir() if path.name.startswith((LAST, BEST)))
        snapshot = (1 + memories) * weights + (1 << 17)
        return max(snapshot, 3 * snapshot + 2 * weights - there)

    def state(self):
        named = self.model.state_dict()
        buffers = {path: x for path, x in self.model.named_buffers() if path not in named}           # those that no file has
        return {"settings": self.settings, "now": self.describe(), "threads": get_num_threads(), "steps": self.steps,
                "model": named, "buffers": buffers, "random": random_states(self.things),
                "parts": {name: part.state_dict() for name, part in self.parts.items()}}

    def save(self):
        self.written = time.monotonic()
        with said(f"fit: the snapshot after step {self.steps} could not be written to {self.folder}",
                  "The one before it is whole: free some space, and go on with resume=True."):
            save_snapshot(self.folder / LAST, self.state())

    def save_best(self):
        with said(f"fit: the best weights could not be written to {self.folder}",
                  "The last snapshot is whole: free some space, and go on with resume=True."):
            save(self.model.state_dict(), self.folder / BEST)

    def load(self, state):
        """Take everything over from a snapshot.  Raises ValueError where it is of another run, before anything is changed."""
        if "settings" not in state:
            raise ValueError(f"fit: the snapshot in {self.folder} was written by another version of this library. Start anew.")
        ours, theirs = len(generators_in(default_generator(), *self.things)), len(state["random"]["generators"])
        found = [] if ours == theirs else [f"random generators are {ours} here and {theirs} there"]
        if self.settings not in (state["settings"], state["now"]):           # "now": the same objects, trained a while
            found = [*differences(self.settings, state["settings"]), *found]
        if found:
            raise ValueError(f"fit: the snapshot in {self.folder} is of another run: {'; '.join(found)}. Build everything as it "
                             "was, or name another folder.")
        if state["threads"] != get_num_threads():
            warnings.warn(f"fit: the run was begun on {state['threads']} thread(s) and goes on with {get_num_threads()}: "
                          "sums are added in another order, so its last digits may differ from those of an unbroken run.",
                          stacklevel=4)
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        self.model.load_state_dict(state["model"])
        buffers = dict(self.model.named_buffers())
        with no_grad():
            for path, value in state["buffers"].items():
                buffers[path][...] = to_device(value, buffers[path].device)
        set_random_states(self.things, state["random"])
        self.steps, self.settings = state["steps"], state["settings"]

    def step(self):
        """After every step of the optimiser: a snapshot where it is time for one, or where the user wants to end."""
        self.steps += 1
        if isinstance(self.every, float):
            due = time.monotonic() - self.written >= self.every
        else:
            due = self.every and self.steps % self.every == 0
        if due or self.stop:
            self.save()
        self.check()

    def check(self):
        """End if the user has asked for it, everything being saved."""
        if self.stop:
            raise KeyboardInterrupt(f"fit: interrupted after step {self.steps}; the run is kept in {self.folder}, and goes on "
                                    "with resume=True.")

    @contextlib.contextmanager
    def interruptible(self):
        """A context manager: Ctrl-C waits for the end of the step, which is saved; a second one does not wait."""
        main, usual = threading.current_thread() is threading.main_thread(), signal.default_int_handler
        if not main or signal.getsignal(signal.SIGINT) is not usual:                 # another thread, or the program's own way
            yield
            return

        def ask(number, frame):
            if self.stop:
                raise KeyboardInterrupt
            self.stop = True
        signal.signal(signal.SIGINT, ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)


@contextlib.contextmanager
def said(what, remedy):
    """An error of the system as a sentence."""
    try:
        yield
    except OSError as error:
        raise type(error)(f"{what} ({error.strerror or error}). {remedy}") from error


def probe(folder, size):
    """Write a file of this many bytes and remove it again: the only way to know that there is room, and leave, to write."""
    path = folder / f".probe-{os.getpid()}"
    try:
        with open(path, "wb") as file:
            if not reserved(file.fileno(), size):
                for start in range(0, size, 1 << 20):
                    file.write(bytes(min(1 << 20, size - start)))
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)


def reserved(descriptor, size):
    """Whether the system has set this many bytes aside, which is quicker than writing them; not every one can."""
    if not hasattr(os, "posix_fallocate"):
        return False
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            return False
        raise
    return True


class NoSnapshots(contextlib.nullcontext):
    """A run that is not kept."""

    def interruptible(self):
        return self

    def save(self):
        pass

    save_best = step = check = save


class Records:
    """The history as a part of a snapshot."""

    def __init__(self, kind):
        self.kind, self.rows = kind, []

    def state_dict(self):
        return {"rows": [asdict(row) for row in self.rows]}

    def load_state_dict(self, state):
        self.rows[:] = [self.kind(**row) for row in state["rows"]]
