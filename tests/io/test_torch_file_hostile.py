"""Checkpoints that are broken or lie: each ends in a ValueError of one line, in little time and memory, with nothing run."""

import os
import pickle
import random
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tinyvision.io import load_torch
from tinyvision.io.torch_file import read

from .craft import MAGIC, Code, call, name, persistent, pickled, program, storage, tensor, write_legacy, write_zip
from .test_plain_pickle import Attack

FIXTURES = Path(__file__).parent / "fixtures"
SIX = np.arange(6, dtype="<f4").tobytes()


@pytest.fixture(params=[write_zip, write_legacy])
def crafted(request, tmp_path):
    """A function that reads a handmade file with these storages."""
    return lambda value, storages=None: load_torch(request.param(tmp_path / "x.pt", program(value), storages))


@pytest.mark.parametrize("write", [write_zip, write_legacy])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_an_attack_is_refused_by_name_and_not_run(tmp_path, write, protocol):
    attack = pickle.dumps({"state_dict": {"w": 1.0}, "extra": Attack(tmp_path / "marker")}, protocol)
    with pytest.raises(ValueError, match=rf"load_torch: refuses .*x.pt', it needs {os.mkdir.__module__}\.mkdir, .*state_dict"):
        load_torch(write(tmp_path / "x.pt", attack))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("place", ["first pickle", "keys", "key", "hooks", "storage type", "persistent id", "state",
    "plain pickle"])
def test_an_attack_is_refused_wherever_it_sits(tmp_path, place):
    attack = Code(pickle.dumps(Attack(tmp_path / "marker"), 2)[2:-1])
    value = {"key": program(Code(b"}" + attack + b"Ns")), "storage type": program(tensor(persistent(("storage", attack, "0",
        "cpu", 6)))),
             "hooks": program(call(name("torch._utils", "_rebuild_tensor_v2"), storage(), 0, (6,), (1,), False, attack)),
             "persistent id": program(Code(attack + b"Q")),
             "state": program(Code(name("collections", "OrderedDict") + b")R" + attack + b"b"))}.get(place, program(1))
    path = write_legacy(tmp_path / "x.pt", value, {}, keys=attack if place == "keys" else None)
    if place in ("first pickle", "plain pickle"):
        path.write_bytes((b"" if place == "plain pickle" else MAGIC) + program(attack))
    with pytest.raises(ValueError, match=rf"it needs {os.mkdir.__module__}\.mkdir"):
        load_torch(path)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("offset, size, stride, match", [
    (0, (7,), (1,), "reaches to element 6 of a storage with 6"), (1, (6,), (1,), "reaches to element 6"), (6, (1,),
    (1,), "element 6"),
    (6, (), (), "element 6"), (0, (2,), (6,), "element 6"), (0, (2, 3), (4, 1), "element 6"), (3, (2, 2), (2, 2), "element 7"),
    (0, (2 ** 62,), (1,), "reaches to element"), (2 ** 62, (1,), (1,), "reaches to element"), (0, (2,),
    (2 ** 62,), "reaches to element"),
    (2 ** 62, (2, 2, 2), (2 ** 62,) * 3, "reaches to element"), (0, (0, 2 ** 62), (1, 1), "larger than any memory"),
    (-1, (2,), (1,), "integers from 0 on"), (5, (2,), (-1,), "integers from 0 on"), (0, (-1,), (1,), "integers from 0 on"),
    (0, (-2, -3), (3, 1), "integers from 0 on"), (0, (2 ** 64,), (0,), "integers from 0 on"), (2 ** 64, (1,),
    (1,), "integers from 0 on"),
    (0, (2, 3), (1,), "integers from 0 on, got 2 and 1"),
    (0, (1,) * 33, (1,) * 33, "up to 32 integers from 0 on, got 33 and 33"),
    (0, (2.0,), (1,), "integers from 0 on"), (0.5, (2,), (1,), "integers from 0 on"), (True, (2,), (1,), "integers from 0 on"),
    (0, (True,), (1,), "integers from 0 on"), (None, (2,), (1,), "integers from 0 on"), (0, [2], (1,), "a size and a stride"),
    (0, (2,), None, "a size and a stride"), (0, "ab", (1, 1), "a size and a stride")])
