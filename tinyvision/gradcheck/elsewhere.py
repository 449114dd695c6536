"""The gradient at other inputs and parameters than those that were given: right here, it may be wrong there.

Either something that the first call computed was kept (a stale cache), or the mistake is there all the time and the given numbers do
not show it: weights that are all ones, a symmetric matrix, inputs that are all positive.  A layer that is made anew tells the two
apart; so does, where that cannot be, what the given numbers look like.
"""

import copy

import numpy as np

from .numeric import EPS, contract, noise_of, scales_of, slopes
from .subject import MISSING, split

STALE = ("{} Keep what backward needs in a cache of that very call (a local variable, ctx, the op), not in a global variable, an "
         "attribute of the class or a default argument.")
THERE = "for the given inputs the gradient is right, but not for others of the same shapes, drawn at random: {} (The given ones do not show it.)"
ONES = ("the gradients are right only because {0} is one everywhere: for another {0} they are wrong, so the factor {0} is missing, or is "
        "there in another power, on the way back.")
KEPT = {"", "unknown", "mask-redrawn", "shifted", "swapped-gradients"}                   # what a mask of another call may be taken for


def other_inputs(exam, parameters=False):
    """Other inputs from the same domain: shuffled where both signs occur, else numbers in between; parameters: these as well.

    Where all are alike there is nothing in between: ones become larger by up to a quarter, zeros random numbers.
    """
    values = exam.copies()
    rng = np.random.default_rng(exam.seed + 1)
    for i in exam.wanted:
        if (parameters or i < exam.subject.count) and not exam.is_data(i):
            values[i] = other(values[i], rng)
    return values


def other(x, rng):
    """Another array like this one."""
    if x.size and not x.any():
        return np.asarray(0.5 * rng.standard_normal(x.shape))
    shuffled = rng.permutation(x.ravel()).reshape(x.shape)
    if x.size and x.min() < 0 < x.max():
        return shuffled
    return np.asarray(x * (1 + 0.25 * rng.random(x.shape))) if special(x) else (x + shuffled) / 2


def elsewhere(exam, values, found):
    """A fault if `found`, the gradients of a later call with other values, are not right; called after the first call only."""
    if not off_at(exam, values, found):
        return
    if kept(exam, values, found):
        exam.fault("stale-cache", STALE.format("with the inputs of the first call the gradient is right, with those of a later call "
                                               "it is not: something is computed once and kept."))
        return
    for i in exam.wanted:
        if exam.values[i].size > 1 and (exam.values[i] == 1).all() and not off_without(exam, i, values):
            exam.fault("factor-per-axis", ONES.format(exam.subject.names[i]))
            return
    report = examined_at(exam, values).run(probes=False)
    exam.fault(report.cause or "unknown", THERE.format(report.diagnosis or "none of the known mistakes explains it."))


def with_other_parameters(exam):
    """The same where weights differ as well: ones and zeros, with which layers begin, hide what is multiplied by them."""
    if exam.subject.count < len(exam.values):
        values = other_inputs(exam, parameters=True)
        elsewhere(exam, values, exam.start(copied(values)).backward(split(exam.u[0], exam.shapes)))


def off_at(exam, values, found):
    """Whether gradients at other values are off along one direction, for certain."""
    if not exam.report.passed or exam.large or exam.dtype != np.float64:
        return False                                      # wrong at the first inputs already: nothing follows from other ones
    rng = np.random.default_rng(exam.seed + 2)
    gradients = {i: g for i, g in zip(exam.wanted, found) if g is not None and g is not MISSING and np.shape(g) == np.shape(values[i])}
    vs = {i: rng.choice([-1.0, 1.0], np.shape(values[i])) * scales_of(values[i]).reshape(np.shape(values[i])) for i in gradients}

    def moved(t):
        return [np.asarray(v + t * vs[i]) if i in vs else v.copy() if isinstance(v, np.ndarray) else v for i, v in enumerate(values)]
    y0 = exam.flat(moved(0.0))
    if not np.isfinite(y0).all():
        return False
    noise = noise_of(lambda xs: exam.flat(exam.with_inputs(xs)), [values[i] for i in exam.wanted], y0, rng)

    def measured(thorough):
        s = slopes(lambda j, t: exam.flat(moved(t)), np.ones(1), np.ones(1), y0, noise, exam.u[:1], thorough)
        n, half, bar, size, _, undefined, *_ = contract(s, exam.u[:1], False)
        vague = undefined[0] or s.kink.any() or thorough and not bar[0, 0] <= 0.01 * size[0, 0]
        return n[0, 0], half[0, 0] + 10 * bar[0, 0] + 1e-4 * size[0, 0], vague

    def rate(found):
        return sum(float((np.asarray(g, float) * vs[i]).sum()) for i, g in zip(exam.wanted, found) if i in vs)
    a = rate(found)
    usual = sum(np.linalg.norm(exam.a[exam.wanted.index(i)][0] * v.ravel()) for i, v in vs.items())
    for thorough in (False, True):
        n, room, vague = measured(thorough)
        off = abs(a - n) - room - 1e-6 * usual
        if vague or off <= 0:
            return False
    nearby = [np.asarray(v * (1 + 4 * EPS * rng.choice([-1.0, 1.0], np.shape(v)))) if i in vs and i < exam.subject.count else v
              for i, v in enumerate(values)]
    return bool(off > 100 * abs(rate(gradients_at(exam, nearby)) - a))                     # more than rounding explains


