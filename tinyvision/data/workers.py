"""Batches made beside the training: by worker processes, or in a thread.

A step of training needs its batch when it begins.  If reading and augmenting take as long as the step, half of the time is
lost, unless the next batch is made meanwhile: in a thread of the same process, which is enough where NumPy does the work (it
lets other threads run), or by processes, each on a core of its own, where Python does.  Either way batches come in their order
and are what they would have been: what is random in them must follow from the example's number (TransformedDataset), not
from a generator that several processes would share.

Numba's threads do not survive a fork, so in a worker kernels run on one thread; it should do NumPy's work only.
"""

import collections
import multiprocessing.connection
import os
import queue
import threading
from concurrent.futures import ProcessPoolExecutor

work = None                                               # in a worker: the function that makes a batch


def set_up(function):
    """The beginning of a worker: keep the function, and end when the parent does, however it ends."""
    global work
    work = function
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (multiprocessing.connection.wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def call(argument):
    return work(argument)


def made_by_workers(make, groups, workers, ahead):
    """make(group) for each group, in order, by this many processes, `ahead` of them each in advance.

    An exception in a worker is raised here, with the worker's traceback as its cause.
    """
    pool = ProcessPoolExecutor(min(workers, len(groups)), initializer=set_up, initargs=(make,))
    try:
        rest, waiting = iter(groups), collections.deque()
        for group in rest:
            waiting.append(pool.submit(call, group))
            if len(waiting) >= workers * ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:                                              # at the end, after an error, or when the loop is left early
        pool.shutdown(wait=True, cancel_futures=True)


class Prefetch:
    """A loader whose next batches are made in a thread while the last one is used.

    loader: an iterable with a length, a DataLoader for instance; batches: how many are made in advance.
    An exception of the loader is raised where its batch would have come.  A thread ends when its loop does, even one that is left
    early.  It does not know its place (DataLoader.state_dict), for the loader in it is some batches ahead.
    Raises ValueError for batches below 1.

    >>> from tinyvision.data import DataLoader
    >>> [len(batch) for batch in Prefetch(DataLoader(list(range(5)), 2))]
    [2, 2, 1]
    """

    def __init__(self, loader, batches=2):
        if isinstance(batches, bool) or not hasattr(batches, "__index__") or batches < 1:
            raise ValueError(f"Prefetch: batches must be an integer of at least 1, got {batches!r}.")
        self.loader, self.ahead = loader, int(batches)

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        batches, made, stop = iter(self.loader), queue.Queue(self.ahead), threading.Event()
        thread = threading.Thread(target=produce, args=(batches, made, stop), daemon=True)
        thread.start()
        try:
            while True:
                kind, value = made.get()
                if kind == "end":
                    return
                if kind == "error":
                    raise value
                yield value
        finally:
            stop.set()
            while thread.is_alive():                      # it may wait for room to put a batch
                try:
                    made.get_nowait()
                except queue.Empty:
                    thread.join(0.01)


def produce(batches, made, stop):
    """Put what the iterator gives into the queue, until it ends or nobody wants more."""
    try:
        for batch in batches:
            made.put(("batch", batch))
            if stop.is_set():
                return
    except BaseException as error:
        made.put(("error", error))
    else:
        made.put(("end", None))
