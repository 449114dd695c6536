"""conv, conv_transpose and the gradient of the weight: one trilinear form and its three partial gradients.

    T(u, x, w) = sum over n, o, c, i, k of  u[n, o, i] * w[o, c, k] * x[n, c, i*S + k*D - lo]

i, k stand for one index per spatial axis (1-D, 2-D and 3-D are the same text), S, D for stride and dilation, lo for the padding
before the image, and x reads 0 outside it.  T is linear in each argument, so its partial gradients are the whole family:

    conv(x, w)              = dT/du  (N, O, *O)       T = <u, conv(x, w)>
    conv_transpose(u, w)    = dT/dx  (N, C, *S)         = <conv_transpose(u, w), x>
    conv_weight_grad(x, u)  = dT/dw  (O, C/G, *K)       = <conv_weight_grad(x, u), w>

and the gradients of each are the other two.  kernels/conv.py computes the three: with the patches of x as
columns each is a matrix product, the same three as for a linear layer.  G groups split channels and filters into G independent
convolutions.  A bias is one number added to all outputs of its filter, so its gradient is the sum of u over them.

Conventions: cross-correlation (the kernel is not flipped); conv_transpose's weight is (C, O/G, *K), that of the conv whose
gradient it is.  Sources: Chellapilla, Puri and Simard 2006 (im2col); Dumoulin and Visin 2016, arXiv:1603.07285 (shapes).
"""

from ..kernels import conv as kernels
from ..kernels.window import Window
from ..tensor import Op
from .broadcast import broadcast_to
from .shapes import AXES, as_tuple, batched, check_fits, check_float


class ConvOp(Op):
    """(N, C, *S), (O, C/G, *K) and, if given, (O,) -> (N, O, *O)"""

    def __init__(self, window, groups=1):
        self.window, self.groups = window, groups

    def forward(self, x, w, b=None):
        return kernels.conv(x, w, b, self.window, self.groups)

    def backward(self, g, x, w, b=None):
        gx = ConvTransposeOp(self.window, self.groups, x.shape[2:])(g, w) if self.needs[0] else None
        gw = ConvWeightGradOp(self.window, self.groups)(x, g) if self.needs[1] else None
        return (gx, gw) if b is None else (gx, gw, ChannelSumOp()(g) if self.needs[2] else None)


class ConvTransposeOp(Op):
    """(N, O, *O), (O, C/G, *K) and, if given, (C,) -> (N, C, *sizes): the gradient of conv with respect to its input"""

    def __init__(self, window, groups, sizes):
        self.window, self.groups, self.sizes = window, groups, sizes

    def forward(self, u, w, b=None):
        return kernels.conv_transpose(u, w, b, self.window, self.groups, self.sizes)

    def backward(self, g, u, w, b=None):
        gu = ConvOp(self.window, self.groups)(g, w) if self.needs[0] else None
        gw = ConvWeightGradOp(self.window, self.groups)(g, u) if self.needs[1] else None
        return (gu, gw) if b is None else (gu, gw, ChannelSumOp()(g) if self.needs[2] else None)


class ConvWeightGradOp(Op):
    """(N, C, *S), (N, O, *O) -> (O, C/G, *K): the gradient of conv with respect to its weight"""

    def __init__(self, window, groups):
        self.window, self.groups = window, groups

    def forward(self, x, u):
        return kernels.conv_weight_grad(x, u, self.window, self.groups)

    def backward(self, g, x, u):
        gx = ConvTransposeOp(self.window, self.groups, x.shape[2:])(u, g) if self.needs[0] else None
        gu = ConvOp(self.window, self.groups)(x, g) if self.needs[1] else None
        return gx, gu


class ChannelSumOp(Op):
    """(N, C, *S) -> (C,): the gradient of the bias, which every pixel of its channel has in it"""

    def forward(self, u):
        return kernels.channel_sum(u)

    def backward(self, g, u):
        return broadcast_to(g.reshape((1, -1) + (1,) * (u.ndim - 2)), u.shape)


