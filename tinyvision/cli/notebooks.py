"""The lecture notebooks: where they are, and how they are executed; lectures.py is their command.

A notebook is executed in a fresh kernel, a Python process of its own with this interpreter, and in an empty folder that is
removed afterwards: what it saves goes nowhere.  nbclient sends the cells one after the other and collects what they print and
draw; the first error ends the run.
"""

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..io.atomic import atomic_path
from .arguments import UserError

PACKAGES = ("nbclient", "nbformat", "ipykernel")
NAME = re.compile(r"\d\d_\w+\.ipynb")
# no history on disk; and no warning that the kernel's port is not encrypted: it is open to this machine alone
OPTIONS = ["--HistoryManager.enabled=False", "--IPKernelApp.log_level=40"]
# the networks are small: a second thread gains little, and where the cores are busy, threads that wait for one another lose a lot
THREADS = {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
ANSI = re.compile(r"\x1b\[[0-9;]*m")                      # colours of a terminal in a traceback


@dataclass
class Outcome:
    """How a notebook went: `error` is None or what is said of it; `warnings` is all that it wrote to stderr."""

    error: str | None
    warnings: str


def find_folder(given=None):
    """The folder of the notebooks: the given one, else beside the package, else `notebooks` here.

    Raises UserError where there are none.
    """
    places = [Path(given)] if given else [Path(__file__).parents[2] / "notebooks", Path("notebooks")]
    for place in places:
        if listed(place):
            return place
    if given:
        raise UserError(f"{given} holds no notebooks such as 03_convolution.ipynb. Name the folder `notebooks` of the source.")
    raise UserError("the notebooks are not part of the installed package. Fetch the source of tinyvision and run this command in "
                    "its folder, or name its folder: tinyvision lectures --folder PATH/notebooks.")


def listed(folder):
    """The notebooks of a folder, in reading order."""
    return sorted(path for path in Path(folder).glob("*.ipynb") if NAME.fullmatch(path.name))


def chosen(folder, names):
    """The notebooks with these names, in the order given, all without any: 03, 03_convolution, convolution or a file's name.

    Raises UserError for a name that none or several have.
    """
    paths, found = listed(folder), []
    for name in names:
        key = Path(name).name.removesuffix(".ipynb")
        hits = [path for path in paths if key in (path.stem, path.stem[:2], path.stem[3:])]
        hits = hits or [path for path in paths if key and key in path.stem]
        if len(hits) != 1:
            which = "several notebooks are called" if hits else "no notebook is called"
            raise UserError(f"{which} {name}. There are: {', '.join(path.stem for path in hits or paths)}.")
        found.append(hits[0])
    return found or paths


def execute(path, write=False, timeout=600):
    """Execute a notebook from top to bottom; returns its Outcome.

    write: store the outputs in the file, once all cells have run.  timeout: seconds for one cell.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from traitlets.config import Config
    notebook, error = nbformat.read(path, as_version=4), None
    # without folders of kernels "python3" is this interpreter, whatever else is installed under the name
    config = Config(KernelSpecManager={"kernel_dirs": []})
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", record_timing=False, config=config,
                                resources={"metadata": {"path": folder}}, extra_arguments=OPTIONS)
        try:
            client.execute(env=THREADS | os.environ)
        except CellExecutionError as failure:
            error = f"{place_of_error(notebook)}: {failure.ename}: {failure.evalue}".strip()
        except (CellTimeoutError, DeadKernelError) as failure:
            error = str(failure)
    if write and error is None:
        store(notebook, path)
    return Outcome(error and ANSI.sub("", error), stderr_of(notebook))


def store(notebook, path):
    """Write an executed notebook, without what differs from machine to machine."""
    import nbformat
    notebook.metadata["language_info"] = {"name": "python"}
    with atomic_path(path) as temporary:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def place_of_error(notebook):
    """Which cell failed, counted as Jupyter counts those with code, and its first line."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and any(output.output_type == "error" for output in cell.outputs):
            return f"cell [{cell.execution_count}] ({cell.source.partition(chr(10))[0]})"
    return "a cell"


def stderr_of(notebook):
    return "".join(output.text for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
                   if output.output_type == "stream" and output.name == "stderr")

