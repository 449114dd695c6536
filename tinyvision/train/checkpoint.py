"""Snapshots: all that a training consists of, in one file, so that a run that was broken off goes on as if nothing had happened.

The weights alone do not continue a run: the optimiser remembers earlier gradients, the schedule its step, the loader the order
of the pass it is in, dropout and the engine their random numbers, and the loop the sums of the epoch that is half done.  With
all of these the rest of the run is the same, bit for bit, on the same number of threads (sums are added in another order on
another number).

A snapshot is a safetensors file of arrays, with everything else as JSON in its metadata: nothing in it can run.  It appears
whole or not at all, and the one before it is kept under the name NAME.previous, for the day on which a disk forgets.
"""

import contextlib
import json
import os
import shutil
import signal
import threading
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .. import random
from ..backend import is_array
from ..io import load, load_metadata, save
from ..tensor import Tensor, raw

LAST, BEST, KEY = "last.snapshot", "best.safetensors", "tinyvision.snapshot"


def flatten(value, arrays):
    """The value as JSON can hold it, its arrays put into the dictionary `arrays` under numbered names.

    >>> arrays = {}; flatten({"w": np.ones(2), 3: (1, 2.5)}, arrays)
    {'dict': [['w', {'array': '0'}], [3, {'tuple': [1, 2.5]}]]}
    """
    if isinstance(value, Tensor) or is_array(value):
        name = str(len(arrays))
        arrays[name] = np.array(raw(value))               # a copy: training goes on
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": [[key, flatten(v, arrays)] for key, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [flatten(v, arrays) for v in value]}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"snapshot: cannot hold a {type(value).__name__}. A state is made of numbers, text, arrays, lists and dicts.")


def restored(value, arrays):
    """The inverse of flatten."""
    if not isinstance(value, dict):
        return value
    (kind, content), = value.items()
    if kind == "array":
        return arrays[content].data
    if kind == "dict":
        return {key: restored(v, arrays) for key, v in content}
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


def generators(model):
    """The random generators of a network's layers, in order."""
    return [value for module in model.modules() for value in vars(module).values() if isinstance(value, np.random.Generator)]


def random_state(model):
    """The states of the engine's generator and of those of the layers."""
    return [g.bit_generator.state for g in (random.default_generator(), *generators(model))]


def set_random_state(model, states):
    found = (random.default_generator(), *generators(model))
    if len(found) != len(states):
        raise ValueError(f"snapshot: it has the states of {len(states)} random generators, the model {len(found)}. Build the same model.")
    for generator, state in zip(found, states):
        generator.bit_generator.state = state


class Snapshots:
    """The snapshots of one run in a folder: last.snapshot, and the best weights so far in best.safetensors.

    parts: {name: object with state_dict and load_state_dict}, what is saved besides; every: steps between two snapshots, or
    None for the ends of epochs only.
    """

    def __init__(self, folder, model, parts, every=None):
        self.folder, self.model, self.parts, self.every = Path(folder), model, parts, every
        self.folder.mkdir(parents=True, exist_ok=True)
        self.steps, self.stop = 0, False

    def state(self):
        kinds = {name: type(part).__name__ for name, part in self.parts.items()}
        return {"kinds": kinds | {"model": type(self.model).__name__}, "model": self.model.state_dict(),
                "random": random_state(self.model), "steps": self.steps,
                "parts": {name: part.state_dict() for name, part in self.parts.items()}}

    def save(self):
        save_snapshot(self.folder / LAST, self.state())

    def save_best(self):
        save(self.model.state_dict(), self.folder / BEST)

    def load(self):
        """Take everything over from the last snapshot."""
        state = load_snapshot(self.folder / LAST)
        ours, theirs = self.state()["kinds"], state["kinds"]
        differing = [f"{name} {theirs.get(name)} (here {ours.get(name)})" for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        if differing:
            raise ValueError(f"fit: the snapshot in {self.folder} is of another run: {', '.join(differing)}. Build the run as it was, or "
                             "start a new one in another folder.")
        self.model.load_state_dict(state["model"])
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        set_random_state(self.model, state["random"])
        self.steps = state["steps"]

    def step(self):
        """After every step of the optimiser: a snapshot where it is time for one, or where the user wants to end."""
        self.steps += 1
        if self.stop or (self.every and self.steps % self.every == 0):
            self.save()
        if self.stop:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def interruptible(self):
        """A context manager: Ctrl-C waits for the end of the step, which is saved; a second one does not wait."""
        if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
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
            signal.signal(signal.SIGINT, signal.default_int_handler)


class Records:
    """The history as a part of a snapshot."""

    def __init__(self, kind):
        self.kind, self.rows = kind, []

    def state_dict(self):
        return {"rows": [asdict(row) for row in self.rows]}

    def load_state_dict(self, state):
        self.rows[:] = [self.kind(**row) for row in state["rows"]]
