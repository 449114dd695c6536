"""A run that is killed at any instant goes on to the very result of a run that was not."""

import collections
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import pytest

import tinyvision.functional as F
import tinyvision.metrics as metrics_
from tinyvision import data, io, manual_seed, models, nn, no_grad, optim
from tinyvision.data.transforms import Compose, GaussianNoise, RandomCrop, TransformedDataset
from tinyvision.random import default_generator
from tinyvision.train import checkpoint, fit


CHANCE = np.random.default_rng(8)


class Shaken(data.Dataset):
    """Pictures with noise from every source that a data set of one's own may draw from."""

    def __init__(self, dataset):
        self.dataset, self.rng = dataset, np.random.default_rng(9)

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        image, label = self.dataset[index]
        noise = self.rng.random() + CHANCE.random() + default_generator().random() + np.random.rand() + random.random()
        return image + np.float32(noise / 50), label


class Net(nn.Module):
    """Dropout of its own and from the engine's numbers, batch norm, and a count that no file of weights has."""

    def __init__(self):
        self.conv, self.norm, self.drop, self.out = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.3), nn.Linear(144, 10)
        self.register_buffer("calls", np.zeros(()), persistent=False)

    def forward(self, x):
        if self.training:
            with no_grad():
                self.calls[...] = self.calls.data + 1
        x = F.relu(self.norm(self.conv(x))).reshape(len(x), -1)
        return self.out(F.dropout(self.drop(x), 0.1, self.training)) * (1 + 1 / self.calls.item())


def run(folder, resume, epochs=3, report=None, every=2, wrap=lambda loader: loader, pictures=lambda dataset: dataset, **options):
    """Augmentation, shuffling, a schedule, momentum, clipped and accumulated gradients, metrics."""
    manual_seed(1)
    np.random.seed(2)
    random.seed(3)
    CHANCE.bit_generator.state = np.random.default_rng(8).bit_generator.state
    digits = data.Digits(size=8)
    train = TransformedDataset(data.Subset(digits, range(240)), Compose([RandomCrop(8, padding=1), GaussianNoise()]), seed=2)
    loader = wrap(data.DataLoader(pictures(train), 16, shuffle=True, generator=3))
    test = data.DataLoader(data.Subset(digits, range(240, 300)), 7, shuffle=True, generator=4)
    net = Net()
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    schedule = optim.lr_scheduler.MultiStepLR(optimizer, [3, 7, 14], 0.8)
    metrics = {"top2": metrics_.Accuracy(k=2), "both": Both(), "error": metrics_.Collected(metrics_.error_rate)}
    history = fit(net, optimizer, loader, test, epochs, scheduler=schedule, accumulate=2, max_norm=1.0, folder=folder,
                  every=every, resume=resume, progress=False, report=report, metrics=metrics, **options)
    return net, [{**asdict(row), "seconds": 0} for row in history]


class Both(metrics_.Metric):
    """A dict of numbers, from a metric inside and a dict with a default."""

    def __init__(self):
        self.mean = metrics_.Mean()
        self.reset()

    def reset(self):
        self.mean.reset()
        self.counts = collections.defaultdict(int)

    def update(self, outputs, targets):
        self.mean.update(outputs)
        for label in targets.tolist():
            self.counts[label] += 1

    def compute(self):
        return {"mean": self.mean.compute(), "sevens": self.counts[7]}


def same(a, b):
    states = [{**net.state_dict(), **dict(net.named_buffers())} for net in (a, b)]
    return states[0].keys() == states[1].keys() and all((x == states[1][name]).all() for name, x in states[0].items())


def snapshots_alike(a, b):
    """Everything in two snapshots, bit for bit, but for the time that epochs took."""
    def comparable(state):
        arrays = {}
        state["parts"]["history"] = [{**row, "seconds": 0} for row in state["parts"]["history"]["rows"]]
        tree = checkpoint.flatten(state, arrays)
        return tree, [(x.dtype, x.shape, x.tobytes()) for x in arrays.values()]
    return comparable(checkpoint.load_snapshot(a / checkpoint.LAST)) == comparable(checkpoint.load_snapshot(b / checkpoint.LAST))


