"""Numeric derivatives: the definition of a derivative as a witness against a hand-written backward.

For y = f(x) and an upstream gradient u, backward must return the derivative of the number L(x) = <u, f(x)>.  Moving one
element by h and by 2h to either side gives it to fourth order (the h^2 terms of the Taylor series cancel):

    dL/dx_i  =  (8 (L(+h) - L(-h)) - (L(+2h) - L(-2h))) / (12 h)  +  O(h^4)

With h = 1e-4 times the element's scale the truncation error is near 1e-16 and the rounding error near 1e-12, in float64.

Source: Fornberg 1988, Generation of finite difference formulas on arbitrarily spaced grids.
"""

import numpy as np


def numeric_gradient(f, arrays, which, upstream, step=1e-4):
    """d<upstream, f(*arrays)>/d(arrays[which]), element by element; f takes and returns float64 arrays."""
    x = np.array(arrays[which])
    gradient = np.zeros_like(x)

    def at(position, value):
        x[position] = value
        y = f(*arrays[:which], x, *arrays[which + 1:])
        return float((upstream * y).sum())

    for position in np.ndindex(x.shape):
        old = x[position].item()
        h = step * max(1.0, abs(old))
        slope = 8 * (at(position, old + h) - at(position, old - h)) - (at(position, old + 2 * h) - at(position, old - 2 * h))
        gradient[position] = slope / (12 * h)
        x[position] = old
    return gradient
