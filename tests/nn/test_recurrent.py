"""Recurrent cells: PyTorch with the same weights, the equations by hand, central differences, and what the gates promise."""

import numpy as np
import pytest

from tinyvision import Tensor, nn, no_grad, stack
from tinyvision.gradcheck import check_module, gradcheck

CELLS = [("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"}), ("RNNCell", {"bias": False}), ("GRUCell", {}),
         ("GRUCell", {"bias": False}), ("LSTMCell", {}), ("LSTMCell", {"bias": False})]
IDS = [f"{name}-{kwargs}" for name, kwargs in CELLS]


def drawn(cell, seed=0):
    """The cell in float64 with normal weights."""
    rng = np.random.default_rng(seed)
    for p in cell.double().parameters():
        p.data = rng.normal(size=p.shape)
    return cell


def unrolled(cell, xs, hx=None, lstm=False):
    """The outputs h of all steps."""
    found = []
    for x in xs:
        hx = cell(x, hx)
        found.append(hx[0] if lstm else hx)
    return found


@pytest.mark.parametrize("given", [True, False], ids=["state", "zeros"])
@pytest.mark.parametrize("single", [True, False], ids=["(I,)", "(N, I)"])
@pytest.mark.parametrize("name, kwargs", CELLS, ids=IDS)
def test_cell_is_pytorchs(name, kwargs, single, given):
    """Four steps, the state fed back: outputs, and gradients of inputs, first state and weights."""
    torch = pytest.importorskip("torch")
    ours, theirs = drawn(getattr(nn, name)(3, 5, **kwargs)), getattr(torch.nn, name)(3, 5, **kwargs).double()
    assert [key for key, _ in ours.named_parameters()] == [key for key, _ in theirs.named_parameters()]
    theirs.load_state_dict({key: torch.tensor(value.numpy()) for key, value in ours.state_dict().items()})
    rng, rows, lstm = np.random.default_rng(1), () if single else (2,), name == "LSTMCell"
    xs = [rng.normal(size=(*rows, 3)) for _ in range(4)]
    hs = [rng.normal(size=(*rows, 5)) for _ in range(2)]
    g = rng.normal(size=(4, *rows, 5))

    def run(make, cell, join):
        inputs, states = [make(x) for x in xs], [make(h) for h in hs]
        hx = (tuple(states) if lstm else states[0]) if given else None
        y = join(unrolled(cell, inputs, hx, lstm))
        return inputs + (states[:1 + lstm] if given else []) + list(cell.parameters()), y

    mine, y = run(lambda a: Tensor(a, requires_grad=True), ours, stack)
    other, t = run(lambda a: torch.tensor(a, requires_grad=True), theirs, torch.stack)
    np.testing.assert_allclose(y.data, t.detach().numpy(), rtol=1e-10)
    y.backward(g), t.backward(torch.tensor(g))
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-9, atol=1e-12)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_lstm_by_hand():
    """The equations at the head of the file, gate by gate."""
    cell, rng = drawn(nn.LSTMCell(2, 3)), np.random.default_rng(2)
    x, h, c = rng.normal(size=(4, 2)), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    w, u, a, b = (p.numpy() for p in cell.parameters())
    i, f, g, o = (x @ w[3 * k:3 * k + 3].T + a[3 * k:3 * k + 3] + h @ u[3 * k:3 * k + 3].T + b[3 * k:3 * k + 3] for k in range(4))
    after = logistic(f) * c + logistic(i) * np.tanh(g)
    shown, kept = cell(Tensor(x), (Tensor(h), Tensor(c)))
    np.testing.assert_allclose(kept.data, after, rtol=1e-12)
    np.testing.assert_allclose(shown.data, logistic(o) * np.tanh(after), rtol=1e-12)


def test_gru_by_hand():
    cell, rng = drawn(nn.GRUCell(2, 3)), np.random.default_rng(3)
    x, h = rng.normal(size=(4, 2)), rng.normal(size=(4, 3))
    w, u, a, b = (p.numpy() for p in cell.parameters())
    (xr, xz, xn), (hr, hz, hn) = (np.split(y, 3, axis=1) for y in (x @ w.T + a, h @ u.T + b))
    r, z = logistic(xr + hr), logistic(xz + hz)
    n = np.tanh(xn + r * hn)
    np.testing.assert_allclose(cell(Tensor(x), Tensor(h)).data, (1 - z) * n + z * h, rtol=1e-12)


