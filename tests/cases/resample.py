"""Resizing: larger, smaller, both at once, by ratios that do not divide, to one pixel and from one, three axes, no batch."""

from tests.cases import case, randn
from tests.oracles.resample import interpolate, upsample_bilinear, upsample_nearest


def resize(*args, **kwargs):
    options = dict(linear=(0,), oracle=interpolate)
    return case("interpolate", *args, **(options | kwargs))


CASES = [
    resize(randn(2, 3, 5), 8),
    resize(randn(2, 3, 7), size=(3,), mode="nearest"),
    resize(randn(2, 2, 4, 3), scale_factor=2),
    resize(randn(2, 2, 5, 4), scale_factor=(1.7, 0.6)),
    resize(randn(2, 2, 5, 4), scale_factor=1.7, recompute_scale_factor=True),
    resize(randn(1, 2, 3, 4, 2), size=(5, 3, 4)),
    resize(randn(0, 2, 3, 3), scale_factor=2),
    resize(randn(2, 1, 1, 1), size=3),
    resize(randn(2, 3, 6), 4, mode="nearest-exact"),
    resize(randn(2, 2, 5, 4), size=(3, 7), mode="nearest-exact"),
    resize(randn(2, 2, 5, 4), scale_factor=0.6, mode="nearest-exact"),
    resize(randn(1, 1, 3, 4, 2), scale_factor=1.5, mode="nearest-exact"),
    resize(randn(2, 3, 5), 9, mode="linear"),
    resize(randn(2, 3, 9), 4, mode="linear"),
    resize(randn(2, 3, 5), scale_factor=1.7, mode="linear"),
    resize(randn(2, 3, 5), 8, mode="linear", align_corners=True),
    resize(randn(2, 3, 4), size=1, mode="linear", align_corners=True),
    resize(randn(2, 3, 1), size=4, mode="linear", align_corners=True),
    resize(randn(2, 2, 4, 3), scale_factor=2, mode="bilinear"),
    resize(randn(2, 2, 4, 5), size=(7, 3), mode="bilinear", align_corners=False),
    resize(randn(2, 2, 4, 5), size=(3, 8), mode="bilinear", align_corners=True),
    resize(randn(2, 2, 4, 5), scale_factor=(0.6, 1.7), mode="bilinear", recompute_scale_factor=False),
    resize(randn(2, 2, 4, 5), scale_factor=(0.6, 1.7), mode="bilinear", recompute_scale_factor=True),
    resize(randn(2, 1, 4, 5), scale_factor=1.1, mode="bilinear", oracle=None),
    resize(randn(1, 1, 9, 8), size=(4, 3), mode="bilinear", antialias=True),
    resize(randn(1, 1, 4, 7), size=(6, 3), mode="bilinear", antialias=True, align_corners=True),
    resize(randn(0, 1, 3, 3), size=2, mode="bilinear"),
    resize(randn(2, 2, 4, 5), size=(7, 3), mode="bicubic"),
    resize(randn(1, 2, 4, 3), scale_factor=2, mode="bicubic"),
    resize(randn(1, 2, 4, 5), size=(3, 8), mode="bicubic", align_corners=True),
    resize(randn(1, 2, 6, 2), scale_factor=(0.6, 1.7), mode="bicubic"),
    resize(randn(1, 1, 9, 8), size=(4, 3), mode="bicubic", antialias=True),
    resize(randn(1, 1, 9, 8), scale_factor=(0.45, 1.3), mode="bicubic", antialias=True),
    resize(randn(1, 2, 3, 4, 2), size=(4, 3, 5), mode="trilinear"),
    resize(randn(1, 1, 3, 4, 3), scale_factor=1.7, mode="trilinear"),
    resize(randn(1, 2, 3, 4, 2), size=(4, 3, 5), mode="trilinear", align_corners=True),
    resize(randn(2, 3, 7), 3, mode="area"),
    resize(randn(2, 2, 6, 5), size=(2, 7), mode="area"),
    resize(randn(2, 2, 6, 5), scale_factor=0.7, mode="area"),
    resize(randn(1, 2, 4, 3, 5), size=(3, 1, 2), mode="area"),
    case("upsample_nearest", randn(2, 2, 4, 3), scale_factor=1.7, linear=(0,), oracle=upsample_nearest),
    case("upsample_nearest", randn(2, 2, 4), 7, linear=(0,), oracle=upsample_nearest),
    case("upsample_bilinear", randn(2, 2, 4, 3), size=(5, 2), linear=(0,), oracle=upsample_bilinear),
    case("upsample_bilinear", randn(2, 2, 4, 3), scale_factor=2, linear=(0,), oracle=upsample_bilinear),
]
