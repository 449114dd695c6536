"""Wrong homework: functions of several paths, gates packed into one weight, sums along the wrong axis."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import sigmoid, softmax


@wrong("pair", "term-missing", "overwritten")
def gated_product_second_path_overwrites(rng):
    """(x A) tanh(x B): dx = instead of dx += for the second factor."""
    def forward(x, A, B):
        return (x @ A) * np.tanh(x @ B), (x, A, B)

    def backward(dout, cache):
        x, A, B = cache
        t = np.tanh(x @ B)
        da, db = dout * t, dout * (x @ A) * (1 - t ** 2)
        dx = da @ A.T
        dx = db @ B.T
        return dx, x.T @ da, x.T @ db

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=(3, 2))


def gates(rng, mistake):
    """r tanh(h Un) + z h with z and r from one packed weight."""
    def forward(x, h, W):
        z, r = np.split(sigmoid(x @ W), 2, axis=1)
        return z * h + r * np.tanh(h), (x, h, W, z, r)

    def backward(dout, cache):
        x, h, W, z, r = cache
        dz, dr = dout * h, dout * np.tanh(h)
        dr = dr * (1 - r ** 2 if mistake == "slope" else r * (1 - r))
        da = np.concatenate([(-dz if mistake == "sign" else dz) * z * (1 - z), dr], axis=1)
        return da @ W.T, dout * (z + r * (1 - np.tanh(h) ** 2)), x.T @ da

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), rng.normal(size=(3, 4))


@wrong("pair", "wrong-local-derivative")
def reset_gate_with_slope_of_tanh(rng):
    """The reset gate is a sigmoid, and is differentiated as a tanh."""
    return gates(rng, "slope")


@wrong("pair", "constant-factor")
def update_gate_with_wrong_sign(rng):
    """The update gate's gradient has the wrong sign, the other gate's the right one."""
    return gates(rng, "sign")


def cell(rng, mistake):
    """Hidden and cell state of a step, side by side."""
    def forward(c, g, o):
        new = c + np.tanh(g)
        return np.concatenate([sigmoid(o) * np.tanh(new), new], axis=1), (g, o, new)

    def backward(dout, cache):
        g, o, new = cache
        dh, dnew = np.split(dout, 2, axis=1)
        through = dh * sigmoid(o) * (1 if mistake == "slope" else 1 - np.tanh(new) ** 2)
        dc = through if mistake == "path" else dnew + through
        return dc, dc * (1 - np.tanh(g) ** 2), dh * np.tanh(new) * sigmoid(o) * (1 - sigmoid(o))

    return forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=(3, 4))


@wrong("pair", "term-missing")
def cell_state_gradient_of_next_step_dropped(rng):
    """Both outputs depend on the cell state; only what comes through the hidden state is counted."""
    return cell(rng, "path")


@wrong("pair", "local-derivative-missing", "wrong-local-derivative")
def cell_state_tanh_not_differentiated(rng):
    """The hidden state is o tanh(c); on the way to c the slope of the tanh is left out."""
    return cell(rng, "slope")


@wrong("pair", "shifted")
def bilinear_form_meets_the_other_vector(rng):
    """a' W b with da = W a for W b."""
    def forward(a, W, b):
        return np.einsum("ni,oij,nj->no", a, W, b), (a, W, b)

    def backward(dout, cache):
        a, W, b = cache
        return (np.einsum("no,oij,nj->ni", dout, W, a), np.einsum("no,ni,nj->oij", dout, a, b),
                np.einsum("no,oij,ni->nj", dout, W, a))

    return forward, backward, rng.normal(size=(3, 3)), rng.normal(size=(2, 3, 3)), rng.normal(size=(3, 3))


@wrong("pair", "term-missing")
def bias_before_centring_has_a_gradient(rng):
    """x W + b, centred over the batch: b cancels, and its gradient is taken before the mean is."""
    def forward(x, W, b):
        z = x @ W + b
        return z - z.mean(axis=0), (x, W)

    def backward(dout, cache):
        x, W = cache
        dz = dout - dout.mean(axis=0)
        return dz @ W.T, x.T @ dz, dout.sum(axis=0)

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)


@wrong("pair", "wrong-axis")
def channel_bias_summed_over_channels(rng):
    """One bias for each channel, added up over all axes but the last, which happens to be as long."""
    def forward(x, b):
        return np.tanh(x) + b[:, None, None], x

    def backward(dout, x):
        return dout * (1 - np.tanh(x) ** 2), dout.sum(axis=(0, 1, 2))

    return forward, backward, rng.normal(size=(2, 3, 2, 3)), rng.normal(size=3)


