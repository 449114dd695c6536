"""A zoo of wrong backward passes: the mistakes that people make, each planted under a right forward pass.

Every animal is a rule(true, g, *xs) that returns wrong gradients, where true(g, *xs) computes the right ones, and
true(g, *xs, f=other) those of another function.  Its docstring says in words what is wrong, its cause in one of the tags of
tinyvision.gradcheck.CAUSES.  test_zoo.py shows that the checker rejects every one of them and names most by their cause, and
which of them would pass with an upstream gradient of ones.  Whole layers, wrong and right, are in tests/gradcheck/layers.
"""

import importlib
import pkgutil
import zlib
from dataclasses import dataclass
from functools import partial

import numpy as np

from tinyvision import Op, Tensor, enable_grad, grad


def true_gradients(function, g, *xs, f=None):
    """The gradients of function, or of f, as arrays: the vector-Jacobian products with g."""
    with enable_grad():                                   # rules run inside a backward pass, where nothing is recorded
        tensors = [Tensor(x, requires_grad=True) for x in xs]
        return [gx.data for gx in grad((f or function)(*tensors), tensors, g)]


class Planted(Op):
    """A function as a single op, with a backward rule of one's choice."""

    def __init__(self, function, rule):
        self.function, self.rule = function, rule

    def forward(self, *xs):
        return self.function(*xs)

    def backward(self, g, *xs):
        return self.rule(partial(true_gradients, self.function), g, *xs)


@dataclass(frozen=True)
class Bug:
    """A right function, the inputs to check it on, the wrong rule, and what its mistake may be called (best first)."""

    name: str
    function: object
    specs: tuple
    rule: object
    causes: tuple
    family: str

    def wrong(self, *xs):
        return Planted(self.function, self.rule)(*xs)

    @property
    def why(self):
        """What is wrong, in words."""
        return " ".join(self.rule.__doc__.split())

    def draw(self, seed):
        rng = np.random.default_rng([zlib.crc32(self.name.encode()), seed])
        return [np.asarray(spec.draw(rng)) for spec in self.specs]


ZOO = []


def plant(function, *specs, cause, **options):
    """Decorator: put a rule into the zoo, as the backward pass of function(*xs, **options).

    cause: the tag by which a report should name the mistake, or a tuple of acceptable ones, best first.
    """
    def add(rule):
        causes = (cause,) if isinstance(cause, str) else cause
        ZOO.append(Bug(rule.__name__, partial(function, **options), specs, rule, causes, rule.__module__.split(".")[-1]))
        return rule
    return add


# Right in the first order, wrong in the second.  Their rules take (g, *xs), in operations that record themselves when they are
# given Tensors.
SECOND_ORDER = []


@dataclass(frozen=True)
class SecondOrderBug(Bug):
    """A bug that gradcheck finds with order=2 only."""

    def wrong(self, *xs):
        return Recorded(self.function, self.rule)(*xs)


class Recorded(Planted):
    def backward(self, g, *xs):
        return self.rule(g, *xs)


def plant_second(function, *specs, cause):
    """Decorator: put a rule among those of the second order; cause: what is wrong with the gradient of the gradient."""
    def add(rule):
        SECOND_ORDER.append(SecondOrderBug(rule.__name__, function, specs, rule, (cause,), "second_order"))
        return rule
    return add


for family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{family.name}")
