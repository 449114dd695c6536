"""PyTorch's checkpoints (.pt, .pth, .th), read without PyTorch and without running anything that is in them.

A tensor is a view of a *storage*, a row of numbers: its element [i, j] is number offset + i * stride[0] + j * stride[1] of
the row, so several tensors can share one.  A checkpoint is the storages as plain bytes, and a pickle (plain_pickle.py) of
all the rest.  In the pickle a tensor is a call

    torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)

and a storage is a "persistent id", which says where to look: ("storage", torch.FloatStorage, KEY, "cuda:0", elements).

The zip format (since 1.6, 2020) is an archive of uncompressed entries:     The legacy format is one stream:

    NAME/data.pkl     the pickle                                            pickle   a magic number
    NAME/byteorder    "little" or "big"; "little" without it                pickle   1001, the version
    NAME/data/KEY     the bytes of one storage, for every KEY               pickle   the machine that wrote it
    NAME/version, NAME/.data/serialization_id, ...                          pickle   the checkpoint
                                                                            pickle   [KEY, ...]
                                                                            for every KEY in this order: the number of
                                                                            elements (8 bytes), the elements, little-endian

Reading takes three steps: run the pickle, which leaves a `View` in the place of each tensor; find the storages' bytes; replace
each View by its array, and that by a Tensor.  Nothing the file says is believed: a View must lie inside its storage, a
storage must have the bytes in the file that its type and number of elements ask for, and all the tensors together, which
may share or repeat elements (a stride of 0), must be in proportion to the size of the file.

Source: torch/serialization.py and torch/_utils.py of PyTorch; the formats have no other specification.
"""

import io
import math
import os
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from ..tensor import Tensor
from . import plain_pickle
from .damage import Damaged, Refused, text
from .elements import ELEMENTS, decode, decoded_dtype, stored_dtype
from .plain_pickle import ATOMS, Name
from .zip_entries import Entries, open_archive

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
AXES = 32                         # as many as every NumPy can do
DEPTH = 100                       # of containers in containers
REPEAT, SPARE = 16, 1 << 24       # the tensors may take 16 times the bytes of the file, and 16 MiB

STORAGES = {f"torch.{prefix}Storage": name for prefix, name in {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Bool": "bool", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "ComplexFloat": "complex64",
    "ComplexDouble": "complex128"}.items()} | {"torch.storage.UntypedStorage": "uint8"}
DTYPES = {f"torch.{name}": name for name in ELEMENTS}

SAVE_PLAIN = "Save model.state_dict() instead of the model, and besides tensors only numbers, strings and plain containers."
REMEDIES = {"torch._utils._rebuild_qtensor": "Save tensor.dequantize() instead of the quantized tensor.",
            "torch._utils._rebuild_sparse_tensor": "Save tensor.to_dense() instead of the sparse tensor.",
            "numpy": "Save an array as torch.from_numpy(array), a NumPy number as float(number).",
            "torch.float8": "Save tensor.float() instead of the 8-bit tensor.",
            "tar": "Load it with PyTorch and save it again.",
            "TorchScript": "Load it with torch.jit.load and save its state_dict() with torch.save."}


def load_torch(path):
    """Read a checkpoint of torch.save: the containers it holds, with a Tensor in the place of every tensor and Parameter.

    path: a file in the zip format (PyTorch 1.6 and later) or the legacy format.  Devices and `requires_grad` are not taken
    over.  bfloat16 becomes float32, exactly; the other element types stay.  A complex tensor becomes a NumPy array, since a
    Tensor has no complex numbers; a torch.dtype becomes the NumPy dtype, a torch.Size a tuple.
    Nothing in the file is executed, and nothing but plain data is read, so a stranger's file can do no harm.
    Raises ValueError, naming the cause, for what is not plain data (models, functions, NumPy objects, quantized and sparse
    tensors), for TorchScript and the tar format of early 2017, for damaged files, and for those much larger in memory than
    on disk; OSError where the file cannot be opened.

    >>> import pickle, zipfile
    >>> with zipfile.ZipFile("small.pt", "w") as archive:         # what torch.save({"epoch": 7}, "small.pt") does
    ...     archive.writestr("small/data.pkl", pickle.dumps({"epoch": 7}, protocol=2))
    >>> load_torch("small.pt")
    {'epoch': 7}
    """
    return read(path, lambda array: Tensor(array) if array.dtype.kind != "c" else array.copy())