@wrong("pair", "wrong-axis")
def log_sum_exp_with_softmax_of_columns(rng):
    """The log of a row's sum of exponentials; the weights on the way back are those of the columns."""
    return (lambda x: (np.log(np.exp(x).sum(axis=1)), x)), (lambda dout, x: dout[:, None] * softmax(x, axis=0)), rng.normal(size=(3, 3))


@wrong("pair", "factor-per-axis")
def layer_scale_left_out(rng):
    """x s, one s for each column; dx is dout."""
    return (lambda x, s: (x * s, x)), (lambda dout, x: (dout, (dout * x).sum(axis=0))), rng.normal(size=(3, 4)), rng.uniform(0.3, 2, 4)


@wrong("loss", "wrong-axis")
def cross_entropy_softmax_along_the_batch(rng):
    """The probabilities in the gradient add up to one over the batch."""
    def loss(x, y):
        rows, one = np.arange(len(x)), np.eye(x.shape[1])[y]
        return -np.log(softmax(x)[rows, y]).mean(), (softmax(x, axis=0) - one) / len(x)

    return loss, rng.normal(size=(4, 5)), rng.integers(0, 5, 4)


@wrong("loss", "term-missing")
def cross_entropy_right_class_alone(rng):
    """p - 1 at the right class, and nothing at the others."""
    def loss(x, y):
        rows, grad = np.arange(len(x)), np.zeros_like(x)
        grad[rows, y] = (softmax(x)[rows, y] - 1) / len(x)
        return -np.log(softmax(x)[rows, y]).mean(), grad

    return loss, rng.normal(size=(4, 5)), rng.integers(0, 5, 4)


@wrong("loss", "wrong-local-derivative", "wrong-region")
def absolute_error_without_sign(rng):
    """|x - y| for its own derivative."""
    return (lambda x, y: (np.abs(x - y).mean(), np.abs(x - y) / x.size)), rng.normal(size=(4, 5)), rng.normal(size=(4, 5))


@wrong("loss", "term-missing")
def binary_cross_entropy_negatives_forgotten(rng):
    """-y log p - (1 - y) log(1 - p); the second term has no gradient."""
    def loss(p, y):
        return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(), -y / p / p.size

    return loss, rng.uniform(0.1, 0.9, (4, 3)), np.resize([1.0, 0.0, 0.0], (4, 3))


@wrong("pair", "wrong-local-derivative", "factor-per-axis")
def reparametrised_noise_forgotten(rng):
    """(m + exp(l / 2) e) W with noise e; the gradient of l leaves e out."""
    e = rng.normal(size=(3, 4))

    def forward(m, log_var, W):
        z = m + np.exp(0.5 * log_var) * e
        return z @ W, (log_var, W, z)

    def backward(dout, cache):
        log_var, W, z = cache
        dz = dout @ W.T
        return dz, dz * 0.5 * np.exp(0.5 * log_var), z.T @ dout

    return forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=(4, 2))


@wrong("pair", "term-missing", "overwritten")
def gram_matrix_second_use_forgotten(rng):
    """x x' in batches, with dx = dout x for (dout + dout') x."""
    return (lambda x: (x @ x.swapaxes(1, 2), x)), (lambda dout, x: dout @ x), rng.normal(size=(2, 4, 3))


@wrong("pair", "term-missing")
def second_order_recursion_loses_a_step(rng):
    """z_t = x_t z_(t-1) + sin(z_(t-2)); on the way back z_(t-2) gets nothing."""
    def forward(x):
        z = [np.ones(len(x)), np.ones(len(x))]
        for t in range(x.shape[1]):
            z.append(x[:, t] * z[-1] + np.sin(z[-2]))
        return z[-1], (x, z)

    def backward(dout, cache):
        x, z = cache
        dx, dz = np.zeros_like(x), dout
        for t in reversed(range(x.shape[1])):
            dx[:, t] = dz * z[t + 1]
            dz = dz * x[:, t]
        return dx

    return forward, backward, rng.normal(size=(3, 5))


@wrong("pair", "local-derivative-missing")
def number_of_paths_for_their_weights(rng):
    """A soft minimum of three path lengths; each step gets the number of paths through it, without their weights."""
    paths = np.array([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]])

    def forward(x):
        return -np.log(np.exp(-x @ paths.T).sum(axis=1)), x

    return forward, (lambda dout, x: dout[:, None] * paths.sum(axis=0)), rng.normal(size=(3, 4))


@wrong("pair", "overwritten")
def mean_of_words_assigned(rng):
    """The mean of three rows of a table; the gradient is assigned row by row, and rows occur twice."""
    index = np.array([[0, 1, 1], [2, 0, 3], [1, 1, 1]])

    def forward(table, w):
        mean = table[index].mean(axis=1)
        return mean @ w, (table, w, mean)

    def backward(dout, cache):
        table, w, mean = cache
        dtable = np.zeros_like(table)
        for n, t in np.ndindex(index.shape):
            dtable[index[n, t]] = (dout @ w.T)[n] / 3
        return dtable, mean.T @ dout

    return forward, backward, rng.normal(size=(5, 3)), rng.normal(size=(3, 2))


