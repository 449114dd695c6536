"""What the case table does not say about sampling: messages, whole points, ends, and points that are no points."""

import numpy as np
import pytest

from tinyvision import Tensor, grad
from tinyvision.functional import affine_grid, grid_sample

EVERY = [(mode, padding) for mode in ("bilinear", "nearest", "bicubic") for padding in ("zeros", "border", "reflection")]


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "mode must be one of 'bilinear'.*got 'linear'",
     lambda: grid_sample(zeros(1, 1, 4, 4), zeros(1, 2, 2, 2), "linear")),
    (ValueError, "padding_mode must be one of 'zeros'.*got 'reflect'",
     lambda: grid_sample(zeros(1, 1, 4, 4), zeros(1, 2, 2, 2), padding_mode="reflect")),
    (ValueError, r"needs input \(N, C, H, W\) with grid.*got input \(1, 1, 4\)",
     lambda: grid_sample(zeros(1, 1, 4), zeros(1, 2, 1))),
    (ValueError, r"got input \(1, 1, 4, 4\) and grid \(1, 2, 2, 3\)",
     lambda: grid_sample(zeros(1, 1, 4, 4), zeros(1, 2, 2, 3))),
    (ValueError, "needs input", lambda: grid_sample(zeros(1, 1, 4, 4), zeros(1, 2, 2, 2, 3))),
    (ValueError, "one batch size.*broadcast", lambda: grid_sample(zeros(2, 1, 4, 4), zeros(1, 2, 2, 2))),
    (ValueError, "at least one pixel", lambda: grid_sample(zeros(1, 1, 0, 4), zeros(1, 2, 2, 2))),
    (ValueError, "'bicubic' is for pictures", lambda: grid_sample(zeros(1, 1, 2, 2, 2), zeros(1, 1, 1, 1, 3), "bicubic")),
    (TypeError, "one dtype", lambda: grid_sample(zeros(1, 1, 4, 4), zeros(1, 2, 2, 2, dtype=np.float64))),
    (TypeError, "grid must be floating point", lambda: grid_sample(zeros(1, 1, 4, 4), zeros(1, 2, 2, 2, dtype=int))),
    (ValueError, r"needs theta.*got theta \(1, 3, 3\)", lambda: affine_grid(zeros(1, 3, 3), (1, 1, 2, 2))),
    (ValueError, "needs theta", lambda: affine_grid(zeros(2, 2, 3), (1, 1, 2, 2))),
    (ValueError, "needs theta", lambda: affine_grid(zeros(1, 2, 3), (1, 1, 2))),
    (ValueError, r"at least 1, got size \(1, 1, 0, 2\)", lambda: affine_grid(zeros(1, 2, 3), (1, 1, 0, 2))),
    (TypeError, "theta must be floating point", lambda: affine_grid(zeros(1, 2, 3, dtype=int), (1, 1, 2, 2))),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode, padding", EVERY)
def test_the_identity_gives_the_picture_back(mode, padding, align_corners):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4))
    theta = np.broadcast_to(np.eye(2, 3), (2, 2, 3))
    y = grid_sample(x, affine_grid(theta, x.shape, align_corners), mode, padding, align_corners)
    np.testing.assert_allclose(y, x, atol=1e-14)


