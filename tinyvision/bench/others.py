"""The workloads in the words of two other engines on NumPy: DeZero (`dezero`) and HIPS autograd (`autograd`).

Both take part in what they have: DeZero in convolution without groups, autograd, which has no layers of its own, in
convolution with stride 1; LeNet-5 is written for both.  The larger networks need what they lack.
"""

import numpy as np

from .contenders import Contender, Unsupported
from .ours import build
from .workloads import BOTH, FORWARD, INPUT, LR, MOMENTUM, WEIGHT, additions


def lenet_weights(network):
    """(weight, bias) of each layer, and the pictures with LeNet's border of two zeros."""
    if network.model != "lenet5":
        raise Unsupported("only LeNet")
    model, (images, labels) = build(network), network.data()
    layers = (model.conv1, model.conv2, model.fc1, model.fc2, model.fc3)
    images = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))
    return [(layer.weight.data.copy(), layer.bias.data.copy()) for layer in layers], images, labels


class DeZero(Contender):
    """DeZero: define-by-run, im2col and tensordot."""

    key, label, packages = "dezero", "DeZero", ("dezero",)

    def __init__(self):
        missing = not hasattr(np, "int")
        if missing:                                       # DeZero 0.0.13 still asks for a name that NumPy has dropped
            np.int = int
        try:
            import dezero
            import dezero.functions
            import dezero.functions_conv
        finally:
            if missing:
                del np.int
        self.dezero, self.F = dezero, dezero.functions

    def layer_calls(self, layer, a):
        if layer.groups > 1:
            raise Unsupported("no groups")
        makers = {"conv": self.conv_calls, "conv_transpose": self.transposed_calls, "linear": self.linear_calls}
        return makers.get(layer.kind, self.recorded_calls)(layer, a)

    def conv_calls(self, layer, a):
        F, V, s, p = self.F, self.dezero.Variable, layer.stride, layer.padding
        x, w, g = V(a.x), V(a.w), V(a.g)
        node = F.conv2d(x, w, None, s, p).creator
        weight_grad = self.dezero.functions_conv.Conv2DGradW
        return {FORWARD: lambda: F.conv2d(x, w, None, s, p),
                INPUT: lambda: F.deconv2d(g, w, None, s, p, layer.x[2:]),
                WEIGHT: lambda: weight_grad(node)(x, g)}

    def transposed_calls(self, layer, a):
        F, V, s, p = self.F, self.dezero.Variable, layer.stride, layer.padding
        x, w, g = V(a.x), V(a.w), V(a.g)
        node = F.conv2d(g, w, None, s, p).creator
        weight_grad = self.dezero.functions_conv.Conv2DGradW
        return {FORWARD: lambda: F.deconv2d(x, w, None, s, p, layer.y[2:]),
                INPUT: lambda: F.conv2d(g, w, None, s, p),
                WEIGHT: lambda: weight_grad(node)(g, x)}

    def linear_calls(self, layer, a):
        F, V = self.F, self.dezero.Variable
        x, w, g = V(a.x), V(a.w.T), V(a.g)                # its weight is (in, out), and so is the weight's gradient
        return {FORWARD: lambda: F.linear(x, w),
                INPUT: lambda: F.matmul(g, w.T),
                WEIGHT: lambda: F.matmul(x.T, g).T}

    def recorded_calls(self, layer, a):
        F, V, C = self.F, self.dezero.Variable, layer.x[1]
        norm = lambda x, w, b: F.batch_nrom(x, w, b, np.zeros(C, "f"), np.ones(C, "f"), eps=1e-5)  # noqa: E731
        table = {"batch_norm": (norm, (a.x, a.scale, a.shift)), "relu": (F.relu, (a.x,)),
                 "batch_norm_relu": (lambda x, w, b: F.relu(norm(x, w, b)), (a.x, a.scale, a.shift)),
                 "max_pool": (lambda x: F.pooling(x, 2, 2), (a.x,)), "additions": (additions, (a.x,)),
                 "cross_entropy": (lambda x: F.softmax_cross_entropy(x, a.labels), (a.x,))}
        f, arrays = table[layer.kind]
        inputs, g = [V(x) for x in arrays], V(a.g) if layer.kind != "cross_entropy" else None

        def both():
            for x in inputs:
                x.cleargrad()
            y = f(*inputs)
            y.grad = g
            y.backward(retain_grad=True)
            return y, *(x.grad for x in inputs)
        return {FORWARD: lambda: f(*inputs), BOTH: both}

    def training_step(self, network):
        F, Parameter = self.F, self.dezero.Parameter
        weights, images, labels = lenet_weights(network)
        layers = [(Parameter(np.ascontiguousarray(w.T) if w.ndim == 2 else w), Parameter(b)) for w, b in weights]
        optimizer = self.dezero.optimizers.MomentumSGD(LR, MOMENTUM)

        def step():
            x = self.dezero.Variable(images)
            for w, b in layers[:2]:
                x = F.pooling(F.relu(F.conv2d(x, w, b)), 2, 2)
            x = F.reshape(x, (len(images), 400))
            for k, (w, b) in enumerate(layers[2:]):
                x = F.linear(x if k == 0 else F.relu(x), w, b)
            loss = F.softmax_cross_entropy(x, labels)
            for pair in layers:
                for parameter in pair:
                    parameter.cleargrad()
            loss.backward()
            for pair in layers:
                for parameter in pair:
                    optimizer.update_one(parameter)
            return loss
        return step

    def arrays(self, result):
        return [y.data for y in (result if isinstance(result, tuple) else (result,))]

    def number(self, loss):
        return float(loss.data)


