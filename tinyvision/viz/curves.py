"""Learning curves: loss and accuracy over the epochs, the first thing to look at when a network learns, or does not.

Training and test curve falling together: still learning.  Training falling while test rises: overfitting, more data, dropout
or weight decay help.  Neither falling: the learning rate is far off, or the data and labels do not belong together.
"""

from ..packages import require


def learning_curves(history, title=""):
    """A matplotlib Figure of loss and accuracy per epoch; it does not touch pyplot's state.

    history: a non-empty list of train.Epoch, as `fit` returns it.
    Raises ValueError for an empty history.

    >>> from tinyvision.train import Epoch
    >>> figure = learning_curves([Epoch(1, 0.9, 0.7, 1.0, 0.65, 2.0), Epoch(2, 0.4, 0.9, 0.5, 0.85, 2.0)])
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss (nats per picture)', 'accuracy (%)']
    """
    if not history:
        raise ValueError("learning_curves: the history is empty. Train for at least one epoch.")
    require("learning_curves", "matplotlib")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.suptitle(title)
    epochs = [row.number for row in history]
    for axes, quantity, unit, scale in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("nats per picture", "%"), (1, 100)):
        for part, style in (("train", "o--"), ("test", "o-")):
            values = [scale * getattr(row, f"{part}_{quantity}") for row in history]
            label = f"{part}, last {values[-1]:.2f}%" if unit == "%" else f"{part}, last {values[-1]:.3f}"
            axes.plot(epochs, values, style, markersize=3, label=label)
        axes.set(xlabel="epoch", ylabel=f"{quantity} ({unit})")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
