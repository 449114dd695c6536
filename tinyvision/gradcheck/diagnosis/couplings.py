"""Hypotheses about what depends on what: which weights an input meets, and which elements of a gradient move together."""

from itertools import combinations, product

import numpy as np

from .case import axes_text

MOST_WEIGHTS = 6                                          # so many other inputs are looked at


def path_through(case):
    """N - A is what reaches the input through one or more weights that it meets: these paths are not followed.

    To make a feature larger by a factor is to make the row of every matrix larger that it is multiplied by.  So the sums of
    x dL/dx over the examples are the sums of w dL/dw over the units, added up over all matrices w on the paths from x.
    """
    if not case.whole or not case.shape or not case.judged.all():
        return None
    for p in range(len(case.shape)):
        found = met(case, p, case.n - case.a)
        if found:
            names = " and ".join(case.exam.subject.names[i] for i in found)
            return "term-missing", (f"what is missing in the gradient of {case.name} is what reaches the output through {names}: this path "
                                    "is not followed, or its share is overwritten by another one's where both must be added up (+=).")
    return None


def met(case, p, gradient):
    """The numbers of the weights through which all of this gradient flows, as its sums along all axes but p show; None where unknown."""
    own, rest = gradient.reshape(len(gradient), *case.shape) * case.x, tuple(d + 1 for d in range(len(case.shape)) if d != p)
    target, room = own.sum(axis=rest), np.abs(own).sum(axis=rest).max(axis=1, keepdims=True)
    if target.size < 6 or case.shape[p] < 2 or (np.abs(target).max(axis=1, keepdims=True) <= 1e-2 * room).any():
        return None
    shares = {i: sums_of(case, i, case.shape[p]) for i in list(weights(case))[:MOST_WEIGHTS]}
    for count in (1, 2, 3):
        for chosen in combinations([i for i, found in shares.items() if found], count):
            for parts in product(*(shares[i] for i in chosen)):
                if (np.abs(sum(parts) - target) <= 1e-6 * (room + sum(np.abs(z).max() for z in parts))).all():
                    return chosen
    return None


def weights(case):
    """{number: Evidence} of the other inputs that were measured as a whole."""
    return {case.exam.wanted[e.number]: e for e in case.exam.evidence if e is not case.e and e.where is None and not e.undefined.any()}


def sums_of(case, i, size, axis=None, at=None):
    """Sums of w dL/dw over all axes but one of this size; at: only over these indices of an axis."""
    e = weights(case)[i]
    own, found = e.n.reshape(len(e.n), *e.x.shape) * e.x, []
    for q in (q for q in range(e.x.ndim) if e.x.shape[q] == size and q != axis):
        z = own if axis is None else own.take(at, axis + 1)
        z = z.sum(axis=tuple(d + 1 for d in range(e.x.ndim) if d != q))
        if (np.abs(z).max(axis=1) > 0).all():
            found.append(z)
    return found


def path_is_there(case, i, axis, at):
    """Whether backward has a path through slices of weight i, which the input meets, that is wrong: no path is missing as a whole."""
    if not case.whole or i not in weights(case) or not case.judged.all():
        return False
    for p, size in enumerate(case.shape):
        if i not in (met(case, p, case.n) or ()):
            continue
        rest = tuple(d + 1 for d in range(len(case.shape)) if d != p)
        own = (case.n - case.a).reshape(len(case.n), *case.shape) * case.x
        target, room = own.sum(axis=rest), np.abs(own).sum(axis=rest).max()
        parts = sums_of(case, i, size, axis, at)
        return bool(parts) and all(np.abs(z - target).max() > 1e-4 * room for z in parts)
    return False


def coupled_otherwise(case):
    """When an element changes, the right gradient changes at elements that share an index with it, backward's at others."""
    if not case.whole or case.x.ndim < 2 or case.x.size > 150 or case.late:
        return None
    right, found = ({d for d in range(case.x.ndim) if case.shape[d] > 1} for _ in range(2))
    rng = np.random.default_rng(case.exam.seed + 61)
    for p in rng.permutation(case.x.size)[:3]:
        values = case.exam.copies()
        values[case.position].reshape(-1)[p] += 0.3 * max(np.abs(case.x).max(), 1e-3)
        a = case.gradient_at(values)
        if a is None:
            return None
        n = np.array([case.slope(values, case.exam.u[0], d.reshape(case.shape)) for d in np.eye(case.x.size)])
        own = np.unravel_index(p, case.shape)
        for then, now, axes in ((n, case.n[0], right), (a, case.a[0], found)):
            moved = np.argwhere((np.abs(then - now) > 1e-4 * np.abs(now).max(initial=0)).reshape(case.shape))
            if len(moved) < 2:
                return None                               # nothing else feels it
            axes &= {d for d in axes if (moved[:, d] == own[d]).all()}
    if not right or not found or right & found:
        return None
    return "wrong-axis", (f"the right gradient of {case.name} couples elements with the same index along {axes_text(sorted(right))}, and "
                          f"backward those with the same along {axes_text(sorted(found))}: a sum, a mean or a softmax goes along the "
                          "wrong axis.")
