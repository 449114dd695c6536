"""Faces of invented people: who is this, seen again in another pose, light and mood?

An identity is a fixed set of random proportions and colours: the shape of the head, the distance of the eyes, hair, brows,
nose, mouth, a beard or glasses or none.  A view turns and tilts the head, moves it, lights it from somewhere, changes the
mood, and adds blur and noise.  The head is an ellipsoid on which the features lie: a head that turns to the side moves them
across the face, nearer ones faster, and narrows those on the far side.  Skin and hair come in few tones and light is
coloured, so colours alone tell few people apart.

Identities are numbered too: those of the training part never occur in the test part, which is what identification asks for:
to tell apart people who were never seen in training.

Source: Schroff, Kalenichenko and Philbin 2015, FaceNet, arXiv:1503.03832 (pairs and triplets of faces).
"""

import functools
from dataclasses import dataclass

import numpy as np

from .base import GeneratedImages, check_integer, to_bytes
from .drawing import Canvas, difference, disk, ellipse, segment, turned, union
from .shapes import background
from .textures import blur, color, light, sensor, value_noise

VERSION = 1
SKINS = ((0.06, 0.3, 0.93), (0.07, 0.42, 0.8), (0.06, 0.55, 0.58), (0.05, 0.58, 0.4))
HAIRS = ((0.08, 0.4, 0.12), (0.07, 0.6, 0.35), (0.12, 0.5, 0.8), (0.04, 0.75, 0.5), (0.6, 0.03, 0.7))
STYLES = ("bald", "short", "fringe", "long", "parted")


@dataclass
class Person:
    """What stays the same in all views of an identity; lengths in half heights of the head."""

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    style: str
    beard: str
    glasses: str
    width: float
    jaw: float
    eyes_apart: float
    eyes_high: float
    eye_size: float
    eye_slant: float
    brow_high: float
    brow_thick: float
    brow_slant: float
    nose_long: float
    nose_wide: float
    mouth_low: float
    mouth_wide: float
    lips: float
    hairline: float
    ears: float


def make_person(draws):
    """A new identity."""
    u = draws.uniform
    skin = color(*draws.choice(SKINS)) * u(0.93, 1.04)
    return Person(skin, color(*draws.choice(HAIRS)) * u(0.85, 1.1), color(draws.choice((0.07, 0.35, 0.6)), 0.5, u(0.2, 0.5)),
                  draws.choice(STYLES), draws.choice(("none", "none", "none", "moustache", "full")),
                  draws.choice(("none", "none", "round", "square")), u(0.68, 0.86), u(0.6, 0.95), u(0.26, 0.42), u(-0.12, 0.1),
                  u(0.075, 0.13), u(-0.25, 0.25), u(0.13, 0.24), u(0.022, 0.06), u(-0.3, 0.3), u(0.2, 0.36), u(0.07, 0.16),
                  u(0.42, 0.56), u(0.16, 0.32), u(0.025, 0.06), u(0.45, 0.7), u(0.06, 0.16))


class View:
    """A head in one pose: where its features lie in the picture, in half heights of the head from its middle."""

    def __init__(self, draws, person):
        self.person, self.draws = person, draws
        self.yaw, self.pitch, self.roll = draws.uniform(-0.5, 0.5), draws.uniform(-0.22, 0.22), draws.uniform(-0.25, 0.25)
        self.smile, self.open, self.lids = draws.uniform(-0.06, 0.1), max(0.0, draws.uniform(-0.1, 0.12)), draws.uniform(0.5, 1)
        self.wide = person.width * (1 + 0.12 * abs(np.sin(self.yaw)))     # a head is longer than it is wide

    def at(self, x, y, out=0.0):
        """Where the point (x, y) of the face is seen, and how narrow beside the front view; out: how far it sticks out."""
        depth = np.sqrt(max(1 - (x / self.person.width) ** 2 - 0.7 * y ** 2, 0.05)) * 0.85 + out
        across = np.cos(self.yaw) * x + np.sin(self.yaw) * depth
        turn = self.yaw + np.arcsin(np.clip(x / self.person.width, -1, 1)) * 0.7
        return across, np.cos(self.pitch) * y + np.sin(self.pitch) * depth, max(np.cos(turn), 0.15)


def head(view, x, y):
    """The outline of the head: an ellipse above, below it a jaw that is narrower or squarer."""
    p = view.person
    wide = view.wide * np.where(y > 0, 1 - (1 - p.jaw) * np.clip(y, 0, 1) ** 1.5 * 0.45, 1.0)
    return ellipse(x / wide, y, 1, 1) * view.wide


