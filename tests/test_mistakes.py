"""A beginner's mistakes, on real layers: each gets a sentence that says what to do."""

import re
import sys

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Op, Parameter, Tensor, data, erf, grad, io, models, nn, no_grad, optim, viz
from tinyvision.gradcheck import gradcheck
from tinyvision.train import Epoch, fit


def picture(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def backward_twice():
    loss = F.cross_entropy(models.MLP(4, (3,), 2)(picture(2, 4)), [0, 1])
    loss.backward()
    loss.backward()


def step_between_forward_and_backward():
    model = models.MLP(4, (3,), 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loss = F.cross_entropy(model(picture(2, 4)), [0, 1])
    loss.backward(retain_graph=True)
    optimizer.step()
    loss.backward()


def weights_changed_by_hand():
    layer = nn.Linear(4, 3)
    y = layer(Tensor(np.ones((2, 4), np.float32), requires_grad=True)).sum()
    layer.weight.data[0] = 0
    y.backward()


class Forgetful(nn.Module):
    def forward(self, x):
        x + 1


def after(*layers):
    """Layers behind one whose forward() lacks its return."""
    return lambda: nn.Sequential(Forgetful(), *layers)(picture(2, 4))


class NoReturn(Op):
    def forward(self, x):
        x * 2


def train(model=None, optimizer=None, epochs=1, **options):
    model = model or models.MLP(4, (3,), 2)
    loader = data.DataLoader(data.TensorDataset(np.zeros((4, 4), np.float32), np.zeros(4, int)), 2)
    return fit(model, optimizer or optim.SGD(models.MLP(4, (3,), 2).parameters(), 0.1), loader, loader, epochs, progress=False,
               **options)


def weight():
    return Parameter([1.0, 2.0])


def written(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


MISTAKES = {
    "wrong channels": (ValueError, "takes 3 channels in .* got input (2, 1, 32, 32) with 1 channels",
                       lambda: nn.Conv2d(3, 8, 3)(picture(2, 1, 32, 32))),
    "channels last": (ValueError, "Pictures are channels first: (N, C, H, W)", lambda: nn.Conv2d(3, 8, 3)(picture(2, 32, 32, 3))),
    "float labels": (TypeError, "class indices as integers, got float32 .* target.astype('int64')",
                     lambda: F.cross_entropy(picture(2, 10), Tensor([1.0, 2.0]))),
    "label out of range": (ValueError, "target must lie in 0..9 for 10 classes .* got 10 .* Count classes from 0",
                           lambda: F.cross_entropy(picture(2, 10), [1, 10])),
    "labels as a column": (ValueError, "(2, 1)", lambda: F.cross_entropy(picture(2, 10), np.array([[1], [2]]))),
    "missing batch axis": (ValueError, "LeNet5: input must be (N, 1, 28, 28) .* A single picture needs a batch axis, x[None]",
                           lambda: models.LeNet5()(picture(1, 28, 28))),
    "missing batch and channel axes": (ValueError, "Add the missing axes: x[None, None]",
                                       lambda: nn.Conv2d(1, 8, 3)(picture(28, 28))),
    "forgotten flatten": (ValueError, "For pictures, flatten first", lambda: nn.Linear(784, 10)(picture(2, 1, 28, 28))),
    "kernel larger than the image": (ValueError, "the kernel must fit into the padded image",
                                     lambda: nn.Conv2d(1, 8, 5)(picture(1, 1, 4, 4))),
    "pooled away": (ValueError, "Use a smaller kernel or a larger image", lambda: nn.MaxPool2d(2)(picture(1, 1, 1, 1))),
    "bytes instead of floats": (TypeError, "input must be floating point, got uint8 .* astype('float32')",
                                lambda: nn.Conv2d(1, 8, 3)(Tensor(np.zeros((1, 1, 8, 8), np.uint8)))),
    "float64 pictures": (TypeError, "one dtype, got input float64, weight float32 .* networks use float32",
                         lambda: nn.Conv2d(1, 8, 3)(Tensor(np.zeros((1, 1, 8, 8))))),
    "float64 features": (TypeError, "one dtype, got input float64, weight float32",
                         lambda: nn.Linear(4, 2)(Tensor(np.zeros((1, 4))))),
    "backward twice": (RuntimeError, "already used by an earlier backward() .* retain_graph=True", backward_twice),
    "optimiser step before backward": (RuntimeError, "was changed in place after the forward pass",
                                       step_between_forward_and_backward),
    "weights changed by hand": (RuntimeError, "was changed in place after the forward pass .* update weights only after backward",
                                weights_changed_by_hand),
    "non-scalar backward": (RuntimeError, "only for a single number, this tensor has shape (2, 3) .* y.sum() or y.mean()",
                            lambda: nn.Linear(4, 3)(picture(2, 4)).backward()),
    "backward under no_grad": (RuntimeError, "under no_grad", lambda: no_grad()(lambda: nn.Linear(4, 1)(picture(1, 4)))().backward()),
    "batch norm on one value": (ValueError, "more than one value per channel .* module.eval()",
                                lambda: nn.BatchNorm1d(3)(picture(1, 3))),
    "forgotten return, then linear": (TypeError, "linear: input must be .* got NoneType. Does a forward() lack its return?",
                                      after(nn.Linear(4, 2))),
    "forgotten return, then conv": (TypeError, "conv2d: .* got NoneType. Does a forward() lack", after(nn.Conv2d(1, 2, 3))),
    "forgotten return, then relu": (TypeError, "relu: .* got NoneType. Does a forward() lack", after(nn.ReLU())),
    "forgotten return, then flatten": (TypeError, "flatten: .* got NoneType. Does a forward() lack", after(nn.Flatten())),
    "forgotten return, then dropout": (TypeError, "dropout: .* got NoneType. Does a forward() lack", after(nn.Dropout())),
    "forgotten return, then softmax": (TypeError, "softmax: .* got NoneType. Does a forward() lack", after(nn.Softmax(1))),
    "forgotten return, then norm": (TypeError, "BatchNorm1d: .* got NoneType. Does a forward() lack", after(nn.BatchNorm1d(4))),
    "forgotten return, then a model": (TypeError, "MLP: .* got NoneType. Does a forward() lack", after(models.MLP(4))),
    "forgotten return, then a loss": (TypeError, "cross_entropy: .* got NoneType. Does a forward() lack",
                                      lambda: F.cross_entropy(Forgetful()(picture(2, 4)), [0, 1])),
    "forgotten return, then a difference": (TypeError, "mse_loss: .* got NoneType. Does a forward() lack",
                                            lambda: F.mse_loss(Forgetful()(picture(2, 4)), picture(2, 4))),
    "forgotten return in an op": (TypeError, "NoReturn.forward: must return one array, got NoneType",
                                  lambda: NoReturn()(weight())),
    "forgotten return in a checked function": (TypeError, "gradcheck: f must return one Tensor or a tuple of them, got NoneType",
                                               lambda: gradcheck(lambda x: None, np.ones(2))),
    "inputs to check in a tuple": (TypeError, "one by one, gradcheck(f, x, w), got a tuple of 1 .* a star before it",
                                   lambda: gradcheck(lambda x: x * x, (Tensor([1.0]),))),
    "a list for a network": (TypeError, "linear: input must be a Tensor or an array, got list. Use Tensor(input)",
                             lambda: nn.Linear(2, 1)([[1.0, 2.0]])),
    "PyTorch's method": (AttributeError, "has no attribute 'unsqueeze'. Use tinyvision.expand_dims(x, axis), or x[:, None]",
                         lambda: weight().unsqueeze(0)),
    "no method at all": (AttributeError, "'Parameter' object has no attribute 'gard'", lambda: weight().gard),
    "tensors of a graph in an array": (TypeError, "NumPy would lose its gradient .* tinyvision.stack for a list of tensors",
                                       lambda: Tensor([weight().sum(), weight().sum()])),
    "a float counts": (TypeError, "index: must be a single integer, got float32 of shape ()", lambda: range(Tensor(3.0))),
    "rows of two lengths": (ValueError, "Tensor: data must be numbers, in rows of one length", lambda: Tensor([[1.0, 2.0], [3.0]])),
    "the gradient of a number": (TypeError, "grad: needs a Tensor or a sequence of them, got float", lambda: grad(3.0, weight())),
    "a hook that is none": (TypeError, "register_hook: hook must be a function, got int",
                            lambda: weight().register_hook(3)),
    "layers in a list": (TypeError, "members must be Modules, got list. Unpack it: write a star before it",
                         lambda: nn.Sequential([nn.ReLU()])),
    "a function among layers": (TypeError, "got function. Use the layer of this name", lambda: nn.Sequential(F.relu)),
    "a class among layers": (TypeError, "write the parentheses", lambda: nn.Sequential(nn.ReLU)),
    "words for a slope": (TypeError, "LeakyReLU: negative_slope must be a number, got '0.1'", lambda: nn.LeakyReLU("0.1")),
    "a number of layers": (TypeError, "MLP: hidden must be a tuple .* got 20. Use (20,)", lambda: models.MLP(4, 20)),
    "a depth in words": (TypeError, "UNet: depth must be an integer, got 'two'", lambda: models.UNet(1, 2, depth="two")),
    "the class of a data set": (TypeError, "must be an instance, got the class Digits. Write the parentheses",
                                lambda: data.DataLoader(data.Digits, 32)),
    "the part in words": (TypeError, "Digits: train must be True or False, got 'test' .* train=False", lambda: data.Digits("test")),
    "the size in words": (TypeError, "Digits: size must be an integer, in pixels, got '8'", lambda: data.Digits(size="8")),
    "one length to split": (TypeError, "random_split: lengths must be a list .* got 0.8", lambda: data.random_split([1, 2], 0.8)),
    "another network's optimiser": (ValueError, "fit: the optimizer holds none of the model's parameters", train),
    "the optimiser first": (TypeError, "fit: model must be of type Module, got SGD .* The order is model, optimizer",
                            lambda: train(optim.SGD([weight()], 0.1))),
    "no optimiser": (TypeError, "fit: optimizer must be of type Optimizer, got the class SGD", lambda: train(optimizer=optim.SGD)),
    "epochs in words": (TypeError, "fit: epochs must be an integer, got '3'", lambda: train(epochs="3")),
    "no epochs": (ValueError, "fit: epochs must be at least 1, got 0", lambda: train(epochs=0)),
    "the class of a loss": (TypeError, "fit: criterion must be a function .* or an instance: nn.CrossEntropyLoss()",
                            lambda: train(criterion=nn.CrossEntropyLoss)),
    "other network's weights": (ValueError, "Missing .* Unexpected",
                                lambda: models.MLP(4).load_state_dict(models.LeNet5().state_dict())),
}


@pytest.mark.parametrize("error, words, mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_a_sentence(error, words, mistake):
    pattern = "(.|\n)*".join(re.escape(part) for part in words.split(" .* "))
    with pytest.raises(error, match=pattern) as raised:
        mistake()
    assert len(str(raised.value)) < 600


def test_the_other_librarys_tensors():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"linear: input must be a Tensor or an array, got Tensor. Use Tensor\(input\)"):
        nn.Linear(2, 1)(torch.ones(1, 2))


def test_a_network_is_not_trained_by_another_ones_optimiser():
    """... but a part of it may be."""
    model = models.MLP(4, (3,), 2)
    assert len(train(model, optim.SGD(list(model.parameters())[-2:], 0.1))) == 1


@pytest.mark.parametrize("content", [b"some text", b"\x08\0\0\0\0\0\0\0{}      "])
def test_what_is_no_checkpoint_is_not_called_a_dangerous_one(content, tmp_path):
    with pytest.raises(ValueError, match="is not a whole checkpoint of torch.save.*tinyvision.io.load reads safetensors"):
        io.load_torch(written(tmp_path, "x.pt", content))


NEEDS = {
    "scikit-learn": ("sklearn", lambda: data.Digits()),
    "scipy": ("scipy", lambda: erf(weight())),
    "matplotlib": ("matplotlib", lambda: viz.learning_curves([Epoch(1, 0.9, 0.7, 1.0, 0.65, 2.0)])),
    "safetensors": ("safetensors", lambda: io.load("weights.safetensors")),
    "pooch": ("pooch", lambda: data.MNIST("no such folder")),
    "tqdm": ("tqdm", lambda: fit(model := models.MLP(64, (3,)), optim.SGD(model.parameters(), 0.1), *[data.DataLoader([])] * 2, 1)),
}


@pytest.mark.parametrize("package, module, use", [(package, *rest) for package, rest in NEEDS.items()], ids=NEEDS)
def test_a_missing_package_is_named(package, module, use, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)            # as if it were not there
    with pytest.raises(ImportError, match=f"needs the package {package}, which is not installed. pip install {package}$"):
        use()


def test_training_without_a_bar_needs_no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    model = models.MLP(4, (3,), 2)
    assert len(train(model, optim.SGD(model.parameters(), 0.1))) == 1


def test_a_star_import_leaves_python_alone():
    names = {}
    exec("from tinyvision import *", names)                   # noqa: S102
    assert names["Tensor"] is Tensor and names["no_grad"] is no_grad
    assert not {"sum", "max", "min", "abs", "all", "any", "copy", "random"} & names.keys()


def test_python_at_work_on_tensors():
    """What scripts do with a loss: add up, compare, round, print."""
    losses = [(weight() * i).sum() for i in range(3)]
    assert sum(losses).item() == 9.0 and max(losses) is losses[2] and sorted(losses)[0] is losses[0]
    assert losses[1] < float("inf") and round(losses[1] / 7, 2) == 0.43 and round(losses[1]) == 3
    assert f"{losses[1]:.2f} {losses[1].item():g}" == "3.00 3" and "%.1f" % losses[1] == "3.0"
    assert (+weight()).tolist() == [1.0, 2.0] and list(range(Tensor(2))) == [0, 1]
    assert grad((+weight()).sum(), w := weight(), allow_unused=True) == (None,) and grad((+w).sum(), w)[0].tolist() == [1.0, 1.0]
