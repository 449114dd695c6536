"""Things that stand in a scene: each is a list of parts, and a part is a signed distance with a colour.

A thing is drawn in its own coordinates: u to the right of its middle, v upwards from the ground, both in units of its height
in pixels.  Nothing about a thing is fixed: proportions, posture and colours are drawn at random within what its class
allows.  The union of the parts is the mask.  Parts thinner than a pixel (the frame of a far bicycle) are widened to a little
more than one, else their mask would have holes.

`THINGS` lists the classes; `PLACED` says on what ground each may stand and how tall it is beside the others.
"""

from dataclasses import dataclass

import numpy as np

from .drawing import box, disk, ellipse, polygon, round_box, segment, union
from .scenery import GRASS, ROAD, SKY, WATER
from .textures import color

COLORS = {"red": (0.0, 0.85, 0.8), "orange": (0.07, 0.9, 0.92), "yellow": (0.15, 0.85, 0.93), "green": (0.37, 0.75, 0.5),
          "blue": (0.61, 0.8, 0.72), "purple": (0.78, 0.6, 0.6), "white": (0.1, 0.03, 0.93), "black": (0.6, 0.1, 0.14),
          "brown": (0.07, 0.6, 0.42), "grey": (0.6, 0.03, 0.55)}
PAINTED = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")


@dataclass
class Kind:
    """What is the same for all things of a class: where they may stand, height and width beside a person's 1, colours."""

    ground: tuple
    height: float
    width: float
    colors: tuple


THINGS = ("person", "bicycle", "car", "boat", "house", "tree", "dog", "balloon")
PLACED = {"person": Kind((GRASS, ROAD), 1.0, 0.5, PAINTED),
          "bicycle": Kind((GRASS, ROAD), 0.72, 1.6, PAINTED),
          "car": Kind((ROAD, GRASS), 0.85, 2.3, PAINTED),
          "boat": Kind((WATER,), 1.1, 1.1, ("red", "orange", "yellow", "green", "blue", "white", "brown")),
          "house": Kind((GRASS,), 1.75, 1.3, ("white", "yellow", "brown", "grey", "red", "orange")),
          "tree": Kind((GRASS,), 2.0, 0.8, ("green", "green", "green", "yellow", "orange")),
          "dog": Kind((GRASS, ROAD), 0.55, 1.5, ("brown", "black", "white", "grey")),
          "balloon": Kind((SKY,), 0.9, 0.8, PAINTED[:-1])}


class Parts:
    """The parts of one thing over the pixels of a window: u, v (h, w) in units of its height, and `pixel`, one pixel in them."""

    def __init__(self, draws, u, v, height, name):
        self.draws, self.u, self.v, self.pixel, self.list = draws, u, v, 1 / height, []
        hue, saturation, value = COLORS[name]
        self.paint = color(hue + draws.uniform(-0.015, 0.015), saturation * draws.uniform(0.85, 1.1),
                           value * draws.uniform(0.9, 1.06))

    def add(self, distance, fill):
        self.list.append((distance, fill))

    def thin(self, radius):
        """The radius, or a little more than half a pixel."""
        return max(radius, 0.62 * self.pixel)

    def line(self, u1, v1, u2, v2, radius, fill):
        self.add(segment(self.u, self.v, u1, v1, u2, v2, self.thin(radius)), fill)


SKINS = ((0.06, 0.35, 0.92), (0.06, 0.45, 0.78), (0.06, 0.55, 0.58), (0.05, 0.6, 0.38))


def person(p):
    draws, u, v = p.draws, p.u, p.v
    skin = color(*draws.choice(SKINS))
    trousers = color(draws.uniform(0.55, 0.7), draws.uniform(0.1, 0.6), draws.uniform(0.15, 0.45))
    stride, swing, wide = draws.uniform(0.02, 0.13), draws.uniform(0.05, 0.2), draws.uniform(0.085, 0.11)
    hair = color(0.08, draws.uniform(0.2, 0.6), draws.uniform(0.08, 0.6))
    for side in (-1, 1):
        p.line(0.03 * side, 0.47, side * stride, 0.03, 0.045, trousers)
        p.line(0.1 * side, 0.78, side * (0.1 + swing), 0.5, 0.032, p.paint if draws.chance(0.6) else skin)
    p.add(round_box(u, v - 0.63, wide + 0.01, 0.2, 0.06), p.paint)
    p.add(disk(u, v - 0.9, 0.085), skin)
    p.add(np.maximum(disk(u, v - 0.905, 0.095), 0.93 - draws.uniform(0, 0.06) - v), hair)