@wrong("pair", "shifted")
def weights_meet_the_first_word(rng):
    """tanh of the mean of three vectors times W; dW uses the first vector instead of their mean."""
    def forward(x, w):
        return np.tanh(x.mean(axis=1) @ w), (x, w)

    def backward(dout, cache):
        x, w = cache
        dz = dout * (1 - np.tanh(x.mean(axis=1) @ w) ** 2)
        return np.repeat((dz @ w.T)[:, None] / 3, 3, axis=1), x[:, 0].T @ dz

    return forward, backward, rng.normal(size=(4, 3, 4)), rng.normal(size=(4, 3))


@wrong("pair", "shifted")
def linear_upsampling_gives_to_the_left(rng):
    """Twice as many samples, the new ones between two neighbours; their second half goes to the wrong neighbour."""
    def forward(x):
        out = np.repeat(x, 2, axis=1)
        out[:, 1:-1:2] = (x[:, :-1] + x[:, 1:]) / 2
        return out, None

    def backward(dout, _):
        dx = dout[:, ::2].copy()
        dx[:, :-1] += dout[:, 1:-1:2] / 2
        dx[:, :-2] += dout[:, 3:-1:2] / 2
        dx[:, -1] += dout[:, -1]
        return dx

    return forward, backward, rng.normal(size=(2, 7))


@wrong("pair", "wrong-region", "mask-missing")
def slope_gradient_of_the_other_side(rng):
    """A leaky ReLU with a learned slope, whose gradient adds up the positive elements."""
    def forward(x, a):
        return np.where(x > 0, x, a * x), (x, a)

    def backward(dout, cache):
        x, a = cache
        return dout * np.where(x > 0, 1, a), (dout * np.where(x > 0, x, 0)).sum(axis=0)

    return forward, backward, rng.normal(size=(6, 3)), rng.uniform(0.1, 0.4, 3)


@wrong("loss", "term-missing")
def similarities_from_one_side(rng):
    """Row-wise cross entropy of z z' against a partner; z as the second factor gets no gradient."""
    def loss(z):
        rows, p = np.arange(4), softmax(z @ z.T)
        partner = rows ^ 1
        return -np.log(p[rows, partner]).mean(), (p - np.eye(4)[partner]) @ z / 4

    return loss, rng.normal(size=(4, 3))


@wrong("pair", "wrong-slice")
def moving_average_divides_by_the_full_window_at_the_ends(rng):
    """Three neighbours, two at the ends, are averaged; the gradient is divided by three at the ends as well."""
    count = np.array([2.0, 3, 3, 3, 3, 2])

    def total(z):
        padded = np.pad(z, ((0, 0), (1, 1)))
        return padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]

    return (lambda x: (total(x) / count, None)), (lambda dout, _: total(dout / 3)), rng.normal(size=(3, 6))


@wrong("loss", "wrong-local-derivative")
def roughness_without_sign(rng):
    """The sum of |x_(t+1) - x_t| with the differences where their signs belong."""
    def loss(x):
        d = np.diff(x, axis=0)
        return np.abs(d).sum(), np.pad(d, ((1, 0), (0, 0))) - np.pad(d, ((0, 1), (0, 0)))

    return loss, rng.normal(size=(5, 2))


@wrong("pair", "term-missing")
def highway_gate_without_the_carried_part(rng):
    """t h + (1 - t) x: the gate's gradient is dout h, without - dout x."""
    def forward(x, W, V):
        h, t = np.tanh(x @ W), sigmoid(x @ V)
        return t * h + (1 - t) * x, (x, W, V, h, t)

    def backward(dout, cache):
        x, W, V, h, t = cache
        dh, dt = dout * t * (1 - h ** 2), dout * h * t * (1 - t)
        return dout * (1 - t) + dh @ W.T + dt @ V.T, x.T @ dh, x.T @ dt

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 3))


@wrong("pair", "wrong-local-derivative")
def square_root_unit_without_its_own_square(rng):
    """x / (2 + |x|), whose derivative 2 / (2 + |x|)^2 is taken for its root."""
    return (lambda x: (2 * x / (2 + np.abs(x)), x)), (lambda dout, x: dout * 2 / (2 + np.abs(x))), rng.normal(size=(4, 5))


@wrong("pair", "wrong-local-derivative")
def product_times_its_factor(rng):
    """The product of each row, with the product times x where it must be divided by x."""
    return (lambda x: (x.prod(axis=1), x)), (lambda dout, x: dout[:, None] * x.prod(axis=1, keepdims=True) * x), rng.normal(size=(3, 4))
