"""Reading PyTorch's checkpoints: round trips against torch.save, and files made by hand where PyTorch is not installed.

fixtures/zip.pt and fixtures/legacy.pth were written by PyTorch 2.13 from

    base = torch.arange(6.0).reshape(2, 3)
    weights = OrderedDict(weight=base.T, row=base[1], scale=torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
    weights._metadata = OrderedDict({"": {"version": 1}})
    torch.save({"epoch": 3, "state_dict": weights}, ..., _use_new_zipfile_serialization=...)
"""

import io
import os
import pickle
import struct
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from tinyvision import Tensor
from tinyvision.io import load_torch
from tinyvision.io.torch_file import read

from .craft import Code, call, name, pickled, program, storage, tensor, write_legacy, write_zip

FIXTURES = Path(__file__).parent / "fixtures"
SIX = np.arange(6, dtype="<f4")


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(params=["zip", "legacy"])
def saved(request, torch, tmp_path):
    """A function that saves an object with torch.save and reads it back."""
    def save_and_load(value, **options):
        path = tmp_path / "saved.pt"
        torch.save(value, path, _use_new_zipfile_serialization=request.param == "zip", **options)
        return load_torch(path)
    return save_and_load


def assert_same(value, expected):
    """value has the containers of `expected`, and Tensors for its tensors."""
    if type(expected).__module__.startswith("torch"):
        array = expected.detach().resolve_conj().resolve_neg()
        array = (array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy()
        assert type(value) is (np.ndarray if array.dtype.kind == "c" else Tensor)
        value = value if array.dtype.kind == "c" else value.data
        assert value.dtype == array.dtype and value.shape == array.shape and value.tobytes() == array.tobytes()
    elif isinstance(expected, dict):
        assert type(value) is type(expected) and list(value) == list(expected)
        for key in expected:
            assert_same(value[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert type(value) is type(expected) and len(value) == len(expected)
        for item, expected_item in zip(value, expected):
            assert_same(item, expected_item)
    else:
        assert type(value) is type(expected) and value == expected


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "bool", "int64", "int32", "int16", "int8",
    "uint64",
                                   "uint32", "uint16", "uint8", "complex64", "complex128"])
def test_every_element_type(saved, torch, dtype):
    values = torch.tensor([[0, 1, -2.5], [3.14159, 100, -0.0]], dtype=torch.float64).abs() if "uint" in dtype else \
        torch.tensor([[0, 1, -2.5], [3.14159, 100, -0.0]], dtype=torch.float64)
    x = values.to(getattr(torch, dtype)) * (1 + 2j if "complex" in dtype else 1)
    x = x.to(getattr(torch, dtype))
    assert_same(saved({"x": x, "number": x[0, 1], "nothing": x[:, :0]}), {"x": x, "number": x[0, 1], "nothing": x[:, :0]})


def test_every_bfloat16_is_exact(saved, torch):
    every = torch.arange(-2 ** 15, 2 ** 15, dtype=torch.int16).view(torch.bfloat16)
    assert_same(saved(every), every)                              # 65536 bit patterns, infinities and NaNs among them


def test_infinity_and_nan_and_the_smallest_numbers(saved, torch):
    x = torch.tensor([float("inf"), float("-inf"), float("nan"), 1e-45, -0.0])
    assert_same(saved([x, x.half(), x.double()]), [x, x.half(), x.double()])


def test_views_share_a_storage_and_come_out_right(saved, torch):
    base = torch.arange(24.0).reshape(2, 3, 4)
    views = {"base": base, "row": base[1], "corner": base[1, 2, 3], "column": base[:, :, 1], "transposed": base.transpose(0, 2),
             "steps": base[:, ::2, 1::2], "repeated": base[0, 0].expand(5, 4), "diagonal": base[0].diagonal(),
             "windows": base.view(-1).unfold(0, 5, 2), "permuted": base.permute(2, 0, 1), "empty": base[2:],
             "channels_last": base.reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)}
    assert_same(saved(views), views)


