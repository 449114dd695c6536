"""What the pictures of this folder share: colours that colour-blind eyes can tell apart, pictures as matplotlib takes them.

Lines and areas take the colours of Okabe and Ito (2008), chosen to differ for all three kinds of colour-blindness; where there
are more classes than colours, darker and paler ones follow, and names stand beside them.  Quantities from small to large are
drawn in cividis (Nunez, Anderton and Renslow 2018, doi:10.1371/journal.pone.0199239), positive and negative ones in PuOr.

Every figure is a matplotlib.figure.Figure that pyplot does not know: nothing is shown, kept or left over by itself.
"""

import math

import numpy as np

from ..packages import require
from ..ops.device import on_host

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#000000")
INK, FAINT = "#1f2328", "#8c959f"
SEQUENTIAL, DIVERGING = "cividis", "PuOr"
DPI = 72                                                  # points per inch: what font sizes are counted in
LETTER = 0.56                                             # mean width of a letter, of the font size


def new_figure(who, width, height, title="", layout="constrained"):
    """A Figure of so many inches that arranges its parts by itself; layout: "compressed" where their proportions are fixed."""
    require(who, "matplotlib")
    from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), layout=layout)
    if title:
        figure.suptitle(title)
    return figure


def color(k):
    """The colour of class k: eight, then the same darker, then paler, and so on."""
    from matplotlib.colors import to_rgb
    base, turn = np.array(to_rgb(COLORS[k % len(COLORS)])), k // len(COLORS) % 3
    return tuple(base if turn == 0 else 0.55 * base if turn == 1 else 0.45 * base + 0.55)


def ink_on(background):
    """Black or white, whichever is read more easily on a colour."""
    r, g, b = background[:3]
    return "white" if 0.299 * r + 0.587 * g + 0.114 * b < 0.55 else "black"


def shortened(text, inches, size):
    """A text cut so that it fits into a width at a font size."""
    most = max(1, int(inches * DPI / (LETTER * size)))
    text = str(text)
    return text if len(text) <= most else text[:max(1, most - 1)] + "\u2026"


def class_name(classes, k):
    """The name of class k, or its number."""
    return str(classes[k]) if classes is not None and 0 <= k < len(classes) else str(k)


def as_picture(who, image, scale=None):
    """A picture (C, H, W) or (H, W), as matplotlib takes it: (H, W, 3), or (H, W) where it is grey; numbers from 0 to 1.

    scale: None for brightness 0..1 or bytes, which are refused where they are neither; "each" stretches smallest to largest.
    """
    x = np.asarray(on_host(image))
    if x.ndim not in (2, 3) or (x.ndim == 3 and x.shape[0] not in (1, 3)) or not x.size:
        last = x.ndim == 3 and x.shape[-1] in (1, 3)
        hint = "Transpose (H, W, C) by x.transpose(2, 0, 1)." if last else "Pass one picture each."
        raise ValueError(f"{who}: a picture must be (C, H, W) with C = 1 or 3, or (H, W), got shape {x.shape}. {hint}")
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{who}: a picture must hold numbers, got dtype {x.dtype}.")
    y = x.astype(np.float64) / (255 if x.dtype == np.uint8 else 1)
    if not np.isfinite(y).all():
        raise ValueError(f"{who}: a picture must be finite, this one holds {y[~np.isfinite(y)][0]}. Look for a division by 0.")
    if scale == "each":
        low, high = y.min(), y.max()
        y = (y - low) / (high - low) if high > low else np.full_like(y, 0.5)
    elif y.min() < -1e-6 or y.max() > 1 + 1e-6:
        raise ValueError(f"{who}: brightness must lie in 0..1, got {y.min():.3g} to {y.max():.3g}. Undo the normalisation, or "
                         "pass "
                         "scale='each'.")
    y = np.clip(y, 0, 1)
    return y if y.ndim == 2 else y[0] if len(y) == 1 else y.transpose(1, 2, 0)


def as_pictures(who, images, scale=None):
    """Pictures (N, C, H, W), or a list of (C, H, W), or one, as a list of what as_picture gives."""
    if not isinstance(images, (list, tuple)):
        x = np.asarray(on_host(images))
        images = [x] if x.ndim in (2, 3) else x
    if len(images) == 0:
        raise ValueError(f"{who}: needs at least one picture, got none.")
    return [as_picture(who, image, scale) for image in images]


def grid_shape(count, columns):
    """Rows and columns for so many cells."""
    columns = min(count, columns or max(1, min(10, math.ceil(math.sqrt(1.6 * count)))))
    return math.ceil(count / columns), columns


def show_picture(axes, picture):
    """Draw a picture with sharp pixels and without ticks."""
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])


def check_length(who, name, values, count):
    if values is not None and len(values) != count:
        raise ValueError(f"{who}: {name} must be one for each of the {count} pictures, got {len(values)}.")
