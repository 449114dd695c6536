"""Hypotheses about the numbers themselves: nothing there, a factor, the upstream gradient misused, a part that is wrong."""

from itertools import combinations

import numpy as np

from .case import axes_text, figure, listed
from .terms import elsewhere, separable

WHOLE = 4.0                                               # by so much the sum of a few numbers, each cut to a whole one, is off


def nothing(case):
    """Zero, or no gradient at all."""
    if case.exam.a[case.e.number].any():
        return None
    if case.position in case.exam.missing:
        return "missing-gradient", (f"backward returns no gradient for {case.name}, though the output depends on it. None says "
                                    "that the gradient is zero; return the gradient, or, if it is data, name what to check in "
                                    "wrt. In a graph: detach(), .data or a new Tensor cuts it.")
    return "zero-gradient", (f"the gradient of {case.name} is zero everywhere, though the output depends on it. Is the result "
                             "of the computation returned, and is the graph not cut?")


def whole_numbers(case):
    """A is N cut to whole numbers."""
    room = WHOLE if case.exam.subject.upstream else 1.0   # a loss's own gradient may consist of them
    with np.errstate(all="ignore"):
        small = (np.abs(case.n) < 0.49) & case.judged     # no cutting makes a one of these
        if not case.exam.subject.upstream and small.any() and case.a[small].any():
            return None
        if not (case.a == np.trunc(case.a)).all() or not (np.abs(case.a - case.n) <= room + case.slack)[:, case.judged].all():
            return None
    return "precision-lost", (f"the gradient of {case.name} is cut to whole numbers: it passes through an array of integers. "
                              "Make buffers of floats, np.zeros(x.shape), where x may hold integers.")


def without_effect(case):
    """A gradient for an input that the output does not feel, however much it changes: terms that must cancel."""
    if not case.whole or not case.zero.all() or not case.judged.all() or not case.a.any():
        return None
    rng = np.random.default_rng(case.exam.seed + 67)
    for _ in range(3):
        values = case.exam.copies()
        values[case.position] = case.x + rng.normal(size=case.shape) * (1 + np.abs(case.x).max())
        if np.abs(case.exam.flat(values) - case.exam.y0).max() > 1e-9 * np.abs(case.exam.y0).max():
            return None                                   # a unit that is off, and may be switched on
    return "term-missing", (f"the output does not depend on {case.name} at all, whatever its values: what it adds is taken away again (a "
                            "bias in front of a normalisation, whose mean is subtracted). So its gradient is zero, as a sum of terms that "
                            "cancel, and one of them is missing.")


def upstream_ignored(case):
    """A(u) does not change with u."""
    exam = case.exam
    if not exam.subject.upstream or not case.a[0].any() or not case.close(case.ask(2.5 * case.u[0]), case.a[0]):
        return None
    if not case.close(case.ask(np.roll(case.u[0], 1) + 0.25), case.a[0]):
        return None
    as_sum = case.j is not None and case.close(case.j.sum(axis=1), case.a[0])
    extra = " It equals the gradient of y.sum()." if as_sum else ""
    return "upstream-ignored", (f"the gradient of {case.name} does not change with the upstream gradient.{extra} Multiply by "
                                "dout: the chain rule is dL/dx = dL/dy * dy/dx.")


def only_the_sum_of_upstream(case):
    """A(u) = sum(u) v: every output counts alike."""
    if case.b is None or case.b.shape[1] < 2 or not np.abs(case.b).max(initial=0):
        return None
    size = np.abs(case.b).max()
    if (np.abs(case.b - case.b[:, :1]) > 1e-6 * size).any():
        return None
    return "upstream-ignored", (f"the gradient of {case.name} depends on the sum of the upstream gradient only, so every "
                                "output counts alike. Multiply every output's derivative by its own element of dout.")