def test_a_tensor_must_lie_inside_its_storage(crafted, offset, size, stride, match, little_memory):
    with pytest.raises(ValueError, match=match):
        crafted(tensor(None, offset, size, stride), {"0": SIX})


def test_every_small_geometry_is_read_inside_the_storage_or_refused(tmp_path):
    generator = random.Random(0)
    read_count = 0
    for _ in range(500):
        size = [generator.randrange(4) for _ in range(generator.randrange(4))]
        stride, offset = [generator.randrange(5) for _ in size], generator.randrange(9)
        reached = [offset + sum(i * s for i, s in zip(index, stride)) for index in np.ndindex(*size)]
        path = write_zip(tmp_path / "x.pt", program(tensor(storage(), offset, tuple(size), tuple(stride))), {"0": SIX})
        if max(reached, default=0) < 6:
            array = read(path, np.array)
            assert array.shape == tuple(size) and array.ravel().tolist() == reached
            read_count += 1
        else:
            with pytest.raises(ValueError, match="reaches to element"):
                load_torch(path)
    assert 100 < read_count < 400


V2 = name("torch._utils", "_rebuild_tensor_v2")
V3 = name("torch._utils", "_rebuild_tensor_v3")
PARAMETER = name("torch._utils", "_rebuild_parameter")


@pytest.mark.parametrize("value, match", [
    (call(V2, 5, 0, (2,), (1,), False, None), "made of a storage"), (call(V2, tensor(), 0, (2,),
    (1,), False, None), "made of a storage"),
    (call(V2, name("torch", "FloatStorage"), 0, (2,), (1,), False, None), "made of a storage"),
    (call(V2, storage()), "wrong arguments"),
    (call(V3, storage(), 0, (2,), (1,), False, None, "float32"), "made of a storage"),
    (call(V3, storage(), 0, (4,), (1,), False, None, name("torch", "float64")), "reaches to element 3 of a storage with 3"),
    (call(V3, storage(), 0, (2,), (1,), False, None, name("torch", "FloatStorage")), "made of a storage"),
    (tensor(None, 0, (2,), (1,), [1]), "metadata besides"), (tensor(None, 0, (2,), (1,), {"x": 1}), "metadata besides"),
    (tensor(storage(kind="LongStorage"), 0, (2,), (1,), {"neg": True}), "int64 cannot be conjugated or negated"),
    (call(PARAMETER, [1.0], True, None), "a Parameter must be made of a tensor, got a list"),
    (call(name("torch", "Size"), (1, -1)), "a torch.Size must"), (call(name("torch", "Size"), [1]), "a torch.Size must"),
    (storage(), "a storage outside a tensor as a value"), (name("torch", "FloatStorage"),
    r"it holds torch\.FloatStorage as a value"),
    (V2, r"it holds torch\._utils\._rebuild_tensor_v2 as a value"),
    ({"x": [name("torch", "Size")]}, r"it holds torch\.Size as a value"),
    (Code(b"}" + V2 + b"Ns"), "a key must be"), (Code(b"}" + tensor() + b"Ns"), "a key must be")])
def test_calls_with_the_wrong_arguments(crafted, value, match):
    with pytest.raises(ValueError, match=match):
        crafted(value, {"0": SIX} if pickled("storage") in pickled(value) else {})


FLOATS = name("torch", "FloatStorage")


@pytest.mark.parametrize("pid", [
    5, "0", None, (), [], ("storage",), ("module", FLOATS, "file", "source"), ("module", FLOATS, "0", "cpu", 6),
        ("storage", FLOATS, "0", "cpu"),
    ("storage", FLOATS, "0", "cpu", 6, ("1", 0, 6)), ("storage", FLOATS, "0", "cpu", 6, None, None),
    ("storage", "FloatStorage", "0", "cpu", 6),
    ("storage", name("torch", "Size"), "0", "cpu", 6), ("storage", name("torch", "float32"), "0", "cpu", 6),
    ("storage", FLOATS, 0, "cpu", 6),
    ("storage", FLOATS, ["0"], "cpu", 6), ("storage", FLOATS, "0", "cpu", -6), ("storage", FLOATS, "0", "cpu", 6.0),
    ("storage", FLOATS, "0", "cpu", True), ("storage", FLOATS, "0", "cpu", 2 ** 63), ("storage", tensor(), "0", "cpu", 6)])
