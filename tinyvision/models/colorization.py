"""Colourisation as classification: a grey picture in, for every place the probability of each colour bin out.

    layer        output (N, ...)         what it does (3x3 convolutions, each with ReLU, batch norm after each stage)
    conv1        B, H/2, W/2             2 convolutions, the last with stride 2
    conv2        2 B, H/4, W/4           2, the last with stride 2
    conv3        4 B, H/8, W/8           3, the last with stride 2
    conv4        8 B, H/8, W/8           3
    conv5, 6     8 B, H/8, W/8           3 each with dilation 2: a wide view without getting smaller
    conv7        8 B, H/8, W/8           3
    conv8        4 B, H/4, W/4           4x4 transposed convolution with stride 2, 2 convolutions
    bins         Q, H/4, W/4             1x1 convolution: logits of the colour bins

A car may be red or blue.  The mean square error is least for the mean of both, a brownish grey; a distribution over bins can
say "red or blue", and the annealed mean of color_bins.py picks a colour.  The eye sees colour less sharply than brightness, so
a quarter of the size is enough.

Source: Zhang, Isola and Efros 2016, Colorful image colorization, arXiv:1603.08511 (B = 64, Q = 313; trained on a million
photographs).
"""

import numpy as np

from .. import functional as F
from .. import nn
from ..autograd import no_grad
from ..nn.checks import whole
from ..ops.device import on_host
from ..tensor import Tensor, raw
from .color_bins import ColorBins, lab_to_rgb, rgb_to_lab
from .stages import check_pictures


class Colorizer(nn.Module):
    """A network that gives every place of a grey picture probabilities of colours.

    Shapes: input (N, 1, H, W), brightness 0..1, H and W multiples of 8 -> logits (N, Q, H/4, W/4).
    bins: a ColorBins, None for ColorBins(grid=20); base_channels: B.
    `loss` compares with colour pictures, the criterion for train.fit on SceneColorization; `colorize` gives pictures.
    Raises ValueError for other shapes.

    >>> net = Colorizer(base_channels=4)
    >>> net(Tensor(np.zeros((2, 1, 32, 40), "float32"))).shape
    (2, 76, 8, 10)
    """

    def __init__(self, bins=None, base_channels=16):
        whole("Colorizer", base_channels=base_channels)
        self.bins = ColorBins() if bins is None else bins
        if not isinstance(self.bins, ColorBins):
            raise TypeError(f"Colorizer: bins must be a ColorBins, got {type(bins).__name__}.")
        b = base_channels
        self.stages = nn.Sequential(
            stage(1, b, 2, stride=2), stage(b, 2 * b, 2, stride=2), stage(2 * b, 4 * b, 3, stride=2), stage(4 * b, 8 * b, 3),
            stage(8 * b, 8 * b, 3, dilation=2), stage(8 * b, 8 * b, 3, dilation=2), stage(8 * b, 8 * b, 3))
        self.up = nn.ConvTranspose2d(8 * b, 4 * b, 4, stride=2, padding=1)
        self.last = stage(4 * b, 4 * b, 2)
        self.head = nn.Conv2d(4 * b, self.bins.count, 1)

    def forward(self, grey):
        check_pictures(self, grey, 1, 8)
        x = self.stages(2 * grey - 1)                                     # (N, 8 B, H/8, W/8)
        return self.head(self.last(F.relu(self.up(x))))                   # (N, Q, H/4, W/4)

    def loss(self, logits, images):
        """Cross entropy with the encoded colours of the pictures, each place weighed by its likeliest bin (bins.weights).

        Shapes: logits (N, Q, H/4, W/4), images (N, 3, H, W), brightness 0..1 -> one number, the weighted mean.
        """
        ab = rgb_to_lab(images)[:, 1:]
        n, _, h, w = logits.shape
        if (n, 4 * h, 4 * w) != (len(ab), *ab.shape[2:]):
            raise ValueError(f"Colorizer.loss: images must be ({n}, 3, {4 * h}, {4 * w}) for logits {logits.shape}, got shape "
                             f"{raw(images).shape}.")
        soft = self.bins.encode(ab.reshape(n, 2, h, 4, w, 4).mean(axis=(3, 5))).astype(logits.dtype)
        weight = self.bins.weights[soft.argmax(axis=1)].astype(logits.dtype)                     # (N, H/4, W/4)
        per_place = F.cross_entropy(logits, Tensor(soft, device=logits.device), reduction="none")
        return (per_place * Tensor(weight / weight.sum(), device=logits.device)).sum()

    def colorize(self, grey, temperature=0.38):
        """Colour pictures (N, 3, H, W), 0..1, with the lightness of the grey ones (N, 1, H, W); the network in evaluation mode.

        >>> Colorizer(base_channels=2).eval().colorize(np.full((1, 1, 16, 16), 0.5, "float32")).shape
        (1, 3, 16, 16)
        """
        grey, training = np.asarray(on_host(grey)), [(module, module.training) for module in self.modules()]
        try:
            with no_grad():
                ab = self.colors(self.eval()(Tensor(grey, device=next(self.parameters()).device)), temperature)
        finally:
            for module, mode in training:
                module.training = mode
        lightness = rgb_to_lab(np.repeat(grey, 3, axis=1))[:, :1]
        return lab_to_rgb(np.concatenate([lightness, ab], axis=1).astype(np.float32))

    def colors(self, logits, temperature=0.38):
        """The colours a, b that logits say: (N, Q, H/4, W/4) -> (N, 2, H, W), decoded, then enlarged.

        >>> Colorizer(base_channels=2).colors(Tensor(np.zeros((1, 76, 4, 4), "float32"))).shape
        (1, 2, 16, 16)
        """
        with no_grad():
            ab = self.bins.decode(F.softmax(logits, 1), temperature).astype(np.float32)
            return raw(F.interpolate(Tensor(ab), scale_factor=4, mode="bilinear"))


def stage(in_channels, channels, convs, stride=1, dilation=1):
    """Convolutions with ReLU, the last one with the stride, then batch norm."""
    layers = []
    for i in range(convs):
        step = stride if i == convs - 1 else 1
        layers += [nn.Conv2d(channels if i else in_channels, channels, 3, step, padding=dilation, dilation=dilation), nn.ReLU()]
    return nn.Sequential(*layers, nn.BatchNorm2d(channels))
