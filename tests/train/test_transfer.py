"""Transfer: heads cut and attached, parts frozen through whole trainings, features as by hand, groups with their own rates."""

import copy

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, data, manual_seed, models, nn, no_grad, optim, train
from tinyvision.train import (SklearnHead, attach_head, cut_head, extract_features, freeze, head_name, parameter_groups, unfreeze)


def pictures(n=12, seed=0, channels=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, channels, 16, 16)).astype(np.float32), rng.integers(0, 3, n)


def loader(n=12, batch_size=5, **options):
    return data.DataLoader(data.TensorDataset(*pictures(n)), batch_size=batch_size, **options)


def small(seed=0):
    manual_seed(seed)
    return models.CifarResNet(1)


def state(model):
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("model, name", [
    (models.LeNet5, "fc3"), (models.resnet20, "linear"), (lambda: models.resnet18(5), "fc"),
    (lambda: models.MLP(4, (3,)), "layers.2"), (lambda: models.PlainNet(3, base_channels=1), "classifier.7"),
])
def test_heads_are_found(model, name):
    assert head_name(model()) == name


def test_cut_head_gives_the_vectors():
    """Network without head, then head: the logits as before."""
    model, (x, _) = small().eval(), pictures()
    with no_grad():
        logits = model(Tensor(x)).data
        name, head = cut_head(model)
        vectors = model(Tensor(x))
        assert name == "linear" and vectors.shape == (12, 64)
        np.testing.assert_array_equal(head(vectors).data, logits)
        attach_head(model, head, name)
        np.testing.assert_array_equal(model(Tensor(x)).data, logits)


def test_inner_layers_can_be_cut():
    model = small()
    assert isinstance(cut_head(model, "layer3.0.conv2")[1], nn.Conv2d) and isinstance(model.layer3[0].conv2, nn.Identity)


def test_attach_by_number():
    model = small().double()
    old = attach_head(model, 4)
    assert old.out_features == 10 and model.linear.weight.shape == (4, 64) and model.linear.weight.dtype == np.float64
    assert attach_head(model, nn.Sequential(nn.Dropout(0.1), nn.Linear(64, 2)), "linear") is not None
    assert head_name(model) == "linear.1"


def test_frozen_parts_stay_as_they_are():
    """After training with momentum and weight decay: nothing below "layer*" has changed, running means included; the rest has."""
    model = small()
    frozen = freeze(model, "conv1", "bn1", "layer*")
    assert {name.split(".")[0] for name in frozen} == {"conv1", "bn1", "layer1", "layer2", "layer3"}
    before = state(model)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    train.fit(model, optimizer, loader(shuffle=True, generator=0), loader(), 2, progress=False)
    after = state(model)
    assert {name for name in before if not np.array_equal(before[name], after[name])} == {"linear.weight", "linear.bias"}
    assert model.training and not model.layer2[0].bn1.training


def test_unfrozen_parts_learn_again():
    """A block inside of a frozen stage: it changes, running means included, and its neighbours do not."""
    model = small()
    freeze(model, "*")
    unfreeze(model, "layer3.0.conv2", "layer3.0.bn2", "linear")
    before = state(model)
    train.fit(model, optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1), loader(), loader(), 1, progress=False)
    after = state(model)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"layer3.0.conv2.weight", "linear.weight", "linear.bias", *(f"layer3.0.bn2.{part}" for part in (
        "weight", "bias", "running_mean", "running_var", "num_batches_tracked"))}
    unfreeze(model, "*")
    assert all(p.requires_grad for p in model.parameters()) and all(m.training for m in model.train().modules())
    assert not model.eval().layer3[0].bn2.training


def test_patterns():
    model = models.LeNet5()
    assert freeze(model, "*.bias") == ["conv1.bias", "conv2.bias", "fc1.bias", "fc2.bias", "fc3.bias"]
    assert unfreeze(model, "fc?.bias") == ["fc1.bias", "fc2.bias", "fc3.bias"]
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["conv1.bias", "conv2.bias"]
    assert freeze(small(), "layer2.0") == [f"layer2.0.{name}" for name, _ in small().layer2[0].named_parameters()]
    assert model.conv1.training                           # a parameter alone does not change the mode


def test_frozen_networks_can_be_copied():
    """The copy's layers are held by themselves, not by the original's."""
    model = small()
    freeze(model, "bn1")
    twin = copy.deepcopy(model)
    unfreeze(model, "bn1")
    assert model.train().bn1.training and not twin.train().bn1.training


