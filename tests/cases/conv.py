"""Convolutions: overlap, strides that leave a rest, non-square everything, one pixel, empty batch, no batch axis."""

from tests.cases import case, randn
from tests.oracles.conv import conv, conv_transpose

CASES = [
    case("conv1d", randn(2, 3, 9), randn(4, 3, 3), randn(4), linear=(), oracle=conv),
    case("conv1d", randn(2, 4, 11), randn(6, 2, 4), stride=3, padding=2, dilation=2, groups=2, linear=(0, 1), oracle=conv),
    case("conv1d", randn(3, 8), randn(2, 3, 2), randn(2)),
    case("conv2d", randn(2, 3, 7, 6), randn(4, 3, 3, 2), randn(4), oracle=conv),
    case("conv2d", randn(2, 4, 7, 6), randn(6, 2, 3, 2), stride=(2, 3), padding=(1, 2), groups=2, linear=(0, 1), oracle=conv),
    case("conv2d", randn(1, 2, 8, 9), randn(3, 2, 3, 3), stride=2, padding=2, dilation=(2, 1), linear=(0, 1), oracle=conv),
    case("conv2d", randn(2, 3, 5, 4), randn(3, 1, 3, 3), padding=1, groups=3, linear=(0, 1), oracle=conv),
    case("conv2d", randn(2, 2, 6, 5), randn(3, 2, 2, 4), padding="same", linear=(0, 1), oracle=conv),
    case("conv2d", randn(2, 2, 6, 5), randn(3, 2, 3, 2), padding="same", dilation=2, linear=(0, 1), oracle=conv),
    case("conv2d", randn(2, 2, 6, 5), randn(3, 2, 3, 2), padding="valid", linear=(0, 1), oracle=conv),
    case("conv2d", randn(2, 5, 4, 3), randn(3, 5, 1, 1), randn(3), oracle=conv),
    case("conv2d", randn(1, 1, 1, 1), randn(1, 1, 1, 1), linear=(0, 1), oracle=conv),
    case("conv2d", randn(2, 2, 3, 3), randn(3, 2, 3, 3), stride=5, linear=(0, 1), oracle=conv),
    case("conv2d", randn(0, 2, 4, 4), randn(3, 2, 3, 3), randn(3), oracle=conv),
    case("conv2d", randn(2, 6, 5), randn(3, 2, 3, 3), randn(3)),
    case("conv3d", randn(2, 2, 4, 5, 3), randn(3, 2, 2, 3, 2), randn(3), oracle=conv),
    case("conv3d", randn(1, 2, 5, 4, 6), randn(4, 1, 2, 3, 2), stride=(1, 2, 3), padding=(1, 0, 2), dilation=(2, 1, 1),
         groups=2, linear=(0, 1), oracle=conv),
    case("conv_transpose1d", randn(2, 3, 5), randn(3, 2, 3), randn(2), stride=2, oracle=conv_transpose),
    case("conv_transpose1d", randn(2, 4, 4), randn(4, 1, 3), stride=3, padding=1, output_padding=2, groups=2, dilation=2,
         linear=(0, 1), oracle=conv_transpose),
    case("conv_transpose2d", randn(2, 3, 4, 3), randn(3, 2, 3, 2), randn(2), oracle=conv_transpose),
    case("conv_transpose2d", randn(2, 3, 4, 3), randn(3, 2, 2, 2), stride=2, linear=(0, 1), oracle=conv_transpose),
    case("conv_transpose2d", randn(2, 4, 3, 4), randn(4, 3, 3, 3), stride=2, padding=1, output_padding=(1, 0), groups=2,
         linear=(0, 1), oracle=conv_transpose),
    case("conv_transpose2d", randn(1, 2, 3, 4), randn(2, 3, 2, 3), stride=(1, 3), padding=(0, 2), dilation=(3, 1),
         linear=(0, 1), oracle=conv_transpose),
    case("conv_transpose2d", randn(2, 3, 4), randn(2, 3, 2, 2), stride=3),
    case("conv_transpose3d", randn(1, 2, 3, 2, 3), randn(2, 2, 2, 3, 2), randn(2), stride=(2, 1, 2), padding=(1, 0, 1),
         oracle=conv_transpose),
    case("conv_transpose3d", randn(2, 2, 2, 3, 2), randn(2, 1, 2, 2, 3), stride=2, output_padding=1, dilation=2, groups=2,
         linear=(0, 1), oracle=conv_transpose),
]
