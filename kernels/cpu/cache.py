"""The cache of compiled kernels: a folder of the user's, and a second process that helps to fill it.

A kernel is kept under a checksum of all files here: whoever edits one, or a function that it calls, never meets its old code.
Where the folder cannot be written or read, every process compiles anew, and says so.
"""

import contextlib
import functools
import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from numba.core import caching, config
from numba.core.runtime import rtsys
from numba.misc import appdirs

from ..registry import HELPER

try:
    import fcntl
except ImportError:                                       # Windows: there two processes may compile the same kernel
    fcntl = None

HERE = Path(__file__).parent
PATIENCE = 10.0                                           # seconds to wait for another process that compiles the same kernel


@functools.cache
def stamp():
    """A checksum of everything that may change what is compiled."""
    text = b"".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))
    return hashlib.sha256(text).hexdigest()


def cache_folder():
    """Where compiled kernels are kept: NUMBA_CACHE_DIR, or a folder of the user's cache; one for each installation."""
    base = Path(config.CACHE_DIR) if config.CACHE_DIR else Path(appdirs.user_cache_dir("tinyvision")) / "kernels"
    return base / hashlib.sha256(str(HERE).encode()).hexdigest()[:12]


def kept(name):
    """Whether a kernel of this name, of whatever version, has been compiled on this machine."""
    return any(cache_folder().glob(f"*.{name}-*"))


def begun(name):
    """Whether it has been, or is being compiled."""
    return kept(name) or any(cache_folder().glob(f"*.{name}.claim"))


class Locator(caching._CacheLocator):
    """Numba's question where to keep a function, answered."""

    def get_cache_path(self):
        return str(cache_folder())

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

    def __init__(self, name):
        self._lineno, self._locator = 0, Locator()
        self._filename_base = self.get_filename_base(name, getattr(sys, "abiflags", ""))


class Cache(caching.FunctionCache):
    """Says when it has to compile, and goes on without a cache where the folder cannot be written or read.

    Who compiles holds a lock on a file, the claim: another process that wants the kernel waits, and finds it in the cache.
    """

    def __init__(self, function, name):
        self._impl_class = lambda function: CacheImpl(name)
        self.name, self.claim = name, None
        super().__init__(function)

    def _index_key(self, signature, codegen):
        # Numba would hash the closure as well, whose micro-kernels get new identities in every process; names tell variants apart
        return signature, codegen.magic_tuple()

    def load_overload(self, signature, target):
        found = self.look_up(signature, target)
        if found is None:
            if say("compile", "compiling kernels for this machine, once; later runs load them from its cache ..."):
                call_help()
            if self.waited():
                found = self.look_up(signature, target)
        return found

    def look_up(self, signature, target):
        try:
            rtsys.initialize(target)                      # Numba's own load_overload would load all of its modules: half a second
            return self._load_overload(signature, target)
        except Exception as error:                        # an unreadable or damaged file: compile anew
            say("read", f"the cache of kernels in {self.cache_path} cannot be read ({error}); compiling anew.")
            return None

    def waited(self):
        """Claim the kernel; whether another process had the claim, and was waited for."""
        with contextlib.suppress(OSError):                # a folder that cannot be written: nobody else compiles for it either
            os.makedirs(self.cache_path, exist_ok=True)
            self.claim = open(Path(self.cache_path, f"{self.name}.claim"), "a")
        until, waited = time.monotonic() + PATIENCE, False
        while self.claim and fcntl and time.monotonic() < until:
            try:
                fcntl.flock(self.claim, fcntl.LOCK_EX | fcntl.LOCK_NB)    # given up with the file, also by a process that is killed
                return waited
            except BlockingIOError:
                waited = True
                time.sleep(0.01)
            except OSError:                               # a file system without locks
                return waited
        return waited

    def release(self):
        """Give up the claim, if there is one."""
        if self.claim:
            claim, self.claim = self.claim, None
            claim.close()
            with contextlib.suppress(OSError):
                os.unlink(claim.name)

    def save_overload(self, signature, data):
        try:
            super().save_overload(signature, data)
        except OSError as error:
            say("write", f"kernels cannot be kept in {self.cache_path} ({error.strerror}), so every process compiles them anew. "
                         "Set NUMBA_CACHE_DIR to a folder that can be written.")


said = set()


def say(topic, text):
    """One line on stderr, once per process and topic; returns whether it was said."""
    if topic in said:
        return False
    said.add(topic)
    print(f"tinyvision: {text}", file=sys.stderr, flush=True)
    return True


def call_help():
    """Let a second process compile the backward pass meanwhile: what it has put into the cache is found there."""
    if os.environ.get(HELPER) or (os.cpu_count() or 1) < 2 or not os.access(writable(cache_folder()), os.W_OK):
        return
    with contextlib.suppress(OSError):                    # without help it takes longer, and that is all
        helper = subprocess.Popen([sys.executable, "-m", f"{__name__.partition('.')[0]}.prepare", "backward"],
                                  env={**os.environ, HELPER: "1"}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        threading.Thread(target=helper.wait, daemon=True).start()         # someone must take notice of its end


def writable(folder):
    """The folder, or the first one above it that exists: where it would be made."""
    return next(place for place in (folder, *folder.parents) if place.exists())
