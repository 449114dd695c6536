"""Pictures that are sought by gradient: the steps uphill that maximisation, filters and deep dreams share.

A picture x has brightness 0..1; the network is shown (x - mean) / std, as in training.  One step,

    roll x by a random shift of up to `jitter` pixels, so that nothing hangs on the grid of strides and pooling
    g = d/dx [ S(x) - l2 |x - x0|^2 - tv * TV(x) ],      roll g back
    x <- clip(x + lr * g / rms(g), 0, 1)                 rms over one picture: the step has one length, whatever S is measured in
    now and then: blur x, which removes what only single pixels say
    where g is 0, for the unit is off: all rectifiers are taken to be open on the way back, until it is on

with x0 the picture it all began with, grey by default, and TV the sum over all neighbours of the squared difference.  Left to
themselves, networks are maximised by noise that no photograph holds; every one of these measures prefers pictures over noise.

Sources: Simonyan, Vedaldi and Zisserman 2013, arXiv:1312.6034, section 2 (l2); Mahendran and Vedaldi 2014, arXiv:1412.0035,
section 3 (TV); Yosinski et al. 2015, arXiv:1506.06579, section 3 (blur); Mordvintsev, Olah and Tyka 2015 (jitter, step length);
Olah, Mordvintsev and Schubert 2017, doi:10.23915/distill.00007, and its code (units that are off).
"""

import numpy as np

from ..autograd import enable_grad, grad
from ..backend import device_of, to_device
from ..nn.checks import at_least, positive, whole
from ..ops.device import on_host
from ..packages import require
from ..random import as_generator
from ..tensor import Tensor, raw
from .record import dtype_of, shown
from .rules import exchange
from .target import output_of

GREY = 0.5


class Standard:
    """Brightness to what the network takes, (x - mean) / std: numbers, or one for each channel."""

    def __init__(self, who, mean, std, channels, dtype, axes):
        self.mean, self.std = (per_channel(who, name, value, channels, dtype, axes) for name, value in
                               (("mean", mean), ("std", std)))
        if not (self.std > 0).all():
            raise ValueError(f"{who}: std must be above 0, got {std}.")

    def __call__(self, x):
        """Of a Tensor, on its device, or of an array."""
        device = device_of(raw(x))
        return (x - to_device(self.mean, device)) / to_device(self.std, device)


def per_channel(who, name, value, channels, dtype, axes):
    """One number, or one per channel, as (C, 1, ..) with so many axes of pixels."""
    array = np.asarray(on_host(value))
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise TypeError(f"{who}: {name} must be a finite number or one for each channel, got {value!r}.")
    if array.shape not in ((), (channels,)):
        raise ValueError(f"{who}: {name} must be one number or {channels}, one for each channel, got shape {array.shape}.")
    return np.broadcast_to(array.astype(dtype), (channels,)).reshape((-1,) + (1,) * axes)


def as_shape(who, shape):
    """(C, *S), checked."""
    if not isinstance(shape, (tuple, list)) or len(shape) < 2:
        raise ValueError(f"{who}: shape must be that of one picture, (C, H, W), got {shape!r}.")
    for size in shape:
        whole(who, shape=size)
    return tuple(int(size) for size in shape)


def check_brightness(who, name, x):
    """Pictures from 0 to 1."""
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"{who}: {name} must be brightness 0..1, got {x.min():.3g} to {x.max():.3g}. Undo the normalisation, "
                         "and pass mean and std.")


def total_variation(x):
    """TV, a Tensor (n,): the sum over neighbours of the squared difference, of pictures (n, C, *S)."""
    total = 0
    for axis in range(2, x.ndim):
        ahead, behind = [slice(None)] * x.ndim, [slice(None)] * x.ndim
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        d = x[tuple(ahead)] - x[tuple(behind)]
        total = total + (d * d).sum(axis=tuple(range(1, x.ndim)))
    return total


