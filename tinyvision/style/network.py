"""A network that paints: one pass forward instead of an optimisation, and one network for several styles.

    layer            output (N, ...)         what it does (reflected borders; each but the last with norm and ReLU)
    first            C, H, W                 kxk convolution
    down1..depth     C 2^l, H/2^l, W/2^l     3x3 convolution with stride 2
    blocks           C 2^depth, ...          x + conv3x3(relu(norm(conv3x3 x))), both normalised
    up depth..1      C 2^(l-1), twice        twice as large (nearest), 3x3 convolution: no checkerboard
    last             3, H, W                 kxk convolution, sigmoid

All styles share the convolutions.  A style is two numbers for each map, scale and shift after instance normalisation:

    y = gamma_s (x - mean) / std + beta_s          mean and std of each map of each picture

and a mixture of styles is the mixture of their numbers.  Trained on any pictures with the losses of transfer.py: each picture of
a batch is given a style at random.  The papers have C = 32, depth 2, five blocks, k = 9, and hours on a GPU; small k and depth
learn fine strokes in half a minute, for wide kernels begin by blurring.

Sources: Johnson, Alahi and Fei-Fei 2016, Perceptual losses for real-time style transfer, arXiv:1603.08155; Ulyanov, Vedaldi and
Lempitsky 2016, arXiv:1607.08022 (instance norm); Dumoulin, Shlens and Kudlur 2016, A learned representation for artistic style,
arXiv:1610.07629, equation 5 (conditional instance norm), section 3.2 (mixtures), table 1 (the network).
"""

import numpy as np

from .. import concatenate, nn
from .. import functional as F
from ..autograd import no_grad
from ..backend import to_device
from ..interpret.record import shown
from ..nn.checks import at_least, positive, whole
from ..optim import Adam
from ..ops.device import on_host
from ..ops.shapes import check_array
from ..random import as_generator
from ..tensor import Parameter, Tensor
from .features import RandomFeatures, StyleFeatures, as_photograph, relative_content, relative_style
from .losses import total_variation_loss
from .transfer import as_list


class ConditionalInstanceNorm2d(nn.Module):
    """Instance normalisation with a scale and a shift for each style.

    Shapes: input (N, num_features, H, W), style (N, num_styles), shares -> (N, num_features, H, W);
            weight and bias (num_styles, num_features), ones and zeros at first.
    Raises ValueError for other shapes and sizes below 1.
    Source: Dumoulin, Shlens and Kudlur 2016, arXiv:1610.07629, equation 5.

    >>> norm = ConditionalInstanceNorm2d(8, num_styles=3)
    >>> norm(Tensor(np.ones((2, 8, 4, 4), "float32")), np.eye(3, dtype="float32")[[0, 2]]).shape
    (2, 8, 4, 4)
    """

    def __init__(self, num_features, num_styles, eps=1e-5):
        whole("ConditionalInstanceNorm2d", num_features=num_features, num_styles=num_styles)
        self.num_features, self.num_styles, self.eps = num_features, num_styles, eps
        self.weight = Parameter(np.ones((num_styles, num_features), np.float32))
        self.bias = Parameter(np.zeros((num_styles, num_features), np.float32))

    def forward(self, input, style):
        if input.ndim != 4 or input.shape[1] != self.num_features or style.shape != (len(input), self.num_styles):
            raise ValueError(f"ConditionalInstanceNorm2d: input must be (N, {self.num_features}, H, W) and style (N, "
                             f"{self.num_styles}), got shapes {input.shape} and {style.shape}.")
        style = style if isinstance(style, Tensor) else Tensor(to_device(style, self.weight.device))
        scale, shift = style @ self.weight, style @ self.bias             # (N, C)
        return F.instance_norm(input, eps=self.eps) * scale[:, :, None, None] + shift[:, :, None, None]


