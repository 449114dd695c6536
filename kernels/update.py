"""The steps of the optimisers, and of clipping: many arrays at once, element by element.

A network has dozens of small arrays, and one call for each would cost more than the arithmetic.  So these functions take
lists: weights ws, gradients gs, and what is remembered of earlier steps, one array for each weight and of its shape.  They
write into the weights and the memories and nothing else; the first argument is the first of the weights, whose kind decides
which implementation runs.  The formulas stand in tinyvision/optim, letter by letter, with d the slope, defined below.

    sgd         ws, gs, bs                      bs may be None: no momentum
    adam        ws, gs, ms, vs, largest         largest: of amsgrad, or None
    rmsprop     ws, gs, vs, ms, bs              ms, bs: of centered and of momentum, or None
    adagrad     ws, gs, ss
    adadelta    ws, gs, vs, us

    square_sum  arrays -> number                the sum of all squares, added up in float64; on a GPU an array of shape ()
    bound       arrays                          a <- a * factor, then limited to [-limit, limit]; NaN stays; the factor is a
                                                number, or on a GPU an array of shape (): neither is read by the host

Numbers that depend on the count of steps come as lists, too: a weight without a gradient does not count the step.
"""

from math import inf

from tinyvision.backend import array_module, on_device

from .registry import kernel


def slope(w, g, decay, maximize):
    """The gradient of what is minimised: of L, or of -L under maximize, plus decay/2 * |w|^2, whose gradient is decay * w."""
    if not decay:
        return -g if maximize else g
    d = decay * w
    if maximize:
        d -= g
    else:
        d += g
    return d


def each(*lists):
    """Walk through lists of arrays side by side; None stands for a list of Nones."""
    return zip(*[[None] * len(lists[0]) if arrays is None else arrays for arrays in lists])


@kernel
def sgd(first, ws, gs, bs, lr, momentum, dampening, decay, nesterov, maximize):
    for w, g, b in each(ws, gs, bs):
        d = slope(w, g, decay, maximize)
        if b is not None:
            b *= momentum
            b += (1 - dampening) * d if dampening else d
            d = d + momentum * b if nesterov else b
        w -= lr * d


@kernel
def adam(first, ws, gs, ms, vs, largest, steps, lr, betas, eps, decay, decoupled, maximize):
    beta1, beta2 = betas
    for w, g, m, v, top, t in each(ws, gs, ms, vs, largest, steps):
        xp = array_module(w)
        if decoupled and decay:
            w *= 1 - lr * decay
        d = slope(w, g, 0 if decoupled else decay, maximize)
        step = xp.empty_like(w)                           # the only memory that a step needs, used four times
        m *= beta1
        m += xp.multiply(d, 1 - beta1, out=step)
        v *= beta2
        xp.multiply(d, d, out=step)
        step *= 1 - beta2
        v += step
        if top is not None:
            v = xp.maximum(top, v, out=top)
        xp.sqrt(v, out=step)
        step /= (1 - beta2 ** t) ** 0.5
        step += eps
        xp.divide(m, step, out=step)
        step *= lr / (1 - beta1 ** t)
        w -= step


@kernel
def rmsprop(first, ws, gs, vs, ms, bs, lr, alpha, eps, decay, momentum, maximize):
    for w, g, v, m, b in each(ws, gs, vs, ms, bs):
        xp = array_module(w)
        d = slope(w, g, decay, maximize)
        step = xp.empty_like(w)
        v *= alpha
        xp.multiply(d, d, out=step)
        step *= 1 - alpha
        v += step
        if m is not None:
            m *= alpha
            m += xp.multiply(d, 1 - alpha, out=step)
            xp.multiply(m, m, out=step)
            xp.subtract(v, step, out=step)
            xp.maximum(step, 0, out=step)
            xp.sqrt(step, out=step)
        else:
            xp.sqrt(v, out=step)
        step += eps
        xp.divide(d, step, out=step)
        if b is not None:
            b *= momentum
            b += step
            step[...] = b
        step *= lr
        w -= step


@kernel
def adagrad(first, ws, gs, ss, rates, eps, decay, maximize):
    for w, g, s, rate in each(ws, gs, ss, rates):
        xp = array_module(w)
        d = slope(w, g, decay, maximize)
        step = xp.empty_like(w)
        s += xp.multiply(d, d, out=step)
        xp.sqrt(s, out=step)
        step += eps
        xp.divide(d, step, out=step)
        step *= rate
        w -= step


@kernel
def adadelta(first, ws, gs, vs, us, lr, rho, eps, decay, maximize):
    for w, g, v, u in each(ws, gs, vs, us):
        xp = array_module(w)
        d = slope(w, g, decay, maximize)
        x, scratch = xp.empty_like(w), xp.empty_like(w)
        v *= rho
        xp.multiply(d, d, out=x)
        x *= 1 - rho
        v += x
        xp.sqrt(xp.add(u, eps, out=x), out=x)
        x /= xp.sqrt(xp.add(v, eps, out=scratch), out=scratch)
        x *= d
        u *= rho
        xp.multiply(x, x, out=scratch)
        scratch *= 1 - rho
        u += scratch
        x *= lr
        w -= x


@kernel
def square_sum(first, arrays):
    total = 0.0
    for a in arrays:
        b = a.astype("float64")                           # where squares do not overflow
        share = (b * b).sum()
        total = total + (share if on_device(share) else float(share))
    return total


@kernel
def bound(first, arrays, factor, limit=inf):
    for a in arrays:
        if on_device(factor):
            a *= factor.astype(a.dtype)
        elif factor != 1:
            a *= a.dtype.type(factor)
        if limit < inf:
            array_module(a).clip(a, -limit, limit, out=a)
