"""The training doctor: every illness is planted in a small network, and the finding names it and the layer."""

import numpy as np
import pytest

import tinyvision.functional as F
from tests.train.small import blobs, loader, mlp, network, snapshot
from tinyvision import Op, Tensor, data, default_generator, manual_seed, models, nn, optim
from tinyvision.train.doctor import diagnose


def adam(model, **options):
    return optim.Adam(model.parameters(), **options)


def sgd(model, lr=0.1, **options):
    return optim.SGD(model.parameters(), lr, **options)


def found(model, optimizer=None, batches=None, criterion=F.cross_entropy, **options):
    """The findings as {name: (severity, where)}; of several with one name the first."""
    report = diagnose(model, optimizer or adam(model), batches or loader(*blobs()), criterion, **options)
    names = {}
    for finding in report.findings:
        names.setdefault(finding.name, (finding.severity, finding.where))
        assert finding.seen.endswith(".") and finding.remedy.endswith(".")
    return names


class Made(nn.Module):
    def __init__(self, forward):
        self.net = mlp()
        self.rule = forward

    def forward(self, x):
        return self.rule(self.net, x)


# --- healthy


def healthy():
    manual_seed(0)
    digits = data.Digits()
    batches = loader(digits.images[:700], digits.labels[:700], 32)
    for classic in (False, True):
        model = models.LeNet5(classic=classic)
        yield f"lenet5 {classic} adam", model, adam(model), batches
        yield f"lenet5 {classic} adam 0.005", model, adam(model, lr=0.005), batches
        yield f"lenet5 {classic} sgd", model, sgd(model, 0.05, momentum=0.9), batches
    small = data.Digits(size=8)
    model = models.CifarResNet(1)
    yield "resnet", model, sgd(model, 0.05, momentum=0.9, weight_decay=1e-4), loader(small.images[:160].repeat(3, axis=1),
                                                                                  small.labels[:160], 8)
    model = models.UNet(1, 2, 4, 1)
    yield "unet", model, adam(model), loader(small.images[:100], (small.images[:100, 0] > 0.5).astype(np.int64), 8)
    model = mlp()
    yield "mlp", model, adam(model), loader(*blobs())


HEALTHY = {name: rest for name, *rest in healthy()}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_training_has_no_findings(name):
    report = diagnose(*HEALTHY[name])
    assert not report.findings, str(report)
    assert report.passed and all(check.result == "ok" for check in report.checks) and len(report.checks) >= 11
    assert len(report.numbers["losses"]) == 20 and report.numbers["layers"]


def test_nothing_is_changed():
    manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
    optimizer, batches = adam(model, lr=10.0), loader(*blobs())
    inputs, labels = next(iter(batches))
    F.cross_entropy(model(inputs), labels).backward()
    optimizer.step()
    sources = (default_generator(), model[3].generator, batches.generator)
    before = snapshot(model, optimizer), [g.bit_generator.state for g in sources]
    first = diagnose(model, optimizer, batches)
    assert (snapshot(model, optimizer), [g.bit_generator.state for g in sources]) == before
    assert str(diagnose(model, optimizer, batches)) == str(first)


# --- the learning rate


@pytest.mark.parametrize("make, rate", [(sgd, 1000.0), (sgd, 50.0), (adam, 10.0)])
def test_learning_rate_too_high(make, rate):
    model = mlp(depth=3)
    names = found(model, make(model, lr=rate))
    assert names["learning rate too high"][0] == "error"


@pytest.mark.parametrize("make, rate", [(sgd, 1e-6), (adam, 1e-8)])
def test_learning_rate_too_low(make, rate):
    model = mlp()
    names = found(model, make(model, lr=rate))
    assert list(names) == ["learning rate too low"]


def test_learning_rate_zero_and_strong_decay():
    model = mlp()
    assert "learning rate is 0" in found(model, sgd(model, 0.0))
    model = mlp()
    assert "weight decay too strong" in found(model, sgd(model, 0.1, weight_decay=0.5))


# --- the layers


