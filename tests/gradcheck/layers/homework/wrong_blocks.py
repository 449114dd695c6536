"""Wrong homework: blocks, cells and layers of all kinds, as several hands write them."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import sigmoid


def tap_forward(x, w, stride, pad, dilation):
    """One tap of the kernel at a time."""
    N, C, H, W = x.shape
    F, _, K, L = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    OH = (H + 2 * pad - dilation * (K - 1) - 1) // stride + 1
    OW = (W + 2 * pad - dilation * (L - 1) - 1) // stride + 1
    out = np.zeros((N, F, OH, OW))
    for k in range(K):
        for l in range(L):
            part = xp[:, :, k * dilation:k * dilation + stride * OH:stride, l * dilation:l * dilation + stride * OW:stride]
            out += np.tensordot(part, w[:, :, k, l], axes=(1, 1)).transpose(0, 3, 1, 2)
    return out


@wrong("pair", "shifted")
def conv_dilation_forgotten_in_dx(rng):
    """Dilation two in forward; the taps of dx lie side by side."""
    def forward(x, w):
        return tap_forward(x, w, 1, 2, 2)

    def backward(dout, x, w):
        N, F, OH, OW = dout.shape
        xp = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for k in range(w.shape[2]):
            for l in range(w.shape[3]):
                dw[:, :, k, l] = np.einsum("nfhw,nchw->fc", dout, xp[:, :, 2 * k:2 * k + OH, 2 * l:2 * l + OW])
                dxp[:, :, k:k + OH, l:l + OW] += np.einsum("nfhw,fc->nchw", dout, w[:, :, k, l])
        return dxp[:, :, 2:-2, 2:-2], dw

    return forward, backward, rng.normal(size=(2, 2, 5, 6)), rng.normal(size=(3, 2, 3, 3))


@wrong("pair", "wrong-slice")
def bilinear_last_row_left_out(rng):
    """Linear interpolation of rows; the loop of backward stops before the last output row."""
    def weights(size, out):
        t = np.arange(out) * (size - 1) / (out - 1)
        low = np.minimum(np.floor(t).astype(int), size - 2)
        return low, t - low

    def forward(x):
        low, f = weights(x.shape[2], 9)
        f = f[:, None]
        return x[:, :, low] * (1 - f) + x[:, :, low + 1] * f

    def backward(dout, x):
        low, f = weights(x.shape[2], 9)
        dx = np.zeros(x.shape)
        for r in range(8):
            dx[:, :, low[r]] += dout[:, :, r] * (1 - f[r])
            dx[:, :, low[r] + 1] += dout[:, :, r] * f[r]
        return dx

    return forward, backward, rng.normal(size=(2, 2, 4, 3))


@wrong("pair", "swapped-gradients")
def up_block_halves_exchanged(rng):
    """U-Net: concatenated as (skip, up), taken apart as (up, skip); both have three channels."""
    def forward(skip, up, w):
        big = up.repeat(2, axis=2).repeat(2, axis=3)
        both = np.concatenate([skip, big], axis=1)
        return np.einsum("nchw,fc->nfhw", both, w), (both, w)

    def backward(dout, cache):
        both, w = cache
        d = np.einsum("nfhw,fc->nchw", dout, w)
        first, second = d[:, 3:], d[:, :3]
        n, c, h, v = second.shape
        return first, second.reshape(n, c, h // 2, 2, v // 2, 2).sum(axis=(3, 5)), np.einsum("nfhw,nchw->fc", dout, both)

    return forward, backward, rng.normal(size=(2, 3, 4, 6)), rng.normal(size=(2, 3, 2, 3)), rng.normal(size=(4, 6))


@wrong("pair", "overwritten")
def adaptive_pool_overlap_assigned(rng):
    """Adaptive average pooling of five to three: the windows share pixels, and = forgets the first."""
    def spans(size, out):
        return [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]

    def forward(x):
        out = np.zeros((*x.shape[:2], 3, 2))
        for i, (a, b) in enumerate(spans(x.shape[2], 3)):
            for j, (c, d) in enumerate(spans(x.shape[3], 2)):
                out[:, :, i, j] = x[:, :, a:b, c:d].mean(axis=(2, 3))
        return out, x

    def backward(dout, x):
        dx = np.zeros_like(x)
        for i, (a, b) in enumerate(spans(x.shape[2], 3)):
            for j, (c, d) in enumerate(spans(x.shape[3], 2)):
                dx[:, :, a:b, c:d] = dout[:, :, i, j][:, :, None, None] / ((b - a) * (d - c))
        return dx

    return forward, backward, rng.normal(size=(2, 2, 5, 5))


def bn_forward(x, gamma, beta, bn_param):
    """CS231n's batch norm in train mode."""
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    mu, var = x.mean(axis=0), x.var(axis=0)
    std = np.sqrt(var + eps)
    x_hat = (x - mu) / std
    bn_param["running_mean"] = momentum * bn_param.get("running_mean", np.zeros(x.shape[1])) + (1 - momentum) * mu
    bn_param["running_var"] = momentum * bn_param.get("running_var", np.zeros(x.shape[1])) + (1 - momentum) * var
    return gamma * x_hat + beta, (x, x_hat, mu, std, gamma)


