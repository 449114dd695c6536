"""The learning curves show the numbers of the history, live and afterwards; so does the picture of the range test."""

import importlib.machinery
import sys
import types

import numpy as np
import pytest

from tinyvision import data, manual_seed, models, optim
from tinyvision.train import Epoch, find_lr, fit
from tinyvision.viz import LiveCurves, learning_curves, lr_curve

HISTORY = [Epoch(1, 0.9, 0.7, 1.0, 0.65, 2.0), Epoch(2, 0.4, 0.9, 0.5, 0.85, 2.0)]


def test_lines_hold_the_history(tmp_path):
    figure = learning_curves(HISTORY, "a title")
    loss, accuracy = figure.axes
    np.testing.assert_allclose([line.get_ydata() for line in loss.lines], [[0.9, 0.4], [1.0, 0.5]])
    np.testing.assert_allclose([line.get_ydata() for line in accuracy.lines], [[70, 90], [65, 85]])
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["train, last 90.00%", "test, last 85.00%"]
    figure.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000


def test_empty_history():
    with pytest.raises(ValueError, match="history is empty"):
        learning_curves([])


# --- further quantities


def rows(n=3):
    return [Epoch(i, 1 / i, 0.5 + 0.1 * i, 1.1 / i, 0.4 + 0.1 * i, 2.0 * i, lr=0.1 ** i,
                  metrics={"train_iou": 0.2 * i, "test_iou": 0.1 * i, "temperature": 3.0 * i}) for i in range(1, n + 1)]


def labels(figure):
    return [axes.get_ylabel() for axes in figure.axes]


def test_metrics_and_a_changing_learning_rate_are_drawn():
    figure = learning_curves(rows())
    assert labels(figure) == ["loss", "accuracy (%)", "iou", "temperature", "learning rate (per step)"]
    iou, temperature, rate = figure.axes[2:]
    np.testing.assert_allclose([line.get_ydata() for line in iou.lines], [[0.2, 0.4, 0.6], [0.1, 0.2, 0.3]])
    assert [text.get_text() for text in iou.get_legend().get_texts()] == ["train, last 0.600", "test, last 0.300"]
    np.testing.assert_allclose(temperature.lines[0].get_ydata(), [3, 6, 9])
    assert rate.get_yscale() == "log"


def test_chosen_quantities():
    assert labels(learning_curves(rows(), quantities=["iou", "seconds"])) == ["iou", "time (s per epoch)"]
    assert labels(learning_curves(rows(1), quantities=["lr"])) == ["learning rate (per step)"]
    there = "loss, accuracy, iou, temperature, lr, seconds"
    with pytest.raises(ValueError, match=f"the history has no quantity 'dice'. There is: {there}"):
        learning_curves(rows(), quantities=["dice"])


def test_accuracies_that_are_nan_are_left_out():
    history = [Epoch(1, 1.0, np.nan, 1.1, np.nan, 1.0, metrics={"test_iou": 0.5}), Epoch(2, 0.9, np.nan, 1.0, np.nan, 1.0)]
    figure = learning_curves(history)
    assert labels(figure) == ["loss", "iou"]
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_ydata(), [0.5, np.nan])


# --- live


def test_live_curves_rewrite_their_file(tmp_path):
    curves, sizes = LiveCurves(tmp_path / "live.png", title="run"), []
    for row in rows():
        curves(row)
        sizes.append((tmp_path / "live.png").read_bytes())
    assert len(set(sizes)) == 3 and all(data.startswith(b"\x89PNG") for data in sizes)
    assert [path.name for path in tmp_path.iterdir()] == ["live.png"] and curves.history == rows()


def test_live_curves_are_a_report_of_fit():
    model, digits = models.MLP(64, (8,)), data.Digits(size=8)
    loader, shown = data.DataLoader(digits, 200), []
    history = fit(model, optim.Adam(model.parameters()), loader, loader, 2, progress=False,
                  report=LiveCurves(show=shown.append, quantities=["loss"]))
    np.testing.assert_allclose(shown[-1].axes[0].lines[1].get_ydata(), [row.test_loss for row in history])
    assert len(shown) == 2


def test_live_curves_go_on_from_a_history():
    shown = []
    LiveCurves(show=shown.append, history=rows(2))(rows(3)[-1])
    np.testing.assert_array_equal(shown[0].axes[0].lines[0].get_xdata(), [1, 2, 3])


def test_live_curves_in_a_notebook_take_the_place_of_the_last(monkeypatch):
    calls = []

    class Handle:
        def update(self, figure):
            calls.append(("update", figure))

    def display(figure, display_id):
        calls.append(("display", figure))
        return Handle()
    notebook, inner = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    notebook.__spec__, inner.display = importlib.machinery.ModuleSpec("IPython", None), display
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", inner)
    curves = LiveCurves()
    for row in rows():
        curves(row)
    assert [name for name, _ in calls] == ["display", "update", "update"] and calls[-1][1] is curves.figure


def test_live_curves_refuse(monkeypatch):
    with pytest.raises(ValueError, match="LiveCurves: path and show are two ways, got both"):
        LiveCurves("a.png", show=print)
    with pytest.raises(TypeError, match="LiveCurves: show must be a function of a Figure, got 3"):
        LiveCurves(show=3)
    monkeypatch.setattr("tinyvision.packages.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"LiveCurves in a notebook \(a file needs a path\): needs the package IPython"):
        LiveCurves()


# --- the range test


def test_lr_curve_shows_the_test_and_its_points():
    manual_seed(0)
    model = models.MLP(64, (16,))
    found = find_lr(model, optim.Adam(model.parameters()), data.DataLoader(data.Digits(size=8), 64, shuffle=True, generator=0))
    axes = lr_curve(found, "Adam").axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), found.losses)
    np.testing.assert_allclose(axes.lines[1].get_xydata(), np.c_[found.rates, found.smoothed])
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"suggestion, {found.suggestion:.2g}" in texts and f"minimum, {found.minimum:.2g}" in texts
    low, high = axes.get_ylim()
    assert low < min(found.smoothed) and found.smoothed[0] < high and axes.get_xscale() == "log"


def test_lr_curve_without_a_suggestion():
    model = models.MLP(64, (16,))
    found = find_lr(model, optim.SGD(model.parameters(), lr=0.1), data.DataLoader(data.Digits(size=8), 64), start=1e-9, end=1e-8)
    assert found.suggestion is None
    assert not any("suggestion" in text.get_text() for text in lr_curve(found).axes[0].get_legend().get_texts())