def not_linear(case):
    """A(u) is not proportional to u: something added, negatives dropped, clipped."""
    if case.linear or case.cancelled:
        return None
    constant = case.ask(0 * case.u[0])
    if np.abs(constant).max(initial=0) > 1e-9 * case.scale[0, 0]:
        shifted = [case.ask(c * case.u[0]) - constant for c in (1.0, -1.0)]
        if case.close(shifted[0], -shifted[1]):
            return "extra-term", (f"the gradient of {case.name} is not zero when the upstream gradient is: something is added "
                                  "that does not come from it (weight decay, a regulariser, a leftover of an earlier call).")
    if (np.abs(case.a - case.n).max(axis=1) <= 2e-3 * np.abs(case.n).max(axis=1)).all():
        return "precision-lost", (f"the gradient of {case.name} is right to about three digits and not quite proportional to the "
                                  "upstream gradient: somewhere in backward numbers are rounded, as by float16.")
    odd = case.close(case.ask(-case.u[0]), -case.a[0])
    if not odd and all(case.close(case.ask(c * case.u[0]), c * case.a[0]) for c in (3.0, 1e3, 1e-3)):
        return "guided", (f"negative upstream gradients are treated differently in the gradient of {case.name}: doubling dout "
                          "doubles it, but turning its sign round does not turn it round. Guided backpropagation makes fine "
                          "pictures, but no gradients: the mask belongs to the input (x > 0), not to dout.")
    return "nonlinear-upstream", (f"the gradient of {case.name} is not proportional to the upstream gradient: it is clipped, "
                                  "squared or normalised on the way. A backward pass is linear in dout.")


def swapped(case):
    """The gradient of another input of this shape."""
    for other in case.exam.evidence:
        if other is not case.e and other.x.shape == case.shape and other.where is None and case.whole and case.explains(other.n):
            return "swapped-gradients", (f"the gradient returned for {case.name} is that of {other.name}. Return gradients in "
                                         "the order of forward's arguments.")
    return None


def constant_factor(case):
    """A = c N."""
    weight = (case.n[:, case.judged] ** 2).sum()
    if not weight:
        return None
    c = float((case.a * case.n)[:, case.judged].sum() / weight)
    if not c or not case.explains(c * case.n):
        return None
    if abs(c + 1) < 1e-6:
        return "constant-factor", f"the gradient of {case.name} has the wrong sign everywhere: it is -1 times what it should be."
    return "constant-factor", f"the gradient of {case.name} is {figure(c)} times what it should be, everywhere{meaning(case, c)}"


def meaning(case, c):
    """Where a factor may come from."""
    exam = case.exam
    dead = case.zero.mean()
    if dead and 0 < c < 1 and case.out_shape == case.shape:
        return (f". {figure(100 * dead)}% of the elements have no gradient at all; if that is dropout, the scale 1 / (1 - p) "
                f"is missing, with 1 - p = {figure(c)}.")
    if abs(c - round(c)) < 1e-6 * abs(c) or abs(1 / c - round(1 / c)) < 1e-6 / abs(c):
        whole = round(c) if abs(c) >= 1 else round(1 / c)
        sizes = {}
        for i in exam.wanted:
            shape = exam.values[i].shape
            for count in (1, 2, 3, 4):
                for axes in combinations(range(len(shape)), count):
                    sizes.setdefault(int(np.prod([shape[d] for d in axes])), f"the size of {axes_text(axes)} of "
                                                                             f"{exam.subject.names[i]}")
        for shape in exam.shapes:
            sizes.setdefault(int(np.prod(shape)), "the number of outputs")
            for count in (1, 2, 3):
                for axes in combinations(range(len(shape)), count):
                    sizes.setdefault(int(np.prod([shape[d] for d in axes])), f"the size of {axes_text(axes)} of the output")
        known = sizes.get(abs(whole))
        if known and abs(whole) > 2:
            return f": {abs(whole)} is {known}. A mean divides by it, a sum does not."
        if abs(whole) == 2:
            return ": a 2 from a square's derivative, or one of two equal uses of the input?"
        return f": {abs(whole)} may be a window's area, a stride, a number of examples or classes."
    if 0 < c < 1:
        return ". A scale, a rate, a weight that is applied twice?"
    return ". A scale 1 / (1 - p) of dropout, a temperature, a divisor that was forgotten?"


