"""The painting network: conditional norms by PyTorch, its plan, styles by number and by share, and that it learns them."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, manual_seed, no_grad
from tinyvision.gradcheck import check_module, check_network
from tinyvision.style import ConditionalInstanceNorm2d, RandomFeatures, StyleFeatures, StyleNet, train_styles


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def test_conditional_norm_is_pytorchs_for_each_style():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    norm, x = ConditionalInstanceNorm2d(4, 3).double(), rng.standard_normal((5, 4, 6, 7))
    norm.weight.data, norm.bias.data = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    numbers = np.array([2, 0, 1, 1, 2])
    y = norm(Tensor(x), np.eye(3)[numbers]).data
    for n, k in enumerate(numbers):
        right = torch.nn.functional.instance_norm(torch.tensor(x[n:n + 1]), weight=torch.tensor(norm.weight.numpy()[k]),
                                                  bias=torch.tensor(norm.bias.numpy()[k]))
        np.testing.assert_allclose(y[n], right[0].numpy(), rtol=1e-9, atol=1e-10)


def test_gradients_of_conditional_norm():
    rng = np.random.default_rng(0)
    assert check_module(ConditionalInstanceNorm2d(2, 3), rng.standard_normal((2, 2, 3, 4)), rng.random((2, 3)), order=2)


def test_style_net_counts():
    """Convolutions with biases, and two numbers for each style and map after all but the last."""
    for styles, c, blocks, size in ((3, 4, 1, 9), (1, 2, 3, 3)):
        convs = [(3, c, size ** 2), (c, 2 * c, 9), (2 * c, 4 * c, 9), *[(4 * c, 4 * c, 9)] * (2 * blocks), (4 * c, 2 * c, 9),
                 (2 * c, c, 9)]
        right = sum(a * b * k + b + 2 * styles * b for a, b, k in convs) + c * 3 * size ** 2 + 3
        assert sum(p.size for p in StyleNet(styles, c, blocks, 2, size).parameters()) == right


def test_gradients_of_style_net():
    manual_seed(0)
    assert check_network(StyleNet(2, 2, 1, 2), np.random.default_rng(0).random((2, 3, 8, 12)), np.array([1, 0]))


def test_styles_by_number_and_by_share():
    manual_seed(0)
    net, x = StyleNet(3, 4, 1), Tensor(drawn(2, 3, 16, 12))
    with no_grad():
        for p in net.parameters():                        # norms that differ by style
            p.data = np.random.default_rng(p.size).normal(scale=0.3, size=p.shape).astype("f4")
        y = net(x, [2, 0]).data
        np.testing.assert_allclose(net(x, 2).data[0], y[0], atol=1e-6)
        np.testing.assert_allclose(net(x, [0.0, 0.0, 1.0]).data[0], y[0], atol=1e-6)
        np.testing.assert_allclose(net(x, np.array([[0, 0, 1.0], [1, 0, 0]])).data, y, atol=1e-6)
        assert np.abs(net(x, 1).data - net(x, 2).data).max() > 1e-3
        near, far = (np.abs(net(x, [1 - a, a, 0.0]).data - net(x, 0).data).mean() for a in (0.1, 0.9))
    assert 0 < near < far and y.min() > 0 and y.max() < 1


def test_mixtures_mix_the_norms():
    """Between two styles the scales and shifts are the means of theirs."""
    net, x = ConditionalInstanceNorm2d(2, 2), drawn(1, 2, 4, 4)
    net.weight.data, net.bias.data = np.array([[1, 2], [3, 4]], "f4"), np.array([[0, 1], [2, 5]], "f4")
    half = net(Tensor(x), np.array([[0.5, 0.5]], "f4")).data
    both = [net(Tensor(x), np.eye(2, dtype="f4")[[k]]).data for k in (0, 1)]
    np.testing.assert_allclose(half, (both[0] + both[1]) / 2, atol=1e-6)


def test_it_learns_two_styles():
    """A red and a blue picture as styles: pictures become reddish or bluish as asked, and the loss falls."""
    manual_seed(0)
    contents = F.interpolate(Tensor(drawn(8, 3, 4, 4)), size=(16, 16), mode="bilinear").data
    styles = [np.clip(np.array(c, "f4").reshape(3, 1, 1) + 0.2 * drawn(3, 16, 16, seed=k) - 0.1, 0, 1)
              for k, c in enumerate(([0.9, 0.2, 0.2], [0.2, 0.2, 0.9]))]
    features = StyleFeatures(RandomFeatures(16, 2, generator=0), "stages.1", ["stages.0", "stages.1"])
    net = StyleNet(2, 8, 1)
    before = [p.numpy().copy() for p in features.model.parameters()]
    told = []
    history = train_styles(net, contents, styles, features, steps=300, batch_size=4, lr=0.005, generator=0,
                           callback=lambda step, loss: told.append(step))
    assert np.mean(history[-10:]) < 0.25 * history[0] and told == list(range(300))
    with no_grad():
        red, blue = (net.eval()(Tensor(contents), k).data.mean(axis=(0, 2, 3)) for k in (0, 1))
    assert red[0] > red[2] + 0.3 and blue[2] > blue[0] + 0.3
    assert all(np.array_equal(p.numpy(), q) for p, q in zip(features.model.parameters(), before))


def test_training_repeats():
    contents, styles, ends = drawn(4, 3, 16, 16), [drawn(3, 16, 16, seed=1)], []
    for _ in range(2):
        manual_seed(5)
        ends.append(train_styles(StyleNet(1, 2, 1), contents, styles, steps=3, batch_size=2, generator=1))
    assert ends[0] == ends[1]


def test_a_mixture_has_a_gradient():
    """By central differences, along a random direction."""
    net, x = StyleNet(3, 2, 1).double(), Tensor(drawn(2, 3, 8, 8).astype("f8"))
    rng = np.random.default_rng(0)
    for p in net.parameters():
        p.data = p.data + rng.normal(0, 0.1, p.shape)
    s, way, g = rng.random((2, 3)), rng.standard_normal((2, 3)), rng.standard_normal((2, 3, 8, 8))
    style = Tensor(s, requires_grad=True)
    y = net(x, style)
    np.testing.assert_array_equal(y.data, net(x, s).data)
    y.backward(Tensor(g))
    ahead, behind = (float((net(x, s + h * way).data * g).sum()) for h in (1e-6, -1e-6))
    np.testing.assert_allclose((style.grad.data * way).sum(), (ahead - behind) / 2e-6, rtol=1e-5)


@pytest.mark.parametrize("words, call", [
    (r"StyleNet: input must be \(N, 3, H, W\), H and W multiples of 4",
     lambda: StyleNet(2, 2, depth=2)(Tensor(drawn(1, 3, 10, 12)), 0)),
    ("StyleNet: kernel_size must be odd, got 4", lambda: StyleNet(2, kernel_size=4)),
    ("StyleNet: style must be a number from 0 to 1, got 2", lambda: StyleNet(2, 2)(Tensor(drawn(1, 3, 8, 8)), 2)),
    (r"StyleNet: style must be a number, \(1,\) numbers, or shares \(2,\)",
     lambda: StyleNet(2, 2)(Tensor(drawn(1, 3, 8, 8)), [0.1, 0.2, 0.7])),
    ("train_styles: net must be a StyleNet with a style for each picture, got StyleNet and 1 styles",
     lambda: train_styles(StyleNet(2, 2), drawn(2, 3, 16, 16), [drawn(3, 16, 16)])),
    ("train_styles: lr must be above 0", lambda: train_styles(StyleNet(1, 2), drawn(2, 3, 16, 16), [drawn(3, 16, 16)], lr=0)),
    ("ConditionalInstanceNorm2d: input must be .*and style",
     lambda: ConditionalInstanceNorm2d(2, 3)(Tensor(drawn(1, 2, 4, 4)), np.eye(2))),
])
def test_style_network_refuses(words, call):
    with pytest.raises(ValueError, match=words):
        call()
