"""Tensor as an array: construction, dtypes, operators, NumPy's functions, indexing, messages."""

import copy
import pickle

import numpy as np
import pytest

import tinyvision
from tinyvision import Parameter, Tensor, grad


@pytest.mark.parametrize("data, dtype", [
    (1.5, "float32"), ([1.0, 2.0], "float32"), (np.ones(2), "float64"), (np.float64(1), "float64"), ([1, 2], "int64"),
    (True, "bool"), (np.ones(2, np.uint8), "uint8"), (np.ones(2, np.float16), "float16"), (Tensor(np.ones(2)), "float64"),
])
def test_dtypes(data, dtype):
    assert Tensor(data).dtype == dtype
    assert Tensor(data, dtype=np.float64).dtype == np.float64


def test_construction_copies():
    a = np.ones(2)
    x = Tensor(a)
    a[0] = 5
    assert x.tolist() == [1.0, 1.0]


def test_subclasses_of_arrays_become_arrays():
    """np.ma has other rules of arithmetic."""
    assert type(Tensor(np.ma.array([1.0, 2.0], mask=[True, False])).data) is np.ndarray


def test_what_is_not_numbers_is_refused():
    with pytest.raises(TypeError, match="needs numbers or booleans, got dtype <U1"):
        Tensor(["a"])
    with pytest.raises(TypeError, match="needs numbers or booleans, got dtype complex128"):
        Tensor(1j)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_python_numbers_do_not_widen(dtype):
    x = Tensor(np.array([0.5, 1.0, 2.5], dtype), requires_grad=True)
    for y in (x + 1, 1 - x, x * 2.5, 2.0 / x, x ** 2, 2.0 ** x, x ** 0.5, -x, x.mean(), x.var(), x.std(), x.max(), x.sigmoid(),
              x.clip(0, 1), abs(x), x @ x, tinyvision.where(x > 0, x, 0.0), tinyvision.maximum(x, 0), np.exp(x),
              tinyvision.logsumexp(x)):
        assert y.dtype == dtype
        (g,) = grad(y.sum(), x, create_graph=True)
        assert g.dtype == dtype


