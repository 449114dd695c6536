"""The range test: on a quadratic the divergence comes where theory puts it; the points are those of the curve."""

import itertools

import numpy as np
import pytest

import tinyvision.functional as F
from tests.train.small import blobs, loader, mlp, snapshot
from tinyvision import default_generator, manual_seed, nn, optim
from tinyvision.train.lr_finder import find_lr, judged, longest_fall


def test_gradient_descent_on_a_quadratic_diverges_above_two_over_the_largest_curvature():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 5)).astype(np.float32)
    y = (x @ rng.standard_normal((5, 1))).astype(np.float32)
    curvature = np.linalg.eigvalsh(2 * x.T @ x / 64).max()
    manual_seed(0)
    model = nn.Linear(5, 1, bias=False)
    curve = find_lr(model, optim.SGD(model.parameters(), lr=0.1), loader(x, y, 64), F.mse_loss, start=1e-3, smoothing=0.0)
    limit = 2 / curvature
    assert limit < curve.rates[-1] and curve.suggestion < limit
    assert limit / 1.5 < curve.minimum < limit * 1.5
    assert "times its lowest value" in curve.stopped and len(curve.rates) == len(curve.losses) == len(curve.smoothed) < 100
    assert curve.smoothed == curve.losses


def test_points_and_smoothing():
    model = mlp()
    curve = find_lr(model, optim.Adam(model.parameters()), loader(*blobs()), smoothing=0.8)
    average, expected = 0.0, []
    for i, loss in enumerate(curve.losses, 1):
        average = 0.8 * average + 0.2 * loss
        expected.append(average / (1 - 0.8 ** i))
    np.testing.assert_allclose(curve.smoothed, expected)
    np.testing.assert_allclose(np.diff(np.log(curve.rates)), np.log(1e7) / 99, rtol=1e-9)
    assert curve.minimum == curve.rates[int(np.argmin(expected))]
    assert curve.suggestion == min(curve.valley, curve.minimum / 2) and curve.valley <= curve.minimum
    assert f"{curve.suggestion:.2g}" in str(curve) and curve.to_dict()["valley"] == curve.valley


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the overflow of the rate that is far too large
def test_the_suggestion_trains():
    """A tenth of the suggestion learns less in 30 steps than the suggestion itself, and so does a hundred times as much."""
    model, batches = mlp(), loader(*blobs())
    curve = find_lr(model, optim.SGD(model.parameters(), lr=0.1), batches)

    def loss_after(rate):
        model = mlp()
        optimizer = optim.SGD(model.parameters(), lr=rate)
        for inputs, labels in itertools.islice(itertools.cycle(batches), 30):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        inputs, labels = blobs(seed=1)
        return F.cross_entropy(model(inputs), labels).item()
    good = loss_after(curve.suggestion)
    assert good < loss_after(curve.suggestion / 10) and not loss_after(1000 * curve.suggestion) <= good


def test_everything_is_restored():
    manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.2), nn.Linear(16, 3)).eval()
    optimizer = optim.Adam([{"params": model[0].parameters(), "lr": 1e-4}, {"params": model[3].parameters()}])
    batches = loader(*blobs())
    F.cross_entropy(model(next(iter(batches))[0]), next(iter(batches))[1]).backward()
    optimizer.step()
    sources = default_generator(), model[2].generator, batches.generator
    before = snapshot(model, optimizer), [g.bit_generator.state for g in sources]
    curves = [find_lr(model, optimizer, batches) for _ in range(2)]
    assert (snapshot(model, optimizer), [g.bit_generator.state for g in sources]) == before
    assert curves[0] == curves[1]


def test_groups_keep_their_proportion():
    rates = []

    class Watched(optim.SGD):
        def step(self, closure=None):
            rates.append([group["lr"] for group in self.param_groups])
            return super().step(closure)
    model = mlp()
    optimizer = Watched([{"params": model[0].parameters(), "lr": 0.01}, {"params": model[2].parameters(), "lr": 0.1}])
    find_lr(model, optimizer, loader(*blobs()), start=1e-4, end=1e-2, steps=10)
    np.testing.assert_allclose(rates, np.geomspace(1e-4, 1e-2, 10)[:, None] * [0.1, 1], rtol=1e-9)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_suggestion_where_nothing_falls():
    model = mlp()
    curve = find_lr(model, optim.SGD(model.parameters(), lr=0.1), loader(*blobs()), start=1e-9, end=1e-8, steps=20)
    assert curve.suggestion is None and curve.valley is None and "never falls" in curve.reason
    assert curve.stopped == "the end of the range was reached" and str(curve).startswith("no suggestion: ")
    inputs, labels = blobs()
    with pytest.raises(FloatingPointError, match="find_lr: the first loss is nan, before any step"):
        find_lr(model, optim.SGD(model.parameters(), lr=0.1), loader(inputs * np.float32(np.nan), labels))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_stops_at_a_loss_that_is_no_number():
    model = mlp()
    curve = find_lr(model, optim.SGD(model.parameters(), lr=0.1), loader(*blobs()),
                    lambda y, t: F.cross_entropy(y ** 9, t), end=1e6, diverges=1e300)
    assert curve.stopped.startswith("the loss became ") and np.isfinite(curve.losses).all()


def test_longest_fall_against_brute_force():
    rng = np.random.default_rng(0)
    for n in range(1, 9):
        values = rng.integers(0, 6, n)
        found = longest_fall(values)
        best = max(k for k in range(1, n + 1) for chosen in itertools.combinations(values, k) if (np.diff(chosen) < 0).all())
        assert len(found) == best and (np.diff(found) > 0).all() and (np.diff(values[found]) < 0).all()


def test_judgement_of_a_made_curve():
    """Flat, then a straight fall in the logarithm from step 20 to 80, then a rise."""
    rates = np.geomspace(1e-5, 1, 101)
    curve = np.interp(np.arange(101), [0, 20, 80, 100], [2.0, 1.999, 1.0, 3.0])
    found = judged(rates, curve.tolist(), curve.tolist(), "")
    assert found.minimum == rates[80] and rates[20] <= found.steepest < rates[80]
    assert rates[50] < found.suggestion <= rates[80] / 2


@pytest.mark.parametrize("options, message", [
    ({"start": 0.0}, "0 < start < end, got 0.0 and 10.0"), ({"end": 1e-9}, "0 < start < end"),
    ({"steps": 5}, "steps must be a whole number of at least 10, got 5"), ({"steps": 20.5}, "steps must be a whole number"),
    ({"smoothing": 1.0}, "smoothing must be at least 0 and below 1, got 1.0"), ({"diverges": 1}, "diverges must be above 1, got "
                                                                                                 "1")])
def test_options(options, message):
    model = mlp()
    with pytest.raises(ValueError, match=f"find_lr: .*{message}"):
        find_lr(model, optim.SGD(model.parameters(), lr=0.1), loader(*blobs()), **options)


def test_errors():
    with pytest.raises(TypeError, match="find_lr: optimizer must be of type Optimizer, got Linear"):
        find_lr(mlp(), nn.Linear(1, 1), loader(*blobs()))
