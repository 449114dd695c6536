"""Hypotheses about how the analytic Jacobian B differs from the numeric one J, element by output (n, m)."""

from itertools import combinations

import numpy as np

from .case import axes_text
from .misplaced import jacobians
from .structure import aligned, nan_mean, text_of

TINY = 1e-6


def grids(case):
    """J and B with an axis for every axis of the input and of the output, or None."""
    if case.b is None or case.out_shape is None or not case.shape or not case.out_shape:
        return None
    return [m.reshape(*case.shape, *case.out_shape) for m in (case.j, case.b)]


def jacobian_transposed(case):
    """B is J with indices of elements and outputs exchanged: gathered where it must be scattered, a matrix not transposed."""
    found = grids(case)
    if found is None:
        return None
    j, b = found
    n, room = len(case.shape), 2e-6 * np.abs(case.j).max(initial=0)
    pairs = [(p, n + q) for p in range(n) for q in range(len(case.out_shape)) if case.shape[p] == case.out_shape[q] > 1]
    for count in range(1, min(len(pairs), 3) + 1):
        for chosen in combinations(pairs, count):
            if len({p for p, _ in chosen}) < count or len({q for _, q in chosen}) < count:
                continue
            turned = j
            for p, q in chosen:
                turned = turned.swapaxes(p, q)
            if np.abs(turned - b).max() <= room < np.abs(turned - j).max():
                along = " and ".join(f"axis {p} of {case.name} with axis {q - n} of the output" for p, q in chosen)
                return "transposed", (f"in the gradient of {case.name} elements and outputs have changed places ({along}): the "
                                      "matrix that backward multiplies by must be the transpose of forward's. An index array "
                                      "that forward reads from is one that backward writes to (dx[i] += dout, not dout[i]).")
    return None


def direct_path(case):
    """J - B couples elements and outputs along more axes than J does: a path that works element by element."""
    found = grids(case)
    if found is None or np.count_nonzero(case.b) == 0:
        return None
    pairs = [(p, q) for p in range(len(case.shape)) for q in range(len(case.out_shape))
             if case.shape[p] == case.out_shape[q] > 1]
    missing = case.j - case.b
    size = np.abs(case.j).max()
    clean = np.where(np.abs(missing) > 1e-5 * size, missing, 0)
    whole, part = aligned(case.j, case, pairs), aligned(clean, case, pairs)
    if not part > whole or clean.any(axis=1).sum() < 3:
        return None
    more = np.abs(case.j[clean != 0]).max() <= 1e-6 * size            # where J has something as well, a path is more likely lost
    what = "something is added to" if more else "a part is missing of"
    return ("extra-term" if more else "term-missing"), (
        f"in the gradient of {case.name} {what} what an element does to the outputs with the same index along "
        f"{text_of(part - whole)}; the rest is right. A path that leads there directly (a skip connection, a gate, a second use "
        f"of {case.name}) is left out or wrong.")


def part_not_followed(case):
    """path_not_followed, where that is a small part of the places: zeros by saturation make one as well."""
    return path_not_followed(case, share=0.1)


def path_not_followed(case, share=0.3):
    """B is zero at a good part of the places where J is not, and nowhere the other way round."""
    if case.b is None or not case.b.any():
        return None
    _, dropped, extra = case.difference
    live = np.abs(case.j) > TINY * np.abs(case.j).max()
    if extra.any() or dropped.sum() < max(3, share * live.sum()):
        return None
    return "term-missing", (f"in the gradient of {case.name} {int(dropped.sum())} of {int(live.sum())} contributions of "
                            f"outputs are missing, and others are wrong: one of the paths from {case.name} to the output is not "
                            "followed.")


def factor_field(case):
    """F with B = J F (elementwise), as over the few axes that it depends on: (array, axes); None where there are many."""
    found = grids(case)
    if found is None:
        return None
    j, b = found
    live = np.abs(j) > 1e-4 * np.abs(j).max(initial=0)
    if live.sum() < 4 or (np.abs(b[~live]) > 1e-3 * np.abs(b).max(initial=0)).any():
        return None
    f, axes = collapsed(np.where(live, b / np.where(live, j, 1), np.nan))
    return (f.reshape([f.shape[a] for a in axes]), axes) if len(axes) < 3 else None


