"""Writing and reading .npz files, against numpy.load and numpy.savez; and files that lie."""

import io
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from tinyvision import Parameter, Tensor
from tinyvision.io import load_npz, save_npz

DTYPES = ["float64", "float32", "float16", "bool", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"]
BASE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
LAYOUTS = {"transposed": BASE.T, "steps": BASE[:, ::2], "reversed": BASE[::-1, :, ::-1], "fortran": np.asfortranarray(BASE),
           "repeated": np.broadcast_to(BASE[0, 0], (5, 4)), "offset": BASE[1, 2, 3:], "big-endian": BASE.astype(">f4"),
           "number": np.array(2.5), "empty": np.zeros((0, 3)), "empty first": np.zeros((3, 0, 2)), "one": np.ones((1,))}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.npz"


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_type_both_ways(path, dtype, compress):
    array = np.array([[0, 1, 100], [3.7, 2, 5]]).astype(dtype)
    save_npz({"array": array, "tensor": Tensor(array)}, path, compress)
    theirs = np.load(path, allow_pickle=False)
    assert list(theirs) == ["array", "tensor"]
    (np.savez_compressed if compress else np.savez)(path.with_name("theirs.npz"), array=array, tensor=array)
    for ours in load_npz(path), load_npz(path.with_name("theirs.npz")):
        for name in "array", "tensor":
            assert type(ours[name]) is Tensor and ours[name].dtype == dtype == theirs[name].dtype
            np.testing.assert_array_equal(ours[name].data, array)
            np.testing.assert_array_equal(theirs[name], array)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_both_ways(path, layout):
    array = LAYOUTS[layout]
    np.savez(path.with_name("theirs.npz"), x=array)
    save_npz({"x": array}, path)
    for loaded in load_npz(path)["x"].data, load_npz(path.with_name("theirs.npz"))["x"].data:
        assert loaded.shape == array.shape and loaded.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(loaded, array)
    np.testing.assert_array_equal(np.load(path)["x"], array)


def test_names_and_order(path):
    names = ["layer.0.weight", "ümlaut ✓", "", "file", "a/b", "x.npy", "z", "a"]
    save_npz({name: Parameter([float(i)]) for i, name in enumerate(names)}, path)
    loaded = load_npz(str(path))
    assert list(loaded) == names and [x.item() for x in loaded.values()] == list(range(len(names)))
    loaded["z"][...] = 0.0                                # the tensors own their memory and can be trained
    assert set(np.load(path).files) >= {"layer.0.weight", "file", "a/b", "z"}
    save_npz({}, path)
    assert load_npz(path) == {}


def test_complex_arrays_and_bytes_that_are_no_booleans(path):
    np.savez(path, z=np.array([1 + 2j, 3]), b=np.array([0, 1, 7], np.uint8).view(bool))
    loaded = load_npz(path)
    assert isinstance(loaded["z"], np.ndarray) and loaded["z"].tolist() == [1 + 2j, 3]
    assert loaded["b"].data.view(np.uint8).tolist() == [0, 1, 1]


def test_the_file_is_replaced_in_one_step(path, monkeypatch):
    save_npz({"x": np.ones(3)}, path)

    def fail(*args, **options):
        raise OSError("the disk is full")
    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="the disk is full"):
        save_npz({"x": np.zeros(3)}, path)
    assert load_npz(path)["x"].data.tolist() == [1, 1, 1] and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("state, match", [
    ([np.ones(1)], "save_npz: state_dict must be a dictionary, got list. Use model.state_dict"),
    ({1: np.ones(1)}, "save_npz: a name must be a string other than '__metadata__', got 1. Rename it."),
    ({"x": [1.0]}, "save_npz: 'x' must be a Tensor or array of floats, integers or booleans, got list. Save numbers as arrays"),
    ({"x": np.array([None])}, "got an array of object"), ({"x": np.array(["a"])}, "got an array of <U1"),
    ({"x": np.ones(1, complex)}, "got an array of complex128"), ({"x": np.ones(1, [("a", "f4")])}, "got an array of"),
    ({"x": np.float64(1)}, "got float64")])
