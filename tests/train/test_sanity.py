"""The sanity checks: each planted mistake is found and named, healthy networks pass, and nothing of the user's is changed."""

import random

import numpy as np
import pytest

import tinyvision.functional as F
from tests.train.small import blobs, loader, mlp, network, snapshot
from tinyvision import Op, Tensor, data, default_generator, manual_seed, models, nn, optim
from tinyvision.train.sanity import (check_batch_mixing, check_evaluation, check_initial_loss, check_normalization, check_output,
                                     check_overfit, check_parameters, check_signal, check_training, check_zero_grad)


class Made(nn.Module):
    """A network whose forward is the given function of (net, x)."""

    def __init__(self, forward, seed=0):
        self.net = mlp(seed=seed)
        self.rule = forward

    def forward(self, x):
        return self.rule(self.net, x)


class WrongSign(Op):
    """The identity, with a backward that a student got wrong."""

    def forward(self, x):
        return x.copy()

    def backward(self, g, x):
        return -g


def blob_loader(**options):
    return loader(*blobs(**options))


def names(check):
    return [finding.name for finding in check.findings]


def good_step(model, optimizer, inputs, targets):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss


def step_that_clears_at_the_end(model, optimizer, inputs, targets):
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss


def step_without_zero_grad(model, optimizer, inputs, targets):
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    optimizer.step()
    return loss


# --- all together


def digits(size, count=200, channels=1):
    full = data.Digits(size=size)
    return np.repeat(full.images[:count], channels, axis=1), full.labels[:count]


def healthy():
    """(name, model, loader, options) of networks that have nothing."""
    manual_seed(0)
    yield "lenet5", models.LeNet5(), loader(*digits(32, 600)), {"steps": 60}
    yield "classic", models.LeNet5(classic=True), loader(*digits(32, 400)), {}
    yield "resnet", models.CifarResNet(1), loader(*digits(8, 240, 3), 8), {"steps": 20}
    images, _ = digits(16, 100)
    yield "unet", models.UNet(1, 2, 4, 1), loader(images, (images[:, 0] > 0.5).astype(np.int64), 8), {"steps": 20}
    yield "mlp", mlp(), blob_loader(), {"optimizer": None}


HEALTHY = {name: rest for name, *rest in healthy()}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_networks_pass(name):
    model, batches, options = HEALTHY[name]
    report = check_training(model, batches, step=good_step, test_loader=batches, **options)
    assert not report.findings, str(report)
    assert [check.result for check in report.checks] == ["ok"] * 9


def test_report_is_readable():
    report = check_training(Made(lambda net, x: F.softmax(net(x), 1)), blob_loader(), step=step_without_zero_grad)
    assert not report.passed and {"softmax twice", "zero_grad forgotten"} <= {finding.name for finding in report.findings}
    text = str(report)
    assert text.startswith("check_training: ") and "1. error: " in text and "take the softmax out of the network" in text.replace(
        "\n   ", " ")
    assert all(len(line) <= 140 for line in text.splitlines())
    found = report.to_dict()
    assert found["passed"] is False and len(found["findings"]) == len(report.findings) and len(found["checks"]) == 8
    severities = [finding.severity for finding in report.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)


def test_nothing_is_changed():
    """Weights, buffers, gradients, modes, hooks, the optimiser's memory, and all sources of random numbers."""
    manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
    model[1].eval()
    optimizer, batches = optim.Adam(model.parameters()), blob_loader()
    good_step(model, optimizer, *next(iter(batches)))
    layer, order = model[3].generator, batches.generator
    sources = (default_generator(), layer, order)
    before = snapshot(model, optimizer), [g.bit_generator.state for g in sources]
    place = batches.state_dict()
    legacy = random.getstate(), np.random.get_state()[1].tolist()
    check_training(model, batches, step=good_step, optimizer=optimizer, test_loader=batches, steps=5)
    assert (snapshot(model, optimizer), [g.bit_generator.state for g in sources]) == before
    assert batches.state_dict() == place
    assert (random.getstate(), np.random.get_state()[1].tolist()) == legacy


