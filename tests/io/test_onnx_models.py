"""Every model of the package in ONNX: onnxruntime and the file read back compute what the model computes, for any batch."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import tinyvision
from tinyvision import Tensor, io, models, nn, no_grad, style
from tinyvision.io import export_onnx, load_onnx

from .onnx_twins import compare, prepared, session

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

WORDS = models.Vocabulary("a red blue small car ball".split())
TOKENS = np.array([[0, 8, 1, 2, 4]])                      # from the first to the last word


def captioner(**options):
    return models.Captioner(WORDS, 16, base_channels=2, embedding=5, hidden=6, depth=2, **options)


def logits(net):
    """A captioner's picture and words in, logits of the words that follow out: what scores sentences."""
    return lambda images, tokens: net.logits(net(images), tokens)


def step(net):
    """One step of an LSTM captioner: a word, what it saw and its state in, logits of the next word and the state out."""

    def forward(word, seen, h, c):
        spoken, state = net.listen(net.embed(word), seen, (h, c))
        return net.words(spoken), state

    return forward


MODELS = {  # what makes it, examples, and what of it is exported where that is not forward
    "LeNet5": (models.LeNet5, (1, 1, 28, 28)),
    "LeNet5 32": (models.LeNet5, (1, 1, 32, 32)),
    "LeNet5 classic": (lambda: models.LeNet5(classic=True), (1, 1, 28, 28)),
    "MLP": (lambda: models.MLP(48), (1, 3, 4, 4)),
    "resnet20": (models.resnet20, (1, 3, 16, 16)),
    "ResNet": (lambda: models.ResNet(nn.BasicBlock, (1, 2, 1, 1), 5), (1, 3, 32, 32)),
    "SqueezeNet": (lambda: models.SqueezeNet(5), (1, 3, 24, 33)),
    "UNet": (lambda: models.UNet(1, 3, base_channels=4, depth=2), (1, 1, 16, 24)),
    "UNet nearest": (lambda: models.UNet(2, 2, base_channels=4, depth=2, up="nearest"), (1, 2, 16, 16)),
    "UNet valid": (lambda: models.UNet(1, 2, base_channels=4, depth=1, padding="valid", norm=False), (1, 1, 44, 44)),
    "UNet 1d": (lambda: models.UNet(1, 2, base_channels=4, depth=2, dims=1), (1, 1, 24)),
    "UNet 3d": (lambda: models.UNet(1, 2, base_channels=2, depth=1, dims=3, up="nearest"), (1, 1, 4, 6, 8)),
    "PlainNet": (lambda: models.PlainNet(5, 3, 2), (1, 3, 64, 64)),
    "FCN 8": (lambda: models.FCN(3, 8, 3, 2, 16), (1, 3, 64, 32)),
    "FCN 16": (lambda: models.FCN(3, 16, 3, 2, 16), (1, 3, 32, 64)),
    "FCN 32": (lambda: models.FCN(3, 32, 3, 2, 16, norm=False), (1, 3, 32, 64)),
    "SegNet": (lambda: models.SegNet(1, 2, 4, 3), (1, 1, 16, 24)),
    "SegNet nearest": (lambda: models.SegNet(1, 2, 4, 2, "nearest"), (1, 1, 16, 16)),
    "SegNet transpose": (lambda: models.SegNet(1, 2, 4, 2, "transpose"), (1, 1, 16, 16)),
    "Colorizer": (lambda: models.Colorizer(base_channels=2), (1, 1, 32, 32)),
    "ConvAutoencoder": (lambda: models.ConvAutoencoder(1, 16, 8, 4), (1, 1, 16, 16)),
    "ConvAutoencoder transpose": (lambda: models.ConvAutoencoder(1, 16, 8, 4, unpooling="transpose"), (1, 1, 16, 16)),
    "ConvAutoencoder encoder": (lambda: models.ConvAutoencoder(1, 16, 8, 4), (1, 1, 16, 16), lambda net: net.encode),
    "ConvAutoencoder decoder": (lambda: models.ConvAutoencoder(1, 16, 8, 4), (1, 8), lambda net: net.decode),
    "HED": (lambda: models.HED(3, 2), (1, 3, 32, 32)),
    "Localizer": (lambda: models.Localizer(10, 16, base_channels=4, depth=2), (1, 3, 16, 16)),
    "Captioner": (captioner, (1, 3, 16, 16)),
    "Captioner logits": (captioner, [(1, 3, 16, 16), TOKENS], logits),
    "Captioner logits gru once": (lambda: captioner(cell="gru", look="once"), [(1, 3, 16, 16), TOKENS], logits),
    "Captioner step": (captioner, [TOKENS[0], (1, 5), (1, 6), (1, 6)], step),
    "StyleNet": (lambda: style.StyleNet(3, 4, 1), [(1, 3, 8, 12), (1, 3)]),
    "StyleNet one style": (lambda: style.StyleNet(3, 4, 1), (1, 3, 8, 12), lambda net: lambda x: net(x, 1)),
    "ConditionalInstanceNorm2d": (lambda: style.ConditionalInstanceNorm2d(4, 3), [(1, 4, 5, 5), (1, 3)]),
    "RandomFeatures": (lambda: style.RandomFeatures(4, 2, generator=0), (1, 3, 8, 8)),
}
DEEP = {
    name: (getattr(models, name), (1, 3, 32, 32) if name[6:] in ("32", "44", "56", "110") else (1, 3, 64, 64))
    for name in ("resnet32", "resnet44", "resnet56", "resnet110", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model(tmp_path, name):
    make, examples, *part = MODELS[name]
    net = prepared(make)
    compare(net, examples, tmp_path / "net.onnx", (1, 3), forward=part[0](net) if part else None)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEP)
def test_every_deep_model(tmp_path, name):
    make, shape = DEEP[name]
    compare(prepared(make), shape, tmp_path / "net.onnx", tolerance=1e-4)


def published():
    """All public Modules of the package but the layers of nn and what is read from a file: networks, and what makes them."""
    for module in pkgutil.iter_modules(tinyvision.__path__):
        if module.name not in ("nn", "io", "optim") and module.ispkg:
            package = importlib.import_module(f"tinyvision.{module.name}")
            for name in getattr(package, "__all__", ()):
                if isinstance(value := getattr(package, name), type) and issubclass(value, nn.Module):
                    yield name, value
    yield from ((name, getattr(models, name)) for name in models.__all__ if name.startswith("resnet"))


def test_no_model_is_left_out():
    made = {type(make()) for make, *_ in MODELS.values()}
    for name, value in published():
        assert value in made if inspect.isclass(value) else name in {*MODELS, *DEEP}, f"{name} has no row in MODELS"
    assert {models.SegNet, models.Captioner, style.StyleNet} <= {value for _, value in published()}


@pytest.mark.parametrize("name", ["resnet20", "UNet", "LeNet5", "SegNet"])
def test_weights_keep_their_names_and_come_back(tmp_path, name):
    make, shape = MODELS[name]
    net = prepared(make)
    export_onnx(net, shape, tmp_path / "net.onnx")
    state = {key: value.data for key, value in net.state_dict().items() if not key.endswith("num_batches_tracked")}
    back = load_onnx(tmp_path / "net.onnx")
    assert back.state_dict().keys() == state.keys() == {w.name for w in onnx.load(tmp_path / "net.onnx").graph.initializer}
    assert {key for key, _ in back.named_parameters()} == {key for key, _ in net.named_parameters()}
    for key, value in back.state_dict().items():
        np.testing.assert_array_equal(value.data, state[key])
    other = prepared(make)  # and fit the network they came from
    other.load_state_dict(back.state_dict() | {k: v for k, v in other.state_dict().items() if k.endswith("tracked")})


@pytest.mark.parametrize("name", ["SegNet", "Captioner logits"])
def test_gradients_of_a_file_that_was_read(tmp_path, name):
    """Through places of maxima, through words that were looked up, and through time."""
    make, examples, *part = MODELS[name]
    net = prepared(make).eval()
    forward, rng = part[0](net) if part else net, np.random.default_rng(1)
    export_onnx(net, examples if isinstance(examples, tuple) else tuple(examples), tmp_path / "net.onnx", forward=forward)
    back = load_onnx(tmp_path / "net.onnx")
    images = rng.standard_normal((3, *(examples if part == [] else examples[0])[1:])).astype("f4")
    words = [rng.integers(0, len(WORDS), (3, TOKENS.shape[1]))] if part else []
    g = None
    for run in forward, back:
        x = Tensor(images, requires_grad=True)
        y = run(x, *words)
        g = rng.standard_normal(y.shape).astype("f4") if g is None else g
        y.backward(Tensor(g))
        wanted = {"input": x.grad.data} if run is forward else wanted
    for key, p in [*net.named_parameters(), ("input", x)]:
        found = p.grad if key == "input" else dict(back.named_parameters())[key].grad
        y = wanted["input"] if key == "input" else p.grad.data
        assert np.abs(y).max() > 0
        np.testing.assert_allclose(found.data, y, rtol=1e-4, atol=1e-5 * np.abs(y).max(), err_msg=key)


def test_another_runtime_writes_captions(tmp_path):
    """Two files, what the network saw and one step of its cell, and a loop around them: the sentences of `caption`."""
    net = prepared(captioner).eval()
    for p in net.words.parameters():
        p.data = 4 * p.data                                # decided enough to say something else about each picture
    eye, cell = tmp_path / "eye.onnx", tmp_path / "cell.onnx"
    io.export_onnx(net, (1, 3, 16, 16), eye)
    io.export_onnx(net, (TOKENS[0], (1, 5), (1, 6), (1, 6)), cell, forward=step(net),
                   input_names=["word", "seen", "h", "c"], output_names=["logits", "h'", "c'"])
    images = (np.random.default_rng(1).standard_normal((4, 3, 16, 16)) * [[[[0.5]]], [[[1]]], [[[2]]], [[[4]]]]).astype("f4")
    look, speak, sentences = session(eye), session(cell), []
    (seen,) = look.run(None, {"input": images})
    word, h, c = np.full(4, 1), np.zeros((4, 6), "f4"), np.zeros((4, 6), "f4")
    for _ in range(6):
        scores, h, c = speak.run(None, {"word": word, "seen": seen, "h": h, "c": c})
        scores[:, :2] = -np.inf
        word = scores.argmax(axis=1)
        sentences.append(word)
    with no_grad():
        ours = net.caption(Tensor(images), most=6)
    assert WORDS.decode(np.stack(sentences, 1)) == ours and len(set(ours)) > 1