def test_operators_equal_numpys():
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([2.0, 5.0])
    x, y = Tensor(a), Tensor(b)
    pairs = [(x + y, a + b), (x - b, a - b), (a * y, a * b), (b / x, b / a), (x ** y, a ** b), (2 ** x, 2 ** a), (x @ y, a @ b),
             (a @ y, a @ b), (-x, -a), (abs(-x), a), (x == 2, a == 2), (x != y, a != b), (x < y, a < b), (x >= 3, a >= 3),
             (~(x > 2), ~(a > 2)), ((x > 1) & (x < 4), (a > 1) & (a < 4)), ((x > 3) | (x < 2), (a > 3) | (a < 2)),
             (x // 2, a // 2), (x % 2, a % 2), (x.T, a.T), ([1.0, 2.0] + x, [1.0, 2.0] + a), ((x > 1) ^ (x > 2), (a > 1) ^ (a > 2))]
    for found, right in pairs:
        assert isinstance(found, Tensor)
        np.testing.assert_array_equal(found.data, right)


def test_numpy_functions_keep_the_graph():
    a = np.array([[1.0, 5.0], [3.0, 2.0]])
    x = Tensor(a, requires_grad=True)
    pairs = [(np.exp(x), np.exp(a)), (np.add(a, x), a + a), (np.maximum(x, 2.0), np.maximum(a, 2.0)), (np.sum(x, axis=0), a.sum(0)),
             (np.mean(x), a.mean()), (np.max(x, axis=1), a.max(1)), (np.concatenate([x, x]), np.concatenate([a, a])),
             (np.stack([x, x], axis=-1), np.stack([a, a], -1)), (np.where(a > 2, x, 0.0), np.where(a > 2, a, 0)),
             (np.transpose(x), a.T), (np.clip(x, 1.5, 3), np.clip(a, 1.5, 3)), (np.split(x, 2)[1], a[1:]), (np.copy(x), a),
             (np.var(x), a.var()), (np.reshape(x, (4,)), a.reshape(4)), (np.flip(x, 1), a[:, ::-1])]
    for found, right in pairs:
        assert isinstance(found, Tensor) and found.requires_grad
        np.testing.assert_allclose(found.data, right)
    assert not np.isfinite(x.detach()).requires_grad and np.greater(x, 2).tolist() == [[False, True], [True, False]]


def test_numpy_never_loses_a_gradient_silently():
    x = Tensor(np.ones(3), requires_grad=True)
    for lose in (lambda: np.asarray(x), lambda: np.fft.fft(x), lambda: np.median(x), lambda: np.arctan(x), lambda: np.add.reduce(x)):
        with pytest.raises(TypeError, match="x.data"):
            lose()
    array = np.ones(3)
    with pytest.raises(TypeError, match="x = x"):
        array += x
    assert np.median(x.detach()) == 1.0 and np.arctan(x.detach()).shape == (3,)
    fraction, whole = np.modf(x.detach() + 0.5)
    assert (fraction.tolist(), whole.tolist()) == ([0.5] * 3, [1.0] * 3)
    assert np.asarray(x.detach()).dtype == np.float64 and np.array(x.detach(), dtype=np.float32).dtype == np.float32


INDICES = [0, -1, slice(1, None, 2), (slice(None), 1), (..., 0), (None, 2), [0, 0, 2], np.array([[2, 2], [1, 2]]),
           (np.array([0, 0, 1]), np.array([1, 1, 2])), (slice(None), [0, 0]), np.array([True, False, True]),
           (slice(None, None, -1), slice(0, 2)), (0, [1, 1, 1])]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_and_its_gradient(index):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((3, 4))
    x = Tensor(a, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.data, a[index])
    u = rng.standard_normal(y.shape)
    y.backward(u)
    expected = np.zeros_like(a)
    np.add.at(expected, index, u)
    np.testing.assert_allclose(x.grad.data, expected)


def test_tensors_as_indices():
    x = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    assert x[Tensor([0, 1]), Tensor([2, 2])].tolist() == [2.0, 5.0]
    assert x[x > 3].tolist() == [4.0, 5.0]
    with pytest.raises(IndexError):
        x[Tensor([0.0])]


def test_iteration_unpacks_with_gradients():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    a, b = x
    (a * b).backward()
    assert x.grad.tolist() == [2.0, 1.0] and len(x) == 2


def test_single_numbers():
    x = Tensor([2.5], requires_grad=True)
    assert (x.item(), float(x), int(x), bool(x), f"{x:.3f}") == (2.5, 2.5, 2, True, "2.500")
    assert [10, 20, 30][Tensor(1)] == 20
    many = Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="item: only for a single element"):
        many.item()
    with pytest.raises(ValueError, match="ambiguous"):
        bool(many)
    with pytest.raises(TypeError, match="len"):
        len(Tensor(1.0))


def test_repr():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "Tensor([1., 2.], requires_grad=True)"
    assert repr(x * 2) == "Tensor([2., 4.], op=Multiply)"
    assert repr(Parameter([1.0])) == "Parameter([1.], requires_grad=True)"


def test_deepcopy_and_pickle_of_leaves():
    x = Parameter(np.array([1.0, 2.0]))
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(twin) is Parameter and twin.requires_grad and twin.tolist() == [1.0, 2.0] and twin.data is not x.data


def test_copies_of_results_are_values():
    """The graph stays behind: a copied or saved network drags no activations along, however deep they reach."""
    y = x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    for _ in range(5000):
        y = y * 1.0
    for twin in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
        assert twin.tolist() == [1.0, 2.0] and twin.is_leaf and not twin.requires_grad
    x.sum().backward()
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.grad.tolist() == [1.0, 1.0] and twin.grad is not x.grad
        (twin * 2).sum().backward()
        assert twin.grad.tolist() == [3.0, 3.0] and x.grad.tolist() == [1.0, 1.0]


def test_half_precision_stays():
    x = Tensor(np.ones(3, np.float16), requires_grad=True)
    (x * 2).sum().backward()
    assert x.grad.dtype == np.float16


def test_setting_data():
    x = Parameter([1.0])
    x.data = [3.0, 4.0]
    assert x.tolist() == [3.0, 4.0] and x.dtype == np.float32
    with pytest.raises(TypeError, match="holds floats, got int64"):
        x.data = np.array([1, 2])


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "axis 2 is out of bounds", lambda x: x.sum(axis=2)), (ValueError, "axis: must lie in", lambda x: x.mean(axis=2)),
    (ValueError, "transpose: axes must name each", lambda x: x.transpose(0, 0)),
    (ValueError, "squeeze: axis 0 must have size 1, got 2", lambda x: x.squeeze(0)),
    (ValueError, "matmul: the last axis of a must match", lambda x: x @ x),
    (ValueError, "matmul: needs vectors or matrices", lambda x: x @ 2.0),
    (ValueError, r"concatenate: .*\(2, 3\) and, at position 1, \(3, 2\)", lambda x: tinyvision.concatenate([x, x.T])),
    (ValueError, "concatenate: needs at least one", lambda x: tinyvision.concatenate([])),
    (ValueError, "split: axis 1 of size 3 does not divide into 2", lambda x: tinyvision.split(x, 2, axis=1)),
    (ValueError, "max: needs at least one element", lambda x: x[:0].max(axis=0)),
    (ValueError, "flatten: start_dim must not come after", lambda x: x.flatten(1, 0)),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call(Tensor(np.ones((2, 3)), requires_grad=True))


def test_product_with_zeros():
    """The slope of a product is the product of the others, also where one or two of them are 0."""
    x = Tensor(np.array([[2.0, 0.0, 5.0], [0.0, 0.0, 3.0], [1.0, 2.0, 3.0]]), requires_grad=True)
    u = np.array([1.0, 10.0, -2.0])
    x.prod(axis=1).backward(u)
    np.testing.assert_array_equal(x.grad.data, u[:, None] * [[0, 10, 0], [0, 0, 0], [6, 3, 2]])


def test_more_of_numpys_methods():
    a = np.array([[3.0, 1.0], [2.0, 5.0]])
    x = Tensor(a, requires_grad=True)
    for found, right in [(x.ravel(), a.ravel()), (x.take([1, 1], axis=1), a.take([1, 1], axis=1)), (x.repeat(2, axis=0), a.repeat(2, axis=0)),
                         (x.argsort(axis=0), a.argsort(axis=0)), (np.sort(x, axis=1), np.sort(a, axis=1)), (np.prod(x), a.prod())]:
        assert isinstance(found, Tensor)
        np.testing.assert_array_equal(found.data, right)
