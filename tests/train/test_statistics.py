"""Statistics per layer: what NumPy computes from the outputs themselves; and no trace of the watching."""

import numpy as np
import pytest

import tinyvision.functional as F
from tests.train.small import blobs, mlp, snapshot
from tinyvision import Parameter, Tensor, models, nn, optim
from tinyvision.train.statistics import LayerStatistics


class Functional(nn.Module):
    """An activation that is no module, and a residual sum."""

    def __init__(self):
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 16)
        self.out = nn.Linear(16, 3)

    def forward(self, x):
        x = F.relu(self.a(x))
        return self.out(F.relu(x + self.b(x)))


def batch(n=32, seed=0):
    inputs, labels = blobs(n, seed=seed)
    return Tensor(inputs), Tensor(labels)


def by_name(watch):
    return {row.name: row for row in watch.layers}


def test_moments_zeros_and_dead_units_are_those_of_all_outputs_together():
    model = mlp()
    model[0].bias.data[:5] = -100                         # five dead units
    batches = [batch(n, seed) for n, seed in ((32, 0), (20, 1), (7, 2))]
    with LayerStatistics(model) as watch:
        for inputs, _ in batches:
            model(inputs)
    first = np.concatenate([model[0](inputs).data for inputs, _ in batches]).astype(np.float64)
    rows = by_name(watch)
    np.testing.assert_allclose([rows["0"].mean, rows["0"].std], [first.mean(), first.std()], rtol=1e-5)
    relu = np.maximum(first, 0)
    np.testing.assert_allclose([rows["1"].mean, rows["1"].std], [relu.mean(), relu.std()], rtol=1e-5)
    np.testing.assert_allclose(rows["1"].zeros, (relu == 0).mean(), rtol=1e-9)
    assert rows["1"].dead == (relu.max(axis=0) == 0).mean() and rows["1"].dead >= 5 / 16
    assert rows["0"].dead is None and rows["0"].saturated is None and list(rows) == ["0", "1", "2"]


def test_channels_are_the_units_of_pictures():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    model[0].bias.data[1:3] = -50
    x = Tensor(np.random.default_rng(0).standard_normal((5, 1, 8, 8)).astype(np.float32))
    with LayerStatistics(model) as watch:
        model(x)
    np.testing.assert_array_equal(by_name(watch)["1"].live, [True, False, False, True])
    assert by_name(watch)["1"].place == "1 (after 0)"


@pytest.mark.parametrize("name, slope, largest", [
    ("Sigmoid", lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2, 0.25), ("Tanh", lambda x: 1 / np.cosh(x) ** 2, 1.0),
    ("Hardsigmoid", lambda x: np.where(abs(x) < 3, 1 / 6, 0), 1 / 6), ("Hardtanh", lambda x: np.where(abs(x) < 1, 1, 0), 1.0)])
def test_saturated_is_where_the_slope_is_small(name, slope, largest):
    x = 4 * np.random.default_rng(0).standard_normal((50, 20))
    layer = getattr(nn, name)()
    model = nn.Sequential(layer)
    for given in (Tensor(x, requires_grad=True), x):      # in a graph the op is known, without one the module
        with LayerStatistics(model) as watch:
            model(Tensor(given))
        np.testing.assert_allclose(watch.layers[0].saturated, (slope(x) < largest / 20).mean(), atol=2e-3)


def test_functions_are_found_and_named_after_their_layer():
    model, (x, y) = Functional(), batch()
    model.a.bias.data[:4] = -100
    with LayerStatistics(model) as watch:
        F.cross_entropy(model(x), y).backward()
    assert [row.name for row in watch.layers] == ["a", "relu after a", "b", "relu after b", "out"]
    hidden = np.maximum(model.a(x).data, 0)
    assert by_name(watch)["relu after a"].dead == (hidden.max(axis=0) == 0).mean()
    np.testing.assert_allclose(by_name(watch)["relu after a"].mean, hidden.mean(), rtol=1e-5)


def test_a_module_called_twice_has_two_rows():
    model = models.LeNet5()
    with LayerStatistics(model) as watch:
        for _ in range(2):
            model(Tensor(np.zeros((2, 1, 28, 28), np.float32)))
    names = [row.name for row in watch.layers]
    assert names[:6] == ["conv1", "activation", "pool", "conv2", "activation #2", "pool #2"] and len(names) == 11
    assert by_name(watch)["activation #3"].place == "activation #3 (after fc1)"


