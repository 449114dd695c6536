"""Pictures, and what is known or claimed about them: grids with titles, boxes with names and scores, masks.

Looking at the data is the first examination of any data set, and looking at the mistakes the best of any network.
"""

import numpy as np

from ..ops.device import on_host
from .style import (COLORS, DPI, INK, LETTER, as_picture, as_pictures, check_length, class_name, color, grid_shape, ink_on,
                    new_figure, shortened, show_picture)

WRONG = "#F0E442"                                         # Okabe and Ito's yellow, which no class has
FONT = 8                                                  # points, of titles and of names beside boxes


def image_grid(images, titles=None, *, columns=None, marked=None, scale=None, size=1.3, title=""):
    """A matplotlib Figure of pictures in rows, each with a title above.

    images: (N, C, H, W), or a list of (C, H, W) of any sizes; C = 1 or 3, brightness 0..1 or bytes.
    titles: one text each; marked: whether each stands out by a thick frame and a bold title (mistakes, say).
    columns: how many in a row; scale: "each" stretches every picture to 0..1; size: of a picture, in inches.
    Raises ValueError for other shapes, brightness outside of 0..1, and numbers of titles or marks that do not fit.

    >>> figure = image_grid(np.zeros((12, 1, 8, 8)), titles=range(12))
    >>> len(figure.axes[0].images)
    12
    """
    pictures = as_pictures("image_grid", images, scale)
    titles = None if titles is None else list(titles)
    check_length("image_grid", "titles", titles, len(pictures))
    check_length("image_grid", "marked", marked, len(pictures))
    rows, columns = grid_shape(len(pictures), columns)
    high = max(min(1.0, p.shape[0] / p.shape[1]) for p in pictures)          # of a cell one wide
    above = 0.08 if titles is None else 1.6 * FONT / DPI / size
    figure = new_figure("image_grid", columns * size * 1.06 + 0.1, rows * (high + above) * size + 0.1 + 0.35 * bool(title), title)
    axes = figure.subplots()
    axes.set(xlim=(-0.03, columns * 1.06 - 0.03), ylim=(rows * (high + above) + 0.03, -0.03), aspect="equal")
    axes.axis("off")
    for i, picture in enumerate(pictures):
        x, y = i % columns * 1.06, i // columns * (high + above) + above
        top = place_picture(axes, picture, x, y, high, marked is not None and bool(marked[i]))
        if titles is not None:
            axes.text(x + 0.5, top - 0.3 * FONT / DPI / size, shortened(titles[i], size, FONT), ha="center", va="bottom",
                      fontsize=FONT, color=INK, fontweight="bold" if marked is not None and marked[i] else "normal")
    return figure


def place_picture(axes, picture, x, y, high, marked):
    """Draw a picture in the middle of a cell 1 wide and `high` high, whose upper left corner is x, y; returns its upper edge."""
    h, w = picture.shape[:2]
    factor = min(1 / w, high / h)
    left, top = x + (1 - w * factor) / 2, y + (high - h * factor) / 2
    extent = (left, left + w * factor, top + h * factor, top)
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=extent, aspect="equal")
    axes.set(xlim=limits[0], ylim=limits[1])
    from matplotlib.patches import Rectangle
    axes.add_patch(Rectangle((left, top), w * factor, h * factor, fill=False, linewidth=2.5 if marked else 0.4,
                             edgecolor=COLORS[1] if marked else "#b0b0b0"))
    return top