def test_each_view_becomes_a_tensor_of_its_own_and_one_tensor_stays_one(saved, torch):
    base = torch.zeros(4)
    row, same, again = saved([base[:2], base, base])
    assert same is again
    row[...] = 1.0
    assert not same.data.any()


def test_lazy_conjugates_and_negatives(saved, torch):
    x = torch.tensor([1 + 2j, -3j])
    views = [x.conj(), x.conj().imag, x.imag, x.real, torch._neg_view(torch.tensor([1.0, -2.0]))]
    assert views[0].is_conj() and views[1].is_neg() and views[4].is_neg()
    for view in views:                                            # PyTorch does not save one storage as two types
        assert_same(saved(view), view)


def test_parameters_state_dicts_and_optimizer_states(saved, torch):
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    checkpoint = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "parameters": list(model.parameters())}
    assert hasattr(checkpoint["model"], "_metadata")
    loaded = saved(checkpoint)
    assert_same(loaded, checkpoint)
    assert not hasattr(loaded["model"], "_metadata") and not loaded["parameters"][0].requires_grad


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nested_containers(saved, torch, protocol):
    x = torch.arange(3)
    value = {"a": [x, (x, {"b": OrderedDict(c=x[1:])})], "plain": [1, 2.5, "ü", b"\x00\xff", None, True, 1j, {1, "two"}, ()],
             7: {}, (1, "k"): x}
    assert_same(saved(value, pickle_protocol=protocol), value)


def test_sizes_and_dtypes_become_tuples_and_numpy_dtypes(saved, torch):
    loaded = saved({"size": torch.Size([2, 3]), "types": [torch.float32, torch.bfloat16, torch.int64, torch.bool]})
    assert loaded == {"size": (2, 3), "types": [np.dtype("f4"), np.dtype("f4"), np.dtype("i8"), np.dtype("?")]}


def test_a_file_without_checksums(torch, tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(torch.arange(3), tmp_path / "x.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(load_torch(tmp_path / "x.pt"), torch.arange(3))


def test_a_file_object_was_saved_and_the_path_may_be_text(torch, tmp_path):
    buffer = io.BytesIO()
    torch.save([1, torch.ones(2)], buffer)
    (tmp_path / "x").write_bytes(buffer.getvalue())
    assert_same(load_torch(str(tmp_path / "x")), [1, torch.ones(2)])


@pytest.mark.parametrize("make, refused, remedy", [
    (lambda torch: torch.nn.Linear(2, 2), r"torch\.nn\.modules\.linear\.Linear", "model.state_dict"),
    (lambda torch: torch.eye(2).to_sparse(), "_rebuild_sparse_tensor", "to_dense"),
    (lambda torch: torch.eye(2).to_sparse_csr(), "_rebuild_sparse_tensor", "to_dense"),
    (lambda torch: torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.quint8), "_rebuild_qtensor", "dequantize"),
    (lambda torch: torch.zeros(2).to(torch.float8_e4m3fn), r"torch\.float8_e4m3fn", "tensor.float"),
    (lambda torch: torch.zeros(2, device="meta"), "_rebuild_meta_tensor", "state_dict"),
    (lambda torch: torch.device("cpu"), r"torch\.device", "plain containers"),
    (lambda torch: torch.zeros(2).untyped_storage(), "a storage outside a tensor", "plain containers"),
    (lambda torch: torch.nn.functional.relu, r"torch\.nn\.functional\.relu", "plain containers"),
    (lambda torch: np.float64(0.5), "numpy", "float"),
    (lambda torch: np.zeros(2), "numpy", "from_numpy")])
@pytest.mark.filterwarnings("ignore")                             # PyTorch on its own sparse and quantized tensors
def test_what_is_not_plain_data_is_refused_by_name(saved, torch, make, refused, remedy):
    with pytest.raises(ValueError, match=rf"load_torch: refuses '.*saved.pt', .*{refused}.*{remedy}"):
        saved({"epoch": 1, "value": make(torch)})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_archive_is_refused(torch, tmp_path):
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), tmp_path / "x.pt")
    with pytest.raises(ValueError, match="it is a TorchScript archive, which holds a program. Load it with torch.jit.load"):
        load_torch(tmp_path / "x.pt")