CODE = """
import sys
from pathlib import Path
from tests.train.test_checkpoint import run
run(Path(sys.argv[1]) / "warm", False, 1)
print("ready", flush=True)
run(Path(sys.argv[2]), True, 40)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills a process as POSIX does")
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_instants(kills, tmp_path):
    run(tmp_path / "warm", False, 1)                      # kernels are compiled
    start = time.monotonic()
    right, rows = run(tmp_path / "whole", False, 40)
    duration = time.monotonic() - start
    rng, folder, survived = np.random.default_rng(kills), tmp_path / "killed", 0
    for i in range(kills):
        warm = tmp_path / f"{i}"
        warm.mkdir()
        with subprocess.Popen([sys.executable, "-c", CODE, str(warm), str(folder)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0, 2 * duration / kills))
            survived += process.poll() is None
            process.send_signal(signal.SIGKILL)
    found, again = run(folder, True, 40)
    assert survived                                       # so many were in the middle of it
    assert same(found, right) and again == rows and snapshots_alike(folder, tmp_path / "whole")
    assert sorted(path.name for path in folder.iterdir()) == [checkpoint.BEST, checkpoint.LAST, f"{checkpoint.LAST}.previous"]


class Died(BaseException):
    pass


@pytest.mark.parametrize("wrap, pictures, instants", [
    (lambda loader: loader, Shaken, range(1, 20)), (lambda loader: data.Prefetch(loader, 3), lambda x: x, [2, 5, 9, 10, 11, 18])],
                         ids=["every source of chance", "prefetch"])
def test_after_every_single_snapshot(wrap, pictures, instants, tmp_path, monkeypatch):
    """The run ends right after its n-th snapshot, for every n: the first, those in the middle, at the last step of an epoch."""
    save, options = checkpoint.Snapshots.save, dict(epochs=2, every=1, wrap=wrap, pictures=pictures)
    right, rows = run(tmp_path / "whole", False, **options)
    for n in instants:
        count = iter(range(1, 100))

        def save_and_die(self, n=n, count=count):
            save(self)
            if next(count) == n:
                raise Died
        monkeypatch.setattr(checkpoint.Snapshots, "save", save_and_die)
        with pytest.raises(Died):
            run(tmp_path / f"{n}", False, **options)
        monkeypatch.setattr(checkpoint.Snapshots, "save", save)
        found, again = run(tmp_path / f"{n}", True, **options)
        assert same(found, right) and again == rows and snapshots_alike(tmp_path / f"{n}", tmp_path / "whole"), n
    count = iter(range(1, 100))
    monkeypatch.setattr(checkpoint.Snapshots, "save", lambda self: (save(self), next(count)))
    run(tmp_path / "counted", False, **options)
    assert next(count) == 20                              # the start, 8 steps and the end of each epoch: 19 are all there are


def test_interrupted_between_two_epochs_and_within_one(tmp_path):
    right, rows = run(tmp_path / "whole", False)
    for stop in (1, 2):
        def leave(row, stop=stop):
            if row.number == stop:
                raise KeyboardInterrupt
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / f"run{stop}", False, report=leave)
        found, again = run(tmp_path / f"run{stop}", True)
        assert same(found, right) and again == rows


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
    with pytest.raises(TypeError, match="cannot hold a object, which is the state.x"):
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


def simple(folder, lr=0.1, net=None, epochs=2, test=None, **options):
    """A run without anything special; its optimiser, and what fit returned."""
    manual_seed(1)
    net, digits = net or models.MLP(64, (8,)), data.Subset(data.Digits(size=8), range(120))
    optimizer = optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    loader = data.DataLoader(digits, options.pop("batch_size", 32), shuffle=True, generator=1)
    test = data.DataLoader(digits, 64) if test is None else test
    return fit(net, optimizer, loader, test, epochs, folder=folder, progress=False, **options)


OTHER = {
    "rate": (dict(lr=0.2), "optimizer.group 0.lr is 0.2 here and 0.1 there"),
    "shape": (dict(net=models.MLP(64, (9,))), r"model.layers.0.weight is float32 \(9, 64\) here and float32 \(8, 64\) there"),
    "network": (dict(net=nn.Sequential(nn.Flatten(), nn.Linear(64, 10))), "model is Sequential here and MLP there"),
    "batches": (dict(batch_size=16), "loader.batch_size is 16 here and 32 there"),
    "groups": (dict(accumulate=3), "accumulate is 3 here and 1 there"),
    "norm": (dict(max_norm=0.5), "max_norm is 0.5 here and None there"),
    "criterion": (dict(criterion=nn.CrossEntropyLoss()), r"criterion is CrossEntropyLoss\(.*\) here and cross_entropy there"),
    "metric": (dict(metrics={"top": metrics_.Accuracy()}), "metrics.top is Accuracy here and nothing there"),
    "monitor": (dict(monitor="test_accuracy"), "monitor is test_accuracy here and test_loss there"),
}


@pytest.mark.parametrize("options, words", OTHER.values(), ids=OTHER)
def test_another_run_is_refused(options, words, tmp_path):
    simple(tmp_path)
    before, net = (tmp_path / checkpoint.LAST).read_bytes(), options.get("net")
    weights = net and [x.data.copy() for x in net.parameters()]
    with pytest.raises(ValueError, match=f"is of another run: .*{words}.* Build everything as it was"):
        simple(tmp_path, resume=True, **options)
    assert (tmp_path / checkpoint.LAST).read_bytes() == before
    assert weights is None or all(map(np.array_equal, weights, [x.data for x in net.parameters()]))


def test_an_optimiser_and_a_schedule_of_another_kind_are_refused(tmp_path):
    run(tmp_path, False, 1)
    net = Net()
    with pytest.raises(ValueError, match="optimizer is Adam here and SGD there; scheduler is None here and MultiStepLR there"):
        fit(net, optim.Adam(net.parameters()), data.DataLoader(data.Digits(size=8), 16), [], 1, folder=tmp_path, resume=True,
            progress=False)
    with pytest.raises(ValueError, match="must know where it is, a list does not"):
        fit(net, optim.Adam(net.parameters()), [], [], 1, folder=tmp_path)


def test_a_run_is_not_written_over(tmp_path):
    simple(tmp_path, epochs=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="holds a run already. Pass resume=True"):
        simple(tmp_path, epochs=1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_finished_run_is_taken_up_to_be_longer(tmp_path):
    assert len(simple(tmp_path / "short", epochs=2)) == 2
    again = simple(tmp_path / "short", epochs=2, resume=True)
    assert len(again) == 2
    longer, whole = simple(tmp_path / "short", epochs=4, resume=True), simple(tmp_path / "whole", epochs=4)
    assert [(row.train_loss, row.test_loss) for row in longer] == [(row.train_loss, row.test_loss) for row in whole]
    assert longer[:2] == again                            # seconds as well: those epochs were not done again


def test_the_same_objects_go_on(tmp_path):
    """As in a notebook, where the cell with fit is run again: the schedule has changed the optimiser's settings."""
    manual_seed(1)
    digits = data.DataLoader(data.Subset(data.Digits(size=8), range(120)), 32, shuffle=True, generator=1)
    net = models.MLP(64, (8,))
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for epochs in 1, 3:
        rows = fit(net, optimizer, digits, digits, epochs, scheduler=schedule, folder=tmp_path, resume=True, progress=False)
    assert len(rows) == 3 and schedule.last_epoch == 12