def paint_face(draws, canvas, person, scale, middle):
    """One view of a person, the head's half height being `scale` pixels, its middle at (x, y)."""
    view = View(draws, person)
    where, dx, dy = canvas.window(*middle, 2.2 * scale)
    x, y = (axis / scale for axis in turned(dx, dy, view.roll))
    lamp = draws.uniform(-1, 1)
    shade = (0.82 + 0.25 * np.sqrt(np.clip(1 - x * x - 0.7 * y * y, 0, 1))) * (1 + 0.22 * lamp * np.clip(x, -1, 1))
    shade = shade * (0.96 + 0.08 * value_noise(draws, x.shape, 8, 2))

    def paint(distance, fill, opacity=1.0):
        canvas.paint(where, scale * distance, fill * shade, opacity)

    clothes = color(draws.uniform(), draws.uniform(0.1, 0.8), draws.uniform(0.2, 0.8))
    if person.style == "long":
        falling = np.maximum(ellipse(x, y - 0.4, view.wide + 0.2, 1.0), y - 1.15)
        paint(union(ellipse(x, y + 0.1, view.wide + 0.17, 1.08), falling), person.hair)
    paint(ellipse(x, y - 1.75, 1.15, 0.75), clothes)
    paint(np.maximum(np.abs(x) - 0.36, np.abs(y - 1.0) - 0.35), 0.88 * person.skin)
    for side in (-1, 1):
        if side * view.yaw < 0.25:                        # the other ear is behind the head
            across = side * view.wide * 0.97 - 0.3 * np.sin(view.yaw)
            paint(ellipse(x - across, y - 0.05 - np.sin(view.pitch) * 0.2, person.ears, 0.2), 0.93 * person.skin)
    face = head(view, x, y)
    paint(face, person.skin)
    paint_beard(view, x, y, face, paint)
    paint_features(view, x, y, lambda distance, fill, opacity=1.0: paint(np.maximum(distance, face), fill, opacity))
    paint_hair(view, x, y, face, paint)
    paint_glasses(view, x, y, paint)


def paint_features(view, x, y, paint):
    """Eyes, brows, nose and mouth."""
    p, white, dark = view.person, color(0.1, 0.03, 0.95), color(0.05, 0.3, 0.1)
    gaze = view.draws.uniform(-0.35, 0.35) * p.eye_size
    for side in (-1, 1):
        ex, ey, narrow = view.at(side * p.eyes_apart, p.eyes_high)
        u, v = turned(x - ex, y - ey, side * p.eye_slant)
        lid = ellipse(u, v, 1.45 * p.eye_size * narrow, p.eye_size * view.lids)
        paint(lid - 0.02, 0.6 * p.skin)
        paint(lid, white)
        iris = np.maximum(disk(u / max(narrow, 0.5) - gaze, v, 0.8 * p.eye_size), lid)
        paint(iris, p.iris)
        paint(np.maximum(disk(u / max(narrow, 0.5) - gaze, v, 0.4 * p.eye_size), lid), dark)
        bx, by, narrow = view.at(side * p.eyes_apart, p.eyes_high - p.brow_high - 0.3 * view.open)
        long, rise = 0.17 * narrow, 0.17 * side * p.brow_slant
        paint(segment(x, y, bx - long, by - rise, bx + long, by + rise, p.brow_thick), 0.8 * p.hair)
    top, tip = view.at(0, p.eyes_high + 0.05, 0.05), view.at(0, p.eyes_high + p.nose_long, 0.22)
    paint(segment(x, y, top[0], top[1], tip[0], tip[1], 0.035), 1.08 * p.skin, 0.6)
    paint(ellipse(x - tip[0], y - tip[1], p.nose_wide, 0.06), 0.85 * p.skin)
    for side in (-1, 1):
        paint(disk(x - tip[0] - 0.55 * side * p.nose_wide, y - tip[1] - 0.03, 0.028), 0.45 * p.skin)
    mx, my, narrow = view.at(0, p.mouth_low, 0.05)
    curve = y - my + view.smile * (2 * ((x - mx) / p.mouth_wide) ** 2 - 1)
    lips = color(0.99, 0.5, 0.6) * 0.5 + 0.4 * p.skin
    paint(ellipse(x - mx, curve, p.mouth_wide * narrow, p.lips + 0.5 * view.open), lips)
    paint(ellipse(x - mx, curve, 0.85 * p.mouth_wide * narrow, 0.015 + 0.4 * view.open), 0.4 * lips)


def paint_beard(view, x, y, face, paint):
    """A moustache, a full beard, or none."""
    p = view.person
    mx, my, narrow = view.at(0, p.mouth_low, 0.05)
    if p.beard == "full":
        shore = p.mouth_low - 0.1 + np.sin(view.pitch) * 0.5 - 1.2 * np.clip(np.abs(x - mx) - 0.3, 0, 0.35)
        paint(np.maximum(face, shore - y), 0.9 * p.hair)
    elif p.beard == "moustache":
        paint(ellipse(x - mx, y - my + p.lips + 0.05 + 0.5 * view.open, 0.26 * narrow, 0.06), 0.9 * p.hair)


