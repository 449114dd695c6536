"""Numeric derivatives with an error bar, kinks recognised: the witness against a hand-written backward.

A curve t -> y(t), vector valued, leads through the point at t = 0: one element of an input is moved, or all of them along a
direction.  Five points of it, y(0), y(+-h) and y(+-h/2), give

    the slope      D(h) = (y(h) - y(-h)) / 2h  and, extrapolated,  R = D(h/2) + (D(h/2) - D(h)) / 3  =  y'(0) + O(h^4)
    its error bar  |D(h/2) - D(h)|, above the truncation error wherever the slope is continuous, plus the rounding noise of y / h,
                   as estimated and as seen in B(h/2) - B(h)/2, which is otherwise nothing
    and the bend   B(h) = (y(h) - 2 y(0) + y(-h)) / h, the difference of the two one-sided slopes

Where y is smooth the bend halves with the step; at a kink it stays.  No step suits every function: log(x) at 1e-8 wants a tiny
one, a saturated sigmoid a large one.  So the steps form a ladder of factors of 32, every curve climbs it from a middle rung, down
while truncation or a bend is in the way and up while rounding is, and each output keeps the slope of its best rung.

What is still bent at the lowest rungs lies on a kink: then the two one-sided slopes are the answer, and any number between them
is a legitimate subgradient.  Where even these do not settle (a jump, an infinite slope) nothing can be said.

Sources: Richardson 1911 (extrapolation); Ridders 1982, doi:10.1016/S0141-1195(82)80057-0 (error from neighbouring steps).
"""

from dataclasses import dataclass

import numpy as np

EPS = np.finfo(np.float64).eps
RUNG = 32.0                                               # from one step size to the next
FIRST = 2.0 ** -13                                        # of the scale of what is moved: about 1e-4
DOWN, UP = 11, 5                                          # rungs below and above the first
LOWEST = 4                                                # so many rungs from the last show the noise
TARGET = 3e-7                                             # a curve is settled when its bar is this share of its slope
RTOL = 1e-7                                               # of the size of what is added up to the derivative


@dataclass
class Slopes:
    """Derivatives of m outputs along `count` curves; every array is (count, m).

    low, high: the derivative, or at a kink the two one-sided ones; bar: how far each may be off; noise: the part of it that
    comes from rounding; kink: where low and high differ; undefined: where no derivative exists.
    """

    low: np.ndarray
    high: np.ndarray
    bar: np.ndarray
    noise: np.ndarray
    kink: np.ndarray
    undefined: np.ndarray

    @property
    def value(self):
        return (self.low + self.high) / 2

    @classmethod
    def empty(cls, count, m):
        zero = np.zeros((count, m))
        return cls(zero, zero.copy(), np.full((count, m), np.inf), zero.copy(), zero > 0, zero > 0)

    def put(self, rows, where, other):
        """Take over from `other` (of these rows) what lies in the mask `where`."""
        for name in ("low", "high", "bar", "noise", "kink", "undefined"):
            mine = getattr(self, name)
            mine[rows] = np.where(where, getattr(other, name), mine[rows])


def slopes(curve, scales, sizes, y0, noise, weights, thorough=False):
    """Slopes at t = 0 of the curves 0..count-1.

    curve(i, t): the outputs (m,) at t on curve i; scales (count,): over what distance t a curve changes its face; sizes (count,):
    of the number that t is added to, for t must not be lost in its rounding;
    y0 (m,): the common point; noise (m,): the rounding noise of the outputs; weights (k, m): the upstream gradients, which
    decide how exact an output must be.  thorough: climb the whole ladder, whatever is found on the way, and look for stairs, and
    for noise that the estimate has missed: where the smallest steps spread wider than they may, climb again with what they show.
    """
    noise = np.broadcast_to(noise, (len(scales), y0.size))
    first = 2.0 ** np.round(np.log2(scales * FIRST))      # powers of two: x + h - x is h
    if not thorough:
        return climb(curve, first, sizes, y0, noise, weights, False)[0]
    noise = np.maximum(noise, np.maximum(stairs(curve, first, sizes, y0, noise), roughness(curve, first, sizes, y0, noise)))
    found, seen = climb(curve, first, sizes, y0, noise, weights, True)
    if (seen > noise).any():
        found, _ = climb(curve, first, sizes, y0, np.maximum(noise, seen), weights, True)
    return found


