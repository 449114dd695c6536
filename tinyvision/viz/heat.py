"""Maps over pictures: where a network looked, one row for each picture and one column for each way to ask.

The picture lies in grey under the map, so that the colours are those of the map alone, which grows from transparent to dense: the
picture shows where the map says nothing.  Maps of 0 or more grow from dark to light; signed ones have two colours, over a paler
picture, for both colours are darkest where they say most.
"""

import numpy as np

from ..ops.shapes import check_choice
from ..ops.device import on_host
from ..tensor import raw
from .style import DIVERGING, as_pictures, check_length, new_figure, show_picture

HEAT = "inferno"                                          # dark where there is nothing, and told apart by brightness alone
FONT = 9
COVER = 0.8                                               # how dense the map is at its largest
PALE = 0.55                                               # black, under a signed map


def heat_maps(images, maps, titles=None, *, scale="each", overlay=True, size=1.9, title=""):
    """A matplotlib Figure with a row for each picture: the picture, and over it in grey each of its maps.

    Shapes: images (N, C, H, W), or a list of (C, H, W), brightness 0..1 or bytes; maps (N, H, W), or a dictionary from names to
    such arrays, one column each; a single picture (C, H, W) goes with (H, W).
    titles: one text for each picture, beside its row.
    scale: "each" map by its own largest value, or "all" of a column by the largest among them.
    overlay: False shows the maps alone.  size: of a picture, in inches.
    Maps with negative values have two colours (orange negative, purple positive), the others grow from dark to light.
    Raises ValueError for maps of other sizes than their pictures or not finite, and for numbers of titles that do not fit.

    >>> x = np.random.default_rng(0).random((2, 3, 8, 8))
    >>> figure = heat_maps(x, {"mean": x.mean(axis=1), "centred": x.mean(axis=1) - 0.5})
    >>> [axes.get_title() for axes in figure.axes[:3]]
    ['picture', 'mean', 'centred']
    """
    who = "heat_maps"
    check_choice(who, "scale", scale, ("each", "all"))
    pictures = as_pictures(who, images)
    columns = checked_maps(who, maps, pictures)
    check_length(who, "titles", titles, len(pictures))
    if not columns:
        raise ValueError(f"{who}: needs at least one map, got none.")
    high = max(p.shape[0] / p.shape[1] for p in pictures)
    figure = new_figure(who, (1 + len(columns)) * size + 0.3 * (titles is not None),
                        len(pictures) * size * high + 0.3 + 0.35 * bool(title), title, "compressed")
    grid = figure.subplots(len(pictures), 1 + len(columns), squeeze=False)
    for row, picture in enumerate(pictures):
        show_picture(grid[row, 0], picture)
        grey = picture if picture.ndim == 2 else picture @ [0.299, 0.587, 0.114]
        for axes, column in zip(grid[row, 1:], columns.values()):
            signed = any((m < 0).any() for m in column)
            show_picture(axes, PALE + (1 - PALE) * grey if signed else grey)
            over = np.abs(column[row]).max() if scale == "each" else max(np.abs(m).max() for m in column)
            draw_map(axes, column[row] / (over if over > 0 else 1), signed, overlay)
        if titles is not None:
            grid[row, 0].set_ylabel(str(titles[row]), fontsize=FONT)
    for axes, name in zip(grid[0], ["picture", *columns]):
        axes.set_title(name, fontsize=FONT)
    return figure


def draw_map(axes, values, signed, overlay):
    """Draw a map with values up to 1 in size; over a picture the denser the larger."""
    import matplotlib
    colors = matplotlib.colormaps[DIVERGING](0.5 + values / 2) if signed else matplotlib.colormaps[HEAT](values)
    if overlay:
        colors[..., 3] = COVER * np.sqrt(np.abs(values))
    axes.imshow(colors, interpolation="nearest")


def checked_maps(who, maps, pictures):
    """{name: a list of maps (H, W), one for each picture}."""
    named = maps if isinstance(maps, dict) else {"": maps}
    columns = {}
    for name, values in named.items():
        values = [raw(values)] if np.ndim(raw(values)) == 2 else values
        values = [np.asarray(on_host(m), np.float64) for m in values]
        if len(values) != len(pictures):
            raise ValueError(f"{who}: maps must be one for each of the {len(pictures)} pictures, got {len(values)}"
                             f"{f' of {name!r}' if name else ''}.")
        for m, picture in zip(values, pictures):
            if m.shape != picture.shape[:2]:
                raise ValueError(f"{who}: a map must have the sizes of its picture {picture.shape[:2]}, got shape {m.shape}. Of "
                                 "an attribution (N, C, H, W) take interpret.heat; enlarge smaller maps.")
            if not np.isfinite(m).all():
                raise ValueError(f"{who}: a map must be finite, this one holds {m[~np.isfinite(m)][0]}.")
        columns[name] = values
    return columns
