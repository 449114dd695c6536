"""Hypotheses about terms: what is missing, N - A, looks like one path of the function; or an elementwise derivative is a wrong one."""

from itertools import combinations

import numpy as np

from .case import axes_text, figure, quadratic


def path_missing(case):
    """N - A is the upstream gradient, or a multiple of an input: a skip connection, a regulariser."""
    if not case.whole:
        return None
    if case.out_shape == case.shape and case.exam.subject.upstream:
        c = ratio(case.n - case.a, case.u)
        if c and case.explains(case.n - c * case.u):
            sign = "missing" if c > 0 else "too much"
            return ("term-missing" if c > 0 else "extra-term"), (
                f"in the gradient of {case.name} {figure(abs(c))} times the upstream gradient itself is {sign}: the path that "
                f"leads from {case.name} straight to the output (a skip connection).")
    if case.j is not None and case.out_shape == case.shape and case.j.shape[0] == case.j.shape[1]:
        d = case.n - case.a
        share = d / np.where(case.u, case.u, np.inf)      # u through a mask: a shortcut in front of a relu
        on = np.abs(share[0]) > 1e-6 * np.abs(share[0]).max()
        coupled = np.abs(case.j - np.diag(np.diag(case.j))).max() > 1e-6 * np.abs(case.j).max()
        if coupled and 2 < on.sum() and np.ptp(share[:, on]) <= 1e-5 * np.abs(share).max() and case.explains(case.n - share[0] * case.u):
            return "term-missing", (f"in the gradient of {case.name} {figure(share[0][on][0])} times the upstream gradient is "
                                    f"missing wherever the output lets it through: the path that leads from {case.name} "
                                    "straight to the output (a skip connection).")
        if case.explains(case.n - case.u * np.diag(case.j)):
            return "term-missing", (f"in the gradient of {case.name} the direct term is missing: what an element does to its "
                                    "own output. Only its effect through the others is there.")
    x = case.x.ravel()
    if x.any() and np.ptp(x):
        for k in range(len(case.u)):
            c = ratio(case.n[k:k + 1] - case.a[k:k + 1], x[None])
            if not c or np.abs(case.n[k] - case.a[k] - c * x)[case.judged].max() > 1e-5 * np.abs(case.n[k] - case.a[k]).max():
                return None
        if c < 0:
            return "extra-term", (f"in the gradient of {case.name} {figure(-c)} times {case.name} itself is too much: a "
                                  "penalty (weight decay) that the loss does not have.")
        return "term-missing", (f"what is missing in the gradient of {case.name} is {figure(c)} times {case.name} itself: the "
                                "term of a squared penalty (weight decay: d/dw of r w^2 is 2 r w), or of another path that is "
                                "proportional to it.")
    return None


def ratio(d, z):
    """c with d = c z in the least-squares sense."""
    weight = (z * z).sum()
    return float((d * z).sum() / weight) if weight else 0.0


def statistics_missing(case):
    """N - A is, along some axes, constant or a multiple of the input or output: the path through a mean, a variance, a sum."""
    if not case.whole or not case.shape:
        return None
    d = (case.n - case.a).reshape(len(case.a), *case.shape)
    n = len(case.shape)
    candidates = [("itself", None), (f"{case.name}", case.x), (f"exp({case.name})", np.exp(case.x - case.x.max()))]
    if n > 1:
        candidates.append((f"softmax({case.name})", softmax(case.x)))
    if case.out_shape == case.shape:
        candidates.append(("the output", case.exam.y0.reshape(case.shape)))
    for _, name, other in case.others():
        if other.shape == case.shape:
            candidates += [(name, other), (f"{case.name} - {name}", case.x - other)]
    for count in range(n, 0, -1):
        for axes in combinations(range(n), count):
            if all(case.shape[a] == 1 for a in axes) or np.prod([case.shape[a] for a in axes]) < 3:
                continue
            found = along(case, d, axes, candidates)
            if found:
                return found
    return None