def test_features_by_hand():
    """The input of the head, the mean of a layer's maps, maps as they are: in the loader's order, in evaluation mode."""
    model = small()
    model.layer2.eval()
    model(Tensor(pictures()[0]))                          # running statistics that are not the first
    modes, before = [m.training for m in model.modules()], state(model)
    x, labels = pictures()
    features, found = extract_features(model, loader())
    maps, _ = extract_features(model, loader(), "layer3", pool=False)
    means, _ = extract_features(model, loader(batch_size=12), "layer3")
    assert modes == [m.training for m in model.modules()] and all(np.array_equal(v, before[k]) for k, v in state(model).items())
    model.eval()
    with no_grad():
        y = model.layer3(model.layer2(model.layer1(F.relu(model.bn1(model.conv1(Tensor(x))))))).data
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_allclose(maps, y, atol=1e-5)
    np.testing.assert_allclose(means, y.mean(axis=(2, 3)), atol=1e-5)
    np.testing.assert_allclose(features, y.mean(axis=(2, 3)), atol=1e-5)
    cut_head(model)
    np.testing.assert_allclose(extract_features(model, loader())[0], features, atol=1e-6)
    inputs_alone = [x[:4], x[4:]]
    alone, none = extract_features(model, inputs_alone)
    assert none is None
    np.testing.assert_allclose(alone, features, atol=1e-6)


def test_two_learning_rates():
    """One step of plain SGD: the head moves by its rate times its gradient, the body by its own; no group has what is frozen."""
    model, (x, labels) = small(), pictures()
    freeze(model, "conv1")
    groups = parameter_groups(model, {"linear": {"lr": 0.5, "weight_decay": 0.0}, "*": 0.01})
    assert [len(group["params"]) for group in groups] == [2, len(list(model.parameters())) - 3]
    optimizer, before = optim.SGD(groups, lr=1.0), state(model)
    F.cross_entropy(model(Tensor(x)), labels).backward()
    optimizer.step()
    for name, p in model.named_parameters():
        rate = 0 if name == "conv1.weight" else 0.5 if name.startswith("linear") else 0.01
        step = 0 if p.grad is None else rate * p.grad.numpy()
        np.testing.assert_allclose(p.numpy(), before[name] - step, atol=1e-7, err_msg=name)


def test_random_forest_on_features():
    """Any estimator: the same answers as scikit-learn by hand on the same vectors, and better than chance on digits."""
    ensemble, manifold = pytest.importorskip("sklearn.ensemble"), pytest.importorskip("sklearn.neighbors")
    manual_seed(0)
    model = models.LeNet5()
    part = [data.DataLoader(data.Digits(train=flag), batch_size=128) for flag in (True, False)]
    (x, y), (tx, ty) = (extract_features(model, p) for p in part)
    for estimator in (ensemble.RandomForestClassifier(30, random_state=0), manifold.KNeighborsClassifier(3)):
        head = SklearnHead(model, estimator).fit(part[0])
        right = copy.deepcopy(estimator).fit(x, y).predict(tx)
        np.testing.assert_array_equal(head.predict(part[1]), right)
        assert head.score(part[1]) == pytest.approx((right == ty).mean()) and head.score(part[1]) > 0.8


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "head_name: Sequential has no Linear layer inside", lambda: head_name(nn.Sequential(nn.ReLU()))),
    (ValueError, "cut_head: LeNet5 has no layer 'fc9'. There is: .*fc3", lambda: cut_head(models.LeNet5(), "fc9")),
    (TypeError, "attach_head: head must be a Module or a number of classes, got str",
     lambda: attach_head(models.LeNet5(), "svm")),
    (ValueError, "attach_head: at 'conv1' is Conv2d, no Linear layer", lambda: attach_head(models.LeNet5(), 3, "conv1")),
    (ValueError, "freeze: needs at least one path or pattern", lambda: freeze(models.LeNet5())),
    (ValueError, "freeze: nothing in LeNet5 matches 'layer1'. There is: conv1, conv2", lambda: freeze(models.LeNet5(), "layer1")),
    (ValueError, "parameter_groups: no pattern matches conv1.weight, conv1.bias, conv2.weight, conv2.bias. Add '\\*'",
     lambda: parameter_groups(models.LeNet5(), {"fc*": 0.1})),
    (TypeError, "parameter_groups: options must be a mapping", lambda: parameter_groups(models.LeNet5(), 0.1)),
    (ValueError, "extract_features: the loader gave no batches", lambda: extract_features(models.LeNet5(), [])),
    (ValueError, "extract_features: LeNet5 has no layer 'bn'",
     lambda: extract_features(models.LeNet5(), [np.zeros((1, 1, 28, 28), "f4")], "bn")),
    (TypeError, "SklearnHead: estimator must have fit and predict.*parentheses", lambda: SklearnHead(models.LeNet5(), dict)),
])
def test_transfer_refuses(error, words, call):
    with pytest.raises(error, match=words):
        call()


def test_refused_patterns_change_nothing():
    model = models.LeNet5()
    with pytest.raises(ValueError, match="matches 'nothing'"):
        freeze(model, "conv1", "nothing")
    assert all(p.requires_grad for p in model.parameters()) and "train" not in vars(model.conv1)
