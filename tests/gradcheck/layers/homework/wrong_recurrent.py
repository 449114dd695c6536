"""Wrong homework: cells that are run through time, and functions that use one matrix several times."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import sigmoid, softmax


def recurrent(rng, mistake):
    """A tanh cell through time, and its backward pass with a mistake of this name."""
    def forward(x, h0, wx, wh):
        h = [h0]
        for t in range(x.shape[1]):
            h.append(np.tanh(x[:, t] @ wx + h[-1] @ wh))
        return np.stack(h[1:], axis=1), (x, wx, wh, h)

    def backward(dout, cache):
        x, wx, wh, h = cache
        dx, dwx, dwh, dh = np.zeros_like(x), np.zeros_like(wx), np.zeros_like(wh), 0.0
        for t in reversed(range(x.shape[1])):
            dz = (dout[:, t] + dh) * (1 - h[t if mistake == "earlier state" else t + 1] ** 2)
            dx[:, t] = dz @ wx.T
            dh = dz @ (wh if mistake == "not transposed" else wh.T)
            dwx = x[:, t].T @ dz if mistake == "dWx assigned" else dwx + x[:, t].T @ dz
            dwh += h[t + 1 if mistake == "later state" else t].T @ dz
        return dx, dh, dwx, dwh

    shapes = ((2, 4, 3), (2, 3), (3, 3), (3, 3))
    return forward, backward, *(0.7 * rng.normal(size=shape) for shape in shapes)


@wrong("pair", "overwritten")
def recurrent_input_weights_assigned(rng):
    """dWx = in the loop over time, for dWx +=."""
    return recurrent(rng, "dWx assigned")


@wrong("pair", "wrong-local-derivative", "shifted")
def recurrent_tanh_at_earlier_state(rng):
    """1 - h[t]^2 where h[t + 1] was the tanh."""
    return recurrent(rng, "earlier state")


@wrong("pair", "transposed")
def recurrent_weights_not_transposed(rng):
    """dh = dz Wh for dz Wh^T."""
    return recurrent(rng, "not transposed")


@wrong("pair", "shifted")
def recurrent_weights_meet_later_state(rng):
    """dWh is made with the state after the step, for the one before it."""
    return recurrent(rng, "later state")


def lstm_step(rng, mistake):
    """One step of an LSTM with two outputs."""
    def forward(x, h, c, w, u):
        i, f, o, g = np.split(x @ w + h @ u, 4, axis=1)
        i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
        new = f * c + i * g
        return o * np.tanh(new), new, (x, h, c, w, u, i, f, o, g, np.tanh(new))

    def backward(dh, dc, cache):
        x, h, c, w, u, i, f, o, g, t = cache
        gate = 1 if mistake == "gate forgotten" else o
        dc = dc + dh * gate * (1 - (t if mistake == "power" else t ** 2))
        di, df = dc * g * i * (1 - i), dc * c * f * (1 - f)
        da = np.concatenate([di, df, dh * t * o * (1 - o), dc * i * (1 - g ** 2)], axis=1)
        return da @ w.T, da @ u.T, dc if mistake == "no forget gate" else dc * f, x.T @ da, h.T @ da

    return forward, backward, *(rng.normal(size=shape) for shape in ((2, 3), (2, 2), (2, 2), (3, 8), (2, 8)))


@wrong("pair", "wrong-local-derivative", "term-missing", "factor-per-axis")
def lstm_output_gate_forgotten(rng):
    """On the way from h to the cell the factor o is missing."""
    return lstm_step(rng, "gate forgotten")


@wrong("pair", "wrong-local-derivative")
def lstm_tanh_of_cell_power(rng):
    """1 - tanh(c) for 1 - tanh(c)^2."""
    return lstm_step(rng, "power")


@wrong("pair", "wrong-local-derivative", "local-derivative-missing", "term-missing")
def lstm_forget_gate_missing(rng):
    """The gradient of the old cell is that of the new one."""
    return lstm_step(rng, "no forget gate")


@wrong("pair", "term-missing", "overwritten")
def gru_old_state_path_missing(rng):
    """(1 - z) n + z h: the part z of dh is left out."""
    def forward(x, h, w, u):
        a, b = x @ w, h @ u
        z, r = sigmoid(a[:, :4] + b[:, :4]), sigmoid(a[:, 4:8] + b[:, 4:8])
        n = np.tanh(a[:, 8:] + r * b[:, 8:])
        return (1 - z) * n + z * h, (x, h, w, u, b, z, r, n)

    def backward(dout, cache):
        x, h, w, u, b, z, r, n = cache
        dn, dz = dout * (1 - z) * (1 - n ** 2), dout * (h - n) * z * (1 - z)
        dr = dn * b[:, 8:] * r * (1 - r)
        da, db = (np.concatenate([dz, dr, last], axis=1) for last in (dn, dn * r))
        return da @ w.T, db @ u.T, x.T @ da, h.T @ db

    return forward, backward, *(rng.normal(size=shape) for shape in ((2, 3), (2, 4), (3, 12), (4, 12)))


def euler(rng, mistake):
    """Three explicit Euler steps with one weight matrix."""
    def forward(x, w):
        xs = [x]
        for _ in range(3):
            xs.append(xs[-1] + 0.5 * np.tanh(xs[-1] @ w))
        return xs[-1], (xs, w)

    def backward(dout, cache):
        xs, w = cache
        dw = np.zeros_like(w)
        for x in reversed(xs[:-1]):
            dz = 0.5 * dout * (1 - np.tanh(x @ w) ** 2)
            dw = x.T @ dz if mistake == "assigned" else dw + x.T @ dz
            dout = dz @ w.T + (0 if mistake == "no identity" else dout)
        return dout, dw

    return forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(4, 4))


@wrong("pair", "overwritten")
def euler_weights_assigned(rng):
    """dW = in the loop over the steps, for dW +=."""
    return euler(rng, "assigned")


@wrong("pair", "term-missing", "overwritten")
def euler_identity_missing(rng):
    """x + h f(x): the path of x itself is left out in each step."""
    return euler(rng, "no identity")


@wrong("pair", "overwritten", "term-missing")
def layer_applied_twice_assigned(rng):
    """One weight in two layers, and the second assignment of dW wipes out the first."""
    def forward(x, w, v):
        a = np.tanh(x @ w)
        b = np.tanh(a @ w)
        return b @ v, (x, w, v, a, b)

    def backward(dout, cache):
        x, w, v, a, b = cache
        db = (dout @ v.T) * (1 - b ** 2)
        dw = a.T @ db
        da = (db @ w.T) * (1 - a ** 2)
        dw = x.T @ da
        return da @ w.T, dw, b.T @ dout

    return forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(4, 4)), rng.normal(size=(4, 2))


@wrong("pair", "overwritten", "term-missing")
def autoencoder_tied_weight_assigned(rng):
    """Encoder and decoder share W; the decoder's part of dW is overwritten."""
    def forward(x, w):
        h = np.tanh(x @ w)
        return h @ w.T, (x, w, h)

    def backward(dout, cache):
        x, w, h = cache
        dw = dout.T @ h
        dz = (dout @ w) * (1 - h ** 2)
        dw = x.T @ dz
        return dz @ w.T, dw

    return forward, backward, rng.normal(size=(3, 4)), rng.normal(size=(4, 6))


