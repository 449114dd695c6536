"""Reading a picture in between its pixels: what rotations, affine maps and elastic deformations have in common.

Every new pixel is a weighted sum of old ones, so the whole deformation is a sparse matrix A (new pixels x old pixels) with a
few numbers in each row, and the picture is a vector, one for each channel:

    y = A x,    A[q, (i, j)] = w(y_q - i) w(x_q - j)          for the point (x_q, y_q) at which new pixel q is read

    nearest     1 number    the pixel that the point lies in
    bilinear    4 numbers   w(d) = 1 - |d| for |d| < 1
    bicubic    16 numbers   w: Keys's cubic with a = -3/4, as in ops/resample.py

Beyond the border stand further pixels: as many as the weights reach to, filled as the padding mode says.

Source: Keys 1981, Cubic convolution interpolation for digital image processing.
"""

import numpy as np

from ...ops.resample import cubic_weights
from ...packages import require

REACH = {"bilinear": 1, "bicubic": 2}                     # pixels on each side of the point that have a weight


def centres(height, width):
    """The middles of all pixels: x (1, W) and y (H, 1), in pixels from the left upper corner."""
    return np.arange(width)[None] + 0.5, np.arange(height)[:, None] + 0.5


def sample(x, points, interpolation, fill=0, padding_mode="constant"):
    """Read x (K, H, W) at points (2, *S), x and y in pixels from the left upper corner, giving (K, *S).

    interpolation: "nearest" (any dtype), "bilinear", "bicubic".  padding_mode: what is beyond the border: "constant" (fill, a
    number or (K, 1, 1)), "edge" (the border pixel) or "symmetric" (the picture mirrored in its border).

    >>> sample(np.float32([[[1, 3]]]), np.array([[0.5, 1.0, 2.5], [0.5, 0.5, 0.5]]), "bilinear")
    array([[1., 2., 0.]], dtype=float32)
    """
    K, H, W = x.shape
    margin = 1 if interpolation == "nearest" else 2 * REACH[interpolation] - 1
    if padding_mode == "constant":
        padded = np.empty((K, H + 2 * margin, W + 2 * margin), x.dtype)
        padded[:] = fill
        padded[:, margin:-margin, margin:-margin] = x
    else:
        padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)), padding_mode)
        points = folded(points, np.reshape([W, H], (2,) + (1,) * (points.ndim - 1)), padding_mode)
    columns, rows = points.reshape(2, -1)
    height, width = padded.shape[1:]
    pixels = padded.reshape(K, height * width)
    if interpolation == "nearest":
        row, column = [(np.clip(np.floor(p), -1, n) + 1).astype(np.int64) for p, n in ((rows, H), (columns, W))]
        y = pixels.take(row * width + column, axis=1)
    else:
        require("tinyvision.data.transforms", "scipy")
        A = matrix(taps(rows, H, interpolation), taps(columns, W, interpolation), width, height * width, x.dtype)
        y = np.empty((K, len(rows)), x.dtype)
        for k, channel in enumerate(pixels):
            y[k] = A @ channel
    return y.reshape((K,) + points.shape[1:])


def folded(points, size, padding_mode):
    """Points held at the border, or mirrored in it."""
    if padding_mode == "edge":
        return np.clip(points, 0, size)
    return size - np.abs(np.mod(points, 2 * size) - size)


def taps(p, n, interpolation):
    """The first pixel (Q,) that each point of an axis reads, as numbered in the padded picture; weights of it and the next."""
    reach = REACH[interpolation]
    p = np.clip(p - 0.5, -reach, n - 1 + reach)           # from there on all pixels are alike
    low = np.minimum(np.floor(p), n - 2 + reach)
    t = p - low
    return low.astype(np.int32) + reach, [1 - t, t] if interpolation == "bilinear" else cubic_weights(t)


def matrix(rows, columns, width, pixels, dtype):
    """The sparse matrix (Q, pixels), from the taps along both axes."""
    from scipy.sparse import csr_array
    (row, down), (column, along) = rows, columns
    down, along = [[w.astype(dtype) for w in weights] for weights in (down, along)]
    start, T = row * np.int32(width) + column, len(down)
    index, weight = np.empty((len(start), T * T), np.int32), np.empty((len(start), T * T), dtype)
    for i in range(T):
        for j in range(T):
            np.add(start, i * width + j, out=index[:, T * i + j])
            np.multiply(down[i], along[j], out=weight[:, T * i + j])
    ends = np.arange(0, index.size + 1, T * T, dtype=np.int32)
    return csr_array((weight.ravel(), index.ravel(), ends), shape=(len(start), pixels))