def bn_inputs(rng, n=6, d=4):
    return 2 * rng.normal(size=(n, d)) + 1, rng.uniform(0.5, 2, size=d), rng.normal(size=d), {"mode": "train"}


@wrong("pair", "wrong-local-derivative", "term-missing")
def batchnorm_dgamma_with_raw_x(rng):
    """dgamma multiplies dout by x, not by the normalised x."""
    def backward(dout, cache):
        x, x_hat, mu, std, gamma = cache
        N = len(x)
        dh = dout * gamma
        dx = (N * dh - dh.sum(0) - x_hat * (dh * x_hat).sum(0)) / (N * std)
        return dx, (dout * x).sum(axis=0), dout.sum(axis=0)

    return bn_forward, backward, *bn_inputs(rng)


@wrong("pair", "wrong-shape", "missing-sum")
def groupnorm_dbeta_without_keepdims(rng):
    """gamma and beta are (1, C, 1, 1); the gradient of beta comes as (C,)."""
    def forward(x, gamma, beta):
        N, C, H, W = x.shape
        g = x.reshape(N, 2, -1)
        inv = 1 / np.sqrt(g.var(axis=2, keepdims=True) + 1e-5)
        h = ((g - g.mean(axis=2, keepdims=True)) * inv)
        return gamma * h.reshape(x.shape) + beta, (h, inv, gamma)

    def backward(dout, cache):
        h, inv, gamma = cache
        d = (dout * gamma).reshape(h.shape)
        dx = inv * (d - d.mean(axis=2, keepdims=True) - h * (d * h).mean(axis=2, keepdims=True))
        dgamma = (dout * h.reshape(dout.shape)).sum(axis=(0, 2, 3), keepdims=True)
        return dx.reshape(dout.shape), dgamma, dout.sum(axis=(0, 2, 3))

    return forward, backward, rng.normal(size=(2, 4, 3, 3)), rng.uniform(0.5, 2, (1, 4, 1, 1)), rng.normal(size=(1, 4, 1, 1))


@wrong("pair", "term-missing")
def weight_norm_projection_missing(rng):
    """w = g v / |v|; dv misses the part that goes through the norm."""
    def forward(x, v, g):
        return x @ (g * v / np.linalg.norm(v, axis=0)), (x, v, g)

    def backward(dout, cache):
        x, v, g = cache
        n = np.linalg.norm(v, axis=0)
        dw = x.T @ dout
        return dout @ (g * v / n).T, dw * g / n, (dw * v / n).sum(axis=0)

    return forward, backward, rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.uniform(0.5, 2, 3)


@wrong("pair", "wrong-region")
def elu_plus_alpha_forgotten(rng):
    """ELU from its output: on the negative side y + alpha, here y alone."""
    def forward(x):
        y = np.where(x > 0, x, 1.0 * (np.exp(np.minimum(x, 0)) - 1))
        return y, y

    def backward(dout, y):
        return dout * np.where(y > 0, 1, y)

    return forward, backward, rng.normal(size=(4, 6))


@wrong("pair", "extra-term", "upstream-ignored")
def log_softmax_sum_of_dout_forgotten(rng):
    """Log-softmax: dout - p sum(dout); the sum is left out."""
    def forward(x):
        z = x - x.max(axis=1, keepdims=True)
        y = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return y, y

    def backward(dout, y):
        return dout - np.exp(y)

    return forward, backward, rng.normal(size=(4, 5))


@wrong("pair", "wrong-slice", "term-missing")
def maxout_only_first_piece(rng):
    """Maxout of three pieces; the gradient never reaches the last of them."""
    def forward(x):
        return x.reshape(len(x), -1, 3).max(axis=2), x

    def backward(dout, x):
        z = x.reshape(len(x), -1, 3)
        best = z.argmax(axis=2)
        dz = np.zeros_like(z)
        for k in range(2):
            dz[:, :, k] = dout * (best == k)
        return dz.reshape(x.shape)

    return forward, backward, rng.normal(size=(5, 12))


@wrong("pair", "term-missing")
def squeeze_excite_gate_as_constant(rng):
    """SE block; x is scaled by its gate, and the gate's own dependence on x is forgotten in dx."""
    def forward(x, w1, w2):
        z = x.mean(axis=(2, 3))
        h = np.maximum(z @ w1, 0)
        s = sigmoid(h @ w2)
        return x * s[:, :, None, None], (x, z, h, s, w1, w2)

    def backward(dout, cache):
        x, z, h, s, w1, w2 = cache
        ds = (dout * x).sum(axis=(2, 3)) * s * (1 - s)
        dh = ds @ w2.T * (h > 0)
        return dout * s[:, :, None, None], z.T @ dh, h.T @ ds

    return forward, backward, rng.normal(size=(3, 4, 3, 2)) + 0.3, rng.normal(size=(4, 3)), rng.normal(size=(3, 4))


