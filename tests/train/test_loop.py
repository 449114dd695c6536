"""The training loop: it learns, counts rightly, restores the model's mode, and stops where it must."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, concatenate, data, manual_seed, models, nn, optim
from tinyvision.train import evaluate, fit


def loaders(batch_size=32):
    digits = data.Digits(size=8)
    return (data.DataLoader(digits, batch_size, shuffle=True, generator=0),
            data.DataLoader(data.Digits(train=False, size=8), 100))


def run(epochs=3, **options):
    manual_seed(0)
    model = models.MLP(64, (32,))
    train, test = loaders()
    return model, fit(model, optim.Adam(model.parameters(), lr=0.01), train, test, epochs, progress=False, **options)


def test_learns_and_repeats_bit_for_bit():
    reports = []
    model, history = run(report=reports.append)
    assert history == reports and [row.number for row in history] == [1, 2, 3]
    assert history[-1].test_accuracy > 0.9 and history[-1].train_loss < history[0].train_loss
    again, _ = run()
    for a, b in zip(model.parameters(), again.parameters()):
        np.testing.assert_array_equal(a.data, b.data)


def test_evaluate_counts_what_a_loop_counts():
    model, _ = run(epochs=1)
    model.train()
    test = data.Digits(train=False, size=8)
    loss, accuracy = evaluate(model, data.DataLoader(test, 7))            # the last batch is short
    logits = np.stack([model(Tensor(image[None])).data[0] for image, _ in test]).astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert accuracy == (logits.argmax(1) == test.labels).mean()
    np.testing.assert_allclose(loss, -log_p[np.arange(len(test)), test.labels].mean(), rtol=1e-5)
    assert model.training


def test_evaluation_uses_eval_mode_and_restores_it_after_an_error():
    modes = []

    class Spy(nn.Module):
        def forward(self, x):
            modes.append(self.training)
            raise ZeroDivisionError

    spy = Spy()
    with pytest.raises(ZeroDivisionError):
        evaluate(spy, loaders()[1])
    assert modes == [False] and spy.training


def test_evaluation_restores_the_mode_of_every_part():
    """A frozen batch norm in a network that is trained further stays in eval mode."""
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))
    model[1].eval()
    evaluate(model, loaders()[1])
    assert [m.training for m in model.modules()] == [True, True, False, True]


def test_scheduler_steps_after_every_batch():
    manual_seed(0)
    model = models.MLP(64, (8,))
    train, test = loaders(500)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.1)
    fit(model, optimizer, train, test, 2, scheduler=scheduler, progress=False)
    np.testing.assert_allclose(optimizer.param_groups[0]["lr"], 0.1 ** (2 * len(train)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the overflow that leads there
def test_stops_at_a_loss_that_is_no_number():
    model = models.MLP(64, (8,))
    train, test = loaders()
    with pytest.raises(FloatingPointError, match="loss became (nan|inf) after .* Lower the learning rate"):
        fit(model, optim.SGD(model.parameters(), lr=1e30), train, test, 3, progress=False)


def test_no_batches():
    model = models.MLP(64, (8,))
    train, test = loaders()
    empty = data.DataLoader(data.Digits(size=8), 5000, drop_last=True)
    with pytest.raises(ValueError, match="evaluate: the loader gave no batches"):
        evaluate(model, empty)
    with pytest.raises(ValueError, match="fit: the loader gave no batches"):
        fit(model, optim.SGD(model.parameters(), lr=0.1), empty, test, 1, progress=False)


def test_other_criteria():
    _, history = run(epochs=1, criterion=lambda logits, labels: F.multi_margin_loss(logits, labels))
    assert history[0].test_accuracy > 0.5


def test_progress_bar_shows_loss(capsys):
    manual_seed(0)
    model = models.MLP(64, (8,))
    train, test = loaders(200)
    fit(model, optim.Adam(model.parameters()), train, test, 1)
    assert "epoch 1/1" in capsys.readouterr().err


def test_accumulated_batches_are_one_large_one():
    """The step goes along the mean over all examples, whatever the sizes of the batches; that of the last, shorter group too."""
    digits, found = data.Subset(data.Digits(size=8), range(100)), []
    for size, accumulate in (60, 1), (15, 4), (20, 3):
        manual_seed(0)
        model = models.MLP(64, (8,))
        fit(model, optim.SGD(model.parameters(), lr=0.5), data.DataLoader(digits, size), data.DataLoader(digits, 100), 2,
            accumulate=accumulate, progress=False)
        found.append(np.concatenate([p.data.ravel() for p in model.parameters()]))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped_to_a_norm():
    manual_seed(0)
    model = models.MLP(64, (8,))
    before = [p.data.copy() for p in model.parameters()]
    batch = [next(iter(loaders(16)[0]))]
    fit(model, optim.SGD(model.parameters(), lr=1.0), batch, batch, 1, max_norm=0.01, progress=False)
    step = np.concatenate([(p.data - b).ravel() for p, b in zip(model.parameters(), before)])
    np.testing.assert_allclose(np.linalg.norm(step), 0.01, rtol=1e-3)


class Root(nn.Module):
    """A slope that is infinite at 0, where the value is not."""

    def forward(self, x):
        return F.relu(x).sqrt()


def broken(kind):
    manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5), Root(), nn.Linear(8, 10))
    if kind == "output":
        net[4].bias.data[3] = np.inf
    return net


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("kind, words", [
    ("output", "the loss became nan after 0 batches. 4.bias holds numbers that are not finite"),
    ("gradient", "the gradient stopped being a finite number after . batches. The first gradient that is not finite is made by "
                 "the backward pass of Sqrt in 3.")])
def test_the_layer_where_a_number_broke_is_named(kind, words, accumulate):
    """... before the weights are touched."""
    net = broken(kind)
    before = [p.data.copy() for p in net.parameters()]
    train, test = loaders()
    with pytest.raises(FloatingPointError, match=f"fit: {words}.*Lower the learning rate"):
        fit(net, optim.SGD(net.parameters(), lr=0.1), train, test, 1, accumulate=accumulate, progress=False)
    assert all(np.array_equal(p.data, b) for p, b in zip(net.parameters(), before))


def test_what_dropout_dropped_is_dropped_again():
    """The cause is found although it depends on chance: one element in 2,000 is infinite."""
    class Rare(nn.Module):
        def forward(self, x):
            return x + 0 / F.dropout(x * 0 + 1, 0.0005, self.training)
    manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), Rare())
    train, test = loaders(8)
    words = "fit: the loss became nan after [1-9].* The first NaN is made by the operation Divide in 2 "
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=words):
        fit(net, optim.SGD(net.parameters(), lr=1e-3), train, test, 5, progress=False)


class Share(nn.Module):
    """A pixel-wise network for masks."""

    def __init__(self):
        self.conv = nn.Conv2d(1, 3, 1)

    def forward(self, x):
        return self.conv(x)


def test_masks():
    from tinyvision.metrics import MeanIoU
    random = np.random.default_rng(0)
    images = random.random((40, 1, 6, 5), np.float32)
    masks = (images[:, 0] * 3).astype(np.int64)
    loader = data.DataLoader(data.TensorDataset(images, masks), 8)
    net, metric = Share(), MeanIoU(3)
    (row,) = fit(net, optim.Adam(net.parameters(), 0.1), loader, loader, 1, metrics={"iou": metric}, monitor="test_iou",
                 progress=False)
    right = net(Tensor(images)).data.argmax(1) == masks
    assert row.test_accuracy == right.mean()
    metric.reset()
    metric.update(net(Tensor(images)).data, masks)
    assert row["test_iou"] == metric.compute() > row["train_iou"]         # those of training are of earlier weights


class Boxes:
    """Pictures of several sizes with dicts of boxes: what detectors train on."""

    def __iter__(self):
        random = np.random.default_rng(0)
        for _ in range(3):
            images = [Tensor(random.random((1, 4 + i, 5), np.float32)) for i in range(2)]
            yield images, [{"boxes": np.float32([[0, 0, i + 1, 2]]), "labels": np.array([i])} for i in range(2)]


class Detector(nn.Module):
    def __init__(self):
        self.out = nn.Linear(1, 2)

    def forward(self, images):
        corners = [self.out(image.mean().reshape(1, 1)) ** 2 for image in images]
        return [{"boxes": concatenate([corner * 0, corner], axis=1), "labels": np.array([0]), "scores": np.ones(1)}
                for corner in corners]


def test_detectors():
    from tinyvision.metrics import COCOAveragePrecision

    def criterion(outputs, targets):
        return sum(((o["boxes"] - t["boxes"]) ** 2).mean() for o, t in zip(outputs, targets)) / len(targets)
    net = Detector()
    rows = fit(net, optim.Adam(net.parameters(), 0.1), Boxes(), Boxes(), 2, criterion=criterion,
               metrics={"coco": COCOAveragePrecision(2)}, monitor="test_coco_AP", progress=False)
    assert rows[1].test_loss < rows[0].test_loss and np.isnan(rows[0].test_accuracy)
    assert {f"{part}_coco_AP" for part in ("train", "test")} <= set(rows[0].metrics)


def test_a_plateau_is_told_what_is_watched():
    manual_seed(0)
    model = models.MLP(64, (8,))
    train, test = loaders(500)
    optimizer = optim.SGD(model.parameters(), lr=1e-6)
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", factor=0.1, patience=0)
    rows = fit(model, optimizer, train, test, 3, scheduler=plateau, monitor="test_accuracy", progress=False)
    np.testing.assert_allclose([row.lr for row in rows], [1e-6, 1e-6, 1e-7])
    assert plateau.best == rows[0].test_accuracy


class Given:
    """A metric that says what it is told to say."""

    def __init__(self, values):
        self.values = values

    def reset(self):
        pass

    def update(self, outputs, targets):
        assert isinstance(outputs, Tensor) and not outputs.requires_grad

    def compute(self):
        return self.values.pop(0)


@pytest.mark.parametrize("values, epochs", [([3, 2, 2.5, 2.1, 1], 4), ([np.nan, 5, 4, 3, np.nan, np.nan], 6), ([np.nan] * 4, 2)])
def test_patience_waits_for_a_better_epoch(values, epochs):
    """A value that is not a number is never better; errors are to fall."""
    doubled = [value for value in values for _ in range(2)]               # one for training, one for the test
    _, rows = run(20, metrics={"error": Given(doubled)}, monitor="test_error", patience=2)
    np.testing.assert_array_equal([row["test_error"] for row in rows], values[:epochs])


@pytest.mark.parametrize("options, error, words", [
    (dict(accumulate=0), ValueError, "accumulate must be at least 1, got 0"),
    (dict(patience=1.5), TypeError, "patience must be an integer"),
    (dict(every="3"), TypeError, "every must be an integer, steps, or a float, seconds, got '3'"),
    (dict(every=-1.0), TypeError, "every must be an integer, steps"),
    (dict(max_norm=0), ValueError, "max_norm must be a number above 0"),
    (dict(monitor="loss"), ValueError, "monitor must be one of test_loss, test_accuracy, train_loss, train_accuracy, got 'loss'"),
    (dict(metrics={"x": Given}), TypeError, "metric 'x' must be an object with reset"),
    (dict(metrics={"x": Given([np.ones(3)])}), TypeError, r"'x' must compute a number or a dict of numbers, got .* shape \(3,\)"),
])
def test_mistakes(options, error, words):
    with pytest.raises(error, match=f"fit: .*{words}"):
        run(1, **options)
