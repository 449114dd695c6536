"""Compile the kernels of the usual networks before they are needed: python -m tinyvision.prepare

Kernels are compiled when they are first called, once per machine, those of the forward pass first.  When the first of them
has to be compiled, kernels/cpu/jit.py starts this file as a second process, with the argument `backward`: by the time that the
first loss is known, most of the backward pass waits in the cache.  Without an argument everything is compiled, in this process:
for an image of a classroom's machines, say.
"""

import sys

import numpy as np

from . import nn, optim
from .functional import cross_entropy
from .kernels.registry import use_kernels
from .tensor import Tensor


def networks():
    """Small networks with the layers, and the sizes of rows, of LeNet, ResNet and U-Net, and pictures for each of them."""
    yield nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.Flatten(),
                        nn.Linear(16 * 12 * 12, 16), nn.ReLU(), nn.Linear(16, 10)), (2, 1, 32, 32), (2,)
    for size in (16, 8):                                  # rows of 8 have a kernel of their own
        yield nn.Sequential(nn.BasicBlock(8, 8), nn.Flatten(), nn.Linear(8 * size * size, 10)), (2, 8, size, size), (2,)
    yield nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 8, 2, stride=2),
                        nn.Conv2d(8, 2, 1)), (2, 8, 16, 16), (2, 32, 32)


def prepare(forward=True):
    """One step of training for each network; without `forward` that pass is left to NumPy, and not compiled."""
    for net, shape, labels in networks():
        optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        with use_kernels("compiled" if forward else "reference"):
            loss = cross_entropy(net(Tensor(np.ones(shape, np.float32))), np.zeros(labels, int))
        with use_kernels("compiled"):
            loss.backward()
            optimizer.step()


if __name__ == "__main__":
    prepare(forward=sys.argv[1:] != ["backward"])
