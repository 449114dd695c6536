"""roi_pool and roi_align: from boxes of any size in a feature map to features of one size.

A box (x1, y1, x2, y2), times spatial_scale (feature pixels per picture pixel), is divided into OH x OW bins of equal size.

roi_pool rounds the box to whole pixels, both ends included, lets every bin hold the pixels it touches, as in
ops/adaptive.py, cuts off what lies outside the map, and takes the maximum: a gather by index.  Bins without pixels give 0.

roi_align rounds nothing.  Bin o, b pixels high, has S sample rows, and reads the map between pixels (bilinear):

    p(o, s) = y1 + (o + (s + 1/2) / S) b            x(p) = (1 - t) x[i] + t x[i+1]   with  i = floor(p), t = p - i

and likewise in columns; y is the mean over the samples of a bin.  This is linear and separable, hence two small matrices:

    y = A x B^T      A[o, i] = mean over s of the weight that p(o, s) gives to pixel i      (OH, h), B (OW, w) likewise
    gx = A^T g B     the adjoint; gradients reach x, the boxes are constants

At the border a sample up to one pixel outside (p from -1 to H) counts as on the nearest pixel; farther out it counts as 0.

Sources: Girshick 2015, Fast R-CNN, arXiv:1504.08083, section 2.1; He et al. 2017, Mask R-CNN, arXiv:1703.06870, section 3;
torchvision.ops.roi_pool, roi_align (its conventions for rounding, borders and small boxes).
"""

import numpy as np

from ..backend import array_module, is_array
from ..kernels import roi as kernels
from ..kernels.pool import spans
from ..tensor import Op, Tensor, raw
from .arithmetic import where
from .index import getitem
from .shapes import as_tuple, check_float, check_pixels


class RoiAlignOp(Op):
    """(N, C, H, W) -> (K, C, OH, OW): A x B^T for every box"""

    def __init__(self, picture, rows, columns, out):
        self.picture, self.rows, self.columns, self.out = picture, rows, columns, out

    def forward(self, x):
        return kernels.boxes_sample(x, self.picture, self.rows, self.columns, self.out)

    def backward(self, g, x):
        return RoiSpreadOp(self.picture, self.rows, self.columns, x.shape)(g)


class RoiSpreadOp(Op):
    """(K, C, OH, OW) -> (N, C, H, W): the adjoint of RoiAlignOp"""

    def __init__(self, picture, rows, columns, shape):
        self.picture, self.rows, self.columns, self.shape = picture, rows, columns, shape

    def forward(self, g):
        return kernels.boxes_spread(g, self.picture, self.rows, self.columns, self.shape)

    def backward(self, gg, g):
        return RoiAlignOp(self.picture, self.rows, self.columns, g.shape[2:])(gg)


def numbers(op, boxes, columns):
    """Boxes as a float64 array (K, columns) on the host, whatever they were."""
    if not (isinstance(boxes, (Tensor, list, tuple)) or is_array(boxes)):
        raise TypeError(f"{op}: boxes must be an array (K, 5) or a list of arrays (L, 4), got {type(boxes).__name__}.")
    listed = raw(boxes).tolist() if isinstance(boxes, Tensor) or is_array(boxes) else boxes
    array = np.array(listed, np.float64)
    array = array.reshape(0, columns) if array.shape == (0,) else array
    if array.ndim != 2 or array.shape[1] != columns:
        what = "(picture, x1, y1, x2, y2)" if columns == 5 else "(x1, y1, x2, y2)"
        raise ValueError(f"{op}: boxes must have {columns} numbers each, {what}, got shape {array.shape}. Pass one array "
                         "(K, 5), or a list with an array (L, 4) for each picture.")
    if not np.isfinite(array).all():
        raise ValueError(f"{op}: boxes must be finite, got {array[~np.isfinite(array).all(axis=1)][0]}.")
    return array


def read_boxes(op, boxes, x):
    """(picture of each box as integers (K,), corners (K, 4) in x's dtype, in which torchvision computes with them too)."""
    if isinstance(boxes, (list, tuple)):
        if len(boxes) != len(x):
            raise ValueError(f"{op}: boxes must be a list with one array (L, 4) for each of the {len(x)} pictures, got "
                             f"{len(boxes)}. Or pass one array (K, 5) with the number of the picture in front.")
        lists = [numbers(op, b, 4) for b in boxes]
        picture = np.repeat(np.arange(len(lists)), [len(b) for b in lists])
        return picture, np.concatenate([np.zeros((0, 4)), *lists]).astype(x.dtype)
    array = numbers(op, boxes, 5)
    wrong = array[(array[:, 0] != np.floor(array[:, 0])) | (array[:, 0] < 0) | (array[:, 0] >= len(x)), 0]
    if wrong.size:
        raise ValueError(f"{op}: the first number of a box must be the picture it lies in, 0..{len(x) - 1} for {len(x)} "
                         f"pictures, got {wrong[0]}. Boxes are (picture, x1, y1, x2, y2).")
    return array[:, 0].astype(np.int64), array[:, 1:].astype(x.dtype)


def check_roi(op, input, output_size, spatial_scale):
    """What both functions ask of the feature map and of the output; returns (OH, OW)."""
    check_float(op, input=input)
    if input.ndim != 4:
        raise ValueError(f"{op}: input must be (N, C, H, W), got shape {input.shape}. Add a batch axis with x[None].")
    check_pixels(op, input)
    if not spatial_scale > 0:
        raise ValueError(f"{op}: spatial_scale must be positive, got {spatial_scale!r}. It is the feature map's size "
                         "divided by the picture's, 1/16 where the network halves the picture four times.")
    return as_tuple(op, "output_size", output_size, 2, least=1)


