"""What the case table does not say about resizing: messages, which pixel is nearest, and what must not spread."""

import math

import numpy as np
import pytest

from tinyvision import Tensor, grad
from tinyvision.functional import interpolate, upsample_bilinear

MODES = {"nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "area": (1, 2, 3), "linear": (1,), "bilinear": (2,), "bicubic": (2,),
         "trilinear": (3,)}
EVERY = [(mode, n) for mode, axes in MODES.items() for n in axes]


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "mode must be one of 'nearest'.*got 'cubic'", lambda: interpolate(zeros(1, 1, 4), 2, mode="cubic")),
    (ValueError, r"'bilinear' takes inputs of 4 axes.*got shape \(1, 1, 4\).*mode='linear'",
     lambda: interpolate(zeros(1, 1, 4), 2, mode="bilinear")),
    (ValueError, "3 or 4 or 5 axes", lambda: interpolate(zeros(4, 4), 2)),
    (ValueError, "either size or scale_factor, got size=None and scale_factor=None", lambda: interpolate(zeros(1, 1, 4))),
    (ValueError, "either size or scale_factor, got size=2 and scale_factor=2", lambda: interpolate(zeros(1, 1, 4), 2, 2)),
    (ValueError, r"size must be one number or 2.*got \(3,\)", lambda: interpolate(zeros(1, 1, 4, 4), (3,))),
    (ValueError, "scale_factor must be one number or 1", lambda: interpolate(zeros(1, 1, 4), scale_factor=(2, 2))),
    (TypeError, "size must be an integer, got 2.0", lambda: interpolate(zeros(1, 1, 4), 2.0)),
    (ValueError, r"at least one pixel before and after, got \(4,\) -> \(0,\)", lambda: interpolate(zeros(1, 1, 4), 0)),
    (ValueError, "at least one pixel", lambda: interpolate(zeros(1, 1, 4), scale_factor=0.2)),
    (ValueError, "at least one pixel", lambda: interpolate(zeros(1, 1, 0), 3)),
    (ValueError, "align_corners is for the linear modes", lambda: interpolate(zeros(1, 1, 4), 2, align_corners=False)),
    (ValueError, "align_corners.*'area'", lambda: interpolate(zeros(1, 1, 4), 2, mode="area", align_corners=True)),
    (ValueError, "recompute_scale_factor is for scale_factor only",
     lambda: interpolate(zeros(1, 1, 4), 2, recompute_scale_factor=True)),
    (ValueError, "antialias is for modes 'bilinear' and 'bicubic'", lambda: interpolate(zeros(1, 1, 4), 2, antialias=True)),
    (TypeError, "floating point, got int64", lambda: interpolate(zeros(1, 1, 4, dtype=int), 2, mode="linear")),
    (TypeError, "Use Tensor", lambda: interpolate([[[1.0]]], 2)),
    (ValueError, "'bilinear' takes inputs of 4 axes", lambda: upsample_bilinear(zeros(1, 1, 4), 2)),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest_is_the_pixel_that_torch_takes(mode, n, dtype):
    """Over many sizes and scales, ties included: 64 * 2.3 or 41 / 2 is a matter of rounding, and of the kernel that runs."""
    torch = pytest.importorskip("torch")
    for I in [*range(1, 24), 36, 64, 100, 224]:
        x = np.broadcast_to(np.arange(I), (1, 2) + (3,) * (n - 1) + (I,)).astype(dtype)
        ways = [dict(size=(3,) * (n - 1) + (O,)) for O in [*range(1, 50, 3), 2 * I, I, 128, 500]]
        scales = [s for s in (0.6, 1.004, 1.1, 1.7, 2.003, 2.3, 1 / 3, math.pi) if I * s >= 1]
        ways += [dict(scale_factor=(1.0,) * (n - 1) + (s,)) for s in scales]
        for how in ways:
            theirs = torch.nn.functional.interpolate(torch.tensor(x), mode=mode, **how)
            np.testing.assert_array_equal(interpolate(x, mode=mode, **how), theirs.numpy(), err_msg=f"{I} pixels, {how}")


