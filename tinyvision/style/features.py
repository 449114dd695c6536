"""What compares pictures: the outputs of some named layers of a network.

Which network matters less than one would think.  The layers of a VGG trained on a million photographs give the best pictures;
but random filters that were never trained see brightness, edges and colours at several scales as well, and paint convincingly:
what makes a style is mostly that its colours, strokes and distances come together.

    RandomFeatures     output (N, ...)       what it does
    stages.0           C, H, W               3x3 convolution (reflected border), ReLU
    stages.1..3        C, H/2, .. H/8, ..    4x4 mean with stride 2, 3x3 convolution, ReLU

The filters are orthogonal, so that none sees what another sees, and the means overlap: a 2x2 mean leaves its grid in the picture.

Sources: Ustyuzhaninov, Brendel, Gatys and Bethge 2016, Texture synthesis using shallow convolutional networks with random
filters, arXiv:1606.00021; He, Wang and Hopcroft 2016, arXiv:1606.04801 (random deep ones).
"""

import numpy as np

from .. import functional as F
from .. import nn
from ..autograd import no_grad
from ..interpret.picture import Standard
from ..interpret.record import check_model, dtype_of, evaluating, run, shown
from ..models import CifarResNet, PlainNet, ResNet, SqueezeNet
from ..nn.checks import whole
from ..ops.device import on_host
from ..ops.shapes import check_array
from ..random import as_generator
from .losses import content_loss, gram_matrix, style_loss

TINY = 1e-30                                              # for layers that see nothing of what is imitated
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class RandomFeatures(nn.Module):
    """A network of random filters at several scales, for style transfer without any download.

    Shapes: input (N, 3, H, W) -> (N, channels, H / 2^(stages-1), ...); at least 2^stages pixels each way.
    generator: a numpy.random.Generator or a seed for the filters; None for the engine's.
    Raises ValueError for other pictures and sizes below 1.

    >>> from tinyvision import Tensor
    >>> RandomFeatures(generator=0)(Tensor(np.zeros((1, 3, 32, 48), "float32"))).shape
    (1, 64, 4, 6)
    """

    def __init__(self, channels=64, stages=4, *, generator=None):
        whole("RandomFeatures", channels=channels, stages=stages)
        generator = as_generator("RandomFeatures", generator)
        convs = [nn.Conv2d(channels if i else 3, channels, 3, padding=1, padding_mode="reflect") for i in range(stages)]
        for conv in convs:
            nn.init.orthogonal_(conv.weight, 2 ** 0.5, generator=generator)
            nn.init.zeros_(conv.bias)
        self.stages = nn.ModuleList([nn.Sequential(conv, nn.ReLU()) for conv in convs])
        self.requires_grad_(False)

    def forward(self, x):
        check_array("RandomFeatures", input=x)
        least = 2 ** len(self.stages)
        if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[2:]) < least:
            raise ValueError(f"RandomFeatures: input must be (N, 3, H, W), at least {least}x{least}, got shape {x.shape}.")
        for i, stage in enumerate(self.stages):
            x = stage(F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 4, 2) if i else x)
        return x


# The layers that are taken where none are named: for content, for style, and how the inputs are standardised.
CHOICES = [
    (RandomFeatures, ["stages.2"], ["stages.0", "stages.1", "stages.2", "stages.3"], {"mean": 0.5, "std": 1.0}),
    (PlainNet, ["stages.3.3"], [f"stages.{i}.1" for i in range(5)], IMAGENET),                # conv4_2; conv1_1 to conv5_1
    (CifarResNet, ["layer2"], ["conv1", "layer1", "layer2", "layer3"], IMAGENET),
    (SqueezeNet, ["features.4"], ["features.1", "features.4", "features.7", "features.9"], IMAGENET),
    (ResNet, ["layer2"], ["conv1", "layer1", "layer2", "layer3"], IMAGENET),
]


