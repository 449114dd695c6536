"""fit, evaluate, snapshots and the doctor on a device."""

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tinyvision import Tensor, data, io, manual_seed, metrics, models, nn, optim
from tinyvision.backend import cupy
from tinyvision.train import check_training, diagnose, evaluate, find_lr, fit
from tinyvision.train.parallel import World


def parts(seed=0, dropout=False):
    """A small network, its optimiser, and loaders over the digits."""
    manual_seed(seed)
    layers = [nn.Flatten(), nn.Linear(64, 16), nn.ReLU()] + [nn.Dropout(0.2)] * dropout + [nn.Linear(16, 10)]
    model = nn.Sequential(*layers)
    digits = data.Subset(data.Digits(size=8), range(256))
    loader = data.DataLoader(digits, 32, shuffle=True, generator=1)
    return model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9), loader, data.DataLoader(digits, 128)


def test_fit_on_a_device_equals_that_on_the_cpu(device):
    def run(device):
        model, optimizer, loader, test_loader = parts()
        rows = fit(model, optimizer, loader, test_loader, 2, progress=False, device=device, max_norm=1.0,
                   metrics={"top": metrics.Accuracy(2)})
        assert next(model.parameters()).device == (device or "cpu")
        return rows, model
    (rows, model), (found, other) = run(None), run(device)
    for row, same in zip(rows, found):
        for name in "train_loss", "test_loss", "train_accuracy", "test_accuracy", "test_top":
            assert math.isclose(row[name], same[name], rel_tol=2e-3, abs_tol=2e-2), name
    loader = parts()[3]
    assert math.isclose(evaluate(model, loader)[0], evaluate(other, loader)[0], rel_tol=2e-3)


def test_a_device_that_is_not_there():
    model, optimizer, loader, test_loader = parts()
    with pytest.raises(ValueError, match="device: must be 'cpu', 'cuda' or"):
        fit(model, optimizer, loader, test_loader, 1, progress=False, device="gpu")
    assert np.isfinite(model[1].weight.data).all()


def test_a_step_of_fit_reads_three_numbers(transfers):
    """The loss and whether gradients are finite, each step; how many answers were right, at the end of the epoch."""
    model, optimizer, loader, test_loader = parts()
    fit(model, optimizer, loader, test_loader, 1, progress=False, device="cuda")
    transfers.moves.clear()
    fit(model, optimizer, loader, test_loader, 1, progress=False)
    steps, tests = len(loader), len(test_loader)
    assert transfers.moves["up"] == 2 * (steps + tests) and not transfers.moves["sync"]
    assert transfers.moves["down"] == 2 * steps + tests + 2


