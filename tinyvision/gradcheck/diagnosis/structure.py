"""Hypotheses about the Jacobian's structure: which outputs an element reports to, and which of them backward asks.

J (n, m) is the numeric Jacobian, B (n, m) the analytic one, got from one backward pass for each output; the right B is J itself.
"""

import warnings
from itertools import combinations

import numpy as np

from .case import axes_text, figure, listed, quadratic
from .points import without
from .terms import elsewhere, statistics_missing
from .values import indices, local_derivative_missing, sum_to

TINY = 1e-6


def diagonal_only(case):
    """B is the diagonal of J."""
    if case.j is None or case.out_shape != case.shape or case.j.shape[0] != case.j.shape[1] or case.j.shape[0] < 2:
        return None
    if not case.explains(case.u * np.diag(case.j)):
        return None
    return "diagonal-only", (f"the gradient of {case.name} uses only the diagonal of the Jacobian, as if every output depended "
                             "on its own input alone. Here each output depends on others as well (through a sum, a mean or a "
                             "norm): these terms are missing.")


def overwritten(case, any_one=False):
    """Every entry of B is right or zero, and of several contributions to an element the last (or the first) is left.

    A contribution may be that of several outputs: all channels at one place of the window.  any_one: it need not be the last.
    """
    if case.b is None or case.out_shape is None or not case.out_shape:
        return one_contribution(case)
    equal, dropped, extra = case.difference
    if not dropped.any() or not (equal | dropped).all():
        return None
    live = np.abs(case.j) > 1e-6 * np.abs(case.j).max()
    index = np.stack(np.unravel_index(np.arange(live.shape[1]), case.out_shape))          # (axes, m)
    hit = np.flatnonzero(dropped.any(axis=1))
    kept = live & ~dropped
    wiped = len(hit)
    hit = hit[kept[hit].any(axis=1)]                      # to the others a later window has written a zero
    if not hit.size:
        return None
    single = np.array([all(np.ptp(index[d, kept[row]]) == 0 for row in hit) for d in range(len(case.out_shape))])
    last, first = True, len(hit) == wiped
    any_one = any_one and first
    for row in hit:
        place = index[single][:, kept[row]][:, :1]
        same_place = live[row] & (index[single] == place).all(axis=0)
        if not single.any() or (same_place != kept[row]).any():
            return None
        others = index[single][:, live[row]]
        rank = np.ravel_multi_index(others, np.array(case.out_shape)[single])
        own = np.ravel_multi_index(place[:, 0], np.array(case.out_shape)[single])
        last, first = last and own == rank.max(), first and own == rank.min()
    if not (last or first or any_one):
        return None
    if first and (branch := outputs_dropped(case)) and branch[0] == "term-missing":
        return branch                                     # whoever overwrites leaves the last; here it is a part of the output
    carried = along_itself(case, live, kept)
    if carried is not None:
        return "term-missing", (f"in the gradient of {case.name} an element counts only for the output with its own index along "
                                f"axis {carried[0]}, though it reaches the later ones as well: what is handed on from step to step "
                                "(the hidden state) has no gradient. Add dh of the next step to that of this one.")
    which = "last" if last else "first" if first else "one that was written"
    return "overwritten", (f"of several contributions to an element of {case.name} only the {which} counts ({wiped} elements): "
                           "it is overwritten where it must be added up. Use += (or np.add.at for repeated indices) in "
                           "backward.")


def one_use_of_several(case):
    """B is zero or a k-th of J: an element that k equal contributions reach (a row that is looked up k times) gets one."""
    if case.b is None or not case.out_shape or not case.wrong.any() or not (case.judged & ~case.zero & ~case.wrong).any():
        return None
    live = np.abs(case.j) > 1e-4 * np.abs(case.j).max()
    r = np.where(live, case.b / np.where(live, case.j, 1), 0)
    if np.abs(case.b[~live]).max(initial=0) > 1e-4 * np.abs(case.b).max():
        return None
    kept = np.abs(r) > 1e-6
    k = 1 / np.where(kept, r, 1)
    if np.abs(k - np.round(k)).max() > 1e-4 or k.min() < 0.5 or k.max() < 1.5 or not (live & ~kept).any():
        return None
    index = np.stack(np.unravel_index(np.arange(live.shape[1]), case.out_shape))
    rows = np.flatnonzero(case.wrong)
    if not all(kept[row].any() and np.ptp(index[0, kept[row]]) == 0 for row in rows) or not any(np.ptp(index[0, live[row]]) for row in rows):
        return None
    return "overwritten", (f"of up to {int(np.round(k).max())} equal contributions to an element of {case.name} one counts, and of several "
                           "examples that use it only one: it is assigned where it must be added up (+=, np.add.at).")


