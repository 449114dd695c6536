"""Flips, crops, resizing, rotations, affine maps, elastic deformations: against Pillow, SciPy, PyTorch and the definitions."""

import re

import numpy as np
import PIL.Image
import pytest
import scipy.ndimage

from tinyvision.data.transforms import (CenterCrop, ElasticTransform, Pad, RandomAffine, RandomCrop, RandomGridElastic,
                                        RandomHorizontalFlip, RandomResizedCrop, RandomRotation, RandomVerticalFlip, Resize)
from tinyvision.data.transforms.sampling import sample

RANDOM = np.random.default_rng(7)
IMAGE = RANDOM.random((3, 21, 30), np.float32)
MASK = RANDOM.integers(0, 5, (21, 30))


def point(t, x, y, shape=(1, 21, 30), rng=0):
    """Where a transform takes a point of a picture of this shape."""
    return t(np.zeros(shape), {"keypoints": np.array([[[x, y]]], np.float64)}, rng=rng)[1]["keypoints"][0, 0]


# --- flips, crops, pads


@pytest.mark.parametrize("flip, axis", [(RandomHorizontalFlip(1), 2), (RandomVerticalFlip(1), 1)])
def test_flips(flip, axis):
    image, mask = flip(IMAGE, MASK)
    np.testing.assert_array_equal(image, np.flip(IMAGE, axis))
    np.testing.assert_array_equal(mask, np.flip(MASK, axis - 1))
    target = {"boxes": np.float32([[1, 2, 5, 9]]), "keypoints": np.float32([[[3, 4]]])}
    again = flip(*flip(IMAGE, target))
    np.testing.assert_array_equal(again[0], IMAGE)
    np.testing.assert_array_equal(again[1]["boxes"], target["boxes"])
    np.testing.assert_array_equal(again[1]["keypoints"], target["keypoints"])


@pytest.mark.parametrize("padding, sides", [(2, (2, 2, 2, 2)), ([3], (3, 3, 3, 3)), ((1, 4), (1, 4, 1, 4)),
                                            ((1, 2, 3, 4), (1, 2, 3, 4))])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_pad(padding, sides, mode):
    left, top, right, below = sides
    expected = np.pad(IMAGE, ((0, 0), (top, below), (left, right)), mode)
    image, mask = Pad(padding, padding_mode=mode)(IMAGE, MASK)
    np.testing.assert_array_equal(image, expected)
    np.testing.assert_array_equal(mask, np.pad(MASK, ((top, below), (left, right)), mode))
    np.testing.assert_array_equal(point(Pad(padding), 5, 6), [5 + left, 6 + top])


def test_fill():
    image, target = Pad(1, fill={"image": (0.1, 0.2, 0.3), "mask": 255})(IMAGE, {"mask": MASK, "masks": MASK[None] > 2})
    np.testing.assert_array_equal(image[:, 0, 0], np.float32([0.1, 0.2, 0.3]))
    assert target["mask"][0, 0] == 255 and not target["masks"][0, 0].any()
    image, mask = Pad(1, fill=0.5)(IMAGE, MASK)
    assert (image[:, 0] == 0.5).all() and (mask[0] == 0).all()
    fill = {"image": [1, 2, 3], "mask": 9}
    for t in RandomRotation((45, 45), fill=fill), ElasticTransform(1e4, interpolation="nearest", fill=fill, generator=0):
        image, mask = t(IMAGE, MASK)
        outside = mask == 9
        assert outside.any() and (image[:, outside] == [[1], [2], [3]]).all()
    assert (Pad(1, fill={"mask": 1})(IMAGE, MASK)[0][:, 0] == 0).all()


