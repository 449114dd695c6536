"""Large inputs: random directions first, single elements only where a direction disagrees.

Along a direction v the number <u, y> changes at the rate <A, v>, if A is right.  One direction costs as much as one element, and
no wrong element can hide from it, because no component of v is small.  So a layer with millions of elements is checked in a few
forward passes.  Where a direction disagrees, the box of elements that it moves is halved again and again, towards the half that
disagrees more, down to one wrong element; a sample of single elements around it tells the diagnosis what the mistake looks like.
"""

import time

import numpy as np

from .numeric import EPS, RTOL, Rung, contract, scales_of, slopes
from .report import InputReport

DIRECTIONS = 2
MANY = 100_000                                            # above so many elements one direction moves all inputs together
DETAILED = 3                                              # of so many wrong inputs single elements are looked at
SAMPLE = 120                                              # elements that are looked at one by one


def measure_directions(exam):
    """Judge every input by directions, and collect Evidence about a sample of elements of those that are wrong."""
    numbers = range(len(exam.wanted))
    together, alone = groups(exam)
    passed = {n: True for n in numbers}
    count = 1 if exam.n_elements > MANY else DIRECTIONS   # for each of two upstream gradients
    if len(together) > 1 and agrees(exam, together, count=count):
        suspects = alone
    else:
        suspects = [*together, *alone]
    wrong, skipped = 0, []
    for n in suspects:
        if wrong == DETAILED and hasty(exam):
            skipped.append(n)
            continue
        passed[n] = agrees(exam, [n])
        wrong += not passed[n]
    exam.report.inputs = []
    for n in numbers:
        i = exam.wanted[n]
        row = InputReport(exam.subject.names[i], exam.values[i].shape, passed[n], "directions",
                          checked=DIRECTIONS if n in suspects else count)
        if i in exam.misshapen:
            row.passed, row.note = False, f"its gradient has the shape {np.shape(exam.misshapen[i])}"
        elif exam.is_data(i):
            row = InputReport(row.name, row.shape, how="not checked", note="backward returns no gradient for it: taken as data")
        elif n in skipped:
            row.how, row.note = "not checked", "others are wrong already"
        elif not passed[n] and len(exam.evidence) == DETAILED:
            row.note = "a random direction disagrees; single elements were looked at only of the inputs above"
        elif not passed[n]:
            e = sample(exam, n)
            exam.evidence.append(e)
            if not hasty(exam):
                exam.confirm(e)
            found = exam.row(e)
            if not found.passed:
                row = found
            else:
                row.note = "a random direction disagrees, but none of the elements looked at one by one does"
        exam.report.inputs.append(row)


def hasty(exam):
    """Whether a pass takes so long (a whole network) that even the search for one wrong element would take too long."""
    return 300 * exam.forward_seconds > exam.patience


def groups(exam):
    """Inputs that one direction may move together, and those whose share in the change would be too small to be seen there."""
    share = np.array([np.linalg.norm(a[0] * scales_of(exam.values[i])) for a, i in zip(exam.a, exam.wanted)])
    together = [n for n in range(len(share)) if share[n] > 1e-3 * share.max(initial=0)]
    return together, [n for n in range(len(share)) if n not in together]


def direction(exam, number, box=None):
    """A random direction of one input, flat, each component of the size of the element's scale; zero outside of the box."""
    x = exam.values[exam.wanted[number]]
    v = exam.rng.choice([-1.0, 1.0], x.shape) * exam.rng.uniform(0.5, 1.5, x.shape) * scales_of(x).reshape(x.shape)
    if box is None:
        return v.ravel()
    inside = np.zeros(x.shape)
    inside[box] = 1
    return (v * inside).ravel()


def agrees(exam, numbers, box=None, count=DIRECTIONS):
    """Whether <A, v> equals the change of <u, y> along v, for random directions of some inputs."""
    if (excess(exam, numbers, box, count) <= 0).all():
        return True
    return not hasty(exam) and bool((excess(exam, numbers, box, count, True) <= 0).all())


def excess(exam, numbers, box=None, count=DIRECTIONS, thorough=False):
    """How much <A, v> is off beyond the tolerance, relative to the change: (count, k); at most 0 where it agrees."""
    vs = [[direction(exam, n, box) for n in numbers] for _ in range(count)]

    def outputs(j, t):
        values = exam.copies()
        for n, v in zip(numbers, vs[j]):
            values[exam.wanted[n]] += (t * v).reshape(values[exam.wanted[n]].shape)
        return values
    s = slopes(lambda j, t: exam.view(outputs(j, t)), np.ones(count), np.ones(count), exam.point, exam.noise, exam.weights,
               thorough)
    n, half, bar, size, kink, undefined, *_ = contract(s, exam.weights, False)
    a, rounding = along(exam, exam.a, numbers, vs)
    off = np.abs(a - n) - half - (5 * bar + RTOL * size + 1000 * exam.fuzz * EPS * rounding)
    gap = np.where(undefined[None], np.inf, np.abs(a - n)) / np.maximum(rounding, 1e-300)
    exam.gap = max(exam.gap, np.where(np.isnan(gap), np.inf, gap).max(initial=0))
    off = np.where(undefined[None], -np.inf, np.where(np.isnan(off), np.inf, off)).T
    for j in range(count):
        if kink[j] or undefined[j] or (off[j] > 0).any():
            off[j] = away_from_kinks(exam, numbers, vs[j], lambda t, j=j: exam.flat(outputs(j, t)), off[j], thorough)
    return off