def climb(curve, first, sizes, y0, noise, weights, thorough):
    """Slopes from the ladder that begins with the steps `first`, and the noise (count, m) that its lowest rungs show."""
    count = len(first)
    found, before, rungs = Slopes.empty(count, y0.size), Slopes.empty(count, y0.size), []
    reached, bend = np.zeros(count, int), np.zeros((count, y0.size))                  # bend: the last one seen, 0 where smooth
    rows, last, grown = np.arange(count), np.full((count, y0.size), np.inf), np.zeros((count, y0.size), int)
    dead = np.zeros((count, y0.size))                     # the step from which on an output has stood still, 0 if it has not
    for rung in range(DOWN + 1):
        if not rows.size:
            break
        reached[rows] = rung
        step = Rung(curve, rows, first[rows] * RUNG ** -rung, y0, noise[rows], sizes[rows])
        # a kink shows at every wider step as well: where one was seen to be smooth, a bend is rounding that was underestimated
        step.bent &= ~(found.bar[rows] <= 1e-3 * np.abs(found.value[rows]))
        blind = ~step.bent & (8 * step.noise >= bend[rows]) & (bend[rows] > 0)        # too much rounding to see the bend again
        bend[rows] = np.where(step.bent, step.half, np.where(blind, bend[rows], 0))
        known = ~step.bent & ~blind
        found.put(rows, known & (step.bar < found.bar[rows]), step.smooth())
        found.put(rows, *step.second_opinion(found, before, rows))
        before.put(rows, True, step.smooth())
        before.bar[rows] = np.where(known, step.bar, np.inf)
        steep = np.abs(step.value) > 1.5 * last[rows]     # grows with every smaller step: a jump, or an infinite slope
        steep &= (step.bar > 0.2 * np.abs(step.value)) & (np.abs(step.value) > 30 * step.noise)
        grown[rows], last[rows] = np.where(steep, grown[rows] + 1, 0), np.abs(step.value)
        dead[rows] = np.where(step.still, np.where(dead[rows] > 0, dead[rows], step.width), 0)
        rungs.append((rows, step.jitter) if thorough else None)
        on = thorough | step.wants_smaller(found, rows, weights)
        rows = rows[on & (first[rows] * RUNG ** (-rung - 1.0) > 16 * EPS * sizes[rows])]
    bent = bend > 0
    if thorough:                                          # steps on purpose: what stands still for so long is no rounding
        flat = ~bent & (dead * np.abs(found.value) > most_noise(sizes, y0, noise))
        found.put(np.arange(count), flat, Slopes(*np.zeros((4, count, y0.size)), *np.zeros((2, count, y0.size), bool)))
    kinks(found, bent, curve, first * RUNG ** -reached.astype(float), y0, noise)
    found.undefined |= (grown > 2) & (found.bar > 0.2 * np.abs(found.value))
    farther(found, curve, first, sizes, y0, noise, weights, thorough)
    lost = ~np.isfinite(found.bar)
    found.undefined |= lost
    found.bar[lost] = 0.0
    return found, spread(rungs, reached, bent, most_noise(sizes, y0, noise) / 16) if thorough else None


def spread(rungs, reached, bent, most):
    """The noise (count, m) of the outputs that the lowest rungs show; most (count, m): more than this is no rounding.

    Truncation has gone there, so that what differences of two step sizes differ by is rounding, as long as there is no kink.
    """
    seen = np.zeros(bent.shape)
    for rung, (rows, jitter) in enumerate(rungs):
        low = (rung > 0) & (rung > reached[rows] - LOWEST)
        counts = low[:, None] & ~bent[rows] & (jitter <= most[rows])
        seen[rows] = np.where(counts, np.maximum(seen[rows], jitter), seen[rows])
    return seen


def most_noise(sizes, y0, noise):
    """The highest noise (count, m) that rounding inside of a function may leave in its outputs: what is higher is no rounding."""
    usual = EPS * np.maximum(1, np.maximum(np.reshape(sizes, (-1, 1)), np.abs(y0)))
    return 1000 * np.maximum(usual, noise.max(initial=0))


