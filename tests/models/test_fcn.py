"""Fully convolutional networks: dense layers as convolutions give the dense layers' numbers; published counts; geometry."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, manual_seed, models, nn, no_grad
from tinyvision.gradcheck import check_network
from tinyvision.models.fcn import enlarger


def count(module):
    return sum(p.size for p in module.parameters())


def drawn(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def plain_count(classes, inputs, base, hidden, k, norm, convs=(2, 2, 3, 3, 3)):
    """VGG's plan, layer by layer."""
    total, before = 0, inputs
    for width, n in zip((1, 2, 4, 8, 8), convs):
        for _ in range(n):
            total += 9 * before * width * base + (2 if norm else 1) * width * base
            before = width * base
    return total + 8 * base * k * k * hidden + hidden + hidden * hidden + hidden + hidden * classes + classes


@pytest.mark.parametrize("options", [(7, 3, 4, 24, 2, True), (10, 1, 2, 8, 1, False)], ids=str)
def test_plain_counts(options):
    classes, inputs, base, hidden, k, norm = options
    assert count(models.PlainNet(classes, inputs, base, hidden, k, norm=norm)) == plain_count(*options)


def test_the_papers_sizes():
    """VGG-16 has 138,357,544 weights (torchvision's table), FCN of it 134 M (Long et al. 2015, table 1)."""
    assert plain_count(1000, 3, 64, 4096, 7, False) == 138_357_544
    assert plain_count(21, 3, 64, 4096, 7, False) == 134_346_581
    assert "134,346,581" in models.fcn.__doc__ and "138,357,544" in models.PlainNet.__doc__


@pytest.mark.parametrize("stride, levels", [(32, 0), (16, 1), (8, 2)])
def test_fcn_counts(stride, levels):
    """The classifier as convolutions, scores of one or two finer stages, a kernel for each class and enlarging."""
    finer = sum((w * 4 + 1) * 6 for w in (8, 4)[:levels])
    extra = finer + levels * 6 * 16 + 6 * (2 * stride) ** 2
    assert count(models.FCN(6, stride, 3, 4, 32, 3)) == plain_count(6, 3, 4, 32, 3, True) + extra


@pytest.mark.parametrize("size", [1, 3, (2, 3)])
def test_dense_layers_are_convolutions(size):
    """On its own map the dense layer's numbers, on a larger one those of the dense layer at every window."""
    height, width = (size, size) if isinstance(size, int) else size
    dense, x = nn.Linear(4 * height * width, 5).double(), np.random.default_rng(0).standard_normal((2, 4, 5, 6))
    conv = models.dense_to_conv(dense, size).double()
    y = conv(Tensor(x)).data
    assert y.shape == (2, 5, 6 - height, 7 - width)
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            window = x[:, :, i:i + height, j:j + width].reshape(2, -1)
            right = window @ dense.weight.numpy().T + dense.bias.numpy()
            np.testing.assert_allclose(y[:, :, i, j], right, rtol=1e-6, atol=1e-7)


def test_the_whole_classifier_as_convolutions():
    """The logits of a PlainNet, and a map of them where the picture is larger; the copies are copies."""
    manual_seed(0)
    net = models.PlainNet(5, base_channels=2, hidden=16, kernel_size=2).eval()
    dense = [layer for layer in net.classifier if isinstance(layer, nn.Linear)]
    convs = [models.dense_to_conv(layer, size) for layer, size in zip(dense, (2, 1, 1))]
    head = nn.Sequential(convs[0], nn.ReLU(), convs[1], nn.ReLU(), convs[2])
    with no_grad():
        def features(x):
            for stage in net.stages:
                x = F.max_pool2d(stage(x), 2)
            return x
        x = drawn(2, 3, 64, 64)
        y = head(features(x))
        assert y.shape == (2, 5, 1, 1)
        np.testing.assert_allclose(y.data[:, :, 0, 0], net(x).data, atol=1e-5)
        f = features(drawn(1, 3, 96, 128, seed=1))
        y = head(f).data
        assert y.shape == (1, 5, 2, 3)
        for i, j in ((0, 0), (0, 2), (1, 1)):
            np.testing.assert_allclose(y[:, :, i, j], net.classifier(f[:, :, i:i + 2, j:j + 2]).data, atol=1e-5)
        before = dense[0].weight.numpy().copy()
        convs[0].weight[...] = 0
    np.testing.assert_array_equal(dense[0].weight.numpy(), before)