@wrong("pair", "term-missing")
def lstm_cell_gradient_through_h_forgotten(rng):
    """One LSTM step; the cell's gradient is that of next_c alone, without what comes from next_h."""
    def forward(x, prev_h, prev_c, W):
        a = np.concatenate([x, prev_h], axis=1) @ W
        H = prev_h.shape[1]
        i, f, o = (sigmoid(a[:, k * H:(k + 1) * H]) for k in range(3))
        g = np.tanh(a[:, 3 * H:])
        c = f * prev_c + i * g
        h = o * np.tanh(c)
        return h, c, (x, prev_h, prev_c, W, i, f, o, g, c)

    def backward(dh, dc, cache):
        x, prev_h, prev_c, W, i, f, o, g, c = cache
        do = dh * np.tanh(c)
        da = np.hstack([dc * g * i * (1 - i), dc * prev_c * f * (1 - f), do * o * (1 - o), dc * i * (1 - g ** 2)])
        dxh = da @ W.T
        D = x.shape[1]
        return dxh[:, :D], dxh[:, D:], dc * f, np.concatenate([x, prev_h], axis=1).T @ da

    return forward, backward, *(rng.normal(size=size) for size in ((3, 2), (3, 4), (3, 4))), rng.normal(size=(6, 16)) / 2


class TwoLayer:
    """affine - relu - affine, written by hand."""

    def __init__(self, rng, sizes=(5, 6, 3)):
        d, h, c = sizes
        sizes = {"W1": (d, h), "b1": h, "W2": (h, c), "b2": c}
        self.params = {name: rng.normal(size=size) for name, size in sizes.items()}
        self.grads = {}

    def forward(self, x):
        p = self.params
        self.x, self.z = x, x @ p["W1"] + p["b1"]
        self.h = np.maximum(self.z, 0)
        return self.h @ p["W2"] + p["b2"]


@wrong("object", "mask-missing", "wrong-local-derivative", "shifted")
def two_layer_preactivation_for_activation(rng):
    """dW2 uses what comes before the ReLU."""
    class Net(TwoLayer):
        def backward(self, dout):
            p = self.params
            self.grads["W2"], self.grads["b2"] = self.z.T @ dout, dout.sum(axis=0)
            dz = dout @ p["W2"].T * (self.z > 0)
            self.grads["W1"], self.grads["b1"] = self.x.T @ dz, dz.sum(axis=0)
            return dz @ p["W1"].T
    return Net(rng), rng.normal(size=(4, 5))


@wrong("object", "precision-lost")
def conv1x1_gradient_in_float32(rng):
    """The weight gradient is collected in a float32 buffer."""
    class Pointwise:
        def __init__(self):
            self.params = [rng.normal(size=(3, 2)), rng.normal(size=3)]
            self.grads = [np.zeros((3, 2), np.float32), np.zeros(3)]

        def forward(self, x):
            self.x = x
            return np.einsum("nchw,fc->nfhw", x, self.params[0]) + self.params[1][None, :, None, None]

        def backward(self, dout):
            self.grads[0][...] = np.einsum("nfhw,nchw->fc", dout, self.x)
            self.grads[1][...] = dout.sum(axis=(0, 2, 3))
            return np.einsum("nfhw,fc->nchw", dout, self.params[0])
    return Pointwise(), rng.normal(size=(2, 2, 4, 3))


@wrong("object", "term-missing")
def gru_cell_candidate_path_to_h_missing(rng):
    """A GRU step; prev_h is followed through the update, and not through the reset candidate."""
    class GRU:
        def __init__(self):
            self.params = {k: rng.normal(size=(3, 3)) / 2 for k in ("Uz", "Ur", "Uh")}
            self.grads = {}

        def forward(self, a, h):
            p, self.a, self.h = self.params, a, h
            self.z, self.r = sigmoid(a + h @ p["Uz"]), sigmoid(a + h @ p["Ur"])
            self.c = np.tanh(a + (self.r * h) @ p["Uh"])
            return (1 - self.z) * h + self.z * self.c

        def backward(self, dout):
            p, g = self.params, self.grads
            dz = dout * (self.c - self.h) * self.z * (1 - self.z)
            dc = dout * self.z * (1 - self.c ** 2)
            drh = dc @ p["Uh"].T
            dr = drh * self.h * self.r * (1 - self.r)
            g["Uz"], g["Ur"], g["Uh"] = self.h.T @ dz, self.h.T @ dr, (self.r * self.h).T @ dc
            return dz + dr + dc, dout * (1 - self.z) + dz @ p["Uz"].T + dr @ p["Ur"].T
    return GRU(), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


@wrong("pair", "swapped-gradients")
def unet_parts_taken_from_wrong_channels(rng):
    """concat(skip, up); the gradient's first half is given to up."""
    def forward(up, skip):
        return np.concatenate([skip, up.repeat(2, axis=2)], axis=1), up.shape[1]

    def backward(dout, c):
        dup = dout[:, :c]
        return dup.reshape(*dup.shape[:2], -1, 2, dup.shape[3]).sum(axis=3), dout[:, c:]

    return forward, backward, rng.normal(size=(2, 3, 2, 4)), rng.normal(size=(2, 3, 4, 4))
