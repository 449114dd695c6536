"""Compile the kernels of the usual networks before they are needed: python -m tinyvision.prepare

Kernels are compiled when they are first called, once per machine, those of the forward pass first.  When the first of them
has to be compiled, kernels/cpu/cache.py starts this file as a second process, with the argument `backward`: it compiles what the
first step of training will come to last, and by then most of that waits in the cache.  Without an argument everything is
compiled, in this process: for an image of a classroom's machines, say.
"""

import sys
import time

import numpy as np

from . import nn, optim
from .functional import cross_entropy
from .kernels import conv, matmul, normalize, pool, softmax
from .kernels.registry import set_num_threads, use_kernels
from .kernels.window import Window
from .tensor import Parameter, Tensor


def networks():
    """Small networks with the layers, and the sizes of rows, of LeNet, ResNet and U-Net, and pictures for each of them."""
    yield nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.Flatten(),
                        nn.Linear(16 * 12 * 12, 16), nn.ReLU(), nn.Linear(16, 10)), (2, 1, 32, 32), (2,)
    for size in (16, 8):                                  # a first layer and a step down; rows of 8 have a kernel of their own
        yield nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BasicBlock(8, 8), nn.BasicBlock(8, 16, stride=2), nn.Flatten(),
                            nn.Linear(4 * size * size, 10)), (4, 3, size, size), (4,)
    yield nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 8, 2, stride=2),
                        nn.Conv2d(8, 8, 3, groups=8, padding=1), nn.Conv2d(8, 2, 1)), (2, 8, 16, 16), (2, 32, 32)


def prepare():
    """One step of training for each network."""
    for net, shape, labels in networks():
        optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        with use_kernels("compiled"):
            loss = cross_entropy(net(Tensor(np.ones(shape, np.float32))), np.zeros(labels, int))
            loss.backward()
            optimizer.step()
    matmul.matmul(np.ones((1, 1024), np.float32), np.ones((1024, 2048), np.float32))        # the last layers of large networks


def backward():
    """What the first step calls late: first what every network needs, then what this one does, in the order of its need.

    Kernels are called by themselves: a whole backward pass would begin with the one that the other process begins with.  What
    that process comes to next tells networks with batch norm from a LeNet, whose first layer has six filters.  The last kernel does
    for these what another does a little slower, so nobody waits for it (Shared.ready).
    """
    x, rows, w = np.ones((2, 8, 16, 16), np.float32), np.ones((2, 4), np.float32), Parameter(np.ones(3, np.float32))
    small, planes, per = x[:, :, ::2, ::2].copy(), x.reshape(2, 8, 256), np.ones((1, 8, 1), np.float32)
    classes = np.zeros(2, int)
    wide, w.grad = np.ones((2, 16, 16, 16), np.float32), Tensor(w.data)

    def six_filters():
        conv.conv_weight_grad(x, x[:, :6].copy(), window(5, 1, 2), 1)
        softmax.cross_entropy(rows, classes)              # for the other process has more to do
        softmax.cross_entropy_grad(rows[:, 0], rows, classes, rows[:, :1], rows[:, :1])

    def larger():
        conv.conv_weight_grad(wide, wide, window(3, 1, 1), 1)             # 3x3 taps have a kernel of their own, and rows of 8
        softmax.cross_entropy_grad(rows, planes[:, :, :4].copy(), np.zeros((2, 4), int), *[planes[:, :1, :4].copy()] * 2)
        normalize.normalize_grad(planes, planes, per, per, per, per, (0, 2), True)
        conv.conv_weight_grad(x, small, window(3, 2, 1), 1)

    with use_kernels("compiled"):
        pool.scatter_taps(small, np.zeros(small.shape, np.uint8), window(2, 2, 0), (16, 16))
        optim.SGD([w], lr=0.1, momentum=0.9).step()
        conv.channel_sum(x)
        conv.conv_weight_grad(x, x, window(5, 1, 2), 1)   # after the other process has compiled what both passes share
        lenet = met("_max_of_four", "_moments") == "_max_of_four"         # networks with batch norm may have maxima, too
        for compile_some in (six_filters, larger) if lenet else (larger, six_filters):
            compile_some()
        conv.conv(x, np.ones((6, 8, 5, 5), np.float32), None, window(5, 1, 2), 1)


def met(*names, seconds=2.0):
    """The kernel among these that the other process compiles, the last if it has several; None if it comes to none of them."""
    from .kernels.cpu.cache import begun
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name in reversed(names):
            if begun(name):
                return name
        time.sleep(0.02)
    return None


def window(size, stride, padding):
    return Window((size,) * 2, (stride,) * 2, ((padding,) * 2,) * 2, (1, 1))


if __name__ == "__main__":
    if sys.argv[1:] == ["backward"]:
        set_num_threads(1)                                # the loop over threads is the first thing that the other process compiles
        backward()
    else:
        prepare()
