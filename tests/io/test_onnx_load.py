"""ONNX files of others: PyTorch's, handmade ones with nodes this library does not write, and files that are broken or lie."""

import warnings

import numpy as np
import pytest

from tinyvision import Tensor, nn, no_grad
from tinyvision.io import export_onnx, load_onnx
from tinyvision.io.onnx_steps import STEPS

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402  (only where the package is)

FLOAT = TensorProto.FLOAT


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.onnx"


def message(nodes, weights=None, shape=("batch", 2, 4, 4), opset=18, outputs=("y",)):
    """A model with the input x."""
    values = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    weights = [
        w if isinstance(w, TensorProto) else numpy_helper.from_array(np.asarray(w), name) for name, w in (weights or {}).items()
    ]
    graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("x", FLOAT, shape)], values, weights)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])


def node(kind, *inputs, output="y", **attributes):
    return helper.make_node(kind, list(inputs), [output], **attributes)


def saved(path, *arguments, **options):
    path.write_bytes(message(*arguments, **options).SerializeToString())
    return path


def check_by_runtime(path, *nodes, weights=None, shape=(3, 2, 4, 4), opset=18, tolerance=1e-6):
    """The same numbers as onnxruntime's."""
    runtime = pytest.importorskip("onnxruntime")
    saved(path, list(nodes), weights, shape, opset)
    x = np.random.default_rng(0).standard_normal(shape).astype("f4")
    (theirs,) = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    with no_grad():
        ours = load_onnx(path)(Tensor(x)).data
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


TORCH_NETS = {
    "conv": (
        lambda t: t.nn.Sequential(
            t.nn.Conv2d(2, 4, 3, 2, 1, groups=2),
            t.nn.BatchNorm2d(4),
            t.nn.ReLU(),
            t.nn.MaxPool2d(3, 2, 1),
            t.nn.AdaptiveAvgPool2d(1),
            t.nn.Flatten(),
            t.nn.Linear(4, 3),
            t.nn.Softmax(1),
        ),
        (2, 2, 12, 12),
    ),
    "up": (
        lambda t: t.nn.Sequential(
            t.nn.ConvTranspose2d(2, 3, 3, 2, 1, 1),
            t.nn.Upsample(scale_factor=2),
            t.nn.GELU(),
            t.nn.Upsample(scale_factor=2, mode="bilinear"),
            t.nn.AvgPool2d(3, 2, 1),
            t.nn.LeakyReLU(),
            t.nn.ReflectionPad2d(1),
        ),
        (2, 2, 5, 4),
    ),
    "norm": (
        lambda t: t.nn.Sequential(
            t.nn.GroupNorm(1, 2),
            t.nn.InstanceNorm2d(2, affine=True),
            t.nn.LayerNorm(4),
            t.nn.Hardswish(),
            t.nn.ReLU6(),
            t.nn.Flatten(2),
            t.nn.Unflatten(2, (4, 4)),
            t.nn.PixelShuffle(1),
        ),
        (2, 2, 4, 4),
    ),
    "1d": (
        lambda t: t.nn.Sequential(t.nn.Conv1d(2, 4, 3), t.nn.BatchNorm1d(4), t.nn.SiLU(), t.nn.MaxPool1d(2, ceil_mode=True)),
        (2, 2, 12),
    ),
}


@pytest.mark.parametrize("batch", [2, 3])
@pytest.mark.parametrize("name", TORCH_NETS)
def test_files_of_pytorch(path, name, batch):
    torch = pytest.importorskip("torch")
    make, shape = TORCH_NETS[name]
    torch.manual_seed(0)
    net = make(torch).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter needs no further package, and is told to be old
        try:
            torch.onnx.export(net, (torch.randn(shape),), path, input_names=["x"], dynamic_axes={"x": {0: "n"}}, dynamo=False)
        except (TypeError, ImportError) as error:
            pytest.skip(f"this PyTorch has no exporter of its own: {error}")
    x = torch.randn(batch, *shape[1:])
    with no_grad(), torch.no_grad():
        np.testing.assert_allclose(load_onnx(path)(Tensor(x.numpy())).data, net(x).numpy(), rtol=1e-4, atol=1e-5)


