"""Short videos of one moving thing, by its motion: what no single picture can tell.

A shape of any kind and colour moves before a still, textured ground: left, right, up, down, it comes nearer or goes away, turns
one way or the other.  Every frame by itself is just a shape somewhere; the class lies in the order of the frames, which a
3-D convolution over time sees.  The camera shakes a little, the light flickers, and each frame has noise of its own.
"""

import functools

import numpy as np

from .base import Generated, check_integer, to_bytes, to_floats
from .drawing import Canvas, turned
from .shapes import background, clutter, outline, two_colors
from .textures import blur, light, sensor, texture

VERSION = 1
CLASSES = ("left", "right", "up", "down", "nearer", "away", "clockwise", "counterclockwise")
ASYMMETRIC = (2, 3, 7, 8)                                 # crescent, triangle, heart, arrow: shapes whose turning shows


class MotionClassification(Generated):
    """Videos of a moving shape; the class is the motion.

    Shapes: example (video, label): video (3, T, H, W), float32, 0..1, the axis order of Conv3d; label 0..7, index into
    `.classes`.  frames: T, at least 4.  Any 8 videos that start at a multiple of 8 have every class once.
    `.videos` (N, 3, T, H, W), `.labels` (N,).
    Raises as Generated does; the smallest size is 24.

    >>> video, label = MotionClassification(8, 32)[0]
    >>> video.shape, MotionClassification.classes[label]
    ((3, 8, 32, 32), 'down')
    """

    family, VERSION, least, default, classes = "motion", VERSION, 24, 32, CLASSES

    def __init__(self, n, size=None, seed=0, *, frames=8, train=True, cache=True):
        super().__init__(n, size, seed, train=train, cache=cache)
        self.frames = check_integer(self.name, "frames", frames, 4, 256)

    def label(self, index):
        """The class of example `index`."""
        return self.balanced(index, len(CLASSES))

    def draw(self, draws, index):
        label, least, (height, width) = self.label(index), min(self.size), self.size
        ground, main = background(draws, height, width)
        still = Canvas(ground)
        clutter(draws, still, draws.integer(0, 5))
        first, second = two_colors(draws, unlike=main)
        shape, shape_key = draws.choice(ASYMMETRIC), draws.integer(0, 2 ** 32)
        radius, angle, pace = draws.uniform(0.16, 0.24) * least, draws.uniform(0, 2 * np.pi), draws.uniform(0.28, 0.5)
        x, y = draws.uniform(0.38, 0.62) * width, draws.uniform(0.38, 0.62) * height
        lamp, frames = light(draws, self.size, 0.4) * draws.uniform(0.85, 1.1), []
        haze, noise = draws.uniform(0.3, 0.7), draws.uniform(0.01, 0.04)
        for k in range(self.frames):
            time = k / (self.frames - 1) - 0.5                            # from -1/2 to 1/2
            dx, dy = pace * time * np.array({0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}.get(label, (0, 0)))
            size = radius * (1 + 1.6 * pace * time * {4: 1, 5: -1}.get(label, 0))
            turn = angle + 4 * pace * time * {6: 1, 7: -1}.get(label, 0)
            canvas = Canvas(still.image)
            shake = draws.uniform(-0.4, 0.4, 2)
            where, px, py = canvas.window(x + dx * width + shake[0], y + dy * height + shake[1], 1.45 * size)
            u, v = (axis / size for axis in turned(px, py, turn))
            distance = size * outline(self.draws(index, shape_key, 1), shape, u, v)
            fill = texture(self.draws(index, shape_key, 2), u * radius, v * radius, 0.6 * radius, first, second)
            canvas.paint(where, distance, fill)
            image = blur(canvas.image * lamp * draws.uniform(0.96, 1.04), haze)
            frames.append(to_bytes(sensor(draws, np.clip(image, 0, 1), noise)))
        return {"image": np.stack(frames, axis=1), "label": label}

    def example(self, drawing):
        return to_floats(drawing["image"]), drawing["label"]

    @functools.cached_property
    def videos(self):
        """All videos, (N, 3, T, H, W), float32."""
        return to_floats(self.column("image"))

    @functools.cached_property
    def labels(self):
        """All class indices, (N,), int64."""
        return np.array([self.label(i) for i in range(self.n)], np.int64)
