"""Published weights: found, compared with the digits in their names, loaded; and what is said where they are not."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from tinyvision import Tensor, io, models, no_grad, train
from tinyvision.train import PUBLISHED, load_published, published

DATA = Path(os.environ.get("TINYVISION_DATA", "absent"))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No data folder, an empty cache, and no network."""
    monkeypatch.delenv("TINYVISION_DATA", raising=False)
    monkeypatch.setattr("tinyvision.data.download.cache_folder", lambda name: tmp_path / "cache" / name)

    def refused(*args):
        raise ConnectionError("download: no mirror served it")
    monkeypatch.setattr(published, "download_file", refused)


def entry(name):
    return PUBLISHED[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_hold_the_checksum(name):
    """Torch's rule for file names: eight hexadecimal digits behind the last dash."""
    algorithm, _, digits = entry(name).known_hash.partition(":")
    assert algorithm == "sha256" and len(digits) == 8 and set(digits) <= set("0123456789abcdef")
    assert entry(name).address.startswith("https://") and 0.58 < entry(name).accuracy < 1


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "squeezenet1_0", "squeezenet1_1", "cifar_resnet20"])
def test_the_sizes_are_the_networks(name):
    """Megabytes in the table: four bytes for each weight and running statistic (torchvision counts in 2^20)."""
    size = 4 * sum(t.size for t in entry(name).build().state_dict().values())
    assert entry(name).megabytes == pytest.approx(size / 2 ** 20, rel=0.02, abs=0.15)


def test_the_offline_error_names_the_alternative(offline, tmp_path):
    for download in (True, False):
        with pytest.raises(FileNotFoundError, match=r"resnet18-f37072fd.pth \(44.7 MB\) is in none of .*root.*"
                           r"https://download.pytorch.org/models/resnet18-f37072fd.pth; or do without: a small network "
                           "trains in minutes") as caught:
            load_published("resnet18", root=tmp_path / "root", download=download)
        assert ("no mirror" in str(caught.value)) is download


def test_a_file_with_another_checksum_is_refused(offline, tmp_path):
    (tmp_path / "resnet18-f37072fd.pth").write_bytes(b"not the weights")
    digits = hashlib.sha256(b"not the weights").hexdigest()[:8]
    with pytest.raises(ValueError, match=f"must begin with sha256:f37072fd, got sha256:{digits}. Move it away"):
        load_published("resnet18", root=tmp_path)


def stand_in(monkeypatch, folder, name, state):
    """A file of these weights under a name with its own checksum, in the place of a published one."""
    torch = pytest.importorskip("torch")
    torch.save({key: torch.tensor(value) for key, value in state.items()}, folder / "x.pth")
    digits = hashlib.sha256((folder / "x.pth").read_bytes()).hexdigest()[:8]
    (folder / "x.pth").rename(folder / f"net-{digits}.pth")
    old = PUBLISHED[name]
    new = published.Published(f"net-{digits}.pth", old.address, old.build, 0.1, old.accuracy)
    monkeypatch.setitem(PUBLISHED, name, new)


def test_a_file_is_found_and_loaded(offline, monkeypatch, tmp_path):
    source = models.resnet20()
    state = {f"module.{key}": value.numpy() for key, value in source.state_dict().items()}
    stand_in(monkeypatch, tmp_path, "cifar_resnet20", state)
    model = load_published("cifar_resnet20", root=tmp_path)
    assert not model.training
    for p, q in zip(model.parameters(), source.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_weights_of_another_network_are_refused(offline, monkeypatch, tmp_path):
    stand_in(monkeypatch, tmp_path, "cifar_resnet20", {"conv1.weight": np.zeros((16, 3, 3, 3), np.float32)})
    with pytest.raises(ValueError, match="does not hold the weights of cifar_resnet20"):
        load_published("cifar_resnet20", root=tmp_path)


def test_vgg_goes_by_its_order():
    """torchvision's VGG-16 (features.0 .. features.28, classifier.0, 3, 6): the same logits from a small one of that plan."""
    torch = pytest.importorskip("torch")
    ours = models.PlainNet(5, base_channels=2, hidden=16, kernel_size=2, norm=False, dropout=0.0).eval()
    layers, before = [], 3
    for width, n in zip((2, 4, 8, 16, 16), (2, 2, 3, 3, 3)):
        for _ in range(n):
            layers += [torch.nn.Conv2d(before, width, 3, padding=1), torch.nn.ReLU()]
            before = width
        layers.append(torch.nn.MaxPool2d(2))
    theirs = torch.nn.ModuleDict({"features": torch.nn.Sequential(*layers), "classifier": torch.nn.Sequential(
        torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(16, 16), torch.nn.ReLU(),
        torch.nn.Dropout(), torch.nn.Linear(16, 5))}).eval()
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    assert "features.28.weight" in state and "classifier.6.bias" in state
    ours.load_state_dict(published.in_order(state, ours))
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
    with no_grad(), torch.no_grad():
        right = theirs["classifier"](theirs["features"](torch.tensor(x)).flatten(1)).numpy()
        np.testing.assert_allclose(ours(Tensor(x)).data, right, atol=1e-5)


def test_unknown_names():
    with pytest.raises(ValueError, match="name must be one of resnet18, .*got 'resnet19'"):
        load_published("resnet19")


@pytest.mark.skipif(not (DATA / "weights" / "resnet20-12fca82f.th").exists(), reason="needs the published ResNet-20: "
                    "TINYVISION_DATA with weights/resnet20-12fca82f.th")
def test_the_published_resnet20():
    """Found by its name in the data folder; the checkpoint's own record of its accuracy is the table's."""
    model = load_published("cifar_resnet20", download=False)
    checkpoint = io.load_torch(DATA / "weights" / "resnet20-12fca82f.th")
    np.testing.assert_array_equal(model.linear.bias.numpy(), checkpoint["state_dict"]["module.linear.bias"].numpy())
    assert checkpoint["best_prec1"] == pytest.approx(100 * PUBLISHED["cifar_resnet20"].accuracy, abs=0.2)


def test_the_table_is_public():
    assert train.PUBLISHED is PUBLISHED and {entry.trained_on for entry in PUBLISHED.values()} == {"ImageNet", "CIFAR-10"}
