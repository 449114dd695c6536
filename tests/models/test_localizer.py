"""The two-headed localiser: boxes in pixels, its loss by hand, predictions as the metric takes them."""

import numpy as np
import pytest

from tinyvision import Tensor, data, manual_seed, models, no_grad, optim, train
from tinyvision.gradcheck import check_network
from tinyvision.metrics import LocalizationError


def test_localizer_counts():
    flat = 8 * 8 * 4
    for convs, more in ((1, 0), (2, (36 * 4 + 8) + (72 * 8 + 16))):
        model = models.Localizer(7, (32, 16), 3, 4, 20, 2, convs=convs)
        assert sum(p.size for p in model.parameters()) == (27 * 4 + 8) + (36 * 8 + 16) + more + (flat + 1) * 20 + 21 * 7 + 21 * 4


def test_boxes_lie_about_the_picture():
    """Zero weights before the sigmoid: the middle half of the picture, in pixels, x before y."""
    model = models.Localizer(3, (16, 32), 1, 2, 4, 2).eval()
    with no_grad():
        model.box.weight[...], model.box.bias[...] = 0, 0
        _, boxes = model(Tensor(np.zeros((2, 1, 16, 32), np.float32)))
    np.testing.assert_allclose(boxes.data, [[8, 4, 24, 12]] * 2, rtol=1e-6)


def test_localizer_loss_by_hand():
    model, rng = models.Localizer(3, (20, 40), box_weight=2.5, depth=2), np.random.default_rng(0)
    logits, boxes, true = rng.standard_normal((4, 3)), rng.uniform(0, 20, (4, 4)), rng.uniform(0, 20, (4, 4))
    labels = np.array([0, 2, 1, 1])
    nll = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(4), labels]
    d = np.abs(boxes - true) / [40, 20, 40, 20]
    smooth = np.where(d < 0.1, d * d / 0.2, d - 0.05)
    for shape in ((4,), (4, 1)):
        targets = {"labels": labels.reshape(shape), "boxes": true.reshape(*shape, 4)}
        found = model.loss((Tensor(logits), Tensor(boxes)), targets).item()
        assert found == pytest.approx(nll.mean() + 2.5 * smooth.mean(), rel=1e-9)


def test_gradients_of_localizer():
    manual_seed(0)
    model, rng = models.Localizer(3, 8, 1, 2, 5, 2), np.random.default_rng(0)
    targets = {"labels": np.array([0, 2]), "boxes": rng.uniform(0, 8, (2, 4))}
    assert check_network(model, rng.standard_normal((2, 1, 8, 8)), lambda outputs: model.loss(outputs, targets))


def test_predictions():
    """The likeliest classes first, all with the picture's box; right for the metric."""
    logits, boxes = np.array([[0.0, 3.0, 1.0], [2.0, 0.0, 0.5]]), np.array([[1.0, 2, 9, 9], [0, 0, 4, 4]])
    found = models.Localizer.predictions((Tensor(logits), Tensor(boxes)), top=2)
    assert [p["labels"].tolist() for p in found] == [[1, 2], [0, 2]]
    np.testing.assert_allclose(found[0]["scores"], np.exp([3, 1]) / np.exp([0, 3, 1]).sum(), rtol=1e-9)
    np.testing.assert_array_equal(found[1]["boxes"], [[0, 0, 4, 4]] * 2)
    error = LocalizationError()
    error.update(found, [{"boxes": [[1, 2, 9, 9]], "labels": [2]}, {"boxes": [[0, 0, 4, 4]], "labels": [1]}])
    assert error.compute() == 0.5


def test_localizer_trains_in_the_loop():
    """fit with the model's own loss on eight pictures: the boxes come near."""
    manual_seed(0)
    loader = data.DataLoader(data.ShapeLocalization(8, 32), batch_size=8)
    model = models.Localizer(10, 32, base_channels=8, depth=3)
    history = train.fit(model, optim.Adam(model.parameters(), lr=0.003), loader, loader, 60, criterion=model.loss, progress=False)
    assert history[-1].train_loss < 0.1 * history[0].train_loss


@pytest.mark.parametrize("words, call", [
    (r"size must be multiples of 2\^depth = 16, got \(40, 64\)", lambda: models.Localizer(3, (40, 64))),
    (r"pictures must be of size \(32, 32\), got \(64, 64\)",
     lambda: models.Localizer(3, 32)(Tensor(np.zeros((1, 3, 64, 64), "f4")))),
    ("loss: every picture must have one label and one box", lambda: models.Localizer(3, 32).loss(
        (Tensor(np.zeros((2, 3))), Tensor(np.zeros((2, 4)))), {"labels": np.zeros((2, 2), int), "boxes": np.zeros((2, 2, 4))})),
    ("box_weight must be above 0", lambda: models.Localizer(3, 32, box_weight=0)),
])
def test_localizer_refuses(words, call):
    with pytest.raises(ValueError, match=f"Localizer.*{words}"):
        call()