def bicycle(p):
    draws, dark = p.draws, color(0.6, 0.1, 0.13)
    wheel, gap = draws.uniform(0.33, 0.37), draws.uniform(0.55, 0.62)
    back, front, hub, seat, head = (-gap, wheel), (gap, wheel), (-0.06, wheel - 0.03), (-0.2, 0.8), (0.42, 0.82)
    for at in (back, front):
        distance = np.abs(disk(p.u - at[0], p.v - at[1], wheel - 0.03)) - p.thin(0.03)
        p.add(distance, dark)
    for start, end in ((back, hub), (back, (-0.17, 0.68)), (hub, (-0.17, 0.68)), (hub, (0.39, 0.7)), ((-0.17, 0.68), (0.39, 0.7)),
                       (front, head), (hub, seat)):
        p.line(*start, *end, 0.033, p.paint)
    p.line(seat[0] - 0.1, 0.83, seat[0] + 0.08, 0.83, 0.045, dark)
    p.line(head[0] - 0.02, 0.86, head[0] + draws.uniform(-0.12, 0.14), 0.95, 0.03, dark)


def car(p):
    draws, u, v = p.draws, p.u, p.v
    half, bonnet = draws.uniform(1.05, 1.25), draws.uniform(0.5, 0.58)
    front, back, tail = draws.uniform(0.5, 0.75), draws.choice((-0.55, -0.95)), draws.choice((0.7, 0.95))
    glass, dark = color(0.56, draws.uniform(0.15, 0.35), draws.uniform(0.3, 0.65)), color(0.6, 0.1, 0.12)
    p.add(polygon(u, v, [(-half * tail, bonnet), (back, 0.97), (0.25, 0.97), (front, bonnet)]), p.paint)
    sill = bonnet + 0.02
    p.add(polygon(u, v, [(-half * tail + 0.16, sill), (back + 0.08, 0.89), (-0.12, 0.89), (-0.12, sill)]), glass)
    p.add(polygon(u, v, [(-0.03, sill), (-0.03, 0.89), (0.2, 0.89), (front - 0.12, sill)]), glass)
    p.add(round_box(u, v - 0.38, half, 0.21, 0.12), p.paint)
    p.add(box(u - half + 0.08, v - 0.45, 0.07, 0.055), color(0.14, 0.3, 0.97))
    p.add(box(u + half - 0.06, v - 0.45, 0.05, 0.055), color(0.0, 0.9, 0.6))
    for side in (-0.58, 0.6):
        p.add(disk(u - side * half, v - 0.2, 0.2), dark)
        p.add(disk(u - side * half, v - 0.2, 0.09), color(0, 0, 0.6))


def boat(p):
    draws, u, v = p.draws, p.u, p.v
    half, deck = draws.uniform(0.42, 0.55), draws.uniform(0.2, 0.27)
    if draws.chance(0.7):                                 # a sailing boat, else one with a cabin
        sail = color(draws.choice((0.1, 0.1, 0.0, 0.6)), draws.uniform(0, 0.25), draws.uniform(0.85, 0.97))
        mast = draws.uniform(-0.08, 0.08)
        p.add(polygon(u, v, [(mast + 0.03, 0.97), (mast + 0.03, deck + 0.07), (half * 0.9, deck + 0.07)]), sail)
        p.add(polygon(u, v, [(mast - 0.03, 0.85), (mast - 0.03, deck + 0.07), (-half * 0.75, deck + 0.07)]), 0.92 * sail)
        p.line(mast, deck, mast, 0.98, 0.014, color(0.08, 0.5, 0.3))
    else:
        p.add(box(u + 0.1, v - deck - 0.17, 0.25, 0.18), color(0.1, 0.05, 0.88))
        p.add(box(u + 0.1, v - deck - 0.22, 0.19, 0.06), color(0.57, 0.4, 0.4))
        p.line(0.08, deck + 0.3, 0.08, 0.9, 0.014, color(0.08, 0.2, 0.3))
    p.add(polygon(u, v, [(-half, deck), (half * 1.1, deck + 0.06), (half * 0.75, 0), (-half * 0.85, 0)]), p.paint)


def house(p):
    draws, u, v = p.draws, p.u, p.v
    half, wall = draws.uniform(0.42, 0.58), draws.uniform(0.52, 0.64)
    roof = color(*draws.choice(((0.02, 0.65, 0.55), (0.04, 0.5, 0.4), (0.6, 0.1, 0.35), (0.07, 0.55, 0.35))))
    glass, flat = color(0.57, draws.uniform(0.2, 0.5), draws.uniform(0.25, 0.6)), draws.uniform(0, 0.3)
    if draws.chance(0.6):
        p.add(box(u - draws.choice((-1, 1)) * half * 0.55, v - 0.85, 0.055, 0.13), 0.8 * roof)
    p.add(box(u, v - wall / 2, half, wall / 2), p.paint)
    eaves, ridge = half + 0.07, flat * half + 0.001
    p.add(polygon(u, v, [(-eaves, wall - 0.01), (-ridge, 0.96), (ridge, 0.96), (eaves, wall - 0.01)]), roof)
    door = draws.choice((-1, 0, 1)) * half * 0.5
    p.add(box(u - door, v - 0.15, 0.075, 0.15), color(draws.choice((0.07, 0.6, 0.35, 0.0)), 0.6, 0.35))
    for at in (-half * 0.55, 0.0, half * 0.55):
        if abs(at - door) > 0.15:
            p.add(box(u - at, v - wall * 0.6, 0.08, 0.09), glass)
            p.add(np.maximum(box(u - at, v - wall * 0.6, 0.08, 0.09), np.abs(u - at) - 0.012), color(0.1, 0.03, 0.9))