def test_values_that_cannot_be_saved_are_refused_before_the_file_is_touched(path, state, match):
    path.write_text("mine")
    with pytest.raises(TypeError, match=match):
        save_npz(state, path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["a\0b", "a\\b", "a\nb", "\ud800"])
def test_names_that_an_archive_cannot_hold(path, name):
    with pytest.raises(ValueError, match="save_npz: a name must be printable and without a backslash, got .* Rename it."):
        save_npz({name: np.ones(1)}, path)
    assert not path.exists()


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError, match="the folder of .* does not exist"):
        save_npz({}, tmp_path / "none" / "x.npz")
    with pytest.raises(FileNotFoundError):
        load_npz(tmp_path / "none")
    with pytest.raises((IsADirectoryError, PermissionError)):
        load_npz(tmp_path)


class Attack:
    def __reduce__(self):
        return os.mkdir, ("marker",)


def test_arrays_of_objects_are_refused_and_not_unpickled(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    np.savez(path, x=np.array([Attack()]))
    with pytest.raises(ValueError, match=r"load_npz: refuses .*weights.npz', its entry x.npy holds elements of type \|O, .* numpy"):
        load_npz(path)
    assert not os.path.exists("marker")


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
@pytest.mark.parametrize("array", [np.array(["text"]), np.array([b"bytes"]), np.zeros(1, "M8[s]"), np.zeros(1, "V8"),
                                   np.zeros(2, [("a", "f4"), ("b", "i8")]), np.zeros(1, [("ü✓", "f4")])], ids=lambda a: str(a.dtype))
def test_arrays_of_other_things_are_refused(path, array):
    np.savez(path, x=array)
    with pytest.raises(ValueError, match="load_npz: refuses .*, its entry x.npy (has|holds) .* numpy.load"):
        load_npz(path)


def npy(array=BASE, version=1, header=None):
    """The bytes of a .npy file, with a header of one's own if wanted."""
    if header is None:
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array, (version, 0))
        return stream.getvalue()
    header = header.encode("latin-1")
    return b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(2 if version == 1 else 4, "little") + header + array.tobytes()


