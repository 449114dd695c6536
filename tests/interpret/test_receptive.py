"""Receptive fields against brute force: change one pixel after the other, and see which values of the layer change."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, concatenate, models, nn, no_grad
from tinyvision.interpret import activations, measured_field, receptive_field

from .nets import draw, stack


class Branches(nn.Module):
    """A sum and a concatenation of branches of different fields and strides, with the shortcut of the CIFAR networks."""

    def __init__(self):
        self.a, self.b = nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.Conv2d(2, 3, (1, 5), padding=(0, 2))
        self.c = nn.Conv2d(6, 2, 2)

    def forward(self, x):
        a, b = self.a(x), self.b(x)[:, :, ::2, ::2]
        b = F.pad(b[:, :2], (0, 0, 0, 0, 0, 1))
        return self.c(concatenate([a + b, a], axis=1))


class Upward(nn.Module):
    """Down, and up again beyond the size before."""

    def __init__(self, mode):
        self.down, self.mode = nn.Conv2d(1, 2, 3, stride=2, padding=1), mode
        self.up = nn.ConvTranspose2d(2, 1, 3, stride=2, padding=1, output_padding=1, dilation=1)

    def forward(self, x):
        x = self.down(x)
        return self.up(x) if self.mode == "transposed" else F.interpolate(x, scale_factor=2, mode=self.mode)


class Odd(nn.Module):
    """Moves of elements: pixel shuffle, transposition twice, flips, unfold."""

    def __init__(self, way):
        self.conv, self.way = nn.Conv2d(1, 4, 3, padding=1), way

    def forward(self, x):
        x = self.conv(x)
        if self.way == "shuffle":
            return F.pixel_shuffle(x, 2)
        if self.way == "unshuffle":
            return F.pixel_unshuffle(x, 2)
        if self.way == "flip":
            return F.max_pool2d(np.flip(x, 2), 2)
        if self.way == "unfold":
            N, C, H, W = x.shape
            return F.unfold(x, 3, dilation=2).reshape((N, C * 9, H - 4, W - 4))
        if self.way == "reflect":
            return F.avg_pool2d(F.pad(x, (2, 1, 3, 0), mode="reflect"), 2)
        if self.way == "repeat":
            return np.repeat(x, 2, axis=3)
        if self.way == "channels last":                   # a linear layer and a norm for each pixel
            x = F.layer_norm(np.moveaxis(x, 1, 3), 4)
            return np.moveaxis(F.linear(x, Tensor(draw(4, 4, seed=4))), 3, 1)
        if self.way == "rows":                            # each row by itself: a matrix product, a softmax, a mean
            return F.softmax(x @ Tensor(draw(x.shape[3], 5, seed=4)), dim=3)
        return np.where(Tensor(draw(*x.shape[1:], seed=5) > 0), x.transpose(0, 1, 3, 2).transpose(0, 1, 3, 2), -x) ** 3


def conv(*args, **kwargs):
    return nn.Conv2d(*args, **kwargs)


STACKS = {                                                # network, picture
    "one convolution": (lambda: stack(conv(1, 2, 3)), (1, 8, 9)),
    "padding": (lambda: stack(conv(1, 2, 3, padding=1), conv(2, 2, 5, padding=2)), (1, 9, 8)),
    "stride that does not divide": (lambda: stack(conv(1, 2, 3, stride=2), conv(2, 2, 3, padding=1)), (1, 12, 10)),
    "dilation": (lambda: stack(conv(1, 2, 3, dilation=2), conv(2, 1, 2, dilation=(1, 3))), (1, 9, 12)),
    "not square": (lambda: stack(conv(2, 2, (1, 4), stride=(1, 3)), conv(2, 2, (3, 1), stride=(2, 1))), (2, 9, 13)),
    "pooling": (lambda: stack(conv(1, 2, 3, padding=1), nn.MaxPool2d(3, stride=2, padding=1), nn.AvgPool2d(2)), (1, 12, 13)),
    "ceil mode": (lambda: stack(nn.MaxPool2d(3, stride=2, ceil_mode=True), conv(1, 1, 2)), (1, 10, 11)),
    "dilated pooling": (lambda: stack(nn.MaxPool2d(2, stride=1, dilation=3), conv(1, 1, 2, stride=2)), (1, 9, 9)),
    "same": (lambda: stack(conv(1, 1, 4, padding="same"), conv(1, 1, 2, padding="same")), (1, 7, 7)),
    "adaptive mean": (lambda: stack(conv(1, 2, 3), nn.AdaptiveAvgPool2d((3, 4))), (1, 9, 12)),
    "adaptive maximum": (lambda: stack(nn.AdaptiveMaxPool2d((3, 4)), conv(1, 1, 2)), (1, 8, 9)),
    "residual": (lambda: stack(nn.BasicBlock(2, 3, 2), nn.BasicBlock(3, 3)), (2, 12, 12)),
    "bottleneck": (lambda: stack(nn.Bottleneck(2, 2, 2)), (2, 7, 8)),
    "branches": (lambda: stack(Branches()), (2, 9, 12)),
    "cifar": (lambda: models.CifarResNet(1).layer2.double(), (16, 9, 9)),
    "transposed": (lambda: stack(Upward("transposed"), conv(1, 1, 2)), (1, 8, 6)),
    "nearest": (lambda: stack(Upward("nearest"), conv(2, 1, 2)), (1, 8, 6)),
    "bilinear": (lambda: stack(Upward("bilinear"), conv(2, 1, 2)), (1, 8, 10)),
    "gaps": (lambda: stack(nn.ConvTranspose2d(1, 1, 3, stride=2), conv(1, 1, 3, stride=3)), (1, 5, 6)),
    "instance norm": (lambda: stack(conv(1, 2, 3), nn.InstanceNorm2d(2)), (1, 6, 7)),
    "group norm": (lambda: stack(conv(1, 4, 3), nn.GroupNorm(2, 4), nn.GELU()), (1, 5, 6)),
    "lrn": (lambda: stack(conv(1, 4, 3), nn.LocalResponseNorm(3), nn.PReLU()), (1, 6, 6)),
    **{way: (lambda way=way: stack(Odd(way), conv({"shuffle": 1, "unshuffle": 16, "unfold": 36}.get(way, 4), 1, 2)), (1, 8, 6))
       for way in ("shuffle", "unshuffle", "flip", "unfold", "reflect", "repeat", "rows", "channels last", "where")},
    "U-Net": (lambda: models.UNet(1, 2, base_channels=2, depth=2).double(), (1, 16, 20)),
    "U-Net, valid": (lambda: models.UNet(1, 2, 2, 1, padding="valid", norm=False, up="nearest").double(), (1, 20, 24)),
    "one axis": (lambda: stack(nn.Conv1d(1, 2, 3, stride=2, padding=1), nn.MaxPool1d(2)), (1, 17)),
    "three axes": (lambda: stack(nn.Conv3d(1, 1, 2), nn.AvgPool3d((1, 2, 2))), (1, 4, 5, 6)),
}


def changed_by_pixels(net, shape):
    """For every pixel, whether each place of the output changes when the pixel does: (pixels, *places)."""
    rng, found = np.random.default_rng(0), False
    count = int(np.prod(shape[1:]))
    with no_grad():
        for _ in range(6):                                # several pictures: a maximum hides those that are not the largest
            x = rng.standard_normal(shape)
            copies = np.repeat(x[None], count, axis=0).reshape(count, shape[0], count)
            copies[np.arange(count), :, np.arange(count)] += 20 * rng.standard_normal((count, shape[0]))
            y, changed = net(Tensor(x[None])).data, net(Tensor(copies.reshape(count, *shape))).data
            found = found | (np.abs(changed - y) > 1e-9 * np.abs(y).max()).any(axis=1)     # a batch may round differently
    return found


@pytest.mark.parametrize("name", STACKS)
def test_boxes_against_brute_force(name):
    """The box of each place is the smallest around all pixels that change it; the frame holds the box."""
    make, shape = STACKS[name]
    net = make().eval()
    for p in net.parameters():
        p.data = np.abs(p.data) + 0.05                    # nothing cancels, and most rectifiers are open
    field, touched = receptive_field(net, "", shape), changed_by_pixels(net, shape)
    assert field.units == touched.shape[1:]
    for place in np.ndindex(field.units):
        pixels = np.argwhere(touched[(slice(None), *place)].reshape(shape[1:]))
        expected = tuple((int(lo), int(hi) + 1) for lo, hi in zip(pixels.min(axis=0), pixels.max(axis=0)))
        assert field.box(*place) == expected, place
        assert all(a <= c and d <= b for (a, b), (c, d) in zip(field.frame(*place), expected))


def test_published_fields():
    """ResNet-18's 435 pixels at step 32 (Araujo et al. 2019), U-Net's 140 at its bottom, 5 + 4 + 2 * 4 + ... of LeNet by hand."""
    field = receptive_field(models.resnet18(), "layer4", (3, 224, 224))
    assert field.size == (435, 435) and field.step == (32, 32) and field.units == (7, 7)
    field = receptive_field(models.UNet(1, 2, 2, 4), "down.4", (1, 64, 64))
    assert field.size == (140, 140) and field.step == (16, 16)
    field = receptive_field(models.LeNet5(), "conv2", (1, 28, 28))
    assert field.size == (5 + 1 + 4 * 2,) * 2 and field.step == (2, 2) and field.frame(0, 0) == ((-2, 12), (-2, 12))
    field = receptive_field(models.LeNet5(), "fc1", (1, 28, 28))
    assert field.size == (32, 32) and field.units == () and field.box() == ((0, 28), (0, 28)) and field.step == (0, 0)
    assert receptive_field(models.UNet(1, 2, 2, 1), "head", (1, 16, 16)).step == (None, None)


def test_the_formula_of_chains():
    """size = 1 + sum (k - 1) d * strides before, step = product of strides."""
    rng, layers, size, step = np.random.default_rng(0), [], 1, 1
    for _ in range(5):
        k, s, d = (int(n) for n in rng.integers(1, 4, 3))
        layers.append(nn.Conv1d(1, 1, k, stride=s, dilation=d))
        size, step = size + (k - 1) * d * step, step * s
    field = receptive_field(nn.Sequential(*layers), "4", (1, 600))
    assert field.size == (size,) and field.step == (step,) and field.frame(3) == ((3 * step, 3 * step + size),)


def test_measured_support_is_the_set_of_pixels():
    """With its holes; and inside of the exact box for a network with pooling and ReLU."""
    net = stack(nn.Conv2d(1, 2, 3, dilation=2, padding=2), nn.Tanh(), nn.Conv2d(2, 2, 2, dilation=(1, 3)))
    place, touched = (4, 3), changed_by_pixels(net, (1, 10, 11))
    found = measured_field(net, "2", (1, 10, 11), place=place, samples=4, generator=0)
    np.testing.assert_array_equal(found > 0, touched[(slice(None), *place)].reshape(10, 11))
    assert found.max() == 1
    net = models.LeNet5()
    for layer in ("conv2", "pool #2"):
        support = np.argwhere(measured_field(net, layer, (1, 28, 28), generator=0) > 0)
        middle = [n // 2 for n in activations(net, np.zeros((1, 1, 28, 28), "float32"), layer).shape[2:]]
        box = receptive_field(net, layer, (1, 28, 28)).box(*middle)
        assert tuple((int(a), int(b) + 1) for a, b in zip(support.min(axis=0), support.max(axis=0))) == box


def test_the_effective_field_is_smaller_than_the_exact():
    """Luo et al. 2017: of 20 convolutions with equal weights the influence is a bell, not the square."""
    net = nn.Sequential(*[nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(10)]).double()
    for p in net.parameters():
        p.data = np.full(p.shape, 1 / 9)
    found = measured_field(net, "9", (1, 25, 25), samples=1, generator=0)
    exact = receptive_field(net, "9", (1, 25, 25))
    assert exact.size == (21, 21)
    d = np.arange(25) - 12
    variance = (found.sum(axis=0) * d * d).sum() / found.sum()
    np.testing.assert_allclose(variance, 10 * 2 / 3, rtol=1e-9)           # 10 times that of {-1, 0, 1}


class Sampled(nn.Module):
    def forward(self, x):
        grid = F.affine_grid(Tensor(np.eye(2, 3, dtype=x.dtype)[None]), x.shape, align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)


def test_messages_about_fields():
    net = models.LeNet5()
    field = receptive_field(net, "conv1", (1, 28, 28))
    for call, match in [
        (lambda: receptive_field(net, "conv1", 28), r"shape must be that of one picture, \(C, H, W\), got 28"),
        (lambda: receptive_field(Sampled(), "", (1, 4, 4)), "GatherPixels depends on is not known here.*measured_field"),
        (lambda: receptive_field(net, "nothing", (1, 28, 28)), "no layer 'nothing'"),
        (lambda: field.box(3), r"a place in 'conv1' is 2 indices inside of \(28, 28\), got \(3,\)"),
        (lambda: field.frame(0, 28), r"got \(0, 28\)"),
        (lambda: measured_field(net, "conv1", (1, 28, 28), place=(1,)), r"place must be 2 indices inside of \(28, 28\)"),
        (lambda: measured_field(stack(nn.Conv2d(1, 1, 1), nn.Threshold(1e9, 0)), "1", (1, 3, 3)), "no gradient reaches"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()


def test_what_nothing_reaches_is_zero():
    """Not a rounding error: fast 3x3 convolutions of several channels would leave some."""
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.Conv2d(16, 16, 3, padding=1, bias=False),
                        nn.Conv2d(16, 16, 3, padding=1, bias=False))
    seen = measured_field(net, "2", (1, 32, 32), samples=2, generator=0)
    expected = np.zeros((32, 32), bool)
    expected[13:20, 13:20] = True
    np.testing.assert_array_equal(seen > 0, expected)
