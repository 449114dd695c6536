"""Wrong homework: attention, gates, and other functions in which several inputs meet."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import sigmoid, softmax


def attention(rng, mistake):
    """Dot-product attention with as many queries as keys."""
    def forward(q, k, v):
        a = softmax(q @ k.swapaxes(1, 2))
        return a @ v, (q, k, v, a)

    def backward(dout, cache):
        q, k, v, a = cache
        da = dout @ v.swapaxes(1, 2)
        ds = da * a * (1 - a) if mistake == "diagonal" else a * (da - (da * a).sum(axis=-1, keepdims=True))
        return ds @ k, ds.swapaxes(1, 2) @ q, (a if mistake == "values" else a.swapaxes(1, 2)) @ dout

    return forward, backward, rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 2))


@wrong("pair", "diagonal-only")
def attention_softmax_elementwise(rng):
    """The softmax of the scores has only its diagonal, a (1 - a)."""
    return attention(rng, "diagonal")


@wrong("pair", "transposed")
def attention_values_not_transposed(rng):
    """dv = a dout for a^T dout, which fits because there are as many queries as keys."""
    return attention(rng, "values")


@wrong("pair", "term-missing", "overwritten")
def self_attention_key_path_missing(rng):
    """x is query, key and value; its gradient as a key is left out."""
    def forward(x):
        s = x @ x.T
        a = softmax(np.where(np.tril(np.ones_like(s)) > 0, s, -1e30))
        return a @ x, (x, a)

    def backward(dout, cache):
        x, a = cache
        da = dout @ x.T
        ds = a * (da - (da * a).sum(axis=1, keepdims=True))
        return a.T @ dout + ds @ x

    return forward, backward, rng.normal(size=(4, 3))


@wrong("pair", "mask-missing")
def causal_scores_not_masked_in_backward(rng):
    """Forward hides later positions, backward lets their gradient through."""
    mask = np.tril(np.ones((4, 4)))

    def forward(q, k, v):
        a = sigmoid(q @ k.T)
        return (a * mask) @ v, (q, k, v, a)

    def backward(dout, cache):
        q, k, v, a = cache
        ds = (dout @ v.T) * a * (1 - a)
        return ds @ k, ds.T @ q, (a * mask).T @ dout

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))


@wrong("pair", "overwritten")
def additive_attention_query_of_last_key(rng):
    """The query meets every key, and only its gradient from the last one is kept."""
    def forward(q, k, v, w):
        e = np.tanh(q[:, None] + k)
        a = softmax(e @ w)
        return (a[:, :, None] * v).sum(axis=1), (v, w, e, a)

    def backward(dout, cache):
        v, w, e, a = cache
        da = (dout[:, None] * v).sum(axis=2)
        ds = a * (da - (da * a).sum(axis=1, keepdims=True))
        de = ds[:, :, None] * w * (1 - e ** 2)
        return de[:, -1], de, a[:, :, None] * dout[:, None], np.einsum("nt,nth->h", ds, e)

    return forward, backward, *(rng.normal(size=shape) for shape in ((2, 3), (2, 4, 3), (2, 4, 2), (3,)))


@wrong("pair", "wrong-local-derivative", "term-missing")
def swish_gate_half_of_product_rule(rng):
    """Hidden units x s(x) times a gate: backward differentiates s only."""
    def forward(x, w, v, u):
        a, b = x @ w, x @ v
        return (a * sigmoid(a) * b) @ u, (x, w, v, u, a, b)

    def backward(dout, cache):
        x, w, v, u, a, b = cache
        s, dh = sigmoid(a), dout @ u.T
        da, db = dh * b * s * (1 - s), dh * a * s
        return da @ w.T + db @ v.T, x.T @ da, x.T @ db, (a * s * b).T @ dout

    return forward, backward, *(rng.normal(size=shape) for shape in ((3, 4), (4, 5), (4, 5), (5, 3)))


@wrong("pair", "mask-missing", "wrong-region")
def residual_block_inner_mask_missing(rng):
    """relu(relu(x w) v + x): the inner relu is not undone."""
    def forward(x, w, v):
        h = np.maximum(x @ w, 0)
        z = h @ v + x
        return np.maximum(z, 0), (x, w, v, h, z)

    def backward(dout, cache):
        x, w, v, h, z = cache
        dz = dout * (z > 0)
        dh = dz @ v.T
        return dz + dh @ w.T, x.T @ dh, h.T @ dz

    return forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(4, 5)), rng.normal(size=(5, 4))


@wrong("pair", "term-missing")
def pairwise_products_square_missing(rng):
    """Half the square of a sum minus the sum of squares: the latter's gradient with respect to x is left out."""
    def forward(x, v):
        s = x @ v
        return 0.5 * (s ** 2 - (x ** 2) @ (v ** 2)).sum(axis=1), (x, v, s)

    def backward(dout, cache):
        x, v, s = cache
        return dout[:, None] * (s @ v.T), x.T @ (dout[:, None] * s) - v * ((x ** 2).T @ dout)[:, None]

    return forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(4, 2))