# --- kept from the first call, or wrong by itself?


def kept(exam, values, found):
    """Whether wrong gradients of a later call come from what the first call has left behind."""
    fresh = exam.subject.renewed(values)
    if fresh is not exam.subject:
        alone = fresh.run(copied(values)).backward(split(exam.u[0], exam.shapes))
        if not all(same(exam, g, h) for g, h in zip(found, alone)):
            return True
        if not moves_parameters(exam, values):
            return False
    if close_by(exam):
        report = examined_at(exam, values).run(probes=False)
        return report.cause in KEPT
    guilty = [i for i in exam.wanted if not np.array_equal(values[i], exam.values[i]) and off_with(exam, i, values)]
    return not guilty or not all(special(exam.values[i]) for i in guilty)


def moves_parameters(exam, values):
    return any(not np.array_equal(values[i], exam.values[i]) for i in exam.wanted if i >= exam.subject.count)


def close_by(exam):
    """Whether the gradient is right at values beside the given ones: then it is right in a whole region, where nothing shows."""
    rng = np.random.default_rng(exam.seed + 41)
    values = exam.with_inputs([np.asarray(exam.values[i] * (1 + 1e-2 * rng.uniform(-1, 1, exam.values[i].shape))) for i in exam.wanted])
    return not off_at(exam, values, gradients_at(exam, values))


def off_with(exam, i, values):
    """Whether the gradient is off where only input i is another one."""
    mixed = [v if k == i else exam.values[k] for k, v in enumerate(values)]
    return off_at(exam, mixed, gradients_at(exam, mixed))


def off_without(exam, i, values):
    """Whether the gradient is off at other values where input i is the given one."""
    mixed = [exam.values[k] if k == i else v for k, v in enumerate(values)]
    return off_at(exam, mixed, gradients_at(exam, mixed))


def special(x):
    """Whether an array is one that nobody would draw at random: many equal elements, whole numbers, a symmetric matrix."""
    if x.size == 1:
        return bool(x == np.round(x))
    return np.unique(np.abs(x)).size <= 0.75 * x.size or bool((x == np.round(x)).all())


def gradients_at(exam, values):
    return exam.start(copied(values)).backward(split(exam.u[0], exam.shapes))


def examined_at(exam, values):
    """An Examination of the same function at other values."""
    subject = copy.copy(exam.subject)
    subject.values = copied(values)
    return type(exam)(subject, exam.seed, exam.dtype, patience=exam.patience / 2)


def copied(values):
    return [v.copy() if isinstance(v, np.ndarray) else v for v in values]


def same(exam, g, h):
    if g is None or g is MISSING or h is None or h is MISSING:
        return g is h
    return close(exam, np.asarray(g, float).reshape(-1), np.asarray(h, float).reshape(-1))


def close(exam, a, b, noise=0.0):
    """Equal up to another order of summation; noise: how much rounding errors of the inputs change b."""
    if a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore"):
        room = exam.fuzz * (1e-8 * np.abs(b) + 1e-10 * np.abs(b[np.isfinite(b)]).max(initial=1e-300)) + 1000 * np.max(noise, initial=0)
        return bool(((np.abs(a - b) <= room) | (a == b) | (np.isnan(a) & np.isnan(b))).all())
