"""The IDX format, in which MNIST and its relatives are published: one array per file.

    bytes 0, 1      zero
    byte  2         type of the numbers: 08 uint8, 09 int8, 0B int16, 0C int32, 0D float32, 0E float64
    byte  3         number of axes D
    next 4 D bytes  length of each axis, unsigned 32-bit
    the rest        the numbers, last axis fastest

Everything is big-endian (most significant byte first).  Files usually come compressed by gzip; that is recognised by its first
two bytes, 1F 8B, and not by the name.  The reader accepts exactly this and nothing more: a file that is a byte short or long
is damaged, and a network trained on a damaged file fails in ways that are hard to trace back.

Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits, section "File formats".
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path):
    """The array in an IDX file, plain or compressed by gzip.

    Shapes: as the file says, (N, H, W) for pictures and (N,) for labels; the dtype is the file's, in native byte order.
    Raises ValueError where the file is damaged or no IDX file, naming what is wrong; FileNotFoundError where it is missing.

    >>> _ = Path("labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    >>> read_idx("labels-idx1-ubyte")
    array([7, 2, 1], dtype=uint8)
    """
    return parse_idx(uncompressed(path), path)


def uncompressed(path):
    """The bytes of a file, decompressed if they are gzip's."""
    data = Path(path).read_bytes()
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"read_idx: {path} is damaged, gzip says: {error}. Move it away and get it again.") from error


def parse_idx(data, name="data"):
    """The array in the bytes of an IDX file; `name` is what error messages call it.

    >>> parse_idx(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]))
    array([[1, 2, 3],
           [4, 5, 6]], dtype=uint8)
    """
    if len(data) < 4 or data[:2] != b"\0\0":
        raise ValueError("read_idx: an IDX file starts with the bytes 00 00, type, number of axes; "
                         f"{name} starts with {data[:4].hex(' ') or 'nothing'}. Is it another kind of file?")
    code, axes = data[2], data[3]
    if code not in TYPES:
        known = " ".join(f"{c:02x}" for c in TYPES)
        raise ValueError(f"read_idx: the type byte must be one of {known}, {name} has {code:02x}. Is it another kind of file?")
    if axes == 0:
        raise ValueError(f"read_idx: an array has at least 1 axis, {name} says 0. Is it another kind of file?")
    start = 4 + 4 * axes
    if len(data) < start:
        raise ValueError(f"read_idx: {axes} axes need a header of {start} bytes, {name} has {len(data)}. It was cut "
                         "off; move it away and get it again.")
    shape, dtype = struct.unpack(f">{axes}I", data[4:start]), np.dtype(TYPES[code])
    size = start + math.prod(shape) * dtype.itemsize
    if len(data) != size:
        what = "was cut off" if len(data) < size else "has bytes to spare"
        raise ValueError(f"read_idx: shape {shape} of {dtype.name} needs {size} bytes, {name} has {len(data)}. It {what}; "
                         "move it away and get it again.")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
