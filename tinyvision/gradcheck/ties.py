"""Tied elements judged together.

Where two numbers tie for a maximum, each alone may have any slope between 0 and 1, and a backward that gives each the whole
gradient passes element by element.  Moved alike, though, they stay tied, and the maximum follows with slope 1: along that
direction the function is smooth, and the sum of the gradients of all tied elements must equal its slope.
"""

import numpy as np

from .numeric import EPS, RTOL, contract, scales_of, slopes

NEIGHBOURS = 60                                           # nearby points that show which slopes a kink may have
MOST_GROUPS = 64                                          # so many groups of tied elements are judged


def judge_ties(exam):
    """Add to exam.ties (input number, element) what is tied and together off."""
    groups = list(tied(exam))[:MOST_GROUPS]
    if not groups:
        return
    work = exam.copies()
    scales = [max(scales_of(exam.values[exam.wanted[n]])[p] for n, p in group) for group in groups]
    sizes = [max(abs(exam.values[exam.wanted[n]].ravel()[p]) for n, p in group) for group in groups]

    def curve(j, t):
        for n, p in groups[j]:
            i = exam.wanted[n]
            work[i].reshape(-1)[p] = exam.values[i].ravel()[p] + t
        y = exam.view(work)
        for n, p in groups[j]:
            i = exam.wanted[n]
            work[i].reshape(-1)[p] = exam.values[i].ravel()[p]
        return y
    suspects = range(len(groups))
    for thorough in (False, True):                        # what is off is measured again with every step of the ladder
        some = list(suspects)
        s = slopes(lambda j, t: curve(some[j], t), np.array([scales[j] for j in some]), np.array([sizes[j] for j in some]),
                   exam.point, exam.noise, exam.weights, thorough)
        suspects = together_off(exam, [groups[j] for j in some], some, contract(s, exam.weights, False))
        if not suspects:
            return
    for j in suspects:
        exam.ties.update(groups[j])


def together_off(exam, groups, numbers, found):
    """Those of the numbers whose group's gradients do not add up to the slope that was found."""
    (n, half, bar, size, _, undefined, *_), off = found, []
    for j, group in enumerate(groups):
        rows = [exam.evidence[number].a[:, place(exam.evidence[number], p)] for number, p in group]
        gap = np.maximum(np.abs(sum(rows) - n[:, j]) - half[:, j], 0)
        if not undefined[j] and (gap > 5 * bar[:, j] + RTOL * size[:, j] + 100 * exam.fuzz * EPS * sum(map(np.abs, rows))).any():
            off.append(numbers[j])
    return off


def tied(exam):
    """Groups of elements, of one input or several, that are at a kink of the same output."""
    if any(e.kink_at is None for e in exam.evidence):
        return
    seen = set()
    for output in range(exam.y0.size):
        group = frozenset((e.number, int(p) if e.where is None else int(e.where[p])) for e in exam.evidence
                          for p in np.flatnonzero(e.kink_at[:, output]))
        if len(group) > 1 and group not in seen:
            seen.add(group)
            yield sorted(group)


def place(e, p):
    return p if e.where is None else int(np.flatnonzero(e.where == p)[0])


def forgive(exam, e):
    """Widen the interval of kinked elements that seem wrong to the slopes found at nearby points.

    Where three numbers tie, the one in the middle may have slope 1, though neither of its own one-sided slopes is: the generalised
    gradient (Clarke 1975) is spanned by the gradients nearby.
    """
    suspects = np.flatnonzero(e.wrong & e.kink)[:MOST_GROUPS]
    if not suspects.size:
        return
    i, rng = exam.wanted[e.number], np.random.default_rng(exam.seed + 5)
    for _ in range(NEIGHBOURS):
        suspects = suspects[e.wrong[suspects]]
        if not suspects.size:
            return
        shift = [1e-5 * scales_of(exam.values[w]).reshape(exam.values[w].shape) * rng.uniform(-1, 1, exam.values[w].shape)
                 for w in exam.wanted]
        for p in suspects:
            q = p if e.where is None else e.where[p]
            h = 1e-9 * scales_of(exam.values[i])[q]
            y = []
            for t in (h, -h):
                values = exam.with_inputs([exam.values[w] + s for w, s in zip(exam.wanted, shift)])
                values[i].reshape(-1)[q] += t
                y.append(exam.flat(values))
            slope = exam.u @ np.where(np.isfinite(y[0] - y[1]), y[0] - y[1], 0) / (2 * h)
            room = 1e-4 * e.size[:, p]
            low, high = np.minimum(e.n[:, p] - e.half[:, p], slope - room), np.maximum(e.n[:, p] + e.half[:, p], slope + room)
            e.n[:, p], e.half[:, p] = (high + low) / 2, (high - low) / 2
