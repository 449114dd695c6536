"""The test of maps with random weights: on trained networks maps change, weights come back, and the measures are right."""

import numpy as np
import pytest
from scipy.stats import spearmanr

import tinyvision.functional as F
from tinyvision import Tensor, data, manual_seed, models, optim
from tinyvision.interpret import (
    activations, guided_backprop, randomization_check, rank_correlation, saliency, structural_similarity,
)
from tinyvision.interpret.sanity import abs_correlation

from .nets import draw, network, snapshot


@pytest.fixture(scope="module")
def trained():
    """LeNet-5 on the embedded digits, six passes, and some held-out digits with their labels."""
    manual_seed(0)
    net, digits = models.LeNet5(), data.Digits()
    optimizer = optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(6):
        for images, labels in data.DataLoader(digits, batch_size=64, shuffle=True, generator=0):
            loss = F.cross_entropy(net(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    test = data.Digits(train=False)
    correct = np.mean(net.eval()(Tensor(test.images)).data.argmax(axis=1) == test.labels)
    assert correct > 0.9
    return net, test.images[:8], test.labels[:8]


def test_gradients_of_a_trained_network_change(trained):
    """Cascading down to the first layer nothing of the map is left; the first row is nearest to the trained network."""
    net, x, labels = trained
    before = snapshot(net)
    check = randomization_check(net, x, lambda model, x: saliency(model, x, labels), generator=0)
    assert snapshot(net) == before and check.layers == ["fc3", "fc2", "fc1", "conv2", "conv1"]
    assert abs(check.rank[-1]) < 0.15 and check.abs_rank[-1] < check.abs_rank[0] and check.ssim[-1] < 0.5
    np.testing.assert_array_equal(check.maps[0], saliency(net, x, labels))
    lines = str(check).splitlines()
    first = [f"{values[0]:.2f}" for values in (check.rank, check.abs_rank, check.ssim)]
    assert len(lines) == 6 and lines[1].split() == ["fc3", *first]


def test_what_does_not_look_at_weights_fails_the_test(trained):
    """An edge detector stays the same whatever the weights: all similarities are 1."""
    net, x, _ = trained
    check = randomization_check(net, x, lambda model, x: np.abs(np.gradient(x, axis=2)), mode="independent", generator=0)
    np.testing.assert_allclose([check.rank, check.abs_rank, check.ssim], 1, rtol=1e-12)


def test_guided_backprop_keeps_more_than_the_gradient(trained):
    """Adebayo et al.'s finding, with the upper layers random."""
    net, x, labels = trained
    plain, guided = (randomization_check(net, x, lambda model, x, look=look: look(model, x, labels), layers=["fc3", "fc2", "fc1"],
                                         generator=0) for look in (saliency, guided_backprop))
    assert guided.abs_rank[-1] > plain.abs_rank[-1] + 0.1


def test_cascading_and_independent():
    """Cascading keeps what was drawn before, independent gives it back; each layer is drawn once, in order."""
    net, x = network("LeNet5"), draw(2, 1, 28, 28)
    kept = {name: p.data.copy() for name, p in net.named_parameters()}

    def changed(mode, seen):
        def explain(model, x):
            seen.append([name.split(".")[0] for name, p in model.named_parameters()
                         if name.endswith("weight") and not np.array_equal(p.data, kept[name])])
            return saliency(model, x, 0)
        return randomization_check(net, x, explain, mode=mode, layers=["fc3", "conv1"], generator=0)

    cascading, independent = [], []
    changed("cascading", cascading)
    changed("independent", independent)
    assert cascading == [[], ["fc3"], ["conv1", "fc3"]] and independent == [[], ["fc3"], ["conv1"]]
    assert all(np.array_equal(p.data, kept[name]) for name, p in net.named_parameters())


def test_norms_and_order_of_a_residual_network():
    """Layers in the reverse of the order in which forward calls them; batch norm keeps its statistics."""
    net, x, statistics = network("resnet20"), draw(2, 3, 8, 8), []

    def explain(model, x):
        statistics.append(model.bn1.running_var.data.copy())
        return activations(model, x, "conv1")

    check = randomization_check(net, x, explain, generator=0)
    assert check.layers[0] == "linear" and check.layers[-2:] == ["bn1", "conv1"] and len(check.layers) == 39
    assert all(np.array_equal(statistics[0], s) for s in statistics)
    np.testing.assert_allclose(check.rank[:-1], 1)        # the first layer's output depends on its own weights only
    assert abs(check.rank[-1]) < 0.9


def test_weights_come_back_after_an_error():
    net, x = network("LeNet5"), draw(1, 1, 28, 28)
    before, calls = snapshot(net), []

    def explain(model, x):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("no more")
        return saliency(model, x, 0)

    with pytest.raises(RuntimeError, match="no more"):
        randomization_check(net, x, explain, generator=0)
    assert snapshot(net) == before


def test_rank_correlation_against_scipy():
    a, b = draw(7, 9), draw(7, 9, seed=1)
    b[2], b[4:6] = a[2], 0.0                              # ties
    np.testing.assert_allclose(rank_correlation(a, b), spearmanr(a.ravel(), b.ravel()).statistic, rtol=1e-12)
    np.testing.assert_allclose(abs_correlation(a, b), spearmanr(abs(a).ravel(), abs(b).ravel()).statistic, rtol=1e-12)
    assert rank_correlation(a, np.ones((7, 9))) == 0 and rank_correlation(a, -a ** 3) == pytest.approx(-1)


@pytest.mark.parametrize("shape", [(12, 10), (2, 9, 8), (20,), (5, 11)])
def test_structural_similarity_by_loops(shape):
    a, b = draw(*shape), draw(*shape, seed=1)
    x, y = np.abs(a) / np.abs(a).max(), np.abs(b) / np.abs(b).max()
    x, y = (m.reshape((-1,) + (shape[-2:] if len(shape) > 1 else (1, shape[0]))) for m in (x, y))
    h, w = min(7, x.shape[1]), min(7, x.shape[2])
    found = []
    for p, q in zip(x, y):
        for i in range(p.shape[0] - h + 1):
            for j in range(p.shape[1] - w + 1):
                u, v = p[i:i + h, j:j + w].ravel(), q[i:i + h, j:j + w].ravel()
                c = np.cov(u, v)
                found.append((2 * u.mean() * v.mean() + 1e-4) * (2 * c[0, 1] + 9e-4)
                             / ((u.mean() ** 2 + v.mean() ** 2 + 1e-4) * (c[0, 0] + c[1, 1] + 9e-4)))
    np.testing.assert_allclose(structural_similarity(a, b), np.mean(found), rtol=1e-9)
    assert structural_similarity(a, -3 * a) == pytest.approx(1)


def test_messages_of_the_randomization_check():
    net, x = models.LeNet5(), draw(2, 1, 28, 28)
    def maps(model, x):
        return saliency(model, x, 0)
    shrinking = iter([np.zeros((2, 5)), np.zeros((2, 4))])
    for call, match in [
        (lambda: randomization_check(net, x, maps, mode="all"), "mode must be one of 'cascading', 'independent', got 'all'"),
        (lambda: randomization_check(net, x, maps, layers=["pool"]), "'pool' is no layer with weights of .* There is: conv1"),
        (lambda: randomization_check(net, x, lambda model, x: x[0]), r"one for each of the 2 pictures, got \(1, 28, 28\)"),
        (lambda: randomization_check(net, x, lambda model, x: x * np.nan), "not finite"),
        (lambda: randomization_check(net, x, lambda model, x: next(shrinking)), r"got \(2, 4\) after \(2, 5\)"),
        (lambda: rank_correlation(np.ones(3), np.ones(4)), r"both maps must have one shape, got \(3,\) and \(4,\)"),
        (lambda: structural_similarity(np.ones((3, 3)), np.ones((3, 4))), "both maps must have one shape"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