def detections(images, targets, classes=None, *, references=None, threshold=0.0, columns=None, size=4.0, title=""):
    """A matplotlib Figure of pictures with boxes, their classes and scores, and masks where there are some.

    images: one picture (C, H, W) or several; targets: for each a dict with "boxes" (n, 4), x1, y1, x2, y2 in pixels, and perhaps
    "labels" (n,), "scores" (n,), "masks" (n, H, W).
    classes: names of the labels; references: dicts with the true "boxes", drawn dashed in white.
    threshold: boxes with a smaller score are left out; size: of a picture, in inches.
    Raises ValueError for boxes of other shapes, and for numbers that do not fit.

    >>> target = {"boxes": np.array([[2.0, 3.0, 10.0, 12.0]]), "labels": np.array([1]), "scores": np.array([0.9])}
    >>> figure = detections(np.zeros((3, 16, 16)), target, ["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['dog 0.90']
    """
    single = isinstance(targets, dict)
    pictures = as_pictures("detections", [images] if single else images)
    targets, references = ([x] if isinstance(x, dict) else x for x in (targets, references))
    check_length("detections", "targets", targets, len(pictures))
    check_length("detections", "references", references, len(pictures))
    rows, columns = grid_shape(len(pictures), columns or (1 if single else 3))
    high = max(p.shape[0] / p.shape[1] for p in pictures)
    figure = new_figure("detections", columns * size + 0.1, rows * size * high + 0.1 + 0.35 * bool(title), title)
    for axes, i in zip(figure.subplots(rows, columns, squeeze=False).ravel(), range(rows * columns)):
        if i >= len(pictures):
            axes.axis("off")
            continue
        show_picture(axes, pictures[i])
        if references is not None:
            draw_reference(axes, checked_boxes(references[i]))
        draw_target(axes, pictures[i], targets[i], classes, threshold, size / pictures[i].shape[1])
    return figure


def checked_boxes(target):
    boxes = np.asarray(on_host(target["boxes"]), np.float64)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"detections: boxes must be (n, 4), x1, y1, x2, y2 in pixels, got shape {boxes.shape}.")
    return boxes


def draw_reference(axes, boxes):
    from matplotlib.patches import Rectangle
    for x1, y1, x2, y2 in boxes:
        for width, ink, dashes in (2.6, "black", "-"), (1.4, "white", (0, (3, 2))):              # seen on light and dark alike
            axes.add_patch(Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, linewidth=width, edgecolor=ink,
                                     linestyle=dashes))


def draw_target(axes, picture, target, classes, threshold, inches):
    """Boxes, masks and names of one picture; inches: the width of a pixel."""
    from matplotlib.patches import Rectangle
    boxes = checked_boxes(target)
    labels, scores, masks = (None if target.get(key) is None else np.asarray(on_host(target[key]))
                             for key in ("labels", "scores", "masks"))
    for key, values in ("labels", labels), ("scores", scores), ("masks", masks):
        if values is not None and len(values) != len(boxes):
            raise ValueError(f"detections: {key} must be one for each of the {len(boxes)} boxes, got {len(values)}.")
    order = np.arange(len(boxes)) if scores is None else np.argsort(-scores, kind="stable")
    taken, height = [], picture.shape[0]
    for i in order:
        if scores is not None and scores[i] < threshold:
            continue
        k = i if labels is None else int(labels[i])
        x1, y1, x2, y2 = boxes[i] - 0.5                   # the edge of a pixel, not its centre
        if masks is not None:
            axes.imshow(overlay(masks[i] > 0.5, color(k), 0.45), interpolation="nearest")
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, linewidth=1.8, edgecolor=color(k)))
        words = [] if labels is None else [class_name(classes, k)]
        words += [] if scores is None else [f"{scores[i]:.2f}"]
        if words:
            write_name(axes, " ".join(words), (x1, y1, y2), color(k), inches, picture.shape[:2], taken)
    axes.set(xlim=(-0.5, picture.shape[1] - 0.5), ylim=(height - 0.5, -0.5))


def write_name(axes, text, box, ink, inches, shape, taken):
    """Write a name at the upper left corner of its box, inside the picture, where no other name stands."""
    x1, y1, y2 = box
    high, wide = 1.5 * FONT / DPI / inches, (LETTER * FONT * len(text) + 4) / DPI / inches               # in pixels
    x = min(max(x1, -0.5), max(-0.5, shape[1] - 0.5 - wide))
    spots = [y1, y1 + high, y2 + high, *(y1 + k * high for k in range(2, 12)), *(y1 - k * high for k in range(1, 12))]
    free = [y for y in spots if -0.5 <= y - high and y <= shape[0] - 0.5 and not any(
        x < b and a < x + wide and y - high < d and c < y for a, b, c, d in taken)]
    y = free[0] if free else min(max(y1, high - 0.5), shape[0] - 0.5)
    taken.append((x, x + wide, y - high, y))
    axes.text(x + 2 / DPI / inches, y - high / 2, text, fontsize=FONT, va="center", ha="left", color=ink_on(ink), clip_on=True,
              bbox={"facecolor": ink, "edgecolor": "none", "pad": 1.2})


