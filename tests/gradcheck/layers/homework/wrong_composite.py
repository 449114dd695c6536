"""Wrong homework: one mistake in a function of several steps."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import sigmoid, softmax


@wrong("pair", "wrong-axis", "term-missing", "batch-only")
def conv_bn_relu_statistics_per_pixel(rng):
    """1x1 convolution, spatial batch norm, ReLU; the backward of the norm takes its means over the batch only."""
    def forward(x, w, gamma, beta):
        z = np.einsum("nchw,fc->nfhw", x, w)
        mu, var = z.mean(axis=(0, 2, 3), keepdims=True), z.var(axis=(0, 2, 3), keepdims=True)
        inv = 1 / np.sqrt(var + 1e-5)
        h = (z - mu) * inv
        y = gamma[:, None, None] * h + beta[:, None, None]
        return np.maximum(y, 0), (x, w, gamma, h, inv, y)

    def backward(dout, cache):
        x, w, gamma, h, inv, y = cache
        dy = dout * (y > 0)
        dh = dy * gamma[:, None, None]
        dz = inv * (dh - dh.mean(axis=0, keepdims=True) - h * (dh * h).mean(axis=0, keepdims=True))
        return (np.einsum("nfhw,fc->nchw", dz, w), np.einsum("nfhw,nchw->fc", dz, x), (dy * h).sum(axis=(0, 2, 3)),
                dy.sum(axis=(0, 2, 3)))

    return forward, backward, rng.normal(size=(3, 2, 3, 4)), rng.normal(size=(3, 2)), rng.uniform(0.5, 2, 3), rng.normal(size=3)


@wrong("pair", "transposed")
def multi_head_merge_without_transpose(rng):
    """Two heads of attention; the gradient of the joined output is split by a reshape without the transpose."""
    def split(z):
        n, t, d = z.shape
        return z.reshape(n, t, 2, d // 2).transpose(0, 2, 1, 3)

    def forward(q, k, v):
        Q, K, V = split(q), split(k), split(v)
        A = softmax(Q @ K.transpose(0, 1, 3, 2) / np.sqrt(Q.shape[-1]))
        return (A @ V).transpose(0, 2, 1, 3).reshape(q.shape), (Q, K, V, A, q.shape)

    def backward(dout, cache):
        Q, K, V, A, shape = cache
        join = lambda z: z.transpose(0, 2, 1, 3).reshape(shape)
        dO = dout.reshape(V.shape)
        dV, dA = A.transpose(0, 1, 3, 2) @ dO, dO @ V.transpose(0, 1, 3, 2)
        dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True)) / np.sqrt(Q.shape[-1])
        return join(dS @ K), join(dS.transpose(0, 1, 3, 2) @ Q), join(dV)

    return forward, backward, *(rng.normal(size=(2, 4, 6)) for _ in range(3))


@wrong("pair", "term-missing")
def transformer_block_second_residual_lost(rng):
    """x + attention, then + MLP; on the way back the second shortcut is forgotten."""
    def forward(x, Wv, W1, W2):
        A = softmax(np.eye(x.shape[1]) + 0.1)
        y = x + A @ x @ Wv
        h = np.maximum(y @ W1, 0)
        return y + h @ W2, (x, A, y, h, Wv, W1, W2)

    def backward(dout, cache):
        x, A, y, h, Wv, W1, W2 = cache
        dh = dout @ W2.T * (h > 0)
        dy = dh @ W1.T
        dW1, dW2 = np.einsum("ntd,nte->de", y, dh), np.einsum("ntd,nte->de", h, dout)
        dAx = dy @ Wv.T
        return dy + A.T @ dAx, np.einsum("ntd,nte->de", A @ x, dy), dW1, dW2

    return (forward, backward, rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 4)), rng.normal(size=(4, 5)),
            rng.normal(size=(5, 4)))


@wrong("pair", "shifted", "wrong-local-derivative")
def lstm_sequence_weight_meets_new_state(rng):
    """An LSTM over time; dWh multiplies by the state after the step, not by the one before it."""
    def forward(x, h0, Wx, Wh):
        h, c, steps = h0, np.zeros_like(h0), []
        out = np.zeros((*x.shape[:2], h0.shape[1]))
        for t in range(x.shape[1]):
            i, f, o, g = np.split(x[:, t] @ Wx + h @ Wh, 4, axis=1)
            i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
            prev_c, c = c, f * c + i * g
            prev, h = h, o * np.tanh(c)
            steps.append((prev, prev_c, i, f, o, g, c, h))
            out[:, t] = h
        return out, (x, h0, Wx, Wh, steps)

    def backward(dout, cache):
        x, h0, Wx, Wh, steps = cache
        dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
        dh = dc = 0
        for t in reversed(range(x.shape[1])):
            prev, prev_c, i, f, o, g, c, h = steps[t]
            d = dout[:, t] + dh
            dc = dc + d * o * (1 - np.tanh(c) ** 2)
            da = np.hstack([dc * g * i * (1 - i), dc * prev_c * f * (1 - f), d * np.tanh(c) * o * (1 - o), dc * i * (1 - g * g)])
            dx[:, t], dh, dc = da @ Wx.T, da @ Wh.T, dc * f
            dWx += x[:, t].T @ da
            dWh += h.T @ da
        return dx, dh, dWx, dWh

    return forward, backward, *(rng.normal(size=size) for size in ((2, 3, 2), (2, 3), (2, 12))), rng.normal(size=(3, 12)) / 2


@wrong("pair", "overwritten")
def word_vectors_averaged_then_assigned(rng):
    """Bag of words: the mean of embeddings, then a linear map; a word that occurs twice gets one gradient."""
    def forward(idx, E, W):
        m = E[idx].mean(axis=1)
        return m @ W, (idx, E, W, m)

    def backward(dout, cache):
        idx, E, W, m = cache
        dm = dout @ W.T / idx.shape[1]
        dE = np.zeros_like(E)
        for n in range(len(idx)):
            for word in idx[n]:
                dE[word] = dm[n]
        return None, dE, m.T @ dout

    return forward, backward, np.array([[0, 1, 1], [2, 0, 4]]), rng.normal(size=(5, 3)), rng.normal(size=(3, 2))


@wrong("pair", "swapped-gradients")
def bilinear_sampler_x_and_y_exchanged(rng):
    """Sampling a picture at real places; the gradients of the two coordinates change places."""
    def forward(img, xs, ys):
        x0, y0 = np.floor(xs).astype(int), np.floor(ys).astype(int)
        fx, fy = xs - x0, ys - y0
        a, b, c, d = img[y0, x0], img[y0, x0 + 1], img[y0 + 1, x0], img[y0 + 1, x0 + 1]
        top, low = a * (1 - fx) + b * fx, c * (1 - fx) + d * fx
        return top * (1 - fy) + low * fy, (img.shape, x0, y0, fx, fy, a, b, c, d, top, low)

    def backward(dout, cache):
        shape, x0, y0, fx, fy, a, b, c, d, top, low = cache
        dimg = np.zeros(shape)
        for dy, wy in ((0, 1 - fy), (1, fy)):
            for dx, wx in ((0, 1 - fx), (1, fx)):
                np.add.at(dimg, (y0 + dy, x0 + dx), dout * wy * wx)
        gx = dout * ((b - a) * (1 - fy) + (d - c) * fy)
        gy = dout * (low - top)
        return dimg, gy, gx

    return forward, backward, rng.normal(size=(5, 6)), rng.uniform(0.1, 4.9, 7), rng.uniform(0.1, 3.9, 7)


@wrong("pair", "local-derivative-missing", "wrong-local-derivative")
def wavenet_gate_sigmoid_slope_forgotten(rng):
    """tanh(x Wf) sigmoid(x Wg) W; the slope of the sigmoid is missing in the gate's branch."""
    def forward(x, Wf, Wg, W):
        f, g = np.tanh(x @ Wf), sigmoid(x @ Wg)
        return (f * g) @ W, (x, Wf, Wg, W, f, g)

    def backward(dout, cache):
        x, Wf, Wg, W, f, g = cache
        d = dout @ W.T
        df, dg = d * g * (1 - f ** 2), d * f
        return df @ Wf.T + dg @ Wg.T, x.T @ df, x.T @ dg, (f * g).T @ dout

    return forward, backward, rng.normal(size=(4, 3)), *(rng.normal(size=s) for s in ((3, 4), (3, 4), (4, 2)))


