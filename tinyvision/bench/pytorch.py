"""The workloads in PyTorch's words, in each of its modes: eager, channels_last, torch.compile, and both."""

import contextlib

from .contenders import Contender
from .ours import build
from .workloads import BOTH, FORWARD, INPUT, LR, MOMENTUM, WEIGHT, additions


class Torch(Contender):
    """PyTorch; channels_last keeps the channels of a pixel together, torch.compile fuses what stands between matrix products."""

    packages = ("torch",)
    device = "cpu"

    def __init__(self, compiled, channels_last):
        import torch
        self.torch, self.compiled, self.channels_last = torch, compiled, channels_last
        mode = "+".join(["compile"] * compiled + ["channels_last"] * channels_last)
        self.key, self.label = f"torch {mode or 'eager'}", mode.replace("compile+channels_last", "compile+c_l") or "PyTorch"
        self.slow_start = compiled

    def layer_calls(self, layer, arrays):
        self.reset()
        make = {"conv": self.conv_calls, "conv_transpose": self.conv_calls, "linear": self.linear_calls}
        return make.get(layer.kind, self.recorded_calls)(layer, arrays)

    def training_step(self, network):
        from .twins import twin
        torch = self.torch
        self.reset()
        model = twin(network)
        copy_weights(build(network), model)
        model = model.to(self.device)
        if self.channels_last:
            model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
        images, labels = network.data()
        images, labels, model = self.tensor(images), self.tensor(labels), self.compile(model)

        def step():
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss
        return step

    def arrays(self, result):
        return [y.detach().cpu().numpy() for y in (result if isinstance(result, tuple) else (result,))]

    def number(self, loss):
        return loss.item()

    def reset(self):
        """Forget what was compiled: of one piece of code PyTorch compiles a few versions, and then no more."""
        if self.compiled:
            self.torch._dynamo.reset()

    def compile(self, f):
        return self.torch.compile(f, dynamic=False) if self.compiled else f

    def tensor(self, array):
        t = self.torch.from_numpy(array).to(self.device)
        return t.to(memory_format=self.torch.channels_last) if self.channels_last and t.ndim == 4 else t

    def without_graph(self, f):
        f = self.compile(f)

        def call():
            with self.torch.no_grad():
                return f()
        return call

    def conv_calls(self, layer, a):
        torch, transposed, G = self.torch, layer.kind == "conv_transpose", layer.groups
        x, w, g = map(self.tensor, (a.x, a.w, a.g))
        stride, padding = (layer.stride,) * 2, (layer.padding,) * 2
        f = torch.nn.functional.conv_transpose2d if transposed else torch.nn.functional.conv2d

        def gradient(which):
            mask = [which == INPUT, which == WEIGHT, False]
            back = torch.ops.aten.convolution_backward
            return lambda: back(g, x, w, None, stride, padding, (1, 1), transposed, (0, 0), G, mask)[0 if mask[0] else 1]
        calls = {FORWARD: lambda: f(x, w, None, stride, padding, groups=G), INPUT: gradient(INPUT), WEIGHT: gradient(WEIGHT)}
        return {name: self.without_graph(call) for name, call in calls.items()}

    def linear_calls(self, layer, a):
        x, w, g = map(self.tensor, (a.x, a.w, a.g))
        linear = self.torch.nn.functional.linear
        calls = {FORWARD: lambda: linear(x, w), INPUT: lambda: g @ w, WEIGHT: lambda: g.t() @ x}
        return {name: self.without_graph(call) for name, call in calls.items()}

    def recorded_calls(self, layer, a):
        f, inputs, g = self.recorded(layer.kind, a)
        f, inputs = self.compile(f), [self.tensor(x).requires_grad_() for x in inputs]
        g = None if g is None else self.tensor(g)

        def both():
            y = f(*inputs)
            return y, *self.torch.autograd.grad(y, inputs, g)
        return {FORWARD: lambda: f(*inputs), BOTH: both}

    def recorded(self, kind, a):
        """(function, inputs, upstream gradient) of a layer."""
        F, labels = self.torch.nn.functional, self.tensor(a.labels)
        norm = lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)  # noqa: E731
        return {"batch_norm": (norm, (a.x, a.scale, a.shift), a.g),
                "batch_norm_relu": (lambda x, w, b: F.relu(norm(x, w, b)), (a.x, a.scale, a.shift), a.g),
                "relu": (F.relu, (a.x,), a.g), "max_pool": (lambda x: F.max_pool2d(x, 2), (a.x,), a.g),
                "additions": (additions, (a.x,), a.g),
                "cross_entropy": (lambda x: F.cross_entropy(x, labels), (a.x,), None)}[kind]


def copy_weights(model, twin):
    """Give the twin the model's weights: every name and shape must be there, and no other."""
    import torch
    with contextlib.suppress(AttributeError):
        twin = twin._orig_mod
    twin.load_state_dict({name: torch.from_numpy(value.data.copy()) for name, value in model.state_dict().items()})