def round_away(x):
    """To the nearest integer, halves away from zero, as C's round()."""
    whole = np.trunc(x)
    return (whole + np.sign(x) * (np.abs(x - whole) >= 0.5)).astype(np.int64)


def clipped_bins(start, size, bins, length):
    """The bins of one axis of a box within 0..length: (start, count) with count >= 1, and which bins are empty."""
    first, count = spans(size, bins)
    low, high = np.clip([start + first, start + first + count], 0, length)
    return (np.minimum(low, length - 1), np.maximum(high - low, 1)), high <= low


def bilinear_means(start, size, bins, samples, length):
    """One axis of a box: (first pixel, matrix (bins, pixels)) whose row o is the mean of the samples of bin o."""
    samples = samples if samples > 0 else max(int(np.ceil(size / bins)), 0)
    o, s = np.arange(bins, dtype=size.dtype)[:, None], np.arange(samples, dtype=size.dtype)
    p = start + o * (size / bins) + (s + 0.5) * (size / bins) / max(samples, 1)               # (bins, samples)
    share = ((p >= -1) & (p <= length)) / max(samples, 1)
    p = np.clip(p, 0, length - 1)
    low = np.floor(p).astype(np.int64)
    high, t = np.minimum(low + 1, length - 1), p - low
    first = int(low.min(initial=length - 1))
    matrix = np.zeros((bins, int(high.max(initial=first)) - first + 1), size.dtype)
    rows = np.broadcast_to(np.arange(bins)[:, None], p.shape)
    np.add.at(matrix, (rows, low - first), share * (1 - t))
    np.add.at(matrix, (rows, high - first), share * t)
    return first, matrix


def roi_pool(input, boxes, output_size, spatial_scale=1.0):
    """The maximum over each of OH x OW bins of every box (torchvision.ops.roi_pool, Fast R-CNN's RoI pooling).

    Shapes: input (N, C, H, W), boxes (K, 5) as (picture, x1, y1, x2, y2), or a list of N arrays (L, 4) -> (K, C, OH, OW).
    boxes: constants, in pixels of the picture, both corners included after rounding; output_size: (OH, OW) or an integer for
    both; spatial_scale: pixels of the feature map per pixel of the picture.
    Raises ValueError for boxes of another shape or of no picture in the batch, TypeError for input that is not floating point.

    >>> from tinyvision import Tensor
    >>> x = Tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]])
    >>> roi_pool(x, [[[0.0, 0.0, 1.0, 1.0]]], (1, 2))
    Tensor([[[[4., 5.]]]])
    """
    out = check_roi("roi_pool", input, output_size, spatial_scale)
    picture, corners = read_boxes("roi_pool", boxes, input)
    x1, y1, x2, y2 = round_away(corners * spatial_scale).T
    heights, widths = np.maximum(y2 - y1 + 1, 1), np.maximum(x2 - x1 + 1, 1)                  # malformed boxes: one pixel
    H, W = input.shape[2:]
    rows = [clipped_bins(a, size, out[0], H) for a, size in zip(y1, heights)]
    columns = [clipped_bins(a, size, out[1], W) for a, size in zip(x1, widths)]
    index = kernels.boxes_argmax(raw(input), picture, [r for r, _ in rows], [c for c, _ in columns], out)
    empty = np.array([r[:, None] | c for (_, r), (_, c) in zip(rows, columns)], bool)         # (K, OH, OW)
    empty = array_module(index).asarray(empty.reshape(-1, 1, *out))                           # (K, 1, OH, OW)
    return where(empty, 0.0, getitem(input.reshape(-1), index))


def roi_align(input, boxes, output_size, spatial_scale=1.0, sampling_ratio=-1, aligned=False):
    """The mean of bilinear samples in each of OH x OW bins of every box, nothing rounded (torchvision.ops.roi_align).

    Shapes: input (N, C, H, W), boxes (K, 5) as (picture, x1, y1, x2, y2), or a list of N arrays (L, 4) -> (K, C, OH, OW).
    boxes, output_size, spatial_scale: as in roi_pool.  sampling_ratio: samples per bin and axis; 0 or less: as many as the bin
    has pixels, rounded up.  aligned: pixel centres lie at half-integers, so the box is shifted by half a pixel; without it
    boxes are at least 1 x 1 pixel.  A NaN or infinity in the map reaches all bins of a box that lies over it.
    Raises ValueError for boxes of another shape or of no picture in the batch, TypeError for input that is not floating point.

    >>> from tinyvision import Tensor
    >>> x = Tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]])
    >>> roi_align(x, [[[0.0, 0.0, 2.0, 2.0]]], (1, 2), sampling_ratio=1)
    Tensor([[[[4.5, 5.5]]]])
    """
    out = check_roi("roi_align", input, output_size, spatial_scale)
    (samples,) = as_tuple("roi_align", "sampling_ratio", sampling_ratio, 1)
    picture, corners = read_boxes("roi_align", boxes, input)
    x1, y1, x2, y2 = (corners * spatial_scale - (0.5 if aligned else 0.0)).T
    heights, widths = (s if aligned else np.maximum(s, 1) for s in (y2 - y1, x2 - x1))
    asarray = array_module(raw(input)).asarray

    def tables(starts, sizes, bins, length):
        pairs = (bilinear_means(a, size, bins, samples, length) for a, size in zip(starts, sizes))
        return [(first, asarray(matrix)) for first, matrix in pairs]

    rows, columns = tables(y1, heights, out[0], input.shape[2]), tables(x1, widths, out[1], input.shape[3])
    return RoiAlignOp(picture, rows, columns, out)(input)
