"""Wrong homework: convolution."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import conv_forward


@wrong("pair", "overwritten", costly=True)
def conv_dx_assigned(rng):
    """Overlapping windows assign to dx instead of adding."""
    def forward(x, w, b, conv_param):
        return conv_forward(x, w, b, conv_param["stride"], conv_param["pad"]), (x, w, b, conv_param)

    def backward(dout, cache):
        x, w, b, conv_param = cache
        s, p = conv_param["stride"], conv_param["pad"]
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        hh, ww = w.shape[2:]
        for n in range(x.shape[0]):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    window = np.s_[n, :, i * s:i * s + hh, j * s:j * s + ww]
                    dw += dout[n, :, i, j][:, None, None, None] * xp[window]
                    dxp[window] = np.sum(dout[n, :, i, j][:, None, None, None] * w, axis=0)
        return dxp[:, :, p:-p, p:-p], dw, dout.sum(axis=(0, 2, 3))

    return (forward, backward, rng.normal(size=(2, 2, 4, 5)), rng.normal(size=(2, 2, 3, 3)), rng.normal(size=2),
            {"stride": 1, "pad": 1})


@wrong("pair", "shifted", costly=True)
def conv_cropped_from_corner(rng):
    """The padded dx is cropped from its corner instead of from the padding."""
    def forward(x, w, b, conv_param):
        return conv_forward(x, w, b, conv_param["stride"], conv_param["pad"]), (x, w, b, conv_param)

    def backward(dout, cache):
        x, w, b, conv_param = cache
        s, p = conv_param["stride"], conv_param["pad"]
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        hh, ww = w.shape[2:]
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                window = np.s_[:, :, i * s:i * s + hh, j * s:j * s + ww]
                dw += np.einsum("nf,nchw->fchw", dout[:, :, i, j], xp[window])
                dxp[window] += np.einsum("nf,fchw->nchw", dout[:, :, i, j], w)
        return dxp[:, :, :x.shape[2], :x.shape[3]], dw, dout.sum(axis=(0, 2, 3))

    return (forward, backward, rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(2, 3, 3, 3)), rng.normal(size=2),
            {"stride": 1, "pad": 1})


@wrong("pair", "flipped")
def conv_picture_kernel_not_flipped(rng):
    """dx correlates the padded dout with the kernel without turning it round."""
    def valid(x, k):
        view = np.lib.stride_tricks.sliding_window_view(x, k.shape)
        return np.einsum("ijkl,kl->ij", view, k)

    def forward(x, k):
        return valid(x, k), (x, k)

    def backward(dout, cache):
        x, k = cache
        ph, pw = k.shape[0] - 1, k.shape[1] - 1
        dx = valid(np.pad(dout, ((ph, ph), (pw, pw))), k)
        return dx, valid(x, dout)

    return forward, backward, rng.normal(size=(6, 7)), rng.normal(size=(3, 3))


def im2col(x, hh, ww, stride, pad):
    """Columns of all patches, (N*Ho*Wo, C*hh*ww)."""
    n, c, h, w = x.shape
    ho, wo = (h + 2 * pad - hh) // stride + 1, (w + 2 * pad - ww) // stride + 1
    img = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    col = np.zeros((n, c, hh, ww, ho, wo), dtype=x.dtype)
    for i in range(hh):
        for j in range(ww):
            col[:, :, i, j] = img[:, :, i:i + stride * ho:stride, j:j + stride * wo:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * ho * wo, -1)


def col2im(col, shape, hh, ww, stride, pad):
    """Sum the columns back into a picture batch."""
    n, c, h, w = shape
    ho, wo = (h + 2 * pad - hh) // stride + 1, (w + 2 * pad - ww) // stride + 1
    col = col.reshape(n, ho, wo, c, hh, ww).transpose(0, 3, 4, 5, 1, 2)
    img = np.zeros((n, c, h + 2 * pad, w + 2 * pad), dtype=col.dtype)
    for i in range(hh):
        for j in range(ww):
            img[:, :, i:i + stride * ho:stride, j:j + stride * wo:stride] += col[:, :, i, j]
    return img[:, :, pad:pad + h, pad:pad + w]


@wrong("pair", "transposed")
def conv_im2col_weight_gradient_not_transposed(rng):
    """dw is reshaped from (C*k*k, F) without transposing it first."""
    def forward(x, w):
        n, f, hh = x.shape[0], w.shape[0], w.shape[2]
        col = im2col(x, hh, hh, 1, 0)
        ho, wo = x.shape[2] - hh + 1, x.shape[3] - hh + 1
        out = (col @ w.reshape(f, -1).T).reshape(n, ho, wo, f).transpose(0, 3, 1, 2)
        return out, (x, w, col)

    def backward(dout, cache):
        x, w, col = cache
        f, hh = w.shape[0], w.shape[2]
        d = dout.transpose(0, 2, 3, 1).reshape(-1, f)
        dw = (col.T @ d).reshape(w.shape)
        return col2im(d @ w.reshape(f, -1), x.shape, hh, hh, 1, 0), dw

    return forward, backward, rng.normal(size=(2, 2, 4, 4)), rng.normal(size=(3, 2, 2, 2))


@wrong("pair", "batch-only", "transposed", costly=True)
def conv_im2col_batch_mixed(rng):
    """dout is reshaped to (F, N*Ho*Wo) without bringing F to the front: batch and filters mix."""
    def forward(x, w):
        n, f, hh = x.shape[0], w.shape[0], w.shape[2]
        col = im2col(x, hh, hh, 1, 1)
        out = (col @ w.reshape(f, -1).T).reshape(n, x.shape[2], x.shape[3], f).transpose(0, 3, 1, 2)
        return out, (x, w, col)

    def backward(dout, cache):
        x, w, col = cache
        f, hh = w.shape[0], w.shape[2]
        d = dout.reshape(f, -1)
        dw = (d @ col).reshape(w.shape)
        return col2im(d.T @ w.reshape(f, -1), x.shape, hh, hh, 1, 1), dw

    return forward, backward, rng.normal(size=(3, 2, 4, 4)), rng.normal(size=(2, 2, 3, 3))


@wrong("pair", "wrong-shape", costly=True)
def conv_weight_gradient_left_as_matrix(rng):
    """dw is left as a matrix (F, C*k*k)."""
    def forward(x, w, b):
        n, f, hh = x.shape[0], w.shape[0], w.shape[2]
        col = im2col(x, hh, hh, 2, 1)
        ho = (x.shape[2] + 2 - hh) // 2 + 1
        wo = (x.shape[3] + 2 - hh) // 2 + 1
        out = (col @ w.reshape(f, -1).T + b).reshape(n, ho, wo, f).transpose(0, 3, 1, 2)
        return out, (x, w, col)

    def backward(dout, cache):
        x, w, col = cache
        f, hh = w.shape[0], w.shape[2]
        d = dout.transpose(0, 2, 3, 1).reshape(-1, f)
        return col2im(d @ w.reshape(f, -1), x.shape, hh, hh, 2, 1), d.T @ col, d.sum(axis=0)

    return forward, backward, rng.normal(size=(2, 2, 5, 5)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)


@wrong("pair", "wrong-slice", costly=True)
def grouped_conv_always_first_group(rng):
    """dx of every group is computed with the filters of group 0: the second group's channels are wrong."""
    def forward(x, w, b):
        g = x.shape[1] // w.shape[1]
        cg, fg = w.shape[1], w.shape[0] // g
        outs = [conv_forward(x[:, k * cg:(k + 1) * cg], w[k * fg:(k + 1) * fg], b[k * fg:(k + 1) * fg], 1, 0)
                for k in range(g)]
        return np.concatenate(outs, axis=1), (x, w)

    def backward(dout, cache):
        x, w = cache
        cg, hh, ww = w.shape[1:]
        g = x.shape[1] // cg
        fg = w.shape[0] // g
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for k in range(g):
            d = dout[:, k * fg:(k + 1) * fg]
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    patch = x[:, k * cg:(k + 1) * cg, i:i + hh, j:j + ww]
                    dw[k * fg:(k + 1) * fg] += np.einsum("nf,nchw->fchw", d[:, :, i, j], patch)
                    dx[:, k * cg:(k + 1) * cg, i:i + hh, j:j + ww] += np.einsum("nf,fchw->nchw", d[:, :, i, j], w[:fg])
        return dx, dw, dout.sum((0, 2, 3))

    return forward, backward, rng.normal(size=(2, 4, 4, 4)), rng.normal(size=(4, 2, 3, 3)), rng.normal(size=4)


