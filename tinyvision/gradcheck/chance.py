"""Random numbers held still: dropout can be differentiated only where every forward pass draws the same mask.

`Chance` finds the sources that a function may draw from: the global ones (NumPy, Python, the engine's, PyTorch's where it is
loaded), and every generator within reach of the function: attributes, closures, defaults, globals that its code names.  It
remembers their states and gives them back before each call; the numbers that the objects on the way count with as well (a
warm-up that grows with every call).
"""

import copy
import functools
import random
import sys
import types

import numpy as np

from .. import random as engine_random

DEPTH = 6                                                 # how far a generator may be hidden from the function
COUNTS = (int, float, bool)
PLAIN = (str, bytes, int, float, complex, bool, type(None), np.ndarray, type, types.ModuleType)


class Chance:
    """The states of all sources of random numbers that the roots may draw from, at the moment of construction."""

    def __init__(self, *roots):
        torch = sys.modules.get("torch")
        self.sources = [GlobalSource(np.random.get_state, np.random.set_state), GlobalSource(random.getstate, random.setstate),
                        GlobalSource(lambda: state_of(engine_random.engine), lambda s: set_state(engine_random.engine, s))]
        if torch is not None:
            self.sources.append(GlobalSource(torch.get_rng_state, torch.set_rng_state))
        found, objects = reachable(roots)
        self.generators = [(g, state_of(g)) for g in found]
        self.counters = [(x, {k: v for k, v in vars(x).items() if isinstance(v, COUNTS)}) for x in objects]

    def restore(self):
        """Put every source back to where it was."""
        for source in self.sources:
            source.restore()
        for generator, state in self.generators:
            set_state(generator, state)
        for x, values in self.counters:
            x.__dict__.update(values)

    def drawn(self):
        """Whether a number has been drawn from any source since."""
        return any(not same(s.get(), s.state) for s in self.sources) or any(not same(state_of(g), s) for g, s in self.generators)


class GlobalSource:
    """A source that is asked and told by two functions."""

    def __init__(self, get, put):
        self.get, self.put, self.state = get, put, get()

    def restore(self):
        self.put(self.state)


def state_of(generator):
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return generator.get_state()
    if isinstance(generator, np.random.Generator):
        return copy.deepcopy(generator.bit_generator.state)
    return generator.get_state()                          # PyTorch's


def set_state(generator, state):
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def same(a, b):
    """Equality of states, which are nested tuples and dictionaries with arrays in them."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (int, str)):                         # Python's own generator has 625 of them
        return a == b
    return bool(np.all(np.asarray(a) == np.asarray(b)))


def is_generator(x):
    return (isinstance(x, (np.random.Generator, np.random.RandomState, random.Random))
            or type(x).__module__ == "torch._C" and type(x).__name__ == "Generator")


def reachable(roots):
    """Every generator within DEPTH steps of the roots, and every object with attributes on the way."""
    found, objects, seen, front = [], [], set(), list(roots)
    for _ in range(DEPTH):
        following = []
        for x in front:
            if id(x) in seen or isinstance(x, PLAIN):
                continue
            seen.add(id(x))
            if is_generator(x):
                found.append(x)
            else:
                following += neighbours(x)
                if hasattr(x, "__dict__") and not isinstance(x, CALLABLES):
                    objects.append(x)
        front = following
    return found, objects


def neighbours(x):
    """What an object refers to, one step away."""
    if isinstance(x, dict):
        return list(x.values())
    if isinstance(x, (list, tuple, set)):
        return list(x)
    found = list(vars(x).values()) if hasattr(x, "__dict__") else []
    for name in ("__self__", "__func__", "func", "args", "keywords", "__wrapped__", "__defaults__", "__kwdefaults__"):
        value = getattr(x, name, None) if isinstance(x, CALLABLES) else None
        found += [] if value is None else [value]
    if isinstance(x, types.FunctionType):
        found += [cell.cell_contents for cell in x.__closure__ or () if not empty(cell)]
        found += [x.__globals__[name] for name in names_in(x.__code__) if name in x.__globals__]
    elif not isinstance(x, CALLABLES):                    # an object's methods may draw from globals of their own
        found += [f for f in vars(type(x)).values() if isinstance(f, types.FunctionType)
                  and not (f.__module__ or "").startswith(("tinyvision", "torch", "numpy"))]
    return found


CALLABLES = (types.FunctionType, types.MethodType, functools.partial)


def empty(cell):
    try:
        cell.cell_contents
    except ValueError:
        return True
    return False


def names_in(code):
    """The global names of a function's code and of the functions inside it."""
    inner = [name for const in code.co_consts if isinstance(const, types.CodeType) for name in names_in(const)]
    return [*code.co_names, *inner]
