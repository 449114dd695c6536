"""Good files, damaged at random by the thousand: each ends in the right contents or a ValueError, in little memory and time."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="limits of memory as Linux has them")
ONNX = pytest.param("onnx", marks=pytest.mark.skipif(find_spec("onnx") is None, reason="onnx is not installed"))
KINDS = ["torch zip", "torch legacy", "npz", "safetensors", ONNX]


def child(tmp_path, kind, first, last):
    """What a process of little memory makes of these mutants."""
    command = [sys.executable, "-W", "error", "-m", "tests.io.mutate", kind, str(first), str(last), str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, timeout=3000)


def check(process, count):
    assert process.returncode == 0, process.stderr[-2000:]
    found = json.loads(process.stdout)
    assert found["wrong"] == [] and found["loaded"] + found["refused"] == count
    assert found["loaded"] > 0 and found["refused"] > count / 2


@pytest.mark.parametrize("kind", KINDS)
def test_mutants(tmp_path, kind):
    check(child(tmp_path, kind, 0, 300), 300)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutants(tmp_path, kind):
    check(child(tmp_path, kind, 1000, 26_000), 25_000)


def test_readers_that_take_too_much_or_crash_are_noticed(tmp_path):
    process = child(tmp_path, "greedy", 0, 5)
    assert process.returncode == 0 and all("MemoryError" in line for line in json.loads(process.stdout)["wrong"])
    assert len(json.loads(process.stdout)["wrong"]) == 5
    assert child(tmp_path, "crashing", 0, 5).returncode != 0
