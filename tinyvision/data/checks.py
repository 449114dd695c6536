"""Arguments of transforms and generated sets, checked when these are made: long before a picture comes."""

import math
import numbers
from collections.abc import Mapping, Sequence

INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def is_number(value):
    """Whether a value is one finite real number; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_probability(name, p):
    """A probability, from 0 to 1."""
    if not is_number(p) or not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be a probability from 0 to 1, got {p!r}.")
    return float(p)


def check_choice(name, what, value, choices):
    """One of the named choices."""
    if value not in choices:
        raise ValueError(f"{name}: {what} must be one of {', '.join(map(repr, choices))}, got {value!r}.")
    return value


def check_flag(name, what, value):
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: {what} must be True or False, got {value!r}. Pass later arguments by name.")
    return value


def numbers_of(name, what, value, counts, low=-math.inf):
    """A sequence of numbers, all at least `low`, as a tuple of floats; counts: how many there may be."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(map(is_number, value)):
        raise TypeError(f"{name}: {what} must be a number or a sequence of numbers, got {value!r}.")
    if len(value) not in counts:
        raise ValueError(f"{name}: {what} must have {' or '.join(map(str, counts))} numbers, got {value!r}.")
    if min(value) < low:
        raise ValueError(f"{name}: {what} must be at least {low}, got {value!r}.")
    return tuple(map(float, value))


def check_pair(name, what, value, low=-math.inf):
    """One number for both axes, or one for each, as a pair of floats."""
    return numbers_of(name, what, (value, value) if is_number(value) else value, (2,), low)


def check_interval(name, what, value, low=-math.inf, high=math.inf):
    """A pair (least, greatest) of floats within low..high."""
    pair = numbers_of(name, what, value, (2,))
    if not low <= pair[0] <= pair[1] <= high:
        raise ValueError(f"{name}: {what} must be (least, greatest), between {low} and {high}, got {value!r}.")
    return pair


def check_spread(name, what, value):
    """One number d >= 0, which stands for (-d, d), or a pair (least, greatest)."""
    if not is_number(value):
        return check_interval(name, what, value)
    if value < 0:
        raise ValueError(f"{name}: {what} must be at least 0, for the range from -{what} to {what}, got {value!r}. Pass a pair "
                         "for any other range.")
    return (-float(value), float(value))


def check_size(name, size, what="size", least=1):
    """One integer for both sides, or (height, width), as a pair."""
    pair = (size, size) if is_integer(size) else size
    if not isinstance(pair, Sequence) or isinstance(pair, str) or not all(map(is_integer, pair)):
        raise TypeError(f"{name}: {what} must be an integer or a pair of integers, got {size!r}.")
    pair = tuple(map(int, pair)) * (2 if len(pair) == 1 else 1)
    if len(pair) != 2 or min(pair) < least:
        raise ValueError(f"{name}: {what} must be one number or two, of at least {least}, got {size!r}.")
    return pair


def check_padding(name, padding):
    """Pixels on the left, above, on the right and below, from one number, (left and right, above and below) or all four."""
    sides = (padding,) if is_integer(padding) else padding
    if not isinstance(sides, Sequence) or isinstance(sides, str) or not all(map(is_integer, sides)):
        raise TypeError(f"{name}: padding must be an integer or a sequence of 1, 2 or 4 integers, got {padding!r}.")
    if len(sides) not in (1, 2, 4) or min(sides) < 0:
        raise ValueError(f"{name}: padding must be 1, 2 (left and right, above and below) or 4 numbers (left, above, right, "
                         f"below), not negative, got {padding!r}. CenterCrop and RandomCrop take pixels away.")
    return tuple(map(int, sides)) * (4 // len(sides))


def check_fill(name, fill):
    """What stands where there was no picture: a number, one per channel, or {"image": ..., "mask": class}."""
    for key, value in (fill if isinstance(fill, Mapping) else {"image": fill}).items():
        if key not in ("image", "mask"):
            raise ValueError(f"{name}: fill must name \"image\" and \"mask\", got {key!r}. Pass {{\"image\": 0.5, "
                             "\"mask\": 255}}, for instance.")
        if key == "mask" and not is_integer(value):
            raise TypeError(f"{name}: fill[\"mask\"] must be a class index, got {value!r}.")
        if key == "image" and not is_number(value):
            numbers_of(name, "fill", value, range(1, len(value) + 1) if isinstance(value, Sequence) else ())
    return fill
