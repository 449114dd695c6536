"""The rectifier with both its passes, and dropout's product: functions of one number, for every element of an array.

Contract, for arrays of any one shape:

    rectify        x -> y           x where x > 0, else slope * x; with slope 0 max(x, 0): relu, otherwise leaky_relu
    rectify_grad   g, x -> gx       g * 1 where x > 0, g * slope where x <= 0, g * 0 where x is not a number
    masked         x, keep -> y     x * scale where `keep`, else x * 0; keep broadcasts against x

The gradient multiplies, it does not select: infinity times 0 is no number, and it says so.  NaN stays NaN.
"""

from tinyvision.backend import array_module

from .registry import kernel


@kernel
def rectify(x, slope=0):
    xp = array_module(x)
    if slope == 0:
        return xp.maximum(x, 0)
    bent = x * slope
    return xp.maximum(x, bent) if slope <= 1 else xp.minimum(x, bent)


@kernel
def rectify_grad(g, x, slope=0):
    # to multiply by 0 or 1 is several times faster than to choose
    if slope == 0:
        return g * (x > 0)
    return g * ((x > 0) + array_module(x).multiply(x <= 0, slope, dtype=x.dtype))


@kernel
def masked(x, keep, scale):
    return x * array_module(x).multiply(keep, scale, dtype=x.dtype)
