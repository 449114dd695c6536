"""Gradients and their averages: closed forms on linear and quadratic scores, PyTorch, completeness, the meaning of targets."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, models, nn
from tinyvision.interpret import (
    completeness_error, heat, integrated_gradients, probability, region, saliency, smooth_grad,
)
from tinyvision.interpret.target import Target

from .nets import NETS, draw, network, snapshot, stack, twins


class Quadratic(nn.Module):
    """y_k = x^T A_k x + b_k^T x for pictures x of 12 numbers, k = 0, 1."""

    def __init__(self):
        self.A, self.b = draw(2, 12, 12), draw(2, 12, seed=1)

    def forward(self, x):
        v = x.reshape((len(x), 12))
        square = [((v @ A) * v).sum(axis=1, keepdims=True) for A in self.A]
        return np.concatenate(square, axis=1) + v @ self.b.T


def test_quadratic_gradient():
    net, x = Quadratic(), draw(3, 3, 2, 2, seed=2)
    v, k = x.reshape(3, 12), [1, 0, 1]
    by_hand = np.stack([(net.A[j] + net.A[j].T) @ row + net.b[j] for j, row in zip(k, v)])
    np.testing.assert_allclose(saliency(net, x, k).reshape(3, 12), by_hand, rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 7])
def test_integrated_gradients_are_exact_on_a_quadratic(steps):
    """With d = x - x0 the share is d * ((A + A^T)(x + x0)/2 + b): the gradient at the middle, for it is linear."""
    net, x, x0 = Quadratic(), draw(2, 3, 2, 2, seed=2), draw(3, 1, 1, seed=3)
    d, middle = (x - x0).reshape(2, 12), ((x + x0) / 2).reshape(2, 12)
    by_hand = d * (middle @ (net.A[1] + net.A[1].T).T + net.b[1])
    shares = integrated_gradients(net, x, 1, baseline=x0, steps=steps)
    np.testing.assert_allclose(shares.reshape(2, 12), by_hand, rtol=1e-11)
    np.testing.assert_allclose(completeness_error(net, x, shares, 1, baseline=x0), 0, atol=1e-11)


def test_integrated_gradients_are_exact_on_a_linear_score():
    net, x = stack(nn.Flatten(), nn.Linear(12, 4)), draw(2, 3, 2, 2)
    shares = integrated_gradients(net, x, 2, baseline=0.5, steps=1)
    np.testing.assert_allclose(shares.reshape(2, 12), net[1].weight.data[2] * (x.reshape(2, 12) - 0.5), rtol=1e-12)


@pytest.mark.parametrize("name, near", [("LeNet5", 0.0), ("UNet", 0.0), ("resnet20", 0.9)])
def test_completeness(name, near):
    """The shares of ReLU networks add up, and more so with more steps (a deep one with random weights bends too often)."""
    net, x = network(name), draw(2, *NETS[name][2])
    net.train()
    before, errors = snapshot(net), []
    for steps in (2, 128):
        shares = integrated_gradients(net, x, 1, baseline=near * x, steps=steps)
        errors.append(np.abs(completeness_error(net, x, shares, 1, baseline=near * x)).max())
    assert snapshot(net) == before
    gained = [net.eval()(Tensor(v)).data[:, 1].reshape(2, -1).mean(axis=1) for v in (x, near * x)]
    assert errors[1] < 0.2 * errors[0] and errors[1] < 0.02 * np.abs(gained[0] - gained[1]).max()


def test_completeness_error_by_hand():
    net, x = network("LeNet5"), draw(2, 1, 28, 28)
    shares = draw(2, 1, 28, 28, seed=1)
    gained = [net(Tensor(v)).data[:, 4] for v in (x, np.zeros_like(x))]
    np.testing.assert_allclose(completeness_error(net, x, shares, 4), shares.sum(axis=(1, 2, 3)) - (gained[0] - gained[1]))


def test_layers_of_a_network_against_torch():
    """With `layer` the score is the mean of a channel of that layer."""
    torch = pytest.importorskip("torch")
    net, twin, x = twins("resnet20")
    found = {}
    twin.layer2.register_forward_hook(lambda module, args, y: found.update(y=y))
    v = torch.tensor(x, requires_grad=True)
    twin(v)
    found["y"][:, 5].mean(dim=(1, 2)).sum().backward()
    np.testing.assert_allclose(saliency(net, x, 5, layer="layer2"), v.grad.numpy(), rtol=1e-9, atol=1e-14)


def test_smooth_grad_of_a_quadratic_and_of_a_relu():
    """The mean of a linear gradient is that of the clean picture; a step at 0 becomes the normal distribution's integral."""
    net, x = Quadratic(), draw(1, 3, 2, 2, seed=2)
    sharp = saliency(net, x, 0)
    soft = smooth_grad(net, x, 0, samples=4000, noise=0.05, generator=0)
    np.testing.assert_allclose(soft, sharp, atol=0.02 * np.abs(sharp).max())
    np.testing.assert_allclose(smooth_grad(net, x, 0, samples=3, noise=0.0, generator=0), sharp, rtol=1e-12)

    class Rectified(nn.Module):
        def forward(self, x):
            return F.relu(x).sum(axis=(1, 2, 3)).reshape((-1, 1))

    from scipy.stats import norm
    x = np.linspace(-1, 1, 5).reshape(1, 1, 1, 5)         # range 2
    w = smooth_grad(Rectified(), x, 0, samples=20000, noise=0.25, generator=0, batch_size=5000)
    np.testing.assert_allclose(w, norm.cdf(x / 0.5), atol=0.02)