def farther(found, curve, first, sizes, y0, noise, weights, thorough):
    """Larger steps for the curves that are not settled."""
    rows = np.flatnonzero(~settled(found, weights) & ~found.kink.any(axis=1) & ~found.undefined.any(axis=1))
    for rung in range(1, UP + 1):
        if not rows.size:
            return
        step = Rung(curve, rows, first[rows] * RUNG ** rung, y0, noise[rows], sizes[rows])
        # seen from afar a bounded function has no slope at all: a larger step must confirm what is known
        found.put(rows, ~step.bent & (step.bar < found.bar[rows]) & step.agrees(found, rows), step.smooth())
        rows = rows[~settled(found, weights, rows)] if not thorough else rows


class Rung:
    """The five points of some curves at one step size h (rows,), and what follows from them for every output."""

    def __init__(self, curve, rows, h, y0, noise, sizes=0.0):
        y = np.empty((4, rows.size, y0.size))
        for j, (i, step) in enumerate(zip(rows, h)):
            for k, t in enumerate((step, -step, step / 2, -step / 2)):
                y[k, j] = curve(i, t)
        self.width = h = h[:, None]
        with np.errstate(all="ignore"):                   # a step may leave the domain: then the rung says nothing
            wide, narrow = (y[0] - y[1]) / (2 * h), (y[2] - y[3]) / h
            self.value = narrow + (narrow - wide) / 3
            self.truncation = np.abs(narrow - wide)
            self.still = (y[0] == y0) & (y[1] == y0)
            grown = np.maximum(np.abs(y[0]), np.abs(y[1]))
            spread = EPS * np.maximum(grown, np.abs(y0))
            # an output that stands still may only be rounded to the same number, of its own size or of what it is made from
            usual = np.maximum(np.median(np.abs(y0)) if y0.size else 0, np.reshape(sizes, (-1, 1)))
            least = np.maximum(EPS * np.maximum(np.abs(y0), usual), noise)
            self.noise = np.where(self.still, least, 4 * (spread + noise)) / h
            self.grown = (grown > 2 * np.abs(y0)) & ~self.still
            self.right, self.left = (4 * y[2] - y[0] - 3 * y0) / h, (3 * y0 - 4 * y[3] + y[1]) / h
            coarse = np.maximum(np.abs(self.right - (y[0] - y0) / h), np.abs(self.left - (y0 - y[1]) / h))
            self.one_sided_bar = coarse + 3 * self.noise
            bend, half = (y[0] - y0 + (y[1] - y0)) / h, (y[2] - y0 + (y[3] - y0)) / (h / 2)
            self.residue = np.abs(half - bend / 2)        # of a smooth function nothing is left there but rounding
            self.truncation += self.residue
            self.jitter = self.truncation * h / 4         # the noise of the outputs that would explain all of it
            self.bar = self.truncation + self.noise
            self.bend, self.half = np.abs(bend), np.abs(half)
            half = self.half
            size = np.maximum(np.abs(self.right), np.abs(self.left))
            self.bent = (half > 0.6 * self.bend) & (half > 8 * self.noise) & (half > 1e-7 * size)
        bad = ~np.isfinite(y).all(axis=0)
        self.bar[bad], self.value[bad], self.bent[bad], self.noise[bad] = np.inf, 0.0, False, 0.0
        self.truncation[bad], self.jitter[bad] = np.inf, 0.0

    def smooth(self):
        none = np.zeros(self.value.shape, bool)
        return Slopes(self.value, self.value, self.bar, self.noise, none, none)

    def agrees(self, found, rows):
        """Whether each slope is what was found so far, within both bars."""
        known = np.isfinite(found.bar[rows])
        return ~known | (np.abs(self.value - found.value[rows]) <= 3 * (self.bar + np.where(known, found.bar[rows], 0)))

    def second_opinion(self, found, before, rows):
        """(where, Slopes): this rung or the one before, where they agree and what was found farther up is outside of both bars.

        A wave seen with steps of many periods looks flat, the flatter the wider they are.
        """
        known, low = found.value[rows], self.bar <= before.bar[rows]
        value, bar = np.where(low, self.value, before.value[rows]), np.where(low, self.bar, before.bar[rows])
        agree = np.abs(self.value - before.value[rows]) <= 3 * (self.bar + before.bar[rows])
        outside = np.abs(value - known) > 3 * (bar + found.bar[rows])
        for v, b in ((self.value, self.bar), (before.value[rows], before.bar[rows])):
            outside &= np.abs(v - known) > b + found.bar[rows]
        none = np.zeros(value.shape, bool)
        noise = np.where(low, self.noise, before.noise[rows])
        steeper = (np.abs(value) > 3 * np.abs(known)) & (bar <= 0.3 * np.abs(value))
        return agree & outside & steeper, Slopes(value, value, bar, noise, none, none)

    def wants_smaller(self, found, rows, weights):
        """The curves for which a smaller step promises more: bent or steeper than known, or not settled and not for rounding."""
        matters = np.abs(weights).max(axis=0) > 0
        limited = (self.truncation > self.noise) | self.grown | self.bent
        known = found.value[rows]
        steeper = np.abs(self.value - known) > 3 * (self.bar + found.bar[rows])
        steeper &= (np.abs(self.value) > 3 * np.abs(known)) & (self.noise <= 0.1 * np.abs(self.value))
        return ((self.bent | steeper) & matters).any(axis=1) | (~settled(found, weights, rows) & (limited & matters).any(axis=1))


