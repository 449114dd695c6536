"""Lost precision: float64 goes in, so float64 must come out, and nothing coarser may lie on the way.

    types       outputs and gradients have the dtype of the inputs, and all of its digits
    precision   what came through a coarser type inside moves in steps: a weight that was cast, a mask, a saved result

The error of a float32 number, 3e-8 of it, is below what a numeric derivative can promise for every function, but its steps are
not: move inputs and upstream gradient smoothly, by a millionth, and look at the second difference of the gradient.
A smooth function leaves the square of the move there, 1e-13; what was rounded to float32 leaves a whole step, 1e-7.  So does a
kink; but at four points on one side of it the function is a smooth one, whose third difference leaves nothing, and that of
steps leaves steps, in every window of such points.
"""

import numpy as np

from .numeric import EPS, slopes
from .subject import MISSING, flatten, split

SURE = 1e-9                                               # of its size: so well a numeric derivative must agree to leave no doubt
TRIES = 6                                                 # directions of the moves
OUTPUTS = 4                                               # single outputs that backward is asked for

# Of each type: a move of a few of its steps, the smallest and the largest second difference that it may leave (of the largest
# number), and how far the gradient may be off for nothing else than that.
STEPS = {"float32": (1.3 * 2.0 ** -22, 1e-10, 1e-6, 1e-5), "float16": (1.3 * 2.0 ** -9, 1e-5, 2e-2, 5e-2)}
# On one side, in odd distances, lest whole steps cancel; the weights of their third difference; three such windows side by side.
WINDOWS = np.array([0.25, 1.25, 8.0])
POINTS = np.array([1.0, 2.2, 3.1, 4.0])
THIRD = np.array([1 / np.prod(p - POINTS[POINTS != p]) for p in POINTS]) * 6
DIGITS = {"float32": 7, "float16": 3}


def types(exam):
    """The types of outputs and gradients, and whether full mantissas that go in come out as full ones."""
    if exam.dtype != np.float64:
        return
    if exam.low_output:
        exam.fault("precision-lost", f"forward returns {exam.low_output} for float64 inputs, which is too coarse to be "
                                     "differentiated numerically. Let it compute in the dtype of its input.")
    elif doubtful(exam) and all_squeezed(exam):
        exam.fault("precision-lost", f"every output of forward is exactly a {squeezed(exam.y0)} number: somewhere in forward "
                                     "numbers pass through an array of that type. Let it compute in the dtype of its input.")
        exam.low_output = squeezed(exam.y0)
    if exam.low_gradient:
        exam.fault("precision-lost", "the gradient of {} is {} for float64 inputs. Make buffers of the input's dtype: "
                                     "np.zeros_like(x), and no astype.".format(*exam.low_gradient))
    most = max((np.abs(a[0]).max(initial=0) for a in exam.a), default=0)
    for number, (a, i) in enumerate(zip(exam.a, exam.wanted)):
        if np.abs(a[0]).max(initial=0) <= 1e-9 * most or not doubtful(exam, number):  # rounding errors in place of a zero
            continue
        rounded = squeezed(a[0])
        if rounded and not exam.low_gradient and (exam.subject.upstream or not squeezed(exam.values[i].ravel())):
            exam.fault("precision-lost", f"every element of the gradient of {exam.subject.names[i]} is exactly a {rounded} "
                                         "number, though the upstream gradient is not: somewhere in backward it passes through "
                                         "an array of that type (np.zeros(..., dtype=...), astype, a buffer made of integers).")


def doubtful(exam, number=None):
    """Whether the numeric derivative of an input (default: of any) leaves room for an error of float32's size."""
    chosen = [e for e in exam.evidence if number in (None, e.number)]
    if exam.large:
        return exam.gap > 0.1 * SURE
    if not chosen:
        return True
    return any((~(np.abs(e.a - e.n) - e.half <= SURE * e.size))[:, ~e.undefined].any() for e in chosen)


def all_squeezed(exam):
    """Whether the outputs are exactly numbers of a coarser type, though the inputs are not, and are not just a few levels."""
    found = squeezed(exam.y0)
    if found not in STEPS or np.unique(exam.y0).size <= 0.9 * exam.y0.size or levels(exam, found):
        return False
    return not any(squeezed(exam.values[i].ravel()) for i in exam.wanted)


def levels(exam, dtype):
    """Whether this is a step function, with the gradient zero, whose levels are spaced evenly: then they are few on purpose."""
    y = exam.y0[np.isfinite(exam.y0)]
    step = float(np.spacing(np.abs(y).max(initial=0).astype(dtype)))
    return not any(a.any() for a in exam.a) and bool((y == step * np.round(y / step)).all())


