"""Damage done to good files at random, and a child process of little memory that reads what comes of it.

    python -m tests.io.mutate KIND FIRST LAST FOLDER       mutants FIRST..LAST-1 of a kind; prints a dictionary of counts as JSON

The child may take no more memory than it has plus ROOM, and no mutant more than SECONDS: a reader that believes a length in the
file ends in a MemoryError, one that hangs is interrupted, one that crashes takes the child with it.
"""

import json
import os
import random
import resource
import signal
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np

from tinyvision import Tensor, io, manual_seed, models, nn, no_grad
from tinyvision.io.onnx_steps import STEPS
from tinyvision.tensor import raw

from .craft import program, tensor, write_legacy, write_zip

FIXTURES = Path(__file__).parent / "fixtures"
ROOM, SECONDS = 256 << 20, 20
NUMBERS = [0, 1, 2 ** 15, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1]


def mutated(content, generator, other=b""):
    """A few bits or bytes changed, a number written over them, or a piece left out, doubled, moved, or put in from elsewhere."""
    content = bytearray(content)
    for _ in range(generator.choice([1, 1, 2, 5, 20])):
        i, j = sorted(generator.randrange(len(content)) for _ in range(2))
        kind = generator.randrange(12)
        if kind < 6:
            content[i] = generator.choice([generator.randrange(256), content[i] ^ 1 << generator.randrange(8), 0, 255])
        elif kind == 6:
            content[i:min(j, i + 16)] = b""
        elif kind == 7:
            content[i:i] = content[i:min(j, i + 16)] * generator.choice([1, 1, 1, 1000])
        elif kind == 8:
            size = generator.choice([2, 4, 8])
            content[i:i + size] = struct.pack("<Q", generator.choice(NUMBERS))[:size]
        elif kind == 9:
            content[i:] = b""
        elif kind == 10 and other:
            start = generator.randrange(len(other))
            content[i:generator.choice([i, j])] = other[start:start + generator.choice([1, 8, 64, 512])]
        else:
            piece = bytes(content[i:j][:64])
            at = generator.randrange(len(content) + 1)
            content[at:at] = piece
        content = content or bytearray(b"\x00")
    return bytes(content)


def arrays():
    rng = np.random.default_rng(0)
    return {"conv.weight": rng.standard_normal((2, 3, 2, 2)).astype("f4"), "fc": rng.standard_normal((3, 4)).T,
            "steps": np.array(7), "mask": rng.random((4, 4)) > 0.5, "half": rng.standard_normal(5).astype("f2"),
            "empty": np.zeros((0, 2))}


def repacked(path, generator, good):
    """A zip archive one of whose entries was damaged before it was packed, so that the checksums are right."""
    path.write_bytes(good)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    chosen = generator.choice(list(entries))
    entries[chosen] = mutated(entries[chosen] or b"\0", generator, good)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def relabelled(path, generator, good):
    """A safetensors file whose header was damaged and its length put right."""
    length = int.from_bytes(good[:8], "little")
    header = mutated(good[8:8 + length], generator, good)
    path.write_bytes(len(header).to_bytes(8, "little") + header + good[8 + length:])


def torch_files(folder):
    """Files of PyTorch, in both formats, and some made by hand."""
    six = np.arange(6, dtype="<f4").tobytes()
    value = {"epoch": 7, "state": {"w": tensor(), "v": tensor(None, 1, (2,), (2,))}, "list": [1, 2.5, "text", None]}
    zipped = write_zip(folder / "by_hand.pt", program(value), {"0": six}).read_bytes()
    legacy = write_legacy(folder / "by_hand.pth", program(value), {"0": six}).read_bytes()
    return {"torch zip": [(FIXTURES / "zip.pt").read_bytes(), zipped],
            "torch legacy": [(FIXTURES / "legacy.pth").read_bytes(), legacy]}


def seeds(kind, folder):
    """The good files of a kind, how they are read, and how they are damaged besides as a whole."""
    path = folder / "good"
    if kind.startswith("torch"):
        return torch_files(folder)[kind], io.load_torch, repacked if kind == "torch zip" else None
    if kind == "npz":
        files = []
        for compress in (False, True):
            io.save_npz(arrays(), path, compress)
            files.append(path.read_bytes())
        return files, io.load_npz, repacked
    if kind == "safetensors":
        io.save(arrays(), path, {"epoch": "7"})
        return [path.read_bytes()], io.load, relabelled
    if kind == "onnx":
        return [exported(path, net) for net in onnx_nets()], read_and_run, rewired
    return [b"good"], BAD_READERS[kind], None


def onnx_nets():
    manual_seed(0)
    up = nn.Upsample(scale_factor=2, mode="bilinear")
    norm = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), nn.GroupNorm(1, 2), nn.GELU(), up,
                         nn.AvgPool2d(3, 2, 1))
    labels = nn.Sequential(nn.Conv2d(1, 3, 3, stride=2), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
                           nn.AdaptiveAvgPool2d((2, 2)), nn.Flatten(), nn.Linear(12, 4), nn.Softmax(1))
    return [models.UNet(1, 2, base_channels=2, depth=1), norm, labels, models.SegNet(1, 2, 2, depth=1)]


