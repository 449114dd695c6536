"""Named arrays in a safetensors file, the format this library writes: numbers and names, and nothing that could run.

    8 bytes      length of the header, little-endian
    the header   JSON: {"conv.weight": {"dtype": "F32", "shape": [16, 3, 3, 3], "data_offsets": [0, 1728]}, ...
                        "__metadata__": {"any": "text"}}
    the rest     the elements, each array in row-major order

PyTorch, JAX and browsers read it as well.  Reading and writing are done by the package safetensors, which checks every length
and offset; here are the checks of what the user hands over, bfloat16 on the way in, and the writing in one step.

Source: https://github.com/huggingface/safetensors
"""

import contextlib
import os
import re
from pathlib import Path

import numpy as np

from ..packages import require
from ..tensor import Tensor
from .atomic import atomic_path
from .elements import decode, stored_dtype
from .state import checked_state

TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool",
         "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
         "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8"}


def save(state_dict, path, metadata=None):
    """Write a dictionary of Tensors or arrays, for instance model.state_dict(), to a safetensors file.

    state_dict: {name: Tensor or array} of floats, integers or booleans, of any shape; views and transposes are fine.
    metadata: {name: text} to keep with them, for instance the model's name and the epoch; `load_metadata` gives it back.
    The file appears under `path` whole or not at all, and an older one there is lost only once the new one is complete.
    Raises TypeError for other values, names or metadata, before a file is touched; FileNotFoundError without the folder; OSError
    where the disk is full.

    >>> save({"bias": Tensor([1.0, 2.0])}, "weights.safetensors", metadata={"epoch": "7"})
    """
    library = safetensors("save")
    arrays = checked_state("save", state_dict, TYPES.values(), "Put numbers and text into metadata, as strings.")
    if metadata is not None:
        check_metadata(metadata)
    with atomic_path(path) as temporary:
        try:
            library.numpy.save_file(arrays, temporary, metadata=metadata)
        except library.SafetensorError as error:          # what the system said stands in its text only
            code = re.search(r"os error (\d+)", str(error))
            raise OSError(int(code[1]), os.strerror(int(code[1])), os.fspath(path)) if code else OSError(str(error)) from error


def load(path):
    """Read a safetensors file: {name: Tensor}, in the order in which the file has them.

    bfloat16 becomes float32, exactly; the other element types stay.
    Raises ValueError for a file that is not in the format, or has elements Tensor does not know; OSError where it cannot be
    opened.

    >>> save({"bias": np.array([0.5, -0.5])}, "weights.safetensors")
    >>> load("weights.safetensors")
    {'bias': Tensor([ 0.5, -0.5])}
    """
    library = safetensors("load")
    content = Path(path).read_bytes()
    with one_voice("load", path, library):
        entries = library.deserialize(content)
    return {name: Tensor(as_array(name, entry, path)) for name, entry in entries}


def load_metadata(path):
    """Read only the metadata of a safetensors file, {} if it has none.  Raises as `load` does.

    >>> save({"bias": np.array([0.5, -0.5])}, "weights.safetensors", metadata={"epoch": "7"})
    >>> load_metadata("weights.safetensors")
    {'epoch': '7'}
    """
    library = safetensors("load_metadata")
    open(path, "rb").close()                                      # the system's own error for a missing file or a folder
    with one_voice("load_metadata", path, library), library.safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


def safetensors(who):
    """The package, imported when it is needed first."""
    require(who, "safetensors")
    import safetensors.numpy
    return safetensors


@contextlib.contextmanager
def one_voice(who, path, library):
    try:
        yield
    except library.SafetensorError as error:
        raise ValueError(f"{who}: {os.fspath(path)!r} is not a whole safetensors file ({error}). "
                         "Use load_torch for PyTorch's own files.") from error


def check_metadata(metadata):
    if not isinstance(metadata, dict) or not all(isinstance(word, str) for pair in metadata.items() for word in pair):
        raise TypeError(f"save: metadata must be a dictionary of strings, got {metadata!r:.80}. Use str() or json.dumps().")


def as_array(name, entry, path):
    if entry["dtype"] not in TYPES:
        raise ValueError(f"load: {name!r} in {os.fspath(path)!r} has elements of type {entry['dtype']}, which Tensor does not "
                         f"know. It knows {', '.join(TYPES)}.")
    element = TYPES[entry["dtype"]]
    return decode(np.frombuffer(entry["data"], stored_dtype(element)).reshape(entry["shape"]), element)