def archive(path, *entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def test_version_2_of_the_header(path):
    np.testing.assert_array_equal(load_npz(archive(path, ("x.npy", npy(version=2))))["x"].data, BASE)


HEADER = "{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n"


@pytest.mark.parametrize("header, match", [
    (HEADER.format("<f4", False, "(1000000000000,)"), "has 96 bytes for an array of float32 of shape"),
    (HEADER.format("<f4", False, "(65536, 65536, 65536, 65536)"), "has 96 bytes"), (HEADER.format("<f4", False, "(23,)"), "has 96"),
    (HEADER.format("<f4", False, "(25,)"), "has 96 bytes"), (HEADER.format("<f4", False, "()"), "has 96 bytes"),
    (HEADER.format("<f4", False, "(0, 999999999999999999)"), "has 96 bytes"),
    (HEADER.format("<f4", False, "(-24,)"), "does not write"), (HEADER.format("<f4", False, "(24L,)"), "does not write"),
    (HEADER.format("<f4", False, "(" + "9" * 500 + ",)"), "or one that is none"),
    (HEADER.format("<f4", False, "(,,24)"), "or one that is none"), (HEADER.format("<f4", False, "(" + "1," * 40 + ")"), "32 axes"),
    (HEADER.format("<f4", "maybe", "(24,)"), "does not write"), (HEADER.format("=f4", False, "(24,)"), "no plain numbers"),
    (HEADER.format("<f3", False, "(24,)"), "no plain numbers"), (HEADER.format("<f16", False, "(6,)"), "no plain numbers"),
    ("{'descr': " + "(" * 9000 + ")" * 900 + "}\n", "does not write"), ("__import__('os').mkdir('marker')\n", "does not write"),
    ("", "does not write"), ("{}\n", "does not write"), ("x" * 60_000, "does not write"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': [" + "[" * 5000 + "]}\n", "does not write")], ids=lambda h: h[:60])
def test_headers_that_lie(path, header, match, little_memory):
    with pytest.raises(ValueError, match=match) as caught:
        load_npz(archive(path, ("x.npy", npy(header=header))))
    assert len(str(caught.value)) < 600 and str(caught.value).isprintable()


def test_entries_that_are_no_arrays(path):
    for name, content in ("x.npy", b""), ("x.npy", b"\x93NUMPY"), ("x.npy", pickle.dumps([1])), ("readme.txt", npy()), ("x/", b""):
        with pytest.raises(ValueError, match="is no .npy file|has version"):
            load_npz(archive(path, (name, content)))


def test_a_zip_bomb_is_refused_before_it_unpacks(path, little_memory):
    np.savez_compressed(path, x=np.zeros(6_000_000))      # 48 MB in 48 kB
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    with pytest.raises(ValueError, match="its entry x.npy would unpack to 48000128 bytes, out of proportion to the file. numpy"):
        load_npz(path)
    assert tracemalloc.get_traced_memory()[1] - before < 1_000_000
    np.savez_compressed(path, x=np.zeros(1_000_000))      # a small one is none
    assert not load_npz(path)["x"].data.any()


@pytest.mark.parametrize("lies", [{"file_size": 10 ** 6}, {"file_size": 10}, {"file_size": 2 ** 50}, {"compress_size": 2 ** 32 - 2}, {"compress_size": 2 ** 50}, {"CRC": 1}, {"CRC": 0},
                                  {"flag_bits": 1}, {"compress_type": 99}, {"header_offset": 10 ** 6}], ids=str)
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_directory_that_lies(path, lies, compression, little_memory):
    archive(path, ("x.npy", npy()), compression=compression)
    with zipfile.ZipFile(path, "a") as file:
        for attribute, value in lies.items():
            setattr(file.getinfo("x.npy"), attribute, value)
        file._didModify = True
    with pytest.raises(ValueError, match="load_npz: .*weights.npz'"):
        load_npz(path)


def test_other_compressions_are_refused(path):
    for compression in zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA:
        with pytest.raises(ValueError, match="is compressed otherwise than by deflate, which NumPy never does"):
            load_npz(archive(path, ("x.npy", npy()), compression=compression))


def test_two_entries_of_one_name(path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive(path, ("x.npy", npy()), ("x.npy", npy(BASE + 1)))
    with pytest.raises(ValueError, match="its zip archive has two entries x.npy"):
        load_npz(path)


def test_entries_that_share_their_bytes_are_paid_for_one_by_one(path, little_memory):
    archive(path, *((f"{i}.npy", npy(np.zeros(250_000))) for i in range(2)))
    with zipfile.ZipFile(path, "a") as file:
        first = file.getinfo("0.npy")
        for i in range(60):
            twin = zipfile.ZipInfo(f"twin{i}.npy")
            twin.header_offset, twin.file_size, twin.compress_size, twin.CRC = (first.header_offset, first.file_size,
                                                                                first.compress_size, first.CRC)
            file.filelist.append(twin)
        file._didModify = True
    with pytest.raises(ValueError, match="load_npz: "):   # newer Pythons notice the overlap, the budget or the name the rest
        load_npz(path)


def test_files_cut_short_or_of_another_kind(path):
    save_npz({"x": np.ones(3), "y": np.ones((2, 2), np.float32)}, path)
    content = path.read_bytes()
    for damaged in [content[:length] for length in range(len(content))] + [content + b"x", b"PK\x03\x04" * 30, b"<html>" * 20]:
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="load_npz: .* is not a whole .npz file, .* Get the file again; load reads"):
            load_npz(path)
