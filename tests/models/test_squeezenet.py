"""SqueezeNet: published numbers of weights, torchvision's names, PyTorch's logits, messages."""

import numpy as np
import pytest

from tinyvision import Tensor, models, no_grad

FIRES = {"1.0": (3, 4, 5, 7, 8, 9, 10, 12), "1.1": (3, 4, 6, 7, 9, 10, 11, 12)}               # torchvision's places


@pytest.mark.parametrize("make, count", [(models.squeezenet1_0, 1_248_424), (models.squeezenet1_1, 1_235_496)])
def test_squeezenet_counts(make, count):
    """torchvision's model table."""
    assert sum(p.size for p in make().parameters()) == count


@pytest.mark.parametrize("version", FIRES)
def test_squeezenet_names_are_torchvisions(version):
    parts = ["features.0", *(f"features.{i}.{part}" for i in FIRES[version] for part in ("squeeze", "expand1x1", "expand3x3")),
             "classifier.1"]
    assert list(models.SqueezeNet(version=version).state_dict()) == [f"{p}.{q}" for p in parts for q in ("weight", "bias")]


@pytest.mark.parametrize("version", FIRES)
def test_squeezenet_gives_pytorchs_logits(version):
    torch = pytest.importorskip("torch")
    T = torch.nn.functional
    model = models.SqueezeNet(7, version=version).eval()
    x = np.random.default_rng(0).standard_normal((2, 3, 47, 54)).astype(np.float32)
    s = {key: torch.tensor(value.data) for key, value in model.state_dict().items()}

    def conv(x, key, **options):
        return T.relu(T.conv2d(x, s[f"{key}.weight"], s[f"{key}.bias"], **options))

    y = conv(torch.tensor(x), "features.0", stride=2)
    for place in range(2, 13):
        if place in FIRES[version]:
            y = conv(y, f"features.{place}.squeeze")
            y = torch.cat([conv(y, f"features.{place}.expand1x1"), conv(y, f"features.{place}.expand3x3", padding=1)], 1)
        else:
            y = T.max_pool2d(y, 3, 2, ceil_mode=True)
    with no_grad():
        np.testing.assert_allclose(model(Tensor(x)).data, conv(y, "classifier.1").mean((2, 3)).numpy(), atol=1e-5)


@pytest.mark.parametrize("version, least", [("1.0", 21), ("1.1", 17)])
def test_squeezenet_smallest_picture(version, least):
    model = models.SqueezeNet(3, 1, version=version)
    assert model(Tensor(np.zeros((1, 1, least, least), np.float32))).shape == (1, 3)
    with pytest.raises(ValueError, match=rf"at least {least}x{least}, got shape \(1, 1, {least}, {least - 1}\)"):
        model(Tensor(np.zeros((1, 1, least, least - 1), np.float32)))
    with pytest.raises(ValueError, match="version must be one of '1.0', '1.1', got '2'"):
        models.SqueezeNet(version="2")
