"""Hypotheses about branches: wrong for some values of the input, of another array, or of the gradient on its way."""

from itertools import combinations

import numpy as np

from .case import axes_text, figure, listed
from .terms import elsewhere

FEW = 3                                                   # so many distinct values make an array one of labels


def branch(case):
    """Wrong exactly beyond a limit, as other values in the same range show: the given ones have too few elements there."""
    if not case.whole or not 2 <= case.x.size <= 300 or case.out_shape is None or not np.ptp(case.x):
        return None
    alone = case.j is not None and case.out_shape == case.shape and diagonal(case.j)
    if not alone and (case.exam.subject.upstream or case.x.size > 100 or not own_terms(case)):
        return None
    rng, points = np.random.default_rng(case.exam.seed + 47), []
    for _ in range(6 if alone else 3):
        if case.late:
            return None
        x = np.sort(rng.uniform(case.x.min(), case.x.max(), case.x.size))
        found = sampled(case, rng.permutation(x).reshape(case.shape), alone)
        if found is None:
            return None
        points.append(found)
    x, a, n, known = (np.concatenate(z) for z in zip(*points))
    size = max(np.abs(n[known]).max(initial=0), 1e-300)
    wrong = known & (np.abs(a - n) > 1e-4 * size)
    right = known & ~wrong & (np.abs(n) > 1e-9 * size)
    if wrong.sum() < 3 or right.sum() < 0.1 * known.sum():
        return None
    return beyond(case, np.tile(np.arange(case.x.size), len(points)), x, wrong, right)


def diagonal(j):
    return j.shape[0] == j.shape[1] and np.abs(j - np.diag(np.diag(j))).max() <= 1e-6 * np.abs(j).max(initial=0)


def own_terms(case):
    """Whether every element of the gradient of a loss depends on that element alone, as far as one change of the input shows."""
    found = elsewhere(case)
    if found is None:
        return False
    a, n, moved = found
    still = np.setdiff1d(np.arange(case.x.size), moved)
    room = 1e-5 * np.abs(case.n[0]).max()
    return all(np.abs(then[still] - now[0][still]).max(initial=0) <= room for then, now in ((a, case.a), (n, case.n)))


def sampled(case, x, alone):
    """(x, analytic, numeric derivative, where it is known) of every element at other values of the input."""
    exam, values = case.exam, case.exam.copies()
    values[case.position] = x
    a, h = case.gradient_at(values), 1e-5 * max(np.ptp(case.x), 1e-3)
    if a is None:
        return None
    rates = []
    for step in (h, h / 2):
        if alone:
            ends = [exam.flat([*values[:case.position], x + t, *values[case.position + 1:]]) for t in (step, -step)]
            rates.append((ends[0] - ends[1]) / (2 * step) * exam.u[0])
        else:
            base, row = values[case.position].ravel(), []
            for p in range(x.size):
                ends = []
                for t in (step, -step):
                    moved = base.copy()
                    moved[p] += t
                    others = values[:case.position], values[case.position + 1:]
                    ends.append(float(exam.flat([*others[0], moved.reshape(x.shape), *others[1]])[0]))
                row.append((ends[0] - ends[1]) / (2 * step))
            rates.append(np.array(row))
    wide, narrow = rates
    known = np.isfinite(a) & np.isfinite(wide) & np.isfinite(narrow)
    known &= np.abs(wide - narrow) <= 1e-4 * np.abs(narrow[known]).max(initial=0)         # no kink in between
    return x.ravel(), a, narrow, known


def beyond(case, place, x, wrong, right):
    """The limit that parts wrong from right points, in x, its size, or its distance from another input."""
    quantities = [(case.name, x), (f"|{case.name}|", np.abs(x))]
    for name, other in zip(case.exam.subject.names, case.exam.values):
        if isinstance(other, np.ndarray) and other is not case.x and other.shape == case.shape and other.dtype.kind in "fiu":
            gap = x - other.ravel()[place]
            quantities += [(f"{case.name} - {name}", gap), (f"|{case.name} - {name}|", np.abs(gap))]
    for name, q in quantities:
        bad, good = q[wrong], q[right]
        for relation, low, high in ((">", good.max(), bad.min()), ("<", bad.max(), good.min())):
            if low < high:
                edge = "0" if low < 0 <= high else figure((low + high) / 2)
                return "wrong-region", (f"the gradient of {case.name} is wrong exactly where {name} {relation} {edge}, as other "
                                        "values in the same range show. Look at that branch of the function.")
    return None


