"""SegNet: its plan, the three ways of unpooling, and that the places of the maxima bring outlines back."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, manual_seed, models, no_grad
from tinyvision.gradcheck import check_network


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def segnet_count(inputs, classes, base, depth, norm, transpose):
    def conv(a, b):
        return 9 * a * b + (2 if norm else 1) * b
    channels, total, before = [base * 2 ** level for level in range(depth)], 0, inputs
    for level, c in enumerate(channels):
        n = 2 if level < 2 else 3
        total += conv(before, c) + (n - 1) * conv(c, c)                   # down
        total += (n - 1) * conv(c, c) + conv(c, channels[max(level - 1, 0)])                     # up
        total += (4 * c * c + c) * transpose
        before = c
    return total + 9 * base * classes + classes


@pytest.mark.parametrize("unpooling", ["max", "nearest", "transpose"])
@pytest.mark.parametrize("options", [(3, 13, 4, 3, True), (1, 2, 4, 1, False)], ids=str)
def test_segnet_counts(options, unpooling):
    inputs, classes, base, depth, norm = options
    model = models.SegNet(inputs, classes, base, depth, unpooling, norm=norm)
    assert sum(p.size for p in model.parameters()) == segnet_count(*options, unpooling == "transpose")


@pytest.mark.parametrize("unpooling", ["max", "nearest", "transpose"])
def test_segnet_shapes_and_gradients(unpooling):
    manual_seed(0)
    model = models.SegNet(1, 3, 2, 2, unpooling)
    assert model(Tensor(drawn(2, 1, 8, 12))).shape == (2, 3, 8, 12)
    assert check_network(model, np.random.default_rng(0).standard_normal((2, 1, 8, 8)))


def test_unpooling_on_numbers():
    """The same map, three times: where the maximum was, everywhere, or spread by learned weights."""
    x = Tensor([[[[1.0, 5.0, 2.0, 2.0], [3.0, 0.0, 9.0, 4.0]]]])
    small, places = F.max_pool2d(x, 2, return_indices=True)
    right = {"max": [[0, 5, 0, 0], [0, 0, 9, 0]], "nearest": [[5, 5, 9, 9], [5, 5, 9, 9]],
             "transpose": [[10, 15, 18, 27], [5, 0, 9, 0]]}
    for unpooling, numbers in right.items():
        model = models.SegNet(1, 2, 1, 1, unpooling)
        if unpooling == "transpose":
            with no_grad():
                model.enlarge[0].weight[...], model.enlarge[0].bias[...] = [[[[2.0, 3.0], [1.0, 0.0]]]], 0.0
        np.testing.assert_allclose(model.unpool(small, 0, places).data[0, 0], numbers, rtol=1e-6)


def test_max_unpooling_is_the_papers():
    """PyTorch's max_unpool2d at every level: the up path is fed maps that are 0 in three pixels of four."""
    torch = pytest.importorskip("torch")
    x = torch.tensor(drawn(2, 3, 8, 8))
    small, places = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    model = models.SegNet(1, 2, 1, 1, "max")
    ours = model.unpool(Tensor(small.numpy()), 0, Tensor(places.numpy()))
    np.testing.assert_array_equal(ours.data, torch.nn.functional.max_unpool2d(small, places, 2).numpy())
    assert (ours.data != 0).mean() == 0.25


@pytest.mark.parametrize("words, call", [
    ("SegNet: unpooling must be one of 'max', 'nearest', 'transpose', got 'bilinear'",
     lambda: models.SegNet(3, 2, unpooling="bilinear")),
    (r"SegNet: height and width must be multiples of 8, got \(12, 16\). Pad or resize to \(16, 16\)",
     lambda: models.SegNet(3, 2, 2)(Tensor(drawn(1, 3, 12, 16)))),
    ("SegNet: depth must be at least 1", lambda: models.SegNet(3, 2, depth=0)),
])
def test_segnet_refuses(words, call):
    with pytest.raises(ValueError, match=words):
        call()