@pytest.mark.parametrize("first, then", [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_runs_go_on_across_devices(first, then, device, tmp_path):
    """A snapshot is read on any device; with dropout only where it was written is the rest the same."""
    def run(device, epochs, resume, dropout):
        model, optimizer, loader, test_loader = parts(dropout=dropout)
        rows = fit(model, optimizer, loader, test_loader, epochs, progress=False, device=device, folder=tmp_path / f"{dropout}",
                   resume=resume)
        return rows, {name: x.cpu().numpy() for name, x in model.state_dict().items()}, optimizer
    dropout = first == then
    run(first, 1, False, dropout)
    rows, weights, optimizer = run(then, 2, True, dropout)
    memory = [m for state in optimizer.state.values() for m in state.values()]
    assert len(rows) == 2 and len(memory) == 4
    model, optimizer, loader, test_loader = parts(dropout=dropout)
    unbroken = fit(model, optimizer, loader, test_loader, 2, progress=False, device=then)
    assert math.isclose(rows[1].test_loss, unbroken[1].test_loss, rel_tol=2e-3)
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(weights[name], value.cpu().numpy(), rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_files_hold_no_device(suffix, device, tmp_path):
    model, other = parts()[0].to(device), parts(seed=5)[0]
    io.save(model.state_dict(), tmp_path / f"weights.{suffix}")
    other.load_state_dict(io.load(tmp_path / f"weights.{suffix}"))
    np.testing.assert_array_equal(other[1].weight.numpy(), model[1].weight.cpu().numpy())
    model = parts(seed=6)[0].to(device)
    model.load_state_dict(io.load(tmp_path / f"weights.{suffix}"))
    assert model[1].weight.device == device
    np.testing.assert_array_equal(other[1].weight.numpy(), model[1].weight.cpu().numpy())


def test_a_loss_that_is_no_number_names_its_layer(device):
    model, optimizer, loader, test_loader = parts()
    model[1].weight.data[0, 0] = np.inf
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="1.weight holds numbers that are not finite"):
        fit(model, optimizer, loader, test_loader, 1, progress=False, device=device)


def test_labels_that_are_no_classes_end_the_training(device):
    model, optimizer, _, _ = parts()
    batch = [(np.zeros((4, 1, 8, 8), "float32"), np.array([0, 1, 10, 2]))]
    with pytest.raises(FloatingPointError, match="the loss became nan"):
        fit(model, optimizer, batch, batch, 1, progress=False, device=device)


def test_the_doctor_works_on_a_device(device):
    model, optimizer, loader, test_loader = parts()
    model.to(device)
    report = check_training(model, loader, test_loader=test_loader)
    assert report.passed, report
    second = diagnose(model, optimizer, loader, steps=6)
    assert second.passed, second
    curve = find_lr(model, optimizer, loader, steps=20)
    assert 1e-5 < curve.suggestion < 10
    assert {p.device for p in model.parameters()} == {device}


def test_metrics_take_tensors_of_a_device(device):
    scores, labels = np.random.default_rng(0).standard_normal((8, 3)), np.arange(8) % 3
    here, there = metrics.Accuracy(), metrics.Accuracy()
    here.update(scores, labels)
    there.update(Tensor(scores, device=device), Tensor(labels, device=device))
    assert here.compute() == there.compute()


def test_networks_of_one_family_are_moved_whole(device):
    """Each network of the models gives on a device what it gives on the CPU."""
    rng = np.random.default_rng(2)
    for model, shape in ((models.MLP(12, (5,)), (2, 12)), (models.UNet(1, 2, base_channels=2, depth=1, up="nearest"), (1, 1, 8, 8))):
        model.eval()
        x = Tensor(rng.standard_normal(shape).astype("float32"))
        expected = model(x).numpy()
        np.testing.assert_allclose(model.to(device)(x.to(device)).cpu().numpy(), expected, rtol=1e-3, atol=1e-4)


class Pair:
    """The communicator of two processes that hold the same, on GPUs of two machines."""

    def bcast(self, thing):
        return thing

    def allgather(self, place):
        return [place, ("elsewhere", *place[1:])]

    def Allreduce(self, in_place, vector):
        vector *= 2


@pytest.fixture
def world(transfers):
    world = object.__new__(World)
    world.comm, world.rank, world.size, world.nccl = Pair(), 1, 2, None
    world.mpi = SimpleNamespace(Get_processor_name=lambda: "here", IN_PLACE=None)
    return world


def test_without_nccl_sums_go_through_main_memory(world):
    vector = Tensor(np.arange(5, dtype="f")).to("cuda")
    np.testing.assert_array_equal(world.summed(vector._data).get(), np.arange(5, dtype="f") * 2)


def test_nccl_adds_up_where_every_process_has_a_gpu(world, monkeypatch):
    seen = []

    def all_reduce(source, target):
        target[...] = source * 3

    def init_process_group(*args, **options):
        seen.append((args, options))
        return SimpleNamespace(all_reduce=all_reduce)

    monkeypatch.setattr(cupy().cuda, "nccl", SimpleNamespace(available=True))
    monkeypatch.setitem(sys.modules, "cupyx.distributed", SimpleNamespace(init_process_group=init_process_group))
    for _ in range(2):                                    # one group for all sums
        vector = Tensor(np.arange(5, dtype="f")).to("cuda")
        np.testing.assert_array_equal(world.summed(vector._data).get(), np.arange(5, dtype="f") * 3)
    assert seen == [((2, 1), {"host": "here", "use_mpi": True})]
