"""Nothing is timed that is not right: wrong, broken and missing engines get a sentence, the others numbers."""

import numpy as np
import pytest

from tests.bench.engines import Right, field
from tinyvision import is_tf32_allowed
from tinyvision.bench import gpu, layers, memory, scaling, startup, steps
from tinyvision.bench.compare import difference, same_losses
from tinyvision.bench.table import Table, digits
from tinyvision.bench.workloads import QUICK, QUICK_NETWORKS


def by_contender(records):
    return {row["contender"]: row for row in records}


@pytest.mark.parametrize("layer", QUICK, ids=str)
def test_layers_time_what_is_right(layer, capsys):
    for records in layers.passes(field(), layer, budget=0.02):
        rows = by_contender(records)
        assert list(rows) == ["right", "numpy", "wrong", "broken", "without"]
        assert rows["wrong"]["refused"].startswith("wrong by ") and "seconds" not in rows["wrong"]
        assert rows["broken"]["refused"] == "fails: MemoryError: no room" and rows["without"]["refused"] == "no layers"
        assert rows["right"]["seconds"] > 0 and "ratio" not in rows["right"]
        assert len(rows["numpy"]["rounds_seconds"]) >= 1 and rows["numpy"]["ratio"] > 0
        speed = rows["numpy"].get("gflop_per_second")
        assert speed == pytest.approx(layer.flop / rows["numpy"]["seconds"] / 1e9) if layer.flop else speed is None


def test_steps_time_what_trains_alike(capsys):
    records = by_contender(steps.measure(field(), QUICK_NETWORKS[:1], budget=0.05))
    assert records["wrong"]["refused"].startswith("other losses: ")
    assert records["broken"]["refused"] == "fails: MemoryError: no room" and records["without"]["refused"] == "no networks"
    assert records["right"]["seconds"] > 0 and records["numpy"]["ratio"] > 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[3].startswith("LeNet-5 b4") and "see [1]" in printed[3] and "no networks" in printed[3]
    assert printed[-2].startswith("[1] other losses") and printed[-1] == "[2] fails: MemoryError: no room"


def test_scaling_refuses_who_is_wrong_in_one_pass(capsys):
    class WrongWeight(Right):
        key = label = "half"

        def layer_calls(self, layer, arrays):
            calls = super().layer_calls(layer, arrays)
            return calls | {"grad weight": lambda: calls["grad weight"]() * 1.01}
    records = scaling.measure([*field(), WrongWeight()], quick=True, budget=0.02)
    assert len(records) == 12 and by_contender(records[:6])["half"]["refused"].startswith("wrong by 1e-02")
    first = by_contender(records)["right"]
    assert first["seconds_per_gflop"] == pytest.approx(first["seconds"] / first["flop"] * 1e9)
    assert capsys.readouterr().out.splitlines()[3].split()[-1] == "1.00"


def test_differences():
    a = np.array([1.0, -2.0, 4.0])
    assert difference([a], [a]) == 0 and difference([a + [0, 0, 1]], [a]) == 0.25
    assert difference([a[:2]], [a]) == difference([a, a], [a]) == np.inf
    assert difference([a * np.nan], [a]) == difference([a + np.inf], [a]) == np.inf
    large = np.ones(10_000)
    one_off = large.copy()
    one_off[17] = 0                                       # a single ReLU on the other side of its kink
    assert difference([one_off], [large]) == 1 and difference([one_off], [large], kinked=True) == pytest.approx(0.01)


def test_reasons_go_below_the_table(capsys):
    table = Table("title", {"a": ["x", "longer"]}, ["one", "two"])
    from tinyvision.bench.table import Reason
    table.row(["x"], [Reason("a reason without end"), "1234567890123456"])
    table.row(["longer"], [Reason("a reason without end"), Reason("short")])
    table.close()
    assert capsys.readouterr().out.splitlines() == [
        "title", "a       one           two", "x       see [1]       1234567890123456", "longer  see [1]       short",
        "[1] a reason without end"]


def test_digits():
    assert [digits(x) for x in (0.00123, 0.5, 9.876, 98.76, 987.6, 9876.5)] == ["0.0012", "0.500", "9.88", "98.8", "988", "9876"]


def test_memory_puts_ratios_beside(monkeypatch, capsys):
    peaks = {"right": 2_000_000, "numpy": 8_000_000}
    answers = {key: {"peak_bytes": peak} for key, peak in peaks.items()}
    monkeypatch.setattr(memory, "run", lambda task, contender, *rest: answers.get(contender.key, {"refused": "no"}))
    rows = by_contender(memory.measure(field(), QUICK[:1], 2))
    assert rows["numpy"]["ratio"] == 0.25 and "ratio" not in rows["right"] and rows["wrong"] == {
        "workload": QUICK[0].name, "contender": "wrong", "refused": "no"}
    assert "8.00 (0.25)" in capsys.readouterr().out


def test_startup_compares_with_the_warm_cache(monkeypatch, capsys):
    """tinyvision and compiled PyTorch start once on an empty cache, then warm; losses must agree."""
    ours, reference, other = field()[:3]
    monkeypatch.setattr(type(ours), "key", "tinyvision")
    seen = []

    def run(task, contender, network, threads, **environment):
        fresh = not any(folder == environment["NUMBA_CACHE_DIR"] and key == contender.key for key, folder in seen)
        seen.append((contender.key, environment["NUMBA_CACHE_DIR"]))
        first = 6.0 if fresh and contender.key == "tinyvision" else 0.5
        return {"import_seconds": 0.5, "first_seconds": first, "later_seconds": 0.1,
                "loss": 2.001 if contender.key == "wrong" else 2.0}
    monkeypatch.setattr(startup, "run", run)
    rows = startup.measure([ours, reference, other], QUICK_NETWORKS[:1], 2, repeats=3)
    assert [(r["contender"], r["cache"], r.get("together_seconds")) for r in rows] == [
        ("tinyvision", "empty cache", 6.5), ("tinyvision", "warm cache", 1.0), ("numpy", "", 1.0), ("wrong", "", 1.0)]
    assert [r.get("ratio") for r in rows] == [1.0 / 6.5, None, 1.0, None] and rows[3]["refused"].startswith("other loss")
    assert "6.50 (0.15)" in capsys.readouterr().out


def test_tf32_is_on_for_both_sides_and_bounds_are_looser():
    torch = pytest.importorskip("torch")
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn

    def modes():
        return is_tf32_allowed(), cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    before = modes()
    assert same_losses([1.0, 0.52], [1.0, 0.5])
    for on in True, False:
        with pytest.raises(KeyError), gpu.precision(on):
            assert modes() == (on, on, on, True)
            assert on == (same_losses([1.0, 0.52], [1.0, 0.5]) is None)
            assert same_losses([1.0, 0.8], [1.0, 0.5])
            raise KeyError("the measurement fails")
        assert modes() == before