def local_derivative_missing(case):
    """A = u, or its sum over the axes along which the input was broadcast."""
    if case.out_shape is None or not case.exam.subject.upstream:
        return None
    passed = [sum_to(row.reshape(case.out_shape), case.shape) for row in case.u]
    at = slice(None) if case.whole else case.e.where
    if passed[0] is None or not case.explains(np.stack([p.ravel()[at] for p in passed])):
        return None
    if case.whole and case.out_shape == case.shape and factor_of_few_axes(case):
        return None                                       # dout without gamma: it has a name of its own
    what = "the upstream gradient itself" if case.out_shape == case.shape else "the sum of the upstream gradient"
    return "local-derivative-missing", (f"the gradient of {case.name} is {what}: the function's own derivative is missing. "
                                        "Multiply dout by dy/dx.")


def factor_of_few_axes(case):
    """Whether the right gradient is the upstream gradient times a factor that is never zero and is the same along some axis."""
    factor = case.n[0] / case.u[0]
    if case.zero.any() or np.abs(case.n - factor * case.u).max() > 1e-5 * np.abs(case.n).max():
        return False
    grid, size = factor.reshape(case.shape), np.abs(factor).max()
    return any(case.shape[d] > 1 and np.ptp(grid, axis=d).max() <= 1e-5 * size for d in range(grid.ndim))


def sum_to(u, shape):
    """u summed over what broadcasting from `shape` repeated; None where shapes do not broadcast."""
    try:
        if np.broadcast_shapes(shape, u.shape) != u.shape:
            return None
    except ValueError:
        return None
    lead = u.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(lead + d for d, s in enumerate(shape) if s == 1 != u.shape[lead + d])
    return u.sum(axis=axes, keepdims=True).reshape(shape)


def mask_missing(case):
    """Right wherever there is a gradient, and something where there must be none."""
    off, live = case.wrong & case.zero, case.judged & ~case.zero
    if not off.any() or not live.any() or (case.wrong & live).any():
        return None
    return "mask-missing", (f"the gradient of {case.name} is right where it is not zero, but it also flows to {int(off.sum())} "
                            f"elements that the output does not depend on here, such as {place(case, off)}. A mask is missing "
                            "in backward (x > 0, the dropout mask, the place of the maximum).")


def place(case, mask):
    p = int(np.flatnonzero(mask)[0])
    p = p if case.whole else int(case.e.where[p])
    return list(map(int, np.unravel_index(p, case.shape)))


def region(case):
    """Wrong exactly where the input (its size, or the output) is beyond a limit."""
    if case.judged.sum() < 8:
        return None
    x = case.x.ravel() if case.whole else case.x.ravel()[case.e.where]
    quantities = [(case.name, x), (f"|{case.name}|", np.abs(x))]
    if case.out_shape == case.shape and case.whole:
        quantities.append(("the output", case.exam.y0))
    for i, other in enumerate(case.exam.values):
        if i != case.position and isinstance(other, np.ndarray) and other.shape == case.shape and other.dtype.kind in "fiu":
            gap, name = x - (other.ravel() if case.whole else other.ravel()[case.e.where]), case.exam.subject.names[i]
            quantities += [(f"{case.name} - {name}", gap), (f"|{case.name} - {name}|", np.abs(gap))]
    right = case.judged & ~case.wrong & ~case.zero        # where both are zero, nothing is shown
    if case.wrong.sum() < 3 or right.sum() < 3:
        return None
    for name, q in quantities:
        bad, good = q[case.wrong], q[right]
        for relation, limit in ((">", (good.max(), bad.min())), ("<", (bad.max(), good.min()))):
            if limit[0] < limit[1]:
                if is_slice(case) and (found := part(case)):
                    return found                          # a whole slice; that its values are small or large comes with it
                if not a_branch(case):
                    return None
                edge = figure(sum(limit) / 2) if not limit[0] < 0 <= limit[1] else "0"
                return "wrong-region", (f"the gradient of {case.name} is wrong exactly where {name} {relation} {edge} "
                                        f"({int(case.wrong.sum())} elements){inside(case)}. Look at that branch of the function.")
    return None


