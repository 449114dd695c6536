"""Scenes of things in places, and six tasks on them: boxes, masks, regions, outlines, colours.

A scene is planned, then painted from far to near.  The plan: a place (see `scenery`), and things (see `things`) on the ground
that suits them, in perspective: what stands lower in the picture is nearer, larger and in front.  A thing may hide others, but
leaves at least two fifths of each to see.  Rocks, bushes and posts stand about that belong to no class.  Then the camera.

The canvas knows the owner of every pixel, so boxes, masks, regions and outlines are exact: the box is the tight bound of the
visible mask, the outline is where two owners or two grounds meet.  All sets of this file show the same scenes: example i of
`SceneDetection` and example i of `SceneEdges` with the same seed, size and part are one picture with two answers.
"""

import functools
from dataclasses import dataclass

import numpy as np

from ..checks import check_choice
from .base import Generated, to_bytes, to_floats
from .drawing import Canvas, box, disk, ellipse, tight_box, union
from .scenery import GRASS, PLACES, ROAD, SKY, STUFF, WATER, lit, make_place
from .textures import brightness, color, photograph, value_noise
from .things import PLACED, THINGS, make_parts

VERSION = 1
SEEN = 0.4                                                # the share of every thing that stays visible
LEAST_PIXELS = 12                                         # fewer visible pixels are nothing to be found
FREQUENT = (3, 2.5, 3, 6, 2, 3, 3, 1.5)                   # how often the classes of THINGS come


@dataclass
class Thing:
    """One thing of a plan: class and colour by name, middle x, base y and height in pixels, mirrored or not, its ground."""

    kind: str
    color: str
    x: float
    base: float
    height: float
    mirrored: bool
    ground: int


def plan_thing(draws, place, kind, tall):
    """A place for a thing of this class, or None where none was found; tall: height of a near person, in pixels."""
    height, width = place.stuff.shape
    rule = PLACED[kind]
    for _ in range(8):
        x = draws.uniform(0.04, 0.96) * width
        if kind == "balloon":
            base, near = draws.uniform(0.25, 0.9) * place.horizon, draws.uniform(0.3, 0.9)
        else:
            near = draws.uniform(0.08, 0.98)
            base = place.horizon + near * (height - place.horizon)
        ground = int(place.stuff[min(int(base), height - 1), int(x)])
        if ground in rule.ground:
            size = max(rule.height * tall * (0.2 + 0.8 * near), 9 * rule.height ** 0.5)
            return Thing(kind, draws.choice(rule.colors), x, base, size, draws.chance(0.5), ground)
    return None


def plan(draws, place, count, tall, distinct):
    """Up to `count` things, from far to near; distinct: no class twice."""
    things, grounds = [], set(np.flatnonzero(np.bincount(place.stuff.ravel())).tolist())
    possible = [bool(grounds.intersection(PLACED[kind].ground)) for kind in THINGS]
    for _ in range(count):
        left = [ok and not (distinct and kind in {thing.kind for thing in things}) for kind, ok in zip(THINGS, possible)]
        thing = plan_thing(draws, place, draws.choice(THINGS, np.multiply(FREQUENT, left)), tall)
        if thing is not None:
            things.append(thing)
    return sorted(things, key=lambda thing: (thing.ground != SKY, thing.base))


def paint_thing(draws, canvas, thing, light, number, areas):
    """Paint a thing where it leaves enough of those before it to see; whether it did.  areas: pixels of each when painted."""
    reach = 0.75 * max(PLACED[thing.kind].width / PLACED[thing.kind].height, 1) * thing.height
    where, x, y = canvas.window(thing.x, thing.base - thing.height / 2, reach, 0.75 * thing.height)
    u, v = x / thing.height * (-1 if thing.mirrored else 1), 0.5 - y / thing.height
    parts = make_parts(draws, thing.kind, thing.color, u, v, thing.height)
    whole = union(*(distance for distance, _ in parts))
    mask = whole < 0
    shade = (1 + 0.2 * np.clip(u, -1, 1)) * (0.85 + 0.3 * value_noise(draws, mask.shape, 6, 2)) if mask.size else 1.0
    seen = np.bincount(np.maximum(canvas.owner, 0).ravel(), minlength=number)[1:]
    hidden = np.bincount(np.maximum(canvas.owner[where][mask], 0), minlength=number)[1:]
    if np.count_nonzero(mask) < LEAST_PIXELS or (seen - hidden < SEEN * np.array(areas))[hidden > 0].any():
        return False
    shadow(draws, canvas, thing, light)
    for distance, fill in parts:
        canvas.paint(where, distance, lit(fill * shade, light))
    canvas.own(where, mask, number)
    areas.append(np.count_nonzero(mask))
    return True


