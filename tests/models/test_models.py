"""Networks: published numbers of weights, shapes, messages, and that they learn."""

import os
from pathlib import Path

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, manual_seed, models, nn, no_grad, optim
from tinyvision.io import load_torch

COUNTS = {  # published by the papers or, for ImageNet, by torchvision's model table
    "resnet20": 269_722, "resnet32": 464_154, "resnet44": 658_586, "resnet56": 853_018, "resnet110": 1_727_962,
    "resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032, "resnet101": 44_549_160, "resnet152": 60_192_808,
}


def weights(model):
    return sum(p.size for p in model.parameters())


@pytest.mark.parametrize("name, count", COUNTS.items(), ids=COUNTS)
def test_resnet_counts(name, count):
    assert weights(getattr(models, name)()) == count


def test_lenet_counts():
    assert weights(models.LeNet5()) == 61_706
    assert weights(models.LeNet5(classic=True)) == 61_706
    assert weights(models.LeNet5(num_classes=5, in_channels=3)) == 61_706 + 2 * 6 * 25 - 5 * 85


def unet_count(inputs, classes, base, depth, norm):
    """The paper's figure 1, counted layer by layer."""
    def double(a, b):
        return 9 * a * b + 9 * b * b + (4 * b if norm else 2 * b)
    channels = [base * 2 ** level for level in range(depth + 1)]
    down = sum(double(a, b) for a, b in zip([inputs, *channels], channels))
    up = sum(4 * b * a + a + double(2 * a, a) for a, b in zip(channels, channels[1:]))
    return down + up + base * classes + classes


@pytest.mark.parametrize("options", [(1, 2, 64, 4), (3, 1, 64, 4), (1, 2, 16, 2), (3, 5, 8, 3)], ids=str)
@pytest.mark.parametrize("norm", [True, False])
def test_unet_counts(options, norm):
    assert weights(models.UNet(*options, norm=norm)) == unet_count(*options, norm)


def test_unet_counts_are_those_of_others():
    assert weights(models.UNet(3, 1)) == 31_037_633       # a widely used PyTorch implementation with these defaults
    for text, model in (("by default", models.UNet(1, 2)), ("form", models.UNet(1, 2, norm=False, padding="valid"))):
        assert f"{weights(model):,}" in models.unet.__doc__, text


def test_keys_are_the_published_ones():
    keys = list(models.resnet20().state_dict())
    assert keys[:7] == ["conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var",
                        "bn1.num_batches_tracked", "layer1.0.conv1.weight"]
    assert keys[-2:] == ["linear.weight", "linear.bias"] and not any("shortcut" in key for key in keys)
    keys = list(models.resnet50().state_dict())
    assert {"layer1.0.downsample.0.weight", "layer1.0.downsample.1.running_var", "layer4.2.conv3.weight", "fc.bias"} <= set(keys)


def test_resnet50_stride_is_in_the_3x3():
    first = models.resnet50().layer2[0]
    assert first.conv1.stride in (1, (1, 1)) and first.conv2.stride in (2, (2, 2))


@pytest.mark.parametrize("model, shape, output", [
    (lambda: models.LeNet5(), (2, 1, 28, 28), (2, 10)), (lambda: models.LeNet5(classic=True), (2, 1, 32, 32), (2, 10)),
    (lambda: models.LeNet5(7, 3), (1, 3, 32, 32), (1, 7)), (lambda: models.MLP(48, (5,), 3), (2, 3, 4, 4), (2, 3)),
    (lambda: models.resnet20(), (2, 3, 32, 32), (2, 10)), (lambda: models.resnet18(5), (1, 3, 64, 64), (1, 5)),
    (lambda: models.resnet50(5), (1, 3, 32, 32), (1, 5)),
    (lambda: models.UNet(3, 2, 4, 2), (2, 3, 8, 12), (2, 2, 8, 12)), (lambda: models.UNet(1, 3, 4, 2, 1), (2, 1, 16), (2, 3, 16)),
    (lambda: models.UNet(1, 3, 2, 2, 3), (1, 1, 4, 8, 4), (1, 3, 4, 8, 4)),
    (lambda: models.UNet(1, 2, 4, 2, up="nearest"), (1, 1, 8, 8), (1, 2, 8, 8)),
    (lambda: models.UNet(1, 2, 2, 4, norm=False, padding="valid"), (1, 1, 188, 188), (1, 2, 4, 4)),
])
def test_shapes(model, shape, output):
    model = model().eval()
    with no_grad():
        assert model(Tensor(np.zeros(shape, np.float32))).shape == output


def test_papers_tile_size():
    """572 pixels in, 388 out, as printed in figure 1 (few channels, the geometry is the same)."""
    model = models.UNet(1, 2, base_channels=1, norm=False, padding="valid").eval()
    with no_grad():
        assert model(Tensor(np.zeros((1, 1, 572, 572), np.float32))).shape == (1, 2, 388, 388)