def paint_hair(view, x, y, face, paint):
    """The hair above the forehead; its line follows the turn of the head."""
    p = view.person
    if p.style == "bald":
        return
    fx, fy, _ = view.at(0, -p.hairline)
    if p.style == "fringe":
        edge = fy + 0.2 + 0.03 * np.sin(18 * x)
    elif p.style == "parted":
        edge = fy + 0.35 * np.abs(x - fx + 0.3)
    else:
        edge = fy + 0.5 * (x - fx) ** 2
    outer = ellipse(x, y + 0.06, view.wide + 0.07, 1.06)
    streaks = 0.92 + 0.07 * np.sin(25 * x + 6 * y) + 0.07 * np.sin(14 * x - 3 * y)
    paint(np.maximum(outer, y - edge), p.hair * streaks)
    temples = np.maximum(np.maximum(outer, difference(y - p.eyes_high - 0.1, y - edge)), view.wide * 0.88 - np.abs(x))
    paint(np.maximum(temples, y - p.eyes_high - 0.1), p.hair * streaks)


def paint_glasses(view, x, y, paint):
    """A frame around each eye and a bridge between them, or nothing."""
    p, dark = view.person, color(0.6, 0.2, 0.12)
    if p.glasses == "none":
        return
    inner = []
    for side in (-1, 1):
        ex, ey, narrow = view.at(side * p.eyes_apart, p.eyes_high, 0.1)
        u, v = (x - ex) / max(narrow, 0.4), y - ey
        rim = disk(u, v, 0.21) if p.glasses == "round" else np.maximum(np.abs(u) - 0.22, np.abs(v) - 0.15)
        paint(np.abs(rim) - 0.026, dark)
        inner.append(ex - side * 0.2 * max(narrow, 0.4))
    by = view.at(0, p.eyes_high - 0.02, 0.15)[1]
    if inner[1] - inner[0] > 0.02:
        paint(segment(x, y, inner[0], by, inner[1], by, 0.022), dark)


class FaceIdentities(GeneratedImages):
    """Faces of invented people, each in several views; the label is the person.

    Shapes: example (image, label): image (3, H, W), float32, 0..1; label 0..identities-1.  Example i is view i % views of
    person i // views, so that more identities leave the first ones as they are.  Persons of the two parts differ.
    identities: how many people; views: pictures of each.
    `.images` (N, 3, H, W), `.labels` (N,), N = identities views.  For pairs and triplets see ImagePairs and ImageTriplets.
    Raises as Generated does; the smallest size is 24.

    >>> faces = FaceIdentities(3, views=4)
    >>> faces.labels.tolist(), faces[0][0].shape
    ([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2], (3, 48, 48))
    """

    family, VERSION, least, default = "faces", VERSION, 24, 48

    def __init__(self, identities, size=None, seed=0, *, views=10, train=True, cache=True):
        name = type(self).__name__
        self.identities = check_integer(name, "identities", identities, 1, 2 ** 20)
        self.views = check_integer(name, "views", views, 1, 2 ** 11)
        super().__init__(self.identities * self.views, size, seed, train=train, cache=cache)
        self.classes = tuple(f"person {k}" for k in range(self.identities))

    def label(self, index):
        return index // self.views

    def draws(self, *key):
        # Not the example's number but person and view are the key: another number of views shows the same people.
        return super().draws(*divmod(key[0], self.views), 1) if len(key) == 1 else super().draws(*key)

    def draw(self, draws, index):
        person = make_person(self.draws(self.label(index), 0, 2))
        ground, _ = background(draws, *self.size)
        canvas, least = Canvas(blur(ground, 1.5)), min(self.size)
        scale = draws.uniform(0.3, 0.38) * least
        middle = [draws.uniform(0.44, 0.56) * self.size[1], draws.uniform(0.44, 0.54) * self.size[0]]
        paint_face(draws, canvas, person, scale, middle)
        tint = np.array([draws.uniform(0.8, 1.1), 0.95, draws.uniform(0.75, 1.1)]).reshape(3, 1, 1) * draws.uniform(0.7, 1.15)
        image = blur(canvas.image * tint * light(draws, self.size, 0.5), draws.uniform(0.3, 0.7))
        image = sensor(draws, np.clip(image, 0, 1), draws.uniform(0.01, 0.045))
        return {"image": to_bytes(image), "label": self.label(index)}

    @functools.cached_property
    def labels(self):
        """Who is on each picture, (N,), int64."""
        return np.arange(self.n) // self.views
