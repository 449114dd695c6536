"""Normalisation: subtract a mean, divide by a standard deviation, then scale and shift by what is learned.

    y = (x - mean) / sqrt(var + eps) * weight + bias

The layers differ in the numbers that mean and var are taken over, for an input (N, C, *S):

    BatchNorm       N and *S, for each channel            needs a batch; in evaluation the running means of training
    InstanceNorm    *S, for each picture and channel
    GroupNorm       *S and the channels of a group, for each picture
    LayerNorm       the last axes, for each position in front of them
    RMSNorm         as LayerNorm, but without subtracting the mean
    LocalResponseNorm    divides by the energy of a few neighbouring channels; nothing is learned

weight and bias start as ones and zeros, running means as 0, running variances as 1.

Sources: Ioffe and Szegedy 2015, arXiv:1502.03167; Ulyanov et al. 2016, arXiv:1607.08022; Wu and He 2018, arXiv:1803.08494;
Ba et al. 2016, arXiv:1607.06450; Zhang and Sennrich 2019, arXiv:1910.07467; Krizhevsky et al. 2012, section 3.3.
"""

import numpy as np

from .. import functional as F
from ..backend import on_device
from ..ops.normalize import batch_norm_relu
from ..ops.shapes import check_array
from ..tensor import Parameter, raw
from . import init
from .activation import ReLU
from .checks import at_least, divides, flag, real, whole
from .module import Module, untouched


class Scaled(Module):
    """What all of them share: weight and bias of one shape, or None."""

    def declare(self, shape, weight, bias):
        """Assign weight and bias where they are wanted, with their first values."""
        self.register_parameter("weight", Parameter(np.ones(shape, np.float32)) if weight else None)
        self.register_parameter("bias", Parameter(np.zeros(shape, np.float32)) if bias else None)

    def reset_parameters(self):
        """Give weight and bias their first values again."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class TrackingNorm(Scaled):
    """BatchNorm and InstanceNorm of all dimensions: statistics per channel, of which a running mean may be kept."""

    ndims = ()                                            # allowed numbers of axes of the input
    shapes = ""                                           # the same in words

    # checkpoints from before PyTorch 0.4.1 lack the counter, and only momentum=None reads it
    optional_state = ("num_batches_tracked",)

    def __init__(self, num_features, eps, momentum, affine, track_running_stats):
        name = type(self).__name__
        whole(name, num_features=num_features)
        at_least(name, 0, eps=eps)
        flag(name, affine=affine, track_running_stats=track_running_stats)
        check_momentum(name, momentum)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.declare(num_features, weight=affine, bias=affine)
        tracked = track_running_stats
        self.register_buffer("running_mean", np.zeros(num_features, np.float32) if tracked else None)
        self.register_buffer("running_var", np.ones(num_features, np.float32) if tracked else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if tracked else None)

    def reset_running_stats(self):
        """Forget the running statistics."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            self.num_batches_tracked[...] = 0

    def reset_parameters(self):
        """Give weight and bias their first values again and forget the running statistics."""
        self.reset_running_stats()
        super().reset_parameters()

    def check_input(self, input):
        name = type(self).__name__
        check_array(name, input=input)
        if input.ndim not in self.ndims:
            raise ValueError(f"{name}: input must be {self.shapes}, got shape {input.shape}.")

    def check_channels(self, input, axis):
        if input.shape[axis] != self.num_features:
            raise ValueError(f"{type(self).__name__}: input must have num_features={self.num_features} channels, got "
                             f"{input.shape[axis]} in shape {input.shape}.")

    def extra_repr(self):
        return (f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
                f"track_running_stats={self.track_running_stats}")


def check_momentum(name, momentum):
    if momentum is None:
        return
    real(name, momentum=momentum)
    if not 0 <= momentum <= 1:
        raise ValueError(f"{name}: momentum, the share of the new batch in the running mean, must lie in 0..1, got {momentum}.")


