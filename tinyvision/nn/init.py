"""First values of weights, chosen so that signals neither fade nor explode on their way through the layers.

A unit that adds up n = fan_in inputs with independent weights of mean 0 multiplies the variance of its input by
n * var(w), and ReLU throws half of it away.  Over L layers that factor is taken to the power L, so it has to be 1:

    var(w) = gain^2 / fan_in           He (Kaiming): gain^2 = 2 for ReLU makes up for the half that was lost
    var(w) = gain^2 * 2 / (fan_in + fan_out)     Glorot (Xavier): the same for the gradients that come back

fan_in and fan_out count the products that one output, or one input, takes part in: channels times pixels of the kernel.
A uniform distribution on [-b, b] has variance b^2 / 3, so its bound is b = sqrt(3 var(w)).

Every function writes into its tensor, records nothing, and returns the tensor.  generator: a numpy.random.Generator, an
integer seed, or None for the engine's (tinyvision.manual_seed).

Sources: Glorot and Bengio 2010 (Xavier); He et al. 2015, arXiv:1502.01852, equations 10 and 14 (Kaiming); Saxe, McClelland
and Ganguli 2013, arXiv:1312.6120 (orthogonal); Long, Shelhamer and Darrell 2015, arXiv:1411.4038 (bilinear); torch.nn.init.
"""

from math import prod, sqrt

import numpy as np

from ..autograd import no_grad
from ..backend import array_module
from ..ops.shapes import check_choice
from ..random import as_generator, draw_normal, draw_uniform
from ..tensor import Tensor, raw


def fill(tensor, values):
    """Write values into a tensor: in place, unrecorded, and noticed by the graphs that used the old ones."""
    with no_grad():
        tensor[...] = array_module(raw(tensor)).asarray(values)
    return tensor


