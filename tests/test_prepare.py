"""Kernels compiled beforehand, and by a second process."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tinyvision import prepare
from tinyvision.kernels import registry
from tinyvision.kernels.cpu import cache, jit, tile


def test_both_passes_of_the_usual_layers(monkeypatch):
    """Every kernel of a step is called; by the helper those of the backward pass, and the loss, but not the one that both begin with."""
    called = []
    monkeypatch.setattr(jit.Shared, "__call__", watched(called, jit.Shared.__call__))
    prepare.backward()
    (M, N), (O, V) = tile.DOT, tile.FMA
    late = {f"weight_grad_{M}x{N}x1", f"weight_grad_{M}x{N}x2", f"weight_grad_{N}x{M}x1", "_grad_sums", "_grad_write", "_scatter_four",
            "gather", "add_parts", "_sgd", "_lines_loss", "_lines_loss_grad"}
    late |= {"weight_grad"} if tile.BYTES >= 32 else set()
    early = {"_max_of_four", "_moments", "_write", "_rectify", f"correlate_{O}x{V}x1"}
    assert late <= set(called) and not early & set(called)
    helped = set(called)
    prepare.prepare()
    assert late | early | helped | {f"correlate_1x{2 * V}x1"} <= set(called)
    assert registry.state.choice == "auto"


@pytest.mark.parametrize("state", ["-kernel.py311.nbi", ".claim"])
@pytest.mark.parametrize("first", ["pool._max_of_four", "normalize._moments", None])
def test_the_helper_does_first_what_the_network_needs_first(monkeypatch, tmp_path, first, state):
    """It knows LeNet by what comes behind its first layer, compiled or being compiled."""
    called = []
    monkeypatch.setattr(jit.Shared, "__call__", watched(called, jit.Shared.__call__))
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    if first:
        (tmp_path / f"tinyvision.kernels.cpu.{first}{state}").touch()
    prepare.backward()
    lenet, others = called.index("_lines_loss_grad"), called.index("_grad_sums")
    assert (lenet < others) == (first == "pool._max_of_four")


def watched(called, original):
    def call(self, *args, **options):
        called.append(self.__qualname__)
        return original(self, *args, **options)
    return call


def test_a_second_process_helps(monkeypatch, tmp_path):
    """It is asked once, with a mark in its environment that keeps it from asking for help itself, and not where it could not help."""
    asked = []

    class Process:
        def __init__(self, command, env, **options):
            asked.append((command, env))

        def wait(self):
            pass
    monkeypatch.setattr(cache.subprocess, "Popen", Process)
    monkeypatch.setattr(cache.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "new" / "folder")
    cache.call_help()
    (command, env), = asked
    assert command == [sys.executable, "-m", "tinyvision.prepare", "backward"] and env[registry.HELPER]
    monkeypatch.setenv(registry.HELPER, "1")
    cache.call_help()
    monkeypatch.delenv(registry.HELPER)
    monkeypatch.setattr(cache.os, "cpu_count", lambda: 1)
    cache.call_help()
    assert len(asked) == 1


def test_the_command(tmp_path):
    """What it has compiled, nobody compiles again; the loop over threads it leaves to the other process."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_NUM_THREADS": "1", registry.HELPER: "1"}
    subprocess.run([sys.executable, "-m", "tinyvision.prepare", "backward"], env=environment, check=True, capture_output=True)
    code = "import numpy as np\nfrom tinyvision.kernels import conv, registry\nfrom tinyvision.kernels.window import Window\n" \
           "x = np.ones((2, 8, 16, 16), 'f')\nregistry.use_kernels('compiled')\n" \
           "print(conv.conv_weight_grad(x, x, Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)), 1).sum())"
    found = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert not list(tmp_path.rglob("everyone*")) and not found.stderr and np.isclose(float(found.stdout), 8 * 8 * 2 * (16 + 15 + 15) ** 2)