def squeezed(a):
    """The coarser type to which every number of an array exactly belongs; None where it is not so, or says nothing."""
    a = a[a != 0]
    with np.errstate(all="ignore"):
        for dtype in (np.int64, np.float16, np.float32):
            if all((part.astype(dtype).astype(np.float64) == part).all() for part in (a[:100], a)):      # the first soon say no
                few = a.size < 4 or np.unique(np.abs(a)).size < 3
                short = dtype != np.int64 and not full(a, dtype).any()
                return None if few or short else np.dtype(dtype).name
    return None


def full(a, dtype):
    """Where a number needs all digits of the type, but for two binary ones: a quarter has few, a third has not."""
    mantissa = np.ldexp(np.frexp(a)[0], np.finfo(dtype).nmant - 2)
    return np.isfinite(mantissa) & (mantissa != np.round(mantissa))


# --- steps


def precision(whole, exam):
    """Whether something coarser lies between the inputs and outputs or gradients; exam: the same function, perhaps on a part."""
    known = any(cause == "precision-lost" for cause, _ in whole.report.faults)
    if exam.dtype != np.float64 or known or not doubtful(whole):
        return
    for dtype in ("float32",) if whole.report.passed else ("float32", "float16"):
        if steps(whole, exam, dtype):
            return
    if whole.report.passed and exam.subject.upstream:
        constants(whole, exam)


def steps(whole, exam, dtype):
    """Look for steps of a type; those that two directions show become a fault."""
    move, least, most, _ = STEPS[dtype]
    base = [exam.y0, *(a[0] for a in exam.a)]
    sizes = [np.abs(b[np.isfinite(b)]).max(initial=0) for b in base]
    shown, room = [[] for _ in base], 1 if whole.report.passed else 8
    for attempt in range(TRIES):
        direction = Direction(exam, exam.seed + 11 + attempt, signs=attempt % 2 == 0)
        bend = direction.bend(base, move)
        if bend is None or not any(((d > least * size) & (d <= most * size)).any() for d, size in zip(bend, sizes)):
            if attempt and not any(shown):
                return False
            continue
        noise, windows = direction.jitter(base), [direction.window(base, t) for t in WINDOWS * move]
        if noise is None or None in windows:
            return False
        for k, (size, *seen) in enumerate(zip(sizes, *windows)):
            ds = [d for d, _ in seen]
            d, highest, change = np.min(ds, axis=0), np.max(ds, axis=0), np.max([c for _, c in seen], axis=0)
            stays = (d > np.maximum(least * size, 1e4 * (noise[k] + rounding(exam, k)))) & (highest <= room * most * size)
            # a kink is in one window; where it is smooth, the widest has 32768 times as much as the first
            stays &= (highest <= 8 * d) & (change <= 3000 * move * size)
            # outputs full of kinks (ties) look alike; what is right need not be asked, and steps would be in most of them
            if k == 0 and (whole.report.passed or dtype != "float32" or stays.mean() < 0.25):
                continue
            if stays.any() and (k == 0 or near(whole, dtype)):
                shown[k].append(d[stays].max() / size)
            if len(shown[k]) == 2:
                found(whole, exam, k, dtype, max(shown[k]))
                return True
    return False


def near(whole, dtype):
    """Whether the gradients are off by no more than rounding to a type can explain: else it is no word on them."""
    room = STEPS[dtype][-1]
    return whole.report.passed or all((np.abs(e.a - e.n) - e.half <= 10 * e.bar + room * np.abs(e.a).max(axis=1, keepdims=True, initial=0)).all()
                                      for e in whole.evidence)


def rounding(exam, k):
    """What rounding of the products of a gradient of the usual size leaves, where nearly all of them cancel (k as in found)."""
    if k == 0:
        return exam.noise_of_outputs.max(initial=0)
    x = np.abs(exam.values[exam.wanted[k - 1]]).max(initial=0)
    y = np.abs(exam.y0[np.isfinite(exam.y0)]).max(initial=0)
    return EPS * np.abs(exam.u[0]).max(initial=0) * y / x if x else 0.0


def found(whole, exam, k, dtype, step):
    """The fault of an output (k = 0) or of the gradient of an input."""
    what = "the output" if k == 0 else f"the gradient of {exam.subject.names[exam.wanted[k - 1]]}"
    moves = "the inputs move" if k == 0 else "the upstream gradient and the inputs move"
    where = "forward" if k == 0 else "the backward pass or what forward keeps for it"
    whole.stairs = dtype
    if k == 0:
        whole.low_output = dtype
    whole.fault("precision-lost", f"{what} moves in steps of {step:.0e} of its size where {moves} smoothly: in {where} numbers "
                                  f"pass through {dtype}, which keeps {DIGITS[dtype]} digits (astype, a cache, a mask or a "
                                  "buffer of that type). Keep the dtype of the input.")


