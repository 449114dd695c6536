"""Softmax where the case table does not look: extreme numbers, what it keeps for the backward pass, dtype, messages."""

import numpy as np
import pytest

import tinyvision.functional as F
from tinyvision import Tensor, grad

NAMES = ["softmax", "log_softmax", "softmin"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-14), ("float32", 5e-6)])
def test_recorded_and_unrecorded_backward_agree(name, dim, dtype, tolerance):
    """Arrays take what forward kept, Tensors compute it anew: the same gradient."""
    rng = np.random.default_rng(dim)
    x = Tensor((rng.standard_normal((4, 5, 6)) * 3 + 500).astype(dtype), requires_grad=True)
    u = rng.standard_normal(x.shape).astype(dtype)
    (plain,), (recorded,) = (grad(getattr(F, name)(x, dim), x, u, create_graph=c) for c in (False, True))
    assert recorded.requires_grad and not plain.requires_grad
    np.testing.assert_allclose(plain.data, recorded.data, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_only_differences_count(dtype):
    """Adding a constant to all inputs changes nothing; 10000 is far beyond the largest exponential."""
    x = np.array([[0.0, 1.0, -2.0]], dtype)
    for name in NAMES:
        for shift in (1e4, -1e4):
            np.testing.assert_allclose(getattr(F, name)(x + np.array(shift, dtype), 1), getattr(F, name)(x, 1), rtol=1e-6)
        assert getattr(F, name)(x, 1).dtype == dtype


def test_far_apart():
    x = Tensor(np.array([1e4, -1e4, 0.0], np.float32), requires_grad=True)
    assert F.softmax(x, 0).tolist() == [1.0, 0.0, 0.0]
    assert F.softmin(x, 0).tolist() == [0.0, 1.0, 0.0]
    assert F.log_softmax(x, 0).tolist() == [0.0, -2e4, -1e4]
    # gradient of log_softmax by hand: g - y * sum(g)
    assert grad(F.log_softmax(x, 0), x, np.array([1.0, 2.0, 4.0], np.float32))[0].tolist() == [-6.0, 2.0, 4.0]


def test_masked_entries():
    """Minus infinity is the mask of attention: probability 0, gradient 0."""
    x = Tensor(np.array([[1.0, -np.inf, 1.0]]), requires_grad=True)
    y = F.softmax(x, 1)
    assert y.tolist() == [[0.5, 0.0, 0.5]]
    assert grad(y, x, np.array([[4.0, 1.0, 0.0]]))[0].tolist() == [[1.0, 0.0, -1.0]]


def test_not_a_number_spoils_its_line_only():
    y = F.softmax(np.array([[np.nan, 1.0], [1.0, 1.0]]), 1)
    assert np.isnan(y[0]).all() and y[1].tolist() == [0.5, 0.5]


def test_a_changed_result_does_not_change_the_gradient():
    """What backward needs is kept apart from the result, which the user may write to."""
    x = Tensor(np.array([0.0, 0.0]), requires_grad=True)
    for name, right in ("softmax", [0.5, -0.5]), ("log_softmax", [1.0, -1.0]):
        y = getattr(F, name)(x, 0)
        y.data[...] = 7.0
        assert grad(y, x, np.array([2.0, 0.0]))[0].tolist() == right


def test_dtype_converts_first():
    x = Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    for name in NAMES:
        y = getattr(F, name)(x, 0, dtype=np.float64)
        assert y.dtype == np.float64
        np.testing.assert_allclose(y.data, getattr(F, name)(np.array([1.0, 2.0]), 0), rtol=1e-15)
        (g,) = grad(y, x, np.array([1.0, 3.0]))
        np.testing.assert_allclose(g.data, grad(getattr(F, name)(x, 0), x, np.array([1.0, 3.0], np.float32))[0].data, rtol=1e-5)
        assert g.dtype == np.float32


@pytest.mark.parametrize("error, words, call", [
    (TypeError, "softmax: say along which axis.*Pass dim=1", lambda x: F.softmax(x)),
    (TypeError, "log_softmax: say along which axis", lambda x: F.log_softmax(x)),
    (TypeError, "softmin: say along which axis", lambda x: F.softmin(x)),
    (ValueError, r"softmax: dim must lie in \[-2, 1\] for input \(2, 3\), got 2", lambda x: F.softmax(x, 2)),
    (ValueError, r"log_softmax: dim must lie in \[-1, 0\] for input \(\), got 1", lambda x: F.log_softmax(x.sum(), 1)),
    (TypeError, "softmin: dim must be an integer", lambda x: F.softmin(x, (0, 1))),
    (TypeError, "softmax: input must be floating point, got int64", lambda x: F.softmax(x.astype(int), 0)),
    (TypeError, "softmin: input must be a Tensor or an array, got list", lambda x: F.softmin([1.0], 0)),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call(np.ones((2, 3)))
