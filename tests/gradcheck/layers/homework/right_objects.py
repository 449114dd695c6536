"""Right homework as objects that keep parameters, gradients and caches in many ways."""

import numpy as np

from tests.gradcheck.layers import right
from tests.gradcheck.layers.homework.parts import softmax, stable_sigmoid


@right("object")
def affine_object_attributes(rng):
    """Affine with attributes W, b, dW, db that keeps the shape of a 4-D input."""
    class Affine:
        def __init__(self, W, b):
            self.W, self.b = W, b
            self.x = self.original_x_shape = self.dW = self.db = None

        def forward(self, x):
            self.original_x_shape = x.shape
            self.x = x.reshape(x.shape[0], -1)
            return np.dot(self.x, self.W) + self.b

        def backward(self, dout):
            dx = np.dot(dout, self.W.T)
            self.dW, self.db = np.dot(self.x.T, dout), np.sum(dout, axis=0)
            return dx.reshape(*self.original_x_shape)

    return Affine(rng.normal(size=(6, 3)), rng.normal(size=3)), rng.normal(size=(4, 2, 3))


@right("object")
def affine_object_lists(rng):
    """Params and grads as lists, grads filled in place."""
    class Affine:
        def __init__(self, W, b):
            self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

        def forward(self, x):
            W, b = self.params
            self.x = x
            return np.matmul(x, W) + b

        def backward(self, dout):
            W, b = self.params
            self.grads[0][...] = np.matmul(self.x.T, dout)
            self.grads[1][...] = np.sum(dout, axis=0)
            return np.matmul(dout, W.T)

    return Affine(rng.normal(size=(4, 3)), rng.normal(size=3)), rng.normal(size=(5, 4))


@right("object")
def affine_object_dicts(rng):
    """Params and grads as dicts, grads replaced."""
    class Dense:
        def __init__(self, n_in, n_out):
            self.params = {"W": rng.normal(size=(n_in, n_out)), "b": rng.normal(size=(1, n_out))}
            self.grads = {}

        def forward(self, x):
            self.x = x
            return x @ self.params["W"] + self.params["b"]

        def backward(self, dout):
            self.grads = {"b": dout.sum(axis=0, keepdims=True), "W": self.x.T @ dout}
            return dout @ self.params["W"].T

    return Dense(4, 3), rng.normal(size=(5, 4))


@right("object")
def affine_object_accumulates(rng):
    """grads are accumulated over calls and cleared by zero_grad."""
    class Linear:
        def __init__(self, W, b):
            self.params = {"W": W, "b": b}
            self.zero_grad()

        def zero_grad(self):
            self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}

        def forward(self, x):
            self.x = x
            return x @ self.params["W"] + self.params["b"]

        def backward(self, dout):
            self.grads["W"] += self.x.T @ dout
            self.grads["b"] += dout.sum(axis=0)
            return dout @ self.params["W"].T

    return Linear(rng.normal(size=(4, 3)), rng.normal(size=3)), rng.normal(size=(5, 4))


@right("object")
def scale_object_accumulates_in_list(rng):
    """List grads accumulate and nothing ever clears them."""
    class Scale:
        def __init__(self, gamma):
            self.params, self.grads = [gamma], [np.zeros_like(gamma)]

        def forward(self, x):
            self.x = x
            return x * self.params[0]

        def backward(self, dout):
            self.grads[0] += (dout * self.x).sum(axis=0)
            return dout * self.params[0]

    return Scale(rng.normal(size=4)), rng.normal(size=(5, 4))


@right("object")
def tanh_object_once(rng):
    """Backward frees its cache and can be called only once for each forward."""
    class Tanh:
        y = None

        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, dout):
            if self.y is None:
                raise RuntimeError("backward without forward")
            dx = dout * (1 - self.y ** 2)
            self.y = None
            return dx

    return Tanh(), rng.normal(size=(4, 5))


@right("object")
def sigmoid_object_stack(rng):
    """Caches lie on a stack: each backward pops that of the last forward."""
    class Sigmoid:
        def __init__(self):
            self.stack = []

        def forward(self, x):
            self.stack.append(stable_sigmoid(x))
            return self.stack[-1]

        def backward(self, dout):
            y = self.stack.pop()
            return dout * y * (1.0 - y)

    return Sigmoid(), rng.normal(size=(4, 5))


@right("object")
def square_object_with_history(rng):
    """The layer keeps a call counter and a history of losses."""
    class Square:
        def __init__(self):
            self.calls, self.history = 0, []

        def forward(self, x):
            self.calls += 1
            self.x = x
            out = 0.5 * x ** 2
            self.history.append(float(out.sum()))
            return out

        def backward(self, dout):
            return dout * self.x

    return Square(), rng.normal(size=(4, 5))


@right("object")
def multiply_object(rng):
    """A layer of two inputs returns two gradients."""
    class MulLayer:
        def __init__(self):
            self.x = self.y = None

        def forward(self, x, y):
            self.x, self.y = x, y
            return x * y

        def backward(self, dout):
            return dout * self.y, dout * self.x

    return MulLayer(), rng.normal(size=(4, 5)), rng.normal(size=(4, 5))


@right("object")
def softmax_with_loss_object(rng):
    """Softmax with cross entropy: forward(x, t) gives the loss, backward(dout=1) uses dout."""
    class SoftmaxWithLoss:
        def __init__(self):
            self.params, self.grads = [], []
            self.loss = self.y = self.t = None

        def forward(self, x, t):
            self.t, self.y = t, softmax(x)
            self.loss = -np.mean(np.log(self.y[np.arange(len(t)), t]))
            return self.loss

        def backward(self, dout=1):
            dx = self.y.copy()
            dx[np.arange(len(self.t)), self.t] -= 1
            return dx * (dout / len(self.t))

    return SoftmaxWithLoss(), rng.normal(size=(5, 4)), rng.integers(0, 4, size=5)


@right("object")
def rnn_cell_object(rng):
    """A recurrent cell that keeps its hidden state from the constructor."""
    class RNNCell:
        def __init__(self, Wx, Wh, b, h):
            self.params = [Wx, Wh, b]
            self.grads = [np.zeros_like(p) for p in self.params]
            self.h = h

        def forward(self, x):
            Wx, Wh, b = self.params
            out = np.tanh(x @ Wx + self.h @ Wh + b)
            self.cache = (x, out)
            return out

        def backward(self, dout):
            x, out = self.cache
            dz = dout * (1 - out ** 2)
            self.grads[0][...] = x.T @ dz
            self.grads[1][...] = self.h.T @ dz
            self.grads[2][...] = dz.sum(axis=0)
            return dz @ self.params[0].T

    return (RNNCell(rng.normal(size=(3, 4)), 0.5 * rng.normal(size=(4, 4)), rng.normal(size=4),
                    rng.normal(size=(5, 4))), rng.normal(size=(5, 3)))