@pytest.mark.parametrize("words, call", [
    (r"LeNet5: input must be \(N, 1, 28, 28\).*got shape \(28, 28\).*batch axis", lambda: models.LeNet5()(zeros(28, 28))),
    ("LeNet5.*channel axis", lambda: models.LeNet5()(zeros(5, 28, 28))),
    ("LeNet5", lambda: models.LeNet5()(zeros(1, 3, 28, 28))),
    ("MLP: input must be .* 10 numbers per picture", lambda: models.MLP(10)(zeros(2, 11))),
    (r"CifarResNet: input must be \(N, 3, H, W\)", lambda: models.resnet20()(zeros(3, 32, 32))),
    (r"ResNet: input must be \(N, 3, H, W\)", lambda: models.resnet18(2)(zeros(1, 1, 32, 32))),
    (r"multiples of 4, got \(10, 8\).*Pad to \(12, 8\)", lambda: models.UNet(1, 2, 2, 2)(zeros(1, 1, 10, 8))),
    (r"UNet: input must be \(N, 1, H, W\)", lambda: models.UNet(1, 2, 2, 2)(zeros(1, 8, 8))),
    ("even sizes", lambda: models.UNet(1, 2, 2, 2, padding="valid")(zeros(1, 1, 31, 31))),
    ("padding must be one of 'same', 'valid'", lambda: models.UNet(1, 2, padding=1)),
    ("up must be one of", lambda: models.UNet(1, 2, up="bilinear")),
    ("dims must be one of", lambda: models.UNet(1, 2, dims=4)),
    ("depth must be at least 1", lambda: models.UNet(1, 2, depth=0)),
])
def test_messages(words, call):
    with pytest.raises(ValueError, match=words):
        call()


def zeros(*shape):
    return Tensor(np.zeros(shape, np.float32))


@pytest.mark.parametrize("model, shape", [
    (lambda: models.LeNet5(), (8, 1, 28, 28)), (lambda: models.LeNet5(classic=True), (8, 1, 28, 28)),
    (lambda: models.MLP(64, (32,)), (8, 1, 8, 8)), (lambda: models.CifarResNet(1), (8, 3, 16, 16)),
    (lambda: models.ResNet(nn.BasicBlock, (1, 1, 1, 1), 10), (8, 3, 32, 32)),
    (lambda: models.ResNet(nn.Bottleneck, (1, 1, 1, 1), 10), (8, 3, 32, 32)),
])
def test_overfits_eight_pictures(model, shape):
    manual_seed(0)
    rng = np.random.default_rng(0)
    x, labels = Tensor(rng.standard_normal(shape).astype(np.float32)), rng.permutation(10)[:8]
    assert overfitted(model(), x, labels, steps=25) < 0.05


@pytest.mark.parametrize("options", [{}, {"up": "nearest"}, {"norm": False}], ids=str)
def test_unet_overfits_one_mask(options):
    manual_seed(0)
    rng = np.random.default_rng(0)
    x = Tensor(rng.standard_normal((2, 1, 16, 16)).astype(np.float32))
    mask = (rng.random((2, 16, 16)) > 0.5).astype(np.int64)
    assert overfitted(models.UNet(1, 2, 8, 2, **options), x, mask, steps=150) < 0.1


def overfitted(model, x, labels, steps):
    """The loss after so many steps on one batch."""
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    for _ in range(steps):
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


DATA = Path(os.environ.get("TINYVISION_DATA", "absent"))


WEIGHTS, PICTURES = DATA / "weights" / "resnet20-12fca82f.th", DATA / "cifar-10-batches-bin" / "test_batch.bin"
needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason="needs the published weights of ResNet-20: TINYVISION_DATA with "
                                   "weights/resnet20-12fca82f.th")


def published_resnet20():
    state = {key.removeprefix("module."): value for key, value in load_torch(WEIGHTS)["state_dict"].items()}
    model = models.resnet20()
    model.load_state_dict(state)
    return model.eval(), state


@needs_weights
def test_published_resnet20_gives_pytorchs_logits():
    """The weights load without torch; where torch is there, the logits agree with its own convolutions."""
    torch = pytest.importorskip("torch")
    model, state = published_resnet20()
    x = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)
    with no_grad():
        ours = model(Tensor(x)).data
    theirs = torch_resnet20(torch, {key: torch.tensor(value.data) for key, value in state.items()}, torch.tensor(x)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.slow
@needs_weights
@pytest.mark.skipif(not PICTURES.exists(), reason="needs CIFAR-10 test pictures: TINYVISION_DATA with "
                    "cifar-10-batches-bin/test_batch.bin")
def test_published_resnet20_on_cifar():
    """Published: 8.27% error.  On test pictures restored from JPEG, PyTorch gets 81.03% right with these weights."""
    model, _ = published_resnet20()
    rows = np.fromfile(PICTURES, np.uint8).reshape(-1, 1 + 3 * 32 * 32)
    mean, std = (np.array(v, np.float32)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    right = 0
    with no_grad():
        for batch in np.split(rows, 40):
            x = (batch[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255 - mean) / std
            right += int((model(Tensor(x)).argmax(axis=1).data == batch[:, 0]).sum())
    assert right / len(rows) in (0.8103, 0.9173)          # the JPEG copy, or the official pictures


def torch_resnet20(torch, s, x):
    """The same network written with PyTorch's functions."""
    T = torch.nn.functional

    def norm(x, key):
        return T.batch_norm(x, s[f"{key}.running_mean"], s[f"{key}.running_var"], s[f"{key}.weight"], s[f"{key}.bias"])

    x = T.relu(norm(T.conv2d(x, s["conv1.weight"], padding=1), "bn1"))
    for stage in (1, 2, 3):
        for block in range(3):
            key, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = T.relu(norm(T.conv2d(x, s[f"{key}.conv1.weight"], stride=stride, padding=1), f"{key}.bn1"))
            y = norm(T.conv2d(y, s[f"{key}.conv2.weight"], padding=1), f"{key}.bn2")
            extra = y.shape[1] - x.shape[1]
            x = T.relu(y + T.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, extra // 2, extra // 2)))
    return x.mean((2, 3)) @ s["linear.weight"].T + s["linear.bias"]