def test_from_classifier():
    """The middle score of FCN-32 on the classifier's picture is the classifier's answer (k = 1: one place, no padding)."""
    manual_seed(0)
    net = models.PlainNet(5, base_channels=2, hidden=16, kernel_size=1)
    model = models.FCN.from_classifier(net, 5, 32).eval()
    x = drawn(2, 3, 32, 32)
    with no_grad():
        scores = net.eval()(x).data
        y = model(x).data
    for i, j in ((15, 15), (16, 16)):                     # the bilinear kernel is 1 - 0.5 / 32 along each axis there
        np.testing.assert_allclose(y[:, :, i, j], scores * (1 - 0.5 / 32) ** 2, rtol=1e-4, atol=1e-6)
    assert [n.shape for n in models.FCN.from_classifier(net, 9, 8).score.parameters()] == [(9, 16, 1, 1), (9,)]
    for p, q in zip(net.stages.parameters(), model.stages.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
        assert p is not q


def test_finer_networks_begin_coarse():
    """The scores that FCN-8 adds begin as zeros: its answer is the coarse score, enlarged 2 x 2 x 8 times."""
    manual_seed(0)
    model, x = models.FCN(4, 8, 3, 2, 8).eval(), drawn(1, 3, 64, 64)
    seen = []
    with no_grad(), model.score.register_forward_hook(lambda module, args, output: seen.append(output)):
        y = model(x).data
        z = seen[0]
        for factor in (2, 2, 8):
            z = enlarger(4, factor)(z)
    np.testing.assert_allclose(y, z.data, atol=1e-6)


def test_last_enlarging_is_not_learned():
    names = [name for name, p in models.FCN(4, 8, 3, 2, 8).named_parameters() if not p.requires_grad]
    assert names == ["enlarge.weight"]


def test_gradients_of_fcn():
    manual_seed(0)
    model = models.FCN(3, 8, 1, 1, 4, 1, convs=(1, 1, 1, 1, 1), dropout=0.0)
    with no_grad():
        for conv in model.finer:                          # zeros would hide the gradients behind them
            conv.weight[...] = 0.3
    assert check_network(model, np.random.default_rng(0).standard_normal((2, 1, 64, 64)))


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "FCN: stride must be one of 8, 16, 32, got 4", lambda: models.FCN(5, 4)),
    (ValueError, "FCN: kernel_size must be odd.*got 2", lambda: models.FCN(5, kernel_size=2)),
    (ValueError, r"FCN: height and width must be multiples of 32, got \(48, 64\). Pad or resize to \(64, 64\)",
     lambda: models.FCN(5, base_channels=1)(drawn(1, 3, 48, 64))),
    (ValueError, r"FCN: input must be \(N, 3, H, W\), got shape \(3, 64, 64\)",
     lambda: models.FCN(5, base_channels=1)(drawn(3, 64, 64))),
    (ValueError, r"PlainNet: pictures must be 64x64 for kernel_size=2, got \(32, 32\)",
     lambda: models.PlainNet(5, base_channels=1)(drawn(1, 3, 32, 32))),
    (ValueError, r"dense_to_conv: in_features must be a multiple of the map's 9 pixels, got in_features=10",
     lambda: models.dense_to_conv(nn.Linear(10, 2), 3)),
    (TypeError, "dense_to_conv: linear must be a Linear layer, got Conv2d", lambda: models.dense_to_conv(nn.Conv2d(1, 1, 1))),
    (TypeError, "from_classifier: net must be a PlainNet, got LeNet5", lambda: models.FCN.from_classifier(models.LeNet5(), 3)),
])
def test_fcn_refuses(error, words, call):
    with pytest.raises(error, match=words):
        call()
