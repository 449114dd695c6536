"""Feature inversion: a picture that a layer cannot tell from a given one, which shows what the layer still knows of it.

With Phi the output of the layer and Phi0 that for the picture, minimise over x

    |Phi(x) - Phi0|^2 / |Phi0|^2  +  alpha * mean |x - 1/2|^6 / (1/2)^6  +  tv * mean over neighbours of squared differences

The first term is 1 for a layer that sees nothing.  The second keeps the brightness in its range, the third stands for what
photographs have in common; their weights are for pictures of any size.  The deeper the layer, the more remains open: colours
fade, places move, and the classes stay.

Source: Mahendran and Vedaldi 2014, Understanding deep image representations by inverting them, arXiv:1412.0035, equations 2
to 4 and section 3 (with the power 6; squared differences are its beta = 2).
"""

import numpy as np

from ..autograd import enable_grad, no_grad
from ..nn.checks import at_least, positive, whole
from ..ops.device import on_host
from ..optim import Adam
from ..random import as_generator
from ..tensor import Parameter, raw
from .picture import GREY, Standard, check_brightness, start_picture, total_variation
from .record import as_batch, check_model, evaluating, run, shown


def invert_features(model, images, layer, *, start=None, steps=400, lr=0.05, alpha=0.01, tv=1.0, mean=0.0, std=1.0,
                    generator=None, callback=None):
    """Pictures with which a layer's output is nearly that for the given ones.

    Shapes: images (N, C, *S), brightness 0..1 -> the same, 0..1.
    layer: the path of the layer.  start: brightness to begin with, (C, *S) or (N, C, *S); None for grey with a little noise.
    steps, lr: of Adam; the rate falls to a tenth in the last half.  alpha, tv: weights of the two penalties.
    mean, std: what the network's inputs were standardised with, numbers or one per channel.
    callback: called as callback(step, error) after each step, error (N,) being |Phi(x) - Phi0|^2 / |Phi0|^2 before it.
    generator: a numpy.random.Generator or a seed for the noise; None for the engine's.
    Raises ValueError for brightness outside 0..1, numbers out of range, layers that do not exist or give zeros only.
    Source: Mahendran and Vedaldi 2014, arXiv:1412.0035.

    >>> from tinyvision import models
    >>> x = invert_features(models.LeNet5(), np.full((2, 1, 28, 28), 0.5, "float32"), "conv1", steps=2, generator=0)
    >>> x.shape, bool(0 <= x.min()), bool(x.max() <= 1)
    ((2, 1, 28, 28), True, True)
    """
    who = "invert_features"
    check_model(who, model)
    whole(who, steps=steps)
    positive(who, lr=lr)
    at_least(who, 0, alpha=alpha, tv=tv)
    images, generator = as_batch(who, model, images), as_generator(who, generator)
    check_brightness(who, "images", images)
    shape = images.shape[1:]
    standard = Standard(who, mean, std, shape[0], images.dtype, len(shape) - 1)
    x = Parameter(raw(shown(model, start_picture(who, model, start, len(images), shape, generator, noise=0.05))))
    optimizer = Adam([x], lr=lr)
    with evaluating(model), enable_grad():
        wanted, size = features_of(who, model, standard(images), layer)
        for i in range(steps):
            optimizer.param_groups[0]["lr"] = lr * 0.1 ** max(0.0, 2 * i / steps - 1)
            d = run(who, model, standard(x), [layer])[1][layer] - wanted
            error = (d * d).sum(axis=tuple(range(1, d.ndim))) / size
            loss = error + alpha * outside(x) + tv * total_variation(x) / (x.size / len(x))
            optimizer.zero_grad()
            loss.sum().backward(inputs=[x])
            optimizer.step()
            if callback is not None:
                callback(i, np.array(on_host(error)))
    return np.clip(on_host(x), 0, 1)


def features_of(who, model, z, layer):
    """Phi0 and its squared length for each picture."""
    with no_grad():
        wanted = run(who, model, shown(model, z), [layer])[1][layer].detach()
    size = (wanted * wanted).sum(axis=tuple(range(1, wanted.ndim)))
    if not (on_host(size) > 0).all():
        raise ValueError(f"{who}: the output of {layer!r} is zero everywhere for picture {int(size.argmin())}, so nothing can "
                         "be told from it. Name another layer.")
    return wanted, size


def outside(x):
    """The mean of (|x - 1/2| / (1/2))^6: 1 at black and white, little within, much outside."""
    d = (x - GREY) / GREY
    d = d * d
    return (d * d * d).mean(axis=tuple(range(1, x.ndim)))
