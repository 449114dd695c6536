"""What the table of cases does not say about embedding and one_hot: the padding row, what is accepted, the messages."""

import numpy as np
import pytest

from tinyvision import Tensor
from tinyvision.functional import embedding, one_hot

TABLE = np.arange(8.0).reshape(4, 2)


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