def pooled(*outputs, **attributes):
    return helper.make_node("MaxPool", ["x"], outputs, kernel_shape=[2, 2], **attributes)


def parts(*outputs, **attributes):
    return helper.make_node("Split", ["x"], outputs, **attributes)


INT = np.int64
NODES = {
    "clip as attributes": ([node("Clip", "x", min=-0.5, max=0.25)], {}, 6 + 1),
    "pad as attribute": ([node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 0, 1], value=2.0)], {}, 10),
    "pad axes": ([node("Pad", "x", "w", "", "a")], {"w": np.array([1, 2], INT), "a": np.array([-1], INT)}, 18),
    "pad negative": ([node("Pad", "x", "w")], {"w": np.array([0, 0, -1, 1, 0, 0, 0, -1], INT)}, 18),
    "pad edge": ([node("Pad", "x", "w", mode="edge")], {"w": np.array([0, 0, 1, 2, 0, 0, 3, 0], INT)}, 18),
    "pad reflect": ([node("Pad", "x", "w", mode="reflect")], {"w": np.array([0, 0, 1, 2, 0, 0, 3, 0], INT)}, 18),
    "slice as attributes": ([node("Slice", "x", starts=[1, 0], ends=[3, 1], axes=[2, 0])], {}, 9),
    "slice without axes": ([node("Slice", "x", "s", "e")], {"s": np.array([0, 1, 1], INT), "e": np.array([9, 2, -1], INT)}, 18),
    "slice backwards": (
        [node("Slice", "x", "s", "e", "a", "b")],
        {"s": np.array([-1], INT), "e": np.array([-(2**62)], INT), "a": np.array([3], INT), "b": np.array([-2], INT)},
        18,
    ),
    "gemm": (
        [node("Flatten", "x", output="f"), node("Gemm", "f", "w", "c", alpha=0.5, beta=2.0, transA=0)],
        {"w": np.linspace(-1, 1, 160).reshape(32, 5).astype("f4"), "c": np.ones((1, 5), "f4")},
        18,
    ),
    "gemm transposed": ([node("Flatten", "x", output="f"), node("Gemm", "f", "w", transA=1)], {"w": np.ones((3, 2), "f4")}, 18),
    "squeeze and unsqueeze": (
        [node("Unsqueeze", "x", "a", output="u"), node("Squeeze", "u", "b")],
        {"a": np.array([-1, 0], INT), "b": np.array([0], INT)},
        18,
    ),
    "squeeze as attribute": ([node("Unsqueeze", "x", axes=[1], output="u"), node("Squeeze", "u", axes=[1])], {}, 11),
    "shape arithmetic": (
        [
            node("Shape", "x", output="s"),
            node("Gather", "s", "zero", output="n"),
            node("Unsqueeze", "n", "zero1", output="m"),
            node("Concat", "m", "rest", axis=0, output="t"),
            node("Reshape", "x", "t"),
        ],
        {"zero": np.array(0, INT), "zero1": np.array([0], INT), "rest": np.array([-1, 8], INT)},
        18,
    ),
    "constant of shape": (
        [
            node("Shape", "x", output="s"),
            node("ConstantOfShape", "s", output="c", value=numpy_helper.from_array(np.array([2], "f4"))),
            node("Add", "x", "c"),
        ],
        {},
        18,
    ),
    "expand": ([node("Expand", "x", "s")], {"s": np.array([2, 1, 1, 4, 1], INT)}, 18),
    "global": ([node("GlobalMaxPool", "x")], {}, 18),
    "global mean": ([node("GlobalAveragePool", "x")], {}, 18),
    "reduce old": ([node("ReduceMean", "x", axes=[1, -1], keepdims=0)], {}, 13),
    "reduce all": ([node("ReduceSum", "x", keepdims=0)], {}, 18),
    "reduce nothing": ([node("ReduceSum", "x", noop_with_empty_axes=1)], {}, 18),
    "mod": (
        [
            node("Shape", "x", output="s"),
            node("Mod", "s", "three", output="m"),
            node("Cast", "m", to=FLOAT, output="f"),
            node("Add", "x", "f"),
        ],
        {"three": np.array(3, INT)},
        18,
    ),
    "depth to space": (
        [node("Reshape", "x", "s", output="r"), node("DepthToSpace", "r", blocksize=2, mode="DCR")],
        {"s": np.array([0, 8, 2, 2], INT)},
        18,
    ),
    "depth to space CRD": (
        [node("Reshape", "x", "s", output="r"), node("DepthToSpace", "r", blocksize=2, mode="CRD")],
        {"s": np.array([0, 8, 2, 2], INT)},
        18,
    ),
    "max of two": ([node("Max", "x", "w")], {"w": np.float32(0.1)}, 18),
    "cast": (
        [node("Cast", "x", to=TensorProto.INT32, output="i"), node("Div", "i", "two", output="d"), node("Cast", "d", to=FLOAT)],
        {"two": np.int32(2)},
        18,
    ),
    "pool ceil": ([node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], {}, 18),
    "average without pad": ([node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1])], {}, 18),
    "average with pad": (
        [node("AveragePool", "x", kernel_shape=[2, 3], pads=[0, 1, 1, 1], strides=[2, 1], count_include_pad=1)],
        {},
        18,
    ),
    "conv pads": (
        [node("Conv", "x", "w", pads=[1, 0, 2, 3], strides=[2, 1])],
        {"w": np.linspace(-1, 1, 54).reshape(3, 2, 3, 3).astype("f4")},
        18,
    ),
    "resize scales": (
        [node("Resize", "x", "", "s", mode="linear", coordinate_transformation_mode="half_pixel")],
        {"s": np.array([1, 1, 2, 1.5], "f4")},
        18,
    ),
    "resize nearest": (
        [node("Resize", "x", "", "s", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        {"s": np.array([1, 1, 3, 2], "f4")},
        18,
    ),
    "resize cubic": ([node("Resize", "x", "", "", "s", mode="cubic")], {"s": np.array([3, 2, 9, 5], INT)}, 18),
    "dropout": ([node("Dropout", "x")], {}, 18),
    "unpooling": ([pooled("m", "i", strides=[2, 2]), node("MaxUnpool", "m", "i", kernel_shape=[2, 2], strides=[2, 2])], {}, 18),
    "unpooling to a size": (
        [pooled("m", "i", strides=[3, 2]), node("MaxUnpool", "m", "i", "s", kernel_shape=[3, 2], strides=[3, 2])],
        {"s": np.array([3, 2, 4, 4], INT)},
        18,
    ),
    "scatter": (
        [node("ScatterElements", "x", "i", "u", axis=-1)],
        {"i": np.arange(48).reshape(3, 2, 4, 2) % 5 % 4 - 4, "u": np.linspace(-1, 1, 48).reshape(3, 2, 4, 2).astype("f4")},
        18,
    ),
    "split equally": ([parts("a", "b", axis=2), node("Sub", "a", "b")], {}, 13),
    "split by count": ([parts("a", "b", "c", axis=-1, num_outputs=3), node("Mul", "a", "b")], {}, 18),
    "split by sizes": (
        [helper.make_node("Split", ["x", "s"], ["a", "b", "c"], axis=2), node("Concat", "c", "a", axis=2)],
        {"s": np.array([1, 0, 3], INT)},
        18,
    ),
    "split as attribute": ([parts("a", "b", axis=3, split=[3, 1]), node("Add", "a", "b")], {}, 11),
    "split in one": ([node("Split", "x", num_outputs=1)], {}, 18),
    "selu": ([node("Selu", "x", alpha=1.5, gamma=0.5)], {}, 18),
    "gelu": ([node("Gelu", "x")], {}, 20),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes_in_all_their_forms(path, name):
    nodes, weights, opset = NODES[name]
    check_by_runtime(path, *nodes, weights=weights, opset=opset, tolerance=1e-5)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4", "i8", "i2", "i1", "u1", "?"])
@pytest.mark.parametrize("packed", [True, False])
def test_constants_of_every_type_packed_and_listed(path, dtype, packed):
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype) if dtype == "?" else np.array([[0, 1, 100], [3, 2, 5]]).astype(dtype)
    array = -array if array.dtype.kind in "fi" else array
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    proto = numpy_helper.from_array(array) if packed else helper.make_tensor("", kind, array.shape, array.ravel().tolist())
    assert bool(proto.raw_data) == packed
    saved(path, [node("Constant", value=proto)])
    loaded = load_onnx(path)(Tensor(np.zeros((1, 2, 4, 4), "f4")))
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded.data, array)