class BatchNorm(TrackingNorm):
    """BatchNorm1d, BatchNorm2d and BatchNorm3d."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, input):
        if self.training:
            return self.train_on(input, F.batch_norm, True)
        self.check_input(input)
        self.check_channels(input, 1)
        tracked = self.running_mean is not None           # running statistics where there are some, else the batch's
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, not tracked, 0.0, self.eps)

    def train_on(self, input, function, *options):
        """What `function`, batch_norm or a relative of it, makes of a batch; the running statistics move."""
        self.check_input(input)
        self.check_channels(input, 1)
        if self.running_mean is None:
            return function(input, None, None, self.weight, self.bias, *options, 0.0, self.eps)
        tracked, momentum = self.num_batches_tracked, self.momentum
        if momentum is None:
            count = raw(tracked)
            momentum = 1 / (1 + (count if on_device(count) else int(count)))  # on a GPU the count is not read
        y = function(input, self.running_mean, self.running_var, self.weight, self.bias, *options, momentum, self.eps)
        tracked += 1                                      # only now: a refused input is not counted
        return y


PLAIN, RELU = BatchNorm.forward, ReLU.forward


def norm_relu(norm, x, residual=None, relu=None):
    """relu(norm(x) + residual): as one operation where nobody can tell the difference, which saves much reading and writing.

    residual: what is added before the ReLU, or None; relu: the module that does it, None for the function.
    The modules are called one by one where they have hooks, where one of them computes something of its own, and in evaluation.
    """
    if joins(norm, relu) and fits(x, residual):
        return norm.train_on(x, lambda *args: batch_norm_relu(*args, residual=residual))
    y = norm(x)
    y = y if residual is None else y + residual
    return F.relu(y) if relu is None else relu(y)


def joins(norm, relu=None):
    """Whether two modules that follow one another are a batch norm in training and a ReLU, both just as they are here."""
    return (isinstance(norm, BatchNorm) and norm.training and (relu is None or isinstance(relu, ReLU) and untouched(relu, RELU))
            and untouched(norm, PLAIN))


def fits(x, residual):
    """Whether a residual, if there is one, can be added without broadcasting or converting."""
    return residual is None or (getattr(residual, "shape", None) == x.shape and residual.dtype == x.dtype)


class BatchNorm1d(BatchNorm):
    """Batch normalisation of features or signals (torch.nn.BatchNorm1d); arguments as BatchNorm2d.

    Shapes: input (N, C) or (N, C, W) -> the same.

    >>> from tinyvision import Tensor
    >>> BatchNorm1d(1)(Tensor([[1.0], [3.0]])).data.round(3)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    ndims, shapes = (2, 3), "(N, C) or (N, C, W)"


class BatchNorm2d(BatchNorm):
    """Batch normalisation of pictures: every channel to mean 0 and variance 1 over the batch and all pixels, then scaled.

    (torch.nn.BatchNorm2d; Ioffe and Szegedy 2015, arXiv:1502.03167)

    Shapes: input (N, C, H, W) -> the same; weight, bias, running_mean, running_var (C,).
    momentum: the share of the new batch in the running statistics, running = (1 - momentum) * running + momentum * batch;
    None for their plain mean over all batches so far.  The running variance is the unbiased one, divided by n - 1.
    affine: whether weight and bias are there.  track_running_stats: whether running statistics are kept; without them
    evaluation uses those of its batch as well.
    Raises ValueError for an input of other shape.

    >>> from tinyvision import Tensor
    >>> bn = BatchNorm2d(3); bn(Tensor(np.ones((2, 3, 4, 4), "float32"))).shape, bn.running_mean
    ((2, 3, 4, 4), Tensor([0.1, 0.1, 0.1]))
    """

    ndims, shapes = (4,), "(N, C, H, W)"


class BatchNorm3d(BatchNorm):
    """Batch normalisation of volumes (torch.nn.BatchNorm3d); arguments as BatchNorm2d.

    Shapes: input (N, C, D, H, W) -> the same.

    >>> from tinyvision import Tensor
    >>> BatchNorm3d(2)(Tensor(np.ones((1, 2, 3, 4, 4), "float32"))).shape
    (1, 2, 3, 4, 4)
    """

    ndims, shapes = (5,), "(N, C, D, H, W)"


