"""Rearrangement: several factors, one channel, further axes in front, no pixels (which PyTorch returns in their old shape)."""

from tests.cases import case, randn
from tests.oracles.rearrange import channel_shuffle, pixel_shuffle, pixel_unshuffle

CASES = [
    case("pixel_shuffle", randn(2, 8, 2, 3), 2, linear=(0,), oracle=pixel_shuffle),
    case("pixel_shuffle", randn(9, 2, 1), upscale_factor=3, linear=(0,), oracle=pixel_shuffle),
    case("pixel_shuffle", randn(2, 1, 4, 3, 2), 2, linear=(0,), oracle=pixel_shuffle),
    case("pixel_shuffle", randn(1, 3, 2, 2), 1, linear=(0,), oracle=pixel_shuffle),
    case("pixel_shuffle", randn(0, 4, 2, 2), 2, linear=(0,), oracle=pixel_shuffle, torch=None),
    case("pixel_shuffle", randn(1, 0, 2, 2), 2, linear=(0,), oracle=pixel_shuffle, torch=None),
    case("pixel_unshuffle", randn(2, 2, 4, 6), 2, linear=(0,), oracle=pixel_unshuffle),
    case("pixel_unshuffle", randn(1, 6, 3), downscale_factor=3, linear=(0,), oracle=pixel_unshuffle),
    case("pixel_unshuffle", randn(2, 1, 2, 2, 4), 2, linear=(0,), oracle=pixel_unshuffle),
    case("pixel_unshuffle", randn(1, 2, 0, 4), 2, linear=(0,), oracle=pixel_unshuffle, torch=None),
    case("channel_shuffle", randn(2, 6, 2, 3), 3, linear=(0,), oracle=channel_shuffle),
    case("channel_shuffle", randn(2, 6, 2, 3), groups=2, linear=(0,), oracle=channel_shuffle),
    case("channel_shuffle", randn(1, 4, 3), 4, linear=(0,), oracle=channel_shuffle),
    case("channel_shuffle", randn(0, 4, 2, 2), 2, linear=(0,), oracle=channel_shuffle),
]