def test_labels_stay_labels():
    labels = np.array([[[[0, 7], [255, 3]]]])
    y = interpolate(labels, scale_factor=2, mode="nearest-exact")
    assert y.dtype == labels.dtype
    np.testing.assert_array_equal(y[0, 0], np.kron(labels[0, 0], np.ones((2, 2), int)))


@pytest.mark.parametrize("mode, n", EVERY)
def test_same_size_is_a_copy(mode, n):
    x = np.random.default_rng(0).standard_normal((1, 2) + (4,) * n)
    y = interpolate(x, size=4, mode=mode)
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(x, y)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode, n", EVERY)
def test_a_plain_picture_stays_plain(mode, n, antialias):
    """The weights of every output add up to one."""
    if antialias and mode not in ("bilinear", "bicubic"):
        return
    for sizes in [(2, 9, 5)[:n], (11, 3, 4)[:n]]:
        y = interpolate(np.full((1, 1) + (6,) * n, 3.0), size=sizes, mode=mode, antialias=antialias)
        np.testing.assert_allclose(y, 3.0, rtol=1e-14)


def test_linear_modes_keep_a_ramp():
    """A linear function is interpolated exactly, away from the border."""
    x = np.arange(6.0).reshape(1, 1, 1, 6) + 10 * np.arange(5.0).reshape(1, 1, 5, 1)
    y = interpolate(x, scale_factor=2, mode="bilinear")
    row, column = (np.arange(10) + 0.5) / 2 - 0.5, (np.arange(12) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(y[0, 0, 1:-1, 1:-1], (column + 10 * row[:, None])[1:-1, 1:-1])
    y = interpolate(x, size=(9, 11), mode="bilinear", align_corners=True)
    np.testing.assert_allclose(y[0, 0], np.linspace(0, 5, 11) + 10 * np.linspace(0, 4, 9)[:, None])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode, n", EVERY)
@pytest.mark.parametrize("size", [3, 11])
@pytest.mark.parametrize("at", [0, 2])
def test_a_bad_pixel_reaches_only_who_reads_it(at, size, mode, n, antialias, bad):
    """Forward and backward: where the weight is zero, a value that is not a number does no harm."""
    if antialias and mode not in ("bilinear", "bicubic"):
        return
    how = dict(size=size, mode=mode, antialias=antialias)
    place = (0, 0) + (at,) * n
    x = np.ones((1, 1) + (5,) * n)
    spot = np.zeros_like(x)
    spot[place] = 1
    x[place] = bad
    np.testing.assert_array_equal(~np.isfinite(interpolate(x, **how)), interpolate(spot, **how) != 0)

    t = Tensor(np.ones_like(x), requires_grad=True)
    y = interpolate(t, **how)
    g, spot = np.ones(y.shape), np.zeros(y.shape)
    g[place], spot[place] = bad, 1
    (found,) = grad(y, t, g, retain_graph=True)
    np.testing.assert_array_equal(~np.isfinite(found.data), grad(y, t, spot)[0].data != 0)


def test_a_size_that_stays_stays_as_in_torch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((1, 1, 4, 20))
    for how in [dict(mode="bilinear"), dict(mode="bilinear", antialias=True), dict(mode="bicubic", antialias=True)]:
        theirs = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=1.1, **how)
        np.testing.assert_allclose(interpolate(x, scale_factor=1.1, **how), theirs.numpy(), atol=1e-12)
    np.testing.assert_array_equal(interpolate(x[..., :4], scale_factor=1.1, mode="bilinear"), x[..., :4])


def test_antialias_sees_what_plain_bilinear_skips():
    """At an eighth of the size, plain bilinear reads two pixels of eight."""
    x = np.zeros((1, 1, 1, 64))
    x[..., ::8] = 8.0
    plain, smooth = (interpolate(x, size=(1, 8), mode="bilinear", antialias=a) for a in (False, True))
    np.testing.assert_array_equal(plain, 0)
    np.testing.assert_allclose(smooth[..., 1:-1], 1)


def test_float16_stays_float16():
    y = interpolate(np.ones((1, 1, 3, 3), np.float16), size=7, mode="bicubic")
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, 1, rtol=1e-3)