def test_smooth_grad_repeats_and_decides_on_the_clean_picture():
    net, x = network("LeNet5"), draw(3, 1, 28, 28)
    best = net(Tensor(x)).data.argmax(axis=1)
    first = smooth_grad(net, x, samples=5, generator=3, batch_size=2)
    np.testing.assert_allclose(first, smooth_grad(net, x, best, samples=5, generator=3, batch_size=2), rtol=1e-12)
    assert not np.array_equal(first, smooth_grad(net, x, samples=5, generator=4))


def test_no_target_is_the_largest_score():
    net, x = network("LeNet5"), draw(5, 1, 28, 28)
    best = net(Tensor(x)).data.argmax(axis=1)
    np.testing.assert_array_equal(saliency(net, x, batch_size=2), saliency(net, x, best, batch_size=2))
    assert len(set(best)) > 1


def test_targets_of_maps():
    """A channel's mean, a place, a region, a probability and a function, each from the output by hand."""
    y = Tensor(draw(4, 3, 5, 6))
    mask = draw(5, 6, seed=1) > 0
    expected = {
        2: y.data[:, 2].mean(axis=(1, 2)), (0, 4, -1): y.data[:, 0, 4, 5], (1, 2): y.data[:, 1, 2].mean(axis=1),
    }
    for target, scores in expected.items():
        np.testing.assert_allclose(Target("test", target, 4)(y).data, scores, rtol=1e-12)
    each = Target("test", np.array([2, 0, 1, 1]), 4)(y)
    np.testing.assert_allclose(each.data, [y.data[i, k].mean() for i, k in enumerate([2, 0, 1, 1])], rtol=1e-12)
    each = Target("test", [(2, 0, 1), (0, 4, 5), (1, 2, 2), (1, 0, -1)], 4)(y)
    np.testing.assert_array_equal(each.data, [y.data[0, 2, 0, 1], y.data[1, 0, 4, 5], y.data[2, 1, 2, 2], y.data[3, 1, 0, 5]])
    np.testing.assert_allclose(Target("test", region(1, mask), 4)(y).data, y.data[:, 1, mask].mean(axis=1), rtol=1e-12)
    p = np.exp(y.data) / np.exp(y.data).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(Target("test", probability(2), 4)(y).data, p[:, 2].mean(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_array_equal(Target("test", lambda y: y[:, 0, 0, 0], 4)(y).data, y.data[:, 0, 0, 0])


def test_each_picture_has_its_own_gradient():
    """A batch gives what its pictures give one by one, for classes and for maps."""
    for name, target in (("LeNet5", [3, 1, 4]), ("UNet", [0, 2, 1]), ("UNet", (1, 3, 5)),
                         ("UNet", [(0, 1, 2), (2, 3, 4), (1, 0, 0)])):
        net, x = network(name), draw(3, *NETS[name][2])
        together = saliency(net, x, target)
        alone = [saliency(net, x[i:i + 1], target if isinstance(target, tuple) else [target[i]]) for i in range(3)]
        np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-9, atol=1e-15)


def test_no_gradient_is_left_behind_or_overwritten():
    net, x = network("LeNet5"), draw(1, 1, 28, 28)
    net.conv1.weight.grad = Tensor(np.ones(net.conv1.weight.shape))
    before = snapshot(net)
    for look in (saliency, smooth_grad, integrated_gradients):
        look(net, x, 3)
    assert snapshot(net) == before


def test_heat_by_hand():
    a = draw(2, 3, 10, 10)
    np.testing.assert_allclose(heat(a, percentile=100), np.abs(a).max(axis=1) / np.abs(a).max(axis=(1, 2, 3))[:, None, None])
    total = np.abs(a).sum(axis=1)
    np.testing.assert_allclose(heat(a, channels="sum", percentile=90)[1], np.minimum(total[1] / np.percentile(total[1], 90), 1))
    speaks = np.maximum(a.sum(axis=1), 0)
    np.testing.assert_allclose(heat(a, channels="positive", percentile=100)[0], speaks[0] / speaks[0].max())
    assert not heat(np.zeros((1, 2, 3, 3))).any()
    rare = np.zeros((1, 1, 100, 100))
    rare[0, 0, 3, 3] = 5.0                                # the percentile is 0, and the map is shown nevertheless
    assert heat(rare)[0, 3, 3] == 1 and heat(rare).sum() == 1


LENET, UNET = (models.LeNet5, draw(2, 1, 28, 28)), (lambda: models.UNet(1, 3, 2, 1), draw(2, 1, 4, 4))


@pytest.mark.parametrize("net, target, error, match", [
    (LENET, 10, ValueError, r"target must lie in 0..9 for an output of shape \(2, 10\), got 10"),
    (LENET, -1, ValueError, "target must lie in 0..9 .* got -1"),
    (LENET, [1, 2, 3], ValueError, r"one for each of the 2 pictures, got shape \(3,\)"),
    (LENET, 1.5, TypeError, r"target must be a class index, a place \(channel, row, column\) in integers, .* got 1.5"),
    (LENET, "cat", TypeError, "got 'cat'"),
    (LENET, (1, 2.0), TypeError, r"got \(1, 2.0\)"),
    (LENET, [True, False], TypeError, r"got \[True, False\]"),
    (UNET, [(1, 0, 0)], ValueError, r"one for each of the 2 pictures, got shape \(1, 3\)"),
    (UNET, [(1, 0, 0), (1, 0, 9)], ValueError, r"target \(1, 0, 9\) must be a place"),
    (UNET, (-1, 0, 0), ValueError, r"target \(-1, 0, 0\) must be a place"),
    (LENET, (1, 0, 0), ValueError, r"target \(1, 0, 0\) must be a place in an output of shape \(N, 10\)"),
    (UNET, None, ValueError, "target must say which class, channel or place to explain, for an output of shape"),
    (UNET, (0, 4, 0), ValueError, r"must be a place in an output of shape \(N, 3, 4, 4\)"),
    (UNET, lambda y: y[:, 0], ValueError, r"for each of the 2 pictures that it was shown, shape \(2,\), got \(2, 4, 4\)"),
    (UNET, lambda y: y.sum(), ValueError, r"got \(\). Sum over all axes but the first"),
    (UNET, lambda y: 3.0, TypeError, "must return a Tensor, got float"),
    (UNET, region(0, np.ones((3, 4), bool)), ValueError, r"got mask \(3, 4\) and output \(2, 3, 4, 4\)"),
])
def test_messages_about_targets(net, target, error, match):
    with pytest.raises(error, match=match):
        saliency(net[0](), net[1], target)


def test_messages_about_numbers():
    net, x = models.LeNet5(), draw(1, 1, 28, 28)
    for call, match in [
        (lambda: smooth_grad(net, x, 0, samples=0), "samples must be at least 1, got 0"),
        (lambda: smooth_grad(net, x, 0, noise=-1), "noise must be at least 0, got -1"),
        (lambda: integrated_gradients(net, x, 0, steps=0), "steps must be at least 1, got 0"),
        (lambda: integrated_gradients(net, x, 0, baseline=np.zeros(3)), r"baseline must be a number, .* got shape \(3,\)"),
        (lambda: completeness_error(net, x, np.zeros((1, 28, 28)), 0), r"shares must have the images' shape"),
        (lambda: saliency(net, x[0], 0), r"must be a batch \(N, C, ...\)|LeNet5: input must be"),
        (lambda: region(0, np.zeros((2, 2), bool)), "at least one of them true"),
        (lambda: heat(x, channels="mean"), "channels must be one of 'max', 'sum', 'positive', got 'mean'"),
        (lambda: heat(x, percentile=101), "percentile must lie in 0..100, got 101"),
        (lambda: heat(x[0, 0]), r"attribution must hold floats \(N, C, ...\)"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
    with pytest.raises(TypeError, match="baseline must be a number or an array of them, got str"):
        integrated_gradients(net, x, 0, baseline="black")
    with pytest.raises(RuntimeError, match="does not depend on any tensor|was not used"):
        saliency(net, x, lambda y: Tensor(np.zeros(1)))
