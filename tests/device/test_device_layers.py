"""Every layer on a device: outputs, gradients and buffers as on the CPU, in training and in evaluation."""

import copy
import inspect

import numpy as np
import pytest

from tests.nn.table import LAYERS, case_id, seeded
from tinyvision import Tensor, manual_seed, nn

MORE = [("Dropout", dict(p=0.0), (3, 4)), ("Dropout1d", dict(p=0.0), (2, 3, 4)), ("Dropout2d", dict(p=0.0), (2, 3, 4, 4)),
        ("Dropout3d", dict(p=0.0), (2, 3, 2, 2, 2)), ("AlphaDropout", dict(p=0.0), (3, 4)),
        ("RNNCell", dict(input_size=3, hidden_size=4), (2, 3), (2, 4)), ("GRUCell", dict(input_size=3, hidden_size=4), (2, 3), (2, 4)),
        ("LSTMCell", dict(input_size=3, hidden_size=4), (2, 3))]
LOSSES = ["L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "SoftMarginLoss", "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss"]


def parts(y):
    """The Tensors of an output, whether one or a tuple."""
    return [y] if isinstance(y, Tensor) else [x for part in y for x in parts(part)]


def passes(module, arrays, device, rng):
    """Outputs, gradients of inputs and parameters, brought back."""
    xs = [Tensor(a, requires_grad=True, device=device) for a in arrays]
    ys = parts(module(*xs))
    first = ys[0]
    first.backward(Tensor(rng.normal(size=first.shape), device=device))
    found = [*ys, *(x.grad for x in xs if x.grad is not None), *(p.grad for p in module.parameters())]
    module.zero_grad()
    assert {x.device for x in found} == {device}
    return [x.cpu().numpy() for x in found]


@pytest.mark.parametrize("case", LAYERS + MORE, ids=case_id)
def test_layers_agree_with_the_cpu(case, device):
    name, kwargs, *shapes = case
    manual_seed(0)
    ours = getattr(nn, name)(**kwargs).double()
    theirs = copy.deepcopy(ours).to(device)
    for training in (True, False):
        ours.train(training), theirs.train(training)
        arrays = [seeded(case).normal(size=s) for s in shapes]
        for right, found in zip(passes(ours, arrays, "cpu", seeded(case)), passes(theirs, arrays, device, seeded(case)), strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-8, atol=1e-9)
    for (key, b), c in zip(ours.named_buffers(), theirs.buffers()):
        assert c.device == device
        np.testing.assert_allclose(c.cpu().numpy(), b.numpy(), rtol=1e-9, err_msg=key)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_as_layers(name, device):
    rng, loss = np.random.default_rng(0), getattr(nn, name)()
    x, y = rng.normal(size=(4, 3)), rng.choice([-1.0, 1.0], (4, 3)) if name == "SoftMarginLoss" else rng.integers(0, 2, (4, 3)) * 1.0
    values = []
    for place in "cpu", device:
        t = Tensor(x, requires_grad=True, device=place)
        value = loss(t, Tensor(y, device=place))
        value.backward()
        values.append((value.item(), t.grad.cpu().numpy()))
    np.testing.assert_allclose(values[1][0], values[0][0], rtol=1e-9)
    np.testing.assert_allclose(values[1][1], values[0][1], rtol=1e-9)


def test_weights_of_a_loss_move_with_it(device):
    loss = nn.CrossEntropyLoss(weight=Tensor(np.array([1.0, 2.0, 3.0]))).to(device)
    x = Tensor(np.zeros((2, 3)), device=device)
    assert loss(x, Tensor(np.array([0, 2]), device=device)).item() == pytest.approx(np.log(3))


def test_initialisation_writes_on_the_device(device):
    """Weights are drawn on the CPU, so that a seed gives the same network everywhere."""
    for function in (nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_, nn.init.xavier_normal_, nn.init.orthogonal_,
                     nn.init.trunc_normal_):
        here, there = Tensor(np.zeros((4, 3))), Tensor(np.zeros((4, 3)), device=device)
        function(here, generator=1), function(there, generator=1)
        np.testing.assert_array_equal(there.cpu().numpy(), here.numpy())


def test_the_table_has_the_layers():
    """Every layer that computes on its own stands in the table above, or is tried elsewhere in this folder."""
    known = {name for name, *_ in LAYERS + MORE} | {name for name in vars(nn) if name.endswith("Loss")}
    elsewhere = {"Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Embedding", "MaxUnpool1d",
                 "MaxUnpool2d", "MaxUnpool3d"}
    layers = {name for name, x in vars(nn).items() if inspect.isclass(x) and issubclass(x, nn.Module) and not name.startswith("_")}
    assert layers - known - elsewhere <= {"BasicBlock", "Bottleneck", "ConvNormAct", "Residual"} | {n for n in layers if "Block" in n}


def test_embedding_and_unpooling(device):
    manual_seed(0)
    layer, rows = nn.Embedding(5, 3), np.array([[0, 4], [4, 1]])
    expected = layer(rows).numpy()
    np.testing.assert_array_equal(layer.to(device)(Tensor(rows, device=device)).cpu().numpy(), expected)
    x = np.random.default_rng(0).normal(size=(1, 2, 6, 6))
    found = []
    for place in "cpu", device:
        y, index = nn.MaxPool2d(2, return_indices=True)(Tensor(x, device=place))
        found.append(nn.MaxUnpool2d(2)(y, index).cpu().numpy())
    np.testing.assert_array_equal(found[1], found[0])