@wrong("loss", "term-missing")
def contrastive_loss_one_direction(rng):
    """Two cross entropies, over rows and, for less, over columns, and the gradient of the first."""
    def loss(a, b):
        s, i = a @ b.T, np.arange(len(a))
        rows, columns = softmax(s, axis=1), softmax(s, axis=0)
        ds = (rows - np.eye(len(a))) / len(a)
        return -(np.log(rows[i, i]) + 0.3 * np.log(columns[i, i])).mean(), ds @ b, ds.T @ a

    return loss, rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


@wrong("loss", "extra-term", "wrong-slice")
def cross_entropy_whole_columns(rng):
    """p[:, y] -= 1 for p[arange(n), y] -= 1."""
    def loss(x, y):
        p = softmax(x)
        value = -np.log(p[np.arange(len(y)), y]).mean()
        p[:, y] -= 1
        return value, p / len(y)

    return loss, rng.normal(size=(4, 6)), np.array([2, 0, 3, 5])


@wrong("pair", "wrong-local-derivative", "diagonal-only")
def log_sum_exp_like_softmax(rng):
    """p (1 - p), the derivative of a probability, for p, that of the log of the sum."""
    def forward(x):
        return np.log(np.exp(x).sum(axis=1)), softmax(x)

    def backward(dout, p):
        return dout[:, None] * p * (1 - p)

    return forward, backward, rng.normal(size=(3, 9))


@wrong("pair", "wrong-local-derivative", "term-missing")
def neighbours_norm_wrong_power(rng):
    """x / s(x)^0.75 over neighbouring channels: the second term has s^-0.75 for s^-1.75."""
    near = np.abs(np.subtract.outer(np.arange(6), np.arange(6))) <= 1

    def forward(x):
        s = 1 + np.einsum("ij,nj->ni", near, x ** 2)
        return x * s ** -0.75, (x, s)

    def backward(dout, cache):
        x, s = cache
        return dout * s ** -0.75 - 1.5 * x * np.einsum("ij,ni->nj", near, dout * x * s ** -0.75)

    return forward, backward, rng.normal(size=(3, 6))


@wrong("pair", "transposed")
def sort_gathers_in_backward(rng):
    """dout[order] for dx[order] = dout."""
    def forward(x):
        return np.sort(x, axis=1), np.argsort(x, axis=1)

    def backward(dout, order):
        return np.take_along_axis(dout, order, axis=1)

    return forward, backward, rng.normal(size=(3, 7))


@wrong("pair", "transposed", "nonsquare-only")
def max_pool_blocks_not_transposed_back(rng):
    """Windows are cut out by a reshape and a transpose; on the way back two axes are exchanged."""
    def windows(x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)

    def forward(x):
        blocks = windows(x)
        y = blocks.max(axis=(4, 5))
        return y, (blocks == y[..., None, None], x.shape)

    def backward(dout, cache):
        mask, shape = cache
        return (mask * dout[..., None, None]).transpose(0, 1, 2, 5, 4, 3).reshape(shape)

    return forward, backward, rng.normal(size=(2, 2, 4, 6))


@wrong("pair", "wrong-local-derivative")
def last_tanh_without_square(rng):
    """1 - y for 1 - y^2 in the last layer."""
    def forward(x, w):
        y = np.tanh(x @ w)
        return y, (x, w, y)

    def backward(dout, cache):
        x, w, y = cache
        dz = dout * (1 - y)
        return dz @ w.T, x.T @ dz

    return forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(4, 4))


@wrong("pair", "wrong-slice", "factor-per-axis")
def tiny_channel_with_wrong_sign(rng):
    """The gradient of one row of the weights is small, because its channel is, and has the wrong sign."""
    def forward(x, w):
        return x @ w, (x, w)

    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ dout * np.array([1, 1, 1, -1])[:, None]

    return forward, backward, rng.normal(size=(5, 4)) * np.array([1, 1, 1, 1e-9]), rng.normal(size=(4, 3))


@wrong("pair", "precision-lost")
def upstream_through_half_precision(rng):
    """The gradient of the hidden units is rounded to float16."""
    def forward(x, w):
        return np.tanh(x @ w), (x, w)

    def backward(dout, cache):
        x, w = cache
        dz = (dout * (1 - np.tanh(x @ w) ** 2)).astype(np.float16).astype(float)
        return dz @ w.T, x.T @ dz

    return forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(4, 2))


@wrong("pair", "transposed")
def attention_scores_not_transposed(rng):
    """dk = ds q for ds' q, in self attention of five tokens."""
    def forward(q, k, v):
        p = softmax(q @ k.T / np.sqrt(q.shape[1]))
        return p @ v, (q, k, v, p)

    def backward(dout, cache):
        q, k, v, p = cache
        dp = dout @ v.T
        ds = p * (dp - (dp * p).sum(1, keepdims=True)) / np.sqrt(q.shape[1])
        return ds @ k, ds @ q, p.T @ dout

    return forward, backward, rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))


@wrong("pair", "transposed")
def heads_split_by_reshape_alone(rng):
    """Forward splits the heads by reshape and transpose, backward merges by reshape alone."""
    def forward(x, w):
        n, t, d = x.shape
        h = x.reshape(n, t, 2, d // 2).transpose(0, 2, 1, 3)
        return h * w[:, None], (h, w)

    def backward(dout, cache):
        h, w = cache
        d = dout * w[:, None]
        n, m, t, k = d.shape
        return d.reshape(n, t, m * k), (dout * h).sum(axis=(0, 2))

    return forward, backward, rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 2))
