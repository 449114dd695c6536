"""Curves of training: loss, accuracy and any other measure over the epochs, live or afterwards; the learning-rate range test.

Training and test curve falling together: still learning.  Training falling while test rises: overfitting, more data, dropout
or weight decay help.  Neither falling: the learning rate is far off, or the data and labels do not belong together.
"""

import math

from ..packages import require
from .style import COLORS, FAINT, new_figure

# Unit and factor of the quantities whose unit is known: that of a loss is its function's.
UNITS = {"accuracy": ("%", 100), "lr": ("per step", 1), "seconds": ("s per epoch", 1)}
TITLES = {"lr": "learning rate", "seconds": "time"}
COLUMNS = 3


def learning_curves(history, title="", quantities=None):
    """A matplotlib Figure of loss, accuracy and other quantities per epoch; it does not touch pyplot's state.

    history: a non-empty list of train.Epoch, as `fit` returns it.
    quantities: names such as "loss", "accuracy", "iou", "lr", "seconds": each is drawn for training and test where there are
    "train_iou" and "test_iou".  By default loss, accuracy, all further metrics, and the learning rate if it changes.
    Raises ValueError for an empty history and for a quantity that it does not have.

    >>> from tinyvision.train import Epoch
    >>> figure = learning_curves([Epoch(1, 0.9, 0.7, 1.0, 0.65, 2.0), Epoch(2, 0.4, 0.9, 0.5, 0.85, 2.0)])
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'accuracy (%)']
    """
    if not history:
        raise ValueError("learning_curves: the history is empty. Train for at least one epoch.")
    series = gathered(history)
    quantities = list(series) if quantities is None else list(quantities)
    unknown = [name for name in quantities if name not in series and name not in extras(history)]
    if unknown:
        raise ValueError(f"learning_curves: the history has no quantity {unknown[0]!r}. There is: "
                         f"{', '.join([*series, *(x for x in extras(history) if x not in series)])}.")
    series = {**extras(history), **series}
    columns = min(len(quantities), 2 if len(quantities) in (2, 4) else COLUMNS)
    rows = math.ceil(len(quantities) / columns)
    figure = new_figure("learning_curves", 4.5 * columns, 3.6 * rows)
    figure.suptitle(title)
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(all_axes, quantities):
        draw_quantity(axes, [row.number for row in history], name, series[name])
    for axes in all_axes[len(quantities):]:
        axes.remove()
    return figure


def gathered(history):
    """{quantity: {part: values}} of what is drawn by default; a value that an epoch lacks is nan."""
    found = {}
    for name in dict.fromkeys(name for row in history for name in columns_of(row)):
        part, _, quantity = name.partition("_")
        part, quantity = (part, quantity) if part in ("train", "test") and quantity else ("", name)
        values = [float(columns_of(row).get(name, math.nan)) for row in history]
        if not all(map(math.isnan, values)):
            found.setdefault(quantity, {})[part] = values
    rates = [float(getattr(row, "lr", math.nan)) for row in history]
    if len(set(rates)) > 1 and not all(map(math.isnan, rates)):
        found["lr"] = {"": rates}
    return found


def columns_of(row):
    """The losses, accuracies and metrics of an epoch, by name."""
    names = "train_loss", "test_loss", "train_accuracy", "test_accuracy"
    return {**{name: getattr(row, name) for name in names}, **(getattr(row, "metrics", None) or {})}


def extras(history):
    """What is drawn only if asked for."""
    found = {name: [float(getattr(row, name, math.nan)) for row in history] for name in ("lr", "seconds")}
    return {name: {"": values} for name, values in found.items() if not all(map(math.isnan, values))}


def draw_quantity(axes, epochs, name, parts):
    from matplotlib.ticker import MaxNLocator
    unit, scale = UNITS.get(name, ("", 1))
    for k, (part, values) in enumerate(parts.items()):
        values = [scale * value for value in values]
        last = f"{values[-1]:.2f}%" if unit == "%" else f"{values[-1]:.3g}" if name in TITLES else f"{values[-1]:.3f}"
        axes.plot(epochs, values, "o-" if part != "train" else "o--", markersize=3, color=COLORS[k],
                  label=f"{part}, last {last}" if part else f"last {last}")
    axes.set(xlabel="epoch", ylabel=TITLES.get(name, name) + (f" ({unit})" if unit else ""))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    positive = [value for values in parts.values() for value in values if value > 0]
    if name == "lr" and positive and max(positive) > 20 * min(positive):
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend()


