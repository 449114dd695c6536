"""Who is measured: tinyvision, its NumPy reference, and whatever other engines are installed.

A contender turns a workload into calls.  What it cannot do it refuses with Unsupported, in two or three words for the cell.
"""

from importlib.util import find_spec

from ..packages import require
from .measure import BLOCK


class Unsupported(Exception):
    """This engine has no such layer."""


class Contender:
    """An engine, or one of its modes."""

    key = label = ""                                      # in files, above a column
    packages = ()                                         # installed packages that it needs, first the one whose version is told
    block = BLOCK                                         # seconds of calls in a row that are measured at least
    slow_start = False                                    # compiles for every shape anew: known only after a real first call

    def layer_calls(self, layer, arrays):
        """{pass: call} for a workloads.Layer; each call returns one result or a tuple of them."""
        raise Unsupported("not written")

    def training_step(self, network):
        """A call that trains a workloads.Network on one batch, and returns the loss."""
        raise Unsupported("not written")

    def finish(self):
        """Wait until everything that was called is done."""

    def arrays(self, result):
        """A call's result as a list of NumPy arrays."""
        raise NotImplementedError

    def number(self, loss):
        """A step's loss as a float."""
        raise NotImplementedError


def find(torch_modes=False):
    """The contenders on this machine, tinyvision first, then the reference; and sentences about who had to stay away.

    torch_modes: PyTorch's compiled modes as well, for which it must be installed.
    """
    if torch_modes:
        require("bench --torch", "torch")
    from . import ours
    found, absent = [ours.Ours(), ours.Reference()], []
    for package, make in (("torch", lambda: torch_contenders(torch_modes)), ("dezero", dezero), ("autograd", hips)):
        if find_spec(package) is None:
            continue
        try:
            found += make()
        except Exception as error:                        # a package may be broken in any way; the others are still measured
            absent.append(f"{package} is installed but does not load ({first_line(error)}).")
    return found, absent


def by_key(key):
    """The contender of this name, for a process of its own."""
    found, absent = find(torch_modes="compile" in key)
    return next(contender for contender in found if contender.key == key)


def torch_contenders(compiled):
    from .pytorch import Torch
    return [Torch(*mode) for mode in ((False, False), (False, True), (True, False), (True, True)) if compiled or not mode[0]]


def dezero():
    from .others import DeZero
    return [DeZero()]


def hips():
    from .others import Autograd
    return [Autograd()]


def first_line(error):
    """An error in one line.

    >>> first_line(ValueError("no\\nreally"))
    'ValueError: no'
    """
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:100]}" if text else type(error).__name__
