"""Integers in ONNX: places of maxima that unpooling goes back to, and numbers by which something is looked up."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, nn, stack
from tinyvision.io import export_onnx, load_onnx

from .onnx_twins import Net, compare, evaluated, prepared, session

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def unpooling(n, *arguments, change=lambda y: y, size=None, **options):
    """Max pooling, a change of the maxima, and unpooling to the input's size or another."""
    pool, unpool = getattr(F, f"max_pool{n}d"), getattr(F, f"max_unpool{n}d")

    def forward(net, x):
        y, where = pool(x, *arguments, return_indices=True, **options)
        return unpool(change(y), where, *arguments, output_size=size or x.shape)

    return forward


UNPOOLING = {
    "1d": (unpooling(1, 3), (1, 2, 9)),
    "2d": (unpooling(2, (2, 3), change=lambda y: 2 * y - 1), (1, 3, 4, 6)),
    "3d": (unpooling(3, 2), (1, 2, 4, 2, 6)),
    "a rest": (unpooling(2, 2), (1, 2, 5, 7)),
    "a smaller plane": (unpooling(2, 2, size=(7, 6)), (1, 2, 6, 6)),
    "padding": (unpooling(2, 3, 3, 1), (1, 2, 7, 7)),
    "overlap": (unpooling(2, 3, 2, change=lambda y: y * np.arange(1, 4, dtype="f4")), (1, 2, 7, 7)),    # the last one stays
    "layers": (lambda net, x: net.unpool(*net.pool(net.conv(x))), (1, 2, 6, 6)),
}


@pytest.mark.parametrize("name", UNPOOLING)
def test_unpooling(tmp_path, name):
    function, shape = UNPOOLING[name]
    layers = {"conv": nn.Conv2d(2, 3, 1), "pool": nn.MaxPool2d(2, return_indices=True), "unpool": nn.MaxUnpool2d(2)}
    message = compare(prepared(lambda: Net(function, **layers)), shape, tmp_path / "net.onnx")
    kinds = [node.op_type for node in message.graph.node]
    assert kinds.count("MaxPool") == kinds.count("ScatterElements") == 1


def test_unpooling_in_double_precision_of_a_single_picture(tmp_path):
    net, x = Net(unpooling(2, 2)), np.random.default_rng(0).standard_normal((1, 2, 6, 4))
    export_onnx(net, x, tmp_path / "net.onnx", dynamic_batch=False)
    wanted = evaluated(net, x).data
    np.testing.assert_array_equal(session(tmp_path / "net.onnx").run(None, {"input": x})[0], wanted)
    np.testing.assert_array_equal(evaluated(load_onnx(tmp_path / "net.onnx"), x).data, wanted)


def test_places_of_several_poolings_are_told_apart(tmp_path):
    def forward(net, x):
        pooled = [F.max_pool2d(z, 2, return_indices=True) for z in (x, net.conv(x), x)]
        return sum(F.max_unpool2d(pooled[1][0] + y, where, 2) for y, where in pooled)

    message = compare(prepared(lambda: Net(forward, conv=nn.Conv2d(2, 2, 3, padding=1))), (1, 2, 6, 6), tmp_path / "net.onnx")
    used = [node.output[1] for node in message.graph.node if node.op_type == "MaxPool" and len(node.output) > 1]
    assert len(used) == 2                                 # the two poolings of x are one computation


def of_double(net, x):
    pooled = [F.max_pool2d(z, 2, return_indices=True) for z in (x, 2 * x)]
    return sum(F.max_unpool2d(y, where, 2) for y, where in pooled)


