"""Geometric shapes before clutter: pictures with one class, several classes, one box.

Ten outlines, each with proportions, size, angle and place of its own.  Colours and textures of shape and background come
from one stock, so that neither colour nor texture says anything about the class; lines, dots and patches that belong to no
class lie about; light, blur and noise follow.  What is left to learn is the outline, wherever it stands: the task that
convolution was made for.  The same shapes serve three tasks: which one (softmax), which ones (independent sigmoids), where
(a box).
"""

import functools

import numpy as np

from .base import Generated, GeneratedImages, to_bytes, to_floats
from .drawing import Canvas, box, difference, disk, polygon, round_box, segment, tight_box, turned, union
from .textures import any_color, photograph, texture

VERSION = 1
TURN = 0.6                                                # radians either way: things stand upright, more or less
CLASSES = ("disk", "ring", "crescent", "triangle", "square", "star", "cross", "heart", "arrow", "hourglass")


def star(draws, x, y):
    points, inner, turn = draws.integer(5, 7), draws.uniform(0.38, 0.52), draws.uniform(0, 2 * np.pi)
    angle = turn + np.pi * np.arange(2 * points) / points
    radius = np.where(np.arange(2 * points) % 2, inner, 1.0)
    return polygon(x, y, np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))


def heart(draws, x, y):
    side = draws.uniform(0.95, 1.1)
    half, u = side / 2, np.sqrt(0.5)
    a, b = u * (x + y), u * (y - x)                                       # the square stands on its corner
    return union(box(a, b, half, half), disk(a + half, b, half), disk(a, b + half, half))


def arrow(draws, x, y):
    head, wide, thick = draws.uniform(-0.1, 0.25), draws.uniform(0.55, 0.8), draws.uniform(0.18, 0.3)
    return polygon(x, y, [(1, 0), (head, wide), (head, thick), (-0.95, thick), (-0.95, -thick), (head, -thick), (head, -wide)])


def hourglass(draws, x, y):
    wide, waist = draws.uniform(0.6, 0.8), draws.uniform(0.06, 0.16)
    return polygon(x, y, [(-wide, -0.85), (wide, -0.85), (waist, 0), (wide, 0.85), (-wide, 0.85), (-waist, 0)])


def triangle(draws, x, y):
    tip = draws.uniform(-0.3, 0.3)
    return polygon(x, y, [(tip, -0.9), (0.9, 0.7), (-0.9, 0.7)])


def crescent(draws, x, y):
    shift = draws.uniform(0.4, 0.6)
    return difference(disk(x, y, 0.95), disk(x - shift, y, draws.uniform(0.75, 0.85)))


def ring(draws, x, y):
    hole = draws.uniform(0.4, 0.65)
    return difference(disk(x, y, 0.95), disk(x, y, hole))


def cross(draws, x, y):
    thick = draws.uniform(0.22, 0.36)
    return union(box(x, y, 0.95, thick), box(x, y, thick, 0.95))


def outline(draws, label, x, y):
    """The signed distance of a shape of this class that fills the square from -1 to 1, with random proportions."""
    if label == 0:
        return disk(x, y, 0.95)
    if label == 4:
        return round_box(x, y, 0.8, 0.8, draws.uniform(0.02, 0.15))
    draw = {1: ring, 2: crescent, 3: triangle, 5: star, 6: cross, 7: heart, 8: arrow, 9: hourglass}[label]
    return draw(draws, x, y)


def distance_to_shape(draws, canvas, label, x, y, radius):
    """A shape of this class, turned and stretched at random, at (x, y) in pixels: its window and its distance in pixels."""
    angle, stretch = draws.uniform(-TURN, TURN), draws.uniform(0.85, 1)
    where, dx, dy = canvas.window(x, y, 1.45 * radius)
    u, v = turned(dx, dy, angle)
    if label == 4:                                        # a square stays a square
        stretch = 1.0
    return where, dx, dy, stretch * radius * outline(draws, label, u / radius, v / (stretch * radius))