def at_values_of_another(case):
    """Wrong only where an array of few values (labels, a mask) has one of them, by one factor for each index of an axis."""
    if not case.whole or not case.wrong.any():
        return None
    shown = case.judged & ~case.zero
    for name, other in zip(case.exam.subject.names, case.exam.values):
        if not isinstance(other, np.ndarray) or other is case.x or other.shape != case.shape:
            continue
        if not 2 <= len(distinct(other)) <= FEW:
            continue
        for v in distinct(other):
            here = (other == v).ravel()
            if case.wrong[~here].any() or (shown & ~here).sum() < 3 or (case.wrong & shown).sum() < 3:
                continue
            found = factors_at(case, here & shown, name, v)
            if found:
                return found
    return None


def distinct(z):
    """The values of an array, as far as it has few."""
    return np.unique(z) if z.size < 10_000 else ()


def factors_at(case, here, name, v):
    """at_values_of_another, for one value v: is what is wrong there a factor?"""
    with np.errstate(all="ignore"):
        ratio = np.where(here, case.a / case.n, np.nan)[0].reshape(case.shape)
    for count in (0, 1):
        for axes in combinations(range(len(case.shape)), count):
            if count and case.shape[axes[0]] < 2:
                continue
            f = spread(ratio, axes)
            if not case.explains(np.where(here, np.broadcast_to(f, case.shape).ravel(), 1.0) * case.n):
                continue
            where = f"the gradient of {case.name} is right except where {name} is {figure(v)}, and there "
            if axes:
                return "factor-per-axis", (f"{where}right but for a factor that depends on {axes_text(axes)}: "
                                           f"{listed(map(figure, f.ravel()))}. A weight (of the class) is missing or "
                                           "misused in that term.")
            if abs(f.item()) < 1e-6:
                return "term-missing", f"{where}zero: the term of the loss that counts there is not differentiated."
            return "wrong-region", (f"{where}{figure(f.item())} times what it should be: look at the term, or the branch, for "
                                    f"{name} = {figure(v)}.")
    return None


def spread(ratio, axes):
    """The middle of the least and the largest ratio along all other axes; 1 where there is none."""
    rest = tuple(d for d in range(ratio.ndim) if d not in axes)
    low = np.min(np.where(np.isnan(ratio), np.inf, ratio), axis=rest, keepdims=True)
    high = np.max(np.where(np.isnan(ratio), -np.inf, ratio), axis=rest, keepdims=True)
    return np.where(np.isfinite(low), (low + np.where(np.isfinite(high), high, low)) / 2, 1.0)


def negatives_dropped(case):
    """A loss of one example with positive numbers: the gradient is the right one with its negative numbers set to zero."""
    exam = case.exam
    if exam.subject.upstream or exam.is_copy or exam.large or not case.whole or case.x.ndim != 1 or case.x.size < 3 or case.late:
        return None
    count = next((len(v) for v in exam.values if isinstance(v, np.ndarray) and v.dtype.kind in "iu" and v.ndim == 1), 0)
    seen = 0
    for k in range(min(count, 3)):
        values = []
        for i, v in enumerate(exam.copies()):
            data = i != case.position and (i not in exam.wanted or exam.is_data(i))
            if data and isinstance(v, np.ndarray) and v.ndim and len(v) == count:
                v = v[k:k + 1]
            # what comes before, and the data, is positive, so that no unit is off; what comes after keeps its signs
            positive = isinstance(v, np.ndarray) and v.dtype.kind == "f" and (i <= case.position or data)
            values.append(np.abs(v) if positive else v)
        a = case.gradient_at(values, exam.u[0])
        n = np.array([case.slope(values, exam.u[0], d.reshape(case.shape)) for d in np.eye(case.x.size)])
        if a is None or not np.isfinite(n).all():
            return None
        room = 1e-5 * np.abs(n).max(initial=0)
        if np.abs(a - np.maximum(n, 0)).max() > room:
            return None
        seen += int((n < -room).sum() >= 1 and (n > room).sum() >= 1)
    if not seen:
        return None
    return "guided", (f"for one example, and positive inputs, the gradient of {case.name} is the right one with its negative numbers "
                      "set to zero: the mask of a relu is made from the gradient on its way (dh[dh < 0] = 0) where it belongs to the "
                      "input (dh[h <= 0] = 0).")
