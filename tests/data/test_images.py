import re
import struct
import warnings
import zlib

import numpy as np
import PIL.Image
import pytest

from tinyvision.data.images import load_image, load_mask

RANDOM = np.random.default_rng(3)
GREY, RGB = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8), RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
RGBA, DEEP = RANDOM.integers(0, 256, (5, 7, 4), dtype=np.uint8), RANDOM.integers(0, 65536, (5, 7), dtype=np.uint16)


def save(path, array, **options):
    PIL.Image.fromarray(array).save(path, **options)
    return path


def png(path, width, height, depth, kind, rows):
    """A PNG file written by hand, from its specification: what Pillow cannot save."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "pgm", "tif"])
def test_grey(tmp_path, ending):
    path = save(tmp_path / f"a.{ending}", GREY)
    image = load_image(path)
    assert image.shape == (1, 5, 7) and image.dtype == np.float32 and image.flags.c_contiguous
    np.testing.assert_array_equal(image[0], GREY / np.float32(255))
    np.testing.assert_array_equal(load_image(str(path), 1), image)
    np.testing.assert_array_equal(load_image(path, 3), np.stack([image[0]] * 3))


@pytest.mark.parametrize("ending", ["png", "bmp", "ppm", "tif", "webp"])
def test_colour(tmp_path, ending):
    path = save(tmp_path / f"a.{ending}", RGB, **({"lossless": True} if ending == "webp" else {}))
    image = load_image(path)
    assert image.dtype == np.float32 and image.flags.c_contiguous
    np.testing.assert_array_equal(image, RGB.transpose(2, 0, 1) / np.float32(255))
    np.testing.assert_array_equal(load_image(path, 3), image)
    expected = PIL.Image.fromarray(RGB).convert("L")                      # rounded to whole bytes
    assert load_image(path, 1).shape == (1, 5, 7)
    np.testing.assert_allclose(load_image(path, 1)[0] * 255, np.asarray(expected), atol=1)


def test_jpeg(tmp_path):
    path = save(tmp_path / "a.jpg", RGB, quality=90)
    np.testing.assert_array_equal(load_image(path), np.asarray(PIL.Image.open(path)).transpose(2, 0, 1) / np.float32(255))


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_sixteen_bits(tmp_path, ending):
    image = load_image(save(tmp_path / f"a.{ending}", DEEP))
    assert image.shape == (1, 5, 7)
    np.testing.assert_allclose(image[0], DEEP / 65535, rtol=1e-6)
    assert load_image(save(tmp_path / f"b.{ending}", np.full((2, 2), 65535, np.uint16))).tolist() == [[[1, 1], [1, 1]]]


def test_sixteen_bits_of_colour(tmp_path):
    deep = RANDOM.integers(0, 65536, (5, 7, 3)).astype(">u2")
    image = load_image(png(tmp_path / "a.png", 7, 5, 16, 2, [row.tobytes() for row in deep]))
    np.testing.assert_allclose(image, deep.transpose(2, 0, 1) / 65535, atol=1 / 255)      # Pillow keeps the upper eight


def test_one_bit(tmp_path):
    bits = GREY > 127
    path = tmp_path / "a.png"
    PIL.Image.fromarray(bits).save(path)
    np.testing.assert_array_equal(load_image(path), bits[None].astype(np.float32))
    np.testing.assert_array_equal(load_mask(path), bits.astype(np.int64))


def test_palette(tmp_path):
    picture = PIL.Image.new("P", (7, 5))
    picture.putpalette(RANDOM.integers(0, 256, 12).tolist())
    picture.putdata((GREY % 4).ravel().tolist())
    picture.save(tmp_path / "a.png")
    table = np.array(picture.getpalette()[:12], np.float32).reshape(4, 3) / np.float32(255)
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), table[GREY % 4].transpose(2, 0, 1))
    np.testing.assert_array_equal(load_mask(tmp_path / "a.png"), GREY % 4)


@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
def test_transparency_shows_white(tmp_path, ending):
    path = save(tmp_path / f"a.{ending}", RGBA, **({"lossless": True, "exact": True} if ending == "webp" else {}))
    color, opacity = RGBA[..., :3] / 255, RGBA[..., 3:] / 255
    np.testing.assert_allclose(load_image(path), (color * opacity + 1 - opacity).transpose(2, 0, 1), atol=1e-6)


def test_transparent_grey_and_palettes(tmp_path):
    both = np.stack([GREY, RGBA[..., 3]], -1)
    image = load_image(save(tmp_path / "a.png", both))
    assert image.shape == (1, 5, 7)
    np.testing.assert_allclose(image[0], GREY / 255 * (both[..., 1] / 255) + 1 - both[..., 1] / 255, atol=1e-6)
    picture = PIL.Image.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.putdata([0, 1])
    picture.save(tmp_path / "b.png", transparency=0)                      # red is the one that cannot be seen
    assert load_image(tmp_path / "b.png")[:, 0].T.tolist() == [[1, 1, 1], [0, 1, 0]]
    picture.save(tmp_path / "c.png", transparency=b"\x80\xff")            # half, and not at all
    np.testing.assert_allclose(load_image(tmp_path / "c.png")[:, 0, 0], [1, 127 / 255, 127 / 255], atol=1e-6)
    save(tmp_path / "d.png", np.uint8([[10, 20]]), transparency=10)       # one grey that stands for nothing
    np.testing.assert_allclose(load_image(tmp_path / "d.png"), [[[1, 20 / 255]]], atol=1e-7)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path, orientation):
    """The eight ways to hold a camera, from the standard's table: what row 0 and column 0 of the file are in the scene."""
    expected = {1: GREY, 2: GREY[:, ::-1], 3: GREY[::-1, ::-1], 4: GREY[::-1], 5: GREY.T, 6: GREY.T[:, ::-1],
                7: GREY.T[::-1, ::-1], 8: GREY.T[::-1]}[orientation]
    exif = PIL.Image.Exif()
    exif[274] = orientation
    path = save(tmp_path / "a.png", GREY, exif=exif)
    np.testing.assert_array_equal(load_image(path)[0], expected / np.float32(255))
    np.testing.assert_array_equal(load_image(path, orient=False)[0], GREY / np.float32(255))
    np.testing.assert_array_equal(load_mask(path), expected)
    np.testing.assert_array_equal(load_mask(path, orient=False), GREY)


