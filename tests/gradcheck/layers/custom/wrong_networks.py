"""Wrong custom layers: blocks and networks."""

import numpy as np

import tinyvision as tv
import tinyvision.functional as F
from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.custom.parts import param
from tinyvision import Op, Tensor, nn


@wrong("call", "missing-gradient", costly=True)
def attention_weights_detached(rng):
    """The attention weights are detached, so queries and keys get nothing."""
    def attention(q, k, v):
        a = F.softmax(q @ k.transpose(0, 2, 1) / 2.0, dim=-1)
        return a.detach() @ v
    return attention, *(rng.standard_normal((2, n, 4)) for n in (3, 5, 5))


@wrong("call", "term-missing", costly=True)
def inception_branch_from_data(rng):
    """The second branch of an inception block starts from x.data: only the first branch reaches x."""
    def block(x, w1, w3):
        a = F.relu(F.conv2d(x, w1))
        b = F.relu(F.conv2d(Tensor(x.data), w3, padding=1))
        return tv.concatenate([a, b], axis=1)
    return block, rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((2, 3, 1, 1)), rng.standard_normal((2, 3, 3, 3))


class ClippedTanh(Op):
    def forward(self, x):
        return np.tanh(x)

    def backward(self, g, x):
        return np.clip(g * (1 - np.tanh(x) ** 2), -0.1, 0.1)


class ClippedCell(nn.Module):
    def __init__(self, rng):
        self.w = param(rng.standard_normal((4, 3)) / 2)
        self.u = param(rng.standard_normal((4, 4)) / 2)

    def forward(self, x):
        h = Tensor(np.zeros((x.shape[0], 4)))
        for t in range(x.shape[1]):
            h = ClippedTanh()(F.linear(x[:, t], self.w) + F.linear(h, self.u))
        return h


@wrong("module", "nonlinear-upstream", costly=True)
def recurrent_cell_clips_gradient(rng):
    """A recurrent cell that clips its gradient to +-0.1 in each step."""
    return ClippedCell(rng), rng.standard_normal((3, 3, 3))


class TwiceShortcut(Op):
    def forward(self, x, w):
        return x + np.tanh(x @ w)

    def backward(self, g, x, w):
        d = g * (1 - np.tanh(x @ w) ** 2)
        gx = d @ w.T + g                                                  # the shortcut ...
        gx = gx + g                                                       # ... and once more "for the addition"
        return gx, x.T @ d


@wrong("op", "extra-term")
def residual_shortcut_counted_twice(rng):
    """The gradient of the shortcut is added twice."""
    return TwiceShortcut(), rng.standard_normal((4, 5)), rng.standard_normal((5, 5)) / 2


class SavedTwisted(Op):
    def forward(self, q, k):
        return q @ k.transpose(0, 2, 1)

    def backward(self, g, q, k):
        return g @ k, g @ q


@wrong("op", "transposed")
def attention_scores_upstream_not_transposed(rng):
    """Attention scores with as many queries as keys: the gradient of the keys uses g for g^T."""
    return SavedTwisted(), rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 4, 3))


class GateNoSum(Op):
    def forward(self, x, s):
        return x * s

    def backward(self, g, x, s):
        return g * s, g * x


class SqueezeExcite(nn.Module):
    def __init__(self, rng):
        self.fc = nn.Linear(3, 3).double()

    def forward(self, x):
        s = tv.sigmoid(self.fc(x.mean(axis=(2, 3))))
        return GateNoSum()(x, s.reshape(x.shape[0], 3, 1, 1))


@wrong("module", "missing-sum", "wrong-shape")
def excite_gate_not_summed(rng):
    """Squeeze and excite: the gradient of the broadcast gate is not summed over the pixels."""
    return SqueezeExcite(rng), rng.standard_normal((2, 3, 4, 4))


class NearestUp(Op):
    def forward(self, x):
        return x.repeat(2, axis=2).repeat(2, axis=3)

    def backward(self, g, x):
        gx = np.zeros_like(x)
        for i in range(g.shape[2]):
            for j in range(g.shape[3]):
                gx[:, :, i // 2, j // 2] = g[:, :, i, j]
        return gx


class UpBlock(nn.Module):
    """Nearest neighbours, a skip, a convolution: a decoder's step."""

    def __init__(self, rng):
        self.conv = nn.Conv2d(5, 2, 3, padding=1).double()

    def forward(self, x, skip):
        return F.relu(self.conv(tv.concatenate([skip, NearestUp()(x)], axis=1)))


@wrong("module", "overwritten", costly=True)
def nearest_upsampling_keeps_last(rng):
    """A decoder step: the enlargement keeps one of the four gradients of each pixel."""
    return UpBlock(rng), rng.standard_normal((2, 3, 2, 3)), rng.standard_normal((2, 2, 4, 6))


class ResidualOp(Op):
    def forward(self, x, w1, w2):
        return np.maximum(np.maximum(x @ w1, 0) @ w2 + x, 0)

    def backward(self, g, x, w1, w2):
        h = np.maximum(x @ w1, 0)
        d = g * (h @ w2 + x > 0)
        dh = (d @ w2.T) * (h > 0)
        return dh @ w1.T, x.T @ dh, h.T @ d


@wrong("op", "term-missing")
def residual_block_loses_shortcut(rng):
    """A residual block as one op: the path over the shortcut is missing from the input's gradient."""
    return ResidualOp(), rng.standard_normal((5, 4)), rng.standard_normal((4, 6)) / 2, rng.standard_normal((6, 4)) / 2