def test_a_quarter_turn_and_a_shift_of_a_volume():
    x = np.arange(12.0).reshape(1, 1, 2, 2, 3)
    # x from y, y from -x, z one slice on
    turn = np.array([[[0.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]])
    y = grid_sample(x, affine_grid(turn, (1, 1, 2, 3, 2)), "nearest")
    np.testing.assert_array_equal(y[0, 0, 0], np.rot90(x[0, 0, 1], -1))
    np.testing.assert_array_equal(y[0, 0, 1], 0)


def test_slope_at_whole_points_and_at_the_border():
    """At a pixel's middle the slope is that to the right of it, at the border zero, as in PyTorch."""
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0]).reshape(1, 1, 1, 5)
    u = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    grid = Tensor(np.stack([u, 0 * u], -1).reshape(1, 1, 5, 2), requires_grad=True)
    for padding, slopes in [("border", [0, 2, 4, 8, 0]), ("reflection", [0, 2, 4, 8, 0]), ("zeros", [1, 2, 4, 8, -16])]:
        (g,) = grad(grid_sample(x, grid, padding_mode=padding, align_corners=True), grid, np.ones((1, 1, 1, 5)))
        np.testing.assert_allclose(g.data[0, 0, :, 0], np.array(slopes) * 2.0, err_msg=padding)      # two pixels per unit


def test_nearest_has_no_slope_in_the_grid():
    x, grid = Tensor(np.ones((1, 1, 2, 2)), requires_grad=True), Tensor(zeros(1, 1, 1, 2, dtype=float), requires_grad=True)
    gx, ggrid = grad(grid_sample(x, grid, "nearest"), [x, grid], allow_unused=True)
    assert ggrid is None and gx.data.sum() == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("mode, padding", EVERY)
def test_a_bad_pixel_reaches_only_who_reads_it(mode, padding, bad):
    """A point of weight zero beside the bad pixel, or outside the picture, does not meet it."""
    x = np.ones((1, 1, 3, 4))
    x[0, 0, 0, 0] = bad
    u = np.array([[-3.0, -3.0], [0.9, 0.9], [0.5, -0.9], [5.0, 0.4]])
    with np.errstate(invalid="ignore"):                   # bicubic weights have both signs: inf - inf
        y = grid_sample(x, u.reshape(1, 2, 2, 2), mode, padding, align_corners=False).reshape(-1)
    spot = np.zeros_like(x)
    spot[0, 0, 0, 0] = 1
    reads = grid_sample(spot, u.reshape(1, 2, 2, 2), mode, padding, align_corners=False).reshape(-1) != 0
    assert np.isfinite(y[~reads]).all() and not np.isfinite(y[reads]).any()


@pytest.mark.parametrize("mode, padding", EVERY)
def test_points_that_are_none(mode, padding):
    """Very far is outside; infinitely far too, but without a mirror image; what is not a number gives none."""
    x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    far = np.array([1e30, -1e30, np.inf, -np.inf, np.nan])
    grid = Tensor(np.stack([far, 0 * np.arange(5.0)], -1).reshape(1, 1, 5, 2), requires_grad=True)
    y = grid_sample(x, grid, mode, padding, align_corners=False)
    *found, nan = y.data.reshape(-1)
    assert np.isnan(nan) if mode != "nearest" else nan == 0
    if padding == "border":
        np.testing.assert_allclose(found, [6, 4, 6, 4])
    elif padding == "zeros":
        np.testing.assert_array_equal(found, [0, 0, 0, 0])
    else:
        assert 4 <= found[0] <= 6 and 4 <= found[1] <= 6
        assert np.isnan(found[2:]).all() if mode != "nearest" else found[2:] == [0, 0]


def test_learning_a_shift():
    """The gradient of the grid finds the translation that undoes one."""
    yy, xx = np.mgrid[-1:1:16j, -1:1:16j]
    picture = np.exp(-8 * (xx ** 2 + yy ** 2))[None, None]
    target = np.exp(-8 * ((xx + 0.3) ** 2 + (yy - 0.2) ** 2))[None, None]
    theta = Tensor(np.eye(2, 3)[None], requires_grad=True)
    for _ in range(100):
        y = grid_sample(picture, affine_grid(theta, picture.shape, True), "bilinear", "border", True)
        (g,) = grad(((y - target) ** 2).mean(), theta)
        theta = Tensor(theta.data - 1.5 * g.data * [0, 0, 1], requires_grad=True)
    np.testing.assert_allclose(theta.data[0, :, 2], [0.3, -0.2], atol=5e-3)