def test_a_step_on_the_wrong_model_is_noticed_and_undone():
    model, batches = mlp(), blob_loader()
    optimizer, before = optim.SGD(model.parameters(), lr=0.1), snapshot(model)[0]

    def step(copy, own, inputs, targets):
        return good_step(model, optimizer, inputs, targets)
    with pytest.raises(ValueError, match="step changed 4 arrays of the model itself, which were given back"):
        check_zero_grad(model, batches, step)
    assert snapshot(model)[0] == before


# --- the start


def test_first_loss():
    check = check_initial_loss(mlp(), blob_loader())
    assert check.result == "ok" and "log 3 = 1.099" in check.measured
    loud = mlp()
    loud[2].weight.data *= 100
    check = check_initial_loss(loud, blob_loader())
    assert names(check) == ["first loss too high"] and check.result == "warning"
    trained, batches = mlp(), blob_loader()
    optimizer = optim.Adam(trained.parameters(), lr=0.05)
    for inputs, targets in batches:
        good_step(trained, optimizer, inputs, targets)
    assert names(check_initial_loss(trained, batches)) == ["knows something already"]
    assert check_initial_loss(trained, batches).result == "note"


@pytest.mark.parametrize("criterion, expected", [
    (nn.CrossEntropyLoss(), "log 3"), (lambda y, t: F.cross_entropy(y, t), "log 3"),
    (lambda y, t: F.nll_loss(F.log_softmax(y, 1), t), "log 3")])
def test_first_loss_of_wrapped_criteria(criterion, expected):
    assert f"{expected} = 1.099" in check_initial_loss(mlp(), blob_loader(), criterion).measured


def test_first_loss_of_yes_and_no():
    inputs, labels = blobs(classes=2)
    targets = labels.astype(np.float32)[:, None]
    model = mlp(classes=1)
    assert "log 2 = 0.693" in check_initial_loss(model, loader(inputs, targets), F.binary_cross_entropy_with_logits).measured
    probable = nn.Sequential(model, nn.Sigmoid())
    assert "log 2 = 0.693" in check_initial_loss(probable, loader(inputs, targets), nn.BCELoss()).measured
    assert check_initial_loss(model, loader(inputs, targets), nn.MSELoss()).result == "skipped"


@pytest.mark.parametrize("last, criterion, name", [
    (lambda: nn.Softmax(1), F.cross_entropy, "softmax twice"), (nn.Sigmoid, F.cross_entropy, "squashed scores"),
    (nn.ReLU, nn.CrossEntropyLoss(), "ReLU at the end"), (nn.Identity, nn.NLLLoss(), "no log-probabilities"),
    (lambda: nn.Softmax(1), F.nll_loss, "no log-probabilities"), (lambda: nn.Softmax(1), lambda y, t: F.cross_entropy(y, t),
                                                                  "softmax twice"),
    (nn.Identity, F.cross_entropy, None), (lambda: nn.LogSoftmax(1), F.nll_loss, None)])
def test_output(last, criterion, name):
    check = check_output(network(mlp, last), blob_loader(), criterion)
    assert names(check) == ([name] if name else [])


def test_output_of_yes_and_no():
    inputs, labels = blobs(classes=2)
    batches = loader(inputs, labels.astype(np.float32)[:, None])
    assert names(check_output(nn.Sequential(mlp(classes=1), nn.Sigmoid()), batches, nn.BCEWithLogitsLoss())) == ["squashed "
                                                                                                                 "scores"]
    assert not names(check_output(mlp(classes=1), batches, nn.BCEWithLogitsLoss()))


