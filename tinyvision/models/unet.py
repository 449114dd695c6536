"""U-Net: a picture in, a label for every pixel out.  Down to see more, up to see sharply, and bridges between.

Level l = 0..depth works on 2^l times coarser maps with B 2^l channels (B = base_channels, 64 in the paper):

    going down    double conv (3x3, 3x3), kept as skip_l        (N, B 2^l, H/2^l, W/2^l)
                  2x2 max pool                                  (N, B 2^l, H/2^(l+1), ...)
    bottom        double conv                                   (N, B 2^depth, H/2^depth, ...)
    going up      2x2 transposed conv with stride 2, half the channels
                  [skip_l, up] concatenated                     (N, 2 B 2^l, H/2^l, ...)
                  double conv                                   (N, B 2^l, H/2^l, ...)
    head          1x1 conv                                      (N, K, H, W)

By default convolutions are padded, so that output and input have one size, and each is followed by batch norm, which makes
its bias useless.  The paper's form (valid convolutions that lose two pixels per double conv and side, biases, no batch
norm) is padding="valid", norm=False; the skips are then cropped at the centre to the size of what comes up.

    weights (depth 4, B = 64): in_channels 1, K 2: 31,036,546 by default, 31,030,658 in the paper's form

Source: Ronneberger, Fischer and Brox 2015, U-Net, arXiv:1505.04597.  In 3-D: Cicek et al. 2016, arXiv:1606.06650.
"""

from .. import concatenate, nn
from ..ops.shapes import AXES, as_tuple, check_array, check_choice


def by_dims(name, dims):
    """The layer of this name for so many spatial axes: nn.Conv1d, nn.Conv2d or nn.Conv3d, for instance."""
    return getattr(nn, f"{name}{dims}d")


class DoubleConv(nn.Sequential):
    """Twice 3x3 convolution, batch norm where wanted, ReLU: (N, C, *S) -> (N, O, *S), or *S - 4 with valid padding."""

    def __init__(self, in_channels, channels, dims, padding, norm):
        layers = []
        for before in (in_channels, channels):
            layers.append(by_dims("Conv", dims)(before, channels, 3, padding=padding, bias=not norm))
            if norm:
                layers.append(by_dims("BatchNorm", dims)(channels))
            layers.append(nn.ReLU())
        super().__init__(*layers)


class Up(nn.Module):
    """Twice the size, half the channels: (N, C, *S) -> (N, C/2, *2S).

    "transpose" learns how to enlarge: a 2x2 transposed convolution with stride 2, whose windows do not overlap.  "nearest"
    repeats every pixel and smooths with a 3x3 convolution, which rules out checkerboards.
    """

    def __init__(self, channels, dims, up):
        if up == "transpose":
            self.up = by_dims("ConvTranspose", dims)(channels, channels // 2, 2, stride=2)
        else:
            self.up = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"),
                                    by_dims("Conv", dims)(channels, channels // 2, 3, padding=1))

    def forward(self, x):
        return self.up(x)


class UNet(nn.Module):
    """U-Net on signals, pictures or volumes (dims = 1, 2, 3).

    Shapes: input (N, in_channels, *S) -> logits (N, num_classes, *S) with padding="same", where every size in S must be a
            multiple of 2^depth; with padding="valid" the output is smaller (572 -> 388 in the paper).
    base_channels: B, channels of the first level; depth: how many times the size is halved.
    norm: batch norm after each 3x3 convolution; padding: "same" or "valid"; up: "transpose" or "nearest".
    Raises ValueError for sizes that do not halve evenly, and for unknown options.

    >>> sum(p.size for p in UNet(1, 2, base_channels=16, depth=2).parameters())
    117090
    """

    def __init__(self, in_channels, num_classes, base_channels=64, depth=4, dims=2, *, norm=True, padding="same",
                 up="transpose"):
        check_choice("UNet", "padding", padding, ("same", "valid"))
        check_choice("UNet", "up", up, ("transpose", "nearest"))
        check_choice("UNet", "dims", dims, (1, 2, 3))
        as_tuple("UNet", "depth", depth, 1, least=1)
        self.in_channels, self.depth, self.dims, self.padding = in_channels, depth, dims, padding
        channels = [base_channels * 2 ** level for level in range(depth + 1)]
        before = [in_channels, *channels]
        self.down = nn.ModuleList([DoubleConv(b, c, dims, padding, norm) for b, c in zip(before, channels)])
        self.pool = by_dims("MaxPool", dims)(2)
        self.up = nn.ModuleList([Up(c, dims, up) for c in channels[:0:-1]])
        self.merge = nn.ModuleList([DoubleConv(2 * c, c, dims, padding, norm) for c in channels[-2::-1]])
        self.head = by_dims("Conv", dims)(base_channels, num_classes, 1)

    def forward(self, x):
        self.check(x)
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(self.even(x)))       # (N, B 2^l, *S/2^l)
            skips.append(x)
        skips.pop()                                                       # the bottom is not bridged
        for up, merge in zip(self.up, self.merge):
            x = up(x)                                                     # (N, B 2^l, *S/2^l)
            x = merge(concatenate([crop(skips.pop(), x.shape[2:]), x], axis=1))
        return self.head(x)

    def check(self, x):
        axes = ", ".join(AXES[self.dims])
        check_array("UNet", input=x)
        if x.ndim != self.dims + 2 or x.shape[1] != self.in_channels:
            raise ValueError(f"UNet: input must be (N, {self.in_channels}, {axes}), got shape {x.shape}.")
        step = 2 ** self.depth
        if self.padding == "same" and any(size % step or size == 0 for size in x.shape[2:]):
            wanted = tuple(-(-max(size, 1) // step) * step for size in x.shape[2:])
            raise ValueError(f"UNet: with depth {self.depth} the sizes ({axes}) must be multiples of {step}, got "
                             f"{x.shape[2:]}. Pad to {wanted} (functional.pad), or use a smaller depth.")

    def even(self, x):
        """The map, if pooling halves it evenly: else the bridge would not fit (the paper's advice on tile sizes)."""
        if any(size % 2 or size < 2 for size in x.shape[2:]):
            raise ValueError(f"UNet: every map that is pooled must have even sizes, got {x.shape[2:]}. Without padding, "
                             "572x572 works at depth 4, 188x188 at least; or use padding='same'.")
        return x


def crop(x, sizes):
    """The centre of x (N, C, *S) with these sizes; x itself where they agree."""
    if x.shape[2:] == tuple(sizes):
        return x
    starts = [(have - want) // 2 for have, want in zip(x.shape[2:], sizes)]
    return x[(..., *[slice(a, a + n) for a, n in zip(starts, sizes)])]