@wrong("pair", "mask-missing")
def channel_attention_maximum_to_all_pixels(rng):
    """CBAM's channel gate from mean plus maximum; the maximum's gradient goes to every pixel."""
    def forward(x, W):
        n, c, h, w = x.shape
        z = x.reshape(n, c, -1)
        s = sigmoid((z.mean(axis=2) + z.max(axis=2)) @ W)
        return x * s[:, :, None, None], (x, W, s)

    def backward(dout, cache):
        x, W, s = cache
        n, c, h, w = x.shape
        ds = (dout * x).sum(axis=(2, 3)) * s * (1 - s)
        z = x.reshape(n, c, -1)
        dz = (ds @ W.T)[:, :, None]
        dx = dout * s[:, :, None, None] + (dz / (h * w) + dz * np.ones_like(z)).reshape(x.shape)
        return dx, (z.mean(axis=2) + z.max(axis=2)).T @ ds

    return forward, backward, rng.normal(size=(2, 3, 3, 4)), rng.normal(size=(3, 3))


@wrong("pair", "memory-layout")
def unpooling_through_ravel(rng):
    """Max unpooling into zeros_like(x).ravel(): a copy where x is not contiguous, and the gradient is lost."""
    def forward(x):
        z = x.reshape(len(x), -1)
        return z.max(axis=1), (x, z.argmax(axis=1))

    def backward(dout, cache):
        x, at = cache
        dx = np.zeros_like(x)
        dx.ravel()[at + np.arange(len(x)) * x[0].size] = dout
        return dx

    return forward, backward, rng.normal(size=(4, 3, 5))


