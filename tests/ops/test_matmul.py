"""The messages of matmul, linear and bilinear."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision.functional import bilinear, linear


def zeros(*shape):
    return np.zeros(shape)


@pytest.mark.parametrize("words, call", [
    (r"matmul: needs vectors or matrices, got shapes \(\) and \(3,\).*Use \*", lambda: tv.matmul(2.0, zeros(3))),
    (r"matmul: the last axis of a must match the second last of b, got shapes \(2, 3\) and \(2, 3\)",
     lambda: tv.matmul(zeros(2, 3), zeros(2, 3))),
    (r"linear: the last axis of input must have the size I of weight \(O, I\), got input \(2, 1, 28, 28\) and weight "
     r"\(10, 784\).*flatten first", lambda: linear(zeros(2, 1, 28, 28), zeros(10, 784))),
    ("linear: the last axis", lambda: linear(zeros(), zeros(1, 1))),
    (r"bilinear: weight must be \(O, I1, I2\)", lambda: bilinear(zeros(2, 3), zeros(2, 4), zeros(5, 4, 3))),
    (r"bilinear: weight must be .*input1 \(\), input2 \(4,\)", lambda: bilinear(zeros(), zeros(4), zeros(5, 3, 4))),
    (r"bilinear: .*equal axes in front", lambda: bilinear(zeros(2, 3), zeros(1, 4), zeros(5, 3, 4))),
])
def test_messages(words, call):
    with pytest.raises(ValueError, match=words):
        call()
