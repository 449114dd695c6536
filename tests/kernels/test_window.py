"""Window and im2col against counting and copying one by one."""

from itertools import product

import numpy as np
import pytest

from tinyvision.kernels.im2col import col2im, frame, im2col
from tinyvision.kernels.window import Window

GEOMETRIES = [  # sizes, kernel, stride, padding, dilation
    ((7,), (3,), (1,), ((0, 0),), (1,)),
    ((8,), (3,), (2,), ((2, 1),), (2,)),
    ((5, 6), (3, 2), (2, 3), ((1, 0), (0, 2)), (1, 2)),
    ((4, 4), (1, 1), (3, 1), ((0, 0), (0, 0)), (1, 1)),
    ((3, 3), (3, 3), (1, 1), ((2, 2), (0, 0)), (1, 1)),
    ((3, 4, 5), (2, 1, 3), (1, 2, 2), ((0, 1), (1, 1), (2, 0)), (2, 1, 1)),
    ((2, 2), (2, 2), (5, 5), ((0, 0), (0, 0)), (1, 1)),
]


@pytest.mark.parametrize("sizes, kernel, stride, padding, dilation", GEOMETRIES)
def test_output_counts_the_positions_that_fit(sizes, kernel, stride, padding, dilation):
    window = Window(kernel, stride, padding, dilation)
    for h, k, s, (lo, hi), d, o in zip(sizes, kernel, stride, padding, dilation, window.output(sizes)):
        fits = [start for start in range(0, h + lo + hi, s) if start + d * (k - 1) < h + lo + hi]
        assert o == len(fits)


@pytest.mark.parametrize("h", range(1, 12))
@pytest.mark.parametrize("k, s, p, d", [(2, 2, 0, 1), (3, 2, 1, 1), (3, 3, 1, 1), (2, 5, 1, 1), (2, 3, 0, 2), (1, 2, 0, 1)])
def test_ceil_mode_counts_windows_that_start_inside(h, k, s, p, d):
    window = Window((k,), (s,), ((p, p),), (d,))
    (o,) = window.output((h,), ceil_mode=True)
    span = d * (k - 1) + 1
    if span > h + 2 * p:
        return                                            # does not fit at all: callers refuse it
    starts = [i * s for i in range(h + 2 * p)]
    wanted = [start for start in starts if start < h + p and start - (h + 2 * p - span) < s]
    assert o == len(wanted)


@pytest.mark.parametrize("kernel, stride, padding, dilation", [row[1:] for row in GEOMETRIES])
def test_smallest_image_has_these_positions_and_one_pixel_less_has_not(kernel, stride, padding, dilation):
    window = Window(kernel, stride, padding, dilation)
    out = tuple(range(4, 4 + len(kernel)))
    sizes = window.smallest(out)
    assert window.output(sizes) == out
    assert window.output([h - 1 for h in sizes]) == tuple(o - 1 for o in out)


def padded(x, padding):
    return np.pad(x, ((0, 0), (0, 0), *padding))


@pytest.mark.parametrize("sizes, kernel, stride, padding, dilation", GEOMETRIES)
def test_im2col_copies_and_col2im_is_its_adjoint(sizes, kernel, stride, padding, dilation):
    rng = np.random.default_rng(0)
    window = Window(kernel, stride, padding, dilation)
    x = rng.standard_normal((2, 3, *sizes))
    col, xpad, out = im2col(x, window), padded(x, padding), window.output(sizes)
    assert col.shape == (2, 3, *kernel, *out)
    for k in product(*map(range, kernel)):
        for o in product(*map(range, out)):
            pixel = tuple(i * s + j * d for i, s, j, d in zip(o, stride, k, dilation))
            np.testing.assert_array_equal(col[(..., *k, *o)], xpad[(..., *pixel)])
    u = rng.standard_normal(col.shape)
    back = col2im(u, sizes, window)
    assert back.shape == x.shape
    np.testing.assert_allclose((u * col).sum(), (back * x).sum())


def test_im2col_keeps_dtype_and_does_not_write_to_its_input():
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    x.flags.writeable = False
    assert im2col(x, Window((2, 2), (1, 1), ((1, 1), (1, 1)), (1, 1))).dtype == np.float32


def test_frame_fills_and_cuts():
    x = np.ones((1, 1, 4))
    window = Window((2,), (3,), ((1, 1),), (1,))          # reaches 5 of the 6 padded pixels
    np.testing.assert_array_equal(frame(x, window, (2,), fill=-7)[0, 0], [-7, 1, 1, 1, 1])
    assert frame(x, Window((2,), (2,), ((0, 0),), (1,)), (2,)) is x
