"""What the case table does not say about padding: messages, dtypes, memory, and what must not spread."""

import numpy as np
import pytest

from tinyvision import Tensor, grad
from tinyvision.functional import pad


def zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "mode must be one of 'constant'.*got 'wrap'", lambda: pad(zeros(1, 3), (1, 1), "wrap")),
    (TypeError, "pad must be a tuple of integers.*got 1", lambda: pad(zeros(1, 3), 1)),
    (TypeError, "tuple of integers", lambda: pad(zeros(1, 3), (1.0, 1))),
    (TypeError, "Use Tensor", lambda: pad([1.0], (1, 1))),
    (ValueError, r"pair \(before, after\).*2 pairs at most, got \(1,\)", lambda: pad(zeros(1, 3), (1,))),
    (ValueError, "2 pairs at most", lambda: pad(zeros(1, 3), (1,) * 6)),
    (ValueError, "value is for mode 'constant' only, got value=1.0", lambda: pad(zeros(1, 3), (1, 1), "reflect", 1.0)),
    (ValueError, "cannot take more pixels away than there are", lambda: pad(zeros(1, 3), (-2, -2))),
    (ValueError, "cannot take more", lambda: pad(zeros(1, 3), (-4, 5))),
    (ValueError, "a pair of widths for every axis.*got 1 pairs for input", lambda: pad(zeros(1, 1, 3, 3), (1, 1), "reflect")),
    (ValueError, "three at most", lambda: pad(zeros(2, 2, 2, 2, 2), (1,) * 8, "replicate")),
    (ValueError, "a pair of widths for every axis", lambda: pad(zeros(3), (1, 1), "circular")),
    (ValueError, r"narrower than the picture, got widths \(3, 0\) for 3 pixels on axis 1",
     lambda: pad(zeros(1, 3), (3, 0), "reflect")),
    (ValueError, r"once at most, got widths \(0, 4\) for 3 pixels", lambda: pad(zeros(1, 3), (0, 4), "circular")),
    (ValueError, r"once at most, got widths \(-2, 2\) for 1 pixels", lambda: pad(zeros(1, 3), (-2, 2), "circular")),
    (ValueError, "at least one pixel before and after, got 3 -> 0", lambda: pad(zeros(1, 3), (-3, 0), "replicate")),
    (ValueError, "at least one pixel before and after, got 0 -> 2", lambda: pad(zeros(2, 0), (1, 1), "circular")),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, np.float16])
def test_any_dtype(mode, dtype):
    x = np.array([[[0, 1, 1]]]).astype(dtype)
    y = pad(x, (2, 1), mode)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, pad(x.astype(float), (2, 1), mode))


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("widths", [(0, 0), (-1, -1), (-1, 1)])
def test_the_result_is_never_the_input(mode, widths):
    x = np.arange(5.0).reshape(1, 1, 5)
    assert not np.shares_memory(pad(x, widths, mode), x)


def test_circular_padding_commutes_with_rolling():
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 4))
    rolled = pad(np.roll(x, (2, 1), (2, 3)), (4, 4, 5, 5), "circular")
    np.testing.assert_array_equal(rolled[:, :, 2:, 1:], pad(x, (4, 4, 5, 5), "circular")[:, :, :-2, :-1])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_a_bad_gradient_reaches_only_the_pixel_that_was_copied(mode, bad):
    x = Tensor(np.arange(16.0).reshape(1, 1, 4, 4), requires_grad=True)
    y = pad(x, (2, 1, 3, 2), mode)
    g = np.ones(y.shape)
    g[0, 0, 4, 3] = bad                                   # output (4, 3) shows pixel (1, 1)
    found = np.argwhere(~np.isfinite(grad(y, x, g)[0].data[0, 0]))
    np.testing.assert_array_equal(found, [[1, 1]])


def test_no_gradient_of_the_value():
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    (g,) = grad(pad(x, (1, 2), value=5.0), x, np.array([[1.0, 10.0, 100.0, 1000.0, 10000.0]]))
    np.testing.assert_array_equal(g.data, [[10.0, 100.0]])
