"""The layers of a network as blocks: how pictures become smaller and thicker on their way through.

    a block         the output of a layer: its face height and width, its thickness the channels, all on a logarithmic scale
    a bar           an output without pixels, a vector
    below it        path and kind of the layer, its output without the batch axis, weights, multiply-adds for the example

The layers stand in the order in which they are called, line after line.  What joins branches is not shown; that a network
branches at all is in `module_graph` (graph.py).  The numbers are those of Module.summary.
"""

from math import log2

from .parts import parts
from .svg import FONT, LEADING, Svg, clean, count_name, size_name, text, text_width, title

COLORS = {"Conv": "#56B4E9", "Linear": "#E69F00", "Pool": "#009E73", "Norm": "#CC79A7", "Up": "#8ab6f9", "Shuffle": "#8ab6f9",
          "ReLU": "#d0d7de", "Tanh": "#d0d7de", "Sigmoid": "#d0d7de", "Softmax": "#d0d7de", "": "#e9dcc3"}
SMALL = 11                                                # pixels of the lines below the name
GAP, MARGIN = 30, 16                                      # pixels between two blocks, where the arrow is, and around all


def layer_diagram(module, *inputs, depth=None, width=1100):
    """The layers of a network as blocks in lines, as an Svg that notebooks show and `save(path)` writes.

    inputs: for each argument of forward a shape with its batch axis, or an example.
    depth: None draws every layer; 1 each child of the network as one block, 2 their children, and so on.
    width: pixels after which a new line begins.
    Raises ValueError for a depth or width below 1 and for more than 120 blocks, and what Module.summary raises.

    >>> from tinyvision.models import LeNet5
    >>> layer_diagram(LeNet5(), (1, 1, 28, 28)).save("lenet.svg")
    """
    if not isinstance(width, (int, float)) or width < 1:
        raise ValueError(f"layer_diagram: width must be a number of pixels from 1 on, got {width!r}.")
    cells = [Cell([row.name, row.kind, *measures(row)], row.output, color_of(row.kind), hint(row))
             for row in parts("layer_diagram", module, inputs, depth)]
    first = inputs[0] if isinstance(inputs[0], (tuple, list)) else inputs[0].shape
    cells.insert(0, Cell(["input", size_name(tuple(first)[1:])], tuple(first), "#ffffff", ["the example"]))
    elements = ['<defs><marker id="next" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
                '<path d="M0,0.8 L7.5,4 L0,7.2 z" fill="#57606a"/></marker></defs>']
    top, right = MARGIN, 0
    for line in even_lines(cells, width - 2 * MARGIN):
        drawn, below, end = drawn_line(line, top, line[0] is not cells[0])
        elements += drawn
        top, right = below + 22, max(right, end)
    return Svg(elements, right + MARGIN, top - 22 + MARGIN)


class Cell:
    """A block with its texts."""

    def __init__(self, texts, output, color, details):
        self.texts, self.color, self.details = texts, color, details
        self.face, self.thickness = block_size(output)

    @property
    def width(self):
        lines = [text_width(self.texts[0])] + [text_width(line, SMALL) for line in self.texts[1:]]
        return max(*lines, self.face[0] + self.thickness)

    @property
    def height(self):
        return self.face[1] + self.thickness


def measures(row):
    """Output, weights and multiply-adds as lines of text."""
    shape = row.output[0] if row.output and isinstance(row.output[0], tuple) else row.output
    found = [size_name(shape[1:])]
    if row.parameters:
        found.append(f"{count_name(row.parameters)} weights")
    if row.macs:
        found.append(f"{count_name(row.macs)} MACs")
    return found


def hint(row):
    return [f"{row.name}: {row.kind}", f"output {row.output}", f"{row.parameters:,} weights", f"{row.macs:,} multiply-adds",
            f"{row.activation_bytes:,} bytes of output"]


def color_of(kind):
    """By a part of the kind's name."""
    return next(color for part, color in COLORS.items() if part in kind)


def block_size(output):
    """((width, height) of the face, thickness) in pixels of an output (N, C, *S) or (N, D)."""
    shape = output[0] if output and isinstance(output[0], tuple) else output
    sizes = [log2(max(n, 1)) for n in shape[1:]]
    if len(sizes) < 2:
        return (10, 12 + 7 * (sizes[0] if sizes else 0)), 4
    height, width = (sizes[-2] if len(sizes) > 2 else 0), sizes[-1]       # a signal is a flat strip
    return (8 + 9 * width, 8 + 9 * height), 4 + 3.5 * sizes[0]


def even_lines(cells, width):
    """The cells in as few lines of at most this width as there can be, all about as long."""
    count, low, high = len(lines(cells, width)), 0, width
    while high - low > 1:                                 # the narrowest width that needs no further line
        middle = (low + high) / 2
        low, high = (low, middle) if len(lines(cells, middle)) <= count else (middle, high)
    return lines(cells, high)


def lines(cells, width):
    """The cells in lines of at most this width, one cell at least; behind the first there is room for an arrow in front."""
    found, used = [[]], 0
    for cell in cells:
        if found[-1] and used + GAP + cell.width > width:
            found.append([])
            used = GAP
        used += cell.width + (GAP if found[-1] else 0)
        found[-1].append(cell)
    return found


def drawn_line(line, top, continued):
    """The elements of a line, the y below it, and its right end.  continued: an arrow comes from the line before."""
    height = max(cell.height for cell in line)
    x, elements, arrow = MARGIN + (GAP if continued else 0), [], top + height / 2
    start = MARGIN + 4                                    # of the next arrow
    for i, cell in enumerate(line):
        if i or continued:
            middle = x + (cell.width - cell.face[0] - cell.thickness) / 2
            elements.append(f'<path class="next" d="M{start:.1f},{arrow:.1f} H{middle - 3:.1f}" stroke="#57606a" fill="none" '
                            'stroke-width="1.2" marker-end="url(#next)"/>')
        elements.append(drawn_cell(cell, x, top, height))
        start = x + (cell.width + cell.face[0] + cell.thickness) / 2 + 4
        x += cell.width + GAP
    rows = max(len(cell.texts) for cell in line)
    return elements, top + height + 8 + rows * FONT * LEADING, x - GAP


def drawn_cell(cell, x, top, height):
    """A block, its middle at the line's, and its texts below the line."""
    (w, h), t = cell.face, cell.thickness
    left, upper = x + (cell.width - w - t) / 2, top + (height - h - t) / 2
    edge = 'stroke="#1f2328" stroke-width="0.9" stroke-linejoin="round"'
    faces = [f'<path d="M{left:.1f},{upper + t:.1f} l{t:.1f},{-t:.1f} h{w:.1f} l{-t:.1f},{t:.1f} z" fill="{cell.color}" '
             f'fill-opacity="0.55" {edge}/>',
             f'<path d="M{left + w:.1f},{upper + t:.1f} l{t:.1f},{-t:.1f} v{h:.1f} l{-t:.1f},{t:.1f} z" fill="{cell.color}" '
             f'fill-opacity="0.75" {edge}/>',
             f'<rect x="{left:.1f}" y="{upper + t:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{cell.color}" {edge}/>']
    middle, base = x + cell.width / 2, top + height + 8
    texts = [text(middle, base + (i + 0.8) * FONT * LEADING, line, size=FONT if i == 0 else SMALL,
                  fill="#1f2328" if i == 0 else "#57606a", weight="bold" if i == 0 else "normal")
             for i, line in enumerate(cell.texts)]
    return f'<g class="layer" data-name="{clean(cell.texts[0])}">' + title(cell.details) + "".join(faces + texts) + "</g>"