@pytest.mark.parametrize("size", [1, 7, 20, 21, (3, 30), (40, 6), (22, 33), 50])
def test_center_crop(size):
    """The rule of torchvision: round half the difference to even, pad a smaller picture by one more behind."""
    h, w = (size, size) if isinstance(size, int) else size
    lr, tb = max(0, w - 30), max(0, h - 21)
    padded = np.pad(IMAGE, ((0, 0), (tb // 2, (tb + 1) // 2), (lr // 2, (lr + 1) // 2)))
    top, left = round((padded.shape[1] - h) / 2), round((padded.shape[2] - w) / 2)
    np.testing.assert_array_equal(CenterCrop(size)(IMAGE), padded[:, top:top + h, left:left + w])


def test_random_crop_takes_every_window_alike():
    numbers = np.arange(30.0).reshape(1, 5, 6)
    t, seen = RandomCrop((3, 4), generator=0), {}
    for _ in range(900):
        crop = t(numbers)
        corner = int(crop[0, 0, 0])
        top, left = divmod(corner, 6)
        np.testing.assert_array_equal(crop, numbers[:, top:top + 3, left:left + 4])
        seen[corner] = seen.get(corner, 0) + 1
    assert sorted(seen) == [0, 1, 2, 6, 7, 8, 12, 13, 14] and min(seen.values()) > 60


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_random_crop_of_a_padded_picture(mode):
    """Every result is a window of the picture padded by NumPy; the mask is the same window."""
    numbers = np.arange(1.0, 31).reshape(1, 5, 6)
    padded = np.pad(numbers[0], ((2, 4), (1, 3)), mode)
    windows = {padded[i:i + 5, j:j + 6].tobytes() for i in range(7) for j in range(5)}
    t, seen = RandomCrop((5, 6), (1, 2, 3, 4), padding_mode=mode, generator=0), set()
    for _ in range(400):
        crop, mask = t(numbers, numbers[0].astype(int))
        assert np.ascontiguousarray(crop[0]).tobytes() in windows
        np.testing.assert_array_equal(mask, crop[0])
        seen.add(crop.tobytes())
    assert len(seen) == len(windows)


def test_random_crop_pads_if_needed():
    t = RandomCrop((4, 9), pad_if_needed=True, fill=-1, generator=0)
    lefts = set()
    for _ in range(60):
        crop = t(np.arange(30.0).reshape(1, 5, 6))
        assert crop.shape == (1, 4, 9)
        inside = np.flatnonzero(crop[0, 0] >= 0)
        assert len(inside) == 6 and (np.diff(inside) == 1).all()
        lefts.add(inside[0])
    assert lefts == {0, 1, 2, 3}


# --- resizing


@pytest.mark.parametrize("size", [(10, 13), (21, 60), (50, 45), (5, 70), (1, 1)])
@pytest.mark.parametrize("mode, pillow", [("bilinear", PIL.Image.Resampling.BILINEAR), ("bicubic", PIL.Image.Resampling.BICUBIC)])
def test_resize_is_pillows(size, mode, pillow):
    """Pillow's floating-point pictures, resized with antialiasing."""
    expected = [np.asarray(PIL.Image.fromarray(channel).resize(size[::-1], pillow)) for channel in IMAGE]
    np.testing.assert_allclose(Resize(size, mode)(IMAGE), expected, atol=3e-6)


@pytest.mark.parametrize("mode, antialias", [("bilinear", True), ("bilinear", False), ("bicubic", False), ("nearest", True),
                                             ("nearest-exact", True)])
def test_resize_is_torchs(mode, antialias):
    torch = pytest.importorskip("torch")
    for size in (9, 14), (33, 28):
        options = {} if "nearest" in mode else {"antialias": antialias}
        expected = torch.nn.functional.interpolate(torch.tensor(IMAGE)[None], size, mode=mode, **options)[0]
        np.testing.assert_allclose(Resize(size, mode, antialias=antialias)(IMAGE), expected, atol=3e-6)


@pytest.mark.parametrize("size", [(10, 13), (21, 60), (7, 10), (42, 60)])
def test_resized_masks_take_the_middle(size):
    rows, columns = [((np.arange(n) + 0.5) * old / n).astype(int) for n, old in zip(size, MASK.shape)]
    for mode in "bilinear", "nearest":
        np.testing.assert_array_equal(Resize(size, mode)(IMAGE, MASK)[1], MASK[rows[:, None], columns])
    np.testing.assert_array_equal(Resize(size)(IMAGE, MASK[None] > 2)[1], MASK[None, rows[:, None], columns] > 2)


@pytest.mark.parametrize("shape, size, max_size, expected", [
    ((20, 30), 10, None, (10, 15)), ((30, 20), 10, None, (15, 10)), ((20, 33), 7, None, (7, 11)), ((20, 20), 7, None, (7, 7)),
    ((20, 60), 10, 15, (5, 15)), ((60, 20), [10], 29, (29, 9)), ((20, 30), (4, 5), None, (4, 5)), ((1, 300), 2, 5, (1, 5))])
def test_resize_sizes(shape, size, max_size, expected):
    """One number is the smaller side; max_size limits the larger: rounded down, as torchvision does, but never to nothing."""
    image, target = Resize(size, max_size=max_size)(np.zeros((1, *shape)), {"boxes": np.float32([[0, 0, *shape[::-1]]])})
    assert image.shape == (1, *expected)
    np.testing.assert_allclose(target["boxes"], [[0, 0, *expected[::-1]]])


def test_resize_to_the_same_size_is_the_same():
    for t in Resize((21, 30)), Resize(21, "bicubic"), RandomResizedCrop((21, 30), (1, 1), (30 / 21, 30 / 21)):
        np.testing.assert_array_equal(t(IMAGE), IMAGE)


def test_random_resized_crop_reads_a_window():
    """A ramp tells which window was read: it stays within the picture, and its area and ratio within their ranges."""
    y, x = np.mgrid[:60, :80] + 0.5
    t = RandomResizedCrop((30, 40), scale=(0.2, 0.5), ratio=(0.8, 1.25), antialias=False, generator=0)
    areas, ratios = [], []
    for _ in range(300):
        ramp = t(np.stack([x, y]))
        w = (ramp[0, 0, 30] - ramp[0, 0, 10]) / 20 * 40
        h = (ramp[1, 20, 0] - ramp[1, 10, 0]) / 10 * 30
        left, top = ramp[0, 0, 10] - 10.5 * w / 40, ramp[1, 10, 0] - 10.5 * h / 30
        assert -1e-6 < left < left + w < 80 + 1e-6 and -1e-6 < top < top + h < 60 + 1e-6
        assert abs(w - round(w)) < 1e-6 and abs(left - round(left)) < 1e-6
        areas.append(w * h / 4800)
        ratios.append(w / h)
    assert 0.18 < min(areas) < 0.23 and 0.46 < max(areas) < 0.53
    assert 0.76 < min(ratios) < 0.85 and 1.18 < max(ratios) < 1.32 and abs(np.log(ratios).mean()) < 0.03
    np.testing.assert_allclose(np.histogram(areas, 3, (0.2, 0.5))[0], 100, atol=30)


def test_random_resized_crop_where_nothing_fits():
    """A picture much wider than any allowed ratio: the largest window in the middle."""
    x = np.arange(100.0)[None].repeat(4, 0)[None]
    np.testing.assert_array_equal(RandomResizedCrop((4, 5), (0.9, 1), (1.25, 1.25))(x), x[:, :, 47:52])
    np.testing.assert_array_equal(RandomResizedCrop((5, 4), (0.9, 1), (0.8, 0.8))(x.transpose(0, 2, 1)),
                                  x.transpose(0, 2, 1)[:, 47:52])


# --- reading between the pixels


@pytest.mark.parametrize("padding_mode, scipys", [("constant", "grid-constant"), ("edge", "nearest"), ("symmetric", "reflect")])
def test_sample_is_scipys(padding_mode, scipys):
    points = RANDOM.uniform(-40, 70, (2, 9, 50))
    x = RANDOM.random((2, 11, 16))
    fill = 0.3 if padding_mode == "constant" else 0
    for interpolation, order in ("bilinear", 1), ("nearest", 0):
        expected = [scipy.ndimage.map_coordinates(channel, points[::-1] - 0.5, order=order, mode=scipys, cval=0.3)
                    for channel in x]
        np.testing.assert_allclose(sample(x, points, interpolation, fill, padding_mode), expected, atol=1e-12)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
def test_sample_is_torchs(interpolation):
    torch = pytest.importorskip("torch")
    points, x = RANDOM.uniform(-4, 20, (2, 9, 50)), RANDOM.random((2, 11, 16))
    grid = torch.tensor(np.stack([2 * points[0] / 16 - 1, 2 * points[1] / 11 - 1], -1)[None])
    expected = torch.nn.functional.grid_sample(torch.tensor(x)[None], grid, interpolation, align_corners=False)[0]
    np.testing.assert_allclose(sample(x, points, interpolation), expected, atol=1e-10)


def test_sample_on_one_pixel():
    x = np.float32([[[2]]])
    for interpolation in "nearest", "bilinear", "bicubic":
        assert sample(x, np.full((2, 1), 0.5), interpolation) == 2
        assert sample(x, np.full((2, 1), 99.0), interpolation, 7) == 7
        np.testing.assert_allclose(sample(x, np.full((2, 1), 99.0), interpolation, 7, "symmetric"), 2, rtol=1e-6)


# --- rotations and affine maps


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("quarter", [-2, -1, 0, 1, 2, 3])
def test_quarter_turns_are_exact(quarter, interpolation):
    """Counter-clockwise as np.rot90, bit for bit, and so are boxes."""
    t = RandomRotation((90 * quarter, 90 * quarter), interpolation, expand=True)
    for shape in (3, 21, 30), (1, 8, 8), (1, 1, 5), (2, 22, 31):
        image, mask = RANDOM.random(shape, np.float32), RANDOM.integers(0, 9, shape[1:])
        new, (answer, target) = t(image, (mask, {"boxes": np.float32([[0, 0, 1, 1]])}))
        np.testing.assert_array_equal(new, np.rot90(image, quarter, (1, 2)))
        np.testing.assert_array_equal(answer, np.rot90(mask, quarter))
        corner = np.zeros(shape[1:], bool)
        corner[0, 0] = True
        y, x = np.argwhere(np.rot90(corner, quarter))[0]
        np.testing.assert_array_equal(target["boxes"], [[x, y, x + 1, y + 1]])
    square = RANDOM.random((1, 16, 16))
    np.testing.assert_array_equal(RandomRotation((90 * quarter,) * 2, interpolation)(square), np.rot90(square, quarter, (1, 2)))


@pytest.mark.parametrize("angle", [10, -33, 71.5, 140, -170])
@pytest.mark.parametrize("expand", [False, True])
def test_rotation_is_pillows(angle, expand):
    picture = PIL.Image.fromarray(IMAGE[0])
    expected = np.asarray(picture.rotate(angle, PIL.Image.Resampling.NEAREST, expand))
    t = RandomRotation((angle, angle), expand=expand)
    new = t(IMAGE[:1])[0]
    assert np.abs(np.subtract(new.shape, expected.shape)).max() <= (1 if expand else 0)
    if new.shape == expected.shape:
        assert (new == expected).mean() > 0.98            # Pillow computes places in steps of 2^-16 pixels
    if not expand:
        smooth = np.asarray(picture.rotate(angle, PIL.Image.Resampling.BILINEAR))
        ours = RandomRotation((angle, angle), "bilinear")(IMAGE[:1])[0]
        inside = scipy.ndimage.binary_erosion(RandomRotation((angle, angle))(np.ones((1, 21, 30)))[0] > 0, iterations=2)
        assert inside.sum() > 100
        np.testing.assert_allclose(ours[inside], smooth[inside], atol=1e-4)
        around = np.asarray(picture.rotate(angle, PIL.Image.Resampling.NEAREST, center=(4, 7)))
        assert (RandomRotation((angle, angle), center=(4, 7))(IMAGE[:1])[0] == around).mean() > 0.98


def test_rotation_expanded_keeps_everything():
    for angle in range(0, 360, 7):
        shape = (1, 21, 30)
        t = RandomRotation((angle, angle), expand=True)
        h, w = t(np.zeros(shape)).shape[1:]
        corners = np.array([point(t, x, y, shape) for x in (0, 30) for y in (0, 21)])
        assert (corners.min(0) > -1e-4).all() and (corners.max(0) < np.array([w, h]) + 1e-4).all()
        assert (corners.min(0) < 1).all() and (corners.max(0) > np.array([w, h]) - 1).all()


def torchvisions_matrix(angle, translate, scale, shear, center):
    """The forward matrix of torchvision.transforms.functional.affine, written out as its documentation has it."""
    a, sx, sy = np.radians(angle), *np.radians(shear)
    linear = scale * np.array([
        [np.cos(a - sy) / np.cos(sy), -np.cos(a - sy) * np.tan(sx) / np.cos(sy) - np.sin(a)],
        [np.sin(a - sy) / np.cos(sy), -np.sin(a - sy) * np.tan(sx) / np.cos(sy) + np.cos(a)]])
    return lambda p: linear @ (np.array(p) - center) + center + translate


@pytest.mark.parametrize("angle, scale, shear", [(20, 1, (0, 0)), (0, 1.3, (0, 0)), (0, 1, (15, 0)), (0, 1, (0, -10)),
                                                 (-50, 0.7, (20, 10))])
@pytest.mark.parametrize("center", [None, (3, 4)])
def test_affine_is_torchvisions(angle, scale, shear, center):
    t = RandomAffine((angle, angle), None, (scale, scale), (shear[0], shear[0], shear[1], shear[1]), center=center)
    m = torchvisions_matrix(angle, (0, 0), scale, shear, center or (15, 10.5))
    for p in (15, 10.5), (0, 0), (20.25, 3.5):
        np.testing.assert_allclose(point(t, *p), m(p), atol=1e-9)


def test_affine_picture_by_definition():
    """Every new pixel is the old one at the inverse of the map: SciPy's affine_transform, which counts from pixel middles."""
    t = RandomAffine((25, 25), None, (1.2, 1.2), (10, 10, -5, -5), "bilinear", fill=0.25)
    m = torchvisions_matrix(25, (0, 0), 1.2, (10, -5), (15, 10.5))
    columns = np.stack([m((1, 0)) - m((0, 0)), m((0, 1)) - m((0, 0))], 1)[::-1, ::-1]                # rows first
    back = np.linalg.inv(columns)
    offset = back @ (0.5 - m((0, 0))[::-1]) - 0.5
    expected = [scipy.ndimage.affine_transform(channel, back, offset, order=1, mode="grid-constant", cval=0.25)
                for channel in IMAGE.astype(np.float64)]
    np.testing.assert_allclose(t(IMAGE.astype(np.float64)), expected, atol=1e-9)


def test_affine_ranges():
    """Shifts by whole pixels up to their shares; angles, factors and shears evenly within their ranges."""
    shifts = np.array([point(RandomAffine(0, (0.2, 0.1)), 0, 0, rng=i) for i in range(400)])
    np.testing.assert_array_equal(shifts, np.round(shifts))
    assert set(shifts[:, 0]) == set(range(-6, 7)) and set(shifts[:, 1]) == {-2, -1, 0, 1, 2}
    t = RandomAffine((-10, 30), scale=(0.5, 2), shear=20)
    angles, scales, shears = [], [], []
    for i in range(400):
        origin, x, y = point(t, 0, 0, rng=i), point(t, 1, 0, rng=i), point(t, 0, 1, rng=i)
        (a, b), (c, d) = x - origin, y - origin
        angles.append(np.degrees(np.arctan2(b, a)))
        scales.append(np.hypot(a, b))
        shears.append(-np.degrees(np.arctan((a * c + b * d) / (a * a + b * b))))
    for values, low, high in (angles, -10, 30), (scales, 0.5, 2), (shears, -20, 20):
        np.testing.assert_allclose([min(values), max(values), np.mean(values)], [low, high, (low + high) / 2],
                                   atol=0.08 * (high - low))
        assert low <= min(values) and max(values) <= high
    negative = [np.degrees(np.arctan2(*(point(RandomRotation(30), 16, 10.5, rng=i) - [15, 10.5])[::-1])) for i in range(200)]
    assert -30 <= min(negative) < -25 and 25 < max(negative) <= 30


def test_without_change_the_bits_stay():
    for interpolation in "nearest", "bilinear", "bicubic":
        for t in (RandomRotation(0, interpolation), RandomAffine(0, (0, 0), (1, 1), 0, interpolation), RandomRotation((360, 360)),
                  ElasticTransform(0.0, interpolation=interpolation), RandomGridElastic(sigma=0, interpolation=interpolation)):
            image, mask = t(IMAGE, MASK)
            np.testing.assert_array_equal(image, IMAGE)
            np.testing.assert_array_equal(mask, MASK)


# --- elastic


@pytest.mark.parametrize("alpha, sigma", [(50.0, 5.0), (200.0, 8.0), (20.0, 0), ((30.0, 90.0), (3.0, 4.0))])
def test_elastic_is_torchvisions(alpha, sigma):
    """torchvision's steps in PyTorch's functions, on the same noise: Gaussian window of 8 sigma + 1, grid of -1 to 1."""
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(1).random((3, 48, 48), np.float32)
    noise, displacement = torch.tensor(np.random.default_rng(5).random((2, 48, 48), np.float32) * 2 - 1), []
    for d, a, s in zip(noise, np.broadcast_to(alpha, 2).tolist(), np.broadcast_to(sigma, 2).tolist()):
        if s > 0:
            n = int(8 * s + 1) | 1
            window = torch.exp(-0.5 * (torch.linspace(-(n - 1) / 2, (n - 1) / 2, n) / s) ** 2)
            window /= window.sum()
            padded = torch.nn.functional.pad(d[None, None], [n // 2] * 4, "reflect")
            d = torch.nn.functional.conv2d(padded, torch.outer(window, window)[None, None])[0, 0]
        displacement.append(d * a / 48)
    middles = (torch.arange(48) + 0.5) / 24 - 1
    grid = torch.stack([middles[None].expand(48, 48), middles[:, None].expand(48, 48)], -1) + torch.stack(displacement, -1)
    expected = torch.nn.functional.grid_sample(torch.tensor(image)[None], grid[None], align_corners=False)[0]
    np.testing.assert_allclose(ElasticTransform(alpha, sigma)(image, rng=5), expected, atol=2e-5)


def test_elastic_strength():
    """Blurred even noise has the standard deviation 1 / (sqrt(3) 2 sqrt(pi) sigma): 0.08 alpha / sigma after scaling."""
    for alpha, sigma in (50, 5), (100, 3):
        d = ElasticTransform(float(alpha), float(sigma)).draw(np.random.default_rng(0), (1, 400, 500))
        np.testing.assert_allclose(d.std((1, 2)), alpha / 2 / (np.sqrt(3) * 2 * np.sqrt(np.pi) * sigma), rtol=0.08)
        np.testing.assert_allclose(d.std((1, 2)), 0.08 * alpha / sigma, rtol=0.1)


def natural_spline(values, x):
    """The natural cubic spline through values at 0, 1, ..., from the linear equations of its second derivatives."""
    n = len(values)
    A, b = np.eye(n), np.zeros(n)
    for i in range(1, n - 1):
        A[i, i - 1:i + 2] = [1, 4, 1]
        b[i] = 6 * (values[i - 1] - 2 * values[i] + values[i + 1])
    m = np.linalg.solve(A, b)
    i = np.minimum(x.astype(int), n - 2)
    t = x - i
    return ((1 - t) * values[i] + t * values[i + 1] + ((1 - t) ** 3 - (1 - t)) * m[i] / 6 + (t ** 3 - t) * m[i + 1] / 6)


@pytest.mark.parametrize("points, grid", [(3, (3, 3)), ((4, 6), (4, 6)), (2, (2, 2))])
def test_grid_elastic_by_definition(points, grid):
    """A spline along every row of grid points, then along every column of pixels."""
    d = RandomGridElastic(points, sigma=4.0).draw(np.random.default_rng(3), (1, 20, 30))
    coarse = np.random.default_rng(3).normal(0, 4, (2, *grid))
    x, y = (np.arange(30) + 0.5) / 30 * (grid[1] - 1), (np.arange(20) + 0.5) / 20 * (grid[0] - 1)
    for fine, c in zip(d, coarse):
        rows = np.array([natural_spline(row, x) for row in c])
        np.testing.assert_allclose(fine, np.array([natural_spline(column, y) for column in rows.T]).T, atol=1e-10)


def test_grid_elastic_strength():
    """At the grid points, those on the border included, the displacement has the standard deviation of the paper."""
    d = np.array([RandomGridElastic().draw(np.random.default_rng(i), (1, 201, 201)) for i in range(150)])
    np.testing.assert_allclose(d[..., ::100, ::100].std(0), 10, rtol=0.25)
    assert abs(d[..., ::100, ::100].std() - 10) < 0.5
    assert np.abs(np.diff(d, axis=-1)).max() < 1


@pytest.mark.parametrize("t", [ElasticTransform(150.0, 6.0), RandomGridElastic(4, 2.5)])
def test_elastic_points_are_the_inverse(t):
    """The point p is seen at q with q + d(q) = p."""
    for seed in range(5):
        d = t.draw(np.random.default_rng(seed), (1, 60, 70))
        p = np.random.default_rng(seed).uniform(8, 50, (40, 2))
        q = t(np.zeros((1, 60, 70)), {"keypoints": p[None]}, rng=seed)[1]["keypoints"][0]
        at = [scipy.ndimage.map_coordinates(c, q.T[::-1] - 0.5, order=1, mode="nearest") for c in d]
        np.testing.assert_allclose(q + np.transpose(at), p, atol=2e-3)
        assert np.abs(q - p).max() > 0.5


def test_grid_elastic_mirrors_at_the_border():
    image = 1 + np.random.default_rng(0).random((1, 64, 64))
    assert RandomGridElastic()(image, rng=0).min() >= 1 - 1e-9
    assert RandomGridElastic(padding_mode="edge")(image, rng=0).min() >= 1 - 1e-9
    assert RandomGridElastic(padding_mode="constant")(image, rng=0).min() == 0
    assert ElasticTransform(500.0)(image, rng=0).min() == 0


WRONG = [
    (ValueError, lambda: Pad((1, 2, 3)), "Pad: padding must be 1, 2 (left and right, above and below) or 4 numbers"),
    (ValueError, lambda: Pad(-1), "not negative, got -1. CenterCrop and RandomCrop take pixels away"),
    (TypeError, lambda: Pad(1.5), "Pad: padding must be an integer or a sequence of 1, 2 or 4 integers, got 1.5"),
    (ValueError, lambda: Pad(1, padding_mode="wrap"), "padding_mode must be one of 'constant', 'edge', 'reflect', 'symmetric',"),
    (ValueError, lambda: Pad(1, fill={"sky": 1}), "Pad: fill must name \"image\" and \"mask\", got 'sky'"),
    (TypeError, lambda: Pad(1, fill={"mask": 0.5}), "Pad: fill[\"mask\"] must be a class index, got 0.5"),
    (TypeError, lambda: Pad(1, fill="black"), "Pad: fill must be a number or a sequence of numbers, got 'black'"),
    (ValueError, lambda: Pad(1, fill=(1, 2))(IMAGE), "fill must be one number or one per channel, got 2 numbers for 3 channels"),
    (ValueError, lambda: CenterCrop(0), "CenterCrop: size must be one number or two, of at least 1, got 0"),
    (TypeError, lambda: CenterCrop(2.5), "CenterCrop: size must be an integer or a pair of integers, got 2.5"),
    (ValueError, lambda: CenterCrop((1, 2, 3)), "CenterCrop: size must be one number or two, of at least 1, got (1, 2, 3)"),
    (ValueError, lambda: RandomCrop(25)(IMAGE), "it has 21 pixels for 25. Pass a smaller size, or pad_if_needed=True"),
    (TypeError, lambda: RandomCrop(5, pad_if_needed=1), "RandomCrop: pad_if_needed must be True or False, got 1"),
    (ValueError, lambda: Resize(0), "Resize: size must be one number or two, of at least 1, got 0"),
    (ValueError, lambda: Resize(10, max_size=10), "max_size limits the larger side, for a size of one number below it, got siz"),
    (ValueError, lambda: Resize((10, 20), max_size=30), "got size=(10, 20) and max_size=30"),
    (ValueError, lambda: Resize(10, "lanczos"), "interpolation must be one of 'nearest', 'nearest-exact', 'bilinear', 'bicubic'"),
    (TypeError, lambda: Resize(10, antialias=None), "Resize: antialias must be True or False, got None"),
    (ValueError, lambda: RandomResizedCrop(10, scale=(1, 0.5)), "scale must be (least, greatest), between 1e-12 and inf, got ("),
    (ValueError, lambda: RandomResizedCrop(10, ratio=(0, 1)), "ratio must be (least, greatest), between 1e-12 and inf"),
    (ValueError, lambda: RandomRotation(-5), "RandomRotation: degrees must be at least 0, for the range from -degrees to degre"),
    (ValueError, lambda: RandomRotation((5, 1)), "degrees must be (least, greatest), between -inf and inf, got (5, 1)"),
    (ValueError, lambda: RandomRotation(5, expand=True, center=(1, 1)), "expand keeps the whole picture, whatever the center"),
    (ValueError, lambda: RandomRotation(5, "nearest-exact"), "interpolation must be one of 'nearest', 'bilinear', 'bicubic'"),
    (ValueError, lambda: RandomRotation(5, center=(1, 1, 1)), "RandomRotation: center must have 2 numbers, got (1, 1, 1)"),
    (ValueError, lambda: RandomAffine(5, translate=(0.5, 2)), "translate must be shares of width and height from 0 to 1"),
    (ValueError, lambda: RandomAffine(5, translate=(-0.5, 0)), "RandomAffine: translate must be at least 0, got (-0.5, 0)"),
    (ValueError, lambda: RandomAffine(5, scale=(0, 1)), "scale must be (least, greatest), between 1e-06 and inf, got (0, 1)"),
    (ValueError, lambda: RandomAffine(5, shear=95), "shear must be between -90 and 90 degrees"),
    (ValueError, lambda: RandomAffine(5, shear=(1, 2, 3)), "RandomAffine: shear must have 2 numbers, got (1, 2, 3)"),
    (TypeError, lambda: RandomAffine("ten"), "RandomAffine: degrees must be a number or a sequence of numbers, got 'ten'"),
    (ValueError, lambda: ElasticTransform(alpha=-1.0), "ElasticTransform: alpha must be at least 0"),
    (ValueError, lambda: ElasticTransform(sigma=(1.0, -1.0)), "ElasticTransform: sigma must be at least 0, got (1.0, -1.0)"),
    (ValueError, lambda: RandomGridElastic(1), "RandomGridElastic: points must be one number or two, of at least 2, got 1"),
    (TypeError, lambda: RandomGridElastic(2.5), "RandomGridElastic: points must be an integer or a pair of integers, got 2.5"),
    (ValueError, lambda: RandomGridElastic(sigma=-1), "RandomGridElastic: sigma must be at least 0"),
    (ValueError, lambda: RandomGridElastic(padding_mode="reflect"), "padding_mode must be one of 'constant', 'edge', 'symmetri"),
]


@pytest.mark.parametrize("error, call, message", WRONG, ids=[message[:40] for _, _, message in WRONG])
def test_errors(error, call, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
