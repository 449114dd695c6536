"""Batches made elsewhere are the same batches; a loader goes on where another one was."""

import collections
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tinyvision import Tensor, manual_seed
from tinyvision.data import DataLoader, Dataset, Prefetch, Subset, TensorDataset
from tinyvision.data.workers import WorkerError
from tinyvision.random import default_generator

Pair = collections.namedtuple("Pair", "image label")


class Squares(Dataset):
    def __init__(self, bad=None):
        self.bad, self.epoch = bad, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return 23

    def __getitem__(self, index):
        if index == self.bad:
            raise ValueError(f"example {index} is broken")
        return np.float32([index, index ** 2, self.epoch])


def passes(loader, count=2):
    return [[batch.data.tolist() for batch in loader] for _ in range(count)]


@pytest.mark.parametrize("wrap", [lambda **o: DataLoader(Squares(), 4, shuffle=True, generator=3, num_workers=2, **o),
                                  lambda **o: Prefetch(DataLoader(Squares(), 4, shuffle=True, generator=3, **o), 3)],
                         ids=["processes", "thread"])
def test_the_same_batches(wrap):
    right = passes(DataLoader(Squares(), 4, shuffle=True, generator=3))
    assert passes(wrap()) == right and right[0] != right[1]
    assert {row[2] for batch in right[1] for row in batch} == {1.0}       # the set was told the number of the pass
    for batch in wrap():                                  # a loop that is left early leaves nothing behind
        break


@pytest.mark.parametrize("wrap", [lambda d: DataLoader(d, 4, num_workers=2), lambda d: Prefetch(DataLoader(d, 4))])
def test_errors_come_through(wrap):
    found = []
    with pytest.raises(ValueError, match="example 9 is broken"):
        for batch in wrap(Squares(bad=9)):
            found.append(batch)
    assert len(found) == 2                                # those before the broken one


class Odd(Exception):
    """An exception that cannot be made of a text."""

    def __init__(self, code, place):
        super().__init__(code, place)


class Example(Dataset):
    """The n-th example is function(n)."""

    def __init__(self, function, n=8):
        self.function, self.n = function, n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return self.function(index)


def raising(error):
    def function(index):
        if index == 5:
            raise error
        return index
    return function


@pytest.mark.parametrize("error, kind, words", [
    (KeyError("five"), WorkerError, "KeyError: 'five'"), (Odd(3, "here"), WorkerError, "Odd"),
    (OSError("no file"), OSError, "no file")])
def test_an_error_names_the_example_and_the_place(error, kind, words):
    with pytest.raises(kind, match="DataLoader: example 5 could not be made: ") as raised:
        list(DataLoader(Example(raising(error)), 2, num_workers=2))
    assert words in str(raised.value) and "in function" in str(raised.value)             # the worker's traceback


def test_an_error_of_a_whole_batch_names_its_examples():
    with pytest.raises(ValueError, match=r"batch of examples \[2, 3\] could not be made: ValueError: .* equal shapes"):
        list(DataLoader([np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(3)], 2, num_workers=1))
    with pytest.raises(ZeroDivisionError, match=r"batch of examples \[0, 1\] could not be made"):
        list(DataLoader(range(4), 2, num_workers=1, collate_fn=lambda batch: 1 / 0))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills its own process")
def test_a_worker_that_dies_is_told():
    with pytest.raises(WorkerError, match="a worker process died while the batch of examples"):
        list(DataLoader(Example(lambda index: os.kill(os.getpid(), signal.SIGKILL)), 2, num_workers=2))


KEPT = np.random.default_rng(0)
CHANCE = {
    "the engine's generator": lambda index: default_generator().random(),
    "numpy.random,": lambda index: np.random.rand(),
    "Python's module random": lambda index: random.random(),
    "generator 0 of those that the data set keeps": lambda index: KEPT.random(),
}


@pytest.mark.parametrize("source", CHANCE)
def test_random_numbers_of_which_every_worker_has_a_copy_are_refused(source):
    loader = DataLoader(Example(CHANCE[source]), 2, num_workers=2)
    with pytest.raises(WorkerError, match=f"made with random numbers of {source}.*default_rng"):
        list(loader)


