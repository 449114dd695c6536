"""The workloads in tinyvision's words: its kernels for convolutions and products, its layers for everything else."""

import contextlib

from .. import functional as F
from .. import models, nn, optim
from .. import random as tv_random
from ..autograd import grad
from ..kernels import conv as kernels
from ..kernels.matmul import matmul
from ..kernels.window import Window
from ..tensor import Tensor, raw
from .contenders import Contender
from .workloads import BOTH, FORWARD, INPUT, LR, MOMENTUM, WEIGHT, additions


class Ours(Contender):
    """tinyvision as it comes."""

    key = label = "tinyvision"
    packages = ()

    def layer_calls(self, layer, arrays):
        make = {"conv": conv_calls, "conv_transpose": transposed_calls, "linear": linear_calls}.get(layer.kind, recorded_calls)
        return make(layer, arrays)

    def training_step(self, network):
        model = self.placed(build(network))
        optimizer = optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
        images, labels = [self.placed(Tensor(array)) for array in network.data()]

        def step():
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss
        return step

    def placed(self, thing):
        """A tensor or a module on the device that is measured."""
        return thing

    def arrays(self, result):
        return [raw(y) for y in (result if isinstance(result, tuple) else (result,))]

    def number(self, loss):
        return loss.item()


class Reference(Ours):
    """tinyvision on its references: NumPy, convolution as im2col and a matrix product, as teaching engines do it."""

    key, label = "numpy", "NumPy"

    def layer_calls(self, layer, arrays):
        return {name: on_reference(call) for name, call in super().layer_calls(layer, arrays).items()}

    def training_step(self, network):
        return on_reference(super().training_step(network))


def on_reference(call):
    from ..kernels.registry import use_kernels

    def run():
        with use_kernels("reference"):
            return call()
    return run


def build(network):
    """The network with its first weights, always the same; the engine's random numbers are left as they were."""
    with seeded():
        if network.model == "lenet5":
            return models.LeNet5(network.classes, network.x[1])
        if network.model == "resnet20":
            return models.resnet20(network.classes)
        if network.model == "resnet50":
            return models.resnet50(network.classes)
        return models.UNet(network.x[1], network.classes, network.base, network.depth)


@contextlib.contextmanager
def seeded():
    before = tv_random.engine
    tv_random.manual_seed(0)
    try:
        yield
    finally:
        tv_random.engine = before


def window_of(layer):
    return Window(layer.w[2:], (layer.stride,) * 2, ((layer.padding,) * 2,) * 2, (1, 1))


def conv_calls(layer, a):
    window, G = window_of(layer), layer.groups
    return {FORWARD: lambda: kernels.conv(a.x, a.w, None, window, G),
            INPUT: lambda: kernels.conv_transpose(a.g, a.w, None, window, G, layer.x[2:]),
            WEIGHT: lambda: kernels.conv_weight_grad(a.x, a.g, window, G)}


def transposed_calls(layer, a):
    """The transposed convolution is the gradient of a convolution, so its gradients are the other two passes."""
    window, G = window_of(layer), layer.groups
    return {FORWARD: lambda: kernels.conv_transpose(a.x, a.w, None, window, G, layer.y[2:]),
            INPUT: lambda: kernels.conv(a.g, a.w, None, window, G),
            WEIGHT: lambda: kernels.conv_weight_grad(a.g, a.x, window, G)}


def linear_calls(layer, a):
    return {FORWARD: lambda: matmul(a.x, a.w.T), INPUT: lambda: matmul(a.g, a.w), WEIGHT: lambda: matmul(a.g.T, a.x)}


def recorded_calls(layer, a):
    """A layer as networks are built of them, and its gradients by the tape."""
    x, function = Tensor(a.x, requires_grad=True), {"cross_entropy": lambda x: F.cross_entropy(x, a.labels), "additions": additions}
    f = function.get(layer.kind) or layer_module(layer, a)
    inputs, g = [x, *(() if layer.kind in function else f.parameters())], None if layer.kind == "cross_entropy" else a.g

    def both():
        y = f(x)
        return y, *grad(y, inputs, g)
    return {FORWARD: lambda: f(x), BOTH: both}


def layer_module(layer, a):
    """The module of a layer, with the weights drawn for it."""
    if layer.kind in ("relu", "max_pool"):
        return nn.ReLU() if layer.kind == "relu" else nn.MaxPool2d(2)
    norm = nn.BatchNorm2d(layer.x[1], track_running_stats=False)
    norm.weight.data, norm.bias.data = a.scale, a.shift
    return nn.Sequential(norm, nn.ReLU()) if layer.kind == "batch_norm_relu" else norm
