"""How long a check takes, side by side with torch.autograd.gradcheck on PyTorch's own layers with the same tensors."""

import contextlib
import os
import platform
import statistics
import time

import numpy as np
import threadpoolctl

import tinyvision
import tinyvision.functional as F
from tests.gradcheck.layers import HAS_TORCH
from tinyvision import nn
from tinyvision.gradcheck import check_module, gradcheck

REPEATS = 9


def machine(threads):
    """Machine, threads and versions, for the line above the table."""
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, tinyvision {tinyvision.__version__}"
    if HAS_TORCH:
        import torch
        versions += f", PyTorch {torch.__version__}"
    return f"{processor()}, {os.cpu_count()} cores, {threads} thread{'s' if threads > 1 else ''}; {versions}"


@contextlib.contextmanager
def limited(threads):
    """So many threads for NumPy's BLAS and for PyTorch, the same for both."""
    with threadpoolctl.threadpool_limits(threads):
        if not HAS_TORCH:
            yield
            return
        import torch
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            names = [line.partition(":")[2].strip() for line in f if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def tensors(*arrays):
    import torch
    return [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]


def torch_check(f, arrays, fast):
    def check():
        import torch                                      # here: where it is not installed, this is not called
        return torch.autograd.gradcheck(f, tensors(*arrays), fast_mode=fast)
    return check


def large_conv(rng):
    """64 channels, 3x3, padding 1, with bias, on 8 pictures of 32x32: (ours, theirs)."""
    layer = nn.Conv2d(64, 64, 3, padding=1).double()
    x = rng.standard_normal((8, 64, 32, 32))
    arrays = [x, layer.weight.data.copy(), layer.bias.data.copy()]

    def theirs(x, w, b):
        import torch
        return torch.nn.functional.conv2d(x, w, b, padding=1)
    return lambda: check_module(layer, x), torch_check(theirs, arrays, fast=True)


def small(rng):
    """Layers of about 500 elements, checked element by element: name -> (ours, theirs)."""
    draw = rng.standard_normal
    rows = {"linear": (lambda f: f.linear, [draw((10, 20)), draw((13, 20)), draw(13)]),
            "conv": (lambda f: lambda x, w, b: f.conv2d(x, w, b, padding=1), [draw((2, 4, 6, 6)), draw((5, 4, 3, 3)), draw(5)]),
            "batch norm": (lambda f: lambda x, w, b: f.batch_norm(x, None, None, w, b, training=True),
                           [draw((10, 5, 10)), draw(5), draw(5)]),
            "softmax": (lambda f: lambda x: f.softmax(x, dim=1), [draw((20, 25))])}
    found = {}
    for name, (of, arrays) in rows.items():
        found[name] = ours(of(F), arrays), theirs(of, arrays)
    return found


def ours(f, arrays):
    return lambda: gradcheck(f, *arrays)


def theirs(of, arrays):
    def f(*xs):
        import torch
        return of(torch.nn.functional)(*xs)
    return torch_check(f, arrays, fast=False)


def alternating(checks, repeats):
    """The median time in seconds of each check, in turns, after one round that is not counted."""
    times = [[] for _ in checks]
    for turn in range(repeats + 1):
        for check, record in zip(checks, times):
            start = time.perf_counter()
            if not check():
                raise AssertionError("the layers that are timed are right: a check failed one")
            if turn:
                record.append(time.perf_counter() - start)
    return [statistics.median(record) for record in times]


def measure(repeats=REPEATS, large=True):
    """Rows (what, seconds of tinyvision, seconds of PyTorch or None)."""
    rng = np.random.default_rng(0)
    pairs = {"conv 64 -> 64, 3x3, 8 x 32x32 (fast_mode)": large_conv(rng)} if large else {}
    pairs |= {f"{name}, every element": pair for name, pair in small(rng).items()}
    rows = []
    for name, pair in pairs.items():
        medians = alternating(pair if HAS_TORCH else pair[:1], repeats)
        rows.append((name, medians[0], medians[1] if HAS_TORCH else None))
    return rows


def table(rows, repeats):
    lines = ["", f"speed, medians of {repeats} alternating repeats, float64",
             f"{'':46}{'tinyvision':>12}{'gradcheck of PyTorch':>22}{'ratio':>8}"]
    for name, a, b in rows:
        theirs = f"{1000 * b:>19.1f} ms{a / b:>8.2f}" if b else f"{'-':>22}{'-':>8}"
        lines.append(f"{name:46}{1000 * a:>9.1f} ms{theirs}")
    return lines