def a_branch(case):
    """Whether it may be a branch of the function: where a loss's gradient is zero and must depend on other elements, it is none."""
    found = elsewhere(case) if not case.exam.subject.upstream and not case.a[:, case.wrong].any() else None
    if found is None:
        return True
    still = np.setdiff1d(np.flatnonzero(case.wrong), found[2])
    return not still.size or np.abs(found[1] - case.n[0])[still].max() <= 1e-5 * np.abs(case.n[0]).max()


def is_slice(case):
    """Whether what is wrong is all of one index of an axis, and nothing else."""
    if not case.whole:
        return False
    wrong, shown = case.array(case.wrong), case.array(case.judged & ~case.zero | case.wrong)
    for axis, size in enumerate(case.shape):
        rest = tuple(d for d in range(len(case.shape)) if d != axis)
        hit = np.flatnonzero(wrong.any(axis=rest))
        if len(hit) == 1 and size > 2 and wrong.sum() > 2 and wrong.take(hit[0], axis).sum() == shown.take(hit[0], axis).sum():
            return True
    return False


def inside(case):
    """What the analytic gradient is, where it is wrong."""
    a, n = case.a[:, case.wrong], case.n[:, case.wrong]
    if not a.any():
        return ", and zero there"
    c = (a * n).sum() / max((n * n).sum(), 1e-300)
    if (np.abs(a - c * n) <= 1e-5 * np.abs(a).max()).all():
        return f", and {figure(c)} times what it should be there"
    if case.out_shape == case.shape and case.whole and (np.abs(a - case.u[:, case.wrong]) <= 1e-6 * np.abs(a).max()).all():
        return ", and just the upstream gradient there"
    return ""


def part(case, most=False, last=False):
    """Wrong only in a box of indices: a channel, a row, a border, one element.  most: or all but one index of an axis.

    last: asked when nothing else fits, also about a part of a weight that holds several (the gates' of a cell).
    """
    places = np.argwhere(case.e.full(case.wrong.astype(float)) == 1)
    shown = np.argwhere(case.e.full((case.judged & ~case.zero | case.wrong).astype(float)) == 1)
    if not len(places) or len(places) == len(shown) or not case.shape:
        return None
    border, along = at_border(case, places, shown), []
    if border and not most:
        return border
    kept, texts = np.ones(len(shown), bool), []
    for axis, size in enumerate(case.shape):
        bad = np.unique(places[:, axis])
        if len(bad) < len(np.unique(shown[:, axis])):
            if not case.whole:                            # others in between were not looked at
                bad = np.arange(bad[0], bad[-1] + 1)
                if len(bad) > 0.75 * size:
                    continue
            if len(bad) > 2 and np.ptp(np.diff(bad)):
                return None                               # scattered indices are no part that anybody would write a loop for
            if case.whole and not most and len(bad) > 1 and len(bad) == size - 1:
                return None                               # all steps but the last: something goes wrong from step to step
            if not last and is_gate(case, bad, size) and (found := in_gate(case, bad, axis)):
                return found[0]
            kept &= np.isin(shown[:, axis], bad)
            along.append(axis)
            texts.append(f"{'index' if len(bad) == 1 else 'indices'} {indices(bad, size)} of axis {axis}")
    if not texts or kept.sum() > 1.25 * len(places) + 1 or kept.all() or not most and wanders(case):
        return None
    steps = [(len(np.unique(places[:, axis])), size) for axis, size in enumerate(case.shape)]
    if most and (unrolled(case, places, along) or case.whole and all(n == size - 1 for n, size in steps if n < size)):
        return "term-missing", (f"the gradient of {case.name} is wrong but at the end of {axes_text(along)}: what is handed on from step to "
                                "step is missing or wrong on its way back.")
    if not most and unrolled(case, places, along):
        return None                                       # the further from the end, the worse: that goes from step to step
    other = inside(case) == "" and not most and separable(case)
    if other:
        return other[0], f"{other[1]} (Only at {' and '.join(texts)}, right elsewhere.)"
    return "wrong-slice", (f"the gradient of {case.name} is wrong only at {' and '.join(texts)} ({len(places)} elements), right "
                           f"elsewhere{inside(case)}. Look at how far the loop or the slice runs.")


