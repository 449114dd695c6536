"""Which implementation of a kernel runs: the reference, or a compiled one of the same name.

A kernel is written first as its reference, in NumPy's own functions, and marked with `@kernel`.  Where cpu/ has a function
of the same name in a file of the same name, that one runs for NumPy arrays, and that of cuda/ for CuPy's: it takes the same
arguments, returns the same result up to rounding, and declines with NotImplemented what it has nothing faster for (an integer
array, a tiny one).

    use_kernels("auto")         compiled where there is something to gain (the default)
    use_kernels("compiled")     compiled wherever it can be, however small: for tests and measurements
    use_kernels("reference")    NumPy only: to read, to compare, to debug

Numba, and NVRTC for the GPU, are loaded at the first call that wants them.  Where one is missing, or fails, everything runs on
the reference, and one warning says so.
"""

import contextlib
import functools
import importlib
import importlib.util
import threading
import warnings
from pathlib import Path

import numpy as np

from tinyvision.backend import CompilationFailed, of_cupy

CHOICES = ("auto", "compiled", "reference")
HELPER = "TINYVISION_COMPILES"                            # set in the environment of the process that cache.call_help starts


class State:
    """The choice, and what became of the compiled kernels: a reason why they are off, or None."""

    choice = "auto"
    checked = False                                       # whether Numba was looked for
    off = None
    cuda_off = None


state, checking = State(), threading.RLock()
UNWANTED = "NUMBA_DISABLE_JIT is set"


def kernel(reference):
    """Mark a reference: calls go to its compiled twin where there is one that takes the arguments."""
    twin = None
    file, name = reference.__module__.rpartition(".")[2], reference.__name__

    @functools.wraps(reference)
    def run(x, *args, **options):
        nonlocal twin
        if type(x) is not np.ndarray:
            return run_on_device(reference, file, name, x, *args, **options)
        if state.choice == "reference" or state.off:
            return reference(x, *args, **options)
        if twin is None:
            twin = find(file, name)
            if twin is None:
                return reference(x, *args, **options)
        try:
            y = twin(x, *args, **options)
        except Exception as error:
            if not broken(error):
                raise
            turn_off(f"Numba failed in {name} ({type(error).__name__}: {first_line(error)})")
            y = NotImplemented
        return reference(x, *args, **options) if y is NotImplemented else y

    run.reference = reference
    return run


def run_on_device(reference, file, name, x, *args, **options):
    """Run a kernel for what is not NumPy's: for CuPy's arrays its twin of cuda/, if there is one."""
    twin = twin_of("cuda", file, name) if of_cupy(type(x)) and state.choice != "reference" and not state.cuda_off else None
    if twin is None:
        return reference(x, *args, **options)
    try:
        y = twin(x, *args, **options)
    except CompilationFailed as error:
        state.cuda_off = f"the CUDA compiler failed in {name} ({first_line(error)})"
        warn(state.cuda_off, "CuPy's")
        y = NotImplemented
    return reference(x, *args, **options) if y is NotImplemented else y


@functools.lru_cache(maxsize=None)
def twin_of(folder, file, name):
    """The twin of a reference in cpu/ or cuda/; None where there is none."""
    if not (Path(__file__).parent / folder / f"{file}.py").exists():
        return None
    return getattr(importlib.import_module(f".{folder}.{file}", __package__), name, None)


def find(file, name):
    """The compiled twin of a reference; None where there is none, or compiled kernels are off."""
    if not state.checked:
        check()
    if state.off:
        return None
    return twin_of("cpu", file, name)


def check():
    """Turn the compiled kernels off where Numba cannot run them."""
    with checking:                                        # another Python thread waits until it is known
        if not state.checked:
            reason = missing()
            state.off, state.checked = state.off or reason, True
            if reason and reason != UNWANTED:             # the user's own wish needs no warning
                turn_off(reason)


def missing():
    """Why Numba cannot run here; None if it can."""
    if importlib.util.find_spec("numba") is None:
        return "Numba is not installed"
    try:
        from numba import config
    except Exception as error:                            # whatever keeps it from loading: a wrong NumPy, a missing library
        return f"Numba cannot be loaded ({type(error).__name__}: {error})"
    return UNWANTED if config.DISABLE_JIT else None


def turn_off(reason):
    state.off = reason
    warn(reason, "NumPy")


def warn(reason, functions):
    warnings.warn(f"tinyvision: {reason}; kernels run as {functions} functions, right but slower. `tinyvision info` shows what "
                  "runs.", RuntimeWarning, stacklevel=5)


def first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def broken(error):
    """Whether an error is Numba's own and not one of the caller's."""
    return type(error).__module__.partition(".")[0] in ("numba", "llvmlite")


def forced():
    """Whether compiled kernels shall run even where they gain nothing."""
    return state.choice == "compiled"


class use_kernels(contextlib.ContextDecorator):
    """Choose the implementation of all kernels of this process from now on, or for a `with` block or a function.

    choice: "auto", "compiled" or "reference".  Raises ValueError for another name.

    >>> with use_kernels("reference"):
    ...     state.choice
    'reference'
    """

    def __init__(self, choice):
        if choice not in CHOICES:
            raise ValueError(f"use_kernels: must be one of {', '.join(map(repr, CHOICES))}, got {choice!r}.")
        self.choice, self.before, state.choice = choice, state.choice, choice

    def __call__(self, function):
        """As a decorator: for every call of the function, and not from now on."""
        state.choice = self.before
        return super().__call__(function)

    def _recreate_cm(self):
        return use_kernels(self.choice)

    def __enter__(self):
        state.choice = self.choice                        # again, where one is used twice
        return self

    def __exit__(self, *error):
        state.choice = self.before


def set_num_threads(n):
    """Let the compiled kernels use n threads, at most as many as there are cores (torch.set_num_threads).

    Raises ValueError outside that range.  Without compiled kernels there is nothing to set, and RuntimeError says why.
    """
    if not state.checked:
        check()
    if state.off:
        raise RuntimeError(f"set_num_threads: {state.off}, so kernels run as NumPy functions, whose threads are those of its "
                           "BLAS library. Set OPENBLAS_NUM_THREADS (or MKL_NUM_THREADS) before Python starts.")
    from .cpu import jit
    jit.set_num_threads(n)


def get_num_threads():
    """The number of threads of the compiled kernels; 1 where these are off."""
    if state.off or (not state.checked and importlib.util.find_spec("numba") is None):
        return 1
    from .cpu import jit
    return jit.threads.count


def describe_cuda():
    """What runs on a GPU, in words, with the seconds that the first use of a kernel takes."""
    if state.cuda_off:
        return f"reference (CuPy): {state.cuda_off}"
    from .cuda.module import seconds_to_compile
    try:
        seconds = seconds_to_compile("conv")
    except CompilationFailed as error:
        return f"reference (CuPy): {first_line(error)}"
    return f"compiled by NVRTC at their first use, each shape of filters in about {seconds:.1f} s, and then kept by CuPy"


def report():
    """What runs, in words, for `tinyvision info`: pairs (name, text)."""
    if not state.checked:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check()
    if state.off:
        return [("kernels", f"reference (NumPy): {state.off}")]
    from .cpu import cache, jit
    chosen = f"compiled by Numba, {jit.describe()}" if state.choice != "reference" else "reference (NumPy), as chosen"
    return [("kernels", chosen), ("kernel cache", str(cache.cache_folder()))]
