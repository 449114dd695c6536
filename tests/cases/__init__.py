"""The table of cases: one list per family, from which every court draws (see tests/test_courts.py).

    case("conv2d", randn(2, 4, 7, 6), randn(6, 2, 3, 2), randn(6), stride=2, groups=2, linear=(0, 1))

An argument that is a Spec is drawn afresh, from a generator seeded with the case's name; everything else is passed as it is.
"""

import importlib
import pkgutil
import zlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spec:
    """An array to be drawn: `draw(rng)` gives it; `grad` says whether it is differentiated."""

    draw: object
    text: str
    grad: bool = True


def randn(*shape, scale=1.0):
    return Spec(lambda rng: scale * rng.standard_normal(shape), f"{shape}")


def distinct(*shape):
    """No two elements within 0.1 of each other or of zero: no kink within reach of a finite difference."""
    def draw(rng):
        n = int(np.prod(shape))
        steps = rng.permutation(n) - n // 2
        return (0.2 * (steps + (steps >= 0)) + rng.uniform(-0.04, 0.04, n)).reshape(shape)
    return Spec(draw, f"{shape}")


def uniform(low, high, *shape):
    return Spec(lambda rng: rng.uniform(low, high, shape), f"{shape}")


def integers(low, high, *shape):
    """Labels or indices in low..high-1."""
    return Spec(lambda rng: rng.integers(low, high, shape), f"int{shape}", grad=False)


def signs(*shape):
    """Targets -1.0 and 1.0: floating point, yet not differentiated."""
    return Spec(lambda rng: rng.choice([-1.0, 1.0], shape), f"signs{shape}", grad=False)


def constant(spec):
    """The same array, but not differentiated."""
    return Spec(spec.draw, spec.text, grad=False)


@dataclass(frozen=True)
class Case:
    """One call of one function of tinyvision.functional, and what is known about it.

    linear: argument positions in each of which the function is linear (the adjoint identity is checked there).
    order: 2 when the gradient of the gradient is defined and checked.
    torch: PyTorch's torch.nn.functional name, None where it has no such function.
    oracle: a function of tests/oracles with the same arguments, working on arrays by loops from the definition.
    output: for functions with several outputs, the number of the one that is differentiated.
    """

    name: str
    args: tuple
    kwargs: dict
    linear: tuple = ()
    order: int = 2
    torch: str = None
    oracle: object = None
    output: int = None

    @property
    def id(self):
        parts = [a.text if isinstance(a, Spec) else repr(a) for a in self.args]
        parts += [f"{k}={v.text if isinstance(v, Spec) else v}" for k, v in self.kwargs.items()]
        return f"{self.name}-{'-'.join(parts)}".replace(" ", "")

    def draw(self, dtype=np.float64, salt=0):
        """(arguments, keywords) with every Spec drawn; floats in the given dtype."""
        rng = np.random.default_rng(zlib.crc32(self.id.encode()) + salt)

        def value(a):
            if not isinstance(a, Spec):
                return a
            array = np.asarray(a.draw(rng))
            return array.astype(dtype) if array.dtype.kind == "f" else array
        return [value(a) for a in self.args], {k: value(v) for k, v in self.kwargs.items()}

    @property
    def differentiated(self):
        """Keys (positions and keywords) of the arguments that get a gradient."""
        keys = [i for i, a in enumerate(self.args) if isinstance(a, Spec) and a.grad]
        return keys + [k for k, v in self.kwargs.items() if isinstance(v, Spec) and v.grad]


def case(name, *args, linear=(), order=2, torch="same", oracle=None, output=None, **kwargs):
    """A row of the table; keywords other than those named here go to the function."""
    return Case(name, args, kwargs, linear, order, name if torch == "same" else torch, oracle, output)


def all_cases():
    """The cases of every file in this folder."""
    rows = []
    for module in pkgutil.iter_modules(__path__):
        rows += importlib.import_module(f"{__name__}.{module.name}").CASES
    return rows
