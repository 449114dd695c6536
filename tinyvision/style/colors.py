"""Whose colours: the style's, or those of the picture that is painted.

    luminance     only brightness is transferred; every pixel keeps its colour.  Picture and styles are turned grey, the style's
                  brightness is shifted and scaled to the picture's mean and spread, and the colour is laid over the result:
                  y' i q, with y' the result's brightness (YIQ, the colour space of NTSC television)
    histogram     the style is painted over first with the picture's palette, p -> A p + b, so that mean and covariance of its
                  colours are the picture's:  A = S_c^(1/2) S_s^(-1/2),  b = m_c - A m_s

The first suits photographs, the second pictures whose colours may move.  Neither forbids lines to bend.

Source: Gatys, Bethge, Hertzmann and Shechtman 2016, Preserving color in neural artistic style transfer, arXiv:1606.05897.
"""

import numpy as np

from .features import as_photograph

YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def match_colors(image, reference):
    """A picture in the palette of another: mean and covariance of its colours become the reference's.

    Shapes: image (3, H, W) and reference (3, *), brightness 0..1 -> (3, H, W), clipped to 0..1.
    Raises ValueError for other pictures.
    Source: Gatys et al. 2016, arXiv:1606.05897, section 4 (image analogies).

    >>> rng = np.random.default_rng(0)
    >>> image, reference = rng.uniform(0.3, 0.7, (2, 3, 16, 16))
    >>> np.allclose(match_colors(image, reference).mean(axis=(1, 2)), reference.mean(axis=(1, 2)))
    True
    """
    image = as_photograph("match_colors", "image", image, np.float64)
    reference = as_photograph("match_colors", "reference", reference, np.float64)
    (m, s), (wanted, target) = moments(image), moments(reference)
    turn = root(target, 0.5) @ root(s, -0.5)
    return np.clip(np.tensordot(turn, image - m, 1) + wanted, 0, 1)


def moments(image):
    """Mean (3, 1, 1) and covariance (3, 3) of the colours."""
    flat = image.reshape(3, -1)
    return flat.mean(axis=1).reshape(3, 1, 1), np.cov(flat, bias=True)


def root(matrix, power):
    """A power of a symmetric matrix that is not negative; directions without any spread are given a very small one."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.maximum(values, 1e-8) ** power @ vectors.T


def with_colors(image, colors):
    """The brightness of one picture with the colours of another, clipped to 0..1.

    Shapes: both (3, H, W) -> (3, H, W), brightness 0..1.
    Raises ValueError for other pictures, and for different sizes.
    Source: Gatys et al. 2016, arXiv:1606.05897, section 5 (luminance only).

    >>> red = np.array([0.8, 0.2, 0.2]).reshape(3, 1, 1)
    >>> with_colors(np.full((3, 1, 1), 0.5), red).ravel().round(2)                           # a lighter red
    array([0.92, 0.32, 0.32])
    """
    image, colors = (as_photograph("with_colors", name, x, np.float64) for name, x in (("image", image), ("colors", colors)))
    if image.shape != colors.shape:
        raise ValueError(f"with_colors: image and colors must have one size, got {image.shape[1:]} and {colors.shape[1:]}.")
    mixed = np.tensordot(YIQ, colors, 1)
    mixed[0] = brightness(image)
    return np.clip(np.tensordot(np.linalg.inv(YIQ), mixed, 1), 0, 1)


def brightness(image):
    """Y (H, W) of a picture (3, H, W)."""
    return np.tensordot(YIQ[0], image, 1)


def grey_pair(content, style):
    """Both in grey, the style with the content's mean and spread of brightness."""
    y, s = brightness(content), brightness(style)
    s = (s - s.mean()) * (y.std() / max(s.std(), 1e-8)) + y.mean()
    return np.repeat(y[None], 3, axis=0), np.clip(np.repeat(s[None], 3, axis=0), 0, 1)