def test_linear_layers_on_sequences_have_their_units_last():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
    model[0].bias.data[2] = -100
    with LayerStatistics(model) as watch:
        model(Tensor(np.random.default_rng(0).standard_normal((3, 5, 4)).astype(np.float32)))
    assert watch.layers[1].live.shape == (6,) and not watch.layers[1].live[2]


def test_gradients_and_update_ratios():
    model, (x, y) = mlp(), batch()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    ratios, norms, outputs = [], [], []
    with LayerStatistics(model) as watch:
        for _ in range(3):
            before = [p.data.astype(np.float64) for p in model.parameters()]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            watch.step()
            norms.append([np.linalg.norm(p.grad.data) for p in model.parameters()])
            ratios.append([np.linalg.norm(p.data - w) / np.linalg.norm(w) for p, w in zip(model.parameters(), before)])
            outputs.append(np.sqrt(np.mean(logit_gradient(before, x.data, y.data) ** 2)))
    np.testing.assert_allclose([row.gradients for row in watch.parameters], np.transpose(norms), rtol=1e-5)
    np.testing.assert_allclose([row.ratios for row in watch.parameters], np.transpose(ratios), rtol=1e-3)
    np.testing.assert_allclose(by_name(watch)["2"].gradients, outputs, rtol=1e-4)
    np.testing.assert_allclose([row.norm for row in watch.parameters], [np.linalg.norm(p.data) for p in model.parameters()],
                               rtol=1e-5)


def logit_gradient(weights, x, y):
    """dL/dlogits of softmax cross entropy: (p - onehot) / N."""
    w1, b1, w2, b2 = weights
    logits = np.maximum(x @ w1.T + b1, 0) @ w2.T + b2
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return (p - np.eye(3)[y]) / len(y)


def test_watching_changes_nothing_and_leaves_nothing():
    def train(watched):
        model, (x, y) = mlp(nn.Tanh), batch()
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        watch = LayerStatistics(model)
        with watch if watched else nn.Identity().register_forward_hook(print):
            for _ in range(3):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
                if watched:
                    watch.step()
        return snapshot(model, optimizer)
    assert train(True) == train(False)


def test_hooks_are_removed_after_an_error():
    model = mlp()
    with pytest.raises(ZeroDivisionError), LayerStatistics(model):
        raise ZeroDivisionError
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())


def test_no_gradient_no_numbers_and_large_numbers():
    model = mlp()
    model.spare = Parameter([1.0])
    x = np.full((4, 8), 3e30, np.float32)
    with LayerStatistics(model) as watch:
        model(Tensor(x))
        assert all(row.finite for row in watch.layers[:2])
        F.cross_entropy(model(batch()[0]), batch()[1]).backward()
        watch.step()
        model(Tensor(np.full((4, 8), np.nan, np.float32)))
    assert watch.parameters[0].gradients == [None] and np.isnan(watch.parameters[0].gradient)
    assert not watch.layers[0].finite


def test_reset_forgets_units_but_not_steps():
    model, (x, y) = mlp(), batch()
    with LayerStatistics(model) as watch:
        model(x)
        model[0].bias.data[...] = -100
        watch.reset()
        model(x)
        assert by_name(watch)["1"].dead == 1 and by_name(watch)["1"].count == 32 * 16


def test_table_and_dictionary():
    model, (x, y) = Functional(), batch()
    with LayerStatistics(model) as watch:
        F.cross_entropy(model(x), y).backward()
        watch.step()
    text = str(watch)
    assert text.splitlines()[0].split() == ["layer", "kind", "mean", "std", "zeros", "dead", "saturated", "gradient"]
    assert "relu after a" in text and "a.weight" in text and "16 x 8" in text
    found = watch.to_dict()
    assert found["layers"][1]["name"] == "relu after a" and found["parameters"][0]["shape"] == [16, 8]


def test_errors():
    with pytest.raises(TypeError, match="LayerStatistics: model must be a Module, got list"):
        LayerStatistics([])
    with pytest.raises(RuntimeError, match="belongs inside of the `with` block"):
        LayerStatistics(mlp()).step()