def test_random_numbers_by_number_are_welcome():
    def draw(index):
        return np.random.default_rng([7, index]).random()
    assert passes(DataLoader(Example(draw), 3, num_workers=2), 1) == passes(DataLoader(Example(draw), 3), 1)


class AtHome(Example):
    """Cannot be unpickled."""

    def __init__(self):
        super().__init__(abs)

    def __reduce__(self):
        return only_here, ()


def only_here():
    raise ValueError("only here")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_are_not_forked(method, monkeypatch):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    monkeypatch.setattr(multiprocessing, "get_context", lambda: multiprocessing.context._concrete_contexts[method])
    options = dict(num_workers=2)
    assert passes(DataLoader(Squares(), 8, **options), 1) == passes(DataLoader(Squares(), 8), 1)
    with pytest.raises(WorkerError, match="did not arrive in the worker process: ValueError: only here"):
        list(DataLoader(AtHome(), 2, **options))
    with pytest.raises(TypeError, match=f"started by '{method}' are sent a copy of the data set, which cannot be made"):
        list(DataLoader(Example(lambda index: index), 2, **options))


BATCHES = {
    "columns": TensorDataset(np.arange(12.0).reshape(6, 2), np.arange(6)), "part": Subset(TensorDataset(np.arange(6)), [5, 3, 1]),
    "tensors": TensorDataset(Tensor(np.arange(6.0))), "dicts": [{"x": np.ones(2), "y": [i, "text"]} for i in range(6)],
    "named": [Pair(np.full(3, i, np.float32), i) for i in range(6)],
}


@pytest.mark.parametrize("dataset", BATCHES.values(), ids=BATCHES)
def test_batches_of_every_form(dataset):
    def same(a, b):
        assert type(a) is type(b)
        if isinstance(a, Tensor):
            assert a.dtype == b.dtype and a.data.flags.writeable
            return np.testing.assert_array_equal(a.data, b.data)
        if isinstance(a, (dict, list, tuple)):
            assert list(a) == list(b) if isinstance(a, dict) else len(a) == len(b)
            return [same(*pair) for pair in (zip(a.values(), b.values()) if isinstance(a, dict) else zip(a, b))]
        assert a == b
    same(list(DataLoader(dataset, 2, num_workers=2)), list(DataLoader(dataset, 2)))


def test_gradients_do_not_pass_between_processes():
    with pytest.raises(WorkerError, match="require a gradient"):
        list(DataLoader(TensorDataset(Tensor(np.arange(6.0), requires_grad=True)), 2, num_workers=1))


def test_the_next_batches_are_made_meanwhile():
    made = []

    def note(index):
        made.append(index)
        return index
    batches = iter(Prefetch(DataLoader(Example(note), 2), 2))
    next(batches)
    deadline = time.monotonic() + 10
    while len(made) < 8 and time.monotonic() < deadline:  # the one used, two in the queue, one that waits for room
        time.sleep(0.01)
    assert made == list(range(8))
    count = threading.active_count()
    batches.close()
    assert threading.active_count() == count - 1


class Noisy(Dataset):
    """Draws from a generator that it keeps."""

    def __init__(self, seed=1):
        self.options = {"rng": np.random.default_rng(seed)}

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index + self.options["rng"].random()


@pytest.mark.parametrize("wrap", [lambda loader: loader, lambda loader: Prefetch(loader, 3)], ids=["plain", "prefetch"])
@pytest.mark.parametrize("used", [0, 1, 3, 4, 5])
def test_the_random_numbers_of_the_data_set_go_on_too(used, wrap):
    def make(seed):
        return wrap(DataLoader(Noisy(seed), 3, shuffle=True, generator=seed))
    loader, rest = make(1), []
    batches = iter(loader)
    for _ in range(min(used, 4)):
        next(batches)
    if used == 5:
        assert list(batches) == []                        # the end of the pass is known
    again = make(2)
    again.load_state_dict(json.loads(json.dumps(loader.state_dict())))
    rest = [batch.data.tolist() for batch in batches] + sum(passes(loader, 2), [])
    found = sum(passes(again, 2 if used == 5 else 3), [])
    assert found == rest


