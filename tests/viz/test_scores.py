"""Pictures of scores hold the numbers of scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics as sk

from tinyvision import metrics
from tinyvision.viz import confusion_matrix, precision_recall_curve, reliability_diagram, roc_curve


def draw(N=200, K=3, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, K, N)
    scores = rng.standard_normal((N, K)) + 1.5 * np.eye(K)[targets]
    return scores, targets


def legend(figure):
    found = figure.axes[0].get_legend() or figure.legends[0]
    return [text.get_text() for text in found.get_texts()]


def cells(figure):
    """{(row, column): text}"""
    return {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in figure.axes[0].texts}


def test_confusion_matrix_cells():
    scores, targets = draw()
    matrix = sk.confusion_matrix(targets, scores.argmax(axis=1))
    figure = confusion_matrix(matrix, ["cat", "dog", "cow"])
    assert cells(figure) == {(t, p): f"{n}" for (t, p), n in np.ndenumerate(matrix)}
    axes = figure.axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["cat", "dog", "cow"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert axes.get_title() == f"200 examples, {100 * np.mean(scores.argmax(1) == targets):.1f}% right"


@pytest.mark.parametrize("normalize, form", [("true", "{:.0f}"), ("pred", "{:.0f}"), ("all", "{:.1f}")])
def test_confusion_matrix_shares(normalize, form):
    scores, targets = draw()
    counts, shares = (sk.confusion_matrix(targets, scores.argmax(axis=1), normalize=n) for n in (None, normalize))
    figure = confusion_matrix(counts, normalize=normalize)
    assert cells(figure) == {place: form.format(100 * share) for place, share in np.ndenumerate(shares)}
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), 100 * shares)


def test_text_can_be_read_on_its_cell():
    figure = confusion_matrix([[100, 0], [40, 1]])
    shown = figure.axes[0].images[0]
    for text in figure.axes[0].texts:
        x, y = map(round, text.get_position())
        r, g, b, _ = shown.to_rgba(shown.get_array()[y, x])
        dark = 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.55
        assert text.get_color() == ("white" if dark else "black")
    assert cells(figure) == {(0, 0): "100", (1, 0): "40", (1, 1): "1"}             # a mistake that never happened stays empty


def test_many_classes_have_colours_only():
    figure = confusion_matrix(np.eye(60, dtype=int), [f"class {k}" for k in range(60)])
    assert not figure.axes[0].texts and len(figure.axes[0].get_xticklabels()) == 30


def test_confusion_matrix_refuses():
    for wrong in (np.zeros((2, 3)), np.zeros(4), [[1, -1], [0, 1]]):
        with pytest.raises(ValueError, match=r"confusion_matrix: needs counts \(K, K\), none of them negative"):
            confusion_matrix(wrong)
    with pytest.raises(ValueError, match="confusion_matrix: normalize must be None, 'true', 'pred' or 'all', got 'rows'"):
        confusion_matrix(np.eye(2), normalize="rows")
    with pytest.raises(ValueError, match="confusion_matrix: classes must be the 2 names, got 3"):
        confusion_matrix(np.eye(2), "abc")


def test_roc_curve_against_scikit_learn():
    scores, targets = draw()
    figure = roc_curve(scores, targets, ["cat", "dog", "cow"])
    for k, (name, line) in enumerate(zip(("cat", "dog", "cow"), figure.axes[0].lines)):
        false, true, _ = sk.roc_curve(targets == k, scores[:, k], drop_intermediate=False)
        np.testing.assert_allclose(line.get_xydata(), np.c_[false, true])
        assert legend(figure)[k] == f"{name}, area {sk.roc_auc_score(targets == k, scores[:, k]):.3f}"
    assert legend(figure)[-1] == "guessing, area 0.500"


def test_precision_recall_against_scikit_learn():
    scores, targets = draw(K=2)
    figure = precision_recall_curve(scores[:, 1], targets)
    precision, recall, _ = sk.precision_recall_curve(targets, scores[:, 1])
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xydata(), np.c_[recall, precision])
    assert legend(figure)[0] == f"average precision {sk.average_precision_score(targets, scores[:, 1]):.3f}"
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), targets.mean())


def test_several_networks_labels_and_many_classes():
    scores, targets = draw(K=2)
    figure = roc_curve({"small": scores[:, 1], "large": scores[:, 1] - scores[:, 0]}, targets)
    assert [text.partition(",")[0] for text in legend(figure)] == ["small", "large", "guessing"]
    labels = np.random.default_rng(1).integers(0, 2, (200, 2))
    assert legend(roc_curve(scores, labels))[0] == f"0, area {sk.roc_auc_score(labels[:, 0], scores[:, 0]):.3f}"
    many = roc_curve(*draw(K=10))
    assert len(legend(many)) == 11 and not many.axes[0].get_legend()               # beside the picture
    assert len({(line.get_color(), line.get_linestyle()) for line in many.axes[0].lines}) == 11


def test_classes_that_do_not_occur_are_left_out():
    scores, targets = draw()
    targets[targets == 1] = 0
    assert [text[0] for text in legend(roc_curve(scores, targets))] == ["0", "2", "g"]
    with pytest.raises(ValueError, match="roc_curve: no class has positive and negative examples"):
        roc_curve(scores[:, :1], targets * 0)
    with pytest.raises(ValueError, match="precision_recall_curve: no class has positive examples"):
        precision_recall_curve(scores, np.zeros((200, 3), int))
    with pytest.raises(ValueError, match=r"roc_curve: scores \(N, K\) need targets .*, got \(200, 3\) and \(7,\)"):
        roc_curve(scores, targets[:7])


def test_reliability_diagram():
    rng = np.random.default_rng(0)
    p = rng.random(500)
    targets = (rng.random(500) < p ** 2).astype(int)
    curve = metrics.reliability_curve(p, targets)
    figure = reliability_diagram(p, targets, title="a title")
    upper, lower = figure.axes
    np.testing.assert_allclose([bar.get_height() for bar in upper.patches], 100 * curve.right)
    np.testing.assert_allclose([bar.get_height() for bar in lower.patches], curve.counts)
    np.testing.assert_allclose(upper.lines[1].get_xdata(), 100 * curve.confidence)
    gap = f"gap, on average {100 * metrics.calibration_error(p, targets):.1f}% (ECE)"
    assert gap in [text.get_text() for text in figure.legends[0].get_texts()]
    same = reliability_diagram(curve)
    np.testing.assert_allclose([bar.get_height() for bar in same.axes[0].patches], 100 * curve.right)


def test_reliability_with_empty_bins():
    figure = reliability_diagram([0.05, 0.95], [0, 1])
    assert len(figure.axes[0].patches) == 2 and len(figure.axes[1].patches) == 10
