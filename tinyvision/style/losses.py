"""What content and style are, in numbers: the features of a layer, and which of its features occur together.

A layer gives C maps; F (C, M) are they as rows, M places each.  Two pictures have the same content where F agrees place by
place.  A style has no places: it is which features come together anywhere, the Gram matrix

    G = F F^T / M                              G_ij: the mean over all places of the product of maps i and j     (C, C)
    content = 1/2 sum (F - P)^2                dcontent / dF = F - P
    style   = 1/(4 C^2) sum (G - A)^2          dstyle / dF = (G - A) F / (C^2 M)

with P and A those of the picture that is imitated.  The paper has G = F F^T and the factor 1/(4 C^2 M^2), which is the same where
both pictures have one size; with the mean they need not.

The total variation, here the mean over pixels and channels of the squared differences to the next pixel below and to the right,
keeps single pixels from standing out, of which neither loss knows.

Source: Gatys, Ecker and Bethge 2015, A neural algorithm of artistic style, arXiv:1508.06576, equations 1 to 5; Mahendran and
Vedaldi 2014, arXiv:1412.0035, section 3 (total variation).
"""

from ..interpret.picture import total_variation
from ..ops.shapes import check_array, check_same_shape


def gram_matrix(features):
    """Which maps of a layer occur together: the mean over all places of their products.

    Shapes: features (N, C, *S) -> (N, C, C), symmetric.
    Raises ValueError for fewer than three axes.
    Source: Gatys, Ecker and Bethge 2015, arXiv:1508.06576, equation 3, here a mean.

    >>> import numpy as np
    >>> gram_matrix(np.array([[[1.0, 1.0], [2.0, -2.0]]]))
    array([[[1., 0.],
            [0., 4.]]])
    """
    check_array("gram_matrix", features=features)
    if features.ndim < 3:
        raise ValueError(f"gram_matrix: features must be (N, C, ...), got shape {features.shape}.")
    f = features.reshape((*features.shape[:2], -1))                       # (N, C, M)
    return f @ f.swapaxes(1, 2) * (1 / f.shape[2])                        # (N, C, C)


def content_loss(features, target):
    """Half the sum of squared differences between the features of two pictures.

    Shapes: both (N, C, *S) -> (N,).
    Raises ValueError for different shapes.
    Source: Gatys, Ecker and Bethge 2015, arXiv:1508.06576, equation 1.

    >>> import numpy as np
    >>> content_loss(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 4.0]]]))
    array([2.])
    """
    check_array("content_loss", features=features, target=target)
    check_same_shape("content_loss", features=features, target=target)
    d = features - target
    return 0.5 * (d * d).sum(axis=tuple(range(1, d.ndim)))


def style_loss(gram, target):
    """The squared differences between the Gram matrices of two pictures, over 4 C^2.

    Shapes: both (N, C, C) -> (N,); target may also be (C, C).
    Raises ValueError for what are no Gram matrices of one layer.
    Source: Gatys, Ecker and Bethge 2015, arXiv:1508.06576, equation 4.

    >>> import numpy as np
    >>> style_loss(np.array([[[1.0, 0.0], [0.0, 5.0]]]), np.eye(2))
    array([1.])
    """
    check_array("style_loss", gram=gram, target=target)
    if gram.ndim != 3 or gram.shape[1] != gram.shape[2] or target.shape[-2:] != gram.shape[1:] or target.ndim not in (2, 3):
        raise ValueError(f"style_loss: gram and target must be Gram matrices (N, C, C) of one layer, got {gram.shape} and "
                         f"{target.shape}. gram_matrix(features) makes them.")
    d = gram - target
    return (d * d).sum(axis=(1, 2)) / (4 * gram.shape[1] ** 2)


def total_variation_loss(images):
    """How rough pictures are: squared differences of neighbouring pixels, over the number of pixels and channels.

    Shapes: (N, C, *S) -> (N,).
    Raises ValueError for fewer than three axes.
    Source: Mahendran and Vedaldi 2014, arXiv:1412.0035, section 3, with beta = 2.

    >>> import numpy as np
    >>> total_variation_loss(np.array([[[[0.0, 1.0], [0.0, 3.0]]]]))                         # (1 + 9 + 0 + 4) / 4
    array([3.5])
    """
    check_array("total_variation_loss", images=images)
    if images.ndim < 3:
        raise ValueError(f"total_variation_loss: images must be (N, C, ...), got shape {images.shape}.")
    return total_variation(images) / (images.size / len(images))
