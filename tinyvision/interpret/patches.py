"""What a filter reacts to, shown by the data themselves: of a whole set the patches with the largest activations.

Each picture offers, for each filter, its place with the largest activation; the best of all pictures are kept.  The patch is
what this place sees, its exact receptive field; what lies outside of the picture is filled with a number.

Source: Zeiler and Fergus 2013, arXiv:1311.2901, figure 2; Girshick et al. 2013, arXiv:1311.2524, section 3.1.
"""

from dataclasses import dataclass, field

import numpy as np

from ..autograd import no_grad
from ..nn.checks import whole
from ..ops.device import on_host
from .receptive import receptive_field
from .record import as_batch, check_model, evaluating, run, shown


@dataclass
class TopPatches:
    """The strongest patches of K filters, n of each, the strongest first.

    filters (K,): their channels; activations (K, n); pictures (K, n): the number of each patch's picture in the set; places
    (K, n, axes): where in the layer's maps; frames (K, n, axes, 2): start and stop in the picture, in pixels, which may lie
    outside of it; patches (K, n, C, *size), floats as the network takes them.

    >>> from tinyvision import nn
    >>> top = top_patches(nn.Sequential(nn.Conv2d(1, 2, 3)), np.ones((4, 1, 5, 5), "float32"), "0", count=3)
    >>> top.filters.tolist(), top.pictures[0].tolist(), top.frames[0, 0].tolist()
    ([0, 1], [0, 1, 2], [[0, 3], [0, 3]])
    """

    filters: np.ndarray
    activations: np.ndarray = field(repr=False)
    pictures: np.ndarray = field(repr=False)
    places: np.ndarray = field(repr=False)
    frames: np.ndarray = field(repr=False)
    patches: np.ndarray = field(repr=False)


def top_patches(model, images, layer, *, filters=None, count=9, fill=0.0, batch_size=32):
    """Of a set of pictures, the patches with the largest activations of each filter of a layer; at most one of each picture.

    images: (N, C, *S), or a data set: something with a length, whose examples are pictures (C, *S) of one size, or tuples that
    begin with one; floats, as the network takes them.
    layer: the path of a layer with maps (N, K, *O); filters: which of the K, None for all.
    count: patches for each filter, fewer where there are fewer pictures.  fill: for what lies outside of the picture.
    Returns TopPatches, with patches (K, count, C, *size) of the size of the receptive field.
    Raises ValueError for a layer without maps, filters that it does not have, and an empty set.
    Source: Zeiler and Fergus 2013, arXiv:1311.2901, figure 2.

    >>> from tinyvision import models
    >>> images = np.random.default_rng(0).random((20, 1, 28, 28), np.float32)
    >>> top = top_patches(models.LeNet5(), images, "conv2", count=3)
    >>> top.patches.shape, bool((np.diff(top.activations) <= 0).all())
    ((16, 3, 1, 14, 14), True)
    """
    who = "top_patches"
    check_model(who, model)
    whole(who, count=count, batch_size=batch_size)
    if len(images) == 0:
        raise ValueError(f"{who}: images must hold at least one picture, got none.")
    best, at = strongest(who, model, images, layer, batch_size)                               # (N, K), (N, K, axes)
    channels = np.arange(best.shape[1]) if filters is None else as_filters(who, filters, best.shape[1])
    order = np.argsort(-best[:, channels], axis=0, kind="stable")[:count].T                   # (K, n)
    places = at[order, channels[:, None]]                                                     # (K, n, axes)
    found = receptive_field(model, layer, np.shape(picture_at(images, 0)))
    frames = np.stack([rows[places[..., a]] for a, rows in enumerate(found.frames)], axis=-2)              # (K, n, axes, 2)
    starts = frames[..., 0].reshape(-1, frames.shape[-2])
    cut = [patch(picture_at(images, i), start, found.size, fill) for i, start in zip(order.ravel(), starts)]
    patches = np.stack(cut).reshape(*order.shape, *cut[0].shape)
    return TopPatches(channels, best[order, channels[:, None]], order, places, frames, patches)


def picture_at(images, i):
    """The picture of example i, an array (C, *S)."""
    example = images[int(i)]
    return np.asarray(on_host(example[0] if isinstance(example, (tuple, list)) else example))


def strongest(who, model, images, layer, batch_size):
    """For every picture and channel the largest activation, (N, K), and its place, (N, K, axes)."""
    best, at = [], []
    with evaluating(model), no_grad():
        for start in range(0, len(images), batch_size):
            part = np.stack([picture_at(images, i) for i in range(start, min(start + batch_size, len(images)))])
            y = on_host(run(who, model, shown(model, as_batch(who, model, part)), [layer])[1][layer])
            if y.ndim < 3:
                raise ValueError(f"{who}: the output of {layer!r} must be maps (N, K, ...), got shape {y.shape}. Name a layer "
                                 "before the picture becomes a vector.")
            flat = y.reshape(*y.shape[:2], -1)
            where = flat.argmax(axis=2)
            best.append(np.take_along_axis(flat, where[..., None], 2)[..., 0])
            at.append(np.stack(np.unravel_index(where, y.shape[2:]), axis=-1))
    return np.concatenate(best), np.concatenate(at)


def as_filters(who, filters, count):
    channels = np.asarray(filters)
    if channels.ndim != 1 or channels.dtype.kind not in "iu" or not channels.size:
        raise ValueError(f"{who}: filters must be a list of channels, got {filters!r}.")
    if channels.min() < 0 or channels.max() >= count:
        raise ValueError(f"{who}: filters must lie in 0..{count - 1}, got {channels.min()} to {channels.max()}.")
    return channels.astype(np.int64)


def patch(picture, start, size, fill):
    """The part of a picture (C, *S) of this size that begins at `start`, outside of the picture filled up."""
    cut = np.full((len(picture), *size), fill, picture.dtype)
    inside = [(max(a, 0), min(a + k, n)) for a, k, n in zip(start, size, picture.shape[1:])]
    to = tuple(slice(lo - a, hi - a) for (lo, hi), a in zip(inside, start))
    cut[(slice(None), *to)] = picture[(slice(None), *(slice(lo, hi) for lo, hi in inside))]
    return cut