def unrolled(case, places, along):
    """Whether all but the last (or first) few indices of an axis are wrong, by no common factor."""
    if len(along) != 1 or not case.whole or len(case.shape) > 3 or inside(case) != "" or not case.exam.subject.upstream:
        return False
    bad, size = np.unique(places[:, along[0]]), case.shape[along[0]]
    return size > 3 and 2 * len(bad) > size and (np.diff(bad) == 1).all() and (bad[0] == 0) != (bad[-1] == size - 1)


def is_gate(case, bad, size):
    """Whether indices are one of the equal parts of an axis, of several indices each: a weight that holds those of several gates."""
    return case.whole and case.x.ndim < 3 and 2 <= len(bad) < size and size % len(bad) == 0 == bad[0] % len(bad) and np.ptp(bad) == len(bad) - 1


def in_gate(case, bad, axis):
    """([answer or None],) for a part that has a gradient: what is wrong lies before it, where that part is computed; else None."""
    a, n = case.a[:, case.wrong], case.n[:, case.wrong]
    if not a.any():
        return None                                       # not computed: a loop that ends too early
    c = (a * n).sum() / max((n * n).sum(), 1e-300)
    if np.abs(a - c * n).max() > 1e-5 * np.abs(a).max():
        return None if separable(case) else (None,)
    return (("constant-factor", f"the gradient of {case.name} is {figure(c)} times what it should be at indices "
                                f"{indices(bad, case.shape[axis])} of axis {axis}, one of the equal parts of the axis, and right elsewhere: "
                                "a sign or a factor is wrong where this part (a gate) is differentiated."),)


def part_at_last(case):
    """Wrong only in one of the equal parts of an axis, and nothing says why."""
    return part(case, last=True)


def wanders(case):
    """Whether at other inputs other elements are wrong: then the part is one by chance (units that were off elsewhere)."""
    if not case.whole or case.exam.large:
        return False
    exam, rng = case.exam, np.random.default_rng(case.exam.seed + 37)
    for _ in range(2):
        values = exam.copies()
        for i in exam.wanted:
            values[i] = rng.permutation(values[i].ravel()).reshape(values[i].shape)
        a = case.gradient_at(values)
        for _ in range(2):
            v = np.where(case.wrong | ~case.judged, 0, rng.choice([-1.0, 1.0], case.x.size) * rng.uniform(0.5, 1.5, case.x.size))
            rate = case.slope(values, exam.u[0], v.reshape(case.shape)) if a is not None else np.nan
            if np.isfinite(rate) and abs(a @ v - rate) > 1e-4 * np.linalg.norm(a * v) + 1e-6 * np.linalg.norm(case.a[0]):
                return True
    return False


def most_of_it(case):
    """Wrong everywhere but in one index of an axis."""
    return part(case, most=True)


def indices(bad, size):
    """Indices as a range, where they are one, and `the last` where it is the last."""
    if len(bad) == 1:
        return f"{bad[0]} (the last)" if bad[0] == size - 1 and size > 1 else str(bad[0])
    if (np.diff(bad) == 1).all():
        return f"{bad[0]} to {bad[-1]}"
    return listed(bad)


def at_border(case, places, shown):
    """Wrong at the border of the spatial axes and right inside."""
    if len(case.shape) < 3:
        return None
    spatial = range(2, len(case.shape))

    def outer(index, width):
        return np.any([(index[:, d] < width) | (index[:, d] >= case.shape[d] - width) for d in spatial], axis=0)
    for width in (1, 2):
        inner = ~outer(shown, width)
        if outer(places, width).all() and inner.any() and outer(shown, width).sum() <= 1.6 * len(places) + 1:
            return "wrong-slice", (f"the gradient of {case.name} is wrong only at the border, {width} "
                                   f"element{'s' * (width > 1)} deep ({len(places)} elements), right inside{inside(case)}. "
                                   "Look at the padding.")
    return None


