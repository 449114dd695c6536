"""A specification in Python: functions for inputs, for the reference, and for a whole check."""

import numpy as np

from tinyvision.gradcheck import check_pair


def points_on_a_circle(rng, draw):
    angle = rng.uniform(0, 2 * np.pi, size=5 + draw)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1),


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def slope_at_zero(module, rng):
    """What the course agreed on: the slope at 0 is 0.1."""
    _, cache = module.leaky_forward(np.zeros(3))
    share = float(np.mean(module.leaky_backward(np.ones(3), cache) == 0.1))
    return share, "The slope at 0 is 0.1 in this course."


def in_one_dimension(module, rng):
    return check_pair(module.leaky_forward, module.leaky_backward, rng.normal(size=6))


SPEC = {"title": "Leaky", "exercise": [{"name": "leaky", "file": "layers.py", "check": [
    {"kind": "pair", "forward": "leaky_forward", "backward": "leaky_backward", "points": 2, "inputs": points_on_a_circle,
     "reference": leaky},
    {"kind": "custom", "title": "slope at 0", "points": 1, "check": slope_at_zero},
    {"kind": "custom", "title": "one dimension", "points": 1, "check": in_one_dimension},
]}]}
