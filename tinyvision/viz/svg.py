"""Pictures as SVG text: boxes with lines of text, and paths between them.

SVG is XML: it stays sharp at any size, a browser shows a <title> when the mouse rests on its parent, and notebooks show what
`_repr_svg_` returns.  Texts are set in a typeface whose letters all have one width, so that a box can be as wide as its text
without asking a renderer.

Source: https://www.w3.org/TR/SVG2
"""

from html import escape

from ..io.atomic import atomic_path

FONT, LETTER, LEADING = 12, 0.61, 1.35                    # size in pixels, width of a letter and distance of lines in sizes
FAMILY = "'DejaVu Sans Mono', Menlo, 'Liberation Mono', 'Courier New', monospace"


class Svg:
    """A picture: `text` is the SVG, `width` and `height` are pixels; notebooks show it, `save` writes it.

    >>> Svg(["<circle r='5'/>"], 10, 10).save("dot.svg")
    >>> from pathlib import Path; Path("dot.svg").read_text()[:4]
    '<svg'
    """

    def __init__(self, elements, width, height):
        self.width, self.height = round(width, 1), round(height, 1)
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width:g}" height="{self.height:g}" '
                f'viewBox="0 0 {self.width:g} {self.height:g}" font-family="{FAMILY}" font-size="{FONT}">')
        background = f'<rect class="background" width="{self.width:g}" height="{self.height:g}" fill="white"/>'
        self.text = "\n".join([head, background, *elements, "</svg>"])

    def _repr_svg_(self):
        return self.text

    def __repr__(self):
        return f"Svg({self.width:g} x {self.height:g})"

    def save(self, path):
        """Write the picture, whole or not at all.  Raises FileNotFoundError without the folder."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.text + "\n", encoding="utf-8")


def text_width(line, size=FONT):
    """Pixels that a line takes.

    >>> text_width("12345", 10)
    30.5
    """
    return len(line) * LETTER * size


def clean(text):
    """A text as XML may have it: printable, on one line.

    >>> clean("a<b" + chr(0))
    'a&lt;b?'
    """
    return escape("".join(letter if letter.isprintable() else "?" for letter in str(text)))


def text(x, y, line, size=FONT, fill="#1f2328", weight="normal", anchor="middle"):
    """A line of text around x, its baseline at y."""
    more = "" if size == FONT else f' font-size="{size}"'
    more += "" if weight == "normal" else f' font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}"{more}>{clean(line)}</text>'


def title(lines):
    """What a browser shows when the mouse rests on the parent."""
    return f"<title>{chr(10).join(map(clean, lines))}</title>"


def rect(x, y, width, height, fill, stroke, corner=4, line=1.2):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{corner}" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="{line}"/>')


def size_name(shape):
    """A shape as text.

    >>> size_name((32, 10)), size_name(())
    ('32 \\xd7 10', 'scalar')
    """
    return " \xd7 ".join(map(str, shape)) or "scalar"


def count_name(n):
    """A count in three digits.

    >>> count_name(950), count_name(61_706), count_name(4_089_184_256)
    ('950', '61.7 k', '4.09 G')
    """
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if n >= 10 ** power * 0.9995:
            value = n / 10 ** power
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    return str(n)
