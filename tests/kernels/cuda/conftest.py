"""`gpu`: where a test of CUDA sources runs, on this CPU behind host.h, and on a GPU where there is one."""

import numpy as np
import pytest

from tinyvision.kernels.cuda import module

from . import emulate


class Host:
    """The sources compiled for this CPU, on NumPy arrays."""

    name = "host"

    @staticmethod
    def array(x):
        return x

    numpy = array


class Cuda:
    """The sources compiled for the GPU, on CuPy arrays."""

    name = "cuda"

    @staticmethod
    def array(x):
        import cupy
        return cupy.asarray(x) if isinstance(x, np.ndarray) and x.dtype.names is None else x

    @staticmethod
    def numpy(x):
        return x.get() if hasattr(x, "get") else x


def reason_without_gpu():
    """Why CuPy cannot be used here; None where it can."""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed"
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"no GPU: {error}"


@pytest.fixture(params=["host", "cuda"])
def gpu(request):
    if request.param == "cuda":
        why = reason_without_gpu()
        if why:
            pytest.skip(why)
        yield Cuda
    else:
        if emulate.COMPILER is None:
            pytest.skip("no C++ compiler (g++ or clang++) to compile the CUDA sources for this CPU")
        with emulate.emulated():
            yield Host
    assert module.compiler.make is not emulate.HostModule
