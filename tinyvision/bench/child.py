"""What runs in a process of its own: the peak of memory, and the first steps of a fresh start.

The process reports by one line of JSON, its last.  Threads come from its environment, for to set them from inside a library
would have to be loaded before its loading is timed.
"""

import contextlib
import ctypes
import gc
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from time import perf_counter

from . import BenchError
from .machine import lines
from .workloads import Layer, Network

CODE = ("from time import perf_counter; start = perf_counter(); import {}; seconds = perf_counter() - start\n"
        "from tinyvision.bench.child import main; main(seconds)")
LIBRARIES = {"tinyvision": "tinyvision.functional, tinyvision.models, tinyvision.optim",
             "torch": "torch", "dezero": "numpy", "autograd": "autograd"}


def run(task, contender, workload, threads, **environment):
    """What the process answers, a dictionary; {"refused": reason} where it fails."""
    request = {"task": task, "contender": contender.key, "kind": type(workload).__name__, "workload": asdict(workload)}
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads)) | environment
    code = CODE.format(LIBRARIES[contender.packages[0] if contender.packages else "tinyvision"])
    done = subprocess.run([sys.executable, "-c", code, json.dumps(request)], capture_output=True, text=True, env=environment)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    said = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"]
    if done.returncode < 0:
        said.append(f"ended by signal {-done.returncode}, for lack of memory perhaps")
    return {"refused": f"fails: {said[-1]}"}


def main(import_seconds):
    """Do what the command line asks for."""
    from .contenders import Unsupported, by_key
    request = json.loads(sys.argv[1])
    kind = {"Layer": Layer, "Network": Network}[request["kind"]]
    workload = kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in request["workload"].items()})
    try:
        answer = {"memory": peak_memory, "startup": first_steps}[request["task"]](by_key(request["contender"]), workload)
    except Unsupported as reason:
        answer = {"refused": str(reason)}
    print(json.dumps({"import_seconds": import_seconds} | answer))


def first_steps(contender, network):
    """Seconds of the first step and of later ones, and the first loss."""
    step = contender.training_step(network)
    seconds = []
    for k in range(4):
        start = perf_counter()
        loss = step()
        seconds.append(perf_counter() - start)
        if k == 0:
            value = contender.number(loss)
    return {"first_seconds": seconds[0], "later_seconds": sorted(seconds[1:])[1], "loss": value}


def peak_memory(contender, workload):
    """The highest resident memory during the workload above that before it, in bytes.

    Inputs and weights are there before; so is what the libraries load and compile, for a small run of the same kind comes
    first.
    """
    one_run(contender, workload if contender.slow_start else workload.tiny())()
    run = one_run(contender, workload)
    gc.collect()
    trim()
    start = resident()
    reset_peak()
    kept = run()
    peak = highest() - start
    del kept
    return {"start_bytes": start, "peak_bytes": max(peak, 0)}


def one_run(contender, workload):
    """A training step; or all passes of a layer, whose results are all held."""
    if isinstance(workload, Network):
        return contender.training_step(workload)
    calls = contender.layer_calls(workload, workload.arrays())
    if "forward+backward" in calls:
        return calls["forward+backward"]
    return lambda: [call() for call in calls.values()]


def trim():
    """Give memory that has been freed back to the system, where the C library can: later use of it would not show."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def status(name):
    """A number of bytes from Linux's list for this process, or None."""
    found = [re.search(r"\d+", line) for line in lines("/proc/self/status") if line.startswith(name + ":")]
    return 1024 * int(found[0].group()) if found and found[0] else None


def resident():
    return status("VmRSS") or highest()


def highest():
    """The highest resident memory of this process, since reset_peak where there is such a thing."""
    found = status("VmHWM")
    if found is None:
        try:
            import resource
        except ImportError as error:
            raise BenchError("bench --memory: this system does not tell how much memory a process has used.") from error
        found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return found


def reset_peak():
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