def test_names_that_are_no_paths(path):
    names = ["float", "a", "a.b", "a.b.c", "x/y", "onnx::Conv_12", "forward.weight", "a..d", ".", "0.weight", "training"]
    weights = {name: np.full((1,), i, "f4") for i, name in enumerate(names)}
    nodes = [
        node("Add", "x" if i == 0 else f"t{i - 1}", name, output="y" if i == len(names) - 1 else f"t{i}")
        for i, name in enumerate(names)
    ]
    net = load_onnx(saved(path, nodes, weights))
    assert len(net.state_dict()) == len(names) and {"a", "x/y", "onnx::Conv_12", "0.weight"} <= set(net.state_dict())
    assert net(Tensor(np.zeros((1, 2, 4, 4), "f4"))).data.max() == sum(range(len(names)))
    net.load_state_dict(net.state_dict())


def test_statistics_are_buffers_and_constants_are_not_learned(path):
    net = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    export_onnx(net, (1, 2, 4, 4), path)
    back = load_onnx(path)
    assert {name for name, _ in back.named_buffers()} == {"1.running_mean", "1.running_var"}
    assert "3 nodes" not in repr(back) and "2 nodes, inputs input" in repr(back)


X = np.zeros((1, 2, 4, 4), "f4")


def external():
    tensor = numpy_helper.from_array(np.ones(3, "f4"), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    return tensor


def claims(dims, kind=FLOAT, data=b"\0" * 24):
    tensor = TensorProto(name="w", data_type=kind, raw_data=data)
    tensor.dims.extend(dims)
    return tensor


def with_graph():
    inner = helper.make_graph([], "inner", [], [])
    return helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)


