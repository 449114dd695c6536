"""Which pixels speak for a score: the gradient of the score with respect to the picture, and better averages of it.

    saliency               w = dS/dI at the picture: how S changes when a pixel does
    smooth_grad            the mean of w over copies of the picture with noise: w jumps where ReLUs switch, its mean does not
    integrated_gradients   (I - I0) * mean of w on the straight way from a baseline I0 to I

The last one adds up to what it explains, for along the way dS = w . dI:

    sum over pixels of A  =  S(I) - S(I0)             (completeness)

The integral is taken at the middles of `steps` equal pieces.  That is exact where w is linear in the way, hence for linear and
quadratic S, and otherwise `completeness_error` says what is missing.

Sources: Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034, section 3; Smilkov et al. 2017, arXiv:1706.03825;
Sundararajan, Taly and Yan 2017, arXiv:1703.01365, equation 1 and proposition 1.
"""

import numpy as np

from ..autograd import enable_grad, grad, no_grad
from ..nn.checks import at_least, whole
from ..ops.device import on_host
from ..ops.shapes import check_choice
from ..random import as_generator, draw_normal
from .record import as_batch, check_model, evaluating, shown
from .rules import apply_rule
from .target import decided, output_of


def gradient_of(who, model, x, target, layer, rule="gradient"):
    """dS/dx for some pictures, an array of x's shape, by a rule; no parameter's `.grad` is touched."""
    x = shown(model, x, requires_grad=True)
    with enable_grad():
        scores = target(output_of(who, model, x, layer)).sum()
    apply_rule(who, scores, rule)
    (g,) = grad(scores, x)
    return on_host(g)


def scores_of(who, model, x, target, layer, batch_size):
    """S for pictures, an array (N,)."""
    found = []
    with no_grad():
        for start in range(0, len(x), batch_size):
            rows = np.arange(start, min(start + batch_size, len(x)))
            found.append(on_host(target.choose(rows)(output_of(who, model, shown(model, x[rows]), layer))))
    return np.concatenate(found)


def prepared(who, model, images, target, layer, batch_size):
    """What all begin with, in evaluation mode: pictures as an array, and the target decided for each."""
    x = as_batch(who, model, images)
    whole(who, batch_size=batch_size)
    return x, decided(who, model, x, target, layer, batch_size)


def saliency(model, images, target=None, *, layer=None, rule="gradient", batch_size=32):
    """The gradient of a score with respect to the picture, w = dS/dI.

    Shapes: images (N, C, *S), floats, as the network takes them -> the same; signed, in score per unit of the input.
    target: a class index, one for each picture, a place (channel, row, column), or a function of the output (see target.py);
    None for the class with the largest score of each picture.  layer: read the target from this layer's output instead.
    rule: "gradient", "guided" or "deconvnet" (see rules.py).  Modes are as before afterwards, gradients untouched.
    Raises ValueError for layers, targets and rules that do not exist, RuntimeError where S does not depend on the picture.
    Source: Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034, section 3.

    >>> from tinyvision import nn
    >>> linear = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> w = saliency(linear, np.zeros((1, 1, 2, 2), "float32"), 1)
    >>> np.array_equal(w.ravel(), linear[1].weight.data[1])
    True
    """
    who = "saliency"
    check_model(who, model)
    with evaluating(model):
        x, chosen = prepared(who, model, images, target, layer, batch_size)
        parts = [np.arange(start, min(start + batch_size, len(x))) for start in range(0, len(x), batch_size)]
        return np.concatenate([gradient_of(who, model, x[rows], chosen.choose(rows), layer, rule) for rows in parts])


def guided_backprop(model, images, target=None, *, layer=None, batch_size=32):
    """Guided backpropagation: `saliency` by the rule that only what speaks for the score passes the rectifiers.

    Shapes: images (N, C, *S) -> the same, signed.  All else as in saliency.
    The pictures are sharp, but look much the same whatever the class and the upper weights are: see randomization_check.
    Source: Springenberg et al. 2014, arXiv:1412.6806.

    >>> from tinyvision import models
    >>> guided_backprop(models.LeNet5(), np.ones((2, 1, 28, 28), "float32"), 3).shape
    (2, 1, 28, 28)
    """
    return saliency(model, images, target, layer=layer, rule="guided", batch_size=batch_size)


