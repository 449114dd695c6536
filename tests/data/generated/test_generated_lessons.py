"""What a network can and cannot win by: no trick on colours or single pixels, but a small network learns the task."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import tinyvision
from tinyvision import Tensor, models, nn, no_grad, optim
from tinyvision import functional as F
from tinyvision.data import DataLoader
from tinyvision.data.generated import CellSegmentation, ShapeClassification
from tinyvision.train import evaluate, fit


def histogram(images):
    """The share of each of 64 colours in every picture."""
    bins = np.minimum((images * 4).astype(int), 3)
    codes = (bins[:, 0] * 16 + bins[:, 1] * 4 + bins[:, 2]).reshape(len(images), -1)
    return np.stack([np.bincount(row, minlength=64) / row.size for row in codes])


@pytest.mark.slow
def test_shapes_are_learned_by_convolution_only():
    """Ten classes, so chance is 0.1: linear classifiers stay near it, on pixels and on colours; a small network does not."""
    train, test = ShapeClassification(2000, 32).in_memory(), ShapeClassification(500, 32, train=False).in_memory()
    for features, C in ((lambda x: x.reshape(len(x), -1) - 0.5, 0.01), (histogram, 10.0)):
        linear = LogisticRegression(C=C, max_iter=200).fit(features(train.images), train.labels)
        assert linear.score(features(test.images), test.labels) < 0.22
    tinyvision.manual_seed(0)
    layers, before = [], 3
    for channels in (16, 32, 64, 64):
        layers += [nn.Conv2d(before, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(2)]
        before = channels
    net = nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))
    optimizer, epochs = optim.Adam(net.parameters(), lr=0.003), 15
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * 32)
    loader, held_out = DataLoader(train, 64, shuffle=True, generator=0), DataLoader(test, 100)
    fit(net, optimizer, loader, held_out, epochs, scheduler=schedule, progress=False)
    assert evaluate(net, held_out)[1] > 0.65


@pytest.mark.slow
def test_cells_are_found_by_a_small_unet():
    """Held-out Dice above 0.95 after 600 steps of four pictures."""
    train, test = CellSegmentation(100, 64).in_memory(), CellSegmentation(30, 64, train=False).in_memory()
    tinyvision.manual_seed(0)
    net = models.UNet(1, 2, 8, 3)
    optimizer, loader = optim.Adam(net.parameters(), lr=0.003), DataLoader(train, 4, shuffle=True, generator=0)
    for _ in range(24):
        for images, masks in loader:
            loss = F.cross_entropy(net(images), masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    net.eval()
    images, masks = test.tensors
    with no_grad():
        found = net(Tensor(images)).argmax(axis=1).numpy() == 1
    assert 2 * (found & (masks == 1)).sum() / (found.sum() + (masks == 1).sum()) > 0.95
