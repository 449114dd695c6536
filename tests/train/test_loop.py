"""The training loop: it learns, counts rightly, restores the model's mode, and stops where it must."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, data, manual_seed, models, nn, optim
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
