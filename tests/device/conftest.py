"""The device on which the tests of this folder run: the fake one, and the real one where there is a GPU."""

import importlib.util

import pytest

from tests.kernels.cuda import emulate
from tinyvision import use_kernels

from . import fake_module


def why_no_gpu():
    """Why the real device cannot be used; None where it can."""
    if importlib.util.find_spec("cupy") is None:
        return "CuPy is not installed"
    try:
        import cupy
        return None if cupy.cuda.runtime.getDeviceCount() else "there is no GPU"
    except Exception as error:                            # no driver, or one that is too old
        return f"CuPy finds no GPU: {error}"


@pytest.fixture(params=["fake", pytest.param("emulated", marks=pytest.mark.slow), "cuda"])
def device(request):
    """The name of a device to compute on: "cuda:0", with CuPy, or with the fake in its place and references as kernels.

    Emulated: with the fake, too, but with the CUDA sources, which a C++ compiler has made for this CPU.
    """
    if request.param == "cuda":
        if reason := why_no_gpu():
            pytest.skip(reason)
        yield "cuda:0"
    elif request.param == "emulated":
        if emulate.COMPILER is None:
            pytest.skip("no C++ compiler (g++ or clang++) to compile the CUDA sources for this CPU")
        with fake_module.installed(), emulate.emulated(processors=132), use_kernels("auto"):
            yield "cuda:0"
    else:
        with fake_module.installed(), use_kernels("reference"):
            yield "cuda:0"


@pytest.fixture
def transfers():
    """The state of the fake: what moved between host and device, and how much memory is in use."""
    with fake_module.installed() as state, use_kernels("reference"):
        yield state