def shadow(draws, canvas, thing, light):
    """A dark spot on the ground below a thing, softer and paler where the sun is not out; no part of the thing."""
    if thing.ground in (SKY, WATER):
        return
    wide = 0.5 * PLACED[thing.kind].width / PLACED[thing.kind].height * thing.height
    where, x, y = canvas.window(thing.x, thing.base, 1.8 * wide, 0.15 * thing.height + 1)
    distance = ellipse(x - draws.uniform(-0.3, 0.6) * wide, y, 1.1 * wide, 0.06 * thing.height + 0.7)
    canvas.paint(where, distance / 3, np.zeros((3, 1, 1)), opacity=0.45 if light == "day" else 0.2)


def clutter(draws, canvas, place, number, tall):
    """A rock, a bush or a post on the ground, owned by -number: no class, but an outline."""
    x, near = draws.uniform(0, canvas.width), draws.uniform(0.1, 1)
    base, size = place.horizon + near * (canvas.height - place.horizon), (0.2 + 0.8 * near) * tall
    kind = draws.choice(("rock", "bush", "post"))
    if place.stuff[min(int(base), canvas.height - 1), int(x)] != GRASS:
        return
    where, dx, dy = canvas.window(x, base, 0.6 * size)
    tint = {"rock": color(0.09, 0.12, draws.uniform(0.3, 0.7)), "bush": color(0.3, 0.6, draws.uniform(0.25, 0.5)),
            "post": color(draws.uniform(), draws.uniform(0, 0.6), draws.uniform(0.2, 0.8))}[kind]
    if kind == "rock":
        distance = ellipse(dx, dy, draws.uniform(0.1, 0.25) * size, draws.uniform(0.07, 0.15) * size)
    elif kind == "bush":
        distance = union(*(disk(dx - draws.uniform(-0.2, 0.2) * size, dy + draws.uniform(0, 0.15) * size,
                                draws.uniform(0.08, 0.16) * size) for _ in range(4)))
    else:
        distance = box(dx, dy + 0.25 * size, max(0.03 * size, 0.7), 0.25 * size)
    canvas.paint(where, distance, lit(tint * (0.9 + 0.2 * value_noise(draws, dx.shape, 6, 2)), place.light))
    canvas.own(where, distance < 0, -number)


def paint_scene(draws, size, count, *, near=(0.27, 0.38), distinct=False):
    """A scene with up to `count` things: the drawing that all sets share, a dict.

    image (3, H, W) bytes; stuff (H, W), class of the ground; owner (H, W), k for the pixels of things[k - 1], negative for
    clutter, else 0; things, the visible ones from far to near; light and place by name.
    near: height of a person at our feet over the smaller side, smallest and largest.
    """
    place = make_place(draws, *size, draws.choice(PLACES))
    canvas, tall, areas, things = Canvas(place.image), draws.uniform(*near) * min(size), [], []
    for number in range(1, draws.integer(1, 6)):
        clutter(draws, canvas, place, number, tall)
    for thing in plan(draws, place, count, tall, distinct):
        if paint_thing(draws, canvas, thing, place.light, len(things) + 1, areas):
            things.append(thing)
    image = to_bytes(photograph(draws, canvas.image, strength=0.35, noises=(0.008, 0.035)))
    return {"image": image, "stuff": place.stuff.astype(np.uint8), "owner": canvas.owner.astype(np.int8), "things": things,
            "light": place.light, "place": place.kind}


class Scenes(Generated):
    """Base of the sets on scenes: pictures, and what stands in them.

    Sizes of 128 are comfortable; at the smallest, 32, far things are a few pixels.
    """

    family, VERSION, least, default, classes = "scenes", VERSION, 32, 128, THINGS

    def draw(self, draws, index):
        return paint_scene(draws, self.size, draws.integer(1, 9))


def instances(drawing, masks):
    """The target of a detector: boxes, labels, and masks where wanted, of all visible things, from far to near."""
    owner, things = drawing["owner"], drawing["things"]
    seen = owner == np.arange(1, len(things) + 1, dtype=np.int8).reshape(-1, 1, 1)         # (n, H, W)
    target = {"boxes": np.array([tight_box(mask) for mask in seen], np.float32).reshape(-1, 4),
              "labels": np.array([THINGS.index(thing.kind) for thing in things], np.int64)}
    if masks:
        target["masks"] = seen
    return target


