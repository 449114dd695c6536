"""What an SVG of ours says, read with the standard library's XML parser: boxes, texts and the ways of arrows."""

import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
from PIL import ImageFont

SVG = "{http://www.w3.org/2000/svg}"


class Drawing:
    """boxes {id: (left, top, right, bottom)}, texts {id: [(left, top, right, bottom, words)]}, arrows [(from, to, points)]."""

    def __init__(self, svg):
        self.root = ElementTree.fromstring(svg.text)
        self.width, self.height = float(self.root.get("width")), float(self.root.get("height"))
        self.boxes, self.texts, self.kinds, self.titles = {}, {}, {}, {}
        for group in self.root.iter(SVG + "g"):
            name = group.get("id") or group.get("data-name")
            self.boxes[name] = box_of(group.find(SVG + "rect"))
            self.texts[name] = [text_box(text) for text in group.iter(SVG + "text")]
            self.kinds[name] = group.get("class").split()[-1]
            self.titles[name] = group.find(SVG + "title").text
        self.arrows = [(path.get("data-from"), path.get("data-to"), sampled(path.get("d")))
                       for path in self.root.iter(SVG + "path") if path.get("class") == "edge"]

    def words(self, name):
        return [words for *_, words in self.texts[name]]


def box_of(rect):
    x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def font(size, bold):
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"DejaVuSansMono{'-Bold' if bold else ''}.ttf"), 20 * size)


def text_box(text, size=12):
    """The place of a text in the font that is asked for first, measured in it."""
    size = int(text.get("font-size", size))
    face, x, y = font(size, text.get("font-weight") == "bold"), float(text.get("x")), float(text.get("y"))
    width, (ascent, descent) = face.getlength(text.text) / 20, [n / 20 for n in face.getmetrics()]
    assert text.get("text-anchor") == "middle"
    return x - width / 2, y - 0.75 * ascent, x + width / 2, y + descent, text.text


def sampled(path):
    """Points along a path of the commands M, V and C."""
    points = []
    for command, numbers in re.findall(r"([A-Z])([^A-Z]*)", path):
        n = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if command == "M":
            points.append((n[0], n[1]))
        elif command == "V":
            (x, y), stop = points[-1], n[0]
            points += [(x, y + (stop - y) * i / 20) for i in range(1, 21)]
        else:
            assert command == "C"
            (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points[-1], n[:2], n[2:4], n[4:]
            for t in [i / 20 for i in range(1, 21)]:
                a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3
                points.append((a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3))
    return points


def overlap(a, b, gap=0):
    return a[0] < b[2] + gap and b[0] < a[2] + gap and a[1] < b[3] + gap and b[1] < a[3] + gap


def inside(inner, outer, margin=0):
    return (inner[0] >= outer[0] + margin and inner[1] >= outer[1] and inner[2] <= outer[2] - margin and inner[3] <= outer[3])