HOSTILE = {
    "external data": ([node("Add", "x", "w")], {"w": external()}, "its weight w lies in another file"),
    "too few elements": ([node("Add", "x", "w")], {"w": claims([7])}, r"its weight w of shape \(7,\) brings 6 elements"),
    "too many elements": ([node("Add", "x", "w")], {"w": claims([2**40, 2**20])}, "brings 6 elements"),
    "negative": ([node("Add", "x", "w")], {"w": claims([-2, -3])}, "impossible shape"),
    "not a multiple": ([node("Add", "x", "w")], {"w": claims([6], data=b"\0" * 25)}, "brings 0 elements"),
    "strings": ([node("Add", "x", "w")], {"w": claims([1], TensorProto.STRING)}, "elements of type 8"),
    "axes": ([node("Add", "x", "w")], {"w": claims([1] * 33, data=b"\0" * 4)}, "impossible shape"),
    "unknown node": ([node("Loop", "x")], {}, "it has a node Loop, named y, which is not known here"),
    "subgraph": ([with_graph()], {}, "has an attribute .* of a kind that is not read|node If"),
    "unknown attribute": (
        [node("Relu", "x", secret=1)],
        {},
        "its node Relu, named y, has an attribute secret that is not known",
    ),
    "foreign domain": ([helper.make_node("Relu", ["x"], ["y"], domain="evil")], {}, "is of the domain evil"),
    "undefined": ([node("Relu", "z")], {}, "its node y uses z before anything makes it"),
    "cycle": (
        [node("Relu", "b", output="a"), node("Relu", "a", output="b"), node("Relu", "b")],
        {},
        "uses b before anything makes it",
    ),
    "twice": ([node("Relu", "x"), node("Relu", "x")], {}, "makes y, which is there already"),
    "no output": ([node("Relu", "x", output="z")], {}, "nothing makes its output y"),
    "no nodes": ([], {}, "no graph"),
    "two outputs": ([helper.make_node("Dropout", ["x"], ["y", "i"])], {}, "its node Dropout, named y, has 2 outputs"),
    "an output left out": ([parts("", "y")], {}, "leaves one out before another"),
    "an output twice": ([parts("y", "y")], {}, "makes y, which is there already"),
    "outputs": ([parts(*map(str, range(100_001)))], {}, "more than 100000 nodes or results"),
    "old softmax": ([node("Softmax", "x")], {}, "is of opset 11"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_are_refused(path, name):
    nodes, weights, match = HOSTILE[name]
    saved(path, nodes, weights, opset=11 if name == "old softmax" else 18)
    with pytest.raises(ValueError, match=f"load_onnx: .*net.onnx'.*{match}") as caught:
        load_onnx(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 600


BOMBS = {
    "expand": [node("Expand", "x", "front")],
    "pad": [node("Pad", "x", "widths")],
    "constant of shape": [node("ConstantOfShape", "big")],
    "resize": [
        node("Resize", "x", "", "", "big", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    ],
    "conv padding": [node("Conv", "x", "w", pads=[10**6] * 4)],
    "pool padding": [node("MaxPool", "x", kernel_shape=[2, 2], pads=[10**6] * 4)],
    "pool kernel": [node("Pad", "x", "some", output="p"), node("MaxPool", "p", kernel_shape=[2000, 2000], pads=[0] * 4)],
    "unpooling": [node("MaxUnpool", "x", "places", kernel_shape=[10**6] * 2, strides=[10**6] * 2)],
    "unpooling to a size": [node("MaxUnpool", "x", "places", "big", kernel_shape=[2, 2])],
    "stride": [node("ConvTranspose", "x", "w", strides=[10**6] * 2)],
    "outer product": [
        node("Reshape", "x", "column", output="c"),
        node("Reshape", "x", "row", output="r"),
        *[node("MatMul", "c" if i == 0 else f"m{i - 1}", "r" if i == 0 else f"m{i - 1}", output=f"m{i}") for i in range(3)],
        *[node("Concat", f"m{i}", f"m{i}", axis=1, output=f"m{i + 1}") for i in range(2, 40)],
        node("Relu", "m40"),
    ],
}


@pytest.mark.parametrize("name", BOMBS)
def test_results_out_of_proportion_are_refused_before_they_are_made(path, name):
    import tracemalloc

    weights = {
        "front": np.array([10**6, 10**6, 1, 1, 1, 1], INT),
        "big": np.array([1, 2, 10**6, 10**6], INT),
        "widths": np.array([0, 0, 10**6, 0, 0, 0, 0, 10**6], INT),
        "some": np.array([0, 0, 0, 0, 0, 0, 10, 10], INT),
        "w": np.ones((2, 2, 2, 2), "f4"),
        "places": np.zeros((1, 2, 4, 4), INT),
        "column": np.array([32, 1], INT),
        "row": np.array([1, 32], INT),
    }
    net = load_onnx(saved(path, BOMBS[name], weights))
    tracemalloc.start()
    with pytest.raises(ValueError, match="OnnxModule: node .* failed, .*(out of proportion to the file|does not fit)"):
        net(Tensor(X))
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_inputs_that_do_not_fit(path):
    net = load_onnx(saved(path, [node("Relu", "x")]))
    for inputs in (), (Tensor(X), Tensor(X)):
        with pytest.raises(ValueError, match=r"OnnxModule: takes 1 inputs \(x\), got"):
            net(*inputs)
    for x in Tensor(X[0]), Tensor(X[:, :1]), [1.0]:
        with pytest.raises(ValueError, match=r"OnnxModule: x must be a Tensor of shape \(None, 2, 4, 4\), None standing"):
            net(x)
    assert net(Tensor(np.ones((7, 2, 4, 4), "f4"))).shape == (7, 2, 4, 4)


def test_errors_of_nodes_name_the_node(path):
    net = load_onnx(saved(path, [node("Conv", "x", "w")], {"w": np.ones((1, 3, 1, 1), "f4")}))
    with pytest.raises(
        ValueError, match=r"OnnxModule: node y \(Conv\) failed, input \(1, 2, 4, 4\) and weight \(1, 3, 1, 1\) do not"
    ):
        net(Tensor(X))


FAILING = {
    "places": ([node("ScatterElements", "x", "far", "u")], r"indices must lie in 0\.\.0"),
    "negative places": ([node("ScatterElements", "x", "low", "u")], r"indices must lie in 0\.\.0"),
    "places of another shape": ([node("ScatterElements", "x", "few", "u")], r"indices \(2,\) and updates \(1, 2, 4, 4\) do"),
    "places between places": ([node("ScatterElements", "x", "u", "u")], "indices integers"),
    "another type": ([node("ScatterElements", "x", "low", "low")], "updates of the data's type"),
    "a sum": ([node("ScatterElements", "x", "low", "u", reduction="add")], "reduction add is not known"),
    "no axis": ([node("ScatterElements", "x", "low", "u", axis=4)], "the axis must be one"),
    "places in another plane": ([node("MaxUnpool", "x", "far", kernel_shape=[2, 2], strides=[2, 2])], r"must lie in 0\.\.127"),
    "other pictures": ([node("MaxUnpool", "x", "low", "few", kernel_shape=[2, 2])], "cannot be unpooled to"),
    "by columns": ([pooled("m", "i", storage_order=1), node("Relu", "m")], "indices by columns"),
    "three outputs": ([pooled("m", "i", "j"), node("Relu", "m")], "more than 2 outputs"),
    "parts": ([helper.make_node("Split", ["x", "few"], ["m", "i"], axis=2), node("Relu", "m")], "4 cannot be split into"),
    "parts of no axis": ([parts("m", "i", axis=9), node("Relu", "m")], "no axis 9"),
}


@pytest.mark.parametrize("name", FAILING)
def test_nodes_that_cannot_be_run(path, name):
    nodes, match = FAILING[name]
    places = {"far": np.full(X.shape, 1000), "low": np.full(X.shape, -2), "few": np.array([3, 2]), "u": np.ones(X.shape, "f4")}
    net = load_onnx(saved(path, nodes, places))
    with pytest.raises(ValueError, match=f"OnnxModule: node .* failed, .*{match}"):
        net(Tensor(X))


def test_files_cut_short_or_of_another_kind(path):
    export_onnx(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), (1, 2), path)
    content = path.read_bytes()
    for damaged in [content[:length] for length in range(0, len(content) - 20, 3)] + [
        b"PK\x03\x04" * 20,
        b"<html>" * 20,
        content + b"\xff",
    ]:
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="load_onnx: (.* is not a whole ONNX file|refuses)"):
            load_onnx(path)
    with pytest.raises(FileNotFoundError):
        load_onnx(path.with_name("none"))


def test_every_step_is_documented_by_onnx():
    """No kind is misspelt."""
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    assert set(STEPS) <= known
    for kind, (_, attributes) in STEPS.items():
        ever = {
            a
            for schema in onnx.defs.get_all_schemas_with_history()
            if (schema.name, schema.domain) == (kind, "")
            for a in schema.attributes
        }
        assert attributes.keys() <= ever, kind


def test_a_swarm_of_empty_messages_is_refused_before_it_is_parsed(path):
    """Two bytes each, and an object each once parsed."""
    weight = numpy_helper.from_array(np.zeros(2_000_000, "f4"), "w")          # a weight may be large
    saved(path, [node("Add", "x", "w")], {"w": weight}, shape=("batch", 2_000_000))
    assert path.stat().st_size > 4 << 20 and list(load_onnx(path).state_dict()) == ["w"]
    swarm = b"\x0a\x00" * 2_200_000
    length, varint = len(swarm), b""
    while length:
        varint, length = varint + bytes([length & 127 | (128 if length > 127 else 0)]), length >> 7
    path.write_bytes(b"\x08\x08\x3a" + varint + swarm)
    with pytest.raises(ValueError, match="load_onnx: refuses .*, it has 44000.. bytes besides its weights, and 4194304 are read"):
        load_onnx(path)


def test_names_that_are_no_text(path):
    saved(path, [node("Relu", "x", name="before")])
    path.write_bytes(path.read_bytes().replace(b"before", b"be\xff\xfere"))
    with pytest.raises(ValueError, match="load_onnx: .* (a name in it is no text|it is no message of protobuf)"):
        load_onnx(path)