def deconvnet(model, images, target=None, *, layer=None, batch_size=32):
    """The deconvolutional network's reconstruction: `saliency` by the rule that rectifies what comes back.

    Shapes: images (N, C, *S) -> the same, signed.  All else as in saliency; with layer and target=k, what filter k reacts to.
    Source: Zeiler and Fergus 2013, arXiv:1311.2901, section 2.1.

    >>> from tinyvision import models
    >>> deconvnet(models.LeNet5(), np.ones((2, 1, 28, 28), "float32"), 3, layer="conv2").shape
    (2, 1, 28, 28)
    """
    return saliency(model, images, target, layer=layer, rule="deconvnet", batch_size=batch_size)


def smooth_grad(model, images, target=None, *, samples=32, noise=0.1, layer=None, rule="gradient", generator=None,
                batch_size=32):
    """The mean of the gradient over noisy copies of the picture.

    Shapes: images (N, C, *S) -> the same, signed.
    samples: copies of each picture; noise: the standard deviation of the Gaussian noise, as a share of the picture's range
    (its largest value minus its smallest).  generator: a numpy.random.Generator or a seed; None for the engine's.
    target, layer, rule: as in saliency; None is decided on the picture without noise.
    Raises ValueError for samples < 1 and noise < 0, and as saliency.
    Source: Smilkov et al. 2017, arXiv:1706.03825; 10% to 20% of noise there.

    >>> from tinyvision import models
    >>> w = smooth_grad(models.LeNet5(), np.eye(28, dtype="float32")[None, None], samples=4, generator=0); w.shape
    (1, 1, 28, 28)
    """
    who = "smooth_grad"
    check_model(who, model)
    whole(who, samples=samples)
    at_least(who, 0, noise=noise)
    generator = as_generator(who, generator)
    with evaluating(model):
        x, chosen = prepared(who, model, images, target, layer, batch_size)
        total = np.zeros_like(x)
        for i, picture in enumerate(x):
            spread = noise * (picture.max() - picture.min())
            for start in range(0, samples, batch_size):
                count = min(batch_size, samples - start)
                noisy = picture + spread * draw_normal(generator, (count, *picture.shape), x.dtype)
                total[i] += gradient_of(who, model, noisy, chosen.choose([i] * count), layer, rule).sum(axis=0)
        return total / samples


def integrated_gradients(model, images, target=None, *, baseline=0.0, steps=64, layer=None, batch_size=32):
    """Gradients along the straight way from a baseline to the picture, times the way: every pixel's share of the score.

    Shapes: images (N, C, *S) -> the same, signed, in units of the score; a picture's shares add up to S(I) - S(I0).
    baseline: I0, a number or an array that broadcasts to the images: a picture without content, in the network's input values
    (black is (0 - mean) / std there).  steps: pieces of the way.  target, layer: as in saliency.
    Raises ValueError for a baseline of another shape and steps < 1, and as saliency.
    Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365.

    >>> from tinyvision import nn
    >>> linear = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)); x = np.ones((1, 1, 2, 2), "float32")
    >>> np.allclose(integrated_gradients(linear, x, 0).ravel(), linear[1].weight.data[0])      # weight times pixel
    True
    """
    who = "integrated_gradients"
    check_model(who, model)
    whole(who, steps=steps)
    with evaluating(model):
        x, chosen = prepared(who, model, images, target, layer, batch_size)
        start = as_baseline(who, baseline, x)
        middles = ((np.arange(steps) + 0.5) / steps).astype(x.dtype).reshape((-1,) + (1,) * (x.ndim - 1))
        total = np.zeros_like(x)
        for i in range(len(x)):
            for a in range(0, steps, batch_size):
                on_the_way = start[i] + middles[a:a + batch_size] * (x[i] - start[i])
                total[i] += gradient_of(who, model, on_the_way, chosen.choose([i] * len(on_the_way)), layer).sum(axis=0)
        return (x - start) * total / steps


