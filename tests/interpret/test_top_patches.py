"""The strongest patches of a set: found by a plain search, and each patch alone gives the activation that it was chosen for."""

import numpy as np
import pytest

from tinyvision import data, models, nn
from tinyvision.interpret import activations, top_patches

from .nets import draw, snapshot, stack


def test_against_a_plain_search():
    net, x = stack(nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1)), draw(20, 2, 9, 12)
    top = top_patches(net.train(), x, "2", count=5, batch_size=7, fill=-9.0)
    y = activations(net, x, "2")                          # (20, 4, 5, 6)
    for k in range(4):
        best = np.sort(y[:, k].reshape(20, -1).max(axis=1))[::-1][:5]
        np.testing.assert_array_equal(top.activations[k], best)
        for i, n, place, frame, patch in zip(range(5), top.pictures[k], top.places[k], top.frames[k], top.patches[k]):
            assert y[n, k, place[0], place[1]] == best[i]
            padded = np.full((2, 9 + 20, 12 + 20), -9.0)
            padded[:, 10:19, 10:22] = x[n]
            rows, columns = (slice(a + 10, b + 10) for a, b in frame)
            np.testing.assert_array_equal(patch, padded[:, rows, columns])
            assert frame.tolist() == [[2 * p - 3, 2 * p + 4] for p in place]


def test_a_patch_alone_gives_its_activation():
    """Without padding: the network on nothing but the patch has the value that the patch was chosen for."""
    net, x = stack(nn.Conv2d(1, 3, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(3, 5, 3)), draw(12, 1, 16, 20)
    top = top_patches(net, x, "3", filters=[4, 1], count=3)
    assert top.filters.tolist() == [4, 1] and top.patches.shape == (2, 3, 1, 8, 8)
    for k, channel in enumerate(top.filters):
        alone = activations(net, top.patches[k], "3")[:, channel, 0, 0]
        np.testing.assert_allclose(alone, top.activations[k], rtol=1e-12)


def test_data_sets_and_leaving_everything_as_it_was():
    net, x = models.LeNet5(), draw(6, 1, 28, 28).astype("float32")
    before = snapshot(net)
    top = top_patches(net, data.TensorDataset(x, np.arange(6)), "conv1", count=100)
    assert snapshot(net) == before and top.patches.shape == (6, 6, 1, 5, 5)
    plain = top_patches(net, x, "conv1", count=100)
    np.testing.assert_array_equal(top.patches, plain.patches)
    signals = stack(nn.Conv1d(2, 3, 4), nn.ReLU())
    assert top_patches(signals, draw(4, 2, 12), "1", count=2).patches.shape == (3, 2, 2, 4)


def test_messages_of_top_patches():
    net, x = models.LeNet5(), draw(2, 1, 28, 28)
    for call, match in [
        (lambda: top_patches(net, x[:0], "conv1"), "at least one picture, got none"),
        (lambda: top_patches(net, x, "fc1"), r"the output of 'fc1' must be maps \(N, K, ...\), got shape \(2, 120\)"),
        (lambda: top_patches(net, x, "conv1", filters=[6]), "filters must lie in 0..5, got 6 to 6"),
        (lambda: top_patches(net, x, "conv1", filters=3), "filters must be a list of channels, got 3"),
        (lambda: top_patches(net, x, "conv1", count=0), "count must be at least 1"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
