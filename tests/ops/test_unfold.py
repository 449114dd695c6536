"""What the case table does not say about unfold and fold: messages, and what they have to do with convolution."""

import numpy as np
import pytest

from tinyvision.functional import conv2d, fold, unfold


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, r"input must be \(N, C, H, W\)", lambda: unfold(zeros(4, 4), 2)),
    (ValueError, r"input must be \(N, C, H, W\)", lambda: unfold(zeros(1, 1, 1, 4, 4), 2)),
    (ValueError, "at least one channel and pixel", lambda: unfold(zeros(1, 0, 4, 4), 2)),
    (ValueError, r"must fit into the padded image, got kernel_size \(3, 3\) \(spanning \(5, 5\)",
     lambda: unfold(zeros(1, 1, 4, 4), 3, dilation=2)),
    (ValueError, "stride must be at least 1", lambda: unfold(zeros(1, 1, 4, 4), 2, stride=0)),
    (ValueError, "padding must be at least 0", lambda: unfold(zeros(1, 1, 4, 4), 2, padding=-1)),
    (TypeError, "floating point, got int64", lambda: unfold(zeros(1, 1, 4, 4, dtype=int), 2)),
    (TypeError, "floating point, got int64", lambda: fold(zeros(1, 4, 9, dtype=int), 4, 2)),
    (ValueError, r"multiple of 4 rows for kernel_size \(2, 2\) and 3 \* 3 = 9 columns.*got shape \(1, 5, 9\)",
     lambda: fold(zeros(1, 5, 9), 4, 2)),
    (ValueError, r"9 columns for output_size \(4, 4\), got shape \(1, 4, 8\)", lambda: fold(zeros(1, 4, 8), 4, 2)),
    (ValueError, "fold: the kernel must fit", lambda: fold(zeros(1, 4, 8), (1, 4), 2)),
    (ValueError, "output_size must be at least 1", lambda: fold(zeros(1, 4, 8), 0, 2)),
    (ValueError, r"fold: input must be \(N, C\*KH\*KW, OH\*OW\)", lambda: fold(zeros(1, 4, 3, 3), 4, 2)),
    (ValueError, "at least one row and column", lambda: fold(zeros(1, 0, 9), 4, 2)),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()


def test_convolution_is_unfold_and_a_product():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 7, 6)), rng.standard_normal((4, 3, 3, 2))
    y = w.reshape(4, -1) @ unfold(x, (3, 2), dilation=(2, 1), padding=1, stride=2)        # (O, C*KH*KW) @ (N, C*KH*KW, OH*OW)
    right = conv2d(x, w, stride=2, padding=1, dilation=(2, 1))
    np.testing.assert_allclose(y.reshape(right.shape), right, rtol=1e-12, atol=1e-12)


def test_fold_counts_the_windows_over_each_pixel():
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5))
    again, count = (fold(unfold(a, 3, padding=1), (6, 5), 3, padding=1) for a in (x, np.ones_like(x)))
    assert count[0, 0].tolist() == np.outer([2, 3, 3, 3, 3, 2], [2, 3, 3, 3, 2]).tolist()
    np.testing.assert_allclose(again / count, x, rtol=1e-12)


def test_side_by_side_fold_undoes_unfold():
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 4))
    np.testing.assert_array_equal(fold(unfold(x, 2, stride=2), (6, 4), 2, stride=2), x)
