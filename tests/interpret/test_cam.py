"""Grad-CAM against its formula and the weights of a pooling head; occlusion against a loop that covers and counts."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, models, nn
from tinyvision.interpret import grad_cam, occlusion, probability, region

from .nets import NETS, draw, network, snapshot, stack, twins


def test_class_activation_map_of_a_pooling_head():
    """A mean and a linear layer behind the maps: a_k is the class's weight by the number of places."""
    net, x = network("resnet20"), draw(2, 3, 16, 16)
    net.train()
    before = snapshot(net)
    maps = grad_cam(net, x, "layer3", [3, 8], upsample=False)
    assert snapshot(net) == before
    net.eval()
    from tinyvision.interpret import activations
    A = activations(net, x, "layer3")                     # (2, 64, 4, 4)
    weight = net.linear.weight.data[[3, 8]] / 16
    np.testing.assert_allclose(maps, np.maximum(np.einsum("nk,nkij->nij", weight, A), 0), rtol=1e-9, atol=1e-12)
    assert maps.any()


@pytest.mark.parametrize("name, layer", [("LeNet5", "conv2"), ("resnet20", "layer2.1"), ("UNet", "down.2")])
def test_grad_cam_against_torch(name, layer):
    torch = pytest.importorskip("torch")
    net, twin, x = twins(name)
    found = {}

    def keep(module, args, y):
        y.retain_grad()
        found["A"] = y

    twin.get_submodule(layer).register_forward_hook(keep)
    score = twin(torch.from_numpy(x))[:, 1]
    (score.mean(dim=(1, 2)) if score.ndim > 1 else score).sum().backward()
    A = found["A"]
    raw = torch.relu((A.grad.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1))
    np.testing.assert_allclose(grad_cam(net, x, layer, 1, upsample=False), raw.detach().numpy(), rtol=1e-9, atol=1e-14)
    large = torch.nn.functional.interpolate(raw[:, None], x.shape[2:], mode="bilinear")[:, 0]
    np.testing.assert_allclose(grad_cam(net, x, layer, 1, batch_size=2), large.detach().numpy(), rtol=1e-9, atol=1e-14)


def test_grad_cam_of_a_region_and_of_signals():
    net, x = network("UNet"), draw(1, 2, 12, 16)
    mask = np.zeros((12, 16), bool)
    mask[:4, :4] = True
    maps = grad_cam(net, x, "down.1", region(1, mask))
    assert maps.shape == (1, 12, 16) and maps.any() and maps.min() >= 0
    signals = stack(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(3, 2))
    assert grad_cam(signals, draw(2, 2, 9), "1", 0).shape == (2, 9)


def covered_by_loops(net, x, score, size, stride, value):
    """For every place of the cover the loss of the score, and for every pixel the mean over the covers above it."""
    lost, count = np.zeros((len(x), *x.shape[2:])), np.zeros(x.shape[2:])
    H, W = x.shape[2:]
    rows = sorted(set(list(range(0, H - size[0] + 1, stride[0])) + [H - size[0]]))
    columns = sorted(set(list(range(0, W - size[1] + 1, stride[1])) + [W - size[1]]))
    for i in rows:
        for j in columns:
            copy = x.copy()
            copy[:, :, i:i + size[0], j:j + size[1]] = np.broadcast_to(value, x.shape)[:, :, i:i + size[0], j:j + size[1]]
            drop = score(net(Tensor(x)).data) - score(net(Tensor(copy)).data)
            lost[:, i:i + size[0], j:j + size[1]] += drop[:, None, None]
            count[i:i + size[0], j:j + size[1]] += 1
    return lost / count


@pytest.mark.parametrize("name, size, stride, value", [
    ("LeNet5", 9, None, 0.0), ("UNet", (5, 3), (2, 3), 0.7), ("UNet", (12, 16), 1, draw(2, 1, 1)), ("UNet", 4, 4, -1.0)])
def test_occlusion_against_loops(name, size, stride, value):
    net, x = network(name), draw(2, *NETS[name][2])
    k = [1, 2]
    def score(y):
        return y.reshape(*y.shape[:2], -1).mean(axis=2)[[0, 1], k]
    pair = (size, size) if isinstance(size, int) else size
    steps = (4, 4) if stride is None else (stride, stride) if isinstance(stride, int) else stride
    expected = covered_by_loops(net, x, score, pair, steps, value)
    found = occlusion(net, x, k, size=size, stride=stride, value=value, batch_size=7)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert np.abs(found).max() > 0


def test_occlusion_of_a_probability_and_of_a_signal():
    net, x = network("LeNet5"), draw(1, 1, 28, 28)
    lost = occlusion(net, x, probability(3), size=14)
    p = F.softmax(net(Tensor(x)), dim=1).data[0, 3]
    assert lost.shape == (1, 28, 28) and p - 1 <= lost.min() and lost.max() <= p
    signals = stack(nn.Flatten(), nn.Linear(6, 1, bias=False))
    x = draw(1, 1, 6)
    np.testing.assert_allclose(occlusion(signals, x, 0, size=1), x[:, 0] * signals[1].weight.data)


def test_messages_of_cam_and_occlusion():
    net, x = models.LeNet5(), draw(1, 1, 28, 28)
    for call, match in [
        (lambda: grad_cam(net, x, "fc1", 0), r"the output of 'fc1' must be maps \(N, C, ...\), got shape \(1, 120\)"),
        (lambda: grad_cam(net, x, "conv3", 0), "LeNet5 has no layer 'conv3'"),
        (lambda: occlusion(net, x, 0, size=29), r"size must not exceed the picture, got size \(29, 29\) for \(28, 28\)"),
        (lambda: occlusion(net, x, 0, size=4, stride=5), "stride must not exceed size"),
        (lambda: occlusion(net, x, 0, size=0), "size must be at least 1"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
    with pytest.raises(TypeError, match="upsample must be True or False, got 1"):
        grad_cam(net, x, "conv1", 0, upsample=1)
