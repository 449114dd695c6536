"""Pooling: overlap, strides that leave a rest, windows that hang over, non-square everything, one pixel, empty batch."""

import numpy as np

from tests.cases import Spec, case, distinct, randn
from tests.oracles.pool import adaptive_avg_pool, adaptive_max_pool, avg_pool, fold, max_pool, max_unpool, unfold


def places(n, pixels, *shape):
    """Indices as max_pool gives them, of one of so many pixels, none twice in a plane of n axes."""
    def draw(rng):
        count = int(np.prod(shape[-n:]))
        rows = [rng.permutation(pixels)[:count] for _ in range(int(np.prod(shape[:-n])))]
        return np.array(rows, np.int64).reshape(shape)
    return Spec(draw, f"places{shape}", grad=False)


def max_case(name, *args, **kwargs):
    """max_pool is linear where the winners stay the same, so the adjoint identity holds for it as well."""
    options = dict(linear=(0,), oracle=max_pool)
    return case(name, *args, **(options | kwargs))


CASES = [
    max_case("max_pool1d", distinct(2, 3, 9), 2),
    max_case("max_pool1d", distinct(2, 2, 11), 4, stride=3, padding=2, dilation=2, ceil_mode=True),
    max_case("max_pool1d", distinct(2, 7), 3, stride=2, padding=1, oracle=None),
    max_case("max_pool2d", distinct(2, 3, 6, 4), 2),
    max_case("max_pool2d", distinct(2, 2, 7, 6), 3, stride=2, padding=1),
    max_case("max_pool2d", distinct(2, 2, 7, 6), (3, 2), stride=(1, 2), padding=(1, 0)),
    max_case("max_pool2d", distinct(1, 2, 8, 9), (2, 3), stride=(3, 2), padding=1, dilation=(2, 3)),
    max_case("max_pool2d", distinct(2, 1, 6, 7), 3, stride=2, ceil_mode=True),
    max_case("max_pool2d", distinct(2, 1, 6, 5), (2, 4), stride=3, padding=(1, 2), ceil_mode=True),
    max_case("max_pool2d", distinct(2, 1, 5, 5), 2, stride=4),
    max_case("max_pool2d", distinct(2, 2, 5, 6), 3, 2, 1, 1, False, True, output=0),
    max_case("max_pool2d", distinct(2, 5, 6), (5, 1), stride=1, return_indices=True, output=0, oracle=None),
    max_case("max_pool2d", distinct(1, 1, 1, 1), 1),
    max_case("max_pool2d", distinct(0, 2, 4, 4), 2),
    max_case("max_pool3d", distinct(2, 2, 4, 5, 3), 2, stride=1),
    max_case("max_pool3d", distinct(1, 2, 5, 4, 6), (2, 3, 2), stride=(1, 2, 3), padding=(1, 1, 0), dilation=(2, 1, 2),
             ceil_mode=True, return_indices=True, output=0),
    max_case("max_pool3d", distinct(2, 4, 4, 3), 2, padding=1, oracle=None),

    case("max_unpool1d", randn(2, 3, 4), places(1, 8, 2, 3, 4), 2, linear=(0,), oracle=max_unpool),
    case("max_unpool1d", randn(2, 1, 3), places(1, 8, 2, 1, 3), 3, stride=3, output_size=(8,), linear=(0,), oracle=max_unpool),
    case("max_unpool1d", randn(2, 3), places(1, 9, 2, 3), 3, linear=(0,)),
    case("max_unpool2d", randn(2, 2, 3, 2), places(2, 24, 2, 2, 3, 2), 2, linear=(0,), oracle=max_unpool),
    case("max_unpool2d", randn(2, 2, 3, 2), places(2, 30, 2, 2, 3, 2), (3, 2), stride=(2, 3), padding=(1, 0),
         output_size=(6, 5), linear=(0,), oracle=max_unpool),
    case("max_unpool2d", randn(1, 2, 2, 2), places(2, 20, 1, 2, 2, 2), 2, output_size=(1, 2, 5, 4), linear=(0,),
         oracle=max_unpool),
    case("max_unpool2d", randn(0, 2, 2, 2), places(2, 16, 0, 2, 2, 2), 2, linear=(0,), oracle=max_unpool),
    case("max_unpool3d", randn(2, 1, 2, 1, 2), places(3, 32, 2, 1, 2, 1, 2), 2, linear=(0,), oracle=max_unpool),
    case("max_unpool3d", randn(1, 2, 1, 2, 2), places(3, 60, 1, 2, 1, 2, 2), (2, 3, 3), stride=(2, 2, 3), linear=(0,),
         oracle=max_unpool),

    case("avg_pool1d", randn(2, 3, 9), 2, linear=(0,), oracle=avg_pool),
    case("avg_pool1d", randn(2, 3, 10), 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False, linear=(0,),
         oracle=avg_pool),
    case("avg_pool1d", randn(2, 7), 3, stride=2, padding=1, linear=(0,)),
    case("avg_pool2d", randn(2, 3, 6, 4), 2, linear=(0,), oracle=avg_pool),
    case("avg_pool2d", randn(2, 2, 7, 6), 3, stride=2, padding=1, linear=(0,), oracle=avg_pool),
    case("avg_pool2d", randn(2, 2, 7, 6), 3, stride=2, padding=1, count_include_pad=False, linear=(0,), oracle=avg_pool),
    case("avg_pool2d", randn(1, 2, 8, 9), (2, 4), stride=(3, 2), padding=(1, 2), ceil_mode=True, linear=(0,), oracle=avg_pool),
    case("avg_pool2d", randn(1, 2, 6, 7), (4, 2), stride=(3, 4), padding=(2, 0), ceil_mode=True, count_include_pad=False,
         linear=(0,), oracle=avg_pool),
    case("avg_pool2d", randn(2, 1, 6, 7), 3, stride=2, ceil_mode=True, linear=(0,), oracle=avg_pool),
    case("avg_pool2d", randn(2, 1, 5, 6), (3, 2), 2, 1, False, True, 5, linear=(0,), oracle=avg_pool),
    case("avg_pool2d", randn(1, 1, 1, 1), 1, linear=(0,), oracle=avg_pool),
    case("avg_pool2d", randn(0, 2, 4, 4), 2, linear=(0,), oracle=avg_pool),
    case("avg_pool2d", randn(2, 5, 6), (5, 1), stride=1, linear=(0,)),
    case("avg_pool3d", randn(2, 2, 4, 5, 3), 2, stride=1, linear=(0,), oracle=avg_pool),
    case("avg_pool3d", randn(1, 2, 5, 4, 6), (2, 3, 2), stride=(1, 2, 3), padding=(1, 1, 0), ceil_mode=True,
         count_include_pad=False, linear=(0,), oracle=avg_pool),
    case("avg_pool3d", randn(2, 4, 4, 3), 2, padding=1, divisor_override=-3, linear=(0,)),

    max_case("adaptive_max_pool1d", distinct(2, 3, 8), 5, oracle=adaptive_max_pool),
    max_case("adaptive_max_pool1d", distinct(3, 4), 7, oracle=None),
    max_case("adaptive_max_pool2d", distinct(2, 2, 7, 5), (3, 2), oracle=adaptive_max_pool),
    max_case("adaptive_max_pool2d", distinct(2, 2, 6, 4), (3, 4), True, output=0, oracle=adaptive_max_pool),
    max_case("adaptive_max_pool2d", distinct(1, 2, 5, 3), (None, 1), oracle=adaptive_max_pool),
    max_case("adaptive_max_pool2d", distinct(2, 3, 4, 5), 1, return_indices=True, output=0, oracle=adaptive_max_pool),
    max_case("adaptive_max_pool2d", distinct(1, 2, 3, 2), (5, 7), oracle=adaptive_max_pool),
    max_case("adaptive_max_pool2d", distinct(0, 2, 3, 2), 2, oracle=adaptive_max_pool),
    max_case("adaptive_max_pool2d", distinct(1, 2, 3, 2), 0, torch=None, oracle=adaptive_max_pool),
    max_case("adaptive_max_pool3d", distinct(1, 2, 5, 4, 7), (2, 3, 4), return_indices=True, output=0,
             oracle=adaptive_max_pool),
    max_case("adaptive_max_pool3d", distinct(2, 3, 2, 4), (2, None, 3), oracle=None),

    case("adaptive_avg_pool1d", randn(2, 3, 8), 5, linear=(0,), oracle=adaptive_avg_pool),
    case("adaptive_avg_pool1d", randn(3, 4), 7, linear=(0,)),
    case("adaptive_avg_pool2d", randn(2, 2, 7, 5), (3, 2), linear=(0,), oracle=adaptive_avg_pool),
    case("adaptive_avg_pool2d", randn(2, 2, 6, 4), (3, 4), linear=(0,), oracle=adaptive_avg_pool),
    case("adaptive_avg_pool2d", randn(1, 2, 5, 3), (None, 1), linear=(0,), oracle=adaptive_avg_pool),
    case("adaptive_avg_pool2d", randn(2, 3, 4, 5), 1, linear=(0,), oracle=adaptive_avg_pool),
    case("adaptive_avg_pool2d", randn(1, 2, 3, 2), (5, 6), linear=(0,), oracle=adaptive_avg_pool),
    case("adaptive_avg_pool2d", randn(0, 2, 3, 2), 2, linear=(0,), oracle=adaptive_avg_pool),
    case("adaptive_avg_pool2d", randn(1, 2, 3, 2), (0, 2), linear=(0,), torch=None, oracle=adaptive_avg_pool),
    case("adaptive_avg_pool3d", randn(1, 2, 5, 4, 7), (2, 3, 4), linear=(0,), oracle=adaptive_avg_pool),
    case("adaptive_avg_pool3d", randn(2, 3, 2, 4), (2, None, 3), linear=(0,)),

    case("unfold", randn(2, 3, 5, 4), (3, 2), linear=(0,), oracle=unfold),
    case("unfold", randn(2, 2, 7, 6), 3, 1, 1, 2, linear=(0,), oracle=unfold),
    case("unfold", randn(1, 2, 8, 9), (2, 3), dilation=(3, 2), padding=(0, 4), stride=(3, 2), linear=(0,), oracle=unfold),
    case("unfold", randn(1, 1, 1, 1), 1, linear=(0,), oracle=unfold),
    case("unfold", randn(0, 2, 3, 3), 2, linear=(0,), oracle=unfold),
    case("unfold", randn(2, 4, 3), 2, stride=2, linear=(0,)),
    case("fold", randn(2, 18, 9), (5, 4), (3, 2), linear=(0,), oracle=fold),
    case("fold", randn(2, 18, 12), (7, 6), 3, 1, 1, 2, linear=(0,), oracle=fold),
    case("fold", randn(1, 12, 14), (8, 9), (2, 3), dilation=(3, 2), padding=(0, 4), stride=(3, 2), linear=(0,), oracle=fold),
    case("fold", randn(0, 4, 4), 3, 2, linear=(0,), oracle=fold),
    case("fold", randn(8, 2), (4, 3), 2, stride=2, linear=(0,)),
]
