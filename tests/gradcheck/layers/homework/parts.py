"""Right pieces that the homework shares."""

import numpy as np


def sigmoid(x):
    """Logistic function, moderate arguments."""
    return 1 / (1 + np.exp(-x))


def stable_sigmoid(x):
    """Logistic function that never overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def softmax(x, axis=-1):
    """Stable softmax."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def signs(rng, shape):
    """Random signs."""
    return rng.choice([-1.0, 1.0], size=shape)


def elementwise(f, df):
    """A pair for y = f(x) with dx = dout * df(x)."""

    def forward(x):
        return f(x), x

    def backward(dout, cache):
        return dout * df(cache)

    return forward, backward


def with_zeros(rng, shape):
    """Normal numbers, a fifth of them exactly zero."""
    x = rng.normal(size=shape)
    x.reshape(-1)[::5] = 0
    return x


def affine_forward(x, w, b):
    """Affine map of the flattened rows, with the CS231n cache."""
    return x.reshape(x.shape[0], -1).dot(w) + b, (x, w, b)


def affine_backward(dout, cache):
    """Its gradients."""
    x, w, b = cache
    return dout.dot(w.T).reshape(x.shape), x.reshape(x.shape[0], -1).T.dot(dout), dout.sum(axis=0)


def conv_forward(x, w, b, stride=1, pad=0, dilation=1, groups=1):
    """Grouped, dilated, strided correlation, one tap at a time."""
    n, c, h, wd = x.shape
    f, cg, kh, kw = w.shape
    ho = (h + 2 * pad - dilation * (kh - 1) - 1) // stride + 1
    wo = (wd + 2 * pad - dilation * (kw - 1) - 1) // stride + 1
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))).reshape(n, groups, cg, h + 2 * pad, wd + 2 * pad)
    wg = w.reshape(groups, f // groups, cg, kh, kw)
    out = np.zeros((n, groups, f // groups, ho, wo), dtype=x.dtype)
    for i in range(kh):
        for j in range(kw):
            a, e = i * dilation, j * dilation
            tap = xp[..., a:a + stride * (ho - 1) + 1:stride, e:e + stride * (wo - 1) + 1:stride]
            out += np.einsum("ngchw,gfc->ngfhw", tap, wg[..., i, j])
    return out.reshape(n, f, ho, wo) + b[:, None, None]


def conv_backward(dout, x, w, stride=1, pad=0, dilation=1, groups=1):
    """Gradients of conv_forward."""
    n, c, h, wd = x.shape
    f, cg, kh, kw = w.shape
    ho, wo = dout.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))).reshape(n, groups, cg, h + 2 * pad, wd + 2 * pad)
    wg = w.reshape(groups, f // groups, cg, kh, kw)
    d = dout.reshape(n, groups, f // groups, ho, wo)
    dxp, dwg = np.zeros_like(xp), np.zeros_like(wg)
    for i in range(kh):
        for j in range(kw):
            a, e = i * dilation, j * dilation
            at = np.s_[..., a:a + stride * (ho - 1) + 1:stride, e:e + stride * (wo - 1) + 1:stride]
            dxp[at] += np.einsum("ngfhw,gfc->ngchw", d, wg[..., i, j])
            dwg[..., i, j] = np.einsum("ngfhw,ngchw->gfc", d, xp[at])
    dxp = dxp.reshape(n, c, h + 2 * pad, wd + 2 * pad)
    return dxp[:, :, pad:pad + h, pad:pad + wd], dwg.reshape(w.shape), dout.sum(axis=(0, 2, 3))


def conv_pair(**options):
    """conv_forward and conv_backward as a pair with fixed options."""

    def forward(x, w, b):
        return conv_forward(x, w, b, **options), (x, w)

    def backward(dout, cache):
        x, w = cache
        return conv_backward(dout, x, w, **options)

    return forward, backward


def max_pool_pair(k, s, choose):
    """Max pooling whose backward shares dout among the winners as choose(mask) says."""

    def forward(x):
        view = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::s, ::s]
        return view.max(axis=(4, 5)), x

    def backward(dout, cache):
        x = cache
        dx = np.zeros_like(x)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                win = x[:, :, i * s:i * s + k, j * s:j * s + k]
                flat = win.reshape(win.shape[:2] + (-1,))
                share = choose(flat == flat.max(axis=2, keepdims=True)).reshape(win.shape)
                dx[:, :, i * s:i * s + k, j * s:j * s + k] += share * dout[:, :, i, j][:, :, None, None]
        return dx

    return forward, backward


def first_winner(mask):
    """One at the first true element of the last axis."""
    return (np.arange(mask.shape[-1]) == mask.argmax(axis=-1)[..., None]).astype(float)


def shared_evenly(mask):
    """Equal shares of the true elements."""
    return mask / mask.sum(axis=-1, keepdims=True)


def norm_pair(axes, eps=1e-5):
    """Normalisation over axes without parameters."""

    def forward(x):
        mu = x.mean(axis=axes, keepdims=True)
        std = np.sqrt(((x - mu) ** 2).mean(axis=axes, keepdims=True) + eps)
        return (x - mu) / std, ((x - mu) / std, std)

    def backward(dout, cache):
        xhat, std = cache
        return (dout - dout.mean(axis=axes, keepdims=True)
                - xhat * (dout * xhat).mean(axis=axes, keepdims=True)) / std

    return forward, backward


def batchnorm_forward(x, gamma, beta, bn_param):
    """CS231n batch norm; the running statistics in bn_param are updated."""
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    mean = bn_param.get("running_mean", np.zeros(x.shape[1]))
    var = bn_param.get("running_var", np.zeros(x.shape[1]))
    if bn_param["mode"] == "test":
        xhat = (x - mean) / np.sqrt(var + eps)
        return gamma * xhat + beta, ("test", xhat, gamma, np.sqrt(var + eps))
    mu, v = x.mean(axis=0), x.var(axis=0)
    xhat = (x - mu) / np.sqrt(v + eps)
    bn_param["running_mean"] = momentum * mean + (1 - momentum) * mu
    bn_param["running_var"] = momentum * var + (1 - momentum) * v
    return gamma * xhat + beta, ("train", xhat, gamma, np.sqrt(v + eps))


def batchnorm_backward(dout, cache):
    """Its gradients."""
    mode, xhat, gamma, std = cache
    dgamma, dbeta = (dout * xhat).sum(axis=0), dout.sum(axis=0)
    if mode == "test":
        return dout * gamma / std, dgamma, dbeta
    n = len(dout)
    return gamma / (n * std) * (n * dout - dbeta - xhat * dgamma), dgamma, dbeta


def dropout_forward(x, dropout_param):
    """CS231n inverted dropout, p is the probability to keep."""
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask = (np.random.rand(*x.shape) < dropout_param["p"]) / dropout_param["p"]
    return x * mask, (dropout_param, mask)


def dropout_backward(dout, cache):
    """Its gradient."""
    return dout * cache[1]
