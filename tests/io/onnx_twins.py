"""Networks beside what their ONNX files compute, in onnxruntime and read back; imported only where both are installed."""

import numpy as np

from tinyvision import Tensor, manual_seed, nn, no_grad
from tinyvision.io import export_onnx, load_onnx
from tinyvision.nn.summary import tensors


class Net(nn.Module):
    """A forward that is handed in."""

    def __init__(self, function, **layers):
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def prepared(make):
    """The network with statistics and weights as training might leave them, none all equal, in training mode still."""
    manual_seed(0)
    net, rng = make(), np.random.default_rng(0)
    for _, p in net.named_parameters():
        if np.ptp(p.data) == 0:
            p.data = (p.data + rng.normal(0, 0.2, p.shape)).astype(p.dtype)
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer.data = rng.normal(0, 0.2, buffer.shape).astype("f4")
        if name.endswith("running_var"):
            buffer.data = rng.uniform(0.5, 1.5, buffer.shape).astype("f4")
    return net


def session(path):
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def evaluated(net, *inputs, forward=None):
    net.eval()
    with no_grad():
        return (forward or net)(*map(Tensor, inputs))


def drawn(example, batch, rng):
    """Numbers like those of an example (a shape: floats), for so many pictures."""
    if isinstance(example, tuple):
        return rng.uniform(-1, 1, (batch, *example[1:])).astype("f4")
    return rng.integers(example.min(), example.max(), (batch, *example.shape[1:]), example.dtype, endpoint=True)


def compare(net, examples, path, batches=(1, 3), tolerance=1e-5, forward=None):
    """What the file gives, by onnxruntime and read back, beside the network itself; examples: a shape, or a list of examples."""
    import onnx

    examples = [examples] if isinstance(examples, tuple) else examples
    export_onnx(net, tuple(examples), path, forward=forward)
    there, back, rng = session(path), load_onnx(path), np.random.default_rng(1)
    names = [value.name for value in there.get_inputs()]
    for batch in batches:
        inputs = [drawn(example, batch, rng) for example in examples]
        wanted = [y.data for y in tensors(evaluated(net, *inputs, forward=forward))]
        returned = tensors(evaluated(back, *inputs))
        for y, theirs, ours in zip(wanted, there.run(None, dict(zip(names, inputs))), returned, strict=True):
            scale = max(1, np.abs(y).max())
            assert y.std() > 1e-4 and np.isfinite(y).all()                # else there would be nothing to compare
            assert theirs.shape == ours.shape == y.shape and theirs.dtype == ours.dtype == y.dtype
            np.testing.assert_allclose(theirs, y, rtol=tolerance, atol=tolerance * scale)
            np.testing.assert_allclose(ours.data, y, rtol=1e-6, atol=1e-6 * scale)
    return onnx.load(path)
