"""The embedded data set: 1,797 handwritten digits of scikit-learn, which need no network.

A digit was scanned as a bitmap of 32x32 pixels, ink or not.  The set keeps, for each block of 4x4, the number of its ink
pixels, 0..16, hence 8x8 numbers.  `Digits` brings them back to 32x32, the size LeNet-5 takes, by bilinear interpolation.

Pixel centres lie at i + 1/2, so output pixel i of `size` looks at the input position (i + 1/2) 8/size - 1/2, in between two
pixels, and takes their mean weighted by nearness; positions beyond the border take the border's pixel.  Times 2 size, each
position is a whole number, and so are the weights W (size, 8): W counts W^T is computed exactly, and only the division by
16 (2 size)^2 rounds.  The pictures are therefore the same to the last bit on every machine.

Sources: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (the pictures);
torch.nn.functional.interpolate, mode="bilinear", align_corners=False (the same interpolation).
"""

import numpy as np

from ..packages import require
from .dataset import LabelledImages, check_part

SEED = 0                                                  # of the split
TEST = 360                                                # test pictures, a fifth


class Digits(LabelledImages):
    """The embedded handwritten digits (sklearn.datasets.load_digits), as LabelledImages.

    Shapes: images (N, 1, size, size), float32, 0 background to 1 ink; labels (N,), int64, the digit.
    N = 1,437 with train=True, else 360.  The split is fixed (seed 0) and stratified: each digit has the same share in both
    parts, up to one picture.  size: 8 gives the original pictures, more pixels are interpolated between them.
    Raises ValueError for a size below 8, which would throw pixels away.

    >>> Digits(), Digits(train=False, size=8)
    (Digits: 1437 pictures of 1x32x32, 10 classes, Digits: 360 pictures of 1x8x8, 10 classes)
    """

    def __init__(self, train=True, *, size=32):
        check_part("Digits", train, size)
        if size < 8:
            raise ValueError(f"Digits: size must be at least 8, the size of the original pictures, got {size}.")
        counts, labels = load()
        test = stratified(labels, TEST, SEED)
        chosen = np.setdiff1d(np.arange(len(labels)), test) if train else test
        images = enlarge(counts[chosen], size)[:, None]                   # (N, 1, size, size)
        super().__init__(images, labels[chosen], tuple("0123456789"))


def load():
    """All pictures as counts 0..16, (1797, 8, 8), and their digits, (1797,) int64."""
    require("Digits", "scipy", "sklearn")
    from sklearn.datasets import load_digits
    bunch = load_digits()
    return bunch.images, bunch.target.astype(np.int64)


def enlarge(counts, size):
    """Counts (N, 8, 8) as brightness (N, size, size), interpolated as the module's head derives."""
    row = np.arange(size)
    position = np.clip((2 * row + 1) * 8 - size, 0, 7 * 2 * size)         # in units of 1 / (2 size) pixel
    left, fraction = np.divmod(position, 2 * size)
    weight = np.zeros((size, 8))                                          # whole numbers: floats below 2**53 are exact
    weight[row, left] = 2 * size - fraction
    weight[row, np.minimum(left + 1, 7)] += fraction
    return (weight @ counts @ weight.T / (16 * (2 * size) ** 2)).astype(np.float32)


def stratified(labels, size, seed):
    """The sorted indices of `size` examples drawn at random, of each class its share of them (largest remainders)."""
    counts = np.bincount(labels)
    share, rest = np.divmod(counts * size, len(labels))
    share[np.argsort(-rest, kind="stable")[:size - share.sum()]] += 1
    # RandomState, and not the newer Generator, because NumPy promises never to change its streams.
    order = np.random.RandomState(seed).permutation(len(labels))
    return np.sort(np.concatenate([order[labels[order] == k][:n] for k, n in enumerate(share)]))