def as_baseline(who, baseline, x):
    """The baseline in the pictures' shape and dtype."""
    array = np.asarray(on_host(baseline))
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{who}: baseline must be a number or an array of them, got {type(baseline).__name__}.")
    try:
        return np.broadcast_to(array.astype(x.dtype), x.shape)
    except ValueError as error:
        raise ValueError(f"{who}: baseline must be a number, or broadcast to the images {x.shape}, got shape {array.shape}. "
                         "A colour is (C, 1, 1).") from error


def completeness_error(model, images, shares, target=None, *, baseline=0.0, layer=None, batch_size=32):
    """How far the shares of a picture's pixels are from adding up to the score: sum of A - (S(I) - S(I0)).

    Shapes: images and shares (N, C, *S) -> (N,), signed, in units of the score.  0 where the attribution is complete; compare
    it with the score itself, and take more steps where it is too large.
    baseline, target, layer: those that the shares were computed with.
    Raises ValueError where shares and images differ in shape, and as saliency.
    Source: Sundararajan, Taly and Yan 2017, arXiv:1703.01365, section 5 ("within 5%").

    >>> from tinyvision import manual_seed, models
    >>> _ = manual_seed(0); net, x = models.LeNet5(), np.eye(28, dtype="float32")[None, None]
    >>> abs(completeness_error(net, x, integrated_gradients(net, x, 3), 3)) < 1e-3
    array([ True])
    """
    who = "completeness_error"
    check_model(who, model)
    with evaluating(model):
        x, chosen = prepared(who, model, images, target, layer, batch_size)
        shares = np.asarray(on_host(shares))
        if shares.shape != x.shape:
            raise ValueError(f"{who}: shares must have the images' shape {x.shape}, got {shares.shape}.")
        start = np.ascontiguousarray(as_baseline(who, baseline, x))
        gained = [scores_of(who, model, pictures, chosen, layer, batch_size).astype(np.float64) for pictures in (x, start)]
        return shares.astype(np.float64).sum(axis=tuple(range(1, x.ndim))) - (gained[0] - gained[1])


def heat(attribution, *, channels="max", percentile=99.0):
    """Attributions of pixels and channels as one picture each, from 0 to 1, for looking at.

    Shapes: attribution (N, C, *S) -> (N, *S), in 0..1.
    channels: "max", the largest absolute value over the channels (Simonyan), "sum", the sum of the absolute values, or
    "positive", the sum's positive part.  percentile: of each map, the value that becomes 1; larger ones are cut (SmoothGrad
    has 99), so that single pixels do not hide all others.
    Raises ValueError for another word, for a percentile outside 0..100 and for fewer than three axes.

    >>> heat(np.array([[[[1.0, -2.0]], [[0.0, 4.0]]]]), percentile=100)
    array([[[0.25, 1.  ]]])
    """
    check_choice("heat", "channels", channels, ("max", "sum", "positive"))
    a = np.asarray(on_host(attribution))
    if a.ndim < 3 or a.dtype.kind != "f":
        raise ValueError(f"heat: attribution must hold floats (N, C, ...), got {a.dtype} of shape {a.shape}. Maps that have no "
                         "channel axis are ready for viz.heat_maps.")
    at_least("heat", 0, percentile=percentile)
    if percentile > 100:
        raise ValueError(f"heat: percentile must lie in 0..100, got {percentile}.")
    maps = {"max": lambda: np.abs(a).max(axis=1), "sum": lambda: np.abs(a).sum(axis=1),
            "positive": lambda: np.maximum(a.sum(axis=1), 0)}[channels]()
    top = np.percentile(maps.reshape(len(maps), -1), percentile, axis=1).reshape((-1,) + (1,) * (maps.ndim - 1))
    top = np.where(top > 0, top, maps.max(axis=tuple(range(1, maps.ndim)), keepdims=True))
    return np.clip(maps / np.where(top > 0, top, 1), 0, 1)
