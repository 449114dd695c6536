"""Hypotheses about what the analytic Jacobian B has where the numeric one J has nothing: gradient in the wrong places."""

import numpy as np


def leaks(case):
    """B has exactly what J has, and more."""
    if case.b is None:
        return None
    equal, _, extra = case.difference
    several = (np.abs(case.j) > 1e-6 * np.abs(case.j).max()).sum() > len(case.j)
    return contributions_added(case) if several and (equal | extra).all() else None


def contributions_added(case):
    """B has everything that J has, and more: gradient flows to where it must be zero."""
    if case.b is None:
        return None
    equal, dropped, extra = case.difference
    size = np.abs(case.j).max()
    clear = extra & (np.abs(case.b) > 1e-3 * size) & (np.abs(case.j) <= 1e-8 * size)
    if clear.sum() < 0.02 * np.count_nonzero(case.b) or dropped.any():
        return None
    if not (equal | extra).all() and (late := one_step_late(case, clear)):
        return late
    rest = "all the right contributions" if (equal | extra).all() else "contributions of the wrong size"
    return "mask-missing", (f"the gradient of {case.name} has {rest}, and {int(extra.sum())} more from outputs that do not "
                            "depend on the element. A mask or an index is missing in backward.")


def one_step_late(case, clear):
    """B has something at the first step's outputs (or the last's), to which nothing leads: the state of another step is used."""
    for axis, size in enumerate(case.out_shape or ()):
        if size < 3:
            continue
        index = np.unravel_index(np.arange(case.j.shape[1]), case.out_shape)[axis]
        for end, word in ((0, "first"), (size - 1, "last")):
            there = np.abs(case.j).max(axis=0) > 1e-8 * np.abs(case.j).max()
            if clear[:, index == end].any() and not there[index == end].any() and there[index != end].all() \
                    and not clear[:, index != end].any(axis=0).all():
                return "shifted", (f"the outputs at the {word} index of axis {axis} do not depend on {case.name} (it meets the state "
                                   "before the first step, which is zero), but backward has a gradient from them, and the others are "
                                   "wrong: it multiplies by the state of the next step. Look at the index t or t - 1.")
    return None


def misplaced(case):
    """Every output's contributions have the right values, and land in the wrong elements."""
    if case.b is None or case.difference[0].all():
        return None
    smooth = np.ones(case.j.shape[1], bool) if case.e.kink_at is None else ~case.e.kink_at.any(axis=0)
    j, b = case.j[:, smooth], case.b[:, smooth]           # where elements tie, their contributions are anybody's guess
    size = np.abs(j).max(initial=0)
    if not size or not (np.abs(b - j) > 1e-6 * size).any():
        return None
    shared, used = ({round(v, 6) for v in m[np.abs(m) > 1e-6 * size] / size} for m in (j, b))
    if used <= shared and len(used) > 2 and 3 <= 2 * len(shared) < np.count_nonzero(j) and len(shared) > 2:
        return "shifted", (f"the gradient of {case.name} is made of the right numbers, but they meet the wrong elements. Look "
                           "at where the windows begin, and at stride, dilation and padding in backward.")
    for axis, words in ((0, "every output's contributions have the right values but land in the wrong elements"),
                        (1, "every element gets contributions of the right values, but from the wrong outputs")):
        if j.shape[axis] > 2 and (np.abs(np.sort(b, axis) - np.sort(j, axis)) <= 1e-6 * size).all():
            return "shifted", (f"in the gradient of {case.name} {words}. Look at where the windows begin, and at stride, "
                               "dilation and padding in backward.")
    return wrong_neighbours(case, size)


def wrong_neighbours(case, size):
    """Every element but those at the ends of an axis gets contributions of the right values, from the wrong outputs."""
    fits = (np.abs(np.sort(case.b, 1) - np.sort(case.j, 1)) <= 1e-6 * size).all(axis=1)
    off = (np.abs(case.b - case.j) > 1e-6 * size).any(axis=1)
    index = np.unravel_index(np.flatnonzero(~fits), case.shape)
    at_end = [n > 3 and np.isin(i, (0, n - 1) if n < 6 else (0, 1, n - 2, n - 1)).all() for i, n in zip(index, case.shape)]
    if not any(at_end) or (fits & off).sum() < max(3, (~fits).sum()) or np.unique(np.round(case.j / size, 5)).size > 0.5 * len(case.j):
        return None
    return "shifted", (f"apart from the ends, every element of {case.name} gets contributions of the right values, but from the wrong "
                       "outputs: those of the neighbours on the other side. Where forward reads i + 1, backward writes to i + 1, not i - 1.")


