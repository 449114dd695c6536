"""Exercise 1, the linear layer: out = x @ w + b.  Write linear_backward.

Letters: N examples, D features in, M features out.
"""

import numpy as np


def linear_forward(x, w, b):
    """Every example times the weights, plus the bias.

    x (N, D), w (D, M), b (M,)  ->  out (N, M)
    cache: (x, w), what linear_backward needs
    """
    out = x @ w + b                                       # b is repeated for every example
    return out, (x, w)


def linear_backward(dout, cache):
    """The gradients of the loss with respect to x, w and b.

    dout   (N, M), the gradient of the loss with respect to out
    cache  (x, w), as linear_forward left it
    returns dx (N, D), dw (D, M), db (M,)

    Hints
    - Element by element, out[n, m] = sum over d of x[n, d] w[d, m], plus b[m].  Which elements of out does x[n, d] reach, and
      with what factor?  Its gradient is the sum of dout over those, each times its factor.
    - A gradient has the shape of its input.  Write the shapes below the matrices, and few products are left to choose from.
    - One b[m] serves all N examples, so it hears from all of them.
    """
    x, w = cache
    raise NotImplementedError("linear_backward: to be written by you.")


if __name__ == "__main__":                                # python linear.py
    from tinyvision.gradcheck import check_pair

    rng = np.random.default_rng(0)
    print(check_pair(linear_forward, linear_backward, rng.normal(size=(4, 3)), rng.normal(size=(3, 5)), rng.normal(size=5)))
