"""concatenate, stack and split take or return lists, which the table of cases does not; and the messages of movement.py."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import Tensor
from tinyvision.gradcheck import assert_gradients


def pieces(axis):
    """Three arrays that differ in size along the axis."""
    rng = np.random.default_rng(axis % 3)
    return [rng.standard_normal([n if a == axis % 3 else 2 for a in range(3)]) for n in (1, 3, 0)]


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_concatenate(axis):
    xs = pieces(axis)
    np.testing.assert_array_equal(tv.concatenate(xs, axis), np.concatenate(xs, axis))
    assert_gradients(lambda *xs: tv.concatenate(xs, axis), *xs, order=2)
    assert_gradients(lambda *xs: tv.concatenate(xs, axis) ** 3, *xs, order=2)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_stack(axis):
    xs = list(np.random.default_rng(1).standard_normal((3, 2, 4)))
    np.testing.assert_array_equal(tv.stack(xs, axis), np.stack(xs, axis))
    assert_gradients(lambda *xs: tv.stack(xs, axis) ** 2, *xs, order=2)


@pytest.mark.parametrize("parts, axis", [(3, 1), ([1, 4], 1), ([2], 0), ([0, 2], -2)])
def test_split(parts, axis):
    x = np.random.default_rng(2).standard_normal((2, 6))
    expected = np.split(x, parts, axis)
    for a, b in zip(tv.split(x, parts, axis), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    for i in range(len(expected)):
        if expected[i].size:
            assert_gradients(lambda x, i=i: tv.split(x, parts, axis)[i] ** 2, x, order=2)


def test_split_of_nothing():
    assert [y.shape for y in tv.split(np.zeros((2, 0)), 3, axis=1)] == [(2, 0)] * 3


def test_a_piece_that_is_a_constant_gets_no_gradient():
    x, constant = Tensor(np.ones(2), requires_grad=True), np.ones(3)
    tv.concatenate([constant, x]).backward(np.arange(5.0))
    assert x.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("words, call", [
    (r"transpose: axes must name each of the 2 axes once, got \(0, 0\)", lambda x: x.transpose(0, 0)),
    (r"transpose: axes must name each of the 2 axes once, got \(0,\)", lambda x: x.transpose((0,))),
    ("squeeze: axis 1 must have size 1, got 3", lambda x: x.squeeze(1)),
    (r"axis: must lie in \[-2, 1\] for an array of 2 axes, got 2", lambda x: x.squeeze(2)),
    (r"axis: must lie in \[-2, 1\] for an array of 2 axes, got 2", lambda x: x.swapaxes(0, 2)),
    (r"axis: must lie in \[-2, 1\] for an array of 2 axes, got -3", lambda x: tv.moveaxis(x, 0, -3)),
    (r"axis: must lie in \[-3, 2\] for an array of 3 axes, got 3", lambda x: tv.expand_dims(x, 3)),
    (r"axis: must lie in \[-2, 1\] for an array of 2 axes, got 2", lambda x: x.take([0], 2)),
])
def test_messages(words, call):
    with pytest.raises(ValueError, match=words):
        call(Tensor(np.ones((2, 3))))