def along_itself(case, live, kept):
    """(axis of the input, of the output) along which an element reaches its own index and all later ones, and keeps its own."""
    for p, size in enumerate(case.shape):
        for q in (q for q, m in enumerate(case.out_shape) if m == size > 2):
            i = np.unravel_index(np.arange(len(live)), case.shape)[p]
            o = np.unravel_index(np.arange(live.shape[1]), case.out_shape)[q]
            reached = np.zeros((size, size), bool)
            np.logical_or.at(reached, (i[:, None] + 0 * o, o + 0 * i[:, None]), live)
            ahead = np.triu(np.ones((size, size), bool))
            wide = (reached == ahead).all() or (reached == ahead.T).all()
            if wide and not (kept & (i[:, None] != o)).any() and (kept == (live & (i[:, None] == o))).all():
                return p, q
    return None


def one_of_several(case):
    """As overwritten, whichever contribution is left."""
    return overwritten(case, any_one=True)


def one_contribution(case):
    """Without B: each wrong element is equal to a single contribution J_io u_o, for every upstream gradient."""
    if case.j is None or case.zero[case.wrong].any() or not case.wrong.any():
        return None
    kept = np.zeros(case.j.shape[1], bool)
    for row in np.flatnonzero(case.wrong):
        terms = case.j[row] * case.u
        live = np.abs(case.j[row]) > 1e-9 * np.abs(case.j).max()
        fits = (np.abs(terms - case.a[:, row, None]) <= case.slack[:, row, None]).all(axis=0) & live
        if live.sum() < 2 or fits.sum() < 1 or len(case.u) < 2:
            return None
        kept |= fits
    array = np.repeat(np.arange(len(case.exam.shapes)), [int(np.prod(shape)) for shape in case.exam.shapes])
    used = np.unique(array[kept])
    if len(used) == 1 < len(case.exam.shapes) and (np.abs(case.j[case.wrong]) > 0)[:, array != used[0]].any():
        others = listed(int(k) for k in np.unique(array) if k != used[0])
        return "term-missing", (f"the gradient of {case.name} comes from output {used[0]} alone; the path to output {others} is not "
                                "followed, or its share is overwritten where it must be added up.")
    return "overwritten", (f"every wrong element of the gradient of {case.name} equals the contribution of a single output: "
                           "overwritten where it must be added up. Use += in backward.")


def outputs_dropped(case):
    """Every entry of B is right or zero, and what is zero belongs to some outputs or to some elements."""
    if case.b is None:
        return None
    equal, dropped, extra = case.difference
    if not dropped.any() or not (equal | dropped).all():
        return None
    live = np.abs(case.j) > 1e-6 * np.abs(case.j).max()
    if case.out_shape is not None and case.out_shape:
        for axis in range(len(case.out_shape)):
            gone, there = profile(dropped, live, case.out_shape, axis)
            silent = (gone == there) & (there > 0)
            if silent.any() and (gone[~silent] == 0).all() and not silent.all():
                lost = np.flatnonzero(silent)
                branch = axis == 1 and len(lost) > 1
                cause = "term-missing" if branch else "wrong-slice"
                extra = f" The path from {case.name} to them is not followed." if branch else " Look at how far the loop or the slice runs."
                return cause, (f"in the gradient of {case.name} the outputs at {'index' if len(lost) == 1 else 'indices'} "
                               f"{indices(lost, case.out_shape[axis])} of axis {axis} do not count.{extra}")
        return box_dropped(case, dropped, live)
    return None


def box_dropped(case, dropped, live):
    """outputs_dropped, where the outputs are a box of several axes: the last window."""
    there, silent = live.any(axis=0), (dropped == live).all(axis=0) & live.any(axis=0)
    if not silent.any() or silent.sum() == there.sum() or dropped[:, ~silent].any():
        return None
    index = np.stack(np.unravel_index(np.arange(live.shape[1]), case.out_shape))
    for part, words in ((silent, "do not count"), (there & ~silent, "alone count")):
        sides = [np.unique(row[part]) for row in index]
        box = np.all([np.isin(row, side) for row, side in zip(index, sides)], axis=0)
        if (box & there).sum() == part.sum() and all((np.diff(side) == 1).all() for side in sides):
            texts = [f"{indices(side, size)} of axis {axis}" for axis, (side, size) in enumerate(zip(sides, case.out_shape))
                     if len(side) < size]
            return "wrong-slice", (f"in the gradient of {case.name} the outputs at {' and '.join(texts)} {words}. Look at how far the "
                                   "loops or the slices run.")
    return None


