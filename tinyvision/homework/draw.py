"""The inputs of each check, and what the reference makes of them: drawn once, the same for every submission.

Every number depends on the seed, the exercise, the check and the draw alone, so a run can be repeated, and a check that is
added does not change the others.
"""

import copy
import importlib.util
import pickle
import sys
import zlib
from dataclasses import dataclass

import numpy as np

from .errors import HomeworkError
from .spec import terms


@dataclass
class Draw:
    """The inputs of one run of a check; expected, what the reference returns for them, or None without a reference."""

    inputs: list
    seed: int                                             # for what the checker and the submission draw themselves
    expected: object = None


def draw_all(spec, seed=0):
    """The draws of every check of every exercise: {exercise: [draws of each check]}.

    Raises HomeworkError where a reference cannot be found or fails on its inputs, and where a shape comes out empty.
    """
    references = References(spec.path.parent)
    return {exercise.name: [draw_check(check, exercise, number, references, seed) for number, check in enumerate(exercise.checks)]
            for exercise in spec.exercises}


def draw_check(check, exercise, number, references, seed):
    """The draws of one check, the number-th of its exercise."""
    reference = references.find(check)
    draws = []
    for i in range(check.draws):
        key = [seed, zlib.crc32(exercise.name.encode()), number, i]
        draw = Draw(draw_inputs(check, np.random.default_rng(key), i), int(np.random.SeedSequence(key).generate_state(1)[0] >> 1))
        if reference is not None:
            draw.expected = references.run(reference, check, draw.inputs, i)
        draws.append(draw)
    return draws


def draw_inputs(check, rng, number):
    """The inputs in their order."""
    if callable(check.inputs):
        try:
            inputs = check.inputs(rng, number)
        except Exception as error:
            raise HomeworkError(f"{check.where}: inputs(rng, {number}) fails with {type(error).__name__}: {error}.") from error
        if not isinstance(inputs, (tuple, list)):
            raise HomeworkError(f"{check.where}: inputs(rng, draw) must return a tuple of inputs, got {type(inputs).__name__}.")
        try:
            pickle.dumps(inputs)
        except Exception as error:
            raise HomeworkError(f"{check.where}: inputs must be arrays, numbers, texts and tables, which can be handed to "
                                f"another process, but {error}.") from error
        return list(inputs)
    sizes = {letter: meaning[number % len(meaning)] if isinstance(meaning, list) else meaning
             for letter, meaning in check.sizes.items()}
    return [draw_input(item, rng, number, sizes) for item in check.inputs]


def draw_input(item, rng, number, sizes):
    """One input as its table describes it."""
    if "value" in item:
        return copy.deepcopy(item["value"])
    if "values" in item:
        return copy.deepcopy(item["values"][number % len(item["values"])])
    shape = [size if isinstance(size, int) else sum(n * sizes.get(letter, 1) for n, letter in terms(size))
             for size in item["shape"]]
    if "integers" in item:
        return rng.integers(*item["integers"], size=shape)
    if "low" in item:
        return rng.uniform(item["low"], item["high"], size=shape)
    scale, offset = item.get("scale", 1.0), item.get("offset", 0.0)
    if item.get("distinct"):
        order = rng.permutation(int(np.prod(shape))).reshape(shape)
        return offset + scale * 0.1 * (order - (order.size - 1) / 2)
    return offset + scale * rng.standard_normal(shape)


class References:
    """The lecturer's functions, each file loaded once."""

    def __init__(self, folder):
        self.folder, self.modules = folder, {}

    def find(self, check):
        """The function that a check names, or None."""
        if check.reference is None or callable(check.reference):
            return check.reference
        file, _, name = check.reference.partition(":")
        if file not in self.modules:
            self.modules[file] = self.load(self.folder / file, check)
        function = getattr(self.modules[file], name, None)
        if not callable(function):
            raise HomeworkError(f"{check.where}: reference: {file} defines no function {name}. Correct the name.")
        return function

    def load(self, path, check):
        """The file as a module, under a name that nothing else has."""
        if not path.is_file():
            beside = check.where.split(",")[0]
            raise HomeworkError(f"{check.where}: reference: there is no file {path}. It must lie beside {beside}.")
        spec = importlib.util.spec_from_file_location(f"reference_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        sys.path.insert(0, str(path.parent))              # for what it imports beside it
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise HomeworkError(f"{check.where}: reference: {path.name} fails with {type(error).__name__}: {error}.") from error
        finally:
            sys.path.remove(str(path.parent))
            sys.dont_write_bytecode = before
        return module

    @staticmethod
    def run(function, check, inputs, number):
        """The first thing that the function returns, as an array."""
        try:
            result = function(*copy.deepcopy(inputs))
            result = np.asarray(result[0] if isinstance(result, tuple) else result)
        except Exception as error:
            raise HomeworkError(f"{check.where}: the reference fails on draw {number + 1} with {type(error).__name__}: {error}. "
                                "Do the shapes of the inputs fit together?") from error
        if result.dtype.kind not in "fiub" or not np.isfinite(result).all():
            raise HomeworkError(f"{check.where}: the reference must return finite numbers, got {result!r:.60} on draw "
                                f"{number + 1}.")
        return result
