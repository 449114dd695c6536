"""What is to be explained: one number S for every picture, read off the output of the network or of one of its layers.

    target            output (N, K), a classifier       output (N, K, *O), a map: masks, or the channels of a layer
    None              the class with the largest score   refused, for it is not clear which
    k                 S = y[n, k]                        the mean of channel k over all places
    [k_1, ..., k_N]   a class of its own for each        a channel of its own for each
    (k, i, j)         refused                            the place (i, j) of channel k
    a function        S = f(y): Tensor (N, ...) in, Tensor (N,) out, one number for each picture

With `layer` the same is said of that layer's output: target k of a convolution is the mean activation of its filter k.  The
logits, not the probabilities, are explained: the softmax of a class also grows when others shrink (Simonyan et al. 2013).

Source: Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034 (S_c); Vinogradova et al. 2020, arXiv:2002.11434 (masks).
"""

import numbers

import numpy as np

from .. import functional as F
from ..autograd import no_grad
from ..nn import Module
from ..ops.index import take_along_axis
from ..tensor import Tensor, raw
from .record import run


class Target:
    """A target for the N pictures of a batch; `choose` gives the one for some of them."""

    def __init__(self, who, target, count):
        self.who, self.count = who, count
        self.function = self.place = self.classes = None
        if isinstance(target, Module) or callable(target):
            self.function = target
        elif isinstance(target, tuple):
            self.place = tuple(whole_number(who, k) for k in target)
        elif target is not None:
            self.classes = class_indices(who, target, count)

    @property
    def known(self):
        """Whether it says what to look at; None does only once the output was seen."""
        return self.function is not None or self.place is not None or self.classes is not None

    def choose(self, rows):
        """The target of the pictures with these numbers, which may repeat."""
        chosen = Target(self.who, None, len(rows))
        chosen.function, chosen.place = self.function, self.place
        chosen.classes = None if self.classes is None else self.classes[rows]
        return chosen

    def __call__(self, output):
        """S, a Tensor (n,), of the output for as many pictures."""
        if self.function is not None:
            return self.checked(self.function(output))
        y = check_map(self.who, output)
        if self.place is not None:
            return over_places(y[(slice(None), *self.inside(y.shape[1:]))])
        self.check_classes(y)
        if (self.classes == self.classes[0]).all():
            return over_places(y[:, int(self.classes[0])])
        index = self.classes.reshape((-1, 1) + (1,) * (y.ndim - 2))
        return over_places(take_along_axis(y, np.broadcast_to(index, (len(y), 1, *y.shape[2:])), 1)[:, 0])

    def checked(self, scores):
        if not isinstance(scores, Tensor):
            raise TypeError(f"{self.who}: the target function must return a Tensor, got {type(scores).__name__}. Compute it with "
                            "the output's methods or functions of tinyvision.functional.")
        if scores.ndim == 0 and self.count == 1:
            return scores.reshape((1,))
        if scores.shape != (self.count,):
            raise ValueError(f"{self.who}: the target function must return one number for each of the {self.count} pictures that "
                             f"it was shown, shape ({self.count},), got {scores.shape}. Sum over all axes but the first.")
        return scores

    def inside(self, shape):
        """The place, if the output has it."""
        if len(self.place) > len(shape) or any(not -n <= k < n for k, n in zip(self.place, shape)):
            raise ValueError(f"{self.who}: target {self.place} must be a place in an output of shape (N, "
                             f"{', '.join(map(str, shape))}). Give (channel, row, column).")
        return self.place

    def check_classes(self, y):
        wrong = self.classes[(self.classes < 0) | (self.classes >= y.shape[1])]
        if len(wrong):
            raise ValueError(f"{self.who}: target must lie in 0..{y.shape[1] - 1} for an output of shape {y.shape}, got "
                             f"{wrong[0]}. It counts the second axis, from 0.")


def whole_number(who, k):
    if isinstance(k, bool) or not isinstance(k, numbers.Integral):
        raise TypeError(f"{who}: a tuple as target must hold integers, (channel, row, column), got {k!r}. For a class of each "
                        "picture give a list or an array.")
    return int(k)


def class_indices(who, target, count):
    """(N,) int64, of one class or one for each picture."""
    k = np.asarray(raw(target))
    if k.dtype.kind not in "iu":
        raise TypeError(f"{who}: target must be a class index, one for each picture, or a function, got "
                        f"{type(target).__name__}{'' if k.dtype == object else f' of {k.dtype}'}.")
    if k.shape not in ((), (count,)):
        raise ValueError(f"{who}: target must be one class, or one for each of the {count} pictures, got shape {k.shape}.")
    return np.broadcast_to(k.astype(np.int64), (count,))


def check_map(who, output):
    if not isinstance(output, Tensor) or output.ndim < 2:
        got = f"shape {output.shape}" if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"{who}: the output must be one Tensor (N, K) or (N, K, ...) for a class index, got {got}. Pass a "
                         "function of the output as target.")
    return output


def over_places(y):
    """(n, *O) -> (n,): the mean over all places."""
    return y if y.ndim == 1 else y.mean(axis=tuple(range(1, y.ndim)))


def output_of(who, model, x, layer):
    """What the target reads: the network's output, or that of a layer."""
    return model(x) if layer is None else run(who, model, x, [layer])[1][layer]


def decided(who, model, images, target, layer, batch_size):
    """The target of a batch of pictures; None becomes the class with the largest score of each.  In evaluation mode."""
    chosen = Target(who, target, len(images))
    if chosen.known:
        return chosen
    best = []
    with no_grad():
        for start in range(0, len(images), batch_size):
            y = check_map(who, output_of(who, model, Tensor(images[start:start + batch_size]), layer))
            if y.ndim != 2:
                raise ValueError(f"{who}: target must say which class, channel or place to explain, for an output of shape "
                                 f"{y.shape}. Pass target=k, a tuple, or a function.")
            best.append(raw(y).argmax(axis=1))
    chosen.classes = np.concatenate(best)
    return chosen


def probability(k):
    """A target: the probability of class k after softmax, of maps its mean over all places.

    Shapes: as a function, output (N, K) or (N, K, *O) -> (N,), in 0..1.

    >>> from tinyvision import Tensor
    >>> probability(0)(Tensor([[0.0, 0.0], [9.0, -9.0]])).data.round(2)
    array([0.5, 1. ], dtype=float32)
    """
    return lambda output: over_places(F.softmax(output, dim=1)[:, k])


def region(k, mask):
    """A target: the mean score of class k over the places of a mask, for networks whose output is a map.

    Shapes: mask (*O), booleans; as a function, output (N, K, *O) -> (N,).
    Raises ValueError for a mask without a place, and, when called, for one of another size than the output.
    Source: Vinogradova, Dibrov and Myers 2020, arXiv:2002.11434, section 2 (there the sum).

    >>> from tinyvision import Tensor
    >>> region(1, [[True, False]])(Tensor([[[[1.0, 2.0]], [[3.0, 5.0]]]]))
    Tensor([3.])
    """
    mask = np.asarray(raw(mask))
    if mask.dtype != bool or not mask.any():
        raise ValueError(f"region: mask must hold booleans, at least one of them true, got {mask.dtype} with "
                         f"{int(np.count_nonzero(mask))} nonzero. Compare: mask == k.")

    def score(output):
        if output.shape[2:] != mask.shape:
            raise ValueError(f"region: mask must have the sizes of the output, got mask {mask.shape} and output {output.shape}.")
        y = output[:, k] * (mask / mask.sum()).astype(output.dtype)
        return y.sum(axis=tuple(range(1, y.ndim)))

    return score