def contributions_dropped(case):
    """Every entry of B is right or zero."""
    if case.b is None:
        return None
    equal, dropped, _ = case.difference
    live = np.abs(case.j) > 1e-6 * np.abs(case.j).max()
    if not dropped.any() or not (equal | dropped).all():
        return None
    return "term-missing", (f"in the gradient of {case.name} {int(dropped.sum())} of {int(live.sum())} contributions of "
                            f"outputs are missing, and the others are right: a path from {case.name} to the output is not "
                            "followed.")


def profile(dropped, live, shape, axis):
    """How many contributions are dropped, and how many there are, per index of an output axis."""
    others = tuple(d + 1 for d in range(len(shape)) if d != axis)
    total = [m.reshape(len(m), *shape).sum(axis=(0, *others)) for m in (dropped, live)]
    return total


def factor_by_any_element(case):
    """A = N times a factor of each element's own."""
    return factor_by_element(case, of_its_own=True)


def factor_by_element(case, of_its_own=False):
    """A = N times a factor that depends on one axis of the input (or two); of its own only where it is another input."""
    if not case.whole or not case.shape:
        return None
    live = case.judged & (np.abs(case.n) > 1e-3 * np.abs(case.n).max(axis=1, keepdims=True)).any(axis=0)
    if live.sum() < 2:
        return None
    size = np.abs(case.n).max(axis=1, keepdims=True)
    a, m = case.a / size, case.n / size                   # what one upstream gradient hardly shows, another does
    ratio = np.where(live, (a * m).sum(axis=0) / np.where(live, (m * m).sum(axis=0), 1), np.nan)
    if np.abs(a - ratio * m)[:, live].max() > 1e-5 * np.abs(a).max():
        return None                                       # not a factor: it depends on the upstream gradient
    grid, n = ratio.reshape(case.shape), len(case.shape)
    for count in (1, 2):
        for axes in combinations(range(n), count):
            rest = tuple(d for d in range(n) if d not in axes)
            if not rest and n > 1 and not of_its_own or all(case.shape[d] == 1 for d in axes):
                continue
            f = nan_mean(grid, rest)
            factor = np.broadcast_to(f, case.shape).reshape(-1)
            if case.explains(np.where(np.isfinite(factor), factor, 0) * case.n):
                found = factor_named(case, f, axes, rest, live, of_its_own)
                if found:
                    return found
    return None


def factor_named(case, f, axes, rest, live, of_its_own):
    """What a factor that depends on these axes is, or None where it says nothing."""
    values, match = f.reshape(-1), matched(case, f, axes)
    if len(values) < 2 or np.nanmax(values) - np.nanmin(values) <= 1e-6 * np.nanmax(np.abs(values)):
        return None
    whole = all(case.shape[d] == 1 for d in rest)
    if whole and not match and (not of_its_own or one_output_each(case, live)):
        return None                                       # any gradient is the right one times a factor
    others = values[np.isfinite(values) & (np.abs(values - 1) > 1e-5)]
    if len(others) < np.isfinite(values).sum() and np.ptp(others) <= 1e-5 * np.abs(others).max():
        return None                                       # one factor, in some places only: a part is wrong
    span = f"from {figure(np.nanmin(values))} to {figure(np.nanmax(values))}"
    if rest and not match and by_output(case, live, np.broadcast_to(f, case.shape).reshape(-1), values):
        return "wrong-local-derivative", (f"the gradient of {case.name} is right but for a factor of each output's own, "
                                          f"{span}: the derivative of what is done last, to each output, is missing or wrong.")
    if not rest and len(case.shape) > 1:
        return "wrong-local-derivative", (f"each element of the gradient of {case.name} is right but for a factor of its own, "
                                          f"{span}, whatever the upstream gradient: the last factor on the way to it is missing "
                                          "or wrong.")
    if not match and not case.exam.subject.upstream and axes == (0,) and len(case.shape) > 1:
        return of_rows(case, values)
    return "factor-per-axis", (f"the gradient of {case.name} is right but for a factor that depends on "
                               f"{axes_text(axes)}: {listed(map(figure, values))}{match}.")