def settled(found, weights, rows=slice(None)):
    """Whether the bar of every <u, y'> is a small share of its size; also where nothing moved at all."""
    bar, noise, value = found.bar[rows], found.noise[rows], found.value[rows]
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.sqrt(value ** 2 @ weights.T ** 2)
        off = contract_bar(bar - noise, noise, weights)
    still = (value == 0) & np.isfinite(bar)
    return ((off <= TARGET * size) | still.all(axis=1)[:, None]).all(axis=1)


def contract_bar(truncation, noise, weights):
    """The bar of <u, y'>: truncation errors may all have one sign, rounding errors are independent."""
    truncation = np.where(np.isfinite(truncation), truncation, np.inf)
    with np.errstate(invalid="ignore"):
        part = np.abs(weights)[None] * truncation[:, None] if np.isinf(truncation).any() else None
        linear = truncation @ np.abs(weights).T if part is None else np.where(weights[None] == 0, 0, part).sum(axis=2)
    return linear + 3 * np.sqrt(noise ** 2 @ weights.T ** 2)


def contract(s, u, keep):
    """Slopes (count, m) seen through k upstream gradients: centre, half width, bar and size (k, count); kink and undefined (count,)."""
    matters = np.abs(u).max(axis=0) > 0
    low, high = np.where(s.undefined, 0, s.low), np.where(s.undefined, 0, s.high)
    value, width = (low + high) / 2, (high - low) / 2
    undefined = (s.undefined & matters).any(axis=1)
    half = (width @ np.abs(u).T).T
    half[:, undefined] = np.inf
    bar = contract_bar(np.where(s.undefined, 0, s.bar - s.noise), np.where(s.undefined, 0, s.noise), u).T
    size = np.sqrt(np.maximum(np.abs(low), np.abs(high)) ** 2 @ u.T ** 2).T
    return (value @ u.T).T, half, bar, size, (s.kink & matters).any(axis=1) & ~undefined, undefined, \
        value if keep else None, s.kink & ~s.undefined & matters if keep else None


def kinks(found, bent, curve, smallest, y0, noise):
    """Where a curve is bent still at its smallest step, replace the slope by the two one-sided ones, if these exist.

    The one-sided slopes are read off at a larger step, where rounding is small, as long as the kink itself is still within it.
    """
    rows = np.flatnonzero(bent.any(axis=1))
    if not rows.size:
        return
    where, best = bent[rows], Slopes.empty(rows.size, y0.size)
    jump, seen = np.zeros(where.shape, bool), np.zeros(where.shape, int)
    for climb in (0, 1, 2, 3, 4, 6, 7, 8, 9):
        step = Rung(curve, rows, smallest[rows] * RUNG ** climb, y0, noise[rows])
        where &= (seen != 1) | step.bent                  # a kink is one at the next step as well; a turning point is not
        at_kink = where & step.bent
        jump |= at_kink & (seen == 0) & (step.half > 1.2 * step.bend)                 # grows as the step shrinks: no slope at all
        seen += at_kink
        better = at_kink & (step.one_sided_bar < best.bar)
        best.put(np.arange(rows.size), better, Slopes(
            np.minimum(step.left, step.right), np.maximum(step.left, step.right), step.one_sided_bar, step.noise,
            np.ones(where.shape, bool), np.zeros(where.shape, bool)))
    where &= seen > 1
    best.undefined |= where & (jump | ~np.isfinite(best.bar))
    found.put(rows, where, best)