def two_colors(draws, unlike=None):
    """The two colours of a texture; the first differs from `unlike`, a colour, by at least 0.4 over the channels."""
    first = any_color(draws)
    for _ in range(20):
        if unlike is None or np.abs(first - unlike).max() > 0.4:
            break
        first = any_color(draws)
    return first, first + 0.35 * (any_color(draws) - first)


def background(draws, height, width):
    """A textured ground (3, H, W), and its main colour."""
    first, second = two_colors(draws)
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return texture(draws, x, y, draws.uniform(0.12, 0.5) * min(height, width), first, second), first


def clutter(draws, canvas, count):
    """Things that belong to no class: lines, dots, soft patches, all small or thin."""
    least = min(canvas.height, canvas.width)
    for _ in range(count):
        x, y, length = draws.uniform(0, canvas.width), draws.uniform(0, canvas.height), draws.uniform(0.1, 0.4) * least
        where, dx, dy = canvas.window(x, y, length)
        u, v = turned(dx, dy, draws.uniform(0, 2 * np.pi))
        kind, tint = draws.choice(("line", "dot", "patch")), any_color(draws)
        if kind == "line":
            canvas.paint(where, segment(u, v, -length, 0, length, 0, draws.uniform(0.4, 0.025 * least + 0.4)), tint)
        elif kind == "dot":
            canvas.paint(where, disk(u, v, draws.uniform(0.5, 0.04 * least)), tint)
        else:
            soft = 0.5 - 0.5 * np.exp(-(u * u + 2 * v * v) / (0.15 * length * length))
            canvas.paint(where, soft, tint, opacity=1.2)


def put(draws, canvas, label, x, y, radius, ground, number):
    """Paint a textured shape and note its pixels as belonging to `number`."""
    where, dx, dy, distance = distance_to_shape(draws, canvas, label, x, y, radius)
    first, second = two_colors(draws, unlike=ground)
    canvas.paint(where, distance, texture(draws, dx, dy, draws.uniform(0.3, 1) * radius, first, second))
    canvas.own(where, distance < 0, number)


def anywhere(draws, size, radius, inside=0.8):
    """A centre such that a shape of this radius lies, to the share `inside` of its radius, within the picture."""
    return [draws.uniform(inside * radius, side - inside * radius) for side in size]


class ShapeClassification(GeneratedImages):
    """Pictures of one shape each out of ten classes, in any colour, before clutter.

    Shapes: example (image, label): image (3, H, W), float32, 0..1; label 0..9, the class index into `.classes`.  The radius
    is 25 to 45 percent of the smaller side.  Any 10 pictures that start at a multiple of 10 have every class once.
    `.images` (N, 3, H, W), `.labels` (N,) int64; see `in_memory` for LabelledImages.
    Raises as Generated does; the smallest size is 16.

    >>> pictures = ShapeClassification(20, 32)
    >>> image, label = pictures[3]
    >>> image.shape, pictures.classes[label]
    ((3, 32, 32), 'star')
    """

    family, VERSION, least, default, classes = "shapes", VERSION, 16, 32, CLASSES

    def draw(self, draws, index):
        label, least = self.label(index), min(self.size)
        ground, main = background(draws, *self.size)
        canvas = Canvas(ground)
        clutter(draws, canvas, draws.integer(0, 4))
        radius = draws.uniform(0.25, 0.45) * least
        y, x = anywhere(draws, self.size, radius)
        put(draws, canvas, label, x, y, radius, main, 1)
        clutter(draws, canvas, draws.integer(0, 2))
        return {"image": to_bytes(photograph(draws, canvas.image)), "label": label}