def of_rows(case, factors):
    """A loss of many rows, whose gradients have the right directions and the wrong lengths."""
    found = elsewhere(case)
    if found is not None:
        rows = [z.reshape(len(factors), -1) for z in found[:2]]
        new = (rows[0] * rows[1]).sum(axis=1) / np.maximum((rows[1] ** 2).sum(axis=1), 1e-300)
        if np.abs(new - factors)[np.isfinite(factors)].max(initial=0) <= 1e-4 * np.nanmax(np.abs(factors)):
            return "factor-per-axis", (f"each row of the gradient of {case.name} is right but for a factor of its own that does not "
                                       f"depend on {case.name}: {listed(map(figure, factors))}. A weight (of the class, of the example) "
                                       "or a count is missing or misused.")
    start = (f"each row of the gradient of {case.name} is right but for a factor of its own ({listed(map(figure, factors))}): what is "
             "computed from the row's number")
    if (factors > 0).all() and (factors < 1).all():
        return "term-missing", (f"{start} has a derivative of more terms than backward has (the product rule: a factor that depends "
                                f"on {case.name} too is treated as a constant weight).")
    return "wrong-local-derivative", f"{start} has another derivative than backward has."


def by_output(case, live, factor, values):
    """Whether every element reports to one output only, and all elements of an output share a factor that no other output has."""
    if case.j is None or not 4 <= case.u.shape[1] == len(values) == np.unique(np.round(values, 5)).size:
        return False
    hits = np.abs(case.j) > 1e-6 * np.abs(case.j).max()
    own = [factor[h & live] for h in hits.T if (h & live).any()]
    return bool((hits.sum(axis=1)[live] == 1).all() and all(np.ptp(f) <= 1e-5 * np.nanmax(np.abs(factor)) for f in own))


def one_output_each(case, live):
    """Whether every element reports to one output only."""
    return case.j is None or (np.count_nonzero(np.abs(case.j) > 1e-6 * np.abs(case.j).max(), axis=1)[live] < 2).all()


def nan_mean(z, axes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)   # a slice without any usable element has the mean nan
        return np.nanmean(z, axis=axes, keepdims=True) if axes else z


def matched(case, f, axes):
    """Which other input the factor is, or which length of a slice: itself, its inverse, its square."""
    f = f.reshape(-1)
    ok = np.isfinite(f)
    own = [(case.name, case.x)] if f.size == case.x.size else []
    for name, z in [*((name, other.reshape(-1)) for name, other in [*own, *arrays(case)]), *lengths(case, axes)]:
        if z.size != f.size:
            continue
        with np.errstate(all="ignore"):
            for word, form in ((name, z), (f"1 / {name}", 1 / z), (f"{name}^2", z ** 2), (f"1 / {name}^2", 1 / z ** 2)):
                if np.allclose(f[ok], form[ok], rtol=1e-5):
                    return f", which is {word}"
    return ""


