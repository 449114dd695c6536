"""What is to be explained: one number S for every picture, read off the output of the network or of one of its layers.

    target            output (N, K), a classifier       output (N, K, *O), a map: masks, or the channels of a layer
    None              the class with the largest score   refused, for it is not clear which
    k                 S = y[n, k]                        the mean of channel k over all places
    [k_1, ..., k_N]   a class of its own for each        a channel of its own for each
    (k, i, j)         refused                            the place (i, j) of channel k
    [(k, i, j), ...]  refused                            a place of its own for each
    a function        S = f(y): Tensor (N, ...) in, Tensor (N,) out, one number for each picture

With `layer` the same is said of that layer's output: target k of a convolution is the mean activation of its filter k.  The
logits, not the probabilities, are explained: the softmax of a class also grows when others shrink (Simonyan et al. 2013).

Source: Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034 (S_c); Vinogradova et al. 2020, arXiv:2002.11434 (masks).
"""

import numpy as np

from .. import functional as F
from ..autograd import no_grad
from ..backend import to_device
from ..nn import Module
from ..ops.device import on_host
from ..tensor import Tensor
from .record import run, shown


class Target:
    """A target for the N pictures of a batch; `choose` gives the one for some of them."""

    def __init__(self, who, target, count):
        self.who, self.count = who, count
        self.function = self.places = None
        if isinstance(target, Module) or callable(target):
            self.function = target
        elif target is not None:
            self.places = as_places(who, target, count)

    @property
    def known(self):
        """Whether it says what to look at; None does only once the output was seen."""
        return self.function is not None or self.places is not None

    def choose(self, rows):
        """The target of the pictures with these numbers, which may repeat."""
        chosen = Target(self.who, None, len(rows))
        chosen.function, chosen.places = self.function, None if self.places is None else self.places[rows]
        return chosen

    def __call__(self, output):
        """S, a Tensor (n,), of the output for as many pictures."""
        if self.function is not None:
            return self.checked(self.function(output))
        y, (first, *rest) = check_map(self.who, output), self.places
        self.check_inside(y.shape)
        if all((place == first).all() for place in rest):                 # one for all: a slice is faster
            return over_places(y[(slice(None), *first.tolist())])
        index = np.arange(len(y)), *self.places.T
        return over_places(y[tuple(to_device(np.ascontiguousarray(k), y.device) for k in index)])

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

    def check_inside(self, shape):
        sizes = shape[1:]
        wrong = [place for place in self.places.tolist() if len(place) > len(sizes)
                 or any(not (0 if i == 0 else -n) <= k < n for i, (k, n) in enumerate(zip(place, sizes)))]
        if wrong and len(wrong[0]) == 1:
            raise ValueError(f"{self.who}: target must lie in 0..{sizes[0] - 1} for an output of shape {shape}, got "
                             f"{wrong[0][0]}. It counts the second axis, from 0.")
        if wrong:
            raise ValueError(f"{self.who}: target {tuple(wrong[0])} must be a place in an output of shape (N, "
                             f"{', '.join(map(str, sizes))}). Give (channel, row, column).")


def as_places(who, target, count):
    """The index of channel, row, ... for each picture, (N, m) int64, of one for all or one for each."""
    k = np.asarray([target] if isinstance(target, tuple) else on_host(target))
    if k.dtype.kind not in "iu":
        raise TypeError(f"{who}: target must be a class index, a place (channel, row, column) in integers, one of these for each "
                        f"picture, or a function, got {target!r}.")
    each = k.reshape((1, 1) if k.ndim == 0 else (-1, 1) if k.ndim == 1 else k.shape)
    for_all = k.ndim == 0 or isinstance(target, tuple)
    if each.ndim != 2 or len(each) != (1 if for_all else count) or not each.size:
        raise ValueError(f"{who}: target must be one class or place, or one for each of the {count} pictures, got shape "
                         f"{k.shape}.")
    return np.broadcast_to(each.astype(np.int64), (count, each.shape[1]))


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
            y = check_map(who, output_of(who, model, shown(model, images[start:start + batch_size]), layer))
            if y.ndim != 2:
                raise ValueError(f"{who}: target must say which class, channel or place to explain, for an output of shape "
                                 f"{y.shape}. Pass target=k, a tuple, or a function.")
            best.append(on_host(y).argmax(axis=1))
    chosen.places = np.concatenate(best)[:, None]
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
    mask = np.asarray(on_host(mask))
    if mask.dtype != bool or not mask.any():
        raise ValueError(f"region: mask must hold booleans, at least one of them true, got {mask.dtype} with "
                         f"{int(np.count_nonzero(mask))} nonzero. Compare: mask == k.")

    def score(output):
        if output.shape[2:] != mask.shape:
            raise ValueError(f"region: mask must have the sizes of the output, got mask {mask.shape} and output {output.shape}.")
        y = output[:, k] * to_device((mask / mask.sum()).astype(output.dtype), output.device)
        return y.sum(axis=tuple(range(1, y.ndim)))

    return score
