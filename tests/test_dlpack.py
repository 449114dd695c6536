"""Memory shared with other libraries by DLPack, both ways, against NumPy and PyTorch."""

import numpy as np
import pytest

from tinyvision import Parameter, Tensor, broadcast_to, no_grad
from tinyvision.tensor import from_dlpack

pytestmark = pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.1.0", reason="NumPy 2.0 shares arrays read-only")

DTYPES = ["float16", "float32", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
BASE = np.arange(24.0).reshape(2, 3, 4)
LAYOUTS = {"plain": BASE, "transposed": BASE.T, "steps": BASE[:, ::2], "reversed": BASE[::-1], "offset": BASE[1, 1:],
           "number": np.array(3.5), "empty": np.zeros((0, 3))}


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_sees_the_tensors_memory(dtype):
    x = Tensor(np.array([[0, 1, 1], [1, 0, 1]], dtype))
    y = np.from_dlpack(x)
    assert y.dtype == dtype and np.shares_memory(x.data, y)
    y[0, 0] = 1
    assert x.data[0, 0] == 1 and x.__dlpack_device__() == (1, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tensor_sees_numpys_memory(dtype):
    x = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    y = from_dlpack(x)
    assert type(y) is Tensor and y.dtype == dtype and not y.requires_grad and np.shares_memory(x, y.data)
    y[0, 0] = 1
    assert x[0, 0] == 1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_keeps_its_strides(layout):
    array = LAYOUTS[layout].copy() if layout == "plain" else LAYOUTS[layout]
    for y in np.from_dlpack(from_dlpack(array)), from_dlpack(from_dlpack(array)).data:
        assert y.shape == array.shape and np.shares_memory(y, array) == (array.size > 0)
        np.testing.assert_array_equal(y, array)


def test_the_memory_outlives_the_tensor():
    x = Tensor(np.arange(100_000.0)) * 1                  # a result, in memory that is lent out again once it is free
    y = np.from_dlpack(x)
    del x
    others = [Tensor(np.zeros(100_000)) * 1 for _ in range(5)]
    assert (y == np.arange(100_000.0)).all() and len(others) == 5


@pytest.mark.parametrize("x", [Tensor([1.0], requires_grad=True), Parameter([1.0]), Tensor([1.0], requires_grad=True) * 2])
def test_a_tensor_that_requires_a_gradient_is_detached_first(x):
    with pytest.raises(BufferError, match="__dlpack__: this tensor requires a gradient, which another .* Use x.detach()"):
        np.from_dlpack(x)
    with no_grad(), pytest.raises(BufferError, match="requires a gradient"):
        np.from_dlpack(x)
    assert np.shares_memory(np.from_dlpack(x.detach()), x.data)


def test_read_only_memory_is_refused_both_ways():
    x = Tensor([1.0])
    with pytest.raises(BufferError, match=r"__dlpack__: this tensor's array is read-only, .* Use x.copy\(\)"):
        np.from_dlpack(broadcast_to(x, (3,)))
    array = np.ones(3)
    array.flags.writeable = False
    with pytest.raises(BufferError, match=r"from_dlpack: the array is read-only .* Tensor\(x\)"):
        from_dlpack(array)


def test_dtypes_that_dlpack_or_tensor_lacks():
    with pytest.raises(BufferError, match="__dlpack__: an array of >f4 cannot be handed out: .* Use x.astype"):
        np.from_dlpack(Tensor(np.ones(2, ">f4")))
    with pytest.raises(BufferError, match="from_dlpack: the array cannot be shared: .* Tensor"):
        from_dlpack(np.ones(2, ">f4"))
    with pytest.raises(TypeError, match="from_dlpack: needs numbers or booleans, got dtype complex128. Convert"):
        from_dlpack(np.ones(2, complex))


def test_things_that_do_not_speak_dlpack():
    for x in [1.0], 1.0, None, "text":
        with pytest.raises(TypeError, match=r"from_dlpack: needs an object with __dlpack__ .* Use Tensor\(x\)"):
            from_dlpack(x)

    class Elsewhere:
        def __dlpack__(self, **options):
            raise AssertionError("must not be asked for its memory")

        def __dlpack_device__(self):
            return 2, 0
    with pytest.raises(BufferError, match=r"must be in main memory, device \(1, 0\), got \(2, 0\)"):
        from_dlpack(Elsewhere())


def test_a_foreign_write_between_forward_and_backward_is_noticed():
    array = np.array([2.0, 3.0])
    x = from_dlpack(array)
    x.requires_grad = True
    y = (x * x).sum()
    array[0] = 100
    with pytest.raises(RuntimeError, match="changed|written"):
        y.backward()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pytorch_and_back(layout):
    torch = pytest.importorskip("torch")
    array = LAYOUTS[layout]
    if layout != "reversed":                              # PyTorch has no negative strides
        x = Tensor(array)
        there = torch.from_dlpack(x)
        assert tuple(there.shape) == x.shape and (x.size == 0 or there.data_ptr() == x.data.ctypes.data)
        back = from_dlpack(there)
        assert np.shares_memory(back.data, x.data) == (x.size > 0)
        np.testing.assert_array_equal(back.data, array)
        there += 1
        np.testing.assert_array_equal(x.data, array + 1)


def test_what_pytorch_cannot_share():
    torch = pytest.importorskip("torch")
    with pytest.raises(BufferError, match="detach"):
        from_dlpack(torch.ones(2, requires_grad=True))
    with pytest.raises(BufferError, match="from_dlpack: the array cannot be shared"):
        from_dlpack(torch.ones(2, dtype=torch.bfloat16))
    with pytest.raises(BufferError, match="requires a gradient"):
        torch.from_dlpack(Parameter([1.0]))