def read(path, wrap):
    """`load_torch` with wrap(array) for each tensor, where array may be a read-only view of the file's bytes."""
    with open(path, "rb") as file:
        head = file.read(512)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        try:
            tree, data, byteorder = read_zip(file, size) if head.startswith(b"PK") else read_legacy(file, head)
            return Arrays(data, byteorder, REPEAT * size + SPARE, wrap).put_into(tree)
        except Refused as error:
            remedy = next((REMEDIES[start] for start in REMEDIES if error.name.startswith(start)), SAVE_PLAIN)
            raise ValueError(f"load_torch: refuses {os.fspath(path)!r}, {error}. {remedy}") from error
        except Damaged as error:
            raise ValueError(f"load_torch: {os.fspath(path)!r} is not a whole checkpoint of torch.save, {error}. "
                             "Get the file again; tinyvision.io.load reads safetensors.") from error


# The two formats.  Each reader returns the checkpoint with Views in it, {KEY: bytes of a storage}, and the byte order.

def read_zip(file, size):
    archive = open_archive(file, size)
    entries = Entries(archive, size, size, "torch.save", unchecked=True)
    folder = {name.partition("/")[2]: name for name in entries.known}        # all lie in one
    if len(folder) != len(entries.known):
        raise Damaged("its zip archive has more than one folder")
    if "constants.pkl" in folder or "model.json" in folder:
        raise Refused("it is a TorchScript archive, which holds a program", "TorchScript")

    def content(name):
        if name not in folder:
            raise Damaged(f"its zip archive has no entry {text(name)}")
        return entries.read(folder[name])

    byteorder = str(content("byteorder"), "latin-1") if "byteorder" in folder else "little"
    if byteorder not in ("little", "big"):
        raise Damaged(f"its byteorder must be little or big, got {text(byteorder)}")
    pickle, storages = io.BytesIO(content("data.pkl")), {}
    tree = plain_pickle.load(pickle, CALLS, NAMES, lambda pid: storage_of(pid, storages))
    if pickle.read(1):
        raise Damaged("its data.pkl goes on after the end of the pickle")
    return tree, {key: whole(storages[key], content(f"data/{key}")) for key in storages}, byteorder


def read_legacy(file, head):
    if head[257:262] == b"ustar":
        raise Refused("it is in the tar format of early 2017", "tar")
    if not head.startswith(b"\x80"):                                         # how a pickle of protocol 2 or later begins
        raise Damaged("it starts neither like a zip archive nor like a pickle")
    content, storages, data = file.read(), {}, {}
    stream = io.BytesIO(content)                                             # shares the bytes
    magic = plain_pickle.load(stream)
    if magic != MAGIC or plain_pickle.load(stream) != VERSION:
        raise Damaged("it starts neither like a zip archive nor with the magic number of the legacy format")
    plain_pickle.load(stream)                       # the writer's sizes of int and long, on which nothing below depends
    tree = plain_pickle.load(stream, CALLS, NAMES, lambda pid: storage_of(pid, storages))
    keys = plain_pickle.load(stream)
    if type(keys) is not list or {type(key) for key in keys} - {str} or sorted(keys) != sorted(storages):
        raise Damaged("the storages it lists are not those that its tensors use")
    for key in keys:
        numel, nbytes = storages[key].numel, storages[key].nbytes
        if stream.read(8) != numel.to_bytes(8, "little"):
            raise Damaged(f"storage {text(key)} does not start with its number of elements, {numel}")
        start = stream.tell()
        data[key] = whole(storages[key], memoryview(content)[start:start + nbytes])
        stream.seek(start + nbytes)
    if stream.read(1):
        raise Damaged("it goes on after the last storage")
    return tree, data, "little"


def whole(storage, content):
    """The bytes of a storage, if they are as many as it needs."""
    if len(content) != storage.nbytes:
        raise Damaged(f"storage {text(storage.key)} needs {storage.nbytes} bytes, got {len(content)}")
    return content


# What the pickle may mention: storages, and the functions that make tensors of them.  Their arguments are the file's words.

@dataclass(frozen=True)
class Storage:
    """A row of numbers: where its bytes are found (key), and how many of which type there must be."""

    key: str
    dtype: str
    numel: int

    @property
    def nbytes(self):
        return self.numel * stored_dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """A tensor that waits for the bytes of its storage.  Offset and strides count elements."""

    storage: Storage
    dtype: str
    offset: int
    size: tuple
    stride: tuple
    conj: bool = False            # PyTorch conjugates and negates lazily: the numbers in the file are not yet
    neg: bool = False


def storage_of(pid, storages):
    """The Storage that a persistent id describes; noted under its key in `storages`."""
    if type(pid) is not tuple or len(pid) not in (5, 6) or pid[0] != "storage" or pid[5:] not in ((), (None,)):
        raise Damaged(f"a storage is described by {text(pid)} of a form that torch.save does not write")
    _, kind, key, _, numel = pid[:5]
    if type(kind) is not Name or kind.path not in STORAGES or type(key) is not str or not natural(numel):
        raise Damaged("a storage must be described by its type, its key and its number of elements")
    storage = Storage(key, STORAGES[kind.path], numel)
    if storages.setdefault(key, storage) != storage:
        raise Damaged(f"storage {text(key)} is described in two ways, as {numel} {storage.dtype} and as "
                      f"{storages[key].numel} {storages[key].dtype}")
    return storage