def softmax(x):
    """Along axis 1, where classes are."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def along(case, d, axes, candidates):
    """The same along one set of axes: which combination of a constant and the candidates D is there."""
    over = tuple(a + 1 for a in axes)
    constant = np.broadcast_to(d.mean(axis=over, keepdims=True), d.shape)
    if fits(case, d, constant):
        return "term-missing", (f"what is missing in the gradient of {case.name} is the same for all elements along "
                                f"{axes_text(axes)}: the term that goes through their mean (or sum). A mean depends on every "
                                "element, so its derivative belongs in backward.")
    for name, z in candidates[1:]:
        if fits(case, d, project(d, z[None], over)):
            return "term-missing", (f"what is missing in the gradient of {case.name} is a multiple of {name} along "
                                    f"{axes_text(axes)}: the term that goes through a sum of squares, a norm, a variance or a "
                                    "softmax's sum.")
    for name, z in candidates[1:]:
        centred = z - z.mean(axis=axes, keepdims=True)
        if fits(case, d, project(d, centred[None], over)):
            return "term-missing", (f"what is missing in the gradient of {case.name} is a multiple of {name} minus its mean "
                                    f"along {axes_text(axes)}: the term that goes through the variance.")
        if fits(case, d, constant + project(d - constant, centred[None], over)) and np.prod([case.shape[a] for a in axes]) > 4:
            sentence = (f"what is missing in the gradient of {case.name} are the terms that go through mean and variance along "
                        f"{axes_text(axes)}: both depend on every element.")
            if pointwise(case):
                return "diagonal-only", f"{sentence} They are treated as constants, and so every output as a function of its own input."
            return "term-missing", sentence
    return None


def pointwise(case):
    """Whether backward multiplies each element of the upstream gradient by a number, and does no more."""
    if case.out_shape != case.shape or len(case.u) < 2:
        return False
    factors = case.a / case.u
    return bool(np.abs(factors[1] - factors[0]).max() <= 1e-5 * np.abs(factors).max())


def fits(case, d, model):
    """Whether a model of N - A explains A."""
    return case.explains(case.n - model.reshape(case.n.shape))


def project(d, z, over):
    weight = (z * z).sum(axis=over, keepdims=True)
    return (d * z).sum(axis=over, keepdims=True) / np.where(weight, weight, 1) * z


def elementwise(case):
    """Both Jacobians are diagonal: compare the derivatives f'(x) that forward has and backward uses."""
    if case.j is None or case.out_shape != case.shape or case.j.shape[0] != case.j.shape[1] or case.j.shape[0] < 2:
        return None
    right = np.diag(case.j)
    if np.abs(case.j - np.diag(right)).max() > 1e-6 * np.abs(right).max(initial=0):
        return None
    used = case.a[0] / case.u[0]
    if len(case.u) > 1 and np.abs(case.a[1] / case.u[1] - used).max() > 1e-5 * np.abs(used).max():
        return None
    x, y = case.x.ravel(), case.exam.y0
    p = int(np.argmax(np.abs(used - right)))
    at = f" At {case.name} = {figure(x[p])} it is {figure(right[p])}, and backward uses {figure(used[p])}."
    with np.errstate(all="ignore"):
        if same(used, y / x) and not same(used, np.sqrt(np.abs(right))):
            return "term-missing", (f"the gradient of {case.name} misses one half of the product rule: backward uses y / "
                                    f"{case.name}, and the derivative of that factor is not there.{at}")
    for words, guess in guesses(case, x, y, right):
        if guess is not None and same(used, guess):
            return "wrong-local-derivative", f"the derivative that backward multiplies by is {words}.{at}"
    return "wrong-local-derivative", ("the function works element by element, and the derivative that backward multiplies by "
                                      f"is not its derivative.{at}")


def same(a, b):
    b = np.asarray(b)
    return np.isfinite(b).all() and np.abs(a - b).max() <= 1e-5 * max(np.abs(b).max(), 1e-300)