def test_unused_parameters():
    model = Made(lambda net, x: net(x))
    model.spare = nn.Linear(2, 2)
    model.net[0].bias.requires_grad = False
    check = check_parameters(model, blob_loader())
    assert [(f.name, f.where) for f in check.findings] == [("parameter without gradient", "spare.weight"),
                                                            ("parameter without gradient", "spare.bias")]
    assert check.measured == "3 of 5 receive a gradient, 1 are frozen"
    dead = mlp()
    dead[0].bias.data[...] = -1000
    assert {(f.name, f.where) for f in check_parameters(dead, blob_loader()).findings} == {
        ("gradient is zero", "0.weight"), ("gradient is zero", "0.bias"), ("gradient is zero", "2.weight")}
    cut = Made(lambda net, x: Tensor(net(x).data))
    assert names(check_parameters(cut, blob_loader())) == ["loss without gradient"]


# --- the batch


def test_batch_mixing():
    assert check_batch_mixing(mlp(), blob_loader()).result == "ok"
    mixed = {
        "reshape": lambda net, x: net(x.T.reshape(x.shape)),
        "softmax over the batch": lambda net, x: F.softmax(net(x), 0),
        "mean of the batch": lambda net, x: net(x - x.mean(axis=0)),
        "transposed and back": lambda net, x: net(x).T.reshape(x.shape[0], -1),
    }
    for rule in mixed.values():
        check = check_batch_mixing(Made(rule), blob_loader())
        assert names(check) == ["batch mixing"] and "depends on input" in check.findings[0].seen


def test_batch_axis_lost_and_input_ignored():
    assert names(check_batch_mixing(Made(lambda net, x: net(x).reshape(-1)), blob_loader())) == ["batch axis lost"]
    ignores = Made(lambda net, x: net(x * 0.0))
    assert names(check_batch_mixing(ignores, blob_loader())) == ["input ignored"]
    assert check_batch_mixing(mlp(), loader(*blobs(8), 1)).result == "skipped"


def test_batch_norm_does_not_mix_in_evaluation():
    assert check_batch_mixing(nn.Sequential(nn.BatchNorm1d(8), mlp()), blob_loader()).result == "ok"
    untracked = nn.Sequential(nn.BatchNorm1d(8, track_running_stats=False), mlp())
    assert names(check_batch_mixing(untracked, blob_loader())) == ["batch mixing"]


# --- evaluation


def test_random_evaluation():
    check = check_evaluation(Made(lambda net, x: net(F.dropout(x, 0.5))), blob_loader())
    assert names(check) == ["evaluation is random"] and "training=self.training" in check.findings[0].remedy
    assert check_evaluation(nn.Sequential(nn.Dropout(0.5), mlp()), blob_loader()).result == "ok"


def test_evaluation_that_changes_the_model():
    class Counts(nn.Module):
        def __init__(self):
            self.net = mlp()
            self.register_buffer("count", np.zeros(1))

        def forward(self, x):
            self.count[...] = self.count.data + 1
            return self.net(x)
    check = check_evaluation(Counts(), blob_loader())
    assert [(f.name, f.where) for f in check.findings] == [("evaluation changes the model", "count")]


@pytest.mark.parametrize("layers", [lambda: nn.Dropout(0.5), lambda: nn.BatchNorm1d(8)])
def test_forgotten_eval_mode(layers):
    model = nn.Sequential(layers(), mlp())

    def forgets(net, batches):
        return float(np.mean([F.cross_entropy(net(x), y).item() for x, y in batches]))

    def remembers(net, batches):
        net.eval()
        return forgets(net, batches)
    check = check_evaluation(model, blob_loader(), evaluate=forgets)
    assert names(check)[0] == "eval mode forgotten" and "net" not in names(check)
    assert check_evaluation(model, blob_loader(), evaluate=remembers).result == "ok"


# --- short trainings


def test_overfit():
    assert check_overfit(mlp(), blob_loader()).result == "ok"
    assert check_overfit(nn.Sequential(nn.Dropout(0.9), mlp()), blob_loader()).result == "ok"          # dropout is off
    constant = Made(lambda net, x: net(x * 0.0))
    assert names(check_overfit(constant, blob_loader())) == ["cannot overfit a batch"]
    ascends = Made(lambda net, x: WrongSign()(net(x)))
    assert names(check_overfit(ascends, blob_loader())) == ["cannot overfit a batch"]
    regression = loader(blobs()[0], blobs()[0][:, :3].copy())
    assert check_overfit(mlp(), regression, F.mse_loss).result == "ok"
    slow = check_overfit(mlp(), blob_loader(scale=0.1), steps=8)
    assert slow.result in ("note", "error")