class Direction:
    """All inputs and the first upstream gradient, each number moved by its own share of itself.

    signs: of both signs, or all of them away from zero, as is seen in a norm or a standard deviation of all.
    """

    def __init__(self, exam, seed, signs):
        self.exam, rng = exam, np.random.default_rng(seed)
        draw = lambda x: rng.uniform(0.5, 1.5, np.shape(x)) * (rng.choice([-1.0, 1.0], np.shape(x)) if signs else 1)  # noqa: E731
        self.shares, self.upstream = {i: draw(exam.values[i]) for i in exam.wanted}, draw(exam.u[0])

    def at(self, t):
        """Outputs and gradients at t, flat; None where they cannot be had."""
        exam, values = self.exam, self.exam.copies()
        for i, share in self.shares.items():
            values[i] = np.asarray(values[i] * (1 + t * share))
        try:
            run = exam.start(values)
            y = flatten(run.outputs)
            gradients = run.backward(split(exam.u[0] * (1 + t * self.upstream), exam.shapes))
        except Exception:                                 # a rule may rely on its very inputs
            return None
        flat = [np.asarray(g, float).ravel() if g is not None and g is not MISSING else np.zeros(np.size(exam.values[i]))
                for i, g in zip(exam.wanted, gradients)]
        return [y, *flat] if all(g.size == a.shape[1] for g, a in zip(flat, exam.a)) and y.size == exam.y0.size else None

    def bend(self, base, t):
        """|a second difference| of each of the arrays."""
        one, two = self.at(t), self.at(-2.3 * t)
        if one is None or two is None:
            return None
        return [np.abs(a + b / 2.3 - (1 + 1 / 2.3) * c) for a, b, c in zip(one, two, base)]

    def window(self, base, t):
        """(|the third difference|, the largest change) of each of the arrays at four points from t on."""
        moved = [self.at(t * p) for p in POINTS]
        if any(m is None for m in moved):
            return None
        return [(np.abs(sum(c * m[k] for c, m in zip(THIRD, moved))), np.max([np.abs(m[k] - b) for m in moved], axis=0))
                for k, b in enumerate(base)]

    def jitter(self, base):
        """The largest change that moves by rounding errors make, for each of the arrays."""
        moved = [self.at(t) for t in (8 * EPS, -8 * EPS, 24 * EPS)]
        if any(m is None for m in moved):
            return None
        return [max(np.abs(m[k] - b)[np.isfinite(b)].max(initial=0) for m in moved) for k, b in enumerate(base)]


# --- constants


def constants(whole, exam):
    """Factors that depend on nothing that moves: one output's gradient consists of float32 numbers, and is off by as much."""
    rng, asked = np.random.default_rng(exam.seed + 17), 0
    for j in rng.permutation(np.flatnonzero(exam.u[0]))[:OUTPUTS]:
        one = np.where(np.arange(exam.y0.size) == j, 1.0, 0.0)
        gradients = exam.gradients(one, checked=False)
        for number, (i, g) in enumerate(zip(exam.wanted, gradients)):
            with np.errstate(over="ignore"):
                coarse = np.flatnonzero((g.astype(np.float32) == g) & full(g, np.float32))
            for p in rng.permutation(coarse)[:1 if whole.large else 2]:
                if off(exam, i, p, j, g[p], lambda values: exam.gradients(one, values, False)[number][p]):
                    whole.stairs = "float32"
                    whole.fault("precision-lost", f"the gradient of {exam.subject.names[i]} with respect to a single output "
                                                  f"consists of float32 numbers, such as {g[p]:.10g}, and is off by their "
                                                  "rounding: a constant in backward (a mask, a filter, a scale) is a float32 "
                                                  "array. Make it of the input's dtype.")
                    return
        asked += any(g.any() for g in gradients)
        if asked == (1 if whole.large else 2):            # outputs that depend on anything have said enough
            return


def off(exam, i, p, j, g, again):
    """Whether the slope of output j along element p of input i is g to seven digits and, for certain, not to nine.

    again(values): what backward says at other inputs in place of g.
    """
    curve, scales, sizes = exam.curves(lambda values: exam.flat(values)[j:j + 1], i, np.array([p]))
    h = 2.0 ** np.round(np.log2(scales[0] * 2.0 ** -6))
    rng = np.random.default_rng(exam.seed + 19)
    try:
        if abs((curve(0, h)[0] - curve(0, -h)[0]) / (2 * h) - g) <= SURE * abs(g):
            return False
        s = slopes(curve, scales, sizes, exam.y0[j:j + 1], exam.noise_of_outputs[j:j + 1], np.ones((1, 1)), True)
        nearby = [exam.with_inputs([exam.values[w] * (1 + 4 * EPS * rng.choice([-1.0, 1.0], exam.values[w].shape))
                                    for w in exam.wanted]) for _ in range(3)]
        jitter = max(abs(again(values) - g) for values in nearby)
    except Exception:                                     # a step out of the function's domain
        return False
    gap, certain = abs(s.value[0, 0] - g), not s.kink.any() and not s.undefined.any()
    return bool(certain and 10 * s.bar[0, 0] + 1e3 * jitter + SURE * abs(g) < gap <= 1e-6 * abs(g))