# Without PyTorch.

@pytest.mark.parametrize("file", ["zip.pt", "legacy.pth"])
def test_files_of_pytorch(file):
    loaded = load_torch(FIXTURES / file)
    assert list(loaded) == ["epoch", "state_dict"] and loaded["epoch"] == 3 and type(loaded["state_dict"]) is OrderedDict
    weights = {key: value.data for key, value in loaded["state_dict"].items()}
    assert [array.dtype for array in weights.values()] == [np.float32] * 3 and list(weights) == ["weight", "row", "scale"]
    np.testing.assert_array_equal(weights["weight"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(weights["row"], [3, 4, 5])
    np.testing.assert_array_equal(weights["scale"], [1.5, -2])


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_a_file_made_by_hand(tmp_path, write):
    path = write(tmp_path / "x.pt", program({"w": tensor(), "b": tensor(None, 4, (2,), (1,))}), {"0": SIX.tobytes()})
    loaded = load_torch(path)
    assert isinstance(loaded["w"], Tensor) and not loaded["w"].requires_grad and loaded["w"].data.flags.writeable
    np.testing.assert_array_equal(loaded["w"].data, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(loaded["b"].data, [4, 5])


def test_the_oldest_call_and_parameters(tmp_path):
    old = call(name("torch._utils", "_rebuild_tensor"), storage(), 1, (2, 2), (2, 1))
    parameter = call(name("torch._utils", "_rebuild_parameter"), old, True, None)
    loaded = load_torch(write_legacy(tmp_path / "x.pt", program([old, parameter]), {"0": SIX.tobytes()}))
    for value in loaded:
        np.testing.assert_array_equal(value.data, [[1, 2], [3, 4]])


@pytest.mark.parametrize("kind, dtype", [("FloatStorage", "f4"), ("DoubleStorage", "f8"), ("ShortStorage", "i2"),
    ("ComplexFloatStorage", "c8")])
def test_the_byteorder_entry_is_honoured(tmp_path, kind, dtype):
    values = np.array([1, -2, 300, 4, 5, 6], dtype) * (1 + 2j if dtype == "c8" else 1)
    value = program(tensor(storage(kind=kind)))
    for order, letter in (b"big", ">"), (b"little", "<"), (None, "<"):
        path = write_zip(tmp_path / "x.pt", value, {"0": values.astype(letter + dtype).tobytes()}, byteorder=order)
        array = read(path, np.array)
        assert array.dtype == np.dtype(dtype) and array.dtype.isnative
        np.testing.assert_array_equal(array, values.reshape(2, 3))


def test_bfloat16_in_either_byteorder(tmp_path):
    value = program(tensor(storage(kind="BFloat16Storage")))
    for order, letter in (b"big", ">"), (b"little", "<"):
        bits = np.array([0x3FC0, 0xC000, 0x0000, 0x8000, 0x7F80, 0x0001], letter + "u2").tobytes()
        array = load_torch(write_zip(tmp_path / "x.pt", value, {"0": bits}, byteorder=order)).data
        np.testing.assert_array_equal(array, np.array([[1.5, -2, 0], [-0.0, np.inf, 2.0 ** -133]], np.float32))


def test_a_bool_is_whatever_is_not_zero(tmp_path):
    path = write_zip(tmp_path / "x.pt", program(tensor(storage(kind="BoolStorage"))), {"0": b"\x00\x01\x02\xff\x00\x80"})
    np.testing.assert_array_equal(load_torch(path).data.view(np.uint8), [[0, 1, 1], [1, 0, 1]])


def test_empty_and_zero_dimensional_tensors(tmp_path):
    value = program([tensor(None, 5, (), ()), tensor(None, 0, (0, 10 ** 9), (1, 1)), tensor(None, 99, (2, 0), (0, 1)),
                     tensor(storage("1", 0), 0, (0,), (1,)), tensor(None, 2, (1, 1), (10 ** 9, 10 ** 9))])
    number, *empty, one = load_torch(write_legacy(tmp_path / "x.pt", value, {"0": SIX.tobytes(), "1": b""}))
    assert (number.shape, number.item()) == ((), 5.0)
    assert [x.shape for x in empty] == [(0, 10 ** 9), (2, 0), (0,)] and (one.shape, one.item()) == ((1, 1), 2.0)


def test_strings_of_python2(tmp_path):
    def text(word):
        return Code(b"U" + struct.pack("B", len(word)) + word.encode())
    pid = Code(pickled((text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), 6, None)) + b"Q")
    value = call(name("collections", "OrderedDict"), [[text("module.weight"), tensor(pid)]])
    loaded = load_torch(write_legacy(tmp_path / "x.pth", program(value), {"0": SIX.tobytes()}))
    assert type(loaded) is OrderedDict
    np.testing.assert_array_equal(loaded["module.weight"].data, SIX.reshape(2, 3))


def test_shared_containers_are_copied_once(tmp_path):
    node = b"]q\x00"
    for index in range(60):                                       # 2**60 paths, 61 lists
        node = b"](" + node + b"h" + bytes([index]) + b"eq" + bytes([index + 1])
    loaded = load_torch(write_zip(tmp_path / "x.pt", program(Code(node))))
    for _ in range(60):
        first, second = loaded
        assert first is second
        loaded = first


@pytest.mark.parametrize("content, match", [
    (b"", "neither like a zip archive nor like a pickle"), (b"<html>404</html>", "neither like a zip archive nor like a pickle"),
    (b"\x80\x02", "its pickle breaks off"), (b"\x80\x02\xff", "no instruction"),
    (pickle.dumps([1]), "neither like a zip archive nor"),
    (b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", "tinyvision.io.load reads safetensors"),
    (b"PK\x03\x04", "zip archive does not open"),
    (b"PK\x05\x06" + b"\x00" * 18, "no entry data.pkl"), (b"\x00" * 257 + b"ustar\x0000" + b"\x00" * 300,
    "tar format of early 2017")])
def test_other_files(tmp_path, content, match):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"load_torch: .*x.pt'.*{match}"):
        load_torch(tmp_path / "x.pt")


def test_files_that_cannot_be_opened_give_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_torch(tmp_path / "none.pt")
    with pytest.raises((IsADirectoryError, PermissionError)):
        load_torch(tmp_path)


def test_importing_the_readers_loads_numpy_only():
    others = {"torch", "safetensors", "pooch", "scipy", "sklearn", "matplotlib", "numba"}
    code = f"import sys, tinyvision.io; print(*{others} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


@pytest.fixture
def published():
    """The ResNet-20 for CIFAR-10 of He et al. 2016, table 6, trained by Y. Idelbayev; legacy format."""
    path = Path(os.environ.get("TINYVISION_DATA", "none"), "weights", "resnet20-12fca82f.th")
    if not path.is_file():
        pytest.skip("TINYVISION_DATA names no folder with weights/resnet20-12fca82f.th")
    return path


def test_a_published_checkpoint(published):
    loaded = load_torch(published)
    weights = loaded["state_dict"]
    assert all(key.startswith("module.") for key in weights) and 91 < loaded["best_prec1"] < 93
    assert sum(value.data.size for key, value in weights.items() if key.endswith(("weight", "bias"))) == 269_722
    assert weights["module.linear.weight"].shape == (10, 64) and (weights["module.bn1.running_var"].data > 0).all()


def test_a_published_checkpoint_as_pytorch_reads_it(torch, published):
    assert_same(load_torch(published), torch.load(published, map_location="cpu", weights_only=True))