def test_labels_that_do_not_belong_to_the_inputs():
    inputs, labels = blobs(400)
    wrong = loader(inputs, np.random.default_rng(5).permutation(labels))
    fast = optim.Adam
    model = mlp()
    assert "labels do not belong to the inputs" in names(check_signal(model, wrong, optimizer=fast(model.parameters(), lr=0.01)))
    assert check_signal(model, loader(inputs, labels), optimizer=fast(model.parameters(), lr=0.01)).result == "ok"


def test_inputs_that_are_not_used():
    constant = Made(lambda net, x: net(x * 0.0))
    assert "inputs are not used" in names(check_signal(constant, blob_loader()))


def test_a_criterion_that_takes_the_outputs_for_the_targets():
    model = mlp()
    check = check_signal(model, blob_loader(), lambda y, t: F.cross_entropy(y, Tensor(y.data.argmax(axis=1))),
                         optimizer=optim.Adam(model.parameters(), lr=0.05))
    assert "shuffled labels are predicted" in names(check) and check.result == "error"


def test_signal_needs_batches():
    assert check_signal(mlp(), loader(*blobs(20), 16)).result == "skipped"


@pytest.mark.parametrize("step, found", [(good_step, []), (step_that_clears_at_the_end, []),
                                         (step_without_zero_grad, ["zero_grad forgotten"])])
@pytest.mark.parametrize("layers", [nn.Identity, lambda: nn.Dropout(0.5)])
def test_zero_grad(step, found, layers):
    model = nn.Sequential(layers(), mlp())
    assert names(check_zero_grad(model, blob_loader(), step, optimizer=optim.SGD(model.parameters(), lr=0.1))) == found
    assert names(check_zero_grad(model, blob_loader(), step)) == found


# --- normalisation


def test_normalization():
    images = np.random.default_rng(0).random((64, 3, 4, 4)).astype(np.float32)
    labels = np.zeros(64, np.int64)
    ours = loader(images, labels)
    assert check_normalization(ours, loader(images[::-1].copy(), labels)).result == "ok"
    bytes_ = check_normalization(ours, loader(255 * images, labels))
    assert names(bytes_) == ["normalised differently"] and "0 to 255" not in bytes_.measured
    shifted = images - np.array([0, 0.3, 0], np.float32)[:, None, None]
    assert check_normalization(ours, loader(shifted, labels)).findings[0].where == "channel 1"
    wider = images * np.array([1, 1, 2.5], np.float32)[:, None, None]
    assert check_normalization(ours, loader(wider, labels)).findings[0].where == "channel 2"
    assert names(check_normalization(ours, loader(images[:, :1].copy(), labels))) == ["channels differ"]


# --- errors


def test_errors():
    batches = blob_loader()
    with pytest.raises(TypeError, match="check_initial_loss: model must be a Module, got the class Linear"):
        check_training(nn.Linear, batches)
    with pytest.raises(TypeError, match="loader must be something to go through more than once, got a generator"):
        check_overfit(mlp(), (batch for batch in batches))
    with pytest.raises(TypeError, match="loader must give batches in a for loop, got int"):
        check_overfit(mlp(), 3)
    with pytest.raises(ValueError, match="check_overfit: the loader gave no batches"):
        check_overfit(mlp(), [])
    with pytest.raises(TypeError, match=r"a batch must be a pair \(inputs, targets\), got 3 parts"):
        check_overfit(mlp(), [(1, 2, 3)])
    odd = mlp()
    odd.stream = (i for i in range(3))
    with pytest.raises(TypeError, match="works on copies, so that nothing of yours is changed, and cannot copy this"):
        check_overfit(odd, batches)


def test_frozen_networks_cannot_overfit():
    assert check_overfit(mlp().requires_grad_(False), blob_loader()).result == "skipped"
