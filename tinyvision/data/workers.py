"""Batches made beside the training: by worker processes, or in a thread.

A step of training needs its batch when it begins.  If reading and augmenting take as long as the step, half of the time is
lost, unless the next batch is made meanwhile: in a thread of the same process, which is enough where NumPy does the work (it
lets other threads run), or by processes, each on a core of its own, where Python does.  Either way batches come in their order
and are what they would have been.

For that, what is random in them must follow from the example's number and the pass, as in TransformedDataset.  A worker has a
copy of everything: of a generator, and of NumPy's and Python's global random numbers, each would draw the same numbers again.
So a worker looks whether any of them has moved, and says so.

Numba's threads do not survive a fork, and several workers share the cores: in a worker kernels and BLAS run on one thread.
Workers end with their parent, however it ends; Ctrl-C is the parent's business.
"""

import collections
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import pickle
import queue
import random
import signal
import sys
import threading
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np

from .. import memory
from ..random import default_generator, generators_in
from ..tensor import Tensor, raw, recording, result, tracked
from .dataset import Subset, TensorDataset
from .loader import DataLoader, make

work = None                                               # in a worker: what makes a batch


class WorkerError(RuntimeError):
    """A worker process could not make a batch."""


class Work:
    """In a worker: the data set, how batches are made of it, and the random numbers that nobody may touch."""

    def __init__(self, dataset, collate_fn):
        self.dataset, self.collate_fn = dataset, collate_fn
        self.generators = {"the engine's generator": default_generator()}
        for i, generator in enumerate(generators_in(dataset, collate_fn)):
            self.generators[f"generator {i} of those that the data set keeps"] = generator

    def __call__(self, indices):
        before, noted = self.random_states(), Noted(self.dataset)
        try:
            batch = make(noted if self.collate_fn or noted.by_example else self.dataset, self.collate_fn, indices)
        except Exception as error:
            raise failure(error, noted.index, indices) from None
        for name, state in self.random_states().items():
            if state != before[name]:
                raise WorkerError(f"DataLoader: an example of {indices.tolist()} was made with random numbers of {name}, of "
                                  "which every worker process has the same copy. Draw from numpy.random.default_rng([seed, "
                                  "epoch, index]) in the data set, use TransformedDataset, or pass num_workers=0.")
        return packed(batch)

    def random_states(self):
        numpys = np.random.get_state(legacy=True)
        found = {name: generator.bit_generator.state for name, generator in self.generators.items()}
        found = {name: {key: repr(value) for key, value in state.items()} for name, state in found.items()}
        return {**found, "numpy.random": (numpys[1].tobytes(), *numpys[2:]), "Python's module random": random.getstate()}


class Noted:
    """The data set, noting which example is being made, for the report of an error."""

    def __init__(self, dataset):
        self.dataset, self.index, base = dataset, None, dataset
        while type(base).__getitem__ is Subset.__getitem__:
            base = base.dataset
        self.by_example = type(base).__getitem__ is not TensorDataset.__getitem__

    def __getitem__(self, index):
        self.index = index
        example = self.dataset[index]
        self.index = None
        return example


def failure(error, index, indices):
    """The exception that the parent raises for one in a worker: of its kind, if that kind can be made of a text and sent."""
    which = f"example {index}" if index is not None else f"the batch of examples {indices.tolist()}"
    lines = traceback.format_exception(type(error), error, error.__traceback__.tb_next or error.__traceback__)
    text = f"DataLoader: {which} could not be made: {type(error).__name__}: {error}\nIn the worker process:\n{''.join(lines)}"
    with contextlib.suppress(Exception):
        found = pickle.loads(pickle.dumps(type(error)(text)))
        if type(found) is type(error) and str(found) == text:
            return found
    return WorkerError(text)