@wrong("pair", "shifted", costly=True)
def dilated_conv_cropped_without_dilation(rng):
    """The crop after a dilated convolution uses (k-1)//2 although the padding was d*(k-1)//2."""
    d = 2

    def taps(k):
        return [(i, j) for i in range(k) for j in range(k)]

    def forward(x, w):
        k, p = w.shape[2], d * (w.shape[2] - 1) // 2
        n, c, h, wd = x.shape
        xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        out = sum(np.einsum("nchw,fc->nfhw", xp[:, :, d * i:d * i + h, d * j:d * j + wd], w[:, :, i, j])
                  for i, j in taps(k))
        return out, (x, w, xp)

    def backward(dout, cache):
        x, w, xp = cache
        k = w.shape[2]
        n, c, h, wd = x.shape
        dxp, dw = np.zeros_like(xp), np.zeros_like(w)
        for i, j in taps(k):
            dxp[:, :, d * i:d * i + h, d * j:d * j + wd] += np.einsum("nfhw,fc->nchw", dout, w[:, :, i, j])
            dw[:, :, i, j] = np.einsum("nfhw,nchw->fc", dout, xp[:, :, d * i:d * i + h, d * j:d * j + wd])
        p = (k - 1) // 2
        return dxp[:, :, p:p + h, p:p + wd], dw

    return forward, backward, rng.normal(size=(2, 2, 6, 5)), rng.normal(size=(2, 2, 3, 3))