def test_persistent_ids_of_the_wrong_form(crafted, pid):
    with pytest.raises(ValueError, match="a storage (is|must be) described by"):
        crafted(tensor(persistent(pid)), {"0": SIX})


@pytest.mark.parametrize("kind", ["QInt8Storage", "QUInt8Storage", "Float8_e4m3fnStorage", "FloatStorage2"])
def test_storages_of_unknown_types_are_refused_by_name(crafted, kind):
    with pytest.raises(ValueError, match=rf"it needs torch\.{kind}"):
        crafted(tensor(storage(kind=kind)), {"0": SIX})


@pytest.mark.parametrize("numel", [0, 5, 7, 2 ** 30, 2 ** 40, 2 ** 62])
def test_a_storage_must_have_the_bytes_it_claims(crafted, numel, little_memory):
    value = tensor(storage(numel=numel), 0, (min(numel, 6),), (1,))
    with pytest.raises(ValueError, match="needs .* bytes, got 24|does not start with its number of elements"):
        crafted(value, {"0": SIX})


def test_a_storage_must_be_described_in_one_way(crafted):
    for other in storage(numel=5), storage(kind="IntStorage"):
        with pytest.raises(ValueError, match="storage 0 is described in two ways"):
            crafted([tensor(), tensor(other, 0, (1,), (1,))], {"0": SIX})


def test_storages_must_be_there(tmp_path):
    with pytest.raises(ValueError, match="no entry data/0"):
        load_torch(write_zip(tmp_path / "x.pt", program(tensor())))
    with pytest.raises(ValueError, match="no entry data/../../secret"):
        load_torch(write_zip(tmp_path / "x.pt", program(tensor(storage("../../secret"))), {"0": SIX}))
    for keys in [], ["1"], ["0", "0"], ["0", "1"], [0], [["0"]], "0", None, {"0": 1}, ("0",):
        path = write_legacy(tmp_path / "x.pt", program(tensor()), {"0": SIX}, keys=Code(pickled(keys)))
        with pytest.raises(ValueError, match="the storages it lists are not those that its tensors use"):
            load_torch(path)


@pytest.mark.parametrize("count", [-1, 5, 7, 2 ** 40, -2 ** 63])
def test_a_legacy_storage_starts_with_its_number_of_elements(tmp_path, count, little_memory):
    path = write_legacy(tmp_path / "x.pt", program(tensor()), {"0": SIX})
    path.write_bytes(path.read_bytes()[:-32] + struct.pack("<q", count) + SIX)
    with pytest.raises(ValueError, match="storage 0 does not start with its number of elements, 6"):
        load_torch(path)