def arrays(case):
    """(name, array) of all other inputs, also of those that are not differentiated; weights of classes as labels pick them."""
    exam = case.exam
    floats = [(name, v) for name, v in zip(exam.subject.names, exam.values) if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    yield from ((name, v) for name, v in floats if v is not case.x)
    for label, y in zip(exam.subject.names, exam.values):
        if isinstance(y, np.ndarray) and y.dtype.kind in "iu" and y.size and y.min() >= 0:
            yield from ((f"{name}[{label}]", v[y]) for name, v in floats if v.ndim == 1 and y.max() < len(v))


def lengths(case, axes):
    """(name, numbers) of each slice along the axes: norm and standard deviation, of x and of what lies between it and another."""
    if len(axes) != 1 or len(case.shape) < 2:
        return
    others = [(f"{case.name} - {name}", case.x - v) for name, v in arrays(case) if v.shape == case.shape]
    for name, z in [(case.name, case.x), *others]:
        z = np.moveaxis(z, axes[0], 0).reshape(case.shape[axes[0]], -1)
        yield f"the norm of {name}", np.sqrt((z ** 2).sum(axis=1))
        yield f"the standard deviation of {name}", z.std(axis=1)


def factor_by_output(case):
    """B = J D with a factor for each output that depends on one of its axes: dout was multiplied by it."""
    if case.b is None or case.out_shape is None or not case.out_shape:
        return None
    live = np.abs(case.j) > 1e-4 * np.abs(case.j).max()
    d = np.full(case.j.shape[1], np.nan)
    for o in range(len(d)):
        rows = live[:, o]
        if rows.any():
            d[o] = (case.b[rows, o] * case.j[rows, o]).sum() / (case.j[rows, o] ** 2).sum()
    if not case.explains((np.where(np.isfinite(d), d, 0) * case.u) @ case.j.T):
        return None
    grid = d.reshape(case.out_shape)
    found = of_last_function(case, d) or at_ends(case, grid)
    if found:
        return found
    for axis in range(len(case.out_shape)):
        rest = tuple(a for a in range(len(case.out_shape)) if a != axis)
        f = nan_mean(grid, rest)
        if np.nanmax(np.abs(grid - f)) <= 1e-5 * np.nanmax(np.abs(grid)):
            return "factor-per-axis", (f"the gradient of {case.name} is right but for a factor on each output that depends on "
                                       f"axis {axis}: {listed(map(figure, f.reshape(-1)))}{matched(case, f, (axis,))}.")
    others = d[np.isfinite(d) & (np.abs(d - 1) > 1e-5)]   # a function may be applied to a part of the outputs
    if len(np.unique(np.round(others / np.nanmax(np.abs(d)), 5))) > 0.8 * len(others) > 4:
        return without(case) or ("wrong-local-derivative", (
            f"the gradient of {case.name} is right but for a factor of each output's own, from {figure(np.nanmin(d))} to "
            f"{figure(np.nanmax(d))}, that depends on the data: the derivative of what is done last to each element has a wrong formula, "
            "or is taken elsewhere."))
    return "factor-per-axis", (f"the gradient of {case.name} is right but for a factor that each output's share has, from "
                               f"{figure(np.nanmin(d))} to {figure(np.nanmax(d))}: a weight, a count or a divisor that differs "
                               "from output to output (at borders?) is missing or misused.")


def at_ends(case, grid):
    """A factor of one everywhere but for the first and last outputs along some axes: the border's own count is not taken."""
    off = np.argwhere(np.abs(grid - 1) > 1e-5)
    axes = [axis for axis, size in enumerate(grid.shape) if size > 3]
    if not len(off) or np.isnan(grid).any() or 2 * len(off) > grid.size and len(axes) < 2:
        return None
    if not np.any([np.isin(off[:, axis], (0, grid.shape[axis] - 1)) for axis in axes], axis=0).all() or not axes:
        return None
    return "wrong-slice", (f"the gradient of {case.name} is right but for the shares of the outputs at the border (of {axes_text(axes)}; "
                           f"{len(off)} of {grid.size}), which have a factor: a count or a divisor that is another one there, where the "
                           "window is not full.")


def of_last_function(case, d):
    """Whether the factor d of each output comes from the derivative of the last function, a polynomial of the output."""
    known = np.isfinite(d) & (d != 0)
    y = case.exam.y0[known]
    if known.sum() < 6 or not np.ptp(y):
        return None
    c, size = fitted(y, 1 / d[known]), np.abs(d[known]).max()
    if c is not None and np.ptp(np.polyval(c, y)) > 1e-3 * np.abs(np.polyval(c, y)).max():
        small = np.abs(c) <= 1e-4 * np.abs(c).max()
        if small.sum() and not (small[0] and not small[2]):             # 1 - y^2, y (1 - y), y; but 1 + y is left over from two
            return "local-derivative-missing", (f"in the gradient of {case.name} every output's share lacks one factor, which "
                                                "is a function of the output: the derivative of the last nonlinearity (1 - y^2 "
                                                "for tanh, y (1 - y) for sigmoid).")
    for words, right in (("1 - y^2 (tanh)", 1 - y ** 2), ("y (1 - y) (sigmoid)", y * (1 - y))):
        used = d[known] * right
        if (right <= 0).any() or np.ptp(d[known]) <= 1e-3 * size:
            continue
        if fitted(y, used) is not None:
            return "wrong-local-derivative", (f"in the gradient of {case.name} every output's share has a wrong factor, which is "
                                              f"a function of the output y: the derivative of the last function, {words}, is "
                                              "written wrongly.")
        for i in case.exam.wanted:
            z = case.exam.values[i]
            alike = z.size == d.size and z.squeeze().shape == tuple(s for s in case.out_shape if s > 1)
            if alike and fitted(z.ravel()[known], used) is not None:
                return "wrong-local-derivative", (f"in the gradient of {case.name} the derivative of the last function, "
                                                  f"{words} of the output y, is taken at {case.exam.subject.names[i]} instead.")
    return None


def fitted(y, z):
    """The coefficients of a parabola that is z(y) to rounding, or None."""
    if y.size < 6:
        return None
    c = quadratic(y, z)
    return c if c is not None and np.abs(np.polyval(c, y) - z).max() <= 1e-5 * np.abs(z).max() else None


def summed_over_another_axis(case):
    """wrong_axis, for inputs that were broadcast along some axes of the output."""
    broadcast = case.out_shape is not None and len(case.shape) < len(case.out_shape)
    return wrong_axis(case) if broadcast and sum_to(np.zeros(case.out_shape), case.shape) is not None else None


def passed_on_along_another_axis(case):
    """The same where A is the upstream gradient summed: over the wrong axes, as those that are right would show."""
    return summed_over_another_axis(case) if len(case.shape) != len(case.out_shape or ()) and local_derivative_missing(case) else None


def wrong_axis(case):
    """B couples inputs and outputs along other axes than J does."""
    if case.b is None or case.out_shape is None or not case.shape or not case.out_shape:
        return None
    pairs = [(p, q) for p in range(len(case.shape)) for q in range(len(case.out_shape))
             if case.shape[p] == case.out_shape[q] > 1]
    right, found = (aligned(m, case, pairs) for m in (case.j, case.b))
    if right == found or not pairs:
        return None
    lost, new = right - found, found - right
    if new and lost:
        return "wrong-axis", (f"in the gradient of {case.name} axes are mixed up: an element belongs to the outputs with the "
                              f"same index along {text_of(lost)}, but backward treats {text_of(new)} so. Look at the axis "
                              "arguments of sums and means in backward.")
    statistic = lost and statistic_too_much(case)
    if statistic:
        return statistic
    if lost:
        return "wrong-axis", (f"backward adds up over {text_of(lost)} in the gradient of {case.name}, along which elements and "
                              "outputs with different indices have nothing to do with each other. Look at the axis arguments "
                              "of sums and means.")
    if case.shape == case.out_shape and all((p, p) in found for p in range(len(case.shape)) if case.shape[p] > 1):
        return None                                       # nothing is coupled any more: a term is missing
    statistic = statistics_missing(case)
    if statistic:
        return statistic                                  # the sum over this axis is not a wrong one, it is left out
    if not set(pairs) - found - right:
        return "term-missing", (f"in the gradient of {case.name} elements and outputs with different indices along {text_of(new)} have "
                                "nothing to do with each other any more, but in forward they are coupled through a sum, a mean or a norm: "
                                "its derivative is left out.")
    equal, dropped, extra = case.difference
    live = np.abs(case.j) > TINY * np.abs(case.j).max()
    if not extra.any() and dropped.any() and (equal & live).sum() > 0.5 * (live & ~dropped).sum():
        return "term-missing", (f"in the gradient of {case.name} what an element does to outputs with another index along "
                                f"{text_of(new)} is missing, and most of the rest is right: a second use of {case.name}, or another path "
                                "to the output, is not followed.")
    return "wrong-axis", (f"the gradient of {case.name} leaves out couplings along {text_of(new)}: forward sums over this axis "
                          "as well, backward does not. Look at the axis arguments of sums and means.")


def statistic_too_much(case):
    """Forward works element by element, and A - N looks like what goes through a mean or a variance."""
    if case.out_shape != case.shape or np.abs(case.j - np.diag(np.diag(case.j))).max() > TINY * np.abs(case.j).max():
        return None
    found = statistics_missing(case)
    if not found:
        return None
    return "extra-term", (f"forward computes every output from its own element of {case.name}, and in backward there are terms besides "
                          "that go through a mean, a variance or a sum along an axis: statistics that are constants here (running ones, "
                          "those of another layer) must not be differentiated.")


def aligned(matrix, case, pairs):
    """The pairs (input axis, output axis) along which every nonzero entry has equal indices."""
    i, o = np.nonzero(np.abs(matrix) > 1e-6 * np.abs(matrix).max(initial=0))
    if not len(i):
        return set()
    index, out = np.unravel_index(i, case.shape), np.unravel_index(o, case.out_shape)
    return {(p, q) for p, q in pairs if (index[p] == out[q]).all()}


def text_of(pairs):
    pairs = sorted(pairs)
    return axes_text(sorted({p for p, _ in pairs})) if all(p == q for p, q in pairs) else " and ".join(
        f"axis {p} of the input with axis {q} of the output" for p, q in pairs)
