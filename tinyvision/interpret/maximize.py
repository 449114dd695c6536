"""Pictures that a class or a filter likes best, found by walking uphill from an empty picture.

    argmax over I of  S(I) - l2 |I - I0|^2 - tv * TV(I),       I0 empty

S is the score of a class, before the softmax, or the mean activation of a filter.  picture.py has the step, and what makes
pictures of noise.

Sources: Erhan et al. 2009, Visualizing higher-layer features of a deep network (activation maximisation); Simonyan, Vedaldi and
Zisserman 2013, arXiv:1312.6034, section 2; Yosinski et al. 2015, arXiv:1506.06579; Olah, Mordvintsev and Schubert 2017, Feature
visualization, doi:10.23915/distill.00007.
"""

import numpy as np

from ..autograd import no_grad
from ..nn.checks import at_least, whole
from ..ops.shapes import check_choice
from ..random import as_generator
from .picture import GREY, Ascent, Standard, as_shape, blurred, start_picture
from .record import check_model, dtype_of, evaluating, run, shown
from .target import Target


def maximize(model, target, shape, *, layer=None, start=None, steps=256, lr=0.02, jitter=4, blur=0.5, blur_every=8, smooth=2.0,
             l2=0.0, tv=0.0, mean=0.0, std=1.0, generator=None, callback=None):
    """Pictures that maximise a score: a class, or the mean activation of a filter.

    Shapes: shape (C, *S) of one picture -> (n, C, *S), brightness 0..1; n is 1, or the number of targets.
    target: k or a place (k, i, j), a list of several (a picture for each), or a function of the output (see target.py); layer: of
    which layer's output; target=k there means filter k.  start: brightness (C, *S) or (n, C, *S) to begin with, None for grey.
    steps, lr: their number, and the root mean square of what each adds to the brightness, in the second half less and less.
    jitter: pixels; blur: by so many pixels every `blur_every` steps, not in the last quarter; smooth: pixels by which the
    direction of a step is blurred at first, less and less towards the end; l2: weight of the squared distance from the start;
    tv: weight of the total variation.
    mean, std: what the network's inputs were standardised with, numbers or one per channel.
    callback: called as callback(step, pictures, scores (n,)) after each step, scores being those before it.
    generator: a numpy.random.Generator or a seed for noise and jitter; None for the engine's.
    Raises ValueError for numbers out of range, targets and layers that do not exist, and shapes the network refuses.
    Source: Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034, section 2.

    >>> from tinyvision import models
    >>> pictures = maximize(models.LeNet5(), [3, 8], (1, 28, 28), steps=2, generator=0)
    >>> pictures.shape, bool(pictures.min() >= 0), bool(pictures.max() <= 1)
    ((2, 1, 28, 28), True, True)
    """
    who = "maximize"
    check_model(who, model)
    shape = as_shape(who, shape)
    whole(who, steps=steps, blur_every=blur_every)
    at_least(who, 0, blur=blur, smooth=smooth)
    if target is None:
        raise ValueError(f"{who}: target must say what to maximise: a class, a filter with layer, or a function.")
    count = 1 if callable(target) or isinstance(target, tuple) or np.ndim(target) == 0 else len(target)
    chosen, generator = Target(who, target, count), as_generator(who, generator)
    standard = Standard(who, mean, std, shape[0], dtype_of(model), len(shape) - 1)
    x = start_picture(who, model, start, count, shape, generator)
    ascent = Ascent(who, model, chosen, standard, layer=layer, lr=lr, jitter=jitter, l2=l2, tv=tv,
                    origin=GREY if start is None else x, generator=generator)
    with evaluating(model):
        for i in range(steps):
            left = 1 - i / steps
            x, scores = ascent.step(x, smooth * left, min(1.0, 2 * left))
            if (i + 1) % blur_every == 0 and i < 0.75 * steps:
                x = blurred(who, x, blur)
            if callback is not None:
                callback(i, x, scores)
    return x


def filter_pictures(model, layer, shape, *, filters=None, place="mean", batch_size=32, **options):
    """For each filter of a layer the picture that maximises its activation.

    Shapes: shape (C, *S) of one picture -> (n, C, *S), brightness 0..1.
    layer: the path of a layer whose output is (N, K, *O); filters: which of the K, None for all.
    place: "mean", the mean over all places, which fills the picture with a texture, or "middle", the place in the middle alone,
    which draws one thing, as large as the receptive field.
    batch_size: how many pictures are sought at a time; options: those of maximize.
    Raises ValueError for filters that the layer does not have, and as maximize.
    Source: Erhan et al. 2009; Zeiler and Fergus 2013, arXiv:1311.2901, figure 2 (what such pictures are compared with).

    >>> from tinyvision import models
    >>> filter_pictures(models.LeNet5(), "conv1", (1, 28, 28), steps=2).shape
    (6, 1, 28, 28)
    """
    who = "filter_pictures"
    check_model(who, model)
    shape = as_shape(who, shape)
    whole(who, batch_size=batch_size)
    generator = as_generator(who, options.pop("generator", None))
    check_choice(who, "place", place, ("mean", "middle"))
    with evaluating(model), no_grad():
        _, K, *sizes = run(who, model, shown(model, np.zeros((1, *shape), dtype_of(model))), [layer])[1][layer].shape
    filters = [*(range(K) if filters is None else filters)]
    if not filters:
        raise ValueError(f"{who}: filters must name at least one, got none.")
    middle = tuple(n // 2 for n in sizes)
    targets = [(k, *middle) for k in filters] if place == "middle" else filters
    parts = [targets[a:a + batch_size] for a in range(0, len(targets), batch_size)]
    return np.concatenate([maximize(model, part, shape, layer=layer, generator=generator, **options) for part in parts])