@pytest.mark.parametrize("used", [1, 3])
def test_a_pass_in_a_thread_that_is_left_early_draws_no_more_than_one_without(used):
    plain, ahead = (DataLoader(Noisy(), 3, shuffle=True, generator=1) for _ in range(2))
    ahead = Prefetch(ahead, 3)
    for loader in plain, ahead:
        for i, _ in enumerate(loader, 1):
            if i == used:
                break
    assert ahead.state_dict() == plain.state_dict() and passes(ahead) == passes(plain)


PARENT = """
import sys, time
from tinyvision.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 1000
    def __getitem__(self, index):
        time.sleep(0.05)
        return index

import multiprocessing
for batch in DataLoader(Slow(), 2, num_workers=3):
    print(*[process.pid for process in multiprocessing.active_children()], flush=True)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:           # a zombie that nobody waits for has ended
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks processes up in /proc")
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(signal_number):
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as parent:
        workers = list(map(int, parent.stdout.readline().split()))
        assert len(workers) == 3 and all(map(alive, workers))
        if signal_number == signal.SIGINT:
            os.killpg(parent.pid, signal_number)          # as the terminal does it: to all of them
        else:
            parent.send_signal(signal_number)
        parent.wait(timeout=20)
        said = parent.stderr.read()
    deadline = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))
    assert said.count("Traceback") == (signal_number == signal.SIGINT)                   # the parent's own


def test_workers_end_when_the_loop_is_left():
    active_children = multiprocessing.active_children
    before = len(active_children())
    for _ in DataLoader(Squares(), 2, num_workers=2):
        assert len(active_children()) == before + 2
        break
    assert len(active_children()) == before


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("handed_out", [0, 1, 5, 6, 8, 12])
def test_a_loader_goes_on_where_another_was(handed_out, shuffle):
    def stream(loader, count=3):
        for _ in range(count):
            yield from (batch.data.tolist() for batch in loader)

    def make(seed):
        return DataLoader(Squares(), 4, shuffle=shuffle, generator=seed)
    loader = make(7)
    batches = stream(loader)
    for _ in range(handed_out):
        next(batches)
    state = json.loads(json.dumps(loader.state_dict()))
    again = make(8)
    again.load_state_dict(state)
    rest = list(batches)
    found = list(stream(again, 3))
    assert len(rest) >= 6 and found[:len(rest)] == rest


@pytest.mark.parametrize("options, words", [({"num_workers": -1}, "at least 0"), ({"num_workers": 1.5}, "integer"),
                                            ({"prefetch_factor": 2}, "for worker processes"),
                                            ({"num_workers": 1, "prefetch_factor": 0}, "at least 1")])
def test_mistakes(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        DataLoader(Squares(), 4, **options)
    with pytest.raises(ValueError, match="another loader, size 23"):
        DataLoader(TensorDataset(np.zeros(5)), 4).load_state_dict(DataLoader(Squares(), 4).state_dict())
    with pytest.raises(ValueError, match="at least 1"):
        Prefetch([], 0)
    with pytest.raises(TypeError, match="only a DataLoader knows its place, in here is a list"):
        Prefetch([]).state_dict()
    with pytest.raises(ValueError, match="1 random generators of the data set, this one keeps 0"):
        DataLoader(Example(int, 10), 3).load_state_dict(DataLoader(Noisy(), 3).state_dict())


def test_the_state_holds_for_every_kind_of_generator():
    for bits in np.random.PCG64DXSM, np.random.Philox, np.random.SFC64, np.random.MT19937:
        loader, again = (DataLoader(range(9), 2, shuffle=True, generator=np.random.Generator(bits(seed))) for seed in (1, 2))
        passes(loader, 1)
        again.load_state_dict(json.loads(json.dumps(loader.state_dict())))
        assert passes(again) == passes(loader)
        with pytest.raises(ValueError, match=f"of a generator of {bits.__name__}, this one is of PCG64"):
            DataLoader(range(9), 2, shuffle=True, generator=1).load_state_dict(loader.state_dict())
    manual_seed(4)