@wrong("pair", "wrong-slice")
def depthwise_conv_first_channel_forgotten(rng):
    """The loop over the channels starts at 1, so the kernel of channel 0 gets no gradient."""
    def forward(x, w):
        k = w.shape[1]
        h, wd = x.shape[2] - k + 1, x.shape[3] - k + 1
        out = np.zeros(x.shape[:2] + (h, wd), dtype=x.dtype)
        for i in range(k):
            for j in range(k):
                out += x[:, :, i:i + h, j:j + wd] * w[:, i, j][None, :, None, None]
        return out, (x, w)

    def backward(dout, cache):
        x, w = cache
        k = w.shape[1]
        h, wd = dout.shape[2:]
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(k):
            for j in range(k):
                dx[:, :, i:i + h, j:j + wd] += dout * w[:, i, j][None, :, None, None]
                for c in range(1, x.shape[1]):
                    dw[c, i, j] = np.sum(dout[:, c] * x[:, c, i:i + h, j:j + wd])
        return dx, dw

    return forward, backward, rng.normal(size=(2, 3, 5, 5)), rng.normal(size=(3, 2, 2))


@wrong("pair", "flipped")
def conv1d_kernel_gradient_reversed(rng):
    """np.convolve turns the kernel round, so dk comes out reversed."""
    def forward(x, k):
        return np.array([np.dot(x[i:i + len(k)], k) for i in range(len(x) - len(k) + 1)]), (x, k)

    def backward(dout, cache):
        x, k = cache
        dx = np.convolve(dout, k)
        dk = np.convolve(x, dout[::-1], mode="valid")[::-1]
        return dx, dk

    return forward, backward, rng.normal(size=24), rng.normal(size=5)


