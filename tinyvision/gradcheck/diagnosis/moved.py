"""Hypotheses about order: axes exchanged, reversed or shifted, in the gradient, in the upstream gradient, or in another input."""

from itertools import combinations, permutations

import numpy as np

from .case import axes_text, listed

MOST_AXES = 5


def rearranged(shape):
    """Every (cause, words, function) that rearranges an array of this shape into one of the same shape."""
    n = len(shape)
    if n == 0 or n > MOST_AXES:
        return
    large = [d for d in range(n) if shape[d] > 1]
    for p in permutations(range(n)):
        moved = [d for d in range(n) if p[d] != d]
        if p != tuple(range(n)) and any(d in large for d in moved) and sum(shape[d] > 1 for d in moved) > 1:
            same = tuple(shape[d] for d in p) == tuple(shape)
            words = f"with {axes_text(moved)} exchanged" if same else f"transposed by {p} and then read in the order of memory"
            yield "transposed", words, lambda z, p=p: z.transpose(p).reshape(shape)
            if not same:
                yield ("transposed", f"reshaped to {tuple(shape[d] for d in p)} without a transpose",
                       lambda z, p=p: z.reshape([shape[d] for d in p]).transpose(np.argsort(p)))
    for axis in large:
        for p in (p for p in range(2, shape[axis]) if shape[axis] % p == 0):
            inner = (*shape[:axis], p, shape[axis] // p, *shape[axis + 1:])
            yield ("transposed", f"with the {p} x {shape[axis] // p} blocks of axis {axis} read in the other order",
                   lambda z, inner=inner, axis=axis: z.reshape(inner).swapaxes(axis, axis + 1).reshape(shape))
    for count in range(1, len(large) + 1):
        for axes in combinations(large, count):
            yield "flipped", f"reversed along {axes_text(axes)}", lambda z, axes=axes: np.flip(z, axes)
    for axis in large:
        for step in (1, -1, 2, -2, 3, -3, 4, -4):
            if abs(step) < shape[axis] and abs(step) < 3:
                yield "shifted", f"moved by {step} along axis {axis}", lambda z, s=step, a=axis: shift(z, s, a)
            if abs(step) < shape[axis]:
                yield "shifted", f"rolled by {step} along axis {axis}", lambda z, s=step, a=axis: np.roll(z, s, a)
    for axes in combinations([d for d in large if d >= 2], 2):
        for step in (1, -1, 2, -2):
            if all(abs(step) < shape[d] for d in axes):
                yield ("shifted", f"moved by {step} along {axes_text(axes)}",
                       lambda z, s=step, a=axes: shift(shift(z, s, a[0]), s, a[1]))


def shift(z, step, axis):
    """z moved along an axis, zeros behind it."""
    out = np.roll(z, step, axis)
    index = [slice(None)] * z.ndim
    index[axis] = slice(0, step) if step > 0 else slice(step, None)
    out[tuple(index)] = 0
    return out


HINTS = {"transposed": "Look at the transposes and reshapes on the way", "flipped": "Look at where a kernel or an axis is "
                                                                                    "reversed",
         "shifted": "Look at the padding and at where the slices begin"}


OF_INPUT = {"transposed": "its transposes and reshapes", "flipped": "is it reversed where it must be, and only there?",
            "shifted": "where do its slices begin?"}


def gradient_moved(case):
    """A is N rearranged."""
    if not case.whole:
        return None
    rows = [case.array(row) for row in case.n]
    for cause, words, move in rearranged(case.shape):
        if case.explains(np.stack([move(row).ravel() for row in rows])):
            return cause, f"the gradient of {case.name} is the right one {words}. {HINTS[cause]}."
    return None


def copy_missing(case):
    """N - A is A rearranged: of two terms that mirror each other, the neighbour's, the other side's, one is there."""
    if not case.whole or not case.shape:
        return None
    rows, missing = [case.array(row) for row in case.a], case.n - case.a
    for cause, words, move in rearranged(case.shape):
        moved = np.stack([move(row).ravel() for row in rows])
        for c in (1.0, -1.0):
            # a gradient that is itself symmetric is its own copy, and only a half of the right one
            if np.abs(missing - c * moved).max() <= case.slack.max() and case.explains(case.n - c * moved):
                return "term-missing", (f"what is missing in the gradient of {case.name} is what backward has, {words}"
                                        f"{', with the other sign' if c < 0 else ''}: every element meets two partners (the "
                                        "neighbours on both sides, row and column), and the share of one of them is not added.")
    return None


def gradient_moved_in_sample(case):
    """The same where N is known at some elements only: it is looked for in A, where it has gone to."""
    if case.whole or case.x.size > 300_000:
        return None
    a, places = case.exam.a[case.e.number], np.arange(case.x.size)
    for cause, words, move in rearranged(case.shape):
        source = move(places.reshape(case.shape) + 1).ravel() - 1         # where each element of A comes from; -1 for a zero
        gone = np.full(case.x.size, -1)
        gone[source[source >= 0]] = places[source >= 0]
        seen = case.judged & (gone[case.e.where] >= 0)
        if seen.sum() < 8 or not (case.wrong & seen).any():
            continue
        off = np.abs(a[:, gone[case.e.where]] - case.n)[:, seen]
        if (off <= case.slack[:, seen]).all() and (off.max(axis=1) <= 0.1 * np.abs(case.a - case.n)[:, seen].max(axis=1)).all():
            return cause, f"the gradient of {case.name} is the right one {words}, as far as elements were looked at. {HINTS[cause]}."
    return None


def upstream_moved(case):
    """A = J^T of the rearranged upstream gradient."""
    if case.out_shape is None or case.j is None or not case.exam.subject.upstream:
        return None
    if any(2 * size == out for size, out in zip(case.shape, case.out_shape)) and (found := parts_exchanged(case)):
        return found                                      # an input that is one half of the output
    for cause, words, move in rearranged(case.out_shape):
        u = np.stack([move(row.reshape(case.out_shape)).ravel() for row in case.u])
        if case.explains(u @ case.j.T):
            return cause, (f"the gradient of {case.name} is that of an upstream gradient {words}: the elements of dout meet "
                           f"the wrong outputs. {HINTS[cause]}.")
        both = np.stack([move(case.array(row)).ravel() for row in u @ case.j.T]) if case.out_shape == case.shape else None
        if cause == "flipped" and both is not None and case.explains(both):
            few = np.count_nonzero(np.abs(case.j) > 1e-6 * np.abs(case.j).max(), axis=1).max() <= 2
            what = "shift is repeated" if few else "running sum is begun at the same end"
            return "shifted" if few else cause, (
                f"the gradient of {case.name} runs the wrong way: it is the right one for everything {words}. A {what} where it must "
                "be undone from the other end.")
    return None


def moved_but_for_the_border(case):
    """A is N moved by one or two steps, as far as both can be seen."""
    if not case.whole:
        return None
    large = [d for d in range(len(case.shape)) if case.shape[d] > 3]
    a, n, slack = (z.reshape(len(case.a), *case.shape) for z in (case.a, case.n, case.slack))
    for count in range(1, min(len(large), 3) + 1):
        for axes in combinations(large, count):
            for step in (1, -1, 2, -2):
                ahead, behind = (tuple(slice(max(s, 0), s if s < 0 else None) if d in axes else slice(None)
                                       for d in range(len(case.shape))) for s in (step, -step))
                one, other, room = a[(slice(None), *ahead)], n[(slice(None), *behind)], slack[(slice(None), *ahead)]
                if (np.abs(one - other) <= room).all() and np.ptp(other) > 0:
                    return "shifted", (f"the gradient of {case.name} is the right one moved by {step} along {axes_text(axes)}. "
                                       f"{HINTS['shifted']}.")
    return None


def slices_permuted(case):
    """The slices of A along an axis are those of N in another order."""
    if not case.whole:
        return None
    for axis, size in enumerate(case.shape):
        if not 2 < size <= 64:
            continue
        a, n, slack = (np.moveaxis(z.reshape(len(z), *case.shape), axis + 1, 0).reshape(size, -1) for z in (case.a, case.n, case.slack))
        order = [int(np.argmin(np.abs(n - row).max(axis=1))) for row in a]
        if sorted(order) == list(range(size)) != order and (np.abs(a - n[order]) <= slack).all():
            if min(map(len, runs := in_runs(order))) > 1:
                return "swapped-gradients", (f"the gradient of {case.name} consists of {len(runs)} parts along axis {axis}, and these "
                                             f"are in the wrong order: indices {listed(order, size)} instead of "
                                             f"{listed(range(size), size)}. What forward has split or concatenated is put together "
                                             "in another order on the way back.")
            return "transposed", (f"the slices of the gradient of {case.name} along axis {axis} are in the wrong order: "
                                  f"{order} instead of {list(range(size))}. Look at the reshapes: which index runs fastest?")
    return None


def in_runs(order):
    """The runs of successive numbers in a permutation."""
    cuts = np.flatnonzero(np.diff(order) != 1) + 1
    return np.split(np.array(order), cuts)


def parts_exchanged(case):
    """Two inputs are wrong, and A is the gradient where the two halves of the output, or of a weight behind it, are exchanged."""
    if sum(not row.passed for row in case.exam.report.inputs) < 2:
        return None
    if case.out_shape is not None and case.j is not None and case.exam.subject.upstream:
        for axis in halved(case.out_shape):
            u = np.stack([half_turned(row.reshape(case.out_shape), axis).ravel() for row in case.u])
            if case.explains(u @ case.j.T):
                return "swapped-gradients", PARTS.format(case.name, f"the output along axis {axis}")
    for i, name, other in case.others():
        for axis in halved(other.shape):
            def turned(values, i=i, axis=axis):
                return replaced(values, i, lambda z: half_turned(z, axis))
            if not case.late and case.explained_everywhere(turned):
                return "swapped-gradients", PARTS.format(case.name, f"{name} along axis {axis}")
    return None


PARTS = ("the gradient of {} is the one for the other half of {}: two parts, put together in forward (concatenate, stack), are "
         "taken apart in the wrong order.")


def halved(shape):
    return [axis for axis, size in enumerate(shape) if size > 1 and size % 2 == 0]


def half_turned(z, axis):
    return np.roll(z, z.shape[axis] // 2, axis)


def other_moved(case):
    """A is the gradient at another input that is rearranged: a kernel not flipped, a weight not transposed."""
    own = [(case.position, case.name, case.x)]            # for instance a matrix whose inverse is not transposed
    for i, name, other in [*case.others(), *own]:
        if other.size > 20_000 or case.late:
            continue
        for cause, words, move in rearranged(other.shape):
            if np.array_equal(move(other), other):
                continue
            if case.explained_everywhere(lambda values, i=i, move=move: replaced(values, i, move)):
                return cause, f"the gradient of {case.name} is the one for {name} {words}. In backward, look at {name}: {OF_INPUT[cause]}."
    return None


def other_replaced(case):
    """A is the gradient at another input that is left out, used in another power (gamma squared) or mistaken for a third."""
    for i, name, other in case.others():
        forms = [("as if it were one", np.ones_like), ("with its square", np.square), ("with its inverse", lambda z: 1 / z),
                 ("with its absolute value", np.abs), ("with its mean", lambda z: np.full_like(z, z.mean() if z.size else 0))]
        for k in (k for k in case.exam.wanted if k != i and case.exam.values[k].shape == other.shape):
            if k == case.position and not case.exam.subject.upstream:
                continue                                  # of a distance nothing is left there
            if case.explained_everywhere(lambda values, i=i, k=k: replaced(values, i, lambda _: values[k])):
                return "shifted", (f"the gradient of {case.name} is the one for {case.exam.subject.names[k]} in the place of {name}: "
                                   "backward takes the wrong array of the cache.")
        for words, form in forms:
            if not np.isfinite(form(other)).all() or np.array_equal(form(other), other):
                continue
            if case.explained_everywhere(lambda values, i=i, form=form: replaced(values, i, form)):
                return "factor-per-axis", (f"the gradient of {case.name} is the one for {name} {words}: a factor {name} is "
                                           "missing or misused in backward.")
    return None


def replaced(values, i, form):
    """The inputs, one of them as a function of it."""
    return [np.array(form(v)) if k == i else v.copy() if isinstance(v, np.ndarray) else v for k, v in enumerate(values)]


def reshaped_wrongly(case):
    """A is N after a reshape and a transpose that split an axis in two."""
    if not case.whole or case.x.size < 6:
        return None
    room = case.slack.max(axis=1, keepdims=True)
    if (np.abs(np.sort(case.a, axis=1) - np.sort(case.n, axis=1)) > room).any():
        return None
    index = np.arange(case.x.size)
    for inner in splits([s for s in case.shape if s > 1]):
        if len(inner) > 6:
            continue
        for p in permutations(range(len(inner))):
            order = index.reshape(inner).transpose(p).ravel()
            for moved in (order, np.argsort(order)):
                if np.abs(case.a[0] - case.n[0][moved]).max() <= room[0] and case.explains(case.n[:, moved]):
                    return "transposed", (f"the elements of the gradient of {case.name} are in the wrong order: those of the "
                                          "right one, "
                                          f"reshaped to {inner} and transposed by {p}. Backward has to undo forward's reshapes "
                                          "and "
                                          "transposes in the reverse order.")
    return None


def upstream_reshaped(case):
    """A = J^T of an upstream gradient after a reshape and a transpose that split an axis in two: heads, groups, blocks."""
    if case.j is None or not case.exam.subject.upstream or not case.out_shape or case.u.shape[1] > 600:
        return None
    probe = np.random.default_rng(case.exam.seed).permutation(np.flatnonzero(case.judged))[:6]
    index, few, room = np.arange(case.u.shape[1]), case.j[probe], case.slack[0, probe]
    for inner in splits(case.out_shape):
        if len(inner) > 6 or len(inner) == len(case.out_shape) or case.late:
            continue
        for p in permutations(range(len(inner))):
            order = index.reshape(inner).transpose(p).ravel()
            for moved in (order, np.argsort(order)):
                if (np.abs(few @ case.u[0][moved] - case.a[0, probe]) <= room).all() and case.explains(case.u[:, moved] @ case.j.T):
                    return "transposed", (f"the gradient of {case.name} is that of an upstream gradient in the wrong order: reshaped to "
                                          f"{inner} and transposed by {p}. Backward has to undo forward's reshapes and transposes in the "
                                          "reverse order; a reshape alone exchanges no axes.")
    return None


def splits(shape):
    """The shape, and it with axes split into two factors."""
    if not shape:
        return [()]
    heads = [(shape[0],)] + [(d, shape[0] // d) for d in range(2, shape[0]) if shape[0] % d == 0]
    return [(*head, *rest) for rest in splits(shape[1:]) for head in heads]
