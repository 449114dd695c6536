"""What the case table does not say about convolution: its messages, and NumPy arrays in, NumPy arrays out."""

import numpy as np
import pytest

from tinyvision import Tensor
from tinyvision.functional import conv2d, conv_transpose2d


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "takes 3 channels in.*got input .* with 1 channels", lambda: conv2d(zeros(2, 1, 8, 8), zeros(4, 3, 3, 3))),
    (ValueError, "channels first", lambda: conv2d(zeros(2, 8, 8, 3), zeros(4, 3, 3, 3))),
    (ValueError, r"input must be \(N, C, H, W\).*x\[None, None\]", lambda: conv2d(zeros(8, 8), zeros(4, 1, 3, 3))),
    (ValueError, "must fit into the padded image.*larger image", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 5, 5))),
    (ValueError, "spanning", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3), dilation=2)),
    (TypeError, "weight must be floating point, got int64", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3, dtype=int))),
    (TypeError, "one dtype", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3, dtype=np.float64))),
    (TypeError, "Use Tensor", lambda: conv2d([[1.0]], zeros(1, 1, 3, 3))),
    (ValueError, "bias must have one value per output channel", lambda: conv2d(zeros(1, 1, 4, 4), zeros(2, 1, 3, 3), zeros(1))),
    (ValueError, "weight must have 4 axes", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 3, 3))),
    (ValueError, "groups must be at least 1, got 0", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3), groups=0)),
    (TypeError, "groups must be an integer, got 1.5", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3), groups=1.5)),
    (ValueError, "stride must be at least 1, got 0", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3), stride=0)),
    (TypeError, "stride must be an integer", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3), stride=1.5)),
    (ValueError, "padding must be one integer or 2", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3), padding=(1, 1, 1))),
    (ValueError, "only with stride 1", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3), stride=2, padding="same")),
    (ValueError, "'valid', 'same' or integers", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3), padding="full")),
    (ValueError, "at least one tap", lambda: conv2d(zeros(1, 1, 4, 4), zeros(1, 1, 0, 3))),
    (ValueError, "as many channels", lambda: conv_transpose2d(zeros(1, 1, 4, 4), zeros(2, 1, 3, 3))),
    (ValueError, "output_padding must be smaller", lambda: conv_transpose2d(zeros(1, 1, 4, 4), zeros(1, 1, 3, 3),
                                                                            output_padding=1)),
    (ValueError, "at least one pixel", lambda: conv_transpose2d(zeros(1, 1, 1, 1), zeros(1, 1, 2, 2), padding=1)),
])
def test_messages(error, words, call):
    with pytest.raises(error, match=words):
        call()


def test_arrays_in_array_out():
    y = conv2d(zeros(1, 1, 4, 4), zeros(2, 1, 3, 3), zeros(2))
    assert isinstance(y, np.ndarray) and y.dtype == np.float32


def test_first_layer_computes_no_gradient_of_the_picture():
    x, w = Tensor(zeros(1, 1, 4, 4)), Tensor(zeros(2, 1, 3, 3), requires_grad=True)
    y = conv2d(x, w)
    assert y.op.needs == (False, True)
    gx, gw = y.op.backward(y.data, x.data, w.data)
    assert gx is None and gw.shape == w.shape
