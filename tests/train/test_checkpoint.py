"""A run that is killed at any instant goes on to the very result of a run that was not."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tinyvision import data, io, manual_seed, models, nn, optim
from tinyvision.data.transforms import Compose, GaussianNoise, RandomCrop, TransformedDataset
from tinyvision.train import checkpoint, fit


def run(folder, resume, epochs=3, progress=None):
    """A small network with dropout and batch norm, augmentation, a schedule, momentum, clipped and accumulated gradients."""
    manual_seed(1)
    digits = data.Digits(size=8)
    pictures = TransformedDataset(data.Subset(digits, range(240)), Compose([RandomCrop(8, padding=1), GaussianNoise()]), seed=2)
    loader = data.DataLoader(pictures, 16, shuffle=True, generator=3)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(144, 10))
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    schedule = optim.lr_scheduler.StepLR(optimizer, 7, 0.8)
    history = fit(net, optimizer, loader, data.DataLoader(data.Subset(digits, range(240, 300)), 60), epochs, scheduler=schedule,
                  accumulate=2, max_norm=1.0, folder=folder, every=2, resume=resume, progress=False, report=progress)
    return net, [(row.train_loss, row.test_loss, row.lr) for row in history]


def same(a, b):
    return all(np.array_equal(x.data, y.data) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


CODE = "import sys\nfrom tests.train.test_checkpoint import run\nrun(sys.argv[1], sys.argv[2] == 'resume', 6)"


@pytest.mark.skipif(os.name != "posix", reason="kills a process as POSIX does")
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_instants(kills, tmp_path):
    right, losses = run(tmp_path / "whole", False, 6)
    rng, folder, survived = np.random.default_rng(kills), tmp_path / "killed", 0
    while survived < kills:
        resume = (folder / checkpoint.LAST).exists()
        with subprocess.Popen([sys.executable, "-c", CODE, str(folder), "resume" if resume else "start"]) as process:
            deadline = time.monotonic() + 60
            while not (folder / checkpoint.LAST).exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 1.5))
            process.send_signal(signal.SIGKILL)
        survived += 1
    found, again = run(folder, True, 6)
    assert same(found, right) and again == losses


def test_interrupted_between_two_epochs_and_within_one(tmp_path):
    right, losses = run(tmp_path / "whole", False)
    for stop in (1, 2):
        def leave(row, stop=stop):
            if row.number == stop:
                raise KeyboardInterrupt
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / f"run{stop}", False, progress=leave)
        found, again = run(tmp_path / f"run{stop}", True)
        assert same(found, right) and again == losses


def test_a_damaged_snapshot_falls_back_on_the_one_before(tmp_path):
    path = tmp_path / "x.snapshot"
    for step in (1, 2):
        checkpoint.save_snapshot(path, {"step": step, "w": np.arange(3.0), "deep": [(1, None), {2: "x"}]})
    assert checkpoint.load_snapshot(path)["step"] == 2
    path.write_bytes(path.read_bytes()[:50])
    with pytest.warns(UserWarning, match="the one before it"):
        state = checkpoint.load_snapshot(path)
    assert state["step"] == 1 and state["w"].tolist() == [0, 1, 2] and state["deep"] == [(1, None), {2: "x"}]
    (tmp_path / "x.snapshot.previous").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="none in .* can be read"):
        checkpoint.load_snapshot(path)
    with pytest.raises(FileNotFoundError, match="without resume"):
        checkpoint.load_snapshot(tmp_path / "y.snapshot")
    with pytest.raises(TypeError, match="cannot hold a object"):
        checkpoint.save_snapshot(path, {"x": object()})


def test_a_full_disk_leaves_the_old_snapshot(tmp_path, monkeypatch):
    path = tmp_path / "x.snapshot"
    checkpoint.save_snapshot(path, {"step": 1})

    def full(*args):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save_snapshot(path, {"step": 2})
    assert checkpoint.load_snapshot(path) == {"step": 1} and [p.name for p in tmp_path.iterdir()] == ["x.snapshot"]


def test_another_run_is_refused(tmp_path):
    run(tmp_path, False, 1)
    digits = data.Digits(size=8)
    net = models.MLP(64)
    with pytest.raises(ValueError, match="of another run: .*Adam"):
        fit(net, optim.Adam(net.parameters()), data.DataLoader(digits, 16), [], 1, folder=tmp_path, resume=True, progress=False)
    with pytest.raises(ValueError, match="must know where it is"):
        fit(net, optim.Adam(net.parameters()), [], [], 1, folder=tmp_path)


def test_patience_and_the_best_weights(tmp_path):
    net, digits = models.MLP(64, (8,)), data.Digits(size=8)
    rows = fit(net, optim.SGD(net.parameters(), lr=1e-12), data.DataLoader(digits, 64), data.DataLoader(digits, 512), 9, patience=2,
               monitor="test_accuracy", folder=tmp_path, progress=False)
    assert len(rows) == 3 and set(io.load(tmp_path / checkpoint.BEST)) == set(net.state_dict())
