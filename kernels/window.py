"""Window: how a kernel slides over an image, in integers only; the one home of the size formula.

A window of `size` K with dilation D spans D*(K-1) + 1 pixels.  Over H pixels, padded by `lo` before and `hi` after, it
takes every S-th position (S is the stride), which makes

    O = floor((H + lo + hi - span) / S) + 1            positions,

and its tap k, a cell of the kernel, lies over pixel  o*S + k*D  of the padded image when the window is at position o.
That is all there is to convolution, pooling, im2col and their adjoints as far as integers go: they walk the same taps
(`Window.taps`) and differ in what they do there: copy, add, or keep the larger.  Every formula holds per axis, for any
number of axes.

Source: Dumoulin and Visin 2016, A guide to convolution arithmetic for deep learning, arXiv:1603.07285.
"""

from functools import lru_cache
from itertools import product
from typing import NamedTuple


class Window(NamedTuple):
    """A sliding window; every field has one entry per spatial axis, `padding` a pair (before, after).

    Sizes, strides, paddings and dilations are in pixels.

    >>> window = Window(size=(3, 3), stride=(2, 2), padding=((1, 1), (0, 0)), dilation=(1, 1))
    >>> window.output((7, 7))
    (4, 3)
    """

    size: tuple
    stride: tuple
    padding: tuple
    dilation: tuple

    @property
    def ndim(self):
        return len(self.size)

    @property
    def span(self):
        """Pixels from the first tap to the last, both included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.size, self.dilation))

    def padded(self, sizes):
        """Image sizes with the padding of both sides."""
        return tuple(h + lo + hi for h, (lo, hi) in zip(sizes, self.padding))

    def output(self, sizes, ceil_mode=False):
        """Number of positions along each axis of an image of these sizes (can be < 1: the window does not fit).

        `ceil_mode` rounds up: a last window may hang over the end, unless it would start in the padding behind it.
        """
        return positions(self, tuple(sizes), ceil_mode)

    def extent(self, out):
        """Padded pixels that `out` positions reach, from the first tap of the first to the last of the last."""
        return tuple((o - 1) * s + span for o, s, span in zip(out, self.stride, self.span))

    def smallest(self, out):
        """The smallest image sizes that have `out` positions: what a transposed convolution makes."""
        return tuple(reach - lo - hi for reach, (lo, hi) in zip(self.extent(out), self.padding))

    def taps(self, out):
        """Yield (k, where): each tap's index and the slices of the padded image that it meets at `out` positions."""
        for k in product(*map(range, self.size)):
            start = [i * d for i, d in zip(k, self.dilation)]
            yield k, tuple(slice(a, a + (o - 1) * s + 1, s) for a, o, s in zip(start, out, self.stride))


@lru_cache(512)
def positions(window, sizes, ceil_mode):
    """Window.output: every call of a layer asks for it, and mostly for the same."""
    def along(h, padded, span, s, lo):
        if not ceil_mode:
            return (padded - span) // s + 1
        o = -((span - padded) // s) + 1                   # -(a // b) is -a / b rounded up
        return o - 1 if (o - 1) * s >= h + lo else o

    lows = (lo for lo, _ in window.padding)
    return tuple(map(along, sizes, window.padded(sizes), window.span, window.stride, lows))
