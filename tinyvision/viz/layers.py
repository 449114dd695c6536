"""Inside a network: the filters of a layer, the feature maps that it makes of a picture, the statistics of all layers.

Filters of the first layer are small pictures: after good training they are smooth edges and spots of colour, and noise in them
tells of too little training or too much freedom.  Those of deeper layers look at features, and are shown channel by channel.
"""

import math

import numpy as np

from ..ops.device import on_host
from .style import COLORS, DIVERGING, FAINT, SEQUENTIAL, grid_shape, new_figure

GAP = 1                                                   # elements between tiles


def filters(weight, *, most=64, channels=16, scale="each", title=""):
    """A matplotlib Figure of the filters of a convolution.

    Shapes: weight (O, C, KH, KW), or (O, C, KW) of signals.  C = 3: each filter is a picture in colour, zero grey.  C = 1: each
    is a tile.  Otherwise a row per filter and a column per channel, orange negative, purple positive.
    weight: an array or Tensor, or a layer with a `weight`.
    most, channels: how many filters and channels are shown, the first; the title says how many there are.
    scale: "each" filter by itself, its largest weight in full colour, or "all" by the largest weight of all.
    Raises ValueError for other shapes and another scale.

    >>> figure = filters(np.random.default_rng(0).standard_normal((6, 3, 5, 5)))
    >>> figure.axes[0].get_title()
    '6 filters of 3 x 5 x 5'
    """
    x = np.asarray(on_host(getattr(weight, "weight", weight)), np.float64)
    if x.ndim == 3:
        x = x[:, :, None]
    if x.ndim != 4 or not x.size:
        raise ValueError(f"filters: weight must be (O, C, KH, KW), got shape {x.shape}. Linear layers see no places: reshape their "
                         "rows to (O, C, H, W).")
    check_scale("filters", scale)
    count, depth = x.shape[:2]
    text = f"{count} filters of {' x '.join(map(str, x.shape[1:]))}"
    x = x[:most]
    largest = np.abs(x).max(axis=(1, 2, 3), keepdims=True) if scale == "each" else np.abs(x).max()
    x = x / np.maximum(largest, 1e-300)
    if depth == 3:
        rows, columns = grid_shape(len(x), None)
        mosaic = tiles((x.transpose(0, 2, 3, 1) + 1) / 2, rows, columns, 1.0)
    elif depth == 1:
        rows, columns = grid_shape(len(x), None)
        mosaic = tiles(x[:, 0], rows, columns, np.nan)
    else:
        x = x[:, :channels]
        rows, columns = x.shape[:2]
        mosaic = tiles(x.reshape(-1, *x.shape[2:]), rows, columns, np.nan)
    if len(x) < count or x.shape[1] < depth:
        text += f", the first {len(x)}" + (f", of each the first {x.shape[1]} channels" if x.shape[1] < depth else "")
    return mosaic_figure("filters", mosaic, text, title, None if depth == 3 else (DIVERGING, -1, 1, LABELS[scale]),
                         ("channel", "filter") if depth not in (1, 3) else None)


LABELS = {"each": "weight / largest of its filter", "all": "weight / largest of all"}


def check_scale(who, scale):
    if scale not in ("each", "all"):
        raise ValueError(f"{who}: scale must be 'each' or 'all', got {scale!r}.")


def feature_maps(features, *, most=64, scale="all", title=""):
    """A matplotlib Figure of the channels that a layer makes of one picture.

    Shapes: features (C, H, W), or (1, C, H, W).
    most: how many channels are shown, the first; scale: all on one scale with its numbers, or "each" stretched by itself.
    Raises ValueError for other shapes (choose a picture of the batch: y[0]) and another scale.

    >>> feature_maps(np.ones((8, 10, 10))).axes[0].get_title()
    '8 channels of 10 x 10, 0 of them zero everywhere'
    """
    x = np.asarray(on_host(features), np.float64)
    x = x[0] if x.ndim == 4 and len(x) == 1 else x
    if x.ndim != 3 or not x.size:
        raise ValueError(f"feature_maps: features must be those of one picture, (C, H, W), got shape {x.shape}. Choose one of the "
                         "batch: y[0].")
    check_scale("feature_maps", scale)
    text = f"{len(x)} channels of {x.shape[1]} x {x.shape[2]}, {int((~x.any(axis=(1, 2))).sum())} of them zero everywhere"
    text += f", the first {most}" if len(x) > most else ""
    x = x[:most]
    if scale == "each":
        low, high = x.min(axis=(1, 2), keepdims=True), x.max(axis=(1, 2), keepdims=True)
        x = (x - low) / np.where(high > low, high - low, 1)
    rows, columns = grid_shape(len(x), None)
    label = "activation, of its own range" if scale == "each" else "activation"
    colors = (SEQUENTIAL, float(x.min()), float(x.max()), label)
    if scale == "all" and x.min() < 0 < x.max():
        colors = (DIVERGING, -float(np.abs(x).max()), float(np.abs(x).max()), label)
    return mosaic_figure("feature_maps", tiles(x, rows, columns, np.nan), text, title, colors, None)


def tiles(x, rows, columns, fill):
    """Tiles (N, H, W) or (N, H, W, 3) in rows, with gaps of `fill` between them."""
    h, w = x.shape[1:3]
    mosaic = np.full((rows * (h + GAP) - GAP, columns * (w + GAP) - GAP, *x.shape[3:]), fill, np.float64)
    for i, tile in enumerate(x):
        top, left = i // columns * (h + GAP), i % columns * (w + GAP)
        mosaic[top:top + h, left:left + w] = tile
    return mosaic


