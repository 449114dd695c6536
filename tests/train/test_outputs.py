"""The checks and the doctor on networks of several outputs or answers: healthy ones pass, and faults are found in every part."""

import numpy as np
import pytest

from tests.train.small import blobs
from tinyvision import Tensor, data, manual_seed, models, nn, optim
from tinyvision.random import default_generator
from tinyvision.train import check_training, diagnose
from tinyvision.train.aside import detached, tensors_in
from tinyvision.train.sanity import check_batch_mixing, check_evaluation, check_initial_loss, check_parameters
from tinyvision.train.sanity_training import rearranged, signal_check


def boxes(n=40):
    return list(data.ShapeLocalization(n, 32)), models.Localizer(10, 32, base_channels=2, hidden=8, depth=2, convs=1)


def edges(n=40):
    return data.SceneEdges(n, 32).in_memory(), models.HED(3, 2, convs=(1, 1, 1, 1, 1))


def sentences(n=40):
    scenes = data.SceneCaptions(n, 32)
    words = models.Vocabulary(scenes.words)
    net = models.Captioner(words, 32, base_channels=2, embedding=8, hidden=8, depth=2, convs=1)
    return data.TensorDataset(scenes.images, words.encode(scenes.captions)), net


@pytest.mark.parametrize("make", [boxes, edges, sentences])
def test_networks_with_a_loss_of_their_own_are_examined(make):
    manual_seed(0)
    examples, net = make()
    batches = data.DataLoader(examples, 8, shuffle=True, generator=0)
    report = check_training(net, batches, net.loss, steps=3)
    by_name = {check.name: check for check in report.checks}
    for name in "parameters", "batch mixing", "evaluation":
        assert by_name[name].result == "ok", by_name[name]
    assert not by_name["signal"].skipped and by_name["first loss"].skipped
    assert "shuffled labels are predicted" not in [finding.name for finding in report.findings]
    report = diagnose(net, optim.Adam(net.parameters()), batches, net.loss, steps=4)
    by_name = {check.name: check.result for check in report.checks}
    assert by_name["loss"] == by_name["gradients"] == "ok" and by_name["labels"] == "skipped"
    assert report.passed, report


class Two(nn.Module):
    """Two outputs, the second by a rule."""

    def __init__(self, rule):
        manual_seed(0)
        self.one, self.two, self.rule = nn.Linear(8, 3), nn.Linear(8, 3), rule

    def forward(self, x):
        return {"scores": self.one(x), "others": [self.rule(self.two(x))]}


def two_batches():
    inputs, labels = blobs()
    return data.DataLoader(data.TensorDataset(inputs, labels), 16)


def test_a_fault_in_the_second_output_is_found():
    batches = two_batches()
    assert check_batch_mixing(Two(lambda y: y), batches).result == check_evaluation(Two(lambda y: y), batches).result == "ok"
    assert check_batch_mixing(Two(lambda y: y - y.mean(axis=0)), batches).findings[0].name == "batch mixing"
    assert check_batch_mixing(Two(lambda y: y.sum(axis=0)), batches).findings[0].name == "batch axis lost"
    noisy = Two(lambda y: y + Tensor(default_generator().standard_normal(y.shape).astype(y.dtype)))
    assert check_evaluation(noisy, batches).findings[0].name == "evaluation is random"
    assert check_initial_loss(Two(lambda y: y), batches, lambda outputs, labels: (outputs["scores"] ** 2).mean()).skipped


def test_an_output_that_the_loss_forgets_is_found():
    forgetful = check_parameters(Two(lambda y: y), two_batches(), lambda outputs, labels: (outputs["scores"] ** 2).mean())
    assert [finding.where for finding in forgetful.findings] == ["two.weight", "two.bias"]


def test_a_last_layer_of_zeros_is_no_fault_and_a_dead_layer_is():
    inputs, labels = blobs()
    net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.zeros_(net[2].weight)
    batches = data.DataLoader(data.TensorDataset(inputs, labels), 16)
    assert check_parameters(net, batches).result == check_batch_mixing(net, batches).result == "ok"
    assert not net[2].weight.data.any(), "the checks work on copies"
    nn.init.constant_(net[0].bias, -100.0)
    assert "0.weight" in [finding.where for finding in check_parameters(net, batches).findings]


def test_answers_in_a_dict_are_shuffled_together():
    """A label keeps its box, batches keep their sizes, and nothing is lost."""
    answers = [{"labels": np.arange(k, k + n), "boxes": 10.0 * np.arange(k, k + n)} for k, n in ((0, 4), (4, 4), (8, 2))]
    batches = [(np.zeros((len(targets["labels"]), 2)), targets) for targets in answers]
    mixed = [targets for _, targets in rearranged(batches, "shuffled", np.random.default_rng(0))]
    labels, places = (np.concatenate([targets[key].data for targets in mixed]) for key in ("labels", "boxes"))
    assert [len(targets["labels"]) for targets in mixed] == [4, 4, 2]
    assert sorted(labels.tolist()) == list(range(10)) and labels.tolist() != list(range(10))
    np.testing.assert_array_equal(places, 10 * labels)


@pytest.mark.parametrize("real, shuffled, zeros, said", [
    (1.0, 1.5, 2.0, []), (1.5, 1.7, 1.0, [("note", "inputs do not help yet")]),
    (1.5, 1.5, 1.5, [("warning", "labels do not belong to the inputs"), ("warning", "inputs are not used")])])
def test_inputs_that_matter_but_do_not_help_yet(real, shuffled, zeros, said):
    """Answers of others make it worse, so the inputs are looked at; a network that ignores them learns as much from either."""
    losses = {name: value + np.linspace(0, 0.01, 8) for name, value in (("real", real), ("shuffled", shuffled), ("zeros", zeros))}
    found = signal_check(losses, float("nan"), 40)
    assert [(finding.severity, finding.name) for finding in found.findings] == said


def test_tensors_are_found_and_cut_off_in_every_form():
    x = Tensor([1.0], requires_grad=True) * 2
    outputs = {"a": x, "b": [x + 1, (x + 2, "text")]}
    assert [t.item() for t in tensors_in(outputs)] == [2.0, 3.0, 4.0]
    assert not any(t.requires_grad for t in tensors_in(detached(outputs))) and x.requires_grad