def stairs(curve, first, sizes, y0, noise):
    """The height (count, m) of the stairs that rounding inside of a function leaves in it, where they are higher than its own rounding.

    1 + tanh(x) far on the left moves in steps of 1e-16, however small it is.  Halve the step: the second difference of a smooth
    function falls by 4 and a kink's by 2, but what stairs leave in it stays, as long as the step is wider than a stair.
    """
    halvings, left = 20, []
    for i in range(len(first)):
        second = np.array([curve(i, t) + curve(i, -t) - 2 * y0 for t in 1024 * first[i] * 2.0 ** -np.arange(halvings)])
        left.append(np.abs(second[1:] - second[:-1] / 4))
    left = np.nan_to_num(np.array(left).reshape(len(first), halvings - 1, y0.size), nan=np.inf, posinf=np.inf)
    before, after = np.maximum(left[:, :-3], left[:, 1:-2]), np.maximum(left[:, 2:-1], left[:, 3:])
    # over two halvings, a kink would leave a quarter
    stays = (after >= 0.35 * before) & (after > 0) & (np.maximum(before, after) <= most_noise(sizes, y0, noise)[:, None])
    return np.where(stays, np.maximum(before, after), 0).max(axis=1)


BESIDE = np.array([0, 157, 389, 733, 1201, 1999, 3301])   # irregular, for a grid may agree with halves and doubles by chance
PARABOLA = np.vander(BESIDE / BESIDE[-1], 3)
LEFTOVER = np.eye(len(BESIDE)) - PARABOLA @ np.linalg.pinv(PARABOLA)


def roughness(curve, first, sizes, y0, noise):
    """What a parabola on either side leaves of the nearest points: noise (count, m), where it is not too much for rounding."""
    found = np.zeros((len(first), y0.size))
    for i in range(len(first)):
        unit = 2.0 ** np.ceil(np.log2(4 * EPS * max(sizes[i], first[i])))
        for side in (unit, -unit):
            y = np.array([y0] + [curve(i, side * t) for t in BESIDE[1:]])
            found[i] = np.maximum(found[i], np.abs(LEFTOVER @ (y - y0)).max(axis=0))
    return np.where(found <= most_noise(sizes, y0, noise) / 16, found, 0)                    # nan as well


def noise_of(f, xs, y0, rng, times=2):
    """How much the outputs change when every input moves by a rounding error: the noise that differences have to live with.

    An output that moves far, and with a thousand times the step no farther, is at a jump (floor at a whole number): no noise.
    """
    def change(step):
        shaken = [np.asarray(x * (1 + step * rng.choice([-1.0, 1.0], x.shape))) for x in xs]
        with np.errstate(all="ignore"):
            moved = np.abs(f(shaken) - y0)
        return np.where(np.isfinite(moved), moved, 0)
    noise = np.max([change(EPS) for _ in range(times)], axis=0)
    far = noise > 1e-6 * max(np.abs(z).max(initial=0) for z in (y0, *xs))
    if far.any():
        noise[far & (np.max([change(1000 * EPS) for _ in range(times)], axis=0) < 10 * noise)] = 0
    return noise


def scales_of(x):
    """Over what distance a function of this array is expected to change: the element's own size, or that of its neighbours."""
    size = np.abs(x).ravel()
    usual = np.median(size) if size.size else 0.0
    usual = usual or (np.sqrt(np.mean(size ** 2)) if size.size else 0.0)
    return np.maximum(size, usual) if usual > 0 else np.ones_like(size)
