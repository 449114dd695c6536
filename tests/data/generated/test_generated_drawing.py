"""Distances against their definition by brute force, boxes and owners on the canvas, colours and noise."""

import colorsys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tinyvision.data.generated import drawing, textures
from tinyvision.data.generated.base import Draws
from tinyvision.data.generated.drawing import Canvas, tight_box, turned, window
from tinyvision.data.generated.shapes import CLASSES, outline

X, Y = np.meshgrid(np.linspace(-2, 2, 41) + 0.003, np.linspace(-2, 2, 37) + 0.001)


def sides(corners, n=400):
    """Points along the sides of a polygon."""
    corners = np.asarray(corners, float)
    steps = np.linspace(0, 1, n)[:, None]
    return np.concatenate([a + steps * (b - a) for a, b in zip(corners, np.roll(corners, -1, axis=0))])


def to_points(points):
    return np.sqrt(((X[..., None] - points[:, 0]) ** 2 + (Y[..., None] - points[:, 1]) ** 2).min(axis=-1))


def circle(n=2000):
    angle = np.linspace(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@pytest.mark.parametrize("corners", [[(-1, -0.5), (1.2, -0.9), (0.3, 1.4)], [(-1, -1), (1, -1), (1, 1), (0, 0.1), (-1, 1)],
                                     [(0, -1), (-1, 1), (1, 1)]])
def test_polygon(corners):
    """Distance to points on the sides; the sign as matplotlib's path has it; the direction of the corners plays no part."""
    from matplotlib.path import Path
    inside = Path(corners + corners[:1], closed=True).contains_points(np.stack([X.ravel(), Y.ravel()], 1)).reshape(X.shape)
    expected = to_points(sides(corners)) * np.where(inside, -1, 1)
    np.testing.assert_allclose(drawing.polygon(X, Y, corners), expected, atol=5e-3)
    np.testing.assert_allclose(drawing.polygon(X, Y, corners[::-1]), drawing.polygon(X, Y, corners), atol=1e-12)


def test_disk_ellipse_segment_and_boxes():
    np.testing.assert_allclose(np.abs(drawing.disk(X, Y, 1.3)), to_points(1.3 * circle()), atol=5e-3)
    oval = drawing.ellipse(X, Y, 1.5, 0.8)
    np.testing.assert_array_equal(oval < 0, (X / 1.5) ** 2 + (Y / 0.8) ** 2 < 1)
    near = to_points(circle() * [1.5, 0.8])
    assert np.abs(np.abs(oval) - near)[near < 0.2].max() < 0.05
    line = to_points(np.array([-1, 0.4]) + np.linspace(0, 1, 3000)[:, None] * np.array([1.7, -1.0])) - 0.2
    np.testing.assert_allclose(drawing.segment(X, Y, -1, 0.4, 0.7, -0.6, 0.2), line, atol=1e-3)
    np.testing.assert_array_equal(drawing.box(X, Y, 1.1, 0.6) < 0, (np.abs(X) < 1.1) & (np.abs(Y) < 0.6))
    exact = to_points(sides([(-0.8, -0.3), (0.8, -0.3), (0.8, 0.3), (-0.8, 0.3)]))
    outside = (np.abs(X) > 0.8) | (np.abs(Y) > 0.3)
    np.testing.assert_allclose(drawing.round_box(X, Y, 1.1, 0.6, 0.3)[outside], exact[outside] - 0.3, atol=1e-2)


def test_union_and_difference():
    a, b = drawing.disk(X, Y, 1.0), drawing.disk(X - 0.7, Y, 0.8)
    np.testing.assert_array_equal(drawing.union(a, b) < 0, (a < 0) | (b < 0))
    np.testing.assert_array_equal(drawing.difference(a, b) < 0, (a < 0) & ~(b < 0) & (b > 0))


def test_turned_is_clockwise_on_the_screen():
    """A pointer to the right, turned by a quarter, points down, where y is larger."""
    u, v = turned(np.array([0.0]), np.array([1.0]), np.pi / 2)
    assert u[0] == pytest.approx(1) and v[0] == pytest.approx(0)


@pytest.mark.parametrize("label", range(10), ids=CLASSES)
def test_outlines_fill_the_unit_square(label):
    for seed in range(5):
        mask = outline(Draws(seed), label, X, Y) < 0
        assert 0.08 * 4 < mask.mean() * 16 < 4 and np.hypot(X, Y)[mask].max() < 1.45, "the window would cut it off"
        assert np.abs(X)[mask].max() > 0.5 and np.abs(Y)[mask].max() > 0.2


@pytest.mark.parametrize("x, y, reach", [(5.0, 4.0, 2.0), (-3.0, 4.0, 2.0), (0.2, 0.2, 3.0), (11.0, 7.5, 2.5), (30.0, 30.0, 2.0),
                                         (6.0, 4.0, 50.0)])
def test_window(x, y, reach):
    """It holds all pixels whose centres are within reach, and says where they are, near, over and beyond the border."""
    ys, xs = np.mgrid[:8, :12] + 0.5
    where, dx, dy = window((8, 12), x, y, reach)
    np.testing.assert_allclose(dx, (xs - x)[where])
    np.testing.assert_allclose(dy, (ys - y)[where])
    outside = np.ones((8, 12), bool)
    outside[where] = False
    assert not ((np.abs(xs - x) <= reach) & (np.abs(ys - y) <= reach) & outside).any()


def test_canvas():
    """The share of a pixel that is covered, opacity, and the last owner."""
    canvas = Canvas(np.zeros((3, 6, 8)))
    where, dx, dy = canvas.window(4, 3, 10)
    distance = drawing.box(dx, dy, 2.25, 1.5)             # from 1.75 to 6.25, from 1.5 to 4.5
    canvas.paint(where, distance, np.ones((3, 1, 1)), opacity=0.8)
    np.testing.assert_allclose(canvas.image[0, 2], [0, 0.2, 0.8, 0.8, 0.8, 0.8, 0.2, 0])
    np.testing.assert_allclose(canvas.image[0, 1], [0, 0.2, 0.4, 0.4, 0.4, 0.4, 0.2, 0])
    canvas.own(where, distance < 0, 1)
    canvas.own(where, (distance < 0) & (dx > 0), 2)
    assert (canvas.owner == 1).sum() == 2 * 2 and (canvas.owner == 2).sum() == 2 * 2
    assert tight_box(canvas.owner == 2) == [4, 2, 6, 4] and tight_box(canvas.owner > 0) == [2, 2, 6, 4]


def test_hsv_colours():
    for hue, saturation, value in np.random.default_rng(0).random((50, 3)):
        expected = colorsys.hsv_to_rgb(hue, saturation, value)
        np.testing.assert_allclose(textures.color(hue, saturation, value)[:, 0, 0], expected, atol=1e-12)
        np.testing.assert_allclose(textures.color(hue + 3, saturation, value)[:, 0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.3, 0.8, 2.0, 5.0])
def test_blur(sigma):
    x = np.random.default_rng(0).random((2, 30, 40))
    expected = gaussian_filter(x, (0, sigma, sigma), mode="nearest", radius=(0, *[int(np.ceil(3 * sigma))] * 2))
    np.testing.assert_allclose(textures.blur(x, sigma), expected, rtol=1e-12)
    np.testing.assert_allclose(textures.blur(np.ones((2, 3)), sigma), 1)  # smaller than the window
    expected = gaussian_filter(x, (sigma, 0, 0), mode="nearest", radius=(int(np.ceil(3 * sigma)), 0, 0))
    np.testing.assert_allclose(textures.blur(x, sigma, axes=(0,)), expected, rtol=1e-12)


def test_value_noise():
    """Within 0..1, smooth at its own scale, finer with more cells; the weights of the interpolation add up to 1."""
    weights = textures.interpolation(17, 4)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights >= 0).all() and ((weights > 0).sum(axis=1) <= 2).all()
    steps = []
    for cells in (2, 4, 8, 16):
        noise = textures.value_noise(Draws(cells), (64, 48), cells, octaves=1)
        assert noise.shape == (64, 48) and 0 <= noise.min() < noise.max() <= 1
        steps.append(np.abs(np.diff(noise, axis=0)).mean())
    assert steps == sorted(steps)


def test_sensor_noise_grows_with_light():
    draws, deviations = Draws(1), []
    for level in (0.0, 1.0):
        image = np.full((3, 200, 200), level)
        deviations.append((textures.sensor(draws, image, 0.03) - image).std())
    assert deviations == pytest.approx([0.01, 0.03], rel=0.02)
