"""`tinyvision lectures [NAME...]`: the notebooks, opened in Jupyter or executed; notebooks.py does the work."""

import subprocess
import sys
import time

from ..packages import require
from .arguments import UserError, whole_number

INSTALL = "From the source: pip install -e '.[notebooks]'"


def add(commands):
    lectures = commands.add_parser("lectures", help="open the lecture notebooks in Jupyter, or execute them",
                                   description="Open the lecture notebooks in Jupyter, or execute them from top to bottom, each in "
                                               "a fresh kernel and an empty folder. notebooks/README.md says what is in which.",
                                   epilog="Examples: tinyvision lectures convolution; tinyvision lectures --run 03 04")
    lectures.add_argument("names", nargs="*", metavar="NAME", help="03, convolution or 03_convolution (all)")
    lectures.add_argument("--run", dest="execute", action="store_true", help="execute; the exit code is 2 where one fails")
    lectures.add_argument("--write", action="store_true", help="with --run, store the outputs in the notebooks")
    lectures.add_argument("--folder", metavar="DIR", help="where the notebooks are (beside the package, else ./notebooks)")
    lectures.add_argument("--timeout", type=whole_number(1), default=600, metavar="S", help="seconds for one cell (600)")
    lectures.set_defaults(run=run)


def run(options):
    from .notebooks import PACKAGES, chosen, find_folder
    if options.write and not options.execute:
        raise UserError("--write stores what --run computes. Add --run.")
    folder = find_folder(options.folder)
    paths = chosen(folder, options.names)
    if options.execute:
        require(f"tinyvision lectures --run ({INSTALL})", *PACKAGES)
        run_all(paths, options.write, options.timeout)
    elif len(options.names) > 1:
        raise UserError(f"Jupyter opens one notebook, got {' '.join(options.names)}. Name one, or none for the folder.")
    else:
        require(f"tinyvision lectures ({INSTALL})", "jupyterlab")
        open_in_jupyter(folder, paths if options.names else [])


def run_all(paths, write, timeout):
    """Execute notebooks one after the other, a line for each; raises UserError where one failed."""
    from .notebooks import execute
    failed = []
    for path in paths:
        print(f"{path.stem:32s} ", end="", flush=True)
        start = time.perf_counter()
        outcome = execute(path, write, timeout)
        said = outcome.error or ("passed, with a warning" if outcome.warnings else "passed")
        print(f"{time.perf_counter() - start:6.1f} s  {said}", flush=True)
        if outcome.error:
            failed.append(path.stem)
        if outcome.warnings:
            print(outcome.warnings.rstrip(), file=sys.stderr)
    if failed:
        raise UserError(f"{len(failed)} of {len(paths)} notebooks failed: {', '.join(failed)}.")


def open_in_jupyter(folder, paths):
    """Start JupyterLab over the folder, with this notebook open if there is one, and wait for its end."""
    with subprocess.Popen([sys.executable, "-m", "jupyterlab", f"--notebook-dir={folder}", *map(str, paths)]) as server:
        while True:
            try:
                code = server.wait()
                break
            except KeyboardInterrupt:                     # the server has it as well, and asks whether to stop
                continue
    if code:
        raise UserError(f"Jupyter ended with exit code {code}, see above.")