def test_other_versions_and_byteorders(tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(MAGIC + program(1002) + program({}) + program({}) + program([]))
    with pytest.raises(ValueError, match="neither like a zip archive nor"):
        load_torch(path)
    with pytest.raises(ValueError, match="its byteorder must be little or big, got middle"):
        load_torch(write_zip(path, program(1), byteorder=b"middle"))


def test_trailing_garbage(tmp_path):
    path = tmp_path / "x.pt"
    for file, match in ("legacy.pth", "after the last storage"), ("zip.pt", "after the end of its zip archive|not a zip file"):
        for garbage in b"\x00", b"x" * 100, b"PK\x05\x06":
            path.write_bytes((FIXTURES / file).read_bytes() + garbage)
            with pytest.raises(ValueError, match=match):
                load_torch(path)
    with pytest.raises(ValueError, match="after the end of the pickle"):
        load_torch(write_zip(path, program(1) + b"x"))


def test_nesting_is_limited(crafted):
    assert crafted(Code(b"]" + b"\x85" * 99)) is not None
    for depth in 100, 50_000:
        with pytest.raises(ValueError, match="nested more than 100 deep"):
            crafted(Code(b"]" + b"\x85" * depth))


def test_containers_in_themselves_are_refused(crafted):
    for code in b"]q\x00(h\x00h\x00e", b"}q\x00X\x01\x00\x00\x00ah\x00s", b"]q\x00h\x00\x85a":
        with pytest.raises(ValueError, match="or contain themselves"):
            crafted(Code(code))


@pytest.mark.parametrize("size, stride", [((10 ** 9,), (0,)), ((10 ** 6, 10 ** 6, 10 ** 6), (0, 0, 0)), ((2 ** 31, 2), (0, 1))])
def test_a_repeated_element_cannot_fill_the_memory(crafted, size, stride, little_memory):
    with pytest.raises(ValueError, match="more than 16 times the size of the file|larger than any memory"):
        crafted(tensor(None, 0, size, stride), {"0": SIX})


def test_many_tensors_of_one_storage_cannot_fill_the_memory(crafted, little_memory):
    one = tensor(storage(numel=100_000), 0, (100_000,), (1,))
    views = Code(b"](" + one * 80 + b"e")
    with pytest.raises(ValueError, match="more than 16 times the size of the file"):
        crafted(views, {"0": b"\x00" * 400_000})


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path, little_memory):
    zeros = b"\x00" * 20_000_000
    value = program(tensor(storage(numel=5_000_000), 0, (5_000_000,), (1,)))
    tracemalloc.clear_traces()
    for options in {"storages": {"0": zeros}}, {"pickle": zeros}:
        path = write_zip(tmp_path / "x.pt", **({"pickle": value} | options), compression=zipfile.ZIP_DEFLATED)
        del options
        assert path.stat().st_size < 30_000
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with pytest.raises(ValueError, match="is compressed, which torch.save never does"):
            load_torch(path)
        assert tracemalloc.get_traced_memory()[1] - before < 1_000_000


def lying_zip(path, entry, **lies):
    """An archive whose directory lies about one entry."""
    write_zip(path, program(tensor()), {"0": SIX})
    with zipfile.ZipFile(path, "a") as archive:
        for attribute, value in lies.items():
            setattr(archive.getinfo(f"archive/{entry}"), attribute, value)
        archive._didModify = True                                 # write the directory anew
    return path


@pytest.mark.parametrize("entry", ["data/0", "data.pkl", "byteorder"])
@pytest.mark.parametrize("lies", [
    {"file_size": 2 ** 31 - 1, "compress_size": 2 ** 31 - 1}, {"file_size": 2 ** 50, "compress_size": 2 ** 50},
    {"file_size": 10 ** 6},
    {"compress_size": 10 ** 6}, {"compress_size": 0}, {"file_size": 0, "compress_size": 0}, {"CRC": 1}, {"flag_bits": 1},
    {"compress_type": 99}, {"compress_type": 12}, {"header_offset": 10 ** 6}, {"header_offset": 1},
    {"extract_version": 99}], ids=str)
def test_a_zip_directory_that_lies(tmp_path, entry, lies, little_memory):
    with pytest.raises(ValueError, match="load_torch: .*x.pt'") as caught:
        load_torch(lying_zip(tmp_path / "x.pt", entry, **lies))
    assert "\n" not in str(caught.value)


# Chance.

def outcome(path, content):
    """Whether the content loads; anything but a result or a ValueError of one line fails the test."""
    path.write_bytes(content)
    try:
        load_torch(path)
    except ValueError as error:
        message = str(error)
        assert message.startswith("load_torch: ") and message.isprintable() and len(message) < 600, message
        return False
    return True


@pytest.mark.parametrize("file", ["zip.pt", "legacy.pth"])
def test_a_file_cut_short_anywhere(tmp_path, file, little_memory):
    content = (FIXTURES / file).read_bytes()
    assert outcome(tmp_path / "x.pt", content)
    for length in range(len(content)):
        assert not outcome(tmp_path / "x.pt", content[:length]), length
