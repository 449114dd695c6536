"""From kernels/NAME.cu to a function that can be launched.

A source is compiled at the first use by NVRTC, the compiler that comes with CuPy, for the GPU at hand.  What differs from case
to case and is known beforehand (the type of the numbers, the size of a tile, the taps of a filter) is given as constants,
`#define`s before the source: loops over them unroll, divisions by them become multiplications.  CuPy keeps the result on
disk (~/.cupy/kernel_cache), under a key made of the text and the constants, so an edited source is never stale.

The same launchers run on the CPU in the tests, where `compiler` is another one.
"""

import functools
import re
import time
from pathlib import Path

import numpy as np

from tinyvision.backend import CompilationFailed, array_module

FOLDER = Path(__file__).parent.parent
NAMES = {"f4": "float", "f8": "double", "b1": "bool", "i1": "signed char", "i2": "short", "i4": "int", "i8": "long long",
         "u1": "unsigned char", "u2": "unsigned short", "u4": "unsigned int", "u8": "unsigned long long"}
NULL = np.uintp(0)                                        # an array that is not given; CuPy before 14 makes no null pointer of None
MOST_BLOCKS = (1 << 16) - 1                               # of a grid along y and along z
MOST_ELEMENTS = (1 << 31) - (1 << 16)                     # what an int counts, with room for the last tile


def compile_for_device(code, options):
    """A module of compiled functions, as CuPy makes it."""
    import cupy
    return cupy.RawModule(code=code, options=options)


def current_device():
    import cupy
    return cupy.cuda.Device().id


class Compiler:
    """Who compiles, which device it is for, and how long it took so far."""

    make, device = staticmethod(compile_for_device), staticmethod(current_device)
    seconds, count = 0.0, 0


compiler = Compiler()
# what loading a module may meet that others have done: memory that is full, and a kernel before this one that went astray
FAULTS = "OUT_OF_MEMORY", "ILLEGAL_ADDRESS", "LAUNCH_FAILED", "MISALIGNED_ADDRESS", "ASSERT"


def function(file, name, **constants):
    """The kernel `name` of kernels/FILE.cu, compiled with these constants: call it with (grid, block, arguments).

    Constants are integers, or NumPy dtypes, which stand for the type of that name in C.  Their names are long and in capitals:
    NVRTC puts templates before the source, in which `T` means something else.
    """
    return loaded(compiler.device(), file, name, tuple(constants.items()))


@functools.lru_cache(maxsize=None)
def loaded(device, file, name, constants):
    start = time.perf_counter()
    try:
        return module(device, file, constants).get_function(name)
    except Exception as error:                            # whatever keeps the compiler from its work: a library that is missing
        if isinstance(error, MemoryError) or any(name in str(error) for name in FAULTS):
            raise                                         # the GPU's, and not the compiler's
        raise CompilationFailed(f"{file}.cu: {error}") from error
    finally:
        compiler.seconds += time.perf_counter() - start


@functools.lru_cache(maxsize=None)
def module(device, file, constants):
    compiler.count += 1
    return compiler.make(source(file), options(constants))


def seconds_to_compile(file, architecture=None):
    """How long NVRTC takes for a source that no cache knows, neither CuPy's nor NVRTC's own (since CUDA 12.8).

    architecture: for instance "sm_90"; None: that of the GPU at hand.
    """
    from .tile import TILES, constants
    try:
        from cupy.cuda import Device, nvrtc
        architecture = architecture or f"sm_{Device().compute_capability}"
        start = time.perf_counter()
        code = f'{source(file)}\nextern "C" __global__ void at{time.time_ns()}() {{}}\n'
        program = nvrtc.createProgram(code, f"{file}.cu", (), ())
        given = options(tuple(constants(next(iter(TILES)), (1, 3, 3), np.dtype("f4")).items()) + (("BQ", 4),))
        nvrtc.compileProgram(program, [f"--gpu-architecture={architecture}", *given])
    except Exception as error:                            # as in `loaded`
        raise CompilationFailed(f"{file}.cu: {error}") from error
    return time.perf_counter() - start


@functools.lru_cache(maxsize=None)
def source(file):
    """The text of kernels/FILE.cu with what it includes, for NVRTC looks into no folder of ours."""
    text = (FOLDER / f"{file}.cu").read_text(encoding="utf-8")
    return re.sub(r'^#include "(\w+\.cuh)"$', lambda found: (FOLDER / found[1]).read_text(encoding="utf-8"), text, flags=re.M)


def options(constants):
    return ("-std=c++17", *(f"-D{name}={c_name(value)}" for name, value in constants))


def c_name(value):
    return NAMES[value.str[1:]] if isinstance(value, np.dtype) else str(int(value))


def declined(*arrays):
    """Whether the reference shall do it: other numbers than single and double, nothing to add up, more than integers count."""
    return any(a.dtype.char not in "fd" or a.dtype != arrays[0].dtype or a.size == 0 or a.size >= MOST_ELEMENTS for a in arrays)


def solid(x):
    """x in one piece, row by row; None stays None."""
    return x if x is None or x.flags.c_contiguous else array_module(x).ascontiguousarray(x)


def aligned(x):
    """x where whole vectors of sixteen bytes begin: a part of a larger array may begin elsewhere."""
    return x.copy() if address(x) % 16 else x


def address(x):
    """Where an array begins; 0 for none."""
    return 0 if x is None else x.ctypes.data if type(x) is np.ndarray else x.data.ptr


def blocks(size, each):
    """How many groups of `each` cover so many."""
    return -(-size // each)


def multiprocessors():
    """The number of processors of the GPU, each of which runs several blocks at a time."""
    return properties(compiler.device())[0]


def capability():
    """The compute capability of the GPU, a pair like (9, 0): which instructions it has."""
    return properties(compiler.device())[1]


@functools.lru_cache(maxsize=None)
def properties(device):
    import cupy
    found = cupy.cuda.runtime.getDeviceProperties(device)
    return found["multiProcessorCount"], (found["major"], found["minor"])