def exported(path, net):
    io.export_onnx(net, (1, 1, 12, 12), path)
    return path.read_bytes()


def read_and_run(path):
    """The weights, and what the network makes of zeros."""
    net = io.load_onnx(path)
    with no_grad():
        y = net(Tensor(np.zeros((2, 1, 12, 12), np.float32)))
    return [dict(net.state_dict()), y]


def rewired(path, generator, good):
    """An ONNX file whose messages are whole, but some of whose numbers, names, kinds and constants are others."""
    import onnx
    model = onnx.ModelProto.FromString(good)
    nodes = model.graph.node
    for _ in range(generator.choice([1, 1, 2, 5])):
        node, other = generator.choice(nodes), generator.choice(nodes)
        kind = generator.randrange(8)
        if kind == 0:
            node.op_type = generator.choice([other.op_type, *STEPS])
        elif kind == 1 and node.input and other.output:
            node.input[generator.randrange(len(node.input))] = generator.choice([other.output[0], *other.input, ""])
        elif kind == 2 and node.input:
            del node.input[generator.randrange(len(node.input))]
        elif kind == 3 and other.attribute:
            node.attribute.append(generator.choice(other.attribute))
        elif kind == 4:
            node.output.append(generator.choice(["second", other.output[0], ""]))
        elif kind == 5:
            tensors = [t for n in nodes for a in n.attribute if a.HasField("t") for t in [a.t]] + list(model.graph.initializer)
            tensor = generator.choice(tensors)
            if generator.random() < 0.5 and tensor.dims:
                tensor.dims[generator.randrange(len(tensor.dims))] = generator.choice([0, 1, 2, -1, 2 ** 40, 2 ** 62])
            else:
                tensor.raw_data = mutated(tensor.raw_data or b"\0", generator, good)
        else:
            integers = [a for a in node.attribute if a.ints or a.type == onnx.AttributeProto.INT]
            for a in integers[:1]:
                value = generator.choice([-1, 0, 1, 2, 3, 7, 1000, 10 ** 6, 2 ** 31 - 1, 2 ** 40, 2 ** 62, -2 ** 63])
                if a.ints:
                    a.ints[generator.randrange(len(a.ints))] = value
                else:
                    a.i = value
    path.write_bytes(model.SerializeToString())


def greedy(path):
    return np.ones(2 * ROOM, np.uint8) if path.read_bytes() != b"good" else None


def crashing(path):
    if path.read_bytes() != b"good":
        os.abort()


BAD_READERS = {"greedy": greedy, "crashing": crashing}    # to see that the child notices


def leaves(value):
    """All arrays in nested containers."""
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, (list, tuple)):
        return [leaf for item in value for leaf in leaves(item)]
    return [raw(value)] if hasattr(raw(value), "nbytes") else []


def limited():
    """Set the limits of this process."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, now + ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def late(*_):
        raise TimeoutError(f"a mutant took more than {SECONDS} s")
    signal.signal(signal.SIGALRM, late)


def outcome(read, path, known, checked):
    """'loaded' or 'refused'; anything else, or contents that are not right, is described."""
    signal.alarm(SECONDS)
    try:
        value = read(path)
    except ValueError as error:
        message = str(error)
        fine = message.startswith(("load", "OnnxModule: ")) and message.isprintable() and len(message) < 1000
        return "refused" if fine else f"message {message[:200]!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
    found = leaves(value)
    if read is not read_and_run and sum(array.nbytes for array in found) > 16 * path.stat().st_size + (1 << 24):
        return "more arrays than the file can hold"
    if checked and not all((array.shape, array.dtype.str, array.tobytes()) in known for array in found):
        return "other contents under a right checksum"
    return "loaded"


def run(kind, first, last, folder):
    """Counts of outcomes, and for each that is wrong the number of the mutant."""
    files, read, special = seeds(kind, folder)
    path, known = folder / "mutant", set()
    for content in files:
        path.write_bytes(content)
        known |= {(array.shape, array.dtype.str, array.tobytes()) for array in leaves(read(path))}
    limited()
    counts, wrong = {"loaded": 0, "refused": 0}, []
    for number in range(first, last):
        generator = random.Random(number)
        good = generator.choice(files)
        whole = special is None or generator.random() < 0.5
        if whole:
            path.write_bytes(mutated(good, generator, generator.choice(files)))
        else:
            special(path, generator, good)
        # only NumPy's archives vouch for every byte of the arrays, and only if nobody wrote a new checksum
        found = outcome(read, path, known, kind == "npz" and whole)
        if found in counts:
            counts[found] += 1
        else:
            wrong.append(f"{kind} {number}: {found}")
    return counts | {"wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))))
