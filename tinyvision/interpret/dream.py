"""Deep dream: a photograph in which a layer sees more and more of what it knows.

Instead of an empty picture the walk uphill begins at a photograph, and maximises whatever the layer already found there:

    S(I) = mean over all channels and places of A^2 / 2            dS/dA is A itself: the strong become stronger

Done on the photograph alone, all that appears is as small as a filter's field.  So it is done from a small copy of the picture
upwards, octave by octave; what the dream added to one octave is enlarged and laid over the next, sharper copy.

    for each octave, from small to large:
        base = photograph in this size,   detail = what was added so far, enlarged
        x = base + detail,   steps uphill,   detail = x - base

Source: Mordvintsev, Olah and Tyka 2015, Inceptionism: going deeper into neural networks (Google research blog), and its code.
"""

import numpy as np

from .. import functional as F
from ..nn.checks import at_least, real, whole
from ..ops.device import on_host
from ..ops.resample import LINEAR
from .picture import Ascent, Standard, check_brightness
from .record import as_batch, check_model, evaluating
from .target import Target, over_places


def deep_dream(model, image, layer, *, target=None, octaves=4, octave_scale=1.4, steps=16, lr=0.015, jitter=16,
               smooth=1.0, tv=0.0, mean=0.0, std=1.0, generator=None):
    """A photograph, changed so that a layer's activations grow.

    Shapes: image (C, H, W) or (N, C, H, W), brightness 0..1 -> the same, 0..1.
    layer: whose activations grow.  target: of that layer, as in target.py: k for one filter, or a function; None for half the
    mean of the squares of all activations.
    octaves, octave_scale: how many sizes, and the ratio of one to the next; the smallest still has to fit the network.
    steps: of each octave; lr: the root mean square of what a step adds; jitter: pixels; smooth: pixels by which the direction is
    blurred at the beginning of an octave, less and less towards its end; tv: weight of the total variation.
    mean, std: what the network's inputs were standardised with, numbers or one per channel.
    generator: a numpy.random.Generator or a seed for the jitter; None for the engine's.
    Raises ValueError for brightness outside 0..1, numbers out of range and layers that do not exist, and what the network
    raises where it takes pictures of one size only (then use octaves=1).
    Source: Mordvintsev, Olah and Tyka 2015.

    >>> from tinyvision import models
    >>> photograph = np.random.default_rng(0).random((3, 32, 40), np.float32)
    >>> deep_dream(models.resnet20(), photograph, "layer1", steps=1, octaves=2, generator=0).shape
    (3, 32, 40)
    """
    who = "deep_dream"
    check_model(who, model)
    whole(who, octaves=octaves, steps=steps)
    at_least(who, 0, smooth=smooth)
    real(who, octave_scale=octave_scale)
    if octave_scale <= 1:
        raise ValueError(f"{who}: octave_scale must be above 1, got {octave_scale}. It says how much larger each octave is.")
    image = np.asarray(on_host(image))
    single = image.ndim < 4
    photograph = as_batch(who, model, image[None] if single else image)
    check_brightness(who, "image", photograph)
    chosen = strength if target is None else Target(who, target, len(photograph))
    standard = Standard(who, mean, std, photograph.shape[1], photograph.dtype, photograph.ndim - 2)
    ascent = Ascent(who, model, chosen, standard, layer=layer, lr=lr, jitter=jitter, tv=tv, generator=generator)
    with evaluating(model):
        x = dreamt(ascent, photograph, [octave_scale ** -octave for octave in reversed(range(octaves))], steps, smooth)
    return x[0] if single else x


def dreamt(ascent, photograph, scales, steps, smooth):
    """The photograph after steps uphill in each of these sizes, which are shares of its own, the last 1."""
    detail = None
    for scale in scales:
        sizes = tuple(max(1, round(n * scale)) for n in photograph.shape[2:])
        base = resized(photograph, sizes)
        x = base if detail is None else np.clip(base + resized(detail, sizes), 0, 1)
        for i in range(steps):
            x, _ = ascent.step(x, smooth * (1 - i / steps))
        detail = x - base
    return x


def strength(output):
    """Half the mean of the squared activations of each picture, (N,)."""
    return over_places(output * output) / 2


def resized(x, sizes):
    """Pictures (N, C, *S) in other sizes, smoothed before they are shrunk."""
    if x.shape[2:] == sizes:
        return x
    n = x.ndim - 2
    return F.interpolate(x, size=sizes, mode=LINEAR[n], antialias=n == 2)
