"""Embeddings: pictures where their vectors lie, and pictures beside their neighbours.

A map of dots says that there are clusters; the pictures among the dots say of what.  Thumbnails stand where they fit without
covering one another, the first points first, and every point has its dot in the colour of its class.
"""

import numpy as np

from ..nn.checks import positive, whole
from ..ops.device import on_host
from .images import image_grid
from .style import FAINT, INK, as_pictures, check_length, class_name, color, new_figure

FONT = 9
MARGIN = 0.04                                             # of the plane, around the points


def embedding_map(points, images=None, labels=None, classes=None, *, thumbnails=80, zoom=0.4, size=6.0, title=""):
    """A matplotlib Figure of points in a plane, coloured by class, with the pictures of some of them in their places.

    Shapes: points (N, 2); images (N, C, H, W) or a list, brightness 0..1 or bytes; labels (N,), class indices.
    classes: names of the labels, for the legend; thumbnails: how many pictures at most, those that cover no earlier one.
    zoom: width of a thumbnail in inches; size: of the figure, in inches.
    Raises ValueError for other shapes, and numbers of pictures or labels that do not fit.

    >>> points = np.random.default_rng(0).normal(size=(30, 2))
    >>> figure = embedding_map(points, np.zeros((30, 1, 8, 8)), np.arange(30) % 3, ["a", "b", "c"], thumbnails=5)
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['a', 'b', 'c']
    """
    who = "embedding_map"
    points = np.asarray(on_host(points), np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or not np.isfinite(points).all():
        raise ValueError(f"{who}: points must be (N, 2), finite, got shape {points.shape}. interpret.plane_map makes them of "
                         "vectors.")
    whole(who, 0, thumbnails=thumbnails)
    positive(who, zoom=zoom, size=size)
    pictures = None if images is None else as_pictures(who, images)
    labels = None if labels is None else np.asarray(on_host(labels))
    check_length(who, "images", pictures, len(points))
    check_length(who, "labels", labels, len(points))
    figure = new_figure(who, size, size + 0.35 * bool(title) + 0.3 * (labels is not None), title)
    axes = figure.subplots()
    axes.set(xticks=[], yticks=[])
    inside = unit_square(points)
    colors = [FAINT if labels is None else color(int(k)) for k in (labels if labels is not None else np.zeros(len(points)))]
    axes.scatter(*inside.T, s=14, c=colors, linewidths=0.3, edgecolors="white", zorder=1)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    if pictures is not None:
        for i in free_places(inside, pictures, zoom / size, thumbnails):
            place(axes, pictures[i], inside[i], zoom / size, None if labels is None else color(int(labels[i])))
    if labels is not None:
        add_legend(figure, np.unique(labels), classes)
    return figure


def unit_square(points):
    """Points shifted and scaled, both axes alike, into 0..1 with a margin."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = max((high - low).max(), 1e-12)
    return 0.5 + (1 - 2 * MARGIN) * (points - (low + high) / 2) / span


def half_sizes(picture, width):
    """Half the width and half the height of a thumbnail."""
    return width / 2, width / 2 * picture.shape[0] / picture.shape[1]


def free_places(points, pictures, width, most):
    """The numbers of the points whose thumbnails cover no earlier one, up to so many."""
    chosen = []
    for i, point in enumerate(points):
        if len(chosen) == most:
            break
        half = np.array(half_sizes(pictures[i], width))
        if all((np.abs(point - points[j]) >= half + half_sizes(pictures[j], width)).any() for j in chosen):
            chosen.append(i)
    return chosen


def place(axes, picture, point, width, edge):
    """Draw a thumbnail around a point, framed in the colour of its class."""
    from matplotlib.patches import Rectangle
    (x, y), (w, h) = point, half_sizes(picture, width)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=(x - w, x + w, y - h, y + h), zorder=2)
    axes.add_patch(Rectangle((x - w, y - h), 2 * w, 2 * h, fill=False, linewidth=0.4 if edge is None else 1.6,
                             edgecolor=INK if edge is None else edge, zorder=3))
    axes.set(xlim=(0, 1), ylim=(0, 1))


def add_legend(figure, present, classes):
    from matplotlib.lines import Line2D
    handles = [Line2D([], [], linestyle="", marker="o", color=color(int(k)), label=class_name(classes, int(k))) for k in present]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5), fontsize=FONT, frameon=False)


def neighbour_grid(queries, gallery, numbers, *, labels=None, gallery_labels=None, classes=None, distances=None, size=1.3,
                   title=""):
    """A matplotlib Figure with a row for each query: the query, and its neighbours from near to far.

    Shapes: queries (N, C, H, W), gallery (M, C, H, W), or lists, brightness 0..1 or bytes; numbers (N, k), of the gallery,
    and distances (N, k), as interpret.nearest_neighbours gives them.
    labels (N,), gallery_labels (M,): class indices; neighbours of another class are framed.  classes: their names.
    size: of a picture, in inches.
    Raises ValueError for other shapes, and numbers that do not fit.

    >>> x = np.zeros((4, 1, 8, 8))
    >>> figure = neighbour_grid(x[:2], x, [[1, 3], [0, 2]], labels=[0, 0], gallery_labels=[0, 0, 1, 1], classes=["cat", "dog"])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['cat?', 'cat', 'dog', 'cat?', 'cat', 'dog']
    """
    who = "neighbour_grid"
    queries, gallery, numbers = as_list(queries), as_list(gallery), np.asarray(on_host(numbers))
    if numbers.ndim != 2 or len(numbers) != len(queries) or numbers.dtype.kind not in "iu" or not numbers.size:
        raise ValueError(f"{who}: numbers must be integers (N, k) for {len(queries)} queries, got {numbers.dtype} of shape "
                         f"{numbers.shape}.")
    if numbers.min() < 0 or numbers.max() >= len(gallery):
        raise ValueError(f"{who}: numbers must lie in 0..{len(gallery) - 1}, got {numbers.min()} to {numbers.max()}.")
    if (labels is None) != (gallery_labels is None):
        raise ValueError(f"{who}: labels and gallery_labels go together, got only one.")
    check_length(who, "labels", labels, len(queries))
    check_length(who, "gallery_labels", gallery_labels, len(gallery))
    if distances is not None and np.shape(on_host(distances)) != numbers.shape:
        raise ValueError(f"{who}: distances must be {numbers.shape} as numbers are, got {np.shape(on_host(distances))}.")
    pictures, titles, marked = [], [], []
    for i, row in enumerate(numbers):
        pictures += [queries[i], *(gallery[j] for j in row)]
        titles.append(f"{class_name(classes, int(labels[i]))}?" if labels is not None else "query")
        marked += [False, *(labels is not None and labels[i] != gallery_labels[j] for j in row)]
        for place_, j in enumerate(row):
            words = [class_name(classes, int(gallery_labels[j]))] if labels is not None else []
            words += [f"{float(on_host(distances)[i][place_]):.2f}"] if distances is not None else []
            titles.append(" ".join(words))
    return image_grid(pictures, titles, columns=1 + numbers.shape[1], marked=marked, size=size, title=title)


def as_list(images):
    return list(images) if isinstance(images, (list, tuple)) else list(on_host(images))
