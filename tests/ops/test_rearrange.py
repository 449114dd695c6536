"""What the case table does not say about rearrangement: messages, inverses, dtypes."""

import numpy as np
import pytest

from tinyvision.functional import channel_shuffle, pixel_shuffle, pixel_unshuffle


def zeros(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, r"multiple of upscale_factor\^2 = 4, got 3", lambda: pixel_shuffle(zeros(1, 3, 2, 2), 2)),
    (ValueError, "upscale_factor must be at least 1, got 0", lambda: pixel_shuffle(zeros(1, 4, 2, 2), 0)),
    (TypeError, "upscale_factor must be an integer, got 2.0", lambda: pixel_shuffle(zeros(1, 4, 2, 2), 2.0)),
    (ValueError, "at least 3 axes", lambda: pixel_shuffle(zeros(2, 2), 1)),
    (TypeError, "Use Tensor", lambda: pixel_shuffle([[[1.0]]], 1)),
    (ValueError, "multiples of downscale_factor 2, got 3 x 4", lambda: pixel_unshuffle(zeros(1, 3, 4), 2)),
    (ValueError, "downscale_factor must be at least 1, got -1", lambda: pixel_unshuffle(zeros(1, 4, 4), -1)),
    (ValueError, "at least 3 axes", lambda: pixel_unshuffle(zeros(4, 4), 2)),
    (ValueError, "divide the channels, got groups=3 and 4 channels", lambda: channel_shuffle(zeros(1, 4, 2, 2), 3)),
    (ValueError, "groups must be at least 1, got 0", lambda: channel_shuffle(zeros(1, 4, 2, 2), 0)),
    (ValueError, "at least 3 axes", lambda: channel_shuffle(zeros(4, 2), 2)),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("dtype", [np.float64, np.uint8])
def test_each_undoes_the_other(dtype):
    x = np.arange(2 * 2 * 6 * 12).reshape(2, 2, 6, 12).astype(dtype)
    for r in (1, 2, 3, 6):
        y = pixel_unshuffle(x, r)
        assert y.dtype == dtype and y.shape == (2, 2 * r * r, 6 // r, 12 // r)
        np.testing.assert_array_equal(pixel_shuffle(y, r), x)


def test_shuffling_channels_back():
    """Groups of C/G undo groups of G."""
    x = np.arange(2 * 12 * 3).reshape(2, 12, 3)
    for groups in (1, 2, 3, 4, 6, 12):
        np.testing.assert_array_equal(channel_shuffle(channel_shuffle(x, groups), 12 // groups), x)


def test_after_shuffling_a_group_has_channels_of_every_group():
    x = (np.arange(12) // 4).reshape(1, 12, 1)            # 3 groups of 4
    y = channel_shuffle(x, 3).reshape(4, 3)
    assert all(set(row) == {0, 1, 2} for row in y)
