"""Writing and reading safetensors, against the package's own functions."""

import os
import sys
from collections import OrderedDict

import numpy as np
import pytest

from tinyvision import Parameter, Tensor
from tinyvision.io import load, load_metadata, save

numpy_format = pytest.importorskip("safetensors.numpy")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


DTYPES = ["float64", "float32", "float16", "bool", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_type(path, dtype):
    array = np.array([[0, 1, 100], [3.7, 2, 5]]).astype(dtype)
    save({"array": array, "tensor": Tensor(array)}, path)
    for loaded in load(path), numpy_format.load_file(path):
        for key in "array", "tensor":
            value = loaded[key].data if isinstance(loaded[key], Tensor) else loaded[key]
            assert value.dtype == dtype
            np.testing.assert_array_equal(value, array)


BASE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("array", [
    BASE.T, BASE[:, ::2], BASE[::-1, :, ::-1], np.broadcast_to(BASE[0, 0], (5, 4)), np.asfortranarray(BASE), BASE[1, 2, 3:],
        BASE.astype(">f4"),
    np.array(2.5), np.zeros((0, 3)), np.float32(7) * np.ones(())], ids=["transposed", "steps", "reversed", "repeated",
        "fortran", "offset",
                                                                    "big-endian", "number", "empty", "scalar"])
def test_every_layout(path, array):
    array = np.asarray(array)
    save({"x": array}, path)
    loaded = load(path)["x"].data
    assert loaded.shape == array.shape and loaded.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(loaded, array)
    np.testing.assert_array_equal(numpy_format.load_file(path)["x"], array)


def test_names_tensors_and_metadata(path):
    state = OrderedDict([("layer.0.weight", Parameter([1.0, 2.0])), ("ümlaut ✓", Tensor([3])), ("", np.zeros(1))])
    save(state, path, metadata={"model": "resnet20", "epoch": "7"})
    loaded = load(str(path))
    assert set(loaded) == set(state) and all(type(value) is Tensor and not value.requires_grad for value in loaded.values())
    assert loaded["layer.0.weight"].data.tolist() == [1, 2] and loaded["ümlaut ✓"].data.tolist() == [3]
    assert load_metadata(path) == {"model": "resnet20", "epoch": "7"}
    loaded["layer.0.weight"][...] = 0.0                           # the tensors own their memory and can be trained


def test_without_tensors_or_metadata(path):
    save({}, path)
    assert load(path) == {} and load_metadata(path) == {}


def test_bfloat16_becomes_float32(path):
    torch = pytest.importorskip("torch")
    every = torch.arange(-2 ** 15, 2 ** 15, dtype=torch.int16).view(torch.bfloat16)
    pytest.importorskip("safetensors.torch").save_file({"x": every}, path)
    loaded = load(path)["x"].data
    assert loaded.dtype == np.float32 and loaded.tobytes() == every.float().numpy().tobytes()


def test_a_failed_save_keeps_the_old_file(path, monkeypatch):
    save({"x": np.ones(3)}, path)

    def fail(arrays, file, metadata):
        file.write_bytes(b"half")
        raise OSError("the disk is full")
    monkeypatch.setattr(numpy_format, "save_file", fail)
    with pytest.raises(OSError, match="the disk is full"):
        save({"x": np.zeros(3)}, path)
    assert load(path)["x"].data.tolist() == [1, 1, 1] and os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_the_file_as_any_other(path):
    path.with_name("plain").write_text("")
    save({"x": np.ones(3)}, path)
    assert path.stat().st_mode == path.with_name("plain").stat().st_mode


@pytest.mark.parametrize("state, match", [
    ([np.ones(1)], "save: state_dict must be a dictionary, got list. Use model.state_dict"),
    (None, "must be a dictionary, got NoneType"),
    ({1: np.ones(1)}, "save: a name must be a string other than '__metadata__', got 1. Rename it."),
    ({"__metadata__": np.ones(1)}, "a name must be a string other than"),
    ({"x": [1.0]}, "save: 'x' must be a Tensor or array of floats, integers or booleans, got list. Put numbers and text into"),
    ({"epoch": 7}, "'epoch' must be a Tensor or array .* got int"), ({"x": None}, "got NoneType"),
    ({"x": {"y": np.ones(1)}}, "got dict"),
    ({"x": np.ones(1, complex)}, "got an array of complex128"), ({"x": np.array([None])}, "got an array of object"),
    ({"x": np.array(["a"])}, "got an array of <U1"), ({"x": np.zeros(1, "M8[s]")}, "got an array of datetime64"),
    ({"x": np.float64(1)}, "got float64")])
def test_values_that_cannot_be_saved_are_refused_before_the_file_is_touched(path, state, match):
    path.write_text("mine")
    with pytest.raises(TypeError, match=match):
        save(state, path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("metadata", [{"epoch": 7}, {1: "a"}, "text", ["a"], {"a": None}])
def test_metadata_must_be_text(path, metadata):
    with pytest.raises(TypeError, match=r"save: metadata must be a dictionary of strings, got .* Use str\(\) or json"):
        save({"x": np.ones(1)}, path, metadata)
    assert not path.exists()


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="the folder of .* does not exist. Create it first."):
        save({"x": np.ones(1)}, tmp_path / "none" / "x.safetensors")


@pytest.mark.parametrize("read", [load, load_metadata])
def test_files_that_cannot_be_opened_give_the_systems_error(tmp_path, read):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")
    with pytest.raises((IsADirectoryError, PermissionError)):
        read(tmp_path)


@pytest.mark.parametrize("read", [load, load_metadata])
def test_files_cut_short_or_of_another_kind(path, read):
    save({"x": np.ones(3), "y": np.ones((2, 2), np.float32)}, path, {"epoch": "7"})
    content = path.read_bytes()
    for damaged in [content[:length] for length in range(len(content))] + [content + b"x", b"PK\x03\x04" + b"x" * 100,
        b"<html>" * 20]:
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{read.__name__}: .* is not a whole safetensors file \(.*Use load_torch"):
            read(path)


def test_elements_that_tensor_does_not_know(path):
    numpy_format.save_file({"z": np.ones(2, np.complex64)}, path)
    with pytest.raises(ValueError, match="load: 'z' in .* has elements of type C64, which Tensor does not know. It knows F64"):
        load(path)


def test_an_array_on_a_gpu_is_fetched(path):
    class Array:                                                  # as much of a CuPy array as save needs
        dtype = np.dtype("f4")

        def get(self):
            return np.array([1, 2], "f4")
    Array.__module__ = "cupy"
    save({"x": Array()}, path)
    assert load(path)["x"].data.tolist() == [1, 2]


def test_without_the_package(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)     # as if it were not there
    for call in (lambda: save({}, path)), (lambda: load(path)), (lambda: load_metadata(path)):
        with pytest.raises(ImportError, match="needs the package safetensors, which is not installed. pip install safetensors"):
            call()
