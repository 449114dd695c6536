"""summary: published counts, and that looking changes nothing."""

import numpy as np
import pytest

import tinyvision.functional as F
import tinyvision.nn as nn
from tinyvision import Parameter, Tensor


def lenet():
    """LeCun et al. 1998 as usually built for 28x28 digits: the first convolution pads to 32x32."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def test_lenet():
    s = lenet().summary((1, 1, 28, 28))
    macs = {row.name: row.macs for row in s.rows}
    assert macs["0"] == 6 * 25 * 28 * 28 == 117_600                       # LeCun et al. 1998, C1: 122,304 connections with biases
    assert macs["0"] + 6 * 28 * 28 == 122_304
    assert macs["3"] == 16 * 6 * 25 * 100 and (macs["7"], macs["9"], macs["11"]) == (48_000, 10_080, 840)
    assert s.macs == 117_600 + 240_000 + 48_000 + 10_080 + 840 == sum(macs.values())
    assert s.parameters == s.trainable == 61_706                          # the count usually quoted for this LeNet-5
    assert [row.output for row in s.rows][:4] == [(1, 6, 28, 28), (1, 6, 28, 28), (1, 6, 14, 14), (1, 16, 10, 10)]
    assert [row.kind for row in s.rows][:3] == ["Conv2d", "ReLU", "MaxPool2d"]
    assert s.rows[6].activation_bytes == 0 and s.rows[0].activation_bytes == 4 * 6 * 28 * 28       # Flatten is a view
    assert s.parameter_bytes == 4 * 61_706


def test_resnet_layers():
    """The first convolution of ResNet (He et al. 2015, table 1), and one 3x3 of its second stage."""
    stem = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False).summary((1, 3, 224, 224))
    assert stem.macs == 64 * 3 * 49 * 112 * 112 == 118_013_952 and stem.parameters == 9_408
    assert nn.Conv2d(64, 64, 3, padding=1, bias=False).summary((1, 64, 56, 56)).macs == 115_605_504


@pytest.mark.parametrize("layer, shapes, macs", [
    (nn.Conv1d(4, 6, 3, groups=2, stride=2), [(5, 4, 11)], 5 * 6 * 5 * 2 * 3),
    (nn.Conv3d(2, 3, 2, dilation=2), [(1, 2, 4, 4, 4)], 3 * 8 * 2 * 8),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), [(2, 4, 5, 7)], 2 * 4 * 35 * 3 * 9),
    (nn.Linear(3, 4), [(2, 5, 3)], 2 * 5 * 4 * 3),
    (nn.Bilinear(3, 4, 5), [(2, 3), (2, 4)], 2 * 5 * (3 * 4 + 4)),
    (nn.BatchNorm2d(3), [(2, 3, 4, 4)], 0),
    (nn.ReLU(), [(2, 3)], 0),
])
def test_multiply_adds(layer, shapes, macs):
    s = layer.summary(*shapes)
    assert s.macs == s.rows[0].macs == macs and len(s.rows) == 1 and s.rows[0].name == type(layer).__name__


def test_multiply_adds_of_a_convolution_are_its_loop():
    """Counted by running the definition: one product per output pixel, channel of its group and tap inside the padded image."""
    layer, count = nn.Conv2d(4, 6, (2, 3), stride=2, groups=2), 0
    for o in range(6):
        for _ in range(0, 7 - 1, 2):
            for _ in range(0, 8 - 2, 2):
                count += sum(1 for c in range(4) for _ in range(2 * 3) if c // 2 == o // 3)
    assert layer.summary((1, 4, 7, 8)).macs == count


def test_batches_multiply():
    one, eight = lenet().summary((1, 1, 28, 28)), lenet().summary((8, 1, 28, 28))
    assert eight.macs == 8 * one.macs and eight.activation_bytes == 8 * one.activation_bytes and eight.parameters == one.parameters


def test_nothing_is_changed():
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5, generator=1), nn.Conv2d(1, 1, 3), nn.BatchNorm2d(1).eval())
    seen = []
    net[2].register_forward_hook(lambda *args: seen.append(1))
    before = {name: t.data.copy() for name, t in net.state_dict().items()}
    net.summary((2, 1, 5, 5))
    assert [m.training for m in net.modules()] == [True, True, True, True, False]
    assert all((t.data == before[name]).all() for name, t in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters()) and len(seen) == 1
    assert [len(m._forward_hooks) for m in net.modules()] == [0, 0, 0, 1, 0]
    assert (net[1](np.ones(50)) == nn.Dropout(0.5, generator=1)(np.ones(50))).all()    # no number was drawn


def test_everything_is_restored_after_an_error():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(4, 3))
    with pytest.raises(ValueError, match="linear: the last axis"):
        net.summary((1, 3))
    assert net.training and net[1].training and not any(m._forward_hooks for m in net.modules())


class Shared(nn.Module):
    """One layer twice, tied weights, parameters of its own, and one layer that is never called."""

    def __init__(self):
        self.layer, self.tied, self.unused = nn.Linear(4, 4), nn.Linear(4, 4, bias=False), nn.Linear(4, 7)
        self.tied.weight = self.layer.weight
        self.factor = Parameter(np.ones(4, "float32"))

    def forward(self, x):
        return self.tied(F.relu(self.layer(self.layer(x)))) * self.factor


def test_the_column_of_parameters_adds_up():
    net = Shared()
    s = net.summary((2, 4))
    assert [(row.name, row.parameters) for row in s.rows] == [("layer", 20), ("layer", 0), ("tied", 0), ("Shared", 4),
                                                             ("unused", 35)]
    assert s.parameters == 59 == sum(row.parameters for row in s.rows) and s.macs == 3 * 2 * 16
    assert s.rows[-1].output is None and "not called" in str(s)


def test_frozen_parameters():
    net = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))
    s = net.summary((1, 2))
    assert (s.parameters, s.trainable) == (12, 6) and "trainable parameters: 6" in str(s)


def test_several_inputs_and_outputs():
    class Pair(nn.Module):
        def forward(self, x, y, scale=1):
            return {"sum": x + y, "both": (x, [y])}

    s = Pair().summary((2, 3), Tensor(np.ones((2, 3))))
    assert s.rows[0].output == ((2, 3), (2, 3), (2, 3)) and s.rows[0].activation_bytes == 8 * 6
    pool = nn.MaxPool2d(2, return_indices=True).summary((1, 1, 4, 4))
    assert pool.rows[0].output == ((1, 1, 2, 2), (1, 1, 2, 2)) and "1 x 1 x 2 x 2, 1 x 1 x 2 x 2" in str(pool)


def test_examples_and_dtypes():
    assert nn.Linear(3, 2).double().summary((5, 3)).activation_bytes == 5 * 2 * 8
    assert nn.Embedding(5, 3).summary(np.array([[1, 2]])).rows[0].output == (1, 2, 3)
    assert nn.Linear(3, 2).summary(Tensor(np.zeros((5, 3), "float32"))).rows[0].output == (5, 2)


def test_text():
    lines = str(lenet().summary((1, 1, 28, 28))).splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters", "multiply-adds", "memory"]
    assert lines[2].split() == ["0", "Conv2d", "1", "x", "6", "x", "28", "x", "28", "156", "117,600", "18.4", "KiB"]
    assert lines[-2].split()[:3] == ["total", "61,706", "416,520"] and len(lines) == 2 + 12 + 3
    assert lines[-1].startswith("memory of parameters: 241.0 KiB, of outputs: ")


@pytest.mark.parametrize("inputs, error, text", [
    ((), ValueError, "summary: needs an input for each argument of forward, got none"),
    (((1, 0),), ValueError, r"summary: sizes must be at least 1, got \(1, 0\)"),
    ((1, 28, 28), TypeError, r"summary: an input must be a shape, an array or a Tensor, got 1. Give the shape as one tuple"),
    (((1.0, 3),), TypeError, "summary: an input must be a shape"),
])
def test_errors(inputs, error, text):
    with pytest.raises(error, match=text):
        nn.Linear(3, 2).summary(*inputs)
