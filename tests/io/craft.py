"""Checkpoints made by hand, without PyTorch: a small assembler for pickles, and writers of the two formats.

It knows the instructions from pickletools alone, shares nothing with the reader, and can write what no honest program would.
"""

import struct
import zipfile

MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
VERSION = b"\x80\x02M\xe9\x03."
MACHINE = b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s."


class Code(bytes):
    """Instructions as they stand."""


def name(module, qualname):
    return Code(f"c{module}\n{qualname}\n".encode())


def call(function, *arguments):
    return Code(function + pickled(arguments) + b"R")


def persistent(pid):
    return Code(pickled(pid) + b"Q")


def pickled(value):
    """The instructions that push a value."""
    if isinstance(value, Code):
        return value
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(digits)]) + digits
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, tuple):
        return b"(" + b"".join(map(pickled, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(pickled, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(pickled(part) for pair in value.items() for part in pair) + b"u"
    raise TypeError(f"no instructions for {value!r}")


def program(value, protocol=2):
    return b"\x80" + bytes([protocol]) + pickled(value) + b"."


NO_HOOKS = call(name("collections", "OrderedDict"))


def storage(key="0", numel=6, kind="FloatStorage", module="torch"):
    return persistent(("storage", name(module, kind), key, "cpu", numel))


def tensor(data=None, offset=0, size=(2, 3), stride=(3, 1), *more):
    """A call of _rebuild_tensor_v2, by default of a whole storage of six floats."""
    return call(name("torch._utils", "_rebuild_tensor_v2"), data or storage(), offset, size, stride, False, NO_HOOKS, *more)


def write_zip(path, pickle, storages=None, byteorder=b"little", compression=zipfile.ZIP_STORED, **more):
    """An archive as torch.save writes it.  more: further entries."""
    entries = {"data.pkl": pickle, **({"byteorder": byteorder} if byteorder else {}), **more}
    entries.update({f"data/{key}": content for key, content in (storages or {}).items()})
    with zipfile.ZipFile(path, "w", compression) as archive:
        for entry, content in entries.items():
            archive.writestr(f"archive/{entry}", content)
    return path


def write_legacy(path, pickle, storages=None, keys=None, itemsize=4):
    """A stream as torch.save wrote it before the zip format."""
    storages = storages or {}
    tail = b"".join(struct.pack("<q", len(content) // itemsize) + content for content in storages.values())
    path.write_bytes(MAGIC + VERSION + MACHINE + pickle + program(list(storages) if keys is None else keys) + tail)
    return path