class SceneDetection(Scenes):
    """Scenes with the box and class of every thing: up to eight, far and near, partly hidden or cut off by the border.

    Shapes: example (image, target): image (3, H, W), float32, 0..1; target["boxes"] (n, 4), float32, x1, y1, x2, y2 in pixels,
    the tight bounds of what is visible, x2 and y2 exclusive; target["labels"] (n,), int64, index into `.classes`; with
    masks=True also target["masks"] (n, H, W), bool, disjoint.  n may be 0, and differs: a DataLoader needs a collate_fn.
    `.images` (N, 3, H, W).
    Raises as Generated does; the smallest size is 32.

    >>> scenes = SceneDetection(4, 96, masks=True)
    >>> image, target = scenes[1]
    >>> image.shape, [scenes.classes[label] for label in target["labels"]]
    ((3, 96, 96), ['balloon', 'tree', 'car'])
    """

    def __init__(self, n, size=None, seed=0, *, masks=False, train=True, cache=True):
        super().__init__(n, size, seed, train=train, cache=cache)
        self.with_masks = check_choice(self.name, "masks", masks, (True, False))

    def example(self, drawing):
        return to_floats(drawing["image"]), instances(drawing, self.with_masks)


class SceneSegmentation(Scenes):
    """Scenes with the class of every pixel: five kinds of ground and sky, eight kinds of things.

    Shapes: example (image, mask): image (3, H, W), float32, 0..1; mask (H, W), int64, index into `.classes`, of which the first
    five are sky, hill, grass (with its rocks and bushes), road and water.  Classes are far from balanced: three quarters of
    the pixels are grass or sky.
    `.images` (N, 3, H, W), `.masks` (N, H, W).
    Raises as Generated does; the smallest size is 32.

    >>> image, mask = SceneSegmentation(4, (64, 96))[0]
    >>> image.shape, mask.shape, mask.max().item() < len(SceneSegmentation.classes)
    ((3, 64, 96), (64, 96), True)
    """

    classes = STUFF + THINGS

    def example(self, drawing):
        return to_floats(drawing["image"]), regions(drawing)

    @functools.cached_property
    def masks(self):
        """All masks, (N, H, W), int64."""
        return np.stack([regions(self.drawing(i)) for i in range(self.n)])


def regions(drawing):
    """The class of every pixel, (H, W), int64: of the thing seen there, grass for what stands in the grass, else the ground."""
    ground = np.where(drawing["owner"] < 0, GRASS, drawing["stuff"])
    kinds = np.array([0, *(len(STUFF) + THINGS.index(thing.kind) for thing in drawing["things"])])
    return np.where(drawing["owner"] > 0, kinds[np.maximum(drawing["owner"], 0)], ground).astype(np.int64)


class SceneEdges(Scenes):
    """Scenes with their outlines: the true ones, where something ends in front of something else.

    Shapes: example (image, edges): image (3, H, W), float32, 0..1; edges (1, H, W), float32, 1 at pixels whose right or lower
    neighbour shows another thing or another ground, else 0.  Textures, shadows and noise are no outlines, and about 95
    percent of the pixels are 0: a loss that does not weigh the classes learns nothing.
    `.images` (N, 3, H, W), `.edges` (N, 1, H, W).
    Raises as Generated does; the smallest size is 32.

    >>> image, edges = SceneEdges(4)[0]
    >>> image.shape, edges.shape, edges.mean().item() < 0.15
    ((3, 128, 128), (1, 128, 128), True)
    """

    def example(self, drawing):
        return to_floats(drawing["image"]), outlines(drawing)

    @functools.cached_property
    def edges(self):
        """All outlines, (N, 1, H, W), float32, 0 or 1."""
        return np.stack([outlines(self.drawing(i)) for i in range(self.n)])


def outlines(drawing):
    """1 where the right or the lower neighbour belongs to something else, (1, H, W), float32."""
    what = drawing["owner"].astype(np.int64)
    what = np.where(what == 0, 1000 + drawing["stuff"].astype(np.int64), what)
    edges = np.zeros(what.shape, np.float32)
    edges[:, :-1][what[:, :-1] != what[:, 1:]] = 1
    edges[:-1][what[:-1] != what[1:]] = 1
    return edges[None]


