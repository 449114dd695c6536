"""Picture files as arrays: brightness as float32 (C, H, W) from 0 to 1, masks as int64 (H, W).

A file holds more kinds of pictures than a network takes, and each has to become one of two: grey, C = 1, or colour, C = 3 (red,
green, blue).  8-bit values are divided by 255 and 16-bit ones by 65535, so white is 1 whatever the depth.  A palette is
looked up.  Where a picture is transparent, one sees what lies behind it, here a white page: c a + 1 (1 - a) for colour c and
opacity a (Porter and Duff's "over").  A camera held upright writes a picture that lies on its side and notes the turn in its
EXIF data; the note is obeyed, for a network cannot read it.

In a mask numbers are no brightness but names of classes: they must arrive unchanged.  So a palette's indices are kept and not
looked up, nothing is scaled, and a colour picture is refused, unless its three colours say the same number.  JPEG changes
numbers; masks belong in PNG files.

Sources: Porter and Duff 1984, Compositing digital images; EXIF 2.3, tag 274 (orientation).
"""

import os
from pathlib import Path

import numpy as np

from ..packages import require

GREY = {"1": 1, "L": 255, "I;16": 65535, "I;16L": 65535, "I;16B": 65535, "I;16N": 65535}      # Pillow's modes and their white
SIXTEEN = {"PNG", "PPM"}                                  # formats of at most 16 bits, though Pillow may open them with 32
CHANNELS = (None, 1, 3)


def load_image(path, channels=None, *, orient=True):
    """A picture file (every format that Pillow reads) as brightness.

    Shapes: float32 (C, H, W), 0 black to 1 white.  C is `channels`: 3 for colour, 1 for grey (0.299 R + 0.587 G + 0.114 B), or
    None for what the file has, where black and white count as grey, and palettes as colour.
    Transparent pixels show white behind them.  orient: turn the picture as its EXIF data say.  Of an animation, the first one.
    Raises ValueError for a damaged file or none of a picture, naming it, for numbers without a known white (32 bits), and for
    other channels; FileNotFoundError where there is no such file.

    >>> import PIL.Image
    >>> PIL.Image.new("RGB", (5, 4), (255, 0, 51)).save("red.png")
    >>> image = load_image("red.png")
    >>> image.shape, image[:, 0, 0].tolist() == [1, 0, np.float32(0.2)]
    ((3, 4, 5), True)
    """
    if channels not in CHANNELS or isinstance(channels, bool):
        raise ValueError(f"load_image: channels must be 3, 1 or None (as in the file), got {channels!r}.")
    with opened("load_image", path, orient) as picture:
        values = grey(picture, path)
        if values is None:
            return colour(picture, channels)
    return np.repeat(values[None], channels or 1, axis=0)


def load_mask(path, values=None, *, threshold=None, orient=True):
    """A mask file as class indices.

    Shapes: int64 (H, W): the numbers in the file (grey, 16-bit grey, black and white as 0 and 1, or indices into a palette).
    values: numbers of the file in the order of the classes, (0, 255) for instance: class k is where values[k] stands.
    threshold: class 1 is where the number is greater, class 0 elsewhere.  orient: as in load_image.
    Raises ValueError for a damaged file, a picture in colours, and a number that `values` does not have; FileNotFoundError.

    >>> import PIL.Image
    >>> PIL.Image.fromarray(np.uint8([[0, 255, 255]])).save("mask.png")
    >>> load_mask("mask.png"), load_mask("mask.png", values=(255, 0))
    (array([[  0, 255, 255]]), array([[1, 0, 0]]))
    """
    if values is not None and threshold is not None:
        raise ValueError(f"load_mask: values or threshold, not both, got {values!r} and {threshold!r}.")
    with opened("load_mask", path, orient) as picture:
        mask = numbers_of(picture, path)
    if threshold is not None:
        return (mask > threshold).astype(np.int64)
    return mask if values is None else classes_of(mask, values, path)


def classes_of(mask, values, path):
    """The mask with values[k] replaced by k."""
    values = np.asarray(values, np.int64)
    if values.ndim != 1 or len(np.unique(values)) != len(values):
        raise ValueError(f"load_mask: values must be different numbers, one for each class, got {values.tolist()}.")
    found = np.unique(mask)
    if unknown := sorted(set(found.tolist()) - set(values.tolist())):
        raise ValueError(f"load_mask: the numbers of a mask must be among values = {values.tolist()}, {os.fspath(path)} has "
                         f"{unknown[:5]} as well. Add them, or use a threshold for a mask that was saved as JPEG.")
    order = np.argsort(values)
    return order[np.searchsorted(values[order], mask)]


class opened:
    """A context manager: the picture, decoded and turned; whatever Pillow raises becomes a ValueError that names the file."""

    def __init__(self, name, path, orient):
        require(name, "PIL")
        self.name, self.path, self.orient = name, Path(path), orient

    def __enter__(self):
        from PIL import Image, ImageOps
        try:
            self.file = open(self.path, "rb")
        except OSError as error:
            if error.errno is None or self.path.is_file():
                raise
            raise type(error)(error.errno, f"{self.name}: {error.strerror}", os.fspath(self.path)) from None
        try:
            picture = Image.open(self.file)
            picture.load()
            if self.orient:
                ImageOps.exif_transpose(picture, in_place=True)
            return picture
        except Exception as error:                        # Pillow's decoders raise nearly anything: SyntaxError, struct.error
            self.file.close()
            raise ValueError(f"{self.name}: {self.path} is damaged or no picture ({type(error).__name__}: {error}). Move it "
                             "away and get it again.") from error

    def __exit__(self, *error):
        self.file.close()


def grey(picture, path):
    """The brightness (H, W) of a grey picture without transparency; None for other pictures."""
    if "transparency" in picture.info or picture.mode not in (*GREY, "I", "F"):
        return None
    values = np.asarray(picture)
    white = GREY.get(picture.mode)
    if picture.mode == "I" and picture.format in SIXTEEN:
        white = 65535
    if white is None:
        raise ValueError(f"load_image: grey must have 8 or 16 bits, {os.fspath(path)} has 32 ({picture.mode}), whose white is "
                         "not known. Scale it yourself: numpy.asarray(PIL.Image.open(path)).")
    return np.divide(values, white, dtype=np.float32)


def colour(picture, channels):
    """The brightness (C, H, W) of a picture in colours or with transparency."""
    seen = picture.mode in ("LA", "La", *GREY)                            # as grey
    clear = "transparency" in picture.info or picture.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    if picture.mode in ("La", "RGBa"):                                    # opacity multiplied in: Pillow converts in steps
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    wanted = "RGBA" if clear else "RGB"
    planes = np.asarray(picture if picture.mode == wanted else picture.convert(wanted)).transpose(2, 0, 1)
    values = np.ascontiguousarray(planes) / np.float32(255)               # (3 or 4, H, W)
    if clear:
        values = values[:3] * values[3] + (1 - values[3])
    if channels == 1 or (channels is None and seen):
        return values[:1] if seen else np.tensordot(np.float32([[0.299, 0.587, 0.114]]), values, 1)
    return values


def numbers_of(picture, path):
    """The numbers (H, W) in a mask, as int64."""
    if picture.mode in (*GREY, "P", "I"):
        return np.asarray(picture).astype(np.int64)
    planes = np.asarray(picture)
    if picture.mode == "RGB" and (planes == planes[..., :1]).all():
        return planes[..., 0].astype(np.int64)
    raise ValueError(f"load_mask: a mask holds one number per pixel, {os.fspath(path)} is in {picture.mode}. Save it as grey or "
                     "with a palette.")