class ShapeMultiLabel(Generated):
    """Pictures of one to four shapes each, which may overlap; the answer is which of the ten classes are there.

    Shapes: example (image, labels): image (3, H, W), float32, 0..1; labels (10,), float32, 1 for each class that is visible
    (at least half of one shape of it) and else 0, as binary_cross_entropy_with_logits takes them.
    `.images` (N, 3, H, W), `.labels` (N, 10).  A class is there in about a quarter of the pictures; stars and crescents like
    to come together, as things do in photographs.
    Raises as Generated does; the smallest size is 32.

    >>> image, labels = ShapeMultiLabel(10)[0]
    >>> image.shape, labels.shape, 1 <= labels.sum().item() <= 4
    ((3, 64, 64), (10,), True)
    """

    family, VERSION, least, default, classes = "several shapes", VERSION, 32, 64, CLASSES

    def draw(self, draws, index):
        ground, main = background(draws, *self.size)
        canvas = Canvas(ground)
        clutter(draws, canvas, draws.integer(0, 4))
        count, found, areas = draws.integer(1, 5), [], []
        for _ in range(count):
            company = {5: 2, 2: 5}.get(found[-1] if found else None)
            label = company if company is not None and draws.chance(0.5) else draws.integer(0, len(CLASSES))
            if self.place(draws, canvas, label, main, areas):
                found.append(label)
        labels = np.zeros(len(CLASSES), np.uint8)
        labels[found] = 1
        return {"image": to_bytes(photograph(draws, canvas.image)), "labels": labels}

    def place(self, draws, canvas, label, ground, areas):
        """Paint the shape where it leaves at least half of every earlier one to see; whether there was such a place."""
        for _ in range(10):
            radius = draws.uniform(0.14, 0.26) * min(self.size)
            y, x = anywhere(draws, self.size, radius, 0.9)
            where = canvas.window(x, y, radius)[0]
            seen = np.bincount(canvas.owner.ravel(), minlength=len(areas) + 1)[1:]
            hidden = np.bincount(canvas.owner[where].ravel(), minlength=len(areas) + 1)[1:]
            if (seen - hidden >= 0.5 * np.array(areas)).all():
                put(draws, canvas, label, x, y, radius, ground, len(areas) + 1)
                areas.append(np.count_nonzero(canvas.owner == len(areas) + 1))
                return True
        return False

    def example(self, drawing):
        return to_floats(drawing["image"]), drawing["labels"].astype(np.float32)

    @functools.cached_property
    def labels(self):
        """Which classes are there, (N, 10), float32, 0 or 1."""
        return self.column("labels").astype(np.float32)


class ShapeLocalization(GeneratedImages):
    """Pictures of one shape each, small or large and anywhere, with its class and its box.

    Shapes: example (image, target): image (3, H, W), float32, 0..1; target["boxes"] (1, 4), float32, x1, y1, x2, y2 in pixels,
    the bounds of the visible mask, x2 and y2 exclusive; target["labels"] (1,), int64, class index 0..9.  The radius is 12 to
    40 percent of the smaller side.  `.images` (N, 3, H, W), `.boxes` (N, 4), `.labels` (N,).
    Raises as Generated does; the smallest size is 24.

    >>> image, target = ShapeLocalization(10)[0]
    >>> image.shape, target["boxes"].shape, target["labels"].dtype
    ((3, 64, 64), (1, 4), dtype('int64'))
    """

    family, VERSION, least, default, classes = "located shapes", VERSION, 24, 64, CLASSES

    def draw(self, draws, index):
        ground, main = background(draws, *self.size)
        canvas = Canvas(ground)
        clutter(draws, canvas, draws.integer(1, 6))
        radius = draws.uniform(0.12, 0.4) * min(self.size)
        y, x = anywhere(draws, self.size, radius)
        put(draws, canvas, self.label(index), x, y, radius, main, 1)
        return {"image": to_bytes(photograph(draws, canvas.image)), "label": self.label(index),
                "box": np.array(tight_box(canvas.owner == 1), np.float32), "mask": np.packbits(canvas.owner == 1)}

    def example(self, drawing):
        return to_floats(drawing["image"]), {"boxes": drawing["box"][None].copy(),
                                             "labels": np.array([drawing["label"]], np.int64)}

    @functools.cached_property
    def boxes(self):
        """The boxes, (N, 4), float32, x1, y1, x2, y2 in pixels."""
        return self.column("box")