def test_another_number_of_threads_is_mentioned(tmp_path, monkeypatch):
    simple(tmp_path, epochs=1)
    monkeypatch.setattr(checkpoint, "get_num_threads", lambda: 77)
    with pytest.warns(UserWarning, match=r"begun on \d+ thread\(s\) and goes on with 77.* last digits may differ"):
        simple(tmp_path, resume=True)


def test_ctrl_c_ends_the_step_and_keeps_the_run(tmp_path):
    right, rows = run(tmp_path / "whole", False)

    class Pressing(data.Dataset):
        def __init__(self, dataset, at):
            self.dataset, self.left = dataset, at

        def __len__(self):
            return len(self.dataset)

        def __getitem__(self, index):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGINT)
            return self.dataset[index]

        def set_epoch(self, epoch):
            self.dataset.set_epoch(epoch)
    with pytest.raises(KeyboardInterrupt, match="fit: interrupted after step 10; the run is kept in .* goes on with resume=True"):
        run(tmp_path / "run", False, pictures=lambda dataset: Pressing(dataset, 300), every=None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    found, again = run(tmp_path / "run", True)
    assert same(found, right) and again == rows


def test_ctrl_c_in_an_evaluation_ends_it(tmp_path):
    right = simple(tmp_path / "whole")

    class Pressing:
        def __init__(self, batches):
            self.batches = batches

        def __iter__(self):
            os.kill(os.getpid(), signal.SIGINT)
            return iter(self.batches)
    batches = list(data.DataLoader(data.Subset(data.Digits(size=8), range(120)), 64))
    with pytest.raises(KeyboardInterrupt, match="interrupted after step 4"):
        simple(tmp_path / "run", test=Pressing(batches))
    rows = simple(tmp_path / "run", test=batches, resume=True)
    assert [(row.train_loss, row.test_loss) for row in rows] == [(row.train_loss, row.test_loss) for row in right]


def test_snapshots_by_the_clock(tmp_path, monkeypatch):
    times, saved, clock, save = [], [], iter(range(10_000)), checkpoint.Snapshots.save
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: times.append(1) or next(clock))
    monkeypatch.setattr(checkpoint.Snapshots, "save", lambda self: saved.append(self.steps) or save(self))
    simple(tmp_path, epochs=3, every=2.0)                 # every look at the clock is a second later
    assert saved == [0, 2, 4, 4, 6, 8, 8, 10, 12, 12]     # and at the end of each epoch of 4 steps