def guesses(case, x, y, right):
    """What else than f'(x) may stand there: (words, values)."""
    yield f"the function's value instead of its derivative (y for {case.name})", y
    yield f"{case.name} itself", x
    with np.errstate(all="ignore"):
        yield "the inverse of the right one", 1 / right
        yield "the square of the right one", right ** 2
        yield "the square root of the right one", np.sqrt(np.abs(right))
    yield f"taken at the output y instead of at {case.name}", derivative_at(case, y)
    if len(x) > 4:                                        # f' as a polynomial of y, such as y (1 - y), applied to x
        c = quadratic(y, right)
        if c is not None and np.abs(np.polyval(c, y) - right).max() <= 1e-6 * np.abs(right).max():
            yield f"the formula for the output y, applied to {case.name}", np.polyval(c, x)


def derivative_at(case, z):
    """f' at other places, or None where f is not defined there."""
    h = 1e-5
    values = [case.exam.copies() for _ in range(2)]
    for v, t in zip(values, (h, -h)):
        v[case.position] = (z + t).reshape(case.shape)
    try:
        return (case.exam.flat(values[0]) - case.exam.flat(values[1])) / (2 * h)
    except Exception:                                     # the output need not be a possible input
        return None


def elsewhere(case, draw=0):
    """Analytic and numeric gradient (n,) for the first upstream gradient at other values of this input; None where that fails."""
    exam = case.exam
    values, rng = exam.copies(), np.random.default_rng([exam.seed + 3, draw])
    moved = rng.permutation(case.x.size)[:case.x.size // 2]
    x = case.x.ravel().copy()
    x[moved] *= 1 + 0.3 * rng.random(moved.size)
    values[case.position] = x.reshape(case.shape)
    if not case.whole or case.x.size > 300 or not moved.size or moved.size == x.size:
        return None
    a = case.gradient_at(values)
    if a is None:
        return None
    n = np.array([case.slope(values, exam.u[0], np.eye(x.size)[p].reshape(case.shape)) for p in range(x.size)])
    return a, n, moved


def constant_term(case):
    """N - A stays the same when the input changes: the gradient of a linear term."""
    found = elsewhere(case)
    if found is None:
        return None
    a, n, _ = found
    d, then = case.n[0] - case.a[0], n - a
    size = np.abs(d).max(initial=0)
    changed = np.abs(case.a[0] - a).max() > 1e-3 * np.abs(a).max()
    if not size or not changed or np.abs(d - then).max() > 1e-4 * size + 1e-6 * np.abs(n).max():
        return None
    return "term-missing", (f"what is missing in the gradient of {case.name} does not depend on {case.name}: it is the "
                            "gradient of a linear term (a weighted sum, a smoothed or shifted target) that backward leaves "
                            "out.")


def separable(case):
    """Each element's gradient depends on that element alone: the formula of its own derivative is wrong."""
    size, bends = np.abs(case.n[0]).max(), False
    for draw in range(3 if case.x.size < 100 else 1):     # small inputs: that no other element feels it may be chance
        found = elsewhere(case, draw)
        if found is None:
            return None
        a, n, moved = found
        still = np.setdiff1d(np.arange(case.x.size), moved)
        if any(np.abs(then[still] - now[0][still]).max() > 1e-5 * size for then, now in ((a, case.a), (n, case.n))):
            return None
        off = (n - a)[moved] - (case.n[0] - case.a[0])[moved]
        pairs = ((n, case.n),) if case.exam.subject.upstream else ((n, case.n), (a, case.a))
        bent = max(np.abs(then[moved] - now[0][moved]).max() for then, now in pairs)
        bends |= bent > 1e-3 * size and np.abs(off).max() > 1e-6 * size
    if not bends:
        return None                                       # a linear function, or what is missing is one
    p = int(np.argmax(np.abs(case.a[0] - case.n[0])))
    x, used, right = case.x.ravel()[p], case.a[0][p], case.n[0][p]
    return "wrong-local-derivative", (f"each element of {case.name} has its own term, and the formula of the term's derivative "
                                      f"is wrong: at {case.name} = {figure(x)} backward gives {figure(used)}, right is "
                                      f"{figure(right)} (ratio {figure(used / right) if right else 'infinite'}).")
