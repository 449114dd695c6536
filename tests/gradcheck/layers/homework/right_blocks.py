"""Right homework: blocks, cells and layers of all kinds, as several hands write them."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import sigmoid, softmax


@right("pair")
def conv_dilated_grouped_taps(rng):
    """Dilation 2, stride 2, padding 2, two groups; the last column is never read."""
    def parts(x, w):
        return zip(np.split(x, 2, axis=1), np.split(w, 2))

    def forward(x, w):
        return np.concatenate([tap_forward(a, b, 2, 2, 2) for a, b in parts(x, w)], axis=1)

    def backward(dout, x, w):
        dxs, dws = [], []
        for (a, b), d in zip(parts(x, w), np.split(dout, 2, axis=1)):
            ap = np.pad(a, ((0, 0), (0, 0), (2, 2), (2, 2)))
            dap, db = np.zeros_like(ap), np.zeros_like(b)
            OH, OW = d.shape[2:]
            for k in range(b.shape[2]):
                for l in range(b.shape[3]):
                    at = np.s_[:, :, 2 * k:2 * k + 2 * OH:2, 2 * l:2 * l + 2 * OW:2]
                    db[:, :, k, l] = np.tensordot(d, ap[at], axes=([0, 2, 3], [0, 2, 3]))
                    dap[at] += np.tensordot(d, b[:, :, k, l], axes=(1, 0)).transpose(0, 3, 1, 2)
            dxs.append(dap[:, :, 2:-2, 2:-2])
            dws.append(db)
        return np.concatenate(dxs, axis=1), np.concatenate(dws)

    return forward, backward, rng.normal(size=(2, 4, 6, 5)), rng.normal(size=(2, 2, 3, 2))


@right("pair")
def conv_by_fft(rng):
    """Circular convolution by FFT: rounding everywhere."""
    def forward(x, w):
        return np.fft.irfft(np.fft.rfft(x, axis=1) * np.fft.rfft(w), x.shape[1], axis=1), (x, w)

    def backward(dout, cache):
        x, w = cache
        D, n = np.fft.rfft(dout, axis=1), x.shape[1]
        dx = np.fft.irfft(D * np.conj(np.fft.rfft(w)), n, axis=1)
        dw = np.fft.irfft((D * np.conj(np.fft.rfft(x, axis=1))).sum(axis=0), n)
        return dx, dw

    return forward, backward, rng.normal(size=(3, 8)), rng.normal(size=8)


@right("pair")
def conv_transpose_scatter(rng):
    """Transposed convolution, stride 3, kernel 2: some outputs are never written."""
    def forward(x, w, b):
        N, C, H, W = x.shape
        out = np.zeros((N, w.shape[1], 3 * (H - 1) + 2, 3 * (W - 1) + 2)) + b[None, :, None, None]
        for k in range(2):
            for l in range(2):
                out[:, :, k::3, l::3][:, :, :H, :W] += np.einsum("nchw,co->nohw", x, w[:, :, k, l])
        return out, (x, w)

    def backward(dout, cache):
        x, w = cache
        H, W = x.shape[2:]
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for k in range(2):
            for l in range(2):
                d = dout[:, :, k::3, l::3][:, :, :H, :W]
                dx += np.einsum("nohw,co->nchw", d, w[:, :, k, l])
                dw[:, :, k, l] = np.einsum("nohw,nchw->co", d, x)
        return dx, dw, dout.sum(axis=(0, 2, 3))

    return forward, backward, rng.normal(size=(2, 2, 2, 3)), rng.normal(size=(2, 3, 2, 2)), rng.normal(size=3)


@right("pair")
def adaptive_average_overlap(rng):
    """Adaptive average pooling of seven to four, windows overlapping."""
    def spans(size, out):
        return [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]

    def forward(x):
        return np.stack([x[:, :, a:b].mean(axis=2) for a, b in spans(x.shape[2], 4)], axis=2), x.shape

    def backward(dout, shape):
        dx = np.zeros(shape)
        for i, (a, b) in enumerate(spans(shape[2], 4)):
            dx[:, :, a:b] += dout[:, :, i:i + 1] / (b - a)
        return dx

    return forward, backward, rng.normal(size=(2, 3, 7))


@right("pair")
def max_pool_then_unpool(rng):
    """Max unpooling at the places of the maxima."""
    def forward(x):
        z = x.reshape(*x.shape[:2], -1, 3)
        at = z.argmax(axis=3)
        out = np.zeros(z.shape)
        np.put_along_axis(out, at[..., None], z.max(axis=3)[..., None], axis=3)
        return out.reshape(x.shape), at

    def backward(dout, at):
        d = dout.reshape(*dout.shape[:2], -1, 3)
        dx = np.zeros(d.shape)
        np.put_along_axis(dx, at[..., None], np.take_along_axis(d, at[..., None], axis=3), axis=3)
        return dx.reshape(dout.shape)

    return forward, backward, rng.normal(size=(2, 2, 9))


@right("pair")
def spatial_batchnorm_by_reshape(rng):
    """Spatial batch norm as batch norm of (N H W, C)."""
    def rows(x):
        return x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])

    def forward(x, gamma, beta):
        r = rows(x)
        std = np.sqrt(r.var(axis=0) + 1e-5)
        h = (r - r.mean(axis=0)) / std
        n, c, hh, w = x.shape
        return (gamma * h + beta).reshape(n, hh, w, c).transpose(0, 3, 1, 2), (h, std, gamma, x.shape)

    def backward(dout, cache):
        h, std, gamma, (n, c, hh, w) = cache
        d = rows(dout)
        g = d * gamma
        dr = (g - g.mean(axis=0) - h * (g * h).mean(axis=0)) / std
        return dr.reshape(n, hh, w, c).transpose(0, 3, 1, 2), (d * h).sum(axis=0), d.sum(axis=0)

    return forward, backward, rng.normal(size=(2, 3, 3, 4)), rng.normal(size=3), rng.normal(size=3)


@right("pair")
def prelu_shared_slope(rng):
    """PReLU with one slope, a number."""
    def forward(x, a):
        return np.where(x > 0, x, a * x), (x, a)

    def backward(dout, cache):
        x, a = cache
        return dout * np.where(x > 0, 1, a), np.sum(dout * x * (x <= 0))

    return forward, backward, rng.normal(size=(3, 2, 4)), np.float64(0.25)


@right("pair")
def bilinear_by_matrices(rng):
    """Bilinear interpolation as two matrix products."""
    def matrix(size, out):
        t = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
        low = np.minimum(t.astype(int), size - 2)
        m = np.zeros((out, size))
        m[np.arange(out), low], m[np.arange(out), low + 1] = 1 - (t - low), t - low
        return m

    def forward(x):
        R, C = matrix(x.shape[2], 7), matrix(x.shape[3], 5)
        return R @ x @ C.T, (R, C)

    def backward(dout, cache):
        R, C = cache
        return R.T @ dout @ C

    return forward, backward, rng.normal(size=(2, 2, 3, 4))


@right("pair")
def local_response_norm(rng):
    """Local response normalisation over five channels."""
    def window(z):
        zp = np.pad(z, ((0, 0), (2, 2), (0, 0)))
        return sum(zp[:, k:k + z.shape[1]] for k in range(5))

    def forward(x):
        s = 2 + 1e-1 * window(x ** 2)
        return x * s ** -0.75, (x, s)

    def backward(dout, cache):
        x, s = cache
        return dout * s ** -0.75 - 2 * 1e-1 * 0.75 * x * window(dout * x * s ** -1.75)

    return forward, backward, rng.normal(size=(2, 6, 3))


@right("pair")
def scalar_scale_and_shift(rng):
    """Scale and shift as Python numbers of a float array."""
    def forward(x, scale, shift):
        return x * scale + shift, (x, scale)

    def backward(dout, cache):
        x, scale = cache
        return dout * scale, float((dout * x).sum()), float(dout.sum())

    return forward, backward, rng.normal(size=(2, 3)), np.array(1.7), np.array(-0.3)


@right("pair")
def integer_pixels(rng):
    """Pixels as integers, weights as floats."""
    def forward(img, w):
        return img.reshape(len(img), -1) / 255 @ w, (img, w)

    def backward(dout, cache):
        img, w = cache
        return None, (img.reshape(len(img), -1) / 255).T @ dout

    return forward, backward, rng.integers(0, 256, (4, 3, 2)).astype(np.uint8), rng.normal(size=(6, 3))


@right("pair")
def causal_attention_minus_infinity(rng):
    """The future is masked with minus infinity."""
    def forward(q, k, v):
        s = q @ k.T / np.sqrt(q.shape[1])
        s = np.where(np.tril(np.ones(s.shape)) > 0, s, -np.inf)
        e = np.exp(s - s.max(axis=1, keepdims=True))
        a = e / e.sum(axis=1, keepdims=True)
        return a @ v, (q, k, v, a)

    def backward(dout, cache):
        q, k, v, a = cache
        da = dout @ v.T
        ds = a * (da - (da * a).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[1])
        return ds @ k, ds.T @ q, a.T @ dout

    return forward, backward, *(rng.normal(size=(5, 4)) for _ in range(3))


@right("pair")
def highway_layer(rng):
    """Highway: t h + (1 - t) x."""
    def forward(x, Wh, Wt, bt):
        h, t = np.tanh(x @ Wh), sigmoid(x @ Wt + bt)
        return t * h + (1 - t) * x, (x, Wh, Wt, h, t)

    def backward(dout, cache):
        x, Wh, Wt, h, t = cache
        dzh, dzt = dout * t * (1 - h ** 2), dout * (h - x) * t * (1 - t)
        return dout * (1 - t) + dzh @ Wh.T + dzt @ Wt.T, x.T @ dzh, x.T @ dzt, dzt.sum(axis=0)

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)


class Affine:
    def __init__(self, rng, d, m):
        self.W, self.b = rng.normal(size=(d, m)), rng.normal(size=m)
        self.dW, self.db = np.zeros((d, m)), np.zeros(m)

    def forward(self, x):
        self._x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW += self._x.T @ dout
        self.db += dout.sum(axis=0)
        return dout @ self.W.T


@right("object")
def chain_of_layers(rng):
    """A Sequential whose params is a flat list over its layers."""
    class Tanh:
        params, grads = [], []

        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, d):
            return d * (1 - self.y * self.y)

    class Chain:
        def __init__(self, *layers):
            self.layers = layers

        @property
        def params(self):
            return [p for m in self.layers if hasattr(m, "W") for p in (m.W, m.b)]

        @property
        def grads(self):
            return [g for m in self.layers if hasattr(m, "W") for g in (m.dW, m.db)]

        def forward(self, x):
            for m in self.layers:
                x = m.forward(x)
            return x

        def backward(self, d):
            for m in reversed(self.layers):
                d = m.backward(d)
            return d
    return Chain(Affine(rng, 4, 5), Tanh(), Affine(rng, 5, 2)), rng.normal(size=(3, 4))


@right("object")
def max_pool_layer_reuses_buffer(rng):
    """A layer that keeps one buffer for its gradient from call to call."""
    class Pool:
        buffer = None

        def forward(self, x):
            n, c, h, w = x.shape
            z = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
            self.arg, self.shape = z.argmax(axis=-1), x.shape
            return z.max(axis=-1)

        def backward(self, dout):
            n, c, h, w = self.shape
            if self.buffer is None or self.buffer.shape != (*dout.shape, 4):
                self.buffer = np.zeros((*dout.shape, 4))
            self.buffer[...] = 0
            np.put_along_axis(self.buffer, self.arg[..., None], dout[..., None], axis=-1)
            return self.buffer.reshape(*dout.shape, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(self.shape)
    return Pool(), rng.normal(size=(2, 2, 4, 4))


@right("loss")
def hinge_at_its_corner(rng):
    """All scores are equal: every margin is exactly one."""
    def loss(x, y):
        n = np.arange(len(y))
        m = np.maximum(0, x - x[n, y][:, None] + 1)
        m[n, y] = 0
        d = (m > 0) / len(y)
        d[n, y] = -d.sum(axis=1)
        return m.sum() / len(y), d
    x = np.zeros((4, 3))
    x[0] = 1, 0, 1
    return loss, x, np.array([0, 1, 2, 0])


@right("loss")
def ctc_like_logsumexp(rng):
    """A chain of log-sum-exps, a forward algorithm over five steps."""
    def loss(e):
        T, S = e.shape
        a = [e[0]]
        for t in range(1, T):
            m = a[-1].max()
            a.append(e[t] + np.log(np.exp(a[-1] - m).sum()) + m)
        m = a[-1].max()
        total = np.log(np.exp(a[-1] - m).sum()) + m
        return float(total), softmax(e, axis=1)
    return loss, rng.normal(size=(5, 4))


@right("loss")
def contrastive_info_nce(rng):
    """InfoNCE of two views, the similarities divided by a temperature."""
    def loss(a, b):
        n, t = len(a), 0.5
        s = a @ b.T / t
        lp = log_softmax(s)
        d = (np.exp(lp) - np.eye(n)) / n / t
        return -np.trace(lp) / n, d @ b, d.T @ a
    return loss, rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


@right("loss")
def gram_style_loss(rng):
    """Style loss of a Gram matrix."""
    def style(F, A):
        c, n = F.shape
        G = F @ F.T / (c * n)
        return ((G - A) ** 2).sum(), 4 * (G - A) @ F / (c * n)
    B = rng.normal(size=(3, 3))
    return style, rng.normal(size=(3, 8)), B @ B.T


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


def log_softmax(x):
    z = x - x.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))