def at_repeated(case):
    """Wrong exactly at the rows (or columns) that an array of indices names more than once."""
    if not case.whole or not case.wrong.any():
        return None
    wrong, shown = case.array(case.wrong), case.array(case.judged & ~case.zero | case.wrong)
    for name, index in zip(case.exam.subject.names, case.exam.values):
        if not isinstance(index, np.ndarray) or index.dtype.kind not in "iu" or not index.size or index.min() < 0:
            continue
        for axis, size in enumerate(case.shape):
            if index.max() >= size:
                continue
            rest = tuple(d for d in range(len(case.shape)) if d != axis)
            count, bad = np.bincount(index.ravel(), minlength=size), wrong.any(axis=rest)
            once = (count == 1) & shown.any(axis=rest)
            if once.any() and (bad == ((count > 1) & shown.any(axis=rest))).all():
                return "overwritten", (f"the gradient of {case.name} is wrong exactly at the indices of axis {axis} that {name} holds more "
                                       f"than once ({listed(np.flatnonzero(bad))}): of their contributions one counts. Use np.add.at, or "
                                       "+= one by one; x[idx] += g adds only once.")
    return None


def at_maxima(case):
    """Wrong, or right, exactly at the largest (or smallest) element of every group along some axes."""
    if not case.whole or not (case.judged | case.wrong).all():
        return None
    wrong = case.array(case.wrong)
    for count in range(1, len(case.shape) + 1):
        for axes in combinations(range(len(case.shape)), count):
            size = int(np.prod([case.shape[d] for d in axes]))
            if size < 3 or wrong.size < 3 * size:
                continue
            for word, best in (("largest", case.x.max(axis=axes, keepdims=True)), ("smallest", case.x.min(axis=axes, keepdims=True))):
                here = case.x == best
                if (wrong == ~here).all():
                    return "mask-missing", (f"the gradient of {case.name} is right at the {word} element along {axes_text(axes)}, and wrong "
                                            "at all others: what belongs to the maximum alone goes to every element. Its mask is missing.")
                if (wrong == here).all():
                    return "term-missing", (f"the gradient of {case.name} is wrong exactly at the {word} element along {axes_text(axes)}: the "
                                            "path through the maximum is not followed.")
    return None


def at_labels(case):
    """Wrong exactly at the element of the right class in every row, or at those of the other rows' classes."""
    if not case.whole or len(case.shape) < 2:
        return None
    wrong = case.array(case.wrong)
    for i, labels in enumerate(case.exam.values):
        labels = np.asarray(labels) if isinstance(labels, (np.ndarray, list)) else None
        if labels is None or labels.dtype.kind not in "iu" or labels.shape != case.shape[:1] + case.shape[2:]:
            continue
        classes = np.arange(case.shape[1]).reshape(-1, *[1] * (len(case.shape) - 2))
        here = classes == labels[:, None]
        columns = np.broadcast_to(np.isin(classes, labels), wrong.shape) & ~here
        if wrong.ndim == 2 and wrong.any() and (wrong == columns).all():
            return "extra-term", (f"the gradient of {case.name} is wrong exactly at the classes that are the right ones of "
                                  f"other rows: something is added to whole columns, as by p[:, {case.exam.subject.names[i]}] "
                                  f"where p[np.arange(n), {case.exam.subject.names[i]}] is meant.")
        if wrong.any() and not wrong[here].any() and wrong[~here].mean() > 0.9 and not case.a[:, case.wrong].any():
            return "term-missing", (f"the gradient of {case.name} is right at the element of the right class, "
                                    f"{case.exam.subject.names[i]}, of each row, and zero at all others: the path through the sum over "
                                    "the classes (the softmax's, the log of the sum) is not followed.")
        if wrong.any() and not wrong[~here].any() and wrong[here].mean() > 0.3:
            return "term-missing", (f"the gradient of {case.name} is wrong only at the element of the right class, "
                                    f"{case.exam.subject.names[i]}, of each row: the term through the right class's own score "
                                    "is missing or wrong.")
    return None