def mosaic_figure(who, mosaic, text, title, colors, names):
    """A figure of a mosaic; colors: (map, low, high, label of the scale) or None; names: of the directions, or None."""
    h, w = mosaic.shape[:2]
    width = min(9.0, max(3.5, w * 0.12))
    height = min(11.0, max(1.2, width * h / w))
    width, height = max(2.0, min(width, height * w / h)), max(2.0, height)
    beside, above = 0.3 + 1.3 * (colors is not None), 0.6 + 0.35 * bool(title)
    figure = new_figure(who, max(4.2, width + beside), height + above, title, "compressed")
    axes = figure.subplots()
    axes.set_title(text, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if names:
        axes.set_xlabel(f"{names[0]} \u2192", fontsize=8)
        axes.set_ylabel(f"\u2190 {names[1]}", fontsize=8)
    if colors is None:
        axes.imshow(mosaic, interpolation="nearest")
    else:
        cmap, low, high, label = colors
        high = high if high > low else low + 1
        shown = axes.imshow(mosaic, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        bar = figure.colorbar(shown, ax=axes, shrink=min(1.0, 5 / height), fraction=0.05, aspect=25)
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=8)
    return figure


def layer_statistics(statistics, title=""):
    """A matplotlib Figure of what a train.LayerStatistics has seen: activations, idle units, gradients, and steps by layer.

    From top to bottom the layers in the order of the forward pass.  Left, mean +- std of the outputs; then the shares of zeros,
    dead units and saturated outputs; the root mean square of dL/dy; right, for each weight array, the median update ratio, with
    the usual 1e-3 as a line.
    Raises ValueError before anything was seen.

    >>> from tinyvision.nn import Linear
    >>> from tinyvision.tensor import Tensor
    >>> from tinyvision.train import LayerStatistics
    >>> with LayerStatistics(Linear(2, 2)) as watch:
    ...     _ = watch.model(Tensor(np.ones((3, 2), "float32")))
    >>> [axes.get_xlabel() for axes in layer_statistics(watch).axes][:2]
    ['output, mean \u00b1 std', 'share (%)']
    """
    layers = statistics.layers
    if not layers:
        raise ValueError("layer_statistics: nothing was seen yet. Run the model inside of the `with` block.")
    weights = [row for row in statistics.parameters if len(row.shape) > 1]
    longest = max(len(row.name) for row in [*layers, *weights])
    height = 0.19 * max(len(layers), len(weights)) + 1.3
    figure = new_figure("layer_statistics", 11 + 0.06 * longest, height + 0.35 * bool(title), title)
    means, shares, gradients, ratios = figure.subplots(1, 4, width_ratios=(1.2, 1.2, 1, 1))
    y = np.arange(len(layers))
    draw_means(means, layers, y)
    draw_shares(shares, layers, y)
    dots(gradients, [row.gradient for row in layers], y, COLORS[0])
    gradients.set_xlabel("gradient dL/dy, root mean square")
    dots(ratios, [row.ratio for row in weights], np.arange(len(weights)), COLORS[2])
    ratios.axvline(1e-3, color=FAINT, linestyle="--", linewidth=1)
    ratios.set_xlabel("update ratio |\u0394w| / |w|")
    for axes, rows in ((means, layers), (shares, None), (gradients, None), (ratios, weights)):
        count = len(weights) if axes is ratios else len(layers)
        axes.set_yticks(range(count), [row.name for row in rows] if rows is not None else [""] * count, fontsize=7)
        axes.set_ylim(count - 0.4, -0.6)
        axes.tick_params(axis="x", labelsize=8)
        axes.grid(alpha=0.3)
    means.set_ylabel("layer, input at the top")
    ratios.set_ylabel("weight")
    return figure


def draw_means(axes, layers, y):
    axes.errorbar([row.mean for row in layers], y, xerr=[row.std for row in layers], fmt="o", markersize=4, color=COLORS[0],
                  ecolor=COLORS[5], elinewidth=2.5)
    axes.axvline(0, color=FAINT, linewidth=1)
    axes.set_xlabel("output, mean \u00b1 std")


def draw_shares(axes, layers, y):
    for name, k, marker, size in ("zeros", 0, "|", 8), ("dead", 1, "o", 5), ("saturated", 3, "s", 5):
        known = [(100 * share, at) for share, at in zip([getattr(row, name) for row in layers], y) if share is not None]
        if known:
            axes.plot(*zip(*known), marker, color=COLORS[k], markersize=size, markeredgewidth=2 if marker == "|" else 1,
                      label="dead units" if name == "dead" else name)
    axes.set(xlim=(-4, 104), xlabel="share (%)")
    axes.legend(fontsize=7, loc="best")


def dots(axes, values, y, ink):
    """Points on a logarithmic axis; what is 0 or unknown stands at the left edge as a hollow triangle."""
    positive = [v for v in values if v > 0 and math.isfinite(v)]
    low = min(positive, default=1e-4)
    axes.set_xscale("log")
    for v, at in zip(values, y):
        if v > 0 and math.isfinite(v):
            axes.plot([v], [at], "o", color=ink, markersize=4)
        elif not math.isnan(v):
            axes.plot([low / 3], [at], "<", color=ink, markersize=5, markerfacecolor="none")
    high = max(positive, default=1e-2)
    axes.set_xlim(low / 4, high * 4)
