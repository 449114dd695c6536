"""What the table of cases does not say about indexing: repeated indices in every form, the padding row, the messages."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import Tensor
from tinyvision.gradcheck import assert_gradients
from tinyvision.functional import embedding, one_hot

TABLE = np.arange(8.0).reshape(4, 2)


@pytest.mark.parametrize("index", [[0, 2, 0], ((0, 2, 0),), ([0, 2, 0],), (np.array([0, 2, 0]), slice(0, 1)), ([3, 3], (1, 1))])
def test_an_element_read_twice_gets_both_gradients(index):
    assert_gradients(lambda x: x[index] ** 2, TABLE, order=2)
    x = Tensor(TABLE, requires_grad=True)
    u = 1.0 + np.arange(x[index].size).reshape(x[index].shape)
    x[index].backward(u)
    assert x.grad.sum().item() == u.sum()


def test_take_reads_any_sequence_of_indices():
    for indices in ((0, 2, 0), [0, 2, 0], np.array([0, 2, 0]), Tensor([0, 2, 0])):
        assert tv.take(TABLE, indices).tolist() == [0.0, 2.0, 0.0]
        x = Tensor(TABLE, requires_grad=True)
        tv.take(x, indices, -2).backward(np.arange(6.0).reshape(3, 2))
        assert x.grad.tolist() == [[4.0, 6.0], [0.0, 0.0], [2.0, 3.0], [0.0, 0.0]]


@pytest.mark.parametrize("shape, indices, axis", [
    ((3, 5), [[1, 4, 1]], 1),                             # the same columns for every row
    ((1, 5), [[1, 0], [1, 2], [1, 1]], 1),                # every row reads the only row there is
    ((1, 5), [[1], [1], [2]], 1),
    ((4, 1), [[3, 3, 0]], 0),
])
def test_take_along_axis_broadcasts_as_in_numpy(shape, indices, axis):
    x, indices = np.random.default_rng(0).standard_normal(shape), np.array(indices)
    np.testing.assert_array_equal(tv.take_along_axis(x, indices, axis), np.take_along_axis(x, indices, axis))
    assert_gradients(lambda x: tv.take_along_axis(x, indices, axis) ** 3, x, order=2)


@pytest.mark.parametrize("padding_idx", [2, -2])
def test_the_padding_row_gets_no_gradient(padding_idx):
    weight = Tensor(TABLE, requires_grad=True)
    y = embedding([0, 2, 2, 1, 0], weight, padding_idx)
    np.testing.assert_array_equal(y.data, TABLE[[0, 2, 2, 1, 0]])
    y.backward(np.arange(10.0).reshape(5, 2))
    assert weight.grad.tolist() == [[8.0, 10.0], [6.0, 7.0], [0.0, 0.0], [0.0, 0.0]]          # rows 0 and 4; 3; none; none


def test_indices_may_be_lists_arrays_and_tensors():
    for index in ([3, 0], np.array([3, 0], np.uint8), Tensor([3, 0])):
        assert embedding(index, TABLE).tolist() == [[6.0, 7.0], [0.0, 1.0]]
        assert one_hot(index).tolist() == [[0, 0, 0, 1], [1, 0, 0, 0]]
        assert isinstance(one_hot(index), Tensor if isinstance(index, Tensor) else np.ndarray)
    assert embedding([], TABLE).shape == (0, 2) and one_hot([], 5).shape == (0, 5)


@pytest.mark.parametrize("error, words, call", [
    (TypeError, "embedding: input must hold integers .*got float64", lambda: embedding([0.5], TABLE)),
    (ValueError, "embedding: input must lie in 0..3 for 4 rows of the table, got 4", lambda: embedding([0, 4], TABLE)),
    (ValueError, "embedding: input must lie in 0..3 for 4 rows of the table, got -1", lambda: embedding([-1], TABLE)),
    (ValueError, r"embedding: weight must be a table \(V, D\), one row per index, got shape \(8,\)",
     lambda: embedding([0], TABLE.reshape(-1))),
    (TypeError, "embedding: weight must be a Tensor or an array, got float", lambda: embedding([0], 1.0)),
    (ValueError, "embedding: padding_idx must name one of the 4 rows, got 4", lambda: embedding([0], TABLE, 4)),
    (TypeError, "one_hot: tensor must hold integers .*got float64", lambda: one_hot([0.0, 1.0])),
    (ValueError, "one_hot: tensor must lie in 0..2 for 3 classes, got 3", lambda: one_hot([0, 3], 3)),
    (ValueError, "one_hot: .*Pass num_classes", lambda: one_hot([])),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()
