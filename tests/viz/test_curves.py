"""The learning curves show the numbers of the history."""

import numpy as np
import pytest

from tinyvision.train import Epoch
from tinyvision.viz import learning_curves

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
