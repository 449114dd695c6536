"""Checks of the arguments of layers, in one voice: layer, rule, value, what to do."""

import numbers

from ..ops.shapes import as_tuple


def whole(layer, least=1, **values):
    """Integers, at least 1 unless said otherwise (None: any)."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{layer}: {name} must be an integer, got {value!r}.")
        if least is not None and value < least:
            raise ValueError(f"{layer}: {name} must be at least {least}, got {value}.")


def divides(layer, divisor, **values):
    """Numbers of things that fall into equal groups; `divisor` is a pair (name, value)."""
    name, groups = divisor
    for what, value in values.items():
        if value % groups:
            near = value // groups * groups or groups
            raise ValueError(f"{layer}: {what} must be divisible by {name}, got {what}={value} and {name}={groups}. "
                             f"{what}={near} would do.")


def flag(layer, **values):
    """Switches: True or False."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise TypeError(f"{layer}: {name} must be True or False, got {value!r}.")


def probability(layer, p):
    """A probability from 0 to 1."""
    real(layer, p=p)
    if not 0 <= p <= 1:
        raise ValueError(f"{layer}: p must be a probability from 0 to 1, got {p}.")


def real(layer, **values):
    """Numbers."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"{layer}: {name} must be a number, got {value!r}.")


def at_least(layer, bound, **values):
    """Numbers that are not below a bound."""
    real(layer, **values)
    for name, value in values.items():
        if not value >= bound:
            raise ValueError(f"{layer}: {name} must be at least {bound}, got {value}.")


def positive(layer, **values):
    """Numbers above zero."""
    real(layer, **values)
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{layer}: {name} must be above 0, got {value}.")


def sizes(layer, n, least=1, **values):
    """Pixels for every axis: each checked as an integer or n of them; returns the tuples."""
    return [as_tuple(layer, name, value, n, least) for name, value in values.items()]