class Autograd(Contender):
    """HIPS autograd: NumPy's functions recorded, convolution as einsum over a view of all patches."""

    key, label, packages = "autograd", "autograd", ("autograd",)

    def __init__(self):
        import autograd
        import autograd.numpy
        import autograd.scipy.signal
        self.make_vjp, self.value_and_grad = autograd.make_vjp, autograd.value_and_grad
        self.np, self.signal = autograd.numpy, autograd.scipy.signal

    def conv(self, x, w, padding=0):
        if padding:
            x = self.np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), mode="constant")
        w = w[:, :, ::-1, ::-1]                           # a convolution flips its kernel, a cross-correlation does not
        return self.signal.convolve(x, w, axes=([2, 3], [2, 3]), dot_axes=([1], [1]), mode="valid")

    def layer_calls(self, layer, a):
        if layer.kind == "additions":
            return {FORWARD: lambda: self.make_vjp(additions)(a.x)[1], BOTH: lambda: self.recorded_additions(a)}
        if layer.kind != "conv":
            raise Unsupported("not written")
        if layer.stride > 1 or layer.groups > 1:
            raise Unsupported("no stride" if layer.stride > 1 else "no groups")
        f = lambda x, w: self.conv(x, w, layer.padding)  # noqa: E731
        of_x, _ = self.make_vjp(lambda x: f(x, a.w))(a.x)
        of_w, _ = self.make_vjp(lambda w: f(a.x, w))(a.w)
        return {FORWARD: lambda: f(a.x, a.w), INPUT: lambda: of_x(a.g), WEIGHT: lambda: of_w(a.g)}

    def recorded_additions(self, a):
        pull_back, y = self.make_vjp(additions)(a.x)
        return y, pull_back(a.g)

    def training_step(self, network):
        np_, (weights, images, labels) = self.np, lenet_weights(network)
        velocity, rows = [[np.zeros_like(v) for v in pair] for pair in weights], np.arange(len(labels))

        def pool(x):
            N, C, H, W = x.shape
            return np_.max(x.reshape((N, C, H // 2, 2, W // 2, 2)), axis=(3, 5))

        def loss(weights):
            x = images
            for w, b in weights[:2]:
                x = pool(np_.maximum(self.conv(x, w) + b.reshape((1, -1, 1, 1)), 0))
            x = x.reshape((len(images), 400))
            for k, (w, b) in enumerate(weights[2:]):
                x = np_.dot(x if k == 0 else np_.maximum(x, 0), w.T) + b
            x = x - np_.max(x, axis=1, keepdims=True)
            return np_.mean(np_.log(np_.sum(np_.exp(x), axis=1)) - x[rows, labels])
        value_and_grad = self.value_and_grad(loss)

        def step():
            value, gradients = value_and_grad(weights)
            for pair, moving, changes in zip(weights, velocity, gradients):
                for w, v, g in zip(pair, moving, changes):
                    v *= MOMENTUM
                    v += g
                    w -= LR * v
            return value
        return step

    def arrays(self, result):
        return [np.asarray(result)]

    def number(self, loss):
        return float(loss)
