import gzip
import re
import struct

import numpy as np
import pytest

from tinyvision.data import read_idx
from tinyvision.data.idx import parse_idx

HEADER = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3])      # uint8, 2 x 3
WHOLE = HEADER + bytes([1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("code, letter, values, dtype", [
    (0x08, "B", [0, 255], np.uint8), (0x09, "b", [-128, 127], np.int8), (0x0B, "h", [-2, 258], np.int16),
    (0x0C, "i", [-2, 16909060], np.int32), (0x0D, "f", [-0.5, 1e10], np.float32), (0x0E, "d", [1 / 3, -1e300], np.float64),
])
def test_every_type(code, letter, values, dtype):
    array = parse_idx(bytes([0, 0, code, 1, 0, 0, 0, 2]) + struct.pack(f">2{letter}", *values))
    assert array.dtype == dtype and array.dtype.isnative and array.flags.writeable
    assert array.tolist() == [dtype(value).item() for value in values]


@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3), (2, 3, 4), (2, 1, 3, 2), (0,), (0, 28, 28)])
def test_every_number_of_axes_last_axis_fastest(shape):
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    data = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + bytes(values.ravel().tolist())
    np.testing.assert_array_equal(parse_idx(data), values)
    assert parse_idx(data).shape == shape


@pytest.mark.parametrize("name", ["plain", "named-otherwise.gz"])
@pytest.mark.parametrize("data", [WHOLE, gzip.compress(WHOLE)], ids=["plain", "gzip"])
def test_compression_is_recognised_by_content(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert read_idx(tmp_path / name).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read_idx(str(tmp_path / name)).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("data, message", [
    (b"", "an IDX file starts with the bytes 00 00, type, number of axes; x starts with nothing"),
    (b"\0\0\x08", "x starts with 00 00 08"),
    (b"\x89PNG....", "x starts with 89 50 4e 47"),
    (b"\0\x01" + WHOLE[2:], "x starts with 00 01 08 02"),
    (b"\0\0\x0a" + WHOLE[3:], "the type byte must be one of 08 09 0b 0c 0d 0e, x has 0a"),
    (b"\0\0\x08\0" + b"7", "an array has at least 1 axis, x says 0"),
    (WHOLE[:11], "2 axes need a header of 12 bytes, x has 11"),
    (WHOLE[:-1], "shape (2, 3) of uint8 needs 18 bytes, x has 17. It was cut off"),
    (HEADER, "shape (2, 3) of uint8 needs 18 bytes, x has 12. It was cut off"),
    (WHOLE + b"\0", "shape (2, 3) of uint8 needs 18 bytes, x has 19. It has bytes to spare"),
    (b"\0\0\x0e\x03" + b"\xff" * 12, "of float64 needs 633825299671392843082401579016 bytes"),
])
def test_damaged_files(tmp_path, data, message):
    with pytest.raises(ValueError, match="read_idx: .*" + re.escape(message)):
        parse_idx(data, "x")
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / "x"))):
        read_idx(tmp_path / "x")


@pytest.mark.parametrize("data", [
    gzip.compress(WHOLE)[:-5], gzip.compress(WHOLE)[:12], gzip.compress(WHOLE) + b"rest",
    gzip.compress(WHOLE)[:-8] + bytes(8), b"\x1f\x8b", b"\x1f\x8b\x08\0" + b"\xff" * 40,
], ids=["cut off", "cut off early", "bytes to spare", "wrong checksum", "magic only", "nonsense"])
def test_damaged_compression(tmp_path, data):
    (tmp_path / "x.gz").write_bytes(data)
    with pytest.raises(ValueError, match=f"read_idx: {re.escape(str(tmp_path / 'x.gz'))} is damaged, gzip says"):
        read_idx(tmp_path / "x.gz")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")