def check_tensor(op, tensor, least=0):
    """A floating-point Tensor with enough axes."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{op}: needs a Tensor to write into, got {type(tensor).__name__}. Pass layer.weight, for instance.")
    if tensor.dtype.kind != "f":
        raise TypeError(f"{op}: needs a floating-point tensor, got {tensor.dtype}.")
    if tensor.ndim < least:
        raise ValueError(f"{op}: needs a tensor of at least {least} axes, (O, I, ...), got shape {tensor.shape}. "
                         "For a bias use zeros_ or uniform_.")


def uniform_(tensor, a=0.0, b=1.0, *, generator=None):
    """Independent numbers, uniform on [a, b) (torch.nn.init.uniform_).

    Raises ValueError unless a <= b, TypeError for anything but a floating-point Tensor.

    >>> w = uniform_(Tensor(np.zeros(1000)), -1, 1, generator=0)
    >>> bool(w.min() >= -1), bool(w.max() < 1)
    (True, True)
    """
    check_tensor("uniform_", tensor)
    if not a <= b:
        raise ValueError(f"uniform_: a must not exceed b, got a={a}, b={b}.")
    return fill(tensor, a + (b - a) * draw_uniform(as_generator("uniform_", generator), tensor.shape, tensor.dtype))


def normal_(tensor, mean=0.0, std=1.0, *, generator=None):
    """Independent normal numbers of this mean and standard deviation (torch.nn.init.normal_).

    Raises ValueError for std < 0, TypeError for anything but a floating-point Tensor.

    >>> w = normal_(Tensor(np.zeros(1000)), 5, 0.1, generator=0); round(w.mean().item(), 1)
    5.0
    """
    check_tensor("normal_", tensor)
    if std < 0:
        raise ValueError(f"normal_: std must be at least 0, got {std}.")
    return fill(tensor, mean + std * draw_normal(as_generator("normal_", generator), tensor.shape, tensor.dtype))


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, *, generator=None):
    """Normal numbers, those outside of [a, b] drawn again until they are inside (torch.nn.init.trunc_normal_).

    a, b: limits in the units of the tensor, not of std.
    Raises ValueError for std <= 0 and for an interval that holds less than 1e-3 of the normal distribution.

    >>> w = trunc_normal_(Tensor(np.zeros(1000)), generator=0); bool(abs(w).max() <= 2)
    True
    """
    from math import erf
    check_tensor("trunc_normal_", tensor)
    if not std > 0:
        raise ValueError(f"trunc_normal_: std must be above 0, got {std}.")
    inside = (erf((b - mean) / std / sqrt(2)) - erf((a - mean) / std / sqrt(2))) / 2
    if inside < 1e-3:
        raise ValueError(f"trunc_normal_: [a, b] must hold a part of the normal distribution worth drawing from, got "
                         f"a={a}, b={b}, mean={mean}, std={std}. Limits are in the tensor's units.")
    rng = as_generator("trunc_normal_", generator)
    values = mean + std * draw_normal(rng, tensor.shape, tensor.dtype)
    while (outside := (values < a) | (values > b)).any():
        values[outside] = mean + std * draw_normal(rng, int(outside.sum()), tensor.dtype)
    return fill(tensor, values)


def constant_(tensor, val):
    """The same number everywhere (torch.nn.init.constant_).

    >>> constant_(Tensor([0.0, 0.0]), 3)
    Tensor([3., 3.])
    """
    check_tensor("constant_", tensor)
    return fill(tensor, val)


def zeros_(tensor):
    """Zeros (torch.nn.init.zeros_).

    >>> zeros_(Tensor([1.0, 2.0]))
    Tensor([0., 0.])
    """
    check_tensor("zeros_", tensor)
    return fill(tensor, 0)


def ones_(tensor):
    """Ones (torch.nn.init.ones_).

    >>> ones_(Tensor([1.0, 2.0]))
    Tensor([1., 1.])
    """
    check_tensor("ones_", tensor)
    return fill(tensor, 1)


def fan_in_and_fan_out(tensor):
    """How many inputs one output adds up, and how many outputs one input reaches.

    Shapes: tensor (O, I, *K) -> I * prod(K), O * prod(K).  With groups, I is C/G; the weight of a transposed convolution is
    read the same way, although its first axis counts inputs (as PyTorch does).
    Raises ValueError for fewer than two axes.

    >>> fan_in_and_fan_out(Tensor(np.zeros((6, 3, 5, 5))))
    (75, 150)
    """
    check_tensor("fan_in_and_fan_out", tensor, least=2)
    taps = prod(tensor.shape[2:])
    return tensor.shape[1] * taps, tensor.shape[0] * taps


def calculate_gain(nonlinearity, param=None):
    """The factor by which to enlarge weights in front of a nonlinearity (torch.nn.init.calculate_gain).

    1 for linear, conv1d to conv3d, conv_transpose1d to conv_transpose3d and sigmoid; 5/3 for tanh; sqrt(2) for relu;
    sqrt(2 / (1 + slope^2)) for leaky_relu, param being its slope (0.01 if None); 3/4 for selu.
    Raises ValueError for other names.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    linear = ["linear", "sigmoid"] + [f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)]
    check_choice("calculate_gain", "nonlinearity", nonlinearity, linear + ["tanh", "relu", "leaky_relu", "selu"])
    slope = 0.01 if param is None else param
    return {"tanh": 5 / 3, "relu": sqrt(2), "selu": 3 / 4, "leaky_relu": sqrt(2 / (1 + slope ** 2))}.get(nonlinearity, 1)


def kaiming_std(op, tensor, a, mode, nonlinearity):
    check_tensor(op, tensor, least=2)
    check_choice(op, "mode", mode, ("fan_in", "fan_out"))
    fan = fan_in_and_fan_out(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / sqrt(max(fan, 1))


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", *, generator=None):
    """Uniform numbers of variance gain^2 / fan (torch.nn.init.kaiming_uniform_; He et al. 2015).

    a: slope of the leaky ReLU that follows, 0 for ReLU.  mode: 'fan_in' keeps the variance of the signal, 'fan_out' that of
    the gradient.  nonlinearity: see calculate_gain.
    Raises ValueError for fewer than two axes or an unknown name.

    >>> w = kaiming_uniform_(Tensor(np.zeros((10, 6))), generator=0); bool(abs(w).max() <= 1)     # sqrt(3) * sqrt(2 / 6)
    True
    """
    bound = sqrt(3) * kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator=generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", *, generator=None):
    """Normal numbers of variance gain^2 / fan (torch.nn.init.kaiming_normal_; He et al. 2015, equation 10).

    Arguments and errors as kaiming_uniform_.

    >>> w = kaiming_normal_(Tensor(np.zeros((500, 200))), generator=0); round(w.var().item() * 200, 1)
    2.0
    """
    return normal_(tensor, 0, kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity), generator=generator)


