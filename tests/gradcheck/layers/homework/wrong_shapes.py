"""Wrong homework: shapes, lookups, borders and resampling."""

import numpy as np

from tests.gradcheck.layers import wrong


@wrong("pair", "transposed")
def flatten_fortran_order(rng):
    """Backward reshapes in Fortran order."""
    def forward(x):
        return x.reshape(x.shape[0], -1), x.shape

    def backward(dout, cache):
        return dout.reshape(cache, order="F")

    return forward, backward, rng.normal(size=(3, 2, 4))


@wrong("pair", "transposed")
def permute_not_inverted(rng):
    """Backward applies the same permutation again instead of its inverse."""
    def forward(x):
        return x.transpose(0, 2, 3, 1), None

    def backward(dout, cache):
        return dout.transpose(0, 2, 3, 1)

    return forward, backward, rng.normal(size=(2, 4, 4, 4))


@wrong("pair", "transposed")
def pixel_shuffle_block_transposed(rng):
    """The two factors of the channel are exchanged: rows and columns of each block swap."""
    r = 2

    def forward(x):
        n, c, h, w = x.shape
        y = x.reshape(n, c // r ** 2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3)
        return y.reshape(n, c // r ** 2, h * r, w * r), x.shape

    def backward(dout, cache):
        n, c, h, w = cache
        d = dout.reshape(n, c // r ** 2, h, r, w, r).transpose(0, 1, 5, 3, 2, 4)
        return d.reshape(cache)

    return forward, backward, rng.normal(size=(2, 4, 3, 2))


@wrong("pair", "flipped")
def mirror_not_mirrored_back(rng):
    """Backward of a mirror image returns dout without mirroring it."""
    def forward(x):
        return x[:, :, ::-1] * 2, x.shape

    def backward(dout, cache):
        return dout * 2

    return forward, backward, rng.normal(size=(2, 3, 5))


@wrong("pair", "flipped", "transposed")
def cumsum_in_the_same_direction(rng):
    """Backward accumulates from the front; the sum has to run from the end."""
    def forward(x):
        return np.cumsum(x, axis=1), None

    def backward(dout, cache):
        return np.cumsum(dout, axis=1)

    return forward, backward, rng.normal(size=(3, 8))


@wrong("pair", "shifted")
def pad1d_crop_off_by_one(rng):
    """The left and right padding are exchanged in the crop: everything is one step off."""
    left, right = 2, 1

    def forward(x):
        return np.pad(x, ((0, 0), (left, right))), x.shape[1]

    def backward(dout, cache):
        return dout[:, right:right + cache]

    return forward, backward, rng.normal(size=(3, 9))


@wrong("pair", "wrong-slice", "term-missing")
def reflect_pad_border_not_folded_back(rng):
    """Only the centre is cut out; what was reflected into the border is not added back."""
    def forward(x):
        return np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="reflect"), None

    def backward(dout, cache):
        return dout[:, 1:-1, 1:-1].copy()

    return forward, backward, rng.normal(size=(2, 6, 5))


@wrong("pair", "wrong-slice")
def edge_pad_corners_forgotten(rng):
    """The edges are folded back but the four padded corners are forgotten: one pixel per corner is wrong."""
    def forward(x):
        return np.pad(x, 1, mode="edge"), None

    def backward(dout, cache):
        dx = dout[1:-1, 1:-1].copy()
        dx[0] += dout[0, 1:-1]
        dx[-1] += dout[-1, 1:-1]
        dx[:, 0] += dout[1:-1, 0]
        dx[:, -1] += dout[1:-1, -1]
        return dx

    return forward, backward, rng.normal(size=(5, 6))


@wrong("pair", "overwritten")
def embedding_repeated_words(rng):
    """dW[idx] += dout counts a repeated word once."""
    def forward(idx, W):
        return W[idx], (idx, W)

    def backward(dout, cache):
        idx, W = cache
        dW = np.zeros_like(W)
        dW[idx] += dout
        return None, dW

    idx = np.array([[0, 3, 3], [5, 0, 1], [3, 6, 2]])
    return forward, backward, idx, rng.normal(size=(7, 4))


@wrong("object", "shifted")
def embedding_one_row_off(rng):
    """The words count from 1, backward does not subtract it: every row is one too far down."""
    class Embedding:
        def __init__(self, W):
            self.params, self.grads = [W], [np.zeros_like(W)]

        def forward(self, words):
            self.words = words
            return self.params[0][words - 1]

        def backward(self, dout):
            (dW,) = self.grads
            dW[...] = 0
            np.add.at(dW, self.words % len(dW), dout)
            return None

    return Embedding(rng.normal(size=(6, 4))), np.array([1, 4, 2, 2, 5, 3, 6])


@wrong("pair", "zero-gradient")
def embedding_added_into_a_copy(rng):
    """dW[idx][:] += dout adds into a copy."""
    def forward(W, idx):
        return W[idx], (W.shape, idx)

    def backward(dout, cache):
        shape, idx = cache
        dW = np.zeros(shape)
        dW[idx][:] += dout
        return dW

    return forward, backward, rng.normal(size=(6, 4)), rng.integers(0, 6, size=9)


@wrong("pair", "swapped-gradients")
def concat_parts_exchanged(rng):
    """The parts of dout go back to the wrong inputs; both have the same size."""
    def forward(a, b):
        return np.concatenate([a, b], axis=1), a.shape[1]

    def backward(dout, cache):
        return dout[:, cache:], dout[:, :cache]

    return forward, backward, rng.normal(size=(4, 5)), rng.normal(size=(4, 5))


@wrong("pair", "nonsquare-only", costly=True)
def bilinear_one_scale_for_both_axes(rng):
    """Backward takes the vertical scale for both axes; for square pictures they agree."""
    def taps(size, out, ratio):
        src = np.clip((np.arange(out) + 0.5) * ratio - 0.5, 0, size - 1)
        lo = np.minimum(np.floor(src).astype(int), max(size - 2, 0))
        m = np.zeros((out, size))
        frac = src - lo
        m[np.arange(out), lo] += 1 - frac
        m[np.arange(out), np.minimum(lo + 1, size - 1)] += frac
        return m

    def forward(x):
        h, w = x.shape[1:]
        return np.einsum("ph,nhw,qw->npq", taps(h, 8, h / 8), x, taps(w, 8, w / 8)), x.shape

    def backward(dout, cache):
        n, h, w = cache
        return np.einsum("ph,npq,qw->nhw", taps(h, 8, h / 8), dout, taps(w, 8, h / 8))

    return forward, backward, rng.normal(size=(2, 4, 6))


@wrong("pair", "ties-counted-twice")
def maximum_of_two_ties(rng):
    """Where a == b both inputs get the whole gradient."""
    def forward(a, b):
        return np.maximum(a, b), (a, b)

    def backward(dout, cache):
        a, b = cache
        return dout * (a >= b), dout * (b >= a)

    a = rng.normal(size=(4, 5))
    b = rng.normal(size=(4, 5))
    b[::2] = a[::2]
    return forward, backward, a, b