class LiveCurves:
    """Learning curves that are drawn anew after every epoch: pass one as `report` to fit.

    path: a picture file (png, svg, pdf) that is rewritten every time, whole at every moment; without one the curves are shown in
    the notebook, each time in place of the last.  show: a function of the Figure to use instead.
    title, quantities: as in learning_curves; history: epochs of an earlier part of the run.
    Attributes: history, the epochs so far; figure, the last Figure.
    Raises ImportError where there is neither path nor show nor IPython.

    >>> from tinyvision.train import Epoch
    >>> curves = LiveCurves("curves.png")
    >>> curves(Epoch(1, 0.9, 0.7, 1.0, 0.65, 2.0))
    >>> from pathlib import Path; Path("curves.png").stat().st_size > 5000, len(curves.history)
    (True, 1)
    """

    def __init__(self, path=None, *, show=None, title="", quantities=None, history=()):
        if path is not None and show is not None:
            raise ValueError(f"LiveCurves: path and show are two ways, got both, {path!r} and {show!r}. Pass one.")
        if show is not None and not callable(show):
            raise TypeError(f"LiveCurves: show must be a function of a Figure, got {show!r}.")
        if path is None and show is None:
            require("LiveCurves in a notebook (a file needs a path)", "IPython")
        require("LiveCurves", "matplotlib")
        self.path, self.title, self.quantities = path, title, quantities
        self.history, self.figure, self.handle = list(history), None, None
        self.show = show or (self.display if path is None else self.write)

    def __call__(self, epoch):
        self.history.append(epoch)
        self.figure = learning_curves(self.history, self.title, self.quantities)
        self.show(self.figure)

    def write(self, figure):
        """Write the picture, so that a viewer never sees half of one."""
        from ..io.atomic import atomic_path
        with atomic_path(self.path) as temporary:
            figure.savefig(temporary, dpi=110)

    def display(self, figure):
        """Show the figure in the notebook, in the place of the last."""
        from IPython.display import display
        if self.handle is None:
            self.handle = display(figure, display_id=True)
        else:
            self.handle.update(figure)


def lr_curve(curve, title=""):
    """A matplotlib Figure of a learning-rate range test (train.find_lr): loss against rate, and the suggestion.

    >>> from types import SimpleNamespace
    >>> made = SimpleNamespace(rates=[1e-4, 1e-3, 1e-2], losses=[2.0, 1.5, 1.0], smoothed=[2.0, 1.6, 1.2], suggestion=1e-3,
    ...                        valley=1e-3, steepest=1e-3, minimum=1e-2)
    >>> lr_curve(made).axes[0].get_xlabel()
    'learning rate (per step)'
    """
    figure = new_figure("lr_curve", 7.5, 4.2 + 0.35 * bool(title), title)
    axes = figure.subplots()
    axes.plot(curve.rates, curve.losses, color=COLORS[5], linewidth=0.8, alpha=0.8, label="loss of each batch")
    axes.plot(curve.rates, curve.smoothed, color=COLORS[0], linewidth=2, label="smoothed")
    at = dict(zip(curve.rates, curve.smoothed))
    for name, marker, k in (("valley", "o", 2), ("steepest", "^", 4), ("minimum", "s", 3)):
        rate = getattr(curve, name)
        if rate is not None:
            axes.plot([rate], [at[rate]], marker, color=COLORS[k], markersize=8, linestyle="none", label=f"{name}, {rate:.2g}",
                      markeredgecolor="white")
    if curve.suggestion is not None:
        axes.axvline(curve.suggestion, color=COLORS[1], linestyle="--", label=f"suggestion, {curve.suggestion:.2g}")
    low, high = min(curve.smoothed), max(curve.smoothed[0], min(curve.smoothed))
    room = 0.35 * (high - low) or 0.1 * abs(high) or 1.0  # the divergence may leave the picture: the slope is what matters
    axes.set(xscale="log", ylim=(low - room, high + room), xlabel="learning rate (per step)", ylabel="loss")
    axes.axhline(curve.smoothed[0], color=FAINT, linewidth=0.8, linestyle=":", label="at the start")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="best")
    return figure