def another_choice(case):
    """Both Jacobians give each output to one element, but to different ones, and which depends on the values: max and min."""
    found = chosen(case, case.j, case.b)
    if found is None or case.x.size > 300 or (found[0] == found[1]).all():
        return None
    rng, seen = np.random.default_rng(case.exam.seed + 53), {}
    for draw in range(5):
        if draw:
            values = case.exam.copies()
            values[case.position] = rng.permutation(case.x.ravel()).reshape(case.shape)
            found = None if case.late else jacobians(case, values)
            found = found and chosen(case, *found)
            if found is None:
                return None
        for o, (right, used) in enumerate(zip(*found)):
            seen.setdefault((o, right), set()).add(used)
    if max(map(len, seen.values())) < 2:
        return None                                       # where the one goes tells where the other goes: a wrong index
    return "mask-missing", (f"the gradient of {case.name} goes to other elements than those that forward picks, and by the values: it is "
                            "masked by another comparison (the smallest of the window for the largest, a wrong reference). The "
                            "mask of the elements that forward has picked (x == out) is missing.")


def chosen(case, *jacobians):
    """For each Jacobian the element that each output reports to, or None where it is not one element each."""
    if any(m is None for m in jacobians) or case.j.shape[1] < 2:
        return None
    live = [np.abs(m) > 1e-4 * np.abs(m).max(initial=0) for m in jacobians]
    if any((m.sum(axis=0) != 1).any() for m in live) or not np.allclose(*(m.sum(axis=0) for m in jacobians), rtol=1e-4):
        return None
    return [m.argmax(axis=0) for m in live]


def jacobians(case, values):
    """Numeric and analytic Jacobian at other inputs, to a few digits; None where these are not possible."""
    exam, h = case.exam, 1e-6 * max(np.abs(case.x).max(), 1e-3)
    rows = [case.gradient_at(values, u) for u in np.eye(case.j.shape[1])]
    if any(row is None for row in rows):
        return None
    moved, base, j = [v.copy() if isinstance(v, np.ndarray) else v for v in values], exam.flat(values), []
    for p in range(case.x.size):
        moved[case.position] = values[case.position].copy()
        moved[case.position].reshape(-1)[p] += h
        j.append((exam.flat(moved) - base) / h)
    return np.array(j), np.stack(rows, axis=1)


def another_mask(case):
    """Both Jacobians are diagonal and hold zeros and one other number, but not at the same places."""
    if case.b is None or case.out_shape != case.shape:
        return None
    right, used = np.diag(case.j), np.diag(case.b)
    off = [np.abs(m - np.diag(np.diag(m))).max() for m in (case.j, case.b)]
    size = np.abs(right).max(initial=0)
    levels = [np.unique(np.round(d / max(size, 1e-300), 6)) for d in (right, used)]
    if max(off) > 1e-6 * size or not all(len(v) == 2 and v[0] == 0 for v in levels) or levels[0][1] != levels[1][1]:
        return None
    values = case.exam.copies()
    values[case.position] = np.roll(case.x.ravel(), 1).reshape(case.shape)
    elsewhere = case.gradient_at(values)
    if elsewhere is not None and ((elsewhere != 0) != (used != 0)).any():                  # it moves with x: no random numbers
        inverted = (right * used == 0).all()
        reversed_ = " (just the other ones: the condition is reversed)" if inverted else ""
        return "wrong-region" if inverted else "mask-missing", (
            f"the gradient of {case.name} is masked by another condition than in the forward pass: {int((right != used).sum())} elements "
            f"are on where they must be off, or off where they must be on{reversed_}.")
    return "mask-redrawn", (f"the gradient of {case.name} is masked, but not by the mask of the forward pass: "
                            f"{int((right != used).sum())} elements are on where they must be off, or off where they must be "
                            "on. Keep forward's mask in the cache.")