def along(exam, gradients, numbers, vs):
    """<A, v> and the size of what rounding may do to it, (k, count)."""
    rows = range(len(gradients[0]))
    a = np.array([[sum(gradients[m][k] @ v for m, v in zip(numbers, row)) for row in vs] for k in rows])
    rounding = np.array([[sum(np.linalg.norm(gradients[m][k] * v) for m, v in zip(numbers, row)) for row in vs] for k in rows])
    return a, rounding


def away_from_kinks(exam, numbers, v, curve, off, thorough):
    """The excess (k,) with those outputs left out that have a kink within reach of the direction: ties, units near zero."""
    if not exam.subject.upstream:
        return off
    near = Rung(lambda j, t: curve(t), np.zeros(1, int), np.array([2.0 ** -20]), exam.y0, exam.noise_of_outputs[None])
    rough = near.bent[0] | ~np.isfinite(near.bar[0])
    if not rough.any() or rough.all():
        return off
    u = np.where(rough, 0, exam.u)
    gradients = [np.stack(rows) for rows in zip(*[exam.gradients(row, checked=False) for row in u])]
    y0, noise = u @ np.where(rough, 0, exam.y0), 3 * np.sqrt(u ** 2 @ exam.noise_of_outputs ** 2)
    noise += EPS * np.abs(y0)
    s = slopes(lambda j, t: u @ np.where(rough, 0, curve(t)), np.ones(1), np.ones(1), y0, noise, np.eye(len(u)), thorough)
    n, half, bar, size, _, undefined, *_ = contract(s, np.eye(len(u)), False)
    a, rounding = along(exam, gradients, numbers, [v])
    found = (np.abs(a - n) - half - (5 * bar + RTOL * size + 1000 * exam.fuzz * EPS * rounding))[:, 0]
    return np.where(undefined[0] | np.isnan(found), off, found)


def bisect(exam, number):
    """One wrong element: halve the box along its longest axis, and stay in the half that is off more."""
    shape = exam.values[exam.wanted[number]].shape
    box = tuple(slice(0, s) for s in shape)
    while any(b.stop - b.start > 1 for b in box):
        axis = max(range(len(box)), key=lambda d: box[d].stop - box[d].start)
        middle = (box[axis].start + box[axis].stop) // 2
        halves = [(*box[:axis], slice(*ends), *box[axis + 1:]) for ends in ((box[axis].start, middle), (middle, box[axis].stop))]
        box = max(halves, key=lambda half: excess(exam, [number], half, 1).max())
    return int(np.ravel_multi_index([b.start for b in box], shape)) if shape else 0


def sample(exam, number):
    """Evidence about single elements: a wrong one, its lines along every axis, and random ones."""
    x = exam.values[exam.wanted[number]]
    start = time.perf_counter()
    positions = [int(exam.rng.integers(x.size)) if hasty(exam) else bisect(exam, number)]
    centre = np.unravel_index(positions[0], x.shape)
    spread = exam.rng.permutation(x.size)[:SAMPLE]
    for axis, size in enumerate(x.shape):
        for place in exam.rng.permutation(size)[:6]:
            positions.append(int(np.ravel_multi_index([*centre[:axis], place, *centre[axis + 1:]], x.shape)))
    order = np.argsort(x, axis=None)                      # by value as well: a branch of the function may be taken by few elements
    rank = int(np.flatnonzero(order == positions[0])[0])
    ranks = {*np.linspace(0, x.size - 1, 24).astype(int), *range(max(rank - 4, 0), min(rank + 5, x.size))}
    ranks |= {*range(5), *range(x.size - 5, x.size)}
    positions += [int(order[r]) for r in sorted(ranks) if r < x.size]
    positions = np.array(list(dict.fromkeys([*positions, *map(int, spread)])))[:SAMPLE]
    cost = (time.perf_counter() - start) / 40 + 4 * exam.forward_seconds
    positions = np.sort(positions[:max(16, int(exam.patience / max(cost, 1e-9)))])
    i = exam.wanted[number]
    keep = len(positions) * exam.y0.size <= 4_000_000
    block = max(1, 300_000 // max(exam.point.size, 1))
    blocks = [exam.slopes_of(i, positions[k:k + block], keep) for k in range(0, len(positions), block)]
    return exam.gather(number, i, blocks, keep, positions)