class InstanceNorm(TrackingNorm):
    """InstanceNorm1d, InstanceNorm2d and InstanceNorm3d."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False):
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, input):
        self.check_input(input)
        batch = input.ndim == max(self.ndims)
        self.check_channels(input, 1 if batch else 0)
        x = input if batch else input.reshape((1, *input.shape))
        own = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        y = F.instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias, own, momentum, self.eps)
        return y if batch else y[0]


class InstanceNorm1d(InstanceNorm):
    """Instance normalisation of signals (torch.nn.InstanceNorm1d); arguments as InstanceNorm2d.

    Shapes: input (N, C, W) or (C, W) -> the same.

    >>> from tinyvision import Tensor
    >>> InstanceNorm1d(1)(Tensor([[[1.0, 3.0]]])).data.round(3)
    array([[[-1.,  1.]]], dtype=float32)
    """

    ndims, shapes = (2, 3), "(N, C, W) or (C, W)"


class InstanceNorm2d(InstanceNorm):
    """Every channel of every picture to mean 0 and variance 1 over its pixels (torch.nn.InstanceNorm2d; arXiv:1607.08022).

    Shapes: input (N, C, H, W) or (C, H, W) -> the same; weight, bias (C,) if affine.
    track_running_stats: keep running statistics and use those in evaluation; momentum as in BatchNorm2d (None: keep none).
    Raises ValueError for an input of other shape.

    >>> from tinyvision import Tensor
    >>> InstanceNorm2d(3)(Tensor(np.ones((2, 3, 4, 4), "float32"))).data.any()
    np.False_
    """

    ndims, shapes = (3, 4), "(N, C, H, W) or (C, H, W)"


class InstanceNorm3d(InstanceNorm):
    """Instance normalisation of volumes (torch.nn.InstanceNorm3d); arguments as InstanceNorm2d.

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> the same.

    >>> from tinyvision import Tensor
    >>> InstanceNorm3d(3)(Tensor(np.ones((2, 3, 2, 4, 4), "float32"))).shape
    (2, 3, 2, 4, 4)
    """

    ndims, shapes = (4, 5), "(N, C, D, H, W) or (C, D, H, W)"


def last_axes(layer, normalized_shape):
    """The sizes of the last axes, as a tuple."""
    whole_shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not whole_shape:
        raise ValueError(f"{layer}: normalized_shape must name at least one axis, got ().")
    for size in whole_shape:
        whole(layer, normalized_shape=size)
    return whole_shape


class LayerNorm(Scaled):
    """The last axes to mean 0 and variance 1, for each position in front of them (torch.nn.LayerNorm; arXiv:1607.06450).

    Shapes: input (*, *normalized_shape) -> the same; weight, bias of shape normalized_shape.
    normalized_shape: the sizes of the last axes, or one integer for the last alone.
    elementwise_affine, bias: whether weight and bias are there (bias only together with weight).
    Raises ValueError for sizes below 1 and, when called, for an input that ends in other sizes.

    >>> from tinyvision import Tensor
    >>> LayerNorm(2)(Tensor([[1.0, 3.0], [5.0, 9.0]])).data.round(3)
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True):
        at_least("LayerNorm", 0, eps=eps)
        flag("LayerNorm", elementwise_affine=elementwise_affine, bias=bias)
        self.normalized_shape, self.eps = last_axes("LayerNorm", normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        self.declare(self.normalized_shape, weight=elementwise_affine, bias=elementwise_affine and bias)

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Scaled):
    """The last axes divided by the root of their mean square (torch.nn.RMSNorm; arXiv:1910.07467).

    Shapes: input (*, *normalized_shape) -> the same; weight of shape normalized_shape.
    eps: None for the spacing of floating-point numbers at 1.
    Raises ValueError as LayerNorm.

    >>> from tinyvision import Tensor
    >>> RMSNorm(2)(Tensor([[1.0, 7.0]])).data.round(3)    # mean square 25
    array([[0.2, 1.4]], dtype=float32)
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True):
        if eps is not None:
            at_least("RMSNorm", 0, eps=eps)
        flag("RMSNorm", elementwise_affine=elementwise_affine)
        self.normalized_shape, self.eps = last_axes("RMSNorm", normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        self.declare(self.normalized_shape, weight=elementwise_affine, bias=False)

    def forward(self, input):
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Scaled):
    """Each of num_groups groups of channels to mean 0 and variance 1, picture by picture (torch.nn.GroupNorm).

    Shapes: input (N, C, *S) -> the same; weight, bias (C,).
    num_groups: 1 normalises all channels together, C each by itself.
    Raises ValueError for channels that num_groups does not divide and, when called, for an input of other channels.
    Source: Wu and He 2018, arXiv:1803.08494.

    >>> from tinyvision import Tensor
    >>> GroupNorm(1, 2)(Tensor([[[1.0], [3.0]]])).data.round(3).ravel()
    array([-1.,  1.], dtype=float32)
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        whole("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        divides("GroupNorm", ("num_groups", num_groups), num_channels=num_channels)
        at_least("GroupNorm", 0, eps=eps)
        flag("GroupNorm", affine=affine)
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.declare(num_channels, weight=affine, bias=affine)

    def forward(self, input):
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm: input must be (N, C, ...) with num_channels={self.num_channels} channels, got shape "
                             f"{input.shape}.")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LocalResponseNorm(Module):
    """Divide by a power of the energy of `size` neighbouring channels (torch.nn.LocalResponseNorm; AlexNet, section 3.3).

    Shapes: input (N, C, *S) -> the same; y = x / (k + alpha * mean of x^2 over the neighbours)^beta, absent ones counted as 0.
    Raises ValueError for a size below 1.

    >>> from tinyvision import Tensor
    >>> LocalResponseNorm(1, alpha=1.0, beta=1.0)(Tensor([[[1.0], [3.0]]])).data.ravel()      # 1/(1+1), 3/(1+9)
    array([0.5, 0.3], dtype=float32)
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        whole("LocalResponseNorm", size=size)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input):
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
