"""Writes in place: noticed where a graph needs the old values, and nowhere else."""

import numpy as np
import pytest

import tinyvision.changes
from tests.test_autograd import leaf
from tinyvision import Tensor, grad, no_grad


CHANGES = {
    "setitem": lambda x: x.__setitem__(0, 5.0),
    "iadd": lambda x: x.__iadd__(1.0),
    "data, element": lambda x: x.data.__setitem__(0, 5.0),
    "data, augmented": lambda x: exec("x.data -= 1.0"),
    "data, replaced": lambda x: setattr(x, "data", np.array([7.0, 8.0])),
    "numpy": lambda x: x.numpy().fill(0.0),
    "through a view": lambda x: x[:1].__setitem__(0, 5.0),
    "through a detached twin": lambda x: x.detach().data.fill(3.0),
    "through a reshaped view's array": lambda x: x.reshape(2, 1).data.__setitem__((0, 0), 5.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changing_a_needed_array_is_noticed(change):
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    with no_grad():
        change(x)
    with pytest.raises(RuntimeError, match=r"input 0 of Multiply, shape \(2,\), was changed in place.*x = x \+ y"):
        y.backward()


def test_array_taken_out_before_the_forward_pass():
    x = leaf(1.0, 2.0)
    array = x.data
    array[0] = 3.0                                        # before: fine
    y = (x * x).sum()
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [6.0, 4.0])
    y = (x * x).sum()
    array[0] = 4.0                                        # after: not
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_looking_is_no_change():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    x.data.sum(), x.numpy().mean(), np.asarray(x.detach()), repr(x)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [2.0, 4.0])


def test_update_after_backward_is_fine():
    w = leaf(1.0, 2.0)
    for _ in range(3):
        (w * w).sum().backward()
        w.data -= 0.25 * w.grad.data
        w.grad = None
    np.testing.assert_allclose(w.data, [0.125, 0.25])
    for _ in range(3):
        (w * w).sum().backward()
        with no_grad():
            w -= 0.25 * w.grad
        assert w.requires_grad and w.is_leaf
        w.grad = None
    np.testing.assert_allclose(w.data, [0.015625, 0.03125])


def test_in_place_in_a_graph():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="under `with no_grad"):
        x += 1.0
    with pytest.raises(RuntimeError, match="cannot be recorded.*where or concatenate"):
        x[0] = 2.0
    total = Tensor(np.zeros(1))
    alias = total
    total += x                                            # becomes total + x, as with numbers
    total += x
    total.backward()
    assert x.grad.item() == 2.0 and alias.item() == 0.0


def test_assigned_arrays_are_copied():
    """As in the constructor: neither the array's owner nor a second tensor can change the first unnoticed."""
    x, twin, array = leaf(1.0, 2.0), leaf(1.0, 2.0), np.array([5.0, 6.0])
    x.data = twin.data = array
    y = (x * x).sum()
    array[0] = 9.0
    with no_grad():
        twin[1] = 9.0
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [10.0, 12.0])


def test_assignment_is_a_change_of_this_tensor_alone():
    x = leaf(1.0, 2.0)
    view = x.detach()
    view.requires_grad = True
    one, other = (x * x).sum(), (view * view).sum()
    x.data = np.zeros(2)
    other.backward()                                      # the old array is still there
    np.testing.assert_array_equal(view.grad.data, [2.0, 4.0])
    with pytest.raises(RuntimeError, match="changed in place"):
        one.backward()


def test_handed_out_between_two_graphs():
    x = leaf(1.0, 2.0)
    one = (x * x).sum()
    array = x.data
    two = (x * x).sum()
    grad(two, x, retain_graph=True)
    array[0] = 3.0
    for y in (one, two):
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()
    three = (x * x).sum()
    three.backward()
    np.testing.assert_array_equal(x.grad.data, [6.0, 4.0])


def test_looking_at_data_outside_graphs_costs_nothing(monkeypatch):
    """A view's checksum would read the whole data set, for every picture."""
    monkeypatch.setattr(tinyvision.changes, "checksum", None)
    images = Tensor(np.zeros((3, 2)))
    assert [image.data.shape for image in images] == [(2,)] * 3
    with no_grad():
        (images * leaf(1.0)).data[0] = 1.0


def test_augmented_assignment_is_numpys():
    x = Tensor(np.ones(2, np.float32))
    array = x.data
    x += np.ones(2)
    assert x.data is array and x.dtype == np.float32 and x.tolist() == [2.0, 2.0]
    whole = Tensor([1, 3])
    with pytest.raises(TypeError, match="Cannot cast"):
        whole /= 2
    assert whole.tolist() == [1, 3]
    total = Tensor(np.array(1.0))
    alias = total
    total += 2
    assert alias.item() == 3.0
