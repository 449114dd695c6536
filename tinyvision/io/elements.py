"""How one number lies in a file: the element types of PyTorch and safetensors, by their names in PyTorch.

NumPy knows all of them but bfloat16, the upper 16 bits of a float32: sign, 8 bits of exponent, 7 of mantissa (Kalamkar et
al. 2019, arXiv:1905.12322).  It is read as an unsigned integer and becomes float32, exactly, by putting 16 zero bits below.
A bool takes a byte, and a byte can hold more than 0 and 1, so it is read as an integer as well.
"""

import numpy as np

ELEMENTS = {"float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "u2", "bool": "u1",
            "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1",
            "uint64": "u8", "uint32": "u4", "uint16": "u2", "uint8": "u1",
            "complex64": "c8", "complex128": "c16"}


def stored_dtype(name, byteorder="little"):
    """The NumPy dtype that the bytes of this element type are read with.

    >>> stored_dtype("float32", "big")
    dtype('>f4')
    """
    return np.dtype(ELEMENTS[name]).newbyteorder({"little": "<", "big": ">"}[byteorder])


def decoded_dtype(name):
    """The NumPy dtype of this element type in memory.

    >>> decoded_dtype("bfloat16")
    dtype('float32')
    """
    return np.dtype({"bfloat16": "float32"}.get(name, name))


def decode(stored, name):
    """An array of stored elements as an array of `decoded_dtype(name)` in this machine's byte order.

    >>> decode(np.array([0x3FC0, 0xC000], "<u2"), "bfloat16")
    array([ 1.5, -2. ], dtype=float32)
    """
    if name == "bfloat16":
        return np.asarray(stored.astype(np.uint32) << 16).view(np.float32)
    if name == "bool":
        return np.asarray(stored != 0)
    return stored.astype(decoded_dtype(name), copy=False)