def tree(p):
    draws, u, v = p.draws, p.u, p.v
    trunk = color(0.07, draws.uniform(0.3, 0.55), draws.uniform(0.25, 0.4))
    if draws.chance(0.35):                                # a conifer
        p.add(box(u, v - 0.12, 0.04, 0.12), trunk)
        for low, high, half in ((0.15, 0.55, 0.33), (0.38, 0.78, 0.26), (0.6, 1.0, 0.19)):
            half = half * draws.uniform(0.85, 1.1)
            p.add(polygon(u, v, [(-half, low), (half, low), (0.0, high)]), p.paint * (0.7 + 0.2 * high))
        return
    p.add(polygon(u, v, [(-0.06, 0), (0.06, 0), (0.035, 0.5), (-0.035, 0.5)]), trunk)
    middle, crowns = draws.uniform(0.62, 0.68), []
    for _ in range(draws.integer(5, 8)):
        turn, radius = draws.uniform(0, 2 * np.pi), draws.uniform(0.13, 0.2)
        out = draws.uniform(0.08, 0.19)
        crowns.append(disk(u - 1.15 * out * np.cos(turn), v - middle - out * np.sin(turn), radius))
    crown = union(*crowns, disk(u, v - middle, 0.2))
    p.add(crown, p.paint * (0.72 + 0.45 * np.clip((v - middle + 0.3 * u) / 0.6 + 0.5, 0, 1)))


def dog(p):
    draws, u, v = p.draws, p.u, p.v
    legs, stride, ear = draws.uniform(0.36, 0.44), draws.uniform(0, 0.14), 0.75 * p.paint
    for at, side in ((-0.42, -1), (-0.3, 1), (0.3, -1), (0.42, 1)):
        p.line(at, legs, at + side * stride, 0.05, 0.055, p.paint * (0.8 if side < 0 else 1))
    tail = draws.uniform(-0.05, 0.35)
    p.line(-0.52, 0.56, -0.82, 0.62 + tail, 0.045, p.paint)
    p.add(ellipse(u, v - 0.52, 0.56, 0.19), p.paint)
    p.line(0.45, 0.58, 0.62, 0.78, 0.11, p.paint)
    p.add(ellipse(u - 0.68, v - 0.82, 0.18, 0.14), p.paint)
    p.add(ellipse(u - 0.85, v - 0.77, 0.11, 0.075), p.paint)
    p.add(disk(u - 0.95, v - 0.79, 0.035), color(0, 0, 0.08))
    p.add(ellipse(u - 0.58, v - 0.8, 0.06, 0.14), ear)


def balloon(p):
    draws, u, v = p.draws, p.u, p.v
    other = color(*COLORS[draws.choice(("white", "yellow", "red", "blue"))]) if draws.chance(0.5) else p.paint
    for side in (-1, 1):
        p.line(0.22 * side, 0.38, 0.07 * side, 0.14, 0.012, color(0.08, 0.4, 0.3))
    cloth = union(disk(u, v - 0.66, 0.34), polygon(u, v, [(-0.28, 0.47), (0.28, 0.47), (0.09, 0.24), (-0.09, 0.24)]))
    across = u / np.sqrt(np.maximum(0.34 ** 2 - np.clip(v - 0.66, -0.3, 0.3) ** 2, 0.02))
    stripes = np.clip(0.5 + 3 * np.sin(np.arcsin(np.clip(across, -1, 1)) * draws.integer(3, 7)), 0, 1)
    p.add(cloth, (p.paint + 0.8 * stripes * (other - p.paint)) * (0.85 + 0.25 * np.clip(-across, -1, 1)))
    p.add(box(u, v - 0.07, 0.08, 0.065), color(0.08, 0.55, 0.42))


MAKERS = {"person": person, "bicycle": bicycle, "car": car, "boat": boat, "house": house, "tree": tree, "dog": dog,
          "balloon": balloon}


def make_parts(draws, kind, name, u, v, height):
    """The parts of a thing: a list of (distance in pixels (h, w), colour (3, ...)), to be painted in this order."""
    parts = Parts(draws, u, v, height, name)
    MAKERS[kind](parts)
    return [(height * distance, fill) for distance, fill in parts.list]
