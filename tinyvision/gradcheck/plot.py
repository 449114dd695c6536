"""The report as a picture: what backward returned, what was measured, and where the two differ.

An array of any number of axes is laid out flat, as a mosaic.  The last two axes are a tile; the axes before them arrange the
tiles, in turn across and down.  (N, C, H, W) is N rows of C pictures.  What would be far too long or too high is folded: its
first axis fills several rows.
"""

import textwrap
from functools import partial
from io import BytesIO
from itertools import product

import numpy as np

from ..packages import require
from .report import counted, sentence

WIDTH = 9.0                                               # inches: a notebook's width
LEFT, RIGHT, BETWEEN = 0.75, 0.25, 0.3                    # margins, and the space between maps side by side
HIGH, FLAT = 3.3, 1.3                                     # the most that a map is high: beside others, above others
CELL = 0.6, 0.4                                           # the most that a cell is wide and high
HEADING, SCALE = 0.3, 1.0                                 # above a map; below the maps: ticks and scales of colours
COLUMNS = 122                                             # letters in a line of text
SAMPLED_CELLS = 200                                       # of a large input, so many cells of tiles are shown each way
SQUARE = 5.5                                              # points: the smallest side of an element of a large input
NOISE = 3e-9                                              # of the largest gradient: a difference that is rounding
LONG = 4                                                  # times longer than wide: such a mosaic is folded
GRADIENTS, ERRORS = "RdBu_r", "PuOr_r"                    # both can be read by colour-blind eyes, and told apart
GREY, INK, FAINT, RED = "#d2d2d2", "#1f2328", "#59636e", "#b3261e"


def plot_report(report, name=None):
    """A matplotlib Figure of one input's gradients: analytic, numeric and their difference, wrong elements marked.

    name: of the input; by default the first that is wrong, else the first.  Analytic and numeric share one scale of colours, the
    difference has its own.  It does not touch pyplot's state.
    Raises ValueError for an unknown name, and where gradients were not compared element by element.

    >>> from tinyvision.gradcheck import check_pair
    >>> report = check_pair(lambda x: (x ** 2, x), lambda dout, cache: dout * cache, np.array([1.0, 2.0, 3.0]))
    >>> [axes.get_title(loc="left") for axes in plot_report(report).axes[:3]]
    ['analytic (backward)', 'numeric (measured)', 'analytic - numeric']
    """
    row = chosen(report, name)
    require("plot_report", "matplotlib")
    return Page(report, row).figure()


def chosen(report, name):
    """The InputReport to draw."""
    rows = report.inputs
    if name is not None:
        row = next((row for row in rows if row.name == name), None)
        if row is None:
            there = f"These are {', '.join(row.name for row in rows)}." if rows else "No gradient was compared."
            raise ValueError(f"plot_report: name must be that of an input in the report, got {name!r}. {there}")
    elif not rows:
        raise ValueError(f"plot_report: no gradient was compared, so there is nothing to draw. {report.diagnosis}".rstrip())
    else:
        wrong = [row for row in rows if not row.passed] or rows
        row = next((row for row in wrong if row.a is not None), wrong[0])
    if row.a is None:
        why = row.note or ("it is large, and agrees along random directions" if row.how == "directions" else row.how)
        others = ", ".join(other.name for other in rows if other.a is not None)
        hint = f"Name one of these: {others}." if others else "Check a smaller input."
        raise ValueError(f"plot_report: {row.name} {row.shape} was not compared element by element: {why}. {hint}")
    return row


# --- where the elements lie


class Direction:
    """Axes laid out along one direction, the last one innermost: a cell is 1 long, gaps grow from level to level.

    starts: of the cells, in order; tile, tile_starts: a tile's length, and where each begins; length: of it all; edges: of all
    cells and gaps; cell: which of these begin a cell.
    """

    def __init__(self, axes, sizes):
        self.axes, self.length, self.tile, self.starts, self.tile_starts = axes, 1.0, 1.0, np.zeros(1), np.zeros(1)
        for level, axis in enumerate(reversed(axes)):
            gap = max(0.4, 0.1 * self.tile) * 2.0 ** (level - 1) if level else 0.0
            step = self.length + gap
            offsets = np.arange(sizes[axis])[:, None] * step
            self.starts, self.length = (offsets + self.starts).ravel(), sizes[axis] * step - gap
            if level:
                self.tile_starts = (offsets + self.tile_starts).ravel()
            else:
                self.tile = self.length
        self.edges = np.unique(np.round(np.concatenate([self.starts, self.starts + 1]), 6))
        self.cell = np.searchsorted(self.edges, self.starts - 1e-5)