def other_in_its_place(case):
    """B is J times z1 / z2 for two arrays that are there: one has taken the other's place."""
    found = factor_field(case)
    if found is None or found[0].size < 4 or not np.isfinite(found[0]).all():
        return None
    f = found[0]
    arrays = [(case.exam.subject.names[i], case.exam.values[i]) for i in case.exam.wanted]
    arrays.append(("the output", case.exam.y0.reshape(case.out_shape)))
    arrays = [(name, z.squeeze()) for name, z in arrays]
    for one, z1 in arrays:
        for two, z2 in arrays:
            for a, b in ((z1, z2), (z1.T, z2.T)):
                if one == two or a.shape != b.shape or a.shape != f.shape or not b.all():
                    continue
                if np.abs(f * b - a).max() <= 1e-4 * np.abs(a).max():
                    return "shifted", (f"the gradient of {case.name} uses {one} where {two} belongs: one step too late, or the "
                                       "wrong array of the cache.")
    return None


def reversed_mask(case):
    """B has something exactly where J has nothing, within the same outputs."""
    found = grids(case)
    if found is None:
        return None
    live = [np.abs(m) > TINY * np.abs(m).max(initial=0) for m in (case.j, case.b)]
    either = live[0] | live[1]
    if (live[0] & live[1]).any() or min(m.sum() for m in live) < 3:
        return None
    pairs = [(p, q) for p in range(len(case.shape)) for q in range(len(case.out_shape)) if case.shape[p] == case.out_shape[q] > 1]
    i, o = (np.unravel_index(np.arange(n), shape) for n, shape in zip(either.shape, (case.shape, case.out_shape)))
    full = np.ones(either.shape, bool)
    for p, q in aligned(either, case, pairs):
        full &= i[p][:, None] == o[q]
    if either.sum() < 0.9 * full.sum():
        return None
    return "wrong-region", (f"the gradient of {case.name} comes from just those outputs that do not depend on it here, and from no other: "
                            "the condition of a branch or a mask is reversed.")


def other_array(case):
    """B = J F where F depends on one axis of the input and one of the output: another array stands in the place of the right one."""
    found = factor_field(case)
    n = len(case.shape)
    if found is None or len(found[1]) != 2 or not found[1][0] < n <= found[1][1] or not np.isfinite(found[0]).all():
        return None
    f = found[0]
    if np.abs(f * f.mean() - f.mean(axis=0) * f.mean(axis=1, keepdims=True)).max() <= 1e-4 * np.abs(f).max() ** 2:
        return None                                       # a factor of the input times one of the output
    values = case.exam.copies()
    values[case.position] = case.x * np.random.default_rng(case.exam.seed + 73).uniform(0.6, 1.4, case.shape)
    then = None if case.late else jacobians(case, values)
    if then is None:
        return None
    over = np.expand_dims(f, tuple(d for d in range(n + len(case.out_shape)) if d not in found[1]))
    j, b = (m.reshape(*case.shape, *case.out_shape) for m in then)
    if np.abs(b - j * over).max() > 1e-4 * np.abs(b).max():
        return None                                       # it changes with this input: a derivative that is taken behind it
    return "shifted", (f"the gradient of {case.name} has the right form, but a wrong array in it (one number for each index of "
                       f"{places(found[1], n)}): backward multiplies by another array than forward did. Look at what the cache holds.")


def between_outputs(case):
    """B = J M, the same M for all inputs: gradients go wrongly from one output to another, before they reach any input."""
    m = solved(case)
    if m is None:
        return None
    extra = m - np.eye(len(m))
    big = np.abs(extra) > 1e-5 * max(1.0, np.abs(m).max())
    if big.sum() > 2 * len(m):
        return None
    return "wrong-local-derivative", ("all gradients are right but for what one output does to another on the way back "
                                      f"({int(big.sum())} factors that are wrong, the same for every input): look at the line "
                                      "where the gradient of one output is added to that of another, at its factors and "
                                      "derivatives.")


def solved(case):
    """M with B = J M for the stacked Jacobians of all inputs; None where there is none or more than one."""
    if "m" in case.asked:
        return case.asked["m"]
    case.asked["m"] = None
    exam = case.exam
    if case.b is None or len(exam.shapes) < 2 or any(e.jacobian is None for e in exam.evidence):
        return None
    j, b = np.concatenate([e.jacobian for e in exam.evidence]), np.concatenate(case.asked["columns"])
    if j.shape[1] > 200 or len(j) < 1.5 * j.shape[1] or np.linalg.cond(j) > 1e5:
        return None
    m = np.linalg.lstsq(j, b, rcond=None)[0]
    if np.abs(j @ m - b).max() <= 1e-5 * np.abs(b).max():
        case.asked["m"] = m
    return case.asked["m"]


