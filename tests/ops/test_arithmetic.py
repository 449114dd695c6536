"""maximum and minimum at ties, which the table of cases avoids."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import Tensor


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_tie_is_shared(name, dtype):
    """Half of the gradient each, also between infinities, whose difference would not be a number."""
    torch = pytest.importorskip("torch")
    xs = np.array([1, np.inf, -np.inf, 2, 0], dtype), np.array([1, np.inf, -np.inf, 3, -np.inf], dtype)
    u = np.array([2, 3, 5, 7, 11], dtype)
    ours, theirs = [Tensor(x, requires_grad=True) for x in xs], [torch.tensor(x, requires_grad=True) for x in xs]
    getattr(tv, name)(*ours).backward(u)
    getattr(torch, name)(*theirs).backward(torch.tensor(u))
    for a, b in zip(ours, theirs):
        assert a.grad.dtype == dtype
        np.testing.assert_array_equal(a.grad.data, b.grad.numpy())
    assert (ours[0].grad + ours[1].grad).tolist() == u.tolist()