def packed(batch):
    """The batch as it can be sent: Tensors as their arrays, marked."""
    if isinstance(batch, Tensor):
        if tracked(batch):
            raise WorkerError("DataLoader: the examples require a gradient, which cannot be followed from one process to "
                              "another. Pass num_workers=0, or detach them.")
        return Sent(raw(batch))
    if isinstance(batch, dict):
        return {key: packed(value) for key, value in batch.items()} if type(batch) is dict else batch
    if isinstance(batch, (list, tuple)):
        parts = [packed(value) for value in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch


def unpacked(batch):
    """The inverse of packed."""
    if isinstance(batch, Sent):
        return result(batch.array)
    if type(batch) is dict:
        return {key: unpacked(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        parts = [unpacked(value) for value in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch


class Sent:
    """The array of a Tensor on its way from one process to another."""

    def __init__(self, array):
        self.array = array


def set_up(task, pickled):
    """The beginning of a worker."""
    global work
    signal.signal(signal.SIGINT, signal.SIG_IGN)          # Ctrl-C goes to all; the parent ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent, number = multiprocessing.parent_process(), os.getppid()
    threading.Thread(target=end_with, args=(parent, number), daemon=True).start()
    memory.pool.lock = threading.Lock()                   # after a fork: another thread may have held it, and is not here
    one_thread()
    try:
        work = Work(*(pickle.loads(task) if pickled else task))
    except Exception as error:                            # kept for the first batch: here it would only be printed
        work = Unusable(f"{type(error).__name__}: {error}")


class Unusable:
    """In a worker: the reason why it has no data set."""

    def __init__(self, reason):
        self.reason = reason

    def __call__(self, indices):
        raise WorkerError(f"DataLoader: the data set did not arrive in the worker process: {self.reason}. Define its class at "
                          "the top of a file rather than in a notebook, or call multiprocessing.set_start_method('fork') where "
                          "the system has it.")


def end_with(parent, number):
    """Wait until the parent is gone.  Its end of a pipe may have been copied into younger workers: then its number changes."""
    while not multiprocessing.connection.wait([parent.sentinel], timeout=1) and os.getppid() == number:
        pass
    os._exit(1)


def one_thread():
    """Kernels and BLAS on one thread: the workers share the cores."""
    jit = sys.modules.get(f"{memory.__name__.partition('.')[0]}.kernels.cpu.jit")
    if jit is None:
        os.environ.setdefault("NUMBA_NUM_THREADS", "1")   # for a Numba that is imported later
    else:
        jit.threads.count = 1
    try:
        import threadpoolctl
    except ImportError:
        return
    threadpoolctl.threadpool_limits(1)


def call(indices):
    return work(indices)


def made_by_workers(dataset, collate_fn, groups, workers, ahead):
    """The batch of each group of numbers, in order, by this many processes, `ahead` of them each in advance.

    An exception in a worker is raised here, with the number of the example and the worker's traceback in its text.
    Raises WorkerError for random numbers that do not follow from the example's number, for gradients, and for a worker that died;
    TypeError for a data set that cannot be sent to processes that are not forked.
    """
    context = multiprocessing.get_context()
    pickled = context.get_start_method() != "fork"
    task = dumped((dataset, collate_fn), context) if pickled else (dataset, collate_fn)
    pool = ProcessPoolExecutor(min(workers, len(groups)), context, set_up, (task, pickled))
    try:
        rest, waiting = iter(groups), collections.deque()
        for group in rest:
            with warnings.catch_warnings():               # Python fears locks held by other threads; set_up knows ours
                warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
                waiting.append((group, pool.submit(call, group)))
            if len(waiting) >= workers * ahead:
                yield received(*waiting.popleft(), context)
        while waiting:
            yield received(*waiting.popleft(), context)
    finally:                                              # at the end, after an error, or when the loop is left early
        pool.shutdown(wait=True, cancel_futures=True)


def received(group, future, context):
    """The batch, when it is there."""
    try:
        return unpacked(future.result())
    except BrokenProcessPool:
        hint = ("" if context.get_start_method() == "fork" else " A process that is not forked imports the program anew: put "
                "what starts it under `if __name__ == \"__main__\":`, and the data set's class into a file.")
        raise WorkerError(f"DataLoader: a worker process died while the batch of examples {group.tolist()} was waited for: "
                          f"killed, out of memory, or crashed in compiled code.{hint} num_workers=0 shows the error "
                          "itself.") from None


def dumped(task, context):
    try:
        return pickle.dumps(task)
    except Exception as error:
        raise TypeError(f"DataLoader: workers started by {context.get_start_method()!r} are sent a copy of the data set, which "
                        f"cannot be made: {error}. Define classes and functions at the top of a file, and open files only in "
                        "__getitem__; or call multiprocessing.set_start_method('fork') where the system has it.") from error


class Prefetch:
    """A loader whose next batches are made in a thread while the last one is used.

    loader: an iterable with a length, a DataLoader for instance; batches: how many are made in advance.
    An exception of the loader is raised where its batch would have come.  The thread ends when its loop does, even one that is
    left early; then the loader is where the last batch that was used left it, random numbers of its data set included.
    state_dict and load_state_dict are those of the loader in it, as if nothing were made in advance.
    Raises ValueError for batches below 1.

    >>> from tinyvision.data import DataLoader
    >>> [len(batch) for batch in Prefetch(DataLoader(list(range(5)), 2))]
    [2, 2, 1]
    """

    def __init__(self, loader, batches=2):
        if isinstance(batches, bool) or not hasattr(batches, "__index__") or batches < 1:
            raise ValueError(f"Prefetch: batches must be an integer of at least 1, got {batches!r}.")
        self.loader, self.ahead, self.state = loader, int(batches), None

    def __len__(self):
        return len(self.loader)

    def state_dict(self):
        """That of the loader, as of the last batch handed out.  Raises TypeError for a loader that does not know its place."""
        self.check_place()
        return self.loader.state_dict() if self.state is None else self.state

    def load_state_dict(self, state_dict):
        """Go on where another loader was."""
        self.check_place()
        self.loader.load_state_dict(state_dict)
        self.state = None

    def check_place(self):
        if not isinstance(self.loader, DataLoader):
            raise TypeError(f"Prefetch: only a DataLoader knows its place, in here is a {type(self.loader).__name__}.")

    def __iter__(self):
        batches, place = iter(self.loader), self.loader.state_dict if isinstance(self.loader, DataLoader) else lambda: None
        self.state = place()
        return self.handed_out(batches, place, self.state)

    def handed_out(self, batches, place, state):
        made, stop = queue.Queue(self.ahead), threading.Event()
        thread = threading.Thread(target=produce, args=(batches, made, stop, place, recording.on), daemon=True)
        thread.start()
        try:
            while True:
                kind, value, later = made.get()
                if self.state is state:                   # else another pass has begun meanwhile
                    self.state = later
                state = later
                if kind == "end":
                    break
                if kind == "error":
                    raise value
                yield value
        finally:
            stop.set()
            while thread.is_alive():                      # it may wait for room to put a batch
                with contextlib.suppress(queue.Empty):
                    made.get(timeout=0.01)
            if self.state is state:
                self.state = None
                if state is not None:
                    self.loader.take_place(state)         # as if the batches in advance had never been made


def produce(batches, made, stop, place, on):
    """Put what the iterator gives into the queue, with the loader's place, until it ends or nobody wants more."""
    recording.on = on
    try:
        for batch in batches:
            made.put(("batch", batch, place()))
            if stop.is_set():
                return
    except BaseException as error:
        made.put(("error", error, place()))
    else:
        made.put(("end", None, place()))
