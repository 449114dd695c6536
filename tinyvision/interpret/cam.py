"""Grad-CAM and occlusion: where in the picture the evidence lies, coarser than by single pixels.

Grad-CAM weighs the channels A_k of a layer by the mean gradient of the score, and adds them up:

    a_k = mean over places of dS/dA_k          L = relu( sum over k of a_k A_k )

For a network whose head is global average pooling and one linear layer this is the class activation map, and a_k the weight of
the class divided by the number of places.  The deeper the layer, the more it knows and the coarser its map.

Occlusion needs no gradient: cover a part of the picture, and see how much of the score is lost.

Sources: Selvaraju et al. 2016, arXiv:1610.02391, equations 1 and 2; Zhou et al. 2015, arXiv:1512.04150 (class activation
maps); Zeiler and Fergus 2013, arXiv:1311.2901, section 4.2 (occlusion).
"""

from itertools import product

import numpy as np

from .. import functional as F
from ..autograd import enable_grad, grad
from ..nn.checks import flag, sizes
from ..ops.device import on_host
from ..ops.resample import LINEAR
from .gradients import as_baseline, prepared, scores_of
from .record import check_model, evaluating, run, shown


def grad_cam(model, images, layer, target=None, *, upsample=True, batch_size=32):
    """The places of a layer's maps that speak for a score (Grad-CAM).

    Shapes: images (N, C, *S) -> (N, *S), at least 0, in units of the score; with upsample=False (N, *O), the layer's sizes.
    layer: the path of a layer with maps, usually the last; of U-Net its bottom.  upsample: enlarge linearly to the picture.
    target: as in saliency.
    Raises ValueError where the layer's output has no places, RuntimeError where S does not depend on it.
    Source: Selvaraju et al. 2016, arXiv:1610.02391.

    >>> from tinyvision import models
    >>> net, x = models.resnet20().eval(), np.ones((2, 3, 32, 32), "float32")
    >>> grad_cam(net, x, "layer3").shape, grad_cam(net, x, "layer3", 5, upsample=False).shape
    ((2, 32, 32), (2, 8, 8))
    """
    who = "grad_cam"
    check_model(who, model)
    flag(who, upsample=upsample)
    maps = []
    with evaluating(model):
        x, chosen = prepared(who, model, images, target, None, batch_size)
        for start in range(0, len(x), batch_size):
            rows = np.arange(start, min(start + batch_size, len(x)))
            maps.append(class_map(who, model, x[rows], chosen.choose(rows), layer))
    maps = np.concatenate(maps)
    if not upsample:
        return maps
    n = x.ndim - 2
    if maps.ndim - 1 != n:
        raise ValueError(f"{who}: the maps of {layer!r} have {maps.ndim - 1} axes and the pictures {n}. Pass upsample=False.")
    return F.interpolate(maps[:, None], size=x.shape[2:], mode=LINEAR[n])[:, 0]


def class_map(who, model, x, target, layer):
    """relu(sum over k of a_k A_k), (n, *O)."""
    with enable_grad():
        output, found = run(who, model, shown(model, x, requires_grad=True), [layer], through=True)
        A = found[layer]
        if A.ndim < 3:
            raise ValueError(f"{who}: the output of {layer!r} must be maps (N, C, ...), got shape {A.shape}. Name a layer before "
                             "the picture becomes a vector.")
        scores = target(output).sum()
    (g,) = grad(scores, A)
    a = on_host(g).mean(axis=tuple(range(2, A.ndim)), keepdims=True)      # (n, K, 1, ..)
    return np.maximum((a * on_host(A)).sum(axis=1), 0)


def occlusion(model, images, target=None, *, size=8, stride=None, value=0.0, layer=None, batch_size=32):
    """How much of the score is lost when a part of the picture is covered: for every pixel the mean over the covers above it.

    Shapes: images (N, C, *S) -> (N, *S), in units of the score; positive where covering lowers the score.
    size: of the cover, in pixels, an int or one per axis; stride: pixels from one place of it to the next, at most its size, half
    of it for None; the last place ends with the picture, so every pixel is covered.
    value: what the cover shows, in the network's input values: a number, or an array that broadcasts to the images.
    Raises ValueError for a cover larger than the picture, for gaps between covers, and as saliency.
    Source: Zeiler and Fergus 2013, arXiv:1311.2901, section 4.2.

    >>> from tinyvision import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False)); x = np.ones((1, 1, 2, 2), "float32")
    >>> np.allclose(occlusion(net, x, 0, size=1).ravel(), net[1].weight.data[0])
    True
    """
    who = "occlusion"
    check_model(who, model)
    with evaluating(model):
        x, chosen = prepared(who, model, images, target, layer, batch_size)
        covers = places(who, x.shape[2:], size, stride)
        cover = as_baseline(who, value, x)
        before = scores_of(who, model, x, chosen, layer, batch_size)
        lost, count = np.zeros((len(x), *x.shape[2:]), x.dtype), np.zeros(x.shape[2:], x.dtype)
        for where in covers:
            count[where] += 1
        for i in range(len(x)):
            for start in range(0, len(covers), batch_size):
                part = covers[start:start + batch_size]
                scores = covered(who, model, x[i], cover[i], part, chosen.choose([i] * len(part)), layer, batch_size)
                for where, score in zip(part, scores):
                    lost[(i, *where)] += before[i] - score
        return lost / count


def covered(who, model, picture, cover, covers, target, layer, batch_size):
    """The scores of a picture with each of these places covered."""
    copies = np.repeat(picture[None], len(covers), axis=0)
    for copy, where in zip(copies, covers):
        copy[(slice(None), *where)] = cover[(slice(None), *where)]
    return scores_of(who, model, copies, target, layer, batch_size)


def places(who, shape, size, stride):
    """Where the cover stands: a tuple of slices for each place."""
    (size,) = sizes(who, len(shape), size=size)
    steps = tuple(max(1, k // 2) for k in size) if stride is None else sizes(who, len(shape), stride=stride)[0]
    for k, s, n in zip(size, steps, shape):
        if k > n:
            raise ValueError(f"{who}: size must not exceed the picture, got size {size} for {shape}. Use a smaller cover.")
        if s > k:
            raise ValueError(f"{who}: stride must not exceed size, or some pixels are never covered, got stride {steps} and size "
                             f"{size}.")
    starts = [sorted({*range(0, n - k + 1, s), n - k}) for k, s, n in zip(size, steps, shape)]
    return [tuple(slice(a, a + k) for a, k in zip(corner, size)) for corner in product(*starts)]