def term_field(case):
    """J - B, divided by an array that is there, depends on fewer axes than J and B so divided do: one separate term."""
    found = grids(case)
    if found is None:
        return None
    j, b = found
    n, d = len(case.shape), j - b
    arrays = [(None, np.ones((1,) * d.ndim))]
    arrays += [(case.exam.subject.names[i], z.reshape(*z.shape, *(1,) * len(case.out_shape)))
               for i, z in ((i, case.exam.values[i]) for i in case.exam.wanted) if z.shape == case.shape]
    if case.exam.y0.size > 1:
        arrays.append(("the output", case.exam.y0.reshape((1,) * n + case.out_shape)))
    live = np.abs(d) > 1e-4 * np.abs(d).max()
    if live.sum() < 6:
        return None
    for name, z in arrays:
        if np.count_nonzero(z) < z.size / 2:
            continue
        with np.errstate(all="ignore"):
            fields = [collapsed(np.where(live, m / np.where(z, z, np.nan), np.nan)) for m in (d, j, b)]
        if len(fields[0][1]) < min(len(fields[1][1]), len(fields[2][1])) and fields[0][0].size * 2 <= live.sum():
            return "term-missing", (f"what is missing in the gradient of {case.name} is a separate term: "
                                    f"{f'{name} times ' if name else ''}a "
                                    f"factor that depends on {places(fields[0][1], n) or 'nothing else'}.")
    return None


def places(axes, n):
    own, out = [a for a in axes if a < n], [a - n for a in axes if a >= n]
    return " and ".join([f"{axes_text(own)} of the input"] * bool(own) + [f"{axes_text(out)} of the output"] * bool(out))


def collapsed(f):
    """f without the axes along which it is constant (nan aside), and the axes that are left."""
    axes, room = [], 1e-5 * np.nanmax(np.abs(f))
    for axis in range(f.ndim):
        mean = nan_mean(f, (axis,))
        if f.shape[axis] > 1 and not (np.nanmax(np.abs(f - mean)) <= room):
            axes.append(axis)
        else:
            f = mean
    return f, axes


def one_slice_of_another(case):
    """N is the sum of another input's gradient over one of its axes, and A one slice of it."""
    if not case.whole:
        return None
    for other in case.exam.evidence:
        if other is case.e or other.where is not None or other.x.ndim != len(case.shape) + 1:
            continue
        n = other.n.reshape(len(other.n), *other.x.shape)
        for axis in range(other.x.ndim):
            if other.x.shape[:axis] + other.x.shape[axis + 1:] != case.shape or other.x.shape[axis] < 2:
                continue
            whole = n.sum(axis=axis + 1).reshape(len(n), -1)
            if np.abs(whole - case.n).max() > 1e-5 * np.abs(case.n).max():
                continue
            for k in range(other.x.shape[axis]):
                if case.explains(n.take(k, axis + 1).reshape(len(n), -1)):
                    return "overwritten", (f"the gradient of {case.name} must be the sum of that of {other.name} over its axis "
                                           f"{axis}, and is only its slice {k}: overwritten where it must be added up.")
    return None


def uses(case):
    """A matrix that one example meets k times has a Jacobian of rank k (each use an outer product), and B has a lower one."""
    if case.b is None or len(case.shape) != 2 or not case.out_shape or case.out_shape[0] < 1:
        return None
    ranks = []
    for m in (case.j, case.b):
        m = m.reshape(*case.shape, case.out_shape[0], -1)
        ranks.append([min(rank(m[:, :, k].reshape(case.shape[0], -1)), rank(m[:, :, k].swapaxes(0, 1).reshape(case.shape[1], -1)))
                      for k in range(min(case.out_shape[0], 4))])
    right, found = np.array(ranks)
    if not (found < right).all() or not found.all() or right.max() >= min(case.shape):
        return None
    one = found.max() == 1
    return ("overwritten" if one else "term-missing"), (
        f"every example meets {case.name} {right.max()} times, as the rank of its Jacobian shows, and in the gradient "
        f"{'only one use counts' if one else f'{found.max()} uses count'}. Add all of them up (+=).")


def rank(m):
    s = np.linalg.svd(m, compute_uv=False)
    return int((s > 1e-6 * s[0]).sum()) if s.size and s[0] > 0 else 0


def function_of_right_one(case):
    """Every entry of B is the same polynomial of that of J: J (1 - J), the square of the right derivative."""
    if case.b is None:
        return None
    live = np.abs(case.j) > TINY * np.abs(case.j).max()
    j, b = case.j[live], case.b[live]
    distinct = np.unique(np.round(j / np.abs(j).max(initial=1e-300), 4)).size
    if distinct < 10 or np.abs(case.b[~live]).max(initial=0) > TINY * np.abs(b).max():
        return None
    c = np.linalg.lstsq(np.vander(j, 4), b, rcond=None)[0]
    if np.abs(np.vander(j, 4) @ c - b).max() > 1e-5 * np.abs(b).max():
        return None
    return "wrong-local-derivative", (f"every derivative that backward uses for {case.name} is the same function of the right "
                                      "one (such as p (1 - p) where it must be p): the formula is that of another function.")
