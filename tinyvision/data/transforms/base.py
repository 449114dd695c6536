"""What all transforms share: the call, the random numbers, and what becomes of the target.

A picture and its answer must change together: who turns the picture turns the mask, and moves the boxes.  A transform of
colours leaves every answer as it is; a geometric one is a map of the plane, p -> m(p), from the old picture to the new, and
everything that has a place follows it:

    picture     new(q) = old(m^-1(q)) for every pixel q of the new one, in between pixels by interpolation
    mask        the same, but the class of the nearest pixel: half of "cat" and half of "road" is no class
    points      p becomes m(p), exactly
    boxes       the smallest box around m(box); clipped to the new picture, and removed where nothing is left

Places are measured in pixels from the left upper corner, x to the right and y down; pixel (row i, column j) covers x from j to
j + 1, y from i to i + 1, and has its middle at (j + 1/2, i + 1/2).  So a flip is x -> W - x, for boxes and pictures alike.

What chance decides is drawn first (`draw`), then applied to picture and target alike: one angle for both.

Sources: Simard, Steinkraus and Platt 2003, doi:10.1109/ICDAR.2003.1227801 (why); torchvision.transforms.v2 (the names).
"""

import inspect
import numbers
from collections.abc import Mapping

import numpy as np

from ...backend import is_array
from ...random import as_generator, own_generator
from ...tensor import Tensor, raw, result

ALONE = object()                                          # no target was given, as opposed to the target None


def array_of(name, what, x):
    """An array or Tensor as a NumPy array, for reading only."""
    if isinstance(x, Tensor) and x.requires_grad:
        raise ValueError(f"{name}: transforms are not differentiated, the {what} requires a gradient. Pass x.data, or "
                         "transform before the gradient is asked for.")
    array = raw(x)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: the {what} must be a NumPy array or a Tensor of one, got {type(array).__name__}. Read files "
                        "with tinyvision.data.load_image.")
    return array


def like(x, array):
    """An array as a Tensor where x is one."""
    return result(array) if isinstance(x, Tensor) else array


def picture_of(name, image):
    """The array (C, H, W) of a picture, checked."""
    x = array_of(name, "picture", image)
    if x.ndim != 3 or 0 in x.shape:
        raise ValueError(f"{name}: a picture must be (C, H, W) and not empty, got shape {x.shape}. Grey ones have C = 1: "
                         "image[None]; batches go picture by picture.")
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: a picture must have floats from 0 to 1, got {x.dtype}. image.astype('float32') / 255 makes "
                        "them of bytes.")
    return x


class Transform:
    """Base of all transforms: t(image) gives the new picture, t(image, target) the pair of picture and target.

    Shapes: image (C, H, W), floats, an array or a Tensor, and returned as what it came.  Nothing is changed in place; where
    chance leaves the picture alone, it is returned itself.
    rng: a numpy.random.Generator (or a seed) for this call.  Without it the numbers come from `generator`, given when the
    transform is made: a Generator or an int seed; None splits a new one off from the engine's.
    A subclass has `change`, and `draw` where chance decides something.
    Raises ValueError for pictures of other shapes, TypeError for integers.

    >>> class Invert(Transform):
    ...     def change(self, x, target, drawn):
    ...         return 1 - x, target
    >>> Invert()(np.float32([[[0.25, 1.0]]]), 7)
    (array([[[0.75, 0.  ]]], dtype=float32), 7)
    """

    def __init__(self, generator=None):
        self.generator = own_generator() if generator is None else as_generator(type(self).__name__, generator)

    def check(self, target, shape):
        """Raise for a target, or a picture of shape (C, H, W), that cannot be transformed, whether chance spares it or not."""

    def draw(self, rng, shape):
        """What chance decides for a picture of this shape (C, H, W): anything but None, which leaves the picture alone."""
        return ()

    def change(self, x, target, drawn):
        """The new array (C, H, W) and the new target."""
        raise NotImplementedError(f"{type(self).__name__}: needs a method change(x, target, drawn).")

    def __call__(self, image, target=ALONE, *, rng=None):
        name = type(self).__name__
        x = picture_of(name, image)
        self.check(target, x.shape)
        drawn = self.draw(self.generator if rng is None else as_generator(name, rng), x.shape)
        if drawn is None:
            return image if target is ALONE else (image, target)
        y, moved = self.change(x, target, drawn)
        return like(image, y) if target is ALONE else (like(image, y), moved)

    def __repr__(self):
        names = inspect.signature(type(self)).parameters
        shown = [f"{key}={getattr(self, key)!r}" for key in names if key != "generator" and hasattr(self, key)]
        return f"{type(self).__name__}({', '.join(shown)})"