@wrong("pair", "constant-factor")
def conv3d_bias_averaged(rng):
    """The bias gradient of a 3-D convolution is averaged over batch and positions."""
    def forward(x, w, b):
        view = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3, 4))
        return np.einsum("ncdhwijk,fcijk->nfdhw", view, w) + b[None, :, None, None, None], (x, w)

    def backward(dout, cache):
        x, w = cache
        view = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3, 4))
        dw = np.einsum("ncdhwijk,nfdhw->fcijk", view, dout)
        dx = np.zeros_like(x)
        d, h, wd = dout.shape[2:]
        for i in range(w.shape[2]):
            for j in range(w.shape[3]):
                for k in range(w.shape[4]):
                    dx[:, :, i:i + d, j:j + h, k:k + wd] += np.einsum("nfdhw,fc->ncdhw", dout, w[:, :, i, j, k])
        return dx, dw, dout.mean(axis=(0, 2, 3, 4))

    return forward, backward, rng.normal(size=(2, 2, 3, 4, 3)), rng.normal(size=(2, 2, 2, 2, 2)), rng.normal(size=2)


@wrong("pair", "overwritten", costly=True)
def conv_transpose_weight_gradient_assigned(rng):
    """dw of a transposed convolution is assigned in the loop over positions: only the last one counts."""
    s = 2

    def forward(x, w):
        n, c, h, wd = x.shape
        f, k = w.shape[1], w.shape[2]
        out = np.zeros((n, f, s * (h - 1) + k, s * (wd - 1) + k), dtype=x.dtype)
        for i in range(h):
            for j in range(wd):
                out[:, :, s * i:s * i + k, s * j:s * j + k] += np.einsum("nc,cfkl->nfkl", x[:, :, i, j], w)
        return out, (x, w)

    def backward(dout, cache):
        x, w = cache
        k = w.shape[2]
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                patch = dout[:, :, s * i:s * i + k, s * j:s * j + k]
                dx[:, :, i, j] = np.einsum("nfkl,cfkl->nc", patch, w)
                dw = np.einsum("nc,nfkl->cfkl", x[:, :, i, j], patch)
        return dx, dw

    return forward, backward, rng.normal(size=(2, 3, 3, 2)), rng.normal(size=(3, 2, 3, 3))


@wrong("pair", "precision-lost", costly=True)
def conv_float16_buffer(rng):
    """The gradient is collected in a float16 buffer."""
    def forward(x, w, b):
        return conv_forward(x, w, b, 2, 1), (x, w, b)

    def backward(dout, cache):
        x, w, b = cache
        n, c, h, wd = x.shape
        xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        dxp = np.zeros(xp.shape, dtype=np.float16)
        dw = np.zeros_like(w)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                window = np.s_[:, :, 2 * i:2 * i + 3, 2 * j:2 * j + 3]
                dxp[window] += np.einsum("nf,fchw->nchw", dout[:, :, i, j], w).astype(np.float16)
                dw += np.einsum("nf,nchw->fchw", dout[:, :, i, j], xp[window])
        return dxp[:, :, 1:-1, 1:-1], dw, dout.sum(axis=(0, 2, 3))

    return forward, backward, rng.normal(size=(1, 2, 5, 5)), rng.normal(size=(2, 2, 3, 3)), rng.normal(size=2)


_columns = {}


@wrong("pair", "stale-cache")
def conv_columns_cached_by_shape(rng):
    """The columns are kept in a global dictionary by shape, so a second batch gets those of the first."""
    _columns.clear()

    def forward(x, w):
        n, f, k = x.shape[0], w.shape[0], w.shape[2]
        col = im2col(x, k, k, 1, 0)
        if x.shape not in _columns:
            _columns[x.shape] = col
        ho, wo = x.shape[2] - k + 1, x.shape[3] - k + 1
        return (col @ w.reshape(f, -1).T).reshape(n, ho, wo, f).transpose(0, 3, 1, 2), (x, w)

    def backward(dout, cache):
        x, w = cache
        f, k = w.shape[0], w.shape[2]
        d = dout.transpose(0, 2, 3, 1).reshape(-1, f)
        dw = (d.T @ _columns[x.shape]).reshape(w.shape)
        return col2im(d @ w.reshape(f, -1), x.shape, k, k, 1, 0), dw

    return forward, backward, rng.normal(size=(2, 2, 4, 4)), rng.normal(size=(2, 2, 3, 3))
