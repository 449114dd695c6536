"""Recurrent cells: one step of a network that reads a sequence, input x_t and state h in, new state h' out.

With W_i (gates H, I) and W_h (gates H, H) stacked from the matrices of the gates, s the logistic function and . element by element:

    RNNCell     h' = tanh(W_i x + b_i + W_h h + b_h)                                      or relu

    GRUCell     r = s(W_ir x + b_ir + W_hr h + b_hr)          how much of h the candidate n sees
                z = s(W_iz x + b_iz + W_hz h + b_hz)          how much of h is kept
                n = tanh(W_in x + b_in + r . (W_hn h + b_hn))
                h' = (1 - z) . n + z . h

    LSTMCell    i, f, o = s(W_i x + b_i + W_h h + b_h)        what is written, kept and shown
                g = tanh(W_ig x + b_ig + W_hg h + b_hg)
                c' = f . c + i . g
                h' = o . tanh(c')

Along c the gradient is dL/dc = dL/dc' . f + ...: a gate that stays open lets it pass unchanged through any number of steps, as
the sum of a residual block does through layers.  A sequence is a loop over its steps; backward() then goes back through all of
them.  Weights and biases start uniform in +-1/sqrt(H).

Sources: Elman 1990; Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735, and Gers et al. 2000 (the gate f); Cho et
al. 2014, arXiv:1406.1078.  Names, order of the gates (r z n; i f g o) and the place of r: torch.nn.GRUCell, torch.nn.LSTMCell.
"""

from math import sqrt

import numpy as np

from .. import functional as F
from ..backend import array_module
from ..ops.movement import split
from ..ops.shapes import check_array, check_choice
from ..tensor import Parameter, Tensor, raw
from . import init
from .checks import flag, whole
from .module import Module


class Cell(Module):
    """What the cells share: two weights, two biases, and the checks of x and h."""

    gates = 1

    def __init__(self, input_size, hidden_size, bias=True):
        name = type(self).__name__
        whole(name, input_size=input_size, hidden_size=hidden_size)
        flag(name, bias=bias)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self.gates * hidden_size
        self.weight_ih = Parameter(np.empty((rows, input_size), np.float32))
        self.weight_hh = Parameter(np.empty((rows, hidden_size), np.float32))
        self.register_parameter("bias_ih", Parameter(np.empty(rows, np.float32)) if bias else None)
        self.register_parameter("bias_hh", Parameter(np.empty(rows, np.float32)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Draw weights and biases anew."""
        bound = 1 / sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def check_input(self, input):
        name = type(self).__name__
        check_array(name, input=input)
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(f"{name}: input must be (N, {self.input_size}), or ({self.input_size},) for a single one, got shape "
                             f"{input.shape}. A cell takes one step: of a sequence (N, T, I) pass x[:, t].")

    def state(self, name, state, input):
        """h or c for this input: as given, or zeros."""
        shape = (*input.shape[:-1], self.hidden_size)
        if state is None:
            x = raw(input)
            return Tensor(array_module(x).zeros(shape, x.dtype))
        check_array(type(self).__name__, **{name: state})
        if state.shape != shape:
            raise ValueError(f"{type(self).__name__}: {name} must be {shape} for input {input.shape} and hidden_size="
                             f"{self.hidden_size}, got shape {state.shape}.")
        return state

    def products(self, input, h):
        """W_i x + b_i and W_h h + b_h, both (..., gates H)."""
        return F.linear(input, self.weight_ih, self.bias_ih), F.linear(h, self.weight_hh, self.bias_hh)

    def extra_repr(self):
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(Cell):
    """A step of the simplest recurrent network: h' = tanh(W_i x + b_i + W_h h + b_h) (torch.nn.RNNCell).

    Shapes: input (N, I) or (I,), hx (N, H) or (H,), None for zeros -> (N, H) or (H,).
    nonlinearity: 'tanh' or 'relu'.
    Raises ValueError for sizes below 1, another nonlinearity, and inputs and states of other shapes.

    >>> cell = RNNCell(3, 5)
    >>> cell(Tensor(np.ones((2, 3), "float32"))).shape
    (2, 5)
    """

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh"):
        check_choice("RNNCell", "nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(input_size, hidden_size, bias)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        self.check_input(input)
        x, h = self.products(input, self.state("hx", hx, input))
        return F.tanh(x + h) if self.nonlinearity == "tanh" else F.relu(x + h)

    def extra_repr(self):
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class GRUCell(Cell):
    """A step of a gated recurrent unit, which keeps z of its state and writes 1 - z anew (torch.nn.GRUCell).

    Shapes: input (N, I) or (I,), hx (N, H) or (H,), None for zeros -> (N, H) or (H,).
            weight_ih (3 H, I), weight_hh (3 H, H), biases (3 H,), the gates in the order r, z, n.
    Raises ValueError for sizes below 1, and inputs and states of other shapes.

    >>> cell, h = GRUCell(3, 5), None
    >>> for x in np.ones((7, 2, 3), "float32"):           # a sequence of 7 steps, a batch of 2
    ...     h = cell(Tensor(x), h)
    >>> h.shape
    (2, 5)
    """

    gates = 3

    def forward(self, input, hx=None):
        self.check_input(input)
        h = self.state("hx", hx, input)
        (xr, xz, xn), (hr, hz, hn) = [split(y, 3, axis=-1) for y in self.products(input, h)]
        z = F.sigmoid(xz + hz)
        n = F.tanh(xn + F.sigmoid(xr + hr) * hn)
        return n + z * (h - n)


class LSTMCell(Cell):
    """A step of long short-term memory: a cell c that is written, kept and shown through gates (torch.nn.LSTMCell).

    Shapes: input (N, I) or (I,), hx a pair (h, c) of (N, H) or (H,), None for zeros -> the pair (h', c').
            weight_ih (4 H, I), weight_hh (4 H, H), biases (4 H,), the gates in the order i, f, g, o.
    Raises ValueError for sizes below 1, and inputs and states of other shapes; TypeError where hx is no pair.

    >>> h, c = LSTMCell(3, 5)(Tensor(np.ones((2, 3), "float32")))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    gates = 4

    def forward(self, input, hx=None):
        self.check_input(input)
        if hx is not None and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise TypeError(f"LSTMCell: hx must be a pair (h, c), got {type(hx).__name__}. The cell returns such a pair.")
        h, c = (self.state(name, s, input) for name, s in zip(("h", "c"), (None, None) if hx is None else hx))
        x, y = self.products(input, h)
        i, f, g, o = split(x + y, 4, axis=-1)
        c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
        return F.sigmoid(o) * F.tanh(c), c
