"""Padding: wide and narrow, one-sided, negative, as wide as the picture allows, with and without batch, empty batch."""

from tests.cases import case, randn
from tests.oracles.pad import pad


def border(*args, linear=(0,), **kwargs):
    return case("pad", *args, linear=linear, oracle=pad, **kwargs)


CASES = [
    border(randn(3, 4), (1, 2)),
    border(randn(2, 3, 4), (1, 0, 0, 2, 1, 1)),
    border(randn(2, 3, 4), (1, 2, 0, 3), "constant", 2.5, linear=()),
    border(randn(2, 3, 4), (-1, 2, 1, -2), value=-1.0, linear=()),
    border(randn(2, 3, 4), (-1, -2, -1, 0)),
    border(randn(5), (-5, 0)),
    border(randn(2, 3), ()),
    border(randn(0, 3, 2), (1, 1)),
    border(randn(2, 2, 2, 2, 3), (1, 0, 0, 1, 1, 1, 0, 2, 1, 0)),
    border(randn(3, 5), (4, 2), mode="reflect"),
    border(randn(2, 3, 4, 5), (4, 2, 1, 3), mode="reflect"),
    border(randn(2, 3, 4), (1, 3, 2, 0), mode="reflect"),
    border(randn(2, 1, 3, 4, 2), (1, 1, 2, 0, 0, 2), mode="reflect"),
    border(randn(2, 2, 5), (-2, 4), mode="reflect"),
    border(randn(2, 2, 4, 5), (4, -3, -1, 2), mode="reflect"),
    border(randn(0, 2, 3), (1, 2), mode="reflect"),
    border(randn(3, 2), (3, 5), mode="replicate"),
    border(randn(2, 2, 3, 4), (3, 0, 1, 5), mode="replicate"),
    border(randn(1, 2, 1, 2), (20, 0, 2, 2), mode="replicate"),
    border(randn(2, 2, 3, 2, 2), (1, 2, 0, 1, 3, 0), mode="replicate"),
    border(randn(2, 2, 4, 4), (-4, 5, 2, -4), mode="replicate"),
    border(randn(2, 2, 5), (8, -6), mode="replicate"),
    border(randn(2, 2, 4), (4, 4), mode="circular"),
    border(randn(2, 2, 3, 4), (3, 1, 0, 2), mode="circular"),
    border(randn(2, 1, 2, 3, 2), (1, 2, 3, 0, 2, 1), mode="circular"),
    border(randn(2, 2, 5), (-2, 3), mode="circular"),
    border(randn(1, 2, 5, 4), (3, -1, -3, -1), mode="circular"),
    border(randn(0, 2, 3), (1, 2), mode="circular"),
    border(randn(2, 4), (1, 3), mode="circular"),
]
