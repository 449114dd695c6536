"""Recorded steps of training against the same steps unrecorded."""

import numpy as np
import pytest

from tinyvision import Tensor, data, manual_seed, models, nn, optim
from tinyvision import functional as F
from tinyvision.backend import CudaError
from tinyvision.train import Graphed, fit

from .conftest import why_no_gpu

on_a_gpu = pytest.mark.skipif(bool(why_no_gpu()), reason=why_no_gpu() or "")
OPTIMIZERS = {"SGD": lambda ps: optim.SGD(ps, lr=0.05, momentum=0.9), "Adam": lambda ps: optim.Adam(ps, lr=0.01),
              "AdamW": lambda ps: optim.AdamW(ps, lr=0.01, amsgrad=True)}


def batches(count, size=8, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield Tensor(rng.standard_normal((size, 3, 16, 16)).astype("f")).to("cuda"), Tensor(rng.integers(0, 10, size)).to("cuda")


def trained(make, recorded, sizes=(8,), inside=True):
    """Losses and weights after steps whose learning rate changes every time."""
    manual_seed(0)
    model = models.CifarResNet(1).to("cuda")
    optimizer = make(model.parameters())
    step = Graphed(lambda x, labels: F.cross_entropy(model(x), labels), model.parameters(), optimizer if inside else None,
                   warmup=2 if recorded else 10**9)
    losses = []
    for i in range(3):
        for size in sizes:
            for x, labels in batches(3, size, seed=i):
                losses.append(step(x, labels).item())
                if not inside:
                    optimizer.step()
                for group in optimizer.param_groups:
                    group["lr"] *= 0.9
    return losses, [t.cpu().data for t in (*model.parameters(), *model.buffers())]


@on_a_gpu
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_recorded_steps_are_the_same_steps(name, inside):
    (plain, weights), (recorded, others) = (trained(OPTIMIZERS[name], recorded, inside=inside) for recorded in (False, True))
    np.testing.assert_allclose(recorded, plain, rtol=1e-5)
    for a, b in zip(others, weights):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@on_a_gpu
def test_every_size_has_its_recording():
    (plain, weights), (recorded, others) = (trained(OPTIMIZERS["SGD"], recorded, sizes=(8, 5)) for recorded in (False, True))
    np.testing.assert_allclose(recorded, plain, rtol=1e-5)
    for a, b in zip(others, weights):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@on_a_gpu
def test_dropout_draws_anew_in_every_turn():
    layer, x = nn.Dropout(0.5), Tensor(np.ones((64, 64), "f"), requires_grad=True).to("cuda")
    w = Tensor(np.ones(1, "f"), device="cuda", requires_grad=True)
    step = Graphed(lambda x: ((y := layer(x) * w).sum(), y), [w], warmup=1)
    masks = [step(x)[1].cpu().data.copy() for _ in range(5)]
    assert all((a != b).mean() > 0.3 for i, a in enumerate(masks) for b in masks[:i])
    assert all(0.4 < (mask != 0).mean() < 0.6 for mask in masks)


@on_a_gpu
def test_what_cannot_be_recorded_says_so():
    w = Tensor(np.ones(3, "f"), device="cuda", requires_grad=True)
    step = Graphed(lambda x: (x * w).sum() * (x * w).sum().item(), [w], warmup=1)
    x = Tensor(np.ones(3, "f"), device="cuda")
    step(x)
    with pytest.raises(CudaError, match="cannot be recorded.*read a number"):
        step(x)
    assert np.isfinite((x * w).sum().item())              # the stream is as good as before


class SignDescent(optim.Optimizer):
    @staticmethod
    def update(w, g, state, options):
        w -= options["lr"] * (g > 0)


@on_a_gpu
def test_an_optimiser_with_a_step_of_its_own_says_so():
    """Its numbers would be frozen, and its first step of every turn made with the gradients of the turn before."""
    w, x = Tensor(np.ones(3, "f"), device="cuda", requires_grad=True), Tensor(np.ones(3, "f"), device="cuda")
    step = Graphed(lambda x: (x * w).sum(), [w], SignDescent([w], {"lr": 0.1}), warmup=1)
    step(x)
    with pytest.raises(CudaError, match="SignDescent has a step of its own.*Pass optimizer=None"):
        step(x)


@on_a_gpu
def test_replaying_on_another_stream():
    """What is copied there comes before the replay, and what reads its results after it."""
    import cupy
    w = Tensor(np.ones(1 << 22, "f"), device="cuda", requires_grad=True)
    step = Graphed(lambda x: (x * w).sum(), [w], warmup=1)
    with cupy.cuda.Stream(non_blocking=True):
        for i in range(6):
            assert step(Tensor(np.full(1 << 22, float(i), "f"), device="cuda")).item() == pytest.approx(i * (1 << 22))


@on_a_gpu
def test_fit_trains_the_same_network():
    histories = []
    for graphed in (False, True):
        manual_seed(0)
        model = models.CifarResNet(1)
        shapes = data.generated.ShapeClassification(70, size=16, seed=1)
        loader = data.DataLoader(shapes, 16, shuffle=True, generator=0)
        optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        histories.append(fit(model, optimizer, loader, loader, 3, device="cuda", graphed=graphed, progress=False, max_norm=5.0))
    for plain, recorded in zip(*histories):
        assert recorded.train_loss == pytest.approx(plain.train_loss, rel=1e-3)


def test_fit_refuses_to_record_on_the_cpu():
    model, digits = models.MLP(64, (8,)), data.Digits(size=8)
    loader = data.DataLoader(digits, 64)
    with pytest.raises(ValueError, match="graphed needs a network on a GPU and accumulate=1, got 'cpu' and accumulate=1"):
        fit(model, optim.SGD(model.parameters(), lr=0.1), loader, loader, 1, graphed=True, progress=False)


def test_the_cpu_is_refused():
    w = Tensor(np.ones(3, "f"), requires_grad=True)
    with pytest.raises(TypeError, match=r"shape \(3,\) is on the CPU.*model.to\('cuda'\)"):
        Graphed(lambda x: (x * w).sum(), [w])
    with pytest.raises(TypeError, match="there are none"):
        Graphed(lambda x: x.sum(), [])