def test_other_modes(tmp_path):
    picture = PIL.Image.fromarray(RGB).convert("CMYK")
    picture.save(tmp_path / "a.tif")
    np.testing.assert_allclose(load_image(tmp_path / "a.tif"), RGB.transpose(2, 0, 1) / 255, atol=0.01)
    picture = PIL.Image.fromarray(RGB)
    picture.save(tmp_path / "a.gif", save_all=True, append_images=[PIL.Image.new("RGB", (7, 5))])
    assert load_image(tmp_path / "a.gif").shape == (3, 5, 7) and load_image(tmp_path / "a.gif").max() > 0.5, "the first picture"


def test_numbers_without_a_white(tmp_path):
    PIL.Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "a.tif")
    PIL.Image.fromarray(GREY.astype(np.int32) * 10**6).save(tmp_path / "b.tif")
    for name, mode in (("a.tif", "F"), ("b.tif", "I")):
        message = f"load_image: grey must have 8 or 16 bits, {tmp_path / name} has 32 ({mode})"
        with pytest.raises(ValueError, match=re.escape(message)):
            load_image(tmp_path / name)
    with pytest.raises(ValueError, match="a mask holds one number per pixel, .* is in F. Save it as grey"):
        load_mask(tmp_path / "a.tif")
    np.testing.assert_array_equal(load_mask(tmp_path / "b.tif"), GREY.astype(np.int64) * 10**6)


def test_masks(tmp_path):
    mask = RANDOM.choice([0, 128, 255], (5, 7)).astype(np.uint8)
    path = save(tmp_path / "a.png", mask)
    assert load_mask(path).dtype == np.int64
    np.testing.assert_array_equal(load_mask(path), mask)
    np.testing.assert_array_equal(load_mask(path, (255, 0, 128)), np.select([mask == 255, mask == 0], [0, 1], 2))
    assert load_mask(path, [255, 0, 128]).dtype == np.int64
    np.testing.assert_array_equal(load_mask(path, threshold=128), mask > 128)
    np.testing.assert_array_equal(load_mask(path, threshold=127), mask > 127)
    assert load_mask(path, threshold=127).dtype == np.int64
    np.testing.assert_array_equal(load_mask(save(tmp_path / "b.png", np.stack([mask] * 3, -1))), mask)
    np.testing.assert_array_equal(load_mask(save(tmp_path / "c.png", DEEP)), DEEP)


def test_mask_errors(tmp_path):
    path = save(tmp_path / "a.png", np.uint8([[0, 7, 255]]))
    with pytest.raises(ValueError, match=re.escape(f"among values = [0, 255], {path} has [7] as well")):
        load_mask(path, (0, 255))
    with pytest.raises(ValueError, match="load_mask: values or threshold, not both, got"):
        load_mask(path, (0, 255), threshold=1)
    for wrong in ((0, 0, 255), 255, ((0, 255),)):
        with pytest.raises(ValueError, match="load_mask: values must be different numbers"):
            load_mask(path, wrong)
    with pytest.raises(ValueError, match="a mask holds one number per pixel, .* is in RGB"):
        load_mask(save(tmp_path / "b.png", RGB))


@pytest.mark.parametrize("load", [load_image, load_mask])
@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "tif", "webp"])
@pytest.mark.parametrize("damage", [lambda d: d[:len(d) // 2], lambda d: d[:9], lambda d: b"", lambda d: b"<html>404</html>" * 9],
                         ids=["half", "start", "empty", "page"])
def test_damaged_files(tmp_path, load, ending, damage):
    path = save(tmp_path / f"a.{ending}", np.tile(RGB, (20, 20, 1)))
    path.write_bytes(damage(path.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                           # Pillow warns of truncated TIFF files before it gives up
        with pytest.raises(ValueError, match=re.escape(f"{load.__name__}: {path} is damaged or no picture (")):
            load(path)


def test_one_wrong_byte(tmp_path):
    """PNG has a checksum: a picture of which one byte changed is not taken for another picture."""
    path = save(tmp_path / "a.png", RGB)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is damaged or no picture"):
        load_image(path)


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"load_image: No such file or directory.*{re.escape(str(tmp_path / 'a.png'))}"):
        load_image(tmp_path / "a.png")
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        load_mask(tmp_path)


@pytest.mark.parametrize("channels", [2, 4, 0, True, "RGB"])
def test_channels(tmp_path, channels):
    with pytest.raises(ValueError, match=f"load_image: channels must be 3, 1 or None .*, got {channels!r}"):
        load_image(save(tmp_path / "a.png", RGB), channels)
