"""Receptive fields: which pixels a value of a layer depends on, exactly, and how strongly, measured.

Exactly: the graph of one forward pass is followed from the value back to the picture, op by op, with sets of indices instead
of numbers (fields.py).  For a chain of windows with kernels k, strides s and dilations d this is the known recursion

    size = 1 + sum over layers of (k - 1) d * (product of the strides before),      step = product of all strides

and it holds as well for sums of branches, for U-Net's bridges, and for global pooling, which sees everything.

Measured: the gradient of the value with respect to the picture, averaged over pictures of noise.  Where it is not zero lies the
field (its holes, too); how it falls off towards the border shows how small the part is that really matters.

Sources: Araujo, Norris and Sim 2019, doi:10.23915/distill.00021; Luo et al. 2017, arXiv:1701.04128 (the effective field).
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np

from ..autograd import enable_grad, grad
from ..kernels.registry import use_kernels
from ..nn.checks import whole
from ..ops.device import on_host
from ..random import as_generator, draw_normal
from ..tensor import Tensor
from .fields import clipped, every, fields_of, united
from .picture import as_shape
from .record import check_model, dtype_of, evaluating, run, shown


@dataclass
class ReceptiveField:
    """The fields of all places of a layer's maps in a picture; intervals are half-open, [start, stop), in pixels.

    image, units: the sizes of picture and maps.  For each axis of the picture, one row (start, stop) for each place along it:
    frames as the windows stand, also outside of the picture, in the padding; boxes what lies inside and is really used.
    A layer without maps, a vector, has one place.

    >>> from tinyvision import models
    >>> field = receptive_field(models.LeNet5(), "conv2", (1, 28, 28)); field
    ReceptiveField(layer='conv2', image=(28, 28), units=(10, 10))
    >>> field.frame(0, 9), field.box(0, 9)                # the network pads by two pixels
    (((-2, 12), (16, 30)), ((0, 12), (16, 28)))
    """

    layer: str
    image: tuple
    units: tuple
    frames: list = field(repr=False)
    boxes: list = field(repr=False)

    @property
    def size(self):
        """Pixels along each axis, of the largest frame."""
        return tuple(int((rows[:, 1] - rows[:, 0]).max()) for rows in self.frames)

    @property
    def step(self):
        """Pixels from the field of one place to the next along each axis; None where that differs, 0 where it never moves."""
        steps = [np.unique(np.diff(rows[:, 0])) for rows in self.frames]
        return tuple(0 if not len(s) else int(s[0]) if len(s) == 1 else None for s in steps)

    def frame(self, *place):
        """((start, stop), ...) of one place, where the windows stand."""
        return self.at(self.frames, place)

    def box(self, *place):
        """((start, stop), ...) of one place, inside the picture: the smallest box around all pixels it depends on."""
        return self.at(self.boxes, place)

    def at(self, rows, place):
        if len(place) != len(self.units) or any(not 0 <= i < n for i, n in zip(place, self.units)):
            raise ValueError(f"receptive_field: a place in {self.layer!r} is {len(self.units)} indices inside of {self.units}, "
                             f"got {place}.")
        place = place if len(place) == len(rows) else (0,) * len(rows)
        return tuple((int(axis[i, 0]), int(axis[i, 1])) for axis, i in zip(rows, place))


def receptive_field(model, layer, shape):
    """The part of the picture that each place of a layer depends on, exactly, from the structure of the network.

    Shapes: shape (C, *S) of one picture.  Returns a ReceptiveField: size and step along each axis, box and frame of a place.
    layer: its path; axis i of its maps belongs to axis i of the picture.  Evaluation mode; weights and values play no part.
    Raises ValueError for operations of which the structure does not say what they depend on (grid sampling, unpooling),
    and for a layer that does not depend on the picture.
    Source: Araujo, Norris and Sim 2019, doi:10.23915/distill.00021.

    >>> from tinyvision import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, dilation=2))
    >>> field = receptive_field(net, "2", (1, 32, 32))
    >>> field.size, field.step, field.frame(0, 0), field.box(0, 0)
    ((12, 12), (2, 2), ((-1, 11), (-1, 11)), ((0, 11), (0, 11)))
    """
    who = "receptive_field"
    check_model(who, model)
    shape = as_shape(who, shape)
    x = shown(model, np.zeros((1, *shape), dtype_of(model)), requires_grad=True)
    with evaluating(model), enable_grad(), np.errstate(all="ignore"):
        y = run(who, model, x, [layer])[1][layer]
    image, units = shape[1:], y.shape[2:]
    if len(units) not in (0, len(image)):
        raise ValueError(f"{who}: the maps of {layer!r} must have the picture's {len(image)} axes, or none, got shape {y.shape}.")
    on_the_way, frames, boxes = depending(y, x), [], []
    for i in range(max(units, default=1)):                # the axes do not mix: one place of each axis at a time
        place = [min(i, n - 1) for n in units]
        unit = every(y.shape[:2]) + [np.array([i]) for i in place]
        for found, inside in (frames, False), (boxes, True):
            used = traced(y, x, unit, on_the_way, inside)
            if used is None:
                raise ValueError(f"{who}: place {tuple(place)} of layer {layer!r} does not depend on the picture.")
            found.append([(int(s[0]), int(s[-1]) + 1) for s in used[2:]])
    return ReceptiveField(layer, image, units, *(by_axis(rows, units or (1,) * len(image)) for rows in (frames, boxes)))


def by_axis(found, units):
    """The intervals of the places on the diagonal, as an array (n, 2) for each axis."""
    return [np.array([box[axis] for box in found[:n]]) for axis, n in enumerate(units)]


def depending(y, x):
    """The tensors between y and x: those that are computed from x."""
    found, stack = {y}, [y]
    while stack:
        t = stack.pop()
        for z in t.op.inputs if t.op is not None else ():
            if isinstance(z, Tensor) and z not in found:
                found.add(z)
                stack.append(z)
    reached = {x}
    for t in sorted((t for t in found if t.op is not None), key=lambda t: -t._age):               # the oldest first
        if any(isinstance(z, Tensor) and z in reached for z in t.op.inputs):
            reached.add(t)
    return reached


def traced(y, x, sets, on_the_way, inside):
    """The indices of x that those of y are computed from, or None; inside: leave out the padding, at every op."""
    found, waiting = {y: sets}, [(y._age, y)] if y.op is not None else []
    while waiting:                                        # the youngest first: all that use a tensor have had their turn
        t = heappop(waiting)[1]
        sets = found.pop(t)
        if sets is None:
            continue
        for z, part in zip(t.op.inputs, fields_of(t.op, sets, t.shape)):
            if isinstance(z, Tensor) and z in on_the_way:
                part = clipped(part, z.shape) if inside and part is not None else part
                if z not in found and z.op is not None:
                    heappush(waiting, (z._age, z))
                found[z] = united(found.get(z), part)
    return found.get(x)


def measured_field(model, layer, shape, *, place=None, samples=32, generator=None):
    """How strongly one place of a layer depends on each pixel: the mean of |gradient| over pictures of noise.

    Shapes: shape (C, *S) of one picture -> (*S), at least 0; its largest value is 1.
    layer: its path; place: indices of the place in its maps, None for the middle.  samples: pictures with pixels from a normal
    distribution; for each the channels are weighed at random, so that they do not cancel.
    Pixels of the exact field can be missing where max pooling chose others in all samples; more samples find them.
    Raises ValueError for a place outside of the maps, and where no gradient reaches the picture.
    Source: Luo, Li, Urtasun and Zemel 2017, Understanding the effective receptive field, arXiv:1701.04128.

    >>> from tinyvision import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, dilation=2), nn.ReLU())
    >>> (measured_field(net, "1", (1, 5, 5), generator=0) > 0).astype(int)
    array([[1, 0, 1, 0, 1],
           [0, 0, 0, 0, 0],
           [1, 0, 1, 0, 1],
           [0, 0, 0, 0, 0],
           [1, 0, 1, 0, 1]])
    """
    who = "measured_field"
    check_model(who, model)
    shape = as_shape(who, shape)
    whole(who, samples=samples)
    generator, dtype, total = as_generator(who, generator), dtype_of(model), np.zeros(shape[1:])
    # compiled 3x3 convolutions leave rounding errors where nothing arrives, and here that must be zeros
    with use_kernels("reference"), evaluating(model), enable_grad():
        for _ in range(samples):
            x = shown(model, draw_normal(generator, (1, *shape), dtype), requires_grad=True)
            y = run(who, model, x, [layer])[1][layer]
            where = tuple(n // 2 for n in y.shape[2:]) if place is None else tuple(place)
            if len(where) != y.ndim - 2 or any(not 0 <= i < n for i, n in zip(where, y.shape[2:])):
                raise ValueError(f"{who}: place must be {y.ndim - 2} indices inside of {y.shape[2:]}, got {place}.")
            channels = y[(0, slice(None), *where)]
            (g,) = grad((channels * shown(model, draw_normal(generator, channels.shape, dtype))).sum(), x)
            total += np.abs(on_host(g))[0].sum(axis=0)
    if not total.any():
        raise ValueError(f"{who}: no gradient reaches the picture from place {where} of {layer!r}. Are its units dead?")
    return total / total.max()
