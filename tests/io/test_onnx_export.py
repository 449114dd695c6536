"""Networks in ONNX: onnxruntime computes from the file what the network computes, for every layer and several batch sizes."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, concatenate, models, nn, no_grad, where
from tinyvision.io import export_onnx, load_onnx

from .onnx_twins import Net, compare, evaluated, prepared, session

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_a_network_that_came_back_can_be_trained(tmp_path):
    net = prepared(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)))
    export_onnx(net, (1, 1, 4, 4), tmp_path / "net.onnx")
    back, x = load_onnx(tmp_path / "net.onnx"), np.random.default_rng(0).standard_normal((5, 1, 4, 4)).astype("f4")
    for twin in net, back:
        F.cross_entropy(twin(Tensor(x)), [0, 1, 2, 0, 1]).backward()
    for (name, p), (other, q) in zip(sorted(net.named_parameters()), sorted(back.named_parameters()), strict=True):
        assert name == other
        np.testing.assert_allclose(p.grad.data, q.grad.data, rtol=1e-6, atol=1e-7)


IMAGE = (1, 4, 9, 7)
LAYERS = [
    (nn.ReLU(), IMAGE),
    (nn.LeakyReLU(0.2), IMAGE),
    (nn.ReLU6(), IMAGE),
    (nn.Hardtanh(-0.3, 0.4), IMAGE),
    (nn.PReLU(4), IMAGE),
    (nn.Hardsigmoid(), IMAGE),
    (nn.Hardswish(), IMAGE),
    (nn.Threshold(0.1, 7.0), IMAGE),
    (nn.Softshrink(0.3), IMAGE),
    (nn.Hardshrink(0.3), IMAGE),
    (nn.ELU(0.7), IMAGE),
    (nn.SELU(), IMAGE),
    (nn.CELU(0.6), IMAGE),
    (nn.GELU(), IMAGE),
    (nn.GELU("tanh"), IMAGE),
    (nn.SiLU(), IMAGE),
    (nn.Mish(), IMAGE),
    (nn.Softplus(), IMAGE),
    (nn.Softplus(2.5), IMAGE),
    (nn.LogSigmoid(), IMAGE),
    (nn.Sigmoid(), IMAGE),
    (nn.Tanh(), IMAGE),
    (nn.Softsign(), IMAGE),
    (nn.Tanhshrink(), IMAGE),
    (nn.GLU(1), IMAGE),
    (nn.Softmax(1), IMAGE),
    (nn.LogSoftmax(-1), IMAGE),
    (nn.Softmin(1), IMAGE),
    (nn.Softmax2d(), IMAGE),
    (nn.Conv2d(4, 6, 3, stride=2, padding=(1, 2), dilation=(1, 2), groups=2), IMAGE),
    (nn.Conv2d(4, 3, (2, 3), padding="same"), IMAGE),
    (nn.Conv2d(4, 3, 3, padding=2, padding_mode="reflect", bias=False), IMAGE),
    (nn.Conv1d(4, 2, 3), (1, 4, 9)),
    (nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"), IMAGE),
    (nn.Conv3d(2, 2, 2), (1, 2, 3, 4, 5)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), IMAGE),
    (nn.ConvTranspose1d(4, 2, 4, stride=3), (1, 4, 9)),
    (nn.ConvTranspose2d(4, 2, 3, stride=2, dilation=2, bias=False), IMAGE),
    (nn.ConvTranspose2d(4, 2, 2, stride=2, output_padding=1), IMAGE),
    (nn.MaxPool2d(2), IMAGE),
    (nn.MaxPool2d(3, 2, 1), IMAGE),
    (nn.MaxPool2d(2, ceil_mode=True), IMAGE),
    (nn.MaxPool2d(2, 3, dilation=2, ceil_mode=True), IMAGE),
    (nn.MaxPool1d(3), (1, 4, 9)),
    (nn.AvgPool2d(2), IMAGE),
    (nn.AvgPool2d(3, 2, 1), IMAGE),
    (nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    (nn.AvgPool2d(2, ceil_mode=True), IMAGE),
    (nn.AvgPool2d(2, divisor_override=3), IMAGE),
    (nn.AdaptiveAvgPool2d(1), IMAGE),
    (nn.AdaptiveAvgPool2d((3, 7)), IMAGE),
    (nn.AdaptiveAvgPool2d((4, 3)), IMAGE),
    (nn.AdaptiveAvgPool1d(4), (1, 4, 9)),
    (nn.BatchNorm2d(4), IMAGE),
    (nn.BatchNorm1d(4), (1, 4)),
    (nn.BatchNorm2d(4, affine=False), IMAGE),
    (nn.BatchNorm3d(2), (1, 2, 2, 3, 4)),
    (nn.BatchNorm2d(4, track_running_stats=False), IMAGE),
    (nn.InstanceNorm2d(4), IMAGE),
    (nn.InstanceNorm2d(4, affine=True), IMAGE),
    (nn.InstanceNorm2d(4, track_running_stats=True), IMAGE),
    (nn.GroupNorm(2, 4), IMAGE),
    (nn.GroupNorm(1, 4, affine=False), IMAGE),
    (nn.LayerNorm(7), IMAGE),
    (nn.LayerNorm((9, 7)), IMAGE),
    (nn.LayerNorm((4, 9, 7), elementwise_affine=False), IMAGE),
    (nn.LayerNorm(7, bias=False), IMAGE),
    (nn.RMSNorm(7), IMAGE),
    (nn.LocalResponseNorm(3, alpha=0.5), IMAGE),
    (nn.Upsample(scale_factor=2), IMAGE),
    (nn.Upsample(size=(5, 11)), IMAGE),
    (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    (nn.Upsample(size=(13, 4), mode="bilinear", align_corners=True), IMAGE),
    (nn.Upsample(scale_factor=3, mode="bicubic"), IMAGE),
    (nn.Upsample(size=(4, 3), mode="area"), IMAGE),
    (nn.Upsample(scale_factor=2, mode="linear"), (1, 4, 9)),
    (nn.Upsample(scale_factor=1.7, mode="bilinear"), IMAGE),
    (nn.Upsample(size=(4, 5), mode="nearest-exact"), IMAGE),
    (nn.PixelShuffle(2), IMAGE),
    (nn.PixelUnshuffle(3), (1, 2, 6, 9)),
    (nn.ChannelShuffle(2), IMAGE),
    (nn.ZeroPad2d((1, 2, 0, 3)), IMAGE),
    (nn.ConstantPad2d((1, -1, -2, 3), 0.5), IMAGE),
    (nn.ReflectionPad2d((1, 2, 3, 0)), IMAGE),
    (nn.ReplicationPad2d(2), IMAGE),
    (nn.CircularPad2d((1, 2, -1, 0)), IMAGE),
    (nn.Linear(7, 5), IMAGE),
    (nn.Linear(6, 5, bias=False), (1, 6)),
    (nn.Dropout(0.5), IMAGE),
    (nn.Unflatten(1, (2, 2)), IMAGE),
    (nn.Flatten(2), IMAGE),
    (nn.Flatten(), IMAGE),
    (nn.Identity(), IMAGE),
    (nn.BasicBlock(4, 6, 2), IMAGE),
    (nn.Bottleneck(4, 2), IMAGE),
    (nn.PreActivationBlock(4, 6, 2), IMAGE),
]


@pytest.mark.parametrize("layer, shape", LAYERS, ids=[f"{i} {type(layer).__name__}" for i, (layer, _) in enumerate(LAYERS)])
def test_every_layer(tmp_path, layer, shape):
    compare(prepared(lambda: nn.Sequential(layer)), shape, tmp_path / "net.onnx")


EXPRESSIONS = {
    "arithmetic": lambda net, x: (2 * x + 1) / (x * x + 3) - x**3,
    "exp log": lambda net, x: ((x.exp() + 1).log()) * 0.5,
    "log1p": lambda net, x: F.softplus(x) + (x * x + 0.1) ** 0.5,
    "trigonometry": lambda net, x: np.sin(x) + np.cos(x) * abs(x),
    "clip": lambda net, x: x.clip(-0.2, None) + x.clip(None, 0.3),
    "mean": lambda net, x: x.mean(axis=(2, 3)) - x.sum(axis=1)[:, :2].mean(axis=2).repeat(2, 1),
    "mean of all but the batch": lambda net, x: x.mean(axis=(1, 2, 3), keepdims=True) * x,
    "var": lambda net, x: x.var(axis=1),
    "slices": lambda net, x: x[:, ::-1, 1:-1, ::2],
    "numbers": lambda net, x: x[:, -1] + x[:, 0, :, :],
    "new axes": lambda net, x: x[:, None, 1:, ..., 2],
    "array": lambda net, x: x[:, [0, 2, 0]],
    "reshape": lambda net, x: x.reshape((len(x), -1)),
    "rows": lambda net, x: x.reshape((-1, 63)).reshape((-1, 4, 63)),
    "transpose": lambda net, x: x.transpose((0, 3, 1, 2)) * 2.0,
    "flip": lambda net, x: np.flip(x, (1, -1)) + x,
    "cumsum": lambda net, x: x.cumsum(axis=2),
    "concatenate": lambda net, x: concatenate([x, x * 2, x[:, :1]], axis=1),
    "matmul": lambda net, x: x @ x.swapaxes(2, 3),
    "maximum": lambda net, x: np.maximum(x, 0.1) + np.minimum(x, -x),
    "mask": lambda net, x: where(np.eye(9, 7) > 0, x, 0.0),
    "an array": lambda net, x: x * np.linspace(0, 1, 7),
    "an array of equal rows": lambda net, x: x * np.linspace(1, 2, 7, dtype="f4") * np.ones((len(x), 4, 1, 7), "f4"),
    "broadcast": lambda net, x: x[:, :, :1] + np.zeros((9, 7), "f4"),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression(tmp_path, name):
    net = Net(EXPRESSIONS[name])
    x = Tensor(np.zeros(IMAGE, "f4"))
    if evaluated(net, np.zeros(IMAGE, "f4")).dtype == np.float64:  # NumPy's rules: a float64 array makes the result float64
        net = Net(lambda _, x: EXPRESSIONS[name](_, x).astype("float32"))
    assert x.dtype == np.float32
    compare(net, IMAGE, tmp_path / "net.onnx")


def test_several_inputs_and_outputs_with_names_of_their_own(tmp_path):
    net = Net(lambda net, x, y: {"sum": net.fc(x) + y, "both": (x, net.fc(x))}, fc=nn.Linear(3, 2))
    export_onnx(
        net, ((1, 3), np.ones((1, 2), "f4")), tmp_path / "net.onnx", input_names=["a", "b"], output_names=["s", "t", "u"]
    )
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((4, 3)).astype("f4"), rng.standard_normal((4, 2)).astype("f4")
    found = session(tmp_path / "net.onnx").run(["s", "t", "u"], {"a": a, "b": b})
    y = evaluated(net, a, b)
    for theirs, back, ours in zip(found, evaluated(load_onnx(tmp_path / "net.onnx"), a, b), (y["sum"], *y["both"])):
        np.testing.assert_allclose(theirs, ours.data, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(back.data, ours.data)


def test_a_fixed_batch_and_double_precision(tmp_path):
    net = nn.Sequential(nn.Linear(3, 2), nn.Tanh()).double()
    export_onnx(net, Tensor(np.ones((4, 3))), tmp_path / "net.onnx", dynamic_batch=False)
    graph = onnx.load(tmp_path / "net.onnx").graph
    assert [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim] == [4, 3]
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    x = np.random.default_rng(0).standard_normal((4, 3))
    np.testing.assert_allclose(session(tmp_path / "net.onnx").run(None, {"input": x})[0], evaluated(net, x).data, rtol=1e-12)
    with pytest.raises(ValueError, match=r"OnnxModule: input must be a Tensor of shape \(4, 3\), None .* got \(5, 3\)"):
        load_onnx(tmp_path / "net.onnx")(Tensor(np.ones((5, 3))))


def test_a_shared_layer_and_frozen_weights(tmp_path):
    fc = nn.Linear(3, 3)
    net = Net(lambda net, x: net.b(F.relu(net.a(x))), a=fc, b=fc)
    net.requires_grad_(False)
    message = compare(net, (1, 3), tmp_path / "net.onnx")
    assert sorted(w.name for w in message.graph.initializer) == ["a.bias", "a.weight"]
    assert [node.name for node in message.graph.node][:1] == ["a/Gemm"]


def test_nodes_are_named_after_their_layers(tmp_path):
    export_onnx(models.resnet20(), (1, 3, 16, 16), tmp_path / "net.onnx")
    names = [node.name for node in onnx.load(tmp_path / "net.onnx").graph.node]
    assert {"conv1/Conv", "layer1.0.bn2/BatchNormalization", "layer2.0/Add", "layer2.0.downsample/Slice"} <= set(names)
    assert len(set(names)) == len(names)


def test_modes_hooks_gradients_and_random_numbers_stay(tmp_path):
    net = prepared(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5)))
    net[1].eval()
    before = {key: value.data.copy() for key, value in net.state_dict().items()}
    with no_grad():  # the caller's switch does not matter
        export_onnx(net, (1, 1, 5, 5), tmp_path / "net.onnx")
    assert [m.training for m in net.modules()] == [True, True, False, True]
    assert all(p.grad is None for p in net.parameters()) and not net._forward_hooks and not net[0]._forward_pre_hooks
    assert all((net.state_dict()[key].data == value).all() for key, value in before.items())


def test_hooks_and_subclasses_are_exported_as_they_compute(tmp_path):
    class Doubled(nn.BatchNorm2d):
        def forward(self, input):
            return 2 * super().forward(input)

    net = prepared(lambda: nn.Sequential(Doubled(4), nn.BatchNorm2d(4)))
    net[1].register_forward_hook(lambda module, args, output: output + 1)
    compare(net, IMAGE, tmp_path / "net.onnx")


UNSUPPORTED = {
    "grid": (
        lambda net, x: F.grid_sample(x, np.zeros((len(x), 2, 2, 2), "f4")),
        "GatherPixels in the network's own forward has no translation to ONNX. Replace the layer",
    ),
    "unfold": (lambda net, x: net.layer(x), "Unfold in layer 'layer' has no translation"),
    "adaptive maximum": (lambda net, x: net.pool(x), "Gather in layer 'pool' has no translation"),
    "mask": (lambda net, x: x[:, np.array([True, False, True, False])], "indexing with a mask or several arrays"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_onnx_has_no_node_for_is_named_with_its_layer(tmp_path, name):
    function, match = UNSUPPORTED[name]
    with pytest.raises(NotImplementedError, match=match) as caught:
        export_onnx(Net(function, layer=nn.Unfold(2), pool=nn.AdaptiveMaxPool2d(2)), IMAGE, tmp_path / "net.onnx")
    assert str(caught.value).startswith("export_onnx: ") and not (tmp_path / "net.onnx").exists()


BAKED = {
    "the largest value": lambda net, x: x - np.asarray(x.detach().data).max(),
    "a mask": lambda net, x: where(x.data > 0, x, 2 * x),
    "the batch size": lambda net, x: x * len(x),
    "an array of the batch size": lambda net, x: x + np.arange(len(x), dtype="f4")[:, None, None, None],
    "an index": lambda net, x: x.max(axis=1),
    "a condition": lambda net, x: x * 2 if len(x) == 2 else x + 1,
    "a sum over the batch": lambda net, x: x / len(x) + x.sum(axis=0),
}


@pytest.mark.parametrize("name", BAKED)
def test_numbers_that_depend_on_the_input_are_not_baked_in(tmp_path, name):
    (tmp_path / "net.onnx").write_text("mine")
    with pytest.raises((NotImplementedError, ValueError), match="export_onnx: .*(depend|something else|no translation)"):
        export_onnx(Net(BAKED[name]), IMAGE, tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").read_text() == "mine"


@pytest.mark.parametrize(
    "function, match",
    [
        (lambda net, x: np.argmax(x.data, 1), "must return Tensors|not connected"),
        (lambda net, x: x.detach(), "output 0 is not connected"),
        (lambda net, x: Tensor([1.0]), "output 0 is not connected"),
        (lambda net, x: None, "must return Tensors, got NoneType"),
        (lambda net, x: x.sum(axis=0), "output must have the batch as its first axis"),
        (lambda net, x: x.transpose((1, 0, 2, 3)), "output must have the batch as its first axis"),
    ],
)
def test_outputs_that_cannot_be(tmp_path, function, match):
    with pytest.raises((TypeError, ValueError), match=match):
        export_onnx(Net(function), IMAGE, tmp_path / "net.onnx")


def test_arguments_that_cannot_be(tmp_path):
    net, path = nn.Sequential(nn.Linear(3, 2)), tmp_path / "net.onnx"
    for inputs in np.ones((1, 3), bool), (), np.float32(1):
        with pytest.raises(TypeError, match="export_onnx: inputs must be shapes, or arrays of floats or integers"):
            export_onnx(net, inputs, path)
    for model, forward in (lambda x: x, None), (net, "forward"):
        with pytest.raises(TypeError, match="export_onnx: model must be a Module and forward a function, got"):
            export_onnx(model, (1, 3), path, forward=forward)
    with pytest.raises(ValueError, match="integers must be an array that holds the smallest and the largest number"):
        export_onnx(net, np.ones((1, 3), int), path)
    for given in ["a", "b"], [], ["a", "a"], [1]:
        with pytest.raises(ValueError, match="export_onnx: input_names must be 1 different names"):
            export_onnx(net, (1, 3), path, input_names=given)
    with pytest.raises(ValueError, match="'0.weight' is the name of a parameter"):
        export_onnx(net, (1, 3), path, output_names=["0.weight"])
    with pytest.raises(FileNotFoundError, match="the folder of .* does not exist"):
        export_onnx(net, (1, 3), tmp_path / "none" / "net.onnx")
    assert not path.exists()


def test_without_the_package(tmp_path, monkeypatch):
    import tinyvision.packages

    monkeypatch.setattr(tinyvision.packages, "find_spec", lambda name: None)
    for call in (lambda: export_onnx(nn.Linear(1, 1), (1, 1), tmp_path / "x")), (lambda: load_onnx(tmp_path / "x")):
        with pytest.raises(ImportError, match="needs the package onnx, which is not installed. pip install onnx"):
            call()