WRITES = """
import resource, sys
import tinyvision
from tests.train.test_checkpoint import simple

def limit(row=None):
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

if sys.argv[2] == "before":
    limit()
simple(sys.argv[1], epochs=3, report=limit)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files as POSIX does")
@pytest.mark.parametrize("when, steps, words", [
    ("before", None, r"fit: needs 0\.\d MB for snapshots in .* \(File too large\). Free some space"),
    ("after the first epoch", 4, r"fit: the snapshot after step 8 could not be written to .* \(File too large\). The one before "
                                 r"it is whole: free some space, and go on with resume=True.")])
def test_no_room(when, steps, words, tmp_path):
    """The system refuses to write more, as it does on a full disk."""
    done = subprocess.run([sys.executable, "-c", WRITES, str(tmp_path / "run"), when], capture_output=True, text=True)
    assert re.search(words, done.stderr.splitlines()[-1]) and done.returncode == 1
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    if steps is None:
        assert names == []
    else:
        assert names == [checkpoint.BEST, checkpoint.LAST, f"{checkpoint.LAST}.previous"]
        rows, whole = simple(tmp_path / "run", epochs=3, resume=True), simple(tmp_path / "whole", epochs=3)
        assert [row.train_loss for row in rows] == [row.train_loss for row in whole]


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    for folder in tmp_path / "file", tmp_path / "file" / "run":
        with pytest.raises(OSError, match="fit: cannot write snapshots to .*file.*Name another folder"):
            simple(folder)


def test_room_without_help_of_the_system(tmp_path, monkeypatch):
    written = []
    monkeypatch.delattr(checkpoint.os, "posix_fallocate", raising=False)
    monkeypatch.setattr(checkpoint.os, "fsync", lambda descriptor: written.append(os.fstat(descriptor).st_size))
    checkpoint.probe(tmp_path, 3_000_000)
    assert written == [3_000_000] and list(tmp_path.iterdir()) == []


def test_the_room_asked_for_is_enough(tmp_path):
    for make in (lambda p: optim.SGD(p, 0.1), lambda p: optim.Adam(p, amsgrad=True),
                 lambda p: optim.RMSprop(p, momentum=0.9, centered=True)):
        net, digits = models.MLP(64, (200,)), data.DataLoader(data.Digits(size=8), 512)
        optimizer, folder = make(net.parameters()), tmp_path / make(models.MLP(4).parameters()).__class__.__name__
        found = checkpoint.Snapshots(folder, net, {"optimizer": optimizer}, [], dict)
        folder.mkdir()
        asked = found.room()
        fit(net, optimizer, digits, digits, 2, folder=tmp_path / f"{folder.name} run", progress=False)
        files = {path.name: path.stat().st_size for path in (tmp_path / f"{folder.name} run").iterdir()}
        assert asked >= files[checkpoint.LAST] * 3 + files[checkpoint.BEST] * 2


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    simple(tmp_path, epochs=1)
    for name in ".0123456789abcdef.new", ".0123456789abcdef.safetensors", "last.snapshot.new", "notes.txt", ".hidden.new":
        (tmp_path / name).touch()
    simple(tmp_path, epochs=1, resume=True)
    ours = {checkpoint.LAST, f"{checkpoint.LAST}.previous", checkpoint.BEST}
    assert {path.name for path in tmp_path.iterdir()} == ours | {"notes.txt", ".hidden.new"}


def test_a_part_that_cannot_be_kept_is_named(tmp_path):
    class Odd(metrics_.Mean):
        def reset(self):
            super().reset()
            self.seen = {1, 2}
    with pytest.raises(TypeError, match=r"cannot hold a set, which is the state.parts.tally.metrics.odd.seen.*state_dict\(\)"):
        simple(tmp_path, metrics={"odd": Odd()})


def test_patience_and_the_best_weights(tmp_path):
    net, digits = models.MLP(64, (8,)), data.Digits(size=8)
    rows = fit(net, optim.SGD(net.parameters(), lr=1e-12), data.DataLoader(digits, 64), data.DataLoader(digits, 512), 9,
               patience=2, monitor="test_accuracy", folder=tmp_path, progress=False)
    assert len(rows) == 3 and set(io.load(tmp_path / checkpoint.BEST)) == set(net.state_dict())
