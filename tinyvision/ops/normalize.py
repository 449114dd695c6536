"""batch_norm, instance_norm, layer_norm, group_norm: one operation over different axes; and their relatives.

    xhat = (x - mean(x)) / sigma,   sigma = sqrt(var(x) + eps),   y = w * xhat + b

where mean and variance are taken over some axes of x:

    batch     over N and all pixels, one pair per channel                    x (N, C, S)         axes 0, 2
    instance  over all pixels, one pair per channel and picture              x (N, C, S)         axis 2
    group     over C/G channels and all pixels, one pair per group           x (N, G, C/G, S)    axes 2, 3
    layer     over everything but N                                          x (N, D)            axis 1

Backward.  Let u = w * g be the gradient of xhat, and < > the mean over these axes.  mean and sigma depend on every x:

    d xhat = (dx - <dx>) / sigma - xhat * d sigma / sigma,     d sigma = <xhat * dx>      (since <xhat> = 0)
    sum u * d xhat = sum dx * (u - <u> - xhat * <u * xhat>) / sigma

    gx = (u - <u> - xhat * <u * xhat>) / sigma          gw = sum of g * xhat          gb = sum of g

So gx is u without its mean and its part along xhat: but for eps, moving or stretching all x together changes nothing.

In training this is the most frequent operation after convolution.  Given arrays, backward uses mean and 1/sigma as forward
computed them, in few passes over memory (kernels/normalize.py).  They depend on x, so when the backward pass is itself
recorded, they are computed anew and recorded too.  rms_norm, local_response_norm and normalize are compositions.

A rectifier after it, and before that the sum with a shortcut r, as in residual blocks, would read and write everything again.  So
the op can do both on the way:  y = max(w * xhat + b + r, 0), and backward begins with g * [y > 0], which also is gr.

Sources: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3; Ulyanov et al. 2016, arXiv:1607.08022 (instance); Ba et al. 2016,
arXiv:1607.06450 (layer); Wu and He 2018, arXiv:1803.08494 (group).
"""

from math import prod

from ..backend import array_module
from ..kernels import normalize as kernel
from ..tensor import Op, Tensor, raw
from .broadcast import sum_to
from .elementwise import copy
from .movement import zero_pad
from .reduce import mean, norm
from .shapes import as_tuple, check_dim, check_float


class NormalizeOp(Op):
    """w * (x - mean) / sigma + b; w and b may be None.  Afterwards `mean` and `var` hold the statistics.

    seen: the shape in which x is averaged over `axes`; per: that of w and b there.
    relu: max(y, 0) instead of y; then r, of x's shape, may be added before.
    """

    def __init__(self, axes, eps, seen, per, relu=False):
        self.axes, self.eps, self.seen, self.per, self.relu = axes, eps, seen, per, relu

    def forward(self, x, w, b, *r):
        shape, options = x.shape, self.options(r)
        x, w, b = self.views(x, w, b)
        y, self.mean, self.var, self.rstd = kernel.normalize(x, w, b, self.axes, self.eps, *options)
        return y.reshape(shape)

    def backward(self, g, x, w, b, *r):
        inputs, options = (x, w, b, *r), self.options(r)
        x, w, b = self.views(x, w, b)
        g = g.reshape(self.seen)
        rule = self.recorded if isinstance(g, Tensor) else self.unrecorded
        return [gx if gx is None else gx.reshape(t.shape) for gx, t in zip(rule(g, x, w, b, *options), inputs)]

    def unrecorded(self, g, x, w, b, *options):
        return kernel.normalize_grad(g, x, w, b, self.mean, self.rstd, self.axes, *options)

    def recorded(self, g, x, w, b, relu=False, r=None):
        centred = x - self.average(x)
        rstd = (self.average(centred * centred) + self.eps) ** -0.5
        xhat = centred * rstd
        g = g * open_where(xhat, w, b, r) if relu else g
        u = g if w is None else g * w
        gx = rstd * (u - self.average(u) - xhat * self.average(u * xhat))
        gw = None if w is None else sum_to(g * xhat, w.shape)
        gb = None if b is None else sum_to(g, b.shape)
        return gx, gw, gb, g

    def views(self, x, w, b):
        return x.reshape(self.seen), None if w is None else w.reshape(self.per), None if b is None else b.reshape(self.per)

    def options(self, r):
        """What the kernel takes beyond the plain normalisation."""
        return (True, *[t.reshape(self.seen) for t in r]) if self.relu else ()

    def average(self, x):
        return mean(x, self.axes, keepdims=True)


