"""The work of the command `tinyvision bench`."""

import importlib.util
import json
import os
from pathlib import Path

from ..io.atomic import atomic_path
from ..kernels import registry
from ..packages import require
from . import BenchError, machine, workloads
from .contenders import find

TABLES = ("layers", "steps", "scaling", "memory", "startup")
UNITS = {"*seconds": "s", "*_bytes, bytes": "bytes, read and written once from the definition, or peak of resident memory",
         "flop": "operations: a multiplication and an addition are two", "gflop_per_second": "1e9 operations per second",
         "ratio": "tinyvision's time (or memory) / this contender's, the median over rounds: below 1 tinyvision is faster"}


def run_bench(torch=False, layers=False, steps=False, scaling=False, memory=False, startup=False, json=None, plot=None,
              quick=False, threads=None, device="cpu", tf32=False):
    """Print the tables asked for (by default steps and a short table of layers), write the files."""
    chosen = [name for name, wanted in zip(TABLES, (layers, steps, scaling, memory, startup)) if wanted]
    refuse(chosen, json, plot)
    if device != "cpu":
        return on_gpu(chosen, json, plot or torch or threads, quick, tf32)
    if tf32:
        raise BenchError("--tf32 is for a GPU: add --device cuda.")
    contenders, absent = find(torch)
    with_torch = any("torch" in c.packages for c in contenders)
    threads = threads or default_threads()
    with machine.limited(threads, with_torch):
        found = {"machine": machine.describe(threads, dict.fromkeys(p for c in contenders for p in c.packages)), "units": UNITS}
        for name, text in found["machine"].items():
            print(f"{name:11s} {text}")
        found["warnings"] = machine.warnings() + absent
        for sentence in found["warnings"]:
            print(f"note: {sentence}")
        watch = machine.Watch()
        found["tables"] = tables(chosen, contenders, threads, quick)
        own = [r for name in ("layers", "steps", "scaling") for r in found["tables"].get(name, ()) if "seconds" in r]
        found["notes"] = watch.notes([r["seconds"] for r in own]) if chosen != ["memory"] else []
        print("".join(f"\nnote: {sentence}" for sentence in found["notes"]), end="\n" if found["notes"] else "")
        if plot:
            found["limits"] = draw(plot, found["tables"]["layers"], threads, quick)
    if json:
        write(json, found)
    written = [str(name) for name in (json, plot) if name]
    if written:
        print(f"saved {' and '.join(written)}")
    return found


def on_gpu(chosen, json, more, quick, tf32):
    """The tables for a GPU."""
    if more or not set(chosen) <= {"layers", "steps"}:
        raise BenchError("--device cuda measures --layers and --steps, and writes --json; leave out the other options.")
    from . import gpu
    found = gpu.run(chosen, quick, tf32) | {"units": UNITS}
    if json:
        write(json, found)
        print(f"saved {json}")
    return found


def refuse(chosen, json, plot):
    """Raise what would be a pity to learn after minutes of measuring."""
    if plot:
        require("bench --plot", "matplotlib")
        if chosen and "layers" not in chosen:
            raise BenchError("--plot draws the layers: add --layers.")
        if Path(plot).suffix.lower() not in (".png", ".pdf", ".svg"):
            raise BenchError(f"--plot writes .png, .pdf or .svg, got {plot!r}.")
    if json and plot and os.path.realpath(json) == os.path.realpath(plot):
        raise BenchError("--json and --plot name the same file.")
    for name in filter(None, (json, plot)):
        folder = Path(name).parent
        if not folder.is_dir():
            raise BenchError(f"the folder of {name} does not exist. Create it first.")
        if Path(name).is_dir():
            raise BenchError(f"{name} is a folder; name a file.")
        if not os.access(name if os.path.exists(name) else folder, os.W_OK):
            raise BenchError(f"{name} cannot be written; name another file.")


def default_threads():
    threads = registry.get_num_threads()
    return threads if not registry.state.off and importlib.util.find_spec("numba") else machine.processors()


def tables(chosen, contenders, threads, quick):
    """The records by name of table; printed on the way."""
    from . import layers, memory, scaling, startup, steps
    all_layers = workloads.QUICK if quick else workloads.LAYERS
    networks = workloads.QUICK_NETWORKS if quick else workloads.NETWORKS
    short = workloads.QUICK if quick else workloads.SHORT
    lean = [c for c in contenders if c.key not in ("dezero", "autograd")]
    large = workloads.QUICK[:1] + networks[:1] if quick else workloads.MEMORY + networks
    first = networks[:1] if quick else (networks[0], *networks[2:4])         # a larger batch starts no slower
    makers = {"steps": lambda: steps.measure(contenders, networks, 0.1 if quick else 12.0),
              "layers": lambda: layers.measure(contenders, all_layers if chosen else short, 0.05 if quick else 1.5),
              "scaling": lambda: scaling.measure(contenders, quick, 0.05 if quick else 1.5),
              "memory": lambda: memory.measure(lean, large, threads),
              "startup": lambda: startup.measure(lean, first, threads, 1 if quick else 3)}
    found = {}
    for name in makers:
        if name in (chosen or ("steps", "layers")):
            print(flush=True)
            found[name] = makers[name]()
    return found


def draw(path, records, threads, quick):
    from .plot import limits, roofline
    found = limits(threads, *(256, 8, 3) if quick else ())
    figure = roofline(records, found)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)
    return found


def write(path, found):
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
