"""Wrong homework: linear layers and arithmetic."""

import numpy as np

from tests.gradcheck.layers import wrong
from tests.gradcheck.layers.homework.parts import affine_forward


@wrong("pair", "constant-factor")
def affine_bias_gradient_averaged(rng):
    """db is the mean of dout over the batch, not the sum."""
    def backward(dout, cache):
        x, w, b = cache
        dx = dout.dot(w.T).reshape(x.shape)
        dw = x.reshape(x.shape[0], -1).T.dot(dout)
        db = np.mean(dout, axis=0)
        return dx, dw, db

    return affine_forward, backward, rng.normal(size=(5, 2, 3)), rng.normal(size=(6, 4)), rng.normal(size=4)


@wrong("pair", "transposed")
def affine_square_weight_not_transposed(rng):
    """dx multiplies with w instead of w.T; w is square, so the shape fits."""
    def backward(dout, cache):
        x, w, b = cache
        return dout @ w, x.T @ dout, dout.sum(axis=0)

    return affine_forward, backward, rng.normal(size=(7, 5)), rng.normal(size=(5, 5)), rng.normal(size=5)


@wrong("pair", "missing-sum")
def affine_bias_not_summed(rng):
    """db is dout itself, the sum over the batch is forgotten."""
    def forward(x, w, b):
        return x @ w + b

    def backward(dout, x, w, b):
        return dout @ w.T, x.T @ dout, dout

    return forward, backward, rng.normal(size=(6, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


@wrong("pair", "wrong-shape")
def affine_bias_keepdims(rng):
    """db keeps the summed axis, shape (1, M) for a bias of shape (M,)."""
    def backward(dout, cache):
        x, w, b = cache
        return dout @ w.T, x.T @ dout, np.sum(dout, axis=0, keepdims=True)

    return affine_forward, backward, rng.normal(size=(6, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


@wrong("object", "wrong-axis")
def affine_bias_summed_over_features(rng):
    """db sums over the features (axis 1); batch and width are equal, so the shape fits."""
    class Affine:
        def __init__(self, W, b):
            self.W, self.b = W, b
            self.x = self.dW = self.db = None

        def forward(self, x):
            self.x = x
            return np.dot(x, self.W) + self.b

        def backward(self, dout):
            self.dW = np.dot(self.x.T, dout)
            self.db = np.sum(dout, axis=1)
            return np.dot(dout, self.W.T)

    return Affine(rng.normal(size=(3, 5)), rng.normal(size=5)), rng.normal(size=(5, 3))


@wrong("pair", "missing-gradient")
def affine_none_for_bias(rng):
    """None is returned for the bias."""
    def backward(dout, cache):
        x, w, b = cache
        return dout @ w.T, x.T @ dout, None

    return affine_forward, backward, rng.normal(size=(6, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


@wrong("object", "zero-gradient")
def affine_weight_gradient_never_stored(rng):
    """dW is computed into a local variable and never stored in grads."""
    class Dense:
        def __init__(self, n_in, n_out):
            self.params = {"W": rng.normal(size=(n_in, n_out)), "b": rng.normal(size=n_out)}
            self.grads = {"W": np.zeros((n_in, n_out)), "b": np.zeros(n_out)}

        def forward(self, x):
            self.x = x
            return x @ self.params["W"] + self.params["b"]

        def backward(self, dout):
            dW = self.x.T @ dout
            self.grads["b"] = dout.sum(0)
            return dout @ self.params["W"].T

    return Dense(4, 3), rng.normal(size=(6, 4))


@wrong("object", "missing-gradient")
def affine_bias_absent_from_grads(rng):
    """grads has no entry for b."""
    class Dense:
        def __init__(self, n_in, n_out):
            self.params = {"W": rng.normal(size=(n_in, n_out)), "b": rng.normal(size=n_out)}
            self.grads = {}

        def forward(self, x):
            self.x = x
            return x @ self.params["W"] + self.params["b"]

        def backward(self, dout):
            self.grads["W"] = self.x.T @ dout
            return dout @ self.params["W"].T

    return Dense(4, 3), rng.normal(size=(6, 4))


@wrong("pair", "extra-term")
def affine_weight_decay_in_backward(rng):
    """Weight decay is added to dw inside the layer; it does not come from the upstream."""
    def backward(dout, cache):
        x, w, b = cache
        return dout @ w.T, x.T @ dout + 0.01 * w, dout.sum(0)

    return affine_forward, backward, rng.normal(size=(6, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


@wrong("pair", "batch-only", "term-missing", "overwritten")
def affine_outer_product_of_first_sample(rng):
    """dw is the outer product of the first sample only."""
    def backward(dout, cache):
        x, w, b = cache
        return dout @ w.T, np.outer(x[0], dout[0]), dout.sum(axis=0)

    return affine_forward, backward, rng.normal(size=(6, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


@wrong("pair", "error")
def affine_backward_raises(rng):
    """The product in dw has mismatching shapes and raises."""
    def backward(dout, cache):
        x, w, b = cache
        return dout @ w.T, x @ dout, dout.sum(axis=0)

    return affine_forward, backward, rng.normal(size=(6, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


@wrong("object", "precision-lost")
def affine_float32_weight_gradient(rng):
    """dW is computed in float32."""
    class Affine:
        def __init__(self, W, b):
            self.params, self.grads = [W, b], [np.zeros_like(W), np.zeros_like(b)]

        def forward(self, x):
            self.x = x
            return x @ self.params[0] + self.params[1]

        def backward(self, dout):
            self.grads[0][...] = self.x.T.astype(np.float32) @ dout.astype(np.float32)
            self.grads[1][...] = dout.sum(0)
            return dout @ self.params[0].T

    return Affine(rng.normal(size=(4, 3)), rng.normal(size=3)), rng.normal(size=(6, 4))


@wrong("object", "modified-in-place")
def affine_updates_itself_in_backward(rng):
    """Backward already takes a step of gradient descent and changes W and b."""
    class Layer:
        lr = 0.1

        def __init__(self, W, b):
            self.params = {"W": W, "b": b}
            self.grads = {}

        def forward(self, x):
            self.x = x
            return x @ self.params["W"] + self.params["b"]

        def backward(self, dout):
            self.grads = {"W": self.x.T @ dout, "b": dout.sum(axis=0)}
            dx = dout @ self.params["W"].T
            for key in self.params:
                self.params[key] -= self.lr * self.grads[key]
            return dx

    return Layer(rng.normal(size=(4, 3)), rng.normal(size=3)), rng.normal(size=(6, 4))


@wrong("pair", "nonlinear-upstream")
def affine_gradient_norm_limited(rng):
    """dw is rescaled to norm 1 when it is longer: no longer linear in the upstream."""
    def backward(dout, cache):
        x, w, b = cache
        dw = x.T @ dout
        norm = np.sqrt(np.sum(dw ** 2))
        if norm > 1:
            dw = dw / norm
        return dout @ w.T, dw, dout.sum(axis=0)

    return affine_forward, backward, rng.normal(size=(6, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


@wrong("pair", "constant-factor")
def affine_tiny_weights_factor_two(rng):
    """dx is twice too large, but only about 1e-6 in size."""
    def backward(dout, cache):
        x, w, b = cache
        return 2 * dout @ w.T, x.T @ dout, dout.sum(axis=0)

    return affine_forward, backward, rng.normal(size=(6, 4)), 1e-6 * rng.normal(size=(4, 3)), rng.normal(size=3)


@wrong("pair", "constant-factor", costly=True)
def large_affine_one_percent(rng):
    """dx of a wide layer (10 000 inputs) is 1 % too large."""
    def forward(x, w):
        return x @ w, (x, w)

    def backward(dout, cache):
        x, w = cache
        return 1.01 * (dout @ w.T), x.T @ dout

    return forward, backward, rng.normal(size=(100, 100)), rng.normal(size=(100, 5))


@wrong("pair", "swapped-gradients")
def multiply_gradients_swapped(rng):
    """The gradient of each factor is dout times itself instead of times the other."""
    def forward(a, b):
        return a * b

    def backward(dout, a, b):
        return dout * a, dout * b

    return forward, backward, rng.normal(size=(4, 6)), rng.normal(size=(4, 6))


@wrong("pair", "constant-factor")
def subtract_sign_forgotten(rng):
    """The subtrahend gets +dout."""
    def forward(a, b):
        return a - b, (a.shape, b.shape)

    def backward(dout, cache):
        return dout, dout.copy()

    return forward, backward, rng.normal(size=(4, 6)), rng.normal(size=(4, 6))


@wrong("pair", "factor-per-axis", "local-derivative-missing")
def channel_scale_forgotten(rng):
    """The scale of each channel is forgotten in dx."""
    def forward(x, scale):
        return x * scale[None, :, None, None], (x, scale)

    def backward(dout, cache):
        x, scale = cache
        return dout.copy(), (dout * x).sum(axis=(0, 2, 3))

    return forward, backward, rng.normal(size=(2, 4, 3, 3)), np.array([0.5, -1.5, 2.0, 3.0]) + 0.1 * rng.random(4)


@wrong("pair", "missing-sum")
def channel_bias_summed_over_batch_only(rng):
    """The bias of the channels is summed over the batch only, shape (C, H, W)."""
    def forward(x, b):
        return x + b[:, None, None], None

    def backward(dout, cache):
        return dout, dout.sum(axis=0)

    return forward, backward, rng.normal(size=(2, 3, 4, 4)), rng.normal(size=3)


@wrong("pair", "precision-lost")
def matmul_float32_output(rng):
    """Forward writes into a float32 array, so the output has seven digits."""
    def forward(x, w):
        out = np.zeros((x.shape[0], w.shape[1]), dtype=np.float32)
        out[...] = x @ w
        return out, (x, w)

    def backward(dout, cache):
        x, w = cache
        return dout @ w.T, x.T @ dout

    return forward, backward, rng.normal(size=(5, 4)), rng.normal(size=(4, 3))


@wrong("pair", "term-missing")
def quadratic_form_one_side(rng):
    """y_n = x_n' A x_n; dx = A x only, without A' x."""
    def forward(x, A):
        return np.einsum("ni,ij,nj->n", x, A, x), (x, A)

    def backward(dout, cache):
        x, A = cache
        return dout[:, None] * (x @ A.T), np.einsum("n,ni,nj->ij", dout, x, x)

    return forward, backward, rng.normal(size=(4, 3)), rng.normal(size=(3, 3))
