"""What stands above a table, and who else is using the machine."""

import os
import sys
import time

import pytest
from threadpoolctl import threadpool_info

from tinyvision.bench import BenchError, machine
from tinyvision.kernels import registry


def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


def test_threads_are_set_for_everybody_and_given_back():
    before, blas = registry.get_num_threads(), blas_threads()
    with machine.limited(1):
        assert registry.get_num_threads() == 1 and blas_threads() <= {1}
        assert machine.describe(1, [])["threads"] == "1"
    assert registry.get_num_threads() == before and blas_threads() == blas


def test_torch_gets_as_many():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    with machine.limited(1, torch=True):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_too_many_threads_are_one_sentence():
    if registry.state.off:
        pytest.skip("without compiled kernels there is no limit")
    with pytest.raises(BenchError, match="must be an integer from 1 to"):
        with machine.limited(10_000):
            pass


def test_description_names_what_matters():
    rows = machine.describe(2, ["numpy", "no_such_package"])
    assert list(rows) == ["processor", "vectors", "threads", "kernels", "BLAS", "versions"] and all(rows.values())
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in rows["versions"]
    assert "no_such_package" not in rows["versions"] and "NumPy" in rows["versions"]


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="Linux only")
def test_vectors_are_read_from_the_flags(monkeypatch):
    for text, bits in (("flags : fpu sse2 avx2 avx512f", "512"), ("flags : sse2 avx2", "256"), ("Features : fp asimd", "128")):
        monkeypatch.setattr(machine, "lines", lambda path, text=text: ["model name : Chip 3000", text])
        assert machine.vectors().startswith(bits)
        assert machine.processor() == "Chip 3000"


def test_a_chosen_core_type_is_warned_of(monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    assert not [text for text in machine.warnings() if "OPENBLAS" in text]
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert [text for text in machine.warnings() if "OPENBLAS_CORETYPE=Haswell" in text]


def test_others_are_noticed(monkeypatch):
    """The processors worked 30 seconds in 10, of which this process 12: 1.8 were busy with something else."""
    clock = iter([0.0, 10.0, 10.0])
    monkeypatch.setattr(machine, "perf_counter", lambda: next(clock))
    busy, own = iter([100.0, 130.0]), iter([5.0, 17.0])
    monkeypatch.setattr(machine, "all_busy", lambda: next(busy))
    monkeypatch.setattr(machine, "own_busy", lambda: next(own))
    (note,) = machine.Watch().notes([0.001])
    assert "kept 1.8 processors busy" in note


def test_ticks_are_noticed():
    assert machine.on_ticks([0.0080, 0.0161, 0.0319, 0.0405, 0.002])
    assert not machine.on_ticks([0.0095, 0.0133, 0.0211, 0.0272, 0.0365]) and not machine.on_ticks([0.008, 0.016])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")
def test_own_work_is_not_the_work_of_others():
    own, busy, end = machine.own_busy(), machine.all_busy(), time.perf_counter() + 0.3
    while time.perf_counter() < end:
        pass
    assert 0.01 < machine.own_busy() - own and machine.own_busy() - own < machine.all_busy() - busy + 0.1