@wrong("pair", "nonlinear-upstream")
def rnn_step_clips_its_gradient(rng):
    """'Against exploding gradients': the upstream gradient is clipped inside the layer."""
    def forward(x, h, W, U):
        y = np.tanh(x @ W + h @ U)
        return y, (x, h, W, U, y)

    def backward(dout, cache):
        x, h, W, U, y = cache
        d = np.clip(dout * (1 - y * y), -1, 1)
        return d @ W.T, d @ U.T, x.T @ d, h.T @ d

    return forward, backward, rng.normal(size=(3, 2)), rng.normal(size=(3, 4)), rng.normal(size=(2, 4)), rng.normal(size=(4, 4))


@wrong("pair", "upstream-ignored")
def loss_layer_assumes_one(rng):
    """A softmax loss as the last layer of a chain: backward(dout) takes dout for one."""
    def forward(x, t):
        p = softmax(x, axis=1)
        return -(t * np.log(p)).sum(axis=1), (p, t)

    def backward(dout, cache):
        p, t = cache
        return p - t, None

    return forward, backward, rng.normal(size=(4, 3)), np.eye(3)[rng.integers(0, 3, 4)]


@wrong("pair", "not-a-number")
def distance_to_itself(rng):
    """Distances between all rows; on the diagonal the derivative divides zero by zero."""
    def forward(x):
        d = x[:, None] - x[None]
        return np.sqrt((d ** 2).sum(axis=2)), (d,)

    def backward(dout, cache):
        (d,) = cache
        with np.errstate(all="ignore"):
            g = dout[:, :, None] * d / np.sqrt((d ** 2).sum(axis=2, keepdims=True))
        return g.sum(axis=1) - g.sum(axis=0)

    return forward, backward, rng.normal(size=(4, 3))


@wrong("pair", "precision-lost")
def conv1d_columns_in_half(rng):
    """The columns are kept in float16 'to save memory'."""
    def forward(x, w):
        cols = np.lib.stride_tricks.sliding_window_view(x, w.shape[2], axis=2)
        return np.einsum("nctk,fck->nft", cols, w), (x.shape, cols.astype(np.float16), w)

    def backward(dout, cache):
        shape, cols, w = cache
        dx = np.zeros(shape)
        for t in range(dout.shape[2]):
            dx[:, :, t:t + w.shape[2]] += np.einsum("nf,fck->nck", dout[:, :, t], w)
        return dx, np.einsum("nft,nctk->fck", dout, cols)

    return forward, backward, rng.normal(size=(2, 2, 7)), rng.normal(size=(3, 2, 3))


@wrong("pair", "constant-factor")
def reparameterisation_half_forgotten(rng):
    """z = mu + exp(logvar / 2) eps; the half of the exponent is missing in the gradient."""
    eps = rng.normal(size=(4, 3))

    def forward(mu, logvar, W):
        z = mu + np.exp(logvar / 2) * eps
        return np.tanh(z @ W), (logvar, W, z)

    def backward(dout, cache):
        logvar, W, z = cache
        d = dout * (1 - np.tanh(z @ W) ** 2)
        dz = d @ W.T
        return dz, dz * eps * np.exp(logvar / 2), z.T @ d

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(3, 2))