def convolve(op, n, input, weight, bias, stride, padding, dilation, groups):
    """conv1d, conv2d and conv3d: check, one op, add the bias."""
    check_float(op, input=input, weight=weight, bias=bias)
    x, batch = batched(op, input, n)
    check_weight(op, n, weight)
    (groups,) = as_tuple(op, "groups", groups, 1, least=1)
    C, O = x.shape[1], len(weight)
    if C != weight.shape[1] * groups or O % groups:
        raise ValueError(f"{op}: weight {weight.shape} with groups={groups} takes {weight.shape[1] * groups} channels in and a "
                         f"multiple of {groups} out, got input {input.shape} with {C} channels. "
                         "Pictures are channels first: (N, C, H, W).")
    check_bias(op, bias, O)
    size, stride = weight.shape[2:], as_tuple(op, "stride", stride, n, least=1)
    dilation = as_tuple(op, "dilation", dilation, n, least=1)
    window = Window(size, stride, paddings(op, padding, size, stride, dilation), dilation)
    check_fits(op, window, x.shape[2:])
    return finish(ConvOp(window, groups), x, weight, bias, batch)


def paddings(op, padding, size, stride, dilation):
    """'valid', 'same', an integer or one per axis, as (before, after) for each axis."""
    if padding == "valid":
        return ((0, 0),) * len(size)
    if padding == "same":
        if max(stride) > 1:
            raise ValueError(f"{op}: padding='same' keeps the size only with stride 1, got stride {stride}. Pass numbers.")
        totals = [d * (k - 1) for k, d in zip(size, dilation)]
        return tuple((t // 2, t - t // 2) for t in totals)                # an odd pixel goes to the end, as in PyTorch
    if isinstance(padding, str):
        raise ValueError(f"{op}: padding must be 'valid', 'same' or integers, got {padding!r}.")
    return tuple((p, p) for p in as_tuple(op, "padding", padding, len(size), least=0))


def conv_transposed(op, n, input, weight, bias, stride, padding, output_padding, groups, dilation):
    """conv_transpose1d, conv_transpose2d and conv_transpose3d: check, one op, add the bias."""
    check_float(op, input=input, weight=weight, bias=bias)
    u, batch = batched(op, input, n)
    check_weight(op, n, weight)
    (groups,) = as_tuple(op, "groups", groups, 1, least=1)
    if u.shape[1] != len(weight) or len(weight) % groups:
        raise ValueError(f"{op}: weight (C, O/G, ...) must have as many channels C as the input, a multiple of groups, got "
                         f"weight {weight.shape}, groups={groups}, input {input.shape}.")
    check_bias(op, bias, weight.shape[1] * groups)
    size, stride = weight.shape[2:], as_tuple(op, "stride", stride, n, least=1)
    dilation = as_tuple(op, "dilation", dilation, n, least=1)
    extra = as_tuple(op, "output_padding", output_padding, n, least=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise ValueError(f"{op}: output_padding must be smaller than stride or dilation (else no window could end there), got "
                         f"output_padding {extra}, stride {stride}, dilation {dilation}.")
    lows = as_tuple(op, "padding", padding, n, least=0)
    # as much padding behind as lets exactly the input's positions fit over the output, not those of output_padding as well
    window = Window(size, stride, tuple((p, p - e) for p, e in zip(lows, extra)), dilation)
    sizes = window.smallest(u.shape[2:])
    if min(sizes) < 1 or min(u.shape[2:]) < 1:
        raise ValueError(f"{op}: the output must have at least one pixel, got sizes {sizes} from input {input.shape}, kernel "
                         f"{size}, stride {stride} and padding {lows}. Use less padding or a larger input.")
    return finish(ConvTransposeOp(window, groups, sizes), u, weight, bias, batch)


def check_weight(op, n, weight):
    if weight.ndim != n + 2:
        raise ValueError(f"{op}: weight must have {n + 2} axes, (filters, channels, {', '.join('K' + a for a in AXES[n])}), "
                         f"got shape {weight.shape}.")
    if 0 in weight.shape[2:]:
        raise ValueError(f"{op}: a kernel must have at least one tap along each axis, got weight {weight.shape}.")


def check_bias(op, bias, channels):
    if bias is not None and bias.shape != (channels,):
        raise ValueError(f"{op}: bias must have one value per output channel, shape ({channels},), got {bias.shape}.")


def finish(op, x, weight, bias, batch):
    """Apply the op, with the bias if there is one, and take away a batch axis that was put in front."""
    y = op(x, weight) if bias is None else op(x, weight, bias)
    return y if batch else y[0]


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlate signals with a bank of filters: conv2d with one spatial axis (torch.nn.functional.conv1d).

    Shapes: input (N, C, W) or (C, W), weight (O, C/G, KW), bias (O,) -> (N, O, OW) or (O, OW); OW as in conv2d, in samples.
    Raises ValueError as conv2d does.

    >>> from tinyvision import Tensor
    >>> conv1d(Tensor([[[1.0, 4.0, 9.0]]]), Tensor([[[-1.0, 1.0]]]))
    Tensor([[[3., 5.]]])
    """
    return convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlate pictures with a bank of filters (torch.nn.functional.conv2d).

    Shapes: input (N, C, H, W) or (C, H, W), weight (O, C/G, KH, KW), bias (O,) -> (N, O, OH, OW) or (O, OH, OW),
            OH = floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1, likewise OW.
    stride, padding, dilation: pixels, an int or a (vertical, horizontal) pair; padding also 'valid' (none) or 'same' (the
    output has the input's size, stride 1 only); groups: G, divides C and O.
    Raises ValueError when C does not match weight and groups or the dilated kernel exceeds the padded image, TypeError
    when the arguments are not all of one floating-point dtype.

    >>> import numpy as np
    >>> from tinyvision import Tensor
    >>> conv2d(Tensor(np.arange(9.0).reshape(1, 1, 3, 3)), Tensor(np.ones((1, 1, 2, 2))))
    Tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    return convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlate volumes or videos with a bank of filters: conv2d with three axes (torch.nn.functional.conv3d).

    Shapes: input (N, C, D, H, W) or (C, D, H, W), weight (O, C/G, KD, KH, KW), bias (O,) -> (N, O, OD, OH, OW), sizes as in
            conv2d, in voxels.
    Raises ValueError as conv2d does.

    >>> import numpy as np
    >>> conv3d(np.ones((1, 3, 8, 8, 8)), np.ones((4, 3, 3, 3, 3)), stride=2).shape
    (1, 4, 3, 3, 3)
    """
    return convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of conv1d: a learnable enlargement of signals (torch.nn.functional.conv_transpose1d).

    Shapes: input (N, C, W) or (C, W), weight (C, O/G, KW), bias (O,) -> (N, O, OW), OW as in conv_transpose2d, in samples.
    Raises ValueError as conv_transpose2d does.

    >>> from tinyvision import Tensor
    >>> conv_transpose1d(Tensor([[[1.0, 2.0]]]), Tensor([[[1.0, 1.0, 1.0]]]), stride=2)
    Tensor([[[1., 1., 3., 2., 2.]]])
    """
    return conv_transposed("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of conv2d, a learnable enlargement: every pixel paints its multiple of the kernel, and where kernels overlap
    they add up (torch.nn.functional.conv_transpose2d).

    Shapes: input (N, C, H, W) or (C, H, W), weight (C, O/G, KH, KW), bias (O,) -> (N, O, OH, OW),
            OH = (H - 1)*stride - 2*padding + dilation*(KH - 1) + output_padding + 1, likewise OW.
    output_padding: pixels to add at the end, for several image sizes lead to one H; smaller than stride or dilation.
    Raises ValueError when the channels do not match or nothing would be left of the output.

    >>> import numpy as np
    >>> from tinyvision import Tensor
    >>> conv_transpose2d(Tensor(np.ones((1, 1, 2, 2))), Tensor(np.ones((1, 1, 2, 2))))
    Tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """
    return conv_transposed("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The adjoint of conv3d: a learnable enlargement of volumes (torch.nn.functional.conv_transpose3d).

    Shapes: input (N, C, D, H, W) or (C, D, H, W), weight (C, O/G, KD, KH, KW), bias (O,) -> (N, O, OD, OH, OW), sizes as in
            conv_transpose2d, in voxels.
    Raises ValueError as conv_transpose2d does.

    >>> import numpy as np
    >>> conv_transpose3d(np.ones((1, 2, 3, 3, 3)), np.ones((2, 4, 2, 2, 2)), stride=2).shape
    (1, 4, 6, 6, 6)
    """
    return conv_transposed("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)
