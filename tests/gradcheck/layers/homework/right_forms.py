"""Right homework in unusual forms: views, tuples, lists, other types, nested caches, several outputs."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import affine_backward, affine_forward, conv_pair, norm_pair, stable_sigmoid


@right("pair")
def affine_noncontiguous_inputs(rng):
    """A strided and a transposed view as inputs."""
    return (affine_forward, affine_backward, rng.normal(size=(5, 8))[:, ::2], rng.normal(size=(3, 4)).T,
            rng.normal(size=6)[::-2])


@right("pair")
def conv_permuted_view(rng):
    """A picture batch that is a permuted view (NHWC stored, NCHW seen)."""
    return conv_pair(pad=1) + (rng.normal(size=(2, 4, 5, 2)).transpose(0, 3, 1, 2), rng.normal(size=(2, 2, 3, 3)),
                               rng.normal(size=2))


@right("pair")
def sum_broadcast_view(rng):
    """The gradient of a sum is a read-only broadcast view of dout."""
    def forward(x):
        return x.sum(axis=1), x.shape

    def backward(dout, cache):
        return np.broadcast_to(dout[:, None], cache)

    return forward, backward, rng.normal(size=(5, 6))


@right("pair")
def transpose_view(rng):
    """A transposition returns a view of dout."""
    def forward(x):
        return x.T

    def backward(dout, x):
        return dout.T

    return forward, backward, rng.normal(size=(4, 6))


@right("pair")
def add_aliases_upstream(rng):
    """Addition returns dout itself twice."""
    def forward(a, b):
        return a + b, None

    def backward(dout, cache):
        return dout, dout

    return forward, backward, rng.normal(size=(4, 5)), rng.normal(size=(4, 5))


@right("object")
def identity_object(rng):
    """The identity hands x and dout through."""
    class Identity:
        def forward(self, x):
            return x

        def backward(self, dout):
            return dout

    return Identity(), rng.normal(size=(4, 5))


@right("pair")
def flatten_view(rng):
    """Flatten as a view in both directions."""
    def forward(x):
        return x.reshape(len(x), -1), x.shape

    def backward(dout, cache):
        return dout.reshape(cache)

    return forward, backward, rng.normal(size=(3, 2, 4))


@right("pair")
def relu_affine_float32(rng):
    """float32 inputs with buffers that follow the type."""
    def forward(x, w):
        h = np.maximum(x, 0)
        return h @ w, (x, w, h)

    def backward(dout, cache):
        x, w, h = cache
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        dx += (dout @ w.T) * (x > 0)
        dw += h.T @ dout
        return dx, dw

    return forward, backward, rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)


@right("pair")
def tanh_insists_on_type_and_shape(rng):
    """The function insists on float64 and on its batch size."""
    def forward(x):
        assert x.dtype == np.float64 and x.shape == (4, 5)
        y = np.tanh(x)
        return y, y

    def backward(dout, cache):
        assert dout.shape == (4, 5)
        return dout * (1 - cache * cache)

    return forward, backward, rng.normal(size=(4, 5))


@right("pair")
def temperature_zero_dimensional(rng):
    """A temperature as a 0-d array, its gradient a NumPy scalar."""
    def forward(x, t):
        return x / t, (x, t)

    def backward(dout, cache):
        x, t = cache
        return dout / t, -np.sum(dout * x) / t ** 2

    return forward, backward, rng.normal(size=(4, 5)), np.array(rng.uniform(0.5, 2))


@right("pair")
def scalar_python_float(rng):
    """Forward returns a Python float."""
    def forward(x, w):
        return float(np.sum(w * np.tanh(x))), (x, w)

    def backward(dout, cache):
        x, w = cache
        return dout * w * (1 - np.tanh(x) ** 2), dout * np.tanh(x)

    return forward, backward, rng.normal(size=(4, 5)), rng.normal(size=(4, 5))


@right("pair")
def tuple_of_one_gradient(rng):
    """The single gradient comes in a tuple of one."""
    def forward(x):
        return np.sin(x), x

    def backward(dout, cache):
        return (dout * np.cos(cache),)

    return forward, backward, rng.normal(size=(4, 5))


@right("pair")
def list_of_gradients(rng):
    """The gradients come in a list."""
    def forward(x, w, b):
        return x * w + b

    def backward(dout, x, w, b):
        return [dout * w, (dout * x).sum(axis=0), dout.sum(axis=0)]

    return forward, backward, rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=5)


@right("pair")
def sandwich_layer(rng):
    """Nested caches of the sandwich layer affine - batch norm - ReLU."""
    norm_forward, norm_backward = norm_pair((0,))

    def forward(x, w, b):
        a, fc_cache = affine_forward(x, w, b)
        n, bn_cache = norm_forward(a)
        return np.maximum(n, 0), (fc_cache, bn_cache, n)

    def backward(dout, cache):
        fc_cache, bn_cache, n = cache
        return affine_backward(norm_backward(dout * (n > 0), bn_cache), fc_cache)

    return forward, backward, rng.normal(size=(6, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


@right("pair")
def moments_two_outputs(rng):
    """Two outputs as a tuple, two upstream gradients as a tuple."""
    def forward(x):
        return (x.mean(axis=1), x.var(axis=1)), x

    def backward(dout, cache):
        dmean, dvar = dout
        m = cache.shape[1]
        return dmean[:, None] / m + dvar[:, None] * 2 * (cache - cache.mean(axis=1, keepdims=True)) / m

    return forward, backward, rng.normal(size=(5, 6))


@right("pair")
def split_three_outputs(rng):
    """Splitting a tensor into three outputs."""
    def forward(x):
        return tuple(np.split(x, [2, 5], axis=1)), None

    def backward(douts, cache):
        return np.concatenate(douts, axis=1)

    return forward, backward, rng.normal(size=(4, 7))


def lstm_step(x, h, c, wx, wh, b):
    """One LSTM step."""
    i, f, o, g = np.split(x @ wx + h @ wh + b, 4, axis=1)
    i, f, o, g = stable_sigmoid(i), stable_sigmoid(f), stable_sigmoid(o), np.tanh(g)
    nc = f * c + i * g
    return o * np.tanh(nc), nc, (x, h, c, wx, wh, i, f, o, g, nc)


def lstm_step_gradients(dh, dc, cache):
    """Its gradients."""
    x, h, c, wx, wh, i, f, o, g, nc = cache
    t = np.tanh(nc)
    dc = dc + dh * o * (1 - t ** 2)
    da = np.concatenate([dc * g * i * (1 - i), dc * c * f * (1 - f), dh * t * o * (1 - o), dc * i * (1 - g ** 2)],
                        axis=1)
    return da @ wx.T, da @ wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_inputs(rng):
    """x, h, c, Wx, Wh, b."""
    return (rng.normal(size=(3, 4)), rng.normal(size=(3, 2)), rng.normal(size=(3, 2)), rng.normal(size=(4, 8)),
            rng.normal(size=(2, 8)), rng.normal(size=8))


@right("pair")
def lstm_step_tuple_output(rng):
    """An LSTM step with the outputs as a tuple: ((h, c), cache)."""
    def forward(*inputs):
        h, c, cache = lstm_step(*inputs)
        return (h, c), cache

    def backward(dout, cache):
        return lstm_step_gradients(*dout, cache)

    return (forward, backward) + lstm_inputs(rng)


@right("pair")
def lstm_step_flat_form(rng):
    """An LSTM step in the flat CS231n form: h, c, cache and backward(dh, dc, cache)."""
    def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
        return lstm_step(x, prev_h, prev_c, Wx, Wh, b)

    def lstm_step_backward(dnext_h, dnext_c, cache):
        return lstm_step_gradients(dnext_h, dnext_c, cache)

    return (lstm_step_forward, lstm_step_backward) + lstm_inputs(rng)


@right("pair")
def embedding_none_for_indices(rng):
    """Word indices first; their gradient is None."""
    def forward(idx, W):
        return W[idx], (idx, W)

    def backward(dout, cache):
        idx, W = cache
        dW = np.zeros_like(W)
        np.add.at(dW, idx, dout)
        return None, dW

    return forward, backward, rng.integers(0, 7, size=(3, 5)), rng.normal(size=(7, 4))


@right("pair")
def embedding_bare_gradient(rng):
    """CS231n word embedding: the bare gradient belongs to W, the second input."""
    def word_embedding_forward(x, W):
        return W[x], (x, W.shape)

    def word_embedding_backward(dout, cache):
        x, shape = cache
        dW = np.zeros(shape)
        np.add.at(dW, x, dout)
        return dW

    return word_embedding_forward, word_embedding_backward, rng.integers(0, 7, size=(3, 5)), rng.normal(size=(7, 4))


@right("object")
def embedding_object(rng):
    """An embedding layer with list params; backward returns None."""
    class Embedding:
        def __init__(self, W):
            self.params, self.grads = [W], [np.zeros_like(W)]
            self.idx = None

        def forward(self, idx):
            W, = self.params
            self.idx = idx
            return W[idx]

        def backward(self, dout):
            dW, = self.grads
            dW[...] = 0
            np.add.at(dW, self.idx, dout)
            return None

    return Embedding(rng.normal(size=(6, 4))), rng.integers(0, 6, size=9)


@right("pair")
def select_by_mask(rng):
    """Gather by a boolean mask as second input."""
    def forward(x, mask):
        return x[mask], mask

    def backward(dout, cache):
        dx = np.zeros(cache.shape)
        dx[cache] = dout
        return dx

    mask = rng.random((4, 6)) < 0.5
    mask[0, 0] = True
    return forward, backward, rng.normal(size=(4, 6)), mask


@right("pair")
def leaky_relu_python_float(rng):
    """The slope is a plain Python float and gets no gradient."""
    def forward(x, alpha):
        return np.where(x > 0, x, alpha * x), (x, alpha)

    def backward(dout, cache):
        x, alpha = cache
        return dout * np.where(x > 0, 1.0, alpha)

    return forward, backward, rng.normal(size=(4, 6)), 0.01


@right("pair")
def coursera_linear_activation(rng):
    """Coursera form: linear_activation_forward(A_prev, W, b, activation) with a string."""
    def linear_activation_forward(A_prev, W, b, activation):
        Z = np.dot(W, A_prev) + b
        A = np.maximum(0, Z) if activation == "relu" else stable_sigmoid(Z)
        return A, ((A_prev, W, b), Z, activation)

    def linear_activation_backward(dA, cache):
        (A_prev, W, b), Z, activation = cache
        dZ = dA * (Z > 0) if activation == "relu" else dA * stable_sigmoid(Z) * (1 - stable_sigmoid(Z))
        return np.dot(W.T, dZ), np.dot(dZ, A_prev.T), np.sum(dZ, axis=1, keepdims=True)

    return (linear_activation_forward, linear_activation_backward, rng.normal(size=(4, 6)), rng.normal(size=(3, 4)),
            rng.normal(size=(3, 1)), "sigmoid")


@right("pair")
def coursera_conv(rng):
    """Coursera convolution on NHWC with a dict of hyperparameters and W of shape (f, f, C, F)."""
    def conv_forward_nhwc(A_prev, W, b, hparameters):
        s, p = hparameters["stride"], hparameters["pad"]
        m, h0, w0, c = A_prev.shape
        f, _, _, nc = W.shape
        h, w = (h0 - f + 2 * p) // s + 1, (w0 - f + 2 * p) // s + 1
        padded = np.pad(A_prev, ((0, 0), (p, p), (p, p), (0, 0)))
        Z = np.zeros((m, h, w, nc))
        for i in range(h):
            for j in range(w):
                Z[:, i, j] = np.tensordot(padded[:, s * i:s * i + f, s * j:s * j + f], W, 3) + b[0, 0, 0]
        return Z, (A_prev, W, b, hparameters)

    def conv_backward_nhwc(dZ, cache):
        A_prev, W, b, hparameters = cache
        s, p = hparameters["stride"], hparameters["pad"]
        f = W.shape[0]
        padded = np.pad(A_prev, ((0, 0), (p, p), (p, p), (0, 0)))
        dA, dW, db = np.zeros(padded.shape), np.zeros(W.shape), np.zeros(b.shape)
        for t in range(dZ.shape[0]):
            for i in range(dZ.shape[1]):
                for j in range(dZ.shape[2]):
                    for k in range(dZ.shape[3]):
                        at = np.s_[t, s * i:s * i + f, s * j:s * j + f]
                        dA[at] += W[..., k] * dZ[t, i, j, k]
                        dW[..., k] += padded[at] * dZ[t, i, j, k]
                        db[..., k] += dZ[t, i, j, k]
        return dA[:, p:-p, p:-p], dW, db

    return (conv_forward_nhwc, conv_backward_nhwc, rng.normal(size=(2, 4, 5, 2)), rng.normal(size=(2, 2, 2, 3)),
            rng.normal(size=(1, 1, 1, 3)), {"stride": 2, "pad": 1})


@right("pair")
def call_counters(rng):
    """A function that counts its calls in a global and in an attribute."""
    def forward(x):
        forward.calls += 1
        return x * np.exp(-x), (x, forward.calls)

    def backward(dout, cache):
        x, number = cache
        backward.calls = getattr(backward, "calls", 0) + 1
        return dout * (1 - x) * np.exp(-x)

    forward.calls = 0
    return forward, backward, rng.normal(size=(4, 6))