@pytest.mark.parametrize("name, kwargs", CELLS, ids=IDS)
def test_gradients_of_cells(name, kwargs):
    """First and second order, every weight, input and state."""
    rng, lstm = np.random.default_rng(4), name == "LSTMCell"
    cell = getattr(nn, name)(2, 3, **kwargs)
    if lstm:
        drawn(cell)
        x, h, c = rng.normal(size=(2, 2)), rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
        assert gradcheck(lambda x, h, c: cell(x, (h, c)), x, h, c, order=2)
        assert check_module(cell, rng.normal(size=(2, 2)), order=2)
    else:
        assert check_module(cell, rng.normal(size=(2, 2)), rng.normal(size=(2, 3)), order=2)


def test_open_gate_keeps_the_gradient():
    """A forget gate of 1 and an input gate of 0 carry c and its gradient through 200 steps; a tanh forgets both."""
    lstm, rnn = nn.LSTMCell(1, 1).double(), nn.RNNCell(1, 1).double()
    with no_grad():
        for p in [*lstm.parameters(), *rnn.parameters()]:
            p[...] = 0
        lstm.bias_ih[...] = [-40, 40, 0, 40]
        rnn.weight_hh[...] = 0.9
    x, c, h = Tensor([[0.0]], dtype="float64"), Tensor([[0.7]], dtype="float64", requires_grad=True), Tensor(
        [[0.7]], dtype="float64", requires_grad=True)
    state, hidden = (Tensor([[0.0]], dtype="float64"), c), h
    for _ in range(200):
        state, hidden = lstm(x, state), rnn(x, hidden)
    state[1].backward([[1.0]]), hidden.backward([[1.0]])
    assert state[1].item() == pytest.approx(0.7, abs=1e-12) and c.grad.item() == pytest.approx(1.0, abs=1e-12)
    assert abs(h.grad.item()) < 1e-9


def test_first_weights_are_within_the_bound():
    """Uniform in +-1/sqrt(H): the variance is a third of the bound's square."""
    cell = nn.GRUCell(50, 64)
    for p in cell.parameters():
        w = p.numpy()
        assert np.abs(w).max() <= 1 / 8 and w.var() == pytest.approx(1 / 64 / 3, rel=0.25)
    with no_grad():
        before = cell.weight_ih.numpy().copy()
    cell.reset_parameters()
    assert not np.array_equal(before, cell.weight_ih.numpy())


@pytest.mark.parametrize("name, gates", [("RNNCell", 1), ("GRUCell", 3), ("LSTMCell", 4)])
def test_cost_of_cells(name, gates):
    """Every gate multiplies a matrix with the input and one with the state."""
    summary = getattr(nn, name)(7, 5).summary((2, 7))
    assert summary.macs == 2 * gates * (5 * 7 + 5 * 5) and summary.parameters == gates * (5 * 7 + 5 * 5 + 2 * 5)


def test_state_takes_the_inputs_dtype():
    assert nn.GRUCell(2, 3).double()(Tensor(np.ones((1, 2)))).dtype == np.float64


@pytest.mark.parametrize("error, words, call", [
    (ValueError, "GRUCell: hidden_size must be at least 1, got 0", lambda: nn.GRUCell(2, 0)),
    (TypeError, "LSTMCell: bias must be True or False", lambda: nn.LSTMCell(2, 3, bias=1)),
    (ValueError, "RNNCell: nonlinearity must be one of 'tanh', 'relu', got 'sigmoid'",
     lambda: nn.RNNCell(2, 3, nonlinearity="sigmoid")),
    (ValueError, r"GRUCell: input must be \(N, 2\).*got shape \(1, 4, 2\).*one step", lambda: nn.GRUCell(2, 3)(zeros(1, 4, 2))),
    (ValueError, r"GRUCell: hx must be \(4, 3\).*got shape \(1, 3\)", lambda: nn.GRUCell(2, 3)(zeros(4, 2), zeros(1, 3))),
    (ValueError, r"LSTMCell: c must be \(4, 3\).*got shape \(4, 2\)",
     lambda: nn.LSTMCell(2, 3)(zeros(4, 2), (zeros(4, 3), zeros(4, 2)))),
    (TypeError, r"LSTMCell: hx must be a pair \(h, c\), got Tensor", lambda: nn.LSTMCell(2, 3)(zeros(4, 2), zeros(4, 3))),
])
def test_cells_refuse(error, words, call):
    with pytest.raises(error, match=words):
        call()


def zeros(*shape):
    return Tensor(np.zeros(shape, np.float32))
