"""SqueezeNet: as right about ImageNet as AlexNet, with a fiftieth of its weights.

Most weights of a convolution lie in its 3x3 kernels over many channels.  A fire module first squeezes the channels by a 1x1
convolution to a few, s, then expands them to 2e: half of them by 1x1, half by 3x3 kernels, side by side.

    fire(s, e)     C -> s (1x1, ReLU) -> e (1x1, ReLU) and e (3x3, padding 1, ReLU), concatenated to 2e

    SqueezeNet 1.0                output (pixels)       SqueezeNet 1.1                        output (pixels)
    conv 7x7, stride 2, 96        H/2                   conv 3x3, stride 2, 64                H/2
    max pool 3x3, stride 2        H/4                   max pool 3x3, stride 2                H/4
    fire (16, 64) x 2, (32, 128)  H/4                   fire (16, 64) x 2                     H/4
    max pool                      H/8                   max pool                              H/8
    fire (32, 128),               H/8                   fire (32, 128) x 2                    H/8
         (48, 192) x 2, (64, 256)
    max pool                      H/16                  max pool                              H/16
    fire (64, 256)                H/16                  fire (48, 192) x 2, (64, 256) x 2     H/16
    dropout, conv 1x1 to classes, ReLU, mean over all pixels

Both have about 1.24 million weights; 1.1 pools earlier, and so computes 2.4 times less.  There is no dense layer: pictures of any
size, from 17 or 21 pixels on, are answered.  Names of the weights are those of torchvision, whose files can be loaded.

Source: Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer 2016, arXiv:1602.07360, table 1; 1.1: the authors' repository.
"""

from .. import concatenate, nn
from ..nn.checks import whole
from ..ops.shapes import check_array, check_choice

POOL = None
PLANS = {  # the first convolution (kernel, filters), then fire modules (squeeze, expand) and where is pooled
    "1.0": ((7, 96), (POOL, (16, 64), (16, 64), (32, 128), POOL, (32, 128), (48, 192), (48, 192), (64, 256), POOL, (64, 256))),
    "1.1": ((3, 64), (POOL, (16, 64), (16, 64), POOL, (32, 128), (32, 128), POOL, (48, 192), (48, 192), (64, 256), (64, 256))),
}
LEAST = {"1.0": 21, "1.1": 17}                           # pixels each way: what all poolings leave a pixel of


class Fire(nn.Module):
    """Few channels by 1x1, then many by 1x1 and by 3x3, side by side (section 3.1).

    Shapes: input (N, C, H, W) -> (N, 2 * expand, H, W).

    >>> from tinyvision import Tensor
    >>> import numpy as np
    >>> Fire(96, 16, 64)(Tensor(np.zeros((1, 96, 5, 5), "float32"))).shape
    (1, 128, 5, 5)
    """

    def __init__(self, in_channels, squeeze, expand):
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.activation = nn.ReLU()

    def forward(self, x):
        x = self.activation(self.squeeze(x))
        return concatenate([self.activation(self.expand1x1(x)), self.activation(self.expand3x3(x))], axis=1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.0 or 1.1.

    Shapes: input (N, in_channels, H, W), at least 17x17 (1.0: 21x21) -> logits (N, num_classes).
    version: "1.0" or "1.1"; dropout: the probability before the last convolution.
    Raises ValueError for another version, sizes below 1 and pictures of another shape.

    >>> sum(p.size for p in SqueezeNet().parameters())
    1235496
    """

    def __init__(self, num_classes=1000, in_channels=3, *, version="1.1", dropout=0.5):
        check_choice("SqueezeNet", "version", version, PLANS)
        whole("SqueezeNet", num_classes=num_classes, in_channels=in_channels)
        (size, channels), plan = PLANS[version]
        self.in_channels, self.least = in_channels, LEAST[version]
        layers = [nn.Conv2d(in_channels, channels, size, stride=2), nn.ReLU()]
        for stage in plan:
            if stage is POOL:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            else:
                layers.append(Fire(channels, *stage))
                channels = 2 * stage[1]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Conv2d(channels, num_classes, 1), nn.ReLU(),
                                        nn.AdaptiveAvgPool2d(1))
        self.reset_parameters()

    def reset_parameters(self):
        """Weights after He et al. 2015, small ones for the last layer, biases zero: without normalisation the scale matters."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier[1].weight, 0.0, 0.01)

    def forward(self, x):
        check_array("SqueezeNet", input=x)
        if x.ndim != 4 or x.shape[1] != self.in_channels or min(x.shape[2:]) < self.least:
            raise ValueError(f"SqueezeNet: input must be (N, {self.in_channels}, H, W), at least {self.least}x{self.least}, got "
                             f"shape {x.shape}. A single picture needs a batch axis, x[None].")
        return self.classifier(self.features(x)).flatten(1)


def squeezenet1_0(num_classes=1000):
    """SqueezeNet 1.0: 1,248,424 weights.

    >>> squeezenet1_0(10).features[0].kernel_size
    (7, 7)
    """
    return SqueezeNet(num_classes, version="1.0")


def squeezenet1_1(num_classes=1000):
    """SqueezeNet 1.1: 1,235,496 weights.

    >>> squeezenet1_1(10).features[0].kernel_size
    (3, 3)
    """
    return SqueezeNet(num_classes)