def natural(*values):
    """Whether all are integers from 0 on, of 63 bits."""
    return all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def rebuild_tensor(storage, offset, size, stride):
    return view(storage, getattr(storage, "dtype", None), offset, size, stride, {})


def rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata=None):
    return view(storage, getattr(storage, "dtype", None), offset, size, stride, metadata)


def rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata=None):
    return view(storage, DTYPES.get(getattr(dtype, "path", None)), offset, size, stride, metadata)


def view(storage, dtype, offset, size, stride, metadata):
    """A View, if it lies inside its storage."""
    if type(storage) is not Storage or dtype is None or type(size) is not tuple or type(stride) is not tuple:
        raise Damaged("a tensor must be made of a storage, an offset, a size and a stride")
    if len(size) != len(stride) or len(size) > AXES or not natural(offset, *size, *stride):
        raise Damaged(f"a tensor's size and stride must be up to {AXES} integers from 0 on, got {len(size)} and {len(stride)}")
    metadata = metadata or {}
    if type(metadata) is not dict or not metadata.keys() <= {"conj", "neg"}:
        raise Refused("a tensor has metadata besides conj and neg")
    if metadata and decoded_dtype(dtype).kind not in "fc":
        raise Damaged(f"a tensor of {dtype} cannot be conjugated or negated")
    itemsize = stored_dtype(dtype).itemsize
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    if 0 not in size and (last + 1) * itemsize > storage.nbytes:
        raise Damaged(f"a tensor reaches to element {last} of a storage with {storage.nbytes // itemsize}")
    if math.prod(n for n in size if n) >= 1 << 48:                # an empty tensor may be of size (0, 10**18)
        raise Damaged("a tensor is larger than any memory")
    return View(storage, dtype, offset, size, stride, **{flag: bool(on) for flag, on in metadata.items()})


def rebuild_parameter(data, requires_grad, hooks):
    if type(data) is not View:
        raise Damaged(f"a Parameter must be made of a tensor, got {text(data)}")
    return data


def size_as_tuple(sizes):
    if type(sizes) is not tuple or not natural(*sizes):
        raise Damaged("a torch.Size must be made of integers from 0 on")
    return sizes


CALLS = {"torch._utils._rebuild_tensor": rebuild_tensor, "torch._utils._rebuild_tensor_v2": rebuild_tensor_v2,
         "torch._utils._rebuild_tensor_v3": rebuild_tensor_v3, "torch._utils._rebuild_parameter": rebuild_parameter,
         "torch.Size": size_as_tuple}
NAMES = STORAGES.keys() | DTYPES.keys()


# The last step: Views become arrays.

class Arrays:
    """Copies a tree of containers, and puts wrap(array) where it has a View, as long as there is room."""

    def __init__(self, data, byteorder, room, wrap):
        self.data, self.byteorder, self.room, self.wrap = data, byteorder, room, wrap
        self.done = {}                                            # {id: copy}: what occurs twice is copied once

    def put_into(self, value, depth=0):
        if type(value) in ATOMS or type(value) is set:
            return value
        if depth == DEPTH:
            raise Refused(f"its containers are nested more than {DEPTH} deep, or contain themselves")
        if id(value) not in self.done:
            self.done[id(value)] = self.copied(value, depth + 1)
        return self.done[id(value)]

    def copied(self, value, depth):
        kind = type(value)
        if kind in (list, tuple):
            return kind(self.put_into(item, depth) for item in value)
        if kind in (dict, OrderedDict):
            return kind((key, self.put_into(item, depth)) for key, item in value.items())
        if kind is View:
            return self.wrap(self.array(value))
        if kind is Name and value.path in DTYPES:
            return decoded_dtype(DTYPES[value.path])
        name = getattr(value, "path", "a storage outside a tensor")
        raise Refused(f"it holds {name} as a value, which is not plain data", name)

    def array(self, view):
        self.room -= math.prod(view.size) * decoded_dtype(view.dtype).itemsize
        if self.room < 0:
            raise Refused(f"its tensors would take more than {REPEAT} times the size of the file, by repeating what is there")
        dtype = stored_dtype(view.dtype, self.byteorder)
        if 0 in view.size:
            return np.zeros(view.size, decoded_dtype(view.dtype))
        strides = [step * dtype.itemsize if n > 1 else 0 for n, step in zip(view.size, view.stride)]
        stored = np.ndarray(view.size, dtype, self.data[view.storage.key], view.offset * dtype.itemsize, strides)
        array = decode(stored, view.dtype)
        array = np.conj(array) if view.conj else array
        return np.asarray(-array if view.neg else array)
