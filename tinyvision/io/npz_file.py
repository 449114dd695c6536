"""Named arrays in a .npz file, NumPy's own format: a zip archive of one .npy file for each array.

    6 bytes     \\x93NUMPY
    2 bytes     version, 1 0 or 2 0                    (3 0 is for structured arrays with names outside of latin-1)
    2 bytes     length of the header, 4 in version 2
    header      {'descr': '<f4', 'fortran_order': False, 'shape': (16, 3), }   and spaces up to the next multiple of 64
    the rest    the elements

The header is Python's text for a dictionary.  numpy.load has Python's parser read it; here a pattern does, which knows only what
NumPy writes for arrays of numbers.  An array of objects (descr '|O') holds a pickle, a program of the file's author: it
is refused, and so is an array larger than the file can be expected to be.

Source: numpy.lib.format, whose functions do the writing.
"""

import math
import os
import re
import zipfile

import numpy as np

from ..tensor import Tensor
from .atomic import atomic_path
from .damage import Damaged, Refused, text
from .elements import ELEMENTS
from .state import checked_state
from .zip_entries import Entries, open_archive

DTYPES = [name for name in ELEMENTS if name not in ("bfloat16", "complex64", "complex128")]
HEADER = re.compile(r"\{'descr': '([^']{1,64})', 'fortran_order': (True|False), 'shape': \(([\d, ]{0,1000})\),? *\} *\n")
AXES = 32                         # as many as every NumPy can do
REPEAT, SPARE = 16, 1 << 24       # compressed arrays may take 16 times the bytes of the file, and 16 MiB
OTHER = "numpy.load(path) reads it, if you trust its source."


def save_npz(state_dict, path, compress=False):
    """Write a dictionary of Tensors or arrays, for instance model.state_dict(), to a .npz file, which numpy.load reads.

    state_dict: {name: Tensor or array} of floats, integers or booleans, of any shape; views and transposes are fine.
    compress: whether to pack the bytes (deflate): slow, and little gained for weights, much for masks.
    The file appears under `path`, with no ending put behind it, whole or not at all.
    Raises TypeError for other values or names, ValueError for names that a zip archive cannot hold, before a file is touched;
    FileNotFoundError without the folder.

    >>> save_npz({"bias": Tensor([1.0, 2.0])}, "weights.npz")
    >>> np.load("weights.npz")["bias"]
    array([1., 2.], dtype=float32)
    """
    arrays = checked_state("save_npz", state_dict, DTYPES, "Save numbers as arrays, text in a file of its own.")
    for name in arrays:
        if "\0" in name or "\\" in name or not name.isprintable():
            raise ValueError(f"save_npz: a name must be printable and without a backslash, got {name!r}. Rename it.")
    with atomic_path(path) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)


def load_npz(path):
    """Read a .npz file: {name: Tensor}, in the order in which the file has them.

    Files of numpy.savez, numpy.savez_compressed and save_npz; a complex array becomes a NumPy array, since a Tensor has no
    complex numbers.  Nothing in the file is executed.
    Raises ValueError, naming the cause, for damaged files, for arrays of objects, text or records, and for those much larger
    in memory than on disk; OSError where the file cannot be opened.

    >>> np.savez("weights.npz", bias=np.array([0.5, -0.5]), epoch=7)
    >>> load_npz("weights.npz")
    {'bias': Tensor([ 0.5, -0.5]), 'epoch': Tensor(7)}
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        try:
            entries = Entries(open_archive(file, size), size, REPEAT * size + SPARE, "NumPy", packed=True)
            return {name.removesuffix(".npy"): wrap(as_array(name, entries.read(name))) for name in entries.known}
        except Refused as error:
            raise ValueError(f"load_npz: refuses {os.fspath(path)!r}, {error}. {OTHER}") from error
        except Damaged as error:
            raise ValueError(f"load_npz: {os.fspath(path)!r} is not a whole .npz file, {error}. Get the file again; load reads "
                             "safetensors, load_torch PyTorch's files.") from error


def wrap(array):
    return Tensor(array) if array.dtype.kind != "c" else array.copy()


def as_array(name, content):
    """The array in the bytes of a .npy file, as a view of them."""
    if not name.endswith(".npy") or content[:6] != b"\x93NUMPY":
        raise Damaged(f"its entry {text(name)} is no .npy file")
    if content[6:8] not in (b"\1\0", b"\2\0"):
        raise Refused(f"its entry {text(name)} has version {list(content[6:8])}, which arrays of numbers do not need")
    start = 10 if content[6] == 1 else 12
    stop = start + int.from_bytes(content[8:start], "little")
    dtype, fortran, shape = header(name, content[start:min(stop, start + 10_000)])
    if math.prod(n for n in shape if n) >= 1 << 48 or len(content) - stop != math.prod(shape) * dtype.itemsize:
        raise Damaged(f"its entry {text(name)} has {len(content) - stop} bytes for an array of {dtype} of shape {shape}"[:300])
    array = np.frombuffer(content, dtype, offset=stop).reshape(shape[::-1] if fortran else shape)
    array = (array.T if fortran else array).astype(dtype.newbyteorder("="), copy=False)
    # a byte can hold more than 0 and 1
    return array.view(np.uint8) != 0 if dtype.kind == "b" else array


def header(name, content):
    """dtype, whether in Fortran's order, and shape."""
    match = HEADER.fullmatch(content.decode("latin-1"))
    if not match:
        raise Refused(f"its entry {text(name)} has a header that NumPy does not write for numbers")
    descr, fortran, sizes = match.groups()
    letters = {np.dtype(ELEMENTS[element]).str[1:] for element in ELEMENTS} | {"b1"}
    if descr[1:] not in letters or descr[0] not in "<>|":
        raise Refused(f"its entry {text(name)} holds elements of type {text(descr)}, which are no plain numbers")
    digits = sizes.replace(" ", "").split(",") if sizes.strip() else [""]
    if digits[-1] == "":
        digits.pop()                                                         # the comma behind the last size
    if "" in digits or len(digits) > AXES or any(len(size) > 18 for size in digits):
        raise Damaged(f"its entry {text(name)} has a shape of more than {AXES} axes, or one that is none")
    return np.dtype(descr), fortran == "True", tuple(map(int, digits))