class SceneColorization(Scenes):
    """Grey scenes and their colours.

    Shapes: example (grey, image): grey (1, H, W), the brightness as the eye weighs the channels (ITU-R BT.601); image
    (3, H, W); both float32, 0..1.  What can be known from grey is the regular part: blue, white or red skies, green grass, grey
    roads.  The paint of a car cannot: a mean over its possible colours is a brownish grey, which is why classes of colours are
    predicted rather than colours (Zhang, Isola and Efros 2016, arXiv:1603.08511).
    `.greys` (N, 1, H, W), `.images` (N, 3, H, W).
    Raises as Generated does; the smallest size is 32.

    >>> grey, image = SceneColorization(4, 64)[0]
    >>> grey.shape, image.shape
    ((1, 64, 64), (3, 64, 64))
    """

    def example(self, drawing):
        return to_floats(grey(drawing["image"])), to_floats(drawing["image"])

    @functools.cached_property
    def greys(self):
        """All grey pictures, (N, 1, H, W), float32."""
        return np.stack([to_floats(grey(self.drawing(i)["image"])) for i in range(self.n)])


def grey(image):
    """The brightness of a picture in bytes (3, H, W), as bytes (1, H, W)."""
    return to_bytes(brightness(image / 255))[None]


# What stands where, in the words of a caption: by ground, and for grass by place.
PREPOSITIONS = {SKY: "in the sky", ROAD: "on the road", WATER: "on the lake"}
ON_GRASS = {"road": "on the roadside", "crossing": "on the roadside", "lake": "on the shore", "meadow": "in the meadow"}
RELATIONS = ("left of", "right of", "in front of", "behind", "above", "below")


class SceneCaptions(Scenes):
    """Scenes of one or two things and a sentence about each scene: "a red bicycle on the roadside".

    Shapes: example (image, caption): image (3, H, W), float32, 0..1; caption, a string of words in small letters, separated by
    single spaces, 5 to 15 of them.  The grammar: A THING PLACE [RELATION A THING] [at dusk], where A THING is "an
    orange tree" or "a person in red".  `description(i)` tells the same as a dict.  `.words` lists all words that a
    caption may have.
    `.images` (N, 3, H, W), `.captions`, a list of N.
    Raises as Generated does; the smallest size is 32.

    >>> scenes = SceneCaptions(4)
    >>> scenes.captions[1]
    'a brown house on the roadside right of a green car'
    """

    family, default = "captions", 96
    words = tuple(sorted({word for phrase in (*PREPOSITIONS.values(), *ON_GRASS.values(), *RELATIONS, *THINGS, "a an at dusk",
                                              *(name for kind in PLACED.values() for name in kind.colors))
                          for word in phrase.split()}))

    def draw(self, draws, index):
        count = draws.integer(1, 3)
        while True:                                       # again, where chance found room for nothing
            drawing = paint_scene(draws, self.size, count, near=(0.4, 0.55), distinct=True)
            if drawing["things"]:
                return {**drawing, "first": draws.integer(0, len(drawing["things"]))}

    def example(self, drawing):
        return to_floats(drawing["image"]), caption(describe(drawing))

    @functools.cached_property
    def captions(self):
        """All captions, a list of strings."""
        return [caption(self.description(i)) for i in range(self.n)]

    def description(self, index):
        """What example `index` shows: a dict of light, relation (or None), and things, a dict each: kind, color, place, box."""
        return describe(self.drawing(index))


def describe(drawing):
    """The scene in words: things[0] stands in `relation` to things[1], if there is a second."""
    boxes = instances(drawing, False)["boxes"]
    order = [drawing["first"], *(k for k in range(len(drawing["things"])) if k != drawing["first"])]
    chosen = [drawing["things"][k] for k in order]
    things = [{"kind": thing.kind, "color": thing.color, "box": boxes[k],
               "place": PREPOSITIONS.get(thing.ground, ON_GRASS[drawing["place"]])} for k, thing in zip(order, chosen)]
    relation = relate(*chosen, drawing["image"].shape[2]) if len(chosen) == 2 else None
    return {"light": drawing["light"], "things": things, "relation": relation}


def relate(one, other, width):
    """How one thing stands to the other, of which at most one is in the sky: sides beat depth where they are a sixth apart."""
    if SKY in (one.ground, other.ground):
        return "above" if one.ground == SKY else "below"
    if abs(one.x - other.x) > width / 6:
        return "left of" if one.x < other.x else "right of"
    return "in front of" if one.base > other.base else "behind"


def caption(description):
    """The sentence for a description."""
    named = [named_thing(thing["kind"], thing["color"]) for thing in description["things"]]
    sentence = f"{named[0]} {description['things'][0]['place']}"
    if description["relation"]:
        sentence += f" {description['relation']} {named[1]}"
    return sentence + (" at dusk" if description["light"] == "dusk" else "")


def named_thing(kind, color):
    """A thing with article and colour: "an orange tree", "a person in red"."""
    if kind == "person":
        return f"a person in {color}"
    return f"{'an' if color[0] in 'aeiou' else 'a'} {color} {kind}"
