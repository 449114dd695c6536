"""Layers to try the checker on, as students and researchers write them: wrong ones, which it has to fail and to name, and right
ones, many of them numerically nasty or of an unusual form, which it has to pass.

    homework/    plain NumPy: pairs of functions, objects with forward and backward, losses that return their gradient
    custom/      for an engine: Ops, Modules, functions of Tensors, functions of PyTorch, small networks with their loss

Each is a small function of a generator that returns what the front of its form is called with; its docstring says what is wrong,
or what makes it hard.  A file is a family, wrong_linear.py one of wrong layers; LAYERS has them all.
"""

import contextlib
import importlib
import importlib.util
import pkgutil
import sys
import zlib
from dataclasses import dataclass

import numpy as np

import tinyvision.random
from tinyvision.gradcheck import check_loss, check_module, check_network, check_op, check_pair, check_torch, gradcheck

FRONTS = {"pair": check_pair, "object": check_pair, "loss": check_loss, "op": check_op, "call": gradcheck, "module": check_module,
          "torch": check_torch, "network": check_network}
LAYERS = []
HAS_TORCH = importlib.util.find_spec("torch") is not None


@dataclass(frozen=True)
class Layer:
    """One layer and its inputs.

    form: a key of FRONTS; make: make(rng) returns the arguments of that front; causes: the acceptable names of the mistake, best
    first, empty for a right layer; why: what is wrong, or what is hard about it; order: of the check; costly: takes so
    long to check that it is drawn once where others are drawn several times.
    """

    name: str
    form: str
    make: object
    causes: tuple
    why: str
    order: int
    family: str
    collection: str
    costly: bool

    def check(self, seed=0):
        """The report."""
        options = {"order": self.order} if self.order > 1 else {}
        with self.drawn(seed) as arguments:
            return FRONTS[self.form](*arguments, seed=seed, **options)

    @contextlib.contextmanager
    def drawn(self, seed=0):
        """The arguments of the check.  Inside, the global sources of random numbers are this layer's, and are then given back."""
        key = [zlib.crc32(self.name.encode()), seed]
        with borrowed_chance(zlib.crc32(repr(key).encode())):
            yield self.make(np.random.default_rng(key))


@contextlib.contextmanager
def borrowed_chance(seed):
    """Seed the global generators of NumPy, the engine and PyTorch, and give them back as they were.

    PyTorch gets one thread: on a busy machine several wait longer for each other than such small tensors take.
    """
    torch = sys.modules.get("torch")
    before = np.random.get_state(), tinyvision.random.engine, torch and torch.get_rng_state(), torch and torch.get_num_threads()
    try:
        np.random.seed(seed)
        tinyvision.random.engine = np.random.default_rng(seed)
        if torch:
            torch.manual_seed(seed)
            torch.set_num_threads(1)
        yield
    finally:
        np.random.set_state(before[0])
        tinyvision.random.engine = before[1]
        if torch:
            torch.set_rng_state(before[2])
            torch.set_num_threads(before[3])


def wrong(form, *causes, order=1, costly=False):
    """Decorator: a layer whose mistake has one of these causes."""
    def add(make):
        if not causes:
            raise ValueError(f"wrong: {make.__name__} needs at least one cause.")
        LAYERS.append(layer(form, make, causes, order, costly))
        return make
    return add


def right(form, order=1, costly=False):
    """Decorator: a layer without a mistake."""
    def add(make):
        LAYERS.append(layer(form, make, (), order, costly))
        return make
    return add


def layer(form, make, causes, order, costly):
    *_, collection, file = make.__module__.split(".")
    family = file.partition("_")[2]
    return Layer(make.__name__, form, make, causes, " ".join(make.__doc__.split()), order, family, collection, costly)


for package in ("homework", "custom"):
    for module in pkgutil.iter_modules([f"{path}/{package}" for path in __path__]):
        if HAS_TORCH or "torch" not in module.name:
            importlib.import_module(f"{__name__}.{package}.{module.name}")
