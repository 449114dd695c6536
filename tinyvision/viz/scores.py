"""How good the answers are, as pictures: the confusion matrix, ROC and precision-recall curves, the reliability diagram.

The numbers are those of tinyvision.metrics; see there for what they mean.
"""

import numpy as np

from .. import metrics
from ..ops.device import on_host
from .style import COLORS, FAINT, class_name, ink_on, new_figure, shortened

NUMBERS = 25                                              # up to so many classes the cells hold numbers
STYLES = ("-", "--", "-.", ":")                           # further lines, when the colours are used up


def confusion_matrix(matrix, classes=None, *, normalize=None, title=""):
    """A matplotlib Figure of a confusion matrix: rows are the true classes, columns the predicted ones.

    matrix: (K, K) counts, as metrics.confusion_matrix gives it; classes: the K names.
    normalize: None for counts, or "true", "pred", "all" for percent of the row, the column, the whole.
    Up to 25 classes the cells hold numbers, more are shown by colour alone.
    Raises ValueError for other shapes, negative counts, another normalize, and numbers of names that do not fit.

    >>> figure = confusion_matrix([[5, 1], [2, 4]], ["cat", "dog"], normalize="true")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['83', '17', '33', '67']
    """
    counts = np.asarray(on_host(matrix), np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size or not (counts >= 0).all():
        raise ValueError(f"confusion_matrix: needs counts (K, K), none of them negative, got shape {counts.shape}. Pass "
                         "metrics.confusion_matrix(predictions, targets).")
    if normalize not in (None, "true", "pred", "all"):
        raise ValueError(f"confusion_matrix: normalize must be None, 'true', 'pred' or 'all', got {normalize!r}.")
    size = len(counts)
    if classes is not None and len(classes) != size:
        raise ValueError(f"confusion_matrix: classes must be the {size} names, got {len(classes)}.")
    axis = {"true": 1, "pred": 0, "all": None}.get(normalize)
    shares = counts / np.maximum(counts.sum(axis=axis, keepdims=True), 1e-300) if normalize else counts
    names = [class_name(classes, k) for k in range(size)]
    side = min(11.0, max(3.0, (0.5 if size <= NUMBERS else 0.13) * size)) + 0.07 * min(16, max(map(len, names)))
    figure = new_figure("confusion_matrix", side + 1.6, side + 0.4 + 0.35 * bool(title), title, "compressed")
    axes = figure.subplots()
    shown = axes.imshow(100 * shares if normalize else shares, cmap="Blues", vmin=0,
                        vmax=100 if normalize in ("true", "pred") else None, interpolation="nearest")
    of = {None: "examples", "true": "% of the true class", "pred": "% of the predicted class", "all": "% of all examples"}
    figure.colorbar(shown, ax=axes, label=of[normalize], shrink=0.85, fraction=0.05)
    write_cells(axes, shown, counts, shares, normalize, side / size)
    name_axes(axes, names, size)
    right = counts.trace() / max(counts.sum(), 1e-300)
    axes.set_title(f"{int(counts.sum()):,} examples, {100 * right:.1f}% right", fontsize=9)
    return figure


def write_cells(axes, shown, counts, shares, normalize, inches):
    if len(counts) > NUMBERS:
        return
    texts = [[f"{100 * s:.0f}" if normalize and normalize != "all" else f"{100 * s:.1f}" if normalize else f"{int(c):,}"
              for s, c in zip(*rows)] for rows in zip(shares, counts)]
    font = min(10.0, 0.8 * inches * 72 / (0.62 * max(len(t) for row in texts for t in row)))
    for (i, j), value in np.ndenumerate(shares):
        if not counts[i, j] and i != j:                   # an empty cell is 0: so the eye finds the mistakes
            continue
        ink = ink_on(shown.to_rgba(100 * value if normalize else value))
        axes.text(j, i, texts[i][j], ha="center", va="center", fontsize=font, color=ink)


def name_axes(axes, names, size):
    step = 1 if size <= 50 else -(-size // 50)
    places = range(0, size, step)
    labels = [shortened(names[k], 1.2, 8) for k in places]
    turned = max(map(len, labels)) > 3
    axes.set_xticks(places, labels, rotation=90 if turned else 0, fontsize=8 if size <= NUMBERS else 6)
    axes.set_yticks(places, labels, fontsize=8 if size <= NUMBERS else 6)
    axes.set(xlabel="predicted class", ylabel="true class")


def roc_curve(scores, targets, classes=None, *, title=""):
    """A matplotlib Figure of ROC curves, with the areas under them.

    scores, targets: as in metrics.roc_auc; a curve for each class where there are K.  scores may also be a dictionary
    {name: scores (N,)} of several networks on the same targets.
    Raises what metrics.roc_curve raises, ValueError where no class has both positive and negative examples.

    >>> figure = roc_curve([0.9, 0.4, 0.6, 0.1], [1, 1, 0, 0])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['area 0.750', 'guessing, area 0.500']
    """
    figure, axes = unit_square("roc_curve", "false positive rate (wrong alarms / negatives)",
                               "true positive rate (found / positives)", title)
    for k, (name, values, truth) in enumerate(questions("roc_curve", scores, targets, classes, {0, 1})):
        false, true, _ = metrics.roc_curve(values, truth)
        label = f"area {metrics.roc_auc(values, truth):.3f}"
        axes.plot(false, true, color=COLORS[k % 7], linestyle=STYLES[k // 7 % 4], linewidth=1.6,
                  label=f"{name}, {label}" if name else label)
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=":", label="guessing, area 0.500")
    add_legend(figure, axes)
    return figure


def precision_recall_curve(scores, targets, classes=None, *, title=""):
    """A matplotlib Figure of precision-recall curves, with the average precisions; arguments as in roc_curve.

    A dotted line for each share of positive examples, which is the precision of guessing.
    Raises what metrics.precision_recall_curve raises, ValueError where no class has a positive example.

    >>> figure = precision_recall_curve([0.9, 0.6, 0.1], [1, 0, 1])
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['average precision 0.833', 'guessing']
    """
    figure, axes = unit_square("precision_recall_curve", "recall (found / positives)", "precision (right / alarms)", title)
    for k, (name, values, truth) in enumerate(questions("precision_recall_curve", scores, targets, classes, {1})):
        precision, recall, _ = metrics.precision_recall_curve(values, truth)
        label = f"average precision {metrics.average_precision(values, truth):.3f}"
        ink = COLORS[k % 7]
        axes.plot(recall, precision, drawstyle="steps-post", color=ink, linestyle=STYLES[k // 7 % 4], linewidth=1.6,
                  label=f"{name}, {label}" if name else label)
        axes.axhline(np.mean(truth), color=ink, linestyle=":", linewidth=0.9)
    axes.plot([], [], color=FAINT, linestyle=":", label="guessing")
    add_legend(figure, axes)
    return figure


def questions(who, scores, targets, classes, needed):
    """(name, scores (N,), targets (N,) of 0 and 1) for each curve; classes in which nothing needed occurs are left out."""
    truth = np.asarray(on_host(targets))
    if isinstance(scores, dict):
        found = [(name, np.asarray(on_host(values)), truth) for name, values in scores.items()]
    else:
        values = np.asarray(on_host(scores))
        if values.ndim < 2:
            return [("", values, truth)]
        if truth.shape not in (values.shape, values.shape[:1]):
            raise ValueError(f"{who}: scores (N, K) need targets (N,) or (N, K), got {values.shape} and {truth.shape}. Pass "
                             "class "
                             "indices, or K zeros and ones per example.")
        columns = truth.T if truth.ndim == 2 else truth == np.arange(values.shape[1])[:, None]
        found = [(class_name(classes, k), column, true.astype(int)) for k, (column, true) in enumerate(zip(values.T, columns))]
        found = [row for row in found if needed <= set(np.unique(row[2]).tolist())]
    if not found:
        raise ValueError(f"{who}: no class has {'positive and negative' if 0 in needed else 'positive'} examples. Check the "
                         "targets.")
    return found


def unit_square(who, xlabel, ylabel, title):
    figure = new_figure(who, 5.6, 5.2 + 0.35 * bool(title), title, "compressed")
    axes = figure.subplots()
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=xlabel, ylabel=ylabel, aspect="equal")
    axes.grid(alpha=0.3)
    return figure, axes


def add_legend(figure, axes):
    """The legend: inside where there are few lines, else beside them."""
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) <= 5:
        axes.legend(fontsize=8, loc="best", framealpha=0.9)
    else:
        width, height = figure.get_size_inches()
        figure.set_size_inches(width + 0.5 + 0.065 * max(map(len, labels)), height)
        figure.legend(handles, labels, fontsize=8, loc="outside right upper")


def reliability_diagram(predictions, targets=None, *, bins=10, strategy="uniform", title=""):
    """A matplotlib Figure of calibration: the share of right answers against the confidence, and how many answers there are.

    predictions, targets: as in metrics.reliability_curve, with bins and strategy; or a metrics.Reliability alone.
    On the diagonal the probabilities mean what they say; bars below it are too confident.
    Raises what metrics.reliability_curve raises.

    >>> figure = reliability_diagram([0.1, 0.2, 0.8, 0.9], [0, 0, 0, 1], bins=2)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['right answers (%)', 'answers']
    """
    curve = predictions
    if not isinstance(curve, metrics.Reliability):
        curve = metrics.reliability_curve(predictions, targets, bins, strategy)
    figure = new_figure("reliability_diagram", 5.2, 6.5 + 0.35 * bool(title), title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled, left = curve.counts > 0, curve.edges[:-1]
    width = np.diff(curve.edges)
    right, sure = 100 * curve.right[filled], 100 * curve.confidence[filled]
    upper.bar(100 * left[filled], right, 100 * width[filled], align="edge", color=COLORS[5], edgecolor="white",
              label="right answers")
    upper.plot([0, 100], [0, 100], color=FAINT, linestyle="--", label="calibrated")
    upper.plot(sure, right, "o-", color=COLORS[0], markersize=4, linewidth=1.2, label="at the mean confidence")
    for x, y in zip(sure, right):
        upper.plot([x, x], [y, x], color=COLORS[1], linewidth=2.2)
    upper.plot([], [], color=COLORS[1], linewidth=2.2, label=f"gap, on average {100 * curve.expected_error:.1f}% (ECE)")
    upper.set(ylim=(0, 102), ylabel="right answers (%)")
    figure.legend(*upper.get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=2)
    upper.grid(alpha=0.3)
    lower.bar(100 * left, curve.counts, 100 * width, align="edge", color=COLORS[0], edgecolor="white")
    lower.set(xlim=(0, 100), xlabel="confidence (%)", ylabel="answers")
    lower.grid(alpha=0.3)
    return figure