def overlay(mask, ink, alpha):
    """A mask as a transparent picture (H, W, 4) of one colour."""
    return np.concatenate([np.broadcast_to(ink, (*mask.shape, 3)), alpha * mask[..., None].astype(float)], axis=2)


def segmentation(image, mask, classes=None, *, prediction=None, background=0, alpha=0.5, size=3.2, title=""):
    """A matplotlib Figure of a picture, its mask over the picture in grey, and with a prediction that and where the two differ.

    Shapes: image (C, H, W), mask and prediction (H, W), class indices; 255 or -1 for pixels that do not count.
    classes: names for the legend; background: the class without colour, None for none; alpha: how dense the colours are.
    Raises ValueError for masks that are not (H, W) of the picture's size, TypeError for masks that are not integers.

    >>> mask = np.zeros((8, 8), np.int64); mask[2:5] = 1
    >>> figure = segmentation(np.zeros((1, 8, 8)), mask, ["sky", "tree"], prediction=mask.T)
    >>> [axes.get_title() for axes in figure.axes]
    ['picture', 'mask', 'prediction', 'wrong: 46.9% of the pixels']
    """
    picture = as_picture("segmentation", image)
    masks = {"mask": checked_mask("mask", mask, picture)}
    if prediction is not None:
        masks["prediction"] = checked_mask("prediction", prediction, picture)
    panels = 1 + len(masks) + (prediction is not None)
    high = picture.shape[0] / picture.shape[1]
    figure = new_figure("segmentation", panels * size, size * high + 0.65 + 0.35 * bool(title), title)
    all_axes = figure.subplots(1, panels)
    grey = picture if picture.ndim == 2 else picture @ [0.299, 0.587, 0.114]
    for axes in all_axes:                                 # colours are told apart on grey, not on other colours
        show_picture(axes, picture if axes is all_axes[0] else grey)
    all_axes[0].set_title("picture", fontsize=FONT + 2)
    for axes, (name, values) in zip(all_axes[1:], masks.items()):
        axes.set_title(name, fontsize=FONT + 2)
        for k in np.unique(values):
            if k != background and counts(k):
                axes.imshow(overlay(values == k, color(int(k)), alpha), interpolation="nearest")
    if prediction is not None:
        from matplotlib.colors import to_rgb
        valid = counts(masks["mask"])
        wrong = (masks["mask"] != masks["prediction"]) & valid
        show_picture(all_axes[-1], 0.5 * grey)
        all_axes[-1].imshow(overlay(wrong, to_rgb(WRONG), 1.0), interpolation="nearest")
        all_axes[-1].set_title(f"wrong: {100 * wrong.sum() / max(1, valid.sum()):.1f}% of the pixels", fontsize=FONT + 2)
    add_legend(figure, sorted(set(np.concatenate([np.unique(m) for m in masks.values()]).tolist())), classes, background)
    return figure


def counts(k):
    """Which class indices count: 255 and negative ones mark pixels that nobody labelled."""
    return (k != 255) & (k >= 0)


def checked_mask(name, mask, picture):
    mask = np.asarray(on_host(mask))
    if mask.shape != picture.shape[:2]:
        raise ValueError(f"segmentation: {name} must be (H, W) = {picture.shape[:2]} as the picture is, got shape {mask.shape}. "
                         "Of scores "
                         "(K, H, W) take argmax(axis=0).")
    if mask.dtype.kind not in "iub":
        raise TypeError(f"segmentation: {name} must hold class indices, got dtype {mask.dtype}.")
    return mask.astype(np.int64)


def add_legend(figure, present, classes, background):
    from matplotlib.patches import Patch
    shown = [k for k in present if k != background and counts(np.int64(k))]
    handles = [Patch(color=color(k), label=class_name(classes, k)) for k in shown]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 8), fontsize=FONT, frameon=False)