class Photometric(Transform):
    """Base of the transforms that change brightness and colour, and no place: the target stays as it is.

    A subclass has `draw` and `colour(x, drawn)`, which makes a new array.

    >>> class Darken(Photometric):
    ...     def colour(self, x, drawn):
    ...         return x / 2
    >>> Darken()(np.float32([[[0.5]]]))
    array([[[0.25]]], dtype=float32)
    """

    def colour(self, x, drawn):
        """The new array (C, H, W)."""
        raise NotImplementedError(f"{type(self).__name__}: needs a method colour(x, drawn).")

    def change(self, x, target, drawn):
        return self.colour(x, drawn), target


class Geometric(Transform):
    """Base of the transforms that move things; everything that has a place moves.

    A subclass has `draw`, `move(x, drawn, kind)` for arrays (K, H, W), where kind is "image", "mask" (class indices) or "masks"
    (one boolean mask per object), and `move_points(p, drawn)`, for points (n, 2) of x and y in pixels.
    Targets may be:
      a number, a text, None, an array of one axis                  unchanged: the class of the picture
      an array of integers or booleans, (H, W) or (K, H, W)         moves like a mask
      an array of floats, (H, W) or (K, H, W)                       moves like the picture: depth, edges, another picture
      a dict                                                        see below; other keys are unchanged
      a tuple or list of these                                      each by itself
    In a dict "boxes" (n, 4), floats, x1, y1, x2, y2; "keypoints" (n, k, 2), x, y, which may leave the picture; "masks" (n, H, W),
    bool; "mask" (H, W).  Boxes are clipped to the picture, and those of which nothing is left are removed, with their
    rows of "labels", "masks" and "keypoints".
    Raises ValueError for a target of another shape and TypeError for one of another kind.

    >>> class Transpose(Geometric):
    ...     def move(self, x, drawn, kind):
    ...         return x.transpose(0, 2, 1).copy()
    ...     def move_points(self, p, drawn):
    ...         return p[:, ::-1]
    >>> image, target = Transpose()(np.zeros((1, 4, 6)), {"boxes": np.float32([[0, 1, 6, 2]])})
    >>> image.shape, target["boxes"]
    ((1, 6, 4), array([[1., 0., 2., 6.]], dtype=float32))
    """

    extra = 0                                             # further points along each edge of a box: a straight edge needs none

    def move(self, x, drawn, kind):
        """The new array (K, H', W') of one kind."""
        raise NotImplementedError(f"{type(self).__name__}: needs a method move(x, drawn, kind).")

    def move_points(self, p, drawn):
        """The new places (n, 2)."""
        raise NotImplementedError(f"{type(self).__name__}: needs a method move_points(p, drawn).")

    def change(self, x, target, drawn):
        y = self.move(x, drawn, "image")
        return y, self.moved(target, drawn, y.shape[1:])

    def check(self, target, shape):
        name, size = type(self).__name__, shape[1:]
        if isinstance(target, Mapping):
            return check_dict(name, target, size)
        if isinstance(target, (tuple, list)):
            for part in target:
                self.check(part, shape)
        elif isinstance(target, Tensor) or is_array(target):
            array = array_of(name, "target", target)
            if array.ndim > 3 or (array.ndim > 1 and array.shape[-2:] != size):
                raise ValueError(f"{name}: a target with places must have the picture's size {size}, got shape {array.shape}. "
                                 "Boxes and points go into a dict: {\"boxes\": ..., \"labels\": ...}.")
        elif target is not ALONE and not isinstance(target, (type(None), str, bytes, numbers.Number)):
            raise TypeError(f"{name}: a target must be a number, a text, an array, a dict, or a tuple of these, got "
                            f"{type(target).__name__}.")

    def moved(self, target, drawn, size):
        """The new target, for a new picture of this size."""
        if isinstance(target, Mapping):
            return self.moved_dict(target, drawn, size)
        if isinstance(target, (tuple, list)):
            parts = [self.moved(part, drawn, size) for part in target]
            return type(target)(*parts) if hasattr(target, "_fields") else type(target)(parts)
        if not (isinstance(target, Tensor) or is_array(target)) or raw(target).ndim < 2:
            return target
        return self.moved_array(target, drawn, "image" if raw(target).dtype.kind == "f" else "mask")

    def moved_array(self, target, drawn, kind):
        """An array (H, W) or (K, H, W), moved."""
        x = raw(target)
        if x.ndim == 2:
            return like(target, self.move(x[None], drawn, kind)[0])
        return like(target, self.move(x, drawn, kind))

    def moved_dict(self, target, drawn, size):
        """The dict with its arrays moved, boxes that left the picture removed."""
        new = dict(target)
        for kind in "mask", "masks":
            if kind in new:
                new[kind] = self.moved_array(new[kind], drawn, kind)
        if "keypoints" in new:
            p = raw(new["keypoints"])
            moved = self.move_points(p.reshape(-1, 2).astype(np.float64), drawn).reshape(p.shape).astype(p.dtype)
            new["keypoints"] = like(new["keypoints"], moved)
        if "boxes" in new:
            boxes = raw(new["boxes"])
            moved = clipped(self.moved_boxes(boxes.astype(np.float64), drawn), size)
            kept = (moved[:, :2] < moved[:, 2:]).all(1)
            new["boxes"] = like(new["boxes"], moved[kept].astype(boxes.dtype))
            for key in "labels", "masks", "keypoints":
                if key in new and not kept.all():
                    new[key] = like(new[key], np.asarray(raw(new[key]))[kept])
        return new

    def moved_boxes(self, boxes, drawn):
        """The smallest boxes around the moved ones, (n, 4), not yet clipped."""
        edge = outline(boxes, self.extra)                                 # (n, points, 2)
        moved = self.move_points(edge.reshape(-1, 2), drawn).reshape(edge.shape)
        return np.concatenate([moved.min(1), moved.max(1)], 1)


