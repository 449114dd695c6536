"""A zoo of wrong backward passes: the mistakes that people make, each planted under a right forward pass.

Every animal is a rule(true, g, *xs) that returns wrong gradients, where true(g, *xs) computes the right ones, and
true(g, *xs, f=other) those of another function.  Its docstring says in words what is wrong.  test_zoo.py shows that the
checker rejects every one of them, and which of them would pass with an upstream gradient of ones.
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
    """A right function, the inputs to check it on, and the wrong rule."""

    name: str
    function: object
    specs: tuple
    rule: object

    def wrong(self, *xs):
        return Planted(self.function, self.rule)(*xs)

    def draw(self, seed):
        rng = np.random.default_rng([zlib.crc32(self.name.encode()), seed])
        return [np.asarray(spec.draw(rng)) for spec in self.specs]


ZOO = []


def plant(function, *specs, **options):
    """Decorator: put a rule into the zoo, as the backward pass of function(*xs, **options)."""
    def add(rule):
        ZOO.append(Bug(rule.__name__, partial(function, **options), specs, rule))
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


def plant_second(function, *specs):
    """Decorator: put a rule among those of the second order."""
    def add(rule):
        SECOND_ORDER.append(SecondOrderBug(rule.__name__, function, specs, rule))
        return rule
    return add


for family in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{family.name}")
