"""Style transfer: the content of one picture, painted in the manner of others.

    losses.py        content, Gram matrices, style
    features.py      what compares pictures: random filters offline, or any network with named layers
    transfer.py      one picture, sought by gradient (Gatys); read it after losses.py
    network.py       a network that paints any picture at once in one of several styles, or between them (Dumoulin)
    colors.py        the style's colours or the content's

Pictures are brightness 0..1, (3, H, W).  A trained network sees more than random filters do, even one for 32x32 pictures:
StyleFeatures(train.load_published("cifar_resnet20")), or "vgg16" (the paper has VGG-19).

For photographs that shall stay such, colors="luminance" keeps every pixel's colour and "histogram" the palette.  Outlines may
still bend; methods that forbid it need a matting of the photograph (Luan et al. 2017, arXiv:1703.07511), which is not here.
"""

from .colors import match_colors, with_colors
from .features import RandomFeatures, StyleFeatures
from .losses import content_loss, gram_matrix, style_loss, total_variation_loss
from .network import ConditionalInstanceNorm2d, StyleNet, train_styles
from .transfer import Stylized, stylize

__all__ = ["ConditionalInstanceNorm2d", "RandomFeatures", "StyleFeatures", "StyleNet", "Stylized", "content_loss", "gram_matrix",
           "match_colors", "style_loss", "stylize", "total_variation_loss", "train_styles", "with_colors"]
