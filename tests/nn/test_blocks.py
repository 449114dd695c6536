"""Residual blocks: names and shapes as published, Y = F(x) + x, and the sum itself."""

import numpy as np
import pytest

import tinyvision.functional as F
import tinyvision.nn as nn
from tinyvision import Tensor, no_grad


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


BN = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]


def keys(*parts):
    return [f"{part}.{name}" for part in parts for name in (BN if "bn" in part or part.endswith(".1") else ["weight"])]


@pytest.mark.parametrize("block, args, parts", [
    (nn.BasicBlock, (8, 8), ["conv1", "bn1", "conv2", "bn2"]),
    (nn.BasicBlock, (8, 16, 2), ["conv1", "bn1", "conv2", "bn2", "downsample.0", "downsample.1"]),
    (nn.BasicBlock, (8, 16), ["conv1", "bn1", "conv2", "bn2", "downsample.0", "downsample.1"]),
    (nn.Bottleneck, (32, 8), ["conv1", "bn1", "conv2", "bn2", "conv3", "bn3"]),
    (nn.Bottleneck, (16, 8, 2), ["conv1", "bn1", "conv2", "bn2", "conv3", "bn3", "downsample.0", "downsample.1"]),
    (nn.PreActivationBlock, (8, 16, 2), ["bn1", "conv1", "bn2", "conv2", "downsample"]),
    (nn.PreActivationBlock, (8, 8), ["bn1", "conv1", "bn2", "conv2"]),
])
def test_keys_and_shapes(block, args, parts):
    layer = block(*args)
    assert list(layer.state_dict()) == keys(*parts)
    stride = args[2] if len(args) == 3 else 1
    for size in (8, 9):
        out = -(-size // stride)
        assert layer(Tensor(draw(2, args[0], size, size).astype("float32"))).shape == (2, args[1] * block.expansion, out, out)


def test_parameter_counts_as_published():
    """ResNet-18's and ResNet-50's blocks: 3x3x64x64 twice and two batch norms; 64-64-256 with a projection."""
    assert sum(p.size for p in nn.BasicBlock(64, 64).parameters()) == 2 * 9 * 64 * 64 + 2 * 2 * 64
    expected = 64 * 64 + 9 * 64 * 64 + 64 * 256 + 2 * (64 + 64 + 256) + 64 * 256 + 2 * 256
    assert sum(p.size for p in nn.Bottleneck(64, 64).parameters()) == expected == 75_008


@pytest.mark.parametrize("stride", [1, 2])
def test_bottleneck_strides_in_its_3x3(stride):
    block = nn.Bottleneck(8, 4, stride)
    assert (block.conv1.stride, block.conv2.stride, block.conv3.stride) == ((1, 1), (stride, stride), (1, 1))
    assert [block.conv1.kernel_size, block.conv2.kernel_size, block.conv3.kernel_size] == [(1, 1), (3, 3), (1, 1)]


@pytest.mark.parametrize("block, last", [(nn.BasicBlock(4, 4), "bn2"), (nn.Bottleneck(16, 4), "bn3"),
                                         (nn.PreActivationBlock(4, 4), "conv2")])
def test_a_block_whose_f_is_zero_is_the_identity(block, last):
    """Y = F(x) + x: with F = 0 the input comes out, after the ReLU of the post-activation blocks."""
    with no_grad():
        getattr(block, last).weight[...] = 0
    x = draw(2, 16 if last == "bn3" else 4, 5, 5).astype("float32")
    expected = x if last == "conv2" else np.maximum(x, 0)
    assert (block(Tensor(x)).data == expected).all()


def by_hand(block, x, names):
    """conv and batch norm from the parts' own numbers, in NumPy but for the convolution."""
    for conv, bn in names:
        m = getattr(block, bn)
        x = F.conv2d(x, getattr(block, conv).weight.data, None, getattr(block, conv).stride, getattr(block, conv).padding)
        mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
        x = (x - mean) / np.sqrt(var + 1e-5) * m.weight.data.reshape(1, -1, 1, 1) + m.bias.data.reshape(1, -1, 1, 1)
        x = x if bn == names[-1][1] else np.maximum(x, 0)
    return x


@pytest.mark.parametrize("block, names", [
    (nn.BasicBlock(4, 4), [("conv1", "bn1"), ("conv2", "bn2")]),
    (nn.Bottleneck(16, 4), [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3")]),
])
def test_forward_by_hand(block, names):
    block.double()
    rng = np.random.default_rng(3)
    for p in block.parameters():
        p.data = rng.normal(size=p.shape)
    x = draw(3, 4 if len(names) == 2 else 16, 5, 6)
    np.testing.assert_allclose(block(Tensor(x)).data, np.maximum(by_hand(block, x, names) + x, 0), rtol=1e-9, atol=1e-9)


def normalised_relu(x):
    mean, var = x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)
    return np.maximum((x - mean) / np.sqrt(var + 1e-5), 0)


@pytest.mark.parametrize("channels, stride", [(4, 1), (6, 2)])
def test_pre_activation_by_hand(channels, stride):
    """He et al. 2016, figure 4(e): the shortcut takes x itself, or, projected, the activated x."""
    block, x = nn.PreActivationBlock(4, channels, stride).double(), draw(3, 4, 6, 6)
    a = normalised_relu(x)
    y = F.conv2d(a, block.conv1.weight.data, None, stride, 1)
    y = F.conv2d(normalised_relu(y), block.conv2.weight.data, None, 1, 1)
    y = y + (x if stride == 1 else F.conv2d(a, block.downsample.weight.data, None, stride))
    np.testing.assert_allclose(block(Tensor(x)).data, y, rtol=1e-9, atol=1e-9)


def test_a_shortcut_of_one_s_own():
    """Option A of He et al. 2015: pixels skipped, missing channels zero, nothing learned."""
    class Skip(nn.Module):
        def forward(self, x):
            return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))

    block = nn.BasicBlock(4, 8, 2, downsample=Skip())
    assert list(block.state_dict()) == keys("conv1", "bn1", "conv2", "bn2")
    assert block(Tensor(draw(2, 4, 6, 6).astype("float32"))).shape == (2, 8, 3, 3)


@pytest.mark.parametrize("block, channels, parts", [(nn.BasicBlock(4, 8, 2), 4, 6), (nn.Bottleneck(8, 4, 2), 8, 8),
                                                    (nn.PreActivationBlock(4, 8, 2), 4, 5)])
def test_every_part_learns(block, channels, parts):
    x = Tensor(draw(2, channels, 6, 6).astype("float32"), requires_grad=True)
    y = block(x)
    y.backward(draw(*y.shape, seed=1).astype("float32"))
    assert all((p.grad.data != 0).any() for p in block.parameters()) and (x.grad.data != 0).any()
    assert sum(not list(m.children()) for m in block.modules()) == parts