REFUSED = {
    "the same places twice": (of_double, NotImplementedError, "unpooling to places that two different poolings found"),
    "no maxima": (
        lambda net, x: F.max_unpool2d(2 * x[:, :, ::2, ::2], F.max_pool2d(x, 2, return_indices=True)[1], 2),
        ValueError,
        "ScatterElements in .* max_unpool must be those of a max_pool whose maxima are used as well",
    ),
    "other places": (
        lambda net, x: F.max_unpool2d(x, np.argsort(x.data.reshape(len(x), 2, -1)).reshape(x.shape), 2),
        ValueError,
        "ScatterElements in .* uses numbers that depend on the input",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_places_that_are_not_known(tmp_path, name):
    function, error, match = REFUSED[name]
    with pytest.raises(error, match=match):
        export_onnx(Net(function), (1, 2, 6, 6), tmp_path / "net.onnx")


def test_places_that_never_change(tmp_path):
    where = np.arange(0, 8)[::-1].reshape(1, 2, 2, 2) // 4 * 5
    net = Net(lambda net, x: F.max_unpool2d(x, where, 2))
    export_onnx(net, (1, 2, 2, 2), tmp_path / "net.onnx", dynamic_batch=False)
    x = np.random.default_rng(0).standard_normal((1, 2, 2, 2)).astype("f4")
    np.testing.assert_array_equal(evaluated(load_onnx(tmp_path / "net.onnx"), x).data, evaluated(net, x).data)


NUMBERS = np.array([[0, 6, 1, 2]])                        # words are 0 to 6


def spoken(net, words):
    """A sequence through a cell, word by word; every state is returned."""
    state, said = None, []
    for t in range(words.shape[1]):
        state = net.cell(net.embed(words[:, t]), state)
        said.append(state[0] if isinstance(state, tuple) else state)
    return stack(said, axis=1)


LOOK_UPS = {
    "whole": lambda net, words: net.embed(words),
    "parameter": lambda net, words: net.embed.weight[words] * 2,
    "array": lambda net, words: net.embed(words.data),
    "columns": lambda net, words: net.embed(words[:, 1:-1]) - net.embed(words[:, ::-1][:, :2]),
    "reshaped": lambda net, words: net.embed(words.reshape((-1, 2, 2))).mean(axis=2),
    "flat": lambda net, words: net.embed(words.data.ravel()).reshape((len(words), -1)),
    "turned": lambda net, words: sum(net.embed(w) for w in words.data.T) + net.embed(words.transpose())[1],
    "new axes": lambda net, words: net.embed(words.data[:, None, 0].squeeze(1).copy()),
    "other integers": lambda net, words: net.embed(words.data.astype("int32").astype("u1")),
    "as numbers": lambda net, words: net.embed(words) * words.astype("float32")[:, :, None],
    "padding": lambda net, words: net.padded(words),
    "rnn": spoken,
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_looking_up(tmp_path, name):
    layers = {"embed": nn.Embedding(7, 5), "padded": nn.Embedding(7, 3, padding_idx=6), "cell": nn.RNNCell(5, 4)}
    net = prepared(lambda: Net(LOOK_UPS[name], **layers))
    message = compare(net, [NUMBERS], tmp_path / "net.onnx")
    assert message.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT64
    net.requires_grad_(False)                             # what is not learned is looked up all the same
    compare(net, [NUMBERS.astype("i4")], tmp_path / "net.onnx")
    assert not any(p.requires_grad for p in net.parameters())


CELLS = {
    "rnn": lambda: nn.RNNCell(3, 4),
    "relu": lambda: nn.RNNCell(3, 4, bias=False, nonlinearity="relu"),
    "gru": lambda: nn.GRUCell(3, 4),
    "lstm": lambda: nn.LSTMCell(3, 4),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells(tmp_path, name):
    """A single step from zeros, one from a given state, and a sequence."""
    cell = prepared(CELLS[name])
    compare(cell, (1, 3), tmp_path / "net.onnx")
    lstm = isinstance(cell, nn.LSTMCell)
    given = Net(lambda net, x, h: net.cell(x, (h, 2 * h) if lstm else h), cell=cell)
    compare(given, [(1, 3), (1, 4)], tmp_path / "net.onnx", (2, 3))
    compare(Net(spoken, cell=cell, embed=nn.Identity()), (1, 3, 3), tmp_path / "net.onnx")


@pytest.mark.parametrize(
    "function", [lambda net, x: net.conv(x.astype("float32")), lambda net, x: net.conv(x.astype("f4") / 255 - 0.5)]
)
def test_pictures_of_bytes(tmp_path, function):
    pictures = np.array([[[[0, 255], [7, 7]]]], "u1")
    message = compare(prepared(lambda: Net(function, conv=nn.Conv2d(1, 2, 1))), [pictures], tmp_path / "net.onnx")
    assert [node.op_type for node in message.graph.node if node.op_type != "Constant"][0] == "Cast"


UNKNOWN = {
    "sum": lambda net, words: net.embed((words + 1) % 7),
    "mask": lambda net, words: net.embed(words) * (words.data > 3)[:, :, None],
    "numpy": lambda net, words: net.embed(np.asarray(words.data)),
    "length": lambda net, words: net.embed(words[:, :int(words.data.max())]),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_computed_with_integers_is_not_baked_in(tmp_path, name):
    with pytest.raises(ValueError, match="export_onnx: .*(depend on the input|something else)"):
        export_onnx(Net(UNKNOWN[name], embed=nn.Embedding(7, 5)), NUMBERS, tmp_path / "net.onnx")
    with pytest.raises(ValueError, match="read-only"):    # nor does anyone write to them unseen
        export_onnx(Net(lambda net, words: words.data.reshape(-1).fill(0)), NUMBERS, tmp_path / "net.onnx")


def test_numbers_out_of_range_are_refused_by_what_was_read(tmp_path):
    export_onnx(nn.Embedding(7, 5), NUMBERS, tmp_path / "net.onnx")
    back = load_onnx(tmp_path / "net.onnx")
    assert back(Tensor([[6, 0, 0, 1]])).shape == (1, 4, 5)
    for words in [[0, 1, 2, 7]], [[0.0, 1.0, 2.0, 3.0]]:
        with pytest.raises(ValueError, match=r"OnnxModule: node .* \(Gather\) failed, "):
            back(Tensor(words))
