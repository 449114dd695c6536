"""What the layers of a network cost, as bars: weights, multiply-adds, and memory of the outputs.

The three seldom agree.  In a classic network nearly all weights lie in the first fully connected layer and nearly all
multiplications in the convolutions before it; the memory that training needs goes to the first layers, whose pictures are still
large.  So the three stand side by side, layer by layer, each with its share.  The numbers are those of Module.summary
(nn/summary.py says what is counted) for the example given, batch included.
"""

from ..nn.summary import size_text
from .parts import parts
from .style import COLORS, new_figure
from .svg import count_name

PANELS = (("weights", "parameters", count_name, COLORS[4]), ("multiply-adds", "macs", count_name, COLORS[5]),
          ("memory of outputs", "activation_bytes", size_text, COLORS[2]))


def cost_sheet(module, *inputs, depth=None, title=""):
    """A matplotlib Figure of weights, multiply-adds and output memory per layer; it does not touch pyplot's state.

    inputs: for each argument of forward a shape with its batch axis, or an example.
    depth: None shows every layer that costs something; 1 each child of the network as one row, 2 their children, and so on.
    Raises ValueError for a depth below 1 and for more than 120 rows, and what Module.summary raises.

    >>> from tinyvision.models import LeNet5
    >>> figure = cost_sheet(LeNet5(), (1, 1, 28, 28))
    >>> [axes.get_title() for axes in figure.axes]
    ['weights: 61.7 k', 'multiply-adds: 417 k', 'memory of outputs: 57.0 KiB']
    """
    rows = [row for row in parts("cost_sheet", module, inputs, depth)
            if row.parameters or row.macs or row.activation_bytes]
    figure = new_figure("cost_sheet", 10.5, 1.1 + 0.26 * max(len(rows), 2), title)
    for axes, (name, attribute, words, color) in zip(figure.subplots(1, 3, sharey=True), PANELS):
        panel(axes, [getattr(row, attribute) for row in rows], name, words, color)
        axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)      # the first layer on top
    figure.axes[0].set_yticks(range(len(rows)), [f"{row.name}  ({row.kind})" for row in rows], fontsize=8, parse_math=False)
    return figure


def panel(axes, values, name, words, color):
    """Bars with their numbers and shares."""
    total = sum(values)
    axes.set_title(f"{name}: {words(total)}", fontsize=10)
    axes.barh(range(len(values)), values, height=0.7, color=color)
    for i, value in enumerate(values):
        if value:
            axes.annotate(f"{words(value)}  {100 * value / total:.0f} %", (value, i), (3, 0), textcoords="offset points",
                          va="center", fontsize=7.5)
    axes.set_xlim(0, 1.55 * max([*values, 1]))            # room for the numbers
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