def outline(boxes, extra=0):
    """The corners of boxes, and further points on each edge: (n, 4 + 4 extra, 2)."""
    t = np.linspace(0, 1, extra + 1, endpoint=False)
    zero, one = np.zeros_like(t), np.ones_like(t)
    x, y = np.concatenate([t, one, 1 - t, zero]), np.concatenate([zero, t, one, 1 - t])         # once around
    x1, y1, x2, y2 = boxes.T[:, :, None]
    return np.stack([x1 + (x2 - x1) * x, y1 + (y2 - y1) * y], 2)


def clipped(boxes, size):
    """Boxes (n, 4) within a picture of height and width `size`."""
    height, width = size
    return np.clip(boxes, 0, [width, height, width, height])


def check_dict(name, target, size):
    """Raise unless the keys with a place have the shapes that they should."""
    rows = {}
    for key, form in ("boxes", "(n, 4)"), ("masks", "(n, H, W)"), ("keypoints", "(n, k, 2)"), ("mask", "(H, W)"):
        if key not in target:
            continue
        x = array_of(name, f"target[{key!r}]", target[key])
        right = {"boxes": x.ndim == 2 and x.shape[1:] == (4,), "keypoints": x.ndim == 3 and x.shape[2:] == (2,),
                 "masks": x.ndim == 3 and x.shape[1:] == size, "mask": x.shape == size}[key]
        if not right:
            raise ValueError(f"{name}: target[{key!r}] must be {form}, for a picture with (H, W) = {size}, got shape "
                             f"{x.shape}.")
        floats = key in ("boxes", "keypoints")
        if floats != (x.dtype.kind == "f"):
            raise TypeError(f"{name}: target[{key!r}] must have {'floats' if floats else 'integers or booleans'}, got "
                            f"{x.dtype}. Convert it with astype.")
        if key == "boxes" and not np.isfinite(x).all():
            raise ValueError(f"{name}: target['boxes'] must be finite numbers, box {np.argmin(np.isfinite(x).all(1))} is not.")
        if key != "mask":
            rows[key] = len(x)
    if "boxes" in rows and "labels" in target:
        rows["labels"] = (*np.shape(raw(target["labels"])), "no")[0]
    if "boxes" in rows and len(set(rows.values())) > 1:
        raise ValueError(f"{name}: a target must have one row per box in each of {', '.join(rows)}, got "
                         f"{', '.join(map(str, rows.values()))} rows.")


def fill_of(name, fill, kind, channels):
    """The value outside the picture, for arrays of this kind: a number, or an array (channels, 1, 1)."""
    if kind == "masks":
        return False
    if isinstance(fill, Mapping):
        fill = fill.get(kind, 0)
    elif kind == "mask":
        return 0
    if isinstance(fill, numbers.Number):
        return fill
    if len(fill) not in (1, channels):
        raise ValueError(f"{name}: fill must be one number or one per channel, got {len(fill)} numbers for {channels} "
                         "channels.")
    return np.reshape(fill, (-1, 1, 1))
