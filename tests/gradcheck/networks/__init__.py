"""Whole networks to try check_network on: LeNet-5, ResNet-20 and U-Net with one mistake in one layer, and right ones.

    whole.py          the networks, with inputs and a loss; the right ones are among them
    convolution.py    mistakes in convolutions and transposed convolutions
    normalize.py      in batch norms
    activation.py     in ReLU, max pooling, dropout and upsampling
    linear.py         in linear layers
    between.py        in what a block or the network itself does between its layers

A mistake is a small function that plants it in a layer; its docstring says what is wrong.  FAULTS and RIGHT have them all.
"""

import functools
import importlib
import zlib
from dataclasses import dataclass

import numpy as np

import tinyvision.random

FAULTS, RIGHT = [], []


@dataclass(frozen=True)
class Network:
    """A right network: make(rng) returns the network, its input and a loss of its output."""

    name: str
    make: object

    def drawn(self, seed=0):
        return self.make(np.random.default_rng([zlib.crc32(self.name.encode()), seed]))


@dataclass(frozen=True)
class Fault:
    """One mistake in one layer.

    make: as for a Network, of the network without the mistake; plant(layer) puts it into the layer at `path`, "" being the
    network itself; tensor: whose gradient is wrong, "input" or a parameter of that layer; why: what is wrong.
    """

    name: str
    make: object
    plant: object
    path: str
    tensor: str
    why: str

    def drawn(self, seed=0):
        """The wrong network, its input and the loss."""
        net, x, loss = self.clean(seed)
        self.plant(net.get_submodule(self.path))
        return net, x, loss

    def clean(self, seed=0):
        """The same without the mistake."""
        return self.make(np.random.default_rng([zlib.crc32(self.name.encode()), seed]))


def fault(make, path, tensor):
    """Decorator: plants a mistake in the layer at `path` of the networks that `make` makes."""
    def add(plant):
        FAULTS.append(Fault(plant.__name__, make, plant, path, tensor, " ".join(plant.__doc__.split())))
        return plant
    return add


def network(make):
    """Decorator: a function of a generator that makes a right network; its weights come from that generator too."""
    @functools.wraps(make)
    def seeded(rng):
        before = tinyvision.random.engine
        tinyvision.random.engine = np.random.default_rng(rng.integers(2 ** 31))
        try:
            return make(rng)
        finally:
            tinyvision.random.engine = before
    RIGHT.append(Network(make.__name__, seeded))
    return seeded


for name in ("whole", "convolution", "normalize", "activation", "linear", "between"):
    importlib.import_module(f"{__name__}.{name}")