def blurred(who, x, sigma):
    """Pictures (n, C, *S), each channel smoothed by a Gaussian of `sigma` pixels; at the border pixels are repeated."""
    if sigma == 0:
        return x
    require(who, "scipy")
    from scipy.ndimage import gaussian_filter
    return gaussian_filter(x, (0, 0) + (sigma,) * (x.ndim - 2), mode="nearest")


class Ascent:
    """Steps uphill, as the head of this file describes them; target(output) gives S, a Tensor (n,)."""

    def __init__(self, who, model, target, standard, *, layer=None, lr=0.02, jitter=0, l2=0.0, tv=0.0, origin=GREY,
                 generator=None):
        positive(who, lr=lr)
        at_least(who, 0, l2=l2, tv=tv)
        whole(who, 0, jitter=jitter)
        self.who, self.model, self.target, self.standard, self.layer = who, model, target, standard, layer
        self.lr, self.jitter, self.l2, self.tv, self.origin = lr, jitter, l2, tv, np.asarray(origin)
        self.generator = as_generator(who, generator)

    def gradient(self, x, shift):
        """S, an array (n,), and g of x's shape, for pictures rolled by so many pixels and back."""
        axes = tuple(range(2, x.ndim))
        x = np.roll(x, shift, axes)
        scores, g = self.through(x)
        silent = ~g.any(axis=tuple(range(1, x.ndim)))
        if silent.any():
            g = np.where(silent.reshape((-1,) + (1,) * (x.ndim - 1)), self.through(x, "open")[1], g)
        if self.l2 or self.tv:
            g = g - self.pull(x, np.roll(np.broadcast_to(self.origin, x.shape), shift, axes).astype(x.dtype))
        return scores, np.roll(g, tuple(-s for s in shift), axes)

    def through(self, x, rule="gradient"):
        """S, and its gradient, or what comes back by another rule."""
        x = shown(self.model, x, requires_grad=True)
        with enable_grad():
            scores = self.target(output_of(self.who, self.model, self.standard(x), self.layer))
            total = scores.sum()
        exchange(total, rule)
        (g,) = grad(total, x)
        return on_host(scores), on_host(g)

    def pull(self, x, origin):
        """The gradient of both penalties."""
        x = Tensor(x, requires_grad=True)
        with enable_grad():
            d = x - origin
            penalty = self.l2 * (d * d).sum() + self.tv * total_variation(x).sum()
        return raw(grad(penalty, x)[0])

    def step(self, x, smooth=0.0, share=1.0):
        """The pictures one step on, and S before; smooth: blur the direction by so many pixels; share: of the step's length."""
        shift = tuple(self.generator.integers(-self.jitter, self.jitter + 1, x.ndim - 2).tolist())
        scores, g = self.gradient(x, shift)
        g = blurred(self.who, g, smooth)
        rms = np.sqrt((g * g).mean(axis=tuple(range(1, x.ndim)), keepdims=True))
        if not np.isfinite(rms).all():
            raise ValueError(f"{self.who}: the gradient is not finite. Look at the weights, and at the target function.")
        return np.clip(x + share * self.lr * g / np.maximum(rms, np.finfo(x.dtype).tiny), 0, 1), scores


def start_picture(who, model, start, count, shape, generator, noise=0.01):
    """Where the ascent begins: grey with very little noise, or the pictures given, (count, *shape)."""
    dtype = dtype_of(model)
    if start is None:
        return (GREY + noise * generator.standard_normal((count, *shape))).astype(dtype)
    x = np.asarray(on_host(start))
    if x.dtype.kind != "f" or x.shape not in (shape, (count, *shape)):
        raise ValueError(f"{who}: start must hold floats, {shape} or one for each of the {count} pictures, got {x.dtype} of "
                         f"shape {x.shape}.")
    check_brightness(who, "start", x)
    return np.array(np.broadcast_to(x.astype(dtype), (count, *shape)))