class Mosaic:
    """The layout of an array; kept: the indices of each axis that are shown.

    sizes: of the axes that are laid out.  From three on, the first axis is laid out as two, rows and columns, of which one has
    length 1 unless the axis is folded.  axes: the array's axis that each of them is, None for one of length 1.
    """

    def __init__(self, kept, foldable=True):
        self.kept, self.sizes, self.axes, self.folded = kept, [len(k) for k in kept], list(range(len(kept))), False
        n = len(kept)
        if n <= 2:
            self.down, self.across = (Direction(axes, self.sizes) for axes in alternate(n))
            return
        down, across = ([d + 2 for d in axes] for axes in alternate(n - 1))
        high, wide = (Direction(axes, [0, *self.sizes]).length for axes in (down, across))
        rows, columns = self.grid(high, wide, foldable)
        self.folded = rows > 1 < columns
        self.sizes = [rows, columns, *self.sizes[1:]]
        self.axes = [0 if rows > 1 else None, 0 if columns > 1 else None, *self.axes[1:]]
        self.down, self.across = Direction([0, *down], self.sizes), Direction([1, *across], self.sizes)

    def grid(self, high, wide, foldable):
        """Rows and columns for the first axis, whose elements are blocks of this size."""
        count = self.sizes[0]

        def lopsided(grid):
            h, w = grid[0] * (high + 0.4), grid[1] * (wide + 0.4)
            return max(h / w, w / h)
        plain = [(count, 1), (1, count)] if len(self.kept) % 2 == 0 else [(1, count), (count, 1)]
        if lopsided(plain[0]) <= LONG:
            return plain[0]
        folds = [(-(-count // c), c) for c in range(1, count + 1)] if foldable else []
        return min([*plain, *folds], key=lopsided)

    def matrix(self, array):
        """The elements that are shown, in rows and columns of cells; nan and what a fold leaves over is masked."""
        array = np.asarray(array, float)
        return self.arranged(np.ma.masked_invalid(array[np.ix_(*self.kept)] if self.kept else array))

    def arranged(self, array):
        if self.sizes != list(array.shape):
            whole = masked((self.sizes[0] * self.sizes[1], *self.sizes[2:]))
            whole[:len(array)] = array
            array = whole.reshape(self.sizes)
        return array.transpose([*self.down.axes, *self.across.axes]).reshape(len(self.down.starts), len(self.across.starts))

    def cells(self, array):
        """Edges of all cells and gaps, across and down, and the values between them, masked in the gaps."""
        full = masked((len(self.down.edges) - 1, len(self.across.edges) - 1))
        full[np.ix_(self.down.cell, self.across.cell)] = self.matrix(array)
        return self.across.edges, self.down.edges, full

    def places(self, array):
        """Centres (count, 2) of the cells that are not masked, and their values (count,)."""
        matrix = self.matrix(array)
        i, j = np.nonzero(~np.ma.getmaskarray(matrix))
        return np.stack([self.across.starts[j] + 0.5, self.down.starts[i] + 0.5], axis=1), np.asarray(matrix[i, j])

    def corners(self):
        """Left and upper corner of every tile."""
        there = ~np.ma.getmaskarray(self.arranged(np.ma.zeros([len(k) for k in self.kept])))
        high, wide = (len(d.starts) // len(d.tile_starts) for d in (self.down, self.across))
        there = there[::high, ::wide]
        return [(self.across.tile_starts[j], self.down.tile_starts[i]) for i, j in np.argwhere(there)]

    def ticks(self, direction):
        """Positions and texts of the indices along a direction, and the name of the axis: of tiles, where there are several."""
        outer = [d for d in direction.axes[:-1] if self.axes[d] is not None]
        if not direction.axes:
            return [], [], ""
        inner = self.axes[direction.axes[-1]]
        if not outer:
            return direction.starts + 0.5, [str(i) for i in self.kept[inner]], f"axis {inner}"
        indices = [self.index_texts(d) for d in outer]
        texts = [", ".join(parts) for parts in product(*indices)]
        names = ", ".join(str(self.axes[d]) for d in outer)
        name = f"{'axes' if len(outer) > 1 else 'axis'} {names}  (in a tile: axis {inner})"
        return direction.tile_starts + direction.tile / 2, texts, name

    def index_texts(self, d):
        """The indices of one axis of the layout; those of a folded axis are the row's plus the column's."""
        if not self.folded or d > 1:
            return [str(i) for i in self.kept[self.axes[d]]]
        return [f"+{j}" for j in range(self.sizes[1])] if d else [str(i * self.sizes[1]) for i in range(self.sizes[0])]


def masked(shape):
    """Nothing but masked elements, with zeros behind the mask: a map of colours is computed for these as well."""
    return np.ma.MaskedArray(np.zeros(shape), mask=True)


def alternate(n):
    """Which of n axes go down and which across: the last across, the one before it down, and so on."""
    return list(range(n - 2, -1, -2))[::-1], list(range(n - 1, -1, -2))[::-1]


def sampled(row):
    """Whether only some elements were measured, as in a large input; the others are nan."""
    return bool(np.isnan(row.a).any())


def all_wrong(row):
    """Whether everything that was measured is wrong: then marks would tell nothing apart."""
    return bool((row.mask | np.isnan(row.a)).all())


def kept_indices(row):
    """The indices of each axis that are shown: all; of a large input those of the tiles in which most was found to be wrong.

    Of such an input only some elements were measured; on a map of everything they would be dust.
    """
    shape = np.shape(row.a)
    kept = [np.arange(size) for size in shape]
    if not sampled(row) or len(shape) < 3:
        return kept
    for axis, size in enumerate(shape[:-2]):
        others = tuple(d for d in range(len(shape)) if d != axis)
        count = row.mask.sum(axis=others) + np.isfinite(row.a).sum(axis=others) / row.a.size
        count[row.worst[axis]] += row.a.size              # the worst element is always there
        tile = shape[-1] if len(shape) == 3 else shape[axis + 2]
        most = max(2, SAMPLED_CELLS // tile) if len(shape) - axis <= 4 else 2
        kept[axis] = np.sort(np.argsort(-count, kind="stable")[:most])
    return kept


# --- the page


class Page:
    """Sizes in inches: three maps beside each other, or above each other where they are wide; the scales and the text below."""

    def __init__(self, report, row):
        self.row, self.mosaic = row, Mosaic(kept_indices(row), not sampled(row))
        wide, high = self.mosaic.across.length, self.mosaic.down.length
        across, beside = WIDTH - LEFT - RIGHT, (WIDTH - LEFT - RIGHT - 2 * BETWEEN) / 3
        self.stacked = min(across / wide, FLAT / high, CELL[0]) > 1.2 * min(beside / wide, HIGH / high, CELL[0])
        self.room = across if self.stacked else beside
        cell = min(self.room / wide, (FLAT if self.stacked else HIGH) / high)
        self.wide, self.high = max(min(cell, CELL[0]) * wide, 0.6), max(min(cell, CELL[1]) * high, 0.3)
        self.cell = self.wide / wide, self.high / high
        self.numbers = self.cell[0] >= 0.46 and self.cell[1] >= 0.28
        self.title, self.verdict, self.text = heading(report, row), verdict(row), explanation(report, row)
        self.legend = legend(row, self.mosaic)
        lines = self.text.count("\n") + 1 if self.text else 0
        self.top = 0.72
        self.maps = (3 if self.stacked else 1) * (self.high + HEADING)
        self.below = self.top + self.maps + SCALE
        self.height = self.below + 0.24 * bool(self.legend) + 0.19 * lines + 0.1

    def figure(self):
        from matplotlib.figure import Figure
        figure = Figure(figsize=(WIDTH, self.height), facecolor="white")
        self.write(figure, 0.14, self.title, fontsize=12, fontweight="bold", color=INK)
        self.write(figure, 0.42, self.verdict, fontsize=10, color=INK if self.row.passed else RED)
        gradient, error = scales(self.row)
        panels = [("analytic (backward)", self.row.a, gradient, GRADIENTS),
                  ("numeric (measured)", self.row.n, gradient, GRADIENTS),
                  ("analytic - numeric", self.row.a - self.row.n, error, ERRORS)]
        drawn = [self.panel(figure, k, *panel) for k, panel in enumerate(panels)]
        self.bars(figure, drawn[0], drawn[2], gradient, error)
        self.write(figure, self.below, self.legend, fontsize=9, color=FAINT)
        self.write(figure, self.below + 0.24 * bool(self.legend), self.text, fontsize=9.5, linespacing=1.4, color=INK)
        figure._repr_png_ = partial(png, figure)          # so that a notebook shows it whether or not pyplot is loaded
        return figure

    def axes(self, figure, x, y, wide, high):
        """Axes with their upper left corner at (x, y) from that of the page."""
        return figure.add_axes((x / WIDTH, 1 - (y + high) / self.height, wide / WIDTH, high / self.height))

    def write(self, figure, y, text, **style):
        figure.text(0.2 / WIDTH, 1 - y / self.height, text, va="top", parse_math=False, **style)

    def panel(self, figure, k, title, array, scale, colours):
        """One map with its title and ticks; returns what the scale of colours belongs to."""
        x = LEFT + (0 if self.stacked else k * (self.room + BETWEEN))
        y = self.top + HEADING + (k * (self.high + HEADING) if self.stacked else 0)
        axes = self.axes(figure, x, y, self.wide, self.high)
        axes.set_title(title, fontsize=10, loc="left", pad=4, color=INK)
        axes.set(xlim=(0, self.mosaic.across.length), ylim=(self.mosaic.down.length, 0))
        for side in axes.spines.values():
            side.set_visible(False)
        drawn = self.cells(axes, array, scale, colours)
        self.marks(axes)
        self.values(axes, array, scale, colours)
        self.ticks(axes, not self.stacked or k == 2, self.stacked or k == 0)
        return drawn

    def cells(self, axes, array, scale, colours):
        """The elements in colours, on tiles of grey; of a large input each measured one as a square that can be seen."""
        from matplotlib.collections import PatchCollection
        from matplotlib.patches import Rectangle
        wide, high = self.mosaic.across.tile, self.mosaic.down.tile
        tiles = [Rectangle(corner, wide, high) for corner in self.mosaic.corners()]
        axes.add_collection(PatchCollection(tiles, facecolor=GREY))
        axes.add_collection(PatchCollection(tiles, facecolor="none", edgecolor="#8c959f", linewidth=0.7, clip_on=False, zorder=2))
        style = {"cmap": colours, "vmin": -scale, "vmax": scale}
        if sampled(self.row) and 72 * min(self.cell) < SQUARE:
            places, values = self.mosaic.places(array)
            return axes.scatter(*places.T, c=values, s=SQUARE ** 2, marker="s", linewidths=0, clip_on=False, **style)
        return axes.pcolormesh(*self.mosaic.cells(array), **style)

    def marks(self, axes):
        """A dot on every wrong element, where it leaves the cell's colour to be seen; none where all are wrong.

        It stands in the middle, in a corner beside the number, or at the edge of a cell that is far longer in one direction.
        """
        if all_wrong(self.row) or not self.row.mask.any():
            return
        places, _ = self.mosaic.places(np.where(self.row.mask, 1.0, np.nan))
        wide, high = (72 * side for side in self.cell)
        side = max(min(wide, high), SQUARE) if sampled(self.row) else min(wide, high)
        size, edge = float(np.clip(0.3 * side, 1.6, 4.5)), 0.2
        if self.numbers:
            places = places + (0.5 - 5 / wide, 5 / high - 0.5)
        elif max(wide, high) > 9 > 3 * side:
            places = places + ((0.5 - 2 / wide, 0) if wide > high else (0, 0.5 - 2 / high))
            size, edge = 2.5, 0.0
        dots = axes.scatter(*places.T, s=size ** 2, c="black", edgecolors="white", linewidths=edge * size, zorder=3,
                            clip_on=False)
        dots.set_gid("wrong")

    def values(self, axes, array, scale, colours):
        """The numbers themselves, where cells are large enough to hold them."""
        if not self.numbers:
            return
        from matplotlib import colormaps
        places, values = self.mosaic.places(array)
        for (x, y), value in zip(places, values):
            red, green, blue, _ = colormaps[colours](0.5 + value / scale / 2)
            dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
            axes.text(x, y, short(value, scale), fontsize=7.5, ha="center", va="center_baseline",
                      color="white" if dark else "black")

    def ticks(self, axes, below, left):
        """Indices at the sides, as many as there is room for."""
        for axis, direction, room, shown in ((axes.xaxis, self.mosaic.across, self.wide, below),
                                             (axes.yaxis, self.mosaic.down, self.high, left)):
            places, texts, name = self.mosaic.ticks(direction)
            each = 0.12 + 0.075 * max(map(len, texts), default=0) if axis is axes.xaxis else 0.17
            step = steps(len(texts), room / each)
            axis.set_ticks(places[::step], texts[::step] if shown else [""] * len(texts[::step]), fontsize=8, color=FAINT)
            axis.set_tick_params(length=0, pad=3)
            if shown:
                axis.set_label_text(name, fontsize=8.5, color=FAINT)

    def bars(self, figure, gradients, errors, gradient, error):
        """The two scales of colours, below the maps that they belong to."""
        y, across = self.top + self.maps + 0.5, WIDTH - LEFT - RIGHT
        places = [(LEFT, across / 2 - 0.3), (LEFT + across / 2 + 0.3, across / 2 - 0.3)]
        if not self.stacked:
            wide = max(self.wide, 1.8)
            places = [(LEFT, self.room + BETWEEN + wide), (LEFT + 2 * (self.room + BETWEEN), wide)]
        for (x, wide), drawn, scale, name in zip(places, (gradients, errors), (gradient, error), ("gradient", "difference")):
            bar = figure.colorbar(drawn, cax=self.axes(figure, x, y, wide, 0.09), orientation="horizontal")
            bar.set_ticks([-scale, 0, scale], labels=[short(-scale, scale), name, short(scale, scale)], fontsize=8, color=FAINT)
            bar.ax.tick_params(length=2, pad=2)
            bar.outline.set_visible(False)
            for label, side in zip(bar.ax.get_xticklabels(), ("left", "center", "right")):
                label.set_horizontalalignment(side)


def png(figure):
    """The picture as the bytes of a PNG file."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def scales(row):
    """What the strongest colour means, for the gradients and for their difference; rounding errors stay pale."""
    gradient = max(largest(row.a), largest(row.n)) or 1.0
    return gradient, max(largest(row.a - row.n), (NOISE if row.mask.any() else 1e-3) * gradient)


def largest(array):
    return float(np.abs(array[np.isfinite(array)]).max(initial=0))


def steps(count, room):
    """1, 2, 5, 10, 20 ...: the smallest of these such that every step-th of `count` labels fits."""
    candidates = (factor * 10 ** power for power in range(12) for factor in (1, 2, 5))
    return next(step for step in candidates if count <= step * max(room, 1))


def short(value, scale):
    """A number in a few letters; 0 where it is nothing compared with the scale.

    >>> short(-0.012345, 1.0), short(1.2345e-30, 1e-30), short(1e-12, 1.0)
    ('-0.0123', '1.2e-30', '0')
    """
    if abs(value) < 1e-9 * scale:
        return "0"
    text = f"{value:.3g}"
    return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e") if "e" in text else text


# --- the words


def heading(report, row):
    title = f"{report.title}: " if report.title else ""
    return f"{title}gradient of {row.name} {row.shape}"


def verdict(row):
    if row.passed:
        return f"agrees: the two differ by at most {largest(row.a - row.n):.1g}"
    where = f", most at {list(row.worst)}" if row.shape and row.shows_worst else ""
    return f"WRONG: {row.cause or 'unknown'}.  {counted(row)}{where}"


def explanation(report, row):
    """The diagnosis, in lines that fit below the maps."""
    text = row.diagnosis if not row.passed and row.diagnosis else report.diagnosis
    return textwrap.fill(sentence(text, report), COLUMNS, break_on_hyphens=False)


def legend(row, mosaic):
    """What the marks mean, and what is not shown."""
    parts = []
    if row.mask.any() and not all_wrong(row):
        parts.append("dots: the elements that are off")
    if row.mask.any() and largest(row.a - row.n) <= NOISE * largest(row.n):
        parts.append("this picture is of one upstream gradient, and the two differ for another")
    if sampled(row):
        parts.append(f"grey: not measured ({row.checked} of {row.a.size} elements were)")
    for axis, (kept, size) in enumerate(zip(mosaic.kept, row.shape)):
        if len(kept) < size:
            parts.append(f"axis {axis}: {len(kept)} of {size} indices are shown")
    return ";  ".join(parts)