def open_where(xhat, w, b, r):
    """Where max(w * xhat + b + r, 0) lets through what comes: a constant, as the slope of relu."""
    y = raw(xhat)
    y = y if w is None else y * raw(w)
    y = y if b is None else y + raw(b)
    return (y if r is None else y + raw(r)) > 0


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Standardise every channel over the batch (training), or by running statistics (torch.nn.functional.batch_norm).

    Shapes: input (N, C, *), all others (C,) -> (N, C, *).
    training: use mean and variance of this batch, and move the running ones, if given, in place towards them:
    running = (1 - momentum) * running + momentum * batch, where the running variance takes n/(n-1) times the batch's.
    Otherwise use the running ones, which are constants: no gradient flows into them.
    Raises ValueError for wrong shapes, for a batch with one value per channel, without running statistics to evaluate by,
    and for eps <= 0 in training.  Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1.

    >>> from tinyvision import Tensor
    >>> batch_norm(Tensor([[1.0], [3.0]]), None, None, training=True, eps=1e-12)
    Tensor([[-1.],
            [ 1.]])
    """
    op = "batch_norm"
    # PyTorch takes an empty batch also without its channel axis
    if getattr(input, "shape", None) == (0,):
        return copy(input)
    check_batch(op, input, running_mean, running_var, weight, bias, eps, training)
    if not training:
        return by_running_statistics(op, input, running_mean, running_var, weight, bias, eps)
    return by_own_statistics(input, (0, 2), weight, bias, eps, running_mean, running_var, momentum)


def instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1,
                  eps=1e-5):
    """Standardise every channel of every picture by itself (torch.nn.functional.instance_norm).

    Shapes: input (N, C, *), all others (C,) -> (N, C, *).
    use_input_stats: False uses the running statistics instead; otherwise these, if given, move in place towards the mean over
    the batch of what was found, as in batch_norm.
    Raises ValueError for wrong shapes, for pictures of one pixel, and without running statistics where they are to be used.
    Source: Ulyanov, Vedaldi and Lempitsky 2016, arXiv:1607.08022.

    >>> from tinyvision import Tensor
    >>> instance_norm(Tensor([[[1.0, 3.0], [10.0, 30.0]]]), eps=1e-12)
    Tensor([[[-1.,  1.],
             [-1.,  1.]]])
    """
    op = "instance_norm"
    check_channels(op, input, weight, bias, running_mean, running_var)
    if not use_input_stats:
        return by_running_statistics(op, input, running_mean, running_var, weight, bias, eps)
    if prod(input.shape[2:]) == 1:
        raise ValueError(f"{op}: needs more than one pixel per channel, for one has no variance, got input {input.shape}. "
                         "Use it before the picture has shrunk to one pixel, or group_norm.")
    return by_own_statistics(input, (2,), weight, bias, eps, running_mean, running_var, momentum)


def check_batch(op, input, running_mean, running_var, weight, bias, eps, training=True):
    """The arguments of batch_norm."""
    check_channels(op, input, weight, bias, running_mean, running_var)
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"{op}: eps must be positive, so that a constant channel does not divide by 0, got {eps}.")
    if training and input.shape[0] * prod(input.shape[2:]) == 1:
        raise ValueError(f"{op}: training needs more than one value per channel, for one has no variance, got input "
                         f"{input.shape}. Use a larger batch, or training=False (module.eval()).")


def check_channels(op, input, weight, bias, running_mean=None, running_var=None):
    """The parameters of a normalisation with one value for each channel."""
    check_float(op, input=input, weight=weight, bias=bias)
    check_float(op, running_mean=running_mean, running_var=running_var)
    if input.ndim < 2:
        raise ValueError(f"{op}: input must be (N, C, *), got shape {input.shape}. Add a batch axis with x[None].")
    given = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    for name, value in given.items():
        if value is not None and value.shape != (input.shape[1],):
            raise ValueError(f"{op}: {name} must have one value per channel, shape ({input.shape[1]},), got {value.shape} for "
                             f"input {input.shape}.")
    if (running_mean is None) != (running_var is None):
        missing = "running_mean" if running_mean is None else "running_var"
        raise ValueError(f"{op}: running_mean and running_var belong together, but {missing} is None. Pass both or neither.")


def by_own_statistics(input, axes, weight, bias, eps, running_mean, running_var, momentum, relu=False, residual=()):
    """Batch and instance norm: one op over (N, C, S); then the running statistics, in place."""
    N, C, *spatial = input.shape
    op = NormalizeOp(axes, eps, (N, C, prod(spatial)), (1, C, 1), relu)
    y = op(input, weight, bias, *residual)
    if running_mean is not None and input.size:
        n = prod(spatial) * (N if 0 in axes else 1)
        kernel.follow(raw(running_mean), raw(running_var), op.mean, op.var, momentum, n / (n - 1))
        for running in running_mean, running_var:
            if isinstance(running, Tensor):
                running.touch()
    return y


def batch_norm_relu(input, running_mean, running_var, weight, bias, momentum, eps, residual=None):
    """relu(batch_norm(input) + residual) in training, as one op: what layers that follow one another are joined to."""
    check_batch("batch_norm", input, running_mean, running_var, weight, bias, eps)
    return by_own_statistics(input, (0, 2), weight, bias, eps, running_mean, running_var, momentum, True,
                             () if residual is None else (residual,))


def by_running_statistics(op, input, running_mean, running_var, weight, bias, eps):
    """With constant statistics all is one multiplication and one addition: x * scale + shift."""
    if running_mean is None:
        raise ValueError(f"{op}: without the input's own statistics running_mean and running_var are needed, got None. "
                         "Pass them, or use the input's (batch_norm: training=True, instance_norm: use_input_stats=True).")
    m, v = raw(running_mean), raw(running_var)
    scale = (1 / array_module(v).sqrt(v + eps)).astype(input.dtype)
    scale = scale if weight is None else weight * scale
    shift = scale * -m.astype(input.dtype)
    shift = shift if bias is None else bias + shift
    each = (1, -1) + (1,) * (input.ndim - 2)
    return input * scale.reshape(each) + shift.reshape(each)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Standardise over the last axes, each example by itself (torch.nn.functional.layer_norm).

    Shapes: input (*, normalized_shape), weight and bias normalized_shape -> input's shape.
    normalized_shape: the sizes of the last axes, or an integer for one.
    Raises ValueError when the input does not end in these sizes or weight or bias do not have them.
    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450.

    >>> from tinyvision import Tensor
    >>> layer_norm(Tensor([[1.0, 3.0], [10.0, 30.0]]), 2, eps=1e-12)
    Tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    sizes = check_last_axes("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    D = prod(sizes)
    rows = prod(input.shape[:input.ndim - len(sizes)])
    return NormalizeOp((1,), eps, (rows, D), (1, D))(input, weight, bias)


def check_last_axes(op, input, normalized_shape, **parameters):
    """normalized_shape as a tuple, which input ends in and the parameters have."""
    check_float(op, input=input, **parameters)
    n = len(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else 1
    if n == 0:
        raise ValueError(f"{op}: normalized_shape must name at least one axis, got {normalized_shape!r}.")
    sizes = as_tuple(op, "normalized_shape", normalized_shape, n, least=0)
    if input.shape[-n:] != sizes:
        raise ValueError(f"{op}: the last axes of input must be normalized_shape {sizes}, got input {input.shape}.")
    for name, value in parameters.items():
        if value is not None and value.shape != sizes:
            raise ValueError(f"{op}: {name} must have the shape normalized_shape {sizes}, got {value.shape}.")
    return sizes


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Standardise groups of channels, each picture by itself (torch.nn.functional.group_norm).

    Shapes: input (N, C, *), weight and bias (C,) -> (N, C, *).
    num_groups: G, which divides C; 1 is layer norm over the picture, C is instance norm.
    Raises ValueError when G does not divide C, for wrong shapes, and when there is a single value in all to normalise.
    Source: Wu and He 2018, arXiv:1803.08494.

    >>> from tinyvision import Tensor
    >>> group_norm(Tensor([[[1.0], [3.0], [10.0], [30.0]]]), 2, eps=1e-12)[0, :, 0]
    Tensor([-1.,  1., -1.,  1.])
    """
    op = "group_norm"
    check_channels(op, input, weight, bias)
    (G,) = as_tuple(op, "num_groups", num_groups, 1, least=1)
    N, C, *spatial = input.shape
    if C % G:
        raise ValueError(f"{op}: num_groups must divide the number of channels, got {G} groups for {C} channels.")
    if N * (C // G) * prod(spatial) == 1:
        raise ValueError(f"{op}: a group needs more than one value, for one has no variance, got input {input.shape} and "
                         f"{G} groups. Use fewer groups.")
    return NormalizeOp((2, 3), eps, (N, G, C // G, prod(spatial)), (1, G, C // G, 1))(input, weight, bias)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Divide by the root of the mean square over the last axes: layer_norm without the mean (torch.nn.functional.rms_norm).

    Shapes: input (*, normalized_shape), weight normalized_shape -> input's shape.
    eps: added to the mean square; None for the smallest number that changes 1 in the input's dtype.
    Raises ValueError when the input does not end in these sizes or the weight does not have them.
    Source: Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4.

    >>> from tinyvision import Tensor
    >>> rms_norm(Tensor([[1.0, 7.0]]), 2, eps=0.0)
    Tensor([[0.2, 1.4]])
    """
    sizes = check_last_axes("rms_norm", input, normalized_shape, weight=weight)
    eps = float(array_module(raw(input)).finfo(input.dtype).eps) if eps is None else eps
    y = input * (mean(input * input, tuple(range(-len(sizes), 0)), keepdims=True) + eps) ** -0.5
    return y if weight is None else y * weight


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """Divide by the activity of neighbouring channels: AlexNet's normalisation (torch.nn.functional.local_response_norm).

    Shapes: input (N, C, W), (N, C, H, W) or (N, C, D, H, W) -> the same; (N, C, *) with at least three axes.
    y_c = x_c / (k + alpha/size * sum of x_j^2 over the `size` channels from c - floor(size/2) on) ^ beta
    Raises ValueError for fewer axes, or a size below 1.
    Source: Krizhevsky, Sutskever and Hinton 2012, section 3.3; there alpha is not divided by size.

    >>> from tinyvision import Tensor
    >>> local_response_norm(Tensor([[[3.0], [3.0]]]), 1, alpha=1.0, beta=0.5, k=0.0)[0, :, 0]
    Tensor([1., 1.])
    """
    op = "local_response_norm"
    check_float(op, input=input)
    (size,) = as_tuple(op, "size", size, 1, least=1)
    if input.ndim < 3:
        raise ValueError(f"{op}: input must be (N, C, *) with at least one spatial axis, got shape {input.shape}.")
    C = input.shape[1]
    squares = zero_pad(input * input, [(0, 0), (size // 2, (size - 1) // 2)] + [(0, 0)] * (input.ndim - 2))
    activity = squares[:, :C]
    for shift in range(1, size):
        activity = activity + squares[:, shift:shift + C]
    return input * (activity * (alpha / size) + k) ** -beta


def normalize(input, p=2.0, dim=1, eps=1e-12):
    """Divide by the p-norm along an axis, so that directions are compared, not lengths (torch.nn.functional.normalize).

    Shapes: input (*) -> (*).
    dim: an axis, or several over which one norm is taken; p: any number, or inf for the largest absolute value.
    eps: the least number to divide by, for vectors of zeros.
    Raises ValueError for an axis that does not exist.

    >>> from tinyvision import Tensor
    >>> normalize(Tensor([[3.0, 4.0], [0.0, 0.0]]))
    Tensor([[0.6, 0.8],
            [0. , 0. ]])
    """
    check_float("normalize", input=input)
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    axes = tuple(check_dim("normalize", d, input) for d in dims) if input.ndim else ()
    return input / norm(input, p, axes, keepdims=True, least=eps)
