"""Saliency, guided backpropagation and deconvnet against PyTorch, where each ReLU is written by hand with its rule."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, grad, manual_seed, models, nn
from tinyvision.interpret import deconvnet, guided_backprop, saliency
from tinyvision.interpret.rules import RULES, apply_rule, exchange
from tinyvision.nn.pooling import relu_pool

from .nets import NETS, draw, snapshot, stack, twins


def ruled_relu(torch, rule):
    """relu as a function of PyTorch with a backward of ours."""
    class Rectifier(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            forward, backward = (x > 0).to(g.dtype), (g > 0).to(g.dtype)
            return {"gradient": g * forward, "deconvnet": g * backward, "guided": g * forward * backward}[rule]
    return lambda x, inplace=False: Rectifier.apply(x)


def by_torch(torch, monkeypatch, twin, x, score, rule):
    monkeypatch.setattr(torch.nn.functional, "relu", ruled_relu(torch, rule))        # nn.ReLU calls it as well
    x = torch.tensor(x, requires_grad=True)
    score(twin(x)).backward()
    return x.grad.numpy()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETS)
def test_rules_against_torch(name, rule, monkeypatch):
    """A classifier with nn.ReLU, one with functional.relu after sums, a U-Net whose pooling and concatenation lie between."""
    torch = pytest.importorskip("torch")
    net, twin, x = twins(name)
    before = snapshot(net.train())
    if name == "UNet":
        ours, score = saliency(net, x, 2, rule=rule), lambda y: y[:, 2].mean(dim=(1, 2)).sum()
    else:
        ours, score = saliency(net, x, [7, 0, 3], rule=rule), lambda y: y[torch.arange(3), torch.tensor([7, 0, 3])].sum()
    theirs = by_torch(torch, monkeypatch, twin, x, score, rule)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12 * np.abs(theirs).max())
    assert np.abs(theirs).max() > 0 and snapshot(net) == before


@pytest.mark.parametrize("rule", [*RULES, "open"])
def test_a_rectifier_joined_with_a_maximum_follows_the_rules(rule):
    """In training a maximum and its ReLU are one op: what it hands back is what the two would."""
    x = Tensor(draw(2, 3, 6, 6) + 0.01, requires_grad=True)
    joined, apart = relu_pool(nn.ReLU(), nn.MaxPool2d(2), x), F.relu(F.max_pool2d(x, 2))
    assert joined.op.relu and not apart.op.inputs[0].op.relu
    g = draw(2, 3, 3, 3)
    for y in (joined, apart):
        assert exchange(y, rule) == (rule != "gradient")
    ours, theirs = (grad(y, x, g)[0].data for y in (joined, apart))
    np.testing.assert_array_equal(ours, theirs)
    assert np.abs(ours).max() > 0


def test_rules_differ_and_have_names():
    net, x = NETS["LeNet5"][0](), draw(2, 1, 28, 28)
    maps = [saliency(net, x, 1), guided_backprop(net, x, 1), deconvnet(net, x, 1)]
    np.testing.assert_array_equal(maps[1], saliency(net, x, 1, rule="guided"))
    np.testing.assert_array_equal(maps[2], saliency(net, x, 1, rule="deconvnet"))
    assert len({m.tobytes() for m in maps}) == 3


def backward_by_hand(rule, g, y):
    """What a rectifier with output y hands back."""
    return {"gradient": g * (y > 0), "guided": np.maximum(g, 0) * (y > 0), "deconvnet": np.maximum(g, 0)}[rule]


WRITTEN = {                                               # the same rectifier, written in every way that there is
    "nn.ReLU": lambda z: nn.ReLU()(z), "F.relu": F.relu, "clip": lambda z: z.clip(0), "maximum": lambda z: np.maximum(z, 0.0),
    "maximum, turned round": lambda z: np.maximum(0.0, z), "threshold": lambda z: F.threshold(z, 0.0, 0.0), "relu6": F.relu6,
    "leaky, slope 0": lambda z: F.leaky_relu(z, 0.0),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("way", WRITTEN)
def test_every_way_to_write_a_relu(way, rule):
    x, u = Tensor(draw(4, 5), requires_grad=True), draw(4, 5, seed=1)
    y = WRITTEN[way](x * 1.0)
    s = (y * u).sum()
    assert apply_rule("test", s, rule) == (rule != "gradient")
    (g,) = grad(s, x)
    np.testing.assert_allclose(g.data, backward_by_hand(rule, u, y.data), rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["Sequential", "BasicBlock", "Bottleneck"])
def test_joined_with_batch_norm_and_sum(name, rule):
    """In training batch norm, sum and ReLU are one operation: the same as one by one, which hooks enforce."""
    manual_seed(0)
    net = {"Sequential": lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1)),
           "BasicBlock": lambda: nn.BasicBlock(4, 4), "Bottleneck": lambda: nn.Bottleneck(4, 2, 2)}[name]().double()
    found = []
    for plain in (False, True):
        handles = [m.register_forward_hook(lambda *_: None) for m in net.modules()] if plain else []
        x = Tensor(draw(3, 4, 6, 6), requires_grad=True)
        y = net(x)
        s = (y * draw(*y.shape, seed=1)).sum()
        count = apply_rule("test", s, rule)
        found.append((count, grad(s, x)[0].data))
        for handle in handles:
            handle.remove()
    assert found[0][0] == found[1][0] == (0 if rule == "gradient" else {"Sequential": 1, "BasicBlock": 2, "Bottleneck": 3}[name])
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-9, atol=1e-12)


def test_rules_of_the_second_order():
    """The other rule can be differentiated: deconvnet's map is piecewise linear in the weight above."""
    x, w = Tensor(draw(6), requires_grad=True), Tensor(draw(6, seed=1), requires_grad=True)
    s = (F.relu(x * 1.0) * w).sum()
    apply_rule("test", s, "deconvnet")
    (g,) = grad(s, x, create_graph=True)
    u = draw(6, seed=2)
    np.testing.assert_allclose(grad((g * u).sum(), w)[0].data, u * (w.data > 0))


def test_other_passes_are_not_touched():
    net, x = stack(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), draw(5, 3)
    before = grad(net(Tensor(x)).sum(), net[0].weight)[0].data
    guided_backprop(nn.Sequential(nn.Flatten(), net), x[:, :, None], 1)
    np.testing.assert_array_equal(before, grad(net(Tensor(x)).sum(), net[0].weight)[0].data)


def test_smooth_activations_keep_their_gradient():
    x = Tensor(draw(7), requires_grad=True)
    s = (F.relu(F.tanh(x)) * draw(7, seed=1)).sum()
    apply_rule("test", s, "guided")
    y = np.tanh(x.data)
    np.testing.assert_allclose(grad(s, x)[0].data, backward_by_hand("guided", draw(7, seed=1), y) * (1 - y * y))


def test_rules_need_a_rectifier_and_a_name():
    net = models.LeNet5(classic=True)
    with pytest.raises(ValueError, match="the rule 'guided' is about ReLUs, and none stands before"):
        guided_backprop(net, draw(1, 1, 28, 28), 0)
    with pytest.raises(ValueError, match="rule must be one of 'gradient', 'guided', 'deconvnet', got 'relu'"):
        saliency(net, draw(1, 1, 28, 28), 0, rule="relu")