def test_dead_layer():
    model = mlp(depth=3)
    model[2].bias.data[...] = -1000
    names = found(model)
    assert names["dead layer"] == ("error", "3 (after 2)") and names["gradient is zero"] == ("warning", "0.weight")


def test_dead_units():
    model = mlp()
    model[0].bias.data[:14] = -1000
    assert found(model)["dead units"] == ("warning", "1 (after 0)")


def test_dead_relu_that_is_no_module():
    class Net(nn.Module):
        def __init__(self):
            self.first, self.out = nn.Linear(8, 16), nn.Linear(16, 3)

        def forward(self, x):
            return self.out(F.relu(self.first(x)))
    model = Net()
    model.first.bias.data[...] = -1000
    assert found(model)["dead layer"] == ("error", "relu after first")


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh])
def test_saturated_units(activation):
    model = mlp(activation, depth=3)
    model[2].weight.data *= 100
    assert found(model)["saturated units"] == ("warning", "3 (after 2)")


def test_vanishing_gradients():
    model = mlp(nn.Sigmoid, depth=9)
    severity, where = found(model, sgd(model))["vanishing gradients"]
    assert severity == "warning" and where.endswith(".weight") and int(where.split(".")[0]) <= 12


def test_exploding_gradients():
    model = mlp(depth=12)
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.weight.data *= 12
    names = found(model, sgd(model, 1e-20))
    assert names["exploding gradients"][0] == "warning"


def test_layers_of_zeros_and_of_one_value():
    """A layer that starts with zeros is worth knowing; one that stays so behind others of its kind is a fault."""
    model = mlp(depth=3)
    model[2].weight.data[...] = 0
    assert found(model)["layer of zeros"] == ("note", "2.weight")
    for p in model.parameters():
        p.data[...] = 0
    assert found(model)["layer of zeros"] == ("warning", "0.weight")
    model = mlp(depth=3)
    model[0].weight.data[...] = 0.1
    assert found(model)["units all alike"] == ("warning", "0.weight")


def test_output_of_zeros():
    class Drops(nn.Module):
        def forward(self, x):
            return x * 0.0
    assert found(nn.Sequential(nn.Linear(8, 16), Drops(), nn.Linear(16, 3)))["output all zeros"] == ("warning", "1")


# --- gradients


def test_parameters_without_gradient():
    model = Made(lambda net, x: net(x))
    model.spare = nn.Linear(2, 2)
    assert found(model)["parameter without gradient"] == ("error", "spare.weight")


def test_loss_without_gradient():
    names = found(Made(lambda net, x: Tensor(net(x).data)))
    assert names["loss without gradient"][0] == "error"


def test_optimizers_that_hold_the_wrong_parameters():
    model, other = mlp(), mlp()
    assert found(model, adam(other))["optimiser of another model"][0] == "error"
    assert found(model, optim.Adam(model[2].parameters()))["parameter not in the optimiser"] == ("warning", "0.weight")
    model[0].requires_grad_(False)
    assert not found(model, optim.Adam(model[2].parameters()))


def test_zero_grad():
    def forgets(model, optimizer, inputs, targets):
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss

    def clears_at_the_end(model, optimizer, inputs, targets):
        loss = forgets(model, optimizer, inputs, targets)
        optimizer.zero_grad()
        return loss.item()
    model = mlp()
    assert found(model, sgd(model, 0.01), step=forgets)["zero_grad forgotten"][0] == "error"
    assert not found(model, step=clears_at_the_end)


# --- numbers that are not finite


