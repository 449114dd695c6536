"""unfold and fold: copy the patches under a sliding window to columns, and add columns up into an image.

    unfold   (N, C, *S) -> (N, C * prod(K), prod(O))     col[(c, k), o] = x[c, o*S + k*D - P], zero outside the image
    fold     (N, C * prod(K), prod(O)) -> (N, C, *S)     x[c, p] = sum of col[(c, k), o] over all (k, o) with o*S + k*D - P = p

Both are the identity on windows that lie side by side; where windows overlap unfold copies a pixel several times, and fold
adds the copies up.  They are adjoint, <col, unfold x> = <fold col, x>, and each is the other's backward.  A convolution is
unfold followed by a matrix product, weight.reshape(O, -1) @ unfold(x): this is what ops/conv.py does.

fold(unfold(x)) is x times the number of windows over each pixel, so fold(unfold(x)) / fold(unfold(1)) = x.

Source: Chellapilla, Puri and Simard 2006, High performance convolutional neural networks for document processing;
torch.nn.functional.unfold, fold.
"""

from math import prod

from ..kernels.im2col import col2im, im2col
from ..kernels.window import Window
from ..tensor import Op
from .shapes import as_tuple, batched, check_fits, check_float, check_pixels


class UnfoldOp(Op):
    """(N, C, *S) -> (N, C * prod(K), prod(O))"""

    def __init__(self, window):
        self.window = window

    def forward(self, x):
        col = im2col(x, self.window)                                      # (N, C, *K, *O)
        return col.reshape(len(x), x.shape[1] * prod(self.window.size), prod(self.window.output(x.shape[2:])))

    def backward(self, g, x):
        return FoldOp(self.window, x.shape[2:])(g)


class FoldOp(Op):
    """(N, C * prod(K), prod(O)) -> (N, C, *sizes): the adjoint of UnfoldOp"""

    def __init__(self, window, sizes):
        self.window, self.sizes = window, sizes

    def forward(self, col):
        size, out = self.window.size, self.window.output(self.sizes)
        col = col.reshape(len(col), col.shape[1] // prod(size), *size, *out)               # (N, C, *K, *O)
        return col2im(col, self.sizes, self.window)

    def backward(self, gg, col):
        return UnfoldOp(self.window)(gg)


def patches(op, sizes, kernel_size, dilation, padding, stride):
    """The window over an image of these sizes, checked."""
    padding = tuple((p, p) for p in as_tuple(op, "padding", padding, 2, least=0))
    size, stride, dilation = (as_tuple(op, name, value, 2, least=1) for name, value in
                              (("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation)))
    window = Window(size, stride, padding, dilation)
    check_fits(op, window, sizes)
    return window


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """Every patch under a sliding window as a column (torch.nn.functional.unfold).

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C*KH*KW, OH*OW) or (C*KH*KW, OH*OW); rows count the channel, then row and
            column within the kernel; OH = floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1, likewise OW.
    kernel_size, dilation, padding (with zeros), stride: pixels, an int or a (vertical, horizontal) pair.
    Raises ValueError when the dilated kernel exceeds the padded picture, TypeError for input that is not floating point.

    >>> from tinyvision import Tensor
    >>> unfold(Tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]), 2)
    Tensor([[1., 2.],
            [2., 3.],
            [4., 5.],
            [5., 6.]])
    """
    check_float("unfold", input=input)
    x, batch = batched("unfold", input, 2)
    check_pixels("unfold", x)
    y = UnfoldOp(patches("unfold", x.shape[2:], kernel_size, dilation, padding, stride))(x)
    return y if batch else y[0]


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Add columns up into pictures, the adjoint of unfold (torch.nn.functional.fold).

    Shapes: input (N, C*KH*KW, OH*OW) or (C*KH*KW, OH*OW) -> (N, C, H, W) or (C, H, W) with output_size (H, W) or one integer;
            OH and OW are those of unfold for a picture of that size.
    kernel_size, dilation, padding, stride: those of unfold, in pixels.
    Raises ValueError when the rows do not divide by KH*KW or the columns are not OH*OW, TypeError for input that is not
    floating point.

    >>> from tinyvision import Tensor
    >>> fold(Tensor([[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]]), (2, 3), 2)
    Tensor([[[ 1.,  4.,  3.],
             [ 4., 10.,  6.]]])
    """
    check_float("fold", input=input)
    if input.ndim not in (2, 3) or 0 in input.shape[-2:]:
        raise ValueError("fold: input must be (N, C*KH*KW, OH*OW), or (C*KH*KW, OH*OW) for a single picture, with at least "
                         f"one row and column, got shape {input.shape}.")
    col = input if input.ndim == 3 else input.reshape((1, *input.shape))
    sizes = as_tuple("fold", "output_size", output_size, 2, least=1)
    window = patches("fold", sizes, kernel_size, dilation, padding, stride)
    out = window.output(sizes)
    if col.shape[1] % prod(window.size) or col.shape[2] != prod(out):
        raise ValueError(f"fold: input must have a multiple of {prod(window.size)} rows for kernel_size {window.size} and "
                         f"{out[0]} * {out[1]} = {prod(out)} columns for output_size {sizes}, got shape {input.shape}. "
                         "Pass the numbers that unfold was called with.")
    y = FoldOp(window, sizes)(col)
    return y if input.ndim == 3 else y[0]
