"""The benchmark runs, its contenders behave as they are described, and the museum's page is up to date."""

import json

import pytest

from tests.benchmarks import contenders, gradcheck, museum, page, speed
from tests.gradcheck.layers import HAS_TORCH

LAYERS = {layer.name: layer for layer in museum.exhibits()}
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="compares with PyTorch")


def verdicts(name):
    return {contender: check(LAYERS[name], 0).passed for contender, check in contenders.CONTENDERS.items()}


def test_the_museum_is_printed_and_written(capsys, tmp_path):
    """One wrong layer: what is printed and what is written agree."""
    gradcheck.main(["--museum", "--only", "affine_none_for_bias", "--json", str(tmp_path / "out.json")])
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "out.json").read_text())
    assert "1 wrong layers, 0 right ones" in printed and "linear" in printed
    assert {r["contender"]: r["good"] for r in found["museum"]}["tinyvision"]
    assert len(found["museum"]) == len(contenders.CONTENDERS) and "speed" not in found
    assert found["machine"] in printed


def test_every_contender_catches_a_plain_mistake_and_passes_a_right_layer():
    assert not any(verdicts("affine_square_weight_not_transposed").values())
    assert all(verdicts("affine_tiny_input").values())


def test_ones_see_nothing_of_the_upstream_gradient():
    """The reason why the checker draws it."""
    assert contenders.ones(LAYERS["sigmoid_upstream_ignored"], 0).passed
    assert not contenders.tinyvision(LAYERS["sigmoid_upstream_ignored"], 0).passed


@needs_torch
def test_torch_is_wrapped_generously():
    """Losses without an upstream, layers that remember their last pass, Modules and functions of PyTorch are all applicable."""
    for name in ("softmax_loss", "tanh_object_once", "module_linear_float32", "torch_exp", "two_layer_net", "affine_empty_batch"):
        assert verdicts(name) == dict.fromkeys(contenders.CONTENDERS, True), name
    assert contenders.torch_slow(LAYERS["second_cube_half"], 0).passed is False
    assert contenders.torch_slow(LAYERS["large_batchnorm"], 0).passed is None


@needs_torch
def test_guided_backpropagation_passes_where_upstream_gradients_are_positive():
    assert contenders.torch_slow(LAYERS["guided_relu"], 0).passed and contenders.torch_fast(LAYERS["guided_relu"], 0).passed


def test_errors_are_listed_by_name():
    """A contender that passes everything misses every wrong layer, and its name is what it says."""
    careless = {"careless": lambda layer, seed: contenders.Verdict(True)}
    lines = museum.tables(museum.examine([LAYERS["guided_relu"], LAYERS["affine_tiny_input"]], 2, careless))
    assert "  passes, though wrong, 1: guided_relu (2 seeds)" in lines and "  fails, though right: none" in lines
    assert any(line.startswith("all") and "0/2" in line and "2/2" in line for line in lines)


def test_speed(capsys, monkeypatch):
    rows = speed.small
    monkeypatch.setattr(speed, "large_conv", lambda rng: rows(rng)["softmax"])
    monkeypatch.setattr(speed, "small", lambda rng: {})
    gradcheck.main(["--speed", "--repeats", "1"])
    printed = capsys.readouterr().out
    assert "medians of 1 alternating" in printed and " ms" in printed and "museum" not in printed


def test_a_failed_check_is_not_timed():
    with pytest.raises(AssertionError, match="a check failed one"):
        speed.alternating([lambda: False], 1)


def test_the_page_is_up_to_date():
    """Names, mistakes and causes; the words of reports may change.  python -m tests.benchmarks.gradcheck --page writes it."""
    written = page.rows_of(page.PATH.read_text(encoding="utf-8"))
    if not HAS_TORCH:
        written = [row for row in written if not row[0].startswith("torch")]
    assert written == page.stable_rows()


def test_rows_are_read_as_they_were_written():
    row = ("losses", "a_name", "x / |x|: *all* of a_b < c.", "term-missing")
    line = f"| `{row[1]}` | {page.cell(row[2])} | `{row[3]}` | (`unknown`) said \\| so |"
    assert page.rows_of(f"## {page.FAMILIES['losses'][0]}\n\n| layer |\n|---|\n{line}\n") == [row]


def test_long_reports_are_shortened():
    assert page.quoted("the first sentence. Another one.") == "the first sentence."
    long = page.quoted("word " * 100)
    assert len(long) <= page.LONGEST + 4 and long.endswith("word ...")
