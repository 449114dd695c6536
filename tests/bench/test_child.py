"""Processes of their own: what they answer, and what becomes of those that fail."""

import sys

import numpy as np
import pytest

from tests.bench.engines import Right
from tinyvision.bench import child
from tinyvision.bench.ours import Reference
from tinyvision.bench.workloads import QUICK, QUICK_NETWORKS

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak can be set back on Linux only")


class Hungry(Right):
    """Holds 30 MB at the end, and 70 MB for a moment on the way."""

    def layer_calls(self, layer, arrays):
        if layer.x[0] == 1:                               # the small run before
            return dict.fromkeys(layer.passes, lambda: None)

        def hold():
            np.ones(40 * 2 ** 17)
            return np.ones(10 * 2 ** 17)
        return dict.fromkeys(layer.passes, hold)


@LINUX
def test_the_peak_is_what_was_held_and_what_was_needed_on_the_way():
    """Three passes of 10 MB each that stay, 40 MB more before the last of them: 60 MB together."""
    answer = child.peak_memory(Hungry(), QUICK[0])
    assert answer["peak_bytes"] == pytest.approx(60 * 2 ** 20, rel=0.1)


def test_a_process_answers():
    answer = child.run("startup", Reference(), QUICK_NETWORKS[0], 1)
    assert set(answer) == {"import_seconds", "first_seconds", "later_seconds", "loss"}
    step = Reference().training_step(QUICK_NETWORKS[0])
    assert answer["loss"] == pytest.approx(step().item(), rel=1e-5) and min(answer.values()) > 0
    assert child.run("memory", Reference(), QUICK[0], 1)["peak_bytes"] > 4 * np.prod(QUICK[0].y)


def test_threads_come_from_the_environment(monkeypatch):
    seen = {}

    def start(command, env, **options):
        seen.update(env)
        return type("Done", (), {"returncode": 0, "stdout": 'noise\n{"peak_bytes": 5}\n', "stderr": ""})
    monkeypatch.setattr(child.subprocess, "run", start)
    assert child.run("memory", Reference(), QUICK[0], 3, NUMBA_CACHE_DIR="there") == {"peak_bytes": 5}
    assert [seen[name] for name in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_CACHE_DIR")] == ["3", "3", "there"]


def test_a_process_that_fails_says_why():
    class Unknown(Reference):
        key = "nobody"
    assert child.run("memory", Unknown(), QUICK[0], 1)["refused"].startswith("fails: StopIteration")
    killed = type("Done", (), {"returncode": -9, "stdout": "", "stderr": ""})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child.subprocess, "run", lambda *a, **k: killed)
        assert "signal 9, for lack of memory" in child.run("memory", Reference(), QUICK[0], 1)["refused"]