class StyleFeatures:
    """A network with the layers that stand for content and for style.

    model: any network with named layers; None for RandomFeatures(generator=0).
    content_layers, style_layers: paths; None for those usual for RandomFeatures, PlainNet (VGG-16), SqueezeNet and the ResNets.
    mean, std: what the network's inputs were standardised with, numbers or one per channel; None for the usual ones.
    `content(x)` gives {layer: features}, `grams(x)` {layer: Gram matrix}, `both(x)` the pair, for brightness (N, 3, H, W).
    Raises ValueError where layers must be named, and for layers that do not exist when called.

    >>> from tinyvision import Tensor
    >>> compare = StyleFeatures()
    >>> content, grams = compare.both(Tensor(np.full((1, 3, 32, 32), 0.5, "float32")))
    >>> {name: x.shape for name, x in content.items()}, list(grams)
    ({'stages.2': (1, 64, 8, 8)}, ['stages.0', 'stages.1', 'stages.2', 'stages.3'])
    """

    def __init__(self, model=None, content_layers=None, style_layers=None, *, mean=None, std=None):
        self.model = RandomFeatures(generator=0) if model is None else model
        check_model("StyleFeatures", self.model)
        usual = next((row[1:] for row in CHOICES if isinstance(self.model, row[0])), (None, None, {"mean": 0.5, "std": 1.0}))
        names = [layers if given is None else [given] if isinstance(given, str) else list(given)
                 for given, layers in zip((content_layers, style_layers), usual)]
        for what, found in zip(("content_layers", "style_layers"), names):
            if not found:
                known = [path for path, _ in self.model.named_modules() if path]
                raise ValueError(f"StyleFeatures: {what} must name layers of {type(self.model).__name__}, got none. There is: "
                                 f"{', '.join(known[:12])}{', ...' * (len(known) > 12)}.")
        self.content_layers, self.style_layers = names
        self.dtype = dtype_of(self.model)
        self.standard = Standard("StyleFeatures", usual[2]["mean"] if mean is None else mean,
                                 usual[2]["std"] if std is None else std, 3, self.dtype, 2)

    def both(self, x):
        """Features of the content layers and Gram matrices of the style layers, both {layer: Tensor}."""
        names = [*dict.fromkeys(self.content_layers + self.style_layers)]
        with evaluating(self.model):
            _, found = run("StyleFeatures", self.model, self.standard(x), names)
        return {name: found[name] for name in self.content_layers}, {name: gram_matrix(found[name]) for name in self.style_layers}

    def content(self, x):
        return self.both(x)[0]

    def grams(self, x):
        return self.both(x)[1]

    def targets(self, content, styles, mix):
        """What is imitated: {layer: features} of the content, and for each style with a share (share, {layer: Gram matrix})."""
        with no_grad():
            wanted = self.content(shown(self.model, content[None]))
            return wanted, [(share, self.grams(shown(self.model, style[None]))) for style, share in zip(styles, mix) if share]


def as_photograph(who, name, image, dtype):
    """A picture (3, H, W), brightness 0..1, in this dtype."""
    x = np.asarray(on_host(image))
    if x.ndim != 3 or x.shape[0] != 3 or x.dtype.kind != "f":
        raise ValueError(f"{who}: {name} must be a colour picture (3, H, W) of floats, got {x.dtype} of shape {x.shape}. Grey "
                         "pictures: np.repeat(x, 3, axis=0); bytes: x.astype('float32') / 255.")
    if not np.isfinite(x).all() or x.min() < 0 or x.max() > 1:
        raise ValueError(f"{who}: {name} must be brightness 0..1, got {x.min():.3g} to {x.max():.3g}.")
    return x.astype(dtype)


def relative_content(features, target):
    """The content loss over that of a layer that sees nothing, (N,)."""
    size = (target * target).sum(axis=tuple(range(1, target.ndim)))
    return content_loss(features, target) * 2 / (size + TINY)


def relative_style(gram, target):
    """The style loss over that of a layer that sees nothing, (N,)."""
    size = (target * target).sum(axis=(-2, -1))
    return style_loss(gram, target) * (4 * target.shape[-1] ** 2) / (size + TINY)