class ConvPoolLinear:
    """Convolution 1-D, ReLU, max pooling by two, linear: one object with everything."""

    def __init__(self, rng):
        self.params = {"K": rng.normal(size=(3, 2, 3)), "W": rng.normal(size=(9, 2)), "b": rng.normal(size=2)}
        self.grads = {}

    def forward(self, x):
        self.cols = np.lib.stride_tricks.sliding_window_view(x, 3, axis=2)
        self.z = np.einsum("nctk,fck->nft", self.cols, self.params["K"])
        a = np.maximum(self.z, 0)
        pairs = a.reshape(*a.shape[:2], -1, 2)
        self.at, self.flat, self.shape = pairs.argmax(axis=3), pairs.max(axis=3).reshape(len(x), -1), x.shape
        return self.flat @ self.params["W"] + self.params["b"]

    def to_pixels(self, dout):
        d = (dout @ self.params["W"].T).reshape(self.at.shape)
        da = np.zeros((*self.at.shape, 2))
        np.put_along_axis(da, self.at[..., None], d[..., None], axis=3)
        return da.reshape(self.z.shape)

    def rest(self, dz):
        self.grads["K"] = np.einsum("nft,nctk->fck", dz, self.cols)
        dx = np.zeros(self.shape)
        for k in range(3):
            dx[:, :, k:k + dz.shape[2]] += np.einsum("nft,fc->nct", dz, self.params["K"][:, :, k])
        return dx


@wrong("object", "mask-missing")
def conv_pool_linear_relu_mask_forgotten(rng):
    """The ReLU between convolution and pooling is left out on the way back."""
    class Net(ConvPoolLinear):
        def backward(self, dout):
            self.grads["W"], self.grads["b"] = self.flat.T @ dout, dout.sum(axis=0)
            return self.rest(self.to_pixels(dout))
    return Net(rng), rng.normal(size=(3, 2, 8))


@wrong("object", "missing-sum")
def conv_pool_linear_bias_not_summed(rng):
    """The bias of the last layer gets one gradient for each example."""
    class Net(ConvPoolLinear):
        def backward(self, dout):
            self.grads["W"], self.grads["b"] = self.flat.T @ dout, dout
            return self.rest(self.to_pixels(dout) * (self.z > 0))
    return Net(rng), rng.normal(size=(3, 2, 8))


@wrong("object", "nonsquare-only", "transposed", "shifted", "wrong-slice")
def pool_places_with_height_for_width(rng):
    """Global max pooling keeps the flat place of the maximum; backward unravels it with the sides exchanged."""
    class GlobalMax:
        def forward(self, x):
            self.shape = x.shape
            z = x.reshape(*x.shape[:2], -1)
            self.at = z.argmax(axis=2)
            return z.max(axis=2)

        def backward(self, dout):
            n, c, h, w = self.shape
            dx = np.zeros(self.shape)
            for a in range(n):
                for b in range(c):
                    i, j = divmod(self.at[a, b], h)
                    dx[a, b, min(i, h - 1), min(j, w - 1)] += dout[a, b]
            return dx
    return GlobalMax(), rng.normal(size=(2, 3, 4, 6))


@wrong("object", "modified-in-place")
def standardise_layer_in_place(rng):
    """forward centres the batch with -=."""
    class Centre:
        def forward(self, x):
            x -= x.mean(axis=0)
            self.s = np.sqrt((x ** 2).mean(axis=0) + 1e-5)
            self.h = x / self.s
            return self.h

        def backward(self, dout):
            return (dout - dout.mean(axis=0) - self.h * (dout * self.h).mean(axis=0)) / self.s
    return Centre(), rng.normal(size=(5, 3)) + 1


@wrong("object", "factor-per-axis")
def new_norm_layer_gain_of_ones_forgotten(rng):
    """A fresh layer norm: the gain is still one everywhere, and its gradient to x leaves it out."""
    class LayerNorm:
        def __init__(self, d):
            self.gain, self.bias = np.ones(d), np.zeros(d)

        def forward(self, x):
            self.s = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
            self.h = (x - x.mean(axis=1, keepdims=True)) / self.s
            return self.gain * self.h + self.bias

        def backward(self, dout):
            self.dgain, self.dbias = (dout * self.h).sum(axis=0), dout.sum(axis=0)
            d = dout
            return (d - d.mean(axis=1, keepdims=True) - self.h * (d * self.h).mean(axis=1, keepdims=True)) / self.s
    return LayerNorm(5), rng.normal(size=(4, 5))
