"""CUDA sources on the CPU: compiled by the C++ compiler of the machine behind host.h, called like CuPy's functions.

`emulated()` lets the launchers of tinyvision.kernels.cuda work on NumPy arrays: the same integers, tiles and grids, and every
thread of every block runs.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tinyvision.kernels.cuda import module

HEADER = Path(__file__).with_name("host.h")
COMPILER = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
FLAGS = ["-std=c++17", "-O1", "-fPIC", "-Wno-unknown-pragmas", "-Wall", "-Werror", "-Wno-unused-variable",
         "-Wno-unused-function", "-ffp-contract=off",
         # what one compiler, or one level of inlining, suspects and another does not
         "-Wno-unknown-warning-option", "-Wno-maybe-uninitialized", "-Wno-bitwise-conditional-parentheses",
         "-Wno-pass-failed"]
ENTRY = """
extern "C" void run_{0}(void** p, const unsigned* grid, const unsigned* block, int order) {{ host::launch({0}, p, grid, block, order); }}
"""
CACHE = Path(tempfile.gettempdir()) / f"tinyvision-cuda-on-host-{os.getuid() if hasattr(os, 'getuid') else 0}"


asked = []                                                # every (source, options) that was compiled


class HostModule:
    """What cupy.RawModule is for a GPU."""

    order = 0                                             # of the threads of a block: see host.h

    def __init__(self, code, options):
        self.code, self.options = code, options
        asked.append((code, options))

    def get_function(self, name):
        library = ctypes.CDLL(str(build(self.code, self.options, name)))
        return functools.partial(self.launch, getattr(library, f"run_{name}"))

    def launch(self, run, grid, block, args):
        kept = [prepare(a) for a in args]
        pointers = (ctypes.c_void_p * len(kept))(*[a.ctypes.data for a in kept])
        sizes = [(ctypes.c_uint * 3)(*(tuple(n) + (1, 1))[:3]) for n in (grid, block)]
        assert min(*sizes[0], *sizes[1]) > 0 and sizes[1][0] * sizes[1][1] * sizes[1][2] <= 1024, "no GPU has such a grid"
        assert max(sizes[0][1:]) < 1 << 16, "a grid has at most 65,535 blocks along y and along z"
        assert sizes[0][1] < 65536 and sizes[0][2] < 65536 and len(kept) * 8 < 4096
        run(pointers, *sizes, self.order)


def prepare(argument):
    """The bytes of an argument: of an array its address, of a number or a record itself."""
    assert argument is not None, "give module.NULL for an array that is not there"
    if type(argument).__module__.startswith("cupy") or isinstance(argument, np.ndarray) and argument.dtype.names is None:
        assert argument.flags.c_contiguous, "a kernel takes an array in one piece"
        return np.array([module.address(argument)], np.uintp)
    assert isinstance(argument, (np.generic, np.ndarray)), f"give numbers with their types: np.int32({argument})"
    return np.ascontiguousarray(argument)


def build(code, options, name):
    """A shared library with one kernel of a source, made once for each text."""
    # constants come behind the header, which was read without them
    defines = [f"#define {' '.join(o[2:].split('=', 1))}\n" for o in options if o.startswith("-D")]
    # a namespace without a name: else the shared arrays of inline functions were one for all libraries that are loaded
    text = "".join(defines) + f"namespace {{\n{code}\n}}\n" + ENTRY.format(name)
    key = digest(HEADER.read_text(), text, COMPILER, *FLAGS)
    path = CACHE / f"{key}.so"
    if not path.exists():
        folder = prepared_header()
        with tempfile.TemporaryDirectory(dir=CACHE) as place:
            source, made = Path(place) / "kernel.cpp", Path(place) / "kernel.so"
            source.write_text(text)
            compile_cpp("-I", str(folder), "-include", HEADER.name, "-shared", str(source), "-o", str(made))
            os.replace(made, path)
    return path


@functools.lru_cache(maxsize=None)
def prepared_header():
    """A folder with host.h, read by the compiler beforehand, which takes half of the time otherwise."""
    folder = CACHE / digest(HEADER.read_text(), COMPILER, *FLAGS)
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as place:
            made = Path(place) / "header"
            made.mkdir()
            shutil.copy(HEADER, made)
            compile_cpp("-x", "c++-header", str(made / HEADER.name), "-o", str(made / (HEADER.name + ".gch")))
            with contextlib.suppress(OSError):            # another process was quicker
                os.replace(made, folder)
    return folder


def compile_cpp(*arguments):
    done = subprocess.run([COMPILER, *FLAGS, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]


def digest(*texts):
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]


@contextlib.contextmanager
def emulated(processors=4, capability=(9, 0)):
    """Let the launchers compile for this CPU, as if it were a GPU with so many processors of that kind."""
    before = module.compiler.make, module.compiler.device, module.properties
    module.compiler.make, module.compiler.device = HostModule, lambda: f"host {processors} {capability}"
    module.properties = lambda device: (processors, capability)
    try:
        yield
    finally:
        module.compiler.make, module.compiler.device, module.properties = before