def xavier_std(op, tensor, gain):
    check_tensor(op, tensor, least=2)
    return gain * sqrt(2 / max(sum(fan_in_and_fan_out(tensor)), 1))


def xavier_uniform_(tensor, gain=1.0, *, generator=None):
    """Uniform numbers of variance 2 gain^2 / (fan_in + fan_out) (torch.nn.init.xavier_uniform_; Glorot and Bengio 2010).

    Raises ValueError for fewer than two axes.

    >>> w = xavier_uniform_(Tensor(np.zeros((4, 2))), generator=0); bool(abs(w).max() <= 1)       # sqrt(3) * sqrt(2 / 6)
    True
    """
    bound = sqrt(3) * xavier_std("xavier_uniform_", tensor, gain)
    return uniform_(tensor, -bound, bound, generator=generator)


def xavier_normal_(tensor, gain=1.0, *, generator=None):
    """Normal numbers of variance 2 gain^2 / (fan_in + fan_out) (torch.nn.init.xavier_normal_; Glorot and Bengio 2010).

    Raises ValueError for fewer than two axes.

    >>> w = xavier_normal_(Tensor(np.zeros((300, 200))), generator=0); round(w.var().item() * 500, 1)
    2.0
    """
    return normal_(tensor, 0, xavier_std("xavier_normal_", tensor, gain), generator=generator)


def orthogonal_(tensor, gain=1, *, generator=None):
    """A random matrix with orthonormal rows or columns, whichever are fewer (torch.nn.init.orthogonal_; Saxe et al. 2013).

    Shapes: tensor (O, I, *K), as the matrix (O, I * prod(K)).  It keeps the length of a signal exactly, times gain.
    Raises ValueError for fewer than two axes.

    >>> w = orthogonal_(Tensor(np.zeros((2, 2))), generator=0); np.round(abs((w @ w.T).data), 5)
    array([[1., 0.],
           [0., 1.]])
    """
    check_tensor("orthogonal_", tensor, least=2)
    if tensor.size == 0:
        return tensor
    rows, columns = len(tensor), tensor.size // len(tensor)
    normal = draw_normal(as_generator("orthogonal_", generator), (rows, columns), tensor.dtype)
    q, r = np.linalg.qr(normal if rows >= columns else normal.T)
    # R with a positive diagonal makes QR unique, and Q uniform among the orthogonal matrices (Mezzadri 2007)
    q = q * np.where(np.diag(r) < 0, -1, 1).astype(q.dtype)
    return fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def bilinear_(tensor):
    """Weights with which a transposed convolution interpolates linearly (Long, Shelhamer and Darrell 2015).

    Shapes: tensor (C, O, *K), the weight of a ConvTranspose: channel i goes to channel i, triangle-shaped along each axis;
            with one channel per group (O = 1) every channel is enlarged by itself.
    For enlargement by a factor f: kernel_size = 2f - f%2, stride = f, padding = ceil((f - 1) / 2); away from the border the
    result is F.interpolate(x, scale_factor=f, mode='bilinear').
    Raises ValueError unless C = O or O = 1, and for fewer than three axes.

    >>> bilinear_(Tensor(np.zeros((1, 1, 4))))            # f = 2
    Tensor([[[0.25, 0.75, 0.75, 0.25]]])
    """
    check_tensor("bilinear_", tensor, least=3)
    C, O, *size = tensor.shape
    if O not in (1, C):
        raise ValueError(f"bilinear_: needs as many channels out as in, or groups of one channel, got weight {tensor.shape}. "
                         "Enlarge the class scores, not the features.")
    kernel = np.ones(size)
    for axis, K in enumerate(size):
        factor = (K + 1) // 2
        centre = factor - 1 if K % 2 else factor - 0.5
        triangle = 1 - np.abs(np.arange(K) - centre) / factor
        kernel = kernel * triangle.reshape([-1 if a == axis else 1 for a in range(len(size))])
    values = np.zeros(tensor.shape)
    values[np.arange(C), np.arange(C) if O == C else 0] = kernel
    return fill(tensor, values)
