"""`tinyvision bench` as a user meets it."""

import importlib.util
import json
import subprocess
import sys

import pytest

from tinyvision import cli
from tinyvision.bench import command, contenders, plot


def test_quick_run_prints_checks_and_saves(tmp_path, capsys):
    """Two tables side by side from one run; the file holds every figure that was printed."""
    out, picture = tmp_path / "out.json", tmp_path / "roof.png"
    assert cli.main(["bench", "--quick", "--json", str(out), "--plot", str(picture), "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("processor ") and printed.endswith(f"saved {out} and {picture}\n")
    assert printed.index("Training steps") < printed.index("Layers, ms")
    found = json.loads(out.read_text())
    assert found["machine"]["threads"] == "1" and set(found["tables"]) == {"steps", "layers"}
    steps = found["tables"]["steps"]
    assert {row["contender"] for row in steps} >= {"tinyvision", "numpy"}
    assert not [row for table in found["tables"].values() for row in table if "fails" in row.get("refused", "")]
    assert all(row["seconds"] > 0 and row["rounds_seconds"] for row in steps if "refused" not in row)
    assert set(found["limits"]) == {"flop_per_second", "memory_bytes_per_second", "cache_bytes_per_second"}
    assert found["units"]["*seconds"] == "s" and picture.read_bytes().startswith(b"\x89PNG")


def test_a_table_by_name(capsys):
    assert cli.main(["bench", "--quick", "--scaling", "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert "Growth" in printed and "Layers" not in printed and "Training" not in printed


def test_all_tables_are_asked_for(monkeypatch, capsys):
    """Every option runs its own table and no other."""
    from tinyvision.bench import layers, memory, scaling, startup, steps
    for module in (layers, memory, scaling, startup, steps):
        monkeypatch.setattr(module, "measure", lambda *a, name=module.__name__.rpartition(".")[2], **k: [{"table": name}])
    for name in command.TABLES:
        found = command.run_bench(**{name: True}, threads=1)
        assert found["tables"] == {name: [{"table": name}]}
    assert set(command.run_bench(threads=1)["tables"]) == {"steps", "layers"}


@pytest.mark.parametrize("arguments, words", [
    (["--threads", "0"], "must be a whole number of at least 1, got '0'"),
    (["--steps", "--plot", "a.png"], "add --layers"),
    (["--plot", "a.txt"], ".png, .pdf or .svg, got 'a.txt'"),
    (["--json", "no/such/a.json"], "the folder of no/such/a.json does not exist"),
    (["--json", "folder"], "folder is a folder"),
    (["--json", "a.png", "--plot", "a.png"], "the same file"),
    (["--tf32"], "--tf32 is for a GPU: add --device cuda"),
    (["--speed"], "unrecognized arguments: --speed"),
])
def test_a_mistake_gets_one_sentence_before_anything_runs(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert cli.main(["bench", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and printed.err.count("\n") == 1 and printed.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_modes_of_pytorch_need_pytorch(monkeypatch, capsys):
    monkeypatch.setattr("tinyvision.packages.find_spec", lambda name: None)
    assert cli.main(["bench", "--torch"]) == 2
    assert "needs the package torch, which is not installed" in capsys.readouterr().err


def test_without_other_engines_tinyvision_and_numpy_remain(monkeypatch):
    monkeypatch.setattr(contenders, "find_spec", lambda name: None)
    found, absent = contenders.find()
    assert [c.key for c in found] == ["tinyvision", "numpy"] and not absent


def test_a_package_that_does_not_load_is_told(monkeypatch):
    def broken(compiled):
        raise OSError("undefined symbol")
    monkeypatch.setattr(contenders, "find_spec", lambda name: name if name == "torch" else None)
    monkeypatch.setattr(contenders, "torch_contenders", broken)
    found, absent = contenders.find()
    assert len(found) == 2 and absent == ["torch is installed but does not load (OSError: undefined symbol)."]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
def test_torch_has_four_modes():
    keys = [c.key for c in contenders.torch_contenders(True)]
    assert keys == ["torch eager", "torch channels_last", "torch compile", "torch compile+channels_last"]
    assert contenders.by_key(keys[3]).slow_start


def test_nothing_heavy_is_loaded_before_it_is_used():
    code = ("import sys, tinyvision.bench.command, tinyvision.bench.ours, tinyvision.bench.pytorch, tinyvision.bench.others, "
            "tinyvision.bench.plot, tinyvision.bench.child, tinyvision.bench.startup, tinyvision.bench.memory; "
            "print({'numba', 'torch', 'matplotlib', 'scipy', 'threadpoolctl', 'dezero', 'autograd'} & set(sys.modules))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_limits_and_points_are_drawn():
    """Two points at their intensity and speed, under a roof of 100 GFLOP/s and slopes of 10 and 50 GB/s."""
    rows = [{"workload": "conv, small", "contender": c, "pass": "forward", "flop": 4000, "bytes": 1000, "gflop_per_second": s}
            for c, s in (("tinyvision", 30.0), ("numpy", 3.0))]
    rows.append({"workload": "pool", "contender": "numpy", "pass": "forward", "flop": 0, "bytes": 1000})
    found = {"flop_per_second": 100e9, "memory_bytes_per_second": 10e9, "cache_bytes_per_second": 50e9}
    (axes,) = plot.roofline(rows, found).axes
    lines = [line for line in axes.get_lines() if len(line.get_xdata())]
    assert [(line.get_label(), line.get_xydata().tolist()) for line in lines[2:]] == [
        ("tinyvision", [[4, 30]]), ("numpy", [[4, 3]])]
    memory, cache = (line.get_xydata() for line in lines[:2])
    assert memory[0, 1] == pytest.approx(10 * memory[0, 0]) and cache[-1, 1] == 100
    assert [text.get_text() for text in axes.texts] == ["1"]


def test_limits_are_of_this_world():
    found = plot.limits(1, size=256, megabytes=4, repeats=3)
    assert 1e8 < found["flop_per_second"] < 1e15 and 1e8 < found["memory_bytes_per_second"] < 1e13