class Root(Op):
    """The square root, whose slope at 0 is infinite."""

    def forward(self, x):
        return np.sqrt(x)

    def backward(self, g, x):
        return g * 0.5 / x ** 0.5


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_not_finite_in_a_layer(place):
    class Divides(nn.Module):
        def forward(self, x):
            return x / (x.sum(axis=1, keepdims=True) * 0.0)
    layers = [lambda: nn.Linear(8, 8), lambda: nn.Linear(8, 8), lambda: nn.Linear(8, 3)]
    layers.insert(place, Divides)
    names = found(network(*layers))
    assert names["loss not finite"] == ("error", str(place))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_not_finite_in_the_criterion_the_data_and_the_weights():
    names = found(mlp(), criterion=lambda y, t: F.cross_entropy(y, t) + (y[0, 0] * 0.0).log())
    assert names["loss not finite"] == ("error", "the criterion")
    inputs, labels = blobs()
    inputs[3, 2] = np.nan
    names = found(mlp(), batches=loader(inputs, labels, shuffle=False))
    assert names["loss not finite"] == ("error", "input") and names["inputs not finite"] == ("error", "input")
    model = mlp()
    model[2].bias.data[0] = np.inf
    assert found(model)["loss not finite"] == ("error", "2.bias")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_gradient_that_is_not_finite_while_the_loss_is():
    model = Made(lambda net, x: net[2](Root()(net[1](net[0](x)))))
    assert found(model)["loss not finite"] == ("error", "net.0.bias")


# --- data


@pytest.mark.parametrize("change, name", [
    (lambda x: np.abs(x) * 80, "inputs not normalised"), (lambda x: x + 40, "inputs not normalised"),
    (lambda x: x * 0.001, "inputs not normalised"), (lambda x: x * 0 + 1, "inputs all alike")])
def test_inputs(change, name):
    inputs, labels = blobs()
    assert found(mlp(), batches=loader(change(inputs).astype(np.float32), labels))[name][1] == "input"


def test_labels():
    inputs, labels = blobs(400, classes=5)
    model = mlp(classes=5)
    assert found(model, batches=loader(inputs, labels * 0))["labels constant"] == ("error", "labels")
    order = np.argsort(labels)
    assert "batches of one class" in found(model, batches=loader(inputs[order], labels[order], shuffle=False))
    rare = np.where(np.arange(400) % 20 == 0, labels, 2)
    assert found(model, batches=loader(inputs, rare))["class imbalance"] == ("warning", "labels")


def test_batch_norm_with_one_example_and_eval_mode():
    images = blobs(64, 16, shape=(1, 4, 4))
    manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    assert found(model, batches=loader(*images, 1))["batch norm with batch 1"] == ("warning", "1")
    assert "batch norm with batch 1" not in found(model, batches=loader(*images, 8))
    model.eval()
    assert found(model, batches=loader(*images, 8))["model in eval mode"] == ("warning", "1")
    model.train()
    model[1].eval()
    assert found(model, batches=loader(*images, 8)) == {"layer in evaluation mode": ("note", "1")}


def test_softmax_twice():
    assert found(Made(lambda net, x: F.softmax(net(x), 1)))["softmax twice"][0] == "error"


# --- the report and errors


def test_order_text_and_dictionary():
    model = mlp(depth=3)
    model[2].bias.data[...] = -1000
    report = diagnose(model, adam(model), loader(*blobs(scale=100)))
    ranks = [("error", "warning", "note").index(finding.severity) for finding in report.findings]
    assert ranks == sorted(ranks) and len(set(ranks)) > 1 and not report.passed
    assert "1. error: dead layer, 3 (after 2). All its 16 units" in " ".join(str(report).split())
    assert report.to_dict()["findings"][0]["where"] == "3 (after 2)"
    assert {"losses", "layers", "parameters"} == set(report.to_dict()["numbers"])


def test_errors():
    model, batches = mlp(), loader(*blobs())
    with pytest.raises(TypeError, match="diagnose: optimizer must be of type Optimizer, got the class Adam"):
        diagnose(model, optim.Adam, batches)
    with pytest.raises(TypeError, match="diagnose: model must be a Module, got Adam"):
        diagnose(adam(model), adam(model), batches)
    with pytest.raises(ValueError, match="diagnose: steps must be at least 2, got 1"):
        diagnose(model, adam(model), batches, steps=1)
    with pytest.raises(TypeError, match="diagnose: steps must be an integer, got 2.5"):
        diagnose(model, adam(model), batches, steps=2.5)
    with pytest.raises(ValueError, match="diagnose: the loader gave no batches"):
        diagnose(model, adam(model), [])
    with pytest.raises(TypeError, match="diagnose: step must return the loss, got None"):
        diagnose(model, adam(model), batches, step=lambda *arguments: None)