class Painted(nn.Module):
    """Convolution with a reflected border, conditional norm, and ReLU where wanted; `up`: twice as large first."""

    def __init__(self, in_channels, channels, size, styles, stride=1, up=False, relu=True):
        self.conv = nn.Conv2d(in_channels, channels, size, stride, size // 2, padding_mode="reflect")
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        self.norm, self.up, self.relu = ConditionalInstanceNorm2d(channels, styles), up, relu

    def forward(self, x, style):
        x = F.interpolate(x, scale_factor=2, mode="nearest") if self.up else x
        y = self.norm(self.conv(x), style)
        return F.relu(y) if self.relu else y


class StyleNet(nn.Module):
    """A network that paints pictures in one of several styles, or between them.

    Shapes: forward(x, style): x (N, 3, H, W), brightness 0..1, H and W multiples of 2^depth and at least 8 -> (N, 3, H, W), 0..1.
    style: the number of a style, one number for each picture (N,), or shares (num_styles,) or (N, num_styles) of a mixture, the
    last with a gradient where it is a Tensor.
    channels: C; blocks: residual blocks in the middle; depth: how many times the size is halved; kernel_size: k, odd.
    Raises ValueError for other pictures and styles that it does not have.

    >>> net, x = StyleNet(3, channels=4, blocks=1), Tensor(np.zeros((2, 3, 16, 24), "float32"))
    >>> net(x, 1).shape, net(x, [0, 2]).shape, net(x, [0.5, 0.5, 0.0]).shape
    ((2, 3, 16, 24), (2, 3, 16, 24), (2, 3, 16, 24))
    """

    def __init__(self, num_styles, channels=16, blocks=2, depth=1, kernel_size=3):
        whole("StyleNet", num_styles=num_styles, channels=channels, kernel_size=kernel_size)
        whole("StyleNet", 0, blocks=blocks, depth=depth)
        self.num_styles, self.depth, c, s = num_styles, depth, [channels * 2 ** level for level in range(depth + 1)], num_styles
        if kernel_size % 2 == 0:
            raise ValueError(f"StyleNet: kernel_size must be odd, got {kernel_size}.")
        self.first = Painted(3, channels, kernel_size, s)
        self.down = nn.ModuleList([Painted(a, b, 3, s, 2) for a, b in zip(c, c[1:])])
        self.blocks = nn.ModuleList([nn.ModuleList([Painted(c[-1], c[-1], 3, s), Painted(c[-1], c[-1], 3, s, relu=False)])
                                     for _ in range(blocks)])
        self.up = nn.ModuleList([Painted(b, a, 3, s, up=True) for a, b in zip(c[-2::-1], c[:0:-1])])
        self.last = nn.Conv2d(channels, 3, kernel_size, padding=kernel_size // 2, padding_mode="reflect")

    def forward(self, x, style):
        check_array("StyleNet", input=x)
        factor = 2 ** self.depth
        if x.ndim != 4 or x.shape[1] != 3 or any(n % factor or n < 8 for n in x.shape[2:]):
            raise ValueError(f"StyleNet: input must be (N, 3, H, W), H and W multiples of {factor} and at least 8, got shape "
                             f"{x.shape}.")
        s = self.shares(style, len(x), x.dtype)
        x = self.first(2 * x - 1, s)                                      # (N, C, H, W)
        for layer in self.down:
            x = layer(x, s)                                               # (N, C 2^l, H/2^l, W/2^l)
        for one, two in self.blocks:
            x = x + two(one(x, s), s)
        for layer in self.up:
            x = layer(x, s)                                               # (N, C 2^(l-1), H/2^(l-1), W/2^(l-1))
        return F.sigmoid(self.last(x))                                    # (N, 3, H, W)

    def shares(self, style, n, dtype):
        """Styles as shares, (n, num_styles)."""
        if isinstance(style, Tensor) and style.dtype == dtype and style.shape == (n, self.num_styles):
            return style
        s, k = np.asarray(on_host(style)), self.num_styles
        if s.dtype.kind in "iu" and s.shape in ((), (n,)):
            if s.size and not (0 <= s.min() and s.max() < k):
                raise ValueError(f"StyleNet: style must be a number from 0 to {k - 1}, got {style!r}.")
            return np.eye(k, dtype=dtype)[np.broadcast_to(s, (n,))]
        if s.dtype.kind != "f" or s.shape not in ((k,), (n, k)):
            raise ValueError(f"StyleNet: style must be a number, ({n},) numbers, or shares ({k},) or ({n}, {k}) as floats, got "
                             f"{s.dtype} of shape {s.shape}.")
        return np.broadcast_to(s.astype(dtype), (n, k))


def train_styles(net, contents, styles, features=None, *, steps=300, batch_size=4, lr=0.004, content_weight=1.0,
                 style_weight=10.0, tv_weight=0.5, generator=None, callback=None):
    """Teach a StyleNet its styles on any pictures, and return the total loss of every step.

    contents: (N, 3, H, W), brightness 0..1, pictures to paint on; styles: a list of num_styles pictures (3, *), 0..1.
    features: a StyleFeatures, None for random filters; weights: as in stylize.
    steps, batch_size, lr: of Adam; the rate falls to a tenth in the last half.
    generator: a numpy.random.Generator or a seed, which chooses pictures and styles; callback: called as callback(step, loss).
    Raises ValueError for another number of styles and pictures that do not fit.
    Source: Dumoulin, Shlens and Kudlur 2016, arXiv:1610.07629.

    >>> rng = np.random.default_rng(0)
    >>> contents, styles = rng.random((4, 3, 32, 32)).astype("float32"), rng.random((2, 3, 32, 32)).astype("float32")
    >>> len(train_styles(StyleNet(2, channels=4, blocks=1), contents, styles, steps=2, generator=0))
    2
    """
    who = "train_styles"
    generator, styles = as_generator(who, generator), as_list(styles)
    if not isinstance(net, StyleNet) or len(styles) != net.num_styles:
        raise ValueError(f"{who}: net must be a StyleNet with a style for each picture, got {type(net).__name__} and "
                         f"{len(styles)} styles.")
    whole(who, steps=steps, batch_size=batch_size)
    features = StyleFeatures(RandomFeatures(generator=0).to(net.last.weight.device)) if features is None else features
    positive(who, lr=lr)
    at_least(who, 0, content_weight=content_weight, style_weight=style_weight, tv_weight=tv_weight)
    contents = np.stack([as_photograph(who, "contents", x, features.dtype) for x in on_host(contents)])
    goals = [features.targets(contents[0], [as_photograph(who, "styles", s, features.dtype)], [1.0])[1][0][1] for s in styles]
    optimizer, history = Adam(net.parameters(), lr=lr), []
    net.train()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * 0.1 ** max(0.0, 2 * step / steps - 1)
        x = contents[generator.integers(0, len(contents), batch_size)]
        chosen = generator.integers(0, len(styles), batch_size)
        loss = batch_loss(net, features, x, chosen, goals, content_weight, style_weight, tv_weight)
        optimizer.zero_grad()
        loss.backward(inputs=list(net.parameters()))
        optimizer.step()
        history.append(loss.item())
        if callback is not None:
            callback(step, history[-1])
    return history


def batch_loss(net, features, x, chosen, goals, content_weight, style_weight, tv_weight):
    """The mean over a batch of the relative losses, each picture in its own style."""
    x = shown(net, x)
    with no_grad():
        wanted = features.content(x)
        targets = {name: concatenate([goals[k][name] for k in chosen]) for name in features.style_layers}
    y = net(x, chosen)
    content, grams = features.both(y)
    near = sum(relative_content(c, wanted[name]).mean() for name, c in content.items()) / len(content)
    like = sum(relative_style(g, targets[name]).mean() for name, g in grams.items()) / len(grams)
    return content_weight * near + style_weight * like + tv_weight * total_variation_loss(y).mean()
