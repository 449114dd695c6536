"""What the numbers depend on, for the lines above a table; and whether somebody else is using the machine."""

import contextlib
import os
import platform
import sys
from time import perf_counter

import numpy as np

from .. import __version__
from ..kernels import registry
from . import BenchError


def describe(threads, packages):
    """Names and texts: processor, vectors, threads, BLAS, versions. packages: modules of other engines that take part."""
    rows = {"processor": f"{processor()}, {processors()} usable, {platform.system()} {platform.machine()}",
            "vectors": vectors(), "threads": str(threads), "kernels": kernels(), "BLAS": blas()}
    versions = {"tinyvision": __version__, "Python": platform.python_version(), "NumPy": np.__version__}
    versions |= {"Numba": version("numba")} | {name: version(name) for name in packages}
    rows["versions"] = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    return rows


def kernels():
    """What runs tinyvision's kernels; of the layer of threads nothing is known before the first kernel has run."""
    return dict(registry.report())["kernels"].replace(" threading layer not started,", "")


def version(module):
    """The version of a package, or None where it is not installed."""
    import importlib.metadata
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor():
    names = [line.partition(":")[2].strip() for line in lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def processors():
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def vectors():
    """The widest vector registers, in words."""
    flags = next((set(line.split()) for line in lines("/proc/cpuinfo") if line.startswith(("flags", "Features"))), set())
    for flag, text in (("avx512f", "512 bits (AVX-512)"), ("avx2", "256 bits (AVX2)"), ("sse2", "128 bits (SSE2)"),
                       ("asimd", "128 bits (NEON)")):
        if flag in flags:
            return text
    return "128 bits (NEON)" if platform.machine() in ("arm64", "aarch64") else "unknown"


def lines(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError:
        return []


def blas():
    """The library that NumPy multiplies matrices with, and for which processor it chose its kernels."""
    from threadpoolctl import threadpool_info
    found = [info for info in threadpool_info() if info["user_api"] == "blas"]
    found.sort(key=lambda info: "numpy" not in info["filepath"].lower())
    if not found:
        return "of NumPy: unknown (its library does not say)"
    info = found[0]
    words = [info["internal_api"], info.get("version"), info.get("architecture") and f"kernels for {info['architecture']}"]
    return f"of NumPy: {' '.join(filter(None, words))}, {info['num_threads']} thread(s)"


def warnings():
    """What in the environment spoils a comparison."""
    found = []
    core = os.environ.get("OPENBLAS_CORETYPE")
    if core:
        found.append(f"OPENBLAS_CORETYPE={core} chooses the kernels of NumPy's BLAS: unset it, unless this machine is one.")
    if registry.state.off:
        found.append(f"tinyvision runs on its reference: {registry.state.off}.")
    return found


@contextlib.contextmanager
def limited(threads, torch=False):
    """So many threads for tinyvision's kernels, for NumPy's BLAS and for PyTorch, until the block ends; and no other process."""
    from threadpoolctl import threadpool_limits
    before = registry.get_num_threads()
    set_kernel_threads(threads)
    with (threadpool_limits(threads, user_api="blas"), torch_threads(threads) if torch else contextlib.nullcontext(),
          variable(registry.HELPER, "1")):
        try:
            yield
        finally:
            set_kernel_threads(before)


@contextlib.contextmanager
def variable(name, value):
    """A variable of the environment, until the block ends."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def set_kernel_threads(threads):
    try:
        registry.set_num_threads(threads)
    except ValueError as error:
        raise BenchError(error) from error
    except RuntimeError:                                  # no compiled kernels: BLAS threads are all there is
        pass


@contextlib.contextmanager
def torch_threads(threads):
    import torch
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Watch:
    """Notices whether other processes use the processors while we measure."""

    def __init__(self):
        self.start = perf_counter(), all_busy(), own_busy()

    def others(self):
        """How many processors others kept busy since the start, on average; None where the system does not say.

        Children count as others while they run, so what runs in processes of its own is watched from there.
        """
        then, busy, own = self.start
        if busy is None or perf_counter() - then < 1:
            return None
        return max(0.0, (all_busy() - busy - own_busy() + own) / (perf_counter() - then))

    def notes(self, seconds):
        """Sentences for below the tables; seconds: the medians that were measured."""
        found, others = [], self.others()
        if others is not None and others > 0.15:
            found.append(f"Other processes kept {others:.1f} processors busy during this run, so ratios are uncertain: measure "
                         "again.")
        if on_ticks(seconds):
            found.append("Many times lie on multiples of 8 ms, where a scheduler's ticks put threads that wait for a "
                         "processor: something else is running here, measure again.")
        return found


def on_ticks(seconds):
    """Whether suspiciously many of these times are multiples of 8 ms: by chance one in twelve is within 4%.

    >>> on_ticks([0.008, 0.0161, 0.024, 0.0115]), on_ticks([0.009, 0.013, 0.0115, 0.016])
    (True, False)
    """
    eligible = [t / 0.008 for t in seconds if 0.0075 < t < 0.1]
    near = [t for t in eligible if abs(t - round(t)) < 0.04]
    return len(near) >= 3 and len(near) > 0.3 * len(eligible)


def all_busy():
    """Seconds that all processors have worked since the system started; None where it does not say."""
    if not sys.platform.startswith("linux"):
        return None
    first = (lines("/proc/stat") or [""])[0].split()
    if not first or first[0] != "cpu":
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, first[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_busy():
    """Seconds that this process and its finished children have worked."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
