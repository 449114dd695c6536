"""pixel_shuffle, pixel_unshuffle, channel_shuffle: pixels change places with channels, nothing is computed.

Write one channel index as two or three, exchange some of the indices, and write them as one again.  With r for the factor:

    pixel_shuffle      y[n, c, h r + i, w r + j]      =  x[n, c r^2 + i r + j, h, w]        (*, C r^2, H, W) -> (*, C, H r, W r)
    pixel_unshuffle    the other way round                                                  (*, C, H r, W r) -> (*, C r^2, H, W)
    channel_shuffle    y[n, k G + g, ...]             =  x[n, g C/G + k, ...]               (N, C, *S)       -> (N, C, *S)

The first turns r^2 channels into blocks of r x r pixels, so that a network can enlarge pictures by an ordinary convolution
on the small ones; the last mixes groups between grouped convolutions: each reads from every group before it.  As a matrix
each is a permutation, so its adjoint is its inverse; reshape and transpose, of which all are made, already know theirs.

Sources: Shi et al. 2016, arXiv:1609.05158, equation 4 (there c counts fastest, here and in PyTorch slowest); Zhang et al. 2018
(ShuffleNet), arXiv:1707.01083, section 3.1.
"""

from .shapes import as_tuple, check_array


def check_rearranged(op, input, name, factor):
    """The factor as an integer, when it is one and the input has axes to rearrange."""
    check_array(op, input=input)
    (factor,) = as_tuple(op, name, factor, 1, least=1)
    if input.ndim < 3:
        raise ValueError(f"{op}: input must have at least 3 axes, channels and two or more others, got shape {input.shape}.")
    return factor


def pixel_shuffle(input, upscale_factor):
    """Spread r^2 channels over blocks of r x r pixels (torch.nn.functional.pixel_shuffle).

    Shapes: input (*, C*r^2, H, W) -> (*, C, H*r, W*r), r = upscale_factor.
    Raises ValueError when the channels are not a multiple of r^2.

    >>> from tinyvision import Tensor
    >>> pixel_shuffle(Tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]), 2)
    Tensor([[[1., 2.],
             [3., 4.]]])
    """
    r = check_rearranged("pixel_shuffle", input, "upscale_factor", upscale_factor)
    *front, channels, H, W = input.shape
    if channels % r ** 2:
        raise ValueError(f"pixel_shuffle: the channels must be a multiple of upscale_factor^2 = {r ** 2}, got {channels} in "
                         f"input {input.shape}. Let the convolution before it make C * {r ** 2}.")
    C, n = channels // r ** 2, len(front)
    x = input.reshape((*front, C, r, r, H, W))                            # (*, C, i, j, H, W)
    x = x.transpose((*range(n), n, n + 3, n + 1, n + 4, n + 2))           # (*, C, H, i, W, j)
    return x.reshape((*front, C, H * r, W * r))


def pixel_unshuffle(input, downscale_factor):
    """Stack blocks of r x r pixels as r^2 channels: the inverse of pixel_shuffle (torch.nn.functional.pixel_unshuffle).

    Shapes: input (*, C, H*r, W*r) -> (*, C*r^2, H, W), r = downscale_factor.
    Raises ValueError when height or width is not a multiple of r.

    >>> from tinyvision import Tensor
    >>> pixel_unshuffle(Tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2).reshape(-1)
    Tensor([1., 2., 3., 4.])
    """
    r = check_rearranged("pixel_unshuffle", input, "downscale_factor", downscale_factor)
    *front, C, height, width = input.shape
    if height % r or width % r:
        raise ValueError(f"pixel_unshuffle: height and width must be multiples of downscale_factor {r}, got {height} x {width} "
                         f"in input {input.shape}. Crop or pad the picture.")
    H, W, n = height // r, width // r, len(front)
    x = input.reshape((*front, C, H, r, W, r))                            # (*, C, H, i, W, j)
    x = x.transpose((*range(n), n, n + 2, n + 4, n + 1, n + 3))           # (*, C, i, j, H, W)
    return x.reshape((*front, C * r ** 2, H, W))


def channel_shuffle(input, groups):
    """Deal the channels out so that neighbours come from different groups (torch.nn.functional.channel_shuffle).

    Shapes: input (N, C, *S) -> (N, C, *S), channel g C/G + k going to k G + g, G = groups.
    Raises ValueError when groups does not divide the channels.

    >>> import numpy as np
    >>> channel_shuffle(np.arange(6.0).reshape(1, 6, 1), 2).reshape(-1)
    array([0., 3., 1., 4., 2., 5.])
    """
    G = check_rearranged("channel_shuffle", input, "groups", groups)
    N, C, *S = input.shape
    if C % G:
        raise ValueError(f"channel_shuffle: groups must divide the channels, got groups={G} and {C} channels in input "
                         f"{input.shape}, whose axis 1 is taken for them.")
    x = input.reshape((N, G, C // G, *S)).swapaxes(1, 2)                  # (N, C/G, G, *S)
    return x.reshape((N, C, *S))