@wrong("pair", "term-missing")
def chain_scores_first_transition_missing(rng):
    """The loop over the transitions of a linear chain stops one step early."""
    def forward(e, t):
        a = [e[0]]
        for row in e[1:]:
            a.append(row + np.log(np.exp(a[-1][:, None] + t).sum(axis=0)))
        return np.log(np.exp(a[-1]).sum()), (e, t, a)

    def backward(dout, cache):
        e, t, a = cache
        g, de, dt = dout * softmax(a[-1]), np.zeros_like(e), np.zeros_like(t)
        for k in range(len(e) - 1, 0, -1):
            de[k] = g
            p = softmax(a[k - 1][:, None] + t, axis=0) * g
            dt += p if k > 1 else 0
            g = p.sum(axis=1)
        de[0] = g
        return de, dt

    return forward, backward, rng.normal(size=(5, 4)), rng.normal(size=(4, 4))


@wrong("pair", "term-missing")
def gru_reset_gate_path_missing(rng):
    """n = tanh(x Wn + (r h) Un); dh lacks what goes through r."""
    def forward(x, h, Wr, Ur, Wn, Un):
        r = sigmoid(x @ Wr + h @ Ur)
        n = np.tanh(x @ Wn + (r * h) @ Un)
        return n, (x, h, r, n, Wr, Ur, Wn, Un)

    def backward(dout, cache):
        x, h, r, n, Wr, Ur, Wn, Un = cache
        dn = dout * (1 - n * n)
        drh = dn @ Un.T
        dr = drh * h * r * (1 - r)
        return dn @ Wn.T + dr @ Wr.T, drh * r, x.T @ dr, h.T @ dr, x.T @ dn, (r * h).T @ dn

    n = rng.normal
    return forward, backward, n(size=(3, 2)), n(size=(3, 4)), n(size=(2, 4)), n(size=(4, 4)), n(size=(2, 4)), n(size=(4, 4))
