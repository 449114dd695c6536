"""Places: sky, hills, grass, a road or a lake, before anything stands there.

A place is a horizon and a layout of the ground below it, `stuff` (H, W), the class of every pixel: 0 sky, 1 hill, 2 grass,
3 road, 4 water.  Each class has its own colours and texture, in the light of a day, an overcast day or dusk.  Textures get
finer and paler towards the horizon, as distance makes them.  Colours are regular (sky is blue or red at dusk, grass is green
or dry, roads are grey), so that a network which is shown the grey picture can learn to colour it.
"""

from dataclasses import dataclass

import numpy as np

from .textures import brightness, color, value_noise

STUFF = ("sky", "hill", "grass", "road", "water")
SKY, HILL, GRASS, ROAD, WATER = range(5)
PLACES = ("road", "crossing", "lake", "meadow")
LIGHTS = ("day", "overcast", "dusk")


@dataclass
class Place:
    """A place without things: image (3, H, W), stuff (H, W), the horizon's row, and what light and kind of place it is."""

    image: np.ndarray
    stuff: np.ndarray
    horizon: float
    kind: str
    light: str


def make_place(draws, height, width, kind):
    """A place of this kind ("road", "crossing", "lake", "meadow"), seen in a light of its own."""
    light, horizon = draws.choice(LIGHTS, (5, 2, 2)), draws.uniform(0.3, 0.45) * height
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    depth = np.clip((y - horizon) / (height - horizon), 0, 1)             # 0 at the horizon, 1 at our feet
    stuff = np.where(y < horizon, SKY, GRASS)
    ridge = horizon - height * ridge_line(draws, width)
    stuff[(y >= ridge) & (y < horizon)] = HILL
    if kind == "lake":
        shore = draws.uniform(0.1, 0.25) + 0.08 * ridge_line(draws, width)
        near = draws.uniform(0.6, 0.85) + 0.3 * ridge_line(draws, width)
        stuff[(depth > shore) & (depth < near)] = WATER
    elif kind == "road":                                                  # across the picture
        middle, half, slope = draws.uniform(0.4, 0.7), draws.uniform(0.1, 0.17), draws.uniform(-0.12, 0.12)
        stuff[np.abs(depth - middle - slope * (x / width - 0.5)) < half] = ROAD
    elif kind == "crossing":                                              # towards the horizon
        end, feet, half = draws.uniform(0.3, 0.7), draws.uniform(0.25, 0.75), draws.uniform(0.22, 0.35)
        stuff[(y >= horizon) & (np.abs(x / width - end - (feet - end) * depth) < half * depth + 0.01)] = ROAD
    return Place(paint_place(draws, stuff, depth, y / height, light), stuff, horizon, kind, light)


def ridge_line(draws, width):
    """A wavy height 0..0.14 for every column."""
    return draws.uniform(0, 0.14) * value_noise(draws, (2, width), draws.integer(2, 6), 3, (2, 1))[0]


def paint_place(draws, stuff, depth, y, light):
    """The colours of every class of ground, each with its texture, put together by `stuff`."""
    shape = stuff.shape
    fine = value_noise(draws, shape, 12, 3, (0.4, 1))                     # longer along x: the ground is seen at a slant
    coarse = value_noise(draws, shape, 4, 3)
    speckle = 0.5 + (draws.uniform(size=shape) - 0.5) * (0.4 + 0.6 * depth)
    dry = draws.uniform() ** 2
    layers = {SKY: lambda: paint_sky(draws, y, coarse, light),
              HILL: lambda: color(0.36 + draws.uniform(0, 0.22), 0.35, draws.uniform(0.4, 0.55)) * (0.8 + 0.4 * coarse),
              GRASS: lambda: color(0.29 - 0.12 * dry, 0.62 - 0.15 * dry, 0.5 + 0.1 * dry) * (0.55 + 0.45 * fine + 0.35 * speckle),
              ROAD: lambda: color(0.08, draws.uniform(0, 0.08), draws.uniform(0.36, 0.5)) * (0.75 + 0.2 * fine + 0.3 * speckle),
              WATER: lambda: color(0.56, draws.uniform(0.4, 0.6), draws.uniform(0.45, 0.6)) * (0.65 + 0.7 * fine)}
    image = np.zeros((3, *shape))
    for number in np.flatnonzero(np.bincount(stuff.ravel())).tolist():
        np.copyto(image, layers[number](), where=stuff == number)
    haze = color(0.58, 0.12, 0.8)
    far = 0.45 * np.clip(1 - 4 * depth, 0, 1) * (stuff != SKY)
    return lit(image + far * (haze - image), light)


def paint_sky(draws, y, clouds, light):
    """Blue above and paler below, grey, or the colours of dusk; with clouds."""
    top, low = {"day": (color(0.59, 0.62, 0.8), color(0.56, 0.25, 0.95)),
                "overcast": (color(0.6, 0.08, 0.66), color(0.6, 0.04, 0.84)),
                "dusk": (color(0.66, 0.45, 0.62), color(0.06, 0.6, 0.98))}[light]
    sky = top + np.clip(2.6 * y, 0, 1) * (low - top)
    cover = draws.uniform(0.35, 0.6) if light != "overcast" else 0.35
    white = {"day": color(0.6, 0.02, 0.97), "overcast": color(0.6, 0.04, 0.78), "dusk": color(0.03, 0.3, 0.88)}[light]
    return sky + np.clip(3.5 * (clouds - cover), 0, 0.9) * (white - sky)


def lit(image, light):
    """Surfaces in this light: as they are, greyer under clouds, darker and warmer at dusk."""
    if light == "overcast":
        return 0.88 * (image + 0.3 * (brightness(image) - image))
    return image * np.array([0.92, 0.76, 0.74]).reshape(3, 1, 1) if light == "dusk" else image
