"""Compile a kernel with Numba: at its first call, once per machine, for several threads.

    @compiled      a kernel that Python calls; its prange loops are shared out among the threads
    @inner         a function that kernels call

What is compiled is kept in a folder of the user's cache, under a checksum of all files here: whoever edits a kernel, or a
function that it calls, never meets its old code.  Threads belong to Numba; OpenBLAS has its own, and the two would take the
cores from each other: a step of training uses those of one library only.

Numba's threads do not survive fork(), so in a forked process (a worker of a data loader) kernels run on one thread, in a
version compiled without prange.
"""

import functools
import hashlib
import os
import sys
import threading
from pathlib import Path

import numba
import numpy as np
from numba.core import caching, config
from numba.misc import appdirs

HERE = Path(__file__).parent
# NaN and infinity keep their meaning; sums may be reordered (reassoc), or nothing could be added up in a vector register
OPTIONS = {"fastmath": {"reassoc", "contract", "nsz", "arcp"}, "error_model": "numpy", "nogil": True}


def inner(function):
    """A function of a kernel: compiled into whatever calls it."""
    return numba.njit(**OPTIONS)(function)


class Compiled:
    """A kernel: compiled when it is first called with arguments of these types, for all threads or for one."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function, self.lock = function, threading.Lock()
        self.parallel = self.serial = None

    def __call__(self, *args):
        if threads.forked:
            return (self.serial or self.make("serial"))(*args)
        if threads.unsafe is False:
            return (self.parallel or self.make("parallel"))(*args)
        with threads.lock:                                # a threading layer that one Python thread at a time may enter
            return self.first(args) if threads.unsafe is None else (self.parallel or self.make("parallel"))(*args)

    def first(self, args):
        """The first kernel of all: only afterwards it is known which threading layer Numba found."""
        y = (self.parallel or self.make("parallel"))(*args)
        threads.unsafe = numba.threading_layer() == "workqueue"
        return y

    def make(self, kind):
        with self.lock:
            if getattr(self, kind) is None:
                dispatcher = numba.njit(parallel=kind == "parallel", **OPTIONS)(self.function)
                dispatcher._cache = Cache(self.function, kind)
                setattr(self, kind, dispatcher)
            return getattr(self, kind)


compiled = Compiled


class Threads:
    """How many threads kernels use, and what must be minded about them."""

    def __init__(self):
        self.count, self.lock = numba.get_num_threads(), threading.RLock()
        self.unsafe = None                                # whether Numba's layer cannot be entered by two Python threads
        self.forked = False                               # in a child of a process that had used Numba's threads
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.after_fork)

    def after_fork(self):
        self.lock = threading.RLock()
        if self.unsafe is not None:
            self.forked, self.count = True, 1


threads = Threads()


def set_num_threads(n):
    """Share the loops of the kernels out among n threads."""
    most = config.NUMBA_NUM_THREADS
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 1 <= n <= most:
        raise ValueError(f"set_num_threads: must be an integer from 1 to {most}, the threads that Numba started with, got {n!r}. "
                         "NUMBA_NUM_THREADS, set before Python starts, changes that number.")
    threads.count = 1 if threads.forked else int(n)


class Scratch(threading.local):
    """Memory for a kernel's own use, one row per worker, kept from call to call: fresh pages would cost more than the work."""

    def __init__(self):
        self.kept = {}

    def __call__(self, name, workers, numbers, dtype):
        array = self.kept.get((name, dtype))
        if array is None or array.shape[0] < workers or array.shape[1] < numbers:
            array = self.kept[name, dtype] = np.empty((workers, numbers), dtype)
        return array


scratch = Scratch()


@functools.cache
def stamp():
    """A checksum of everything that may change what is compiled."""
    text = b"".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))
    return hashlib.sha256(text).hexdigest()


def cache_folder():
    """Where compiled kernels are kept: NUMBA_CACHE_DIR, or a folder of the user's cache; one for each installation."""
    base = Path(config.CACHE_DIR) if config.CACHE_DIR else Path(appdirs.user_cache_dir("tinyvision")) / "kernels"
    return base / hashlib.sha256(str(HERE).encode()).hexdigest()[:12]


class Locator(caching._CacheLocator):
    """Numba's question where to keep a function, answered."""

    def __init__(self, kind):
        self.kind = kind

    def get_cache_path(self):
        return str(cache_folder() / self.kind)

    def ensure_cache_path(self):
        os.makedirs(self.get_cache_path(), exist_ok=True)

    def get_source_stamp(self):
        return stamp()

    def get_disambiguator(self):
        return "kernel"

    @classmethod
    def from_function(cls, function, file):
        raise NotImplementedError


class CacheImpl(caching.CompileResultCacheImpl):
    """Numba's cache of compiled functions, with the locator above: its own looks at one file only, not at those that it calls."""

    kind = "parallel"

    def __init__(self, function):
        self._lineno = function.__code__.co_firstlineno
        self._locator = Locator(self.kind)
        self._filename_base = self.get_filename_base(f"{function.__module__}.{function.__qualname__}", getattr(sys, "abiflags", ""))


class SerialCacheImpl(CacheImpl):
    kind = "serial"


class Cache(caching.FunctionCache):
    """Says when it has to compile, and goes on without a cache where the folder cannot be written or read."""

    def __init__(self, function, kind):
        self._impl_class = CacheImpl if kind == "parallel" else SerialCacheImpl
        super().__init__(function)

    def _index_key(self, signature, codegen):
        # Numba would hash the closure as well, whose micro-kernels get new identities in every process; the name tells variants apart
        return signature, codegen.magic_tuple()

    def load_overload(self, signature, target):
        try:
            found = super().load_overload(signature, target)
        except Exception as error:                        # an unreadable or damaged file: compile anew
            say("cache", f"the cache of kernels in {self.cache_path} cannot be read ({error}); compiling anew.")
            found = None
        if found is None:
            say("compile", "compiling kernels for this machine; later runs load them from the cache ...")
        return found

    def save_overload(self, signature, data):
        try:
            super().save_overload(signature, data)
        except OSError as error:
            say("cache", f"kernels cannot be kept in {self.cache_path} ({error.strerror}), so every process compiles them anew. "
                         "Set NUMBA_CACHE_DIR to a folder that can be written.")


said = set()


def say(topic, text):
    """One line on stderr, once per process and topic."""
    if topic not in said:
        said.add(topic)
        print(f"tinyvision: {text}", file=sys.stderr, flush=True)


def describe():
    """Threads and vector length, in words."""
    from .tile import BYTES
    layer = "not started" if threads.unsafe is None else numba.threading_layer()
    return f"{threads.count} thread(s), threading layer {layer}, vectors of {8 * BYTES} bits"
